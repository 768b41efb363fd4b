"""A rendered clip without a renderer: every vertex of the body paints a few pixels. For tests of annotations."""

from dataclasses import fields, replace

import numpy as np
import roma
import torch

from motiongan.body.kinematics import forward_kinematics
from motiongan.body.smpl import Body
from motiongan.rendering.camera import Camera, intrinsics_of, look_at
from motiongan.rendering.frames import PersonTrack, RenderedClip
from motiongan.rendering.rasterizer import Buffers

UPRIGHT = (np.pi / 2, 0.0, 0.0)  # stands the rest body up, facing -y
_BRUSH = 1  # pixels to each side of a vertex


def made_up_track(
    body: Body, *, draw: int = 0, num_frames: int = 3, place: tuple[float, float] = (0.0, 0.0), **fields
) -> PersonTrack:
    """A person who stands at `place` (m) and turns about the vertical while all joints move a little."""
    random = np.random.default_rng(draw)
    poses = (0.1 * random.standard_normal((num_frames, 24, 3))).astype(np.float32)
    poses[:, 0] = UPRIGHT
    trans = np.tile(np.array([*place, 1.2], np.float32), (num_frames, 1))
    trans[:, 0] += 0.05 * np.arange(num_frames, dtype=np.float32)
    betas = random.standard_normal(10).astype(np.float32)
    return placed_track(body, poses, trans, betas, **fields)


def placed_track(body: Body, poses: np.ndarray, trans: np.ndarray, betas: np.ndarray, **fields) -> PersonTrack:
    """The track of these parameters, with its joints and mesh."""
    tensors = [torch.from_numpy(np.asarray(array, np.float32)) for array in (poses, trans, betas)]
    with torch.no_grad():
        vertices = body.vertices(*tensors).numpy()
        joints = forward_kinematics(
            roma.rotvec_to_rotmat(tensors[0]), tensors[1], body.skeleton(tensors[2])
        ).joints.numpy()
    fields = {"action": "squat", "clip": 7, "seed": 11, "gender": "female", "subject": "anna", **fields}
    return PersonTrack(*(tensor.numpy() for tensor in tensors), joints=joints, vertices=vertices, **fields)


def orbit(num_frames: int, *, distance: float = 4.0, size: tuple[int, int] = (96, 72), focal: float = 90.0) -> Camera:
    """A camera of (width, height) `size` that walks round the origin, a little above the hips."""
    angle = torch.linspace(-2.0, -1.4, num_frames)
    position = torch.stack([distance * angle.cos(), distance * angle.sin(), torch.full_like(angle, 1.6)], -1)
    rotation, translation = look_at(position, torch.tensor([0.0, 0.0, 1.0]).expand(num_frames, 3), roll=0.1)
    return Camera(intrinsics_of(focal, *size).expand(num_frames, 3, 3), rotation, translation, *size)


def paint(body: Body, camera: Camera, people: tuple[PersonTrack, ...]) -> Buffers:
    """Depth, instance and part of the nearest vertex at every pixel."""
    buffers = Buffers.empty(len(camera), camera.height, camera.width)
    brush = np.stack(np.meshgrid(*[np.arange(-_BRUSH, _BRUSH + 1)] * 2), -1).reshape(-1, 1, 2)
    values: list[list[np.ndarray]] = [[] for _ in range(len(camera))]
    for number, track in enumerate(people, start=1):
        pixels, depth = (array.numpy() for array in camera.project(torch.from_numpy(track.vertices)))
        for frame in range(len(camera)):
            place = (np.floor(pixels[frame]) + brush).reshape(-1, 2)
            more = np.broadcast_to(
                [depth[frame], np.full_like(depth[frame], number), body.part + 1], (3, depth.shape[1])
            )
            values[frame].append(np.concatenate([place, np.tile(more, len(brush)).T], axis=1))
    for frame, rows in enumerate(map(np.concatenate, values)):
        inside = ((rows[:, :2] >= 0) & (rows[:, :2] < (camera.width, camera.height))).all(1) & (rows[:, 2] > 0.1)
        nearest_last = rows[inside][np.argsort(-rows[inside, 2], kind="stable")]
        at = (frame, nearest_last[:, 1].astype(int), nearest_last[:, 0].astype(int))
        buffers.depth[at], buffers.instance[at], buffers.part[at] = nearest_last[:, 2:].T
    buffers.colour[buffers.instance > 0] = (200, 150, 120)
    return buffers


def painted_clip(body: Body, *, num_frames: int = 3, name: str = "00007_squat", view: int = 0) -> RenderedClip:
    """Two people, the second partly behind the first; the camera moves."""
    people = (
        made_up_track(body, draw=1, num_frames=num_frames),
        made_up_track(
            body, draw=2, num_frames=num_frames, place=(0.3, 0.5), action=None, clip=9, seed=None, subject="ben"
        ),
    )
    camera = orbit(num_frames)
    return RenderedClip(
        camera=camera,
        buffers=paint(body, camera, people),
        people=people,
        frame_numbers=[2 * number for number in range(num_frames)],
        frame_rate=15.0,
        name=name,
        view=view,
        background="nothing",
        draws={"light": [0.25, 0.5]},
    )


def cut(clip: RenderedClip, start: int, stop: int) -> RenderedClip:
    """The frames start to stop (exclusive) as a piece of their own."""
    frames = slice(start, stop)
    return replace(
        clip,
        camera=clip.camera[frames],
        buffers=Buffers(**{field.name: getattr(clip.buffers, field.name)[frames] for field in fields(Buffers)}),
        people=tuple(
            replace(track, **{name: getattr(track, name)[frames] for name in ("poses", "trans", "joints", "vertices")})
            for track in clip.people
        ),
        frame_numbers=clip.frame_numbers[frames],
    )
