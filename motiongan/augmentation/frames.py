"""Frames of motion files for worker processes: opened where they are read, with memory that does not grow."""

import hashlib
import mmap
import os
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from motiongan.body.skeleton import NUM_JOINTS
from motiongan.errors import MotionganError
from motiongan.files import whole_file
from motiongan.motion.store import OpenMotionFile

POSE_NUMBERS = NUM_JOINTS * 3
FRAME_BYTES = (POSE_NUMBERS + 3) * 4  # of poses and trans
_BLOCK = 128  # frames read at once: a chunk of the motion file
_CLIP_BLOCK = 4096  # clips whose betas are read at once
_COPY_STEP = 65536  # frames copied at once
_CARRIED = ("paths", "num_frames", "states", "cache_mb", "copies")  # what a pickled reader is


class FrameReader:
    """Reads frames and betas of some motion files. Safe to pickle, and to use before and after a fork.

    num_frames  of each file
    cache_mb    of decoded frames kept, at most. Files that fit whole are shared with forked workers: what one process
                has decoded, the others need not. Of larger files, each process keeps the blocks that it read last
    copies      for each file its uncompressed copy (`uncompressed_copy`), or None
    Each process opens the files at its first read. A fork closes them first, since HDF5 does not survive one.
    """

    def __init__(
        self,
        paths: tuple[Path, ...],
        num_frames: tuple[int, ...],
        *,
        cache_mb: float,
        copies: tuple[Path | None, ...],
    ) -> None:
        self.paths, self.num_frames, self.cache_mb, self.copies = paths, num_frames, cache_mb, copies
        self.states = tuple(_state(path) for path in paths)
        self._start()

    def _start(self) -> None:
        self._shared: dict[int, _SharedFrames] = {}
        left = self.cache_mb * 1e6
        for file, frames in enumerate(self.num_frames):
            size = frames * FRAME_BYTES
            if self.copies[file] is None and 0 < size <= left:
                self._shared[file] = _SharedFrames(frames)
                left -= size
        self._blocks_kept = max(2, int(left / (_BLOCK * FRAME_BYTES)))
        self._forget()
        _READERS.add(self)

    def _forget(self) -> None:
        self._files: dict[int, OpenMotionFile] = {}
        self._descriptors: dict[int, int] = {}
        self._blocks: OrderedDict[tuple[int, int], tuple[ndarray, ...]] = OrderedDict()
        self._process = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _CARRIED}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start()

    def close(self) -> None:
        """Close what is open here; the next read opens it again."""
        for file in self._files.values():
            file.close()
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._files, self._descriptors = {}, {}

    def __del__(self) -> None:
        if getattr(self, "_process", None) == os.getpid():
            self.close()

    def read(
        self,
        files: Sequence[int],
        starts: Sequence[int],
        counts: Sequence[int],
        poses: Float32[ndarray, "windows frames 72"],
        trans: Float32[ndarray, "windows frames 3"],
    ) -> None:
        """Fill the first `counts` frames of each window with those of its file from its start on.

        Raises MotionganError where a file is damaged there, or another than the one that was indexed.
        """
        if self._process != os.getpid():
            self._forget()
        for file, start, count, to_poses, to_trans in zip(files, starts, counts, poses, trans):
            if count < len(to_poses):
                to_poses, to_trans = to_poses[:count], to_trans[:count]
            read = self._read_file if self.copies[file] is None else self._read_copy
            read(file, start, to_poses, to_trans)

    def _read_file(self, file: int, start: int, poses: ndarray, trans: ndarray) -> None:
        stop = start + len(poses)
        shared = self._shared.get(file)
        if shared is not None:
            for number in range(start // _BLOCK, (stop - 1) // _BLOCK + 1):
                if not shared.ready[number]:
                    shared.keep(number, *self._load(file, number))
            poses[:] = shared.poses[start:stop]
            trans[:] = shared.trans[start:stop]
            return
        done = 0
        while start + done < stop:
            number, first = divmod(start + done, _BLOCK)
            block_poses, block_trans = self._block(file, number)
            take = min(stop - start - done, len(block_trans) - first)
            poses[done : done + take] = block_poses[first : first + take]
            trans[done : done + take] = block_trans[first : first + take]
            done += take

    def betas(self, file: int, clip: int) -> Float32[ndarray, "10"]:
        """Body shape of a clip."""
        if self._process != os.getpid():
            self._forget()
        number, row = divmod(clip, _CLIP_BLOCK)
        return np.asarray(self._block(file, -1 - number)[0][row])

    def _block(self, file: int, number: int) -> tuple[ndarray, ...]:
        """A block of poses and trans, or for a number below 0 of betas; from memory where it was read before."""
        key = (file, number)
        block = self._blocks.get(key)
        if block is not None:
            self._blocks.move_to_end(key)
            return block
        block = self._load(file, number)
        self._blocks[key] = block
        while len(self._blocks) > self._blocks_kept:
            self._blocks.popitem(last=False)
        return block

    def _load(self, file: int, number: int) -> tuple[ndarray, ...]:
        if file not in self._files:
            self._files[file] = self._open(file)
        opened = self._files[file]
        try:
            if number < 0:
                first = (-1 - number) * _CLIP_BLOCK
                return (np.asarray(opened.dataset("clips/betas")[first : first + _CLIP_BLOCK], dtype=np.float32),)
            return _frames(opened, number * _BLOCK, (number + 1) * _BLOCK)
        except OSError as error:
            what = f"frames from {number * _BLOCK}" if number >= 0 else "clips/betas"
            raise MotionganError(f"{self.paths[file]}: damaged {what} ({' '.join(str(error).split())})") from None

    def _open(self, file: int) -> OpenMotionFile:
        """The motion file, which must still be the one whose clips were indexed: other frames would stand for them."""
        path = self.paths[file]
        opened = OpenMotionFile(path)
        if opened.num_frames != self.num_frames[file] or _state(path) != self.states[file]:
            opened.close()
            raise MotionganError(f"{path}: changed since it was indexed; make the data set again")
        return opened

    def _read_copy(self, file: int, start: int, poses: ndarray, trans: ndarray) -> None:
        descriptor = self._descriptors.get(file)
        if descriptor is None:
            descriptor = self._open_copy(file)
        first_trans = self.num_frames[file] * POSE_NUMBERS * 4
        read = os.preadv(descriptor, [poses.data], start * POSE_NUMBERS * 4)
        read += os.preadv(descriptor, [trans.data], first_trans + start * 3 * 4)
        if read != len(poses) * FRAME_BYTES:
            raise MotionganError(f"{self.copies[file]}: cut off; remove it, and it is made again")

    def _open_copy(self, file: int) -> int:
        path = self.copies[file]
        assert path is not None
        try:
            self._descriptors[file] = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        except OSError as error:
            raise MotionganError(f"{path}: {str(error.strerror).lower()}; make the data set again") from None
        return self._descriptors[file]


class _SharedFrames:
    """Decoded frames of a file in memory that forked processes share, filled block by block as they are read.

    Anonymous memory, not /dev/shm, which containers keep small. Two processes may decode the same block: they write the
    same numbers, and the block's flag after them.
    """

    def __init__(self, frames: int) -> None:
        memory = mmap.mmap(-1, frames * FRAME_BYTES)
        numbers = np.frombuffer(memory, np.float32)
        self.poses = numbers[: frames * POSE_NUMBERS].reshape(frames, POSE_NUMBERS)
        self.trans = numbers[frames * POSE_NUMBERS :].reshape(frames, 3)
        self.ready = np.frombuffer(mmap.mmap(-1, -(-frames // _BLOCK)), np.uint8)

    def keep(self, number: int, poses: ndarray, trans: ndarray) -> None:
        rows = slice(number * _BLOCK, number * _BLOCK + len(trans))
        self.poses[rows], self.trans[rows] = poses, trans
        self.ready[number] = 1


# Readers of this process, which a fork must find closed.
_READERS: "weakref.WeakSet[FrameReader]" = weakref.WeakSet()


def _close_readers() -> None:
    for reader in list(_READERS):
        reader.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_close_readers)


def uncompressed_copy(path: Path, folder: Path) -> Path:
    """A file of the motion file's frames alone, uncompressed (300 bytes a frame), made in `folder` where it is missing.

    All poses, then all trans. Its name holds path, size and time of the motion file, so that a changed motion file gets
    a new copy.
    """
    size, time = _state(path)
    mark = hashlib.sha256(f"{path.resolve()} {size} {time}".encode()).hexdigest()[:16]
    target = folder / f"{path.stem}.{mark}.frames"
    with OpenMotionFile(path) as file:
        if target.exists() and target.stat().st_size == file.num_frames * FRAME_BYTES:
            return target
        try:
            with whole_file(target) as temporary, open(temporary, "wb") as copy:
                for name in ("poses", "trans"):
                    for start in range(0, file.num_frames, _COPY_STEP):
                        copy.write(np.asarray(file.dataset(name)[start : start + _COPY_STEP], np.float32).tobytes())
        except OSError as error:
            raise MotionganError(f"{target}: {' '.join(str(error).split())}", exit_code=1) from None
    return target


def _state(path: Path) -> tuple[int, int]:
    """Size and time of a file, by which a changed one is told."""
    state = path.stat()
    return state.st_size, state.st_mtime_ns


def _frames(file: OpenMotionFile, start: int, stop: int) -> tuple[ndarray, ndarray]:
    """Poses (frames, 72) and trans (frames, 3)."""
    poses = np.asarray(file.dataset("poses")[start:stop], dtype=np.float32)
    return poses.reshape(len(poses), POSE_NUMBERS), np.asarray(file.dataset("trans")[start:stop], dtype=np.float32)
