"""Mixtures: exact shares, epochs of the real data, schedules, balance of actions, several processes."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import ConcatDataset, DataLoader, Subset, TensorDataset
from torch.utils.data.distributed import DistributedSampler

from motiongan.augmentation.dataset import MotionDataset
from motiongan.augmentation.mixing import Anneal, mix
from motiongan.augmentation.stream import GeneratedStream
from motiongan.motion.store import write_clips

FIELDS = ("poses", "action", "clip")


@pytest.fixture(scope="module")
def files(tmp_path_factory, make_clip) -> tuple[Path, Path]:
    """Real: 30 walks, 10 squats, of one window each. Synthetic, in another order: 5 squats, 20 walks, 15 kicks."""
    folder = tmp_path_factory.mktemp("mixed")
    plans = {"real": [("walk", 30), ("squat", 10)], "synthetic": [("squat", 5), ("walk", 20), ("kick", 15)]}
    paths = []
    for name, plan in plans.items():
        clips = [make_clip(seed, num_frames=16, action=action) for action, count in plan for seed in range(count)]
        write_clips(folder / f"{name}.h5", clips, kind="sample")
        paths.append(folder / f"{name}.h5")
    return paths[0], paths[1]


def data(path: Path, **options: object) -> MotionDataset:
    return MotionDataset(path, 16, 16, FIELDS, **options)


def synthetic_of(batch: list[int], num_real: int = 40) -> int:
    return sum(number >= num_real for number in batch)


def test_three_lines_make_a_loader_of_both(files):
    real = data(files[0])
    synthetic = data(files[1])
    loader = mix(real, synthetic, ratio=0.5).loader(batch_size=8)
    batches = list(loader)
    assert len(batches) == len(loader) == 10
    for batch in batches:
        assert batch["poses"].shape == (8, 16, 24, 3)
        assert batch["is_synthetic"].sum() == 4


def test_samples_are_those_of_their_source_with_actions_in_one_vocabulary(files):
    real, synthetic = data(files[0]), data(files[1])
    mixture = mix(real, synthetic)
    assert mixture.actions == ("walk", "squat", "kick")
    assert (mixture.num_real, mixture.num_synthetic) == (40, 40)
    kinds = Counter(
        (mixture.actions[sample["action"]], sample["is_synthetic"]) for sample in map(mixture.__getitem__, range(80))
    )
    assert kinds == {
        ("walk", False): 30, ("squat", False): 10, ("squat", True): 5, ("walk", True): 20, ("kick", True): 15,
    }  # fmt: skip
    assert torch.equal(mixture[43]["poses"], synthetic[3]["poses"])
    assert torch.equal(mixture[7]["poses"], real[7]["poses"])
    assert torch.equal(mixture[-1]["poses"], synthetic[39]["poses"])
    assert torch.equal(mixture[-80]["poses"], real[0]["poses"])
    assert torch.equal(mixture[torch.tensor(43)]["poses"], synthetic[3]["poses"])
    for number in (80, -81):
        with pytest.raises(IndexError, match=f"window {number} of 80"):
            mixture[number]


@pytest.mark.parametrize("ratio", [0.0, 0.2, 0.3, 0.5, 0.9, 1.0])
def test_every_batch_has_the_exact_share_and_an_epoch_shows_each_real_window(files, ratio):
    batches = mix(data(files[0]), data(files[1]), ratio=ratio).batches(10, seed=3)
    epoch = list(batches)
    assert len(epoch) == len(batches)
    assert all(len(batch) == 10 for batch in epoch)
    assert [synthetic_of(batch) for batch in epoch] == [round(10 * ratio)] * len(epoch)
    shown = Counter(number for batch in epoch for number in batch if number < 40)
    if ratio < 1:
        assert set(shown) == set(range(40))
        assert sum(shown.values()) - 40 < 10 * (1 - ratio)  # nothing but the last batch's filling
        assert max(shown.values()) <= 2
    assert len(epoch) == {0.0: 4, 0.2: 5, 0.3: 6, 0.5: 8, 0.9: 40, 1.0: 4}[ratio]


def test_a_share_that_is_not_whole_is_right_after_any_number_of_batches(files):
    total = 0
    for number, batch in enumerate(mix(data(files[0]), data(files[1]), ratio=0.3).batches(7), start=1):
        total += synthetic_of(batch)
        assert abs(total - 0.3 * 7 * number) <= 0.5 + 1e-6


def test_a_schedule_anneals_the_share_over_epochs_and_keeps_their_length(files):
    mixture = mix(data(files[0]), data(files[1]), schedule=Anneal(1.0, 0.0, epochs=2))
    batches = mixture.batches(8)
    shares = [synthetic_of(batch) / 8 for _ in range(3) for batch in batches]
    assert len(shares) == 30
    for number, share in enumerate(shares):
        assert abs(share - max(1 - number / 20, 0)) <= 0.13  # one of eight windows
    assert shares[0] == 1
    assert shares[20:] == [0] * 10
    cosine = Anneal(0.2, 0.6, epochs=4, shape="cosine")
    assert [round(cosine(epoch), 3) for epoch in (0, 2, 4, 9)] == [0.2, 0.4, 0.6, 0.6]
    with pytest.raises(ValueError, match="schedule"):
        list(mix(data(files[0]), data(files[1]), schedule=lambda epoch: 1.5).batches(8))


def lightning_sets_the_epoch(loader: DataLoader, epoch: int) -> None:
    """As Lightning's _set_sampler_epoch does: of `loader.sampler` and `loader.batch_sampler.sampler` alone."""
    for sampler in (loader.sampler, getattr(loader.batch_sampler, "sampler", None)):
        if callable(getattr(sampler, "set_epoch", None)):
            sampler.set_epoch(epoch)


def test_a_training_that_lightning_resumes_goes_on_in_the_schedule(files):
    mixture = mix(data(files[0]), data(files[1]), schedule=Anneal(1.0, 0.0, epochs=2))
    unbroken = mixture.batches(8)
    epochs = [list(unbroken) for _ in range(3)]
    resumed = mixture.loader(8)
    lightning_sets_the_epoch(resumed, 1)
    assert list(resumed.batch_sampler) == epochs[1]
    assert next(iter(resumed))["is_synthetic"].sum() == 0  # the epoch after
    lightning_sets_the_epoch(resumed, 0)
    assert next(iter(resumed))["is_synthetic"].all()


def test_an_epoch_counts_once_it_has_begun_unless_it_is_set_again(files):
    batches = mix(data(files[0]), data(files[1]), schedule=Anneal(1.0, 0.0, epochs=2)).batches(8)
    first = next(iter(batches))
    assert synthetic_of(first) == 8
    assert synthetic_of(next(iter(batches))) == 4
    batches.set_epoch(0)
    assert next(iter(batches)) == first


def test_samplers_that_would_not_keep_the_share_are_refused(files, tiny_model):
    fields = ("poses", "action")
    real = MotionDataset(files[0], 16, 16, fields)
    stream = GeneratedStream(tiny_model, "walk", batch=2, window=16, fields=fields)
    for mixture in (mix(data(files[0]), data(files[1])), mix(real, stream)):
        for draw in (
            lambda mixture: DataLoader(mixture, batch_size=8, shuffle=True),
            lambda mixture: DataLoader(mixture, sampler=DistributedSampler(mixture, num_replicas=2, rank=0)),
            lambda mixture: next(iter(DataLoader(mixture, batch_size=8))),
            len,
        ):
            with pytest.raises(TypeError, match=r"mixture\.loader\(batch_size\)") as error:
                draw(mixture)
            assert "\n" not in str(error.value)
    with pytest.raises(IndexError, match="window -1 of an endless mixture"):
        mix(real, stream)[-1]


def drawn(files: tuple[Path, Path], balance: str | None, ratio: float = 0.5) -> dict[str, float]:
    mixture = mix(data(files[0]), data(files[1]), ratio=ratio, balance=balance)
    counts: Counter[str] = Counter()
    batches = mixture.batches(40, seed=1)
    for _ in range(25):
        for batch in batches:
            numbers = [number for number in batch if number >= 40]
            actions = mixture.synthetic.index.action_ids[np.array(numbers) - 40]
            counts.update(mixture.synthetic.actions[action] for action in actions)
    return {name: count / counts.total() for name, count in counts.items()}


def test_balance_by_action_fills_up_what_the_real_data_lack(files):
    """40 real (30 walks, 10 squats, no kick) and 40 synthetic: level 25 takes 15 squats and 25 kicks."""
    shares = drawn(files, "action")
    assert set(shares) == {"squat", "kick"}
    assert abs(shares["squat"] - 15 / 40) < 0.05
    # 360 synthetic: all three to 400 / 3.
    many = drawn(files, "action", ratio=0.9)
    for name, real in (("walk", 30), ("squat", 10), ("kick", 0)):
        assert abs(many[name] - (400 / 3 - real) / 360) < 0.04


def test_balance_as_the_real_data_and_as_the_synthetic_data(files):
    assert abs(drawn(files, "real")["walk"] - 0.75) < 0.05
    shares = drawn(files, None)
    for name, share in {"squat": 5 / 40, "walk": 20 / 40, "kick": 15 / 40}.items():
        assert abs(shares[name] - share) < 0.05


def test_parts_of_data_sets_are_balanced_by_their_own_actions(files):
    """10 squats and 10 walks of the real windows; of the synthetic ones 10 kicks, 4 squats and none of the walks."""
    real = Subset(data(files[0]), range(20, 40))
    synthetic = ConcatDataset(
        [Subset(data(files[1]), [25, *range(31, 40)]), Subset(data(files[1]), torch.arange(1, 5))]
    )
    mixture = mix(real, synthetic)
    assert mixture.actions == ("walk", "squat", "kick")
    # 20 real and 20 synthetic: the level is 40 / 3, so 10 / 3 squats and 40 / 3 kicks, but there are no walks.
    assert mixture.action_shares(0.5) == pytest.approx({"squat": 0.25, "kick": 0.75})
    counts: Counter[tuple[str, bool]] = Counter()
    loader = mixture.loader(20)
    for _ in range(25):
        for batch in loader:
            names = [mixture.actions[int(action)] for action in batch["action"]]
            counts.update(zip(names, batch["is_synthetic"].tolist()))
            clips = batch["clip"][batch["is_synthetic"]]
            assert set(clips.tolist()) <= {25, *range(31, 40), *range(1, 5)}
    assert counts["walk", False] == counts["squat", False] == 250
    assert counts["walk", True] == 0
    assert abs(counts["squat", True] / 500 - 0.25) < 0.06


def test_parts_that_differ_in_what_their_windows_share_are_refused(files):
    real, synthetic = data(files[0]), data(files[1])
    with pytest.raises(ValueError, match=r"ConcatDataset differ in actions.*one MotionDataset reads several files"):
        mix(ConcatDataset([real, synthetic]), synthetic)
    with pytest.raises(ValueError, match="windows differ in window: 8 and 16"):
        mix(Subset(MotionDataset(files[0], 8, 8, FIELDS), [0, 1]), synthetic)
    with pytest.raises(ValueError, match="balance=None"):
        mix(ConcatDataset([real, TensorDataset(torch.arange(3))]), synthetic)


def test_the_rank_is_taken_when_an_epoch_begins(files, monkeypatch):
    mixture = mix(data(files[0]), data(files[1]))
    batches = mixture.batches(5, seed=2)  # before init_process_group
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 4)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 3)
    assert list(batches) == list(mixture.batches(5, seed=2, rank=3, num_replicas=4))
    assert len(batches) == 4


def test_processes_share_an_epoch_without_overlap(files):
    mixture = mix(data(files[0]), data(files[1]))
    ranks = [list(mixture.batches(5, seed=2, rank=rank, num_replicas=4)) for rank in range(4)]
    assert [len(epoch) for epoch in ranks] == [4] * 4
    shown = Counter(number for epoch in ranks for batch in epoch for number in batch if number < 40)
    assert set(shown) == set(range(40))
    assert shown.total() - 40 < 20  # the last batches' filling alone
    for step in zip(*ranks):
        first = [number for batch in step for number in batch if number < 40]
        assert len(set(first)) == len(first)
        assert {synthetic_of(batch) for batch in step} <= {2, 3}


def test_epochs_differ_and_each_can_be_repeated(files):
    batches = mix(data(files[0]), data(files[1])).batches(8, seed=5)
    first, second = list(batches), list(batches)
    assert first != second
    batches.set_epoch(0)
    assert list(batches) == first
    assert list(mix(data(files[0]), data(files[1])).batches(8, seed=6)) != first


def test_any_map_style_data_set_mixes_without_balance():
    real, synthetic = TensorDataset(torch.arange(6.0)), TensorDataset(10 + torch.arange(3.0))
    loader = mix(real, synthetic, balance=None).loader(4)
    for (values,) in loader:
        assert (values >= 10).sum() == 2
    with pytest.raises(ValueError, match="balance=None"):
        mix(real, synthetic)


def test_a_stream_mixes_like_a_file_and_does_not_depend_on_the_workers(tiny_model, tiny_data_file):
    real = MotionDataset(tiny_data_file, 16, 16, ("poses", "action"))
    stream = GeneratedStream(tiny_model, "walk,squat", batch=4, window=16, fields=("poses", "action"))
    loaders = [mix(real, stream).loader(8, num_workers=workers) for workers in (0, 2)]
    alone, workers = (list(loader) for loader in loaders)
    assert len(alone) == len(workers) == len(real) / 4
    for first, second in zip(alone, workers):
        assert first["is_synthetic"].sum() == 4
        assert torch.equal(first["poses"], second["poses"])
        assert torch.equal(first["action"], second["action"])
    actions = {
        mix(real, stream).actions[int(action)] for batch in alone for action in batch["action"][batch["is_synthetic"]]
    }
    assert actions == {"walk", "squat"}
    generated = torch.cat([batch["poses"][batch["is_synthetic"]] for batch in alone])
    assert len({tuple(row.flatten()[:6].tolist()) for row in generated}) == len(generated)  # no window twice


class OnAnotherDevice(torch.Tensor):
    """Stands for a tensor on a GPU: nothing can be done with it but to bring it to the CPU."""

    @staticmethod
    def __new__(cls, values: torch.Tensor) -> "OnAnotherDevice":
        made = torch.Tensor._make_wrapper_subclass(cls, values.shape, dtype=values.dtype, device="meta")
        made.values = values
        return made

    @classmethod
    def __torch_dispatch__(cls, function, types, arguments=(), options=None):
        if function is torch.ops.aten._to_copy.default and torch.device(options["device"]).type == "cpu":
            return arguments[0].values.clone()
        raise RuntimeError(f"{function} of a tensor on another device")


class StreamOnAnotherDevice(GeneratedStream):
    def generate(self, seeds, actions):
        return [
            {name: OnAnotherDevice(value) if isinstance(value, torch.Tensor) else value for name, value in made.items()}
            for made in super().generate(seeds, actions)
        ]


def test_windows_of_a_stream_on_another_device_come_to_the_real_ones(tiny_model, tiny_data_file):
    fields = ("poses", "mask", "action")
    real = MotionDataset(tiny_data_file, 16, 16, fields)
    near, far = (
        next(iter(mix(real, kind(tiny_model, "walk,squat", batch=4, window=16, fields=fields)).loader(8)))
        for kind in (GeneratedStream, StreamOnAnotherDevice)
    )
    assert far["is_synthetic"].sum() == 4
    for name in fields:
        assert type(far[name]) is torch.Tensor
        assert far[name].device.type == "cpu"
        assert torch.equal(far[name], near[name])


def test_body_shapes_of_two_body_models_do_not_mix(tmp_path, make_clip, tiny_model):
    for name in ("athlete", "smpl"):
        write_clips(tmp_path / f"{name}.h5", [make_clip(0)], kind="sample", body_model=name)
    of = {
        (name, fields): MotionDataset(tmp_path / f"{name}.h5", 16, 16, fields)
        for name in ("athlete", "smpl")
        for fields in (("poses", "betas"), ("poses",))
    }
    stream = GeneratedStream(tiny_model, "walk", window=16, fields=("poses", "betas"))
    for real, synthetic in (
        (of["athlete", ("poses", "betas")], of["smpl", ("poses", "betas")]),
        (of["smpl", ("poses", "betas")], stream),
        (ConcatDataset([of["smpl", ("poses", "betas")]]), Subset(of["athlete", ("poses", "betas")], [0])),
    ):
        with pytest.raises(ValueError, match=r"differ in body_model: \w+ and \w+$"):
            mix(real, synthetic)
    with pytest.raises(ValueError, match="ConcatDataset differ in body_model: athlete and smpl"):
        mix(ConcatDataset([of["athlete", ("poses", "betas")], of["smpl", ("poses", "betas")]]), stream)
    mix(of["athlete", ("poses",)], of["smpl", ("poses",)])  # poses fit any body


def test_the_streams_seed_makes_the_motion_and_the_loaders_seed_draws_the_real_windows(tiny_model, tiny_data_file):
    real = MotionDataset(tiny_data_file, 16, 16, ("poses", "action"))

    def windows(loader_seed: int, stream_seed: int) -> tuple[list[float], list[float]]:
        """A number for each real and for each generated window of the first batch."""
        stream = GeneratedStream(tiny_model, "walk", batch=4, window=16, fields=("poses", "action"), seed=stream_seed)
        batch = next(iter(mix(real, stream).loader(8, seed=loader_seed)))
        sums = batch["poses"].sum((1, 2, 3))
        return sorted(sums[~batch["is_synthetic"]].tolist()), sorted(sums[batch["is_synthetic"]].tolist())

    real_ones, generated = windows(0, 0)
    other_real_ones, same = windows(1, 0)
    assert other_real_ones != real_ones
    assert same == pytest.approx(generated, abs=1e-3)  # a sum's last bits differ with its place in the batch
    same_real_ones, others = windows(0, 1)
    assert same_real_ones == real_ones
    assert others != pytest.approx(generated, abs=1e-3)


@pytest.mark.parametrize(
    ("ratio", "batch_size", "num_replicas"), [(0.5, 1, 3), (0.7, 1, 3), (1 / 3, 7, 3), (0.5, 3, 1)]
)
def test_an_epoch_has_every_real_window_where_a_batch_has_no_whole_share_of_them(
    files, ratio, batch_size, num_replicas
):
    mixture = mix(data(files[0]), data(files[1]), ratio)
    ranks = [mixture.batches(batch_size, rank=rank, num_replicas=num_replicas) for rank in range(num_replicas)]
    epoch = [list(rank) for rank in ranks]
    assert {len(batches) for batches in epoch} == {len(ranks[0])}
    assert {number for batches in epoch for batch in batches for number in batch} >= set(range(40))
    without_the_last = [number for batches in epoch for batch in batches[:-1] for number in batch]
    assert sum(number < 40 for number in without_the_last) < 40


def test_batch_sizes_and_schedules_of_another_kind_are_refused_where_they_are_given(files, untyped):
    mixture = mix(data(files[0]), data(files[1]))
    for size in (0, 8.0, 2.5):
        with pytest.raises(ValueError, match=rf"^batch_size is {size}, expected a whole number of at least 1$"):
            mixture.batches(size)
    with pytest.raises(ValueError, match=r"^schedule is 0\.3, expected a function of the epoch"):
        mix(data(files[0]), data(files[1]), schedule=0.3)


@pytest.mark.parametrize(("change", "message"), [({"ratio": 1.2}, "ratio"), ({"balance": "actions"}, "balance")])
def test_impossible_mixtures_are_refused(files, change, message):
    with pytest.raises(ValueError, match=message):
        mix(data(files[0]), data(files[1]), **change)
    with pytest.raises(ValueError, match="window"):
        mix(data(files[0]), MotionDataset(files[1], 8, 8, FIELDS))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ((2, 1, 3), "start is 2"),
        ((1, -1, 3), "end is -1"),
        ((1, 0, -3), "epochs is -3"),
        ((1, 0, float("nan")), "epochs is nan"),
        ((1, 0, 3, "cosin"), "shape is 'cosin'"),
    ],
)
def test_an_impossible_schedule_is_refused_when_it_is_made(settings, told, untyped):
    with pytest.raises(ValueError, match=f"^{told}, expected"):
        Anneal(*settings)
