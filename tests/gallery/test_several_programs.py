"""Whole programs at a folder: two at once, one killed, one with no room left."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from dream.gallery import Gallery, read_record
from tests.gallery.checks import sound

HERE = Path(__file__).parents[2]

if sys.platform == "win32":
    pytest.skip("sends POSIX signals and sets POSIX limits", allow_module_level=True)


def writer(
    outdir: Path, commands: int, pictures: int, seed: int, limit: int | None = None
) -> subprocess.Popen[str]:
    """A program that keeps pictures as soon as it is told to; `limit` is its largest file."""
    import resource

    def starve() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    arguments = [str(outdir), str(commands), str(pictures), str(seed)]
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.gallery.writer", *arguments],
        cwd=HERE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=starve,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    return program


def go(program: subprocess.Popen[str]) -> None:
    assert program.stdin is not None
    program.stdin.write("go\n")
    program.stdin.flush()


def output_of(program: subprocess.Popen[str]) -> str:
    """What it said before it ended."""
    return program.communicate(timeout=60)[1]


def test_two_programs_at_once(tmp_path: Path) -> None:
    programs = [writer(tmp_path, 10, 2, seed) for seed in (1000, 2000)]
    for program in programs:
        go(program)
    assert [output_of(program) for program in programs] == ["", ""]
    pictures = [path for path in tmp_path.glob("*.png") if ".grid." not in path.name]
    assert len(pictures) == 40
    lines = [line for line in Gallery(tmp_path).log_path.read_text().splitlines() if line[0] != "#"]
    assert len(lines) == 40
    sound(tmp_path)
    by = {(path.name.partition(".")[0], read_record(path).facts["writer"]) for path in pictures}
    assert len(by) == 20
    assert set(Counter(number for number, _ in by).values()) == {1}, "a number for each command"
    assert Gallery(tmp_path).recover() == ()


@pytest.mark.parametrize("seed", range(4))
def test_killed_while_another_goes_on(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    victim, other = writer(tmp_path, 1000, 3, 1000), writer(tmp_path, 4, 3, 2_000_000)
    go(victim)
    go(other)
    time.sleep(dice.uniform(0.01, 0.25))
    victim.kill()
    Gallery(tmp_path).recover()  # as a third program would, at its start
    assert output_of(other) == ""
    output_of(victim)
    Gallery(tmp_path).recover()
    sound(tmp_path)
    seeds = [int(path.name.split(".")[1]) for path in tmp_path.glob("*.[0-9]*.png")]
    assert sorted(seed for seed in seeds if seed >= 2_000_000) == [*range(2_000_000, 2_000_012)]
    made = sorted(seed for seed in seeds if seed < 2_000_000)
    assert made == [*range(1000, 1000 + len(made))], "none between was lost"


@pytest.mark.parametrize("limit", [10, 4000, 8000])
def test_a_disk_without_room(tmp_path: Path, limit: int) -> None:
    """A picture of the writer takes about 7300 bytes; the log reaches 8000 after some."""
    program = writer(tmp_path / "out", 100, 3, 1000, limit)
    go(program)
    text = output_of(program)
    assert program.returncode == 1
    assert "the file would exceed the file size limit" in text
    assert text.count("\n") == 1
    gallery = Gallery(tmp_path / "out")
    pictures = {path.name for path in gallery.outdir.glob("*.png")}
    assert bool(pictures) == (limit == 8000)
    assert list(gallery.outdir.glob(".*")) == []
    assert len(gallery.recover()) == (1 if pictures else 0)
    sound(gallery.outdir)
