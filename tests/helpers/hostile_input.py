"""Strategies for input that was damaged, or made to do harm."""

import json
import math
from typing import Any

from hypothesis import strategies as st

NUMBERS = st.one_of(
    st.sampled_from(
        [0, -1, 1, 255, 2**31, 2**63, 10**400, -(10**400), 1e308, 1e-320, math.nan]
    ),
    st.sampled_from([math.inf, -math.inf, -0.0, True]),
    st.integers(-(2**70), 2**70),
    st.floats(),
)
NAMES = st.one_of(
    st.sampled_from(
        [
            "",
            ".",
            "..",
            "../../x",
            "/etc/passwd",
            "a/../../x",
            "a\0b",
            "a\nb",
            "\x1b[2J",
            "\ud800",
            "<script>alert(1)</script>",
            "{asset_dir}/../x",
            "C:\\x",
            "a" * 5000,
            "a/" * 300 + "x",
            "٣",
            "²",
            "1" * 5000,
        ]
    ),
    st.text(max_size=20),
)
VALUES = st.recursive(
    st.one_of(st.none(), NUMBERS, NAMES),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=4)
    ),
    max_leaves=6,
)
DEEP = st.sampled_from([b"[" * 100_000, b'{"a":' * 100_000, b"[" * 500 + b"]" * 500])


class Quiet(bytes):
    """Bytes that are not spelled out where a test fails."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Bytes with some changed, cut out, doubled, or cut off."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        kind = draw(st.sampled_from(["set", "flip", "cut", "insert", "end", "double"]))
        length = draw(st.integers(1, 16))
        if kind == "set":
            data[at : at + length] = draw(st.binary(min_size=length, max_size=length))
        elif kind == "flip" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del data[at : at + length]
        elif kind == "insert":
            data[at:at] = draw(st.binary(max_size=length))
        elif kind == "end":
            del data[at:]
        else:
            data[at:at] = data[at : at + length * 8]
    return Quiet(data)


@st.composite
def edited(draw: st.DrawFn, whole: Any) -> bytes:
    """JSON with a few values, somewhere inside, replaced, removed or added."""
    value = json.loads(json.dumps(whole))
    for _ in range(draw(st.integers(1, 3))):
        value = _edit(draw, value)
    return json.dumps(value).encode()


def _edit(draw: st.DrawFn, value: Any) -> Any:
    keys = list(value) if isinstance(value, dict) else []
    keys = list(range(len(value))) if isinstance(value, list) else keys
    if not keys or draw(st.integers(0, 5)) == 0:
        return draw(VALUES)
    key = draw(st.sampled_from(keys))
    if draw(st.integers(0, 9)) == 0:
        del value[key]
    elif isinstance(value, dict) and draw(st.integers(0, 9)) == 0:
        value[draw(NAMES)] = draw(VALUES)
    else:
        value[key] = _edit(draw, value[key])
    return value
