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


def saved_lines(folder: Path) -> list[str]:
    file = folder / "outputs" / ".dream_queue"
    return journal.read(file.read_bytes()) if file.exists() else []


def test_a_session(terminal: Open, tmp_path: Path) -> None:
    term = terminal()
    term.see_line("")
    term.send("a cat -S42\r")
    term.see("(-S42)")
    term.send("\x1b[A")
    term.see_line("a cat -S42")
    term.send("\x7f3\r")
    term.see("(-S43)")
    term.send(CTRL_R + "S42")
    term.see("cat -S42")
    term.send("\r\r")
    term.until(lambda: pictures(tmp_path) == 3, "third picture")
    term.send("--samp\t")
    term.see("--sampler NAME")
    term.send(CTRL_C)
    term.see_line("")
    term.send(CTRL_C)
    term.see("press Ctrl-D")
    leave(term, CTRL_D)
    assert is_as_before(term)
    assert not (tmp_path / "outputs" / ".dream_queue").exists()


def test_a_line_is_typed_while_another_is_made(terminal: Open, tmp_path: Path) -> None:
    term = terminal(pause=0.1)
    term.see_line("")
    term.send("a cat -s60 -S1\r")
    term.see("render ")
    term.send("a dog -s1 -S2 -n2 -U2")
    term.see_line("a dog -s1 -S2 -n2 -U2")
    term.see("2 images, 64×64 → 128×128, 1 step")
    term.send("x")
    term.see("-U takes")
    term.send("\x7f\r!queue\r")
    term.see("now    1  a cat -s60 -S1")
    term.see("2  a dog -s1 -S2 -n2 -U2")
    term.see("1 waiting")
    term.send("half a thought")
    term.see("(-S1)")
    term.see("(-S2)")
    term.see_line("half a thought")
    term.until(lambda: pictures(tmp_path) == 3, "third picture")
    leave(term, "\x15q\r")


def test_ctrl_c_gives_up_the_picture_and_keeps_the_rest(terminal: Open, tmp_path: Path) -> None:
    term = terminal(pause=0.1)
    term.see_line("")
    term.send("a cat -s500 -S1\ra dog -s30 -S2\ra cow -s500 -S3\ra hen -s500\ra pig\rhalf")
    term.see("render ")
    term.see_line("half")
    term.send(CTRL_C)  # clears the line first
    term.see_line("")
    term.send(CTRL_C)
    term.see("cancelled")
    term.see("(-S2)")
    term.see("dream> a cow")
    term.send(CTRL_C)
    term.send(CTRL_C)
    term.see("cancelled")  # two lines, or one where the next had begun between the presses
    term.until(
        lambda: "render" not in term.rows()[-1] and saved_lines(tmp_path) == [], "idle queue"
    )
    assert pictures(tmp_path) == 1
    os.kill(term.child.pid, signal.SIGINT)  # as `kill -INT` does, and a terminal between prompts
    term.send("a hen -s1 -S5\r")
    term.see("(-S5)")
    leave(term, CTRL_D)
    assert is_as_before(term)


def test_two_hundred_pasted_lines_are_two_hundred_requests(terminal: Open, tmp_path: Path) -> None:
    term = terminal(pause=0.2)
    term.see_line("")
    term.paste("".join(f"picture {n} -s9 -S{n}\n" for n in range(200)))
    term.see("199 waiting")
    assert len(saved_lines(tmp_path)) == 200
    term.send("!next 200\r!pause\r!cancel\r")
    term.see("paused after the current line")
    term.see("cancelled")
    term.see("199 waiting")
    term.send("!resume\r")
    term.see("dream> picture 199 -s9 -S199")
    term.send("!cancel all\r")
    term.see("cancelled 198 lines")
    term.until(lambda: saved_lines(tmp_path) == [], "idle queue")
    leave(term)


@pytest.mark.parametrize("columns", [40, 20])
def test_it_is_resized_while_it_works(terminal: Open, columns: int) -> None:
    term = terminal(pause=0.05)
    term.see_line("")
    term.send("a cat -s99 -S1\rwords")
    term.see("render ")
    term.resize(12, columns)
    term.send(" more")
    term.see("words more")
    term.resize(30, 100)
    term.see_line("words more")
    term.see("(-S1)")
    leave(term, "\x15q\r")


def test_what_was_not_made_is_offered_after_a_kill(terminal: Open, tmp_path: Path) -> None:
    term = terminal(pause=0.1)
    term.see_line("")
    term.send("a cat -s300 -S1\ra 猫 -S2\ra cow -S3\r")
    term.see("2 waiting")
    os.kill(term.child.pid, signal.SIGKILL)
    term.end()
    again = terminal()
    again.see("a 猫 -S2")
    again.see("Run now?")
    again.send("y\r")
    again.see("(-S3)")
    leave(again)
    assert pictures(tmp_path) == 3
    assert not (tmp_path / "outputs" / ".dream_queue").exists()


def test_lines_entered_before_the_session_is_open_are_on_disk(
    terminal: Open, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def enter(term: Terminal) -> None:
        """While the program imports: two pasted lines, a comment, one more line, half a line."""
        term.see_line("")
        term.paste("a cat -S1\n# later\na dog -S2\na bi")
        term.see_line("a bi")
        term.send("rd -S3\ra ha")
        term.see_line("a ha")

    term = terminal(OPENS_WITH=str(pipe))
    enter(term)
    three = ["a cat -S1", "a dog -S2", "a bird -S3"]
    assert saved_lines(tmp_path) == three
    term.child.kill(signal.SIGKILL)
    term.end()

    term = terminal(OPENS_WITH=str(pipe))
    enter(term)
    pipe.write_text("open")
    term.see("3 lines unfinished when dream ended. Run now?")
    term.send("y\r")
    term.until(lambda: pictures(tmp_path) == 6, "six pictures")
    term.see_line("a ha")
    term.send("t -S4\r")
    term.until(lambda: pictures(tmp_path) == 7, "seventh picture")
    leave(term)
    assert not list((tmp_path / "outputs").glob(".dream_queue*"))


def test_leaving_with_lines_not_made_is_asked_about(terminal: Open, tmp_path: Path) -> None:
    term = terminal(pause=0.1)
    term.see_line("")
    term.send("a cat -s300 -S1\ra dog -S2\r")
    term.see("1 waiting")
    term.send(CTRL_D)
    term.see("2 lines unfinished")
    term.send("n\r")
    term.see_line("")
    term.send("q\r")
    term.until(lambda: sum("y: quit" in row for row in term.rows()) == 2, "second question")
    term.send("y\r")
    assert term.end() == 0
    assert is_as_before(term)
    assert saved_lines(tmp_path) == ["a cat -s300 -S1", "a dog -S2"]
    again = terminal()
    again.see("Run now?")
    again.send("n\r")
    again.see("2 lines kept for the next session")
    again.see_line("")
    leave(again)
    assert pictures(tmp_path) == 0
    assert saved_lines(tmp_path) == ["a cat -s300 -S1", "a dog -S2"]


def test_only_lines_that_make_pictures_are_made_again(terminal: Open, tmp_path: Path) -> None:
    """What a stranger's queue holds is shown, asks what it would ask, and runs no command."""
    (tmp_path / "outputs").mkdir()
    cats = [f"a cat -S{seed}" for seed in range(1, 6)]
    lines = [*cats, "!del_model twin --files --yes", f"a dog -S6 -o {tmp_path / 'far'}", "a -n200"]
    (tmp_path / "outputs" / ".dream_queue").write_text("\n".join(lines) + "\n")
    term = terminal(rows=40)
    term.see("Run now?")
    assert any("not run again because it is a command: !del_model" in row for row in term.rows())
    assert any("a dog -S6 -o" in row for row in term.rows()), "it writes elsewhere"
    term.send("y\r")
    term.see("generate them?")
    term.send("n\r")
    term.see("(-S6)")
    leave(term)
    assert pictures(tmp_path) == 5
    assert (tmp_path / "models" / "twin").is_dir()


def test_commands_alone_are_kept_or_discarded(terminal: Open, tmp_path: Path) -> None:
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / ".dream_queue").write_text("!set steps 3\n")
    term = terminal()
    term.see("Discard them?")
    term.send("y\r")
    term.see("1 line discarded")
    leave(term)
    assert saved_lines(tmp_path) == []


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
    term = terminal()
    term.see("Run now?")
    term.send(key)
    term.see("2 lines kept for the next session")
    term.see_line("")
    term.send("a hen -S3\r")
    term.see("(-S3)")
    leave(term)
    assert saved_lines(tmp_path) == left
    assert pictures(tmp_path) == 1


def test_lines_of_a_session_before_are_discarded_by_a_whole_word(
    terminal: Open, tmp_path: Path, left: list[str]
) -> None:
    term = terminal()
    term.see("Run now?")
    term.send("d\r")
    term.see("“d” is not an answer")
    term.send("discard\r")
    term.see("2 lines discarded")
    term.see_line("d")  # what was no answer
    leave(term, "\x15q\r")
    assert pictures(tmp_path) == 0
    assert not (tmp_path / "outputs" / ".dream_queue").exists()


def test_what_was_typed_before_a_question_does_not_answer_it(
    terminal: Open, tmp_path: Path, left: list[str]
) -> None:
    term = terminal()
    term.send("yes a hen -S3\ry\rn\rdiscard\ra cow")  # before the prompt is there
    term.see("Run now?")
    term.read(0.5)
    assert saved_lines(tmp_path) == left
    term.send("n\r")
    term.see_line("a cow")
    term.until(lambda: pictures(tmp_path) == 4, "fourth picture")
    leave(term, "\x15q\r")
    assert saved_lines(tmp_path) == left


def test_ctrl_d_and_ctrl_c_at_leaving_stay(terminal: Open, tmp_path: Path) -> None:
    term = terminal(pause=0.1)
    term.see_line("")
    term.send("a cat -s300 -S1\r")
    term.see("render ")
    for times, key in enumerate((CTRL_C, CTRL_D), 1):
        term.send("q\r")
        term.until(lambda n=times: sum("y: quit" in row for row in term.rows()) == n, "question")
        term.send(key)
        term.see_line("")
    assert saved_lines(tmp_path) == ["a cat -s300 -S1"]
    term.send("q\r")
    term.until(lambda: sum("y: quit" in row for row in term.rows()) == 3, "question")
    term.send("yes\r")
    assert term.end() == 0
    assert is_as_before(term)


def test_nothing_is_said_of_a_line_that_was_entered(terminal: Open) -> None:
    term = terminal(columns=120)
    term.see_line("")
    term.send("!clear")
    term.see("clear the history, after asking")
    term.send("\r")
    term.see("from all sessions)? (y/n)")
    term.send("n\r")
    term.see_line("")
    term.until(lambda: not any("after asking" in row for row in term.rows()), "empty toolbar")
    leave(term)


def test_what_a_model_is_called_is_asked(terminal: Open, tmp_path: Path) -> None:
    fake_registry(tmp_path / "other things", "mine")
    term = terminal(pause=0.1, columns=120)
    term.see_line("")
    term.send(f"a cat -s40 -S1\r!import_model {tmp_path}/other things/mine\r")
    term.see("Name: [mine]")
    term.send("tiny\r")
    term.see("model tiny already exists")
    term.send("good one\r")
    term.see("Description:")
    term.send("paints well\r")
    term.see_line("")
    term.see("imported good one")
    term.send("!import_model " + str(tmp_path / "models") + "\r")
    term.see("Which of these (numbers, or all)? [all]")
    term.send(CTRL_C)
    term.see("cancelled")
    term.send("!del_model twin\r")
    term.see("too? (y/n)")
    term.send("y\r")
    term.see("removed twin")
    term.send("!models\r")
    term.see("paints well")
    leave(term)
    assert is_as_before(term)
    listed = (tmp_path / "models" / "models.toml").read_text("utf-8")
    assert '[models."good one"]' in listed and 'description = "paints well"' in listed
    assert not (tmp_path / "models" / "twin").exists()


def test_two_sessions_in_one_folder_keep_their_own_lines(terminal: Open, tmp_path: Path) -> None:
    first, second = terminal(pause=0.1), terminal(pause=0.1)
    for term, line in ((first, "a cat -s300"), (second, "a dog -s300")):
        term.see_line("")
        term.send(f"{line}\r")
        term.see("render ")
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
    term = terminal(pause=0.05)
    term.see_line("")
    if busy:
        term.send("a cat -s300\r")
        term.see("render ")
    term.send("half")
    term.see_line("half")
    os.kill(term.child.pid, end)
    assert term.end() == status
    assert is_as_before(term)
    assert saved_lines(tmp_path) == (["a cat -s300"] if busy else [])


def test_a_storm_of_ctrl_c_ends_nothing(terminal: Open, tmp_path: Path) -> None:
    term = terminal(pause=0.05)
    term.see_line("")
    term.send("a cat -s300\ra dog -s300\r")
    term.see("render ")
    for _ in range(20):
        term.send(CTRL_C)
        os.kill(term.child.pid, signal.SIGINT)
    term.until(lambda: saved_lines(tmp_path) == [], "idle queue")
    term.send("a hen -s1 -S7\r")
    term.see("(-S7)")
    leave(term)
    assert is_as_before(term)


def test_a_bug_is_reported_with_a_file_and_the_prompt_lives_on(
    terminal: Open, tmp_path: Path
) -> None:
    term = terminal(columns=120, XDG_STATE_HOME=str(tmp_path / "state"))
    term.see_line("")
    term.send("a bug\ra cat -S7\r")
    term.see("failed: ZeroDivisionError: of the engine")
    term.see("(-S7)")
    leave(term)
    assert is_as_before(term)
    assert saved_lines(tmp_path) == []
    (file,) = tmp_path.rglob("dream-crash-*.txt")
    assert "ZeroDivisionError: of the engine" in file.read_text("utf-8")


@pytest.mark.parametrize(
    "env", [{"TERM": "dumb"}, {"NO_COLOR": "1"}, {"COLS": "40"}, {"LC_ALL": "C"}], ids=str
)
def test_poorer_terminals(terminal: Open, env: dict[str, str]) -> None:
    columns = int(env.get("COLS", 80))
    term = terminal(columns=columns, **env)
    term.see("dream>")
    term.send("猫 and a cat -S42\r")
    term.see("S42)" if columns == 80 else "42)")
    term.send("a cat -stpes\r")
    term.see("^")
    leave(term)
    assert is_as_before(term)
    if "TERM" in env:
        assert b"\x1b" not in term.raw
    if "NO_COLOR" in env:
        assert not re.search(rb"\x1b\[[0-9;]*\b(3[0-7]|9[0-7])m", term.raw)
