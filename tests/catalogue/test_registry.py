from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from dream.catalogue import LatentRgbFactors, ModelRegistry, find_models_dirs
from dream.catalogue.model_dirs import find_writable_dir, get_shipped_models_dir
from dream.catalogue.upscalers import KNOWN_UPSCALERS, architecture_of
from dream.core.errors import BadSetting, ModelError
from tests.catalogue.conftest import MakeModel
from tests.catalogue.test_detect import SD1, WORDS, gguf, write

CARD = """
description = "shapes"
width = 256
height = 192
steps = 20
sampler = "k_dpmpp_2m"
cfg_scale = 4
multiple = 16
upscaler = "tiny-x4"
[preview]
matrix = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0.5]]
bias = [0, 0.25, 0]
"""

ESRGAN = {"conv_first.weight": (64, 3, 3, 3), "body.0.rdb1.conv1.weight": (32, 64, 3, 3)}

# ── models ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("pipeline", "unet", "family", "side", "cfg_scale"),
    [
        ("StableDiffusionPipeline", {}, "sd1", 512, 7.5),
        (
            "StableDiffusionPipeline",
            {"sample_size": 96, "cross_attention_dim": 1024},
            "sd2",
            768,
            7.5,
        ),
        (
            "StableDiffusionXLPipeline",
            {"sample_size": 128, "cross_attention_dim": 2048},
            "sdxl",
            1024,
            5.0,
        ),
        ("StableDiffusionXLPipeline", {"sample_size": None}, "sdxl", 1024, 5.0),
        ("AuraFlowPipeline", {}, "auraflow", 512, 3.5),
    ],
)
def test_a_folder_without_a_card_is_described_by_its_configuration(
    tmp_path: Path,
    make_model: MakeModel,
    pipeline: str,
    unet: dict[str, object],
    family: str,
    side: int,
    cfg_scale: float,
) -> None:
    make_model(tmp_path / "some", pipeline, unet)
    info = ModelRegistry((tmp_path,)).get_model("some")
    assert (info.family, info.width, info.height, info.cfg_scale) == (family, side, side, cfg_scale)
    assert (info.multiple, info.upscaler) == (8, "realesr-general-x4v3")


@pytest.mark.parametrize(
    ("pipeline", "message", "cfg_rescale"),
    [
        ("StableDiffusionPipeline", {"rescale_betas_zero_snr": True}, 0.7),
        ("StableDiffusionXLPipeline", {"rescale_betas_zero_snr": True}, 0.7),
        ("StableDiffusionPipeline", {"rescale_betas_zero_snr": False}, 0),
        ("StableDiffusionPipeline", {}, 0),
        ("CogView3PlusPipeline", {"rescale_betas_zero_snr": True}, 0),
    ],
)
def test_models_of_zero_terminal_snr_have_their_guidance_rescaled(
    tmp_path: Path,
    make_model: MakeModel,
    pipeline: str,
    message: dict[str, bool],
    cfg_rescale: float,
) -> None:
    make_model(tmp_path / "some", pipeline)
    path = tmp_path / "some" / "scheduler" / "scheduler_config.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(message))
    assert ModelRegistry((tmp_path,)).get_model("some").cfg_rescale == cfg_rescale
    (tmp_path / "some" / "card.toml").write_text("cfg_rescale = 0.4")
    assert ModelRegistry((tmp_path,)).get_model("some").cfg_rescale == 0.4


@pytest.mark.parametrize("row", [{"a" * 3000: ["diffusers", "X"]}, {"a": ["b" * 3000, "X"]}])
def test_names_that_no_file_can_have_are_no_reason_to_end(
    tmp_path: Path, make_model: MakeModel, row: dict[str, list[str]]
) -> None:
    make_model(tmp_path / "some")
    index = tmp_path / "some" / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | row))
    assert [info.name for info in ModelRegistry((tmp_path,)).list_models()] == ["some"]


@pytest.mark.parametrize("given", ["", "hub", "hub/models--some--one"])
def test_the_hubs_cache_is_a_models_folder(
    tmp_path: Path, make_model: MakeModel, given: str
) -> None:
    """The cache itself, the folder above it, or one repository in it: the snapshot of its branch
    main, whose files are links."""
    one = tmp_path / "hub" / "models--some--one"
    for commit, side in (("a1", 64), ("b2", 32), ("c3", 16)):
        make_model(one / "snapshots" / commit, unet={"sample_size": side})
    (one / "refs").mkdir()
    (one / "refs" / "main").write_text("b2")
    write(one / "blob", SD1)
    file = tmp_path / "hub" / "models--some--file" / "snapshots" / "d4"
    file.mkdir(parents=True)
    (file / "v1.safetensors").symlink_to(one / "blob")
    make_model(tmp_path / "hub" / "models--other--one" / "snapshots" / "e5")
    registry = ModelRegistry((tmp_path / given,))
    found = {info.name: info.path for info in registry.list_models()}
    assert registry.check_models() == ()
    if given.endswith("one"):
        assert found == {"one": one / "snapshots" / "b2"}
        return
    assert found["some--one"] == one / "snapshots" / "b2"
    assert found["v1"] == file / "v1.safetensors"
    assert found["one"].parent.parent.name == "models--other--one"
    assert registry.get_model("some--one").width == 256


def test_the_newest_snapshot_is_taken_where_no_branch_is_named(
    tmp_path: Path, make_model: MakeModel
) -> None:
    snapshots = tmp_path / "models--some--one" / "snapshots"
    for age, commit in enumerate(("b2", "a1", "c3")):
        make_model(snapshots / commit)
        os.utime(snapshots / commit, (1000 - age, 1000 - age))
    assert ModelRegistry((tmp_path,)).get_model("one").path == snapshots / "b2"


def test_suffixes_are_read_in_any_case(tmp_path: Path) -> None:
    write(tmp_path / "v1.SAFETENSORS", SD1)
    (tmp_path / "VAE").mkdir()
    write(tmp_path / "VAE" / "some.SafeTensors", {"decoder.conv_in.weight": (4, 4, 3, 3)})
    registry = ModelRegistry((tmp_path,))
    assert [info.name for info in registry.list_models()] == ["v1"]
    assert registry.list_vaes() == ("some",)


def test_what_cannot_be_a_model_is_listed_with_the_reason(
    tmp_path: Path, make_model: MakeModel
) -> None:
    make_model(tmp_path / "good")
    (tmp_path / "away.safetensors").symlink_to(tmp_path / "moved" / "v1.safetensors")
    (tmp_path / "folder").symlink_to(tmp_path / "nowhere")
    (tmp_path / "notes.txt").symlink_to(tmp_path / "nowhere")
    (tmp_path / "coder-Q4.GGUF").write_bytes(gguf("starcoder", WORDS))
    registry = ModelRegistry((tmp_path,))
    message = registry.check_models()
    assert [info.name for info in registry.list_models()] == ["good"]
    assert len(message) == 3
    assert "coder-Q4.GGUF is a GGUF file of “starcoder”, not a model" in message[0]
    assert f"away.safetensors is a link to {tmp_path / 'moved' / 'v1.safetensors'}" in message[1]
    assert "folder is a link to" in message[2]
    with pytest.raises(ModelError, match="is a link to"):
        registry.get_model("away")
    with pytest.raises(ModelError, match="a GGUF file of “starcoder”"):
        registry.get_model("coder-Q4")


def test_a_variant_is_seen_by_what_the_denoiser_takes(
    tmp_path: Path, make_model: MakeModel
) -> None:
    for name, channels in {"inpainting": 9, "depth": 5, "": 4, "none": [3]}.items():
        make_model(tmp_path / f"m{name}", unet={"in_channels": channels})
    registry = ModelRegistry((tmp_path,))
    assert registry.get_model("minpainting").variant == "inpainting"
    assert [info.variant for info in registry.list_models()] == ["", "depth", "inpainting", ""]


def test_home_size_follows_the_vae_and_may_be_oblong(tmp_path: Path, make_model: MakeModel) -> None:
    make_model(
        tmp_path / "some", unet={"sample_size": [32, 48]}, vae={"block_out_channels": [8, 8, 8]}
    )
    info = ModelRegistry((tmp_path,)).get_model("some")
    assert (info.height, info.width, info.multiple) == (128, 192, 4)


@pytest.mark.parametrize("sample_size", [0, -8, 10**12, "64", [64], [64, 10**9], None, 1e999])
def test_a_configuration_that_says_nonsense_says_nothing(
    tmp_path: Path, make_model: MakeModel, sample_size: object
) -> None:
    make_model(tmp_path / "some", unet={"sample_size": sample_size}, vae={"block_out_channels": []})
    make_model(tmp_path / "deep", vae={"block_out_channels": [1] * 500})
    info = ModelRegistry((tmp_path,)).get_model("some")
    assert (info.width, info.height, info.multiple) == (512, 512, 8)
    assert ModelRegistry((tmp_path,)).get_model("deep").multiple == 8
    (tmp_path / "deep" / "model_index.json").write_text("[" * 100_000)
    assert "cannot be read" in ModelRegistry((tmp_path,)).check_models()[0]


def test_a_card_goes_before_the_configuration(tmp_path: Path, make_model: MakeModel) -> None:
    make_model(tmp_path / "some", card=CARD)
    registry = ModelRegistry((tmp_path,))
    info = registry.get_model("some")
    assert (info.description, info.width, info.height) == ("shapes", 256, 192)
    assert (info.steps, info.cfg_scale, info.multiple, info.upscaler) == (20, 4.0, 16, "tiny-x4")
    assert info.sampler == "dpmpp_2m"  # an alias, read as on a line
    assert info.preview == LatentRgbFactors(
        matrix=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.5, 0.5, 0.5)),
        bias=(0.0, 0.25, 0.0),
    )
    assert registry.check_models() == ()


def test_models_toml_goes_before_the_card_key_by_key(tmp_path: Path, make_model: MakeModel) -> None:
    near, far = tmp_path / "near", tmp_path / "far"
    make_model(far / "some", card=CARD)
    near.mkdir()
    (near / "models.toml").write_text("[models.some]\nsteps = 5\n", "utf-8")
    (far / "models.toml").write_text("[models.some]\nsteps = 9\ncfg_scale = 2\n", "utf-8")
    info = ModelRegistry((near, far)).get_model("some")
    assert (info.steps, info.cfg_scale, info.width) == (5, 2.0, 256)


def test_broken_entries_are_complained_about_and_the_rest_is_used(
    tmp_path: Path, make_model: MakeModel
) -> None:
    make_model(tmp_path / "some", card="steps = 0\nwidth = 320\n[preview]\nmatrix = [[1, 2]]\n")
    make_model(tmp_path / "torn")
    (tmp_path / "torn" / "model_index.json").write_text("{", "utf-8")
    (tmp_path / "models.toml").write_text(
        '[models.some]\nsampler = "best"\nspeed = 3\nsteps = true\nheight = 640\n'
        "[models.gone]\nsteps = 3\n[models.odd]\ndefault = 1\n",
        "utf-8",
    )
    registry = ModelRegistry((tmp_path,))
    assert [info.name for info in registry.list_models()] == ["some"]
    info = registry.get_model("some")
    assert (info.steps, info.width, info.height, info.preview) == (30, 320, 640, None)
    complaints = "\n".join(registry.check_models())
    for part in (
        "card.toml: steps = 0, but it takes a whole number from 1 to 1000",
        "card.toml: [preview] takes matrix",
        "[models.some]: sampler = 'best', but it takes one of",
        "[models.some]: unknown key speed; the keys are",
        "[models.some]: steps = True, but it takes",
        "[models.gone] is in none of the models folders",
        "[models.odd]: default = 1, but it takes true or false",
        "torn/model_index.json cannot be read",
    ):
        assert part in complaints
    with pytest.raises(ModelError, match=r"model_index\.json cannot be read"):
        registry.get_model("torn")


@pytest.mark.parametrize("text", ["models = 3", "[models]\nsome = 3", "[models.some", "\x00"])
def test_a_models_toml_of_any_shape_never_stops_the_shelf(
    tmp_path: Path, make_model: MakeModel, text: str
) -> None:
    make_model(tmp_path / "some")
    (tmp_path / "models.toml").write_text(text, "utf-8")
    registry = ModelRegistry((tmp_path,))
    assert registry.get_model("some").steps == 30
    assert len(registry.check_models()) == 1 and "models.toml" in registry.check_models()[0]


def test_the_first_folder_wins(tmp_path: Path, make_model: MakeModel) -> None:
    make_model(tmp_path / "a" / "some")
    make_model(tmp_path / "b" / "some", card=CARD)
    assert ModelRegistry((tmp_path / "a", tmp_path / "b")).get_model("some").width == 512
    assert ModelRegistry((tmp_path / "b", tmp_path / "a")).get_model("some").width == 256


def test_a_path_is_as_good_as_a_name(
    tmp_path: Path, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_model(tmp_path / "models" / "some")
    make_model(tmp_path / "elsewhere" / "other")
    registry = ModelRegistry((tmp_path / "models",))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert registry.get_model("models/some").name == "some"
    for spelling in ("elsewhere/other", "~/elsewhere/other", str(tmp_path / "elsewhere/other")):
        info = registry.get_model(spelling)
        assert info.name == str(tmp_path / "elsewhere" / "other")
        assert registry.get_model(info.name) == info


def test_a_model_that_is_not_there_is_answered_with_near_names_and_places(
    tmp_path: Path, make_model: MakeModel
) -> None:
    make_model(tmp_path / "tiny")
    with pytest.raises(ModelError) as caught:
        ModelRegistry((tmp_path,)).get_model("Tinny")
    message = str(caught.value)
    assert message == f'there is no model "Tinny" in {tmp_path} (did you mean tiny?)'
    with pytest.raises(ModelError, match="did you mean tiny"):
        ModelRegistry((tmp_path,)).get_model("tinyy.safetensors")
    with pytest.raises(ModelError, match="to download it: !import_model runwayml/old@fp16"):
        ModelRegistry((tmp_path,)).get_model("runwayml/old@fp16")


def test_a_mistyped_path_is_not_taken_for_an_id_of_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    for path in ("models/nosuch", "mine/nosuch.safetensors", "mine/nosuch.ckpt", "mine/x.vae.pt"):
        with pytest.raises(ModelError) as caught:
            ModelRegistry((tmp_path,)).get_model(path)
        assert "!import_model" not in str(caught.value)


def test_what_models_toml_names_is_listed_once_and_found_by_its_file_s_name_too(
    tmp_path: Path, make_model: MakeModel
) -> None:
    make_model(tmp_path / "paint")
    (tmp_path / "models.toml").write_text('[models.one]\npath = "paint"\nsteps = 7\n')
    registry = ModelRegistry((tmp_path,))
    assert [info.name for info in registry.list_models()] == ["one"]
    assert (registry.get_model("paint").name, registry.get_model("paint").steps) == ("one", 7)
    message = '[models.paint]\nsteps = 9\n[models.one]\npath = "paint"\n'
    (tmp_path / "models.toml").write_text(message)
    assert [info.name for info in registry.list_models()] == ["one", "paint"], "somebody named both"
    (tmp_path / "models.toml").write_text('[models.averages]\npath = "paint"\nema = true\n')
    assert [info.name for info in registry.list_models()] == ["averages", "paint"], (
        "two models in one file"
    )


@pytest.mark.parametrize(
    "name", ["", ".", "..", "x" * 5000, "x" * 5000 + "/y", "a\x00b", "~nobody-here/x", "/"]
)
def test_words_that_are_no_model_are_a_model_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError):
        ModelRegistry((tmp_path,)).get_model(name)
    with pytest.raises(ModelError):
        ModelRegistry((tmp_path,)).get_upscaler(name)


def test_a_file_or_another_folder_is_said_to_be_no_model(tmp_path: Path) -> None:
    (tmp_path / "v1.ckpt").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    registry = ModelRegistry((tmp_path,))
    with pytest.raises(ModelError, match=r"v1\.ckpt"):
        registry.get_model(str(tmp_path / "v1.ckpt"))
    with pytest.raises(ModelError, match=r"it has no model_index\.json"):
        registry.get_model(str(tmp_path / "empty"))


def test_the_default_is_what_models_toml_says_else_tiny_else_what_there_is(
    tmp_path: Path, make_model: MakeModel
) -> None:
    registry = ModelRegistry((tmp_path,))
    with pytest.raises(ModelError, match="there is no model in"):
        registry.get_default_model()
    make_model(tmp_path / "some")
    assert registry.get_default_model() == "some"
    make_model(tmp_path / "tiny")
    assert registry.get_default_model() == "tiny"
    (tmp_path / "models.toml").write_text(
        "[models.gone]\ndefault = true\n[models.some]\ndefault = true\n", "utf-8"
    )
    assert registry.get_default_model() == "some"
    assert registry.find_model(None) == registry.get_model("some") == registry.find_model("some")
    assert registry.find_model("tiny").name == "tiny"
    assert any("gone and some are marked as default" in line for line in registry.check_models())


# ── upscalers ──────────────────────────────────────────────────────────────────────────────────


def test_known_upscalers_have_official_addresses_and_published_checksums() -> None:
    infos = [row.info_at(Path("x")) for row in KNOWN_UPSCALERS]
    assert (infos[0].name, infos[0].url) == ("tiny-x4", "")
    for info in infos[1:-1]:
        assert info.url.startswith("https://github.com/xinntao/Real-ESRGAN/releases/download/v0.")
        assert info.url.endswith(f"/{info.name}.pth")
        assert len(bytes.fromhex(info.sha256)) == 32
        assert info.size > 4_000_000


def test_a_known_upscaler_is_promised_in_the_first_writable_folder(tmp_path: Path) -> None:
    registry = ModelRegistry((tmp_path / "later",))
    info = registry.get_upscaler("RealESRGAN_x4plus")
    assert info.path == tmp_path / "later" / "upscalers" / "RealESRGAN_x4plus.pth"
    assert not info.is_on_disk
    assert "tiny-x4" not in [info.name for info in registry.list_upscalers()]
    with pytest.raises(ModelError, match="tiny-x4 comes with dream, but it is not in"):
        registry.get_upscaler("tiny-x4")


def test_files_on_disk_are_found_by_name(tmp_path: Path) -> None:
    for place in (
        "upscalers/mine.safetensors",
        "upscalers/RealESRGAN_x4plus.pth",
        "tiny-x4/tiny-x4.pth",
    ):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        write(tmp_path / place, ESRGAN)
    (tmp_path / "upscalers" / "half.pth.part").write_bytes(b"")
    write(tmp_path / "tiny-x4" / "other.pth", ESRGAN)
    registry = ModelRegistry((tmp_path,))
    assert [info.name for info in registry.list_upscalers()][:3] == [
        "tiny-x4",
        "RealESRGAN_x4plus",
        "mine",
    ]
    assert [info.is_on_disk for info in registry.list_upscalers()] == [True] * 3 + [False] * 4
    assert registry.get_upscaler("mine").path == tmp_path / "upscalers" / "mine.safetensors"
    assert registry.get_upscaler("RealESRGAN_x4plus").is_on_disk
    assert registry.get_upscaler(str(tmp_path / "tiny-x4" / "tiny-x4.pth")).name == "tiny-x4"
    outside = tmp_path / "tiny-x4" / "other.pth"
    assert registry.get_upscaler(str(outside)).name == str(outside)


@pytest.mark.parametrize("suffix", [".pth", ".PTH", ".pt", ".ckpt", ".bin", ".SAFETENSORS"])
def test_upscalers_are_found_by_whatever_suffix_and_judged_by_content(
    tmp_path: Path, suffix: str
) -> None:
    (tmp_path / "upscalers").mkdir()
    write(tmp_path / "upscalers" / f"good{suffix}", ESRGAN)
    write(tmp_path / "upscalers" / f"lora{suffix}", {"lora_unet_x.lora_up.weight": (4, 8)})
    (tmp_path / "upscalers" / f"page{suffix}").write_text("<html>")
    registry = ModelRegistry((tmp_path,))
    assert architecture_of(registry.get_upscaler("good")) == "ESRGAN"
    with pytest.raises(ModelError, match="is a LoRA, not an upscaler"):
        registry.get_upscaler("lora")
    with pytest.raises(ModelError, match="is a web page"):
        registry.get_upscaler(str(tmp_path / "upscalers" / f"page{suffix}"))


def test_a_folder_that_enlarges_is_an_upscaler_and_no_model(
    tmp_path: Path, make_model: MakeModel
) -> None:
    places = (tmp_path / "beside", tmp_path / "upscalers" / "inside", tmp_path / "my" / "own")
    for place in places:
        make_model(place, "StableDiffusionUpscalePipeline")
    registry = ModelRegistry((tmp_path,))
    assert registry.list_models() == () and not registry.check_models()
    for name, path in zip(("beside", "inside", str(places[2])), places, strict=True):
        info = registry.get_upscaler(name)
        assert (info.name, info.path, info.diffusion, info.is_on_disk) == (name, path, True, True)
    with pytest.raises(ModelError, match="--upscaler"):
        registry.get_model(str(places[2]))


def test_the_known_diffusion_upscaler_is_fetched_or_found_by_its_name_on_the_hub(
    tmp_path: Path, make_model: MakeModel
) -> None:
    info = ModelRegistry((tmp_path,)).get_upscaler("x4-diffusion")
    assert (info.diffusion, info.is_on_disk, info.path.name) == (True, False, "x4-diffusion")
    make_model(tmp_path / info.url.rpartition("/")[2], "StableDiffusionUpscalePipeline")
    assert ModelRegistry((tmp_path,)).get_upscaler("x4-diffusion").is_on_disk


def test_an_unknown_upscaler_is_answered_with_near_names(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"did you mean RealESRGAN_x4plus"):
        ModelRegistry((tmp_path,)).get_upscaler("realesrgan_x4")


# ── places ─────────────────────────────────────────────────────────────────────────────────────


def test_the_places_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    shipped = get_shipped_models_dir()
    assert find_models_dirs() == (*_data(tmp_path), shipped)
    (tmp_path / "models").mkdir()
    (tmp_path / "mine").mkdir()
    assert find_models_dirs("mine") == (
        tmp_path / "mine",
        tmp_path / "models",
        *_data(tmp_path),
        shipped,
    )
    (tmp_path / "yours, too").mkdir()
    assert find_models_dirs("yours, too")[0] == tmp_path / "yours, too"
    (tmp_path / "b").mkdir()
    assert find_models_dirs("mine,b")[:2] == (tmp_path / "mine", tmp_path / "b")
    assert find_models_dirs("models")[:1] == (tmp_path / "models",)
    assert len(find_models_dirs("models")) == 3
    with pytest.raises(BadSetting, match="--models_dir: there is no folder nowhere"):
        find_models_dirs("nowhere")


def test_the_environment_names_models_folders_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mine, theirs, local = (tmp_path / name for name in ("mine", "theirs", "models"))
    for folder in (mine, theirs, local):
        folder.mkdir()
    monkeypatch.setenv("DREAM_MODELS_DIR", "theirs")
    assert find_models_dirs("mine")[:3] == (mine, theirs, local)
    monkeypatch.setenv("DREAM_MODELS_DIR", "gone")
    with pytest.raises(BadSetting, match="DREAM_MODELS_DIR: there is no folder"):
        find_models_dirs("mine")


def _data(tmp_path: Path) -> tuple[Path, ...]:
    from platformdirs import user_data_path

    return (user_data_path("dream", appauthor=False) / "models",)


def test_the_shipped_folder_of_a_checkout_is_at_its_top() -> None:
    assert (get_shipped_models_dir() / "models.toml").is_file()


def test_a_shipped_models_toml_has_no_complaints(tmp_path: Path, make_model: MakeModel) -> None:
    make_model(tmp_path / "tiny")
    text = (get_shipped_models_dir() / "models.toml").read_text("utf-8")
    (tmp_path / "models.toml").write_text(text, "utf-8")
    assert ModelRegistry((tmp_path,)).check_models() == ()
    examples = [line[2:] for line in text.splitlines() if " = " in line and line.startswith("# ")]
    uncommented = "[models.tiny]\n" + "\n".join(line.split("   ")[0] for line in examples)
    (tmp_path / "models.toml").write_text(uncommented, "utf-8")
    assert ModelRegistry((tmp_path,)).check_models() == ()
    assert ModelRegistry((tmp_path,)).get_default_model() == "tiny"


def test_a_folder_that_cannot_be_written_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked, free = tmp_path / "locked", tmp_path / "free"
    for folder in (locked, free):
        folder.mkdir()
    # As the system would answer; root, whom nothing is forbidden, may be running this.
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != locked)
    assert find_writable_dir((locked / "deeper", free)) == free
    assert find_writable_dir((locked,)) == locked


def test_a_file_is_no_place_to_put_things(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(json.dumps(None))
    assert find_writable_dir((tmp_path / "file" / "models", tmp_path / "free")) == tmp_path / "free"
