"""Joint maps: which joint of a foreign skeleton plays the part of each SMPL joint.

The table is chosen by the names in the file. Names are compared without their common prefix ("mixamorig:",
"Character1_") and without regard to case.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from motiongan.body.skeleton import JOINT_NAMES
from motiongan.errors import MotionganError, did_you_mean

# The hands' own joints stay at rest, so no table names them.
MAPPED_JOINTS: tuple[str, ...] = tuple(name for name in JOINT_NAMES if not name.endswith("_hand"))

# Without these there is no telling how the body stands; the others rest at their parent where a table lacks them.
REQUIRED_JOINTS: tuple[str, ...] = (
    "pelvis",
    *(f"{side}_{joint}" for side in ("left", "right") for joint in ("hip", "knee", "ankle", "shoulder", "elbow")),
    *("left_wrist", "right_wrist", "head"),
)

# Joints that are the same anatomical point in every skeleton. Spines, necks and collars are cut up differently.
LIMB_LANDMARKS: tuple[str, ...] = tuple(
    f"{side}_{joint}"
    for side in ("left", "right")
    for joint in ("hip", "knee", "ankle", "foot", "shoulder", "elbow", "wrist")
)


@dataclass(frozen=True)
class JointMap:
    """A table of SMPL joint name -> source joint names.

    joints      several source joints are composed into the one SMPL joint: it stands where the first one stands and
                turns as the last one does
    landmarks   SMPL joint -> the source joint at the same anatomical point, for what is not in `LIMB_LANDMARKS`
    repairs     source joint -> (another joint, factor): where the offset of the first is zero by a known fault of the
                conversion it is filled in with the other's offset times the factor
    """

    name: str
    joints: Mapping[str, tuple[str, ...]]
    landmarks: Mapping[str, str] = field(default_factory=dict)
    repairs: Mapping[str, tuple[str, float]] = field(default_factory=dict)

    @property
    def source_names(self) -> tuple[str, ...]:
        """Every source joint that the table needs, without repetition."""
        return tuple(dict.fromkeys(name for names in self.joints.values() for name in names))


def _table(
    name: str,
    middle: Mapping[str, str],
    sides: Mapping[str, str],
    prefixes: tuple[str, str],
    landmarks: Mapping[str, str] | None = None,
    repairs: Mapping[str, tuple[str, float]] | None = None,
) -> JointMap:
    """A table from its midline and one side; source names are separated by blanks, {} is the side's prefix."""
    joints = {joint: tuple(names.split()) for joint, names in middle.items()}
    for side, prefix in zip(("left", "right"), prefixes):
        joints |= {f"{side}_{joint}": tuple(names.format(prefix).split()) for joint, names in sides.items()}
    return JointMap(name, joints, landmarks or {}, repairs or {})


# Vicon BodyBuilder's skeleton, used by CMU and HDM05. The forearm is two bones, the second of which (wrist) twists.
# Its solvers put nearly all of the trunk's bending into the lower back, and cock the neck against the head. So only
# pelvis, chest and head count, and the joints between share the turn evenly, as vertebrae do.
_VICON_ASF = _table(
    "CMU/HDM05 ASF",
    {
        "pelvis": "root",
        "spine3": "thorax",
        "head": "upperneck head",
    },
    {
        "hip": "{}femur",
        "knee": "{}tibia",
        "ankle": "{}foot",
        "foot": "{}toes",
        "collar": "{}clavicle",
        "shoulder": "{}humerus",
        "elbow": "{}radius {}wrist".replace("{}", "{0}"),
        "wrist": "{}hand",
    },
    ("l", "r"),
    landmarks={"head": "head"},
)

# B. Hahne's BVH conversion of CMU. It lost two bones of the ASF skeletons; there the thorax is as long as the bone
# below it (ratio 1.00 to 1.03 over 15 skeletons of CMU and HDM05) and the wrist bone is exactly half the radius.
_CMU_BVH = _table(
    "CMU BVH",
    {
        "pelvis": "Hips",
        "spine3": "Spine1",
        "head": "Neck1 Head",
    },
    {
        "hip": "{}UpLeg",
        "knee": "{}Leg",
        "ankle": "{}Foot",
        "foot": "{}ToeBase",
        "collar": "{}Shoulder",
        "shoulder": "{}Arm",
        "elbow": "{0}ForeArm {0}Hand",
        "wrist": "{}FingerBase",
    },
    ("Left", "Right"),
    landmarks={"head": "Head"},
    repairs={
        "Neck": ("Spine1", 1.0),
        "LeftShoulder": ("Spine1", 1.0),
        "RightShoulder": ("Spine1", 1.0),
        "LeftFingerBase": ("LeftHand", 0.5),
        "RightFingerBase": ("RightHand", 0.5),
    },
)

_HUMANOID_SIDES = {
    "hip": "{}UpLeg",
    "knee": "{}Leg",
    "ankle": "{}Foot",
    "foot": "{}ToeBase",
    "collar": "{}Shoulder",
    "shoulder": "{}Arm",
    "elbow": "{}ForeArm",
    "wrist": "{}Hand",
}


def _humanoid(name: str, spine1: str, spine2: str, spine3: str, neck: str = "Neck") -> JointMap:
    middle = {"pelvis": "Hips", "spine1": spine1, "spine2": spine2, "spine3": spine3, "neck": neck, "head": "Head"}
    if not spine2:
        middle = {joint: names for joint, names in middle.items() if names}
    return _table(name, middle, _HUMANOID_SIDES, ("Left", "Right"), landmarks={"head": "Head"})


JOINT_MAPS: dict[str, JointMap] = {
    table.name: table
    for table in (
        _VICON_ASF,
        _CMU_BVH,
        # Mixamo ("mixamorig:" falls away with the prefix) and MotionBuilder share names; the spine varies in length.
        _humanoid("Mixamo", "Spine", "Spine1", "Spine2"),
        _humanoid("MotionBuilder, 4 spine joints", "Spine", "Spine1", "Spine2 Spine3"),
        _humanoid("MotionBuilder, 2 spine joints", "Spine", "", "Spine1"),
        _humanoid("MotionBuilder, 1 spine joint", "", "", "Spine"),
        _table(
            "Xsens BVH",
            {
                "pelvis": "Hips",
                "spine1": "Chest",
                "spine2": "Chest2",
                "spine3": "Chest3 Chest4",
                "neck": "Neck",
                "head": "Head",
            },
            {
                "hip": "{}Hip",
                "knee": "{}Knee",
                "ankle": "{}Ankle",
                "foot": "{}Toe",
                "collar": "{}Collar",
                "shoulder": "{}Shoulder",
                "elbow": "{}Elbow",
                "wrist": "{}Wrist",
            },
            ("Left", "Right"),
            landmarks={"head": "Head"},
        ),
        _table(
            "Xsens MVN",
            {"pelvis": "Pelvis", "spine1": "L5", "spine2": "L3", "spine3": "T12 T8", "neck": "Neck", "head": "Head"},
            {
                "hip": "{}UpperLeg",
                "knee": "{}LowerLeg",
                "ankle": "{}Foot",
                "foot": "{}Toe",
                "collar": "{}Shoulder",
                "shoulder": "{}UpperArm",
                "elbow": "{}ForeArm",
                "wrist": "{}Hand",
            },
            ("Left", "Right"),
            landmarks={"head": "Head"},
        ),
        _table(
            "Rokoko",
            {
                "pelvis": "Hips",
                "spine1": "Spine1",
                "spine2": "Spine2",
                "spine3": "Spine3 Spine4",
                "neck": "Neck",
                "head": "Head",
            },
            _HUMANOID_SIDES | {"hip": "{}Thigh", "knee": "{}Shin", "foot": "{}Toe"},
            ("Left", "Right"),
            landmarks={"head": "Head"},
        ),
        # NVIDIA's SOMA skeleton as BONES-SEED publishes it: "Leg" is the thigh there.
        _table(
            "SOMA",
            {
                "pelvis": "Hips",
                "spine1": "Spine1",
                "spine2": "Spine2",
                "spine3": "Chest",
                "neck": "Neck1 Neck2",
                "head": "Head",
            },
            _HUMANOID_SIDES | {"hip": "{}Leg", "knee": "{}Shin"},
            ("Left", "Right"),
            landmarks={"head": "Head"},
        ),
    )
}


def match_joints(
    names: Sequence[str], source: str, table: JointMap | None = None
) -> tuple[JointMap, dict[str, tuple[int, ...]]]:
    """The table that fits a skeleton, and SMPL joint -> indices into `names`.

    table   the user's own; without it the built-in table with no joint missing that uses most of the skeleton
    Raises MotionganError naming the missing joints of the nearest table where none fits.
    """
    index = _index_by_plain_name(names)
    tables = [table] if table is not None else list(JOINT_MAPS.values())
    missing = {each.name: [name for name in each.source_names if _plain(name) not in index] for each in tables}
    complete = [each for each in tables if not missing[each.name]]
    if not complete:
        nearest = min(tables, key=lambda each: len(missing[each.name]) / len(each.source_names))
        lacking = missing[nearest.name]
        shown = ", ".join(lacking[:6]) + (f" and {len(lacking) - 6} more" if len(lacking) > 6 else "")
        mend = "mend the table" if table is not None else "give a table of your own with --joint-map"
        raise MotionganError(
            f"{source}: no joint table fits its {len(names)} joints; nearest is {nearest.name}, which lacks {shown}:"
            f" {mend}"
        )
    best = max(complete, key=lambda each: len(each.source_names))
    return best, {joint: tuple(index[_plain(name)] for name in sources) for joint, sources in best.joints.items()}


def find_joint(names: Sequence[str], name: str) -> int | None:
    """Index of a table's joint among a file's names, None where it is not there."""
    return _index_by_plain_name(names).get(_plain(name))


def read_joint_map(path: str | Path) -> JointMap:
    """The user's own table: YAML or JSON, SMPL joint: source joint, or a list of source joints to compose.

    A key `landmarks` may hold a table of SMPL joint: source joint at the same anatomical point.
    """
    import yaml

    path = Path(path)
    try:
        with open(path, encoding="utf-8") as file:
            content: Any = yaml.safe_load(file)  # JSON is YAML
    except OSError as error:
        raise MotionganError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise MotionganError(f"{path}: neither YAML nor JSON ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict):
        raise MotionganError(f"{path}: expected a table of SMPL joint: source joint")
    landmarks = content.pop("landmarks", {})
    joints: dict[str, tuple[str, ...]] = {}
    for joint, value in content.items():
        if joint not in MAPPED_JOINTS:
            hint = did_you_mean(str(joint), MAPPED_JOINTS) or f"; SMPL's are {', '.join(MAPPED_JOINTS)}"
            raise MotionganError(f"{path}: unknown SMPL joint `{joint}`{hint}")
        sources = [value] if isinstance(value, str) else value
        if not isinstance(sources, list) or not sources or not all(isinstance(name, str) for name in sources):
            raise MotionganError(f"{path}: `{joint}` needs the name of a source joint, or a list of names")
        joints[joint] = tuple(sources)
    lacking = [joint for joint in REQUIRED_JOINTS if joint not in joints]
    if lacking:
        raise MotionganError(f"{path}: the table lacks {', '.join(lacking)}")
    if not isinstance(landmarks, dict) or not all(
        joint in MAPPED_JOINTS and isinstance(name, str) for joint, name in landmarks.items()
    ):
        raise MotionganError(f"{path}: `landmarks` needs a table of SMPL joint: source joint")
    return JointMap(path.name, joints, landmarks)


def _index_by_plain_name(names: Sequence[str]) -> dict[str, int]:
    """Names without the prefix that the root shows; of equal names the first counts."""
    prefix = re.match(r"^(.*[:_])?(?=[^:_]*$)", names[0])
    cut = prefix.group(0) if prefix else ""
    index: dict[str, int] = {}
    for position, name in enumerate(names):
        index.setdefault(_plain(name.removeprefix(cut)), position)
    return index


def _plain(name: str) -> str:
    return name.rpartition(":")[2].casefold()
