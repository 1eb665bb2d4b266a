"""Models that paint nothing, but see: what words name in a picture, and how far away things are.

Each is a folder as transformers keeps its models, in a models folder, under whatever name; the
usual one is fetched when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dream.catalogue.discovery import TRANSFORMERS_INDEX
from dream.catalogue.model_dirs import find_writable_dir
from dream.catalogue.registry import ModelRegistry
from dream.core.bounded_reading import read_json
from dream.core.errors import ModelError

OnProgress = Callable[[int, int], None]
"""See `catalogue.fetch`."""


@dataclass(frozen=True)
class AuxiliaryModel:
    """One row."""

    kind: str
    """Its `model_type`, in transformers' words."""
    hub: str
    """`owner/name` of the usual one."""
    model_types: str
    """What it sees, in words that complete “what sees …”."""

    @property
    def name(self) -> str:
        """What its folder is called, when it is fetched."""
        return self.hub.partition("/")[2]


CLIPSEG = AuxiliaryModel("clipseg", "CIDAS/clipseg-rd64-refined", "what words name in a picture")
"""Lüddecke and Ecker 2022, arXiv:2112.10003."""

DEPTH = AuxiliaryModel("dpt", "Intel/dpt-hybrid-midas", "how far away things are in a picture")
"""Ranftl et al. 2021, arXiv:2103.13413; what Stable Diffusion 2's depth model was trained with."""


AUXILIARY_MODELS = (CLIPSEG, DEPTH)

Downloader = Callable[[AuxiliaryModel, OnProgress, Callable[[str], None]], Path]
"""The folder of a helper, fetched if need be: `bring_helper`, where the models lie."""


def refuse_download(
    helper: AuxiliaryModel, on_progress: OnProgress, say: Callable[[str], None]
) -> Path:
    """A Bring for where there is none."""
    raise ModelError(f"what sees {helper.model_types} is not here")


def find_auxiliary(helper: AuxiliaryModel, dirs: Sequence[Path]) -> Path | None:
    """Its folder: the one of its usual name, or the first of its kind; None where none is."""
    usual = (folder / helper.name for folder in dirs)
    return next((path for path in (*usual, *_folders(dirs)) if _is(helper, path)), None)


def ensure_auxiliary(
    helper: AuxiliaryModel,
    shelf: ModelRegistry,
    on_progress: OnProgress,
    say: Callable[[str], None],
) -> Path:
    """Its folder, fetched where it is not here yet. Raises ModelError, FetchError."""
    if (path := find_auxiliary(helper, shelf.models_dirs)) is not None:
        return path
    target = find_writable_dir(shelf.models_dirs) / helper.name
    if shelf.offline:
        raise ModelError(
            f"a model that sees {helper.model_types} is missing, and --offline is set",
            f"put it there by hand: {helper.hub} of the hub as {target}",
        )
    from dream.catalogue.hub import HubId, download  # what goes on a network comes when wanted

    download(HubId(helper.hub), target, on_progress, say, index=TRANSFORMERS_INDEX)
    return target


def _folders(dirs: Sequence[Path]) -> Iterator[Path]:
    for folder in dirs:
        yield from (index.parent for index in sorted(folder.glob(f"*/{TRANSFORMERS_INDEX}")))


def _is(helper: AuxiliaryModel, folder: Path) -> bool:
    try:
        said = read_json(folder / TRANSFORMERS_INDEX)
        return isinstance(said, dict) and said.get("model_type") == helper.kind
    except (OSError, ValueError):
        return False
