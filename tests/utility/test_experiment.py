import torch

from motiongan.utility.experiment import Experiment
from motiongan.utility.lifter import LifterConfig
from motiongan.utility.posing import PosedClips
from motiongan.utility.rows import CONTROLS, Row, make_rows
from motiongan.utility.trainings import Trainings


def clips(seed):
    draw = torch.Generator().manual_seed(seed)
    joints = (0.3 * torch.randn(2, 1, 17, 3, generator=draw) + torch.tensor([0.0, 0.0, 1.0])).expand(-1, 30, -1, -1)
    return PosedClips(joints.flatten(0, 1), torch.tensor([0, 30]), torch.tensor([30, 30]), torch.tensor([0, 1]))


def experiment():
    config = LifterConfig(width=8, steps=3, batch=4, looks=2)
    return Experiment({"few": clips(0), "all": clips(1), "copies": clips(0)}, clips(2), config, 30.0)


def test_every_row_and_seed_has_an_error_of_every_test_clip_and_rows_of_one_seed_pair():
    done = []
    rows = [Row("few", "few"), Row("again", "few"), Row("all", "all")]
    errors = Trainings(experiment(), rows, [0, 1]).run(on_done=lambda: done.append(1))
    assert {name: tuple(table.shape) for name, table in errors.items()} == dict.fromkeys(
        ("few", "again", "all"), (2, 2, 4)
    )
    assert len(done) == 6
    assert torch.equal(errors["few"], errors["again"])
    assert not torch.equal(errors["few"], errors["all"])
    assert not torch.equal(errors["few"][0], errors["few"][1])


def test_workers_find_what_one_process_finds():
    rows = [Row("both", "few", "copies", perturbed=True)]
    alone, shared = (Trainings(experiment(), rows, [0, 1]).run(jobs=jobs)["both"] for jobs in (1, 2))
    assert torch.equal(alone, shared)


def test_the_rows_are_those_of_the_protocol():
    names = [row.name for row in make_rows(synthetic=True)]
    assert names == [
        "few", "few + perturbation", "few + synthetic", "few + both", "synthetic only", "all real",
        "all real + perturbation",
    ]  # fmt: skip
    by_name = {row.name: row for row in make_rows(synthetic=True, controls=list(CONTROLS), left_out="kick")}
    assert by_name["few + both"] == Row("few + both", "few", "synthetic", perturbed=True)
    assert by_name["synthetic only"].real is None
    assert by_name["few with kick + perturbation"].real == "few with it"
    assert by_name["control: few + copies"].extra == "copies"
