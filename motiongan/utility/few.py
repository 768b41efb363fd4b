"""Which real clips are the few, which people are tested on, and whether a generator saw more than the few."""

import json
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from motiongan.errors import MotionganError, did_you_mean
from motiongan.motion.actions import select_actions
from motiongan.motion.clip import Clip
from motiongan.motion.provenance import people_of
from motiongan.motion.store import MotionFile, write_clips
from motiongan.motion.windows import DataConfig, split_subjects

SHORTEST = 16  # frames; shorter clips are left out, as `motiongan train` leaves them out
LONGEST = 4.0  # seconds that are kept of each of the few: a take of a minute is not one clip


@dataclass(frozen=True, eq=False)
class Split:
    """The real clips, parted by person and then by the few.

    few        `per_action` clips of each action, or all where there are fewer, each at most `LONGEST` long
    others     the training people's clips that are not among the few, whole
    training   all of the training people's clips, whole
    test       the held-out people's clips
    content_hash   of the motion file that holds just the few: what a generator trained on it records
    """

    few: list[Clip]
    others: list[Clip]
    training: list[Clip]
    test: list[Clip]
    actions: tuple[str, ...]
    held_out: tuple[str, ...]
    per_action: int
    seed: int
    body_model: str
    licence: str
    kind: str
    content_hash: str
    real_hash: str

    def facts(self) -> dict[str, Any]:
        """What a report says of it."""

        def counted(clips: Sequence[Clip]) -> dict[str, int]:
            return {action: sum(clip.action == action for clip in clips) for action in self.actions}

        return {
            "per_action": self.per_action,
            "split_seed": self.seed,
            "longest_seconds": LONGEST,
            "actions": list(self.actions),
            "held_out": list(self.held_out),
            "few": counted(self.few),
            "few_seconds": round(sum(clip.duration for clip in self.few), 1),
            "few_hash": self.content_hash,
            "real_hash": self.real_hash,
            "training": counted(self.training),
            "training_seconds": round(sum(clip.duration for clip in self.training), 1),
            "test": counted(self.test),
            "test_seconds": round(sum(clip.duration for clip in self.test), 1),
        }


def read_split(
    path: Path, *, per_action: int, seed: int = 0, held_out: str | None = None, actions: str | None = None
) -> Split:
    """Part the clips of a motion file. Equal arguments give equal few, whatever they are wanted for.

    held_out   "a,b"; None = about 15 % of the clips in whole people, drawn by the seed as `motiongan train` does
    actions    "a,b"; None = all that both the held-out and the training people show
    Raises MotionganError in one line for what the user can mend.
    """
    with MotionFile(path) as file:
        clips = [clip for clip in file if clip.action is not None and clip.num_frames >= SHORTEST]
        known, body_model, kind, real_hash = file.actions, file.body_model, file.kind, file.content_hash()
        licence = str(file.attributes.get("licence", ""))
    if actions is not None:
        wanted = select_actions(actions, known, str(path))
        clips = [clip for clip in clips if clip.action in wanted]
    if not clips:
        raise MotionganError(f"{path}: no labelled clip of {SHORTEST} frames or more")
    for clip in clips:
        if not clip.is_finite:
            raise MotionganError(f"{path}: a clip of {clip.action} holds NaN; `motiongan info --check` tells which")
    names = tuple(name.strip() for name in (held_out or "").split(",") if name.strip())
    everybody = {clip.subject for clip in clips}
    for name in names:
        if name not in everybody:
            hint = did_you_mean(name, everybody) or ";"
            raise MotionganError(
                f"{path}: --held-out: unknown subject `{name}`{hint} known: {', '.join(sorted(everybody))}"
            )
    if everybody == set(names):
        raise MotionganError(f"{path}: --held-out leaves no subject to train on; hold out fewer")
    people = split_subjects(clips, DataConfig(held_out=names, split_seed=seed))
    if not people:
        raise MotionganError(f"{path}: too few people to draw some to hold out; name them with --held-out A,B")
    of_test = {clip.action for clip in clips if clip.subject in people}
    of_training = {clip.action for clip in clips if clip.subject not in people}
    shared = tuple(sorted(str(action) for action in of_test & of_training))
    if not shared:
        raise MotionganError(f"{path}: no action is shown by held-out people ({', '.join(people)}) and by others too")
    training = [clip for clip in clips if clip.subject not in people and clip.action in shared]
    few: list[Clip] = []
    chosen: set[int] = set()
    for action in shared:
        numbers = [number for number, clip in enumerate(training) if clip.action == action]
        # By the action's name, so that one action's clips do not depend on which others are wanted.
        random = np.random.default_rng([seed, zlib.crc32(action.encode())])
        for number in sorted(random.permutation(numbers)[:per_action].tolist()):
            chosen.add(number)
            most = round(LONGEST * training[number].frame_rate)
            start = int(random.integers(max(1, training[number].num_frames - most + 1)))
            few.append(training[number].crop(start, min(start + most, training[number].num_frames)))
    split = Split(
        few=few,
        others=[clip for number, clip in enumerate(training) if number not in chosen],
        training=training,
        test=[clip for clip in clips if clip.subject in people and clip.action in shared],
        actions=shared,
        held_out=people,
        per_action=per_action,
        seed=seed,
        body_model=body_model,
        licence=licence,
        kind=kind,
        content_hash="",
        real_hash=real_hash,
    )
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "few.h5"
        write_few(target, split)
        with MotionFile(target) as file:
            return replace(split, content_hash=file.content_hash())


def write_few(path: Path, split: Split, *, force: bool = False) -> None:
    """A motion file of the few alone, for `motiongan train` to learn from."""
    made = {"few_per_action": split.per_action, "split_seed": split.seed, "held_out": json.dumps(split.held_out)}
    write_clips(
        path,
        split.few,
        kind=split.kind if split.kind != "generated" else "sample",
        body_model=split.body_model,
        licence=split.licence,
        provenance=made,
        force=force,
    )


SAME, OTHER, UNKNOWN = "the same few clips", "other clips than the few", "not recorded"


@dataclass(frozen=True)
class Origin:
    """What is recorded of the clips that a generator was trained on, and by which its clips were selected.

    verdict   SAME, OTHER or UNKNOWN: what it was trained on
    selected_by   content hash of the clips that a quality gate compared with; "" = with none
    is_leaky   trained on, or selected by, more than the few, or maybe so
    saw_test_people   held-out people among its training subjects; where only those that it held out are recorded, all
                      others: it may have seen them
    """

    name: str
    verdict: str
    trained_on: str
    selected_by: str
    is_leaky: bool
    saw_test_people: tuple[str, ...]

    def line(self) -> str:
        """For a report."""
        text = f"{self.name}: its generator was trained on {self.verdict}"
        if self.saw_test_people:
            text += f", maybe among them those of the test people {', '.join(self.saw_test_people)}"
        if self.verdict == SAME and self.is_leaky:
            text += ", but a quality gate selected its clips by others"
        return text


def check_origin(name: str, recorded: Mapping[str, Any], split: Split, *, allow_leak: bool) -> Origin:
    """Compare a checkpoint's or a generated file's provenance with the split.

    Raises MotionganError in one line where the generator saw, or may have seen, other clips than the few, and where a
    quality gate compared its clips with others: its recognizer and its search teach which clips are like them.
    """
    trained_on, selected_by = (str(recorded.get(key) or "") for key in ("training_data", "selected_by"))
    verdict = SAME if trained_on == split.content_hash else OTHER if trained_on else UNKNOWN
    test = set(split.held_out)
    seen, kept_out = (people_of(recorded.get(name)) for name in ("subjects", "held_out"))
    if seen is not None:
        test &= seen
    else:
        test -= test if kept_out is None else kept_out
    selected = selected_by not in ("", split.content_hash)
    saw = () if verdict == SAME else tuple(sorted(test))
    origin = Origin(name, verdict, trained_on, selected_by, verdict != SAME or selected, saw)
    if verdict != SAME and not allow_leak:
        hashes = f" ({_differ(trained_on, split, 'trainings')})" if trained_on else ""
        raise MotionganError(
            f"{name}: what its generator was trained on is {verdict}{hashes}; train it on the file of"
            " `motiongan utility --write-few`, with the same --split-seed and --held-out, or give --allow-leak"
        )
    if selected and not allow_leak:
        raise MotionganError(
            f"{name}: its quality gate compared with {OTHER} ({_differ(selected_by, split, 'gates')}); give"
            " `motiongan generate --data` the file of `motiongan utility --write-few`, or give --allow-leak"
        )
    return origin


def _differ(recorded: str, split: Split, of: str) -> str:
    """How the recorded clips differ from the few; a merged file records those of every file in it."""
    parts, few = [part[:8] for part in recorded.split("; ")], split.content_hash[:8]
    if len(parts) == 1:
        return f"{parts[0]} is not {few}"
    return f"it holds clips of several {of}: {', '.join(parts)}; the few are {few}"
