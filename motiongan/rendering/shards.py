"""WebDataset shards: tar files whose samples hold a frame's picture, masks, depth and annotations.

Made of a run's finished clips, in an order shuffled from a seed, because such shards are read from front to back. The
same run gives the same bytes.
"""

import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from motiongan.errors import MotionganError
from motiongan.files import whole_file
from motiongan.rendering.bedlam import Record, find_records, read_record
from motiongan.rendering.coco import image_entry, person_entry
from motiongan.rendering.images import MASKS

FOLDER = "shards"
_RECORDS_AT_HAND = 32  # kept open while samples of many clips are mixed; a record of 100 frames takes about 0.5 MB


def write_shards(
    folder: str | Path, *, generator: np.random.Generator, samples_per_shard: int = 1000, kinds: Iterable[str] = MASKS
) -> list[Path]:
    """Pack the frames of a run's complete clips into `shards/shard-000000.tar` and so on; their paths.

    kinds   which pictures come along besides the colour image
    A sample is `KEY.png` (or the colour image's own suffix), `KEY.json` and `KEY.KIND.png`. The JSON holds
    `image` and `annotations` as in coco.json, with numbers (id) of their own in the sample.
    """
    folder = Path(folder)
    samples = [(path, index) for path in find_records(folder) for index in range(read_record(path).num_images)]
    if not samples:
        raise MotionganError(f"{folder}: no annotations in it; nothing was rendered to its end")
    order = generator.permutation(len(samples))
    records = _RecordCache()
    shards = []
    for number, start in enumerate(range(0, len(order), samples_per_shard)):
        path = folder / FOLDER / f"shard-{number:06d}.tar"
        with whole_file(path) as temporary, tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
            for chosen in order[start : start + samples_per_shard]:
                record_path, index = samples[chosen]
                for name, content in _members(folder, records[record_path], index, kinds):
                    entry = tarfile.TarInfo(name)  # owner and time stay 0: equal bytes whenever, wherever
                    entry.size = len(content)
                    tar.addfile(entry, io.BytesIO(content))
        shards.append(path)
    for old in (folder / FOLDER).glob("shard-*.tar"):  # of an earlier run with more of them
        if old not in shards:
            old.unlink()
    return shards


def sample(record: Record, index: int) -> dict[str, Any]:
    """The annotations of one frame: `image` and `annotations`, entries as in coco.json."""
    rows = np.flatnonzero(record.columns["image"] == index)
    people = [person_entry(record, int(row), 1, number) for number, row in enumerate(rows, start=1)]
    return {"image": image_entry(record, index, 1), "annotations": people}


def _members(folder: Path, record: Record, index: int, kinds: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Names and contents of a sample's files. WebDataset takes the name up to its first point for the sample's key."""
    content = sample(record, index)
    image = PurePosixPath(content["image"]["file_name"])
    key = f"{record.facts['stem']}_{image.stem}".replace(".", "-")
    yield f"{key}{image.suffix}", _read(folder / image)
    yield f"{key}.json", json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
    for kind in kinds:
        yield f"{key}.{kind}.png", _read(folder / content["image"][f"{kind}_file"])


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise MotionganError(f"{path}: missing, though its clip is complete; shards need the frames as images")
    return path.read_bytes()


class _RecordCache:
    """The records used last, read when they are asked for."""

    def __init__(self) -> None:
        self._records: dict[Path, Record] = {}

    def __getitem__(self, path: Path) -> Record:
        record = self._records.pop(path, None) or read_record(path)
        self._records[path] = record  # now the newest
        if len(self._records) > _RECORDS_AT_HAND:
            del self._records[next(iter(self._records))]
        return record
