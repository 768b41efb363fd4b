"""Angles of rotation matrices in the orders that foreign formats want, without jumps where that can be."""

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

_GIMBAL = 1e-7  # sine or cosine of the middle angle below which the outer two turn about one axis


def zxy_angles(rotations: Float64[ndarray, "frames *joints 3 3"]) -> Float64[ndarray, "frames *joints 3"]:
    """Angles (z, x, y) in radians with Rz Rx Ry = rotation, without jumps from frame to frame.

    Each rotation has two such triples, (z, x, y) and (z + pi, pi - x, y + pi), and any multiple of 2 pi more: the one
    nearest to the frame before is taken, so that tools which interpolate angles see smooth curves. Where x is a
    right angle, z is that of the frame before.
    """
    angles = np.empty(rotations.shape[:-1])
    before = np.zeros(rotations.shape[1:-1])
    for frame, rotation in enumerate(rotations):
        # Rz Rx Ry = [[., -sz cx, .], [., cz cx, .], [-cx sy, sx, cx cy]]
        cosine = np.hypot(rotation[..., 0, 1], rotation[..., 1, 1])
        x = np.arctan2(rotation[..., 2, 1], cosine)
        z = np.where(cosine > _GIMBAL, np.arctan2(-rotation[..., 0, 1], rotation[..., 1, 1]), before[..., 0])
        # What is left after Rz: its first row is that of Rx Ry, (cy, 0, sy).
        first_row = np.cos(z)[..., None] * rotation[..., 0, :] + np.sin(z)[..., None] * rotation[..., 1, :]
        y = np.arctan2(first_row[..., 2], first_row[..., 0])
        one, other = np.stack([z, x, y], -1), np.stack([z + np.pi, np.pi - x, y + np.pi], -1)
        one, other = (each - 2 * np.pi * np.round((each - before) / (2 * np.pi)) for each in (one, other))
        is_nearer = np.abs(one - before).sum(-1) <= np.abs(other - before).sum(-1)
        before = angles[frame] = np.where(is_nearer[..., None], one, other)
    return angles


def yxz_angles(rotations: Float64[ndarray, "frames 3 3"]) -> Float64[ndarray, "frames 3"]:
    """Angles (y, x, z) in radians with Ry Rx Rz = rotation; y and z go on beyond half turns, x within a right angle."""
    # Ry Rx Rz = [[., ., sy cx], [cx sz, cx cz, -sx], [., ., cy cx]]
    y = np.arctan2(rotations[:, 0, 2], rotations[:, 2, 2])
    x = np.arctan2(-rotations[:, 1, 2], np.hypot(rotations[:, 1, 0], rotations[:, 1, 1]))
    z = np.arctan2(rotations[:, 1, 0], rotations[:, 1, 1])
    return np.stack([np.unwrap(y), x, np.unwrap(z)], -1)


def elevation_angles(rotations: Float64[ndarray, "frames 3 3"]) -> Float64[ndarray, "frames 3"]:
    """Plane, elevation and axial rotation (p, e, r) in radians with Ry(p) Rx(-e) Ry(r) = rotation, e in [0, pi].

    While nothing is elevated there is no plane: it keeps the last one, at first 0, and r tells the whole turn.
    """
    # Ry(p) Rx(-e) Ry(r) = [[., -sp se, .], [-se sr, ce, se cr], [., -cp se, .]]
    sine = np.hypot(rotations[:, 0, 1], rotations[:, 2, 1])
    elevation = np.arctan2(sine, rotations[:, 1, 1])
    plane = np.arctan2(-rotations[:, 0, 1], -rotations[:, 2, 1])
    turn = np.arctan2(-rotations[:, 1, 0], rotations[:, 1, 2])
    last = 0.0
    for frame in range(len(rotations)):
        if sine[frame] > _GIMBAL:
            last = plane[frame]
            continue
        plane[frame] = last
        # Hanging, R = Ry(p + r); straight overhead, R = Ry(p) Rx(pi) Ry(r) = Ry(p - r) Rx(pi).
        whole = np.arctan2(rotations[frame, 0, 2], rotations[frame, 0, 0])
        turn[frame] = whole - last if rotations[frame, 1, 1] > 0 else whole + last
    return np.stack([np.unwrap(plane), elevation, np.unwrap(turn)], -1)
