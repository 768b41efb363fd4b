"""Training steps per second of each recipe, and where the time of a step goes.

    python tools/bench_training.py amass.h5 [--recipes conv,gru] [--stages two,one] [--steps 30] [--device cuda]
                                   [--set training.batch_size=256]

The kinematic losses are on from the start, as they are for most of a run. Shares are of the time of one GAN step, each
part without the parts it calls; forward and backward ("update") stand apart. On the CPU all seconds are the
processor's, of one thread, so that a busy machine does not distort them; on CUDA the clock waits for the device.
"""

import argparse
import dataclasses
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from motiongan.config import load_config
from motiongan.motion.windows import WindowSampler
from motiongan.training import trainer as trainer_module
from motiongan.training.config import TrainConfig
from motiongan.training.dataset import load_training_data
from motiongan.training.trainer import Trainer

WARM_UP = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="motion file")
    parser.add_argument("--recipes", default="conv,gru")
    parser.add_argument("--stages", default="two,one")
    parser.add_argument("--steps", type=int, default=30, help="steps timed (default: 30)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as of motiongan train")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    if device.type == "cpu":
        torch.set_num_threads(1)  # as `motiongan train` does
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU, one thread"
    print(f"{where}; torch {torch.__version__}; {arguments.data}")
    for recipe in arguments.recipes.split(","):
        for stages in arguments.stages.split(","):
            measure(recipe, stages, arguments, device)


def measure(recipe: str, stages: str, arguments: argparse.Namespace, device: torch.device) -> None:
    """Print the steps per second of both stages and the table of parts of one recipe."""
    steps = arguments.steps
    overrides = ["losses={kinematic_from: 0.0, kinematic_full: 1e-6}"]  # full weight from the second step on
    # One step more than is timed: the autoencoder's last one also measures the latents.
    overrides.append(f"autoencoder.steps={WARM_UP + steps + 1 if stages == 'two' else 0}")
    config = load_config(TrainConfig, recipe, [*arguments.set, *overrides])
    data = load_training_data(arguments.data, config.data)
    sampler = WindowSampler(data.train, data.skeletons(), data.actions, config.data, device)
    trainer = Trainer(config, sampler, len(data.actions), data.mean_skeleton(), data.frame_rate, device)
    sizes = {name: sum(p.numel() for p in part.parameters()) / 1e6 for name, part in networks(trainer).items()}
    print(f"\n{recipe}, {stages} stage{'s' if stages == 'two' else ''}; millions of weights: ", end="")
    print(", ".join(f"{name} {size:.2f}" for name, size in sizes.items()))
    if stages == "two":
        rate = steps_per_second(trainer, steps)
        trainer.step()
        batch = config.autoencoder.batch_size
        print(f"  autoencoder: {rate:6.2f} steps/s of {batch} clips, {rate * batch:6.0f} clips/s")
    rate = steps_per_second(trainer, steps)
    batch = config.training.batch_size
    print(f"  GAN:         {rate:6.2f} steps/s of {batch} clips, {rate * batch:6.0f} clips/s")
    clock = Clock(device)
    before = {name: getattr(trainer_module, name) for name in ("_update", "update_average")}
    watch(trainer, clock)
    total = -clock.now()
    for _ in range(steps):
        trainer.step()
    total += clock.now()
    for name, function in before.items():
        setattr(trainer_module, name, function)
    parts = sorted(clock.seconds.items(), key=lambda part: -part[1])
    parts.append(("the rest", total - sum(clock.seconds.values())))
    for name, seconds in parts:
        print(f"    {name:34s} {1000 * seconds / steps:8.2f} ms {100 * seconds / total:5.1f} %")


def networks(trainer: Trainer) -> dict[str, torch.nn.Module]:
    parts: dict[str, torch.nn.Module] = {
        "generator": trainer.model.generator,
        "discriminator": trainer.discriminator,
    }
    if trainer.model.autoencoder is not None:
        parts["autoencoder"] = trainer.model.autoencoder
    return parts


def steps_per_second(trainer: Trainer, steps: int) -> float:
    for _ in range(WARM_UP):
        trainer.step()
    clock = Clock(trainer.device)
    start = clock.now()
    for _ in range(steps):
        trainer.step()
    return steps / (clock.now() - start)


class Clock:
    """Seconds spent in named parts; a part that calls another does not count the other's time."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, float] = defaultdict(float)
        self._inner: list[float] = []

    def now(self) -> float:
        if self.device.type == "cpu":
            return time.process_time()
        torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def watched(self, function: Callable[..., Any], label: Callable[..., str]) -> Callable[..., Any]:
        """The function, with its time added to the part that `label` names from its arguments."""

        def wrapper(*arguments: Any, **keywords: Any) -> Any:
            start = self.now()
            self._inner.append(0.0)
            try:
                return function(*arguments, **keywords)
            finally:
                spent = self.now() - start
                self.seconds[label(*arguments, **keywords)] += spent - self._inner.pop()
                if self._inner:
                    self._inner[-1] += spent

        return wrapper


def watch(trainer: Trainer, clock: Clock) -> None:
    """Put the clock around the parts of this trainer's GAN step."""

    def always(name: str) -> Callable[..., str]:
        return lambda *arguments, **keywords: name

    def updated(optimizer: torch.optim.Optimizer, *rest: Any) -> str:
        whose = "discriminator" if optimizer is trainer.discriminator_optimizer else "generator"
        return f"{whose}: update" + (" (through the penalties)" if whose == "discriminator" else "")

    targets: list[tuple[Any, str, Callable[..., str]]] = [
        (trainer.sampler, "draw", always("data")),
        (trainer, "_real", always("real clips as the discriminator sees")),
        (trainer, "_seen", always("generated clips likewise")),
        (trainer, "_kinematic", always("kinematics: losses")),
        (trainer, "_augment", always("augmentation")),
        (trainer.model.generator, "forward", always("generator: forward")),
        (trainer.discriminator, "forward", always("discriminator: forward")),
        (trainer_module, "_update", updated),
        (trainer_module, "update_average", always("average of the weights")),
    ]
    for owner, name, label in targets:
        setattr(owner, name, clock.watched(getattr(owner, name), label))
    if trainer.game.penalty:
        penalty = clock.watched(trainer.game.penalty, always("penalties: gradient"))
        trainer.game = dataclasses.replace(trainer.game, penalty=penalty)


if __name__ == "__main__":
    main()
