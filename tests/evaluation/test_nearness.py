import math

import pytest
import torch

from motiongan.body.skeleton import MIRROR_JOINTS
from motiongan.evaluation.metrics import nearest
from motiongan.evaluation.nearness import Nearest, TrainingMotion, near_copies


def found(distances: list[float], actions: list[int]) -> Nearest:
    count = torch.arange(len(distances))
    action_ids = torch.tensor(actions, dtype=torch.long)
    return Nearest(torch.tensor(distances), count, count, count, action_ids, count, torch.zeros(len(count)).bool())


def test_about_five_percent_of_held_out_pieces_are_near_copies_though_each_action_has_few():
    random = torch.Generator().manual_seed(0)
    actions = [number % 20 for number in range(100)]  # five pieces of an action, whose own 5 % is no piece at all
    distances = (torch.rand(100, generator=random) + 0.5) * (1 + torch.tensor(actions))
    held_out = found(distances.tolist(), actions)
    copies = near_copies(held_out, 20)
    assert (copies.scaled(held_out) < copies.limit).sum() == 5


def test_a_distance_counts_by_its_action_and_an_action_without_held_out_pieces_not_at_all():
    held_out = found([10.0, 20.0, 30.0, 100.0, 200.0, 300.0], [0, 0, 0, 1, 1, 1])
    copies = near_copies(held_out, 3)
    assert copies.medians[:2].tolist() == [20, 200]
    scaled = copies.scaled(found([15.0, 15.0, 15.0], [0, 1, 2]))
    assert scaled[:2].tolist() == pytest.approx([0.75, 0.075])
    assert scaled[2].isnan()
    assert math.isnan(near_copies(found([], []), 2).limit)


def test_a_training_clip_is_not_its_own_nearest(make_windows):
    random = torch.Generator().manual_seed(1)
    joints = torch.randn(4, 32, 24, 3, generator=random)
    joints[2] = joints[0]  # the clips 0 and 2 are twins
    windows = make_windows(joints, clip_ids=[0, 1, 2, 3])
    motion = TrainingMotion(windows)
    assert motion.nearest(windows).distances.max() == 0
    apart = motion.nearest(windows, are_training=True)
    assert (apart.distances == 0).tolist() == [True, False, True, False]
    pairs = motion.pairs(windows, apart)
    assert (pairs[0].clip, pairs[0].train_clip) in {(0, 2), (2, 0)}


def test_the_mirror_image_of_a_training_clip_is_a_copy_too(make_windows):
    random = torch.Generator().manual_seed(2)
    joints = torch.randn(3, 32, 24, 3, generator=random)
    joints[:, :, :3, :2] = torch.tensor([[0.0, 0.0], [0.0, 0.1], [0.0, -0.1]])  # they face along x, between the hips
    motion = TrainingMotion(make_windows(joints))
    seen = joints[:, :, MIRROR_JOINTS] * torch.tensor([1.0, -1.0, 1.0])
    mirrored = make_windows(seen)
    near = motion.nearest(mirrored)
    assert near.distances.tolist() == pytest.approx([0, 0, 0], abs=1e-3)
    assert near.mirrored.all()
    assert {(pair.clip, pair.train_clip, pair.mirrored) for pair in motion.pairs(mirrored, near)} <= {
        (clip, clip, True) for clip in range(3)
    }
    assert not motion.nearest(make_windows(joints)).mirrored.any()
    assert motion.nearest(mirrored, are_training=True).distances.min() > 100  # of another clip


def test_there_is_a_pair_of_every_action_the_nearest_first(make_windows):
    random = torch.Generator().manual_seed(1)
    joints = torch.randn(4, 32, 24, 3, generator=random)
    motion = TrainingMotion(make_windows(joints, clip_ids=[4, 5, 6, 7]))
    made = joints[[0, 1, 2, 3]].clone()
    made[:2] += 0.1 * torch.randn(made[:2].shape, generator=random)
    made[2] += 0.5 * torch.randn(made[2].shape, generator=random)
    made[3] += 0.3 * torch.randn(made[3].shape, generator=random)
    windows = make_windows(made, action_ids=[0, 0, 1, 2])
    pairs = motion.pairs(windows, motion.nearest(windows))  # not the two of action 0
    assert [pair.train_clip for pair in pairs[1:]] == [7, 6]
    assert pairs[0].train_clip in (4, 5)


def test_who_owns_every_candidate_finds_none():
    one = torch.zeros(1, 3)
    distance, index = nearest(one, one, owners=(torch.tensor([7]), torch.tensor([7])))
    assert distance.isinf().all()
    assert index.tolist() == [-1]
