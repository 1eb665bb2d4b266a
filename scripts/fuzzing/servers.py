"""What servers answer: the headers and the body of a download, and the hub's listing."""

from __future__ import annotations

import io
import json
import os
from http.client import HTTPResponse
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from dream.catalogue import download as fetching
from dream.catalogue import hub
from dream.catalogue.addresses import is_plain_name
from dream.core.errors import DreamError
from scripts.fuzzing.mutations import mutate
from scripts.fuzzing.runner import Reader

_BODY = b"weights" * 9
_HEAD = (
    b'HTTP/1.1 200 OK\r\nContent-Length: 63\r\nETag: "abc"\r\n'
    b'Content-Disposition: attachment; filename="model.safetensors"\r\n\r\n'
)
_PART = (
    b"HTTP/1.1 206 Partial Content\r\nContent-Length: 53\r\n"
    b'Content-Range: bytes 10-62/63\r\nETag: "abc"\r\n\r\n'
)
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3f\r\n" + _BODY + b"\r\n0\r\n\r\n"
_WORDS = (
    *(
        b"\r\n",
        b"\n",
        b": ",
        b"Content-Length: ",
        b"Content-Range: bytes ",
        b"ETag: ",
        b"HTTP/1.1 ",
    ),
    *(
        b"9" * 30,
        b"9" * 5000,
        b"-1",
        b"\xff",
        b"\0",
        b"../",
        b"\\",
        b"/",
        b"CON",
        b"filename*=UTF-8''",
    ),
    *(
        b"%2e%2e%2f",
        b"chunked",
        b"Transfer-Encoding: ",
        b"200",
        b"206",
        b"302",
        b"404",
        b"*",
        b"\xd9\xa3",
    ),
)
_LISTING: dict[str, Any] = {
    "sha": "0" * 40,
    "siblings": [
        {"rfilename": name, "size": 9, "lfs": {"sha256": "a" * 64}}
        for name in (
            "model_index.json",
            "unet/config.json",
            "unet/diffusion_pytorch_model.safetensors",
            "unet/diffusion_pytorch_model.fp16.safetensors",
            "vae/config.json",
            "vae/diffusion_pytorch_model.bin",
            "tokenizer/vocab.json",
        )
    ],
}
_LISTING_WORDS = (
    *(b"../", b"/", b"\\\\", b"\\u0000", b"\\u001b", b"CON", b"C:", b" ", b".", b"//", b"\\ud800"),
    *(b'"', b"null", b"[", b"]", b"{", b"}", b",", b"9" * 400, b"-1", b"a" * 400, b".safetensors"),
)


class _Socket:
    """The answer, as if it came over a network."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        """As `http.client` asks for it."""
        return io.BytesIO(self._data)


class _Opener:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def open(self, request: Any, timeout: float) -> HTTPResponse:
        """The answer to whatever is asked."""
        response = HTTPResponse(_Socket(self._data))  # type: ignore[arg-type]
        response.begin()
        response.url = request.full_url
        return response


def _answer(random: Random) -> bytes:
    return mutate(random, random.choice((_HEAD + _BODY, _PART + _BODY[10:], _CHUNKED)), _WORDS)


def _download(data: bytes, folder: Path) -> object:
    """A file from the beginning, and the name that the server gives it."""
    target = folder / "m" / "model.bin"
    with patch.object(fetching, "make_opener", lambda: _Opener(data)):
        name = fetching.fetch_file_name("https://example.org/x")
        if name and not is_plain_name(name):
            raise AssertionError(f"{name!r} is a name that leads elsewhere")
        try:
            fetching.fetch("https://example.org/x", target)
        finally:
            _forget(target)
    return None


def _forget(target: Path) -> None:
    """Leave nothing for the next case. Raises AssertionError where more is there than was asked."""
    known = {target.name, f"{target.name}.part", f"{target.name}.part.etag", f".{target.name}.lock"}
    for path in target.parent.iterdir() if target.parent.is_dir() else ():
        if path.name not in known:
            raise AssertionError(f"{path.name!r} was written")
        path.unlink()


def _listing(random: Random) -> bytes:
    return mutate(random, json.dumps(_LISTING).encode(), _LISTING_WORDS)


def _choose(data: bytes, folder: Path) -> object:
    """What would be fetched of a repository, and where it would be put."""
    try:
        said = json.loads(data)
        rows = [_row(row) for row in said["siblings"]]
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise DreamError(str(error)) from error  # the hub's own library refuses these
    root = folder.resolve()
    for index in (hub.INDEX, "config.json"):
        chosen = hub._select_files(hub.HubId("a/b"), index, hub._files(rows))
        for file in chosen:
            # without links, and as text alone: of ten thousand names, all counts as dream's work
            if not os.path.normpath(root / file.name).startswith(f"{root}{os.sep}"):
                raise AssertionError(f"{file.name} leads out of the folder")
    return None


def _row(row: dict[str, Any]) -> Any:
    """As `huggingface_hub.RepoSibling` is made of it."""
    name, size, lfs = row["rfilename"], row.get("size"), row.get("lfs")
    if not isinstance(name, str) or not isinstance(size, int | None):
        raise TypeError("no file's name or size")
    return SimpleNamespace(
        rfilename=name, size=size, lfs=SimpleNamespace(sha256=lfs["sha256"]) if lfs else None
    )


READERS = (
    Reader("server answers", _answer, _download),
    Reader("hub listings", _listing, _choose),
)
