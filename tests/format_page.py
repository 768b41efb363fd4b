"""Whether docs/format.md tells everything that a motion file holds."""

import re
from pathlib import Path

import h5py

PAGE = Path(__file__).resolve().parents[1] / "docs" / "format.md"


def untold(path: str | Path) -> set[str]:
    """Attributes, data sets and scores of a motion file that the page does not name."""
    told = set(re.findall(r"`([\w/]+)`", PAGE.read_text(encoding="utf-8")))
    with h5py.File(path) as file:
        names = set(file.attrs)
        file.visititems(lambda name, node: names.update(node.attrs, [name] * isinstance(node, h5py.Dataset)))
    return {name.removeprefix("clips/quality/") for name in names} - told
