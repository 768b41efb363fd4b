"""Annotated meshes instead of pictures, for those who render with an engine of their own: one .npz per scene."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from motiongan.body.smpl import Body
from motiongan.files import whole_file
from motiongan.rendering.frames import PersonTrack

FOLDER = "meshes"


def mesh_path(folder: str | Path, name: str) -> Path:
    """Where the meshes of a scene stand; the file exists only when it is complete."""
    return Path(folder) / FOLDER / f"{name}.npz"


def write_meshes(
    folder: str | Path,
    name: str,
    people: Sequence[PersonTrack],
    body: Body,
    frames: Sequence[int],
    frame_rate: float,
) -> Path:
    """Write the posed meshes of a scene: world axes, Z up, metres; arrays of people first.

    vertices (people, frames, vertices, 3), joints (people, frames, 24, 3), poses, trans, betas, action, clip, seed
    (-1 = none), faces, part (the joint that moves each vertex most), frame, frame_rate, body_model.
    """
    path = mesh_path(folder, name)
    with whole_file(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file,
            vertices=np.stack([person.vertices for person in people]),
            joints=np.stack([person.joints for person in people]),
            poses=np.stack([person.poses for person in people]),
            trans=np.stack([person.trans for person in people]),
            betas=np.stack([person.betas for person in people]),
            action=np.array([person.action or "" for person in people]),
            clip=np.array([person.clip for person in people]),
            seed=np.array([-1 if person.seed is None else person.seed for person in people]),
            faces=body.faces.numpy().astype(np.int32),
            part=body.part.numpy().astype(np.uint8),
            frame=np.asarray(frames),
            frame_rate=np.array(frame_rate),
            body_model=np.array(body.name),
        )
    return path
