"""A training run in its folder: checkpoints that resume bit for bit, log, snapshots, clean stops."""

import dataclasses
import io
import json
import logging
import re
import signal
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from motiongan.config import config_from_dict, config_to_dict
from motiongan.errors import MotionganError
from motiongan.files import write_whole
from motiongan.models.checkpoint import MODEL_NAME, ModelFile, amend_provenance, save_model
from motiongan.motion.windows import WindowSampler
from motiongan.training.assessment import OnAssess, Standing, log_figures
from motiongan.training.config import TrainConfig
from motiongan.training.dataset import TrainingData
from motiongan.training.trainer import Trainer

log = logging.getLogger(__name__)

NEWEST_NAME = "newest.safetensors"  # of the newest model's file, where MODEL_NAME keeps an earlier and better one
# A loss of this size has exploded: healthy ones stay below 100.
_EXPLODED = 1e4

OnStep = Callable[[Trainer, dict[str, float] | None], None]
OnSnapshot = Callable[[Path, int], "np.ndarray | None"]


class Stopped(Exception):
    """The run was asked to stop (SIGTERM, Ctrl-C) and has saved its state."""

    def __init__(self, signal_number: int, checkpoint: Path) -> None:
        super().__init__(f"stopped; state saved in {checkpoint}")
        self.signal_number = signal_number
        self.checkpoint = checkpoint


def train(
    data: TrainingData,
    config: TrainConfig,
    folder: Path,
    device: torch.device,
    *,
    resume: bool = False,
    autoencoder: Mapping[str, Tensor] | None = None,
    on_step: OnStep | None = None,
    on_snapshot: OnSnapshot | None = None,
    on_assess: OnAssess | None = None,
) -> Path:
    """Train in `folder`, making it, until the recipe's steps are done; returns the finished model file.

    It holds the average of the last step; where `on_assess` has chosen among the steps, that of the best.
    autoencoder   weights of a model whose trained autoencoder is taken over: a new run begins with the second stage
    on_step       called after every step with the trainer, and with the mean losses when a log line was written
    on_snapshot   called with the model file and the GAN step; a picture (height, width, 3) it returns is logged
    on_assess     called likewise, every `training.assess_every` GAN steps and at the end; its figures are logged
    Raises Stopped after a clean stop by a signal, MotionganError where losses explode or a checkpoint does not fit.
    """
    sampler = WindowSampler(data.train, data.skeletons(), data.actions, config.data, device)
    trainer = Trainer(config, sampler, len(data.actions), data.mean_skeleton(), data.frame_rate, device)
    standing = Standing()
    if autoencoder is not None and trainer.two_stage:
        trainer.load_autoencoder(dict(autoencoder))
    if resume:
        standing = _restore(trainer, folder, data)
    else:
        folder.mkdir(parents=True, exist_ok=True)  # only now that data and recipe have been taken
        write_whole(folder / "config.yaml", yaml.safe_dump(config_to_dict(config), sort_keys=False).encode())
    every = config.training
    recorder = _Recorder(folder, trainer.step_count)
    with _stop_signals() as stop, recorder:
        while trainer.step_count < trainer.num_steps:
            recorder.add(trainer.step())
            finished = trainer.step_count == trainer.num_steps
            stopping = bool(stop)  # looked at once: a signal may come at any line below
            snapshot = _is_due(trainer, every.snapshot_every)
            assess = on_assess if every.assess_every and (finished or _is_due(trainer, every.assess_every)) else None
            means = None
            if finished or stopping or assess or trainer.step_count % every.log_every == 0:
                means = recorder.write(trainer, folder)
            if on_step:
                on_step(trainer, means)
            if finished or stopping or snapshot or assess or trainer.step_count % every.checkpoint_every == 0:
                if means is None:
                    recorder.check(folder)
                newest = _save_newest(trainer, folder, data, standing)
                with recorder.paused():
                    if assess and means:  # also where it is to stop: the resumed run will not come by here again
                        _assess(assess, newest, trainer, folder, standing, recorder, means)
                    if on_snapshot and (finished or (snapshot and not stopping)):
                        recorder.picture(_picture(on_snapshot, newest, trainer.gan_step_count), trainer.step_count)
                if finished:
                    _finish(trainer, folder, standing, told=on_assess is not None)
                checkpoint = _save_state(trainer, folder, data, standing)
                if stopping and not finished:
                    raise Stopped(stop[0], checkpoint)
    return folder / MODEL_NAME


def _is_due(trainer: Trainer, every: int) -> bool:
    return trainer.gan_step_count > 0 and trainer.gan_step_count % every == 0


def _assess(
    on_assess: OnAssess,
    newest: Path,
    trainer: Trainer,
    folder: Path,
    standing: Standing,
    recorder: "_Recorder",
    means: dict[str, float],
) -> None:
    """Measure the newest model, log it, tell what has gone wrong, and keep the model if it is the best so far.

    A measurement that fails is a warning, not the end of hours of training.
    """
    step, steps, before = trainer.gan_step_count, trainer.config.training.steps, standing.trouble
    try:
        assessment = on_assess(newest, step)
    except Exception as error:
        log.warning("%s: no assessment of GAN step %d (%s: %s)", folder, step, type(error).__name__, error)
        return
    pairs_right = means.get("discriminator/pairs_right", 0.5)
    trouble = standing.diagnose(assessment, pairs_right, trainer.game, step, steps)
    if trouble and (standing.trouble != before or step == steps):  # once when it comes, and at the end
        log.warning("%s: GAN step %d: %s", folder, step, trouble)
    if standing.take(assessment, step, steps) and newest.name != MODEL_NAME:
        write_whole(folder / MODEL_NAME, newest.read_bytes())
    recorder.assessment(trainer, log_figures(assessment), standing.kept_step, trouble)


def _finish(trainer: Trainer, folder: Path, standing: Standing, *, told: bool) -> None:
    """Mark the model that was kept as that of a finished run, and tell which one it is."""
    steps = trainer.config.training.steps
    if standing.kept_step:
        kept = {"step": standing.kept_step, "of": steps, "score": standing.kept_score}
        amend_provenance(folder / MODEL_NAME, {"finished": True, "kept": kept})
        log.info(
            "%s: of GAN step %d of %d, the best by held-out people (score %.3f)",
            folder / MODEL_NAME,
            standing.kept_step,
            steps,
            standing.kept_score,
        )
    elif told:
        log.info("%s: of the last step; there are too few held-out clips to choose by", folder / MODEL_NAME)


def _picture(on_snapshot: OnSnapshot, newest: Path, step: int) -> "np.ndarray | None":
    """What the callback draws; a picture that fails is a warning, not the end of hours of training."""
    try:
        return on_snapshot(newest, step)
    except Exception as error:
        log.warning("%s: no picture of GAN step %d (%s: %s)", newest.parent, step, type(error).__name__, error)
        return None


def read_run_config(folder: Path) -> TrainConfig:
    """The recipe that a run was started with; a warning tells what it did not know of yet.

    Raises MotionganError where the folder holds no run.
    """
    path = folder / "config.yaml"
    if not path.is_file():
        raise MotionganError(f"{folder}: no run to resume here (no config.yaml)")
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    config = config_from_dict(TrainConfig, values)
    if lacking := ", ".join(_lacking(values, config_to_dict(config))):
        log.warning("%s: begun by an earlier version, before there was %s", path, lacking)
    return config


def _lacking(values: Mapping[str, Any], config: Mapping[str, Any], place: str = "") -> Iterator[str]:
    """The options of the whole `config` that `values` does not name, as `--set` has them."""
    for name, value in config.items():
        if name not in values:
            yield f"{place}{name}={value}"
        elif isinstance(value, Mapping):
            yield from _lacking(values[name], value, f"{place}{name}.")


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    return sorted((folder / "checkpoints").glob("step_*.pt"))


def _save_newest(trainer: Trainer, folder: Path, data: TrainingData, standing: Standing) -> Path:
    """Write the model file of this step, once the GAN has begun; beside the one that is kept, if there is one.

    The model file comes before the state of the run: killed between the two, a finished run is taken up once more from
    the checkpoint before.
    Raises MotionganError where the weights are no longer numbers: the losses of a last bad step do not show it.
    """
    networks = (trainer.model, trainer.discriminator)
    if not all(bool(value.isfinite().all()) for network in networks for value in network.parameters()):
        raise _diverged(folder, "a weight is not a finite number")
    path = folder / (NEWEST_NAME if standing.kept_step else MODEL_NAME)
    if trainer.gan_step_count:
        save_model(path, model_file(trainer, data), trainer.average.state_dict())
    return path


def _save_state(trainer: Trainer, folder: Path, data: TrainingData, standing: Standing) -> Path:
    """Write all that continues the run; drop the oldest checkpoints."""
    (folder / "checkpoints").mkdir(exist_ok=True)
    path = folder / "checkpoints" / f"step_{trainer.step_count:08d}.pt"
    state = {
        "data": data.content_hash,
        "body": data.body_model,
        "trainer": trainer.state(),
        "standing": dataclasses.asdict(standing),
    }
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_whole(path, buffer.getvalue())
    for old in checkpoints(folder)[: -trainer.config.training.keep_checkpoints]:
        old.unlink()
    return path


def _restore(trainer: Trainer, folder: Path, data: TrainingData) -> Standing:
    """Load the newest readable checkpoint, and how the run stood; one killed before its first one starts anew."""
    for leftover in [*folder.glob(".*.part"), *folder.glob("checkpoints/.*.part")]:  # of a write that was killed
        leftover.unlink()
    saved = checkpoints(folder)
    for path in reversed(saved):
        try:
            with zipfile.ZipFile(path) as archive:
                if damaged := archive.testzip():  # torch does not look at the checksums
                    raise zipfile.BadZipFile(damaged)
            # On the CPU: load_state_dict moves what belongs elsewhere, and Adam's step counts must stay here.
            state = torch.load(path, map_location="cpu", weights_only=True)
            trained_on, body, trainer_state = state["data"], state["body"], state["trainer"]
            standing = Standing(**state.get("standing", {}))  # runs of earlier versions were not assessed
        except Exception as error:  # torch raises anything from EOFError to UnpicklingError for a damaged file
            log.warning("%s: unreadable (%s); trying the one before", path, type(error).__name__)
            continue
        if trained_on != data.content_hash:
            raise MotionganError(f"{path}: trained on other data than the file given; resume with the same --data")
        if body != data.body_model:
            raise MotionganError(
                f"{path}: trained on the {body} body, not {data.body_model}; resume with the same --body"
            )
        try:
            trainer.load_state(trainer_state)
        except (KeyError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise MotionganError(f"{path}: does not fit the networks of {folder}/config.yaml ({reason})") from None
        if not (folder / MODEL_NAME).exists():
            standing.kept_step = 0  # what was kept is gone: the newest serves
        return standing
    if saved:
        raise MotionganError(
            f"{folder}: none of its {len(saved)} checkpoints can be read; train again in another --out"
        )
    log.warning("%s: no checkpoint yet, starting at step %d", folder, trainer.step_count)
    return Standing()


def _diverged(folder: Path, what: str) -> MotionganError:
    saved = checkpoints(folder)
    good = f"the last good checkpoint is {saved[-1]}" if saved else "there is no checkpoint yet"
    return MotionganError(
        f"{folder}: {what}: the training diverged; {good}; lower training.learning_rate or raise losses.gamma",
        exit_code=1,
    )


def model_file(trainer: Trainer, data: TrainingData) -> ModelFile:
    config = trainer.config
    return ModelFile(
        model=trainer.model,
        actions=data.actions,
        frame_rate=data.frame_rate,
        window=config.data.window,
        clip_frames=data.clip_frames(config.data.window),
        bones=data.bones,
        betas_mean=data.betas_mean,
        betas_factor=data.betas_factor,
        config=config_to_dict(config),
        provenance={
            "training_data": data.content_hash,
            "held_out": list(data.held_out_subjects),
            "subjects": sorted({clip.subject for clip in data.train}),
            "body_model": data.body_model,
            "licence": data.licence,
            "seed": config.training.seed,
            "steps": trainer.gan_step_count,
            "finished": trainer.step_count == trainer.num_steps,
        },
    )


class _Recorder:
    """Means of the losses into log.jsonl and TensorBoard events, and a halt where they are no longer numbers."""

    def __init__(self, folder: Path, step: int) -> None:
        from tensorboardX import SummaryWriter

        self._path = folder / "log.jsonl"
        _drop_lines_after(self._path, step)
        self._events = SummaryWriter(str(folder), purge_step=step + 1 if step else None)
        self._sums: dict[str, Tensor | float] = {}
        self._counts: dict[str, int] = {}
        self._steps, self._since = 0, time.monotonic()

    def __enter__(self) -> "_Recorder":
        return self

    def __exit__(self, *exception: object) -> None:
        self._events.close()

    def add(self, losses: dict[str, float | Tensor]) -> None:
        """Add one step's losses; tensors are not read before `write`, so that a GPU need not wait."""
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._counts[name] = self._counts.get(name, 0) + 1
        self._steps += 1

    def check(self, folder: Path) -> dict[str, float]:
        """The mean losses since the last line. Raises MotionganError where one is NaN, infinite or has exploded."""
        means = {name: float(value) / self._counts[name] for name, value in self._sums.items()}
        for name, value in means.items():
            if not abs(value) < _EXPLODED and "gradient" not in name:  # gradients are clipped
                raise _diverged(folder, f"{name} is {value:.3g}")
        return means

    def write(self, trainer: Trainer, folder: Path) -> dict[str, float]:
        """Append one line and return its means, with "clips_per_second"."""
        means = self.check(folder)
        seconds = time.monotonic() - self._since
        gan = trainer.gan_step_count > 0
        batch_size = trainer.config.training.batch_size if gan else trainer.config.autoencoder.batch_size
        means["clips_per_second"] = self._steps * batch_size / max(seconds, 1e-9)
        line: dict[str, Any] = {"step": trainer.step_count, "gan_step": trainer.gan_step_count, **means}
        self._append(line)
        for name, value in means.items():
            self._events.add_scalar(name, value, trainer.step_count)
        self._sums, self._counts, self._steps, self._since = {}, {}, 0, time.monotonic()
        return means

    def assessment(self, trainer: Trainer, figures: dict[str, float], kept_step: int, trouble: str) -> None:
        """Append a line of an assessment: its figures, the GAN step that is kept (if any), what has gone wrong."""
        line: dict[str, Any] = {"step": trainer.step_count, "gan_step": trainer.gan_step_count, **figures}
        if kept_step:
            line["kept_step"] = kept_step
        if trouble:
            line["trouble"] = trouble
        self._append(line)
        for name, value in figures.items():
            self._events.add_scalar(name, value, trainer.step_count)

    def picture(self, image: "np.ndarray | None", step: int) -> None:
        """Log a contact sheet."""
        if image is not None:
            self._events.add_image("motion", image, step, dataformats="HWC")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What is done within does not count as training time."""
        begun = time.monotonic()
        yield
        self._since += time.monotonic() - begun

    def _append(self, line: dict[str, Any]) -> None:
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def _drop_lines_after(path: Path, step: int) -> None:
    """Keep the log up to `step`: what a killed run logged after its last checkpoint will be logged again."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        number = re.match(r'\{"step": (\d+),.*\}$', line)
        if number and int(number.group(1)) <= step:
            kept.append(line + "\n")
    write_whole(path, "".join(kept).encode())


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """A list that SIGTERM and SIGINT append to, so that the step in progress ends first."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt  # a second Ctrl-C does not wait
        received.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
