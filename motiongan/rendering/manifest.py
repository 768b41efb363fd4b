"""manifest.json: what a folder of renders was made from and by, so that it can be trusted, licensed and made again."""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from motiongan.body.smpl import DEFAULT_BODY, Body
from motiongan.errors import MotionganError
from motiongan.files import whole_file, write_json
from motiongan.rendering.bedlam import find_records, read_facts

FILE = "manifest.json"
FORMAT = "motiongan.render"
VERSION = 1
PIXEL_RULE = (
    "(0, 0) is the outer corner of the top left pixel, its centre is (0.5, 0.5); "
    "coco.json alone counts points as COCO does, from the centre of that pixel: ours minus 0.5"
)
DEPTH_RULE = "16-bit PNG, millimetres along the camera's z axis; 0 = nothing there, 65535 = 65.535 m or farther"
# The default body's terms are in its file. These bodies' files state none, and their terms are their publisher's.
_LICENCES = {
    "smpl": "SMPL-Model licence of the Max Planck Society (non-commercial research unless bought)",
    "smplh": "MANO/SMPL+H licence of the Max Planck Society (non-commercial research unless bought)",
    "smplx": "SMPL-X licence of the Max Planck Society (non-commercial research unless bought)",
}


@dataclass(frozen=True)
class Source:
    """The motion file: its name, the sha256 of its bytes, and what it says of itself (kind, licence, seed, ...)."""

    file: str
    sha256: str
    attributes: dict[str, Any]


@dataclass(frozen=True)
class BodyFile:
    """The body file: its name, the model whose betas it takes, its licence and the sha256 of its bytes."""

    file: str
    model: str
    licence: str
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What decides the pictures of a run: two runs of equal manifests give equal files.

    options   all choices of the run that change its files (size, views, scene, frames, ...), fit for JSON
    seed      of the run; what was drawn from it stands with each scene
    """

    source: Source
    body: BodyFile
    seed: int
    options: dict[str, Any]


def describe_source(path: str | Path, attributes: Mapping[str, Any]) -> Source:
    """The motion file as the manifest names it; `attributes` as `MotionFile` gives them."""
    return Source(Path(path).name, file_hash(path), {name: _plain(value) for name, value in attributes.items()})


def describe_body(path: str | Path | None, body: Body) -> BodyFile:
    """The body file as the manifest names it; None is the default body."""
    if path is None:
        from importlib import resources

        with resources.as_file(resources.files("motiongan.assets") / DEFAULT_BODY) as default:
            return BodyFile(f"{DEFAULT_BODY} (default)", body.name, _licence(default, body), file_hash(default))
    return BodyFile(Path(path).name, body.name, _licence(Path(path), body), file_hash(path))


def start_manifest(folder: str | Path, manifest: Manifest, *, resume: bool) -> None:
    """Write the manifest of a run that begins, or see that the run to be resumed is the same one.

    Raises MotionganError where the folder holds a run and `resume` was not asked for, or holds another run.
    """
    path = Path(folder) / FILE
    if path.is_file():
        if not resume:
            raise MotionganError(f"{folder}: holds a render already; --resume goes on with it, or give another folder")
        _check_same(path, _content(manifest))
        return
    write_json(path, {**_content(manifest), "complete": False})


def finish_manifest(folder: str | Path, manifest: Manifest) -> None:
    """Write the manifest of a complete run, with every scene: its view, people, seeds and all that was drawn for it.

    The scenes are written one by one, in the form of `write_json`: of many, memory holds one.
    """
    head = json.dumps({**_content(manifest), "complete": True}, indent=2, ensure_ascii=False, allow_nan=False)
    with whole_file(Path(folder) / FILE) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write(head.removesuffix("\n}") + ',\n  "scenes": [')
        for number, path in enumerate(find_records(folder)):
            scene = json.dumps(_scene(*read_facts(path)), indent=2, ensure_ascii=False, allow_nan=False)
            file.write(("," if number else "") + "\n    " + scene.replace("\n", "\n    "))
        file.write("\n  ]\n}\n")


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """The manifest of a run's folder. Raises MotionganError where there is none, or it is damaged."""
    path = Path(folder) / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MotionganError(f"{folder}: no {FILE} in it; not a folder of `motiongan render`") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise MotionganError(f"{path}: not readable JSON ({error})") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise MotionganError(f"{path}: not the manifest of a render (no format = {FORMAT})")
    return content


def file_hash(path: str | Path) -> str:
    """sha256 of a file's bytes, hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _content(manifest: Manifest) -> dict[str, Any]:
    from motiongan import __version__

    return {
        "format": FORMAT,
        "version": VERSION,
        "motiongan": __version__,
        **asdict(manifest),
        "pixel_rule": PIXEL_RULE,
        "depth_rule": DEPTH_RULE,
    }


def _check_same(path: Path, expected: dict[str, Any]) -> None:
    """Raise MotionganError with the first difference between the run on disk and this one."""
    found = _flat(read_manifest(path.parent))
    for name, value in _flat(json.loads(json.dumps(expected))).items():
        if found.get(name) != value:
            raise MotionganError(
                f"{path}: {name} was {found.get(name)!r}, now it is {value!r}; resume with what it was begun with,"
                " or give another folder"
            )


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, with names such as `source.sha256`."""
    flat: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _scene(facts: Mapping[str, Any], num_frames: int) -> dict[str, Any]:
    return {
        "scene": facts["scene"],
        "view": facts["view"],
        "frames": num_frames,
        "background": facts["background"],
        "people": json.loads(facts["people"]),
        "draws": json.loads(facts["draws"]),
    }


def _licence(path: Path, body: Body) -> str:
    """The licence that a body file states (`licence` in an .npz), or its publisher's."""
    if zipfile.is_zipfile(path):  # not the original pickles, which state none
        with np.load(path, allow_pickle=False) as archive:
            if "licence" in archive.files:
                return str(archive["licence"])
    return _LICENCES.get(body.name, "not stated in the file")


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
