"""Train the field's baselines, our recipes and rivals without a network on the same data, and print one table.

    python tools/bench_quality.py --data amass.h5 --out runs/quality --steps 6000 [--seeds 0,1,2] [--only conv,wgan-gp]
    python tools/bench_quality.py --data amass.h5 --out runs/quality --minutes 10 --set autoencoder.steps=1500
    python tools/bench_quality.py --data amass.h5 --out runs/few --steps 6000 --clips-per-action 10 --only conv

Baselines are the recipes of configs/baselines; ours are conv and gru, also with their parts exchanged; rivals are those
of training/rivals.py. All meet the same clips, held-out people, steps (or CPU minutes of GAN steps, at the speed of the
machine as it is), seeds, and choice of the best checkpoint. One motion autoencoder, trained first, serves all that work
in its space: its time counts for none of them.

A figure is the mean over the seeds. In brackets: the 95 % interval (of clips drawn anew), from the lowest end of any
seed's to the highest; of a figure without one, the lowest and highest seed.
Every configuration and seed has a folder in --out: what is done is not done again, what was interrupted goes on.
With --clips-per-action all learn motion from so many training clips of each action (body shapes from all); they are
measured by all of them.
"""

import argparse
import dataclasses
import json
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from motiongan.cli.assessment import Assessor
from motiongan.config import shipped
from motiongan.errors import MotionganError
from motiongan.evaluation import recognizer
from motiongan.evaluation.evaluate import Evaluator
from motiongan.evaluation.figures import FIGURES, OVERALL, Estimate, Row, written
from motiongan.files import whole_file, write_json
from motiongan.generation.generate import load_generator
from motiongan.losses.adversarial import ADVERSARIAL_LOSSES
from motiongan.models.checkpoint import MODEL_NAME, read_metadata, save_model
from motiongan.motion.clip import Clip
from motiongan.motion.windows import WindowSampler
from motiongan.training.config import TrainConfig, load_recipe
from motiongan.training.dataset import TrainingData, load_training_data
from motiongan.training.rivals import RIVALS, fit_rival
from motiongan.training.run import read_run_config, train
from motiongan.training.trainer import Trainer

CPU = torch.device("cpu")
BASELINES = sorted(path.stem for path in shipped("configs/baselines").glob("*.yaml"))
OURS: dict[str, tuple[str, ...]] = {  # recipe, overrides
    "conv": ("conv",),
    "gru": ("gru",),
    "conv against gru": ("conv", "discriminator.kind=gru"),
    "gru against gru": ("gru", "discriminator.kind=gru"),
}
NAMES = [*RIVALS, *BASELINES, *OURS]
REAL, TRAINING = "held-out real", "training real"
# Those of the figures that part good motion from bad at a glance, and what they are called in the table; all of them
# are in each folder's figures.json.
COLUMNS = {
    "fid": "FID to train",
    "fid_held_out": "FID to held-out",
    "accuracy": "accuracy",
    "synthetic_accuracy": "train on generated, test on real",
    "separability": "told from real",
    "coverage": "coverage",
    "phase_coverage": "phases",
    "pose_diversity": "pose diversity / train",
    "multimodality": "multimodality",
    "nn_ratio": "nearest clip / held-out",
    "copy_share": "near-copies",
    "skate_share": "low toes skating",
    "penetration_mm": "penetration, mm",
    "flight_error": "flight error, m/s²",
    "off_balance_mm": "off balance, mm",
    "self_penetration_mm": "parts within each other, mm",
    "jerk_ratio": "jerk / train",
}
_SEED = 1  # of the evaluated clips
_TIMED_STEPS = 8  # from which --minutes takes the speed, after two to warm up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--steps", type=int, help="GAN steps of every configuration (default: the recipe's)")
    budget.add_argument("--minutes", type=float, help="CPU minutes of GAN steps of every configuration")
    parser.add_argument("--seeds", default="0", help="of training, a,b,c (default: 0)")
    parser.add_argument("--only", default="", help=f"some of {', '.join(NAMES)}")
    parser.add_argument("--clips", type=int, default=48, help="evaluated clips per action (default: 48)")
    parser.add_argument("--clips-per-action", type=int, metavar="K", help="learn from so many (default: from all)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for every configuration")
    parser.add_argument("--measure-again", action="store_true", help="measure what is done anew, without training it")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    try:
        run_all(arguments)
    except MotionganError as error:
        print(f"bench_quality: error: {error}", file=sys.stderr)
        sys.exit(2)


def run_all(arguments: argparse.Namespace) -> None:
    """Everything that is not done yet, then the table of what was asked for."""
    names = [name.strip() for name in arguments.only.split(",")] if arguments.only else NAMES
    if unknown := [name for name in names if name not in NAMES]:
        raise MotionganError(f"--only {unknown[0]}: expected some of {', '.join(NAMES)}")
    if arguments.clips_per_action is not None and arguments.clips_per_action < 1:
        raise MotionganError(f"--clips-per-action {arguments.clips_per_action}: expected at least 1")
    try:
        seeds = [int(text) for text in arguments.seeds.split(",")]
    except ValueError:
        raise MotionganError(f"--seeds {arguments.seeds}: expected whole numbers, such as 0,1,2") from None
    overrides = list(arguments.set) + ([f"training.steps={arguments.steps}"] if arguments.steps else [])
    bench = Bench(
        arguments.data, arguments.out, overrides, arguments.minutes, arguments.clips, arguments.clips_per_action
    )
    rows: dict[str, list[Row]] = {}
    notes: dict[str, list[str]] = {}
    for name in names:
        for seed in seeds:
            done = bench.result(name, seed, again=arguments.measure_again)
            rows.setdefault(name, []).append(row_from_json(done["row"]))
            notes.setdefault(name, []).append(done["note"])
            print(f"{name}, seed {seed}: {done['note']}", file=sys.stderr, flush=True)
    rows[REAL] = [bench.real_row(REAL, again=arguments.measure_again)]
    rows[TRAINING] = [bench.real_row(TRAINING, again=arguments.measure_again)]
    print(table(rows))
    print(
        "\nIn brackets: from the lowest end to the highest of the seeds' 95 % intervals (clips drawn anew)."
        " The checkpoint of each run is chosen by the held-out people, by whom the table measures too."
    )
    for name, told in notes.items():
        print(f"\n{name}: {'; '.join(dict.fromkeys(told))}", end="")
    print()


class Bench:
    """The data that all share, and what has been made of it in `out`.

    overrides   of every recipe; minutes   of GAN steps, None: the recipe's steps; clips   evaluated per action;
    few   training clips of each action to learn from, None: all
    """

    def __init__(
        self, data: Path, out: Path, overrides: Sequence[str], minutes: float | None, clips: int, few: int | None
    ) -> None:
        self.out, self.overrides, self.minutes, self.clips = out, tuple(overrides), minutes, clips
        self.base = load_recipe(None, overrides)
        self.data: TrainingData = load_training_data(data, self.base.data)
        self.learnt = self.data if few is None else dataclasses.replace(self.data, train=_some(self.data.train, few))
        self._sampler: WindowSampler | None = None
        self._evaluator: Evaluator | None = None
        self._assessor = Assessor(self.data, self.base)
        self._autoencoder: Mapping[str, torch.Tensor] | None = None
        out.mkdir(parents=True, exist_ok=True)
        stamp = {
            "data": self.data.content_hash,
            "overrides": self.overrides,
            "minutes": minutes,
            "clips": clips,
            "recognizer": recognizer.NAME,
            **({} if few is None else {"clips_per_action": few}),
        }
        place = out / "bench.json"
        if place.exists() and json.loads(place.read_text()) != json.loads(json.dumps(stamp)):
            raise MotionganError(f"{out}: holds a bench with other data or settings; give another --out")
        write_json(place, stamp)

    def result(self, name: str, seed: int, *, again: bool) -> dict[str, Any]:
        """The row of figures and a note of one configuration and seed: found again, gone on with, or made.

        again   measure anew what is trained: the evaluation has changed
        """
        folder = self.out / f"{name.replace(' ', '-')}-{seed}"
        done = folder / "figures.json"
        found: dict[str, Any] = json.loads(done.read_text()) if done.exists() else {}
        recipe = self._recipe_text(name)
        if found and found.get("recipe") != recipe:
            raise MotionganError(f"{folder}: was made by another recipe of {name} than today's; give another --out")
        if found and not again:
            return found
        note = found.get("note")
        if note is None:
            begun = time.process_time()
            note = self._fit(name, seed, folder) if name in RIVALS else self._train(name, seed, folder)
            note += f", {(time.process_time() - begun) / 60:.1f} CPU minutes"
        clips = load_generator(folder / MODEL_NAME).generate("all", n=self.clips, seed=_SEED)
        found = {"note": note, "recipe": recipe, "row": row_to_json(self.evaluator.assess(clips))}
        write_json(done, found)
        return found

    def real_row(self, label: str, *, again: bool) -> Row:
        """The real clips' own figures: those of the held-out people, or the training clips'."""
        place = self.out / f"{label.replace(' ', '-')}.json"
        if again or not place.exists():
            made = self.evaluator.assess_held_out() if label == REAL else self.evaluator.assess_training()
            write_json(place, row_to_json(made))
        return row_from_json(json.loads(place.read_text()))

    @property
    def evaluator(self) -> Evaluator:
        if self._evaluator is None:
            self._evaluator = Evaluator(
                self.data.train,
                self.data.held_out,
                actions=self.data.actions,
                seed=0,
                window=self.base.data.window,
                cache=self.out / "recognizers",
            )
        return self._evaluator

    def _train(self, name: str, seed: int, folder: Path) -> str:
        """Train to the end, from where it was interrupted if it was; returns what there is to tell."""
        resume = (folder / "config.yaml").exists()
        if resume:
            config = read_run_config(folder)
        else:
            config = self._recipe(name, f"training.seed={seed}")
            if self.minutes is not None:
                config = _with_steps(config, self._steps_for(config, 60 * self.minutes))
        shared = self.autoencoder if config.autoencoder.steps else None
        try:
            train(self.learnt, config, folder, CPU, resume=resume, autoencoder=shared, on_assess=self._assessor)
        except MotionganError as error:
            if error.exit_code != 1 or not (folder / MODEL_NAME).exists():
                raise
            return f"diverged ({str(error).partition(': ')[2].partition(':')[0]}); the last model before is measured"
        made = json.loads(read_metadata(folder / MODEL_NAME)["provenance"])
        return f"GAN step {made['steps']} of {config.training.steps}"

    def _recipe(self, name: str, *changes: str) -> TrainConfig:
        recipe, *own = OURS.get(name, (f"baselines/{name}",))
        return load_recipe(recipe, [*self._fitting(recipe), *own, *changes])

    def _recipe_text(self, name: str) -> str:
        """All that a configuration is trained by, but for the seed; of a rival its name."""
        if name in RIVALS:
            return name
        config = self._recipe(name)
        game = ADVERSARIAL_LOSSES[config.losses.adversarial]
        return json.dumps([dataclasses.asdict(config), game.updates], sort_keys=True)

    def _fitting(self, recipe: str) -> list[str]:
        """The overrides for all, but for those of an autoencoder where the recipe has none."""
        one_stage = load_recipe(recipe).autoencoder.steps == 0
        return [each for each in self.overrides if not (one_stage and each.startswith("autoencoder"))]

    def _fit(self, name: str, seed: int, folder: Path) -> str:
        trainer = self._trainer(self.base)
        trainer.load_autoencoder(dict(self.autoencoder))
        file = fit_rival(RIVALS[name], trainer, self.learnt, random=torch.Generator().manual_seed(seed))
        folder.mkdir(exist_ok=True)
        save_model(folder / MODEL_NAME, file, file.model.generator.state_dict())
        return "fitted"

    @property
    def autoencoder(self) -> Mapping[str, torch.Tensor]:
        """Weights of a model with the trained autoencoder that all share."""
        place = self.out / "autoencoder.pt"
        if self._autoencoder is None and not place.exists():
            trainer = self._trainer(self.base)
            while trainer.autoencoder_step_count < self.base.autoencoder.steps:
                trainer.step()
            with whole_file(place) as temporary:
                torch.save(trainer.model.state_dict(), temporary)
        if self._autoencoder is None:
            self._autoencoder = torch.load(place, weights_only=True)
        return self._autoencoder

    def _trainer(self, config: TrainConfig) -> Trainer:
        if self._sampler is None:
            data = self.learnt
            self._sampler = WindowSampler(data.train, data.skeletons(), data.actions, self.base.data, CPU)
        return Trainer(
            config, self._sampler, len(self.data.actions), self.data.mean_skeleton(), self.data.frame_rate, CPU
        )

    def _steps_for(self, config: TrainConfig, seconds: float) -> int:
        """GAN steps that take so much CPU time here and now, at the price of a step late in training."""
        trainer = self._trainer(config)
        if trainer.two_stage:
            trainer.load_autoencoder(dict(self.autoencoder))
        trainer.gan_step_count = config.training.steps // 2  # the kinematic losses have their full weight
        trainer.step()
        trainer.step()
        begun = time.process_time()
        for _ in range(_TIMED_STEPS):
            trainer.step()
        return max(_TIMED_STEPS, round(seconds * _TIMED_STEPS / (time.process_time() - begun)))


def _some(clips: Sequence[Clip], count: int) -> list[Clip]:
    """So many clips of each action, drawn by chance; all where there are no more."""
    of_action: dict[str, list[int]] = defaultdict(list)
    for number in np.random.default_rng(0).permutation(len(clips)).tolist():
        of_action[str(clips[number].action)].append(number)
    return [clips[number] for number in sorted(n for numbers in of_action.values() for n in numbers[:count])]


def table(rows: Mapping[str, Sequence[Row]]) -> str:
    """Markdown: a row per configuration, a column per figure that any of them has."""
    known = {name for seeds in rows.values() for row in seeds for name in row.get(OVERALL, {})}
    shown = [name for name in COLUMNS if name in FIGURES and name in known]
    lines = [["configuration", *(COLUMNS[name] for name in shown)]]
    for label, seeds in rows.items():
        cells = [
            written(name, over_seeds([row[OVERALL].get(name) for row in seeds if row]), interval=True) for name in shown
        ]
        lines.append([label, *cells])
    text = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([text[0], "|---" * len(lines[0]) + "|", *text[1:]])


def over_seeds(estimates: Sequence[Estimate | None]) -> Estimate | None:
    """The mean of the seeds' figures, from the lowest end of their intervals to the highest."""
    known = [each for each in estimates if each is not None and each.value == each.value]
    if not known:
        return None
    lows = [each.low if each.low == each.low else each.value for each in known]
    highs = [each.high if each.high == each.high else each.value for each in known]
    low, high = min(lows), max(highs)
    if low == high:  # one seed, no interval
        low = high = float("nan")
    return Estimate(sum(each.value for each in known) / len(known), low, high, sum(each.clips for each in known))


def row_to_json(row: Row) -> dict[str, Any]:
    """Numbers as they are; what is not a finite number is null."""
    plain = {
        action: {name: dataclasses.asdict(each) for name, each in figures.items()} for action, figures in row.items()
    }
    found: dict[str, Any] = json.loads(json.dumps(plain), parse_constant=lambda constant: None)
    return found


def row_from_json(plain: Mapping[str, Any]) -> Row:
    def number(value: float | None) -> Any:
        return float("nan") if value is None else value

    return {
        action: {
            name: Estimate(**{key: number(value) for key, value in each.items()}) for name, each in figures.items()
        }
        for action, figures in plain.items()
    }


def _with_steps(config: TrainConfig, steps: int) -> TrainConfig:
    return dataclasses.replace(config, training=dataclasses.replace(config.training, steps=steps))


if __name__ == "__main__":
    main()
