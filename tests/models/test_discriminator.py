"""Discriminators: only valid steps count, the action counts, and gradient penalties can be trained through."""

import pytest
import torch
from torch.testing import assert_close

from motiongan.losses.adversarial import gradient_penalty
from motiongan.models.discriminator import DISCRIMINATORS, DiscriminatorConfig

CHANNELS, ACTIONS = 6, 3
KINDS = sorted(DISCRIMINATORS)


@pytest.fixture(
    params=[(kind, scales) for kind in KINDS for scales in (1, 3)], ids=lambda param: f"{param[0]} {param[1]}"
)
def discriminator(request) -> torch.nn.Module:
    kind, scales = request.param
    torch.manual_seed(0)
    return DISCRIMINATORS[kind](DiscriminatorConfig(kind=kind, width=8, scales=scales), ACTIONS, CHANNELS)


def batch(steps: int = 21, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
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


def test_the_action_shifts_the_logit_by_a_projection(discriminator):
    values, mask, _ = batch()
    logits = [discriminator(values, mask, torch.full((4,), action)) for action in range(ACTIONS)]
    assert (logits[0] - logits[1]).abs().max() > 1e-3
    # Miyato & Koyama: what the action adds is linear in its vector, so the mean vector gives the mean logit.
    for head in [module for module in discriminator.modules() if hasattr(module, "action")]:
        with torch.no_grad():
            head.action.weight[2] = 0.5 * (head.action.weight[0] + head.action.weight[1])
    blended = discriminator(values, mask, torch.full((4,), 2))
    assert_close(blended, 0.5 * (logits[0] + logits[1]), atol=1e-5, rtol=0)


def test_the_order_of_time_matters(discriminator):
    values, _, actions = batch()
    whole = torch.ones(4, 21, dtype=torch.bool)
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
    name, weight = next((n, p) for n, p in discriminator.named_parameters() if n.startswith("read") and p.ndim == 2)
    step = 1e-3
    with torch.no_grad():
        weight[1, 2] += step
    higher = gradient_penalty(values, discriminator(values, mask, actions)).sum()
    with torch.no_grad():
        weight[1, 2] -= 2 * step
    lower = gradient_penalty(values, discriminator(values, mask, actions)).sum()
    difference = ((higher - lower) / (2 * step)).item()
    assert gradients[name][1, 2].item() == pytest.approx(difference, rel=0.05, abs=1e-4)
