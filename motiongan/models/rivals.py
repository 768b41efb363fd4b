"""Rivals without an adversary: per action a mixture of Gaussians over whole sequences, which every GAN must beat.

They make the same sequences as a trained generator does (latents of the motion autoencoder, or motion features) from
the same noise, and so share all that follows: decoding, body shapes, planted feet, the model file.
One component is the plain Gaussian. Our own EM of a page instead of a package: scikit-learn's cannot shrink a
component's covariance towards the others', without which twenty full ones do not fit a few dozen clips.
"""

import math

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from motiongan.models.generator import GeneratorConfig, Noise

_ROUNDS = 50  # of EM at most; it stops when the likelihood stands still
_STILL = 1e-4  # gain per window and round, nats, at which it does
_FLOOR = 1e-6  # of the mean variance, added to every variance: covariances stay invertible


class MixtureGenerator(nn.Module):
    """Draws a component of the action's mixture, a point of it, and gives back the whole sequence; nothing is trained.

    config   kind "mixture"; blocks: components; width: dimensions of the action's principal subspace that are drawn;
             latent: width + 1, of which the first number chooses the component
    Like MLPGenerator it makes nothing longer than a window, and the noise per step is not heard.
    """

    def __init__(self, config: GeneratorConfig, num_actions: int, channels: int, window: int) -> None:
        super().__init__()
        assert config.latent == config.width + 1, "one number chooses the component"
        self.window, size, rank, count = window, window * channels, config.width, config.blocks
        self.shares: Tensor
        self.centre: Tensor
        self.basis: Tensor
        self.means: Tensor
        self.factors: Tensor
        self.register_buffer("shares", torch.full((num_actions, count), 1 / count))
        self.register_buffer("centre", torch.zeros(num_actions, size))
        self.register_buffer("basis", torch.zeros(num_actions, rank, size))
        self.register_buffer("means", torch.zeros(num_actions, count, rank))
        self.register_buffer("factors", torch.zeros(num_actions, count, rank, rank))

    def forward(self, noise: Noise, actions: Int64[Tensor, "batch"]) -> Float[Tensor, "batch steps channels"]:
        steps = noise.drive.shape[1]
        assert steps <= self.window, "MotionModel refuses more"
        share = torch.special.ndtr(noise.latent[:, :1])  # the normal number as a uniform one
        component = (share > self.shares[actions].cumsum(-1)).sum(-1).clamp(max=self.shares.shape[1] - 1)
        moved = (self.factors[actions, component] @ noise.latent[:, 1:, None])[..., 0]
        point = self.means[actions, component] + moved
        whole = self.centre[actions] + (point[:, None] @ self.basis[actions])[:, 0]
        return whole.unflatten(-1, (self.window, -1))[:, :steps]


def mixture_config(components: int, rank: int) -> GeneratorConfig:
    """The options of a MixtureGenerator."""
    return GeneratorConfig(kind="mixture", latent=rank + 1, drive=1, width=rank, blocks=components)


def fit_mixtures(
    generator: MixtureGenerator,
    sequences: Float[Tensor, "windows steps channels"],
    mask: Bool[Tensor, "windows steps"],
    actions: Int64[Tensor, "windows"],
    *,
    random: torch.Generator,
) -> None:
    """Fit every action's mixture to its windows, in place. An action with one window gives that window back.

    mask   of the valid steps, which come first in a row; what is missing after them is filled in by `completed`
    """
    count, rank = generator.means.shape[1:]
    for action in actions.unique().tolist():
        rows = actions == action
        values = completed(sequences[rows], mask[rows]).flatten(1).double()
        centre = values.mean(0)
        _, _, directions = torch.linalg.svd(values - centre, full_matrices=False)
        kept = min(rank, len(directions), max(1, len(values) - 1))  # centred, they span no more
        points = (values - centre) @ directions[:kept].T
        shares, means, covariances = fit_mixture(points, count, random=random)
        generator.centre[action] = centre.float()
        generator.basis[action, :kept] = directions[:kept].float()
        generator.shares[action] = shares.float()
        generator.means[action, :, :kept] = means.float()
        generator.factors[action, :, :kept, :kept] = torch.linalg.cholesky(covariances).float()


def completed(
    sequences: Float[Tensor, "windows steps channels"], mask: Bool[Tensor, "windows steps"]
) -> Float[Tensor, "windows steps channels"]:
    """Sequences of which short ones go on as the longer one goes on that was most like them so far (hot deck).

    Left as padding, ends of short clips would teach that bodies freeze. Where none is longer, the last step is held.
    """
    values, lengths = sequences.clone(), mask.sum(1)
    steps = values.shape[1]
    longest = int(lengths.max())
    for row in lengths.argsort(descending=True, stable=True).tolist():
        length = int(lengths[row])
        if length < longest:
            donors = (lengths > length).nonzero()[:, 0]  # longer ones have been completed before
            distance = (values[donors, :length] - values[row, :length]).square().sum((1, 2))
            values[row, length:] = values[donors[distance.argmin()], length:]
        elif length < steps:
            values[row, length:] = values[row, length - 1]
    return values


def fit_mixture(
    points: Float[Tensor, "points axes"], components: int, *, random: torch.Generator
) -> tuple[Float[Tensor, "components"], Float[Tensor, "components axes"], Float[Tensor, "components axes axes"]]:
    """Shares, means and covariances of a Gaussian mixture by EM; covariances are shrunk towards their common one.

    A component's covariance counts as much as its points, the common one (the mean within components) as much as
    there are axes: a component of few points takes the shape of all.
    Source: EM of Dempster, Laird & Rubin 1977; the shrinkage of Friedman 1989, doi 10.1080/01621459.1989.10478752,
    with lambda = axes / (axes + points of the component). Starts are drawn as in k-means++ (Arthur & Vassilvitskii).
    """
    count, axes = points.shape
    floor = _FLOOR * points.var(0, correction=0).mean().clamp(min=1e-12) * torch.eye(axes, dtype=points.dtype)
    belongs = nn.functional.one_hot(_nearest_start(points, components, random), components).to(points)
    before = -math.inf
    for _ in range(_ROUNDS):
        weight = belongs.sum(0)
        means = belongs.T @ points / weight.clamp(min=1e-9)[:, None]
        apart = points[:, None] - means  # (points, components, axes)
        scatters = torch.einsum("nk,nka,nkb->kab", belongs, apart, apart)
        common = scatters.sum(0) / count
        # One component is its own common covariance: nothing is shrunk.
        covariances = (scatters + axes * common) / (weight + axes)[:, None, None] + floor
        shares = weight / count
        factors = torch.linalg.cholesky(covariances)
        scaled = torch.linalg.solve_triangular(factors, apart.permute(1, 2, 0), upper=False)
        determinant = factors.diagonal(dim1=1, dim2=2).log().sum(1)
        density = -0.5 * scaled.square().sum(1).T - determinant - 0.5 * axes * math.log(2 * math.pi)
        joint = density + shares.clamp(min=1e-300).log()
        likelihood = joint.logsumexp(1)
        belongs = (joint - likelihood[:, None]).exp()
        if likelihood.mean().item() - before < _STILL:
            break
        before = likelihood.mean().item()
    return shares, means, covariances


def _nearest_start(points: Tensor, components: int, random: torch.Generator) -> Int64[Tensor, "points"]:
    """Which of the starting points each point is nearest to; a start is drawn by squared distance from the others."""
    first = torch.randint(len(points), (1,), generator=random)
    distances = [(points - points[first]).square().sum(1)]
    for _ in range(components - 1):
        nearest = torch.stack(distances).amin(0)
        # Fewer different points than components: the rest stay empty.
        drawn = torch.multinomial(nearest, 1, generator=random) if nearest.sum() > 0 else first
        distances.append((points - points[drawn]).square().sum(1))
    return torch.stack(distances).argmin(0)
