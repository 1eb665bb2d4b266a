r"""Names of files as terminals paste them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dream.commands import COMMANDS, Context, ShowImage, run_line
from dream.line import parse_line
from tests.fakes import fake_session

PASTED = [r"my\ red\ cat.png", "'my red cat.png'", '"my red cat.png"', "'my 'red' cat.png'"]


@pytest.mark.parametrize("switch", ["-I", "-I ", "-M ", "--init_img="])
@pytest.mark.parametrize("name", PASTED[:3])
def test_a_pasted_name_is_one_value(switch: str, name: str) -> None:
    request = parse_line(f"a cat {switch}{name} -s20")
    assert request.steps == 20
    text = request.init_mask if switch == "-M " else request.init_img
    assert text in (name, "my red cat.png")


@pytest.mark.parametrize("value", [r"C:\cats" + "\\", "it's.png", r"a\b.png"])
def test_other_backslashes_and_apostrophes_stay(value: str) -> None:
    assert parse_line(f"a cat -I {value} -s20").init_img == value


@pytest.mark.parametrize("name", [*PASTED, r".\my red cat.png"])
def test_a_pasted_name_is_found(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    session = fake_session(tmp_path)
    list(session.make("a cat -S1"))
    session.saved[0].path.rename("my red cat.png")
    assert session.find_picture(name.strip('"')) == Path("my red cat.png")
    (look,) = run_line(Context(session, tuple, COMMANDS), f"!show {name}")
    assert isinstance(look, ShowImage)
    assert look.path == Path("my red cat.png")
