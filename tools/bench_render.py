"""Frames a second of the renderer, and what shadows, supersampling and people cost.

python tools/bench_render.py [--sizes 256,512] [--frames 4] [--workers N] [--device cpu] [--others] [--out FILE.json]

One process on one thread, then one process a core. A frame is everything: skinning, colour with 2 x 2 samples a pixel,
two lights and soft shadows, depth, instance mask, part mask, normals, on a running track; writing files is measured
apart. Where pyvista or pyrender can be imported (by `--other-python`, if not by this one) they draw the same meshes,
already skinned, from the same camera, in one colour on a plain ground: colour and depth, one light, with and without
its shadow; and "all": with the body's parts and normals too, in passes of their own. Below each of their lines stand
ours on the same meshes and a plain ground, as many samples a pixel, always with all buffers and both lights.
The two take turns, so that a machine that is busy at times is so for both.
"""

import argparse
import json
import multiprocessing
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from motiongan.body.smpl import Body, load_body
from motiongan.rendering.appearance import Landmarks, draw_looks
from motiongan.rendering.camera import Camera, intrinsics_of, look_at
from motiongan.rendering.images import FOLDERS, depth_to_millimetres, png_bytes
from motiongan.rendering.rasterizer import Buffers, Quality, Rasterizer
from motiongan.rendering.scenes import draw_scene

_SECONDS = 1.5  # for each figure
_STRIDE = 1.0  # metres between people
_TURNS = 3  # of another renderer and ours
# Other renderers: name, samples along the side of a pixel, shadows, annotations. pyrender always takes 4 samples.
_OTHERS = (
    *(("pyvista", 1, False, False), ("pyvista", 1, True, False), ("pyvista", 2, True, False)),
    *(("pyvista", 1, True, True), ("pyvista", 2, True, True)),
    *(("pyrender", 2, False, False), ("pyrender", 2, True, False), ("pyrender", 2, True, True)),
)


class Subject:
    """People who swing their limbs before a camera that sees them from head to foot."""

    def __init__(self, size: int, frames: int, people: int, device: str, scene: str = "track") -> None:
        self.body: Body = load_body()
        random = np.random.default_rng(0)
        self.frames, self.people = frames, people
        swing = 0.25 * torch.from_numpy(random.standard_normal((people, frames, 24, 3)).astype(np.float32))
        swing[:, :, 0] = torch.tensor([np.pi / 2, 0.0, 0.0])
        self.poses = swing
        self.trans = torch.zeros(people, frames, 3)
        self.trans[..., 2] = 1.2
        self.trans[..., 0] = (torch.arange(people)[:, None] - (people - 1) / 2) * _STRIDE
        self.trans[..., 1] = (torch.arange(people)[:, None] % 2) * _STRIDE
        reach = 2.9 + 1.0 * (people - 1)
        rotation, translation = look_at(
            torch.tensor([[0.3, -reach, 1.6]]).expand(frames, 3), torch.tensor([[0.0, 0.0, 0.95]]).expand(frames, 3)
        )
        k = intrinsics_of(1.2 * size, size, size).expand(frames, 3, 3)
        self.camera = Camera(k, rotation, translation, size, size)
        self.rasterizer = Rasterizer.of_body(self.body, device=device)
        looks = draw_looks(["neutral"] * people, random=random)
        self.stage = self.rasterizer.stage(
            draw_scene(scene, [], size, size, random=random), looks, Landmarks.of(self.body)
        )

    def vertices(self) -> np.ndarray:
        """(frames, people, vertices, 3): skinning is part of every frame."""
        betas = torch.zeros(self.frames, 10)
        with torch.inference_mode():
            each = [self.body.vertices(self.poses[p], self.trans[p], betas) for p in range(self.people)]
        return torch.stack(each, 1).numpy()

    def render(self, quality: Quality) -> Buffers:
        return self.rasterizer.render(self.stage, [(self.vertices(), self.camera, 1.0)], quality=quality)

    def speed_on_given_meshes(self, quality: Quality) -> tuple[float, float]:
        """Frames a second, wall and CPU, without the skinning."""
        moments = [(self.vertices(), self.camera, 1.0)]
        return frames_per_second(lambda: self.rasterizer.render(self.stage, moments, quality=quality), self.frames)


def frames_per_second(draw: Callable[[], Any], frames: int) -> tuple[float, float]:
    """Frames a second of wall time and of processor time, after a first call that compiles and warms up."""
    draw()
    wall, used, rounds = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - wall < _SECONDS or rounds < 2:
        draw()
        rounds += 1
    return rounds * frames / (time.perf_counter() - wall), rounds * frames / (time.process_time() - used)


def _one_worker(size: int, frames: int, device: str, barrier: Any, results: Any) -> None:
    torch.set_num_threads(1)
    subject = Subject(size, frames, 1, device)
    subject.render(Quality())
    barrier.wait()
    results.put(frames_per_second(lambda: subject.render(Quality()), frames)[0])


def all_cores(size: int, frames: int, device: str, workers: int) -> float:
    """Frames a second of wall time, of all processes together."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(workers), context.Queue()
    processes = [
        context.Process(target=_one_worker, args=(size, frames, device, barrier, results)) for _ in range(workers)
    ]
    for process in processes:
        process.start()
    total = sum(results.get() for _ in processes)
    for process in processes:
        process.join()
    return total


def other_speed(
    name: str, samples: int, shadows: bool, annotations: bool, subject: Subject, python: str
) -> dict[str, float] | str:
    """Frames a second, wall and CPU, of another renderer on the subject's meshes, in a process of its own.

    A text where it does not run: VTK ends the process where the system has no OpenGL.
    """
    script = Path(__file__).with_name("bench_other_renderers.py")
    with tempfile.TemporaryDirectory() as folder:
        meshes = Path(folder) / "meshes.npz"
        np.savez(
            meshes,
            vertices=subject.vertices()[:, 0],
            faces=subject.body.faces.numpy(),
            part=subject.body.part.numpy() + 1,
            size=subject.camera.width,
            focal=subject.camera.intrinsics[0, 0, 0].numpy(),
            position=subject.camera.position[0].numpy(),
            rotation=subject.camera.rotation[0].numpy(),
        )
        command = [python, str(script), str(meshes), name, f"--seconds={_SECONDS}"]
        command += ["--shadows"] * shadows + ["--annotations"] * annotations
        command += ["--supersample"] * (name == "pyvista" and samples > 1)
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"does not run here: {type(error).__name__}"
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"ended by signal {-done.returncode}"]
        return f"does not run here: {said[-1]}"
    return json.loads(done.stdout.splitlines()[-1])


def file_seconds(buffers: Buffers) -> float:
    """Seconds to encode all the files of one frame as PNG."""
    start = time.process_time()
    for kind, name in FOLDERS.items():
        picture = getattr(buffers, name)[0]
        png_bytes(depth_to_millimetres(picture) if kind == "depth" else picture)
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="256,512")
    parser.add_argument("--frames", type=int, default=4, help="frames in one go")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--others", action=argparse.BooleanOptionalAction, default=True, help="pyvista, pyrender")
    parser.add_argument("--other-python", default=sys.executable, metavar="PATH", help="a Python that has them")
    parser.add_argument("--cost", action=argparse.BooleanOptionalAction, default=True, help="of shadows, people, ...")
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    args = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[str, Any] = {"machine": platform.processor() or platform.machine(), "device": args.device}

    print(f"{'':34}{'frames/s':>10}{'per CPU s':>11}{'relative':>10}")
    for size in map(int, args.sizes.split(",")):
        base = Quality()
        cases: list[tuple[str, int, Quality]] = [
            ("all buffers", 1, base),
            ("  without shadows", 1, Quality(shadows=False)),
            ("  one sample a pixel", 1, Quality(samples=1)),
            ("  neither", 1, Quality(samples=1, shadows=False)),
            ("  2 people", 2, base),
            ("  4 people", 4, base),
        ]
        reference = 0.0
        for name, people, quality in cases if args.cost else cases[:1]:
            subject = Subject(size, args.frames, people, args.device)
            wall, used = frames_per_second(lambda s=subject, q=quality: s.render(q), args.frames)
            reference = reference or wall
            results[f"{size} {name.strip()}"] = {"wall": wall, "cpu": used}
            print(f"{f'{size} x {size}, {name}':34}{wall:10.1f}{used:11.1f}{reference / wall:9.2f}x")
        one = Subject(size, args.frames, 1, args.device)
        encoding = file_seconds(one.render(base))
        print(f"{f'{size} x {size},   PNG files of a frame':34}{1e3 * encoding:8.1f} ms")
        if args.workers > 1:
            together = all_cores(size, args.frames, args.device, args.workers)
            results[f"{size} {args.workers} processes"] = together
            print(f"{f'{size} x {size}, {args.workers} processes':34}{together:10.1f}")
        if args.others:
            on_plain_ground = Subject(size, args.frames, 1, args.device, scene="plain")
            for name, samples, shadows, annotations in _OTHERS:
                label = f"{name}, {samples}x{samples}" + ", shadows" * shadows + ", all" * annotations
                quality = Quality(samples=samples, shadows=shadows)
                theirs, ours = [], []
                for _ in range(_TURNS):
                    figure = other_speed(name, samples, shadows, annotations, on_plain_ground, args.other_python)
                    if isinstance(figure, str):
                        break
                    theirs.append((figure["wall"], figure["cpu"]))
                    ours.append(on_plain_ground.speed_on_given_meshes(quality))
                if isinstance(figure, str):
                    results[f"{size} {label}"] = figure
                    print(f"{f'{size} x {size}, {label}':34}  {figure}")
                    continue
                medians = {"theirs": np.median(theirs, 0), "ours": np.median(ours, 0)}
                times = np.median(np.array(ours) / np.array(theirs), 0)
                for side, (wall, used) in medians.items():
                    results[f"{size} {label}, {side}"] = {"wall": wall, "cpu": used}
                results[f"{size} {label}, ours / theirs"] = {"wall": times[0], "cpu": times[1]}
                print(f"{f'{size} x {size}, {label}':34}{medians['theirs'][0]:10.1f}{medians['theirs'][1]:11.1f}")
                print(
                    f"{'  ours, likewise':34}{medians['ours'][0]:10.1f}{medians['ours'][1]:11.1f}"
                    f"   {times[0]:.1f} x in wall time, {times[1]:.1f} x in CPU time"
                )
    if args.out:
        args.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
