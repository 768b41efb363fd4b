"""The body model: SMPL's own arithmetic, every file form it comes in, and the default body's soundness."""

import os
import pickle
import sys
import types

import numpy as np
import pytest
import roma
import torch
from torch.testing import assert_close

from motiongan.body.anatomy import centre_of_mass
from motiongan.body.kinematics import forward_kinematics
from motiongan.body.skeleton import JOINT, MIRROR_JOINTS, PARENTS, SOLE_NAMES
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


@pytest.fixture(scope="module")
def body() -> Body:
    return load_body()


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


@pytest.mark.parametrize("with_posedirs", [False, True])
def test_vertices_and_joints_equal_the_smplx_package(body, tmp_path, with_posedirs):
    smplx = pytest.importorskip("smplx")
    posedirs = np.zeros((body.num_vertices, 3, 207))
    if with_posedirs:
        posedirs = 0.02 * np.random.default_rng(0).standard_normal(posedirs.shape)
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


# --- what is wrong with a file is said ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": None}, "no `weights`"),
        ({"weights": np.zeros((689, 23))}, r"weights has shape \(689, 23\)"),
        ({"weights": np.eye(24)[np.zeros(689, dtype=int)]}, "no vertex moves with left_ankle or left_foot"),
        ({"v_template": np.zeros((5, 3))}, r"v_template has shape \(5, 3\)"),
        ({"posedirs": np.zeros((689, 3, 9))}, r"posedirs has shape"),
        ({"kintree_table": kintree([-1, *range(23)])}, "not SMPL's tree"),
        ({"shapedirs": np.full((689, 3, 10), np.nan)}, "shapedirs` holds NaN"),
        ({"v_template": np.full((689, 3), "a")}, "`v_template` is not an array of numbers"),
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
    with pytest.raises(MotionganError, match="not a readable body file"):
        load_body(tmp_path / "cut.npz")


# --- the default body ------------------------------------------------------------------------------------------


def test_the_default_body_is_a_closed_surface_without_specks(body):
    faces = body.faces.numpy()
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    _, used = np.unique(edges, axis=0, return_counts=True)
    assert (used == 2).all()
    assert len(np.unique(body.v_template.numpy(), axis=0)) == body.num_vertices
    assert np.array_equal(np.unique(faces), np.arange(body.num_vertices))
    corners = body.v_template[body.faces]
    normals = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    volume = (corners[:, 0] * normals).sum() / 6
    assert 0.05 < volume < 0.09  # m^3, positive: faces are counter-clockwise from outside


def test_the_default_body_is_skinned_by_at_most_four_bones_a_vertex(body):
    assert ((body.weights > 0).sum(1) <= 4).all()
    assert_close(body.weights.sum(1), torch.ones(body.num_vertices))
    for regressor in (body.J_regressor, body.sole_regressor):
        assert (regressor >= 0).all()
        assert_close(regressor.sum(1), torch.ones(len(regressor)))


def test_the_default_body_rests_in_smpls_t_pose(body):
    rest = body.skeleton(torch.zeros(10))
    joints = dict(zip(JOINT, rest.rest_joints))
    vertices = body.v_template
    assert 1.66 < vertices[:, 1].max() - vertices[:, 1].min() < 1.74  # stands along +Y, an adult's stature
    for side, sign in (("left", 1), ("right", -1)):
        arm = joints[f"{side}_wrist"] - joints[f"{side}_shoulder"]
        assert sign * arm[0] / arm.norm() > 0.99  # the left arm points to +X
        leg = joints[f"{side}_ankle"] - joints[f"{side}_hip"]
        assert -leg[1] / leg.norm() > 0.99
        foot = joints[f"{side}_foot"] - joints[f"{side}_ankle"]
        assert foot[2] > 0.1  # faces +Z
    ground = vertices[:, 1].min()
    assert (rest.rest_soles[:, 1] - ground).abs().max() < 0.005  # flat feet
    for index, name in enumerate(SOLE_NAMES):
        assert rest.rest_soles[index, 0] * (1 if name.startswith("left") else -1) > 0
    assert rest.leg_length.item() == pytest.approx((joints["pelvis"][1] - ground).item(), abs=0.005)


def test_segment_lengths_of_the_default_bodies_are_those_of_people(body):
    """Against de Leva 1996, table 4, mean of women and men over stature: within 7 %, and 2-6 % between people."""
    betas = torch.randn(500, 10, generator=torch.Generator().manual_seed(0))
    joints = body.skeleton(betas).rest_joints
    vertices = body.rest_vertices(betas)[..., 1]
    stature = vertices.amax(-1) - vertices.amin(-1)
    assert 1.67 < stature.mean() < 1.73
    assert 0.06 < stature.std() < 0.1
    assert 1.35 < stature.min() < stature.max() < 2.1
    published = {
        ("hip", "knee"): (0.4222 / 1.741 + 0.3685 / 1.735) / 2,
        ("knee", "ankle"): (0.4403 / 1.741 + 0.4386 / 1.735) / 2,
        ("shoulder", "elbow"): (0.2817 / 1.741 + 0.2751 / 1.735) / 2,
        ("elbow", "wrist"): (0.2689 / 1.741 + 0.2643 / 1.735) / 2,
    }
    for (start, end), expected in published.items():
        bone = joints[:, JOINT[f"left_{end}"]] - joints[:, JOINT[f"left_{start}"]]
        ratio = bone.norm(dim=-1) / stature
        assert ratio.mean().item() == pytest.approx(expected, rel=0.07), (start, end)
        assert 0.02 < ratio.std() / ratio.mean() < 0.06, (start, end)


def test_joints_of_unusual_bodies_stay_in_the_middle_of_their_limbs(body):
    """Every coefficient 3 deviations out, and all at once 1.5: the joint stays this far (metres) under the skin."""
    signs = torch.randn(60, 10, generator=torch.Generator().manual_seed(1)).sign()
    betas = torch.cat([1.5 * signs, 3 * torch.eye(10), -3 * torch.eye(10)])
    joints, vertices = body.skeleton(betas).rest_joints, body.rest_vertices(betas)
    for name, depth in (("left_knee", 0.035), ("right_knee", 0.035), ("left_elbow", 0.018), ("left_hip", 0.05)):
        distance = (vertices - joints[:, JOINT[name], None]).norm(dim=-1).amin(-1)
        assert distance.min() > depth, name


def test_a_mirrored_pose_gives_the_mirrored_mesh(body):
    poses, _, betas = random_inputs(3, frames=1)
    flip = torch.tensor([-1.0, 1.0, 1.0])
    mirrored = (poses * torch.tensor([1.0, -1.0, -1.0]))[:, list(MIRROR_JOINTS)]
    left = body.vertices(poses * 0.3, torch.zeros(1, 3), betas)[0]
    right = body.vertices(mirrored * 0.3, torch.zeros(1, 3), betas)[0] * flip
    distance = torch.cdist(left[::7], right, compute_mode="donot_use_mm_for_euclid_dist").amin(-1)
    assert distance.max() < 5e-5  # the file is rounded to 0.01 mm


def test_the_mesh_and_the_mass_table_agree_on_the_centre_of_mass(body):
    """The centroid of the skin's volume, arms hanging and one leg forward, against de Leva's segments on the joints."""
    poses = torch.zeros(24, 3)
    poses[JOINT["left_shoulder"], 2], poses[JOINT["right_shoulder"], 2] = -1.3, 1.3
    poses[JOINT["left_hip"], 0], poses[JOINT["left_knee"], 0] = -1.2, 0.8
    betas = torch.zeros(10)
    corners = body.vertices(poses, torch.zeros(3), betas)[body.faces].double()
    volumes = (corners[:, 0] * torch.linalg.cross(corners[:, 1], corners[:, 2])).sum(-1) / 6
    centroid = (corners.sum(1) / 4 * volumes[:, None]).sum(0) / volumes.sum()
    joints = forward_kinematics(roma.rotvec_to_rotmat(poses), torch.zeros(3), body.skeleton(betas)).joints
    assert (centre_of_mass(joints) - centroid).norm() < 0.03
