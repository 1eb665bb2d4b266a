"""Kills, stops or interrupts the program or its worker, or fills the disk, at random moments of a
batch, and checks that nothing finished is lost.

    python -m scripts.kill_rounds [ROUNDS] [--seed N] [--model NAME] [--forked]

Every round runs what is left of the batch. At a random moment of it the program or its worker is
killed, or Ctrl-C pressed, while the worker is running or while it is stopped, or the disk accepts
nothing more for a while. Each start saves in a random format, with a text beside the image.
Afterwards every image opens, and every log line has its image. A last run, undisturbed, completes
the batch: then every image has its line too, every text is whole, and every line of the batch has
been made exactly once. With --forked nothing is imported anew for each round; see `scripts.forked`.
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
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue

import psutil
from PIL import Image

from dream.core.errors import ALL_MADE, INTERRUPTED, SOME_FAILED
from dream.gallery import LOG_NAME, read_log
from dream.options.image_output import ENDINGS, FORMATS, PNG
from scripts.forked import ForkedProcess, fork_program, import_everything
from tests.gallery.checks import sound

ROOT = Path(__file__).resolve().parents[1]
FAULTS = ("program", "worker", "Ctrl-C", "Ctrl-C beside a stopped worker", "full disk")
INTERRUPT_TIMEOUT = 30.0
"""Seconds within which Ctrl-C ends the program, on a busy machine."""
TIMEOUT = 900.0
"""Seconds that a program may take to start, or to make an image."""
REPORT_EVERY = 25
"""Rounds between two lines about the progress."""


@dataclass
class Batch:
    """Lines with the seeds 1, 2, 3 … and the folder that their images are saved in."""

    folder: Path
    size: int
    options: Sequence[str] = ()
    first: int = 1
    forked: bool = False
    opened: set[str] = field(default_factory=set)
    """The names of the images that were opened once; they never change."""

    @property
    def outdir(self) -> Path:
        return self.folder / "pictures"

    def names(self) -> set[str]:
        """The names of the images on disk."""
        return {path.name for path in self.outdir.glob("*") if path.suffix in ENDINGS}

    def made(self) -> list[int]:
        """The seeds of the images on disk."""
        return sorted(int(name.split(".")[1]) for name in self.names())

    def rest(self) -> list[int]:
        """The seeds still to be made."""
        made = set(self.made())
        return [seed for seed in range(self.first, self.first + self.size) if seed not in made]

    def start(self, format: str = PNG) -> Program:
        """Start the program with the rest of the batch."""
        lines = self.folder / f"rest-from-{self.first}.txt"
        lines.write_text("".join(f"a red circle -S{seed}\n" for seed in self.rest()))
        saving = ["--outdir", str(self.outdir), "--format", format, "--metadata", "dream,a1111,txt"]
        arguments = ["--from_file", str(lines), *saving, *self.options]
        return Program(arguments, self.folder, self.forked)


class Program:
    """A running `dream`, its worker, and the images it has reported so far."""

    def __init__(self, arguments: list[str], folder: Path, forked: bool = False) -> None:
        outputs = [os.pipe(), os.pipe()]
        writers = [writer for _, writer in outputs]
        self._process: ForkedProcess | subprocess.Popen[bytes]
        if forked:
            self._process = fork_program(arguments, folder, *writers)
        else:
            path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dream", *arguments],
                cwd=folder,
                env=os.environ | {"PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=writers[0],
                stderr=writers[1],
            )
        self._reported: SimpleQueue[str | None] = SimpleQueue()
        self._errors: list[str] = []
        readers = (self._reported.put, self._errors.append)
        self._listeners = [
            threading.Thread(target=self._listen, args=(output, handle), daemon=True)
            for (output, _), handle in zip(outputs, readers, strict=True)
        ]
        for writer in writers:
            os.close(writer)
        for listener in self._listeners:
            listener.start()

    def _listen(self, output: int, handle: Callable[[str], None]) -> None:
        with os.fdopen(output, encoding="utf-8") as lines:
            for line in lines:
                handle(line)
        if handle == self._reported.put:
            self._reported.put(None)

    def await_images(self, count: int) -> bool:
        """Wait for so many more images; False if it ended before."""
        for _ in range(count):
            try:
                if self._reported.get(timeout=TIMEOUT) is None:
                    self._reported.put(None)
                    return False
            except Empty:
                raise AssertionError(f"no image within {TIMEOUT:.0f} s") from None
        return True

    def worker(self) -> psutil.Process | None:
        """The worker process, if there is one at the moment."""
        try:
            children = psutil.Process(self._process.pid).children()
        except psutil.NoSuchProcess:
            return None
        return children[0] if children else None

    def interrupt(self) -> None:
        """Press Ctrl-C: it ends at once, with the status that says so, and its worker with it."""
        worker = self.worker()
        self._process.send_signal(signal.SIGINT)
        status = self.wait(INTERRUPT_TIMEOUT)
        assert status in (INTERRUPTED, -signal.SIGINT, ALL_MADE), (
            f"status {status}: {self.stderr()}"
        )
        assert "Traceback" not in self.stderr(), self.stderr()
        _see_end(worker)

    def kill(self) -> None:
        """kill -9 of the program; its worker ends by itself."""
        worker = self.worker()
        self._process.kill()
        self.wait()
        _see_end(worker)

    def limit_files(self, size: int) -> None:
        """Refuse it all bytes of a file beyond this size, as a full disk refuses them; -1 is
        without limit."""
        if sys.platform == "linux":
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(self._process.pid)
                hard = process.rlimit(psutil.RLIMIT_FSIZE)[1]
                process.rlimit(psutil.RLIMIT_FSIZE, (size, hard))

    def wait(self, timeout: float = TIMEOUT * 10) -> int:
        """Its exit status."""
        status = self._process.wait(timeout)
        for listener in self._listeners:
            listener.join()
        return status

    def stderr(self) -> str:
        """What it printed to standard error."""
        return "".join(self._errors)


def _see_end(worker: psutil.Process | None) -> None:
    if worker is not None:
        _, alive = psutil.wait_procs([worker], timeout=30)
        assert not alive, "the worker lives on after its program"


@dataclass
class Findings:
    """The results of the rounds."""

    rounds: Counter[str] = field(default_factory=Counter)
    unlogged: int = 0
    """Images whose program died between the file and its line; the next start adds it."""
    images: int = 0

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} x {kind}" for kind, count in sorted(self.rounds.items()))
        return (
            f"{self.rounds.total()} faults ({kinds or 'none'}): "
            f"{self.images} images, each opens, each has one line, none lost, none twice; "
            f"{self.unlogged} were interrupted between an image and its line"
        )


def check_folder(batch: Batch) -> int:
    """Check what must hold at any moment; the number of images still without a line."""
    names = batch.names()
    for name in names - batch.opened:
        with Image.open(batch.outdir / name) as image:
            image.load()
    batch.opened = names
    log = batch.outdir / LOG_NAME
    lines = [line for _, line in read_log(log)] if log.exists() else []
    logged = Counter(Path(line.partition(": ")[0]).name for line in lines)
    assert set(logged) <= names, f"lines without an image: {set(logged) - names}"
    assert all(count == 1 for count in logged.values()), f"logged twice: {logged}"
    return len(names - set(logged))


def run_round(batch: Batch, dice: random.Random) -> str:
    """Start the rest, wait for a random moment, cause a fault; which one, or "" if the program
    ended before."""
    program = batch.start(dice.choice(list(FORMATS)))
    fault = dice.choice(FAULTS)
    running = program.await_images(dice.choice([0, 1, 1, 2]))
    time.sleep(dice.uniform(0, 1.5))
    if fault == "worker" and running and (worker := program.worker()) is not None:
        worker.kill()
        if program.await_images(1):  # made by another worker
            time.sleep(dice.uniform(0, 0.5))
            program.kill()
        else:
            assert program.wait() == ALL_MADE, program.stderr()
    elif running and fault in ("Ctrl-C", "Ctrl-C beside a stopped worker"):
        if fault != "Ctrl-C" and (worker := program.worker()) is not None:
            with suppress(psutil.NoSuchProcess):
                worker.suspend()
        program.interrupt()
    elif running and fault == "full disk":
        program.limit_files(dice.choice([0, 100, 5000]))
        if dice.random() < 0.5:
            time.sleep(dice.uniform(0, 1.5))
            program.limit_files(-1)
        status = program.wait()
        assert status in (ALL_MADE, SOME_FAILED), f"status {status}: {program.stderr()}"
        assert "Traceback" not in program.stderr(), program.stderr()
    else:
        fault = "program"
        program.kill()
    return fault if running else ""


def run_rounds(batch: Batch, count: int, dice: random.Random) -> Findings:
    """Run so many rounds, then the rest undisturbed. AssertionError says what does not hold."""
    findings = Findings()
    while findings.rounds.total() < count:
        fault = run_round(batch, dice)
        findings.unlogged += check_folder(batch)
        if fault:
            findings.rounds[fault] += 1
            if not findings.rounds.total() % REPORT_EVERY:
                count_now = f"{findings.rounds.total()} rounds, {len(batch.opened)} images"
                print(f"{time.strftime('%H:%M:%S')} {count_now}", flush=True)
        if not batch.rest():
            batch.first += batch.size  # all made already: the next lines, in the same folder
    last = batch.start()
    assert last.wait() == ALL_MADE, last.stderr()
    sound(batch.outdir)
    findings.images = len(batch.made())
    assert batch.made() == list(range(1, batch.first + batch.size)), "not each line exactly once"
    return findings


def main() -> None:
    """Run the rounds and print the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("rounds", nargs="?", type=int, default=30)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randint(0, 9999))
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--forked", action="store_true")
    arguments = parser.parse_args()
    # A shell has its background jobs ignore Ctrl-C, and their children would too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    print(f"{arguments.rounds} rounds with seed {arguments.seed} …", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        if arguments.forked:
            import_everything(arguments.model, Path(folder) / "first")
        options = ["--model", arguments.model]
        batch = Batch(Path(folder), size=12, options=options, forked=arguments.forked)
        if arguments.forked:  # images take as little time as the rest
            batch.size, batch.options = 40, [*options, "-s2", "-W64", "-H64"]
        print(run_rounds(batch, arguments.rounds, random.Random(arguments.seed)))


if __name__ == "__main__":
    main()
