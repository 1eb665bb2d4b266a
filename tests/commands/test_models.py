"""The commands about models, over the fake engine; models.toml is real."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dream.commands import COMMANDS, Context, TextOutput, get_questions, run_line
from dream.core.errors import DreamError, ModelError
from dream.core.events import Event, Loading, Note, Rejected
from dream.session import Session
from tests.catalogue.test_control_files import IP_PLUS
from tests.catalogue.test_control_files import SDXL as CONTROLNET_XL
from tests.catalogue.test_control_files import write as write_header
from tests.catalogue.test_detect import FIRST, SD2, VAE, write
from tests.fakes import FakeEngine, fake_session


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.chdir(tmp_path)
    return fake_session(tmp_path, None, "tiny", "large")


def engine(session: Session) -> FakeEngine:
    assert isinstance(session.engine, FakeEngine)
    return session.engine


def events_of(session: Session, line: str) -> list[Event]:
    return list(run_line(Context(session, list, COMMANDS), line))


def notes(session: Session, line: str) -> str:
    return "\n".join(event.text for event in events_of(session, line) if isinstance(event, Note))


def refusal(session: Session, line: str) -> str:
    return str(
        next(event.error for event in events_of(session, line) if isinstance(event, Rejected))
    )


def answered(session: Session, line: str, answer: str) -> tuple[str, ...]:
    """The lines to do instead, after the one question."""
    asking = get_questions(Context(session, list, COMMANDS), line)
    assert "0.0 MB" in next(asking).text
    try:
        asking.send(answer)
    except StopIteration as end:
        done: tuple[str, ...] = end.value
        return done
    raise AssertionError("and another question")


def table(session: Session) -> dict[str, str]:
    (page,) = events_of(session, "!models")
    assert isinstance(page, TextOutput)
    return dict(row for row in page.lines if isinstance(row, tuple))


def toml(tmp_path: Path) -> str:
    return (tmp_path / "models" / "models.toml").read_text("utf-8")


def test_models_says_what_is_where(session: Session, tmp_path: Path) -> None:
    assert list(table(session)) == ["  large", "* tiny"]
    assert table(session)["* tiny"] == "not loaded  sd1  0.0 MB"
    events_of(session, "!switch large")
    events_of(session, '!edit_model large --description "paints large" --family sdxl')
    assert table(session) == {
        "* large": "active      sdxl  0.0 MB  paints large",
        "  tiny": "not loaded  sd1   0.0 MB",
    }
    events_of(session, "a cat -S1 --model tiny")
    engine(session).ready.append("tiny")
    assert table(session)["  tiny"].startswith("in memory  sd1")
    (tmp_path / "models" / "models.toml").write_text("[models.large]\nspeed = 3\n")
    (page,) = events_of(session, "!models")
    assert isinstance(page, TextOutput)
    assert "unknown key speed" in str(page.lines[-1])


def test_models_lists_upscalers_too(session: Session, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "upscalers"
    folder.mkdir()
    names = {"model.0.weight": (64, 3, 3, 3), "model.1.sub.0.RDB1.conv1.0.weight": (32, 64, 3, 3)}
    write(folder / "4x-old.pth", names)
    write(folder / "word.pth", {"emb_params": (4, 768)})
    (page,) = events_of(session, "!models")
    assert isinstance(page, TextOutput)
    assert "upscalers:" in page.lines
    assert table(session)["  4x-old"].split() == ["ESRGAN", "0.0", "MB"]
    assert "word.pth is an embedding, not an upscaler" in str(page.lines[-1])
    assert "word" not in str(page.lines[:-1])


def test_models_lists_face_restorers_too(session: Session, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "faces"
    folder.mkdir()
    names = ("toRGB.0.weight", "stylegan_decoder.style_mlp.1.weight", "final_linear.weight")
    write(folder / "GFPGANv1.3.pth", {name: (4, 4) for name in names})
    heads = ("ClassHead.0.conv1x1.weight", "LandmarkHead.0.conv1x1.weight")
    write(folder / "detection_Resnet50_Final.pth", {name: (4, 4, 1, 1) for name in heads})
    write(folder / "codeformer.pth", {"emb_params": (4, 768)})
    (page,) = events_of(session, "!models")
    assert isinstance(page, TextOutput) and "faces:" in page.lines
    rows = table(session)
    assert rows["  GFPGANv1.3"].split() == ["GFPGAN", "0.0", "MB"]
    assert rows["  RetinaFace"].split()[0] == "RetinaFace"
    assert "codeformer.pth is an embedding, not a face restorer" in str(page.lines[-1])


def test_models_lists_the_control_models_with_what_they_are_for(session: Session) -> None:
    folder = session.registry.models_dirs[0] / "controlnet"
    write_header(folder / "sdxl_depth.safetensors", CONTROLNET_XL)
    write_header(folder / "ip-adapter.safetensors", IP_PLUS)
    (folder / "torn.pth").write_bytes(b"<html>")
    (page,) = events_of(session, "!models")
    assert isinstance(page, TextOutput) and "control models:" in page.lines
    assert table(session)["  sdxl_depth"] == "  sdxl controlnet  2.6 MB  depth"
    assert "  ip-adapter" not in table(session)
    assert any("torn.pth is a web page" in str(line) for line in page.lines)


def test_switch_loads_and_stays(session: Session) -> None:
    events = events_of(session, "!switch large")
    assert isinstance(events[0], Loading)
    events_of(session, "a cat -S1")
    events_of(session, "a dog -S2 --model tiny")
    events_of(session, "a cow -S3")
    assert [recipe.model for recipe in engine(session).rendered] == ["large", "tiny", "large"]


def test_what_cannot_be_loaded_leaves_the_former_one(session: Session) -> None:
    events_of(session, "!switch large")
    broken: DreamError = ModelError("it is torn")
    engine(session).load_fails = lambda model: broken
    events = events_of(session, "!switch tiny")
    assert [type(event) for event in events[1:]] == [Rejected, Note]
    assert "still using large" in str(events[-1])
    assert engine(session).warmed[-1] == "large"
    assert session.base.model == "large"


def test_switch_names_the_nearest(session: Session) -> None:
    assert "did you mean large" in refusal(session, "!switch larg")
    assert "needs the name of a model" in refusal(session, "!switch")
    assert session.base.model is None


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        ("steps 7", "steps = 7"),
        ("sampler k_dpmpp_2m", 'sampler = "dpmpp_2m"'),
        ("cfg_scale 4.5", "cfg_scale = 4.5"),
        ("default true", "default = true"),
        ("description two words", 'description = "two words"'),
    ],
)
def test_edit_writes_models_toml(session: Session, tmp_path: Path, edit: str, line: str) -> None:
    assert "large's" in notes(session, f"!edit_model large {edit}")
    assert toml(tmp_path) == f"[models.large]\n{line}\n"
    assert session.registry.check_models() == ()
    notes(session, f"!edit_model large {edit.split()[0]} none")
    assert toml(tmp_path) == "[models.large]\n"


def test_several_things_are_said_at_once(session: Session, tmp_path: Path) -> None:
    line = "!edit_model large --steps=7 --cfg-scale 4 --description of two words --default"
    assert "large's steps is 7, cfg_scale is 4, description is of two" in notes(session, line)
    info = session.registry.get_model("large")
    assert (info.steps, info.cfg_scale, info.description) == (7, 4.0, "of two words")
    assert session.registry.get_default_model() == "large"
    assert "“speed” is not a field" in refusal(session, "!edit_model large --steps 9 --speed 3")
    assert session.registry.get_model("large").steps == 7, "all or nothing"
    (page,) = events_of(session, "!edit_model large")
    assert isinstance(page, TextOutput)
    assert ("  path", str(tmp_path / "models" / "large")) in page.lines
    assert ("  steps", "7") in page.lines


def test_a_model_gets_another_name_and_the_session_goes_on(session: Session) -> None:
    for line in ("!switch large", "!edit_model large --steps 7", "a cat -S1"):
        events_of(session, line)
    assert "lines with the name large still work" in notes(session, "!edit_model large --name huge")
    assert list(table(session)) == ["* huge", "  tiny"]
    assert table(session)["* huge"].startswith("active")
    events_of(session, "a dog -S2")
    events_of(session, "a cow -S3 --model large")
    assert [(r.model, r.steps) for r in engine(session).rendered[1:]] == [("huge", 7)] * 2
    assert "model tiny already exists" in refusal(session, "!edit_model huge --name tiny")
    assert "name takes a new name" in refusal(session, '!edit_model huge name ""')


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        ("large steps", "usage: !edit_model NAME FIELD VALUE"),
        ("large speed 3", "“speed” is not a field of a model; the fields are description"),
        ("large steps many", "steps takes a whole number"),
        ("large default maybe", "true or false"),
        ("large path nowhere", "does not exist"),
        ("larg steps 3", "did you mean large"),
        ("", "usage: !edit_model NAME --FIELD VALUE"),
        ("large --steps", "--steps needs a whole number"),
        ("large --ema", "has no EMA weights"),
        ("large vae nosuch", 'there is no VAE "nosuch"'),
        ("large --family sd9", "family takes one of sd1 sd2 sdxl"),
    ],
)
def test_edit_refuses_what_would_not_be_read(session: Session, edit: str, why: str) -> None:
    assert why in refusal(session, f"!edit_model {edit}")


def test_a_vae_said_by_its_path_is_found_from_everywhere(session: Session, tmp_path: Path) -> None:
    write(tmp_path / "my.vae.pt", VAE)
    notes(session, "!edit_model large vae models/../my.vae.pt")
    assert session.registry.get_model("large").vae == str(tmp_path / "my.vae.pt")
    notes(session, "!edit_model large vae none")
    assert session.registry.get_model("large").vae == ""


def test_what_a_file_was_taken_for_is_shown(session: Session, tmp_path: Path) -> None:
    write(tmp_path / "models" / "filling.safetensors", SD2 | {FIRST: (320, 9, 3, 3)})
    notes(session, "!edit_model filling --prediction v_prediction --family sd1")
    (page,) = events_of(session, "!edit_model filling")
    assert isinstance(page, TextOutput)
    assert ("  prediction", "v_prediction") in page.lines
    assert ("  detected as", "sd2 inpainting, predicts epsilon") in page.lines


def test_deleting_files_is_asked_first(session: Session, tmp_path: Path) -> None:
    events_of(session, "!edit_model large steps 7")
    assert answered(session, "!del_model large", "n") == ("!del_model large",)
    assert answered(session, "!del_model large --files", "n") == ()
    for typed in ("", " --files", " --files --yes"):
        confirmed = ("!del_model large --files --yes",)
        assert answered(session, f"!del_model large{typed}", "y") == confirmed
    assert "to delete" in notes(session, "!del_model large")
    assert toml(tmp_path).strip() in ("", "[models]")
    assert (tmp_path / "models" / "large").is_dir()
    message = refusal(session, "!del_model large --files")
    assert "this deletes" in message and "confirm with --files --yes" in message
    assert (tmp_path / "models" / "large").is_dir(), "nobody was asked"
    events_of(session, "!del_model large --files --yes")
    assert not (tmp_path / "models" / "large").exists()
    assert list(table(session)) == ["* tiny"]


def test_files_outside_the_models_folders_are_never_deleted(
    session: Session, tmp_path: Path
) -> None:
    outside = tmp_path / "elsewhere" / "mine"
    outside.mkdir(parents=True)
    index = outside / "model_index.json"
    index.write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))
    (tmp_path / "models" / "linked").symlink_to(outside)
    (tmp_path / "models" / "models.toml").write_text(f'[models.listed]\npath = "{outside}"\n')
    assert "is not deleted" in refusal(session, "!del_model listed --files")
    with pytest.raises(StopIteration, match="!del_model listed"):
        next(get_questions(Context(session, list, COMMANDS), "!del_model listed"))
    events_of(session, "!del_model listed")
    events_of(session, "!del_model linked --files --yes")
    assert index.is_file()
    assert list(table(session)) == ["  large", "* tiny"]


@pytest.mark.parametrize(
    ("path", "holds", "why"),
    [
        ("thesis", "chapter.tex", "has no model_index.json"),
        (".", "model_index.json", "/models ("),
        ("..", "model_index.json", "it contains"),
        ("work", "model_index.json", "it contains"),
    ],
)
def test_a_folder_that_is_no_model_is_never_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, holds: str, why: str
) -> None:
    models = tmp_path / "models"
    (models / path).mkdir(parents=True, exist_ok=True)
    (models / path / holds).write_text("{}")
    (models / "models.toml").write_text(f'[models.mine]\npath = "{path}"\n')
    here = models / "work" / "here"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    session = fake_session(tmp_path, None, "tiny", "large")
    session.registry = replace(session.registry, models_dirs=(models, tmp_path))
    for line in ("!del_model mine --files", "!del_model mine --files --yes"):
        assert why in refusal(session, line)
        with pytest.raises(StopIteration, match="!del_model mine"):
            next(get_questions(Context(session, list, COMMANDS), line))
    with pytest.raises(StopIteration, match="'!del_model mine'"):
        next(get_questions(Context(session, list, COMMANDS), "!del_model mine"))
    assert (models / path / holds).exists()


def test_the_model_that_paints_is_not_deleted(session: Session) -> None:
    assert "!switch to another model first" in refusal(session, "!del_model tiny --files")
    assert "did you mean" in refusal(session, "!del_model larg")


def test_only_the_shipped_model_stays_whatever_it_is_called(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules["dream.commands.delete_model"]  # by its name there is the command
    monkeypatch.setattr(module, "get_shipped_models_dir", lambda: tmp_path / "models")
    for line in ("!switch large", "!edit_model tiny --name mine"):
        events_of(session, line)
    assert "is part of dream and is not deleted" in refusal(session, "!del_model mine --files")
    for line in ("!switch mine", "!del_model large --files --yes"):
        events_of(session, line)
    assert list(table(session)) == ["* mine"], "what lies beside it in a checkout is the user's"


def test_only_a_single_file_is_optimized(session: Session) -> None:
    assert "is already a folder in diffusers layout" in refusal(session, "!optimize_model large")


def test_a_vae_for_all_lines(session: Session, tmp_path: Path) -> None:
    (tmp_path / "models" / "VAE").mkdir()
    write(tmp_path / "models" / "VAE" / "soft.safetensors", VAE)
    assert "did you mean soft" in refusal(session, "!vae sofd")
    (page,) = events_of(session, "!vae")
    assert isinstance(page, TextOutput) and "  soft" in page.lines
    for line in ("!vae soft", "a cat -S1", "a cat -S1 --vae=none", "!vae none", "a cat -S1"):
        events_of(session, line)
    assert [recipe.vae for recipe in engine(session).rendered] == ["soft", None, None]
