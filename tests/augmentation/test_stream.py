"""GeneratedStream: the generator's own motion, and what its windows depend on."""

import itertools
import math
import pickle

import numpy as np
import pytest
import torch
from torch.testing import assert_close
from torch.utils.data import DataLoader

from motiongan.augmentation.stream import GeneratedStream
from motiongan.body.joint_sets import JOINT_SETS
from motiongan.body.smpl import load_body
from motiongan.errors import MotionganError
from motiongan.generation import generate
from motiongan.generation.generate import clip_seed, load_generator

ALL = ("poses", "trans", "betas", "action", "mask", "seed")


def first(stream: GeneratedStream, count: int = 6) -> list[dict]:
    return list(itertools.islice(stream, count))


def test_a_window_of_a_seed_is_the_clip_that_generate_makes_of_it(tiny_model):
    generator = load_generator(tiny_model)
    clips = generator.generate("walk", n=3, seed=7, batch=3)
    stream = GeneratedStream(tiny_model, "walk", fields=ALL)
    samples = stream.generate([clip_seed(7, number) for number in range(3)], ["walk"] * 3)
    for clip, sample in zip(clips, samples):
        length = clip.num_frames
        assert sample["seed"] == clip.seed
        assert sample["mask"].sum() == length
        assert_close(sample["poses"][:length].numpy(), clip.poses, atol=1e-5, rtol=0)
        assert_close(sample["trans"][:length].numpy(), clip.trans, atol=1e-5, rtol=0)
        assert_close(sample["betas"].numpy(), clip.betas, atol=1e-6, rtol=0)
        assert torch.equal(sample["poses"][length:], sample["poses"][length - 1 :][:1].expand(32 - length, -1, -1))


def test_a_short_window_is_a_piece_of_the_clip_from_a_random_frame(tiny_model):
    seeds = [clip_seed(0, number) for number in range(8)]
    whole = GeneratedStream(tiny_model, "walk").generate(seeds, ["walk"] * 8)
    pieces = GeneratedStream(tiny_model, "walk", window=10, fields=ALL).generate(seeds, ["walk"] * 8)
    starts = []
    for sample, piece in zip(whole, pieces):
        windows = sample["poses"].unfold(0, 10, 1).movedim(-1, 1)
        distance = (windows - piece["poses"]).abs().amax((1, 2, 3))
        assert distance.min() < 1e-5
        assert piece["mask"].all()
        starts.append(int(distance.argmin()))
    assert len(set(starts)) > 2


def test_a_window_depends_on_seed_epoch_rank_and_worker_and_on_nothing_else(tiny_model):
    def poses(epoch: int = 0, **options: object) -> torch.Tensor:
        stream = GeneratedStream(tiny_model, "all", batch=3, **options)
        stream.set_epoch(epoch)
        return torch.stack([sample["poses"] for sample in first(stream)])

    base = poses()
    assert torch.equal(poses(), base)
    for other in (poses(seed=1), poses(epoch=1), poses(rank=1, num_replicas=2)):
        assert (other != base).flatten(1).any(1).all()
    assert torch.equal(poses(rank=0, num_replicas=2), base)


def test_workers_make_different_windows_and_the_epoch_reaches_those_that_persist(tiny_model):
    stream = GeneratedStream(tiny_model, "walk", batch=2, fields=("seed",))
    loader = DataLoader(stream, batch_size=2, num_workers=2, persistent_workers=True)

    def seeds() -> list[int]:
        return torch.cat([batch["seed"] for batch in itertools.islice(loader, 4)]).tolist()

    zeroth = seeds()
    assert len(set(zeroth)) == 8
    assert seeds() == zeroth
    stream.set_epoch(1)
    assert not set(seeds()) & set(zeroth)


def test_the_rank_is_taken_when_an_iteration_begins_and_goes_along_to_spawned_workers(tiny_model, monkeypatch):
    early = GeneratedStream(tiny_model, "walk", batch=2, fields=("seed",))  # before init_process_group
    of_rank = [first(GeneratedStream(tiny_model, "walk", batch=2, fields=("seed",), rank=rank, num_replicas=2), 2)
               for rank in range(2)]  # fmt: skip
    assert first(pickle.loads(pickle.dumps(early)), 2) == of_rank[0]
    with monkeypatch.context() as patched:
        patched.setattr(torch.distributed, "is_initialized", lambda: True)
        patched.setattr(torch.distributed, "get_world_size", lambda: 2)
        patched.setattr(torch.distributed, "get_rank", lambda: 1)
        assert first(early, 2) == of_rank[1]
        sent = pickle.dumps(early)
    assert first(pickle.loads(sent), 2) == of_rank[1]
    assert first(early, 2) == of_rank[0]


def test_a_device_that_is_not_here_is_told_in_one_line(tiny_model, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(MotionganError, match=r"^device cuda: no CUDA device here; take cpu$"):
        first(GeneratedStream(tiny_model, "walk", device="cuda"), 1)
    with pytest.raises(MotionganError, match="device cuda:3: no CUDA device here"):
        load_generator(tiny_model, "cuda:3")
    for device in ("gpu", "mps", "meta", "cpu:9"):
        with pytest.raises(MotionganError, match=rf"^device {device}: expected cpu, cuda or cuda:N$"):
            GeneratedStream(tiny_model, "walk", device=device)
        with pytest.raises(MotionganError, match=rf"^device {device}: expected"):
            load_generator(tiny_model, device)


def test_every_action_is_made_about_equally_often(tiny_model):
    stream = GeneratedStream(tiny_model, ["squat", "walk"], batch=50, window=4, fields=("action",))
    actions = [sample["action"] for sample in first(stream, 200)]
    assert stream.actions == ("squat", "walk")
    assert abs(np.mean(actions) - 0.5) < 0.15


def test_joints_are_those_of_the_drawn_body(tiny_model):
    stream = GeneratedStream(tiny_model, "walk", batch=2, fields=("poses", "trans", "betas", "h36m17"))
    for sample in first(stream, 2):
        assert sample["betas"].abs().max() > 0
        expected = JOINT_SETS["h36m17"].place(load_body(), sample["poses"], sample["trans"], sample["betas"])
        assert_close(sample["h36m17"], expected, atol=1e-5, rtol=0)


def test_a_pickled_stream_goes_on_making_the_same(tiny_model):
    stream = GeneratedStream(tiny_model, "walk", batch=2)
    before = first(stream, 2)
    again = first(pickle.loads(pickle.dumps(stream)), 2)
    assert torch.equal(before[1]["poses"], again[1]["poses"])


def test_a_truncation_of_zero_leaves_one_latent_for_all(tiny_model, monkeypatch):
    drawn = []
    real = generate.draw_noise
    monkeypatch.setattr(generate, "draw_noise", lambda *given: drawn.append(real(*given)) or drawn[-1])
    for truncation in (0.0, 1.0):
        first(GeneratedStream(tiny_model, "walk", batch=4, truncation=truncation), 4)
    assert not drawn[0].latent.any()
    assert drawn[1].latent.std() > 0.5


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"window": 27.0}, r"window 27\.0, seed 0: expected whole numbers"),
        ({"window": 0}, "window 0"),
        ({"batch": 2.5}, r"batch 2\.5"),
        ({"seed": 1.5}, r"seed 1\.5"),
        ({"truncation": math.inf}, "truncation is inf, expected 0 to 10"),
        ({"truncation": math.nan}, "truncation is nan"),
    ],
)
def test_impossible_settings_are_refused_before_the_first_window(tiny_model, settings, told, untyped):
    with pytest.raises(ValueError, match=told):
        GeneratedStream(tiny_model, "walk", **settings)


def test_mistakes_are_told_in_one_line(tiny_model, tmp_path):
    with pytest.raises(MotionganError, match=r"^actions is empty; known: "):
        GeneratedStream(tiny_model, [])
    with pytest.raises(MotionganError, match="did you mean `squat`"):
        GeneratedStream(tiny_model, "sqat")
    with pytest.raises(MotionganError, match="unknown field `clip`"):
        GeneratedStream(tiny_model, fields=("clip",))
    with pytest.raises(MotionganError, match="no such model file"):
        GeneratedStream(tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="rank"):
        GeneratedStream(tiny_model, rank=2, num_replicas=2)
