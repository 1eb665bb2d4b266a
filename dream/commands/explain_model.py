"""!info MODEL: what a model is, its parts, and where each of its defaults comes from."""

from __future__ import annotations

from collections.abc import Iterator

from dream.catalogue.model_info import ModelInfo
from dream.commands.command import Line
from dream.commands.model_text import describe_family, format_bytes, measure_model
from dream.core.request import FLAGS, Request
from dream.options.family_table import get_family
from dream.session import Session

_DEFAULTS = ("width", "height", "steps", "cfg_scale", "sampler", "cfg_rescale", "upscaler")
"""Fields of a model that are the defaults of a line's."""
_SETTINGS = ("prediction", "edits", "ema", "vae", "text_encoder", "base", "multiple")
"""Fields of a model that lines do not have, or not as a default; shown where they are set."""
_OWN = "dream's own default"
_SESSION = "set for this session, by !set, a launch option or dream.toml"


def explain_model(info: ModelInfo, session: Session) -> Iterator[Line]:
    """Lines of text about a model."""
    yield f"{info.name}: {info.description}" if info.description else info.name
    yield ("  family", f"{get_family(info.family).title} ({describe_family(info)})")
    yield ("  size on disk", format_bytes(measure_model(info)))
    yield ("  path", str(info.path))
    for part in info.parts:
        yield (f"  {part.part}", str(part.path))
    for what in info.missing:
        yield ("  lacks", what)
    yield ""
    yield "defaults of a line with this model:"
    origins = dict(info.origins)
    for field in _DEFAULTS:
        yield (f"  {field}", _describe_default(field, info, session.base, origins))
    settings = [field for field in _SETTINGS if getattr(info, field) not in ("", False)]
    for field in settings:
        origin = origins.get(field) or (info.edits_from if field == "edits" else "")
        where = f", {origin}" if origin else ""
        yield (f"  {field}", f"{_format(field, getattr(info, field))}{where}")


def _describe_default(field: str, info: ModelInfo, base: Request, origins: dict[str, str]) -> str:
    own, set_here = getattr(info, field), getattr(base, field)
    text = f"{_format(field, own)}, {origins.get(field, _OWN)}"
    if set_here is None:
        return text
    return f"{_format(field, set_here)}, {_SESSION} (else {text})"


def _format(field: str, value: object) -> str:
    if field in FLAGS:
        return " ".join(FLAGS[field].kind.write(value))
    return "true" if value is True else str(value)
