"""Finds the networks that restore and detect faces: those known by name, and files in the models
folders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from dream.catalogue.layouts import FACES, list_folders
from dream.catalogue.model_dirs import find_writable_dir
from dream.catalogue.suggest import suggest_names
from dream.catalogue.walk_files import is_file, list_matches
from dream.core.errors import ModelError
from dream.core.file_names import get_file_stamp, parse_path

FOLDER = "faces"
"""The subfolder of a models folder into which they are downloaded."""
DETECTOR, GFPGAN, RESTOREFORMER, CODEFORMER = "RetinaFace", "GFPGAN", "RestoreFormer", "CodeFormer"
"""Architectures: Deng et al. 2019, arXiv:1905.00641; Wang et al. 2021, arXiv:2101.04061; Wang et
al. 2022, arXiv:2201.06374; Zhou et al. 2022, arXiv:2206.11253."""

DEFAULT_FACETOOL = "gfpgan"
FIDELITY = 0.75
"""CodeFormer's, by default."""

_SUFFIXES = (".pth", ".safetensors", ".pt", ".ckpt")
_CODE_PACKAGE = "spandrel_extra_arches"
_RELEASES = "https://github.com/TencentARC/GFPGAN/releases/download"
_LAYOUTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (GFPGAN, ("toRGB.0.weight", "stylegan_decoder.style_mlp.1.weight", "final_linear.weight")),
    (CODEFORMER, ("position_emb", "quantize.embedding.weight", "idx_pred_layer.1.weight")),
    (RESTOREFORMER, ("quantize.embedding.weight", "quant_conv.weight", "decoder.conv_out.weight")),
    (DETECTOR, ("ClassHead.0.conv1x1.weight", "LandmarkHead.0.conv1x1.weight")),
)
"""Tensors that all files of an architecture have."""


@dataclass(frozen=True)
class FaceModel:
    """A network for faces, on disk or at its download address."""

    name: str
    """Its name in -ft and in the log; of a file that is not known by name, its stem or path."""
    path: Path
    """The file, existing or to be downloaded."""
    description: str = ""
    url: str = ""
    sha256: str = ""
    """64 hex digits if packagers agree on them, otherwise empty."""
    size: int = 0
    """Bytes; 0 if unknown."""
    has_fidelity: bool = False
    """Whether -cf matters."""
    licence: str = ""
    """What is said when it is first used, if it does not allow everything."""

    @property
    def is_on_disk(self) -> bool:
        """Whether it is on disk already."""
        return self.path.is_file()


KNOWN_FACE_MODELS = (
    FaceModel(
        "gfpgan",
        Path("GFPGANv1.4.pth"),
        "GFPGAN 1.4: restores faces, adds detail (Apache-2.0)",
        f"{_RELEASES}/v1.3.4/GFPGANv1.4.pth",
        "e2cd4703ab14f4d01fd1383a8a8b266f9a5833dacee8e6a79d3bf21a1b6be5ad",
        348_632_874,
    ),
    FaceModel(
        "restoreformer",
        Path("RestoreFormer.pth"),
        "RestoreFormer: restores faces, stays nearer to them (Apache-2.0)",
        f"{_RELEASES}/v1.3.4/RestoreFormer.pth",
    ),
    FaceModel(
        "codeformer",
        Path("codeformer.pth"),
        "CodeFormer: for badly damaged faces; -cf keeps more of them (non-commercial)",
        "https://github.com/sczhou/CodeFormer/releases/download/v0.1.0/codeformer.pth",
        "1009e537e0c2a07d4cabce6355f53cb66767cd4b4297ec7a4a64ca4b8a5684b7",
        376_637_898,
        True,
        "CodeFormer's licence (S-Lab 1.0) excludes commercial use",
    ),
)
"""The values of -ft, and the files that are downloaded for them."""

FACE_DETECTOR = FaceModel(
    "RetinaFace",
    Path("detection_Resnet50_Final.pth"),
    "finds faces",
    "https://github.com/xinntao/facexlib/releases/download/v0.1.0/detection_Resnet50_Final.pth",
    "6d1de9c2944f2ccddca5f5e010ea5ae64a39845a86311af6fdf30841b0a5a16d",
    109_497_761,
)
_SMALL_DETECTOR = "detection_mobilenet0.25_Final.pth"
"""Used where it is there and the other one is not."""


def list_face_models(dirs: Sequence[Path]) -> dict[str, FaceModel]:
    """What -ft can name, known or on disk."""
    files = {path.stem: path for path in reversed(list(_files(dirs))) if _restores(path)}
    models = {}
    for known in KNOWN_FACE_MODELS:
        there = files.pop(known.path.stem, None)
        path = there or find_writable_dir(dirs) / FOLDER / known.path
        models[known.name] = replace(known, path=path)
    return models | {name: FaceModel(name, path) for name, path in sorted(files.items())}


def find_face_model(name: str, dirs: Sequence[Path], *, offline: bool) -> FaceModel:
    """The network that -ft names, or the file at a path. Raises ModelError if there is none, if it
    is something else, if it cannot be downloaded, or if its package is missing."""
    models = list_face_models(dirs)
    path = parse_path(name)
    found = models.get(name) or models.get(name.lower())
    if found is None and path.suffix.lower() in _SUFFIXES and path.is_file():
        found = FaceModel(name, path)
    if found is None:
        hint = suggest_names(name, models) or f"-ft takes {', '.join(models)}"
        raise ModelError(f'there is no face restorer "{name}"', hint)
    _check_available(found, offline=offline)
    architecture = found.name if not found.is_on_disk else detect_face_architecture(found.path)
    if architecture == DETECTOR:
        raise ModelError(f"{found.path} finds faces and does not restore them")
    if architecture.lower() == CODEFORMER.lower() and find_spec(_CODE_PACKAGE) is None:
        raise ModelError(
            "codeformer needs the package spandrel-extra-arches, whose licences exclude commercial"
            " use",
            "install dream-prompt[codeformer], or use -ft gfpgan",
        )
    return found


def find_face_detector(dirs: Sequence[Path], *, offline: bool) -> FaceModel:
    """The network that finds faces. Raises ModelError if it cannot be downloaded."""
    names = (FACE_DETECTOR.path.name, _SMALL_DETECTOR)
    files = {path.name: path for path in reversed(list(_files(dirs))) if path.name in names}
    there = next((files[name] for name in names if name in files), None)
    path = there or find_writable_dir(dirs) / FOLDER / FACE_DETECTOR.path
    found = replace(FACE_DETECTOR, path=path)
    _check_available(found, offline=offline)
    return found


def _check_available(model: FaceModel, *, offline: bool) -> None:
    if offline and not model.is_on_disk:
        raise ModelError(
            f"{model.name} is not downloaded, and --offline is set",
            f"download {model.url} to {model.path} yourself",
        )


def detect_face_architecture(path: Path) -> str:
    """The architecture of a file, by its header. Raises ModelError for a file that is not a network
    for faces, with what it is, and for a pickle that would run code."""
    return _detect(path, get_file_stamp(path))


@lru_cache(maxsize=64)
def _detect(path: Path, stamp: object) -> str:
    from dream.catalogue.detect import classify, read_header  # imported late
    from dream.catalogue.detect.model_kinds import describe_kind
    from dream.catalogue.detect.require import refuse_unsafe
    from dream.catalogue.detect.upscaler_architectures import find_first

    header = read_header(path)
    detected, names = classify(header), header.tensors
    refuse_unsafe(detected)
    if architecture := find_first(_LAYOUTS, names):
        return architecture
    raise ModelError(f"{path} is {describe_kind(detected.kind)}, not a face restorer")


def _files(dirs: Sequence[Path]) -> Iterator[Path]:
    for folder in list_folders(FACES, dirs):
        for path in list_matches(folder, "*"):
            if path.suffix.lower() in _SUFFIXES and is_file(path):
                yield path


def _restores(path: Path) -> bool:
    try:
        return detect_face_architecture(path) != DETECTOR
    except ModelError:
        return False
