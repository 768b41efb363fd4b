"""A whole run of `motiongan render`: checks, worker processes, progress, resumption, and the files about all scenes."""

import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np
import torch

from motiongan.body.smpl import load_body
from motiongan.errors import MotionganError
from motiongan.files import remove_leftovers
from motiongan.motion.store import MotionFile
from motiongan.rendering import annotations, bedlam, coco, images, manifest, meshes, shards, video
from motiongan.rendering.frames import stem
from motiongan.rendering.rendering import FORMATS, RenderOptions, SceneRenderer, choose_frames, scene_name
from motiongan.rendering.scenes import check_scene
from motiongan.rendering.textures import check_textures
from motiongan.rendering.warp_runtime import check_device

_OWN_FOLDERS = (*images.FOLDERS, bedlam.FOLDER, video.FOLDER, meshes.FOLDER, shards.FOLDER)
_OWN_FILES = (coco.FILE, manifest.FILE)


@dataclass(frozen=True)
class RunSummary:
    """scenes and frames of the run as it now is; how many scenes an earlier run had finished; notices for the user."""

    scenes: int
    frames: int
    resumed: int
    notices: tuple[str, ...]


def render_run(
    motion: str | Path,
    folder: str | Path,
    options: RenderOptions,
    *,
    body: str | Path | None = None,
    clips: Sequence[int] | None = None,
    workers: int = 1,
    device: str = "cpu",
    resume: bool = False,
    force: bool = False,
    samples_per_shard: int = 0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> RunSummary:
    """Render clips of a motion file into a folder.

    clips        numbers of the clips, None = all
    samples_per_shard   also pack the frames into WebDataset shards of this size; 0 = no
    on_progress  called with frames done and frames in all
    Raises MotionganError for all that can be mended: options, body file, pictures, folder.
    """
    folder = Path(folder)
    _check_options(options, workers)
    pictures = check_scene(options.scene) if options.scene != "mixed" else []
    if options.form != "meshes":
        check_device(device)
        annotations.check_annotations()
    if options.form in ("video", "both"):
        video.check_video()
    if samples_per_shard and options.form not in ("frames", "both"):
        raise MotionganError(f"--shards need frames; --format {options.form} writes none")
    notices: list[str] = []
    loaded = load_body(body)
    if options.texture is not None:
        check_textures(options.texture, loaded)
    with MotionFile(motion) as file:
        chosen = _usable(file, clips, notices)
        counts = {index: _count_frames(file, index, options) for index in chosen}
        actions = {index: _action(file, index) for index in chosen}
        if file.body_model != loaded.name:
            notices.append(f"{motion}: its body shapes are for {file.body_model}, drawn with the mean of {loaded.name}")
        if options.people > 1 and len(file) < 2:
            raise MotionganError(f"--people {options.people}: {motion} has only one clip")
        facts = manifest.Manifest(
            source=manifest.describe_source(file.path, file.attributes),
            body=manifest.describe_body(body, loaded),
            seed=options.seed,
            options={**options.as_dict(), "clips": "all" if clips is None else _ranges(chosen)},
        )
        licence = " and ".join(filter(None, [str(file.attributes.get("licence", "")), facts.body.licence]))
    _prepare_folder(folder, resume=resume, force=force)
    manifest.start_manifest(folder, facts, resume=resume)

    arguments = (Path(motion), folder, body, options, device, pictures)
    total = sum(counts.values())
    progress = _Progress(total, on_progress)
    done_before = _done_before(folder, options, actions)
    progress.add(sum(counts[index] for index in done_before))
    left = [index for index in chosen if index not in done_before]
    if workers <= 1 or len(left) <= 1:
        _render_here(arguments, left, progress)
    else:
        _render_in_processes(arguments, left, counts, min(workers, len(left)), progress)

    if options.form == "meshes":
        manifest.write_json(folder / manifest.FILE, {**manifest.read_manifest(folder), "complete": True})
    else:
        coco.write_coco(folder, licence=licence, description=f"rendered from {facts.source.file}")
        if samples_per_shard:
            generator = np.random.default_rng(options.seed)
            shards.write_shards(folder, generator=generator, samples_per_shard=samples_per_shard)
        manifest.finish_manifest(folder, facts)  # last: it says that all is there
    return RunSummary(len(chosen), total, len(done_before), tuple(notices))


class _Progress:
    def __init__(self, total: int, show: Callable[[int, int], None]) -> None:
        self.done, self._total, self._show = 0, total, show

    def add(self, frames: int) -> None:
        self.done += frames
        self._show(self.done, self._total)


def _check_options(options: RenderOptions, workers: int) -> None:
    if options.form not in FORMATS:
        raise MotionganError(f"--format {options.form}: expected one of {', '.join(FORMATS)}")
    limits = (("size", options.size, 16, 4096), ("views", options.views, 1, 64), ("people", options.people, 1, 60))
    for name, value, low, high in limits:
        if not low <= value <= high:
            raise MotionganError(f"--{name} {value}: expected {low} to {high}")
    if options.size % 2:
        raise MotionganError(f"--size {options.size}: expected an even number of pixels")
    if options.seed < 0:
        raise MotionganError(f"--seed {options.seed}: expected 0 or more")
    if options.frame_rate is not None and not 0 < options.frame_rate <= 1000:
        raise MotionganError(f"--fps {options.frame_rate:g}: expected a rate above 0 Hz, up to 1000")
    if workers < 1:
        raise MotionganError(f"--workers {workers}: expected 1 or more")
    choose_frames(options.frames, 1)


def _usable(file: MotionFile, clips: Sequence[int] | None, notices: list[str]) -> list[int]:
    """The chosen clips that have frames, in the file's order."""
    wanted = range(len(file)) if clips is None else sorted(set(clips))
    for index in wanted:
        if not 0 <= index < len(file):
            raise MotionganError(f"--clips {index}: {file.path} has {len(file)} clips, numbered from 0")
    usable = [index for index in wanted if file.lengths[index] > 0]
    if len(usable) < len(wanted):
        notices.append(f"{file.path}: {len(wanted) - len(usable)} clips have no frames and are left out")
    if not usable:
        raise MotionganError(f"{file.path}: no clips to render")
    return usable


def _count_frames(file: MotionFile, index: int, options: RenderOptions) -> int:
    length = int(file.lengths[index])
    if options.frame_rate is not None and length > 1 and options.frame_rate != file.frame_rate:
        length = int(np.floor((length - 1) * options.frame_rate / file.frame_rate + 1e-6)) + 1
    return len(choose_frames(options.frames, length)) * (options.views if options.form != "meshes" else 1)


def _action(file: MotionFile, index: int) -> str | None:
    action = int(file.action_ids[index])
    return file.actions[action] if action >= 0 else None


def _done_before(folder: Path, options: RenderOptions, actions: dict[int, str | None]) -> set[int]:
    """The scenes that an earlier run has finished."""
    done = set()
    for index, action in actions.items():
        name = scene_name(index, action)
        if options.form == "meshes":
            complete = meshes.mesh_path(folder, name).is_file()
        else:
            complete = all(bedlam.is_complete(folder, stem(name, view)) for view in range(options.views))
        if complete:
            done.add(index)
    return done


def _prepare_folder(folder: Path, *, resume: bool, force: bool) -> None:
    """Make the folder, see that it can be written to, and that nothing of value is in the way."""
    if folder.exists() and not folder.is_dir():
        raise MotionganError(f"{folder}: is a file; give a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{os.getpid()}.part"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise MotionganError(f"{folder}: cannot be written to ({(error.strerror or str(error)).lower()})") from None
    is_render = (folder / manifest.FILE).is_file()
    if force:
        foreign = [] if is_render else [name for name in _OWN_FOLDERS if (folder / name).exists()]
        if foreign:  # somebody's pictures, perhaps: not ours to throw away
            raise MotionganError(
                f"{folder / foreign[0]}: is in the way, and of no render that --force replaces; move it"
            )
        for name in _OWN_FOLDERS:
            shutil.rmtree(folder / name, ignore_errors=True)
        for name in _OWN_FILES:
            (folder / name).unlink(missing_ok=True)
    elif not is_render and any(folder.iterdir()):
        raise MotionganError(
            f"{folder}: holds other files; give an empty folder, or --force to put the render beside them"
        )
    if resume:
        remove_leftovers(folder)


def _ranges(numbers: Sequence[int]) -> str:
    """Numbers as text, runs of them short: "0-4,7"."""
    parts: list[str] = []
    start = previous = numbers[0]
    for number in [*numbers[1:], -1]:
        if number != previous + 1:
            parts.append(str(start) if start == previous else f"{start}-{previous}")
            start = number
        previous = number
    return ",".join(parts)


def _render_here(arguments: tuple[Any, ...], chosen: Sequence[int], progress: _Progress) -> None:
    if not chosen:
        return
    renderer = _make_renderer(*arguments)
    with MotionFile(renderer.motion) as file:
        for index in chosen:
            before = 0
            for written in renderer.render_scene(file, index):
                progress.add(written - before)
                before = written


def _make_renderer(
    motion: Path, folder: Path, body: Path | None, options: RenderOptions, device: str, pictures: list[Path]
) -> SceneRenderer:
    return SceneRenderer(motion, folder, body, options, device=device, pictures=pictures)


# -- worker processes --------------------------------------------------------------------------------------------------

# What a worker process holds: its renderer, its own handle of the motion file (HDF5 handles do not survive a fork),
# and the sign to stop.
_worker: tuple[SceneRenderer, MotionFile, Event] | None = None


class _Stopped(Exception):
    """The parent is ending: leave the scene unfinished, without half-written files."""


def _start_worker(arguments: tuple[Any, ...], stop: Event) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which tells us by the event
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    renderer = _make_renderer(*arguments)
    _worker = (renderer, MotionFile(renderer.motion), stop)


def _end_with_parent() -> None:
    """Without this, the workers of a parent that was killed would wait for scenes for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "called in a worker"
    parent.join()
    os._exit(1)


def _worker_context() -> multiprocessing.context.BaseContext:
    """Workers are forked from a server process that has imported this module and nothing more has happened in.

    Imports cost each worker four seconds of CPU otherwise. Where there is no such server, workers start from nothing.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _render_in_worker(index: int) -> int:
    assert _worker is not None, "the pool's initializer has run"
    renderer, file, stop = _worker
    for _ in renderer.render_scene(file, index):
        if stop.is_set():
            raise _Stopped
    return index


def _render_in_processes(
    arguments: tuple[Any, ...], chosen: Sequence[int], counts: dict[int, int], workers: int, progress: _Progress
) -> None:
    """Render scenes in several processes. The first error, Ctrl-C included, stops all of them after their piece."""
    context = _worker_context()
    stop = context.Event()
    with ProcessPoolExecutor(workers, context, _start_worker, (arguments, stop)) as pool:
        # Long clips first, so that no process is left alone with one at the end.
        waiting: set[Future[int]] = set()
        try:
            for index in sorted(chosen, key=lambda index: -counts[index]):
                waiting.add(pool.submit(_render_in_worker, index))
            while waiting:
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in finished:
                    progress.add(counts[future.result()])
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
