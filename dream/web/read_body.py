"""Reads what clients send, and answers with a Refusal for what is not as it should be."""

from __future__ import annotations

import json
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request as HttpRequest

from dream.web.refusal import Refusal

_MOST_FILES, _MOST_FIELDS = 16, 200


async def read_json(http: HttpRequest) -> dict[str, Any]:
    """The JSON object of a body; empty for an empty body. Raises Refusal (400)."""
    body = await http.body()
    if not body:
        return {}
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(400, "the body is not valid JSON") from None
    if not isinstance(value, dict):
        raise Refusal(400, "the body has to be a JSON object")
    return value


async def read_form(http: HttpRequest) -> FormData:
    """The fields of a multipart body; close it afterwards. Raises Refusal (400)."""
    try:
        return await http.form(max_files=_MOST_FILES, max_fields=_MOST_FIELDS)
    except (MultiPartException, ValueError) as error:
        raise Refusal(400, f"the form cannot be read: {error}") from None
    except Refusal:
        raise
    except Exception as error:  # HTTPException, where Starlette wraps it
        raise Refusal(400, f"the form cannot be read: {error}") from None


async def read_file(http: HttpRequest, field: str) -> bytes:
    """The bytes of the file in this field of a form. Raises Refusal (400) if there is none."""
    form = await read_form(http)
    try:
        value = form.get(field)
        if not isinstance(value, UploadFile):
            raise Refusal(400, f"the form has no file “{field}”")
        return await value.read()
    finally:
        await form.close()


def take_text(body: dict[str, Any], name: str, default: str | None = None) -> str:
    """A text of a JSON object. Raises Refusal (400) if it is missing or not a text."""
    value = body.get(name, default)
    if not isinstance(value, str):
        raise Refusal(400, f"“{name}” has to be a text")
    return value.encode(errors="replace").decode()


def take_integer(body: dict[str, Any], name: str, default: int | None = None) -> int:
    """An integer of a JSON object. Raises Refusal (400) if it is missing or none."""
    value = body.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refusal(400, f"“{name}” has to be a whole number")
    return value
