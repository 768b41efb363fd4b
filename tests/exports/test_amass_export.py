import io

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from motiongan.body.kinematics import forward_kinematics
from motiongan.body.skeleton import JOINT
from motiongan.body.smpl import load_body
from motiongan.exports.amass import amass_arrays
from motiongan.exports.exporting import export_motion
from motiongan.exports.selection import ExportOptions
from motiongan.formats.amass import read_amass
from motiongan.formats.importing import import_motion
from motiongan.motion.store import MotionFile, write_clips

pytest_plugins = ("exports.export_fixtures",)

KEYS = {
    "smplh": {"trans", "gender", "mocap_framerate", "betas", "poses"},
    "smplx": {
        "trans", "gender", "mocap_frame_rate", "mocap_time_length", "betas", "num_betas", "poses", "surface_model_type",
        "root_orient", "pose_body", "pose_hand", "pose_jaw", "pose_eye",
    },
}  # fmt: skip


def exported(path, folder, **options):
    summary = export_motion([path], "amass", folder, options=ExportOptions(**options))
    return [np.load(file, allow_pickle=False) for file in summary.files if file.suffix == ".npz"], summary


@pytest.mark.parametrize(
    ("layout", "numbers", "ending"), [("smplh", 156, "_poses.npz"), ("smplx", 165, "_stageii.npz")]
)
def test_the_layout_has_the_keys_names_and_shapes_of_amass(tmp_path, make_clip, layout, numbers, ending):
    write_clips(tmp_path / "x.h5", [make_clip(0, 7, betas=range(10), gender="male")], kind="sample", body_model=layout)
    (arrays,), summary = exported(tmp_path / "x.h5", tmp_path / "out")
    assert summary.files[0].name == f"00000_walk{ending}"
    assert not summary.notices
    assert set(arrays.files) == {*KEYS[layout], "motiongan_creator"}
    assert (arrays["poses"].shape, arrays["trans"].shape, arrays["betas"].shape) == ((7, numbers), (7, 3), (16,))
    assert arrays["betas"].tolist() == [*range(10), *[0] * 6]
    assert str(arrays["gender"]) == "male"
    rate = arrays["mocap_framerate" if layout == "smplh" else "mocap_frame_rate"]
    assert float(rate) == 30.0


def test_the_parts_of_an_smplx_file_are_its_poses_in_order(make_clip):
    arrays = amass_arrays(make_clip(0, 4), "smplx", "smplx")
    parts = [arrays[name] for name in ("root_orient", "pose_body", "pose_jaw", "pose_eye", "pose_hand")]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), arrays["poses"])


@pytest.mark.parametrize("layout", ["smplh", "smplx"])
def test_the_smplx_package_gives_the_same_joints(tmp_path, make_clip, layout):
    pytest.importorskip("smplx")
    from body.test_smpl import SMPLH_PARENTS, SMPLX_PARENTS, model_arrays
    from smplx.lbs import lbs

    parents = SMPLH_PARENTS if layout == "smplh" else SMPLX_PARENTS
    model = model_arrays(load_body(), len(parents), parents)
    np.savez(tmp_path / "model.npz", **model)
    clip = make_clip(2, 6, betas=np.linspace(-1, 1, 10))
    arrays = amass_arrays(clip, layout, layout)
    tensor = {key: torch.from_numpy(np.asarray(value, dtype=np.float64)) for key, value in model.items() if key != "f"}
    _, joints = lbs(
        torch.from_numpy(arrays["betas"]).double()[None].expand(6, -1),
        torch.from_numpy(arrays["poses"]).double(),
        tensor["v_template"], tensor["shapedirs"], tensor["posedirs"].flatten(0, 1).T, tensor["J_regressor"],
        torch.tensor(parents), tensor["weights"],
    )  # fmt: skip
    theirs = joints + torch.from_numpy(arrays["trans"]).double()[:, None]
    import roma

    body = load_body(tmp_path / "model.npz")
    rotations = roma.rotvec_to_rotmat(torch.from_numpy(clip.poses))
    ours = forward_kinematics(rotations, torch.from_numpy(clip.trans), body.skeleton(torch.from_numpy(clip.betas)))
    assert_close(ours.joints[:, :22].double(), theirs[:, :22], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("body_model", "layout"), [("motiongan", "smplh"), ("smplh", "smplh"), ("smplx", "smplx"), ("smplh", "smplx")]
)
def test_the_import_of_an_export_gives_the_same_clips(tmp_path, moving_file, body_model, layout):
    with MotionFile(moving_file) as file:
        originals = list(file)
    write_clips(tmp_path / "x.h5", originals, kind="sample", body_model=body_model, licence="CC0-1.0")
    export_motion([tmp_path / "x.h5"], "amass", tmp_path / "out", options=ExportOptions(layout=layout))
    import_motion([tmp_path / "out"], tmp_path / "back.h5")
    with MotionFile(tmp_path / "back.h5") as back:
        assert (back.body_model, back.attributes["licence"], len(back)) == (body_model, "CC0-1.0", 3)
        for clip, original in zip(back, originals):
            np.testing.assert_array_equal(clip.poses, original.poses)
            np.testing.assert_array_equal(clip.trans, original.trans)
            np.testing.assert_array_equal(clip.betas, original.betas)
            assert (clip.action, clip.subject, clip.gender) == (original.action, original.subject, original.gender)


def test_betas_of_another_body_model_are_not_passed_off_as_smpls(moving_file, tmp_path):
    files, summary = exported(moving_file, tmp_path / "out")
    assert len(summary.notices) == 1  # once, not once a clip
    assert "body shapes are for motiongan, not for smplh: `betas` are 0" in summary.notices[0]
    with MotionFile(moving_file) as source:
        for arrays, clip in zip(files, source):
            assert not arrays["betas"].any()
            np.testing.assert_array_equal(arrays["motiongan_betas"], clip.betas)
            assert str(arrays["motiongan_body_model"]) == "motiongan"


def test_a_jump_that_an_import_would_cut_out_survives_our_own_file(tmp_path, make_clip):
    clip = make_clip(0, 20)
    clip.trans[10:] += 3.0  # 90 m/s
    write_clips(tmp_path / "x.h5", [clip], kind="sample")
    export_motion([tmp_path / "x.h5"], "amass", tmp_path / "out")
    import_motion([tmp_path / "out"], tmp_path / "back.h5")
    with MotionFile(tmp_path / "back.h5") as back:
        np.testing.assert_array_equal(back[0].trans, clip.trans)


def test_a_raised_left_hand_is_the_left_shoulder_of_the_file(raised_file, tmp_path):
    (arrays,), _ = exported(raised_file, tmp_path / "out")
    left, right = (3 * JOINT[f"{side}_shoulder"] for side in ("left", "right"))
    np.testing.assert_allclose(arrays["poses"][:, left : left + 3], [[0, 0, np.pi / 2]] * 6)
    np.testing.assert_allclose(arrays["poses"][:, right : right + 3], [[0, 0, np.pi / 2]] * 6)
    content = io.BytesIO()
    np.savez(content, **dict(arrays))
    assert read_amass(content.getvalue(), "x").body_model == "motiongan"
