"""Whether what an action is about happens: kicks that rise, jumps that leave the ground, runs that do not stall.

    python tools/events.py own.h5 [amass.h5 ...] [--frames 64]

Of each file the 5, 25, 50, 75 and 95 % quantiles over its clips (recordings: all pieces of so many frames, one every
8 frames), and the share above a threshold.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from motiongan.body.smpl import load_body
from motiongan.errors import MotionganError
from motiongan.evaluation.windows import PosedWindows, pose_windows
from motiongan.motion.resample import resample
from motiongan.motion.store import MotionFile

_STEP = 8  # frames from one piece to the next
_RATE = 30.0  # Hz
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def highest_foot(windows: PosedWindows, row: int, frames: int) -> float:
    """Metres: the highest that any sole point gets."""
    return float(windows.soles[row, :frames, :, 2].max())


def clearance(windows: PosedWindows, row: int, frames: int) -> float:
    """Metres: the highest that the lowest sole point gets."""
    return float(windows.soles[row, :frames, :, 2].amin(-1).max())


def steadiness(windows: PosedWindows, row: int, frames: int) -> float:
    """The least speed over the greatest, on the level, means of 0.2 s."""
    steps = windows.mass_centre[row, :frames, :2].diff(dim=0).norm(dim=-1)
    means = steps.unfold(0, min(6, len(steps)), 1).mean(-1)
    return float(means.min() / means.max().clamp(min=1e-9))


EVENTS = {
    "kick": ("highest foot, m", highest_foot, 0.6),
    "jump": ("highest of the lowest foot, m", clearance, 0.1),
    "run": ("least speed / greatest", steadiness, 0.1),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--frames", type=int, default=64, help="of a piece at 30 Hz (default: 64)")
    arguments = parser.parse_args()
    try:
        for path in arguments.files:
            _print(path, arguments.frames)
    except MotionganError as error:
        print(f"events: error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _print(path: Path, frames: int) -> None:
    with MotionFile(path) as file:
        clips = [resample(clip, _RATE) for clip in file if clip.action in EVENTS and clip.num_frames > 1]
    for action, (what, measure, least) in EVENTS.items():
        pieces = [
            clip.crop(start, min(start + frames, clip.num_frames))
            for clip in clips
            if clip.action == action
            for start in range(0, max(1, clip.num_frames - frames + 1), _STEP)
        ]
        if not pieces:
            continue
        windows = pose_windows(pieces, load_body(None), actions=[action], frames=frames)
        lengths = windows.mask.sum(1).tolist()
        found = np.array([measure(windows, row, length) for row, length in enumerate(lengths) if length > 1])
        quantiles = ", ".join(f"{value:.2f}" for value in np.quantile(found, _QUANTILES))
        print(f"{path}: {action}, {len(found)}: {what} {quantiles}; above {least:g}: {(found > least).mean():.0%}")


if __name__ == "__main__":
    sys.exit(main())
