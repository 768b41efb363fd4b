"""What is evaluated: generated files, and the real clips parted into training subjects and held-out people."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from motiongan.errors import MotionganError, did_you_mean
from motiongan.models.checkpoint import file_hash, read_metadata
from motiongan.motion.clip import Clip
from motiongan.motion.store import MotionFile, people_of

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluationInputs:
    """Clips to evaluate, all of one frame rate.

    generated   clips by the name of their file (or folder and file, where two files have one name)
    actions     those that the generated and the training clips share, which alone are measured
    left_out    actions of the generated clips that no training clip has
    window      frames that clips are cut to: the generated clips' median length
    held_out_from   where the held-out subjects are known from
    sources     what each file is: name, content hash, clips, provenance
    """

    generated: dict[str, list[Clip]]
    train: list[Clip]
    held_out: list[Clip]
    actions: tuple[str, ...]
    left_out: tuple[str, ...]
    window: int
    held_out_subjects: tuple[str, ...]
    held_out_from: str
    sources: dict[str, dict[str, Any]]


def read_inputs(
    generated: Sequence[Path],
    data: Path,
    *,
    held_out: str | None = None,
    checkpoint: Path | None = None,
    body_model: str = "motiongan",
) -> EvaluationInputs:
    """Read and check everything, or raise MotionganError in one line.

    held_out     "a,b,c", before the checkpoint's provenance, before the `held_out` that the generated files carry
    body_model   of the body that clips are posed on: body shapes of another one count as its mean, with a notice
    """
    sources: dict[str, dict[str, Any]] = {}
    names = _names(generated)
    sets: dict[str, list[Clip]] = {}
    provenances: dict[str, dict[str, Any]] = {}
    for name, path in zip(names, generated):
        clips, provenances[name], sources[name] = _read(path, body_model)
        sets[name] = [clip for clip in clips if clip.action is not None]
        if not sets[name]:
            raise MotionganError(f"{path}: no clip with an action to evaluate")
    real, _, sources["data"] = _read(data, body_model)
    real = [clip for clip in real if clip.action is not None]
    subjects, known_from = _held_out_subjects(held_out, checkpoint, provenances, str(data))
    known = sorted({clip.subject for clip in real})
    if unknown := [name for name in subjects if name not in known]:
        hint = did_you_mean(unknown[0], known) or f"; it has {', '.join(known[:12])}" + ", ..." * (len(known) > 12)
        raise MotionganError(f"{data}: no clips of the held-out subject `{unknown[0]}` (from {known_from}){hint}")
    trained = {str(made["training_data"]) for made in provenances.values() if made.get("training_data")}
    if checkpoint is not None:
        sources["checkpoint"] = {"file": checkpoint.name, "sha256": file_hash(checkpoint)}
    if trained - {sources["data"]["content_hash"]}:
        _log.warning("%s: other motion than the models were trained on: their training clips are not all here", data)
    train = [clip for clip in real if clip.subject not in subjects]
    train_actions = {clip.action for clip in train}
    wanted = sorted({clip.action for clips in sets.values() for clip in clips if clip.action is not None})
    actions = tuple(action for action in wanted if action in train_actions)
    if not actions:
        raise MotionganError(f"{data}: none of the generated actions ({', '.join(wanted)}) is among its training clips")
    for name, path in zip(names, generated):
        if not any(clip.action in actions for clip in sets[name]):
            raise MotionganError(f"{path}: none of its actions is among the training clips of {data}")
    rates = {clip.frame_rate for clips in (real, *sets.values()) for clip in clips}
    if len(rates) > 1:
        shown = " and ".join(f"{rate:g}" for rate in sorted(rates))
        raise MotionganError(f"{data} and the generated clips have {shown} Hz; import --data at one --frame-rate")
    lengths = sorted(clip.num_frames for clips in sets.values() for clip in clips)
    return EvaluationInputs(
        generated=sets,
        train=train,
        held_out=[clip for clip in real if clip.subject in subjects and clip.action in actions],
        actions=actions,
        left_out=tuple(action for action in wanted if action not in actions),
        window=lengths[len(lengths) // 2],
        held_out_subjects=tuple(subjects),
        held_out_from=known_from,
        sources=sources,
    )


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
        try:
            made = list(json.loads(read_metadata(checkpoint)["provenance"])["held_out"])
        except (KeyError, TypeError, ValueError):
            made = []
        if not made:
            raise MotionganError(f"{checkpoint}: does not say who was held out; give --held-out a,b,c")
        return made, str(checkpoint.name)
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
