"""Where the program starts and ends: one line for every error, and the exit code."""

from __future__ import annotations

import contextlib
import errno
import signal
import sys
import threading
import traceback

from tinyloc.cli.app import app
from tinyloc.cli.options import given_words
from tinyloc.errors import OutputError, TinylocError

STOPPED = "stopped; the same command does again what was not done"
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code.

    0: done. 1: a fault of tinyloc. 2: an error that the user can mend. 3: over budget. 4: the device differs.
    130: stopped, by Ctrl-C, SIGTERM or SIGHUP. `--debug` shows the traceback as well.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    words = [word for word in given if word != "--debug"]
    given_words.set(words)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    _stop_on_signals()
    try:
        code = app(words or ["--help"], standalone_mode=False, prog_name="tinyloc")
    except KeyboardInterrupt:
        _fail(STOPPED, 130)
    except Exception as error:
        if debug:
            traceback.print_exc()
        _fail(*_in_a_line(error, words))
    else:
        if code == 130:
            _fail(STOPPED, 130)
        sys.exit(code if isinstance(code, int) else 0)


def _stop_on_signals() -> None:
    """End, or a closed terminal, stops the work as Ctrl-C does: what is done is kept. Both often come twice,
    to the process and to its group: what is under way after the first is left to end. Ctrl-C still ends it.
    """
    caught = [number for name in ("SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) is not None]

    def pass_over(*_: object) -> None:
        """In place of SIG_IGN, which makes Python complain of one that is on its way."""

    def stop(*_: object) -> None:
        for number in caught:
            signal.signal(number, pass_over)
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        for number in caught:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, stop)


def _in_a_line(error: Exception, words: list[str]) -> tuple[str, int]:
    """What to print for `error`, and the exit code."""
    if isinstance(error, TinylocError):
        return str(error), error.exit_code
    if isinstance(error, OSError):
        full = error.errno in DISK_FULL
        hint = "Free some space; nothing half-written was left." if full else "--debug shows where."
        return str(OutputError(f"{error.filename or 'system'}: {error.strerror or error}", hint=hint)), 2
    message = getattr(error, "format_message", None)
    if message is not None:
        return _usage(error, message(), words), 2
    if type(error).__name__ == "Abort":
        return STOPPED, 130
    if isinstance(error, MemoryError):
        return f"the computer's memory is not enough ({error or 'out of memory'}). Take a smaller model.", 2
    fault = f"a fault in tinyloc ({type(error).__name__}: {error}). Please report it with --debug's output."
    return fault, 1


def _usage(error: Exception, message: str, words: list[str]) -> str:
    """A wrong command line: what was wrong with which value, and where the right one is told."""
    context, names = getattr(error, "ctx", None), getattr(getattr(error, "param", None), "opts", [])
    value = ""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, mark, own = word.partition("=")
        if name in names and "Invalid value" in message:
            value = f" ({own if mark else following!r})"
    path = context.command_path if context else "tinyloc"
    return f"{message.rstrip('. ')}{value}. See `{path} --help`."


def _fail(message: str, code: int) -> None:
    with contextlib.suppress(OSError):  # the terminal may be what is gone
        print(f"error: {' '.join(message.split())}", file=sys.stderr, flush=True)
    sys.exit(code)
