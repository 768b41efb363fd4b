"""On a CUDA device everything equals the CPU's within the tolerances stated here. `tools/gpu_run.sh` runs these."""

from collections.abc import Callable

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.testing import assert_close

from motiongan.augmentation import (
    BodyOcclusion,
    CameraSampler,
    Detector2D,
    GeneratedStream,
    MotionDataset,
    mix,
    outside,
    project,
)
from motiongan.body.joint_sets import JOINT_SETS
from motiongan.body.kinematics import forward_kinematics
from motiongan.body.smpl import load_body
from motiongan.generation.generate import load_generator
from motiongan.losses.adversarial import gradient_penalty
from motiongan.models.discriminator import DISCRIMINATORS, DiscriminatorConfig
from motiongan.models.generator import GENERATORS, GeneratorConfig, draw_noise
from motiongan.motion.features import NUM_FEATURES, decode, motion_view, rotation_from_6d
from motiongan.motion.windows import WindowSampler
from motiongan.training.dataset import load_training_data
from motiongan.training.run import checkpoints, train
from motiongan.training.trainer import Trainer

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]
CPU, CUDA = torch.device("cpu"), torch.device("cuda")

# Metres or radians after chains of float32 products; the CPU and the GPU add in different orders.
GEOMETRY = 1e-4
# Of network outputs of size one; matrix products in float32 (TF32 is off, as is torch's default).
NETWORK = 1e-3
# Share of what a few training steps change in the weights, on average. Adam divides tiny gradients by their own size,
# so that rounding decides about the sign of some of its steps: single weights may differ by whole steps.
TRAINED = 0.05


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def both(function: Callable[[torch.device], Tensor]) -> tuple[Tensor, Tensor]:
    """What the function gives on the CPU and on CUDA, both on the CPU."""
    return function(CPU).detach(), function(CUDA).detach().cpu()


def test_forward_kinematics():
    rotations = rotation_from_6d(torch.randn(8, 64, 24, 6))
    trans, skeleton = torch.randn(8, 64, 3), load_body().skeleton(torch.randn(10))
    cpu, cuda = both(lambda at: forward_kinematics(rotations.to(at), trans.to(at), skeleton.to(at)).joints)
    assert_close(cuda, cpu, atol=GEOMETRY, rtol=0)


def test_decoded_motion_and_its_view():
    features = 0.3 * torch.randn(8, 64, NUM_FEATURES)
    features[..., 132] += 1.0
    skeleton = load_body().skeleton(torch.zeros(10))
    for read in (lambda motion: motion.poses, lambda motion: motion.joints, lambda motion: motion_view(motion, 30.0)):
        cpu, cuda = both(lambda at, read=read: read(decode(features.to(at), skeleton.to(at), 30.0)))
        assert_close(cuda, cpu, atol=50 * GEOMETRY, rtol=1e-3)  # world paths add up 64 steps, velocities times 30


@pytest.mark.parametrize("kind", sorted(GENERATORS))
def test_generators(kind):
    config = GeneratorConfig(kind=kind, width=64)
    network = GENERATORS[kind](config, 5, 24, 16)
    noise, actions = draw_noise(range(20), 16, config), torch.arange(20) % 5
    cpu, cuda = both(lambda at: network.to(at)(noise.to(at), actions.to(at)))
    assert_close(cuda, cpu, atol=NETWORK, rtol=0)


@pytest.mark.parametrize("kind", sorted(DISCRIMINATORS))
def test_discriminators_and_the_training_of_their_penalties(kind):
    network = DISCRIMINATORS[kind](DiscriminatorConfig(kind=kind, width=64), 5, 24, 16)
    values, actions = torch.randn(20, 16, 24), torch.arange(20) % 5
    mask = torch.arange(16) < torch.arange(20)[:, None].clamp(min=3)

    def run(at: torch.device) -> Tensor:
        network.to(at).zero_grad()
        seen = values.to(at).requires_grad_()
        logits = network(seen, mask.to(at), actions.to(at))
        penalty = gradient_penalty(seen, logits)
        penalty.mean().backward()
        gradients = [p.grad.flatten().cpu() for p in network.parameters() if p.grad is not None]
        return torch.cat([logits.cpu(), penalty.cpu(), *gradients])

    cpu, cuda = both(run)
    assert_close(cuda, cpu, atol=NETWORK, rtol=1e-2)


@pytest.mark.parametrize("stages", ["autoencoder.steps=0", "autoencoder.steps=4"])
def test_a_few_training_steps(tiny_data_file, tiny_config, stages):
    """In float32; bfloat16 has its own test below."""
    config = tiny_config(stages, "training.bf16=false")
    data = load_training_data(tiny_data_file, config.data)

    def weights(trainer: Trainer) -> Tensor:
        networks = (trainer.model, trainer.discriminator)
        return torch.cat([p.detach().flatten().cpu() for network in networks for p in network.parameters()])

    def run(at: torch.device) -> Tensor:
        """What training has changed."""
        sampler = WindowSampler(data.train, data.skeletons(), data.actions, config.data, at)
        trainer = Trainer(config, sampler, len(data.actions), data.mean_skeleton(), data.frame_rate, at)
        before = weights(trainer)
        for _ in range(trainer.num_steps):
            trainer.step()
        return weights(trainer) - before

    cpu, cuda = both(run)
    assert cpu.abs().mean() > 1e-4
    assert (cuda - cpu).abs().mean() < TRAINED * cpu.abs().mean()


def test_bfloat16_losses_are_near_float32_ones(tiny_data_file, tiny_config):
    losses = []
    for bf16 in ("true", "false"):
        config = tiny_config("autoencoder.steps=4", f"training.bf16={bf16}")
        data = load_training_data(tiny_data_file, config.data)
        sampler = WindowSampler(data.train, data.skeletons(), data.actions, config.data, CUDA)
        trainer = Trainer(config, sampler, len(data.actions), data.mean_skeleton(), data.frame_rate, CUDA)
        losses.append([float(value) for _ in range(8) for value in trainer.step().values()])
    half, whole = (torch.tensor(values) for values in losses)
    assert half.isfinite().all()
    assert_close(half[:4], whole[:4], atol=0.02, rtol=0.05)  # the first step: the same weights and draws


def test_a_run_on_cuda_resumes_bit_for_bit(tiny_data_file, tiny_config, tmp_path):
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        config = tiny_config()
        data = load_training_data(tiny_data_file, config.data)
        whole, parts = tmp_path / "whole", tmp_path / "parts"
        for folder in (whole, parts):
            folder.mkdir()
            train(data, config, folder, CUDA)
        checkpoints(parts)[-1].unlink()
        train(data, config, parts, CUDA, resume=True)
    finally:
        torch.use_deterministic_algorithms(False)
    first, second = (load_file(folder / "model.safetensors") for folder in (whole, parts))
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_generated_clips(tiny_model):
    cpu, cuda = (load_generator(tiny_model, device).generate("all", n=8, frames=64) for device in (CPU, CUDA))
    for clip, same in zip(cpu, cuda, strict=True):
        assert_close(same.poses, clip.poses, atol=10 * GEOMETRY, rtol=0)
        assert_close(same.trans, clip.trans, atol=10 * GEOMETRY, rtol=0)
        assert (same.action, same.seed) == (clip.action, clip.seed)


def test_a_stream_makes_the_same_batches_of_a_mixture_and_they_are_on_the_cpu(tiny_model, tiny_data_file):
    fields = ("poses", "h36m17", "mask", "action")
    real = MotionDataset(tiny_data_file, 16, 16, fields)
    batches = []
    for at in (CPU, CUDA):
        stream = GeneratedStream(tiny_model, "walk,squat", batch=4, device=at, window=16, fields=fields)
        batches.append(next(iter(mix(real, stream).loader(16))))
    cpu, cuda = batches
    assert cuda["is_synthetic"].sum() == 8
    assert all(values.device == CPU for values in cuda.values())
    for name in ("poses", "h36m17"):
        assert_close(cuda[name], cpu[name], atol=10 * GEOMETRY, rtol=0)
    for name in ("mask", "action", "is_synthetic"):
        assert torch.equal(cuda[name], cpu[name])


def test_cameras_detections_and_what_the_body_hides():
    """Of draws from a CPU generator, which are the same for every device."""
    body = load_body()
    poses, trans, betas = 0.2 * torch.randn(8, 1, 24, 3), torch.randn(8, 1, 3), torch.randn(8, 10)
    poses[:, :, 0, 0] += torch.pi / 2  # upright
    poses = poses + 0.02 * torch.randn(8, 27, 24, 3).cumsum(1)
    trans = trans + torch.linspace(0, 2, 27)[:, None] * torch.tensor([1.0, 0.5, 0.0])
    joints = JOINT_SETS["h36m17"].place(body, poses, trans, betas[:, None])
    occlusion = BodyOcclusion(body, "h36m17")

    def run(at: torch.device) -> tuple[Tensor, ...]:
        seen = joints.to(at)
        camera = CameraSampler().sample(seen, generator=torch.Generator().manual_seed(1))
        pixels, depth = project(camera, seen)
        hidden = occlusion.hidden(camera, seen, poses.to(at), trans.to(at), betas.to(at))
        # Decided on the CPU for both: a point at the rim of a limb may be hidden on one device alone.
        agreed = torch.arange(27)[:, None].add(torch.arange(17)).remainder(5).eq(0).expand(8, -1, -1).to(at)
        found = Detector2D()(
            pixels, generator=torch.Generator().manual_seed(2), hidden=agreed, absent=outside(camera, pixels, depth)
        )
        results = (
            camera.rotation, camera.translation, pixels, found.keypoints, found.confidence, found.detected, hidden
        )  # fmt: skip
        assert all(values.device.type == at.type for values in results)
        return tuple(values.cpu() for values in results)

    cpu, cuda = run(CPU), run(CUDA)
    for first, second, tolerance in zip(
        cpu, cuda, (GEOMETRY, 10 * GEOMETRY, 0.1, 0.1, 10 * GEOMETRY)
    ):  # without unit, metres, pixels of a thousand, and shares
        assert_close(second, first, atol=tolerance, rtol=0)
    assert torch.equal(cuda[5], cpu[5])
    assert not cpu[5].all()
    assert 0.01 < cpu[6].float().mean() < 0.5
    assert (cuda[6] != cpu[6]).float().mean() < 0.002
