"""Detected keypoints: each part of the noise against its formula, gaps, swaps, confidence, gradients."""

import math
import re

import pytest
import torch
from torch.testing import assert_close

from motiongan.augmentation.detector import Detector2D, person_size, smooth_noise
from motiongan.body.joint_sets import JOINT_SETS

NOTHING = {"noise": 0.0, "outliers": 0.0, "swaps": 0.0, "dropped_joints": 0.0, "dropped_frames": 0.0}
NAMES = JOINT_SETS["h36m17"].names


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def person(batch: int = 1, frames: int = 40) -> torch.Tensor:
    """17 points that stand still on the diagonal of a 300 x 400 box."""
    return (torch.linspace(0, 1, 17)[:, None] * torch.tensor([300.0, 400.0])).expand(batch, frames, 17, 2) + 100.0


def clean(**settings: object) -> Detector2D:
    return Detector2D(**{**NOTHING, **settings})


def test_a_detector_with_everything_off_changes_nothing():
    found = clean()(person(), generator=seeded())
    assert torch.equal(found.keypoints, person())
    assert found.detected.all()
    assert abs(float(found.confidence.mean()) - 0.9) < 0.01


def test_smooth_noise_has_unit_variance_and_the_correlation_of_its_formula():
    noise = smooth_noise((4000, 12), 3.0, generator=seeded()).double()
    assert abs(float(noise.mean())) < 0.02
    for lag in (0, 2, 5, 10):
        expected = math.exp(-(lag**2) / (4 * 3.0**2))
        assert abs(float((noise[:, : 12 - lag] * noise[:, lag:]).mean()) - expected) < 0.03, lag
    white = smooth_noise((4000, 2), 0.0, generator=seeded()).double()
    assert abs(float((white[:, 0] * white[:, 1]).mean())) < 0.03


def test_the_noise_of_each_joint_is_its_factor_of_the_persons_size():
    assert_close(person_size(person()), torch.tensor([500.0]))
    detector = clean(noise=0.01, joint_noise={"wrist": 3.0}, noise_time=0.02)
    error = detector(person(300), generator=seeded()).keypoints - person(300)
    spread = error.double().std((0, 1))  # (17, 2)
    for name, factor in {"left_wrist": 3.0, "right_knee": 1.0, "head": 0.8, "spine": 1.0}.items():
        assert_close(spread[NAMES.index(name)], torch.full((2,), 5.0 * factor, dtype=torch.float64), rtol=0.06, atol=0)
    assert abs(float(error.mean())) < 0.1


def test_frames_without_a_person_leave_its_size_as_it_is():
    pixels = person(1, 4).clone()
    pixels[:, 1:] = math.nan
    assert_close(person_size(pixels), torch.tensor([500.0]))
    assert_close(person_size(torch.full_like(pixels, math.nan)), torch.zeros(1))


def test_noise_is_smooth_in_time_but_for_the_jitters_share():
    detector = clean(noise=0.01, noise_time=0.5, jitter=0.3)
    error = (detector(person(200), generator=seeded()).keypoints - person(200)).double()
    correlation = (error[:, 1:] * error[:, :-1]).mean() / (error**2).mean()
    # 30 Hz, 0.5 s: neighbours of the smooth part correlate by exp(-1 / 900); the jitter's do not at all.
    assert abs(float(correlation) - 0.7 * math.exp(-1 / 900)) < 0.03


def test_hidden_joints_are_noisier_less_sure_and_often_lost():
    hidden = torch.zeros(200, 40, 17, dtype=torch.bool)
    hidden[:, :, 3] = True
    found = clean(noise=0.01, hidden_noise=4.0, noise_time=0.02, hidden_dropped=0.0)(
        person(200), generator=seeded(), hidden=hidden
    )
    error = (found.keypoints - person(200)).double()
    ratio = error[:, :, 3].std() / error[:, :, 6].std()  # right and left ankle
    assert abs(float(ratio) - 4.0) < 0.2
    assert found.confidence[:, :, 3].mean() < 0.6 < 0.8 < found.confidence[:, :, 6].mean()
    lost = ~clean(hidden_dropped=0.3)(person(200), generator=seeded(), hidden=hidden).detected
    assert abs(float(lost[:, :, 3].float().mean()) - 0.3) < 0.04
    assert not lost[:, :, 4:].any()


def test_shares_of_lost_joints_and_frames_are_those_asked_for():
    joints = ~clean(dropped_joints=0.05)(person(300), generator=seeded()).detected
    assert abs(float(joints.float().mean()) - 0.05) < 0.01
    frames = ~clean(dropped_frames=0.08)(person(400), generator=seeded()).detected
    assert torch.equal(frames.all(-1), frames.any(-1))
    assert abs(float(frames.float().mean()) - 0.08) < 0.02


def test_gaps_last_as_long_as_is_said():
    lost = ~clean(dropped_joints=0.1, event_time=0.4)(person(40, 400), generator=seeded(), frame_rate=30.0).detected
    begins = (lost[:, 1:] & ~lost[:, :-1]).sum()
    assert abs(float(lost.sum() / begins) - 12.0) < 1.5  # 0.4 s at 30 Hz


def test_a_gap_holds_the_last_detection_and_a_gap_at_the_start_the_next():
    pixels = person(1, 6) + torch.arange(6.0)[None, :, None, None]
    absent = torch.zeros(1, 6, 17, dtype=torch.bool)
    absent[0, 2:4, 5] = absent[0, :2, 7] = absent[0, :, 9] = True
    found = clean()(pixels, generator=seeded(), absent=absent)
    assert torch.equal(found.keypoints[0, 2:4, 5], pixels[0, 1, 5].expand(2, 2))
    assert torch.equal(found.keypoints[0, :2, 7], pixels[0, 2, 7].expand(2, 2))
    seen = found.detected.unsqueeze(-1)
    middle = (pixels * seen).sum((1, 2)) / seen.sum((1, 2))
    assert_close(found.keypoints[0, :, 9], middle.expand(6, 2))
    assert (found.confidence[absent] == 0).all()
    assert torch.equal(found.detected, ~absent)


@pytest.mark.parametrize(("fill", "check"), [("zero", lambda x: (x == 0).all()), ("nan", lambda x: x.isnan().all())])
def test_a_gap_can_be_zero_or_nan(fill, check):
    absent = torch.zeros(1, 40, 17, dtype=torch.bool)
    absent[0, 3, 4] = True
    found = clean(fill=fill)(person(), generator=seeded(), absent=absent)
    assert check(found.keypoints[0, 3, 4])
    assert torch.equal(found.keypoints[~absent], person()[~absent])


def test_swaps_exchange_both_sides_and_leave_the_midline():
    found = clean(swaps=0.1)(person(100), generator=seeded()).keypoints
    wrong = (found != person(100)).any(-1)
    mirror = list(JOINT_SETS["h36m17"].mirror)
    assert abs(float(wrong[:, :, 1:7].float().mean()) - 0.1) < 0.03
    assert torch.equal(wrong, wrong[:, :, mirror])
    assert not wrong[:, :, [0, 7, 8, 9, 10]].any()
    assert torch.equal(found[wrong], person(100)[:, :, mirror][wrong])


def test_outliers_are_as_many_and_as_far_as_asked_for():
    error = (clean(outliers=0.05, outlier_distance=0.2)(person(300), generator=seeded()).keypoints - person(300)).norm(
        dim=-1
    )
    assert abs(float((error > 0).float().mean()) - 0.05) < 0.01
    assert abs(float((error[error > 0] ** 2).mean().sqrt()) - 0.2 * 500) < 5


def test_confidence_falls_with_the_error():
    found = Detector2D(noise=0.03, dropped_joints=0.0, dropped_frames=0.0)(person(100), generator=seeded())
    error = (found.keypoints - person(100)).norm(dim=-1)
    near, far = error < error.quantile(0.3), error > error.quantile(0.7)
    assert found.confidence[near].mean() > found.confidence[far].mean() + 0.2
    assert (found.confidence <= 1).all()


def test_missing_points_are_never_detected_and_do_not_spoil_the_others():
    pixels = person().clone()
    pixels[:, :, 10] = math.nan
    found = Detector2D()(pixels, generator=seeded())
    assert not found.detected[:, :, 10].any()
    assert found.keypoints.isfinite().all()


def test_gradients_pass_from_detected_points_to_the_pixels_that_made_them():
    pixels = person(4).clone().requires_grad_()
    found = Detector2D(swaps=0.0, outliers=0.0, dropped_joints=0.3)(pixels, generator=seeded())
    weight = torch.randn(found.keypoints.shape, generator=seeded(1))
    (gradient,) = torch.autograd.grad((found.keypoints * weight)[found.detected].sum(), pixels)
    assert_close(gradient[found.detected], weight[found.detected])
    assert (gradient[~found.detected] == 0).all()


def test_confidence_depends_on_the_drawn_error_and_not_on_where_the_points_lie():
    """So it has no gradient to pass."""
    pixels = person(4).clone().requires_grad_()
    found = Detector2D(swaps=0.0)(pixels, generator=seeded())
    assert found.keypoints.requires_grad
    assert not found.confidence.requires_grad
    for moved in (pixels + 300, 2 * pixels):
        assert_close(Detector2D(swaps=0.0)(moved, generator=seeded()).confidence, found.confidence, atol=1e-4, rtol=0)


def test_the_same_seed_detects_the_same():
    first, again, other = (Detector2D()(person(2), generator=seeded(seed)) for seed in (3, 3, 4))
    assert torch.equal(first.keypoints, again.keypoints)
    assert torch.equal(first.confidence, again.confidence)
    assert not torch.equal(first.keypoints, other.keypoints)


@pytest.mark.parametrize("name", JOINT_SETS)
def test_every_joint_set_has_its_noise(name):
    count = len(JOINT_SETS[name].names)
    pixels = torch.rand(2, 10, count, 2, generator=seeded()) * 400
    found = Detector2D(joint_set=name, noise=0.01)(pixels, generator=seeded())
    assert ((found.keypoints - pixels).abs().amax((0, 1, 3)) > 0).all()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"outliers": 1.5}, "outliers is 1.5"),
        ({"joint_set": "coco"}, "joint_set is 'coco'"),
        ({"joint_noise": {"rist": 1.0}}, "joint_noise names rist"),
        ({"fill": "hld"}, "fill is 'hld'"),
        ({"noise": math.nan}, "noise is nan"),
        ({"event_time": math.inf}, "event_time is inf"),
        ({"swaps": math.nan}, "swaps is nan"),
    ],
)
def test_impossible_settings_are_refused(settings, told, untyped):
    with pytest.raises(ValueError, match=f"^{told}"):
        Detector2D(**settings)


@pytest.mark.parametrize("shape", [(2, 9, 17, 3), (2, 9, 24, 2), (9, 17, 2)])
def test_keypoints_of_another_shape_are_refused_in_one_line(shape, untyped):
    told = rf"^pixels has the shape {re.escape(str(shape))}, expected \(batch, frames, 17, 2\) for h36m17$"
    with pytest.raises(ValueError, match=told):
        Detector2D()(torch.zeros(shape), generator=torch.Generator())
