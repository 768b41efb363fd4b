"""Windows per second of MotionDataset and GeneratedStream beside a numpy array in memory, and memory on a long file.

    python tools/bench_augmentation.py aug.h5 [--checkpoint runs/first/model.safetensors] [--frames 10000000]

Every source is read by the same DataLoader, shuffled, in batches of 64 windows of 64 frames with poses, trans and
action; workers count together. A figure is taken after one pass over the file, or after half its time where a pass
would take longer, and is the best of some rounds. The long file is made of the given file's compressed chunks over and
over, in a temporary folder (--folder), and read at random places.
"""

import argparse
import itertools
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from motiongan.augmentation import GeneratedStream, MotionDataset
from motiongan.motion.store import MotionFile, MotionWriter

WINDOW, STRIDE, BATCH = 64, 16, 64
FIELDS = ("poses", "trans", "action")
SHORT = 50_000  # windows of a file that is passed over once before it is timed
CHUNK = 128  # frames of a chunk, and of a clip of the long file


class InMemory(Dataset[dict[str, Any]]):
    """The plain rival: all windows of a motion file from arrays in memory."""

    def __init__(self, path: Path) -> None:
        with MotionFile(path) as file:
            clips = list(file)
            self.poses, self.trans = (np.concatenate([getattr(clip, name) for clip in clips]) for name in FIELDS[:2])
            counts = np.maximum((file.lengths - WINDOW) // STRIDE + 1, 0)
            starts = np.concatenate([[0], np.cumsum(file.lengths)[:-1]])
            self.starts = np.repeat(starts, counts) + np.concatenate([STRIDE * np.arange(count) for count in counts])
            self.actions = np.repeat(file.action_ids, counts)

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, number: int) -> dict[str, Any]:
        frames = slice(self.starts[number], self.starts[number] + WINDOW)
        return {
            "poses": torch.from_numpy(self.poses[frames]),
            "trans": torch.from_numpy(self.trans[frames]),
            "action": int(self.actions[number]),
        }


def windows_per_second(source: Any, workers: int, seconds: float) -> float:
    """Of a DataLoader in its steady state."""
    endless = isinstance(source, GeneratedStream)
    options = {} if endless else {"shuffle": True}
    loader = DataLoader(
        source, batch_size=BATCH, num_workers=workers, persistent_workers=workers > 0, drop_last=True, **options
    )
    batches: Iterator[Any] = itertools.chain.from_iterable(itertools.repeat(loader))
    short = not endless and len(source) <= SHORT
    start = time.perf_counter()
    for number in itertools.count():
        if number >= len(loader) if short else time.perf_counter() - start > seconds / 2:
            break
        next(batches)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        count += len(next(batches)["action"])
    return count / (time.perf_counter() - start)


def make_long_file(source: Path, target: Path, frames: int) -> None:
    """A motion file of about `frames` frames in clips of one chunk each: compressed chunks are copied as they are."""
    with MotionFile(source) as file, h5py.File(source) as raw:
        rate, whole = file.frame_rate, len(raw["trans"]) // CHUNK
        clip = next(clip for clip in file if clip.num_frames >= WINDOW)
    with MotionWriter(target, frame_rate=rate, kind="sample", actions=["walk"]) as writer:
        writer.write(clip.crop(0, WINDOW))
    count = frames // CHUNK
    with h5py.File(source) as raw, h5py.File(target, "r+") as long:
        for name in ("poses", "trans"):
            zeros = (0,) * (raw[name].ndim - 1)
            pieces = [raw[name].id.read_direct_chunk((number * CHUNK, *zeros)) for number in range(whole)]
            assert raw[name].chunks == long[name].chunks
            long[name].resize(count * CHUNK, axis=0)
            for number in range(count):
                mask, data = pieces[number % whole]
                long[name].id.write_direct_chunk((number * CHUNK, *zeros), data, mask)
        for name in ("start", "length", "action", "betas", "gender", "subject", "source"):
            column = long[f"clips/{name}"]
            first = column[0]
            column.resize(count, axis=0)
            column[:] = np.arange(count) * CHUNK if name == "start" else CHUNK if name == "length" else first


def memory(path: Path, windows: int) -> None:
    """Print what one process holds (MB) with nothing open, with the data set open, and after random windows."""

    def held() -> float:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    before = held()
    data = MotionDataset(path, WINDOW, STRIDE, FIELDS)
    opened, total = held(), len(data)
    random = np.random.default_rng(0)
    start = time.perf_counter()
    for _ in range(0, windows, BATCH):
        data.__getitems__(random.integers(total, size=BATCH).tolist())
    rate = windows / (time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{total:10d} {before:8.0f} {opened:8.0f} {held():8.0f} {peak:8.0f} {rate:10.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="motion file to read")
    parser.add_argument("--checkpoint", type=Path, help="model file, for GeneratedStream")
    parser.add_argument("--device", default="cpu", help="of GeneratedStream; cuda runs with 0 workers alone")
    parser.add_argument("--frames", type=int, default=10_000_000, help="of the long file; 0 leaves it out")
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made (2.5 GB, and 3 GB for a copy)")
    parser.add_argument("--workers", default="0,2,4")
    parser.add_argument("--rounds", type=int, default=3, help="the best figure of these is shown")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each figure")
    parser.add_argument("--memory", type=int, help=argparse.SUPPRESS)  # this program's own call of itself
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.memory:
        memory(arguments.file, arguments.memory)
        return
    workers = [int(number) for number in arguments.workers.split(",")]

    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        copies = Path(folder) / "copies"
        sources: dict[str, Callable[[], Any]] = {
            "numpy array in memory": lambda: InMemory(arguments.file),
            "MotionDataset": lambda: MotionDataset(arguments.file, WINDOW, STRIDE, FIELDS),
            "MotionDataset, copy": lambda: MotionDataset(arguments.file, WINDOW, STRIDE, FIELDS, copy=copies),
        }
        long = Path(folder) / "long.h5"
        if arguments.frames:
            start = time.perf_counter()
            make_long_file(arguments.file, long, arguments.frames)
            made = f"{arguments.frames} frames, {long.stat().st_size / 1e9:.2f} GB"
            print(f"long file: {made}, made in {time.perf_counter() - start:.0f} s")
            sources["MotionDataset, long"] = lambda: MotionDataset(long, WINDOW, STRIDE, FIELDS)
            sources["MotionDataset, long, copy"] = lambda: MotionDataset(long, WINDOW, STRIDE, FIELDS, copy=copies)
        if arguments.checkpoint:
            sources["GeneratedStream"] = lambda: GeneratedStream(
                arguments.checkpoint, batch=BATCH, device=arguments.device, window=WINDOW, fields=FIELDS
            )
        best: dict[tuple[str, int], float] = {}
        made_sources = {name: make() for name, make in sources.items()}
        for _, number, (name, source) in itertools.product(range(arguments.rounds), workers, made_sources.items()):
            if name == "GeneratedStream" and arguments.device != "cpu" and number:
                continue
            rate = windows_per_second(source, number, arguments.seconds)
            best[name, number] = max(rate, best.get((name, number), 0.0))
        print(f"\n{'windows per second (share of the array)':40s} workers", *(f"{number:14d}" for number in workers))
        for name in sources:
            rates = [(best.get((name, number), 0.0), best["numpy array in memory", number]) for number in workers]
            print(
                f"{name:48s}",
                *(f"{rate:8.0f} ({rate / plain:.2f})" if rate else f"{'-':>15s}" for rate, plain in rates),
            )

        if arguments.frames and Path("/proc/self/statm").exists():
            print(
                f"\nmemory of one process, MB\n{'':6s}{'windows':>10s} {'start':>8s} {'opened':>8s} {'after':>8s}",
                end="",
            )
            print(f" {'peak':>8s} {'windows/s':>10s}")
            for name, path in (("short", arguments.file), ("long", long)):
                print(f"{name:6s}", end="", flush=True)
                subprocess.run([sys.executable, __file__, str(path), "--memory", "4096"], check=True)


if __name__ == "__main__":
    main()
