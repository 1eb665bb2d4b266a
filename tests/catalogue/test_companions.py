"""What completes a model in several files: found in other programs' folders, or named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from dream.catalogue import ModelRegistry
from dream.catalogue.companions import describe_encoder
from dream.catalogue.detect.pieces import TEXT_ENCODER, Wanted
from dream.catalogue.encoder_files import find_text_encoders, use_text_encoder
from dream.catalogue.model_info import ModelInfo
from dream.commands.model_text import describe_details, measure_model
from dream.core.errors import ModelError
from dream.core.recipe import Recipe
from dream.core.request import Request
from dream.line import format_line
from dream.options.family import Family
from dream.options.family_table import FAMILIES
from dream.options.sampler_table import SAMPLERS
from dream.session.fix import require_complete
from dream.session.name_checks import check_recipes
from dream.session.resolve import resolve
from tests.catalogue.test_detect import write

Z_IMAGE = {
    "cap_embedder.0.weight": (32,),
    "x_pad_token": (1, 8),
    "x_embedder.weight": (8, 64),
    "layers.0.attention.qkv.weight": (24, 8),
}
QWEN3 = {"model.embed_tokens.weight": (300, 32), "model.layers.0.self_attn.q_norm.weight": (8,)}
VAE = {"decoder.conv_in.weight": (8, 16, 3, 3), "encoder.conv_in.weight": (8, 3, 3, 3)}
XL_UNET = {
    "conv_in.weight": (8, 4, 3, 3),
    "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q.weight": (8, 8),
    "add_embedding.linear_1.weight": (8, 2816),
}
PARTS = ["qwen.safetensors", "ae.safetensors", "qwen3"]


def put(root: Path, unet: str, encoders: str, vae: str, tokenizers: Path) -> None:
    for folder in (unet, encoders, vae):
        (root / folder).mkdir(parents=True, exist_ok=True)
    write(root / unet / "z.safetensors", Z_IMAGE)
    write(root / encoders / "qwen.safetensors", QWEN3)
    write(root / vae / "ae.safetensors", VAE)
    (tokenizers / "tokenizers" / "qwen3").mkdir(parents=True, exist_ok=True)
    (tokenizers / "tokenizers" / "qwen3" / "tokenizer.json").write_text("{}")


@pytest.mark.parametrize(
    ("unet", "encoders", "vae"),
    [
        ("models/diffusion_models", "models/text_encoders", "models/vae"),  # ComfyUI
        ("models/unet/deep/er", "models/clip", "models/vae"),
        ("diffusion_models", "text_encoders", "vae"),
        ("models/Stable-diffusion", "models/text_encoder", "models/VAE"),  # Forge
        ("Models/diffusion_models", "Models/clip", "Models/VAE"),  # SwarmUI
        ("models/z-image/main/some", "models/any/qwen3_encoder/some", "models/flux/vae/some"),
    ],
)
def test_parts_are_found_where_programs_keep_them(
    tmp_path: Path, unet: str, encoders: str, vae: str
) -> None:
    put(tmp_path, unet, encoders, vae, tmp_path)
    registry = ModelRegistry([tmp_path])
    info = registry.get_model("z")
    assert [part.path.name for part in info.parts] == PARTS and info.missing == ()
    assert [model.name for model in registry.list_models()] == ["z"], "once, and no parts"


def test_names_and_suffixes_that_people_have(tmp_path: Path) -> None:
    put(tmp_path / "disk", "diffusion_models", "text_encoders", "vae", tmp_path / "disk")
    (tmp_path / "ComfyUI").symlink_to(tmp_path / "disk")
    for folder, name, header in (
        ("diffusion_models", "模型 一.SAFETENSORS", Z_IMAGE),
        ("diffusion_models", "z2.sft", Z_IMAGE),
        ("vae", "ae-0.SFT", VAE),
    ):
        write(tmp_path / "disk" / folder / name, header)
    registry = ModelRegistry([tmp_path / "ComfyUI"])
    assert [info.name for info in registry.list_models()] == ["z", "z2", "模型 一"]
    assert registry.get_model("模型 一").parts[1].path.name == "ae-0.SFT"
    assert "ae-0" in registry.list_vaes()


def test_files_of_one_name_in_several_folders_are_all_there(tmp_path: Path) -> None:
    """ComfyUI's names have their subfolder; a file that is linked twice is one model."""
    models = tmp_path / "models"
    put(models, "diffusion_models", "text_encoders", "vae", tmp_path)
    for place in ("unet/z.safetensors", "diffusion_models/old/z.safetensors"):
        (models / place).parent.mkdir(exist_ok=True)
        write(models / place, Z_IMAGE)
    (models / "checkpoints").mkdir()
    (models / "checkpoints" / "z.safetensors").symlink_to(models / "unet" / "z.safetensors")
    (models / "diffusion_models" / "z.ckpt").write_bytes(b"")
    (models / "diffusion_models" / "z.gguf").write_bytes(b"")
    named = ModelRegistry([models]).find_paths()
    places = {name: str(path.relative_to(models)) for name, path in named.items()}
    assert places == {
        "z": "checkpoints/z.safetensors",
        "diffusion_models-z": "diffusion_models/z.safetensors",
        "old-z": "diffusion_models/old/z.safetensors",
        "z.gguf": "diffusion_models/z.gguf",
    }
    write(tmp_path / "z.safetensors", Z_IMAGE)
    assert ModelRegistry([tmp_path, models]).find_paths()["z"] == tmp_path / "z.safetensors"


def test_extra_model_paths_of_comfyui_are_read(tmp_path: Path) -> None:
    comfy, disk = tmp_path / "ComfyUI", tmp_path / "disk"
    comfy.mkdir()
    put(disk, "a/unets", "te", "v", comfy)
    (comfy / "extra_model_paths.yaml").write_text(
        f"other:\n  base_path: {disk}\n  is_default: true\n  diffusion_models: |\n"
        "    nowhere\n    a/unets\n  text_encoders: te\n  vae: v/\nodd: 3\n"
    )
    info = ModelRegistry([comfy]).get_model("z")
    assert [part.path.name for part in info.parts] == PARTS
    (comfy / "extra_model_paths.yaml").write_text("a: !!python/object/apply:os.system [x]\n")
    with pytest.raises(ModelError, match="there is no model"):
        ModelRegistry([comfy]).get_model("z")


def test_what_is_missing_is_named_before_anything_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "unet").mkdir()
    write(tmp_path / "unet" / "z.safetensors", Z_IMAGE | {"cap_embedder.0.weight": (2560,)})
    registry = ModelRegistry([tmp_path])
    with pytest.raises(ModelError) as caught:
        resolve(
            Request(prompt="x", model="z"),
            lambda name: registry.get_model(name or ""),
            [],
            lambda: 1,
        )
    text = str(caught.value)
    assert "z lacks its text encoder (Qwen3, 2,560 wide) and its VAE (kl, 16 channels)" in text
    assert "!import_model qwen-3-4b (8.0 GB)" in text and "!import_model flux-vae (0.3 GB)" in text
    put(tmp_path, "unet", "clip", "vae", tmp_path / "elsewhere")
    with pytest.raises(ModelError, match=r"tokenizer of Qwen3 \(!import_model tokenizer-qwen3"):
        require_complete(ModelRegistry([tmp_path]).get_model("z"))


def test_a_width_that_shapes_do_not_tell_is_not_said() -> None:
    wanted = Wanted("text_encoder", TEXT_ENCODER, "clip", 0, length=128)
    assert describe_encoder(wanted) == "CLIP, of at least 128 tokens"
    assert describe_encoder(wanted._replace(width=768, length=0)) == "CLIP, 768 wide"


def test_of_several_candidates_one_is_used(tmp_path: Path) -> None:
    put(tmp_path, "unet", "clip", "vae", tmp_path)
    write(tmp_path / "clip" / "wide.safetensors", QWEN3 | {"model.embed_tokens.weight": (300, 64)})
    write(tmp_path / "clip" / "exact.safetensors", QWEN3, dtype="F32")
    write(tmp_path / "vae" / "aaa-sd3.safetensors", VAE, dtype="F32")
    (tmp_path / "clip" / "torn.safetensors").write_bytes(b"\x08" + bytes(20))
    info = ModelRegistry([tmp_path]).get_model("z")
    assert [part.path.name for part in info.parts] == ["exact.safetensors", *PARTS[1:]]
    (tmp_path / "models.toml").write_text('[models.z]\ntext_encoder = "qwen"\n')
    info = ModelRegistry([tmp_path]).get_model("z")
    assert [part.path.name for part in info.parts] == PARTS


def test_a_tokenizer_is_found_in_the_hubs_cache(tmp_path: Path) -> None:
    put(tmp_path, "unet", "clip", "vae", tmp_path / "elsewhere")
    snapshot = tmp_path / "models--Qwen--Qwen3-4B" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "tokenizer.json").write_text("{}")
    assert ModelRegistry([tmp_path]).get_model("z").parts[-1].path == snapshot


def test_models_says_what_is_missing_and_why_steps_are_few(tmp_path: Path) -> None:
    put(tmp_path, "unet", "clip", "vae", tmp_path)
    write(tmp_path / "unet" / "z_image_turbo.safetensors", Z_IMAGE)
    turbo, base = (ModelRegistry([tmp_path]).get_model(name) for name in ("z_image_turbo", "z"))
    assert describe_details(turbo) == "9 steps by its name (z_image_turbo)"
    assert describe_details(base) == ""
    assert measure_model(base) > sum(part.path.stat().st_size for part in base.parts[:2])
    (tmp_path / "vae" / "ae.safetensors").unlink()
    lacking = ModelRegistry([tmp_path]).get_model("z")
    assert describe_details(lacking) == "lacks its VAE (kl, 16 channels)"


def test_a_tree_of_comfyui_is_listed_and_harms_nobody(tmp_path: Path) -> None:
    models = tmp_path / "models"
    put(tmp_path, "models/diffusion_models", "models/text_encoders", "models/vae", tmp_path)
    many = {f"layers.{n}.attention.qkv.weight": (3072, 1024) for n in range(400)}
    for number in range(8):
        write(models / "diffusion_models" / f"z{number}.safetensors", Z_IMAGE | many)
        write(models / "text_encoders" / f"clip{number}.safetensors", {"text_model.x": (4,)})
    (models / "checkpoints").mkdir()
    write(models / "checkpoints" / "anima.safetensors", {"net.llm_adapter.blocks.0.x": (8,)})
    (models / "checkpoints" / "torn.safetensors").write_bytes(b"\x10" + bytes(30))
    (models / "checkpoints" / "web.ckpt").write_text("<html>")
    (models / "loras").mkdir()
    write(models / "loras" / "style.safetensors", {"x.lora_up.weight": (4, 8)})
    registry = ModelRegistry([tmp_path])
    listed = registry.list_models()
    assert [info.name for info in listed] == ["z", *(f"z{number}" for number in range(8))]
    assert all(not info.missing for info in listed)
    problems = registry.check_models()
    assert [any(name in text for text in problems) for name in ("anima", "torn", "web")] == [
        True
    ] * 3


def test_another_text_encoder_is_used_by_name_or_path_and_refused_by_kind(tmp_path: Path) -> None:
    put(tmp_path, "unet", "clip", "vae", tmp_path)
    write(tmp_path / "clip" / "spare.safetensors", QWEN3)
    wide = QWEN3 | {"model.embed_tokens.weight": (300, 64)}
    write(tmp_path / "clip" / "wide.safetensors", wide)
    write(tmp_path / "away.safetensors", QWEN3)
    registry = ModelRegistry([tmp_path])
    info, dirs = registry.get_model("z"), registry.models_dirs
    assert info.parts[0].path.stem == "qwen"
    for name in ("spare", "spare.safetensors", str(tmp_path / "away.safetensors")):
        used = use_text_encoder(info, name, dirs)
        assert used.parts[0].path.stem == Path(name).stem and used.parts[1:] == info.parts[1:]
    for name, message in {
        "wide": r"wide\.safetensors is a text encoder \(Qwen3, 64 wide\), but z needs a text enc",
        str(tmp_path / "vae" / PARTS[1]): "is a VAE, but z needs a text encoder",
        "spar": r'there is no text encoder "spar" .*did you mean spare',
    }.items():
        with pytest.raises(ModelError, match=message):
            use_text_encoder(info, name, dirs)
    with pytest.raises(ModelError, match="the text encoder of tiny cannot be replaced"):
        use_text_encoder(ModelInfo(name="tiny", path=tmp_path), "spare", dirs)


def test_a_line_is_refused_before_its_model_is_loaded_and_says_what_it_used(tmp_path: Path) -> None:
    put(tmp_path, "unet", "clip", "vae", tmp_path)
    write(tmp_path / "clip" / "other.safetensors", QWEN3)
    registry = ModelRegistry([tmp_path])

    def resolved(**values: str) -> Recipe:
        request = Request(prompt="x", model="z", **values)
        return resolve(request, lambda n: registry.get_model(n or ""), [], lambda: 1).recipes[0]

    assert resolved().text_encoder is None
    check_recipes(registry, [resolved(text_encoder="other")])
    with pytest.raises(ModelError, match="is a VAE"):
        check_recipes(registry, [resolved(text_encoder=str(tmp_path / "vae" / PARTS[1]))])
    (tmp_path / "models.toml").write_text('[models.z]\ntext_encoder = "other"\n')
    assert resolved().text_encoder == "other" and "--text_encoder=other" in format_line(
        resolved().to_request()
    )


def test_a_vision_tower_is_not_offered_as_a_text_encoder(tmp_path: Path) -> None:
    folder = tmp_path / "text_encoders"
    folder.mkdir()
    for name in ("Qwen2.5-VL-7B-Q4_K.gguf", "mmproj-Qwen2.5-VL-7B-F16.gguf"):
        (folder / name).write_bytes(b"GGUF")
    assert set(find_text_encoders([tmp_path])) == {"Qwen2.5-VL-7B-Q4_K"}


def clip_of(width: int, length: int) -> dict[str, tuple[int, ...]]:
    return {
        "text_model.embeddings.token_embedding.weight": (49408, width),
        "text_model.embeddings.position_embedding.weight": (length, width),
        "text_model.encoder.layers.0.mlp.fc1.weight": (4 * width, width),
    }


def test_clips_of_more_tokens_are_for_the_family_that_needs_them(tmp_path: Path) -> None:
    for folder in ("unet", "clip"):
        (tmp_path / folder).mkdir()
    flux = {"double_blocks.0.img_attn.qkv.weight": (96, 32), "vector_in.in_layer.weight": (32, 24)}
    hidream = {
        "double_stream_blocks.0.block.attn1.to_q.weight": (128, 128),
        "p_embedder.pooled_embedder.linear_1.weight": (128, 64),
        "caption_projection.0.linear.weight": (128, 16),
    }
    write(tmp_path / "unet" / "flux.safetensors", flux)
    write(tmp_path / "unet" / "hidream.safetensors", hidream)
    write(tmp_path / "clip" / "usual.safetensors", clip_of(24, 77))
    registry = ModelRegistry([tmp_path])
    used = registry.get_model("hidream")
    assert not used.parts, "the usual one takes too few tokens"
    assert "its text encoder (CLIP, 24 wide, of at least 128 tokens)" in used.missing[0]
    write(tmp_path / "clip" / "long.safetensors", clip_of(24, 248), dtype="F32")
    registry = ModelRegistry([tmp_path])
    for model, clip in (("hidream", "long"), ("flux", "usual")):
        assert registry.get_model(model).parts[0].path.stem == clip


@pytest.mark.parametrize(
    ("denoiser", "command"),
    [
        ({"joint_blocks.0.x": (8,), "x_embedder.proj.weight": (8, 16, 2, 2)}, ""),
        (Z_IMAGE, "flux-vae"),
        (
            {
                "t_block.1.weight": (8, 8),
                "csize_embedder.mlp.0.weight": (8, 256),
                "x_embedder.proj.weight": (8, 4, 2, 2),
            },
            "sd-vae",
        ),
    ],
)
def test_a_missing_vae_is_named_with_one_of_its_latent_space(
    tmp_path: Path, denoiser: dict[str, tuple[int, ...]], command: str
) -> None:
    (tmp_path / "unet").mkdir()
    write(tmp_path / "unet" / "it.safetensors", denoiser)
    (lacks,) = (text for text in ModelRegistry([tmp_path]).get_model("it").missing if "VAE" in text)
    assert (f"!import_model {command} (" in lacks) if command else "put it into vae/" in lacks


def test_a_text_encoder_brings_its_tokenizer(tmp_path: Path) -> None:
    """FLUX.2 dev's: inside the file, else in a folder."""
    for folder in ("unet", "text_encoders", "tokenizers/mistral3"):
        (tmp_path / folder).mkdir(parents=True)
    dev = {
        "double_stream_modulation_img.lin.weight": (48, 8),
        "guidance_in.in_layer.weight": (8, 256),
        "txt_in.weight": (8, 24),
    }
    mistral = {"model.embed_tokens.weight": (131_072, 8)}
    write(tmp_path / "unet" / "dev.safetensors", dev)
    encoder = tmp_path / "text_encoders" / "mistral.safetensors"
    write(encoder, mistral)
    lacking = ModelRegistry([tmp_path]).get_model("dev")
    assert "!import_model tokenizer-mistral3" in str(lacking.missing)
    (tmp_path / "tokenizers" / "mistral3" / "tokenizer.json").write_text("{}")
    assert ModelRegistry([tmp_path]).get_model("dev").parts[-1].path.name == "mistral3"
    write(encoder, mistral | {"tekken_model": (20,)})
    tokenizer = ModelRegistry([tmp_path]).get_model("dev").parts[-1]
    assert (tokenizer.path, tokenizer.prefix) == (encoder, "tekken_model")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.key)
def test_default_samplers_are_names_of_samplers(family: Family) -> None:
    """A line's are read with aliases; defaults of models are not read."""
    named = {row.sampler for row in family.distilled if row.sampler}
    assert named <= set(SAMPLERS)
    for row in family.distilled:
        assert re.compile(row.pattern).groups == row.pattern.count(r"(\d+)"), "steps"


@pytest.mark.parametrize(
    ("name", "header", "sampler", "steps"),
    [
        ("z_image", Z_IMAGE, "k_euler", 30),
        ("z_image_turbo", Z_IMAGE, "k_euler", 9),
        ("sdxl_lightning_4step", XL_UNET, "k_euler", 4),
        ("sdxl_turbo", XL_UNET, "k_euler_a", 4),
        ("Hyper-SDXL-8steps", XL_UNET, "ddim", 8),
        ("dmd2_sdxl_4step", XL_UNET, "lcm", 4),
        ("plain", XL_UNET, "dpmpp_2m_karras", 30),
    ],
)
def test_a_line_has_the_sampler_and_the_schedule_of_its_model(
    tmp_path: Path, name: str, header: Mapping[str, tuple[int, ...]], sampler: str, steps: int
) -> None:
    put(tmp_path, "unet", "clip", "vae", tmp_path)
    write(tmp_path / "unet" / f"{name}.safetensors", dict(header))
    info = ModelRegistry([tmp_path]).get_model(name)
    schedule = "karras" if sampler.endswith("karras") else "model"
    assert (info.sampler, SAMPLERS[info.sampler].schedule, info.steps) == (sampler, schedule, steps)
    assert "sampler" in dict(info.origins) or name == "plain"
