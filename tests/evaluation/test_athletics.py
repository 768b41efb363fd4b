import math

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from motiongan.athletes.spec import load_spec
from motiongan.athletes.synthesis import synthesize_action
from motiongan.body.skeleton import JOINT
from motiongan.body.smpl import load_body
from motiongan.evaluation.athletics import MEASURES, Measured, compare, measure, wasserstein
from motiongan.evaluation.metrics import GRAVITY
from motiongan.evaluation.steps import intervals, standing, stride_regularity
from motiongan.evaluation.windows import pose_windows

RATE = 30.0


def walker(make_windows, frames: int = 90, stand: int = 18, swing: int = 12, speed: float = 1.5):
    """Feet that stand and swing in turn, the right half a stride behind; the body moves on evenly."""
    cycle = stand + swing
    stride = speed * cycle / RATE
    place, height = torch.zeros(frames, 2), torch.zeros(frames, 2)
    for foot in range(2):
        phase = torch.arange(frames) + foot * cycle // 2
        number, within = phase // cycle, phase % cycle
        swung = ((within - stand + 1).clamp(min=0) / (swing + 1)).float()
        place[:, foot] = stride * (number + swung - foot / 2)
        height[:, foot] = 0.2 * torch.sin(math.pi * swung).clamp(min=0)
    joints, soles = torch.zeros(1, frames, 24, 3), torch.zeros(1, frames, 4, 3)
    joints[0, :, :, 0] = speed * torch.arange(frames)[:, None] / RATE
    joints[0, :, :, 2] = 1.0
    for foot in range(2):
        for point in (foot, 2 + foot):
            soles[0, :, point, 0], soles[0, :, point, 2] = place[:, foot], height[:, foot]
    return make_windows(joints, soles)


def of(measured: Measured, name: str, action: int = 0) -> torch.Tensor:
    return measured.of(action, name)[0]


def test_a_walker_on_paper_has_its_speed_steps_and_contacts(make_windows):
    found = measure(walker(make_windows))
    assert of(found, "speed").item() == pytest.approx(1.5, rel=1e-4)
    assert of(found, "step_frequency").item() == pytest.approx(2.0, rel=0.01)  # a stride of 30 frames is two steps
    assert of(found, "step_length").item() == pytest.approx(0.75, rel=0.01)
    # Standing while the sole is low and slow: 18 frames, and the first and last of the swing, which are so too.
    assert of(found, "contact_time").item() == pytest.approx(18 / RATE, abs=2.1 / RATE)
    assert not len(of(found, "flight_time"))


def strider(make_windows, spread: torch.Tensor, heading: float):
    """Ankles so far apart along the heading, on a body that drifts across it."""
    forward = torch.tensor([math.cos(heading), math.sin(heading), 0.0])
    left = torch.tensor([-math.sin(heading), math.cos(heading), 0.0])
    joints = torch.zeros(1, len(spread), 24, 3) + torch.linspace(0, 3, len(spread))[:, None, None] * left
    joints[0, :, JOINT["left_hip"]] += 0.1 * left
    joints[0, :, JOINT["right_hip"]] -= 0.1 * left
    joints[0, :, JOINT["left_ankle"]] += 0.5 * spread[:, None] * forward + 0.2 * left
    joints[0, :, JOINT["right_ankle"]] -= 0.5 * spread[:, None] * forward
    return make_windows(joints, torch.zeros(1, len(spread), 4, 3))


@pytest.mark.parametrize("uneven", [0.0, 0.5])
def test_strides_that_differ_every_other_time_are_as_regular_as_on_paper(make_windows, uneven):
    seconds = torch.arange(241) / RATE  # of strides of a second: at that lag the slower sine is upside down
    spread = 0.4 * (torch.sin(2 * math.pi * seconds) + uneven * torch.sin(math.pi * seconds))
    windows = strider(make_windows, spread, heading=0.7)
    wanted = (1 - uneven**2) / (1 + uneven**2)
    assert stride_regularity(windows).item() == pytest.approx(wanted, abs=0.01)


def test_the_regularity_of_a_window_shorter_than_two_strides_is_not_told(make_windows):
    short = strider(make_windows, torch.sin(torch.arange(20.0)), heading=0.0)
    assert stride_regularity(short).isnan().all()


def test_a_jump_on_paper_has_its_flight_and_height(make_windows):
    frames, begin = 60, 20
    flight = 12  # frames in the air: 13 steps from the last contact to the next
    time = torch.arange(frames) - (begin - 1)
    aloft = (time > 0) & (time <= flight)
    seconds = time / RATE
    duration = (flight + 1) / RATE
    rise = torch.where(aloft, GRAVITY / 2 * seconds * (duration - seconds), torch.zeros(frames))
    joints, soles = torch.zeros(1, frames, 24, 3), torch.zeros(1, frames, 4, 3)
    joints[0, :, :, 2] = 1 + rise[:, None]
    soles[0, :, :, 2] = rise[:, None]
    soles[0, aloft, :, 2] += 0.05  # the feet leave the ground at once
    found = measure(make_windows(joints, soles))
    assert of(found, "flight_time").item() == pytest.approx(flight / RATE)
    assert of(found, "jump_height").item() == pytest.approx(GRAVITY / 8 * duration**2, rel=0.02)
    hovering = joints.clone()
    hovering[..., 2] = 1.0
    assert not len(of(measure(make_windows(hovering, soles)), "flight_time"))  # what does not fall does not fly


@pytest.mark.parametrize("action", ["walk", "run", "sprint"])
def test_made_up_athletes_step_as_often_as_their_specification_says(action):
    spec, body = load_spec(), load_body()
    cycle = spec.actions[action].cycle
    steady = spec.model_copy(
        update={"actions": {action: spec.actions[action].model_copy(update={"tempo": 0.0, "amplitude": 0.0})}}
    )
    clips = synthesize_action(steady, action, body, clips=8, subjects=8, seed=0)
    windows = pose_windows(clips, body, actions=(action,), frames=120)
    found = of(measure(windows), "step_frequency")
    assert len(found) == 8
    # A cycle is two steps; it lasts as the root of the leg's length, and wavers a little.
    expected = 2 / cycle / windows.leg_length.sqrt()
    assert (found / expected).median().item() == pytest.approx(1, abs=0.03)
    assert ((found / expected - 1).abs() < 0.1).all()


def test_stretches_know_whether_both_ends_are_seen():
    where = torch.zeros(1, 10, 2, dtype=torch.bool)
    where[0, [0, 1, 4, 5, 8, 9], 0] = True
    where[0, 2:5, 1] = True
    found = intervals(where, torch.tensor([10]))
    assert found.feet.tolist() == [0, 0, 0, 1]
    assert found.begins.tolist() == [0, 4, 8, 2]
    assert found.ends.tolist() == [2, 6, 10, 5]
    assert found.whole.tolist() == [False, True, False, True]


def test_gaps_and_stands_of_one_frame_are_mended(make_windows):
    soles = torch.zeros(1, 20, 4, 3)
    soles[0, 5, :, 2] = 0.2  # a gap
    soles[0, 12:, :, 2] = 0.2
    soles[0, 15, :, 2] = 0.0  # a touch
    down = standing(make_windows(torch.zeros(1, 20, 24, 3), soles))
    assert down[0, :, 0].tolist() == [True] * 12 + [False] * 8


def test_peaks_are_the_highest_of_both_sides_in_valid_frames(make_windows):
    angles, speeds = torch.zeros(1, 20, 5, 2), torch.zeros(1, 20, 4, 2)
    angles[0, 7, 1, 1] = 110.0
    angles[0, 15, 1, 0] = 170.0
    speeds[0, 4, 3, 0] = 900.0
    speeds[0, 9, 3, 0] = 2000.0  # the last valid frame looks at the padding
    joints = torch.zeros(1, 20, 24, 3)
    joints[0, :, 7, 0] = 0.1 * torch.arange(20)
    windows = make_windows(joints, lengths=[10], limb_angles=angles, turning_speeds=speeds)
    found = measure(windows)
    assert of(found, "peak_knee_flexion").item() == 110
    assert of(found, "peak_elbow_speed").item() == 900
    assert of(found, "peak_foot_speed").item() == pytest.approx(3.0)
    assert of(found, "peak_hand_speed").item() == 0


def test_the_wasserstein_distance_is_scipys_with_any_weights():
    random = np.random.default_rng(0)
    values, others = random.normal(size=30), random.normal(0.5, 2, size=17)
    weights, other_weights = random.integers(0, 4, (5, 30)), random.integers(1, 3, (5, 17))
    found = wasserstein(*(torch.from_numpy(one).double() for one in (values, others, weights, other_weights)))
    expected = [wasserstein_distance(values, others, one, other) for one, other in zip(weights, other_weights)]
    assert found.tolist() == pytest.approx(expected)


def test_a_set_that_is_faster_by_so_much_is_that_far_away(make_windows):
    def moving(shift: float, count: int, seed: int) -> Measured:
        table = torch.full((count, len(MEASURES)), torch.nan, dtype=torch.float64)
        table[:, 0] = torch.randn(count, generator=torch.Generator().manual_seed(seed)).double() + shift
        return Measured(table, torch.zeros(count, dtype=torch.long), torch.arange(count))

    real, other = moving(3.0, 200, 0), moving(5.0, 200, 1)
    found = compare(other, real, moving(5.0, 3, 2), 0, seed=0)
    assert set(found) == {"speed"}
    speed = found["speed"]
    assert speed.to_train.value == pytest.approx(2.0, abs=0.25)
    assert speed.to_train.low < 2.0 < speed.to_train.high
    assert math.isnan(speed.to_held_out.value)  # three values are too few
    assert speed.scaled.value == pytest.approx(2.0, abs=0.3)
    assert (speed.windows, speed.median) == (200, pytest.approx(5.0, abs=0.2))
