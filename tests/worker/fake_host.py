"""A worker without torch that does as the prompt says: what the client must live with, quickly."""

from __future__ import annotations

import os
import sys
import time
from multiprocessing.connection import Connection
from signal import SIGKILL

from PIL import Image

from dream.engine.base import Progress
from dream.errors import SetupError
from dream.picture import Picture
from dream.worker.wire import Begun, Broken, Cancel, Do, Done, Left, Open, Render, Told

START = "import sys; sys.path.append(sys.argv[2]); from tests.worker.fake_host import main; main()"
"""In place of `dream.worker.process.START`."""


def main() -> None:
    """Like `dream.worker.host.main`."""
    connection = Connection(int(sys.argv[1]))
    opening = connection.recv()
    assert isinstance(opening, Open)
    if opening.machine.device == "broken":
        connection.send(Broken(SetupError("half of it is not installed")))
        return
    while True:
        match connection.recv():
            case Do(job, Render(recipe)):
                connection.send(Begun(job))
                connection.send(Told(job, Progress("render", 1, 2)))
                _behave(recipe.prompt)
                if recipe.prompt == "wait" and connection.recv() == Cancel(job):
                    connection.send(Left(job))
                    continue
                connection.send(Done(job, Picture(Image.new("RGB", (8, 8)), recipe)))


def _behave(prompt: str) -> None:
    match prompt:
        case "die":
            os.kill(os.getpid(), SIGKILL)
        case "leave":
            print("my last words")
            sys.exit(7)
        case "hang":
            time.sleep(600)
