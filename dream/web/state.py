"""The session as JSON for clients."""

from __future__ import annotations

import io
from contextlib import suppress
from dataclasses import replace
from typing import Any

import dream
from dream.catalogue.adapter_files import EMBEDDING, HYPERNET
from dream.catalogue.adapter_registry import AdapterRegistry
from dream.catalogue.face_models import list_face_models
from dream.catalogue.lora_info import LoraInfo
from dream.commands.model_text import describe_details, describe_family, get_active_model
from dream.core.errors import DreamError
from dream.core.events import Preview
from dream.core.request import FLAGS, to_dict
from dream.line import format_fields
from dream.web.event_stream import describe_step
from dream.web.job import Job
from dream.web.services import WebServices


def describe_job(services: WebServices, job: Job) -> dict[str, Any]:
    """A job for clients."""
    body: dict[str, Any] = {
        "job": job.number,
        "line": job.line,
        "state": str(job.state),
        "pictures": job.pictures,
        "saved": [services.write_event(job, saved) for saved in list(job.saved)],
    }
    waiting = [entry.number for entry in services.queue.waiting]
    if job.number in waiting:
        body["position"] = waiting.index(job.number) + 1
    if job.step is not None:
        body["step"] = describe_step(job.number, job.step)
    if job.error is not None:
        body["error"] = job.error.message
        if job.error.hint:
            body["hint"] = job.error.hint
    return body


class StateWriter:
    """Describes the session of a server."""

    def __init__(self, services: WebServices) -> None:
        self._services = services

    def describe(self) -> dict[str, Any]:
        """All that a page shows at first."""
        session, jobs = self._services.session, self._services.jobs
        last = f"{jobs.run}-{jobs.last_id}"
        names = list(session.changed)
        return {
            "version": dream.__version__,
            "folder": session.at_start.folder.name,
            "event": last,
            "model": get_active_model(session),
            "loaded": list(session.engine.list_loaded()),
            "memory": session.engine.get_memory_usage(),
            "defaults": format_fields(session.base, names) if names else "",
            "token": self._services.access.needs_token,
            "left": list(self._services.left.lines) if self._services.left else [],
            **self.describe_jobs(),
        }

    def describe_jobs(self) -> dict[str, Any]:
        """The queue."""
        services = self._services
        current = services.jobs.current
        waiting = [services.jobs.get(entry.number) for entry in services.queue.waiting]
        finished = services.jobs.list_finished()
        return {
            "paused": services.queue.paused,
            "running": None if current is None else describe_job(services, current),
            "running_beside": [describe_job(services, job) for job in services.jobs.running[1:]],
            "waiting": [describe_job(services, job) for job in waiting if job is not None],
            "finished": [describe_job(services, job) for job in finished],
        }

    def describe_models(self) -> dict[str, Any]:
        """What requests may name."""
        session = self._services.session
        registry, adapters = session.registry, AdapterRegistry.of(session.registry)
        loaded = session.engine.list_loaded()
        active = get_active_model(session)
        loras = [found for found in adapters.list_loras() if isinstance(found, LoraInfo)]
        upscalers: list[dict[str, Any]] = []
        with suppress(DreamError):
            upscalers = [
                {"name": info.name, "on_disk": info.is_on_disk}
                for info in registry.list_upscalers()
            ]
        return {
            "models": [
                {
                    "name": info.name,
                    "family": describe_family(info),
                    "description": describe_details(info),
                    "width": info.width,
                    "height": info.height,
                    "steps": info.steps,
                    "cfg_scale": info.cfg_scale,
                    "sampler": info.sampler,
                    "active": info.name == active,
                    "loaded": info.name in loaded,
                }
                for info in registry.list_models()
            ],
            "vaes": list(registry.list_vaes()),
            "upscalers": upscalers,
            "face_restorers": [
                {"name": model.name, "on_disk": model.is_on_disk}
                for model in list_face_models(registry.models_dirs).values()
            ],
            "loras": [
                {"name": info.name, "triggers": list(info.triggers)}
                for info in loras
                if info.is_lora
            ],
            "embeddings": list(adapters.find(EMBEDDING)),
            "hypernets": list(adapters.find(HYPERNET)),
        }

    def describe_switches(self) -> dict[str, Any]:
        """The table of switches, and the defaults of this session."""
        return {
            "switches": [
                {
                    "field": field,
                    "names": list(flag.names),
                    "value": flag.kind.metavar,
                    "choices": list(flag.kind.choices),
                    "help": flag.help,
                    "section": flag.section,
                }
                for field, flag in FLAGS.items()
                if field != "prompt"
            ],
            "defaults": to_dict(replace(self._services.session.base, outdir=None)),
        }


def encode_preview(preview: Preview) -> bytes:
    """A preview as PNG."""
    from PIL import Image

    out = io.BytesIO()
    size = (preview.width, preview.height)
    Image.frombytes("RGB", size, preview.rgb).save(out, "PNG", compress_level=1)
    return out.getvalue()
