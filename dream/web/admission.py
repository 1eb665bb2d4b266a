"""Which requests of a client are carried out. Every door passes its Requests through `admit`.

A client names files only as images of the gallery, uploads, and models and adapters that are
listed. What is not listed is refused in the same words whether it exists or not.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from dream.catalogue.adapter_files import ADAPTER_KINDS
from dream.catalogue.adapter_registry import AdapterRegistry
from dream.catalogue.control_files import find_control_models
from dream.catalogue.encoder_files import find_text_encoders
from dream.catalogue.face_models import list_face_models
from dream.catalogue.image_prompt_files import find_image_prompt_models
from dream.core.errors import BadLine, excerpt
from dream.core.file_names import parse_path
from dream.core.request import (
    ADAPTER_FIELDS,
    FLAGS,
    IMAGE_FILE_FIELDS,
    NO_VAE,
    Request,
    map_image_files,
)
from dream.core.stages import compute_final_size
from dream.inputs import measure_image
from dream.session import Session
from dream.web.picture_list import PictureList

MAX_PICTURES = 100
"""Images of one request."""
MAX_PIXELS = 1 << 26
"""Pixels of one finished image: 8192 x 8192."""
MAX_INTERMEDIATES = 200
MAX_PROMPT = 32_768
"""Characters."""


class Admission:
    """Admits requests of a session's clients."""

    def __init__(self, session: Session, pictures: PictureList) -> None:
        self._session, self._pictures = session, pictures

    def admit(self, request: Request, *, memory: bool = False) -> Request:
        """The request with paths for its files, if a client may make it. With `memory`, -1 may
        stand for the session's last image or seed; other doors have no such memory. Raises
        BadLine."""
        texts = (request.prompt, request.negative, request.template, request.negative_template)
        if any(len(text or "") > MAX_PROMPT for text in texts):
            raise BadLine(f"the prompt is longer than {MAX_PROMPT:,} characters")
        if request.iterations > MAX_PICTURES:
            raise BadLine(
                f"{request.iterations} images are too many at once", 0, f"at most {MAX_PICTURES}"
            )
        if request.combine and not memory:
            raise BadLine("--combine is for lines only", 0, "leave it out")
        if not memory and request.seed is not None and request.seed < 0:
            raise BadLine("the seed is negative", 0, "leave it out for a random one")
        self._check_names(request)
        admitted = replace(request, **self._find_files(request, memory))
        self._check_folder(admitted)
        return admitted

    def check_size(self, request: Request) -> None:
        """Check what an admitted request would make: its pixels, and its unfinished images. Raises
        what resolving it raises, and BadLine."""
        session = self._session
        first = replace(request, iterations=1, variation_amount=0.0)
        (recipe,) = session.resolve(first).recipes
        size = (recipe.width, recipe.height)
        if recipe.fix is not None:
            size = measure_image(Path(recipe.fix))
        width, height = compute_final_size(recipe, size)
        if width * height > MAX_PIXELS:
            raise BadLine(
                f"{width}x{height} is too large", 0, f"at most {MAX_PIXELS >> 20} million pixels"
            )
        if every := request.save_intermediates:
            count = recipe.steps // every * request.iterations
            if count > MAX_INTERMEDIATES:
                raise BadLine(f"{count} unfinished images are too many", 0, "save fewer steps")

    def find_image(self, value: str, *, memory: bool = False) -> str:
        """The path of an image that a client names. Raises BadLine if it is not listed."""
        if memory and value.startswith("-") and value[1:].isdecimal():
            return value
        name = self._name_of(value)
        path = self._pictures.find_input(name)
        if path is None:
            raise BadLine(
                f"“{excerpt(value)}” is not an image of this gallery", 0, "upload it first"
            )
        return str(path)

    def _name_of(self, value: str) -> str:
        """The name in the list for what may be written as in a log line: with the folder."""
        folder = self._pictures.folder
        for prefix in (f"{folder.as_posix()}/", f"{folder.absolute().as_posix()}/"):
            if value.startswith(prefix):
                return value[len(prefix) :]
        return value

    def _find_files(self, request: Request, memory: bool) -> dict[str, Any]:
        def find(value: str) -> str:
            return self.find_image(value, memory=memory)

        return {name: map_image_files(getattr(request, name), find) for name in IMAGE_FILE_FIELDS}

    def _check_names(self, request: Request) -> None:
        registry = self._session.registry
        base = self._session.base
        if request.model and request.model != base.model:
            _check_listed("model", request.model, registry.list_names())
        if request.vae and request.vae not in (NO_VAE, base.vae):
            _check_listed("vae", request.vae, registry.list_vaes())
        if request.text_encoder and request.text_encoder != base.text_encoder:
            encoders = find_text_encoders(registry.models_dirs)
            _check_listed("text_encoder", request.text_encoder, encoders)
        if request.upscaler and request.upscaler != base.upscaler:
            names = [info.name for info in registry.list_upscalers()]
            _check_listed("upscaler", request.upscaler, names)
        if request.facetool and request.facetool != base.facetool:
            _check_listed("facetool", request.facetool, list_face_models(registry.models_dirs))
        for name in request.control_model or ():
            _check_listed("control_model", name, find_control_models(registry.models_dirs))
        if request.image_prompt_model and request.image_prompt_model != base.image_prompt_model:
            models = find_image_prompt_models(registry.models_dirs)
            _check_listed("image_prompt_model", request.image_prompt_model, models)
        adapters = AdapterRegistry.of(registry)
        for field in ADAPTER_FIELDS:
            for item in getattr(request, field) or ():
                name = item if isinstance(item, str) else item.name
                _check_listed(field, name, adapters.find(ADAPTER_KINDS[field]))

    def _check_folder(self, request: Request) -> None:
        served = self._pictures.folder
        if not request.outdir or parse_path(request.outdir) == served:
            return
        folder = Path(os.path.realpath(parse_path(request.outdir)))
        if not folder.is_relative_to(os.path.realpath(served)):
            raise BadLine("-o is outside the folder of this server", 0, f"use {served}/NAME")


def _check_listed(field: str, name: str, listed: Iterable[str]) -> None:
    if name not in set(listed):
        long = FLAGS[field].long_name
        raise BadLine(f"--{long} “{excerpt(name)}” is not listed here", 0, "see /api/models")
