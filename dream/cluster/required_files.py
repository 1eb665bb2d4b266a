"""What a task needs from the models folders: two machines that have the same render the same
image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from dream.catalogue.adapter_files import EMBEDDING, HYPERNET, LORA
from dream.catalogue.auxiliary import CLIPSEG, MAP_NETWORKS
from dream.catalogue.face_models import FACE_DETECTOR
from dream.core.recipe import Recipe
from dream.core.request import NO_VAE
from dream.worker.protocol import CountTokensTask, FinishTask, RenderTask, Task, get_model


class RequiredFile(NamedTuple):
    """A model, or another network, by name."""

    kind: str
    """A key of `file_hashes.HASHERS`."""
    name: str

    def __str__(self) -> str:
        return f"the {self.kind} {self.name}"


def get_recipe(task: Task) -> Recipe | None:
    """The recipe of a task that has one."""
    match task:
        case RenderTask(recipe) | CountTokensTask(recipe):
            return recipe
        case FinishTask(picture):
            return picture.recipe
    return None


def list_required_files(task: Task) -> tuple[RequiredFile, ...]:
    """Everything that a task may read from the models folders."""
    return tuple(dict.fromkeys(_list_required(task)))


def _list_required(task: Task) -> Iterator[RequiredFile]:
    if (model := get_model(task)) is not None:
        yield RequiredFile("model", model)
        yield RequiredFile("configuration of", model)
    if (recipe := get_recipe(task)) is None:
        return
    if get_model(task) is not None:
        yield RequiredFile("depth estimator of", recipe.model)
    if recipe.vae and recipe.vae != NO_VAE:
        yield RequiredFile("VAE", recipe.vae)
    if recipe.text_encoder:
        yield RequiredFile("text encoder", recipe.text_encoder)
    if recipe.decoder:
        yield RequiredFile("small decoder of", recipe.model)
    names = {
        LORA: [lora.name for lora in recipe.lora or ()],
        EMBEDDING: recipe.embedding or (),
        HYPERNET: [net.name for net in recipe.hypernet or ()],
    }
    for kind, used in names.items():
        yield from (RequiredFile(kind.called, name) for name in used)
    yield from (RequiredFile("control model", name) for name in recipe.control_model or ())
    if recipe.image_prompt_model:
        yield RequiredFile("IP-Adapter", recipe.image_prompt_model)
        yield RequiredFile("image encoder of", recipe.image_prompt_model)
    yield from (RequiredFile("vision model", name) for name in _list_vision_models(recipe))
    if isinstance(task, FinishTask):
        if recipe.facetool:
            yield RequiredFile("face model", recipe.facetool)
            yield RequiredFile("face detector", FACE_DETECTOR.name)
        if recipe.upscaler:
            yield RequiredFile("upscaler", recipe.upscaler)


def _list_vision_models(recipe: Recipe) -> Iterator[str]:
    """The networks that look at the input images."""
    if recipe.text_mask:
        yield CLIPSEG.name
    for control in () if recipe.control_raw else recipe.control or ():
        yield from (network.name for network in MAP_NETWORKS.get(control.kind, ()))
