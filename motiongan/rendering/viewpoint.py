"""Random cameras: where they stand, how they follow, and how large the people are in the picture."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Float64
from numpy import ndarray
from scipy.ndimage import gaussian_filter1d

from motiongan.rendering.camera import Camera, look_at

MODES = ("fixed", "pan", "follow")
_FLESH = 0.16  # metres of body beyond the outermost joints
_TRAVEL = 3.0  # metres of travel from which a fixed camera would see people too small: it pans instead
_SMOOTH = 0.35  # seconds over which a following camera lags and leads
_CLOSEST = 1.6  # metres


@dataclass(frozen=True, eq=False)
class Viewpoint:
    """A camera that looks at people for the length of a scene.

    mode      "fixed" does not move, "pan" stands and turns after the people, "follow" travels beside them
    azimuth   radians, the side from which it looks;  height, distance  metres;  roll  radians
    focal     pixels
    target    (frames, 3) what it points at;  position (frames, 3) where it stands
    fill      size of the people relative to the picture; above 1 they are cut off
    """

    mode: str
    azimuth: float
    height: float
    distance: float
    focal: float
    roll: float
    fill: float
    target: Float64[ndarray, "frames 3"]
    position: Float64[ndarray, "frames 3"]
    width: int
    height_pixels: int

    def camera(self, times: ndarray) -> Camera:
        """The cameras at these times, counted in frames; between frames by interpolation."""
        frames = np.arange(len(self.target))

        def at(path: ndarray) -> torch.Tensor:
            return torch.from_numpy(np.stack([np.interp(times, frames, path[:, axis]) for axis in range(3)], -1))

        rotation, translation = look_at(at(self.position), at(self.target), self.roll)
        centre = (self.width / 2, self.height_pixels / 2)
        k = torch.tensor([[self.focal, 0.0, centre[0]], [0.0, self.focal, centre[1]], [0.0, 0.0, 1.0]])
        return Camera(k.expand(len(times), 3, 3), rotation.float(), translation.float(), self.width, self.height_pixels)

    def as_dict(self) -> dict[str, Any]:
        """For the manifest; degrees for angles."""
        return {
            "mode": self.mode,
            "azimuth_degrees": round(float(np.degrees(self.azimuth)), 2),
            "height": round(self.height, 3),
            "distance": round(self.distance, 3),
            "focal_pixels": round(self.focal, 2),
            "roll_degrees": round(float(np.degrees(self.roll)), 2),
            "fill": round(self.fill, 3),
        }


def draw_viewpoint(
    joints: Float32[ndarray, "frames people 24 3"],
    frame_rate: float,
    width: int,
    height: int,
    *,
    random: np.random.Generator,
    still: bool = False,
    azimuth: float | None = None,
) -> Viewpoint:
    """A camera for these people: mostly at chest height, from any side, with a wide or a long lens.

    still     never moves (before a photograph)
    azimuth   of the camera, where the caller wants the views spread; else drawn
    """
    mode = str(random.choice(MODES, p=[0.3, 0.25, 0.45]))
    roots = joints[:, :, 0].mean(1).astype(np.float64)
    travel = float(np.ptp(roots[:, :2], axis=0).max())
    if still:
        mode = "fixed"
    elif mode == "fixed" and travel > _TRAVEL:
        mode = "pan"
    drawn = float(random.uniform(-np.pi, np.pi))
    azimuth = drawn if azimuth is None else azimuth
    field_of_view = np.radians(np.exp(random.uniform(np.log(24), np.log(68))))  # over the picture's shorter side
    focal = min(width, height) / 2 / np.tan(field_of_view / 2)
    fill = float(random.uniform(0.7, 1.15))
    if random.random() < 0.1:
        fill = float(random.uniform(1.3, 1.9))  # some people are cut off, as in real pictures
    camera_height = float(np.clip(random.normal(1.45, 0.55), 0.3, 4.0))
    if random.random() < 0.12:
        camera_height = float(random.uniform(2.5, 5.0))
    if still:
        camera_height = float(np.clip(random.normal(1.5, 0.2), 1.0, 2.0))
    roll = float(np.radians(np.clip(random.normal(0, 1.5), -6, 6)))
    aim = random.normal(0, 0.05, 3)

    low, high = joints.min((1, 2)).astype(np.float64), joints.max((1, 2)).astype(np.float64)
    middle = (low + high) / 2
    if mode == "fixed":
        target = np.broadcast_to((low.min(0) + high.max(0)) / 2, middle.shape)
    else:
        target = gaussian_filter1d(middle, _SMOOTH * frame_rate, axis=0, mode="nearest")
    target = target + aim
    # How far any joint strays from the point aimed at decides the distance.
    radius = float(np.linalg.norm(joints - target[:, None, None], axis=-1).max()) + _FLESH
    distance = max(radius / np.sin(field_of_view / 2) / fill, _CLOSEST)
    anchor = target if mode == "follow" else np.broadcast_to((low.min(0) + high.max(0)) / 2, target.shape)
    if mode == "pan":
        # Beside the path: never so near that it passes through the camera.
        path = np.linalg.norm(middle[:, :2] - anchor[:, :2], axis=-1).max()
        distance = max(distance, 0.8 * path + 2.5)
    level = np.sqrt(max(distance**2 - (camera_height - target[0, 2]) ** 2, (0.6 * distance) ** 2))
    position = anchor + np.array([np.cos(azimuth) * level, np.sin(azimuth) * level, 0.0])
    position[:, 2] = camera_height
    return Viewpoint(
        mode=mode,
        azimuth=azimuth,
        height=camera_height,
        distance=distance,
        focal=float(focal),
        roll=roll,
        fill=fill,
        target=target,
        position=position,
        width=width,
        height_pixels=height,
    )
