"""The recipe: a number that cannot work is refused in one line that names its option, before anything is made."""

import dataclasses
import math
import operator

import pytest

from motiongan.config import load_config, shipped
from motiongan.errors import MotionganError
from motiongan.losses.adversarial import ADVERSARIAL_LOSSES
from motiongan.training.config import TrainConfig, load_recipe

BASELINES = sorted(shipped("configs/baselines").glob("*.yaml"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.learning_rate=.nan", "is nan, expected a finite number"),
        ("losses.kinematic.flight=.inf", "is inf, expected a finite number"),
        ("data.speeds=[1.0, .inf]", "is inf, expected a finite number"),
        ("training.learning_rate=0", "is 0.0, expected more than 0"),
        ("training.autoencoder_rate=-1e-3", "is -0.001, expected more than 0"),
        ("losses.gamma=-1", "is -1.0, expected 0 or more"),
        ("losses.adversarial=wgan_gp", "is 'wgan_gp', expected relativistic, minimax,"),
        ("losses.adversarial=wgan_gp", "did you mean `wgan-gp`?"),
        (
            "losses.adversarial=began",
            "is 'began', which compares reconstructions; set discriminator.kind=reconstruction",
        ),
        ("discriminator.kind=reconstruction", "is 'reconstruction', which is for losses.adversarial=began"),
        ("losses.unit_slope=-1", "is -1.0, expected 0 or more"),
        ("losses.clip=0", "is 0.0, expected more than 0"),
        ("losses.diversity_ratio=0", "is 0.0, expected more than 0, at most 1"),
        ("losses.balance_rate=-0.1", "is -0.1, expected 0 or more"),
        ("losses.discriminator_updates=-1", "is -1, expected 0 or more"),
        ("training.assess_every=-1", "is -1, expected 0 or more"),
        ("data.variants=-1", "is -1, expected 0 or more"),
        ("losses.kinematic.jerk=1", "did you mean"),
        ("losses.kinematic.smoothness=-0.1", "is -0.1, expected 0 or more"),
        ("losses.kinematic_from=0.4", "is 0.4, expected less than losses.kinematic_full, 0.4"),
        ("losses.kinematic_full=1.1", "is 1.1, expected 0 to 1"),
        ("losses.kinematic_clips=0", "is 0, expected at least 1"),
        ("training.ema_share=0", "is 0.0, expected more than 0, at most 1"),
        ("training.ema_share=1.5", "is 1.5, expected more than 0, at most 1"),
        ("augment.noise=-0.1", "is -0.1, expected 0 or more"),
        ("augment.shift=1", "is 1.0, expected 0 or more, below 1"),
        ("augment.cutout=-0.5", "is -0.5, expected 0 or more, below 1"),
        ("data.held_out_share=1", "is 1.0, expected 0 or more, below 1"),
        ("data.balance=-1", "is -1.0, expected 0 or more"),
        ("data.speeds=[1.0, 0.0]", "is [1.0, 0.0], expected more than 0"),
        ("data.speeds=[]", "is empty, expected one or more numbers above 0"),
        ("autoencoder.steps=-1", "is -1, expected 0 or more"),
        ("autoencoder.blocks=0", "is 0, expected at least 1"),
        ("discriminator.scales=0", "is 0, expected at least 1"),
        ("discriminator.scales=6", "is 6, expected 1 to 5: a window of 64 frames has 16 steps to halve"),
        ("training.seed=-1", "is -1, expected 0 to 2^63 - 1"),
        ("data.split_seed=9223372036854775808", "is 9223372036854775808, expected 0 to 2^63 - 1"),
    ],
)
def test_a_number_that_cannot_work_is_refused_with_its_option_and_what_is_expected(override, message):
    with pytest.raises(MotionganError) as caught:
        load_config(TrainConfig, None, [override])
    assert f"--set {override}: " in str(caught.value)
    assert f"`{override.partition('=')[0]}`" in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("autoencoder.steps", 0),
        ("losses.gamma", 0.0),
        ("losses.adversarial", "wgan-gp"),
        ("augment.shift", 0.0),
        ("training.ema_share", 1.0),
        ("discriminator.scales", 5),
    ],
)
def test_what_just_works_is_taken(name, value):
    config = load_config(TrainConfig, None, [f"{name}={value}"])
    assert operator.attrgetter(name)(config) == value


def test_every_number_of_the_recipe_is_a_finite_one():
    from motiongan.training.config import _reals

    found = dict(_reals(TrainConfig(), ""))
    assert {"losses.kinematic.flight", "data.speeds", "autoencoder.kl"} <= set(found)
    assert all(map(math.isfinite, found.values()))


# -- the loss by its short name, and the field's baselines -------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(ADVERSARIAL_LOSSES))
def test_a_loss_is_picked_by_its_name_alone(name):
    config = load_recipe(None, [f"loss={name}"])
    assert config.losses.adversarial == name
    assert config.discriminator.kind == ("reconstruction" if name == "began" else "conv")
    assert (
        dataclasses.replace(
            config,
            losses=dataclasses.replace(config.losses, adversarial="relativistic"),
            discriminator=TrainConfig().discriminator,
        )
        == TrainConfig()
    )  # and nothing else changes


@pytest.mark.parametrize("name", ["began", "hinge", "wgan-gp"])
def test_a_loss_by_its_name_is_the_recipe_of_that_name(name):
    assert load_recipe(None, [f"loss={name}"]) == load_recipe(f"baselines/{name}")
    assert load_recipe("demo", [f"loss={name}"]).losses.discriminator_updates == 0  # its own number, not the recipe's


def test_what_comes_after_the_loss_goes_before_it():
    config = load_recipe(None, ["loss=began", "loss=hinge", "discriminator.kind=gru"])
    assert (config.losses.adversarial, config.discriminator.kind) == ("hinge", "gru")


def test_a_misspelt_loss_is_answered_with_the_nearest():
    with pytest.raises(MotionganError, match="did you mean `wgan-gp`"):
        load_recipe(None, ["loss=wgan_gp"])


def test_a_generator_that_is_fitted_cannot_be_trained():
    with pytest.raises(MotionganError, match="is 'mixture', which is fitted, not trained; expected conv, gru, mlp"):
        load_recipe(None, ["generator.kind=mixture"])


@pytest.mark.parametrize("path", BASELINES, ids=[path.stem for path in BASELINES])
def test_a_baseline_is_a_recipe_that_says_which_loss_it_plays_and_where_it_is_from(path):
    config = load_recipe(f"baselines/{path.stem}")
    assert "arXiv" in path.read_text()
    if config.autoencoder.steps:  # then nothing but the game differs from the default recipe
        assert (path.stem, config.generator) == (config.losses.adversarial, TrainConfig().generator)
    else:
        assert not any(dataclasses.astuple(config.losses.kinematic))
        assert config.generator.kind == config.discriminator.kind == path.stem.partition("-")[0]


def test_the_baselines_play_every_game_of_the_field():
    played = {load_recipe(path).losses.adversarial for path in BASELINES}
    assert played == set(ADVERSARIAL_LOSSES) - {"relativistic"}  # our own
