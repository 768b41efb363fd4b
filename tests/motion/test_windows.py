"""Training windows: the right frames under the right mask, mirrored and at other speeds, balanced, split by person."""

from collections import Counter
from collections.abc import Callable

import pytest
import torch
from torch.testing import assert_close

from motiongan.body.kinematics import Skeleton
from motiongan.errors import MotionganError
from motiongan.motion.clip import Clip
from motiongan.motion.features import ROTATIONS, encode, mirror
from motiongan.motion.windows import DataConfig, WindowSampler, split_subjects

PLAIN = {"mirror": False, "speeds": (1.0,), "variants": 0, "posture": 0.0, "window": 32, "min_frames": 16}


@pytest.fixture
def sampler(stick_body) -> Callable[..., WindowSampler]:
    """Makes a sampler of clips; keywords go to DataConfig."""

    def make(clips: list[Clip], actions: tuple[str, ...] = ("walk", "squat"), **fields: object) -> WindowSampler:
        skeleton: Skeleton = stick_body.skeleton(torch.zeros(10))
        config = DataConfig(**{**PLAIN, **fields})
        return WindowSampler(clips, [skeleton] * len(clips), actions, config, torch.device("cpu"))

    return make


def features_of(clip: Clip, stick_body) -> torch.Tensor:
    skeleton = stick_body.skeleton(torch.zeros(10))
    return encode(torch.from_numpy(clip.poses), torch.from_numpy(clip.trans), skeleton, clip.frame_rate)


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_window_is_consecutive_frames_of_its_clip(sampler, make_clip, stick_body):
    clips = [make_clip(seed, num_frames=50, action=("walk", "squat")[seed]) for seed in range(2)]
    wanted = [features_of(clip, stick_body).unfold(0, 32, 1).transpose(1, 2) for clip in clips]  # every window
    batch = sampler(clips).draw(64, generator=random())
    starts = []
    for window, action in zip(batch.features, batch.actions.tolist(), strict=True):
        matches = (wanted[action] == window).all(-1).all(-1).nonzero()
        assert len(matches) == 1
        starts.append(matches.item())
    assert batch.mask.all()
    assert min(starts) <= 1  # from the first frame
    assert max(starts) >= 17  # to the last


def test_a_short_clip_fills_its_window_with_its_last_frame_outside_the_mask(sampler, make_clip, stick_body):
    clip = make_clip(0, num_frames=20)
    features = features_of(clip, stick_body)
    batch = sampler([clip]).draw(4, generator=random())
    assert batch.mask.sum(1).tolist() == [20] * 4
    assert batch.mask[:, :20].all()
    assert_close(batch.features[1, :20], features)
    assert_close(batch.features[1, 20:], features[-1:].expand(12, -1))


def test_clips_below_the_shortest_length_are_left_out(sampler, make_clip):
    short, long = make_clip(0, num_frames=15), make_clip(1, num_frames=16, action="squat")
    assert sampler([short, long]).lengths.tolist() == [16]
    with pytest.raises(MotionganError, match=r"no clip has the 16 frames .*data\.min_frames"):
        sampler([short])


def test_equal_seeds_draw_equal_batches(sampler, make_clip):
    source = sampler([make_clip(seed, num_frames=60) for seed in range(3)])
    first, again, other = (source.draw(8, generator=random(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.features, again.features)
    assert not torch.equal(first.features, other.features)


def test_a_mirrored_clip_has_mirrored_features_and_the_action_of_the_other_side(sampler, make_clip, stick_body):
    clip = make_clip(0, num_frames=32, action="kick_left")
    actions = ("kick_left", "kick_right", "walk")
    source = sampler([clip], actions, mirror=True)
    assert source.actions.tolist() == [0, 1]
    features = features_of(clip, stick_body)
    assert_close(source.frames, torch.cat([features, mirror(features)]))
    # A side that the vocabulary does not know is not trained under the wrong name.
    assert sampler([clip], ("kick_left", "walk"), mirror=True).actions.tolist() == [0]
    walk = make_clip(0, num_frames=32, action="walk")
    assert sampler([walk], actions, mirror=True).actions.tolist() == [2, 2]


def test_a_faster_copy_has_fewer_frames_and_moves_faster(sampler, make_clip):
    source = sampler([make_clip(0, num_frames=61, speed=1.0)], speeds=(0.5, 1.0, 2.0))
    assert source.lengths.tolist() == [121, 61, 31]
    velocity = source.frames.split(source.lengths.tolist())
    speeds = torch.stack([table[5:-5, 133].mean() for table in velocity])
    assert_close(speeds / speeds[1], torch.tensor([0.5, 1.0, 2.0]), atol=0.02, rtol=0)


@pytest.mark.parametrize(("balance", "share"), [(1.0, 0.9), (0.5, 0.75), (0.0, 0.5)])
def test_balance_sets_how_much_of_a_rare_action_is_drawn(sampler, make_clip, balance, share):
    clips = [make_clip(seed, num_frames=90, action="walk") for seed in range(3)]
    clips.append(make_clip(3, num_frames=30, action="squat"))  # 270 frames against 30; square root 3 : 1
    batch = sampler(clips, balance=balance).draw(4000, generator=random())
    assert (batch.actions == 0).float().mean().item() == pytest.approx(share, abs=0.03)


def test_within_an_action_a_clip_is_drawn_by_its_length(sampler, make_clip):
    source = sampler([make_clip(0, num_frames=120), make_clip(1, num_frames=40)], balance=0.0, vigour=0.0)
    assert_close(source.weights / source.weights.sum(), torch.tensor([0.75, 0.25], dtype=torch.float64))


@pytest.mark.parametrize("vigour", [0.0, 0.5, 1.0])
def test_a_window_is_drawn_by_how_much_moves_in_it(sampler, make_clip, stick_body, vigour):
    """A clip that stands for half of its time: windows are told by their last frame, those that stand have one."""
    clip = make_clip(0, num_frames=128)
    clip.poses[:64], clip.trans[:64] = clip.poses[64], clip.trans[64]
    clip.trans[64:, 2] += 0.01 * torch.arange(64).numpy()  # no two frames are alike
    features = features_of(clip, stick_body)
    turns = features[1:, ROTATIONS] - features[:-1, ROTATIONS]
    moved = torch.stack([turns[start : start + 31].square().sum() for start in range(97)]).double()
    expected = (moved / moved.max()) ** vigour if vigour else torch.ones(97).double()
    expected /= expected.sum()
    batch = sampler([clip], vigour=vigour).draw(3000, generator=random())
    last = torch.cdist(batch.features[:, -1].double(), features.double()).argmin(-1).clamp(min=63)
    stands = (last == 63).double().mean()
    assert float(stands) == pytest.approx(float(expected[:33].sum()), abs=0.03)
    wanted = (expected[33:] * torch.arange(64, 128)).sum() / expected[33:].sum()
    assert float(last[last > 63].double().mean()) == pytest.approx(float(wanted), abs=1.5)


def test_a_clip_in_which_nothing_moves_is_drawn_evenly(sampler, make_clip, stick_body):
    clip = make_clip(0, num_frames=96)
    clip.poses[:] = clip.poses[:1]
    clip.trans[:] = torch.linspace(0, 1, 96)[:, None].numpy()  # it glides, and rises, so that frames differ
    source = sampler([clip])
    assert source.weights.isfinite().all()
    features = features_of(clip, stick_body)
    firsts = torch.cdist(source.draw(2000, generator=random()).features[:, 0], features).argmin(-1).double()
    assert float(firsts.mean()) == pytest.approx(32, abs=1.5)  # of the starts 0 to 64
    assert float(firsts.std()) == pytest.approx(65 / 12**0.5, abs=1.5)


def test_of_an_action_a_clip_that_only_trembles_is_drawn_less_than_one_that_moves(sampler, make_clip):
    lively = [make_clip(seed, num_frames=96) for seed in range(3)]
    trembling, quiet = make_clip(3, num_frames=96), make_clip(3, num_frames=96)
    trembling.poses[:] = trembling.poses[:1] + 0.001 * trembling.poses  # a millionth of the movement
    quiet.poses[:] = quiet.poses[:1] + 0.7 * (quiet.poses - quiet.poses[:1])  # half of it
    weights = sampler([*lively, trembling], vigour=0.5).weights
    assert weights[3] < 0.01 * weights[:3].min()
    weights = sampler([*lively, quiet], vigour=0.5).weights
    assert 0.7 * weights[:3].min() < weights[3] < 1.4 * weights[:3].max()


def test_pauses_do_not_make_a_clip_heavier(sampler, make_clip):
    """Of two clips with as much movement, one with a long pause, both are drawn about as often."""
    short, long = make_clip(0, num_frames=64), make_clip(0, num_frames=256)
    long.poses[:64], long.trans[:64] = short.poses, short.trans
    long.poses[64:], long.trans[64:] = short.poses[-1], short.trans[-1]
    for vigour, least, most in ((1.0, 0.8, 2.0), (0.0, 3.99, 4.01)):
        weights = sampler([short, long], vigour=vigour).weights
        assert least < float(weights[1] / weights[0]) < most


# -- the split ---------------------------------------------------------------------------------------------------------


def people(make_clip, counts: dict[str, int], action: str = "walk") -> list[Clip]:
    return [make_clip(0, subject=name, action=action) for name, count in counts.items() for _ in range(count)]


def test_about_the_wanted_share_is_held_out_in_whole_subjects(make_clip):
    clips = people(make_clip, {f"s{number}": 3 + number % 5 for number in range(20)})
    chosen = split_subjects(clips, DataConfig(held_out_share=0.2))
    share = sum(Counter(clip.subject for clip in clips)[name] for name in chosen) / len(clips)
    assert share == pytest.approx(0.2, abs=0.04)
    assert split_subjects(clips[::-1], DataConfig(held_out_share=0.2)) == chosen  # not a matter of order
    assert split_subjects(clips, DataConfig(held_out_share=0.2, split_seed=1)) != chosen
    assert split_subjects(clips, DataConfig(held_out_share=0.0)) == ()


def test_named_subjects_are_held_out_and_no_other(make_clip):
    clips = people(make_clip, {"anna": 1, "ben": 50, "carl": 3})
    assert split_subjects(clips, DataConfig(held_out=("carl", "anna"))) == ("anna", "carl")
    with pytest.raises(MotionganError, match=r"data\.held_out: unknown subject `bob`; known: anna, ben, carl"):
        split_subjects(clips, DataConfig(held_out=("bob",)))
    with pytest.raises(MotionganError, match="leaves no subject to train on"):
        split_subjects(clips, DataConfig(held_out=("anna", "ben", "carl")))


def test_the_only_performer_of_an_action_is_never_held_out_by_lot(make_clip):
    clips = people(make_clip, {"anna": 2, "ben": 2, "carl": 2}) + people(make_clip, {"ben": 1, "carl": 1}, "throw")
    for seed in range(10):
        chosen = split_subjects(clips, DataConfig(held_out_share=0.5, split_seed=seed))
        assert {clip.action for clip in clips if clip.subject not in chosen} == {"walk", "throw"}
    assert split_subjects(people(make_clip, {"anna": 9}), DataConfig(held_out_share=0.5)) == ()


def test_mixed_postures_come_from_clips_of_the_same_action_and_leave_the_legs(sampler, make_clip, stick_body):
    clips = [make_clip(seed, num_frames=40 + seed, action=("walk", "squat")[seed // 2]) for seed in range(3)]
    plain = sampler(clips).draw(64, generator=random())
    mixed = sampler(clips, posture=1.0).draw(64, generator=random())
    assert_close(mixed.features[..., 132:], plain.features[..., 132:])  # the same windows but for their postures
    changed = (mixed.features - plain.features).abs().amax(1)
    legs = [*range(6 * 1, 6 * 3), *range(6 * 4, 6 * 6), *range(6 * 7, 6 * 9)]
    assert changed[:, legs].max() < 1e-5
    alone = mixed.actions == 1  # the only squat has no other posture to take
    assert changed[alone].max() < 1e-5
    assert (changed[~alone].amax(1) > 0.01).any()
