"""What a camera does to a picture: exposure, motion blur, noise, JPEG artefacts; drawn from a seed."""

import io
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

_MOST_MOMENTS = 5
_PIXELS_PER_MOMENT = 3.0  # of motion between two moments of an exposure: less shows no ghosts


@dataclass(frozen=True)
class Capture:
    """How one camera takes its pictures.

    exposure  factor on the light
    shutter   share of the time between two frames that the shutter is open; 0 = no motion blur
    shot, read   variance of the noise per unit of light, and in the dark (light 1 = white)
    jpeg_quality   of the picture's one passage through JPEG, None = none
    """

    exposure: float = 1.0
    shutter: float = 0.0
    shot: float = 0.0
    read: float = 0.0
    jpeg_quality: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """For the manifest."""
        return {name: float(f"{v:.4g}") if isinstance(v, float) else v for name, v in asdict(self).items()}


CLEAN = Capture()


def draw_capture(frame_rate: float, *, random: np.random.Generator) -> Capture:
    """A camera from clean to poor: three in ten blur motion, most have some noise and went through JPEG."""
    shutter_time = np.exp(random.uniform(np.log(1 / 500), np.log(1 / 50)))  # seconds
    blurred = random.random() < 0.3
    level = random.uniform(0, 1) ** 2
    quality = int(random.integers(60, 97))
    compressed = random.random() < 0.7
    return Capture(
        exposure=float(np.exp(random.normal(0.0, 0.14))),
        shutter=float(min(shutter_time * frame_rate, 0.8)) if blurred else 0.0,
        shot=float(0.0012 * level),
        read=float(0.00012 * level),
        jpeg_quality=quality if compressed else None,
    )


def exposure_moments(capture: Capture, fastest: float) -> ndarray:
    """Times of the moments that make up one exposure, in frames around the frame's own time (the middle one).

    fastest   pixels that the fastest point moves between two frames
    """
    count = min(int(np.ceil(capture.shutter * fastest / _PIXELS_PER_MOMENT)), _MOST_MOMENTS)
    count += 1 - count % 2  # odd: the middle moment is the frame itself
    return (np.arange(count) - count // 2) / count * capture.shutter


def through_jpeg(pictures: UInt8[ndarray, "frames height width 3"], quality: int) -> ndarray:
    """The pictures after saving as JPEG and reading back."""
    from PIL import Image

    result = np.empty_like(pictures)
    for index, picture in enumerate(pictures):
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
        result[index] = np.asarray(Image.open(buffer))
    return result
