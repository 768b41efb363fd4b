import bz2
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from motiongan.errors import MotionganError
from motiongan.formats.sources import SourceFile, detect_format, walk, with_skeletons

BVH = b"HIERARCHY\nROOT Hips\n{ OFFSET 0 0 0 CHANNELS 0 }\nMOTION\nFrames: 0\nFrame Time: 0.01\n"
ASF = b"# a comment \xfc\n:version 1.10\n:name VICON\n"
AMC = b"#!OML:ASF H:\\liu.ASF\n:FULLY-SPECIFIED\n:DEGREES\n1\nroot 0 0 0 0 0 0\n"
INDEX = b"file,action\nwalk.bvh,walk\n"
HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(100)


def npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, poses=np.zeros((2, 156)))
    return file.getvalue()


def tar(members: dict[str, bytes], packing: str = "") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=f"w:{packing}") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def source(name: str, container: str = "c") -> SourceFile:
    is_asf = name.endswith(".asf")
    return SourceFile(name, container, ASF if is_asf else AMC, "asf" if is_asf else "amc")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (BVH, "bvh"),
        (b"\xef\xbb\xbf\r\n hierarchy\r\n", "bvh"),
        (ASF, "asf"),
        (AMC, "amc"),
        (b"# by hand\n1\nroot 0 0 0\n", "amc"),
        (npz(), "amass"),
        (HDF5, "motion"),
        (INDEX, "csv"),
        (b'\xef\xbb\xbf"File";"Subject";"Action"\n', "csv"),
        (b'{"1": {"babel_sid": 1, "feat_p": "KIT/3/a.npz"}}', "json"),
        (zipped({"a.bvh": BVH}), "archive"),
        (tar({"a.bvh": BVH}), "archive"),
        (tar({"a.bvh": BVH}, "gz"), "archive"),
        (tar({"a.bvh": BVH}, "bz2"), "archive"),
        (tar({"a.bvh": BVH}, "xz"), "archive"),
        (b"# Clips\n\nSome words about the files.\n", None),
        (b"file,size\na.bvh,3\n", None),
        (b"", None),
        (b"\x89PNG\r\n", None),
    ],
)
def test_a_file_is_known_by_its_content(data, expected):
    assert detect_format(data) == expected


@pytest.mark.parametrize("pack", [zipped, tar, *(lambda m, p=p: tar(m, p) for p in ("gz", "bz2", "xz"))])
def test_archives_of_every_kind_give_their_members_whatever_they_are_called(pack, tmp_path):
    long = BVH + b" " * 200_000  # longer than the piece by which it is recognised
    path = tmp_path / "no_suffix"
    path.write_bytes(pack({"./07/07_01": AMC, "07/long.txt": long, "read.me": b"hello", "__MACOSX/07/._x": b"x"}))
    found = list(walk([path]))
    assert [(file.name, file.format) for file in found] == [
        ("07/07_01", "amc"),
        ("07/long.txt", "bvh"),
        ("read.me", None),
    ]
    assert found[1].data == long
    assert found[2].data == b""
    assert all(file.container == str(path) and file.path is None for file in found)


def test_a_folder_is_walked_sorted_with_the_archives_in_it(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "2.bvh").write_bytes(BVH)
    (tmp_path / "b" / "1.bvh").write_bytes(BVH)
    (tmp_path / "a.tar.bz2").write_bytes(tar({"x.bvh": BVH}, "bz2"))
    (tmp_path / "c.h5").write_bytes(HDF5)
    (tmp_path / ".hidden.bvh").write_bytes(BVH)
    found = list(walk([tmp_path]))
    assert [(file.name, file.container) for file in found] == [
        ("x.bvh", str(tmp_path / "a.tar.bz2")),
        ("b/1.bvh", str(tmp_path)),
        ("b/2.bvh", str(tmp_path)),
        ("c.h5", str(tmp_path)),
    ]
    assert (found[3].format, found[3].data, found[3].path) == ("motion", b"", tmp_path / "c.h5")


def test_members_are_read_only_when_their_turn_comes(tmp_path):
    cut = tar({"a.bvh": BVH, "b.bvh": BVH + np.random.default_rng(0).bytes(300_000)})[:-250_000]
    (tmp_path / "cut.tar").write_bytes(cut)
    files = walk([tmp_path / "cut.tar"])
    assert next(files).name == "a.bvh"
    with pytest.raises(MotionganError, match=r"cut.tar: damaged archive .*, fetch it again"):
        list(files)


@pytest.mark.parametrize("packing", ["", "gz", "bz2", "xz"])
@pytest.mark.parametrize("part", [0.01, 0.5, 0.9])
def test_a_cut_off_archive_is_told(packing, part, tmp_path):
    random = np.random.default_rng(0)
    whole = tar({f"{i}.bvh": BVH + random.bytes(90_000) for i in range(14)}, packing)
    (tmp_path / "cut.tar").write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(MotionganError, match=r"cut.tar: damaged archive .*, fetch it again"):
        list(walk([tmp_path / "cut.tar"]))
    *read, itself = walk([tmp_path])  # in a folder, what can be read is, and the rest is told
    assert all(not file.fault for file in read)
    assert (itself.format, itself.path) == (None, tmp_path / "cut.tar")
    assert "cut.tar: damaged archive" in itself.fault


def test_a_packed_file_that_is_no_archive_is_nothing_to_import(tmp_path):
    (tmp_path / "walk.bvh.bz2").write_bytes(bz2.compress(BVH * 100))
    assert [(file.name, file.format) for file in walk([tmp_path])] == [("walk.bvh.bz2", None)]


def test_a_missing_source_is_told():
    with pytest.raises(MotionganError, match="no/such: no such file or folder"):
        list(walk(["no/such"]))


def test_an_archive_in_an_archive_is_passed_over_with_a_notice(tmp_path, caplog):
    (tmp_path / "outer.zip").write_bytes(zipped({"inner.tar": tar({"a.bvh": BVH})}))
    assert [file.format for file in walk([tmp_path])] == [None]
    assert "inner.tar: an archive inside an archive is not opened" in caplog.text


def paired(sources: list[SourceFile], named: dict[str, str] | None = None) -> list[tuple[str, str | None]]:
    pairs = with_skeletons(sources, lambda amc: (named or {}).get(amc.name))
    return [(amc.name, None if asf is None else f"{asf.container}:{asf.name}") for amc, asf in pairs]


def test_an_amc_finds_the_skeleton_that_begins_its_name():
    sources = [source(f"m/{name}") for name in ("HDM_b.asf", "HDM_bd.asf", "HDM_bd_kick.amc", "HDM_b_kick.amc")]
    assert paired(sources) == [("m/HDM_bd_kick.amc", "c:m/HDM_bd.asf"), ("m/HDM_b_kick.amc", "c:m/HDM_b.asf")]


def test_an_amc_before_its_skeleton_waits_for_it():
    sources = [source("07_01.amc"), source("08_01.amc"), source("08.asf"), source("07.asf")]
    assert paired(sources) == [("08_01.amc", "c:08.asf"), ("07_01.amc", "c:07.asf")]


def test_the_only_skeleton_of_the_nearest_folder_serves_all():
    sources = [source("p/body.asf"), source("p/day1/kick.amc"), source("q/kick.amc"), source("other.amc", "d")]
    assert paired(sources) == [("p/day1/kick.amc", "c:p/body.asf"), ("q/kick.amc", None), ("other.amc", None)]


def test_of_two_skeletons_that_fit_equally_none_is_guessed():
    assert paired([source("a.asf"), source("b.asf"), source("kick.amc")]) == [("kick.amc", None)]


def test_labels_name_the_skeleton_before_any_rule():
    sources = [source("07/07.asf"), source("07/07_01.amc"), source("x/liu.asf", "d"), source("x/liu.asf")]
    assert paired(sources, {"07/07_01.amc": "root\\x\\liu.asf"}) == [("07/07_01.amc", "d:x/liu.asf")]


def test_an_amc_given_by_itself_finds_the_skeleton_beside_it(tmp_path: Path):
    (tmp_path / "07.asf").write_bytes(ASF)
    (tmp_path / "07_01.amc").write_bytes(AMC)
    ((amc, asf),) = with_skeletons(walk([tmp_path / "07_01.amc"]))
    assert amc.name == "07_01.amc"
    assert asf is not None
    assert asf.data == ASF
