"""A file from its official address onto the disk: whole, checked, or not at all."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import unquote, urlsplit

from filelock import FileLock, Timeout

from dream import __version__
from dream.errors import FetchError

OnProgress = Callable[[int, int], None]
"""Called with the bytes that are here, and how many there will be (0 when unknown). May raise, to
cancel; what has arrived is kept."""

_WHO = {"User-Agent": f"dream/{__version__}", "Accept-Encoding": "identity"}

_CHUNK = 256 * 1024
_PATIENCE = 0.5
"""Seconds between looks at how another program's download of the same file is getting on."""


def silent(arrived: int, of: int) -> None:
    """An OnProgress that tells nobody."""


class Fetch(Protocol):
    """What `fetch` is, for those who want to hand in another."""

    def __call__(
        self, url: str, target: Path, *, size: int, sha256: str, on_progress: OnProgress
    ) -> None: ...


@dataclass(frozen=True)
class _Errand:
    """One download, and where its parts lie."""

    url: str
    target: Path
    size: int
    sha256: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def part(self) -> Path:
        """What has arrived so far."""
        return self.target.with_name(self.target.name + ".part")

    @property
    def tag(self) -> Path:
        """The server's name for the version that `part` is a part of."""
        return self.target.with_name(self.target.name + ".part.etag")

    def arrived(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def forget(self) -> None:
        """Begin again from nothing, next time."""
        self.part.unlink(missing_ok=True)
        self.tag.unlink(missing_ok=True)

    def error(self, message: str) -> FetchError:
        by_hand = f"or put it there by hand: {self.url} as {self.target}"
        return FetchError(f"{self.target.name} could not be fetched: {message}", by_hand)


def fetch(
    url: str,
    target: Path,
    *,
    size: int = 0,
    sha256: str = "",
    on_progress: OnProgress = silent,
    timeout: float = 30,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Put the file at `url` at `target`, unless it is there already.

    It grows beside the target, as `target.part`, and is renamed when it is whole and its size (in
    bytes) and sha256 are the ones given. A download that was cut is resumed where the server can do
    that and it is sure to be the same file. Two programs that want the same file take turns, and
    the second finds it there. Addresses are https only; http is for this machine itself.

    Raises FetchError, which says how much has arrived, and how to put the file there by hand.
    `timeout` is how many seconds of silence end it. `headers` are for the server at `url` alone,
    and not for those it leads to: there may be a secret in them.
    """
    errand = _Errand(url, target, size, sha256, headers or {})
    if not _is_safe(url):
        raise errand.error("its address is not https")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(target.with_name(f".{target.name}.lock"))
        while not target.exists():
            with suppress(Timeout), lock.acquire(timeout=_PATIENCE):
                if not target.exists():
                    _receive(errand, on_progress, timeout)
                return
            on_progress(errand.arrived(), size)
    except OSError as error:
        raise errand.error(f"{error.strerror or error} in {target.parent}") from error


def name_at(url: str, timeout: float = 30) -> str:
    """What the server calls the file at `url`: in words, or by the end of the address that it leads
    to. Nothing is kept. Raises FetchError."""
    if not _is_safe(url):
        raise FetchError(f"{url} could not be fetched: its address is not https")
    # Asked as for the file: an address that is signed for fetching answers no other question.
    request = urllib.request.Request(url, headers=_WHO)
    try:
        with _opener().open(request, timeout=timeout) as answer:
            said = answer.headers.get_filename() or unquote(urlsplit(answer.url).path)
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise FetchError(f"{url} could not be fetched: {_why(error, _host(url))}") from error
    return re.split(r"[\\/]", said)[-1]


def _receive(errand: _Errand, on_progress: OnProgress, timeout: float) -> None:
    if not errand.size or errand.arrived() != errand.size:
        with _asked(errand, timeout) as response:
            _pour(response, errand, on_progress)
    _check(errand)
    errand.part.replace(errand.target)
    errand.tag.unlink(missing_ok=True)


def _asked(errand: _Errand, timeout: float) -> http.client.HTTPResponse:
    """The server's answer, to be read from. It may hold the whole file, or the rest of it."""
    headers = dict(_WHO)
    arrived = errand.arrived()
    version = errand.tag.read_text("utf-8") if errand.tag.exists() else ""
    # A rest is only asked for if something will tell that it belongs to the same file.
    resuming = arrived > 0 and bool(version or errand.sha256)
    if resuming:
        headers["Range"] = f"bytes={arrived}-"
    if resuming and version:
        headers["If-Range"] = version
    request = urllib.request.Request(errand.url, headers=headers)
    for name, value in errand.headers.items():
        request.add_unredirected_header(name, value)
    try:
        answer: http.client.HTTPResponse = _opener().open(request, timeout=timeout)
        return answer
    except urllib.error.HTTPError as error:
        error.close()
        if resuming and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            errand.forget()
            return _asked(errand, timeout)
        refusal = errand.error(_why(error, _host(errand.url)))
        refusal.status = error.code
        raise refusal from error
    except (OSError, http.client.HTTPException) as error:
        raise errand.error(_why(error, _host(errand.url))) from error


def _pour(response: http.client.HTTPResponse, errand: _Errand, on_progress: OnProgress) -> None:
    """Write the answer to the disk. Raises FetchError when it ends early, or the disk is full."""
    start, total = _extent(response)
    if start not in (0, errand.arrived()) or (errand.size and total and total != errand.size):
        errand.forget()
        raise errand.error(
            f"{_host(errand.url)} sends another file: {total:,} bytes from {start:,}"
        )
    version = response.headers.get("ETag", "")
    arrived = start
    try:
        errand.tag.write_text("" if version.startswith("W/") else version, "utf-8")
        with errand.part.open("ab" if start else "wb") as file:
            on_progress(arrived, total)
            while chunk := _chunk(response, errand):
                file.write(chunk)
                arrived += len(chunk)
                on_progress(arrived, total)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise errand.error(
            f"{error.strerror or error}, in {errand.target.parent}, after {errand.arrived():,}"
            " bytes; once there is room, it goes on from there"
        ) from error
    if arrived < max(total, errand.size):
        raise _cut(errand)


def _extent(response: http.client.HTTPResponse) -> tuple[int, int]:
    """At which byte of the file the answer begins, and how long the whole file is, or 0."""
    ranged = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
    if response.status == http.client.PARTIAL_CONTENT and ranged:
        return int(ranged[1]), int(ranged[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else 0


def _chunk(response: http.client.HTTPResponse, errand: _Errand) -> bytes:
    try:
        return response.read(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _cut(errand) from error


def _cut(errand: _Errand) -> FetchError:
    of = f" of {errand.size:,}" if errand.size else ""
    return errand.error(
        f"the connection was cut after {errand.arrived():,}{of} bytes;"
        " asked again, it goes on from there"
    )


def _check(errand: _Errand) -> None:
    if not errand.sha256:
        return
    with errand.part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != errand.sha256.lower():
        errand.forget()
        raise errand.error(
            f"what came is another file, and was removed: its sha256 is {found},"
            f" published is {errand.sha256}"
        )


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https, and on this machine itself, but nowhere else."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        downgraded = req.full_url.startswith("https:") and not newurl.startswith("https:")
        if downgraded or not _is_safe(newurl):
            fp.close()
            raise urllib.error.URLError(f"it leads to an address that is not https: {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_SafeRedirects)


def _is_safe(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme == "http":
        with suppress(ValueError):
            return parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    return parts.scheme == "https"


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _why(error: Exception, host: str) -> str:
    """In plain words, why there was no answer, or none that helps."""
    if isinstance(error, urllib.error.HTTPError):
        return f"{host} answers {error.code} {error.reason}"
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    match reason:
        case socket.gaierror():
            return f"there is no network, or it does not know {host}"
        case TimeoutError():
            return f"{host} does not answer"
        case ssl.SSLCertVerificationError():
            return f"{host} shows a certificate that is not trusted: {reason.verify_message}"
        case OSError() if reason.strerror:
            return f"{host} cannot be reached: {reason.strerror}"
        case _:
            return f"{host} cannot be reached: {reason}"
