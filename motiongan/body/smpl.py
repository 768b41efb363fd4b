"""The SMPL body, read from its file: shape coefficients and pose -> skeleton, joints and vertices."""

import io
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import roma
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from motiongan.body.kinematics import BoneShape, Skeleton, forward_kinematics
from motiongan.body.skeleton import JOINT, JOINT_NAMES, NUM_JOINTS, NUM_SOLE_POINTS, PARENTS, SOLE_JOINTS
from motiongan.errors import MotionganError

MAX_BETAS = 10
DEFAULT_BODY = "body.npz"  # in motiongan/assets

# The joints of the published files that stand for our 24 (Loper et al. 2015; Romero et al. 2017, MANO/SMPL+H;
# Pavlakos et al. 2019, SMPL-X): the 22 body joints come first in all of them.
_HEAD, _LEFT_HAND, _RIGHT_HAND = JOINT["head"], JOINT["left_hand"], JOINT["right_hand"]
_BODY_JOINTS = tuple(range(22))
_HAND_JOINTS = 15  # index, middle, pinky, ring, thumb with three joints each
_FINGER_BASES = (0, 3, 6, 9)  # of a hand's 15 joints: the knuckles, without the thumb
_MODEL_NAMES = {24: "smpl", 52: "smplh", 55: "smplx"}
_FIRST_HAND_JOINT = {52: 22, 55: 25}  # SMPL-X puts jaw and eyes (22-24) before the hands


@dataclass(frozen=True, eq=False)
class Body:
    """A body model in SMPL's form: a rest mesh, what shape and pose do to it, and how its bones carry it.

    Rest axes are SMPL's: T-pose, Y up, facing +Z, left side +X, metres.

    name            whose betas these are: "motiongan", "smpl", "smplh" or "smplx"
    v_template      (vertices, 3) the mean body at rest
    shapedirs       (vertices, 3, betas) metres per unit of each shape coefficient
    posedirs        (vertices, 3, 9 x joints) pose correctives, or None; columns follow joints 1, 2, ...
    weights         (vertices, 24) skinning weights, each row sums to 1
    faces           (faces, 3) vertex numbers, counter-clockwise from outside
    J_regressor     (24, vertices) the joints as convex combinations of rest vertices
    sole_regressor  (4, vertices) the same for the points a foot stands on, order of `SOLE_NAMES`
    bones           both regressors applied to v_template and shapedirs: the rest skeleton for any betas
    """

    name: str
    v_template: Float[Tensor, "vertices 3"]
    shapedirs: Float[Tensor, "vertices 3 betas"]
    posedirs: Float[Tensor, "vertices 3 pose_features"] | None
    weights: Float[Tensor, "vertices 24"]
    J_regressor: Float[Tensor, "24 vertices"]
    sole_regressor: Float[Tensor, "4 vertices"]
    faces: Int[Tensor, "faces 3"]
    bones: BoneShape

    @property
    def num_betas(self) -> int:
        return self.shapedirs.shape[-1]

    @property
    def num_vertices(self) -> int:
        return len(self.v_template)

    @property
    def parents(self) -> tuple[int, ...]:
        """Parent of every joint, -1 for the root: the same tree for every body."""
        return PARENTS

    @property
    def part(self) -> Int[Tensor, "vertices"]:
        """The joint that moves each vertex most."""
        return self.weights.argmax(-1)

    def to(self, device: torch.device | str) -> "Body":
        tensors = {field.name: getattr(self, field.name) for field in fields(self)}
        moved: dict[str, Any] = {
            name: tensor.to(device) for name, tensor in tensors.items() if isinstance(tensor, torch.Tensor)
        }
        moved["bones"] = BoneShape(*(getattr(self.bones, field.name).to(device) for field in fields(self.bones)))
        return replace(self, **moved)

    def skeleton(self, betas: Float[Tensor, "*batch used"]) -> Skeleton:
        """The bones of these shapes at rest. Fewer betas than the body has leave the others at 0."""
        return self.bones.skeleton(betas)

    def rest_vertices(self, betas: Float[Tensor, "*batch used"]) -> Float[Tensor, "*batch vertices 3"]:
        """The mesh of these shapes in the T-pose, metres."""
        used = betas.shape[-1]
        assert used <= self.num_betas, f"{used} betas for a body with {self.num_betas}"
        return self.v_template + torch.einsum("vcb,...b->...vc", self.shapedirs[..., :used], betas)

    def vertices(
        self,
        poses: Float[Tensor, "*batch 24 3"],
        trans: Float[Tensor, "*batch 3"],
        betas: Float[Tensor, "*#batch used"],
    ) -> Float[Tensor, "*batch vertices 3"]:
        """World vertices, metres, by linear blend skinning of the shaped and pose-corrected rest mesh.

        poses   local axis-angle rotations, radians
        Source: Loper et al. 2015 (SMPL), Eqs. 2-9; as there, the root turns about the rest pelvis.
        """
        rotations = roma.rotvec_to_rotmat(poses)
        skeleton = self.skeleton(betas)
        rest = self.rest_vertices(betas)
        if self.posedirs is not None:
            num_joints = self.posedirs.shape[-1] // 9
            identity = torch.eye(3, dtype=poses.dtype, device=poses.device)
            pose_feature = (rotations[..., 1 : 1 + num_joints, :, :] - identity).flatten(-3)
            rest = rest + (pose_feature @ self.posedirs.flatten(0, 1).T).unflatten(-1, (self.num_vertices, 3))
        posed = forward_kinematics(rotations, trans, skeleton)
        # Each bone moves a rest point p to rotation @ p + offset; a vertex mixes its bones' motions by its weights.
        offsets = posed.joints - (posed.rotations @ skeleton.rest_joints.unsqueeze(-1)).squeeze(-1)
        motion = torch.cat([posed.rotations, offsets.unsqueeze(-1)], -1)  # (*batch, 24, 3, 4)
        motion = (self.weights @ motion.flatten(-2)).unflatten(-1, (3, 4))  # (*batch, vertices, 3, 4)
        return (motion[..., :3] @ rest.unsqueeze(-1)).squeeze(-1) + motion[..., 3]


def load_body(path: str | Path | None = None) -> Body:
    """The body of a file: SMPL, SMPL-H or SMPL-X as .npz or as the original .pkl; None is the default body.

    Finger joints merge into the hands, jaw and eyes into the head, so that every body has our 24 joints; the first
    10 shape coefficients are kept. A pickle is read without running any code that it names.
    """
    if path is None:
        with resources.as_file(resources.files("motiongan.assets") / DEFAULT_BODY) as default:
            return _body_from_arrays(_read_npz(default), default)
    path = Path(path)
    if not path.is_file():
        raise MotionganError(f"{path}: no such body file; give SMPL's, SMPL-H's or SMPL-X's .npz or .pkl")
    arrays = _read_npz(path) if zipfile.is_zipfile(path) else _read_pickle(path)
    return _body_from_arrays(arrays, path)


# What a body file must hold, and what it may hold.
_REQUIRED = ("v_template", "shapedirs", "weights", "J_regressor", "f", "kintree_table")
_OPTIONAL = ("posedirs", "sole_regressor", "name")


def _read_npz(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in (*_REQUIRED, *_OPTIONAL) if key in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise MotionganError(f"{path}: not a readable body file ({error})") from None


def _body_from_arrays(arrays: Mapping[str, Any], path: Path) -> Body:
    """Check the arrays of a SMPL, SMPL-H or SMPL-X file and reduce them to our 24 joints."""
    missing = [key for key in _REQUIRED if key not in arrays]
    if missing:
        raise MotionganError(f"{path}: no `{missing[0]}` in it; expected a SMPL, SMPL-H or SMPL-X body model")
    v_template = _real(arrays["v_template"], path, "v_template")
    weights = _real(arrays["weights"], path, "weights")
    regressor = _real(arrays["J_regressor"], path, "J_regressor")
    shapedirs = _real(arrays["shapedirs"], path, "shapedirs")
    num_vertices, num_joints = weights.shape if weights.ndim == 2 else (0, 0)
    if num_joints not in _MODEL_NAMES:
        raise MotionganError(
            f"{path}: weights has shape {weights.shape}; expected 24 (SMPL), 52 (SMPL-H) or 55 (SMPL-X) joints"
        )
    expected = {
        "v_template": (v_template, (num_vertices, 3)),
        "J_regressor": (regressor, (num_joints, num_vertices)),
        "shapedirs": (shapedirs[..., 0] if shapedirs.ndim == 3 else shapedirs, (num_vertices, 3)),
    }
    for key, (array, shape) in expected.items():
        if array.shape != shape:
            raise MotionganError(f"{path}: {key} has shape {array.shape}, which does not fit weights {weights.shape}")
    tree = np.asarray(arrays["kintree_table"])[0, 1 : len(_BODY_JOINTS)].astype(np.int64)
    if tuple(tree) != PARENTS[1 : len(_BODY_JOINTS)]:
        raise MotionganError(f"{path}: kintree_table is not SMPL's tree of joints")

    posedirs = None
    if "posedirs" in arrays:
        posedirs = _real(arrays["posedirs"], path, "posedirs")
        if posedirs.shape != (num_vertices, 3, 9 * (num_joints - 1)):
            raise MotionganError(f"{path}: posedirs has shape {posedirs.shape}, which does not fit {weights.shape}")
        # Hands stay at rest, so the fingers' correctives never act; SMPL's own hand joints (22, 23) are ours.
        posedirs = posedirs[..., : 9 * ((NUM_JOINTS if num_joints == NUM_JOINTS else len(_BODY_JOINTS)) - 1)]
    shapedirs = shapedirs[..., :MAX_BETAS]
    regressor, weights = _reduce_joints(regressor, weights)
    if "sole_regressor" in arrays:
        sole_regressor = _real(arrays["sole_regressor"], path, "sole_regressor")
    else:
        try:
            sole_regressor = find_soles(v_template, weights, regressor @ v_template)
        except ValueError as error:
            raise MotionganError(f"{path}: {error}: where are the feet?") from None
    name = str(arrays["name"]) if "name" in arrays else _MODEL_NAMES[num_joints]

    def linear_in_betas(points: ndarray) -> tuple[Tensor, Tensor]:
        directions = points @ shapedirs.reshape(num_vertices, -1)
        return _tensor(points @ v_template), _tensor(directions.reshape(len(points), 3, -1))

    return Body(
        name=name,
        v_template=_tensor(v_template),
        shapedirs=_tensor(shapedirs),
        posedirs=None if posedirs is None else _tensor(posedirs),
        weights=_tensor(weights),
        J_regressor=_tensor(regressor),
        sole_regressor=_tensor(sole_regressor),
        faces=torch.from_numpy(np.asarray(arrays["f"]).astype(np.int64)),
        bones=BoneShape(*linear_in_betas(regressor), *linear_in_betas(sole_regressor)),
    )


def _reduce_joints(regressor: ndarray, weights: ndarray) -> tuple[ndarray, ndarray]:
    """Joint regressor (joints, vertices) and weights (vertices, joints) of SMPL-H or SMPL-X for our 24 joints."""
    num_joints = len(regressor)
    if num_joints == NUM_JOINTS:
        return regressor, weights
    first_hand = _FIRST_HAND_JOINT[num_joints]
    groups: list[list[int]] = [[joint] for joint in _BODY_JOINTS]
    groups[_HEAD] += list(range(len(_BODY_JOINTS), first_hand))  # SMPL-X: jaw and eyes
    new_regressor, new_weights = np.zeros((NUM_JOINTS, weights.shape[0])), np.zeros((weights.shape[0], NUM_JOINTS))
    for joint, members in enumerate(groups):
        new_regressor[joint] = regressor[joint]
        new_weights[:, joint] = weights[:, members].sum(-1)
    for joint, start in ((_LEFT_HAND, first_hand), (_RIGHT_HAND, first_hand + _HAND_JOINTS)):
        new_regressor[joint] = regressor[[start + finger for finger in _FINGER_BASES]].mean(0)
        new_weights[:, joint] = weights[:, start : start + _HAND_JOINTS].sum(-1)
    return new_regressor, new_weights


def find_soles(v_template: ndarray, weights: ndarray, joints: ndarray) -> ndarray:
    """(4, vertices) the sole points as means of a few rest vertices, for bodies whose file names none.

    The heel is the mean of the vertices behind the ankle, the ball that of the vertices within 2.5 cm before or behind
    the foot joint: of each region only the skin that touches the ground, the lowest 4 mm.
    """
    main = weights.argmax(-1)
    regressor = np.zeros((NUM_SOLE_POINTS, len(v_template)))
    for index, joint in enumerate(SOLE_JOINTS):
        is_heel = joint in (JOINT["left_ankle"], JOINT["right_ankle"])
        ankle, ball = (joint, joint + 3) if is_heel else (joint - 3, joint)
        foot = np.isin(main, (ankle, ball))
        if not foot.any():
            raise ValueError(f"no vertex moves with {JOINT_NAMES[ankle]} or {JOINT_NAMES[ball]}")
        ahead = v_template[:, 2] - joints[joint, 2]
        near = foot & (ahead < 0) if is_heel else foot & (np.abs(ahead) < 0.025)
        candidates = np.flatnonzero(near if near.any() else foot)
        height = v_template[candidates, 1]
        lowest = candidates[height < height.min() + 0.004]
        regressor[index, lowest] = 1 / len(lowest)
    return regressor


def _tensor(array: ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))


def _real(value: Any, path: Path, key: str) -> ndarray:
    """The value as a dense float64 array; chumpy arrays and sparse matrices unfold."""
    if isinstance(value, _PickledObject):
        value = value.as_array()
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise MotionganError(f"{path}: `{key}` is not an array of numbers") from None
    if not np.isfinite(array).all():
        raise MotionganError(f"{path}: `{key}` holds NaN or infinity")
    return array


class _PickledObject:
    """Stands in for a chumpy array or a scipy sparse matrix: keeps the pickled state, runs nothing."""

    def __init__(self, *_: object) -> None:
        pass

    def as_array(self) -> ndarray | None:
        state = self.__dict__
        if "indptr" in state:  # compressed sparse columns or rows
            shape = state["_shape"] if "_shape" in state else state["shape"]
            by_row = isinstance(self, _SparseRows)
            lines = np.repeat(np.arange(len(state["indptr"]) - 1), np.diff(state["indptr"]))
            dense = np.zeros(tuple(shape))
            rows, columns = (lines, state["indices"]) if by_row else (state["indices"], lines)
            np.add.at(dense, (rows, columns), state["data"])
            return dense
        if "x" in state:  # chumpy.Ch
            return _unfold(state["x"])
        if "a" in state and "idxs" in state:  # chumpy.reordering.Select: some elements of another array
            return _unfold(state["a"]).ravel()[state["idxs"]].reshape(state["preferred_shape"])
        return None


class _SparseRows(_PickledObject):
    pass


def _unfold(value: Any) -> ndarray:
    return np.asarray(value.as_array() if isinstance(value, _PickledObject) else value)


def _reconstructor(kind: type, base: type, state: object) -> _PickledObject:
    """copyreg._reconstructor for the stand-ins only: old pickles build every object through it."""
    if not (isinstance(kind, type) and issubclass(kind, _PickledObject)):
        raise pickle.UnpicklingError("an object of a class that a body file does not need")
    return kind()


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """_codecs.encode, by which Python 3 writes bytes into old pickle protocols."""
    return text.encode("latin1" if encoding == "latin1" else "ascii")


class _BodyUnpickler(pickle.Unpickler):
    """Reads the original SMPL pickles; a class or function outside the list ends the reading."""

    def find_class(self, module: str, name: str) -> Any:
        package = module.split(".")[0]
        if package == "chumpy":
            return _PickledObject
        if module.startswith("scipy.sparse") and name in ("csc_matrix", "csr_matrix", "csc_array", "csr_array"):
            return _SparseRows if name.startswith("csr") else _PickledObject
        if package == "numpy" and name in ("_reconstruct", "scalar") and module.endswith("core.multiarray"):
            core = np._core if hasattr(np, "_core") else np.core  # numpy 2 renamed it
            return getattr(core.multiarray, name)
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        if name == "_reconstructor" and module in ("copy_reg", "copyreg"):
            return _reconstructor
        if name == "object" and module in ("__builtin__", "builtins"):
            return object
        if (module, name) == ("_codecs", "encode"):
            return _encode
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which a body file does not need")


def _read_pickle(path: Path) -> dict[str, Any]:
    try:
        content = _BodyUnpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except Exception as error:  # a pickle can fail in any way; whatever it is, the file cannot be used
        raise MotionganError(f"{path}: not a readable body file ({error})") from None
    if not isinstance(content, dict):
        raise MotionganError(f"{path}: not a body file: it holds no dictionary of arrays")
    return {key: content[key] for key in (*_REQUIRED, *_OPTIONAL) if key in content}
