"""Reading Acclaim motion capture: the skeleton (ASF) and the motions recorded on it (AMC).

Why our own parser: no package on PyPI that we found reads these files; the scripts in circulation take one fixed
header and need seconds a file. Sources of the format: M. Schafer, Acclaim Skeleton File Definition V1.10, 1994; Vicon,
Acclaim Format - ASF line details (order and axis tokens turn about fixed axes); J. Lander, Working with Motion Capture
File Formats, Game Developer, January 1998. Length unit: CMU's mocap player, `length` units are inches x `length`.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from motiongan.errors import MotionganError
from motiongan.formats.euler import euler_to_matrix
from motiongan.formats.number_text import not_a_number, parse_numbers
from motiongan.formats.skeleton_motion import SkeletonMotion

logger = logging.getLogger(__name__)

_INCH = 0.0254  # metres
_ROOT = "root"
_FRAME_NUMBER = re.compile(rb"^[ \t]*\d+[ \t]*\r?$", re.MULTILINE)
_COMMENT = re.compile(rb"^[ \t]*[#:].*$", re.MULTILINE)
_MARK, _MARK_TEXT = 1e300, b" 1e300 "  # stands for a bone's name among its numbers
_CHANNELS = ("tx", "ty", "tz", "rx", "ry", "rz", "l")


@dataclass(frozen=True)
class _Bone:
    """A bone as the ASF gives it: `vector` from its start to its end, the frame `axis` its rotations are about."""

    name: str
    parent: int
    vector: tuple[float, float, float]
    axis: tuple[float, float, float]  # radians about x, y, z
    axis_order: str  # "xyz": x first, about fixed axes
    channels: tuple[str, ...]  # its numbers in an AMC, in order


@dataclass(frozen=True)
class AsfSkeleton:
    """The skeleton of an ASF file: what an AMC file needs to be read. Bone 0 is the root, parents before children.

    name             what errors call it
    bones            the root and the bones
    root_position    the header's preset position, in the file's unit
    degrees          whether the file's angles are degrees
    metres_per_unit  0.0254 / the header's `length`; None where the header has none
    """

    name: str
    bones: tuple[_Bone, ...]
    root_position: tuple[float, float, float]
    degrees: bool
    metres_per_unit: float | None

    @cached_property
    def joint_names(self) -> tuple[str, ...]:
        """The bones, each as the joint at its start, and an end site for every bone without children."""
        return (*(bone.name for bone in self.bones), *(f"{self.bones[leaf].name}_end" for leaf in self._leaves))

    @cached_property
    def parents(self) -> Int64[ndarray, "joints"]:
        return np.array([*(bone.parent for bone in self.bones), *self._leaves], dtype=np.int64)

    @cached_property
    def offsets(self) -> Float64[ndarray, "joints 3"]:
        """A bone starts where its parent ends; the root has no length."""
        vectors = np.array([bone.vector for bone in self.bones])
        offsets = vectors[self.parents]
        offsets[0] = 0
        return offsets

    @cached_property
    def frames_of_bones(self) -> Float64[ndarray, "bones 3 3"]:
        """C of each bone: its rotation in the file's axes is C @ R @ C^-1."""
        return np.stack([euler_to_matrix(np.array(_in_order(bone)), bone.axis_order) for bone in self.bones])

    @cached_property
    def _leaves(self) -> tuple[int, ...]:
        parents = {bone.parent for bone in self.bones}
        return tuple(index for index in range(len(self.bones)) if index not in parents)


def _in_order(bone: _Bone) -> list[float]:
    return [bone.axis["xyz".index(axis)] for axis in bone.axis_order]


@lru_cache(maxsize=32)
def read_asf(data: bytes, name: str) -> AsfSkeleton:
    """The skeleton of an ASF file; a repeated read of the same bytes costs nothing (one skeleton serves many AMCs).

    data   the file's bytes; comments may be in any encoding
    name   what errors call it
    """
    sections = _sections(data)
    degrees, metres_per_unit = True, None
    for line, words in sections.get("units", []):
        if words[0] == "angle" and len(words) > 1:
            degrees = words[1].lower().startswith("deg")
        if words[0] == "length":
            (length,) = _floats(words[1:], 1, name, line)
            if length <= 0:
                raise MotionganError(f"{name}:{line}: `length {words[1]}`; a positive number expected")
            metres_per_unit = _INCH / length
    root, root_position = _read_root(sections.get("root", []), name, degrees)
    bones = _read_bones(sections.get("bonedata", []), name, degrees)
    if not bones:
        raise MotionganError(f"{name}: no bones under :bonedata; not a whole ASF file, fetch it again")
    parents = _read_hierarchy(sections.get("hierarchy", []), name, bones)
    ordered = _parents_first(parents, bones)
    index = {bone_name: number for number, bone_name in enumerate((_ROOT, *ordered))}
    placed = (_with_parent(bones[bone_name], index[parents[bone_name]]) for bone_name in ordered)
    return AsfSkeleton(name, (root, *placed), root_position, degrees, metres_per_unit)


def _sections(data: bytes) -> dict[str, list[tuple[int, list[str]]]]:
    """Line numbers and words of each `:section`. Comments go; commas and brackets count as blanks."""
    sections: dict[str, list[tuple[int, list[str]]]] = {}
    lines: list[tuple[int, list[str]]] = []
    text = data.decode("utf-8-sig", errors="replace")
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        words = re.sub(r"[,()]", " ", line.partition("#")[0]).split()
        if words and words[0].startswith(":"):
            lines = sections.setdefault(words[0][1:].lower(), [])
            words = words[1:]
        if words:
            lines.append((number, words))
    return sections


def _floats(words: Sequence[str], count: int, name: str, line: int) -> tuple[float, ...]:
    try:
        values = tuple(float(word) for word in words[:count])
    except ValueError:
        values = ()
    if len(values) != count:
        raise MotionganError(f"{name}:{line}: `{' '.join(words)}`; {count} numbers expected")
    return values


def _channels(words: Sequence[str], name: str, line: int) -> tuple[str, ...]:
    channels = tuple(word.lower() for word in words)
    if any(channel not in _CHANNELS for channel in channels) or len(set(channels)) != len(channels):
        raise MotionganError(f"{name}:{line}: `{' '.join(words)}`; different ones of {' '.join(_CHANNELS)} expected")
    return channels


def _axis_order(word: str, name: str, line: int) -> str:
    if sorted(word.lower()) != ["x", "y", "z"]:
        raise MotionganError(f"{name}:{line}: the axis order is `{word}`, expected the letters XYZ in some order")
    return word.lower()


def _read_root(
    lines: Sequence[tuple[int, list[str]]], name: str, degrees: bool
) -> tuple[_Bone, tuple[float, float, float]]:
    channels: tuple[str, ...] = _CHANNELS[:6]
    axis_order, position, orientation = "xyz", (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
    for line, words in lines:
        key, values = words[0].lower(), words[1:]
        if key == "order":
            channels = _channels(values, name, line)
        elif key == "axis" and values:
            axis_order = _axis_order(values[0], name, line)
        elif key == "position":
            x, y, z = _floats(values, 3, name, line)
            position = (x, y, z)
        elif key == "orientation":
            x, y, z = _floats(values, 3, name, line)
            orientation = (x, y, z)
    return _Bone(_ROOT, -1, (0.0, 0.0, 0.0), _radians(orientation, degrees), axis_order, channels), position


def _radians(angles: tuple[float, float, float], degrees: bool) -> tuple[float, float, float]:
    x, y, z = (float(np.radians(angle)) if degrees else angle for angle in angles)
    return x, y, z


def _read_bones(lines: Sequence[tuple[int, list[str]]], name: str, degrees: bool) -> dict[str, _Bone]:
    """The bones by name, all with the root as their parent so far."""
    bones: dict[str, _Bone] = {}
    bone_name, length, started = "", 0.0, 0
    direction, axis, axis_order = (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), "xyz"
    channels: tuple[str, ...] = ()
    for line, words in lines:
        key, values = words[0].lower(), words[1:]
        if key == "begin":
            bone_name, length, channels, started = "", 0.0, (), line
            direction, axis, axis_order = (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), "xyz"
        elif key == "name":
            bone_name = " ".join(values)
        elif key == "direction":
            x, y, z = _floats(values, 3, name, line)
            direction = (x, y, z)
        elif key == "length":
            (length,) = _floats(values, 1, name, line)
        elif key == "axis":
            x, y, z = _floats(values, 3, name, line)
            axis, axis_order = (x, y, z), _axis_order(values[3] if len(values) > 3 else "xyz", name, line)
        elif key == "dof":
            channels = _channels(values, name, line)
        elif key == "end":
            if not bone_name or bone_name == _ROOT or bone_name in bones:
                what = f"a second bone `{bone_name}`" if bone_name else "a bone without a name"
                raise MotionganError(f"{name}:{started}: {what}; the skeleton file is damaged")
            vector = np.array(direction)
            norm = float(np.linalg.norm(vector))
            x, y, z = (vector * (length / norm if norm > 0 else 0.0)).tolist()
            bones[bone_name] = _Bone(bone_name, 0, (x, y, z), _radians(axis, degrees), axis_order, channels)
    return bones


def _read_hierarchy(lines: Sequence[tuple[int, list[str]]], name: str, bones: dict[str, _Bone]) -> dict[str, str]:
    """The parent's name of each bone."""
    parents: dict[str, str] = {}
    for line, words in lines:
        if words[0].lower() in ("begin", "end") and len(words) == 1:
            continue
        for word in words:
            if word not in bones and word != _ROOT:
                raise MotionganError(f"{name}:{line}: `{word}` is not among the bones under :bonedata")
        for child in words[1:]:
            if child in parents or child == _ROOT:
                raise MotionganError(f"{name}:{line}: `{child}` has a second parent; the skeleton file is damaged")
            parents[child] = words[0]
    return parents


def _parents_first(parents: dict[str, str], bones: dict[str, _Bone]) -> list[str]:
    """The bones that hang on the root, each after its parent, else in the order of :bonedata."""
    ordered: list[str] = []
    placed = {_ROOT}
    while True:
        new = [bone for bone in bones if bone not in placed and parents.get(bone) in placed]
        if not new:
            return ordered
        ordered += new
        placed.update(new)


def _with_parent(bone: _Bone, parent: int) -> _Bone:
    return _Bone(bone.name, parent, bone.vector, bone.axis, bone.axis_order, bone.channels)


def read_amc(data: bytes, skeleton: AsfSkeleton, name: str) -> SkeletonMotion:
    """The motion of an AMC file on its skeleton, in the file's axes and unit; AMC files do not state their frame rate.

    data       the file's bytes
    skeleton   of the ASF file this motion was recorded on
    name       what errors and notices call it

    A bone's local rotation is C @ R @ C^-1, C being the rotation of the bone's `axis` and R the product of its `dof`
    rotations in their order, about fixed axes ("rx ry rz": R = Rz @ Ry @ Rx); absent ones are zero. The root's preset
    position and orientation move and turn the whole motion. The header's angle unit goes before the skeleton's.
    """
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")  # line ends of the old Mac
    first = _FRAME_NUMBER.search(data)
    if first is None:
        raise MotionganError(f"{name}: no frames; not a whole AMC file, fetch it again")
    header = data[: first.start()].lower()
    degrees = b":degrees" in header or (skeleton.degrees and b":radians" not in header)

    body, line = data[first.start() :], data.count(b"\n", 0, first.start()) + 1
    columns = _read_regular_frames(body)
    if columns is None:
        columns = _read_any_frames(body, name, line)
    return _to_motion(columns, skeleton, degrees, name)


def _read_regular_frames(body: bytes) -> dict[str, Float64[ndarray, "frames channels"]] | None:
    """The numbers of each bone where every frame has the lines of the first, in its order; None where not.

    The lines of one bone, put together, are read as one text: no Python loop over frames.
    """
    lines = body.rstrip().split(b"\n")
    second = next((i for i, words in enumerate(lines) if i and words.strip().isdigit()), len(lines))
    num_frames, rest = divmod(len(lines), second)
    if rest or second < 2:
        return None
    numbers = parse_numbers(b" ".join(lines[0::second]))
    if numbers is None or len(numbers) != num_frames or np.any(np.diff(numbers) != 1):
        return None
    columns: dict[str, Float64[ndarray, "frames channels"]] = {}
    for place in range(1, second):
        bone, _, _ = lines[place].strip().partition(b" ")
        text = b"\n".join(lines[place::second])
        if not bone or text.count(bone + b" ") != num_frames:
            return None
        # The name becomes a number, so that a reshape shows whether every line has as many numbers as the first.
        values = parse_numbers(text.replace(bone + b" ", _MARK_TEXT))
        name = bone.decode(errors="replace")
        if values is None or len(values) % num_frames or name in columns:
            return None
        table = values.reshape(num_frames, -1)
        if np.any(table[:, 0] != _MARK):
            return None
        columns[name] = table[:, 1:]
    return columns


def _frames(body: bytes, name: str, line: int) -> Iterator[tuple[int, int, dict[str, tuple[float, ...]]]]:
    """Line, number and bones of each frame, line by line: any order of bones, blank lines, comments."""
    bones: dict[str, tuple[float, ...]] = {}
    started, frame = line, -1
    for number, text in enumerate(_COMMENT.sub(b"", body).split(b"\n"), start=line):
        words = text.split()
        if not words:
            continue
        if len(words) == 1 and words[0].isdigit():
            if frame >= 0:
                yield started, frame, bones
            started, frame, bones = number, int(words[0]), {}
            continue
        values = parse_numbers(b" ".join(words[1:]))
        if values is None:
            raise not_a_number(b" ".join(words[1:]), name, number)
        bone = words[0].decode(errors="replace")
        if bone in bones:
            raise MotionganError(f"{name}:{number}: `{bone}` a second time in frame {frame}; the file is damaged")
        bones[bone] = tuple(values.tolist())
    yield started, frame, bones


def _read_any_frames(body: bytes, name: str, line: int) -> dict[str, Float64[ndarray, "frames channels"]]:
    """As `_read_regular_frames`, slower, and with an error that tells the place of what is wrong."""
    rows: dict[str, list[tuple[float, ...]]] = {}
    wanted: dict[str, int] = {}
    last_frame = -1
    for started, frame, bones in _frames(body, name, line):
        if not wanted:
            wanted = {bone: len(values) for bone, values in bones.items()}
            rows = {bone: [] for bone in wanted}
        elif frame != last_frame + 1:
            logger.warning("%s:%d: frame %d follows frame %d; the gap is closed up", name, started, frame, last_frame)
        last_frame = frame
        for bone in wanted.keys() | bones.keys():
            found = len(bones[bone]) if bone in bones else None
            if found != wanted.get(bone):
                what = (
                    f"no `{bone}`" if found is None else f"{found} numbers for `{bone}`, {wanted.get(bone, 0)} before"
                )
                raise MotionganError(f"{name}:{started}: frame {frame} has {what}; the file is cut off or damaged")
        for bone, values in bones.items():
            rows[bone].append(values)
    return {bone: np.array(values) for bone, values in rows.items()}


def _to_motion(
    columns: dict[str, Float64[ndarray, "frames channels"]], skeleton: AsfSkeleton, degrees: bool, name: str
) -> SkeletonMotion:
    index = {bone.name: number for number, bone in enumerate(skeleton.bones)}
    unknown = [bone for bone in columns if bone not in index]
    if unknown or _ROOT not in columns:
        what = f"moves `{unknown[0]}`, which is no bone" if unknown else "does not move the root"
        raise MotionganError(f"{name}: {what} of {skeleton.name}; give the ASF file this motion was recorded on")
    for bone, values in columns.items():
        channels = skeleton.bones[index[bone]].channels
        if values.shape[1] != len(channels):
            raise MotionganError(
                f"{name}: {values.shape[1]} numbers a frame for `{bone}`, but {skeleton.name} gives it "
                f"{len(channels)} (`{' '.join(channels)}`); give the ASF file this motion was recorded on"
            )
    missing = [bone.name for bone in skeleton.bones if bone.channels and bone.name not in columns]
    if missing:
        logger.warning("%s: no motion for %s; they stay at rest", name, ", ".join(f"`{bone}`" for bone in missing))

    num_frames = len(columns[_ROOT])
    root_positions = np.tile(np.array(skeleton.root_position), (num_frames, 1))
    by_axes: dict[str, list[int]] = {}
    angles: dict[int, Float64[ndarray, "frames axes"]] = {}
    for bone, values in columns.items():
        channels = skeleton.bones[index[bone]].channels
        turning = [i for i, channel in enumerate(channels) if channel[0] == "r"]
        angles[index[bone]] = values[:, turning]
        by_axes.setdefault("".join(channels[i][1] for i in turning), []).append(index[bone])
        for i, channel in enumerate(channels):
            if bone == _ROOT and channel[0] == "t":
                root_positions[:, "xyz".index(channel[1])] += values[:, i]
            elif channel[0] in "tl" and np.any(values[:, i] != 0):
                logger.warning(
                    "%s: `%s` also slides along %s; a rigid skeleton cannot, it is left out", name, bone, channel
                )

    rotations = np.zeros((num_frames, len(skeleton.joint_names), 3, 3))
    rotations[...] = np.eye(3)
    for axes, bones in by_axes.items():
        if axes:
            turns = np.stack([angles[bone] for bone in bones], axis=1)
            frames = skeleton.frames_of_bones[bones]
            local = euler_to_matrix(np.radians(turns) if degrees else turns, axes)
            rotations[:, bones] = frames @ local @ frames.transpose(0, 2, 1)
    return SkeletonMotion(
        names=skeleton.joint_names,
        parents=skeleton.parents,
        offsets=skeleton.offsets,
        rotations=rotations,
        root_positions=root_positions,
        metres_per_unit=skeleton.metres_per_unit,
    )
