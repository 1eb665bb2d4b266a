"""Shows images in a terminal: detects what it supports, and renders images as terminal text.

chafa, which does the rendering, is imported with the first image. `links` is imported separately:
the first paint does not need it.
"""

from dream.graphics.terminal import PROTOCOLS, Colours, Protocol, Terminal
from dream.graphics.terminal_images import TerminalImages, detect_terminal_images, supports_live

__all__ = [
    "PROTOCOLS",
    "Colours",
    "Protocol",
    "Terminal",
    "TerminalImages",
    "detect_terminal_images",
    "supports_live",
]
