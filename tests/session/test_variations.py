"""-v, -V and the effects: what a line with them settles into, and what is written of it."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dream.catalogue.model_info import ModelInfo
from dream.core.errors import BadLine
from dream.core.events import Note, Saved
from dream.core.messages import format_event
from dream.core.recipe import Recipe
from dream.core.request import Request
from dream.line import format_line, parse_line, parse_sweep
from dream.options.option_type import MAX_SEED
from dream.options.variations import Variation
from dream.session import derive_seeds, resolve, resolve_sweep
from tests.fakes import FakeEngine, fake_session

CARD = ModelInfo(name="tiny", path=Path("models/tiny"), width=64, height=64, steps=3)
_SHARE = st.floats(0, 1)
_VARIATIONS = st.lists(st.builds(Variation, st.integers(0, MAX_SEED), _SHARE), min_size=1)


def resolved(request: Request) -> tuple[Recipe, ...]:
    numbers = itertools.count(1000)
    return resolve(request, lambda name: CARD, (), lambda: next(numbers)).recipes


@settings(max_examples=60)
@given(
    st.builds(
        Request,
        seed=st.integers(0, MAX_SEED),
        iterations=st.just(1),
        variation_amount=_SHARE,
        with_variations=st.none() | _VARIATIONS.map(tuple),
        perlin=_SHARE,
        threshold=st.floats(0, 100),
        h_symmetry_time_pct=_SHARE,
        v_symmetry_time_pct=_SHARE,
        seamless=st.booleans(),
        seamless_axes=st.sampled_from([None, "x", "y", "x,y"]),
        karras_max=st.none() | st.integers(0, 1000),
    )
)
def test_law_2_what_is_settled_is_written_and_read_and_settled_the_same(request: Request) -> None:
    for recipe in resolved(request):
        logged = parse_line(format_line(recipe.to_request()))
        assert logged.variation_amount == 0
        assert resolved(logged) == (recipe,)


def test_variations_of_one_seed_are_different_and_all_written_down() -> None:
    recipes = resolved(Request(seed=42, variation_amount=0.2, iterations=5))
    assert {recipe.seed for recipe in recipes} == {42}
    towards = [recipe.with_variations or () for recipe in recipes]
    assert [len(way) for way in towards] == [1] * 5
    assert {way[0].weight for way in towards} == {0.2}
    assert len({way[0].seed for way in towards} - {42}) == 5


def test_pairs_from_python_will_do() -> None:
    (recipe,) = resolved(Request(seed=42, with_variations=((7, 0.1),)))  # type: ignore[arg-type]
    assert recipe.with_variations == (Variation(7, 0.1),) and recipe.filename_seed == 7


def test_they_are_other_ones_each_time() -> None:
    numbers = itertools.count(1000)
    request = Request(seed=42, variation_amount=0.2)
    one, other = (resolve(request, lambda name: CARD, (), lambda: next(numbers)) for _ in range(2))
    assert one.recipes != other.recipes


def test_with_known_ones_it_goes_on_from_there() -> None:
    known = (Variation(7, 0.1),)
    recipes = resolved(Request(seed=42, variation_amount=0.2, with_variations=known, iterations=2))
    assert all((recipe.with_variations or ())[:1] == known for recipe in recipes)
    assert all(len(recipe.with_variations or ()) == 2 for recipe in recipes)


def test_no_amount_is_no_variation() -> None:
    request = Request(seed=42, iterations=3)
    assert resolved(Request(seed=42, iterations=3, variation_amount=0.0)) == resolved(request)
    assert [recipe.seed for recipe in resolved(request)] == derive_seeds(42, 3)


def test_a_sweep_of_amounts_goes_towards_one_and_the_same() -> None:
    """Also where everything is drawn from one draw, as in a sweep."""
    sweep = parse_sweep("x -v 0.1,0.2,0.3")
    recipes = resolve_sweep(sweep, lambda name: CARD, (), itertools.count(5).__next__).recipes
    ways = [(recipe.with_variations or ())[0] for recipe in recipes]
    assert [way.weight for way in ways] == [0.1, 0.2, 0.3]
    assert len({way.seed for way in ways}) == len({recipe.seed for recipe in recipes}) == 1
    assert ways[0].seed != recipes[0].seed


@pytest.mark.parametrize(
    ("line", "hint"),
    [("x -V 7:0.1", "needs a seed (add -S)"), ("x -S1 -V 7:0.1 -n3", "-v 0.1 makes several")],
)
def test_what_makes_no_sense_is_refused(line: str, hint: str) -> None:
    with pytest.raises(BadLine) as caught:
        resolved(parse_line(line))
    assert hint in str(caught.value)


def test_axes_alone_mean_seamless_and_both_axes_are_all() -> None:
    (both,) = resolved(Request(seed=1, seamless_axes="x,y"))
    assert (both.seamless, both.seamless_axes) == (True, None)
    (one,) = resolved(Request(seed=1, seamless_axes="y"))
    assert (one.seamless, one.seamless_axes) == (True, "y")
    assert resolved(Request(seed=1))[0].seamless is False


def test_files_bear_the_variations_seed_and_lines_all_of_it(tmp_path: Path) -> None:
    engine = FakeEngine()
    session = fake_session(tmp_path, engine)
    kept = [event for event in session.make("a cat -S42 -v0.25 -n3") if isinstance(event, Saved)]
    for event, recipe in zip(kept, engine.rendered, strict=True):
        (variation,) = recipe.with_variations or ()
        assert event.path.name == f"000001.{variation.seed}.png"
        assert f" -V{variation.seed}:0.25" in event.line and " -S42 " in event.line
        assert f"(-S42 -V{variation.seed}:0.25)" in (format_event(event) or "")
        assert session.resolve(session.parse_line(event.line)).recipes == (recipe,)
    assert session.seeds == [42] * 3, "-S-1 is the seed they have in common"


def test_a_sheet_of_variations_has_them_below(tmp_path: Path) -> None:
    events = list(fake_session(tmp_path).make("a cat -S42 -v 0.1,0.5 -n2 --sheet"))
    assert [event for event in events if event.name == "grid"]
    assert not [event for event in events if isinstance(event, Note) and "failed" in event.text]
