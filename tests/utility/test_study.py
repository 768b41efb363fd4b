"""tools/utility_study.py: which commands it gives, and which it leaves out because they are finished."""

import importlib.util
import json
from pathlib import Path

import pytest

from motiongan.motion.store import write_clips

TOOL = Path(__file__).resolve().parents[2] / "tools" / "utility_study.py"


def figure(value):
    return {"value": value, "low": value - 0.01, "high": value + 0.01}


def made_report(task):
    """What the benchmark would write: few + both 10 % below few + perturbation, and half of the gap."""
    measure = "accuracy" if task == "recognition" else "mpjpe"
    names = ("few", "few + perturbation", "few + both", "synthetic only", "all real", "all real + perturbation")
    rows = {name: {measure: figure(0.5), "by_action": {"kick": {}, "walk": {}}} for name in names}
    rows["few + both"] |= {
        "gain_over_few_and_perturbation": figure(0.1),
        "gap_closed_from_few_and_perturbation": figure(0.5),
        "worse_than_few_and_perturbation": ["kick"],
        "gain_over_rival": {"rival": "r", "mpjpe": {"verdict": "better"}, "pa_mpjpe": {"verdict": "within noise"}},
    }
    rows["synthetic only"] |= {"ratio_over_few": figure(0.8), "worse_than_few": []}
    return {"task": task, "rows": rows}


@pytest.fixture
def study(tmp_path, make_clip, monkeypatch):
    """A function that runs the tool, and the commands that it gave; models are finished at once, or never started."""
    spec = importlib.util.spec_from_file_location("utility_study", TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    given, finished = [], set()

    def command(arguments):
        given.append(arguments)
        out = Path(arguments[arguments.index("--out") + 1]) if "--out" in arguments else None
        if "--write-few" in arguments:
            Path(arguments[arguments.index("--write-few") + 1]).write_text("few")
        elif arguments[0] == "vary":
            out.write_text("varied")
        elif arguments[0] == "train":
            out.mkdir(parents=True, exist_ok=True)
            (out / "config.yaml").write_text("training: {steps: 7}\nautoencoder: {steps: 3}\n")
            (out / "model.safetensors").write_text("model")
            if study.stopped:
                return 143
            finished.add(out)
        else:
            out.mkdir(parents=True, exist_ok=True)
            task = "recognition" if "recognition" in arguments else "lifter"
            (out / "report.json").write_text(json.dumps(made_report(task)))
        return 0

    monkeypatch.setattr(tool, "motiongan", command)
    monkeypatch.setattr(tool, "_is_finished", lambda model: model.parent in finished)
    write_clips(tmp_path / "real.h5", [make_clip(0, subject="cmu1"), make_clip(1, subject="hdm_a")], kind="captured")

    def study(*arguments):
        del given[:]
        tool.main(
            ["--data", str(tmp_path / "real.h5"), "--out", str(tmp_path / "study"), "--gan-steps", "7", *arguments]
        )
        return [" ".join(each) for each in given]

    study.stopped = False
    return study


def test_every_stage_has_its_command_and_a_model_is_trained_once_for_those_that_share_it(study, capsys):
    given = study("--leave-out", "kick,walk")
    assert sum("--write-few" in each for each in given) == 4  # k2, k4, k8, cross
    trained = [each for each in given if each.startswith("train")]
    assert len(trained) == 4
    assert all("data.held_out_share=0" in each and "training.steps=7" in each for each in trained)
    measured = [each for each in given if "--checkpoint" in each]
    assert len(measured) == 7
    (recognition,) = [each for each in measured if "--task recognition" in each]
    (kick,) = [each for each in measured if "--leave-out kick" in each]
    assert all("study/k4/run/model.safetensors --train-clips-per-action 4" in each for each in (recognition, kick))
    (cross,) = [each for each in measured if "--held-out hdm_a" in each]
    assert "study/cross/run/model.safetensors" in cross
    assert len({each.split("--trainings ")[1].split()[0] for each in measured}) == 1
    varied = [each for each in given if each.startswith("vary")]
    assert len(varied) == 4
    assert all("--recombine --betas random" in each for each in varied)
    with_varied = [each for each in given if "--synthetic" in each]
    assert len(with_varied) == 7
    assert sum("study/k4/varied-24.h5 --train-clips-per-action 4" in each for each in with_varied) == 4
    lines = {line.split("  ")[0]: line for line in capsys.readouterr().out.splitlines()}
    assert len([name for name in lines if name.endswith("-varied")]) == 7
    assert lines["k2"].rstrip().endswith("half of the gap      yes")
    assert "50.0 % [49.0, 51.0]" in lines["k2"]
    assert "1 of 2 actions  better in 1, worse in 0 of 2" in lines["k2"]
    assert lines["recognition"].endswith("no")


def test_what_is_finished_is_left_out_and_what_was_changed_is_measured_again(study):
    assert len(study("--only", "k2,k8")) == 10
    assert study("--only", "k2,k8") == []
    again = study("--only", "k2", "--seeds", "9", "--source", "model")
    assert len(again) == 1
    assert "--seeds 9" in again[0]
    assert "--force" in again[0]
    assert study("--only", "k2", "--seeds", "9", "--source", "model", "--jobs", "3") == []  # jobs change nothing


def test_a_training_that_was_stopped_ends_the_study_and_is_resumed(study):
    study.stopped = True
    with pytest.raises(SystemExit) as stopped:
        study("--only", "k4")
    assert stopped.value.code == 143
    study.stopped = False
    given = study("--only", "k4")
    assert ["train" in each.split()[0] for each in given] == [True, False]
    assert "--resume" in given[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "k3"], "unknown stage `k3`"),
        (["--only", "leave-out"], "needs --leave-out ACTION"),
        (["--source", "gan"], "unknown source `gan`"),
        (["--only", "cross", "--other", "bmlr"], "nobody's name begins with bmlr"),
    ],
)
def test_a_mistake_is_told_in_one_line(study, arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        study(*arguments)
    error = capsys.readouterr().err
    assert stopped.value.code == 2
    assert message in error
    assert error.count("\n") == 1


def test_a_run_of_other_steps_is_not_taken_for_the_wanted_one(study, capsys):
    study("--only", "k2")
    with pytest.raises(SystemExit):
        study("--only", "k2", "--gan-steps", "8")
    assert "training.steps=7, not 8" in capsys.readouterr().err
