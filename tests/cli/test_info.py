"""`motiongan info`: what it tells, and what --check finds."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from motiongan.cli.main import main
from motiongan.motion.store import write_clips


def test_clips_and_minutes_per_action_are_told(motion_file, capsys):
    assert main(["info", str(motion_file)]) == 0
    first, _, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{motion_file}: 4 sample clips, 0.1 minutes at 30 Hz, body model motiongan")
    assert rest[0].split() == ["walk", "2", "0.0", "1.0", "1.3", "1.7"]  # 30 and 50 frames at 30 Hz
    assert rest[1].split() == ["squat", "1", "0.0", "1.3", "1.3", "1.3"]
    assert rest[2].split() == ["(no", "label)", "1", "0.0", "2.0", "2.0", "2.0"]
    assert rest[3] == "subjects: 2 (anna, ben)"
    assert "licence: CC0-1.0" in rest


def test_json_holds_the_same_facts(motion_file, capsys):
    assert main(["info", str(motion_file), "--json", "--check"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["clips"], facts["seconds"], facts["frame_rate"], facts["kind"]) == (4, 6.0, 30.0, "sample")
    assert facts["actions"]["walk"] == {
        "clips": 2,
        "seconds": 2.667,
        "shortest": 1.0,
        "median": 1.333,
        "longest": 1.667,
    }
    assert facts["unlabelled"]["clips"] == 1
    assert facts["subjects"] == {"anna": 2, "ben": 2}
    assert facts["attributes"]["licence"] == "CC0-1.0"
    assert facts["problems"] == {"count": 0, "first": []}


def test_scores_are_told_with_quantiles_and_units(tmp_path, clips, capsys):
    path = tmp_path / "scored.h5"
    jerks = (10.0, 20.0, 30.0)
    scored = [replace(clip, quality={"recognized": 0.5, "jerk": jerk}) for clip, jerk in zip(clips, jerks)]
    write_clips(path, [*scored, clips[3]], kind="sample")
    assert main(["info", str(path)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["recognized", "3", "0.5", "0.5", "0.5"] in lines
    assert ["jerk", "3", "11", "20", "29", "m/s^3"] in lines
    assert main(["info", str(path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)["quality"]
    assert facts["jerk"] == {"unit": "m/s^3", "clips": 3, "low": 11.0, "median": 20.0, "high": 29.0}
    assert list(facts) == ["recognized", "jerk"]


def test_check_is_content_with_a_sound_file(motion_file, capsys):
    assert main(["info", str(motion_file), "--check"]) == 0
    assert "no problems found" in capsys.readouterr().out


def test_check_finds_a_flipped_byte(motion_file, capsys):
    import h5py

    with h5py.File(motion_file) as file:
        chunk = file["poses"].id.get_chunk_info(0)
    with open(motion_file, "r+b") as raw:
        raw.seek(chunk.byte_offset + chunk.size // 2)
        byte = raw.read(1)[0]
        raw.seek(-1, 1)
        raw.write(bytes([byte ^ 255]))
    assert main(["info", str(motion_file)]) == 0  # the table is sound, only frames are damaged
    capsys.readouterr()
    assert main(["info", str(motion_file), "--check"]) == 2
    assert "clip 0: damaged frames" in capsys.readouterr().out


def test_check_shows_the_first_problems_and_counts_the_rest(tmp_path, make_clip, capsys):
    clips = [make_clip(seed, num_frames=4) for seed in range(25)]
    for clip in clips:
        clip.poses[2, 5] = np.nan
    path = tmp_path / "broken.h5"
    write_clips(path, clips, kind="captured")
    assert main(["info", str(path), "--check"]) == 2
    out = capsys.readouterr().out
    assert out.count("NaN or infinite numbers in 1 frames, first in frame 2") == 20
    assert out.endswith("... and 5 more\n")


def test_a_clip_that_points_outside_the_file_is_told(motion_file, capsys):
    import h5py

    with h5py.File(motion_file, "r+") as file:
        file["clips/length"][3] = 10_000
    assert main(["info", str(motion_file), "--check"]) == 2
    assert (
        capsys.readouterr().err
        == f"motiongan: error: {motion_file}: clip 3 points outside the 180 frames of the file\n"
    )


def test_a_model_files_metadata_is_told(tmp_path, capsys):
    from safetensors.numpy import save_file

    path = tmp_path / "model.safetensors"
    metadata = {
        "actions": '["walk", "squat"]',
        "config": '{"generator": {"kind": "conv"}}',
        "creator": "motiongan 0.1.0",
    }
    save_file({"weight": np.zeros((3, 4), np.float32), "bias": np.zeros(4, np.float32)}, path, metadata=metadata)
    assert main(["info", str(path)]) == 0
    out = capsys.readouterr().out
    assert "16 parameters in 2 tensors" in out
    assert 'actions: ["walk", "squat"]\n' in out
    assert "config:\n  generator:\n    kind: conv\n" in out
    assert main(["info", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metadata"]["config"] == {"generator": {"kind": "conv"}}


@pytest.mark.parametrize(("content", "reason"), [(b"a text", "not an HDF5 file"), (b"\x89HDF\r\n\x1a\n...", "cut off")])
def test_another_file_is_one_line(tmp_path, content, reason, capsys):
    path = tmp_path / "x.h5"
    path.write_bytes(content)
    assert main(["info", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert reason in error


def test_info_needs_no_torch(motion_file):
    code = "import sys; from motiongan.cli.main import main; main(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, "info", str(motion_file)], capture_output=True)
    assert done.returncode == 0
