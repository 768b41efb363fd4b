"""The model file: what is saved comes back, what is damaged is told in one line, nothing is unpickled."""

import dataclasses
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, safe_open, save_file
from torch.testing import assert_close

from motiongan.body.kinematics import BoneShape
from motiongan.errors import MotionganError
from motiongan.models.autoencoder import AutoencoderConfig
from motiongan.models.checkpoint import ModelFile, amend_provenance, file_hash, load_model, save_model
from motiongan.models.generator import GeneratorConfig, draw_noise
from motiongan.models.motion_model import MotionModel

GENERATOR = GeneratorConfig(latent=8, drive=2, width=16, blocks=1, frequencies=4)


def make_file(autoencoder_steps: int) -> ModelFile:
    torch.manual_seed(0)
    autoencoder = AutoencoderConfig(steps=autoencoder_steps, width=16, latent=4)
    model = MotionModel(GENERATOR, autoencoder, num_actions=2, window=32)
    model.feature_mean, model.feature_std = torch.randn(140), torch.rand(140)
    if model.autoencoder:
        model.autoencoder.mean, model.autoencoder.std = torch.randn(4), torch.rand(4)
    return ModelFile(
        model=model,
        actions=("walk", "kick ö"),
        frame_rate=29.97,
        window=32,
        clip_frames=(32, 20),
        bones=BoneShape(torch.randn(24, 3), torch.randn(24, 3, 10), torch.randn(4, 3), torch.randn(4, 3, 10)),
        betas_mean=torch.randn(10),
        betas_factor=torch.randn(10, 10),
        config={"generator": dataclasses.asdict(GENERATOR), "autoencoder": dataclasses.asdict(autoencoder)},
        provenance={"training_data": "ab" * 32, "held_out": ["zoe"], "finished": True, "steps": 7},
    )


@pytest.fixture
def saved(tmp_path) -> Path:
    file = make_file(autoencoder_steps=1)
    save_model(tmp_path / "model.safetensors", file, file.model.generator.state_dict())
    return tmp_path / "model.safetensors"


def test_amended_provenance_changes_only_what_is_named_and_no_tensor(saved):
    before, weights = load_model(saved), load_file(saved)
    amend_provenance(saved, {"steps": 3, "kept": {"of": 7}})
    after = load_model(saved)
    assert after.provenance == {**before.provenance, "steps": 3, "kept": {"of": 7}}
    assert (after.actions, after.config, after.frame_rate) == (before.actions, before.config, before.frame_rate)
    same = load_file(saved)
    assert list(same) == list(weights)
    assert all(torch.equal(value, weights[name]) for name, value in same.items())
    changed = saved.read_bytes()
    amend_provenance(saved, {})
    assert saved.read_bytes() == changed


@pytest.mark.parametrize("autoencoder_steps", [0, 1])
def test_a_model_survives_the_file(tmp_path, autoencoder_steps):
    file = make_file(autoencoder_steps)
    save_model(tmp_path / "model.safetensors", file, file.model.generator.state_dict())
    same = load_model(tmp_path / "model.safetensors")
    for name in ("actions", "frame_rate", "window", "clip_frames", "config", "provenance"):
        assert getattr(same, name) == getattr(file, name), name
    for name in ("betas_mean", "betas_factor"):
        assert torch.equal(getattr(same, name), getattr(file, name)), name
    for field in dataclasses.fields(BoneShape):
        assert torch.equal(getattr(same.bones, field.name), getattr(file.bones, field.name)), field.name
    noise, actions = draw_noise([1, 2], file.model.num_steps(32), GENERATOR), torch.tensor([0, 1])
    file.model.requires_grad_(False)  # torch multiplies in another order for weights in training
    assert torch.equal(same.model(noise, actions), file.model(noise, actions))
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_model_with_an_option_that_is_gone_still_loads(tmp_path):
    file = make_file(autoencoder_steps=1)
    old = {**file.config, "autoencoder": {**file.config["autoencoder"], "retired_option": 3}}
    save_model(tmp_path / "old.safetensors", dataclasses.replace(file, config=old), file.model.generator.state_dict())
    assert load_model(tmp_path / "old.safetensors").model.config == GENERATOR


def test_the_averaged_weights_are_saved_and_not_those_being_trained(tmp_path):
    file = make_file(autoencoder_steps=1)
    average = {name: value + 1 for name, value in file.model.generator.state_dict().items()}
    save_model(tmp_path / "model.safetensors", file, average)
    for name, value in load_model(tmp_path / "model.safetensors").model.generator.state_dict().items():
        assert_close(value, average[name])


def test_the_encoder_is_not_in_the_file(saved):
    names = list(load_file(saved))
    assert not [name for name in names if "encoder.0" in name or "posterior" in name or ".read." in name]
    assert [name for name in names if name.startswith("autoencoder.decoder.")]


def test_the_metadata_is_readable_text(saved):
    with safe_open(saved, "pt") as archive:
        metadata = archive.metadata()
    assert metadata["format"] == "motiongan.model"
    assert metadata["version"] == "3"
    page = (Path(__file__).resolve().parents[2] / "docs" / "format.md").read_text(encoding="utf-8")
    assert "The model file (`.safetensors`), version 3\n" in page
    assert "`version` = 3 " in page
    assert json.loads(metadata["actions"]) == ["walk", "kick ö"]
    assert json.loads(metadata["provenance"])["training_data"] == "ab" * 32


def test_equal_models_are_equal_bytes(tmp_path):
    for name in ("a", "b", "c"):
        file = make_file(autoencoder_steps=1)
        save_model(tmp_path / name, file, file.model.generator.state_dict())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == (tmp_path / "c").read_bytes()


def rewrite(change: Callable[[dict, dict], object]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        tensors = load_file(path)
        with safe_open(path, "pt") as archive:
            metadata = dict(archive.metadata())
        change(tensors, metadata)
        save_file(tensors, path, metadata)

    return apply


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("the file was unpickled",))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: path.unlink(), "no such model file; `motiongan train` writes model.safetensors"),
    "cut off": (lambda path: path.write_bytes(path.read_bytes()[:-100]), "not a safetensors file, or cut off"),
    "empty": (lambda path: path.write_bytes(b""), "not a safetensors file, or cut off"),
    "text": (lambda path: path.write_text("hello, hello"), "not a safetensors file, or cut off"),
    "pickle": (lambda path: path.write_bytes(pickle.dumps(_Bomb())), "not a safetensors file, or cut off"),
    "torch file": (lambda path: torch.save({"a": torch.zeros(3)}, path), "not a safetensors file, or cut off"),
    "foreign": (rewrite(lambda tensors, metadata: metadata.clear()), "not a motiongan model (no `format`"),
    "newer": (
        rewrite(lambda tensors, metadata: metadata.update(version="4")),
        "model file version 4, this motiongan reads up to 3; update it",
    ),
    "older": (
        rewrite(lambda tensors, metadata: metadata.update(version="1")),
        "model file version 1, of a generator that is gone; train again",
    ),
    "no version": (rewrite(lambda tensors, metadata: metadata.pop("version")), "model file version None"),
    "no config": (rewrite(lambda tensors, metadata: metadata.pop("config")), "damaged model file ('config')"),
    "broken json": (rewrite(lambda tensors, metadata: metadata.update(actions="[")), "damaged model file"),
    "no generator weight": (
        rewrite(lambda tensors, metadata: tensors.pop("generator.out.bias")),
        "damaged model file ('generator.out.bias')",
    ),
    "no decoder weight": (
        rewrite(lambda tensors, metadata: tensors.pop("autoencoder.unpack.linear.bias")),
        "damaged model file ('autoencoder.unpack.linear.bias')",
    ),
    "no latent mean": (rewrite(lambda tensors, metadata: tensors.pop("autoencoder.mean")), "damaged model file"),
    "one weight more": (
        rewrite(lambda tensors, metadata: tensors.update(extra=torch.zeros(1))),
        "damaged model file ('extra')",
    ),
    "wrong shape": (
        rewrite(lambda tensors, metadata: tensors.update({"generator.out.bias": torch.zeros(9)})),
        "damaged model file",
    ),
    "no bones": (
        rewrite(lambda tensors, metadata: tensors.pop("bones.joint_template")),
        "damaged model file",
    ),
    "no betas": (rewrite(lambda tensors, metadata: tensors.pop("betas.mean")), "damaged model file ('betas.mean')"),
    "another network": (
        rewrite(lambda tensors, metadata: metadata.update(config=metadata["config"].replace("conv", "gru"))),
        "damaged model file",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_model_is_told_in_one_line(kind, saved):
    damage, message = DAMAGE[kind]
    damage(saved)
    with pytest.raises(MotionganError) as caught:
        load_model(saved)
    assert str(caught.value).startswith(f"{saved}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_hash_is_the_sha256_of_its_bytes(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_hash(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
