"""A run assessed on held-out people as it goes: the best step is kept, a collapse is told, what fails ends nothing."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from training.run_folder import assert_equal, last_state, logged, stop_at

from motiongan.models.checkpoint import load_model
from motiongan.training.assessment import Assessment
from motiongan.training.run import Stopped, checkpoints
from motiongan.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("few_statistics")

ASSESSED = ("autoencoder.steps=3", "training={steps: 10, checkpoint_every: 5, assess_every: 2}")
FIDS = {2: 1.0, 4: 9.0, 6: 5.0, 8: 7.0, 10: 8.0}  # by GAN step; the best of the last six is the third


def assess_by(fids: dict[int, float], **fields: object) -> Callable[[Path, int], Assessment]:
    """An `on_assess` that finds these; it looks at the model file as a real one would."""

    def on_assess(model: Path, step: int) -> Assessment:
        assert load_model(model).provenance["steps"] == step
        return Assessment({"fid": fids[step]}, **fields)

    return on_assess


def provenance(folder: Path, name: str = "model.safetensors") -> dict[str, object]:
    return dict(load_model(folder / name).provenance)


def test_the_best_assessed_checkpoint_is_what_the_model_file_holds(run, tmp_path, caplog):
    caplog.set_level("INFO")
    files: dict[int, bytes] = {}

    def on_assess(model: Path, step: int) -> Assessment:
        files[step] = model.read_bytes()
        return assess_by(FIDS)(model, step)

    folder = run("run", *ASSESSED, on_assess=on_assess)
    made = provenance(folder)
    assert (made["steps"], made["finished"]) == (6, True)
    assert made["kept"] == {"step": 6, "of": 10, "score": pytest.approx(math.log(5))}
    best = tmp_path / "best.safetensors"
    best.write_bytes(files[6])
    assert_equal(load_file(folder / "model.safetensors"), load_file(best))
    assert provenance(folder, "newest.safetensors")["steps"] == 10
    assert not torch.equal(
        load_file(folder / "model.safetensors")["generator.out.weight"],
        load_file(folder / "newest.safetensors")["generator.out.weight"],
    )
    assert "model.safetensors: of GAN step 6 of 10, the best by held-out people (score 1.609)" in caplog.text


def test_assessments_are_lines_of_the_log_and_never_replace_those_of_the_losses(run):
    folder = run("run", *ASSESSED, on_assess=assess_by(FIDS, by_action={"walk": {"pose_diversity": 0.9}}))
    lines = [line for line in logged(folder) if "assessment/fid" in line]
    assert [(line["step"], line["gan_step"]) for line in lines] == [(5, 2), (7, 4), (9, 6), (11, 8), (13, 10)]
    assert [line["assessment/fid"] for line in lines] == list(FIDS.values())
    assert [line.get("kept_step") for line in lines] == [None, 4, 6, 6, 6]
    assert {line["assessment/pose_diversity/walk"] for line in lines} == {0.9}
    assert [line["step"] for line in logged(folder) if "assessment/fid" not in line] == list(range(1, 14))


def test_an_assessed_run_that_was_stopped_or_killed_equals_an_unbroken_one_bit_for_bit(run, tmp_path):
    class KilledError(BaseException):
        pass

    def kill(trainer: Trainer, means: object) -> None:
        if trainer.step_count == 12:
            raise KilledError

    assess = {"on_assess": assess_by(FIDS)}
    unbroken = run("unbroken", *ASSESSED, **assess)
    for number, step in enumerate((4, 9)):  # stopped off the beat, and in the step of an assessment
        with pytest.raises(Stopped):
            run("parts", *ASSESSED, resume=number > 0, on_step=stop_at(step - 1), **assess)
    with pytest.raises(KilledError):
        run("parts", resume=True, on_step=kill, **assess)
    parts = run("parts", resume=True, **assess)
    assert_equal(last_state(parts), last_state(unbroken))
    assert logged(parts) == logged(unbroken)
    for name in ("model.safetensors", "newest.safetensors"):
        assert (parts / name).read_bytes() == (unbroken / name).read_bytes()


def test_a_collapse_is_told_once_when_it_comes_and_at_the_end_and_stands_in_the_log(run, caplog):
    alike = {"walk": {"pose_diversity": 0.1}, "squat": {"pose_diversity": 0.9}}
    folder = run("run", *ASSESSED, on_assess=assess_by(FIDS, by_action=alike))
    told = [record.getMessage() for record in caplog.records if "collapsed" in record.getMessage()]
    assert [message.partition(": collapsed")[0] for message in told] == [
        f"{folder}: GAN step {step}" for step in (2, 10)
    ]
    assert "walk 0.10" in told[0]
    assert "squat" not in told[0]
    lines = [line for line in logged(folder) if "assessment/fid" in line]
    assert all(line["trouble"].startswith("collapsed: ") for line in lines)


def test_a_checkpoint_of_a_version_that_did_not_assess_goes_on_and_is_assessed_from_there(run, tmp_path):
    with pytest.raises(Stopped):
        run("run", *ASSESSED, on_step=stop_at(7))  # after GAN step 5
    path = checkpoints(tmp_path / "run")[-1]
    state = torch.load(path, weights_only=True)
    del state["standing"]
    torch.save(state, path)
    folder = run("run", resume=True, on_assess=assess_by(FIDS))
    assert provenance(folder)["kept"]["step"] == 6


def test_with_too_few_held_out_clips_the_last_step_is_kept_and_that_is_said(run, caplog):
    caplog.set_level("INFO")
    folder = run("run", *ASSESSED, on_assess=assess_by(FIDS, can_choose=False))
    assert (provenance(folder)["steps"], provenance(folder)["finished"]) == (10, True)
    assert "kept" not in provenance(folder)
    assert not (folder / "newest.safetensors").exists()
    assert "of the last step; there are too few held-out clips to choose by" in caplog.text


def test_an_assessment_that_fails_is_told_and_does_not_end_the_training(run, caplog):
    def on_assess(model: Path, step: int) -> Assessment:
        raise ValueError("no eyes")

    folder = run("run", *ASSESSED, on_assess=on_assess)
    assert provenance(folder)["finished"]
    assert f"{folder}: no assessment of GAN step 10 (ValueError: no eyes)" in caplog.text
