"""The image prompts of a recipe: its IP-Adapter and image encoder, which stay in memory for the
next image, and the encoded images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dream.catalogue.image_prompt_files import ImagePromptModel
from dream.core.errors import ModelError, OutOfMemory
from dream.core.events import Loading, Note
from dream.core.file_names import get_file_stamp
from dream.core.recipe import Recipe
from dream.engine.adapters.lora_file import hash_in_background
from dream.engine.control.active_control import ControlImage
from dream.engine.control.image_encoder import ImageEncoder, open_image_encoder
from dream.engine.control.image_prompt import (
    ActiveImagePrompt,
    LoadedImagePromptModel,
    load_image_prompt_model,
    make_embeds,
    use_image_prompts,
)
from dream.engine.interface import FindImagePromptModel, Progress, ProgressCallback
from dream.engine.loading.pipelines import LoadedModel
from dream.engine.loading.recorded_digests import DIGITS, read_digest, record_digests
from dream.engine.memory.low_memory import run_or_none_on_oom
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
        """While the pipeline's UNet attends to the images; yields the pipeline's arguments for
        them. Raises ModelError for a pipeline that does not take any."""
        if self.loaded is None:
            yield {}
            return
        if _ARGUMENT not in accepted:
            raise ModelError(
                f"{recipe.model} does not support --image_prompt here",
                "remove --image_prompt, or choose another --model",
            )
        guided = recipe.cfg_scale > 1 and pipe.unet.config.time_cond_proj_dim is None
        with use_image_prompts(pipe.unet, self.loaded, self.prompts):
            yield {_ARGUMENT: make_embeds(self.loaded, self.prompts, guided=guided)}


NO_IMAGE_PROMPTS = ImagePromptRun()


class ImagePrompts:
    """The IP-Adapter and the encoder that were used last."""

    def __init__(self, find: FindImagePromptModel) -> None:
        self._find = find
        self._encoder: tuple[object, ImageEncoder] | None = None
        self._adapter: tuple[object, LoadedImagePromptModel, Future[str]] | None = None

    def prepare(
        self,
        recipe: Recipe,
        loaded: LoadedModel,
        images: Sequence[ControlImage],
        report: ProgressCallback,
    ) -> ImagePromptRun:
        """The recipe's image prompts, encoded; `images` are their files, in its order. Raises
        ModelError, FetchError, OutOfMemory."""
        if not recipe.image_prompt:
            return NO_IMAGE_PROMPTS
        if not hasattr(loaded.pipe, "unet"):
            raise ModelError(
                f"{loaded.info.name} does not support --image_prompt",
                "it is for Stable Diffusion 1, 2 and XL",
            )
        info, encoder_path = self._find(
            recipe.image_prompt_model or "",
            lambda arrived, of: report(Progress("fetch", arrived, of)),
            lambda text: report(Note(text=text)),
        )
        adapter, digest = self._load_adapter(info, loaded, report)
        encoder = self._load_encoder(encoder_path, loaded.placement.device)
        active = [
            (image.sha256, prompt.weight, image)
            for prompt, image in zip(_as_prompts(recipe.image_prompt), images, strict=True)
            if prompt.weight
        ]
        # Their sum is in floating point, where the order changes low bits.
        active.sort(key=lambda one: one[:2])
        facts = _collect_facts(info, digest, encoder.sha256)
        if not active:
            return ImagePromptRun(facts=facts)
        prompts = tuple(
            ActiveImagePrompt(weight, *encoder.encode(image.image, layers=info.reads_layers))
            for _, weight, image in active
        )
        return ImagePromptRun(adapter, prompts, facts)

    def close(self) -> None:
        """Unload both."""
        self._encoder = self._adapter = None

    def _load_adapter(
        self, info: ImagePromptModel, loaded: LoadedModel, report: ProgressCallback
    ) -> tuple[LoadedImagePromptModel, Future[str]]:
        placement = loaded.placement
        key = (info, get_file_stamp(info.path), loaded.info.path, placement)
        if self._adapter is None or self._adapter[0] != key:
            report(Loading(model=info.name))
            self._adapter = None
            digest = hash_in_background(info.path)
            unet, model = loaded.pipe.unet, loaded.info.name
            opened = _load_or_raise(
                lambda: load_image_prompt_model(info, unet, placement, model), info.path
            )
            self._adapter = (key, opened, digest)
        return self._adapter[1], self._adapter[2]

    def _load_encoder(self, path: Path, device: str) -> ImageEncoder:
        key = (path, get_file_stamp(path), device)
        if self._encoder is None or self._encoder[0] != key:
            self._encoder = None
            opened = _load_or_raise(lambda: open_image_encoder(path, device), path)
            self._encoder = (key, opened)
        return self._encoder[1]


def _as_prompts(value: Sequence[ImagePrompt]) -> list[ImagePrompt]:
    return [ImagePrompt(*prompt) for prompt in value]


def _load_or_raise(work: Callable[[], Any], path: Path) -> Any:
    opened = run_or_none_on_oom(work)
    if opened is None:
        raise OutOfMemory(f"not enough memory for {path}", "close other programs")
    return opened


def _collect_facts(info: ImagePromptModel, digest: Future[str], encoder: str) -> dict[str, str]:
    adapter = record_digests("image_prompt_model", [(info.name, read_digest(digest))])
    return adapter | {
        "image_encoder": encoder[:DIGITS],
        "image_encoder sha256": encoder,
    }
