"""Training steps: both stages, both kinds of network; what changes, what stays, and that it learns something."""

import copy
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from motiongan.losses.adversarial import ADVERSARIAL_LOSSES
from motiongan.models.generator import draw_noise
from motiongan.motion.windows import WindowSampler
from motiongan.training.config import TrainConfig
from motiongan.training.dataset import TrainingData, load_training_data
from motiongan.training.trainer import Trainer

CPU = torch.device("cpu")
ONE_STAGE, TWO_STAGES = "autoencoder.steps=0", "autoencoder.steps=4"
GAMES = sorted(ADVERSARIAL_LOSSES)
# Latents without kinematics: the quickest GAN steps.
QUICK = ("autoencoder.steps=1", "losses={kinematic_from: 0.999, kinematic_full: 1.0}")


def kind_of_both(kind: str) -> tuple[str, str]:
    return f"generator.kind={kind}", f"discriminator.kind={kind}"


RECURRENT = kind_of_both("gru")


@pytest.fixture(scope="module")
def data(tiny_data_file, tiny_config) -> TrainingData:
    return load_training_data(tiny_data_file, tiny_config().data)


@pytest.fixture
def make(data, tiny_config, monkeypatch) -> Callable[..., Trainer]:
    """Makes a trainer; arguments are overrides of the tests' recipe."""
    monkeypatch.setattr("motiongan.training.trainer._STATISTICS_BATCHES", 4)

    def make(*overrides: str) -> Trainer:
        config: TrainConfig = tiny_config(*overrides)
        sampler = WindowSampler(data.train, data.skeletons(), data.actions, config.data, CPU)
        return Trainer(config, sampler, len(data.actions), data.mean_skeleton(), data.frame_rate, CPU)

    return make


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in module.named_parameters()}


def changed(before: dict[str, Tensor], module: nn.Module) -> set[str]:
    return {name for name, parameter in module.named_parameters() if not torch.equal(before[name], parameter)}


@pytest.mark.parametrize(
    "kinds", [(), RECURRENT, kind_of_both("mlp"), kind_of_both("dcgan")], ids=["conv", "gru", "mlp", "dcgan"]
)
@pytest.mark.parametrize("stages", [ONE_STAGE, TWO_STAGES])
def test_every_network_learns_in_its_stage_and_only_there(make, stages, kinds):
    trainer = make(stages, *kinds)
    autoencoder = trainer.model.autoencoder
    assert (autoencoder is None) == (stages == ONE_STAGE)
    start = {name: weights(part) for name, part in (("G", trainer.model.generator), ("D", trainer.discriminator))}
    if autoencoder is not None:
        before = weights(autoencoder)
        for _ in range(4):
            losses = trainer.step()
            assert all(math.isfinite(float(value)) for value in losses.values())
        assert "autoencoder/loss" in losses
        assert changed(before, autoencoder) == set(before)
        assert not changed(start["G"], trainer.model.generator)
        before = weights(autoencoder)
    for _ in range(4):
        losses = trainer.step()
        assert all(math.isfinite(float(value)) for value in losses.values())
    assert {"generator/loss", "discriminator/loss", "discriminator/penalty"} <= set(losses)
    assert {name for name in losses if name.startswith("kinematic/")}  # they have ramped in
    assert changed(start["G"], trainer.model.generator) == set(start["G"])
    # A constant added to every logit cancels in a relativistic pair.
    scores = {name for name in start["D"] if name.endswith("score.bias")}
    assert changed(start["D"], trainer.discriminator) - scores == set(start["D"]) - scores
    if autoencoder is not None:
        assert not changed(before, autoencoder)  # frozen once it is trained
    assert trainer.step_count == trainer.num_steps == (8 if autoencoder else 4)


def game(name: str) -> tuple[str, ...]:
    """The overrides that play a game."""
    needed = ("discriminator.kind=reconstruction",) if ADVERSARIAL_LOSSES[name].balanced else ()
    return (f"losses.adversarial={name}", *needed)


@pytest.mark.parametrize("name", GAMES)
def test_every_game_is_played_for_thirty_steps_and_changes_both_networks(make, name):
    recipe = ("losses.discriminator_updates=1", "training={steps: 30, learning_rate: 2e-3}")
    trainer = make(*QUICK, *game(name), *recipe)
    start = {part: weights(part) for part in (trainer.model.generator, trainer.discriminator)}
    trainer.step()  # of the autoencoder
    for _ in range(30):
        losses = {key: float(value) for key, value in trainer.step().items()}
        assert all(map(math.isfinite, losses.values())), losses
    assert ("discriminator/penalty" in losses) == bool(ADVERSARIAL_LOSSES[name].penalty)
    # A constant added to every logit cancels in a difference: of a relativistic pair, of a critic's two means.
    fixed = {key for key in start[trainer.discriminator] if key.endswith("score.bias")}
    for part, before in start.items():
        assert changed(before, part) >= set(before) - fixed
        assert all(value.isfinite().all() for value in part.state_dict().values())


@pytest.mark.parametrize("name", [name for name in GAMES if name != "relativistic"])
def test_every_game_continues_bit_for_bit_from_its_state(make, name):
    overrides = (*QUICK, *game(name), "losses.balance_rate=0.1")
    whole, parts, resumed = (make(*overrides) for _ in range(3))
    for _ in range(3):
        parts.step()
    resumed.load_state(copy.deepcopy(parts.state()))
    for trainer, steps in ((whole, 5), (resumed, 2)):
        for _ in range(steps):
            trainer.step()
    assert_same_state(whole.state(), resumed.state())
    assert ("balance" in whole.state()) == (name == "began")


def test_a_wasserstein_critic_moves_five_times_for_one_step_and_stays_within_its_clip(make):
    trainer = make(*QUICK, *game("wgan"), "losses.clip=0.02")
    trainer.step()  # of the autoencoder
    trainer.step()
    assert {int(state["step"]) for state in trainer.discriminator_optimizer.state.values()} == {5}
    assert {int(state["step"]) for state in trainer.generator_optimizer.state.values()} == {1}
    largest = max(float(parameter.detach().abs().max()) for parameter in trainer.discriminator.parameters())
    assert largest == pytest.approx(0.02)
    told = make(*QUICK, *game("wgan"), "losses.discriminator_updates=2")
    told.step()
    told.step()
    assert {int(state["step"]) for state in told.discriminator_optimizer.state.values()} == {2}


def test_the_gradient_penalty_keeps_a_critics_slope_near_one_and_without_it_the_slope_runs_away(make):
    seen = []
    for weight in (0, 10):
        trainer = make(
            *QUICK, *game("wgan-gp"), f"losses.unit_slope={weight}", "training={steps: 30, learning_rate: 2e-3}"
        )
        trainer.step()  # of the autoencoder
        seen.append([float(trainer.step()["discriminator/penalty"]) for _ in range(20)][-3:])
    assert max(seen[1]) < 0.5
    assert min(seen[0]) > 5


def test_a_hinge_discriminator_has_layers_of_norm_one(make):
    trainer = make(*QUICK, *game("hinge"), "training.steps=20")
    for _ in range(21):
        trainer.step()
    layers = [layer for layer in trainer.discriminator.modules() if isinstance(layer, nn.Linear | nn.Embedding)]
    norms = [float(torch.linalg.matrix_norm(layer.weight.detach(), 2)) for layer in layers]
    assert norms == pytest.approx([1.0] * len(layers), abs=0.1)


def test_the_balance_of_began_follows_the_errors_of_the_step_and_the_log_tells_it(make):
    trainer = make(ONE_STAGE, *game("began"), "losses={balance_rate: 0.1, diversity_ratio: 1.0}")
    losses = {key: float(value) for key, value in trainer.step().items()}
    real, fake = losses["discriminator/loss"], losses["generator/loss"]  # k is 0: both are plain errors
    assert real > fake > 0
    assert losses["discriminator/balance"] == pytest.approx(0.1 * (real - fake))
    assert losses["discriminator/convergence"] == pytest.approx(real + (real - fake))
    assert float(trainer.state()["balance"]) == pytest.approx(0.1 * (real - fake))
    again = {key: float(value) for key, value in trainer.step().items()}
    assert again["discriminator/balance"] > losses["discriminator/balance"]


def test_the_average_follows_the_generator_more_and_more_slowly(make):
    trainer = make(ONE_STAGE)
    trainer.step()
    for mean, value in zip(trainer.average.parameters(), trainer.model.generator.parameters(), strict=True):
        assert torch.equal(mean, value)  # decay 0 at the first step
    before = weights(trainer.average)
    trainer.step()  # decay 1 - 1 / 1.2
    for name, mean in trainer.average.named_parameters():
        value = dict(trainer.model.generator.named_parameters())[name]
        torch.testing.assert_close(mean, before[name] + (value - before[name]) / 1.2)


def test_kinematic_losses_wait_and_then_ramp_in(make):
    trainer = make(ONE_STAGE, "training.steps=10", "losses={kinematic_from: 0.2, kinematic_full: 0.4}")
    seen = [any(name.startswith("kinematic/") for name in trainer.step()) for _ in range(5)]
    assert seen == [False, False, False, True, True]


def test_kinematic_losses_switched_off_leave_the_rest_as_it_was(make):
    off = [f"losses.kinematic.{name}=0" for name in make(ONE_STAGE).config.losses.kinematic.__dataclass_fields__]
    without, never = make(ONE_STAGE, *off), make(ONE_STAGE, "losses={kinematic_from: 0.999, kinematic_full: 1.0}")
    for trainer in (without, never):
        for _ in range(3):
            trainer.step()
    for name, value in weights(without.model).items():
        assert torch.equal(value, dict(never.model.named_parameters())[name])


def test_equal_seeds_train_equally_and_leave_the_global_stream_alone(make):
    torch.manual_seed(99)
    expected = torch.rand(1)
    torch.manual_seed(99)
    trainers = [make(TWO_STAGES), make(TWO_STAGES), make(TWO_STAGES, "training.seed=1")]
    for trainer in trainers:
        for _ in range(6):
            trainer.step()
    assert torch.rand(1) == expected
    first, again, other = (weights(trainer.model) for trainer in trainers)
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert not all(torch.equal(value, other[name]) for name, value in first.items())


@pytest.mark.parametrize("split", [2, 4, 6])
def test_a_state_continues_bit_for_bit_in_either_stage(make, split):
    whole, parts = make(TWO_STAGES), make(TWO_STAGES)
    for _ in range(split):
        parts.step()
    state = copy.deepcopy(parts.state())
    resumed = make(TWO_STAGES)
    resumed.load_state(state)
    for trainer, steps in ((whole, 8), (resumed, 8 - split)):
        losses = [trainer.step() for _ in range(steps)]
    assert_same_state(whole.state(), resumed.state())
    assert {name: float(value) for name, value in losses[-1].items()}


def assert_same_state(first: object, second: object, path: str = "") -> None:
    if isinstance(first, Tensor):
        assert torch.equal(first, second), path
    elif isinstance(first, dict):
        assert first.keys() == second.keys(), path
        for key in first:
            assert_same_state(first[key], second[key], f"{path}/{key}")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), path
        for index, pair in enumerate(zip(first, second, strict=True)):
            assert_same_state(*pair, f"{path}/{index}")
    else:
        assert first == second, path


def test_latents_have_unit_variance_for_the_gan(make):
    trainer = make(TWO_STAGES)
    for _ in range(4):
        trainer.step()
    batch = trainer.sampler.draw(256, generator=torch.Generator().manual_seed(5))
    latents, mask = trainer._real(batch)
    torch.testing.assert_close(latents[mask].mean(0), torch.zeros(4), atol=0.15, rtol=0)
    torch.testing.assert_close(latents[mask].std(0), torch.ones(4), atol=0.15, rtol=0)


def test_features_are_normalised_by_the_training_frames(make, monkeypatch):
    monkeypatch.setattr("motiongan.training.trainer._STATISTICS_BATCHES", 32)  # speeds vary much between windows
    trainer = make(ONE_STAGE, "data.posture=0")
    batch = trainer.sampler.draw(4096, generator=torch.Generator().manual_seed(5))
    normalised = trainer.model.normalisation.apply(batch.features[batch.mask])
    assert normalised.mean(0).abs().max() < 0.2
    moving = trainer.model.normalisation.std > 0.021
    assert moving.sum() > 60
    assert (normalised.std(0)[moving] - 1).abs().max() < 0.2


def test_the_autoencoder_learns_to_give_back_the_training_windows(make):
    trainer = make(
        "autoencoder={steps: 400, batch_size: 16, width: 32, latent: 16, kl: 0}",
        "training.autoencoder_rate=5e-3",
    )
    autoencoder, normalisation = trainer.model.autoencoder, trainer.model.normalisation
    batch = trainer.sampler.draw(64, generator=torch.Generator().manual_seed(5))
    features = normalisation.apply(batch.features)

    def error() -> float:
        with torch.no_grad():
            mean, _, tokens = autoencoder.posterior_of(features, batch.mask)
            return float((autoencoder.decode_raw(mean, tokens) - features)[batch.mask].square().mean())

    before = error()
    for _ in range(80):  # the first fifth, before the rate decays
        trainer.step()
    assert error() < 0.85 * before


@pytest.mark.parametrize("kinds", [(), RECURRENT[:1], RECURRENT[1:]], ids=["conv", "gru", "gru discriminator"])
def test_playing_brings_generated_latents_nearer_to_real_ones(make, kinds):
    trainer = make(
        TWO_STAGES,
        *kinds,
        "losses={kinematic_from: 0.999, kinematic_full: 1.0}",
        "training={steps: 120, batch_size: 8, learning_rate: 5e-3}",
    )
    for _ in range(4):
        trainer.step()
    batch = trainer.sampler.draw(256, generator=torch.Generator().manual_seed(5))
    latents, mask = trainer._real(batch)
    real = latents[mask]

    def distance() -> float:
        """Of the means and of the spreads of the latents' channels."""
        noise = draw_noise(range(256), latents.shape[1], trainer.config.generator)
        with torch.no_grad():
            fake = trainer.model.generator(noise, batch.actions)[mask]
        return float((fake.mean(0) - real.mean(0)).norm() + (fake.std(0) - real.std(0)).norm())

    before, seen = distance(), []
    for step in range(120):
        trainer.step()
        if step % 20 == 19:
            seen.append(distance())  # the two circle each other: now nearer, now farther
    assert min(seen) < 0.6 * before
