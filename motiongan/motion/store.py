"""The motion file: one HDF5 layout for captured and generated motion, read and written here alone.

docs/format.md tells it field by field. Writing streams to a temporary file beside the target, renamed at the end.
"""

import contextlib
import datetime
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from motiongan.body.skeleton import JOINT_NAMES, NUM_JOINTS
from motiongan.errors import MotionganError
from motiongan.motion.clip import NUM_BETAS, SCORE_UNITS, Clip
from motiongan.motion.output import OutputFile, signals_wait
from motiongan.motion.provenance import GENERATED_PROVENANCE

if TYPE_CHECKING:
    import h5py

FORMAT = "motiongan.motion"
VERSION = 1
KINDS = ("captured", "sample", "generated")

# Measured by tools/bench_store.py on 76 MB of CMU and HDM05: byte shuffle + deflate level 1 makes 0.78 of the size at
# 60 MB/s (lzf 0.82 and no faster to read, deflate 4 only 0.77). Chunks of about a clip's length (128 frames, 36 KiB)
# read one clip in 0.6 ms and all in 1.2 s; chunks of 1024 would save 2 % and take 1.5 ms and 3.1 s.
_COMPRESSION: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True, "fletcher32": True}
_FRAME_CHUNK = 128
_CLIP_CHUNK = 4096
# Frames (or clips, a chunk of them) held back before they are written: 20 MB.
_FLUSH_FRAMES = 65536
# Of the table of clips: what every file has beside `start`.
_COLUMNS = ("betas", "length", "action", "gender", "subject", "source")


class MotionWriter:
    """Writes clips one after another; memory does not grow with their number.

    Use as a context manager. The file appears under its name only when the block ends without an error;
    otherwise nothing is left behind. Clips may carry any action; the vocabulary is collected (and can be
    fixed in advance by `actions`). Scores of clips become columns as they come; a clip without one has NaN there.
    provenance   further attributes: strings, numbers; generated files need those of GENERATED_PROVENANCE, as
                 `MotionGenerator.provenance` gives them
    Raises MotionganError where the target exists without `force` or its folder is missing, ValueError for a
    clip of another frame rate, or provenance that is lacking.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        frame_rate: float,
        kind: str,
        body_model: str = "motiongan",
        licence: str = "",
        actions: Iterable[str] = (),
        provenance: Mapping[str, Any] | None = None,
        force: bool = False,
    ) -> None:
        assert kind in KINDS, f"kind is {kind!r}, expected one of {KINDS}"
        lacking = [name for name in GENERATED_PROVENANCE if name not in (provenance or {})]
        if kind == "generated" and lacking:
            raise ValueError(
                f"provenance lacks {', '.join(lacking)}: give a generated file provenance=generator.provenance(seed)"
            )
        self.path = Path(path)
        check_output(self.path, force=force)
        self.frame_rate = float(frame_rate)
        self._actions: dict[str, int] = {action: index for index, action in enumerate(actions)}
        self._attributes: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "frame_rate": self.frame_rate,
            "up_axis": "z",
            "kind": kind,
            "body_model": body_model,
            "creator": _creator(),
            "created": _created(),
            "licence": licence,
            **(provenance or {}),
        }
        self.num_clips = 0
        self._num_frames = 0
        self._pending: list[Clip] = []
        self._pending_frames = 0
        self._with_seed = kind == "generated"
        self._file: h5py.File | None = None
        self._output: OutputFile | None = None
        self._temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")

    def __enter__(self) -> "MotionWriter":
        import h5py

        try:
            with signals_wait():  # the temporary file too: a signal just after it was made would leave it there
                self._output = OutputFile(self._temporary, self.path)
                self._file = h5py.File(self._output, "w", libver=("earliest", "v110"))
                self._create()
        except BaseException:
            self._discard()
            raise
        return self

    def write(self, clip: Clip) -> None:
        """Append one clip. Raises ValueError for another frame rate, a generated clip without its seed, or a score
        whose name cannot be a column's."""
        if abs(clip.frame_rate - self.frame_rate) > 1e-6:
            raise ValueError(f"clip has {clip.frame_rate} Hz, the file {self.frame_rate} Hz: resample it first")
        if self._with_seed and clip.seed is None:
            raise ValueError("a generated clip needs its seed")
        for name in clip.quality:
            if not re.fullmatch(r"\w+", name):
                raise ValueError(f"score {name!r}: expected a name of letters, digits and underscores")
        self._pending.append(clip)
        self._pending_frames += clip.num_frames
        self.num_clips += 1
        if self._pending_frames >= _FLUSH_FRAMES or len(self._pending) >= _CLIP_CHUNK:
            with signals_wait():
                self._flush()
            assert self._output is not None
            self._output.check()

    def note(self, name: str, value: str | int | float) -> None:
        """Set an attribute that is known only now, inside the block: what came of the run."""
        assert self._file is not None, "the writer is not open"
        with signals_wait():
            self._file.attrs[name] = value

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        assert self._output is not None
        try:
            if kind is None:
                with signals_wait():
                    self._flush()
                    self._finish()
                    self._file.close()
                    self._output.close()
                self._output.check()
                os.replace(self._temporary, self.path)
        finally:
            self._discard()

    def _discard(self) -> None:
        """Close what is open and remove the temporary file; nothing to do after a clean end."""
        with signals_wait():
            if self._file is not None:
                self._file.close()
            if self._output is not None:
                self._output.close()
            self._temporary.unlink(missing_ok=True)

    def _create(self) -> None:
        import h5py

        file, text = self._file, h5py.string_dtype()
        assert file is not None
        for name, value in self._attributes.items():
            file.attrs[name] = value
        frames: dict[str, tuple[int, ...]] = {"poses": (NUM_JOINTS, 3), "trans": (3,)}
        for name, shape in frames.items():
            file.create_dataset(
                name, (0, *shape), "f4", maxshape=(None, *shape), chunks=(_FRAME_CHUNK, *shape), **_COMPRESSION
            )
        columns: dict[str, tuple[Any, tuple[int, ...]]] = {
            "start": ("i8", ()),
            "length": ("i4", ()),
            "action": ("i2", ()),
            "betas": ("f4", (NUM_BETAS,)),
            "gender": (text, ()),
            "subject": (text, ()),
            "source": (text, ()),
        }
        if self._with_seed:
            columns["seed"] = ("i8", ())
        for name, (dtype, shape) in columns.items():
            file.create_dataset(
                f"clips/{name}", (0, *shape), dtype, maxshape=(None, *shape), chunks=(_CLIP_CHUNK, *shape)
            )

    def _flush(self) -> None:
        clips, file = self._pending, self._file
        if not clips or file is None:
            return
        lengths = np.array([clip.num_frames for clip in clips])
        _append(file["poses"], np.concatenate([clip.poses for clip in clips]))
        _append(file["trans"], np.concatenate([clip.trans for clip in clips]))
        _append(file["clips/start"], self._num_frames + np.concatenate([[0], lengths[:-1].cumsum()]))
        _append(file["clips/length"], lengths)
        _append(file["clips/action"], np.array([self._action_index(clip.action) for clip in clips]))
        _append(file["clips/betas"], np.stack([clip.betas for clip in clips]))
        for name in ("gender", "subject", "source"):
            _append(file[f"clips/{name}"], np.array([getattr(clip, name) for clip in clips], dtype=object))
        if self._with_seed:
            _append(file["clips/seed"], np.array([clip.seed for clip in clips]))
        self._flush_scores(clips)
        self._num_frames += int(lengths.sum())
        self._pending, self._pending_frames = [], 0

    def _flush_scores(self, clips: list[Clip]) -> None:
        """Called when the other columns have these clips already; a score that turns up now has NaN before."""
        file = self._file
        assert file is not None
        before = len(file["clips/length"]) - len(clips)
        known = list(file["clips/quality"]) if "clips/quality" in file else []
        for name in dict.fromkeys([*known, *(name for clip in clips for name in clip.quality)]):
            if name not in known:
                column = file.create_dataset(
                    f"clips/quality/{name}", (before,), "f4", maxshape=(None,), chunks=(_CLIP_CHUNK,), fillvalue=np.nan
                )
                column.attrs["unit"] = SCORE_UNITS.get(name, "")
            _append(file[f"clips/quality/{name}"], np.array([clip.quality.get(name, np.nan) for clip in clips]))

    def _action_index(self, action: str | None) -> int:
        return -1 if action is None else self._actions.setdefault(action, len(self._actions))

    def _finish(self) -> None:
        import h5py

        assert self._file is not None
        text = h5py.string_dtype()
        self._file.create_dataset("actions", data=np.array(list(self._actions), dtype=object), dtype=text)
        self._file.create_dataset("joint_names", data=np.array(JOINT_NAMES, dtype=object), dtype=text)


_Opened = TypeVar("_Opened", bound="OpenMotionFile")


class OpenMotionFile:
    """A motion file opened for reading, its attributes and layout checked; the table of clips stays on disk.

    attributes   those of the root group, as plain values
    actions      the vocabulary;  num_clips, num_frames   of the whole file
    Use as a context manager, or close it. Raises MotionganError in one line where the file is missing, cut off, of
    another format, newer than this reader or of the wrong shape.
    """

    def __init__(self, path: str | Path) -> None:
        import h5py

        self.path = Path(path)
        if self.path.is_dir():
            raise MotionganError(f"{self.path}: is a folder; give a motion file")
        if not self.path.is_file():
            raise MotionganError(f"{self.path}: no such file")
        try:
            self._file = h5py.File(self.path, "r")
        except OSError:
            reason = "cut off or damaged" if _looks_like_hdf5(self.path) else "not an HDF5 file"
            raise MotionganError(
                f"{self.path}: {reason}; expected a motion file, as `motiongan import` writes"
            ) from None
        with self._told_as_damage():
            self._check_layout()

    def __enter__(self: _Opened) -> _Opened:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def dataset(self, name: str) -> "h5py.Dataset":
        """A data set (or group) of the file by its name: "poses", "clips/subject"."""
        return self._file[name]

    def column(self, name: str) -> np.ndarray:
        """A column of numbers of the table of clips. Raises MotionganError where the file lacks it."""
        if f"clips/{name}" not in self._file:
            raise MotionganError(f"{self.path}: no `clips/{name}` in it")
        return np.asarray(self._file[f"clips/{name}"][:])

    @property
    def frame_rate(self) -> float:
        return float(self.attributes["frame_rate"])

    @property
    def kind(self) -> str:
        return str(self.attributes["kind"])

    @property
    def body_model(self) -> str:
        return str(self.attributes["body_model"])

    @contextlib.contextmanager
    def _told_as_damage(self) -> Iterator[None]:
        """Close the file on any error, and tell in one line those that a damaged file causes."""
        try:
            yield
        except (AttributeError, IndexError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
            self._file.close()
            missing = re.search(r"object '(.+)' doesn't exist", str(error))
            reason = f"no `{missing[1]}` in it" if missing else _one_line(error)
            raise MotionganError(f"{self.path}: damaged motion file ({reason}); make it again") from None
        except BaseException:
            self._file.close()
            raise

    def _check_layout(self) -> None:
        attributes = {name: _plain(value) for name, value in self._file.attrs.items()}
        if attributes.get("format") != FORMAT:
            raise MotionganError(
                f"{self.path}: not a motion file (no attribute format = {FORMAT}); `motiongan import` it"
            )
        version = attributes.get("version")
        if not isinstance(version, int) or not 1 <= version <= VERSION:
            raise MotionganError(
                f"{self.path}: motion file version {version}, this motiongan reads up to {VERSION}; update it"
            )
        if attributes.get("up_axis") != "z":
            raise MotionganError(
                f"{self.path}: up_axis is {attributes.get('up_axis')!r}, expected 'z'; turn the motion"
            )
        if tuple(self._file["joint_names"].asstr()[:]) != JOINT_NAMES:
            raise MotionganError(f"{self.path}: /joint_names are not SMPL's 24 in their order; poses would be mixed up")
        self.attributes: dict[str, Any] = attributes
        if not float(attributes["frame_rate"]) > 0:
            raise MotionganError(
                f"{self.path}: frame_rate is {attributes['frame_rate']}, expected a positive number of Hz"
            )
        self.num_frames = len(self._file["trans"])
        for name, shape in (("poses", (self.num_frames, NUM_JOINTS, 3)), ("trans", (self.num_frames, 3))):
            if self._file[name].shape != shape:
                expected = "(frames, " + ", ".join(map(str, shape[1:])) + ")"
                raise MotionganError(
                    f"{self.path}: /{name} has shape {self._file[name].shape}, expected {expected};"
                    " import it again with `motiongan import`"
                )
        self.actions: tuple[str, ...] = tuple(self._file["actions"].asstr()[:])
        self.num_clips = len(self._file["clips/start"])
        columns = [self._file[f"clips/{name}"] for name in _COLUMNS]
        if any(len(column) != self.num_clips for column in columns) or columns[0].shape[1:] != (NUM_BETAS,):
            raise MotionganError(
                f"{self.path}: /clips has columns of different lengths or betas not (clips, {NUM_BETAS})"
            )


class MotionFile(OpenMotionFile):
    """A motion file opened for reading, with its table of clips: `len(file)` clips, `file[i]` reads the frames of
    clip i only.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        with self._told_as_damage():
            self._load_columns()

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[Clip]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Clip:
        if not -len(self) <= index < len(self):
            raise IndexError(f"clip {index} of {len(self)}")
        index %= len(self)
        start, stop = int(self.starts[index]), int(self.starts[index] + self.lengths[index])
        try:
            poses, trans = self._file["poses"][start:stop], self._file["trans"][start:stop]
        except OSError as error:
            raise MotionganError(f"{self.path}: clip {index}: damaged frames ({_one_line(error)})") from None
        action = int(self.action_ids[index])
        return Clip(
            poses=poses,
            trans=trans,
            frame_rate=self.frame_rate,
            action=self.actions[action] if action >= 0 else None,
            betas=self.betas[index],
            gender=self.genders[index],
            subject=self.subjects[index],
            source=self.sources[index],
            seed=None if self.seeds is None else int(self.seeds[index]),
            quality={name: float(row[index]) for name, row in self.quality.items() if not np.isnan(row[index])},
        )

    def content_hash(self) -> str:
        """sha256 over the motion itself (poses, trans, clip table): equal for equal content, whoever wrote it when."""
        digest = hashlib.sha256()
        for name in ("poses", "trans"):
            dataset = self._file[name]
            for start in range(0, len(dataset), _FLUSH_FRAMES):
                digest.update(dataset[start : start + _FLUSH_FRAMES].tobytes())
        for array in (self.starts, self.lengths, self.action_ids, self.betas):
            digest.update(array.tobytes())
        digest.update(json.dumps([self.actions, self.subjects, self.frame_rate]).encode())
        return digest.hexdigest()

    def _load_columns(self) -> None:
        clips = self._file["clips"]
        self.starts: np.ndarray = clips["start"][:].astype(np.int64)
        self.lengths: np.ndarray = clips["length"][:].astype(np.int64)
        self.action_ids: np.ndarray = clips["action"][:].astype(np.int64)
        self.betas: np.ndarray = clips["betas"][:].astype(np.float32)
        self.genders: list[str] = list(clips["gender"].asstr()[:])
        self.subjects: list[str] = list(clips["subject"].asstr()[:])
        self.sources: list[str] = list(clips["source"].asstr()[:])
        self.seeds: np.ndarray | None = clips["seed"][:].astype(np.int64) if "seed" in clips else None
        scores = clips.get("quality", {})
        # By name, NaN where a clip has no such score; and the units.
        self.quality: dict[str, np.ndarray] = {name: column[:].astype(np.float32) for name, column in scores.items()}
        self.quality_units = {name: str(_plain(column.attrs.get("unit", ""))) for name, column in scores.items()}
        if lost := [name for name, column in self.quality.items() if column.shape != (self.num_clips,)]:
            raise MotionganError(f"{self.path}: /clips/quality/{lost[0]} has not one number for each clip")
        bad = (self.starts < 0) | (self.lengths < 0) | (self.starts + self.lengths > self.num_frames)
        if bad.any():
            raise MotionganError(
                f"{self.path}: clip {int(bad.argmax())} points outside the {self.num_frames} frames of the file"
            )
        if ((self.action_ids < -1) | (self.action_ids >= len(self.actions))).any():
            raise MotionganError(
                f"{self.path}: /clips/action points outside the {len(self.actions)} actions of the file"
            )


def read_clips(path: str | Path) -> list[Clip]:
    """All clips of a motion file. Raises MotionganError as MotionFile does."""
    with MotionFile(path) as file:
        return list(file)


def write_clips(
    path: str | Path,
    clips: Iterable[Clip],
    *,
    kind: str,
    body_model: str = "motiongan",
    licence: str = "",
    provenance: Mapping[str, Any] | None = None,
    force: bool = False,
) -> None:
    """Write clips of one frame rate to a motion file. Raises as MotionWriter does; ValueError for no clips."""
    clips = iter(clips)
    first = next(clips, None)
    if first is None:
        raise ValueError("no clips to write")
    with MotionWriter(
        path,
        frame_rate=first.frame_rate,
        kind=kind,
        body_model=body_model,
        licence=licence,
        provenance=provenance,
        force=force,
    ) as writer:
        writer.write(first)
        for clip in clips:
            writer.write(clip)


def check_output(path: str | Path, *, force: bool) -> None:
    """Raise MotionganError where a file cannot be written to `path`: it exists (without force), or has no folder."""
    path = Path(path)
    if path.is_dir():
        raise MotionganError(f"{path}: is a folder; give a file name")
    if not path.absolute().parent.is_dir():
        raise MotionganError(f"{path}: its folder does not exist; make it first")
    if path.exists() and not force:
        raise MotionganError(f"{path}: exists already; give another name or --force to replace it")


def _append(dataset: "h5py.Dataset", rows: np.ndarray) -> None:
    before = len(dataset)
    dataset.resize(before + len(rows), axis=0)
    dataset[before:] = rows


def _creator() -> str:
    from motiongan import __version__

    return f"motiongan {__version__}"


def _created() -> str:
    """Now in UTC, or the time that SOURCE_DATE_EPOCH names, for files that must be equal byte for byte."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    now = datetime.datetime.fromtimestamp(float(epoch), datetime.timezone.utc) if epoch else None
    return (now or datetime.datetime.now(datetime.timezone.utc)).isoformat(timespec="seconds")


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.item() if isinstance(value, np.generic) else value


def _looks_like_hdf5(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
