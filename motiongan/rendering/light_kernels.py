"""Warp functions of light: soft shadows, what a surface sends to the eye, and the sensor; all in linear light."""

from typing import no_type_check  # warp compiles these functions, Python never runs them

import warp as wp

# ruff: noqa: UP018, SIM114 (warp takes `float(0.0)` for a variable, `0.0` for a constant)
from motiongan.rendering.paint_kernels import Surface

wp.set_module_options({"enable_backward": False})

BLOCKER_TAPS, SHADOW_TAPS = 8, 16
_BLOCKER_TAPS = wp.constant(BLOCKER_TAPS)
_SHADOW_TAPS = wp.constant(SHADOW_TAPS)


@wp.struct
@no_type_check
class Lights:
    """The key light casts a shadow; the fill light does not; the sky is a wide light whose shadow is occlusion."""

    key: wp.vec3  # unit vector to the light
    key_colour: wp.vec3
    key_spread: float  # tangent of the half angle under which the light is seen: softness of its shadow
    fill: wp.vec3
    fill_colour: wp.vec3
    sky_colour: wp.vec3  # from above
    bounce_colour: wp.vec3  # from below
    shadows: int  # 1: shadow maps are there


@wp.func
@no_type_check
def pixel_spin(row: int, column: int) -> float:
    """An angle for each pixel by which the shadow's taps are turned (interleaved gradient noise, Jimenez 2014)."""
    spin = 52.9829189 * (0.06711056 * float(column) + 0.00583715 * float(row))
    return 6.2831853 * (spin - wp.floor(spin))


@wp.func
@no_type_check
def lit_share(
    point: wp.vec3,
    frame: int,
    light: int,
    spread: float,
    spin: float,
    slack: float,  # metres of depth per metre sideways that a curved surface may rise without shading itself
    axes: wp.array(dtype=wp.mat33),
    windows: wp.array2d(dtype=wp.vec3),
    nearest: wp.array4d(dtype=wp.float32),
    taps: wp.array(dtype=wp.vec3),
) -> float:
    """How much of an extended light reaches a point, 0 to 1.

    Source: Fernando 2005, "Percentage-closer soft shadows": mean distance of the blockers, then a filter whose width
    is the half shadow's. `taps` (x, y, radius) lie on a sunflower spiral in the unit disc, first those of the
    blockers; they are turned by `spin` for each pixel.
    """
    seen = axes[light] * point
    window = windows[frame, light]
    size = nearest.shape[2]
    x = (seen[0] - window[0]) * window[2]
    y = (seen[1] - window[1]) * window[2]
    if x < 0.0 or y < 0.0 or x > float(size) or y > float(size):
        return 1.0
    reach = wp.min(spread * 1.6, 0.7) * window[2]  # texels: blockers up to about 1.6 m away
    reach = wp.max(reach, 2.0)
    blockers = float(0.0)
    distance = float(0.0)
    cosine = wp.cos(spin)
    sine = wp.sin(spin)
    for tap in range(_BLOCKER_TAPS):
        place = taps[tap]
        radius = reach * place[2]
        column = int(wp.floor(x + reach * (cosine * place[0] - sine * place[1])))
        row = int(wp.floor(y + reach * (sine * place[0] + cosine * place[1])))
        if column >= 0 and row >= 0 and column < size and row < size:
            depth = nearest[frame, light, row, column]
            if depth < seen[2] - 0.004 - slack * radius / window[2]:
                blockers = blockers + 1.0
                distance = distance + seen[2] - depth
    if blockers == 0.0:
        return 1.0
    width = wp.clamp(spread * distance / blockers * window[2], 1.3, reach)
    lit = float(0.0)
    for tap in range(_SHADOW_TAPS):
        place = taps[_BLOCKER_TAPS + tap]
        radius = width * place[2]
        column = int(wp.floor(x + width * (cosine * place[0] - sine * place[1])))
        row = int(wp.floor(y + width * (sine * place[0] + cosine * place[1])))
        if column < 0 or row < 0 or column >= size or row >= size:
            lit = lit + 1.0
        elif nearest[frame, light, row, column] >= seen[2] - 0.004 - slack * radius / window[2]:
            lit = lit + 1.0
    return lit / float(_SHADOW_TAPS)


@wp.func
@no_type_check
def reflect(
    surface: Surface, normal: wp.vec3, to_eye: wp.vec3, facing: float, lit: float, open_sky: float, lights: Lights
) -> wp.vec3:
    """Light that a surface sends to the eye."""
    flesh = 1.0 - surface.cloth
    # Skin: light that wraps round the edge of the shadow comes out red.
    hard = wp.max(facing, 0.0)
    soft = wp.max((facing + 0.3) / 1.3, 0.0)
    lambert = wp.vec3(
        wp.lerp(hard, soft, 0.7 * flesh), wp.lerp(hard, soft, 0.25 * flesh), wp.lerp(hard, soft, 0.15 * flesh)
    )
    light = wp.cw_mul(lights.key_colour, lambert) * lit
    light += lights.fill_colour * (wp.max(wp.dot(normal, lights.fill), 0.0) * (0.4 + 0.6 * open_sky))
    upward = 0.5 + 0.5 * normal[2]
    light += (lights.sky_colour * upward + lights.bounce_colour * (1.0 - upward)) * open_sky
    half_way = wp.normalize(to_eye + lights.key)
    shine = wp.pow(wp.max(wp.dot(normal, half_way), 0.0), 28.0) * surface.gloss * 3.0 * hard * lit
    rim = wp.pow(1.0 - wp.max(wp.dot(normal, to_eye), 0.0), 4.0) * surface.gloss * open_sky
    return wp.cw_mul(surface.colour, light) + lights.key_colour * shine + lights.sky_colour * rim


@wp.kernel
@no_type_check
def develop(
    colour: wp.array3d(dtype=wp.vec3),  # linear light
    exposure: float,
    noise: wp.array(dtype=wp.float32),  # standard normal numbers; a power of two of them
    noise_start: wp.array(dtype=wp.int32),  # of each frame
    shot: float,  # variance of the noise per unit of light
    read: float,  # variance of the noise in the dark
    curve: wp.array(dtype=wp.uint8),  # light in [0, 1) -> sRGB
    picture: wp.array4d(dtype=wp.uint8),
):
    """Linear light to 8-bit sRGB: exposure, a shoulder for the highlights, the sensor's noise."""
    frame, row, column = wp.tid()
    light = colour[frame, row, column] * exposure
    steps = curve.shape[0]
    mask = noise.shape[0] - 1
    pixel = (row * colour.shape[2] + column) * 3 + noise_start[frame]
    for channel in range(3):
        value = light[channel]
        if shot > 0.0 or read > 0.0:
            value = value + noise[(pixel + channel) & mask] * wp.sqrt(read + shot * wp.max(value, 0.0))
        if value > 0.7:
            value = 0.7 + 0.3 * (1.0 - wp.exp(-(value - 0.7) / 0.3))
        picture[frame, row, column, channel] = curve[wp.clamp(int(value * float(steps)), 0, steps - 1)]
