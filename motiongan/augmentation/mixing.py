"""Real and synthetic windows in one training: a wanted share of each batch, over epochs of the real data."""

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, SupportsIndex

import numpy as np
from numpy import ndarray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler

from motiongan.augmentation.dataset import MotionDataset
from motiongan.augmentation.labels import Parts, alike, labelled
from motiongan.augmentation.ranks import own_rank
from motiongan.augmentation.stream import GeneratedStream

Schedule = Callable[[float], float]  # epochs since the start, fractions included -> share of synthetic windows

_EPOCH = 1 << 40  # draws of a stream that each epoch has to itself


@dataclass(frozen=True)
class Anneal:
    """A schedule: the share of synthetic windows goes from `start` to `end` over `epochs`, and then stays.

    shape   "linear", or "cosine": slow at both ends
    """

    start: float
    end: float
    epochs: float
    shape: Literal["linear", "cosine"] = "linear"

    def __post_init__(self) -> None:
        """Raise ValueError for impossible settings."""
        for name in ("start", "end"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected a share of 0 to 1")
        if not self.epochs >= 0:
            raise ValueError(f"epochs is {self.epochs}, expected 0 or more")
        if self.shape not in ("linear", "cosine"):
            raise ValueError(f"shape is {self.shape!r}, expected 'linear' or 'cosine'")

    def __call__(self, epoch: float) -> float:
        done = min(max(epoch / self.epochs, 0.0), 1.0) if self.epochs > 0 else 1.0
        if self.shape == "cosine":
            done = (1 - math.cos(math.pi * done)) / 2
        return self.start + (self.end - self.start) * done


def mix(
    real: Dataset[Any],
    synthetic: Dataset[Any],
    ratio: float = 0.5,
    schedule: Schedule | None = None,
    balance: str | None = "action",
) -> "Mixture":
    """Real and synthetic windows together: `mix(real, synthetic).loader(batch_size=64)` is a DataLoader of both.

    real       MotionDataset, or a Subset or ConcatDataset of some; with balance=None any map-style data set
    synthetic  the same of a generated file, or GeneratedStream
    ratio      share of synthetic windows in every batch
    schedule   the share as a function of the epochs passed (0.5 is the middle of the first), such as Anneal(1, 0, 20);
               `ratio` then sets the length of an epoch alone
    balance    how often a synthetic action is drawn. "action": so that real and synthetic windows together come as
               near to equally many of each action as the ratio allows; "real": as the real data show it; None: as the
               synthetic data do
    An epoch is one pass over the real windows, each once: its last batch is filled up from the next pass. At a ratio
    of 1 an epoch has as many batches as the real data alone.
    """
    return Mixture(real, synthetic, ratio, schedule, balance)


class Mixture(Dataset[Any]):
    """What `mix` makes: the windows of both, real ones first. A sample that is a dictionary gets `is_synthetic`.

    actions   the vocabulary of both, into which `action` of every sample is an index
    num_real, num_synthetic   windows of either; None: endless

    Windows of a GeneratedStream on a GPU come to the CPU, to stand in one batch with real ones.
    Its own batches alone keep the share of synthetic windows, so it has no length: DataLoader(mixture, shuffle=True), a
    DistributedSampler and the like end in a TypeError. A sampler that needs no length is not told apart.
    """

    def __init__(
        self,
        real: Dataset[Any],
        synthetic: Dataset[Any],
        ratio: float,
        schedule: Schedule | None,
        balance: str | None,
    ) -> None:
        if not 0 <= ratio <= 1:
            raise ValueError(f"ratio is {ratio}, expected a share of 0 to 1")
        if balance not in ("action", "real", None):
            raise ValueError(f"balance is {balance!r}, expected 'action', 'real' or None")
        if schedule is not None and not callable(schedule):
            raise ValueError(f"schedule is {schedule!r}, expected a function of the epoch, such as Anneal(1, 0, 20)")
        if isinstance(real, IterableDataset):
            raise ValueError("real must be a map-style data set: its length sets the epoch's")
        if isinstance(synthetic, IterableDataset) and not isinstance(synthetic, GeneratedStream):
            raise ValueError("synthetic must be map-style, or a GeneratedStream")
        self.real_labels = labelled(real)
        self.synthetic_labels = synthetic if isinstance(synthetic, GeneratedStream) else labelled(synthetic)
        if self.real_labels is not None and self.synthetic_labels is not None:
            for name in alike(self.real_labels.fields):
                first, second = getattr(self.real_labels, name), getattr(self.synthetic_labels, name)
                if first != second:
                    raise ValueError(f"real and synthetic windows differ in {name}: {first} and {second}")
        elif balance is not None:
            raise ValueError("balance needs a MotionDataset as real and its like as synthetic; give balance=None")
        self.real, self.synthetic, self.ratio = real, synthetic, ratio
        self.schedule, self.balance = schedule, balance
        self.num_real = _size(real)
        if not self.num_real:
            raise ValueError("real is empty")
        self.num_synthetic = None if isinstance(synthetic, GeneratedStream) else _size(synthetic)
        first, second = (
            getattr(labels or source, "actions", ())
            for labels, source in ((self.real_labels, real), (self.synthetic_labels, synthetic))
        )
        self.actions: tuple[str, ...] = tuple(dict.fromkeys([*first, *second]))
        self._action_ids = [self.actions.index(name) for name in second]

    def __len__(self) -> int:
        raise TypeError(
            "a mixture has no length, since other samplers would not keep its share of synthetic windows: take"
            " mixture.loader(batch_size), or DataLoader(mixture, batch_sampler=mixture.batches(batch_size))"
        )

    def __getitem__(self, number: SupportsIndex) -> Any:
        return self.__getitems__([number])[0]

    def __getitems__(self, numbers: Sequence[SupportsIndex]) -> list[Any]:
        """The samples of a batch: real ones have numbers below `num_real`, synthetic ones from there on.

        Negative numbers count from the end, unless it is endless. Raises IndexError out of range.
        """
        chosen = [self._in_range(number) for number in numbers]
        places: dict[bool, list[int]] = {False: [], True: []}
        for place, number in enumerate(chosen):
            places[number >= self.num_real].append(place)
        made: list[Any] = [None] * len(chosen)
        for is_synthetic, source in ((False, self.real), (True, self.synthetic)):
            wanted = [chosen[place] - (self.num_real if is_synthetic else 0) for place in places[is_synthetic]]
            for place, sample in zip(places[is_synthetic], _samples(source, wanted)):
                if isinstance(sample, dict):
                    sample = {**sample, "is_synthetic": is_synthetic}
                    if is_synthetic and self._action_ids and "action" in sample:
                        action = int(sample["action"])
                        sample["action"] = self._action_ids[action] if action >= 0 else -1
                made[place] = sample
        return made

    def _in_range(self, number: SupportsIndex) -> int:
        """The window's number from 0 on."""
        asked = operator.index(number)
        if self.num_synthetic is None and asked < 0:
            raise IndexError(f"window {asked} of an endless mixture")
        if self.num_synthetic is None:
            return asked
        total = self.num_real + self.num_synthetic
        if not -total <= asked < total:
            raise IndexError(f"window {asked} of {total}")
        return asked % total

    def batches(
        self, batch_size: int, *, seed: int = 0, rank: int | None = None, num_replicas: int | None = None
    ) -> "MixedBatches":
        """The batch sampler, for a DataLoader(mixture, batch_sampler=...) of one's own."""
        return MixedBatches(self, batch_size, seed=seed, rank=rank, num_replicas=num_replicas)

    def loader(
        self,
        batch_size: int,
        *,
        seed: int = 0,
        rank: int | None = None,
        num_replicas: int | None = None,
        **options: Any,
    ) -> DataLoader[Any]:
        """A DataLoader of the mixture; options are the DataLoader's: num_workers, pin_memory, persistent_workers, ...

        seed   of the order and the choice of windows and actions; what a GeneratedStream makes depends on its own seed
        Its `batch_sampler` is a MixedBatches: `loader.batch_sampler.set_epoch(epoch)`.
        """
        batches = self.batches(batch_size, seed=seed, rank=rank, num_replicas=num_replicas)
        return DataLoader(self, batch_sampler=batches, **options)

    def action_shares(self, ratio: float) -> dict[str, float]:
        """How often each synthetic action is drawn at this ratio, by `balance`."""
        real, synthetic = self.real_labels, self.synthetic_labels
        assert isinstance(real, MotionDataset | Parts)
        assert synthetic is not None
        names = [
            name for name in synthetic.actions if isinstance(synthetic, GeneratedStream) or synthetic.windows_of(name)
        ]
        if not names:
            raise ValueError("the synthetic windows have no labels; give balance=None")
        counts = np.array([real.windows_of(name) for name in names], dtype=np.float64)
        if self.balance == "real":
            if not counts.any():
                raise ValueError("real and synthetic windows share no action; give balance='action' or None")
            return dict(zip(names, (counts / counts.sum()).tolist()))
        return dict(zip(names, _filling(counts, self.num_real, ratio).tolist()))


class MixedBatches(Sampler[list[int]]):
    """Batches of window numbers of a Mixture: an exact share of synthetic ones in each.

    Where ratio * batch_size is not whole, batches take turns, so that after any number of them the share is right to
    half a window. Among `num_replicas` processes each gets other windows and the same number of batches, as from a
    DistributedSampler; `set_epoch` chooses the epoch, and every iteration passes to the next one by itself. An epoch
    counts once it has begun, so that a training which leaves each early still goes through the schedule; one that looks
    at a batch first, `next(iter(loader))`, goes back with set_epoch(0).
    """

    def __init__(
        self, mixture: Mixture, batch_size: int, *, seed: int, rank: int | None, num_replicas: int | None
    ) -> None:
        if not isinstance(batch_size, int | np.integer) or batch_size < 1:
            raise ValueError(f"batch_size is {batch_size!r}, expected a whole number of at least 1")
        self.mixture, self.batch_size, self.seed, self.epoch = mixture, batch_size, seed, 0
        self._process = rank, num_replicas
        own_rank(rank, num_replicas)

    @property
    def sampler(self) -> "MixedBatches":
        """Itself: Lightning and others call `set_epoch` of a batch sampler's `sampler`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Make the next iteration that of this epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        _, num_replicas = own_rank(*self._process)
        share = 1 - self.mixture.ratio if self.mixture.ratio < 1 else 1.0
        # After k batches a process has had share * batch_size * k real windows, rounded with halves down.
        each = math.ceil(self.mixture.num_real / num_replicas)
        # Against rounding: 0.9 of 10 leaves 0.9999999999999998.
        return math.floor((each - 0.5) / (self.batch_size * share) + 1e-9) + 1

    def __iter__(self) -> Iterator[list[int]]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        rank, num_replicas = own_rank(*self._process)
        real = _Passes(self.mixture.num_real, [self.seed, epoch])
        total, owed = len(self), 0.0
        for number in range(total):
            ratio = self._ratio(epoch + number / total)
            owed += ratio * self.batch_size
            num_synthetic = min(max(math.floor(owed + 0.5 + 1e-9), 0), self.batch_size)
            owed -= num_synthetic
            # Every process draws for all of them and takes its own, so that no two get the same window.
            random = np.random.default_rng([self.seed, epoch, 1, number])
            first_draw = epoch * _EPOCH + number * self.batch_size * num_replicas
            for_all = self._synthetic(num_synthetic * num_replicas, ratio, first_draw, random)
            real_for_all = real.take((self.batch_size - num_synthetic) * num_replicas)
            mine = slice(rank, None, num_replicas)
            batch = np.concatenate([real_for_all[mine], self.mixture.num_real + for_all[mine]])
            yield np.random.default_rng([self.seed, epoch, 2, number, rank]).permutation(batch).tolist()

    def _ratio(self, epoch: float) -> float:
        if self.mixture.schedule is None:
            return self.mixture.ratio
        ratio = float(self.mixture.schedule(epoch))
        if not 0 <= ratio <= 1:
            raise ValueError(f"the schedule gives {ratio} at epoch {epoch:g}, expected a share of 0 to 1")
        return ratio

    def _synthetic(self, count: int, ratio: float, first_draw: int, random: np.random.Generator) -> ndarray:
        source, balance = self.mixture.synthetic, self.mixture.balance
        if not count:
            return np.zeros(0, dtype=np.int64)
        if isinstance(source, GeneratedStream):
            if balance is None:
                chosen = random.integers(len(source.actions), size=count)
            else:
                shares = self.mixture.action_shares(ratio)
                chosen = random.choice(len(shares), size=count, p=list(shares.values()))
            return np.asarray((first_draw + np.arange(count)) * len(source.actions) + chosen, dtype=np.int64)
        if balance is None:
            return random.integers(_size(source), size=count)
        labels = self.mixture.synthetic_labels
        assert isinstance(labels, MotionDataset | Parts)
        shares = self.mixture.action_shares(ratio)
        names = list(shares)
        chosen = random.choice(len(names), size=count, p=list(shares.values()))
        numbers = np.empty(count, dtype=np.int64)
        for index in np.unique(chosen):
            rows, name = chosen == index, names[index]
            numbers[rows] = labels.numbers_of(name, random.integers(labels.windows_of(name), size=rows.sum()))
        return numbers


class _Passes:
    """Endless random passes over `count` numbers, each of them once in every pass."""

    def __init__(self, count: int, seed: Sequence[int]) -> None:
        self.count, self.seed, self.number = count, list(seed), 0
        self.left = np.zeros(0, dtype=np.int64)

    def take(self, wanted: int) -> ndarray:
        parts = []
        while wanted > len(self.left):
            parts.append(self.left)
            wanted -= len(self.left)
            self.left = np.random.default_rng([*self.seed, 0, self.number]).permutation(self.count)
            self.number += 1
        parts.append(self.left[:wanted])
        self.left = self.left[wanted:]
        return np.concatenate(parts)


def _size(source: Any) -> int:
    """Windows of a map-style data set: torch's Dataset does not promise a length."""
    return len(source)


def _samples(source: Any, numbers: Sequence[int]) -> list[Any]:
    if not numbers:
        return []
    if isinstance(source, GeneratedStream):  # from a GPU to the CPU, where the real windows of the batch are
        return [_on_cpu(sample) for sample in source.__getitems__(numbers)]
    if hasattr(source, "__getitems__"):
        return list(source.__getitems__(numbers))
    return [source[number] for number in numbers]


def _on_cpu(sample: dict[str, Any]) -> dict[str, Any]:
    return {name: value.cpu() if isinstance(value, Tensor) else value for name, value in sample.items()}


def _filling(counts: ndarray, num_real: int, ratio: float) -> ndarray:
    """Shares of new windows that fill up the rarest actions first, as water fills a vessel with an uneven floor.

    counts   real windows of each action;  num_real  of all, among them such as only the real data show
    """
    if ratio >= 1:
        return np.full(len(counts), 1 / len(counts))
    room = num_real * ratio / (1 - ratio)  # synthetic windows for one pass over the real ones
    floor = np.sort(counts)
    for used in range(len(counts), 0, -1):
        level = (room + floor[:used].sum()) / used
        if level >= floor[used - 1]:
            break
    filled = np.maximum(level - counts, 0)
    return filled / filled.sum() if filled.sum() else np.full(len(counts), 1 / len(counts))
