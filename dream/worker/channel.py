"""One end of the wire: messages as bytes, and what may stand in them.

A message is pickled, but only plain builtins, paths, Pillow's pictures and dream's own classes
cross: what is sent is held to that, and reading a message imports nothing but Pillow. So no
answer brings torch into the prompt's process, and a class that the other side does not know (dream
was upgraded meanwhile) is an error about that one message.
"""

from __future__ import annotations

import io
import pickle
import socket
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from dream.worker.protocol import Message, job_of

_LENGTH = struct.Struct("!Q")
_JOB = struct.Struct("!Q")
_PACKAGES = frozenset({"builtins", "collections", "copyreg", "dream", "pathlib", "PIL"})


@dataclass(frozen=True)
class UnreadableMessage:
    """A message that arrived whole and cannot be read here."""

    job: int
    """The job it is about; 0 where it is about none."""
    error: Exception


class Channel:
    """One end of the wire, which it owns: one thread may send while another receives, and `close`
    comes after both. Whatever the other side does, `shut` ends what they wait for."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def send(self, data: bytes) -> None:
        """Hand over what `packed` made. Raises OSError when the other side is gone, or takes
        nothing for as long as `patience` says."""
        for part in (_LENGTH.pack(len(data)), data):
            left = memoryview(part)
            while left:
                left = left[self._end.send(left) :]

    def receive(self) -> Message | UnreadableMessage:
        """The next message. Raises EOFError or OSError when the other side is gone."""
        (length,) = _LENGTH.unpack(self._bytes(_LENGTH.size))
        data = self._bytes(length)
        (job,) = _JOB.unpack_from(data)
        try:
            message: Message = _Reader(io.BytesIO(memoryview(data)[_JOB.size :])).load()
        except Exception as error:
            return UnreadableMessage(job, error)
        return message

    def set_timeout(self, seconds: float) -> None:
        """From now on `send` raises when not one byte is taken for so long."""
        whole = int(seconds)
        limit = struct.pack("@ll", whole, int((seconds - whole) * 1e6))
        if sys.platform == "win32":
            limit = struct.pack("@L", int(seconds * 1000))
        self._end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def shut_down(self) -> None:
        """End all sending and receiving, in whichever thread; nothing is closed yet."""
        with suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the wire. Nobody may send or receive any more."""
        self._end.close()

    def _bytes(self, count: int) -> bytearray:
        data = bytearray(count)
        left = memoryview(data)
        while left:
            got = self._end.recv_into(left)
            if not got:
                raise EOFError
            left = left[got:]
        return data


def pack_message(message: Message) -> bytes:
    """A message as it is sent. Raises PicklingError for what does not cross the wire."""
    data = io.BytesIO()
    data.write(_JOB.pack(job_of(message)))
    _Writer(data, protocol=pickle.HIGHEST_PROTOCOL).dump(message)
    return data.getvalue()


class _Writer(pickle.Pickler):
    def reducer_override(self, thing: Any) -> Any:
        """Of other packages' classes, text and numbers cross as what they are (torch's version is
        a class of torch, and a str), and nothing else."""
        named = thing if isinstance(thing, type) or hasattr(thing, "__qualname__") else type(thing)
        if named.__module__.partition(".")[0] in _PACKAGES:
            return NotImplemented
        kinds: tuple[type, ...] = (str, bytes, int, float)
        for plain in kinds:
            if isinstance(thing, plain):
                return plain, (plain(thing),)
        raise pickle.PicklingError(
            f"{named.__module__}.{named.__qualname__} cannot be sent to the other process"
        )


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """A class that is here already; only Pillow may come with the first picture."""
        package = module.partition(".")[0]
        if package not in _PACKAGES or (package != "PIL" and module not in sys.modules):
            raise pickle.UnpicklingError(f"{module}.{name} is not known in this process")
        return super().find_class(module, name)
