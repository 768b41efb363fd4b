"""The file beside the target that HDF5 writes into: a full disk is noted here, never told to HDF5.

The HDF5 library (1.14 and 2.0) crashes the process when it cannot write its caches while closing a file, which is
exactly what happens on a full disk. It is therefore given this Python file, which keeps the little that no longer
fits in memory until HDF5 has closed, and lets the writer ask for the error.
"""

import io
import os
from pathlib import Path
from typing import Any


class OutputFile:
    """A binary file that is read and written like any other, whose `error` says why it is not all on the disk.

    path    where to write;  target  the name it will have, for the error
    error   the first OSError of a write, or None; from then on the disk is left alone
    """

    def __init__(self, path: Path, target: Path) -> None:
        self._file = open(path, "w+b", buffering=0)  # noqa: SIM115 (closed by `close`)
        self._position = self._size = 0
        self._kept: list[tuple[int, bytes]] = []  # (position, bytes) that the disk did not take
        self.target = target
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write bytes (any buffer, as HDF5 hands them over) at the current position, whatever the disk says."""
        view = memoryview(data).cast("B")
        if self.error is None:
            try:
                self._file.seek(self._position)
                left = view
                while left:
                    left = left[self._file.write(left) :]
            except OSError as error:
                self.error = error
        if self.error is not None:
            self._kept.append((self._position, bytes(view)))
        self._position += len(view)
        self._size = max(self._size, self._position)
        return len(view)

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer from the current position, also with what the disk did not take; the number of bytes."""
        view = memoryview(buffer).cast("B")
        count = max(0, min(len(view), self._size - self._position))
        self._file.seek(self._position)
        on_disk = 0
        while on_disk < count and (got := self._file.readinto(view[on_disk:count])):
            on_disk += got
        view[on_disk:count] = bytes(count - on_disk)
        for start, data in self._kept:
            first, last = max(start, self._position), min(start + len(data), self._position + count)
            if first < last:
                view[first - self._position : last - self._position] = data[first - start : last - start]
        self._position += count
        return count

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes from the current position; all that is left without a size."""
        buffer = bytearray(max(0, self._size - self._position) if size < 0 else size)
        return bytes(buffer[: self.readinto(buffer)])

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position from the start, the current one or the end."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def truncate(self, size: int | None = None) -> int:
        """Make the file this long; longer is filled with zeros."""
        self._size = self._position if size is None else size
        if self.error is None:
            try:
                self._file.truncate(self._size)
            except OSError as error:
                self.error = error
        return self._size

    def flush(self) -> None:
        """Nothing waits here."""

    def check(self) -> None:
        """Raise the error of a write that the disk did not take, in the target's name."""
        if self.error is not None:
            raise OSError(self.error.errno, self.error.strerror, str(self.target)) from self.error

    def close(self) -> None:
        """Close the file after its bytes have reached the disk; whether they have, `check` tells."""
        if self._file.closed:
            return
        try:
            if self.error is None:
                os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            self.error = self.error or error
