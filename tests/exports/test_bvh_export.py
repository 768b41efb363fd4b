import re

import numpy as np
import pytest
import roma
import torch

from motiongan.body.joint_sets import RIG_NAMES
from motiongan.body.kinematics import forward_kinematics
from motiongan.body.skeleton import JOINT
from motiongan.errors import MotionganError
from motiongan.exports.bvh import end_points, write_bvh
from motiongan.exports.exporting import export_motion
from motiongan.exports.selection import ExportOptions
from motiongan.formats.bvh import read_bvh
from motiongan.formats.importing import import_motion
from motiongan.motion.store import read_clips

pytest_plugins = ("exports.export_fixtures",)

Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


def joints_of_the_file(path) -> tuple[dict[str, np.ndarray], float]:
    """World positions (frames, 3) by joint name as the file's text says, worked out by itself; and the frame time."""
    text = path.read_text()
    hierarchy, motion = text.split("MOTION\n")
    header, time, *rows = motion.strip().split("\n")
    table = np.array([[float(word) for word in row.split()] for row in rows])
    assert header == f"Frames: {len(table)}"
    joints, stack, column = {}, [], 0
    for line in hierarchy.split("\n"):
        words = line.split()
        if not words or words[0] == "HIERARCHY":
            continue
        if words[0] in ("ROOT", "JOINT", "End"):
            name = f"{stack[-1][0]}_end" if words[0] == "End" else words[1]
        elif words[0] == "OFFSET":
            offset = np.array(words[1:], dtype=float)
            parent = stack[-2] if len(stack) > 1 else (None, np.eye(3), np.zeros(3))
            position = parent[2] + np.einsum("...ij,j->...i", parent[1], offset)
            stack[-1] = (name, parent[1], position)
        elif words[0] == "CHANNELS":
            channels = words[2:]
            values, column = table[:, column : column + len(channels)], column + len(channels)
            rotation = stack[-1][1]
            position = stack[-1][2]
            for channel, value in zip(channels, values.T):
                if channel.endswith("position"):
                    position = position + value[:, None] * np.eye(3)["XYZ".index(channel[0])]
                    continue
                vector = np.zeros((len(value), 3))
                vector[:, "XYZ".index(channel[0])] = np.radians(value)
                rotation = rotation @ roma.rotvec_to_rotmat(torch.from_numpy(vector)).numpy()
            stack[-1] = (name, rotation, position)
        elif words[0] == "{":
            stack.append((name, np.eye(3), np.zeros(3)))
        if words[0] == "}":
            name, _, position = stack.pop()
            joints[name] = np.broadcast_to(position, (len(table), 3))
    return joints, float(time.split(":")[1])


@pytest.fixture
def written(opened, tmp_path):
    def written(path, **options):
        export, named = opened(path, **options)
        return write_bvh(export, named, tmp_path), export, named.clip

    return written


@pytest.mark.parametrize(("unit", "per_metre"), [("cm", 100.0), ("m", 1.0)])
def test_the_joints_of_the_text_are_those_of_the_clip(written, moving_file, unit, per_metre):
    path, export, clip = written(moving_file, unit=unit)
    joints, frame_time = joints_of_the_file(path)
    ours = export.pose(clip).joints.numpy() @ Y_UP.T
    assert frame_time == pytest.approx(1 / 30, abs=1e-8)
    for joint, name in enumerate(RIG_NAMES):
        np.testing.assert_allclose(joints[name] / per_metre, ours[:, joint], atol=1e-6, err_msg=name)


def test_a_raised_left_hand_is_above_the_head_and_on_the_left(written, raised_file):
    joints, _ = joints_of_the_file(written(raised_file)[0])
    head, hips = joints["Head"], joints["Hips"]
    assert (joints["LeftHand"][:, 1] > head[:, 1] + 30).all()  # centimetres, Y up
    assert (joints["RightHand"][:, 1] < hips[:, 1] + 20).all()
    assert (joints["LeftHand"][:, 0] > joints["RightHand"][:, 0]).all()  # the left side is +X of one who faces +Z
    assert (joints["LeftToeBase"][:, 2] > joints["LeftFoot"][:, 2] + 5).all()
    np.testing.assert_allclose(np.diff(hips, axis=0), [[10, 0, 0]] * 5, atol=1e-4)  # 0.1 m to the left a frame


def test_the_import_gives_the_clip_back_within_a_tenth_of_a_millimetre(moving_file, tmp_path):
    """Asked for: 1e-4 m and 0.01 degrees. Kept: a micrometre, and the betas that the file does not name."""
    export_motion([moving_file], "bvh", tmp_path / "out")
    import_motion([tmp_path / "out"], tmp_path / "back.h5")
    originals, copies = read_clips(moving_file), read_clips(tmp_path / "back.h5")
    from motiongan.body.smpl import load_body

    body = load_body()
    assert len(copies) == 3
    for original, copy in zip(originals, copies):
        assert (copy.action, copy.subject, copy.frame_rate) == (original.action, original.subject, 30.0)
        np.testing.assert_allclose(copy.betas, original.betas, atol=1e-3)
        posed = [
            forward_kinematics(
                roma.rotvec_to_rotmat(torch.from_numpy(clip.poses)),
                torch.from_numpy(clip.trans),
                body.skeleton(torch.from_numpy(clip.betas)),
            )
            for clip in (original, copy)
        ]
        assert (posed[0].joints - posed[1].joints).norm(dim=-1).max() < 5e-6
        turn = roma.rotmat_geodesic_distance(posed[0].rotations.double(), posed[1].rotations.double())
        assert np.degrees(turn.max().item()) < 0.01


def test_another_unit_and_rate_come_back_too(moving_file, tmp_path):
    export_motion([moving_file], "bvh", tmp_path / "out", options=ExportOptions(unit="m"), clips="0", frame_rate=59.94)
    import_motion([tmp_path / "out"], tmp_path / "back.h5")
    (copy,) = read_clips(tmp_path / "back.h5")
    original = read_clips(moving_file)[0]
    np.testing.assert_allclose(copy.trans[0], original.trans[0], atol=1e-6)
    assert copy.frame_rate == 30.0


def test_a_foreign_skeleton_is_not_taken_for_our_own(written, moving_file, body):
    from dataclasses import replace

    from motiongan.formats.own_skeleton import match_own_skeleton

    motion = read_bvh(written(moving_file)[0].read_bytes(), "x.bvh")
    assert match_own_skeleton(motion, body) is not None
    longer = motion.offsets.copy()
    longer[motion.names.index("LeftLeg")] *= 1.001  # a thigh that is 0.4 mm longer than any of this body's
    assert match_own_skeleton(replace(motion, offsets=longer), body) is None
    names = tuple(name.replace("LeftToeBase", "LeftToes") for name in motion.names)
    assert match_own_skeleton(replace(motion, names=names), body) is None


def test_chains_end_at_the_outermost_skin(body):
    rest = body.v_template.double().numpy()
    ends = end_points(rest, body.part.numpy())
    assert ends[JOINT["head"]][1] == rest[:, 1].max()
    assert ends[JOINT["left_hand"]][0] == rest[:, 0].max()
    assert ends[JOINT["right_hand"]][0] == rest[:, 0].min()


def test_the_tree_and_the_rotation_order_are_stated_once_a_joint(written, raised_file):
    text = written(raised_file)[0].read_text()
    assert re.findall(r"(?:ROOT|JOINT) (\w+)", text)[0] == "Hips"
    assert sorted(re.findall(r"(?:ROOT|JOINT) (\w+)", text)) == sorted(RIG_NAMES)
    assert text.count("CHANNELS 3 Zrotation Xrotation Yrotation") == 23
    assert text.count("End Site") == 5
    assert "-0.000000 " not in text.split("MOTION")[1]


def test_an_unknown_unit_is_answered_in_one_line(opened, raised_file, tmp_path):
    export, named = opened(raised_file, unit="mm")
    with pytest.raises(MotionganError, match=r"--unit mm: unknown unit; did you mean `(cm|m)`\?"):
        write_bvh(export, named, tmp_path)


def test_blender_reads_the_joints_where_we_put_them(written, raised_file):
    """With the `bpy` wheel; its BVH importer is an add-on of Blender."""
    bpy = pytest.importorskip("bpy")
    path, export, clip = written(raised_file, unit="m")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.preferences.addon_enable(module="io_anim_bvh")
    bpy.ops.import_anim.bvh(filepath=str(path), axis_forward="-Z", axis_up="Y", rotate_mode="NATIVE")
    armature = next(thing for thing in bpy.data.objects if thing.type == "ARMATURE")
    joints = export.pose(clip).joints.numpy()
    for frame in (0, 3):
        bpy.context.scene.frame_set(frame + 1)
        for name in ("Hips", "LeftHand", "RightFoot", "Head"):
            head = armature.matrix_world @ armature.pose.bones[name].head
            # Blender, too, has Z up: the importer turns Y up back into it.
            np.testing.assert_allclose(np.array(head), joints[frame, RIG_NAMES.index(name)], atol=1e-4, err_msg=name)
