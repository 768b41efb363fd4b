"""Measure what generated clips are worth to a pose lifter or a recognizer that has few real ones."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motiongan.errors import MotionganError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor
    from tqdm import tqdm

    from motiongan.body.smpl import Body
    from motiongan.motion.clip import Clip
    from motiongan.utility.few import Origin, Split
    from motiongan.utility.lifter import LifterConfig
    from motiongan.utility.results import Results
    from motiongan.utility.rows import Row
    from motiongan.utility.trainings import Task

_RECOGNIZER_STEPS = 500
_LIFTER_OPTIONS = ("width", "share", "final_share", "drawn")
_FRAME_RATE = 30.0  # Hz of everything that is learned from and tested on


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `motiongan utility`."""
    parser.add_argument("--real", required=True, type=Path, metavar="FILE", help="motion file of the real clips")
    made = parser.add_mutually_exclusive_group()
    made.add_argument("--checkpoint", type=Path, metavar="FILE", help="model file that makes the synthetic clips")
    made.add_argument("--synthetic", type=Path, metavar="FILE", help="motion file of the synthetic clips")
    made.add_argument("--write-few", type=Path, metavar="FILE", help="only write the few clips, to train a model on")
    parser.add_argument(
        "--train-clips-per-action", type=int, default=4, metavar="K", help="how few the few are (default: 4)"
    )
    parser.add_argument("--held-out", metavar="A,B", help="people to test on (default: 15 %% of the clips)")
    parser.add_argument("--split-seed", type=int, default=0, metavar="N", help="draws the few and who is held out")
    parser.add_argument("--actions", metavar="A,B", help="only these (default: all that both sides of the split show)")
    parser.add_argument("--task", choices=("lifter", "recognition"), default="lifter", help="default: lifter")
    parser.add_argument(
        "--leave-out", metavar="ACTION", help="lifter: no real clip of it but the generator's; figures are of it alone"
    )
    parser.add_argument("--out", type=Path, default=Path("utility"), metavar="DIR", help="folder (default: utility)")
    parser.add_argument("--controls", nargs="?", const="all", metavar="A,B", help="also rows that must come out right")
    parser.add_argument("--allow-leak", action="store_true", help="take a generator that saw more than the few")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="trainings of each row (default: 5)")
    parser.add_argument("--steps", type=int, metavar="N", help="of a training (default: 5000; recognition: 500)")
    parser.add_argument("--width", type=int, metavar="N", help="lifter: channels (default: 192)")
    parser.add_argument(
        "--share", type=float, metavar="X", help="lifter: of synthetic windows in a batch (default: 0.5)"
    )
    parser.add_argument(
        "--final-share", type=float, metavar="X", help="lifter: that share at the end (default: as --share)"
    )
    parser.add_argument(
        "--drawn",
        type=int,
        metavar="N",
        help="lifter: synthetic windows drawn for each that it is trained on, those it places worst (default: 1)",
    )
    parser.add_argument(
        "-n", type=int, default=100, metavar="N", help="synthetic clips of each action made by --checkpoint, controls"
    )
    parser.add_argument("--truncation", type=float, default=1.0, help="of the clips made by --checkpoint (default: 1)")
    parser.add_argument("--body", type=Path, metavar="FILE", help="body model (default: the one that comes along)")
    parser.add_argument("--jobs", type=int, metavar="N", help="trainings at once (default: one a core)")
    parser.add_argument(
        "--trainings", type=Path, metavar="DIR", help="finished trainings, used again (default: trainings in --out)"
    )
    parser.add_argument("--force", action="store_true", help="replace a report that is there; trainings are kept")


class _Interrupted(Exception):
    """Ctrl-C during the trainings; says how many are kept."""


def execute(args: argparse.Namespace) -> int:
    """Write the few clips, or train all rows, print the table and write the report."""
    from motiongan.utility.few import read_split, write_few
    from motiongan.utility.report import NAMES

    for option, number in (
        ("--train-clips-per-action", args.train_clips_per_action),
        ("--seeds", args.seeds),
        ("-n", args.n),
    ):
        if number < 1:
            raise MotionganError(f"{option} is {number}, expected 1 or more")
    if not 0 <= args.split_seed < 2**31:
        raise MotionganError(f"--split-seed is {args.split_seed}, expected 0 or more, below 2^31")
    for option, number in (
        ("--steps", args.steps),
        ("--width", args.width),
        ("--drawn", args.drawn),
        ("--jobs", args.jobs),
    ):
        if number is not None and number < 1:
            raise MotionganError(f"{option} is {number}, expected 1 or more")
    for option, share in (("--share", args.share), ("--final-share", args.final_share)):
        if share is not None and not 0 <= share <= 1:
            raise MotionganError(f"{option} is {share}, expected 0 to 1")
    if args.task != "lifter":
        for name in ("leave_out", *_LIFTER_OPTIONS):
            if getattr(args, name) is not None:
                raise MotionganError(f"--{name.replace('_', '-')} goes with --task lifter")
    if args.leave_out and not (args.checkpoint or args.synthetic):
        raise MotionganError("--leave-out needs generated clips of the action: give --checkpoint or --synthetic")
    if args.out.exists() and not args.out.is_dir():
        raise MotionganError(f"--out {args.out}: is a file; give a folder")
    there = [args.out / name for name in NAMES if (args.out / name).exists()]
    if there and not args.force and not args.write_few:
        raise MotionganError(f"{there[0]}: exists already; give another --out or --force to replace it")
    controls = _controls(args.controls)

    split = read_split(
        args.real,
        per_action=args.train_clips_per_action,
        seed=args.split_seed,
        held_out=args.held_out,
        actions=args.actions,
    )
    if args.leave_out and args.leave_out not in split.actions:
        hint = did_you_mean(args.leave_out, split.actions) or f"; one of {', '.join(split.actions)}"
        raise MotionganError(f"--leave-out: `{args.leave_out}` is no action of the split{hint}")
    if args.write_few:
        write_few(args.write_few, split, force=args.force)
        print(f"{args.write_few}: {len(split.few)} clips of {', '.join(split.actions)}; hash {split.content_hash[:8]}")
        print(f"held out: {', '.join(split.held_out)}")
        print(f"next: motiongan train --data {args.write_few} --set data.held_out_share=0")
        return 0
    try:
        _measure(args, split, controls)
    except _Interrupted as interrupted:
        print(f"motiongan: interrupted; {interrupted}; the same command goes on from there", file=sys.stderr)
        return 130  # as a shell reports a command ended by Ctrl-C
    return 0


def _controls(wanted: str | None) -> list[str]:
    from motiongan.utility.rows import CONTROLS

    if wanted is None:
        return []
    if wanted == "all":
        return list(CONTROLS)
    names = [name.strip() for name in wanted.split(",")]
    for name in names:
        if name not in CONTROLS:
            hint = did_you_mean(name, list(CONTROLS)) or f"; known: {', '.join(CONTROLS)}"
            raise MotionganError(f"--controls: unknown control `{name}`{hint}")
    return names


def _measure(args: argparse.Namespace, split: "Split", controls: Sequence[str]) -> None:
    from motiongan.body.smpl import load_body
    from motiongan.cli.device import parse_device
    from motiongan.evaluation.figures import plain_table
    from motiongan.utility.controls import gaussian_clips, noise_clips
    from motiongan.utility.report import PAGE_NAME, rival_table, row_table, verdicts, write_report

    parse_device("cpu")  # one thread: a row does not depend on the number of cores
    body = load_body(args.body)
    clips: dict[str, list[Clip]] = {"few": split.few, "all": split.training}
    origin = None
    if args.checkpoint or args.synthetic:
        clips["synthetic"], origin = _synthetic(args, split)
    for name in controls:
        if name == "other real":
            clips[name] = split.others
        elif name == "copies":
            clips[name] = split.few
        elif name == "noise":
            clips[name] = noise_clips(split.few, args.n, seed=0)
        else:
            clips[name] = gaussian_clips(split, args.n, seed=0, body=args.body)
        if not clips[name]:
            raise MotionganError(f"--controls: there is no clip for `{name}`; give a smaller --train-clips-per-action")
    if args.leave_out:
        clips["few with it"] = clips["few"]
        split = replace(split, few=[clip for clip in split.few if clip.action != args.leave_out])
        clips["few"] = split.few
        if not split.few:
            raise MotionganError("--leave-out leaves no real clip; give more actions")
        for name in ("synthetic", *controls):
            clips[name] = [clip for clip in clips.get(name, []) if clip.action == args.leave_out]
        clips = {name: each for name, each in clips.items() if each}
        if "synthetic" not in clips:
            raise MotionganError(f"no synthetic clip of {args.leave_out}")
        controls = [name for name in controls if name in clips]
    clips = {name: [_plain(clip, split.body_model == body.name) for clip in each] for name, each in clips.items()}
    test = [_plain(clip, split.body_model == body.name) for clip in split.test]
    results, config = _run(args, split, clips, test, controls, body)
    facts: dict[str, Any] = {
        "task": args.task,
        "leave_out": args.leave_out,
        "config": config,
        "seeds": args.seeds,
        "body": body.name,
        "split": split.facts(),
        "synthetic": _told(origin, clips),
    }
    notes = _notes(args, split, origin, {str(clip.action) for clip in clips.get("synthetic", [])})
    write_report(args.out, results, facts, notes)
    print(plain_table(row_table(results)))
    if rivals := rival_table(results):
        print(f"\n{plain_table(rivals)}")
    print()
    for line in [*verdicts(results), *notes]:
        print(line)
    print(args.out / PAGE_NAME)


def _run(
    args: argparse.Namespace,
    split: "Split",
    clips: "dict[str, list[Clip]]",
    test: "list[Clip]",
    controls: Sequence[str],
    body: "Body",
) -> "tuple[Results, dict[str, Any]]":
    import torch

    from motiongan.utility.experiment import Experiment
    from motiongan.utility.pose_errors import ERRORS
    from motiongan.utility.posing import pose_clips
    from motiongan.utility.recognition import Recognition, label_windows, recognition_rows
    from motiongan.utility.results import LIFTER_MEASURES, RECOGNITION_MEASURES, Results
    from motiongan.utility.rows import make_rows

    ids = torch.tensor([split.actions.index(str(clip.action)) for clip in test])
    if args.task == "recognition":
        rows = recognition_rows(synthetic="synthetic" in clips, controls=controls)
        steps = args.steps or _RECOGNIZER_STEPS
        windows = {name: label_windows(each, body, split.actions, overlap=True) for name, each in clips.items()}
        seen = label_windows(test, body, split.actions, overlap=False)
        right = _train(args, Recognition(windows, seen, split.actions, steps), rows)
        return Results({"accuracy": right}, ids, split.actions, RECOGNITION_MEASURES), {"steps": steps}
    config = _lifter_config(args)
    rows = make_rows(synthetic="synthetic" in clips, controls=controls, left_out=args.leave_out)
    posed = {name: pose_clips(each, body, split.actions) for name, each in clips.items()}
    experiment = Experiment(posed, pose_clips(test, body, split.actions), config, test[0].frame_rate)
    errors = _train(args, experiment, rows)
    tables = {name: {row: each[..., number] for row, each in errors.items()} for number, name in enumerate(ERRORS)}
    results = Results(tables, ids, split.actions, LIFTER_MEASURES, focus=args.leave_out)
    return results, asdict(config) | {"perturbation": asdict(experiment.perturbation)}


def _train(args: argparse.Namespace, task: "Task", rows: "Sequence[Row]") -> "dict[str, Tensor]":
    """Results by row: those that are kept, and those of the trainings still to do, with one progress line."""
    from tqdm import tqdm

    from motiongan.utility.trainings import FOLDER_NAME, Trainings, available_cores

    folder = args.trainings or args.out / FOLDER_NAME
    trainings = Trainings(task, rows, range(args.seeds), folder)
    interval = 0.1 if sys.stderr.isatty() else 5.0
    with tqdm(
        total=len(trainings), initial=len(trainings.results), unit="training", mininterval=interval, miniters=1
    ) as bar:
        try:
            return trainings.run(jobs=args.jobs or available_cores(), on_done=lambda: _advance(bar))
        except KeyboardInterrupt:
            kept = f"{len(trainings.results)} of {len(trainings)} trainings are kept in {folder}"
            raise _Interrupted(kept) from None


def _advance(bar: "tqdm[Any]") -> None:
    bar.update()


def _lifter_config(args: argparse.Namespace) -> "LifterConfig":
    from motiongan.utility.lifter import LifterConfig

    given = {name: getattr(args, name) for name in ("steps", *_LIFTER_OPTIONS)}
    return LifterConfig(**{name: value for name, value in given.items() if value is not None})


def _synthetic(args: argparse.Namespace, split: "Split") -> "tuple[list[Clip], Origin]":
    """The synthetic clips of the split's actions, and what is recorded of their making."""
    from motiongan.generation.generate import load_generator
    from motiongan.models.checkpoint import read_metadata
    from motiongan.motion.store import MotionFile
    from motiongan.utility.few import check_origin

    if args.checkpoint:
        recorded = json.loads(read_metadata(args.checkpoint).get("provenance", "{}"))
        origin = check_origin(str(args.checkpoint), recorded, split, allow_leak=args.allow_leak)
        generator = load_generator(args.checkpoint)
        actions = [action for action in split.actions if action in generator.actions]
        if not actions:
            raise MotionganError(f"{args.checkpoint}: makes none of {', '.join(split.actions)}")
        return generator.generate(actions, n=args.n, seed=0, truncation=args.truncation), origin
    with MotionFile(args.synthetic) as file:
        origin = check_origin(str(args.synthetic), file.attributes, split, allow_leak=args.allow_leak)
        clips = [clip for clip in file if clip.action in split.actions and clip.num_frames > 1]
        if file.body_model != split.body_model:
            clips = [replace(clip, betas=clip.betas * 0) for clip in clips]
    if not clips:
        raise MotionganError(f"{args.synthetic}: no clip of {', '.join(split.actions)}")
    if not all(clip.is_finite for clip in clips):
        raise MotionganError(f"{args.synthetic}: holds NaN or infinity; `motiongan info --check` tells where")
    return clips, origin


def _plain(clip: "Clip", own_betas: bool) -> "Clip":
    """The clip at the benchmark's frame rate, on the mean body where its betas are another body's."""
    from motiongan.motion.resample import resample

    clip = clip if clip.frame_rate == _FRAME_RATE else resample(clip, _FRAME_RATE)
    return clip if own_betas else replace(clip, betas=clip.betas * 0)


def _told(origin: "Origin | None", clips: "dict[str, list[Clip]]") -> dict[str, Any] | None:
    if origin is None:
        return None
    counts: dict[str, int] = {}
    for clip in clips["synthetic"]:
        counts[str(clip.action)] = counts.get(str(clip.action), 0) + 1
    return asdict(origin) | {"clips": counts}


def _notes(args: argparse.Namespace, split: "Split", origin: "Origin | None", made: set[str]) -> list[str]:
    """What a reader must know, a line each."""
    facts = split.facts()
    shown = ", ".join(action for action, count in facts["few"].items() if count)
    notes = [
        f"few: {len(split.few)} clips ({facts['few_seconds']} s), at most {split.per_action} of each of {shown};"
        f" all real: {len(split.training)} clips ({facts['training_seconds']} s); tested on {len(split.test)} clips"
        f" ({facts['test_seconds']} s) of {', '.join(split.held_out)}, who are in no training"
    ]
    if origin is not None:
        notes.append(origin.line() + (": LEAKY, the gains are not honest ones" if origin.is_leaky else ""))
        lacking = [action for action in split.actions if action not in made]
        if lacking and not args.leave_out:
            notes.append(f"no synthetic clip of {', '.join(lacking)}")
    if args.leave_out:
        notes.append(f"all figures but those by action are of {args.leave_out}, of which `few` has no clip")
    notes.append(
        f"brackets: paired 95 % intervals over {args.seeds} seeds and the test clips within each action (bootstrap);"
        " other test people are not in them"
    )
    return notes
