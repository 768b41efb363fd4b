"""A run in its folder: resumed bit for bit, stopped cleanly, told when it diverges, never left half-written."""

import dataclasses
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from motiongan.config import config_to_dict
from motiongan.errors import MotionganError
from motiongan.models.checkpoint import load_model
from motiongan.training.assessment import Assessment
from motiongan.training.config import TrainConfig
from motiongan.training.dataset import TrainingData, load_training_data
from motiongan.training.run import Stopped, checkpoints, read_run_config, train
from motiongan.training.trainer import Trainer

CPU = torch.device("cpu")
TWELVE_STEPS = ("autoencoder.steps=6", "training={steps: 6, checkpoint_every: 2}")


@pytest.fixture(autouse=True)
def _few_statistics(monkeypatch) -> None:
    monkeypatch.setattr("motiongan.training.trainer._STATISTICS_BATCHES", 2)


@pytest.fixture(scope="module")
def data(tiny_data_file, tiny_config) -> TrainingData:
    return load_training_data(tiny_data_file, tiny_config().data)


@pytest.fixture
def run(tmp_path, data, tiny_config) -> Callable[..., Path]:
    """Runs `train` in a folder of that name with overrides of the tests' recipe; returns the folder."""

    def run(name: str, *overrides: str, resume: bool = False, **arguments: object) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        config = read_run_config(folder) if resume else tiny_config(*overrides)
        train(data, config, folder, CPU, resume=resume, **arguments)
        return folder

    return run


@pytest.fixture(scope="module")
def whole(tmp_path_factory, data, tiny_config) -> Path:
    """The folder of an unbroken run of TWELVE_STEPS. Read only."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("motiongan.training.trainer._STATISTICS_BATCHES", 2)
        train(data, tiny_config(*TWELVE_STEPS), folder, CPU)
    return folder


@pytest.fixture
def copied(whole, tmp_path) -> Path:
    """A copy of `whole` to spoil, which `run("copied")` finds."""
    return Path(shutil.copytree(whole, tmp_path / "copied"))


def stop_at(step: int, number: int = signal.SIGTERM) -> Callable[[Trainer, object], None]:
    """An `on_step` that sends this process a signal."""

    def on_step(trainer: Trainer, means: object) -> None:
        if trainer.step_count == step:
            os.kill(os.getpid(), number)

    return on_step


def logged(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "clips_per_second"} for line in lines]


def last_state(folder: Path) -> dict[str, object]:
    return torch.load(checkpoints(folder)[-1], weights_only=True)


def assert_equal(first: object, second: object, place: str = "state") -> None:
    """Equal bit for bit, all the way down."""
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second), place
    elif isinstance(first, dict):
        assert list(first) == list(second), place
        for key in first:
            assert_equal(first[key], second[key], f"{place}/{key}")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), place
        for index, (one, other) in enumerate(zip(first, second, strict=True)):
            assert_equal(one, other, f"{place}/{index}")
    else:
        assert first == second, place


# -- resume ------------------------------------------------------------------------------------------------------------


def test_a_resumed_run_equals_an_unbroken_one_bit_for_bit(run, whole):
    """Stopped in the autoencoder's stage, between the stages and in the GAN's, also off the checkpoints' beat."""
    for number, step in enumerate((3, 6, 9)):
        with pytest.raises(Stopped):
            run("parts", *TWELVE_STEPS, resume=number > 0, on_step=stop_at(step - 1))
    parts = run("parts", resume=True)
    assert_equal(last_state(parts), last_state(whole))
    assert_equal(load_file(parts / "model.safetensors"), load_file(whole / "model.safetensors"))
    assert (parts / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert logged(parts) == logged(whole)
    assert [line["step"] for line in logged(parts)] == list(range(1, 13))


def test_a_resumed_run_says_which_options_it_did_not_know_of(tmp_path, tiny_config, caplog):
    values = config_to_dict(tiny_config())
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    assert read_run_config(tmp_path) == tiny_config()
    assert not caplog.messages
    del values["losses"]["kinematic"]["off_balance"], values["data"]["posture"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    read_run_config(tmp_path)
    [said] = caplog.messages
    assert "before there was data.posture=1.0, losses.kinematic.off_balance=0.2" in said


def test_a_resumed_recurrent_one_stage_run_equals_an_unbroken_one_bit_for_bit(run):
    recipe = ("autoencoder.steps=0", "generator.kind=gru", "discriminator.kind=gru")
    unbroken = run("unbroken", *recipe)
    with pytest.raises(Stopped):
        run("parts", *recipe, on_step=stop_at(2))
    parts = run("parts", resume=True)
    assert_equal(last_state(parts), last_state(unbroken))
    assert logged(parts) == logged(unbroken)


def test_a_killed_run_goes_on_from_its_last_checkpoint_with_one_line_per_step(run, whole, tmp_path):
    class KilledError(BaseException):
        pass

    def kill(trainer: Trainer, means: object) -> None:
        if trainer.step_count == 9:
            raise KilledError

    with pytest.raises(KilledError):
        run("killed", *TWELVE_STEPS, on_step=kill)
    folder = tmp_path / "killed"
    assert [line["step"] for line in logged(folder)] == list(range(1, 10))
    assert checkpoints(folder)[-1].name == "step_00000008.pt"
    with open(folder / "log.jsonl", "a") as file:
        file.write('{"step": 10, "gan_st')  # a line that the kill cut short
    run("killed", resume=True)
    assert_equal(last_state(folder), last_state(whole))
    assert logged(folder) == logged(whole)


def test_a_run_killed_before_its_first_checkpoint_starts_anew(run, whole, copied, caplog):
    shutil.rmtree(copied / "checkpoints")
    (copied / "model.safetensors").unlink()
    run("copied", resume=True)
    assert "no checkpoint yet, starting at step 0" in caplog.text
    assert_equal(last_state(copied), last_state(whole))
    assert logged(copied) == logged(whole)


def damage_by_cutting(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damage_by_one_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [damage_by_cutting, damage_by_one_byte, lambda path: path.write_bytes(b"")])
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(run, whole, copied, caplog, damage):
    damage(checkpoints(copied)[-1])
    run("copied", resume=True)
    assert re.search(r"step_00000012\.pt: unreadable \(\w+\); trying the one before", caplog.text)
    assert_equal(last_state(copied), last_state(whole))
    assert logged(copied) == logged(whole)


def test_with_every_checkpoint_damaged_it_does_not_pretend_to_resume(run, copied):
    for path in checkpoints(copied):
        damage_by_cutting(path)
    with pytest.raises(MotionganError, match="none of its 2 checkpoints can be read"):
        run("copied", resume=True)


def test_leftovers_of_a_killed_write_are_cleared_away(run, copied):
    for leftover in (copied / ".model.safetensors.123.part", copied / "checkpoints" / ".step_00000014.pt.123.part"):
        leftover.write_bytes(b"half")
    run("copied", resume=True)
    assert not list(copied.rglob("*.part"))


def test_other_data_or_another_body_is_refused(copied, data):
    config = read_run_config(copied)
    for other, message in (
        (dataclasses.replace(data, content_hash="0" * 64), "trained on other data than the file given"),
        (dataclasses.replace(data, body_model="smplh"), "trained on the motiongan body, not smplh"),
    ):
        with pytest.raises(MotionganError, match=message):
            train(other, config, copied, CPU, resume=True)


def test_a_checkpoint_of_other_networks_is_refused_in_one_line(run, copied):
    recipe = yaml.safe_load((copied / "config.yaml").read_text())
    recipe["generator"]["width"] = 24
    (copied / "config.yaml").write_text(yaml.safe_dump(recipe))
    with pytest.raises(MotionganError, match="does not fit the networks of") as caught:
        run("copied", resume=True)
    assert "\n" not in str(caught.value)


def test_a_finished_run_stays_as_it_is(run, whole, copied):
    run("copied", resume=True)
    for name in ("model.safetensors", "log.jsonl", "config.yaml"):
        assert (copied / name).read_bytes() == (whole / name).read_bytes()


def test_a_run_killed_between_its_last_two_writes_still_ends_finished(run, whole, copied, monkeypatch):
    """Between the model file and the checkpoint of the last step."""
    from motiongan.training import run as module

    checkpoints(copied)[-1].unlink()
    real = module.write_whole

    class KilledError(BaseException):
        pass

    def kill_at_the_last_checkpoint(path: Path, content: bytes) -> None:
        if path.name == "step_00000012.pt":
            raise KilledError
        real(path, content)

    monkeypatch.setattr(module, "write_whole", kill_at_the_last_checkpoint)
    with pytest.raises(KilledError):
        run("copied", resume=True)
    monkeypatch.setattr(module, "write_whole", real)
    run("copied", resume=True)
    assert load_model(copied / "model.safetensors").provenance["finished"]
    assert (copied / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert_equal(last_state(copied), last_state(whole))


# -- what lies in the folder -------------------------------------------------------------------------------------------


def test_the_folder_holds_recipe_log_events_checkpoints_and_model(tiny_run, tiny_config):
    names = {re.sub(r"tfevents.*", "tfevents", path.name) for path in tiny_run.iterdir()}
    assert names == {"config.yaml", "log.jsonl", "events.out.tfevents", "checkpoints", "model.safetensors"}
    assert read_run_config(tiny_run) == tiny_config()
    for line in logged(tiny_run):
        assert {"step", "gan_step"} < set(line)
        assert all(abs(value) < 1e4 for value in line.values())
    assert [line["gan_step"] for line in logged(tiny_run)] == [0, 0, 0, 0, 1, 2, 3, 4]


def test_the_newest_checkpoints_stay(run):
    folder = run("run", "autoencoder.steps=6", "training={steps: 6, checkpoint_every: 2, keep_checkpoints: 3}")
    assert [path.name for path in checkpoints(folder)] == [f"step_{step:08d}.pt" for step in (8, 10, 12)]


def test_the_model_file_says_where_it_comes_from(tiny_model, data, tiny_config):
    file = load_model(tiny_model)
    assert file.actions == ("walk", "squat", "kick_left", "kick_right")
    assert (file.frame_rate, file.window) == (30.0, 32)
    assert file.config == json.loads(json.dumps(config_to_dict(tiny_config())))
    assert file.provenance == {
        "training_data": data.content_hash,
        "held_out": list(data.held_out_subjects),
        "subjects": sorted({clip.subject for clip in data.train}),
        "body_model": "motiongan",
        "licence": "CC0-1.0",
        "seed": 0,
        "steps": 4,
        "finished": True,
    }
    assert len(data.held_out_subjects) == 1
    torch.testing.assert_close(file.betas_mean, data.betas_mean)


def test_snapshots_come_at_their_steps_and_at_the_end(run):
    taken: list[int] = []

    def on_snapshot(model: Path, step: int) -> None:
        load_model(model)
        taken.append(step)

    run(
        "run",
        "autoencoder.steps=3",
        "training={steps: 7, snapshot_every: 3, checkpoint_every: 5}",
        on_snapshot=on_snapshot,
    )
    assert taken == [3, 6, 7]


def test_a_snapshot_that_fails_is_told_and_does_not_end_the_training(run, caplog):
    def on_snapshot(model: Path, step: int) -> None:
        raise ValueError("no ink")

    folder = run("run", "training={steps: 4, snapshot_every: 2}", on_snapshot=on_snapshot)
    assert load_model(folder / "model.safetensors").provenance["finished"]
    assert [record.getMessage() for record in caplog.records if "no ink" in record.getMessage()] == [
        f"{folder}: no picture of GAN step {step} (ValueError: no ink)" for step in (2, 4)
    ]


# -- assessments -------------------------------------------------------------------------------------------------------


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


def test_an_autoencoder_that_is_taken_over_is_kept_and_the_run_begins_with_the_second_stage(run, whole):
    weights = last_state(whole)["trainer"]["model"]
    folder = run("run", *TWELVE_STEPS, autoencoder=weights)
    assert [line["step"] for line in logged(folder)] == list(range(7, 13))
    made = last_state(folder)["trainer"]["model"]
    taken = [name for name in made if name.startswith("autoencoder.")]
    assert len(taken) > 10
    assert all(torch.equal(made[name], weights[name]) for name in taken)
    shutil.rmtree(folder / "checkpoints")  # killed before the first
    run("run", resume=True, autoencoder=weights)
    assert_equal(last_state(folder)["trainer"]["model"], made)
    assert [line["step"] for line in logged(folder)] == list(range(7, 13))


# -- stops -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_step_saves_and_stops(run, tmp_path, number):
    with pytest.raises(Stopped) as caught:
        run("run", *TWELVE_STEPS, on_step=stop_at(7, number))
    assert caught.value.signal_number == number
    assert caught.value.checkpoint.name == "step_00000008.pt"
    assert checkpoints(tmp_path / "run")[-1] == caught.value.checkpoint
    assert not load_model(tmp_path / "run" / "model.safetensors").provenance["finished"]
    assert signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)  # as it was before


def test_a_second_ctrl_c_does_not_wait(run):
    def twice(trainer: Trainer, means: object) -> None:
        if trainer.step_count == 3:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run("run", *TWELVE_STEPS, on_step=twice)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_saves_and_tells_how_to_go_on(tmp_path, tiny_data_file, number):
    """As a process of its own, signalled somewhere in the middle."""
    from conftest import TINY

    folder = tmp_path / "run"
    overrides = [part for override in [*TINY, "training.steps=100000"] for part in ("--set", override)]
    command = [sys.executable, "-m", "motiongan", "train", "--data", str(tiny_data_file), "--out", str(folder)]
    process = subprocess.Popen([*command, *overrides], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while not (folder / "model.safetensors").exists():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 128 + number
    last = out.splitlines()[-1]
    assert "state saved in" in last
    assert last.endswith(f"go on with: motiongan train --data {tiny_data_file} --resume --out {folder}")
    assert "Traceback" not in err
    steps = last_state(folder)["trainer"]["steps"]
    assert logged(folder)[-1]["step"] == sum(steps)


# -- divergence --------------------------------------------------------------------------------------------------------


def spoil(monkeypatch, step: int, value: float) -> None:
    """From this GAN step on, the generator's loss is `value`."""
    real = Trainer._gan_step

    def spoiled(self: Trainer) -> dict[str, object]:
        losses = real(self)
        return {**losses, "generator/loss": torch.tensor(value)} if self.gan_step_count >= step else losses

    monkeypatch.setattr(Trainer, "_gan_step", spoiled)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e6])
def test_a_loss_that_is_no_number_or_explodes_stops_and_names_the_last_good_checkpoint(run, monkeypatch, value):
    spoil(monkeypatch, 3, value)  # step 6 + 4: nothing has been saved since step 8
    with pytest.raises(MotionganError) as caught:
        run("run", *TWELVE_STEPS)
    assert caught.value.exit_code == 1
    message = str(caught.value)
    assert re.search(
        r"run: generator/loss is \S+: the training diverged; the last good checkpoint is \S+step_00000008", message
    )
    assert "lower training.learning_rate" in message


def test_weights_that_are_no_numbers_are_never_saved_as_good(run, monkeypatch, tmp_path):
    """The losses of the last step are fine, its update is not."""
    real = Trainer._gan_step

    def spoiled(self: Trainer) -> dict[str, object]:
        losses = real(self)
        if self.gan_step_count == 3:
            with torch.no_grad():
                next(self.model.generator.parameters()).fill_(float("nan"))
        return losses

    monkeypatch.setattr(Trainer, "_gan_step", spoiled)
    with pytest.raises(
        MotionganError, match=r"a weight is not a finite number: .* the last good checkpoint is .*00000008"
    ):
        run("run", *TWELVE_STEPS)
    assert checkpoints(tmp_path / "run")[-1].name == "step_00000008.pt"


def test_a_divergence_before_any_checkpoint_says_so(run, monkeypatch):
    spoil(monkeypatch, 0, float("nan"))
    with pytest.raises(MotionganError, match="there is no checkpoint yet"):
        run("run", "autoencoder.steps=0", "training={steps: 4, checkpoint_every: 4}")


def test_a_folder_without_a_run_cannot_be_resumed(tmp_path):
    with pytest.raises(MotionganError, match="no run to resume here"):
        read_run_config(tmp_path)


def test_the_recipe_is_saved_as_it_was_resolved(tiny_run):
    stored = yaml.safe_load((tiny_run / "config.yaml").read_text())
    assert stored["generator"]["width"] == 16
    assert stored["losses"]["gamma"] == TrainConfig().losses.gamma  # defaults too: a later release may change them
