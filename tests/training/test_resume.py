"""A run that goes on: bit for bit as an unbroken one, from the newest whole checkpoint, on its own data and recipe."""

import dataclasses
import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from training.run_folder import TWELVE_STEPS, assert_equal, last_state, logged, stop_at

from motiongan.config import config_to_dict
from motiongan.errors import MotionganError
from motiongan.models.checkpoint import load_model
from motiongan.training.run import Stopped, checkpoints, read_run_config, train
from motiongan.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("few_statistics")

CPU = torch.device("cpu")


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


def test_a_folder_without_a_run_cannot_be_resumed(tmp_path):
    with pytest.raises(MotionganError, match="no run to resume here"):
        read_run_config(tmp_path)


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
