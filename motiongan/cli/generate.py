"""Generate labelled clips from a trained model."""

import argparse
import math
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from motiongan.errors import MotionganError

if TYPE_CHECKING:
    import numpy as np

_SHOWN_FROM = 200  # clips; fewer are there before a bar is read


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `motiongan generate`."""
    parser.add_argument("--action", default="all", help="action, or several: a,b,c, or all (default)")
    parser.add_argument("-n", type=int, default=1, metavar="N", help="clips of each action (default: 1)")
    parser.add_argument("--out", required=True, metavar="FILE", help="motion file (.h5) to write")
    parser.add_argument("--checkpoint", metavar="FILE", help="model file (default: the newest finished in runs/)")
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
        help="random: as the training subjects (default); mean; or an .npy/.npz file with (10,) or (shapes, 10) betas",
    )
    parser.add_argument("--truncation", type=float, default=1.0, help="scale of the latent, 1 = as trained (default)")
    parser.add_argument("--batch", type=int, default=64, metavar="N", help="clips computed at once (default: 64)")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1")
    parser.add_argument("--force", action="store_true", help="replace --out if it exists")


def execute(args: argparse.Namespace) -> int:
    """Generate into a motion file, with progress on stderr."""
    from motiongan.cli.device import parse_device
    from motiongan.cli.progress import clip_progress
    from motiongan.generation.generate import load_generator, newest_model
    from motiongan.motion.actions import select_actions
    from motiongan.motion.store import MotionWriter, check_output

    if args.n < 1:
        raise MotionganError(f"-n is {args.n}, expected at least 1")
    if not 0 <= args.seed < 2**63:
        raise MotionganError(f"--seed is {args.seed}, expected 0 or more, below 2^63")
    if args.seconds is not None and not 0 < args.seconds < math.inf:
        raise MotionganError(f"--seconds is {args.seconds}, expected more than 0")
    check_output(args.out, force=args.force)
    path = Path(args.checkpoint) if args.checkpoint else newest_model()
    generator = load_generator(path, parse_device(args.device))
    frames = args.frames
    if args.seconds is not None:
        frames = max(1, round(args.seconds * generator.frame_rate))
    betas = args.betas if args.betas in ("random", "mean") else _read_betas(args.betas)
    actions = select_actions(args.action, generator.actions, str(path))
    clips = generator.stream(
        actions, args.n, args.seed, frames=frames, betas=betas, truncation=args.truncation, batch=args.batch
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
    print(f"{args.out}: {total} clips of {', '.join(actions)} by {path}")
    return 0


def _read_betas(path: str) -> "np.ndarray":
    import numpy as np

    if Path(path).is_dir():
        raise MotionganError(f"--betas {path}: is a folder; give random, mean or an .npy/.npz file")
    if not Path(path).is_file():
        raise MotionganError(f"--betas {path}: no such file; give random, mean or an .npy/.npz file")
    try:
        loaded = np.load(path, allow_pickle=False)
        betas = loaded if isinstance(loaded, np.ndarray) else loaded["betas"]
        betas = np.atleast_2d(np.asarray(betas, dtype=np.float32))[:, :10]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise MotionganError(f"--betas {path}: not an array of betas ({error})") from None
    if betas.ndim != 2 or betas.shape[1] != 10 or not betas.size or not np.isfinite(betas).all():
        raise MotionganError(f"--betas {path}: has shape {betas.shape}, expected (10,) or (shapes, 10), all finite")
    return betas
