"""Runs the stages after rendering: upscalers, and stages that need the model itself."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from dream.catalogue import ModelRegistry
from dream.core.events import Loading, Note
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.core.stages import EMBIGGEN, FACES, OUTCROP, OUTPAINT, UPSCALE, Stage
from dream.engine.import_errors import raise_setup_errors
from dream.engine.interface import Progress, ProgressCallback
from dream.options.engine_table import AUTO, TORCH
from dream.options.option_type import MAX_SEED, Upscale
from dream.options.outpaint import OUTPAINT_STRENGTH, Outcrop
from dream.options.schedule_table import FORMER

if TYPE_CHECKING:
    from PIL.Image import Image

    from dream.engine.image_generator import ImageGenerator
    from dream.postprocess.faces import FaceRestorer
    from dream.postprocess.upscale import Upscaler


class PostProcessor:
    """Runs the stages of images' recipes, one at a time."""

    def __init__(self, registry: ModelRegistry, generator: ImageGenerator) -> None:
        self._registry = registry
        self._generator = generator
        self._upscaler: Upscaler | None = None
        self._restorer: FaceRestorer | None = None

    def finish(self, picture: Picture, stage: Stage, report: ProgressCallback) -> Picture:
        """Run one stage that the image's recipe asks for, and return the image after it. Its facts
        gain what that stage depended on.

        Raises FinishError, ModelError, FetchError, OutOfMemory, and what `report` raises.
        """
        if picture.recipe.engine == AUTO:  # of !fix: nothing was generated that has chosen
            picture = replace(picture, recipe=replace(picture.recipe, engine=TORCH))
        if stage == OUTCROP:
            return self._outcrop(picture, report)
        if stage == OUTPAINT:
            return self._outpaint(picture, report)
        if stage == EMBIGGEN:
            return self._embiggen(picture, report)
        if stage == FACES:
            return self._restore_faces(picture, report)
        if stage == UPSCALE:
            return self._upscale(picture, report)
        return self._watermark(picture, report)

    def _outcrop(self, picture: Picture, report: ProgressCallback) -> Picture:
        assert picture.recipe.outcrop is not None
        return self._extend(picture, picture.image, picture.recipe.outcrop, OUTCROP, report)

    def _outpaint(self, picture: Picture, report: ProgressCallback) -> Picture:
        from dream.postprocess.outcrop import shift_image

        assert picture.recipe.out_direction is not None
        shifted, sides = shift_image(picture.image, picture.recipe.out_direction)
        return self._extend(picture, shifted, sides, OUTPAINT, report)

    def _extend(
        self, picture: Picture, image: Image, sides: Outcrop, stage: Stage, report: ProgressCallback
    ) -> Picture:
        from dream.postprocess.outcrop import outcrop_image, plan_patches

        window, multiple = self._window(picture.recipe)
        count = len(plan_patches(image.size, sides, window, multiple))
        windows = _WindowGenerator(
            self._generator, _for_outpainting(picture.recipe), stage, count, report
        )
        result = outcrop_image(image, sides, window, multiple, windows.generate)
        return replace(picture, image=result, facts={**picture.facts, **windows.facts})

    def _embiggen(self, picture: Picture, report: ProgressCallback) -> Picture:
        from dream.postprocess.embiggen import repaint_tiles, select_tiles, split_into_tiles

        recipe = picture.recipe
        assert recipe.embiggen is not None
        scale, strength, overlap = recipe.embiggen
        if scale > 1:
            enlarging = replace(recipe, upscale=Upscale(scale, strength))
            large = self._upscale(replace(picture, recipe=enlarging), report)
            tile = large.recipe.upscale_tile  # smaller where memory was short
            picture = replace(large, recipe=replace(recipe, upscale_tile=tile))
        window, multiple = self._window(recipe)
        everything = split_into_tiles(picture.image.size, window, overlap, multiple)
        wanted = select_tiles(everything, recipe.embiggen_tiles or ())
        gentle = replace(picture.recipe, strength=recipe.embiggen_strength)
        windows = _WindowGenerator(self._generator, gentle, EMBIGGEN, len(wanted), report)
        result = repaint_tiles(picture.image, everything, wanted, windows.generate)
        return replace(picture, image=result, facts={**picture.facts, **windows.facts})

    def _upscale(self, picture: Picture, report: ProgressCallback) -> Picture:
        if self._upscaler is None:
            self._upscaler = _upscaler(self._registry, self._generator.placement.device)
        return self._upscaler.upscale(
            picture,
            diffusion=lambda info, recipe: self._generator.load_upscaler(info, recipe, report),
            use_engine=lambda network, info, sha256: self._generator.engines.use_upscaler(
                picture.recipe.engine, info.name, network, sha256, report
            ),
            on_tile=lambda tile, tiles: report(Progress("upscale", tile, tiles)),
            on_note=lambda text: report(Note(text=text)),
            on_fetch=lambda arrived, of: report(Progress("fetch", arrived, of)),
        )

    def _restore_faces(self, picture: Picture, report: ProgressCallback) -> Picture:
        if self._restorer is None:
            self._restorer = _make_face_restorer(self._registry, self._generator.placement.device)
        return self._restorer.restore(
            picture,
            on_face=lambda face, faces: report(Progress(FACES.name, face, faces)),
            on_note=lambda text: report(Note(text=text)),
            on_fetch=lambda arrived, of: report(Progress("fetch", arrived, of)),
        )

    def _watermark(self, picture: Picture, report: ProgressCallback) -> Picture:
        from dream.postprocess.watermark import embed_watermark

        assert picture.recipe.watermark is not None
        marked = embed_watermark(picture.image, picture.recipe.watermark)
        report(Progress("watermark", 1, 1))
        return replace(picture, image=marked)

    def _window(self, recipe: Recipe) -> tuple[tuple[int, int], int]:
        """What the model generates at once: (width, height), and the number both are multiples
        of."""
        return (recipe.width, recipe.height), self._registry.get_model(recipe.model).multiple


class _WindowGenerator:
    """Generates the windows of one image with the model, one after the other."""

    def __init__(
        self,
        generator: ImageGenerator,
        recipe: Recipe,
        stage: Stage,
        count: int,
        report: ProgressCallback,
    ) -> None:
        self._generator = generator
        self._recipe = make_window_recipe(recipe)
        self._stage = stage
        self._count = count
        self._report = report
        self._done = 0
        self.facts: dict[str, str] = {}
        """What the generated windows depended on."""

    def generate(self, image: Image, mask: Image | None, number: int) -> Image:
        """See `postprocess.windows`. Each window has its own seed, derived from its number, so its
        noise is always the same."""
        from dream.engine.tasks.task import TaskInputs  # torch is imported by now

        seed = (self._recipe.seed + number) % (MAX_SEED + 1)
        recipe = replace(self._recipe, seed=seed, width=image.width, height=image.height)
        result = self._generator.generate(
            recipe, self._report_step, TaskInputs(image=image, mask=mask)
        )
        self.facts |= result.facts
        self._done += 1
        return result.image

    def _report_step(self, event: Progress | Note | Loading) -> None:
        """Report a window's steps as steps of the stage."""
        if isinstance(event, Progress) and event.stage == "render":
            step, steps = self._done * event.steps + event.step, event.steps
            event = Progress(self._stage.name, step, self._count * steps)
        self._report(event)


def _for_outpainting(recipe: Recipe) -> Recipe:
    """The recipe for the area outside the image. At strengths that keep most of the edge's colours,
    guidance is off: what the prompt names is in the image already, and guidance would generate it
    again in every window that cannot see it."""
    extends_edges = recipe.strength is not None and recipe.strength <= OUTPAINT_STRENGTH
    return replace(recipe, cfg_scale=1.0) if extends_edges else recipe


WHOLE_IMAGE_FIELDS = frozenset(
    (
        "init_img",
        "fit",
        "init_mask",
        "text_mask",
        "invert_mask",
        "inpaint_replace",
        "mask_blur",
        "init_color",
        "control",
        "control_model",
        "control_mode",
        "control_raw",
        "image_prompt",
        "image_prompt_model",
        "fix",
        "hires_fix",
        "outcrop",
        "out_direction",
        "embiggen",
        "embiggen_tiles",
        "embiggen_strength",
        "with_variations",
        "perlin",
        "seamless",
        "seamless_axes",
        "h_symmetry_time_pct",
        "v_symmetry_time_pct",
        "facetool_strength",
        "facetool",
        "codeformer_fidelity",
        "upscale",
        "upscaler",
        "upscale_tile",
        "upscale_precision",
        "watermark",
    )
)
"""Fields of a recipe for input images, later stages and the composition: they belong to the image
as a whole, and its windows are rendered without them."""


def make_window_recipe(recipe: Recipe) -> Recipe:
    """A recipe with the prompt, the model, and how it is sampled; as its line was rendered when it
    was logged: before --schedule existed, --threshold and --karras_max did not reach windows."""
    reset = set(WHOLE_IMAGE_FIELDS)
    if recipe.schedule == FORMER:
        reset |= {"threshold", "karras_max"}
    defaults: dict[str, Any] = {f.name: f.default for f in fields(Recipe) if f.name in reset}
    return replace(recipe, **defaults)


def _make_face_restorer(registry: ModelRegistry, device: str) -> FaceRestorer:
    # Imported with the first -G, as above.
    with raise_setup_errors():
        from dream.postprocess.faces import FaceRestorer
    return FaceRestorer(registry, device)


def _upscaler(registry: ModelRegistry, device: str) -> Upscaler:
    # Imported with the first -U: OpenCV and basicsr take seconds.
    with raise_setup_errors():
        from dream.postprocess.upscale import Upscaler
    return Upscaler(registry, device)
