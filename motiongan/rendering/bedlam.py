"""One .npz for every scene and view, in BEDLAM's layout with our columns added: the record all other files come from.

A row is one person in one frame. BEDLAM (Black et al. 2023) names the columns and sets their rules:
vertices in the camera's frame = body(pose_cam, trans_cam, shape) + cam_ext[:3, 3].
"""

import json
import sys
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from motiongan.body.smpl import Body
from motiongan.errors import MotionganError
from motiongan.files import whole_file
from motiongan.rendering.annotations import annotate
from motiongan.rendering.frames import PersonTrack, RenderedClip
from motiongan.rendering.keypoints import Keypoints
from motiongan.rendering.tables import GrowingTable, TableReader, write_value

FORMAT = "motiongan.annotations"
VERSION = 1
FOLDER = "annotations"
_FRAMES_AT_ONCE = 256  # read of a record: about 2 MB for each person


class RecordWriter:
    """Gathers the annotations of one scene and view on disk and writes its record when the clip is complete.

    folder   of the run; the record is `annotations/00003_run_view0.npz` below it
    Memory holds the annotations of one piece only, however long the clip is.
    """

    def __init__(self, folder: str | Path, keypoints: Keypoints, body: Body) -> None:
        self.folder = Path(folder)
        self.keypoints = keypoints
        self.body = body
        self._images, self._people = GrowingTable(folder), GrowingTable(folder)
        self._num_frames = 0
        self._facts: dict[str, Any] = {}

    def write(self, piece: RenderedClip) -> None:
        """Annotate the next frames."""
        if not self._facts:
            self._facts = _facts(piece, self.keypoints, self.body)
        assert piece.stem == self._facts["stem"], f"{piece.stem} after {self._facts['stem']}: one writer for each view"
        annotations = annotate(piece, self.keypoints, self.body)
        annotations.people["image"] += self._num_frames  # counted from the clip's first frame, not the piece's
        self._images.append(annotations.images)
        self._people.append(annotations.people)
        self._num_frames += len(piece.buffers)

    def close(self) -> None:
        """Write the record."""
        assert self._num_frames, "a record needs at least one frame"
        with (
            whole_file(record_path(self.folder, self._facts["stem"])) as temporary,
            zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            for name, value in self._facts.items():
                write_value(archive, name, value)
            self._images.write(archive)
            self._people.write(archive)
        self.discard()

    def discard(self) -> None:
        """Let go of what was gathered; nothing to do after `close`."""
        self._images.close()
        self._people.close()


@dataclass(frozen=True, eq=False)
class Record:
    """A record read back, or some consecutive frames of it: facts of the scene and view, and its columns.

    facts    name -> value: stem, name, view, width, height, frame_rate, background, draws, body_model, ...
    columns  name -> array; those of frames begin with `image_`, the others have a row for each person and frame;
             `image` counts from the first frame that was read
    start    the number of that frame among the record's frames
    """

    path: Path
    facts: dict[str, Any]
    columns: dict[str, ndarray]
    start: int = 0

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
        return keypoint_names(self.facts)


def record_path(folder: str | Path, stem: str) -> Path:
    """Where the record of a scene and view stands; it exists only when the clip is complete."""
    return Path(folder) / FOLDER / f"{stem}.npz"


def is_complete(folder: str | Path, stem: str) -> bool:
    """True when all frames of a scene and view were written, so that a resumed run leaves it alone."""
    return record_path(folder, stem).is_file()


def find_records(folder: str | Path) -> list[Path]:
    """The records below a run's folder, by name."""
    return sorted(path for path in (Path(folder) / FOLDER).glob("*.npz") if not path.name.startswith("."))


def keypoint_names(facts: Mapping[str, Any]) -> dict[str, list[str]]:
    """Names of the points of each set, in order, from a record's facts."""
    return {name: list(names) for name, names in json.loads(facts["keypoint_names"]).items()}


def read_record(path: str | Path) -> Record:
    """Read one record as a whole. Raises MotionganError where the file is damaged or of another kind."""
    (record,) = _blocks(Path(path), sys.maxsize)
    return record


def read_blocks(paths: Iterable[str | Path], *, frames: int = _FRAMES_AT_ONCE) -> Iterator[Record]:
    """Records one after another, each in blocks of consecutive frames, so that a long clip takes no more memory."""
    for path in paths:
        yield from _blocks(Path(path), frames)


def read_facts(path: str | Path) -> tuple[dict[str, Any], int]:
    """The facts of a record and the number of its frames."""
    path = Path(path)
    with _complaining(path), closing(TableReader(path)) as reader:
        return _checked(path, reader), reader.lengths["image_frame"]


def _blocks(path: Path, frames: int) -> Iterator[Record]:
    with _complaining(path), closing(TableReader(path)) as reader:
        facts, num_images = _checked(path, reader), reader.lengths["image_frame"]
        image = reader.read("image", reader.lengths["image"])
        others = [name for name in reader.lengths if name != "image"]
        for start in range(0, max(num_images, 1), frames):
            stop = min(start + frames, num_images)
            first, last = np.searchsorted(image, (start, stop)).tolist()
            rows = {name: stop - start if name.startswith("image_") else last - first for name in others}
            columns = {name: reader.read(name, rows[name]) for name in others}
            yield Record(path, facts, {"image": image[first:last] - start, **columns}, start)


@contextmanager
def _complaining(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise MotionganError(f"{path}: not a readable annotation file ({error}); remove it and resume") from None


def _checked(path: Path, reader: TableReader) -> dict[str, Any]:
    facts = reader.values
    if str(facts.get("format", "")) != FORMAT:
        raise MotionganError(f"{path}: not an annotation file of `motiongan render`; remove it and resume")
    if facts["version"] > VERSION:
        raise MotionganError(
            f"{path}: annotation version {facts['version']}, this motiongan reads up to {VERSION}; update it"
        )
    return facts


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
