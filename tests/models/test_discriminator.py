"""Discriminators: only valid steps count, the action counts, and gradient penalties can be trained through."""

import pytest
import torch
from torch.testing import assert_close

from motiongan.losses.adversarial import gradient_penalty
from motiongan.models.discriminator import DISCRIMINATORS, DiscriminatorConfig, spectrally_normalised

CHANNELS, ACTIONS, STEPS = 6, 3, 21
LAYERS = torch.nn.Linear | torch.nn.Conv1d | torch.nn.Embedding
KINDS = sorted(DISCRIMINATORS)


@pytest.fixture(
    params=[(kind, scales) for kind in KINDS for scales in (1, 3)], ids=lambda param: f"{param[0]} {param[1]}"
)
def discriminator(request) -> torch.nn.Module:
    kind, scales = request.param
    torch.manual_seed(0)
    return DISCRIMINATORS[kind](DiscriminatorConfig(kind=kind, width=8, scales=scales), ACTIONS, CHANNELS, STEPS)


def batch(steps: int = STEPS, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Whole, short, very short and gapped sequences: (values, mask, actions)."""
    values = torch.randn(4, steps, CHANNELS, generator=torch.Generator().manual_seed(seed))
    mask = torch.arange(steps) < torch.tensor([steps, 13, 1, steps])[:, None]
    mask[3, 5:9] = False  # as cutout leaves it
    return values, mask, torch.tensor([0, 1, 2, 0])


def test_steps_outside_the_mask_never_matter(discriminator):
    values, mask, actions = batch()
    others = torch.where(mask[..., None], values, 1e3 * torch.randn(values.shape))
    assert torch.equal(discriminator(values, mask, actions), discriminator(others, mask, actions))


def test_every_valid_step_matters(discriminator):
    values, mask, actions = batch()
    values.requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(values, mask, actions).sum(), values)
    seen = gradient.abs().sum(-1) > 0
    assert torch.equal(seen, mask)


def test_the_mask_itself_matters(discriminator):
    values, mask, actions = batch()
    logits = discriminator(values, torch.ones_like(mask), actions)
    assert (logits[1:] - discriminator(values, mask, actions)[1:]).abs().min() > 1e-5


def test_a_clip_is_judged_alone(discriminator):
    values, mask, actions = batch()
    logits = discriminator(values, mask, actions)
    for row in range(4):
        alone = discriminator(values[row : row + 1], mask[row : row + 1], actions[row : row + 1])
        assert_close(alone[0], logits[row], atol=1e-5, rtol=0)


def test_the_action_matters(discriminator):
    values, mask, _ = batch()
    logits = [discriminator(values, mask, torch.full((4,), action)) for action in range(ACTIONS)]
    assert (logits[0] - logits[1]).abs().max() > 1e-3


@pytest.mark.parametrize("kind", ["conv", "gru", "mlp", "dcgan"])
def test_the_action_shifts_the_logit_by_a_projection(kind):
    torch.manual_seed(0)
    discriminator = DISCRIMINATORS[kind](DiscriminatorConfig(kind=kind, width=8), ACTIONS, CHANNELS, STEPS)
    values, mask, _ = batch()
    logits = [discriminator(values, mask, torch.full((4,), action)) for action in range(2)]
    # Miyato & Koyama: what the action adds is linear in its vector, so the mean vector gives the mean logit.
    for head in [module for module in discriminator.modules() if hasattr(module, "action")]:
        with torch.no_grad():
            head.action.weight[2] = 0.5 * (head.action.weight[0] + head.action.weight[1])
    blended = discriminator(values, mask, torch.full((4,), 2))
    assert_close(blended, 0.5 * (logits[0] + logits[1]), atol=1e-5, rtol=0)


def test_the_order_of_time_matters(discriminator):
    values, _, actions = batch()
    whole = torch.ones(4, STEPS, dtype=torch.bool)
    assert (discriminator(values, whole, actions) - discriminator(values.flip(1), whole, actions)).abs().max() > 1e-4


def test_the_gradient_penalty_can_be_trained_through(discriminator):
    values, mask, actions = batch()
    values.requires_grad_()
    penalty = gradient_penalty(values, discriminator(values, mask, actions))
    assert penalty.shape == (4,)
    assert (penalty > 0).all()
    penalty.sum().backward()
    gradients = {name: p.grad for name, p in discriminator.named_parameters() if p.grad is not None}
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    # Against a finite difference in one weight.
    named = {n: p for n, p in discriminator.named_parameters() if n.startswith(("read", "convs")) and p.ndim > 1}
    name, weight = next((n, p.detach().flatten(1)) for n, p in named.items())
    step = 1e-3
    with torch.no_grad():
        weight[1, 2] += step
    higher = gradient_penalty(values, discriminator(values, mask, actions)).sum()
    with torch.no_grad():
        weight[1, 2] -= 2 * step
    lower = gradient_penalty(values, discriminator(values, mask, actions)).sum()
    difference = ((higher - lower) / (2 * step)).item()
    assert gradients[name].flatten(1)[1, 2].item() == pytest.approx(difference, rel=0.05, abs=1e-4)


# -- the autoencoder of BEGAN ------------------------------------------------------------------------------------------


def test_the_logit_of_a_reconstruction_is_minus_the_mean_absolute_error_over_valid_steps():
    config = DiscriminatorConfig(kind="reconstruction", width=8, scales=2)
    autoencoder = DISCRIMINATORS["reconstruction"](config, ACTIONS, 2, 3)
    with torch.no_grad():  # gives back 3 and -1, whatever it is given
        autoencoder.write.weight.zero_()
        autoencoder.write.bias.copy_(torch.tensor([3.0, -1.0]))
    values = torch.tensor([[[3.0, -1.0], [2.0, 1.0], [9.0, 9.0]], [[3.0, -1.0], [3.0, -1.0], [3.0, -1.0]]])
    mask = torch.tensor([[True, True, False], [True, True, True]])
    # Errors of the first clip: 0, 0 and 1, 2.
    assert_close(autoencoder(values, mask, torch.tensor([0, 1])).detach(), torch.tensor([-0.75, 0.0]))


def test_the_autoencoder_learns_the_clips_it_is_given_and_not_others():
    torch.manual_seed(0)
    config = DiscriminatorConfig(kind="reconstruction", width=32, scales=2)
    autoencoder = DISCRIMINATORS["reconstruction"](config, ACTIONS, CHANNELS, STEPS)
    values, mask, actions = batch()
    optimizer = torch.optim.Adam(autoencoder.parameters(), lr=5e-3)
    for _ in range(150):
        optimizer.zero_grad()
        (-autoencoder(values, mask, actions).mean()).backward()
        optimizer.step()
    others, _, _ = batch(seed=1)
    known, unknown = -autoencoder(values, mask, actions), -autoencoder(others, mask, actions)
    assert (known < 0.5 * unknown).all()


# -- spectral normalisation --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["conv", "gru", "mlp", "dcgan"])
def test_spectrally_normalised_layers_stretch_nothing_by_more_than_one(kind):
    torch.manual_seed(0)
    discriminator = DISCRIMINATORS[kind](DiscriminatorConfig(kind=kind, width=8), ACTIONS, CHANNELS, STEPS)
    with torch.no_grad():
        for parameter in discriminator.parameters():
            parameter.mul_(7)
    spectrally_normalised(discriminator)
    for _ in range(100):  # one power iteration each
        discriminator(*batch())
    layers = [module for module in discriminator.modules() if isinstance(module, LAYERS)]
    assert len(layers) >= 4
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2).item() == pytest.approx(1, abs=1e-3)
