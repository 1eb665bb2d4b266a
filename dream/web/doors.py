"""The doors of the server. A new one is a row here."""

from __future__ import annotations

from dream.web.door import MakeDoor
from dream.web.own_door import open_own_door

DOORS: tuple[MakeDoor, ...] = (open_own_door,)
"""The one with the longest matching prefix answers."""
