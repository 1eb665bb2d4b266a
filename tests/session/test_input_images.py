"""Lines that begin from a picture: found, measured, settled, logged, and made again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from dream.catalogue.model_info import ModelInfo
from dream.core.errors import BadLine, InputError
from dream.core.events import Event, Failed, Note, Planned, Rejected, Saved, Step, Verified
from dream.core.recipe import Recipe
from dream.core.request import Request
from dream.gallery import LOG_NAME, read_log, read_record
from dream.inputs import hash_file
from dream.line import format_line, parse_facts, parse_line, parse_log_line
from dream.session import ResolvedRequest, Session, resolve
from dream.session.input_images import compute_size
from tests.fakes import FakeEngine, fake_session

CARD = ModelInfo(name="tiny", path=Path("models/tiny"), width=256, height=256, multiple=8)


@pytest.fixture
def photo(tmp_path: Path) -> str:
    Image.new("RGB", (515, 389), "blue").save(tmp_path / "photo.png")
    return str(tmp_path / "photo.png")


def resolved(request: Request, info: ModelInfo = CARD) -> ResolvedRequest:
    return resolve(request, lambda name: info, (), lambda: 7)


def size(request: Request) -> tuple[int, int]:
    (recipe,) = resolved(request).recipes
    return recipe.width, recipe.height


def made(session: Session, line: str) -> list[Event]:
    return list(session.make(line))


def saved(session: Session, line: str) -> Saved:
    events = made(session, line)
    assert not [e for e in events if isinstance(e, Rejected | Failed)], events
    (event,) = [e for e in events if isinstance(e, Saved)]
    return event


def test_a_picture_keeps_its_size_floored_and_it_is_said(photo: str) -> None:
    answer = resolved(Request(prompt="x", init_img=photo))
    (recipe,) = answer.recipes
    assert (recipe.width, recipe.height, recipe.strength) == (512, 384, 0.75)
    (note,) = answer.notes
    assert note == "photo.png is resized from 515x389 to 512x384: tiny needs multiples of 8"


@pytest.mark.parametrize(
    ("values", "becomes"),
    [
        ({"fit": True}, (256, 200)),
        ({"fit": True, "width": 1024, "height": 300}, (392, 296)),
        ({"fit": True, "width": 128}, (128, 104)),
        ({"fit": True, "width": 515}, (512, 392)),
        ({"fit": True, "height": 512}, (680, 512)),
        ({"width": 256}, (256, 192)),
        ({"height": 778}, (1024, 776)),
        ({"width": 320, "height": 320}, (320, 320)),
    ],
)
def test_sizes(photo: str, values: dict[str, Any], becomes: tuple[int, int]) -> None:
    assert size(Request(prompt="x", init_img=photo, **values)) == becomes


def test_what_is_cut_is_said(photo: str) -> None:
    (note,) = resolved(Request(prompt="x", init_img=photo, width=320, height=320)).notes
    assert note == "photo.png is resized from 515x389 to 320x320 and cropped; --fit keeps all of it"


def test_a_long_thin_picture_fits_whole_by_growing_out_of_the_box(tmp_path: Path) -> None:
    path = str(tmp_path / "wall.png")
    Image.new("L", (600, 100)).save(path)
    answer = resolved(Request(prompt="x", init_img=path, fit=True))
    assert (answer.recipes[0].width, answer.recipes[0].height) == (384, 64)
    assert answer.notes == (
        "wall.png is resized from 600x100 to 384x64: the minimum is 64 pixels per side",
    )
    Image.new("L", (8000, 20)).save(path)
    with pytest.raises(BadLine, match="less extreme shape"):
        resolved(Request(prompt="x", init_img=path, fit=True))


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    own=st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    width=st.none() | st.integers(64, 1500),
    height=st.none() | st.integers(64, 1500),
    multiple=st.sampled_from([8, 16, 64]),
)
def test_what_fits_has_the_picture_s_shape_and_fits_into_itself(
    own: tuple[int, int], width: int | None, height: int | None, multiple: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dream.session.input_images.measure_image", lambda path: own)
        info = replace(CARD, multiple=multiple)
        request = Request(init_img="a.png", fit=True, width=width, height=height)
        try:
            across, down, _ = compute_size(request, info)
        except BadLine:
            return
        again = compute_size(replace(request, width=across, height=down), info)
    assert again[:2] == (across, down)
    assert across % multiple == down % multiple == 0 and min(across, down) >= 64
    # Each side is the picture's, times one scale, up to the next multiple.
    low, high = ((across - multiple) / own[0], across / own[0])
    assert low < down / own[1] and (down - multiple) / own[1] < high


def test_a_mask_of_another_shape_is_told(tmp_path: Path, photo: str) -> None:
    def notes(size: tuple[int, int]) -> tuple[str, ...]:
        Image.new("L", size).save(tmp_path / "mask.png")
        mask = str(tmp_path / "mask.png")
        return resolved(Request(prompt="x", init_img=photo, init_mask=mask)).notes

    assert not any("mask" in note for note in (*notes((515, 389)), *notes((256, 193))))
    assert notes((515, 200))[0] == (
        "the mask mask.png (515x200) is stretched to the shape of photo.png (515x389)"
    )


@pytest.mark.parametrize(("own", "becomes"), [((1, 1), (64, 64)), ((10, 100), (64, 640))])
def test_a_tiny_picture_grows(
    tmp_path: Path, own: tuple[int, int], becomes: tuple[int, int]
) -> None:
    Image.new("L", own).save(tmp_path / "a.png")
    assert size(Request(prompt="x", init_img=str(tmp_path / "a.png"))) == becomes


def test_a_huge_picture_wants_a_size(tmp_path: Path) -> None:
    path = str(tmp_path / "huge.png")
    Image.new("1", (8000, 8000)).save(path)
    with pytest.raises(BadLine, match=r"huge\.png would become 8000x8000.*--fit"):
        resolved(Request(prompt="x", init_img=path))
    assert size(Request(prompt="x", init_img=path, fit=True)) == (256, 256)


def test_what_is_no_picture_is_refused_before_anything(tmp_path: Path, photo: str) -> None:
    (tmp_path / "text.png").write_text("hello")
    text, gone = str(tmp_path / "text.png"), str(tmp_path / "gone.png")
    for request in (Request(init_img=text), Request(init_img=photo, init_mask=gone)):
        with pytest.raises(InputError):
            resolved(request)
    with pytest.raises(BadLine, match="needs an input image"):
        resolved(Request(prompt="x", init_mask=photo))
    with pytest.raises(BadLine, match="strength takes a number above 0"):
        resolved(Request(prompt="x", init_img=photo, strength=0.0))


def test_a_pasted_address_of_a_file_is_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a b.png"
    Image.new("RGB", (64, 64)).save(path)
    session = fake_session(tmp_path)
    assert session.find_picture(path.as_uri()) == path
    with pytest.raises(BadLine, match="is a URL, not a local file"):
        session.find_picture("https://x.org/a.png")


def test_a_strength_without_a_picture_is_said(photo: str) -> None:
    answer = resolved(Request(prompt="x", strength=0.4))
    assert answer.recipes[0].strength is None and "-f is ignored" in answer.notes[0]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.fixed_dictionaries(
        {},
        optional={
            "strength": st.floats(0, 1, exclude_min=True),
            "width": st.integers(64, 900),
            "height": st.integers(64, 900),
            "fit": st.booleans(),
            "mask": st.booleans(),
            "invert_mask": st.booleans(),
            "inpaint_replace": st.floats(0, 1),
            "mask_blur": st.integers(0, 64),
            "prompt": st.sampled_from(["", "a cat", "a -f cat"]),
            "negative": st.sampled_from(["", "dogs"]),
        },
    ),
    multiple=st.sampled_from([8, 16, 64]),
)
def test_a_settled_recipe_is_written_and_read_and_settled_again(
    photo: str, data: dict[str, Any], multiple: int
) -> None:
    if data.pop("mask", False):
        data["init_mask"] = photo
    info = replace(CARD, multiple=multiple)
    try:
        (recipe,) = resolved(Request(init_img=photo, **data), info).recipes
    except BadLine:
        return  # a side of more than 4096
    line = format_line(recipe.to_request())
    again = resolved(parse_line(line), info)
    assert again.recipes == (recipe,)


def test_minus_one_is_the_last_picture_and_becomes_its_path(tmp_path: Path) -> None:
    session = fake_session(tmp_path)
    (refused,) = made(session, "a cat -I-1")
    assert isinstance(refused, Rejected) and "no image -1 in this session (none so far)" in str(
        refused.error
    )
    first, second = saved(session, "a cat"), saved(session, "a dog")
    assert saved(session, "a bird -I -2").request.init_img == str(first.path)
    line = saved(session, "a fish -I -2 -f .5").line
    assert f'-I"{second.path}"' in line or f"-I{second.path}" in line
    assert session.last is not None and session.last.first.init_img == str(second.path)


def test_a_picture_is_found_in_the_outdir_too(tmp_path: Path) -> None:
    session = fake_session(tmp_path)
    first = saved(session, "a cat")
    assert saved(session, f"a dog -I {first.path.name}").request.init_img == str(first.path)


def test_without_words_a_picture_s_own_are_taken(tmp_path: Path, photo: str) -> None:
    session = fake_session(tmp_path)
    first = saved(session, "a cat [fur] --negative dogs")
    second = saved(session, f"-I {first.path.name} -f.3")
    assert (second.request.prompt, second.request.negative) == ("a cat [fur]", "dogs")
    assert saved(session, "-I -1 -p").path.parent.name == "a cat [fur]"
    assert session.last is not None and session.last.first.prompt == "a cat [fur]"
    notes = [e.text for e in made(session, f"-I {photo}") if isinstance(e, Note)]
    assert "photo.png contains no prompt; generating without a prompt" in notes


def test_the_log_and_the_png_name_what_it_began_from(tmp_path: Path, photo: str) -> None:
    session = fake_session(tmp_path)
    event = saved(session, f"x -I {photo} -M {photo}")
    (line,) = [text for _, text in read_log(session.outdir / LOG_NAME)]
    digest = hash_file(Path(photo))
    values = parse_facts(parse_log_line(line).comment)
    assert (values["init_img"], values["init_mask"]) == (digest[:16], digest[:16])
    assert read_record(event.path).facts["init_img"] == digest


def logged(session: Session) -> str:
    return [text for _, text in read_log(session.outdir / LOG_NAME)][-1]


def test_a_changed_input_is_said_before_the_picture(tmp_path: Path, photo: str) -> None:
    session = fake_session(tmp_path)
    saved(session, f"x -I {photo}")
    line = logged(session)
    assert not [e for e in made(session, line) if "has changed" in str(e)]
    Image.new("RGB", (515, 389), "red").save(photo)
    events = made(session, line)
    values = next(
        n for n, e in enumerate(events) if isinstance(e, Note) and "has changed" in e.text
    )
    assert photo in str(events[values])
    assert values < next(n for n, event in enumerate(events) if isinstance(event, Step))
    again = list(session.verify(session.outdir / LOG_NAME))
    assert any(isinstance(e, Note) and "has changed" in e.text for e in again)


def test_a_missing_input_is_said_and_nothing_is_rendered(tmp_path: Path, photo: str) -> None:
    engine = FakeEngine()
    session = fake_session(tmp_path, engine)
    saved(session, f"x -I {photo}")
    Path(photo).unlink()
    engine.rendered.clear()
    for events in (
        list(session.replay(session.outdir / LOG_NAME)),
        list(session.verify(session.outdir / LOG_NAME)),
    ):
        (refused,) = [event for event in events if isinstance(event, Rejected)]
        assert f"there is no {photo}" in str(refused.error) and refused.number == 1
    assert engine.rendered == []


def test_kept_inputs_make_the_folder_whole_by_itself(tmp_path: Path, photo: str) -> None:
    session = fake_session(tmp_path)
    events = [saved(session, f"x -I {photo} --keep_inputs -S{seed}") for seed in (1, 2)]
    (copy,) = (session.outdir / "inputs").iterdir()
    assert {event.request.init_img for event in events} == {copy.as_posix()}
    assert copy.read_bytes() == Path(photo).read_bytes()
    Path(photo).unlink()
    verified = [
        e for e in session.verify(session.outdir / LOG_NAME) if isinstance(e, Verified | Rejected)
    ]
    assert [isinstance(e, Verified) and e.same for e in verified] == [True, True]


def test_such_a_folder_may_be_moved(
    tmp_path: Path, photo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    session = fake_session(Path("pictures"))
    first = saved(session, f"x -I {photo} --keep_inputs -S1")
    saved(session, f"!fix {first.path} -U2")
    session.outdir.rename("moved")
    Path(photo).unlink()
    (tmp_path / "elsewhere").mkdir()
    for place, log in ((".", "moved"), ("moved", "."), ("elsewhere", "../moved")):
        monkeypatch.chdir(tmp_path / place)
        events = list(fake_session(tmp_path / "other").verify(Path(log) / LOG_NAME))
        assert events[-1] == Note(text=f"2 same, 0 different, in {Path(log) / LOG_NAME}")
        replayed = list(fake_session(tmp_path / "other").replay(Path(log) / LOG_NAME))
        assert sum(isinstance(event, Saved) for event in replayed) == 2
    typed = tmp_path / "moved" / "typed.txt"
    typed.write_text(f"x -I nowhere/{first.path.name}\n")
    (event,) = fake_session(tmp_path / "other").replay(typed)
    assert isinstance(event, Rejected), "only a log's picture is what it was"
    next((tmp_path / "moved" / "inputs").iterdir()).unlink()
    events = list(fake_session(tmp_path / "other").verify(tmp_path / "moved" / LOG_NAME))
    assert isinstance(events[-1], Note) and "1 same, 0 different, 1 failed" in events[-1].text


def test_a_dry_run_shows_the_sizes(tmp_path: Path, photo: str) -> None:
    engine = FakeEngine()
    events = list(fake_session(tmp_path, engine).plan(f"x -I {photo}"))
    (planned,) = [event for event in events if isinstance(event, Planned)]
    assert "-W512 -H384" in planned.line and engine.rendered == []
    assert any(isinstance(event, Note) and "512x384" in event.text for event in events)


def test_a_recipe_without_a_picture_has_no_strength() -> None:
    (recipe,) = resolved(Request(prompt="x")).recipes
    assert isinstance(recipe, Recipe) and (recipe.init_img, recipe.strength) == (None, None)
