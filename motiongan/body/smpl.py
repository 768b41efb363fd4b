"""The SMPL body, read from its file: shape coefficients and pose -> skeleton, joints and vertices."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import roma
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from motiongan.body.keypoints import published_keypoints
from motiongan.body.kinematics import BoneShape, Skeleton, forward_kinematics
from motiongan.body.skeleton import JOINT, JOINT_NAMES, NUM_JOINTS, NUM_SOLE_POINTS, PARENTS, SOLE_JOINTS
from motiongan.body.smpl_pickle import read_pickle, unfold
from motiongan.errors import MotionganError

MAX_BETAS = 10
GENDERS = ("neutral", "female", "male")
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
    keypoint_names, keypoint_vertices   landmarks of the skin (nose, left_ear, ...) and the vertex that stands for
                    each; none for a mesh whose landmarks nobody has published
    gender_betas    (3, betas) the typical shape of each of `GENDERS`; zeros for the licensed bodies, whose files are
                    of one gender each
    texture_coordinates, texture_faces   (points, 2) places in a texture, u to the right and v up from its lower left
                    corner, and their numbers for the corners of `faces`; None where the file has none
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
    keypoint_names: tuple[str, ...]
    keypoint_vertices: Int[Tensor, "keypoints"]
    gender_betas: Float[Tensor, "3 betas"]
    texture_coordinates: Float[Tensor, "points 2"] | None
    texture_faces: Int[Tensor, "faces 3"] | None

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

    def keypoints(self, vertices: Float[Tensor, "*batch vertices 3"]) -> Float[Tensor, "*batch keypoints 3"]:
        """The landmarks of `keypoint_names` on a posed mesh, in the axes and the unit of `vertices`."""
        return vertices[..., self.keypoint_vertices, :]

    def typical_betas(self, gender: str) -> Float[Tensor, "betas"]:
        """The shape of a typical person of this gender, to draw others around: one of `GENDERS`."""
        return self.gender_betas[GENDERS.index(gender)]

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
        Fastest in pieces of 16 to 64 frames, which stay in the processor's cache.
        """
        rotations = roma.rotvec_to_rotmat(poses)
        skeleton = self.skeleton(betas)
        rest = self.rest_vertices(betas)
        if self.posedirs is not None:
            vertices, columns, directions = self._active_posedirs
            identity = torch.eye(3, dtype=poses.dtype, device=poses.device)
            pose_feature = (rotations[..., 1:, :, :] - identity).flatten(-3)[..., columns]
            correction = (pose_feature @ directions.flatten(0, 1).T).unflatten(-1, directions.shape[:2])
            rest = rest.expand(*correction.shape[:-2], *rest.shape[-2:]).index_add(-2, vertices, correction)
        posed = forward_kinematics(rotations, trans, skeleton)
        # Each bone moves a rest point p to rotation @ p + offset; a vertex mixes its bones' motions by its weights.
        offsets = posed.joints - (posed.rotations @ skeleton.rest_joints.unsqueeze(-1)).squeeze(-1)
        motion = torch.cat([posed.rotations, offsets.unsqueeze(-1)], -1)  # (*batch, 24, 3, 4)
        motion = (self.weights @ motion.flatten(-2)).unflatten(-1, (3, 4))  # (*batch, vertices, 3, 4)
        return (motion[..., :3] @ rest.unsqueeze(-1)).squeeze(-1) + motion[..., 3]

    @cached_property
    def _active_posedirs(self) -> tuple[Tensor, Tensor, Tensor]:
        """The vertices and the pose features that `posedirs` couples at all, and their part of it.

        The default body corrects the skin around some joints only: less than half of the matrix.
        """
        assert self.posedirs is not None
        used = self.posedirs != 0
        vertices, columns = (part.nonzero().squeeze(-1) for part in (used.any(2).any(1), used.any(1).any(0)))
        return vertices, columns, self.posedirs[vertices][:, :, columns]


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
    arrays = _read_npz(path) if zipfile.is_zipfile(path) else read_pickle(path, (*_REQUIRED, *_OPTIONAL))
    return _body_from_arrays(arrays, path)


# What a body file must hold, and what it may hold.
_REQUIRED = ("v_template", "shapedirs", "weights", "J_regressor", "f", "kintree_table")
_OPTIONAL = ("posedirs", "sole_regressor", "name", "keypoint_names", "keypoint_vertices", "gender_betas", "vt", "ft")


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
    faces = _numbers_below(num_vertices, arrays["f"], path, "f")
    if "keypoint_names" in arrays and "keypoint_vertices" in arrays:
        numbers = _numbers_below(num_vertices, arrays["keypoint_vertices"], path, "keypoint_vertices")
        keypoints = dict(zip(arrays["keypoint_names"].tolist(), numbers.tolist()))
    else:
        keypoints = published_keypoints(num_vertices)
    gender_betas = _real(
        arrays.get("gender_betas", np.zeros((len(GENDERS), shapedirs.shape[-1]))), path, "gender_betas"
    )
    texture, texture_faces = None, None
    if "vt" in arrays and "ft" in arrays and np.shape(arrays["ft"]) == faces.shape:
        texture = _real(arrays["vt"], path, "vt")
        texture_faces = _numbers_below(len(texture), arrays["ft"], path, "ft")

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
        faces=torch.from_numpy(faces),
        bones=BoneShape(*linear_in_betas(regressor), *linear_in_betas(sole_regressor)),
        keypoint_names=tuple(keypoints),
        keypoint_vertices=torch.tensor(list(keypoints.values()), dtype=torch.int64),
        gender_betas=_tensor(gender_betas),
        texture_coordinates=None if texture is None else _tensor(texture),
        texture_faces=None if texture_faces is None else torch.from_numpy(texture_faces),
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


def _numbers_below(count: int, value: Any, path: Path, key: str) -> ndarray:
    """The value as int64 indices into `count` things."""
    numbers = _real(value, path, key).astype(np.int64)
    if numbers.size and not 0 <= numbers.min() <= numbers.max() < count:
        raise MotionganError(f"{path}: `{key}` counts from {numbers.min()} to {numbers.max()}, but there are {count}")
    return numbers


def _real(value: Any, path: Path, key: str) -> ndarray:
    """The value as a dense float64 array; chumpy arrays and sparse matrices unfold."""
    try:
        array = np.asarray(unfold(value), dtype=np.float64)
    except (TypeError, ValueError):
        raise MotionganError(f"{path}: `{key}` is not an array of numbers") from None
    if not np.isfinite(array).all():
        raise MotionganError(f"{path}: `{key}` holds NaN or infinity")
    return array
