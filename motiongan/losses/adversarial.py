"""What the two networks play for: the relativistic pairing loss and the gradient penalties that keep it stable."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

AdversarialLoss = Callable[[Tensor, Tensor], Tensor]


def relativistic_generator_loss(
    real_logits: Float[Tensor, "batch"],
    fake_logits: Float[Tensor, "batch"],
) -> Float[Tensor, ""]:
    """Mean over pairs of softplus(real - fake): small where the fake clip of a pair looks more real than the real one.

    Pair i compares `fake_logits[i]` with `real_logits[i]`: let both be of the same action.
    The caller draws the real logits without a gradient; they only shift the pair's working point.

    Source: Huang et al. 2024 (R3GAN), arXiv 2501.05441, section 2: E f(D(G(z)) - D(x)) with f(t) = -log(1 + exp(-t)),
    in the non-saturating form that the authors' code minimises for the generator: softplus(-(D(G(z)) - D(x))).
    """
    return softplus(real_logits - fake_logits).mean()


def relativistic_discriminator_loss(
    real_logits: Float[Tensor, "batch"],
    fake_logits: Float[Tensor, "batch"],
) -> Float[Tensor, ""]:
    """Mean over pairs of softplus(fake - real): small where the real clip of each pair looks more real than the fake.

    Source: as `relativistic_generator_loss`; the discriminator maximises E f(D(G(z)) - D(x)) with the signs exchanged.
    """
    return softplus(fake_logits - real_logits).mean()


def gradient_penalty(
    inputs: Float[Tensor, "batch frames features"],
    logits: Float[Tensor, "batch"],
) -> Float[Tensor, "batch"]:
    """Squared norm of d logit / d input of every sample: R1 on real inputs, R2 on fake ones.

    inputs   what the discriminator saw, with requires_grad set before it was called
    logits   its answers; sample i must depend on `inputs[i]` alone (no batch statistics), since their sum is derived
    The result can be derived again. The loss takes gamma / 2 times its mean.

    Source: Mescheder et al. 2018, arXiv 1801.04406 (R1: real, R2: fake), as both are used in arXiv 2501.05441.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), inputs, create_graph=True)
    return gradient.square().sum((1, 2))


# kind -> (generator's loss, discriminator's loss), each of (real_logits, fake_logits)
ADVERSARIAL_LOSSES: dict[str, tuple[AdversarialLoss, AdversarialLoss]] = {
    "relativistic": (relativistic_generator_loss, relativistic_discriminator_loss),
}
