"""Generate labelled clips from a trained model."""

import argparse
import json
import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from motiongan.errors import MotionganError, did_you_mean

if TYPE_CHECKING:
    import numpy as np

    from motiongan.generation.generate import MotionGenerator
    from motiongan.generation.quality import QualityGate

_SHOWN_FROM = 200  # clips; fewer are there before a bar is read
_BESIDE_REAL = ("recognized", "training_distance")  # scores that need the real clips
_OF_THE_GATE = ("attempts", "accepted")  # what it did, which is not asked for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `motiongan generate`."""
    parser.add_argument("--action", default="all", help="action, or several: a,b,c, or all (default)")
    parser.add_argument("-n", type=int, default=1, metavar="N", help="clips of each action (default: 1)")
    parser.add_argument("--out", required=True, metavar="FILE", help="motion file (.h5) to write")
    parser.add_argument(
        "--checkpoint", metavar="FILE", help="model file (default: the newest finished in runs/, else motiongan's own)"
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--frames",
        type=int,
        metavar="N",
        help="frames of every clip (default: as the action's training clips, at most their window)",
    )
    length.add_argument("--seconds", type=float, metavar="S", help="length of every clip in seconds")
    parser.add_argument("--seed", type=int, default=0, help="clip i depends on (seed, i) and its action (default: 0)")
    parser.add_argument(
        "--betas",
        default="random",
        metavar="WHICH",
        help="random: as the training subjects (default); mean; female, male, neutral: as widely around the typical one"
        " of motiongan's body; or an .npy/.npz file with (10,) or (shapes, 10) betas",
    )
    parser.add_argument("--truncation", type=float, default=1.0, help="scale of the latent, 1 = as trained (default)")
    parser.add_argument("--batch", type=int, default=64, metavar="N", help="clips computed at once (default: 64)")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1")
    gate = parser.add_argument_group(
        "quality gate", "any of these scores every clip and draws refused ones anew; docs/format.md lists the scores"
    )
    gate.add_argument(
        "--keep", type=float, metavar="SHARE", help="keep the best share of the draws, such as 0.8; 1 only scores them"
    )
    gate.add_argument("--max", metavar="A=X,B=Y", help="scores at most, such as foot_skate=0.5,penetration=0.005")
    gate.add_argument("--min", metavar="A=X,B=Y", help="scores at least, such as recognized=0.5")
    gate.add_argument(
        "--novel", action="store_true", help="refuse clips nearer to a training clip than real clips of others are"
    )
    gate.add_argument(
        "--data", metavar="FILE", help="motion file that trained the model, for recognized and training_distance"
    )
    parser.add_argument("--force", action="store_true", help="replace --out if it exists")


def execute(args: argparse.Namespace) -> int:
    """Generate into a motion file, with progress on stderr."""
    from motiongan.cli.device import parse_device
    from motiongan.cli.progress import clip_progress
    from motiongan.generation.generate import NAMED_BETAS, OWN_MODEL, find_model, load_generator, model_name
    from motiongan.motion.actions import select_actions
    from motiongan.motion.store import MotionWriter, check_output

    if args.n < 1:
        raise MotionganError(f"-n is {args.n}, expected at least 1")
    if not 0 <= args.seed < 2**63:
        raise MotionganError(f"--seed is {args.seed}, expected 0 or more, below 2^63")
    if args.seconds is not None and not 0 < args.seconds < math.inf:
        raise MotionganError(f"--seconds is {args.seconds}, expected more than 0")
    bounds = _bounds(args)
    check_output(args.out, force=args.force)
    path = Path(args.checkpoint) if args.checkpoint else find_model()
    generator = load_generator(path, parse_device(args.device))
    frames = args.frames
    if args.seconds is not None:
        frames = max(1, round(args.seconds * generator.frame_rate))
    betas = args.betas if args.betas in NAMED_BETAS else _read_betas(args.betas)
    try:
        actions = select_actions(args.action, generator.actions, model_name(path))
    except MotionganError as error:
        if path != OWN_MODEL:
            raise
        raise MotionganError(f"{error}; others take a model of your own clips: `motiongan train --data FILE`") from None
    gate, compared_with = _gate(args, generator, actions, bounds) if _is_gated(args) else (None, {})
    clips = generator.stream(
        actions, args.n, args.seed, frames=frames, betas=betas, truncation=args.truncation, batch=args.batch, gate=gate
    )
    total = args.n * len(actions)
    writer = MotionWriter(
        args.out,
        frame_rate=generator.frame_rate,
        kind="generated",
        body_model=generator.body_model,
        licence=generator.licence,
        actions=actions,
        provenance=generator.provenance(args.seed),
        force=args.force,
    )
    with writer, clip_progress(clips, total, shown_from=_SHOWN_FROM) as shown:
        for clip in shown:
            writer.write(clip)
        if gate is not None:
            writer.note("acceptance_rate", gate.acceptance_rate())
            writer.note("quality_gate", json.dumps({**gate.report(), **compared_with}))
            if compared_with:
                writer.note("selected_by", compared_with["data"])
    knows = "all that it knows" if {*actions} == {*generator.actions} else f"which knows {', '.join(generator.actions)}"
    print(f"{args.out}: {total} clips of {', '.join(actions)} by {model_name(path)}, {knows}")
    if gate is not None:
        print(_acceptance(gate, total))
        if args.data is None:
            left_out = ", ".join(_BESIDE_REAL)
            print(f"not scored: {left_out}, which compare with the clips that trained the model: --data FILE")
    return 0


def _is_gated(args: argparse.Namespace) -> bool:
    return args.keep is not None or args.max is not None or args.min is not None or args.novel


def _bounds(args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """--min and --max as numbers by score. Raises MotionganError for what the gate cannot do."""
    if args.keep is not None and not 0 < args.keep <= 1:
        raise MotionganError(f"--keep is {args.keep}, expected a share: more than 0, at most 1")
    bounds = {option: _read_bounds(f"--{option}", getattr(args, option)) for option in ("min", "max")}
    for name, least in bounds["min"].items():
        if least > (most := bounds["max"].get(name, math.inf)):
            raise MotionganError(f"--min {name}={least:g} and --max {name}={most:g}: no clip can have both")
    if args.data is None:
        asked = ["--novel"] if args.novel else []
        asked += [f"--{option} {name}" for option, by in bounds.items() for name in by if name in _BESIDE_REAL]
        if asked:
            raise MotionganError(f"{asked[0]} compares with real clips: give them with --data FILE")
    elif not _is_gated(args):
        raise MotionganError("--data goes with a quality gate: give --keep, --max, --min or --novel")
    return bounds


def _read_bounds(option: str, text: str | None) -> dict[str, float]:
    from motiongan.motion.clip import SCORE_UNITS

    known = [name for name in SCORE_UNITS if name not in _OF_THE_GATE]
    bounds = {}
    for part in [] if text is None else text.split(","):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name not in known:
            hint = did_you_mean(name, known) or ";"
            raise MotionganError(f"{option}: unknown score `{name}`{hint} known: {', '.join(known)}")
        try:
            bounds[name] = float(value)
        except ValueError:
            raise MotionganError(f"{option} {part}: expected a number, such as {name}=0.5") from None
        if not math.isfinite(bounds[name]):
            raise MotionganError(f"{option} {part}: expected a finite number")
    return bounds


def _gate(
    args: argparse.Namespace, generator: "MotionGenerator", actions: Sequence[str], bounds: dict[str, dict[str, float]]
) -> "tuple[QualityGate, dict[str, str]]":
    """The gate, and what the file should say of the real clips that it compares with."""
    from dataclasses import replace

    from motiongan.body.smpl import load_body
    from motiongan.evaluation.clip_scores import ClipScorer, read_real_motion
    from motiongan.evaluation.recognizer import NAME, recognizer_cache
    from motiongan.generation.quality import Bounds, QualityGate

    model = generator.file
    # Only the bones count, and those of the model's own body are in its file.
    body = replace(load_body(), name=generator.body_model, bones=model.bones)
    real = None
    if args.data is not None:
        real = read_real_motion(args.data, model, body, novel=args.novel, cache=recognizer_cache())
        if args.novel and (lost := [action for action in actions if action not in real.novel_from]):
            raise MotionganError(f"{args.data}: no real clip to tell by what is novel for {', '.join(lost)}")
    gate = QualityGate(
        ClipScorer(body, generator.actions, generator.window, real),
        keep=1.0 if args.keep is None else args.keep,
        bounds=Bounds(bounds["min"], bounds["max"]),
        typical=None if real is None else real.typical,
        novel_from=real.novel_from if args.novel and real is not None else None,
    )
    return gate, {} if real is None else {"data": real.content_hash, "recognizer": NAME}


def _acceptance(gate: "QualityGate", total: int) -> str:
    """What came of the gate, in one line."""
    rates = ", ".join(f"{action} {gate.acceptance_rate(action):.1%}" for action in gate.bounds)
    line = f"quality gate: {gate.acceptance_rate():.1%} of {gate.drawn.total()} draws accepted"
    line += f" ({rates})" if len(gate.bounds) > 1 else ""
    if failed := total - gate.passed.total():
        line += f"; {failed} clips passed in none of {gate.attempts} draws: their best is kept, with accepted = 0"
    return line


def _read_betas(path: str) -> "np.ndarray":
    import numpy as np

    if Path(path).is_dir():
        raise MotionganError(f"--betas {path}: is a folder; give one of its names or an .npy/.npz file")
    if not Path(path).is_file():
        raise MotionganError(f"--betas {path}: no such file; give one of its names or an .npy/.npz file")
    try:
        loaded = np.load(path, allow_pickle=False)
        betas = loaded if isinstance(loaded, np.ndarray) else loaded["betas"]
        betas = np.atleast_2d(np.asarray(betas, dtype=np.float32))[:, :10]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise MotionganError(f"--betas {path}: not an array of betas ({error})") from None
    if betas.ndim != 2 or betas.shape[1] != 10 or not betas.size or not np.isfinite(betas).all():
        raise MotionganError(f"--betas {path}: has shape {betas.shape}, expected (10,) or (shapes, 10), all finite")
    return betas
