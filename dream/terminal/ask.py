"""Questions: those that one key answers, and those that words do."""

from __future__ import annotations

from prompt_toolkit import PromptSession
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys


async def ask(question: str, answers: str) -> str:
    """The answer, one of these letters; Ctrl-C answers with the last. Raises EOFError for
    Ctrl-D."""
    bindings = KeyBindings()

    def answer(event: KeyPressEvent) -> None:
        letter = event.data.lower() if event.data.lower() in answers else answers[-1]
        event.current_buffer.insert_text(letter)
        event.app.exit(result=letter)

    @bindings.add(Keys.Any)
    @bindings.add("enter")
    @bindings.add("c-j")
    def ignore(event: KeyPressEvent) -> None:
        """Any other key is no answer."""

    for key in (*answers, *answers.upper(), "c-c"):
        bindings.add(key)(answer)
    session: PromptSession[str] = PromptSession(
        f"{question} ({'/'.join(answers)}) ", key_bindings=bindings
    )
    return await session.prompt_async(handle_sigint=False)


async def ask_for_words(question: str, default: str) -> str | None:
    """The words, or the default where there are none; None for Ctrl-C or Ctrl-D, which give up what
    is asked about. Raises EOFError when the session ends meanwhile."""
    bindings = KeyBindings()

    @bindings.add("c-c")
    @bindings.add("c-d")
    def give_up(event: KeyPressEvent) -> None:
        event.app.exit(result=None)

    ready = f" [{default}]" if default else ""
    session: PromptSession[str | None] = PromptSession(f"{question}{ready} ", key_bindings=bindings)
    answer = await session.prompt_async(handle_sigint=False)
    return answer if answer is None else answer.strip() or default
