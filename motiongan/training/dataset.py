"""A motion file -> what training needs of it: clips by split, their skeletons, actions and body shapes."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from motiongan.body.kinematics import BoneShape, Skeleton
from motiongan.body.smpl import load_body
from motiongan.errors import MotionganError
from motiongan.motion.actions import select_actions
from motiongan.motion.clip import NUM_BETAS, Clip
from motiongan.motion.resample import resample
from motiongan.motion.store import MotionFile
from motiongan.motion.windows import DataConfig, split_subjects

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The labelled clips of a motion file, split by subject, and the facts that a model file records of them."""

    train: list[Clip]
    held_out: list[Clip]
    held_out_subjects: tuple[str, ...]
    actions: tuple[str, ...]
    frame_rate: float
    bones: BoneShape
    body_model: str
    betas_mean: Float[Tensor, "10"]
    betas_factor: Float[Tensor, "10 10"]
    content_hash: str
    licence: str

    def skeletons(self) -> list[Skeleton]:
        """The rest skeleton of every training clip."""
        shapes = {clip.betas.tobytes(): clip.betas for clip in self.train}
        built = {key: self.bones.skeleton(torch.from_numpy(betas)) for key, betas in shapes.items()}
        return [built[clip.betas.tobytes()] for clip in self.train]

    def clip_frames(self, window: int) -> tuple[int, ...]:
        """Frames up to which a clip of each action has been seen: three of four training clips are shorter, or longer
        than the window. What comes after the end of most clips the discriminator hardly ever judges."""
        lengths = [[clip.num_frames for clip in self.train if clip.action == action] for action in self.actions]
        return tuple(min(window, int(np.quantile(each, 0.75))) for each in lengths)

    def mean_skeleton(self) -> Skeleton:
        """The skeleton of the training subjects' mean shape, on which motion is judged."""
        return self.bones.skeleton(self.betas_mean)


def load_training_data(path: str | Path, config: DataConfig, body: str | Path | None = None) -> TrainingData:
    """Read and split the clips that `config` asks for.

    body   body file for a motion file whose betas belong to a licensed body; without it they are dropped.
    Raises MotionganError for a bad file, an unknown action or subject, or no usable clips. What is left out is logged.
    """
    with MotionFile(path) as file:
        model = load_body(body)
        clips = list(file)
        _refuse_broken(path, clips)
        known, file_body = file.actions, file.body_model
        content_hash, licence = file.content_hash(), str(file.attributes.get("licence", ""))
    if file_body != model.name:
        if body is not None:
            raise MotionganError(f"{body}: a {model.name} body, but the betas of {path} belong to {file_body}")
        log.warning(
            "%s: its betas belong to %s and are dropped; give that body with --body to keep them", path, file_body
        )
        clips = [replace(clip, betas=torch.zeros(NUM_BETAS).numpy()) for clip in clips]
    wanted = select_actions(config.actions or "all", known, str(path))
    used = [clip for clip in clips if clip.action in wanted]
    if unlabelled := sum(clip.action is None for clip in clips):
        log.warning("%s: %d clips without an action are left out", path, unlabelled)
    used = [  # a single frame has no rate, and is too short below
        clip if clip.frame_rate == config.frame_rate or clip.num_frames == 1 else resample(clip, config.frame_rate)
        for clip in used
    ]
    long_enough = [clip for clip in used if clip.num_frames >= config.min_frames]
    if len(long_enough) < len(used):
        left_out = Counter(str(clip.action) for clip in used if clip.num_frames < config.min_frames)
        counts = ", ".join(f"{action} {count}" for action, count in left_out.most_common())
        log.warning("%s: clips shorter than %d frames are left out: %s", path, config.min_frames, counts)
    if not long_enough:
        hint = "; `motiongan import --labels` gives labels" if unlabelled else ""
        raise MotionganError(f"{path}: no labelled clip has {config.min_frames} frames or more{hint}")
    held_out = split_subjects(long_enough, config)
    train = [clip for clip in long_enough if clip.subject not in held_out]
    seen = {clip.action for clip in train}
    actions = tuple(action for action in wanted if action in seen)
    if lost := [action for action in wanted if action not in seen]:
        log.warning("%s: no training clips of %s", path, ", ".join(lost))
    mean, factor = _betas_distribution(train)
    return TrainingData(
        train=train,
        held_out=[clip for clip in long_enough if clip.subject in held_out and clip.action in seen],
        held_out_subjects=held_out,
        actions=actions,
        frame_rate=config.frame_rate,
        bones=model.bones,
        body_model=model.name,
        betas_mean=mean,
        betas_factor=factor,
        content_hash=content_hash,
        licence=licence,
    )


def _refuse_broken(path: str | Path, clips: Sequence[Clip]) -> None:
    """Raise MotionganError for the first clip with NaN or infinity: one such frame would spoil every weight."""
    for index, clip in enumerate(clips):
        if not clip.is_finite:
            name = ", ".join(text for text in (clip.action, clip.source) if text)
            raise MotionganError(
                f"{path}: clip {index} ({name}) holds NaN or infinite numbers; `motiongan info --check` lists all such"
                " clips, `motiongan import` mends what can be mended"
            )


def _betas_distribution(clips: Sequence[Clip]) -> tuple[Tensor, Tensor]:
    """Mean of the subjects' betas and a factor of their covariance: betas = mean + factor @ standard normal."""
    by_subject = {clip.subject: clip.betas for clip in clips}
    betas = torch.stack([torch.from_numpy(betas) for betas in by_subject.values()])
    mean = betas.mean(0)
    if len(betas) < 2:
        return mean, torch.zeros(NUM_BETAS, NUM_BETAS)
    values, vectors = torch.linalg.eigh(torch.cov(betas.T))
    return mean, vectors * values.clamp(min=0).sqrt()
