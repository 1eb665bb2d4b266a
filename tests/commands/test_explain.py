"""!explain and the toolbar show how a prompt is parsed."""

from __future__ import annotations

from pathlib import Path

import pytest

from dream.commands import COMMANDS, Context, TextOutput, run_line
from dream.commands.check_line import check_line
from dream.core.events import Note, Rejected
from dream.options.syntax_table import WEIGHTINGS
from tests.fakes import FakeEngine, fake_session


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(fake_session(tmp_path), list, COMMANDS)


def explained(context: Context, line: str) -> list[str]:
    event, *_ = run_line(context, f"!explain {line}")
    assert isinstance(event, TextOutput), event
    return [str(one) for one in event.lines]


def test_fragments_and_weights(context: Context) -> None:
    lines = explained(context, "a (red)1.3 circle++ [dark-] -s5")
    assert lines[1:] == [
        "prompt:",
        "  1      a",
        "  1.3    red",
        "  1.21   circle",
        "negative prompt:",
        "  0.9    dark",
        f"--weighting invokeai: {WEIGHTINGS['invokeai']}",
    ]


def test_parts_steps_swaps_and_networks(context: Context) -> None:
    lines = explained(context, "a [b:c:0.5] AND d:0.5 BREAK <lora:ink:1> --syntax a1111")
    assert "  AND, weight 1" in lines and "  up to step 10 of 20" in lines
    assert "lora: ink" in lines and lines[-1].startswith("--weighting a1111: ")
    (weights,) = (line for line in explained(context, "a <lora:ink:0.5:0.8>") if "ink" in line)
    assert weights == "lora: ink 0.5 0.8"
    named = 'x --negative "<hypernet:anime:0.6> <lora:a:te=1:unet=0.5>" --syntax a1111'
    assert {"hypernet: anime 0.6", "lora: a te=1 unet=0.5"} <= set(explained(context, named))
    assert "  swap   cat → dog" in explained(context, "a cat.swap(dog)")
    assert "  blend, weight 2" in explained(context, '("a", "b").blend(1, 2)')


def test_a_bad_prompt_is_an_error_with_its_column(context: Context) -> None:
    (event,) = run_line(context, '!explain ("a", "b").blend(1)')
    assert isinstance(event, Rejected) and "2 prompts with 1 weight" in str(event.error)


def test_the_toolbar_says_weights_as_they_are_typed(context: Context) -> None:
    def said(line: str) -> str:
        result = check_line(context, line)
        assert result is not None
        return result.text

    assert said("C++ code").endswith("; C·1.21")
    assert "·" not in said("a red circle")
    assert said('("a", "b+").blend(1, 1)').endswith("; 2 parts, .blend(), b·1.1")


def test_a_template_is_explained_with_examples(context: Context, tmp_path: Path) -> None:
    folder = tmp_path / "models/wildcards"
    folder.mkdir(parents=True)
    (folder / "colour.txt").write_text("red\ngreen\n")
    lines = explained(context, "a __colour__ (circle)1.3 {x|y|z} -S7")
    assert lines[0] == "template with 6 combinations; for example:"
    assert [line[:6] for line in lines[1:4]] == ["  -S7:", "  -S8:", "  -S9:"]
    assert lines[4] == "with -S7:" and "  1.3    circle" in lines
    assert "more than 10,000" in explained(context, "{a|b}" * 14)[0]


def test_wildcards_are_listed_with_their_values(context: Context, tmp_path: Path) -> None:
    def listed(argument: str = "") -> list[object]:
        (event,) = run_line(context, f"!wildcards {argument}".strip())
        assert isinstance(event, TextOutput), event
        return list(event.lines)

    assert "put a .txt" in str(listed())
    folder = tmp_path / "models/wildcards"
    folder.mkdir(parents=True)
    (folder / "colour.txt").write_text("red\ngreen\nblue\npink\ngrey\n")
    (folder / "one.json").write_text('["x"]')
    (folder / "bad.yaml").write_text("[")
    assert listed("col") == [
        ("  __colour__", "5 values: red, green, blue, pink, …"),
        *[line for line in listed() if "bad.yaml" in str(line)],
    ]
    assert ("  __one__", "1 value: x") in listed()


@pytest.mark.parametrize(
    ("prompt", "sign"),
    [
        ("a ((red)) circle", "((red))"),
        ("a red BREAK circle", "BREAK"),
        ("a cat AND a dog", "AND"),
        ("a [cat:dog:0.5]", "[cat:dog:0.5]"),
        ("a [dog:5]", "[dog:5]"),
        ("a [cat|dog]", "[cat|dog]"),
        ("a ((red))1.3 circle", ""),
        ("a ((red))++ circle", ""),
        ("a [blurry, dark] cat", ""),
        (r"a \(\(red\)\)", ""),
        ("black and white", ""),
    ],
)
def test_signs_of_another_syntax_are_pointed_at(context: Context, prompt: str, sign: str) -> None:
    hint = f"“{sign}” looks like A1111's syntax: --syntax a1111"
    checked = check_line(context, prompt)
    assert checked is not None
    assert (hint if sign else "") in checked.text and ("looks like" in checked.text) == bool(sign)
    assert (hint in explained(context, prompt)) == bool(sign)
    assert "looks like" not in str(explained(context, f"{prompt} --syntax a1111"))


def test_a_network_of_an_unknown_kind_is_pointed_at(context: Context) -> None:
    hint = "“<segment:face>” is neither a LoRA nor a hypernetwork: it is read as words"
    assert hint in explained(context, "a <segment:face> <lora:x:1> --syntax a1111")
    assert hint not in explained(context, "a <segment:face>")
    assert "neither" not in str(explained(context, "a <3 <lora:x:1> --syntax a1111"))


def test_the_toolbar_checks_wildcards(context: Context, tmp_path: Path) -> None:
    (tmp_path / "models/wildcards").mkdir(parents=True)
    (tmp_path / "models/wildcards/colour.txt").write_text("(red)1.3\n")
    good, bad = check_line(context, "a __colour__ cat"), check_line(context, "a __colur__ cat")
    assert good is not None and good.text.endswith("; red·1.3") and not good.wrong
    assert bad is not None and bad.wrong and "did you mean colour?" in bad.text


def test_tokens_are_counted_by_the_worker_if_the_model_is_in_memory(context: Context) -> None:
    _, note = run_line(context, "!explain a red circle")
    assert note == Note(text="tokens are counted when tiny is loaded: !switch tiny")
    engine = context.session.engine
    assert isinstance(engine, FakeEngine)
    engine.ready.append("tiny")
    assert list(run_line(context, "!explain a red circle"))[1:] == [Note(text="prompt: 3 tokens")]
    assert not engine.rendered and not context.session.seeds
