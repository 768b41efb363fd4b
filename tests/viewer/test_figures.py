import dataclasses

import numpy as np
import pytest
from conftest import UPRIGHT

from motiongan.motion.clip import Clip
from motiongan.viewer.figures import measure, table
from motiongan.viewer.posed_clip import pose_clip

RATE = 60.0


def made(body, trans, **fields):
    """A stiff body that moves as told, `trans` (frames, 3) counted from where its soles are on the ground."""
    poses = np.zeros((len(trans), 24, 3), np.float32)
    poses[:, 0] = UPRIGHT
    fields = {"action": "walk", "subject": "anna", **fields}
    clip = Clip(poses=poses, trans=np.zeros((len(trans), 3), np.float32), frame_rate=RATE, **fields)
    height = pose_clip(clip, body).soles[0, :, 2].min()
    trans = (np.asarray(trans) - [0, 0, height]).astype(np.float32)
    return pose_clip(dataclasses.replace(clip, trans=trans), body)


def test_speed_and_distance_of_a_steady_glide(body):
    frames = np.arange(61)[:, None]
    figures = measure(made(body, frames * np.array([[0.03, 0.04, 0.0]])))  # 5 cm a frame at 60 Hz
    assert figures.mean_speed == pytest.approx(3.0, rel=1e-4)
    assert figures.top_speed == pytest.approx(3.0, rel=1e-4)
    assert figures.distance == pytest.approx(3.0, rel=1e-4)
    assert figures.foot_skate == pytest.approx(3.0, rel=1e-3)  # it slides on its soles
    assert figures.skate_share == 1
    assert figures.duration == pytest.approx(61 / 60)


def test_top_speed_is_of_the_fastest_fifth_of_a_second(body):
    steps = np.full(60, 0.01)
    steps[20:32] = 0.05  # 3 m/s for 12 frames of 60 Hz
    x = np.concatenate([[0], steps.cumsum()])
    figures = measure(made(body, np.stack([x, 0 * x, 0 * x], axis=1)))
    assert figures.top_speed == pytest.approx(3.0, rel=1e-3)
    assert figures.mean_speed == pytest.approx(60 * steps.mean(), rel=1e-3)


def test_jump_height_is_the_rise_of_the_centre_of_mass(body):
    """Off the ground with 3 m/s upwards: v^2 / 2g = 45.9 cm high, 2 v / g = 0.61 s long."""
    seconds = np.arange(-30, 67) / RATE
    height = np.where(seconds < 0, 0, 3 * seconds - 0.5 * 9.81 * seconds**2).clip(0)
    figures = measure(made(body, np.stack([0 * height, 0 * height, height], axis=1)))
    assert figures.jump_height == pytest.approx(9 / (2 * 9.81), abs=0.002)
    assert figures.flight_time == pytest.approx(6 / 9.81, abs=0.06)  # without the first and last 5 cm
    assert figures.flight_error_mm < 1


def test_a_clip_on_the_ground_has_no_jump(body):
    figures = measure(made(body, np.zeros((10, 3))))
    assert np.isnan(figures.jump_height)
    assert np.isnan(figures.flight_error_mm)
    assert (figures.flight_time, figures.foot_skate, figures.mean_speed) == (0, 0, 0)


def test_sunken_soles_are_measured_in_millimetres(body):
    assert measure(made(body, np.tile([[0, 0, -0.02]], (5, 1)))).penetration_mm == pytest.approx(20, abs=0.01)


def test_joints_beyond_their_range_are_named_with_share_and_angle(body):
    posed = made(body, np.zeros((4, 3)))
    clip = dataclasses.replace(posed.clip)
    clip.poses[:1, 4, 0] = np.radians(-45)  # left knee: 30 degrees beyond, in a quarter of the frames
    clip.poses[:3, 5, 0] = np.radians(-35)  # right knee: 20 degrees, in three quarters
    (first, second) = measure(pose_clip(clip, body)).worst_joints
    assert first == ("right_knee", 0.75, pytest.approx(20, abs=0.01))
    assert second == ("left_knee", 0.25, pytest.approx(30, abs=0.01))


def test_a_single_frame_has_no_speed(body):
    posed = made(body, np.zeros((1, 3)))
    figures = measure(posed)
    assert np.isnan([figures.mean_speed, figures.top_speed]).all()
    assert "–" in table([("a.h5", posed, figures)])


def test_the_table_shows_the_figures_and_the_seed_of_a_generated_clip(body):
    posed = made(body, np.arange(61)[:, None] * np.array([[0.03, 0.04, 0.0]]), seed=7, source="model 1234")
    text = table([("a.h5", posed, measure(posed))])
    for part in ("3.00 m/s", "3.00 m", "1.02 s, 61 frames", "100 % of low steps", ">seed<", ">7<", "model 1234"):
        assert part in text
    captured = made(body, np.zeros((3, 3)))
    assert ">seed<" not in table([("a.h5", captured, measure(captured))])


def test_text_of_the_file_cannot_become_part_of_the_page(body):
    posed = made(body, np.zeros((3, 3)), subject="<script>x</script>", source="a&b", action="<b>")
    text = table([("<i>.h5", posed, measure(posed))] * 2)
    assert "&lt;script&gt;" in text
    assert "a&amp;b" in text
    assert not any(tag in text for tag in ("<script", "<b>", "<i>"))
