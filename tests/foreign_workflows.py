"""A workflow of ComfyUI's editor with all that only the editor knows: subgraphs in each other with
promoted widgets, bypassed and muted nodes, reroutes, primitives, Set and Get."""

from __future__ import annotations

from collections.abc import Sequence

_Json = dict[str, object]


def node(key: int, kind: str, *slots: _Json, values: object = (), mode: int = 0) -> _Json:
    """A node as the editor writes it."""
    widgets = list(values) if isinstance(values, tuple) else values
    return {
        "id": key,
        "type": kind,
        "pos": [0, 0],
        "mode": mode,
        "flags": {},
        "inputs": list(slots),
        "widgets_values": widgets,
    }


def slot(name: str, kind: str, link: int | None = None, *, widget: bool = False) -> _Json:
    """An input, which since 2025 has the widget whose place it takes."""
    return {
        "name": name,
        "type": kind,
        "link": link,
        **({"widget": {"name": name}} if widget else {}),
    }


def links(*rows: Sequence[object]) -> list[_Json]:
    """Links as subgraphs have them; the workflow itself has them as lists."""
    names = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    return [dict(zip(names, row, strict=True)) for row in rows]


_TEXTS = "5f0b1a52-7f2c-4c9b-8a51-3d2c1b0a9f88"
_SAMPLING = "c2a9d3de-0b5e-4d67-9f0f-b1f4a5e6d7c8"

TEXTS: _Json = {
    "id": _TEXTS,
    "version": 1,
    "name": "Texts",
    "inputNode": {"id": -10},
    "outputNode": {"id": -20},
    "inputs": [
        {"id": "a", "name": "clip", "type": "CLIP", "linkIds": [1, 2]},
        {"id": "b", "name": "text", "type": "STRING", "linkIds": [3]},
    ],
    "outputs": [
        {"id": "c", "name": "positive", "type": "CONDITIONING", "linkIds": [4]},
        {"id": "d", "name": "negative", "type": "CONDITIONING", "linkIds": [5]},
    ],
    "nodes": [
        node(
            1,
            "CLIPTextEncode",
            slot("clip", "CLIP", 1),
            slot("text", "STRING", 3, widget=True),
            values=("what the subgraph was saved with",),
        ),
        node(
            2,
            "CLIPTextEncode",
            slot("clip", "CLIP", 2),
            slot("text", "STRING", widget=True),
            values=("beautiful",),
        ),
    ],
    "links": links(
        (1, -10, 0, 1, 0, "CLIP"),
        (2, -10, 0, 2, 0, "CLIP"),
        (3, -10, 1, 1, 1, "STRING"),
        (4, 1, 0, -20, 0, "CONDITIONING"),
        (5, 2, 0, -20, 1, "CONDITIONING"),
    ),
}

SAMPLING: _Json = {
    "id": _SAMPLING,
    "version": 1,
    "name": "Sampling",
    "inputNode": {"id": -10},
    "outputNode": {"id": -20},
    "inputs": [
        {"id": "a", "name": "model", "type": "MODEL", "linkIds": [1]},
        {"id": "b", "name": "clip", "type": "CLIP", "linkIds": [2]},
        {"id": "c", "name": "seed", "type": "INT", "linkIds": [3]},
    ],
    "outputs": [{"id": "d", "name": "LATENT", "type": "LATENT", "linkIds": [7]}],
    "nodes": [
        {
            **node(
                5,
                _TEXTS,
                slot("clip", "CLIP", 2),
                slot("text", "STRING", widget=True),
                values=("a red circle", "ugly"),
            ),
            "properties": {"proxyWidgets": [["-1", "text"], ["2", "text"]]},
        },
        node(6, "EmptyLatentImage", values=(64, 96, 1)),
        node(
            7,
            "KSampler",
            slot("model", "MODEL", 1),
            slot("positive", "CONDITIONING", 4),
            slot("negative", "CONDITIONING", 5),
            slot("latent_image", "LATENT", 6),
            slot("seed", "INT", 3, widget=True),
            slot("steps", "INT", widget=True),
            slot("cfg", "FLOAT", widget=True),
            slot("sampler_name", "COMBO", widget=True),
            slot("scheduler", "COMBO", widget=True),
            slot("denoise", "FLOAT", widget=True),
            values=(1, "randomize", 20, 8, "euler", "normal", 1),
        ),
    ],
    "links": links(
        (1, -10, 0, 7, 0, "MODEL"),
        (2, -10, 1, 5, 0, "CLIP"),
        (3, -10, 2, 7, 4, "INT"),
        (4, 5, 0, 7, 1, "CONDITIONING"),
        (5, 5, 1, 7, 2, "CONDITIONING"),
        (6, 6, 0, 7, 3, "LATENT"),
        (7, 7, 0, -20, 0, "LATENT"),
    ),
}

LORA = (slot("lora_name", "COMBO", widget=True), slot("strength_model", "FLOAT", widget=True))
WORKFLOW: _Json = {
    "id": "0f4f2a4e-90a7-4a3f-8a1f-3b0a2f0f7a11",
    "revision": 0,
    "last_node_id": 20,
    "last_link_id": 20,
    "nodes": [
        node(1, "CheckpointLoaderSimple", values=("sd15/v1-5-pruned-emaonly.safetensors",)),
        node(
            2,
            "LoraLoaderModelOnly",
            slot("model", "MODEL", 1),
            *LORA,
            values=("ink.safetensors", 0.8),
        ),
        node(
            3,
            "LoraLoader",
            slot("model", "MODEL", 2),
            slot("clip", "CLIP", 3),
            values=("bypassed.safetensors", 1, 1),
            mode=4,
        ),
        node(4, "Reroute", slot("", "*", 4)),
        node(5, "SetNode", slot("CLIP", "CLIP", 5), values=("the clip",)),
        node(6, "GetNode", values=("the clip",)),
        node(7, "PrimitiveNode", values=(156680208700286, "randomize")),
        node(
            10,
            _SAMPLING,
            slot("model", "MODEL", 6),
            slot("clip", "CLIP", 7),
            slot("seed", "INT", 8, widget=True),
        ),
        node(11, "VAEDecode", slot("samples", "LATENT", 9), slot("vae", "VAE", 10)),
        node(12, "SaveImage", slot("images", "IMAGE", 11), values=("ComfyUI",)),
        node(13, "KSampler", slot("positive", "CONDITIONING", 12), mode=2),
        node(14, "Note", values=("steps: 99",)),
    ],
    "links": [
        [1, 1, 0, 2, 0, "MODEL"],
        [2, 2, 0, 3, 0, "MODEL"],
        [3, 1, 1, 3, 1, "CLIP"],
        [4, 3, 0, 4, 0, "MODEL"],
        [5, 3, 1, 5, 0, "CLIP"],
        [6, 4, 0, 10, 0, "MODEL"],
        [7, 6, 0, 10, 1, "CLIP"],
        [8, 7, 0, 10, 2, "INT"],
        [9, 10, 0, 11, 0, "LATENT"],
        [10, 1, 2, 11, 1, "VAE"],
        [11, 11, 0, 12, 0, "IMAGE"],
        [12, 10, 0, 13, 0, "CONDITIONING"],
    ],
    "definitions": {"subgraphs": [SAMPLING, TEXTS]},
    "version": 0.4,
}
