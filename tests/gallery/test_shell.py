"""A log line that is given to a shell by mistake runs nothing that stands in it."""

from __future__ import annotations

import shutil
import subprocess
from itertools import product
from pathlib import Path

import pytest

from dream.core.request import Request
from dream.gallery import format_file_name
from dream.gallery.log import format_log_line, format_path
from dream.line import format_line, parse_line

RUNS = (
    "$(touch pwned)",
    "\\$(touch pwned)",
    "\\\\$(touch pwned)",
    "`touch pwned`",
    "\\`touch pwned`",
    '"; touch pwned #',
    '\\"; touch pwned #',
    "'; touch pwned #",
    ";touch${IFS}pwned",
    "& touch pwned #",
    "x;touch pwned;",
    "| touch pwned",
    "> pwned",
    "<(touch pwned)",
    "${x:-$(touch pwned)}",
    "$((a[$(touch pwned)]))",
    "$[a[$(touch pwned)]]",
    "it's",
)
"""What a stranger may put into a prompt. The last one begins a quote that another one ends."""


def lines(first: str, second: str) -> list[str]:
    """Log lines with these words wherever words can be; each is read back as it was meant."""
    some = Request(prompt=first, negative=second, model=first, init_img=second, outdir=first)
    others = (
        Request(prompt=second, model=first, fnformat=second, seed=1),
        Request(fix=first, outdir=second),
    )
    for request in (some, *others):
        assert parse_line(format_line(request)) == request
    values = {"prompt": first, "negative": second}
    name = format_file_name("{prompt}-{negative}.png", prefix="000001", seed=1, fields=values).text
    places = (Path("out") / name, Path(first.replace("/", "_")) / "000001.1.png")
    return [
        format_log_line(
            format_path(place), format_line(request), "0" * 64, {"weights": "ab", "init_img": "cd"}
        )
        for place in places
        for request in (some, *others)
    ]


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_nothing_runs(tmp_path: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    # Each line in a shell of its own, for a syntax error ends one; all of them from one.
    count = 0
    for first, second in product(RUNS, RUNS):
        if RUNS.index(second) not in (0, 7, (RUNS.index(first) + 3) % len(RUNS)):
            continue
        for line in lines(first, second):
            (tmp_path / f"{count:05}.txt").write_text(f"{line}\n", "utf-8")
            count += 1
    inside = tmp_path / "inside"
    inside.mkdir()
    subprocess.run(
        [shell, "-c", f'for file in ../*.txt; do {shell} "$file"; done; touch ran'],
        cwd=inside,
        capture_output=True,
        check=True,
    )
    assert [path.name for path in inside.iterdir()] == ["ran"], count
