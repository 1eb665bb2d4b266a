"""Images as other programs write them, in each one's literal layout.

    python -m tests.foreign_samples      writes them into tests/data/foreign

The texts are those of their sources and of published images; the pixels are one colour.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from dream.gallery.metadata import read_metadata
from tests.foreign_workflows import WORKFLOW

FOLDER = Path(__file__).parent / "data" / "foreign"
SIZE = (64, 96)

A1111 = """a red circle, (blue:1.2) [paper]
on a table, <lora:ink:0.8>
Negative prompt: ugly, blurry
Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 965400086, Size: 64x96, \
Model hash: 72bd94132e, Model: CuteMix, VAE hash: 235745af8d, VAE: sdxl-vae.safetensors, \
Clip skip: 2, ControlNet 0: "preprocessor: openpose, model: control_v11p_sd15_openpose [cab727d4], \
weight: 1", Lora hashes: "ink: 339cc9210f70", Version: v1.10.1"""
A1111_IMG2IMG = """a red circle
Steps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7, Seed: 5, Size: 64x96, \
Model hash: 72bd94132e, Model: CuteMix, Denoising strength: 0.6, Mask blur: 4, RNG: CPU, \
Version: v1.10.1"""
A1111_OLD = """a red circle
Negative prompt: ugly
Steps: 20, Sampler: DPM++ 2M SDE Karras, CFG scale: 7, Seed: 2647703743, Size: 64x96, \
Model hash: 45dee52b"""
FORGE = """a red circle
Negative prompt: ugly
Steps: 64, Sampler: Euler, Schedule type: Automatic, CFG scale: 4, Seed: 1703748712, Size: 64x96, \
Model hash: 82e7f6bcb3, Model: x1a-AstolfoRF-3ep, Denoising strength: 0.7, Hires CFG Scale: 4, \
Hires upscale: 1.5, Hires upscaler: Latent, \
Version: f1.0.0v2-v1.10.1RC-latest-2502-g630cf49b"""
SDNEXT = """a red circle
Negative prompt: ugly
Steps: 20, Size: 64x96, Sampler: UniPC, Seed: 7, CFG scale: 6, CFG rescale: 0.5, App: SD.Next, \
Version: 6846f4e, Pipeline: StableDiffusionXLPipeline, Operations: txt2img, Model: juggernaut, \
Model hash: 33e58e8668"""
CIVITAI = """a red circle
Negative prompt: ugly
Steps: 20, Sampler: Euler, CFG scale: 7, Seed: 9, Size: 64x96, Clip skip: 2, Created Date: \
2025-01-01T00:00:00Z, Civitai resources: [{"type":"checkpoint","modelVersionId":128713}], \
Civitai metadata: {}, Hashes: {"model": "4e9f73d8c5", "lora:ink": "aaaa"}"""
SDCPP = """A sunflower field
Negative prompt: Blue sky, Seed: 1, Steps: 2,
Steps: 30, CFG scale: 5.000000, Guidance: 3.500000, Eta: 0.000000, Seed: 1375127038, Size: 64x96, \
Model: v1-5-pruned-emaonly.safetensors, RNG: cuda, Sampler: dpm++2m karras, \
Version: stable-diffusion.cpp, SDCPP: {"schema":"sdcpp.image.params/v1","seed":1375127038,\
"prompt":{"positive":"A sunflower field, Seed: 2","negative":"Blue sky"}}"""

COMFY: dict[str, object] = {
    "3": {
        "inputs": {
            "seed": 1102676403634909,
            "steps": 20,
            "cfg": 8.0,
            "sampler_name": "dpmpp_2m",
            "scheduler": "karras",
            "denoise": 1.0,
            "model": ["10", 0],
            "positive": ["6", 0],
            "negative": ["7", 0],
            "latent_image": ["14", 0],
        },
        "class_type": "KSampler",
    },
    "4": {"inputs": {"ckpt_name": "sd15/model.ckpt"}, "class_type": "CheckpointLoaderSimple"},
    "6": {
        "inputs": {"text": ["20", 0], "clip": ["10", 1]},
        "class_type": "CLIPTextEncode",
        "_meta": {"title": "Prompt"},
    },
    "7": {"inputs": {"text": "ugly", "clip": ["10", 1]}, "class_type": "CLIPTextEncode"},
    "8": {"inputs": {"samples": ["3", 0], "vae": ["15", 0]}, "class_type": "VAEDecode"},
    "9": {
        "inputs": {"filename_prefix": "ComfyUI", "images": ["8", 0]},
        "class_type": "SaveImage",
    },
    "10": {
        "inputs": {
            "lora_name": "ink.safetensors",
            "strength_model": 0.8,
            "strength_clip": 1.0,
            "model": ["4", 0],
            "clip": ["11", 0],
        },
        "class_type": "LoraLoader",
    },
    "11": {
        "inputs": {"stop_at_clip_layer": -2, "clip": ["4", 1]},
        "class_type": "CLIPSetLastLayer",
    },
    "14": {
        "inputs": {"width": 64, "height": 96, "batch_size": 1},
        "class_type": "EmptyLatentImage",
    },
    "15": {"inputs": {"vae_name": "vae-ft-mse.safetensors"}, "class_type": "VAELoader"},
    "20": {
        "inputs": {"value": "a red circle, (blue:1.2) [paper]"},
        "class_type": "PrimitiveStringMultiline",
    },
}
COMFY_CUSTOM: dict[str, object] = {
    "5": {
        "inputs": {"width": 64, "height": 96, "batch_size": 1},
        "class_type": "EmptySD3LatentImage",
    },
    "6": {"inputs": {"text": "a red circle", "clip": ["11", 0]}, "class_type": "CLIPTextEncode"},
    "8": {"inputs": {"samples": ["13", 0], "vae": ["10", 0]}, "class_type": "VAEDecode"},
    "9": {"inputs": {"filename_prefix": "flux", "images": ["8", 0]}, "class_type": "SaveImage"},
    "10": {"inputs": {"vae_name": "ae.safetensors"}, "class_type": "VAELoader"},
    "11": {
        "inputs": {"clip_name1": "t5xxl.safetensors", "clip_name2": "clip_l.safetensors"},
        "class_type": "DualCLIPLoader",
    },
    "12": {"inputs": {"unet_name": "flux1-dev.safetensors"}, "class_type": "UNETLoader"},
    "13": {
        "inputs": {
            "noise": ["25", 0],
            "guider": ["22", 0],
            "sampler": ["16", 0],
            "sigmas": ["17", 0],
            "latent_image": ["5", 0],
        },
        "class_type": "SamplerCustomAdvanced",
    },
    "16": {"inputs": {"sampler_name": "euler"}, "class_type": "KSamplerSelect"},
    "17": {
        "inputs": {"scheduler": "simple", "steps": 20, "denoise": 1.0, "model": ["12", 0]},
        "class_type": "BasicScheduler",
    },
    "22": {"inputs": {"model": ["12", 0], "conditioning": ["26", 0]}, "class_type": "BasicGuider"},
    "25": {"inputs": {"noise_seed": 219670278747233}, "class_type": "RandomNoise"},
    "26": {"inputs": {"guidance": 3.5, "conditioning": ["6", 0]}, "class_type": "FluxGuidance"},
}
COMFY_WORKFLOW: dict[str, object] = {
    "last_node_id": 9,
    "last_link_id": 9,
    "nodes": [
        {
            "id": 7,
            "type": "CLIPTextEncode",
            "mode": 0,
            "inputs": [{"name": "clip", "type": "CLIP", "link": 5}],
            "widgets_values": ["ugly"],
        },
        {
            "id": 6,
            "type": "CLIPTextEncode",
            "mode": 0,
            "inputs": [{"name": "clip", "type": "CLIP", "link": 3}],
            "widgets_values": ["a red circle"],
        },
        {
            "id": 5,
            "type": "EmptyLatentImage",
            "mode": 0,
            "inputs": [],
            "widgets_values": [64, 96, 1],
        },
        {
            "id": 3,
            "type": "KSampler",
            "mode": 0,
            "inputs": [
                {"name": "model", "type": "MODEL", "link": 1},
                {"name": "positive", "type": "CONDITIONING", "link": 4},
                {"name": "negative", "type": "CONDITIONING", "link": 6},
                {"name": "latent_image", "type": "LATENT", "link": 2},
            ],
            "widgets_values": [156680208700286, "randomize", 20, 8, "euler", "normal", 1],
        },
        {
            "id": 8,
            "type": "VAEDecode",
            "mode": 0,
            "inputs": [
                {"name": "samples", "type": "LATENT", "link": 7},
                {"name": "vae", "type": "VAE", "link": 8},
            ],
        },
        {
            "id": 9,
            "type": "SaveImage",
            "mode": 0,
            "inputs": [{"name": "images", "type": "IMAGE", "link": 9}],
            "widgets_values": ["ComfyUI"],
        },
        {
            "id": 4,
            "type": "CheckpointLoaderSimple",
            "mode": 0,
            "inputs": [],
            "widgets_values": ["v1-5-pruned-emaonly.safetensors"],
        },
    ],
    "links": [
        [1, 4, 0, 3, 0, "MODEL"],
        [2, 5, 0, 3, 3, "LATENT"],
        [3, 4, 1, 6, 0, "CLIP"],
        [4, 6, 0, 3, 1, "CONDITIONING"],
        [5, 4, 1, 7, 0, "CLIP"],
        [6, 7, 0, 3, 2, "CONDITIONING"],
        [7, 3, 0, 8, 0, "LATENT"],
        [8, 4, 2, 8, 1, "VAE"],
        [9, 8, 0, 9, 0, "IMAGE"],
    ],
    "version": 0.4,
}
COMFY_TWO_PASSES: dict[str, object] = {
    **COMFY,
    "8": {"inputs": {"samples": ["30", 0], "vae": ["15", 0]}, "class_type": "VAEDecode"},
    "29": {
        "inputs": {"upscale_method": "nearest-exact", "scale_by": 1.5, "samples": ["3", 0]},
        "class_type": "LatentUpscaleBy",
    },
    "30": {
        "inputs": {
            "seed": 8,
            "steps": 12,
            "cfg": 8.0,
            "sampler_name": "euler",
            "scheduler": "normal",
            "denoise": 0.5,
            "model": ["4", 0],
            "positive": ["31", 0],
            "negative": ["31", 1],
            "latent_image": ["29", 0],
        },
        "class_type": "KSampler",
    },
    "31": {
        "inputs": {
            "positive": ["6", 0],
            "negative": ["7", 0],
            "strength": 1.0,
            "control_net": ["32", 0],
            "image": ["33", 0],
        },
        "class_type": "ControlNetApplyAdvanced",
    },
    "32": {"inputs": {"control_net_name": "tile.pth"}, "class_type": "ControlNetLoader"},
    "33": {"inputs": {"image": "pose.png"}, "class_type": "LoadImage"},
}

INVOKEAI = {
    "generation_mode": "sdxl_txt2img",
    "positive_prompt": "a (red)1.2 circle",
    "negative_prompt": "ugly",
    "width": 64,
    "height": 96,
    "seed": 1554095076,
    "rand_device": "cpu",
    "cfg_scale": 7.5,
    "cfg_rescale_multiplier": 0.0,
    "steps": 50,
    "scheduler": "euler_a",
    "seamless_x": False,
    "seamless_y": False,
    "clip_skip": 1,
    "model": {
        "key": "9f583d2f-0000-0000-0000-000000000000",
        "hash": "blake3:6a225d44",
        "name": "duchaitenRealnsfwXL_v10",
        "base": "sdxl",
        "type": "main",
    },
    "loras": [
        {"model": {"key": "k", "name": "ink", "base": "sdxl", "type": "lora"}, "weight": 0.8}
    ],
    "vae": {"key": "v", "name": "sdxl-vae-fp16-fix", "base": "sdxl", "type": "vae"},
    "controlnets": [{"image": {"image_name": "x.png"}, "control_weight": 1}],
    "positive_style_prompt": "a (red)1.2 circle",
    "negative_style_prompt": "ugly",
    "regions": [],
    "app_version": "5.4.3",
}
INVOKEAI_GRAPH = {
    "id": "text_to_image_graph",
    "nodes": {
        "noise": {"id": "noise", "type": "noise", "seed": 4, "width": 64, "height": 96},
        "pos": {"id": "pos", "type": "compel", "prompt": "a red circle"},
        "neg": {"id": "neg", "type": "compel", "prompt": "ugly"},
        "loader": {
            "id": "loader",
            "type": "main_model_loader",
            "model": {"model_name": "stable-diffusion-v1-5", "base_model": "sd-1"},
        },
        "denoise": {
            "id": "denoise",
            "type": "denoise_latents",
            "steps": 30,
            "cfg_scale": 7.5,
            "scheduler": "dpmpp_2m_k",
        },
    },
    "edges": [
        {
            "source": {"node_id": start, "field": field},
            "destination": {"node_id": "denoise", "field": end},
        }
        for start, field, end in (
            ("noise", "noise", "noise"),
            ("pos", "conditioning", "positive_conditioning"),
            ("neg", "conditioning", "negative_conditioning"),
        )
    ],
}
SD_METADATA = {
    "model": "stable diffusion",
    "model_id": "stable-diffusion-1.5",
    "model_weights": "stable-diffusion-1.5",
    "model_hash": "cc6cb27103417325ff94f52b7a5d2dde45a7515b25c255d8e396c90014281516",
    "app_id": "invoke-ai/InvokeAI",
    "app_version": "2.3.5",
    "image": {
        "prompt": [{"prompt": "a red circle [ugly]", "weight": 1.0}],
        "steps": 60,
        "cfg_scale": 7.5,
        "seed": 8929913,
        "height": 96,
        "width": 64,
        "sampler": "k_lms",
        "variations": [],
        "type": "txt2img",
        "seamless": False,
        "threshold": 0,
        "perlin": 0,
    },
}
DREAM = '"a red circle [ugly]" -s 60 -S 8929913 -W 64 -H 96 -C 7.5 -A k_lms'
FOOOCUS = {
    "adm_guidance": "(1.5, 0.8, 0.3)",
    "base_model": "juggernautXL_v8Rundiffusion",
    "base_model_hash": "aeb7e9e689",
    "clip_skip": 2,
    "full_negative_prompt": ["ugly", "deformed"],
    "full_prompt": ["cinematic still a red circle", "shallow depth"],
    "guidance_scale": 4.0,
    "lora_combined_1": "sd_xl_offset_example-lora_1.0 : 0.1",
    "loras": [["sd_xl_offset_example-lora_1.0", 0.1, "4852686128"]],
    "metadata_scheme": "fooocus",
    "negative_prompt": "ugly",
    "performance": "Speed",
    "prompt": "a red circle",
    "prompt_expansion": "",
    "refiner_model": "None",
    "refiner_switch": 0.5,
    "resolution": "(64, 96)",
    "sampler": "dpmpp_2m_sde_gpu",
    "scheduler": "karras",
    "seed": "3749386421853714",
    "sharpness": 2.0,
    "steps": 30,
    "styles": "['Fooocus Cinematic']",
    "vae": "Default (model)",
    "version": "Fooocus v2.5.5",
}
NOVELAI = {
    "prompt": "{{a red circle}}, [paper]",
    "steps": 28,
    "height": 96,
    "width": 64,
    "scale": 5.0,
    "uncond_scale": 1.0,
    "cfg_rescale": 0.0,
    "seed": 4028746890,
    "n_samples": 1,
    "noise_schedule": "karras",
    "sm": False,
    "sampler": "k_euler_ancestral",
    "uc": "ugly",
    "request_type": "PromptGenerateRequest",
}
NOVELAI_TEXTS = {
    "Title": "AI generated image",
    "Description": "{{a red circle}}, [paper]",
    "Software": "NovelAI",
    "Source": "Stable Diffusion XL C1E1DE52",
    "Generation time": "4.1",
    "Comment": json.dumps(NOVELAI),
}
EASY_DIFFUSION = {
    "prompt": "a red circle",
    "negative_prompt": "ugly",
    "seed": "42",
    "use_stable_diffusion_model": "sd-v1-5",
    "clip_skip": "True",
    "use_vae_model": "vae-ft-mse",
    "sampler_name": "euler_a",
    "width": "64",
    "height": "96",
    "num_inference_steps": "25",
    "guidance_scale": "7.5",
    "use_lora_model": "ink",
    "lora_alpha": "0.8",
    "use_face_correction": "GFPGANv1.4",
    "use_hypernetwork_model": "None",
}
EASY_DIFFUSION_TXT = """Prompt: a red circle
Width: 64
Height: 96
Seed: 42
Steps: 25
Guidance Scale: 7.5
Prompt Strength: 0.8
Use Face Correction: None
Use Upscaling: None
Sampler: euler_a
Negative Prompt: ugly
Stable Diffusion model: sd-v1-5
Clip Skip: False
VAE model: None
Hypernetwork model: None
LoRA model: None
"""
SWARMUI = {
    "sui_image_params": {
        "prompt": "a red circle",
        "negativeprompt": "ugly",
        "model": "OfficialStableDiffusion/sd_xl_base_1.0",
        "images": 1,
        "seed": 1234567890,
        "steps": 20,
        "cfgscale": 7.0,
        "aspectratio": "2:3",
        "width": 64,
        "height": 96,
        "sampler": "dpmpp_2m",
        "scheduler": "karras",
        "loras": ["ink"],
        "loraweights": ["0.8"],
        "automaticvae": True,
        "swarm_version": "0.9.6.2",
    },
    "sui_extra_data": {"date": "2025-06-01", "generation_time": "0.02 sec"},
    "sui_models": [
        {
            "name": "OfficialStableDiffusion/sd_xl_base_1.0.safetensors",
            "param": "model",
            "hash": "0x31e35c80fc4829d14f90153f4c74cd59c90b779f6afe05a74cd6120b893f7e5b",
        }
    ],
}
DRAW_THINGS = {
    "c": "a red circle",
    "uc": "ugly",
    "lora": [{"model": "ink_lora_f16.ckpt", "weight": 0.8}],
    "model": "jugg_xl_q6p_q8p.ckpt",
    "sampler": "DPM++ 2M Karras",
    "scale": 7,
    "seed": 3141592,
    "seed_mode": "Scale Alike",
    "size": "64x96",
    "steps": 20,
    "strength": 1,
    "v2": {"aestheticScore": 6},
}
XMP_DRAW_THINGS = """<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 6.0.0">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/"
   xmlns:xmp="http://ns.adobe.com/xap/1.0/">
   <exif:UserComment>
    <rdf:Alt>
     <rdf:li xml:lang="x-default">{json}</rdf:li>
    </rdf:Alt>
   </exif:UserComment>
   <xmp:CreatorTool>Draw Things</xmp:CreatorTool>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>"""
MFLUX = {
    "mflux_version": "0.18.0",
    "model": "Tongyi-MAI/Z-Image-Turbo",
    "base_model": "None",
    "seed": 42,
    "steps": 9,
    "guidance": None,
    "height": 96,
    "width": 64,
    "precision": "mlx.core.bfloat16",
    "quantize": 8,
    "generation_time_seconds": 3.41,
    "created_at": "2026-06-30T12:00:00",
    "lora_paths": ["/models/ink.safetensors"],
    "lora_scales": [0.8],
    "image_path": None,
    "controlnet_image_path": None,
    "prompt": "a red circle",
    "negative_prompt": None,
}
MOLD = {
    "prompt": "a red circle",
    "negative_prompt": "ugly",
    "model": "sd15:fp16",
    "seed": 42,
    "steps": 25,
    "guidance": 7.5,
    "width": 64,
    "height": 96,
    "scheduler": "euler-ancestral",
    "version": "0.9.0",
}
IMAGINAIRY = {
    "prompt": {
        "prompts": [{"weight": 1, "text": "a red circle"}],
        "negative_prompt": [{"weight": 1, "text": "ugly"}],
        "seed": 826166,
        "steps": 20,
        "size": [64, 96],
        "prompt_strength": 7.5,
        "solver_type": "ddim",
        "model_weights": "sd15",
        "init_image": None,
    }
}

UNICODE, ASCII = b"UNICODE\0", b"ASCII\0\0\0"


def blank(mode: str = "RGB") -> Image.Image:
    """The pixels of every sample."""
    return Image.new(mode, SIZE, (200, 60, 60, 255)[: len(mode)])


def save_png(path: Path, texts: Mapping[str, str], **more: object) -> None:
    """A PNG with text chunks."""
    info = PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    blank().save(path, pnginfo=info, **more)


def make_exif(*, comment: bytes = b"", **tags: str) -> bytes:
    """An EXIF block, with the user comment in the Exif directory."""
    exif = Image.Exif()
    numbers = {"make": 0x010F, "model": 0x0110, "software": 0x0131, "description": 0x010E}
    for name, text in tags.items():
        exif[numbers[name]] = text
    if comment:
        exif.get_ifd(0x8769)[0x9286] = comment
    return exif.tobytes()


def comment_of(text: str) -> bytes:
    """A user comment as A1111 writes it, by piexif."""
    return UNICODE + text.encode("utf-16-be")


def hide_text(text: str, mark: bytes = b"stealth_pngcomp") -> Image.Image:
    """Pixels with a text in the lowest bits of their alpha, column by column."""
    data = gzip.compress(text.encode(), mtime=0)
    bits = "".join(f"{byte:08b}" for byte in mark + (8 * len(data)).to_bytes(4, "big") + data)
    image = Image.new("RGBA", (64, 128), (200, 60, 60, 254))
    for index, bit in enumerate(bits):
        at = divmod(index, image.height)
        image.putpixel(at, (200, 60, 60, 254 | int(bit)))
    return image


def write_samples(folder: Path) -> None:
    """All samples; JPEG, WebP and AVIF through Pillow."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("a1111", A1111),
        ("a1111-img2img", A1111_IMG2IMG),
        ("a1111-old", A1111_OLD),
        ("forge", FORGE),
        ("sdnext", SDNEXT),
        ("sdcpp", SDCPP),
    ):
        save_png(folder / f"{name}.png", {"parameters": text})
    for kind in ("jpg", "webp", "avif"):
        blank().save(folder / f"a1111.{kind}", exif=make_exif(comment=comment_of(A1111)))
    blank().save(folder / "civitai.jpeg", exif=make_exif(comment=comment_of(CIVITAI)))
    blank().save(folder / "sdcpp.jpg", comment=b"parameters\0" + SDCPP.encode())
    xmp = f"<x:xmpmeta><sdcpp:parameters>{SDCPP.replace('<', '&lt;')}</sdcpp:parameters>"
    blank().save(folder / "sdcpp.webp", xmp=xmp.encode())
    (folder / "params.txt").write_text(A1111, encoding="utf-8")
    hide_text(A1111).save(folder / "a1111-stealth.png")
    for name, graph in (
        ("comfyui", COMFY),
        ("comfyui-custom", COMFY_CUSTOM),
        ("comfyui-two-passes", COMFY_TWO_PASSES),
    ):
        save_png(folder / f"{name}.png", {"prompt": json.dumps(graph)})
    save_png(folder / "comfyui-workflow.png", {"workflow": json.dumps(COMFY_WORKFLOW)})
    save_png(folder / "comfyui-subgraphs.png", {"workflow": json.dumps(WORKFLOW)})
    blank().save(
        folder / "comfyui.webp",
        exif=make_exif(
            model=f"prompt:{json.dumps(COMFY)}", make=f"workflow:{json.dumps(COMFY_WORKFLOW)}"
        ),
    )
    save_png(folder / "invokeai.png", {"invokeai_metadata": json.dumps(INVOKEAI)})
    save_png(folder / "invokeai-graph.png", {"invokeai_graph": json.dumps(INVOKEAI_GRAPH)})
    save_png(folder / "invokeai-2.png", {"sd-metadata": json.dumps(SD_METADATA), "Dream": DREAM})
    save_png(folder / "sd-metadata.png", {"sd-metadata": json.dumps(SD_METADATA)})
    save_png(
        folder / "fooocus.png", {"parameters": json.dumps(FOOOCUS), "fooocus_scheme": "fooocus"}
    )
    exif = Image.Exif()
    exif[0x9286], exif[0x0131], exif[0x927C] = json.dumps(FOOOCUS), "Fooocus v2.5.5", "fooocus"
    blank().save(folder / "fooocus.jpg", exif=exif.tobytes())
    save_png(folder / "novelai.png", NOVELAI_TEXTS)
    hide_text(json.dumps(NOVELAI_TEXTS)).save(folder / "novelai-stealth.png")
    save_png(folder / "easydiffusion.png", EASY_DIFFUSION)
    (folder / "easydiffusion.txt").write_text(EASY_DIFFUSION_TXT, encoding="utf-8")
    (folder / "easydiffusion.json").write_text(json.dumps(EASY_DIFFUSION), encoding="utf-8")
    blank().save(
        folder / "easydiffusion.jpg",
        exif=make_exif(comment=comment_of(json.dumps(EASY_DIFFUSION))),
    )
    save_png(folder / "swarmui.png", {"parameters": json.dumps(SWARMUI)})
    blank().save(folder / "swarmui.jpg", exif=make_exif(comment=comment_of(json.dumps(SWARMUI))))
    xmp = XMP_DRAW_THINGS.replace("{json}", json.dumps(DRAW_THINGS).replace('"', "&quot;"))
    save_png(folder / "drawthings.png", {"XML:com.adobe.xmp": xmp})
    mflux = ASCII + json.dumps(MFLUX).encode()
    blank().save(folder / "mflux.png", exif=make_exif(comment=mflux))
    (folder / "mflux.metadata.json").write_text(json.dumps(MFLUX), encoding="utf-8")
    texts = {f"mold:{key}": str(value) for key, value in MOLD.items()}
    save_png(folder / "mold.png", {**texts, "mold:parameters": json.dumps(MOLD)})
    blank().save(folder / "mold.jpg", comment=f"mold:parameters {json.dumps(MOLD)}".encode())
    blank().save(
        folder / "imaginairy.jpg",
        exif=make_exif(
            comment=json.dumps(IMAGINAIRY).encode(), software="Imaginairy / Stable Diffusion"
        ),
    )


# ── the table in docs/migrating.md ─────────────────────────────────────────────────────────────

FIELDS = {
    "prompt": "prompt",
    "negative": "negative",
    "seed": "seed",
    "steps": "steps",
    "cfg_scale": "CFG",
    "sampler": "sampler",
    "schedule": "schedule",
    "width": "size",
    "model": "model",
    "model_hash": "hash",
    "vae": "VAE",
    "clip_skip": "clip skip",
    "loras": "LoRA",
    "strength": "strength",
    "hires_strength": "hires",
}
"""Fields of a ForeignRecord, and their columns."""
PAGE = Path(__file__).parents[1] / "docs" / "migrating.md"
BEGIN, END = "<!-- read from -->\n", "<!-- /read from -->"


def format_table(folder: Path = FOLDER) -> str:
    """Which fields were read from the samples of each program, and from which kinds of files."""
    found: dict[str, set[str]] = {}
    kinds: dict[str, set[str]] = {}
    for path in sorted(folder.iterdir()):
        record = read_metadata(path).foreign
        if record is None:
            continue
        fields = {name for name in FIELDS if getattr(record, name) not in (None, "", ())}
        if "<lora:" in record.prompt:
            fields.add("loras")
        found.setdefault(record.tool, set()).update(fields)
        hidden = " (pixels)" if "stealth" in path.name else ""
        kind = path.suffix[1:].replace("jpeg", "jpg") + hidden
        kinds.setdefault(record.tool, set()).add(kind)
    rows = [
        ["program", "files", *FIELDS.values()],
        ["---"] * (2 + len(FIELDS)),
        *(
            [tool, " ".join(sorted(kinds[tool])), *("✓" if f in fields else "" for f in FIELDS)]
            for tool, fields in sorted(found.items(), key=lambda item: item[0].casefold())
        ),
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def main() -> None:
    """Write the samples, and the table."""
    write_samples(FOLDER)
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}{format_table()}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
