"""A run in its folder: what lies there, stopped cleanly, told when it diverges, never left half-written."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from training.run_folder import TWELVE_STEPS, last_state, logged, stop_at

from motiongan.config import config_to_dict
from motiongan.errors import MotionganError
from motiongan.models.checkpoint import load_model
from motiongan.training.config import TrainConfig
from motiongan.training.run import Stopped, checkpoints, read_run_config
from motiongan.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("few_statistics")


# -- what lies in the folder -------------------------------------------------------------------------------------------


def test_the_folder_holds_recipe_log_events_checkpoints_and_model(tiny_run, tiny_config):
    names = {re.sub(r"tfevents.*", "tfevents", path.name) for path in tiny_run.iterdir()}
    assert names == {"config.yaml", "log.jsonl", "events.out.tfevents", "checkpoints", "model.safetensors"}
    assert read_run_config(tiny_run) == tiny_config()
    for line in logged(tiny_run):
        assert {"step", "gan_step"} < set(line)
        assert all(abs(value) < 1e4 for value in line.values())
    assert [line["gan_step"] for line in logged(tiny_run)] == [0, 0, 0, 0, 1, 2, 3, 4]


def test_the_recipe_is_saved_as_it_was_resolved(tiny_run):
    stored = yaml.safe_load((tiny_run / "config.yaml").read_text())
    assert stored["generator"]["width"] == 16
    assert stored["losses"]["gamma"] == TrainConfig().losses.gamma  # defaults too: a later release may change them


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
