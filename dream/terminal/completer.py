"""Complete the edit line: see `commands.completions`; with the files of this machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prompt_toolkit.application.current import get_app
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition

from dream.commands import Context
from dream.commands.completions import LineCompletions
from dream.inputs import ENDINGS
from dream.line import quote, split_words
from dream.session import Session
from dream.terminal.paths import PATIENCE, find_paths

_ENDINGS = {"file": (), "picture": ENDINGS, "png": (".png",)}
"""Endings of the files that complete a command, by its `completion`; () is any file."""


class LineCompleter(Completer):
    """Offers completions at the cursor."""

    def __init__(self, context: Context) -> None:
        self._completions = LineCompletions(context, _Paths(context.session))

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterator[Completion]:
        """Implements prompt_toolkit's interface; called in a thread."""
        cursor = document.cursor_position
        for offer in self._completions.complete_line(document.text, cursor):
            yield Completion(
                offer.text,
                offer.start - cursor,
                display=offer.display,
                display_meta=offer.meta,
            )


class _Paths:
    """A FileFinder for the current folder and the image folder."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find_values(self, kind: str, typed: str) -> Iterable[str]:
        if kind != "picture":
            return [path for path, _ in find_paths(typed, files=kind == "file")]
        places = ("", str(self._session.outdir))
        found = (find_paths(typed, within=place, endings=ENDINGS) for place in places)
        return dict.fromkeys(match.path for matches in found for match in matches)

    def find_arguments(self, kind: str, typed: str) -> Iterable[tuple[str, str]]:
        return _list_files(typed, str(self._session.outdir), _ENDINGS[kind])


def _list_files(typed: str, outdir: str, endings: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Files in the current folder and in the image folder, where commands also look."""
    words = list(split_words(typed))
    path = words[0].text if len(words) == 1 and words[0].quoted else typed.removeprefix('"')
    matches = dict.fromkeys(
        file
        for folder in ("", outdir)
        for file in find_paths(path, within=folder, endings=endings, patience=PATIENCE / 2)
    )
    for text, display in matches:
        if " " in text or not text.isprintable() or typed.startswith('"'):
            # The quote of a folder stays open so that a file can follow.
            text = quote(text).removesuffix('"') if text.endswith("/") else quote(text)
        yield text, display


@Condition
def should_open_menu() -> bool:
    """Whether the menu opens while typing: after a dash or a `!`, never inside a prompt."""
    before = get_app().current_buffer.document.text_before_cursor
    if before.startswith("!"):
        return " " not in before
    return before[before.rfind(" ") + 1 :].startswith("-")
