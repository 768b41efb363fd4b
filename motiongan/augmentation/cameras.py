"""Random cameras round a moving person, and where they see its points."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from motiongan.rendering.camera import Camera, look_at

_NEAREST = 0.3  # metres between a camera and the nearest point of the person
_PAN_STEPS = 40  # of 5 % that a panning camera may step back: seven times the distance


@dataclass(frozen=True)
class CameraSampler:
    """Draws one pinhole camera for each clip of a batch; every range is drawn from uniformly.

    azimuth, elevation   radians: where the camera stands, seen from the person; elevation above the horizon
    distance       metres from the point it aims at; it steps back where the person would not fit (`fill`)
    focal_length   in widths of the picture (Human3.6M's: 1.15; a phone's: 0.75)
    roll           radians, clockwise
    aim            metres by which it aims beside the person's middle at most, along each axis
    follow         shares of cameras that stand still, that pan with the person, and that travel beside it
    lag            seconds over which a camera that follows smooths the person's path
    fill           share of the picture, about its middle, in which every point must fall; None: let them leave it
    width, height  of the picture, pixels
    """

    azimuth: tuple[float, float] = (-math.pi, math.pi)
    elevation: tuple[float, float] = (math.radians(-5), math.radians(30))
    distance: tuple[float, float] = (3.0, 8.0)
    focal_length: tuple[float, float] = (0.75, 2.0)
    roll: tuple[float, float] = (math.radians(-3), math.radians(3))
    aim: float = 0.2
    follow: tuple[float, float, float] = (0.6, 0.2, 0.2)
    lag: float = 0.5
    fill: float | None = 0.95
    width: int = 1000
    height: int = 1000

    def __post_init__(self) -> None:
        """Raise ValueError for impossible settings."""
        for name in ("azimuth", "elevation", "distance", "focal_length", "roll"):
            low, high = getattr(self, name)
            if not low <= high:
                raise ValueError(f"{name} is ({low}, {high}), expected (low, high)")
        if self.distance[0] <= 0 or self.focal_length[0] <= 0:
            raise ValueError("distance and focal_length must be above 0")
        if not -math.pi / 2 < self.elevation[0] <= self.elevation[1] < math.pi / 2:
            raise ValueError("elevation must lie within a quarter turn: a vertical line of sight has no roll")
        if len(self.follow) != 3 or not min(self.follow) >= 0 or abs(sum(self.follow) - 1) > 1e-6:
            raise ValueError(f"follow is {self.follow}, expected three shares that sum to 1")
        for name in ("aim", "lag"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}, expected a number of 0 or more")
        if self.width < 1 or self.height < 1:
            raise ValueError(f"the picture has {self.width} x {self.height} pixels, expected at least 1 of each")
        if self.fill is not None and not 0 < self.fill <= 1:
            raise ValueError(f"fill is {self.fill}, expected a share of the picture above 0")

    def sample(
        self,
        points: Float[Tensor, "batch frames points 3"],
        *,
        generator: torch.Generator,
        frame_rate: float = 30.0,
    ) -> Camera:
        """One camera for each clip, on the device of `points`: a Camera with batch axes (batch, frames).

        points   world positions that it must see, metres, Z up; NaN marks points that a body does not have
        Draws the same cameras on every device where the generator is a CPU one. Raises ValueError for another shape.
        """
        if points.ndim != 4 or points.shape[-1] != 3:
            raise ValueError(f"points has the shape {tuple(points.shape)}, expected (batch, frames, points, 3)")
        points = points.detach()
        batch, frames = points.shape[:2]
        draws = torch.rand(batch, 9, generator=generator, device=generator.device).to(points)

        def uniform(column: int, low: float, high: float) -> Tensor:
            return low + (high - low) * draws[:, column]

        azimuth, elevation = uniform(0, *self.azimuth), uniform(1, *self.elevation)
        distance, focal = uniform(2, *self.distance), uniform(3, *self.focal_length) * self.width
        roll, aim = uniform(4, *self.roll), self.aim * (2 * draws[:, 5:8] - 1)
        moves = draws[:, 8] >= self.follow[0]
        travels = draws[:, 8] >= self.follow[0] + self.follow[1]

        points, path = _complete(points)
        low, high = points.amin((1, 2)), points.amax((1, 2))
        target = ((low + high) / 2)[:, None].expand(-1, frames, -1)
        path = _smooth(path, self.lag * frame_rate)
        target = torch.where(moves[:, None, None], path, target) + aim[:, None]

        towards = torch.stack(
            [elevation.cos() * azimuth.cos(), elevation.cos() * azimuth.sin(), elevation.sin()], -1
        )  # from the target to the camera
        turn = _roll(roll)
        level = turn @ look_at(towards, torch.zeros_like(towards))[0]
        half = torch.tensor([self.width / 2, self.height / 2]).to(points) * (self.fill or 1)

        def depth_needed(seen: Tensor) -> Tensor:
            """Metres ahead of the camera at which points as far beside its axis are in the picture and not too near."""
            room = torch.full_like(seen[..., 2], _NEAREST)
            if self.fill is not None:
                room = torch.maximum(room, (seen[..., :2].abs() * focal[:, None, None, None] / half).amax(-1))
            return room

        # Seen along a fixed direction from the distance d, a point lies at (x, y, z + d) in the camera's axes.
        beside = (points - target[:, :, None]) @ level.transpose(-1, -2)[:, None]
        distance = torch.maximum(distance, (depth_needed(beside) - beside[..., 2]).amax((1, 2)))

        pans = moves & ~travels
        middle = target.mean(1)
        for _ in range(_PAN_STEPS):
            stand = middle + distance[:, None] * towards
            turned = turn[:, None] @ look_at(stand[:, None].expand_as(target), target)[0]
            seen = (points - stand[:, None, None]) @ turned.transpose(-1, -2)
            too_near = pans & (depth_needed(seen) > seen[..., 2]).any(-1).any(-1)
            if not too_near.any():
                break
            distance = torch.where(too_near, 1.05 * distance, distance)

        stand = middle + distance[:, None] * towards
        panning = turn[:, None] @ look_at(stand[:, None].expand_as(target), target)[0]
        rotation = torch.where(pans[:, None, None, None], panning, level[:, None])
        beside_target = target + (distance[:, None] * towards)[:, None]
        position = torch.where(pans[:, None, None], stand[:, None], beside_target)
        intrinsics = torch.zeros(batch, frames, 3, 3).to(points)
        intrinsics[:, :, 0, 0] = intrinsics[:, :, 1, 1] = focal[:, None]
        intrinsics[:, :, 0, 2], intrinsics[:, :, 1, 2] = self.width / 2, self.height / 2
        intrinsics[:, :, 2, 2] = 1
        translation = -(rotation @ position.unsqueeze(-1)).squeeze(-1)
        return Camera(intrinsics, rotation, translation, width=self.width, height=self.height)


def project(
    camera: Camera, points: Float[Tensor, "*batch points 3"]
) -> tuple[Float[Tensor, "*batch points 2"], Float[Tensor, "*batch points"]]:
    """Pixels (x right, y down, from the picture's top left corner) and depth (m) of world points; differentiable.

    Unlike `Camera.project`, whose pixels behind the camera mean nothing, a point nearer than a centimetre is drawn as
    if it lay at a centimetre: pixels and gradients stay finite. `outside` tells such points.
    """
    seen = camera.to_camera(points)
    depth = seen[..., 2]
    image = (seen / depth.clamp(min=0.01).unsqueeze(-1)) @ camera.intrinsics.transpose(-1, -2)
    centre = camera.intrinsics[..., :2, 2].unsqueeze(-2)
    # A point behind the camera has depth below 0: z / 0.01 would scale the principal point along.
    focal = torch.stack([camera.intrinsics[..., 0, 0], camera.intrinsics[..., 1, 1]], -1).unsqueeze(-2)
    near = seen[..., :2] / 0.01 * focal + centre
    return torch.where((depth > 0.01).unsqueeze(-1), image[..., :2], near), depth


def outside(
    camera: Camera, pixels: Float[Tensor, "*batch points 2"], depth: Float[Tensor, "*batch points"]
) -> Bool[Tensor, "*batch points"]:
    """Which points fall beyond the picture's edge, behind the camera, or are missing (NaN)."""
    x, y = pixels.unbind(-1)
    return ~((x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height) & (depth > 0.01))


def screen_coordinates(pixels: Float[Tensor, "*batch 2"], width: int, height: int) -> Float[Tensor, "*batch 2"]:
    """Pixels as lifters take them: x in [-1, 1] over the picture's width, y in the same unit, 0 in the middle.

    Source: VideoPose3D's normalize_screen_coordinates (common/camera.py).
    """
    return pixels / width * 2 - torch.tensor([1.0, height / width]).to(pixels)


def _roll(angle: Float[Tensor, "batch"]) -> Float[Tensor, "batch 3 3"]:
    """Turns of the camera clockwise about its own axis, as `look_at`'s `roll` for all at once."""
    c, s, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    return torch.stack([c, s, zero, -s, c, zero, zero, zero, one], -1).unflatten(-1, (3, 3))


def _complete(points: Float[Tensor, "batch frames points 3"]) -> tuple[Tensor, Tensor]:
    """The points with each missing one in the middle of its frame's others, and that middle: (batch, frames, 3)."""
    middle = points.nanmean(2)
    return torch.where(points.isfinite(), points, middle[:, :, None]), middle


def _smooth(path: Float[Tensor, "batch frames 3"], width: float) -> Float[Tensor, "batch frames 3"]:
    """The path as a weighted mean over neighbouring frames, Gaussian of `width` frames.

    Beyond its ends the path goes on by point reflection, so that a steady walk stays what it is.
    """
    if width <= 0:
        return path
    before = 2 * path[:, :1] - path[:, 1:].flip(1)
    after = 2 * path[:, -1:] - path[:, :-1].flip(1)
    longer = torch.cat([before, path, after], 1)
    steps = torch.arange(longer.shape[1], device=path.device, dtype=path.dtype)
    weights = torch.exp(-(((steps[before.shape[1] :][: path.shape[1], None] - steps) / width) ** 2) / 2)
    return (weights / weights.sum(1, keepdim=True)) @ longer
