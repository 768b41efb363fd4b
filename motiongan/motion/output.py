"""The file beside the target that HDF5 writes into: a full disk is noted here, never told to HDF5.

The HDF5 library (1.14 and 2.0) crashes the process when it cannot write its caches while closing a file, which is
exactly what happens on a full disk. It is therefore given this Python file, which keeps the little that no longer
fits in memory until HDF5 has closed, and lets the writer ask for the error.
"""

import io
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any


@contextmanager
def signals_wait() -> Iterator[None]:
    """Ctrl-C and SIGTERM take effect when the block ends.

    HDF5 calls back into Python: an exception raised there by a signal would leave its file in no known state.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals only ever reach the main thread
        return
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        for late in received:
            signal.raise_signal(late)


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
