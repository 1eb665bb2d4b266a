"""What is done afterwards, settled: written down it is the same again, stage by stage."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dream.catalogue.model_info import ModelInfo
from dream.core.errors import BadLine
from dream.core.recipe import Recipe
from dream.core.request import Request
from dream.core.stages import FACES, STAGES, compute_final_size, get_stages, with_stages
from dream.line import format_line, parse_line
from dream.options.option_type import Upscale
from dream.options.outpaint import SIDES, Embiggen, Outcrop, Shift
from dream.session import list_unused_settings, resolve

CARD = ModelInfo(name="tiny", path=Path("models/tiny"), width=256, height=256)

_PIXELS = st.integers(0, 300)
_SHARE = st.floats(0.01, 1)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("photos") / "a photo.png"
    Image.new("RGB", (200, 150), "blue").save(path)
    return str(path)


def one(request: Request) -> Recipe:
    (recipe,) = resolve(request, lambda name: CARD, (), lambda: 7).recipes
    return recipe


def maybe(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.one_of(st.none(), values)


@settings(max_examples=100)
@given(
    message=st.fixed_dictionaries(
        {
            "strength": maybe(_SHARE),
            "outcrop": maybe(st.builds(Outcrop, _PIXELS, _PIXELS, _PIXELS, _PIXELS).filter(any)),
            "out_direction": maybe(st.builds(Shift, st.sampled_from(SIDES), st.integers(1, 99))),
            "embiggen": maybe(st.builds(Embiggen, st.floats(1, 3), _SHARE, st.floats(0, 0.75))),
            "embiggen_tiles": maybe(st.sets(st.integers(1, 99), min_size=1).map(sorted).map(tuple)),
            "embiggen_strength": maybe(_SHARE),
            "upscale": maybe(st.builds(Upscale, st.floats(1, 2), _SHARE)),
            "upscaler": maybe(st.just("tiny-x4")),
            "facetool_strength": maybe(st.floats(0, 1)),
            "facetool": maybe(st.sampled_from(["gfpgan", "CodeFormer", "x.pth"])),
            "codeformer_fidelity": maybe(st.floats(0, 1)),
            "watermark": maybe(st.just("ab")),
        }
    ),
    kind=st.sampled_from(["words", "init_img", "fix"]),
)
def test_a_settled_recipe_is_written_and_read_again(
    message: dict[str, object], kind: str, photo: str
) -> None:
    begins = {} if kind == "words" else {kind: photo}
    if kind == "fix" and not any(message[stage.recipe_fields[0]] for stage in STAGES):
        message["upscale"] = Upscale(2)
    recipe = one(Request(prompt='a "cat" -s5', **begins, **message))  # type: ignore[arg-type]
    assert one(parse_line(format_line(recipe.to_request()))) == recipe
    size = (200, 150) if recipe.fix else (recipe.width, recipe.height)
    done = []
    for stage in get_stages(recipe):
        done.append(stage)
        before = with_stages(recipe, done)
        assert get_stages(before) == tuple(done)
        assert one(parse_line(format_line(before.to_request()))) == before, (
            "what is kept where the next fails"
        )
        size = compute_final_size(with_stages(recipe, [stage]), size)
    assert size == compute_final_size(
        recipe, (200, 150) if recipe.fix else (recipe.width, recipe.height)
    )


@pytest.mark.parametrize(
    ("line", "settled"),
    [
        ("a -G", (0.8, "gfpgan", None)),
        ("a -G.5 -ft RestoreFormer -cf .3", (0.5, "restoreformer", None)),
        ("a -G1 -ft codeformer", (1, "codeformer", 0.75)),
        ("a -G1 -ft codeformer -cf 0", (1, "codeformer", 0)),
        ("a -G1 -ft my.pth -cf 0.2", (1, "my.pth", 0.2)),
        ("a -G0 -ft codeformer -cf 0.2", (None, None, None)),
        ("a -ft codeformer", (None, None, None)),
    ],
)
def test_faces_are_settled(line: str, settled: tuple[object, ...]) -> None:
    recipe = one(parse_line(line))
    values = (recipe.facetool_strength, recipe.facetool, recipe.codeformer_fidelity)
    assert values == settled
    assert (FACES in get_stages(recipe)) == (settled[0] is not None)
    both = get_stages(one(parse_line(f"{line} -U2 -embiggen 2")))
    assert [stage.name for stage in both if stage != FACES] == ["embiggen", "upscale"]
    assert FACES not in both or both[1] == FACES, "faces are restored before -U"


@pytest.mark.parametrize(
    ("line", "note"),
    [
        ("a -cf .5", "-cf ignored: no face is restored (-G)"),
        ("a -ft codeformer -cf .5", "-ft and -cf ignored: no face is restored (-G)"),
        ("a -G -cf .5", "-cf ignored: gfpgan has no fidelity, only codeformer has"),
        ("a -G -ft RestoreFormer -cf 0", "-cf ignored: restoreformer has no fidelity, "),
        ("a --upscaler tiny-x4", "--upscaler ignored: nothing is upscaled (-U)"),
        ("a -embiggen 1 --upscaler tiny-x4", "--upscaler ignored: nothing is upscaled (-U)"),
        ("a -embiggen_strength .3", "-embiggen_strength ignored: nothing is enlarged in tiles"),
        ("a -G -ft codeformer -cf .5", ""),
        ("a -G -ft my.pth -cf .5", ""),
        ("a -G0 -ft gfpgan -cf .5", ""),
        ("a -embiggen 2 -embiggen_strength .3 --upscaler tiny-x4", ""),
        ("a -embiggen_tiles 1 -embiggen_strength .3", ""),
    ],
)
def test_a_setting_of_a_stage_that_does_not_run_is_named(line: str, note: str) -> None:
    notes = list_unused_settings(parse_line(line), Request())
    assert [text[: len(note)] for text in notes] == ([note] if note else [])
    assert list_unused_settings(parse_line(line), parse_line(line)) == (), "a default waits"


def test_tiles_alone_are_at_the_same_size() -> None:
    recipe = one(parse_line("x -embiggen_tiles 2,1"))
    assert (recipe.embiggen, recipe.embiggen_tiles) == (Embiggen(1), (1, 2))
    assert (recipe.embiggen_strength, recipe.upscaler) == (0.4, None)


@pytest.mark.parametrize(
    ("line", "strength", "of_tiles"),
    [
        ("x -c top 8", 0.5, None),
        ("x -D left -f0.5", 0.5, None),
        ("x -embiggen 2", None, 0.4),
        ("x -embiggen 2 -f0.3", None, 0.3),
        ("x -embiggen 2 -f0.3 -embiggen_strength 0.2 -c top 8", 0.3, 0.2),
        ("x -U2", None, None),
    ],
)
def test_how_far_it_is_left(line: str, strength: float | None, of_tiles: float | None) -> None:
    recipe = one(parse_line(line))
    assert (recipe.strength, recipe.embiggen_strength) == (strength, of_tiles)


def test_what_could_never_be_opened_again_is_refused_before_rendering(
    tmp_path: Path,
) -> None:
    path = tmp_path / "large.png"
    Image.new("1", (6000, 5000)).save(path)
    message = "6000x5000 would become 12000x10000, 120 million pixels"
    with pytest.raises(BadLine, match=message):
        one(parse_line(f"!fix {path} -U2"))
    assert one(parse_line(f"!fix {path} -U1.5")).upscale == (1.5, 0.75)


def test_a_watermark_that_does_not_fit_is_refused_before_rendering() -> None:
    text = "x" * 20
    with pytest.raises(BadLine, match="has 20 bytes, too many for an image of 256x256 pixels"):
        one(parse_line(f"x --watermark {text}"))
    assert one(parse_line(f"x -U2 --watermark {text}")).watermark == text
    with pytest.raises(BadLine, match="takes 1 to 64 bytes"):
        parse_line(f"x --watermark {text * 4}")
