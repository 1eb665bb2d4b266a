"""A question that one key answers."""

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
