from __future__ import annotations

import os
import stat
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from dream.catalogue import ModelRegistry, models_toml_writer
from dream.catalogue.models_toml_writer import remove_entry, rename_entry, set_values
from dream.core.errors import ModelError
from tests.catalogue.conftest import MakeModel

BY_HAND = """\
# mine, all mine
[models.some]   # the good one
steps = 5       # quick
default = true

[models.other]
cfg_scale = 4.0
"""


def test_what_a_person_wrote_stays_but_for_what_is_changed(tmp_path: Path) -> None:
    file = tmp_path / "models.toml"
    file.write_text(BY_HAND, "utf-8")
    file.chmod(0o640)
    assert set_values((tmp_path,), "some", {"steps": 9, "description": 'a "new" 月'}) == file
    changed = BY_HAND.replace("steps = 5 ", "steps = 9 ").replace(
        "default = true\n", 'default = true\ndescription = "a \\"new\\" 月"\n'
    )
    assert file.read_text("utf-8") == changed
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["models.toml"], "no litter"


def test_one_model_is_the_default(tmp_path: Path) -> None:
    file = tmp_path / "models.toml"
    file.write_text(BY_HAND, "utf-8")
    set_values((tmp_path,), "other", {"default": True})
    text = file.read_text("utf-8")
    assert text.count("default") == 1 and text.endswith("default = true\n")
    assert "# the good one" in text
    set_values((tmp_path,), "other", {"default": None, "cfg_scale": None})
    assert file.read_text("utf-8").endswith("[models.other]\n")


def test_a_new_entry_names_its_model_wherever_it_lies(
    tmp_path: Path, make_model: MakeModel
) -> None:
    models = tmp_path / "models"
    inside = make_model(models / "deep" / "some")
    outside = make_model(tmp_path / "else where" / "other")
    set_values((models,), "in", {"path": inside})
    set_values((models,), "out.1", {"path": outside, "steps": 7})
    assert 'path = "deep/some"' in (models / "models.toml").read_text("utf-8")
    registry = ModelRegistry((models,))
    assert registry.get_model("in").path == inside
    assert (registry.get_model("out.1").path, registry.get_model("out.1").steps) == (outside, 7)
    assert registry.get_model(str(outside)).name == "out.1"
    assert [info.name for info in registry.list_models()] == ["in", "out.1"]
    assert registry.check_models() == ()
    assert remove_entry((models,), "in") and not remove_entry((models,), "in")
    assert [info.name for info in registry.list_models()] == ["out.1"]


def test_the_file_that_speaks_of_a_model_is_the_one_changed(tmp_path: Path) -> None:
    near, far = tmp_path / "near", tmp_path / "far"
    far.mkdir()
    (far / "models.toml").write_text("[models.some]\nsteps = 5\n", "utf-8")
    assert set_values((near, far), "some", {"steps": 6}).parent == far
    assert set_values((near, far), "new", {"steps": 6}).parent == near


@pytest.mark.parametrize("text", ["[models.some", "models = 3\nmodels = 4"])
def test_a_broken_file_is_not_written_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "models.toml").write_text(text, "utf-8")
    with pytest.raises(ModelError, match="cannot be read"):
        set_values((tmp_path,), "some", {"steps": 6})
    assert (tmp_path / "models.toml").read_text("utf-8") == text


@pytest.mark.parametrize("text", ["models = 3", "[models]\nsome = 3"])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "models.toml").write_text(text, "utf-8")
    with pytest.raises(ModelError, match="is not a table"):
        set_values((tmp_path,), "some", {"steps": 6})
    assert (tmp_path / "models.toml").read_text("utf-8") == text


def test_an_entry_that_another_program_has_just_removed_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_values((tmp_path,), "some", {"steps": 9})
    locked = models_toml_writer.edit_locked
    text = (tmp_path / "models.toml").read_text("utf-8")

    def lock_late(file: Path) -> AbstractContextManager[Path]:
        file.write_text("", "utf-8")
        return locked(file)

    monkeypatch.setattr(models_toml_writer, "edit_locked", lock_late)
    assert not remove_entry((tmp_path,), "some")
    (tmp_path / "models.toml").write_text(text, "utf-8")
    rename_entry((tmp_path,), "some", "new", tmp_path)
    assert "[models.new]" in (tmp_path / "models.toml").read_text("utf-8")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_not_written_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "models.toml")
    with pytest.raises(ModelError, match="it is not a regular file"):
        set_values((tmp_path,), "some", {"steps": 6})
    assert stat.S_ISFIFO((tmp_path / "models.toml").lstat().st_mode)


def test_a_path_where_nothing_lies_is_complained_about(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text('[models.some]\npath = "nowhere"\n', "utf-8")
    (complaint,) = ModelRegistry((tmp_path,)).check_models()
    assert "path = 'nowhere', but it does not exist" in complaint


def test_a_path_to_a_folder_of_models_is_no_model(tmp_path: Path, make_model: MakeModel) -> None:
    make_model(tmp_path / "some")
    (tmp_path / "models.toml").write_text('\ufeff[models.all]\npath = "."\nvae = ["x"]\n', "utf-8")
    registry = ModelRegistry((tmp_path,))
    assert [info.name for info in registry.list_models()] == ["some"]
    assert "is not a model in diffusers layout" in registry.check_models()[0]
    assert "vae = ['x'], but it takes" in registry.check_models()[1]
    set_values((tmp_path,), "all", {"path": tmp_path / "some", "vae": None})
    assert registry.get_model("all").path == tmp_path / "some" and registry.check_models() == ()


def test_files_are_found_where_others_keep_them(tmp_path: Path) -> None:
    for place in (
        "top.ckpt",
        "top.safetensors",
        "Stable-diffusion/a1.ckpt",
        "models/Stable-diffusion/deep/a2.safetensors",
        "ldm/stable-diffusion-v1/model.ckpt",
        "VAE/soft.vae.pt",
        "models/VAE/sharp.safetensors",
        "models/Lora/style.safetensors",
        "upscalers/up.safetensors",
        "embeddings/word.pt",
    ):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(b"")
    registry = ModelRegistry((tmp_path,))
    assert sorted(registry.find_paths()) == ["a1", "a2", "stable-diffusion-v1", "top"]
    assert registry.find_paths()["top"].suffix == ".safetensors"
    assert registry.list_vaes() == ("sharp", "soft")
    assert registry.get_vae("soft") == tmp_path / "VAE" / "soft.vae.pt"
    assert registry.get_vae(str(tmp_path / "top.safetensors")) == tmp_path / "top.safetensors"
    with pytest.raises(ModelError, match="did you mean soft"):
        registry.get_vae("sofd")
    assert registry.list_models() == () and len(registry.check_models()) == 6, (
        "none of them holds anything"
    )


def test_averages_are_asked_for_only_where_a_file_has_them(
    tmp_path: Path, make_model: MakeModel
) -> None:
    make_model(tmp_path / "some")
    registry, file = ModelRegistry((tmp_path,)), tmp_path / "models.toml"
    file.write_text("[models.some]\nema = true\n", "utf-8")
    assert "ema = true, but" in registry.check_models()[0] and not registry.get_model("some").ema
    file.write_text("[models.some]\nema = 1\n", "utf-8")
    assert registry.check_models()[0].endswith("ema = 1, but it takes true or false")


@pytest.mark.parametrize("new", ["better", "a b.c"])
def test_a_model_is_called_otherwise_and_understood_by_its_former_name(
    tmp_path: Path, make_model: MakeModel, new: str
) -> None:
    make_model(tmp_path / "some")
    file = tmp_path / "models.toml"
    file.write_text(BY_HAND, "utf-8")
    assert rename_entry((tmp_path,), "some", new, tmp_path / "some") == file
    registry = ModelRegistry((tmp_path,))
    header = "[models.better]" if new == "better" else '[models."a b.c"]'
    rows = 'path = "some"\nformerly = ["some"]\n'
    expected = BY_HAND.replace("[models.some]", header).replace("true\n", f"true\n{rows}")
    assert file.read_text("utf-8") == expected
    assert [info.name for info in registry.list_models()] == [new] == [registry.get_default_model()]
    assert (
        registry.get_model("some")
        == registry.get_model(new)
        == registry.get_model(str(tmp_path / "some"))
    )
    assert registry.get_model("some").steps == 5
    rename_entry((tmp_path,), new, "third", tmp_path / "some")
    assert {registry.get_model(name).name for name in ("some", new, "third")} == {"third"}
    rename_entry((tmp_path,), "third", "some", tmp_path / "some")
    assert [info.name for info in registry.list_models()] == ["some"]
    assert registry.get_model("third").name == "some" and registry.check_models()[1:] == ()


@pytest.mark.parametrize(
    "text",
    [
        "[models]\nsome.steps = 5 # quick\n",
        "[models]\nsome = {steps = 5} # quick\n",
        "[models.other]\n[else]\n[ models . 'some' ]\nsteps = 5 # quick\n",
        '[models.other]\ndescription = """\n[models.some]\n"""\n[models.some]\nsteps = 5 # quick\n',
    ],
)
def test_however_an_entry_is_written_it_is_renamed(
    tmp_path: Path, make_model: MakeModel, text: str
) -> None:
    make_model(tmp_path / "some")
    (tmp_path / "models.toml").write_text(text, "utf-8")
    rename_entry((tmp_path,), "some", "better", tmp_path / "some")
    info = ModelRegistry((tmp_path,)).get_model("some")
    assert (info.name, info.steps) == ("better", 5)
    written = (tmp_path / "models.toml").read_text("utf-8")
    assert "# quick" in written and ('"""\n[models.some]\n"""' in written) == ('"""' in text)


def test_a_former_name_is_no_other_model_s(tmp_path: Path, make_model: MakeModel) -> None:
    """Another model that comes to be called so is itself; a list that is none is complained of."""
    make_model(tmp_path / "some")
    rename_entry((tmp_path,), "some", "better", tmp_path / "some")
    (tmp_path / "some").rename(tmp_path / "moved")
    make_model(tmp_path / "some")
    set_values((tmp_path,), "better", {"path": tmp_path / "moved"})
    registry = ModelRegistry((tmp_path,))
    assert [info.name for info in registry.list_models()] == ["better", "some"]
    assert registry.get_model("some").path == tmp_path / "some"
    (tmp_path / "models.toml").write_text('[models.some]\nformerly = "x"\n', "utf-8")
    assert "takes a list of names" in registry.check_models()[0]
