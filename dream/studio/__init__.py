"""One line through the house: settle → render → finish → keep, told as events."""

from dream.studio.settle import Settled, series, settle
from dream.studio.studio import OUTDIR, Studio

__all__ = ["OUTDIR", "Settled", "Studio", "series", "settle"]
