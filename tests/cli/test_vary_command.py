"""`motiongan vary`: the file it makes, what it says of its origin, and one line for each mistake."""

import json
from pathlib import Path

import pytest

from motiongan.cli.main import main
from motiongan.motion.clip import Clip
from motiongan.motion.store import MotionFile, read_clips, write_clips
from motiongan.utility.few import read_split, write_few


def test_a_file_of_labelled_variations_with_their_provenance(tiny_data_file, tmp_path, capsys):
    out = tmp_path / "varied.h5"
    assert main(["vary", str(tiny_data_file), "-n", "2", "--action", "walk", "--seed", "3", "--out", str(out)]) == 0
    walks = [clip for clip in read_clips(tiny_data_file) if clip.action == "walk"]
    assert f"{out}: {2 * len(walks)} variations of {len(walks)} clips of walk\n" in capsys.readouterr().out
    with MotionFile(tiny_data_file) as data, MotionFile(out) as file:
        assert (file.kind, file.frame_rate, file.actions) == ("generated", 30.0, ("walk",))
        assert file.attributes["training_data"] == data.content_hash()
        assert file.attributes["licence"] == data.attributes["licence"]
        assert file.attributes["seed"] == 3
        assert json.loads(file.attributes["config"]) == {
            "variations": 2,
            "recombine": False,
            "betas": "own",
            "actions": ["walk"],
        }
        shapes = {clip.betas.tobytes() for clip in data}
        assert {clip.betas.tobytes() for clip in file} <= shapes
        assert {clip.subject for clip in file} <= {clip.subject for clip in data}
        assert json.loads(file.attributes["subjects"]) == sorted({clip.subject for clip in walks})
    assert main(["vary", str(tiny_data_file), "-n", "1", "--betas", "random", "--out", str(out), "--force"]) == 0
    with MotionFile(out) as file:
        assert json.loads(file.attributes["config"])["betas"] == "random"
        assert len({clip.betas.tobytes() for clip in file}) == len(file)


def test_equal_commands_make_equal_files_at_a_set_time(tiny_data_file, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    for name in ("a.h5", "b.h5"):
        assert main(["vary", str(tiny_data_file), "-n", "1", "--recombine", "--out", str(tmp_path / name)]) == 0
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_the_benchmark_takes_variations_of_the_few_and_refuses_those_of_others(tmp_path, capsys, make_clip):
    clips = [make_clip(seed, action=action, subject=f"p{seed % 4}") for seed in range(8) for action in ("walk", "run")]
    write_clips(tmp_path / "all.h5", clips, kind="captured")
    split = read_split(tmp_path / "all.h5", per_action=2)
    write_few(tmp_path / "few.h5", split)
    for name in ("few", "all"):
        assert (
            main(["vary", str(tmp_path / f"{name}.h5"), "-n", "1", "--out", str(tmp_path / f"{name}_varied.h5")]) == 0
        )
    command = ["utility", "--real", str(tmp_path / "all.h5"), "--train-clips-per-action", "2", "--steps", "4"]
    command += ["--seeds", "1", "--jobs", "1", "--out", str(tmp_path / "report")]
    assert main([*command, "--synthetic", str(tmp_path / "few_varied.h5")]) == 0
    assert "the same few clips" in capsys.readouterr().out
    assert main([*command, "--synthetic", str(tmp_path / "all_varied.h5"), "--force"]) == 2
    assert main([*command, "--synthetic", str(tmp_path / "all_varied.h5"), "--force", "--allow-leak"]) == 0
    assert ", ".join(split.held_out) in capsys.readouterr().out.partition("maybe among them")[2]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-n", "0"], "-n is 0, expected at least 1"),
        (["--seed", "-1"], "--seed is -1"),
        (["--betas", "mean"], "--betas: invalid choice: 'mean'"),
        (["--action", "wlk"], "unknown action `wlk`"),
    ],
)
def test_mistakes_are_told_in_one_line(arguments, told, tiny_data_file, tmp_path, capsys):
    out = tmp_path / "out.h5"
    assert main(["vary", str(tiny_data_file), "--out", str(out), *arguments]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_an_action_that_was_captured_once_has_nobody_to_take_from(make_clip, tmp_path, capsys):
    one = [make_clip(0, action="walk"), make_clip(1, action="run")]
    write_clips(tmp_path / "one.h5", one, kind="captured")
    command = ["vary", str(tmp_path / "one.h5"), "-n", "1", "--out", str(tmp_path / "out.h5")]
    assert main(command) == 2
    assert "no action has two clips" in capsys.readouterr().err
    assert main([*command, "--recombine"]) == 0
    write_clips(tmp_path / "one.h5", [*one, make_clip(2, action="run")], kind="captured", force=True)
    assert main([*command, "--force"]) == 0
    assert "captured once, so nobody else's posture: walk" in capsys.readouterr().out


def test_clips_without_a_label_are_left_out_and_alone_are_a_mistake(make_clip, tmp_path, capsys, caplog):
    unlabelled = Clip(**{**vars(make_clip(0)), "action": None})
    write_clips(tmp_path / "none.h5", [unlabelled], kind="captured")
    assert main(["vary", str(tmp_path / "none.h5"), "--out", str(tmp_path / "out.h5")]) == 2
    assert "no labelled clip" in capsys.readouterr().err
    assert not Path(tmp_path / "out.h5").exists()
