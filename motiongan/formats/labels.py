"""Action labels for motion files: a CSV table or BABEL's JSON, and which label belongs to which file.

BABEL: A. Punnakkal et al., BABEL: Bodies, Action and Behavior with English Labels, CVPR 2021, https://babel.is.tue.mpg.de.
"""

import csv
import io
import json
import logging
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Any

from motiongan.errors import MotionganError
from motiongan.formats.sources import detect_format

logger = logging.getLogger(__name__)

# BABEL's categories that say how something is done, with what, or with which part of the body: beside a more specific
# one they are passed over ("kick" and "leg movements" is a kick).
_GENERIC_CATEGORY = re.compile(
    r".* movements?|transition|face direction|look|move something|(interact with/use|touch) object|touching body part"
)
# What releases of one recording append to its name, and BABEL's `feat_p` may have while the file on disk has not.
_AMASS_SUFFIX = re.compile(r"_(poses|stageii)$")
_FILE_SUFFIX = re.compile(r"\.(bvh|amc|npz|h5|hdf5)$", re.IGNORECASE)


@dataclass(frozen=True)
class Label:
    """One labelled segment of one file; the whole file where no times are given.

    file          path as the table writes it, with forward slashes
    action        its name; None: the segment is known but unlabelled
    start_s, end_s   seconds from the first row of the file; end_s None: to the end
    frame_rate    Hz, overriding or completing the file's; None: as the file says
    subject       the person; "" unknown
    archive       name of the archive that holds the file; "" unknown
    skeleton      path of the ASF that an AMC needs; "" unknown
    motion_start  first row of the file that is motion (rows before it are T-poses and the like)
    duplicate_of  path of the file that this one repeats in another format; "" where it does not
    licence, notes, description   as the table says
    line          where the label stands, for messages: "index.csv:12"
    """

    file: str
    action: str | None
    subject: str = ""
    start_s: float = 0.0
    end_s: float | None = None
    frame_rate: float | None = None
    archive: str = ""
    skeleton: str = ""
    motion_start: int = 0
    duplicate_of: str = ""
    licence: str = ""
    notes: str = ""
    description: str = ""
    line: str = ""


_TEXT_COLUMNS = ("subject", "archive", "skeleton", "duplicate_of", "licence", "notes", "description")


@dataclass(frozen=True)
class Labels:
    """The labels of one or more tables, found by file.

    A row's path and a file's path (container and name) need not start at the same folder. They match where one ends
    with the other, or where at least the file and its folder agree; of several files the one that agrees over most
    folders is meant, then the one of the right archive. Upper and lower case, a missing extension and AMASS's "_poses"
    and "_stageii" make no difference.
    """

    all: tuple[Label, ...]
    _by_stem: dict[str, dict[str, list[Label]]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_stem: dict[str, dict[str, list[Label]]] = {}
        for label in self.all:
            by_stem.setdefault(_parts(label.file)[-1], {}).setdefault(label.file, []).append(label)
        object.__setattr__(self, "_by_stem", by_stem)

    def __len__(self) -> int:
        return len(self.all)

    def for_file(self, name: str, container: str = "") -> list[Label]:
        """The labels of a file, by start time; an empty list where it has none, or where two rows fit equally well.

        name       its path inside the container, as `SourceFile.name`
        container  folder or archive that holds it, as `SourceFile.container`
        """
        name_parts = _parts(name)
        whole_parts = (*PurePosixPath(container.replace("\\", "/").lower()).parts, *name_parts)
        archive = PurePosixPath(container.replace("\\", "/")).name
        found: list[tuple[tuple[int, bool], list[Label]]] = []
        for file, labels in self._by_stem.get(name_parts[-1], {}).items():
            if _suffix_differs(file, name):
                continue
            parts = _parts(file)
            agreeing = 0
            for a, b in zip(reversed(parts), reversed(whole_parts)):
                if a != b:
                    break
                agreeing += 1
            if agreeing >= min(2, len(parts), len(name_parts)):
                found.append(((agreeing, labels[0].archive == archive), labels))
        if not found:
            return []
        best = max(rank for rank, _ in found)
        matches = [labels for rank, labels in found if rank == best]
        if len(matches) > 1:
            logger.warning(
                "%s: %s and %s fit equally well; it stays unlabelled", name, matches[0][0].line, matches[1][0].line
            )
            return []
        return sorted(matches[0], key=lambda label: label.start_s)


def _parts(path: str) -> tuple[str, ...]:
    """The folders and the bare name, in lower case, of a path with slashes of either kind."""
    parts = [part for part in PurePosixPath(path.replace("\\", "/").lower()).parts if part not in ("/", ".", "..")]
    parts[-1] = _AMASS_SUFFIX.sub("", _FILE_SUFFIX.sub("", parts[-1]))
    return tuple(part.replace(" ", "_") for part in parts)


def _suffix_differs(file: str, name: str) -> bool:
    """Whether both carry a motion format's extension, but not the same ("07_01.amc" is not "07_01.bvh")."""
    suffixes = [found[1].lower() for found in map(_FILE_SUFFIX.search, (file, name)) if found]
    return len(suffixes) == 2 and suffixes[0] != suffixes[1]


def read_labels(path: str | Path) -> Labels:
    """The labels of a CSV table or a BABEL JSON file.

    CSV: a header line with `file` and `action` and any of `subject`, `start_s`, `end_s`, `frame_rate`, `archive`,
    `skeleton`, `motion_start`, `duplicate_of`, `licence`, `notes`, `description`; other columns are ignored. Several
    rows of one file are several segments. Commas, semicolons or tabs between columns.

    BABEL: the segments of `frame_ann` where a recording has them, else `seq_ann` for the whole of it. Of several
    `act_cat` the first counts that is not a generic one ("leg movements"), else the first; `proc_label` where there
    are none, and it is the description in any case. The subject is the recording's folder.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MotionganError(f"{path}: {error.strerror}") from error
    text = _decode(data)
    if text.lstrip().startswith("{"):
        return Labels(tuple(_read_babel(text, str(path))))
    return Labels(tuple(_read_csv(text, str(path))))


def find_labels(folder: str | Path) -> Labels | None:
    """The labels of every CSV below a folder that has the columns `file` and `action`; None where there is none."""
    tables = []
    for path in sorted(Path(folder).rglob("*.csv")):
        with path.open("rb") as file:
            if detect_format(file.read(4096)) == "csv":
                tables.append(path)
    return merge_labels(read_labels(path) for path in tables) if tables else None


def merge_labels(tables: Iterable[Labels]) -> Labels:
    """Several tables as one."""
    return Labels(tuple(label for labels in tables for label in labels.all))


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # what spreadsheets of old save


def _read_csv(text: str, name: str) -> Iterator[Label]:
    first_line = text.partition("\n")[0]
    delimiter = max(",;\t", key=first_line.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    columns = [column.strip().lower() for column in next(rows, [])]
    for wanted in ("file", "action"):
        if wanted not in columns:
            close = get_close_matches(wanted, columns, n=1)
            meant = f"is `{close[0]}` meant?" if close else "name the columns in the first line"
            raise MotionganError(f"{name}:1: no column `{wanted}`; {meant}")
    line = rows.line_num + 1
    for row in rows:
        place, line = f"{name}:{line}", rows.line_num + 1
        if not any(cell.strip() for cell in row):
            continue
        if len(row) > len(columns) and any(cell.strip() for cell in row[len(columns) :]):
            raise MotionganError(f"{place}: {len(row)} cells under {len(columns)} columns; put quotes around commas")
        cells = {column: cell.strip() for column, cell in zip(columns, row)}
        file = cells["file"].replace("\\", "/")
        if not PurePosixPath(file).name:
            raise MotionganError(f"{place}: no file name in the column `file`")
        yield _checked(
            Label(
                file=file,
                action=cells.get("action") or None,
                start_s=_number(cells, "start_s", place) or 0.0,
                end_s=_number(cells, "end_s", place),
                frame_rate=_number(cells, "frame_rate", place),
                motion_start=_row_number(cells, "motion_start", place),
                line=place,
                **{column: cells.get(column, "") for column in _TEXT_COLUMNS},
            )
        )


def _number(cells: dict[str, str], column: str, place: str) -> float | None:
    """The number in a column; None where it is empty or absent."""
    if not cells.get(column):
        return None
    try:
        value = float(cells[column])
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise MotionganError(f"{place}: {column} is `{cells[column]}`, expected a number, not negative")
    return value


def _row_number(cells: dict[str, str], column: str, place: str) -> int:
    value = _number(cells, column, place) or 0.0
    if not value.is_integer():
        raise MotionganError(f"{place}: {column} is `{cells[column]}`, expected a whole number of rows")
    return int(value)


def _checked(label: Label) -> Label:
    """The label; MotionganError where its numbers contradict each other."""
    if label.end_s is not None and label.end_s <= label.start_s:
        raise MotionganError(f"{label.line}: end_s is {label.end_s:g}, not after start_s {label.start_s:g}")
    if label.frame_rate == 0:
        raise MotionganError(f"{label.line}: frame_rate is 0, expected Hz above 0")
    return label


def _read_babel(text: str, name: str) -> Iterator[Label]:
    try:
        recordings = json.loads(text)
    except json.JSONDecodeError as error:
        raise MotionganError(f"{name}:{error.lineno}: not valid JSON ({error.msg})") from error
    for key, recording in recordings.items():
        place = f"{name}:{_line_of(text, key)}"
        if not isinstance(recording, dict) or not PurePosixPath(str(recording.get("feat_p", ""))).name:
            raise MotionganError(f"{place}: recording `{key}` has no `feat_p`; not a BABEL file")
        file = str(recording["feat_p"]).replace("\\", "/")
        segments = _annotations(recording, "frame_ann") or _annotations(recording, "seq_ann")
        for segment in segments:
            try:
                start, end = segment.get("start_t"), segment.get("end_t")
                label = Label(
                    file=file,
                    action=_babel_action(segment),
                    subject=_babel_subject(file),
                    start_s=0.0 if start is None else float(start),
                    end_s=None if end is None else float(end),
                    description=str(segment.get("proc_label") or segment.get("raw_label") or ""),
                    line=place,
                )
            except (AttributeError, TypeError, ValueError) as error:
                raise MotionganError(f"{place}: recording `{key}` has a label that is not BABEL's ({error})") from error
            yield _checked(label)


def _annotations(recording: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """The labels of one kind; of several annotators (BABEL's extra files: `frame_anns`) the first who gave any."""
    annotators = recording.get(kind) or recording.get(f"{kind}s") or []
    for annotator in annotators if isinstance(annotators, list) else [annotators]:
        if isinstance(annotator, dict) and annotator.get("labels"):
            return list(annotator["labels"])
    return []


def _babel_action(segment: dict[str, Any]) -> str | None:
    categories = [str(category) for category in segment.get("act_cat") or [] if category]
    specific = [category for category in categories if not _GENERIC_CATEGORY.fullmatch(category)]
    return next(iter([*specific, *categories]), None) or segment.get("proc_label") or None


def _babel_subject(file: str) -> str:
    """The recording's folder; BABEL repeats the data set's name ("KIT/KIT/3/kick.npz" -> "KIT/3")."""
    folders = PurePosixPath(file).parent.parts
    return "/".join(folder for i, folder in enumerate(folders) if i == 0 or folder != folders[i - 1])


def _line_of(text: str, key: str) -> int:
    """The line where a recording begins in the JSON text; 1 where it cannot be found."""
    return text.count("\n", 0, max(text.find(json.dumps(key)), 0)) + 1
