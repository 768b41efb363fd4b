"""The examples, run as they stand, on data as small as they get."""

import importlib.util
import pickle
import runpy
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from motiongan.exports.exporting import export_motion
from motiongan.motion.store import write_clips

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    specification = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, name, module)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def files(tmp_path, make_clip) -> tuple[Path, Path]:
    """Two motion files, real and synthetic, of two actions each."""
    paths = []
    for name, seeds in (("amass", range(4)), ("aug", range(4, 8))):
        clips = [make_clip(seed, num_frames=40, action=("walk", "squat")[seed % 2]) for seed in seeds]
        write_clips(tmp_path / f"{name}.h5", clips, kind="sample")
        paths.append(tmp_path / f"{name}.h5")
    return paths[0], paths[1]


def test_the_lifter_learns_from_both_files_and_repeats_itself(files, monkeypatch):
    lifter = load("lifter", monkeypatch)
    real, synthetic = map(str, files)
    model, errors = lifter.train(real, synthetic, steps=30, batch_size=8, channels=32)
    assert np.mean(errors[-5:]) < 0.7 * np.mean(errors[:5])
    again = lifter.train(real, synthetic, steps=2, batch_size=4, channels=8)[1]
    assert lifter.train(real, synthetic, steps=2, batch_size=4, channels=8)[1] == again
    assert lifter.train(real, None, steps=2, batch_size=4, channels=8)[1] != again
    model.eval()
    keypoints, confidence, target = lifter.observe(torch.randn(2, 27, 17, 3), torch.Generator().manual_seed(0))
    assert model(keypoints, confidence).shape == target.shape == (2, 17, 3)
    # The middle frame's estimate depends on the first and on the last of the 27 frames, as the kernels reach.
    for frame in (0, 26):
        changed = keypoints.clone()
        changed[:, frame] += 1
        assert not torch.equal(model(changed, confidence), model(keypoints, confidence))


def test_the_lifters_command_prints_its_progress(files, monkeypatch, capsys):
    arguments = ["lifter.py", "--real", str(files[0]), "--synthetic", str(files[1]), "--steps", "2"]
    monkeypatch.setattr(sys, "argv", arguments)
    load("lifter", monkeypatch).main()
    assert capsys.readouterr().out.count(" mm\n") == 2


def test_the_mmpose_configuration_reads_the_exported_files(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    for path, root in zip(files, ("data/real", "data/synthetic")):
        export_motion([path], "mmpose", root)
    config = runpy.run_path(str(EXAMPLES / "mmpose_combined.py"))
    combined = config["train_dataloader"]["dataset"]
    assert combined["type"] == "CombinedDataset"
    assert len(combined["datasets"]) == len(combined["sample_ratio_factor"]) == 2
    for dataset in combined["datasets"]:
        root = Path(dataset["data_root"])
        # np.load as MMPose's BaseMocapDataset calls it: nothing in the annotations is a pickle.
        annotations = np.load(root / dataset["ann_file"])
        count = len(annotations["imgname"])
        assert annotations["S"].shape == (count, config["model"]["head"]["num_joints"], 4)
        assert annotations["part"].shape == (count, 17, 3)
        assert len(annotations["center"]) == len(annotations["scale"]) == count
        cameras = pickle.loads((root / dataset["camera_param_file"]).read_bytes())
        # MMPose's Human36mDataset._parse_h36m_imgname.
        for name in annotations["imgname"]:
            subject, rest = Path(name).name.split("_", 1)
            camera = rest.split(".", 1)[1].split("_", 1)[0]
            assert (subject, camera) in cameras
    assert config["model"]["backbone"]["in_channels"] == 2 * 17
    assert 3 ** len(config["model"]["backbone"]["kernel_sizes"]) == combined["datasets"][0]["seq_len"] == 27


def test_the_lightning_module_trains_on_a_stream(tiny_data_file, tiny_model, monkeypatch, tmp_path):
    lightning = pytest.importorskip("lightning", reason="lightning is not installed: pip install lightning")
    module = load("lightning_lifter", monkeypatch)
    model = module.LightningLifter(channels=16)
    before = [parameter.clone() for parameter in model.parameters()]
    trainer = lightning.Trainer(
        max_steps=3, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, use_distributed_sampler=False, default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(model, module.MixedMotion(str(tiny_data_file), str(tiny_model), batch_size=8))
    assert trainer.global_step == 3
    assert 0 < float(trainer.logged_metrics["mpjpe_mm"]) < 5000
    assert any(not torch.equal(old, new) for old, new in zip(before, model.parameters()))


def test_lightning_processes_draw_different_cameras_and_can_be_spawned(monkeypatch):
    pytest.importorskip("lightning", reason="lightning is not installed: pip install lightning")
    module = load("lightning_lifter", monkeypatch)

    def draw(seed: int = 0, rank: int = 0, epoch: int = 0) -> float:
        model = module.LightningLifter(channels=8, seed=seed)
        sent = pickle.loads(pickle.dumps(model))  # as to a process that is started by spawn
        with monkeypatch.context() as patched:
            patched.setattr(module.LightningLifter, "global_rank", rank)
            patched.setattr(module.LightningLifter, "current_epoch", epoch)
            sent.on_train_epoch_start()
        return float(torch.rand((), generator=sent.draws))

    different = [draw(), draw(seed=1), draw(rank=1), draw(epoch=1), draw(rank=1, epoch=1)]
    assert len(set(different)) == len(different)
    assert draw(rank=1) == draw(rank=1)
