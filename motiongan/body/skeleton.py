"""The SMPL skeleton: joint names, tree, left/right pairs and the four points a foot stands on."""

from collections.abc import Sequence

JOINT_NAMES: tuple[str, ...] = (
    "pelvis",
    "left_hip",
    "right_hip",
    "spine1",
    "left_knee",
    "right_knee",
    "spine2",
    "left_ankle",
    "right_ankle",
    "spine3",
    "left_foot",
    "right_foot",
    "neck",
    "left_collar",
    "right_collar",
    "head",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hand",
    "right_hand",
)
NUM_JOINTS = len(JOINT_NAMES)
JOINT: dict[str, int] = {name: index for index, name in enumerate(JOINT_NAMES)}

# Parent of every joint, -1 for the root; a parent always comes before its children.
PARENTS: tuple[int, ...] = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)

# The hands' own joints (22, 23) stay at rest: AMASS keeps their motion in finger joints, which we do not model.
NUM_MOVING_JOINTS = 22

# Sole points: where a foot meets the ground, two per foot. The heel moves with the ankle, the ball with the foot joint.
SOLE_NAMES: tuple[str, ...] = ("left_heel", "right_heel", "left_ball", "right_ball")
SOLE_JOINTS: tuple[int, ...] = (7, 8, 10, 11)
NUM_SOLE_POINTS = len(SOLE_NAMES)


def _mirrored(names: Sequence[str]) -> tuple[int, ...]:
    def other(name: str) -> str:
        if name.startswith("left_"):
            return "right_" + name.removeprefix("left_")
        return "left_" + name.removeprefix("right_") if name.startswith("right_") else name

    return tuple(names.index(other(name)) for name in names)


# Index of each joint's (sole point's) counterpart on the other side; its own index on the midline.
MIRROR_JOINTS: tuple[int, ...] = _mirrored(JOINT_NAMES)
MIRROR_SOLE: tuple[int, ...] = _mirrored(SOLE_NAMES)
