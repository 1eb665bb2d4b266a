r"""Parses the prompt language of InvokeAI (compel), in one pass, however deep the brackets are.

Where it differs from compel 2.5:

- a number after a bracket is a weight only if no letter follows: `(EOS)5D`, `(cat)-1` are words;
- `++` and `--` count at the end of a word only: `cat++dog` is a word;
- `(x:1.3)` and `<lora:…>` mean what they mean in A1111;
- brackets, and the full-width `（）：`, need no spaces around them;
- text is kept to the letter: no spaces are added before punctuation;
- a backslash before any sign of the language makes it a letter, and disappears;
- several words in `.blend()` and `.and()` need no quotes;
- `.blend()` and `.and()` that are not the whole prompt, and a `.swap()` inside them, are errors;
- `.blend()` with weights whose sum is 0 is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from dream.prompt.brackets import pair_up, split_at_commas
from dream.prompt.fragments import Raw, RawSwap, make_pieces
from dream.prompt.open_bracket import PUNCTUATION, OpenBracket
from dream.prompt.swap_options import read_swap_options
from dream.prompt.tree import How, Prompt, PromptError, PromptPart

_TEXT_ENDS = PUNCTUATION + r"\[\]"
_WORDS = r"""[^\\()（）"+\-.:：]"""
"""Any character but the signs of the language."""
_BEHIND_RUN = rf"""(?:[\s{PUNCTUATION}.:：\[\]()（）"]|\Z)"""
"""What follows a run of + or - at the end of a word."""
_TOKEN = re.compile(
    rf"""(?P<lead>{_WORDS}*[\s{_TEXT_ENDS}])?(?P<word>[^\\()（）"+\-.:：\s{_TEXT_ENDS}]+)
         (?P<weighed>(?:\++|-+)(?={_BEHIND_RUN}))
       | (?P<text>{_WORDS}+)"""
    r"""| (?P<escaped>\\[\\()\[\]（）{}"+\-.:：<>|,_\#&$])
       | (?P<run>\++|-+)
       | (?P<method>\.(?:attend|swap|blend|and|add)\()
       | (?P<bracket>[()（）"])
       | (?P<colon>[:：])
       | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_RUN = re.compile(r"\++|-+")
_AFTER_RUN = re.compile(_BEHIND_RUN)
_AFTER_NUMBER = re.compile(r"[\u2e80-\U0010ffff]|\W|\Z")
"""What may follow a weight: anything but a letter or digit; letters of Chinese may."""
_NUMBER = re.compile(r"\d+(?:\.\d+)?|\.\d+")
_COLON_WEIGHT = re.compile(r"[:：]\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+))\s*(?=[)）])")
_SIMPLE = re.compile(rf"({_WORDS}+)(?:{_COLON_WEIGHT.pattern})?(?=[)）])")
"""The inside of a bracket without any other sign."""
_ATTEND = re.compile(
    r"\.attend\(\s*(?:(?P<run>\++|-+)|(?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)))\s*\)"
)
_WHOLE = re.compile(r"\.(blend|and|add)\(")
_STEP = {"+": 1.1, "-": 0.9}
NO_NORMALIZE = "no_normalize"


def parse_invokeai(text: str) -> Prompt:
    """The prompt of a text without negatives and networks. Accepts any text, but for `.blend()`,
    `.and()` and `.swap()` that cannot be meant: raises PromptError, with the column."""
    pairs = pair_up(text)
    whole = _parse_whole(text, pairs)
    if whole is not None:
        return whole
    return Prompt((PromptPart(make_pieces(_Scanner(text, pairs).scan(0, len(text)))),))


def _parse_whole(text: str, pairs: Mapping[int, int]) -> Prompt | None:
    """The prompt if it is one `.blend()` or `.and()`; else None."""
    start = len(text) - len(text.lstrip())
    if start not in pairs or text[start] not in "(（":
        return None
    method = _WHOLE.match(text, close := pairs[start] + 1)
    end = pairs.get(method.end() - 1) if method else None
    if method is None or end is None or text[end + 1 :].strip():
        return None
    parts = []
    for begin, stop in split_at_commas(text, start + 1, close - 1, pairs):
        nodes = _Scanner(text, pairs, swaps=False).scan(begin, stop)
        parts.append(make_pieces(nodes))
    weights, normalize = _read_weights(text, method.end(), end, pairs, len(parts))
    if method[1] != "blend":
        both = zip(parts, weights, strict=True)
        return Prompt(tuple(PromptPart(pieces, weight) for pieces, weight in both), How.JOIN)
    if normalize and abs(sum(weights)) < 1e-9:
        raise PromptError(
            "the weights of .blend() add up to 0", close + 1, "add no_normalize to use them as is"
        )
    both = zip(parts, weights, strict=True)
    return Prompt(tuple(PromptPart(p, w) for p, w in both), How.BLEND, normalize)


def _read_weights(
    text: str, start: int, end: int, pairs: Mapping[int, int], count: int
) -> tuple[tuple[float, ...], bool]:
    """The weights in the brackets of a `.blend()` or `.and()`, and whether to normalise them."""
    weights: list[float] = []
    normalize = True
    for begin, stop in split_at_commas(text, start, end, pairs):
        word = text[begin:stop].strip()
        if word == NO_NORMALIZE:
            normalize = False
        elif word:
            try:
                weights.append(float(word))
            except ValueError:
                raise PromptError(f"“{word[:20]}” is not a weight", begin + 1) from None
            if not abs(weights[-1]) < 1e6:
                raise PromptError(f"“{word[:20]}” is not a weight", begin + 1)
    if weights and len(weights) != count:
        s = "" if count == 1 else "s"
        raise PromptError(f"{count} prompt{s} with {len(weights)} weights", start + 1)
    return tuple(weights or (1.0,) * count), normalize


class _Scanner:
    """Reads a span of the text, token by token. Brackets are frames on a stack of its own."""

    def __init__(self, text: str, pairs: Mapping[int, int], *, swaps: bool = True) -> None:
        self._text, self._pairs, self._swaps = text, pairs, swaps
        self._frames = [OpenBracket(-1)]

    def scan(self, start: int, end: int) -> list[Raw | RawSwap]:
        """The words and groups of text[start:end]."""
        at, next_token = start, _TOKEN.match
        while at < end:
            match = next_token(self._text, at, end)
            assert match is not None, "one of its ways takes any character"
            kind = match.lastgroup
            if kind == "text" or (kind == "bracket" and at not in self._pairs):
                self._frames[-1].texts.append(match[0])
                at = match.end()
            elif kind == "weighed":
                self._weigh_word(*match.group("lead", "word", "weighed"))
                at = match.end()
            else:
                at = self._take(match, end)
        (frame,) = self._frames
        frame.flush()
        return frame.nodes

    def _weigh_word(self, lead: str | None, word: str, run: str) -> None:
        """A word with a weight, and what is before it."""
        frame = self._frames[-1]
        if lead is None:
            if frame.texts:  # it may begin in another token
                frame.texts.append(word)
                word = frame.take_word()
        else:
            frame.texts.append(lead)
            frame.flush()
        frame.nodes.append(Raw(word, _STEP[run[0]] ** len(run), (), True))

    def _take(self, match: re.Match[str], end: int) -> int:
        """Handle one token. Returns the index after it."""
        at, token = match.start(), match[0]
        match match.lastgroup:
            case "escaped":
                token = token[1:]
            case "bracket" if self._pairs[at] < end:
                return self._bracket(at)
            case "run" if _AFTER_RUN.match(self._text, match.end()):
                if word := self._frames[-1].take_word():
                    self._frames[-1].nodes.append(_weigh(word, _STEP[token[0]] ** len(token)))
                    return match.end()
            case "method":
                return self._method(match)
            case "colon":
                return self._colon(match)
        self._frames[-1].texts.append(token)
        return match.end()

    def _colon(self, match: re.Match[str]) -> int:
        """A colon: text, unless it begins the weight at the end of a bracket."""
        frame = self._frames[-1]
        if frame.start >= 0 and self._text[frame.start] != '"':
            weight = _COLON_WEIGHT.match(self._text, match.start())
            if weight and weight.end() == self._pairs[frame.start]:
                frame.weight = float(weight[1])
                return weight.end()
        frame.texts.append(match[0])
        return match.end()

    def _bracket(self, at: int) -> int:
        if (close := self._pairs[at]) > at:
            self._frames[-1].flush()
            if self._text[at] != '"' and (simple := _SIMPLE.match(self._text, at + 1, close + 1)):
                weight, after = self._weight(close + 1)
                if simple[2]:
                    weight, after = float(simple[2]), close + 1
                self._frames[-1].nodes.append(Raw(simple[1], weight, (), True))
                return after
            self._frames.append(OpenBracket(at))
            return at + 1
        closed = self._frames.pop()
        weight, after = self._weight(at + 1) if closed.weight is None else (closed.weight, at + 1)
        if closed.nodes:
            closed.flush()
            group = Raw("", weight, tuple(closed.nodes), operand=True)
        else:
            group = Raw("".join(closed.texts), weight, operand=True)
        self._frames[-1].nodes.append(group)
        return after

    def _weight(self, at: int) -> tuple[float, int]:
        """The weight after a closing bracket or quote, 1 for none; and the index after it."""
        run = _RUN.match(self._text, at)
        if run and _AFTER_RUN.match(self._text, run.end()):
            return _STEP[run[0][0]] ** len(run[0]), run.end()
        number = _NUMBER.match(self._text, at)
        if number and _AFTER_NUMBER.match(self._text, number.end()):
            return float(number[0]), number.end()
        return 1.0, at

    def _method(self, match: re.Match[str]) -> int:
        """`.attend()`, `.swap()`, or an error: the others are only allowed for whole prompts."""
        frame, at = self._frames[-1], match.start()
        after_bracket = bool(not frame.texts and frame.nodes and frame.nodes[-1].operand)
        opened = match.end() - 1
        if attend := _ATTEND.match(self._text, at):
            run, number = attend["run"], attend["number"]
            weight = _STEP[run[0]] ** len(run) if run else float(number)
            if after_bracket:
                frame.nodes[-1] = Raw("", weight, (frame.nodes[-1],), operand=True)
                return attend.end()
            if word := frame.take_word():
                frame.nodes.append(_weigh(word, weight))
                return attend.end()
        elif match[0] == ".swap(" and opened in self._pairs:
            if (after := self._swap(match)) is not None:
                return after
        elif after_bracket and match[0] not in (".attend(", ".swap(") and opened in self._pairs:
            example = 'as in ("a", "b").blend(1, 1)'
            raise PromptError(f"{match[0]}) must be the whole prompt", at + 1, example)
        # Only the name: its bracket is one like any other.
        frame.texts.append(match[0][:-1])
        return opened

    def _swap(self, match: re.Match[str]) -> int | None:
        """Take `.swap(…)` and what stands before it; None if nothing does."""
        frame = self._frames[-1]
        words = "".join(frame.texts).rstrip()
        frame.texts = [words] if words else []
        before: Raw | RawSwap
        if not frame.texts and frame.nodes and frame.nodes[-1].operand:
            before = frame.nodes.pop()
        elif word := frame.take_word():
            before = Raw(word)
        else:
            return None
        if not self._swaps:
            raise PromptError(".swap() is not allowed here", match.start() + 1)
        opened = match.end() - 1
        options, stop = read_swap_options(self._text, opened + 1, self._pairs[opened], self._pairs)
        inner = _Scanner(self._text, self._pairs, swaps=False).scan(opened + 1, stop)
        frame.nodes.append(RawSwap((before,), tuple(inner), options))
        return self._pairs[opened] + 1


def _weigh(word: str, weight: float) -> Raw:
    """A word with a weight, as if it were in brackets."""
    return Raw(word, weight, operand=True)
