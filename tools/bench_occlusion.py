"""How well thinned meshes find what the body hides, and their time: `BodyOcclusion` by `detail`, beside the full mesh.

    python tools/bench_occlusion.py amass.h5 [--details 0,0.03,0.04,0.05,0.08]

Human3.6M's points on so many windows of different clips, drawn at random, each before a random camera, on one thread.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from motiongan.augmentation import BodyOcclusion, CameraSampler, MotionDataset
from motiongan.body.smpl import load_body

JOINTS = "h36m17"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="motion file")
    parser.add_argument("--details", default="0,0.03,0.04,0.05,0.08", help="metres; the first is the judge")
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--frames", type=int, default=32, help="of each clip")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3, help="the best time of these is shown")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = MotionDataset(arguments.file, arguments.frames, arguments.frames, ("poses", "trans", "betas", JOINTS))
    windows: dict[int, int] = {}  # of each clip the first that is drawn
    for number in np.random.default_rng(arguments.seed).permutation(len(data)).tolist():
        windows.setdefault(int(data.index.find(np.array([number]))[0][0]), number)
        if len(windows) == arguments.clips:
            break
    samples = data.__getitems__(list(windows.values()))
    points, poses, trans, betas = (
        torch.stack([sample[name] for sample in samples]) for name in (JOINTS, "poses", "trans", "betas")
    )
    generator = torch.Generator().manual_seed(arguments.seed)
    camera = CameraSampler().sample(points, generator=generator, frame_rate=data.frame_rate)
    truth, body, frames = None, load_body(), points.shape[0] * points.shape[1]
    print(f"{frames} frames of {len(samples)} clips")
    print(f"{'detail, m':>10s} {'faces':>8s} {'agrees':>8s} {'finds':>8s} {'ms a frame':>11s} {'hidden':>8s}")
    for detail in map(float, arguments.details.split(",")):
        occlusion, times = BodyOcclusion(body, JOINTS, detail), []
        for _ in range(arguments.rounds):
            start = time.perf_counter()
            hidden = occlusion.hidden(camera, points, poses, trans, betas)
            times.append(time.perf_counter() - start)
        truth = hidden if truth is None else truth
        print(
            f"{detail:10g} {occlusion.num_faces:8d} {(hidden == truth).double().mean():8.1%}"
            f" {hidden[truth].double().mean():8.1%} {1000 * min(times) / frames:11.2f} {hidden.double().mean():8.1%}"
        )


if __name__ == "__main__":
    main()
