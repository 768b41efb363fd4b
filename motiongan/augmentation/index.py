"""Window number -> place in a file: some numbers for each clip, none for each window or frame."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from motiongan.errors import MotionganError, did_you_mean
from motiongan.motion.actions import select_actions
from motiongan.motion.clip import LESS_IS_BETTER
from motiongan.motion.store import OpenMotionFile

_CLIPS_AT_ONCE = 65536  # whose subjects are compared


class WindowIndex:
    """The windows of the wanted clips of some motion files, counted one clip after another.

    Window k of a clip starts `k * stride` frames into it; frames that fill no window at its end are in none. With
    `pad`, a clip shorter than a window is one window.
    actions      the vocabulary of all files, in the order of their first appearance
    frame_rate   Hz, of all files;  num_frames  of each
    For each wanted clip: `files`, `clips` (numbers in the file), `starts`, `lengths` (frames), `action_ids` (-1: no
    label), and `ends`: how many windows there are up to its last one.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        window: int,
        stride: int,
        *,
        pad: bool,
        action: str | Sequence[str] | None,
        subjects: Sequence[str] | None,
        without_subjects: Sequence[str],
        min_quality: Mapping[str, float],
    ) -> None:
        self.window, self.stride = window, stride
        columns: dict[str, list[ndarray]] = {
            name: [] for name in ("files", "clips", "starts", "lengths", "action_ids", "counts")
        }
        actions: dict[str, int] = {}
        self.frame_rate, self.body_model = 0.0, ""
        num_frames: list[int] = []
        seen_subjects: set[str] = set()
        left = Counter[str]()  # clips that are left after each condition
        for number, path in enumerate(paths):
            with OpenMotionFile(path) as file:
                self._check_same(file, paths[0])
                num_frames.append(file.num_frames)
                ids = np.array([actions.setdefault(name, len(actions)) for name in file.actions], np.int16)
                own = file.column("action").astype(np.int64)
                starts, lengths = file.column("start").astype(np.int64), file.column("length").astype(np.int64)
                if ((starts < 0) | (lengths < 0) | (starts + lengths > file.num_frames)).any():
                    raise MotionganError(f"{path}: /clips points outside the {file.num_frames} frames of the file")
                if ((own < -1) | (own >= len(file.actions))).any():
                    raise MotionganError(f"{path}: /clips/action points outside the actions of the file")
                counts = np.where(lengths >= window, (lengths - window) // stride + 1, 0)
                if pad:
                    counts = np.where((lengths > 0) & (lengths < window), 1, counts)
                wanted = counts > 0
                left["window"] += wanted.sum()
                if subjects is not None or without_subjects:
                    wanted &= _of_subjects(file, subjects, without_subjects, seen_subjects)
                    left["without_subjects" if subjects is None else "subjects"] += wanted.sum()
                for score, threshold in min_quality.items():
                    wanted &= _good_enough(file, score, threshold)
                    left[f"min_quality={{{score!r}: {threshold:g}}}"] += wanted.sum()
                chosen = np.flatnonzero(wanted)
                columns["files"].append(np.full(len(chosen), number, np.int16))
                columns["clips"].append(chosen.astype(np.int32))
                columns["starts"].append(starts[chosen])
                columns["lengths"].append(lengths[chosen].astype(np.int32))
                columns["action_ids"].append(
                    np.where(own[chosen] >= 0, ids[own[chosen]] if len(ids) else -1, -1).astype(np.int16)
                )
                columns["counts"].append(counts[chosen])
        if unknown := [name for name in (*(subjects or ()), *without_subjects) if name not in seen_subjects]:
            hint = did_you_mean(unknown[0], seen_subjects)
            raise MotionganError(f"{_names(paths)}: no clip of the subject `{unknown[0]}`{hint}")
        self.actions, self.num_frames = tuple(actions), tuple(num_frames)
        joined = {name: np.concatenate(parts) for name, parts in columns.items()}
        if action is not None:
            chosen_ids = [actions[name] for name in select_actions(action, self.actions, _names(paths))]
            keep = np.isin(joined["action_ids"], chosen_ids)
            joined = {name: values[keep] for name, values in joined.items()}
            left[f"action={action!r}"] += keep.sum()
        self.files, self.clips = joined["files"], joined["clips"]
        self.starts, self.lengths, self.action_ids = joined["starts"], joined["lengths"], joined["action_ids"]
        self.ends: Int64[ndarray, "clips"] = joined["counts"].cumsum()
        if not left["window"]:
            raise MotionganError(
                f"{_names(paths)}: no clip has the {window} frames of a window; take fewer, or pad=True"
            )
        for (_, before), (condition, after) in pairwise(left.items()):
            if not after:
                raise MotionganError(f"{_names(paths)}: no clip is left by {condition}, of {before} before it")
        # Clips by their action, and how many windows there are up to each of them in that order.
        self._by_action = np.argsort(self.action_ids, kind="stable").astype(np.int32)
        self._action_ends: Int64[ndarray, "clips"] = joined["counts"][self._by_action].cumsum()
        bounds = np.searchsorted(self.action_ids[self._by_action], np.arange(len(self.actions) + 1))
        windows = np.r_[0, self._action_ends][bounds].tolist()
        self._ranges = {
            name: (windows[number], windows[number + 1] - windows[number]) for number, name in enumerate(self.actions)
        }

    def _check_same(self, file: OpenMotionFile, first: Path) -> None:
        self.frame_rate = self.frame_rate or file.frame_rate
        self.body_model = self.body_model or file.body_model
        if abs(file.frame_rate - self.frame_rate) > 1e-6:
            raise MotionganError(
                f"{file.path}: {file.frame_rate:g} Hz, but {first} has {self.frame_rate:g} Hz;"
                f" `motiongan export --to h5 --frame-rate {self.frame_rate:g}` resamples it"
            )
        if file.body_model != self.body_model:
            raise MotionganError(
                f"{file.path}: body shapes of {file.body_model}, but {first} has those of {self.body_model};"
                " read them as two data sets"
            )

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def find(self, windows: Int64[ndarray, "windows"]) -> tuple[ndarray, ndarray]:
        """Row of the clip of each window, and the frame within that clip at which the window starts."""
        rows = np.searchsorted(self.ends, windows, side="right")
        before = np.where(rows > 0, self.ends[rows - 1], 0)
        return rows, (windows - before) * self.stride

    def count(self, action: str) -> int:
        """How many windows show an action."""
        return self._range(action)[1]

    def numbers(self, action: str, which: Int64[ndarray, "windows"]) -> Int64[ndarray, "windows"]:
        """The windows numbered 0, 1, ... among those of an action -> their numbers among all windows."""
        first, count = self._range(action)
        if len(which) and not 0 <= which.min() <= which.max() < count:
            raise IndexError(f"window {which.max()} of {count} of {action}")
        place = np.searchsorted(self._action_ends, first + which, side="right")
        row = self._by_action[place]
        left = self._action_ends[place] - (first + which)  # windows of the clip from this one on
        return np.asarray(self.ends[row] - left, dtype=np.int64)

    def _range(self, action: str) -> tuple[int, int]:
        """First window of an action in the order by action, and how many there are."""
        return self._ranges.get(action, (0, 0))


def _of_subjects(
    file: OpenMotionFile, subjects: Sequence[str] | None, without: Iterable[str], seen: set[str]
) -> ndarray:
    """Which clips are of wanted subjects; names that were met join `seen`."""
    wanted = np.zeros(file.num_clips, bool)
    named, refused = set(subjects or ()), set(without)
    column = file.dataset("clips/subject").asstr()
    for start in range(0, file.num_clips, _CLIPS_AT_ONCE):
        names = column[start : start + _CLIPS_AT_ONCE]
        seen.update({*names} & (named | refused))
        fits = [(subjects is None or name in named) and name not in refused for name in names]
        wanted[start : start + len(fits)] = fits
    return wanted


def _good_enough(file: OpenMotionFile, score: str, threshold: float) -> ndarray:
    """Which clips reach a score's threshold; one that does not have the score (NaN) is not judged by it.

    At least the threshold, or at most for `LESS_IS_BETTER`; the attribute `better` (higher, lower) goes first.
    """
    group = file.dataset("clips").get("quality")
    known = sorted(group) if group is not None else []
    if score not in known:
        if not known:
            raise MotionganError(f"{file.path}: no clips/quality in it, so min_quality cannot be asked for")
        hint = did_you_mean(score, known) or ";"
        raise MotionganError(f"{file.path}: no score `{score}`{hint} it has: {', '.join(known)}")
    scores = group[score]
    if scores.shape != (file.num_clips,):
        raise MotionganError(f"{file.path}: clips/quality/{score} has shape {scores.shape}, expected one for each clip")
    better = scores.attrs.get("better", "lower" if score in LESS_IS_BETTER else "higher")
    better = better.decode() if isinstance(better, bytes) else str(better)
    if better not in ("higher", "lower"):
        raise MotionganError(f"{file.path}: clips/quality/{score} says better = {better}, expected higher or lower")
    values = np.asarray(scores[:])
    return np.asarray(np.isnan(values) | (values <= threshold if better == "lower" else values >= threshold))


def _names(paths: Sequence[Path]) -> str:
    return str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
