"""Tables of files that are not loadable models (LoRAs, ControlNets …), detected by tensor names,
with what each is called and what to do with it.

The tensor names are those of the programs that write the files: ComfyUI's and Stability's layouts,
kohya's and XLabs' trainers, lllyasviel's and Tencent's ControlNets and adapters.
"""

from __future__ import annotations

from dataclasses import dataclass

from dream.catalogue.detect.control_family import (
    CONTROL_LORA,
    CONTROLNET,
    IP_ADAPTER,
    T2I_ADAPTER,
    UNION,
)
from dream.catalogue.detect.tensor_names import TensorNames
from dream.options.family import Marks

_CONTROL = "use it with --control KIND=FILE; put it into controlnet/ in a models folder"
_IMAGE_PROMPT = "use it with --image_prompt FILE; put it into ipadapter/ in a models folder"
_PART = "it is one part of a model; use the whole model"


@dataclass(frozen=True)
class FileKind:
    """A kind of file: its name with an article, what to do with it, and the marks by which it is
    detected. A mark is a tuple of substrings of tensor names that must all be present; ^ matches
    the start of a name, $ the end. One mark is enough."""

    kind: str
    called: str
    place: str
    marks: Marks


FILE_KINDS = (
    FileKind(CONTROL_LORA, "a control-LoRA", _CONTROL, (("^lora_controlnet$",),)),
    FileKind(
        "controlnet-lllite",
        "a ControlNet-LLLite",
        "it is not supported; use a ControlNet or a control-LoRA for Stable Diffusion XL",
        (("^lllite_",),),
    ),
    FileKind(
        "controlnet-fun",
        "a ControlNet of VideoX-Fun",
        "it is not supported; for Qwen-Image use InstantX's union or DiffSynth's ControlNets",
        (
            ("^control_img_in.", "^control_blocks.0."),
            ("^control_img_in.", "^control_transformer_blocks.0."),
        ),
    ),
    FileKind(IP_ADAPTER, "an IP-Adapter", _IMAGE_PROMPT, (("^ip_adapter_proj_model.",),)),
    FileKind(IP_ADAPTER, "an IP-Adapter", _IMAGE_PROMPT, (("^ip_adapter.",), ("^image_proj.",))),
    FileKind(
        "lora",
        "a LoRA for FLUX.1",
        "use it with --lora NAME; put it into loras/ in a models folder",
        (("double_blocks.0.processor.", "_lora"),),
    ),
    FileKind(
        UNION,
        "a union ControlNet",
        _CONTROL,
        (("^task_embedding$", "^control_add_embedding."), ("^controlnet_mode_embedder.",)),
    ),
    FileKind(
        CONTROLNET,
        "a ControlNet",
        _CONTROL,
        (
            *(("^input_hint_block.",), ("^zero_convs.",), ("^control_model.",)),
            *(("^controlnet_cond_embedding.",), ("^controlnet_blocks.",)),
            *(("^controlnet_x_embedder.",), ("^control_layers.0.",)),
        ),
    ),
    FileKind(
        T2I_ADAPTER,
        "a T2I-Adapter",
        _CONTROL,
        (
            *(("^adapter.body.",), ("^body.0.block1.",)),
            ("^body.0.in_conv.", "^body.0.body.0.block1."),
        ),
    ),
    FileKind(
        "hypernetwork",
        "a hypernetwork",
        "use it with --hypernet NAME; put it into hypernetworks/ in a models folder",
        tuple((f"^{width}.0.linear",) for width in (320, 640, 768, 1024, 1280)),
    ),
    FileKind("text encoder", "a complete CLIP", _PART, (("^text_model.", "^vision_model."),)),
    FileKind(
        "vision encoder",
        "a CLIP vision encoder",
        _PART,
        (("^vision_model.",), ("^visual.class_embedding$",)),
    ),
    FileKind(
        "vision encoder",
        "the vision tower of a language model (mmproj)",
        "put it into text_encoders/ beside the GGUF text encoder of Qwen-Image-Edit",
        (("^v.blk.0.",), ("^v.patch_embd.",)),
    ),
    FileKind(
        "tiny vae",
        "a TAEHV, a small decoder for films (taew, taehv)",
        "for live previews, put it into vae_approx/ in a models folder",
        (("^decoder.3.conv.0.", "^encoder."),),
    ),
    FileKind(
        "tiny vae",
        "a TAESD",
        "for live previews, put it into vae_approx/ in a models folder",
        (("^3.conv.0.",), ("^decoder.layers.3.conv.0.",)),
    ),
)
"""The first matching row is used."""


def find_file_kind(names: TensorNames) -> FileKind | None:
    """The first matching row of FILE_KINDS, or None."""
    return next((row for row in FILE_KINDS if names.matches(row.marks)), None)
