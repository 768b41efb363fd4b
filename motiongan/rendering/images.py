"""The pictures of a frame as PNG files: colour, instance mask, part mask, depth.

depth in 16 bits, millimetres along the camera's z axis: 0 = nothing there, 65535 = 65.535 m or farther.
"""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8, UInt16
from numpy import ndarray

from motiongan.files import whole_file
from motiongan.rendering.frames import RenderedClip

FARTHEST_MM = 65535  # what 16 bits hold
SUFFIX = ".png"
# Folders below the run's folder, and the buffer that each holds.
FOLDERS = {"images": "colour", "instance": "instance", "part": "part", "depth": "depth"}
MASKS = ("instance", "part", "depth")

# zlib's fastest level: masks are small at any level, and writing must not take longer than rendering.
_COMPRESSION = 1


def depth_to_millimetres(depth: Float32[ndarray, "*shape"]) -> UInt16[ndarray, "*shape"]:
    """Depth in metres (inf = nothing there) as whole millimetres in 16 bits.

    0 = nothing there; 65535 = 65.535 m or farther; a surface nearer than half a millimetre is 1.
    """
    something = np.isfinite(depth)
    millimetres = np.rint(np.where(something, depth, 0).astype(np.float64) * 1000)
    return np.where(something, np.clip(millimetres, 1, FARTHEST_MM), 0).astype(np.uint16)


def millimetres_to_depth(millimetres: UInt16[ndarray, "*shape"]) -> Float32[ndarray, "*shape"]:
    """Depth in metres of a depth picture; inf where nothing is, or where it is beyond 65.534 m."""
    inside = (millimetres > 0) & (millimetres < FARTHEST_MM)
    return np.where(inside, millimetres / np.float32(1000), np.inf).astype(np.float32)


def png_bytes(picture: UInt8[ndarray, "height width *channels"] | UInt16[ndarray, "height width"]) -> bytes:
    """A PNG file of one picture: grey of 8 or 16 bits, or RGB. Equal pictures give equal bytes."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(buffer, "PNG", compress_level=_COMPRESSION)
    return buffer.getvalue()


def read_png(path: str | Path) -> ndarray:
    """The numbers of a PNG file: (height, width) grey of 8 or 16 bits, or (height, width, 3) colour."""
    from PIL import Image

    with Image.open(path) as picture:
        return np.array(picture)


class ImageWriter:
    """Writes the pictures of every frame below a run's folder: `instance/00003_run_view0/000012.png` and so on.

    folder   of the run
    kinds    which of `FOLDERS`; default the masks and depth, without the colour image
    A picture appears under its name only when it is complete.
    """

    def __init__(self, folder: str | Path, kinds: Sequence[str] = MASKS) -> None:
        unknown = [kind for kind in kinds if kind not in FOLDERS]
        assert not unknown, f"no pictures called {unknown}; known are {list(FOLDERS)}"
        self.folder = Path(folder)
        self.kinds = tuple(kinds)

    def write(self, piece: RenderedClip) -> None:
        """Write the pictures of the next frames."""
        for index in range(len(piece.buffers)):
            for kind in self.kinds:
                picture = getattr(piece.buffers, FOLDERS[kind])[index]
                path = self.folder / picture_path(kind, piece.frame_name(index))
                with whole_file(path) as temporary:
                    temporary.write_bytes(png_bytes(depth_to_millimetres(picture) if kind == "depth" else picture))

    def close(self) -> None:
        """Nothing waits here."""


def picture_path(kind: str, frame: str) -> str:
    """Path of a picture below the run's folder, of a frame's name such as `00003_run_view0/000012`."""
    return f"{kind}/{frame}{SUFFIX}"
