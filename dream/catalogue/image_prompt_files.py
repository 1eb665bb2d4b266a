"""Finds IP-Adapters, and the image encoders that they were trained with, in the models folders.

Ye et al. 2023, arXiv:2308.06721. An encoder is found by the shapes of its weights, since its file
has any name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dream.catalogue.control_files import CONTROL_SUFFIXES
from dream.catalogue.detect import detect, read_header
from dream.catalogue.detect.control_family import IP_ADAPTER
from dream.catalogue.detect.lora_family import describe_family
from dream.catalogue.detect.model_kinds import describe_kind
from dream.catalogue.detect.require import require_supported
from dream.catalogue.detect.unet_header import UNKNOWN_WIDTHS, UNetWidths, find_unet_widths
from dream.catalogue.layouts import CLIP_VISION, CONTROLNETS, IP_ADAPTERS, list_folders
from dream.catalogue.suggest import suggest_names
from dream.catalogue.walk_files import walk_files
from dream.core.errors import ModelError

_MAX_DEPTH, _MAX_FILES = 4, 1000
_SUPPORTED = ("sd1", "sd2", "sdxl", "flux")
"""Families whose IP-Adapters are used."""
_RANKS = ("plus", "plain", "full face")
"""Kinds of IP-Adapter, the one to prefer first."""
_XLABS, _INSTANTX = "ip_adapter_proj_model.proj.weight", "ip_adapter.0.to_k_ip.weight"
_PROJECTION, _EMBEDDING = "visual_projection.weight", "vision_model.embeddings.class_embedding"


@dataclass(frozen=True, kw_only=True)
class ImagePromptModel:
    """An IP-Adapter on disk."""

    name: str
    path: Path
    family: str = ""
    """Empty if unknown."""
    variant: str = "plain"
    """"plain", "plus" or "full face"; see `control_family.detect_image_projection`."""
    encoder_width: int = 0
    """What it reads: of a plain one the width of the encoder's projection, of the others that of
    its layers."""
    widths: UNetWidths = UNKNOWN_WIDTHS
    """Of the text beside which the UNet reads the image; unknown for FLUX.1."""

    @property
    def reads_layers(self) -> bool:
        """Whether it reads the encoder's last layer but one, not its projection."""
        return self.variant != "plain"


def find_image_prompt_models(dirs: Sequence[Path]) -> dict[str, Path]:
    """The IP-Adapters by name, sorted: in their folders, and among ControlNets, where web UIs have
    them."""
    paths: dict[str, Path] = {}
    for kind in (IP_ADAPTERS, CONTROLNETS):
        for path in _list_files(kind, dirs):
            if path.stem not in paths and _is_ip_adapter(path):
                paths[path.stem] = path
    return dict(sorted(paths.items(), key=lambda item: item[0].casefold()))


def get_image_prompt_model(name_or_path: str, dirs: Sequence[Path]) -> ImagePromptModel:
    """The IP-Adapter of that name, or at that path. Raises ModelError with similar names, or with
    what the file is instead."""
    paths = find_image_prompt_models(dirs)
    for name, path in paths.items():
        if name_or_path.casefold() in (name.casefold(), path.name.casefold()):
            return read_image_prompt_model(name, path)
    with suppress(OSError, RuntimeError, ValueError):  # not a valid path
        path = Path(name_or_path).expanduser().absolute()
        if path.is_file():
            return read_image_prompt_model(name_or_path, path)
    raise ModelError(
        f'there is no IP-Adapter "{name_or_path}" in {", ".join(map(str, dirs))}',
        suggest_names(name_or_path, paths) or "put it into ipadapter/ in a models folder",
    )


def choose_image_prompt_model(
    family: str, name: str | None, dirs: Sequence[Path], widths: UNetWidths = UNKNOWN_WIDTHS
) -> ImagePromptModel:
    """The IP-Adapter for a model of a family, whose UNet has these widths: the one of that name or
    path, else the best one in the models folders. Raises ModelError where none fits, with those
    that there are."""
    if name:
        model = get_image_prompt_model(name, dirs)
        if model.family and family != "other" and model.family != family:
            raise ModelError(
                f"{model.name} is an IP-Adapter for {describe_family(model.family)}, and the model"
                f" is {describe_family(family)}",
                "choose another --image_prompt_model",
            )
        if not model.widths.fits(widths):
            raise ModelError(
                f"{model.name} is an IP-Adapter for models"
                f" {model.widths.describe_difference(widths)}",
                "choose another --image_prompt_model",
            )
        return model
    models = list(_readable(dirs))
    suitable = [
        one
        for one in models
        if (family == "other" or one.family in ("", family)) and one.widths.fits(widths)
    ]
    if not suitable:
        others = sorted(
            {
                describe_family(one.family) if one.family else "models of other sizes"
                for one in models
            }
        )
        there = f"those in the models folders are for {', '.join(others)}; " if others else ""
        raise ModelError(
            f"there is no IP-Adapter for {describe_family(family)}",
            f"{there}put one into ipadapter/ in a models folder",
        )
    return min(suitable, key=lambda one: (not one.family, _rank(one), len(one.name), one.name))


def read_image_prompt_model(name: str, path: Path) -> ImagePromptModel:
    """Read a file's header. Raises ModelError for one that is not an IP-Adapter, or is of a kind
    that is not supported."""
    detected = require_supported(path)
    if detected.kind != IP_ADAPTER:
        called = detected.called or describe_kind(detected.kind)
        raise ModelError(f"{path} is {called}, not an IP-Adapter", detected.place)
    tensors = read_header(path).tensors
    if detected.variant == "faceid" and _INSTANTX in tensors:
        raise ModelError(
            f"{name} is InstantX's IP-Adapter for FLUX.1, which is not supported",
            "use XLabs' (flux-ip-adapter)",
        )
    if detected.variant.startswith("faceid"):
        raise ModelError(
            f"{name} is a FaceID adapter, which needs insightface's models and is not supported",
            "use an IP-Adapter for faces, such as ip-adapter-plus-face_sd15 or"
            " ip-adapter-plus-face_sdxl_vit-h",
        )
    family = "" if detected.family == "other" else detected.family
    if detected.variant not in _RANKS or family not in ("", *_SUPPORTED):
        raise ModelError(
            f"{name} is {detected.called}, which is not supported",
            "use one for Stable Diffusion 1 or XL, or FLUX.1",
        )
    weight = {
        "plain": _XLABS if _XLABS in tensors else "image_proj.proj.weight",
        "plus": "image_proj.proj_in.weight",
        "full face": "image_proj.proj.0.weight",
    }[detected.variant]
    shape = tensors[weight].shape if weight in tensors else ()
    if len(shape) != 2:
        raise ModelError(f"{path}: missing {weight}", "copy or download it again")
    return ImagePromptModel(
        name=name,
        path=path,
        family=family,
        variant=detected.variant,
        encoder_width=shape[1],
        widths=find_unet_widths(tensors),
    )


def find_image_encoder(width: int, reads_layers: bool, dirs: Sequence[Path]) -> Path | None:
    """The file of a CLIP vision encoder whose projection (or whose layers) are so wide: the first
    by folder and name; None if there is none. Files that cannot be read are skipped."""
    for path in _list_files(CLIP_VISION, dirs):
        with suppress(ModelError):
            detected = detect(path)
            if detected.code or detected.refused:
                continue
            tensors = read_header(path).tensors
            measured = tensors.get(_EMBEDDING if reads_layers else _PROJECTION)
            if _EMBEDDING in tensors and measured is not None and measured.shape[:1] == (width,):
                return path
    return None


def _readable(dirs: Sequence[Path]) -> Iterator[ImagePromptModel]:
    for name, path in find_image_prompt_models(dirs).items():
        with suppress(ModelError):
            yield read_image_prompt_model(name, path)


def _rank(model: ImagePromptModel) -> tuple[bool, int]:
    """Those for faces last."""
    return "face" in model.name.casefold(), _RANKS.index(model.variant)


def _is_ip_adapter(path: Path) -> bool:
    try:
        return detect(path).kind == IP_ADAPTER
    except ModelError:
        return False


def _list_files(kind: str, dirs: Sequence[Path]) -> Iterator[Path]:
    """The weight files in the folders for a kind, safetensors first."""
    for folder in list_folders(kind, dirs):
        files = [
            path
            for _, path in zip(range(_MAX_FILES), walk_files(folder, _MAX_DEPTH), strict=False)
            if path.suffix.lower() in CONTROL_SUFFIXES
        ]
        order = CONTROL_SUFFIXES.index
        yield from sorted(files, key=lambda path: (order(path.suffix.lower()), path.as_posix()))
