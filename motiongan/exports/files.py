"""The folder of an export, and the table that names its clips."""

import csv
import io
import os
from pathlib import Path

from motiongan.errors import MotionganError
from motiongan.exports.selection import NamedClip
from motiongan.files import write_whole

LABELS = "labels.csv"
_COLUMNS = ("file", "action", "subject", "frame_rate", "licence", "clip", "source")


def open_folder(folder: str | Path, *, force: bool) -> Path:
    """The folder to write into, made where it is missing.

    Raises MotionganError where it is a file, holds files already (without force), or cannot be written to.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise MotionganError(f"{folder}: is a file; give a folder with --out")
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise MotionganError(f"{folder}: holds files already; give another folder, or --force to replace its files")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MotionganError(f"{folder}: cannot be made ({str(error.strerror).lower()})") from None
    probe = folder / f".{os.getpid()}.part"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise MotionganError(f"{folder}: cannot be written to ({str(error.strerror).lower()})") from None
    return folder


class LabelTable:
    """The table labels.csv of an export: which clip each file holds, as `motiongan import` reads it."""

    def __init__(self, licence: str) -> None:
        self._licence = licence
        self._text = io.StringIO(newline="")
        self._rows = csv.writer(self._text, lineterminator="\n")
        self._rows.writerow(_COLUMNS)

    def add(self, file: str, named: NamedClip) -> None:
        """Note one file of the folder."""
        clip = named.clip
        source = clip.source or str(named.source)
        rate = repr(round(clip.frame_rate, 6))
        row = (file, clip.action or "", clip.subject, rate, self._licence, named.number, source)
        self._rows.writerow(row)

    def write(self, folder: Path) -> None:
        """Write the table into the folder."""
        write_whole(folder / LABELS, self._text.getvalue().encode())
