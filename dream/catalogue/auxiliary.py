"""Vision models that image generation needs: CLIPSeg (text to mask) and a depth estimator.

Each is a folder in transformers' format, of any name, in a models folder. The usual one is
downloaded on first use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from dream.catalogue.discovery import TRANSFORMERS_INDEX
from dream.catalogue.model_dirs import find_writable_dir
from dream.catalogue.registry import ModelRegistry
from dream.catalogue.walk_files import list_matches
from dream.core.bounded_reading import read_json
from dream.core.errors import ModelError

OnProgress = Callable[[int, int], None]
"""See `catalogue.download`."""


@dataclass(frozen=True)
class AuxiliaryModel:
    """An auxiliary model: its type, and where to download it."""

    kind: str
    """`model_type` in transformers' config.json."""
    hub: str
    """`owner/name` of the repository to download."""
    task: str
    """The task, as it completes “the … model”."""
    others: tuple[str, ...] = ()
    """Other values of `model_type` that do the same; one that is in a models folder is used."""
    classes: int = 0
    """How many classes it knows, for a network that names what it sees; 0 is any number."""

    @property
    def name(self) -> str:
        """The name of its folder when it is downloaded."""
        return self.hub.partition("/")[2]


CLIPSEG = AuxiliaryModel("clipseg", "CIDAS/clipseg-rd64-refined", "text-to-mask")
"""Lüddecke and Ecker 2022, arXiv:2112.10003."""

DEPTH = AuxiliaryModel("dpt", "Intel/dpt-hybrid-midas", "depth estimation")
"""Ranftl et al. 2021, arXiv:2103.13413; what Stable Diffusion 2's depth model was trained with."""


DEPTH_ANYTHING = AuxiliaryModel(
    "depth_anything",
    "depth-anything/Depth-Anything-V2-Small-hf",
    "depth map",
    ("zoedepth", "dpt"),
)
"""Yang et al. 2024, arXiv:2406.09414; the size whose licence allows everything."""

UPERNET = AuxiliaryModel(
    "upernet",
    "openmmlab/upernet-convnext-small",
    "segmentation",
    ("oneformer", "mask2former", "segformer"),
    classes=150,
)
"""Xiao et al. 2018, arXiv:1807.10221; on ADE20K."""

VITPOSE = AuxiliaryModel("vitpose", "usyd-community/vitpose-base-simple", "pose")
"""Xu et al. 2022, arXiv:2204.12484; on COCO."""

RT_DETR = AuxiliaryModel("rt_detr", "PekingU/rtdetr_r50vd_coco_o365", "person detection")
"""Zhao et al. 2023, arXiv:2304.08069; finds the people for VITPOSE."""

MAP_NETWORKS: Mapping[str, tuple[AuxiliaryModel, ...]] = MappingProxyType(
    {
        "depth": (DEPTH_ANYTHING,),
        "normal": (DEPTH_ANYTHING,),
        "seg": (UPERNET,),
        "pose": (RT_DETR, VITPOSE),
    }
)
"""What computes the control maps of a kind (a key of CONTROL_KINDS); other kinds need no
network."""

AUXILIARY_MODELS = (CLIPSEG, DEPTH, DEPTH_ANYTHING, UPERNET, VITPOSE, RT_DETR)

Downloader = Callable[[AuxiliaryModel, OnProgress, Callable[[str], None]], Path]
"""Returns the folder of an auxiliary model, downloaded if it is missing; see `ensure_auxiliary`."""


def refuse_download(
    auxiliary: AuxiliaryModel, on_progress: OnProgress, on_message: Callable[[str], None]
) -> Path:
    """A Downloader that always raises ModelError."""
    raise ModelError(f"the {auxiliary.task} model is not available")


def find_auxiliary(auxiliary: AuxiliaryModel, dirs: Sequence[Path]) -> Path | None:
    """The model's folder: the one with its usual name, else the first of its type, else one of its
    other types, else None."""
    folders = [*(folder / auxiliary.name for folder in dirs), *_folders(dirs)]
    suitable = [path for path in folders if _has_its_classes(auxiliary, path)]
    for kind in (auxiliary.kind, *auxiliary.others):
        for path in suitable:
            if get_model_type(path) == kind:
                return path
    return None


def ensure_auxiliary(
    auxiliary: AuxiliaryModel,
    registry: ModelRegistry,
    on_progress: OnProgress,
    on_message: Callable[[str], None],
) -> Path:
    """The model's folder, downloaded if it is missing. Raises ModelError, FetchError."""
    if (path := find_auxiliary(auxiliary, registry.models_dirs)) is not None:
        return path
    target = find_writable_dir(registry.models_dirs) / auxiliary.name
    if registry.offline:
        raise ModelError(
            f"the {auxiliary.task} model is not downloaded, and --offline is set",
            f"download {auxiliary.hub} from the hub to {target} yourself",
        )
    from dream.catalogue.hub import HubId, download  # imports network code only when needed

    download(
        HubId(auxiliary.hub),
        target,
        on_progress,
        on_message,
        index=TRANSFORMERS_INDEX,
        mirror=registry.hub_mirror,
    )
    return target


def _folders(dirs: Sequence[Path]) -> Iterator[Path]:
    for folder in dirs:
        yield from (index.parent for index in list_matches(folder, f"*/{TRANSFORMERS_INDEX}"))


def get_model_type(folder: Path) -> str:
    """`model_type` in a folder's config.json; empty where there is none."""
    kind = _read_config(folder).get("model_type")
    return kind if isinstance(kind, str) else ""


def _has_its_classes(auxiliary: AuxiliaryModel, folder: Path) -> bool:
    named = _read_config(folder).get("id2label")
    return not auxiliary.classes or (isinstance(named, dict) and len(named) == auxiliary.classes)


def _read_config(folder: Path) -> dict[str, object]:
    try:
        config = read_json(folder / TRANSFORMERS_INDEX)
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}
