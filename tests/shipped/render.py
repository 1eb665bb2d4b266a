"""Lines to pictures, and pictures to what can be compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dream.core.events import Saved
from dream.session import Session

Pixels = np.ndarray[Any, np.dtype[np.float32]]


def make(session: Session, line: str) -> list[Saved]:
    """Its pictures. Fails where a line is refused, or a picture."""
    events = list(session.make(line))
    assert not [event for event in events if event.name in ("refused", "failed")], events
    return [event for event in events if isinstance(event, Saved)]


def make_one(session: Session, line: str) -> Saved:
    """The one picture of a line."""
    (saved,) = make(session, line)
    return saved


def opened(path: Path) -> Image.Image:
    """In RGB."""
    with Image.open(path) as image:
        return image.convert("RGB")


def pixels(path: Path) -> Pixels:
    """(height, width, 3), from 0 to 255, of a type whose differences do not wrap."""
    return np.asarray(opened(path), np.float32)
