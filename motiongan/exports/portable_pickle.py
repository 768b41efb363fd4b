"""Pickles for trainers that read nothing else: dictionaries of arrays that every NumPy from 1.16 on loads.

NumPy 2 names its new inner modules in what it pickles, which older ones lack; these pickles name `numpy.ndarray` and
`numpy.array` alone. Only written, never read: motiongan unpickles nothing.
"""

import io
import pickle
from typing import Any

import numpy as np

_PROTOCOL = 4  # Python 3.4 and later


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, np.ndarray) and value.dtype != object:
            array = np.ascontiguousarray(value)
            # From a bytearray, not bytes: the array that is read can be written to.
            return np.ndarray, (array.shape, array.dtype.str, bytearray(array.tobytes()))
        if isinstance(value, np.ndarray) and value.shape == ():
            return np.array, (value.item(), "O")
        return NotImplemented


def pickled(content: Any) -> bytes:
    """A pickle of dictionaries, lists, numbers, texts and arrays of numbers."""
    file = io.BytesIO()
    _Pickler(file, _PROTOCOL).dump(content)
    return file.getvalue()


def object_npy(content: Any) -> bytes:
    """A .npy file with one object, as np.savez writes a dictionary: np.load(..., allow_pickle=True)[key].item()."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
    cell = np.empty((), dtype=object)
    cell[()] = content
    return file.getvalue() + pickled(cell)
