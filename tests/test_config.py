"""Configuration: defaults <- YAML <- --set, and one line for each mistake with its place."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
import yaml

from motiongan.config import config_from_dict, config_to_dict, load_config, shipped
from motiongan.errors import MotionganError
from motiongan.training.config import TrainConfig


@dataclass(frozen=True)
class Wheels:
    count: int = 4
    size: float = 0.6
    kind: Literal["road", "snow"] = "road"


@dataclass(frozen=True)
class Car:
    wheels: Wheels = field(default_factory=Wheels)
    name: str = "car"
    colours: tuple[str, ...] = ()
    fast: bool = False

    def __post_init__(self) -> None:
        if self.wheels.count < 3:
            raise ValueError(f"wheels.count is {self.wheels.count}, expected at least 3")


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "car.yaml"
        path.write_text(text)
        return path

    return write


def message(*args: object) -> str:
    with pytest.raises(MotionganError) as caught:
        load_config(Car, *args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_defaults_give_way_to_the_file_and_the_file_to_the_command_line(write):
    path = write("wheels: {count: 6, size: 1}\nname: truck\n")
    assert load_config(Car) == Car()
    assert load_config(Car, path) == Car(Wheels(6, 1.0), "truck")
    assert load_config(Car, path, ["wheels.count=8", "fast=true"]) == Car(Wheels(8, 1.0), "truck", fast=True)


@pytest.mark.parametrize(
    ("override", "wanted"),
    [
        ("wheels.size=1e-3", Car(Wheels(size=0.001))),  # YAML 1.1 takes it for text
        ("wheels.size=2", Car(Wheels(size=2.0))),
        ("wheels={count: 5, kind: snow}", Car(Wheels(5, kind="snow"))),
        ("colours=[red, blue]", Car(colours=("red", "blue"))),
        ("colours=red,blue", Car(colours=("red", "blue"))),
        ("colours=red", Car(colours=("red",))),
        ("name=a=b", Car(name="a=b")),
    ],
)
def test_an_override_is_read_as_yaml(override, wanted):
    assert load_config(Car, None, [override]) == wanted


@pytest.mark.parametrize(
    ("override", "wanted"),
    [
        ("wheels.cuont=3", "--set wheels.cuont=3: unknown option `wheels.cuont`; did you mean `wheels.count`?"),
        ("count=3", "--set count=3: unknown option `count`; did you mean `wheels.count`?"),
        ("wheel.kind=snow", "--set wheel.kind=snow: unknown option `wheel.kind`; did you mean `wheels.kind`?"),
        (
            "zzz=1",
            "--set zzz=1: unknown option `zzz`; known: wheels.count, wheels.size, wheels.kind, name, colours, fast",
        ),
        ("wheels=3", "--set wheels=3: `wheels` is a group of options; set one of its fields"),
        ("wheels.count", "--set wheels.count: expected key=value, as in training.steps=500"),
        ("wheels.count=[", "--set wheels.count=[: the value is not valid YAML"),
        ("wheels.kind=mud", "--set wheels.kind=mud: `wheels.kind` is 'mud': input should be 'road' or 'snow'"),
        ("wheels.count=2", "--set wheels.count=2: `wheels.count` is 2, expected at least 3"),
    ],
)
def test_a_mistaken_override_is_told_in_one_line(override, wanted):
    assert message(None, [override]) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("name: x\nwheels:\n  cuont: 3\n", ":3: unknown option `wheels.cuont`; did you mean `wheels.count`?"),
        ("name: x\n\nwheels: {count: many}\n", ":3: `wheels.count` is 'many': input should be a valid integer"),
        ("wheels:\n  size: 1\n  count: 1\n", ":3: `wheels.count` is 1, expected at least 3"),
        ("wheels: 3\n", ":1: `wheels` is a group of options"),
        ("wheels: [1\nname: x\n", ":2: not valid YAML"),
        ("- a\n- b\n", ":1: expected `key: value` lines"),
    ],
)
def test_a_mistake_in_the_file_is_told_with_its_line(write, text, wanted):
    path = write(text)
    assert message(path).startswith(f"{path}{wanted}")


def test_an_empty_file_changes_nothing(write):
    assert load_config(Car, write("# nothing yet\n")) == Car()


def test_a_recipe_is_found_by_name_and_a_missing_one_is_answered_with_those_there_are():
    assert load_config(TrainConfig, "gru").generator.kind == "gru"
    with pytest.raises(MotionganError, match=r"wgan-gp: no such configuration; .* one of conv, demo, gru") as answer:
        load_config(TrainConfig, "wgan-gp")
    assert "gru, baselines/began, " in str(answer.value)
    assert "baselines/wgan-gp" in str(answer.value)
    assert load_config(TrainConfig, "baselines/wgan-gp").losses.adversarial == "wgan-gp"


@pytest.mark.parametrize("recipe", sorted(path.stem for path in shipped("configs").glob("*.yaml")))
def test_every_shipped_recipe_changes_the_defaults_and_survives_yaml(recipe):
    config = load_config(TrainConfig, recipe)
    assert config_from_dict(TrainConfig, yaml.safe_load(yaml.safe_dump(config_to_dict(config)))) == config


def test_a_stored_configuration_with_an_unknown_key_is_refused_at_every_depth():
    for values in ({"nmae": "x"}, {"wheels": {"cuont": 3}}):
        with pytest.raises(MotionganError, match=r"nmae|cuont"):
            config_from_dict(Car, values)


@pytest.mark.parametrize(
    "override",
    [
        "training.steps=0",
        "training.log_every=0",
        "training.keep_checkpoints=0",
        "training.batch_size=0",
        "data.window=62",
        "data.speeds=[]",
        "data.speeds=[1, 0]",
        "autoencoder.patch=0",
        "discriminator={kind: gru, width: 31}",
        "generator.blocks=0",
    ],
)
def test_numbers_that_cannot_train_are_refused_before_training(override):
    key = override.partition("=")[0]
    with pytest.raises(MotionganError) as caught:
        load_config(TrainConfig, None, [override])
    assert str(caught.value).startswith(f"--set {override}: `{key}")
