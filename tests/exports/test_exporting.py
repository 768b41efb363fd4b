"""The export as a whole: the table of formats, the folder, the labels, and mistakes told in one line."""

import csv
import os
import runpy
import sys
from pathlib import Path

import pytest

from motiongan.cli.main import main
from motiongan.exports.exporting import FORMATS, MOTION_FILE, export_motion
from motiongan.formats.labels import read_labels
from motiongan.motion.store import MotionFile, write_clips

pytest_plugins = ("exports.export_fixtures",)

ROOT = Path(__file__).parents[2]


def line_of(capsys) -> str:
    """The one line on stderr of a failed command."""
    message = capsys.readouterr().err
    assert message.count("\n") == 1, message
    assert message.startswith("motiongan: error: ")
    return message


@pytest.mark.parametrize("name", [MOTION_FILE, *FORMATS])
def test_every_format_of_the_table_writes_something_by_command(name, raised_file, tmp_path, capsys):
    if name == "video":
        pytest.importorskip("imageio_ffmpeg")
    out = tmp_path / "out"
    assert main(["export", str(raised_file), "--to", name, "--out", str(out), "--size", "64", "--window", "4"]) == 0
    assert f"{out}: 1 clips as {name}" in capsys.readouterr().out
    written = [path for path in out.rglob("*") if path.is_file()]
    assert written
    assert all(path.stat().st_size > 0 for path in written)
    assert not [path for path in written if path.name.endswith(".part")]


def test_labels_name_every_file_as_an_import_reads_them(moving_file, tmp_path):
    export_motion([moving_file], "bvh", tmp_path / "out")
    labels = read_labels(tmp_path / "out" / "labels.csv")
    assert [(label.file, label.action, label.subject, label.licence) for label in labels.all] == [
        ("00000_kick_left.bvh", "kick_left", "anna", "CC0-1.0"),
        ("00001_run_fast.bvh", "run fast", "ben", "CC0-1.0"),
        ("00002.bvh", None, "ben", "CC0-1.0"),
    ]
    rows = list(csv.DictReader((tmp_path / "out" / "labels.csv").open()))
    assert [(row["clip"], row["source"]) for row in rows] == [(str(number), str(moving_file)) for number in range(3)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "bhv"], "unknown format `bhv`; did you mean `bvh`? known: h5, amass, bvh,"),
        (["--to", "fbx"], "unknown format `fbx`; known: h5, amass, bvh,"),
        (["--to", "bvh", "--clips", "3"], "--clips 3: 3 is out of range:"),
        (["--to", "bvh", "--clips", "x"], "--clips x: `x` is no number or range"),
        (["--to", "bvh", "--action", "kick_rigth"], "unknown action `kick_rigth`; did you mean `kick_left`"),
        (["--to", "bvh", "--action", "kick_left", "--clips", "1"], "no clips of kick_left"),
        (["--to", "bvh", "--frame-rate", "0"], "--frame-rate is 0, expected a positive number of Hz"),
        (["--to", "amass", "--layout", "smplz"], "--layout smplz: unknown layout; did you mean `smplx`?"),
        (["--to", "motionbert", "--window", "1"], "--window 1: expected at least 2 frames"),
        (["--to", "glb", "--body", "none.npz"], "none.npz: no such body file"),
        (["--to", "bvh", "--seed", "-1"], "--seed -1: expected 0 or more"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing_behind(moving_file, tmp_path, capsys, arguments, message):
    out = tmp_path / "out"
    assert main(["export", str(moving_file), "--out", str(out), *arguments]) == 2
    assert message in line_of(capsys)
    assert not out.exists()


def test_a_missing_source_is_one_line(tmp_path, capsys):
    assert main(["export", str(tmp_path / "none.h5"), "--to", "bvh", "--out", str(tmp_path / "out")]) == 2
    assert "none.h5: no such file" in line_of(capsys)


def test_a_folder_with_files_is_kept_without_force_and_overwritten_with_it(moving_file, tmp_path, capsys):
    command = ["export", str(moving_file), "--to", "bvh", "--out", str(tmp_path / "out"), "--clips", "0"]
    assert main(command) == 0
    before = (tmp_path / "out" / "00000_kick_left.bvh").read_bytes()
    capsys.readouterr()
    assert main([*command, "--unit", "m"]) == 2
    assert "holds files already; give another folder, or --force" in line_of(capsys)
    assert (tmp_path / "out" / "00000_kick_left.bvh").read_bytes() == before
    assert main([*command, "--unit", "m", "--force"]) == 0
    assert (tmp_path / "out" / "00000_kick_left.bvh").read_bytes() != before


def test_an_unwritable_place_is_one_line(moving_file, tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        assert main(["export", str(moving_file), "--to", "bvh", "--out", str(out)]) == 2
        assert "is a file; give a folder" in (message := line_of(capsys)) or "cannot be made" in message
    if os.geteuid() != 0:  # root may write anywhere
        (tmp_path / "closed").mkdir(mode=0o500)
        assert main(["export", str(moving_file), "--to", "bvh", "--out", str(tmp_path / "closed")]) == 2
        assert "closed: cannot be written to (permission denied)" in line_of(capsys)


def test_an_interrupted_export_keeps_its_finished_files_and_their_labels(moving_file, tmp_path):
    def stop_after_two(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_motion([moving_file], "amass", tmp_path / "out", on_progress=stop_after_two)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["00000_kick_left_poses.npz", "00001_run_fast_poses.npz", "labels.csv"]
    assert len(read_labels(tmp_path / "out" / "labels.csv")) == 2


def test_a_clip_that_cannot_be_posed_is_named_and_the_rest_is_written(tmp_path, make_clip, capsys):
    broken = make_clip(0, 5)
    broken.trans[2] = float("inf")
    write_clips(tmp_path / "x.h5", [broken, make_clip(1, 5)], kind="sample")
    assert main(["export", str(tmp_path / "x.h5"), "--to", "csv", "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "out: 1 clips as csv in 2 files" in printed
    assert "left out: " in printed
    assert "x.h5: clip 0: NaN or infinity in it" in printed
    assert main(["export", str(tmp_path / "x.h5"), "--to", "csv", "--out", str(tmp_path / "b"), "--clips", "0"]) == 2
    assert "clip 0: NaN or infinity in it" in line_of(capsys)
    assert not (tmp_path / "b").exists()


def test_clips_are_read_one_by_one(moving_file, tmp_path, monkeypatch):
    """A format with a file per clip writes each before it reads the next."""
    read: list[int] = []
    original = MotionFile.__getitem__

    def noted(self, index):
        written = len(list((tmp_path / "out").glob("*.bvh")))
        read.append(written)
        return original(self, index)

    monkeypatch.setattr(MotionFile, "__getitem__", noted)
    export_motion([moving_file], "bvh", tmp_path / "out")
    assert read == [0, 1, 2]


def test_the_thin_script_writes_a_motion_file(moving_file, tmp_path, monkeypatch):
    script = ROOT / "tools" / "export_hdf5.py"
    arguments = [str(moving_file), "--out", str(tmp_path / "kick.h5"), "--action", "kick_left"]
    monkeypatch.setattr(sys, "argv", [str(script), *arguments])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script), run_name="__main__")
    assert ended.value.code == 0
    with MotionFile(tmp_path / "kick.h5") as file:
        assert (len(file), file.actions) == (1, ("kick_left",))
