"""Synthetic clips that the benchmark must judge rightly: random poses, and a per-action PCA-Gaussian."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from motiongan.augmentation.detector import smooth_noise
from motiongan.motion.clip import Clip
from motiongan.utility.few import Split, write_few

_FRAMES = 64
_ANGLE = 0.6  # radians, standard deviation of every joint's rotation about each axis
_SECONDS = 0.3  # over which it changes


def noise_clips(clips: Sequence[Clip], each: int, *, seed: int) -> list[Clip]:
    """`each` clips of random poses for every action of `clips`: joints turn smoothly, knowing nothing of people.

    Roots stay upright and where a real clip's first frame has them; bodies are those of the real clips.
    """
    random = np.random.default_rng([seed, 1])
    made = []
    for action in sorted({str(clip.action) for clip in clips}):
        same = [clip for clip in clips if clip.action == action]
        for number in random.integers(len(same), size=each):
            model = same[number]
            draw = torch.Generator().manual_seed(int(random.integers(2**62)))
            turns = smooth_noise((1, _FRAMES, 24, 3), _SECONDS * model.frame_rate, generator=draw)[0]
            poses = (_ANGLE * turns).numpy()
            poses[:, 0] = model.poses[0, 0]
            trans = np.repeat(model.trans[:1], _FRAMES, axis=0)
            made.append(replace(model, poses=poses, trans=trans, source="noise", quality={}))
    return made


def gaussian_clips(split: Split, each: int, *, seed: int, body: str | Path | None = None) -> list[Clip]:
    """`each` clips of every action from a PCA-Gaussian of the few's windows, as `motiongan.training.rivals` fits it."""
    from motiongan.generation.generate import load_generator
    from motiongan.models.checkpoint import MODEL_NAME, save_model
    from motiongan.motion.windows import WindowSampler
    from motiongan.training.config import load_recipe
    from motiongan.training.dataset import load_training_data
    from motiongan.training.rivals import RIVALS, fit_rival
    from motiongan.training.trainer import Trainer

    recipe = load_recipe(None, ["autoencoder.steps=0", "data.held_out_share=0", f"data.min_frames={_SHORTEST}"])
    device = torch.device("cpu")
    with tempfile.TemporaryDirectory() as folder:
        few, model = Path(folder) / "few.h5", Path(folder) / MODEL_NAME
        write_few(few, split)
        data = load_training_data(few, recipe.data, body)
        sampler = WindowSampler(data.train, data.skeletons(), data.actions, recipe.data, device)
        trainer = Trainer(recipe, sampler, len(data.actions), data.mean_skeleton(), data.frame_rate, device)
        random = torch.Generator().manual_seed(seed)
        file = fit_rival(RIVALS["pca-gaussian"], trainer, data, random=random)
        save_model(model, file, file.model.generator.state_dict())
        return load_generator(model).generate("all", n=each, seed=seed)


_SHORTEST = 8  # frames of the shortest window that is fitted
