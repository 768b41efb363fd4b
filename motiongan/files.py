"""Files that appear complete under their name, or not at all: written beside it, then renamed."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; renamed when the block ends, removed when it raises.

    The folder is made where it is missing. An OSError names `path`.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.errno is None:
            raise
        named = str(path) if error.filename in (None, str(temporary)) else error.filename
        raise OSError(error.errno, error.strerror, named) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: str | Path, data: bytes) -> None:
    """Write bytes that outlast a power cut: an interrupted run leaves the old file or the new one."""
    with whole_file(path) as temporary, open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_json(path: str | Path, content: Any) -> None:
    """Write a JSON file that people read too; keys stay in their order."""
    with whole_file(path) as temporary:
        temporary.write_text(
            json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
        )


def remove_leftovers(folder: str | Path) -> None:
    """Remove the temporary files that a killed run left anywhere below a folder."""
    for leftover in Path(folder).rglob(".*.part"):
        leftover.unlink(missing_ok=True)
