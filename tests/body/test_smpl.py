"""The body model: SMPL's own arithmetic and every file form it comes in."""

import os
import pickle
import sys
import types

import numpy as np
import pytest
import roma
import torch
from torch.testing import assert_close

from motiongan.body.keypoints import published_keypoints
from motiongan.body.kinematics import forward_kinematics
from motiongan.body.skeleton import PARENTS
from motiongan.body.smpl import Body, load_body
from motiongan.errors import MotionganError

HAND = [f"{finger}{number}" for finger in ("index", "middle", "pinky", "ring", "thumb") for number in (1, 2, 3)]
# A hand's joints hang in five chains of three on the wrist.
HAND_PARENTS = [-1, 0, 1, -1, 3, 4, -1, 6, 7, -1, 9, 10, -1, 12, 13]
SMPLH_PARENTS = [
    *PARENTS[:22],
    *(20 if p < 0 else 22 + p for p in HAND_PARENTS),
    *(21 if p < 0 else 37 + p for p in HAND_PARENTS),
]
SMPLX_PARENTS = [
    *PARENTS[:22],
    *(15, 15, 15),
    *(20 if p < 0 else 25 + p for p in HAND_PARENTS),
    *(21 if p < 0 else 40 + p for p in HAND_PARENTS),
]


def kintree(parents: list[int]) -> np.ndarray:
    return np.array([[2**32 - 1, *parents[1:]], range(len(parents))], dtype=np.uint32)


def random_inputs(seed: int, frames: int = 4) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    poses = torch.randn(frames, 24, 3, generator=generator)
    return poses, torch.randn(frames, 3, generator=generator), torch.randn(frames, 10, generator=generator)


def model_arrays(body: Body, num_joints: int, parents: list[int], seed: int = 0) -> dict[str, np.ndarray]:
    """A made-up model file on every tenth vertex of the default body: right in form, random in content."""
    random = np.random.default_rng(seed)
    some = slice(None, None, 10)
    v_template = body.v_template.numpy()[some]
    count = len(v_template)
    joints = body.skeleton(torch.zeros(10)).rest_joints.numpy()[[*range(22), *[15] * (num_joints - 22)]]
    distance = np.linalg.norm(v_template - joints[:, None], axis=-1)
    regressor = np.exp(-((distance / 0.06) ** 2)) * random.random(distance.shape)
    weights = np.concatenate([body.weights.numpy()[some, :22], 0.02 * random.random((count, num_joints - 22))], 1)
    return {
        "v_template": v_template,
        "shapedirs": 0.02 * random.standard_normal((count, 3, 16)),
        "posedirs": 0.02 * random.standard_normal((count, 3, 9 * (num_joints - 1))),
        "weights": weights / weights.sum(1, keepdims=True),
        "J_regressor": regressor / regressor.sum(1, keepdims=True),
        "f": np.array([[0, 1, 2]], dtype=np.uint32),
        "kintree_table": kintree(parents),
    }


# --- the same numbers as the smplx package -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["none", "dense", "the default body's"])
def test_vertices_and_joints_equal_the_smplx_package(body, tmp_path, kind):
    smplx = pytest.importorskip("smplx")
    posedirs = np.zeros((body.num_vertices, 3, 207))
    if kind == "dense":
        posedirs = 0.02 * np.random.default_rng(0).standard_normal(posedirs.shape)
    elif kind == "the default body's":
        posedirs = body.posedirs.numpy()
    arrays = {
        "v_template": body.v_template.numpy(),
        "shapedirs": body.shapedirs.numpy(),
        "posedirs": posedirs,
        "weights": body.weights.numpy(),
        "J_regressor": body.J_regressor.numpy(),
        "f": body.faces.numpy(),
        "kintree_table": kintree(list(PARENTS)),
    }
    np.savez(tmp_path / "smpl.npz", **arrays)
    same = load_body(tmp_path / "smpl.npz")
    assert same.name == "smpl"
    landmarks = dict.fromkeys(smplx.vertex_ids.vertex_ids["smplh"], 0)  # of SMPL's own mesh, not wanted here
    oracle = smplx.SMPL("", data_struct=smplx.utils.Struct(**arrays), vertex_ids=landmarks, batch_size=4)
    for seed in range(3):
        poses, trans, betas = random_inputs(seed)
        with torch.no_grad():
            expected = oracle(betas=betas, global_orient=poses[:, 0], body_pose=poses[:, 1:].flatten(1), transl=trans)
        assert_close(same.vertices(poses, trans, betas), expected.vertices, atol=1e-5, rtol=0)
        joints = forward_kinematics(roma.rotvec_to_rotmat(poses), trans, same.skeleton(betas)).joints
        assert_close(joints, expected.joints[:, :24], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("name", "parents", "first_hand"), [("smplh", SMPLH_PARENTS, 22), ("smplx", SMPLX_PARENTS, 25)]
)
def test_smplh_and_smplx_files_reduce_to_our_joints(body, tmp_path, name, parents, first_hand):
    pytest.importorskip("smplx")
    from smplx.lbs import lbs

    num_joints = len(parents)
    arrays = model_arrays(body, num_joints, parents)
    np.savez(tmp_path / "model.npz", **arrays)
    reduced = load_body(tmp_path / "model.npz")
    assert reduced.name == name
    assert reduced.num_betas == 10
    poses, trans, betas = random_inputs(1)
    full = torch.zeros(len(poses), num_joints, 3)
    full[:, :22] = poses[:, :22]
    poses[:, 22:] = 0  # the hands stay at rest
    tensor = {key: torch.from_numpy(array.astype(np.float32)) for key, array in arrays.items()}
    vertices, joints = lbs(
        betas,
        full.flatten(1),
        tensor["v_template"][None],
        tensor["shapedirs"][..., :10],
        tensor["posedirs"].flatten(0, 1).T,
        tensor["J_regressor"],
        torch.tensor(parents),
        tensor["weights"],
    )
    assert_close(reduced.vertices(poses, trans, betas), vertices + trans[:, None], atol=1e-5, rtol=0)
    posed = forward_kinematics(roma.rotvec_to_rotmat(poses), trans, reduced.skeleton(betas)).joints - trans[:, None]
    assert_close(posed[:, :22], joints[:, :22], atol=1e-5, rtol=0)
    knuckles = [first_hand + HAND.index(f"{finger}1") for finger in ("index", "middle", "pinky", "ring")]
    assert_close(posed[:, 22], joints[:, knuckles].mean(1), atol=1e-5, rtol=0)
    assert_close(posed[:, 23], joints[:, [knuckle + 15 for knuckle in knuckles]].mean(1), atol=1e-5, rtol=0)


def test_fewer_betas_and_one_shape_for_many_frames_broadcast(body):
    poses, trans, betas = random_inputs(2)
    padded = torch.cat([betas[0, :3], torch.zeros(7)])
    assert_close(
        body.vertices(poses, trans, betas[0, :3]), body.vertices(poses, trans, padded.expand(4, 10)), atol=1e-5, rtol=0
    )


def test_vertices_have_finite_gradients_in_the_rest_pose(body):
    poses = torch.zeros(24, 3, requires_grad=True)
    betas = torch.zeros(10, requires_grad=True)
    body.vertices(poses, torch.zeros(3), betas).square().sum().backward()
    for gradient in (poses.grad, betas.grad):
        assert torch.isfinite(gradient).all()
        assert gradient.abs().max() > 1


# --- landmarks of the licensed meshes ------------------------------------------------------------------------------


@pytest.mark.parametrize(("num_vertices", "name"), [(6890, "smplh"), (10475, "smplx")])
def test_licensed_meshes_have_the_landmarks_that_smplx_publishes(num_vertices, name):
    vertex_ids = pytest.importorskip("smplx").vertex_ids.vertex_ids[name]
    keypoints = published_keypoints(num_vertices)
    for side, letter in (("left", "l"), ("right", "r")):
        for part in ("eye", "ear"):
            assert keypoints[f"{side}_{part}"] == vertex_ids[letter + part]
        for finger in ("thumb", "index", "middle", "ring", "pinky"):
            assert keypoints[f"{side}_{finger}_tip"] == vertex_ids[letter + finger]
        for part, published in (("heel", "Heel"), ("big_toe", "BigToe"), ("small_toe", "SmallToe")):
            assert keypoints[f"{side}_{part}"] == vertex_ids[letter.upper() + published]
    assert keypoints["nose"] == vertex_ids["nose"]


def test_a_mesh_of_another_size_has_no_landmarks(body, tmp_path):
    np.savez(tmp_path / "other.npz", **model_arrays(body, 24, list(PARENTS)))
    other = load_body(tmp_path / "other.npz")
    assert other.keypoint_names == ()
    assert other.keypoints(other.v_template).shape == (0, 3)


def test_a_body_moves_to_another_device_as_a_whole(body):
    moved = body.to("meta")
    tensors = [value for value in vars(moved).values() if isinstance(value, torch.Tensor)]
    tensors += list(vars(moved.bones).values())
    assert len(tensors) == 15
    assert all(tensor.is_meta for tensor in tensors)


# --- the original pickles ---------------------------------------------------------------------------------------


class _FakeChumpy:
    """Stands for chumpy while a pickle is written: its arrays keep their numbers in `x`, its selections in `a`."""

    def __enter__(self):
        chumpy, ch, reordering = (types.ModuleType(name) for name in ("chumpy", "chumpy.ch", "chumpy.reordering"))
        for module, name in ((ch, "Ch"), (reordering, "Select")):
            kind = type(name, (), {"__module__": module.__name__})
            setattr(module, name, kind)
        self.modules = {"chumpy": chumpy, "chumpy.ch": ch, "chumpy.reordering": reordering}
        sys.modules.update(self.modules)
        return ch.Ch, reordering.Select

    def __exit__(self, *_):
        for name in self.modules:
            del sys.modules[name]


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_an_original_pickle_with_chumpy_and_a_sparse_regressor_is_read(body, tmp_path, protocol):
    from scipy.sparse import csc_matrix

    arrays = model_arrays(body, 24, list(PARENTS))
    with _FakeChumpy() as (array_kind, select_kind):
        content = dict(arrays, J_regressor=csc_matrix(arrays["J_regressor"]), bs_type="lrotmin")
        content["v_template"] = array_kind()
        content["v_template"].x = arrays["v_template"]
        # Some files keep shapedirs as a selection out of a larger array.
        larger = array_kind()
        larger.x = np.concatenate([arrays["shapedirs"], arrays["shapedirs"]], -1)
        content["shapedirs"] = select_kind()
        content["shapedirs"].a = larger
        wanted = np.arange(larger.x.size).reshape(larger.x.shape)[..., :16]
        content["shapedirs"].idxs, content["shapedirs"].preferred_shape = wanted.ravel(), wanted.shape
        (tmp_path / "basicmodel.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
    np.savez(tmp_path / "same.npz", **arrays)
    read, expected = load_body(tmp_path / "basicmodel.pkl"), load_body(tmp_path / "same.npz")
    for field in ("v_template", "shapedirs", "posedirs", "weights", "J_regressor", "faces"):
        assert_close(getattr(read, field), getattr(expected, field))


class _Evil:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_a_pickle_that_names_other_code_is_refused_in_one_line_and_runs_nothing(tmp_path):
    trace = tmp_path / "ran"
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps({"v_template": _Evil(f"touch {trace}")}))
    with pytest.raises(MotionganError, match=r"evil\.pkl: .*asks for .*system") as refusal:
        load_body(tmp_path / "evil.pkl")
    assert "\n" not in str(refusal.value)
    assert not trace.exists()


@pytest.mark.parametrize(
    "content", [b"h5 or text, but no pickle\n", b"", b"garbage", b"\x80\x04\x95", b"(dp0\n", b"\x89HDF"]
)
def test_a_file_that_is_no_body_is_told_what_is_expected(tmp_path, content):
    (tmp_path / "notes.txt").write_bytes(content)
    with pytest.raises(MotionganError, match=r"notes\.txt: not a body file; expected SMPL's, SMPL-H's or") as refusal:
        load_body(tmp_path / "notes.txt")
    assert "\n" not in str(refusal.value)


# --- what is wrong with a file is said ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": None}, "no `weights`"),
        ({"weights": np.zeros((688, 23))}, r"weights has shape \(688, 23\)"),
        ({"weights": np.eye(24)[np.zeros(688, dtype=int)]}, "no vertex moves with left_ankle or left_foot"),
        ({"v_template": np.zeros((5, 3))}, r"v_template has shape \(5, 3\)"),
        ({"posedirs": np.zeros((688, 3, 9))}, r"posedirs has shape"),
        ({"kintree_table": kintree([-1, *range(23)])}, "not SMPL's tree"),
        ({"shapedirs": np.full((688, 3, 10), np.nan)}, "shapedirs` holds NaN"),
        ({"v_template": np.full((688, 3), "a")}, "`v_template` is not an array of numbers"),
        ({"f": np.array([[0, 1, 688]])}, "`f` counts from 0 to 688, but there are 688"),
    ],
)
def test_a_faulty_body_file_is_refused_in_one_line(body, tmp_path, change, message):
    arrays = model_arrays(body, 24, list(PARENTS)) | change
    np.savez(tmp_path / "bad.npz", **{key: array for key, array in arrays.items() if array is not None})
    with pytest.raises(MotionganError, match=rf"bad\.npz: .*{message}") as refusal:
        load_body(tmp_path / "bad.npz")
    assert "\n" not in str(refusal.value)


def test_a_missing_and_a_cut_off_body_file_are_refused(body, tmp_path):
    with pytest.raises(MotionganError, match="no such body file"):
        load_body(tmp_path / "none.npz")
    np.savez(tmp_path / "cut.npz", **model_arrays(body, 24, list(PARENTS)))
    whole = (tmp_path / "cut.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MotionganError, match="not a body file; expected"):
        load_body(tmp_path / "cut.npz")
