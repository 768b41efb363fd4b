"""Reading BVH: a text file with a skeleton (HIERARCHY) and its channels frame by frame (MOTION).

Why our own parser: of the packages tried (bvh 0.3, bvhio 1.5.4, upc-pymotion 0.3.4) none takes every channel layout
and names the line of an error, and a file of 4906 frames takes them 0.22 to 0.65 s, here 0.15 s with its rotations.
Source of the format: M. Meredith and S. Maddock, Motion Capture File Formats Explained, University of Sheffield, 2001.
"""

import logging
import math
import re
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from motiongan.errors import MotionganError
from motiongan.formats.euler import euler_to_matrix
from motiongan.formats.number_text import not_a_number, parse_numbers
from motiongan.formats.skeleton_motion import SkeletonMotion

logger = logging.getLogger(__name__)

_MOTION = re.compile(rb"^[ \t]*MOTION\b", re.IGNORECASE | re.MULTILINE)
_MOTION_HEADER = re.compile(rb"\s*Frames\s*:\s*(\d+)\s+(?:Frame\s*Time\s*:\s*([^\s]+))?[ \t]*", re.IGNORECASE)
_HIERARCHY_WORDS = re.compile(
    r"""\s*(?:
        (?P<hierarchy>HIERARCHY\b)
      | (?P<end>End\s+Site\b[^{}\r\n]*\s*\{)
      | (?P<joint>(?:ROOT|JOINT)\s+(?P<name>[^{}\r\n]+?)\s*\{)
      | (?P<offset>OFFSET(?P<xyz>(?:\s+[^\s{}]+){3}))
      | (?P<channels>CHANNELS\s+(?P<count>\d+)(?P<list>(?:\s+[XYZ](?:position|rotation|scale))*))
      | (?P<close>\})
    )""",
    re.IGNORECASE | re.VERBOSE,
)
# Frame rates in use: the printed frame time is rounded, and the rate behind it is meant.
_USUAL_RATES = (24.0, 25.0, 30.0, 50.0, 60.0, 90.0, 100.0, 120.0, 200.0, 240.0, 24e3 / 1001, 30e3 / 1001, 60e3 / 1001)
_RIGID = 1e-3  # a joint that moves from its place by less than this part of the skeleton's reach is taken as fixed
_UP_SAMPLES = 32  # frames looked at to find the vertical axis


@dataclass
class _Joint:
    """A joint as the HIERARCHY gives it; `channels` are (column, "x" | "y" | "z", kind) in the order of the file."""

    name: str
    parent: int
    offset: Float64[ndarray, "3"] = field(default_factory=lambda: np.zeros(3))
    channels: list[tuple[int, str, str]] = field(default_factory=list)

    def columns(self, kind: str) -> tuple[list[int], str]:
        """Columns of the MOTION table and their axes, of one kind: "position" or "rotation"."""
        chosen = [(column, axis) for column, axis, its_kind in self.channels if its_kind == kind]
        return [column for column, _ in chosen], "".join(axis for _, axis in chosen)


def read_bvh(data: bytes, name: str) -> SkeletonMotion:
    """The motion of a BVH file, every frame of it, in the file's axes and unit (BVH does not state a unit).

    data   the file's bytes
    name   what errors and notices call it

    Joints: any order of channels; local rotation = product of the axis rotations in the order of the channels.
    A root's position is its position channels (its OFFSET where an axis has none). Position channels of other joints
    replace the OFFSET, or add to it where they are closer to zero than to the OFFSET: writers do either. The skeleton
    is rigid, so their median over the frames becomes the offset, with a notice where they move; but a joint that moves
    and is the only child of the root (a "Reference" over "Hips") takes the root's place.
    The vertical axis is Y unless skeleton and motion both stand along Z.
    """
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")  # line ends of the old Mac
    joints, body, line = _read_hierarchy(data, name)
    table, frame_rate = _read_motion(body, name, line, sum(len(joint.channels) for joint in joints))
    motion, places = _to_motion(joints, table, frame_rate)
    motion, places = _fold_carriers(motion, places)
    motion = _with_rigid_offsets(motion, places, name)
    return replace(motion, up_axis=_up_axis(motion, name))


def _read_hierarchy(data: bytes, name: str) -> tuple[list[_Joint], bytes, int]:
    """The joints, the bytes after the word MOTION, and the number of the line on which they start."""
    found = _MOTION.search(data)
    if found is None:
        raise MotionganError(f"{name}: no MOTION section; not a whole BVH file, fetch it again")
    text = data[: found.start()].decode("utf-8-sig", errors="replace").rstrip()

    def fault(position: int, what: str) -> MotionganError:
        return MotionganError(f"{name}:{text.count(chr(10), 0, position) + 1}: {what}")

    joints: list[_Joint] = []
    taken: set[str] = set()
    open_joints: list[int] = []  # the joints whose braces are open, innermost last
    num_columns = 0
    position = 0
    while position < len(text):
        match = _HIERARCHY_WORDS.match(text, position)
        if match is None:
            rest = text[position:].lstrip()
            raise fault(
                len(text) - len(rest), f"`{rest[:40].splitlines()[0].strip()}` is not understood in a HIERARCHY"
            )
        start, position = match.end() - len(match.group().lstrip()), match.end()
        if match["joint"] or match["end"]:
            parent = open_joints[-1] if open_joints else -1
            if parent == -1 and (joints or match["end"]):
                raise fault(start, "a second ROOT; a file must hold one skeleton, split it in two files")
            wanted = match["name"] if match["joint"] else f"{joints[parent].name}_end"
            unique = _unique(wanted, taken)
            if match["joint"] and unique != wanted:
                logger.warning("%s: two joints are called `%s`; the later one is read as `%s`", name, wanted, unique)
            open_joints.append(len(joints))
            joints.append(_Joint(unique, parent))
        elif match["close"]:
            if not open_joints:
                raise fault(start, "a closing brace too many")
            open_joints.pop()
        elif match["hierarchy"]:
            continue
        elif not open_joints:
            raise fault(start, "OFFSET or CHANNELS outside a joint")
        elif match["offset"]:
            values = parse_numbers(match["xyz"].encode())
            if values is None or not np.isfinite(values).all():
                raise fault(start, f"`{' '.join(match['offset'].split())}` is not three numbers")
            joints[open_joints[-1]].offset = values
        else:
            words = match["list"].lower().split()
            if len(words) != int(match["count"]) or len(set(words)) != len(words):
                raise fault(start, f"CHANNELS {match['count']} with the channels `{' '.join(words)}`")
            joints[open_joints[-1]].channels += [(num_columns + i, word[0], word[1:]) for i, word in enumerate(words)]
            num_columns += len(words)
    if open_joints or not joints:
        raise fault(len(text), "HIERARCHY ends inside a joint" if joints else "HIERARCHY without a ROOT")
    return joints, data[found.end() :], data.count(b"\n", 0, found.end()) + 1


def _unique(wanted: str, taken: set[str]) -> str:
    unique, number = wanted, 2
    while unique in taken:
        unique, number = f"{wanted}.{number}", number + 1
    taken.add(unique)
    return unique


def _read_motion(
    body: bytes, name: str, line: int, num_columns: int
) -> tuple[Float64[ndarray, "frames columns"], float | None]:
    """The table of channels and the frame rate; `line` is the number of the line on which `body` starts."""
    header = _MOTION_HEADER.match(body)
    if header is None:
        raise MotionganError(f"{name}:{line + 1}: `Frames: N` and `Frame Time: seconds` expected after MOTION")
    frame_rate = None if header[2] is None else _frame_rate(header[2].decode("ascii", errors="replace"))
    if frame_rate is None:
        logger.warning("%s: no usable `Frame Time`; the frame rate must come from the labels", name)
    numbers_text = body[header.end() :]
    numbers = parse_numbers(numbers_text)
    if numbers is None:
        raise not_a_number(numbers_text, name, line + body.count(b"\n", 0, header.end()))
    if num_columns == 0 or len(numbers) % num_columns:
        raise MotionganError(
            f"{name}: {len(numbers)} numbers of motion do not fill frames of {num_columns} channels; "
            "the file is cut off or damaged, fetch it again"
        )
    table = numbers.reshape(-1, num_columns)
    stated = int(header[1])
    if len(table) != stated:
        logger.warning("%s: the header says %d frames, the file holds %d; those are read", name, stated, len(table))
    return table, frame_rate


def _frame_rate(frame_time: str) -> float | None:
    """Hz of a printed frame time: the usual rate, else the whole one, that prints so; None where it says nothing."""
    try:
        seconds = float(frame_time)
    except ValueError:
        return None
    if not (seconds > 0 and math.isfinite(seconds)):
        return None
    digits = frame_time.partition(".")[2]
    # Some writers round the last digit, some cut it off: both are within one unit of it.
    last_digit = 10.0 ** -len(digits) if digits.isdigit() else 0.0
    fitting = [rate for rate in (*_USUAL_RATES, float(round(1 / seconds) or 1)) if abs(1 / rate - seconds) < last_digit]
    return min(fitting, key=lambda rate: abs(1 / rate - seconds)) if fitting else 1 / seconds


_Places = dict[int, Float64[ndarray, "frames 3"]]  # of joints with position channels: where in their parent they are


def _to_motion(
    joints: list[_Joint], table: Float64[ndarray, "frames columns"], frame_rate: float | None
) -> tuple[SkeletonMotion, _Places]:
    """The motion with the offsets of the HIERARCHY, and the places of the joints that have position channels."""
    rotations = np.zeros((len(table), len(joints), 3, 3))
    rotations[...] = np.eye(3)
    by_axes: dict[str, list[int]] = {}
    for index, joint in enumerate(joints):
        by_axes.setdefault(joint.columns("rotation")[1].upper(), []).append(index)
    for axes, indices in by_axes.items():
        if axes:
            columns = np.array([joints[index].columns("rotation")[0] for index in indices])
            rotations[:, indices] = euler_to_matrix(np.radians(table[:, columns]), axes)

    places: _Places = {}
    for index, joint in enumerate(joints):
        position_columns, position_axes = joint.columns("position")
        places[index] = np.tile(joint.offset, (len(table), 1))
        if not position_columns:
            continue
        values = table[:, position_columns]
        dimensions = ["xyz".index(axis) for axis in position_axes]
        offset = joint.offset[dimensions]
        middle = np.median(values, axis=0) if len(values) else offset
        is_absolute = index == 0 or np.linalg.norm(middle - offset) <= np.linalg.norm(middle)
        places[index][:, dimensions] = values if is_absolute else values + offset
    offsets = np.stack([joint.offset for joint in joints])
    offsets[0] = 0
    motion = SkeletonMotion(
        names=tuple(joint.name for joint in joints),
        parents=np.array([joint.parent for joint in joints], dtype=np.int64),
        offsets=offsets,
        rotations=rotations,
        root_positions=places[0],
        frame_rate=frame_rate,
    )
    return motion, {index: place for index, place in places.items() if index and joints[index].columns("position")[0]}


def _reach(motion: SkeletonMotion) -> float:
    """Length of the longest chain of bones from the root."""
    lengths = np.linalg.norm(motion.offsets, axis=1)
    for joint in range(1, len(lengths)):
        lengths[joint] += lengths[motion.parents[joint]]
    return float(lengths.max())


def _fold_carriers(motion: SkeletonMotion, places: _Places) -> tuple[SkeletonMotion, _Places]:
    """The motion without leading joints that only carry the skeleton: those with one child, which moves in them."""
    while len(motion.names) > 2 and np.count_nonzero(motion.parents == 0) == 1 and 1 in places:
        if not len(places[1]) or np.ptp(places[1], axis=0).max() <= _RIGID * _reach(motion):
            break
        carrier = motion.rotations[:, 0]
        rotations = motion.rotations[:, 1:].copy()
        rotations[:, 0] = carrier @ rotations[:, 0]
        offsets = motion.offsets[1:].copy()
        offsets[0] = 0
        motion = replace(
            motion,
            names=motion.names[1:],
            parents=motion.parents[1:] - 1,
            offsets=offsets,
            rotations=rotations,
            root_positions=motion.root_positions + np.einsum("fij,fj->fi", carrier, places[1]),
        )
        places = {joint - 1: place for joint, place in places.items() if joint > 1}
    return motion, places


def _with_rigid_offsets(motion: SkeletonMotion, places: _Places, name: str) -> SkeletonMotion:
    """The motion with the median places of the joints as their offsets, and a notice where joints move from them."""
    if not places or not len(motion.rotations):
        return motion
    offsets = motion.offsets.copy()
    moves: dict[str, float] = {}
    for joint, place in places.items():
        offsets[joint] = np.median(place, axis=0)
        moves[motion.names[joint]] = float(np.linalg.norm(place - offsets[joint], axis=1).max())
    motion = replace(motion, offsets=offsets)
    moving = {joint: move for joint, move in moves.items() if move > _RIGID * _reach(motion)}
    if moving:
        most = max(moving, key=lambda joint: moving[joint])
        logger.warning(
            "%s: %d joints move within their parents, `%s` most, by up to %.3g units; their median places are used",
            *(name, len(moving), most, moving[most]),
        )
    return motion


def _up_axis(motion: SkeletonMotion, name: str) -> str:
    """ "z" where the skeleton is clearly taller along Z than along Y, both in the zero pose and in motion, else "y"."""
    last = len(motion.rotations) - 1
    if last < 0:
        return "y"
    sampled = motion.rotations[np.unique(np.linspace(0, last, _UP_SAMPLES).astype(int))]
    for rotations in (np.broadcast_to(np.eye(3), sampled[:1].shape), sampled):
        world = rotations.copy()
        joints = np.zeros(rotations.shape[:3])
        for joint in range(1, len(motion.names)):
            parent = motion.parents[joint]
            joints[:, joint] = joints[:, parent] + world[:, parent] @ motion.offsets[joint]
            world[:, joint] = world[:, parent] @ rotations[:, joint]
        _, height, depth = np.median(np.ptp(joints, axis=1), axis=0)
        if not depth > 1.3 * height:
            return "y"
    logger.warning("%s: the skeleton stands along Z; Z is taken as the vertical axis instead of BVH's usual Y", name)
    return "z"
