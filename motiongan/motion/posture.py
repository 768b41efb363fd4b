"""Mixed postures: one clip's movement about the posture, and with the reach, of another's.

Few people move in a data set of motion capture. How a person carries the trunk and the arms, how widely they swing and
how deep they bend their knees differs from one to the next. So a clip may take on some of the posture of another clip
of its action: the mean rotation of each joint moves towards the other's, and the rotations about the mean grow or
shrink towards the other's. Statistics of style in the sense of Huang & Belongie 2017 (AdaIN, arXiv 1703.06868), on
joint rotations. Windows take on the trunk's and arms' as they are drawn, and their feet stand where they stood;
whole clips with other legs too, their feet settled anew, are made in variants.py.
"""

from collections.abc import Sequence

import roma
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from motiongan.body.skeleton import JOINT, NUM_MOVING_JOINTS
from motiongan.motion.features import ROTATIONS, rotation_6d, rotation_from_6d

TRUNK = tuple(JOINT[name] for name in ("spine1", "spine2", "spine3", "neck", "head"))
LEFT_ARM, RIGHT_ARM = (
    tuple(JOINT[f"{side}_{name}"] for name in ("collar", "shoulder", "elbow", "wrist")) for side in ("left", "right")
)
UPPER_BODY = tuple(sorted(TRUNK + LEFT_ARM + RIGHT_ARM))
# The pelvis goes with the legs: other legs below it alone would leave the body out of balance.
LOWER_BODY = (
    JOINT["pelvis"],
    *(JOINT[f"{side}_{name}"] for side in ("left", "right") for name in ("hip", "knee", "ankle")),
)
_LEAST_SPREAD = 0.05  # rad: a joint that hardly moves says nothing about how far one moves
_MOST_GROWTH = 1.25  # of a movement; and its inverse


class Postures:
    """The postures of a list of clips, and their movement about them.

    features   of each clip, (its frames, 140), not normalised
    joints     that are mixed: UPPER_BODY or LOWER_BODY
    """

    def __init__(
        self, features: Sequence[Float[Tensor, "_ 140"]], device: torch.device, joints: Sequence[int] = UPPER_BODY
    ) -> None:
        self.joints = list(joints)
        means, spreads, moves = [], [], []
        for clip in features:
            rotations = rotation_from_6d(clip[:, ROTATIONS].unflatten(-1, (NUM_MOVING_JOINTS, 6))[:, self.joints])
            mean = roma.special_procrustes(rotations.mean(0))
            move = roma.rotmat_to_rotvec(mean.mT @ rotations)
            means.append(mean)
            spreads.append(move.square().sum(-1).mean(0).sqrt().clamp(min=_LEAST_SPREAD))
            moves.append(move)
        self.means = torch.stack(means).to(device)  # (clips, joints, 3, 3)
        self.spreads = torch.stack(spreads).to(device)  # (clips, joints) radians
        self.moves = torch.cat(moves).to(device)  # (all frames, joints, 3) axis-angle about the mean

    def mix(
        self,
        features: Float[Tensor, "batch frames 140"],
        rows: Int64[Tensor, "batch frames"],
        clips: Int64[Tensor, "batch"],
        others: Int64[Tensor, "batch"],
        share: Float[Tensor, "batch"],
    ) -> Float[Tensor, "batch frames 140"]:
        """Windows with a share (0 none, 1 all) of the other clip's posture and reach.

        rows   of the windows' frames among the frames of all clips
        """
        own, other = self.means[clips], self.means[others]
        turn = roma.rotmat_to_rotvec(own.mT @ other) * share[:, None, None]
        mean = own @ roma.rotvec_to_rotmat(turn)
        growth = (self.spreads[others] / self.spreads[clips]).clamp(1 / _MOST_GROWTH, _MOST_GROWTH) ** share[:, None]
        move = self.moves[rows] * growth[:, None, :, None]
        rotations = mean[:, None] @ roma.rotvec_to_rotmat(move)
        mixed = features.clone()
        values = mixed[..., ROTATIONS].unflatten(-1, (NUM_MOVING_JOINTS, 6))
        values[:, :, self.joints] = rotation_6d(rotations)
        return mixed
