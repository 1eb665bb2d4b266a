"""Well-known parts of models, text encoders, VAEs and tokenizers, by short names for
`!import_model`. See `known_models`."""

from __future__ import annotations

from dream.options.known_model import KnownFile, KnownModel
from dream.options.known_tokenizers import TOKENIZERS

APACHE, MIT, GB, MB = "Apache 2.0", "MIT", 10**9, 10**6


def comfy_file(repo: str, path: str, size: float, place: str = "split_files/") -> KnownFile:
    """A file of Comfy-Org's, of that many GB."""
    folder = path.partition("/")[0]
    return KnownFile(
        repo=f"Comfy-Org/{repo}",
        path=f"{place}{path}",
        folder=folder,
        size=round(size * GB),
    )


QWEN_3_4B = comfy_file("z_image_turbo", "text_encoders/qwen_3_4b.safetensors", 8.04)
QWEN_25_VL = comfy_file("Qwen-Image_ComfyUI", "text_encoders/qwen_2.5_vl_7b.safetensors", 16.6)
QWEN_3_VL = comfy_file("Krea-2", "text_encoders/qwen3vl_4b_fp8_scaled.safetensors", 5.24, "")
AE = comfy_file("z_image_turbo", "vae/ae.safetensors", 0.335)
XL_VAE = KnownFile(
    repo="stabilityai/sdxl-vae", path="sdxl_vae.safetensors", folder="vae", size=335 * MB
)
FLUX2_VAE = comfy_file("flux2-dev", "vae/flux2-vae.safetensors", 0.336)
QWEN_VAE = comfy_file("Qwen-Image_ComfyUI", "vae/qwen_image_vae.safetensors", 0.254)
SD_VAE = KnownFile(
    repo="stabilityai/sd-vae-ft-mse-original",
    path="vae-ft-mse-840000-ema-pruned.safetensors",
    folder="vae",
    size=335 * MB,
)
SANA_VAE = KnownFile(
    repo="mit-han-lab/dc-ae-f32c32-sana-1.0",
    path="model.safetensors",
    folder="vae",
    size=1250 * MB,
)
MISTRAL_3 = comfy_file("flux2-dev", "text_encoders/mistral_3_small_flux2_fp8.safetensors", 18.03)
GEMMA_2 = comfy_file(
    "Lumina_Image_2.0_Repackaged", "text_encoders/gemma_2_2b_fp16.safetensors", 5.23
)
LLAMA_3, HIDREAM_CLIP_L, HIDREAM_CLIP_G = (
    comfy_file("HiDream-I1_ComfyUI", f"text_encoders/{name}.safetensors", size)
    for name, size in (
        ("llama_3.1_8b_instruct_fp8_scaled", 9.08),
        ("clip_l_hidream", 0.248),
        ("clip_g_hidream", 1.39),
    )
)
CLIP_L, CLIP_G, T5 = (
    KnownFile(
        repo="Comfy-Org/stable-diffusion-3.5-fp8",
        path=f"text_encoders/{name}.safetensors",
        folder="text_encoders",
        size=round(size * GB),
    )
    for name, size in (("clip_l", 0.246), ("clip_g", 1.39), ("t5xxl_fp16", 9.79))
)

KNOWN_PARTS = (
    *(
        KnownModel(
            name=name, title=f"text encoder {title}", licence=licence, files=(file,), part=part
        )
        for name, title, licence, file, part in (
            ("qwen-3-4b", "Qwen3 4B", APACHE, QWEN_3_4B, ("qwen3", 2560)),
            ("qwen-2.5-vl-7b", "Qwen2.5-VL 7B", APACHE, QWEN_25_VL, ("qwen2.5-vl", 3584)),
            ("qwen3-vl-4b", "Qwen3-VL 4B", APACHE, QWEN_3_VL, ("qwen3-vl", 2560)),
            ("t5-xxl", "T5 v1.1 XXL", APACHE, T5, ("t5", 4096)),
            ("clip-l", "CLIP ViT-L", MIT, CLIP_L, ("clip", 768)),
            ("clip-g", "OpenCLIP ViT-bigG", MIT, CLIP_G, ("clip", 1280)),
            ("mistral-small-3", "Mistral Small 3, fp8", APACHE, MISTRAL_3, ("mistral3", 5120)),
            ("llama-3.1-8b", "Llama 3.1 8B, fp8", "Llama 3.1", LLAMA_3, ("llama3", 4096)),
            ("gemma-2-2b", "Gemma 2 2B", "Gemma", GEMMA_2, ("gemma2", 2304)),
        )
    ),
    *(
        KnownModel(
            name=name,
            title=f"text encoder {title}",
            licence=MIT,
            files=(file,),
            part=("clip", width),
            length=length,
        )
        for name, title, file, width, length in (
            ("hidream-clip-l", "CLIP ViT-L of HiDream-I1", HIDREAM_CLIP_L, 768, 248),
            ("hidream-clip-g", "CLIP ViT-bigG of HiDream-I1", HIDREAM_CLIP_G, 1280, 218),
        )
    ),
    *(
        KnownModel(
            name=f"{name}-vae",
            title=f"VAE of {title}",
            licence=licence,
            files=(file,),
            part=part,
            space=space,
        )
        for name, title, licence, file, part, space in (
            (
                "flux",
                "FLUX.1, Z-Image, Lumina 2, Chroma, HiDream-I1",
                APACHE,
                AE,
                ("kl", 16),
                "flux",
            ),
            ("flux2", "FLUX.2", APACHE, FLUX2_VAE, ("flux2", 32), "flux2"),
            ("sdxl", "Stable Diffusion XL, AuraFlow, PixArt-Σ", MIT, XL_VAE, ("kl", 4), "sdxl"),
            ("sd", "Stable Diffusion 1 and 2, PixArt-α", MIT, SD_VAE, ("kl", 4), "sd1"),
            ("qwen-image", "Qwen-Image, Krea 2", APACHE, QWEN_VAE, ("qwen", 16), "qwen"),
            ("sana", "Sana", APACHE, SANA_VAE, ("dc", 32), "sana"),
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


def find_part_download(
    kind: str, width: int, *, length: int = 0, space: str = ""
) -> KnownModel | None:
    """The part of that kind and width; None if none is known. For a CLIP, `length` is how many
    tokens it must take, where these are more than usual; for a VAE, `space` its latent space."""
    for row in KNOWN_PARTS:
        fits = row.length >= length if length else not row.length
        if row.part == (kind, width) and fits and row.space in ("", space):
            return row
    return None
