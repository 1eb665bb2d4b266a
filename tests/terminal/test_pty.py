"""The program on a real pseudo-terminal, as a person has it before them; colours instead of a
model."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("pty", reason="there are no pseudo-terminals on Windows")

from dream.queue import journal
from tests.fakes import fake_registry
from tests.terminal.pseudo import Terminal

CTRL_C, CTRL_D, CTRL_R = "\x03", "\x04", "\x12"

Open = Callable[..., Terminal]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Open]:
    opened: list[Terminal] = []

    def open_terminal(
        pause: float = 0.0, *, rows: int = 24, columns: int = 80, **env: str
    ) -> Terminal:
        arguments = ("-m", "tests.terminal.session", str(tmp_path), str(pause))
        opened.append(Terminal(*arguments, rows=rows, columns=columns, **env))
        return opened[-1]

    yield open_terminal
    for one in opened:
        one.close()


def is_as_before(terminal: Terminal) -> bool:
    """Whether the terminal works for who comes after: settings, cursor, screen, pasting."""
    switched = {
        mode: re.findall(rb"\x1b\[\?%b([hl])" % mode, terminal.raw)[-1:]
        for mode in (b"25", b"2004", b"1049", b"1000")
    }
    assert switched[b"25"] in ([], [b"h"])
    assert switched[b"2004"] in ([], [b"l"])
    assert switched[b"1049"] == switched[b"1000"] == []
    return terminal.state() == terminal.before


def leave(terminal: Terminal, keys: str = "q\r") -> None:
    """By these keys; it goes well."""
    terminal.send(keys)
    assert terminal.end() == 0


def pictures(folder: Path) -> int:
    return len(list((folder / "outputs").glob("*.png")))


def kept(folder: Path) -> list[str]:
    file = folder / "outputs" / ".dream_queue"
    return journal.read(file.read_bytes()) if file.exists() else []


def test_a_session(terminal: Open, tmp_path: Path) -> None:
    here = terminal()
    here.see_line("")
    here.send("a cat -S42\r")
    here.see("(-S42)")
    here.send("\x1b[A")
    here.see_line("a cat -S42")
    here.send("\x7f3\r")
    here.see("(-S43)")
    here.send(CTRL_R + "S42")
    here.see("cat -S42")
    here.send("\r\r")
    here.until(lambda: pictures(tmp_path) == 3, "third picture")
    here.send("--samp\t")
    here.see("--sampler NAME")
    here.send(CTRL_C)
    here.see_line("")
    here.send(CTRL_C)
    here.see("press Ctrl-D")
    leave(here, CTRL_D)
    assert is_as_before(here)
    assert not (tmp_path / "outputs" / ".dream_queue").exists()


def test_a_line_is_typed_while_another_is_made(terminal: Open, tmp_path: Path) -> None:
    here = terminal(pause=0.1)
    here.see_line("")
    here.send("a cat -s60 -S1\r")
    here.see("render ")
    here.send("a dog -s1 -S2 -n2 -U2")
    here.see_line("a dog -s1 -S2 -n2 -U2")
    here.see("2 images, 64×64 → 128×128, 1 step")
    here.send("x")
    here.see("-U takes")
    here.send("\x7f\r!queue\r")
    here.see("now    1  a cat -s60 -S1")
    here.see("2  a dog -s1 -S2 -n2 -U2")
    here.see("1 waiting")
    here.send("half a thought")
    here.see("(-S1)")
    here.see("(-S2)")
    here.see_line("half a thought")
    here.until(lambda: pictures(tmp_path) == 3, "third picture")
    leave(here, "\x15q\r")


def test_ctrl_c_gives_up_the_picture_and_keeps_the_rest(terminal: Open, tmp_path: Path) -> None:
    here = terminal(pause=0.1)
    here.see_line("")
    here.send("a cat -s500 -S1\ra dog -s30 -S2\ra cow -s500 -S3\ra hen -s500\ra pig\rhalf")
    here.see("render ")
    here.see_line("half")
    here.send(CTRL_C)  # clears the line first
    here.see_line("")
    here.send(CTRL_C)
    here.see("cancelled")
    here.see("(-S2)")
    here.see("dream> a cow")
    here.send(CTRL_C)
    here.send(CTRL_C)
    here.see("cancelled")  # two lines, or one where the next had begun between the presses
    here.until(lambda: "render" not in here.rows()[-1] and kept(tmp_path) == [], "idle queue")
    assert pictures(tmp_path) == 1
    os.kill(here.child.pid, signal.SIGINT)  # as `kill -INT` does, and a terminal between prompts
    here.send("a hen -s1 -S5\r")
    here.see("(-S5)")
    leave(here, CTRL_D)
    assert is_as_before(here)


def test_two_hundred_pasted_lines_are_two_hundred_requests(terminal: Open, tmp_path: Path) -> None:
    here = terminal(pause=0.2)
    here.see_line("")
    here.paste("".join(f"picture {n} -s9 -S{n}\n" for n in range(200)))
    here.see("199 waiting")
    assert len(kept(tmp_path)) == 200
    here.send("!next 200\r!pause\r!cancel\r")
    here.see("paused after the current line")
    here.see("cancelled")
    here.see("199 waiting")
    here.send("!resume\r")
    here.see("dream> picture 199 -s9 -S199")
    here.send("!cancel all\r")
    here.see("cancelled 198 lines")
    here.until(lambda: kept(tmp_path) == [], "idle queue")
    leave(here)


@pytest.mark.parametrize("columns", [40, 20])
def test_it_is_resized_while_it_works(terminal: Open, columns: int) -> None:
    here = terminal(pause=0.05)
    here.see_line("")
    here.send("a cat -s99 -S1\rwords")
    here.see("render ")
    here.resize(12, columns)
    here.send(" more")
    here.see("words more")
    here.resize(30, 100)
    here.see_line("words more")
    here.see("(-S1)")
    leave(here, "\x15q\r")


def test_what_was_not_made_is_offered_after_a_kill(terminal: Open, tmp_path: Path) -> None:
    here = terminal(pause=0.1)
    here.see_line("")
    here.send("a cat -s300 -S1\ra 猫 -S2\ra cow -S3\r")
    here.see("2 waiting")
    os.kill(here.child.pid, signal.SIGKILL)
    here.end()
    again = terminal()
    again.see("a 猫 -S2")
    again.send("y\r")
    again.see("(-S3)")
    leave(again)
    assert pictures(tmp_path) == 3
    assert not (tmp_path / "outputs" / ".dream_queue").exists()


def test_leaving_with_lines_not_made_is_asked_about(terminal: Open, tmp_path: Path) -> None:
    here = terminal(pause=0.1)
    here.see_line("")
    here.send("a cat -s300 -S1\ra dog -S2\r")
    here.see("1 waiting")
    here.send(CTRL_D)
    here.see("2 lines unfinished")
    here.send("n\r")
    here.see_line("")
    here.send("q\r")
    here.until(lambda: sum("y: quit" in row for row in here.rows()) == 2, "second question")
    here.send("y\r")
    assert here.end() == 0
    assert is_as_before(here)
    assert kept(tmp_path) == ["a cat -s300 -S1", "a dog -S2"]
    again = terminal()
    again.see("Run now?")
    again.send("n\r")
    again.see("2 lines kept for the next session")
    again.see_line("")
    leave(again)
    assert pictures(tmp_path) == 0
    assert kept(tmp_path) == ["a cat -s300 -S1", "a dog -S2"]


def test_only_lines_that_make_pictures_are_made_again(terminal: Open, tmp_path: Path) -> None:
    """What a stranger's queue holds is shown, asks what it would ask, and runs no command."""
    (tmp_path / "outputs").mkdir()
    cats = [f"a cat -S{seed}" for seed in range(1, 6)]
    lines = [*cats, "!del_model twin --files --yes", f"a dog -S6 -o {tmp_path / 'far'}", "a -n200"]
    (tmp_path / "outputs" / ".dream_queue").write_text("\n".join(lines) + "\n")
    here = terminal(rows=40)
    here.see("Run now?")
    assert any("not run again because it is a command: !del_model" in row for row in here.rows())
    assert any("a dog -S6 -o" in row for row in here.rows()), "it writes elsewhere"
    here.send("y\r")
    here.see("generate them?")
    here.send("n\r")
    here.see("(-S6)")
    leave(here)
    assert pictures(tmp_path) == 5
    assert (tmp_path / "models" / "twin").is_dir()


def test_commands_alone_are_kept_or_discarded(terminal: Open, tmp_path: Path) -> None:
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / ".dream_queue").write_text("!set steps 3\n")
    here = terminal()
    here.see("Discard them?")
    here.send("y\r")
    here.see("1 line discarded")
    leave(here)
    assert kept(tmp_path) == []


@pytest.fixture
def left(tmp_path: Path) -> list[str]:
    """Two lines that a session before left."""
    lines = ["a cat -S1", "a dog -S2"]
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / ".dream_queue").write_text("".join(f"{line}\n" for line in lines))
    return lines


@pytest.mark.parametrize("key", [CTRL_C, CTRL_D, "n\r"], ids=["Ctrl-C", "Ctrl-D", "n"])
def test_lines_of_a_session_before_stay_for_later(
    terminal: Open, tmp_path: Path, left: list[str], key: str
) -> None:
    here = terminal()
    here.see("Run now?")
    here.send(key)
    here.see("2 lines kept for the next session")
    here.see_line("")
    here.send("a hen -S3\r")
    here.see("(-S3)")
    leave(here)
    assert kept(tmp_path) == left
    assert pictures(tmp_path) == 1


def test_lines_of_a_session_before_are_discarded_by_a_whole_word(
    terminal: Open, tmp_path: Path, left: list[str]
) -> None:
    here = terminal()
    here.see("Run now?")
    here.send("d\r")
    here.see("“d” is not an answer")
    here.send("discard\r")
    here.see("2 lines discarded")
    here.see_line("d")  # what was no answer
    leave(here, "\x15q\r")
    assert pictures(tmp_path) == 0
    assert not (tmp_path / "outputs" / ".dream_queue").exists()


def test_what_was_typed_before_a_question_does_not_answer_it(
    terminal: Open, tmp_path: Path, left: list[str]
) -> None:
    here = terminal()
    here.send("yes a hen -S3\ry\rn\rdiscard\ra cow")  # before the prompt is there
    here.see("Run now?")
    here.read(0.5)
    assert kept(tmp_path) == left
    here.send("n\r")
    here.see_line("a cow")
    here.until(lambda: pictures(tmp_path) == 4, "fourth picture")
    leave(here, "\x15q\r")
    assert kept(tmp_path) == left


def test_ctrl_d_and_ctrl_c_at_leaving_stay(terminal: Open, tmp_path: Path) -> None:
    here = terminal(pause=0.1)
    here.see_line("")
    here.send("a cat -s300 -S1\r")
    here.see("render ")
    for times, key in enumerate((CTRL_C, CTRL_D), 1):
        here.send("q\r")
        here.until(lambda n=times: sum("y: quit" in row for row in here.rows()) == n, "question")
        here.send(key)
        here.see_line("")
    assert kept(tmp_path) == ["a cat -s300 -S1"]
    here.send("q\r")
    here.until(lambda: sum("y: quit" in row for row in here.rows()) == 3, "question")
    here.send("yes\r")
    assert here.end() == 0
    assert is_as_before(here)


def test_nothing_is_said_of_a_line_that_was_entered(terminal: Open) -> None:
    here = terminal(columns=120)
    here.see_line("")
    here.send("!clear")
    here.see("clear the history, after asking")
    here.send("\r")
    here.see("from all sessions)? (y/n)")
    here.send("n\r")
    here.see_line("")
    here.until(lambda: not any("after asking" in row for row in here.rows()), "empty toolbar")
    leave(here)


def test_what_a_model_is_called_is_asked(terminal: Open, tmp_path: Path) -> None:
    fake_registry(tmp_path / "other things", "mine")
    here = terminal(pause=0.1, columns=120)
    here.see_line("")
    here.send(f"a cat -s40 -S1\r!import_model {tmp_path}/other things/mine\r")
    here.see("Name: [mine]")
    here.send("tiny\r")
    here.see("model tiny already exists")
    here.send("good one\r")
    here.see("Description:")
    here.send("paints well\r")
    here.see_line("")
    here.see("imported good one")
    here.send("!import_model " + str(tmp_path / "models") + "\r")
    here.see("Which of these (numbers, or all)? [all]")
    here.send(CTRL_C)
    here.see("cancelled")
    here.send("!del_model twin\r")
    here.see("too? (y/n)")
    here.send("y\r")
    here.see("removed twin")
    here.send("!models\r")
    here.see("paints well")
    leave(here)
    assert is_as_before(here)
    listed = (tmp_path / "models" / "models.toml").read_text("utf-8")
    assert '[models."good one"]' in listed and 'description = "paints well"' in listed
    assert not (tmp_path / "models" / "twin").exists()


def test_two_sessions_in_one_folder_keep_their_own_lines(terminal: Open, tmp_path: Path) -> None:
    first, second = terminal(pause=0.1), terminal(pause=0.1)
    for here, line in ((first, "a cat -s300"), (second, "a dog -s300")):
        here.see_line("")
        here.send(f"{line}\r")
        here.see("render ")
    files = (tmp_path / "outputs").glob(".dream_queue*")
    assert sorted(file.read_text() for file in files) == ["a cat -s300\n", "a dog -s300\n"]


@pytest.mark.parametrize(
    ("end", "status"),
    [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGHUP, 128 + signal.SIGHUP)],
)
@pytest.mark.parametrize("busy", [True, False])
def test_a_signal_ends_it_and_the_terminal_is_as_before(
    terminal: Open, tmp_path: Path, end: int, status: int, busy: bool
) -> None:
    here = terminal(pause=0.05)
    here.see_line("")
    if busy:
        here.send("a cat -s300\r")
        here.see("render ")
    here.send("half")
    here.see_line("half")
    os.kill(here.child.pid, end)
    assert here.end() == status
    assert is_as_before(here)
    assert kept(tmp_path) == (["a cat -s300"] if busy else [])


def test_a_storm_of_ctrl_c_ends_nothing(terminal: Open, tmp_path: Path) -> None:
    here = terminal(pause=0.05)
    here.see_line("")
    here.send("a cat -s300\ra dog -s300\r")
    here.see("render ")
    for _ in range(20):
        here.send(CTRL_C)
        os.kill(here.child.pid, signal.SIGINT)
    here.until(lambda: kept(tmp_path) == [], "idle queue")
    here.send("a hen -s1 -S7\r")
    here.see("(-S7)")
    leave(here)
    assert is_as_before(here)


def test_a_bug_is_reported_with_a_file_and_the_prompt_lives_on(
    terminal: Open, tmp_path: Path
) -> None:
    here = terminal(columns=120, XDG_STATE_HOME=str(tmp_path / "state"))
    here.see_line("")
    here.send("a bug\ra cat -S7\r")
    here.see("failed: ZeroDivisionError: of the engine")
    here.see("(-S7)")
    leave(here)
    assert is_as_before(here)
    assert kept(tmp_path) == []
    (file,) = tmp_path.rglob("dream-crash-*.txt")
    assert "ZeroDivisionError: of the engine" in file.read_text("utf-8")


@pytest.mark.parametrize(
    "env", [{"TERM": "dumb"}, {"NO_COLOR": "1"}, {"COLS": "40"}, {"LC_ALL": "C"}], ids=str
)
def test_poorer_terminals(terminal: Open, env: dict[str, str]) -> None:
    columns = int(env.get("COLS", 80))
    here = terminal(columns=columns, **env)
    here.see("dream>")
    here.send("猫 and a cat -S42\r")
    here.see("S42)" if columns == 80 else "42)")
    here.send("a cat -stpes\r")
    here.see("^")
    leave(here)
    assert is_as_before(here)
    if "TERM" in env:
        assert b"\x1b" not in here.raw
    if "NO_COLOR" in env:
        assert not re.search(rb"\x1b\[[0-9;]*\b(3[0-7]|9[0-7])m", here.raw)
