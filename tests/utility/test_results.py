import pytest
import torch

from motiongan.utility.report import action_table, rival_table, row_table, verdicts, write_report
from motiongan.utility.results import LIFTER_MEASURES, RECOGNITION_MEASURES, Results

IDS = torch.tensor([0] * 6 + [1] * 6)
ACTIONS = ["kick", "walk"]
NOISE = torch.randn(4, 2, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
NOISE = (NOISE - NOISE.mean((0, 2), keepdim=True)).flatten(1)


def results(measures=LIFTER_MEASURES, **rows):
    """Rows by name (underscores for what an identifier cannot hold): mean figure of kick and of walk."""
    tables = {}
    for name, (kick, walk) in rows.items():
        tables[NAMES.get(name, name)] = torch.where(IDS == 0, kick, walk) + 0.5 * NOISE
    return Results(dict.fromkeys(measures, tables), IDS, ACTIONS, measures)


NAMES = {
    "perturbed": "few + perturbation",
    "both": "few + both",
    "only": "synthetic only",
    "all_real": "all real",
    "ceiling": "all real + perturbation",
    "gaussian_both": "control: few + perturbation + PCA-Gaussian",
    "gaussian_only": "control: PCA-Gaussian only",
}
ROWS = {"few": (110.0, 110.0), "perturbed": (100.0, 100.0), "all_real": (92.0, 92.0), "ceiling": (90.0, 90.0)}


def test_the_share_of_the_gap_that_is_closed_is_told_for_both_ceilings():
    found = results(**ROWS, both=(96.0, 96.0))
    facts = found.facts()["few + both"]
    assert facts["gap_closed_from_few_and_perturbation"]["value"] == pytest.approx(0.4)
    assert facts["gap_closed_from_few_and_perturbation_to_all_real"]["value"] == pytest.approx(0.5)
    assert facts["gain_over_few_and_perturbation"]["value"] == pytest.approx(0.04, abs=1e-4)
    (line,) = [line for line in verdicts(found) if "gap" in line]
    assert "closes 40 % [40, 40] of the gap from few + perturbation to all real + perturbation" in line
    assert "closes 50 % [50, 50]" in line


def test_a_gap_that_is_not_clear_of_zero_is_not_closed():
    found = results(**{**ROWS, "ceiling": (100.0, 100.0)}, both=(96.0, 96.0))
    assert "gap_closed_from_few_and_perturbation" not in found.facts()["few + both"]
    (line,) = [line for line in verdicts(found) if "gap" in line]
    assert "to all real + perturbation (100.0 to 100.0 mm) is not clear of zero" in line


def test_an_action_that_suffers_beyond_noise_is_named_although_the_mean_gains():
    found = results(**ROWS, both=(104.0, 80.0))
    facts = found.facts()["few + both"]
    assert facts["worse_than_few_and_perturbation"] == ["kick"]
    assert facts["by_action"]["kick"]["against_few_and_perturbation"] == "worse"
    assert facts["by_action"]["walk"]["against_few_and_perturbation"] == "better"
    (line,) = [line for line in verdicts(found) if "action by action" in line]
    assert "worse beyond noise in 1 of 2 (kick), better in 1" in line
    kick = action_table(found)[1]
    assert [cell.endswith(", worse)") for cell in kick[2:]] == [True, False, False, False, True]  # few; few + both


def test_a_difference_smaller_than_its_noise_is_neither_better_nor_worse():
    errors = {"few + perturbation": 100 + 0.5 * NOISE, "few + both": 99.5 + 5 * NOISE.flip(1)}
    found = Results({"mpjpe": errors}, IDS, ACTIONS, {"mpjpe": LIFTER_MEASURES["mpjpe"]})
    assert found.verdict(found.gain("few + both", "few + perturbation")) == "within noise"
    assert found.actions_with("worse", "few + both") == []
    one = Results({"mpjpe": {row: table[:1, :1] for row, table in errors.items()}}, IDS[:1], ACTIONS, found.measures)
    assert one.verdict(one.gain("few + both", "few + perturbation")) == ""  # one seed and one clip do not tell


def test_every_row_is_set_against_its_own_kind_of_pca_gaussian():
    found = results(
        **ROWS, both=(95.0, 95.0), only=(120.0, 120.0), gaussian_both=(100.0, 100.0), gaussian_only=(100, 100)
    )
    heading, both, only = rival_table(found)
    assert heading == ["trained on", "against", "lower MPJPE", "lower PA-MPJPE", "lower N-MPJPE", "lower velocity"]
    assert both[:2] == ["few + both", "control: few + perturbation + PCA-Gaussian"]
    assert all(cell.startswith("+5.0 %") and cell.endswith(" better") for cell in both[2:])
    assert all(cell.startswith("-20.0 %") and cell.endswith(" worse") for cell in only[2:])
    assert found.facts()["few + both"]["gain_over_rival"]["n_mpjpe"]["verdict"] == "better"
    assert rival_table(results(**ROWS, both=(95.0, 95.0))) == []


def test_of_accuracy_more_is_better(tmp_path):
    accuracies = {"few": (0.5, 0.5), "only": (0.45, 0.45), "gaussian_only": (0.3, 0.3), "all_real": (0.9, 0.9)}
    tables = {
        NAMES.get(name, name): torch.where(IDS == 0, *each) * (1 + 0.01 * NOISE) for name, each in accuracies.items()
    }
    found = Results({"accuracy": tables}, IDS, ACTIONS, RECOGNITION_MEASURES)
    told = verdicts(found)
    assert told[0].startswith("synthetic only: 90 % [90, 90] of the accuracy of few, 50 % [50, 50] of the accuracy of")
    assert told[1] == "synthetic only: 150 % [150, 150] of the accuracy of control: PCA-Gaussian only: better"
    assert found.actions_with("worse", "synthetic only") == ["kick", "walk"]
    write_report(tmp_path, found, {"task": "recognition"}, ["a note"])
    page = (tmp_path / "report.md").read_text()
    assert page.index("a note") < page.index(told[0]) < page.index("## All rows") < page.index("## Against the PCA")
    assert row_table(found)[2][-1] == "90 % [90, 90]"
