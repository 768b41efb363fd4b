from dataclasses import replace

import torch

from motiongan.utility.lifter import FIELD, Lifter, LifterConfig, hardest, observe, train_lifter
from motiongan.utility.perturbation import Perturbation
from motiongan.utility.posing import PosedClips


def clips(seed, shape=1.0):
    """Two clips of one stiff pose each that turns about z."""
    draw = torch.Generator().manual_seed(seed)
    pose = 0.4 * shape * torch.randn(2, 1, 17, 3, generator=draw)
    pose[:, :, 0] = 0
    angle = torch.linspace(0, 3, 60)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], -1).view(1, 60, 2, 2)
    level = torch.einsum("bfij,cfpj->cfpi", turn, pose[..., :2].expand(-1, 60, -1, -1))
    joints = torch.cat([level, pose[..., 2:].expand(-1, 60, -1, -1) + 1], -1).flatten(0, 1)
    return PosedClips(joints, torch.tensor([0, 60]), torch.tensor([60, 60]), torch.tensor([0, 1]))


def test_the_strided_path_places_what_the_dense_one_does():
    lifter = Lifter(32)
    seen = torch.randn(3, 40, lifter.read.in_features // 3, generator=torch.Generator().manual_seed(0))
    dense = lifter(seen)
    assert dense.shape == (3, 40 - FIELD + 1, 17, 3)
    for start in (0, 6, 13):
        assert torch.allclose(lifter(seen[:, start : start + FIELD])[:, 0], dense[:, start], atol=1e-5)


def test_what_is_seen_changes_little_with_distance_and_targets_are_relative_to_the_root():
    joints = clips(0).joints[None, :FIELD]
    views = observe(joints.expand(8, -1, -1, -1), 30.0, generator=torch.Generator().manual_seed(0))
    assert views.target[:, :, 0].abs().max() == 0
    assert torch.allclose(
        views.target.norm(dim=-1), (joints - joints[:, :, :1]).norm(dim=-1).expand(8, -1, -1), atol=1e-4
    )
    points = views.seen[..., :34].unflatten(-1, (17, 2))
    assert 0.9 < (points - points.mean(2, keepdim=True)).square().sum(-1).mean().sqrt() < 1.1
    assert views.seen[:, 0, -1].std() > 0.02  # while the sizes in the picture differ


def test_equal_seeds_train_equal_lifters_and_leave_the_global_state_alone():
    config = LifterConfig(width=16, steps=6, batch=8, looks=2)
    state = torch.random.get_rng_state()
    one, two, other = (train_lifter(clips(0), clips(1), Perturbation(), config, 30.0, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(one.write.weight, two.write.weight)
    assert not torch.equal(one.write.weight, other.write.weight)


def test_a_lifter_learns_the_poses_it_is_shown_and_not_those_of_others():
    config = LifterConfig(width=64, steps=120, batch=32)
    real = clips(0)
    views = observe(real.draw(64, None, generator=torch.Generator().manual_seed(5)), 30.0, generator=torch.Generator())

    def error(lifter):
        return (lifter(views.seen)[:, 0] - views.target[:, FIELD // 2]).norm(dim=-1).mean()

    of_them = error(train_lifter(real, None, None, config, 30.0, seed=0))
    of_others = error(train_lifter(None, clips(7), None, config, 30.0, seed=0))
    assert of_them < 0.6 * of_others


def test_half_of_a_mixed_batch_is_synthetic_and_the_schedule_moves_the_share(monkeypatch):
    drawn = []
    monkeypatch.setattr(PosedClips, "draw", _counting(drawn, PosedClips.draw))
    real, extra = clips(0), clips(1)
    train_lifter(real, extra, None, LifterConfig(width=8, steps=4, batch=10, looks=1, share=0.5), 30.0, seed=0)
    assert sum(count for source, count in drawn if source is extra) == 20
    drawn.clear()
    moving = LifterConfig(width=8, steps=4, batch=8, looks=1, share=1.0, final_share=0.0)
    train_lifter(real, extra, None, moving, 30.0, seed=0)
    assert [count for source, count in drawn if source is extra] == [8, 6, 4, 2]


def test_the_hardest_windows_are_those_that_the_lifter_places_worst(monkeypatch):
    """A lifter that knows one set of clips takes the windows of another one, and as many as are wanted."""
    config = LifterConfig(width=64, steps=120, batch=32)
    known, unknown = clips(0), clips(7)
    lifter = train_lifter(known, None, None, config, 30.0, seed=0)
    windows = torch.cat([each.draw(32, None, generator=torch.Generator().manual_seed(3)) for each in (known, unknown)])
    taken = hardest(lifter, windows, 16, 30.0, generator=torch.Generator().manual_seed(0))
    of_unknown = (taken[:, None] == windows[None, 32:]).flatten(2).all(-1).any(-1)
    assert taken.shape == (16, *windows.shape[1:])
    assert of_unknown.float().mean() > 0.8

    drawn = []
    monkeypatch.setattr(PosedClips, "draw", _counting(drawn, PosedClips.draw))
    few = LifterConfig(width=8, steps=4, batch=10, looks=1, share=0.5, drawn=3)
    hard = train_lifter(known, unknown, None, few, 30.0, seed=0)
    assert sum(count for source, count in drawn if source is unknown) == 3 * 20
    assert sum(count for source, count in drawn if source is known) == 20
    again, plain = (train_lifter(known, unknown, None, each, 30.0, seed=0) for each in (few, replace(few, drawn=1)))
    same, other = (
        all(torch.equal(a, b) for a, b in zip(hard.parameters(), each.parameters())) for each in (again, plain)
    )
    assert same
    assert not other


def _counting(drawn, draw):
    def counted(self, count, perturbation, *, generator):
        drawn.append((self, count))
        return draw(self, count, perturbation, generator=generator)

    return counted
