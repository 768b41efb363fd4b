"""Scores of single clips: physical ones from the clip alone, and those that compare it with the real clips."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from motiongan.body.skeleton import NUM_MOVING_JOINTS
from motiongan.body.smpl import Body
from motiongan.errors import MotionganError
from motiongan.evaluation.metrics import (
    Tally,
    flight,
    foot_skate_tallies,
    joint_range,
    nearest,
    penetration_tally,
    tally,
)
from motiongan.evaluation.plausibility import off_balance_mm, self_penetration_mm
from motiongan.evaluation.recognizer import Recognizer, cached_recognizer
from motiongan.evaluation.windows import FEWEST_FRAMES, PosedWindows, pose_windows, segments
from motiongan.losses.kinematic import jerk
from motiongan.models.checkpoint import ModelFile
from motiongan.motion.clip import Clip
from motiongan.motion.resample import resample
from motiongan.motion.store import MotionFile

_log = logging.getLogger(__name__)

_RECOGNIZER_SEED, _RECOGNIZER_STEPS = 0, 500
TYPICAL_SHARE = 0.75  # of real windows are at least as good as the typical score
NOVEL_SHARE = 0.05  # of real pieces are nearer to the training clips of other people than what counts as novel
_MOST_PIECES = 100  # of an action, to take that share of


class ClipScorer:
    """Gives clips their scores, in the units of `SCORE_UNITS`; what cannot be measured is left out.

    body     whose bones the clips stand on
    real     the real clips to compare with; None leaves out `recognized` and `training_distance`
    window   frames that the recognizer sees at once; a longer clip is cut, recognized on average, and as far from the
             training clips as the nearest of its pieces
    A clip's scores do not depend on the clips beside it but for rounding in the last bits.
    """

    def __init__(self, body: Body, actions: Sequence[str], window: int, real: "RealMotion | None" = None) -> None:
        self.body, self.actions, self.window, self.real = body, tuple(actions), window, real

    def __call__(self, clips: Sequence[Clip]) -> list[dict[str, float]]:
        """Scores of every clip by name; {} for one that is too short to measure."""
        scores: list[dict[str, float]] = [{} for _ in clips]
        usable = [number for number, clip in enumerate(clips) if clip.num_frames >= FEWEST_FRAMES]
        if not usable:
            return scores
        longest = max(self.window, *(clips[number].num_frames for number in usable))
        posed = pose_windows([clips[number] for number in usable], self.body, actions=self.actions, frames=longest)
        columns = physical_scores(posed)
        if self.real is not None:
            cut = posed
            if longest > self.window:
                chosen = [clips[number] for number in usable]
                cut = pose_windows(chosen, self.body, actions=self.actions, frames=self.window)
            columns |= self.real.scores(cut, len(usable))
        for name, column in columns.items():
            for number, value in zip(usable, column.tolist(), strict=True):
                if not math.isnan(value):
                    scores[number][name] = value
        return scores


def physical_scores(posed: PosedWindows) -> dict[str, Float[Tensor, "windows"]]:
    """What every window shows of a body's limits, NaN where it shows nothing (flight of one that stays down).

    The means that `motiongan.evaluation.metrics` takes over many windows, over each alone; joint ranges in radians.
    """
    mask, rate = posed.mask, posed.frame_rate
    in_flight = flight(posed.mass_centre, posed.clearance, mask, rate)
    steps = mask[:, 3:] & mask[:, 2:-1] & mask[:, 1:-2] & mask[:, :-3]
    shaking = jerk(posed.joints[:, :, :NUM_MOVING_JOINTS], rate).mean(-1)
    degrees = _each(joint_range(posed.violation, mask)["range_degrees"])
    return {
        "foot_skate": _each(foot_skate_tallies(posed.soles, mask, rate)["foot_skate"]),
        "penetration": _each(penetration_tally(posed.soles, mask)),
        "floating": _each(in_flight["floating_share"]),
        "off_balance": _each(off_balance_mm(posed.mass_centre, posed.soles, mask, rate)) / 1000,
        "self_penetration": _each(self_penetration_mm(posed.joints, mask)) / 1000,
        "joint_range_violation": degrees * (math.pi / 180),
        "jerk": _each(tally(shaking, steps)),
        "flight_error": _each(in_flight["flight_error"]),
    }


def _each(made: Tally) -> Float[Tensor, "windows"]:
    return (made.total / made.count).float()


@dataclass(frozen=True, eq=False)
class RealMotion:
    """The real clips of a model, as its clips are scored beside them.

    recognizer     trained on the training clips
    training       their motion to search: all pieces of 0.8 s (`motiongan.evaluation.windows.segments`); pieces are
                   searched for as they are and as a mirror shows them, since training shows both
    metres         what one unit of distance between pieces is, RMS over joints, on the mean training body
    typical        by action: physical scores that `TYPICAL_SHARE` of the training windows keep within
    novel_from     by action, metres: `NOVEL_SHARE` of real pieces, of held-out and training people, are nearer than
                   this to the training clips of all people but their own; empty where nobody asked
    content_hash   of the motion file
    """

    recognizer: Recognizer
    training: "NearestSearch"
    metres: float
    typical: Mapping[str, Mapping[str, float]]
    novel_from: Mapping[str, float]
    content_hash: str

    def scores(self, windows: PosedWindows, num_clips: int) -> dict[str, Float[Tensor, "clips"]]:
        """`recognized`: the recognizer's probability of the label; `training_distance`: metres to the nearest piece."""
        odds = self.recognizer(windows.inputs(), windows.mask).softmax(-1)
        named = odds.gather(1, windows.action_ids[:, None])[:, 0]
        frames = windows.mask.sum(1).to(named.dtype)
        total = torch.zeros(num_clips).index_add(0, windows.clip_ids, named * frames)
        recognized = total / torch.zeros(num_clips).index_add(0, windows.clip_ids, frames)
        found = segments(windows, every_start=False)
        distance = self.training.distance(found.values)
        distance = torch.minimum(distance, self.training.distance(found.mirrored())) * self.metres
        least = torch.full((num_clips,), math.inf)
        least = least.scatter_reduce(0, windows.clip_ids[found.rows], distance, "amin")
        return {"recognized": recognized, "training_distance": least.masked_fill(least.isinf(), math.nan)}


class NearestSearch:
    """Distances to the nearest of many candidates, the same as `metrics.nearest` at a quarter of its time.

    In the candidates' first principal axes no distance is longer than in full: the few nearest there are measured in
    full, and where the nearest of these is not surely the nearest of all, all of them are.
    """

    def __init__(self, candidates: Float[Tensor, "candidates values"], axes: int = 128, tried: int = 32) -> None:
        self._candidates, self._tried = candidates, min(tried, len(candidates))
        self._mean = candidates.mean(0)
        centred = candidates - self._mean
        self._axes = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -axes:]
        self._projected = centred @ self._axes
        self._squares = self._projected.square().sum(1)

    def distance(self, queries: Float[Tensor, "queries values"]) -> Float[Tensor, "queries"]:
        """Euclidean distance of every query to the nearest candidate, in the unit of the values."""
        if not len(queries):
            return queries.new_zeros(0)
        projected = (queries - self._mean) @ self._axes
        bounds = self._squares - 2 * projected @ self._projected.T
        bounds, tried = bounds.topk(self._tried, largest=False)
        bounds = (bounds[:, -1] + projected.square().sum(1)).clamp(min=0).sqrt()
        best = (queries[:, None] - self._candidates[tried]).norm(dim=-1).amin(1)
        unsure = best > bounds * (1 - 1e-3)  # rounding of the bound
        if self._tried < len(self._candidates) and unsure.any():
            best[unsure] = nearest(queries[unsure], self._candidates)[0]
        return best


def read_real_motion(
    path: str | Path, model: ModelFile, body: Body, *, novel: bool = False, cache: Path | None = None
) -> RealMotion:
    """The real clips that a model was trained on, ready to compare its clips with.

    body    whose betas `path` holds; clips of another body model stand on its mean
    novel   also find `novel_from`: some seconds
    cache   folder that keeps the recognizer, which takes about ten seconds to train; None trains it anew
    Training clips are those of the people whom the model file names, or of all whom it does not hold out. Raises
    MotionganError for a bad file or one without the model's actions; a file that may lack training motion is only
    warned of.
    """
    with MotionFile(path) as file:
        clips, content_hash = list(file), file.content_hash()
        if file.body_model != body.name:
            _log.info("%s: its body shapes are for another body model; compared on the mean body", path)
            clips = [replace(clip, betas=clip.betas * 0) for clip in clips]
    seen, unseen = (set(model.provenance.get(name) or ()) for name in ("subjects", "held_out"))
    is_whole = bool(seen) and seen <= {clip.subject for clip in clips}
    if content_hash != model.provenance.get("training_data") and not is_whole:
        _log.warning("%s: other motion than the model was trained on: its training clips may not all be here", path)
    clips = [clip for clip in clips if clip.action in model.actions and clip.num_frames > 1]
    for clip in clips:
        if not clip.is_finite:
            raise MotionganError(f"{path}: {clip.source or clip.action}: NaN or infinity; `motiongan info --check` it")
    clips = [clip if clip.frame_rate == model.frame_rate else resample(clip, model.frame_rate) for clip in clips]
    train = [clip for clip in clips if clip.num_frames >= FEWEST_FRAMES and clip.subject not in unseen]
    train = [clip for clip in train if not seen or clip.subject in seen]
    if lost := [action for action in model.actions if not any(clip.action == action for clip in train)]:
        raise MotionganError(f"{path}: no training clip of {', '.join(lost)}; give the motion that trained the model")
    shown = pose_windows(train, body, actions=model.actions, frames=model.window, overlap=True)
    recognizer = cached_recognizer(
        shown.inputs(),
        shown.mask,
        shown.action_ids,
        model.actions,
        seed=_RECOGNIZER_SEED,
        steps=_RECOGNIZER_STEPS,
        folder=cache,
    )
    pieces = segments(shown, every_start=True)
    if not len(pieces.values):
        raise MotionganError(f"{path}: no training clip is long enough to search for copies")
    novel_from = {}
    if novel:
        real = [clip for clip in clips if clip.num_frames >= FEWEST_FRAMES]
        windows = pose_windows(real, body, actions=model.actions, frames=model.window)
        asked, numbers = segments(windows, every_start=False), {clip.subject: i for i, clip in enumerate(clips)}
        people = torch.tensor([numbers[clip.subject] for clip in real])[windows.clip_ids[asked.rows]]
        owners = torch.tensor([numbers[clip.subject] for clip in train])[shown.clip_ids[pieces.rows]]
        for action_id, action in enumerate(model.actions):
            rows = (windows.action_ids[asked.rows] == action_id).nonzero()[:, 0]
            rows = rows[:: max(1, math.ceil(len(rows) / _MOST_PIECES))]
            distance = torch.minimum(
                *(
                    nearest(values[rows], pieces.values, owners=(people[rows], owners))[0]
                    for values in (asked.values, asked.mirrored())
                )
            )
            if len(distance := distance[distance.isfinite()]):
                novel_from[action] = float(distance.quantile(NOVEL_SHARE))
    metres = float(shown.leg_length.mean()) / math.sqrt(pieces.values.shape[1] / 3)
    return RealMotion(
        recognizer=recognizer,
        training=NearestSearch(pieces.values),
        metres=metres,
        typical=_typical(shown, model.actions),
        novel_from={action: metres * distance for action, distance in novel_from.items()},
        content_hash=content_hash,
    )


def _typical(windows: PosedWindows, actions: Sequence[str]) -> dict[str, dict[str, float]]:
    columns = physical_scores(windows)
    typical: dict[str, dict[str, float]] = {}
    for action_id, action in enumerate(actions):
        own = {name: column[windows.action_ids == action_id] for name, column in columns.items()}
        known = {name: column[~column.isnan()] for name, column in own.items()}
        typical[action] = {name: float(c.quantile(TYPICAL_SHARE)) for name, c in known.items() if len(c)}
    return typical
