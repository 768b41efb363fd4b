import json
import math
import pickle
import tarfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import roma
import torch
from scipy.linalg import sqrtm
from torch.testing import assert_close

from motiongan.body.skeleton import JOINT, JOINT_NAMES
from motiongan.cli.main import main
from motiongan.errors import MotionganError
from motiongan.evaluation import a2m
from motiongan.evaluation.a2m_classifier import CONVENTIONS, Classifier, load_classifier, match_classes
from motiongan.evaluation.metrics import frechet_distance
from motiongan.motion.clip import Clip
from motiongan.motion.features import rotation_about_z
from motiongan.motion.store import read_clips, write_clips

SHARED = Path(__file__).parents[3] / "shared"
HUMANACT12, FINE, CMU = CONVENTIONS[72, 12], CONVENTIONS[72, 34], CONVENTIONS[60, 8]
needs_classifiers = pytest.mark.skipif(
    not (SHARED / "a2m").is_dir(), reason="the classifiers in ../shared/a2m are not here"
)
needs_recordings = pytest.mark.skipif(
    not (SHARED / "mocap").is_dir(), reason="the recordings in ../shared/mocap are not here"
)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    torch.manual_seed(0)
    return Classifier(72, 12).eval()


def turned(clip: Clip, angle: float) -> Clip:
    """The clip seen by somebody who walks around it: everything turned about the vertical axis through the pelvis."""
    turn = rotation_about_z(torch.tensor(angle))
    poses = clip.poses.copy()
    poses[:, 0] = roma.rotmat_to_rotvec(turn @ roma.rotvec_to_rotmat(torch.from_numpy(poses[:, 0]))).numpy()
    # The pelvis, which trans moves, rests off the origin, so the place differs; pieces are free of it.
    return replace(clip, poses=poses, trans=clip.trans @ turn.T.numpy())


def pieces(clips, convention, body, **classes):
    return a2m.Pieces(clips, convention, classes or {"walk": 1}, body)


def cut(part: a2m.Pieces, numbers=(0,)) -> torch.Tensor:
    made = part.cut(torch.tensor(numbers), generator=torch.Generator().manual_seed(0))
    return made.unflatten(2, (-1, 3))


# -- what a classifier sees --------------------------------------------------------------------------------------------


def test_a_piece_hangs_head_up_in_the_cameras_axes_and_faces_it(body, make_clip):
    piece = cut(pieces([make_clip(num_frames=60, speed=1.5)], HUMANACT12, body))[0]
    assert_close(piece[0, 0], torch.zeros(3))
    assert piece[0, JOINT["head"], 1] < -0.4  # y points down
    assert piece[0, JOINT["left_hip"], 0] > 0.03 > -0.03 > piece[0, JOINT["right_hip"], 0]  # the left is on the right
    assert piece[0, JOINT["left_foot"], 2] < piece[0, JOINT["left_ankle"], 2] - 0.03  # toes to the camera
    assert_close(piece[-1, 0], torch.tensor([0.0, 0.0, -1.5 * 59 / 30]), atol=0.05, rtol=0)  # and travels to it


def test_a_piece_does_not_depend_on_where_the_clip_was_and_which_way_it_went(body, make_clip):
    clip = make_clip(num_frames=60)
    moved = replace(clip, trans=clip.trans + np.float32([3, -2, 0.5]))
    expected = cut(pieces([clip], HUMANACT12, body))
    assert_close(cut(pieces([moved], HUMANACT12, body)), expected, atol=1e-5, rtol=0)
    for angle in (0.7, -2.5, math.pi):
        assert_close(cut(pieces([turned(clip, angle)], HUMANACT12, body)), expected, atol=1e-4, rtol=0)


def test_cmus_classifier_sees_twenty_joints_y_up_in_its_units_at_12_hz(body, make_clip):
    clip = make_clip(num_frames=40, speed=1.5)
    piece = cut(pieces([clip], CMU, body))[0]
    assert piece.shape == (60, 20, 3)
    # Inches x 0.45 / 20: a metre is 0.886.
    place = [JOINT_NAMES[joint] for joint in CMU.joints].index
    assert place("left_ankle") == 14
    assert piece[0, place("head"), 1] > 0.4
    assert piece[0, place("left_hip"), 0] > 0.02
    # 40 frames at 30 Hz last until 1.3 s: frames 0 to 15 at 12 Hz, then the last pose stands.
    metre = 0.45 / 0.0254 / 20
    assert piece[15, 0, 2].item() == pytest.approx(1.5 * 15 / 12 * metre, abs=0.02)
    assert_close(piece[16:], piece[15:16].expand(44, -1, -1))


def test_a_long_clip_is_cut_anywhere_and_a_short_one_ends_with_its_last_pose(body, make_clip):
    clips = [make_clip(0, num_frames=50), make_clip(1, num_frames=80, speed=0.0)]
    part = pieces(clips, HUMANACT12, body)
    short = cut(part)[0]
    assert_close(short[50:], short[49:50].expand(10, -1, -1))
    assert not torch.allclose(short[49], short[48])
    found = cut(part, [1] * 300)
    whole = part._joints[50:] - part._joints[50:, :1]
    heights = -found[:, 0, :, 1]
    starts = {(whole[:, :, 2] - height).abs().amax(1).argmin().item() for height in heights}
    assert starts == set(range(21))  # the authors' own loader never takes the last of them


# -- the classifier and its file ---------------------------------------------------------------------------------------


def test_the_classifier_is_two_gru_layers_from_the_given_state_a_tanh_and_a_linear_layer(classifier):
    motion = torch.randn(3, 7, 72, generator=torch.Generator().manual_seed(1))
    initial = torch.randn(2, 3, 128, generator=torch.Generator().manual_seed(2))
    weights = classifier.state_dict()

    def step(layer: int, value: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """Cho et al. 2014, as PyTorch documents its GRU."""
        given = weights[f"recurrent.weight_ih_l{layer}"] @ value + weights[f"recurrent.bias_ih_l{layer}"]
        kept = weights[f"recurrent.weight_hh_l{layer}"] @ state + weights[f"recurrent.bias_hh_l{layer}"]
        reset, update = (given[:256] + kept[:256]).sigmoid().split(128)
        return (1 - update) * torch.tanh(given[256:] + reset * kept[256:]) + update * state

    features, logits = classifier(motion, initial)
    for clip in range(3):
        low, high = initial[:, clip]
        for frame in motion[clip]:
            low = step(0, frame, low)
            high = step(1, low, high)
        expected = torch.tanh(weights["linear1.weight"] @ high + weights["linear1.bias"])
        assert_close(features[clip], expected, atol=1e-5, rtol=0)
        assert_close(logits[clip], weights["linear2.weight"] @ expected + weights["linear2.bias"], atol=1e-5, rtol=0)


class Dangerous:
    def __reduce__(self):
        return (Path.touch, (Path("touched"),))


def test_foreign_damaged_and_dangerous_files_are_refused_in_one_line(tmp_path, monkeypatch, classifier):
    monkeypatch.chdir(tmp_path)
    spoilt = {**classifier.state_dict(), "linear2.bias": torch.full((12,), math.nan)}
    torch.save({"model": Classifier(54, 13).state_dict()}, "ntu.tar")
    torch.save({"model": spoilt}, "nan.tar")
    torch.save({"weights": {}}, "other.tar")
    torch.save({"model": Dangerous()}, "danger.tar")
    Path("plain.tar").write_bytes(pickle.dumps(Dangerous()))
    Path("cut.tar").write_bytes(Path("ntu.tar").read_bytes()[:5000])
    for name, message in {
        "none.tar": "no such classifier file",
        "ntu.tar": "54 inputs and 13 classes; NTU's joints include ears",
        "nan.tar": "NaN",
        **dict.fromkeys(("other.tar", "danger.tar", "plain.tar", "cut.tar"), "not an action classifier"),
    }.items():
        with pytest.raises(MotionganError, match=message) as error:
            load_classifier(tmp_path / name)
        assert "\n" not in str(error.value)
    assert not Path("touched").exists()


def test_actions_get_the_class_of_their_name_or_the_one_given():
    actions = ("walk", "punch", "squat", "Warm-up", "run")
    names = {action: HUMANACT12.classes[number] for action, number in match_classes(actions, HUMANACT12).items()}
    assert names == {"walk": "walk", "Warm-up": "warm_up", "run": "run"}
    given = match_classes(actions, HUMANACT12, "punch=boxing, squat=lift dumbbell,run=")
    assert [(a, HUMANACT12.classes[n]) for a, n in given.items()] == [
        ("walk", "walk"),
        ("punch", "boxing"),
        ("squat", "lift_dumbbell"),
        ("Warm-up", "warm_up"),
    ]
    assert (len(HUMANACT12.classes), len(FINE.classes), len(CMU.classes)) == (12, 34, 8)
    for mistake, message in {
        "punch": "expected action=class",
        "pnch=boxing": "no action `pnch`.*did you mean `punch`",
        "punch=boxng": "no class `boxng`; did you mean `boxing`",
    }.items():
        with pytest.raises(MotionganError, match=message):
            match_classes(actions, HUMANACT12, mistake)


# -- the figures -------------------------------------------------------------------------------------------------------


def test_the_interval_is_of_the_mean_and_actors_is_the_variance():
    repeated = a2m.Repeated((1.0, 2.0, 3.0, 4.0))
    assert repeated.mean == 2.5
    assert repeated.interval == pytest.approx(1.96 * math.sqrt(5 / 3) / 2)  # squares 2.25 + 0.25 + 0.25 + 2.25 = 5
    assert repeated.actor_interval == pytest.approx(1.96 * 5 / 4)


def test_the_distance_is_that_of_the_authors_matrix_square_root():
    random = np.random.default_rng(0)
    one, other = np.tanh(random.normal(size=(200, 30))), np.tanh(0.5 * random.normal(size=(300, 30)) + 0.3)
    first, second = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    mean = one.mean(0) - other.mean(0)
    expected = mean @ mean + np.trace(first + second - 2 * sqrtm(first @ second).real)
    assert frechet_distance(torch.from_numpy(one), torch.from_numpy(other)) == pytest.approx(expected, rel=1e-6)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(a2m, "REPEATS", 2)
    monkeypatch.setattr(a2m, "MOTIONS", 40)


def clips_of(make_clip, first_seed: int, *actions: str) -> list[Clip]:
    return [make_clip(first_seed + number, num_frames=40, action=action) for number, action in enumerate(actions)]


def test_rows_compare_over_shared_actions_and_no_row_depends_on_the_others(quick, body, make_clip, classifier):
    train = clips_of(make_clip, 0, "walk", "walk", "walk", "run", "jump", "dance")
    held_out = clips_of(make_clip, 20, "walk", "run")
    sets = {
        "good": clips_of(make_clip, 40, "walk", "walk", "run", "jump"),
        "one": clips_of(make_clip, 60, "walk", "run")[:1] * 8 + clips_of(make_clip, 60, "walk", "run")[1:] * 8,
    }
    classes = match_classes(("walk", "run", "jump", "dance"), HUMANACT12)

    def rows(chosen, seed=0, others=held_out):
        protocol = a2m.Protocol(classifier, HUMANACT12, classes, train, chosen, others, body=body, seed=seed)
        return protocol, *protocol.rows("train", "held-out")

    protocol, both, accuracies = rows(sets)
    assert protocol.shared == ["walk", "run"]
    assert "recognized only, since not every set of clips has them: jump" in a2m.notes(protocol, [])
    assert list(both) == ["good", "one", "held-out", "train"]
    assert set(accuracies["good"]) == {"walk", "run", "jump"}  # those that are not shared too
    _, alone, _ = rows({"one": sets["one"]})
    for name in ("one", "held-out", "train"):
        assert alone[name] == both[name]
    assert len(set(both["good"]["fid"].values)) == 2  # every repeat is drawn anew
    assert rows(sets, seed=1)[1]["good"] != both["good"]
    # A second draw of the training clips is nearest to them, and so is one of the held-out clips to the held-out.
    assert min(both, key=lambda name: both[name]["fid"].mean) == "train"
    assert min(both, key=lambda name: both[name]["fid_held_out"].mean) == "held-out"
    assert both["one"]["multimodality"].mean < both["good"]["multimodality"].mean
    # Without held-out people, all that the generated and the training clips share counts.
    protocol, without, _ = rows({"good": sets["good"]}, others=[])
    assert protocol.shared == ["walk", "run", "jump"]
    assert list(without) == ["good", "train"]
    assert "fid_held_out" not in without["good"]
    with pytest.raises(MotionganError, match="no action with a class"):
        rows({"good": clips_of(make_clip, 0, "squat")})


def test_draws_have_the_training_clips_mix_of_actions(monkeypatch, body, make_clip, classifier):
    monkeypatch.setattr(a2m, "MOTIONS", 400)
    train = clips_of(make_clip, 0, "walk", "walk", "walk", "run")
    classes = {"walk": 1, "run": 2}
    made = {"made": clips_of(make_clip, 9, *["run"] * 20, "walk")}
    protocol = a2m.Protocol(classifier, HUMANACT12, classes, train, made, [], body=body, seed=0)
    _, _, ids = protocol._draw(protocol.sets["made"], 0, "measured")
    assert (ids == protocol.shared.index("run")).double().mean().item() == pytest.approx(0.25, abs=0.07)


# -- the verb ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def files(quick, tmp_path, make_clip, monkeypatch, classifier):
    monkeypatch.chdir(tmp_path)
    real = [
        make_clip(4 * person + number, num_frames=40, action=action, subject=name)
        for person, name in enumerate(("anna", "ben"))
        for number, action in enumerate(("walk", "punch", "squat"))
    ]
    write_clips("data.h5", real, kind="captured")
    made = [replace(make_clip(50 + i, num_frames=36, action=real[i % 3].action), seed=i) for i in range(9)]
    config = json.dumps({"data": {"actions": ["walk", "punch", "squat"], "window": 64, "frame_rate": 30.0}})
    provenance = {"checkpoint": "0" * 64, "seed": 0, "training_data": "", "config": config, "held_out": '["ben"]'}
    write_clips("aug.h5", made, kind="generated", provenance=provenance)
    torch.save({"model": classifier.state_dict(), "iteration": 1}, "classifier.tar")
    return ["evaluate", "aug.h5", "--data", "data.h5", "--protocol", "a2m"]


def test_two_runs_of_the_verb_agree_and_name_what_they_left_out(files, capsys):
    arguments = [*files, "--classifier", "classifier.tar", "--class-map", "punch=boxing"]
    assert main([*arguments, "--out", "one"]) == 0
    shown = capsys.readouterr().out
    assert "walk, punch as boxing" in shown or "punch as boxing, walk" in shown
    assert "no class of that name (--class-map): squat" in shown
    assert main([*arguments, "--out", "two"]) == 0
    assert Path("one/a2m.json").read_bytes() == Path("two/a2m.json").read_bytes()
    facts = json.loads(Path("one/a2m.json").read_text())
    assert facts["protocol"]["classes"] == {"walk": "walk", "punch": "boxing"}
    assert list(facts["rows"]) == ["aug", "held-out real", "training real"]
    assert set(facts["rows"]["aug"]) == set(a2m.FIGURES)
    assert "initial state" in facts["protocol"]["quirks"]


def test_mistakes_with_the_protocol_are_told_in_one_line_and_leave_nothing(files, capsys):
    own = files[:4]
    for arguments, message in (
        (files, "needs --classifier FILE"),
        ([*files, "--classifier", "classifier.tar", "--controls"], "--controls goes with --protocol own"),
        ([*files, "--window", "32", "--cache", "c"], "--window and --cache: --protocol a2m uses none; leave out"),
        ([*own, "--classifier", "classifier.tar"], "go with --protocol a2m"),
        ([*files, "--classifier", "data.h5"], "not an action classifier"),
        ([*files, "--classifier", "classifier.tar", "--class-map", "walk="], "no action with a class"),
    ):
        assert main(arguments) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert message in error
    assert not Path("report").exists()
    Path("report").mkdir()
    Path("report/a2m.json").write_text("{}")
    assert main([*files, "--classifier", "classifier.tar"]) == 2
    assert "--force" in capsys.readouterr().err


# -- the published classifiers -----------------------------------------------------------------------------------------


@pytest.mark.shared
@needs_classifiers
def test_the_authors_own_generated_clips_are_as_far_apart_as_published():
    classifier, convention = load_classifier(SHARED / "a2m" / "action_recognition_model_humanact12.tar")
    assert convention is HUMANACT12
    motion = torch.from_numpy(np.load(SHARED / "a2m" / "humanact12_generated_joints.npy", allow_pickle=False))
    motion = motion.unflatten(2, (24, 3)) - motion[:, :1, None, :3]
    initial = torch.randn(2, 20, 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features, _ = classifier(motion.flatten(2), initial)
    assert torch.pdist(features).mean().item() == pytest.approx(6.87, abs=0.2)  # published: 6.85 to 6.88
    # Its people hang head up in a camera's axes and face it, as `CONVENTIONS` says.
    across = motion[:, 0, JOINT["left_hip"]] - motion[:, 0, JOINT["right_hip"]]
    assert (motion[:, 0, JOINT["head"], 1] < -0.4).all()
    assert (across[:, 0] > 0.05).all()


@pytest.mark.shared
@needs_classifiers
@needs_recordings
def test_recorded_actions_are_recognized_in_the_right_axes_only(tmp_path, body):
    trials = {"walk": ["07/07_01.amc", "07/07_02.amc"], "run": ["127/127_07.amc", "127/127_08.amc"]}
    wanted = {f"cmu_asfamc/{name}" for name in ("07/07.asf", "127/127.asf", *trials["walk"], *trials["run"])}
    with tarfile.open(SHARED / "mocap" / "cmu_asfamc.tar.bz2") as archive:
        for member in archive:
            if member.name in wanted:
                archive.extract(member, tmp_path, filter="data")
                wanted.remove(member.name)
            if not wanted:
                break
    labels = [f"cmu_asfamc/{name},{action}" for action, names in trials.items() for name in names]
    (tmp_path / "labels.csv").write_text("\n".join(["file,action", *labels]))
    arguments = ["--labels", str(tmp_path / "labels.csv"), "--out", str(tmp_path / "real.h5")]
    assert main(["import", str(tmp_path / "cmu_asfamc"), *arguments]) == 0
    clips = read_clips(tmp_path / "real.h5")
    actions = Counter(str(clip.action) for clip in clips)
    assert actions == {"walk": 2, "run": 2}

    def accuracy(name: str, axes: tuple[tuple[int, int, int], ...] | None = None) -> float:
        classifier, convention = load_classifier(SHARED / "a2m" / f"action_recognition_model_{name}.tar")
        convention = convention if axes is None else replace(convention, axes=axes)
        classes = match_classes(list(actions), convention)
        protocol = a2m.Protocol(classifier, convention, classes, clips, {}, [], body=body, seed=0)
        return float(np.mean(list(protocol._accuracies(protocol.train).values())))

    z_up = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    assert accuracy("mocap_new") > 0.8  # chance: 0.125
    assert max(accuracy("mocap_new", HUMANACT12.axes), accuracy("mocap_new", z_up)) < 0.6
    assert accuracy("humanact12") > 0.5  # chance: 0.083
    assert max(accuracy("humanact12", CMU.axes), accuracy("humanact12", z_up)) < 0.4
