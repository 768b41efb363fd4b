"""What the two networks play for: the field's adversarial losses, and what keeps the discriminator within bounds.

A logit is higher where a clip looks more real: log-odds in the classical games, an unbounded score of a critic in the
Wasserstein ones, minus the reconstruction error in BEGAN. Every loss takes the logits of a batch and is minimised.
`ADVERSARIAL_LOSSES` at the end of the file says which losses and which bounds make up a game.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import softplus

AdversarialLoss = Callable[
    ..., Tensor
]  # (real_logits, fake_logits) -> mean; BEGAN's discriminator takes its balance too
SlopePenalty = Callable[[Tensor, Tensor], Tensor]  # (inputs, logits) -> one number per clip

# -- the relativistic game, the default ------------------------------------------------------------------------------


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


# -- the first GAN -----------------------------------------------------------------------------------------------------


def minimax_generator_loss(
    real_logits: Float[Tensor, "batch"],
    fake_logits: Float[Tensor, "batch"],
) -> Float[Tensor, ""]:
    """E log(1 - D(G(z))) with D = sigmoid(logit), which is -softplus(fake); it dies where fakes are found out.

    Source: Goodfellow et al. 2014, arXiv 1406.2661, Eq. 1.
    """
    return -softplus(fake_logits).mean()


def non_saturating_generator_loss(
    real_logits: Float[Tensor, "batch"],
    fake_logits: Float[Tensor, "batch"],
) -> Float[Tensor, ""]:
    """-E log D(G(z)) with D = sigmoid(logit), which is softplus(-fake): strongest where fakes are found out.

    Source: Goodfellow et al. 2014, arXiv 1406.2661, section 3 ("train G to maximize log D(G(z))").
    """
    return softplus(-fake_logits).mean()


def cross_entropy_discriminator_loss(
    real_logits: Float[Tensor, "batch"],
    fake_logits: Float[Tensor, "batch"],
) -> Float[Tensor, ""]:
    """-E log D(x) - E log(1 - D(G(z))) with D = sigmoid(logit); 2 log 2 where it cannot tell.

    Source: Goodfellow et al. 2014, arXiv 1406.2661, Eq. 1.
    """
    return softplus(-real_logits).mean() + softplus(fake_logits).mean()


# -- least squares -----------------------------------------------------------------------------------------------------


def least_squares_generator_loss(
    real_logits: Float[Tensor, "batch"],
    fake_logits: Float[Tensor, "batch"],
) -> Float[Tensor, ""]:
    """Half of the mean squared distance of the fake logits from 1.

    Source: Mao et al. 2017 (LSGAN), arXiv 1611.04076, the objective with labels a = 0 (fake), b = 1 (real), c = 1.
    """
    return 0.5 * (fake_logits - 1).square().mean()


def least_squares_discriminator_loss(
    real_logits: Float[Tensor, "batch"],
    fake_logits: Float[Tensor, "batch"],
) -> Float[Tensor, ""]:
    """Half of the mean squared distances of the real logits from 1 and of the fake ones from 0.

    Source: as `least_squares_generator_loss`.
    """
    return 0.5 * (real_logits - 1).square().mean() + 0.5 * fake_logits.square().mean()


# -- Wasserstein critics and the hinge ---------------------------------------------------------------------------------


def wasserstein_generator_loss(
    real_logits: Float[Tensor, "batch"],
    fake_logits: Float[Tensor, "batch"],
) -> Float[Tensor, ""]:
    """-E f(G(z)): minus the critic's mean score of the fakes. Also the generator's loss of the hinge game and of BEGAN.

    Source: Arjovsky et al. 2017 (WGAN), arXiv 1701.07875, Algorithm 1.
    """
    return -fake_logits.mean()


def wasserstein_discriminator_loss(
    real_logits: Float[Tensor, "batch"],
    fake_logits: Float[Tensor, "batch"],
) -> Float[Tensor, ""]:
    """E f(G(z)) - E f(x): minus the critic's estimate of the Wasserstein distance, which needs a bound on its slope.

    Source: Arjovsky et al. 2017 (WGAN), arXiv 1701.07875, Algorithm 1.
    """
    return fake_logits.mean() - real_logits.mean()


def hinge_discriminator_loss(
    real_logits: Float[Tensor, "batch"],
    fake_logits: Float[Tensor, "batch"],
) -> Float[Tensor, ""]:
    """E max(0, 1 - f(x)) + E max(0, 1 + f(G(z))): clips beyond the margin of 1 on their right side cost nothing.

    Source: Lim & Ye 2017, arXiv 1705.02894; with spectral normalisation in Miyato et al. 2018, arXiv 1802.05957.
    """
    return (1 - real_logits).clamp(min=0).mean() + (1 + fake_logits).clamp(min=0).mean()


# -- BEGAN -------------------------------------------------------------------------------------------------------------


def began_discriminator_loss(
    real_logits: Float[Tensor, "batch"],
    fake_logits: Float[Tensor, "batch"],
    balance: Float[Tensor, ""],
) -> Float[Tensor, ""]:
    """L(x) - k L(G(z)): the autoencoder learns real clips, and, as far as the balance k allows, to fail on fake ones.

    The logits are -L, minus the reconstruction error of each clip.

    Source: Berthelot et al. 2017 (BEGAN), arXiv 1703.10717, section 3.4.
    """
    return -real_logits.mean() + balance * fake_logits.mean()


def began_balance(
    balance: Float[Tensor, ""],
    real_error: Float[Tensor, ""],
    fake_error: Float[Tensor, ""],
    diversity_ratio: float,
    rate: float,
) -> Float[Tensor, ""]:
    """The next k: k + rate (diversity_ratio L(x) - L(G(z))), within 0 to 1; at rest L(G(z)) is that share of L(x).

    real_error, fake_error   mean reconstruction errors L
    Source: Berthelot et al. 2017 (BEGAN), arXiv 1703.10717, section 3.4; k_0 = 0, and rate = 0.001 there.
    """
    return (balance + rate * (diversity_ratio * real_error - fake_error)).clamp(0, 1)


def began_convergence(
    real_error: Float[Tensor, ""], fake_error: Float[Tensor, ""], diversity_ratio: float
) -> Float[Tensor, ""]:
    """L(x) + |diversity_ratio L(x) - L(G(z))|: small where real clips are learnt and the two networks are in balance.

    Source: Berthelot et al. 2017 (BEGAN), arXiv 1703.10717, section 3.4.1.
    """
    return real_error + (diversity_ratio * real_error - fake_error).abs()


# -- bounds on the discriminator ---------------------------------------------------------------------------------------


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


def unit_gradient_penalty(
    inputs: Float[Tensor, "batch frames features"],
    logits: Float[Tensor, "batch"],
) -> Float[Tensor, "batch"]:
    """(|d logit / d input| - 1)^2 of every sample, two-sided; for `interpolates` between real and fake clips.

    Arguments as in `gradient_penalty`. The loss takes lambda times its mean, lambda = 10 in the paper.

    Source: Gulrajani et al. 2017 (WGAN-GP), arXiv 1704.00028, Eq. 3.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), inputs, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square()


def interpolates(
    real: Float[Tensor, "batch frames features"],
    fake: Float[Tensor, "batch frames features"],
    *,
    generator: torch.Generator,
) -> Float[Tensor, "batch frames features"]:
    """One point of every pair's connecting line, e x + (1 - e) G(z) with e uniform in 0 to 1, one e per clip.

    Source: Gulrajani et al. 2017 (WGAN-GP), arXiv 1704.00028, Algorithm 1.
    """
    share = torch.rand(len(real), 1, 1, generator=generator).to(real.device)
    return share * real + (1 - share) * fake


@torch.no_grad()
def clip_weights(critic: nn.Module, limit: float) -> None:
    """Clamp every parameter, biases included, to -limit ... limit, in place.

    Source: Arjovsky et al. 2017 (WGAN), arXiv 1701.07875, Algorithm 1 (limit 0.01 there).
    """
    for parameter in critic.parameters():
        parameter.clamp_(-limit, limit)


# -- the games ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Game:
    """Losses of both players, and what belongs to them.

    penalty     what the discriminator's slope costs; penalised: where: on "real" and "fake" clips (weight: half of
                losses.gamma) or "between" the two, on WGAN-GP's interpolates (weight: losses.unit_slope)
    bound       "clip": weights are clipped to losses.clip; "spectral": the layers have spectral norm 1
    updates     of the discriminator for one of the generator, as in the paper but for the relativistic loss
    balanced    BEGAN: the discriminator is an autoencoder, its loss takes the balance k, which training moves
    """

    generator_loss: AdversarialLoss
    discriminator_loss: AdversarialLoss
    penalty: SlopePenalty | None = None
    penalised: tuple[Literal["real", "fake", "between"], ...] = ()
    bound: Literal["clip", "spectral"] | None = None
    updates: int = 1
    balanced: bool = False


ADVERSARIAL_LOSSES: dict[str, Game] = {
    "relativistic": Game(
        relativistic_generator_loss,
        relativistic_discriminator_loss,
        gradient_penalty,
        penalised=("real", "fake"),
        updates=3,  # 1 in the paper; with 3, clips lie where other training clips would (docs/log.md)
    ),
    "minimax": Game(minimax_generator_loss, cross_entropy_discriminator_loss),
    "non-saturating": Game(non_saturating_generator_loss, cross_entropy_discriminator_loss),
    "non-saturating-r1": Game(  # Mescheder et al. 2018, arXiv 1801.04406
        non_saturating_generator_loss, cross_entropy_discriminator_loss, gradient_penalty, penalised=("real",)
    ),
    "lsgan": Game(least_squares_generator_loss, least_squares_discriminator_loss),
    "wgan": Game(wasserstein_generator_loss, wasserstein_discriminator_loss, bound="clip", updates=5),
    "wgan-gp": Game(
        wasserstein_generator_loss,
        wasserstein_discriminator_loss,
        unit_gradient_penalty,
        penalised=("between",),
        updates=5,
    ),
    "began": Game(wasserstein_generator_loss, began_discriminator_loss, balanced=True),
    "hinge": Game(wasserstein_generator_loss, hinge_discriminator_loss, bound="spectral"),
}
