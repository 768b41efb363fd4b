"""Read AMASS, BVH and ASF/AMC motion, or other motion files, into one motion file.

Sources are files, folders or archives (.zip, .tar.*), recognised by their content.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from motiongan.errors import MotionganError

if TYPE_CHECKING:
    from motiongan.formats.importing import ImportSummary

_SHOWN_FILES = 3  # names shown per notice


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="file, folder or archive (.zip, .tar.*)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="motion file to write")
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="CSV|JSON",
        help="table with the columns file, action and perhaps subject, start_s, end_s, frame_rate; or BABEL's JSON"
        " (default: tables with these columns in the source folders)",
    )
    parser.add_argument("--frame-rate", type=float, default=30.0, metavar="HZ", help="rate to resample to (default 30)")
    parser.add_argument("--body", type=Path, metavar="FILE", help="body to fit: SMPL, SMPL-H or SMPL-X file")
    parser.add_argument(
        "--scale", type=float, metavar="METRES", help="metres per length unit of BVH and ASF files (default: found)"
    )
    parser.add_argument(
        "--joint-map", type=Path, metavar="FILE", help="YAML or JSON table, SMPL joint: source joint (default: by name)"
    )
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes beside this one (default 2)")
    parser.add_argument("--force", action="store_true", help="replace an existing file")


def execute(args: argparse.Namespace) -> int | None:
    from tqdm import tqdm

    from motiongan.formats.importing import ImportOptions, import_motion
    from motiongan.formats.joint_maps import read_joint_map

    if not args.frame_rate > 0:
        raise MotionganError(f"--frame-rate is {args.frame_rate:g}, expected a positive number of Hz")
    if args.workers < 0:
        raise MotionganError(f"--workers is {args.workers}, expected 0 or more")
    if args.scale is not None and not args.scale > 0:
        raise MotionganError(f"--scale is {args.scale:g}, expected a positive number of metres per unit")
    options = ImportOptions(
        frame_rate=args.frame_rate,
        body=args.body,
        metres_per_unit=args.scale,
        joint_map=None if args.joint_map is None else read_joint_map(args.joint_map),
        workers=args.workers,
    )
    with tqdm(unit="file", dynamic_ncols=True, disable=None) as bar:

        def show(stage: str, done: int, known: int) -> None:
            bar.set_description(stage, refresh=False)
            bar.total, bar.n = known, done
            bar.update(0)

        summary = import_motion(
            args.sources, args.out, labels=args.labels, options=options, force=args.force, on_progress=show
        )
    print(format_summary(summary, args.out))
    return 0


def format_summary(summary: "ImportSummary", out: Path) -> str:
    """The lines that end an import: clips per action, and what was left out, repaired or assumed."""
    total = sum(summary.minutes.values())
    lines = [
        f"{out}: {summary.clips} clips, {total:.1f} minutes, {len(summary.subjects)} subjects"
        f" from {summary.files} files; body model {summary.body_model}",
        "",
        f"  {'action':<24}{'clips':>7}{'minutes':>9}",
    ]
    for action, count in summary.clips_per_action.most_common():
        lines.append(f"  {action:<24}{count:>7}{summary.minutes[action]:>9.2f}")
    for kind in ("left out", "repaired", "assumed", "passed over"):
        groups = summary.grouped(kind)
        if not groups:
            continue
        lines += ["", f"{kind}:"]
        for text, sources in groups:
            shown = ", ".join(sources[:_SHOWN_FILES])
            more = f" and {len(sources) - _SHOWN_FILES} more" if len(sources) > _SHOWN_FILES else ""
            lines.append(f"  {len(sources)} × {text} ({shown}{more})")
    return "\n".join(lines)
