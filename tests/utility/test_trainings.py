from dataclasses import replace

import pytest
import torch

from motiongan.utility.experiment import Experiment
from motiongan.utility.lifter import LifterConfig
from motiongan.utility.perturbation import Perturbation
from motiongan.utility.posing import PosedClips
from motiongan.utility.rows import Row
from motiongan.utility.trainings import Trainings

FEW, BOTH = Row("few", "few"), Row("few + both", "few", "synthetic", perturbed=True)


class Counted:
    """A task whose results tell what they were made of; it notes every training."""

    def __init__(self, facts=None):
        self.told, self.trained = facts or {}, []

    def facts(self, row):
        return {"real": row.real, "extra": row.extra, **self.told}

    def train(self, row, seed):
        self.trained.append((row.name, seed))
        return torch.tensor([len(row.name) / 3, seed / 7], dtype=torch.float64)


def posed(seed):
    joints = torch.randn(40, 17, 3, generator=torch.Generator().manual_seed(seed))
    return PosedClips(joints, torch.tensor([0]), torch.tensor([40]), torch.tensor([0]))


def test_what_is_kept_is_found_bit_for_bit_and_not_trained_again(tmp_path):
    first, second = Counted(), Counted()
    made = Trainings(first, [FEW, BOTH], [0, 1], tmp_path).run()
    again = Trainings(second, [FEW, BOTH, Row("other", "other")], [0, 1, 2], tmp_path)
    assert (len(again), len(again.results)) == (9, 4)
    found = again.run()
    assert second.trained == [("other", 0), ("other", 1), ("few", 2), ("few + both", 2), ("other", 2)]
    assert torch.equal(found["few + both"][:2], made["few + both"])
    assert found["few + both"].tolist() == [[10 / 3, seed / 7] for seed in range(3)]


def test_each_result_is_kept_before_the_next_training_begins(tmp_path):
    kept = []
    Trainings(Counted(), [FEW], [0, 1, 2], tmp_path).run(on_done=lambda: kept.append(len(list(tmp_path.iterdir()))))
    assert kept == [1, 2, 3]


def test_a_row_of_another_name_that_means_the_same_training_is_found_and_other_facts_are_not(tmp_path):
    Trainings(Counted(), [FEW], [0], tmp_path).run()
    assert not Trainings(Counted(), [Row("another name", "few")], [0], tmp_path).missing
    assert Trainings(Counted({"steps": 5}), [FEW], [0], tmp_path).missing
    assert Trainings(Counted(), [FEW], [1], tmp_path).missing
    assert Trainings(Counted(), [FEW], [0]).missing


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_kept_result_that_cannot_be_read_is_trained_anew_and_replaced(tmp_path, damage):
    Trainings(Counted(), [FEW], [0], tmp_path).run()
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-5] if damage is None else damage)
    task = Counted()
    Trainings(task, [FEW], [0], tmp_path).run()
    assert task.trained == [("few", 0)]
    assert file.read_bytes() == whole


def test_a_lifters_training_is_another_one_when_anything_that_it_depends_on_changes():
    base = Experiment({"few": posed(0), "synthetic": posed(1)}, posed(2), LifterConfig(), 30.0)
    same = Experiment({"few": posed(0), "synthetic": posed(1), "more": posed(3)}, posed(2), LifterConfig(), 30.0)
    assert same.facts(BOTH) == base.facts(BOTH)
    for other in (
        replace(base, test=posed(4)),
        replace(base, sources={"few": posed(5), "synthetic": posed(1)}),
        replace(base, sources={"few": posed(0), "synthetic": posed(5)}),
        replace(base, config=LifterConfig(steps=7)),
        replace(base, config=LifterConfig(share=0.3)),
        replace(base, perturbation=Perturbation(mirror=0.4)),
        replace(base, frame_rate=25.0),
    ):
        assert other.facts(BOTH) != base.facts(BOTH)
    assert base.facts(replace(BOTH, perturbed=False)) != base.facts(BOTH)
    assert base.facts(replace(BOTH, extra=None)) != base.facts(BOTH)
    # A row without a mixture, or without perturbation, does not depend on how these are made.
    assert replace(base, config=LifterConfig(share=0.3)).facts(FEW) == base.facts(FEW)
    assert replace(base, perturbation=Perturbation(mirror=0.4)).facts(FEW) == base.facts(FEW)
