import json
from pathlib import Path

import pytest

from motiongan.errors import MotionganError
from motiongan.formats.labels import Label, find_labels, merge_labels, read_labels

MOCAP = Path(__file__).parents[3] / "shared" / "mocap"


def table(tmp_path: Path, text: str, name: str = "labels.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def actions(labels: list[Label]) -> list[str | None]:
    return [label.action for label in labels]


def test_every_column_is_read_and_others_are_ignored(tmp_path):
    path = table(
        tmp_path,
        "trial,file,action,subject,start_s,end_s,frame_rate,archive,skeleton,motion_start,duplicate_of,licence,notes\n"
        '1,a/b.amc,kick,p1,0.5,2.5,60,x.tar.bz2,a/b.asf,3,c.bvh,CC0,"one, two"\n',
    )
    (label,) = read_labels(path).for_file("a/b.amc")
    assert label == Label(
        **{"file": "a/b.amc", "action": "kick", "subject": "p1", "start_s": 0.5, "end_s": 2.5, "frame_rate": 60.0},
        **{"archive": "x.tar.bz2", "skeleton": "a/b.asf", "motion_start": 3, "duplicate_of": "c.bvh"},
        **{"licence": "CC0", "notes": "one, two", "line": f"{path}:2"},
    )


def test_several_rows_of_a_file_are_its_segments_by_time(tmp_path):
    path = table(tmp_path, "file,action,start_s,end_s\na.bvh,jump,4,6\nb.bvh,run,,\na.bvh,walk,1,4\n\n")
    labels = read_labels(path)
    assert [(label.action, label.start_s, label.end_s) for label in labels.for_file("a.bvh")] == [
        ("walk", 1.0, 4.0),
        ("jump", 4.0, 6.0),
    ]
    assert [(label.start_s, label.end_s) for label in labels.for_file("b.bvh")] == [(0.0, None)]
    assert labels.for_file("c.bvh") == []


def test_semicolons_a_byte_order_mark_and_old_encodings_are_read(tmp_path):
    path = tmp_path / "excel.csv"
    path.write_bytes(b"File;Action;Subject\r\na.bvh;run;J\xfcrgen\r\n")
    assert read_labels(path).for_file("a.bvh")[0].subject == "Jürgen"
    path.write_text("\ufefffile\taction\na.bvh\trun\n", encoding="utf-8")
    assert actions(read_labels(path).for_file("a.bvh")) == ["run"]


def test_an_empty_action_is_unlabelled(tmp_path):
    assert actions(read_labels(table(tmp_path, "file,action\na.bvh, \n")).for_file("a.bvh")) == [None]


@pytest.mark.parametrize(
    ("name", "container"),
    [
        ("cmu/07/07_01.amc", "/data/cmu.tar.bz2"),
        ("07/07_01.amc", "/data/cmu"),
        ("07_01.amc", "/data/cmu/07"),
        ("07_01.amc", "C:\\data\\cmu\\07"),
        ("mocap/cmu/07/07_01.amc", "/data"),
        ("07_01.amc", "/elsewhere"),
        ("CMU/07/07_01.AMC", "/data"),
    ],
)
def test_a_file_is_found_whatever_folder_its_path_starts_at(name, container, tmp_path):
    labels = read_labels(table(tmp_path, "file,action\ncmu/07/07_01.amc,walk\ncmu/08/08_01.amc,run\n"))
    assert actions(labels.for_file(name, container)) == ["walk"]


def test_the_row_that_agrees_over_most_folders_is_meant(tmp_path):
    labels = read_labels(table(tmp_path, "file,action\na/day1/x.bvh,walk\nb/day1/x.bvh,run\nday1/x.bvh,jump\n"))
    assert actions(labels.for_file("day1/x.bvh", "/data/b")) == ["run"]
    assert actions(labels.for_file("a/day1/x.bvh")) == ["walk"]


def test_the_archive_decides_between_equal_paths_and_without_it_neither_is_guessed(tmp_path, caplog):
    labels = read_labels(table(tmp_path, "file,archive,action\nx.bvh,one.zip,walk\n./x.bvh,two.zip,run\n"))
    assert actions(labels.for_file("x.bvh", "/data/two.zip")) == ["run"]
    assert labels.for_file("x.bvh", "/data/three.zip") == []
    assert "fit equally well" in caplog.text


def test_the_same_recording_in_another_format_is_another_file(tmp_path):
    labels = read_labels(table(tmp_path, "file,action\n07_01.amc,walk\n"))
    assert labels.for_file("07_01.bvh") == []
    assert actions(read_labels(table(tmp_path, "file,action\n07_01,walk\n")).for_file("07_01.bvh")) == ["walk"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,acton\na,b\n", "labels.csv:1: no column `action`; is `acton` meant?"),
        ("", "labels.csv:1: no column `file`; name the columns in the first line"),
        ("file,action,start_s\na,run,0\nb,run,soon\n", "labels.csv:3: start_s is `soon`, expected a number"),
        ("file,action,start_s,end_s\na,run,3,2\n", "labels.csv:2: end_s is 2, not after start_s 3"),
        ("file,action,frame_rate\na,run,0\n", "labels.csv:2: frame_rate is 0"),
        ("file,action,motion_start\na,run,1.5\n", "labels.csv:2: motion_start is `1.5`, expected a whole number"),
        ('file,action,notes\na,run,"two\nlines"\n,run,\n', "labels.csv:4: no file name"),
        ("file,action\na,run, fast\n", "labels.csv:2: 3 cells under 2 columns; put quotes around commas"),
        ("{oops", "labels.csv:1: not valid JSON"),
    ],
)
def test_a_mistake_is_told_with_its_line(text, message, tmp_path):
    with pytest.raises(MotionganError) as raised:
        read_labels(table(tmp_path, text))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


BABEL = {
    "1": {
        "feat_p": "KIT/KIT/3/kick_high_left02_poses.npz",
        "seq_ann": {"labels": [{"raw_label": "kick", "proc_label": "kick", "act_cat": ["kick"]}]},
        "frame_ann": {
            "labels": [
                {"proc_label": "kick", "act_cat": ["leg movements", "kick"], "start_t": 1.5, "end_t": 3.0},
                {"proc_label": "stand", "act_cat": ["stand"], "start_t": 0, "end_t": 1.5},
            ]
        },
    },
    "2": {
        "feat_p": "BMLrub/BioMotionLab_NTroje/rub055/0027_jumping1_poses.npz",
        "seq_ann": {"labels": [{"proc_label": "jump", "act_cat": ["jump", "leg movements"]}]},
        "frame_ann": None,
    },
    "3": {
        "feat_p": "ACCAD/ACCAD/Male1General_c3d/General A1 - Stand_poses.npz",
        "seq_anns": [{"labels": []}, {"labels": [{"proc_label": "stand still", "act_cat": None}]}],
    },
    "4": {
        "feat_p": "CMU/CMU/01/01_01_poses.npz",
        "seq_ann": {"labels": [{"proc_label": "swing", "act_cat": ["arm movements"]}]},
    },
    "5": {"feat_p": "CMU/CMU/01/01_02_poses.npz"},
}


def test_babel_gives_frame_segments_before_the_whole_and_specific_categories_before_generic_ones(tmp_path):
    labels = read_labels(table(tmp_path, json.dumps(BABEL, indent=1), "train.json"))
    segments = labels.for_file("KIT/3/kick_high_left02_poses.npz", "/amass")
    assert [(label.action, label.start_s, label.end_s) for label in segments] == [
        ("stand", 0.0, 1.5),
        ("kick", 1.5, 3.0),
    ]
    assert {label.subject for label in segments} == {"KIT/3"}
    (whole,) = labels.for_file("rub055/0027_jumping1_poses.npz", "/amass/BMLrub.tar.bz2")
    assert (whole.action, whole.start_s, whole.end_s) == ("jump", 0.0, None)
    assert actions(labels.for_file("01/01_01_poses.npz", "/amass/CMU")) == ["arm movements"]
    assert labels.for_file("CMU/01/01_02_poses.npz") == []


def test_babel_finds_the_smplx_release_of_a_recording(tmp_path):
    labels = read_labels(table(tmp_path, json.dumps(BABEL), "train.json"))
    assert actions(labels.for_file("BMLrub/rub055/0027_jumping1_stageii.npz", "/amass")) == ["jump"]
    name = "ACCAD/Male1General_c3d/General_A1_-_Stand_stageii.npz"
    assert actions(labels.for_file(name, "/amass")) == ["stand still"]


def test_a_json_file_that_is_not_babels_is_told(tmp_path):
    path = table(tmp_path, '{\n"a": {"feat_p": "x.npz"},\n"b": 3}', "other.json")
    with pytest.raises(MotionganError, match=r"other.json:3: recording `b` has no `feat_p`; not a BABEL file"):
        read_labels(path)


def test_a_table_inside_a_folder_is_found_by_its_columns(tmp_path):
    (tmp_path / "deep").mkdir()
    table(tmp_path, "name,size\na,1\n", "sizes.csv")
    assert find_labels(tmp_path) is None
    table(tmp_path / "deep", "file,action\na.bvh,run\n", "index.csv")
    found = find_labels(tmp_path)
    assert found is not None
    assert actions(found.for_file("a.bvh")) == ["run"]


def test_merged_tables_keep_all_rows(tmp_path):
    tables = [read_labels(table(tmp_path, f"file,action\n{name}.bvh,run\n", f"{name}.csv")) for name in "ab"]
    assert [label.file for label in merge_labels(tables).all] == ["a.bvh", "b.bvh"]


@pytest.mark.shared
@pytest.mark.skipif(not MOCAP.exists(), reason="the recordings in ../shared are not here")
def test_the_index_of_the_recordings_works_as_it_is():
    labels = find_labels(MOCAP)
    assert labels is not None
    assert len(labels) == 421
    assert sum(bool(label.duplicate_of) for label in labels.all) == 3
    (first,) = labels.for_file("cmu_bvh/07_12.bvh", str(MOCAP / "cmu_bvh.tar.bz2"))
    assert (first.action, first.motion_start, first.subject, first.frame_rate) == ("walk", 2, "cmu007", 120.0)
