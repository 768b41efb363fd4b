"""Euler angles of skeleton files, in any order of axes, to rotation matrices."""

import numpy as np
import roma
import torch
from jaxtyping import Float64
from numpy import ndarray


def euler_to_matrix(angles: Float64[ndarray, "*batch axes"], axes: str) -> Float64[ndarray, "*batch 3 3"]:
    """Rotation matrices of Euler angles in radians, about the axes in the order of the last dimension.

    axes   one to three letters. Capitals turn about the axes of the turning body: "ZYX" is Rz @ Ry @ Rx, as BVH's
           channels mean it. Small letters turn about the fixed axes: "xyz" is Rz @ Ry @ Rx, as Acclaim means it.
    """
    assert angles.shape[-1] == len(axes), f"{angles.shape[-1]} angles for the axes {axes}"
    return roma.euler_to_rotmat(axes, torch.from_numpy(np.ascontiguousarray(angles))).numpy()
