"""One motion file -> its labelled clips: the part of the import that runs in worker processes."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float64
from numpy import ndarray

from motiongan.body.smpl import Body, load_body
from motiongan.errors import MotionganError
from motiongan.formats.amass import NoMotionError, read_amass
from motiongan.formats.asf import read_amc, read_asf
from motiongan.formats.bvh import read_bvh
from motiongan.formats.grounding import find_floor, level_soles
from motiongan.formats.joint_maps import JointMap
from motiongan.formats.labels import Label
from motiongan.formats.own_skeleton import OwnSkeleton, match_own_skeleton, read_own_motion
from motiongan.formats.repair import Repaired, repair
from motiongan.formats.retarget import body_skeleton, find_arm_turns, fit_betas, retarget
from motiongan.formats.skeleton_motion import SkeletonMotion
from motiongan.formats.source_skeleton import SourceSkeleton, prepare_skeleton
from motiongan.formats.sources import SourceFile
from motiongan.motion.clip import NUM_BETAS, Clip
from motiongan.motion.resample import resample

_LABEL_TOLERANCE = 0.5  # s that a label may reach beyond the recording's end unnoticed
_DEFAULT_AMC_RATE = 120.0  # Hz, of Vicon systems, CMU and HDM05
_CALIBRATION_FILES = 6  # of one person
_CALIBRATION_SECONDS = 15.0  # of each of them
_SHORTEST = 2  # frames of a clip at the target rate
_FLOOR_TOLERANCE = 0.05  # metres between a clip's own floor and its person's before the clip is taken to use props


@dataclass(frozen=True)
class ImportOptions:
    """What the user may set for an import."""

    frame_rate: float = 30.0  # Hz of the written clips
    body: Path | None = None  # body file to fit; None = the default body
    metres_per_unit: float | None = None  # length unit of BVH and ASF files; None = as the file says, or found
    joint_map: JointMap | None = None  # the user's own joint table; None = by the names in the file
    workers: int = 0  # processes beside this one


@dataclass(frozen=True)
class Notice:
    """Something the user should know of one file.

    kind   "left out" (no clip), "repaired", "assumed", "passed over" (not motion at all)
    """

    source: str
    kind: str
    text: str


@dataclass(frozen=True)
class Item:
    """A motion file to convert, with the skeleton and the labels that belong to it."""

    source: SourceFile
    skeleton: SourceFile | None
    labels: tuple[Label, ...]
    subject: str
    is_named: bool  # the labels name the subject

    @property
    def size(self) -> int:
        return len(self.source.data)

    @property
    def first_frame(self) -> int:
        """The first frame that is motion, by the labels."""
        return min((label.motion_start for label in self.labels), default=0)


@dataclass(frozen=True)
class Calibration:
    """What all clips of one person share.

    betas        body shape
    sole_turns   of ankles and toe joints, so that standing feet are level
    arm_turns    of upper arms and hands, so that elbows bend as hinges and hands rest in line
    floor        height of the floor under the fitted soles, metres; None where the source has no common floor
    """

    betas: Float[ndarray, "10"]
    sole_turns: Float64[ndarray, "4 3 3"] | None = None
    arm_turns: Float64[ndarray, "2 2 3 3"] | None = None
    floor: float | None = None


@dataclass
class Converted:
    """What one file became. `body_model` tells whose betas its clips carry, `licences` what their labels say."""

    clips: list[Clip] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    body_model: str = "motiongan"
    licences: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ConvertedPart:
    """What some files of one person became, and the calibration that was used (None for AMASS files)."""

    converted: list[Converted]
    calibration: Calibration | None


@dataclass(frozen=True, eq=False)
class Recording:
    """A BVH or AMC file, read and made ready for retargeting.

    own   the file's skeleton is motiongan's: there is nothing to retarget
    """

    motion: SkeletonMotion
    skeleton: SourceSkeleton
    frame_rate: float
    rate_notice: str
    own: OwnSkeleton | None = None

    def cropped(self, start: int) -> "Recording":
        """The frames from `start` on that a calibration looks at."""
        stop = start + round(_CALIBRATION_SECONDS * self.frame_rate)
        motion = replace(
            self.motion,
            rotations=self.motion.rotations[start:stop],
            root_positions=self.motion.root_positions[start:stop],
        )
        return replace(self, motion=motion)


def convert_part(items: Sequence[Item], calibration: Calibration | None, options: ImportOptions) -> ConvertedPart:
    """What the files of one person became, with what their readers warned of.

    calibration   of this person, from earlier files; None = find it from these
    A file that cannot be used is left out with the reason.
    """
    read: dict[int, Recording] = {}
    if calibration is None and any(item.source.format != "amass" for item in items):
        with _collected_warnings():
            for index in _spread(len(items), _CALIBRATION_FILES):
                try:
                    read[index] = read_recording(items[index], options)
                except MotionganError:
                    continue  # told when the file itself is converted
        calibration = calibrate(
            [each.cropped(items[index].first_frame) for index, each in read.items() if each.own is None],
            _body(options.body),
        )
    results = []
    for index, item in enumerate(items):
        label = item.source.label
        with _collected_warnings() as warnings:
            try:
                converted = convert_item(item, calibration, options, read.pop(index, None))
            except MotionganError as error:
                kind = "passed over" if isinstance(error, NoMotionError) else "left out"
                converted = Converted(notices=[Notice(label, kind, _without(label, str(error)))])
            except Exception as error:  # what no reader thought of must not cost the other files
                text = f"it broke its reader ({type(error).__name__}: {error}); please report it with the file"
                converted = Converted(notices=[Notice(label, "left out", text)])
        converted.notices += [Notice(label, "repaired", _without(label, text)) for text in warnings]
        results.append(converted)
    return ConvertedPart(results, calibration)


def _without(label: str, text: str) -> str:
    """The text without the file's name before it."""
    return text.removeprefix(label).lstrip(": ")


def _spread(total: int, count: int) -> list[int]:
    """At most `count` indices, evenly from 0 to total - 1."""
    return [round(index) for index in np.linspace(0, total - 1, min(count, total))]


def calibrate(recordings: Sequence[Recording], body: Body) -> Calibration:
    """Body shape, soles and floor of one person from some of their recordings, of which the first frames count."""
    if not recordings:
        return Calibration(np.zeros(NUM_BETAS, dtype=np.float32))
    betas = fit_betas([recording.skeleton for recording in recordings], body)
    arguments = [(each.motion, each.skeleton, body, betas, each.frame_rate) for each in recordings]
    raw = [retarget(*each) for each in arguments]
    sole_turns, arm_turns = level_soles(raw, body), find_arm_turns(raw, body)
    floors = [find_floor(retarget(*each, sole_turns), body) for each in arguments]
    heights = [floor for floor in floors if floor is not None]
    if not heights:
        return Calibration(betas, sole_turns, arm_turns)
    middle = float(np.median(heights))
    spread = float(np.median(np.abs(np.array(heights) - middle)))
    # Where clips stand at all sorts of heights the source has no common floor.
    return Calibration(betas, sole_turns, arm_turns, middle if spread < 2 * _FLOOR_TOLERANCE else None)


def convert_item(
    item: Item, calibration: Calibration | None, options: ImportOptions, recording: Recording | None = None
) -> Converted:
    """The clips of one file, one per label. Raises MotionganError where the file cannot be used.

    recording   the file's content, where it has been read already
    """
    label = item.source.label
    if item.source.format == "amass":
        return _convert_amass(item, options)
    assert calibration is not None, "people of skeleton files are calibrated first"
    body = _body(options.body)
    recording = recording or read_recording(item, options)
    if recording.own is not None:
        converted = Converted(body_model=body.name)
        clip = read_own_motion(recording.motion, recording.own, body, recording.frame_rate)
        _cut(clip, item, options, converted, is_own=True)
        return converted
    skeleton = recording.skeleton
    notices = [Notice(label, "assumed" if "taken" in text else "repaired", text) for text in skeleton.notices]
    if recording.rate_notice:
        notices.append(Notice(label, "assumed", recording.rate_notice))
    clip = retarget(
        recording.motion,
        skeleton,
        body,
        calibration.betas,
        recording.frame_rate,
        calibration.sole_turns,
        calibration.arm_turns,
    )
    clip = replace(clip, trans=clip.trans - _floor_offset(clip, body, calibration, label, notices))
    converted = Converted(notices=notices, body_model=body.name)
    _cut(clip, item, options, converted)
    return converted


def _convert_amass(item: Item, options: ImportOptions) -> Converted:
    amass = read_amass(item.source.data, item.source.label)
    rate, rate_notice = _rate(item, amass.frame_rate)
    converted = Converted(body_model=amass.body_model)
    if rate_notice:
        converted.notices.append(Notice(item.source.label, "assumed", rate_notice))
    clip = Clip(amass.poses, amass.trans, rate, betas=amass.betas, gender=amass.gender)
    _cut(clip, item, options, converted, is_own=amass.is_own)
    return converted


def _floor_offset(
    clip: Clip, body: Body, calibration: Calibration, label: str, notices: list[Notice]
) -> Float[ndarray, "3"]:
    """The constant upward vector that puts the clip on the ground when taken from its translation.

    The clip's own floor, where it is within 5 cm of its person's (or the source has no common floor); else the
    person's: then the clip stands on props, hangs, or never stands still.
    """
    own = find_floor(clip, body)
    floor = own if own is not None else calibration.floor or 0.0
    if own is not None and calibration.floor is not None and abs(own - calibration.floor) > _FLOOR_TOLERANCE:
        floor = calibration.floor
        notices.append(
            Notice(
                label, "assumed", "stands off its person's usual floor (props, a step?): that floor is kept as ground"
            )
        )
    return np.array([0, 0, floor], dtype=np.float32)


def _cut(clip: Clip, item: Item, options: ImportOptions, converted: Converted, *, is_own: bool = False) -> None:
    """Add the labelled segments of a whole file's clip, checked and resampled, to what it became.

    is_own   motiongan exported it: as with motion files, nothing but lost frames is mended
    """
    file, body = item.source.label, _body(options.body)
    # Another body model's betas mean nothing to this one; its mean skeleton is near enough to tell a flipped leg.
    is_ours = converted.body_model == body.name
    rest_joints = body_skeleton(body, clip.betas if is_ours else 0 * clip.betas).rest_joints.numpy()
    for label in item.labels or (Label(file=item.source.name, action=None),):
        start = max(label.motion_start, round(label.start_s * clip.frame_rate))
        stop = clip.num_frames if label.end_s is None else min(clip.num_frames, round(label.end_s * clip.frame_rate))
        if stop - start < 1:
            converted.notices.append(Notice(file, "left out", "the labelled segment holds no frames"))
            continue
        if label.end_s is not None and label.end_s > clip.duration + _LABEL_TOLERANCE:
            text = f"ends at {clip.duration:.1f} s, its label at {label.end_s:g} s: labelled to its end"
            converted.notices.append(Notice(file, "assumed", text))
        segment = clip.crop(start, stop)
        is_sound = is_own and segment.is_finite
        repaired = Repaired(segment, (slice(0, stop - start),), ()) if is_sound else repair(segment, rest_joints)
        kind = "repaired" if repaired.pieces else "left out"
        converted.notices += [Notice(file, kind, notice) for notice in repaired.notices]
        for piece in repaired.pieces:
            segment = resample(repaired.clip.crop(piece.start, piece.stop), options.frame_rate)
            if segment.num_frames < _SHORTEST:
                text = f"shorter than {_SHORTEST} frames at {options.frame_rate:g} Hz"
                converted.notices.append(Notice(file, "left out", text))
                continue
            converted.licences.append(label.licence)
            first, last = (start + piece.start) / clip.frame_rate, (start + piece.stop) / clip.frame_rate
            converted.clips.append(
                replace(
                    segment,
                    action=label.action,
                    subject=label.subject or item.subject,
                    source=f"{item.source.name} {first:.2f}-{last:.2f} s",
                )
            )


def read_recording(item: Item, options: ImportOptions) -> Recording:
    """A BVH or AMC file with its skeleton, made ready for retargeting."""
    name = item.source.label
    if item.source.format == "amc":
        assert item.skeleton is not None, "an AMC without a skeleton does not become an item"
        motion = read_amc(item.source.data, read_asf(item.skeleton.data, item.skeleton.label), name)
    else:
        motion = read_bvh(item.source.data, name)
    own = match_own_skeleton(motion, _body(options.body)) if options.joint_map is None else None
    metres = options.metres_per_unit if own is None else own.metres
    skeleton = prepare_skeleton(motion, name, options.joint_map, metres)
    return Recording(motion, skeleton, *_rate(item, motion.frame_rate), own)


def _rate(item: Item, stated: float | None) -> tuple[float, str]:
    """Frame rate of a file in Hz and, where it is a guess, a notice; the labels go before what the file states."""
    labelled = next((label.frame_rate for label in item.labels if label.frame_rate), None)
    rate = labelled or stated
    if rate:
        return float(rate), ""
    text = f"no frame rate in the file: {_DEFAULT_AMC_RATE:g} Hz taken; a label column `frame_rate` tells it"
    return _DEFAULT_AMC_RATE, text


@lru_cache(maxsize=2)
def _body(path: Path | None) -> Body:
    return load_body(path)


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


@contextmanager
def _collected_warnings() -> Iterator[list[str]]:
    """What the readers warn of, collected instead of printed (in a worker nobody would see it)."""
    readers, collector = logging.getLogger("motiongan.formats"), _Collector()
    before = readers.propagate
    readers.addHandler(collector)
    readers.propagate = False
    try:
        yield collector.texts
    finally:
        readers.removeHandler(collector)
        readers.propagate = before
