"""Another VAE in place of a model's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from dream.catalogue import Shelf
from dream.engine import open_painter
from dream.engine.painter import Painter
from dream.errors import ModelError
from tests.recipes import recipe


@pytest.fixture(scope="module")
def shelf(random_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """With the VAEs `own`, which is the model's, and `other`, in diffusers layout."""
    import torch
    from diffusers import AutoencoderKL

    folder = tmp_path_factory.mktemp("vaes")
    (folder / "VAE").mkdir()
    own = random_models / "random" / "vae"
    (folder / "VAE" / "own").symlink_to(own)
    other = AutoencoderKL.from_pretrained(own)
    with torch.no_grad():
        other.decoder.conv_out.weight.neg_()
    other.save_pretrained(folder / "VAE" / "other")
    return Shelf([random_models, folder])


@pytest.fixture(scope="module")
def painter(shelf: Shelf) -> Painter:
    return open_painter(shelf.model, find_vae=shelf.vae)


def test_it_decodes_what_the_model_painted(painter: Painter) -> None:
    plain, own, other, none = (
        painter.paint(recipe(vae=vae), lambda _: None) for vae in (None, "own", "other", "none")
    )
    assert plain.sha256 == own.sha256 == none.sha256 != other.sha256
    assert painter.paint(recipe(), lambda _: None).sha256 == plain.sha256, "its own came back"
    assert "vae" not in plain.facts
    assert len(other.facts["vae"]) == 64 and other.facts["vae"] != own.facts["vae"]
    assert other.facts["weights"] == plain.facts["weights"]


def test_what_is_no_vae_is_said(painter: Painter, tmp_path: Path) -> None:
    page = tmp_path / "page.safetensors"
    page.write_text("<html>")
    for place in (page, tmp_path):
        with pytest.raises(ModelError):
            painter.paint(recipe(vae=str(place)), lambda _: None)
    with pytest.raises(ModelError, match="did you mean other"):
        painter.paint(recipe(vae="othar"), lambda _: None)
