"""What can go wrong, drawn once.

    DreamError                 anything we can explain; only the front doors catch it
    ├── BadLine                a typed or replayed line that cannot be read (column, hint)
    ├── BadSetting             a launch option or a key of dream.toml that cannot be used
    ├── SetupError             this installation cannot work as it is (libGL, torchvision, CUDA …)
    ├── ModelError             a model or upscaler that is missing, broken or of another kind
    ├── InputError             a picture to start from that is missing, broken or not one
    ├── FetchError             a download that did not arrive whole
    ├── EngineError            a picture that could not be rendered
    │   ├── OutOfMemory        … for want of memory, after the second, thriftier try
    │   └── WorkerDied         … because the worker process died as often as we allow
    ├── FinishError            a picture that could not be upscaled (the raw one is kept)
    └── GalleryError           a picture, grid or log line that could not be written or read

Every message says what happened and what to do next, in one line, without a full stop.
An exception that is no DreamError is a bug and keeps its traceback.
"""

from __future__ import annotations


class DreamError(Exception):
    """The root. `str(error)` is the one line a user reads."""

    hint: str = ""
    """What to try next; front doors print it after the message."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross from the worker process to the prompt; keep every attribute on the way.
        return (_rebuild, (type(self), self.__dict__))


def _rebuild(kind: type[DreamError], state: dict[str, object]) -> DreamError:
    error = kind.__new__(kind)
    Exception.__init__(error, state.get("message"))
    error.__dict__.update(state)
    return error


class BadLine(DreamError):
    """A line that cannot be read. `column` counts characters from 1; 0 means the whole line."""

    def __init__(self, message: str, column: int = 0, hint: str = "") -> None:
        super().__init__(message, hint)
        self.column = column

    def __str__(self) -> str:
        where = f"column {self.column}: " if self.column else ""
        return where + super().__str__()


class BadSetting(DreamError):
    """A launch option or a key in dream.toml with a value that cannot be used."""


class SetupError(DreamError):
    """This installation cannot work; the message says what to install."""


class ModelError(DreamError):
    """A model or upscaler that is missing, broken, or of another kind than asked."""


class InputError(DreamError):
    """A picture to start from that is missing, broken, or no picture at all."""


class FetchError(DreamError):
    """A download that did not arrive whole; what has arrived is kept and resumed."""

    status: int = 0
    """What the server answered in HTTP's numbers, where that was the reason."""


class EngineError(DreamError):
    """A picture that could not be rendered."""


class OutOfMemory(EngineError):
    """No memory for this picture, even sliced and tiled."""


class WorkerDied(EngineError):
    """The worker process died on this picture as often as we allow."""


class FinishError(DreamError):
    """A picture that could not be upscaled; the raw picture is kept."""


class GalleryError(DreamError):
    """Something that could not be written to, or read from, the pictures' folder."""


ALL_MADE, SOME_FAILED, WRONG_LINE, INTERRUPTED = 0, 1, 2, 130
"""The shell command's exit statuses."""


def shown(text: str) -> str:
    """Text fit for an error message: printable, on one line, not too long."""
    text = "".join(c if c.isprintable() else "�" for c in text[:60])
    return text if len(text) <= 40 else text[:39] + "…"
