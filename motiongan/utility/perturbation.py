"""Standard perturbation: what anybody does to few clips before asking for more of them."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from motiongan.body.joint_sets import JOINT_SETS, JointSet

JOINTS = "h36m17"  # the joint set that lifters are trained on


@dataclass(frozen=True)
class Perturbation:
    """Mirror, time warp, limb scaling and tilt of windows of joint positions; each is drawn for each window.

    mirror   share of windows that are seen in a mirror
    speed    a window plays at a speed between 1 / speed and speed, and changes it by up to that much on its way
    limb     the length of each kind of bone, left and right alike, changes by up to this share
    size     the whole body too
    tilt     radians by which the body leans at most, about a random horizontal axis
    Turning about the vertical axis is not here: random cameras do that in every row of the benchmark.
    """

    mirror: float = 0.5
    speed: float = 1.2
    limb: float = 0.05
    size: float = 0.05
    tilt: float = math.radians(5)

    def times(self, count: int, frames: int, *, generator: torch.Generator) -> Float[Tensor, "count frames"]:
        """Which time of the clip each frame of a window shows, in frames from the window's middle one."""
        steps = torch.arange(frames) - (frames - 1) / 2
        middle, change = (_between(count, math.log(self.speed), generator) for _ in range(2))
        # The integral of a speed that grows by `change` (as a logarithm, to first order) from one end to the other.
        bend = steps.square() / frames - frames / 12
        bend = bend - bend[(frames - 1) // 2]
        return middle.exp()[:, None] * (steps + change[:, None] * bend / 2)

    def apply(
        self, joints: Float[Tensor, "count frames points 3"], *, generator: torch.Generator
    ) -> Float[Tensor, "count frames points 3"]:
        """The windows mirrored, with other limbs, and tilted about the root of their middle frame."""
        joint_set = JOINT_SETS[JOINTS]
        count = len(joints)
        flip = torch.rand(count, generator=generator) < self.mirror
        joints = torch.where(flip[:, None, None, None], mirrored(joints, joint_set), joints)
        pair = [min(index, other) for index, other in enumerate(joint_set.mirror)]
        scale = (1 + _between((count, len(pair)), self.limb, generator))[:, pair]
        joints = scaled(joints, scale * (1 + _between((count, 1), self.size, generator)), joint_set)
        axis, angle = _between(count, math.pi, generator), _between(count, self.tilt, generator)
        root = joints[:, joints.shape[1] // 2, :1][:, None]
        return root + (joints - root) @ _leaning(axis, angle).transpose(-1, -2)[:, None]


def mirrored(
    joints: Float[Tensor, "*batch points 3"], joint_set: JointSet = JOINT_SETS[JOINTS]
) -> Float[Tensor, "*batch points 3"]:
    """World positions seen in a mirror that stands along the y and z axes: x negated, left and right exchanged."""
    return joints[..., list(joint_set.mirror), :] * joints.new_tensor([-1.0, 1.0, 1.0])


def scaled(
    joints: Float[Tensor, "count frames points 3"],
    scale: Float[Tensor, "count points"],
    joint_set: JointSet = JOINT_SETS[JOINTS],
) -> Float[Tensor, "count frames points 3"]:
    """Positions with each point's bone to its parent made longer by `scale`; bones keep their directions.

    The root stays above its place on the ground; its height goes with its own entry in `scale`.
    """
    parents = torch.tensor([max(parent, 0) for parent in joint_set.parents])
    root = joint_set.parents.index(-1)
    bones = joints - joints[:, :, parents]
    level = joints.new_tensor([0.0, 0.0, 1.0])
    lift = scale[:, root, None, None] - 1
    bones = bones * scale[:, None, :, None]
    bones[:, :, root] = joints[:, :, root] * (1 + lift * level)
    return torch.einsum("pq,bfqc->bfpc", _chains(joint_set).to(joints), bones)


def _chains(joint_set: JointSet) -> Float[Tensor, "points points"]:
    """1 where the second point lies on the way from the root to the first one, itself included."""
    chains = torch.eye(len(joint_set.points))
    for point in range(len(joint_set.points)):
        parent = joint_set.parents[point]
        while parent >= 0:
            chains[point, parent] = 1
            parent = joint_set.parents[parent]
    return chains


def _leaning(axis: Float[Tensor, "count"], angle: Float[Tensor, "count"]) -> Float[Tensor, "count 3 3"]:
    """Rotations by `angle` about the horizontal direction `axis` (radians from x)."""
    import roma

    direction = torch.stack([axis.cos(), axis.sin(), torch.zeros_like(axis)], -1)
    return roma.rotvec_to_rotmat(direction * angle[:, None])


def _between(shape: int | tuple[int, ...], most: float, generator: torch.Generator) -> Tensor:
    """Uniform numbers between -most and most."""
    return most * (2 * torch.rand(shape, generator=generator) - 1)
