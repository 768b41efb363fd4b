"""Motion files that fail: what cannot be written leaves nothing, what is damaged is told in one line."""

import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from motiongan.cli.main import main
from motiongan.errors import MotionganError
from motiongan.motion.clip import Clip
from motiongan.motion.output import OutputFile
from motiongan.motion.store import MotionFile, MotionWriter, read_clips, write_clips

MADE_BY = {"checkpoint": "ab", "seed": 3, "training_data": "cd", "config": "{}"}


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# -- what fails leaves nothing -----------------------------------------------------------------------------------------


class _BrokenSourceError(Exception):
    pass


def failing_after(clips: list[Clip]) -> Iterator[Clip]:
    yield from clips
    raise _BrokenSourceError


def test_an_error_while_writing_leaves_no_file(tmp_path, clips):
    def source() -> Iterator[Clip]:
        yield from clips
        (temporary,) = entries(tmp_path)
        assert temporary != "motion.h5"  # under its name only at the end
        raise _BrokenSourceError

    with pytest.raises(_BrokenSourceError):
        write_clips(tmp_path / "motion.h5", source(), kind="sample")
    assert entries(tmp_path) == []


def test_an_error_with_force_leaves_the_old_file(motion_file, clips):
    before = motion_file.read_bytes()
    with pytest.raises(_BrokenSourceError):
        write_clips(motion_file, failing_after(clips), kind="sample", force=True)
    assert motion_file.read_bytes() == before
    assert entries(motion_file.parent) == ["motion.h5"]


def test_force_replaces_a_file(motion_file, clips):
    write_clips(motion_file, clips[:1], kind="sample", force=True)
    assert len(read_clips(motion_file)) == 1


def test_an_output_that_cannot_be_is_refused_before_any_work(tmp_path, motion_file):
    for path, message in (
        (motion_file, "exists already; give another name or --force"),
        (tmp_path, "is a folder; give a file name"),
        (tmp_path / "none" / "a.h5", "its folder does not exist"),
    ):
        with pytest.raises(MotionganError, match=message):
            MotionWriter(path, frame_rate=30.0, kind="sample")


def test_a_clip_of_another_rate_or_without_its_seed_is_refused(tmp_path, make_clip):
    with (
        pytest.raises(ValueError, match=r"25\.0 Hz, the file 30\.0 Hz"),
        MotionWriter(tmp_path / "a.h5", frame_rate=30.0, kind="sample") as writer,
    ):
        writer.write(make_clip(frame_rate=25.0))
    with pytest.raises(ValueError, match="needs its seed"):
        write_clips(tmp_path / "b.h5", [make_clip()], kind="generated", provenance=MADE_BY)
    with pytest.raises(ValueError, match="provenance lacks checkpoint, training_data, config"):
        write_clips(tmp_path / "b.h5", [make_clip(seed=1)], kind="generated", provenance={"seed": 3})
    with pytest.raises(ValueError, match="no clips"):
        write_clips(tmp_path / "c.h5", [], kind="sample")
    assert entries(tmp_path) == []


@pytest.mark.parametrize("limit", [3_000, 100_000, 700_000])
def test_a_full_disk_raises_and_leaves_nothing(tmp_path, limit):
    """A limit on the file's size fails a write as a full disk does: while creating, at the end, in the middle.

    In a process of its own: without OutputFile the HDF5 library crashes it.
    """
    script = f"""
        import resource, sys
        import numpy as np
        from motiongan.motion.clip import Clip
        from motiongan.motion.store import MotionWriter
        random = np.random.default_rng(0)
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
        try:
            with MotionWriter("motion.h5", frame_rate=30, kind="sample") as writer:
                for _ in range({5 if limit < 600_000 else 80}):
                    writer.write(Clip(random.normal(size=(1000, 24, 3)), random.normal(size=(1000, 3)), 30.0))
        except OSError as error:
            sys.exit(f"{{error.filename}}: {{error.strerror}}")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1, done
    assert done.stderr.splitlines()[-1].endswith("motion.h5: File too large")
    assert "Traceback" not in done.stderr
    assert entries(tmp_path) == []


def test_ctrl_c_in_the_middle_of_a_write_waits_for_its_end_and_leaves_nothing(tmp_path, clips, monkeypatch):
    real, after = OutputFile.write, []

    def interrupted(self: OutputFile, data: bytes) -> int:
        if not after:
            signal.raise_signal(signal.SIGINT)
        after.append(len(data))
        return real(self, data)

    monkeypatch.setattr(OutputFile, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_clips(tmp_path / "motion.h5", clips, kind="sample")
    assert after  # HDF5's call was served
    assert entries(tmp_path) == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_output_file_reads_back_what_the_disk_did_not_take(tmp_path):
    output = OutputFile(tmp_path / "data.part", tmp_path / "data")
    output.write(b"0123456789")

    class FullDisk:
        closed = False

        def __init__(self, file) -> None:
            self.file = file

        def write(self, data: bytes) -> int:
            raise OSError(28, "No space left on device")

        def __getattr__(self, name: str) -> object:
            return getattr(self.file, name)

    output._file = FullDisk(output._file)
    output.seek(8)
    output.write(b"abcd")
    output.seek(2)
    output.write(b"xy")
    output.seek(1)
    assert output.read() == b"1xy4567abcd"
    assert output.seek(0, 2) == 12
    with pytest.raises(OSError, match=r"No space left on device: '.*/data'"):
        output.check()


# -- what is damaged is told in one line -------------------------------------------------------------------------------


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def edit(change: Callable[[h5py.File], None]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            change(file)

    return apply


def replace(name: str, array: np.ndarray) -> Callable[[Path], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = array

    return edit(change)


def poses_as_group(file: h5py.File) -> None:
    del file["poses"]
    file.create_group("poses")


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut off": (cut_off, "cut off or damaged; expected a motion file, as `motiongan import` writes"),
    "empty": (lambda path: path.write_bytes(b""), "not an HDF5 file"),
    "text": (lambda path: path.write_text("frame,x,y\n" * 1000), "not an HDF5 file"),
    "missing": (lambda path: path.unlink(), "no such file"),
    "other hdf5": (edit(lambda file: file.attrs.pop("format")), "not a motion file (no attribute format"),
    "newer": (
        edit(lambda file: file.attrs.modify("version", 2)),
        "motion file version 2, this motiongan reads up to 1",
    ),
    "version 0": (edit(lambda file: file.attrs.modify("version", 0)), "motion file version 0"),
    "y up": (edit(lambda file: file.attrs.modify("up_axis", "y")), "up_axis is 'y', expected 'z'; turn the motion"),
    "other joints": (
        edit(lambda file: file["joint_names"].__setitem__(slice(1, 3), ["right_hip", "left_hip"])),
        "/joint_names are not SMPL's 24 in their order",
    ),
    "no version": (edit(lambda file: file.attrs.pop("version")), "motion file version None"),
    "no rate": (edit(lambda file: file.attrs.pop("frame_rate")), "damaged motion file ('frame_rate')"),
    "rate 0": (edit(lambda file: file.attrs.modify("frame_rate", 0.0)), "frame_rate is 0.0, expected a positive"),
    "no poses": (edit(lambda file: file.pop("poses")), "damaged motion file"),
    "poses a group": (edit(poses_as_group), "damaged motion file"),
    "no clips": (edit(lambda file: file.pop("clips")), "damaged motion file"),
    "no betas": (edit(lambda file: file.pop("clips/betas")), "damaged motion file (no `betas` in it); make it again"),
    "no actions": (edit(lambda file: file.pop("actions")), "damaged motion file"),
    "flat poses": (
        replace("poses", np.zeros((180, 63), "f4")),
        "/poses has shape (180, 63), expected (frames, 24, 3); import it again with `motiongan import`",
    ),
    "fewer poses": (replace("poses", np.zeros((170, 24, 3), "f4")), "/poses has shape (170, 24, 3), expected"),
    "scalar trans": (replace("trans", np.float32(1)), "damaged motion file"),
    "short scores": (
        edit(lambda file: file.__setitem__("clips/quality/jerk", np.zeros(3, "f4"))),
        "/clips/quality/jerk has not one number for each clip",
    ),
    "scores of text": (
        edit(lambda file: file.__setitem__("clips/quality/jerk", np.array([b"a"] * 4))),
        "damaged motion file (could not convert string to float",
    ),
    "scores a column": (edit(lambda file: file.__setitem__("clips/quality", np.zeros(4))), "damaged motion file"),
    "short column": (replace("clips/subject", np.array(["a"], "S")), "/clips has columns of different lengths"),
    "16 betas": (replace("clips/betas", np.zeros((4, 16), "f4")), "betas not (clips, 10)"),
    "clip outside": (replace("clips/length", np.array([30, 40, 50, 61])), "clip 3 points outside the 180 frames"),
    "action outside": (replace("clips/action", np.array([0, 1, 2, -1])), "/clips/action points outside the 2 actions"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_is_told_in_one_line(kind, motion_file, capsys):
    damage, message = DAMAGE[kind]
    damage(motion_file)
    with pytest.raises(MotionganError) as caught:
        MotionFile(motion_file)
    assert str(caught.value).startswith(f"{motion_file}: ")
    assert message in str(caught.value)
    assert main(["info", str(motion_file)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_file_cut_off_anywhere_is_never_read_as_whole(motion_file):
    whole = motion_file.read_bytes()
    for length in np.linspace(0, len(whole) - 1, 25).astype(int):
        motion_file.write_bytes(whole[:length])
        with pytest.raises(MotionganError):
            read_clips(motion_file)
