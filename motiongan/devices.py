"""Whether a device is here."""

from typing import TYPE_CHECKING

from motiongan.errors import MotionganError

if TYPE_CHECKING:
    import torch


def check_device(device: "torch.device", name: str) -> None:
    """Raise MotionganError for a CUDA device that this machine lacks.

    name   what the user calls it: "--device cuda:1"
    """
    import torch

    devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= devices:
        here = f"cuda:0 to cuda:{devices - 1} are here" if devices else "no CUDA device here; take cpu"
        raise MotionganError(f"{name}: {here}")
