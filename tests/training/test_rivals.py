"""Rivals as model files: they generate by the same path as a GAN, any number of clips per action, from a seed."""

import numpy as np
import pytest
import torch

from motiongan.errors import MotionganError
from motiongan.generation.generate import load_generator
from motiongan.models.checkpoint import save_model
from motiongan.models.generator import Noise
from motiongan.motion.windows import WindowSampler
from motiongan.training.dataset import TrainingData, load_training_data
from motiongan.training.rivals import RIVALS, Rival, fit_rival
from motiongan.training.trainer import Trainer

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data(tiny_data_file, tiny_config) -> TrainingData:
    return load_training_data(tiny_data_file, tiny_config().data)


@pytest.fixture(scope="module")
def trainer(data, tiny_config) -> Trainer:
    """With an autoencoder of a few steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("motiongan.training.trainer._STATISTICS_BATCHES", 4)
        config = tiny_config("autoencoder={steps: 20, batch_size: 8, width: 32}")
        sampler = WindowSampler(data.train, data.skeletons(), data.actions, config.data, CPU)
        trainer = Trainer(config, sampler, len(data.actions), data.mean_skeleton(), data.frame_rate, CPU)
        for _ in range(20):
            trainer.step()
    return trainer


@pytest.fixture(autouse=True)
def _few_windows(monkeypatch) -> None:
    monkeypatch.setattr("motiongan.training.rivals._BATCHES", 4)


@pytest.fixture
def fitted(trainer, data, tmp_path):
    """Fits a rival, writes its model file, and loads it as `motiongan generate` does."""

    def fitted(rival: Rival, seed: int = 0):
        file = fit_rival(rival, trainer, data, random=torch.Generator().manual_seed(seed))
        save_model(tmp_path / "rival.safetensors", file, file.model.generator.state_dict())
        return load_generator(tmp_path / "rival.safetensors")

    return fitted


@pytest.mark.parametrize("name", sorted(RIVALS))
def test_a_rival_generates_labelled_clips_from_seeds_like_any_model(fitted, name):
    generator = fitted(RIVALS[name])
    clips = generator.generate("walk,squat", n=3, seed=5)
    assert [clip.action for clip in clips] == ["walk"] * 3 + ["squat"] * 3
    assert all(clip.is_finite for clip in clips)
    assert np.abs(clips[0].poses - clips[1].poses).max() > 1e-3  # each its own
    again = generator.generate("walk,squat", n=3, seed=5)
    assert all(np.array_equal(clip.poses, other.poses) for clip, other in zip(clips, again))
    assert np.abs(generator.generate("walk", n=1, seed=6)[0].poses - clips[0].poses).max() > 1e-3


@pytest.mark.parametrize("space", ["latents", "features"])
def test_its_sequences_have_the_mean_of_the_training_windows(trainer, data, space):
    """Per action: four windows of a hundred drawn by another stream, so within their spread."""
    file = fit_rival(Rival(space, components=1), trainer, data, random=torch.Generator().manual_seed(0))
    batch = trainer.sampler.draw(400, generator=torch.Generator().manual_seed(9))
    features = file.model.normalisation.apply(batch.features)
    if file.model.autoencoder:
        features, _ = file.model.autoencoder.encode(features, batch.mask)
    else:
        features = 0.5 * (features[:, ::2] + features[:, 1::2])
    for action in range(len(data.actions)):
        rows = (batch.actions == action) & batch.mask.all(1)
        if rows.sum() < 20:
            continue
        wanted = features[rows].mean(0).flatten()
        made = file.model.generator.centre[action]
        apart = (made - wanted).square().mean().sqrt()
        assert apart < 0.35 * features[rows].flatten(1).std(0).square().mean().sqrt()


def test_a_mixture_of_many_is_nearer_to_the_clips_than_one_gaussian(trainer, data):
    squat = data.actions.index("squat")

    def distance(components: int, seed: int) -> float:
        """Mean distance of drawn latents to the nearest of real windows."""
        random = torch.Generator().manual_seed(seed)
        model = fit_rival(Rival("latents", components), trainer, data, random=random).model
        batch = trainer.sampler.draw(64, generator=random)
        real, _ = trainer.model.autoencoder.encode(model.normalisation.apply(batch.features), batch.mask)
        real = real.detach()[(batch.actions == squat) & batch.mask.all(1)].flatten(1)
        noise = Noise(
            torch.randn(200, model.config.latent, generator=random),
            torch.zeros(200, 0),
            torch.zeros(200, model.num_steps(32), 1),
        )
        made = model.generator(noise, torch.full((200,), squat)).flatten(1)
        return float(torch.cdist(made, real).amin(1).mean())

    # Several fits: one of few windows may start its clusters badly.
    many, one = (sum(distance(components, seed) for seed in range(5)) for components in (12, 1))
    assert many < 0.8 * one


def test_a_rival_makes_nothing_longer_than_a_window(fitted):
    generator = fitted(RIVALS["latent-mixture"])
    with pytest.raises(MotionganError, match="makes at most the 32 frames"):
        generator.generate("walk", n=1, frames=33)
