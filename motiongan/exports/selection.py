"""What an export takes from motion files: which clips, at which frame rate, under which names, with which body."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import roma
import torch
from numpy import ndarray

from motiongan.body.kinematics import BoneShape, PosedSkeleton, forward_kinematics
from motiongan.body.smpl import Body, load_body
from motiongan.errors import MotionganError
from motiongan.motion.actions import select_actions
from motiongan.motion.clip import Clip
from motiongan.motion.resample import resample
from motiongan.motion.store import MotionFile


@dataclass(frozen=True)
class ExportOptions:
    """What the user may set for an export; each format takes what concerns it.

    body       body file for shapes and meshes; None = the default body
    layout     amass: "smplh" or "smplx"; None = SMPL-X for clips with its betas, else SMPL+H
    unit       bvh: "cm" or "m"
    size       video: height and width of one clip's picture in pixels
    columns    video: clips side by side in a grid; 0 = one video for each clip
    seconds    video: its length, for which clips begin again and again; 0 = as long as the clip, or the longest one
    draw       video: (clip, body, size) -> RGB pictures of size x size, frame by frame
    seed       cameras of the 2D formats
    window     motionbert: frames of a training clip
    """

    body: Path | None = None
    layout: str | None = None
    unit: str = "cm"
    size: int = 360
    columns: int = 0
    seconds: float = 0.0
    draw: Callable[[Clip, Body, int], Iterator[ndarray]] | None = None
    seed: int = 0
    window: int = 243


@dataclass(frozen=True)
class NamedClip:
    """A clip and what to call it.

    tag      unlike any other clip's: its number in the source, "00012", after the file's name where there are several
    number   in the source file, from 0
    """

    clip: Clip
    tag: str
    number: int
    source: Path

    @property
    def name(self) -> str:
        """What its file is called: "00012_kick_left"."""
        action = plain(self.clip.action or "")
        return f"{self.tag}_{action}" if action else self.tag


@lru_cache(maxsize=1)
def _body(path: Path | None) -> Body:
    return load_body(path)


def plain(text: str) -> str:
    """A text as part of a name: letters, digits, - and _ only."""
    return re.sub(r"[^A-Za-z0-9-]+", "_", text).strip("_")


@dataclass
class Export:
    """An export under way: the clips that were asked for, and what their files say of them.

    body        the body that gives joints and vertices
    body_model  whose betas the clips carry
    licences    of the sources, each once
    notices     what the user should know, each once, in the order it came up
    left_out    clips that could not be written, with the reason
    """

    selections: list["Selection"]
    frame_rate: float | None
    options: ExportOptions
    notices: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    _body: Body | None = None

    @property
    def num_clips(self) -> int:
        return sum(len(selection.numbers) for selection in self.selections)

    @property
    def body_model(self) -> str:
        return self.selections[0].body_model

    @property
    def licence(self) -> str:
        licences = [part for selection in self.selections for part in selection.licence.split("; ")]
        return "; ".join(dict.fromkeys(filter(None, licences)))

    @property
    def body(self) -> Body:
        """The body, read at its first use: not every format needs one."""
        if self._body is None:
            self._body = _body(self.options.body)
            if self._body.name != self.body_model:
                self.note(
                    f"body shapes are for {self.body_model}: the mean body of {self._body.name} is taken;"
                    f" --body FILE gives a {self.body_model} body"
                )
        return self._body

    @property
    def bones(self) -> BoneShape:
        """The body's bones for any betas, float64."""
        bones = self.body.bones
        return BoneShape(*(getattr(bones, each.name).double() for each in fields(bones)))

    def note(self, text: str) -> None:
        """Keep a notice, once."""
        if text not in self.notices:
            self.notices.append(text)

    def clips(self, *, usable: bool = True) -> Iterator[NamedClip]:
        """The clips one after another, at the wanted frame rate.

        usable   leave out, with a notice, clips that cannot be posed: without frames, with NaN or infinity
        """
        for selection in self.selections:
            prefix = f"{plain(selection.path.stem)}_" if len(self.selections) > 1 else ""
            with MotionFile(selection.path) as file:
                for number in selection.numbers:
                    clip = file[number]
                    where = f"{selection.path}: clip {number}"
                    if usable and not clip.num_frames:
                        self.left_out.append(f"{where}: it has no frames")
                        continue
                    resampled = self.frame_rate is not None and self.frame_rate != clip.frame_rate
                    if (usable or resampled) and not clip.is_finite:
                        self.left_out.append(f"{where}: NaN or infinity in it; `motiongan import` mends such clips")
                        continue
                    if self.frame_rate is not None:
                        clip = resample(clip, self.frame_rate)
                    yield NamedClip(clip, f"{prefix}{number:05d}", number, selection.path)

    def betas(self, clip: Clip) -> torch.Tensor:
        """The clip's betas where they belong to the body, else those of its mean: (10,), or fewer for a small body."""
        betas = torch.from_numpy(clip.betas)[: self.body.num_betas].double()
        return betas if self.body.name == self.body_model else torch.zeros_like(betas)

    def pose(self, clip: Clip) -> PosedSkeleton:
        """World joints, rotations and sole points of every frame, metres, Z up, float64."""
        return forward_kinematics(
            roma.rotvec_to_rotmat(torch.from_numpy(clip.poses).double()),
            torch.from_numpy(clip.trans).double(),
            self.bones.skeleton(self.betas(clip)),
        )


@dataclass(frozen=True)
class Selection:
    """The wanted clips of one motion file, and what the file says of all of them."""

    path: Path
    numbers: tuple[int, ...]
    frame_rate: float
    body_model: str
    kind: str
    licence: str
    attributes: dict[str, Any]
    actions: tuple[str, ...]


def select(
    sources: Sequence[str | Path],
    *,
    clips: str | None = None,
    action: str | None = None,
    frame_rate: float | None = None,
    options: ExportOptions | None = None,
) -> Export:
    """The wanted clips of motion files; nothing but their tables is read yet.

    clips        numbers such as "0,5,10-20" (of a single file); None = all
    action       name, or several: "a,b,c"; None = all, unlabelled clips too
    frame_rate   Hz to resample to; None = as they are, which several files must then share
    Raises MotionganError for numbers out of range, unknown actions, files that do not go together, and no clips.
    """
    assert sources, "argparse asks for at least one file"
    if frame_rate is not None and not 0 < frame_rate < float("inf"):
        raise MotionganError(f"--frame-rate is {frame_rate:g}, expected a positive number of Hz")
    if clips is not None and len(sources) > 1:
        raise MotionganError(
            f"--clips {clips}: numbers belong to one file, {len(sources)} are given; export one by one"
        )
    selections = [_select(Path(source), clips, action, len(sources) > 1) for source in sources]
    first = selections[0]
    for other in selections[1:]:
        if other.body_model != first.body_model:
            raise MotionganError(
                f"{other.path}: its body shapes are for {other.body_model}, those of {first.path} for"
                f" {first.body_model}; `motiongan import` merges them on one body"
            )
        if frame_rate is None and other.frame_rate != first.frame_rate:
            raise MotionganError(
                f"{other.path}: has {other.frame_rate:g} Hz, {first.path} {first.frame_rate:g} Hz;"
                " give the rate of all with --frame-rate"
            )
    if not any(selection.numbers for selection in selections):
        what = f" of {action}" if action else ""
        raise MotionganError(f"{', '.join(map(str, sources))}: no clips{what}")
    stems = [selection.path.stem for selection in selections]
    for stem in stems:
        if stems.count(stem) > 1:
            raise MotionganError(f"{stem}: two of the files have this name; clips are named after them, rename one")
    return Export([each for each in selections if each.numbers], frame_rate, options or ExportOptions())


def parse_numbers(text: str, count: int, place: str) -> list[int]:
    """Clip numbers of "0,5,10-20" (ends included), in that order, each once. Raises MotionganError with the fault.

    count   how many clips there are;  place   whose clips, for the message
    """
    numbers: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if match is None:
            raise MotionganError(f"--clips {text}: `{part.strip()}` is no number or range; write it as 0,5,10-20")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise MotionganError(f"--clips {text}: `{part.strip()}` runs backwards; write {last}-{first}")
        if last >= count:
            holds = f"{count} clips, numbered 0 to {count - 1}" if count else "no clips"
            raise MotionganError(f"--clips {text}: {last} is out of range: {place} has {holds}")
        numbers += range(first, last + 1)
    return list(dict.fromkeys(numbers))


def _select(path: Path, clips: str | None, action: str | None, lenient: bool) -> Selection:
    """lenient   an action that this file lacks is no mistake where there are other files"""
    with MotionFile(path) as file:
        numbers = list(range(len(file))) if clips is None else parse_numbers(clips, len(file), str(path))
        if action is not None:
            known = file.actions
            try:
                wanted = {known.index(name) for name in select_actions(action, known, str(path))}
            except MotionganError:
                if not lenient:
                    raise
                wanted = {known.index(name) for name in map(str.strip, action.split(",")) if name in known}
            numbers = [number for number in numbers if int(file.action_ids[number]) in wanted]
        used = {int(file.action_ids[number]) for number in numbers}
        return Selection(
            path=path,
            numbers=tuple(numbers),
            frame_rate=file.frame_rate,
            body_model=file.body_model,
            kind=file.kind,
            licence=str(file.attributes.get("licence", "")),
            attributes=dict(file.attributes),
            actions=tuple(name for index, name in enumerate(file.actions) if index in used),
        )
