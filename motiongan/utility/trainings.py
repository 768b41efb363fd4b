"""The trainings of a benchmark, in one process or several; each result is kept as it comes and never made twice."""

import hashlib
import json
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from motiongan.errors import MotionganError
from motiongan.files import write_whole
from motiongan.utility.rows import Row

FOLDER_NAME = "trainings"  # beside a report, of the results that it was made from


@runtime_checkable
class Task(Protocol):
    """What is trained and tested; it travels to worker processes."""

    def facts(self, row: Row) -> dict[str, Any]:
        """All that the row's results depend on, but for the seed and the version of torch; for JSON."""

    def train(self, row: Row, seed: int) -> Tensor:
        """Train as the row says and test: one figure of every test clip, or several (clips, figures)."""


class Trainings:
    """A training of every row with every seed. Those whose results lie in a folder are not done again.

    A file is named by the hash of the task's facts, so other rows and other runs find it if they mean the same
    training. One that cannot be read is trained anew and replaced.
    """

    def __init__(self, task: Task, rows: Sequence[Row], seeds: Sequence[int], folder: Path | None = None) -> None:
        """Find what is there; without a folder nothing is found and nothing kept."""
        self.task, self.rows, self.seeds, self.folder = task, list(rows), list(seeds), folder
        self.results: dict[tuple[str, int], Tensor] = {}
        self.missing: list[tuple[Row, int]] = []
        for seed in seeds:  # one seed after another: a run that ends early has as many of every row
            for row in rows:
                found = None if folder is None else self._read(self._path(row, seed))
                if found is None:
                    self.missing.append((row, seed))
                else:
                    self.results[row.name, seed] = found

    def __len__(self) -> int:
        return len(self.rows) * len(self.seeds)

    def run(self, *, jobs: int = 1, on_done: Callable[[], None] = lambda: None) -> dict[str, Tensor]:
        """Train what is missing; results by the row's name, the seeds first. They do not depend on `jobs`.

        jobs      processes that train
        on_done   called after every training, when its result is kept
        """
        with closing(_results(self.task, self.missing, jobs)) as results:
            for row, seed, result in results:
                if self.folder is not None:
                    self._write(row, seed, result)
                self.results[row.name, seed] = result
                on_done()
        return {row.name: torch.stack([self.results[row.name, seed] for seed in self.seeds]) for row in self.rows}

    def _facts(self, row: Row, seed: int) -> str:
        return json.dumps({**self.task.facts(row), "seed": seed, "torch": str(torch.__version__)}, sort_keys=True)

    def _path(self, row: Row, seed: int) -> Path:
        assert self.folder is not None, "asked for only where there is one"
        return self.folder / f"{hashlib.sha256(self._facts(row, seed).encode()).hexdigest()[:32]}.safetensors"

    def _read(self, path: Path) -> Tensor | None:
        from safetensors import SafetensorError
        from safetensors.torch import load

        try:
            return load(path.read_bytes())["result"]
        except (FileNotFoundError, SafetensorError, KeyError):
            return None

    def _write(self, row: Row, seed: int, result: Tensor) -> None:
        from safetensors.torch import save

        # For people: the name of the file is what counts. One entry, as safetensors has no order of several.
        told = {"training": json.dumps({"row": row.name, **json.loads(self._facts(row, seed))})}
        write_whole(self._path(row, seed), save({"result": result.contiguous()}, told))


def content_hash(*tensors: Tensor) -> str:
    """SHA-256 of the values, shapes and types of tensors."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tuple(tensor.shape)} {tensor.dtype} ".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _results(
    task: Task, wanted: Sequence[tuple[Row, int]], jobs: int
) -> Generator[tuple[Row, int, Tensor], None, None]:
    """Results as they come. Whatever ends this early, Ctrl-C included, ends the worker processes at once."""
    jobs = min(jobs, len(wanted))
    if jobs <= 1:
        for row, seed in wanted:
            yield row, seed, task.train(row, seed)
        return
    others = set(multiprocessing.active_children())
    # Spawned, not forked: torch's threads do not outlive a fork. Pickled here: the tensors of a plain argument would
    # go through shared memory, of which a container often has 64 MB.
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _begin, (pickle.dumps(task),))
    try:
        with _interrupts_wait():  # workers inherit this: Ctrl-C is for us, who end them
            futures = {pool.submit(_train, row, seed): (row, seed) for row, seed in wanted}
        for done in as_completed(futures):
            yield *futures[done], torch.from_numpy(done.result())
    except BrokenProcessPool:
        raise MotionganError("a training process died, perhaps for want of memory; give a smaller --jobs") from None
    except BaseException:
        for worker in set(multiprocessing.active_children()) - others:
            worker.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Ctrl-C takes effect when the block ends; processes started in it never see one."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_task: Task | None = None  # of a worker process


def _begin(pickled: bytes) -> None:
    """In a worker process: take the task over from the process that started it."""
    global _task
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    _task = pickle.loads(pickled)


def _end_with_parent() -> None:
    """Without this, the workers of a parent that was killed would wait for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "called in a worker"
    parent.join()
    os._exit(1)


def _train(row: Row, seed: int) -> Any:
    """The result as an array, which travels by value."""
    assert _task is not None, "_begin comes first"
    return _task.train(row, seed).numpy()
