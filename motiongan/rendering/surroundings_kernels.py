"""Warp kernels of what is around the people: ground, backdrop, and the shadow that falls on them."""

from typing import no_type_check  # warp compiles these functions, Python never runs them

import warp as wp

# ruff: noqa: UP018, RUF046 (warp takes `float(0.0)` for a variable, `0.0` for a constant)
from motiongan.rendering.light_kernels import Lights
from motiongan.rendering.paint_kernels import fade
from motiongan.rendering.rasterizer_kernels import EMPTY, STRIP
from motiongan.rendering.scenes import PANORAMA_BOTTOM, PANORAMA_TOP
from motiongan.rendering.shadow_kernels import SKY_PART, ground_open_sky, is_beside_map, lit_share, pixel_spin

wp.set_module_options({"enable_backward": False})

GROUND_NONE, GROUND_TEXTURE, GROUND_MATTE = 0, 1, 2  # matte: only the shadow shows, over a picture
BACKDROP_COLOUR, BACKDROP_PANORAMA, BACKDROP_PICTURE = 0, 1, 2
_GROUND_NONE = wp.constant(GROUND_NONE)
_GROUND_MATTE = wp.constant(GROUND_MATTE)
_BACKDROP_PANORAMA = wp.constant(BACKDROP_PANORAMA)
_BACKDROP_PICTURE = wp.constant(BACKDROP_PICTURE)
_TOP = wp.constant(PANORAMA_TOP)
_BOTTOM = wp.constant(PANORAMA_BOTTOM)
_EMPTY = wp.constant(wp.int64(EMPTY))
_STRIP = wp.constant(STRIP)
_SKY_PART = wp.constant(SKY_PART)


@wp.struct
@no_type_check
class Setting:
    """Ground and backdrop."""

    ground: int
    tile: float  # metres that the ground's texture covers, repeated
    wrap_y: int  # 0: the texture's last rows go on for ever
    ground_cosine: float  # turn of the texture about the vertical
    ground_sine: float
    ground_x: float  # shift of the texture, metres
    ground_y: float
    grain: float  # strength of the fine grain
    haze: float  # metres after which the ground fades into the backdrop; 0 = never
    backdrop: int
    backdrop_colour: wp.vec3
    turn: float  # of the panorama, share of a full circle
    matte: float  # how dark a full shadow makes a picture: 0 = not at all


@wp.func
@no_type_check
def level_colour(texels: wp.array(dtype=wp.vec3), first: int, size: int, u: float, v: float, wrap_y: int) -> wp.vec3:
    """Bilinear colour of one level of the ground's texture, which is `size` (a power of two) wide; u, v in tiles."""
    x = u * float(size) - 0.5
    y = v * float(size) - 0.5
    left = int(wp.floor(x))
    upper = int(wp.floor(y))
    fx = x - float(left)
    fy = y - float(upper)
    lower = upper + 1
    right = (left + 1) & (size - 1)
    left = left & (size - 1)
    if wrap_y == 1:
        upper = upper & (size - 1)
        lower = lower & (size - 1)
    else:
        upper = wp.clamp(upper, 0, size - 1)
        lower = wp.clamp(lower, 0, size - 1)
    upper = first + upper * size
    lower = first + lower * size
    return wp.lerp(
        wp.lerp(texels[upper + left], texels[upper + right], fx),
        wp.lerp(texels[lower + left], texels[lower + right], fx),
        fy,
    )


@wp.func
@no_type_check
def hash2(x: int, y: int) -> float:
    """Noise in [0, 1) of a lattice point of the plane."""
    h = wp.uint32(x) * wp.uint32(374761393) + wp.uint32(y) * wp.uint32(668265263)
    h = (h ^ (h >> wp.uint32(13))) * wp.uint32(1274126177)
    return float(h >> wp.uint32(8)) / 16777216.0


@wp.func
@no_type_check
def flat_noise(x: float, y: float) -> float:
    """Smooth noise in [0, 1) of the plane with a period of about one unit."""
    ix = int(wp.floor(x))
    iy = int(wp.floor(y))
    fx = x - float(ix)
    fy = y - float(iy)
    fx = fx * fx * (3.0 - 2.0 * fx)
    fy = fy * fy * (3.0 - 2.0 * fy)
    return wp.lerp(
        wp.lerp(hash2(ix, iy), hash2(ix + 1, iy), fx), wp.lerp(hash2(ix, iy + 1), hash2(ix + 1, iy + 1), fx), fy
    )


@wp.func
@no_type_check
def ground_colour(
    texels: wp.array(dtype=wp.vec3), num_levels: int, setting: Setting, x: float, y: float, footprint: float
) -> wp.vec3:
    """Colour of the ground at a world point, of the level (of two or more) whose texels are as wide as the pixel."""
    turned_x = setting.ground_cosine * x - setting.ground_sine * y + setting.ground_x
    turned_y = setting.ground_sine * x + setting.ground_cosine * y + setting.ground_y
    u = turned_x / setting.tile
    v = turned_y / setting.tile
    if setting.wrap_y == 0:
        v = v + 0.5
    texel = setting.tile / float(1 << (num_levels - 1))
    fine = wp.clamp(wp.log2(wp.max(footprint / texel, 1.0)), 0.0, float(num_levels - 1))
    level = int(fine)
    size = 1 << (num_levels - 1 - level)
    # The levels before this one hold 4 + 16 + ... times as many texels as it does.
    first = (texels.shape[0] * 3 + 1 - 4 * size * size) // 3
    colour = level_colour(texels, first, size, u, v, setting.wrap_y)
    if level + 1 < num_levels and fine > float(level):
        coarse = level_colour(texels, first + size * size, size // 2, u, v, setting.wrap_y)
        colour = wp.lerp(colour, coarse, fine - float(level))
    seen = wp.clamp(1.5 - footprint * 150.0, 0.0, 1.0)
    if seen > 0.0 and setting.grain > 0.0:
        speck = flat_noise(turned_x * 160.0, turned_y * 160.0) - 0.5
        colour = colour * (1.0 + 0.7 * seen * setting.grain * speck)
    return colour


@wp.func
@no_type_check
def circle_share(x: float, y: float) -> float:
    """Azimuth as a share of the full circle, -0.5 to 0.5, to 1e-5: a polynomial, much faster than atan2."""
    low = wp.min(wp.abs(x), wp.abs(y))
    high = wp.max(wp.max(wp.abs(x), wp.abs(y)), 1.0e-12)
    t = low / high
    u = t * t
    # Minimax polynomial of atan on [0, 1], Abramowitz and Stegun 4.4.49.
    angle = t * (0.9998660 + u * (-0.3302995 + u * (0.1801410 + u * (-0.0851330 + u * 0.0208351))))
    angle = wp.where(wp.abs(y) > wp.abs(x), 1.5707963 - angle, angle)
    angle = wp.where(x < 0.0, 3.1415927 - angle, angle)
    return wp.where(y < 0.0, -angle, angle) / 6.2831853


@wp.func
@no_type_check
def panorama_colour(panorama: wp.array2d(dtype=wp.vec3), turn: float, way: wp.vec3) -> wp.vec3:
    """The backdrop in a direction: azimuth over the width, tangent of the elevation over the height (a cylinder)."""
    rows = panorama.shape[0]
    columns = panorama.shape[1]
    azimuth = circle_share(way[0], way[1]) + turn
    azimuth = azimuth - wp.floor(azimuth)
    x = azimuth * float(columns) - 0.5
    rise = way[2] / wp.max(wp.sqrt(way[0] * way[0] + way[1] * way[1]), 1.0e-6)
    y = (_TOP - rise) / (_TOP - _BOTTOM) * float(rows) - 0.5
    y = wp.clamp(y, -1.0, float(rows))
    column = int(wp.floor(x))
    row = wp.clamp(int(wp.floor(y)), 0, rows - 2)
    fx = x - float(column)
    fy = wp.clamp(y - float(row), 0.0, 1.0)
    left = wp.where(column < 0, columns - 1, column)
    right = wp.where(column + 1 >= columns, 0, column + 1)
    return wp.lerp(
        wp.lerp(panorama[row, left], panorama[row, right], fx),
        wp.lerp(panorama[row + 1, left], panorama[row + 1, right], fx),
        fy,
    )


@wp.func
@no_type_check
def pixel_ray(column: int, y: float, k: wp.mat33, back: wp.mat33) -> wp.vec3:
    """The way through the centre of a pixel of the row at `y`, world axes; a step of it is a metre of depth."""
    x = (float(column) + 0.5 - k[0, 2] - k[0, 1] * y) / k[0, 0]
    return back * wp.vec3(x, y, 1.0)


@wp.kernel
@no_type_check
def shade_surroundings(
    zbuffer: wp.array3d(dtype=wp.int64),
    touched: wp.array3d(dtype=wp.uint8),
    intrinsics: wp.array(dtype=wp.mat33),
    rotation: wp.array(dtype=wp.mat33),
    translation: wp.array(dtype=wp.vec3),
    samples: int,
    lights: Lights,
    setting: Setting,
    texels: wp.array(dtype=wp.vec3),
    num_levels: int,
    panorama: wp.array2d(dtype=wp.vec3),
    axes: wp.array(dtype=wp.mat33),
    windows: wp.array2d(dtype=wp.vec3),
    nearest: wp.array4d(dtype=wp.float32),
    around: wp.array4d(dtype=wp.float32),
    taps: wp.array(dtype=wp.vec3),
    ground_share: wp.array3d(dtype=wp.float32),
    weight: float,  # of this moment in the exposure
    is_first: int,  # 1: the exposure's first moment, which begins the light
    colour: wp.array3d(dtype=wp.vec3),  # linear light, added to
    record: int,  # 1: also fill the buffers below
    depth: wp.array3d(dtype=wp.float32),
    instance: wp.array3d(dtype=wp.uint8),
    part: wp.array3d(dtype=wp.uint8),
    normals: wp.array3d(dtype=wp.vec3),
    covered: wp.array(dtype=wp.vec3i),  # frame, row, column of the pixels that see people, in any order
    num_covered: wp.array(dtype=wp.int32),
):
    """Ground and backdrop, for the share of each pixel that sees them; lists the pixels that see people."""
    frame, row, strip = wp.tid()
    k = intrinsics[frame]
    turn = rotation[frame]
    back = wp.transpose(turn)
    eye = -(back * translation[frame])
    ground_up = turn * wp.vec3(0.0, 0.0, 1.0)
    key_light = lights.key_colour * wp.max(lights.key[2], 0.0)
    fill_light = lights.fill_colour * wp.max(lights.fill[2], 0.0)
    y = (float(row) + 0.5 - k[1, 2]) / k[1, 1]
    weight_of_sample = weight / float(samples * samples)
    first_column = strip * _STRIP
    end_column = wp.min(first_column + _STRIP, colour.shape[2])
    # The ground along a strip is a straight line: where it passes beside a shadow map, no pixel need ask that map.
    ask_key = lights.shadows == 1
    ask_sky = lights.shadows == 1
    if lights.shadows == 1 and setting.ground != _GROUND_NONE and eye[2] > 0.0:
        left = pixel_ray(first_column, y, k, back)
        right = pixel_ray(end_column - 1, y, k, back)
        if left[2] < -1.0e-5 and right[2] < -1.0e-5:
            left = eye - (eye[2] / left[2]) * left
            right = eye - (eye[2] / right[2]) * right
            ask_key = not is_beside_map(left, right, frame, 0, 1, axes, windows, nearest)
            ask_sky = not is_beside_map(left, right, frame, 1, _SKY_PART, axes, windows, nearest)
    for column in range(first_column, end_column):
        so_far = wp.vec3(0.0, 0.0, 0.0)
        if is_first == 0:
            so_far = colour[frame, row, column]
        empty = samples * samples
        if touched[frame, row, column] != wp.uint8(0):
            empty = int(0)
            for sub_row in range(row * samples, (row + 1) * samples):
                for sub_column in range(column * samples, (column + 1) * samples):
                    if zbuffer[frame, sub_row, sub_column] == _EMPTY:
                        empty = empty + 1
            slot = wp.atomic_add(num_covered, 0, 1)
            covered[slot] = wp.vec3i(frame, row, column)
        if empty == 0:
            colour[frame, row, column] = so_far
            continue
        way = pixel_ray(column, y, k, back)
        ground_depth = float(wp.inf)
        facing_up = wp.vec3(0.0, 0.0, 0.0)
        light = wp.vec3(1.0, 1.0, 1.0)
        behind = setting.backdrop_colour
        on_ground = setting.ground != _GROUND_NONE and way[2] < -1.0e-5 and eye[2] > 0.0
        distance = float(0.0)
        point = wp.vec3(0.0, 0.0, 0.0)
        if on_ground:
            distance = -eye[2] / way[2]
            point = eye + distance * way
            lit = float(1.0)
            open_sky = float(1.0)
            if ask_key:
                spin = pixel_spin(row, column)
                lit = lit_share(point, frame, 0, lights.key_spread, spin, 0.0, axes, windows, nearest, around, taps)
            if ask_sky:
                open_sky = ground_open_sky(point, frame, axes, windows, nearest, ground_share)
            light = key_light * lit + fill_light + lights.sky_colour * open_sky
            if setting.ground == _GROUND_MATTE:
                light = wp.cw_div(light, key_light + fill_light + lights.sky_colour)
                white = wp.vec3(1.0, 1.0, 1.0)
                light = white + setting.matte * (light - white)
        if setting.backdrop == _BACKDROP_PICTURE:
            behind = wp.cw_mul(panorama[row, column], light)
        else:
            length = wp.length(way)
            metres = distance * length
            clear = float(0.0)
            if on_ground:
                clear = 1.0
                if metres > 0.05 * setting.haze and setting.haze > 0.0:
                    clear = fade((metres / setting.haze) * (metres / setting.haze))
            if setting.backdrop == _BACKDROP_PANORAMA and clear < 0.995:
                level = way / length
                if on_ground:  # what the haze fades into: the backdrop at the horizon
                    level = wp.vec3(level[0], level[1], 0.02)
                behind = panorama_colour(panorama, setting.turn, level)
            if on_ground:
                ground_depth = distance  # the ray's third component is 1
                facing_up = ground_up
                base = texels[0]
                if num_levels > 1:
                    footprint = metres / k[0, 0] / wp.sqrt(wp.max(-way[2] / length, 0.02))
                    base = ground_colour(texels, num_levels, setting, point[0], point[1], footprint)
                behind = wp.lerp(behind, wp.cw_mul(base, light), clear)
        colour[frame, row, column] = so_far + behind * (weight_of_sample * float(empty))
        if record == 1:
            depth[frame, row, column] = ground_depth
            instance[frame, row, column] = wp.uint8(0)
            part[frame, row, column] = wp.uint8(0)
            normals[frame, row, column] = facing_up
