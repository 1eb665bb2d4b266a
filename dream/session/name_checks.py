"""Checks before anything is generated that models, VAEs, upscalers, LoRAs and folders exist."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from dream.catalogue import ModelRegistry
from dream.catalogue.adapter_files import EMBEDDING, HYPERNET
from dream.catalogue.adapter_registry import AdapterRegistry
from dream.catalogue.detect.lora_family import describe_family
from dream.catalogue.encoder_files import use_text_encoder
from dream.catalogue.face_models import find_face_detector, find_face_model
from dream.catalogue.lora_info import fits
from dream.catalogue.taesd import require_decoder_file
from dream.catalogue.vaes import check_vae
from dream.core.errors import BadLine, DreamError, ModelError
from dream.core.file_names import is_file
from dream.core.recipe import Recipe
from dream.core.request import NO_VAE, Request
from dream.options.lora import Lora


def check_recipes(registry: ModelRegistry, recipes: Iterable[Recipe]) -> None:
    """Raises ModelError for a VAE, a text encoder, an upscaler, a face restorer, a LoRA or a
    small decoder that is not in the registry, and for a text encoder or a LoRA that does not fit
    its model."""
    recipes = tuple(recipes)
    for vae, upscaler in dict.fromkeys((recipe.vae, recipe.upscaler) for recipe in recipes):
        if vae and vae != NO_VAE:
            check_vae(registry.get_vae(vae))
        if upscaler:
            registry.get_upscaler(upscaler)
    for model, encoder in dict.fromkeys((recipe.model, recipe.text_encoder) for recipe in recipes):
        if encoder:
            use_text_encoder(registry.get_model(model), encoder, registry.models_dirs)
    for name in dict.fromkeys(recipe.facetool for recipe in recipes):
        if name:
            check_face_models(registry, name)
    for model, loras in dict.fromkeys((r.model, r.lora) for r in recipes if r.fix is None):
        check_loras(registry, loras or (), model)
    for model in dict.fromkeys(recipe.model for recipe in recipes if recipe.decoder):
        require_decoder_file(registry.get_model(model), registry.models_dirs)
    names = [(EMBEDDING, name) for recipe in recipes for name in recipe.embedding or ()]
    names += [(HYPERNET, net.name) for recipe in recipes for net in recipe.hypernet or ()]
    for kind, name in dict.fromkeys(names):
        AdapterRegistry.of(registry).get(kind, name)


def check_face_models(registry: ModelRegistry, name: str) -> None:
    """Raises ModelError for a face restorer that is not known or cannot be used, and offline for
    one that is not downloaded."""
    find_face_model(name, registry.models_dirs, offline=registry.offline)
    find_face_detector(registry.models_dirs, offline=registry.offline)


def check_loras(registry: ModelRegistry, loras: Iterable[Lora], model: str = "") -> None:
    """Raises ModelError for a LoRA that is not in the registry or, with a model, cannot fit it."""
    for lora in loras:
        info = AdapterRegistry.of(registry).get_lora(lora.name)
        if model and not fits(info, family := registry.get_model(model).family):
            raise ModelError(
                f"{lora.name} is a LoRA for {describe_family(info.family)}, but {model} is"
                f" {describe_family(family)}",
                "!loras lists those that fit",
            )


def check_default(registry: ModelRegistry, base: Request, name: str) -> None:
    """Check one field of the defaults. Raises ModelError, or BadLine for a folder."""
    match name, getattr(base, name):
        case _, None | "":
            pass
        case "model", value:
            registry.get_model(value)
        case "vae", value:
            if value != NO_VAE:
                check_vae(registry.get_vae(value))
        case "upscaler", value:
            registry.get_upscaler(value)
        case "facetool", value:
            check_face_models(registry, value)
        case "lora", value:
            check_loras(registry, value)
        case "outdir", value:
            if is_file(base.folder):
                raise BadLine(f"{value} is a file, not a folder")


CHECKED_FIELDS = ("model", "vae", "upscaler", "facetool", "lora", "outdir")
"""The fields that `check_default` checks."""


def find_wrong_defaults(
    registry: ModelRegistry, base: Request, extra: Collection[str] = ()
) -> Iterator[str]:
    """A message for each default that names something missing, except for the fields in
    `besides`."""
    for name in CHECKED_FIELDS:
        try:
            if name not in extra:
                check_default(registry, base, name)
        except DreamError as error:
            yield f"{name}: {error}"
