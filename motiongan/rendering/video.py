"""Rendered frames as an mp4 per scene and view, encoded by the ffmpeg that imageio-ffmpeg brings along."""

from collections.abc import Generator
from pathlib import Path

import numpy as np

from motiongan.errors import MotionganError
from motiongan.files import whole_file
from motiongan.rendering.frames import RenderedClip, video_name

FOLDER = "videos"
_QUALITY = 7  # of imageio-ffmpeg's 0 to 10
_BLOCK = 2  # the encoder takes even sides only


def video_path(folder: str | Path, stem: str) -> Path:
    """Where the video of a scene and view stands."""
    return Path(folder) / video_name(stem)


class VideoWriter:
    """Writes one scene and view as an mp4 in real time; the file appears when the clip is complete.

    rate   frames a second of the video
    """

    def __init__(self, folder: str | Path, stem: str, rate: float) -> None:
        self._path = video_path(folder, stem)
        self._rate = rate
        self._stream: Generator[None, bytes | None, None] | None = None
        self._temporary = self._path.with_name(f".{self._path.stem}.part.mp4")  # ffmpeg goes by the suffix

    def write(self, piece: RenderedClip) -> None:
        """Encode the next frames."""
        pictures = piece.buffers.colour
        if self._stream is None:
            self._stream = self._open(pictures.shape[2], pictures.shape[1])
        for picture in pictures:
            self._stream.send(np.ascontiguousarray(picture).tobytes())

    def close(self) -> None:
        """Finish the file."""
        assert self._stream is not None, "a video needs at least one frame"
        self._stream.close()
        with whole_file(self._path) as temporary:
            self._temporary.replace(temporary)

    def discard(self) -> None:
        """End the encoder and remove what it wrote; nothing to do after `close`."""
        if self._stream is not None:
            self._stream.close()
        self._temporary.unlink(missing_ok=True)

    def _open(self, width: int, height: int) -> Generator[None, bytes | None, None]:
        check_video()
        import imageio_ffmpeg

        self._path.parent.mkdir(parents=True, exist_ok=True)
        stream: Generator[None, bytes | None, None] = imageio_ffmpeg.write_frames(
            str(self._temporary),
            (width, height),
            fps=self._rate,
            quality=_QUALITY,
            macro_block_size=_BLOCK,
            ffmpeg_log_level="error",
        )
        stream.send(None)
        return stream


def check_video() -> None:
    """Raise MotionganError where videos cannot be written."""
    try:
        import imageio_ffmpeg  # noqa: F401
    except ImportError:
        raise MotionganError("video needs imageio-ffmpeg: pip install 'motiongan[render]'") from None
