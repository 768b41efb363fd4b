"""`motiongan view`: its mistakes, its start and its end. The page itself is tested in tests/viewer."""

import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from motiongan.cli.main import main
from motiongan.motion.store import MotionWriter


def refused(capsys, *arguments):
    """The line with which a command line is refused."""
    assert main(["view", *map(str, arguments)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_files_that_cannot_be_shown_are_one_line(motion_file, tmp_path, capsys):
    empty = tmp_path / "empty.h5"
    with MotionWriter(empty, frame_rate=30.0, kind="sample"):
        pass
    text = tmp_path / "text.h5"
    text.write_text("hello")
    assert "nowhere.h5: no such file" in refused(capsys, "nowhere.h5")
    assert "empty.h5: holds no clips to show" in refused(capsys, empty)
    assert "text.h5: not an HDF5 file" in refused(capsys, text)
    assert "empty.h5: holds no clips to show" in refused(capsys, motion_file, "--against", empty)
    assert "no such body file" in refused(capsys, motion_file, "--body", "nobody.npz")


def test_a_taken_port_is_one_line(motion_file, capsys):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert f"--port {port}: in use" in refused(capsys, motion_file, "--port", port)


def test_a_missing_extra_says_what_to_install(motion_file, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "viser", None)
    assert "pip install 'motiongan[view]'" in refused(capsys, motion_file, "--port", 0)


def test_it_serves_the_page_until_ctrl_c_and_ends_without_a_word(motion_file):
    pytest.importorskip("viser")
    command = [sys.executable, "-m", "motiongan", "view", str(motion_file), "--port", "0"]
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}  # a job in the background ignores it
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **heard) as process:
        try:
            line = process.stdout.readline()
            address = next(word for word in line.split() if word.startswith("http://127.0.0.1:"))
            with urllib.request.urlopen(address, timeout=10) as answer:
                assert b"<html" in answer.read(2000)
            process.send_signal(signal.SIGINT)
            out, error = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, out.strip(), error) == (0, "", "")
