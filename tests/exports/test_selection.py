import pytest

from motiongan.errors import MotionganError
from motiongan.exports.selection import parse_numbers, select
from motiongan.motion.store import write_clips

pytest_plugins = ("exports.export_fixtures",)


def test_numbers_and_ranges_keep_their_order_and_come_once():
    assert parse_numbers("0,5,10-12", 20, "a.h5") == [0, 5, 10, 11, 12]
    assert parse_numbers("7, 5-6,5", 8, "a.h5") == [7, 5, 6]
    assert parse_numbers("19", 20, "a.h5") == [19]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,20", "--clips 0,20: 20 is out of range: a.h5 has 20 clips, numbered 0 to 19"),
        ("3-25", "25 is out of range"),
        ("5-3", "runs backwards; write 3-5"),
        ("1,,2", "`` is no number or range; write it as 0,5,10-20"),
        ("-1", "`-1` is no number or range"),
        ("walk", "`walk` is no number or range"),
    ],
)
def test_what_is_no_list_of_clips_is_told_in_one_line(text, message):
    with pytest.raises(MotionganError) as raised:
        parse_numbers(text, 20, "a.h5")
    assert message in str(raised.value)


def test_clips_are_chosen_by_number_and_by_action(moving_file):
    assert [named.name for named in select([moving_file]).clips()] == ["00000_kick_left", "00001_run_fast", "00002"]
    assert [named.number for named in select([moving_file], clips="2,0").clips()] == [2, 0]
    assert [named.number for named in select([moving_file], action="run fast,kick_left").clips()] == [0, 1]
    assert [named.number for named in select([moving_file], clips="1-2", action="run fast").clips()] == [1]


def test_several_files_are_told_apart_by_name(moving_file, raised_file):
    export = select([moving_file, raised_file], action="raise_left,run fast")
    assert export.num_clips == 2
    assert [named.name for named in export.clips()] == ["moving_00001_run_fast", "raised_00000_raise_left"]


def test_another_frame_rate_keeps_the_duration(moving_file):
    clips = [named.clip for named in select([moving_file], frame_rate=60.0).clips()]
    assert [(clip.frame_rate, clip.num_frames) for clip in clips] == [(60.0, 23), (60.0, 25), (60.0, 27)]


def test_a_clip_that_cannot_be_posed_is_left_out_with_its_number(tmp_path, make_clip):
    broken = make_clip(0, 5)
    broken.poses[2] = float("nan")
    write_clips(tmp_path / "x.h5", [make_clip(1, 5), broken], kind="sample")
    export = select([tmp_path / "x.h5"])
    assert [named.number for named in export.clips()] == [0]
    assert export.left_out == [f"{tmp_path}/x.h5: clip 1: NaN or infinity in it; `motiongan import` mends such clips"]
    assert len(list(export.clips(usable=False))) == 2


def test_files_that_do_not_go_together_are_refused(tmp_path, make_clip, moving_file):
    write_clips(tmp_path / "slow.h5", [make_clip(0, 5, frame_rate=20.0)], kind="sample")
    write_clips(tmp_path / "smpl.h5", [make_clip(0, 5)], kind="sample", body_model="smplh")
    with pytest.raises(MotionganError, match=r"slow.h5: has 20 Hz, .*moving.h5 30 Hz; give the rate"):
        select([moving_file, tmp_path / "slow.h5"])
    with pytest.raises(
        MotionganError, match=r"smpl.h5: its body shapes are for smplh, .* for motiongan; `motiongan imp"
    ):
        select([moving_file, tmp_path / "smpl.h5"])
    with pytest.raises(MotionganError, match=r"--clips 0: numbers belong to one file, 2 are given"):
        select([moving_file, tmp_path / "smpl.h5"], clips="0")
    with pytest.raises(MotionganError, match=r"unknown action `kick_lef`; did you mean `kick_left`"):
        select([moving_file], action="kick_lef")


def test_another_bodys_shapes_give_the_mean_body_with_a_notice(tmp_path, make_clip, body):
    write_clips(tmp_path / "x.h5", [make_clip(0, 5, betas=range(10))], kind="sample", body_model="smplh")
    export = select([tmp_path / "x.h5"])
    (named,) = export.clips()
    assert export.betas(named.clip).tolist() == [0.0] * 10
    assert export.notices == [
        "body shapes are for smplh: the mean body of motiongan is taken; --body FILE gives a smplh body"
    ]
