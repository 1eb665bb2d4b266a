"""The image prompts of a recipe: its IP-Adapter and image encoder, which stay in memory for the
next image, and the encoded images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from dream.catalogue.image_prompt_files import ImagePromptModel
from dream.core.errors import ModelError, OutOfMemory
from dream.core.events import Loading, Note
from dream.core.recipe import Recipe
from dream.engine.adapters.lora_file import hash_in_background
from dream.engine.control.active_control import ActiveControl, ControlImage
from dream.engine.control.image_encoder import ImageEncoder, open_image_encoder
from dream.engine.control.image_prompt import (
    ActiveImagePrompt,
    LoadedImagePromptModel,
    load_image_prompt_model,
    make_embeds,
    require_parts,
    use_image_prompts,
)
from dream.engine.interface import FindImagePromptModel, Progress, ProgressCallback
from dream.engine.loading.file_signature import FileStamps, compute_file_signature
from dream.engine.loading.pipelines import LoadedModel
from dream.engine.loading.recorded_digests import DIGITS, read_digest, record_digests
from dream.engine.memory.device import Placement
from dream.engine.memory.low_memory import run_or_none_on_oom
from dream.engine.memory.memory_estimate import estimate_file
from dream.engine.memory.model_cache import ModelCache, Resident
from dream.options.control import ImagePrompt

_ARGUMENT = "ip_adapter_image_embeds"


@dataclass(frozen=True)
class ImagePromptRun:
    """The image prompts of one image, encoded."""

    loaded: LoadedImagePromptModel | None = None
    prompts: tuple[ActiveImagePrompt, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    """Hashes of the IP-Adapter and its encoder, for the image's record."""

    @contextmanager
    def use(
        self, pipe: Any, accepted: Mapping[str, Any], recipe: Recipe
    ) -> Iterator[dict[str, Any]]:
        """While the pipeline's denoiser attends to the images; yields the pipeline's arguments for
        them. Raises ModelError for a pipeline that does not take any."""
        if self.loaded is None:
            yield {}
            return
        if _ARGUMENT not in accepted:
            raise ModelError(
                f"{recipe.model} does not support --image_prompt here",
                "remove --image_prompt, or choose another --model",
            )
        denoiser, _ = require_parts(pipe, recipe.model)
        # Consistency models and FLUX.1 know the guidance as a number: there is one row.
        knows = "guidance_embeds" in denoiser.config
        knows = knows or denoiser.config.get("time_cond_proj_dim") is not None
        guided = recipe.cfg_scale > 1 and not knows
        with use_image_prompts(denoiser, self.loaded, self.prompts):
            embeds = make_embeds(self.loaded, self.prompts, guided=guided)
            # FLUX.1's pipelines encode a black image without the second, and do not look at it.
            yield {_ARGUMENT: embeds, f"negative_{_ARGUMENT}": embeds}


NO_IMAGE_PROMPTS = ImagePromptRun()


Part = TypeVar("Part")


@dataclass(frozen=True)
class _LoadedPart(Generic[Part]):
    """An IP-Adapter or an image encoder in memory: a `model_cache.Companion`."""

    model: Part
    digest: Future[str]
    """SHA-256 of its file, computed beside the first image."""
    key: tuple[object, ...]
    file_signature: FileStamps


class ImagePrompts:
    """The IP-Adapters and image encoders of one engine."""

    def __init__(self, find: FindImagePromptModel, cache: ModelCache) -> None:
        self._find, self._cache = find, cache

    def prepare(
        self,
        recipe: Recipe,
        loaded: LoadedModel,
        images: Sequence[ControlImage],
        report: ProgressCallback,
        controls: Sequence[ActiveControl] = (),
    ) -> ImagePromptRun:
        """The recipe's image prompts, encoded; `images` are their files, in its order; the model
        stays in memory, and so do its controls. Raises ModelError, FetchError, OutOfMemory."""
        if not recipe.image_prompt:
            return NO_IMAGE_PROMPTS
        require_parts(loaded.pipe, loaded.info.name)
        info, encoder_path = self._find(
            recipe.image_prompt_model or "",
            lambda arrived, of: report(Progress("fetch", arrived, of)),
            lambda text: report(Note(text=text)),
        )
        needed: tuple[Resident, ...] = (loaded, *(one.loaded for one in controls))
        encoder = self._load_encoder(encoder_path, loaded.placement, needed)
        active = [
            (image.sha256, prompt.weight, image)
            for prompt, image in zip(_as_prompts(recipe.image_prompt), images, strict=True)
            if prompt.weight
        ]
        # Their sum is in floating point, where the order changes low bits.
        active.sort(key=lambda one: one[:2])
        prompts = tuple(
            ActiveImagePrompt(weight, *encoder.model.encode(image.image, layers=info.reads_layers))
            for _, weight, image in active
        )
        # The encoder is not needed any more: it may be unloaded for the adapter.
        adapter = self._load_adapter(info, loaded, report, needed)
        facts = _collect_facts(info, adapter.digest, read_digest(encoder.digest))
        return ImagePromptRun(adapter.model if prompts else None, prompts, facts)

    def _load_adapter(
        self,
        info: ImagePromptModel,
        loaded: LoadedModel,
        report: ProgressCallback,
        needed: tuple[Resident, ...],
    ) -> _LoadedPart[LoadedImagePromptModel]:
        pipe, model, placement = loaded.pipe, loaded.info.name, loaded.placement
        key = (info, loaded.info.path, placement)

        def load() -> LoadedImagePromptModel:
            report(Loading(model=info.name))
            return load_image_prompt_model(info, pipe, placement, model)

        return self._load(load, info.path, placement, key, needed)

    def _load_encoder(
        self, path: Path, placement: Placement, needed: tuple[Resident, ...]
    ) -> _LoadedPart[ImageEncoder]:
        whole = replace(placement, precision="float32")
        key = ("image encoder", path, placement.device)
        return self._load(
            lambda: open_image_encoder(path, placement.device), path, whole, key, needed
        )

    def _load(
        self,
        load: Callable[[], Part],
        path: Path,
        placement: Placement,
        key: tuple[object, ...],
        needed: tuple[Resident, ...],
    ) -> _LoadedPart[Part]:
        """What a file has, from memory or loaded. Raises OutOfMemory, and what `load` raises."""
        signature = compute_file_signature(path)
        here = self._cache.get_companion(_LoadedPart, key, signature)
        if here is not None:
            return here
        weight = estimate_file(path, placement)
        self._cache.make_room(path.name, weight, needed, for_model=False)
        digest = hash_in_background(path)
        opened = run_or_none_on_oom(load)
        if opened is None:
            raise OutOfMemory(f"not enough memory for {path}", "close other programs")
        part = _LoadedPart(opened, digest, key, signature)
        self._cache.add_companion(part, weight)
        return part


def _as_prompts(value: Sequence[ImagePrompt]) -> list[ImagePrompt]:
    return [ImagePrompt(*prompt) for prompt in value]


def _collect_facts(info: ImagePromptModel, digest: Future[str], encoder: str) -> dict[str, str]:
    adapter = record_digests("image_prompt_model", [(info.name, read_digest(digest))])
    return adapter | {
        "image_encoder": encoder[:DIGITS],
        "image_encoder sha256": encoder,
    }
