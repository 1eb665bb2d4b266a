"""The words of all captions, in groups, as card.toml lists them for users."""

import re
from collections.abc import Iterable
from itertools import chain

from training.palette import NAMES
from training.vocabulary import (
    COLOUR_ZH,
    COUNT_EN,
    COUNT_ZH,
    KIND_ZH,
    LAND_EN,
    LAND_ZH,
    OPENINGS_EN,
    ORNAMENTS_EN,
    ORNAMENTS_ZH,
    PATTERN_ZH,
    PLACE_ZH,
    PLURAL_EN,
    SIZE_EN,
    SIZE_ZH,
    SKY_EN,
    SKY_ZH,
    STYLE_EN,
    STYLE_ZH,
    SYNONYMS_EN,
)

_ARTICLE = re.compile(r"\b(?:an?|the) (?!pair )")
_PLACES = (
    *("left", "right", "top", "bottom", "center", "middle", "corner"),
    *("above", "below", "over", "next to", "in front of", "left of", "right of"),
)
_BACKGROUNDS = ("background", "plain", "gradient", "striped", "checkered", "dotted")
_BACKGROUNDS_ZH = ("背景", "渐变")


def vocabulary() -> dict[str, tuple[str, ...]]:
    """Group → its words and phrases, each once."""
    return {
        "things": _each(SYNONYMS_EN.values(), [PLURAL_EN.values()]),
        "colours": NAMES,
        "sizes and counts": _each(SIZE_EN.values(), COUNT_EN.values()),
        "places": _PLACES,
        "backgrounds": _BACKGROUNDS,
        "landscapes": _each(SKY_EN.values(), LAND_EN.values()),
        "styles": _bare(STYLE_EN.values()),
        "read without effect": _each([ORNAMENTS_EN], [(o.strip() for o in OPENINGS_EN)]),
        "things in Chinese": _each(KIND_ZH.values()),
        "colours in Chinese": _each(COLOUR_ZH.values()),
        "sizes, counts and places in Chinese": _each(
            SIZE_ZH.values(), COUNT_ZH.values(), PLACE_ZH.values()
        ),
        "backgrounds in Chinese": _each([_BACKGROUNDS_ZH], PATTERN_ZH.values()),
        "landscapes in Chinese": _each(SKY_ZH.values(), LAND_ZH.values()),
        "styles in Chinese": _bare(STYLE_ZH.values()),
        "read without effect, in Chinese": _each([ORNAMENTS_ZH]),
    }


def _each(*rows: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """The phrases without their articles."""
    phrases = chain.from_iterable(chain.from_iterable(rows))
    return tuple(dict.fromkeys(_ARTICLE.sub("", phrase) for phrase in phrases))


def _bare(rows: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """The words before and after the subject in a pattern such as `{}, watercolor`."""
    patterns = chain.from_iterable(rows)
    around = chain.from_iterable(pattern.split("{}") for pattern in patterns)
    return _each([(words for part in around if (words := part.strip(" ,，：")))])
