"""Pinhole cameras in OpenCV's convention: where world points fall in the picture, and how far away they are."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

_EPSILON = 1e-9


@dataclass(frozen=True, eq=False)
class Camera:
    """One pinhole camera without distortion, or a batch of them; one leading axis is the frames of a moving camera.

    intrinsics   (*batch, 3, 3) K, in pixels
    rotation     (*batch, 3, 3) world -> camera; camera axes are OpenCV's: x right, y down, z forward
    translation  (*batch, 3) metres: x_camera = rotation @ x_world + translation
    width, height  of the picture in pixels
    Pixel rule: (0, 0) is the outer corner of the top left pixel; the centre of the pixel in column i, row j is
    (i + 0.5, j + 0.5).
    """

    intrinsics: Float[Tensor, "*batch 3 3"]
    rotation: Float[Tensor, "*batch 3 3"]
    translation: Float[Tensor, "*batch 3"]
    width: int
    height: int

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.rotation)

    def __getitem__(self, index: int | slice | Tensor) -> "Camera":
        """The cameras of some frames."""
        return Camera(
            self.intrinsics[index], self.rotation[index], self.translation[index], width=self.width, height=self.height
        )

    @property
    def position(self) -> Float[Tensor, "*batch 3"]:
        """Where the camera stands in the world, metres."""
        return -(self.rotation.transpose(-1, -2) @ self.translation.unsqueeze(-1)).squeeze(-1)

    def to_camera(self, points: Float[Tensor, "*batch points 3"]) -> Float[Tensor, "*batch points 3"]:
        """World points in camera axes, metres."""
        return points @ self.rotation.transpose(-1, -2) + self.translation.unsqueeze(-2)

    def project(
        self, points: Float[Tensor, "*batch points 3"]
    ) -> tuple[Float[Tensor, "*batch points 2"], Float[Tensor, "*batch points"]]:
        """Pixels (x right, y down, from the top left corner) and depth along the camera's z axis in metres.

        Points behind the camera have a depth below 0; their pixels mean nothing.
        """
        inside = self.to_camera(points)
        depth = inside[..., 2]
        image = inside @ self.intrinsics.transpose(-1, -2)
        divisor = torch.where(depth.abs() < _EPSILON, torch.full_like(depth, _EPSILON), depth)
        return image[..., :2] / divisor.unsqueeze(-1), depth

    def unproject(
        self, pixels: Float[Tensor, "*batch points 2"], depth: Float[Tensor, "*batch points"]
    ) -> Float[Tensor, "*batch points 3"]:
        """World points, metres, seen at these pixels and this depth along the camera's z axis."""
        homogeneous = torch.cat([pixels, torch.ones_like(pixels[..., :1])], -1)
        rays = torch.linalg.solve(self.intrinsics, homogeneous.transpose(-1, -2)).transpose(-1, -2)
        return (rays * depth.unsqueeze(-1) - self.translation.unsqueeze(-2)) @ self.rotation


def intrinsics_of(focal: float, width: int, height: int) -> Float[Tensor, "3 3"]:
    """K of a camera with square pixels, whose axis meets the middle of the picture; focal length in pixels."""
    return torch.tensor([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])


def look_at(
    position: Float[Tensor, "*batch 3"], target: Float[Tensor, "*batch 3"], roll: float = 0.0
) -> tuple[Float[Tensor, "*batch 3 3"], Float[Tensor, "*batch 3"]]:
    """Rotation and translation (world -> camera) of a camera that stands at `position` and sees `target` amid.

    roll   radians by which the camera is turned clockwise about its axis; at 0 the horizon is level
    The line of sight must not be vertical.
    """
    forward = torch.nn.functional.normalize(target - position, dim=-1)
    up = torch.zeros_like(forward)
    up[..., 2] = 1.0
    right = torch.nn.functional.normalize(torch.linalg.cross(forward, up), dim=-1)
    down = torch.linalg.cross(forward, right)
    angle = torch.tensor(roll)
    right, down = (
        right * torch.cos(angle) + down * torch.sin(angle),
        down * torch.cos(angle) - right * torch.sin(angle),
    )
    rotation = torch.stack([right, down, forward], -2)
    return rotation, -(rotation @ position.unsqueeze(-1)).squeeze(-1)
