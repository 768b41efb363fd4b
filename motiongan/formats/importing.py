"""The import: foreign motion files, labelled or not -> Clips of one frame rate on the SMPL joints, streamed to a motion file.

Files are read in order, held until a share of memory is full, then converted in worker processes: first each
person's calibration (body shape, floor) from a few of their files, then all files. What is left out, repaired or
assumed comes back as a `Notice`.
"""

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import roma
import torch
from jaxtyping import Float, Float64
from numpy import ndarray

from motiongan.body.kinematics import forward_kinematics
from motiongan.body.smpl import Body, load_body
from motiongan.errors import MotionganError
from motiongan.formats.asf import read_amc, read_asf
from motiongan.formats.bvh import read_bvh
from motiongan.formats.joint_maps import JointMap
from motiongan.formats.labels import Label, Labels, find_labels, merge_labels, read_labels
from motiongan.formats.repair import repair
from motiongan.formats.retarget import SourceSkeleton, body_skeleton, fit_betas, prepare_skeleton, retarget
from motiongan.formats.skeleton_motion import SkeletonMotion
from motiongan.formats.sources import SourceFile, walk, with_skeletons
from motiongan.motion.clip import NUM_BETAS, Clip
from motiongan.motion.resample import resample
from motiongan.motion.store import MotionFile, MotionWriter, check_output

logger = logging.getLogger(__name__)

_HELD_BYTES = 384 * 2**20  # of files in memory before they are converted
_JOB_BYTES = 6 * 2**20  # of files in one job: small enough that two workers end together
_FEW_BYTES = 4 * 2**20  # below this, starting workers takes longer than the work
_CALIBRATION_FILES = 6  # of one person
_DEFAULT_AMC_RATE = 120.0  # Hz, of Vicon systems, CMU and HDM05

_SHORTEST = 2  # frames of a clip at the target rate

_STANDING_SPEED = 0.25  # m/s of a sole point that carries weight
_FLOOR_TOLERANCE = 0.05  # metres between a clip's own floor and its person's before the clip is taken to use props


@dataclass(frozen=True)
class ImportOptions:
    """What the user may set for an import."""

    frame_rate: float = 30.0  # Hz of the written clips
    body: Path | None = None  # body file to fit; None = the default body
    metres_per_unit: float | None = None  # length unit of BVH and ASF files; None = as the file says, or found
    joint_map: JointMap | None = None  # the user's own joint table; None = by the names in the file
    workers: int = 2  # processes; 0 = none beside this one


@dataclass(frozen=True)
class Notice:
    """Something the user should know of one file.

    kind   "left out" (no clip), "repaired", "assumed", "passed over" (not motion at all)
    """

    source: str
    kind: str
    text: str


@dataclass
class ImportSummary:
    """What an import did: counts, minutes per action and notices."""

    files: int = 0
    clips: int = 0
    minutes: Counter[str] = field(default_factory=Counter)
    clips_per_action: Counter[str] = field(default_factory=Counter)
    subjects: set[str] = field(default_factory=set)
    notices: list[Notice] = field(default_factory=list)
    body_model: str = "motiongan"

    def add(self, clip: Clip) -> None:
        action = clip.action or "(no label)"
        self.clips += 1
        self.minutes[action] += clip.duration / 60  # type: ignore[assignment]
        self.clips_per_action[action] += 1
        self.subjects.add(clip.subject)

    def grouped(self, kind: str) -> list[tuple[str, list[str]]]:
        """The notices of one kind: text and the files it concerns, most frequent first."""
        groups: dict[str, list[str]] = defaultdict(list)
        for notice in self.notices:
            if notice.kind == kind:
                groups[notice.text].append(notice.source)
        return sorted(groups.items(), key=lambda group: -len(group[1]))


@dataclass(frozen=True)
class Calibration:
    """What all clips of one person share: body shape, and the height of the floor under the fitted soles (metres)."""

    betas: Float[ndarray, "10"]
    floor: float | None = None


@dataclass(frozen=True)
class _Item:
    """A motion file to convert, with the skeleton and the labels that belong to it."""

    source: SourceFile
    skeleton: SourceFile | None
    labels: tuple[Label, ...]
    subject: str
    is_named: bool  # the labels name the subject

    @property
    def size(self) -> int:
        return len(self.source.data)


@dataclass
class _Converted:
    """What one file became. `body_model` tells whose betas its clips carry."""

    clips: list[Clip] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    body_model: str = "motiongan"


def import_motion(
    sources: Sequence[str | Path],
    out: str | Path,
    *,
    labels: str | Path | None = None,
    options: ImportOptions = ImportOptions(),
    force: bool = False,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> ImportSummary:
    """Import every motion file in the sources to the motion file `out`.

    labels        CSV or BABEL JSON; without it the tables found in source folders are used
    on_progress   called with (stage, files done, files known)
    Raises MotionganError where nothing at all could be imported; single files that fail are left out with a notice.
    """
    check_output(out, force=force)
    table = _labels_for(sources, labels)
    summary = ImportSummary()
    body_name = load_body(options.body).name
    with _worker_pool(options) as pool:
        converter = _Converter(options, pool, body_name, on_progress or (lambda *_: None))
        batches = converter.convert(_items(sources, table, summary), summary)
        first = next(batches, [])
        motion_files = _motion_files(sources)
        kind, body_model = _kind_and_body(first, motion_files, body_name)
        summary.body_model = body_model
        if not any(converted.clips for converted in first) and not motion_files:
            first += [converted for batch in batches for converted in batch]
            if not any(converted.clips for converted in first):
                raise MotionganError(_nothing_imported(sources, summary, first))
        licences = dict.fromkeys(label.licence for label in table.all if label.licence)
        with MotionWriter(
            out,
            frame_rate=options.frame_rate,
            kind=kind,
            body_model=body_model,
            licence="; ".join(licences),
            provenance={"imported_from": ", ".join(map(str, sources))},
            force=force,
        ) as writer:

            def write(clips: Iterable[Clip], their_body: str) -> None:
                for clip in clips:
                    clip = clip if their_body == body_model else replace(clip, betas=np.zeros(NUM_BETAS, np.float32))
                    writer.write(clip)
                    summary.add(clip)

            for batch in _chain(first, batches):
                for converted in batch:
                    summary.notices += converted.notices
                    write(converted.clips, converted.body_model)
                    if converted.clips and converted.body_model != body_model:
                        summary.notices.append(_dropped_betas(converted.clips[0].source, converted.body_model, body_model))
            for path in motion_files:
                summary.files += 1
                with MotionFile(path) as file:
                    if file.body_model != body_model:
                        summary.notices.append(_dropped_betas(str(path), file.body_model, body_model))
                    write((resample(clip, options.frame_rate) for clip in file), file.body_model)
    return summary


def _chain(first: list[_Converted], rest: Iterator[list[_Converted]]) -> Iterator[list[_Converted]]:
    yield first
    yield from rest


def _dropped_betas(source: str, theirs: str, target: str) -> Notice:
    text = f"betas of {theirs} mean nothing to the file's body model {target}: set to 0"
    return Notice(source, "repaired", text)


def _nothing_imported(sources: Sequence[str | Path], summary: ImportSummary, converted: Sequence[_Converted]) -> str:
    notices = [notice for each in converted for notice in each.notices if notice.kind == "left out"]
    notices += [notice for notice in summary.notices if notice.kind == "left out"]
    if len(notices) == 1:
        return f"{notices[0].source}: {notices[0].text}"
    if notices:
        return f"{notices[0].source}: {notices[0].text} ({len(notices) - 1} more files were left out)"
    return f"{sources[0]}: no motion files (BVH, ASF/AMC, AMASS .npz, motion .h5) in it"


def _kind_and_body(first: Sequence[_Converted], motion_files: Sequence[Path], default: str) -> tuple[str, str]:
    """Kind and body model of the file to write: those of the sources where all agree, else captured and ours."""
    bodies = {converted.body_model for converted in first if converted.clips}
    kinds = {"captured"} if bodies else set()
    for path in motion_files:
        with MotionFile(path) as file:
            bodies.add(file.body_model)
            kinds.add(file.kind)
    return (kinds.pop() if len(kinds) == 1 else "captured", bodies.pop() if len(bodies) == 1 else default)


def _labels_for(sources: Sequence[str | Path], labels: str | Path | None) -> Labels:
    if labels is not None:
        return read_labels(labels)
    found = [find_labels(path) for path in map(Path, sources) if path.is_dir()]
    return merge_labels(table for table in found if table is not None)


def _motion_files(sources: Sequence[str | Path]) -> list[Path]:
    """The motion files on disk among the sources and in their folders."""
    paths: list[Path] = []
    for source in map(Path, sources):
        candidates = sorted(source.rglob("*.h5")) if source.is_dir() else [source]
        for path in candidates:
            with path.open("rb") as file:
                if file.read(8) == b"\x89HDF\r\n\x1a\n":
                    paths.append(path)
    return paths


def _items(sources: Sequence[str | Path], labels: Labels, summary: ImportSummary) -> Iterator[_Item]:
    """The motion files of the sources with what belongs to them; notices of the rest go to the summary."""

    def skeleton_of(amc: SourceFile) -> str | None:
        return next((label.skeleton for label in labels.for_file(amc.name, amc.container) if label.skeleton), None)

    for source, skeleton in with_skeletons(walk(list(sources)), skeleton_of):
        if source.format in ("csv", "json"):
            continue
        if source.format == "motion":
            if source.path is None:
                summary.files += 1
                summary.notices.append(
                    Notice(source.label, "left out", "a motion file inside an archive; unpack it first")
                )
            continue  # those on disk are merged at the end
        if source.format not in ("bvh", "amc", "amass"):
            summary.notices.append(Notice(source.label, "passed over", "not a motion file"))
            continue
        summary.files += 1
        own = labels.for_file(source.name, source.container)
        if own and all(label.duplicate_of for label in own):
            text = "a copy of another file, by the labels' duplicate_of"
            summary.notices.append(Notice(source.label, "left out", text))
            continue
        if source.format == "amc" and skeleton is None:
            summary.notices.append(Notice(source.label, "left out", "no ASF skeleton for this AMC file"))
            continue
        if len(labels) and not own:
            summary.notices.append(Notice(source.label, "assumed", "no label for it: imported without an action"))
        named = next((label.subject for label in own if label.subject), "")
        kept = tuple(label for label in own if not label.duplicate_of)
        yield _Item(source, skeleton, kept, named or _subject_from_path(source), bool(named))


def _subject_from_path(source: SourceFile) -> str:
    """Who moves, where no label says so: the folders of the file, else what its name begins with ("07" of "07_01")."""
    parent = PurePosixPath(source.name).parent
    if str(parent) != ".":
        return parent.as_posix()
    stem = PurePosixPath(source.name).stem
    return re.split(r"[_\-. ]", stem)[0] or stem


@contextmanager
def _worker_pool(options: ImportOptions) -> Iterator[Callable[[], Executor] | None]:
    """A function that starts the workers at its first call, None for none; they end with the block."""
    if options.workers < 1:
        yield None
        return
    started: list[ProcessPoolExecutor] = []

    def pool() -> Executor:
        if not started:
            # Spawned, not forked: a fork copies torch's and HDF5's locks and threads in whatever state they are.
            started.append(
                ProcessPoolExecutor(options.workers, mp_context=get_context("spawn"), initializer=_start_worker)
            )
        return started[0]

    try:
        yield pool
    finally:
        for executor in started:
            executor.shutdown(wait=False, cancel_futures=True)


def _start_worker() -> None:
    torch.set_num_threads(1)


class _Converter:
    """Holds items until enough are there, calibrates their people and converts them, in the order they came."""

    def __init__(
        self,
        options: ImportOptions,
        pool: Callable[[], Executor] | None,
        body_name: str,
        on_progress: Callable[[str, int, int], None],
    ) -> None:
        self.options, self.pool, self.body_name, self.on_progress = options, pool, body_name, on_progress
        self.calibrations: dict[str, Calibration] = {}
        self.done = self.known = 0

    def convert(self, items: Iterator[_Item], summary: ImportSummary) -> Iterator[list[_Converted]]:
        held: list[_Item] = []
        size = 0
        for item in items:
            held.append(item)
            size += item.size
            self.known += 1
            self.on_progress("reading", self.done, self.known)
            if size >= _HELD_BYTES:
                yield list(self._convert_held(held, use_pool=True))
                held, size = [], 0
        if held:
            yield list(self._convert_held(held, use_pool=size >= _FEW_BYTES))

    def _convert_held(self, items: list[_Item], use_pool: bool) -> Iterator[_Converted]:
        people: dict[str, list[_Item]] = defaultdict(list)
        for item in items:
            if item.source.format != "amass":
                people[_person(item)].append(item)
        new = {person: theirs for person, theirs in people.items() if person not in self.calibrations}
        jobs = [(_spread(theirs, _CALIBRATION_FILES), self.options) for theirs in new.values()]
        self.calibrations |= dict(zip(new, self._run(calibrate, jobs, use_pool)))
        work = [([(item, self.calibrations.get(_person(item))) for item in part], self.options) for part in _parts(items)]
        for part in self._run(_convert_items, work, use_pool):
            self.done += len(part)
            self.on_progress("converting", self.done, self.known)
            yield from part

    def _run(self, function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]], use_pool: bool) -> Iterator[Any]:
        if self.pool is None or not use_pool:
            yield from (function(*job) for job in jobs)
            return
        pool = self.pool()
        waiting: list[Future[Any]] = [pool.submit(function, *job) for job in jobs]
        for future in waiting:
            yield future.result()


def _person(item: _Item) -> str:
    return item.subject


def _spread(items: Sequence[_Item], count: int) -> list[_Item]:
    """At most `count` items, evenly from the sequence."""
    if len(items) <= count:
        return list(items)
    return [items[round(index)] for index in np.linspace(0, len(items) - 1, count)]


def _parts(items: Sequence[_Item]) -> Iterator[list[_Item]]:
    part: list[_Item] = []
    size = 0
    for item in items:
        part.append(item)
        size += item.size
        if size >= _JOB_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def calibrate(items: Sequence[_Item], options: ImportOptions) -> Calibration:
    """Body shape and floor of one person from some of their files; files that cannot be read do not count."""
    body = _body(options.body)
    ready: list[tuple[SkeletonMotion, SourceSkeleton, float]] = []
    with _collected_warnings():
        for item in items:
            try:
                motion, skeleton = _read_skeleton_motion(item, options)
            except MotionganError:
                continue  # told when the file itself is converted
            ready.append((motion, skeleton, _rate(item, motion)[0]))
    if not ready:
        return Calibration(np.zeros(NUM_BETAS, dtype=np.float32))
    betas = fit_betas([skeleton for _, skeleton, _ in ready], body)
    floors = []
    for motion, skeleton, rate in ready:
        clip = retarget(motion, skeleton, body, betas, rate)
        floor = find_floor(clip, body)
        if floor is not None:
            floors.append(floor)
    if not floors:
        return Calibration(betas)
    middle = float(np.median(floors))
    spread = float(np.median(np.abs(np.array(floors) - middle)))
    # Where clips stand at all sorts of heights the source has no common floor.
    return Calibration(betas, middle if spread < 2 * _FLOOR_TOLERANCE else None)


def _convert_items(work: Sequence[tuple[_Item, Calibration | None]], options: ImportOptions) -> list[_Converted]:
    results = []
    for item, calibration in work:
        with _collected_warnings() as warnings:
            try:
                converted = _convert_item(item, calibration, options)
            except MotionganError as error:
                text = str(error).removeprefix(item.source.label).removeprefix(": ")
                converted = _Converted(notices=[Notice(item.source.label, "left out", text)])
        label = item.source.label
        texts = [text.removeprefix(label).lstrip(": ") for text in warnings]
        converted.notices += [Notice(label, "repaired", text) for text in texts]
        results.append(converted)
    return results


def _convert_item(item: _Item, calibration: Calibration | None, options: ImportOptions) -> _Converted:
    """The clips of one file, one per label. Raises MotionganError where the file cannot be used."""
    body = _body(options.body)
    label = item.source.label
    assert calibration is not None
    motion, skeleton = _read_skeleton_motion(item, options)
    notices = [Notice(label, "assumed" if "taken" in text else "repaired", text) for text in skeleton.notices]
    rate, rate_notice = _rate(item, motion)
    if rate_notice:
        notices.append(Notice(label, "assumed", rate_notice))
    clip = retarget(motion, skeleton, body, calibration.betas, rate)
    converted = _Converted(notices=notices, body_model=body.name)
    clip = replace(clip, subject=item.subject, trans=clip.trans - _floor_offset(clip, body, calibration, label, notices))
    _cut(clip, item, options, converted)
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
            Notice(label, "assumed", "stands off its person's usual floor (props, a step?): that floor is kept as ground")
        )
    return np.array([0, 0, floor], dtype=np.float32)


def find_floor(clip: Clip, body: Body) -> float | None:
    """Height of the ground under a clip, metres: the median height of the lowest sole point while it stands still.

    Counted are frames whose lowest sole point moves slower than 0.25 m/s and lies within 15 cm of the lowest such
    place (so that a step or a chair is not averaged in); None where nothing ever stands still.
    """
    if clip.num_frames < 3 or not np.isfinite(clip.trans).all() or not np.isfinite(clip.poses).all():
        return None
    rotations = roma.rotvec_to_rotmat(torch.from_numpy(clip.poses).double())
    posed = forward_kinematics(rotations, torch.from_numpy(clip.trans).double(), body_skeleton(body, clip.betas))
    soles = posed.soles.numpy()
    speed = np.linalg.norm(np.gradient(soles, axis=0), axis=-1) * clip.frame_rate
    lowest = soles[..., 2].argmin(1)
    frames = np.arange(len(soles))
    heights = soles[frames, lowest, 2][speed[frames, lowest] < _STANDING_SPEED]
    if len(heights) < 3:
        return None
    return float(np.median(heights[heights <= np.quantile(heights, 0.02) + 0.15]))


def _cut(clip: Clip, item: _Item, options: ImportOptions, converted: _Converted) -> None:
    """Add the labelled segments of a whole file's clip, checked and resampled, to what it became."""
    file = item.source.label
    for label in item.labels or (Label(file=item.source.name, action=None),):
        start = max(label.motion_start, round(label.start_s * clip.frame_rate))
        stop = clip.num_frames if label.end_s is None else min(clip.num_frames, round(label.end_s * clip.frame_rate))
        if stop - start < 1:
            converted.notices.append(Notice(file, "left out", "the labelled segment holds no frames"))
            continue
        repaired = repair(clip.crop(start, stop))
        kind = "repaired" if repaired.pieces else "left out"
        converted.notices += [Notice(file, kind, notice) for notice in repaired.notices]
        for piece in repaired.pieces:
            segment = resample(repaired.clip.crop(piece.start, piece.stop), options.frame_rate)
            if segment.num_frames < _SHORTEST:
                text = f"shorter than {_SHORTEST} frames at {options.frame_rate:g} Hz"
                converted.notices.append(Notice(file, "left out", text))
                continue
            first, last = (start + piece.start) / clip.frame_rate, (start + piece.stop) / clip.frame_rate
            converted.clips.append(
                replace(
                    segment,
                    action=label.action,
                    subject=label.subject or item.subject,
                    source=f"{item.source.name} {first:.2f}-{last:.2f} s",
                )
            )


def _read_skeleton_motion(item: _Item, options: ImportOptions) -> tuple[SkeletonMotion, SourceSkeleton]:
    name = item.source.label
    if item.source.format == "amc":
        assert item.skeleton is not None
        motion = read_amc(item.source.data, read_asf(item.skeleton.data, item.skeleton.label), name)
    else:
        motion = read_bvh(item.source.data, name)
    return motion, prepare_skeleton(motion, name, options.joint_map, options.metres_per_unit)


def _rate(item: _Item, motion: SkeletonMotion) -> tuple[float, str]:
    """Frame rate of a file in Hz and, where it is a guess, a notice."""
    labelled = next((label.frame_rate for label in item.labels if label.frame_rate), None)
    rate = labelled or motion.frame_rate
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
