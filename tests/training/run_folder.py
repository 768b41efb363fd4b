"""What a run left in its folder, read for comparison, and a way to stop the run on the way there."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import torch

from motiongan.training.run import checkpoints
from motiongan.training.trainer import Trainer

TWELVE_STEPS = ("autoencoder.steps=6", "training={steps: 6, checkpoint_every: 2}")


def stop_at(step: int, number: int = signal.SIGTERM) -> Callable[[Trainer, object], None]:
    """An `on_step` that sends this process a signal."""

    def on_step(trainer: Trainer, means: object) -> None:
        if trainer.step_count == step:
            os.kill(os.getpid(), number)

    return on_step


def logged(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "clips_per_second"} for line in lines]


def last_state(folder: Path) -> dict[str, object]:
    return torch.load(checkpoints(folder)[-1], weights_only=True)


def assert_equal(first: object, second: object, place: str = "state") -> None:
    """Equal bit for bit, all the way down."""
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second), place
    elif isinstance(first, dict):
        assert list(first) == list(second), place
        for key in first:
            assert_equal(first[key], second[key], f"{place}/{key}")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), place
        for index, (one, other) in enumerate(zip(first, second, strict=True)):
            assert_equal(one, other, f"{place}/{index}")
    else:
        assert first == second, place
