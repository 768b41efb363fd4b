"""Measure generated motion beside held-out real motion: a table, report.json and report.html."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from motiongan.errors import MotionganError

if TYPE_CHECKING:
    from motiongan.body.smpl import Body
    from motiongan.evaluation.evaluate import Evaluator
    from motiongan.evaluation.figures import Row
    from motiongan.evaluation.inputs import EvaluationInputs
    from motiongan.evaluation.report import Picture
    from motiongan.evaluation.windows import PosedWindows

_SHORTEST_WINDOW = 8  # frames
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
    parser.add_argument(
        "--window",
        type=int,
        metavar="FRAMES",
        help="length that all clips are cut to (default: the model's window); one for all files that compare",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the recognizers' training and of draws (default: 0)")
    parser.add_argument("--body", type=Path, metavar="FILE", help="body model (default: the one that comes along)")
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="keeps trained recognizers (default: ~/.cache/motiongan/recognizers)"
    )
    parser.add_argument("--force", action="store_true", help="replace a report that is there")
    parser.add_argument(
        "--protocol", choices=("own", "a2m"), default="own", help="a2m: the field's Action2Motion protocol instead"
    )
    parser.add_argument("--classifier", type=Path, metavar="FILE", help="a2m: the authors' classifier file (.tar)")
    parser.add_argument(
        "--class-map", metavar="A=C,B=D", help="a2m: the class of an action (default: the class of its own name)"
    )


def execute(args: argparse.Namespace) -> None:
    """Measure, print the table, write the report."""
    from motiongan.evaluation.report import HTML_NAME, JSON_NAME, write_report

    if not 0 <= args.seed < 2**31:
        raise MotionganError(f"--seed is {args.seed}, expected 0 or more, below 2^31")
    if args.window is not None and args.window < _SHORTEST_WINDOW:
        raise MotionganError(f"--window is {args.window}, expected {_SHORTEST_WINDOW} frames or more")
    if args.out.exists() and not args.out.is_dir():
        raise MotionganError(f"--out {args.out}: is a file; give a folder")
    if args.protocol == "own" and (args.classifier or args.class_map):
        raise MotionganError("--classifier and --class-map go with --protocol a2m")
    if args.protocol == "a2m":
        return _action2motion(args)
    there = [args.out / name for name in (JSON_NAME, HTML_NAME) if (args.out / name).exists()]
    if there and not args.force:
        raise MotionganError(f"{there[0]}: exists already; give another --out or --force to replace it")

    from motiongan.body.smpl import load_body
    from motiongan.cli.device import parse_device
    from motiongan.evaluation.evaluate import Evaluator
    from motiongan.evaluation.facts import CONTROL, REAL, TRAINING, control_lines, recognizer_line, report_facts
    from motiongan.evaluation.figures import overall_table, plain_table
    from motiongan.evaluation.inputs import read_inputs
    from motiongan.evaluation.recognizer import recognizer_cache

    parse_device("cpu")  # one thread: the last bits do not depend on the number of cores
    body = load_body(args.body)
    inputs = read_inputs(
        args.generated, args.data, held_out=args.held_out, checkpoint=args.checkpoint, body_model=body.name
    )
    if not any(clip.action in inputs.measured for clip in inputs.held_out):
        people, actions = ", ".join(inputs.held_out_subjects), ", ".join(inputs.measured)
        lacking = f"the held-out subjects {people} have no clip of {actions}"
        if args.controls:
            raise MotionganError(
                f"{args.data}: {lacking}, which controls are made of; hold out others, or no --controls"
            )
        more = (
            f"{lacking}: only the training clips are compared with, and near-copies cannot be told; --held-out names"
            " others"
        )
        inputs = replace(inputs, remarks=(more, *inputs.remarks))
    if args.window is not None:
        inputs = replace(inputs, window=args.window)
    evaluator = Evaluator(
        inputs.train,
        inputs.held_out,
        actions=inputs.actions,
        measured=inputs.measured,
        seed=args.seed,
        body=body,
        window=inputs.window,
        cache=args.cache or recognizer_cache(),
    )
    posed = {name: evaluator.pose(clips) for name, clips in inputs.generated.items()}
    rows = {name: evaluator.assess(windows) for name, windows in posed.items()}
    if evaluator.held_out_windows is not None:
        rows[REAL] = evaluator.assess_held_out()
    rows[TRAINING] = evaluator.assess_training()
    distances = {name: evaluator.athletics(windows) for name, windows in posed.items()}
    if evaluator.held_out_windows is not None:
        distances[REAL] = evaluator.athletics_held_out()
    distances[TRAINING] = evaluator.athletics_training()
    if args.controls:
        from motiongan.evaluation.controls import assess_controls

        spoilt = assess_controls(evaluator, inputs.train, inputs.held_out, seed=args.seed)
        rows |= {CONTROL + name: row for name, row in spoilt.items()}
    facts = report_facts(
        inputs,
        rows,
        distances,
        seed=args.seed,
        body=body.name,
        recognizer_hashes=[recognizer.content_hash() for recognizer in evaluator.recognizers],
    )
    write_report(
        args.out,
        facts,
        rows,
        _pictures(inputs, rows, evaluator, posed, body, args.seed),
        distances=distances,
        distributions=_distributions(evaluator, posed),
        moving=_moving(inputs, body, args.seed),
    )
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in overall_table(rows).splitlines()]
    print(plain_table([table[0], *table[2:]]))
    print(f"{args.out / HTML_NAME}: {', '.join(inputs.measured)}; held out: {', '.join(inputs.held_out_subjects)}")
    shown = [CONTROL + f"{name}: {line}" for name, line in control_lines(rows).items()]
    for line in (recognizer_line(facts), *facts["remarks"], *shown):
        print(line)


def _moving(inputs: "EvaluationInputs", body: "Body", seed: int) -> str:
    from motiongan.evaluation.animation import animations, choose
    from motiongan.evaluation.facts import REAL, TRAINING

    real = {REAL: inputs.held_out, TRAINING: inputs.train}
    return animations(choose(inputs.generated, real, inputs.measured, body, seed=seed))


def _action2motion(args: argparse.Namespace) -> None:
    from motiongan.body.smpl import load_body
    from motiongan.cli.device import parse_device
    from motiongan.evaluation import a2m
    from motiongan.evaluation.a2m_classifier import load_classifier, match_classes
    from motiongan.evaluation.facts import REAL, TRAINING
    from motiongan.evaluation.inputs import read_inputs
    from motiongan.files import write_json

    target = args.out / "a2m.json"
    if args.controls:
        raise MotionganError("--controls goes with --protocol own")
    if unused := [name for name, given in (("--window", args.window), ("--cache", args.cache)) if given is not None]:
        raise MotionganError(f"{' and '.join(unused)}: --protocol a2m uses none; leave out")
    if args.classifier is None:
        raise MotionganError("--protocol a2m needs --classifier FILE, from the authors' GitHub page, under model_file/")
    if target.exists() and not args.force:
        raise MotionganError(f"{target}: exists already; give another --out or --force to replace it")
    parse_device("cpu")
    classifier, convention = load_classifier(args.classifier)
    body = load_body(args.body)
    inputs = read_inputs(
        args.generated, args.data, held_out=args.held_out, checkpoint=args.checkpoint, body_model=body.name
    )
    classes = match_classes(inputs.measured, convention, args.class_map)
    train = [clip for clip in inputs.train if clip.action in inputs.measured]
    protocol = a2m.Protocol(
        classifier, convention, classes, train, inputs.generated, inputs.held_out, body=body, seed=args.seed
    )
    rows, accuracies = protocol.rows(TRAINING, REAL)
    unknown = [action for action in inputs.measured if action not in classes]
    facts = a2m.facts(
        protocol,
        rows,
        accuracies,
        left_out=unknown,
        classifier=args.classifier,
        sources=inputs.sources,
        seed=args.seed,
    )
    write_json(target, facts)
    print(a2m.table(rows, accuracies))
    for line in (*inputs.remarks, *a2m.notes(protocol, unknown)):
        print(line)
    print(f"{target}: what the protocol does, its quirks and every figure")


def _pictures(
    inputs: "EvaluationInputs",
    rows: "dict[str, Row]",
    evaluator: "Evaluator",
    posed: "dict[str, PosedWindows]",
    body: "Body",
    seed: int,
) -> "list[Picture]":
    from motiongan.evaluation import plots
    from motiongan.evaluation.facts import REAL, TRAINING
    from motiongan.evaluation.report import Picture

    pictures = [
        Picture(
            "At a glance",
            "A dot is a figure, the bar its 95 % interval; the dotted lines are real motion.",
            plots.overall_plot(rows, (REAL, TRAINING)),
        )
    ]
    each = max(1, _DRAWN_CLIPS // len(inputs.measured))
    shown = inputs.generated | ({REAL: inputs.held_out} if REAL in rows else {})
    for name, clips in shown.items():
        text = "Drawn at random, not picked. Left limbs are blue, right limbs orange; on the right the path from above."
        pictures.append(
            Picture(f"Clips: {name}", text, plots.sheet(plots.pick(clips, inputs.measured, each, seed=seed), body))
        )
    for name, clips in inputs.generated.items():
        if pairs := evaluator.nearest_pairs(posed[name]):
            text = (
                "Of each action the generated piece nearest to any training clip, above that training clip. Are they"
                " copies? " + "; ".join(plots.pair_text(pair, clips, inputs.train) for pair in pairs) + "."
            )
            picture = plots.pairs_sheet(pairs, clips, inputs.train, body)
            pictures.append(Picture(f"Nearest pairs: {name}", text, picture))
    sets = {**posed, REAL: evaluator.held_out_windows}
    distances = {name: evaluator.training_distances(windows) for name, windows in sets.items() if windows is not None}
    if any(len(found) for found in distances.values()):
        text = (
            "How far the middle 0.8 s of every window is from the nearest training motion, as shares of the windows of"
            " those actions that the held-out people have. Copies pile up at 0; beside the held-out people a set should"
            " not lean to the left."
        )
        pictures.append(Picture("Distances to the training motion", text, plots.distances_plot(distances, (REAL,))))
    return pictures


def _distributions(evaluator: "Evaluator", posed: "dict[str, PosedWindows]") -> "dict[str, Picture]":
    """The measures of athletes drawn, by action."""
    from motiongan.evaluation.athletics_report import athletics_plot
    from motiongan.evaluation.facts import REAL, TRAINING
    from motiongan.evaluation.report import Picture

    sets = {**posed, REAL: evaluator.held_out_windows, TRAINING: evaluator.train_windows}
    measured = {label: evaluator.athletics_values(windows) for label, windows in sets.items() if windows is not None}
    return {
        action: Picture(f"Measures: {action}", "", athletics_plot(measured, number, (REAL, TRAINING)))
        for number, action in enumerate(evaluator.actions)
        if any((one.action_ids == number).any() for one in measured.values())
    }
