"""Tables on disk: numpy's own bytes, read back in blocks, and little memory."""

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from motiongan.rendering.tables import GrowingTable, TableReader, write_value


def pieces() -> list[dict[str, np.ndarray]]:
    """Rows of numbers and texts; a piece without rows, and texts that become longer."""
    random = np.random.default_rng(0)
    return [
        {
            "points": random.standard_normal((rows, 17, 3)).astype(np.float32),
            "seen": random.integers(0, 3, (rows, 17)).astype(np.uint8),
            "text": np.array(["x" * (3 * rows + row) for row in range(rows)], dtype=str),
            "number": np.arange(rows),
        }
        for rows in (2, 0, 900, 5)
    ]


def written(folder: Path) -> Path:
    path = folder / "table.npz"
    table = GrowingTable(folder)
    for piece in pieces():
        table.append(piece)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        write_value(archive, "name", "Łódź")
        write_value(archive, "rate", 29.97)
        table.write(archive)
    table.close()
    return path


def test_a_table_grown_in_pieces_has_the_bytes_that_numpy_gives_the_whole(tmp_path):
    whole = {name: np.concatenate([piece[name] for piece in pieces()]) for name in pieces()[0]}
    expected = io.BytesIO()
    np.savez_compressed(expected, name=np.array("Łódź"), rate=np.array(29.97), **whole)
    assert written(tmp_path).read_bytes() == expected.getvalue()
    assert [path.name for path in tmp_path.iterdir()] == ["table.npz"]


def test_rows_are_read_front_to_back_and_values_at_once(tmp_path):
    path = written(tmp_path)
    with np.load(path) as archive:
        whole = {name: archive[name] for name in pieces()[0]}
    reader = TableReader(path)
    assert reader.values == {"name": "Łódź", "rate": 29.97}
    assert reader.lengths == dict.fromkeys(whole, 907)
    for start, stop in ((0, 3), (3, 3), (3, 500), (500, 907)):
        for name, column in whole.items():
            block = reader.read(name, stop - start)
            assert block.dtype == column.dtype
            assert np.array_equal(block, column[start:stop])
    with pytest.raises(EOFError):
        reader.read("number", 1)
    reader.close()


def test_memory_does_not_grow_with_the_table(tmp_path):
    table = GrowingTable(tmp_path)
    rows = {"numbers": np.zeros((1000, 32))}  # 256 kB
    table.append(rows)
    tracemalloc.start()
    try:
        for _ in range(40):
            table.append(rows)
        with zipfile.ZipFile(tmp_path / "table.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            table.write(archive)
        reader = TableReader(tmp_path / "table.npz")
        assert sum(len(reader.read("numbers", 1000)) for _ in range(41)) == 41_000
        assert tracemalloc.get_traced_memory()[1] < 3e6  # of 10 MB
    finally:
        tracemalloc.stop()
    reader.close()
    table.close()
