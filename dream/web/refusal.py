"""A request that is not carried out, and how a door says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dream.core.errors import DreamError


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
    return Refusal(400, error.message, hint=error.hint, column=getattr(error, "column", 0))


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
