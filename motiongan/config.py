"""Typed configuration: dataclass defaults <- YAML file <- `--set key=value`, types checked by pydantic.

Every part of motiongan declares a small frozen dataclass beside itself; this module only merges and checks.
"""

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar, get_origin, get_type_hints

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from motiongan.errors import MotionganError, did_you_mean, meant

C = TypeVar("C")
_PACKAGE = Path(__file__).resolve().parent


def shipped(relative: str) -> Path:
    """Path of a file that comes with motiongan ("configs/demo.yaml", "data/athletes.yaml").

    In a checkout it lies beside the package, in an installed wheel inside `motiongan/assets/`.
    """
    beside = _PACKAGE.parent / relative
    return beside if beside.exists() else _PACKAGE / "assets" / relative


def load_config(schema: type[C], path: str | Path | None = None, overrides: Iterable[str] = ()) -> C:
    """The configuration `schema()` changed by a YAML file, then by "key.sub=value" overrides.

    schema      a frozen dataclass whose fields are scalars, tuples or such dataclasses, all with defaults
    path        YAML file, or the bare name of a shipped recipe ("demo")
    Raises MotionganError with file and line for unknown keys (with the nearest known one) and wrong types.
    """
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    if path is not None:
        file = _recipe(path)
        for key, value, line in _read_yaml(file):
            _put(values, places, schema, key, value, f"{file}:{line}")
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator:
            raise MotionganError(f"--set {override}: expected key=value, as in training.steps=500")
        try:
            value = _number(yaml.safe_load(text))
        except yaml.YAMLError:
            raise MotionganError(f"--set {override}: the value is not valid YAML") from None
        for leaf, leaf_value in _leaves(key.strip(), value):
            _put(values, places, schema, leaf, leaf_value, f"--set {override}")
    return config_from_dict(schema, values, places)


def config_from_dict(schema: type[C], values: dict[str, Any], places: dict[str, str] | None = None) -> C:
    """The configuration with nested `values` in place of defaults. Raises MotionganError for what does not fit."""
    try:
        return TypeAdapter(_strict(schema)).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        if not key:  # a check of the whole schema, whose message begins with the option it is about
            key, message = message.split(" ", 1)
        else:
            message = f"is {first['input']!r}: {message[:1].lower()}{message[1:]}"
        place = next((where for name, where in (places or {}).items() if f"{key}.".startswith(f"{name}.")), None)
        raise MotionganError(f"{place or 'configuration'}: `{key}` {message}") from None


def config_to_dict(config: Any) -> dict[str, Any]:
    """The configuration as nested plain dictionaries, ready for JSON or YAML."""
    return dataclasses.asdict(config)


def _recipe(path: str | Path) -> Path:
    file = Path(path)
    if file.is_file():
        return file
    if not file.suffix and (named := shipped(f"configs/{file}.yaml")).exists():
        return named
    recipes = [recipe.relative_to(shipped("configs")).with_suffix("") for recipe in shipped("configs").rglob("*.yaml")]
    known = [recipe.as_posix() for recipe in sorted(recipes, key=lambda one: (len(one.parts), one))]
    raise MotionganError(f"{path}: no such configuration; give a YAML file or one of {', '.join(known)}")


def _read_yaml(file: Path) -> Iterator[tuple[str, Any, int]]:
    """Dotted key, value and line of every leaf of a YAML file."""
    try:
        root = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        raise MotionganError(f"{file}:{line}: not valid YAML: {getattr(error, 'problem', error)}") from None
    if root is None:
        return
    if not isinstance(root, yaml.MappingNode):
        raise MotionganError(f"{file}:1: expected `key: value` lines")
    yield from _yaml_leaves(root, "")


def _yaml_leaves(node: yaml.MappingNode, prefix: str) -> Iterator[tuple[str, Any, int]]:
    for key_node, value_node in node.value:
        key = prefix + str(key_node.value)
        if isinstance(value_node, yaml.MappingNode):
            yield from _yaml_leaves(value_node, key + ".")
        else:
            value = yaml.safe_load(yaml.serialize(value_node))
            yield key, _number(value), key_node.start_mark.line + 1


def _number(value: Any) -> Any:
    """YAML 1.1 reads 1e-4 as text (it wants 1.0e-4); people mean the number."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, child in value.items():
            yield from _leaves(f"{key}.{name}", child)
    else:
        yield key, value


def _put(values: dict[str, Any], places: dict[str, str], schema: type, key: str, value: Any, place: str) -> None:
    """Store `value` under the dotted `key`, after checking that the schema knows it."""
    names, node = key.split("."), schema
    for depth, name in enumerate(names):
        known = get_type_hints(node) if dataclasses.is_dataclass(node) else {}
        if name not in known:
            every = list(_known_keys(schema))
            # A key given without its group is nearest by its last name, a misspelt one in full.
            same_name = meant(k for k in every if k.endswith(f".{names[-1]}"))
            hint = (same_name if len(names) == 1 else "") or did_you_mean(key, every) or same_name
            hint = hint or f"; known: {', '.join(every)}"
            raise MotionganError(f"{place}: unknown option `{key}`{hint}")
        node = known[name]
        if dataclasses.is_dataclass(node) and depth == len(names) - 1:
            raise MotionganError(f"{place}: `{key}` is a group of options; set one of its fields")
    if get_origin(node) is tuple and not isinstance(value, list):  # data.actions=run,walk as well as [run, walk]
        value = [part.strip() for part in value.split(",")] if isinstance(value, str) else [value]
    for name in names[:-1]:
        values = values.setdefault(name, {})
    values[names[-1]] = value
    places[key] = place


def _known_keys(schema: type, prefix: str = "") -> Iterator[str]:
    for name, kind in get_type_hints(schema).items():
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            yield from _known_keys(kind, f"{prefix}{name}.")
        else:
            yield prefix + name


def _strict(schema: type[C]) -> type[C]:
    """The dataclass and those within it, told to refuse unknown keys."""
    if not hasattr(schema, "__pydantic_config__"):
        schema.__pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[attr-defined]
    for kind in get_type_hints(schema).values():
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            _strict(kind)
    return schema
