"""The page's own words are there in English and in Chinese."""

from __future__ import annotations

import re
from pathlib import Path

import dream.web
from dream.core.stages import STAGES

STATIC = Path(dream.web.__file__).parent / "static"


def read_strings() -> dict[str, set[str]]:
    """The keys of the page's own words, by language."""
    text = (STATIC / "strings.js").read_text()
    table = text[text.index("const STRINGS") : text.index("const KEY")]
    english, chinese = table.split("  zh: {")
    return {
        language: {
            first or second for first, second in re.findall(r'(?:"([\w-]+)"|(\w+)): "', part)
        }
        for language, part in (("en", english), ("zh", chinese))
    }


def test_all_that_the_page_says_of_its_own_is_there_in_both_languages() -> None:
    keys = read_strings()
    assert keys["en"] <= keys["zh"]
    assert all(key.startswith("stage-") for key in keys["zh"] - keys["en"])
    scripts = "".join(file.read_text() for file in STATIC.glob("*.js"))
    used = set(re.findall(r'\bt\("([\w-]+)"', scripts))
    used |= set(re.findall(r'data-t="([\w-]+)"', (STATIC / "index.html").read_text()))
    assert len(used) > 60 and used <= keys["en"]
    unused = {key for key in keys["en"] if f'"{key}"' not in scripts and key not in scripts} - used
    assert unused == set()


def test_every_stage_has_a_chinese_name() -> None:
    names = {f"stage-{stage.name}" for stage in STAGES}
    assert names <= read_strings()["zh"]
