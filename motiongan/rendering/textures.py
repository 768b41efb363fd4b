"""Textures of the user's own for the body's surface, in place of the painted skin and clothes."""

from pathlib import Path

import numpy as np
from numpy import ndarray

from motiongan.body.smpl import Body
from motiongan.errors import MotionganError
from motiongan.rendering.appearance import srgb_to_linear
from motiongan.rendering.scenes import open_picture, pictures_of

_SIZE = 1024  # texels along a side to which every texture is brought: 2 to 3 mm on a body


def check_textures(path: str | Path, body: Body) -> list[Path]:
    """The pictures of a texture or a folder of them. Raises MotionganError where they or the body do not fit."""
    path = Path(path)
    if body.texture_coordinates is None or body.texture_faces is None:
        raise MotionganError(f"--texture {path}: the body file has no texture coordinates (vt, ft)")
    if path.is_dir():
        return pictures_of(path, "--texture")
    if not path.is_file():
        raise MotionganError(f"--texture {path}: no such picture or folder")
    open_picture(path).close()
    return [path]


def load_texture(path: Path) -> ndarray:
    """(texels, texels, 3) linear light, the top row first."""
    from PIL import Image

    with open_picture(path) as picture:
        pixels = np.asarray(picture.resize((_SIZE, _SIZE), Image.Resampling.LANCZOS), np.float32) / 255
    return srgb_to_linear(pixels).astype(np.float32)
