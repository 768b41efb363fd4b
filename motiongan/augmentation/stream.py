"""GeneratedStream: windows straight from a generator, without a file in between."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.random import SeedSequence, default_rng
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from motiongan.augmentation.dataset import samples
from motiongan.augmentation.fields import DEFAULT_FIELDS, JointPlacer, check_fields
from motiongan.augmentation.ranks import own_rank
from motiongan.body.joint_sets import JOINT_SETS
from motiongan.devices import known_device
from motiongan.errors import MotionganError
from motiongan.generation.generate import MAX_TRUNCATION, MotionGenerator
from motiongan.models.checkpoint import load_model
from motiongan.motion.actions import select_actions

_STREAM_FIELDS = (*DEFAULT_FIELDS, "mask", "seed", *JOINT_SETS)


class GeneratedStream(IterableDataset[dict[str, Any]]):
    """Endless windows of generated motion, made while the training runs; for PyTorch's DataLoader, or for `mix`.

    checkpoint  a model file (.safetensors)
    actions     what to generate: a name, "a,b,c", a sequence of names, or "all"; each equally often
    batch       windows computed at once
    device      where they are computed; samples stay there, but `mix` brings its own to the CPU. On a GPU:
                num_workers=0, or workers started by spawn
    seed        a window depends on (seed, epoch, rank, worker, its number in that worker) alone
    window      frames of a sample; None = the model's training window
    fields      as MotionDataset's (without file, clip and start), and `seed`, of which the window is made
    truncation  scales the latent: below 1 nearer to the action's typical motion
    rank        of this process among `num_replicas`, which all make different windows; None: as torch.distributed says
                when an iteration begins

    A window shorter than the action's clips starts at a random frame of its clip; a longer one repeats the clip's last
    frame, where `mask` is False. A window longer than the training window goes on moving to its end instead.
    Every iteration begins with the same windows again until `set_epoch` chooses another epoch, for workers that persist
    too; a mixture numbers the windows that it asks for by its own epochs. Each process loads the model at its first
    window; it can be pickled. Raises MotionganError for what the user can mend.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        actions: str | Sequence[str] = "all",
        batch: int = 64,
        device: torch.device | str = "cpu",
        *,
        seed: int = 0,
        window: int | None = None,
        fields: Sequence[str] = DEFAULT_FIELDS,
        truncation: float = 1.0,
        body: str | Path | None = None,
        rank: int | None = None,
        num_replicas: int | None = None,
    ) -> None:
        whole = all(isinstance(number, int | np.integer) for number in (batch, window or 1, seed))
        if not whole or batch < 1 or (window is not None and window < 1) or not 0 <= seed < 2**63:
            raise ValueError(
                f"batch {batch!r}, window {window!r}, seed {seed!r}: expected whole numbers, batch and window of at"
                " least 1, a seed of 0 to 2^63 - 1"
            )
        if not 0 <= truncation <= MAX_TRUNCATION:
            raise ValueError(f"truncation is {truncation}, expected 0 to {MAX_TRUNCATION:g}")
        self.checkpoint, self.batch, self.device = Path(checkpoint), batch, known_device(device, f"device {device}")
        file = load_model(self.checkpoint)  # on the CPU, to be checked; `_loaded` brings it to the device
        self.vocabulary = file.actions
        self.actions = tuple(select_actions(actions, file.actions, str(self.checkpoint)))
        if not self.actions:
            raise MotionganError(f"actions is empty; known: {', '.join(file.actions)}")
        self.seed, self.truncation = seed, truncation
        self.window, self.frame_rate = window or file.window, file.frame_rate
        self.body_model = str(file.provenance["body_model"])
        self.fields = check_fields(fields, _STREAM_FIELDS)
        own_rank(rank, num_replicas)
        self.rank, self.num_replicas = rank, num_replicas
        self._placer = JointPlacer(self.fields, body, self.body_model, place=str(self.checkpoint))
        # Shared with workers, so that set_epoch reaches those that persist.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        self._generator: MotionGenerator | None = None
        self._process = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        # A worker started by spawn cannot ask torch.distributed: it takes the rank of the process that starts it.
        rank, num_replicas = self.rank, self.num_replicas
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            rank, num_replicas = own_rank(rank, num_replicas)
        return {**self.__dict__, "rank": rank, "num_replicas": num_replicas, "_generator": None}

    def set_epoch(self, epoch: int) -> None:
        """Make the next iteration that of another epoch."""
        self._epoch.fill_(epoch)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        worker = get_worker_info()
        rank, _ = own_rank(self.rank, self.num_replicas)
        root = [self.seed, int(self._epoch), rank, 0 if worker is None else worker.id]
        first = 0
        while True:
            draws = [SeedSequence([*root, first + row]).generate_state(2, "uint64") for row in range(self.batch)]
            yield from self.generate(
                [_even(int(draw[0])) for draw in draws],
                [self.actions[int(draw[1]) % len(self.actions)] for draw in draws],
            )
            first += self.batch

    def __getitems__(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        """Windows by number, for `mix`: number = draw * len(actions) + index of the action in `actions`."""
        draws, chosen = zip(*(divmod(number, len(self.actions)) for number in numbers))
        seeds = [_even(int(SeedSequence([self.seed, draw]).generate_state(1, "uint64")[0])) for draw in draws]
        names = [self.actions[index] for index in chosen]
        # Always full batches: matrix products of another size round differently.
        full = -(-len(seeds) // self.batch) * self.batch
        seeds, names = (list(row) + [row[-1]] * (full - len(seeds)) for row in (seeds, names))
        made: list[dict[str, Any]] = []
        for start in range(0, full, self.batch):
            made += self.generate(seeds[start : start + self.batch], names[start : start + self.batch])
        return made[: len(numbers)]

    @torch.no_grad()
    def generate(self, seeds: Sequence[int], actions: Sequence[str]) -> list[dict[str, Any]]:
        """A sample for each seed and action; of one seed, `motiongan generate` makes the same motion.

        seeds   even numbers below 2^63: the odd one beside each draws the body shape
        """
        generator = self._loaded()
        ids = [self.vocabulary.index(action) for action in actions]
        frames = max(self.window, generator.window)
        betas = generator.random_betas(seeds).to(self.device)
        motion = generator.motion(seeds, ids, betas, frames, self.truncation)

        of_action = generator.file.clip_frames if self.window <= generator.window else [frames] * len(self.vocabulary)
        lengths = torch.tensor([of_action[number] for number in ids])
        room = (lengths - self.window).clamp(min=0) + 1
        starts = torch.tensor([int(default_rng([seed, 2]).integers(int(most))) for seed, most in zip(seeds, room)])
        steps = torch.arange(self.window)
        rows = torch.minimum(starts[:, None] + steps, lengths[:, None] - 1).to(self.device)
        each = torch.arange(len(seeds), device=self.device)[:, None]
        columns: dict[str, Tensor | list[int]] = {
            "poses": motion.poses[each, rows],
            "trans": motion.trans[each, rows],
            "betas": betas,
            "action": [self.actions.index(action) for action in actions],
            "mask": (starts[:, None] + steps < lengths[:, None]).to(self.device),
            "seed": list(seeds),
        }
        poses, trans = columns["poses"], columns["trans"]
        assert isinstance(poses, Tensor)
        assert isinstance(trans, Tensor)
        columns |= self._placer.place(poses, trans, betas)
        return samples({name: columns[name] for name in self.fields})

    def _loaded(self) -> MotionGenerator:
        """The generator on the device, read by each process for itself."""
        if self._generator is None or self._process != os.getpid():
            if self.device.type == "cuda" and getattr(torch.cuda, "_is_in_bad_fork", bool)():
                raise MotionganError(
                    "GeneratedStream on a GPU cannot run in forked workers: take num_workers=0, or"
                    " multiprocessing_context='spawn'"
                )
            self._generator, self._process = MotionGenerator(self.checkpoint, self.device), os.getpid()
        return self._generator


def _even(bits: int) -> int:
    """A clip's seed of 64 random bits: 62 of them, even, as `motiongan generate` has them."""
    return (bits >> 2) << 1
