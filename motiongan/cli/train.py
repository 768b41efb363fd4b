"""Train a model on a motion file."""

import argparse
import datetime
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from motiongan.errors import MotionganError

if TYPE_CHECKING:
    import torch

    from motiongan.training.config import TrainConfig
    from motiongan.training.dataset import TrainingData
    from motiongan.training.trainer import Trainer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `motiongan train`."""
    parser.add_argument("--data", required=True, metavar="FILE", help="motion file (.h5) with labelled clips")
    parser.add_argument(
        "--config",
        metavar="NAME",
        help="recipe: a YAML file or a shipped one (demo, conv, gru, baselines/wgan-gp, ...)",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change one option; repeatable; loss=wgan-gp"
    )
    parser.add_argument("--out", metavar="FOLDER", help="run folder (default: runs/<date-time>)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out (default: the newest)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 (default: auto)")
    parser.add_argument("--body", metavar="FILE", help="body file that the betas of --data belong to, if licensed")
    parser.add_argument("--dry-run", action="store_true", help="print the resolved recipe and stop")


def execute(args: argparse.Namespace) -> int:
    """Train, with one progress line; exit status 0 when finished, 128 + signal after a clean stop."""
    import yaml

    from motiongan.config import config_to_dict
    from motiongan.motion.store import MotionFile
    from motiongan.training.config import load_recipe

    folder = _resumed_folder(args.out) if args.resume else Path(args.out or _new_name())
    if args.resume:
        if args.config or args.set:
            raise MotionganError("--resume goes on with the run's own recipe; leave out --config and --set")
        from motiongan.training.run import read_run_config

        config = read_run_config(folder)
    else:
        config = load_recipe(args.config, args.set)
    with MotionFile(args.data):  # a wrong name is told before the recipe, and by --dry-run too
        pass
    print(yaml.safe_dump(config_to_dict(config), sort_keys=False).rstrip())
    if args.dry_run:
        return 0
    return _train(args, config, folder)


def _train(args: argparse.Namespace, config: "TrainConfig", folder: Path) -> int:
    from tqdm import tqdm

    from motiongan.cli.assessment import Assessor
    from motiongan.cli.device import parse_device
    from motiongan.training.dataset import load_training_data
    from motiongan.training.run import Stopped, train

    device = parse_device(args.device, with_auto=True)
    data = load_training_data(args.data, config.data, args.body)
    if not args.resume and folder.exists() and any(not entry.name.endswith(".part") for entry in folder.iterdir()):
        raise MotionganError(f"{folder}: exists already; give another --out, or --resume to go on with it")
    _describe(data, folder, device)
    total = config.autoencoder.steps + config.training.steps
    with tqdm(total=total, unit="step", dynamic_ncols=True, mininterval=1.0) as bar:

        def on_step(trainer: "Trainer", means: dict[str, float] | None) -> None:
            bar.update(trainer.step_count - bar.n)
            if means:
                bar.set_postfix_str(_postfix(means))

        try:
            model = train(
                data,
                config,
                folder,
                device,
                resume=args.resume,
                on_step=on_step,
                on_snapshot=_snapshot,
                on_assess=Assessor(data, config, args.body),
            )
        except Stopped as stopped:
            bar.close()
            print(f"{stopped}; go on with: motiongan train --data {args.data} --resume --out {folder}")
            return 128 + stopped.signal_number
    print(f"finished: {model}")
    print(f"next: motiongan generate --checkpoint {model} --action {data.actions[0]} -n 500 --out aug.h5")
    return 0


def _postfix(means: dict[str, float]) -> str:
    shown = {
        "autoencoder/loss": "loss",
        "generator/loss": "G",
        "discriminator/loss": "D",
        "discriminator/pairs_right": "D right",
    }
    parts = [f"{label} {means[name]:.3f}" for name, label in shown.items() if name in means]
    return ", ".join([*parts, f"{means['clips_per_second']:.0f} clips/s"])


def _snapshot(model: Path, step: int) -> np.ndarray:
    """A contact sheet with two clips of every action, beside the run, and as a picture for TensorBoard."""
    from motiongan.generation.generate import load_generator
    from motiongan.rendering.stick_figure import contact_sheet_image, save_contact_sheet

    generator = load_generator(model)  # on the CPU, where it is drawn
    clips = generator.generate("all", n=2, batch=min(64, 2 * len(generator.actions)))
    folder = model.parent / "snapshots"
    folder.mkdir(exist_ok=True)
    save_contact_sheet(folder / f"step_{step:08d}.png", clips, generator.file.bones, title=f"GAN step {step}")
    return contact_sheet_image(clips[::2], generator.file.bones)


def _describe(data: "TrainingData", folder: Path, device: "torch.device") -> None:
    seconds: dict[str, list[float]] = defaultdict(list)
    for clip in data.train:
        seconds[str(clip.action)].append(clip.duration)
    minutes = sum(map(sum, seconds.values())) / 60
    print(f"training clips: {len(data.train)}, {minutes:.1f} min at {data.frame_rate:g} Hz")
    print("  " + ", ".join(f"{action} {len(each)}" for action, each in seconds.items()))
    print(f"held out: {len(data.held_out)} clips of {', '.join(data.held_out_subjects) or 'nobody'}")
    print(f"run: {folder} on {device}", flush=True)


def _new_name() -> str:
    return f"runs/{datetime.datetime.now():%Y%m%d-%H%M%S}"


def _resumed_folder(out: str | None) -> Path:
    if out:
        return Path(out)
    runs = sorted(Path("runs").glob("*/config.yaml"), key=lambda path: path.stat().st_mtime)
    if not runs:
        raise MotionganError("runs: no run to resume; give --out")
    return runs[-1].parent
