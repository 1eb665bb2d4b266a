"""Downloads a file: complete and verified, or not at all."""

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
from dream.catalogue.http_ranges import continues, is_part, is_strong_tag, read_extent
from dream.core.bounded_reading import read_bounded
from dream.core.errors import FetchError

OnProgress = Callable[[int, int], None]
"""Called with the bytes downloaded so far, and the total (0 if unknown). May raise, to cancel; the
downloaded part is kept."""

_HEADERS = {"User-Agent": f"dream/{__version__}", "Accept-Encoding": "identity"}

_CHUNK = 256 * 1024
_MAX_BYTES = 200 * 10**9
"""Maximum bytes of a file of unknown size; larger than any model's file."""
_MIN_FREE_BYTES = 100 * 10**6
"""Bytes of the disk that a download keeps free."""
_MAX_TAG_BYTES = 1000
"""Maximum bytes of an ETag."""
_POLL_INTERVAL = 0.5
"""Seconds between checks of another program's download of the same file."""


def ignore_progress(arrived: int, of: int) -> None:
    """An OnProgress that does nothing."""


class Fetch(Protocol):
    """The signature of `fetch`, for callers that pass another function."""

    def __call__(
        self, url: str, target: Path, *, size: int, sha256: str, on_progress: OnProgress
    ) -> None: ...


@dataclass(frozen=True)
class _Download:
    """One download and its temporary files."""

    url: str
    target: Path
    size: int
    sha256: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def part(self) -> Path:
        """The file with the bytes downloaded so far."""
        return self.target.with_name(self.target.name + ".part")

    @property
    def tag(self) -> Path:
        """The file with the ETag of the version that `part` belongs to."""
        return self.target.with_name(self.target.name + ".part.etag")

    def count_bytes(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def version(self) -> str:
        """The content of `tag`; empty if it is missing or incomplete."""
        try:
            tag = read_bounded(self.tag, _MAX_TAG_BYTES).decode("ascii")
        except (OSError, ValueError):
            return ""
        return tag if is_strong_tag(tag) else ""

    def forget(self) -> None:
        """Delete the temporary files, so that the next download starts from the beginning."""
        self.part.unlink(missing_ok=True)
        self.tag.unlink(missing_ok=True)

    def error(self, message: str) -> FetchError:
        by_hand = f"or download {redact_secrets(self.url)} to {self.target} yourself"
        return FetchError(f"{self.target.name} could not be downloaded: {message}", by_hand)


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
    """Download `url` to `target`, unless the file exists already.

    The bytes are written to `target.part`, which is renamed when it is complete and matches `size`
    (bytes) and `sha256`. An interrupted download is resumed if the server supports it and the file
    is sure to be the same. If two programs want the same file, the second waits and then uses it.
    URLs must be https; http is accepted for this machine only.

    Raises FetchError, which says how much was downloaded, and how to download the file by hand.
    `timeout` is in seconds without data. `headers` are sent to the origin of `url` only, not to
    redirects, since they may contain secrets. A name and a password in the URL are sent as HTTP
    basic authentication. At most `size` bytes are read, if it is known, and never more than the
    disk has room for.
    """
    try:
        url, own = split_credentials(url)
        safe = is_safe(url)
    except ValueError as error:
        raise FetchError(
            f"{redact_secrets(url)} could not be downloaded: it is not an address"
        ) from error
    job = _Download(url, target, size, sha256, {**own, **(headers or {})})
    if not safe:
        raise job.error("its address is not https")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(target.with_name(f".{target.name}.lock"))
        while not target.exists():
            with suppress(Timeout), lock.acquire(timeout=_POLL_INTERVAL):
                if not target.exists():
                    _receive(job, on_progress, timeout)
                return
            on_progress(job.count_bytes(), size)
    except OSError as error:
        raise job.error(f"{error.strerror or error} in {target.parent}") from error


def fetch_file_name(url: str, timeout: float = 30) -> str:
    """The server's name for the file at `url`: from its header, else from the end of the final URL.
    Nothing is saved. Raises FetchError."""
    try:
        url, own = split_credentials(url)
        if not is_safe(url):
            raise FetchError(
                f"{redact_secrets(url)} could not be downloaded: its address is not https"
            )
        # GET, not HEAD: a signed URL is valid for GET only.
        request = urllib.request.Request(url, headers={**_HEADERS, **own})
        with make_opener().open(request, timeout=timeout) as response:
            name = response.headers.get_filename() or unquote(urlsplit(response.url).path)
    except FetchError:
        raise
    except Exception as error:  # http.client raises many kinds on bad responses
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        why = explain_failure(error, get_host(url))
        raise FetchError(f"{redact_secrets(url)} could not be downloaded: {why}") from error
    name = re.split(r"[\\/]", name)[-1]
    return name if is_plain_name(name) else ""


def _receive(job: _Download, on_progress: OnProgress, timeout: float) -> None:
    if not job.size or job.count_bytes() != job.size:
        with _open_response(job, timeout) as response:
            _write_body(response, job, on_progress)
    _verify(job)
    job.part.replace(job.target)
    job.tag.unlink(missing_ok=True)


def _open_response(job: _Download, timeout: float) -> http.client.HTTPResponse:
    """The server's response, with the whole file or the rest of it."""
    headers = dict(_HEADERS)
    arrived = job.count_bytes()
    version = job.version()
    # Resume only if an ETag or a hash can prove that the rest belongs to the same file.
    resuming = arrived > 0 and bool(version or job.sha256)
    if resuming:
        headers["Range"] = f"bytes={arrived}-"
    if resuming and version:
        headers["If-Range"] = version
    try:
        request = urllib.request.Request(job.url, headers={**headers, **job.headers})
        response: http.client.HTTPResponse = make_opener().open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if resuming and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            job.forget()
            return _open_response(job, timeout)
        refusal = job.error(explain_failure(error, get_host(job.url)))
        refusal.status = error.code
        raise refusal from error
    except Exception as error:  # http.client raises many kinds on bad responses
        raise job.error(explain_failure(error, get_host(job.url))) from error
    if resuming and not continues(response, arrived, "" if job.sha256 else version):
        response.close()
        job.forget()
        return _open_response(job, timeout)
    return response


def _write_body(
    response: http.client.HTTPResponse, job: _Download, on_progress: OnProgress
) -> None:
    """Write the response to disk. Raises FetchError if it ends early, or the disk is full."""
    start, total = read_extent(response)
    if is_part(response) and not total and not job.size:
        job.forget()  # without a size, nobody can tell whether the rest is complete
        raise job.error(
            f"{get_host(job.url)} does not send the size of the file;"
            " the next download starts from the beginning"
        )
    if start not in (0, job.count_bytes()) or (job.size and total and total != job.size):
        job.forget()
        raise job.error(
            f"{get_host(job.url)} sends a different file: {total:,} bytes from {start:,}"
        )
    version = response.headers.get("ETag", "")
    arrived, most = start, job.size or total
    _check_disk_space(job, most - start)
    try:
        with job.part.open("ab" if start else "wb") as file:
            # Only now: the tag of one version with a part of another would mix the two.
            job.tag.write_text(version if is_strong_tag(version) else "", "ascii")
            on_progress(arrived, total)
            while chunk := _read_chunk(response, job):
                if arrived + len(chunk) > (most or _MAX_BYTES):
                    file.close()
                    job.forget()
                    raise job.error(
                        f"{get_host(job.url)} sends more than {most or _MAX_BYTES:,} bytes"
                    )
                if not most:
                    _check_disk_space(job, len(chunk))
                file.write(chunk)
                arrived += len(chunk)
                on_progress(arrived, total)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise job.error(
            f"{error.strerror or error}, in {job.target.parent}, after {job.count_bytes():,}"
            " bytes; free some space, and the next download continues from there"
        ) from error
    if arrived < max(total, job.size):
        raise _interrupted(job)


def _check_disk_space(job: _Download, needed: int) -> None:
    """Raises FetchError if the disk has no room for `wanted` more bytes."""
    free = shutil.disk_usage(job.target.parent).free
    if needed + _MIN_FREE_BYTES > free:
        raise job.error(
            f"it needs {needed:,} bytes, and the disk of {job.target.parent} has {free:,} free"
        )


def _read_chunk(response: http.client.HTTPResponse, job: _Download) -> bytes:
    try:
        return response.read(_CHUNK)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _interrupted(job) from error


def _interrupted(job: _Download) -> FetchError:
    of = f" of {job.size:,}" if job.size else ""
    return job.error(
        f"the connection was lost after {job.count_bytes():,}{of} bytes;"
        " the next download continues from there"
    )


def _verify(job: _Download) -> None:
    if not job.sha256:
        return
    with job.part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != job.sha256.lower():
        job.forget()
        raise job.error(
            f"the downloaded file is not the expected one, and was removed: its sha256 is {digest},"
            f" expected {job.sha256}"
        )
