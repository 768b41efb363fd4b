"""The import: foreign motion files, labelled or not -> clips of one frame rate, streamed to a motion file.

Files are read in order and converted in worker processes, one person's files together: a calibration (body shape,
soles, floor) from a few of them, then all. What is left out, repaired or assumed comes back as a `Notice`.
"""

import hashlib
import itertools
import re
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

from motiongan.body.smpl import Body, load_body
from motiongan.errors import MotionganError
from motiongan.formats.conversion import Converted, ConvertedPart, ImportOptions, Item, Notice, convert_part
from motiongan.formats.grounding import find_floor
from motiongan.formats.labels import Labels, find_labels, merge_labels, read_labels
from motiongan.formats.repair import repair
from motiongan.formats.retarget import body_skeleton
from motiongan.formats.sources import SourceFile, walk, with_skeletons
from motiongan.motion.clip import NUM_BETAS, Clip
from motiongan.motion.provenance import merged_provenance
from motiongan.motion.resample import resample
from motiongan.motion.store import MotionFile, MotionWriter, check_output

_HELD_BYTES = 256 * 2**20  # of files in memory that wait for a worker
_JOB_BYTES = 8 * 2**20  # of files in one job: small enough that two workers end together
_FEW_BYTES = 4 * 2**20  # below this, starting workers takes longer than the work
_DECIDING_FRAMES = 200_000  # of clips are seen before the file's body model is settled


@dataclass
class ImportSummary:
    """What an import did: counts, minutes per action and notices."""

    files: int = 0
    clips: int = 0
    minutes: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    clips_per_action: Counter[str] = field(default_factory=Counter)
    subjects: set[str] = field(default_factory=set)
    notices: list[Notice] = field(default_factory=list)
    body_model: str = "motiongan"

    def add(self, clip: Clip) -> None:
        action = clip.action or "(no label)"
        self.clips += 1
        self.minutes[action] += clip.duration / 60
        self.clips_per_action[action] += 1
        self.subjects.add(clip.subject)

    def grouped(self, kind: str) -> list[tuple[str, list[str]]]:
        """The notices of one kind: text and the files it concerns, most frequent first."""
        groups: dict[str, list[str]] = defaultdict(list)
        for notice in self.notices:
            if notice.kind == kind:
                groups[notice.text].append(notice.source)
        return sorted(groups.items(), key=lambda group: -len(group[1]))


def import_motion(
    sources: Sequence[str | Path],
    out: str | Path,
    *,
    labels: str | Path | None = None,
    options: ImportOptions | None = None,
    force: bool = False,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> ImportSummary:
    """Import every motion file in the sources to the motion file `out`.

    labels        CSV or BABEL JSON; without it the tables found in source folders are used
    on_progress   called with (stage, files done, files known)
    Raises MotionganError where nothing at all could be imported; single files that fail are left out with a notice.
    With `options.workers` a script needs the usual `if __name__ == "__main__"`: workers import it anew.
    """
    check_output(out, force=force)
    table = _labels_for(sources, labels)
    summary = ImportSummary()
    options = options or ImportOptions()
    target = load_body(options.body)
    with _Converter(options, on_progress or (lambda *_: None)) as converter:
        converted = converter.convert(_items(sources, table, summary))
        first = _up_to_frames(converted, _DECIDING_FRAMES)
        motion_files = [path for path in _motion_files(sources) if path.resolve() != Path(out).resolve()]
        if not any(each.clips for each in first) and not motion_files:
            first += converted
            if not any(each.clips for each in first):
                raise MotionganError(_nothing_imported(sources, summary, first))
        kind, body_model = _kind_and_body(first, motion_files, target.name)
        summary.body_model = body_model
        with MotionWriter(
            out,
            frame_rate=options.frame_rate,
            kind=kind,
            body_model=body_model,
            provenance={
                **(_provenance(motion_files) if kind == "generated" else {}),
                "imported_from": ", ".join(map(str, sources)),
            },
            force=force,
        ) as writer:
            licences: list[str] = []  # of the clips that came in

            def write(clips: Iterable[Clip], their_body: str) -> None:
                for clip in clips:
                    if their_body != body_model:
                        clip = _with_mean_betas(clip, target if target.name == body_model else None)
                    writer.write(clip)
                    summary.add(clip)

            for each in itertools.chain(first, converted):
                summary.notices += each.notices
                licences += each.licences
                write(each.clips, each.body_model)
                if each.clips and each.body_model != body_model:
                    summary.notices.append(_dropped_betas(each.clips[0].source, each.body_model, body_model))
            for path in motion_files:
                summary.files += 1
                with MotionFile(path) as file:
                    licences += str(file.attributes.get("licence", "")).split("; ")
                    if file.body_model != body_model:
                        summary.notices.append(_dropped_betas(str(path), file.body_model, body_model))
                    if file.kind != kind:
                        text = f"{file.kind} motion goes into a file that says {kind}"
                        summary.notices.append(Notice(str(path), "assumed", text))
                    rest = target if target.name == file.body_model else None
                    pieces = (piece for clip in file for piece in _sound_pieces(clip, str(path), rest, summary))
                    write((resample(piece, options.frame_rate) for piece in pieces), file.body_model)
            if not summary.clips:
                raise MotionganError(_nothing_imported(sources, summary, first))
            writer.note("licence", "; ".join(dict.fromkeys(filter(None, licences))))
    return summary


def _up_to_frames(converted: Iterator[Converted], num_frames: int) -> list[Converted]:
    """The first results, until they hold so many frames."""
    taken: list[Converted] = []
    for each in converted:
        taken.append(each)
        num_frames -= sum(clip.num_frames for clip in each.clips)
        if num_frames <= 0:
            break
    return taken


def _sound_pieces(clip: Clip, source: str, body: Body | None, summary: ImportSummary) -> Iterator[Clip]:
    """A motion file's clip, mended or cut where frames are lost, as those of other sources are; with notices.

    body   whose betas the clip carries; None = another's, the default body's mean skeleton will do
    """
    if clip.num_frames and clip.is_finite:
        yield clip
        return
    if not np.isfinite(clip.betas).all():
        clip = replace(clip, betas=np.zeros(NUM_BETAS, dtype=np.float32))
        summary.notices.append(Notice(source, "repaired", "betas with NaN or infinity: set to 0"))
    betas = clip.betas if body is not None else 0 * clip.betas
    repaired = repair(clip, body_skeleton(body or load_body(), betas).rest_joints.numpy())
    kind = "repaired" if repaired.pieces else "left out"
    notices = repaired.notices if clip.num_frames else ("a clip without frames",)
    summary.notices += [Notice(source, kind, notice) for notice in notices]
    for piece in repaired.pieces:
        yield repaired.clip.crop(piece.start, piece.stop)


def _provenance(motion_files: Sequence[Path]) -> dict[str, Any]:
    """What generated files say of their making."""
    told: list[dict[str, Any]] = []
    for path in motion_files:
        with MotionFile(path) as file:
            told.append(file.attributes)
    return merged_provenance(told, "generated")


def _with_mean_betas(clip: Clip, body: Body | None) -> Clip:
    """The clip without betas of a body model that is not the file's; feet back on the ground of the mean body."""
    clip = replace(clip, betas=np.zeros(NUM_BETAS, dtype=np.float32))
    floor = find_floor(clip, body) if body is not None else None
    return clip if floor is None else replace(clip, trans=clip.trans - np.array([0, 0, floor], dtype=np.float32))


def _dropped_betas(source: str, theirs: str, target: str) -> Notice:
    text = f"betas of {theirs} mean nothing to the file's body model {target}: set to 0"
    return Notice(source, "repaired", text)


def _nothing_imported(sources: Sequence[str | Path], summary: ImportSummary, converted: Sequence[Converted]) -> str:
    notices = [notice for each in converted for notice in each.notices if notice.kind == "left out"]
    notices += [notice for notice in summary.notices if notice.kind == "left out"]
    if len(notices) == 1:
        return f"{notices[0].source}: {notices[0].text}"
    if notices:
        return f"{notices[0].source}: {notices[0].text} ({len(notices) - 1} more files were left out)"
    return f"{sources[0]}: no motion files (BVH, ASF/AMC, AMASS .npz, motion .h5) in it"


def _kind_and_body(first: Sequence[Converted], motion_files: Sequence[Path], default: str) -> tuple[str, str]:
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


def labelled_motions(
    sources: Sequence[str | Path], labels: str | Path | None = None, *, with_duplicates: bool = False
) -> Iterator[Item]:
    """The motion files of the sources with their skeletons and labels, as `import_motion` takes them."""
    yield from _items(sources, _labels_for(sources, labels), ImportSummary(), with_duplicates)


def _items(
    sources: Sequence[str | Path], labels: Labels, summary: ImportSummary, with_duplicates: bool = False
) -> Iterator[Item]:
    """The motion files of the sources with what belongs to them; notices of the rest go to the summary."""

    def skeleton_of(amc: SourceFile) -> str | None:
        return next((label.skeleton for label in labels.for_file(amc.name, amc.container) if label.skeleton), None)

    found: set[str] = set()
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
        if source.fault:
            summary.files += 1
            summary.notices.append(Notice(source.label, "left out", source.fault.removeprefix(f"{source.label}: ")))
            continue
        if source.format not in ("bvh", "amc", "amass"):
            summary.notices.append(Notice(source.label, "passed over", "not a motion file"))
            continue
        summary.files += 1
        own = labels.for_file(source.name, source.container)
        found.update(label.file for label in own)
        if own and all(label.duplicate_of for label in own) and not with_duplicates:
            text = "a copy of another file, by the labels' duplicate_of"
            summary.notices.append(Notice(source.label, "left out", text))
            continue
        if source.format == "amc" and skeleton is None:
            summary.notices.append(Notice(source.label, "left out", "no ASF skeleton for this AMC file"))
            continue
        if len(labels) and not own:
            summary.notices.append(Notice(source.label, "assumed", "no label for it: imported without an action"))
        named = next((label.subject for label in own if label.subject), "")
        kept = tuple(label for label in own if with_duplicates or not label.duplicate_of)
        yield Item(source, skeleton, kept, named or _subject_from_path(source), bool(named))
    for file in dict.fromkeys(label.file for label in labels.all if label.file not in found):
        summary.notices.append(Notice(file, "passed over", "labelled, but not in the sources"))


def _subject_from_path(source: SourceFile) -> str:
    """Who moves, where no label says so: the folder of the file.

    Names such as CMU's "07_01" begin with the person: "07", whatever the folder.
    """
    path = PurePosixPath(source.name)
    numbered = re.fullmatch(r"(\d+)_\d+.*", path.stem)
    if numbered:
        return numbered[1]
    return path.parent.as_posix() if path.parent.name else PurePosixPath(source.container.replace("\\", "/")).name


class _Converter:
    """Converts items in the order they come, in worker processes once there is enough to do.

    Neighbouring items of one person make a job. A person's first job calibrates them; their later ones wait for that.
    """

    def __init__(self, options: ImportOptions, on_progress: Callable[[str, int, int], None]) -> None:
        self.options, self.on_progress = options, on_progress
        self.pool: ProcessPoolExecutor | None = None
        self.calibrated: dict[str, Future[ConvertedPart]] = {}
        self.done = self.known = 0

    def __enter__(self) -> "_Converter":
        return self

    def __exit__(self, *exception: object) -> None:
        if self.pool is not None:
            self.pool.shutdown(wait=False, cancel_futures=True)

    def convert(self, items: Iterable[Item]) -> Iterator[Converted]:
        """What each item became, in their order; at most `_HELD_BYTES` of files are in memory."""
        parts: deque[list[Item]] = deque()  # read, but not worth a process so far
        jobs: deque[tuple[int, Future[ConvertedPart]]] = deque()
        size = 0
        for part in _parts(self._counted(items)):
            parts.append(part)
            size += sum(item.size for item in part)
            if self.options.workers > 0 and (self.pool is not None or size >= _FEW_BYTES):
                jobs.extend((sum(item.size for item in part), self._submit(part)) for part in parts)
                parts.clear()
            while jobs and (jobs[0][1].done() or sum(held for held, _ in jobs) > _HELD_BYTES):
                yield from self._finished(jobs.popleft()[1].result())
        while jobs:
            yield from self._finished(jobs.popleft()[1].result())
        for part in parts:
            person = _person(part[0])
            earlier = self.calibrated.get(person)
            done = convert_part(part, None if earlier is None else earlier.result().calibration, self.options)
            if earlier is None:
                self.calibrated[person] = Future()
                self.calibrated[person].set_result(done)
            yield from self._finished(done)

    def _counted(self, items: Iterable[Item]) -> Iterator[Item]:
        for item in items:
            self.known += 1
            self.on_progress("reading", self.done, self.known)
            yield item

    def _submit(self, part: list[Item]) -> "Future[ConvertedPart]":
        if self.pool is None:
            # Spawned, not forked: a fork copies torch's and HDF5's locks and threads in whatever state they are.
            self.pool = ProcessPoolExecutor(
                self.options.workers, mp_context=get_context("spawn"), initializer=_start_worker
            )
        person = _person(part[0])
        earlier = self.calibrated.get(person)
        calibration = None if earlier is None else earlier.result().calibration
        job = self.pool.submit(convert_part, part, calibration, self.options)
        self.calibrated.setdefault(person, job)
        return job

    def _finished(self, part: ConvertedPart) -> list[Converted]:
        self.done += len(part.converted)
        self.on_progress("converting", self.done, self.known)
        return part.converted


def _start_worker() -> None:
    torch.set_num_threads(1)


def _person(item: Item) -> str:
    """What shares a calibration: a subject named by the labels, else equal skeletons of one folder."""
    if item.source.format == "amass":
        return "AMASS"  # needs none
    if item.is_named:
        return item.subject
    skeleton = item.skeleton.data if item.skeleton is not None else item.source.data.partition(b"MOTION")[0]
    return f"{item.subject} {hashlib.sha256(skeleton).hexdigest()}"


def _parts(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Neighbouring items of one person, as many as make a job."""
    part: list[Item] = []
    size = 0
    for item in items:
        if part and (size >= _JOB_BYTES or _person(item) != _person(part[0])):
            yield part
            part, size = [], 0
        part.append(item)
        size += item.size
    if part:
        yield part
