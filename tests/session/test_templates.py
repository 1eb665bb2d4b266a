"""Prompts with {a|b} and __name__: each image has its own words, the log line has both, and
rendering it again chooses nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dream.core.events import Grid, LineStarted, Note, Planned, Rejected, Saved
from dream.core.recipe import Recipe
from dream.core.request import Request
from dream.gallery import LOG_NAME
from dream.line import format_line, format_sweep, parse_line, parse_log_line
from dream.options.lora import Lora
from dream.session import Session
from dream.session.image_prompts import read_line_from, read_request_from
from dream.session.many_lines import extent
from dream.session.plan_summary import summarize_plan
from dream.session.templates import has_template, protect_words
from tests.fakes import FakeEngine, fake_session
from tests.session.test_adapters import write_lora


@pytest.fixture
def session(tmp_path: Path) -> Session:
    folder = tmp_path / "models/wildcards"
    (folder / "animals").mkdir(parents=True)
    (folder / "colour.txt").write_text("red\ngreen\nblue\n")
    (folder / "animals/pets.txt").write_text("{small |}cat\ndog <lora:ink:0.5>\n")
    write_lora(tmp_path / "models/loras/ink.safetensors")
    return fake_session(tmp_path)


def rendered(session: Session) -> list[Recipe]:
    assert isinstance(session.engine, FakeEngine)
    return session.engine.rendered


def log_of(session: Session) -> list[str]:
    return (session.outdir / LOG_NAME).read_text("utf-8").splitlines()


def plan(session: Session, line: str | Request) -> list[Recipe]:
    events = list(session.plan(line))
    assert not any(isinstance(event, Rejected) for event in events), events
    requests = [event.request for event in events if isinstance(event, Planned)]
    return [session.resolve(request).recipes[0] for request in requests]


def test_every_image_of_a_line_chooses_its_own_words(session: Session) -> None:
    line = "a __colour__ {circle|square|star} -n8 -S1"
    recipes = plan(session, line)
    assert len({recipe.prompt for recipe in recipes}) > 3
    assert {recipe.template for recipe in recipes} == {"a __colour__ {circle|square|star}"}
    assert all(recipe.wildcards is None for recipe in recipes)
    assert plan(session, line) == recipes, "the seed decides"
    for recipe in recipes:
        alone = plan(session, f"a __colour__ {{circle|square|star}} -S{recipe.seed}")
        assert alone == [recipe]


def test_variations_of_an_image_have_its_words(session: Session) -> None:
    recipes = plan(session, "a __colour__ {b|c} -S1 -v0.1 -n4")
    assert len({recipe.prompt for recipe in recipes}) == 1 and len(set(recipes)) == 4
    swept = plan(session, "a __colour__ {b|c} -S1 -C3,4,5")
    assert {recipe.prompt for recipe in swept} == {recipes[0].prompt}


def test_a_log_line_renders_its_words_whatever_the_files_say(
    session: Session, tmp_path: Path
) -> None:
    list(session.make("a __animals/*__ {red|green} [{dark|grey}] --negative __colour__ -n6 -S3"))
    first = list(rendered(session))
    assert {recipe.lora for recipe in first} == {None, (Lora("ink", 0.5),)}
    assert all(recipe.negative in ("red", "green", "blue") for recipe in first)
    for path in (tmp_path / "models/wildcards").rglob("*.txt"):
        path.unlink()
    lines = log_of(session)
    for line in lines:
        assert '--template="a __animals/*__ {red|green} [{dark|grey}]"' in line
        assert "--negative_template=__colour__" in line
        list(session.make(line))
        list(session.make(parse_log_line(line).line))
    again = [recipe for recipe in first for _ in range(2)]
    assert rendered(session)[len(first) :] == again


def test_text_with_the_signs_of_a_template_is_never_replaced_again(session: Session) -> None:
    """Neither what a log line says, nor what is typed with --wildcards off, or with escapes."""
    for line in (
        r"a {b|c} --wildcards off -S1",
        r"a {b|c} --syntax plain -S1",
        r"a \{b\|c\} {d|e} \__colour__ -S1",
        r'out/x.png: "a {b|c} __nope__ {" -S1 --syntax=invokeai # sha256:abc',
        r'out/x.png: "a {b|c}" -S1',
        r'out/x.png: "" -S1 --template="{a|b}" --syntax=invokeai # sha256:abc',
    ):
        rendered(session).clear()
        list(session.make(line))
        (recipe,) = rendered(session)
        assert recipe.prompt.startswith(("a {b|c}", r"a \{b\|c\} ")) or recipe.prompt == ""
        logged = log_of(session)[-1]
        image = session.saved[-1].path
        assert parse_line(format_line(recipe.to_request())) == recipe.to_request()
        for again in (logged, parse_log_line(logged).line, read_line_from(image)):
            list(session.make(again))
        request, _ = read_request_from(image)
        list(session.make(request))
        assert {replace(one, seed=0) for one in rendered(session)} == {replace(recipe, seed=0)}


SIGNS = st.sampled_from(
    [*'{}|[]$_\\ab:!="`()<>#, ', "${x}", "${", "$(", "\\$", "__c__", "{a|b}", "<lora:a:1>"]
)


@settings(max_examples=300)
@given(st.lists(SIGNS, max_size=12).map("".join), st.lists(SIGNS, max_size=6).map("".join))
def test_a_line_has_every_literal_sign_of_a_template(prompt: str, negative: str) -> None:
    """Written to a line and read again it is the same, and a shell that it is pasted into by
    mistake runs nothing."""
    request = Request(
        prompt=prompt, negative=negative, template=prompt or None, seed=1, wildcards="off"
    )
    line = format_line(request)
    assert parse_line(line) == request
    assert "${" not in line and "$(" not in line and "`" not in line
    assert not has_template(request)
    protected = protect_words(replace(request, wildcards=None, syntax="a1111"))
    assert not has_template(protected)
    assert parse_line(format_line(protected)) == protected


def test_a_template_without_a_prompt_is_the_prompt(session: Session) -> None:
    typed, as_template = "{a|b|c} __colour__ -S5", '--template "{a|b|c} __colour__" -S5'
    assert plan(session, typed) == plan(session, as_template)
    (recipe,) = plan(session, 'a red cat --template "{a|b}" -S5')
    assert recipe.prompt == "a red cat" and recipe.template == "{a|b}"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a __colur__ cat", "column 3: there is no wildcard colur (did you mean colour?)"),
        ("a {b|__colur__}", "column 6: there is no wildcard colur"),
        ("a cat --negative=__colur__", "there is no wildcard colur"),
        ("a {b|c -s5", "column 3: “{” is not closed"),
        ("a ${b} -s5", "column 3: the variable b is not set"),
        ("--template __colur__", "there is no wildcard colur"),
        ('{("a").blend(1, 2)|("a").blend(3, 4)}', "1 prompt with 2 weights"),
        ("<lora:{../x|../x}:1> a", "is a path"),
        ("<lora:{a|a}:1> a", 'there is no LoRA "a"'),
        ("{a|b} -V 3,0.1", "-V needs a seed"),
        ("{a|b} -V 3,0.1 -S1 -n2", "-V makes one image"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_made(
    session: Session, line: str, message: str
) -> None:
    (event,) = session.make(line)
    assert isinstance(event, Rejected) and message in str(event.error)


def test_a_blend_can_be_chosen(session: Session) -> None:
    (recipe,) = plan(session, '("a{x|y}", "b").blend({1|2}, 1) -S1')
    assert recipe.prompt[3] in "xy" and ".blend(" in recipe.prompt


def test_combine_makes_every_combination_with_one_seed(session: Session) -> None:
    events = list(session.make("a {red|green} {2$$+$$x|y} --combine -C3,4 --sheet -g"))
    assert Note(text="8 images: 4 × --combine, 2 × -C") in events
    queued = next(event for event in events if isinstance(event, LineStarted))
    assert queued.count == 8 == sum(isinstance(event, Saved) for event in events)
    assert [recipe.prompt for recipe in rendered(session)][::2] == [
        f"a {colour} {order}" for colour in ("red", "green") for order in ("x+y", "y+x")
    ]
    assert len({recipe.seed for recipe in rendered(session)}) == 1
    assert session.last is not None
    typed = format_sweep(session.last)
    assert '"a {red|green}' in typed and "--combine" in typed
    assert len([event for event in events if isinstance(event, Grid)]) == 2
    assert plan(session, typed) == rendered(session)
    assert plan(session, Request(prompt="{a|b}", seed=1, combine=True)) == plan(
        session, "{a|b} --combine -S1"
    )


def test_many_combinations_are_asked_about_or_refused(session: Session) -> None:
    ten = "{0|1|2|3|4|5|6|7|8|9}"
    asked = extent(session, f"{ten}{ten}{ten} --combine")
    assert asked.count == 1000 and asked.text == "1,000 images: 1000 × --combine"
    for line in (f"{ten}{ten}{ten}{ten}{{a|b}} --combine", f"{ten}{ten}{ten} --combine -n11"):
        (event,) = session.make(line)
        assert isinstance(event, Rejected) and "10,000" in str(event.error)
    assert "--combine is ignored" in str(next(iter(session.plan("a cat --combine"))))
    assert summarize_plan(session, f"{ten} __colour__ --combine").pictures == 30


def test_the_last_line_and_a_grid_have_what_was_typed(session: Session) -> None:
    line = "a {red|green} cat <lora:ink:0.5> -n3"
    list(session.make(f"{line} -g"))
    assert session.last is not None and session.last.first.prompt == line.removesuffix(" -n3")
    grid = parse_log_line(log_of(session)[-1].removeprefix("# ")).line
    assert plan(session, grid) == rendered(session)


def test_an_images_own_prompt_is_used_as_it_is(session: Session) -> None:
    list(session.make("a {b|c} --wildcards off -S1"))
    list(session.make("-I -1 -S2"))
    assert rendered(session)[-1].prompt == "a {b|c}"
