"""The shell command: launch options → Studio → a front door.

Only what reads the options is imported at once. The rooms behind come when a door opens, for the
prompt stands there before they do.
"""

from __future__ import annotations

import gc
import io
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import dream
from dream.config.settings_file import find_settings_files, read_settings
from dream.config.trust import allow, find_outside_settings
from dream.core.cli_options import CliOptions
from dream.core.environment import close_output, ensure_home, open_streams
from dream.core.errors import (
    ALL_MADE,
    INTERRUPTED,
    SOME_FAILED,
    WRONG_LINE,
    BadLine,
    BadSetting,
    DreamError,
    GalleryError,
)
from dream.core.file_names import parse_path
from dream.core.plain_text import make_printable, print_text
from dream.core.request import Request
from dream.graphics import TerminalImages, detect_terminal_images, supports_live
from dream.line import find_command_line, is_skipped, logged_of, parse_argv

if TYPE_CHECKING:
    from dream.session import Session

Lines = Callable[[Callable[[str], None]], Iterable[tuple[int, str]]]
"""Reads numbered lines; the function it is handed is called with what is said about reading."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `dream` with these words; the exit status: 0 all made, 1 some failed, 2 a line or option
    was wrong, 130 interrupted."""
    open_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Whatever a prompt holds can be said, on the narrowest of terminals.
            stream.reconfigure(errors="backslashreplace")
    try:
        with ensure_home():
            status = _run(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        close_output()
        return SOME_FAILED
    except DreamError as error:
        print_text(make_printable(f"dream: {error}"), sys.stderr)
        wrong = isinstance(error, BadSetting | BadLine | GalleryError)
        return WRONG_LINE if wrong else SOME_FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(argv: Sequence[str]) -> int:
    argv, command = find_command_line(argv)
    argv, logged = logged_of(argv)
    options = parse_argv(argv)[:2]
    plain = options[0]
    if plain.help:
        from dream.line.help_pages import format_help

        print_text(format_help(), sys.stdout)
        return ALL_MADE
    if plain.version:
        print_text(f"dream {dream.__version__}", sys.stdout)
        return ALL_MADE
    files = find_settings_files()
    launch, base, prompt = parse_argv(argv, *read_settings(files))
    if launch.verify is not None and launch.dry_run:
        raise BadSetting("--verify renders, and --dry_run renders nothing")
    if launch.doctor:
        from dream.cli.doctor import build_report

        page, sound = build_report(launch, base)
        print_text(page, sys.stdout)
        return ALL_MADE if sound else SOME_FAILED
    if not launch.dry_run:
        _confirm(options, files)
    if command is not None:
        return _without_prompt(launch, base, command)
    lines = _lines(launch, logged or prompt)
    if lines is None and launch.verify is None:
        return _at_prompt(launch, base)
    return _without_prompt(launch, base, lines)


def _confirm(options: tuple[CliOptions, Request], files: Sequence[Path]) -> None:
    """Ask about settings of the current folder that lead out of it. Raises BadSetting where the
    answer is no, or there is nobody to ask."""
    for elsewhere in find_outside_settings(options, files):
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise elsewhere.refusal
        if sys.platform != "win32":
            import termios

            termios.tcflush(sys.stdin, termios.TCIFLUSH)  # what was typed before is no answer
        print_text(f"{elsewhere.text}. Allow it? (y/n) ", sys.stderr, end="")
        if sys.stdin.readline().strip().casefold() not in ("y", "yes"):
            raise elsewhere.refusal
        with suppress(OSError):  # it is asked again next time
            allow(elsewhere)


def _at_prompt(launch: CliOptions, base: Request) -> int:
    from dream.terminal.prompt import run_prompt

    looks = supports_live(sys.stdout, launch.preview)

    def opened() -> Session:
        from dream.cli.session_factory import create_session

        studio = create_session(launch, base, previews=looks)
        _all_imported()
        return studio

    return run_prompt(opened, base.folder, launch)


def _without_prompt(launch: CliOptions, base: Request, said: str | Lines | None) -> int:
    """A command or lines, done without anybody to ask."""
    from dream.cli import batch
    from dream.cli.session_factory import create_session
    from dream.commands import COMMANDS, Context, is_command, run_line
    from dream.config.folder_notice import describe_folder_settings
    from dream.core.events import Note
    from dream.core.interrupts import Interrupts
    from dream.session import find_wrong_defaults

    file = None if launch.from_file in (None, "-") else parse_path(str(launch.from_file))
    with (
        Interrupts() as interrupts,
        create_session(launch, base) as studio,
        studio.resolve_files_beside(file),
    ):
        _all_imported()
        pictures = None if launch.json or launch.dry_run else _pictures(launch)
        voice = batch.EventPrinter(
            as_json=launch.json, out=sys.stdout, err=sys.stderr, pictures=pictures
        )
        complaints = (*studio.shelf.check_models_toml(), *find_wrong_defaults(studio.shelf, base))
        for text in (*describe_folder_settings(studio.shelf), *complaints):
            voice.show(Note(text=text))
        if launch.verify is not None:
            events = studio.verify(parse_path(launch.verify))
        elif isinstance(said, str) and is_command(said.strip()):
            from dream.terminal.history_file import FILE_NAME, LineHistory

            history = LineHistory(studio.outdir / FILE_NAME, lambda complaint: None)
            events = run_line(Context(studio, history.read_lines, COMMANDS, history.clear), said)
        else:
            lines: Iterable[tuple[int, str]] = iter(())
            if isinstance(said, str):
                lines = iter([(0, said)])
            elif said is not None:
                lines = said(lambda text: voice.show(Note(text=text)))
            events = studio.make_all(lines, dry_run=launch.dry_run)
        return batch.run(events, voice, interrupts)


def _pictures(launch: CliOptions) -> TerminalImages | None:
    """How finished pictures are shown on the terminal; None where it is none, or none are wanted.
    What was typed while it was asked is lost: there is nobody here to read it."""
    pictures, _ = detect_terminal_images(
        sys.stdout,
        sys.stdin,
        preview=launch.preview,
        protocol=launch.preview_protocol,
        size=launch.preview_size,
    )
    return pictures if pictures and pictures.shows_final else None


def _all_imported() -> None:
    """From here on garbage is looked for, and never again among what was imported."""
    gc.freeze()
    gc.enable()


def _lines(launch: CliOptions, prompt: str | None) -> Lines | None:
    """Where lines come from, numbered when from a file; None means: from a person. What is said
    about reading them goes to the function that is handed over."""
    if prompt is not None:
        return lambda say: iter([(0, prompt)])
    if launch.from_file is not None and launch.from_file != "-":
        file = parse_path(launch.from_file)
        return lambda say: _read(file, say)
    if launch.from_file == "-" or not sys.stdin.isatty():
        return lambda say: _typed(sys.stdin, say)
    return None


def _read(file: Path, say: Callable[[str], None]) -> Sequence[tuple[int, str]]:
    from dream.gallery import read_log

    return [(number, line) for number, line in read_log(file, say) if not is_skipped(line)]


def _typed(stdin: TextIO, say: Callable[[str], None]) -> Iterator[tuple[int, str]]:
    """The lines of standard input as they come, decoded as those of a file are: by their bytes,
    whatever the locale is. Raises GalleryError for what is no text."""
    from dream.gallery import text_lines

    raw = getattr(stdin, "buffer", None)
    lines: Iterator[str]
    if raw is None:
        lines = (line.removeprefix("\ufeff").rstrip("\r\n") for line in stdin)
    else:
        lines = text_lines(raw, "standard input", say)
    yield from enumerate(lines, 1)
