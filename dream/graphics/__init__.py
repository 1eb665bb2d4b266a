"""Pictures on a terminal: what it can show, and the text that shows them there.

Importing this room loads nothing; chafa, which does the drawing, comes with the first picture.
"""

from dream.graphics.links import links_to, wants_links
from dream.graphics.pictures import Pictures, pictures_on, wants_live
from dream.graphics.terminal import PROTOCOLS, Colours, Protocol, Terminal

__all__ = [
    "PROTOCOLS",
    "Colours",
    "Pictures",
    "Protocol",
    "Terminal",
    "links_to",
    "pictures_on",
    "wants_links",
    "wants_live",
]
