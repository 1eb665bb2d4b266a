"""What an image of dream's own says about how it was made."""

from __future__ import annotations

from pathlib import Path

from dream.core.errors import DreamError
from dream.core.request import Request
from dream.core.request_json import parse_request
from dream.gallery.metadata import read_metadata


def read_own_request(path: Path) -> Request | None:
    """The request that generated an image, if dream did, from nothing but words."""
    try:
        record = read_metadata(path).record.request
    except DreamError:
        return None
    request = parse_request(record)
    if not record or request.seed is None or request.fix or request.init_img:
        return None
    return request
