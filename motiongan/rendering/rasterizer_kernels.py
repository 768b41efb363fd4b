"""Warp kernels of the geometry: vertex normals, camera space and the z-buffer.

The z-buffer holds one 64-bit number a sample, depth in its high bits and the face in its low ones, and keeps the
smallest: whatever the order in which faces arrive, on one thread or thousands, the picture is the same.
Coverage is computed in whole numbers of 1/256 sample with the top-left rule, so that faces that share an edge leave
neither a gap nor a double sample between them.
"""

from typing import no_type_check  # warp compiles these functions, Python never runs them

import warp as wp

wp.set_module_options({"enable_backward": False})

FACE_BITS = 20  # of a z-buffer entry: at most 1,048,576 faces in a frame
DEPTH_STEPS = 1048576.0  # a metre: depth is kept to a micrometre, up to 8,000 km
EMPTY = 1 << 62  # a z-buffer entry that no face has reached
STRIP = 16  # pixels that one thread shades one after another: what it prepares for all of them then counts little
NEAR = 0.05  # metres: what is nearer to the camera's plane is cut away

_SUBSAMPLES = wp.constant(256.0)
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
    frame, index = wp.tid()
    num_vertices = first_face.shape[0] - 1
    vertex = index % num_vertices
    base = index - vertex
    total = wp.vec3(0.0, 0.0, 0.0)
    for slot in range(first_face[vertex], first_face[vertex + 1]):
        face = faces[faces_of[slot]]
        a = vertices[frame, base + face[0]]
        total += wp.cross(vertices[frame, base + face[1]] - a, vertices[frame, base + face[2]] - a)
    normals[frame, index] = wp.normalize(total)


@wp.kernel
@no_type_check
def dress_and_view(
    vertices: wp.array2d(dtype=wp.vec3),
    normals: wp.array2d(dtype=wp.vec3),
    neighbour: wp.array(dtype=wp.int32),  # of each vertex of one body
    offsets: wp.array(dtype=wp.vec3),  # (people x vertices) of cloth, hair and shoes, in the vertex's own frame
    rotation: wp.array(dtype=wp.mat33),
    translation: wp.array(dtype=wp.vec3),
    dressed: wp.array2d(dtype=wp.vec3),
    viewed: wp.array2d(dtype=wp.vec3),
):
    """Vertices of the dressed body in the world, and the same in camera axes.

    A vertex's frame is its normal, the way to a neighbour along the surface, and across both.
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
    """Twice the area of (a, b, point): positive inside; 0 or less on an edge that is not the face's own.

    Of two faces that share an edge the one below or to the right of it owns it (top-left rule, y down).
    """
    value = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
    if by < ay or (by == ay and bx > ax):
        return value + wp.int64(1)
    return value


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
    first_column = wp.max(0, int(wp.ceil(float(wp.min(wp.min(ax, bx), cx)) / _SUBSAMPLES - 0.5)))
    last_column = wp.min(columns - 1, int(wp.floor(float(wp.max(wp.max(ax, bx), cx)) / _SUBSAMPLES - 0.5)))
    first_row = wp.max(0, int(wp.ceil(float(wp.min(wp.min(ay, by), cy)) / _SUBSAMPLES - 0.5)))
    last_row = wp.min(rows - 1, int(wp.floor(float(wp.max(wp.max(ay, by), cy)) / _SUBSAMPLES - 0.5)))
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
        for column in range(first_column, last_column + 1):
            if ab > wp.int64(0) and bc > wp.int64(0) and ca > wp.int64(0):
                inverse = (
                    inverse_depth[0] * (float(column) + 0.5) + inverse_depth[1] * (float(row) + 0.5) + inverse_depth[2]
                )
                depth = wp.clamp(1.0 / inverse, lowest, highest)
                climb = height[0] * (float(column) + 0.5) + height[1] * (float(row) + 0.5) + height[2]
                if eye + depth * climb >= floor:
                    steps = wp.int64(depth * _DEPTH_STEPS)
                    wp.atomic_min(zbuffer, frame, row, column, (steps << _FACE_BITS) | wp.int64(face))
                    touched[frame, pixel_row, int((float(column) + 0.5) * per_sample)] = wp.uint8(1)
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
    return wp.vec2(
        samples * ((k[0, 0] * point[0] + k[0, 1] * point[1]) / point[2] + k[0, 2]),
        samples * (k[1, 1] * point[1] / point[2] + k[1, 2]),
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
    rotation: wp.array(dtype=wp.mat33),
    translation: wp.array(dtype=wp.vec3),
    samples: int,  # a pixel's side is cut into this many samples
    floor: float,  # metres: what is lower is hidden by the ground
    cull: int,  # 1: leave out faces seen from behind
    zbuffer: wp.array3d(dtype=wp.int64),
    touched: wp.array3d(dtype=wp.uint8),  # 1 where a pixel has a sample that sees a face
):
    """Enter every face of every person into the z-buffer, cut at the near plane."""
    frame, index = wp.tid()
    num_faces = faces.shape[0]
    face = faces[index % num_faces]
    base = (index // num_faces) * num_vertices
    a = viewed[frame, base + face[0]]
    b = viewed[frame, base + face[1]]
    c = viewed[frame, base + face[2]]
    lowest = wp.min(wp.min(a[2], b[2]), c[2])
    highest = wp.max(wp.max(a[2], b[2]), c[2])
    if highest < _NEAR:
        return
    normal = wp.cross(b - a, c - a)
    distance = wp.dot(normal, a)
    if distance == 0.0 or (cull == 1 and distance > 0.0):
        return
    k = intrinsics[frame]
    scale = float(samples)
    # The ray of a sample is ((u - cx - skew * y) / fx, (v - cy) / fy, 1), and 1 / depth = normal . ray / distance.
    per_row = (normal[1] - normal[0] * k[0, 1] / k[0, 0]) / (k[1, 1] * scale * distance)
    per_column = normal[0] / (k[0, 0] * scale * distance)
    start = normal[2] / distance - per_column * scale * k[0, 2] - per_row * scale * k[1, 2]
    inverse_depth = wp.vec3(per_column, per_row, start)
    # World height is eye + depth * (up . ray), up being the world's third axis in camera axes.
    up = wp.vec3(rotation[frame][0, 2], rotation[frame][1, 2], rotation[frame][2, 2])
    eye = -wp.dot(up, translation[frame])
    up_row = (up[1] - up[0] * k[0, 1] / k[0, 0]) / (k[1, 1] * scale)
    up_column = up[0] / (k[0, 0] * scale)
    height = wp.vec3(up_column, up_row, up[2] - up_column * scale * k[0, 2] - up_row * scale * k[1, 2])
    if lowest >= _NEAR:
        fill_depth(
            to_sample(a, k, scale),
            to_sample(b, k, scale),
            to_sample(c, k, scale),
            inverse_depth,
            lowest,
            highest,
            height,
            eye,
            floor,
            index,
            frame,
            samples,
            zbuffer,
            touched,
        )
        return
    # One or two corners lie before the near plane. Turn the face until `first` is the one alone on its side.
    behind = int(a[2] < _NEAR) + int(b[2] < _NEAR) + int(c[2] < _NEAR)
    alone_is_behind = behind == 1
    b_alone = (b[2] < _NEAR) == alone_is_behind
    c_alone = (c[2] < _NEAR) == alone_is_behind
    first = wp.where(b_alone, b, wp.where(c_alone, c, a))
    second = wp.where(b_alone, c, wp.where(c_alone, a, b))
    third = wp.where(b_alone, a, wp.where(c_alone, b, c))
    if alone_is_behind:
        to_second = to_sample(at_near(second, first), k, scale)
        to_third = to_sample(at_near(third, first), k, scale)
        corner = to_sample(third, k, scale)
        beyond = to_sample(second, k, scale)
        fill_depth(
            to_second,
            beyond,
            corner,
            inverse_depth,
            _NEAR,
            highest,
            height,
            eye,
            floor,
            index,
            frame,
            samples,
            zbuffer,
            touched,
        )
        fill_depth(
            to_second,
            corner,
            to_third,
            inverse_depth,
            _NEAR,
            highest,
            height,
            eye,
            floor,
            index,
            frame,
            samples,
            zbuffer,
            touched,
        )
    else:
        fill_depth(
            to_sample(first, k, scale),
            to_sample(at_near(first, second), k, scale),
            to_sample(at_near(first, third), k, scale),
            inverse_depth,
            _NEAR,
            highest,
            height,
            eye,
            floor,
            index,
            frame,
            samples,
            zbuffer,
            touched,
        )
