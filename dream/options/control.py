"""The types of `--control` and `--image_prompt`: images that control the composition, with the
table of their kinds, and images that say what to generate, as a prompt's words do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from dream.options.option_type import OptionType, format_number

MAX_CONTROLS = 8
"""How many one line can use."""
MAX_WEIGHT = 10.0

BALANCED, PROMPT, CONTROL = "balanced", "prompt", "control"
CONTROL_MODES = (BALANCED, PROMPT, CONTROL)
"""What counts more, as in A1111's ControlNet extension: both the same, the prompt, or the control
image."""


class ControlKind(NamedTuple):
    """A kind of control image."""

    name: str
    called: str
    """What it shows."""
    made_by: str
    """How it is computed from an ordinary image; empty if it is used as it is."""
    help: str
    aliases: tuple[str, ...] = ()
    """Other programs' names, which are read and never written."""


CONTROL_KINDS: Mapping[str, ControlKind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            ControlKind("canny", "edges", "Canny", "white lines along every edge"),
            ControlKind(
                "depth", "a depth map", "depth estimation", "the lighter, the nearer", ("midas",)
            ),
            ControlKind(
                "pose", "poses", "pose estimation", "people as skeletons", ("openpose", "dwpose")
            ),
            ControlKind(
                "seg", "areas", "segmentation", "a colour for each kind of thing", ("segmentation",)
            ),
            ControlKind(
                "scribble", "a scribble", "outlines", "a few bold white strokes", ("sketch",)
            ),
            ControlKind("lineart", "line art", "difference of Gaussians", "fine white lines"),
            ControlKind(
                "softedge", "soft edges", "gradients", "edges with soft borders", ("hed", "pidinet")
            ),
            ControlKind(
                "normal",
                "surface normals",
                "gradients of depth",
                "red, green and blue are directions",
                ("normalbae", "normalmap"),
            ),
            ControlKind("tile", "the image itself", "blur", "keeps content, and redraws details"),
            ControlKind("qr", "a pattern", "", "light and dark as in a QR code", ("qrcode",)),
            ControlKind("inpaint", "the image itself", "", "fills the masked part to fit the rest"),
        )
    }
)
"""By the name in the line and in the log."""

UNSUPPORTED_KINDS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(
            ("mlsd", "lines"),
            "MLSD is in no maintained package; use canny, or a ready-made map with --control_raw",
        ),
        **dict.fromkeys(
            ("animal_pose", "animalpose", "animal_openpose"),
            "animal poses are in no maintained package; use softedge or depth, or a ready-made map"
            " with --control_raw",
        ),
        **dict.fromkeys(
            ("face", "mediapipe_face", "densepose"),
            "its detector is in no maintained package; use pose or softedge, or a ready-made map"
            " with --control_raw",
        ),
        "lineart_anime": "its network is in no maintained package; use lineart",
        "shuffle": "use -I with a high --strength, or --image_prompt",
        "teed": "its network is in no maintained package; use softedge",
    }
)
"""Other programs' kinds that have no preprocessor here, and what to use instead."""

CONTROL_EXAMPLES = (
    ("  --control canny=cat.png", "the edges of cat.png, with the words of the prompt"),
    ("  --control depth=-1:0.6", "the depth of the last image, at weight 0.6"),
    ("  --control pose=a.png:1:0-0.5", "the pose of a.png, in the first half of the steps"),
    ("  --control canny=a.png depth=b.png", "both; the order does not matter"),
    ("  --control canny=edges.png --control_raw", "edges.png is an image of edges already"),
    ("  --control canny=a.png --control_mode prompt", "the prompt counts more than the edges"),
)
"""Ends of lines, and what they do."""

KINDS_BY_SPELLING = {
    spelling: kind.name
    for kind in CONTROL_KINDS.values()
    for spelling in (kind.name, *kind.aliases)
}
"""The names of kinds, by all that they are read as."""
_SHARE = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_ANY_NUMBER = rf"[+-]?(?:{_SHARE}|nan|inf)"
"""Also those that are no weight, so that they are refused as one."""
_WEIGHT = rf":(?P<weight>{_ANY_NUMBER})"
_PART = rf":(?P<start>{_SHARE})-(?P<end>{_SHARE})"
_WORDS = tuple(
    re.compile(rf"(?P<kind>\w+)=(?P<image>.+?){settings}", re.DOTALL)
    for settings in (_PART + _WEIGHT, f"(?:{_WEIGHT})?(?:{_PART})?")
)
"""What is typed in the other order, and what is written."""
_ENDS_LIKE_SETTINGS = re.compile(rf":(?:{_ANY_NUMBER}|{_SHARE}-{_SHARE})\Z")


class Control(NamedTuple):
    """A control image, and how strongly and during which steps it is used."""

    kind: str
    """A key of CONTROL_KINDS."""
    image: str
    """The image file, or -1 for the last image of the session; resolved, always a path."""
    weight: float = 1.0
    """0 (no effect) to MAX_WEIGHT."""
    start: float = 0.0
    end: float = 1.0
    """The share of the steps during which it is used, from 0 to 1: start <= step / steps < end."""


def parse_control(word: str) -> Control:
    """`KIND=FILE`, `KIND=FILE:WEIGHT`, `KIND=FILE:WEIGHT:START-END` or `KIND=FILE:START-END`; the
    weight may come last too. A colon that no number follows belongs to the file name. Raises
    ValueError."""
    control = split_control(word)
    if control is None or control.kind not in KINDS_BY_SPELLING or find_fault(control):
        raise ValueError(word)
    return control._replace(kind=KINDS_BY_SPELLING[control.kind])


def split_control(word: str) -> Control | None:
    """The parts of a word, whatever kind and numbers they are; None for another form."""
    match = next(filter(None, (pattern.fullmatch(word) for pattern in _WORDS)), None)
    if match is None:
        return None
    weight, start, end = (
        default if match[name] is None else float(match[name])
        for name, default in (("weight", 1.0), ("start", 0.0), ("end", 1.0))
    )
    return Control(match["kind"].lower(), match["image"], weight, start, end)


def find_fault(control: Control) -> str:
    """What is wrong with the numbers; mostly empty."""
    _, _, weight, start, end = control
    if not 0 <= weight <= MAX_WEIGHT:  # nan is neither
        return f"a weight is from 0 to {MAX_WEIGHT:g}"
    if not max(start, end) <= 1:
        return "parts of the steps are from 0 to 1: 0-0.5 is the first half"
    return "" if start < end else "the part of the steps ends before it begins"


def format_control(control: Control) -> str:
    """The inverse of `parse_control`."""
    kind, image, weight, start, end = Control(*control)
    numbers = []
    always = _ENDS_LIKE_SETTINGS.search(image) is not None
    when = (start, end) != (0, 1)
    if weight != 1 or when or always:
        numbers.append(format_number(weight))
    if when or always:
        numbers.append(f"{format_number(start)}-{format_number(end)}")
    return ":".join([f"{kind}={image}", *numbers])


def describe_control(control: Control) -> str:
    """What it does, in one line."""
    kind, image, weight, start, end = Control(*control)
    row = CONTROL_KINDS[kind]
    when = "" if (start, end) == (0, 1) else f", from {start:.0%} to {end:.0%} of the steps"
    return f"control: {row.called} ({kind}) from {image}, weight {format_number(weight)}{when}"


def _read_controls(words: Sequence[str]) -> tuple[Control, ...]:
    return tuple(map(parse_control, words))


def _write_controls(value: Iterable[Control]) -> list[str]:
    return [format_control(control) for control in value]


def _suggest(typed: str) -> str:
    from dream.options.control_hints import suggest_control  # only what is wrong needs it

    return suggest_control(typed)


CONTROLS: OptionType[tuple[Control, ...]] = OptionType(
    "KIND=FILE[:WEIGHT[:START-END]] …",
    f"KIND=FILE, such as canny=cat.png or canny=cat.png:0.8, with a weight up to {MAX_WEIGHT:g},"
    f" and one of the kinds {' '.join(CONTROL_KINDS)}",
    _read_controls,
    _write_controls,
    nargs=(1, MAX_CONTROLS),
    completion="control",
    accumulates=True,
    suggest=_suggest,
)


def _read_names(words: Sequence[str]) -> tuple[str, ...]:
    if not words or not all(words):
        raise ValueError
    return tuple(words)


CONTROL_MODELS: OptionType[tuple[str, ...]] = OptionType(
    "NAME …",
    "the name or file of a control model, or one for each control image, in order",
    _read_names,
    list,
    nargs=(1, MAX_CONTROLS),
    completion="control_model",
)

MAX_IMAGE_PROMPTS = 8
"""How many one line can use."""

_PROMPT_WORD = re.compile(rf"(?P<image>.+?)(?::(?P<weight>{_ANY_NUMBER}))?", re.DOTALL)
_ENDS_LIKE_WEIGHT = re.compile(rf":{_ANY_NUMBER}\Z")


class ImagePrompt(NamedTuple):
    """An image prompt, and how strongly it is used."""

    image: str
    """The image file, or -1 for the last image of the session; resolved, always a path."""
    weight: float = 1.0
    """0 (no effect) to MAX_WEIGHT."""


def parse_image_prompt(word: str) -> ImagePrompt:
    """`FILE` or `FILE:WEIGHT`. A colon that no number follows belongs to the file name. Raises
    ValueError."""
    match = _PROMPT_WORD.fullmatch(word)
    if match is None:
        raise ValueError(word)
    weight = 1.0 if match["weight"] is None else float(match["weight"])
    if not 0 <= weight <= MAX_WEIGHT:  # nan is neither
        raise ValueError(word)
    return ImagePrompt(match["image"], weight)


def format_image_prompt(prompt: ImagePrompt) -> str:
    """The inverse of `parse_image_prompt`."""
    image, weight = ImagePrompt(*prompt)
    if weight == 1 and not _ENDS_LIKE_WEIGHT.search(image):
        return image
    return f"{image}:{format_number(weight)}"


def describe_image_prompt(prompt: ImagePrompt) -> str:
    """What it does, in one line."""
    return f"image prompt: {prompt.image}, weight {format_number(prompt.weight)}"


def _read_image_prompts(words: Sequence[str]) -> tuple[ImagePrompt, ...]:
    return tuple(map(parse_image_prompt, words))


def _write_image_prompts(value: Iterable[ImagePrompt]) -> list[str]:
    return [format_image_prompt(ImagePrompt(*prompt)) for prompt in value]


IMAGE_PROMPTS: OptionType[tuple[ImagePrompt, ...]] = OptionType(
    "FILE[:WEIGHT] …",
    f"image files, each with a weight from 0 to {MAX_WEIGHT:g} if it is not 1, such as cat.png:0.6",
    _read_image_prompts,
    _write_image_prompts,
    nargs=(1, MAX_IMAGE_PROMPTS),
    completion="image_prompt",
    accumulates=True,
)
