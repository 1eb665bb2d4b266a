"""All errors that dream explains to the user.

    DreamError                 any explained error; only the front ends catch it
    ├── BadLine                a typed or replayed line that cannot be read (column, hint)
    ├── BadSetting             a launch option or a key of dream.toml that cannot be used
    ├── SetupError             this installation cannot work as it is (libGL, torchvision, CUDA …)
    ├── ModelError             a model or upscaler that is missing, broken or of the wrong kind
    ├── InputError             an input image that is missing, broken or not an image
    ├── FetchError             an incomplete download
    ├── EngineError            an image that could not be rendered
    │   ├── OutOfMemory        … out of memory, even after the retry that uses less
    │   └── WorkerDied         … because the worker process died too often
    ├── FinishError            an image that could not be upscaled (the rendered one is saved)
    └── GalleryError           an image, grid or log line that could not be written or read

Every message says what happened and what to do next, in one line, without a full stop.
Any other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

_SUMMARY = 200


def summarize(error: BaseException) -> str:
    """What a library's error says: its first line, of at most 200 characters; the name of its class
    where it says nothing."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return line if len(line) <= _SUMMARY else f"{line[: _SUMMARY - 1]}…"


class DreamError(Exception):
    """The base class. `str(error)` is the line that the user reads."""

    hint: str = ""
    """What to do next; printed after the message."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        # Errors are sent from the worker process to the prompt; keep every attribute.
        return (_rebuild, (type(self), self.__dict__))


def _rebuild(kind: type[DreamError], state: dict[str, object]) -> DreamError:
    error = kind.__new__(kind)
    Exception.__init__(error, state.get("message"))
    error.__dict__.update(state)
    return error


class BadLine(DreamError):
    """A line that cannot be read. `column` counts characters from 1; 0 is the whole line."""

    def __init__(self, message: str, column: int = 0, hint: str = "") -> None:
        super().__init__(message, hint)
        self.column = column

    def __str__(self) -> str:
        where = f"column {self.column}: " if self.column else ""
        return where + super().__str__()


class BadSetting(DreamError):
    """A launch option or a key in dream.toml with a value that cannot be used."""


class SetupError(DreamError):
    """This installation does not work; the message says what to install."""


class ModelError(DreamError):
    """A model or upscaler that is missing, broken, or of the wrong kind."""


class InputError(DreamError):
    """An input image that is missing, broken, or not an image."""


class FetchError(DreamError):
    """An incomplete download; the partial file is kept and resumed."""

    status: int = 0
    """The HTTP status, if that was the reason; else 0."""


class EngineError(DreamError):
    """An image that could not be rendered."""


class OutOfMemory(EngineError):
    """Not enough memory for this image, even with slicing and tiling."""


class WorkerDied(EngineError):
    """The worker process died too often on this image."""


class FinishError(DreamError):
    """An image that could not be upscaled; the rendered image is saved."""


class GalleryError(DreamError):
    """Something that could not be written to, or read from, the output folder."""


ALL_MADE, SOME_FAILED, WRONG_LINE, INTERRUPTED = 0, 1, 2, 130
"""The shell command's exit statuses."""


def excerpt(text: str) -> str:
    """Text for an error message: printable, on one line, at most 40 characters."""
    text = "".join(c if c.isprintable() else "�" for c in text[:60])
    return text if len(text) <= 40 else text[:39] + "…"
