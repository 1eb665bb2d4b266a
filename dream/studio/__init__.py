"""One line through the house: settle → render → finish → keep, told as events."""

from dream.studio.outlook import Outlook, outlook
from dream.studio.settle import Settled, check, series, settle, settle_sweep
from dream.studio.studio import Studio

__all__ = [
    "Outlook",
    "Settled",
    "Studio",
    "check",
    "outlook",
    "series",
    "settle",
    "settle_sweep",
]
