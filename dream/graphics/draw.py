"""Renders pixels as terminal text with chafa.

chafa.py finds and loads the library; the calls are made here, since its own classes (1.2) leak half
a megabyte for each image. https://hpjansson.org/chafa/ref/
"""

from __future__ import annotations

import ctypes
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from dream.core.errors import DreamError
from dream.graphics.terminal import MOST_PIXELS, Terminal

_RGB8 = 8
_MODES = {"symbols": 0, "sixel": 1, "kitty": 2, "iterm2": 3}
_CANVASES = {"all": 0, "256": 2, "16": 3, "none": 5}
_TMUX = 2
_SPACE, _BLOCK, _BORDER, _QUAD, _HALF, _ASCII = 1 << 0, 1 << 3, 1 << 4, 1 << 7, 3 << 8, 1 << 14
_SYMBOLS = _SPACE | _BLOCK | _BORDER | _QUAD | _HALF

_Pointer, _Int = ctypes.c_void_p, ctypes.c_int


class NoGraphics(DreamError):
    """chafa is not installed, or does not work."""


class _Text(ctypes.Structure):
    """GLib's GString."""

    _fields_ = (("text", _Pointer), ("length", ctypes.c_size_t), ("room", ctypes.c_size_t))


def render_text(
    rgb: bytes,
    size: tuple[int, int],
    cells: tuple[int, int],
    terminal: Terminal,
    *,
    ascii_only: bool = False,
) -> str:
    """Terminal text that shows an image at the cursor, in `cells` (columns, rows).

    `rgb` has three bytes for each pixel of `size` (width, height); the cells are at most
    MOST_PIXELS wide and high. Raises NoGraphics, and ValueError for sizes that do not fit.
    """
    pixel_size = [count * side for count, side in zip(cells, terminal.cell, strict=True)]
    if (
        len(rgb) != size[0] * size[1] * 3
        or min(*size, *pixel_size) < 1
        or max(pixel_size) > MOST_PIXELS
    ):
        # The library would read beyond the pixels, or abort the process.
        raise ValueError(f"{len(rgb)} bytes are not {size[0]} x {size[1]} pixels in {cells} cells")
    call, free_text = _library()
    with ExitStack() as owned:
        config = owned.enter_context(_own(call, "canvas_config"))
        call("canvas_config_set_geometry", None, config, *cells)
        call("canvas_config_set_cell_geometry", None, config, *terminal.cell)
        call("canvas_config_set_pixel_mode", None, config, _MODES[terminal.protocol])
        call("canvas_config_set_canvas_mode", None, config, _CANVASES[terminal.colours])
        if terminal.through_tmux:
            call("canvas_config_set_passthrough", None, config, _TMUX)
        symbols = owned.enter_context(_own(call, "symbol_map"))
        call("symbol_map_add_by_tags", None, symbols, _ASCII if ascii_only else _SYMBOLS)
        call("canvas_config_set_symbol_map", None, config, symbols)
        canvas = owned.enter_context(_own(call, "canvas", config))
        frame = owned.enter_context(_own(call, "frame", rgb, _RGB8, *size, size[0] * 3))
        image = owned.enter_context(_own(call, "image"))
        call("image_set_frame", None, image, frame)
        # In tmux an image is placed by a 24-bit number, so each image needs its own.
        placement_id = zlib.crc32(rgb) % 0xFFFFFF + 1 if terminal.through_tmux else -1
        placement = owned.enter_context(_own(call, "placement", image, placement_id))
        call("canvas_set_placement", None, canvas, placement)
        info = call("term_db_get_fallback_info", _Pointer, call("term_db_get_default", _Pointer))
        owned.callback(call, "term_info_unref", None, _Pointer(info))
        gstring = call("canvas_print", _Pointer, canvas, _Pointer(info))
        owned.callback(free_text, _Pointer(gstring), 1)
        text = _Text.from_address(gstring)
        return ctypes.string_at(text.text, text.length).decode()


@contextmanager
def _own(call: Callable[..., Any], kind: str, *arguments: object) -> Iterator[ctypes.c_void_p]:
    """Create an object of the library, and free it at the end."""
    pointer = _Pointer(call(f"{kind}_new", _Pointer, *arguments))
    try:
        yield pointer
    finally:
        call(f"{kind}_unref", None, pointer)


def _library() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """A function that calls chafa (function name without prefix, result type, arguments), and
    GLib's g_string_free. Raises NoGraphics."""
    try:
        from chafa import libraries

        chafa, glib = libraries._Chafa, ctypes.CDLL(libraries._lib_glib)
    except (ImportError, OSError, AttributeError) as error:
        raise NoGraphics(
            f"images cannot be shown in this terminal: {error}", "pip install chafa.py"
        ) from error

    def call(name: str, result: Any, *arguments: object) -> Any:
        function = getattr(chafa, f"chafa_{name}")
        function.argtypes, function.restype = None, result
        return function(*arguments)

    return call, glib.g_string_free
