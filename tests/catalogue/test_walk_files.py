"""Folders of people's files: links, what cannot be read, and more than is looked at."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from dream.catalogue import ModelRegistry, walk_files
from dream.catalogue.adapter_files import EMBEDDING, HYPERNET, LORA, find_adapters
from dream.catalogue.companions import list_weight_files
from dream.catalogue.control_files import find_control_models
from dream.catalogue.discovery import find_recursive
from dream.catalogue.face_models import list_face_models
from dream.catalogue.image_prompt_files import find_image_prompt_models
from dream.catalogue.unlisted import find_unlisted
from dream.catalogue.upscalers import find_upscalers
from dream.catalogue.vaes import find_vaes
from dream.catalogue.walk_files import list_matches


def add(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def names(folder: Path, *, through_links: bool = True) -> list[str]:
    found = walk_files.walk_files(folder, 8, through_links=through_links)
    return [path.relative_to(folder).as_posix() for path in found]


def test_a_linked_folder_is_walked_and_a_circle_is_not(tmp_path: Path) -> None:
    folder, other = tmp_path / "loras", tmp_path / "other"
    add(folder / "a.safetensors")
    add(other / "in" / "b.safetensors")
    (folder / "link").symlink_to(other)
    (folder / "twice").symlink_to(other)
    (other / "in" / "back").symlink_to(folder)
    (other / "in" / "self").symlink_to(".")
    (other / "broken").symlink_to("nowhere")
    linked = [f"{name}/in/b.safetensors" for name in ("link", "twice")]
    assert names(folder) == ["a.safetensors", *linked]
    assert names(folder, through_links=False) == ["a.safetensors"]


def test_a_walk_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links that fan out have 8⁸ paths."""
    monkeypatch.setattr(walk_files, "_MOST_ENTRIES", 500)
    for level in range(8):
        add(tmp_path / str(level) / "x")
        for number in range(8):
            (tmp_path / str(level) / f"to{number}").symlink_to(tmp_path / str(level + 1))
    assert 0 < len(names(tmp_path / "0")) <= 500


def test_broken_links_match(tmp_path: Path) -> None:
    broken = tmp_path / "in" / "broken.safetensors"
    add(tmp_path / "in" / "a.safetensors")
    broken.symlink_to(tmp_path / "nowhere")
    assert list_matches(tmp_path, "**/*") == [tmp_path / "in" / "a.safetensors", broken]
    assert list_matches(tmp_path / "none", "**/*") == list_matches(tmp_path / "none", "*") == []


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="it may read all")
def test_the_rest_is_found_beside_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        add(tmp_path / name / f"{name}.safetensors")
    (tmp_path / "b").chmod(0o400)
    try:
        assert list(find_recursive(tmp_path)) == ["a", "c"]
        assert names(tmp_path) == ["a/a.safetensors", "c/c.safetensors"]
    finally:
        (tmp_path / "b").chmod(0o700)


PLACES = (
    *("p", "loras", "loras/p", "embeddings/p", "vae", "vae/p", "controlnet/p", "upscalers/p"),
    *("checkpoints", "checkpoints/p", "diffusion_models", "text_encoders", "upscale_models"),
    *("ldm", "hub", "models--a--b", "tokenizers", "hypernetworks/p", "facerestore_models"),
)


@pytest.mark.skipif(sys.platform == "win32", reason="it has no /proc")
@pytest.mark.parametrize("place", PLACES)
def test_the_running_system_is_not_searched(tmp_path: Path, place: str) -> None:
    """Its folders raise errors that no other folder does, and have no end."""
    for number, system in enumerate(("/proc", "/sys", "/proc/self")):
        if not Path(system).exists():
            pytest.skip("it has none")
        models = tmp_path / str(number)
        shutil.copytree("models/tiny", models / "tiny")
        link = models / place
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(system)
        dirs = (models,)
        assert "tiny" in ModelRegistry(dirs).list_names()
        for kind in (LORA, EMBEDDING, HYPERNET):
            assert not find_adapters(kind, dirs, ())
        assert not find_vaes(dirs)
        assert not find_control_models(dirs)
        assert not find_image_prompt_models(dirs)
        assert not find_unlisted(dirs)
        assert not list_weight_files(link)
        find_upscalers(dirs)
        list_face_models(dirs)
