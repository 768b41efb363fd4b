"""The Python of docs/augmentation.md, run as it stands there, one block after another."""

import re
import shutil
from pathlib import Path

import torch

from motiongan.motion.store import write_clips

PAGE = Path(__file__).parents[2] / "docs" / "augmentation.md"


def test_the_pages_python_runs_and_gives_the_shapes_it_tells(tmp_path, monkeypatch, make_clip, tiny_model):
    monkeypatch.chdir(tmp_path)
    for name, seeds in (("amass", range(4)), ("aug", range(4, 8))):
        clips = [make_clip(seed, num_frames=100, action=("run", "squat")[seed % 2]) for seed in seeds]
        write_clips(tmp_path / f"{name}.h5", clips, kind="sample")
    shutil.copy(tiny_model, "model.safetensors")
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 5
    names: dict[str, object] = {}
    for block in blocks:
        # The tests' model knows walk, squat and kicks; worker processes are tested elsewhere.
        exec(
            compile(block.replace('"run,squat"', '"walk,squat"').replace(", num_workers=2", ""), str(PAGE), "exec"),
            names,
        )
        if block is blocks[1]:
            assert names["joints"].shape == names["targets"].shape == (64, 27, 17, 3)
            assert names["inputs"].abs().max() <= 1.3
        if block is blocks[2]:
            assert names["hidden"].shape == (4, 27, 17)
            assert names["hidden"].dtype == torch.bool
        if block is blocks[3]:
            assert names["batch"]["h36m17"].shape == (64, 27, 17, 3)
            assert names["batch"]["is_synthetic"].sum() == 32
    first, again = (next(iter(names["alone"])), next(iter(names["alone"])))
    assert torch.equal(first["h36m17"], again["h36m17"])
    names["stream"].set_epoch(5)
    assert not torch.equal(next(iter(names["alone"]))["h36m17"], first["h36m17"])
