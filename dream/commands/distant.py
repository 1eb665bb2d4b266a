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

from dream.catalogue import Shelf
from dream.catalogue.addresses import is_plain_name, public
from dream.catalogue.found import FILES, VAE_FILES
from dream.catalogue.places import writable_dir
from dream.commands.download import fetched
from dream.errors import BadLine, FetchError, ModelError
from dream.events import Events
from dream.file_names import exists
from dream.reading import read_bounded

if TYPE_CHECKING:
    from dream.catalogue.hub import HubId
    from dream.catalogue.recognise import Recognised

# What goes on a network, and what reads headers, comes with the first download.

_ON_THE_WAY = "arriving"
"""In a models folder: a folder for each address, in which its file grows and is looked at. Where a
download was given up it stays, for it may go on; and is to be seen, for it may be large."""

_ORIGIN = ".hub"
"""In a folder from the hub: which repository it is."""

_ANOTHER = "give it another --name"


@dataclass(frozen=True)
class Arrived:
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


def file_at(url: str) -> str:
    """The name of the file of weights at an address; empty where the address does not say."""
    name = unquote(urlsplit(url).path.rpartition("/")[2])
    return name if Path(name).suffix.lower() in VAE_FILES and name == Path(name).name else ""


def name_of(file: str) -> str:
    """What a model is called, or a VAE, if nobody says otherwise than its file's name."""
    return Path(file).stem.removesuffix(".vae")


def allow(shelf: Shelf, what: str) -> None:
    """Raises ModelError where fetching is forbidden."""
    if shelf.offline:
        raise ModelError(
            f"{what} is not on this machine, and --offline forbids to fetch it",
            "start dream without --offline and HF_HUB_OFFLINE",
        )


def bring_file(url: str, name: str, shelf: Shelf, *, ema: bool) -> Events[Arrived]:
    """The file at an address, under a name or its own, in a models folder or the VAE folder there.
    What dream cannot use does not stay. Raises BadLine, ModelError, FetchError."""
    allow(shelf, public(url))
    # On the hub's pages a file's name leads to a page about it.
    address = url.replace("/blob/", "/resolve/", 1) if "//huggingface.co/" in url else url
    file = file_at(url) or (yield from _told_by_server(address)) or name
    if not file:
        raise BadLine(
            f"{public(url)} does not end in the name of a {' or '.join(FILES)} file, and its server"
            " tells of none",
            hint="is it the file's own address? with --name it is fetched all the same",
        )
    name = name or name_of(file)
    _check_free(public(url), _file_name(name), shelf)
    _file_name(file)
    key = hashlib.sha256(url.encode()).hexdigest()[:12]
    here = writable_dir(shelf.models_dirs) / _ON_THE_WAY / key / file
    yield from _fetched(address, here)
    found = _judged(here, url)
    if ema and found.kind == "model" and not found.ema:
        raise ModelError(
            f"{public(url)} holds no running averages of its training", "leave out --ema"
        )
    return _put(found, name, shelf)


def _told_by_server(address: str) -> Events[str]:
    """What the server calls the file; empty for what is none of weights."""
    from dream.catalogue.fetch import name_at

    told: list[str] = []
    yield from fetched(lambda on_progress, say: told.append(name_at(address)))
    return told[0] if Path(told[0]).suffix.lower() in VAE_FILES else ""


def _file_name(name: str) -> str:
    """What a model's file or folder is called, without a suffix. Raises BadLine for what no file
    of ours should be called."""
    bare = name_of(name) if Path(name).suffix.lower() in VAE_FILES else name
    if not is_plain_name(bare) or bare.startswith("."):
        raise BadLine(f"no file here can be called “{name}”", hint=_ANOTHER)
    return bare


def _check_free(what: str, name: str, shelf: Shelf) -> None:
    """Raises ModelError where that name is taken: only all its bytes would tell by what."""
    folder = writable_dir(shelf.models_dirs)
    files = (folder / f"{name}{suffix}" for suffix in FILES)
    there = shelf.places().get(name) or next((file for file in files if exists(file)), None)
    if there is not None:
        raise ModelError(
            f"there is a model {name} already, in {there}, and {what} may be another", _ANOTHER
        )


def _fetched(address: str, here: Path) -> Events[None]:
    from dream.catalogue.fetch import fetch

    try:
        yield from fetched(lambda on_progress, _: fetch(address, here, on_progress=on_progress))
    except FetchError as error:
        if not _holds_files(here.parent):
            _sweep(here.parent)
        by_hand = "or fetch it with a browser, and !import_model the file"
        raise FetchError(error.message, by_hand) from error


def _judged(here: Path, url: str) -> Recognised:
    """What has come. Raises ModelError for what is of no use, which is gone then."""
    from dream.catalogue.recognise import wanted_model
    from dream.catalogue.recognise.kinds import inert

    try:
        found = inert(here)
        return found if found.kind == "vae" else wanted_model(here)
    except ModelError as error:
        _sweep(here.parent)
        said = error.message.replace(str(here), public(url))
        raise ModelError(f"{said}, and was removed", error.hint) from error


def _put(found: Recognised, name: str, shelf: Shelf) -> Arrived:
    """The file in its place, with the suffix of what it is, whatever it was called."""
    from dream.catalogue.recognise import recognise

    is_vae = found.kind == "vae"
    folder = writable_dir(shelf.models_dirs) / ("VAE" if is_vae else "")
    suffix = ".safetensors" if found.format == "safetensors" else ".ckpt"
    target = folder / f"{_file_name(name)}{suffix}"
    if exists(target) or (is_vae and name in shelf.vaes()):
        raise ModelError(f"there is a {target} already", _ANOTHER)
    try:
        folder.mkdir(exist_ok=True)
        found.path.replace(target)
    except OSError as error:
        raise ModelError(f"{target} cannot be written: {error.strerror or error}") from error
    _sweep(found.path.parent)
    same = is_vae or recognise(target).prediction_type == found.prediction_type
    return Arrived(target, is_vae, "" if same else found.prediction_type)


def _sweep(folder: Path) -> None:
    """Away with what a file grew in, and with the folder of all such where it is the last."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.parent.rmdir()


def bring_folder(wanted: HubId, name: str, shelf: Shelf) -> Events[Path]:
    """A model of the hub, in a folder of that name or its own in a models folder. Raises BadLine,
    ModelError, FetchError."""
    from dream.catalogue.hub import download

    allow(shelf, str(wanted))
    folder = writable_dir(shelf.models_dirs) / _file_name(name or wanted.name)
    there = shelf.places().get(folder.name, folder)
    if there != folder or not _claimed(folder, wanted):
        raise ModelError(
            f"there is a model {folder.name} already, in {there}, and {wanted} is another", _ANOTHER
        )
    try:
        yield from fetched(lambda on_progress, say: download(wanted, folder, on_progress, say))
    finally:
        if not _holds_files(folder):  # no such repository, perhaps
            shutil.rmtree(folder, ignore_errors=True)
    return folder


def _claimed(folder: Path, wanted: HubId) -> bool:
    """Whether a folder is for what is wanted: new, empty, or begun with it."""
    origin = folder / _ORIGIN
    try:
        if _holds_files(folder):
            return exists(origin) and read_bounded(origin, 1000) == str(wanted).encode()
        folder.mkdir(parents=True, exist_ok=True)
        origin.write_text(str(wanted), "utf-8")
    except OSError as error:
        raise ModelError(f"{folder} cannot be written: {error.strerror or error}") from error
    return True


def _holds_files(folder: Path) -> bool:
    return any(not path.name.startswith(".") and path.is_file() for path in folder.rglob("*"))
