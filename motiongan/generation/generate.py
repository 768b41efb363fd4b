"""Model file -> clips: any number of them, each from its own seed, on bodies drawn from the training subjects."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.random import SeedSequence  # here: numpy.random loads at first use, and its C code loses a Ctrl-C then
from torch import Tensor

from motiongan.errors import MotionganError, did_you_mean
from motiongan.models.checkpoint import MODEL_NAME, file_hash, load_model, read_metadata
from motiongan.models.generator import draw_noise
from motiongan.motion.actions import select_actions
from motiongan.motion.check import MAX_BETA
from motiongan.motion.clip import NUM_BETAS, Clip
from motiongan.motion.features import decode
from motiongan.motion.footing import Settled, settle
from motiongan.motion.steadying import steady

if TYPE_CHECKING:
    from motiongan.generation.quality import QualityGate

OWN_MODEL = Path(__file__).resolve().parents[1] / "assets" / "cmu.safetensors"  # docs/model_card.md
DEFAULT_BATCH = 64
_GENDERS = ("female", "male", "neutral")
NAMED_BETAS = ("random", "mean", *_GENDERS)
_BATCH_FRAMES = 1 << 16  # computed at once at most: some 0.6 GB
_MAX_FRAMES = 100_000  # of one clip: nearly an hour, and what memory holds
MAX_TRUNCATION = 10.0


@dataclass(frozen=True)
class Draw:
    """A clip to draw: its number in the run, its action, and how many draws of it a quality gate has refused."""

    number: int
    action: str
    attempt: int = 0


class MotionGenerator:
    """A trained model, ready to generate; made by `load_generator`.

    actions      names it can generate;  frame_rate  Hz;  window  frames of a training window
    """

    def __init__(self, path: str | Path, device: torch.device | str = "cpu") -> None:
        self.path = Path(path)
        self.file = load_model(path, device)
        self.device = torch.device(device)
        self.actions, self.frame_rate, self.window = self.file.actions, self.file.frame_rate, self.file.window

    @property
    def body_model(self) -> str:
        """Whose betas the clips carry: "motiongan", "smpl", "smplh" or "smplx"."""
        return str(self.file.provenance["body_model"])

    @property
    def licence(self) -> str:
        """The licence of the training data, which generated motion carries along."""
        return str(self.file.provenance["licence"])

    def generate(
        self,
        action: str | Sequence[str] = "all",
        n: int = 1,
        seed: int = 0,
        *,
        frames: int | None = None,
        betas: str | np.ndarray = "random",
        truncation: float = 1.0,
        batch: int = DEFAULT_BATCH,
    ) -> list[Clip]:
        """`n` clips of each action as a list; for more than memory holds use `stream`, which takes the same."""
        return list(self.stream(action, n, seed, frames=frames, betas=betas, truncation=truncation, batch=batch))

    def stream(
        self,
        action: str | Sequence[str] = "all",
        n: int = 1,
        seed: int = 0,
        *,
        frames: int | None = None,
        betas: str | np.ndarray = "random",
        truncation: float = 1.0,
        batch: int = DEFAULT_BATCH,
        gate: "QualityGate | None" = None,
    ) -> Iterator[Clip]:
        """`n` clips of each action, one after another. A clip starts at the origin, facing +X.

        action      a name, "a,b,c", a sequence of names, or "all"
        seed        clip i of the run depends on (seed, i) and its action alone; i counts through all actions
        frames      length of every clip; default: that of the action's training clips, at most the training window
        betas       "random": drawn from the training subjects' shapes; "mean": theirs; "female", "male", "neutral":
                    as widely around the typical person of motiongan's own body; (10,) one for all; (shapes, 10) in turn
        truncation  scales the latent: below 1 nearer to the action's typical motion
        batch       clips computed at once; changes the last bits of a result at most
        gate        scores the clips and draws those anew that it refuses; a clip that passes at once is the same
                    without it
        Raises MotionganError for an unknown action or an impossible number.
        """
        names = select_actions(action, self.actions, model_name(self.path))
        for what, number in (("-n", n), ("frames", frames), ("batch", batch)):
            if number is not None and number < 1:
                raise MotionganError(f"{what} is {number}, expected at least 1")
        if frames is not None and frames > _MAX_FRAMES:
            raise MotionganError(f"frames is {frames}, expected at most {_MAX_FRAMES}")
        if not 0 <= seed < 2**63:
            raise MotionganError(f"seed is {seed}, expected 0 to 2^63 - 1")
        if not 0 <= truncation <= MAX_TRUNCATION:
            raise MotionganError(f"truncation is {truncation}, expected 0 to {MAX_TRUNCATION:g}")
        _check_betas(betas, self.body_model)
        draw = partial(self._draw, seed=seed, frames=frames, betas=betas, truncation=truncation)
        if gate is not None:
            return gate.stream(draw, names, n, batch)
        return draw((Draw(number, names[number // n]) for number in range(n * len(names))), batch)

    def _draw(
        self,
        draws: Iterable[Draw],
        batch: int,
        *,
        seed: int,
        frames: int | None,
        betas: str | np.ndarray,
        truncation: float,
    ) -> Iterator[Clip]:
        """The clips of these draws, one after another."""
        draws = iter(draws)
        batch = max(1, min(batch, _BATCH_FRAMES // (frames or self.window)))
        while wanted := list(islice(draws, batch)):
            # Always a full batch: matrix products of another size round differently, and clip i must not change
            # because fewer clips follow it.
            filled = wanted + wanted[-1:] * (batch - len(wanted))
            numbers, actions = [one.number for one in filled], [self.actions.index(one.action) for one in filled]
            seeds = [clip_seed(seed, one.number, one.attempt) for one in filled]
            shapes = self._betas(betas, seeds, numbers)
            motion = self.motion(seeds, actions, shapes, frames or self.window, truncation)
            poses, trans = motion.poses.cpu().numpy(), motion.trans.cpu().numpy()
            for row, number in enumerate(numbers[: len(wanted)]):
                length = frames or self.file.clip_frames[actions[row]]
                yield Clip(
                    poses=poses[row, :length],
                    trans=trans[row, :length],
                    frame_rate=self.frame_rate,
                    action=self.actions[actions[row]],
                    betas=shapes[row].numpy(),
                    gender=betas if isinstance(betas, str) and betas in _GENDERS else "neutral",
                    subject=f"generated_{number}",
                    source=f"{self.path.parent.name}/{self.path.name}",
                    seed=seeds[row],
                )

    @torch.no_grad()
    def motion(
        self,
        seeds: Sequence[int],
        action_ids: Sequence[int],
        betas: Float[Tensor, "clips betas"],
        frames: int,
        truncation: float = 1.0,
    ) -> Settled:
        """Motion of `frames` frames for each seed, action (index into `actions`) and body, on the generator's device.

        One and the same motion for a seed, up to the last bits where the number of clips is another.
        """
        model = self.file.model
        noise = draw_noise(seeds, model.num_steps(frames), model.config, truncation).to(self.device)
        features = steady(model(noise, torch.tensor(action_ids, device=self.device))[:, :frames], self.frame_rate)
        skeleton = self.file.bones.skeleton(betas.to(self.device))
        return settle(decode(features, skeleton, self.frame_rate), skeleton, self.frame_rate)

    def random_betas(
        self, seeds: Sequence[int], around: Float[Tensor, "betas"] | None = None
    ) -> Float[Tensor, "clips betas"]:
        """A body for each seed, drawn from the training subjects' shapes, or as widely around another; on the CPU.

        Its draws are its own: the motion of a seed is the same whatever betas are asked for.
        """
        centre = self.file.betas_mean.cpu() if around is None else around
        normal = torch.stack(
            [torch.randn(NUM_BETAS, generator=torch.Generator().manual_seed(seed ^ 1)) for seed in seeds]
        )
        return centre + normal @ self.file.betas_factor.cpu().T

    def _betas(self, betas: str | np.ndarray, seeds: Sequence[int], numbers: Sequence[int]) -> Tensor:
        if isinstance(betas, np.ndarray):
            table = torch.from_numpy(np.atleast_2d(betas).astype(np.float32))
            return table[[number % len(table) for number in numbers]]
        if betas == "mean":
            return self.file.betas_mean.cpu().expand(len(seeds), -1)
        return self.random_betas(seeds, _typical_betas(betas) if betas in _GENDERS else None)

    def provenance(self, seed: int) -> dict[str, Any]:
        """What a motion file should say about clips of this model: attributes for MotionWriter."""
        made, config = self.file.provenance, self.file.config
        # A recipe without data.actions takes all that its data have; spelt out, a file of one says what the model knows
        config = {**config, "data": {**config.get("data", {}), "actions": list(self.actions)}}
        return {
            "checkpoint": file_hash(self.path),
            "seed": seed,
            "training_data": made["training_data"],
            "config": json.dumps(config),
            # Whom the model saw and whom not, as far as its file tells.
            **{name: json.dumps(made[name]) for name in ("subjects", "held_out") if name in made},
        }


def load_generator(path: str | Path | None = None, device: torch.device | str = "cpu") -> MotionGenerator:
    """The model of a file, ready to generate; without a path the one that comes along (docs/model_card.md).

    Raises MotionganError where the file is missing or damaged.
    """
    return MotionGenerator(OWN_MODEL if path is None else path, device)


def _check_betas(betas: str | np.ndarray, body_model: str) -> None:
    if isinstance(betas, str):
        if betas not in NAMED_BETAS:
            hint = did_you_mean(betas, NAMED_BETAS) or f"; expected {', '.join(NAMED_BETAS)} or an array"
            raise MotionganError(f"unknown betas `{betas}`{hint}")
        if betas in _GENDERS and body_model != "motiongan":
            raise MotionganError(
                f"betas `{betas}` are known of motiongan's own body alone, and this model's are {body_model}'s; give"
                " random, mean or an array"
            )
    elif betas.ndim not in (1, 2) or betas.shape[-1] != NUM_BETAS or not betas.size:
        raise MotionganError(f"betas has shape {betas.shape}, expected ({NUM_BETAS},) or (shapes, {NUM_BETAS})")
    elif not np.abs(betas).max() <= MAX_BETA:  # NaN too
        raise MotionganError(
            f"betas reach {np.abs(betas).max():.3g}, expected within {MAX_BETA:.0f} standard deviations"
        )


@cache
def _typical_betas(gender: str) -> Tensor:
    from motiongan.body.smpl import load_body  # here: the body file is read for these shapes only

    return load_body().typical_betas(gender)[:NUM_BETAS]


def clip_seed(seed: int, number: int, attempt: int = 0) -> int:
    """The seed of clip `number` of a run: 62 well-mixed bits, even (the odd one beside it draws the betas).

    attempt   how many draws of the clip were refused before: each has a seed of its own
    """
    state = SeedSequence([seed, number], spawn_key=(attempt,) if attempt else ()).generate_state(1, np.uint64)[0]
    return (int(state) >> 2) << 1


def find_model(runs: str | Path = "runs") -> Path:
    """The model of the newest finished run in a folder; where there is no run, the one that comes along.

    Raises MotionganError where no run is finished.
    """
    models = sorted(Path(runs).glob(f"*/{MODEL_NAME}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in models:
        try:
            if json.loads(read_metadata(path)["provenance"]).get("finished"):
                return path
        except MotionganError:
            continue
    if models:
        raise MotionganError(
            f"{runs}: no finished run; give --checkpoint {models[0]} to use the newest unfinished one, or go on with"
            f" `motiongan train --resume --out {models[0].parent}`"
        )
    return OWN_MODEL


def model_name(path: Path) -> str:
    """What to call a model: its path, or whose it is."""
    return f"motiongan's own model ({path.stem})" if path == OWN_MODEL else str(path)
