import json
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools/card_tables.py"


def estimate(value: float | None, low: float | None = None, high: float | None = None) -> dict[str, float | None]:
    return {"value": value, "low": low, "high": high, "clips": 10, "bias": None}


def measured(value: float | None, low: float | None = None, high: float | None = None) -> dict[str, object]:
    distance = {"value": value, "low": low, "high": high}
    return {"run": {"speed": {"unit": "speed, m/s", "distance_to_train": distance, "distance_to_held_out": {}}}}


FACTS = {
    "format": "motiongan.evaluation",
    "rows": {
        "own": {
            "overall": {"fid": estimate(1.884, 1.05, 2.78), "accuracy": estimate(0.974, 0.961, 0.982)},
            "run": {"accuracy": estimate(1.0), "nn_mm": estimate(81.4)},
        },
        "held-out real": {"overall": {"fid": estimate(9.52, 5.98, 12.83), "accuracy": estimate(0.736)}},
        "training real": {
            "overall": {"fid": estimate(0.67, 0.27, 1.16), "accuracy": estimate(None)},
            "run": {"accuracy": estimate(0.99), "nn_mm": estimate(66.0)},
        },
        "control: noisy": {"overall": {}},
    },
    "athletics": {
        "own": measured(0.384, 0.19, 0.59),
        "held-out real": measured(0.9),
        "training real": measured(None),
    },
}


def printed(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOOL), str(path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_tables_hold_each_figure_with_its_interval_beside_the_real_rows(tmp_path):
    (tmp_path / "report.json").write_text(json.dumps(FACTS))
    overall, actions, athletes = printed(tmp_path / "report.json").stdout.strip().split("\n\n")
    assert overall.splitlines()[0] == "| figure, overall | own | held-out real | training real |"
    assert "| FID | 1.88 [1.05, 2.78] | 9.52 [5.98, 12.83] | 0.67 [0.27, 1.16] |" in overall
    assert "| accuracy | 97.4% [96.1, 98.2%] | 73.6% | - |" in overall
    row = actions.splitlines()[-1]
    assert row.startswith("| run | 100.0% (99.0%) | - (-) |")
    assert "| 81 (66) |" in row
    assert athletes.splitlines()[-1] == "| run | speed, m/s | 0.38 [0.19, 0.59] | 0.90 | - |"


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("{}", [], "not a report.json"),
        ("[", [], "not a report.json"),
        (json.dumps(FACTS), ["--set", "other"], "--set other: the report has own"),
    ],
)
def test_what_it_cannot_show_is_told_in_one_line(tmp_path, text, arguments, message):
    (tmp_path / "report.json").write_text(text)
    answer = printed(tmp_path / "report.json", *arguments)
    assert answer.returncode == 2
    assert answer.stderr.count("\n") == 1
    assert message in answer.stderr
