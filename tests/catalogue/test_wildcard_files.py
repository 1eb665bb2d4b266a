"""Wildcards: names and values of files, only below their folder, within bounds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dream.catalogue.wildcard_files import WildcardFiles
from dream.prompt import TemplateError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "wildcards"
    (folder / "animals/wild").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    files = {
        "colour.txt": "\ufeffred\n# x\n\n  green  \nred\r\n3::blue # dark\n#fff\nred #fff\n",
        "animals/cats.txt": "tabby\n",
        "animals/wild/wolf.txt": "wolf\n",
        ".hidden/no.txt": "no\n",
        "readme.md": "no\n",
        "empty.txt": "# nothing\n",
        "latin.txt": "caf\udce9\n",
        "controls.txt": "a\x1b[31mb\x07\x9bc\n",
        "clothes.yaml": "clothes:\n  hats: [fez, 3::beret, 1, null, [x]]\n  shoe: boot\nred: [r]\n",
        "more.yml": "more:\n- |\n  two\n  lines\n",
        "list.json": '["a", "b"]',
        "map.json": '{"deep": {"er": ["c"]}, "colour": ["no"]}',
        "broken.yaml": "a: [b",
        "bomb.yaml": "a: &a [x, x]\nb: &b [*a, *a]\n",
        "number.json": "3",
        "deep.json": "[" * 10_000,
        "long.txt": "x" * 5000,
    }
    for name, text in files.items():
        (folder / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    return folder


def test_names_and_values(folder: Path) -> None:
    files = WildcardFiles((folder,))
    expected = {
        "animals/cats": ("tabby",),
        "animals/wild/wolf": ("wolf",),
        "clothes/hats": ("fez", "3::beret", "1"),
        "clothes/shoe": ("boot",),
        "colour": ("red", "green", "3::blue", "red #fff"),
        "controls": ("a [31mb c",),
        "deep/er": ("c",),
        "empty": (),
        "latin": ("caf\ufffd",),
        "list": ("a", "b"),
        "more": ("two lines",),
        "red": ("r",),
    }
    assert [name for name in files.names if name != "long"] == list(expected)
    assert {name: files.get(name) for name in expected} == expected
    assert sorted(Path(one.partition(": ")[0]).name for one in files.problems) == [
        *("bomb.yaml", "broken.yaml", "deep.json", "number.json"),
    ]


@pytest.mark.parametrize(
    ("pattern", "values"),
    [
        ("animals/*", ("tabby",)),
        ("animals/**", ("tabby", "wolf")),
        ("**/wolf", ("wolf",)),
        ("*/wild/*", ("wolf",)),
        ("Animals/Cats", ("tabby",)),
        ("animals/c?ts", ("tabby",)),
        ("c*r", ("red", "green", "3::blue", "red #fff")),
        ("clothes/*", ("fez", "3::beret", "1", "boot")),
    ],
)
def test_a_pattern_names_several(folder: Path, pattern: str, values: tuple[str, ...]) -> None:
    assert WildcardFiles((folder,)).find(pattern) == values


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("colur", "there is no wildcard colur (did you mean colour?"),
        ("../secret", "there is no wildcard ../secret"),
        ("/etc/passwd", "there is no wildcard"),
        ("hidden/no", "there is no wildcard"),
        ("empty", "has no values"),
        ("long", "more than 4,096 characters"),
        ("*a*b*c*d*e*f*g*", "more than 6 *"),
    ],
)
def test_what_is_not_there(folder: Path, pattern: str, message: str) -> None:
    (folder.parent / "secret.txt").write_text("secret\n")
    with pytest.raises(TemplateError) as raised:
        WildcardFiles((folder,)).find(pattern)
    assert message in f"{raised.value.message} ({raised.value.hint})"


@pytest.mark.skipif(os.name == "nt", reason="links and pipes")
def test_nothing_outside_the_folder_is_read(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret\n")
    (folder / "link.txt").symlink_to(outside / "secret.txt")
    (folder / "linked").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    (folder / "inside.txt").symlink_to(folder / "colour.txt")
    os.mkfifo(folder / "pipe.txt")
    names = WildcardFiles((folder,)).names
    assert "inside" in names
    assert not {"link", "linked/secret", "loop/colour", "pipe"} & set(names)


def test_the_first_folder_wins_and_new_files_are_seen(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "colour.txt").write_text("pink\n")
    folders = (other, folder, tmp_path / "missing")
    assert WildcardFiles(folders).find("colour") == ("pink",)
    (other / "colour.txt").write_text("pink\nblack\n")
    (other / "new.txt").write_text("new\n")
    assert WildcardFiles(folders).find("colour") == ("pink", "black")
    assert WildcardFiles(folders).find("new") == ("new",)
