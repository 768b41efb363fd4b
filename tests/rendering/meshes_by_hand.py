"""Small meshes, a plain stage for them, and a slow ray caster that knows nothing of rasterization."""

import numpy as np
import torch

from motiongan.rendering.appearance import Landmarks, draw_looks
from motiongan.rendering.camera import Camera
from motiongan.rendering.lighting import Lighting
from motiongan.rendering.rasterizer import Buffers, Quality, Rasterizer
from motiongan.rendering.scenes import Scene

SHARP = Quality(samples=1, shadows=False, dressed=False)
LIGHT = Lighting(
    key=(0.0, 0.0, 1.0),
    key_colour=(1.0, 1.0, 1.0),
    key_spread=0.001,
    fill=(0.0, 1.0, 0.0),
    fill_colour=(0.0, 0.0, 0.0),
    sky_colour=(0.2, 0.2, 0.2),
    bounce_colour=(0.2, 0.2, 0.2),
)
NOWHERE = Scene("nowhere", "nothing at all", LIGHT, colour=(0.0, 0.0, 0.0))
MARKS = Landmarks(
    shoulder=(0.2, 0.2, 0.0),
    elbow=(0.45, 0.2, 0.0),
    wrist=(0.7, 0.2, 0.0),
    hip=(0.1, -0.3, 0.0),
    knee=(0.1, -0.7, 0.0),
    ankle=(0.1, -1.1, 0.0),
    ball=(0.1, -1.15, 0.1),
    neck=(0.0, 0.25, 0.0),
    crotch_y=-0.4,
    waist_y=-0.15,
    sole_y=-1.2,
    top_y=0.5,
    nose=(0.0, 0.35, 0.15),
    eye=(0.03, 0.39, 0.13),
)


def at_origin(size: int, focal: float, *, frames: int = 1, width: int | None = None) -> Camera:
    """A camera whose axes are the world's: x right, y down, z forward; its middle is the picture's."""
    width = width or size
    k = torch.tensor([[focal, 0.0, width / 2], [0.0, focal, size / 2], [0.0, 0.0, 1.0]])
    return Camera(
        k.expand(frames, 3, 3), torch.eye(3).expand(frames, 3, 3), torch.zeros(frames, 3), width=width, height=size
    )


def draw(
    vertices: np.ndarray,
    faces: np.ndarray,
    camera: Camera,
    *,
    quality: Quality = SHARP,
    scene: Scene = NOWHERE,
    weights: np.ndarray | None = None,
    cull: bool = False,
) -> Buffers:
    """Pictures of (frames, people, vertices, 3) people of one mesh."""
    vertices = np.asarray(vertices, np.float32)
    weights = np.eye(24, dtype=np.float32)[np.zeros(vertices.shape[2], int)] if weights is None else weights
    rasterizer = Rasterizer(np.asarray(faces), vertices[0, 0], weights, cull=cull)
    looks = draw_looks(["neutral"] * vertices.shape[1], random=np.random.default_rng(0))
    return rasterizer.render(rasterizer.stage(scene, looks, MARKS), [(vertices, camera, 1.0)], quality=quality)


def ball(radius: float, centre: tuple[float, float, float], rings: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """A closed ball of (vertices, faces), counter-clockwise from outside."""
    polar = np.linspace(0, np.pi, rings + 1)[1:-1]
    turn = np.arange(2 * rings) * np.pi / rings
    around = np.stack(
        [
            np.outer(np.sin(polar), np.cos(turn)),
            np.outer(np.sin(polar), np.sin(turn)),
            np.outer(np.cos(polar), turn**0),
        ],
        -1,
    ).reshape(-1, 3)
    vertices = np.concatenate([around, [[0, 0, 1.0], [0, 0, -1.0]]])
    count, faces = 2 * rings, []
    for ring in range(rings - 1):
        for step in range(count):
            here, beside = ring * count + step, ring * count + (step + 1) % count
            if ring == 0:
                faces.append([len(around), here, beside])
            if ring == rings - 2:
                faces.append([len(around) + 1, beside, here])
            else:
                below, slanted = here + count, beside + count
                faces += [[here, below, slanted], [here, slanted, beside]]
    return vertices * radius + np.asarray(centre), np.array(faces)


def box(low: tuple[float, float, float], high: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """A closed box of (vertices, faces), counter-clockwise from outside."""
    corners = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    return corners, np.array([face for a, b, c, d in sides for face in ((a, b, c), (a, c, d))])


def cast_rays(
    triangles: np.ndarray, camera: Camera, *, near: float = 0.05
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(height, width) depth, number of the nearest triangle (-1 = none), and how far inside it the ray passes.

    triangles  (count, 3, 3) in camera axes. Moeller and Trumbore 1997, in double precision, one ray per pixel centre.
    """
    k = camera.intrinsics[0].double().numpy()
    column, row = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    rays = np.stack([column, row, np.ones_like(row)], -1) @ np.linalg.inv(k).T
    depth = np.full(row.shape, np.inf)
    nearest = np.full(row.shape, -1)
    margin = np.zeros(row.shape)
    for number, (a, b, c) in enumerate(np.asarray(triangles, np.float64)):
        across = np.cross(rays, c - a)
        determinant = across @ (b - a)
        with np.errstate(divide="ignore", invalid="ignore"):
            u = across @ -a / determinant
            other = np.cross(-a, b - a)
            v = rays @ other / determinant
            z = other @ (c - a) / determinant
        inside = np.minimum(np.minimum(u, v), 1 - u - v)
        hit = (inside >= 0) & (z >= near) & (z < depth)
        depth[hit], nearest[hit], margin[hit] = z[hit], number, inside[hit]
    return depth, nearest, margin
