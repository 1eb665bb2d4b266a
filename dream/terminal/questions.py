"""Ask questions at the prompt. An answer ends with Enter and only counts if its keys were pressed
after the question was shown; earlier keys and invalid answers are kept for the edit line."""

from __future__ import annotations

from collections.abc import Mapping

from prompt_toolkit import PromptSession
from prompt_toolkit.application import Application
from prompt_toolkit.input import Input
from prompt_toolkit.input.typeahead import get_typeahead, store_typeahead
from prompt_toolkit.key_binding import KeyBindings, KeyPress, KeyPressEvent

from dream.core.plain_text import make_printable
from dream.line.switch_names import excerpt


async def ask_for_key(
    question: str, answers: str, words: Mapping[str, str] | None = None
) -> str | None:
    """Ask for one of the letters in `answers`, or a key of `words`, which maps to a letter. None
    for Ctrl-C and Ctrl-D, which decide nothing. Raises EOFError if the session ends meanwhile."""
    known = {letter: letter for letter in answers} | dict(words or {})
    offered = dict.fromkeys([*answers, *(word for word in known.values() if len(word) > 1)])
    question = make_printable(f"{question} ({'/'.join(offered)})")
    complaint = ""
    while True:
        message = f"{complaint}{question} "
        with _FreshKeys() as keys:
            entered = await keys.read_answer(message)
            answer = None if entered is None else known.get(entered.strip().casefold())
            if entered is None or answer is not None:
                return answer
            keys.keep(entered)
        text = make_printable(excerpt(entered.strip()))
        complaint = (
            f"“{text}” is not an answer; it is kept for the edit line\n" if entered.strip() else ""
        )


async def ask_for_words(question: str, default: str) -> str | None:
    """Ask for text; Enter alone returns the default. None for Ctrl-C or Ctrl-D, which cancel the
    line. Raises EOFError if the session ends meanwhile."""
    hint = f" [{default}]" if default else ""
    with _FreshKeys() as keys:
        answer = await keys.read_answer(make_printable(f"{question}{hint} "))
    return answer if answer is None else answer.strip() or default


class _FreshKeys:
    """Reads an answer from keys pressed after the question is shown. On exit, the earlier keys and
    invalid answers are put back before the later keys, for the next reader."""

    def __init__(self) -> None:
        bindings = KeyBindings()

        @bindings.add("c-c")
        @bindings.add("c-d")
        def decide_nothing(event: KeyPressEvent) -> None:
            event.app.exit(result=None)

        self._session: PromptSession[str | None] = PromptSession(key_bindings=bindings)
        self._waiting: list[KeyPress] = []

    @property
    def _input(self) -> Input:
        return self._session.app.input

    def __enter__(self) -> _FreshKeys:
        self._waiting = get_typeahead(self._input)
        return self

    def __exit__(self, *raised: object) -> None:
        later = get_typeahead(self._input)
        store_typeahead(self._input, [*self._waiting, *later])

    async def read_answer(self, message: str) -> str | None:
        """Show the question and read a line; None for Ctrl-C and Ctrl-D."""
        app = self._session.app
        app.after_render += self._keep_earlier_keys
        return await self._session.prompt_async(message, handle_sigint=False)

    def keep(self, text: str) -> None:
        """Keep a text with the earlier keys."""
        self._waiting += [KeyPress(char, char) for char in text]

    def _keep_earlier_keys(self, app: Application[str | None]) -> None:
        """Called after the question is drawn: keys in the terminal's buffer are older than it."""
        app.after_render -= self._keep_earlier_keys
        while earlier := self._input.read_keys():
            self._waiting += earlier
        self._waiting += self._input.flush_keys()
