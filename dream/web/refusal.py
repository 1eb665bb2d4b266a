"""A request that is not carried out, and how a door says so."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

from dream.core.errors import DreamError

_PART = r"[^/\\\"”,:;(\n]{1,255}"
_FOLDERS = re.compile(
    rf"(?:(?<=[\s\"'“(=])|^)(?:(?!/api/)/(?:{_PART}/)+|[A-Za-z]:\\(?:{_PART}\\)+)"
)
"""What an absolute path begins with, up to its last separator; those of the API are no paths."""


class Refusal(Exception):
    """Ends a request with this HTTP status. The message is for the user, one line."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        hint: str = "",
        column: int = 0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.hint, self.column = status, message, hint, column
        self.headers = dict(headers or {})

    @property
    def text(self) -> str:
        """The message with its hint."""
        return f"{self.message} ({self.hint})" if self.hint else self.message


def explain(error: DreamError) -> Refusal:
    """The refusal for an error that dream explains: the client asked for something impossible."""
    error = without_folders(error)
    return Refusal(400, error.message, hint=error.hint, column=getattr(error, "column", 0))


def without_folders(error: DreamError) -> DreamError:
    """The error with only the last part of each absolute path: a client has no use for the folders
    of this machine."""
    shown = copy.copy(error)
    shown.message, shown.hint = shorten_paths(error.message), shorten_paths(error.hint)
    return shown


def shorten_paths(text: str) -> str:
    """The text with the last part of each absolute path in it."""
    return _FOLDERS.sub("", text)


def format_own_error(refusal: Refusal) -> Any:
    """The body of our own API."""
    body: dict[str, Any] = {"error": refusal.message}
    if refusal.hint:
        body["hint"] = refusal.hint
    if refusal.column:
        body["column"] = refusal.column
    return body


def wait_before(seconds: int, message: str, status: int = 429) -> Refusal:
    """The refusal of a client that should come back later."""
    return Refusal(status, message, headers={"Retry-After": str(seconds)})
