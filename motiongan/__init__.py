"""Labelled, physically plausible athlete motion from a GAN."""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from motiongan.body.smpl import Body as Body
    from motiongan.body.smpl import load_body as load_body
    from motiongan.errors import MotionganError as MotionganError
    from motiongan.generation.generate import MotionGenerator as MotionGenerator
    from motiongan.generation.generate import load_generator as load_generator
    from motiongan.motion.clip import Clip as Clip
    from motiongan.motion.store import MotionFile as MotionFile
    from motiongan.motion.store import MotionWriter as MotionWriter
    from motiongan.motion.store import read_clips as read_clips
    from motiongan.motion.store import write_clips as write_clips

# Loaded at first use, so that `import motiongan` and the command line stay light.
_PUBLIC = {
    "Body": "body.smpl",
    "load_body": "body.smpl",
    "MotionganError": "errors",
    "MotionGenerator": "generation.generate",
    "load_generator": "generation.generate",
    "Clip": "motion.clip",
    "MotionFile": "motion.store",
    "MotionWriter": "motion.store",
    "read_clips": "motion.store",
    "write_clips": "motion.store",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'motiongan' has no attribute {name!r}")
    return getattr(importlib.import_module(f"motiongan.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
