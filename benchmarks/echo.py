"""How long a key takes to stand on the screen while a picture is made on all cores.

    python -m benchmarks.echo [KEYS] [--model NAME]
    python -m benchmarks.echo [KEYS] --pasted 10000
    python -m benchmarks.echo [KEYS] --clients 4 [--load requests|bodies|listeners]
    python -m benchmarks.echo [KEYS] --converting FOLDER

`dream` runs on a pseudo-terminal. Each key is pressed when the one before has appeared (a closed
loop), at moments that no tick of ours decides; the letter is looked for in what is drawn. With
--pasted the keys follow so many pasted lines, which are still being checked. With --clients, the
prompt has its `--web` server, which so many clients ask for something all the time; or send bodies
without an end, which are refused at the limit; or ask beside 200 others that listen or never end
their requests. With --converting, `--engine auto` converts the model of that folder for OpenVINO
meanwhile; keys after its end do not count. Besides, the growth of the prompt's memory over 2,000
queued pictures of a fake engine:

    python -m benchmarks.echo --memory [PICTURES]
"""

from __future__ import annotations

import argparse
import random
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from itertools import count, cycle
from pathlib import Path

import psutil

from tests.terminal.pseudo import PATIENCE, Terminal

GOAL = 0.030
"""Seconds, for 99 keys of 100."""
GROWTH = 10.0
"""MiB."""
PAGE = 4096
LISTENERS = 200

_LINE = "a large picture that takes long -s1000 -W512 -H512\r"
_ASKED = ("/api/state", "/api/pictures", "/sdapi/v1/progress", "/sdapi/v1/samplers")
_LETTERS = cycle("qwertzuiopasdfghjklyxcvbnm")


def echoes(keys: int, model: str, clients: int = 0, load: str = "requests") -> list[float]:
    """Seconds from each key to its letter on the terminal, while a picture is made, and while so
    many clients of its server put this load on it."""
    with tempfile.TemporaryDirectory() as folder:
        port = find_free_port()
        serving = ["--web", f"127.0.0.1:{port}"] if clients else []
        term = Terminal("-m", "dream", "-o", folder, "--model", model, *serving, columns=100)
        term.child.delaybeforesend = None  # its twentieth of a second would be measured too
        try:
            term.see_line("")
            term.send(_LINE)
            give_up = time.monotonic() + 10 * PATIENCE
            while not any("render" in row for row in term.rows()):
                assert time.monotonic() < give_up, "the picture was not begun"
                term.read(1.0)
            with put_load(port, clients, load) if clients else nullcontext():
                return [_echo(term) for _ in range(keys)]
        finally:
            term.close()


def echoes_while_converting(keys: int, model: Path) -> list[float]:
    """Seconds from each key to its letter on the terminal, while a picture is made and the model in
    that folder is converted; at most so many keys."""
    with tempfile.TemporaryDirectory() as folder:
        launch = ["-o", folder, "--models_dir", str(model.parent), "--model", model.name]
        launch += ["--engine", "auto"]
        term = Terminal("-m", "dream", *launch, columns=100, XDG_CACHE_HOME=f"{folder}/cache")
        term.child.delaybeforesend = None
        found: list[float] = []
        try:
            term.see_line("")
            give_up = time.monotonic() + 20 * PATIENCE
            while find_conversion(term.child.pid) is None:  # the first picture computes the hash
                made = len(list(Path(folder).glob("*.png")))
                assert time.monotonic() < give_up, "no conversion was begun"
                term.send("a small picture -s1 -W64 -H64\r")
                while find_conversion(term.child.pid) is None:
                    term.read(0.5)
                    if len(list(Path(folder).glob("*.png"))) > made:
                        break
                    assert time.monotonic() < give_up, "no picture was made"
            term.send(_LINE)
            while not any("render" in row for row in term.rows()):
                assert time.monotonic() < give_up, "the picture was not begun"
                term.read(1.0)
            while len(found) < keys and find_conversion(term.child.pid) is not None:
                found.append(_echo(term))
            return found
        finally:
            term.close()


def find_conversion(prompt: int) -> psutil.Process | None:
    """The process below the prompt's that converts a model."""
    for child in psutil.Process(prompt).children(recursive=True):
        with suppress(psutil.Error):
            is_zombie = child.status() == psutil.STATUS_ZOMBIE
            if not is_zombie and any("convert_process" in word for word in child.cmdline()):
                return child
    return None


def find_free_port() -> int:
    """A port that nothing listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextmanager
def put_load(port: int, clients: int, load: str = "requests") -> Iterator[None]:
    """Clients in a process of their own, as they are in life."""
    code = f"from benchmarks.echo import LOADS; LOADS[{load!r}]({port}, {clients})"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline(), "the server does not answer"
        yield
    finally:
        process.terminate()
        process.wait()


def ask(port: int, clients: int) -> None:
    """Ask for what pages and other programs ask for, until this process is ended."""

    def go_on() -> None:
        import httpx2

        with httpx2.Client(base_url=f"http://127.0.0.1:{port}") as http:
            for number in count():
                http.get(_ASKED[number % len(_ASKED)]).raise_for_status()
                http.post("/api/check", json={"line": f"a cat -S{number}"}).raise_for_status()
                if number == 10:
                    print("answered", flush=True)

    run_threads(clients, go_on)


def send_bodies(port: int, clients: int) -> None:
    """Send bodies of up to 1 GiB, until each is refused, and until this process is ended."""
    from tests.web.test_many_requests import send_without_end

    head = "POST /api/lines HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"

    def go_on() -> None:
        for number in count():
            with socket.create_connection(("127.0.0.1", port)) as client, suppress(OSError):
                client.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
                send_without_end(client)
            if number == 1:
                print("refused", flush=True)

    run_threads(clients, go_on)


def ask_beside_listeners(port: int, clients: int) -> None:
    """Ask, beside 200 connections: of every two, one listens, and one never ends its body."""
    head = "HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    sent = (f"GET /api/events {head}\r\n", f"POST /api/lines {head}Content-Length: 9\r\n\r\n{{")
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(LISTENERS)]
    for number, connection in enumerate(connections):
        connection.sendall(sent[number % 2].encode())

    def read() -> None:
        while True:
            for connection in select.select(connections, [], [])[0]:
                if not connection.recv(1 << 16):  # the body did not arrive in time
                    connections.remove(connection)

    threading.Thread(target=read, daemon=True).start()
    ask(port, clients)


def run_threads(count: int, do: Callable[[], None]) -> None:
    """The same in so many threads at once, until all have ended."""
    threads = [threading.Thread(target=do) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


LOADS = {"requests": ask, "bodies": send_bodies, "listeners": ask_beside_listeners}


def echoes_behind_paste(keys: int, pasted: int) -> list[float]:
    """Seconds from each key to its letter on the terminal, after so many lines were pasted. The
    first includes the paste itself."""
    with tempfile.TemporaryDirectory() as folder:
        term = Terminal("-m", "tests.terminal.session", folder, "0.05", columns=100)
        term.child.delaybeforesend = None
        try:
            term.see_line("")
            term.paste("".join(f"picture {n} -s1000 -S{n}\n" for n in range(pasted)))
            while not any("waiting" in row for row in term.rows()):
                term.read(1.0)
            return [_echo(term) for _ in range(keys)]
        finally:
            term.close()


def _echo(term: Terminal) -> float:
    for _ in range(random.randint(0, 5)):  # progress goes on meanwhile
        term.read(0.02)
    letter = next(_LETTERS)
    wanted = f"dream> {letter}"
    pressed = time.perf_counter()
    term.send(letter)
    while term.line()[: len(wanted)] != wanted:
        term.read(1.0)
        assert time.perf_counter() - pressed < PATIENCE, "the key was lost"
    seconds = time.perf_counter() - pressed
    term.send("\x7f")
    term.see_line("")
    return seconds


def growth(pictures: int) -> float:
    """MiB that the prompt's process grows by over so many pictures, after the first hundred."""
    with tempfile.TemporaryDirectory() as folder:
        term = Terminal("-m", "tests.terminal.session", folder, "0")
        try:
            term.see_line("")
            _make(term, Path(folder), 0, 100)
            before = _resident(term)
            _make(term, Path(folder), 100, pictures)
            return (_resident(term) - before) / 2**20
        finally:
            term.close()


def _make(term: Terminal, folder: Path, start: int, count: int) -> None:
    for first in range(start, start + count, 200):
        last = min(first + 200, start + count)
        term.paste("".join(f"picture {n} -s1 -S{n}\n" for n in range(first, last)))
        outputs = folder / "outputs"
        while (made := len(list(outputs.glob("*.png")))) < last:
            term.read(0.5)
        assert made == last
        term.see_line("")


def _resident(term: Terminal) -> int:
    return int(Path(f"/proc/{term.child.pid}/statm").read_text().split()[1]) * PAGE


def main() -> None:
    """Measure, and print one line; exit status 1 where the goal is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("count", nargs="?", type=int)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--pasted", type=int, default=0)
    parser.add_argument("--clients", type=int, default=0)
    parser.add_argument("--converting", type=Path, help="a model's folder")
    parser.add_argument("--load", choices=list(LOADS), default="requests")
    arguments = parser.parse_args()
    if arguments.memory:
        grown = growth(arguments.count or 2000)
        print(f"{arguments.count or 2000} pictures: {grown:+.1f} MiB, goal {GROWTH:.0f}")
        sys.exit(grown > GROWTH)
    if arguments.pasted:
        found = sorted(echoes_behind_paste(arguments.count or 50, arguments.pasted))
    elif arguments.converting:
        found = sorted(echoes_while_converting(arguments.count or 500, arguments.converting))
    else:
        found = sorted(
            echoes(arguments.count or 500, arguments.model, arguments.clients, arguments.load)
        )
    p50, p99 = found[len(found) // 2], found[min(len(found) - 1, len(found) * 99 // 100)]
    print(
        f"{len(found)} keys: p50 {1e3 * p50:.1f} ms, p99 {1e3 * p99:.1f} ms, "
        f"most {1e3 * found[-1]:.1f} ms, goal {1e3 * GOAL:.0f}"
    )
    sys.exit(p99 > GOAL)


if __name__ == "__main__":
    main()
