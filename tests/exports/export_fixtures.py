"""Clips with an answer that one can tell by looking: somebody stands and raises the left hand.

A test file takes these fixtures with `pytest_plugins = ("exports.export_fixtures",)`.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from motiongan.body.skeleton import JOINT
from motiongan.exports.selection import Export, ExportOptions, NamedClip, select
from motiongan.motion.clip import Clip
from motiongan.motion.store import write_clips

BETAS = np.array([0.5, -1.0, 0.3, 0.8, -0.2, 0.1, 0.6, -0.4, 0.2, -0.7], dtype=np.float32)


def raised_left_hand(num_frames: int = 6, **fields: object) -> Clip:
    """Facing -y, the left side at +x: the left arm straight up, the right one hanging; steps sideways to the left."""
    poses = np.zeros((num_frames, 24, 3), dtype=np.float32)
    poses[:, 0] = (np.pi / 2, 0, 0)
    # Both arms turn by a right angle about the axis that points ahead: the left from +x up, the right from -x down.
    poses[:, [JOINT["left_shoulder"], JOINT["right_shoulder"]]] = (0, 0, np.pi / 2)
    trans = np.zeros((num_frames, 3), dtype=np.float32)
    trans[:, 0] = 0.1 * np.arange(num_frames)
    trans[:, 2] = 1.2
    known: dict[str, object] = {"frame_rate": 30.0, "action": "raise_left", "subject": "anna", "betas": BETAS, **fields}
    return Clip(poses=poses, trans=trans, **known)


@pytest.fixture
def raised_file(tmp_path: Path) -> Path:
    """A motion file of one clip, `raised_left_hand`, of 6 frames at 30 Hz."""
    path = tmp_path / "raised.h5"
    write_clips(path, [raised_left_hand()], kind="sample", licence="CC0-1.0")
    return path


@pytest.fixture
def moving_file(tmp_path: Path, make_clip: Callable[..., Clip]) -> Path:
    """A motion file of three moving clips of two people with different shapes; the last has no label."""
    random = np.random.default_rng(3)
    clips = [
        make_clip(seed, 12 + seed, action=action, subject=subject, betas=random.normal(size=10), gender=gender)
        for seed, (action, subject, gender) in enumerate(
            [("kick_left", "anna", "female"), ("run fast", "ben", "male"), (None, "ben", "neutral")]
        )
    ]
    path = tmp_path / "moving.h5"
    write_clips(path, clips, kind="sample", licence="CC0-1.0")
    return path


@pytest.fixture
def opened() -> Callable[..., tuple[Export, NamedClip]]:
    """An export of a motion file and its first clip; keywords go to the options."""

    def opened(path: Path, **options: object) -> tuple[Export, NamedClip]:
        export = select([path], options=ExportOptions(**options))  # type: ignore[arg-type]
        return export, next(export.clips())

    return opened
