"""One end of the socket between prompt and worker: messages as bytes, and which classes they may
hold.

A message is pickled, but only plain builtins, paths, Pillow's images and dream's own classes are
sent, and reading a message imports nothing but Pillow. So no answer brings torch into the prompt's
process, and a class that the other side does not know (dream was upgraded meanwhile) is an error
about that one message.
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
    """A message that arrived complete but cannot be unpickled here."""

    job: int
    """The job it is about; 0 where it is about none."""
    error: Exception


class Channel:
    """One end of the socket, which it owns. One thread may send while another receives; `close`
    comes after both. `shut_down` ends their waiting, whatever the other side does."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end

    def send(self, data: bytes) -> None:
        """Send what `pack_message` returned. Raises OSError when the other side is gone, or
        receives nothing within the timeout."""
        for part in (_LENGTH.pack(len(data)), data):
            left = memoryview(part)
            while left:
                left = left[self._socket.send(left) :]

    def receive(self) -> Message | UnreadableMessage:
        """The next message. Raises EOFError or OSError when the other side is gone."""
        (length,) = _LENGTH.unpack(self._bytes(_LENGTH.size))
        data = self._bytes(length)
        (job,) = _JOB.unpack_from(data)
        try:
            message: Message = deserialize(memoryview(data)[_JOB.size :])
        except Exception as error:
            return UnreadableMessage(job, error)
        return message

    def set_timeout(self, seconds: float) -> None:
        """Make `send` raise when not one byte is received for this many seconds."""
        whole = int(seconds)
        limit = struct.pack("@ll", whole, int((seconds - whole) * 1e6))
        if sys.platform == "win32":
            limit = struct.pack("@L", int(seconds * 1000))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def shut_down(self) -> None:
        """End all sending and receiving, in any thread; nothing is closed yet."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket. Nobody may send or receive any more."""
        self._socket.close()

    def _bytes(self, count: int) -> bytearray:
        data = bytearray(count)
        left = memoryview(data)
        while left:
            got = self._socket.recv_into(left)
            if not got:
                raise EOFError
            left = left[got:]
        return data


def pack_message(message: Message) -> bytes:
    """The bytes of a message. Raises PicklingError for classes that may not be sent."""
    return _JOB.pack(job_of(message)) + serialize(message)


def serialize(value: object) -> bytes:
    """The bytes of a value of classes that may be sent. Raises PicklingError for others."""
    data = io.BytesIO()
    _Writer(data, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    return data.getvalue()


def deserialize(data: bytes | memoryview) -> Any:
    """The value that `serialize` was called with. Imports nothing but Pillow. Raises
    UnpicklingError, and other exceptions, for bytes of other classes or of another version."""
    return _Reader(io.BytesIO(data)).load()


class _Writer(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        """Text and numbers of other packages' classes are sent as plain values (torch's version is
        a class of torch, and a str); nothing else of those packages is sent."""
        kind = obj if isinstance(obj, type) or hasattr(obj, "__qualname__") else type(obj)
        if kind.__module__.partition(".")[0] in _PACKAGES:
            return NotImplemented
        kinds: tuple[type, ...] = (str, bytes, int, float)
        for plain in kinds:
            if isinstance(obj, plain):
                return plain, (plain(obj),)
        raise pickle.PicklingError(
            f"{kind.__module__}.{kind.__qualname__} cannot be sent to the other process"
        )


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Find a class that is imported already; only Pillow may be imported, with the first
        image."""
        package = module.partition(".")[0]
        if package not in _PACKAGES or (package != "PIL" and module not in sys.modules):
            raise pickle.UnpicklingError(f"{module}.{name} is not known in this process")
        return super().find_class(module, name)
