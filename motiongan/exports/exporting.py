"""The export: clips of motion files -> files of another format. One table of formats, one loop over the clips."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from motiongan.errors import MotionganError, did_you_mean
from motiongan.exports.files import LABELS, LabelTable, open_folder
from motiongan.exports.selection import Export, ExportOptions, NamedClip, select

OnProgress = Callable[[int, int], None]


# Writes all clips of an export below a folder and returns the files; calls the function after each clip.
Writer = Callable[[Export, Path, Callable[[NamedClip], None]], list[Path]]


@dataclass(frozen=True)
class Format:
    """A foreign format: what it is for, and its writer, imported at first use."""

    summary: str
    load: Callable[[], Writer]


def _each_clip(write: Callable[[Export, NamedClip, Path], Path]) -> Writer:
    """The writer of a format with one file per clip, and labels.csv beside them."""

    def write_all(export: Export, folder: Path, on_clip: Callable[[NamedClip], None]) -> list[Path]:
        labels, paths = LabelTable(export.licence), []
        try:
            for named in export.clips():
                path = write(export, named, folder)
                labels.add(path.name, named)
                paths.append(path)
                on_clip(named)
        finally:
            if paths:  # of an interrupted export, what is finished stays usable
                labels.write(folder)
        return [*paths, folder / LABELS] if paths else []

    return write_all


def _amass() -> Writer:
    from motiongan.exports.amass import write_amass

    return _each_clip(write_amass)


def _bvh() -> Writer:
    from motiongan.exports.bvh import write_bvh

    return _each_clip(write_bvh)


def _human36m() -> Writer:
    from motiongan.exports.human36m import write_human36m

    return write_human36m


def _mmpose() -> Writer:
    from motiongan.exports.mmpose import write_mmpose

    return write_mmpose


def _motionbert() -> Writer:
    from motiongan.exports.motionbert import write_motionbert

    return write_motionbert


def _glb() -> Writer:
    from motiongan.exports.glb import write_glb

    return _each_clip(write_glb)


def _csv() -> Writer:
    from motiongan.exports.biomechanics import write_csv

    return _each_clip(write_csv)


def _trc() -> Writer:
    from motiongan.exports.biomechanics import write_trc

    return _each_clip(write_trc)


def _mot() -> Writer:
    from motiongan.exports.biomechanics import write_mot

    return _each_clip(write_mot)


def _video() -> Writer:
    from motiongan.exports.video import write_grid, write_video

    def write(export: Export, folder: Path, on_clip: Callable[[NamedClip], None]) -> list[Path]:
        return (write_grid if export.options.columns else _each_clip(write_video))(export, folder, on_clip)

    return write


MOTION_FILE = "h5"
FORMATS: dict[str, Format] = {
    "amass": Format("AMASS .npz files, SMPL+H or SMPL-X layout", _amass),
    "bvh": Format("skeletons for Blender, MotionBuilder, Unity", _bvh),
    "glb": Format("glTF: skinned body with skeleton and animation, for game engines and the web", _glb),
    "h36m": Format("VideoPose3D's data_3d and data_2d .npz, four cameras, 17 joints", _human36m),
    "mmpose": Format("MMPose's Human3.6M .npz and cameras.pkl", _mmpose),
    "motionbert": Format("MotionBERT's training clips of 243 frames", _motionbert),
    "csv": Format("joint angles in degrees, clinical names", _csv),
    "trc": Format("OpenSim's markers: joints and soles, millimetres", _trc),
    "mot": Format("OpenSim's coordinates: joint angles of its full-body model", _mot),
    "video": Format("mp4 of each clip, or of all side by side (--columns)", _video),
}


@dataclass
class ExportSummary:
    """What an export wrote.

    files      in the order they were written
    notices    what the user should know
    left_out   clips that were not written, with the reason
    """

    clips: int
    files: list[Path]
    notices: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def export_motion(
    sources: Sequence[str | Path],
    format: str,
    out: str | Path,
    *,
    clips: str | None = None,
    action: str | None = None,
    frame_rate: float | None = None,
    options: ExportOptions | None = None,
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> ExportSummary:
    """Write clips of motion files in another format, below the folder `out` (for h5: to the file `out`, or into it).

    clips, action, frame_rate   which clips, and their rate, as `select` takes them
    force                       write into a folder that holds files; those of the same name are replaced
    on_progress                 called with (clips done, clips wanted)
    Raises MotionganError for what the user can mend. Clips are read one by one.
    """
    known = (MOTION_FILE, *FORMATS)
    if format not in known:
        hint = did_you_mean(format, known) or ";"
        raise MotionganError(f"unknown format `{format}`{hint} known: {', '.join(known)}")
    export = select(sources, clips=clips, action=action, frame_rate=frame_rate, options=options)
    done = 0

    def count(named: NamedClip) -> None:
        nonlocal done
        done += 1
        if on_progress is not None:
            on_progress(done, export.num_clips)

    if format == MOTION_FILE:
        from motiongan.exports.motion_file import write_motion_file

        path = Path(out)
        if path.suffix.lower() not in (".h5", ".hdf5"):
            path = open_folder(out, force=True) / f"{_stem(export)}.h5"
        files = write_motion_file(export, path, count, force=force)
    else:
        write = FORMATS[format].load()
        existed = Path(out).exists()
        folder = open_folder(out, force=force)
        try:
            files = write(export, folder, count)
            if not done:
                raise MotionganError(f"{export.left_out[0]} (nothing was left to write)")
        finally:
            if not existed and not any(folder.iterdir()):
                folder.rmdir()
    return ExportSummary(done, files, export.notices, export.left_out)


def _stem(export: Export) -> str:
    return export.selections[0].path.stem if len(export.selections) == 1 else "motion"
