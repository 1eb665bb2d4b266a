"""Captions of arrangements in freer words, in English and Chinese.

Now and then a caption leaves a word out, adds one that no picture depends on, or calls an object by
a noun that the model never learns: so that such words cost nothing but themselves.
"""

from __future__ import annotations

import random

from training.arrangements import Arrangement, Item
from training.nouns import NOUNS, pluralize
from training.settings import SETTINGS
from training.vocabulary import COLOUR_ZH, SIZE_EN, SIZE_ZH, STYLE_EN, STYLE_ZH

LEFT_OUT = 0.08
"""How often a colour is left out."""
NO_BACKGROUND = 0.15
"""How often the background is."""
ARTICLES = ("the", "my", "one", "")
"""Now and then, instead of “a”."""
ADJECTIVES = (
    *("happy", "old", "shiny", "funny", "lovely", "pretty", "wooden", "magic", "friendly"),
    *("sleepy", "new", "fancy", "strange", "nice", "beautiful", "cute", "cartoon", "toy"),
)
"""Without effect."""
UNKNOWN = (
    *("dragon", "piano", "horse", "sandwich", "bicycle", "elephant", "bridge", "guitar", "shoe"),
    *("wizard", "chair", "tiger", "violin", "pencil", "lion", "bottle", "camera", "carpet"),
    *("monkey", "pizza", "tractor", "spoon", "frog", "dinosaur", "window", "penguin", "ladder"),
    *("knight", "sofa", "whale", "telephone", "basket", "giraffe", "helicopter", "scissors"),
    *("wolf", "bread", "computer", "spider", "anchor", "kangaroo", "mirror", "princess", "glove"),
    *("owl", "candle", "statue", "keyboard", "pirate", "fridge", "cactus", "drum", "sword"),
)
"""Nouns without a drawing, for training. Those of `free_wording` are others."""
UNKNOWN_ZH = (
    *("龙", "钢琴", "马", "自行车", "大象", "桥", "吉他", "鞋子", "椅子", "老虎", "铅笔"),
    *("狮子", "瓶子", "猴子", "披萨", "青蛙", "恐龙", "企鹅", "沙发", "鲸鱼", "电话", "电脑"),
)
COUNTS = {2: ("two", "2", "a pair of"), 3: ("three", "3"), 4: ("four", "4"), 5: ("five", "5")}
COUNTS_ZH = {2: ("两", "2"), 3: ("三", "3"), 4: ("四", "4"), 5: ("五", "5")}
_PATTERNS = {
    "striped": ("striped {a} and {b} {noun}", "{a} and {b} striped {noun}"),
    "spotted": ("{a} {noun} with {b} dots", "{a} {noun} with {b} spots"),
    "half": ("half {a} half {b} {noun}", "{noun} that is half {a} and half {b}"),
}
_PATTERNS_ZH = {
    "striped": ("{a}和{b}条纹的{noun}", "{a}{b}相间的{noun}"),
    "spotted": ("带{b}圆点的{a}{noun}", "有{b}斑点的{a}{noun}"),
    "half": ("一半{a}一半{b}的{noun}",),
}
_RELATIONS = {
    "above": ("{a} above {b}", "{b} below {a}", "{b} under {a}", "{a} over {b}"),
    "left of": (
        *("{a} to the left of {b}", "{b} to the right of {a}", "{a} left of {b}"),
        *("{a} beside {b}", "{a} next to {b}", "{a} and {b}"),
    ),
    "inside": ("{a} inside {b}", "{a} in {b}", "{b} with {a} inside", "{b} around {a}"),
    "in front of": ("{a} in front of {b}", "{b} behind {a}"),
    "between": ("{a} between two {bs}", "two {bs} with {a} between them"),
    "on top of": ("{a} on top of {b}", "{a} sitting on {b}", "{a} on {b}"),
}
_RELATIONS_ZH = {
    "above": ("{a}在{b}上面", "{b}在{a}下面", "{b}上方有{a}"),
    "left of": ("{a}在{b}左边", "{b}在{a}右边", "{a}和{b}", "{b}旁边有{a}"),
    "inside": ("{a}在{b}里面", "{b}里有{a}", "{b}中间有{a}"),
    "in front of": ("{a}在{b}前面", "{b}在{a}后面"),
    "between": ("{a}在两{m}{b}中间", "两{m}{b}之间的{a}"),
    "on top of": ("{a}在{b}上", "{b}顶上的{a}"),
}


def describe(rng: random.Random, spec: Arrangement) -> str:
    """A caption in English."""
    text = _name_items(rng, spec)
    if spec.setting:
        place = rng.choice(SETTINGS[spec.setting].english)
        text = f"{place}, {text}" if rng.random() < 0.12 else f"{text} {place}"
    elif rng.random() > NO_BACKGROUND:
        ground = _a(spec.background)
        patterns = ("{t} on {g}", "{t} on {a} background", "{t}, {g} background")
        text = rng.choice(patterns).format(t=text, g=spec.background, a=ground)
    return rng.choice(STYLE_EN[spec.style]).format(text) if spec.style else text


def describe_in_chinese(rng: random.Random, spec: Arrangement) -> str:
    """A caption in Chinese."""
    text = _name_items_in_chinese(rng, spec)
    if spec.setting:
        place = rng.choice(SETTINGS[spec.setting].chinese)
        patterns = ("{p}的{t}", "{p}有{t}", "{t}在{p}") if not spec.relation else ("{p}，{t}",)
        text = rng.choice(patterns).format(p=place, t=text)
    elif rng.random() > NO_BACKGROUND:
        ground = rng.choice(COLOUR_ZH[spec.background]) + "背景"
        text = rng.choice(("{g}上，{t}", "{t}，{g}", "{g}，{t}")).format(g=ground, t=text)
    return rng.choice(STYLE_ZH[spec.style]).format(text) if spec.style else text


def _a(noun: str) -> str:
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def _name_items(rng: random.Random, spec: Arrangement) -> str:
    first = spec.items[0]
    noun = rng.choice(UNKNOWN if spec.unknown else NOUNS[first.kind].english)
    if spec.count > 1:
        count = rng.choice(COUNTS[spec.count])
        return f"{count} {_qualify(rng, first, pluralize(noun))}"
    name = _a(_qualify(rng, first, noun))
    if rng.random() < 0.1:
        name = f"{rng.choice(ARTICLES)} {name.partition(' ')[2]}".strip()
    if len(spec.items) == 1:
        return name
    second = spec.items[1]
    other = rng.choice(NOUNS[second.kind].english)
    b = _qualify(rng, second, other)
    pattern = rng.choice(_RELATIONS[spec.relation])
    return pattern.format(a=name, b=_a(b), bs=_qualify(rng, second, pluralize(other)))


def _qualify(rng: random.Random, item: Item, noun: str) -> str:
    """The noun with its colours, size and perhaps an adjective without effect."""
    if item.second:
        pattern = rng.choice(_PATTERNS[item.pattern])
        text = pattern.format(a=item.colour, b=item.second, noun=noun)
    else:
        usual = item.colour in NOUNS[item.kind].usual and rng.random() < 0.4
        text = noun if usual or rng.random() < LEFT_OUT else f"{item.colour} {noun}"
    if rng.random() < 0.06:
        text = f"{rng.choice(ADJECTIVES)} {text}"
    return f"{rng.choice(SIZE_EN[item.size])} {text}" if item.size else text


def _name_items_in_chinese(rng: random.Random, spec: Arrangement) -> str:
    first = spec.items[0]
    row = NOUNS[first.kind]
    noun = rng.choice(UNKNOWN_ZH if spec.unknown else row.chinese)
    if spec.count > 1:
        measure = rng.choice(("个", row.measure))
        count = rng.choice(COUNTS_ZH[spec.count])
        return f"{count}{measure}{_qualify_in_chinese(rng, first, noun)}"
    one = f"一{row.measure}" if rng.random() < 0.4 else ""
    name = one + _qualify_in_chinese(rng, first, noun)
    if len(spec.items) == 1:
        return name
    second = NOUNS[spec.items[1].kind]
    b = _qualify_in_chinese(rng, spec.items[1], rng.choice(second.chinese))
    pattern = rng.choice(_RELATIONS_ZH[spec.relation])
    return pattern.format(a=name, b=b, m=rng.choice(("个", second.measure)))


def _qualify_in_chinese(rng: random.Random, item: Item, noun: str) -> str:
    colour = rng.choice(COLOUR_ZH[item.colour])
    size = rng.choice(SIZE_ZH[item.size]) if item.size else ""
    if item.second:
        second = rng.choice(COLOUR_ZH[item.second])
        pattern = rng.choice(_PATTERNS_ZH[item.pattern])
        return size + pattern.format(a=colour, b=second, noun=noun)
    usual = item.colour in NOUNS[item.kind].usual and rng.random() < 0.4
    if usual or rng.random() < LEFT_OUT:
        return size + noun
    return f"{size}{colour}{rng.choice(('', '的'))}{noun}"
