"""Reads from an HTTP response which bytes of a file it has, and of which version (RFC 9110)."""

from __future__ import annotations

import http.client
import re

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", re.ASCII)


def is_part(response: http.client.HTTPResponse) -> bool:
    """Whether the response says that it is only a part of the file."""
    return response.status == http.client.PARTIAL_CONTENT


def read_extent(response: http.client.HTTPResponse) -> tuple[int, int]:
    """The first byte of the response within the file, and the size of the whole file, or 0 if
    unknown."""
    if is_part(response):
        ranged = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if ranged is None:
            return 0, 0
        return int(ranged[1]), int(ranged[2]) if ranged[2] != "*" else 0
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if re.fullmatch(r"\d{1,18}", length, re.ASCII) else 0


def continues(response: http.client.HTTPResponse, arrived: int, version: str) -> bool:
    """Whether the response is the whole file, or what follows the bytes that have arrived of this
    version: some servers ignore If-Range. An empty version is any."""
    if not is_part(response):
        return True
    ranged = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    is_same = not version or response.headers.get("ETag", "") == version
    return is_same and ranged is not None and int(ranged[1]) == arrived


def is_strong_tag(version: str) -> bool:
    """Whether it is a strong ETag, which can be sent back."""
    return bool(re.fullmatch(r'"[!#-~]{0,900}"', version, re.ASCII))
