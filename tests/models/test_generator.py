"""Generators: any length, conditioned, driven by noise and not by their own output, each clip from its own seed."""

import dataclasses

import pytest
import torch
from torch.testing import assert_close

from motiongan.errors import MotionganError
from motiongan.models.autoencoder import AutoencoderConfig
from motiongan.models.generator import FIXED_WINDOW, GENERATORS, GeneratorConfig, Noise, draw_noise, draw_noise_batch
from motiongan.models.motion_model import MotionModel
from motiongan.motion.features import NUM_FEATURES

ACTIONS = 3
KINDS = sorted(GENERATORS)
ANY_LENGTH = [kind for kind in KINDS if kind not in FIXED_WINDOW]
STAGES = {"one stage": AutoencoderConfig(steps=0), "two stages": AutoencoderConfig(steps=1, width=16, latent=4)}


def config(kind: str) -> GeneratorConfig:
    return GeneratorConfig(kind=kind, latent=6, drive=3, width=16, blocks=2, frequencies=4)


@pytest.fixture(params=[(kind, stage) for kind in ANY_LENGTH for stage in STAGES], ids=" ".join)
def model(request) -> MotionModel:
    kind, stage = request.param
    torch.manual_seed(0)
    return MotionModel(config(kind), STAGES[stage], ACTIONS, window=64).eval()


def generate(model: MotionModel, seeds: list[int], frames: int, action: int = 0) -> torch.Tensor:
    noise = draw_noise(seeds, model.num_steps(frames), model.config)
    with torch.no_grad():
        return model(noise, torch.full((len(seeds),), action))[:, :frames]


@pytest.mark.parametrize("frames", [1, 7, 64, 200])
def test_any_number_of_frames_can_be_made(model, frames):
    features = generate(model, [0, 1], frames)
    assert features.shape == (2, frames, NUM_FEATURES)
    assert features.isfinite().all()


def test_a_longer_clip_of_a_seed_begins_as_the_shorter_one(model):
    """Up to where the convolutions see the shorter one's end: 30 generator steps (conv), the decoder's few (gru)."""
    ahead = 34 if model.config.kind == "conv" else 10
    frames = 260
    short, long = generate(model, [5], frames), generate(model, [5], 400)
    same = frames - ahead * model.stride
    assert_close(long[:, :same], short[:, :same], atol=1e-5, rtol=0)
    assert long[:, frames:].std(1).mean() > 0.5 * short.std(1).mean()  # and it goes on moving


@pytest.fixture(params=[(kind, stage) for kind in ("mlp", "dcgan") for stage in STAGES], ids=" ".join)
def windowed(request) -> MotionModel:
    kind, stage = request.param
    torch.manual_seed(0)
    return MotionModel(config(kind), STAGES[stage], ACTIONS, window=64).eval()


def test_a_fixed_window_makes_its_own_beginning_and_refuses_more_in_one_line(windowed):
    whole = generate(windowed, [5, 6], 64)
    assert whole.shape == (2, 64, NUM_FEATURES)
    noise = draw_noise([5, 6], windowed.num_steps(64), windowed.config)
    with torch.no_grad():
        sequence = windowed.generator(noise, torch.tensor([0, 0]))
        begun = windowed.generator(Noise(noise.latent, noise.phases, noise.drive[:, :5]), torch.tensor([0, 0]))
    assert torch.equal(begun, sequence[:, :5])
    with pytest.raises(MotionganError, match=r"\((mlp|dcgan)\) makes at most the 64 frames") as caught:
        generate(windowed, [5], 100)
    assert "\n" not in str(caught.value)


def test_a_fixed_window_depends_on_action_and_latent_and_on_no_neighbour(windowed):
    together = generate(windowed, [5, 6, 7], 64)
    assert (together[0] - together[1]).abs().mean() > 0.001
    assert (generate(windowed, [5], 64, action=1) - together[:1]).abs().mean() > 0.001
    assert_close(generate(windowed, [6], 64), together[1:2], atol=1e-5, rtol=0)


def test_the_action_makes_a_difference(model):
    walk, run = (generate(model, [5], 64, action) for action in (0, 1))
    assert (walk - run).abs().mean() > 0.001


def test_the_latent_makes_a_difference(model):
    first, second = generate(model, [5, 6], 64)
    assert (first - second).abs().mean() > 0.001


@pytest.mark.parametrize("kind", ANY_LENGTH)
def test_clips_are_as_likely_to_be_so_late_as_early(kind):
    """Over many clips of one style, mean and spread at a late step are those of an early one: no time is special."""
    torch.manual_seed(0)
    generator, count = GENERATORS[kind](config(kind), ACTIONS, 5, 16).eval(), 3000
    noise = draw_noise_batch(count, 300, config(kind), generator=torch.Generator().manual_seed(0))
    noise.latent[:] = 0.5
    with torch.no_grad():
        made = generator(noise, torch.zeros(count, dtype=torch.long))
    early, late = made[:, 40], made[:, 260]  # far from the ends, at one place of the coarse grid
    assert early.std(0).min() > 0.01
    apart = (early.mean(0) - late.mean(0)) / (early.var(0) + late.var(0)).sqrt() * count**0.5
    assert apart.abs().max() < 4  # standard errors
    assert_close(late.std(0) / early.std(0), torch.ones(5), atol=0.08, rtol=0)


@pytest.mark.parametrize("cycles", [2.0, 1.0])
def test_without_noise_and_lone_sines_a_clip_repeats_with_its_cycle(cycles):
    torch.manual_seed(0)
    known = dataclasses.replace(config("conv"), cycles=cycles)
    generator = GENERATORS["conv"](known, num_actions=3, channels=6, window=16)
    with torch.no_grad():
        generator.cycle.frequency.weight.zero_()  # as typical
        generator.cycle.frequency.bias.zero_()
        for drive, time in zip(generator.drive, generator.time, strict=True):
            drive.weight.zero_()
            lone, both = len(time.frequencies), time.project.weight.shape[1] // 2
            time.project.weight[:, :lone] = 0
            time.project.weight[:, both : both + lone] = 0
        made = generator(draw_noise([3, 4], 96, known), torch.tensor([0, 2]))
    inside = made[:, 32:64]  # the convolutions hear where a clip begins and ends
    turn = round(16 / cycles)
    assert_close(inside[:, turn:], inside[:, :-turn], atol=1e-5, rtol=1e-4)
    assert (inside[:, turn // 2 :] - inside[:, : -turn // 2]).abs().max() > 1e-3


def test_a_clip_does_not_depend_on_its_neighbours_in_the_batch(model):
    together, alone = generate(model, [5, 6, 7], 64), generate(model, [6], 64)
    assert_close(together[1:2], alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ANY_LENGTH)
def test_a_step_hears_the_noise_of_its_own_time_and_not_of_later_steps_output(kind):
    """Not autoregressive over its own output: the change that one step's noise makes dies away, it does not go on."""
    torch.manual_seed(0)
    generator = GENERATORS[kind](config(kind), ACTIONS, 5, window=64).eval()
    noise = draw_noise([0], 200, config(kind))
    nudged = noise.drive.clone()
    nudged[:, 100] += 1.0
    with torch.no_grad():
        change = generator(noise, torch.tensor([0])) - generator(
            Noise(noise.latent, noise.phases, nudged), torch.tensor([0])
        )
    size = change[0].abs().amax(-1)
    assert size[100] > 1e-3
    assert size[:60].max() < 1e-6
    assert size[180:].max() < 0.02 * size[100]


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_gets_a_finite_gradient(kind):
    torch.manual_seed(0)
    generator = GENERATORS[kind](config(kind), ACTIONS, 5, window=16)
    noise = draw_noise_batch(8, 16, config(kind), generator=torch.Generator().manual_seed(0))
    generator(noise, torch.arange(8) % ACTIONS).square().sum().backward()
    for name, parameter in generator.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


# -- noise -------------------------------------------------------------------------------------------------------------


def test_the_noise_of_a_seed_is_its_own_whoever_stands_beside_it():
    first = draw_noise([3, 4], 10, config("conv"))
    second = draw_noise([4], 10, config("conv"))
    assert torch.equal(first.latent[1], second.latent[0])
    assert torch.equal(first.drive[1], second.drive[0])
    assert not torch.equal(first.latent[0], first.latent[1])


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 8, 13])
def test_the_noise_of_a_longer_clip_begins_with_that_of_a_shorter_one(steps):
    short, long = draw_noise([7], steps, config("conv")), draw_noise([7], steps + 9, config("conv"))
    assert torch.equal(short.latent, long.latent)
    assert torch.equal(short.drive, long.drive[:, :steps])


def test_truncation_scales_the_latent_and_leaves_phases_and_drive():
    whole, half = draw_noise([7], 5, config("conv")), draw_noise([7], 5, config("conv"), truncation=0.5)
    assert_close(half.latent, 0.5 * whole.latent)
    assert torch.equal(half.phases, whole.phases)
    assert torch.equal(half.drive, whole.drive)


def test_noise_is_standard_normal_and_sines_begin_anywhere_alike():
    noise = draw_noise(range(2000), 8, dataclasses.replace(config("conv"), latent=16, drive=4))
    for values in (noise.latent, noise.drive):
        assert values.mean().item() == pytest.approx(0, abs=0.02)
        assert values.std().item() == pytest.approx(1, abs=0.02)
    numbers = torch.cat([noise.latent, noise.phases], 1)
    assert torch.corrcoef(numbers.T).fill_diagonal_(0).abs().max() < 0.12
    assert noise.phases.shape[1] == 1 + 3 * 4  # the cycle, and four lone sines of three time scales
    assert noise.phases.sort(0).values[::200, 0] == pytest.approx(torch.linspace(0, 0.9, 10), abs=0.05)
