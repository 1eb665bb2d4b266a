"""Networks that a prompt names become fields of the request, and are called by name only."""

from __future__ import annotations

import pytest

from dream.core.errors import BadLine
from dream.core.request import Request
from dream.options.lora import Hypernet, Lora
from dream.session.prompt_text import check_prompt, move_networks


@pytest.mark.parametrize(
    ("prompt", "lora", "hypernet"),
    [
        ("a cat <lora:ink>", (Lora("ink"),), None),
        ("a cat <lora:ink:0.8>", (Lora("ink", 0.8),), None),
        ("a cat <lora:ink:0.5:0.8>", (Lora("ink", 0.8, 0.5),), None),
        ("a cat <lora:ink:te=0.5:unet=0.8>", (Lora("ink", 0.8, 0.5),), None),
        ("a cat <lyco:ink:-1> <lora:old ink:2>", (Lora("ink", -1), Lora("old ink", 2)), None),
        ("a cat withLora(ink,0.8)", (Lora("ink", 0.8),), None),
        ("a cat <hypernet:anime:0.6>", None, (Hypernet("anime", 0.6),)),
        ("<hypernet:anime> a cat <lora:ink:0>", (Lora("ink", 0),), (Hypernet("anime"),)),
    ],
)
def test_a_network_moves_out_of_the_prompt(
    prompt: str, lora: tuple[Lora, ...] | None, hypernet: tuple[Hypernet, ...] | None
) -> None:
    moved = move_networks(Request(prompt=prompt))
    assert (moved.prompt, moved.lora, moved.hypernet) == ("a cat", lora, hypernet)


def test_networks_come_after_those_of_the_switches() -> None:
    request = Request(prompt="x <lora:b:1> <hypernet:d:1>", lora=(Lora("a"),))
    moved = move_networks(request)
    assert moved.lora == (Lora("a"), Lora("b")) and moved.hypernet == (Hypernet("d"),)
    plain = Request(prompt="x <lora:b:1>", syntax="plain")
    assert move_networks(plain) == plain


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        ("<lora:ink:1:lbw=1,0,0,1>", "block weights (lbw) in <lora:…> are not supported"),
        ("<lora:ink:1:1:lbw=OUTALL>", "block weights (lbw)"),
        ("<lora:ink:stop=0.5>", "“stop=” in <lora:…> are not supported"),
        ("<lora:ink:0.8:x>", "“x” is not a weight"),
    ],
)
def test_what_a_tag_cannot_say_is_refused_by_name(tag: str, message: str) -> None:
    line = f"a cat {tag}"
    with pytest.raises(BadLine) as raised:
        check_prompt(Request(prompt=line), line)
    assert message in raised.value.message and raised.value.column == 7


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../x", "..\\x", "~/x", "~root", ".hidden", "C:\\x", "a/b"]
)
@pytest.mark.parametrize("tag", ["<lora:{}:1>", "<hypernet:{}:1>", "withLora({},1)"])
def test_a_prompt_names_no_path(tag: str, name: str) -> None:
    line = "a cat " + tag.format(name)
    with pytest.raises(BadLine, match=r"is a path|is not a weight"):
        check_prompt(Request(prompt=line), line)
    check_prompt(Request(prompt=line, syntax="plain"), line)
