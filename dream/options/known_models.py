"""Well-known open models, by short names for `!import_model`.

Sizes are those of the files in the repositories, rounded; licences are as the repositories say.
"""

from __future__ import annotations

from dream.options.known_model import KnownModel
from dream.options.known_parts import (
    AE,
    APACHE,
    FLUX2_VAE,
    GB,
    HIDREAM_CLIP_G,
    HIDREAM_CLIP_L,
    KNOWN_PARTS,
    LLAMA_3,
    MISTRAL_3,
    MIT,
    QWEN_3_4B,
    QWEN_3_VL,
    QWEN_25_VL,
    QWEN_VAE,
    T5,
    comfy_file,
)
from dream.options.known_tokenizers import TOKENIZERS

KNOWN_MODELS = (
    KnownModel(
        name="z-image-turbo",
        title="Z-Image-Turbo, 6B, 9 steps",
        licence=APACHE,
        files=(
            comfy_file("z_image_turbo", "diffusion_models/z_image_turbo_bf16.safetensors", 12.31),
            QWEN_3_4B,
            AE,
            *TOKENIZERS["qwen3"],
        ),
    ),
    KnownModel(
        name="flux2-klein",
        title="FLUX.2 klein, 4B, 4 steps, edits images",
        licence=APACHE,
        files=(
            comfy_file("flux2-klein", "diffusion_models/flux-2-klein-4b.safetensors", 7.75),
            QWEN_3_4B,
            FLUX2_VAE,
            *TOKENIZERS["qwen3"],
        ),
    ),
    KnownModel(
        name="flux2-klein-base",
        title="FLUX.2 klein base, 4B, not distilled",
        licence=APACHE,
        files=(
            comfy_file("flux2-klein", "diffusion_models/flux-2-klein-base-4b.safetensors", 7.75),
            QWEN_3_4B,
            FLUX2_VAE,
            *TOKENIZERS["qwen3"],
        ),
    ),
    KnownModel(
        name="flux2-dev",
        title="FLUX.2 dev, 32B, fp8, edits images",
        licence="FLUX.2 dev non-commercial",
        files=(
            comfy_file("flux2-dev", "diffusion_models/flux2_dev_fp8mixed.safetensors", 35.46),
            MISTRAL_3,
            FLUX2_VAE,
        ),
    ),
    KnownModel(
        name="hidream",
        title="HiDream-I1 full, 17B, fp8",
        licence=MIT,
        files=(
            comfy_file(
                "HiDream-I1_ComfyUI", "diffusion_models/hidream_i1_full_fp8.safetensors", 17.1
            ),
            HIDREAM_CLIP_L,
            HIDREAM_CLIP_G,
            T5,
            LLAMA_3,
            AE,
            *TOKENIZERS["t5"],
            *TOKENIZERS["llama3"],
        ),
    ),
    KnownModel(
        name="qwen-image",
        title="Qwen-Image, 20B",
        licence=APACHE,
        files=(
            comfy_file("Qwen-Image_ComfyUI", "diffusion_models/qwen_image_bf16.safetensors", 40.9),
            QWEN_25_VL,
            QWEN_VAE,
            *TOKENIZERS["qwen2.5-vl"],
        ),
    ),
    KnownModel(
        name="qwen-image-edit",
        title="Qwen-Image-Edit-2511, 20B, edits up to three images",
        licence=APACHE,
        hub="Qwen/Qwen-Image-Edit-2511",
        hub_size=58 * GB,
    ),
    KnownModel(
        name="krea2-turbo",
        title="Krea 2 Turbo, 12B, fp8, 8 steps",
        licence="Krea 2 Community",
        files=(
            comfy_file("Krea-2", "diffusion_models/krea2_turbo_fp8_scaled.safetensors", 12.53, ""),
            QWEN_3_VL,
            QWEN_VAE,
            *TOKENIZERS["qwen3"],
        ),
    ),
    KnownModel(
        name="z-image",
        title="Z-Image, 6B",
        licence=APACHE,
        hub="Tongyi-MAI/Z-Image",
        hub_size=21 * GB,
    ),
    KnownModel(
        name="flux-schnell",
        title="FLUX.1 schnell, 12B, 4 steps",
        licence=APACHE,
        hub="black-forest-labs/FLUX.1-schnell",
        hub_size=34 * GB,
        gated=True,
    ),
    KnownModel(
        name="flux-dev",
        title="FLUX.1 dev, 12B",
        licence="FLUX.1 dev non-commercial",
        hub="black-forest-labs/FLUX.1-dev",
        hub_size=34 * GB,
        gated=True,
    ),
    KnownModel(
        name="flux-krea",
        title="FLUX.1 Krea dev, 12B",
        licence="FLUX.1 dev non-commercial",
        hub="black-forest-labs/FLUX.1-Krea-dev",
        hub_size=34 * GB,
        gated=True,
    ),
    KnownModel(
        name="flux-kontext",
        title="FLUX.1 Kontext dev, 12B, edits images",
        licence="FLUX.1 dev non-commercial",
        hub="black-forest-labs/FLUX.1-Kontext-dev",
        hub_size=34 * GB,
        gated=True,
    ),
    KnownModel(
        name="flux-fill",
        title="FLUX.1 Fill dev, 12B, inpaints",
        licence="FLUX.1 dev non-commercial",
        hub="black-forest-labs/FLUX.1-Fill-dev",
        hub_size=34 * GB,
        gated=True,
    ),
    KnownModel(
        name="chroma",
        title="Chroma1-HD, 9B",
        licence=APACHE,
        hub="lodestones/Chroma1-HD",
        hub_size=28 * GB,
    ),
    KnownModel(
        name="sd3.5-large",
        title="Stable Diffusion 3.5 large, 8B",
        licence="Stability community",
        hub="stabilityai/stable-diffusion-3.5-large",
        hub_size=28 * GB,
        gated=True,
    ),
    KnownModel(
        name="sd3.5-medium",
        title="Stable Diffusion 3.5 medium, 2.5B",
        licence="Stability community",
        hub="stabilityai/stable-diffusion-3.5-medium",
        hub_size=17 * GB,
        gated=True,
    ),
    KnownModel(
        name="lumina2",
        title="Lumina Image 2.0, 2.6B",
        licence=APACHE,
        hub="Alpha-VLLM/Lumina-Image-2.0",
        hub_size=21 * GB,
    ),
    KnownModel(
        name="sana",
        title="Sana, 1.6B, 1024 pixels",
        licence="NSCL v2 custom",
        hub="Efficient-Large-Model/Sana_1600M_1024px_diffusers",
        hub_size=13 * GB,
    ),
    KnownModel(
        name="sdxl",
        title="Stable Diffusion XL base 1.0",
        licence="CreativeML OpenRAIL++-M",
        hub="stabilityai/stable-diffusion-xl-base-1.0",
        hub_size=7 * GB,
    ),
    KnownModel(
        name="sdxl-turbo",
        title="Stable Diffusion XL Turbo, 4 steps",
        licence="Stability community",
        hub="stabilityai/sdxl-turbo",
        hub_size=7 * GB,
    ),
    KnownModel(
        name="sd1.5",
        title="Stable Diffusion 1.5",
        licence="CreativeML OpenRAIL-M",
        hub="stable-diffusion-v1-5/stable-diffusion-v1-5",
        hub_size=3 * GB,
    ),
    KnownModel(
        name="sd-turbo",
        title="Stable Diffusion 2.1 Turbo, 4 steps",
        licence="Stability community",
        hub="stabilityai/sd-turbo",
        hub_size=3 * GB,
    ),
    KnownModel(
        name="pixart-sigma",
        title="PixArt-Σ, 0.6B",
        licence="CreativeML OpenRAIL++-M",
        hub="PixArt-alpha/PixArt-Sigma-XL-2-1024-MS",
        hub_size=22 * GB,
    ),
    KnownModel(
        name="auraflow",
        title="AuraFlow 0.3, 6.8B",
        licence=APACHE,
        hub="fal/AuraFlow-v0.3",
        hub_size=33 * GB,
    ),
)
"""Models; `!models --known` lists them."""


def find_known(name: str) -> KnownModel | None:
    """The row of that name, in any case; None if there is none."""
    rows = (*KNOWN_MODELS, *KNOWN_PARTS)
    return next((row for row in rows if row.name == name.lower()), None)
