"""Warp kernels of the shadow maps: how far each light gets, and where it surely gets all the way.

Each light has a square map that the people fill. Tiles of the map remember the nearest blocker around them, so that
what lies before it, most of the ground, is known to be lit without looking at the map.
"""

from typing import no_type_check  # warp compiles these functions, Python never runs them

import warp as wp

from motiongan.rendering.paint_kernels import fast_cosine, fast_sine
from motiongan.rendering.rasterizer_kernels import STRIP

# ruff: noqa: UP018 (warp takes `float(0.0)` for a variable, `0.0` for a constant)

wp.set_module_options({"enable_backward": False})

TILE = 16  # texels along a tile's side: a power of two
NOTHING = 1.0e9  # metres: the light meets nobody
SKY_SPREAD = 0.9  # the sky is a light as wide as this
SKY_PART = 2  # its shadow is so soft that a half of the map along each side is enough
BLOCKER_TAPS, SHADOW_TAPS = 8, 16
_BLOCKER_TAPS = wp.constant(BLOCKER_TAPS)
_SHADOW_TAPS = wp.constant(SHADOW_TAPS)
_CLEARANCE = wp.constant(0.004)  # metres: what is nearer to a point does not shade it
_TILE = wp.constant(TILE)
_TILE_BITS = wp.constant(TILE.bit_length() - 1)
_STRIP = wp.constant(STRIP)
_NOTHING = wp.constant(NOTHING)
_SKY_SPREAD = wp.constant(SKY_SPREAD)
_SKY_PART = wp.constant(SKY_PART)


@wp.func
@no_type_check
def shadow_reach(spread: float, texels: float) -> float:
    """Texels around a point in which blockers are looked for; `texels` a metre, blockers up to about 1.6 m away."""
    return wp.max(wp.min(spread * 1.6, 0.7) * texels, 2.0)


@wp.kernel
@no_type_check
def light_view(
    dressed: wp.array2d(dtype=wp.vec3),  # (frames, people x vertices) world
    axes: wp.array(dtype=wp.mat33),  # (lights) rows: right, down, and the way the light travels
    windows: wp.array2d(dtype=wp.vec3),  # (frames, lights) corner of the map along right and down, texels per metre
    placed: wp.array3d(dtype=wp.vec3),  # (frames, lights, people x vertices) texel coordinates, metres along the way
):
    """Vertices as the lights see them."""
    frame, light, index = wp.tid()
    seen = axes[light] * dressed[frame, index]
    window = windows[frame, light]
    placed[frame, light, index] = wp.vec3((seen[0] - window[0]) * window[2], (seen[1] - window[1]) * window[2], seen[2])


@wp.kernel
@no_type_check
def rasterize_shadow(
    placed: wp.array3d(dtype=wp.vec3),  # (frames, lights, people x vertices)
    faces: wp.array(dtype=wp.vec3i),
    num_vertices: int,
    nearest: wp.array4d(dtype=wp.float32),  # (frames, lights, size, size) metres along the light's way
    tiles: wp.array4d(dtype=wp.float32),  # (frames, lights, tiles, tiles) the nearest corner of a face over each tile
):
    """Parallel projection of the faces that a light falls on: how far the light gets at each texel."""
    frame, light, person, group = wp.tid()
    base = person * num_vertices
    size = nearest.shape[2]
    for own_face in range(group * _STRIP, wp.min((group + 1) * _STRIP, faces.shape[0])):
        face = faces[own_face]
        a = placed[frame, light, base + face[0]]
        b = placed[frame, light, base + face[1]]
        c = placed[frame, light, base + face[2]]
        # Counter-clockwise from outside means that a lit face has a negative area, for rows run downwards.
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        first_column = wp.max(0, int(wp.ceil(wp.min(wp.min(a[0], b[0]), c[0]) - 0.5)))
        last_column = wp.min(size - 1, int(wp.floor(wp.max(wp.max(a[0], b[0]), c[0]) - 0.5)))
        first_row = wp.max(0, int(wp.ceil(wp.min(wp.min(a[1], b[1]), c[1]) - 0.5)))
        last_row = wp.min(size - 1, int(wp.floor(wp.max(wp.max(a[1], b[1]), c[1]) - 0.5)))
        if area >= 0.0 or first_column > last_column or first_row > last_row:
            continue
        per_area = 1.0 / area
        slope_x = ((b[2] - a[2]) * (c[1] - a[1]) - (c[2] - a[2]) * (b[1] - a[1])) * per_area
        slope_y = ((c[2] - a[2]) * (b[0] - a[0]) - (b[2] - a[2]) * (c[0] - a[0])) * per_area
        lowest = wp.min(wp.min(a[2], b[2]), c[2])
        highest = wp.max(wp.max(a[2], b[2]), c[2])
        for tile_row in range(first_row >> _TILE_BITS, (last_row >> _TILE_BITS) + 1):
            for tile_column in range(first_column >> _TILE_BITS, (last_column >> _TILE_BITS) + 1):
                wp.atomic_min(tiles, frame, light, tile_row, tile_column, lowest)
        for row in range(first_row, last_row + 1):
            y = float(row) + 0.5
            row_ab = (b[0] - a[0]) * (y - a[1]) + (b[1] - a[1]) * a[0]
            row_bc = (c[0] - b[0]) * (y - b[1]) + (c[1] - b[1]) * b[0]
            row_ca = (a[0] - c[0]) * (y - c[1]) + (a[1] - c[1]) * c[0]
            row_depth = a[2] + slope_y * (y - a[1]) - slope_x * a[0]
            for column in range(first_column, last_column + 1):
                x = float(column) + 0.5
                ab = row_ab - (b[1] - a[1]) * x
                bc = row_bc - (c[1] - b[1]) * x
                ca = row_ca - (a[1] - c[1]) * x
                if wp.max(wp.max(ab, bc), ca) <= 0.0:
                    depth = row_depth + slope_x * x
                    wp.atomic_min(nearest, frame, light, row, column, wp.clamp(depth, lowest, highest))


@wp.kernel
@no_type_check
def nearest_around_tiles(
    tiles: wp.array4d(dtype=wp.float32),
    windows: wp.array2d(dtype=wp.vec3),
    key_spread: float,
    around: wp.array4d(dtype=wp.float32),  # (frames, lights, tiles, tiles) metres along the light's way
):
    """The nearest blocker that any point over a tile looks at."""
    frame, light, row, column = wp.tid()
    count = tiles.shape[2]
    spread = wp.where(light == 0, key_spread, _SKY_SPREAD)
    used = wp.where(light == 0, count, count // _SKY_PART + 1)  # tiles along a side of this light's part of the map
    least = float(_NOTHING)
    if row < used and column < used:
        steps = 1 + int(shadow_reach(spread, windows[frame, light][2]) / float(_TILE))
        for other_row in range(wp.max(row - steps, 0), wp.min(row + steps + 1, used)):
            for other_column in range(wp.max(column - steps, 0), wp.min(column + steps + 1, used)):
                least = wp.min(least, tiles[frame, light, other_row, other_column])
    around[frame, light, row, column] = least


@wp.func
@no_type_check
def pixel_spin(row: int, column: int) -> float:
    """An angle for each pixel by which the shadow's taps are turned (interleaved gradient noise, Jimenez 2014)."""
    spin = 52.9829189 * (0.06711056 * float(column) + 0.00583715 * float(row))
    return 6.2831853 * (spin - wp.floor(spin))


@wp.func
@no_type_check
def share_at(
    x: float,
    y: float,
    depth_here: float,
    frame: int,
    light: int,
    spread: float,
    spin: float,
    slack: float,  # metres of depth per metre sideways that a curved surface may rise without shading itself
    windows: wp.array2d(dtype=wp.vec3),
    nearest: wp.array4d(dtype=wp.float32),
    around: wp.array4d(dtype=wp.float32),
    taps: wp.array(dtype=wp.vec3),
) -> float:
    """How much of an extended light reaches a place of its map (texels) at that depth, 0 to 1.

    Source: Fernando 2005, "Percentage-closer soft shadows": mean distance of the blockers, then a filter whose width
    is the half shadow's. `taps` (x, y, radius) lie on sunflower spirals in the unit disc, first those of the
    blockers, denser in the middle; they are turned by `spin` for each pixel.
    """
    window = windows[frame, light]
    last_tile = around.shape[2] - 1
    limit = depth_here - _CLEARANCE  # of the blockers' depth
    tile_row = wp.min(int(y) // _TILE, last_tile)
    tile_column = wp.min(int(x) // _TILE, last_tile)
    if around[frame, light, tile_row, tile_column] >= limit:
        return 1.0
    # Beyond its border the map goes on as it ends: nobody is there.
    last = float(nearest.shape[2] - 1)
    reach = shadow_reach(spread, window[2])
    rise = slack / window[2]
    blockers = float(0.0)
    distance = float(0.0)
    cosine = reach * fast_cosine(spin)
    sine = reach * fast_sine(spin)
    for tap in range(_BLOCKER_TAPS):
        place = taps[tap]
        column = int(wp.clamp(x + cosine * place[0] - sine * place[1], 0.0, last))
        row = int(wp.clamp(y + sine * place[0] + cosine * place[1], 0.0, last))
        depth = nearest[frame, light, row, column]
        if depth < limit - rise * reach * place[2]:
            blockers = blockers + 1.0
            distance = distance + depth
    if blockers == 0.0:
        return 1.0
    if blockers == float(_BLOCKER_TAPS):
        return 0.0
    width = wp.clamp(spread * (depth_here - distance / blockers) * window[2], 1.3, reach)
    cosine = cosine * (width / reach)
    sine = sine * (width / reach)
    lit = float(0.0)
    for tap in range(_SHADOW_TAPS):
        place = taps[_BLOCKER_TAPS + tap]
        column = int(wp.clamp(x + cosine * place[0] - sine * place[1], 0.0, last))
        row = int(wp.clamp(y + sine * place[0] + cosine * place[1], 0.0, last))
        lit = lit + wp.where(nearest[frame, light, row, column] >= limit - rise * width * place[2], 1.0, 0.0)
    return lit / float(_SHADOW_TAPS)


@wp.func
@no_type_check
def lit_share(
    point: wp.vec3,
    frame: int,
    light: int,
    spread: float,
    spin: float,
    slack: float,
    axes: wp.array(dtype=wp.mat33),
    windows: wp.array2d(dtype=wp.vec3),
    nearest: wp.array4d(dtype=wp.float32),
    around: wp.array4d(dtype=wp.float32),
    taps: wp.array(dtype=wp.vec3),
) -> float:
    """How much of an extended light reaches a point, 0 to 1; all of it outside the map."""
    seen = axes[light] * point
    window = windows[frame, light]
    x = (seen[0] - window[0]) * window[2]
    y = (seen[1] - window[1]) * window[2]
    size = float(nearest.shape[2])
    if x < 0.0 or y < 0.0 or x > size or y > size:
        return 1.0
    return share_at(x, y, seen[2], frame, light, spread, spin, slack, windows, nearest, around, taps)


@wp.func
@no_type_check
def is_beside_map(
    one: wp.vec3,
    other: wp.vec3,
    frame: int,
    light: int,
    part: int,  # the map's share that this light uses: 1 / part along each side
    axes: wp.array(dtype=wp.mat33),
    windows: wp.array2d(dtype=wp.vec3),
    nearest: wp.array4d(dtype=wp.float32),
) -> bool:
    """Whether both points, and so all between them, lie on the same outer side of a light's map."""
    window = windows[frame, light]
    a = axes[light] * one
    b = axes[light] * other
    # A texel more on each side: a point between them may round across the border.
    size = float(nearest.shape[2] // part) / window[2]
    slack = 1.0 / window[2]
    beside = wp.max(a[0], b[0]) < window[0] - slack or wp.min(a[0], b[0]) > window[0] + size + slack
    return beside or wp.max(a[1], b[1]) < window[1] - slack or wp.min(a[1], b[1]) > window[1] + size + slack


@wp.kernel
@no_type_check
def ground_sky(
    axes: wp.array(dtype=wp.mat33),
    windows: wp.array2d(dtype=wp.vec3),
    nearest: wp.array4d(dtype=wp.float32),
    around: wp.array4d(dtype=wp.float32),
    taps: wp.array(dtype=wp.vec3),
    share: wp.array3d(dtype=wp.float32),  # (frames, places, places) over the sky's part of its map
):
    """How much of the sky the ground sees: smooth, so that a coarse map of it will do for all pixels."""
    frame, row, column = wp.tid()
    texels = float(nearest.shape[2] // _SKY_PART)
    x = (float(column) + 0.5) * texels / float(share.shape[2])
    y = (float(row) + 0.5) * texels / float(share.shape[1])
    window = windows[frame, 1]
    way = axes[1]
    # The height of a place is the third component of (right, down, forward) x place: 0 on the ground.
    right = window[0] + x / window[2]
    down = window[1] + y / window[2]
    depth = -(way[0, 2] * right + way[1, 2] * down) / way[2, 2]
    spin = pixel_spin(row, column)
    share[frame, row, column] = share_at(x, y, depth, frame, 1, _SKY_SPREAD, spin, 0.0, windows, nearest, around, taps)


@wp.kernel
@no_type_check
def smooth_ground_sky(share: wp.array3d(dtype=wp.float32), smooth: wp.array3d(dtype=wp.float32)):
    """Means over 3 x 3 places: the turns of the taps are spread evenly over such a block, so that no grain is left."""
    frame, row, column = wp.tid()
    last = share.shape[1] - 1
    total = float(0.0)
    for down in range(-1, 2):
        for right in range(-1, 2):
            total += share[frame, wp.clamp(row + down, 0, last), wp.clamp(column + right, 0, last)]
    smooth[frame, row, column] = total / 9.0


@wp.func
@no_type_check
def ground_open_sky(
    point: wp.vec3,
    frame: int,
    axes: wp.array(dtype=wp.mat33),
    windows: wp.array2d(dtype=wp.vec3),
    nearest: wp.array4d(dtype=wp.float32),
    share: wp.array3d(dtype=wp.float32),
) -> float:
    """The share of `ground_sky` at a point of the ground, bilinear; 1 outside its map."""
    seen = axes[1] * point
    window = windows[frame, 1]
    count = share.shape[2]
    scale = window[2] * float(count) / float(nearest.shape[2] // _SKY_PART)
    x = (seen[0] - window[0]) * scale
    y = (seen[1] - window[1]) * scale
    if x < 0.0 or y < 0.0 or x > float(count) or y > float(count):
        return 1.0
    x = wp.clamp(x - 0.5, 0.0, float(count) - 1.001)
    y = wp.clamp(y - 0.5, 0.0, float(count) - 1.001)
    column = int(x)
    row = int(y)
    fx = x - float(column)
    return wp.lerp(
        wp.lerp(share[frame, row, column], share[frame, row, column + 1], fx),
        wp.lerp(share[frame, row + 1, column], share[frame, row + 1, column + 1], fx),
        y - float(row),
    )
