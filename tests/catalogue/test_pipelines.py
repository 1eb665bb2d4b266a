"""Folders whose pipelines paint nothing from words: refused where they are listed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dream.catalogue import ModelRegistry
from dream.catalogue.pipeline_support import check_supported
from dream.core.errors import ModelError
from dream.engine.silence_libraries import silence_libraries

REFUSED = {
    "OnnxStableDiffusionPipeline": "does not use PyTorch",
    "FlaxStableDiffusionPipeline": "does not use PyTorch",
    "StableDiffusionXLInstructPix2PixPipeline": "edits images",
    "StableDiffusionInstructPix2PixPipeline": "edits images",
    "StableVideoDiffusionPipeline": "generates videos",
    "AnimateDiffPipeline": "generates videos",
    "WanPipeline": "generates videos",
    "LTXPipeline": "generates videos",
    "HeliosPipeline": "generates videos",
    "AudioLDM2Pipeline": "generates audio",
    "StableDiffusionControlNetPipeline": "needs a control image",
    "StableDiffusionXLControlNetUnionPipeline": "needs a control image",
    "FluxControlPipeline": "needs a control image",
    "ZImageControlNetInpaintPipeline": "needs a control image",
    "StableDiffusionLatentUpscalePipeline": "upscales images",
    "IFPipeline": "three models",
    "IFSuperResolutionPipeline": "upscales images",
    "KandinskyV22PriorPipeline": "embeddings for another model",
    "KandinskyV22Pipeline": "several models",
    "Kandinsky3Pipeline": "another latent format",
    "KandinskyCombinedPipeline": "several models",
    "WuerstchenDecoderPipeline": "several models",
    "StableCascadeCombinedPipeline": "several models",
    "StableDiffusion3PAGPipeline": "fails in diffusers",
    "GlmImagePipeline": "vision-language processor",
    "NucleusMoEImagePipeline": "vision-language processor",
    "QwenImage21Pipeline": "vision-language processor",
    "Ideogram4Pipeline": "second denoiser",
    "PRXPipeline": "not been tested",
    "FancyNewPipeline": "is not supported by dream",
    "": "does not name a diffusers pipeline",
}

SEEN_TO_PAINT = {
    *("StableDiffusion", "StableDiffusionXL", "StableDiffusion3", "LatentConsistencyModel"),
    *("StableDiffusionPAG", "StableDiffusionXLPAG", "HunyuanDiTPAG", "SanaPAG", "PixArtSigmaPAG"),
    *("HunyuanDiT", "Sana", "PixArtAlpha", "PixArtSigma", "AuraFlow", "Chroma", "OvisImage"),
    *(
        "Flux",
        "FluxFill",
        "FluxKontext",
        "Flux2",
        "Flux2Klein",
        "HiDreamImage",
        "QwenImage",
        "QwenImageEdit",
        "QwenImageEditPlus",
        "ZImage",
        "ZImageOmni",
    ),
    *("Lumina", "Lumina2", "CogView3Plus", "CogView4", "Krea2", "Kolors", "KolorsPAG"),
}
"""Of the mapping of AutoPipelineForText2Image."""


def folder_of(path: Path, pipeline: object, channels: int = 4) -> Path:
    for part in ("unet", "vae"):
        (path / part).mkdir(parents=True)
    (path / "unet" / "config.json").write_text(json.dumps({"in_channels": channels}))
    (path / "vae" / "config.json").write_text(json.dumps({"latent_channels": 4}))
    (path / "model_index.json").write_text(json.dumps({"_class_name": pipeline}))
    return path


@pytest.mark.parametrize("pipeline", REFUSED)
def test_what_paints_nothing_is_refused_when_it_is_listed(tmp_path: Path, pipeline: str) -> None:
    folder = folder_of(tmp_path / "m", pipeline)
    registry = ModelRegistry([tmp_path])
    with pytest.raises(ModelError, match=REFUSED[pipeline]):
        registry.get_model("m")
    assert registry.list_models() == ()
    assert [str(folder) in complaint for complaint in registry.check_models()] == [True]


def test_a_class_that_a_folder_brings_itself(tmp_path: Path) -> None:
    folder_of(tmp_path / "m", ["pipeline_mine", "Mine"])
    with pytest.raises(ModelError, match="includes as code"):
        ModelRegistry([tmp_path]).get_model("m")


@pytest.mark.parametrize("channels", [4, 5, 9])
def test_denoisers_of_words_depth_and_masks_are_taken(tmp_path: Path, channels: int) -> None:
    folder_of(tmp_path / "m", "StableDiffusionPipeline", channels)
    assert ModelRegistry([tmp_path]).get_model("m").family == "sd1"


@pytest.mark.parametrize("channels", [3, 8, 12])
def test_denoisers_of_other_channels_are_refused(tmp_path: Path, channels: int) -> None:
    folder_of(tmp_path / "m", "StableDiffusionPipeline", channels)
    with pytest.raises(ModelError, match=f"takes {channels} channels"):
        ModelRegistry([tmp_path]).get_model("m")


def test_every_pipeline_that_diffusers_paints_from_words_with_is_judged() -> None:
    """Each is among those that are seen to paint in tests/engine/test_families.py and elsewhere,
    or it is said what it is for instead. A new one is refused until it is added here."""
    with silence_libraries():  # the import of Kolors warns
        from diffusers.pipelines.auto_pipeline import AUTO_TEXT2IMAGE_PIPELINES_MAPPING as KNOWN

    render = set()
    for kind in KNOWN.values():
        try:
            check_supported(Path("m"), kind.__name__, {}, {})
            render.add(kind.__name__.removesuffix("Pipeline"))
        except ModelError as error:
            assert "is not supported by dream" not in str(error), kind.__name__
    assert render <= SEEN_TO_PAINT
