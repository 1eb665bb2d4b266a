"""Asked → settled: nothing is left open, nothing is changed behind your back."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from dream.catalogue.model_info import ModelInfo
from dream.core.errors import BadLine
from dream.core.recipe import Recipe
from dream.core.request import Request
from dream.line import format_line, parse_line
from dream.options.option_type import MAX_SEED, Upscale
from dream.prompt.template_tree import TemplateError
from dream.session import check_ranges, derive_seeds, resolve
from dream.session.replay_checks import get_line_defaults

CARD = ModelInfo(
    name="tiny",
    path=Path("models/tiny"),
    width=256,
    height=192,
    multiple=64,
    steps=20,
    sampler="ddim",
    cfg_scale=4.5,
    upscaler="tiny-x4",
)


def resolved(request: Request, past: tuple[int, ...] = (), drawn: int = 7) -> tuple[Recipe, ...]:
    return resolve(request, lambda name: CARD, past, lambda: drawn).recipes


def test_the_card_fills_what_is_open() -> None:
    (recipe,) = resolved(Request(prompt="a cat"))
    assert recipe == Recipe(
        prompt="a cat",
        negative="",
        steps=20,
        seed=7,
        width=256,
        height=192,
        cfg_scale=4.5,
        sampler="ddim",
        schedule="model",
        syntax="invokeai",
        model="tiny",
    )


def test_what_is_said_stands() -> None:
    request = Request(prompt="x", steps=3, seed=0, width=128, cfg_scale=1.0, sampler="plms")
    (recipe,) = resolved(request)
    assert (recipe.steps, recipe.seed, recipe.width, recipe.height) == (3, 0, 128, 192)
    assert (recipe.cfg_scale, recipe.sampler) == (1.0, "plms")


def test_sizes_are_floored_and_it_is_said() -> None:
    answer = resolve(Request(width=200, height=256), lambda name: CARD, (), lambda: 1)
    assert (answer.recipes[0].width, answer.recipes[0].height) == (192, 256)
    assert answer.notes == ("width 200 becomes 192: the model needs multiples of 64",)


def test_an_upscaler_is_chosen_only_where_one_is_used() -> None:
    assert resolved(Request(upscaler="other"))[0].upscaler is None
    assert resolved(Request(upscale=Upscale(2)))[0].upscaler == "tiny-x4"
    assert resolved(Request(upscale=Upscale(2), upscaler="other"))[0].upscaler == "other"


def test_a_series_repeats_and_begins_with_its_seed() -> None:
    first = resolved(Request(seed=42, iterations=5))
    assert [r.seed for r in first] == derive_seeds(42, 5)
    assert first[0].seed == 42
    assert len({r.seed for r in first}) == 5
    assert resolved(Request(seed=42, iterations=3)) == first[:3]


@pytest.mark.parametrize(("number", "seed"), [(-1, 30), (-2, 20), (-3, 10)])
def test_a_negative_seed_is_a_picture_of_this_session(number: int, seed: int) -> None:
    assert resolved(Request(seed=number), past=(10, 20, 30))[0].seed == seed


def test_a_picture_that_is_not_there() -> None:
    with pytest.raises(BadLine, match=r"-S-2 .* \(1 so far\)"):
        resolved(Request(seed=-2), past=(10,))
    with pytest.raises(BadLine, match="none so far"):
        resolved(Request(seed=-1))


@pytest.mark.parametrize(
    "wrong",
    [
        Request(steps=0),
        Request(steps=1001),
        Request(cfg_scale=0.5),
        Request(cfg_scale=float("nan")),
        Request(width=63),
        Request(height=4097),
        Request(iterations=0),
        Request(seed=MAX_SEED + 1),
        Request(sampler="nonsense"),
        Request(upscale=Upscale(9)),
        Request(upscale=Upscale(2, 1.5)),
        Request(steps="many"),  # type: ignore[arg-type]
    ],
)
def test_a_request_from_python_keeps_to_the_ranges(wrong: Request) -> None:
    with pytest.raises(BadLine, match="takes"):
        check_ranges(wrong)


@given(
    st.builds(
        Request,
        prompt=st.text(),
        steps=st.none() | st.integers(1, 1000),
        seed=st.none() | st.integers(0, MAX_SEED),
        width=st.none() | st.integers(64, 1024),
        height=st.none() | st.integers(64, 1024),
        iterations=st.integers(1, 20),
        upscale=st.none() | st.builds(Upscale, st.floats(1, 8), st.floats(0, 1)),
    )
)
def test_settling_twice_changes_nothing(request: Request) -> None:
    try:
        recipes = resolved(request)
    except (BadLine, TemplateError):  # the prompt is a template that is broken
        reject()
    for recipe in recipes:
        assert resolved(recipe.to_request()) == (recipe,)
        assert all(getattr(recipe, f.name) is not None for f in fields(recipe)[:9])


def test_nothing_is_mutated() -> None:
    request = Request(prompt="x", iterations=2)
    before = replace(request)
    resolved(request)
    assert request == before


ZERO_SNR = replace(CARD, cfg_rescale=0.7)


@pytest.mark.parametrize(
    ("info", "changes", "resolved_at"),
    [
        (CARD, {}, None),
        (CARD, {"cfg_rescale": 0.0}, None),
        (CARD, {"cfg_rescale": 0.5}, 0.5),
        (ZERO_SNR, {}, 0.7),
        (ZERO_SNR, {"cfg_rescale": 0.0}, 0.0),
        (ZERO_SNR, {"cfg_rescale": 0.5}, 0.5),
        (ZERO_SNR, {"schedule": "former"}, 0.0),
    ],
)
def test_guidance_is_rescaled_by_default_for_zero_terminal_snr(
    info: ModelInfo, changes: dict[str, Any], resolved_at: float | None
) -> None:
    (recipe,) = resolve(Request(prompt="x", **changes), lambda name: info, (), lambda: 7).recipes
    assert recipe.cfg_rescale == resolved_at
    line = f"a.png: {format_line(recipe.to_request())} # sha256:0123456789abcdef"
    assert ("--cfg_rescale" in line) == (resolved_at is not None)
    again = parse_line(line, get_line_defaults(line, Request(cfg_rescale=0.3), Path))
    assert resolve(again, lambda name: info, (), lambda: 8).recipes == (recipe,)
    before = 'a.png: "x" -s5 -S1 -W64 -H64 --schedule=model # sha256:0123456789abcdef'
    (recipe,) = resolve(
        parse_line(before, get_line_defaults(before, Request(), Path)),
        lambda name: info,
        (),
        lambda: 8,
    ).recipes
    assert not recipe.cfg_rescale, "a logged line that does not say it is from before it"


@pytest.mark.parametrize(
    ("name", "value", "other", "off"),
    [("quantize", "int8", "fp8", "none"), ("cache", 3, 2, 1)],
)
def test_what_changes_a_model_is_in_the_log_and_only_there(
    name: str, value: Any, other: Any, off: Any
) -> None:
    """A logged line without the value was made without it, whatever the session's default is."""
    (recipe,) = resolved(parse_line(f"a cat --{name} {value}"))
    logged = f"outputs/000001.7.png: {format_line(recipe.to_request())}"
    base = replace(Request(), **{name: other})
    again = parse_line(logged, get_line_defaults(logged, base, Path))
    assert getattr(resolved(again)[0], name) == getattr(recipe, name) == value
    (plain,) = resolved(parse_line(f"a cat --{name} {off}", base))
    logged = f"outputs/000002.7.png: {format_line(plain.to_request())}"
    assert getattr(plain, name) is None and name not in logged
    assert resolved(parse_line(logged, get_line_defaults(logged, base, Path)))[0] == plain
    assert getattr(resolved(parse_line("a cat", base))[0], name) == other


def test_a_cache_with_a_swap_is_refused_before_loading() -> None:
    with pytest.raises(BadLine, match=r"\.swap\(\) is not supported with --cache"):
        resolved(parse_line("a cat.swap(dog) --cache 2"))
    resolved(parse_line("a cat.swap(dog) --cache 2 --syntax plain"))
