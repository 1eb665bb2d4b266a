"""The shell command, driven as a shell would, with the fake engine behind it."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import dream
from dream import graphics
from dream.cli import app, batch, session_factory
from dream.cli.stdin_lines import StdinLines
from dream.core.events import Saved
from dream.core.request import Request
from dream.gallery import LOG_NAME
from dream.graphics import TerminalImages
from dream.session.foreign_models import NO_LOOKUP
from dream.session.line_sources import join_blocks
from tests.fakes import FakeEngine, fake_registry


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs `dream` in an empty folder; (status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    registry = fake_registry(tmp_path / "models", "tiny", "other")
    monkeypatch.setattr(session_factory, "ModelRegistry", lambda *where: registry)
    engine = FakeEngine()
    monkeypatch.setattr(session_factory, "open_engine", lambda registry, **options: engine)

    def run(*argv: str, stdin: str = "", terminal: bool = False):
        monkeypatch.setattr(sys, "stdin", (Terminal if terminal else io.StringIO)(stdin))
        status = app.main(argv)
        output_of = capsys.readouterr()
        return status, output_of.out, output_of.err

    run.engine = engine
    return run


def test_words_make_pictures_and_paths(run) -> None:
    status, out, _ = run("a", "red", "circle", "-n2", "-S42")
    assert status == 0
    assert [Path(line).is_file() for line in out.splitlines()] == [True, True]
    assert out.splitlines()[0] == "outputs/img-samples/000001.42.png"


BLOCK = """a red circle
on a table
Negative prompt: ugly
Steps: 3, Sampler: Euler a, CFG scale: 7, Seed: 9, Size: 64x64
"""


def test_a1111_blocks_are_one_line_each_in_files_and_pipes(run, tmp_path: Path) -> None:
    lines = f"a cat -S1\n\n{BLOCK}{BLOCK.replace('red', 'blue')}a dog -S2\n"
    (tmp_path / "list.txt").write_text(lines)
    for status, out, _ in (
        run("--from_file", "list.txt", "--dry_run"),
        run("--from_file=-", "--dry_run", stdin=lines),
    ):
        assert status == 0
        planned = [line.partition(" -s")[0] for line in out.splitlines()]
        circles = [f'"a {colour} circle on a table" --negative=ugly' for colour in ("red", "blue")]
        assert planned == ['"a cat"', *circles, '"a dog"']
        assert "-s3 -S9" in out.splitlines()[1]


def test_lines_of_a_pipe_are_read_as_they_arrive() -> None:
    read, write = os.pipe()
    with os.fdopen(read, "rb") as pipe, os.fdopen(write, "wb", buffering=0) as writer:
        source = StdinLines(pipe)
        lines = iter(source)
        writer.write(b"a cat\na d")
        assert next(lines) == b"a cat\n"
        assert not source.comes_soon(), "half a line is none"
        writer.write(b"og\n" + b"x" * 200)
        assert source.comes_soon() and next(lines) == b"a dog\n"
        writer.close()
        assert source.comes_soon() and list(lines) == [b"x" * 200]
        assert source.comes_soon(), "the end is not waited for"
    assert list(StdinLines(io.BytesIO(b"a\n\nb"))) == [b"a\n", b"\n", b"b"]
    assert not StdinLines(io.BytesIO(b"a")).comes_soon()


def test_a_block_that_arrives_line_by_line_is_not_waited_for() -> None:
    lines = list(enumerate(BLOCK.splitlines(), 1))
    joined = list(join_blocks(lines, "x", print, NO_LOOKUP))
    assert [number for number, _ in joined] == [1]
    apart = [line for _, line in join_blocks(lines, "x", print, NO_LOOKUP, lambda: False)]
    assert apart[:3] == BLOCK.splitlines()[:3]


def test_a_command_in_the_shell(run, tmp_path: Path) -> None:
    status, out, _ = run("-s3", "!models")
    assert status == 0 and "tiny" in out and "other" in out
    status, out, err = run("!modles")
    assert (status, out) == (2, "") and "did you mean !models?" in err
    assert run("a cat", "-S7", "-s2")[0] == 0
    made = "outputs/img-samples/000001.7.png"
    status, out, _ = run("!fix", made, "-U2")
    assert status == 0 and out.split()[0].endswith("000001.7.upscaled.png")
    status, out, _ = run(f"!fetch {made}")
    assert status == 0 and out.startswith('"a cat" -s2 -S7')
    assert run("!show", made)[1].splitlines() == [made]
    (event,) = map(json.loads, run("--json", "!models")[1].splitlines())
    assert event["event"] == "page"
    assert run("--", "!models", "-s2")[0] == 0, "a prompt, for all is one"
    assert len(run.engine.rendered) == 2


def test_what_models_toml_says_in_vain_is_said(run, tmp_path: Path) -> None:
    (tmp_path / "models" / "models.toml").write_text("[models.tiny]\nsteps = 0\noops = = 3\n")
    status, out, err = run("a", "cat")
    assert status == 0 and len(out.splitlines()) == 1
    assert "models.toml" in err and "line 3" in err


def test_a_sweep_in_the_shell(run, tmp_path: Path) -> None:
    status, out, err = run("a", "cat", "-C", "5,7.5", "-s", "1..3", "-S1", "--sheet")
    assert status == 0
    assert len(out.splitlines()) == 6
    assert "6 images: 2 × -C, 3 × -s" in err
    _, planned, _ = run("--dry_run", "a cat", "-C", "5,7.5", "-S1")
    assert [line.partition("-C")[2].split()[0] for line in planned.splitlines()] == ["5", "7.5"]
    status, _, err = run("-C", "5,7.5", "--from_file=-", stdin="a cat\n")
    assert (status, "needs a prompt" in err) == (2, True)


def test_a_piped_line_and_from_file_alike(run, tmp_path: Path) -> None:
    lines = "a cat -S1\n# no\n\na dog -S2\n"
    (tmp_path / "lines.txt").write_text(lines)
    _, piped, _ = run(stdin=lines)
    _, dashed, _ = run("--from_file", "-", stdin=lines)
    _, filed, _ = run("--from_file=lines.txt")
    assert [name[-6:] for name in piped.split()] == [".1.png", ".2.png"]
    assert [name[-6:] for name in dashed.split()] == [name[-6:] for name in filed.split()]
    assert len(run.engine.rendered) == 6


def test_nothing_piped_is_nothing_made(run) -> None:
    assert run(stdin="")[:2] == (0, "")


def test_launch_switches_are_every_lines_defaults(run) -> None:
    run("-s2", "-A", "ddim", "--from_file", "-", stdin="a\nb -s1\n")
    assert [(r.steps, r.sampler) for r in run.engine.rendered] == [(2, "ddim"), (1, "ddim")]


def test_settings_files_stand_below_launch_switches(run, tmp_path: Path) -> None:
    (tmp_path / "config" / "dream").mkdir(parents=True)
    (tmp_path / "config" / "dream" / "dream.toml").write_text("steps = 7\ncfg_scale = 3\n")
    (tmp_path / "dream.toml").write_text("steps = 5\nupscale = [2, 0.5]\n")
    run("a cat")
    run("a cat", "-s1")
    assert [(r.steps, r.cfg_scale) for r in run.engine.rendered] == [(5, 3.0), (1, 3.0)]


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("steps = 0", ["dream.toml", "steps", "1 to 1000"]),
        ("outdir = 5", ["dream.toml", "outdir", "a folder"]),
        ("stpes = 3", ["dream.toml", "stpes", "steps"]),
        ("sampler = 'x'", ["dream.toml", "sampler", "k_euler"]),
        ("grid = 'yes'", ["dream.toml", "grid", "true or false"]),
        ("from_file = 'x'", ["dream.toml", "from_file"]),
        ("steps = ", ["dream.toml", "Invalid value"]),
    ],
)
def test_a_wrong_setting_names_file_key_and_what_is_allowed(run, tmp_path, toml, message) -> None:
    (tmp_path / "dream.toml").write_text(toml)
    status, out, err = run("a cat")
    assert (status, out) == (2, "")
    assert all(word in err for word in message), err
    assert len(err.splitlines()) == 1
    assert run("--help")[0] == 0, "help is there when settings are broken"


def test_a_picture_is_shown_on_a_terminal(tmp_path: Path) -> None:
    out = Terminal()
    pictures = TerminalImages(terminal=graphics.Terminal(), screen=lambda: (80, 24))
    voice = batch.EventPrinter(as_json=False, out=out, err=io.StringIO(), pictures=pictures)
    Image.new("RGB", (64, 64), (200, 30, 30)).save(tmp_path / "red.png")

    def output_of(path: Path) -> str:
        before = len(out.getvalue())
        voice.show(Saved(path=path, line="red", sha256="", request=Request(prompt="red", seed=1)))
        return out.getvalue()[before:]

    path, *rows = output_of(tmp_path / "red.png").rstrip().split("\n")
    assert path.endswith("red.png  (-S1)")
    assert len(rows) == 16 and all("\x1b[" in row for row in rows)
    assert "there is no" in output_of(tmp_path / "gone.png")
    assert output_of(tmp_path / "red.png").count("\n") == 1, "what failed once is not tried again"


def test_json_events(run) -> None:
    status, out, err = run("a cat", "-n2", "--json", "-S5", "-s2")
    events = [json.loads(line) for line in out.splitlines()]
    assert (status, err) == (0, "")
    assert [event["event"] for event in events] == [
        "queued",
        *["step", "step", "made", "saved"] * 2,
    ]
    last = events[-1]
    assert set(last) == {"event", "path", "line", "sha256", "request"}
    assert Path(last["path"]).is_file()
    assert last["request"]["prompt"] == "a cat"
    assert last["request"]["steps"] == 2


def test_dry_run_plans_without_an_engine(run) -> None:
    status, out, _ = run("a cat", "-n2", "-S5", "--dry_run")
    assert status == 0
    assert out.splitlines()[0].startswith('"a cat" -s3 -S5 -W64')
    _, planned, _ = run("a cat", "-n2", "-S5", "--dry_run", "--json")
    assert [json.loads(line)["event"] for line in planned.splitlines()] == ["planned", "planned"]
    assert not run.engine.rendered


def test_switches_without_effect_are_named_where_dream_was_started_with_them(run) -> None:
    _, _, err = run("a cat", "-ft", "codeformer", "--dry_run")
    assert "-ft ignored: no face is restored (-G)" in err
    _, out, err = run("-ft", "codeformer", "--dry_run", "--from_file=-", stdin="a cat")
    assert out and "ignored" not in err, "it is the default of lines with -G"


def test_a_wrong_line_is_2_and_the_others_are_made(run) -> None:
    status, out, err = run("--from_file", "-", stdin="a cat -s0\na dog\n")
    assert status == 2
    assert len(out.splitlines()) == 1
    assert err.startswith("line 1: column 9: ")


def test_a_wrong_option_is_2(run) -> None:
    status, out, err = run("--stpes", "3", "a cat")
    assert (status, out) == (2, "")
    assert "--steps" in err


def test_a_missing_file_is_2(run) -> None:
    assert run("--from_file", "missing.txt")[0] == 2
    assert run("--verify", "missing.txt")[0] == 2


def test_verify(run, tmp_path: Path) -> None:
    run("a cat", "-n2")
    log = tmp_path / "outputs" / "img-samples" / LOG_NAME
    status, out, _ = run("--verify", str(log))
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == ["same", "same"]
    log.write_text(log.read_text().replace("sha256:", "sha256:0", 1))
    assert run("--verify", str(log))[0] == 1


def test_ctrl_c_is_130_and_keeps_what_is_made(run) -> None:
    steps = iter(range(100))

    def press(progress) -> None:
        if next(steps) == 4:
            raise KeyboardInterrupt

    run.engine.on_step = press
    status, out, err = run("a cat", "-n5", "-s3")
    assert status == 130
    assert len(out.splitlines()) == 1
    assert "cancelled; 1 of 5 made" in err


def test_a_reader_who_leaves_is_no_traceback(run, monkeypatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as gone:
        monkeypatch.setattr(sys, "stdout", gone)
        assert app.main(["a cat", "-n9"]) == 1
    assert len(run.engine.rendered) == 1, "nobody listens: the rest is not made"


def test_version_and_help(run) -> None:
    assert run("--version")[:2] == (0, f"dream {dream.__version__}\n")
    page = run("-h")[1]
    assert "--steps" in page
    assert "--precision" in page


def test_the_engine_is_let_go(run) -> None:
    run("a cat")
    assert run.engine.closed


def test_python_api(tmp_path: Path, monkeypatch) -> None:
    engine = FakeEngine()
    monkeypatch.setattr(
        session_factory, "ModelRegistry", lambda *where: fake_registry(tmp_path / "models")
    )
    monkeypatch.setattr(session_factory, "open_engine", lambda registry, **options: engine)
    with dream.open(model="tiny", outdir=str(tmp_path / "out"), steps=2) as session:
        events = list(session.make("a red circle -S42"))
    assert (tmp_path / "out" / "000001.42.png").is_file()
    assert len(events) == 5
    assert engine.closed
    with pytest.raises(dream.core.errors.BadLine):
        dream.open(steps=0)


def test_the_front_door_is_light() -> None:
    heavy = ("torch", "diffusers", "transformers", "numpy", "prompt_toolkit", "cv2")
    code = f"import sys, dream.cli.app; print([m for m in {heavy} if m in sys.modules])"
    output_of = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert output_of.stdout.strip() == "[]"
