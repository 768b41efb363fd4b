"""Warp kernels of what is around the people: ground, backdrop, and the shadow that falls on them."""

from typing import no_type_check  # warp compiles these functions, Python never runs them

import warp as wp

# ruff: noqa: UP018, RUF046 (warp takes `float(0.0)` for a variable, `0.0` for a constant)
from motiongan.rendering.light_kernels import Film, Lights, develop_pixel
from motiongan.rendering.paint_kernels import fade
from motiongan.rendering.rasterizer_kernels import EMPTY, STRIP
from motiongan.rendering.scenes import PANORAMA_BOTTOM, PANORAMA_TOP
from motiongan.rendering.shadow_kernels import SKY_PART, ground_open_sky, is_beside_map, lit_share, pixel_spin

wp.set_module_options({"enable_backward": False})

GROUND_NONE, GROUND_TEXTURE, GROUND_MATTE = 0, 1, 2  # matte: only the shadow shows, over a picture
BACKDROP_COLOUR, BACKDROP_PANORAMA, BACKDROP_PICTURE = 0, 1, 2
LATER_MOMENT, FIRST_MOMENT, ONLY_MOMENT = 0, 1, 2  # of an exposure
_GROUND_NONE = wp.constant(GROUND_NONE)
_LATER_MOMENT = wp.constant(LATER_MOMENT)
_ONLY_MOMENT = wp.constant(ONLY_MOMENT)
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
def texture_level(num_levels: int, setting: Setting, footprint: float) -> float:
    """Level of the ground's texture whose texels are as wide as the footprint (metres); 0 is the finest."""
    texel = setting.tile / float(1 << (num_levels - 1))
    return wp.clamp(wp.log2(wp.max(footprint / texel, 1.0)), 0.0, float(num_levels - 1))


@wp.func
@no_type_check
def ground_colour(
    texels: wp.array(dtype=wp.vec3), num_levels: int, setting: Setting, x: float, y: float, fine: float, grain: float
) -> wp.vec3:
    """Colour of the ground at a point of its texture (metres), of two or more levels; `fine` as of `texture_level`."""
    per_tile = 1.0 / setting.tile
    u = x * per_tile
    v = y * per_tile
    if setting.wrap_y == 0:
        v = v + 0.5
    # Two levels are mixed in the middle half of the way from one to the other only: half the fetches, no seam.
    level = int(fine)
    mix = 2.0 * (fine - float(level)) - 0.5
    if mix >= 1.0:
        level = level + 1
    size = 1 << (num_levels - 1 - level)
    # The levels before this one hold 4 + 16 + ... times as many texels as it does.
    first = (texels.shape[0] * 3 + 1 - 4 * size * size) // 3
    colour = level_colour(texels, first, size, u, v, setting.wrap_y)
    if mix > 0.0 and mix < 1.0:
        coarse = level_colour(texels, first + size * size, size // 2, u, v, setting.wrap_y)
        colour = wp.lerp(colour, coarse, mix)
    if grain > 0.0:
        colour = colour * (1.0 + grain * (flat_noise(x * 160.0, y * 160.0) - 0.5))
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
def panorama_place(way: wp.vec3, on_ground: bool) -> wp.vec2:
    """Azimuth as a share of the full circle and tangent of the elevation of a direction: a cylinder's axes.

    For a way to the ground it is the place at the horizon that its haze fades into.
    """
    flat = wp.max(wp.sqrt(way[0] * way[0] + way[1] * way[1]), 1.0e-6)
    climb = way[2]
    if on_ground:
        climb = 0.02 * wp.length(way)
    return wp.vec2(circle_share(way[0], way[1]), climb / flat)


@wp.func
@no_type_check
def panorama_colour(panorama: wp.array2d(dtype=wp.vec3), turn: float, place: wp.vec2) -> wp.vec3:
    """The backdrop at a place of `panorama_place`: azimuth over the width, tangent of the elevation over the height."""
    rows = panorama.shape[0]
    columns = panorama.shape[1]
    azimuth = place[0] + turn
    azimuth = azimuth - wp.floor(azimuth)
    x = azimuth * float(columns) - 0.5
    y = (_TOP - place[1]) / (_TOP - _BOTTOM) * float(rows) - 0.5
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
def clearness(metres: float, setting: Setting) -> float:
    """How much of the ground is seen through the haze at that distance; 0 = the backdrop only."""
    clear = float(1.0)
    if setting.haze > 0.0 and metres > 0.05 * setting.haze:
        clear = fade((metres / setting.haze) * (metres / setting.haze))
    return clear


@wp.func
@no_type_check
def ground_aspect(way: wp.vec3, height: float, pixel: float, num_levels: int, setting: Setting) -> wp.vec3:
    """What changes little from a pixel to the next: clearness, level of the texture, strength of the grain.

    way  to the ground, a metre of depth long;  height  of the eye, metres;  pixel  its width at one metre
    """
    length = wp.length(way)
    metres = -height / way[2] * length
    aspect = wp.vec3(clearness(metres, setting), 0.0, 0.0)
    if num_levels > 1:
        footprint = metres * pixel / wp.sqrt(wp.max(-way[2] / length, 0.02))
        grain = 0.7 * setting.grain * wp.clamp(1.5 - footprint * 150.0, 0.0, 1.0)
        aspect = wp.vec3(aspect[0], texture_level(num_levels, setting, footprint), grain)
    return aspect


@wp.kernel
@no_type_check
def shade_surroundings(
    zbuffer: wp.array3d(dtype=wp.int64),
    touched: wp.array3d(dtype=wp.uint8),
    pixel_ways: wp.array(dtype=wp.mat33),  # from (column, row, 1) to the way through there, in camera axes
    rotation: wp.array(dtype=wp.mat33),
    eyes: wp.array(dtype=wp.vec3),  # the cameras' places
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
    moment: int,  # FIRST_MOMENT begins the light, ONLY_MOMENT also develops it where nobody is seen
    colour: wp.array3d(dtype=wp.vec3),  # linear light, added to
    film: Film,
    noise: wp.array(dtype=wp.float32),
    noise_start: wp.array(dtype=wp.int32),
    curve: wp.array(dtype=wp.uint8),
    picture: wp.array3d(dtype=wp.vec3ub),
    record: int,  # 1: also fill the buffers below
    depth: wp.array3d(dtype=wp.float32),
    normals: wp.array3d(dtype=wp.vec3),
    covered: wp.array(dtype=wp.vec3i),  # frame, row, column of the pixels that see people, in any order
    num_covered: wp.array(dtype=wp.int32),
):
    """Ground and backdrop, for the share of each pixel that sees them; lists the pixels that see people."""
    frame, row, strip = wp.tid()
    from_pixel = pixel_ways[frame]
    turn = rotation[frame]
    back = wp.transpose(turn)
    eye = eyes[frame]
    ground_up = wp.vec3(turn[0, 2], turn[1, 2], turn[2, 2])
    key_light = lights.key_colour * wp.max(lights.key[2], 0.0)
    fill_light = lights.fill_colour * wp.max(lights.fill[2], 0.0)
    weight_of_sample = weight / float(samples * samples)
    first_column = strip * _STRIP
    end_column = wp.min(first_column + _STRIP, touched.shape[2])
    # Ways through the centres of the pixels, world axes, a metre of depth long: a straight line of them.
    first_way = back * (from_pixel * wp.vec3(float(first_column) + 0.5, float(row) + 0.5, 1.0))
    way_step = from_pixel[0, 0] * wp.vec3(back[0, 0], back[1, 0], back[2, 0])
    last_way = first_way + float(_STRIP) * way_step
    has_ground = setting.ground != _GROUND_NONE and eye[2] > 0.0
    first_is_ground = has_ground and first_way[2] < -1.0e-5
    last_is_ground = has_ground and last_way[2] < -1.0e-5
    # The ground along a strip is a straight line: where it passes beside a shadow map, no pixel need ask that map.
    ask_key = lights.shadows == 1
    ask_sky = lights.shadows == 1
    # What changes little along a strip is worked out at its ends, where they are about as far away as each other.
    is_even = False
    aspect = wp.vec3(0.0, 0.0, 0.0)
    aspect_step = wp.vec3(0.0, 0.0, 0.0)
    if first_is_ground and last_is_ground:
        if lights.shadows == 1:
            left = eye - (eye[2] / first_way[2]) * first_way
            right = eye - (eye[2] / last_way[2]) * last_way
            ask_key = not is_beside_map(left, right, frame, 0, 1, axes, windows, nearest)
            ask_sky = not is_beside_map(left, right, frame, 1, _SKY_PART, axes, windows, nearest)
        is_even = first_way[2] < 0.8 * last_way[2] and last_way[2] < 0.8 * first_way[2]
        if is_even:
            aspect = ground_aspect(first_way, eye[2], from_pixel[0, 0], num_levels, setting)
            aspect_step = ground_aspect(last_way, eye[2], from_pixel[0, 0], num_levels, setting) - aspect
            aspect_step = aspect_step / float(_STRIP)
    # Places of the panorama, likewise.
    first_place = wp.vec2(0.0, 0.0)
    place_step = wp.vec2(0.0, 0.0)
    is_straight = False
    if setting.backdrop == _BACKDROP_PANORAMA:
        first_place = panorama_place(first_way, first_is_ground)
        place_step = panorama_place(last_way, last_is_ground) - first_place
        is_straight = wp.abs(place_step[0]) < 0.02 and first_is_ground == last_is_ground
        place_step = place_step / float(_STRIP)
    has_panorama = setting.backdrop == _BACKDROP_PANORAMA
    has_picture = setting.backdrop == _BACKDROP_PICTURE
    sunny = key_light + fill_light + lights.sky_colour  # where nothing casts a shadow
    per_sunny = wp.vec3(0.0, 0.0, 0.0)
    if has_picture:
        per_sunny = wp.cw_div(wp.vec3(1.0, 1.0, 1.0), sunny)
    for column in range(first_column, end_column):
        empty = samples * samples
        is_touched = touched[frame, row, column] != wp.uint8(0)
        if is_touched:
            empty = int(0)
            for sub_row in range(row * samples, (row + 1) * samples):
                for sub_column in range(column * samples, (column + 1) * samples):
                    if zbuffer[frame, sub_row, sub_column] == _EMPTY:
                        empty = empty + 1
            slot = wp.atomic_add(num_covered, 0, 1)
            covered[slot] = wp.vec3i(frame, row, column)
            if empty == 0:
                if moment != _LATER_MOMENT:
                    colour[frame, row, column] = wp.vec3(0.0, 0.0, 0.0)
                continue
        steps = float(column - first_column)
        way = first_way + steps * way_step
        on_ground = has_ground and way[2] < -1.0e-5
        ground_depth = float(wp.inf)
        light = sunny
        point = wp.vec3(0.0, 0.0, 0.0)
        if on_ground:
            ground_depth = -eye[2] / way[2]  # the ray's third component is 1
            point = eye + ground_depth * way
            if ask_key or ask_sky:
                lit = float(1.0)
                open_sky = float(1.0)
                if ask_key:
                    spin = pixel_spin(row, column)
                    lit = lit_share(point, frame, 0, lights.key_spread, spin, 0.0, axes, windows, nearest, around, taps)
                if ask_sky:
                    open_sky = ground_open_sky(point, frame, axes, windows, nearest, ground_share)
                light = key_light * lit + fill_light + lights.sky_colour * open_sky
        behind = setting.backdrop_colour
        facing_up = wp.vec3(0.0, 0.0, 0.0)
        if has_picture:
            behind = panorama[row, column]
            if on_ground:  # a matte: only the shadow shows
                ground_depth = float(wp.inf)
                white = wp.vec3(1.0, 1.0, 1.0)
                behind = wp.cw_mul(behind, white + setting.matte * (wp.cw_mul(light, per_sunny) - white))
        else:
            here = wp.vec3(0.0, 0.0, 0.0)
            if on_ground:
                facing_up = ground_up
                here = aspect + steps * aspect_step
                if not is_even:
                    here = ground_aspect(way, eye[2], from_pixel[0, 0], num_levels, setting)
            if has_panorama and here[0] < 0.995:
                place = first_place + steps * place_step
                if not is_straight:
                    place = panorama_place(way, on_ground)
                behind = panorama_colour(panorama, setting.turn, place)
            if on_ground:
                base = texels[0]
                if num_levels > 1:
                    turned_x = setting.ground_cosine * point[0] - setting.ground_sine * point[1] + setting.ground_x
                    turned_y = setting.ground_sine * point[0] + setting.ground_cosine * point[1] + setting.ground_y
                    base = ground_colour(texels, num_levels, setting, turned_x, turned_y, here[1], here[2])
                behind = wp.lerp(behind, wp.cw_mul(base, light), here[0])
        if record == 1:
            depth[frame, row, column] = ground_depth
            normals[frame, row, column] = facing_up
        if moment == _ONLY_MOMENT and not is_touched:
            develop_pixel(behind, frame, row, column, film, noise, noise_start, curve, picture)
        else:
            behind = behind * (weight_of_sample * float(empty))
            if moment == _LATER_MOMENT:
                behind += colour[frame, row, column]
            colour[frame, row, column] = behind
