"""The noun: what a clip accepts, and what it says of itself."""

from collections.abc import Iterator
from dataclasses import replace

import jaxtyping
import numpy as np
import pytest

from motiongan.motion.clip import Clip


@pytest.fixture(autouse=True)
def _no_type_checker() -> Iterator[None]:
    """The tests' type checker would refuse what users may pass: other types and shapes than a clip holds."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def make(frames: int = 4, **fields: object) -> Clip:
    given = {"poses": np.zeros((frames, 24, 3)), "trans": np.zeros((frames, 3)), "frame_rate": 20.0, **fields}
    return Clip(**given)


def test_arrays_become_contiguous_float32():
    clip = make(poses=np.asfortranarray(np.ones((4, 24, 3))), betas=np.arange(10))
    assert clip.poses.dtype == clip.trans.dtype == clip.betas.dtype == np.float32
    assert clip.poses.flags["C_CONTIGUOUS"]
    assert clip.betas.tolist() == list(range(10))


def test_a_frame_lasts_one_over_the_frame_rate():
    assert make(frames=30).duration == 1.5


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"poses": np.zeros((4, 72))}, "poses has shape (4, 72)"),
        ({"poses": np.zeros((4, 22, 3))}, "poses has shape (4, 22, 3)"),
        ({"trans": np.zeros((4, 2))}, "trans has shape (4, 2)"),
        ({"trans": np.zeros((5, 3))}, "4 frames of poses but 5 of trans"),
        ({"betas": np.zeros(16)}, "betas has shape (16,)"),
        ({"frame_rate": 0.0}, "frame_rate is 0.0"),
        ({"frame_rate": float("nan")}, "frame_rate is nan"),
    ],
)
def test_what_does_not_fit_is_refused(fields, message):
    with pytest.raises(ValueError) as caught:
        make(**fields)
    assert message in str(caught.value)


def test_a_crop_keeps_its_frames_and_its_labels(make_clip):
    clip = make_clip(3, num_frames=20, action="squat")
    part = clip.crop(5, 12)
    assert np.array_equal(part.poses, clip.poses[5:12])
    assert np.array_equal(part.trans, clip.trans[5:12])
    assert (part.action, part.subject, part.frame_rate) == ("squat", "s3", 30.0)


def test_a_crop_has_not_the_scores_of_the_whole(make_clip):
    assert replace(make_clip(0), quality={"jerk": 1.0}).crop(0, 5).quality == {}
