"""What is read of the images of other programs, from samples in their literal layouts."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dream.core.errors import GalleryError
from dream.gallery.containers import read_image_text
from dream.gallery.containers.exif import decode_user_comment
from dream.gallery.metadata import read_metadata
from dream.gallery.readers import ForeignLora, ForeignRecord, read_foreign_text
from dream.gallery.readers.a1111 import parse_parameters
from dream.gallery.readers.comfyui import read_graph_json
from dream.gallery.readers.novelai import convert_weights
from dream.gallery.readers.xmp import find_element
from tests import foreign_samples
from tests.foreign_samples import FOLDER, comment_of, make_exif, save_png
from tests.foreign_workflows import WORKFLOW, node

INK = (ForeignLora("ink", 0.8),)
CIRCLE: dict[str, Any] = {"prompt": "a red circle", "negative": "ugly", "width": 64, "height": 96}
A1111 = CIRCLE | {
    "tool": "AUTOMATIC1111",
    "prompt": "a red circle, (blue:1.2) [paper]\non a table, <lora:ink:0.8>",
    "negative": "ugly, blurry",
    "seed": 965400086,
    "steps": 20,
    "cfg_scale": 7,
    "sampler": "DPM++ 2M",
    "schedule": "Karras",
    "model": "CuteMix",
    "model_hash": "72bd94132e",
    "vae": "sdxl-vae",
    "clip_skip": 2,
    "strength": None,
    "gpu_noise": True,
    "unread": ("ControlNet 0",),
}
SDCPP = {
    "tool": "stable-diffusion.cpp",
    "prompt": "A sunflower field",
    "negative": "Blue sky, Seed: 1, Steps: 2,",
    "seed": 1375127038,
    "steps": 30,
    "model": "v1-5-pruned-emaonly",
    "unread": ("Guidance", "Eta"),
}
COMFY = CIRCLE | {
    "tool": "ComfyUI",
    "prompt": "a red circle, (blue:1.2) [paper]",
    "seed": 1102676403634909,
    "steps": 20,
    "cfg_scale": 8,
    "sampler": "dpmpp_2m",
    "schedule": "karras",
    "model": "model",
    "vae": "vae-ft-mse",
    "clip_skip": 2,
    "loras": INK,
    "unread": (),
}
INVOKEAI_2 = {
    "tool": "InvokeAI",
    "version": "2.3.5",
    "prompt": "a red circle [ugly]",
    "seed": 8929913,
    "sampler": "k_lms",
}
FOOOCUS = {
    "tool": "Fooocus",
    "version": "v2.5.5",
    "prompt": "cinematic still a red circle, shallow depth",
    "negative": "ugly, deformed",
    "seed": 3749386421853714,
    "model": "juggernautXL_v8Rundiffusion",
    "model_hash": "aeb7e9e689",
    "loras": (ForeignLora("sd_xl_offset_example-lora_1.0", 0.1),),
    "unread": (),
}
NOVELAI = {
    "tool": "NovelAI",
    "prompt": "(a red circle:1.103), (paper:0.9524)",
    "negative": "ugly",
    "seed": 4028746890,
    "cfg_scale": 5,
    "sampler": "k_euler_ancestral",
    "schedule": "karras",
    "model_hash": "c1e1de52",
    "unread": (),
}
EASY = CIRCLE | {
    "tool": "Easy Diffusion",
    "seed": 42,
    "steps": 25,
    "cfg_scale": 7.5,
    "sampler": "euler_a",
    "model": "sd-v1-5",
    "clip_skip": 2,
    "loras": INK,
    "unread": ("use_face_correction",),
}
SWARM = CIRCLE | {
    "tool": "SwarmUI",
    "version": "0.9.6.2",
    "seed": 1234567890,
    "model": "sd_xl_base_1.0",
    "loras": INK,
    "unread": (),
}
MFLUX = {"tool": "mflux", "seed": 42, "steps": 9, "cfg_scale": None, "loras": INK, "width": 64}
MOLD = CIRCLE | {"tool": "mold", "seed": 42, "sampler": "euler-ancestral", "model": "sd15:fp16"}

EXPECTED: dict[str, dict[str, Any]] = {
    "a1111.png": A1111,
    "a1111.jpg": A1111,
    "a1111.webp": A1111,
    "a1111.avif": A1111,
    "a1111-stealth.png": A1111,
    "params.txt": A1111,
    "a1111-img2img.png": {
        "strength": 0.6,
        "input_images": ("input image", "mask"),
        "gpu_noise": False,
        "unread": (),
    },
    "a1111-old.png": {"sampler": "DPM++ 2M SDE Karras", "schedule": "", "model_hash": "45dee52b"},
    "civitai.jpeg": {"clip_skip": 2, "seed": 9, "unread": ()},
    "forge.png": {
        "tool": "Forge",
        "hires_strength": 0.7,
        "strength": None,
        "width": 96,
        "height": 144,
        "unread": ("Hires CFG Scale", "Hires upscaler"),
    },
    "sdnext.png": {"tool": "SD.Next", "version": "6846f4e", "cfg_rescale": 0.5, "unread": ()},
    "sdcpp.png": SDCPP,
    "sdcpp.jpg": SDCPP,
    "sdcpp.webp": SDCPP,
    "comfyui.png": COMFY,
    "comfyui.webp": COMFY,
    "comfyui-custom.png": {
        "tool": "ComfyUI",
        "prompt": "a red circle",
        "negative": "",
        "seed": 219670278747233,
        "steps": 20,
        "sampler": "euler",
        "schedule": "simple",
        "model": "flux1-dev",
        "vae": "ae",
        "unread": ("FluxGuidance 3.5",),
    },
    "comfyui-two-passes.png": COMFY
    | {
        "width": 96,
        "height": 144,
        "hires_strength": 0.5,
        "unread": ("node ControlNetApplyAdvanced", "node ControlNetLoader"),
    },
    "comfyui-workflow.png": CIRCLE
    | {"tool": "ComfyUI", "seed": 156680208700286, "model": "v1-5-pruned-emaonly", "unread": ()},
    "comfyui-subgraphs.png": CIRCLE
    | {
        "tool": "ComfyUI",
        "seed": 156680208700286,
        "model": "v1-5-pruned-emaonly",
        "loras": INK,
        "unread": (),
    },
    "invokeai.png": CIRCLE
    | {
        "tool": "InvokeAI",
        "version": "5.4.3",
        "prompt": "a (red)1.2 circle",
        "syntax": "invokeai",
        "seed": 1554095076,
        "cfg_rescale": None,
        "clip_skip": 2,
        "model": "duchaitenRealnsfwXL_v10",
        "loras": INK,
        "vae": "sdxl-vae-fp16-fix",
        "unread": ("controlnets",),
    },
    "invokeai-graph.png": CIRCLE
    | {"tool": "InvokeAI", "seed": 4, "sampler": "dpmpp_2m_k", "model": "stable-diffusion-v1-5"},
    "sd-metadata.png": INVOKEAI_2,
    "fooocus.png": FOOOCUS,
    "fooocus.jpg": FOOOCUS,
    "novelai.png": NOVELAI,
    "novelai-stealth.png": NOVELAI,
    "easydiffusion.png": EASY,
    "easydiffusion.jpg": EASY,
    "easydiffusion.json": EASY,
    "easydiffusion.txt": EASY | {"loras": (), "clip_skip": None, "unread": ()},
    "swarmui.png": SWARM,
    "swarmui.jpg": SWARM,
    "drawthings.png": CIRCLE
    | {
        "tool": "Draw Things",
        "seed": 3141592,
        "sampler": "DPM++ 2M Karras",
        "loras": (ForeignLora("ink_lora_f16", 0.8),),
        "unread": (),
    },
    "mflux.png": MFLUX,
    "mflux.metadata.json": MFLUX,
    "mold.png": MOLD,
    "mold.jpg": MOLD,
    "imaginairy.jpg": CIRCLE | {"tool": "imaginAIry", "seed": 826166, "sampler": "ddim"},
}


def read(path: Path) -> ForeignRecord:
    record = read_metadata(path).foreign
    assert record is not None
    return record


@pytest.mark.parametrize("name", EXPECTED)
def test_each_program_is_read(name: str) -> None:
    record = read(FOLDER / name)
    assert {key: getattr(record, key) for key in EXPECTED[name]} == EXPECTED[name]


def test_every_sample_is_expected() -> None:
    ours = {"invokeai-2.png"}  # its Dream line is read as one of ours
    assert {path.name for path in FOLDER.iterdir()} - ours == EXPECTED.keys()
    assert read_metadata(FOLDER / "invokeai-2.png").record.line == foreign_samples.DREAM


def test_the_page_lists_what_is_read() -> None:
    page = foreign_samples.PAGE.read_text(encoding="utf-8")
    table = page.partition(foreign_samples.BEGIN)[2].partition(foreign_samples.END)[0]
    assert table == foreign_samples.format_table(), "run python -m tests.foreign_samples"


def test_the_samples_are_what_their_writer_writes(tmp_path: Path) -> None:
    foreign_samples.write_samples(tmp_path)
    for path in tmp_path.iterdir():
        assert read_metadata(path).foreign == read_metadata(FOLDER / path.name).foreign


def test_sizes_are_read_without_decoding() -> None:
    for name in ("a1111.png", "a1111.jpg", "a1111.webp", "a1111.avif", "sdcpp.webp"):
        image = read_image_text(FOLDER / name)
        assert (image.width, image.height) == (64, 96)
    assert read_image_text(FOLDER / "novelai-stealth.png").has_alpha


@pytest.mark.parametrize("mode", ["lossless", "alpha", "lossy"])
def test_a_webp_of_any_kind_is_measured(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.webp"
    image = Image.new("RGBA" if mode == "alpha" else "RGB", (40, 30), 5)
    image.save(path, lossless=mode != "lossy")
    found = read_image_text(path)
    assert (found.width, found.height) == (40, 30)


def test_a_text_beside_an_image_is_read(tmp_path: Path) -> None:
    Image.new("RGB", (64, 96)).save(tmp_path / "a.png")
    with pytest.raises(AssertionError):
        read(tmp_path / "a.png")
    for name in ("a.txt", "a.png.txt"):
        (tmp_path / name).write_text(foreign_samples.FORGE, encoding="utf-8")
        assert read(tmp_path / "a.png").tool == "Forge"
        (tmp_path / name).unlink()
    (tmp_path / "a.json").write_text(json.dumps(foreign_samples.COMFY))
    assert read(tmp_path / "a.png").tool == "ComfyUI"


def test_another_encoding_of_the_comment_is_read() -> None:
    text = "a 猫, 1girl"
    for data in (
        b"UNICODE\0" + text.encode("utf-16-le"),
        b"UNICODE\0" + text.encode("utf-16-be"),
        b"UNICODE\0" + text.encode("utf-16"),
        b"ASCII\0\0\0" + text.encode(),
        bytes(8) + text.encode(),
        text.encode(),
    ):
        assert decode_user_comment(data) == text


def test_text_behind_the_pixels_and_exif_in_a_png_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    save_png(path, {}, exif=make_exif(comment=comment_of(foreign_samples.FORGE)))
    assert read(path).tool == "Forge"


@pytest.mark.parametrize(
    "text",
    [
        "a cat",
        "a cat\nSteps: 20",
        "Steps: many, Sampler: x",
        "time: 5, place: here",
        "",
        "\n\n",
        '{"prompt": "a cat"}',
        "[1]",
        "{",
    ],
)
def test_other_texts_are_no_records(text: str) -> None:
    assert read_foreign_text(text) is None


def test_a_quoted_value_holds_commas_and_a_key_counts_once() -> None:
    record = parse_parameters('x\nSteps: 5, Seed: 1, Model: "a, b: \\"c\\"", Seed: 2, Odd: "x, CFG')
    assert record is not None
    assert (record.seed, record.model, record.unread) == (1, 'a, b: "c"', ("Odd",))


def test_weights_of_novelai_become_those_of_a1111() -> None:
    assert convert_weights("{a}, {{b}}, [c], (d), 1.5::e f::") == (
        r"(a:1.05), (b:1.103), (c:0.9524), \(d\), (e f:1.5)"
    )
    assert convert_weights("{a, [b") == "{a, [b"


def test_an_element_of_xmp_needs_no_parser() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa">]><x:y>&a;&lt;b</x:y>'
    assert find_element(bomb, "x:y") == "&a;<b"
    assert find_element('<rdf:D x:y="1&amp;2"/>', "x:y") == "1&2"
    assert find_element("<x:y>", "x:y") == find_element("", "x:y") == ""


# ── ComfyUI's graph ────────────────────────────────────────────────────────────────────────────


def change(*path: object) -> dict[str, object]:
    """The sample's graph with another value at a path of keys."""
    graph: Any = json.loads(json.dumps(foreign_samples.COMFY))
    *keys, last, value = path
    place = graph
    for key in keys:
        place = place[key]
    place[last] = value
    return graph  # type: ignore[no-any-return]


def test_values_are_followed_through_nodes() -> None:
    graph = change("20", {"class_type": "Reroute", "inputs": {"": ["21", 0]}})
    graph["21"] = {
        "class_type": "StringConcatenate",
        "inputs": {"string_a": "a", "string_b": ["22", 0], "delimiter": " "},
    }
    graph["22"] = {"class_type": "PrimitiveString", "inputs": {"value": "dog"}}
    record = read_graph_json(graph)
    assert record is not None and record.prompt == "a dog" and record.unread == ()


def test_a_loop_in_a_graph_ends() -> None:
    for path in (("20", "inputs", "value", ["20", 0]), ("10", "inputs", "model", ["10", 0])):
        assert read_graph_json(change(*path)) is not None
    assert read_graph_json(change("14", {"class_type": "X", "inputs": {"samples": ["14", 0]}}))


def test_texts_that_double_at_each_node_stay_short() -> None:
    graph = change("20", {"class_type": "S", "inputs": {"string_a": "ab", "string_b": "cd"}})
    for number in range(200):
        link = [str(1000 + number - 1) if number else "20", 0]
        inputs = {"string_a": link, "string_b": link, "text_a": link, "text_b": link}
        graph[str(1000 + number)] = {"class_type": "StringConcatenate", "inputs": inputs}
    graph["6"]["inputs"]["text"] = ["1030", 0]  # type: ignore[index]
    record = read_graph_json(graph)
    assert record is not None and 1000 < len(record.prompt) <= 100_000
    graph["6"]["inputs"]["text"] = ["1199", 0]  # type: ignore[index]
    assert read_graph_json(graph) is not None


def test_an_image_that_it_began_from_is_named() -> None:
    graph = change("14", {"class_type": "VAEEncode", "inputs": {"pixels": ["40", 0]}})
    graph["40"] = {"class_type": "LoadImage", "inputs": {"image": "../../etc/cat.png"}}
    graph["3"]["inputs"]["denoise"] = 0.6  # type: ignore[index]
    record = read_graph_json(graph)
    assert record is not None
    assert (record.strength, record.input_images) == (0.6, ("input image ../../etc/cat.png",))


def test_every_sampler_of_a_graph_is_named() -> None:
    graph = json.loads(json.dumps(foreign_samples.COMFY_TWO_PASSES))
    graph["29"] = {"class_type": "Reroute", "inputs": {"": ["3", 0]}}
    record = read_graph_json(graph)
    assert record is not None and record.hires_strength is None
    assert "sampler 30: seed 8, 12 steps, denoise 0.5" in record.unread


def workflow() -> Any:
    return json.loads(json.dumps(WORKFLOW))


def test_a_subgraph_without_values_of_its_own_has_those_it_was_saved_with() -> None:
    graph = workflow()
    graph["definitions"]["subgraphs"][0]["nodes"][0]["widgets_values"] = []
    record = read_graph_json(graph)
    assert record is not None
    assert (record.prompt, record.negative) == ("what the subgraph was saved with", "beautiful")


def test_a_muted_node_carries_nothing_and_a_bypassed_one_only_its_type() -> None:
    graph = workflow()
    graph["nodes"][2]["mode"] = 0
    record = read_graph_json(graph)
    assert record is not None and [lora.name for lora in record.loras] == ["ink", "bypassed"]
    graph["nodes"][2]["mode"] = 2
    record = read_graph_json(graph)
    assert record is not None and (record.model, record.loras) == ("", ())
    graph["nodes"][2]["mode"] = 4
    graph["nodes"][2]["inputs"][0]["type"] = "OTHER"
    record = read_graph_json(graph)
    assert record is not None and record.model == ""


def test_workflows_without_end_are_read_in_bounded_time() -> None:
    graph = workflow()
    sampling, texts = graph["definitions"]["subgraphs"]
    texts["nodes"] += [node(n, sampling["id"]) for n in range(20, 60)]
    sampling["nodes"] += [node(n, texts["id"]) for n in range(20, 60)]
    start = time.process_time()
    assert read_graph_json(graph) is not None
    # Reroutes in a circle, and slots that all lead into it.
    slots = [{"name": f"x{n}", "type": "*", "link": 500} for n in range(400)]
    graph["nodes"] += [node(n, "X", *slots) for n in range(100, 200)]
    graph["nodes"] += [node(50, "Reroute", slots[0]), node(51, "Y", *slots, mode=4)]
    graph["links"] += [[500, 50, 0, 51, 0, "*"], [501, 51, 0, 50, 0, "*"]]
    read_graph_json(graph)
    assert time.process_time() - start < 5


# ── bounds ─────────────────────────────────────────────────────────────────────────────────────


def test_ten_thousand_images_take_seconds(tmp_path: Path) -> None:
    """500 a second on one core, asked for with a factor to spare."""
    data = [(FOLDER / name).read_bytes() for name in ("a1111.png", "comfyui.png", "a1111.jpg")]
    paths = [tmp_path / f"{n}.{('png', 'png', 'jpg')[n % 3]}" for n in range(300)]
    for number, path in enumerate(paths):
        path.write_bytes(data[number % 3])
    start = time.process_time()
    for path in paths:
        read(path)
    assert time.process_time() - start < 3, "that is 100 a second"


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    for name, data in (("a.jpg", b"\xff\xd8\xff"), ("a.webp", b"RIFF0000WEBP"), ("a.avif", b"x")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(GalleryError, match="is not a complete PNG, JPEG, WebP or AVIF"):
            read_metadata(tmp_path / name)
