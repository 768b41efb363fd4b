"""`motiongan generate`: the file it makes, what it says, and one line for each mistake with nothing half-written."""

import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from format_page import untold

from motiongan.cli.main import main
from motiongan.generation.generate import load_generator
from motiongan.models.checkpoint import file_hash
from motiongan.motion.clip import SCORE_UNITS
from motiongan.motion.store import MotionFile, read_clips


@pytest.fixture
def generate(tiny_model, tmp_path, monkeypatch):
    """Runs `motiongan generate` in an empty folder with the tests' model; returns the exit status."""
    monkeypatch.chdir(tmp_path)

    def generate(*arguments: str, out: str = "out.h5") -> int:
        return main(["generate", "--checkpoint", str(tiny_model), "--out", out, *arguments])

    return generate


def test_a_file_of_labelled_clips_with_their_provenance(generate, tiny_model, capsys):
    assert generate("--action", "squat,walk", "-n", "3", "--seed", "5") == 0
    known = "walk, squat, kick_left, kick_right"
    assert capsys.readouterr().out == f"out.h5: 6 clips of squat, walk by {tiny_model}, which knows {known}\n"
    with MotionFile("out.h5") as file:
        assert (file.kind, file.body_model, file.frame_rate) == ("generated", "motiongan", 30.0)
        assert file.attributes["checkpoint"] == file_hash(tiny_model)
        assert file.attributes["seed"] == 5
        assert file.attributes["licence"] == "CC0-1.0"
        assert len(file.attributes["training_data"]) == 64
        assert '"generator"' in file.attributes["config"]
        assert file.actions == ("squat", "walk")
        assert [clip.action for clip in file] == ["squat"] * 3 + ["walk"] * 3
        assert len({clip.seed for clip in file}) == 6


def test_one_clip_of_each_action_is_the_default(generate, tiny_model, capsys):
    assert generate() == 0
    actions = "walk, squat, kick_left, kick_right"
    assert capsys.readouterr().out == f"out.h5: 4 clips of {actions} by {tiny_model}, all that it knows\n"
    assert [clip.action for clip in read_clips("out.h5")] == ["walk", "squat", "kick_left", "kick_right"]


def test_equal_seeds_make_equal_files_at_a_set_time(generate, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    for name, seed in (("a.h5", "1"), ("b.h5", "1"), ("c.h5", "2")):
        assert generate("-n", "5", "--seed", seed, out=name) == 0
    assert Path("a.h5").read_bytes() == Path("b.h5").read_bytes() != Path("c.h5").read_bytes()


def test_the_file_is_the_same_whatever_the_batch(generate):
    """Within 1e-4 (radians, metres)."""
    for name, batch in (("a.h5", "8"), ("b.h5", "64")):
        assert generate("-n", "10", "--batch", batch, out=name) == 0
    for clip, same in zip(read_clips("a.h5"), read_clips("b.h5"), strict=True):
        np.testing.assert_allclose(clip.poses, same.poses, atol=1e-4)
        np.testing.assert_allclose(clip.trans, same.trans, atol=1e-4)
        assert clip.seed == same.seed


@pytest.mark.parametrize(("arguments", "frames"), [(["--frames", "7"], 7), (["--seconds", "1.5"], 45), ([], 30)])
def test_lengths_in_frames_or_seconds(generate, arguments, frames):
    assert generate("--action", "walk", *arguments) == 0
    assert read_clips("out.h5")[0].num_frames == frames


def test_betas_from_a_file(generate):
    shapes = np.arange(20, dtype=np.float64).reshape(2, 10) / 20
    np.save("shapes.npy", shapes)
    np.savez("shape.npz", betas=np.arange(16.0) / 16)
    assert generate("--action", "walk", "-n", "3", "--betas", "shapes.npy", out="a.h5") == 0
    np.testing.assert_allclose([clip.betas for clip in read_clips("a.h5")], shapes[[0, 1, 0]], rtol=1e-6)
    assert generate("--action", "walk", "--betas", "shape.npz", out="b.h5") == 0
    np.testing.assert_allclose(read_clips("b.h5")[0].betas, np.arange(10) / 16)
    assert generate("--action", "walk", "-n", "2", "--betas", "mean", out="c.h5") == 0
    first, second = read_clips("c.h5")
    assert np.array_equal(first.betas, second.betas)


def test_without_a_checkpoint_the_newest_finished_run_is_taken_and_named(tiny_run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    shutil.copytree(tiny_run, "runs/mine")
    assert main(["generate", "--action", "walk", "--out", "out.h5"]) == 0
    assert capsys.readouterr().out.startswith(
        "out.h5: 1 clips of walk by runs/mine/model.safetensors, which knows walk, "
    )


MISTAKES: dict[str, tuple[list[str], str]] = {
    "misspelt action": (["--action", "sqat"], "unknown action `sqat`; did you mean `squat`? known: walk, squat, kick"),
    "no clips": (["-n", "0"], "-n is 0, expected at least 1"),
    "negative": (["-n", "-5"], "-n is -5, expected at least 1"),
    "not a number": (["-n", "many"], "argument -n: invalid int value: 'many'"),
    "no model": (
        ["--checkpoint", "none.safetensors"],
        "none.safetensors: no such model file; `motiongan train` writes",
    ),
    "not a model": (["--checkpoint", "text.txt"], "text.txt: not a safetensors file, or cut off"),
    "two lengths": (["--frames", "9", "--seconds", "1"], "argument --seconds: not allowed with argument --frames"),
    "no frames": (["--frames", "0"], "frames is 0, expected at least 1"),
    "no seconds": (["--seconds", "-1"], "--seconds is -1.0, expected more than 0"),
    "nan seconds": (["--seconds", "nan"], "--seconds is nan, expected more than 0"),
    "negative seed": (["--seed", "-1"], "--seed is -1, expected 0 or more"),
    "no batch": (["--batch", "0"], "batch is 0, expected at least 1"),
    "truncation": (["--truncation", "-1"], "truncation is -1.0, expected 0 to 10"),
    "infinite truncation": (["--truncation", "inf"], "truncation is inf, expected 0 to 10"),
    "endless": (["--seconds", "inf"], "--seconds is inf, expected more than 0"),
    "too long": (["--seconds", "1e9"], "frames is 30000000000, expected at most 100000"),
    "huge seed": (["--seed", str(2**63)], "--seed is 9223372036854775808, expected 0 or more, below 2^63"),
    "huge betas": (["--betas", "huge.npy"], "betas reach 1e+05, expected within 10 standard deviations"),
    "folder of models": (["--checkpoint", "."], ".: is a folder; give the model file in it (model.safetensors)"),
    "no betas": (["--betas", "none.npy"], "--betas none.npy: no such file; give one of its names or an .npy/.npz file"),
    "text betas": (["--betas", "text.txt"], "--betas text.txt: not an array of betas"),
    "few betas": (["--betas", "few.npy"], "--betas few.npy: has shape (1, 3), expected (10,) or (shapes, 10)"),
    "nan betas": (
        ["--betas", "nan.npy"],
        "--betas nan.npy: has shape (1, 10), expected (10,) or (shapes, 10), all finite",
    ),
    "empty betas": (["--betas", "empty.npy"], "--betas empty.npy: not an array of betas"),
    "cut off betas": (["--betas", "cut.npz"], "--betas cut.npz: not an array of betas"),
    "device": (["--device", "gpu"], "--device gpu: expected cpu, cuda or cuda:N"),
    "device without data": (["--device", "meta"], "--device meta: expected cpu, cuda or cuda:N"),
    "second cpu": (["--device", "cpu:9"], "--device cpu:9: expected cpu, cuda or cuda:N"),
    "apple device": (["--device", "mps"], "--device mps: expected cpu, cuda or cuda:N"),
    "keep nothing": (["--keep", "0"], "--keep is 0.0, expected a share: more than 0, at most 1"),
    "keep more": (["--keep", "80"], "--keep is 80.0, expected a share: more than 0, at most 1"),
    "score": (["--max", "foot_skat=1"], "--max: unknown score `foot_skat`; did you mean `foot_skate`? known: recog"),
    "bound": (["--max", "jerk=low"], "--max jerk=low: expected a number, such as jerk=0.5"),
    "no bound": (["--max", "jerk"], "--max jerk: expected a number, such as jerk=0.5"),
    "bounds apart": (
        ["--min", "jerk=0.5", "--max", "foot_skate=0.1,jerk=0.2"],
        "--min jerk=0.5 and --max jerk=0.2: no clip can have both",
    ),
    "nan bound": (["--min", "jerk=nan"], "--min jerk=nan: expected a finite number"),
    "novel alone": (["--novel"], "--novel compares with real clips: give them with --data FILE"),
    "recognized alone": (
        ["--min", "recognized=0.5"],
        "--min recognized compares with real clips: give them with --data",
    ),
    "data alone": (["--data", "x.h5"], "--data goes with a quality gate: give --keep, --max, --min or --novel"),
    "no data": (["--keep", "1", "--data", "none.h5"], "none.h5: no such file"),
    "no folder": (["--out", "none/out.h5"], "none/out.h5: its folder does not exist; make it first"),
    "a folder": (["--out", "."], ".: is a folder; give a file name"),
    "exists": (["--out", "there.h5"], "there.h5: exists already; give another name or --force to replace it"),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_is_told_in_one_line_and_nothing_is_written(kind, generate, capsys):
    arguments, message = MISTAKES[kind]
    Path("text.txt").write_text("not what it should be")
    Path("there.h5").write_text("mine")
    Path("empty.npy").touch()
    np.save("few.npy", np.zeros(3))
    np.save("huge.npy", np.full(10, 1e5))
    np.save("nan.npy", np.full(10, np.nan))
    np.savez("whole.npz", betas=np.zeros((1000, 10)))
    Path("cut.npz").write_bytes(Path("whole.npz").read_bytes()[:5000])
    before = {path: path.read_bytes() for path in Path().iterdir()}
    assert generate(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("motiongan: error: ")
    assert message in error
    assert error.count("\n") == 1
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


@pytest.fixture
def quick_recognizer(monkeypatch, tmp_path_factory):
    monkeypatch.setattr("motiongan.evaluation.clip_scores._RECOGNIZER_STEPS", 20)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def test_a_gate_stores_scores_bounds_and_the_acceptance_rate(generate, quick_recognizer, tiny_data_file, capsys):
    assert generate("--action", "walk,squat", "-n", "40", "--keep", "0.6", "--data", str(tiny_data_file)) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("out.h5: 80 clips of walk, squat by ")
    with MotionFile("out.h5") as file:
        gate = json.loads(file.attributes["quality_gate"])
        assert set(file.quality) <= set(SCORE_UNITS)
        assert {"recognized", "joint_range_violation", "jerk", "training_distance"} <= set(file.quality)
        assert (file.quality["accepted"] == 1).all()
        drawn = int(file.quality["attempts"].sum())
        assert file.attributes["acceptance_rate"] == 80 / drawn
        assert untold("out.h5") == set()
        assert (
            second
            == f"quality gate: {80 / drawn:.1%} of {drawn} draws accepted ("
            + ", ".join(f"{action} {40 / gate['actions'][action]['drawn']:.1%}" for action in ("walk", "squat"))
            + ")"
        )
        for clip in file:
            for name, bound in gate["actions"][clip.action]["most"].items():
                assert clip.quality.get(name, 0) <= bound + 1e-6
            for name, bound in gate["actions"][clip.action]["least"].items():
                assert clip.quality.get(name, 1) >= bound - 1e-6
        selected_by = file.attributes["selected_by"]
    with MotionFile(tiny_data_file) as data:
        assert gate["data"] == selected_by == data.content_hash()


def test_bounds_on_scores_need_no_data_and_the_best_is_kept_where_none_passes(generate, capsys):
    assert generate("--action", "walk", "-n", "3", "--max", "jerk=1, foot_skate=9", out="out.h5") == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "quality gate: 0.0% of 48 draws accepted;"
        " 3 clips passed in none of 16 draws: their best is kept, with accepted = 0",
        "not scored: recognized, training_distance, which compare with the clips that trained the model: --data FILE",
    ]
    assert generate("--action", "walk", "-n", "3", "--keep", "1", out="all.h5") == 0
    kept, first = read_clips("out.h5"), read_clips("all.h5")
    assert all(clip.quality["accepted"] == 0 for clip in kept)
    assert np.mean([clip.quality["jerk"] for clip in kept]) < np.mean([clip.quality["jerk"] for clip in first])
    assert "recognized" not in kept[0].quality
    with MotionFile("out.h5") as file:
        assert "selected_by" not in file.attributes


def test_scoring_alone_changes_no_clip(generate):
    assert generate("-n", "3", out="plain.h5") == 0
    assert generate("-n", "3", "--keep", "1", out="scored.h5") == 0
    for clip, same in zip(read_clips("plain.h5"), read_clips("scored.h5"), strict=True):
        assert np.array_equal(clip.poses, same.poses)
        assert same.quality["attempts"] == same.quality["accepted"] == 1
        assert clip.quality == {}


def test_novel_clips_are_as_far_from_the_training_clips_as_real_people_are(generate, quick_recognizer, tiny_data_file):
    assert generate("--action", "squat", "-n", "6", "--novel", "--data", str(tiny_data_file)) == 0
    with MotionFile("out.h5") as file:
        limit = json.loads(file.attributes["quality_gate"])["actions"]["squat"]["least"]["training_distance"]
        assert limit > 0.01
        passed = file.quality["accepted"] == 1
        assert ((file.quality["training_distance"] >= limit - 1e-6) == passed).all()


def test_many_clips_show_progress_in_a_log_too_and_few_do_not(generate, capsys):
    assert generate("--action", "walk", "-n", "200", "--frames", "8") == 0
    assert "200/200" in capsys.readouterr().err
    assert generate("--action", "walk", "-n", "199", "--frames", "8", "--force") == 0
    assert capsys.readouterr().err == ""


def test_force_replaces_an_existing_file(generate):
    assert generate("--action", "walk") == 0
    assert generate("--action", "squat", "--force") == 0
    assert [clip.action for clip in read_clips("out.h5")] == ["squat"]


def test_without_a_run_motiongans_own_model_generates_and_tells_what_it_knows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["generate", "--action", "run", "-n", "2", "--out", "out.h5"]) == 0
    known = ", ".join(load_generator().actions)
    said = f"out.h5: 2 clips of run by motiongan's own model (cmu), which knows {known}\n"
    assert capsys.readouterr().out == said
    assert main(["generate", "--action", "javelin", "--out", "other.h5"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("motiongan: error: motiongan's own model (cmu): unknown action `javelin`; known: ")
    assert error.endswith("; others take a model of your own clips: `motiongan train --data FILE`\n")


def test_a_full_disk_is_exit_status_1_in_one_line_and_leaves_nothing(tiny_model, tmp_path):
    """A limit on the size of files stands for the full disk; the old file of that name stays."""
    (tmp_path / "out.h5").write_bytes(b"the old one")
    command = [sys.executable, "-m", "motiongan", "generate", "--checkpoint", str(tiny_model)]
    done = subprocess.run(
        [*command, "-n", "200", "--out", "out.h5", "--force"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "motiongan: error: out.h5: file too large"
    assert [path.name for path in tmp_path.iterdir()] == ["out.h5"]
    assert (tmp_path / "out.h5").read_bytes() == b"the old one"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_run_leaves_nothing(tiny_model, tmp_path, number):
    command = [sys.executable, "-m", "motiongan", "generate", "--checkpoint", str(tiny_model)]
    command += ["-n", "1000000", "--out", "out.h5"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
    )
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.iterdir()):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(number)
        error = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == 128 + number
    assert "Traceback" not in error
    assert not list(tmp_path.iterdir())


def test_a_disk_without_space_is_told_as_such(generate, monkeypatch, capsys):
    from motiongan.motion.output import OutputFile

    real = OutputFile.write

    def no_space(self: OutputFile, data: bytes) -> int:
        self.error = OSError(28, "No space left on device")
        return real(self, data)

    monkeypatch.setattr(OutputFile, "write", no_space)
    assert generate() == 1
    assert capsys.readouterr().err == "motiongan: error: out.h5: no space left on the disk\n"
    assert not list(Path().iterdir())


def test_generation_loads_no_package_that_it_does_not_need(tiny_model, tmp_path):
    """Starting takes about as long as `import torch, h5py, numpy`: roma since 1.6 alone would load torch._dynamo."""
    code = f"""if True:
        import sys
        from motiongan.cli.main import main
        main(["generate", "--checkpoint", {str(tiny_model)!r}, "--out", "out.h5"])
        heavy = {{"roma", "matplotlib", "pydantic", "yaml", "tensorboardX", "torch._dynamo", "sympy"}}
        sys.exit(", ".join(sorted(heavy & set(sys.modules))) or 0)
    """
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
