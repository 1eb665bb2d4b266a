"""Checks before anything is generated that models, VAEs, upscalers and folders exist."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from dream.catalogue import ModelRegistry
from dream.catalogue.vaes import check_vae
from dream.core.errors import BadLine, DreamError
from dream.core.file_names import is_file
from dream.core.recipe import Recipe
from dream.core.request import NO_VAE, Request


def check_recipes(registry: ModelRegistry, recipes: Iterable[Recipe]) -> None:
    """Raises ModelError for a VAE or an upscaler that is not in the registry."""
    for vae, upscaler in dict.fromkeys((recipe.vae, recipe.upscaler) for recipe in recipes):
        if vae and vae != NO_VAE:
            check_vae(registry.get_vae(vae))
        if upscaler:
            registry.get_upscaler(upscaler)


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
        case "outdir", value:
            if is_file(base.folder):
                raise BadLine(f"{value} is a file, not a folder")


CHECKED_FIELDS = ("model", "vae", "upscaler", "outdir")
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
