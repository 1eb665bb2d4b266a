"""Lines of all eras, mutated, and typed: each is read, judged and planned, or refused in one line.

    uv run python -m scripts.mutated_lines [COUNT] [SEED]

Prints how many were refused, and every line that ended in anything else, with its traceback. The
values of switches that name files are names that no file can have, or that are other things than
pictures. Nothing is rendered.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import traceback
from pathlib import Path

from dream.commands import is_queued
from dream.commands.command import Context
from dream.core.errors import DreamError
from dream.core.request import FLAGS, IMAGE_FILE_FIELDS
from dream.line import is_skipped, make_typable, read_leniently
from dream.session import Session, summarize_plan
from tests.fakes import fake_session
from tests.line.eras import LOGGED, TYPED, WRONG

_NOISE = '""\'\\\\-- -s=#{}[]:,!.5\t\n\x00\ud800é猫🐈 -U -o --no- .png: '
_SHOWN = 20


def names(folder: Path) -> list[str]:
    """What a file may be called, and what none can be."""
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("no picture")
    os.mkfifo(folder / "pipe.png")
    return [
        *("empty.png", "text.png", "pipe.png", ".", "/", "..", "/dev/null", "missing.png", "-1"),
        *("a" * 300 + ".png", "a/" * 3000, "~nosuchuser/x.png", "~", "x\x00y.png", "\ud800.png"),
        *(
            "file:///x.png",
            "http://x/y.png",
            "'",
            "''",
            "\\",
            "C:\\x.png",
            "\u2028",
            "-" * 9,
            "file://[",
        ),
    ]


def mutant(chance: random.Random, lines: list[str], files: list[str]) -> str:
    """One line, cut, doubled, shuffled, sprinkled; and often with a switch that names a file."""
    line = chance.choice(lines)
    for _ in range(chance.randrange(4)):
        a, b = sorted(chance.randrange(len(line) + 1) for _ in range(2))
        noise = "".join(chance.choices(_NOISE, k=chance.randrange(8)))
        words = line.split(" ")
        ways = [line[:a] + line[b:], line[:a] + noise + line[b:], line[:b] + line[a:]]
        ways += [line[:a] + chance.choice(lines)[a:], " ".join(chance.sample(words, len(words)))]
        line = chance.choice(ways)
    if chance.random() < 0.5:
        switch = chance.choice([name for field in IMAGE_FILE_FIELDS for name in FLAGS[field].names])
        file = chance.choice(files)
        line = chance.choice([f"{line} {switch} {file}", f'{line} {switch} "{file}"'])
        if chance.random() < 0.3:
            line = f"!fix {file} {line}"
    return line


def try_one(session: Session, line: str) -> bool:
    """Whether a line is refused. Raises whatever is a bug."""
    make_typable(line)
    read_leniently(line)
    is_queued(Context(session, tuple, ()), line)
    if is_skipped(line):
        return False
    try:
        summarize_plan(session, line)
    except DreamError as error:
        str(error)
        return True
    return False


def main() -> int:
    """The exit status: 0 where nothing but refusals was met."""
    count, seed = (*map(int, sys.argv[1:3]), *(100_000, 42)[len(sys.argv) - 1 :])
    chance = random.Random(seed)
    lines = [case.line for case in (*LOGGED, *TYPED, *WRONG)]
    refused = faults = 0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        session = fake_session(Path(folder))
        files = names(Path(folder))
        for _ in range(count):
            line = mutant(chance, lines, files)
            try:
                refused += try_one(session, line)
            except Exception:
                faults += 1
                if faults <= _SHOWN:
                    print(ascii(line), traceback.format_exc(), sep="\n")
        os.chdir("/")
    print(f"{count:,} lines, seed {seed}: {refused:,} refused, {faults} tracebacks")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
