"""The shell command: launch options → Studio → a front door."""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import dream
from dream import batch
from dream.catalogue import Shelf, default_models_dirs
from dream.engine.base import Machine
from dream.errors import BadLine, BadSetting, DreamError, GalleryError
from dream.gallery import read_log
from dream.graphics import wants_live
from dream.launch import Launch
from dream.line import help_page, is_skipped, read_argv
from dream.request import Request
from dream.settings import read_settings, settings_files
from dream.studio import Studio
from dream.worker import open_engine

_YES = ("1", "ON", "YES", "TRUE")
"""What huggingface_hub takes for a yes in its environment variables."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `dream` with these words; the exit status: 0 all made, 1 some failed, 2 a line or option
    was wrong, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Whatever a prompt holds can be said, on the narrowest of terminals.
            stream.reconfigure(errors="backslashreplace")
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except DreamError as error:
        print(f"dream: {error}", file=sys.stderr)
        wrong = isinstance(error, BadSetting | BadLine | GalleryError)
        return batch.WRONG_LINE if wrong else batch.SOME_FAILED
    except KeyboardInterrupt:
        return batch.INTERRUPTED


def _run(argv: Sequence[str]) -> int:
    plain, _, _ = read_argv(argv)
    if plain.help:
        print(help_page())
        return batch.ALL_MADE
    if plain.version:
        print(f"dream {dream.__version__}")
        return batch.ALL_MADE
    launch, base, prompt = read_argv(argv, *read_settings(settings_files()))
    if launch.doctor:
        from dream.doctor import report

        page, sound = report(launch, base)
        print(page)
        return batch.ALL_MADE if sound else batch.SOME_FAILED
    lines = _lines(launch, prompt)
    at_prompt = lines is None and launch.verify is None
    looks = at_prompt and wants_live(sys.stdout, launch.preview)
    with open_studio(launch, base, previews=looks) as studio:
        if at_prompt:
            from dream.terminal.prompt import run

            _all_imported()
            return run(studio, launch)
        _all_imported()
        voice = batch.Voice(as_json=launch.json, out=sys.stdout, err=sys.stderr)
        events = (
            studio.verify(Path(launch.verify))
            if launch.verify is not None
            else studio.make_all(lines or iter(()), dry_run=launch.dry_run)
        )
        return batch.run(events, voice)


def _all_imported() -> None:
    """From here on garbage is looked for, and never again among what was imported."""
    gc.freeze()
    gc.enable()


def open_studio(launch: Launch, base: Request, *, previews: bool = False) -> Studio:
    """The studio these launch options ask for. Its worker process starts when it is wanted; with
    `previews` it looks at pictures in the making."""
    offline = launch.offline or os.environ.get("HF_HUB_OFFLINE", "").upper() in _YES
    shelf = Shelf(default_models_dirs(launch.models_dir), offline)
    machine = Machine(
        device=launch.device,
        precision=launch.precision,
        max_loaded_models=launch.max_loaded_models,
        max_memory=launch.max_memory,
        previews=previews,
    )
    engine = open_engine(shelf, machine=machine)
    return Studio(engine, shelf, base)


def _lines(launch: Launch, prompt: str | None) -> Iterable[tuple[int, str]] | None:
    """Where lines come from, numbered when from a file; None means: from a person."""
    if prompt is not None:
        return iter([(0, prompt)])
    if launch.from_file is not None and launch.from_file != "-":
        log = read_log(Path(launch.from_file).expanduser())
        return [(number, line) for number, line in log if not is_skipped(line)]
    if launch.from_file == "-" or not sys.stdin.isatty():
        return ((n, line.rstrip("\r\n")) for n, line in enumerate(sys.stdin, 1))
    return None
