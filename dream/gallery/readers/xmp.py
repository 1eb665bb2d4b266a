"""Finds texts in an XMP packet without an XML parser, so without entities and their bombs."""

from __future__ import annotations

import html
import re

_LONGEST = 4 << 20
_ITEM = re.compile(r"<rdf:li[^>]{0,200}>")


def find_element(xmp: str, name: str) -> str:
    """The text of an element, or of the first item of its list; or of the attribute of that name.
    Empty if there is none."""
    xmp = xmp[:_LONGEST]
    start = xmp.find(f"<{name}")
    if start < 0:
        match = re.search(rf'\s{re.escape(name)}="([^"]*)"', xmp)
        return html.unescape(match[1]) if match else ""
    start = xmp.find(">", start) + 1
    end = xmp.find(f"</{name}>", start)
    if not start or end < 0:
        return ""
    inside = xmp[start:end]
    if item := _ITEM.search(inside):
        inside = inside[item.end() :].partition("</rdf:li>")[0]
    inside = inside.strip()
    if inside.startswith("<![CDATA["):
        return inside.removeprefix("<![CDATA[").removesuffix("]]>")
    return html.unescape(inside)
