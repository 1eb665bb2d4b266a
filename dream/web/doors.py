"""The doors of the server. A new one is a row here."""

from __future__ import annotations

from dream.web.door import MakeDoor
from dream.web.mcp_door import open_mcp_door
from dream.web.openai_api.openai_door import open_openai_door
from dream.web.own_door import open_own_door
from dream.web.sdapi.sdapi_door import open_sdapi_door

DOORS: tuple[MakeDoor, ...] = (open_own_door, open_sdapi_door, open_openai_door, open_mcp_door)
"""The one with the longest matching prefix answers."""
