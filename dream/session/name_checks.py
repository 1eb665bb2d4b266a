"""What lines and defaults name besides pictures, looked for before anything is made: models, VAEs,
upscalers, folders."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from dream.catalogue import ModelRegistry
from dream.core.errors import BadLine, DreamError
from dream.core.file_names import is_file
from dream.core.recipe import Recipe
from dream.core.request import NO_VAE, Request


def check_recipes(shelf: ModelRegistry, recipes: Iterable[Recipe]) -> None:
    """Raises ModelError for a VAE or an upscaler that the shelf does not know."""
    for vae, upscaler in dict.fromkeys((recipe.vae, recipe.upscaler) for recipe in recipes):
        if vae and vae != NO_VAE:
            shelf.get_vae(vae)
        if upscaler:
            shelf.get_upscaler(upscaler)


def check_default(shelf: ModelRegistry, base: Request, name: str) -> None:
    """Look for what one field of the defaults names. Raises ModelError, or BadLine for a folder."""
    match name, getattr(base, name):
        case _, None | "":
            pass
        case "model", value:
            shelf.get_model(value)
        case "vae", value:
            if value != NO_VAE:
                shelf.get_vae(value)
        case "upscaler", value:
            shelf.get_upscaler(value)
        case "outdir", value:
            if is_file(base.folder):
                raise BadLine(f"{value} is a file, and pictures go into a folder")


NAMING = ("model", "vae", "upscaler", "outdir")
"""The fields that `check_default` looks at."""


def find_wrong_defaults(
    shelf: ModelRegistry, base: Request, besides: Collection[str] = ()
) -> Iterator[str]:
    """One line for each default that names what is not there, `besides` these fields."""
    for name in NAMING:
        try:
            if name not in besides:
                check_default(shelf, base, name)
        except DreamError as error:
            yield f"{name}: {error}"
