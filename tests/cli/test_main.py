"""The `motiongan` command: dispatch, help, and every failure in one line with its exit status."""

import argparse
import errno
import importlib
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from motiongan import __version__
from motiongan.cli import main as command
from motiongan.errors import MotionganError

main = command.main


@pytest.fixture
def execute(monkeypatch: pytest.MonkeyPatch):
    """Replaces what `motiongan info FILE` does by a function of one's own."""

    def replace(function):
        monkeypatch.setattr(importlib.import_module("motiongan.cli.info"), "execute", function)

    return replace


def raising(error: BaseException):
    def execute(args: argparse.Namespace) -> None:
        raise error

    return execute


def one_line(text: str) -> str:
    assert text.count("\n") == 1
    return text.strip()


def test_version_names_the_package_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"motiongan {__version__}\n"


def test_the_version_is_told_without_loading_heavy_packages():
    code = (
        "import sys; from motiongan.cli.main import main; main(['--version']); main(['--help'])\n"
        "sys.exit(sorted({'torch', 'numpy', 'h5py', 'matplotlib', 'scipy', 'pydantic'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_python_dash_m_is_the_same_command():
    done = subprocess.run([sys.executable, "-m", "motiongan", "info", "none.h5"], capture_output=True, text=True)
    assert done.returncode == 2
    assert one_line(done.stderr) == "motiongan: error: none.h5: no such file"


def test_help_lists_every_verb_with_the_first_line_of_its_module(capsys):
    assert main(["--help"]) == 0
    overview = capsys.readouterr().out
    for path in Path(command.__file__).parent.glob("*.py"):
        text = path.read_text()
        if "\ndef execute(" in text:
            verb = path.stem.rstrip("_").replace("_", "-")
            (line,) = [line for line in overview.splitlines() if line.split()[:1] == [verb]]
            assert line.endswith(text.split('"""')[1].splitlines()[0].rstrip("."))


def test_every_verb_answers_help(capsys):
    for verb in command.find_verbs():
        assert main([verb, "--help"]) == 0
        assert capsys.readouterr().out.startswith(f"usage: motiongan {verb}")


def test_no_verb_is_a_mistake(capsys):
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("usage: motiongan COMMAND")


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["prevew", "x.h5"], "motiongan: error: unknown command `prevew`; did you mean `preview`?"),
        (["--verson"], "motiongan: error: unknown option `--verson`; did you mean `--version`?"),
        (["info", "x.h5", "--chek"], "motiongan: error: info: unknown option `--chek`; did you mean `--check`?"),
        (
            ["preview", "x.h5", "--uot=a.png"],
            "motiongan: error: preview: unknown option `--uot`; did you mean `--out`?",
        ),
        (["info"], "motiongan: error: info: the following arguments are required: FILE"),
        (["info", "a.h5", "b.h5"], "motiongan: error: info: unexpected argument `b.h5`"),
        (["preview", "a.h5", "--out", "a.png", "--clip", "x"], "argument --clip: invalid int value: 'x'"),
    ],
)
def test_a_wrong_command_line_is_answered_in_one_line(argv, line, capsys):
    assert main(argv) == 2
    assert one_line(capsys.readouterr().err).endswith(line)


def test_an_unknown_verb_near_to_none_gets_the_list(capsys):
    assert main(["qqqqq"]) == 2
    assert ", ".join(command.find_verbs()) in one_line(capsys.readouterr().err)


def test_a_mistake_is_one_line_with_its_exit_code(execute, capsys):
    execute(raising(MotionganError("x.h5: spans\ntwo lines", exit_code=5)))
    assert main(["info", "x.h5"]) == 5
    assert one_line(capsys.readouterr().err) == "motiongan: error: x.h5: spans two lines"


def wrapped_disk_full() -> RuntimeError:
    error = RuntimeError("could not flush")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    return error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "aug.h5"),
        OSError("Can't write data (errno = 28, error message = 'No space left on device')"),  # as h5py says it
        wrapped_disk_full(),
    ],
)
def test_a_full_disk_is_one_line_and_status_1(error, execute, capsys):
    execute(raising(error))
    assert main(["info", "x.h5"]) == 1
    assert one_line(capsys.readouterr().err).endswith("no space left on the disk")


def test_a_file_that_may_not_be_read_is_one_line_and_status_2(execute, capsys):
    execute(raising(PermissionError(errno.EACCES, "Permission denied", "secret.h5")))
    assert main(["info", "x.h5"]) == 2
    assert one_line(capsys.readouterr().err) == "motiongan: error: secret.h5: permission denied"


def test_ctrl_c_ends_with_130(execute, capsys):
    execute(raising(KeyboardInterrupt()))
    assert main(["info", "x.h5"]) == 130
    assert one_line(capsys.readouterr().err) == "motiongan: interrupted"


def test_our_own_mistakes_keep_their_traceback(execute):
    execute(raising(ZeroDivisionError("ours")))
    with pytest.raises(ZeroDivisionError):
        main(["info", "x.h5"])


def test_a_reader_that_leaves_early_is_no_error(motion_file):
    code = "from motiongan.cli.main import run; run()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "info", str(motion_file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


def test_the_verbs_status_is_the_commands(execute):
    execute(lambda args: 3)
    assert main(["info", "x.h5"]) == 3
    execute(lambda args: None)
    assert main(["info", "x.h5"]) == 0


def test_what_the_library_logs_reaches_stderr_once(execute, capsys):
    def execute_and_log(args: argparse.Namespace) -> None:
        logging.getLogger("motiongan.formats").info("reading %s", args.file)
        logging.getLogger("motiongan.formats").warning("left out")

    execute(execute_and_log)
    for _ in range(2):
        assert main(["info", "x.h5"]) == 0
        assert capsys.readouterr().err == "reading x.h5\nmotiongan: warning: left out\n"
