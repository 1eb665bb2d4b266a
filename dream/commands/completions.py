"""Complete a line: switches and their values, with this session's folders, models and seeds, and
commands with their arguments. Every front door offers these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Protocol

from dream.catalogue.adapter_files import ADAPTER_KINDS
from dream.catalogue.adapter_registry import AdapterRegistry
from dream.catalogue.control_files import find_control_models
from dream.catalogue.encoder_files import find_text_encoders
from dream.catalogue.face_models import list_face_models
from dream.catalogue.image_prompt_files import find_image_prompt_models
from dream.catalogue.lora_info import LoraInfo, fits
from dream.catalogue.wildcard_files import WildcardFiles
from dream.commands import Command, Context, is_command, list_topics
from dream.commands.adapter_commands import find_active_family
from dream.commands.entered_words import find_prompts, find_words
from dream.core.errors import BadLine, DreamError
from dream.core.plain_text import remove_controls
from dream.core.request import FLAGS, NO_VAE
from dream.gallery import LOG_NAME, read_last_lines
from dream.line import behind_prefix
from dream.line.complete import Suggestion, Values, complete
from dream.line.words import split_line
from dream.options.control import CONTROL_KINDS
from dream.prompt import TemplateError
from dream.session import Session

_FILES = ("file", "picture", "png")
"""Kinds of files that complete a command, by its `completion`."""

_MAX_OFFERS = 50
"""How many prompts or words are offered at once, and how many lines of the log are searched."""

_VALUES_SHOWN = 5
"""Values shown beside a wildcard."""


class FileFinder(Protocol):
    """Finds the files that a front door offers."""

    def find_values(self, kind: str, typed: str) -> Iterable[str]:
        """Files for a switch: "picture", "file" or "folder"."""

    def find_arguments(self, kind: str, typed: str) -> Iterable[tuple[str, str]]:
        """Files for a command: "picture", "png" or "file". Each as it is inserted in place of what
        was typed, quoted where needed; and as it is shown."""


class LineCompletions:
    """Completes the lines of one session."""

    def __init__(self, context: Context, files: FileFinder) -> None:
        self._context, self._files = context, files

    def complete_line(self, line: str, cursor: int) -> Iterator[Suggestion]:
        """Completions at the cursor. A name with control characters is not offered."""
        for offer in self._offers(line, cursor):
            if remove_controls(offer.text) == offer.text:
                yield offer

    def _offers(self, line: str, cursor: int) -> Iterator[Suggestion]:
        before = line[:cursor]
        if is_command(before) and before.lstrip().startswith("/"):
            return
        if is_command(before) or _names_file(before):
            start = behind_prefix(before)
            for offer in _for_command(before[start:], self._context, self._values, self._files):
                yield offer._replace(start=start + offer.start)
            return
        yield from complete(line, cursor, self._values)

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
                case "text_encoder":
                    encoders = find_text_encoders(session.registry.models_dirs)
                    return [(name, "") for name in encoders if name.startswith(typed)]
                case "upscaler":
                    names = [info.name for info in session.registry.list_upscalers()]
                    return [(name, "") for name in names if name.startswith(typed)]
                case "face model":
                    models = list_face_models(session.registry.models_dirs).values()
                    return [(m.name, m.description) for m in models if m.name.startswith(typed)]
                case "lora":
                    return _loras(session, typed)
                case "embedding" | "hypernet":
                    kind = ADAPTER_KINDS[completes]
                    names = list(AdapterRegistry.of(session.registry).find(kind))
                    return [(name, "") for name in names if name.startswith(typed)]
                case "control":
                    return self._controls(typed)
                case "image_prompt":
                    paths = self._files.find_values("picture", typed.lstrip("\"'"))
                    return [(path, "") for path in paths]
                case "control_model":
                    controls = find_control_models(session.registry.models_dirs)
                    return [(name, "") for name in controls if name.startswith(typed)]
                case "image_prompt_model":
                    adapters = find_image_prompt_models(session.registry.models_dirs)
                    return [(name, "") for name in adapters if name.startswith(typed)]
                case "wildcard":
                    return _wildcards(session, typed)
                case "picture" | "file" | "folder":
                    return [(path, "") for path in self._files.find_values(completes, typed)]
        except DreamError:
            pass  # a broken models folder is reported when a line needs it
        return []

    def _controls(self, typed: str) -> Iterator[tuple[str, str]]:
        """Yield kinds of control images; after `KIND=`, image files."""
        kind, equals, file = typed.partition("=")
        if not equals:
            for row in CONTROL_KINDS.values():
                if row.name.startswith(kind):
                    yield f"{row.name}=", f"{row.called}: {row.help}"
            return
        for path in self._files.find_values("picture", file.lstrip("\"'")):
            yield f"{kind}={path}", ""


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


def _for_command(
    before: str, context: Context, values: Values, files: FileFinder
) -> Iterator[Suggestion]:
    end = len(before)
    name, space, argument = before.partition(" ")
    if not space:
        for command in context.commands:
            if command.name.startswith(name):
                display = f"{command.name} {command.usage}".rstrip()
                yield Suggestion(command.name, end - len(name), display, command.help)
        return
    row = next((command for command in context.commands if command.name == name), None)
    if row is None:
        return
    completes, argument = row.completion, argument.lstrip()
    if offers := list(_options(row, argument, values, end)):
        yield from offers
    elif completes == "topic":
        for topic in list_topics(context.commands):
            if topic.startswith(argument):
                yield Suggestion(topic, end - len(argument), topic, "")
        for value, meta in values("model", argument):
            yield Suggestion(value, end - len(argument), value, meta)
    elif completes == "setting":
        yield from _settings(argument, values, end)
    elif completes == "control":
        yield from _controls(argument, files, end)
    elif completes in ("model", "vae"):
        for value, meta in values(completes, argument):
            yield Suggestion(value, end - len(argument), value, meta)
    elif completes in _FILES:
        for text, display in files.find_arguments(completes, argument):
            yield Suggestion(text, end - len(argument), display, "")


def _controls(typed: str, files: FileFinder, end: int) -> Iterator[Suggestion]:
    """Kinds of control images, then images."""
    name, space, file = typed.partition(" ")
    if not space:
        for kind in CONTROL_KINDS.values():
            if kind.name.startswith(name.lower()):
                yield Suggestion(kind.name, end - len(name), kind.name, kind.help)
        return
    for text, display in files.find_arguments("picture", file.lstrip()):
        yield Suggestion(text, end - len(file.lstrip()), display, "")


def _options(command: Command, argument: str, values: Values, end: int) -> Iterator[Suggestion]:
    """A command's own options after its first argument, then their values."""
    *before, last = argument.split(" ")
    former = before[-1] if len(before) > 1 else ""
    name, equals, value = last.partition("=")
    if before and last.startswith("-") and not equals:
        spelling = last[:2] + last[2:].replace("-", "_")
        for option, kind in command.options.items():
            if option.startswith(spelling):
                display = f"{option} {kind.metavar}".rstrip()
                yield Suggestion(option, end - len(last), display, kind.expects)
        return
    option_type = command.options.get(name if equals else former)
    typed = value if equals else last
    if option_type is not None and option_type.nargs[1]:
        choices = [(choice, "") for choice in option_type.choices if choice.startswith(typed)]
        for text, meta in choices or values(option_type.completion, typed):
            yield Suggestion(text, end - len(typed), text, meta)


def _names_file(before: str) -> bool:
    """Whether the cursor is at the file argument of a `!fix` line."""
    parts = split_line(before)
    return parts.fixes and not parts.switches and not before.endswith(" -")


def _settings(typed: str, values: Values, end: int) -> Iterator[Suggestion]:
    """Names of defaults, then their values as in a line."""
    name, space, value = typed.partition(" ")
    if not space:
        for field, flag in FLAGS.items():
            if field.startswith(name.replace("-", "_")):
                yield Suggestion(field, end - len(name), field, flag.help)
    elif name in FLAGS:
        line = f"x --{FLAGS[name].long_name} {value}"
        for offer in complete(line, len(line), values):
            yield Suggestion(offer.text, end + offer.start - len(line), offer.display, "")
