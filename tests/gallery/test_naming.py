from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dream.gallery import format_file_name, make_prompt_folder
from dream.gallery.naming import CLASH_ROOM, make_safe_name, truncate_utf8

FIELDS = {
    "prompt": "a red circle on blue",
    "steps": 20,
    "cfg_scale": 7.5,
    "model": "tiny",
    "upscale": [2.0, 0.75],
    "big": 2**32 - 1,
}

ANY = st.text() | st.text("{}:.!/\\prompt0123456789", max_size=40)
UNDECODABLE = st.text(st.characters(categories=["Cs", "Cc", "Lo", "Po"]), max_size=300)


@pytest.mark.parametrize(
    ("template", "name"),
    [
        (None, "000042.7.png"),
        ("{prefix}.{seed}.png", "000042.7.png"),
        ("{prefix}.png", "000042.png"),
        ("{prompt}", "a red circle on blue.png"),
        ("{prompt:0.5}.{seed}.png", "a red.7.png"),
        ("{prompt:.5}", "a red.png"),
        ("{seed:08d}.PNG", "00000007.png"),
        ("{steps}_{cfg_scale:.2f}", "20_7.50.png"),
        ("{model}-{model_id}", "tiny-tiny.png"),
        ("{upscale}", "2-0.75.png"),
        ("{prefix}{negative}{iterations}{grid}", "0000421False.png"),
        ("{seed!s:>3}", "_7.png"),
        ("{{x}}.{seed}", "{x}.7.png"),
        ("fixed.jpg", "fixed.jpg.png"),
        ("../../{seed}", "__.._7.png"),
        ("/etc/{seed}.png", "_etc_7.png"),
        ("a/b\\c:d*e?f", "a_b_c_d_e_f.png"),
        (".hidden", "_hidden.png"),
        ("#{seed}", "_7.png"),
        ("con.{seed}", "_con.7.png"),
        ("NUL", "_NUL.png"),
    ],
)
def test_a_template_is_filled_in(template: str | None, name: str) -> None:
    assert format_file_name(template, prefix="000042", seed=7, fields=FIELDS) == (name, None)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{sed}", "{sed} is not one of"),
        ("{}", "{0} is not one of"),
        ("{0}", "{0} is not one of"),
        ("{seed", "expected '}'"),
        ("{seed:d}{prompt:d}", "Unknown format code"),
        ("{seed.__class__}", "{seed.__class__} is not one of"),
        ("{prompt[0]}", "{prompt[0]} is not one of"),
        ("{seed:99999999}", "99999999 is too wide"),
        ("{seed:{steps}{steps}}", "2020 is too wide"),
        ("{seed:٩٩٩٩٩٩٩٩}", "is too wide"),
        ("{big:c}", "%c arg not in range"),
        ("{width:04d}", "Unknown format code"),
        ("???", "the name is empty"),
        ("", "the name is empty"),
    ],
)
def test_a_template_that_cannot_be_filled_gives_the_usual_name(template: str, reason: str) -> None:
    name, warning = format_file_name(template, prefix="000042", seed=7, fields=FIELDS)
    assert name == "000042.7.png"
    assert warning is not None
    assert warning.startswith(f"--fnformat {template}: ")
    assert reason in warning


@given(ANY, ANY | UNDECODABLE)
@example("{prompt}", "\ud800")
@example("{prompt}", "..")
@example("{prompt}", "/etc/passwd\0")
@example("{prompt}.png", "猫" * 200)
def test_no_template_and_no_prompt_leave_the_folder(template: str, prompt: str) -> None:
    name, _ = format_file_name(template, prefix="000001", seed=0, fields={"prompt": prompt})
    stands_alone(name)
    assert name.endswith(".png")
    assert len(name.encode()) <= 255 - len(".999.upscaled")
    assert ": " not in name
    upscaled = f"{name.removesuffix('.png')}.upscaled.png"
    assert make_safe_name(name) == name
    assert make_safe_name(upscaled) == upscaled


@given(ANY | UNDECODABLE)
def test_whatever_a_picture_is_called_its_name_is_safe(text: str) -> None:
    name = make_safe_name(text)
    if name:
        stands_alone(name)
        assert len(name.encode()) <= 255 - CLASH_ROOM
        assert make_safe_name(name) == name


@given(ANY | UNDECODABLE)
@example("")
@example(". . .")
@example("aux")
@example("lpt1.txt")
@example("猫" * 200)
def test_a_prompts_folder_is_one_name(prompt: str) -> None:
    name = make_prompt_folder(prompt)
    stands_alone(name)
    assert len(name.encode()) <= 255
    assert name == name.rstrip(" .")
    assert make_prompt_folder(name) == name


@pytest.mark.parametrize(
    ("prompt", "folder"),
    [
        ("a red circle on blue", "a red circle on blue"),
        ('what? "a/b\\c" <x>|*:', "what_ _a_b_c_ _x____"),
        ("the end. . ", "the end"),
        ("tab\there", "tab_here"),
        ("..", "_"),
        ("", "_"),
        ("com1", "_com1"),
        ("猫と月", "猫と月"),
    ],
)
def test_a_prompts_folder(prompt: str, folder: str) -> None:
    assert make_prompt_folder(prompt) == folder


def stands_alone(name: str) -> None:
    """One path component, printable, that Windows takes too."""
    assert name not in {"", ".", ".."}
    assert not set(name) & set('<>:"/\\|?*')
    assert min(name, default="") >= " "
    name.encode()  # no half characters
    assert name.partition(".")[0].lower() not in {"con", "prn", "aux", "nul", "com1", "lpt1"}


def test_no_character_is_halved() -> None:
    assert truncate_utf8("aé猫🐱", 9) == "aé猫"
    assert truncate_utf8("aé猫🐱", 10) == "aé猫🐱"
