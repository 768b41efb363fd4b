"""Measure generated motion beside held-out real motion: a table, report.json and report.html."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from motiongan.errors import MotionganError

if TYPE_CHECKING:
    from motiongan.body.smpl import Body
    from motiongan.evaluation.evaluate import Evaluator
    from motiongan.evaluation.figures import Row
    from motiongan.evaluation.inputs import EvaluationInputs
    from motiongan.evaluation.report import Picture

_PAIRS = 6  # nearest pairs that are drawn
_DRAWN_CLIPS = 12  # clips on a sheet, about


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `motiongan evaluate`."""
    parser.add_argument("generated", nargs="+", type=Path, metavar="FILE", help="motion files (.h5) to measure")
    parser.add_argument("--data", required=True, type=Path, metavar="FILE", help="motion file of the real clips")
    split = parser.add_mutually_exclusive_group()
    split.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="model file that says which subjects it never saw"
    )
    split.add_argument("--held-out", metavar="A,B", help="those subjects (default: as the generated files say)")
    parser.add_argument("--out", type=Path, default=Path("report"), metavar="DIR", help="folder (default: report)")
    parser.add_argument(
        "--controls", action="store_true", help="also measure spoilt motion and copies, which must come out bad"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the recognizer's training and of draws (default: 0)")
    parser.add_argument("--body", type=Path, metavar="FILE", help="body model (default: the one that comes along)")
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="keeps trained recognizers (default: ~/.cache/motiongan/recognizers)"
    )
    parser.add_argument("--force", action="store_true", help="replace a report that is there")


def execute(args: argparse.Namespace) -> None:
    """Measure, print the table, write the report."""
    from motiongan.evaluation.report import HTML_NAME, JSON_NAME

    if not 0 <= args.seed < 2**31:
        raise MotionganError(f"--seed is {args.seed}, expected 0 or more, below 2^31")
    if args.out.exists() and not args.out.is_dir():
        raise MotionganError(f"--out {args.out}: is a file; give a folder")
    there = [args.out / name for name in (JSON_NAME, HTML_NAME) if (args.out / name).exists()]
    if there and not args.force:
        raise MotionganError(f"{there[0]}: exists already; give another --out or --force to replace it")

    from motiongan.body.smpl import load_body
    from motiongan.cli.device import parse_device
    from motiongan.evaluation.evaluate import Evaluator
    from motiongan.evaluation.figures import overall_table, plain_table
    from motiongan.evaluation.inputs import read_inputs
    from motiongan.evaluation.report import REAL, report_facts, write_report

    parse_device("cpu")  # one thread: the last bits do not depend on the number of cores
    body = load_body(args.body)
    inputs = read_inputs(
        args.generated, args.data, held_out=args.held_out, checkpoint=args.checkpoint, body_model=body.name
    )
    if not inputs.held_out:
        raise MotionganError(
            f"{args.data}: the held-out subjects {', '.join(inputs.held_out_subjects)} have no clip of"
            f" {', '.join(inputs.actions)}; hold out others"
        )
    evaluator = Evaluator(
        inputs.train,
        inputs.held_out,
        actions=inputs.actions,
        seed=args.seed,
        body=body,
        window=inputs.window,
        cache=args.cache or _cache_folder(),
    )
    rows = {name: evaluator.assess(clips) for name, clips in inputs.generated.items()}
    rows[REAL] = evaluator.assess_held_out()
    if args.controls:
        from motiongan.evaluation.controls import assess_controls

        spoilt = assess_controls(evaluator, inputs.train, inputs.held_out, seed=args.seed)
        rows |= {f"control: {name}": row for name, row in spoilt.items()}
    facts = report_facts(inputs, rows, seed=args.seed, body=body.name)
    write_report(args.out, facts, rows, _pictures(inputs, rows, evaluator, body, args.seed))
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in overall_table(rows).splitlines()]
    print(plain_table([table[0], *table[2:]]))
    print(f"{args.out / HTML_NAME}: {', '.join(inputs.actions)}; held out: {', '.join(inputs.held_out_subjects)}")
    if inputs.left_out:
        print(f"not measured, since no training clip has them: {', '.join(inputs.left_out)}")


def _pictures(
    inputs: "EvaluationInputs", rows: "dict[str, Row]", evaluator: "Evaluator", body: "Body", seed: int
) -> "list[Picture]":
    from motiongan.evaluation import plots
    from motiongan.evaluation.report import REAL, Picture

    pictures = [
        Picture(
            "At a glance",
            "A dot is a figure, the bar its 95 % interval; the dotted line is held-out real motion.",
            plots.overall_plot(rows, REAL),
        )
    ]
    each = max(1, _DRAWN_CLIPS // len(inputs.actions))
    for name, clips in {**inputs.generated, REAL: inputs.held_out}.items():
        text = "Drawn at random, not picked. Left limbs are blue, right limbs orange; on the right the path from above."
        pictures.append(
            Picture(f"Clips: {name}", text, plots.sheet(plots.pick(clips, inputs.actions, each, seed=seed), body))
        )
    for name, clips in inputs.generated.items():
        if pairs := evaluator.nearest_pairs(clips, _PAIRS):
            text = "The generated pieces nearest to any training clip, each above that training clip. Are they copies?"
            picture = plots.pairs_sheet(pairs, clips, inputs.train, body)
            pictures.append(Picture(f"Nearest pairs: {name}", text, picture))
    return pictures


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "motiongan" / "recognizers"
