"""Write clips in the formats of other tools: AMASS, BVH, glTF, Human3.6M, OpenSim, video and others."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from motiongan.errors import MotionganError

if TYPE_CHECKING:
    from motiongan.exports.exporting import ExportSummary

_SHOWN = 3  # clips shown per reason they were left out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from motiongan.exports.exporting import FORMATS, MOTION_FILE

    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    width = max(map(len, FORMATS))
    parser.epilog = "formats:\n" + "\n".join(
        f"  {name:<{width}}  {summary}"
        for name, summary in [
            (MOTION_FILE, "motion file: subsets, merges, other frame rates"),
            *((name, each.summary) for name, each in FORMATS.items()),
        ]
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="motion file; several are put together")
    parser.add_argument("--to", required=True, metavar="FORMAT", help="format to write; listed below")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write into (h5: or a file)")
    parser.add_argument("--clips", metavar="LIST", help="numbers of clips, from 0: 0,5,10-20 (default: all)")
    parser.add_argument("--action", metavar="A", help="only clips of this action, or of several: a,b,c")
    parser.add_argument("--frame-rate", type=float, metavar="HZ", help="rate to resample to (default: as it is)")
    parser.add_argument("--body", type=Path, metavar="FILE", help="body model (default: the one that comes along)")
    parser.add_argument("--layout", metavar="L", help="amass: smplh or smplx (default: as the clips' own body)")
    parser.add_argument("--unit", default="cm", metavar="U", help="bvh: cm (default) or m")
    parser.add_argument("--size", type=int, default=360, metavar="N", help="video: pixels of a clip (default: 360)")
    parser.add_argument("--columns", type=int, default=0, metavar="N", help="video: one grid, N clips in a row")
    parser.add_argument("--look", default="sticks", metavar="L", help="video: sticks (default) or athletes")
    parser.add_argument(
        "--seconds",
        type=float,
        default=0.0,
        metavar="S",
        help="video: its length; clips begin again (default: as the clip)",
    )
    parser.add_argument(
        "--window", type=int, default=243, metavar="N", help="motionbert: frames of a clip (default 243)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the cameras of h36m, mmpose, motionbert, and of athletes (default: 0)"
    )
    parser.add_argument("--force", action="store_true", help="write into a folder that holds files, replacing its own")


def execute(args: argparse.Namespace) -> int:
    """Export, with a bar on stderr, and tell what was written."""
    import torch
    from tqdm import tqdm

    from motiongan.exports.exporting import export_motion
    from motiongan.exports.selection import ExportOptions
    from motiongan.rendering.athlete_video import athlete_pictures
    from motiongan.rendering.stick_video import stick_pictures

    if args.columns < 0:
        raise MotionganError(f"--columns {args.columns}: expected 1 or more")
    if args.seed < 0:
        raise MotionganError(f"--seed {args.seed}: expected 0 or more")

    if args.look not in ("sticks", "athletes"):
        raise MotionganError(f"--look {args.look}: expected sticks or athletes")
    draw = athlete_pictures(args.seed) if args.look == "athletes" else stick_pictures

    torch.set_num_threads(1)  # clips are small: on a busy machine, threads wait for each other 40 times longer
    with tqdm(unit="clip", dynamic_ncols=True, disable=None) as bar:

        def show(done: int, total: int) -> None:
            bar.total, bar.n = total, done
            bar.update(0)

        summary = export_motion(
            args.files,
            args.to,
            args.out,
            clips=args.clips,
            action=args.action,
            frame_rate=args.frame_rate,
            options=ExportOptions(
                body=args.body,
                layout=args.layout,
                unit=args.unit,
                size=args.size,
                columns=args.columns,
                seconds=args.seconds,
                draw=draw,
                seed=args.seed,
                window=args.window,
            ),
            force=args.force,
            on_progress=show,
        )
    print(format_summary(summary, args.out, args.to))
    return 0


def format_summary(summary: "ExportSummary", out: Path, format: str) -> str:
    """The lines that end an export: what was written, what the user should know, what was left out."""
    files = f" in {len(summary.files)} files" if len(summary.files) > 1 else ""
    lines = [f"{out}: {summary.clips} clips as {format}{files}"]
    lines += [f"note: {notice}" for notice in summary.notices]
    lines += [f"left out: {reason}" for reason in summary.left_out[:_SHOWN]]
    if len(summary.left_out) > _SHOWN:
        lines.append(f"left out: {len(summary.left_out) - _SHOWN} more")
    return "\n".join(lines)
