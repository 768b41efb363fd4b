"""MotionDataset: windows of motion files for a training's DataLoader."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from motiongan.augmentation.fields import DEFAULT_FIELDS, JointPlacer, check_fields
from motiongan.augmentation.frames import POSE_NUMBERS, FrameReader, uncompressed_copy
from motiongan.augmentation.index import WindowIndex
from motiongan.body.skeleton import NUM_JOINTS
from motiongan.errors import MotionganError


class MotionDataset(Dataset[dict[str, Any]]):
    """Windows of one or many motion files, captured or generated; map-style, as PyTorch's DataLoader takes it.

    path       a motion file, or several of one frame rate
    window     frames of a sample;  stride  frames between the starts of two windows of one clip
    fields     what a sample (a dictionary) holds:
                 poses   (window, 24, 3) local axis-angle rotations, radians; trans (window, 3) metres
                 betas   (10,) body shape; action: index into `actions`, -1 = no label
                 mask    (window,) False where a padded window repeats the clip's last frame
                 smpl24, h36m17, coco17, mpi_inf_3dhp17   (window, joints, 3) world positions, metres
                 file, clip, start   which file, which clip of it, and the first frame within the clip
    action     only these: a name, "a,b,c" or a sequence; None = all clips, labelled or not
    min_quality  {score: threshold}: only clips whose `clips/quality/<score>` is as good as the threshold or better:
               {"recognized": 0.5, "foot_skate": 0.3} is at least 0.5 and at most 0.3 m/s. Of the scores of
               `motiongan generate` less is better, but for recognized, training_distance and accepted; of others more.
               A clip that has no such score (NaN) is kept
    subjects, without_subjects   only these people; all but these. A name, or a sequence
    pad        also give clips that are shorter than a window, with their last frame repeated
    body       body file for the joint sets; None = the default body
    cache_mb   decoded frames kept, at most: shared by forked workers where the files fit, else of each process
    copy       folder for an uncompressed copy of the frames (300 bytes each; made once), which is read instead:
               for files much larger than `cache_mb`

    Memory does not depend on the number of frames: 40 bytes for each clip, and `cache_mb`. Every process opens the
    files for itself at its first sample, so it works with workers started by fork or spawn, and it can be pickled.
    Raises MotionganError for what the user can mend.
    """

    def __init__(
        self,
        path: str | Path | Sequence[str | Path],
        window: int,
        stride: int,
        fields: Sequence[str] = DEFAULT_FIELDS,
        action: str | Sequence[str] | None = None,
        min_quality: Mapping[str, float] | None = None,
        *,
        subjects: str | Sequence[str] | None = None,
        without_subjects: str | Sequence[str] = (),
        pad: bool = False,
        body: str | Path | None = None,
        cache_mb: float = 64.0,
        copy: str | Path | None = None,
    ) -> None:
        paths = tuple(Path(each) for each in ([path] if isinstance(path, str | Path) else path))
        whole = all(isinstance(number, int | np.integer) for number in (window, stride))
        if not paths or not whole or window < 1 or stride < 1:
            raise ValueError(
                f"{len(paths)} files, window {window!r}, stride {stride!r}: expected whole numbers, at least 1 of each"
            )
        if not isinstance(min_quality, Mapping | None):
            raise MotionganError(f"min_quality is {min_quality!r}; name the score: {{'recognized': 0.5}}")
        self.fields = check_fields(fields)
        self.window, self.stride = window, stride
        self.index = WindowIndex(
            paths,
            window,
            stride,
            pad=pad,
            action=action,
            subjects=_names(subjects),
            without_subjects=_names(without_subjects) or (),
            min_quality=min_quality or {},
        )
        self.actions, self.frame_rate = self.index.actions, self.index.frame_rate
        self.body_model = self.index.body_model
        copies = tuple(None if copy is None else uncompressed_copy(each, Path(copy)) for each in paths)
        self._reader = FrameReader(paths, self.index.num_frames, cache_mb=cache_mb, copies=copies)
        self._placer = JointPlacer(self.fields, body, self.body_model, place=str(paths[0]))

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, number: SupportsIndex) -> dict[str, Any]:
        return self.__getitems__([number])[0]

    def __getitems__(self, numbers: Sequence[SupportsIndex]) -> list[dict[str, Any]]:
        """The samples of a batch, read and posed together; DataLoader asks for them so."""
        wanted = np.asarray(numbers, dtype=np.int64)
        total = len(self)
        if ((wanted < -total) | (wanted >= total)).any():
            raise IndexError(f"window {wanted[(wanted < -total) | (wanted >= total)][0]} of {total}")
        rows, offsets = self.index.find(wanted % total)
        index = self.index
        files, clips, action_ids = index.files[rows].tolist(), index.clips[rows].tolist(), index.action_ids[rows]
        starts, lengths = (index.starts[rows] + offsets).tolist(), (index.lengths[rows] - offsets).tolist()
        poses = np.empty((len(wanted), self.window, POSE_NUMBERS), np.float32)
        trans = np.empty((len(wanted), self.window, 3), np.float32)
        counts = [min(length, self.window) for length in lengths]
        self._reader.read(files, starts, counts, poses, trans)
        for row, count in enumerate(counts):
            if count < self.window:
                poses[row, count:], trans[row, count:] = poses[row, count - 1], trans[row, count - 1]
        columns: dict[str, Any] = {
            "poses": torch.from_numpy(poses).unflatten(-1, (NUM_JOINTS, 3)),
            "trans": torch.from_numpy(trans),
            "action": action_ids.tolist(),
            "file": files,
            "clip": clips,
            "start": offsets.tolist(),
        }
        if "betas" in self.fields or self._placer.sets:
            betas = np.stack([self._reader.betas(file, clip) for file, clip in zip(files, clips)])
            columns["betas"] = torch.from_numpy(betas)
            columns |= self._placer.place(columns["poses"], columns["trans"], columns["betas"])
        if "mask" in self.fields:
            columns["mask"] = torch.arange(self.window) < torch.tensor(lengths)[:, None]
        return samples({name: columns[name] for name in self.fields})

    def windows_of(self, action: str) -> int:
        """How many windows show an action."""
        return self.index.count(action)

    def numbers_of(self, action: str, which: np.ndarray) -> np.ndarray:
        """The windows numbered 0, 1, ... among those of an action -> their numbers among all windows."""
        return self.index.numbers(action, which)


def _names(names: str | Sequence[str] | None) -> Sequence[str] | None:
    return [names] if isinstance(names, str) else names


def samples(columns: Mapping[str, Tensor | list[int]]) -> list[dict[str, Any]]:
    """The rows of a batch as dictionaries, for a collate function to put together again."""
    names = list(columns)
    rows = (values.unbind(0) if isinstance(values, Tensor) else values for values in columns.values())
    return [dict(zip(names, row)) for row in zip(*rows)]
