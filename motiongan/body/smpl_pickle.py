"""The original SMPL pickles (.pkl), read without running any code that they name."""

import io
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from motiongan.errors import MotionganError


def read_pickle(path: Path, keys: Sequence[str]) -> dict[str, Any]:
    """The values of these keys, as far as the pickled dictionary has them; `unfold` makes arrays of the odd ones."""
    try:
        content = _BodyUnpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except _Refused as error:
        raise MotionganError(f"{path}: not a readable body file ({error})") from None
    except Exception:  # a pickle can fail in any way, in words that help nobody; most often the file is none
        raise MotionganError(f"{path}: not a body file; expected SMPL's, SMPL-H's or SMPL-X's .npz or .pkl") from None
    if not isinstance(content, dict):
        raise MotionganError(f"{path}: not a body file: it holds no dictionary of arrays")
    return {key: content[key] for key in keys if key in content}


class _Refused(pickle.UnpicklingError):
    """A pickle that names what no body file needs."""


class _PickledObject:
    """Stands in for a chumpy array or a scipy sparse matrix: keeps the pickled state, runs nothing."""

    def __init__(self, *_: object) -> None:
        pass

    def as_array(self) -> ndarray | None:
        state = self.__dict__
        if "indptr" in state:  # compressed sparse columns or rows
            shape = state["_shape"] if "_shape" in state else state["shape"]
            by_row = isinstance(self, _SparseRows)
            lines = np.repeat(np.arange(len(state["indptr"]) - 1), np.diff(state["indptr"]))
            dense = np.zeros(tuple(shape))
            rows, columns = (lines, state["indices"]) if by_row else (state["indices"], lines)
            np.add.at(dense, (rows, columns), state["data"])
            return dense
        if "x" in state:  # chumpy.Ch
            return _unfold(state["x"])
        if "a" in state and "idxs" in state:  # chumpy.reordering.Select: some elements of another array
            return _unfold(state["a"]).ravel()[state["idxs"]].reshape(state["preferred_shape"])
        return None


class _SparseRows(_PickledObject):
    pass


def _unfold(value: Any) -> ndarray:
    return np.asarray(unfold(value))


def unfold(value: Any) -> Any:
    """A chumpy array or sparse matrix of `read_pickle` as a dense array; everything else as it is."""
    return value.as_array() if isinstance(value, _PickledObject) else value


def _reconstructor(kind: type, base: type, state: object) -> _PickledObject:
    """copyreg._reconstructor for the stand-ins only: old pickles build every object through it."""
    if not (isinstance(kind, type) and issubclass(kind, _PickledObject)):
        raise _Refused("an object of a class that a body file does not need")
    return kind()


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """_codecs.encode, by which Python 3 writes bytes into old pickle protocols."""
    return text.encode("latin1" if encoding == "latin1" else "ascii")


class _BodyUnpickler(pickle.Unpickler):
    """Reads the original SMPL pickles; a class or function outside the list ends the reading."""

    def find_class(self, module: str, name: str) -> Any:
        package = module.split(".")[0]
        if package == "chumpy":
            return _PickledObject
        if module.startswith("scipy.sparse") and name in ("csc_matrix", "csr_matrix", "csc_array", "csr_array"):
            return _SparseRows if name.startswith("csr") else _PickledObject
        if package == "numpy" and name in ("_reconstruct", "scalar") and module.endswith("core.multiarray"):
            core = np._core if hasattr(np, "_core") else np.core  # numpy 2 renamed it
            return getattr(core.multiarray, name)
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        if name == "_reconstructor" and module in ("copy_reg", "copyreg"):
            return _reconstructor
        if name == "object" and module in ("__builtin__", "builtins"):
            return object
        if (module, name) == ("_codecs", "encode"):
            return _encode
        raise _Refused(f"it asks for {module}.{name}, which a body file does not need")
