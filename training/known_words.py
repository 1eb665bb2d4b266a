"""The words of all captions, in groups, as card.toml lists them for users."""

import re
from collections.abc import Iterable
from itertools import chain

from training.free_captions import ADJECTIVES, COUNTS, COUNTS_ZH
from training.nouns import NOUNS, pluralize
from training.palette import NAMES
from training.settings import SETTINGS
from training.vocabulary import (
    COLOUR_ZH,
    COUNT_ZH,
    LAND_EN,
    LAND_ZH,
    OPENINGS_EN,
    ORNAMENTS_EN,
    ORNAMENTS_ZH,
    PATTERN_ZH,
    PLACE_ZH,
    SIZE_EN,
    SIZE_ZH,
    SKY_EN,
    SKY_ZH,
    STYLE_EN,
    STYLE_ZH,
)

_ARTICLE = re.compile(r"\b(?:an?|the) (?!pair )")
_PLACES = (
    *("left", "right", "top", "bottom", "center", "middle", "corner"),
    *("above", "below", "over", "under", "next to", "beside", "left of", "right of"),
    *("inside", "around", "between", "in front of", "behind", "on top of", "sitting on"),
)
_PATTERNS = ("striped", "dots", "spots", "half")
_PLACES_ZH = (
    "上面",
    "下面",
    "上方",
    "左边",
    "右边",
    "旁边",
    "里面",
    "前面",
    "后面",
    "中间",
    "之间",
    "顶上",
)
_PATTERNS_ZH = ("条纹", "相间", "圆点", "斑点", "一半")
_BACKGROUNDS = ("background", "plain", "gradient", "striped", "checkered", "dotted")
_BACKGROUNDS_ZH = ("背景", "渐变")


def vocabulary() -> dict[str, tuple[str, ...]]:
    """Group → its words and phrases, each once."""
    return {
        "things": _each((noun.english for noun in NOUNS.values()), [_irregular_plurals()]),
        "colours": NAMES,
        "sizes and counts": _each(SIZE_EN.values(), COUNTS.values()),
        "places": _PLACES,
        "patterns": _PATTERNS,
        "backgrounds": _BACKGROUNDS,
        "landscapes": _each(SKY_EN.values(), LAND_EN.values()),
        "surroundings": tuple(chain.from_iterable(s.english for s in SETTINGS.values())),
        "styles": _bare(STYLE_EN.values()),
        "read without effect": _each(
            [ORNAMENTS_EN], [ADJECTIVES], [(o.strip() for o in OPENINGS_EN)]
        ),
        "things in Chinese": _each(noun.chinese for noun in NOUNS.values()),
        "colours in Chinese": _each(COLOUR_ZH.values()),
        "sizes, counts and places in Chinese": _each(
            SIZE_ZH.values(), COUNT_ZH.values(), COUNTS_ZH.values(), PLACE_ZH.values(), [_PLACES_ZH]
        ),
        "patterns in Chinese": _PATTERNS_ZH,
        "backgrounds in Chinese": _each([_BACKGROUNDS_ZH], PATTERN_ZH.values()),
        "landscapes in Chinese": _each(SKY_ZH.values(), LAND_ZH.values()),
        "surroundings in Chinese": tuple(chain.from_iterable(s.chinese for s in SETTINGS.values())),
        "styles in Chinese": _bare(STYLE_ZH.values()),
        "read without effect, in Chinese": _each([ORNAMENTS_ZH]),
    }


def _irregular_plurals() -> list[str]:
    """Those that are not their singular with an s: a reader of the list finds the others itself."""
    names = chain.from_iterable(noun.english for noun in NOUNS.values())
    return [plural for name in names if (plural := pluralize(name)) not in (name, name + "s")]


def _each(*rows: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """The phrases without their articles."""
    phrases = chain.from_iterable(chain.from_iterable(rows))
    return tuple(dict.fromkeys(_ARTICLE.sub("", phrase) for phrase in phrases))


def _bare(rows: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """The words before and after the subject in a pattern such as `{}, watercolor`."""
    patterns = chain.from_iterable(rows)
    around = chain.from_iterable(pattern.split("{}") for pattern in patterns)
    return _each([(words for part in around if (words := part.strip(" ,，：")))])
