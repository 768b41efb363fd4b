"""Self-occlusion: cases one can see, the renderer's rule as the reference, and the coarse mesh beside the full one."""

import math

import pytest
import torch
from conftest import UPRIGHT

from motiongan.augmentation.cameras import CameraSampler, project
from motiongan.augmentation.occlusion import BodyOcclusion
from motiongan.body.joint_sets import JOINT_SETS
from motiongan.body.skeleton import JOINT
from motiongan.body.smpl import Body
from motiongan.rendering.camera import Camera

NAMES = JOINT_SETS["smpl24"].names


def from_azimuth(azimuth: float, points: torch.Tensor) -> Camera:
    sampler = CameraSampler(
        azimuth=(azimuth, azimuth), elevation=(0.0, 0.0), distance=(5.0, 5.0), roll=(0.0, 0.0), aim=0.0,
        focal_length=(1.0, 1.0), follow=(1.0, 0.0, 0.0),
    )  # fmt: skip
    return sampler.sample(points, generator=torch.Generator())


def standing(body: Body) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """One frame of a person in the T-pose with hanging arms, facing -y, the left side at +x; and its 24 joints."""
    poses = torch.zeros(1, 1, 24, 3)
    poses[0, 0, 0] = torch.tensor(UPRIGHT)
    poses[0, 0, JOINT["left_shoulder"], 2], poses[0, 0, JOINT["right_shoulder"], 2] = -1.4, 1.4
    trans, betas = torch.tensor([[[0.0, 0.0, 0.95]]]), torch.zeros(1, 10)
    return poses, trans, betas, JOINT_SETS["smpl24"].place(body, poses, trans, betas[:, None])


def moving(body: Body, name: str, batch: int = 3, frames: int = 4) -> tuple[torch.Tensor, ...]:
    """Random poses, each frame another."""
    generator = torch.Generator().manual_seed(0)
    poses = 0.5 * torch.randn(batch, frames, 24, 3, generator=generator)
    poses[:, :, 0] = torch.tensor(UPRIGHT)
    poses[:, :, 22:] = 0
    trans, betas = torch.zeros(batch, frames, 3), torch.randn(batch, 10, generator=generator)
    return poses, trans, betas, JOINT_SETS[name].place(body, poses, trans, betas[:, None])


@pytest.mark.parametrize(("azimuth", "near", "far"), [(0.0, "left", "right"), (math.pi, "right", "left")])
def test_from_the_side_the_far_arm_and_leg_are_hidden_and_the_near_ones_seen(body, azimuth, near, far):
    poses, trans, betas, points = standing(body)
    hidden = BodyOcclusion(body, "smpl24").hidden(from_azimuth(azimuth, points), points, poses, trans, betas)[0, 0]
    for joint in ("shoulder", "elbow", "wrist", "knee", "hip"):
        assert hidden[NAMES.index(f"{far}_{joint}")], joint
        # The near hip lies behind the hand of the hanging arm.
        assert hidden[NAMES.index(f"{near}_{joint}")] == (joint == "hip"), joint


def test_from_ahead_no_joint_of_someone_who_stands_is_hidden(body):
    poses, trans, betas, points = standing(body)
    camera = from_azimuth(-math.pi / 2, points)
    assert not BodyOcclusion(body, "smpl24").hidden(camera, points, poses, trans, betas).any()


def test_the_face_is_hidden_from_behind_and_seen_from_ahead(body):
    poses, trans, betas, _ = standing(body)
    points = JOINT_SETS["coco17"].place(body, poses, trans, betas[:, None])
    occlusion = BodyOcclusion(body, "coco17", detail=0.02)
    for azimuth, expected in ((math.pi / 2, True), (-math.pi / 2, False)):
        hidden = occlusion.hidden(from_azimuth(azimuth, points), points, poses, trans, betas)[0, 0]
        assert hidden[:3].tolist() == [expected] * 3  # nose and eyes


@pytest.mark.parametrize("name", ["h36m17", "coco17"])
def test_it_is_the_renderers_rule_on_its_depth_picture(body, name):
    """The nearest surface of the full mesh by brute force over all faces, in float64, judged by the same allowance."""
    from motiongan.rendering.keypoints import body_keypoints

    poses, trans, betas, points = moving(body, name)
    camera = CameraSampler().sample(points, generator=torch.Generator().manual_seed(1))
    found = BodyOcclusion(body, name, detail=0).hidden(camera, points, poses, trans, betas)
    allowance = torch.from_numpy(body_keypoints(body, (name,)).allowance).double()
    wrong = 0
    for row in range(3):
        skin = camera.to_camera(body.vertices(poses, trans, betas[:, None]))[row, 0].double()
        places = camera.to_camera(points)[row, 0].double()
        corners = skin[body.faces.long()]
        for index, place in enumerate(places):
            # Moeller and Trumbore 1997: from the camera (the origin) along the ray to the point.
            one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
            across = torch.linalg.cross(place.expand_as(two), two)
            determinant = (one * across).sum(-1)
            u = (-corners[:, 0] * across).sum(-1) / determinant
            other = torch.linalg.cross(-corners[:, 0], one)
            v = (place * other).sum(-1) / determinant
            share = (two * other).sum(-1) / determinant  # of the way to the point
            hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (share > 0)
            surface = torch.where(hit, share * place[2], torch.inf)
            part = body.part[body.faces[surface.argmin(), 0]] + 1
            wrong += bool(surface.min() < place[2] - allowance[index, part]) != bool(found[row, 0, index])
    assert wrong == 0


def test_a_coarse_mesh_agrees_with_the_full_one(body):
    poses, trans, betas, points = moving(body, "h36m17", batch=8)
    camera = CameraSampler().sample(points, generator=torch.Generator().manual_seed(2))
    full, coarse = (BodyOcclusion(body, detail=detail) for detail in (0.0, 0.04))
    assert coarse.num_faces < full.num_faces / 4
    first, second = (mesh.hidden(camera, points, poses, trans, betas) for mesh in (full, coarse))
    assert 0.1 < first.float().mean() < 0.5
    assert (first == second).float().mean() > 0.97


def test_pieces_give_what_the_whole_gives(body, monkeypatch):
    from motiongan.augmentation import occlusion

    poses, trans, betas, points = moving(body, "h36m17")
    camera = CameraSampler().sample(points, generator=torch.Generator().manual_seed(2))
    whole = BodyOcclusion(body).hidden(camera, points, poses, trans, betas)
    monkeypatch.setattr(occlusion, "_CHUNK_NUMBERS", 1)
    assert torch.equal(BodyOcclusion(body).hidden(camera, points, poses, trans, betas), whole)
    every = BodyOcclusion(body).hidden(camera, points, poses, trans, betas, every=3)
    assert torch.equal(every, whole[:, [0, 0, 0, 3]])


def test_a_body_that_reaches_behind_the_camera_hides_nothing_wrongly(body):
    poses, trans, betas, points = standing(body)
    camera = from_azimuth(-math.pi / 2, points)
    inside = Camera(camera.intrinsics, camera.rotation, camera.translation + torch.tensor([0, 0, -5.0]), 1000, 1000)
    assert (project(inside, points)[1] < 0).any()
    hidden = BodyOcclusion(body, "smpl24").hidden(inside, points, poses, trans, betas)
    assert hidden.shape == (1, 1, 24)
    assert not hidden[project(inside, points)[1] < 0].any()


def test_a_bodys_name_is_not_taken_for_a_body(untyped):
    with pytest.raises(ValueError, match=r"^body is 'smpl.npz', expected a body as `motiongan.load_body` gives it$"):
        BodyOcclusion("smpl.npz")
