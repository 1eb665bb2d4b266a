"""Which typed lines of the page and of our own API are run.

Files, folders and models are those that `Admission` admits; of the commands, those that neither
write files, nor use the network, nor read files of any name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from dream.commands import find_command, is_command, is_queued, without_prefix
from dream.commands.command import Context
from dream.commands.defaults import read_default
from dream.commands.dispatch import HELP_WORDS, RECALL
from dream.core.errors import BadLine
from dream.core.request import IMAGE_FILE_FIELDS, NO_VAE, Request, get_image_files
from dream.gallery.png import is_ours, read_chunks
from dream.line import Sweep, is_skipped, parse_sweep, split_words
from dream.web.admission import MAX_PICTURES, MAX_PROMPT, Admission

_HARMLESS = frozenset(
    {
        *("!help", "!explain", "!queue", "!cancel", "!next", "!pause", "!resume", "!last"),
        *(
            "!models",
            "!loras",
            "!embeddings",
            "!hypernets",
            "!wildcards",
            "!history",
            "!search",
            "!find",
            "!unset",
            RECALL,
        ),
    }
)
_WITH_IMAGE = frozenset({"!info", "!fetch", "!mask", "!verify"})
"""Their first word names an image."""
_CONTROL = "!control"
"""Its second word names an image."""
_USABLE = _HARMLESS | _WITH_IMAGE | {_CONTROL, "!fix", "!switch", "!vae", "!set", "!stats"}


@dataclass(frozen=True)
class AdmittedLine:
    """A line that may run."""

    line: str
    queued: bool
    """Whether it waits in the queue; others run at once."""
    pictures: int = 0
    """Images that it makes; 0 for a command."""


class LineAdmission:
    """Admits the lines of a session's own page."""

    def __init__(self, context: Context, admission: Admission) -> None:
        self._context, self._admission = context, admission

    def admit_line(self, line: str) -> AdmittedLine:
        """The line, if a client may run it. Raises BadLine, ModelError, InputError."""
        if len(line) > MAX_PROMPT:
            raise BadLine(f"the line is longer than {MAX_PROMPT:,} characters")
        if "\n" in line or "\r" in line:
            raise BadLine("a line has no line breaks", 0, "submit each line by itself")
        typed = without_prefix(line)
        if is_skipped(typed):
            raise BadLine("the line is empty")
        if typed in HELP_WORDS:
            return AdmittedLine("!help", False)
        if is_command(typed):
            name, _, argument = typed.partition(" ")
            self._check_command(name, argument.strip())
            return AdmittedLine(typed, is_queued(self._context, typed))
        sweep = self._check_images(line)
        return AdmittedLine(line, True, sweep.count)

    def is_usable(self, offer: str) -> bool:
        """Whether a completion is worth offering: not a command that is refused."""
        name = offer.strip()
        return not name.startswith("!") or name in _USABLE

    def _check_images(self, line: str) -> Sweep:
        session = self._context.session
        sweep = parse_sweep(line, session.base)  # reads no file
        _check_count(sweep)
        for request in sweep:
            self._check_files(request, self._admission.admit(request, memory=True))
        sweep = session.parse_sweep(line)
        _check_count(sweep)  # --combine makes more of them
        for request in sweep:
            if not _uses_memory(request):
                self._admission.check_size(self._admission.admit(request))
        return sweep

    def _check_files(self, request: Request, admitted: Request) -> None:
        """Raises BadLine if the line, when it runs, would find another file of that name in the
        current folder."""
        for name in IMAGE_FILE_FIELDS:
            values = get_image_files(getattr(request, name))
            for value, path in zip(values, get_image_files(getattr(admitted, name)), strict=True):
                if value == path:
                    continue
                found = self._context.session.find_picture(value)
                if found.absolute() != Path(path).absolute():
                    raise BadLine(f"there are two files of the name {value}", 0, f"use {path}")

    def _check_command(self, name: str, argument: str) -> None:
        session = self._context.session
        command = find_command(self._context.commands, name).name
        if command in _HARMLESS or (command in ("!stats", "!vae", "!set") and not argument):
            return
        words = [word.text for word in split_words(argument)]
        if command == _CONTROL:
            if len(words) != 2:
                raise BadLine("!control takes a kind and a file", 1, "quote a name with spaces")
            words = words[1:]
        if command in (*_WITH_IMAGE, _CONTROL) and words:
            if command == "!fetch" and len(words) > 1:
                raise BadLine("!fetch with two files is available at the prompt only", 1)
            named = self._admission.find_image(words[0], memory=True)
            self._check_files(Request(init_img=words[0]), Request(init_img=named))
            if command == "!verify" and not _is_own(named):
                raise BadLine("this image was not written by dream here")
        elif command == "!switch":
            self._admission.admit(Request(model=argument.strip('"')))
        elif command == "!vae":
            vae = argument.strip('"')
            self._admission.admit(Request(vae=None if vae == NO_VAE else vae))
        elif command == "!set":
            base = read_default(argument, session.base)
            self._admission.admit(replace(base, prompt=""), memory=True)
        elif command not in (*_WITH_IMAGE, _CONTROL):
            raise BadLine(f"{command} is available at the prompt only", 1)


def _check_count(sweep: Sweep) -> None:
    if sweep.count > MAX_PICTURES:
        raise BadLine(f"{sweep.count:,} images are too many at once", 0, f"at most {MAX_PICTURES}")


def _is_own(path: str) -> bool:
    try:
        return is_ours(read_chunks(Path(path)))
    except (OSError, ValueError):
        return False


def _uses_memory(request: Request) -> bool:
    """Whether it names an image or a seed of the session that earlier lines may still make."""
    files = [file for name in IMAGE_FILE_FIELDS for file in get_image_files(getattr(request, name))]
    is_back = any(value.startswith("-") and value[1:].isdecimal() for value in files)
    return is_back or (request.seed is not None and request.seed < 0)
