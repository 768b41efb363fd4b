"""The verb `sample-data`: its file and its lines for mistakes."""

import pytest

from motiongan.cli.main import main
from motiongan.motion.store import MotionFile


def test_sample_data_writes_a_motion_file_that_says_it_is_a_sample(tmp_path, capsys):
    path = tmp_path / "sample.h5"
    arguments = ["sample-data", "--out", str(path), "--clips-per-action", "2", "--subjects", "2", "--seed", "5"]
    assert main([*arguments, "--actions", "squat,walk"]) == 0
    assert "4 clips of 2 made-up athletes" in capsys.readouterr().out
    with MotionFile(path) as file:
        assert (file.kind, file.body_model, file.frame_rate) == ("sample", "motiongan", 30.0)
        assert [clip.action for clip in file] == ["squat", "squat", "walk", "walk"]
        assert {clip.subject for clip in file} == {"athlete01", "athlete02"}
        assert all(60 <= clip.num_frames <= 120 for clip in file)
        assert file.attributes["seed"] == 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--clips-per-action", "0"], "--clips-per-action is 0"),
        (["--subjects", "-3"], "--subjects is -3"),
        (["--seed", "-1"], "--seed is -1"),
        (["--frame-rate", "5"], "--frame-rate is 5"),
        (["--actions", "sqat"], "did you mean `squat`"),
        (["--spec", "missing.yaml"], "missing.yaml: cannot be read"),
    ],
)
def test_a_mistake_costs_one_line_and_leaves_no_file(tmp_path, capsys, arguments, words):
    path = tmp_path / "sample.h5"
    assert main(["sample-data", "--out", str(path), *arguments]) == 2
    message = capsys.readouterr().err
    assert words in message
    assert message.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_existing_file_is_kept(tmp_path, capsys):
    path = tmp_path / "sample.h5"
    path.write_text("mine")
    assert main(["sample-data", "--out", str(path)]) == 2
    assert path.read_text() == "mine"
    assert "--force" in capsys.readouterr().err
