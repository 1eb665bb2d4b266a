"""What crosses the wire, and what does not."""

from __future__ import annotations

import pickle
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from dream.core.errors import BadLine, ModelError
from dream.core.picture import Picture
from dream.worker.channel import Channel, UnreadableMessage, pack_message
from dream.worker.protocol import (
    CancelTask,
    LoadedModels,
    LoadTask,
    Message,
    RunTask,
    TaskDone,
    TaskFailed,
    TaskStarted,
)
from tests.recipes import recipe


class Version(str):
    """Like torch's: text, of a class of another package."""

    def __str__(self) -> str:
        return self[:]


class Stranger:
    pass


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    one, other = map(Channel, socket.socketpair())
    yield one, other
    one.close()
    other.close()


def crossed(ends: tuple[Channel, Channel], message: Message) -> Message | UnreadableMessage:
    ends[0].send(pack_message(message))
    return ends[1].receive()


@pytest.mark.parametrize(
    "message",
    [
        RunTask(7, LoadTask("tiny", "c0ffee")),
        CancelTask(7),
        TaskStarted(7),
        LoadedModels(("tiny", "large")),
        RunTask(7, LoadTask(Path("a").name)),
    ],
)
def test_messages_arrive_as_they_were(ends: tuple[Channel, Channel], message: Message) -> None:
    assert crossed(ends, message) == message


def test_pictures_and_errors_arrive_with_all_they_have(ends: tuple[Channel, Channel]) -> None:
    picture = Picture(Image.new("RGB", (8, 8), "red"), recipe(), {"torch": "2.9"})
    done = crossed(ends, TaskDone(1, picture))
    assert isinstance(done, TaskDone) and done.picture == picture
    failed = crossed(ends, TaskFailed(2, BadLine("odd", 7, "so")))
    assert isinstance(failed, TaskFailed) and str(failed.error) == "column 7: odd (so)"


def test_text_and_numbers_of_other_packages_cross_as_what_they_are(
    ends: tuple[Channel, Channel],
) -> None:
    picture = Picture(Image.new("RGB", (1, 1)), recipe(), {"torch": Version("2.9+cpu")})
    done = crossed(ends, TaskDone(1, picture))
    assert isinstance(done, TaskDone) and done.picture is not None
    assert type(done.picture.facts["torch"]) is str and done.picture.facts["torch"] == "2.9+cpu"


def test_nothing_else_of_other_packages_is_sent() -> None:
    error = ModelError("odd")
    error.__dict__["about"] = Stranger()
    with pytest.raises(pickle.PicklingError, match="Stranger cannot be sent"):
        pack_message(TaskFailed(1, error))


@pytest.mark.parametrize(
    "named", ["dream.worker.protocol NoSuch", "colorsys hls_to_rgb", "dream.worker.no_such Thing"]
)
def test_what_is_not_known_here_is_told_with_its_job_and_imports_nothing(
    ends: tuple[Channel, Channel], named: str
) -> None:
    sys.modules.pop("colorsys", None)
    ends[0].send(
        pack_message(TaskStarted(7))[:8] + b"c" + named.replace(" ", "\n").encode() + b"\n."
    )
    got = ends[1].receive()
    assert isinstance(got, UnreadableMessage) and got.job == 7
    assert "colorsys" not in sys.modules


def test_what_is_larger_than_a_socket_holds_and_the_other_side_reads_nothing(
    ends: tuple[Channel, Channel],
) -> None:
    ends[0].set_timeout(0.05)
    with pytest.raises(BlockingIOError):
        ends[0].send(bytes(1 << 24))
    ends[1].shut_down()
    with pytest.raises(OSError, match=r"pipe|reset"):
        ends[0].send(b"more")
    with pytest.raises(EOFError):
        ends[0].receive()
