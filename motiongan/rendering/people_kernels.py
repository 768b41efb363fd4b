"""Warp kernels of the pixels that see people: their light, and their depth, masks and normals.

Each pixel is shaded once for every surface that its samples see, not once a sample: this is where 2 x 2 samples cost
little more than one.
"""

from typing import no_type_check  # warp compiles these functions, Python never runs them

import warp as wp

# ruff: noqa: UP018, RUF046 (warp takes `float(0.0)` for a variable, `0.0` for a constant)
from motiongan.rendering.light_kernels import Lights, reflect
from motiongan.rendering.paint_kernels import Outfit, Surface, fold_slope, paint, texture_colour
from motiongan.rendering.rasterizer_kernels import DEPTH_STEPS, EMPTY, FACE_BITS, STRIP
from motiongan.rendering.shadow_kernels import SKY_SPREAD, lit_share, pixel_spin

wp.set_module_options({"enable_backward": False})

_DEPTH_STEPS = wp.constant(DEPTH_STEPS)
_FACE_MASK = wp.constant(wp.int64((1 << FACE_BITS) - 1))
_FACE_BITS = wp.constant(wp.int64(FACE_BITS))
_EMPTY = wp.constant(wp.int64(EMPTY))
_STRIP = wp.constant(STRIP)
_SKY_SPREAD = wp.constant(SKY_SPREAD)
_SAME_SURFACE = wp.constant(0.03)  # metres: samples of one person nearer in depth than this share their shading


@wp.struct
@no_type_check
class Hit:
    """Where the ray of a sample meets a face: its depth, and the weights of the face's corners."""

    z: float
    a: float
    b: float
    c: float


@wp.func
@no_type_check
def meet(
    key: wp.int64, a: wp.vec3, b: wp.vec3, c: wp.vec3, k: wp.mat33, samples: int, sub_row: int, sub_column: int
) -> Hit:
    """Barycentric coordinates in space: right in perspective, whatever the near plane has cut away."""
    hit = Hit()
    hit.z = (float(key >> _FACE_BITS) + 0.5) / _DEPTH_STEPS
    v = ((float(sub_row) + 0.5) / float(samples) - k[1, 2]) / k[1, 1]
    u = ((float(sub_column) + 0.5) / float(samples) - k[0, 2] - k[0, 1] * v) / k[0, 0]
    point = wp.vec3(u, v, 1.0) * hit.z
    facet = wp.cross(b - a, c - a)
    square = wp.dot(facet, facet)
    hit.b = wp.clamp(wp.dot(wp.cross(point - a, c - a), facet) / square, 0.0, 1.0)
    hit.c = wp.clamp(wp.dot(wp.cross(b - a, point - a), facet) / square, 0.0, 1.0 - hit.b)
    hit.a = 1.0 - hit.b - hit.c
    return hit


@wp.kernel
@no_type_check
def shade_people(
    covered: wp.array(dtype=wp.vec3i),  # frame, row, column: to divide one number into them would cost more
    num_covered: int,
    zbuffer: wp.array3d(dtype=wp.int64),
    viewed: wp.array2d(dtype=wp.vec3),
    dressed: wp.array2d(dtype=wp.vec3),
    vertex_normal: wp.array2d(dtype=wp.vec3),
    faces: wp.array(dtype=wp.vec3i),
    rest: wp.array(dtype=wp.vec3),  # (people x vertices) dressed, at rest: what is painted
    num_vertices: int,
    intrinsics: wp.array(dtype=wp.mat33),
    rotation: wp.array(dtype=wp.mat33),
    translation: wp.array(dtype=wp.vec3),
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
    weight: float,
    colour: wp.array3d(dtype=wp.vec3),
):
    """The light that comes from people, added to the pixels that see them."""
    group = wp.tid()
    for slot in range(group * _STRIP, wp.min((group + 1) * _STRIP, num_covered)):
        pixel = covered[slot]
        frame = pixel[0]
        row = pixel[1]
        column = pixel[2]
        k = intrinsics[frame]
        num_faces = faces.shape[0]
        eye = -(wp.transpose(rotation[frame]) * translation[frame])
        spin = pixel_spin(row, column)
        total = wp.vec3(0.0, 0.0, 0.0)
        last_first = -num_faces  # first face of the person shaded last: to compare is cheaper than to divide
        last_depth = float(0.0)
        last_colour = wp.vec3(0.0, 0.0, 0.0)
        sub_row = row * samples
        sub_column = column * samples - 1
        for _ in range(samples * samples):
            sub_column = sub_column + 1
            if sub_column == (column + 1) * samples:
                sub_column = column * samples
                sub_row = sub_row + 1
            key = zbuffer[frame, sub_row, sub_column]
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
            hit = meet(
                key,
                viewed[frame, base + face[0]],
                viewed[frame, base + face[1]],
                viewed[frame, base + face[2]],
                k,
                samples,
                sub_row,
                sub_column,
            )
            normal = wp.normalize(
                hit.a * vertex_normal[frame, base + face[0]]
                + hit.b * vertex_normal[frame, base + face[1]]
                + hit.c * vertex_normal[frame, base + face[2]]
            )
            rest_a = rest[base + face[0]]
            rest_b = rest[base + face[1]]
            rest_c = rest[base + face[2]]
            place = hit.a * rest_a + hit.b * rest_b + hit.c * rest_c
            corner = dressed[frame, base + face[0]]
            side_b = dressed[frame, base + face[1]] - corner
            side_c = dressed[frame, base + face[2]] - corner
            point = corner + hit.b * side_b + hit.c * side_c
            surface = Surface()
            if has_texture == 1:
                corners = texture_faces[own_face]
                uv = (
                    hit.a * texture_places[corners[0]]
                    + hit.b * texture_places[corners[1]]
                    + hit.c * texture_places[corners[2]]
                )
                surface.colour = texture_colour(texture, person, uv)
                surface.cloth = 0.0
                surface.gloss = 0.03
            else:
                surface = paint(place, outfits[person], z / k[0, 0], numbers)
            bent = normal
            if surface.cloth > 0.3:
                # Folds: the slope of their height, known along the rest triangle's sides, tilts the posed normal.
                slope = fold_slope(place, outfits[person].folds, outfits[person].seed)
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
            open_sky = float(1.0)
            facing = wp.dot(bent, lights.key)
            if lights.shadows == 1:
                lifted = point + normal * 0.012
                if facing > 0.0 or (facing > -0.3 and surface.cloth < 1.0):
                    lit = lit_share(
                        lifted, frame, 0, lights.key_spread, spin, 0.7, axes, windows, nearest, around, taps
                    )
                open_sky = 0.35 + 0.65 * lit_share(
                    lifted, frame, 1, _SKY_SPREAD, 0.35 * spin, 0.5, axes, windows, nearest, around, taps
                )
            last_colour = reflect(surface, bent, wp.normalize(eye - point), facing, lit, open_sky, lights)
            last_first = index - own_face
            last_depth = z
            total += last_colour
        colour[frame, row, column] = colour[frame, row, column] + total * (weight / float(samples * samples))


@wp.kernel
@no_type_check
def record_people(
    covered: wp.array(dtype=wp.vec3i),  # frame, row, column: to divide one number into them would cost more
    num_covered: int,
    zbuffer: wp.array3d(dtype=wp.int64),
    viewed: wp.array2d(dtype=wp.vec3),
    vertex_normal: wp.array2d(dtype=wp.vec3),
    faces: wp.array(dtype=wp.vec3i),
    weights: wp.array2d(dtype=wp.float32),  # (vertices, parts) of one body
    vertex_part: wp.array(dtype=wp.int32),
    intrinsics: wp.array(dtype=wp.mat33),
    rotation: wp.array(dtype=wp.mat33),
    samples: int,
    depth: wp.array3d(dtype=wp.float32),
    instance: wp.array3d(dtype=wp.uint8),
    part: wp.array3d(dtype=wp.uint8),
    normals: wp.array3d(dtype=wp.vec3),
):
    """Depth, masks and normals of the pixels that see people.

    A pixel belongs to the person whom most samples see; on a tie to the nearer one, and people go before the ground.
    """
    group = wp.tid()
    for slot in range(group * _STRIP, wp.min((group + 1) * _STRIP, num_covered)):
        pixel = covered[slot]
        frame = pixel[0]
        row = pixel[1]
        column = pixel[2]
        num_faces = faces.shape[0]
        num_vertices = weights.shape[0]
        best = int(0)
        winner_key = _EMPTY - wp.int64(1)  # an expression: warp would write through a bare constant
        empty = int(0)
        row_seen = int(0)
        column_seen = int(0)
        # Nearly all pixels see one person only: the nearest sample then stands for them all.
        first_index = int(zbuffer[frame, row * samples, column * samples] & _FACE_MASK)
        first_index = first_index - first_index % num_faces
        shared = int(0)
        for sub_row in range(row * samples, (row + 1) * samples):
            for sub_column in range(column * samples, (column + 1) * samples):
                key = zbuffer[frame, sub_row, sub_column]
                if key == _EMPTY:
                    empty = empty + 1
                elif int(key & _FACE_MASK) < first_index or int(key & _FACE_MASK) >= first_index + num_faces:
                    shared = 1
                elif key < winner_key:
                    winner_key = key
                    row_seen = sub_row
                    column_seen = sub_column
        best = samples * samples - empty
        if shared == 1 or zbuffer[frame, row * samples, column * samples] == _EMPTY:
            best = int(0)
            winner_key = _EMPTY - wp.int64(1)
            for sub_sample in range(samples * samples):
                sub_row = row * samples + sub_sample // samples
                sub_column = column * samples + sub_sample % samples
                key = zbuffer[frame, sub_row, sub_column]
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
                        row_seen = sub_row
                        column_seen = sub_column
        if empty > best:
            continue
        index = int(winner_key & _FACE_MASK)
        person_seen = index // num_faces
        face = faces[index - person_seen * num_faces]
        base = person_seen * num_vertices
        hit = meet(
            winner_key,
            viewed[frame, base + face[0]],
            viewed[frame, base + face[1]],
            viewed[frame, base + face[2]],
            intrinsics[frame],
            samples,
            row_seen,
            column_seen,
        )
        part_a = vertex_part[face[0]]
        part_b = vertex_part[face[1]]
        part_c = vertex_part[face[2]]
        chosen = part_a
        if part_b != part_a or part_c != part_a:
            # The part that moves this point most, among those of the corners.
            of_a = (
                hit.a * weights[face[0], part_a] + hit.b * weights[face[1], part_a] + hit.c * weights[face[2], part_a]
            )
            of_b = (
                hit.a * weights[face[0], part_b] + hit.b * weights[face[1], part_b] + hit.c * weights[face[2], part_b]
            )
            of_c = (
                hit.a * weights[face[0], part_c] + hit.b * weights[face[1], part_c] + hit.c * weights[face[2], part_c]
            )
            chosen = wp.where(of_b > of_a, part_b, part_a)
            chosen = wp.where(of_c > wp.max(of_a, of_b), part_c, chosen)
        normal = wp.normalize(
            hit.a * vertex_normal[frame, base + face[0]]
            + hit.b * vertex_normal[frame, base + face[1]]
            + hit.c * vertex_normal[frame, base + face[2]]
        )
        depth[frame, row, column] = hit.z
        instance[frame, row, column] = wp.uint8(person_seen + 1)
        part[frame, row, column] = wp.uint8(chosen + 1)
        normals[frame, row, column] = rotation[frame] * normal


@wp.kernel
@no_type_check
def forget_people(
    covered: wp.array(dtype=wp.vec3i),  # frame, row, column: to divide one number into them would cost more
    num_covered: int,
    samples: int,
    zbuffer: wp.array3d(dtype=wp.int64),
    touched: wp.array3d(dtype=wp.uint8),
):
    """Empty the pixels that see people, for the next picture."""
    group = wp.tid()
    for slot in range(group * _STRIP, wp.min((group + 1) * _STRIP, num_covered)):
        pixel = covered[slot]
        frame = pixel[0]
        row = pixel[1]
        column = pixel[2]
        touched[frame, row, column] = wp.uint8(0)
        for sub_row in range(row * samples, (row + 1) * samples):
            for sub_column in range(column * samples, (column + 1) * samples):
                zbuffer[frame, sub_row, sub_column] = _EMPTY
