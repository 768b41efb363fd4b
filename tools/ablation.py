"""Train variants of one recipe on the same data and print one table of figures beside held-out real motion.

    python tools/ablation.py kinematic --data amass.h5 --out runs/ablation [--minutes 5]
    python tools/ablation.py stages    --data amass.h5 --out runs/stages   [--minutes 10]

kinematic   the kinematic losses: all, none, each left out, and five times as heavy; one autoencoder serves them all
stages      the GAN on an autoencoder's latents (the autoencoder's time counts) against a generator of features

Every variant trains for the same CPU time (--minutes), cosine decay included: the number of steps is set from the
speed of its first steps. Clips are drawn from the averaged generator with the evaluation's own seed.
"""

import argparse
import dataclasses
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from motiongan.config import load_config
from motiongan.evaluation.evaluate import Evaluator, overall_table
from motiongan.generation.generate import MotionGenerator
from motiongan.losses.kinematic import KinematicWeights
from motiongan.models.checkpoint import save_model
from motiongan.motion.windows import WindowSampler
from motiongan.training.config import TrainConfig
from motiongan.training.dataset import TrainingData, load_training_data
from motiongan.training.run import model_file
from motiongan.training.trainer import Trainer

_WARM_UP = 20  # steps from which the speed is measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=["kinematic", "stages"])
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path, help="folder for models and figures.json")
    parser.add_argument("--minutes", type=float, default=5.0, help="CPU minutes per variant")
    parser.add_argument("--autoencoder", type=Path, help="checkpoint (.pt) of a run whose autoencoder is used")
    parser.add_argument("--seeds", default="0", help="training seeds, a,b,c")
    parser.add_argument("--clips", type=int, default=24, help="generated clips per action")
    parser.add_argument("--only", default="", help="variants to run, a,b,c (default: all of the study)")
    parser.add_argument("--config", help="recipe to vary")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    base = load_config(TrainConfig, arguments.config, arguments.set)
    data = load_training_data(arguments.data, base.data)
    sampler = WindowSampler(data.train, data.skeletons(), data.actions, base.data, torch.device("cpu"))
    evaluator = Evaluator(data.train, data.held_out, actions=data.actions, seed=0, window=base.data.window)
    variants = kinematic_variants(base) if arguments.study == "kinematic" else stage_variants(base)
    if arguments.only:
        variants = {name: variants[name] for name in arguments.only.split(",")}
    shared = None
    if arguments.autoencoder:
        shared = torch.load(arguments.autoencoder, weights_only=True)["trainer"]
    elif arguments.study == "kinematic":
        shared = trained_autoencoder(base, sampler, data)
        torch.save({"trainer": shared}, arguments.out / "autoencoder.pt")
    results: dict[str, Any] = {}
    for name, config in variants.items():
        for seed in [int(text) for text in arguments.seeds.split(",")]:
            seeded = dataclasses.replace(config, training=dataclasses.replace(config.training, seed=seed))
            path = arguments.out / f"{name}-{seed}.safetensors"
            steps = train_for(seeded, sampler, data, 60 * arguments.minutes, shared, path)
            clips = MotionGenerator(path).generate("all", n=arguments.clips, seed=1)
            results[f"{name} ({seed})"] = evaluator.measure(clips)
            print(f"{name}, seed {seed}: {steps} GAN steps", flush=True)
            shown = {**results, "held-out real": evaluator.held_out}
            (arguments.out / "figures.json").write_text(json.dumps(shown, indent=1).replace("NaN", "null"))
    print(overall_table({**results, "held-out real": evaluator.held_out}))


def kinematic_variants(base: TrainConfig) -> dict[str, TrainConfig]:
    """All terms, none, each one left out, and all of them five times as heavy."""
    weights = base.losses.kinematic
    names = [field.name for field in dataclasses.fields(KinematicWeights)]

    def scaled(factors: Mapping[str, float]) -> TrainConfig:
        changed = {name: getattr(weights, name) * factor for name, factor in factors.items()}
        losses = dataclasses.replace(base.losses, kinematic=dataclasses.replace(weights, **changed))
        return dataclasses.replace(base, losses=losses)

    return {
        "all": base,
        "none": scaled(dict.fromkeys(names, 0.0)),
        **{f"no_{name}": scaled({name: 0.0}) for name in names},
        "times_5": scaled(dict.fromkeys(names, 5.0)),
    }


def stage_variants(base: TrainConfig) -> dict[str, TrainConfig]:
    """The two-stage default and the one-stage form."""
    return {
        "two-stage": base,
        "one-stage": dataclasses.replace(base, autoencoder=dataclasses.replace(base.autoencoder, steps=0)),
    }


def trained_autoencoder(config: TrainConfig, sampler: WindowSampler, data: TrainingData) -> dict[str, Any]:
    """The state of a trainer whose autoencoder is done and whose GAN has not begun."""
    trainer = _trainer(config, sampler, data)
    while trainer.autoencoder_step_count < config.autoencoder.steps:
        trainer.step()
    return trainer.state()


def train_for(
    config: TrainConfig,
    sampler: WindowSampler,
    data: TrainingData,
    seconds: float,
    shared: dict[str, Any] | None,
    path: Path,
) -> int:
    """Train for about `seconds` of CPU time, write the model, return the GAN steps done.

    shared   state of a run whose autoencoder is taken over; its training then costs no time here
    """
    trainer, begun = _trainer(config, sampler, data), time.process_time()
    if shared is not None and trainer.model.autoencoder:
        trainer.load_autoencoder(shared["model"])
    while trainer.autoencoder_step_count < config.autoencoder.steps:
        trainer.step()
    ready = time.process_time()
    for _ in range(_WARM_UP):
        trainer.step()
    # Later steps also pay for the kinematic losses, which ramp in: their full price is known by then.
    speed = _WARM_UP / (time.process_time() - ready)
    left = seconds - (time.process_time() - begun)
    steps = max(_WARM_UP + 1, int(0.8 * left * speed))
    trainer.config = dataclasses.replace(config, training=dataclasses.replace(config.training, steps=steps))
    while trainer.gan_step_count < steps:
        trainer.step()
    save_model(path, model_file(trainer, data), trainer.average.state_dict())
    return steps


def _trainer(config: TrainConfig, sampler: WindowSampler, data: TrainingData) -> Trainer:
    return Trainer(config, sampler, len(data.actions), data.mean_skeleton(), data.frame_rate, torch.device("cpu"))


if __name__ == "__main__":
    main()
