"""Images from images, through real pipelines with random weights: everything but meaning."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionImg2ImgPipeline
from PIL import Image, ImageDraw

from dream.catalogue import ModelRegistry
from dream.core.errors import InputError, ModelError
from dream.core.events import Note
from dream.core.picture import Picture
from dream.engine import create_generator
from dream.engine.image_generator import ImageGenerator
from dream.engine.interface import DeviceConfig, GenerationCancelled, Progress
from dream.engine.sampling.noise import make_generator
from dream.engine.tasks import TaskInputs, choose_task
from dream.engine.tasks.derived import get_img2img_pipeline
from dream.engine.tasks.inpainting import snap_to_latents
from dream.engine.tasks.strength import compute_pipeline_strength, count_steps, refine_steps
from dream.inputs import hash_file
from dream.options.sampler_table import SAMPLERS
from tests.random_layouts import make_consistency, make_layout, make_sd3
from tests.recipes import recipe

LAYOUTS = ("sd1-inpainting", "sd2-depth", "sdxl", "refiner")
FAMILIES = ("sd1-inpainting", "sdxl", "refiner", "consistency", "sd3")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A image, the same with a transparent hole, and masks, as files; 80x64."""
    folder = tmp_path_factory.mktemp("inputs")
    values = np.random.default_rng(0).integers(0, 255, (8, 10, 3), np.uint8)
    image = Image.fromarray(values).resize((80, 64), Image.Resampling.BICUBIC)
    mask = Image.new("L", image.size, 255)
    ImageDraw.Draw(mask).ellipse((19, 11, 57, 45), fill=0)
    hole = image.copy()
    hole.putalpha(mask)
    white = Image.new("L", image.size, 255)
    made = {"image": image, "mask": mask, "hole": hole, "white": white}
    for name, one in made.items():
        one.save(folder / f"{name}.png")
    return {name: str(folder / f"{name}.png") for name in made}


@pytest.fixture(scope="module")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> ImageGenerator:
    folder = tmp_path_factory.mktemp("layouts")
    for layout in LAYOUTS:
        make_layout(layout).save_pretrained(folder / layout)
    make_consistency().save_pretrained(folder / "consistency")
    make_sd3().save_pretrained(folder / "sd3")
    return create_generator(ModelRegistry([folder]).get_model, DeviceConfig(max_loaded_models=6))


def render(generator: ImageGenerator, **changes: Any) -> tuple[Picture, list[Any]]:
    reported: list[Any] = []
    usual = {"width": 80, "height": 64, "strength": 0.5, "steps": 6, "mask_blur": 0}
    return generator.generate(recipe(**usual | changes), reported.append), reported


def pixels(path: str) -> Any:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), np.int16)


def changed(picture: Picture, path: str) -> Any:
    """Where pixels are others than in a file: an array of booleans."""
    return (np.asarray(picture.image, np.int16) != pixels(path)).any(2)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_walks_the_end_of_its_way_and_again(
    generator: ImageGenerator, files: dict[str, str], sampler: str
) -> None:
    first, reported = render(generator, sampler=sampler, init_img=files["image"])
    again, _ = render(generator, sampler=sampler, init_img=files["image"])
    assert first.sha256 == again.sha256
    assert [h.step for h in reported if isinstance(h, Progress)] == [1, 2, 3]
    assert {h.steps for h in reported if isinstance(h, Progress)} == {3}
    assert np.asarray(first.image).std() > 10


@pytest.mark.parametrize(
    "sampler", ["ddim", "k_heun", "plms", "dpmpp_2m_karras", "lcm", "dpm_adaptive"]
)
def test_every_kind_of_sampler_stays_inside_the_mask(
    generator: ImageGenerator, files: dict[str, str], sampler: str
) -> None:
    switches = {"sampler": sampler, "init_img": files["image"], "init_mask": files["mask"]}
    picture, reported = render(generator, **switches)
    outside = pixels(files["mask"])[..., 0] == 255
    where = changed(picture, files["image"])
    assert not where[outside].any(), "outside the mask not one pixel differs"
    assert where[~outside].mean() > 0.9
    assert [h.step for h in reported if isinstance(h, Progress)] == [1, 2, 3]


def test_another_pictures_colours_stay_inside_the_mask_too(
    generator: ImageGenerator, files: dict[str, str], tmp_path: Path
) -> None:
    Image.new("RGB", (8, 8), "lime").save(tmp_path / "lime.png")
    switches = {"init_img": files["image"], "init_mask": files["mask"]}
    picture, _ = render(generator, **switches, init_color=str(tmp_path / "lime.png"))
    outside = pixels(files["mask"])[..., 0] == 255
    assert not changed(picture, files["image"])[outside].any()
    assert (np.asarray(picture.image)[~outside] == (0, 255, 0)).all()


def test_it_is_what_diffusers_makes_of_the_same_noise(
    generator: ImageGenerator, random_models: Path, files: dict[str, str]
) -> None:
    ours, _ = render(generator, init_img=files["image"], negative="blue")
    pipe = StableDiffusionImg2ImgPipeline.from_pretrained(
        random_models / "random", safety_checker=None
    )
    pipe.to(memory_format=torch.channels_last)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, clip_sample=False)
    pipe.set_progress_bar_config(disable=True)
    source = make_generator(42)
    torch.randn(1, 4, 8, 10, generator=source)
    picture = pipe.image_processor.preprocess(Image.open(files["image"]))
    latents = pipe.vae.encode(picture).latent_dist.sample(source) * pipe.vae.config.scaling_factor
    theirs = pipe(
        "a red circle",
        negative_prompt="blue",
        image=latents.detach(),
        strength=0.5,
        generator=make_generator(42),
        num_inference_steps=6,
        guidance_scale=5.0,
    ).images[0]
    assert abs(np.asarray(ours.image, int) - np.asarray(theirs, int)).max() <= 1


@pytest.mark.parametrize("layout", FAMILIES)
def test_every_family_paints_from_a_picture(
    layouts: ImageGenerator, files: dict[str, str], layout: str
) -> None:
    near, _ = render(layouts, model=layout, init_img=files["image"], strength=0.2)
    far, _ = render(layouts, model=layout, init_img=files["image"], strength=1)
    assert near.image.size == (80, 64) and near.sha256 != far.sha256


@pytest.mark.parametrize("layout", FAMILIES)
@pytest.mark.parametrize("strength", [0.5, 1])
def test_every_family_paints_inside_a_mask(
    layouts: ImageGenerator, files: dict[str, str], layout: str, strength: float
) -> None:
    switches = {"model": layout, "init_img": files["image"], "strength": strength}
    picture, _ = render(layouts, init_mask=files["mask"], **switches)
    outside = pixels(files["mask"])[..., 0] == 255
    where = changed(picture, files["image"])
    assert not where[outside].any() and where[~outside].mean() > 0.9


@pytest.mark.parametrize("start", [{"init_img": "image"}, {}], ids=["image", "prompt"])
def test_a_flow_matching_model_uses_the_schedule(
    layouts: ImageGenerator, files: dict[str, str], start: dict[str, str]
) -> None:
    inputs = {field: files[name] for field, name in start.items()}

    def generate(schedule: str) -> tuple[str, list[str]]:
        changes = {"model": "sd3", "sampler": "dpmpp_2m", "schedule": schedule, **inputs}
        if not inputs:
            changes["strength"] = None
        picture, events = render(layouts, **changes)
        return picture.sha256, [
            e.text for e in events if isinstance(e, Note) if "schedule" in e.text
        ]

    own, beta, unsupported = (generate(one) for one in ("model", "beta", "align_your_steps"))
    assert own[0] != beta[0] and own[1] == beta[1] == []
    assert unsupported[0] == own[0]
    assert unsupported[1] == [
        "sd3 does not support --schedule align_your_steps; using its own list"
    ]


def test_a_consistency_model_keeps_its_sampler_and_says_so(
    layouts: ImageGenerator, files: dict[str, str]
) -> None:
    by_ddim, reported = render(layouts, model="consistency", sampler="ddim")
    assert "consistency only works with lcm; ddim is ignored" in [
        getattr(h, "text", "") for h in reported
    ]
    by_lcm, reported = render(layouts, model="consistency", sampler="lcm")
    assert by_ddim.sha256 == by_lcm.sha256
    assert [h.step for h in reported if isinstance(h, Progress)] == [1, 2, 3, 4, 5, 6]


def test_a_model_that_needs_something_besides_refuses_a_mask(
    layouts: ImageGenerator, files: dict[str, str]
) -> None:
    with Image.open(files["image"]) as image, Image.open(files["mask"]) as mask:
        inputs = TaskInputs(image=image.convert("RGB"), mask=mask.convert("L"))
    with pytest.raises(ModelError, match="sd2-depth does not support masks"):
        loaded, wanted = layouts.load("sd2-depth", lambda event: None), recipe(strength=0.5)
        choose_task(wanted, inputs).prepare(loaded, wanted, inputs, make_generator(1))


def test_there_is_no_second_copy(generator: ImageGenerator, files: dict[str, str]) -> None:
    loaded = generator.load("random", lambda event: None)
    image = Image.open(files["image"]).convert("RGB")
    for mask in (None, Image.new("L", image.size, 255)):
        wanted, inputs = (
            recipe(width=80, height=64, strength=0.5),
            TaskInputs(image=image, mask=mask),
        )
        job = choose_task(wanted, inputs).prepare(loaded, wanted, inputs, make_generator(1))
        for name, part in loaded.pipe.components.items():
            assert getattr(job.pipe, name) is part


def test_a_derived_pipeline_is_kept_until_the_models_parts_change(
    generator: ImageGenerator,
) -> None:
    loaded = generator.load("random", lambda event: None)
    kept = get_img2img_pipeline(loaded)
    assert get_img2img_pipeline(loaded) is kept
    own, other = loaded.pipe.vae, deepcopy(loaded.pipe.vae)
    try:
        loaded.pipe.vae = other
        assert get_img2img_pipeline(loaded).vae is other
    finally:
        loaded.pipe.vae = own
    assert get_img2img_pipeline(loaded).vae is own


def test_transparency_is_a_mask_and_a_mask_goes_before_it(
    generator: ImageGenerator, files: dict[str, str]
) -> None:
    by_alpha, _ = render(generator, init_img=files["hole"])
    by_mask, _ = render(generator, init_img=files["image"], init_mask=files["mask"])
    assert by_alpha.sha256 == by_mask.sha256
    outside = pixels(files["mask"])[..., 0] == 255
    switches = {"init_img": files["hole"], "init_mask": files["white"], "invert_mask": True}
    everywhere, _ = render(generator, **switches)
    assert changed(everywhere, files["image"])[outside].mean() > 0.9
    other_way, _ = render(generator, init_img=files["hole"], invert_mask=True)
    assert not changed(other_way, files["image"])[~outside].any()
    assert changed(other_way, files["image"])[outside].mean() > 0.9


def test_the_picture_with_a_hole_in_it_is_a_mask_of_that_hole(
    generator: ImageGenerator, files: dict[str, str]
) -> None:
    assert (pixels(files["hole"]).mean(2) < 120).any(), "it has dark parts besides"
    by_hole, _ = render(generator, init_img=files["image"], init_mask=files["hole"])
    by_mask, _ = render(generator, init_img=files["image"], init_mask=files["mask"])
    assert by_hole.sha256 == by_mask.sha256


def test_a_mask_of_nothing_is_refused(generator: ImageGenerator, files: dict[str, str]) -> None:
    with pytest.raises(InputError, match=r"white\.png is empty.*--invert_mask"):
        render(generator, init_img=files["image"], init_mask=files["white"])


def test_forgetting_what_the_mask_covers(generator: ImageGenerator, files: dict[str, str]) -> None:
    switches = {"init_img": files["image"], "init_mask": files["mask"], "strength": 0.3}
    kept, half, none = (render(generator, inpaint_replace=r, **switches)[0] for r in (0, 0.5, 1))
    assert len({kept.sha256, half.sha256, none.sha256}) == 3
    outside = pixels(files["mask"])[..., 0] == 255
    assert not changed(none, files["image"])[outside].any()


def test_the_painting_fades_in_inside_the_edge(
    generator: ImageGenerator, files: dict[str, str]
) -> None:
    switches = {"init_img": files["image"], "init_mask": files["mask"]}
    sharp, soft = (render(generator, mask_blur=blur, **switches)[0] for blur in (0, 8))
    outside = pixels(files["mask"])[..., 0] == 255
    assert not changed(soft, files["image"])[outside].any()
    difference = [
        abs(np.asarray(p.image, int) - pixels(files["image"])).sum(2) for p in (sharp, soft)
    ]
    edge = np.zeros_like(outside)
    edge[26:30, 19:22] = True
    assert difference[1][edge].mean() < 0.6 * difference[0][edge].mean()
    assert (difference[0][28, 38] == difference[1][28, 38]).all(), "in the middle all is painted"


def test_a_picture_of_another_size_is_scaled_and_cut(
    generator: ImageGenerator, tmp_path: Path
) -> None:
    wide = Image.new("RGB", (300, 100), "blue")
    wide.paste("red", (100, 0, 200, 100))
    wide.save(tmp_path / "wide.png")
    mask = Image.new("L", (30, 10), 0)
    mask.paste(255, (10, 0, 20, 10))
    mask.save(tmp_path / "mask.png")
    switches = {"init_img": str(tmp_path / "wide.png"), "init_mask": str(tmp_path / "mask.png")}
    picture, _ = render(generator, width=64, height=64, invert_mask=True, **switches)
    assert picture.image.size == (64, 64)
    with pytest.raises(InputError, match=r"the mask .* is empty"):
        render(generator, width=64, height=64, **switches)  # what it would generate was cut off


def test_a_picture_that_fits_is_there_to_its_ends(
    generator: ImageGenerator, tmp_path: Path
) -> None:
    wall = Image.new("RGB", (300, 100), "lime")
    wall.paste("red", (0, 0, 30, 100))
    wall.paste("blue", (270, 0, 300, 100))
    wall.save(tmp_path / "wall.png")
    mask = Image.new("L", (300, 100), 255)
    mask.paste(0, (0, 0, 30, 100))
    mask.save(tmp_path / "mask.png")
    switches = {"init_img": str(tmp_path / "wall.png"), "init_mask": str(tmp_path / "mask.png")}
    picture, _ = render(generator, width=200, height=64, fit=True, strength=0.1, **switches)
    values = np.asarray(picture.image, int)
    assert (values[:, 25:175, 1] > 250).all() and (values[:, 185:, 2] > 250).all()
    assert (values[:, 20:] != (0, 255, 0)).any(2).mean() < 0.3 < (values[:, :19, 1] < 200).mean()


def test_the_facts_name_the_files_and_notes_tell_of_films(
    generator: ImageGenerator, tmp_path: Path
) -> None:
    film = tmp_path / "film.gif"
    frames = [Image.new("RGB", (80, 64), colour) for colour in ("red", "blue")]
    frames[0].save(film, save_all=True, append_images=frames[1:])
    picture, reported = render(generator, init_img=str(film))
    assert picture.facts["init_img"] == hash_file(film)
    assert [h.text for h in reported if isinstance(h, Note)] == [
        f"{film} has 2 frames; only the first is used"
    ]


def test_half_precision_paints_from_pictures_too(
    random_models: Path, files: dict[str, str]
) -> None:
    half = create_generator(
        ModelRegistry([random_models]).get_model, DeviceConfig(precision="bfloat16")
    )
    for more in ({}, {"init_mask": files["mask"]}, {"strength": 1.0, "init_mask": files["mask"]}):
        picture, _ = render(half, init_img=files["image"], **more)
        assert np.asarray(picture.image).std() > 10


def test_it_is_given_up_within_a_step_and_seen_on_the_way(
    random_models: Path, files: dict[str, str]
) -> None:
    generator = create_generator(
        ModelRegistry([random_models]).get_model, DeviceConfig(previews=True)
    )
    reported: list[Any] = []

    def tell(event: Any) -> None:
        reported.append(event)
        if isinstance(event, Progress):
            raise GenerationCancelled

    wanted = recipe(width=80, height=64, steps=6, strength=0.5, init_img=files["image"])
    with pytest.raises(GenerationCancelled):
        generator.generate(wanted, tell)
    (step,) = [event for event in reported if isinstance(event, Progress)]
    assert step.preview is not None
    assert (
        generator.generate(wanted, reported.append).sha256
        == generator.generate(wanted, reported.append).sha256
    )


def test_every_pipeline_counts_the_same_steps() -> None:
    for steps in range(1, 1001):
        for done in {1, steps // 3 or 1, steps // 2 or 1, steps - 1 or 1, steps}:
            down, up = (
                compute_pipeline_strength(done, steps),
                compute_pipeline_strength(done, steps, up=True),
            )
            assert min(int(steps * down), steps) == done
            assert steps - int(max(steps - steps * up, 0)) == done
    assert [count_steps(recipe(steps=s, strength=f)) for s, f in ((50, 0.58), (9, 1))] == [29, 9]


def test_few_steps_are_made_as_fine_as_the_strength_asks() -> None:
    for steps in (1, 2, 3, 4, 7, 20, 50):
        for percent in range(1, 101):
            wanted = recipe(steps=steps, strength=percent / 100)
            finer = refine_steps(wanted)
            done = count_steps(finer)
            assert refine_steps(finer) == finer and 1 <= done <= finer.steps
            assert done / finer.steps <= percent / 100 + 1e-9
            if steps * percent >= 100:
                assert finer == wanted
            else:
                assert done / finer.steps >= 0.75 * percent / 100
    assert refine_steps(recipe(steps=1, strength=1e-9)).steps == 1000
    assert refine_steps(recipe(steps=1)).steps == 1, "without a strength all is walked"


@pytest.mark.parametrize("task", ["picture", "mask"])
def test_one_step_at_a_low_strength_is_the_last_of_many(
    generator: ImageGenerator, files: dict[str, str], task: str
) -> None:
    switches = {"init_img": files["image"], "strength": 0.1}
    switches |= {"init_mask": files["mask"]} if task == "mask" else {}
    one, reported = render(generator, steps=1, **switches)
    ten, _ = render(generator, steps=10, **switches)
    assert one.sha256 == ten.sha256 and one.recipe.steps == 1
    assert [(p.step, p.steps) for p in reported if isinstance(p, Progress)] == [(1, 1)]


def test_squares_that_a_mask_touches_are_painted_whole() -> None:
    mask = Image.new("L", (24, 16), 0)
    mask.putpixel((8, 7), 255)
    grown = snap_to_latents(mask, 8)
    assert grown.getbbox() == (8, 0, 16, 8) and grown.getextrema() == (0, 255)
