"""Fixtures that several test files use: tiny, seeded, and free of licensed data."""

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import Tensor

from motiongan.body.kinematics import Skeleton
from motiongan.config import load_config
from motiongan.motion.clip import Clip
from motiongan.motion.store import write_clips

if TYPE_CHECKING:
    from motiongan.body.smpl import Body
    from motiongan.training.config import TrainConfig

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so a shell starts its background jobs
    signal.signal(signal.SIGINT, signal.default_int_handler)

_HALF_BODY = {  # joint: x (to the left), y (up), z (ahead) of the left side and the midline, metres, pelvis at 0
    "pelvis": (0.0, 0.0, 0.0),
    "hip": (0.07, -0.09, 0.0),
    "spine1": (0.0, 0.11, -0.02),
    "knee": (0.10, -0.47, 0.0),
    "spine2": (0.0, 0.24, 0.0),
    "ankle": (0.09, -0.87, -0.03),
    "spine3": (0.0, 0.30, 0.0),
    "foot": (0.11, -0.93, 0.09),
    "neck": (0.0, 0.50, -0.02),
    "collar": (0.08, 0.40, -0.02),
    "head": (0.0, 0.58, 0.03),
    "shoulder": (0.19, 0.44, -0.03),
    "elbow": (0.44, 0.43, -0.05),
    "wrist": (0.70, 0.43, -0.05),
    "hand": (0.79, 0.42, -0.06),
    "heel": (0.09, -0.95, -0.07),
    "ball": (0.11, -0.95, 0.12),
}
STANDING_HEIGHT = 0.95  # metres from the made-up body's soles to its pelvis
UPRIGHT = (np.pi / 2, 0.0, 0.0)  # the root orientation that stands the rest body up, facing -y


@dataclass(frozen=True)
class StickBody:
    """A body of bones alone; its betas[0] scales it by 1 + betas[0] / 10."""

    name: str = "stick"

    def skeleton(self, betas: Tensor) -> Skeleton:
        from motiongan.body.skeleton import JOINT_NAMES, SOLE_NAMES

        def points(names: tuple[str, ...]) -> Tensor:
            rows = []
            for name in names:
                x, y, z = _HALF_BODY[name.removeprefix("left_").removeprefix("right_")]
                rows.append((-x if name.startswith("right_") else x, y, z))
            return torch.tensor(rows)

        scale = (1 + betas[..., :1] / 10).unsqueeze(-1)
        return Skeleton(points(JOINT_NAMES) * scale, points(SOLE_NAMES) * scale)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def untyped() -> Iterator[None]:
    """The package as its users have it, without the tests' checks of types at run time."""
    import jaxtyping

    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def stick_body() -> StickBody:
    return StickBody()


@pytest.fixture(scope="session")
def body() -> "Body":
    """The default body. Read only."""
    from motiongan.body.smpl import load_body

    return load_body()


def _make_clip(seed: int = 0, num_frames: int = 40, speed: float = 1.0, **fields: object) -> Clip:
    random = np.random.default_rng(seed)
    seconds = np.arange(num_frames)[:, None, None] / 30
    amplitude, phase = random.uniform(0, 0.2, (24, 3)), random.uniform(0, 2 * np.pi, (24, 3))
    poses = amplitude * np.sin(2 * np.pi * seconds + phase)
    poses[:, 0] = UPRIGHT
    poses[:, 22:] = 0
    trans = np.zeros((num_frames, 3))
    trans[:, 1] = -speed * seconds[:, 0, 0]
    trans[:, 2] = STANDING_HEIGHT
    fields = {"frame_rate": 30.0, "action": "walk", "subject": f"s{seed}", **fields}
    if "betas" in fields:
        fields["betas"] = np.asarray(fields["betas"], np.float32)
    return Clip(poses=poses.astype(np.float32), trans=trans.astype(np.float32), **fields)


@pytest.fixture(scope="session")
def make_clip() -> Callable[..., Clip]:
    """Makes a clip of gentle, smooth, seeded motion, facing and travelling along -y; keywords go to Clip."""
    return _make_clip


@pytest.fixture
def clips(make_clip: Callable[..., Clip]) -> list[Clip]:
    """Four clips of three actions and two subjects, one of them unlabelled: 30, 40, 50 and 60 frames at 30 Hz."""
    actions, subjects = ("walk", "squat", "walk", None), ("anna", "anna", "ben", "ben")
    return [
        make_clip(seed, num_frames=30 + 10 * seed, action=action, subject=subject, source=f"made up {seed}")
        for seed, (action, subject) in enumerate(zip(actions, subjects))
    ]


@pytest.fixture
def motion_file(tmp_path: Path, clips: list[Clip]) -> Path:
    """A motion file of `clips`."""
    path = tmp_path / "motion.h5"
    write_clips(path, clips, kind="sample", licence="CC0-1.0")
    return path


@pytest.fixture(scope="session")
def shared_mocap() -> Path:
    """The optional folder of recordings beside the checkout; without it the test is skipped."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "mocap"
    if not folder.is_dir():
        pytest.skip("the recordings in ../shared/mocap are not here")
    return folder


# -- training, as small as it gets -------------------------------------------------------------------------------------

# The recipe of the tests: every part there, each as small as it works.
TINY = (
    "data={window: 32, speeds: [1.0], variants: 1, held_out_share: 0.25}",
    "autoencoder={steps: 4, batch_size: 4, width: 16, latent: 4}",
    "generator={latent: 8, drive: 2, width: 16, blocks: 1, frequencies: 4}",
    "discriminator={width: 16, scales: 2}",
    "losses={kinematic_clips: 2, kinematic_from: 0.0, kinematic_full: 0.5}",
    "training={steps: 4, batch_size: 4, checkpoint_every: 2, snapshot_every: 100, log_every: 1}",
)


@pytest.fixture(scope="session")
def tiny_config() -> "Callable[..., TrainConfig]":
    """Makes the tests' recipe; arguments are overrides such as "training.steps=6"."""
    from motiongan.training.config import TrainConfig

    return lambda *overrides: load_config(TrainConfig, None, [*TINY, *overrides])


@pytest.fixture(scope="session")
def tiny_data_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A motion file of sixteen clips: four people, each with a walk, a squat and a kick to either side."""
    path = tmp_path_factory.mktemp("data") / "tiny.h5"
    random = np.random.default_rng(0)
    betas = random.normal(size=(4, 10))
    actions = ("walk", "squat", "kick_left", "kick_right")
    clips = [
        _make_clip(4 * person + kind, 30 + 6 * kind, action=action, subject=f"person{person}", betas=betas[person])
        for person in range(4)
        for kind, action in enumerate(actions)
    ]
    write_clips(path, clips, kind="sample", licence="CC0-1.0")
    return path


@pytest.fixture(scope="session")
def tiny_run(
    tmp_path_factory: pytest.TempPathFactory, tiny_data_file: Path, tiny_config: "Callable[..., TrainConfig]"
) -> Path:
    """The folder of a finished run on `tiny_data_file`. Read only: copy it to change it."""
    from motiongan.training.dataset import load_training_data
    from motiongan.training.run import train

    folder = tmp_path_factory.mktemp("runs") / "tiny"
    folder.mkdir()
    config = tiny_config()
    train(load_training_data(tiny_data_file, config.data), config, folder, torch.device("cpu"))
    return folder


@pytest.fixture(scope="session")
def tiny_model(tiny_run: Path) -> Path:
    """The model file of `tiny_run`."""
    return tiny_run / "model.safetensors"
