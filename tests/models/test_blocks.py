"""Building blocks against the plain way to compute them."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from motiongan.models.blocks import (
    ModulatedBlock,
    ResidualBlock,
    TemporalConv,
    TimeFeatures,
    downsample,
    downsample_mask,
    masked_mean,
    smooth,
    smoothing_kernel,
    upsample,
)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def ramp(steps: int) -> torch.Tensor:
    return torch.arange(float(steps))[None, :, None]


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_temporal_conv_is_torch_convolution_with_zero_padding(kernel):
    fast = TemporalConv(4, 6, kernel)
    plain = nn.Conv1d(4, 6, kernel, padding=kernel // 2)
    with torch.no_grad():  # columns of the matrix: one shifted copy after another
        plain.weight.copy_(fast.linear.weight.unflatten(1, (kernel, 4)).transpose(1, 2))
        plain.bias.copy_(fast.linear.bias)
    values = torch.randn(2, 9, 4)
    assert_close(fast(values), plain(values.transpose(1, 2)).transpose(1, 2), atol=1e-6, rtol=0)


@pytest.mark.parametrize("normalise", [True, False])
def test_a_residual_block_gives_a_masked_sequence_as_if_it_ended_there(normalise):
    block = ResidualBlock(8, normalise=normalise)
    values = torch.randn(1, 12, 8)
    mask = torch.arange(12)[None] < 7
    assert_close(block(values, mask)[:, :7], block(values[:, :7], mask[:, :7]))
    assert not torch.allclose(block(values)[:, :7], block(values[:, :7]))  # without the mask it leaks


def test_a_modulated_block_of_style_zero_weights_normalises_each_step_alone():
    block = ModulatedBlock(8, 4)
    values, style = torch.randn(1, 40, 8), torch.randn(1, 4)
    # Five times a step's values: the residual path grows, the normalised branch does not.
    grown = values.clone()
    grown[:, 30:] *= 5
    assert_close(block(grown, style)[:, :27], block(values, style)[:, :27])
    branch, branch_grown = block(values, style) - values, block(grown, style) - grown
    assert_close(branch[:, 33:], branch_grown[:, 33:], atol=1e-3, rtol=1e-3)


def test_the_style_modulates():
    block = ModulatedBlock(8, 4)
    values = torch.randn(1, 10, 8).expand(2, -1, -1)
    first, second = block(values, torch.randn(2, 4))
    assert (first - second).abs().max() > 0.1


def unbent(**options) -> TimeFeatures:
    """Time features whose lone sines keep their initial frequencies."""
    features = TimeFeatures(style=4, channels=8, **options)
    nn.init.zeros_(features.tempo.weight)
    nn.init.zeros_(features.tempo.bias)
    return features


def test_lone_sines_repeat_with_their_period_and_not_before():
    features = unbent(count=2, slowest=1 / 16, fastest=1 / 8, harmonics=2)
    seen = features(torch.arange(33.0), torch.zeros(1, 2), torch.zeros(1, 33), torch.randn(1, 4))
    assert_close(seen[:, :17], seen[:, 16:], atol=1e-4, rtol=0)
    assert (seen[:, 0] - seen[:, 8]).abs().max() > 0.1


def test_later_time_features_are_those_of_other_phases():
    features = unbent(count=2, slowest=1 / 16, fastest=1 / 8, harmonics=2)
    style, phases, cycle = torch.randn(3, 4), torch.rand(3, 2), torch.rand(3, 7)
    later = features(torch.arange(5.0, 12.0), phases, cycle, style)
    assert_close(features(torch.arange(7.0), phases + 5 * torch.tensor([1 / 16, 1 / 8]), cycle, style), later)


def test_harmonics_repeat_with_the_cycle_and_follow_it_alone():
    features = unbent(count=1, slowest=0.0001, fastest=0.0001, harmonics=3)
    with torch.no_grad():
        features.project.weight[:, [0, 4]] = 0  # sine and cosine of the lone one
    style, cycle = torch.randn(1, 4), torch.tensor([[0.0, 0.3, 0.5, 1.0, 1.3, 2.5]])
    seen = features(torch.arange(6.0), torch.rand(1, 1), cycle, style)
    assert_close(seen[:, [0, 1, 2]], seen[:, [3, 4, 5]], atol=1e-5, rtol=0)
    assert (seen[:, 0] - seen[:, 2]).abs().max() > 0.1
    angle = 2 * torch.pi * cycle[0, 1] * torch.arange(1.0, 4.0)
    waves = torch.cat([angle.sin(), angle.cos()])
    by_hand = features.project.weight[:, [1, 2, 3, 5, 6, 7]] @ waves + features.project.bias
    assert_close(seen[0, 1], by_hand * (1 + features.gain(style[0])))


def test_the_style_bends_the_tempo_by_a_third_at_most():
    features = TimeFeatures(style=1, channels=2, count=1, slowest=0.01, fastest=0.01, harmonics=0)
    nn.init.constant_(features.tempo.weight, 100.0)
    nn.init.zeros_(features.tempo.bias)
    nn.init.zeros_(features.gain.weight)
    nn.init.zeros_(features.gain.bias)
    features.project = nn.Identity()
    style = torch.tensor([[-1.0], [1.0]])
    sine = features(torch.full((1,), 10.0), torch.zeros(2, 1), torch.zeros(2, 1), style)[:, 0, 0]
    assert_close(sine, torch.sin(2 * torch.pi * 0.1 * torch.exp(torch.tensor([-0.3, 0.3]))))


def test_upsampling_doubles_the_steps_on_a_straight_line():
    assert_close(upsample(ramp(4))[0, :, 0], torch.tensor([0.0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.0]))


def test_downsampling_averages_pairs_and_keeps_an_odd_last_step():
    assert downsample(ramp(5))[0, :, 0].tolist() == [0.5, 2.5, 4.0]


def test_a_coarse_step_is_valid_where_any_of_its_fine_steps_is():
    mask = torch.tensor([[1, 1, 1, 0, 0], [0, 0, 0, 0, 1]], dtype=torch.bool)
    assert downsample_mask(mask).int().tolist() == [[1, 1, 0], [0, 0, 1]]
    assert downsample_mask(mask, 4).int().tolist() == [[1, 0], [0, 1]]


def test_the_masked_mean_counts_valid_steps_only_and_is_zero_without_any():
    values = torch.tensor([[[1.0], [3.0], [100.0]], [[5.0], [6.0], [7.0]]])
    mask = torch.tensor([[1, 1, 0], [0, 0, 0]], dtype=torch.bool)
    assert masked_mean(values, mask).tolist() == [[2.0], [0.0]]


def test_smoothing_keeps_constants_and_lines_and_stops_the_fastest_wiggle():
    kernel = smoothing_kernel(5)
    assert kernel.tolist() == [1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16]
    assert_close(smooth(torch.full((1, 9, 2), 3.0), kernel), torch.full((1, 9, 2), 3.0))
    assert_close(smooth(ramp(9), kernel)[:, 2:-2], ramp(9)[:, 2:-2])
    wiggle = (-1.0) ** torch.arange(20)[None, :, None]
    assert smooth(wiggle, kernel)[:, 2:-2].abs().max() == 0
