import builtins

import numpy as np
import pytest
from PIL import ImageColor

from motiongan.errors import MotionganError
from motiongan.exports.exporting import export_motion
from motiongan.exports.selection import ExportOptions
from motiongan.rendering.stick_figure import LEFT, RIGHT
from motiongan.rendering.stick_video import stick_pictures

pytest_plugins = ("exports.export_fixtures",)


def counting_pictures(clip, body, size):
    """Grey pictures that grow lighter frame by frame, from 40 on; the clip's length is their number."""
    for frame in range(clip.num_frames):
        yield np.full((size, size, 3), 40 + 10 * frame, dtype=np.uint8)


def frames_of(path) -> tuple[dict, np.ndarray]:
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    frames = imageio_ffmpeg.read_frames(str(path))
    about = next(frames)
    width, height = about["size"]
    return about, np.stack([np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in frames])


def test_a_video_has_every_frame_of_its_clip_in_real_time(moving_file, tmp_path):
    options = ExportOptions(size=96, draw=counting_pictures)
    summary = export_motion([moving_file], "video", tmp_path / "out", clips="0,2", options=options)
    assert [file.name for file in summary.files] == ["00000_kick_left.mp4", "00002.mp4", "labels.csv"]
    for file, count in zip(summary.files, (12, 14)):
        about, frames = frames_of(file)
        assert (about["fps"], about["size"], len(frames)) == (30.0, (96, 96), count)
        assert np.abs(frames.mean((1, 2, 3)) - (40 + 10 * np.arange(count))).max() < 4
    assert not list((tmp_path / "out").glob(".*"))


def test_a_grid_shows_every_clip_in_its_place_and_holds_the_last_picture(moving_file, tmp_path):
    options = ExportOptions(size=64, columns=2, draw=counting_pictures)
    summary = export_motion([moving_file], "video", tmp_path / "out", options=options)
    assert (summary.clips, [file.name for file in summary.files]) == (3, ["grid.mp4"])
    about, frames = frames_of(summary.files[0])
    assert (about["size"], len(frames)) == ((128, 128), 14)
    ends = frames[-1].mean(-1)[16:48, 16:48].mean(), frames[-1].mean(-1)[80:112, 16:48].mean()
    assert ends == pytest.approx((40 + 10 * 11, 40 + 10 * 13), abs=5)  # the first clip has 12 frames, the third 14
    assert frames[:, 80:112, 80:112].min() > 245  # the fourth place is empty


def test_a_video_of_some_seconds_begins_its_clips_again(moving_file, tmp_path):
    options = ExportOptions(size=64, columns=2, seconds=1.0, draw=counting_pictures)
    summary = export_motion([moving_file], "video", tmp_path / "out", clips="0,2", options=options)
    _, frames = frames_of(summary.files[0])
    assert len(frames) == 30
    first, second = frames[:, 16:48, 16:48].mean((1, 2, 3)), frames[:, 16:48, 80:112].mean((1, 2, 3))
    assert np.abs(first - (40 + 10 * (np.arange(30) % 12))).max() < 8  # it has 12 frames, the other one 14
    assert np.abs(second - (40 + 10 * (np.arange(30) % 14))).max() < 8


def test_athletes_look_alike_whenever_they_are_drawn_and_otherwise_with_another_seed(raised_file, body):
    pytest.importorskip("warp", reason="needs warp-lang: pip install 'motiongan[render]'")
    from motiongan.motion.store import read_clips
    from motiongan.rendering.athlete_video import athlete_pictures

    (clip,) = read_clips(raised_file)
    draw = athlete_pictures(seed=3)
    pictures = np.stack(list(draw(clip, body, 96)))
    assert pictures.shape == (clip.num_frames, 96, 96, 3)
    assert (athlete_pictures(seed=3)(clip, body, 96).__next__() == pictures[0]).all()
    assert (athlete_pictures(seed=4)(clip, body, 96).__next__() != pictures[0]).mean() > 0.1


def test_a_stick_figure_raises_the_left_hand_which_is_blue(raised_file, body):
    from motiongan.motion.store import read_clips

    (clip,) = read_clips(raised_file)
    pictures = list(stick_pictures(clip, body, 128))
    assert len(pictures) == 6
    assert pictures[0].shape == (128, 128, 3)
    rows = {}
    for name, colour in (("left", LEFT), ("right", RIGHT)):
        near = np.abs(pictures[0].astype(int) - ImageColor.getrgb(colour)).max(-1) < 30
        assert near.sum() > 20
        rows[name] = np.flatnonzero(near.any(1)).min()
    assert rows["left"] < rows["right"] - 20  # the topmost blue is far above the topmost orange


def test_a_missing_encoder_says_which_command_mends_it(moving_file, tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name == "imageio_ffmpeg":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MotionganError, match=r"pip install 'motiongan\[render\]'"):
        export_motion([moving_file], "video", tmp_path / "out", options=ExportOptions(draw=counting_pictures))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"size": 10}, "--size 10: expected 64 to 2048 pixels"), ({"size": 9999, "columns": 2}, "--size 9999")],
)
def test_sizes_out_of_range_are_told_in_one_line(moving_file, tmp_path, options, message):
    with pytest.raises(MotionganError, match=message):
        export_motion(
            [moving_file], "video", tmp_path / "out", options=ExportOptions(draw=counting_pictures, **options)
        )
