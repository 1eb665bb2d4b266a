"""Lines as logs hold them, from every era.

A line counts as logged when a picture's path and a colon stand before it, and after them what
only a log has there: a prompt in quotes, the web page's JSON, a !command, or, as InvokeAI 2.1 to
2.3 wrote it, a prompt without quotes and somewhere its -S. So `a.png: the movie` is a prompt, and
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
"""`dream> `, `invoke> `, `(model) invoke> ` and `[12] `, which stood on the screen before the line
or the path, and are copied with it."""
_DREAM = re.compile(r"!dream(?:\s+|\Z)")
_PATH_END = re.compile(r"\.(?:png|jpe?g|webp):\s+", re.IGNORECASE)
_SEED = re.compile(r"\s(?:-S|--seed)")
_FACT = re.compile(r"(?<!\S)([A-Za-z_]\w*)[:=](\S+)")

_GRID_NOTE = "seeds for individual rows: ["
"""What version 1.0 wrote below the line of a grid."""

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
"""The web page's keys and our switches. Its gfpgan_strength is not among them: the page sent it
with every picture, whether faces were restored or not."""


@dataclass(frozen=True)
class LogLine:
    """A line without what a log puts around it."""

    path: str | None
    """The picture's path as written; None for a line that was not logged."""
    line: str
    """Prompt and switches, ready for `read`."""
    comment: str
    """What follows ` # `, without it."""
    start: int
    """Where `line` was found in the whole line. The web page's JSON is translated: there it is
    where the JSON begins."""


def is_skipped(line: str) -> bool:
    """Whether a line of a file says nothing to paint: it is blank, or a comment (`#`, `//`), or
    what old logs hold besides lines: a grid's list of seeds, a picture's link in Markdown."""
    text = line[behind_prefix(line) :].strip()
    return not text or text.startswith(("#", "//", "![](", _GRID_NOTE))


def parse_log_line(line: str) -> LogLine:
    """Take a line of any log, or of none, apart. Nothing is raised: a `!fix` line, too, is its
    path and its rest, and what is wrong with the rest is for `read` to say."""
    path, start = split_path_prefix(line)
    if path and (translated := convert_web_log_line(line[start:])):
        return LogLine(path, translated, "", start)
    cut = split_line(line, start).comment
    return LogLine(path, line[start:cut].rstrip(), line[cut + 1 :].strip(), start)


def parse_facts(comment: str) -> Mapping[str, str]:
    """The `key:value` and `key=value` words of a log line's comment; all other words are left."""
    return dict(_FACT.findall(comment))


def behind_prefix(line: str) -> int:
    """Where a line begins behind what stood before it on a screen: `dream> `, `[12] `."""
    found = _PREFIX.match(line)
    return found.end() if found else 0


def split_path_prefix(line: str) -> tuple[str | None, int]:
    """The path before a logged line, if it is one, and where the line itself begins."""
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
    """The JSON of dream_web_log.txt as the line one would type; None if it is something else."""
    if not text.startswith("{"):
        return None
    import json  # few lines need it, and every start would wait for it

    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict) or not isinstance(said.get("prompt"), str):
        return None
    line = [quote(said["prompt"])]
    for key, name in _WEB_KEYS.items():
        value = "" if said.get(key) is None else str(said[key])
        # The page meant "any" by a seed of -1, not the last one.
        if value and not (key == "seed" and value.startswith("-")):
            line.append(f"--{name}={quote_value(value)}")
    if said.get("initimg"):  # else the page sent its strength all the same
        line += [f"--strength={quote_value(str(said['strength']))}"] if said.get("strength") else []
        line += ["--fit"] if said.get("fit") == "on" else []
    if said.get("upscale_level"):
        factor = str(said["upscale_level"])
        strength = str(said.get("upscale_strength") or "")
        line += ["--upscale", *(quote_separate_value(word) for word in (factor, strength) if word)]
    if said.get("seamless"):
        line.append("--seamless")
    return " ".join(line)
