"""Models that edit: the input image is seen as it is, and there is no strength."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit as edit_pipeline
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as plus_pipeline
from PIL import Image
from safetensors.torch import load_file

from dream.catalogue import ModelRegistry
from dream.catalogue.encoder_files import find_text_encoders
from dream.core.errors import ModelError
from dream.core.events import Note
from dream.core.picture import Picture
from dream.engine import create_generator
from dream.engine.image_generator import ImageGenerator
from dream.engine.interface import Progress
from dream.engine.silence_libraries import silence_libraries
from tests.number_formats import save_gguf
from tests.random_others import make_kontext
from tests.random_split import make_flux2, make_qwen_edit
from tests.random_split_latest import make_flux2_dev
from tests.recipes import recipe
from tests.split_files import move_weights, save, write_split


@pytest.fixture(scope="module", autouse=True)
def _small_images() -> Iterator[None]:
    """Qwen-Image-Edit sees images of about a megapixel, which takes long."""
    with pytest.MonkeyPatch.context() as patch:
        at_area = edit_pipeline.calculate_dimensions
        patch.setattr(
            edit_pipeline, "calculate_dimensions", lambda area, ratio: at_area(64 * 64, ratio)
        )
        patch.setattr(plus_pipeline, "VAE_IMAGE_SIZE", 64 * 64)
        patch.setattr(plus_pipeline, "CONDITION_IMAGE_SIZE", 64 * 64)
        yield


@pytest.fixture(scope="module")
def editors(tmp_path_factory: pytest.TempPathFactory) -> tuple[ImageGenerator, Path]:
    folder = tmp_path_factory.mktemp("editors")
    with silence_libraries(), torch.random.fork_rng():
        torch.manual_seed(0)
        make_kontext().save_pretrained(folder / "kontext")
        parts = tmp_path_factory.mktemp("tokenizer")
        make_flux2(parts).save_pretrained(folder / "klein")
        make_flux2_dev(parts).save_pretrained(folder / "dev")
        make_qwen_edit(parts, plus=False).save_pretrained(folder / "edit")
        make_qwen_edit(parts).save_pretrained(folder / "edit-plus")
    for name, colour in (("red", "#f00"), ("blue", "#00f")):
        Image.new("RGB", (80, 64), colour).save(folder / f"{name}.png")
    return create_generator(ModelRegistry([folder]).get_model), folder


def edit(generator: ImageGenerator, model: str, **values: Any) -> tuple[Picture, list[Any]]:
    reported: list[Any] = []
    small = {"width": 80, "height": 64, "steps": 3, "cfg_scale": 1.0}
    picture = generator.generate(recipe(model=model, **small, **values), reported.append)
    return picture, reported


@pytest.mark.parametrize("model", ["kontext", "klein", "dev", "edit"])
def test_an_editor_sees_the_image_and_has_no_strength(
    editors: tuple[ImageGenerator, Path], model: str
) -> None:
    generator, folder = editors
    red, blue = str(folder / "red.png"), str(folder / "blue.png")
    plain, _ = edit(generator, model)
    little, reported = edit(generator, model, init_img=red, strength=0.2)
    much, _ = edit(generator, model, init_img=red, strength=0.9)
    other, _ = edit(generator, model, init_img=blue, strength=0.9)
    assert little.sha256 == much.sha256
    assert len({plain.sha256, much.sha256, other.sha256}) == 3
    assert little.image.size == (80, 64) and "init_img" in little.facts
    assert [event.step for event in reported if isinstance(event, Progress)] == [1, 2, 3]
    note = Note(text=f"{model} edits the input image as a whole; -f is ignored")
    assert reported.count(note) == 1


@pytest.mark.parametrize("model", ["kontext", "klein", "edit-plus"])
def test_the_input_image_is_the_first_reference_image(
    editors: tuple[ImageGenerator, Path], model: str
) -> None:
    generator, folder = editors
    red = str(folder / "red.png")
    first, _ = edit(generator, model, init_img=red, strength=0.75)
    other, reported = edit(generator, model, reference=(red,))
    assert first.sha256 == other.sha256
    assert first.facts["init_img"] == other.facts["reference"]
    assert not [event for event in reported if isinstance(event, Note) and "-f" in event.text]


@pytest.mark.parametrize("model", ["klein", "edit-plus"])
def test_several_reference_images_in_their_order(
    editors: tuple[ImageGenerator, Path], model: str
) -> None:
    generator, folder = editors
    red, blue = str(folder / "red.png"), str(folder / "blue.png")
    one, two, again, begun = (
        edit(generator, model, **values)[0]
        for values in (
            {"reference": (red, blue)},
            {"reference": (blue, red)},
            {"reference": (red, blue)},
            {"init_img": red, "reference": (blue,), "strength": 0.75},
        )
    )
    assert one.sha256 == again.sha256 == begun.sha256 != two.sha256
    assert one.facts["reference"].split(",") == two.facts["reference"].split(",")[::-1]


def test_a_reference_image_inside_a_mask(editors: tuple[ImageGenerator, Path]) -> None:
    generator, folder = editors
    Image.new("L", (80, 64), 255).save(folder / "all.png")
    mask = Image.new("L", (80, 64), 255)
    mask.paste(0, (32, 0, 80, 64))
    mask.save(folder / "mask.png")
    red, blue = str(folder / "red.png"), str(folder / "blue.png")
    begun = {"init_img": red, "init_mask": str(folder / "mask.png"), "strength": 0.9}
    plain, _ = edit(generator, "klein", **begun)
    seen, _ = edit(generator, "klein", **begun, reference=(blue,))
    assert plain.sha256 != seen.sha256
    assert seen.image.getpixel((4, 4)) == (255, 0, 0)
    with pytest.raises(ModelError, match="does not support several reference images"):
        edit(generator, "klein", **begun, reference=(blue, blue))
    with pytest.raises(ModelError, match="does not support a reference image"):
        edit(generator, "edit-plus", **begun, reference=(blue,))


def test_an_edit_model_generates_from_a_prompt_alone(
    editors: tuple[ImageGenerator, Path],
) -> None:
    generator, _ = editors
    picture, reported = edit(generator, "edit-plus")
    assert picture.image.size == (80, 64)
    assert [event.step for event in reported if isinstance(event, Progress)] == [1, 2, 3]


def test_a_model_that_does_not_edit_refuses_reference_images(
    generator: ImageGenerator, editors: tuple[ImageGenerator, Path]
) -> None:
    with pytest.raises(ModelError, match="does not take reference images"):
        edit(generator, "random", reference=(str(editors[1] / "red.png"),))


def test_a_single_file_of_an_edit_model_gives_the_pixels_of_its_folder(
    editors: tuple[ImageGenerator, Path], tmp_path: Path
) -> None:
    generator, folder = editors
    pipe = generator.load("edit-plus", lambda event: None).pipe
    path = write_split(pipe, "qwen-image", tmp_path)
    mark = {"__index_timestep_zero__": torch.tensor([])}
    save(path.with_name("qwen_image_plain.safetensors"), load_file(path) | mark)
    shutil.move(path, path.with_name("qwen_image_edit.safetensors"))
    registry = ModelRegistry([tmp_path])
    marked, named = (registry.get_model(f"qwen_image_{name}") for name in ("plain", "edit"))
    assert (marked.edits, marked.edits_from, marked.references) == ("edit-plus", "its tensors", 3)
    assert (named.edits, named.references) == ("edit", 1)
    split = create_generator(registry.get_model)
    move_weights(pipe)
    move_weights(split.load(marked.name, lambda event: None).pipe)
    red, blue = str(folder / "red.png"), str(folder / "blue.png")
    from_folder, _ = edit(generator, "edit-plus", reference=(red, blue))
    from_file, _ = edit(split, marked.name, reference=(red, blue))
    assert from_file.sha256 == from_folder.sha256


def test_images_have_positions_in_two_dimensions(editors: tuple[ImageGenerator, Path]) -> None:
    """As transformers computes them if it is told which tokens are images."""
    generator, folder = editors
    pipe = generator.load("edit-plus", lambda event: None).pipe
    with Image.open(folder / "red.png") as image:
        read = pipe.processor(text=["<|vision_start|><|image_pad|>!"], images=[image])
    tensors = {name: torch.as_tensor(read[name]) for name in read}
    with torch.no_grad():
        right = pipe.text_encoder(**tensors, output_hidden_states=True).hidden_states[-1]
        kinds = tensors.pop("mm_token_type_ids")
        ours = pipe.text_encoder(**tensors, output_hidden_states=True).hidden_states[-1]
        flat = pipe.text_encoder(
            **tensors, mm_token_type_ids=0 * kinds, output_hidden_states=True
        ).hidden_states[-1]
    assert torch.equal(ours, right) and not torch.equal(ours, flat)


def test_a_text_encoder_that_cannot_see_is_named(
    editors: tuple[ImageGenerator, Path], tmp_path: Path
) -> None:
    generator, _ = editors
    pipe = generator.load("edit-plus", lambda event: None).pipe
    path = write_split(pipe, "qwen-image", tmp_path)
    (reader,) = (tmp_path / "text_encoders").glob("*.safetensors")
    words = {n: t for n, t in load_file(reader).items() if not n.startswith("visual.")}
    save(reader, words)
    shutil.move(path, path.with_name("qwen_image_edit.safetensors"))
    split = create_generator(ModelRegistry([tmp_path]).get_model)
    with pytest.raises(ModelError, match=r"lacks the vision tower of .*put its mmproj file beside"):
        split.load("qwen_image_edit", lambda event: None)


def test_a_vision_tower_of_llama_cpp_beside_its_text_encoder(
    editors: tuple[ImageGenerator, Path], tmp_path: Path
) -> None:
    """The text encoder and its eyes as llama.cpp's users have them: two GGUF files."""
    generator, folder = editors
    pipe = generator.load("edit", lambda event: None).pipe
    path = write_split(pipe, "qwen-image", tmp_path)
    shutil.move(path, path.with_name("qwen_image_edit.safetensors"))
    (reader,) = (tmp_path / "text_encoders").glob("*.safetensors")
    words = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2VL, 8)
    eyes = gguf.get_tensor_name_map(gguf.MODEL_ARCH.MMPROJ, 4)
    language, vision = {}, {}
    for name, tensor in load_file(reader).items():
        owner, _, last = name.rpartition(".")
        if not name.startswith("visual."):
            language[f"{words.get_name(owner)}.{last}"] = tensor
        elif owner.endswith(".qkv"):
            for part, weight in zip("qkv", tensor.chunk(3), strict=True):
                split_owner = owner.replace(".qkv", f".{part}")
                vision[f"{eyes.get_name(split_owner)}.{last}"] = weight
        elif tensor.ndim == 5:
            frames = tensor.unbind(2)
            vision |= {f"v.patch_embd.weight{n}": frames[i] for i, n in enumerate(("", ".1"))}
        else:
            vision[f"{eyes.get_name(owner)}.{last}"] = tensor
    reader.unlink()
    plain = gguf.GGMLQuantizationType.F32
    for name, kind, weights in (("qwen", "qwen2vl", language), ("mmproj-F32", "clip", vision)):
        save_gguf(weights, reader.with_name(f"{name}.gguf"), plain, lambda *_: False, kind)
    registry = ModelRegistry([tmp_path])
    assert [part.part for part in registry.get_model("qwen_image_edit").parts if part.kind] == [
        *("text_encoder", "vae", "vision", "tokenizer"),
    ]
    split = create_generator(registry.get_model)
    move_weights(pipe)
    move_weights(split.load("qwen_image_edit", lambda event: None).pipe)
    red = str(folder / "red.png")
    from_folder, _ = edit(generator, "edit", reference=(red,))
    from_files, _ = edit(split, "qwen_image_edit", reference=(red,))
    assert from_files.sha256 == from_folder.sha256
    assert list(find_text_encoders([tmp_path])) == ["qwen"]
