"""Clip <-> what the networks see: 140 numbers a frame, free of place, heading and body size.

| channels | meaning | unit |
|---|---|---|
| 0:132 | rot6d of joints 0-21; of the root, what remains after its heading is taken out | |
| 132 | pelvis height above the ground | leg lengths |
| 133:135 | pelvis velocity towards the next frame, in the heading frame (forward, left) | leg lengths / s |
| 135 | heading rate towards the next frame | rad / s |
| 136:140 | contact of the sole points (order of SOLE_NAMES), 0 or 1 | |

A leg length is the height of the pelvis over the sole in the rest pose, so the same features plant the feet of
a tall and of a short body. rot6d (Zhou et al. 2019, arXiv 1812.07035) is column after column.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from motiongan.body.anatomy import foot_contacts
from motiongan.body.kinematics import Skeleton, forward_kinematics
from motiongan.body.skeleton import MIRROR_JOINTS, MIRROR_SOLE, NUM_JOINTS, NUM_MOVING_JOINTS, NUM_SOLE_POINTS

ROTATIONS = slice(0, 6 * NUM_MOVING_JOINTS)
HEIGHT = ROTATIONS.stop
VELOCITY = slice(HEIGHT + 1, HEIGHT + 3)
HEADING_RATE = VELOCITY.stop
CONTACTS = slice(HEADING_RATE + 1, HEADING_RATE + 1 + NUM_SOLE_POINTS)
NUM_FEATURES = CONTACTS.stop

# SMPL's rest body stands along +Y and faces +Z. Upright in the Z-up world with heading 0 it faces +X, left is +Y.
UPRIGHT = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])

# Contacts leave a network as any real number; this steep sigmoid around 1/2 makes them a probability.
_CONTACT_SHARPNESS = 8.0
# Width of the smoothing (s) of the height correction, and how much unsupported time pulls it to zero.
_GROUNDING_WIDTH = 0.1
_GROUNDING_PRIOR = 0.05
# What still sinks in is lifted out: by the deepest point within the first time (s), smoothed over the second.
_LIFT_REACH = 0.03
_LIFT_WIDTH = 0.05


@dataclass(frozen=True)
class Motion:
    """Decoded motion of a batch: the differentiable state that critics and kinematic losses look at.

    `local_...` are in the heading frame of each frame: origin on the ground below the pelvis, x forward, y left.
    In the world a motion starts above the origin with heading 0. Metres, radians; Z up.

    local_rotations  (batch, frames, 24, 3, 3) rotations to the parent; of joint 0, without its heading
    local_joints     (batch, frames, 24, 3)
    local_soles      (batch, frames, 4, 3) the points that a foot stands on
    contacts         (batch, frames, 4) probability that a sole point touches the ground
    heading          (batch, frames) radians around Z
    path             (batch, frames, 2) world position of the pelvis on the ground plane
    rest_pelvis      (..., 3) pelvis of the rest pose, which SMPL's root translation leaves out
    """

    local_rotations: Float[Tensor, "batch frames 24 3 3"]
    local_joints: Float[Tensor, "batch frames 24 3"]
    local_soles: Float[Tensor, "batch frames 4 3"]
    contacts: Float[Tensor, "batch frames 4"]
    heading: Float[Tensor, "batch frames"]
    path: Float[Tensor, "batch frames 2"]
    rest_pelvis: Float[Tensor, "*skeleton 3"]

    @cached_property
    def joints(self) -> Float[Tensor, "batch frames 24 3"]:
        """World positions of the joints."""
        return _turn(self.local_joints, self.heading) + _lift(self.path)

    @cached_property
    def soles(self) -> Float[Tensor, "batch frames 4 3"]:
        """World positions of the sole points."""
        return _turn(self.local_soles, self.heading) + _lift(self.path)

    @property
    def trans(self) -> Float[Tensor, "batch frames 3"]:
        """SMPL root translation: pelvis - rest pelvis."""
        return torch.cat([self.path, self.local_joints[:, :, 0, 2:]], dim=-1) - self.rest_pelvis

    @property
    def poses(self) -> Float[Tensor, "batch frames 24 3"]:
        """Axis-angle poses, as the motion file stores them."""
        root = rotation_about_z(self.heading) @ self.local_rotations[:, :, 0]
        return axis_angle_of(torch.cat([root[:, :, None], self.local_rotations[:, :, 1:]], dim=2))


def rotation_6d(rotations: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 6"]:
    """First two columns, column after column: r00 r10 r20 r01 r11 r21."""
    return rotations[..., :2].transpose(-1, -2).flatten(-2)


def rotation_from_6d(values: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch 3 3"]:
    """The rotation whose first two columns Gram-Schmidt makes of the values (Zhou et al. 2019, Eq. 15).

    Written out with the batch innermost: a third of the time of norm and cross over a last axis of 3.
    """
    components = values.movedim(-1, 0).contiguous()
    x, y = components[:3], components[3:]
    x = x * torch.rsqrt((x * x).sum(0) + 1e-12)
    y = y - (x * y).sum(0) * x
    y = y * torch.rsqrt((y * y).sum(0) + 1e-12)
    z = torch.stack([x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2], x[0] * y[1] - x[1] * y[0]])
    return torch.stack([x, y, z], dim=1).movedim((0, 1), (-2, -1))


def axis_angle_of(rotations: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3"]:
    """Axis-angle (radians, angle at most pi) of rotation matrices; differentiable everywhere but at an angle of pi.

    roma.rotmat_to_rotvec is the same (the test compares them), but `import roma` loads torch._dynamo since roma 1.6:
    a second of every start of `motiongan generate`, which needs nothing else of it.
    Source: the quaternion as the longest row of 4 q q^T, Markley 2008, doi 10.2514/1.31730.
    """
    (r00, r01, r02), (r10, r11, r12), (r20, r21, r22) = (row.unbind(-1) for row in rotations.unbind(-2))
    rows = [
        torch.stack([1 + r00 - r11 - r22, r01 + r10, r02 + r20, r21 - r12], dim=-1),
        torch.stack([r01 + r10, 1 + r11 - r00 - r22, r12 + r21, r02 - r20], dim=-1),
        torch.stack([r02 + r20, r12 + r21, 1 + r22 - r00 - r11, r10 - r01], dim=-1),
        torch.stack([r21 - r12, r02 - r20, r10 - r01, 1 + r00 + r11 + r22], dim=-1),
    ]
    product = torch.stack(rows, dim=-2)
    longest = product.diagonal(dim1=-2, dim2=-1).argmax(-1)
    quaternion = product.gather(-2, longest[..., None, None].expand(*longest.shape, 1, 4)).squeeze(-2)
    quaternion = torch.nn.functional.normalize(quaternion, dim=-1)
    quaternion = torch.where(quaternion[..., 3:] < 0, -quaternion, quaternion)
    vector, cosine = quaternion[..., :3], quaternion[..., 3:]
    squared = vector.square().sum(-1, keepdim=True)
    small = squared < 1e-12
    sine = torch.where(small, torch.ones_like(squared), squared).sqrt()  # no root of zero: its gradient is infinite
    return vector * torch.where(small, 2 / cosine.clamp(min=0.5), 2 * torch.atan2(sine, cosine) / sine)


def heading_of(root_rotations: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch"]:
    """Heading in radians: the twist around Z that turns the upright body, facing +X, towards this orientation.

    The swing-twist decomposition is smooth for everything but a body exactly upside down.
    """
    relative = root_rotations @ UPRIGHT.to(root_rotations).transpose(-1, -2)
    # Quaternion z and w are proportional to (r10 - r01) and (1 + trace); the twist angle is twice their atan2.
    # atan2(r10 - r01, r00 + r11) is the same angle: both equal the in-plane rotation that fits best.
    return torch.atan2(relative[..., 1, 0] - relative[..., 0, 1], relative[..., 0, 0] + relative[..., 1, 1])


def rotation_about_z(angle: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation matrices around the vertical axis, from radians."""
    cos, sin, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    return torch.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], -1).unflatten(-1, (3, 3))


def encode(
    poses: Float[Tensor, "frames 24 3"],
    trans: Float[Tensor, "frames 3"],
    skeleton: Skeleton,
    frame_rate: float,
) -> Float[Tensor, "frames 140"]:
    """Features of one clip on its own skeleton. The last frame repeats the velocity of the one before."""
    import roma

    rotations = roma.rotvec_to_rotmat(poses)
    posed = forward_kinematics(rotations, trans, skeleton)
    heading = heading_of(rotations[:, 0])
    level = rotation_about_z(-heading)
    local = rotations[:, :NUM_MOVING_JOINTS].clone()
    local[:, 0] = level @ rotations[:, 0]
    pelvis = posed.joints[:, 0]
    turn = _repeat_last(torch.remainder(heading.diff() + math.pi, 2 * math.pi) - math.pi) * frame_rate
    step = (level[:-1] @ pelvis.diff(dim=0).unsqueeze(-1)).squeeze(-1)[:, :2]
    return torch.cat(
        [
            rotation_6d(local).flatten(1),
            (pelvis[:, 2:] / skeleton.leg_length),
            _repeat_last(step) * frame_rate / skeleton.leg_length,
            turn[:, None],
            foot_contacts(posed.soles, frame_rate).to(poses.dtype),
        ],
        dim=1,
    )


def decode(
    features: Float[Tensor, "batch frames 140"],
    skeleton: Skeleton,
    frame_rate: float,
    *,
    plant_feet: bool = True,
) -> Motion:
    """Motion of the features on a skeleton (one, or one per batch row), differentiable.

    plant_feet   move the root so that sole points in contact stay where they are: horizontally by the root velocity
                 that keeps them still, vertically by a smooth offset that puts them on the ground, and what
                 sinks into it is lifted out. Contacts are probabilities, and weigh the first two against the root
                 motion in the features.
    """
    batch, frames = features.shape[:2]
    skeleton = skeleton.unsqueeze(1) if skeleton.rest_joints.ndim == 3 else skeleton
    leg = skeleton.leg_length
    local = rotation_from_6d(features[..., ROTATIONS].unflatten(-1, (NUM_MOVING_JOINTS, 6)))
    rest = torch.eye(3, device=features.device, dtype=features.dtype)
    local = torch.cat([local, rest.expand(batch, frames, NUM_JOINTS - NUM_MOVING_JOINTS, 3, 3)], dim=2)
    contacts = torch.sigmoid(_CONTACT_SHARPNESS * (features[..., CONTACTS] - 0.5))
    turn = features[..., HEADING_RATE] / frame_rate
    step = features[..., VELOCITY] * (leg[..., None] / frame_rate)
    height = features[..., HEIGHT] * leg

    # In the heading frame first, the pelvis over the origin.
    rest_pelvis = skeleton.rest_joints[..., 0, :]
    over_origin = torch.nn.functional.pad(height[..., None], (2, 0)) - rest_pelvis
    posed = forward_kinematics(local, over_origin, skeleton)
    if plant_feet:
        step = _stance_step(posed.soles, contacts, turn, step)
        offset = _ground_offset(posed.soles[..., 2], contacts, frame_rate)
        height = height - offset + _lift_out(posed.soles[..., 2] - offset[..., None], frame_rate)

    heading = _accumulate(turn)
    lift = (height - posed.joints[..., 0, 2])[..., None, None] * height.new_tensor([0.0, 0.0, 1.0])
    return Motion(
        local_rotations=local,
        local_joints=posed.joints + lift,
        local_soles=posed.soles + lift,
        contacts=contacts,
        heading=heading,
        path=_accumulate(_turn(step[:, :, None], heading)[:, :, 0]),
        rest_pelvis=rest_pelvis,
    )


def motion_view(motion: Motion, frame_rate: float) -> Float[Tensor, "batch frames channels"]:
    """What a discriminator sees of a motion, frame by frame in the heading frame; VIEW_CHANNELS of them.

    rot6d of the moving joints, joints and soles relative to the point below the pelvis, their world velocities
    (m/s) from the frame before, heading rate (rad/s) and contacts. Frame 0 repeats the velocities of frame 1.
    """
    points = torch.cat([motion.local_joints[:, :, :NUM_MOVING_JOINTS], motion.local_soles], dim=2)
    turn = motion.heading.diff(dim=1)
    # Where a point was a frame ago, seen from here: turned back by what the heading has changed since.
    before = _turn(points[:, :-1], -turn)
    moved = _lift(_turn(motion.path.diff(dim=1)[:, :, None], -motion.heading[:, 1:])[:, :, 0])
    velocity = (points[:, 1:] - before + moved) * frame_rate
    velocity = torch.cat([velocity[:, :1], velocity], dim=1)
    rate = torch.cat([turn[:, :1], turn], dim=1) * frame_rate
    return torch.cat(
        [
            rotation_6d(motion.local_rotations[:, :, :NUM_MOVING_JOINTS]).flatten(2),
            points.flatten(2),
            velocity.flatten(2),
            rate[..., None],
            motion.contacts,
        ],
        dim=-1,
    )


VIEW_CHANNELS = 6 * NUM_MOVING_JOINTS + 2 * 3 * (NUM_MOVING_JOINTS + NUM_SOLE_POINTS) + 1 + NUM_SOLE_POINTS


def mirror(features: Float[Tensor, "*batch 140"]) -> Float[Tensor, "*batch 140"]:
    """The same motion seen in a mirror: left and right joints and feet swapped."""
    rotations = features[..., ROTATIONS].unflatten(-1, (NUM_MOVING_JOINTS, 6))[..., list(MIRROR_JOINTS[:22]), :]
    # Reflection M = diag(-1, 1, 1) in the rest body's axes: local R -> M R M. The root maps body axes to heading
    # axes (x forward, y left), where the mirror is N = diag(1, -1, 1): R -> N R M.
    joint_signs = rotations.new_tensor([1.0, -1.0, -1.0, -1.0, 1.0, 1.0])
    root_signs = rotations.new_tensor([-1.0, 1.0, -1.0, 1.0, -1.0, 1.0])
    signs = torch.stack([root_signs] + [joint_signs] * (NUM_MOVING_JOINTS - 1))
    forward_left = features[..., VELOCITY] * rotations.new_tensor([1.0, -1.0])
    return torch.cat(
        [
            (rotations * signs).flatten(-2),
            features[..., HEIGHT, None],
            forward_left,
            -features[..., HEADING_RATE, None],
            features[..., CONTACTS][..., list(MIRROR_SOLE)],
        ],
        dim=-1,
    )


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation per channel, over the training frames."""

    mean: Float[Tensor, "channels"]
    std: Float[Tensor, "channels"]

    @staticmethod
    def of(frames: Float[Tensor, "frames channels"], floor: float = 0.02) -> "Normalisation":
        """Statistics of the frames; a channel that hardly moves is divided by `floor`, not blown up."""
        return Normalisation(frames.mean(0), frames.std(0).clamp(min=floor))

    def apply(self, values: Float[Tensor, "*batch channels"]) -> Float[Tensor, "*batch channels"]:
        return (values - self.mean) / self.std

    def invert(self, values: Float[Tensor, "*batch channels"]) -> Float[Tensor, "*batch channels"]:
        return values * self.std + self.mean


def _stance_step(soles: Tensor, contacts: Tensor, turn: Tensor, step: Tensor) -> Tensor:
    """Root step (m, heading frame of frame t) that keeps the sole points in contact at t and t + 1 where they are.

    A still point means p(t+1) - p(t) = s(t) - Rz(turn) s(t+1) with s relative to the pelvis. The points' wishes
    are averaged by their contact probability; the share of nobody's contact stays with the network's own step.
    """
    wish = soles[:, :-1, :, :2] - _turn(soles[:, 1:, :, :2], turn[:, :-1])
    weight = contacts[:, 1:] * contacts[:, :-1]
    free = (1 - weight).prod(dim=-1, keepdim=True)
    planted = (wish * weight[..., None]).sum(2) / (weight.sum(-1, keepdim=True) + 1e-6)
    kept = torch.cat([free * step[:, :-1] + (1 - free) * planted, step[:, -1:]], dim=1)
    # Contacts come and go from one frame to the next; the body does not: a low-pass (1, 4, 6, 4, 1) over the steps.
    for _ in range(2):
        before, after = torch.cat([kept[:, :1], kept[:, :-1]], dim=1), torch.cat([kept[:, 1:], kept[:, -1:]], dim=1)
        kept = 0.25 * before + 0.5 * kept + 0.25 * after
    return kept


def _ground_offset(sole_heights: Tensor, contacts: Tensor, frame_rate: float) -> Tensor:
    """Smooth height (m) of the soles in contact over the ground, 0 far from any contact."""

    def smooth(values: Tensor) -> Tensor:
        return smoothed(values, _GROUNDING_WIDTH * frame_rate, "constant")

    weight = contacts**3  # a sigmoid never says 0: four feet of probability 0.02 must not pull a jump to the ground
    return smooth((weight * sole_heights).sum(-1)) / (smooth(weight.sum(-1)) + _GROUNDING_PRIOR)


def _lift_out(sole_heights: Tensor, frame_rate: float) -> Tensor:
    """Smooth height (m) that brings soles below the ground up to it, 0 where they are above.

    On recordings, planted: 6.3 mm of penetration become 0.1 mm, at the same jerk (docs/log.md).
    """
    reach = max(1, round(_LIFT_REACH * frame_rate))
    depth = (-sole_heights.amin(-1)).clamp(min=0)
    deepest = torch.nn.functional.max_pool1d(depth[:, None], 2 * reach + 1, stride=1, padding=reach)[:, 0]
    return smoothed(deepest, _LIFT_WIDTH * frame_rate, "replicate")


def smoothed(values: Float[Tensor, "batch frames"], width: float, beyond: str) -> Float[Tensor, "batch frames"]:
    """Values under a Gaussian of this width (standard deviation) in frames; `beyond` the ends as in torch's pad."""
    radius = max(1, math.ceil(2 * width))
    taps = torch.arange(-radius, radius + 1, device=values.device, dtype=values.dtype)
    kernel = torch.exp(-0.5 * (taps / width) ** 2)
    padded = torch.nn.functional.pad(values[:, None], (radius, radius), mode=beyond)
    return torch.nn.functional.conv1d(padded, (kernel / kernel.sum())[None, None])[:, 0]


def _turn(points: Tensor, angle: Tensor) -> Tensor:
    """Points (batch, frames, points, 2 or 3) turned around Z by an angle (batch, frames)."""
    cos, sin = angle[..., None].cos(), angle[..., None].sin()
    x, y = points[..., 0], points[..., 1]
    return torch.stack([cos * x - sin * y, sin * x + cos * y, *points[..., 2:].unbind(-1)], dim=-1)


def _lift(path: Tensor) -> Tensor:
    """Ground positions (batch, frames, 2) as (batch, frames, 1, 3), to add to points."""
    return torch.nn.functional.pad(path, (0, 1))[:, :, None]


def _accumulate(steps: Tensor) -> Tensor:
    """Positions from steps towards the next frame, starting at zero: the last step is not used."""
    return torch.cat([torch.zeros_like(steps[:, :1]), steps[:, :-1].cumsum(dim=1)], dim=1)


def _repeat_last(steps: Tensor) -> Tensor:
    """Differences of F frames made F long. A single frame stands still."""
    if len(steps) == 0:
        return steps.new_zeros((1, *steps.shape[1:]))
    return torch.cat([steps, steps[-1:]])
