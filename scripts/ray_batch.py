"""Renders a batch over Ray's actors while they are killed, and compares its log with that of one
worker: every line once, in order, and the same pixels.

    python -m scripts.ray_batch [--lines 500] [--every 20] [--workers 2] [--steps 4]
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scripts.ray_nodes import list_actors

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Run both batches; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--lines", type=int, default=500)
    parser.add_argument("--every", type=float, default=20, help="seconds between two kills")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--steps", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ray-batch-") as folder:
        lines = Path(folder) / "lines.txt"
        lines.write_text(
            "".join(
                f"a {('red', 'green', 'blue')[n % 3]} circle -S{1000 + n} -s{options.steps}\n"
                for n in range(options.lines)
            )
        )
        alone, _ = render(folder, "alone", options, [])
        together, kills = render(folder, "ray", options, ["--workers", f"ray:{options.workers}"])
    print(f"{options.lines} lines, {len(kills)} actors killed")
    if alone == together:
        print("the logs are equal")
        return 0
    for here, there in zip(alone, together, strict=False):
        if here != there:
            print(f"one worker: {here}\nRay:        {there}")
            break
    print(f"the logs differ: {len(alone)} and {len(together)} lines")
    return 1


def render(
    folder: str, name: str, options: argparse.Namespace, more: list[str]
) -> tuple[list[str], list[float]]:
    """The log of the batch, without folders and times, and when actors were killed."""
    outdir = Path(folder) / name
    cores = len(os.sched_getaffinity(0))
    begun = time.monotonic()
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "dream", "--from_file", f"{folder}/lines.txt"),
            *("-o", str(outdir), "--threads", str(max(1, cores // options.workers)), *more),
        ],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    ) as program:
        kills: list[float] = []
        last = done = 0.0  # the first one after the first image
        while program.poll() is None:
            time.sleep(0.2)
            if not more or (images := len(read_log(outdir))) < done + options.workers:
                continue  # otherwise a busy machine kills one image three times
            last = last or time.monotonic()
            if time.monotonic() - last >= options.every:
                kills += [time.monotonic() - begun] * kill_actor(program.pid, len(kills))
                last, done = time.monotonic(), images
    took = time.monotonic() - begun
    print(f"{name}: exit status {program.returncode} after {took:.0f} s, {len(kills)} kills")
    return read_log(outdir), kills


def kill_actor(driver: int, turn: int) -> bool:
    """Kill one actor of a driver, or its worker process, in turn; whether there was one."""
    found = list_actors(driver)
    if not found:
        return False
    actor = found[turn % len(found)]
    victims = [actor, *actor.children()]
    victims[turn // len(found) % len(victims)].send_signal(signal.SIGKILL)
    return True


def read_log(outdir: Path) -> list[str]:
    """The lines of a log: file name, line, and the SHA-256 of the pixels."""
    try:
        text = (outdir / "dream_log.txt").read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [line.replace(f"{outdir}/", "") for line in text.splitlines()]


if __name__ == "__main__":
    sys.exit(main())
