"""Import recordings and compare each clip, posed by forward kinematics, with its source's own joint positions.

    python tools/check_import.py ../shared/mocap [--out FILE] [--verbose]

Prints seconds and peak memory of the import, the median error of bone directions (degrees) and the mean error of joint
positions (cm) per clip and over all, and how far recordings that exist in two formats are apart. Frames in which a
knee is more than 12 cm from the source's are those whose legs were lost there and laid anew by the importer: they are
counted, their clips named, and left out of the figures.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import roma
import torch

from motiongan.body.kinematics import forward_kinematics
from motiongan.body.smpl import load_body
from motiongan.formats.conversion import ImportOptions, convert_part, read_recording
from motiongan.formats.fit import measure_fit
from motiongan.formats.importing import labelled_motions
from motiongan.formats.retarget import body_skeleton
from motiongan.formats.source_skeleton import pose_source
from motiongan.motion.clip import Clip
from motiongan.motion.store import MotionFile

_BONE_LIMIT, _JOINT_LIMIT = 3.0, 4.0  # degrees (median), cm (mean)
_LAID_ANEW = 0.12  # metres between the clip's knee and the source's
_SOURCE = re.compile(r"(?P<name>.*) (?P<start>[\d.]+)-(?P<stop>[\d.]+) s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="folder of recordings with its labels")
    parser.add_argument("--out", type=Path, help="keep the motion file here")
    parser.add_argument("--existing", type=Path, help="measure this motion file instead of importing")
    parser.add_argument("--verbose", action="store_true", help="a line for every clip")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = args.existing or args.out or Path(folder) / "imported.h5"
        if args.existing is None:
            _timed_import(args.source, path)
        fits = _measure(args.source, path, args.verbose)
        _compare_formats(args.source, Path(folder))
    return 0 if fits else 1


def _timed_import(source: str, path: Path) -> None:
    """Run `motiongan import` and tell its time and the peak memory of all its processes together."""
    started = time.monotonic()
    command = [sys.executable, "-m", "motiongan", "import", source, "--out", str(path), "--force"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = [0]

    def watch() -> None:
        while process.poll() is None:
            peak[0] = max(peak[0], _resident_bytes(process.pid))
            time.sleep(0.5)

    watcher = threading.Thread(target=watch)
    watcher.start()
    process.wait()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    print(f"import: {time.monotonic() - started:.1f} s, at most {peak[0] / 1e9:.2f} GB in all processes")


def _resident_bytes(pid: int) -> int:
    """Memory of a process and its children (Linux), shared pages counted once."""
    total = 0
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += int(re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[1]) * 1024  # type: ignore[index]
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                total += _resident_bytes(int(child))
    except (OSError, TypeError):
        pass  # it has just ended
    return total


def _measure(source: str, path: Path, verbose: bool) -> bool:
    body, clips = load_body(), {}
    with MotionFile(path) as file:
        for clip in file:
            clips.setdefault(_SOURCE.fullmatch(clip.source)["name"], []).append(clip)  # type: ignore[index]
    rows, bones, joints, mended = [], [], [], {}
    for item in labelled_motions([source]):
        if item.source.name not in clips:
            continue
        recording = read_recording(item, ImportOptions())
        skeleton, rate = recording.skeleton, recording.frame_rate
        pose = pose_source(recording.motion, skeleton)
        for clip in clips[item.source.name]:
            start = round(float(_SOURCE.fullmatch(clip.source)["start"]) * rate)  # type: ignore[index]
            frames = start + np.round(np.arange(clip.num_frames) * rate / clip.frame_rate).astype(int)
            fit = measure_fit(clip, pose.joints[np.clip(frames, 0, len(pose.joints) - 1)], skeleton, body)
            knees = [index for index, name in enumerate(fit.joints) if name.endswith("knee")]
            kept = (fit.joint_errors[:, knees] < _LAID_ANEW).all(1)
            if not kept.all():
                mended[clip.source] = int((~kept).sum())
            bone, joint = np.degrees(np.median(fit.bone_errors[kept])), fit.joint_errors[kept].mean() * 100
            rows.append((bone, joint, clip))
            bones.append(np.degrees(np.median(fit.bone_errors[kept], axis=0)))
            joints.append(fit.joint_errors[kept].mean(0) * 100)
            if verbose:
                print(f"  {clip.source:<70} {clip.action or '':<12} bones {bone:5.2f}°  joints {joint:5.2f} cm")
    bone, joint = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    print(
        f"{len(rows)} clips; bone directions: median {np.median(bone):.2f}°, worst clip {bone.max():.2f}°;"
        f" joint positions: mean {joint.mean():.2f} cm, worst clip {joint.max():.2f} cm"
    )
    print(
        "  degrees per bone: " + ", ".join(f"{name} {value:.1f}" for name, value in zip(fit.bones, np.median(bones, 0)))
    )
    print("  cm per joint: " + ", ".join(f"{name} {value:.1f}" for name, value in zip(fit.joints, np.mean(joints, 0))))
    print(f"  legs laid anew in {sum(mended.values())} frames of {len(mended)} clips: " + "; ".join(mended))
    for bone_error, joint_error, clip in sorted(rows, key=lambda row: -row[1])[:8]:
        mark = "" if bone_error <= _BONE_LIMIT and joint_error <= _JOINT_LIMIT else "  OVER"
        print(f"  {clip.source:<70} {clip.action or '':<12} {bone_error:5.2f}° {joint_error:5.2f} cm{mark}")
    return bool((bone <= _BONE_LIMIT).all() and (joint <= _JOINT_LIMIT).all())


def _compare_formats(source: str, folder: Path) -> None:
    """How far clips apart are that exist in two formats (the labels' duplicate_of)."""

    items = list(labelled_motions([source], with_duplicates=True))
    by_name = {item.source.name: item for item in items}
    body = load_body()
    for item in items:
        original = next((label.duplicate_of for label in item.labels if label.duplicate_of), None)
        if original is None or original not in by_name:
            continue
        pair = [by_name[original], item]
        options = ImportOptions(frame_rate=120.0)
        clips = [convert_part([each], None, options).converted[0].clips[0] for each in pair]
        joints = [_joints(clip, body_skeleton(body, clip.betas)) for clip in clips]
        best = min((_distance(*joints, shift), shift) for shift in range(-12, 13))
        print(f"  {original} and {item.source.name}: {best[0] * 1000:.1f} mm per joint (shifted by {best[1]} frames)")


def _joints(clip: Clip, skeleton: object) -> np.ndarray:
    rotations = roma.rotvec_to_rotmat(torch.from_numpy(clip.poses).double())
    return forward_kinematics(rotations, torch.from_numpy(clip.trans).double(), skeleton).joints.numpy()  # type: ignore[arg-type]


def _distance(first: np.ndarray, second: np.ndarray, shift: int) -> float:
    first, second = (first[shift:], second) if shift >= 0 else (first, second[-shift:])
    count = min(len(first), len(second))
    return float(np.linalg.norm(first[:count] - second[:count], axis=-1).mean())


if __name__ == "__main__":
    sys.exit(main())
