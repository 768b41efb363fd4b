"""The hands' rest pose: fingers a little curled and closer together, as a hand hangs, instead of MakeHuman's spread."""

import numpy as np
import roma
import torch
from numpy import ndarray

from motiongan.body.skeleton import JOINT

# Degrees that each finger bends at its three joints, thumb first; a hanging hand curls more towards the little finger.
BENDS: tuple[tuple[float, float, float], ...] = (
    (0, 6, 10), (6, 18, 12), (8, 20, 13), (10, 22, 14), (12, 22, 14),
)  # fmt: skip
CLOSING = 0.5  # share of the angle between a finger and the middle finger that it gives up
THUMB_IN = 10.0  # degrees that the thumb comes closer to the index finger


def curl_hands(
    points: ndarray,
    directions: ndarray,
    joint_directions: ndarray,
    bone_weights: ndarray,
    labels: list[str],
    heads: ndarray,
    tails: ndarray,
) -> tuple[ndarray, ndarray]:
    """Points (V, 3) and shape directions (V, 3, B) of the T-pose with curled fingers.

    joint_directions  (24, 3, B) how our joints move with the shape: the fingers go along with their hand
    bone_weights      (V, bones) MakeHuman's own; heads, tails (bones, 3) its bones in the T-pose; labels their names
    """
    matrices = np.tile(np.eye(4), (len(labels), 1, 1))
    index = {label: bone for bone, label in enumerate(labels)}
    for side in ("L", "R"):
        first = [index[f"finger{finger}-1.{side}"] for finger in range(1, 6)]
        along = _unit(tails[[index[f"finger{finger}-2.{side}"] for finger in range(1, 6)]] - heads[first])
        wrist = heads[index[f"wrist.{side}"]]
        palm = _unit(np.cross(heads[first[1]] - wrist, heads[first[4]] - wrist))  # the palm's way, or the back's
        palm = palm * -np.sign(palm[1])  # in the T-pose the palm looks down
        for finger in range(5):
            if finger == 0:
                turn = _about(np.cross(along[0], along[1]), THUMB_IN)
                bend_axis = _unit(np.cross(along[0], along[1]))
            else:
                across = [a - palm * (palm @ a) for a in (along[finger], along[2])]
                apart = np.arctan2(np.cross(across[0], across[1]) @ palm, across[0] @ across[1])
                turn = _about(palm, np.degrees(apart) * CLOSING)
                bend_axis = turn @ _unit(np.cross(along[finger], palm))
            matrix = np.eye(4)
            for joint, degrees in enumerate(BENDS[finger]):
                bone = index[f"finger{finger + 1}-{joint + 1}.{side}"]
                turn = _about(bend_axis, degrees) @ turn
                # The bone turns about its own head, which its parents have carried along.
                place = matrix[:3, :3] @ heads[bone] + matrix[:3, 3]
                matrix = np.eye(4)
                matrix[:3, :3], matrix[:3, 3] = turn, place - turn @ heads[bone]
                matrices[bone] = matrix
    blend = np.tensordot(bone_weights, matrices, 1)
    curled = np.einsum("vab,vb->va", blend[:, :3, :3], points) + blend[:, :3, 3]
    hand = joint_directions[np.where(points[:, 0] > 0, JOINT["left_hand"], JOINT["right_hand"])]
    # Where no finger pulls, the blend is the identity and nothing changes.
    return curled, hand + np.einsum("vab,vbk->vak", blend[:, :3, :3], directions - hand)


def _unit(vectors: ndarray) -> ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _about(axis: ndarray, degrees: float) -> ndarray:
    return roma.rotvec_to_rotmat(torch.from_numpy(_unit(axis) * np.radians(degrees))).numpy()
