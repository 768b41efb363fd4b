"""Tell what a motion file or a model file holds; --check walks through every frame."""

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from motiongan.errors import MotionganError

_PROBLEMS_SHOWN = 20
# Attributes that the first lines of the report already tell.
_TOLD = ("format", "version", "frame_rate", "kind", "body_model", "up_axis")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="motion file (.h5) or model file (.safetensors)")
    parser.add_argument(
        "--check", action="store_true", help="look for faults in every clip; exit status 2 if there are any"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    parser.add_argument(
        "--body", type=Path, metavar="FILE", help="body model for --check (default: the one that comes along)"
    )


def execute(args: argparse.Namespace) -> int:
    if _is_safetensors(args.file):
        if args.check:
            raise MotionganError(f"{args.file}: is a model file; --check is for motion files")
        facts = model_facts(args.file)
        print(json.dumps(facts, indent=2) if args.json else _model_text(facts))
        return 0
    from motiongan.motion.store import MotionFile

    with MotionFile(args.file) as file:
        facts = motion_facts(file)
        problems = _problems(file, args.body) if args.check else iter(())
        shown = list(islice(problems, _PROBLEMS_SHOWN))
        more = sum(1 for _ in problems)
    if args.json:
        if args.check:
            facts["problems"] = {"count": len(shown) + more, "first": shown}
        print(json.dumps(facts, indent=2))
    else:
        print(_motion_text(facts))
        if args.check:
            print("\n".join(["checked", *(f"  {problem}" for problem in shown or ["no problems found"])]))
            if more:
                print(f"  ... and {more} more")
    return 2 if shown else 0


def motion_facts(file: Any) -> dict[str, Any]:
    """What a `MotionFile` holds, as plain values ready for JSON; durations in seconds."""
    import numpy as np

    def group(chosen: Any) -> dict[str, Any]:
        lengths = file.lengths[chosen] / file.frame_rate
        numbers = [float(number) for number in np.quantile(lengths, [0, 0.5, 1])] if len(lengths) else [0.0] * 3
        return {
            "clips": len(lengths),
            "seconds": round(float(lengths.sum()), 3),
            "shortest": round(numbers[0], 3),
            "median": round(numbers[1], 3),
            "longest": round(numbers[2], 3),
        }

    actions = {action: group(file.action_ids == index) for index, action in enumerate(file.actions)}
    subjects = Counter(subject for subject in file.subjects if subject)  # in the order of their first clips
    return {
        "file": str(file.path),
        "bytes": file.path.stat().st_size,
        "kind": file.kind,
        "frame_rate": file.frame_rate,
        "body_model": file.body_model,
        **group(slice(None)),
        "actions": actions,
        "unlabelled": group(file.action_ids < 0),
        "subjects": dict(subjects),
        "quality": {name: _score_facts(file, name) for name in sorted(file.quality, key=_place_of_score)},
        "attributes": {name: value for name, value in file.attributes.items() if _is_plain(value)},
    }


def _score_facts(file: Any, name: str) -> dict[str, Any]:
    """Unit and 5 %, 50 % and 95 % quantiles of a score over the clips that have it."""
    import numpy as np

    known = file.quality[name][~np.isnan(file.quality[name])]
    low, median, high = np.quantile(known, [0.05, 0.5, 0.95]).tolist() if len(known) else [None] * 3
    return {"unit": file.quality_units[name], "clips": len(known), "low": low, "median": median, "high": high}


def _place_of_score(name: str) -> tuple[int, str]:
    from motiongan.motion.clip import SCORE_UNITS

    return (list(SCORE_UNITS).index(name) if name in SCORE_UNITS else len(SCORE_UNITS)), name


def model_facts(path: Path) -> dict[str, Any]:
    """What a safetensors file holds: its metadata (JSON values unfolded) and the size of its tensors."""
    import math

    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            sizes = [math.prod(file.get_slice(name).get_shape()) for name in file.keys()]  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError) as error:
        raise MotionganError(f"{path}: not a readable model file ({error}); train it again or copy it again") from None
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "parameters": sum(sizes),
        "tensors": len(sizes),
        "metadata": {name: _unfold(value) for name, value in metadata.items()},
    }


def _problems(file: Any, body_path: Path | None) -> Iterator[str]:
    from motiongan.body.smpl import load_body
    from motiongan.motion.check import find_problems

    body = load_body(body_path)

    def skeleton(betas: Any) -> Any:
        # Betas belong to one body model: on another one they would make up limbs. The mean body serves then.
        return body.skeleton(betas if body.name == file.body_model else betas * 0)

    return find_problems(file, skeleton)


def _motion_text(facts: dict[str, Any]) -> str:
    rows = [*facts["actions"].items()]
    rows += [("(no label)", facts["unlabelled"])] if facts["unlabelled"]["clips"] else []
    width = max((len(name) for name, _ in rows), default=6)
    lines = [
        f"{facts['file']}: {facts['clips']} {facts['kind']} clips, {facts['seconds'] / 60:.1f} minutes"
        f" at {facts['frame_rate']:g} Hz, body model {facts['body_model']}, {facts['bytes'] / 1e6:.1f} MB",
        f"  {'action':<{width}}  clips  minutes  seconds per clip (shortest, median, longest)",
    ]
    for name, row in rows:
        lines.append(
            f"  {name:<{width}}  {row['clips']:5d}  {row['seconds'] / 60:7.1f}"
            f"  {row['shortest']:.1f}  {row['median']:.1f}  {row['longest']:.1f}"
        )
    subjects = facts["subjects"]
    named = ", ".join([*islice(subjects, 8)] + (["..."] if len(subjects) > 8 else []))
    lines.append(f"subjects: {len(subjects)}" + (f" ({named})" if subjects else ""))
    lines += _score_lines(facts["quality"])
    lines += [f"{name}: {_shortened(str(value))}" for name, value in facts["attributes"].items() if name not in _TOLD]
    return "\n".join(lines)


def _score_lines(scores: dict[str, dict[str, Any]]) -> list[str]:
    if not scores:
        return []
    width = max(map(len, scores))
    lines = [f"  {'score':<{width}}  clips  5 %, median and 95 % of them, unit"]
    for name, row in scores.items():
        values = "  ".join("-" if row[which] is None else f"{row[which]:.3g}" for which in ("low", "median", "high"))
        unit = "" if row["unit"] == "1" else f"  {row['unit']}"
        lines.append(f"  {name:<{width}}  {row['clips']:5d}  {values}{unit}")
    return lines


def _model_text(facts: dict[str, Any]) -> str:
    size = f"{facts['parameters']:,} parameters in {facts['tensors']} tensors, {facts['bytes'] / 1e6:.1f} MB"
    lines = [f"{facts['file']}: {size}"]
    lines += _indented(facts["metadata"], "")
    return "\n".join(lines)


def _indented(values: dict[str, Any], margin: str) -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield f"{margin}{name}:"
            yield from _indented(value, margin + "  ")
        else:
            text = json.dumps(value) if isinstance(value, (dict, list)) else str(value)
            yield f"{margin}{name}: {_shortened(text)}"


def _shortened(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:180]}... (--json prints it all)"


def _unfold(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _is_plain(value: Any) -> bool:
    return isinstance(value, (str, int, float, bool))


def _is_safetensors(path: Path) -> bool:
    """True for a file that begins as safetensors do: eight bytes of header length, then the header's JSON."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        start = file.read(9)
    return len(start) == 9 and start[8:] == b"{" and int.from_bytes(start[:8], "little") < 100_000_000
