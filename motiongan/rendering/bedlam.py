"""One .npz for every scene and view, in BEDLAM's layout with our columns added: the record all other files come from.

A row is one person in one frame. BEDLAM (Black et al. 2023) names the columns and sets their rules:
vertices in the camera's frame = body(pose_cam, trans_cam, shape) + cam_ext[:3, 3].
"""

import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from motiongan.body.smpl import Body
from motiongan.errors import MotionganError
from motiongan.files import whole_file
from motiongan.rendering.annotations import Annotations, annotate
from motiongan.rendering.frames import PersonTrack, RenderedClip
from motiongan.rendering.keypoints import Keypoints

FORMAT = "motiongan.annotations"
VERSION = 1
FOLDER = "annotations"


class RecordWriter:
    """Gathers the annotations of one scene and view and writes its record when the clip is complete.

    folder   of the run; the record is `annotations/00003_run_view0.npz` below it
    Memory holds the annotations of this clip only, never its pictures.
    """

    def __init__(self, folder: str | Path, keypoints: Keypoints, body: Body) -> None:
        self.folder = Path(folder)
        self.keypoints = keypoints
        self.body = body
        self._pieces: list[Annotations] = []
        self._num_frames = 0
        self._facts: dict[str, Any] = {}

    def write(self, piece: RenderedClip) -> None:
        """Annotate the next frames."""
        if not self._facts:
            self._facts = _facts(piece, self.keypoints, self.body)
        assert piece.stem == self._facts["stem"], f"{piece.stem} after {self._facts['stem']}: one writer for each view"
        annotations = annotate(piece, self.keypoints, self.body)
        annotations.people["image"] += self._num_frames  # counted from the clip's first frame, not the piece's
        self._pieces.append(annotations)
        self._num_frames += len(piece.buffers)

    def close(self) -> None:
        """Write the record."""
        assert self._pieces, "a record needs at least one frame"
        arrays = {name: np.array(value) for name, value in self._facts.items()}
        arrays |= _joined([piece.images for piece in self._pieces]) | _joined([piece.people for piece in self._pieces])
        assert all(array.dtype != object for array in arrays.values()), "an array of objects would need pickle"
        with whole_file(record_path(self.folder, self._facts["stem"])) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # its own option `allow_pickle` is a name too
        self._pieces = []


@dataclass(frozen=True, eq=False)
class Record:
    """A record read back: facts of the scene and view, and its columns.

    facts    name -> value: stem, name, view, width, height, frame_rate, background, draws, body_model, ...
    columns  name -> array; those of frames begin with `image_`, the others have a row for each person and frame
    """

    path: Path
    facts: dict[str, Any]
    columns: dict[str, ndarray]

    @property
    def num_images(self) -> int:
        return len(self.columns["image_frame"])

    @property
    def num_people(self) -> int:
        """Rows: people that are seen, over all frames."""
        return len(self.columns["person"])

    @property
    def keypoint_names(self) -> dict[str, list[str]]:
        """Names of the points of each set, in order."""
        return {name: list(names) for name, names in json.loads(self.facts["keypoint_names"]).items()}


def record_path(folder: str | Path, stem: str) -> Path:
    """Where the record of a scene and view stands; it exists only when the clip is complete."""
    return Path(folder) / FOLDER / f"{stem}.npz"


def is_complete(folder: str | Path, stem: str) -> bool:
    """True when all frames of a scene and view were written, so that a resumed run leaves it alone."""
    return record_path(folder, stem).is_file()


def find_records(folder: str | Path) -> list[Path]:
    """The records below a run's folder, by name."""
    return sorted(path for path in (Path(folder) / FOLDER).glob("*.npz") if not path.name.startswith("."))


def read_records(folder: str | Path) -> Iterator[Record]:
    """The records below a run's folder, one after another."""
    return map(read_record, find_records(folder))


def read_record(path: str | Path) -> Record:
    """Read one record. Raises MotionganError where the file is damaged or of another kind."""
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise MotionganError(f"{path}: not a readable annotation file ({error}); remove it and resume") from None
    if str(arrays.get("format", "")) != FORMAT:
        raise MotionganError(f"{path}: not an annotation file of `motiongan render`; remove it and resume")
    if int(arrays["version"]) > VERSION:
        raise MotionganError(
            f"{path}: annotation version {arrays['version']}, this motiongan reads up to {VERSION}; update it"
        )
    facts = {name: array.item() for name, array in arrays.items() if array.ndim == 0}
    return Record(path, facts, {name: array for name, array in arrays.items() if array.ndim > 0})


def _facts(piece: RenderedClip, keypoints: Keypoints, body: Body) -> dict[str, Any]:
    names: Mapping[str, Any] = {name: keypoints.names[points] for name, points in keypoints.sets.items()}
    return {
        "format": FORMAT,
        "version": VERSION,
        "stem": piece.stem,
        "scene": piece.name,
        "view": piece.view,
        "width": piece.camera.width,
        "height": piece.camera.height,
        "frame_rate": float(piece.frame_rate),
        "background": piece.background,
        "body_model": body.name,
        "keypoint_names": json.dumps(names),
        "people": json.dumps([_identity(number, track) for number, track in enumerate(piece.people, start=1)]),
        "draws": json.dumps(piece.draws, allow_nan=False),
    }


def _identity(number: int, track: PersonTrack) -> dict[str, Any]:
    return {
        "person": number,
        "clip": track.clip,
        "action": track.action,
        "seed": track.seed,
        "subject": track.subject,
        "gender": track.gender,
        "betas": [round(float(beta), 6) for beta in track.betas],
    }


def _joined(tables: list[dict[str, ndarray]]) -> dict[str, ndarray]:
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
