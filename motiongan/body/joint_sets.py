"""The joint sets of others: their names, order, sides, and how each joint comes from our joints and skin.

This is the one place that says what "the left hip" of COCO or Human3.6M is on our bodies, and how far that is from
theirs. Nothing is invented: a point that a body file does not define (a nose, where it names no landmarks) is missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import roma
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from motiongan.body.kinematics import BoneShape, forward_kinematics
from motiongan.body.skeleton import JOINT, JOINT_NAMES, NUM_JOINTS, PARENTS
from motiongan.body.smpl import Body


@dataclass(frozen=True)
class Point:
    """One point of a joint set as a weighted sum of our joints and of the body's landmarks; the weights sum to 1.

    parent   the point it hangs on in drawings and bone lengths; "" for the root
    """

    parent: str
    joints: Mapping[str, float]
    landmarks: Mapping[str, float]


@dataclass(frozen=True)
class JointSet:
    """The joints of a data set, in its order.

    points   name -> how it comes from ours; names of sides begin with left_ and right_
    """

    name: str
    points: Mapping[str, Point]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.points)

    @property
    def parents(self) -> tuple[int, ...]:
        """Index of each point's parent, -1 for the root."""
        names = self.names
        return tuple(names.index(point.parent) if point.parent else -1 for point in self.points.values())

    @property
    def mirror(self) -> tuple[int, ...]:
        """Index of each point's counterpart on the other side, its own on the midline: what a flipped picture needs."""
        names, other = self.names, {"left": "right", "right": "left"}
        sides = [(name, *name.partition("_")) for name in names]
        return tuple(names.index(f"{other[side]}_{rest}" if side in other else name) for name, side, _, rest in sides)

    @property
    def left(self) -> tuple[int, ...]:
        return tuple(index for index, name in enumerate(self.names) if name.startswith("left_"))

    @property
    def right(self) -> tuple[int, ...]:
        """The counterparts of `left`, in the same order."""
        return tuple(self.mirror[index] for index in self.left)

    def known(self, body: Body) -> Bool[Tensor, "points"]:
        """Which points the body has: all but those of landmarks that its file does not name."""
        has = set(body.keypoint_names)
        return torch.tensor([has.issuperset(point.landmarks) for point in self.points.values()])

    def weights(self, body: Body) -> tuple[Float[Tensor, "points 24"], Float[Tensor, "points vertices"]]:
        """Each point's weights over the posed joints and over the posed vertices; zeros for points that are missing."""
        joints = torch.zeros(len(self.points), NUM_JOINTS)
        vertices = torch.zeros(len(self.points), body.num_vertices)
        for row, (point, known) in enumerate(zip(self.points.values(), self.known(body))):
            for name, weight in point.joints.items() if known else ():
                joints[row, JOINT[name]] += weight
            for name, weight in point.landmarks.items() if known else ():
                vertices[row, body.keypoint_vertices[body.keypoint_names.index(name)]] += weight
        return joints, vertices

    def place(
        self,
        body: Body,
        poses: Float[Tensor, "*batch 24 3"],
        trans: Float[Tensor, "*batch 3"],
        betas: Float[Tensor, "*#batch used"],
    ) -> Float[Tensor, "*batch points 3"]:
        """World positions of the points, metres; NaN for points that the body does not have.

        poses   local axis-angle rotations, radians
        Of the mesh only the vertices that are landmarks are skinned.
        """
        joint_weights, vertex_weights = self.weights(body)
        bones = BoneShape(*(getattr(body.bones, field.name).to(poses) for field in fields(BoneShape)))
        posed = forward_kinematics(roma.rotvec_to_rotmat(poses), trans, bones.skeleton(betas))
        placed = joint_weights.to(poses) @ posed.joints
        used = (vertex_weights != 0).any(0).nonzero().squeeze(-1)  # on the CPU, as the body is
        if len(used):
            landmarks = replace(
                body,
                v_template=body.v_template[used].to(poses),
                shapedirs=body.shapedirs[used].to(poses),
                posedirs=None if body.posedirs is None else body.posedirs[used].to(poses),
                weights=body.weights[used].to(poses),
                J_regressor=body.J_regressor[:, used],  # not used again: `bones` gives the joints
                sole_regressor=body.sole_regressor[:, used],
                bones=bones,
            )
            placed = placed + vertex_weights[:, used].to(poses) @ landmarks.vertices(poses, trans, betas)
        return torch.where(self.known(body)[:, None].to(poses.device), placed, torch.nan)


def _joint(parent: str, *joints: str) -> Point:
    """The mean of some of our joints."""
    return Point(parent, dict.fromkeys(joints, 1 / len(joints)), {})


def _landmark(parent: str, name: str) -> Point:
    return Point(parent, {}, {name: 1.0})


def _smpl24() -> JointSet:
    points = {
        name: _joint(JOINT_NAMES[parent] if parent >= 0 else "", name) for name, parent in zip(JOINT_NAMES, PARENTS)
    }
    return JointSet("smpl24", points)


def _coco17() -> JointSet:
    """COCO's keypoints (T.-Y. Lin et al. 2014, https://cocodataset.org/#keypoints-2020), in its order: left first.

    Face: the body's landmarks. Others: our joints. COCO's are what annotators click, not joint centres, and no exact
    map exists. How far apart they are is estimated, not measured, for no pictures with both are at hand: their hips up
    to 5 cm higher and further out than ours, their shoulders about 2 cm.
    """
    points = {
        "nose": _landmark("", "nose"),
        "left_eye": _landmark("nose", "left_eye"),
        "right_eye": _landmark("nose", "right_eye"),
        "left_ear": _landmark("left_eye", "left_ear"),
        "right_ear": _landmark("right_eye", "right_ear"),
    }
    chain = {
        "shoulder": "ear",
        "elbow": "shoulder",
        "wrist": "elbow",
        "hip": "shoulder",
        "knee": "hip",
        "ankle": "knee",
    }
    for joint, parent in chain.items():
        for side in ("left", "right"):
            points[f"{side}_{joint}"] = _joint(f"{side}_{parent}", f"{side}_{joint}")
    return JointSet("coco17", points)


# How much wider than ours Human3.6M's hips are. Theirs lie 133 mm from the middle on legs (hip to ankle) of 897 mm;
# 1.5 gives 126 and 103 mm on legs of 820 and 775 mm, the default body's and SMPL's, where the ratio asks for 122, 115.
_H36M_HIP_WIDTH = 1.5


def _h36m17() -> JointSet:
    """Human3.6M's 17 joints as pose lifters order them (VideoPose3D, MMPose, MotionBERT): the right leg first.

    C. Ionescu et al. 2014; order: VideoPose3D's h36m_dataset.py after its static joints are removed. Theirs is a
    motion capture skeleton. Its rest pose (subject 1), scaled to the default body's legs, differs from ours by: hips
    and knees under 1 cm, ankles 5 cm (ours lie further back), spine 3 cm, thorax, neck and head 5-6 cm (that
    subject's trunk is short), shoulders and elbows 5 cm, wrists 8 cm (ours are further out in the T-pose).
    root        the middle of our hips, not our pelvis joint, which lies 9 cm higher
    hips        ours, 1.5 times as far apart
    spine       the middle of spine1 and spine2: 0.48 of the way from root to thorax, as theirs
    thorax      the middle of our collars; neck_base (also called neck, nose or jaw): our head joint
    head        halfway from our head joint to the top of the head, which theirs does not reach either
    """
    wide, narrow = (1 + _H36M_HIP_WIDTH) / 2, (1 - _H36M_HIP_WIDTH) / 2

    def leg(side: str, other: str) -> dict[str, Point]:
        return {
            f"{side}_hip": Point("root", {f"{side}_hip": wide, f"{other}_hip": narrow}, {}),
            f"{side}_knee": _joint(f"{side}_hip", f"{side}_knee"),
            f"{side}_ankle": _joint(f"{side}_knee", f"{side}_ankle"),
        }

    def arm(side: str) -> dict[str, Point]:
        chain = {"shoulder": "thorax", "elbow": f"{side}_shoulder", "wrist": f"{side}_elbow"}
        return {f"{side}_{joint}": _joint(parent, f"{side}_{joint}") for joint, parent in chain.items()}

    return JointSet(
        "h36m17",
        {
            "root": _joint("", "left_hip", "right_hip"),
            **leg("right", "left"),
            **leg("left", "right"),
            "spine": _joint("root", "spine1", "spine2"),
            "thorax": _joint("spine", "left_collar", "right_collar"),
            "neck_base": _joint("thorax", "head"),
            "head": Point("neck_base", {"head": 0.5}, {"head_top": 0.5}),
            **arm("left"),
            **arm("right"),
        },
    )


def _mpi_inf_3dhp17() -> JointSet:
    """MPI-INF-3DHP's 17 joints in the order of its test set: the head first, the right arm before the left.

    D. Mehta et al. 2017 (3DV), arXiv 1611.09813; order, tree and sides: MMPose's configs/_base_/datasets/
    mpi_inf_3dhp.py. Theirs is the skeleton of a markerless capture, which is not published at rest: the distances are
    not measured. By the joints' names, and as others map them (MMHuman3D: its spine is Human3.6M's, its neck the
    throat), they should be those of `h36m17`: an estimate of 3-6 cm at trunk and head and up to 8 cm at the limbs,
    whose points the two sets share but for the hips.
    root        the middle of our hips; spine: the middle of spine1 and spine2, as in `h36m17`
    hips        ours, not spread: it has them as joint centres
    neck        our neck joint, at the throat; head: our head joint, at the jaw
    head_top    the body's landmark
    """
    points = {"head_top": _landmark("head", "head_top"), "neck": _joint("spine", "neck")}
    for side in ("right", "left"):
        points[f"{side}_shoulder"] = _joint("neck", f"{side}_shoulder")
        points[f"{side}_elbow"] = _joint(f"{side}_shoulder", f"{side}_elbow")
        points[f"{side}_wrist"] = _joint(f"{side}_elbow", f"{side}_wrist")
    for side in ("right", "left"):
        points[f"{side}_hip"] = _joint("root", f"{side}_hip")
        points[f"{side}_knee"] = _joint(f"{side}_hip", f"{side}_knee")
        points[f"{side}_ankle"] = _joint(f"{side}_knee", f"{side}_ankle")
    points["root"] = _joint("", "left_hip", "right_hip")
    points["spine"] = _joint("root", "spine1", "spine2")
    points["head"] = _joint("neck", "head")
    return JointSet("mpi_inf_3dhp17", points)


JOINT_SETS: dict[str, JointSet] = {each.name: each for each in (_smpl24(), _coco17(), _h36m17(), _mpi_inf_3dhp17())}


_RIG_MIDDLE = {
    "pelvis": "Hips",
    "spine1": "Spine",
    "spine2": "Spine1",
    "spine3": "Spine2",
    "neck": "Neck",
    "head": "Head",
}
_RIG_SIDE = {
    "hip": "UpLeg",
    "knee": "Leg",
    "ankle": "Foot",
    "foot": "ToeBase",
    "collar": "Shoulder",
    "shoulder": "Arm",
    "elbow": "ForeArm",
    "wrist": "Hand",
    "hand": "HandMiddle1",
}


def _rig_name(joint: str) -> str:
    side, _, part = joint.partition("_")
    return side.capitalize() + _RIG_SIDE[part] if part else _RIG_MIDDLE[joint]


# What animation tools call our 24 joints: MotionBuilder's and Mixamo's names, from which Blender's add-ons, Unity and
# Unreal find a humanoid by themselves. A joint is called after the bone that starts there: LeftArm = left_shoulder.
RIG_NAMES: tuple[str, ...] = tuple(_rig_name(joint) for joint in JOINT_NAMES)
