"""A file from its official address onto the disk: whole, checked, or not at all."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from filelock import FileLock, Timeout

from dream import __version__
from dream.catalogue.addresses import is_plain_name, is_safe, redact_secrets, split_credentials
from dream.catalogue.connection import explain_failure, get_host, make_opener
from dream.core.bounded_reading import read_bounded
from dream.core.errors import FetchError

OnProgress = Callable[[int, int], None]
"""Called with the bytes that are here, and how many there will be (0 when unknown). May raise, to
cancel; what has arrived is kept."""

_WHO = {"User-Agent": f"dream/{__version__}", "Accept-Encoding": "identity"}

_CHUNK = 256 * 1024
_CAP = 200 * 10**9
"""Bytes of a file whose size nobody says; no model's file has so many."""
_SPARE = 100 * 10**6
"""Bytes of the disk that a download leaves free."""
_LONGEST_TAG = 1000
"""Bytes of a server's name for a version."""
_PATIENCE = 0.5
"""Seconds between looks at how another program's download of the same file is getting on."""


def ignore_progress(arrived: int, of: int) -> None:
    """An OnProgress that tells nobody."""


class Fetch(Protocol):
    """What `fetch` is, for those who want to hand in another."""

    def __call__(
        self, url: str, target: Path, *, size: int, sha256: str, on_progress: OnProgress
    ) -> None: ...


@dataclass(frozen=True)
class _Download:
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

    def count_bytes(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def version(self) -> str:
        """What `tag` holds; empty where it is not there, or torn."""
        try:
            said = read_bounded(self.tag, _LONGEST_TAG).decode("ascii")
        except (OSError, ValueError):
            return ""
        return said if _is_tag(said) else ""

    def forget(self) -> None:
        """Begin again from nothing, next time."""
        self.part.unlink(missing_ok=True)
        self.tag.unlink(missing_ok=True)

    def error(self, message: str) -> FetchError:
        by_hand = f"or put it there by hand: {redact_secrets(self.url)} as {self.target}"
        return FetchError(f"{self.target.name} could not be fetched: {message}", by_hand)


def fetch(
    url: str,
    target: Path,
    *,
    size: int = 0,
    sha256: str = "",
    on_progress: OnProgress = ignore_progress,
    timeout: float = 30,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Put the file at `url` at `target`, unless it is there already.

    It grows beside the target, as `target.part`, and is renamed when it is whole and its size (in
    bytes) and sha256 are the ones given. A download that was cut is resumed where the server can do
    that and it is sure to be the same file. Two programs that want the same file take turns, and
    the second finds it there. Addresses are https only; http is for this machine itself.

    Raises FetchError, which says how much has arrived, and how to put the file there by hand.
    `timeout` is how many seconds of silence end it. `headers` are for the host of `url` alone, and
    not for others that it leads to: there may be a secret in them. A name and a password in the
    address are sent as HTTP's basic authentication. No more is taken than the size, where it is
    known, and never more than the disk has room for.
    """
    try:
        url, own = split_credentials(url)
        safe = is_safe(url)
    except ValueError as error:
        raise FetchError(
            f"{redact_secrets(url)} could not be fetched: it is not an address"
        ) from error
    errand = _Download(url, target, size, sha256, {**own, **(headers or {})})
    if not safe:
        raise errand.error("its address is not https")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(target.with_name(f".{target.name}.lock"))
        while not target.exists():
            with suppress(Timeout), lock.acquire(timeout=_PATIENCE):
                if not target.exists():
                    _receive(errand, on_progress, timeout)
                return
            on_progress(errand.count_bytes(), size)
    except OSError as error:
        raise errand.error(f"{error.strerror or error} in {target.parent}") from error


def fetch_file_name(url: str, timeout: float = 30) -> str:
    """What the server calls the file at `url`: in words, or by the end of the address that it leads
    to. Nothing is kept. Raises FetchError."""
    try:
        url, own = split_credentials(url)
        if not is_safe(url):
            raise FetchError(
                f"{redact_secrets(url)} could not be fetched: its address is not https"
            )
        # Asked as for the file: an address that is signed for fetching answers no other question.
        request = urllib.request.Request(url, headers={**_WHO, **own})
        with make_opener().open(request, timeout=timeout) as answer:
            said = answer.headers.get_filename() or unquote(urlsplit(answer.url).path)
    except FetchError:
        raise
    except Exception as error:  # what answers make of the standard library is of many kinds
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        why = explain_failure(error, get_host(url))
        raise FetchError(f"{redact_secrets(url)} could not be fetched: {why}") from error
    name = re.split(r"[\\/]", said)[-1]
    return name if is_plain_name(name) else ""


def _receive(errand: _Download, on_progress: OnProgress, timeout: float) -> None:
    if not errand.size or errand.count_bytes() != errand.size:
        with _open_response(errand, timeout) as response:
            _write_body(response, errand, on_progress)
    _check(errand)
    errand.part.replace(errand.target)
    errand.tag.unlink(missing_ok=True)


def _open_response(errand: _Download, timeout: float) -> http.client.HTTPResponse:
    """The server's answer, to be read from. It may hold the whole file, or the rest of it."""
    headers = dict(_WHO)
    arrived = errand.count_bytes()
    version = errand.version()
    # A rest is only asked for if something will tell that it belongs to the same file.
    resuming = arrived > 0 and bool(version or errand.sha256)
    if resuming:
        headers["Range"] = f"bytes={arrived}-"
    if resuming and version:
        headers["If-Range"] = version
    try:
        request = urllib.request.Request(errand.url, headers={**headers, **errand.headers})
        answer: http.client.HTTPResponse = make_opener().open(request, timeout=timeout)
        return answer
    except urllib.error.HTTPError as error:
        error.close()
        if resuming and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            errand.forget()
            return _open_response(errand, timeout)
        refusal = errand.error(explain_failure(error, get_host(errand.url)))
        refusal.status = error.code
        raise refusal from error
    except Exception as error:  # what answers make of the standard library is of many kinds
        raise errand.error(explain_failure(error, get_host(errand.url))) from error


def _write_body(
    response: http.client.HTTPResponse, errand: _Download, on_progress: OnProgress
) -> None:
    """Write the answer to the disk. Raises FetchError when it ends early, or the disk is full."""
    start, total = _extent(response)
    if start and not total and not errand.size:
        errand.forget()  # nothing would tell whether the rest is all of it
        raise errand.error(
            f"{get_host(errand.url)} does not say how long the file is; asked again, it begins anew"
        )
    if start not in (0, errand.count_bytes()) or (errand.size and total and total != errand.size):
        errand.forget()
        raise errand.error(
            f"{get_host(errand.url)} sends another file: {total:,} bytes from {start:,}"
        )
    version = response.headers.get("ETag", "")
    arrived, most = start, errand.size or total
    _check_room(errand, most - start)
    try:
        with errand.part.open("ab" if start else "wb") as file:
            # Only now: the tag of one version beside a part of another would join the two.
            errand.tag.write_text(version if _is_tag(version) else "", "ascii")
            on_progress(arrived, total)
            while chunk := _chunk(response, errand):
                if arrived + len(chunk) > (most or _CAP):
                    file.close()
                    errand.forget()
                    raise errand.error(
                        f"{get_host(errand.url)} sends more than {most or _CAP:,} bytes"
                    )
                if not most:
                    _check_room(errand, len(chunk))
                file.write(chunk)
                arrived += len(chunk)
                on_progress(arrived, total)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise errand.error(
            f"{error.strerror or error}, in {errand.target.parent}, after {errand.count_bytes():,}"
            " bytes; once there is room, it goes on from there"
        ) from error
    if arrived < max(total, errand.size):
        raise _cut(errand)


def _extent(response: http.client.HTTPResponse) -> tuple[int, int]:
    """At which byte of the file the answer begins, and how long the whole file is, or 0."""
    said = response.headers.get("Content-Range", "")
    ranged = re.fullmatch(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", said, re.ASCII)
    if response.status == http.client.PARTIAL_CONTENT and ranged:
        return int(ranged[1]), int(ranged[2]) if ranged[2] != "*" else 0
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if re.fullmatch(r"\d{1,18}", length, re.ASCII) else 0


def _check_room(errand: _Download, wanted: int) -> None:
    """Raises FetchError where the disk has no room for so many bytes more."""
    free = shutil.disk_usage(errand.target.parent).free
    if wanted + _SPARE > free:
        raise errand.error(
            f"it has {wanted:,} bytes, and the disk of {errand.target.parent} has {free:,} free"
        )


def _is_tag(version: str) -> bool:
    """Whether it is a strong name for a version, in the form of RFC 9110, and can be sent back."""
    return bool(re.fullmatch(r'"[!#-~]{0,900}"', version, re.ASCII))


def _chunk(response: http.client.HTTPResponse, errand: _Download) -> bytes:
    try:
        return response.read(_CHUNK)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _cut(errand) from error


def _cut(errand: _Download) -> FetchError:
    of = f" of {errand.size:,}" if errand.size else ""
    return errand.error(
        f"the connection was cut after {errand.count_bytes():,}{of} bytes;"
        " asked again, it goes on from there"
    )


def _check(errand: _Download) -> None:
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
