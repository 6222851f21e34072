"""How every command speaks: results on standard output, progress and errors on standard error, one sentence each.

Colour only on a terminal. An error says what was tried, what was found, and what to do next.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import msgspec
from cyclopts import Parameter

if TYPE_CHECKING:
    from havn.kit.problem import Problem

JsonOption = Annotated[bool, Parameter(name="--json", negative="")]
"""Of a command that says itself what it writes."""
AnswerOption = Annotated[JsonOption, Parameter(help="Write the answer as JSON.")]
YesOption = Annotated[bool, Parameter(name=["--yes", "-y"], negative="", help="Do not ask.")]


class Failure(Exception):
    """The command cannot go on; the message is what the user reads."""


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def write(text: str) -> None:
    """A line of the result."""
    print(text, flush=True)  # noqa: T201


def write_json(value: Any) -> None:
    """The result as JSON, with two blanks for each level."""
    write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def write_outcome(sentence: str, json_: bool, **facts: Any) -> None:
    """What a command that changes something has done: a sentence, or these facts as JSON."""
    if json_:
        write_json(facts)
    else:
        write(sentence)


def write_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, nothing: str = "") -> None:
    """The result as a table: drawn for a terminal, in aligned plain columns for a pipe.

    Without rows, `nothing` is said in its place.
    """
    if not rows and nothing:
        say(nothing)
        return
    if sys.stdout.isatty():
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            # As text, so that brackets in a value are never taken for mark-up.
            table.add_row(*(Text(cell) for cell in row))
        Console().print(table)
        return
    widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]
    for row in [columns, *rows]:
        write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def counted(number: int, thing: str) -> str:
    """So many of a thing whose plural ends in s."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def confirm(question: str) -> bool:
    """Whether the user says yes; no when nobody can be asked."""
    if not sys.stdin.isatty():
        raise Failure(f"{question} Nobody can be asked here: add --yes to go on.")
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes", "j", "ja")


def fail(message: str) -> NoReturn:
    """Say why, and end with code 1."""
    red, plain = ("\033[31m", "\033[0m") if sys.stderr.isatty() and "NO_COLOR" not in os.environ else ("", "")
    say(f"{red}Error:{plain} {message}")
    sys.exit(1)


def _sentence(problem: Problem) -> str:
    said = problem.detail or problem.title
    # Not what the control plane says of a part that it cannot reach.
    if problem.extensions.get("upstream") != "The control plane":
        return said
    if (reason := _disbelieved(problem)) is not None:
        return (
            f"The control plane's certificate is not believed here ({reason}): when an authority of your own signed "
            "it, name that one's PEM file in SSL_CERT_FILE."
        )
    here = "" if "HAVN_CONSOLE" in os.environ else ", or start it with `havn up`"
    return f"{said.removesuffix('.')}: try again in a moment{here}."


def _disbelieved(problem: Problem) -> str | None:
    """Why a server's certificate was refused, when that is what lies below."""
    import ssl

    below: BaseException | None = problem
    while below is not None:
        if isinstance(below, ssl.SSLCertVerificationError):
            return below.verify_message
        below = below.__cause__ or below.__context__
    return None


@contextmanager
def plainly() -> Iterator[None]:
    """Turn every expected failure inside into one sentence and exit code 1; Ctrl-C into code 130."""
    from havn.kit.problem import Problem

    try:
        yield
    except Failure as failure:
        fail(str(failure))
    except Problem as problem:
        fail(_sentence(problem))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader has had enough; nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
