"""`motiongan preview`: which clips it picks, what it writes, and its mistakes in one line."""

import argparse

import numpy as np
import pytest
from PIL import Image

from motiongan.cli.main import main
from motiongan.cli.preview import _choose
from motiongan.motion.store import MotionFile, write_clips


def options(**values) -> argparse.Namespace:
    return argparse.Namespace(**{"file": "x.h5", "clip": None, "action": None, "count": None, "seed": 0, **values})


@pytest.fixture
def uneven_file(tmp_path, make_clip):
    """Clips 0 to 8 walk, clip 9 squats, clip 10 has no label."""
    actions = ["walk"] * 9 + ["squat", None]
    path = tmp_path / "uneven.h5"
    write_clips(path, [make_clip(0, num_frames=3, action=action) for action in actions], kind="sample")
    return path


def test_a_contact_sheet_is_written(motion_file, tmp_path, capsys):
    out = tmp_path / "sheet.png"
    assert main(["preview", str(motion_file), "--out", str(out), "--poses", "5"]) == 0
    assert "4 of the 4 clips" in capsys.readouterr().out
    with Image.open(out) as picture:
        assert picture.format == "PNG"
        colours = np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)
    for colour in ([0x00, 0x72, 0xB2], [0xD5, 0x5E, 0x00], [0x33, 0x33, 0x33]):  # left, right and trunk are there
        assert (colours == colour).all(axis=1).any()


def test_an_animation_has_a_picture_for_every_frame_and_keeps_real_time(motion_file, tmp_path):
    out = tmp_path / "clip.gif"
    assert main(["preview", str(motion_file), "--out", str(out), "--clip", "0"]) == 0
    with Image.open(out) as picture:
        assert picture.n_frames == 30
        milliseconds = 0
        for frame in range(picture.n_frames):
            picture.seek(frame)
            milliseconds += picture.info["duration"]
    assert milliseconds == 1000  # 30 frames at 30 Hz


def test_actions_take_turns(uneven_file):
    with MotionFile(uneven_file) as file:
        chosen = _choose(file, options(count=4), animated=False)
        assert chosen[2:] == [9, 10]
        assert len({*chosen[:2]} & {*range(9)}) == 2
        assert len(_choose(file, options(), animated=False)) == 8
        assert sorted(_choose(file, options(count=99), animated=False)) == list(range(11))


def test_the_seed_decides_which_clips_are_picked(uneven_file):
    with MotionFile(uneven_file) as file:
        picks = [tuple(_choose(file, options(count=3, seed=seed), animated=False)) for seed in (0, 0, 1, 2, 3, 4)]
    assert picks[0] == picks[1]
    assert len(set(picks)) > 1


def test_only_the_wanted_actions_are_picked(uneven_file):
    with MotionFile(uneven_file) as file:
        assert _choose(file, options(action="squat"), animated=False) == [9]
        assert _choose(file, options(action="squat,walk", count=2), animated=False)[0] == 9
        assert _choose(file, options(clip=7), animated=False) == [7]


def test_clips_without_frames_are_passed_over(tmp_path, make_clip, capsys):
    path = tmp_path / "empty.h5"
    write_clips(path, [make_clip().crop(0, 0), make_clip(num_frames=2)], kind="sample")
    with MotionFile(path) as file:
        assert _choose(file, options(), animated=False) == [1]
    assert main(["preview", str(path), "--out", str(tmp_path / "x.png"), "--clip", "0"]) == 2
    assert "--clip 0: has no frames" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "x.jpg"], "ends in .png (contact sheet) or .gif"),
        (["--out", "x.png", "--action", "sqat"], "did you mean `squat`"),
        (["--out", "x.png", "--clip", "4"], "--clip 4:"),
        (["--out", "x.png", "--clip", "-1"], "--clip -1:"),
        (["--out", "x.png", "--count", "0"], "--count 0: expected at least 1"),
        (["--out", "x.png", "--poses", "0"], "--poses 0: expected at least 1"),
        (["--out", "x.png", "--seed", "-1"], "--seed -1: expected 0 or more"),
        (["--out", "x.gif", "--count", "2"], "an animation shows one clip"),
        (["--out", "nowhere/x.png"], "folder does not exist"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(arguments, words, motion_file, capsys, monkeypatch):
    monkeypatch.chdir(motion_file.parent)
    assert main(["preview", motion_file.name, *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert words in error
    assert [path.name for path in motion_file.parent.iterdir()] == [motion_file.name]


def test_an_existing_picture_needs_force(motion_file, tmp_path, capsys):
    out = tmp_path / "sheet.png"
    out.write_text("mine")
    assert main(["preview", str(motion_file), "--out", str(out)]) == 2
    assert "--force" in capsys.readouterr().err
    assert out.read_text() == "mine"
    assert main(["preview", str(motion_file), "--out", str(out), "--force", "--count", "1", "--poses", "2"]) == 0
    with Image.open(out) as picture:
        assert picture.format == "PNG"


def test_shapes_of_another_body_model_are_dropped_with_a_notice(tmp_path, make_clip, capsys):
    path = tmp_path / "amass.h5"
    write_clips(path, [make_clip(num_frames=3, betas=np.full(10, 3.0))], kind="captured", body_model="smplh")
    assert main(["preview", str(path), "--out", str(tmp_path / "a.png")]) == 0
    assert "shapes are for smplh" in capsys.readouterr().out
