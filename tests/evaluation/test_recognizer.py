import math

import torch
from torch.testing import assert_close

from motiongan.body.skeleton import JOINT
from motiongan.evaluation.recognizer import _mirrored_inputs, recognizer_inputs, train_recognizer
from motiongan.motion.features import rotation_about_z

RATE = 30.0


def swings(count: int, period: float, joint: str, seed: int, frames: int = 40) -> torch.Tensor:
    """(count, frames, 24, 3): a scattered body in which one joint swings, from a random phase."""
    generator = torch.Generator().manual_seed(seed)
    body = torch.rand(24, 3, generator=torch.Generator().manual_seed(99)) + torch.tensor([0.0, 0.0, 0.5])
    joints = body.expand(count, frames, 24, 3) + 0.005 * torch.randn(count, 1, 24, 3, generator=generator)
    phase = torch.rand(count, 1, generator=generator) * 2 * math.pi
    joints[:, :, JOINT[joint], 0] += 0.3 * torch.sin(2 * math.pi * torch.arange(frames) / RATE / period + phase)
    return joints


def inputs_of(joints: torch.Tensor) -> torch.Tensor:
    windows, frames = joints.shape[:2]
    return recognizer_inputs(joints, torch.zeros(windows, frames), torch.ones(windows), RATE)


def test_inputs_do_not_change_with_place_heading_or_size():
    joints = swings(3, 0.5, "left_wrist", seed=0)
    heading = torch.rand(3, 40, generator=torch.Generator().manual_seed(1))
    expected = recognizer_inputs(joints, heading, torch.full((3,), 0.9), RATE)
    turn = torch.tensor([0.3, -2.0, 1.0])
    moved = joints @ rotation_about_z(turn)[:, None].transpose(-1, -2) + torch.tensor([5.0, -2.0, 0.0])
    same = recognizer_inputs(moved, heading + turn[:, None], torch.full((3,), 0.9), RATE)
    assert_close(same, expected, atol=1e-3, rtol=1e-4)  # velocities carry the rounding of positions times 30
    larger = recognizer_inputs(1.2 * moved, heading + turn[:, None], torch.full((3,), 1.08), RATE)
    assert_close(larger, expected, atol=1e-3, rtol=1e-4)


def test_the_mirror_swaps_sides_and_comes_back():
    inputs = inputs_of(swings(2, 0.5, "left_wrist", seed=0))
    mirrored = _mirrored_inputs(inputs)
    assert_close(_mirrored_inputs(mirrored), inputs)
    points, other = (values.unflatten(2, (2, 22, 3)) for values in (inputs, mirrored))
    left, right = JOINT["left_wrist"], JOINT["right_wrist"]
    assert_close(other[:, :, :, right], points[:, :, :, left] * torch.tensor([1.0, -1.0, 1.0]))


def test_it_tells_actions_apart_by_joint_by_side_and_by_tempo_on_unseen_clips():
    actions = ("wave_left", "wave_right", "fast")
    kinds = [("left_wrist", 1.0), ("right_wrist", 1.0), ("left_wrist", 0.3)]

    def data(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        windows = [swings(40, period, joint, seed + 7 * i) for i, (joint, period) in enumerate(kinds)]
        lengths = torch.randint(25, 41, (120,), generator=torch.Generator().manual_seed(seed))
        return inputs_of(torch.cat(windows)), torch.arange(40) < lengths[:, None], torch.arange(3).repeat_interleave(40)

    inputs, mask, ids = data(0)
    state = torch.get_rng_state()
    recognizer = train_recognizer(inputs, mask, ids, actions, seed=3, steps=120)
    assert torch.equal(torch.get_rng_state(), state)
    unseen, unseen_mask, unseen_ids = data(100)
    assert (recognizer(unseen, unseen_mask).argmax(-1) == unseen_ids).float().mean() > 0.95
    assert_close(recognizer.features(inputs, mask).std(0), torch.ones(32), atol=1e-3, rtol=0)
    # What lies behind the mask is not looked at.
    dirty = unseen + 100 * (~unseen_mask)[..., None]
    assert_close(recognizer.features(dirty, unseen_mask), recognizer.features(unseen, unseen_mask))
    again = train_recognizer(inputs, mask, ids, actions, seed=3, steps=120)
    assert torch.equal(again(unseen, unseen_mask), recognizer(unseen, unseen_mask))


def test_it_does_not_hang_on_the_order_of_windows_or_actions():
    actions, others = ("wave_left", "wave_right", "fast"), ("fast", "wave_right", "wave_left")
    inputs = inputs_of(torch.cat([swings(8, 0.5 + 0.2 * i, "left_wrist", seed=i) for i in range(3)]))
    mask, ids = torch.ones(24, 40, dtype=torch.bool), torch.arange(3).repeat_interleave(8)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(0))
    first = train_recognizer(inputs, mask, ids, actions, seed=3, steps=20)
    second = train_recognizer(inputs[order], mask, 2 - ids[order], others, seed=3, steps=20)
    assert torch.equal(second(inputs, mask).flip(1), first(inputs, mask))
    assert torch.equal(second.features(inputs, mask), first.features(inputs, mask))
