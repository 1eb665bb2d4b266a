"""CPU time to parse prompts of 10,000 characters, in each syntax: `python -m benchmarks.prompts`.

The goal is 5 ms for each. Prints the best of some rounds, in the time of this thread.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from dream.options.syntax_table import A1111, INVOKEAI
from dream.prompt import PromptError, expand_templates, parse_prompt
from dream.session.templates import find_nothing

LENGTH = 10_000
GOAL = 5.0


def make_prompts() -> Iterator[tuple[str, str]]:
    """Names and texts: as people write them, denser, and nonsense."""
    rng = random.Random(0)
    written = "(masterpiece:1.2), cat++, a red circle on blue, (best quality)1.1, "
    yield "as written", written
    yield "weights", "(red)1.3 cat++ "
    yield "weights of A1111", "(red:1.3), "
    yield "signs", "a+ b- "
    yield "escapes", r"\(a\) "
    yield "schedules", "[a:b:0.5] "
    yield "networks", "<lora:a:1> b "
    yield "200 brackets deep", "(" * 200 + "a " * 4800 + ")" * 200
    yield "open brackets", "("
    yield "nonsense", "".join(rng.choice('()[]{}:+-."\\ ,ab1') for _ in range(LENGTH))


def measure(work: Callable[[], object], rounds: int) -> float:
    """Milliseconds of CPU time, the best of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        parse_prompt.cache_clear()
        began = time.thread_time()
        with suppress(PromptError):
            work()
        best = min(best, time.thread_time() - began)
    return best * 1000


def main() -> None:
    """Measure, and print a row for each prompt."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    print(f"{'ms of CPU time, best of ' + str(rounds):32}{INVOKEAI:>10}{A1111:>10}{'template':>10}")
    for name, pattern in make_prompts():
        text = (pattern * (LENGTH // len(pattern) + 1))[:LENGTH]
        row = [
            measure(lambda: parse_prompt(text, "", INVOKEAI), rounds),  # noqa: B023 - run at once
            measure(lambda: parse_prompt(text, "", A1111), rounds),  # noqa: B023
            measure(lambda: expand_templates([text], 0, find_nothing), rounds),  # noqa: B023
        ]
        marks = "".join(f"{ms:9.2f}{'!' if ms > GOAL else ' '}" for ms in row)
        print(f"{name:32}{marks}")


if __name__ == "__main__":
    main()
