"""Turns a function into a command line, whose help is the function's docstring."""

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
"""Keys and values that replace those of a spec."""
_TEXT = 6
"""The least indentation of an option's text."""


def parse(
    main: Callable[..., int], prog: str, arguments: list[str]
) -> Callable[[], int]:
    """Parses arguments; returns the function with the arguments bound.

    Args:
      main: the function. In its docstring, `default: ...` at the end of an argument's
        text describes a default of None.
      prog: the command's name in its help.
      arguments: the command line after the command's name.

    Raises:
      SystemExit: the help was printed, or the arguments are wrong.
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
                # Prints `--workers INT`, not `{None}|INT`, and `SPEC`, not `PATH`.
                config=(
                    tyro.conf.DisallowNone,
                    tyro.conf.PositionalMetavarFromFieldName,
                ),
            )
    finally:
        print(_folded(printed.getvalue()), end="")


def refusal(command: str, kind: str, name: str, known: Iterable[str]) -> UserError:
    """Returns the error for an unknown name, which suggests the closest known one."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"expected {', '.join(known)}"
    return UserError(f"{command}: no {kind} {name!r}; {hint}")


def _described(
    main: Callable[..., int],
) -> tuple[Callable[..., Callable[[], int]], str]:
    """Returns a function whose help tyro prints well, and the command's description.

    Otherwise, tyro would print None as the default of values that are computed later.
    """
    function = main.func if isinstance(main, functools.partial) else main
    # A partial function may have its own docstring.
    documented = main if "__doc__" in getattr(main, "__dict__", {}) else function
    doc = docstring_parser.parse(inspect.getdoc(documented) or "")
    texts = {each.arg_name: each.description or "" for each in doc.params}
    signature = inspect.signature(main)
    types = get_type_hints(function, include_extras=True)
    annotations: dict[str, Any] = {}
    for name, parameter in signature.parameters.items():
        words = " ".join(texts.get(name, "").split()).removesuffix(".")
        text, _, default = words.partition("; default:")
        options: dict[str, Any] = {"help": f"{text}." if text else None}
        if parameter.default in (None, ()):
            hint = f"(default:{default})" if default else ""
            options["help_behavior_hint"] = hint
        annotations[name] = Annotated[types[name], tyro.conf.arg(**options)]

    def described(*args: Any, **kwargs: Any) -> Callable[[], int]:
        return functools.partial(main, *args, **kwargs)

    described.__annotations__ = annotations
    described.__signature__ = signature  # type: ignore[attr-defined]
    return described, doc.description or ""


def _folded(text: str) -> str:
    """Wraps lines at the terminal's width.

    tyro does not wrap descriptions, and keeps some line breaks of the docstring. Text
    beside a name, as in a table, stays in its column.
    """
    width = shutil.get_terminal_size().columns
    lines: list[tuple[int, str]] = []  # with the indentation of wrapped text
    for line in map(str.rstrip, text.splitlines()):
        beside = re.match(r" +\S.*? {2,}(?=\S)", line)
        indent = len(line) - len(line.lstrip())
        if indent >= _TEXT and lines and lines[-1][0] == indent:
            lines[-1] = (indent, f"{lines[-1][1]} {line.lstrip()}")
        else:
            column = beside.end() if beside else indent if indent >= _TEXT else 0
            lines.append((column, line))
    return "".join(
        textwrap.fill(
            # tyro prints nothing as the default of an empty tuple.
            re.sub(r"\(default: *\)", "(default: none)", line),
            width,
            subsequent_indent=" " * column,
            break_on_hyphens=False,
        )
        + "\n"
        for column, line in lines
    )
