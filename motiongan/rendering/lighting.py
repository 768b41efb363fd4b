"""Two lights and a sky, drawn from a seed: directions, colours and the softness of shadows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Lighting:
    """Light of one scene; colours are linear, directions are unit vectors in the world (Z up) that point to the light.

    key     casts the shadow; its spread is the tangent of the half angle that it covers in the sky (sun: 0.005)
    fill    brightens the other side, without a shadow
    sky     from above all round, taken away where the sky is hidden;  bounce: from below
    """

    key: Vector
    key_colour: Vector
    key_spread: float
    fill: Vector
    fill_colour: Vector
    sky_colour: Vector
    bounce_colour: Vector

    def as_dict(self) -> dict[str, Any]:
        """For the manifest."""
        return {name: _rounded(value) for name, value in self.__dict__.items()}


def draw_lighting(
    kind: str, *, random: np.random.Generator, ambient: Vector = (1.0, 1.0, 1.0), ground: Vector = (0.3, 0.3, 0.3)
) -> Lighting:
    """Light for a kind of scene: "studio", "hall" (soft lamps above), "sun" (outdoors, from hard sun to overcast).

    ambient  tint of the sky;  ground  mean colour of the ground, which tints the light from below
    A white patch on the ground gets about the same light in every draw.
    """
    azimuth = random.uniform(0, 2 * np.pi)
    if kind == "sun":
        elevation = np.radians(random.uniform(22, 68))
        overcast = random.uniform() ** 1.5
        spread = 0.006 + 0.12 * overcast
        share = 0.78 - 0.5 * overcast  # of the light on the ground that comes from the sun
        warm = random.uniform(0.0, 1.0) * (1 - np.sin(elevation))
        tint = np.array([1.0, 0.97 - 0.12 * warm, 0.92 - 0.38 * warm])
        sky_tint = np.array([0.86, 0.95, 1.1]) * (1 - overcast) + overcast
    elif kind == "hall":
        elevation = np.radians(random.uniform(55, 80))
        spread, share = random.uniform(0.12, 0.3), random.uniform(0.4, 0.6)
        tint = np.array([1.0, 0.97, 0.9]) + random.uniform(-0.04, 0.04, 3)
        sky_tint = np.ones(3)
    else:
        elevation = np.radians(random.uniform(28, 65))
        spread, share = random.uniform(0.03, 0.16), random.uniform(0.45, 0.7)
        tint = np.ones(3) + random.uniform(-0.06, 0.06, 3)
        sky_tint = np.ones(3) + random.uniform(-0.04, 0.04, 3)
    sky_tint = sky_tint * np.asarray(ambient) / np.mean(ambient)
    fill_azimuth = azimuth + np.pi + random.uniform(-1.0, 1.0)
    fill_elevation = np.radians(random.uniform(8, 40))
    fill = _direction(fill_azimuth, fill_elevation)
    fill_share = (1 - share) * random.uniform(0.15, 0.4)
    level = random.uniform(0.85, 1.1)
    sky = level * (1 - share - fill_share) * sky_tint
    return Lighting(
        key=_direction(azimuth, elevation),
        key_colour=_vector(level * share / max(np.sin(elevation), 0.45) * tint),
        key_spread=float(spread),
        fill=fill,
        fill_colour=_vector(level * fill_share / max(np.sin(fill_elevation), 0.5) * (2 - tint)),
        sky_colour=_vector(sky),
        bounce_colour=_vector(level * np.asarray(ground) * 0.8),
    )


def light_axes(way: Sequence[float]) -> np.ndarray:
    """(3, 3) right, down and forward of a light that travels along `way`: the axes of its shadow map."""
    forward = np.asarray(way, np.float64) / np.linalg.norm(way)
    helper = np.array([0.0, 1.0, 0.0]) if abs(forward[2]) > 0.9 else np.array([0.0, 0.0, 1.0])
    right = np.cross(forward, helper)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward]).astype(np.float32)


def _direction(azimuth: float, elevation: float) -> Vector:
    return _vector(
        np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    )


def _vector(values: np.ndarray) -> Vector:
    x, y, z = values
    return float(x), float(y), float(z)


def _rounded(value: Any) -> Any:
    return [round(item, 4) for item in value] if isinstance(value, tuple) else round(value, 4)
