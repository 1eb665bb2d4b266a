"""The shell command: parse options, create a session, run the prompt or the lines.

Only what parses the options is imported at once. Other packages are imported when they are needed,
so that the prompt appears sooner.
"""

from __future__ import annotations

import gc
import io
import os
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
    SetupError,
)
from dream.core.file_names import parse_path
from dream.core.plain_text import OutputError, make_printable, print_styled, print_text
from dream.core.request import Request
from dream.graphics import TerminalImages, detect_terminal_images, supports_live

if TYPE_CHECKING:
    from dream.session import Session
    from dream.terminal.prompt import Serve

Lines = Callable[[Callable[[str], None], "Session"], Iterable[tuple[int, str]]]
"""Yields numbered lines; calls its first argument with notes about reading them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `dream` with these arguments; the exit status: 0 success, 1 some images failed, 2 a wrong
    line or option, 130 interrupted."""
    open_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Characters that the terminal's encoding lacks are printed as escapes.
            stream.reconfigure(errors="backslashreplace")
    try:
        with ensure_home():
            status = _run(sys.argv[1:] if argv is None else argv)
        print_styled("", sys.stdout)  # what libraries have printed is written now
        return status
    except BrokenPipeError:
        close_output("stdout")
        return SOME_FAILED
    except OutputError as error:
        close_output("stdout")
        print_text(f"dream: {error}", sys.stderr)
        return SOME_FAILED
    except DreamError as error:
        print_text(make_printable(f"dream: {error}"), sys.stderr)
        wrong = isinstance(error, BadSetting | BadLine | GalleryError)
        return WRONG_LINE if wrong else SOME_FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(argv: Sequence[str]) -> int:
    command, logged, prompt = None, None, None
    options = (CliOptions(), Request())
    if argv:
        from dream.line import find_command_line, logged_of, parse_argv  # no bare start waits

        argv, command = find_command_line(argv)
        argv, logged = logged_of(argv)
        options = parse_argv(argv)[:2]
    shell_options = options[0]
    if shell_options.help:
        from dream.line.help_pages import format_help

        print_text(format_help(), sys.stdout)
        return ALL_MADE
    if shell_options.version:
        print_text(f"dream {dream.__version__}", sys.stdout)
        return ALL_MADE
    files = find_settings_files()
    launch, settings = read_settings(files)
    base = settings
    if argv:
        launch, base, prompt = parse_argv(argv, launch, settings)
    if launch.verify is not None and launch.dry_run:
        raise BadSetting("--verify cannot be combined with --dry_run, which renders nothing")
    if launch.doctor:
        from dream.cli.doctor import build_report

        page, is_healthy = build_report(launch, base)
        print_text(page, sys.stdout)
        return ALL_MADE if is_healthy else SOME_FAILED
    if not launch.dry_run:
        _confirm_outside_settings(options, files)
    if launch.mcp:
        return _serve_mcp(launch, base, is_alone=(command or logged or prompt) is None)
    if launch.web is not None:
        return _serve(launch, base, is_alone=(command or logged or prompt) is None)
    if command is not None:
        return _without_prompt(launch, base, command)
    lines = _find_lines(launch, logged or prompt, settings)
    if lines is None and launch.verify is None and launch.resume is None:
        return _at_prompt(launch, base)
    return _without_prompt(launch, base, lines)


def _confirm_outside_settings(options: tuple[CliOptions, Request], files: Sequence[Path]) -> None:
    """Ask about settings of the current folder that point outside it. Raises BadSetting if the
    answer is no, or if there is no terminal to ask on."""
    for outside in find_outside_settings(options, files):
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise outside.refusal
        if sys.platform != "win32":
            import termios

            termios.tcflush(sys.stdin, termios.TCIFLUSH)  # earlier keys are not an answer
        print_text(f"{outside.text}. Allow it? (y/n) ", sys.stderr, end="")
        if sys.stdin.readline().strip().casefold() not in ("y", "yes"):
            raise outside.refusal
        with suppress(OSError):  # it asks again next time
            allow(outside)


def _serve(launch: CliOptions, base: Request, is_alone: bool) -> int:
    """Serve the page and the APIs: beside the prompt if there is a terminal, else alone."""
    if not is_alone or launch.from_file or launch.verify or launch.dry_run or launch.json:
        raise BadSetting(
            "--web cannot be combined with a line, a command, --from_file, --verify, --json or"
            " --dry_run",
            "enter lines at the prompt or on the page",
        )
    from dream.web.access import read_web_options
    from dream.web.alone import serve_alone
    from dream.web.web_server import serve

    options = read_web_options(launch, os.environ)
    if sys.stdin.isatty():
        return _at_prompt(launch, base, lambda runner: serve(runner, options))
    from dream.cli.session_factory import create_session

    with create_session(launch, base, previews=True) as session:
        _enable_gc()
        return serve_alone(session, options, lambda text: print_text(text, sys.stderr))


def _serve_mcp(launch: CliOptions, base: Request, is_alone: bool) -> int:
    """Serve one MCP client over stdin and stdout. Raises SetupError without the library."""
    others = (launch.web, launch.from_file, launch.verify, launch.dry_run, launch.json)
    if not is_alone or any(others):
        raise BadSetting("--mcp cannot be combined with --web, a line, or other ways to run lines")
    try:
        from dream.web.mcp_server.over_stdio import serve_stdio
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("mcp", "mcp_types", "pydantic"):
            raise
        hint = "pip install 'dream-prompt[mcp]'"
        raise SetupError("--mcp needs the package mcp, which is not installed", hint) from None
    from dream.cli.session_factory import create_session

    with create_session(launch, base) as session:
        _enable_gc()
        serve_stdio(session)
    return ALL_MADE


def _at_prompt(launch: CliOptions, base: Request, serve: Serve | None = None) -> int:
    """Run the prompt; `serve` serves the same session's page beside it."""
    from dream.terminal.prompt import run_prompt

    previews = serve is not None or supports_live(sys.stdout, launch.preview)

    def open_session() -> Session:
        from dream.cli.session_factory import create_session

        session = create_session(launch, base, previews=previews)
        _enable_gc()
        return session

    return run_prompt(open_session, base.folder, launch, serve)


def _without_prompt(launch: CliOptions, base: Request, source: str | Lines | None) -> int:
    """Run a command or lines without questions."""
    from dream.cli import batch
    from dream.cli.session_factory import create_session
    from dream.config.folder_notice import describe_folder_settings
    from dream.core.events import Note
    from dream.core.interrupts import Interrupts
    from dream.session import find_wrong_defaults

    file = None if launch.from_file in (None, "-") else parse_path(str(launch.from_file))
    with (
        Interrupts() as interrupts,
        create_session(launch, base) as session,
        session.resolve_files_beside(file),
    ):
        _enable_gc()
        pictures = None if launch.json or launch.dry_run else _detect_images(launch)
        printer = batch.EventPrinter(
            as_json=launch.json, out=sys.stdout, err=sys.stderr, pictures=pictures
        )
        warnings = (
            *session.registry.check_models_toml(),
            *find_wrong_defaults(session.registry, base),
        )
        for text in (*describe_folder_settings(session.registry), *warnings):
            printer.show(Note(text=text))
        events = batch.choose_events(session, launch, source, file, printer)
        return batch.run(events, printer, interrupts)


def _detect_images(launch: CliOptions) -> TerminalImages | None:
    """How finished images are shown on the terminal; None if it is not a terminal or shows none.
    Keys pressed during the terminal query are lost because nothing reads them here."""
    pictures, _ = detect_terminal_images(
        sys.stdout,
        sys.stdin,
        preview=launch.preview,
        protocol=launch.preview_protocol,
        size=launch.preview_size,
    )
    return pictures if pictures and pictures.shows_final else None


def _enable_gc() -> None:
    """Turn garbage collection on, and exclude all objects created by imports from it."""
    gc.freeze()
    gc.enable()


def _find_lines(launch: CliOptions, prompt: str | None, settings: Request) -> Lines | None:
    """Return the source of the lines, which are numbered if they come from a file; None means the
    interactive prompt. `settings` are the defaults without the command line's switches."""
    if prompt is not None:
        return lambda note, session: _read_typed(prompt, settings, note, session)
    if launch.resume is not None:
        return None
    if launch.from_file is not None and launch.from_file != "-":
        file = parse_path(launch.from_file)
        return lambda note, session: _read_file(file, note, session)
    if launch.from_file == "-" or not sys.stdin.isatty():
        return lambda note, session: _read_stdin(sys.stdin, note, session)
    return None


def _read_typed(
    prompt: str, settings: Request, note: Callable[[str], None], session: Session
) -> Iterator[tuple[int, str]]:
    """Yield the line of a command line, whose switches are defaults of the session, so that it
    cannot say which of them have no effect."""
    from dream.session import list_unused_settings

    with suppress(DreamError):  # the line reports it
        for text in list_unused_settings(session.parse_sweep(prompt).first, settings):
            note(text)
    yield 0, prompt


def _read_file(
    file: Path, note: Callable[[str], None], session: Session
) -> Sequence[tuple[int, str]]:
    from dream.session.foreign_models import ModelLookup
    from dream.session.line_sources import read_lines

    return read_lines(file, note, ModelLookup(session.registry))


def _read_stdin(
    stdin: TextIO, note: Callable[[str], None], session: Session
) -> Iterator[tuple[int, str]]:
    """Yield the lines of standard input as they arrive, decoded from bytes as those of a file are,
    regardless of the locale, and blocks of AUTOMATIC1111's text that arrive at once as one line.
    Raises GalleryError if the input is not text."""
    from dream.cli.stdin_lines import StdinLines
    from dream.gallery import text_lines
    from dream.session.foreign_models import ModelLookup
    from dream.session.line_sources import join_blocks

    name, lookup = "standard input", ModelLookup(session.registry)
    raw = getattr(stdin, "buffer", None)
    if raw is None:
        lines = (line.removeprefix("\ufeff").rstrip("\r\n") for line in stdin)
        yield from join_blocks(enumerate(lines, 1), name, note, lookup)
        return
    source = StdinLines(raw)
    numbered = enumerate(text_lines(source, name, note), 1)
    yield from join_blocks(numbered, name, note, lookup, source.comes_soon)
