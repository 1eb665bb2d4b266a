"""Well-known open models and parts of models, by short names for `!import_model`.

Sizes are those of the files in the repositories, rounded; licences are as the repositories say.
"""

from __future__ import annotations

from dream.options.known_model import KnownFile, KnownModel
from dream.options.known_tokenizers import TOKENIZERS

_APACHE, _MIT, _GB, _MB = "Apache 2.0", "MIT", 10**9, 10**6


def _comfy(repo: str, path: str, size: float, place: str = "split_files/") -> KnownFile:
    folder = path.partition("/")[0]
    return KnownFile(
        repo=f"Comfy-Org/{repo}",
        path=f"{place}{path}",
        folder=folder,
        size=round(size * _GB),
    )


_QWEN_3_4B = _comfy("z_image_turbo", "text_encoders/qwen_3_4b.safetensors", 8.04)
_QWEN_25_VL = _comfy("Qwen-Image_ComfyUI", "text_encoders/qwen_2.5_vl_7b.safetensors", 16.6)
_QWEN_3_VL = _comfy("Krea-2", "text_encoders/qwen3vl_4b_fp8_scaled.safetensors", 5.24, "")
_AE = _comfy("z_image_turbo", "vae/ae.safetensors", 0.335)
_XL_VAE = KnownFile(
    repo="stabilityai/sdxl-vae", path="sdxl_vae.safetensors", folder="vae", size=335 * _MB
)
_FLUX2_VAE = _comfy("flux2-dev", "vae/flux2-vae.safetensors", 0.336)
_QWEN_VAE = _comfy("Qwen-Image_ComfyUI", "vae/qwen_image_vae.safetensors", 0.254)
_CLIP_L, _CLIP_G, _T5 = (
    KnownFile(
        repo="Comfy-Org/stable-diffusion-3.5-fp8",
        path=f"text_encoders/{name}.safetensors",
        folder="text_encoders",
        size=round(size * _GB),
    )
    for name, size in (("clip_l", 0.246), ("clip_g", 1.39), ("t5xxl_fp16", 9.79))
)


KNOWN_MODELS = (
    KnownModel(
        name="z-image-turbo",
        title="Z-Image-Turbo, 6B, 9 steps",
        licence=_APACHE,
        files=(
            _comfy("z_image_turbo", "diffusion_models/z_image_turbo_bf16.safetensors", 12.31),
            _QWEN_3_4B,
            _AE,
            *TOKENIZERS["qwen3"],
        ),
    ),
    KnownModel(
        name="flux2-klein",
        title="FLUX.2 klein, 4B, 4 steps, edits images",
        licence=_APACHE,
        files=(
            _comfy("flux2-klein", "diffusion_models/flux-2-klein-4b.safetensors", 7.75),
            _QWEN_3_4B,
            _FLUX2_VAE,
            *TOKENIZERS["qwen3"],
        ),
    ),
    KnownModel(
        name="flux2-klein-base",
        title="FLUX.2 klein base, 4B, not distilled",
        licence=_APACHE,
        files=(
            _comfy("flux2-klein", "diffusion_models/flux-2-klein-base-4b.safetensors", 7.75),
            _QWEN_3_4B,
            _FLUX2_VAE,
            *TOKENIZERS["qwen3"],
        ),
    ),
    KnownModel(
        name="qwen-image",
        title="Qwen-Image, 20B",
        licence=_APACHE,
        files=(
            _comfy("Qwen-Image_ComfyUI", "diffusion_models/qwen_image_bf16.safetensors", 40.9),
            _QWEN_25_VL,
            _QWEN_VAE,
            *TOKENIZERS["qwen2.5-vl"],
        ),
    ),
    KnownModel(
        name="qwen-image-edit",
        title="Qwen-Image-Edit-2511, 20B, edits up to three images",
        licence=_APACHE,
        hub="Qwen/Qwen-Image-Edit-2511",
        hub_size=58 * _GB,
    ),
    KnownModel(
        name="krea2-turbo",
        title="Krea 2 Turbo, 12B, fp8, 8 steps",
        licence="Krea 2 Community",
        files=(
            _comfy("Krea-2", "diffusion_models/krea2_turbo_fp8_scaled.safetensors", 12.53, ""),
            _QWEN_3_VL,
            _QWEN_VAE,
            *TOKENIZERS["qwen3"],
        ),
    ),
    KnownModel(
        name="z-image",
        title="Z-Image, 6B",
        licence=_APACHE,
        hub="Tongyi-MAI/Z-Image",
        hub_size=21 * _GB,
    ),
    KnownModel(
        name="flux-schnell",
        title="FLUX.1 schnell, 12B, 4 steps",
        licence=_APACHE,
        hub="black-forest-labs/FLUX.1-schnell",
        hub_size=34 * _GB,
        gated=True,
    ),
    KnownModel(
        name="flux-dev",
        title="FLUX.1 dev, 12B",
        licence="FLUX.1 dev non-commercial",
        hub="black-forest-labs/FLUX.1-dev",
        hub_size=34 * _GB,
        gated=True,
    ),
    KnownModel(
        name="flux-krea",
        title="FLUX.1 Krea dev, 12B",
        licence="FLUX.1 dev non-commercial",
        hub="black-forest-labs/FLUX.1-Krea-dev",
        hub_size=34 * _GB,
        gated=True,
    ),
    KnownModel(
        name="flux-kontext",
        title="FLUX.1 Kontext dev, 12B, edits images",
        licence="FLUX.1 dev non-commercial",
        hub="black-forest-labs/FLUX.1-Kontext-dev",
        hub_size=34 * _GB,
        gated=True,
    ),
    KnownModel(
        name="chroma",
        title="Chroma1-HD, 9B",
        licence=_APACHE,
        hub="lodestones/Chroma1-HD",
        hub_size=28 * _GB,
    ),
    KnownModel(
        name="sd3.5-large",
        title="Stable Diffusion 3.5 large, 8B",
        licence="Stability community",
        hub="stabilityai/stable-diffusion-3.5-large",
        hub_size=28 * _GB,
        gated=True,
    ),
    KnownModel(
        name="sd3.5-medium",
        title="Stable Diffusion 3.5 medium, 2.5B",
        licence="Stability community",
        hub="stabilityai/stable-diffusion-3.5-medium",
        hub_size=17 * _GB,
        gated=True,
    ),
    KnownModel(
        name="lumina2",
        title="Lumina Image 2.0, 2.6B",
        licence=_APACHE,
        hub="Alpha-VLLM/Lumina-Image-2.0",
        hub_size=21 * _GB,
    ),
    KnownModel(
        name="sana",
        title="Sana, 1.6B, 1024 pixels",
        licence="NSCL v2 custom",
        hub="Efficient-Large-Model/Sana_1600M_1024px_diffusers",
        hub_size=13 * _GB,
    ),
    KnownModel(
        name="sdxl",
        title="Stable Diffusion XL base 1.0",
        licence="CreativeML OpenRAIL++-M",
        hub="stabilityai/stable-diffusion-xl-base-1.0",
        hub_size=7 * _GB,
    ),
    KnownModel(
        name="sdxl-turbo",
        title="Stable Diffusion XL Turbo, 4 steps",
        licence="Stability community",
        hub="stabilityai/sdxl-turbo",
        hub_size=7 * _GB,
    ),
    KnownModel(
        name="sd1.5",
        title="Stable Diffusion 1.5",
        licence="CreativeML OpenRAIL-M",
        hub="stable-diffusion-v1-5/stable-diffusion-v1-5",
        hub_size=3 * _GB,
    ),
    KnownModel(
        name="sd-turbo",
        title="Stable Diffusion 2.1 Turbo, 4 steps",
        licence="Stability community",
        hub="stabilityai/sd-turbo",
        hub_size=3 * _GB,
    ),
    KnownModel(
        name="pixart-sigma",
        title="PixArt-Σ, 0.6B",
        licence="CreativeML OpenRAIL++-M",
        hub="PixArt-alpha/PixArt-Sigma-XL-2-1024-MS",
        hub_size=22 * _GB,
    ),
    KnownModel(
        name="auraflow",
        title="AuraFlow 0.3, 6.8B",
        licence=_APACHE,
        hub="fal/AuraFlow-v0.3",
        hub_size=33 * _GB,
    ),
)
"""Models; `!models --known` lists them."""

KNOWN_PARTS = (
    *(
        KnownModel(name=name, title=title, licence=licence, files=(file,), part=part)
        for name, title, licence, file, part in (
            ("qwen-3-4b", "text encoder Qwen3 4B", _APACHE, _QWEN_3_4B, ("qwen3", 2560)),
            (
                "qwen-2.5-vl-7b",
                "text encoder Qwen2.5-VL 7B",
                _APACHE,
                _QWEN_25_VL,
                ("qwen2.5-vl", 3584),
            ),
            ("qwen3-vl-4b", "text encoder Qwen3-VL 4B", _APACHE, _QWEN_3_VL, ("qwen3-vl", 2560)),
            ("t5-xxl", "text encoder T5 v1.1 XXL", _APACHE, _T5, ("t5", 4096)),
            ("clip-l", "text encoder CLIP ViT-L", _MIT, _CLIP_L, ("clip", 768)),
            ("clip-g", "text encoder OpenCLIP ViT-bigG", _MIT, _CLIP_G, ("clip", 1280)),
            ("flux-vae", "VAE of FLUX.1, Z-Image, Lumina 2, Chroma", _APACHE, _AE, ("kl", 16)),
            ("flux2-vae", "VAE of FLUX.2", _APACHE, _FLUX2_VAE, ("flux2", 32)),
            (
                "sdxl-vae",
                "VAE of Stable Diffusion XL, AuraFlow, PixArt-Σ",
                _MIT,
                _XL_VAE,
                ("kl", 4),
            ),
            ("qwen-image-vae", "VAE of Qwen-Image, Krea 2", _APACHE, _QWEN_VAE, ("qwen", 16)),
        )
    ),
    *(
        KnownModel(
            name=f"tokenizer-{kind}", title=f"tokenizer {kind}", licence="as its model", files=files
        )
        for kind, files in TOKENIZERS.items()
    ),
)
"""Parts that complete models in several files."""


def find_known(name: str) -> KnownModel | None:
    """The row of that name, in any case; None if there is none."""
    rows = (*KNOWN_MODELS, *KNOWN_PARTS)
    return next((row for row in rows if row.name == name.lower()), None)


def find_part_download(kind: str, width: int) -> KnownModel | None:
    """The part of that kind and width; None if none is known."""
    return next((row for row in KNOWN_PARTS if row.part == (kind, width)), None)
