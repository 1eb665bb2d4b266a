"""Parses log lines of every version of InvokeAI and dream.

A line is a log line if it starts with an image's path and a colon, followed by what only a log has
there: a prompt in quotes, the web page's JSON, a !command, or, as InvokeAI 2.1 to 2.3 wrote it, a
prompt without quotes and a later -S. So `a.png: the movie` is a prompt, and
`a.png: the movie -S42` a logged line; in quotes it would be a prompt again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dream.line.words import FIX, quote, quote_separate_value, quote_value, split_line

_PREFIX = re.compile(
    r"\ufeff?\s*(?:(?:\([^()]*\)\s*)?(?:dream|invoke)>(?:\s+|\Z))*(?:\[\d+(?:\.\d+)?\]\s+)?"
)
"""`dream> `, `invoke> `, `(model) invoke> ` and `[12] `: what is on the screen before a line or
path, and may be copied with it."""
_DREAM = re.compile(r"!dream(?:\s+|\Z)")
_PATH_END = re.compile(r"\.(?:png|jpe?g|webp|avif):\s+", re.IGNORECASE)
_SEED = re.compile(r"\s(?:-S|--seed)")
_FACT = re.compile(r"(?<!\S)([A-Za-z_]\w*)[:=](\S+)")

_GRID_NOTE = "seeds for individual rows: ["
"""What version 1.0 wrote below a grid's line."""

_WEB_KEYS = {
    "iterations": "iterations",
    "steps": "steps",
    "cfgscale": "cfg_scale",
    "cfg_scale": "cfg_scale",
    "sampler": "sampler",
    "sampler_name": "sampler",
    "width": "width",
    "height": "height",
    "seed": "seed",
    "initimg": "init_img",
    "variation_amount": "variation_amount",
    "with_variations": "with_variations",
}
"""The web page's keys and our switches. Its gfpgan_strength is not included: the page sent it with
every image, whether faces were restored or not."""


@dataclass(frozen=True)
class LogLine:
    """The parts of a log line."""

    path: str | None
    """The image's path as written; None for a line that is not from a log."""
    line: str
    """Prompt and switches, for `parse_line`."""
    comment: str
    """What follows ` # `, without it."""
    start: int
    """The index of `line` in the whole line; for the web page's JSON, which is translated, where
    the JSON begins."""


def is_skipped(line: str) -> bool:
    """Whether a line of a file has nothing to generate: it is blank, a comment (`#`, `//`), or
    something else of an old log: a grid's list of seeds, an image's link in Markdown."""
    text = line[behind_prefix(line) :].strip()
    return not text or text.startswith(("#", "//", "![](", _GRID_NOTE))


def parse_log_line(line: str) -> LogLine:
    """Split a line of any log, or any other line, into its parts. Raises nothing; errors in the
    switches are reported by `parse_line`."""
    path, start = split_path_prefix(line)
    if path and (translated := convert_web_log_line(line[start:])):
        return LogLine(path, translated, "", start)
    cut = split_line(line, start).comment
    return LogLine(path, line[start:cut].rstrip(), line[cut + 1 :].strip(), start)


def parse_facts(comment: str) -> Mapping[str, str]:
    """The `key:value` and `key=value` words of a log line's comment; other words are ignored."""
    return dict(_FACT.findall(comment))


def behind_prefix(line: str) -> int:
    """The index where a line begins, after a prefix of the screen such as `dream> ` or `[12] `."""
    match = _PREFIX.match(line)
    return match.end() if match else 0


def split_path_prefix(line: str) -> tuple[str | None, int]:
    """The path of a log line, None for other lines, and the index where the line itself begins."""
    begin = behind_prefix(line)
    if dream := _DREAM.match(line, begin):
        begin = dream.end() + behind_prefix(line[dream.end() :])
    numbered = line[:begin].rstrip().endswith("]")
    if line.startswith('"', begin) or FIX.match(line, begin):
        return None, begin
    seed = max((match.start() for match in _SEED.finditer(line, begin)), default=-1)
    for end in _PATH_END.finditer(line, begin):
        rest = end.end()
        if numbered or line.startswith(('"', "{", "!"), rest) or seed >= rest - 1:
            return line[begin : end.start()] + end[0].partition(":")[0], rest
    return None, begin


def convert_web_log_line(text: str) -> str | None:
    """The JSON of dream_web_log.txt as a line; None if the text is not such JSON."""
    if not text.startswith("{"):
        return None
    import json  # imported late: few lines need it

    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or not isinstance(values.get("prompt"), str):
        return None
    line = [quote(values["prompt"])]
    for key, name in _WEB_KEYS.items():
        value = "" if values.get(key) is None else str(values[key])
        # The page meant "any" by a seed of -1, not the last one.
        if value and not (key == "seed" and value.startswith("-")):
            line.append(f"--{name}={quote_value(value)}")
    if values.get("initimg"):  # the page always sent its strength
        line += (
            [f"--strength={quote_value(str(values['strength']))}"] if values.get("strength") else []
        )
        line += ["--fit"] if values.get("fit") == "on" else []
    if values.get("upscale_level"):
        factor = str(values["upscale_level"])
        strength = str(values.get("upscale_strength") or "")
        line += ["--upscale", *(quote_separate_value(word) for word in (factor, strength) if word)]
    if values.get("seamless"):
        line.append("--seamless")
    return " ".join(line)
