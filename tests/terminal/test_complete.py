from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from dream.commands import COMMANDS, Context
from dream.options.sampler_table import SAMPLERS
from dream.session import Session
from dream.terminal.completer import LineCompleter
from dream.terminal.paths import find_paths
from tests.fakes import FakeEngine, fake_session
from tests.session.test_adapters import write_lora


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    (tmp_path / "here" / "my pictures").mkdir(parents=True)
    (tmp_path / "here" / "my pictures" / "a log.txt").touch()
    (tmp_path / "here" / ".hidden").mkdir()
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "000001.42.png").touch()
    (tmp_path / "outputs" / "dream_log.txt").touch()
    monkeypatch.chdir(tmp_path / "here")
    return fake_session(tmp_path, FakeEngine(), "tiny", "two words")


def completed(session: Session, line: str) -> list[str]:
    """The whole lines that TAB at the end of this one offers."""
    completer = LineCompleter(Context(session, list, COMMANDS))
    offers = completer.get_completions(Document(line), CompleteEvent())
    return [line[: len(line) + offer.start_position] + offer.text for offer in offers]


def test_a_prompt_is_left_alone(session: Session) -> None:
    assert completed(session, "a red ci") == []


def test_fix_offers_folders(session: Session) -> None:
    assert completed(session, "!fix my") == ['!fix "my pictures/']


def test_switches_come_with_their_help(session: Session) -> None:
    completer = LineCompleter(Context(session, list, COMMANDS))
    (offer,) = completer.get_completions(Document("a cat --ste"), CompleteEvent())
    assert (offer.text, offer.display_text) == ("--steps", "--steps N")
    assert "denoising" in offer.display_meta_text


@pytest.mark.parametrize("line", ["a cat -A k_eu", "a cat --sampler=k_eu", "a cat -Ak_eu"])
def test_values_of_a_choice(session: Session, line: str) -> None:
    start = line.removesuffix("k_eu")
    wanted = [start + name for name in SAMPLERS if name.startswith("k_eu")]
    assert completed(session, line) == wanted


def test_models_from_the_shelf_quoted_where_they_need_it(session: Session) -> None:
    assert completed(session, "a cat --model t") == [
        "a cat --model tiny",
        'a cat --model "two words"',
    ]


def test_upscalers_from_the_shelf(session: Session) -> None:
    assert "a cat -U2 --upscaler realesr-general-x4v3" in completed(
        session, "a cat -U2 --upscaler realesr-g"
    )


def test_face_restorers(session: Session) -> None:
    assert completed(session, "a cat -G -ft co") == ["a cat -G -ft codeformer"]


def test_seeds_of_this_session_the_last_first(session: Session) -> None:
    session.seeds += [7, 42, 7, 421]
    assert completed(session, "a cat -S ") == ["a cat -S 421", "a cat -S 7", "a cat -S 42"]
    assert completed(session, "a cat -S4") == ["a cat -S421", "a cat -S42"]


def test_folders_with_spaces_are_quoted_and_hidden_ones_wait_for_their_dot(
    session: Session,
) -> None:
    assert completed(session, "a cat -o ") == ['a cat -o "my pictures/"']
    assert completed(session, "a cat -o .h") == ["a cat -o .hidden/"]


def test_pictures_to_start_from_here_and_among_the_session_s(session: Session) -> None:
    Path("photo.jpg").touch()
    Path("notes.txt").touch()
    everything = ['a cat -I "my pictures/"', "a cat -I photo.jpg", "a cat -I 000001.42.png"]
    assert completed(session, "a cat -I ") == everything
    assert completed(session, "a cat -I p") == ["a cat -I photo.jpg"]
    assert completed(session, "a cat -I x.png -M0") == ["a cat -I x.png -M000001.42.png"]


def test_commands_and_their_files(session: Session) -> None:
    assert completed(session, "!rep") == ["!replay"]
    assert completed(session, "!replay m") == ['!replay "my pictures/']
    assert completed(session, '!replay "my pictures/') == ['!replay "my pictures/a log.txt"']
    assert completed(session, "!verify dre") == ["!verify dream_log.txt"]
    assert completed(session, "!fetch 0") == ["!fetch 000001.42.png"]
    assert completed(session, "!fix 0") == ["!fix 000001.42.png"]
    for name in ("Scan.TIF", "Scan.sgi", "Scan.txt"):
        Path(name).touch()
    both = ["Scan.TIF", "Scan.sgi"]
    assert completed(session, "!fix S") == [f"!fix {name}" for name in both], "as !fix reads them"
    assert completed(session, "!show S") == [f"!show {name}" for name in both]
    assert completed(session, "!fetch S") == [], "only a PNG has a record"
    assert completed(session, "!fix 000001.42.png --outc") == ["!fix 000001.42.png --outcrop"]
    assert completed(session, "!help verif") == ["!help verify"]
    assert completed(session, "!nothing x") == []


def test_nothing_to_offer_is_no_error(session: Session) -> None:
    for line in ("!replay /no/such/folder/", "!replay ~nobody/", "a -o \0", "a --model "):
        completed(session, line)


def test_a_folder_of_many_files_is_given_up_in_time(tmp_path: Path) -> None:
    for n in range(300):
        (tmp_path / f"file{n}").touch()
    ticks: Iterator[float] = (n * 0.001 for n in range(10_000))
    offered = find_paths(f"{tmp_path}/", clock=lambda: next(ticks))
    assert 40 <= len(offered) <= 50, "50 ms, at 1 ms a file"
    began = time.monotonic()
    find_paths(f"{tmp_path}/none")
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("!edit_model tiny --ste", ["!edit_model tiny --steps"]),
        ("!edit_model tiny --cfg-s", ["!edit_model tiny --cfg_scale"]),
        ("!edit_model tiny --na", ["!edit_model tiny --name"]),
        ("!edit_model tiny --prediction e", ["!edit_model tiny --prediction epsilon"]),
        ("!edit_model tiny --em", ["!edit_model tiny --ema"]),
        ("!edit_model tiny --ema=t", ["!edit_model tiny --ema=true"]),
        ("!edit_model tiny --vae n", ["!edit_model tiny --vae none"]),
        ("!edit_model ti", ["!edit_model tiny"]),
        ("!import_model x --d", ["!import_model x --description"]),
        ("!del_model tiny --f", ["!del_model tiny --files"]),
        ("!models --", []),
        ("!nothing --", []),
    ],
)
def test_a_command_s_own_switches(session: Session, line: str, offered: list[str]) -> None:
    assert completed(session, line) == offered


@pytest.mark.parametrize("control", ["\n", "\r", "\x1b", "\x9b", "\x85", "\u2028"], ids=ascii)
def test_no_name_breaks_the_edit_line(session: Session, tmp_path: Path, control: str) -> None:
    name = f"z{control}!set steps 3"
    Path(f"{name}.png").touch()
    Path(name).mkdir()
    (tmp_path / "models" / name).mkdir()
    for file in (tmp_path / "models" / "tiny").iterdir():
        (tmp_path / "models" / name / file.name).write_bytes(file.read_bytes())
    lines = [f"{start}z" for start in ("a -I ", "a --init_img=", "a -o ", "a --model ")]
    lines += ["!fix z", "!fetch z", "!replay z", "!switch z", "!set model z"]
    offers = [offer for line in lines for offer in completed(session, line)]
    assert len(offers) >= 5
    assert all(offer.isprintable() for offer in offers)


def test_a_command_behind_a_prompt_that_was_copied_is_completed(session: Session) -> None:
    assert "dream> !models" in completed(session, "dream> !mod")


def test_names_inside_a_prompt(session: Session, tmp_path: Path) -> None:
    for name in ("wildcards/colour.txt", "wildcards/a/cold.txt", "hypernetworks/anime.pt"):
        (tmp_path / "models" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "models" / name).write_text("red\ngreen\n")
    tags = {"ss_tag_frequency": '{"a": {"inky": 9}}'}
    write_lora(tmp_path / "models/loras/ink.safetensors", **tags)
    write_lora(tmp_path / "models/loras/old ink.safetensors")
    (tmp_path / "models/embeddings").mkdir()
    (tmp_path / "models/embeddings/glow.pt").touch()
    assert completed(session, "a __col") == ["a __colour__", "a __a/cold__"]
    assert completed(session, 'a "__co') == ['a "__colour__', 'a "__a/cold__']
    assert completed(session, '"a {b|__colo') == ['"a {b|__colour__']
    inky = "a <lora:ink:1>"
    assert completed(session, "a <lora:i") == [inky, f"{inky} inky"]
    assert completed(session, '"a <lyco:o') == ['"a <lora:old ink:1>']
    assert completed(session, "a withLora(old") == ["a withLora(old ink, 1)"]
    assert completed(session, "a <hypernet:") == ["a <hypernet:anime:1>"]
    assert completed(session, "(a embedding:g") == ["(a embedding:glow"]
    assert completed(session, "my_embedding:g") == completed(session, "a__col") == []
    assert completed(session, "a cat --negative __col") == []
