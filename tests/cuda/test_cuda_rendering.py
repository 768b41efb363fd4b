"""The renderer's kernels draw the same on a CUDA device as on the CPU, within the tolerances stated here."""

import numpy as np
import pytest
import torch

pytest.importorskip("warp", reason="needs warp-lang: pip install 'motiongan[render]'")

from motiongan.body.smpl import load_body
from motiongan.cli.main import main
from motiongan.motion.clip import Clip
from motiongan.motion.store import write_clips
from motiongan.rendering.appearance import Landmarks, draw_looks
from motiongan.rendering.camera import Camera, intrinsics_of, look_at
from motiongan.rendering.images import read_png
from motiongan.rendering.rasterizer import Buffers, Quality, Rasterizer, Sensor
from motiongan.rendering.scenes import PROCEDURAL, draw_scene

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]
DEVICE = "cuda"

# The devices fuse multiplications and additions differently: samples on an edge may fall to the other side of it.
MASKS = 2e-3  # share of pixels whose person or part differs
DEPTH = 1e-3  # metres, and share of the distance, where the person is the same
NORMALS = 0.02  # of unit vectors, in all but MASKS of the pixels
COLOUR = 0.5  # of 255, mean; and in all but 1 % of the pixels 8: a tap of a soft shadow may flip


def poses_of(num_frames: int, seed: int) -> np.ndarray:
    """(frames, 24, 3) a standing person who swings all joints a little."""
    poses = 0.25 * np.random.default_rng(seed).standard_normal((num_frames, 24, 3)).astype(np.float32)
    poses[:, 0] = (np.pi / 2, 0, 0)
    return poses


def drawn(device: str, scene: str, samples: int) -> Buffers:
    """Three frames of two people, one partly behind the other, in motion, with shadows and noise."""
    body, frames, size = load_body(), 3, 96
    trans = torch.tensor([0.0, 0.0, 1.2]).expand(frames, 3)
    each = []
    for person in range(2):
        shift = torch.tensor([0.25 * person, 0.6 * person, 0.0])
        with torch.no_grad():
            each.append(body.vertices(torch.from_numpy(poses_of(frames, person)), trans + shift, torch.zeros(10)))
    vertices = torch.stack(each, 1).numpy()
    rotation, translation = look_at(
        torch.tensor([[0.3, -3.0, 1.6]]).expand(frames, 3), torch.tensor([[0.1, 0.0, 0.9]]).expand(frames, 3)
    )
    camera = Camera(intrinsics_of(1.2 * size, size, size).expand(frames, 3, 3), rotation, translation, size, size)
    random = np.random.default_rng(0)
    rasterizer = Rasterizer.of_body(body, device=device)
    looks = draw_looks(["female", "male"], random=random)
    stage = rasterizer.stage(draw_scene(scene, [], size, size, random=random), looks, Landmarks.of(body))
    moments = [(vertices + np.float32(0.02 * step), camera, 1 / 3) for step in (-1, 0, 1)]
    sensor = Sensor(exposure=0.9, shot=0.001, read=0.0001)
    return rasterizer.render(stage, moments, quality=Quality(samples=samples), sensor=sensor, noise_seeds=[1, 2, 3])


@pytest.mark.parametrize(("scene", "samples"), [*((name, 2) for name in PROCEDURAL), ("plain", 1)])
def test_pictures_masks_depth_and_normals(scene, samples):
    cpu, other = drawn("cpu", scene, samples), drawn(DEVICE, scene, samples)
    assert set(np.unique(cpu.instance)) == {0, 1, 2}
    assert (cpu.instance != other.instance).mean() < MASKS
    assert (cpu.part != other.part).mean() < MASKS
    same = (cpu.instance == other.instance) & np.isfinite(cpu.depth)
    np.testing.assert_allclose(other.depth[same], cpu.depth[same], atol=DEPTH, rtol=DEPTH)
    assert (np.abs(cpu.normals - other.normals).max(-1) > NORMALS).mean() < MASKS
    difference = np.abs(cpu.colour.astype(int) - other.colour)
    assert difference.mean() < COLOUR
    assert np.quantile(difference, 0.99) <= 8


def test_frames_drawn_together_are_those_drawn_again():
    """Threads arrive in any order; the picture does not depend on it."""
    first, again = drawn(DEVICE, "track", 2), drawn(DEVICE, "track", 2)
    for name in ("colour", "depth", "instance", "part", "normals"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name), err_msg=name)


def test_a_run_by_command(tmp_path):
    trans = np.tile(np.array([0, 0, 1.2], np.float32), (4, 1))
    clips = [Clip(poses=poses_of(4, seed), trans=trans, frame_rate=30.0, action="wave") for seed in range(2)]
    write_clips(tmp_path / "motion.h5", clips, kind="sample", licence="CC0-1.0")
    common = ["render", str(tmp_path / "motion.h5"), "--size", "64", "--frames", "count:2", "--workers", "1"]
    for device in ("cpu", DEVICE):
        assert main([*common, "--out", str(tmp_path / f"on_{device}"), "--device", device]) == 0
    masks = sorted((tmp_path / "on_cpu" / "instance").rglob("*.png"))
    assert len(masks) == 4
    for path in masks:
        other = tmp_path / f"on_{DEVICE}" / path.relative_to(tmp_path / "on_cpu")
        assert (read_png(path) != read_png(other)).mean() < MASKS
