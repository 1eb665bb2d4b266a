"""The program or its worker killed, stopped or interrupted at random moments of a batch; nothing
finished is lost.

    python -m scripts.kill_rounds [ROUNDS] [--seed N] [--model NAME]

Every round runs what is left of the batch. At a random moment of it the program or its worker is
killed, or Ctrl-C pressed, while the worker is at work or while somebody stopped it. Afterwards
every PNG opens, and every log line has its PNG. A last run, undisturbed, completes the batch: then
every PNG has its line too, and every line of the batch has been made exactly once.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue

import psutil
from PIL import Image

from dream.core.errors import ALL_MADE, INTERRUPTED
from dream.gallery import LOG_NAME, read_log
from tests.gallery.checks import sound

ROOT = Path(__file__).resolve().parents[1]
VICTIMS = ("program", "worker", "Ctrl-C", "Ctrl-C beside a stopped worker")
ANSWER = 30.0
"""Seconds within which Ctrl-C ends the program, on a machine with much other work."""
PATIENCE = 180.0
"""Seconds that a program may take to start, or a picture to be made."""


@dataclass
class Batch:
    """Lines with the seeds 1, 2, 3 … and the folder that their pictures go into."""

    folder: Path
    size: int
    options: Sequence[str] = ()
    first: int = 1

    @property
    def outdir(self) -> Path:
        return self.folder / "pictures"

    def made(self) -> list[int]:
        """The seeds of the pictures on disk."""
        return sorted(int(path.name.split(".")[1]) for path in self.outdir.glob("*.png"))

    def rest(self) -> list[int]:
        """The seeds still to be made."""
        made = set(self.made())
        return [seed for seed in range(self.first, self.first + self.size) if seed not in made]

    def start(self) -> Program:
        """The program, at the rest of the batch."""
        lines = self.folder / f"rest-from-{self.first}.txt"
        lines.write_text("".join(f"a red circle -S{seed}\n" for seed in self.rest()))
        arguments = ["--from_file", str(lines), "--outdir", str(self.outdir), *self.options]
        return Program([sys.executable, "-m", "dream", *arguments], self.folder)


class Program:
    """A running `dream`, its worker, and the pictures it has told of so far."""

    def __init__(self, command: list[str], folder: Path) -> None:
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        handle, name = tempfile.mkstemp(".txt", "said-", folder)
        self._output = Path(name)
        with os.fdopen(handle, "wb") as errors:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=os.environ | {"PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._lines_read: SimpleQueue[str | None] = SimpleQueue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as told:
            for line in told:
                self._lines_read.put(line)
        self._lines_read.put(None)

    def await_pictures(self, count: int) -> bool:
        """Wait for so many more pictures; False when it ended before."""
        for _ in range(count):
            try:
                if self._lines_read.get(timeout=PATIENCE) is None:
                    self._lines_read.put(None)
                    return False
            except Empty:
                raise AssertionError(f"no picture within {PATIENCE:.0f} s") from None
        return True

    def worker(self) -> psutil.Process | None:
        """The worker process, if there is one at the moment."""
        try:
            children = psutil.Process(self._process.pid).children()
        except psutil.NoSuchProcess:
            return None
        return children[0] if children else None

    def interrupt(self) -> None:
        """Ctrl-C, and what must come of it: it ends at once, and says so by its status."""
        worker = self.worker()
        self._process.send_signal(signal.SIGINT)
        status = self._process.wait(ANSWER)
        self._listener.join()
        assert status in (INTERRUPTED, ALL_MADE), f"status {status}: {self.output()}"
        if worker is not None:
            _, alive = psutil.wait_procs([worker], timeout=30)
            assert not alive, "the worker lives on after its program"

    def kill(self) -> None:
        """kill -9 of the program; its worker is seen to end by itself."""
        worker = self.worker()
        self._process.kill()
        self.wait()
        if worker is not None:
            _, alive = psutil.wait_procs([worker], timeout=30)
            assert not alive, "the worker lives on after its program"

    def wait(self) -> int:
        """Its exit status."""
        status = self._process.wait(PATIENCE * 10)
        self._listener.join()
        return status

    def output(self) -> str:
        """What it wrote to standard error."""
        return self._output.read_text()


@dataclass
class Findings:
    """What the rounds showed."""

    rounds: Counter[str] = field(default_factory=Counter)
    unlogged: int = 0
    """Pictures whose program died between the file and its line; the next start adds it."""
    pictures: int = 0

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} x {kind}" for kind, count in sorted(self.rounds.items()))
        return (
            f"{self.rounds.total()} faults ({kinds or 'none'}): "
            f"{self.pictures} pictures, each opens, each has one line, none lost, none twice; "
            f"{self.unlogged} met between a picture and its line"
        )


def whole_so_far(outdir: Path) -> int:
    """Check what must hold at any moment; the number of pictures still without a line."""
    pictures = {path.name for path in outdir.glob("*.png")}
    for name in pictures:
        with Image.open(outdir / name) as image:
            image.load()
    log = outdir / LOG_NAME
    lines = [line for _, line in read_log(log)] if log.exists() else []
    logged = Counter(Path(line.partition(": ")[0]).name for line in lines)
    assert set(logged) <= pictures, f"lines without a PNG: {set(logged) - pictures}"
    assert all(count == 1 for count in logged.values()), f"logged twice: {logged}"
    return len(pictures - set(logged))


def kill_once(batch: Batch, dice: random.Random) -> str:
    """Start the rest, wait for a random moment, kill; who was killed, or "" if it was too quick."""
    program = batch.start()
    victim = dice.choice(VICTIMS)
    running = program.await_pictures(dice.choice([0, 1, 1, 2]))
    time.sleep(dice.uniform(0, 1.5))
    if victim == "worker" and running and (worker := program.worker()) is not None:
        worker.kill()
        if program.await_pictures(1):  # a fresh one carries on
            time.sleep(dice.uniform(0, 0.5))
            program.kill()
        else:
            assert program.wait() == 0, program.output()
    elif running and victim in ("Ctrl-C", "Ctrl-C beside a stopped worker"):
        if victim != "Ctrl-C" and (worker := program.worker()) is not None:
            with suppress(psutil.NoSuchProcess):
                worker.suspend()
        program.interrupt()
    else:
        victim = "program"
        program.kill()
    return victim if running else ""


def rounds(batch: Batch, count: int, dice: random.Random) -> Findings:
    """So many kills, then an undisturbed run. AssertionError says what does not hold."""
    findings = Findings()
    while findings.rounds.total() < count:
        victim = kill_once(batch, dice)
        findings.unlogged += whole_so_far(batch.outdir)
        if victim:
            findings.rounds[victim] += 1
        if not batch.rest():
            batch.first += batch.size  # all made already: the next lines, in the same folder
    last = batch.start()
    assert last.wait() == 0, last.output()
    sound(batch.outdir)
    findings.pictures = len(batch.made())
    assert batch.made() == list(range(1, batch.first + batch.size)), "not each line exactly once"
    return findings


def main() -> None:
    """Run the rounds and print what they showed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("rounds", nargs="?", type=int, default=30)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randint(0, 9999))
    parser.add_argument("--model", default="tiny")
    arguments = parser.parse_args()
    print(f"{arguments.rounds} rounds with seed {arguments.seed} …", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        batch = Batch(Path(folder), size=12, options=("--model", arguments.model))
        print(rounds(batch, arguments.rounds, random.Random(arguments.seed)))


if __name__ == "__main__":
    main()
