"""``explain``: a program's compiles, or one op."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn, TextIO

from compat_shim.activation import launch, zipped
from compat_shim.commands import import_option, script
from compat_shim.commands.exit_codes import DONE, FOUND_WRONG
from compat_shim.commands.failures import Failure


def add_to(commands: Any) -> None:
    """Add the command to argparse's sub-parsers."""
    parser = commands.add_parser(
        "explain",
        help="why the calls of a custom op were lowered or not",
        allow_abbrev=False,  # see split
        usage="%(prog)s [options] SCRIPT [ARGUMENT ...]\n       %(prog)s [options] -m MODULE [ARGUMENT ...]\n"
        "       %(prog)s [options] [--import NAME] --op NS::OP",
        description="Run SCRIPT, or MODULE as `python -m` does, with a throw-away Inductor cache, and print which calls"
        " of custom ops in compiled graphs were lowered to an out variant, and for the others the reason and what to"
        " change: by op, and one screen. Exit code: the program's; 2 if it cannot be run. Or say which out variant --op"
        " has, and what each candidate lacks; exit code 0 if it has one, 1 if not, 2 if there is no such op.",
    )
    parser.add_argument("script", nargs="?", metavar="SCRIPT", help="a Python file, run as __main__")
    parser.add_argument("arguments", nargs="*", metavar="ARGUMENT", help="the program's arguments")
    parser.add_argument("-m", nargs="?", dest="module", metavar="MODULE", help="a module instead")
    parser.add_argument("--op", metavar="NS::OP", help="a functional op, for example ns::op or ns::op.overload")
    import_option.add_to(parser)
    parser.add_argument("--all", action="store_true", help="each call by itself, with what was emitted for it")
    parser.add_argument(
        "--json",
        action="store_true",
        help="JSON (schema_version 1), and nothing else on stdout: what the program prints there goes to stderr",
    )
    parser.add_argument("-o", dest="output", metavar="FILE", help="write it to FILE, and leave stdout to the program")
    parser.set_defaults(run=run, parser=parser)


def split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The command's words up to the program's name, and the program's own, of which argparse would take some."""
    place = 1
    while place < len(words):
        word = words[place]
        if word == "-m":
            place += 2
        elif word.startswith("-m") or not word.startswith("-") or word == "-":
            place += 1
        else:
            place += 2 if word in ("--op", "--import", "-o") else 1
            continue
        return [*words[:place]], [*words[place:]]
    return [*words], []


def run(options: argparse.Namespace) -> int:
    """Explain a program's calls or one op; returns the exit code.

    Raises:
        Failure: there is no such program, op or folder, or what ``--import`` names cannot be imported.
    """
    if [options.op, options.script, options.module].count(None) != 2:
        options.parser.error("one of SCRIPT, -m MODULE and --op")
    if options.script is not None:
        script.check(options.script)
        if options.output and os.path.exists(options.output) and os.path.samefile(options.output, options.script):
            raise Failure(f"-o {options.output}: it is the program; give another file")
    try:
        output = _output(options)
    except OSError as error:
        raise Failure(f"-o {options.output}: {error.strerror}") from error
    import_option.load(options)
    return _op(options, output) if options.op is not None else _program(options, output)


def _op(options: argparse.Namespace, output: TextIO) -> int:
    # Imports torch, which the other commands do without.
    from compat_shim.reports.op_explanation import explain_op

    try:
        explanation = explain_op(options.op)
    except LookupError as error:
        raise Failure(error.args[0]) from error
    print(json.dumps(explanation.to_dict(), indent=2) if options.json else explanation, file=output, flush=True)
    return DONE if explanation.out is not None else FOUND_WRONG


def _program(options: argparse.Namespace, output: TextIO) -> int:
    # Imports torch, which the other commands do without.
    from compat_shim.reports.observer import observed

    process = os.getpid()
    with _children_active(), observed() as observer:
        code = script.run(options.module or options.script, options.arguments, module=bool(options.module))
        if os.getpid() != process:
            _end_fork(code)
    explanation = observer.explanation()
    text = json.dumps(explanation.to_dict(), indent=2) if options.json else explanation.text(options.all)
    for stream in (sys.stdout, sys.__stdout__):  # what the program printed comes first
        if stream is not None and not stream.closed:
            stream.flush()
    print(text, file=output, flush=True)
    return code


@contextlib.contextmanager
def _children_active() -> Iterator[None]:
    """Let the program's children be active from their first line, as those of ``run`` are.

    What they inherit otherwise reaches them when their main module has defined its ops.
    """
    given = {} if zipped() else launch.environment({})
    before = {name: os.environ.get(name) for name, value in given.items() if os.environ.get(name) != value}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if os.environ.get(name) == given[name]:  # the program may have its own by now
                del os.environ[name]
                os.environ.update({} if value is None else {name: value})


def _end_fork(code: int) -> NoReturn:
    """End a child that the program has forked: the explanation and the cache are its parent's."""
    try:
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not stream.closed:
                stream.flush()
    finally:
        os._exit(code & 0xFF)


def _output(options: argparse.Namespace) -> TextIO:
    """What the command writes to: a file, or this process's stdout, wherever the program leaves its own.

    With ``--json`` stdout is for this command alone: whatever else is written there goes to stderr from now on, also
    what C code and other processes write, and what is written when the process ends.
    """
    if options.output:
        return open(options.output, "w", encoding="utf-8")  # the program may change the folder
    if sys.stdout is None:  # closed
        return open(os.devnull, "w")
    sys.stdout.flush()
    try:
        alone = os.dup(sys.stdout.fileno())
    except (OSError, AttributeError):  # no file
        return sys.stdout
    if options.json:
        os.dup2(2, 1)
    # A name or a line of the program may have letters that the terminal has not.
    return os.fdopen(alone, "w", encoding=sys.stdout.encoding, errors="backslashreplace")
