"""Fits the rivals of models/rivals.py to the windows that a GAN would be trained on, as model files like any other."""

import dataclasses
from dataclasses import dataclass
from typing import Literal

import torch

from motiongan.config import config_to_dict
from motiongan.models.autoencoder import AutoencoderConfig
from motiongan.models.blocks import downsample, downsample_mask
from motiongan.models.checkpoint import ModelFile
from motiongan.models.motion_model import MotionModel
from motiongan.models.rivals import MixtureGenerator, fit_mixtures, mixture_config
from motiongan.training.dataset import TrainingData
from motiongan.training.run import model_file
from motiongan.training.trainer import Trainer

_BATCHES = 64  # of 64 windows, drawn as training draws them: its actions, crops, speeds and mirror images


@dataclass(frozen=True)
class Rival:
    """What is modelled, by how many Gaussians per action, in how many principal axes of the action's windows.

    space   "latents": the whole latent sequence of a window, in the motion autoencoder's space
            "features": the motion features themselves, at half the frame rate as a one-stage generator makes them
    """

    space: Literal["latents", "features"]
    components: int
    rank: int = 64


RIVALS = {
    "latent-gaussian": Rival("latents", components=1),
    "latent-mixture": Rival("latents", components=20),
    "pca-gaussian": Rival("features", components=1),
}


@torch.no_grad()
def fit_rival(rival: Rival, trainer: Trainer, data: TrainingData, *, random: torch.Generator) -> ModelFile:
    """The model file of a rival.

    trainer   whose sampler, normalisation and, for latents, trained autoencoder are used
    random    draws the windows and the starts of EM
    """
    recipe = trainer.config
    latents = rival.space == "latents"
    assert not latents or trainer.autoencoder_step_count, "latents need a trained autoencoder"
    autoencoder = recipe.autoencoder if latents else dataclasses.replace(recipe.autoencoder, steps=0)
    model = _model(rival, trainer, autoencoder, len(data.actions))
    sequences, masks, actions = [], [], []
    for _ in range(_BATCHES):
        batch = trainer.sampler.draw(64, generator=random)
        features = model.normalisation.apply(batch.features)
        if model.autoencoder:
            sequence, mask = model.autoencoder.encode(features, batch.mask)
        else:
            sequence, mask = downsample(features), downsample_mask(batch.mask)
        sequences.append(sequence)
        masks.append(mask)
        actions.append(batch.actions)
    assert isinstance(model.generator, MixtureGenerator)
    fit_mixtures(model.generator, torch.cat(sequences), torch.cat(masks), torch.cat(actions), random=random)
    told = config_to_dict(recipe) | {
        "generator": dataclasses.asdict(model.config),
        "autoencoder": dataclasses.asdict(autoencoder),
    }
    return dataclasses.replace(model_file(trainer, data), model=model, config=told)


def _model(rival: Rival, trainer: Trainer, autoencoder: AutoencoderConfig, num_actions: int) -> MotionModel:
    """A model with the trainer's autoencoder and normalisation, and a mixture that is yet to be fitted."""
    model = MotionModel(
        mixture_config(rival.components, rival.rank), autoencoder, num_actions, trainer.config.data.window
    ).to(trainer.device)
    taken = {name: value for name, value in trainer.model.state_dict().items() if not name.startswith("generator.")}
    if model.autoencoder is None:
        taken = {name: value for name, value in taken.items() if not name.startswith("autoencoder.")}
    model.load_state_dict(taken, strict=False)
    return model
