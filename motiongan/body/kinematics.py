"""Forward kinematics on the SMPL tree: local rotations + skeleton + root translation -> world positions."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from motiongan.body.skeleton import NUM_JOINTS, PARENTS, SOLE_JOINTS


@dataclass(frozen=True)
class Skeleton:
    """The bones of one body (or a batch of bodies) at rest: T-pose, metres, SMPL's rest axes (Y up, facing +Z).

    rest_joints  (*batch, 24, 3) joint positions in the rest pose
    rest_soles   (*batch, 4, 3) the points a foot stands on, order of `SOLE_NAMES`, in the rest pose
    """

    rest_joints: Float[Tensor, "*batch 24 3"]
    rest_soles: Float[Tensor, "*batch 4 3"]

    @property
    def leg_length(self) -> Float[Tensor, "*batch"]:
        """Height of the pelvis above the sole in the rest pose, metres: the house's unit for learned motion."""
        return self.rest_joints[..., 0, 1] - self.rest_soles[..., 1].mean(-1)

    def to(self, device: torch.device | str) -> "Skeleton":
        return Skeleton(self.rest_joints.to(device), self.rest_soles.to(device))

    def unsqueeze(self, dim: int) -> "Skeleton":
        """The skeleton with one more batch axis, to broadcast over frames; `dim` counts batch axes from the front."""
        return Skeleton(self.rest_joints.unsqueeze(dim), self.rest_soles.unsqueeze(dim))


@dataclass(frozen=True)
class BoneShape:
    """The part of a body model that gives its bones: a linear map from betas to the rest skeleton, metres.

    Small enough to travel inside a model file, so that generation needs no body file.
    """

    joint_template: Float[Tensor, "24 3"]
    joint_shapedirs: Float[Tensor, "24 3 betas"]
    sole_template: Float[Tensor, "4 3"]
    sole_shapedirs: Float[Tensor, "4 3 betas"]

    def skeleton(self, betas: Float[Tensor, "*batch used"]) -> Skeleton:
        """The bones of these shapes at rest. Fewer betas than the body has leave the others at 0."""
        used = betas.shape[-1]
        assert used <= self.joint_shapedirs.shape[-1], f"{used} betas for a body with {self.joint_shapedirs.shape[-1]}"
        return Skeleton(
            self.joint_template + torch.einsum("jcb,...b->...jc", self.joint_shapedirs[..., :used], betas),
            self.sole_template + torch.einsum("jcb,...b->...jc", self.sole_shapedirs[..., :used], betas),
        )


@dataclass(frozen=True)
class PosedSkeleton:
    """World state of a posed skeleton, metres.

    joints     (*batch, 24, 3) positions
    rotations  (*batch, 24, 3, 3) world rotation of every joint
    soles      (*batch, 4, 3) positions of the sole points
    """

    joints: Float[Tensor, "*batch 24 3"]
    rotations: Float[Tensor, "*batch 24 3 3"]
    soles: Float[Tensor, "*batch 4 3"]


def forward_kinematics(
    rotations: Float[Tensor, "*batch 24 3 3"],
    trans: Float[Tensor, "*batch 3"],
    skeleton: Skeleton,
) -> PosedSkeleton:
    """World joints, rotations and sole points of local joint rotations.

    The skeleton's batch axes broadcast against those of `rotations`. As in SMPL, the pelvis lands at
    rest pelvis + trans: the root rotates about the rest pelvis, not about the origin.

    All joints of one depth of the tree are turned at once, with the batch as the innermost axis: a third of the
    time of one small matrix product per joint and frame.
    """
    batch = rotations.shape[:-3]
    local = rotations.flatten(0, -4).permute(1, 2, 3, 0) if batch else rotations[..., None]  # (24, 3, 3, all)
    local = local.contiguous()
    rest_joints = _batch_last(skeleton.rest_joints, batch)  # (24, 3, all or 1)
    rest_soles = _batch_last(skeleton.rest_soles, batch)
    root = rest_joints[:1] + _batch_last(trans[..., None, :], batch)
    world, position = [local[:1]], [root]  # one entry per depth of the tree
    depths, from_depths, feet = _indices(rotations.device)
    for joints, parents, rows in depths:
        turned = world[-1][rows]
        offset = rest_joints[joints] - rest_joints[parents]
        world.append((turned[:, :, :, None] * local[joints][:, None]).sum(2))
        position.append(position[-1][rows] + _rotate(turned, offset))
    rotation, placed = torch.cat(world)[from_depths], torch.cat(position)[from_depths]
    soles = placed[feet] + _rotate(rotation[feet], rest_soles - rest_joints[feet])

    def batch_first(values: Tensor) -> Tensor:
        return values.movedim(-1, 0).unflatten(0, batch) if batch else values[..., 0]

    return PosedSkeleton(batch_first(placed), batch_first(rotation), batch_first(soles))


def _depths() -> tuple[list[tuple[list[int], list[int], list[int]]], list[int]]:
    """For every depth below the root: its joints, their parents, and the parents' rows among the depth above.

    Also the order that brings joints listed by depth back to SMPL's order.
    """
    depths, above, order = [], [0], [0]
    while joints := [joint for joint in range(NUM_JOINTS) if PARENTS[joint] in above]:
        parents = [PARENTS[joint] for joint in joints]
        depths.append((joints, parents, [above.index(parent) for parent in parents]))
        above = joints
        order += joints
    return depths, [order.index(joint) for joint in range(NUM_JOINTS)]


@functools.cache
def _indices(device: torch.device) -> tuple[list[tuple[Tensor, Tensor, Tensor]], Tensor, Tensor]:
    """`_depths` and the sole points' joints as tensors: a list as index is copied to the device anew each time."""

    def index(numbers: Sequence[int]) -> Tensor:
        return torch.tensor(numbers, device=device)

    depths, order = _depths()
    return (
        [(index(joints), index(parents), index(rows)) for joints, parents, rows in depths],
        index(order),
        index(SOLE_JOINTS),
    )


def _batch_last(points: Float[Tensor, "*batch points 3"], batch: torch.Size) -> Float[Tensor, "points 3 all"]:
    """The points with all batch axes flattened into a last one, of size 1 where every row has the same points."""
    if points.ndim == 2:
        return points[..., None]
    return points.expand(*batch, *points.shape[-2:]).flatten(0, -3).permute(1, 2, 0)


def _rotate(rotation: Float[Tensor, "joints 3 3 all"], vector: Float[Tensor, "joints 3 any"]) -> Tensor:
    return (rotation * vector[:, None]).sum(2)
