"""Train a temporal 2D-to-3D lifter on real and generated motion: VideoPose3D's network in plain torch.

    python examples/lifter.py --real amass.h5 --synthetic aug.h5 --steps 2000

Every batch gets new random cameras and a new draw of the detector's noise. The network is that of D. Pavllo et al.
2019 (VideoPose3D, arXiv 1811.11742, section 3): 2D keypoints of 27 frames -> 3D joints of the middle one, root at 0.
"""

import argparse
from collections.abc import Iterator
from itertools import chain, repeat

import torch
from torch import Tensor, nn

from motiongan.augmentation import CameraSampler, Detector2D, MotionDataset, mix, outside, project, screen_coordinates

FRAMES = 27  # 3 x 3 x 3: kernels of three frames, dilated by 1, 3 and 9
JOINTS = "h36m17"
ROOT = 0


class TemporalLifter(nn.Module):
    """2D keypoints and confidence of 27 frames -> 3D joints of the middle frame, metres, relative to the root."""

    def __init__(self, num_joints: int = 17, channels: int = 256, dropout: float = 0.1) -> None:
        super().__init__()

        def layer(width: int, kernel: int, dilation: int = 1) -> nn.Sequential:
            convolution = nn.Conv1d(width, channels, kernel, dilation=dilation, bias=False)
            return nn.Sequential(convolution, nn.BatchNorm1d(channels), nn.ReLU(), nn.Dropout(dropout))

        self.read = layer(3 * num_joints, 3)
        self.blocks = nn.ModuleList(
            nn.Sequential(layer(channels, 3, dilation), layer(channels, 1)) for dilation in (3, 9)
        )
        self.write = nn.Conv1d(channels, 3 * num_joints, 1)

    def forward(self, keypoints: Tensor, confidence: Tensor) -> Tensor:
        """(batch, 27, joints, 2) of the picture's [-1, 1], (batch, 27, joints) -> (batch, joints, 3)."""
        seen = torch.cat([keypoints, confidence.unsqueeze(-1)], -1)
        hidden = self.read(seen.flatten(2).transpose(1, 2))
        for block, dilation in zip(self.blocks, (3, 9)):
            hidden = hidden[:, :, dilation:-dilation] + block(hidden)
        return self.write(hidden).squeeze(-1).unflatten(-1, (-1, 3))


def observe(joints: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """World joints (batch, frames, joints, 3) -> detected keypoints, confidence, and the middle frame's 3D joints.

    The 3D joints are in the camera's axes, metres, relative to the root: what a lifter is asked for.
    """
    camera = CameraSampler().sample(joints, generator=generator)
    pixels, depth = project(camera, joints)
    found = Detector2D(joint_set=JOINTS)(pixels, generator=generator, absent=outside(camera, pixels, depth))
    seen = camera.to_camera(joints)[:, joints.shape[1] // 2]
    keypoints = screen_coordinates(found.keypoints, camera.width, camera.height)
    return keypoints, found.confidence, seen - seen[:, ROOT : ROOT + 1]


def train(
    real: str, synthetic: str | None, *, steps: int, batch_size: int = 64, seed: int = 0, channels: int = 256
) -> tuple[TemporalLifter, list[float]]:
    """The trained lifter, and its training error (mm) step by step."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)  # the network's own start and dropout
    captured = MotionDataset(real, FRAMES, 5, fields=(JOINTS, "action"))
    if synthetic is None:
        loader = mix(captured, captured, ratio=0.0).loader(batch_size, seed=seed)
    else:
        generated = MotionDataset(synthetic, FRAMES, 5, fields=(JOINTS, "action"))
        loader = mix(captured, generated, ratio=0.5).loader(batch_size, seed=seed)
    lifter = TemporalLifter(channels=channels)
    optimiser = torch.optim.Adam(lifter.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    errors: list[float] = []
    batches: Iterator[dict[str, Tensor]] = chain.from_iterable(repeat(loader))
    for _, batch in zip(range(steps), batches):
        keypoints, confidence, target = observe(batch[JOINTS], generator)
        error = (lifter(keypoints, confidence) - target).norm(dim=-1).mean()  # MPJPE
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
        schedule.step()
        errors.append(1000 * error.item())
    return lifter, errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", required=True, help="motion file of captured clips")
    parser.add_argument("--synthetic", help="motion file of generated clips")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    _, errors = train(arguments.real, arguments.synthetic, steps=arguments.steps, seed=arguments.seed)
    tenth = max(1, len(errors) // 10)
    for start in range(0, len(errors), tenth):
        part = errors[start : start + tenth]
        print(f"steps {start:5d} to {start + len(part):5d}: {sum(part) / len(part):6.1f} mm")


if __name__ == "__main__":
    main()
