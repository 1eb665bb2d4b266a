"""The shell's words, over both tables; and the keys of dream.toml."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dream.core.cli_options import CLI_FLAGS, CliOptions
from dream.core.errors import BadSetting
from dream.core.request import FLAGS, Request, Upscale
from dream.line import find_command_line, parse_argv, parse_line, parse_setting


@pytest.mark.parametrize(
    ("argv", "launch", "base", "prompt"),
    [
        ([], {}, {}, None),
        (["some", "words", "-n2", "-s20"], {}, {"iterations": 2, "steps": 20}, "some words"),
        (["-n2", "-s", "20", "some", "words"], {}, {"iterations": 2, "steps": 20}, "some words"),
        (["some", "-n2", "words"], {}, {"iterations": 2}, "some words"),
        (["some -s words", "more", "-n2"], {}, {"iterations": 2}, "some -s words more"),
        (["say \"hi\" 'there'"], {}, {}, "say \"hi\" 'there'"),
        (["--outdir=x", "--from_file", "p.txt"], {"from_file": "p.txt"}, {"outdir": "x"}, None),
        (["--outdir=my pictures"], {}, {"outdir": "my pictures"}, None),
        (["-o", "my pictures", "a cat"], {}, {"outdir": "my pictures"}, "a cat"),
        (["--from_file", "-"], {"from_file": "-"}, {}, None),
        (["--", "-weird", "prompt"], {}, {}, "-weird prompt"),
        (["-g", "--", "-s5", "--"], {}, {"grid": True}, "-s5 --"),
        (["-old men in boats"], {}, {"outdir": None}, BadSetting),
        (["-a man-in-the-moon", "x"], {}, {}, "-a man-in-the-moon x"),
        (["-U", "2", "7", "dwarfs"], {}, {"upscale": Upscale(2)}, "7 dwarfs"),
        (["-U", "2", "0.5", "x"], {}, {"upscale": Upscale(2, 0.5)}, "x"),
        (["-U2", "some", "words"], {}, {"upscale": Upscale(2)}, "some words"),
        (["-S", "-1", "x"], {}, {"seed": -1}, "x"),
        (["--device", "cpu", "--json"], {"device": "cpu", "json": True}, {}, None),
        (["--device=cuda:1", "-h"], {"device": "cuda:1", "help": True}, {}, None),
        (["--dry-run", "--models-dir=m"], {"dry_run": True, "models_dir": "m"}, {}, None),
        (["--precision", "bfloat16"], {"precision": "bfloat16"}, {}, None),
        (["--full_precision", "-b1"], {"precision": "float32"}, {}, None),
        (["--no-full_precision"], {}, {}, None),
        (["--prompt", "a -s cat"], {}, {}, "a -s cat"),
        (["--stpes", "5"], {}, {}, BadSetting),
        (["-s0"], {}, {}, BadSetting),
        (["-n"], {}, {}, BadSetting),
        (["--mod", "x"], {}, {}, BadSetting),
        (["--tile_size=8"], {}, {}, BadSetting),
        (["--precision", "half"], {}, {}, BadSetting),
    ],
    ids=lambda case: " ".join(case) if isinstance(case, list) else None,
)
def test_words_of_the_shell(
    argv: list[str], launch: dict[str, Any], base: dict[str, Any], prompt: Any
) -> None:
    if prompt is BadSetting:
        with pytest.raises(BadSetting):
            parse_argv(argv)
        return
    got_launch, got_base, line = parse_argv(argv)
    assert got_launch == CliOptions(**launch)
    assert got_base == Request(**base)
    assert (line and parse_line(line).prompt) == prompt


def test_what_was_known_before_stays() -> None:
    launch, base, _ = parse_argv(
        ["-s5", "--no-grid"], CliOptions(device="cpu"), Request(grid=True, outdir="x")
    )
    assert launch.device == "cpu"
    assert base == Request(outdir="x", steps=5)


def test_an_option_that_is_none_is_named_with_its_nearest() -> None:
    with pytest.raises(
        BadSetting, match=r"“--prescision” is not a switch \(did you mean --precision\?"
    ):
        parse_argv(["--prescision", "auto"])


@given(st.lists(st.text(max_size=8), max_size=5))
def test_any_words_of_a_shell_are_read_or_refused(argv: list[str]) -> None:
    try:
        _, _, line = parse_argv(argv)
    except BadSetting as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert line is None or parse_line(line).prompt


@pytest.mark.parametrize(
    ("name", "value", "field", "read_as"),
    [
        ("steps", 20, "steps", 20),
        ("cfg_scale", 7, "cfg_scale", 7.0),
        ("cfg-scale", 7.5, "cfg_scale", 7.5),
        ("sampler", "klms", "sampler", "k_lms"),
        ("outdir", "my pictures", "outdir", "my pictures"),
        ("outdir", "C:\\new", "outdir", "C:\\new"),
        ("grid", True, "grid", True),
        ("grid", False, "grid", False),
        ("upscale", 2, "upscale", Upscale(2)),
        ("upscale", [2, 0.5], "upscale", Upscale(2, 0.5)),
        ("upscale", "2 0.5", "upscale", Upscale(2, 0.5)),
        ("negative_prompt", "red", "negative", "red"),
        ("device", "cpu", "device", "cpu"),
        ("precision", "float16", "precision", "float16"),
    ],
)
def test_settings(name: str, value: object, field: str, read_as: object) -> None:
    assert parse_setting(name, value) == (field, read_as)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("stpes", 20, "“stpes” is not a setting .did you mean steps?"),
        ("steps", 0, "steps takes a whole number from 1 to 1000, not 0"),
        ("steps", "many", "steps takes a whole number"),
        ("steps", 2.5, "steps takes a whole number"),
        ("steps", True, "steps takes a whole number"),
        ("steps", [1, 2], "steps takes a whole number"),
        ("steps", {"a": 1}, "steps takes a whole number"),
        ("sampler", "k_lmz", "did you mean k_lms"),
        ("grid", "yes", "grid must be true or false"),
        ("upscale", [], "upscale takes a factor"),
        ("upscale", [2, [1]], "upscale takes a factor"),
        ("outdir", "", "outdir takes a folder"),
        ("precision", "half", "one of auto float32"),
    ],
)
def test_settings_that_are_wrong(name: str, value: object, why: str) -> None:
    with pytest.raises(BadSetting, match=why):
        parse_setting(name, value)


def test_the_two_tables_share_no_name() -> None:
    names = [n for flag in [*FLAGS.values(), *CLI_FLAGS.values()] for n in flag.names]
    assert len(names) == len(set(names))
    assert not FLAGS.keys() & CLI_FLAGS.keys()


@pytest.mark.parametrize(
    ("argv", "before", "line"),
    [
        (["!models"], [], "!models"),
        (["-s3", "!switch", "my model"], ["-s3"], '!switch "my model"'),
        (["!import_model x --name y"], [], "!import_model x --name y"),
        (["!import_model", "x", "--name", "y z"], [], '!import_model x --name "y z"'),
        (["a", "!models"], ["a", "!models"], None),
        (["--", "!models"], ["--", "!models"], None),
        (["-o", "!models"], ["-o", "!models"], None),
        (["!1.5 times"], [], "!1.5 times"),
        (["!!"], [], "!!"),
        (["! models"], [], "! models"),
        (["-o", "x", "!fix", "-1", "-U2"], ["-o", "x"], "!fix -1 -U2"),
    ],
)
def test_a_command_is_told_from_a_prompt(
    argv: list[str], before: list[str], line: str | None
) -> None:
    assert find_command_line(argv) == (before, line)


def test_models_folders_can_be_several() -> None:
    launch, _, line = parse_argv(["--models_dir", "a", "a cat", "--models_dir=b,c"])
    assert launch.models_dir == "a,b,c" and line == "a cat"
    assert parse_argv(["--models_dir", "x"], launch)[0].models_dir == "x"
    assert parse_setting("models_dir", ["a", "b"]) == ("models_dir", "a,b")
    assert parse_setting("models_dir", "a") == ("models_dir", "a")
