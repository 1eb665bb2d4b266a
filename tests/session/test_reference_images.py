"""Lines with reference images (-ref): which models take them, the size that follows, the log."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dream.catalogue.model_info import ModelInfo
from dream.core.errors import BadLine
from dream.core.events import Event, Note, Rejected, Saved
from dream.core.request import Request
from dream.gallery import LOG_NAME, read_log, read_record
from dream.line import parse_facts, parse_line, parse_log_line
from dream.session import ResolvedRequest, Session, resolve
from tests.fakes import FakeEngine, fake_session

KLEIN = ModelInfo(
    name="klein", path=Path("klein"), family="flux2", width=256, height=256, multiple=16
)
EDIT = replace(KLEIN, name="qwen", family="qwen-image", edits="edit")


@pytest.fixture
def photo(tmp_path: Path) -> str:
    Image.new("RGB", (515, 389), "blue").save(tmp_path / "photo.png")
    return str(tmp_path / "photo.png")


def resolved(info: ModelInfo, **values: Any) -> ResolvedRequest:
    return resolve(Request(prompt="x", **values), lambda name: info, (), lambda: 7)


@pytest.mark.parametrize(
    ("values", "becomes", "said"),
    [
        ({}, (288, 208), True),
        ({"width": 128}, (128, 96), True),
        ({"width": 512, "height": 64}, (512, 64), False),
    ],
)
def test_the_size_follows_the_first_image(
    photo: str, tmp_path: Path, values: dict[str, Any], becomes: tuple[int, int], said: bool
) -> None:
    Image.new("RGB", (64, 256)).save(tmp_path / "tall.png")
    answer = resolved(KLEIN, reference=(photo, str(tmp_path / "tall.png")), **values)
    (recipe,) = answer.recipes
    assert (recipe.width, recipe.height) == becomes
    assert bool(answer.notes) is said
    assert recipe.strength is None
    (again,) = resolve(recipe.to_request(), lambda name: KLEIN, (), lambda: 8).recipes
    assert again == recipe


def test_an_image_that_fits_keeps_its_size(tmp_path: Path) -> None:
    Image.new("RGB", (128, 96)).save(tmp_path / "small.png")
    answer = resolved(KLEIN, reference=(str(tmp_path / "small.png"),))
    assert [(r.width, r.height) for r in answer.recipes] == [(128, 96)] and not answer.notes


@pytest.mark.parametrize(
    ("info", "count", "message"),
    [
        (replace(KLEIN, family="z-image"), 1, "klein does not take reference images (-ref)"),
        (
            replace(EDIT, edits=""),
            1,
            "FLUX.1 Kontext, FLUX.2 klein, FLUX.2 dev, Qwen-Image-Edit-2509",
        ),
        (EDIT, 2, "qwen takes one reference image, not 2 (remove some)"),
        (KLEIN, 11, "klein takes at most 10 reference images, not 11"),
        (replace(EDIT, edits="edit-plus"), 4, "qwen takes at most 3 reference images, not 4"),
    ],
)
def test_models_that_take_none_or_fewer_refuse_them(
    photo: str, info: ModelInfo, count: int, message: str
) -> None:
    with pytest.raises(BadLine) as caught:
        resolved(info, reference=(photo,) * count)
    assert message in str(caught.value)


def test_the_input_image_is_one_of_them(photo: str) -> None:
    (recipe,) = resolved(KLEIN, init_img=photo, reference=(photo,) * 9).recipes
    assert (recipe.width, recipe.height) == (512, 384)
    with pytest.raises(BadLine, match="-I is one of them"):
        resolved(EDIT, init_img=photo, reference=(photo,))


def klein_session(folder: Path) -> Session:
    session = fake_session(folder, FakeEngine())
    (folder / "models" / "models.toml").write_text('[models.tiny]\nfamily = "flux2"\n')
    for name in ("a", "b c"):
        Image.new("RGB", (96, 64), "red" if name == "a" else "blue").save(folder / f"{name}.png")
    return session


def saved(session: Session, line: str) -> Saved:
    events: list[Event] = list(session.make(line))
    assert not [event for event in events if isinstance(event, Rejected)], events
    return next(event for event in events if isinstance(event, Saved))


def test_hashes_are_in_the_log_and_a_changed_file_is_said(tmp_path: Path) -> None:
    session = klein_session(tmp_path)
    a, b = tmp_path / "a.png", tmp_path / "b c.png"
    event = saved(session, f'x -ref {a} "{b}"')
    ((_, logged),) = read_log(session.outdir / LOG_NAME)
    hashes = parse_facts(parse_log_line(logged).comment)["reference"].split(",")
    assert [len(digest) for digest in hashes] == [16, 16]
    record = read_record(event.path)
    assert record.facts is not None
    assert [digest[:16] for digest in record.facts["reference"].split(",")] == hashes
    assert parse_line(logged).reference == (str(a), str(b))
    Image.new("RGB", (96, 64), "lime").save(b)
    notes = [e.text for e in session.make(logged) if isinstance(e, Note)]
    assert [n for n in notes if "has changed" in n and str(b) in n]
    assert not [n for n in notes if "has changed" in n and str(a) in n]


def test_orders_are_different_recipes_and_the_last_image_can_be_one(tmp_path: Path) -> None:
    session = klein_session(tmp_path)
    a, b = tmp_path / "a.png", tmp_path / "b c.png"
    first = saved(session, f'x -S1 -ref {a} "{b}"')
    saved(session, f'x -S1 -ref "{b}" -1')
    engine = session.engine
    assert isinstance(engine, FakeEngine)
    recipes = engine.rendered
    assert [recipe.reference for recipe in recipes] == [
        (str(a), str(b)),
        (str(b), str(first.path)),
    ]


def test_files_are_found_by_hash_beside_a_log_that_was_moved(tmp_path: Path) -> None:
    session = klein_session(tmp_path)
    event = saved(session, f'x -ref {tmp_path / "a.png"} "{tmp_path / "b c.png"}" --keep_inputs')
    for name in ("a.png", "b c.png"):
        (tmp_path / name).unlink()
    moved = event.path.parent.rename(tmp_path / "moved")
    events = list(session.replay(moved / "dream_log.txt"))
    assert [e for e in events if isinstance(e, Saved)], events
    assert not [e for e in events if isinstance(e, Note) and "has changed" in e.text]
