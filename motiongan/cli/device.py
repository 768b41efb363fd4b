"""The --device option that several verbs share."""

from typing import TYPE_CHECKING

from motiongan.errors import MotionganError

if TYPE_CHECKING:
    import torch


def parse_device(name: str, *, with_auto: bool = False) -> "torch.device":
    """The torch device of a name; `with_auto` also takes "auto": CUDA where there is a device.

    Raises MotionganError for any other kind of device, and for a CUDA device that is not here.
    """
    import torch

    devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if with_auto and name == "auto":
        name = "cuda" if devices else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise MotionganError(f"--device {name}: expected {'auto, ' if with_auto else ''}cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= devices:
        here = f"cuda:0 to cuda:{devices - 1} are here" if devices else "no CUDA device here; use --device cpu"
        raise MotionganError(f"--device {name}: {here}")
    if device.type == "cpu":
        # At these sizes a second thread brings a tenth, and costs tenfold where the machine is busy; with one, the
        # last bits do not depend on the number of cores either.
        torch.set_num_threads(1)
    return device
