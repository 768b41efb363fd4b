"""The page's clock: no browser, no waiting."""

import pytest

from motiongan.viewer.playback import Playback


def test_time_passes_only_while_it_plays():
    clock = Playback(num_frames=30, frame_rate=30.0)
    clock.advance(0.5)
    assert clock.frame == 0
    clock.toggle()
    clock.advance(0.5)
    assert clock.frame == 15


def test_half_the_speed_shows_half_the_frames():
    clock = Playback(num_frames=60, frame_rate=30.0, speed=0.5, playing=True)
    clock.advance(1.0)
    assert clock.frame == 15


@pytest.mark.parametrize("frame_rate", [24.0, 29.97, 30.0, 59.94, 120.0])
def test_every_frame_is_found_at_its_own_beginning(frame_rate):
    clock = Playback(num_frames=1000, frame_rate=frame_rate)
    for frame in range(1000):
        clock.seek(frame)
        assert clock.frame == frame


def test_a_loop_goes_on_from_the_start_by_what_it_overshot():
    clock = Playback(num_frames=30, frame_rate=30.0, playing=True)
    clock.advance(1.0 + 4 / 30)
    assert clock.frame == 4
    assert clock.playing


def test_without_a_loop_it_stops_on_the_last_frame_and_plays_again_from_the_first():
    clock = Playback(num_frames=30, frame_rate=30.0, loop=False, playing=True)
    clock.advance(5.0)
    assert (clock.frame, clock.playing) == (29, False)
    clock.toggle()
    assert (clock.frame, clock.playing) == (0, True)


def test_scrubbing_stands_still_where_it_is_put_and_stays_in_the_clip():
    clock = Playback(num_frames=30, frame_rate=30.0, playing=True)
    clock.seek(12)
    clock.advance(0.5)
    assert (clock.frame, clock.playing) == (12, False)
    clock.seek(99)
    assert clock.frame == 29
    clock.seek(-1)
    assert clock.frame == 0


def test_a_step_back_from_the_first_frame_is_the_last_one_in_a_loop_only():
    clock = Playback(num_frames=30, frame_rate=30.0)
    clock.step(-1)
    assert clock.frame == 29
    clock.step(1)
    assert clock.frame == 0
    clock.loop = False
    clock.step(-1)
    assert clock.frame == 0


def test_a_shorter_clip_beside_it_waits_on_its_last_frame():
    clock = Playback(num_frames=90, frame_rate=30.0)
    clock.seek(60)  # 2 s
    assert clock.frame_at(60.0, 300) == 120
    assert clock.frame_at(60.0, 90) == 89


def test_another_clip_begins_at_its_first_frame_and_goes_on_playing():
    clock = Playback(num_frames=30, frame_rate=30.0, speed=0.25, playing=True)
    clock.advance(1.0)
    clock.load(10, 20.0)
    assert (clock.frame, clock.playing, clock.speed, clock.duration) == (0, True, 0.25, 0.5)


def test_it_waits_until_the_next_frame_is_due():
    clock = Playback(num_frames=30, frame_rate=30.0, speed=0.5, playing=True)
    clock.advance(0.02)  # 0.01 s of motion: 1/30 - 0.01 are left, at half the speed
    assert clock.wait(0.5) == pytest.approx(2 * (1 / 30 - 0.01))
    clock.toggle()
    assert clock.wait(0.5) == 0.5


def test_a_clip_of_one_frame_plays_without_end():
    clock = Playback(num_frames=1, frame_rate=30.0, playing=True)
    clock.advance(0.1)
    assert clock.frame == 0
