"""Pictures on a terminal: what it can show, and the text that shows them there.

Importing this room loads nothing; chafa, which does the drawing, comes with the first picture.
"""

from dream.graphics.links import make_link, supports_links
from dream.graphics.terminal import PROTOCOLS, Colours, Protocol, Terminal
from dream.graphics.terminal_images import TerminalImages, detect_terminal_images, supports_live

__all__ = [
    "PROTOCOLS",
    "Colours",
    "Protocol",
    "Terminal",
    "TerminalImages",
    "detect_terminal_images",
    "make_link",
    "supports_links",
    "supports_live",
]
