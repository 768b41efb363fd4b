"""What the tests of runs share: the data, and a function that trains on it in a folder of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from motiongan.training.dataset import TrainingData, load_training_data
from motiongan.training.run import read_run_config, train

CPU = torch.device("cpu")


@pytest.fixture
def few_statistics(monkeypatch) -> None:
    monkeypatch.setattr("motiongan.training.trainer._STATISTICS_BATCHES", 2)


@pytest.fixture(scope="module")
def data(tiny_data_file, tiny_config) -> TrainingData:
    return load_training_data(tiny_data_file, tiny_config().data)


@pytest.fixture
def run(tmp_path, data, tiny_config) -> Callable[..., Path]:
    """Runs `train` in a folder of that name with overrides of the tests' recipe; returns the folder."""

    def run(name: str, *overrides: str, resume: bool = False, **arguments: object) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        config = read_run_config(folder) if resume else tiny_config(*overrides)
        train(data, config, folder, CPU, resume=resume, **arguments)
        return folder

    return run
