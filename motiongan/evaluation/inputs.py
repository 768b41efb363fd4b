"""What is evaluated: generated files, and the real clips parted into training subjects and held-out people."""

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from motiongan.errors import MotionganError, did_you_mean
from motiongan.evaluation.windows import FEWEST_FRAMES
from motiongan.models.checkpoint import file_hash, read_metadata
from motiongan.motion.clip import Clip
from motiongan.motion.provenance import people_of
from motiongan.motion.store import MotionFile
from motiongan.motion.windows import DataConfig

_log = logging.getLogger(__name__)
FEWEST_CLIPS = 2  # of an action, whose training clips are parted in halves
_NAMED = 12  # people in a line


@dataclass(frozen=True)
class EvaluationInputs:
    """Clips to evaluate, all of one frame rate.

    generated   clips by the name of their file (or folder and file, where two files have one name)
    actions     those that the recognizers tell apart: see `read_inputs`
    measured    those of them that the generated clips have
    left_out    actions of the generated clips that are not among `actions`
    window      frames that clips are cut to: the model's, or those that a model has by default
    held_out    clips of `actions`
    held_out_from   where the held-out subjects are known from
    sources     what each file is: name, content hash, clips, provenance
    remarks     what a reader must know of these files and people, a line each
    """

    generated: dict[str, list[Clip]]
    train: list[Clip]
    held_out: list[Clip]
    actions: tuple[str, ...]
    measured: tuple[str, ...]
    left_out: tuple[str, ...]
    window: int
    held_out_subjects: tuple[str, ...]
    held_out_from: str
    sources: dict[str, dict[str, Any]]
    remarks: tuple[str, ...] = ()


def read_inputs(
    generated: Sequence[Path],
    data: Path,
    *,
    held_out: str | None = None,
    checkpoint: Path | None = None,
    body_model: str = "motiongan",
) -> EvaluationInputs:
    """Read and check everything, or raise MotionganError in one line.

    What is measured with must not depend on which of its actions a model was asked for, so actions and window are those
    of the model, as a generated file records them. Of a file that does not, they are the labelled actions of which the
    training people have `FEWEST_CLIPS` clips, and a model's default window. Of several files: all actions together and
    the shortest window.

    The training clips are those of the people on whom the models were trained, as checkpoint and generated files tell
    (`subjects`); whoever is neither one of them nor held out is left out. Where they do not tell, everybody who is not
    held out is a training subject.

    held_out     "a,b,c", before the checkpoint's provenance, before the `held_out` that the generated files carry
    body_model   of the body that clips are posed on: body shapes of another one count as its mean, with a notice
    """
    sources: dict[str, dict[str, Any]] = {}
    remarks: list[str] = []
    names = _names(generated)
    sets: dict[str, list[Clip]] = {}
    provenances: dict[str, dict[str, Any]] = {}
    for name, path in zip(names, generated):
        clips, provenances[name], sources[name] = _read(path, body_model)
        sets[name] = _measurable(clips, path, remarks)
    clips, _, sources["data"] = _read(data, body_model)
    real = _measurable(clips, data, remarks)
    remarks += [remark for name in names for remark in _unlike_generated(sources[name], sources["data"])]
    subjects, known_from = _held_out_subjects(held_out, checkpoint, provenances, str(data))
    known = sorted({clip.subject for clip in real})
    if unknown := [name for name in subjects if name not in known]:
        hint = did_you_mean(unknown[0], known) or f"; it has {_listed(known)}"
        raise MotionganError(f"{data}: no clips of the held-out subject `{unknown[0]}` (from {known_from}){hint}")
    if checkpoint is not None:
        sources["checkpoint"] = {"file": checkpoint.name, "sha256": file_hash(checkpoint)}
    seen, all_tell = _seen_subjects(checkpoint, provenances)
    trained = {str(made["training_data"]) for made in provenances.values() if made.get("training_data")}
    is_other = bool(trained - {sources["data"]["content_hash"]})
    warnings, more = _on_people(data.name, seen if all_tell else None, known, subjects, is_other=is_other)
    if flattered := sorted(seen & set(subjects)):
        warnings.append(f"held out, but a model was trained on their clips: {_listed(flattered)}")
    for warning in warnings:
        _log.warning("%s", warning)
    rest = [clip for clip in real if clip.subject not in subjects]
    train = [clip for clip in rest if clip.subject in seen] if all_tell else rest
    if len(train) < len(rest):
        others = {clip.subject for clip in rest} - seen
        more.append(
            f"left out of everything, since no model is known to be trained on them and they are not held out:"
            f" {len(rest) - len(train)} clips of {_listed(sorted(others))}"
        )
    counts = Counter(clip.action for clip in train if clip.action is not None)
    plenty = {action for action, count in counts.items() if count >= FEWEST_CLIPS}
    recorded = [_recorded(attributes) for attributes in provenances.values()]
    known_actions = set().union(*(plenty if actions is None else actions & set(counts) for actions, _ in recorded))
    wanted = sorted({clip.action for clips in sets.values() for clip in clips if clip.action is not None})
    measured = tuple(action for action in wanted if action in known_actions)
    if not measured:
        raise MotionganError(f"{data}: its training clips have none, or too few, of {', '.join(wanted)}")
    for name, path in zip(names, generated):
        if not any(clip.action in measured for clip in sets[name]):
            raise MotionganError(f"{path}: the training clips of {data} have none, or too few, of its actions")
    rates = {clip.frame_rate for clips in (real, *sets.values()) for clip in clips}
    if len(rates) > 1:
        shown = " and ".join(f"{rate:g}" for rate in sorted(rates))
        raise MotionganError(f"{data} and the generated clips have {shown} Hz; import --data at one --frame-rate")
    (rate,) = rates
    window = min(max(1, round(seconds * rate)) for _, seconds in recorded)
    return EvaluationInputs(
        generated=sets,
        train=train,
        held_out=[clip for clip in real if clip.subject in subjects and clip.action in known_actions],
        actions=tuple(sorted(known_actions)),
        measured=measured,
        left_out=tuple(action for action in wanted if action not in measured),
        window=window,
        held_out_subjects=tuple(subjects),
        held_out_from=known_from,
        sources=sources,
        remarks=(*warnings, *more, *remarks),
    )


def _measurable(clips: Sequence[Clip], path: Path, remarks: list[str]) -> list[Clip]:
    """The clips with an action that are long enough; a remark tells of the others. Raises where none is left."""
    labelled = [clip for clip in clips if clip.action is not None]
    if not labelled:
        raise MotionganError(f"{path}: no clip with an action to evaluate")
    measurable = [clip for clip in labelled if clip.num_frames >= FEWEST_FRAMES]
    if not measurable:
        raise MotionganError(f"{path}: all its clips with an action are shorter than {FEWEST_FRAMES} frames")
    if short := len(labelled) - len(measurable):
        are = "clip of {} is" if short == 1 else "clips of {} are"
        remarks.append(f"{short} {are.format(path.name)} shorter than {FEWEST_FRAMES} frames: left out")
    return measurable


def _unlike_generated(source: Mapping[str, Any], data: Mapping[str, Any]) -> list[str]:
    """A remark where what is measured as generated motion is something else."""
    if source["content_hash"] == data["content_hash"]:
        return [f"the clips of {source['file']} are those of {data['file']}: real motion is measured against itself"]
    if source["kind"] != "generated":
        return [f"the motion of {source['file']} is {source['kind']}, not generated: it is measured as if it were"]
    return []


def _on_people(
    data: str, seen: set[str] | None, there: Sequence[str], held_out: Sequence[str], *, is_other: bool
) -> tuple[list[str], list[str]]:
    """Warnings and remarks on whose clips count as training clips.

    seen       on whom the models were trained, where all of them tell;  there   whose clips `data` has
    is_other   whether a model was trained on a file of other content
    """
    lacking = sorted((seen or set()) - set(there))
    warnings = []
    if lacking:
        warnings.append(f"--data {data} has no clips of {_listed(lacking)}, on whom the models were trained, too")
    if not is_other:
        return warnings, []
    people = "everybody who is not held out" if seen is None else _listed(sorted(seen & set(there) - set(held_out)))
    line = (
        f"--data {data} is not the file that the models were trained on (another content hash); their training clips"
        f" are taken to be those of {people}"
    )
    return ([*warnings, line], []) if seen is None else (warnings, [line])


def _listed(people: Sequence[str]) -> str:
    named = ", ".join(name or "(no name)" for name in people[:_NAMED])
    return named if len(people) <= _NAMED else f"{named}, ... ({len(people)} people)"


def _seen_subjects(checkpoint: Path | None, provenances: Mapping[str, Mapping[str, Any]]) -> tuple[set[str], bool]:
    """Everybody on whom a model is known to be trained, and whether the checkpoint or all generated files tell."""
    by_file = [people_of(made.get("subjects")) for made in provenances.values()]
    by_model = None if checkpoint is None else people_of(_provenance_of(checkpoint).get("subjects"))
    seen = set().union(*(people for people in (by_model, *by_file) if people is not None))
    return seen, by_model is not None or None not in by_file


def _provenance_of(checkpoint: Path) -> dict[str, Any]:
    """What a model file says of its making; {} where that cannot be read."""
    try:
        return dict(json.loads(read_metadata(checkpoint)["provenance"]))
    except (KeyError, TypeError, ValueError):
        return {}


def _recorded(attributes: Mapping[str, Any]) -> tuple[set[str] | None, float]:
    """The actions that a file says its model knows, None where it does not; and the model's window in seconds."""
    try:
        data = json.loads(attributes["config"])["data"]
        return set(data["actions"]) or None, data["window"] / data["frame_rate"]
    except (
        KeyError,
        TypeError,
        ValueError,
        ZeroDivisionError,
    ):  # another maker, clips of several models, recorded motion
        return None, DataConfig().window / DataConfig().frame_rate


def _names(paths: Sequence[Path]) -> list[str]:
    """A short name for each file. Raises MotionganError for a file that is given twice."""
    if len({path.resolve() for path in paths}) < len(paths):
        raise MotionganError("a generated file is given twice; give each once")
    stems = [path.stem for path in paths]
    if len(set(stems)) < len(stems):
        stems = [f"{path.absolute().parent.name}/{path.stem}" for path in paths]
    if len(set(stems)) < len(stems):
        raise MotionganError(f"two generated files are both called {stems[0]}; rename one")
    if taken := {"data", "checkpoint", "held-out real", "training real"} & set(stems):
        raise MotionganError(f"a generated file is called {taken.pop()}, which means something else here; rename it")
    return stems


def _read(path: Path, body_model: str) -> tuple[list[Clip], dict[str, Any], dict[str, Any]]:
    with MotionFile(path) as file:
        clips, attributes = list(file), dict(file.attributes)
        source = {
            "file": path.name,
            "kind": file.kind,
            "clips": len(file),
            "frame_rate": file.frame_rate,
            "content_hash": file.content_hash(),
            "licence": str(attributes.get("licence", "")),
        }
        source |= {name: attributes[name] for name in ("checkpoint", "seed", "training_data") if name in attributes}
        foreign = file.body_model != body_model
    for number, clip in enumerate(clips):
        if not clip.is_finite:
            raise MotionganError(f"{path}: clip {number} holds NaN or infinity; `motiongan info --check` tells where")
    if foreign:
        _log.info("%s: its body shapes are for another body model; measured on the mean body of %s", path, body_model)
        clips = [replace(clip, betas=clip.betas * 0) for clip in clips]
    return clips, attributes, source


def _held_out_subjects(
    given: str | None, checkpoint: Path | None, provenances: dict[str, dict[str, Any]], data: str
) -> tuple[list[str], str]:
    """The subjects that no model was trained on, and where that is known from."""
    if given is not None:
        subjects = list(dict.fromkeys(name.strip() for name in given.split(",") if name.strip()))
        if not subjects:
            raise MotionganError("--held-out names no subject; give a,b,c")
        return subjects, "--held-out"
    if checkpoint is not None:
        made = people_of(_provenance_of(checkpoint).get("held_out"))
        if not made:
            raise MotionganError(f"{checkpoint}: does not say who was held out; give --held-out a,b,c")
        return sorted(made), str(checkpoint.name)
    told: dict[str, list[str]] = {}
    for name, attributes in provenances.items():
        told[name] = sorted(people_of(attributes.get("held_out")) or ())
        if not told[name]:
            raise MotionganError(
                f"{name}: does not say which subjects of {data} its model was trained without;"
                " give --checkpoint or --held-out a,b,c"
            )
    first, *others = told
    if differing := [name for name in others if set(told[name]) != set(told[first])]:
        raise MotionganError(
            f"{first} and {differing[0]}: trained without different subjects; evaluate them apart or give --held-out"
        )
    return told[first], f"{first}.h5" if len(told) == 1 else "the generated files"
