"""Download models: a file from a URL or a folder from Hugging Face, under a name that is free."""

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
from dream.catalogue.discovery import FILES
from dream.catalogue.model_dirs import find_writable_dir
from dream.catalogue.vaes import VAE_FILES
from dream.commands.download_events import follow_download
from dream.core.bounded_reading import read_bounded
from dream.core.errors import BadLine, FetchError, ModelError
from dream.core.events import Events
from dream.core.file_names import path_exists_at
from dream.line.words import quote_value

if TYPE_CHECKING:
    from dream.catalogue.detect import DetectedModel
    from dream.catalogue.hub import HubId

# Modules that use the network or read headers are imported with the first download.

_DOWNLOADS = "arriving"
"""A folder in a models folder, with one subfolder per URL for a download and its inspection. A
cancelled download stays there, to be continued; it is not hidden because it may be large."""

_ORIGIN = ".hub"
"""A file in a downloaded folder: the id of its repository."""

_ANOTHER = "choose another --name"


@dataclass(frozen=True)
class DownloadedFile:
    """A downloaded file in its final place."""

    path: Path
    vae: bool
    """Whether it is a VAE and not a model."""
    prediction: str
    """Its prediction type, if only its original file name revealed it; usually empty."""


def is_address(what: str) -> bool:
    """Whether it is a URL."""
    return what.startswith(("http://", "https://"))


def parse_file_name(url: str) -> str:
    """The name of the weights file in a URL; empty if the URL does not end in one."""
    name = unquote(urlsplit(url).path.rpartition("/")[2])
    return name if Path(name).suffix.lower() in VAE_FILES and name == Path(name).name else ""


def get_model_name(file: str) -> str:
    """The default name of a model or a VAE, from the name of its file."""
    return Path(file).stem.removesuffix(".vae")


def require_online(registry: ModelRegistry, what: str, by_hand: str = "") -> None:
    """Raises ModelError if downloads are forbidden; `by_hand` says what to download instead."""
    if registry.offline:
        raise ModelError(
            f"{what} is not on this machine, and --offline does not allow downloads",
            by_hand or "start dream without --offline and HF_HUB_OFFLINE",
        )


def require_hub(registry: ModelRegistry, hub_id: HubId, name: str = "") -> None:
    """Raises ModelError if downloads are forbidden, with the folder that a repository goes to."""
    folder = find_writable_dir(registry.models_dirs) / _file_name(name or hub_id.name)
    revision = f" --revision {hub_id.revision}" if hub_id.revision else ""
    place = quote_value(str(folder))
    hint = f"download it by hand: hf download {hub_id.repo}{revision} --local-dir {place}"
    require_online(registry, str(hub_id), hint)


def download_file(
    url: str, name: str, registry: ModelRegistry, *, ema: bool
) -> Events[DownloadedFile]:
    """Download the file at a URL into a models folder or its VAE folder, under `name` or its own
    name. A file that dream cannot use is removed. Raises BadLine, ModelError, FetchError."""
    require_online(registry, redact_secrets(url))
    # On Hugging Face a `/blob/` URL is the page about a file.
    address = url.replace("/blob/", "/resolve/", 1) if "//huggingface.co/" in url else url
    file = parse_file_name(url) or (yield from _fetch_server_name(address)) or name
    if not file:
        raise BadLine(
            f"{redact_secrets(url)} does not end in the name of a {' or '.join(FILES)} file, "
            "and its server does not send a file name",
            hint="check that this is the URL of the file; with --name it is downloaded anyway",
        )
    name = name or get_model_name(file)
    _check_free(redact_secrets(url), _file_name(name), registry)
    _file_name(file)
    key = hashlib.sha256(url.encode()).hexdigest()[:12]
    target = find_writable_dir(registry.models_dirs) / _DOWNLOADS / key / file
    yield from _fetch(address, target)
    detected = _inspect(target, url)
    if ema and detected.kind == "model" and not detected.ema:
        raise ModelError(f"{redact_secrets(url)} has no EMA weights", "remove --ema")
    return _move_into_place(detected, name, registry)


def _fetch_server_name(address: str) -> Events[str]:
    """The server's name for the file; empty if it is not a weights file."""
    from dream.catalogue.download import fetch_file_name

    names: list[str] = []
    yield from follow_download(lambda on_progress, on_note: names.append(fetch_file_name(address)))
    return names[0] if Path(names[0]).suffix.lower() in VAE_FILES else ""


def _file_name(name: str) -> str:
    """The name of a model's file or folder without its suffix. Raises BadLine if it is not a safe
    file name."""
    bare = get_model_name(name) if Path(name).suffix.lower() in VAE_FILES else name
    if not is_plain_name(bare) or bare.startswith("."):
        raise BadLine(f"“{name}” cannot be the name of a file", hint=_ANOTHER)
    return bare


def _check_free(what: str, name: str, registry: ModelRegistry) -> None:
    """Raises ModelError if the name is taken; only a full download could tell whether by the same
    file."""
    folder = find_writable_dir(registry.models_dirs)
    files = (folder / f"{name}{suffix}" for suffix in FILES)
    existing = registry.find_paths().get(name) or next(
        (file for file in files if path_exists_at(file)), None
    )
    if existing is not None:
        raise ModelError(
            f"model {name} already exists: {existing}; {what} may be a different model", _ANOTHER
        )


def _fetch(address: str, target: Path) -> Events[None]:
    from dream.catalogue.download import fetch

    try:
        yield from follow_download(
            lambda on_progress, _: fetch(address, target, on_progress=on_progress)
        )
    except FetchError as error:
        if not _contains_files(target.parent):
            _remove_download_dir(target.parent)
        by_hand = "or download it with a browser and !import_model the file"
        raise FetchError(error.message, by_hand) from error


def _inspect(file: Path, url: str) -> DetectedModel:
    """Detect what a downloaded file is; remove it and raise ModelError if it is not usable."""
    from dream.catalogue.detect import require_model
    from dream.catalogue.detect.require import require_safe

    try:
        detected = require_safe(file)
        return detected if detected.kind == "vae" else require_model(file)
    except ModelError as error:
        _remove_download_dir(file.parent)
        message = error.message.replace(str(file), redact_secrets(url))
        raise ModelError(f"{message}; the download was removed", error.hint) from error


def _move_into_place(detected: DetectedModel, name: str, registry: ModelRegistry) -> DownloadedFile:
    """Move the file to its final place, with the suffix of its actual format."""
    from dream.catalogue.detect import detect

    is_vae = detected.kind == "vae"
    folder = find_writable_dir(registry.models_dirs) / ("VAE" if is_vae else "")
    suffix = f".{detected.format}" if detected.format in ("safetensors", "gguf") else ".ckpt"
    target = folder / f"{_file_name(name)}{suffix}"
    if path_exists_at(target) or (is_vae and name in registry.list_vaes()):
        raise ModelError(f"{target} already exists", _ANOTHER)
    try:
        folder.mkdir(exist_ok=True)
        detected.path.replace(target)
    except OSError as error:
        raise ModelError(f"{target} cannot be written: {error.strerror or error}") from error
    _remove_download_dir(detected.path.parent)
    same = is_vae or detect(target).prediction_type == detected.prediction_type
    return DownloadedFile(target, is_vae, "" if same else detected.prediction_type)


def _remove_download_dir(folder: Path) -> None:
    """Remove the folder of one download, and the folder of all downloads if it is empty."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.parent.rmdir()


def download_folder(hub_id: HubId, name: str, registry: ModelRegistry) -> Events[Path]:
    """Download a repository of Hugging Face into a folder in a models folder, under `name` or its
    own name. Raises BadLine, ModelError, FetchError."""
    from dream.catalogue.hub import download

    require_hub(registry, hub_id, name)
    folder = find_writable_dir(registry.models_dirs) / _file_name(name or hub_id.name)
    existing = registry.find_paths().get(folder.name, folder)
    if existing != folder or not _claim_folder(folder, hub_id):
        raise ModelError(
            f"model {folder.name} already exists: {existing}; {hub_id} is a different model",
            _ANOTHER,
        )
    try:
        yield from follow_download(
            lambda on_progress, on_note: download(
                hub_id, folder, on_progress, on_note, mirror=registry.hub_mirror
            )
        )
    finally:
        if not _contains_files(folder):  # no such repository, perhaps
            shutil.rmtree(folder, ignore_errors=True)
    return folder


def _claim_folder(folder: Path, hub_id: HubId) -> bool:
    """Whether a folder is free for this repository: new, empty, or a download of it."""
    origin = folder / _ORIGIN
    try:
        if _contains_files(folder):
            return path_exists_at(origin) and read_bounded(origin, 1000) == str(hub_id).encode()
        folder.mkdir(parents=True, exist_ok=True)
        origin.write_text(str(hub_id), "utf-8")
    except OSError as error:
        raise ModelError(f"{folder} cannot be written: {error.strerror or error}") from error
    return True


def _contains_files(folder: Path) -> bool:
    return any(not path.name.startswith(".") and path.is_file() for path in folder.rglob("*"))
