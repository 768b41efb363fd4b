"""Clean 2D keypoints -> keypoints as a detector gives them: noise, outliers, gaps and confidence."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from motiongan.body.joint_sets import JOINT_SETS

# How much more (or less) a detector errs at some points than at the mean one. Our choice, in the order that detectors
# show: sharp landmarks of the face least, points that lie deep in the body (hips, spine) and fast ends most.
JOINT_NOISE: dict[str, float] = {
    "nose": 0.5, "eye": 0.5, "ear": 0.7, "head": 0.8, "head_top": 0.9, "neck": 0.8, "neck_base": 0.8, "thorax": 0.8,
    "collar": 0.9, "shoulder": 0.8, "elbow": 1.1, "wrist": 1.4, "hand": 1.6, "spine": 1.0, "pelvis": 1.0, "root": 1.0,
    "hip": 1.1, "knee": 1.0, "ankle": 1.2, "foot": 1.4,
}  # fmt: skip

_CONFIDENT, _UNSURE = 0.9, 0.55  # mean confidence of a point that is seen, and of one that is hidden
_TOLERANCE = 0.05  # of the person's size: the error at which confidence has fallen to 0.61 of that
_FLICKER = 0.05  # standard deviation of the confidence itself


@dataclass(frozen=True)
class Detections:
    """What a detector says of a clip.

    keypoints    pixels; where nothing was detected, what `Detector2D.fill` puts there
    confidence   0 to 1; 0 where nothing was detected. No gradient passes through it: it follows from the drawn error in
                 shares of the person's size, which is the same wherever the point lies
    detected     False where nothing was detected
    """

    keypoints: Float[Tensor, "batch frames points 2"]
    confidence: Float[Tensor, "batch frames points"]
    detected: Bool[Tensor, "batch frames points"]


@dataclass(frozen=True)
class Detector2D:
    """Makes keypoints look detected. Every part is switched off by 0; `size` is the diagonal of the person's box.

    joint_set       whose points these are, of `motiongan.body.joint_sets.JOINT_SETS`
    noise           standard deviation along each axis of a point of factor 1, in sizes (0.01: 4 pixels at 400)
    joint_noise     factor of each kind of point, without its side: {"wrist": 2.0} changes the wrists' alone
    noise_time      seconds over which the noise changes
    jitter          share of the noise's variance that is new in every frame
    outliers        share of points that lie somewhere else, `outlier_distance` (sizes) away
    swaps           share of left/right pairs that are exchanged
    dropped_joints, dropped_frames   shares of points, and of whole frames, in which nothing is detected
    event_time      seconds that an outlier, a swap or a gap lasts on average
    hidden_noise    factor of the noise of points that the body itself hides
    hidden_dropped  share of hidden points that are not detected
    fill            what stands in a gap: "hold" the last detection (the next one at the beginning), "zero", or "nan"
    """

    joint_set: str = "h36m17"
    noise: float = 0.01
    joint_noise: Mapping[str, float] = field(default_factory=dict)
    noise_time: float = 0.15
    jitter: float = 0.2
    outliers: float = 0.01
    outlier_distance: float = 0.15
    swaps: float = 0.005
    dropped_joints: float = 0.01
    dropped_frames: float = 0.005
    event_time: float = 0.15
    hidden_noise: float = 2.0
    hidden_dropped: float = 0.15
    fill: Literal["hold", "zero", "nan"] = "hold"

    def __post_init__(self) -> None:
        """Raise ValueError for impossible settings."""
        if self.joint_set not in JOINT_SETS:
            raise ValueError(f"joint_set is {self.joint_set!r}, expected one of {', '.join(JOINT_SETS)}")
        for name in ("jitter", "outliers", "swaps", "dropped_joints", "dropped_frames", "hidden_dropped"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected a share of 0 to 1")
        for name in ("noise", "noise_time", "outlier_distance", "event_time", "hidden_noise"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}, expected a number of 0 or more")
        if self.fill not in ("hold", "zero", "nan"):
            raise ValueError(f"fill is {self.fill!r}, expected 'hold', 'zero' or 'nan'")
        if unknown := sorted(set(self.joint_noise) - set(JOINT_NOISE)):
            raise ValueError(f"joint_noise names {', '.join(unknown)}; known: {', '.join(JOINT_NOISE)}")

    def __call__(
        self,
        pixels: Float[Tensor, "batch frames points 2"],
        *,
        generator: torch.Generator,
        frame_rate: float = 30.0,
        hidden: Bool[Tensor, "batch frames points"] | None = None,
        absent: Bool[Tensor, "batch frames points"] | None = None,
    ) -> Detections:
        """The keypoints as detected; gradients pass from the detected keypoints, not from confidence, to `pixels`.

        hidden   points behind the person's own body, as `BodyOcclusion` finds them
        absent   points that cannot be detected at all, as `outside` finds them; NaN pixels are absent anyway
        Draws the same on every device where the generator is a CPU one. Raises ValueError for another shape.
        """
        count = len(JOINT_SETS[self.joint_set].names)
        if pixels.ndim != 4 or tuple(pixels.shape[2:]) != (count, 2):
            raise ValueError(
                f"pixels has the shape {tuple(pixels.shape)}, expected (batch, frames, {count}, 2) for {self.joint_set}"
            )
        known = pixels.isfinite().all(-1)
        absent = ~known if absent is None else absent | ~known
        exact = torch.where(known.unsqueeze(-1), pixels, 0.0)
        behind = torch.zeros_like(absent) if hidden is None else hidden
        size = person_size(pixels)[:, None, None, None]
        batch, frames = pixels.shape[:2]

        def noise(width: float, *shape: int) -> Tensor:
            return smooth_noise((batch, frames, *shape), width, generator=generator).to(pixels)

        def events(share: float, *shape: int) -> Tensor:
            """Where a smooth process lies above its quantile: the wanted share, in runs of frames."""
            return noise(_event_width(share, self.event_time * frame_rate), *shape) > _quantile(share)

        # Smooth noise and a part that is new in every frame, of standard deviation 1 together.
        error = math.sqrt(1 - self.jitter) * noise(self.noise_time * frame_rate, count, 2)
        error = error + math.sqrt(self.jitter) * noise(0.0, count, 2)
        # A point that turns behind the body becomes uncertain over some frames, not from one to the next.
        share_hidden = _smoothed(behind.to(pixels), self.noise_time * frame_rate)
        factor = self._factors().to(pixels) * (1 + (self.hidden_noise - 1) * share_hidden)
        seen = exact + error * (self.noise * factor).unsqueeze(-1) * size

        jumps = events(self.outliers, count)
        seen = torch.where(
            jumps.unsqueeze(-1),
            exact + noise(self.event_time * frame_rate, count, 2) * size * self.outlier_distance / math.sqrt(2),
            seen,
        )
        mirror = torch.tensor(JOINT_SETS[self.joint_set].mirror, device=pixels.device)
        pair = torch.minimum(mirror, torch.arange(count, device=pixels.device))
        swapped = events(self.swaps, count)[:, :, pair]
        seen = torch.where(swapped.unsqueeze(-1), seen[:, :, mirror], seen)
        absent = torch.where(swapped, absent[:, :, mirror], absent)

        lost = absent | events(self.dropped_joints, count) | events(self.dropped_frames, 1)
        lost = lost | (behind & events(self.hidden_dropped, count))
        confidence = self._confidence(seen.detach(), exact.detach(), size, behind, jumps, noise)
        detected = ~lost
        return Detections(self._filled(seen, detected), torch.where(detected, confidence, 0.0), detected)

    def _factors(self) -> Float[Tensor, "points"]:
        table = {**JOINT_NOISE, **self.joint_noise}
        return torch.tensor([table[_kind(name)] for name in JOINT_SETS[self.joint_set].names])

    def _confidence(
        self, seen: Tensor, exact: Tensor, size: Tensor, hidden: Tensor, jumps: Tensor, noise: Callable[..., Tensor]
    ) -> Tensor:
        """Falls with the error and behind the body; an outlier is believed more or less at random, as detectors do."""
        error = (seen - exact).norm(dim=-1) / size.squeeze(-1)
        likely = torch.where(hidden, _UNSURE, _CONFIDENT) * torch.exp(-((error / _TOLERANCE) ** 2) / 2)
        likely = torch.where(jumps, 0.5 + 0.2 * noise(0.0, exact.shape[2]), likely)
        return (likely + _FLICKER * noise(0.0, exact.shape[2])).clamp(0.01, 1.0)

    def _filled(self, seen: Tensor, detected: Tensor) -> Tensor:
        if self.fill != "hold":
            return torch.where(detected.unsqueeze(-1), seen, math.nan if self.fill == "nan" else 0.0)
        frames = torch.arange(seen.shape[1], device=seen.device)[None, :, None]
        last = torch.where(detected, frames, -1).cummax(1).values
        following = torch.where(detected, frames, seen.shape[1]).flip(1).cummin(1).values.flip(1)
        source = torch.where(last >= 0, last, following).clamp(max=seen.shape[1] - 1)
        held = seen.gather(1, source.unsqueeze(-1).expand_as(seen))
        # A point that is never detected stands in the middle of what is.
        weight = detected.to(seen).unsqueeze(-1)
        middle = (seen * weight).sum((1, 2), keepdim=True) / weight.sum((1, 2), keepdim=True).clamp(min=1)
        return torch.where(detected.any(1, keepdim=True).unsqueeze(-1), held, middle)


def person_size(pixels: Float[Tensor, "batch frames points 2"]) -> Float[Tensor, "batch"]:
    """Diagonal of the box round the points, pixels, mean over the frames; what is missing (NaN) does not count."""
    pixels = pixels.detach()
    low = torch.where(pixels.isfinite(), pixels, math.inf).amin(2)
    high = torch.where(pixels.isfinite(), pixels, -math.inf).amax(2)
    diagonal = (high - low).norm(dim=-1)
    seen = diagonal.isfinite()
    return torch.where(seen, diagonal, 0.0).sum(1) / seen.sum(1).clamp(min=1)


def smooth_noise(
    shape: tuple[int, ...], width: float, *, generator: torch.Generator
) -> Float[Tensor, "batch frames *rest"]:
    """Stationary Gaussian noise of mean 0 and variance 1 over the second axis, independent over all others.

    White noise under a Gaussian kernel of `width` frames: frames t apart correlate by exp(-t^2 / (4 width^2)). A width
    of 0 is white noise.
    """
    batch, frames, *rest = shape
    kernel = _kernel(width)
    white = torch.randn(batch, frames + len(kernel) - 1, *rest, generator=generator, device=generator.device)
    if len(kernel) == 1:
        return white
    offset = torch.arange(frames + len(kernel) - 1)[None] - torch.arange(frames)[:, None]
    taps = kernel[offset.clamp(0, len(kernel) - 1)] * ((offset >= 0) & (offset < len(kernel)))
    return torch.einsum("ts,bs...->bt...", taps.to(white), white)


def _kernel(width: float) -> Float[Tensor, "taps"]:
    """Gaussian weights over frames, cut at four widths, whose squares sum to 1."""
    reach = math.ceil(4 * width)
    weights = torch.exp(-((torch.arange(-reach, reach + 1) / max(width, 1e-6)) ** 2) / 2)
    return weights / weights.norm()


def _smoothed(values: Float[Tensor, "batch frames points"], width: float) -> Float[Tensor, "batch frames points"]:
    """Weighted mean over neighbouring frames, Gaussian of `width` frames; ends count what is there."""
    if width <= 0:
        return values
    steps = torch.arange(values.shape[1], device=values.device, dtype=values.dtype)
    weights = torch.exp(-(((steps[:, None] - steps) / width) ** 2) / 2)
    return torch.einsum("ts,bsp->btp", weights / weights.sum(1, keepdim=True), values)


def _quantile(share: float) -> float:
    """Above which a standard normal number lies with this probability."""
    if share <= 0:
        return math.inf
    return NormalDist().inv_cdf(1 - share) if share < 1 else -math.inf


def _event_width(share: float, frames: float) -> float:
    """Width of `smooth_noise` whose stays above the quantile of `share` last `frames` on average.

    Source: Rice 1945, Mathematical Analysis of Random Noise, Eq. 3.3-11: a process of variance 1 with the second
    derivative -1 / (2 width^2) of its correlation at 0 crosses the level u upward exp(-u^2 / 2) / (2 pi sqrt(2) width)
    times per frame; the mean stay is share over that. Stays of less than two frames come out longer: frames are whole.
    """
    if not 0 < share < 1:
        return 0.0
    level = NormalDist().inv_cdf(1 - share)
    return frames * math.exp(-(level**2) / 2) / (2 * math.pi * math.sqrt(2) * share)


def _kind(name: str) -> str:
    """A point's name without side and number: "left_wrist" -> "wrist", "spine2" -> "spine"."""
    return name.removeprefix("left_").removeprefix("right_").rstrip("0123456789")
