"""One line through the house: settle → render → finish → keep, told as events."""

from dream.studio.many import extent
from dream.studio.named import check_default, wrong_defaults
from dream.studio.outlook import Outlook, outlook
from dream.studio.settle import Settled, check, series, settle, settle_sweep
from dream.studio.studio import Studio
from dream.studio.told import reported

__all__ = [
    "Outlook",
    "Settled",
    "Studio",
    "check",
    "check_default",
    "extent",
    "outlook",
    "reported",
    "series",
    "settle",
    "settle_sweep",
    "wrong_defaults",
]
