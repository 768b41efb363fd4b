"""`motiongan train`: its recipe, its run folder, what it says, and one line for each mistake."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import TINY

from motiongan.cli.main import main
from motiongan.models.checkpoint import load_model
from motiongan.motion.store import write_clips
from motiongan.training.config import TrainConfig

TINY_SET = [part for override in TINY for part in ("--set", override)]


@pytest.fixture
def train(tiny_data_file, tmp_path, monkeypatch):
    """Runs `motiongan train` on the tests' data in an empty folder; returns the exit status."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("motiongan.cli.assessment._RECOGNIZER_STEPS", 5)
    return lambda *arguments: main(["train", "--data", str(tiny_data_file), *arguments])


def test_it_trains_and_names_the_model_and_the_next_command(train, capsys):
    assert train("--out", "runs/mine", "--device", "cpu", *TINY_SET) == 0
    out = capsys.readouterr().out
    assert "training clips: 12, " in out
    assert "walk 3, squat 3, kick_left 3, kick_right 3" in out
    assert re.search(r"held out: 4 clips of person\d\n", out)
    assert out.splitlines()[-2:] == [
        "finished: runs/mine/model.safetensors",
        "next: motiongan generate --checkpoint runs/mine/model.safetensors --action walk -n 500 --out aug.h5",
    ]
    assert load_model("runs/mine/model.safetensors").provenance["finished"]
    assert [path.name for path in Path("runs/mine/snapshots").iterdir()] == ["step_00000004.png"]
    lines = [json.loads(line) for line in Path("runs/mine/log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6, 7, 8, 8]
    assert lines[-1]["assessment/fid"] > 0  # measured at the end
    assert {f"assessment/pose_diversity/{action}" for action in ("walk", "squat", "kick_left")} <= set(lines[-1])


def test_it_keeps_the_best_checkpoint_by_the_held_out_people_and_says_which(train, monkeypatch, capsys):
    monkeypatch.setattr("motiongan.cli.assessment._ENOUGH_HELD_OUT", 4)
    assert train("--out", "run", "--device", "cpu", *TINY_SET, "--set", "training.assess_every=1") == 0
    made = load_model("run/model.safetensors").provenance
    lines = [json.loads(line) for line in Path("run/log.jsonl").read_text().splitlines()]
    scores = {line["gan_step"]: line["assessment/score"] for line in lines if "assessment/score" in line}
    assert list(scores) == [1, 2, 3, 4]
    chosen = made["kept"]["step"]
    assert chosen in (2, 3, 4)  # of the last three fifths
    assert scores[chosen] <= min(scores[step] for step in (2, 3, 4)) + 0.02
    assert (made["finished"], made["steps"], made["kept"]["score"]) == (True, chosen, scores[chosen])
    assert f"run/model.safetensors: of GAN step {chosen} of 4, the best by held-out" in capsys.readouterr().err


def test_a_loss_is_picked_by_its_name_alone(train, capsys):
    assert train("--set", "loss=wgan-gp", "--dry-run") == 0
    assert yaml.safe_load(capsys.readouterr().out)["losses"]["adversarial"] == "wgan-gp"
    assert train("--config", "baselines/wgan-gp", "--dry-run") == 0
    assert yaml.safe_load(capsys.readouterr().out)["losses"]["adversarial"] == "wgan-gp"


def test_a_dry_run_prints_the_resolved_recipe_and_makes_nothing(train, capsys):
    Path("mine.yaml").write_text("training: {steps: 7}\ngenerator: {kind: gru}\n")
    assert train("--config", "mine.yaml", "--set", "training.steps=9", "--dry-run") == 0
    recipe = yaml.safe_load(capsys.readouterr().out)
    assert (recipe["training"]["steps"], recipe["generator"]["kind"]) == (9, "gru")
    assert recipe["training"]["batch_size"] == TrainConfig().training.batch_size
    assert [path.name for path in Path().iterdir()] == ["mine.yaml"]


def test_without_out_the_run_gets_the_time_as_its_name(train, monkeypatch):
    monkeypatch.setattr("motiongan.cli.train._snapshot", lambda *arguments: None)
    assert train(*TINY_SET) == 0
    (folder,) = Path("runs").iterdir()
    assert re.fullmatch(r"\d{8}-\d{6}", folder.name)


def test_resume_takes_the_newest_run_and_its_own_recipe(train, tiny_run, monkeypatch, capsys):
    monkeypatch.setattr("motiongan.cli.train._snapshot", lambda *arguments: None)
    shutil.copytree(tiny_run, "runs/old")
    for path in sorted(Path("runs/old/checkpoints").iterdir())[1:]:
        path.unlink()
    Path("runs/old/config.yaml").touch()
    assert train("--resume") == 0
    assert capsys.readouterr().out.splitlines()[-2] == "finished: runs/old/model.safetensors"
    steps = [json.loads(line)["step"] for line in Path("runs/old/log.jsonl").read_text().splitlines()]
    assert steps == [*range(1, 9), 8]  # and the assessment at the end
    assert Path("runs/old/model.safetensors").read_bytes() == (tiny_run / "model.safetensors").read_bytes()


def test_resuming_with_other_data_is_refused(train, tiny_run, clips, capsys):
    shutil.copytree(tiny_run, "run")
    write_clips("other.h5", clips, kind="sample")
    assert train("--resume", "--out", "run", "--data", "other.h5") == 2
    error = capsys.readouterr().err
    assert "trained on other data than the file given; resume with the same --data" in error.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "none.h5"], "none.h5: no such file"),
        (["--config", "nope"], "nope: no such configuration; give a YAML file or one of conv, demo, gru"),
        (["--config", "bad.yaml"], "bad.yaml:2: unknown option `training.stepz`; did you mean `training.steps`?"),
        (["--set", "training.stepz=3"], "unknown option `training.stepz`; did you mean `training.steps`?"),
        (["--set", "loss=wgan_gp"], "`losses.adversarial` is 'wgan_gp', expected relativistic, minimax"),
        (["--set", "data.window=62"], "`data.window` is 62, expected a multiple of 4"),
        (["--set", "data.actions=[sqat]"], "unknown action `sqat`; did you mean `squat`?"),
        (["--set", "data.held_out=[zoe]"], "data.held_out: unknown subject `zoe`; known: person0"),
        (["--set", "data.min_frames=500"], "no labelled clip has 500 frames or more"),
        (["--out", "full"], "full: exists already; give another --out, or --resume to go on with it"),
        (["--resume"], "runs: no run to resume; give --out"),
        (["--resume", "--out", "none"], "none: no run to resume here (no config.yaml)"),
        (["--resume", "--out", "none", "--set", "training.steps=9"], "--resume goes on with the run's own recipe"),
        (["--data", "none.h5", "--dry-run"], "none.h5: no such file"),
        (["--data", "full"], "full: is a folder; give a motion file"),
        (["--data", "nan.h5"], "nan.h5: clip 0 (walk) holds NaN or infinite numbers; `motiongan info --check` lists"),
        (["--device", "meta"], "--device meta: expected auto, cpu, cuda or cuda:N"),
        (["--device", "gpu"], "--device gpu: expected auto, cpu, cuda or cuda:N"),
        (["--body", "none.npz"], "none.npz: no such"),
    ],
)
def test_a_mistake_is_told_in_one_line_and_makes_no_run(train, make_clip, capsys, arguments, message):
    Path("bad.yaml").write_text("training:\n  stepz: 3\n")
    broken = make_clip()
    broken.poses[7] = np.nan
    write_clips("nan.h5", [broken], kind="sample")
    Path("full").mkdir()
    Path("full/something").touch()
    assert train(*arguments) == 2
    *notices, error = capsys.readouterr().err.splitlines()
    assert error.startswith("motiongan: error: ")
    assert message in error
    assert all(notice.startswith("motiongan: warning: ") for notice in notices)
    assert sorted(path.name for path in Path().iterdir()) == ["bad.yaml", "full", "nan.h5"]


def test_after_a_mistake_in_the_recipe_the_same_folder_serves(train, capsys):
    """At four times their speed no clip is long enough: this shows only where the windows are cut."""
    too_fast = ["--set", "data.speeds=4.0", "--set", "data.min_frames=20"]
    assert train("--out", "run", "--device", "cpu", *TINY_SET, *too_fast) == 2
    assert "no clip has the 20 frames that training needs" in capsys.readouterr().err
    assert not Path("run").exists()
    assert train("--out", "run", "--device", "cpu", *TINY_SET) == 0
