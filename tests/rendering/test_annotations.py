import sys

import numpy as np
import pytest
import torch
from painted_scene import UPRIGHT, cut, paint, painted_clip, placed_track
from torch.testing import assert_close

from motiongan.body.skeleton import JOINT, JOINT_NAMES, NUM_JOINTS
from motiongan.body.smpl import Body
from motiongan.errors import MotionganError
from motiongan.rendering.annotations import annotate, camera_parameters, decode_mask, encode_mask, mask_box
from motiongan.rendering.camera import Camera
from motiongan.rendering.frames import RenderedClip
from motiongan.rendering.keypoints import HIDDEN, OUTSIDE, SEEN, Keypoints, body_keypoints, project, visibility
from motiongan.rendering.rasterizer import Buffers

# pycocotools 2.0.11 decodes masks through what numpy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def looking_north(num_frames: int = 1, scale: int = 1) -> Camera:
    """64 x 48 pixels, 100 pixels of focal length, at (0, -4, 1), looking along +y: right is +x, down is -z."""
    intrinsics = torch.tensor([[100.0, 0.0, 32.0], [0.0, 100.0, 24.0], [0.0, 0.0, 1 / scale]]) * scale
    rotation = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    translation = torch.tensor([0.0, 1.0, 4.0])
    return Camera(
        *(each.expand(num_frames, *each.shape) for each in (intrinsics, rotation, translation)), 64 * scale, 48 * scale
    )


def standing(body: Body, camera: Camera, *, turn: float = 0.0) -> RenderedClip:
    """One person in the T-pose who looks towards -y, then turned by so many radians to its own left."""
    turned = torch.tensor([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1.0]])
    import roma

    root = roma.rotmat_to_rotvec(turned.double() @ roma.rotvec_to_rotmat(torch.tensor(UPRIGHT, dtype=torch.float64)))
    poses = np.zeros((len(camera), NUM_JOINTS, 3), np.float32)
    poses[:, 0] = root.numpy()
    track = placed_track(body, poses, np.tile([0.0, 0.0, 1.2], (len(camera), 1)), np.zeros(10))
    return RenderedClip(camera, paint(body, camera, (track,)), (track,), list(range(len(camera))), 30.0, "scene", 0)


# -- where points are --------------------------------------------------------------------------------------------------


def test_a_point_half_a_metre_to_the_right_at_four_metres_is_12_and_a_half_pixels_right_of_the_middle():
    points = np.array([[[0.0, 0.0, 1.0], [0.5, 0.0, 1.2], [0.0, -5.0, 1.0]]], np.float32)
    pixels, depth = project(looking_north(), points)
    np.testing.assert_allclose(pixels[0, :2], [[32.0, 24.0], [44.5, 19.0]])  # 32 + 100 x 0.5 / 4; 24 - 100 x 0.2 / 4
    np.testing.assert_allclose(depth[0], [4.0, 4.0, -1.0])


def test_the_left_of_someone_who_faces_the_camera_is_on_the_right_of_the_picture(body: Body, keypoints: Keypoints):
    people = annotate(standing(body, looking_north()), keypoints, body).people
    for name, columns in keypoints.sets.items():
        x = dict(zip(keypoints.names[columns], people[f"keypoints_{name}"][0, :, 0]))
        pairs = [(x[left], x["right_" + left.removeprefix("left_")]) for left in x if left.startswith("left_")]
        assert len(pairs) >= 6
        assert all(left > right for left, right in pairs), name


def test_points_in_the_cameras_frame_project_to_the_keypoints(body: Body, keypoints: Keypoints, clip: RenderedClip):
    people = annotate(clip, keypoints, body).people
    for name in keypoints.sets:
        image = np.einsum("rij,rpj->rpi", people["cam_int"], people[f"points_{name}"])
        np.testing.assert_allclose(image[..., :2] / image[..., 2:], people[f"keypoints_{name}"], atol=1e-3)


def test_a_body_without_a_nose_has_no_nose_in_any_picture(body: Body, clip: RenderedClip):
    from dataclasses import replace

    without = replace(body, keypoint_names=body.keypoint_names[1:], keypoint_vertices=body.keypoint_vertices[1:])
    assert body.keypoint_names[0] == "nose"
    people = annotate(clip, body_keypoints(without, ("coco17", "smpl24")), without).people
    assert (people["visibility_coco17"][:, 0] == OUTSIDE).all()
    assert np.isnan(people["keypoints_coco17"][:, 0]).all()
    assert np.isnan(people["points_coco17"][:, 0]).all()
    assert np.isfinite(people["points_coco17"][:, 1:]).all()


# -- whether they are seen ---------------------------------------------------------------------------------------------

KNEE, OTHER_KNEE, WRIST = (JOINT[name] for name in ("left_knee", "right_knee", "left_wrist"))


def seen_behind(body: Body, *, depth: float, instance: int, part: int = 0, joint: int = KNEE) -> int:
    """Visibility of a joint of person 0 at 3 m, where the picture shows this surface."""
    buffers = Buffers.empty(1, 48, 64)
    buffers.depth[0, 20, 10], buffers.instance[0, 20, 10], buffers.part[0, 20, 10] = depth, instance, part
    keypoints = body_keypoints(body, ("smpl24",))
    pixels = np.tile([10.9, 20.1], (1, NUM_JOINTS, 1))  # column 10, row 20
    return int(visibility(keypoints, pixels, np.full((1, NUM_JOINTS), 3.0), buffers, 0)[0, joint])


def test_a_joint_is_seen_through_its_own_flesh_but_not_from_the_far_side_of_it(body: Body):
    assert seen_behind(body, depth=2.94, instance=1, part=KNEE + 1) == SEEN  # 6 cm of knee
    assert seen_behind(body, depth=2.94, instance=1, part=JOINT["left_hip"] + 1) == SEEN  # the thigh ends at the knee
    assert seen_behind(body, depth=2.6, instance=1, part=KNEE + 1) == HIDDEN  # no knee is 40 cm thick


def test_another_part_or_another_person_before_a_joint_hides_it(body: Body):
    assert seen_behind(body, depth=2.94, instance=1, part=OTHER_KNEE + 1) == HIDDEN
    assert seen_behind(body, depth=2.94, instance=1, part=WRIST + 1) == HIDDEN
    assert seen_behind(body, depth=2.94, instance=2, part=KNEE + 1) == HIDDEN


def test_what_is_behind_a_joint_does_not_hide_it(body: Body):
    assert seen_behind(body, depth=3.2, instance=2, part=KNEE + 1) == SEEN
    assert seen_behind(body, depth=3.2, instance=1, part=WRIST + 1) == SEEN
    assert seen_behind(body, depth=np.inf, instance=0) == SEEN
    assert seen_behind(body, depth=1.0, instance=0) == HIDDEN  # ground or scenery in front


def test_points_beyond_the_edges_and_behind_the_camera_are_outside(body: Body):
    keypoints = body_keypoints(body, ("smpl24",))
    pixels = np.full((1, NUM_JOINTS, 2), 5.0)
    depth = np.full((1, NUM_JOINTS), 3.0)
    pixels[0, :6] = [[-0.1, 5], [5, -0.1], [64.0, 5], [5, 48.0], [63.9, 47.9], [0.0, 0.0]]
    depth[0, 6] = -1
    seen = visibility(keypoints, pixels, depth, Buffers.empty(1, 48, 64), 0)
    assert seen[0].tolist() == [OUTSIDE] * 4 + [SEEN] * 2 + [OUTSIDE] + [SEEN] * 17


@pytest.mark.parametrize("turn", [0.0, np.pi])
def test_the_face_is_seen_from_the_front_and_hidden_from_behind(body: Body, keypoints: Keypoints, turn: float):
    people = annotate(standing(body, looking_north(scale=4), turn=turn), keypoints, body).people
    seen = dict(zip(keypoints.names, people["visibility_coco17"][0]))
    expected = SEEN if turn == 0 else HIDDEN
    assert [seen[name] for name in ("nose", "left_eye", "right_eye")] == [expected] * 3
    limbs = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    assert all(seen[f"{side}_{joint}"] == SEEN for side in ("left", "right") for joint in limbs)


def test_from_the_left_the_right_shoulder_and_hip_are_hidden(body: Body, keypoints: Keypoints):
    people = annotate(standing(body, looking_north(scale=4), turn=-np.pi / 2), keypoints, body).people
    for name in ("coco17", "smpl24"):
        seen = dict(zip(keypoints.names[keypoints.sets[name]], people[f"visibility_{name}"][0]))
        assert (seen["right_shoulder"], seen["right_hip"], seen["right_knee"]) == (HIDDEN, HIDDEN, HIDDEN)
        assert (seen["left_hip"], seen["left_knee"], seen["left_ankle"]) == (SEEN, SEEN, SEEN)


# -- masks -------------------------------------------------------------------------------------------------------------


def test_the_box_of_a_mask_goes_round_its_pixels_outer_corners():
    mask = np.zeros((5, 7), dtype=bool)
    mask[1, 2] = mask[3, 5] = True
    assert mask_box(mask) == (2, 1, 4, 3)  # columns 2 to 5, rows 1 to 3
    assert mask_box(np.zeros((5, 7), dtype=bool)) == (0, 0, 0, 0)


def test_the_code_of_a_mask_counts_down_the_columns_starting_with_what_is_not_it():
    from pycocotools.mask import frPyObjects

    mask = np.array([[False, True, True], [False, True, False]])
    by_hand = [2, 3, 1]  # column 0: two off; column 1: two on; column 2: one on, one off
    assert encode_mask(mask) == frPyObjects({"size": [2, 3], "counts": by_hand}, 2, 3)["counts"].decode()


def test_without_pycocotools_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(MotionganError, match=r"pip install 'motiongan\[render\]'"):
        encode_mask(np.ones((2, 2), dtype=bool))


def test_any_mask_survives_its_code():
    random = np.random.default_rng(0)
    for _ in range(20):
        mask = random.random((31, 45)) < random.random()
        assert np.array_equal(decode_mask(encode_mask(mask), 31, 45), mask)


def test_rows_hold_each_persons_own_pixels(body: Body, keypoints: Keypoints, clip: RenderedClip):
    people = annotate(clip, keypoints, body).people
    assert people["image"].tolist() == [0, 0, 1, 1, 2, 2]
    assert people["person"].tolist() == [1, 2, 1, 2, 1, 2]
    for row, (image, person) in enumerate(zip(people["image"], people["person"])):
        mask = clip.buffers.instance[image] == person
        assert np.array_equal(decode_mask(str(people["segmentation"][row]), *mask.shape), mask)
        assert people["area"][row] == mask.sum()
        assert tuple(people["box"][row]) == mask_box(mask)


def test_a_person_of_whom_no_pixel_shows_has_no_row_but_the_frame_stays(body: Body, keypoints: Keypoints):
    clip = painted_clip(body)
    clip.buffers.instance[1][clip.buffers.instance[1] == 2] = 1
    annotations = annotate(clip, keypoints, body)
    assert annotations.people["image"].tolist() == [0, 0, 1, 2, 2]
    assert annotations.people["person"].tolist() == [1, 2, 1, 1, 2]
    assert annotations.images["image_frame"].tolist() == [0, 2, 4]


def test_a_person_of_whom_no_frame_shows_a_pixel_has_no_row(body: Body, keypoints: Keypoints):
    clip = painted_clip(body)
    whole = annotate(clip, keypoints, body)
    clip.buffers.instance[clip.buffers.instance == 2] = 0
    annotations = annotate(clip, keypoints, body)
    assert set(annotations.people["person"].tolist()) == {1}
    assert {name: column.dtype.kind for name, column in annotations.people.items()} == {
        name: column.dtype.kind for name, column in whole.people.items()
    }
    assert annotations.people["pose_cam"].shape == (3, 72)


def test_each_row_names_its_clip(body: Body, keypoints: Keypoints, clip: RenderedClip):
    people = annotate(clip, keypoints, body).people
    assert people["action"][:2].tolist() == ["squat", ""]
    assert people["clip"][:2].tolist() == [7, 9]
    assert people["seed"][:2].tolist() == [11, -1]
    assert people["sub"][:2].tolist() == ["anna", "ben"]
    assert people["imgname"][2] == "images/00007_squat_view0/000002.png"


# -- SMPL in the camera's frame ----------------------------------------------------------------------------------------


def test_smpl_parameters_in_the_cameras_frame_give_the_world_mesh_seen_from_the_camera(
    body: Body, keypoints: Keypoints, clip: RenderedClip
):
    people = annotate(clip, keypoints, body).people
    rows = range(len(people["person"]))
    poses = torch.from_numpy(people["pose_cam"]).unflatten(-1, (NUM_JOINTS, 3))
    trans, betas = torch.from_numpy(people["trans_in_camera"]), torch.from_numpy(people["shape"])
    placed = torch.stack([body.vertices(poses[row], trans[row], betas[row]) for row in rows])
    for row in rows:
        track = clip.people[people["person"][row] - 1]
        camera = clip.camera[int(people["image"][row])]
        world = torch.from_numpy(track.vertices[people["image"][row]])
        assert_close(placed[row], camera.to_camera(world), atol=1e-5, rtol=0)


def test_a_half_turn_moves_trans_by_twice_the_rest_pelvis():
    track = painted_track_at_origin()
    half_turn = np.diag([-1.0, -1.0, 1.0])[None]  # about z
    poses, trans = camera_parameters(track, half_turn, np.array([0.0, 0.3, 0.0]))
    np.testing.assert_allclose(trans, [[0.0, -0.6, 0.0]])  # R p - p with p = (0, 0.3, 0)
    np.testing.assert_allclose(np.abs(poses[0, 0]), [0, 0, np.pi], atol=1e-6)
    assert (poses[0, 1:] == 0).all()


def painted_track_at_origin():
    from motiongan.rendering.frames import PersonTrack

    zeros = np.zeros((1, NUM_JOINTS, 3), np.float32)
    return PersonTrack(zeros, zeros[:, 0], np.zeros(10, np.float32), zeros, zeros, "stand", 0)


def test_pieces_of_a_clip_are_annotated_as_the_whole(body: Body, keypoints: Keypoints, clip: RenderedClip):
    whole = annotate(clip, keypoints, body)
    last = annotate(cut(clip, 2, 3), keypoints, body)
    for name, column in last.people.items():
        if name != "image":  # counts from the piece's first frame
            np.testing.assert_array_equal(column, whole.people[name][-2:], err_msg=name)


def test_the_crop_is_the_box_of_the_joints_a_fifth_larger(body: Body, keypoints: Keypoints):
    people = annotate(standing(body, looking_north()), keypoints, body).people
    joints = people["keypoints_smpl24"][0, : JOINT_NAMES.index("left_hand")]
    low, high = joints.min(0), joints.max(0)
    np.testing.assert_allclose(people["center"][0], (low + high) / 2, rtol=1e-5)
    assert people["scale"][0] == pytest.approx((high - low).max() * 1.2 / 200)
