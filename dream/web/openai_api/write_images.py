"""Writes the answers of OpenAI's API: images, models, errors."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from starlette.requests import Request as HttpRequest

from dream.core.errors import GalleryError
from dream.core.events import Saved
from dream.session import Session
from dream.web.openai_api.read_images import ModelNotFound, WantedImages
from dream.web.refusal import Refusal
from dream.web.services import WebServices

NO_RETRY = {"x-should-retry": "false"}
"""Else OpenAI's clients send a request up to three times, and an image is made as often."""
USAGE: Mapping[str, Any] = {
    "total_tokens": 0,
    "input_tokens": 0,
    "output_tokens": 0,
    "input_tokens_details": {"text_tokens": 0, "image_tokens": 0},
}
"""Nothing is counted, but the type requires it."""


def write_images(
    services: WebServices, wanted: WantedImages, saved: Sequence[Saved], http: HttpRequest
) -> dict[str, Any]:
    """The answer with these images. Reads them from disk. Raises GalleryError."""
    first = saved[0].request if saved else wanted.request
    return {
        "created": int(time.time()),
        "data": [write_image(services, wanted, one, http) for one in saved],
        "output_format": wanted.format,
        "background": "opaque",
        "size": f"{first.width}x{first.height}",
        "usage": dict(USAGE),
    }


def write_image(
    services: WebServices, wanted: WantedImages, saved: Saved, http: HttpRequest
) -> dict[str, Any]:
    """One image; `revised_prompt` is the line that makes it again."""
    if wanted.answers_url:
        base = f"{http.scope['scheme']}://{http.headers.get('host', '')}"
        where = {"url": f"{base}/pictures/{quote(services.name_of(saved.path))}"}
    else:
        where = {"b64_json": encode_file(saved)}
    return {**where, "revised_prompt": saved.line}


def encode_file(saved: Saved) -> str:
    """The file of a saved image in base64. Raises GalleryError."""
    try:
        return base64.b64encode(saved.path.read_bytes()).decode()
    except OSError as error:
        raise GalleryError(f"cannot read the image: {error.strerror or error}") from error


def describe_models(session: Session) -> list[dict[str, Any]]:
    """The rows of GET models."""
    return [describe_model(info.name) for info in session.registry.list_models()]


def describe_model(name: str) -> dict[str, Any]:
    """One of them."""
    return {"id": name, "object": "model", "created": 1, "owned_by": "dream"}


def format_error(refusal: Refusal) -> dict[str, Any]:
    """The body of an error."""
    kind = "invalid_request_error" if refusal.status < 500 else "server_error"
    code, param = None, None
    if isinstance(refusal, ModelNotFound):
        code, param = "model_not_found", "model"
    elif refusal.status == 401:
        code = "invalid_api_key"
    elif refusal.status == 429:
        kind, code = "rate_limit_error", "rate_limit_exceeded"
    return {"error": {"message": refusal.text, "type": kind, "param": param, "code": code}}
