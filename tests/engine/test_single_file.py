"""The same weights, as a folder and as a single file, give the same pixels; nothing half loads."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dream.catalogue import ModelRegistry
from dream.catalogue.model_dirs import get_shipped_models_dir
from dream.catalogue.model_info import ModelInfo
from dream.catalogue.read_model_info import read_file
from dream.core.errors import ModelError
from dream.engine import create_generator
from dream.engine.image_generator import ImageGenerator
from dream.engine.loading.checkpoint import open_tensors
from dream.engine.loading.pipelines import load_model
from dream.engine.loading.single_file import load_vae
from dream.engine.memory.device import choose_placement
from dream.engine.sampling.noise_levels import ZERO_SNR_ALPHA, read_noise_levels
from dream.engine.tasks import TaskInputs
from tests import single_files
from tests.random_layouts import LAYOUTS, make_autoencoder, make_layout
from tests.recipes import recipe

Tensors = dict[str, torch.Tensor]
UNET = "model.diffusion_model."
VAE = "first_stage_model."


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("layouts")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def sd1() -> Any:
    return make_layout("sd1")


@pytest.fixture(scope="module")
def weights(sd1: Any) -> Tensors:
    return single_files.original(sd1)


@pytest.fixture(scope="module")
def rendered(sd1: Any, places: Path) -> np.ndarray:
    """By the folder of Stable Diffusion 1."""
    sd1.save_pretrained(places / "folder")
    return render(places / "folder")


@pytest.fixture(scope="module")
def averaged(places: Path) -> np.ndarray:
    """By the folder of one with other weights."""
    pipe = make_layout("sd1")
    pipe.unet.load_state_dict({n: t * 1.5 for n, t in pipe.unet.state_dict().items()})
    pipe.save_pretrained(places / "averages")
    return render(places / "averages")


def render(path: Path, **info: Any) -> np.ndarray:
    generator = create_generator(lambda name: ModelInfo(name=name, path=path, **info))
    return np.asarray(
        generator.generate(recipe(model=path.name, steps=2), lambda event: None).image
    )


# ── layouts ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_paints_as_its_folder_does(places: Path, layout: str) -> None:
    pipe = make_layout(layout)
    pipe.save_pretrained(places / layout)
    if layout in FROM_PICTURES:
        edit_index(places / layout, FROM_PICTURES[layout])
    file = single_files.save(single_files.original(pipe), places / f"{layout}.safetensors")
    by_folder = render(places / layout)
    assert np.array_equal(render(file), by_folder)
    assert by_folder.std() > 1, "it paints something"
    file.unlink()


FROM_PICTURES = {
    "sd1-inpainting": {"_class_name": "StableDiffusionInpaintPipeline"},
    "sdxl-inpainting": {"_class_name": "StableDiffusionXLInpaintPipeline"},
    "sd2-depth": {
        "_class_name": "StableDiffusionDepth2ImgPipeline",
        "depth_estimator": ["transformers", "DPTForDepthEstimation"],
    },
}
"""What the folders of these say in earnest: they are made to start from images."""


def edit_index(folder: Path, document: dict[str, Any]) -> None:
    path = folder / "model_index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | document))


# ── formats ────────────────────────────────────────────────────────────────────────────────────


def test_averages_and_the_notes_of_a_training_change_nothing(
    places: Path, weights: Tensors, rendered: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A .ckpt as of 2022: running averages, names without text_model, what a trainer noted."""
    name = "pytorch_lightning.callbacks.model_checkpoint"
    noted = type("ModelCheckpoint", (), {"__module__": name})
    modules = [".".join(name.split(".")[: n + 1]) for n in range(3)]
    for module in modules:
        monkeypatch.setitem(sys.modules, module, ModuleType(module))
    sys.modules[name].ModelCheckpoint = noted  # type: ignore[attr-defined]
    with_state = noted()
    with_state.best_model_path = "here"
    notes = {noted: {"best_model_score": np.float64(0.5), "itself": with_state}}
    old = {key.replace("text_model.", ""): value for key, value in weights.items()}
    path = places / "v1.ckpt"
    torch.save({"state_dict": single_files.with_ema(old), "callbacks": notes}, path)
    for module in modules:
        monkeypatch.delitem(sys.modules, module)
    link = places / "model.ckpt"
    link.symlink_to(path)
    assert np.array_equal(render(link), rendered)


@pytest.mark.parametrize("name", ["both.safetensors", "both.ckpt"])
def test_the_running_averages_paint_where_they_are_asked_for(
    places: Path, weights: Tensors, rendered: np.ndarray, averaged: np.ndarray, name: str
) -> None:
    """As the folder does whose UNet they are; the two sets of one file are two models."""
    averages = {n: t * 1.5 for n, t in weights.items() if n.startswith(UNET)}
    path = single_files.save(single_files.with_ema(weights, averages), places / name)
    proper, ema = (ModelInfo(name="it", path=path, ema=ema) for ema in (False, True))
    infos = {"proper": proper, "ema": ema}
    generator = create_generator(lambda name: infos[name])
    by_set = {
        name: generator.generate(recipe(model=name, steps=2), lambda event: None) for name in infos
    }
    assert np.array_equal(np.asarray(by_set["proper"].image), rendered)
    assert np.array_equal(np.asarray(by_set["ema"].image), averaged)
    assert by_set["proper"].facts["weights"] != by_set["ema"].facts["weights"]
    assert "ema" in by_set["ema"].facts and "ema" not in by_set["proper"].facts


def test_averages_that_are_not_all_there_paint_nothing(places: Path, weights: Tensors) -> None:
    both = single_files.with_ema(weights)
    last = "model_ema.diffusion_modelout2bias"
    for kept, message in ((weights, "contains no EMA weights"), (both, f"contains no {last}")):
        few = {name: tensor for name, tensor in kept.items() if name != last}
        path = single_files.save(few, places / "few.safetensors")
        with pytest.raises(ModelError, match=message):
            load_model(ModelInfo(name="few", path=path, ema=True), "cpu", "float32")


def test_a_file_of_torch_before_1_6(places: Path, weights: Tensors, rendered: np.ndarray) -> None:
    path = places / "legacy.ckpt"
    whole = {name: tensor.contiguous() for name, tensor in weights.items()}
    torch.save({"state_dict": whole}, path, _use_new_zipfile_serialization=False)
    assert np.array_equal(render(path), rendered)


def test_half_precision_is_the_same_by_both_roads(places: Path) -> None:
    half = make_layout("sd1").to(torch.float16)
    half.save_pretrained(places / "half")
    weights = single_files.original(half)
    by_folder = render(places / "half")
    for name in ("half.safetensors", "half.ckpt"):
        assert np.array_equal(render(single_files.save(weights, places / name)), by_folder)


def test_the_shipped_model_goes_into_a_file_and_comes_back(places: Path) -> None:
    """Its words and its ear for the whole text have no place in the layout; metadata carries it."""
    info = ModelRegistry([get_shipped_models_dir()]).get_model("tiny")
    pipe = load_model(info, "cpu", "auto").pipe
    metadata = single_files.carried(pipe, info.path / "tokenizer")
    path = places / "exported.safetensors"
    single_files.save(single_files.original(pipe), path, metadata=metadata)
    assert np.array_equal(render(path), render(info.path))


def test_a_card_says_what_is_predicted_and_the_digest_is_the_files_own(
    places: Path, weights: Tensors
) -> None:
    path = single_files.save(weights, places / "which.safetensors")
    loaded = load_model(
        ModelInfo(name="it", path=path, prediction="v_prediction"), "cpu", "float32"
    )
    assert loaded.pipe.scheduler.config.prediction_type == "v_prediction"
    assert loaded.digest.result() == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_that_says_zero_terminal_snr_walks_from_noise_alone(
    places: Path, weights: Tensors
) -> None:
    path = single_files.save(
        weights, places / "zero.safetensors", metadata={"ss_zero_terminal_snr": "True"}
    )
    info = read_file("zero", path)
    assert info.cfg_rescale == 0.7
    loaded = load_model(info, "cpu", "float32")
    assert read_noise_levels(loaded.pipe.scheduler.config).alphas[-1] == ZERO_SNR_ALPHA
    plain = single_files.save(weights, places / "plain.safetensors")
    assert read_file("plain", plain).cfg_rescale == 0
    assert np.abs(render(path).astype(int) - render(plain)).max() > 1
    former = [
        create_generator(lambda name, file=file: read_file(name, file)).generate(
            recipe(model="it", steps=2, schedule="former"), lambda event: None
        )
        for file in (path, plain)
    ]
    assert former[0].sha256 == former[1].sha256, "as such a file was painted before"


def test_a_vae_alone_and_out_of_a_whole_model(places: Path, sd1: Any, weights: Tensors) -> None:
    place = choose_placement("cpu", "float32")
    alone = {n.removeprefix(VAE): t for n, t in weights.items() if n.startswith(VAE)}
    notes = {"loss.logvar": torch.zeros(1), "model_ema.decay": torch.zeros(1)}
    for name, tensors in (
        ("alone.safetensors", alone),
        ("alone.ckpt", alone | notes),
        ("whole.safetensors", weights),
    ):
        vae = load_vae(single_files.save(tensors, places / name), place)
        same = sd1.vae.state_dict()
        assert all(torch.equal(t, same[n]) for n, t in vae.state_dict().items())
    with pytest.raises(ModelError, match=r"is not a VAE, but an embedding .use its name"):
        load_vae(single_files.save({"emb_params": torch.zeros(2, 2)}, places / "e.pt"), place)


@pytest.mark.parametrize("square", [False, True])
def test_a_vae_whose_attention_has_diffusers_names_is_whole(
    places: Path, sd1: Any, weights: Tensors, square: bool
) -> None:
    """As EveryDream2 and OneTrainer write it, as a matrix or as a convolution."""
    renamed: Tensors = {}
    for name, tensor in weights.items():
        attends = name.startswith(VAE) and ".attn_1." in name
        new = re.sub(r"attn_1\.([qkv])\.", r"attn_1.to_\1.", name) if attends else name
        new = new.replace("attn_1.proj_out.", "attn_1.to_out.0.")
        flat = attends and tensor.ndim == 4 and not square
        renamed[new] = tensor[:, :, 0, 0] if flat else tensor
    assert VAE + "decoder.mid.attn_1.to_out.0.weight" in renamed
    path = single_files.save(renamed, places / "to_q.safetensors")
    for vae in (
        load_vae(path, choose_placement("cpu", "float32")),
        load_model(ModelInfo(name="it", path=path), "cpu", "float32").pipe.vae,
    ):
        same = sd1.vae.state_dict()
        assert vae.state_dict().keys() == same.keys()
        assert all(torch.equal(t, same[n]) for n, t in vae.state_dict().items())


def test_of_a_whole_clip_the_text_encoder_is_taken(
    places: Path, weights: Tensors, rendered: np.ndarray
) -> None:
    clip = "cond_stage_model.transformer."
    whole = weights | {
        clip + "vision_model.embeddings.class_embedding": torch.ones(8),
        clip + "vision_model.encoder.layers.0.mlp.fc1.weight": torch.ones(8, 8),
        clip + "visual_projection.weight": torch.ones(8, 8),
        clip + "text_projection.weight": torch.ones(8, 8),
        clip + "logit_scale": torch.tensor(4.6),
        "cond_stage_model.logit_scale": torch.tensor(4.6),
    }
    path = single_files.save(whole, places / "clip.safetensors")
    assert np.array_equal(render(path), rendered)


@pytest.mark.parametrize("nests", [["params_ema"], ["params-ema"], ["model"], ["model", "params"]])
def test_weights_in_a_nest_load_as_they_are_recognised(
    places: Path, weights: Tensors, rendered: np.ndarray, nests: list[str]
) -> None:
    whole: dict[str, Any] = dict(weights)
    for nest in nests:
        whole = {nest: whole, "iter": 3}
    path = places / "nested.ckpt"
    torch.save(whole, path)
    assert np.array_equal(render(path), rendered)


# ── pruned ─────────────────────────────────────────────────────────────────────────────────────

PRUNED = ("sd1", "sd1-inpainting", "sd2-depth", "sdxl", "refiner")


@pytest.mark.parametrize("layout", PRUNED)
def test_a_file_without_a_vae_paints_with_another_as_the_whole_one_does(
    tmp_path: Path, layout: str
) -> None:
    whole = single_files.original(make_layout(layout))
    generator, vae = _whole_and_pruned(whole, tmp_path)
    grey = Image.new("RGB", (64, 64), "gray")
    mask = Image.new("L", (64, 64))
    mask.paste(255, (16, 16, 48, 48))
    for given in (TaskInputs(), TaskInputs(image=grey), TaskInputs(image=grey, mask=mask)):
        if layout == "sd2-depth" and given.image:  # which would look at the image first
            continue
        wanted = recipe(model="whole", vae=vae, strength=given.image and 0.6)
        by_whole, by_pruned, again = (
            generator.generate(replace(wanted, model=model), lambda _: None, given)
            for model in ("whole", "pruned", "pruned")
        )
        assert by_pruned.sha256 == again.sha256 == by_whole.sha256
        assert by_pruned.facts["vae"] == by_whole.facts["vae"]
    own = generator.generate(recipe(model="whole"), lambda _: None)
    assert own.sha256 == generator.generate(recipe(model="pruned", vae=vae), lambda _: None).sha256


def test_a_file_without_a_vae_paints_with_one_after_the_other(
    tmp_path: Path, weights: Tensors
) -> None:
    """Nothing of the first is kept by what asks for one from a prompt alone."""
    whole = single_files.original(make_layout("sd1-inpainting"))
    generator, vae = _whole_and_pruned(whole, tmp_path)
    other = single_files.save(
        {n: t * 1.5 for n, t in weights.items() if n.startswith(VAE)}, tmp_path / "other.ckpt"
    )
    wanted = [recipe(model="pruned", vae=name) for name in (vae, str(other), vae)]
    first, second, third = (generator.generate(one, lambda _: None).sha256 for one in wanted)
    assert first == third != second


@pytest.mark.parametrize("vae", [None, "none"])
def test_without_any_vae_it_says_how_to_name_one(tmp_path: Path, vae: str | None) -> None:
    whole = single_files.original(make_layout("sd1"))
    generator, _ = _whole_and_pruned(whole, tmp_path)
    with pytest.raises(ModelError, match=r"pruned.* contains no VAE .*--vae NAME.*vae = "):
        generator.generate(recipe(model="pruned", vae=vae), lambda _: None)


def test_a_vae_for_other_latents_does_not_fit_a_file_without_one(tmp_path: Path) -> None:
    generator, _ = _whole_and_pruned(single_files.original(make_layout("sd1")), tmp_path)
    make_autoencoder().save_pretrained(tmp_path / "newer")
    with pytest.raises(ModelError, match="expects 16 latent channels; pruned has 4"):
        generator.generate(recipe(model="pruned", vae=str(tmp_path / "newer")), lambda _: None)


def test_a_file_without_a_vae_is_written_as_a_folder_without_one(tmp_path: Path) -> None:
    generator, vae = _whole_and_pruned(single_files.original(make_layout("sd1")), tmp_path)
    generator.convert("pruned", tmp_path / "folder", lambda _: None)
    by_file, by_folder = (
        generator.generate(recipe(model=model, vae=vae), lambda _: None)
        for model in ("pruned", "folder")
    )
    assert by_folder.sha256 == by_file.sha256
    with pytest.raises(ModelError, match=r"folder in .* contains no VAE"):
        generator.generate(recipe(model="folder"), lambda _: None)


def _whole_and_pruned(weights: Tensors, folder: Path) -> tuple[ImageGenerator, str]:
    """What generates with these as `whole` and, without their VAE, as `pruned`; and that VAE."""
    single_files.save(weights, folder / "whole.safetensors")
    without = {name: weights[name] for name in weights if not name.startswith(VAE)}
    single_files.save(without, folder / "pruned.safetensors")
    alone = {n.removeprefix(VAE): weights[n] for n in weights if n not in without}
    vae = single_files.save(alone, folder / "vae.ckpt")
    return create_generator(ModelRegistry([folder]).get_model), str(vae)


# ── broken ─────────────────────────────────────────────────────────────────────────────────────

LAST = f"{VAE}decoder.norm_out.weight"
WORDS = "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop(f"{UNET}out.2.bias"), "missing conv_out.bias of UNet2DConditionModel"),
        (lambda w: w.pop(f"{UNET}time_embed.0.weight"), "missing time_embed.0.weight"),
        (lambda w: w.pop(LAST), "missing decoder.conv_norm_out.weight of AutoencoderKL"),
        (lambda w: w.update({f"{UNET}more": torch.zeros(1)}), "1 weights that UNet2D"),
        (lambda w: w.update({f"{VAE}more": torch.zeros(1)}), "1 weights that AutoencoderKL"),
        (lambda w: w.update({LAST: torch.zeros(7)}), "of AutoencoderKL has shape 7, not 32"),
        (
            lambda w: w.update({WORDS: torch.zeros(9, 32)}),
            "has a vocabulary of 9, not 49,408 tokens",
        ),
        (lambda w: [w.pop(name) for name in [*w] if "text_model" in name], "lacks its base model"),
    ],
)
def test_nothing_is_half_loaded(
    tmp_path: Path, weights: Tensors, change: Callable[[Tensors], object], message: str
) -> None:
    changed = dict(weights)
    change(changed)
    path = single_files.save(changed, tmp_path / "broken.safetensors")
    with pytest.raises(ModelError) as caught:
        load_model(ModelInfo(name="broken", path=path), "cpu", "float32")
    assert message in str(caught.value) and str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_a_dictionary_that_holds_itself_ends(tmp_path: Path, form: str) -> None:
    whole: dict[str, Any] = {"x": torch.zeros(1)}
    whole["state_dict"] = whole
    path = tmp_path / "circle.ckpt"
    torch.save(whole, path, _use_new_zipfile_serialization=form == "zip")
    assert list(open_tensors(path, form).tensors) == ["x"]
    with pytest.raises(ModelError, match="not a model"):
        load_model(ModelInfo(name="circle", path=path), "cpu", "float32")


class Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("trapped",))


@pytest.mark.parametrize("form", ["zip", "legacy"])
@pytest.mark.parametrize("force", [False, True])
def test_a_pickle_runs_nothing_even_where_it_is_not_recognised_first(
    tmp_path: Path, form: str, force: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if force:
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "hostile.ckpt"
    torch.save({"x": Trap()}, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(ModelError, match="is refused: loading it would run code"):
        open_tensors(path, form)
    with pytest.raises(ModelError, match=r"is refused: loading it would run \w+\.mkdir"):
        load_model(ModelInfo(name="hostile", path=path), "cpu", "float32")
    assert not Path("trapped").exists()
