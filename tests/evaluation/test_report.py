"""What the report says in words, from figures made up for the purpose."""

import math
import re

import pytest

from motiongan.evaluation.facts import REAL, TRAINING, report_facts
from motiongan.evaluation.figures import FIGURES, OVERALL, Estimate
from motiongan.evaluation.inputs import EvaluationInputs
from motiongan.evaluation.report import write_report


@pytest.fixture
def page(tmp_path):
    """Writes the report of rows of figures and returns its HTML and its facts."""

    def write(rows):
        made = [label for label in rows if label not in (REAL, TRAINING) and not label.startswith("control: ")]
        source = {"file": "data.h5", "frame_rate": 30.0, "content_hash": "0" * 64}
        actions = ("run", "squat", "walk")
        inputs = EvaluationInputs(
            {label: [] for label in made}, [], [], actions, actions, (), 64, ("ben",), "aug.h5", {"data": source},
            remarks=("said of the people",),
        )  # fmt: skip
        facts = report_facts(inputs, rows, {}, seed=0, body="stick", recognizer_hashes=["0" * 64])
        write_report(tmp_path, facts, rows, [], distances={}, distributions={})
        return (tmp_path / "report.html").read_text(), facts

    return write


def row(windows=None, **figures):
    overall = {name: Estimate(*value) for name, value in {"accuracy": (0.9,), **figures}.items()}
    return {OVERALL: overall} | {action: {"windows": Estimate(count)} for action, count in (windows or {}).items()}


def test_in_short_names_copies_the_classifier_and_the_distance_to_people_even_where_nothing_is_off(page):
    rows = {
        "aug": row(copy_share=(0.04, 0.02, 0.06), separability=(0.75,), fid_held_out=(9.5, 8.0, 11.0)),
        REAL: row(copy_share=(0.05,), separability=(0.7,), fid_held_out=(math.nan,)),
        TRAINING: row(copy_share=(0.11,), separability=(0.8,), fid_held_out=(9.0,)),
    }
    (short,) = re.findall(r"<b>In short\.</b> (.*?)</p>", page(rows)[0])
    assert short.startswith("No overall figure of aug is away from both real columns.")
    assert "Near-copies 4.0% [2.0, 6.0%] (held-out real 5.0%, training real 11.0%)" in short
    assert "told from real (AUC) 0.75 (held-out real 0.70, training real 0.80)" in short
    assert "FID to held-out 9.50 [8.00, 11.00] over its floor of 9.00 (training real)" in short


def test_actions_with_fewer_windows_than_the_held_out_people_have_are_named(page):
    rows = {
        "aug": row({"run": 4, "walk": 3}),
        "more": row({"run": 5, "squat": 2, "walk": 9}),
        REAL: row({"run": 4, "squat": 2, "walk": 7}),
        TRAINING: row({"run": 1, "squat": 1, "walk": 1}),
    }
    _, facts = page(rows)
    said, few = facts["remarks"]
    assert said == "said of the people"
    assert "aug has fewer than the held-out people of walk (3 for 7), which" in few


def test_controls_have_a_table_of_their_own(page):
    figures = {"fid": (1.0,)}
    rows = {label: row(**figures) for label in ("aug", REAL, TRAINING, "control: frozen", "control: copies")}
    html = page(rows)[0]
    heads = re.findall(r"<tr><th>figure</th>(.*?)</tr>", html)
    assert [re.findall("<th>(.*?)</th>", head) for head in heads] == [
        ["aug", REAL, TRAINING, ""],
        [REAL, "control: frozen", "control: copies"],
    ]
    assert html.count(FIGURES["recall"].meaning) == 1
