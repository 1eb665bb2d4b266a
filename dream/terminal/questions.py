"""Questions at the prompt. An answer is entered as a line is, and only by keys that were pressed
after the question was shown: what was typed before it, and what is no answer, waits for the edit
line."""

from __future__ import annotations

from collections.abc import Mapping

from prompt_toolkit import PromptSession
from prompt_toolkit.application import Application
from prompt_toolkit.input import Input
from prompt_toolkit.input.typeahead import get_typeahead, store_typeahead
from prompt_toolkit.key_binding import KeyBindings, KeyPress, KeyPressEvent

from dream.core.plain_text import make_printable
from dream.line.switch_names import shown


async def ask_for_key(
    question: str, answers: str, words: Mapping[str, str] | None = None
) -> str | None:
    """The answer: one of these letters, or of these words the letter it stands for. None for Ctrl-C
    and Ctrl-D, which decide nothing. Raises EOFError when the session ends meanwhile."""
    known = {letter: letter for letter in answers} | dict(words or {})
    offered = dict.fromkeys([*answers, *(word for word in known.values() if len(word) > 1)])
    question = make_printable(f"{question} ({'/'.join(offered)})")
    refused = ""
    while True:
        message = f"{refused}{question} "
        with _OnlyNew() as keys:
            said = await keys.asked(message)
            answer = None if said is None else known.get(said.strip().casefold())
            if said is None or answer is not None:
                return answer
            keys.wait(said)
        heard = make_printable(shown(said.strip()))
        refused = f"“{heard}” is not an answer, and waits for the edit line\n"
        if not said.strip():
            refused = ""


async def ask_for_words(question: str, default: str) -> str | None:
    """The words, or the default where there are none; None for Ctrl-C or Ctrl-D, which give up what
    is asked about. Raises EOFError when the session ends meanwhile."""
    ready = f" [{default}]" if default else ""
    with _OnlyNew() as keys:
        answer = await keys.asked(make_printable(f"{question}{ready} "))
    return answer if answer is None else answer.strip() or default


class _OnlyNew:
    """Asks with the keys that are pressed from now on. At its end the earlier ones, and what was
    entered and is no answer, lie before those pressed since, for whoever reads keys next."""

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

    def __enter__(self) -> _OnlyNew:
        self._waiting = get_typeahead(self._input)
        return self

    def __exit__(self, *raised: object) -> None:
        since = get_typeahead(self._input)
        store_typeahead(self._input, [*self._waiting, *since])

    async def asked(self, message: str) -> str | None:
        """The line that is entered; None for Ctrl-C and Ctrl-D."""
        app = self._session.app
        app.after_render += self._shown
        return await self._session.prompt_async(message, handle_sigint=False)

    def wait(self, text: str) -> None:
        """Have a text wait with the earlier keys."""
        self._waiting += [KeyPress(char, char) for char in text]

    def _shown(self, app: Application[str | None]) -> None:
        """The question has just been painted: whatever lies in the terminal's buffer is older."""
        app.after_render -= self._shown
        while earlier := self._input.read_keys():
            self._waiting += earlier
        self._waiting += self._input.flush_keys()
