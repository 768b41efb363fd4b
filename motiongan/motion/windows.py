"""Clips -> training windows: features of every clip once, then random crops, mirrored, at other speeds, balanced."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from motiongan.body.kinematics import Skeleton
from motiongan.errors import MotionganError
from motiongan.motion.actions import mirrored_action
from motiongan.motion.clip import Clip
from motiongan.motion.features import NUM_FEATURES, ROTATIONS, encode, mirror
from motiongan.motion.posture import Postures
from motiongan.motion.resample import at_speed
from motiongan.motion.variants import Source, mixed_variants

_STILL = 1e-6  # added to squared turns, so that all windows of a clip in which nothing moves are alike
_STANDS = 0.25  # of what moves in the liveliest window of an action's median clip: who never moves more only stands
_MOST_FRAMES = 1 << 20  # of all clips at all speeds with their variants: 1.2 GB with the mirrored ones


@dataclass(frozen=True)
class DataConfig:
    """Which clips train the model, and how windows are cut from them."""

    actions: tuple[str, ...] = ()  # train on these only; empty = every action of the file
    held_out: tuple[str, ...] = ()  # subjects kept out of training; empty = a share of them, drawn by `split_seed`
    held_out_share: float = 0.15  # of the clips, whole subjects at a time
    split_seed: int = 0  # draws the variants too
    frame_rate: float = 30.0  # Hz that the networks work at; clips of another rate are resampled
    window: int = 64  # frames a network sees
    min_frames: int = 16  # shorter clips are left out
    mirror: bool = True  # also train on mirrored clips; "left"/"right" in an action's name are swapped
    speeds: tuple[float, ...] = (0.9, 1.0, 1.1)  # also train on slower and faster copies; 1 = as captured
    variants: int = 4  # of every clip, with another's posture, legs too (variants.py); fewer where frames are many
    posture: float = 1.0  # a window takes on up to this share of the arms' and trunk's posture of another clip; 0 = off
    vigour: float = 0.5  # a window is drawn by how much moves in it, beside its clip's liveliest, to this power
    balance: float = 0.5  # an action is drawn by its share of frames to this power: 1 = as in the data, 0 = all equal


@dataclass(frozen=True)
class Batch:
    """Windows of features; frames beyond a short clip's end are False in the mask and repeat its last frame."""

    features: Float[Tensor, "batch frames 140"]
    mask: Bool[Tensor, "batch frames"]
    actions: Int64[Tensor, "batch"]

    def to(self, device: torch.device) -> "Batch":
        return Batch(self.features.to(device), self.mask.to(device), self.actions.to(device))


def split_subjects(clips: Sequence[Clip], config: DataConfig) -> tuple[str, ...]:
    """The subjects to hold out: those named, or about `held_out_share` of the clips in whole subjects.

    Of the drawn ones, nobody is held out who alone shows some action: it could not be trained.
    Raises MotionganError where a named subject is unknown or nobody is left to train on.
    """
    counts = Counter(clip.subject for clip in clips)
    if config.held_out:
        for subject in config.held_out:
            if subject not in counts:
                raise MotionganError(f"data.held_out: unknown subject `{subject}`; known: {', '.join(sorted(counts))}")
        chosen = set(config.held_out)
    else:
        performers: dict[str | None, set[str]] = {}
        for clip in clips:
            performers.setdefault(clip.action, set()).add(clip.subject)
        chosen, wanted = set(), config.held_out_share * len(clips)
        for subject in np.random.default_rng(config.split_seed).permutation(sorted(counts)).tolist():
            taken = sum(counts[name] for name in chosen)
            # A subject joins only if that brings the share nearer to what was wanted.
            nearer = abs(taken + counts[subject] - wanted) < abs(taken - wanted)
            if nearer and all(others - chosen - {subject} for others in performers.values()):
                chosen.add(subject)
    if chosen == set(counts):
        raise MotionganError("data.held_out leaves no subject to train on; hold out fewer")
    return tuple(sorted(chosen))


class WindowSampler:
    """Draws batches of windows from clips held as features in one tensor on `device`.

    Every draw comes from a CPU `torch.Generator`, so that a resumed run draws the same batches on any device.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        skeletons: Sequence[Skeleton],
        actions: Sequence[str],
        config: DataConfig,
        device: torch.device,
    ) -> None:
        self.window = config.window
        sources = _sources(clips, skeletons, config)
        if not sources:
            raise MotionganError(f"no clip has the {config.min_frames} frames that training needs (data.min_frames)")
        tables: list[Tensor] = []
        action_ids: list[int] = []
        index = {action: number for number, action in enumerate(actions)}
        for features, action in _with_variants(sources, config, clips[0].frame_rate):
            tables.append(features)
            action_ids.append(index[action])
            # A side that the vocabulary does not know (kick_left alone) has no mirrored counterpart.
            if config.mirror and (other := mirrored_action(action)) in index:
                tables.append(mirror(features))
                action_ids.append(index[other])
        lengths = torch.tensor([len(table) for table in tables])
        self.frames = torch.cat(tables).to(device)  # (all frames, 140)
        self.starts = torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)[:-1]])
        self.lengths, self.actions = lengths, torch.tensor(action_ids)
        liveliness = [each**config.vigour for each in _liveliness(tables, self.actions, config.window)]
        lively = lengths * torch.stack([each.mean() for each in liveliness])
        self.weights = _clip_weights(lively, lengths, self.actions, len(actions), config.balance)
        # Of all windows one after another, the share of the draws up to each; and where each clip's begin.
        shares = [weight * each / each.sum() for weight, each in zip(self.weights, liveliness)]
        self._drawn = torch.cat(shares).cumsum(0)
        self._windows = torch.tensor([0, *(len(each) for each in shares)]).cumsum(0)
        self.device = device
        self.posture = config.posture
        if config.posture:
            self.postures = Postures(tables, device)
            of_action = self.actions == torch.arange(len(actions))[:, None]
            self._partner_weights = of_action * self.weights  # (actions, clips)

    def draw(self, batch_size: int, *, generator: torch.Generator) -> Batch:
        """A batch of random windows: an action by its weight, a window of it by how much moves in it."""
        places = torch.rand(batch_size, generator=generator, dtype=torch.float64) * self._drawn[-1]
        windows = torch.searchsorted(self._drawn, places, right=True).clamp(max=len(self._drawn) - 1)
        clips = torch.searchsorted(self._windows, windows, right=True) - 1
        starts, lengths = windows - self._windows[clips], self.lengths[clips]
        offsets, lengths = torch.arange(self.window), lengths.clamp(max=self.window)
        mask = (offsets < lengths[:, None]).to(self.device)
        rows = self.starts[clips][:, None] + starts[:, None] + torch.minimum(offsets, lengths[:, None] - 1)
        rows, actions = rows.to(self.device), self.actions[clips]
        features = self.frames[rows]
        if self.posture:
            others = torch.multinomial(self._partner_weights[actions], 1, generator=generator)[:, 0]
            share = self.posture * torch.rand(batch_size, generator=generator)
            clips, others, share = (values.to(self.device) for values in (clips, others, share))
            features = self.postures.mix(features, rows, clips, others, share)
        return Batch(features, mask, actions.to(self.device))


def _sources(clips: Sequence[Clip], skeletons: Sequence[Skeleton], config: DataConfig) -> list[Source]:
    """Every clip at every speed at which it is long enough."""
    sources = []
    for number, (clip, skeleton) in enumerate(zip(clips, skeletons, strict=True)):
        assert clip.action is not None
        for speed in config.speeds:
            faster = at_speed(clip, speed)
            if faster.num_frames >= config.min_frames:
                poses, trans = torch.from_numpy(faster.poses), torch.from_numpy(faster.trans)
                features = encode(poses, trans, skeleton, clip.frame_rate)
                sources.append(Source(features, skeleton, clip.action, number))
    return sources


def _with_variants(
    sources: Sequence[Source], config: DataConfig, frame_rate: float
) -> list[tuple[Float[Tensor, "_ 140"], str]]:
    """Features and action of the sources and of as many variants as `config` wants and memory holds."""
    room = _MOST_FRAMES // sum(len(source.features) for source in sources) - 1
    tables = [(source.features, source.action) for source in sources]
    if (count := min(config.variants, room)) > 0:
        random = torch.Generator().manual_seed(config.split_seed)
        made = mixed_variants(sources, count, frame_rate, generator=random)
        tables += [(features, sources[number].action) for number, features in made]
    return tables


def _liveliness(
    tables: Sequence[Float[Tensor, "_ 140"]], actions: Int64[Tensor, "clips"], window: int
) -> list[Float[Tensor, "_"]]:
    """How much moves in each window of each clip (the joints' squared turns from frame to frame), the most being 1.

    Recordings are labelled as whole trials, and between two kicks people stand: who asks for kicks wants few of these.
    A quiet style is as good as a lively one, but a clip in which people only stand is none: its most is less than 1.
    """
    movements = [_movement(table, window) for table in tables]
    most = torch.stack([each.max() for each in movements])
    for action in actions.unique():
        of_action = actions == action
        most[of_action] = most[of_action].clamp(min=_STANDS * float(most[of_action].median()))
    return [(each + _STILL) / (highest + _STILL) for each, highest in zip(movements, most)]


def _movement(features: Float[Tensor, "frames 140"], window: int) -> Float[Tensor, "windows"]:
    turns = features[:, ROTATIONS].double().diff(dim=0).square().sum(-1)
    sums = torch.cat([turns.new_zeros(1), turns.cumsum(0)])
    steps = min(window, len(features)) - 1
    return sums[steps:] - sums[: len(sums) - steps]


def _clip_weights(
    lively: Tensor, lengths: Tensor, actions: Tensor, num_actions: int, balance: float
) -> Float[Tensor, "clips"]:
    """How often each clip is drawn: actions by their share of the frames, an action's clips by their lively frames."""
    frames, moving = (
        torch.zeros(num_actions, dtype=torch.float64).index_add(0, actions, each.double()) for each in (lengths, lively)
    )
    share = (frames / frames.sum()) ** balance
    return share[actions] * lively / moving[actions]


assert NUM_FEATURES == 140  # the shapes above say so
