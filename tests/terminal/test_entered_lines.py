"""Entered lines are checked a few at a time, while the next line is typed; none is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from dream.queue import FILE_NAME, journal
from dream.session import Session
from dream.terminal import entered_lines
from dream.terminal.entered_lines import CHECKED_AT_ONCE
from tests.terminal.conftest import Typed
from tests.terminal.test_prompt import paste, prompts


def stored(session: Session) -> list[str]:
    """The lines in the queue file."""
    return journal.read((session.outdir / FILE_NAME).read_bytes())


def test_keys_are_read_between_a_few_pasted_lines_and_the_next(
    session: Session, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"picture {n} -s1 -S{n}" for n in range(10 * CHECKED_AT_ONCE)]
    checked: list[int] = []
    is_queued = entered_lines.is_queued

    def count_turns() -> None:
        checked.append(0)
        asyncio.get_running_loop().call_soon(count_turns)

    def check(context: object, line: str) -> bool:
        if not checked:
            count_turns()
        elif len(checked) > 1:
            done = sum(checked)
            assert {*lines[done:]} <= {*stored(session)}, "they wait on disk"
        checked[-1] += 1
        return is_queued(context, line)  # type: ignore[arg-type]

    ask = entered_lines.ask_for_key
    asked_at: list[int] = []

    def ask_to_quit(*question: Any) -> Awaitable[str | None]:
        asked_at.append(sum(checked))
        return ask(*question)

    monkeypatch.setattr(entered_lines, "is_queued", check)
    monkeypatch.setattr(entered_lines, "ask_for_key", ask_to_quit)
    typed(session, paste("\n".join(lines) + "\n"))
    assert asked_at[0] < len(lines), "the quit typed behind them was read before all were checked"
    assert max(checked) == CHECKED_AT_ONCE and sum(checked) == len(lines)
    assert prompts(session) == [line.partition(" -")[0] for line in lines]


def test_a_question_between_pasted_lines_holds_up_none_of_them(
    session: Session, typed: Typed
) -> None:
    lines = [*(f"a {n} -s1 -S{n}" for n in range(30)), "a dog -n101 -s1", "a cow -s1"]
    shown = typed(session, paste("\n".join(lines) + "\n"), answers={"(y/n)": "n"})
    assert prompts(session)[-2:] == ["a 29", "a cow"]
    assert "a dog" not in shown and "cancelled" not in shown


@pytest.mark.parametrize("answer", ["n", "y"])
def test_lines_pasted_behind_a_quit_are_not_lost(
    session: Session, typed: Typed, answer: str
) -> None:
    more = [f"more {n} -s1 -S{n}" for n in range(2 * CHECKED_AT_ONCE)]
    shown = typed(
        session,
        "!pause\r" + paste("\n".join(["a cat -s1", "q", *more, "!resume"]) + "\n"),
        answers={"(y/w/n)": f"{answer}w"},
    )
    if answer == "y":
        assert f"{len(more) + 2} lines kept for the next session here" in shown
        assert stored(session) == ["a cat -s1", *more, "!resume"]
    else:
        assert len(prompts(session)) == len(more) + 1
