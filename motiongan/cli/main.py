"""The `motiongan` command: finds the verb's module, runs it, and turns mistakes into one line.

A verb is a module of this package that defines `add_arguments(parser)` and `execute(args)`; the first line of its
docstring is its help. Only the chosen verb is imported: `motiongan --version` loads neither torch nor numpy.
"""

import argparse
import ast
import errno
import importlib
import keyword
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from motiongan import __version__
from motiongan.errors import MotionganError, did_you_mean

# Verbs in the order of the work; a verb not named here is listed after them.
_ORDER = (
    *("import", "sample-data", "train", "generate", "vary", "evaluate", "utility"),
    *("preview", "view", "render", "export", "info"),
)

# What a shell reports for a command ended by Ctrl-C (128 + SIGINT) or by a closed pipe (128 + SIGPIPE).
_INTERRUPTED = 130
_PIPE_CLOSED = 141


def run() -> NoReturn:
    """Console entry point: run the command line and exit with its status."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(main())


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (default: the process's own) and return its exit status.

    0 done; 2 a mistake the user can mend, told in one line on stderr; 1 the machine failed (disk full); 130 Ctrl-C.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    handler = _StderrHandler()
    logger = logging.getLogger("motiongan")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        status = _dispatch(arguments)
        sys.stdout.flush()  # a reader that left early (`| head`) is noticed here, not at interpreter exit
        return status
    except MotionganError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        print("motiongan: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # Python flushes stdout once more on its way out: let that go nowhere instead of failing again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    except Exception as error:
        if _is_disk_full(error):
            return _fail(f"{_place(error)}no space left on the disk", 1)
        if isinstance(error, OSError) and error.strerror is not None:
            status = 1 if error.errno in (errno.EFBIG, errno.EIO) else 2  # 1: the machine failed, not the user
            return _fail(f"{_place(error)}{error.strerror.lower()}", status)
        raise  # our own mistake: the traceback is wanted
    finally:
        logger.removeHandler(handler)


def find_verbs() -> dict[str, str]:
    """Every verb and its one line of help, in the order of the work; read from the sources, nothing is imported."""
    verbs: dict[str, str] = {}
    for path in Path(__file__).parent.glob("*.py"):
        module = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "execute" for node in module.body):
            summary = (ast.get_docstring(module) or "").partition("\n")[0].rstrip(".")
            verbs[path.stem.rstrip("_").replace("_", "-")] = summary
    rank = {verb: index for index, verb in enumerate(_ORDER)}
    return dict(sorted(verbs.items(), key=lambda item: (rank.get(item[0], len(rank)), item[0])))


class _UsageError(MotionganError):
    """What argparse objects to; kept apart because a misspelt option may be the reason behind it."""


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises instead of printing its usage and exiting."""

    def error(self, message: str) -> NoReturn:
        raise _UsageError(message)


class _StderrHandler(logging.Handler):
    """What the library logs, as plain lines on whatever sys.stderr is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        prefix = "motiongan: warning: " if record.levelno >= logging.WARNING else ""
        print(prefix + record.getMessage(), file=sys.stderr)


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview(), file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    if arguments[0] in ("-V", "--version"):
        print(f"motiongan {__version__}")
        return 0
    verb, rest = arguments[0], arguments[1:]
    verbs = find_verbs()
    if verb not in verbs:
        kind = "option" if verb.startswith("-") else "command"
        hint = did_you_mean(verb, [*verbs, "--help", "--version"]) or f"; one of {', '.join(verbs)}"
        raise MotionganError(f"unknown {kind} `{verb}`{hint}")
    module = importlib.import_module(_module_name(verb))
    parser = _Parser(prog=f"motiongan {verb}", description=verbs[verb], allow_abbrev=False)
    module.add_arguments(parser)
    try:
        parsed, unknown = parser.parse_known_args(rest)
        if unknown:
            raise _UsageError(f"unexpected argument `{unknown[0]}`")
    except _UsageError as error:
        raise MotionganError(f"{verb}: {_misspelt_option(parser, rest, verb) or error}") from None
    except SystemExit as done:  # --help
        return int(done.code or 0)
    return int(module.execute(parsed) or 0)


def _module_name(verb: str) -> str:
    """The module of a verb; Python's own words (`import`) take a trailing underscore."""
    stem = verb.replace("-", "_")
    return f"motiongan.cli.{stem}_" if keyword.iskeyword(stem) else f"motiongan.cli.{stem}"


def _misspelt_option(parser: argparse.ArgumentParser, arguments: Sequence[str], verb: str) -> str:
    """The line for the first --option the parser does not know, or an empty string."""
    known = [option for action in parser._actions for option in action.option_strings if option.startswith("--")]
    for argument in arguments:
        if argument == "--":
            break
        option = argument.partition("=")[0]
        if option.startswith("--") and option not in known:
            hint = did_you_mean(option, known) or f"; `motiongan {verb} --help` lists them"
            return f"unknown option `{option}`{hint}"
    return ""


def _overview() -> str:
    verbs = find_verbs()
    width = max(map(len, verbs), default=0)
    lines = [f"  {verb:<{width}}  {summary}" for verb, summary in verbs.items()]
    return "\n".join(
        [
            "usage: motiongan COMMAND ...",
            "",
            "Labelled, physically plausible athlete motion from a GAN.",
            "",
            *lines,
            "",
            "motiongan COMMAND --help tells a command's options; motiongan --version the version.",
        ]
    )


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    """End by way of an exception, so that half-written files are removed."""
    sys.exit(128 + number)


def _is_disk_full(error: BaseException) -> bool:
    """True for a full disk or quota, also where a library (h5py, safetensors) wraps the system's error in its own."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if "No space left on device" in str(seen) or "Disk quota exceeded" in str(seen):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _place(error: BaseException) -> str:
    name = getattr(error, "filename", None)
    return f"{name}: " if name else ""


def _fail(message: str, status: int) -> int:
    print(f"motiongan: error: {' '.join(message.split())}", file=sys.stderr)
    return status
