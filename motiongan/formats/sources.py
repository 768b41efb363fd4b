"""Walking import sources: the motion, skeleton and label files inside folders and archives, one at a time, unextracted.

An archive is read once, from front to back (going back in a .tar.bz2 means unpacking it again), and a member is in
memory only while its consumer holds it. What a file is, its content says, never its name.
"""

import bz2
import gzip
import io
import logging
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from motiongan.errors import MotionganError

logger = logging.getLogger(__name__)

Format = Literal["bvh", "asf", "amc", "amass", "motion", "csv", "json", "archive"]

_HEAD = 64 * 1024  # bytes by which a file is recognised
_TAR_MAGIC_AT = 257
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x5d\x00\x00\x80\x00")  # gzip, bzip2, xz, lzma
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError)
_NOT_DATA = ("__MACOSX", ".DS_Store", "Thumbs.db")
_ASF_SECTION = re.compile(rb"\s*:(version|name|units|documentation|root|bonedata|hierarchy|skin)\b", re.IGNORECASE)
_AMC_LINE = re.compile(rb"\s*(:(fully-specified|degrees|radians|samples)|\d+\s*\r?\n\s*root\s)", re.IGNORECASE)
_COMMENTS = re.compile(rb"(\s*#[^\n\r]*[\r\n]+)*")


@dataclass(frozen=True)
class SourceFile:
    """A file found in a source, with its content.

    name       its path inside the container, with forward slashes: "07/07_01.amc"
    container  path of the folder or archive that holds it, as given or found
    data       its bytes; empty where `format` is None, and for motion files on disk, which are read through `path`
    format     what its content shows; None: nothing that can be imported
    path       where it lies on disk; None inside an archive
    fault      why it cannot be read: an archive of a folder that breaks off; `format` is None then
    """

    name: str
    container: str
    data: bytes
    format: Format | None
    path: Path | None = None
    fault: str = ""

    @property
    def label(self) -> str:
        """How messages call it: "mocap/cmu.tar.bz2/07/07_01.amc"."""
        return f"{self.container}/{self.name}" if self.path is None else str(self.path)


def detect_format(data: bytes) -> Format | None:
    """What a file is, from its first bytes (64 KB are enough); None where nothing that can be imported.

    "amass" is any NumPy .npz: what it holds shows when it is read. "archive" is a zip or tar, packed or not.
    "csv" is a table with the columns `file` and `action`, "json" has BABEL's `feat_p`.
    """
    if data.startswith(b"\x89HDF\r\n\x1a\n"):
        return "motion"
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        name_length = int.from_bytes(data[26:28], "little")
        return "amass" if data[30 : 30 + name_length].endswith(b".npy") else "archive"
    if data.startswith(_PACKED) or data[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar":
        return "archive"
    head = data[:_HEAD].removeprefix(b"\xef\xbb\xbf")
    text = head.lstrip()
    if text[:9].upper() == b"HIERARCHY":
        return "bvh"
    after_comments = _COMMENTS.match(head)
    rest = head[after_comments.end() if after_comments else 0 :]
    if _ASF_SECTION.match(rest):
        return "asf"
    if _AMC_LINE.match(rest) or text.startswith(b"#!OML:ASF"):
        return "amc"
    if text.startswith(b"{") and b'"feat_p"' in text:
        return "json"
    columns = {column.strip().strip(b'"').lower() for column in re.split(rb"[,;\t]", text.partition(b"\n")[0])}
    return "csv" if {b"file", b"action"} <= columns else None


def walk(paths: Sequence[str | Path]) -> Iterator[SourceFile]:
    """The files of the sources in order, folders and the archives in them sorted and recursively, one at a time.

    Files of no known format come too, with `format` None and no data, so that a summary can name them; hidden files
    and what file managers leave behind do not. A damaged archive in a folder comes with its `fault`, after what could
    be read of it. A source that does not exist, or is itself a damaged archive, raises MotionganError.
    """
    for path in map(Path, paths):
        if path.is_dir():
            for inner in _files_below(path):
                name = inner.relative_to(path).as_posix()
                try:
                    yield from _walk_file(inner, name, str(path))
                except MotionganError as error:  # a download that broke off must not cost the rest of the folder
                    yield SourceFile(name, str(path), b"", None, inner, fault=str(error))
        elif path.is_file():
            yield from _walk_file(path, path.name, str(path.parent))
        else:
            raise MotionganError(f"{path}: no such file or folder")


def _files_below(folder: Path) -> list[Path]:
    inner = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in inner if not _is_hidden(path.relative_to(folder).as_posix()))


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part in _NOT_DATA for part in PurePosixPath(name).parts)


def _walk_file(path: Path, name: str, container: str) -> Iterator[SourceFile]:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            format = detect_format(head)
            if format != "archive":
                data = head + file.read() if format not in (None, "motion") else b""
                yield SourceFile(name, container, data, format, path)
                return
            file.seek(0)
            yield from _walk_archive(file, path, SourceFile(name, container, b"", None, path))
    except OSError as error:
        # bz2 and gzip tell of damage with a bare OSError; one with a number comes from the disk.
        raise MotionganError(f"{path}: {error.strerror or f'damaged archive ({error}), fetch it again'}") from error
    except _DAMAGED as error:
        raise MotionganError(f"{path}: damaged archive ({error}), fetch it again") from error


def _walk_archive(file: io.BufferedReader, path: Path, itself: SourceFile) -> Iterator[SourceFile]:
    """The members of an archive; the file itself where it is packed but holds no tar, such as walk.bvh.gz."""
    if file.read(4).startswith(b"PK"):
        with zipfile.ZipFile(file) as zipped:
            for entry in zipped.infolist():
                if entry.is_dir() or _is_hidden(entry.filename):
                    continue
                if entry.flag_bits & 1:
                    raise MotionganError(
                        f"{path}: `{entry.filename}` is encrypted; unpack the archive with its password"
                    )
                with zipped.open(entry) as member:
                    yield _member(member.read, entry.filename, path)
        return
    unpacked = _unpacked(file)
    try:
        # "r|": one pass without seeking
        archive = tarfile.open(fileobj=unpacked, mode="r|")  # noqa: SIM115 (it is closed by the `with` below)
    except tarfile.ReadError:
        if unpacked is file:
            raise
        _unpacked(file).read(_HEAD)  # raises where damage is the reason
        yield itself
        return
    with archive:
        for info in archive:
            if info.isfile() and not _is_hidden(info.name):
                opened = archive.extractfile(info)
                assert opened is not None, "a regular member always opens"
                yield _member(opened.read, info.name, path)
    if unpacked is file:
        # A damaged header looks like the end to tarfile.
        file.seek(archive.offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError(f"it breaks off after {archive.offset} bytes")
    while unpacked is not file and unpacked.read(_HEAD):
        pass  # to the end, where the packing's checksum stands


def _unpacked(file: io.BufferedReader) -> io.BufferedReader:
    """The file, unpacked on the fly where its first bytes say that it is packed; it starts at the beginning."""
    file.seek(0)
    magic = file.read(2)
    file.seek(0)
    packings = {b"\x1f\x8b": gzip.GzipFile, b"BZ": bz2.BZ2File, b"\xfd7": lzma.LZMAFile, b"]\x00": lzma.LZMAFile}
    if magic not in packings:
        return file
    opener: Callable[..., Any] = packings[magic]
    unpacked = opener(fileobj=file) if magic == b"\x1f\x8b" else opener(file)
    return io.BufferedReader(unpacked, _HEAD)


def _member(read: Callable[[int], bytes], name: str, archive: Path) -> SourceFile:
    name = PurePosixPath(name.replace("\\", "/")).as_posix()  # without a leading "./"
    head = read(_HEAD)
    format = detect_format(head)
    if format == "archive":
        logger.warning("%s/%s: an archive inside an archive is not opened; unpack the outer one", archive, name)
        format = None
    return SourceFile(name, str(archive), b"" if format is None else head + read(-1), format)


def with_skeletons(
    sources: Iterable[SourceFile], skeleton_of: Callable[[SourceFile], str | None] = lambda amc: None
) -> Iterator[tuple[SourceFile, SourceFile | None]]:
    """The sources, each AMC with the ASF it needs; ASF files themselves do not come.

    skeleton_of   path of the ASF that labels name for an AMC, else None

    Rules, first that fits: the skeleton the labels name; in the AMC's folder, the .asf whose name begins the AMC's
    ("07.asf" for "07_01.amc"; the longest); the only .asf of the folder, or of the nearest folder above with one; for
    an AMC on disk given by itself, the same among the files beside it.
    An AMC whose skeleton has not come yet is held back, at most to the end: (amc, None) then means that there is none.
    """
    skeletons: list[SourceFile] = []
    waiting: list[SourceFile] = []

    def settled(amc: SourceFile) -> SourceFile | None:
        wanted = skeleton_of(amc)
        return _named_skeleton(wanted, amc, skeletons) if wanted else _skeleton_by_prefix(amc, skeletons)

    for source in sources:
        if source.format == "amc":
            waiting.append(source)
        elif source.format == "asf":
            skeletons.append(source)
        else:
            yield source, None
            continue
        still_waiting = []
        for amc in waiting:
            skeleton = settled(amc)
            if skeleton is None:
                still_waiting.append(amc)
            else:
                yield amc, skeleton
        waiting = still_waiting
    for amc in waiting:
        beside = _skeletons_beside(amc)
        yield (
            amc,
            _skeleton_by_prefix(amc, skeletons)
            or _nearest_skeleton(amc, skeletons)
            or _skeleton_by_prefix(amc, beside)
            or _nearest_skeleton(amc, beside),
        )


def _named_skeleton(wanted: str, amc: SourceFile, skeletons: Iterable[SourceFile]) -> SourceFile | None:
    """The skeleton whose path ends like the wanted one; one from the AMC's own container goes first."""
    parts = PurePosixPath(wanted.replace("\\", "/")).parts
    fitting = []
    for skeleton in skeletons:
        its_parts = (*PurePosixPath(skeleton.container.replace("\\", "/")).parts, *PurePosixPath(skeleton.name).parts)
        agreeing = next(
            (i for i, (a, b) in enumerate(zip(reversed(parts), reversed(its_parts))) if a != b),
            min(len(parts), len(its_parts)),
        )
        if agreeing:
            fitting.append((skeleton.container == amc.container, agreeing, skeleton))
    return max(fitting, key=lambda fit: fit[:2])[2] if fitting else None


def _skeleton_by_prefix(amc: SourceFile, skeletons: Iterable[SourceFile]) -> SourceFile | None:
    path = PurePosixPath(amc.name)
    fitting: list[tuple[int, SourceFile]] = []
    for skeleton in skeletons:
        other = PurePosixPath(skeleton.name)
        rest = path.stem.removeprefix(other.stem)
        begins = path.stem.startswith(other.stem) and not rest[:1].isalnum()
        if begins and (skeleton.container, other.parent) == (amc.container, path.parent):
            fitting.append((len(other.stem), skeleton))
    return max(fitting, key=lambda fit: fit[0])[1] if fitting else None


def _nearest_skeleton(amc: SourceFile, skeletons: Sequence[SourceFile]) -> SourceFile | None:
    """The only skeleton of the AMC's folder, or of the nearest folder above it that has any."""
    for folder in PurePosixPath(amc.name).parents:
        inside = [s for s in skeletons if s.container == amc.container and PurePosixPath(s.name).parent == folder]
        if inside:
            return inside[0] if len(inside) == 1 else None
    return None


def _skeletons_beside(amc: SourceFile) -> list[SourceFile]:
    if amc.path is None:
        return []
    paths = sorted(path for path in amc.path.parent.iterdir() if path.suffix.lower() == ".asf")
    folder = PurePosixPath(amc.name).parent
    return [
        SourceFile((folder / path.name).as_posix(), amc.container, path.read_bytes(), "asf", path) for path in paths
    ]
