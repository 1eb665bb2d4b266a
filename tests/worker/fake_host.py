"""A worker without torch that does as the prompt says: what the client must live with, quickly."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from signal import SIGKILL, SIGSTOP

from PIL import Image

from dream.core.errors import SetupError
from dream.core.picture import Picture
from dream.engine.interface import Progress
from dream.worker.channel import Channel, UnreadableMessage, pack_message
from dream.worker.protocol import (
    Answer,
    CancelTask,
    FinishTask,
    Init,
    Message,
    RenderTask,
    RunTask,
    TaskCancelled,
    TaskDone,
    TaskProgress,
    TaskStarted,
    WorkerUnusable,
)
from dream.worker.start_worker import open_inherited

START = "import sys; sys.path.append(sys.argv[2]); from tests.worker.fake_host import main; main()"
"""In place of `dream.worker.start_worker.START`."""


FAULT = "DREAM_TEST_FAULT"
"""Of the environment: a file that says `KILL 7`: the first worker that passes its seventh point, in
front of a message or behind it, gets that signal there, and removes the file."""


class _FaultyChannel(Channel):
    """Each message that is sent or received is two points."""

    _passed = 0

    def send(self, data: bytes) -> None:
        self._reach()
        super().send(data)
        self._reach()

    def receive(self) -> Message | UnreadableMessage:
        self._reach()
        message = super().receive()
        self._reach()
        return message

    def _reach(self) -> None:
        self._passed += 1
        order = Path(os.environ.get(FAULT, "/dev/null"))
        if order.is_file():
            kind, at = order.read_text().split()
            if self._passed == int(at):
                order.unlink()
                os.kill(os.getpid(), SIGKILL if kind == "KILL" else SIGSTOP)


def main() -> None:
    """Like `dream.worker.server.main`."""
    channel = _FaultyChannel(open_inherited(sys.argv[1]))

    def answer(message: Answer) -> None:
        channel.send(pack_message(message))

    opening = channel.receive()
    assert isinstance(opening, Init)
    if opening.machine.device == "broken":
        answer(WorkerUnusable(SetupError("half of it is not installed")))
        return
    while True:
        match channel.receive():
            case RunTask(job, RenderTask(recipe)):
                answer(TaskStarted(job))
                answer(TaskProgress(job, Progress("render", 1, 2)))
                _behave(recipe.prompt)
                if recipe.prompt == "unreadable":
                    channel.send(
                        pack_message(TaskCancelled(job))[:8] + b"cdream.worker.protocol\nNoSuch\n."
                    )
                if recipe.prompt == "wait" and channel.receive() == CancelTask(job):
                    answer(TaskCancelled(job))
                    continue
                answer(TaskDone(job, Picture(Image.new("RGB", (8, 8)), recipe)))
            case RunTask(job, FinishTask(picture)):
                answer(TaskStarted(job))
                answer(TaskDone(job, picture))


def _behave(prompt: str) -> None:
    match prompt:
        case "die":
            os.kill(os.getpid(), SIGKILL)
        case "leave":
            print("my last words")
            sys.exit(7)
        case "hang":
            time.sleep(600)
