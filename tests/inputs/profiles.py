"""Colour profiles of every kind of colour, made from the specification (ICC.1:2001-04)."""

from __future__ import annotations

import struct
from itertools import product

ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
"""Adobe RGB (1998)'s red, green and blue, as XYZ under D50."""
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
_D50 = (0.9642, 1.0, 0.8249)


def rgb(colours: tuple[tuple[float, ...], ...], gamma: float, name: str) -> bytes:
    """A profile of three colours and one gamma."""
    xyz = {f"{letter}XYZ": _xyz(colour) for letter, colour in zip("rgb", colours, strict=True)}
    curves = {f"{letter}TRC": _curve(gamma) for letter in "rgb"}
    return _profile(b"RGB ", b"XYZ ", b"mntr", name, xyz | curves)


def grey(gamma: float) -> bytes:
    """A profile of grey alone."""
    return _profile(b"GRAY", b"XYZ ", b"mntr", "grey", {"kTRC": _curve(gamma)})


def cmyk(ink: int) -> bytes:
    """A press whose inks are all of one grey, of that lightness from 0 to 100."""
    even = bytes(range(256))
    light = (bytes([round(2.55 * ink) if any(inks) else 255, 128, 128]) for inks in _INKS)
    unit = struct.pack(">9i", *(65536 * (n % 4 == 0) for n in range(9)))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + unit + even * 4 + b"".join(light) + even * 3
    return _profile(b"CMYK", b"Lab ", b"prtr", "press", {"A2B0": table})


_INKS = tuple(product((0, 1), repeat=4))


def _xyz(colour: tuple[float, ...]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(65536 * part) for part in colour))


def _curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))


def _profile(
    colours: bytes, between: bytes, kind: bytes, name: str, tags: dict[str, bytes]
) -> bytes:
    described = name.encode() + b"\0"
    text = b"desc" + bytes(4) + struct.pack(">I", len(described)) + described + bytes(78)
    tags = {"desc": text, "cprt": b"text" + bytes(4) + b"none\0", "wtpt": _xyz(_D50)} | tags
    at, table, data = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for tag, value in tags.items():
        table += tag.encode() + struct.pack(">II", at + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    white = struct.pack(">3i", *(round(65536 * part) for part in _D50))
    head = struct.pack(">I", at + len(data)) + bytes(4) + b"\2\x40\0\0" + kind + colours + between
    head = (head + bytes(12) + b"acsp").ljust(68, b"\0") + white
    return head.ljust(128, b"\0") + table + data
