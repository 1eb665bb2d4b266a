"""What is fetched from elsewhere, a file from an address or a folder from the hub: under a name
that is free, and a file only after it was looked at."""

from __future__ import annotations

import hashlib
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from dream.catalogue import ModelRegistry
from dream.catalogue.addresses import is_plain_name, redact_secrets
from dream.catalogue.discovery import FILES, VAE_FILES
from dream.catalogue.model_dirs import find_writable_dir
from dream.commands.download_events import follow_download
from dream.core.bounded_reading import read_bounded
from dream.core.errors import BadLine, FetchError, ModelError
from dream.core.events import Events
from dream.core.file_names import path_exists_at

if TYPE_CHECKING:
    from dream.catalogue.detect import DetectedModel
    from dream.catalogue.hub import HubId

# What goes on a network, and what reads headers, comes with the first download.

_ON_THE_WAY = "arriving"
"""In a models folder: a folder for each address, in which its file grows and is looked at. Where a
download was given up it stays, for it may go on; and is to be seen, for it may be large."""

_ORIGIN = ".hub"
"""In a folder from the hub: which repository it is."""

_ANOTHER = "give it another --name"


@dataclass(frozen=True)
class DownloadedFile:
    """A file that was fetched, in its place."""

    path: Path
    vae: bool
    """Whether it is no model but a VAE."""
    prediction: str
    """What it predicts, where the name it came with told so and its name here does not; mostly
    empty."""


def is_address(what: str) -> bool:
    """Whether it is to be fetched from a URL."""
    return what.startswith(("http://", "https://"))


def parse_file_name(url: str) -> str:
    """The name of the file of weights at an address; empty where the address does not say."""
    name = unquote(urlsplit(url).path.rpartition("/")[2])
    return name if Path(name).suffix.lower() in VAE_FILES and name == Path(name).name else ""


def get_model_name(file: str) -> str:
    """What a model is called, or a VAE, if nobody says otherwise than its file's name."""
    return Path(file).stem.removesuffix(".vae")


def require_online(shelf: ModelRegistry, what: str) -> None:
    """Raises ModelError where fetching is forbidden."""
    if shelf.offline:
        raise ModelError(
            f"{what} is not on this machine, and --offline forbids to fetch it",
            "start dream without --offline and HF_HUB_OFFLINE",
        )


def download_file(
    url: str, name: str, shelf: ModelRegistry, *, ema: bool
) -> Events[DownloadedFile]:
    """The file at an address, under a name or its own, in a models folder or the VAE folder there.
    What dream cannot use does not stay. Raises BadLine, ModelError, FetchError."""
    require_online(shelf, redact_secrets(url))
    # On the hub's pages a file's name leads to a page about it.
    address = url.replace("/blob/", "/resolve/", 1) if "//huggingface.co/" in url else url
    file = parse_file_name(url) or (yield from _fetch_server_name(address)) or name
    if not file:
        raise BadLine(
            f"{redact_secrets(url)} does not end in the name of a {' or '.join(FILES)} file, "
            "and its server"
            " tells of none",
            hint="is it the file's own address? with --name it is fetched all the same",
        )
    name = name or get_model_name(file)
    _check_free(redact_secrets(url), _file_name(name), shelf)
    _file_name(file)
    key = hashlib.sha256(url.encode()).hexdigest()[:12]
    here = find_writable_dir(shelf.models_dirs) / _ON_THE_WAY / key / file
    yield from _fetched(address, here)
    found = _inspect(here, url)
    if ema and found.kind == "model" and not found.ema:
        raise ModelError(
            f"{redact_secrets(url)} holds no running averages of its training", "leave out --ema"
        )
    return _move_into_place(found, name, shelf)


def _fetch_server_name(address: str) -> Events[str]:
    """What the server calls the file; empty for what is none of weights."""
    from dream.catalogue.download import fetch_file_name

    told: list[str] = []
    yield from follow_download(lambda on_progress, say: told.append(fetch_file_name(address)))
    return told[0] if Path(told[0]).suffix.lower() in VAE_FILES else ""


def _file_name(name: str) -> str:
    """What a model's file or folder is called, without a suffix. Raises BadLine for what no file
    of ours should be called."""
    bare = get_model_name(name) if Path(name).suffix.lower() in VAE_FILES else name
    if not is_plain_name(bare) or bare.startswith("."):
        raise BadLine(f"no file here can be called “{name}”", hint=_ANOTHER)
    return bare


def _check_free(what: str, name: str, shelf: ModelRegistry) -> None:
    """Raises ModelError where that name is taken: only all its bytes would tell by what."""
    folder = find_writable_dir(shelf.models_dirs)
    files = (folder / f"{name}{suffix}" for suffix in FILES)
    there = shelf.find_paths().get(name) or next(
        (file for file in files if path_exists_at(file)), None
    )
    if there is not None:
        raise ModelError(
            f"there is a model {name} already, in {there}, and {what} may be another", _ANOTHER
        )


def _fetched(address: str, here: Path) -> Events[None]:
    from dream.catalogue.download import fetch

    try:
        yield from follow_download(
            lambda on_progress, _: fetch(address, here, on_progress=on_progress)
        )
    except FetchError as error:
        if not _holds_files(here.parent):
            _sweep(here.parent)
        by_hand = "or fetch it with a browser, and !import_model the file"
        raise FetchError(error.message, by_hand) from error


def _inspect(here: Path, url: str) -> DetectedModel:
    """What has come. Raises ModelError for what is of no use, which is gone then."""
    from dream.catalogue.detect import require_model
    from dream.catalogue.detect.model_kinds import require_safe

    try:
        found = require_safe(here)
        return found if found.kind == "vae" else require_model(here)
    except ModelError as error:
        _sweep(here.parent)
        said = error.message.replace(str(here), redact_secrets(url))
        raise ModelError(f"{said}, and was removed", error.hint) from error


def _move_into_place(found: DetectedModel, name: str, shelf: ModelRegistry) -> DownloadedFile:
    """The file in its place, with the suffix of what it is, whatever it was called."""
    from dream.catalogue.detect import detect

    is_vae = found.kind == "vae"
    folder = find_writable_dir(shelf.models_dirs) / ("VAE" if is_vae else "")
    suffix = ".safetensors" if found.format == "safetensors" else ".ckpt"
    target = folder / f"{_file_name(name)}{suffix}"
    if path_exists_at(target) or (is_vae and name in shelf.list_vaes()):
        raise ModelError(f"there is a {target} already", _ANOTHER)
    try:
        folder.mkdir(exist_ok=True)
        found.path.replace(target)
    except OSError as error:
        raise ModelError(f"{target} cannot be written: {error.strerror or error}") from error
    _sweep(found.path.parent)
    same = is_vae or detect(target).prediction_type == found.prediction_type
    return DownloadedFile(target, is_vae, "" if same else found.prediction_type)


def _sweep(folder: Path) -> None:
    """Away with what a file grew in, and with the folder of all such where it is the last."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.parent.rmdir()


def download_folder(wanted: HubId, name: str, shelf: ModelRegistry) -> Events[Path]:
    """A model of the hub, in a folder of that name or its own in a models folder. Raises BadLine,
    ModelError, FetchError."""
    from dream.catalogue.hub import download

    require_online(shelf, str(wanted))
    folder = find_writable_dir(shelf.models_dirs) / _file_name(name or wanted.name)
    there = shelf.find_paths().get(folder.name, folder)
    if there != folder or not _claimed(folder, wanted):
        raise ModelError(
            f"there is a model {folder.name} already, in {there}, and {wanted} is another", _ANOTHER
        )
    try:
        yield from follow_download(
            lambda on_progress, say: download(wanted, folder, on_progress, say)
        )
    finally:
        if not _holds_files(folder):  # no such repository, perhaps
            shutil.rmtree(folder, ignore_errors=True)
    return folder


def _claimed(folder: Path, wanted: HubId) -> bool:
    """Whether a folder is for what is wanted: new, empty, or begun with it."""
    origin = folder / _ORIGIN
    try:
        if _holds_files(folder):
            return path_exists_at(origin) and read_bounded(origin, 1000) == str(wanted).encode()
        folder.mkdir(parents=True, exist_ok=True)
        origin.write_text(str(wanted), "utf-8")
    except OSError as error:
        raise ModelError(f"{folder} cannot be written: {error.strerror or error}") from error
    return True


def _holds_files(folder: Path) -> bool:
    return any(not path.name.startswith(".") and path.is_file() for path in folder.rglob("*"))
