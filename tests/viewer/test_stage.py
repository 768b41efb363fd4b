"""What the scene holds, asked of the server's side: no browser."""

import dataclasses

import numpy as np
import pytest
import roma
import torch
from numpy.testing import assert_allclose

from motiongan.body.smpl import load_body
from motiongan.viewer.person import Marks
from motiongan.viewer.posed_clip import pose_clip

pytest.importorskip("viser")

from motiongan.viewer.server import start_server, stop_server
from motiongan.viewer.stage import Stage


@pytest.fixture(scope="module")
def body():
    """The default body, without the pose correctives that the page leaves out."""
    return dataclasses.replace(load_body(), posedirs=None)


@pytest.fixture
def server():
    server = start_server("127.0.0.1", 0)
    yield server
    stop_server(server)


def world(node, points):
    """Points of a node's axes in the world's."""
    w, x, y, z = node.wxyz
    turn = roma.unitquat_to_rotmat(torch.tensor([x, y, z, w], dtype=torch.float64)).numpy()
    return points @ turn.T + node.position


def skinned(mesh):
    """Vertices of a skinned mesh as the browser works them out, in its parent's axes."""
    xyzw = np.stack([np.roll(bone.wxyz, -1) for bone in mesh.bones])
    turn = roma.unitquat_to_rotmat(torch.from_numpy(xyzw)).numpy()
    bind, now = mesh.bone_positions, np.stack([bone.position for bone in mesh.bones])
    each = np.einsum("bij,bvj->bvi", turn, mesh.vertices[None] - bind[:, None]) + now[:, None]
    taken = np.zeros((len(mesh.vertices), len(mesh.bones)))
    np.put_along_axis(taken, mesh.skin_indices.astype(int), mesh.skin_weights, axis=1)
    return np.einsum("vb,bvi->vi", taken / taken.sum(1, keepdims=True), each)


def test_the_skin_is_where_the_body_model_puts_it(server, body, make_clip):
    clip = make_clip(4, betas=np.linspace(-1.5, 1.5, 10))
    stage = Stage(server, body, 1)
    stage.load(0, pose_clip(clip, body))
    stage.show([25], Marks(follow=False))
    expected = body.vertices(*(torch.from_numpy(value) for value in (clip.poses[25], clip.trans[25], clip.betas)))
    assert_allclose(skinned(stage.people[0]._skin), expected.numpy(), atol=2e-3)  # four weights a vertex


def test_a_clip_starts_in_the_middle_and_walks_along_x(server, body, make_clip):
    clip = make_clip(0, num_frames=31, speed=1.5)
    moved = dataclasses.replace(clip, trans=clip.trans + np.array([7, -3, 0], np.float32))
    posed = pose_clip(moved, body)
    stage = Stage(server, body, 1)
    stage.load(0, posed)
    stage.show([30], Marks(follow=False))
    root = stage.people[0]._root
    assert_allclose(world(root, posed.joints[:1, 0])[0, :2], [0, 0], atol=1e-5)
    assert_allclose(world(root, posed.joints[30:, 0])[0, :2], [1.5, 0], atol=1e-4)  # 1 s at 1.5 m/s


def test_who_is_followed_stays_and_the_ground_goes(server, body, make_clip):
    posed = pose_clip(make_clip(0, num_frames=91, speed=2.0), body)
    stage = Stage(server, body, 1)
    stage.load(0, posed)
    stage.show([45], Marks())
    person = stage.people[0]
    assert_allclose(world(person._root, person._skin.bones[0].position)[:2], [0, 0], atol=1e-3)
    assert_allclose(stage._ground.position, [-3, 0, 0], atol=1e-3)  # 1.5 s at 2 m/s
    assert_allclose(world(person._root, person._mass.position)[:2], [0, 0], atol=0.1)


def test_two_people_have_lanes_of_their_own(server, body, make_clip):
    stage = Stage(server, body, 2)
    for index, speed in enumerate((1.0, 4.0)):
        stage.load(index, pose_clip(make_clip(index, num_frames=61, speed=speed), body), f"label {index}")
    stage.show([30, 60], Marks())
    places = [world(person._root, person._skin.bones[0].position) for person in stage.people]
    assert_allclose([place[:2] for place in places], [[0, 1.1], [0, -1.1]], atol=1e-3)
    assert [belt.visible for belt in stage._belts] == [True, True]
    stage.show([30, 60], Marks(follow=False))
    places = [world(person._root, person._skin.bones[0].position) for person in stage.people]
    assert_allclose([place[:2] for place in places], [[1, 1.1], [8, -1.1]], atol=1e-3)
    assert [belt.visible for belt in stage._belts] == [False, False]


def test_marks_are_shown_where_they_hold_and_hidden_where_not(server, body, make_clip):
    posed = pose_clip(make_clip(0, num_frames=10), body)
    violation = np.zeros((10, 24), np.float32)
    violation[4, 18] = 0.2
    contacts = np.zeros((10, 4), dtype=bool)
    contacts[4, 1] = True
    stage = Stage(server, body, 1)
    stage.load(0, dataclasses.replace(posed, violation=violation, contacts=contacts))
    person = stage.people[0]

    def seen(nodes):
        return [index for index, node in enumerate(nodes) if node.visible]

    stage.show([4], Marks(follow=False))
    assert (seen(person._range), seen(person._contacts)) == ([18], [1])
    assert_allclose(person._range[18].position, posed.joints[4, 18], atol=1e-6)
    assert_allclose(person._contacts[1].position[:2], posed.soles[4, 1, :2], atol=1e-6)
    assert_allclose(person._mass.position, posed.mass_centre[4], atol=1e-6)
    stage.show([5], Marks())
    assert (seen(person._range), seen(person._contacts)) == ([], [])
    stage.show([4], Marks(contacts=False, mass_centre=False, joint_range=False))
    assert (seen(person._range), seen(person._contacts), person._mass.visible) == ([], [], False)


@pytest.mark.parametrize(("figure", "skin", "skeleton"), [("body", 1, 0), ("skeleton", 0, 1), ("both", 1, 1)])
def test_body_and_skeleton_are_shown_as_chosen(server, body, make_clip, figure, skin, skeleton):
    stage = Stage(server, body, 1)
    stage.load(0, pose_clip(make_clip(num_frames=2), body))
    stage.show([0], Marks(figure=figure))
    person = stage.people[0]
    assert person._skin.visible == skin
    assert [mesh.visible for mesh, _ in person._skeleton] == [skeleton] * 3
