"""Kill a training run with SIGKILL at random moments, ten times; it must always resume and leave readable files.

    python tools/kill_run.py sample.h5 [--kills 10] [--seed 0] [--out FOLDER]

A small recipe that writes a checkpoint every second step, so that many kills fall into a write. After every kill all
files of the run are read; at the end the run must equal, bit for bit, one that was never killed.
"""

import argparse
import json
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import torch

from motiongan.errors import MotionganError
from motiongan.models.checkpoint import load_model
from motiongan.training.run import checkpoints, read_run_config

RECIPE = (
    "data={speeds: [1.0], mirror: false}",
    "autoencoder={steps: 120, batch_size: 8, width: 32, latent: 8}",
    "generator={latent: 16, width: 32, blocks: 1}",
    "discriminator={width: 32, scales: 2}",
    "losses={kinematic_clips: 2}",
    "training={steps: 120, batch_size: 8, checkpoint_every: 2, snapshot_every: 1000, log_every: 1}",
)
TOTAL = 240


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="motion file")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--out", type=Path, help="folder for both runs (default: a temporary one)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        return kill_again_and_again(arguments.data, folder, arguments.kills, random.Random(arguments.seed))


def kill_again_and_again(data: Path, folder: Path, kills: int, moments: random.Random) -> int:
    """Exit status 0 when every kill left readable files and the end equals that of an unbroken run."""
    killed, unbroken = folder / "killed", folder / "unbroken"
    print("kill at step resumed from checkpoints model file   log halves")
    faults: list[str] = []
    for number in range(1, kills + 1):
        # Somewhere in this kill's share of the run, and up to half a second later: anywhere in a step or a write.
        step = moments.uniform(number - 1, number) * TOTAL / (kills + 1)
        process = start(data, killed)
        resumed = wait_for_step(process, killed, step)
        time.sleep(moments.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        seen = inspect(killed)
        faults += [f"kill {number}: {fault}" for fault in seen["faults"]]
        left = f"{seen['checkpoints']:>11s} {seen['model']:>10s} {seen['log']:>5s} {seen['halves']:6d}"
        print(f"{number:4d} {seen['step']:7d} {resumed:12d} {left}", flush=True)
    for run in (killed, unbroken):
        process = start(data, run)
        if process.wait():
            faults.append(f"{run.name}: exit status {process.returncode}")
    faults += inspect(killed)["faults"]
    equal = not faults and same(last_state(killed), last_state(unbroken)) and same(lines(killed), lines(unbroken))
    equal = equal and (killed / "model.safetensors").read_bytes() == (unbroken / "model.safetensors").read_bytes()
    print(f"the end {'equals' if equal else 'DIFFERS FROM'} an unbroken run's, bit for bit: state, model file, log")
    for fault in faults:
        print(f"fault: {fault}")
    return 0 if equal else 1


def start(data: Path, run: Path) -> "subprocess.Popen[bytes]":
    """`motiongan train`, resumed where there is something to resume."""
    command = [sys.executable, "-m", "motiongan", "train", "--data", str(data), "--out", str(run), "--device", "cpu"]
    if (run / "config.yaml").exists():
        command.append("--resume")
    else:
        command += [part for override in RECIPE for part in ("--set", override)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for_step(process: "subprocess.Popen[bytes]", run: Path, step: float) -> int:
    """Wait until the run has logged a step; returns the step that it was resumed from."""
    resumed = newest_readable(run)
    changed = stamp(run)
    while process.poll() is None:
        if stamp(run) != changed and logged_step(run) >= max(step, resumed + 1):
            return resumed
        time.sleep(0.005)
    raise SystemExit(
        f"{run}: the run ended with status {process.returncode} before it could be killed at step {step:.0f}"
    )


def stamp(run: Path) -> int:
    log = run / "log.jsonl"
    return log.stat().st_mtime_ns if log.exists() else 0


def logged_step(run: Path) -> int:
    numbers = re.findall(r'^\{"step": (\d+),', (run / "log.jsonl").read_text(errors="replace"), flags=re.MULTILINE)
    return int(numbers[-1]) if numbers else 0


def newest_readable(run: Path) -> int:
    readable = [path for path in checkpoints(run) if not unreadable(path)]
    return int(readable[-1].stem.split("_")[1]) if readable else 0


def inspect(run: Path) -> dict[str, Any]:
    """What a kill left behind, with one line for each thing that should not be."""
    faults = []
    saved = checkpoints(run)
    bad = [path for path in saved if unreadable(path)]
    faults += [f"{path} cannot be read" for path in bad]
    try:
        read_run_config(run)
    except MotionganError as error:
        faults.append(str(error))
    model = run / "model.safetensors"
    state = "none yet"
    if model.exists():
        try:
            state = f"step {load_model(model).provenance['steps']}"
        except MotionganError as error:
            state = "damaged"
            faults.append(str(error))
    whole, rest = [], []
    for line in (run / "log.jsonl").read_text().splitlines():
        try:
            whole.append(json.loads(line)["step"])
        except ValueError:
            rest.append(line)
    if whole != list(range(1, len(whole) + 1)):
        faults.append(f"log.jsonl has the steps {whole}")
    halves = len(list(run.rglob("*.part")))
    return {
        "faults": faults,
        "step": whole[-1] if whole else 0,
        "checkpoints": f"{len(saved) - len(bad)} of {len(saved)}",
        "model": state,
        "log": "whole" if not rest else "cut",
        "halves": halves,
    }


def unreadable(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip():
                return True
        torch.load(path, weights_only=True)
    except Exception:  # whatever it is, it cannot be read
        return True
    return False


def last_state(run: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(checkpoints(run)[-1], weights_only=True)
    return state


def lines(run: Path) -> list[dict[str, float]]:
    read = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "clips_per_second"} for line in read]


def same(first: Any, second: Any) -> bool:
    """Equal bit for bit, all the way down."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(same(one, other) for one, other in zip(first, second))
    return bool(first == second)


if __name__ == "__main__":
    sys.exit(main())
