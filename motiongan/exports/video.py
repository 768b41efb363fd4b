"""Export to video: one .mp4 per clip, or one of many clips side by side, encoded by the ffmpeg of imageio-ffmpeg."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from motiongan.errors import MotionganError
from motiongan.exports.selection import Export, NamedClip
from motiongan.files import whole_file
from motiongan.motion.clip import Clip

if TYPE_CHECKING:
    from collections.abc import Generator

Picture = UInt8[ndarray, "height width 3"]
MAX_FRAME_RATE = 240.0  # Hz; players stumble over more
_MAX_GRID = 100
_MOST_SECONDS = 3600.0
_SIZES = (64, 2048)  # pixels
_BLOCK = 16  # pixels, of the encoder: both sides of a picture are multiples of it


def write_video(export: Export, named: NamedClip, folder: Path) -> Path:
    """Write one clip as NAME.mp4 in real time and return its path."""
    size = _checked_size(export)
    path = folder / f"{named.name}.mp4"
    with _encoder(path, size, size, named.clip.frame_rate) as encode:
        for picture in itertools.islice(_pictures(export, named.clip, size), _num_frames(export, [named.clip])):
            encode(picture)
    return path


def write_grid(export: Export, folder: Path, on_clip: Callable[[NamedClip], None]) -> list[Path]:
    """Write all clips side by side as grid.mp4, as long as the longest; one that ends earlier stands still.

    With `seconds` it is as long as that, and every clip begins again when it ends. The clips are in memory together:
    a grid is for a screen.
    """
    size, columns = _checked_size(export), export.options.columns
    if export.num_clips > _MAX_GRID:
        raise MotionganError(
            f"--columns {columns}: a grid of {export.num_clips} clips; choose at most {_MAX_GRID} with --clips"
        )
    clips = list(export.clips())
    if not clips:
        return []
    frame_rate = clips[0].clip.frame_rate
    streams = [_pictures(export, named.clip, size) for named in clips]
    columns = min(columns, len(clips))
    rows = -(-len(clips) // columns)
    sheet = np.full((rows * size, columns * size, 3), 255, dtype=np.uint8)
    path = folder / "grid.mp4"
    with _encoder(path, columns * size, rows * size, frame_rate) as encode:
        for _ in range(_num_frames(export, [named.clip for named in clips])):
            for place, stream in enumerate(streams):
                picture = next(stream, None)
                if picture is not None:
                    row, column = divmod(place, columns)
                    sheet[row * size : (row + 1) * size, column * size : (column + 1) * size] = picture
            encode(sheet)
    for named in clips:
        on_clip(named)
    return [path]


def _pictures(export: Export, clip: Clip, size: int) -> Iterator[Picture]:
    assert export.options.draw is not None, "the command that exports videos says who draws them"
    betas = np.zeros_like(clip.betas)
    used = export.betas(clip).float().numpy()
    betas[: len(used)] = used  # another body model's shape is not drawn
    while True:
        yield from export.options.draw(replace(clip, betas=betas), export.body, size)
        if not export.options.seconds or not clip.num_frames:
            return


def _num_frames(export: Export, clips: list[Clip]) -> int:
    """Frames of a video of these clips."""
    seconds = export.options.seconds
    if not 0 <= seconds <= _MOST_SECONDS:
        raise MotionganError(f"--seconds {seconds:g}: expected 0 to {_MOST_SECONDS:g}")
    return round(seconds * clips[0].frame_rate) or max(clip.num_frames for clip in clips)


def _checked_size(export: Export) -> int:
    size = export.options.size
    if not _SIZES[0] <= size <= _SIZES[1]:
        raise MotionganError(f"--size {size}: expected {_SIZES[0]} to {_SIZES[1]} pixels")
    return -(-size // _BLOCK) * _BLOCK


@contextlib.contextmanager
def _encoder(path: Path, width: int, height: int, frame_rate: float) -> Iterator[Callable[[Picture], None]]:
    """A function that adds a picture to a video file, which is there when the block has ended without an error."""
    try:
        import imageio_ffmpeg
    except ImportError:
        raise MotionganError("video needs imageio-ffmpeg: pip install 'motiongan[render]'") from None
    if frame_rate > MAX_FRAME_RATE:
        raise MotionganError(
            f"a video of {frame_rate:g} Hz: players take up to {MAX_FRAME_RATE:g}; give --frame-rate 60"
        )
    with whole_file(path) as temporary:
        named = temporary.with_name(f"{temporary.name}.mp4")  # ffmpeg chooses the container by the name
        stream: Generator[None, bytes | None, None] = imageio_ffmpeg.write_frames(
            str(named),
            (width, height),
            fps=frame_rate,
            codec="libx264",
            quality=7,
            macro_block_size=_BLOCK,
            ffmpeg_log_level="error",
        )
        try:
            stream.send(None)

            def encode(picture: Picture) -> None:
                stream.send(np.ascontiguousarray(picture).tobytes())

            yield encode
            stream.close()
            named.replace(temporary)
        finally:
            stream.close()
            named.unlink(missing_ok=True)
