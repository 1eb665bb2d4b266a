"""Lines with --control: which control model serves each image, what is refused before anything is
loaded, and the log."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from dream.core.events import Event, Failed, Note, Rejected, Saved
from dream.core.recipe import Recipe
from dream.gallery import LOG_NAME, read_log
from dream.line import parse_facts, parse_line, parse_log_line
from dream.options.control import Control
from dream.session import Session
from tests.fakes import FakeEngine, fake_session


def add_controlnet(models: Path, name: str, width: int = 768) -> None:
    """A folder that says what it is; its weights are not a ControlNet's."""
    folder = models / "controlnet" / name
    folder.mkdir(parents=True)
    config = {"_class_name": "ControlNetModel", "cross_attention_dim": width}
    (folder / "config.json").write_text(json.dumps(config))
    save_file({"x": np.zeros(1, np.float32)}, folder / "diffusion_pytorch_model.safetensors")


@pytest.fixture
def session(tmp_path: Path) -> Session:
    session = fake_session(tmp_path, FakeEngine())
    models = tmp_path / "models"
    (models / "models.toml").write_text('[models.tiny]\nfamily = "sd1"\n')
    for name in ("sd15-canny", "sd15-depth"):
        add_controlnet(models, name)
    add_controlnet(models, "sdxl-canny", 2048)
    for name in ("a", "my b"):
        Image.new("RGB", (96, 64), "red" if name == "a" else "blue").save(tmp_path / f"{name}.png")
    (tmp_path / "text.png").write_text("no image")
    return session


def saved(session: Session, line: str) -> Saved:
    events: list[Event] = list(session.make(line))
    assert not [e for e in events if isinstance(e, Rejected | Failed)], events
    return next(event for event in events if isinstance(event, Saved))


def refusal(session: Session, line: str) -> str:
    return " ".join(str(e) for e in session.make(line) if isinstance(e, Rejected | Failed))


def rendered(session: Session) -> Recipe:
    engine = session.engine
    assert isinstance(engine, FakeEngine)
    return engine.rendered[-1]


def test_each_image_gets_the_model_for_its_kind_and_the_log_names_it(
    session: Session, tmp_path: Path
) -> None:
    saved(session, f'x --control depth={tmp_path}/a.png:0.5 --control "canny={tmp_path}/my b.png"')
    recipe = rendered(session)
    assert recipe.control_model == ("sd15-depth", "sd15-canny")
    ((_, logged),) = read_log(session.outdir / LOG_NAME)
    again = parse_line(logged)
    assert again.control == (
        Control("depth", f"{tmp_path}/a.png", 0.5),
        Control("canny", f"{tmp_path}/my b.png"),
    )
    assert again.control_model == ("sd15-depth", "sd15-canny")
    saved(session, logged)
    assert rendered(session) == recipe


def test_another_model_is_used_where_the_line_names_it(session: Session, tmp_path: Path) -> None:
    saved(session, f"x --control canny={tmp_path}/a.png --control_model sd15-depth")
    assert rendered(session).control_model == ("sd15-depth",)
    both = f"x --control canny={tmp_path}/a.png depth={tmp_path}/a.png"
    saved(session, f"{both} --control_model sd15-depth --control_mode prompt --control_raw")
    recipe = rendered(session)
    assert recipe.control_model == ("sd15-depth", "sd15-depth")
    assert (recipe.control_mode, recipe.control_raw) == ("prompt", True)
    saved(session, f"{both} --control_mode balanced")
    assert rendered(session).control_mode is None


def list_notes(session: Session, line: str) -> list[str]:
    return [event.text for event in session.make(line) if isinstance(event, Note)]


def test_a_model_for_another_kind_is_used_with_a_note(session: Session, tmp_path: Path) -> None:
    line = f"x -W96 -H64 --control canny={tmp_path}/a.png:0.5 --control_model"
    said = "sd15-depth is for depth, not for canny"
    assert said in list_notes(session, f"{line} sd15-depth -n2")
    assert not [note for note in list_notes(session, f"{line} sd15-canny") if "is for" in note]


def test_a_model_for_texts_of_another_width_is_left_out(session: Session, tmp_path: Path) -> None:
    unet = tmp_path / "models" / "tiny" / "unet"
    unet.mkdir(exist_ok=True)
    config = {"cross_attention_dim": 128, "down_block_types": ["CrossAttnDownBlock2D"]}
    (unet / "config.json").write_text(json.dumps(config))
    line = f"x --control canny={tmp_path}/a.png"
    assert "no control model for canny" in refusal(session, line)
    named = refusal(session, f"{line} --control_model sd15-canny")
    assert "a width of 768; the model's has 128" in named
    add_controlnet(tmp_path / "models", "own-canny", 128)
    saved(session, line)
    assert rendered(session).control_model == ("own-canny",)
    config["cross_attention_dim"] = 768
    (unet / "config.json").write_text(json.dumps(config))
    saved(session, line)
    assert rendered(session).control_model == ("sd15-canny",)


def test_the_last_image_can_be_one(session: Session, tmp_path: Path) -> None:
    first = saved(session, "x -S1")
    saved(session, "x -S2 --control depth=-1:0.5")
    assert rendered(session).control == (Control("depth", str(first.path), 0.5),)


@pytest.mark.parametrize(
    ("switches", "says"),
    [
        ("--control canny=none.png", "none.png"),
        ("--control canny=text.png", "text.png"),
        ("--control canny=-1", "there is no image -1"),
        ("--control canny=https://example.org/a.png", "is a URL"),
        ("--control pose=a.png", "no control model for pose and Stable Diffusion 1"),
        ("--control canny=a.png --control_model none", "no control model"),
        ("--control canny=a.png --control_model sdxl-canny", "Stable Diffusion XL"),
        ("--control canny=a.png --control_model sd15-canny sd15-depth", "2 control models for 1"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_loaded(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, switches: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert says in refusal(session, f"x {switches}")
    engine = session.engine
    assert isinstance(engine, FakeEngine) and not engine.rendered


def test_a_family_without_control_says_so(session: Session, tmp_path: Path) -> None:
    (tmp_path / "models" / "models.toml").write_text('[models.tiny]\nfamily = "pixart"\n')
    assert "does not support --control" in refusal(session, f"x --control canny={tmp_path}/a.png")


def test_settings_without_a_control_image_are_ignored_with_a_note(session: Session) -> None:
    notes = [e.text for e in session.make("x --control_raw") if isinstance(e, Note)]
    assert "--control_raw ignored: there is no control image (--control)" in notes
    assert not rendered(session).control_raw


@pytest.mark.parametrize(
    ("switches", "says"),
    [
        ("--control canny=a.png -W96 -H64", ""),
        ("--control canny=a.png -W192 -H128", ""),
        ("--control canny=a.png depth=a.png -W64 -H64", "a.png is cropped to the shape of 64x64"),
        (
            '--control canny=a.png "depth=my b.png" -W64 -H64',
            "a.png and my b.png are cropped to the shape of 64x64",
        ),
        ("--control canny=a.png -I a.png", ""),
    ],
)
def test_control_images_of_another_shape_are_named(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, switches: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    notes = [e.text for e in session.make(f"x {switches}") if isinstance(e, Note)]
    assert [note for note in notes if "cropped" in note] == ([says] if says else [])


def test_fix_has_no_control(session: Session, tmp_path: Path) -> None:
    line = f"!fix {tmp_path}/a.png -U2 --control canny={tmp_path}/a.png"
    assert "--control is not supported with !fix" in refusal(session, line)


def test_hashes_are_in_the_log_and_a_changed_image_or_model_is_named(
    session: Session, tmp_path: Path
) -> None:
    a, b = tmp_path / "a.png", tmp_path / "my b.png"
    saved(session, f'x --control canny={a} "depth={b}"')
    ((_, logged),) = read_log(session.outdir / LOG_NAME)
    hashes = parse_facts(parse_log_line(logged).comment)["control"].split(",")
    assert [len(digest) for digest in hashes] == [16, 16] and len(set(hashes)) == 2
    logged = f"{logged} control_model:{'0' * 16},{'1' * 16}"
    Image.new("RGB", (96, 64), "lime").save(b)
    notes = [e.text for e in session.make(logged) if isinstance(e, Note)]
    changed = [note for note in notes if "has changed" in note]
    assert len(changed) == 3
    assert [note for note in changed if str(b) in note and str(a) not in note]
    assert [note for note in changed if note.startswith("the control model sd15-canny")]
