"""Warp functions of light: what a surface sends to the eye, and the sensor; all in linear light."""

from typing import no_type_check  # warp compiles these functions, Python never runs them

import warp as wp

from motiongan.rendering.paint_kernels import Surface, fade
from motiongan.rendering.rasterizer_kernels import STRIP

wp.set_module_options({"enable_backward": False})

_STRIP = wp.constant(STRIP)


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
    shine = wp.max(wp.dot(normal, half_way), 0.0)
    fourth = shine * shine * shine * shine
    eighth = fourth * fourth
    shine = fourth * eighth * eighth * eighth * surface.gloss * 3.0 * hard * lit  # the 28th power, without `pow`
    rim = 1.0 - wp.max(wp.dot(normal, to_eye), 0.0)
    rim = rim * rim * rim * rim * surface.gloss * open_sky
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
    frame, row, strip = wp.tid()
    steps = curve.shape[0]
    mask = noise.shape[0] - 1
    for column in range(strip * _STRIP, wp.min((strip + 1) * _STRIP, colour.shape[2])):
        light = colour[frame, row, column] * exposure
        pixel = (row * colour.shape[2] + column) * 3 + noise_start[frame]
        for channel in range(3):
            value = light[channel]
            if shot > 0.0 or read > 0.0:
                value = value + noise[(pixel + channel) & mask] * wp.sqrt(read + shot * wp.max(value, 0.0))
            if value > 0.7:
                value = 0.7 + 0.3 * (1.0 - fade((value - 0.7) / 0.3))
            picture[frame, row, column, channel] = curve[wp.clamp(int(value * float(steps)), 0, steps - 1)]
