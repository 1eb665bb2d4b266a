"""Servers, asked safely: where an answer may lead, what goes with it, and why there was none."""

from __future__ import annotations

import http.client
import socket
import ssl
import urllib.error
import urllib.request
from typing import IO

from dream.catalogue.addresses import is_safe, origin, printable, public

_SECRET = ("Authorization", "Cookie")
"""Headers that are for one host alone."""


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
        if downgraded or not is_safe(newurl):
            fp.close()
            raise urllib.error.URLError(
                f"it leads to an address that is not https: {public(newurl)}"
            )
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None and origin(newurl) != origin(req.full_url):
            for name in _SECRET:
                following.remove_header(name)
        return following


def opener() -> urllib.request.OpenerDirector:
    """What asks servers."""
    return urllib.request.build_opener(_SafeRedirects)


def host_of(url: str) -> str:
    """The host, and its port, for a message."""
    return public(url).partition("//")[2].partition("/")[0]


def why_not(error: Exception, host: str) -> str:
    """In plain words, why there was no answer, or none that helps."""
    if isinstance(error, urllib.error.HTTPError):
        return f"{host} answers {error.code} {printable(str(error.reason))}"
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    match reason:
        case socket.gaierror():
            return f"there is no network, or it does not know {host}"
        case TimeoutError():
            return f"{host} does not answer"
        case ssl.SSLCertVerificationError():
            return f"{host} shows a certificate that is not trusted: {reason.verify_message}"
        case OSError() if reason.strerror:
            return f"{host} cannot be reached: {printable(reason.strerror)}"
        case _:
            return f"{host} cannot be reached: {printable(str(reason) or type(reason).__name__)}"
