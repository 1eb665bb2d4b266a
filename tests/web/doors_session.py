"""A session with the fake engine behind --web, for tests to run: FOLDER beside|alone PAUSE."""

from __future__ import annotations

import sys
from pathlib import Path

from dream.core.cli_options import CliOptions
from dream.core.plain_text import print_text
from dream.terminal.prompt import run_prompt
from dream.web.access import WebOptions
from dream.web.alone import serve_alone
from dream.web.web_server import serve
from tests.fakes import fake_session
from tests.web.serving import ANY_PORT, PreviewingEngine

if __name__ == "__main__":
    folder, how, pause = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    session, options = fake_session(folder, PreviewingEngine(pause=pause)), WebOptions(ANY_PORT)
    if how == "alone":
        with session:
            sys.exit(serve_alone(session, options, lambda text: print_text(text, sys.stderr)))
    opened, no_preview = (lambda: session), CliOptions(preview="off")
    sys.exit(run_prompt(opened, session.outdir, no_preview, lambda runner: serve(runner, options)))
