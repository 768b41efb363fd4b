"""Time `motiongan generate` as a whole process against a bare `import torch, h5py, numpy`, and watch its memory.

    python tools/bench_generate.py --checkpoint runs/first/model.safetensors [-n 500] [--device cuda]
    python tools/bench_generate.py --checkpoint runs/first/model.safetensors --memory 100000

The two processes take turns, so that a busy machine slows both; the ratio of each pair counts, and processor seconds
stand beside the wall clock. Memory is the peak of the process that generates (its resident set).
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

IMPORTS = [sys.executable, "-c", "import torch, h5py, numpy"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True, type=Path, help="model file")
    parser.add_argument("--action", help="action to generate (default: the model's first)")
    parser.add_argument("-n", type=int, default=500, help="clips (default: 500)")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, help="as of motiongan generate")
    parser.add_argument("--memory", type=int, metavar="N", help="instead: peak memory of generating N clips")
    arguments = parser.parse_args()
    action = arguments.action or first_action(arguments.checkpoint)
    with tempfile.TemporaryDirectory() as folder:

        def generate(n: int) -> list[str]:
            command = [sys.executable, "-m", "motiongan", "generate", "--checkpoint", str(arguments.checkpoint)]
            command += ["--action", action, "-n", str(n), "--out", f"{folder}/aug.h5", "--force"]
            command += ["--batch", str(arguments.batch)] if arguments.batch else []
            return [*command, "--device", arguments.device]

        if arguments.memory:
            wall, processor, peak = measure(generate(arguments.memory))
            size = Path(folder, "aug.h5").stat().st_size
            print(f"generate -n {arguments.memory} ({action}, {arguments.device}): peak {peak:.2f} GB, {wall:.0f} s,")
            print(
                f"  {arguments.memory / wall:.0f} clips/s, {processor:.0f} processor seconds, file {size / 1e6:.0f} MB"
            )
            return 0
        measure(IMPORTS)  # fills the caches
        measure(generate(arguments.n))
        pairs = [(measure(IMPORTS), measure(generate(arguments.n))) for _ in range(arguments.pairs)]
        alone, _, _ = measure(generate(1))
    print(f"{arguments.pairs} pairs; {arguments.device}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"{'':24s} {'import':>8s} {'generate':>8s} {'ratio':>6s}")
    for name, index in (("wall clock s, median", 0), ("processor s, median", 1), ("peak memory GB", 2)):
        bare, whole = (statistics.median(pair[side][index] for pair in pairs) for side in (0, 1))
        ratio = statistics.median(pair[1][index] / pair[0][index] for pair in pairs)
        print(f"{name:24s} {bare:8.2f} {whole:8.2f} {ratio:6.2f}")
    whole = statistics.median(pair[1][0] for pair in pairs)
    if whole > alone:
        print(f"beyond starting: {arguments.n / (whole - alone):.0f} clips/s of {action}")
    return 0


def first_action(checkpoint: Path) -> str:
    from motiongan.generation.generate import load_generator

    return load_generator(checkpoint).actions[0]


def measure(command: list[str]) -> tuple[float, float, float]:
    """Wall-clock seconds, processor seconds and peak resident memory (GB) of a command."""
    with tempfile.TemporaryFile() as said:  # its progress bar, or why it failed
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            sys.stderr.write(said.read().decode())
            raise SystemExit(f"{' '.join(command)}: exit status {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes there, KiB elsewhere
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit / 1e9


if __name__ == "__main__":
    sys.exit(main())
