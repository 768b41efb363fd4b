"""Stick figures: points, views, and pictures that show what they should."""

import time

import numpy as np
import pytest
from numpy.testing import assert_allclose

from motiongan.body.skeleton import JOINT, JOINT_NAMES
from motiongan.rendering import stick_figure
from motiongan.rendering.stick_figure import (
    View,
    animate,
    best_view,
    contact_sheet,
    contact_sheet_image,
    figure_points,
    save_contact_sheet,
)

SECOND = 1.0


def standing(make_clip, **fields):
    """A clip of the rest pose stood upright on the ground, facing -y."""
    clip = make_clip(speed=0.0, **fields)
    clip.poses[:, 1:] = 0
    return clip


def pixels(picture: np.ndarray, colour: str) -> np.ndarray:
    """(pixels, 2) rows and columns of exactly this colour."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return np.argwhere((picture == wanted).all(axis=-1))


def test_points_of_the_rest_pose_stand_on_the_ground_and_look_ahead(make_clip, stick_body):
    points = figure_points(standing(make_clip), stick_body)
    assert_allclose(points[0, 24:28, 2], 0, atol=1e-6)  # soles
    assert_allclose(points[0, JOINT["head"]], [0, -0.03, 0.95 + 0.58], atol=1e-6)
    middle, nose = points[0, 28], points[0, 29]
    assert_allclose(middle - points[0, JOINT["head"]], [0, 0, 0.09], atol=1e-6)  # one head radius up
    assert_allclose((nose - middle) / np.linalg.norm(nose - middle), [0, -1, 0], atol=1e-6)


def test_only_the_chosen_frames_are_posed(make_clip, stick_body):
    clip = make_clip(seed=3)
    frames = np.array([0, 7, 39])
    assert_allclose(figure_points(clip, stick_body, frames), figure_points(clip, stick_body)[frames], atol=1e-6)


def test_betas_change_the_figure(make_clip, stick_body):
    betas = np.array([1.0] + [0] * 9)  # the made-up body grows by a tenth
    height = np.ptp(figure_points(standing(make_clip, betas=betas), stick_body)[0, :28, 2])
    assert_allclose(height, 1.1 * (0.95 + 0.58), rtol=1e-5)


def test_a_side_view_shows_the_right_hand_side_of_someone_who_travels_right():
    view = View("side", np.array([0.0, -1.0]))  # travels along -y: the right hand points to -x
    assert_allclose(view.flatten(np.array([[5.0, -2.0, 1.5]])), [[2.0, 1.5]])
    assert_allclose(view.nearness(np.array([[-1.0, 0.0, 0.0], [1.0, 3.0, 0.0]])), [1.0, -1.0])


@pytest.mark.parametrize("turn", [0.0, 1.0, 2.5, -2.0])
def test_a_travelling_clip_is_seen_across_its_travel(turn, make_clip, stick_body):
    points = figure_points(make_clip(speed=2.0), stick_body)
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    view = best_view(points @ rotation.T, SECOND)
    assert view.name == "side"
    assert_allclose(view.across, rotation[:2, :2] @ [0, -1], atol=1e-5)


def test_a_squat_on_the_spot_is_seen_from_the_side_facing_right(make_clip, stick_body):
    clip = standing(make_clip)
    bend = 0.7 * (1 - np.cos(np.linspace(0, 2 * np.pi, clip.num_frames)))
    clip.poses[:, [JOINT["left_hip"], JOINT["right_hip"]], 0] = -bend[:, None]
    view = best_view(figure_points(clip, stick_body), SECOND)
    assert view.name == "side"
    assert_allclose(view.across, [0, -1], atol=1e-5)


def test_a_jumping_jack_is_seen_from_the_front(make_clip, stick_body):
    clip = standing(make_clip)
    swing = np.sin(np.linspace(0, 2 * np.pi, clip.num_frames))
    clip.poses[:, JOINT["left_shoulder"], 2] = swing
    clip.poses[:, JOINT["right_shoulder"], 2] = -swing
    points = figure_points(clip, stick_body)
    view = best_view(points, SECOND)
    assert view.name == "front"
    # Face to face, the other's left hand is on our right, and the nose points at us.
    assert view.flatten(points[0])[JOINT["left_hand"], 0] > 0.5
    assert view.nearness(points[0])[29] > view.nearness(points[0])[28]


def test_limbs_and_feet_have_the_colour_of_their_side():
    names = [*JOINT_NAMES, "left_heel", "right_heel", "left_ball", "right_ball", "head_middle", "nose"]
    for (_, end), colour in zip(stick_figure._SEGMENTS, stick_figure._SEGMENT_COLOURS):
        side = names[end].split("_")[0]
        assert colour == {"left": stick_figure.LEFT, "right": stick_figure.RIGHT}.get(side, stick_figure.TRUNK)


def test_near_limbs_cover_far_ones(make_clip, stick_body):
    clip = standing(make_clip)
    clip.trans[:, 1] = np.linspace(
        0, -3, clip.num_frames
    )  # seen from its right side, legs exactly one behind the other
    picture = contact_sheet_image([clip], stick_body, num_poses=1)
    strip = picture[:, 102:150]  # beside the labels, before the view from above
    assert len(pixels(strip, stick_figure.RIGHT)) > 3 * len(pixels(strip, stick_figure.LEFT))


def test_a_floating_clip_is_drawn_above_the_ground(make_clip, stick_body):
    def lowest_row(lift: float) -> int:
        clip = standing(make_clip)
        clip.trans[:, 2] += lift
        picture = contact_sheet_image([clip], stick_body, num_poses=1, pixels_per_metre=100.0)
        strip = picture[:, 170:250]  # beside the labels, before the view from above
        return max(pixels(strip, colour)[:, 0].max() for colour in (stick_figure.RIGHT, stick_figure.TRUNK))

    assert lowest_row(0.0) - lowest_row(0.2) == pytest.approx(20, abs=2)  # both sheets have the same bounds and scale


def test_a_sheet_has_a_row_for_every_clip_at_the_same_scale(make_clip, stick_body):
    one = contact_sheet_image([standing(make_clip)], stick_body)
    three = contact_sheet_image([standing(make_clip)] * 3, stick_body)
    assert three.dtype == np.uint8
    assert three.shape == (pytest.approx(3 * one.shape[0], abs=3), one.shape[1], 3)


def test_a_clip_of_fewer_frames_than_poses_shows_each_frame_once(make_clip, stick_body):
    row = stick_figure._Row.of(make_clip(num_frames=3), stick_body, num_poses=12, max_seconds=4.0)
    assert_allclose(row.times, [0, 1 / 30, 2 / 30])


def test_of_a_long_clip_the_middle_is_shown(make_clip, stick_body):
    row = stick_figure._Row.of(make_clip(num_frames=300, speed=2.0), stick_body, num_poses=5, max_seconds=4.0)
    assert_allclose(row.times, [3.0, 4.0, 4.9667, 5.9667, 6.9667], atol=0.05)
    assert row.speed == pytest.approx(2.0, rel=1e-3)


def test_broken_numbers_do_not_stop_the_drawing(make_clip, stick_body):
    clip = make_clip()
    clip.trans[10:] = np.nan
    picture = contact_sheet_image([clip, make_clip(seed=1)], stick_body)
    assert len(pixels(picture, stick_figure.LEFT)) > 100


def test_a_training_snapshot_takes_less_than_a_second(make_clip, stick_body):
    clips = [make_clip(seed, num_frames=64) for seed in range(12)]
    contact_sheet_image(clips[:1], stick_body)  # matplotlib's own first-time work
    seconds = []
    for _ in range(3):  # the best of three: the machine may be busy
        start = time.process_time()
        contact_sheet_image(clips, stick_body)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 1.0


def test_nothing_is_left_of_a_picture_that_failed(make_clip, stick_body, tmp_path, monkeypatch):
    from PIL import Image

    def fail(self, path, **options):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="No space"):
        save_contact_sheet(tmp_path / "sheet.png", [make_clip()], stick_body)
    assert list(tmp_path.iterdir()) == []


def test_an_animation_of_a_fast_recording_skips_frames_not_time(make_clip, stick_body, tmp_path):
    from PIL import Image

    clip = make_clip(num_frames=48, frame_rate=120.0)
    assert animate(clip, stick_body, tmp_path / "clip.gif") == 12  # every fourth of 48: 30 pictures a second
    with Image.open(tmp_path / "clip.gif") as picture:
        assert picture.n_frames <= 12  # equal pictures may be one shown longer


def test_of_a_long_clip_an_animation_shows_the_beginning(make_clip, stick_body, tmp_path):
    assert animate(make_clip(num_frames=60), stick_body, tmp_path / "clip.gif", max_seconds=0.2) == 6


def test_no_clips_is_a_mistake_of_the_caller(stick_body):
    with pytest.raises(ValueError, match="no clips"):
        contact_sheet([], stick_body)
