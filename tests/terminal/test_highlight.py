from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dream.commands import COMMANDS
from dream.terminal.highlight import find_spans, style_line


def coloured(line: str) -> list[tuple[str, str]]:
    return [(line[start:end], what) for start, end, what in find_spans(line, COMMANDS)]


@pytest.mark.parametrize(
    ("line", "pieces"),
    [
        ("a red circle", []),
        ("a cat -s20", [("-s", "switch"), ("20", "value")]),
        ("a cat -s 20 -g", [("-s", "switch"), (" 20", "value"), ("-g", "switch")]),
        ("a [dark] cat", [("[dark]", "negative")]),
        ("a cat++ x-ray -s5", [("++", "weight"), ("-s", "switch"), ("5", "value")]),
        (
            "(a)1.3 [(b:1.2)] (c:1.2)",
            [("1.3", "weight"), ("[(b:1.2)]", "negative"), (":1.2", "weight")],
        ),
        ("a.swap(b) <lora:x:1>", [(".swap", "weight"), ("<lora:x:1>", "weight")]),
        ("a cat -s20 # so", [("-s", "switch"), ("20", "value"), ("# so", "aside")]),
        ('a.png: "x" -S1', [("a.png: ", "aside"), ("-S", "switch"), ("1", "value")]),
        ("# all of it", [("# all of it", "aside")]),
        ("a -stpes 20 -g", [("-stpes", "error"), ("-g", "switch")]),
        ("a -s 5000 -g", [("-s", "switch"), ("5000", "error"), ("-g", "switch")]),
        ("a -s 5000", [("-s", "switch")]),
        ("a -s5000 -g", [("-s", "switch"), ("5000", "error"), ("-g", "switch")]),
        ("a -C 5,x -g", [("-C", "switch"), ("x", "error"), ("-g", "switch")]),
        (
            "a -C5,7 -S 1..3",
            [("-C", "switch"), ("5,7", "value"), ("-S", "switch"), (" 1..3", "value")],
        ),
        ("a --negative b", [("--negative", "switch"), (" b", "negative")]),
        ("a -stp", [("-stp", "switch")]),
        ("!replay x.txt", [("!replay", "command")]),
        ("!fix a.png -U2", [("!fix", "command"), ("-U", "switch"), ("2", "value")]),
        ("!rep", [("!rep", "command")]),
        ("!rep x.txt", [("!rep", "error")]),
        ("!12", [("!12", "command")]),
        ("  /set width 512", [("/set", "command")]),
        ("/set of chairs here", []),
    ],
)
def test_what_stands_out(line: str, pieces: list[tuple[str, str]]) -> None:
    assert coloured(line) == pieces


LINES = st.lists(
    st.one_of(
        st.sampled_from(
            ["-s", "20", "-U2", '"', "a b", "--model=", "#", "!x", "[no]", "\\", "x.png:"]
        ),
        st.text(max_size=5),
    )
).map(" ".join)


@settings(max_examples=300)
@given(LINES)
def test_the_pieces_are_the_line(line: str) -> None:
    assert "".join(piece[1] for piece in style_line(line, COMMANDS)) == line
