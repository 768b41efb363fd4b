"""Warp kernels of the geometry: vertex normals, camera space and the z-buffer.

The z-buffer holds one 64-bit number a sample, depth in its high bits and the face in its low ones, and keeps the
smallest: whatever the order in which faces arrive, on one thread or thousands, the picture is the same.
Coverage is computed in whole numbers of 1/256 sample with the top-left rule, so that faces that share an edge leave
neither a gap nor a double sample between them.
"""

from typing import no_type_check  # warp compiles these functions, Python never runs them

import warp as wp

# ruff: noqa: UP018, RUF046 (warp takes `int(0)` for a variable, `0` for a constant)
wp.set_module_options({"enable_backward": False})

FACE_BITS = 20  # of a z-buffer entry: at most 1,048,576 faces in a frame
DEPTH_STEPS = 1048576.0  # a metre: depth is kept to a micrometre, up to 8,000 km
EMPTY = 1 << 62  # a z-buffer entry that no face has reached
STRIP = 16  # pixels, faces or vertices that one thread takes in turn: what it prepares for all of them counts little
NEAR = 0.05  # metres: what is nearer to the camera's plane is cut away

_STRIP = wp.constant(STRIP)
_SUBSAMPLES = wp.constant(256.0)
_SUBSAMPLE_BITS = wp.constant(wp.int64(8))
_HALF_SAMPLE = wp.constant(wp.int64(128))
_ONE_SAMPLE = wp.constant(wp.int64(256))
_FAR_OFF = wp.constant(4.0e6)  # samples: beyond this a coordinate is clamped, far outside every picture
_NEAR = wp.constant(NEAR)
_DEPTH_STEPS = wp.constant(DEPTH_STEPS)
_FACE_BITS = wp.constant(wp.int64(FACE_BITS))


@wp.kernel
@no_type_check
def vertex_normals(
    vertices: wp.array2d(dtype=wp.vec3),  # (frames, people x vertices) world
    faces: wp.array(dtype=wp.vec3i),  # of one body
    first_face: wp.array(dtype=wp.int32),  # (vertices + 1) where a vertex's faces start in `faces_of`
    faces_of: wp.array(dtype=wp.int32),
    normals: wp.array2d(dtype=wp.vec3),
):
    """Unit vertex normals, weighted by the faces' areas; each vertex gathers, so that the sum has one order."""
    frame, person, group = wp.tid()
    num_vertices = first_face.shape[0] - 1
    base = person * num_vertices
    for vertex in range(group * _STRIP, wp.min((group + 1) * _STRIP, num_vertices)):
        total = wp.vec3(0.0, 0.0, 0.0)
        for slot in range(first_face[vertex], first_face[vertex + 1]):
            face = faces[faces_of[slot]]
            a = vertices[frame, base + face[0]]
            total += wp.cross(vertices[frame, base + face[1]] - a, vertices[frame, base + face[2]] - a)
        normals[frame, base + vertex] = wp.normalize(total)


@wp.kernel
@no_type_check
def dress_and_view(
    vertices: wp.array2d(dtype=wp.vec3),
    normals: wp.array2d(dtype=wp.vec3),
    neighbour: wp.array(dtype=wp.int32),  # of each vertex of one body
    offsets: wp.array(dtype=wp.vec3),  # (people x vertices) of cloth and hair, in the vertex's own frame
    shoe_row: wp.array(dtype=wp.int32),  # of each vertex of one body in the tables below, -1 = not in a shoe
    shoe_share: wp.array(dtype=wp.float32),
    shoe_carriers: wp.array2d(dtype=wp.int32),  # (shod, carriers) vertices
    shoe_amounts: wp.array2d(dtype=wp.float32),
    rotation: wp.array(dtype=wp.mat33),
    translation: wp.array(dtype=wp.vec3),
    dressed: wp.array2d(dtype=wp.vec3),
    viewed: wp.array2d(dtype=wp.vec3),
):
    """Vertices of the dressed body in the world, and the same in camera axes.

    A vertex's frame is its normal, the way to a neighbour along the surface, and across both. Shoes are carried by
    the foot as a whole.
    """
    frame, index = wp.tid()
    vertex = index % neighbour.shape[0]
    point = vertices[frame, index]
    offset = offsets[index]
    if offset[0] != 0.0 or offset[1] != 0.0 or offset[2] != 0.0:
        normal = normals[frame, index]
        along = vertices[frame, index - vertex + neighbour[vertex]] - point
        along = wp.normalize(along - wp.dot(along, normal) * normal)
        point += offset[0] * normal + offset[1] * along + offset[2] * wp.cross(normal, along)
    row = shoe_row[vertex]
    if row >= 0:
        carried = wp.vec3(0.0, 0.0, 0.0)
        for carrier in range(shoe_carriers.shape[1]):
            carried += shoe_amounts[row, carrier] * vertices[frame, index - vertex + shoe_carriers[row, carrier]]
        point += shoe_share[row] * (carried - point)
    dressed[frame, index] = point
    viewed[frame, index] = rotation[frame] * point + translation[frame]


@wp.func
@no_type_check
def snap(coordinate: float) -> wp.int64:
    """Samples to whole numbers of 1/256 sample."""
    return wp.int64(wp.floor(wp.clamp(coordinate, -_FAR_OFF, _FAR_OFF) * _SUBSAMPLES + 0.5))


@wp.func
@no_type_check
def edge(ax: wp.int64, ay: wp.int64, bx: wp.int64, by: wp.int64, x: wp.int64, y: wp.int64) -> wp.int64:
    """Twice the area of (a, b, point), below 0 outside: on an edge that is not the face's own too.

    Of two faces that share an edge the one below or to the right of it owns it (top-left rule, y down).
    """
    value = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
    if by < ay or (by == ay and bx > ax):
        return value
    return value - wp.int64(1)


@wp.func
@no_type_check
def fill_depth(
    a: wp.vec2,
    b: wp.vec2,
    c: wp.vec2,
    inverse_depth: wp.vec3,  # 1 / depth = x * column + y * row + z at sample coordinates
    lowest: float,
    highest: float,
    height: wp.vec3,  # world height of a ray's point = eye + depth * (x * column + y * row + z)
    eye: float,
    floor: float,  # metres: what is lower is hidden by the ground
    may_sink: bool,  # whether a part of the face may be lower
    face: int,
    frame: int,
    samples: int,
    zbuffer: wp.array3d(dtype=wp.int64),
    touched: wp.array3d(dtype=wp.uint8),
):
    """Enter one projected triangle (sample coordinates) into the z-buffer."""
    rows = zbuffer.shape[1]
    columns = zbuffer.shape[2]
    ax = snap(a[0])
    ay = snap(a[1])
    area = (snap(b[0]) - ax) * (snap(c[1]) - ay) - (snap(b[1]) - ay) * (snap(c[0]) - ax)
    if area == wp.int64(0):
        return
    flip = area < wp.int64(0)
    bx = snap(wp.where(flip, c[0], b[0]))
    by = snap(wp.where(flip, c[1], b[1]))
    cx = snap(wp.where(flip, b[0], c[0]))
    cy = snap(wp.where(flip, b[1], c[1]))
    # The first and the last sample whose centre is not left of, right of, above or below all corners.
    first_column = wp.max(0, int((wp.min(wp.min(ax, bx), cx) + _HALF_SAMPLE - wp.int64(1)) >> _SUBSAMPLE_BITS))
    last_column = wp.min(columns - 1, int((wp.max(wp.max(ax, bx), cx) - _HALF_SAMPLE) >> _SUBSAMPLE_BITS))
    first_row = wp.max(0, int((wp.min(wp.min(ay, by), cy) + _HALF_SAMPLE - wp.int64(1)) >> _SUBSAMPLE_BITS))
    last_row = wp.min(rows - 1, int((wp.max(wp.max(ay, by), cy) - _HALF_SAMPLE) >> _SUBSAMPLE_BITS))
    if first_column > last_column or first_row > last_row:
        return
    x = wp.int64(first_column) * _ONE_SAMPLE + _HALF_SAMPLE
    y = wp.int64(first_row) * _ONE_SAMPLE + _HALF_SAMPLE
    row_ab = edge(ax, ay, bx, by, x, y)
    row_bc = edge(bx, by, cx, cy, x, y)
    row_ca = edge(cx, cy, ax, ay, x, y)
    per_sample = 1.0 / float(samples)
    for row in range(first_row, last_row + 1):
        pixel_row = row // samples
        ab = row_ab
        bc = row_bc
        ca = row_ca
        was_inside = int(0)
        for column in range(first_column, last_column + 1):
            if (ab | bc | ca) >= wp.int64(0):
                was_inside = int(1)
                inverse = (
                    inverse_depth[0] * (float(column) + 0.5) + inverse_depth[1] * (float(row) + 0.5) + inverse_depth[2]
                )
                depth = wp.clamp(1.0 / inverse, lowest, highest)
                is_seen = True
                if may_sink:
                    climb = height[0] * (float(column) + 0.5) + height[1] * (float(row) + 0.5) + height[2]
                    is_seen = eye + depth * climb >= floor
                if is_seen:
                    steps = wp.int64(depth * _DEPTH_STEPS)
                    wp.atomic_min(zbuffer, frame, row, column, (steps << _FACE_BITS) | wp.int64(face))
                    touched[frame, pixel_row, int((float(column) + 0.5) * per_sample)] = wp.uint8(1)
            elif was_inside == 1:
                break  # a row of a triangle has no holes
            ab = ab - (by - ay) * _ONE_SAMPLE
            bc = bc - (cy - by) * _ONE_SAMPLE
            ca = ca - (ay - cy) * _ONE_SAMPLE
        row_ab = row_ab + (bx - ax) * _ONE_SAMPLE
        row_bc = row_bc + (cx - bx) * _ONE_SAMPLE
        row_ca = row_ca + (ax - cx) * _ONE_SAMPLE


@wp.func
@no_type_check
def to_sample(point: wp.vec3, k: wp.mat33, samples: float) -> wp.vec2:
    """Sample coordinates of a point in camera axes."""
    near = 1.0 / point[2]
    return wp.vec2(
        samples * ((k[0, 0] * point[0] + k[0, 1] * point[1]) * near + k[0, 2]),
        samples * (k[1, 1] * point[1] * near + k[1, 2]),
    )


@wp.func
@no_type_check
def at_near(inside: wp.vec3, outside: wp.vec3) -> wp.vec3:
    """Where the edge between the two points passes the near plane."""
    share = (inside[2] - _NEAR) / (inside[2] - outside[2])
    crossing = inside + share * (outside - inside)
    return wp.vec3(crossing[0], crossing[1], _NEAR)


@wp.kernel
@no_type_check
def rasterize(
    viewed: wp.array2d(dtype=wp.vec3),  # (frames, people x vertices) camera axes
    faces: wp.array(dtype=wp.vec3i),
    num_vertices: int,  # of one body
    intrinsics: wp.array(dtype=wp.mat33),
    pixel_ways: wp.array(dtype=wp.mat33),  # from (column, row, 1) to the way through there, in camera axes
    rotation: wp.array(dtype=wp.mat33),
    translation: wp.array(dtype=wp.vec3),
    samples: int,  # a pixel's side is cut into this many samples
    floor: float,  # metres: what is lower is hidden by the ground
    cull: int,  # 1: leave out faces seen from behind
    zbuffer: wp.array3d(dtype=wp.int64),
    touched: wp.array3d(dtype=wp.uint8),  # 1 where a pixel has a sample that sees a face
):
    """Enter every face of every person into the z-buffer, cut at the near plane."""
    frame, person, group = wp.tid()
    num_faces = faces.shape[0]
    base = person * num_vertices
    k = intrinsics[frame]
    ways = pixel_ways[frame]
    scale = float(samples)
    # The way through the sample (column, row) is x * column + y * row + z in camera axes, a metre of depth long.
    way_x = wp.vec3(ways[0, 0], 0.0, 0.0) / scale
    way_y = wp.vec3(ways[0, 1], ways[1, 1], 0.0) / scale
    way_z = wp.vec3(ways[0, 2], ways[1, 2], 1.0)
    # World height is eye + depth * (up . way), up being the world's third axis in camera axes.
    up = wp.vec3(rotation[frame][0, 2], rotation[frame][1, 2], rotation[frame][2, 2])
    eye = -wp.dot(up, translation[frame])
    height = wp.vec3(wp.dot(up, way_x), wp.dot(up, way_y), wp.dot(up, way_z))
    for own_face in range(group * _STRIP, wp.min((group + 1) * _STRIP, num_faces)):
        face = faces[own_face]
        index = person * num_faces + own_face
        a = viewed[frame, base + face[0]]
        b = viewed[frame, base + face[1]]
        c = viewed[frame, base + face[2]]
        lowest = wp.min(wp.min(a[2], b[2]), c[2])
        highest = wp.max(wp.max(a[2], b[2]), c[2])
        normal = wp.cross(b - a, c - a)
        distance = wp.dot(normal, a)
        if highest < _NEAR or distance == 0.0 or (cull == 1 and distance > 0.0):
            continue
        # 1 / depth = normal . way / distance.
        per_distance = 1.0 / distance
        inverse_depth = per_distance * wp.vec3(wp.dot(normal, way_x), wp.dot(normal, way_y), wp.dot(normal, way_z))
        may_sink = eye + wp.min(wp.min(wp.dot(up, a), wp.dot(up, b)), wp.dot(up, c)) < floor
        first = to_sample(a, k, scale)
        second = to_sample(b, k, scale)
        third = to_sample(c, k, scale)
        fourth = third
        pieces = int(1)
        if lowest < _NEAR:
            # One or two corners lie before the near plane. Turn the face until `alone` is the one on its side.
            behind = int(a[2] < _NEAR) + int(b[2] < _NEAR) + int(c[2] < _NEAR)
            alone_is_behind = behind == 1
            b_alone = (b[2] < _NEAR) == alone_is_behind
            c_alone = (c[2] < _NEAR) == alone_is_behind
            alone = wp.where(b_alone, b, wp.where(c_alone, c, a))
            after = wp.where(b_alone, c, wp.where(c_alone, a, b))
            before = wp.where(b_alone, a, wp.where(c_alone, b, c))
            if alone_is_behind:
                first = to_sample(at_near(after, alone), k, scale)
                second = to_sample(after, k, scale)
                third = to_sample(before, k, scale)
                fourth = to_sample(at_near(before, alone), k, scale)
                pieces = int(2)
            else:
                first = to_sample(alone, k, scale)
                second = to_sample(at_near(alone, after), k, scale)
                third = to_sample(at_near(alone, before), k, scale)
        for _piece in range(pieces):
            fill_depth(
                first,
                second,
                third,
                inverse_depth,
                wp.max(lowest, _NEAR),
                highest,
                height,
                eye,
                floor,
                may_sink,
                index,
                frame,
                samples,
                zbuffer,
                touched,
            )
            second = third
            third = fourth
