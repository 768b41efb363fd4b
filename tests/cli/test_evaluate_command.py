import json
import re
from dataclasses import replace

import pytest

from motiongan.cli.main import main
from motiongan.evaluation import evaluate as evaluation
from motiongan.evaluation.controls import CONTROLS
from motiongan.motion.store import read_clips, write_clips

PROVENANCE = {"checkpoint": "0" * 64, "seed": 0, "training_data": "", "config": "{}"}
# As `generate` writes it: what the model knows, whatever it was asked for.
RECORD = {
    **PROVENANCE,
    "config": json.dumps({"data": {"actions": ["walk", "squat", "fly"], "window": 32, "frame_rate": 30.0}}),
    "held_out": '["ben"]',
}


@pytest.fixture
def files(tmp_path, make_clip, monkeypatch):
    """data.h5 of three people, aug.h5 that says ben was held out, old.h5 that does not; a quick recognizer."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    quick = evaluation.cached_recognizer
    monkeypatch.setattr(evaluation, "cached_recognizer", lambda *data, **set_: quick(*data, **{**set_, "steps": 5}))
    real = [
        make_clip(4 * person + number, num_frames=40, action=action, subject=name)
        for person, name in enumerate(("anna", "ben", "carl"))
        for number, action in enumerate(("walk", "squat", "walk"))
    ]
    write_clips("data.h5", real, kind="captured")
    labels = ("walk", "squat", "fly")
    made = [replace(make_clip(50 + i, num_frames=36, action=labels[i % 3]), seed=i) for i in range(12)]
    write_clips("aug.h5", made, kind="generated", provenance=RECORD)
    write_clips("old.h5", made, kind="generated", provenance=PROVENANCE)
    return tmp_path


def test_two_runs_write_equal_reports_that_need_no_other_file(files, capsys):
    assert main(["evaluate", "aug.h5", "--data", "data.h5", "--out", "one"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^figure +aug +held-out real +training real$", shown, re.MULTILINE)
    assert "not measured, since the recognizers have too few training clips of them: fly" in shown
    kept = list((files / "cache/motiongan/recognizers").glob("*.safetensors"))
    assert len(kept) == 4 * evaluation.RECOGNIZERS  # taught on real, aug, ben, half
    # Now the recognizers are found again.
    assert main(["evaluate", "aug.h5", "--data", "data.h5", "--out", "two"]) == 0
    for name in ("report.json", "report.html"):
        assert (files / "one" / name).read_bytes() == (files / "two" / name).read_bytes()
    facts = json.loads((files / "one/report.json").read_text())
    assert facts["protocol"]["held_out_subjects"] == ["ben"]
    assert facts["rows"]["aug"]["overall"]["windows"]["value"] == 8
    assert len(facts["sources"]["data"]["content_hash"]) == 64
    page = (files / "one/report.html").read_text()
    # Plot, generated, real, nearest pairs, distances to the training motion; measures of two actions.
    assert page.count("data:image/png;base64,") == page.count("src=") == 7
    assert re.search(r"walk \d+ mm: .* from \d\.\d\d s of the clip, 0.8 s long \((anna|carl)", page)
    assert "of the held-out people&#x27;s clips rightly" in page
    assert "<b>In short.</b>" in page
    assert facts["athletics"]["aug"]["walk"]["speed"]["quartiles"][1] == pytest.approx(1.0, abs=0.1)
    assert facts["rows"]["training real"]["overall"]["fid_held_out"]["value"] > 0
    assert facts["rows"]["held-out real"]["overall"]["fid_held_out"]["value"] is None
    assert "href" not in page


def test_a_file_of_one_action_is_measured_by_the_recognizer_of_all_that_its_model_knows(files, capsys):
    walks = [clip for clip in read_clips("aug.h5") if clip.action == "walk"]
    write_clips("walks.h5", walks, kind="generated", provenance=RECORD)
    for name in ("aug", "walks"):
        assert main(["evaluate", f"{name}.h5", "--data", "data.h5", "--out", name]) == 0
    assert "needs more actions than walk" in capsys.readouterr().out
    every, walking = (json.loads((files / name / "report.json").read_text()) for name in ("aug", "walks"))
    assert walking["recognizer"] == every["recognizer"] | {
        "held_out_accuracy": walking["rows"]["held-out real"]["walk"]["accuracy"]
    }
    assert walking["recognizer"]["actions"] == ["squat", "walk"]
    assert walking["protocol"]["window_frames"] == every["protocol"]["window_frames"] == 32
    assert walking["protocol"]["actions"] == ["walk"]
    assert set(walking["rows"]["training real"]) == {"overall", "walk"}
    for figure in ("accuracy", "multimodality", "nn_mm", "precision", "jerk_ratio"):
        whole, part = (rows["rows"][name]["walk"][figure] for name, rows in (("aug", every), ("walks", walking)))
        assert part["value"] == pytest.approx(whole["value"])
    # Of a recognizer taught on walks alone nothing is told.
    assert "synthetic_accuracy" in every["rows"]["aug"]["walk"]
    assert "synthetic_accuracy" not in walking["rows"]["walks"]["walk"]


def test_without_a_record_the_recognizer_knows_what_the_training_people_do_often_enough(files, make_clip):
    more = [make_clip(90 + i, num_frames=40, action=action, subject="anna") for i, action in enumerate(("run", "run"))]
    write_clips("data.h5", [*read_clips("data.h5"), *more, make_clip(99, action="roll", subject="anna")],
                kind="captured", force=True)  # fmt: skip
    assert main(["evaluate", "old.h5", "--data", "data.h5", "--held-out", "ben"]) == 0
    facts = json.loads((files / "report/report.json").read_text())
    assert facts["recognizer"]["actions"] == ["run", "squat", "walk"]
    assert facts["protocol"]["actions"] == ["squat", "walk"]
    assert facts["protocol"]["window_frames"] == 64


def test_with_one_action_to_know_figures_of_the_recognizer_are_dashes_and_why_is_told(files, capsys):
    record = {**RECORD, "config": RECORD["config"].replace('"squat", "fly"', '"fly"')}
    write_clips(
        "walks.h5", [c for c in read_clips("aug.h5") if c.action == "walk"], kind="generated", provenance=record
    )
    assert main(["evaluate", "walks.h5", "--data", "data.h5"]) == 0
    shown = capsys.readouterr().out
    assert "nothing to tell apart: walk is the only action" in shown
    assert re.search(r"^FID +- +- +-$", shown, re.MULTILINE)
    assert re.search(r"^accuracy +- +- +-$", shown, re.MULTILINE)
    assert "nothing to tell apart" in (files / "report/report.html").read_text()
    assert re.search(r"^jerk / train +\d", shown, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["old.h5"], "old: does not say which subjects of data.h5 .* --checkpoint or --held-out"),
        (["aug.h5", "--held-out", "bn"], "no clips of the held-out subject `bn` .*did you mean `ben`"),
        (["aug.h5", "--held-out", ","], "names no subject"),
        (["aug.h5", "--held-out", "anna,ben,carl"], "have none, or too few, of fly, squat, walk"),
        (["aug.h5", "aug.h5"], "given twice"),
        (["aug.h5", "--seed", "-1"], "--seed is -1"),
        (["aug.h5", "--window", "3"], "--window is 3, expected 8 frames or more"),
        (["aug.h5", "--out", "data.h5"], "is a file; give a folder"),
        (["aug.h5", "--checkpoint", "none.safetensors"], "no such model file"),
        (["missing.h5"], "missing.h5: no such file"),
    ],
)
def test_mistakes_are_told_in_one_line_and_leave_nothing(files, capsys, arguments, message):
    assert main(["evaluate", *arguments, "--data", "data.h5"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error)
    assert not (files / "report").exists()


def test_an_action_that_nobody_held_out_performs_is_measured_by_the_training_clips_alone(files, capsys, make_clip):
    others = [clip for clip in read_clips("data.h5") if (clip.subject, clip.action) != ("ben", "walk")]
    write_clips("others.h5", others, kind="captured")
    walks = [clip for clip in read_clips("aug.h5") if clip.action == "walk"]
    write_clips("walks.h5", walks, kind="generated", provenance=RECORD)
    arguments = ["evaluate", "walks.h5", "--data", "others.h5"]
    assert main([*arguments, "--controls"]) == 2
    assert "ben have no clip of walk, which controls are made of" in capsys.readouterr().err
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "ben have no clip of walk: only the training clips are compared with" in shown
    assert re.search(r"^figure +walks +training real$", shown, re.MULTILINE)
    facts = json.loads((files / "report/report.json").read_text())
    assert set(facts["rows"]) == set(facts["athletics"]) == {"walks", "training real"}
    assert facts["rows"]["walks"]["overall"]["kid"]["value"] is not None
    assert "they have no row here" in (files / "report/report.html").read_text()


def test_a_report_is_replaced_by_force_only_and_the_option_names_the_held_out_before_the_file(files, capsys):
    (files / "report").mkdir()
    (files / "report/report.json").write_text("{}")
    arguments = ["evaluate", "aug.h5", "--data", "data.h5", "--held-out", "carl,anna"]
    assert main(arguments) == 2
    assert "--force" in capsys.readouterr().err
    assert main([*arguments, "--force", "--window", "26", "--controls"]) == 0
    facts = json.loads((files / "report/report.json").read_text())
    assert facts["protocol"]["held_out_subjects"] == ["carl", "anna"]
    assert facts["protocol"]["window_frames"] == 26
    assert facts["rows"]["aug"]["overall"]["windows"]["value"] == 8  # 26 of 36 frames; what is left is too short
    assert facts["rows"]["control: copies"]["overall"]["nn_ratio"]["value"] < 0.01
    assert set(facts["controls"]) == set(CONTROLS)
    assert facts["controls"]["copies"]["nn_ratio"] == {"expected": "below", "shown": True}
    assert "control: copies: shown by" in capsys.readouterr().out
    assert "Shown by" in (files / "report/report.html").read_text()
    made = [f"control: {name}" for name in CONTROLS]
    assert list(facts["rows"]) == ["aug", "held-out real", "training real", *made]
