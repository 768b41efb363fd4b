"""Compare the compressions of the motion file on one's own motion: size, time to write, time to read one clip.

    python tools/bench_store.py amass.h5 [--clips 2000]

The clips are repeated until there are --clips of them, and written by MotionWriter itself.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from motiongan.motion import store
from motiongan.motion.clip import Clip
from motiongan.motion.store import MotionFile, MotionWriter, read_clips

FRAME_CHUNKS = (64, 128, 256, 512, 1024)
COMPRESSIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "lzf": {"compression": "lzf"},
    "lzf + shuffle": {"compression": "lzf", "shuffle": True},
    "gzip 1": {"compression": "gzip", "compression_opts": 1},
    "gzip 1 + shuffle": {"compression": "gzip", "compression_opts": 1, "shuffle": True},
    "gzip 4 + shuffle": {"compression": "gzip", "compression_opts": 4, "shuffle": True},
    "gzip 9 + shuffle": {"compression": "gzip", "compression_opts": 9, "shuffle": True},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="motion file whose clips are written again")
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3, help="the best time of these is shown")
    arguments = parser.parse_args()
    clips = list(itertools.islice(itertools.cycle(read_clips(arguments.file)), arguments.clips))
    frames = sum(clip.num_frames for clip in clips)
    plain_bytes = frames * (24 * 3 + 3) * 4
    print(
        f"{arguments.file}: {len(clips)} clips, {frames} frames, {plain_bytes / 1e6:.1f} MB of numbers; fletcher32 on\n"
    )
    chosen, chunk = store._COMPRESSION, store._FRAME_CHUNK
    print(f"{'':24s} {'MB':>7s} {'ratio':>6s} {'write s':>8s} {'read all s':>10s} {'one clip ms':>11s}")
    cases = [(name, options, chunk) for name, options in COMPRESSIONS.items()]
    cases += [(f"as chosen, chunks of {frames}", chosen, frames) for frames in FRAME_CHUNKS]
    for name, options, frames_per_chunk in cases:
        size, write, read, one = min_of_rounds(clips, options, frames_per_chunk, arguments.rounds)
        ratio = size / plain_bytes
        print(f"{name:24s} {size / 1e6:7.1f} {ratio:6.2f} {write:8.2f} {read:10.2f} {1000 * one:11.2f}", flush=True)


def min_of_rounds(
    clips: list[Clip], options: dict[str, Any], frames_per_chunk: int, rounds: int
) -> tuple[float, float, float, float]:
    """Bytes, seconds to write, seconds to read all, median seconds to read one clip at random."""
    store._COMPRESSION = {**options, "fletcher32": True}
    store._FRAME_CHUNK = frames_per_chunk
    results = []
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "motion.h5"
            start = time.perf_counter()
            with MotionWriter(path, frame_rate=clips[0].frame_rate, kind="sample") as writer:
                for clip in clips:
                    writer.write(clip)
            write = time.perf_counter() - start
            start = time.perf_counter()
            read_clips(path)
            read = time.perf_counter() - start
            picks = np.random.default_rng(number).integers(len(clips), size=50)
            singles = []
            with MotionFile(path) as file:
                for pick in picks.tolist():
                    start = time.perf_counter()
                    file[pick]
                    singles.append(time.perf_counter() - start)
            results.append((float(path.stat().st_size), write, read, statistics.median(singles)))
    return tuple(min(column) for column in zip(*results))  # type: ignore[return-value]


if __name__ == "__main__":
    main()
