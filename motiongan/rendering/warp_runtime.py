"""The warp package, which compiles and runs our kernels: loaded when it is needed, quietly."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from motiongan.errors import MotionganError


def load_warp() -> Any:
    """The warp package, quiet, with a folder for its compiled kernels. MotionganError says how to install it."""
    try:
        import warp
    except ImportError:
        raise MotionganError("rendering needs the package warp-lang: pip install 'motiongan[render]'") from None
    config: Any = warp.config
    config.quiet = True  # before init: no banner
    if hasattr(warp, "LOG_ERROR"):
        config.log_level = warp.LOG_ERROR
    if config.kernel_cache_dir is None and "WARP_CACHE_PATH" not in os.environ:
        default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        writable = False
        with contextlib.suppress(OSError):
            default.mkdir(parents=True, exist_ok=True)
            writable = os.access(default, os.W_OK)
        if not writable:  # read-only home: compile anew in each boot rather than fail
            config.kernel_cache_dir = str(Path(tempfile.gettempdir()) / f"motiongan-warp-{os.getuid()}")
    with _quiet_start():
        warp.init()
    return warp


def check_device(device: str) -> None:
    """Raise MotionganError where the kernels cannot run on this device ("cpu", "cuda", "cuda:1")."""
    warp = load_warp()
    if device.startswith("cuda") and not warp.is_cuda_available():
        raise MotionganError(f"--device {device}: no CUDA device here; use cpu")
    try:
        warp.get_device(device)
    except (ValueError, RuntimeError):
        known = ", ".join(str(each) for each in warp.get_devices())
        raise MotionganError(f"--device {device}: no such device; there are {known}") from None


@contextlib.contextmanager
def _quiet_start() -> Iterator[None]:
    """Standard error goes nowhere: where there is no CUDA driver, warp's native code says so at every start."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
