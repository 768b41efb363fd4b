"""WebDataset shards: tar files whose samples hold a frame's picture, masks, depth and annotations.

Made of a run's finished clips, in an order shuffled from a seed, because such shards are read from front to back. The
same run gives the same bytes.
"""

import io
import json
import tarfile
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from motiongan.errors import MotionganError
from motiongan.files import whole_file
from motiongan.rendering.bedlam import Record, find_records, read_blocks
from motiongan.rendering.coco import image_entry, person_entry
from motiongan.rendering.images import MASKS

FOLDER = "shards"


def write_shards(
    folder: str | Path, *, generator: np.random.Generator, samples_per_shard: int = 1000, kinds: Iterable[str] = MASKS
) -> list[Path]:
    """Pack the frames of a run's complete clips into `shards/shard-000000.tar` and so on; their paths.

    kinds   which pictures come along besides the colour image
    A sample is `KEY.png` (or the colour image's own suffix), `KEY.json` and `KEY.KIND.png`. The JSON holds
    `image` and `annotations` as in coco.json, with numbers (id) of their own in the sample.
    """
    folder = Path(folder)
    records = find_records(folder)
    if not records:
        raise MotionganError(f"{folder}: no annotations in it; nothing was rendered to its end")
    shards = []
    # The annotations of all samples wait on disk, in a file without a name: memory holds where each begins.
    with tempfile.TemporaryFile(dir=folder, prefix=".", suffix=".part") as annotations:
        places = array("q", [0])
        for record in read_blocks(records):
            for index in range(record.num_images):
                content = json.dumps(sample(record, index), ensure_ascii=False, allow_nan=False).encode()
                places.append(places[-1] + annotations.write(content))
        order = generator.permutation(len(places) - 1)
        for number, start in enumerate(range(0, len(order), samples_per_shard)):
            path = folder / FOLDER / f"shard-{number:06d}.tar"
            with whole_file(path) as temporary, tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
                for chosen in order[start : start + samples_per_shard]:
                    annotations.seek(places[chosen])
                    content = annotations.read(places[chosen + 1] - places[chosen])
                    for name, data in _members(folder, content, kinds):
                        entry = tarfile.TarInfo(name)  # owner and time stay 0: equal bytes whenever, wherever
                        entry.size = len(data)
                        tar.addfile(entry, io.BytesIO(data))
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


def _members(folder: Path, annotations: bytes, kinds: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Names and contents of a sample's files. WebDataset takes the name up to its first point for the sample's key."""
    entry = json.loads(annotations)["image"]
    image = PurePosixPath(entry["file_name"])
    key = f"{image.parent.name}_{image.stem}".replace(".", "-")
    yield f"{key}{image.suffix}", _read(folder / image)
    yield f"{key}.json", annotations
    for kind in kinds:
        yield f"{key}.{kind}.png", _read(folder / entry[f"{kind}_file"])


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise MotionganError(f"{path}: missing, though its clip is complete; shards need the frames as images")
    return path.read_bytes()
