"""Warp kernel of the pixels that see people: their light, and their depth, masks and normals.

Each pixel is shaded once for every surface that its samples see, not once a sample: this is where 2 x 2 samples cost
little more than one.
"""

from typing import no_type_check  # warp compiles these functions, Python never runs them

import warp as wp

# ruff: noqa: UP018, RUF046 (warp takes `float(0.0)` for a variable, `0.0` for a constant)
from motiongan.rendering.light_kernels import Film, Lights, develop_pixel, reflect
from motiongan.rendering.paint_kernels import Outfit, Surface, paint, texture_colour
from motiongan.rendering.rasterizer_kernels import DEPTH_STEPS, EMPTY, FACE_BITS, STRIP
from motiongan.rendering.shadow_kernels import SKY_SPREAD, lit_share, pixel_spin
from motiongan.rendering.surroundings_kernels import ONLY_MOMENT

wp.set_module_options({"enable_backward": False})

_DEPTH_STEPS = wp.constant(DEPTH_STEPS)
_HALF_STEP = wp.constant(0.5 / DEPTH_STEPS)  # metres
_FACE_MASK = wp.constant(wp.int64((1 << FACE_BITS) - 1))
_FACE_BITS = wp.constant(wp.int64(FACE_BITS))
_EMPTY = wp.constant(wp.int64(EMPTY))
_STRIP = wp.constant(STRIP)
_ONLY_MOMENT = wp.constant(ONLY_MOMENT)
_SKY_SPREAD = wp.constant(SKY_SPREAD)
_LIFT = wp.constant(0.012)  # metres above the surface that its shadow is looked up at
SAME_SURFACE = 0.03  # metres: samples of one person nearer in depth than this share their shading
_SAME_SURFACE = wp.constant(SAME_SURFACE)
_SAME_SURFACE_STEPS = wp.constant(wp.int64(int(SAME_SURFACE * DEPTH_STEPS)))


@wp.func
@no_type_check
def vertex_open_sky(
    vertex: int,
    frame: int,
    dressed: wp.array2d(dtype=wp.vec3),
    vertex_normal: wp.array2d(dtype=wp.vec3),
    axes: wp.array(dtype=wp.mat33),
    windows: wp.array2d(dtype=wp.vec3),
    nearest: wp.array4d(dtype=wp.float32),
    around: wp.array4d(dtype=wp.float32),
    taps: wp.array(dtype=wp.vec3),
    open_sky: wp.array2d(dtype=wp.float32),
) -> float:
    """How much of the sky a vertex sees: worked out for the first pixel that asks, kept for the others.

    On a GPU two pixels may work it out at the same time; they find the same.
    """
    share = open_sky[frame, vertex]
    if share < 0.0:
        lifted = dressed[frame, vertex] + vertex_normal[frame, vertex] * _LIFT
        share = lit_share(lifted, frame, 1, _SKY_SPREAD, 0.0, 0.5, axes, windows, nearest, around, taps)
        share = 0.35 + 0.65 * share
        open_sky[frame, vertex] = share
    return share


@wp.kernel
@no_type_check
def shade_people(
    covered: wp.array(dtype=wp.vec3i),  # frame, row, column: to divide one number into them would cost more
    num_covered: int,
    zbuffer: wp.array3d(dtype=wp.int64),
    touched: wp.array3d(dtype=wp.uint8),
    dressed: wp.array2d(dtype=wp.vec3),
    vertex_normal: wp.array2d(dtype=wp.vec3),
    faces: wp.array(dtype=wp.vec3i),
    rest: wp.array(dtype=wp.vec3),  # (people x vertices) dressed, at rest: what is painted
    woven: wp.array(dtype=wp.vec4),  # (people x vertices) slope of the folds, mottle of the skin
    weights: wp.array2d(dtype=wp.float32),  # (vertices, parts) of one body
    vertex_part: wp.array(dtype=wp.int32),
    pixel_ways: wp.array(dtype=wp.mat33),  # from (column, row, 1) to the way through there, in camera axes
    rotation: wp.array(dtype=wp.mat33),
    eyes: wp.array(dtype=wp.vec3),
    samples: int,
    outfits: wp.array(dtype=Outfit),
    numbers: wp.array3d(dtype=wp.float32),
    has_texture: int,  # 1: people wear their textures in place of painted clothes
    texture: wp.array3d(dtype=wp.vec3),  # (people, rows, columns) linear light, the top row first
    texture_places: wp.array(dtype=wp.vec2),  # u to the right, v up, from the lower left corner
    texture_faces: wp.array(dtype=wp.vec3i),
    lights: Lights,
    axes: wp.array(dtype=wp.mat33),
    windows: wp.array2d(dtype=wp.vec3),
    nearest: wp.array4d(dtype=wp.float32),
    around: wp.array4d(dtype=wp.float32),
    taps: wp.array(dtype=wp.vec3),
    open_sky: wp.array2d(dtype=wp.float32),  # (frames, people x vertices) below 0 = not known yet
    weight: float,
    moment: int,  # ONLY_MOMENT: the exposure's only one, whose pixels are developed here
    colour: wp.array3d(dtype=wp.vec3),
    film: Film,
    noise: wp.array(dtype=wp.float32),
    noise_start: wp.array(dtype=wp.int32),
    curve: wp.array(dtype=wp.uint8),
    picture: wp.array3d(dtype=wp.vec3ub),
    record: int,  # 1: also fill the buffers below
    depth: wp.array3d(dtype=wp.float32),
    instance: wp.array3d(dtype=wp.uint8),
    part: wp.array3d(dtype=wp.uint8),
    normals: wp.array3d(dtype=wp.vec3),
):
    """The light that comes from people, added to the pixels that see them; their depth, masks and normals.

    A pixel belongs to the person whom most samples see; on a tie to the nearer one, and people go before the ground.
    The z-buffer and its marks are emptied for the next picture.
    """
    group = wp.tid()
    side_of_sample = 1.0 / float(samples)
    num_faces = faces.shape[0]
    num_vertices = weights.shape[0]
    for slot in range(group * _STRIP, wp.min((group + 1) * _STRIP, num_covered)):
        pixel = covered[slot]
        frame = pixel[0]
        row = pixel[1]
        column = pixel[2]
        from_pixel = pixel_ways[frame]
        turned = rotation[frame]
        # Nearly all pixels see one person only: the nearest sample then stands for them all.
        winner_key = _EMPTY - wp.int64(1)  # an expression: warp would write through a bare constant
        farthest_key = wp.int64(0)
        winner = int(0)
        empty = int(0)
        nearest_index = int(-1)
        shared = int(0)
        sample = int(0)
        for sub_row in range(row * samples, (row + 1) * samples):
            for sub_column in range(column * samples, (column + 1) * samples):
                key = zbuffer[frame, sub_row, sub_column]
                if key == _EMPTY:
                    empty = empty + 1
                else:
                    index = int(key & _FACE_MASK)
                    if nearest_index < 0:
                        nearest_index = index - index % num_faces
                    elif index < nearest_index or index >= nearest_index + num_faces:
                        shared = 1
                    if key < winner_key:
                        winner_key = key
                        winner = sample
                    farthest_key = wp.max(farthest_key, key)
                sample = sample + 1
        best = samples * samples - empty
        if shared == 1:
            best = int(0)
            for chosen_sample in range(samples * samples):
                key = zbuffer[
                    frame, row * samples + chosen_sample // samples, column * samples + chosen_sample % samples
                ]
                if key != _EMPTY:
                    person = int(key & _FACE_MASK) // num_faces
                    count = int(0)
                    for other_row in range(row * samples, (row + 1) * samples):
                        for other_column in range(column * samples, (column + 1) * samples):
                            rival = zbuffer[frame, other_row, other_column]
                            if rival != _EMPTY and int(rival & _FACE_MASK) // num_faces == person:
                                count = count + 1
                    if count > best or (count == best and key < winner_key):
                        best = count
                        winner_key = key
                        winner = chosen_sample
        # One surface, as nearly everywhere, is shaded once for all its samples.
        rounds = samples * samples
        worth = float(1.0)
        if shared == 0 and ((farthest_key - winner_key) >> _FACE_BITS) < _SAME_SURFACE_STEPS:
            rounds = int(1)
            worth = float(best)
        eye = eyes[frame]
        total = wp.vec3(0.0, 0.0, 0.0)
        last_first = -num_faces  # first face of the person shaded last: to compare is cheaper than to divide
        last_depth = float(0.0)
        last_colour = wp.vec3(0.0, 0.0, 0.0)
        # The winner goes first: what is found out about its surface serves the buffers too.
        sub_row = row * samples + winner // samples
        sub_column = column * samples + winner % samples
        for turn in range(rounds):
            key = zbuffer[frame, sub_row, sub_column]
            this_row = sub_row
            this_column = sub_column
            sub_column = sub_column + 1
            if sub_column == (column + 1) * samples:
                sub_column = column * samples
                sub_row = sub_row + 1
                if sub_row == (row + 1) * samples:
                    sub_row = row * samples
            if key == _EMPTY:
                continue
            index = int(key & _FACE_MASK)
            z = float(key >> _FACE_BITS) / _DEPTH_STEPS
            if index >= last_first and index < last_first + num_faces and wp.abs(z - last_depth) < _SAME_SURFACE:
                total += last_colour
                continue
            person = index // num_faces
            own_face = index - person * num_faces
            face = faces[own_face]
            base = person * num_vertices
            # Where the ray meets the face, as weights of its corners: in space, so that they are right in perspective
            # whatever the near plane has cut away.
            pixel_x = (float(this_column) + 0.5) * side_of_sample
            pixel_y = (float(this_row) + 0.5) * side_of_sample
            way_y = from_pixel[1, 1] * pixel_y + from_pixel[1, 2]
            way_x = from_pixel[0, 0] * pixel_x + from_pixel[0, 1] * pixel_y + from_pixel[0, 2]
            way = wp.vec3(
                turned[0, 0] * way_x + turned[1, 0] * way_y + turned[2, 0],
                turned[0, 1] * way_x + turned[1, 1] * way_y + turned[2, 1],
                turned[0, 2] * way_x + turned[1, 2] * way_y + turned[2, 2],
            )
            point = eye + way * (z + _HALF_STEP)
            corner = dressed[frame, base + face[0]]
            side_b = dressed[frame, base + face[1]] - corner
            side_c = dressed[frame, base + face[2]] - corner
            facet = wp.cross(side_b, side_c)
            along = point - corner
            per_square = 1.0 / wp.dot(facet, facet)
            hit_b = wp.clamp(wp.dot(wp.cross(along, side_c), facet) * per_square, 0.0, 1.0)
            hit_c = wp.clamp(wp.dot(wp.cross(side_b, along), facet) * per_square, 0.0, 1.0 - hit_b)
            hit_a = 1.0 - hit_b - hit_c
            normal = wp.normalize(
                hit_a * vertex_normal[frame, base + face[0]]
                + hit_b * vertex_normal[frame, base + face[1]]
                + hit_c * vertex_normal[frame, base + face[2]]
            )
            if record == 1 and turn == 0 and empty <= best:
                part_a = vertex_part[face[0]]
                part_b = vertex_part[face[1]]
                part_c = vertex_part[face[2]]
                chosen = part_a
                if part_b != part_a or part_c != part_a:
                    # The border between two parts is where their interpolated weights are equal.
                    of_a = hit_a * weights[face[0], part_a]
                    of_a += hit_b * weights[face[1], part_a] + hit_c * weights[face[2], part_a]
                    of_b = hit_a * weights[face[0], part_b]
                    of_b += hit_b * weights[face[1], part_b] + hit_c * weights[face[2], part_b]
                    of_c = hit_a * weights[face[0], part_c]
                    of_c += hit_b * weights[face[1], part_c] + hit_c * weights[face[2], part_c]
                    chosen = wp.where(of_b > of_a, part_b, part_a)
                    chosen = wp.where(of_c > wp.max(of_a, of_b), part_c, chosen)
                depth[frame, row, column] = z + _HALF_STEP
                instance[frame, row, column] = wp.uint8(person + 1)
                part[frame, row, column] = wp.uint8(chosen + 1)
                normals[frame, row, column] = turned * normal
            rest_a = rest[base + face[0]]
            rest_b = rest[base + face[1]]
            rest_c = rest[base + face[2]]
            place = hit_a * rest_a + hit_b * rest_b + hit_c * rest_c
            here = hit_a * woven[base + face[0]] + hit_b * woven[base + face[1]] + hit_c * woven[base + face[2]]
            surface = Surface()
            if has_texture == 1:
                corners = texture_faces[own_face]
                uv = (
                    hit_a * texture_places[corners[0]]
                    + hit_b * texture_places[corners[1]]
                    + hit_c * texture_places[corners[2]]
                )
                surface.colour = texture_colour(texture, person, uv)
                surface.cloth = 0.0
                surface.gloss = 0.03
            else:
                surface = paint(place, outfits[person], here[3], z * from_pixel[0, 0], numbers)
            bent = normal
            if surface.cloth > 0.3:
                # Folds: the slope of their height, known along the rest triangle's sides, tilts the posed normal.
                slope = wp.vec3(here[0], here[1], here[2])
                along_b = wp.dot(slope, rest_b - rest_a)
                along_c = wp.dot(slope, rest_c - rest_a)
                bb = wp.dot(side_b, side_b)
                bc = wp.dot(side_b, side_c)
                cc = wp.dot(side_c, side_c)
                under = bb * cc - bc * bc
                if under > 1.0e-14:
                    tilt = ((cc * along_b - bc * along_c) * side_b + (bb * along_c - bc * along_b) * side_c) / under
                    bent = wp.normalize(normal - surface.cloth * tilt)
            lit = float(1.0)
            sky = float(1.0)
            facing = wp.dot(bent, lights.key)
            if lights.shadows == 1:
                lifted = point + normal * _LIFT
                if facing > 0.0 or (facing > -0.3 and surface.cloth < 1.0):
                    spin = pixel_spin(row, column)
                    lit = lit_share(
                        lifted, frame, 0, lights.key_spread, spin, 0.7, axes, windows, nearest, around, taps
                    )
                sky_a = vertex_open_sky(
                    base + face[0], frame, dressed, vertex_normal, axes, windows, nearest, around, taps, open_sky
                )
                sky_b = vertex_open_sky(
                    base + face[1], frame, dressed, vertex_normal, axes, windows, nearest, around, taps, open_sky
                )
                sky_c = vertex_open_sky(
                    base + face[2], frame, dressed, vertex_normal, axes, windows, nearest, around, taps, open_sky
                )
                sky = hit_a * sky_a + hit_b * sky_b + hit_c * sky_c
            last_colour = reflect(surface, bent, -wp.normalize(way), facing, lit, sky, lights)
            last_first = index - own_face
            last_depth = z
            total += last_colour * worth
        light = colour[frame, row, column] + total * (weight / float(samples * samples))
        if moment == _ONLY_MOMENT:
            develop_pixel(light, frame, row, column, film, noise, noise_start, curve, picture)
        else:
            colour[frame, row, column] = light
        touched[frame, row, column] = wp.uint8(0)
        for sub_row_done in range(row * samples, (row + 1) * samples):
            for sub_column_done in range(column * samples, (column + 1) * samples):
                zbuffer[frame, sub_row_done, sub_column_done] = _EMPTY
