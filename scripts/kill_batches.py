"""Kills the program or one of its workers at random moments of a planned batch, and resumes it.

    python -m scripts.kill_batches [ROUNDS] [--seed N] [--workers WHICH] [--lines N] [--model NAME]

Each round runs a batch on several workers, as `dream --from_file LINES --workers WHICH`. At random
moments the program or a worker is killed with SIGKILL; a program that was killed is continued by
`dream --resume`. With `--workers ray:N`, workers are Ray's actors or their processes; with
`--workers nodes` they run on a cluster of two nodes, one of which is killed too. At the end each
image is in the log exactly once, in the order of the lines, with numbers in that order, and every
PNG opens.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from dream.gallery import LOG_NAME, read_log
from dream.line import parse_log_line
from dream.session.batch_plan import list_plans
from scripts.ray_nodes import RayNodes, list_actors
from tests.gallery.checks import sound

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT = 1800.0
"""Seconds that a batch may take on a busy machine."""


class Round:
    """One batch, from its plan to its last image."""

    def __init__(
        self,
        folder: Path,
        lines: int,
        workers: str,
        options: Sequence[str],
        nodes: RayNodes | None = None,
    ) -> None:
        self.folder, self.lines, self._nodes = folder, lines, nodes
        workers = f"ray:{nodes.address}" if nodes else workers
        self._over_ray = workers.startswith("ray")
        self.outdir = folder / "pictures"
        self._file = folder / "lines.txt"
        texts = [f"a red circle -S{seed} -s2" for seed in range(1, lines + 1)]
        texts[lines // 2] = f"a red circle on -I -1 -f0.5 -S{lines // 2 + 1} -s2"
        self._file.write_text("".join(f"{text}\n" for text in texts))
        self._options = ["--workers", workers, "--outdir", str(self.outdir), *options]
        self.killed: list[str] = []

    def run(self, dice: random.Random, kills: int) -> None:
        """Run until the batch is complete; that many kills at most, each after some images."""
        arguments = ["--from_file", str(self._file)]
        deadline = time.monotonic() + TIMEOUT
        while True:
            process = self._start(arguments)
            after = self._count() + dice.randint(1, max(1, self.lines // 2))
            while process.poll() is None:
                time.sleep(0.05)
                assert time.monotonic() < deadline, "the batch does not end"
                if kills and self._count() >= after:
                    kills -= 1
                    self._kill(process, dice)
                    after = self._count() + dice.randint(1, max(1, self.lines // 2))
            if process.returncode == 0:
                return
            assert process.returncode == -9, f"exit status {process.returncode}: {self._errors()}"
            if not list_plans(self.outdir):
                assert self._count() == self.lines, "killed behind the last image"
                return
            arguments = ["--resume"]

    def _start(self, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        with (self.folder / "errors.txt").open("ab") as errors:
            return subprocess.Popen(
                [sys.executable, "-m", "dream", *arguments, *self._options],
                cwd=self.folder,
                env=os.environ | {"PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )

    def _errors(self) -> str:
        return (self.folder / "errors.txt").read_text(errors="replace")[-2000:]

    def _kill(self, process: subprocess.Popen[bytes], dice: random.Random) -> None:
        with suppress(psutil.NoSuchProcess):
            workers = self._list_workers(process)
            victims = ["program", *(["worker"] if workers else []), *(["node"] * bool(self._nodes))]
            victim = dice.choice(victims)
            self.killed.append(victim)
            if victim == "program":
                process.kill()
                process.wait()
            elif victim == "node" and self._nodes:
                self._nodes.kill_node()
            else:
                dice.choice(workers).kill()

    def _list_workers(self, process: subprocess.Popen[bytes]) -> list[psutil.Process]:
        if not self._over_ray:
            return psutil.Process(process.pid).children()
        actors = list_actors(os.getpid() if self._nodes else process.pid)
        return [one for actor in actors for one in [actor, *actor.children()]]

    def _log(self) -> list[str]:
        log = self.outdir / LOG_NAME
        return [line for _, line in read_log(log)] if log.exists() else []

    def _count(self) -> int:
        return len(self._log())

    def check(self) -> None:
        """Each image once, in order, and whole."""
        logged = [parse_log_line(line) for line in self._log()]
        seeds = [int(one.line.partition(" -S")[2].partition(" ")[0]) for one in logged]
        assert seeds == list(range(1, self.lines + 1)), f"the log has {seeds}: {self._errors()}"
        numbers = [int(Path(one.path or "").name.partition(".")[0]) for one in logged]
        assert numbers == sorted({*numbers}), f"the numbers are {numbers}"
        sound(self.outdir)
        assert not list_plans(self.outdir), "the plan is still there"


def main() -> int:
    """Run the rounds; 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("rounds", nargs="?", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", default="cpu:2")
    parser.add_argument("--lines", type=int, default=8)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--model", default="tiny")
    chosen = parser.parse_args()
    nodes = RayNodes() if chosen.workers == "nodes" else None
    try:
        return run_rounds(chosen, nodes)
    finally:
        if nodes:
            nodes.close()


def run_rounds(chosen: argparse.Namespace, nodes: RayNodes | None) -> int:
    """Run them, and say what was killed; 1 if one of them failed."""
    dice = random.Random(chosen.seed)
    killed: list[str] = []
    for number in range(1, chosen.rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            options = ["--model", chosen.model, "-W64", "-H64"]
            batch = Round(Path(folder), chosen.lines, chosen.workers, options, nodes)
            began = time.monotonic()
            try:
                batch.run(dice, chosen.kills)
                batch.check()
            except AssertionError as error:
                print(f"round {number}: {error}")
                return 1
            killed += batch.killed
            seconds = time.monotonic() - began
            print(f"round {number}: {batch.killed} in {seconds:.0f} s", flush=True)
    counts = {victim: killed.count(victim) for victim in sorted({*killed})}
    print(f"{chosen.rounds} rounds: nothing lost, nothing twice, in order; killed {counts}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
