"""Several people: turned and shifted as wanted, and never through one another."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial import cKDTree

from motiongan.body.smpl import load_body
from motiongan.rendering.crowd import (
    CLEARANCE,
    clearance,
    frames_of_partner,
    place_joints,
    place_people,
    turn_and_shift,
)


@pytest.fixture(scope="module")
def body():
    return load_body()


def test_a_turned_and_shifted_clip_moves_every_joint_that_way(make_clip, body):
    clip = make_clip(seed=3, num_frames=6, betas=np.linspace(-1, 1, 10))
    before = place_joints(clip, body)
    pivot = np.array([0.4, -0.3])
    after = place_joints(turn_and_shift(clip, body, np.pi / 2, (2.0, 1.0), pivot), body)
    # A quarter turn to the left about the pivot takes (x, y) to (-y, x).
    x, y = before[..., 0] - pivot[0], before[..., 1] - pivot[1]
    assert_allclose(after, np.stack([-y + pivot[0] + 2, x + pivot[1] + 1, before[..., 2]], -1), atol=1e-5)


def test_a_partner_with_fewer_frames_turns_back_at_its_end():
    frames, start = frames_of_partner(3, 8, random=np.random.default_rng(0))
    assert_array_equal(frames, [0, 1, 2, 1, 0, 1, 2, 1])
    assert start == 0


def test_a_partner_with_more_frames_starts_anywhere_it_fits():
    starts = {frames_of_partner(10, 8, random=np.random.default_rng(seed))[1] for seed in range(40)}
    assert starts == {0, 1, 2}


def test_clearance_is_the_distance_of_the_nearest_joints():
    one = np.zeros((2, 24, 3), np.float32)
    other = np.zeros((2, 24, 3), np.float32)
    other[0, :, 0], other[1, :, 1] = 3.0, 2.0
    assert_allclose(clearance(one, other), [3, 2])


@pytest.mark.parametrize("seed", [0, 1])
def test_no_two_bodies_touch_in_any_frame(seed, make_clip, body):
    clips = [make_clip(number, num_frames=20, speed=1.0) for number in range(4)]
    random = np.random.default_rng(seed)
    people = place_people((0, clips[0]), list(enumerate(clips))[1:], body, random=random)
    assert people[0].motion is clips[0]
    assert [person.clip for person in people] == [0, 1, 2, 3]
    for frame in (0, 10, 19):
        meshes = []
        for person in people:
            motion = person.motion
            tensors = (torch.from_numpy(array) for array in (motion.poses, motion.trans, motion.betas))
            meshes.append(body.vertices(*tensors)[frame].numpy())
            assert_allclose(person.joints, place_joints(motion, body), atol=1e-4)
        for index, mesh in enumerate(meshes):
            for other in meshes[:index]:
                assert cKDTree(mesh).query(other, distance_upper_bound=1.0)[0].min() > 0.01
    for index, person in enumerate(people):
        for other in people[:index]:
            assert clearance(person.joints, other.joints).min() >= CLEARANCE
