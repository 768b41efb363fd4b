"""The quality gate: bounds that let the asked share pass, and clips drawn anew that depend on their own seeds alone."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import pytest

from motiongan.generation.generate import Draw, MotionGenerator, clip_seed, load_generator
from motiongan.generation.quality import Bounds, QualityGate, calibrate, good_enough
from motiongan.motion.clip import Clip

MOST = Bounds(most={"foot_skate": 0.0, "jerk": 0.0})


# -- bounds ------------------------------------------------------------------------------------------------------------


def test_a_broken_bound_tells_how_far_out_as_a_share_of_it():
    bounds = Bounds(least={"recognized": 0.5}, most={"foot_skate": 0.2})
    broken = bounds.broken({"recognized": 0.4, "foot_skate": 0.5, "jerk": 1e6})
    assert broken == pytest.approx({"recognized": 0.2, "foot_skate": 1.5})
    assert bounds.broken({"recognized": 0.5, "foot_skate": 0.2}) == {}


def test_a_score_that_a_clip_does_not_have_breaks_no_bound():
    assert Bounds(least={"training_distance": 1.0}, most={"flight_error": 0.0}).broken({}) == {}


def test_the_stricter_of_two_bounds_holds():
    both = Bounds({"recognized": 0.3}, {"jerk": 9.0}).tightened(
        Bounds({"recognized": 0.6}, {"jerk": 10.0, "floating": 0.1})
    )
    assert both == Bounds({"recognized": 0.6}, {"jerk": 9.0, "floating": 0.1})


# -- calibration -------------------------------------------------------------------------------------------------------


def test_of_one_score_the_worst_share_falls_out_and_the_bound_is_half_way():
    bounds = calibrate([{"foot_skate": float(value)} for value in range(1, 11)], 0.8, MOST)
    assert bounds == Bounds(most={"foot_skate": 8.5})  # 9 and 10 fall out


def test_a_high_score_is_good_where_a_least_is_asked():
    scores = [{"recognized": value / 10} for value in range(1, 11)]
    assert calibrate(scores, 0.8, Bounds(least={"recognized": 1.0})).least == pytest.approx({"recognized": 0.25})


def test_several_scores_are_cut_at_one_quantile_so_that_the_share_passes_all_of_them():
    """A hundred clips whose two scores have nothing to do with each other: each loses about 11 % for 80 % to pass."""
    random = np.random.default_rng(0)
    skate, shaking = random.permutation(100).astype(float), random.permutation(100).astype(float)
    scores = [{"foot_skate": 1 + a, "jerk": 500 + b} for a, b in zip(skate.tolist(), shaking.tolist())]
    bounds = calibrate(scores, 0.8, MOST)
    assert sum(not bounds.broken(one) for one in scores) in (79, 80, 81)
    assert bounds.most["foot_skate"] - 1 == bounds.most["jerk"] - 500


@pytest.mark.parametrize("keep", [0.3, 0.5, 0.8, 0.95])
def test_other_clips_of_the_same_kind_pass_as_often(keep):
    random = np.random.default_rng(1)

    def draw(count: int) -> list[dict[str, float]]:
        return [{"foot_skate": a, "jerk": b} for a, b in random.lognormal(size=(count, 2)).tolist()]

    passing = []
    for _ in range(9):
        bounds = calibrate(draw(256), keep, MOST)
        passing += [not bounds.broken(one) for one in draw(500)]
    assert abs(np.mean(passing) - keep) < 3 * (keep * (1 - keep) / 256) ** 0.5 / 9**0.5 + 0.005


def test_what_is_faultless_is_never_refused():
    faultless = Bounds(most={"foot_skate": 0.1, "penetration": 0.005})
    scores = [{"foot_skate": 0.01 * place, "penetration": 1e-6 * place} for place in range(10)]
    assert calibrate(scores, 0.5, faultless) == Bounds()
    scores += [{"foot_skate": 0.3, "penetration": 0.0}]
    assert calibrate(scores, 0.5, faultless) == Bounds(most={"foot_skate": 0.2})


def test_jerk_counts_only_beside_what_real_clips_show():
    assert "jerk" not in good_enough({}).most
    assert good_enough({"jerk": 300.0}).most["jerk"] == 300.0


def test_as_good_as_real_clips_is_good_enough():
    assert good_enough({"foot_skate": 0.8}).most["foot_skate"] == 0.8
    assert good_enough({"foot_skate": 0.02}).most["foot_skate"] == good_enough({}).most["foot_skate"]


# -- the gate ----------------------------------------------------------------------------------------------------------


def _draw(draws: Iterable[Draw], batch: int, seed: int = 5) -> Iterator[Clip]:
    """Clips that carry nothing but their seed."""
    for one in draws:
        yield Clip(
            poses=np.zeros((1, 24, 3), np.float32),
            trans=np.zeros((1, 3), np.float32),
            frame_rate=30.0,
            action=one.action,
            subject=str(one.number),
            seed=clip_seed(seed, one.number, one.attempt),
        )


def _score(clips: Sequence[Clip]) -> list[dict[str, float]]:
    """A number between 0 and 1 that depends on the clip's seed alone."""
    return [{"foot_skate": np.random.default_rng(clip.seed).random()} for clip in clips]


def test_what_is_drawn_anew_is_within_the_bounds_and_in_order():
    gate = QualityGate(_score, bounds=Bounds(most={"foot_skate": 0.5}), attempts=64)
    clips = list(gate.stream(_draw, ["walk", "run"], 50, batch=7))
    assert [clip.subject for clip in clips] == [str(number) for number in range(100)]
    assert [clip.action for clip in clips] == ["walk"] * 50 + ["run"] * 50
    assert all(clip.quality["foot_skate"] <= 0.5 and clip.quality["accepted"] == 1 for clip in clips)
    assert sum(clip.quality["attempts"] for clip in clips) == gate.drawn.total() == 100 / gate.acceptance_rate()
    assert 0.35 < gate.acceptance_rate() < 0.65


def test_a_clip_that_passes_at_once_is_the_one_without_a_gate():
    gate = QualityGate(_score, bounds=Bounds(most={"foot_skate": 0.5}))
    gated = list(gate.stream(_draw, ["walk"], 50, batch=8))
    plain = list(_draw((Draw(number, "walk") for number in range(50)), 8))
    for clip, first in zip(gated, plain, strict=True):
        passes = _score([first])[0]["foot_skate"] <= 0.5
        assert (clip.seed == first.seed) == passes == (clip.quality["attempts"] == 1)


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_a_clip_does_not_depend_on_the_batch_or_on_those_that_follow(batch):
    def seeds(n: int, size: int) -> list[int | None]:
        gate = QualityGate(_score, keep=0.3, typical={"walk": {}})
        return [clip.seed for clip in gate.stream(_draw, ["walk"], n, size)]

    assert seeds(20, batch) == seeds(40, 16)[:20]


def test_clips_before_a_stubborn_one_are_not_held_back():
    """The first clip passes at once: the caller has it before the second, which never passes, has used its draws."""
    gate = QualityGate(lambda clips: [{"foot_skate": float(clip.subject)} for clip in clips], bounds=MOST, attempts=9)
    stream = gate.stream(_draw, ["walk"], 2, batch=2)
    assert next(stream).subject == "0"
    assert gate.drawn["walk"] == 2
    assert next(stream).quality == {"foot_skate": 1.0, "attempts": 9.0, "accepted": 0.0}


def test_where_no_draw_passes_the_best_is_kept_and_counted():
    gate = QualityGate(_score, bounds=Bounds(most={"foot_skate": 0.0}), attempts=5)
    clips = list(gate.stream(_draw, ["walk"], 6, batch=4))
    for number, clip in enumerate(clips):
        drawn = [next(_draw([Draw(number, "walk", attempt)], 1)) for attempt in range(5)]
        assert clip.quality["foot_skate"] == min(one["foot_skate"] for one in _score(drawn))
        assert (clip.quality["accepted"], clip.quality["attempts"]) == (0, 5)
    assert gate.acceptance_rate() == 0
    assert gate.drawn.total() == 30


def test_the_share_to_keep_is_kept_of_each_action():
    gate = QualityGate(lambda clips: [{"foot_skate": 1 + s["foot_skate"]} for s in _score(clips)], keep=0.7)
    assert len(list(gate.stream(_draw, ["walk", "run"], 400, batch=64))) == 800
    assert abs(gate.acceptance_rate("walk") - 0.7) < 0.1
    assert abs(gate.acceptance_rate("run") - 0.7) < 0.1
    assert gate.report()["actions"]["run"]["most"] == pytest.approx({"foot_skate": 1.7}, abs=0.1)


def test_the_bounds_of_an_action_belong_to_the_model_and_not_to_the_run():
    def bounds(actions: list[str], seed: int, batch: int) -> Bounds:
        gate = QualityGate(_score, keep=0.7)
        next(gate.stream(lambda draws, size, seed=seed: _draw(draws, size, seed), actions, 1, batch))
        return gate.bounds["walk"]

    assert bounds(["walk"], 1, 4) == bounds(["run", "walk"], 2, 64)


def test_of_clips_within_the_bounds_the_share_is_kept():
    gate = QualityGate(_score, keep=0.5, bounds=Bounds(most={"foot_skate": 0.6}), typical={"walk": {}})
    list(gate.stream(_draw, ["walk"], 400, batch=64))
    assert gate.acceptance_rate() == pytest.approx(0.3, abs=0.06)


def test_novelty_is_asked_by_action():
    def far(clips: Sequence[Clip]) -> list[dict[str, float]]:
        return [{"training_distance": score["foot_skate"]} for score in _score(clips)]

    gate = QualityGate(far, novel_from={"walk": 0.5, "run": 0.0}, attempts=64)
    clips = list(gate.stream(_draw, ["walk", "run"], 30, batch=8))
    assert min(clip.quality["training_distance"] for clip in clips[:30]) >= 0.5
    assert gate.acceptance_rate("run") == 1


# -- on a model --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def generator(tiny_model) -> MotionGenerator:
    return load_generator(tiny_model)


def test_redrawn_clips_are_the_same_from_run_to_run_and_whatever_the_batch(generator):
    def clips(n: int, batch: int) -> list[Clip]:
        gate = QualityGate(_score, bounds=Bounds(most={"foot_skate": 0.6}))
        return list(generator.stream("walk,squat", n, 3, gate=gate, batch=batch))

    reference = clips(12, 8)
    assert len({clip.seed for clip in reference}) == 24
    assert any(clip.quality["attempts"] > 1 for clip in reference)
    for clip, same in zip(clips(12, 8), reference, strict=True):
        assert np.array_equal(clip.poses, same.poses)
    for clip, same in zip(clips(12, 5), reference, strict=True):
        assert clip.seed == same.seed
        np.testing.assert_allclose(clip.poses, same.poses, atol=1e-5)
        np.testing.assert_allclose(clip.trans, same.trans, atol=1e-5)


def test_every_attempt_has_a_seed_of_its_own():
    seeds = {clip_seed(seed, number, attempt) for seed in range(9) for number in range(9) for attempt in range(9)}
    assert len(seeds) == 9**3
    assert clip_seed(3, 4, 0) == clip_seed(3, 4)


def test_a_stream_behind_a_gate_asks_for_a_batch_at_a_time(generator):
    gate = QualityGate(_score, bounds=Bounds(most={"foot_skate": 0.6}))
    stream = generator.stream("walk", 10**9, gate=gate, batch=4)
    assert len(list(islice(stream, 9))) == 9
    assert gate.drawn.total() < 200
