"""Looks at unfinished images."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny, FluxPipeline
from diffusers.configuration_utils import FrozenDict

from dream.catalogue.model_info import LatentRgbFactors, ModelInfo
from dream.catalogue.taesd import find_decoder
from dream.core.events import Note, Preview
from dream.engine.interface import Progress
from dream.engine.sampling.latent_rgb_factors import RGB_FACTORS
from dream.engine.sampling.preview import (
    Previewers,
    ThrottledPreview,
    get_rgb_factors,
    make_linear_previewer,
)
from dream.engine.sampling.preview_fit import fit_rgb_factors
from dream.engine.sampling.schedulers import make_scheduler, predict_x0
from dream.engine.sampling.step_callback import StepCallback
from dream.engine.silence_libraries import silence_libraries
from dream.options.family_table import FAMILIES, get_family
from dream.options.sampler_table import SAMPLERS

RED_GREEN_BLUE = LatentRgbFactors(
    matrix=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.0, 0.0, 0.0)),
    bias=(0.0, 0.0, -1.0),
)


def test_each_latent_becomes_its_colour() -> None:
    latents = torch.zeros(1, 4, 2, 3)
    latents[0, 0, 0, 0] = 1.0  # red, top left
    latents[0, 1, 1, 2] = -9.0  # as little green as there is, bottom right
    preview = make_linear_previewer(RED_GREEN_BLUE)(latents)
    assert preview is not None
    assert (preview.width, preview.height) == (3, 2)
    assert preview.rgb[:6] == bytes([255, 128, 0, 128, 128, 0])
    assert preview.rgb[-3:] == bytes([128, 0, 0])


def test_latents_of_another_kind_are_not_shown() -> None:
    assert make_linear_previewer(RED_GREEN_BLUE)(torch.zeros(1, 16, 2, 2)) is None


def test_a_models_own_map_goes_before_its_familys() -> None:
    info = ModelInfo(name="m", path=Path(), preview=RED_GREEN_BLUE)
    assert get_rgb_factors(info) is RED_GREEN_BLUE
    assert get_rgb_factors(ModelInfo(name="m", path=Path(), family="other")) is None


CHANNELS = {"sd1": 4, "sdxl": 4, "sd3": 16, "flux": 16, "flux2": 32, "qwen": 16}


@pytest.mark.parametrize("family", [row.key for row in FAMILIES if row.space in RGB_FACTORS])
def test_every_familys_map_fits_its_latents(family: str) -> None:
    through = get_rgb_factors(ModelInfo(name="m", path=Path(), family=family))
    assert through is not None and set(CHANNELS) == set(RGB_FACTORS)
    channels = CHANNELS[get_family(family).space]
    assert make_linear_previewer(through)(torch.zeros(1, channels, 2, 2)) is not None


def test_a_look_that_fails_is_the_last_and_the_picture_goes_on() -> None:
    def previewer(latents: torch.Tensor) -> Preview | None:
        raise IndexError("no such channel")

    reported: list[object] = []
    glances = ThrottledPreview(previewer, 8, 8)
    steps = StepCallback(2, torch.float32, reported.append, glances)
    latents = torch.zeros(1, 4, 1, 1)
    pipe = SimpleNamespace(scheduler=None, num_timesteps=2)
    for index in range(2):
        assert steps(pipe, index, 0, {"latents": latents})["latents"] is latents
    note, *progress = reported
    assert note == Note(text="previews are off for this image: no such channel")
    assert [(one.step, one.preview) for one in progress if isinstance(one, Progress)] == [
        (1, None),
        (2, None),
    ]


@dataclass
class Clock:
    """Time goes on when it is told to."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Pipe:
    """What a look needs of a pipeline."""

    scheduler: object = None
    vae_scale_factor: int = 8
    _unpack_latents = staticmethod(FluxPipeline._unpack_latents)


def test_at_most_a_hundredth_of_the_time_goes_into_looking() -> None:
    clock, times = Clock(), list[float]()

    def previewer(latents: torch.Tensor) -> Preview:
        times.append(clock.now)
        clock.now += 0.02
        return Preview(1, 1, b"   ")

    glances = ThrottledPreview(previewer, 8, 8, clock)
    while clock.now < 10:
        glances.after_step(Pipe(), torch.zeros(1, 4, 1, 1))
        clock.now += 0.05
    assert times[0] == 0.0
    assert all(later - earlier >= 2.0 for earlier, later in pairwise(times))
    assert len(times) >= 4


def test_a_quick_look_is_taken_a_few_times_a_second() -> None:
    clock = Clock()
    glances = ThrottledPreview(make_linear_previewer(RED_GREEN_BLUE), 8, 8, clock)
    seen = []
    for _ in range(100):
        clock.now += 0.01
        seen.append(glances.after_step(Pipe(), torch.zeros(1, 4, 1, 1)))
    assert [*filter(None, seen)] == [Preview(1, 1, b"\x80\x80\x00")] * 4


def test_the_packed_latents_of_flux_are_unpacked() -> None:
    through = make_linear_previewer(RGB_FACTORS["flux"])
    preview = ThrottledPreview(through, 48, 32).after_step(Pipe(), torch.zeros(1, 6, 64))
    assert preview is not None
    assert (preview.width, preview.height) == (6, 4)


def test_a_tiny_decoder_among_the_models_is_used(tmp_path: Path) -> None:
    one = (4,) * 2
    decoder = AutoencoderTiny(
        encoder_block_out_channels=one,
        decoder_block_out_channels=one,
        num_encoder_blocks=(1, 1),
        num_decoder_blocks=(1, 1),
    )
    decoder.save_pretrained(tmp_path / "taesd")
    info = ModelInfo(name="m", path=Path(), family="sd2")
    notes: list[object] = []
    previewers = Previewers(lambda family: find_decoder(family, [tmp_path / "none", tmp_path]))
    previewer = previewers.for_model(info, "cpu", notes.append)
    assert previewer is previewers.for_model(info, "cpu", notes.append)
    assert previewer is not None
    latents = torch.randn(1, 4, 40, 100)
    preview = previewer(latents)
    assert preview is not None
    assert (preview.width, preview.height) == (100, 40)
    preview = previewer(torch.randn(1, 4, 80, 200))
    assert preview is not None
    assert (preview.width, preview.height) == (100, 40)
    (tmp_path / "taesd" / "config.json").write_text("{")
    previewer = Previewers(lambda family: tmp_path / "taesd").for_model(info, "cpu", notes.append)
    assert len(notes) == 1
    assert previewer is not None
    preview = previewer(latents)
    assert preview is not None
    assert preview.rgb == make_linear_previewer(RGB_FACTORS["sd1"])(latents).rgb  # type: ignore[union-attr]


def test_the_clean_estimate_of_every_sampler_finds_the_picture() -> None:
    """A network that knows the noise: whatever the sampler, the estimate is the clean latents."""
    config = {
        "num_train_timesteps": 1000,
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
    }
    source = torch.Generator().manual_seed(1)
    clean, noise = torch.randn(2, 1, 4, 8, 8, generator=source)
    for name in SAMPLERS:
        for kind in ("epsilon", "v_prediction"):
            with silence_libraries():
                scheduler = make_scheduler(
                    name, {**config, "prediction_type": kind}, 10, torch.float32
                )
                assert predict_x0(scheduler) is None
                scheduler.set_timesteps(10)
            at = scheduler.timesteps[0]
            level = scheduler.alphas_cumprod[round(float(at))]
            start = scheduler.add_noise(clean, noise, at[None])
            seen = scheduler.scale_model_input(start, at)
            assert torch.allclose(
                seen, level.sqrt() * clean + (1 - level).sqrt() * noise, atol=1e-4
            )
            velocity = level.sqrt() * noise - (1 - level).sqrt() * clean
            scheduler.step(noise if kind == "epsilon" else velocity, at, start)
            estimate = predict_x0(scheduler)
            assert estimate is not None
            assert torch.allclose(estimate, clean, atol=1e-4), name


def test_flux_2_s_latents_are_seen_as_its_pipeline_decodes_them(tmp_path: Path) -> None:
    from dream.engine.sampling.intermediates import _as_image, decode_latents
    from dream.engine.sampling.preview import unpack_latents
    from dream.engine.silence_libraries import silence_libraries
    from tests.random_split import make_flux2

    with silence_libraries(), torch.random.fork_rng():
        torch.manual_seed(0)
        pipe = make_flux2(tmp_path)
        pipe.vae.bn.running_mean.normal_()
        pipe.vae.bn.running_var.uniform_(0.5, 2)
        packed = torch.randn(1, 4 * 5, 32)
    seen = unpack_latents(pipe, packed, 64, 80)
    assert seen is not None and seen.shape == (1, 8, 8, 10)
    ids = pipe._prepare_latent_ids(torch.zeros(1, 32, 4, 5))
    squares = pipe._unpack_latents_with_ids(packed, ids, 4, 5)
    assert torch.equal(seen, pipe._unpatchify_latents(squares))
    norm = pipe.vae.bn
    deviation = torch.sqrt(norm.running_var + pipe.vae.config.batch_norm_eps).view(1, -1, 1, 1)
    wanted = pipe._unpatchify_latents(squares * deviation + norm.running_mean.view(1, -1, 1, 1))
    with torch.no_grad():
        image = pipe.image_processor.postprocess(pipe.vae.decode(wanted).sample, "pil")[0]
    shown = np.asarray(_as_image(decode_latents(pipe.vae, seen))).astype(int)
    assert abs(shown - np.asarray(image)).max() <= 1


def test_a_matrix_is_fitted_where_none_is_known() -> None:
    """A decoder that is linear, of 4 latents to pixels four times as large."""

    class Linear:
        config = FrozenDict({"latent_channels": 4, "scaling_factor": 0.5})
        dtype, device = torch.float32, torch.device("cpu")

        def decode(self, latents: torch.Tensor, return_dict: bool) -> tuple[torch.Tensor]:
            image = torch.einsum("bchw,cd->bdhw", latents, matrix) + 0.25
            return (image.repeat_interleave(4, 2).repeat_interleave(4, 3),)

    matrix = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    before = torch.random.get_rng_state()
    fitted = fit_rgb_factors(SimpleNamespace(vae=Linear()))
    assert fitted is not None
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.tensor(fitted.matrix).allclose(matrix / 0.5, atol=1e-5)
    assert torch.tensor(fitted.bias).allclose(torch.tensor(0.25), atol=1e-5)
    assert fit_rgb_factors(SimpleNamespace(vae=None)) is None


def test_it_is_fitted_once_for_a_model_and_a_failure_shows_nothing() -> None:
    fitted: list[object] = []

    def fit(pipe: object) -> LatentRgbFactors:
        fitted.append(pipe)
        if pipe is None:
            raise RuntimeError("out of memory")
        return RED_GREEN_BLUE

    previewers = Previewers(lambda family: None, fit)
    sana, other = (ModelInfo(name=n, path=Path(n), family="sana") for n in ("a", "b"))
    for _ in range(2):
        assert previewers.for_model(sana, "cpu", print, "pipe") is not None
        assert previewers.for_model(other, "cpu", print, None) is None
    known = ModelInfo(name="c", path=Path("c"), family="sd1")
    assert previewers.for_model(known, "cpu", print, "pipe") is not None
    assert fitted == ["pipe", None]
