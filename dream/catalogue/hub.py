"""Downloads a model from the Hugging Face hub into a models folder; no other module queries the
hub.

A model in diffusers layout is a folder of components, listed in its index; one in transformers'
format is a single component in the repository's top folder, and its index is its configuration.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from dream.catalogue.addresses import is_plain_name, make_printable_url
from dream.catalogue.discovery import FILES, INDEX, get_variant
from dream.catalogue.download import OnProgress, fetch
from dream.catalogue.hub_addresses import get_hub, is_own, try_addresses
from dream.catalogue.vaes import VAE_FILES
from dream.core.errors import DreamError, FetchError, ModelError, summarize

_HUB_ID = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?(?::(?P<variant>\w+))?")

_SKIPPED_FOLDERS = ("safety_checker", "image_encoder", "..")
"""Components of a model that are not used for generating images."""

_CONFIG_SUFFIXES = (".json", ".txt", ".model")

_WEIGHTS = (*VAE_FILES, ".pth", ".gguf")
"""Suffixes of weights files, which repository names rarely have."""


@dataclass(frozen=True)
class HubId:
    """`owner/name@revision:variant`."""

    repo: str
    revision: str | None = None
    variant: str | None = None
    """`fp16` in model.fp16.safetensors."""

    @property
    def name(self) -> str:
        """The model's name by default."""
        return self.repo.partition("/")[2]

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        return self.repo + revision + (f":{self.variant}" if self.variant else "")


@dataclass(frozen=True)
class _File:
    name: PurePosixPath
    size: int
    sha256: str


def parse_hub_id(text: str) -> HubId | None:
    """The text as a hub id; None for other text, and for what looks like a path: it has a suffix of
    weights, or begins with an existing folder."""
    match = _HUB_ID.fullmatch(text)
    if match is None or text.startswith(".") or match["repo"].lower().endswith(_WEIGHTS):
        return None
    with suppress(OSError):  # a name that is too long for a folder
        if Path(text.partition("/")[0]).is_dir():
            return None
    return HubId(match["repo"], match["revision"], match["variant"])


def download(
    hub_id: HubId,
    folder: Path,
    on_progress: OnProgress,
    on_message: Callable[[str], None],
    index: str = INDEX,
    mirror: str = "",
) -> None:
    """Download a model in diffusers layout into `folder`, or one in transformers' format if `index`
    is `discovery.TRANSFORMERS_INDEX`; files that exist are not downloaded again.

    The index is downloaded last, so that a partial model is not used. `on_progress` gets the bytes
    of all files together. `mirror` is an address that is tried before the hub's. Raises FetchError,
    and ModelError if the repository does not exist, is gated, or has no such model.
    """
    info, files = try_addresses(
        mirror, lambda at: _list_repo(hub_id, at, partial(_select_files, hub_id, index)), on_message
    )
    total = sum(file.size for file in files)
    if without_variant := _components_without_variant(hub_id.variant, files):
        on_message(
            f"{hub_id.repo} has no {hub_id.variant} weights for {without_variant};"
            " other weights are downloaded, which may be larger"
        )
    on_message(f"{hub_id.repo}: {len(files)} files, {total / 1e9:.2f} GB, to {folder}")
    arrived = 0
    for file in files:
        report = partial(_report_total, on_progress, arrived, total)
        fetch_it = partial(_fetch_file, hub_id, info.sha, file, folder / file.name, report)
        try_addresses(mirror, fetch_it, on_message)
        arrived += file.size


def _report_total(on_progress: OnProgress, before: int, total: int, now: int, of: int) -> None:
    on_progress(before + now, total)


def download_file(
    repo: str,
    path: str,
    target: Path,
    on_progress: OnProgress,
    on_message: Callable[[str], None] = lambda text: None,
    mirror: str = "",
) -> None:
    """Download one file of a repository to `target`, unless it is there; an interrupted download
    continues. Its SHA-256 is checked. Raises FetchError, and ModelError if it does not exist."""
    hub_id = HubId(repo)
    info, (file,) = try_addresses(
        mirror, lambda at: _list_repo(hub_id, at, partial(_select_file, hub_id, path)), on_message
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    fetch_it = partial(_fetch_file, hub_id, info.sha, file, target, on_progress)
    try_addresses(mirror, fetch_it, on_message)


def _fetch_file(
    hub_id: HubId,
    commit: str,
    file: _File,
    target: Path,
    on_progress: OnProgress,
    address: str,
) -> None:
    from huggingface_hub import get_token, hf_hub_url

    token = get_token() if is_own(address) else None
    try:
        fetch(
            hf_hub_url(hub_id.repo, str(file.name), revision=commit, endpoint=address),
            target,
            size=file.size,
            sha256=file.sha256,
            on_progress=on_progress,
            headers={"Authorization": f"Bearer {token}"} if token else {},
        )
    except FetchError as error:
        if error.status in (401, 403):
            raise _gated(hub_id) from error
        raise


def _fetch_repo_info(hub_id: HubId, address: str) -> Any:
    """The hub's metadata of the repository at an address, with its files."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        with _allow_hub_access():
            token = None if is_own(address) else False  # None is the user's own
            return HfApi(endpoint=address, token=token).model_info(
                hub_id.repo, revision=hub_id.revision, files_metadata=True, timeout=30
            )
    except GatedRepoError as error:
        raise _gated(hub_id) from error
    except RevisionNotFoundError as error:
        raise ModelError(f"{hub_id.repo} has no revision {hub_id.revision}") from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"{address} has no {hub_id.repo}, or it is private",
            "to use a private model, log in with a token: hf auth login",
        ) from error
    except (OfflineModeIsEnabled, HfHubHTTPError, OSError, ValueError) as error:
        raise _unreachable(address, error) from error
    except Exception as error:  # httpx's, an implementation detail of huggingface_hub
        if type(error).__module__.partition(".")[0] not in ("httpx", "httpcore", "httpx2"):
            raise
        raise _unreachable(address, error) from error


@contextmanager
def _allow_hub_access() -> Iterator[None]:
    """Allow this request, and nothing else: the worker sets `HF_HUB_OFFLINE` so that libraries do
    not query the hub by themselves. The caller has already respected the user's own
    `HF_HUB_OFFLINE`. With its telemetry, the library would fetch a list of agents first."""
    from huggingface_hub import constants

    constants.HF_HUB_DISABLE_TELEMETRY = True
    forbidden, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, False
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = forbidden


def _unreachable(address: str, error: Exception) -> DreamError:
    reason = summarize(error)
    return FetchError(f"{address} cannot be reached: {reason}", "check your network connection")


def _gated(hub_id: HubId) -> ModelError:
    return ModelError(
        f"{hub_id.repo} is gated: you have to accept its licence first",
        f"accept it at {get_hub()}/{hub_id.repo}, then log in: hf auth login",
    )


def _files(siblings: Iterable[Any]) -> list[_File]:
    return [
        _File(PurePosixPath(row.rfilename), row.size or 0, row.lfs.sha256 if row.lfs else "")
        for row in siblings
    ]


def _list_repo(
    hub_id: HubId, address: str, select: Callable[[Sequence[_File]], list[_File]]
) -> tuple[Any, list[_File]]:
    """The metadata of the repository, and the files to download. Raises as `download`."""
    info = _fetch_repo_info(hub_id, address)
    return info, select(_files(info.siblings or ()))


def _select_file(hub_id: HubId, path: str, files: Sequence[_File]) -> list[_File]:
    chosen = [file for file in files if str(file.name) == path]
    if not chosen:
        raise ModelError(f"{hub_id.repo} has no {path}", "update dream, or import the file by URL")
    _check_names(hub_id, chosen)
    return chosen[:1]


def _select_files(hub_id: HubId, index: str, files: Sequence[_File]) -> list[_File]:
    """The files to download: for each component its configuration and one set of weights. The index
    is last."""
    last = [file for file in files if str(file.name) == index]
    if not last:
        single = [str(f.name) for f in files if f.name.suffix in FILES]
        has = f"it has {', '.join(single[:6])}: import one by its URL" if single else ""
        raise ModelError(f"{hub_id.repo} is not a model in diffusers layout", has)
    chosen: list[_File] = []
    for part in _group_by_component(files, index):
        small = [file for file in part if file.name.suffix in _CONFIG_SUFFIXES]
        chosen += small + _select_weights(part, hub_id.variant)
    if not any(file.name.suffix in (".safetensors", ".bin") for file in chosen):
        raise ModelError(f"{hub_id.repo} has no weights that are used")
    _check_names(hub_id, chosen + last)
    return chosen + last


def _group_by_component(files: Sequence[_File], index: str) -> Iterable[list[_File]]:
    parts: dict[str, list[_File]] = {}
    for file in files:
        match file.name.parts:
            case (folder, name) if index == INDEX and {folder, name}.isdisjoint(_SKIPPED_FOLDERS):
                parts.setdefault(folder, []).append(file)
            case (name,) if index != INDEX and name not in (index, ".."):
                parts.setdefault("", []).append(file)
    return parts.values()


def _check_names(hub_id: HubId, files: Iterable[_File]) -> None:
    """Raises ModelError for a name that would be outside the model's folder, or that is not a valid
    file name on some system."""
    for file in files:
        if not all(map(is_plain_name, file.name.parts)):
            name = make_printable_url(str(file.name))
            raise ModelError(f"{hub_id.repo} is refused: “{name}” is not a valid file name")


def _select_weights(part: Sequence[_File], variant: str | None) -> list[_File]:
    """Safetensors if there are any; of the variant, else without a variant, else the first."""
    files = [file for file in part if file.name.suffix == ".safetensors"]
    files = files or [file for file in part if file.name.suffix == ".bin"]
    sets: dict[str, list[_File]] = {}
    for file in files:
        sets.setdefault(get_variant(file.name.name), []).append(file)
    for name in (variant or "", "", *sets):
        if name in sets:
            return sets[name]
    return []


def _components_without_variant(variant: str | None, files: Iterable[_File]) -> str:
    """The components without weights of the variant, as text; usually empty."""
    weights = (file for file in files if file.name.suffix in (".safetensors", ".bin"))
    parts = (
        file.name.parent.name or file.name.name
        for file in weights
        if get_variant(file.name.name) != variant
    )
    return ", ".join(dict.fromkeys(parts)) if variant else ""
