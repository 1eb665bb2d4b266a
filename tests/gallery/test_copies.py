"""Copies of what pictures begin from: once each, by what is in them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from dream.core.errors import GalleryError
from dream.gallery import Gallery


def test_a_file_is_copied_once_and_called_by_its_content(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path / "outputs")
    (tmp_path / "one.PNG").write_bytes(b"picture")
    (tmp_path / "two.png").write_bytes(b"picture")
    copy = gallery.save_input(tmp_path / "one.PNG")
    digest = hashlib.sha256(b"picture").hexdigest()
    assert copy == tmp_path / "outputs" / "inputs" / f"{digest[:16]}.png"
    assert gallery.save_input(tmp_path / "two.png") == gallery.save_input(copy) == copy
    assert copy.read_bytes() == b"picture"
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]


def test_what_a_power_cut_tore_is_copied_again(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    (tmp_path / "a.png").write_bytes(b"picture")
    copy = gallery.save_input(tmp_path / "a.png")
    copy.write_bytes(b"pic")
    leftover = copy.parent / ".dream-0123456789abcdef.tmp"
    leftover.write_bytes(b"")
    gallery.recover()
    assert not leftover.exists()
    assert gallery.save_input(tmp_path / "a.png").read_bytes() == b"picture"


def test_what_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"picture")
    (tmp_path / "inputs").write_bytes(b"in the way")
    with pytest.raises(GalleryError, match="there is a file with the folder's name"):
        Gallery(tmp_path).save_input(tmp_path / "a.png")
