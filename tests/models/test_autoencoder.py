"""The motion autoencoder: lengths, masks, standardised latents, and that it learns to give back what it was given."""

import pytest
import torch
from torch.testing import assert_close

from motiongan.models.autoencoder import AutoencoderConfig, MotionAutoencoder

FEATURES = 10


@pytest.fixture(params=[1, 4])
def autoencoder(request) -> MotionAutoencoder:
    torch.manual_seed(0)
    config = AutoencoderConfig(steps=1, width=16, latent=4, patch=request.param)
    return MotionAutoencoder(config, FEATURES)


def batch(frames: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    features = torch.randn(3, frames, FEATURES, generator=torch.Generator().manual_seed(0))
    return features, torch.arange(frames) < torch.tensor([frames, 20, 5])[:, None]


def test_a_token_stands_for_a_patch_of_frames(autoencoder):
    features, mask = batch()
    latents, tokens = autoencoder.encode(features, mask)
    assert latents.shape == (3, 32 // autoencoder.patch, 4)
    assert tokens.sum(1).tolist() == [-(-count // autoencoder.patch) for count in (32, 20, 5)]
    assert autoencoder.decode(latents, tokens).shape == features.shape


def test_frames_outside_the_mask_never_matter(autoencoder):
    features, mask = batch()
    others = torch.where(mask[..., None], features, 1e3 * torch.randn(features.shape))
    (mean, log_variance, tokens), (mean_other, log_variance_other, _) = (
        autoencoder.posterior_of(values, mask) for values in (features, others)
    )
    assert torch.equal(mean[tokens], mean_other[tokens])
    assert torch.equal(log_variance[tokens], log_variance_other[tokens])


def test_tokens_outside_the_mask_never_matter(autoencoder):
    features, mask = batch()
    latents, tokens = autoencoder.encode(features, mask)
    others = torch.where(tokens[..., None], latents, 1e3 * torch.randn(latents.shape))
    frames = tokens.repeat_interleave(autoencoder.patch, dim=1)
    assert torch.equal(autoencoder.decode(latents, tokens)[frames], autoencoder.decode(others, tokens)[frames])
    alone = autoencoder.decode(latents[1:2, : tokens[1].sum()])
    assert_close(autoencoder.decode(latents, tokens)[1, frames[1]], alone[0], atol=1e-5, rtol=0)


def test_standardised_latents_decode_as_the_posteriors_mean_does(autoencoder):
    autoencoder.mean, autoencoder.std = torch.randn(4), torch.rand(4) + 0.5
    features, mask = batch()
    mean, _, tokens = autoencoder.posterior_of(features, mask)
    latents, _ = autoencoder.encode(features, mask)
    assert_close(latents, (mean - autoencoder.mean) / autoencoder.std)
    assert_close(autoencoder.decode(latents, tokens), autoencoder.decode_raw(mean, tokens), atol=1e-5, rtol=0)


def test_any_number_of_tokens_can_be_decoded(autoencoder):
    for tokens in (1, 2, 77):
        assert autoencoder.decode(torch.randn(2, tokens, 4)).shape == (2, tokens * autoencoder.patch, FEATURES)


def test_it_learns_to_give_back_smooth_motion():
    torch.manual_seed(0)
    autoencoder = MotionAutoencoder(AutoencoderConfig(steps=1, width=32, latent=8), FEATURES)
    optimizer = torch.optim.Adam(autoencoder.parameters(), lr=3e-3)
    time = torch.arange(32)[:, None]
    features = torch.stack([torch.sin(0.2 * time * speed + torch.arange(FEATURES)) for speed in (0.5, 1.0, 1.5, 2.0)])
    mask = torch.ones(4, 32, dtype=torch.bool)
    for _ in range(120):
        mean, _, tokens = autoencoder.posterior_of(features, mask)
        error = (autoencoder.decode_raw(mean, tokens) - features).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    assert error < 0.05 * features.var()
