"""The gray text behind the cursor, and words of the past in the menu."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from prompt_toolkit import PromptSession
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from dream.commands import COMMANDS, Context
from dream.session import Session
from dream.terminal.auto_suggest import HistorySuggest
from dream.terminal.completer import LineCompleter
from tests.fakes import FakeEngine, fake_session

PAST = [
    "a red circle -s20 -S42",
    "a blue elephant on the moon",
    '"a -dashed thing" -s5',
    "!replay elephants.txt",
    "a red square [blurry] -s10",
]


def hinted(typed: str) -> str:
    """The line with what is shown in gray."""
    history = InMemoryHistory()
    for line in PAST:
        history.append_string(line)
    buffer = Buffer(history=history)
    suggestion = HistorySuggest().get_suggestion(buffer, Document(typed))
    return typed + (suggestion.text if suggestion else "")


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("a red", "a red square [blurry] -s10"),
        ("a red c", "a red circle -s20 -S42"),
        ("!re", "!replay elephants.txt"),
        ("two ele", "two elephant"),
        ("two, ele", "two, elephant"),
        ("some squ", "some square"),
        ("two e", "two e"),
        ("two elephant", "two elephant"),
        ("two -ele", "two -ele"),
        ("two -s5 ele", "two -s5 ele"),
        ("!ele", "!ele"),
        ("", ""),
        ("  ", "  "),
    ],
)
def test_the_latest_line_that_goes_on_or_a_word_of_the_past(typed: str, line: str) -> None:
    assert hinted(typed) == line


async def arrow(typed: str) -> str:
    """The line that is entered after typing this and → at a real prompt."""
    with create_pipe_input() as pipe:
        session: PromptSession[str] = PromptSession(
            history=InMemoryHistory(PAST),
            auto_suggest=HistorySuggest(),
            input=pipe,
            output=DummyOutput(),
        )
        entering = asyncio.create_task(session.prompt_async())
        pipe.send_text(typed)
        while session.default_buffer.suggestion is None:
            await asyncio.sleep(0.01)
        pipe.send_text("\x1b[C\r")
        return await entering


def test_the_arrow_takes_the_gray_text() -> None:
    assert asyncio.run(arrow("a red c")) == "a red circle -s20 -S42"


def completed(session: Session, line: str) -> list[str]:
    completer = LineCompleter(Context(session, lambda: PAST, COMMANDS))
    offers = completer.get_completions(Document(line), CompleteEvent())
    return [line[: len(line) + offer.start_position] + offer.text for offer in offers]


def test_tab_offers_whole_prompts_and_words_of_the_past(tmp_path: Path) -> None:
    session = fake_session(tmp_path)
    assert completed(session, "a red ") == ["a red square [blurry]", "a red circle"]
    assert completed(session, "a -d") == []
    assert completed(session, "a bl") == ["a blue elephant on the moon", "a blurry", "a blue"]
    assert completed(session, '"two ele') == ['"two elephant']
    assert '"a -dashed thing"' in completed(session, "a")


def test_seeds_come_with_the_prompt_they_made(tmp_path: Path) -> None:
    session = fake_session(tmp_path)
    list(session.make("a red circle -S42"))
    list(session.make("a cat -S421"))
    completer = LineCompleter(Context(session, list, COMMANDS))
    offers = completer.get_completions(Document("a cat -S 4"), CompleteEvent())
    assert [(offer.text, offer.display_meta_text) for offer in offers] == [
        ("421", "a cat"),
        ("42", "a red circle"),
    ]
    again = fake_session(tmp_path)
    list(again.make("a dog -S43"))
    completer = LineCompleter(Context(again, list, COMMANDS))
    offers = completer.get_completions(Document("a cat -S 4"), CompleteEvent())
    assert [(offer.text, offer.display_meta_text) for offer in offers] == [
        ("43", "a dog"),
        ("421", "a cat"),
        ("42", "a red circle"),
    ]


def test_settings_are_completed_with_their_values(tmp_path: Path) -> None:
    session = fake_session(tmp_path, FakeEngine(), "tiny", "two words")
    assert completed(session, "!set upscaler") == ["!set upscaler"]
    assert completed(session, "!set sampler k_eu") == [
        "!set sampler k_euler",
        "!set sampler k_euler_a",
        "!set sampler k_euler_churn",
    ]
    assert completed(session, "!set model tw") == ['!set model "two words"']
    assert completed(session, "!unset ste") == ["!unset steps"]


def test_the_last_item_of_a_list_is_completed(tmp_path: Path) -> None:
    session = fake_session(tmp_path)
    assert completed(session, "a cat -A ddim,lc") == ["a cat -A ddim,lcm"]
    assert completed(session, "a cat -Addim,lc") == ["a cat -Addim,lcm"]
