"""The --device option that several verbs share."""

from typing import TYPE_CHECKING

from motiongan.devices import KNOWN, check_device, known_device

if TYPE_CHECKING:
    import torch


def parse_device(name: str, *, with_auto: bool = False) -> "torch.device":
    """The torch device of a name; `with_auto` also takes "auto": CUDA where there is a device.

    Raises MotionganError for any other kind of device, and for a CUDA device that is not here.
    """
    import torch

    if with_auto and name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    expected = f"auto, {KNOWN}" if with_auto else KNOWN
    device = known_device(name, f"--device {name}", expected=expected)
    check_device(device, f"--device {name}")
    if device.type == "cpu":
        # At these sizes a second thread brings a tenth, and costs tenfold where the machine is busy; with one, the
        # last bits do not depend on the number of cores either.
        torch.set_num_threads(1)
    return device
