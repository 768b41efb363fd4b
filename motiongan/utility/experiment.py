"""Trains and tests a lifter for every row and seed; what comes out is an error of every test clip."""

import multiprocessing
import os
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from motiongan.utility.lifter import LifterConfig, Views, observe, train_lifter
from motiongan.utility.perturbation import Perturbation
from motiongan.utility.pose_errors import clip_errors
from motiongan.utility.posing import PosedClips
from motiongan.utility.rows import Row

_VIEWS_SEED = 20_000_003  # of the test's cameras and detector noise: one and the same for every row and seed
_CAMERAS = 2  # that each test window is seen by


@dataclass(frozen=True, eq=False)
class Experiment:
    """All that the trainings share; it travels to worker processes.

    sources   clip sets by the names that rows use
    """

    sources: Mapping[str, PosedClips]
    test: PosedClips
    config: LifterConfig
    frame_rate: float
    perturbation: Perturbation = field(default_factory=Perturbation)

    def errors_of(self, row: Row, seed: int, views: Views) -> Float[Tensor, "clips errors"]:
        """The `ERRORS` of every test clip, by a lifter trained as the row says."""
        lifter = train_lifter(
            None if row.real is None else self.sources[row.real],
            None if row.extra is None else self.sources[row.extra],
            self.perturbation if row.perturbed else None,
            self.config,
            self.frame_rate,
            seed=seed,
        )
        return clip_errors(lifter, views, self.test.blocks(), len(self.test), self.frame_rate)

    def test_views(self) -> Views:
        """The test windows under their cameras."""
        generator = torch.Generator().manual_seed(_VIEWS_SEED)
        joints = self.test.blocks().joints
        each = [observe(joints, self.frame_rate, generator=generator) for _ in range(_CAMERAS)]
        return Views(torch.cat([one.seen for one in each]), torch.cat([one.target for one in each]))


def run_experiment(
    experiment: Experiment,
    rows: Sequence[Row],
    seeds: Sequence[int],
    *,
    jobs: int = 1,
    on_done: Callable[[], None] = lambda: None,
) -> dict[str, Float[Tensor, "seeds clips errors"]]:
    """Errors by the row's name. The result does not depend on `jobs`, the number of worker processes.

    on_done   called after every training
    """
    wanted = [(row, seed) for seed in seeds for row in rows]
    found: dict[tuple[str, int], Tensor] = {}
    for row, seed, errors in _results(experiment, wanted, jobs):
        found[row.name, seed] = errors
        on_done()
    return {row.name: torch.stack([found[row.name, seed] for seed in seeds]) for row in rows}


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _results(experiment: Experiment, wanted: Sequence[tuple[Row, int]], jobs: int) -> Iterator[tuple[Row, int, Tensor]]:
    if jobs <= 1:
        views = experiment.test_views()
        for row, seed in wanted:
            yield row, seed, experiment.errors_of(row, seed, views)
        return
    # Spawned, not forked: torch's threads do not outlive a fork.
    pool = ProcessPoolExecutor(
        min(jobs, len(wanted)), multiprocessing.get_context("spawn"), _begin, (pickle.dumps(experiment),)
    )
    try:
        for done in as_completed([pool.submit(_train, row, seed) for row, seed in wanted]):
            yield done.result()
    finally:
        pool.shutdown(cancel_futures=True)


_worker: tuple[Experiment, Views] | None = None


def _begin(pickled: bytes) -> None:
    """In a worker process: take the experiment over from the process that started it."""
    global _worker
    torch.set_num_threads(1)
    experiment = pickle.loads(pickled)
    _worker = experiment, experiment.test_views()


def _train(row: Row, seed: int) -> tuple[Row, int, Tensor]:
    assert _worker is not None, "_begin comes first"
    experiment, views = _worker
    return row, seed, experiment.errors_of(row, seed, views)
