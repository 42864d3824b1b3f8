"""A command's function as its command line: its docstring is the help."""

from __future__ import annotations

import contextlib
import difflib
import functools
import inspect
import io
import re
import shutil
import textwrap
from collections.abc import Callable, Iterable
from typing import Annotated, Any, get_type_hints

import docstring_parser
import tyro

from dyso.spec import UserError

Overrides = Annotated[
    tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="KEY=VALUE")
]
"""Keys of a spec that the command line sets."""
_TEXT = 6
"""Blanks before the text of an option, at least."""


def parse(
    main: Callable[..., int], prog: str, arguments: list[str]
) -> Callable[[], int]:
    """Returns a function, bound to what the arguments say.

    Args:
      main: the function. In its docstring, `default: ...` at the end of an argument's
        text stands for a default of None.
      prog: the command's name in its help.
      arguments: the words after it.

    Raises:
      SystemExit: the help was asked for and printed, or the arguments are wrong.
    """
    described, about = _described(main)
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            return tyro.cli(
                described,
                prog=prog,
                description=about,
                args=arguments,
                # `--workers INT`, not `{None}|INT`; and `SPEC`, not `PATH`.
                config=(
                    tyro.conf.DisallowNone,
                    tyro.conf.PositionalMetavarFromFieldName,
                ),
            )
    finally:
        print(_folded(printed.getvalue()), end="")


def refusal(command: str, kind: str, name: str, known: Iterable[str]) -> UserError:
    """Returns the error for a name that is none of those known, with the likeliest."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
    return UserError(f"{command}: no {kind} {name!r}; {hint}")


def _described(
    main: Callable[..., int],
) -> tuple[Callable[..., Callable[[], int]], str]:
    """Returns a function whose help tyro prints well, and the command's description.

    tyro would show None as the default of what is computed later.
    """
    function = main.func if isinstance(main, functools.partial) else main
    doc = docstring_parser.parse(inspect.getdoc(function) or "")
    texts = {each.arg_name: each.description or "" for each in doc.params}
    signature = inspect.signature(main)
    types = get_type_hints(function, include_extras=True)
    annotations: dict[str, Any] = {}
    for name, parameter in signature.parameters.items():
        words = " ".join(texts.get(name, "").split()).removesuffix(".")
        text, _, default = words.partition("; default:")
        options: dict[str, Any] = {"help": f"{text}." if text else None}
        if parameter.default is None:
            hint = f"(default:{default})" if default else ""
            options["help_behavior_hint"] = hint
        annotations[name] = Annotated[types[name], tyro.conf.arg(**options)]

    def described(*args: Any, **kwargs: Any) -> Callable[[], int]:
        return functools.partial(main, *args, **kwargs)

    described.__annotations__ = annotations
    described.__signature__ = signature  # type: ignore[attr-defined]
    return described, doc.description or ""


def _folded(text: str) -> str:
    """Breaks lines where the terminal ends and nowhere else.

    tyro breaks no line of a description, and keeps some breaks of a docstring's. What
    stands beside a name, as in a table, stays in its column.
    """
    width = shutil.get_terminal_size().columns
    found: list[tuple[int, str]] = []  # each line, and the column that it goes on in
    for line in map(str.rstrip, text.splitlines()):
        beside = re.match(r" +\S.*? {2,}(?=\S)", line)
        indent = len(line) - len(line.lstrip())
        if indent >= _TEXT and found and found[-1][0] == indent:
            found[-1] = (indent, f"{found[-1][1]} {line.lstrip()}")
        else:
            column = beside.end() if beside else indent if indent >= _TEXT else 0
            found.append((column, line))
    return "".join(
        textwrap.fill(
            line, width, subsequent_indent=" " * column, break_on_hyphens=False
        )
        + "\n"
        for column, line in found
    )
