"""Models that paint nothing, but see: what words name in a picture, and how far away things are.

Each is a folder as transformers keeps its models, in a models folder, under whatever name; the
usual one is fetched when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dream.catalogue.found import PART
from dream.catalogue.places import writable_dir
from dream.catalogue.shelf import Shelf
from dream.errors import ModelError
from dream.reading import read_json

OnProgress = Callable[[int, int], None]
"""See `catalogue.fetch`."""


@dataclass(frozen=True)
class Helper:
    """One row."""

    kind: str
    """Its `model_type`, in transformers' words."""
    hub: str
    """`owner/name` of the usual one."""
    sees: str
    """What it sees, in words that complete “what sees …”."""

    @property
    def name(self) -> str:
        """What its folder is called, when it is fetched."""
        return self.hub.partition("/")[2]


CLIPSEG = Helper("clipseg", "CIDAS/clipseg-rd64-refined", "what words name in a picture")
"""Lüddecke and Ecker 2022, arXiv:2112.10003."""

DEPTH = Helper("dpt", "Intel/dpt-hybrid-midas", "how far away things are in a picture")
"""Ranftl et al. 2021, arXiv:2103.13413; what Stable Diffusion 2's depth model was trained with."""


HELPERS = (CLIPSEG, DEPTH)

Bring = Callable[[Helper, OnProgress, Callable[[str], None]], Path]
"""The folder of a helper, fetched if need be: `bring_helper`, where the models lie."""


def bring_none(helper: Helper, on_progress: OnProgress, say: Callable[[str], None]) -> Path:
    """A Bring for where there is none."""
    raise ModelError(f"what sees {helper.sees} is not here")


def find_helper(helper: Helper, dirs: Sequence[Path]) -> Path | None:
    """Its folder: the one of its usual name, or the first of its kind; None where none is."""
    usual = (folder / helper.name for folder in dirs)
    return next((path for path in (*usual, *_folders(dirs)) if _is(helper, path)), None)


def bring_helper(
    helper: Helper, shelf: Shelf, on_progress: OnProgress, say: Callable[[str], None]
) -> Path:
    """Its folder, fetched where it is not here yet. Raises ModelError, FetchError."""
    if (path := find_helper(helper, shelf.models_dirs)) is not None:
        return path
    target = writable_dir(shelf.models_dirs) / helper.name
    if shelf.offline:
        raise ModelError(
            f"what sees {helper.sees} is not on this machine, and --offline forbids to fetch it",
            f"put it there by hand: {helper.hub} of the hub as {target}",
        )
    from dream.catalogue.hub import HubId, download  # what goes on a network comes when wanted

    download(HubId(helper.hub), target, on_progress, say, index=PART)
    return target


def _folders(dirs: Sequence[Path]) -> Iterator[Path]:
    for folder in dirs:
        yield from (index.parent for index in sorted(folder.glob(f"*/{PART}")))


def _is(helper: Helper, folder: Path) -> bool:
    try:
        said = read_json(folder / PART)
        return isinstance(said, dict) and said.get("model_type") == helper.kind
    except (OSError, ValueError):
        return False
