"""A model from Hugging Face's hub, into a models folder. No other part of dream asks the hub.

A model in diffusers layout is a folder of parts, and its index names them; one of transformers' is
a single part, in the repository's own folder, and its index is its configuration.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from dream.catalogue.addresses import is_plain_name, make_printable_url
from dream.catalogue.discovery import INDEX, VAE_FILES, get_variant
from dream.catalogue.download import OnProgress, fetch
from dream.core.errors import DreamError, FetchError, ModelError

_HUB_ID = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?(?::(?P<variant>\w+))?")

_LEFT_ALONE = ("safety_checker", "image_encoder", "..")
"""Parts of a model that have none in painting."""

_SMALL = (".json", ".txt", ".model")

_WEIGHTS = (*VAE_FILES, ".pth", ".gguf")
"""What a file of weights ends in, and hardly any repository."""


@dataclass(frozen=True)
class HubId:
    """`owner/name@revision:variant`."""

    repo: str
    revision: str | None = None
    variant: str | None = None
    """The word in model.fp16.safetensors."""

    @property
    def name(self) -> str:
        """What the model is called here, if nobody says otherwise."""
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
    """The text as a hub id; None for other words, and for whatever looks like a path: what ends as
    a file of weights does, or begins with a folder that is here."""
    found = _HUB_ID.fullmatch(text)
    if found is None or text.startswith(".") or found["repo"].lower().endswith(_WEIGHTS):
        return None
    with suppress(OSError):  # a name too long for a folder is none
        if Path(text.partition("/")[0]).is_dir():
            return None
    return HubId(found["repo"], found["revision"], found["variant"])


def download(
    wanted: HubId,
    folder: Path,
    on_progress: OnProgress,
    say: Callable[[str], None],
    index: str = INDEX,
) -> None:
    """Put a model in diffusers layout into `folder`, or one of transformers' with the index
    `found.PART`; what has arrived before is not fetched again.

    The index comes last, so that half a model is not taken for one. `on_progress` hears of the
    bytes of all files together. Raises FetchError, and ModelError for a repository that is not
    there, is gated, or holds no such model.
    """
    info = _fetch_repo_info(wanted)
    files = _select_files(wanted, _files(info.siblings or ()), index)
    total = sum(file.size for file in files)
    if lacking := _lacking(wanted.variant, files):
        say(f"{wanted.repo} has no {wanted.variant} of {lacking}: others come, maybe larger")
    say(f"{wanted.repo}: {len(files)} files, {total / 1e9:.2f} GB, into {folder}")
    from huggingface_hub import get_token, hf_hub_url

    token = get_token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    arrived = 0
    for file in files:
        before = arrived
        try:
            fetch(
                hf_hub_url(wanted.repo, str(file.name), revision=info.sha, endpoint=_endpoint()),
                folder / file.name,
                size=file.size,
                sha256=file.sha256,
                on_progress=lambda now, _, before=before: on_progress(before + now, total),  # type: ignore[misc]
                headers=headers,
            )
        except FetchError as error:
            if error.status in (401, 403):
                raise _gated(wanted) from error
            raise
        arrived += file.size


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"


def _fetch_repo_info(wanted: HubId) -> Any:
    """What the hub says of the repository."""
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
            return HfApi(endpoint=_endpoint()).model_info(
                wanted.repo, revision=wanted.revision, files_metadata=True, timeout=30
            )
    except GatedRepoError as error:
        raise _gated(wanted) from error
    except RevisionNotFoundError as error:
        raise ModelError(f"{wanted.repo} has no revision {wanted.revision}") from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"{_endpoint()} has no {wanted.repo}, or shows it to members only",
            "with a token, hf auth login lets you in",
        ) from error
    except (OfflineModeIsEnabled, HfHubHTTPError, OSError, ValueError) as error:
        raise _unreachable(error) from error
    except Exception as error:  # httpx's, which is the hub library's own affair
        if type(error).__module__.partition(".")[0] not in ("httpx", "httpcore", "httpx2"):
            raise
        raise _unreachable(error) from error


@contextmanager
def _allow_hub_access() -> Iterator[None]:
    """The worker forbids its libraries to ask the hub by themselves (`HF_HUB_OFFLINE`). This was
    asked for, and the user's own `HF_HUB_OFFLINE` was heeded by whoever asked."""
    from huggingface_hub import constants

    forbidden, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, False
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = forbidden


def _unreachable(error: Exception) -> DreamError:
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    return FetchError(f"{_endpoint()} cannot be asked: {said}", "is there a network?")


def _gated(wanted: HubId) -> ModelError:
    return ModelError(
        f"{wanted.repo} is gated: its licence has to be accepted first",
        f"do so at {_endpoint()}/{wanted.repo}, then say who you are with: hf auth login",
    )


def _files(siblings: Iterable[Any]) -> list[_File]:
    found = []
    for row in siblings:
        lfs = row.lfs.sha256 if row.lfs else ""
        found.append(_File(PurePosixPath(row.rfilename), row.size or 0, lfs))
    return found


def _select_files(wanted: HubId, files: Sequence[_File], index: str) -> list[_File]:
    """The files that make the model: in each part's folder the configuration, and one set of
    weights. The index is last."""
    last = [file for file in files if str(file.name) == index]
    if not last:
        single = [str(f.name) for f in files if f.name.suffix in (".safetensors", ".ckpt")]
        has = f"it has {', '.join(single[:6])}: name one by its URL" if single else ""
        raise ModelError(f"{wanted.repo} is no model in diffusers layout", has)
    parts: dict[str, list[_File]] = {}
    for file in files:
        match file.name.parts:
            case (folder, name) if index == INDEX and {folder, name}.isdisjoint(_LEFT_ALONE):
                parts.setdefault(folder, []).append(file)
            case (name,) if index != INDEX and name not in (index, ".."):
                parts.setdefault("", []).append(file)
    chosen: list[_File] = []
    for part in parts.values():
        small = [file for file in part if file.name.suffix in _SMALL]
        chosen += small + _weights(part, wanted.variant)
    _check_names(wanted, chosen + last)
    return chosen + last


def _check_names(wanted: HubId, files: Iterable[_File]) -> None:
    """Raises ModelError for a name that would lead out of the model's folder, or that some system
    takes for something else than a file."""
    for file in files:
        if not all(map(is_plain_name, file.name.parts)):
            name = make_printable_url(str(file.name))
            raise ModelError(f"{wanted.repo} is refused: no file here can be called “{name}”")


def _weights(part: Sequence[_File], variant: str | None) -> list[_File]:
    """Safetensors if there are any, of the variant, or plain, or of the only one there is."""
    files = [file for file in part if file.name.suffix == ".safetensors"]
    files = files or [file for file in part if file.name.suffix == ".bin"]
    sets: dict[str, list[_File]] = {}
    for file in files:
        sets.setdefault(get_variant(file.name.name), []).append(file)
    for name in (variant or "", "", *sets):
        if name in sets:
            return sets[name]
    return []


def _lacking(variant: str | None, files: Iterable[_File]) -> str:
    """The parts of which weights come that are not of the variant, in words; mostly empty."""
    weights = (file for file in files if file.name.suffix in (".safetensors", ".bin"))
    parts = (
        file.name.parent.name or file.name.name
        for file in weights
        if get_variant(file.name.name) != variant
    )
    return ", ".join(dict.fromkeys(parts)) if variant else ""
