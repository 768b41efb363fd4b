"""What `find_problems` finds: each fault by its line, and nothing in a sound file."""

import numpy as np
import pytest

from motiongan.motion.check import find_problems
from motiongan.motion.store import MotionFile, write_clips


@pytest.fixture
def problems(tmp_path, stick_body):
    """The problems of clips, as `find_problems` tells them of their file."""

    def find(*clips):
        write_clips(tmp_path / "x.h5", clips, kind="captured", force=True)
        with MotionFile(tmp_path / "x.h5") as file:
            return list(find_problems(file, stick_body.skeleton))

    return find


def test_sound_clips_have_no_problems(problems, clips):
    assert problems(*clips) == []


def test_a_problem_names_the_clip_its_action_and_its_source(problems, make_clip):
    bad = make_clip(action="squat", source="a.bvh 0-3 s")
    bad.trans[7, 1] = np.inf
    (line,) = problems(make_clip(), bad)
    assert line == "clip 1 (squat, a.bvh 0-3 s): NaN or infinite numbers in 1 frames, first in frame 7"


def test_a_jump_of_the_root_is_found_where_it_is(problems, make_clip):
    clip = make_clip(speed=0.0)
    clip.trans[20:, 0] += 2.0
    assert problems(clip) == ["clip 0 (walk): the root jumps 2.00 m between frames 19 and 20"]


def test_a_jump_of_a_joint_is_found_where_it_is(problems, make_clip):
    clip = make_clip()
    clip.poses[:, 4] = 0
    clip.poses[11:, 4, 0] = 3.0
    assert problems(clip) == ["clip 0 (walk): left_knee jumps 3.00 rad between frames 10 and 11"]


def test_a_jump_is_judged_by_its_speed(problems, make_clip):
    clip = make_clip(frame_rate=240.0)  # 1 rad in a frame: 240 rad/s
    clip.poses[:, 4] = 0
    clip.poses[11:, 4, 0] = 1.0
    assert len(problems(clip)) == 1


def test_a_turn_through_pi_is_no_jump(problems, make_clip):
    clip = make_clip()
    clip.poses[:, 4] = 0
    clip.poses[:11, 4, 0] = 3.1
    clip.poses[11:, 4, 0] = 3.1 - 2 * np.pi  # the same rotation, written from the other side
    assert problems(clip) == []


def test_a_rotation_beyond_a_full_turn_is_found(problems, make_clip):
    clip = make_clip()
    clip.poses[:, 5] = [0, 0, 7.0]
    (line,) = problems(clip)
    assert "right_knee is turned by 7.00 rad in frame 0" in line


def test_impossible_betas_are_found(problems, make_clip):
    (line,) = problems(make_clip(betas=np.array([0, -12.0] + [0] * 8)))
    assert "betas reach 12.0" in line
    line, feet = problems(make_clip(betas=np.array([9.0] + [0] * 9)))  # legs of 0.95 m x 1.9, and feet as much too low
    assert "betas make legs of 1.8" in line
    assert "feet 0.8" in feet
    (line,) = problems(make_clip(betas=np.array([np.nan] + [0] * 9)))
    assert "betas" in line


def test_feet_far_below_the_ground_are_found(problems, make_clip):
    clip = make_clip(num_frames=5)
    clip.poses[:, 1:] = 0
    clip.trans[3, 2] -= 0.4
    assert problems(make_clip(), clip) == ["clip 1 (walk): feet 0.40 m below the ground in frame 3"]


def test_a_clip_without_frames_is_found(problems, make_clip):
    assert problems(make_clip(), make_clip().crop(0, 0)) == ["clip 1 (walk): has no frames"]


def test_problems_are_found_across_blocks(problems, make_clip, monkeypatch):
    monkeypatch.setattr("motiongan.motion.check._BLOCK_FRAMES", 50)
    clips = [make_clip(seed, num_frames=20) for seed in range(7)]
    for clip in clips:
        clip.trans[:, 2] -= 1.0
    assert len(problems(*clips)) == 7
