"""The device that a user names."""

from typing import TYPE_CHECKING

from motiongan.errors import MotionganError

if TYPE_CHECKING:
    import torch

KNOWN = "cpu, cuda or cuda:N"


def known_device(device: "torch.device | str", name: str, *, expected: str = KNOWN) -> "torch.device":
    """The torch device, here or not. Raises MotionganError for any that is neither the CPU nor CUDA's.

    name       what the user calls it: "--device cuda:1"
    expected   what an unknown one is answered with
    """
    import torch

    try:
        known = torch.device(device)
    except (RuntimeError, TypeError):
        known = torch.device("meta")
    if known.type != "cuda" and (known.type != "cpu" or known.index):
        raise MotionganError(f"{name}: expected {expected}")
    return known


def check_device(device: "torch.device", name: str) -> None:
    """Raise MotionganError for a CUDA device that this machine lacks; `name` as in `known_device`."""
    import torch

    devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= devices:
        here = f"cuda:0 to cuda:{devices - 1} are here" if devices else "no CUDA device here; take cpu"
        raise MotionganError(f"{name}: {here}")
