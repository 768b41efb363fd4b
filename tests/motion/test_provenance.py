"""What files that become one say of where their clips come from."""

import numpy as np
import pytest

from motiongan.motion.provenance import merged_provenance

PROVENANCE = {"checkpoint": "abc", "seed": 7, "training_data": "def", "config": "{}"}


@pytest.mark.parametrize(
    ("first", "second", "merged"),
    [
        ({"held_out": '["anna", "ben"]'}, {"held_out": '["ben"]'}, {"held_out": '["ben"]'}),
        ({"held_out": '["anna", "ben"]'}, {"subjects": '["ben"]'}, {"held_out": '["anna"]'}),
        ({"held_out": '["anna", "ben"]'}, {}, {"held_out": "[]"}),
        ({"subjects": '["ben"]'}, {}, {"held_out": "[]"}),  # ben was seen, and anybody else may be
        ({"subjects": '["ben"]'}, {"subjects": "[]"}, {"subjects": '["ben"]'}),
        ({"subjects": '["a"]; ["b"]'}, {"held_out": "anna, ben"}, {}),  # as merges once said; not JSON
        ({}, {}, {}),
    ],
)
def test_what_merged_files_say_of_people_is_never_more_than_is_known(first, second, merged):
    told = merged_provenance([{**PROVENANCE, **first}, {**PROVENANCE, **second}], "generated")
    assert {name: told[name] for name in ("subjects", "held_out") if name in told} == merged


def test_a_merge_claims_no_gate_that_not_all_passed_and_no_making_that_is_unknown():
    gated = {**PROVENANCE, "quality_gate": '{"keep": 0.8}', "acceptance_rate": 0.7, "note": np.arange(3)}
    alike = merged_provenance([gated, {**gated, "note": np.arange(3)}], "generated")
    assert (alike["quality_gate"], alike["acceptance_rate"]) == ('{"keep": 0.8}', 0.7)
    for other in (PROVENANCE, {**gated, "quality_gate": '{"keep": 0.5}', "acceptance_rate": 0.4}):
        assert not {"quality_gate", "acceptance_rate"} & set(merged_provenance([gated, other], "generated"))
    lacking = {name: value for name, value in PROVENANCE.items() if name != "config"}
    assert merged_provenance([lacking], "generated")["config"] == "unknown"
    assert merged_provenance([lacking, PROVENANCE], "generated")["config"] == f"unknown; {PROVENANCE['config']}"


def test_a_merge_names_all_clips_that_some_quality_gate_compared_with():
    first, second = ({**PROVENANCE, "selected_by": each} for each in ("abc", "def"))
    assert merged_provenance([first, second], "generated")["selected_by"] == "abc; def"
    assert merged_provenance([PROVENANCE, second, second], "generated")["selected_by"] == "def"
    assert "selected_by" not in merged_provenance([first, {}], "captured")
