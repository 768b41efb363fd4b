"""Tables longer than memory: grown on disk piece by piece, kept as .npz files, read back block by block."""

import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy import ndarray

_PIECE_HEAD = 2 * 8  # bytes before each piece of a column: its rows, and the bytes of an item, which differ for texts


class GrowingTable:
    """A table that is appended to, then written into an .npz column by column.

    folder   on whose disk the rows wait. A column waits in a file without a name, which the system removes with the
             process, even with a killed one.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self._columns: dict[str, _Column] = {}

    def append(self, rows: Mapping[str, ndarray]) -> None:
        """Add rows. They have the same columns every time; texts may become longer."""
        if not self._columns:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._columns = {name: _Column(self._folder, values) for name, values in rows.items()}
        assert list(rows) == list(self._columns), "every piece has the same columns"
        for name, values in rows.items():
            self._columns[name].append(values)

    def write(self, archive: zipfile.ZipFile) -> None:
        """Write every column, with the bytes that `numpy.savez_compressed` gives for it as a whole."""
        for name, column in self._columns.items():
            with _new_array(archive, name, column.dtype, (column.num_rows, *column.shape)) as file:
                for values in column.pieces():
                    file.write(values.tobytes())

    def close(self) -> None:
        """Let go of the rows."""
        for column in self._columns.values():
            column.close()
        self._columns = {}


class _Column:
    def __init__(self, folder: Path, values: ndarray) -> None:
        self.num_rows, self.dtype, self.shape = 0, values.dtype, values.shape[1:]
        # Where the system knows no files without a name, a killed process leaves one that `remove_leftovers` finds.
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder, prefix=".", suffix=".part")  # noqa: SIM115 (close)

    def append(self, values: ndarray) -> None:
        assert not values.dtype.hasobject, "an array of objects would need pickle"
        assert (values.dtype.kind, values.shape[1:]) == (self.dtype.kind, self.shape), "columns keep type and shape"
        self.dtype = np.promote_types(self.dtype, values.dtype)
        self.num_rows += len(values)
        self._file.write(np.array([len(values), values.itemsize], np.int64).tobytes() + values.tobytes())

    def pieces(self) -> Iterator[ndarray]:
        """The rows as they were appended, in the type that holds all of them."""
        self._file.seek(0)
        while head := self._file.read(_PIECE_HEAD):
            num_rows, item = np.frombuffer(head, np.int64).tolist()
            dtype = np.dtype(f"{self.dtype.str[:2]}{item // 4}") if self.dtype.kind == "U" else self.dtype
            data = self._file.read(num_rows * item * int(np.prod(self.shape)))
            yield np.frombuffer(data, dtype).reshape(num_rows, *self.shape).astype(self.dtype, copy=False)

    def close(self) -> None:
        self._file.close()


def write_value(archive: zipfile.ZipFile, name: str, value: Any) -> None:
    """Write a single value into an .npz, with the bytes that `numpy.savez_compressed` gives."""
    array = np.array(value)
    assert not array.dtype.hasobject, "an object would need pickle"
    with _new_array(archive, name, array.dtype, ()) as file:
        file.write(array.tobytes())


def _new_array(archive: zipfile.ZipFile, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> Any:
    file = archive.open(f"{name}.npy", "w", force_zip64=True)  # as numpy does
    descr = np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file


class TableReader:
    """An open .npz: single values at once, columns from front to back.

    values    name -> single value
    lengths   name -> rows of the column
    Raises ValueError, EOFError, OSError, zipfile.BadZipFile or zlib.error where the file is damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.values: dict[str, Any] = {}
        self.lengths: dict[str, int] = {}
        self._streams: dict[str, tuple[IO[bytes], np.dtype, tuple[int, ...]]] = {}
        self._archive = zipfile.ZipFile(path)
        try:
            for entry in self._archive.namelist():
                self._open(entry)
        except BaseException:
            self.close()
            raise

    def _open(self, entry: str) -> None:
        stream, name = self._archive.open(entry), entry.removesuffix(".npy")
        np.lib.format.read_magic(stream)
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        if dtype.hasobject or (is_fortran and len(shape) > 1):
            raise ValueError(f"{name}: an array of another kind")
        if shape:
            self._streams[name], self.lengths[name] = (stream, dtype, shape[1:]), shape[0]
        else:
            with stream:
                self.values[name] = np.frombuffer(_exactly(stream, dtype.itemsize), dtype)[0].item()

    def read(self, name: str, num_rows: int) -> ndarray:
        """The next rows of a column."""
        stream, dtype, shape = self._streams[name]
        size = num_rows * dtype.itemsize * int(np.prod(shape))
        return np.frombuffer(_exactly(stream, size), dtype).reshape(num_rows, *shape)

    def close(self) -> None:
        for stream, _, _ in self._streams.values():
            stream.close()
        self._archive.close()


def _exactly(stream: Any, size: int) -> bytes:
    data: bytes = stream.read(size)
    if len(data) < size:
        raise EOFError("it ends early")
    return data
