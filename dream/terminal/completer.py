"""Complete the edit line: switches and their values, with this session's folders, models and
seeds, and commands with their arguments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice

from prompt_toolkit.application.current import get_app
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition

from dream.catalogue.adapter_files import ADAPTER_KINDS
from dream.catalogue.adapter_registry import AdapterRegistry
from dream.catalogue.lora_info import LoraInfo, fits
from dream.catalogue.wildcard_files import WildcardFiles
from dream.commands import Command, Context, is_command, list_topics
from dream.commands.adapter_commands import find_active_family
from dream.core.errors import BadLine, DreamError
from dream.core.plain_text import remove_controls
from dream.core.request import FLAGS, NO_VAE
from dream.gallery import LOG_NAME, read_last_lines
from dream.inputs import ENDINGS
from dream.line import behind_prefix, quote, split_words
from dream.line.complete import Values, complete
from dream.line.words import split_line
from dream.prompt import TemplateError
from dream.session import Session
from dream.terminal.auto_suggest import find_prompts, find_words
from dream.terminal.paths import PATIENCE, find_paths

_ENDINGS = {"file": (), "picture": ENDINGS, "png": (".png",)}
"""Endings of the files that complete a command, by its `completion`; () is any file."""

_MAX_OFFERS = 50
"""How many prompts or words are offered at once, and how many lines of the log are searched."""

_VALUES_SHOWN = 5
"""Values shown beside a wildcard."""


class LineCompleter(Completer):
    """Offers completions at the cursor."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterator[Completion]:
        """Implements prompt_toolkit's interface; called in a thread. A name with control characters
        is not offered."""
        for offer in self._offers(document):
            if remove_controls(offer.text) == offer.text:
                yield offer

    def _offers(self, document: Document) -> Iterator[Completion]:
        before = document.text_before_cursor
        if is_command(before) and before.lstrip().startswith("/"):
            return
        if is_command(before) or _names_file(before):
            yield from _for_command(before[behind_prefix(before) :], self._context, self._values)
            return
        for offer in complete(document.text, document.cursor_position, self._values):
            yield Completion(
                offer.text,
                offer.start - document.cursor_position,
                display=offer.display,
                display_meta=offer.meta,
            )

    def _values(self, completes: str, typed: str) -> Iterable[tuple[str, str]]:
        session, history = self._context.session, self._context.history
        try:
            match completes:
                case "prompt":
                    return [
                        (prompt, "")
                        for prompt in islice(find_prompts(history(), typed), _MAX_OFFERS)
                    ]
                case "word":
                    return [
                        (word, "") for word in islice(find_words(history(), typed), _MAX_OFFERS)
                    ]
                case "seed":
                    return [s for s in _seeds(session) if s[0].startswith(typed)]
                case "model":
                    infos = [
                        (info.name, info.description) for info in session.registry.list_models()
                    ]
                    return [info for info in infos if info[0].startswith(typed)]
                case "vae":
                    vaes = (NO_VAE, *session.registry.list_vaes())
                    return [(name, "") for name in vaes if name.startswith(typed)]
                case "upscaler":
                    names = [info.name for info in session.registry.list_upscalers()]
                    return [(name, "") for name in names if name.startswith(typed)]
                case "lora":
                    return _loras(session, typed)
                case "embedding" | "hypernet":
                    kind = ADAPTER_KINDS[completes]
                    names = list(AdapterRegistry.of(session.registry).find(kind))
                    return [(name, "") for name in names if name.startswith(typed)]
                case "wildcard":
                    return _wildcards(session, typed)
                case "picture":
                    places = ("", str(session.outdir))
                    matches = (find_paths(typed, within=place, endings=ENDINGS) for place in places)
                    return [
                        (path, "") for path in dict.fromkeys(f.path for fs in matches for f in fs)
                    ]
                case "file":
                    return [(path, "") for path, _ in find_paths(typed)]
                case "folder":
                    return [(path, "") for path, _ in find_paths(typed, files=False)]
        except DreamError:
            pass  # a broken models folder is reported when a line needs it
        return []


def _loras(session: Session, typed: str) -> Iterator[tuple[str, str]]:
    """Yield the LoRAs that fit the active model, each with its trigger words."""
    family = find_active_family(session)
    for lora in AdapterRegistry.of(session.registry).list_loras():
        if not isinstance(lora, LoraInfo) or not lora.is_lora or not fits(lora, family):
            continue
        if lora.name.casefold().startswith(typed.casefold()):
            yield lora.name, ", ".join(lora.triggers)


def _wildcards(session: Session, typed: str) -> Iterator[tuple[str, str]]:
    """Yield wildcards, those first whose name begins so, with their first values."""
    files = WildcardFiles.of(session.registry)
    lowered = typed.casefold()
    found = [name for name in files.names if lowered in name.casefold()]
    for name in sorted(found, key=lambda name: not name.casefold().startswith(lowered)):
        with suppress(TemplateError):
            yield name, ", ".join(files.get(name)[:_VALUES_SHOWN])


def _seeds(session: Session) -> Iterator[tuple[str, str]]:
    """Yield seeds with their prompts, the latest first, each once: this session's, then those at
    the end of the log."""
    prompts = {saved.request.seed: saved.request.prompt for saved in session.saved}
    prompts_seen = dict.fromkeys(reversed(session.seeds))
    for seed in prompts_seen:
        yield str(seed), prompts.get(seed, "")
    for line in reversed(read_last_lines(session.outdir / LOG_NAME)[-_MAX_OFFERS:]):
        with suppress(BadLine):
            request = session.parse_line(line)
            if request.seed is not None and request.seed not in prompts_seen:
                prompts_seen[request.seed] = None
                yield str(request.seed), request.prompt


def _for_command(before: str, context: Context, values: Values) -> Iterator[Completion]:
    name, space, argument = before.partition(" ")
    if not space:
        for command in context.commands:
            if command.name.startswith(name):
                display = f"{command.name} {command.usage}".rstrip()
                yield Completion(command.name, -len(name), display, command.help)
        return
    row = next((command for command in context.commands if command.name == name), None)
    if row is None:
        return
    completes, argument = row.completion, argument.lstrip()
    if offers := list(_options(row, argument, values)):
        yield from offers
    elif completes == "topic":
        for topic in list_topics(context.commands):
            if topic.startswith(argument):
                yield Completion(topic, -len(argument))
        for value, meta in values("model", argument):
            yield Completion(value, -len(argument), display_meta=meta)
    elif completes == "setting":
        yield from _settings(argument, values)
    elif completes in ("model", "vae"):
        for value, meta in values(completes, argument):
            yield Completion(value, -len(argument), display_meta=meta)
    elif completes in _ENDINGS:
        yield from _files(argument, str(context.session.outdir), _ENDINGS[completes])


def _options(command: Command, argument: str, values: Values) -> Iterator[Completion]:
    """A command's own options after its first argument, then their values."""
    *before, last = argument.split(" ")
    former = before[-1] if len(before) > 1 else ""
    name, equals, value = last.partition("=")
    if before and last.startswith("-") and not equals:
        spelling = last[:2] + last[2:].replace("-", "_")
        for option, kind in command.options.items():
            if option.startswith(spelling):
                display = f"{option} {kind.metavar}".rstrip()
                yield Completion(option, -len(last), display, kind.expects)
        return
    option_type = command.options.get(name if equals else former)
    typed = value if equals else last
    if option_type is not None and option_type.nargs[1]:
        choices = [(choice, "") for choice in option_type.choices if choice.startswith(typed)]
        for text, meta in choices or values(option_type.completion, typed):
            yield Completion(text, -len(typed), display_meta=meta)


def _names_file(before: str) -> bool:
    """Whether the cursor is at the file argument of a `!fix` line."""
    parts = split_line(before)
    return parts.fixes and not parts.switches and not before.endswith(" -")


def _settings(typed: str, values: Values) -> Iterator[Completion]:
    """Names of defaults, then their values as in a line."""
    name, space, value = typed.partition(" ")
    if not space:
        for field, flag in FLAGS.items():
            if field.startswith(name.replace("-", "_")):
                yield Completion(field, -len(name), display_meta=flag.help)
    elif name in FLAGS:
        line = f"x --{FLAGS[name].long_name} {value}"
        for offer in complete(line, len(line), values):
            yield Completion(offer.text, offer.start - len(line), offer.display)


def _files(typed: str, outdir: str, endings: tuple[str, ...]) -> Iterator[Completion]:
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
        yield Completion(text, -len(typed), display)


@Condition
def should_open_menu() -> bool:
    """Whether the menu opens while typing: after a dash or a `!`, never inside a prompt."""
    before = get_app().current_buffer.document.text_before_cursor
    if before.startswith("!"):
        return " " not in before
    return before[before.rfind(" ") + 1 :].startswith("-")
