"""`dream` as shells, scripts, containers and cron start it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dream.cli.app import main
from dream.commands import COMMANDS, Context, run_line
from dream.core.errors import BadLine, SetupError
from dream.core.events import Planned, Rejected
from dream.engine.import_errors import explain_import_error, raise_setup_errors
from dream.line import find_command_line, logged_of, parse_argv, parse_line
from dream.session import Session
from tests.fakes import FakeEngine, fake_session

ROOT = Path(__file__).parents[1]
HOMELESS = """
import pwd
def nobody(*asked):
    raise KeyError("uid not found")
pwd.getpwuid = nobody
"""


def shell(command: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """What a shell's command says; `dream` in it is this one."""
    return subprocess.run(
        ["bash", "-c", f'dream() {{ "{sys.executable}" -m dream "$@"; }}; {command}'],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    "command",
    [
        "dream <&-",
        "dream --dry_run 'a cat' <&- >&- 2>&-",
        "dream --dry_run 'a cat' 2>&-",
        "dream -h | true; dream --dry_run 'a cat' -n99 | true",
    ],
)
def test_closed_streams_are_no_traceback(command: str, tmp_path: Path) -> None:
    ran = shell(command, tmp_path, HOME=str(tmp_path))
    assert "Traceback" not in ran.stderr and "Exception" not in ran.stderr


def test_without_home_and_name_it_works_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "tmp").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(HOMELESS)
    path = f"{tmp_path / 'site'}:{ROOT}"
    ran = shell("dream --dry_run 'a cat'", tmp_path, PYTHONPATH=path, TMPDIR=str(tmp_path / "tmp"))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith('"a cat"')
    assert list((tmp_path / "tmp").iterdir()) == []


def test_without_home_and_name_python_opens_a_studio(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "sitecustomize.py").write_text(HOMELESS)
    ask = "import dream; print(*(e.line for e in dream.open(steps=3).plan('a cat -S1')))"
    ran = subprocess.run(
        [sys.executable, "-c", ask],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{tmp_path}:{ROOT}",
            "TMPDIR": str(tmp_path / "tmp"),
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith('"a cat" -s3')
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    "error",
    [
        ImportError("libtorch_cuda.so: failed to map segment from shared object"),
        OSError(12, "Cannot allocate memory"),
        ImportError("libtorch_cpu.so: cannot allocate memory in static TLS of it"),
    ],
)
def test_memory_that_is_full_while_torch_comes_is_said(error: Exception) -> None:
    assert "not enough memory" in str(explain_import_error(error))


def test_memory_that_is_full_without_a_word_is_said_too() -> None:
    with pytest.raises(SetupError, match="not enough memory"), raise_setup_errors():
        raise MemoryError


# ── what is a line, and what a command ─────────────────────────────────────────────────────────

LOGGED = 'o/000001.42.png: "a red -s circle" -s20 -S42 --negative="a b" # sha256:0'


@pytest.mark.parametrize(
    "argv",
    [
        ["a red circle -n2 -s20"],
        ["a red circle", "-n2", "-s20"],
        ["-n2", "a red circle -s20"],
        ["a", "red", "circle", "-n2", "-s20"],
    ],
)
def test_one_quoted_argument_is_a_line_as_at_the_prompt(argv: list[str]) -> None:
    _, base, line = parse_argv(argv)
    request = parse_line(str(line), base)
    assert (request.prompt, request.iterations, request.steps) == ("a red circle", 2, 20)


@pytest.mark.parametrize(
    "argv",
    [
        [LOGGED],
        ["o/000001.42.png:", "a red -s circle", "-s20", "-S42", "--negative=a b"],
        ["o/000001.42.png:", "a red -s circle", "-s20", "-S42", "--negative=a b", "#", "sha256:0"],
        ["--json", "o/000001.42.png:", "a red -s circle", "-s", "20", "-S42", "--negative", "a b"],
    ],
)
def test_a_log_line_pasted_into_the_shell_is_that_line(argv: list[str]) -> None:
    before, logged = logged_of(argv)
    launch, base, line = parse_argv(before)
    assert parse_line(str(logged or line), base) == parse_line(LOGGED)
    assert launch.json == (argv[0] == "--json")


@pytest.mark.parametrize("line", ["!1", "!!", "! models", "!models", "!1.5 times", "!🙂"])
def test_nothing_that_begins_with_an_exclamation_mark_is_painted(line: str, tmp_path: Path) -> None:
    assert find_command_line([line]) == ([], line)
    session = fake_session(tmp_path)
    list(run_line(Context(session, tuple, COMMANDS), line))
    (event,) = session.make_all([(1, line)])
    assert isinstance(event, Rejected)
    assert isinstance(session.engine, FakeEngine) and session.engine.rendered == []


def test_the_history_in_the_shell_is_that_of_the_outdir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    history = tmp_path / "o" / ".dream_history"
    history.parent.mkdir()
    history.write_text("a cat -S1\na dog -S2\n")
    for argv, message in (
        (["!history"], "    1  a cat -S1\n    2  a dog -S2\n"),
        (["!search", "dog"], "    2  a dog -S2\n"),
        (["!1"], "a cat -S1\n"),
    ):
        assert main(["-o", "o", *argv]) == 0
        assert capsys.readouterr().out == message
    assert main(["-o", "o", "!clear", "yes"]) == 0
    assert history.read_text() == ""


@pytest.mark.parametrize("line", ["-s20", "-n3 -S1", "  --seamless  # so"])
def test_switches_alone_are_refused_with_a_hint(line: str, tmp_path: Path) -> None:
    session = fake_session(tmp_path)
    (event,) = session.plan(line)
    assert isinstance(event, Rejected) and '""' in event.error.hint
    for worded in (f'"" {line}', f"{line.partition('#')[0]} --prompt=cat"):
        assert all(isinstance(event, Planned) for event in session.plan(worded))


@pytest.mark.parametrize("line", ['"a red circle"-s20', '"a red circle"--steps=20 -S1'])
def test_a_missing_space_behind_a_quote_is_pointed_at(line: str) -> None:
    with pytest.raises(BadLine, match="a space is missing") as error:
        parse_line(line)
    assert error.value.column == line.index('"-') + 2


# ── a dry run ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def dry(tmp_path: Path) -> Session:
    made = fake_session(tmp_path)
    list(made.make("a cat -S1"))
    session = fake_session(tmp_path)
    session.dry_run = True
    return session


def test_no_command_renders_loads_or_writes_in_a_dry_run(dry: Session, tmp_path: Path) -> None:
    def files() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    (log,) = tmp_path.rglob("dream_log.txt")
    (picture,) = tmp_path.rglob("*.png")
    (tmp_path / "line.txt").write_text("a dog -S2\n")
    arguments = {"!mask": f"{picture} -tm cat", "!fix": f"{picture} -U2", "!del_model": "tiny"}
    arguments |= {"!verify": str(log), "!replay": str(log), "!clear": "yes", "!switch": "tiny"}
    arguments |= {
        "!control": f"canny {picture}",
        "!import_model": str(tmp_path / "models" / "tiny"),
        "!edit_model": "tiny --steps 2",
        "!fetch": f"{picture.parent}/*.png {tmp_path / 'fetched.txt'}",
    }
    before = files()
    context = Context(dry, tuple, COMMANDS)
    for command in COMMANDS:
        if command.name not in ("!open", "!restart"):
            list(run_line(context, f"{command.name} {arguments.get(command.name, '')}".strip()))
    list(run_line(context, "a cow"))
    assert isinstance(dry.engine, FakeEngine)
    assert dry.engine.rendered == dry.engine.ready == dry.engine.warmed == []
    assert files() == before


def test_lines_of_a_command_are_planned_in_a_dry_run(dry: Session, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("a dog -S2\na cow -S3\n")
    events = list(run_line(Context(dry, tuple, COMMANDS), f"!replay {tmp_path / 'lines.txt'}"))
    assert [event.request.seed for event in events if isinstance(event, Planned)] == [2, 3]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("a café -s5 -S1\r\na 猫 -s5 -S2\r\n".encode("utf-16"), "read as UTF-16"),
        (b"a caf\xe9 -s5 -S1\n", "read as Windows-1252"),
        (b"a\0b -s5\n", "is not a text file"),
        (b"a cat -s5 -S1\n\0\0\0\0", ""),
    ],
)
def test_standard_input_is_read_as_a_file_is(data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_bytes(data)
    file, pipe = (
        shell(f"dream --dry_run --from_file {source}", tmp_path, HOME=str(tmp_path))
        for source in ("lines.txt", "- <lines.txt")
    )
    assert (file.stdout, file.returncode) == (pipe.stdout, pipe.returncode)
    assert file.stderr == pipe.stderr.replace("standard input", "lines.txt")
    assert message in pipe.stderr and "Traceback" not in pipe.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        (
            "dream -h > /dev/full",
            1,
            "dream: the output cannot be written: No space left on device\n",
        ),
        ("dream --dry_run 'a cat -stpes' 2> /dev/full", 2, ""),
    ],
)
def test_output_to_a_full_disk(command: str, status: int, message: str, tmp_path: Path) -> None:
    ran = shell(command, tmp_path)
    assert (ran.returncode, ran.stderr) == (status, message)


INTERRUPTED_START = """
import os, signal, sys

signal.signal(signal.SIGINT, signal.default_int_handler)

class Press:
    def find_spec(self, name, path, target=None):
        if name == sys.argv[1]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Press())
sys.argv = ["dream", *sys.argv[1:]]
from dream.__main__ import main
status = main()
if sys.argv[1] == "red circle":
    os.kill(os.getpid(), signal.SIGINT)
sys.exit(status)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
@pytest.mark.parametrize(
    ("module", "status"),
    [("dream.cli.app", 130), ("dream.line", 130), ("dream.session", 130), ("red circle", -2)],
)
def test_ctrl_c_while_it_starts_or_ends(module: str, status: int, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_START, module, "--dry_run"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stderr) == (status, ""), ran.stderr
