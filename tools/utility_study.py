"""Run the whole study of what generated clips are worth, stage by stage, and print one table.

    python tools/utility_study.py --data amass.h5 --out study [--leave-out squat] [--only k4,cross]

k2, k4, k8    few = 2, 4, 8 clips of each action, beside the PCA-Gaussian; k4 and cross with all controls
leave-out     the lifter has no real clip of an action (--leave-out A,B: one after another), but generated ones of k4
cross         trained on the other people, tested on those whose names begin with --other (across data sets); few = 4
recognition   a recognizer, with the clips of k4

Each stage is measured twice: with the clips of a model that is trained on just the few, and with variations of the few
(`motiongan vary --recombine --betas random`, folders and rows named ...-varied), which take no training.

The same command goes on where it stopped, within a training too, and leaves out every stage that is finished. All
stages share their lifters' trainings (study/trainings), so those on all real clips are made once.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motiongan.cli.main import main as motiongan
from motiongan.errors import MotionganError, did_you_mean
from motiongan.evaluation.figures import markdown_table, plain_table
from motiongan.files import write_json, write_whole
from motiongan.models.checkpoint import MODEL_NAME, read_metadata
from motiongan.motion.store import MotionFile
from motiongan.training.run import read_run_config
from motiongan.utility.report import JSON_NAME

ARGUMENTS_NAME = "arguments.json"  # of the command that made a report, beside it
PAGE_NAME = "study.md"
_SUFFIXES = {"varied": "-varied", "model": ""}  # of a stage's folder, by whose clips it measures
_MIDDLE = 4  # few clips per action of all stages but k2 and k8


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path, help="motion file of the real clips")
    parser.add_argument("--out", required=True, type=Path, help="folder of all stages")
    parser.add_argument("--only", metavar="A,B", help="stages to run (default: all)")
    parser.add_argument("--source", metavar="A,B", default="varied,model", help="whose clips (default: varied,model)")
    parser.add_argument("--held-out", metavar="A,B", help="people to test on, but in cross (default: drawn)")
    parser.add_argument("--other", default="hdm_", metavar="PREFIX", help="cross: people to test on (default: hdm_)")
    parser.add_argument("--actions", metavar="A,B", help="only these (default: all that both sides of a split show)")
    parser.add_argument("--leave-out", metavar="A,B", help="actions for the stage of that name")
    parser.add_argument("--config", help="recipe of the models")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="option of the recipe")
    parser.add_argument("--gan-steps", type=int, help="of each model (default: the recipe's)")
    parser.add_argument("--autoencoder-steps", type=int, help="of each model (default: the recipe's)")
    parser.add_argument("--lifter-steps", type=int, help="of each lifter (default: the benchmark's)")
    parser.add_argument("-n", type=int, default=100, help="a model's clips of each action (default: 100)")
    parser.add_argument("--variations", type=int, default=24, help="of each of the few clips (default: 24)")
    parser.add_argument("--share", type=float, help="of generated windows in a batch (default: the benchmark's)")
    parser.add_argument("--drawn", type=int, help="generated windows drawn for each hard one taken (default: 1)")
    parser.add_argument("--seeds", type=int, default=5, help="trainings of each row (default: 5)")
    parser.add_argument("--jobs", type=int, help="trainings at once (default: one a core)")
    options = parser.parse_args(argv)
    try:
        study = Study(options)
        for name in study.wanted():
            print(f"== {name}", flush=True)
            study.run(name)
        table = study.table()
    except MotionganError as error:
        print(f"utility_study: error: {error}", file=sys.stderr)
        sys.exit(2)
    write_whole(options.out / PAGE_NAME, f"{markdown_table(table)}\n".encode())
    print(plain_table(table))
    print(options.out / PAGE_NAME)


@dataclass(frozen=True)
class Few:
    """Which clips there are: the folder of what is made of them, and what says so to `motiongan utility`."""

    name: str
    arguments: tuple[str, ...]


class Study:
    """The stages, in folders of their own below `options.out`."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.out: Path = options.out
        self.left_out = [name.strip() for name in (options.leave_out or "").split(",") if name.strip()]
        self.stages = ["k2", "k4", "k8", *(f"leave-out/{action}" for action in self.left_out), "cross", "recognition"]
        self.sources = [name.strip() for name in options.source.split(",")]

    def wanted(self) -> list[str]:
        """The stages to run, in their order. Raises MotionganError for an unknown one."""
        for name in self.sources:
            if name not in _SUFFIXES:
                raise MotionganError(f"--source: unknown source `{name}`; one of {', '.join(_SUFFIXES)}")
        if self.options.only is None:
            return self.stages
        names = [name.strip() for name in self.options.only.split(",")]
        known = [*self.stages, "leave-out"]
        for name in names:
            if name not in known:
                hint = did_you_mean(name, known) or f"; one of {', '.join(self.stages)}"
                raise MotionganError(f"--only: unknown stage `{name}`{hint}")
        if "leave-out" in names and not self.left_out:
            raise MotionganError("the stage leave-out needs --leave-out ACTION")
        return [stage for stage in self.stages if stage in names or stage.partition("/")[0] in names]

    def run(self, stage: str) -> None:
        """All of a stage that is not finished."""
        kind, _, action = stage.partition("/")
        people = ",".join(self._others()) if kind == "cross" else self.options.held_out
        count = int(kind[1:]) if kind in ("k2", "k4", "k8") else _MIDDLE
        arguments = ["--train-clips-per-action", str(count)]
        arguments += ["--held-out", people] if people else []
        arguments += ["--actions", self.options.actions] if self.options.actions else []
        few = Few("cross" if kind == "cross" else f"k{count}", tuple(arguments))
        extra = {"leave-out": ("--leave-out", action), "recognition": ("--task", "recognition")}.get(kind, ())
        controls = "all" if kind in ("k4", "cross") else "PCA-Gaussian"
        for source in self.sources:
            made = self._variations(few) if source == "varied" else self._model(few)
            option = "--synthetic" if source == "varied" else "--checkpoint"
            folder = self.out / f"{stage}{_SUFFIXES[source]}"
            self._measure(folder, (option, made), (*few.arguments, *extra, "--controls", controls))

    def _others(self) -> list[str]:
        """The people of the other data set."""
        with MotionFile(self.options.data) as file:
            people = sorted({clip.subject for clip in file if clip.subject.startswith(self.options.other)})
        if not people:
            raise MotionganError(f"{self.options.data}: nobody's name begins with {self.options.other}; give --other")
        return people

    def _few(self, few: Few) -> Path:
        """The few clips."""
        clips = self.out / few.name / "few.h5"
        if not clips.exists():
            clips.parent.mkdir(parents=True, exist_ok=True)
            _run("utility", "--real", self.options.data, *few.arguments, "--write-few", clips)
        return clips

    def _variations(self, few: Few) -> Path:
        """Variations of just the few."""
        clips, wanted = self._few(few), self.options.variations
        made = clips.with_name(f"varied-{wanted}.h5")
        if not made.exists():
            _run("vary", clips, "--recombine", "--betas", "random", "-n", wanted, "--out", made)
        return made

    def _model(self, few: Few) -> Path:
        """A model trained on just the few, to its end."""
        clips, folder = self._few(few), self.out / few.name / "run"
        model = folder / MODEL_NAME
        wanted = {"training.steps": self.options.gan_steps, "autoencoder.steps": self.options.autoencoder_steps}
        wanted = {name: steps for name, steps in wanted.items() if steps is not None}
        if (folder / "config.yaml").exists():
            config = read_run_config(folder)
            found = {"training.steps": config.training.steps, "autoencoder.steps": config.autoencoder.steps}
            for name, steps in wanted.items():
                if found[name] != steps:
                    raise MotionganError(f"{folder}: a run with {name}={found[name]}, not {steps}; give another --out")
            if not _is_finished(model):
                _run("train", "--data", clips, "--resume", "--out", folder)
        else:
            steps = [f"{name}={steps}" for name, steps in wanted.items()]
            settings = [
                part for each in ("data.held_out_share=0", *steps, *self.options.set) for part in ("--set", each)
            ]
            recipe = ("--config", self.options.config) if self.options.config else ()
            _run("train", "--data", clips, *recipe, *settings, "--out", folder)
        return model

    def _measure(self, folder: Path, made: tuple[str, Path], arguments: Sequence[str]) -> None:
        """The benchmark with these clips, unless just that is there; `--jobs` does not change what comes of it."""
        command = ["utility", "--real", self.options.data, *made, *arguments, "--out", folder]
        command += ["--trainings", self.out / "trainings", "--seeds", self.options.seeds, "-n", self.options.n]
        if "recognition" not in arguments:
            command += ["--steps", self.options.lifter_steps] if self.options.lifter_steps else []
            for option in ("share", "drawn"):
                given = getattr(self.options, option)
                command += [f"--{option}", given] if given is not None else []
        told, report, stamp = [str(part) for part in command], folder / JSON_NAME, folder / ARGUMENTS_NAME
        newest = max(made[1].stat().st_mtime, self.options.data.stat().st_mtime)
        same = stamp.exists() and json.loads(stamp.read_text(encoding="utf-8")) == told
        if same and report.exists() and report.stat().st_mtime >= newest:
            return
        jobs = ("--jobs", self.options.jobs) if self.options.jobs else ()
        _run(*command, *jobs, "--force")
        write_json(stamp, told)

    def table(self) -> list[list[str]]:
        """Cells of what all reports in the folder say, the heading first."""
        heading = ["stage", "base", "with generated", "all real", "gain over base", "gap closed", "worse on"]
        cells = [[*heading, "over PCA-Gaussian", "aim", "reached"]]
        for stage in self.stages:
            for suffix in _SUFFIXES.values():
                path = self.out / f"{stage}{suffix}" / JSON_NAME
                if path.exists():
                    cells.append([f"{stage}{suffix}", *_line(stage, json.loads(path.read_text(encoding="utf-8")))])
        return cells


def _line(stage: str, report: dict[str, Any]) -> list[str]:
    """The cells of one report behind its stage's name."""
    rows, recognition = report["rows"], report["task"] == "recognition"
    measure, scale, unit = ("accuracy", 100, "%") if recognition else ("mpjpe", 1, "mm")
    base, row, ceiling = "few + perturbation", "few + both", "all real + perturbation"
    if recognition:
        base, row, ceiling = "few", "synthetic only", "all real"
    key = base.replace(" + ", "_and_").replace(" ", "_")
    made = rows[row]
    gain = made[f"{'ratio' if recognition else 'gain'}_over_{key}"]
    closed = made.get(f"gap_closed_from_{key}")
    worse = made[f"worse_than_{key}"]
    figures = [f"{scale * rows[name][measure]['value']:.1f} {unit}" for name in (base, row, ceiling)]
    aim, reached = _aim(stage, gain, closed)
    told = [_interval(gain), _interval(closed), f"{len(worse)} of {len(made['by_action'])} actions", _rivals(rows)]
    return [*figures, *told, aim, reached]


def _aim(stage: str, gain: dict[str, float], closed: dict[str, float] | None) -> tuple[str, str]:
    """What a stage is to show, and whether it does: the value reaches it, and its interval is clear of zero."""
    if stage == "recognition":
        return "90 % of base", "yes" if gain["value"] >= 0.9 else "no"
    if stage.startswith("k"):
        return "half of the gap", "-" if closed is None else "yes" if closed["value"] >= 0.5 and closed[
            "low"
        ] > 0 else "no"
    least = 0.05 if stage == "cross" else 0.1
    return f"{100 * least:.0f} % lower", "yes" if gain["value"] >= least and gain["low"] > 0 else "no"


def _rivals(rows: dict[str, Any]) -> str:
    """In how many columns the rows with generated clips beat those with the PCA-Gaussian's."""
    judged = [
        figure["verdict"]
        for row in rows.values()
        for figure in next((row[key] for key in ("gain_over_rival", "ratio_over_rival") if key in row), {}).values()
        if isinstance(figure, dict)
    ]
    if not judged:
        return "-"
    return f"better in {judged.count('better')}, worse in {judged.count('worse')} of {len(judged)}"


def _interval(figure: dict[str, float] | None) -> str:
    if figure is None:
        return "-"
    return f"{100 * figure['value']:.1f} % [{100 * figure['low']:.1f}, {100 * figure['high']:.1f}]"


def _is_finished(model: Path) -> bool:
    return model.exists() and bool(json.loads(read_metadata(model)["provenance"]).get("finished"))


def _run(*command: Any) -> None:
    """One command of motiongan; ends the study with its exit status where it fails or is stopped."""
    told = [str(part) for part in command]
    print(f"$ motiongan {' '.join(told)}", flush=True)
    if status := motiongan(told):
        sys.exit(status)


if __name__ == "__main__":
    main()
