"""README's commands and Python, run as they stand there, on data as small as they get."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
from conftest import TINY

from motiongan.cli.main import find_verbs, main
from motiongan.motion.store import MotionFile

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
COMMANDS = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines() if line.strip()]
MOTIONGAN = [shlex.split(line, comments=True)[1:] for line in COMMANDS if line.startswith("motiongan ")]
MAKE = [shlex.split(line, comments=True)[1:] for line in COMMANDS if line.startswith("make ")]
TINY_SET = [part for override in TINY for part in ("--set", override)]


def test_every_command_is_one_that_is_checked_here():
    assert len(COMMANDS) == len(MOTIONGAN) + len(MAKE)
    assert [arguments[0] for arguments in MOTIONGAN] == ["generate", "import", "train", "generate", "preview"]


def test_the_make_targets_are_there():
    for targets in MAKE:
        done = subprocess.run(["make", "-n", *targets], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert len(MAKE) == 2


def test_the_table_of_verbs_names_them_all():
    assert re.findall(r"^\| `motiongan ([\w-]+) ", README, re.MULTILINE) == list(find_verbs())


def test_commands_and_python_do_what_they_say_one_after_another(tmp_path, monkeypatch, make_clip, tiny_data_file):
    """~ is a folder with AMASS files, recordings.zip packs some, labels.csv names them; training is the tests' own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    labels = ["file,action,subject"]
    for folder, person in (("AMASS", "anna"), ("bvh_recordings", "ben"), ("recordings", "carl")):
        Path(folder).mkdir()
        for seed, action in enumerate(("run", "squat")):
            clip = make_clip(seed, num_frames=40)
            poses = np.zeros((40, 156), np.float32)
            poses[:, :66] = clip.poses[:, :22].reshape(40, 66)
            name = f"{person}_{action}.npz"
            content = {"trans": clip.trans, "betas": np.zeros(16), "gender": "neutral", "mocap_framerate": 30.0}
            np.savez(f"{folder}/{name}", poses=poses, **content)
            labels.append(f"{name},{action},{person}")
    shutil.make_archive("recordings", "zip", "recordings")
    Path("labels.csv").write_text("\n".join(labels))
    for arguments in MOTIONGAN:
        expanded = [str(tmp_path / word[2:]) if word.startswith("~/") else word for word in arguments]
        extra = {"train": ["--out", "runs/first", "--device", "cpu", *TINY_SET]}.get(arguments[0], [])
        assert main([*expanded, *extra]) == 0, arguments
    with MotionFile("first.h5") as file:
        assert (len(file), file.actions) == (2000, ("run", "walk", "jump", "kick"))
    with MotionFile("amass.h5") as file:
        assert (len(file), len(set(file.subjects))) == (6, 3)
    with MotionFile("aug.h5") as file:
        assert (len(file), file.actions) == (500, ("run",))
    assert Path("sheet.png").stat().st_size > 1000

    first, second = (text for kind, text in BLOCKS if kind == "python")
    exec(compile(first, "README.md", "exec"), {})
    with MotionFile("few.h5") as file:
        assert (len(file), file.kind, file.attributes["seed"]) == (16, "generated", 0)
    names: dict[str, object] = {}
    exec(compile(second, "README.md", "exec"), names)
    assert names["action"] == "run"
    assert np.shape(names["poses"])[1:] == (24, 3)
