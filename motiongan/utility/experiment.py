"""The lifter's benchmark: what a training is made of, and the errors of every test clip that come of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from motiongan.utility.lifter import LifterConfig, Views, observe, train_lifter
from motiongan.utility.perturbation import Perturbation
from motiongan.utility.pose_errors import clip_errors
from motiongan.utility.posing import Blocks, PosedClips
from motiongan.utility.rows import Row

METHOD = "motiongan-lifter-2"  # raise the number with any change to training or test that moves a figure
_VIEWS_SEED = 20_000_003  # of the test's cameras and detector noise: one and the same for every row and seed
_CAMERAS = 2  # that each test window is seen by


@dataclass(frozen=True, eq=False)
class Experiment:
    """A `Task` of `motiongan.utility.trainings`: all that the trainings share.

    sources   clip sets by the names that rows use
    """

    sources: Mapping[str, PosedClips]
    test: PosedClips
    config: LifterConfig
    frame_rate: float
    perturbation: Perturbation = field(default_factory=Perturbation)

    def train(self, row: Row, seed: int) -> Float[Tensor, "clips errors"]:
        """The `ERRORS` of every test clip, by a lifter trained as the row says."""
        lifter = train_lifter(
            None if row.real is None else self.sources[row.real],
            None if row.extra is None else self.sources[row.extra],
            self.perturbation if row.perturbed else None,
            self.config,
            self.frame_rate,
            seed=seed,
        )
        return clip_errors(lifter, self._views, self._blocks, len(self.test), self.frame_rate)

    def facts(self, row: Row) -> dict[str, Any]:
        """All that the row's results depend on; clips by the hash of their positions."""
        config = asdict(self.config)
        if row.real is None or row.extra is None:  # there is nothing to share
            del config["share"], config["final_share"]
        if row.extra is None or self.config.drawn == 1:  # at 1 nothing is chosen: trainings made without it stay valid
            del config["drawn"]
        return {
            "method": METHOD,
            "config": config,
            "frame_rate": self.frame_rate,
            "perturbation": asdict(self.perturbation) if row.perturbed else None,
            "real": None if row.real is None else self._hashes[row.real],
            "extra": None if row.extra is None else self._hashes[row.extra],
            "test": self._test_hash,
        }

    @cached_property
    def _hashes(self) -> dict[str, str]:
        return {name: clips.content_hash() for name, clips in self.sources.items()}

    @cached_property
    def _test_hash(self) -> str:
        return self.test.content_hash()

    @cached_property
    def _blocks(self) -> Blocks:
        return self.test.blocks()

    @cached_property
    def _views(self) -> Views:
        """The test windows under their cameras."""
        generator = torch.Generator().manual_seed(_VIEWS_SEED)
        each = [observe(self._blocks.joints, self.frame_rate, generator=generator) for _ in range(_CAMERAS)]
        return Views(torch.cat([one.seen for one in each]), torch.cat([one.target for one in each]))
