"""The table of families and switches: each cell works, or is refused by name before loading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dream.catalogue.model_info import ModelInfo
from dream.core.errors import BadLine
from dream.core.recipe import Recipe
from dream.core.request import Request
from dream.line import parse_line
from dream.options.family import Family
from dream.options.family_switches import FAMILY_SWITCHES
from dream.options.family_table import FAMILIES
from dream.session import resolve

LINES: Mapping[str, str] = {
    "init_img": "-I start.png",
    "init_mask": "-I start.png -M start.png",
    "text_mask": "-I start.png -tm face",
    "outcrop": "--outcrop top 64",
    "hires_fix": "--hires_fix 0.6 -W 512 -H 512",
    "h_symmetry_time_pct": "--h_symmetry_time_pct 0.5",
    "v_symmetry_time_pct": "--v_symmetry_time_pct 0.5",
    "with_variations": "-v 0.2",
    "perlin": "--perlin 0.2",
    "seamless": "--seamless",
    "control": "--control canny=start.png",
    "control_mode": "--control canny=start.png --control_mode prompt",
    "image_prompt": "--image_prompt start.png",
    "freeu": "--freeu",
    "pag": "--pag 3",
    "cfg_rescale": "--cfg_rescale 0.5",
    "clip_skip": "--clip_skip 2",
}
"""A line that uses each switch, by its field in a Recipe."""
CONTROL = next(row for row in FAMILY_SWITCHES if row.fields == ("control",))
CELLS = [
    pytest.param(family, row, number, id=f"{family.key}-{row.fields[number]}")
    for family in FAMILIES
    for row in FAMILY_SWITCHES
    for number in range(len(row.fields))
]


def resolved(words: str, family: str, folder: Path) -> Recipe:
    info = ModelInfo(name="it", path=folder / "model", width=256, height=256, family=family)
    if family == "sd2":  # its row is that of the depth model
        info = replace(info, variant="depth")
    request = parse_line(
        f"a cat {words}".replace("start.png", str(folder / "start.png")), Request()
    )
    return resolve(request, lambda name: info, (), lambda: 7).recipes[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("start")
    Image.new("RGB", (256, 256)).save(made / "start.png")
    return made


@pytest.mark.parametrize(("family", "row", "number"), CELLS)
def test_each_cell_works_or_is_refused_by_name(
    folder: Path, family: Family, row: Any, number: int
) -> None:
    field, switch = row.fields[number], row.switches[number]
    needs_image = field in ("init_mask", "text_mask")
    image_works = FAMILY_SWITCHES[0].supports(family)
    if (row.supports(family) or row.ignored) and (image_works or not needs_image):
        assert getattr(resolved(LINES[field], family.key, folder), field)
        return
    with pytest.raises(BadLine) as caught:
        resolved(LINES[field], family.key, folder)
    named = switch if image_works or not needs_image else "-I"
    if field == "control_mode" and not CONTROL.supports(family):
        named = "--control"
    assert str(caught.value).startswith(f"it ({family.title}) does not support {named}")
    assert "Stable Diffusion" in caught.value.hint


def test_every_switch_of_the_table_has_its_line() -> None:
    assert LINES.keys() == {field for row in FAMILY_SWITCHES for field in row.fields}
    assert all(len(row.fields) == len(row.switches) for row in FAMILY_SWITCHES)


def test_a_model_that_edits_takes_an_image_and_an_unknown_family_is_not_judged(
    folder: Path,
) -> None:
    assert resolved("-I start.png", "flux2", folder).init_img
    assert resolved("--seamless", "other", folder).seamless
    plain = resolved("", "ovis", folder)
    assert replace(plain, prompt="") == replace(resolved("-n1", "ovis", folder), prompt="")


@pytest.mark.parametrize("words", ["-I start.png", "-ref start.png"])
def test_control_is_refused_where_a_model_edits_images(folder: Path, words: str) -> None:
    info = ModelInfo(name="it", path=folder, width=256, height=256, family="flux", edits="kontext")

    def resolve_line(line: str) -> Recipe:
        line = line.replace("start.png", str(folder / "start.png"))
        return resolve(parse_line(line, Request()), lambda name: info, (), lambda: 7).recipes[0]

    assert resolve_line("a cat --control canny=start.png").control
    with pytest.raises(BadLine, match="it edits images, which --control does not support"):
        resolve_line(f"a cat {words} --control canny=start.png")
