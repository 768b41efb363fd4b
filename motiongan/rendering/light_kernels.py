"""Warp functions of light: what a surface sends to the eye, and the sensor; all in linear light."""

from typing import no_type_check  # warp compiles these functions, Python never runs them

import warp as wp

from motiongan.rendering.paint_kernels import Surface
from motiongan.rendering.rasterizer_kernels import STRIP

wp.set_module_options({"enable_backward": False})

CURVE_STEPS = 4096  # of the curve per unit of light
_STRIP = wp.constant(STRIP)
_CURVE_STEPS = wp.constant(float(CURVE_STEPS))


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


@wp.struct
@no_type_check
class Film:
    """How light becomes numbers."""

    exposure: float
    shot: float  # variance of the noise per unit of light
    read: float  # variance of the noise in the dark
    last_step: float  # of the curve


@wp.func
@no_type_check
def develop_pixel(
    light: wp.vec3,
    frame: int,
    row: int,
    column: int,
    film: Film,
    noise: wp.array(dtype=wp.float32),
    noise_start: wp.array(dtype=wp.int32),
    curve: wp.array(dtype=wp.uint8),
    picture: wp.array3d(dtype=wp.vec3ub),
):
    """One pixel's light to 8-bit sRGB: exposure, the sensor's noise, the curve."""
    exposed = light * film.exposure
    if film.shot > 0.0 or film.read > 0.0:
        mask = noise.shape[0] - 1
        pixel = (row * picture.shape[2] + column) * 3 + noise_start[frame]
        red = noise[pixel & mask] * wp.sqrt(film.read + film.shot * wp.max(exposed[0], 0.0))
        green = noise[(pixel + 1) & mask] * wp.sqrt(film.read + film.shot * wp.max(exposed[1], 0.0))
        blue = noise[(pixel + 2) & mask] * wp.sqrt(film.read + film.shot * wp.max(exposed[2], 0.0))
        exposed = wp.max(exposed + wp.vec3(red, green, blue), wp.vec3(0.0, 0.0, 0.0))
    exposed = wp.min(exposed * _CURVE_STEPS, wp.vec3(film.last_step, film.last_step, film.last_step))
    picture[frame, row, column] = wp.vec3ub(curve[int(exposed[0])], curve[int(exposed[1])], curve[int(exposed[2])])


@wp.kernel
@no_type_check
def develop(
    colour: wp.array3d(dtype=wp.vec3),  # linear light
    film: Film,
    noise: wp.array(dtype=wp.float32),  # standard normal numbers; a power of two of them
    noise_start: wp.array(dtype=wp.int32),  # of each frame
    curve: wp.array(dtype=wp.uint8),  # light in steps of 1 / CURVE_STEPS -> sRGB
    picture: wp.array3d(dtype=wp.vec3ub),
):
    """The light of several moments to a picture; a single moment's pixels are developed where they are shaded."""
    frame, row, strip = wp.tid()
    for column in range(strip * _STRIP, wp.min((strip + 1) * _STRIP, colour.shape[2])):
        develop_pixel(colour[frame, row, column], frame, row, column, film, noise, noise_start, curve, picture)
