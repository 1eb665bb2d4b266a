"""No control character of a file, a name or a message reaches a terminal, by whatever command."""

from __future__ import annotations

import asyncio
import io
import json
import re
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from dream.cli import batch
from dream.commands import COMMANDS, Context, is_command, is_queued, run_line
from dream.core.plain_text import format_json, make_printable
from dream.gallery import LOG_NAME
from dream.gallery.text_lines import decoded
from dream.session import Session
from dream.terminal.print_above import Printable
from dream.terminal.questions import ask_for_key, ask_for_words
from dream.terminal.screen import Screen
from tests.fakes import fake_session

EVIL = "a\x1b]0;PWNED\x07\x1b]52;c;eA==\x07\x1b[2J\x9b2J\x90q\x9c\u202e\r\x08\x7f"
OWN = re.compile(r"\r\x1b\[K")
"""What the progress line is rewritten with."""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """A session whose images, names, models and log were made to do harm."""
    monkeypatch.chdir(tmp_path)
    session = fake_session(tmp_path, None, "tiny", f"m{EVIL}")
    card_file = tmp_path / "models" / f"m{EVIL}" / "card.toml"
    card_file.write_text(
        card_file.read_text() + f"description = {json.dumps(EVIL)}\n", encoding="utf-8"
    )
    session.outdir.mkdir()
    info = PngInfo()
    for key in ("Dream", "Comment", "Title"):
        info.add_itxt(key, f'"{EVIL}" -s2 --odd{EVIL}')
    info.add_itxt("dream_record", json.dumps({"facts": {EVIL: EVIL}, "steps": [{EVIL: EVIL}]}))
    for name in ("x.png", f"{EVIL}.png"):
        Image.new("RGB", (64, 64)).save(tmp_path / name, pnginfo=info)
    (session.outdir / LOG_NAME).write_text(f'a.png: "{EVIL}" -s2 -S3\n{EVIL} -s0\n', "utf-8")
    return session


def lines() -> list[str]:
    names = ["", "x.png", f"{EVIL}.png", f"no{EVIL}.png", EVIL, f"m{EVIL}", f"*{EVIL}.png out.txt"]
    typed = [f"{row.name} {name}" for row in COMMANDS for name in names]
    typed += [f"!fetch x*.png out{EVIL}.txt", "!replay outputs/dream_log.txt", f"!{EVIL}"]
    typed += ["-I x.png -S1", f"-I {EVIL}.png -S1 -s2", "!fix x.png -U2", f"!fix {EVIL}.png -U2"]
    typed += [f"x --{EVIL} 3", f"x -s {EVIL}", f"{EVIL} -s2 -S1", f"x --model m{EVIL}"]
    return [*typed, f"x -o o{EVIL}"]


def skipped(line: str) -> bool:
    return line.startswith("!open")  # it starts a desktop's program


def test_no_command_says_a_control_character(session: Session) -> None:
    shell_out, shell_err, script, prompt = Terminal(), Terminal(), io.StringIO(), Terminal()
    shell = batch.EventPrinter(as_json=False, out=shell_out, err=shell_err)
    as_json = batch.EventPrinter(as_json=True, out=script, err=script)
    screen = Screen(_Encoded(prompt), columns=lambda: 80, rewrite=False, colour=False)
    context = Context(session, lambda: [EVIL], COMMANDS)
    for line in lines():
        if skipped(line):
            continue
        screen.begin(line)
        for event in run_line(context, line):
            for show in (shell.show, as_json.show, screen.show):
                show(event)
    for out in (shell_out, shell_err, script, prompt):
        text = OWN.sub("", out.getvalue())
        assert len(text) > 1000 or out is shell_err
        bad = {c for c in text if not c.isprintable() and c not in "\n\u200d\u200c\ufe0f"}
        assert not bad, ascii(bad)
    for row in script.getvalue().splitlines():
        assert "event" in json.loads(row)


class _Encoded:
    """A stream that says which encoding it has."""

    encoding = "utf-8"

    def __init__(self, out: io.StringIO) -> None:
        self.write, self.flush = out.write, out.flush


def test_json_is_the_same_value_and_printable() -> None:
    value = {"a": EVIL + "猫 🐱 \u2028 \x7f \ud800 \U000e0001"}
    text = format_json(value)
    assert json.loads(text) == value and make_printable(text) == text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("蓝色背景上的红色圆形 -S1".encode("gb18030"), "蓝色背景上的红色圆形 -S1"),
        ("一只猫，在雨中 -s5".encode("gbk"), "一只猫，在雨中 -s5"),
        (b"caf\xe9 -S2", "café -S2"),
        (b"cr\xe9\xe9e na\xefve -S2", "créée naïve -S2"),
        ("müßig, größer".encode("cp1252"), "müßig, größer"),
        ("café 猫".encode(), "café 猫"),
    ],
)
def test_bytes_are_read_as_what_they_plainly_are(data: bytes, text: str) -> None:
    assert decoded(data)[0] == text


def test_what_libraries_write_and_questions_are_printable(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Terminal()
    stream = Printable(out)
    print(f"warning: {EVIL}\r\n\tnext", file=stream)
    assert stream.isatty()
    assert out.getvalue().replace("\n", "").isprintable() and "next" in out.getvalue()
    shown: list[str] = []

    async def asked(self: object, message: str) -> str | None:
        shown.append(message)
        return None

    monkeypatch.setattr("dream.terminal.questions._FreshKeys.read_answer", asked)
    asyncio.run(ask_for_key(EVIL, "yn"))
    asyncio.run(ask_for_words(EVIL, EVIL))
    assert len(shown) == 2 and all(
        message.isprintable() or "\u200d" in message for message in shown
    )


@pytest.mark.parametrize(
    "before", ["dream> ", "invoke> ", "(a) invoke> ", "[12] ", "dream> dream> "]
)
def test_a_command_may_have_its_prompt_before_it(session: Session, before: str) -> None:
    context = Context(session, list, COMMANDS)
    line = f"{before}!set steps 7"
    assert is_command(line) and is_queued(context, line) == is_queued(context, "!set steps 7")
    assert [event.name for event in run_line(context, line)] == [
        event.name for event in run_line(context, "!set steps 7")
    ]
    assert session.base.steps == 7
