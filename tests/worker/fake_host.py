"""A worker without torch that does as the prompt says: what the client must live with, quickly."""

from __future__ import annotations

import os
import sys
import time
from signal import SIGKILL

from PIL import Image

from dream.engine.base import Progress
from dream.errors import SetupError
from dream.picture import Picture
from dream.worker.channel import Channel, packed
from dream.worker.start import inherited
from dream.worker.wire import (
    Answer,
    Begun,
    Broken,
    Cancel,
    Do,
    Done,
    Finish,
    Left,
    Open,
    Render,
    Told,
)

START = "import sys; sys.path.append(sys.argv[2]); from tests.worker.fake_host import main; main()"
"""In place of `dream.worker.start.START`."""


def main() -> None:
    """Like `dream.worker.host.main`."""
    channel = Channel(inherited(sys.argv[1]))

    def answer(said: Answer) -> None:
        channel.send(packed(said))

    opening = channel.receive()
    assert isinstance(opening, Open)
    if opening.machine.device == "broken":
        answer(Broken(SetupError("half of it is not installed")))
        return
    while True:
        match channel.receive():
            case Do(job, Render(recipe)):
                answer(Begun(job))
                answer(Told(job, Progress("render", 1, 2)))
                _behave(recipe.prompt)
                if recipe.prompt == "unreadable":
                    channel.send(packed(Left(job))[:8] + b"cdream.worker.wire\nNoSuch\n.")
                if recipe.prompt == "wait" and channel.receive() == Cancel(job):
                    answer(Left(job))
                    continue
                answer(Done(job, Picture(Image.new("RGB", (8, 8)), recipe)))
            case Do(job, Finish(picture)):
                answer(Begun(job))
                answer(Done(job, picture))


def _behave(prompt: str) -> None:
    match prompt:
        case "die":
            os.kill(os.getpid(), SIGKILL)
        case "leave":
            print("my last words")
            sys.exit(7)
        case "hang":
            time.sleep(600)
