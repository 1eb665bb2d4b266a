"""What AUTOMATIC1111's API lists: models, samplers, schedules, upscalers, adapters."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from dream.catalogue.adapter_files import EMBEDDING, HYPERNET, LORA, AdapterKind
from dream.catalogue.adapter_registry import AdapterRegistry
from dream.catalogue.embedding_info import read_embedding_info
from dream.core.errors import DreamError
from dream.options.foreign_names import A1111_SAMPLERS, A1111_SCHEDULES, find_sampling
from dream.options.sampler_table import SAMPLERS
from dream.options.schedule_table import AUTO, FORMER, SCHEDULES
from dream.session import Session
from dream.web.sdapi.face_fields import RESTORERS
from dream.web.sdapi.model_titles import get_digest, make_title

_SCALE = 4.0
"""What an upscaler without a known factor is listed with, as in AUTOMATIC1111."""
_RHO = 7.0
"""Karras et al. 2022, arXiv:2206.00364."""
_FLAGS: dict[str, Any] = {"api": True, "listen": False, "share": False, "nowebui": False}
"""Of a server's command line, what is no secret."""

ListThings = Callable[[Session], Any]


def _list_models(session: Session) -> list[dict[str, Any]]:
    models = []
    for info in session.registry.list_models():
        digest = get_digest(info.path)
        models.append(
            {
                "title": make_title(info.name, info.path),
                "model_name": info.name,
                "hash": digest[:10] or None,
                "sha256": digest or None,
                "filename": info.path.name,
                "config": None,
            }
        )
    return models


def _list_vaes(session: Session) -> list[dict[str, Any]]:
    return [{"model_name": name, "filename": name} for name in session.registry.list_vaes()]


def get_sampler_name(sampler: str) -> str:
    """A sampler's name in AUTOMATIC1111, if that name means it here; else its own."""
    name = A1111_SAMPLERS.get(sampler, sampler)
    return name if find_sampling(name, "").sampler == sampler else sampler


def _list_samplers(session: Session) -> list[dict[str, Any]]:
    return [
        {"name": get_sampler_name(name), "aliases": [name, *spec.aliases], "options": {}}
        for name, spec in SAMPLERS.items()
    ]


def _list_schedulers(session: Session) -> list[dict[str, Any]]:
    names = [name for name in SCHEDULES if name not in (AUTO, FORMER, "model")]
    rows = [("automatic", "Automatic"), *((name, A1111_SCHEDULES[name]) for name in names)]
    return [
        {
            "name": name,
            "label": label,
            "aliases": None,
            "default_rho": _RHO if name == "karras" else -1.0,
            "need_inner_model": False,
        }
        for name, label in rows
    ]


def _list_upscalers(session: Session) -> list[dict[str, Any]]:
    names = ["None"]
    with suppress(DreamError):
        names += [info.name for info in session.registry.list_upscalers()]
    return [
        {"name": name, "model_name": name, "model_path": None, "model_url": None, "scale": _SCALE}
        for name in names
    ]


def _find(session: Session, kind: AdapterKind) -> dict[str, Path]:
    return AdapterRegistry.of(session.registry).find(kind)


def _list_loras(session: Session) -> list[dict[str, Any]]:
    return [
        {"name": name, "alias": name, "path": path.name, "metadata": {}}
        for name, path in _find(session, LORA).items()
    ]


def _list_hypernetworks(session: Session) -> list[dict[str, Any]]:
    found = _find(session, HYPERNET)
    return [{"name": name, "path": path.name} for name, path in found.items()]


def _list_embeddings(session: Session) -> dict[str, Any]:
    loaded: dict[str, Any] = {}
    skipped: dict[str, Any] = {}
    for name, path in _find(session, EMBEDDING).items():
        vectors = 0
        with suppress(DreamError):
            vectors = read_embedding_info(name, path).vectors
        row = {"step": None, "sd_checkpoint": None, "sd_checkpoint_name": None, "shape": 0}
        (loaded if vectors else skipped)[name] = {**row, "vectors": vectors}
    return {"loaded": loaded, "skipped": skipped}


def _describe_memory(session: Session) -> dict[str, Any]:
    memory = psutil.virtual_memory()
    used = memory.total - memory.available
    return {
        "ram": {"free": memory.available, "used": used, "total": memory.total},
        "cuda": {"error": "unavailable"},
    }


def _list_nothing(session: Session) -> list[Any]:
    return []


LISTS: dict[str, ListThings] = {
    "sd-models": _list_models,
    "sd-vae": _list_vaes,
    "samplers": _list_samplers,
    "schedulers": _list_schedulers,
    "upscalers": _list_upscalers,
    "latent-upscale-modes": lambda session: [{"name": "Latent"}],
    "loras": _list_loras,
    "hypernetworks": _list_hypernetworks,
    "embeddings": _list_embeddings,
    "scripts": lambda session: {"txt2img": [], "img2img": []},
    "memory": _describe_memory,
    "cmd-flags": lambda session: _FLAGS,
    "face-restorers": lambda session: [{"name": name, "cmd_dir": None} for name in RESTORERS],
    "realesrgan-models": _list_nothing,
    "prompt-styles": _list_nothing,
    "script-info": _list_nothing,
    "extensions": _list_nothing,
}
"""By the last part of the path. Clients fail at a 404 where they expect an empty list."""
