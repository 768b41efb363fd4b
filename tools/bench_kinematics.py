"""Time forward kinematics with its gradient against one matrix product per joint, on batches as training sees them.

python tools/bench_kinematics.py [--clips 16] [--frames 64]
"""

import argparse
import time

import torch
from torch import Tensor

from motiongan.body.kinematics import Skeleton, forward_kinematics
from motiongan.body.skeleton import PARENTS
from motiongan.body.smpl import load_body
from motiongan.motion.features import rotation_from_6d


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=30)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    skeleton = load_body().skeleton(torch.zeros(10))
    generator = torch.Generator().manual_seed(0)
    batch = (arguments.clips, arguments.frames)
    rotations = rotation_from_6d(torch.randn(*batch, 24, 6, generator=generator)).contiguous().requires_grad_()
    trans = torch.randn(*batch, 3, generator=generator)
    print(f"{arguments.clips} clips of {arguments.frames} frames, forward and backward, one thread, best of rounds")
    for name, function in (("joint by joint", joint_by_joint), ("forward_kinematics", by_depth)):
        best = float("inf")
        for _ in range(arguments.repeats):
            start = time.perf_counter()
            rotations.grad = None
            function(rotations, trans, skeleton).square().sum().backward()
            best = min(best, time.perf_counter() - start)
        print(f"  {name:20s} {1000 * best:7.1f} ms")


def by_depth(rotations: Tensor, trans: Tensor, skeleton: Skeleton) -> Tensor:
    return forward_kinematics(rotations, trans, skeleton).joints


def joint_by_joint(rotations: Tensor, trans: Tensor, skeleton: Skeleton) -> Tensor:
    rest = skeleton.rest_joints
    world, joints = [rotations[..., 0, :, :]], [rest[0] + trans]
    for joint, parent in enumerate(PARENTS[1:], start=1):
        joints.append(joints[parent] + (world[parent] @ (rest[joint] - rest[parent])[:, None]).squeeze(-1))
        world.append(world[parent] @ rotations[..., joint, :, :])
    return torch.stack(joints, dim=-2)


if __name__ == "__main__":
    main()
