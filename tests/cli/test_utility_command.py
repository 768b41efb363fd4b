import json
from dataclasses import replace

import pytest
import torch
from format_page import untold

from motiongan.cli.main import main
from motiongan.motion.store import MotionFile, write_clips
from motiongan.training.dataset import load_training_data
from motiongan.training.run import train
from motiongan.utility.experiment import Experiment

QUICK = ["--seeds", "2", "--steps", "4", "--width", "8", "--jobs", "1", "--train-clips-per-action", "2"]


@pytest.fixture
def files(tmp_path, make_clip, monkeypatch):
    """real.h5 of three people and a generated aug.h5 whose model saw all of it."""
    monkeypatch.chdir(tmp_path)
    real = [
        make_clip(10 * person + number, num_frames=30, action=action, subject=name)
        for person, name in enumerate(("anna", "ben", "carl"))
        for number, action in enumerate(("walk", "squat") * 2)
    ]
    write_clips("real.h5", real, kind="captured")
    with MotionFile("real.h5") as file:
        trained_on = file.content_hash()
    _write_generated("aug.h5", make_clip, trained_on)
    return tmp_path


def _write_generated(path, make_clip, trained_on, **more):
    made = [replace(make_clip(50 + i, num_frames=36, action=("walk", "squat")[i % 2]), seed=i) for i in range(6)]
    recorded = {"checkpoint": "0" * 64, "seed": 0, "training_data": trained_on, "config": "{}", **more}
    write_clips(path, made, kind="generated", provenance=recorded)


def test_a_generator_that_saw_more_than_the_few_is_refused_and_one_of_the_few_is_not(files, make_clip, capsys):
    common = ["utility", "--real", "real.h5", "--held-out", "ben", *QUICK]
    assert main([*common, "--synthetic", "aug.h5"]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "other clips than the few" in message
    assert "--allow-leak" in message
    assert not (files / "utility").exists()

    assert main([*common, "--write-few", "few.h5"]) == 0
    assert untold("few.h5") == set()
    with MotionFile("few.h5") as few:
        _write_generated("own.h5", make_clip, few.content_hash())
    capsys.readouterr()
    assert main([*common, "--synthetic", "own.h5", "--out", "report"]) == 0
    shown = capsys.readouterr().out
    assert "own.h5: its generator was trained on the same few clips" in shown
    assert "LEAKY" not in shown
    facts = json.loads((files / "report/report.json").read_text())
    assert list(facts["rows"]) == [
        "few", "few + perturbation", "few + synthetic", "few + both", "synthetic only", "all real",
        "all real + perturbation",
    ]  # fmt: skip
    both = facts["rows"]["few + both"]
    assert set(both["mpjpe"]) == {"value", "low", "high", "by_seed"}
    assert sum(both["mpjpe"]["by_seed"]) / 2 == pytest.approx(both["mpjpe"]["value"], abs=1e-3)
    gain = 1 - both["mpjpe"]["value"] / facts["rows"]["few"]["mpjpe"]["value"]
    assert both["gain_over_few"]["value"] == pytest.approx(gain, abs=1e-3)
    assert set(both["by_action"]) == {"walk", "squat"}
    assert facts["split"]["held_out"] == ["ben"]
    assert facts["synthetic"]["clips"] == {"walk": 3, "squat": 3}
    assert (files / "report/report.png").read_bytes()[:4] == b"\x89PNG"
    assert "few + both" in (files / "report/report.md").read_text()


def test_clips_that_a_gate_chose_beside_the_test_people_are_refused_after_a_merge_too(files, make_clip, capsys):
    common = ["utility", "--real", "real.h5", "--held-out", "ben", *QUICK]
    assert main([*common, "--write-few", "few.h5"]) == 0
    with MotionFile("few.h5") as few, MotionFile("real.h5") as real:
        own, other = few.content_hash(), real.content_hash()
    _write_generated("proper.h5", make_clip, own, selected_by=own)
    _write_generated("leak.h5", make_clip, own, selected_by=other)
    assert main(["export", "proper.h5", "leak.h5", "--to", "h5", "--out", "merged.h5"]) == 0
    for name in ("leak.h5", "merged.h5"):
        capsys.readouterr()
        assert main([*common, "--synthetic", name]) == 2
        message = capsys.readouterr().err
        assert message.count("\n") == 1
        assert "its quality gate compared with other clips than the few" in message
    assert not (files / "utility").exists()
    assert main([*common, "--synthetic", "leak.h5", "--allow-leak", "--out", "leaky"]) == 0
    assert "LEAKY" in capsys.readouterr().out
    assert main([*common, "--synthetic", "proper.h5"]) == 0
    assert "LEAKY" not in capsys.readouterr().out


def test_a_leak_that_is_allowed_is_told(files, capsys):
    arguments = ["utility", "--real", "real.h5", "--held-out", "ben", "--synthetic", "aug.h5", "--allow-leak", *QUICK]
    assert main([*arguments, "--leave-out", "walk"]) == 0
    shown = capsys.readouterr().out
    assert "LEAKY" in shown
    facts = json.loads((files / "utility/report.json").read_text())
    assert facts["synthetic"]["clips"] == {"walk": 3}
    assert facts["rows"]["few"]["mpjpe"]["value"] == facts["rows"]["few"]["by_action"]["walk"]["mpjpe"]["value"]
    assert "few with walk + perturbation" in facts["rows"]
    # Of the four clips that are the few, two walk.
    assert facts["split"]["few"] == {"squat": 2, "walk": 0}
    assert facts["split"]["few_seconds"] == 2.0
    assert "few: 2 clips (2.0 s), at most 2 of each of squat; all real: 8 clips (8.0 s)" in shown
    assert main(arguments) == 2  # the report is there
    assert "--force" in capsys.readouterr().err


def test_a_model_trained_on_the_written_few_is_taken_as_honest(
    tmp_path, monkeypatch, capsys, tiny_data_file, tiny_config
):
    monkeypatch.chdir(tmp_path)
    common = ["utility", "--real", str(tiny_data_file), "--held-out", "person3", *QUICK, "--seeds", "1", "-n", "2"]
    assert main([*common, "--write-few", "few.h5"]) == 0
    config = tiny_config("data.held_out_share=0")
    train(load_training_data("few.h5", config.data), config, tmp_path / "run", torch.device("cpu"))
    capsys.readouterr()
    assert main([*common, "--checkpoint", "run/model.safetensors", "--controls", "copies,noise"]) == 0
    assert "was trained on the same few clips" in capsys.readouterr().out
    facts = json.loads((tmp_path / "utility/report.json").read_text())
    assert facts["synthetic"]["verdict"] == "the same few clips"
    assert facts["synthetic"]["clips"] == dict.fromkeys(("kick_left", "kick_right", "squat", "walk"), 2)
    assert "control: few + noise" in facts["rows"]
    # Other few are another split.
    assert main([*common, "--split-seed", "1", "--checkpoint", "run/model.safetensors", "--force"]) == 2
    assert "other clips than the few" in capsys.readouterr().err


def test_recognition_tells_the_share_of_the_real_ones_accuracy(files, capsys):
    arguments = ["utility", "--real", "real.h5", "--held-out", "ben", "--synthetic", "aug.h5", "--allow-leak"]
    assert main([*arguments, "--task", "recognition", "--seeds", "1", "--steps", "3", "--jobs", "1"]) == 0
    facts = json.loads((files / "utility/report.json").read_text())
    assert list(facts["rows"]) == ["few", "synthetic only", "few + synthetic", "all real"]
    assert 0 <= facts["rows"]["synthetic only"]["accuracy"]["value"] <= 1
    assert "share of few's" in capsys.readouterr().out


@pytest.mark.parametrize(
    "option", [["--share", "0.3"], ["--width", "3"], ["--final-share", "0"], ["--drawn", "2"], ["--leave-out", "walk"]]
)
def test_what_only_the_lifter_has_is_refused_for_recognition(files, capsys, option):
    assert main(["utility", "--real", "real.h5", "--held-out", "ben", "--task", "recognition", *option]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert f"{option[0]} goes with --task lifter" in told


def test_an_interrupted_run_goes_on_where_it_stopped_and_a_larger_one_adds_what_is_new(files, capsys, monkeypatch):
    trained, stop_at = [], [3]
    real = Experiment.train

    def counted(self, row, seed):
        if len(trained) + 1 == stop_at[0]:
            raise KeyboardInterrupt
        trained.append((row.name, seed))
        return real(self, row, seed)

    monkeypatch.setattr(Experiment, "train", counted)
    arguments = ["utility", "--real", "real.h5", "--held-out", "ben", "--synthetic", "aug.h5", "--allow-leak", *QUICK]
    arguments += ["--seeds", "1"]
    assert main([*arguments, "--out", "broken"]) == 130
    told = capsys.readouterr().err.splitlines()[-1]
    assert "2 of 7 trainings are kept in broken/trainings; the same command goes on" in told
    assert [entry.name for entry in (files / "broken").iterdir()] == ["trainings"]

    stop_at[0] = 0
    assert main([*arguments, "--out", "broken"]) == 0
    assert len(trained) == len(set(trained)) == 7  # none of them twice
    assert main([*arguments, "--out", "unbroken"]) == 0
    assert len(trained) == 14
    for name in ("report.json", "report.md", "report.png"):
        assert (files / "broken" / name).read_bytes() == (files / "unbroken" / name).read_bytes()

    del trained[:]
    assert main([*arguments, "--seeds", "2", "--controls", "copies", "--out", "broken", "--force"]) == 0
    assert [name for name, seed in trained if seed == 0] == ["control: few + copies"]
    assert len(trained) == 1 + 8
    alone, with_more = (
        json.loads((files / name / "report.json").read_text())["rows"]["few"]["mpjpe"]["by_seed"]
        for name in ("unbroken", "broken")
    )
    assert with_more[0] == alone[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "0"], "--seeds is 0"),
        (["--share", "1.5"], "--share is 1.5"),
        (["--controls", "copy"], "did you mean `copies`"),
        (["--leave-out", "walk"], "--leave-out needs generated clips"),
        (["--held-out", "dora"], "real.h5: --held-out: unknown subject `dora`; known: anna, ben, carl"),
        (["--held-out", "anna,ben,carl"], "real.h5: --held-out leaves no subject to train on"),
        (["--task", "recognition"], "--width goes with --task lifter"),  # QUICK has a width
        (["--actions", "wallk"], "did you mean `walk`"),
        (["--held-out", "ben", "--synthetic", "no.h5"], "no.h5: no such file"),
        (["--actions", "squat"], "name them with --held-out"),
    ],
)
def test_a_mistake_is_answered_in_one_line(files, capsys, arguments, message):
    assert main(["utility", "--real", "real.h5", *QUICK, *arguments]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert message in told
