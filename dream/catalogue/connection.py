"""Safe HTTP requests: which redirects are followed, which headers are sent, and error messages."""

from __future__ import annotations

import http.client
import socket
import ssl
import urllib.error
import urllib.request
from typing import IO

from dream.catalogue.addresses import get_origin, is_safe, make_printable_url, redact_secrets

_SECRET_HEADERS = ("Authorization", "Cookie")
"""Headers that are sent to one origin only."""


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https, and to this machine, and no others."""

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
                f"it redirects to an address that is not https: {redact_secrets(newurl)}"
            )
        redirected = super().redirect_request(req, fp, code, msg, headers, newurl)
        if redirected is not None and get_origin(newurl) != get_origin(req.full_url):
            for name in _SECRET_HEADERS:
                redirected.remove_header(name)
        return redirected


def make_opener() -> urllib.request.OpenerDirector:
    """An opener that follows only safe redirects."""
    return urllib.request.build_opener(_SafeRedirects)


def get_host(url: str) -> str:
    """Host and port of a URL, for a message."""
    return redact_secrets(url).partition("//")[2].partition("/")[0]


def explain_failure(error: Exception, host: str) -> str:
    """Why a request failed, as text for a message."""
    if isinstance(error, urllib.error.HTTPError):
        return f"{host} returned {error.code} {make_printable_url(str(error.reason))}"
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    match reason:
        case socket.gaierror():
            return f"there is no network connection, or {host} does not exist"
        case TimeoutError():
            return f"{host} does not respond"
        case ssl.SSLCertVerificationError():
            return f"the certificate of {host} is not trusted: {reason.verify_message}"
        case OSError() if reason.strerror:
            return f"{host} cannot be reached: {make_printable_url(reason.strerror)}"
        case _:
            cause = make_printable_url(str(reason) or type(reason).__name__)
            return f"{host} cannot be reached: {cause}"
