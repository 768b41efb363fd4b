"""MotionDataset: which windows there are, what a sample holds, processes, memory, quality and mistakes."""

import multiprocessing
import os
import pickle

import h5py
import numpy as np
import pytest
import torch
from torch.testing import assert_close
from torch.utils.data import DataLoader

from motiongan.augmentation.dataset import MotionDataset
from motiongan.augmentation.frames import FrameReader
from motiongan.body.joint_sets import JOINT_SETS
from motiongan.body.smpl import load_body
from motiongan.errors import MotionganError
from motiongan.motion.clip import SCORE_UNITS
from motiongan.motion.store import read_clips, write_clips

PLACES = ("file", "clip", "start")
ALL = ("poses", "trans", "betas", "action", "mask", *PLACES)


def test_windows_are_those_of_the_clips_one_after_another(motion_file):
    data = MotionDataset(motion_file, window=20, stride=7, fields=(*PLACES, "poses", "trans"))
    expected = [(clip, start) for clip, length in enumerate((30, 40, 50, 60)) for start in range(0, length - 20 + 1, 7)]
    assert [(sample["clip"], sample["start"]) for sample in data] == expected
    assert len(data) == len(expected)
    clips = read_clips(motion_file)
    for sample in data:
        frames = slice(sample["start"], sample["start"] + 20)
        assert np.array_equal(sample["poses"].numpy(), clips[sample["clip"]].poses[frames])
        assert np.array_equal(sample["trans"].numpy(), clips[sample["clip"]].trans[frames])


def test_a_clip_shorter_than_the_window_is_left_out_or_padded_with_its_last_frame(motion_file):
    assert {sample["clip"] for sample in MotionDataset(motion_file, 45, 45, fields=PLACES)} == {2, 3}
    padded = MotionDataset(motion_file, 45, 45, fields=ALL, pad=True)
    assert [sample["clip"] for sample in padded] == [0, 1, 2, 3]
    first = padded[0]
    assert first["mask"].tolist() == [True] * 30 + [False] * 15
    assert torch.equal(first["poses"][30:], first["poses"][29:30].expand(15, -1, -1))
    assert padded[2]["mask"].all()


def test_windows_across_the_blocks_of_the_file_are_whole(tmp_path, make_clip):
    clips = [make_clip(seed, num_frames=length) for seed, length in enumerate((100, 300, 77))]
    write_clips(tmp_path / "long.h5", clips, kind="sample")
    data = MotionDataset(tmp_path / "long.h5", 64, 5, fields=("poses", "trans", *PLACES))
    for sample in data:
        frames = slice(sample["start"], sample["start"] + 64)
        assert np.array_equal(sample["poses"].numpy(), clips[sample["clip"]].poses[frames])
        assert np.array_equal(sample["trans"].numpy(), clips[sample["clip"]].trans[frames])


def test_actions_and_subjects_choose_clips(motion_file):
    def chosen(**wanted: object) -> list[int]:
        return [sample["clip"] for sample in MotionDataset(motion_file, 30, 60, fields=PLACES, **wanted)]

    assert chosen() == [0, 1, 2, 3]
    assert chosen(action="walk") == [0, 2]
    assert chosen(action=["squat", "walk"]) == [0, 1, 2]
    assert chosen(subjects=["ben"]) == chosen(subjects="ben") == chosen(without_subjects="anna") == [2, 3]
    assert chosen(without_subjects=["ben"], action="squat") == [1]
    actions = MotionDataset(motion_file, 30, 60, fields=("action",))
    assert actions.actions == ("walk", "squat")
    assert [sample["action"] for sample in actions] == [0, 1, 0, -1]


def test_several_files_share_one_vocabulary(tmp_path, make_clip, motion_file):
    other = tmp_path / "other.h5"
    write_clips(other, [make_clip(7, action="kick"), make_clip(8, action="walk")], kind="sample")
    data = MotionDataset([motion_file, other], 30, 60, fields=("action", "poses", *PLACES))
    assert data.actions == ("walk", "squat", "kick")
    assert [(sample["file"], sample["clip"], sample["action"]) for sample in data][-3:] == [
        (0, 3, -1),
        (1, 0, 2),
        (1, 1, 0),
    ]
    assert np.array_equal(data[-1]["poses"].numpy(), make_clip(8).poses[:30])


def test_joint_sets_are_placed_on_the_clips_own_body(tmp_path, make_clip):
    betas = np.random.default_rng(0).normal(size=10)
    write_clips(tmp_path / "one.h5", [make_clip(0, betas=betas), make_clip(1)], kind="sample")
    data = MotionDataset(tmp_path / "one.h5", 16, 16, fields=("h36m17", "smpl24", "poses", "trans", "betas"))
    assert set(data[0]) == {"h36m17", "smpl24", "poses", "trans", "betas"}
    body = load_body()
    for sample in (data[0], data[len(data) - 1]):
        for name in ("h36m17", "smpl24"):
            expected = JOINT_SETS[name].place(body, sample["poses"], sample["trans"], sample["betas"])
            assert_close(sample[name], expected, atol=1e-5, rtol=0)
    assert_close(data[0]["betas"], torch.from_numpy(betas).float())
    assert (data[len(data) - 1]["betas"] == 0).all()


def test_betas_of_another_body_model_give_the_mean_body_and_say_so(tmp_path, make_clip, caplog):
    write_clips(tmp_path / "smpl.h5", [make_clip(0, betas=[3.0] * 10)], kind="sample", body_model="smpl")
    data = MotionDataset(tmp_path / "smpl.h5", 16, 16, fields=("smpl24", "poses", "trans"))
    assert "mean body" in caplog.text
    expected = JOINT_SETS["smpl24"].place(load_body(), data[0]["poses"], data[0]["trans"], torch.zeros(10))
    assert_close(data[0]["smpl24"], expected, atol=1e-5, rtol=0)


def test_a_sample_can_be_changed_without_changing_the_next_reading(motion_file):
    data = MotionDataset(motion_file, 16, 8)
    before = data[3]["poses"].clone()
    data[3]["poses"].zero_()
    assert torch.equal(data[3]["poses"], before)


@pytest.mark.parametrize("cache_mb", [0.0, 64.0])
def test_the_cache_and_the_uncompressed_copy_change_nothing(tmp_path, motion_file, cache_mb):
    plain = MotionDataset(motion_file, 16, 3, fields=ALL)
    other = MotionDataset(motion_file, 16, 3, fields=ALL, cache_mb=cache_mb, copy=tmp_path / "copies")
    small = MotionDataset(motion_file, 16, 3, fields=ALL, cache_mb=cache_mb)
    for first, *rest in zip(plain, other, small):
        for sample in rest:
            assert all(np.array_equal(first[name], sample[name]) for name in ALL)
    (copy,) = (tmp_path / "copies").iterdir()
    assert copy.stat().st_size == 180 * 75 * 4
    made = copy.stat().st_mtime_ns
    MotionDataset(motion_file, 16, 3, copy=tmp_path / "copies")
    assert copy.stat().st_mtime_ns == made


def test_windows_of_an_action_are_found_by_number(motion_file):
    data = MotionDataset(motion_file, 20, 7, fields=("action", *PLACES))
    for name in ("walk", "squat"):
        numbers = data.index.numbers(name, np.arange(data.windows_of(name)))
        expected = [number for number, sample in enumerate(data) if sample["action"] == data.actions.index(name)]
        assert sorted(numbers.tolist()) == expected
    assert data.windows_of("kick") == 0
    with pytest.raises(IndexError):
        data.index.numbers("walk", np.array([data.windows_of("walk")]))


@pytest.mark.parametrize(("method", "num_workers"), [("fork", 2), ("spawn", 1)])  # a spawned one imports torch anew
def test_workers_of_either_kind_read_what_one_process_reads(motion_file, method, num_workers):
    data = MotionDataset(motion_file, 20, 7, fields=("poses", "trans", "betas"))
    expected = torch.stack([sample["poses"] for sample in data])  # the file is open here before the workers start
    loader = DataLoader(data, batch_size=5, num_workers=num_workers, multiprocessing_context=method)
    assert torch.equal(torch.cat([batch["poses"] for batch in loader]), expected)
    assert torch.equal(torch.stack([sample["poses"] for sample in data]), expected)


def _open_files(data: MotionDataset, queue: "multiprocessing.Queue[tuple[int, bool]]") -> None:
    before = len(data._reader._files)
    queue.put((before, bool(torch.equal(data[2]["poses"], data[2]["poses"]))))


def test_a_fork_inherits_no_open_file_and_the_parent_reads_on(motion_file):
    data = MotionDataset(motion_file, 20, 7)
    before = data[0]["poses"]
    assert len(data._reader._files) == 1
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_open_files, args=(data, queue))
    child.start()
    assert queue.get(timeout=30) == (0, True)
    child.join()
    data._reader._shared[0].ready[:] = 0
    assert torch.equal(data[0]["poses"], before)


def test_a_pickled_data_set_gives_the_same_samples_and_carries_no_frames(motion_file):
    data = MotionDataset(motion_file, 20, 7, fields=("poses", "h36m17"))
    first = data[1]
    packed = pickle.dumps(data)
    again = pickle.loads(packed)[1]
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert len(packed) < 10_000


def test_memory_grows_with_clips_by_forty_bytes_and_not_with_frames(tmp_path, make_clip):
    """The index of 2000 clips, and of the same clips made five times as long."""
    sizes = []
    for name, length in (("short.h5", 20), ("long.h5", 100)):
        clip = make_clip(0, num_frames=length)
        write_clips(tmp_path / name, [clip] * 2000, kind="sample")
        data = MotionDataset(tmp_path / name, 16, 1)
        arrays = [value for value in vars(data.index).values() if isinstance(value, np.ndarray)]
        assert not [value for value in vars(data.index).values() if isinstance(value, list)]
        sizes.append(sum(array.nbytes for array in arrays))
    assert sizes[0] == sizes[1] <= 2000 * 40


def test_the_cache_holds_no_more_than_it_may(tmp_path, make_clip):
    write_clips(tmp_path / "many.h5", [make_clip(0, num_frames=128)] * 60, kind="sample")
    data = MotionDataset(tmp_path / "many.h5", 64, 64, cache_mb=0.5)
    for number in range(len(data)):
        data[number]
    assert not data._reader._shared
    held = sum(part.nbytes for block in data._reader._blocks.values() for part in block)
    assert 0.3e6 < held <= 0.5e6


def _read_all(data: MotionDataset) -> None:
    for number in range(len(data)):
        data[number]


def test_what_a_forked_worker_has_decoded_is_there_for_the_others(tmp_path, make_clip):
    write_clips(tmp_path / "many.h5", [make_clip(seed, num_frames=128) for seed in range(5)], kind="sample")
    data = MotionDataset(tmp_path / "many.h5", 64, 64, fields=("poses",))
    child = multiprocessing.get_context("fork").Process(target=_read_all, args=(data,))
    child.start()
    child.join()
    assert data._reader._shared[0].ready.tolist() == [1] * 5
    os.unlink(tmp_path / "many.h5")
    assert np.array_equal(data[7]["poses"].numpy(), make_clip(3, num_frames=128).poses[64:])


def quality(path, name: str, values: list[float], **attributes: str) -> None:
    with h5py.File(path, "r+") as file:
        scores = file.create_dataset(f"clips/quality/{name}", data=np.array(values, np.float32))
        scores.attrs.update(attributes)


def test_min_quality_keeps_clips_whose_scores_reach_the_threshold(motion_file):
    quality(motion_file, "recognized", [0.9, 0.2, 0.7, np.nan])
    quality(motion_file, "foot_skate", [0.5, 0.1, 0.2, 0.1], unit="m/s")
    quality(motion_file, "mine", [1.0, 2.0, 3.0, 4.0], better="lower")

    def chosen(**scores: float) -> list[int]:
        data = MotionDataset(motion_file, 30, 60, fields=PLACES, min_quality=scores)
        return [sample["clip"] for sample in data]

    assert chosen(recognized=0.7) == [0, 2, 3]  # the last one was not judged
    assert chosen(foot_skate=0.2) == [1, 2, 3]
    assert chosen(recognized=0.1, foot_skate=0.15) == [1, 3]
    assert chosen(mine=2.0) == [0, 1]


@pytest.mark.parametrize("score", SCORE_UNITS)
def test_of_faults_less_is_better(motion_file, score):
    quality(motion_file, score, [0.0, 1.0, 2.0, 3.0])
    better = [1, 2, 3] if score in ("recognized", "training_distance", "accepted") else [0, 1]
    data = MotionDataset(motion_file, 30, 60, fields=PLACES, min_quality={score: 1.0})
    assert [sample["clip"] for sample in data] == better


def test_the_scores_of_the_writer_are_the_ones_that_are_read(tmp_path, make_clip):
    clips = [make_clip(seed, quality={"foot_skate": skate}) for seed, skate in enumerate((0.5, 0.1))] + [make_clip(2)]
    write_clips(tmp_path / "scored.h5", clips, kind="sample")
    data = MotionDataset(tmp_path / "scored.h5", 30, 60, fields=PLACES, min_quality={"foot_skate": 0.3})
    assert [sample["clip"] for sample in data] == [1, 2]


def test_mistakes_are_told_in_one_line_with_the_file(tmp_path, motion_file, make_clip):
    def message(*arguments: object, **options: object) -> str:
        with pytest.raises(MotionganError) as error:
            MotionDataset(*arguments, **options)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "did you mean `poses`" in message(motion_file, 10, 5, ("pose",))
    assert "did you mean `walk`" in message(motion_file, 10, 5, action="wlk")
    assert f"{motion_file}: no clip has the 100 frames of a window; take fewer" in message(motion_file, 100, 5)
    assert "no clips/quality in it" in message(motion_file, 10, 5, min_quality={"jerk": 1.0})
    quality(motion_file, "foot_skate", [0.0] * 4)
    assert "no score `foot_skat`; did you mean `foot_skate`" in message(
        motion_file, 10, 5, min_quality={"foot_skat": 1}
    )
    assert "no clip of the subject `carl`" in message(motion_file, 10, 5, subjects=["carl"])
    assert "no clip of the subject `carl`" in message(motion_file, 10, 5, subjects="carl")
    assert "fields is empty" in message(motion_file, 10, 5, ())
    fast = tmp_path / "fast.h5"
    write_clips(fast, [make_clip(0, frame_rate=60.0)], kind="sample")
    assert f"{fast}: 60 Hz" in message([motion_file, fast], 10, 5)
    other = tmp_path / "smpl.h5"
    write_clips(other, [make_clip(0)], kind="sample", body_model="smpl")
    assert f"{other}: body shapes of smpl" in message([motion_file, other], 10, 5)
    assert "no such file" in message(tmp_path / "none.h5", 10, 5)
    (tmp_path / "text.h5").write_text("hello")
    assert "not an HDF5 file" in message(tmp_path / "text.h5", 10, 5)
    with h5py.File(motion_file, "r+") as file:
        file["clips/start"][2] = 10**6
    assert "points outside" in message(motion_file, 10, 5)


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"min_quality": {"foot_skate": 0.05}}, "no clip is left by min_quality={'foot_skate': 0.05}, of 3 before it"),
        (
            {"subjects": "ben", "min_quality": {"recognized": 0.5, "foot_skate": 0.3}},
            "no clip is left by min_quality={'foot_skate': 0.3}, of 1 before it",
        ),
        ({"subjects": "ben", "action": "squat"}, "no clip is left by action='squat', of 2 before it"),
        ({"subjects": "ben", "without_subjects": "ben"}, "no clip is left by subjects, of 3 before it"),
        ({"without_subjects": ["anna", "ben"]}, "no clip is left by without_subjects, of 3 before it"),
        ({"subjects": "ben", "window": 70}, "no clip has the 70 frames of a window; take fewer, or pad=True"),
    ],
)
def test_the_condition_that_leaves_no_clip_is_named(motion_file, wanted, told):
    """Of the four clips the first is shorter than 35 frames; the second is anna's, the others are ben's."""
    quality(motion_file, "foot_skate", [0.1, 0.2, 0.4, 0.5])
    quality(motion_file, "recognized", [0.9, 0.9, 0.8, 0.1])
    with pytest.raises(MotionganError) as error:
        MotionDataset(motion_file, **{"window": 35, "stride": 5, **wanted})
    assert str(error.value).startswith(f"{motion_file}: {told}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("pickled", [False, True])
def test_a_file_that_was_replaced_is_not_read_for_the_one_that_was_indexed(tmp_path, make_clip, pickled):
    path = tmp_path / "motion.h5"
    for frames in (40, 60):  # fewer frames, and as many as before in other clips
        write_clips(path, [make_clip(0, num_frames=60)], kind="sample", force=True)
        data = MotionDataset(path, 16, 16)
        data = pickle.loads(pickle.dumps(data)) if pickled else data
        write_clips(path, [make_clip(1, num_frames=frames)], kind="sample", force=True)
        with pytest.raises(MotionganError, match=r"motion\.h5: changed since it was indexed; make the data set again$"):
            data[len(data) - 1]


def test_damaged_frames_are_named_when_they_are_read(tmp_path, make_clip):
    path = tmp_path / "damaged.h5"
    write_clips(path, [make_clip(0, num_frames=400)], kind="sample")
    with h5py.File(path) as file:
        offset = file["poses"].id.get_chunk_info(2).byte_offset
    with open(path, "r+b") as raw:
        raw.seek(offset + 200)
        raw.write(b"\xff" * 50)
    data = MotionDataset(path, 64, 64)
    data[0]
    with pytest.raises(MotionganError, match=r"damaged.h5: damaged frames from 256"):
        data[4]


def test_a_number_beyond_the_end_is_an_index_error_and_negative_numbers_count_back(motion_file):
    data = MotionDataset(motion_file, 30, 60, fields=PLACES)
    assert data[-1] == data[3]
    with pytest.raises(IndexError):
        data[4]


def test_a_copy_that_was_cut_off_is_told(tmp_path, motion_file):
    data = MotionDataset(motion_file, 16, 3, copy=tmp_path)
    (copy,) = tmp_path.glob("*.frames")
    os.truncate(copy, 1000)
    with pytest.raises(MotionganError, match="cut off"):
        data[20]


def test_values_of_the_wrong_type_are_refused_at_once(motion_file, untyped):
    for window, stride in ((27.0, 5), (27, 2.5), ("27", 5)):
        with pytest.raises(ValueError, match="expected whole numbers"):
            MotionDataset(motion_file, window, stride)
    for threshold in (0.5, 0.0):
        with pytest.raises(MotionganError, match=r"min_quality is 0\.\d; name the score"):
            MotionDataset(motion_file, 27, 5, min_quality=threshold)
    assert len(MotionDataset(motion_file, np.int64(30), np.int32(60))) == 4


def test_a_closed_reader_opens_again(motion_file):
    reader = FrameReader((motion_file,), (180,), cache_mb=0, copies=(None,))
    first, again = ((np.empty((1, 10, 72), np.float32), np.empty((1, 10, 3), np.float32)) for _ in range(2))
    reader.read([0], [5], [10], *first)
    reader.close()
    reader._blocks.clear()
    reader.read([0], [5], [10], *again)
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
