"""How well does the model paint what is said? `python -m training.evaluate [--quick]`

Prints the table of the model card. Pictures are made by plain diffusers in float32 from noise drawn
on the CPU, with the card's steps, sampler and guidance, and judged by `judge`.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from training import eval_prompts as exam
from training.drawing import render
from training.eval_prompts import EvalSet, draw_paper
from training.generate import MODEL, TinyGenerator
from training.image_analysis import Detection, analyze
from training.palette import NAMES
from training.scene_specs import ObjectScene
from training.shape_classifier import load_reader, read_kinds, reader_accuracy
from training.train_upscaler import gain

BEGIN, END = "<!-- measured -->", "<!-- /measured -->"
UPSCALER = Path("models/tiny-x4/tiny-x4.pth")


@dataclass(frozen=True)
class Metric:
    what: str
    needed: str
    goal: str
    measured: float  # a share, or what `unit` says
    of: int = 0  # how many were judged; 0: a figure of its own
    unit: str = "%"

    @property
    def error(self) -> float:
        """Two standard errors of a share; at least as if one of the answers had been otherwise."""
        if not self.of:
            return 0.0
        share = min(max(self.measured, 1 / self.of), 1 - 1 / self.of)
        return 2 * math.sqrt(share * (1 - share) / self.of)

    def cells(self) -> tuple[str, ...]:
        if self.unit == "%":
            value = f"{self.measured:.1%} ± {self.error * 100:.1f}"
        else:
            value = f"{self.measured:+.2f} dB" if self.unit == "dB" else f"{self.measured:.2f} s"
        return self.what, self.needed, self.goal, value


def share(
    right: Callable[[ObjectScene, Detection], bool],
    asked: Sequence[ObjectScene],
    found: Sequence[Detection],
) -> float:
    return sum(right(a, f) for a, f in zip(asked, found, strict=True)) / len(asked)


def kinds_right(asked: Sequence[ObjectScene], found: Sequence[Detection]) -> float:
    reader = load_reader()
    read = [read_kinds(reader, list(f.regions[:1])) for f in found]
    return sum(r == [a.things[0].kind] for a, r in zip(asked, read, strict=True)) / len(asked)


def rows_of_singles(asked: Sequence[ObjectScene], found: Sequence[Detection]) -> list[Metric]:
    n = len(asked)
    return [
        Metric(
            "background colour right", "97 %", "99 %", share(exam.background_right, asked, found), n
        ),
        Metric("object colour right", "95 %", "98 %", share(exam.colour_right, asked, found), n),
        Metric("shape right", "85 %", "95 %", kinds_right(asked, found), n),
        Metric(
            "place right (nine cells)", "80 %", "92 %", share(exam.place_right, asked, found), n
        ),
    ]


def both_right(asked: ObjectScene, found: Detection) -> bool:
    return exam.background_right(asked, found) and exam.colour_right(asked, found)


def row_of_counts(
    paper: EvalSet, singles: Sequence[Detection], groups: Sequence[Detection]
) -> Metric:
    """One, two and three in equal parts."""
    ones = len(paper.groups) // 2
    asked = [*paper.singles[:ones], *paper.groups]
    found = [*singles[:ones], *groups]
    return Metric(
        "count 1/2/3 right", "80 %", "92 %", share(exam.count_right, asked, found), len(asked)
    )


def row_of_negatives(painter: TinyGenerator, count: int) -> Metric:
    """'a circle [red]': of every colour, and the picture must not show it."""
    kinds = ("circle", "star", "heart", "cat", "house", "flower")
    prompts = [f"a {kinds[i // len(NAMES) % len(kinds)]}" for i in range(count)]
    unwanted = [NAMES[i % len(NAMES)] for i in range(count)]
    images = painter.paint(prompts, seed=500, negative=unwanted)
    gone = sum(exam.colour_gone(c, analyze(im)) for c, im in zip(unwanted, images, strict=True))
    return Metric("negative word gone (`a circle [red]`)", "90 %", "98 %", gone / count, count)


def rows_of_samplers(painter: TinyGenerator, asked: Sequence[ObjectScene]) -> list[Metric]:
    from dream.options.sampler_table import SAMPLERS

    each = {}
    for name in SAMPLERS:
        each[name] = share(both_right, asked, painter.find(asked, sampler=name, steps=20, seed=900))
        print(f"    {name:16} {each[name]:.0%}", flush=True)
    return [
        Metric(
            "every sampler of the table, 20 steps, background and colour",
            "93 %",
            "97 %",
            statistics.mean(each.values()),
            len(asked) * len(each),
        ),
        Metric(
            f"… the least of them ({min(each, key=lambda name: each[name])})",
            "",
            "",
            min(each.values()),
            len(asked),
        ),
    ]


def row_of_time(painter: TinyGenerator) -> Metric:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    painter.paint(["a red circle"], steps=2)
    times = []
    for _ in range(3):
        began = time.perf_counter()
        painter.paint(["a red circle on a blue background"], steps=20)
        times.append(time.perf_counter() - began)
    torch.set_num_threads(threads)
    return Metric(
        "one 256x256 picture, 20 steps with guidance, 2 cores",
        "<= 2 s",
        "<= 1 s",
        min(times),
        unit="s",
    )


def measure_upper_bound(asked: Sequence[ObjectScene]) -> list[Metric]:
    """The judge on the renderer's own pictures of the same questions: what 'right' can reach."""
    found = [analyze(render(still, 256, 256, i).image) for i, still in enumerate(asked)]
    return rows_of_singles(asked, found)


def quick(painter: TinyGenerator) -> list[Metric]:
    """A fifth of the singles: what a test can afford."""
    asked = draw_paper().singles[:54]
    return rows_of_singles(asked, painter.find(asked))


def full(painter: TinyGenerator) -> list[Metric]:
    paper = draw_paper()
    singles = painter.find(paper.singles)
    rows = rows_of_singles(paper.singles, singles)
    rows.append(row_of_counts(paper, singles, painter.find(paper.groups, seed=300)))
    pairs = painter.find(paper.pairs, seed=400)
    rows.append(
        Metric(
            "two objects, each with its own colour",
            "65 %",
            "85 %",
            share(exam.pair_right, paper.pairs, pairs),
            len(pairs),
        )
    )
    some = paper.singles[:54]
    rows.append(
        Metric(
            "Chinese prompts, background and colour",
            "92 %",
            "97 %",
            share(both_right, some, painter.find(some, "zh")),
            len(some),
        )
    )
    rows.append(row_of_negatives(painter, 36))
    rows += rows_of_samplers(painter, paper.singles[:12])
    rows.append(
        Metric(
            "8 steps, dpmpp_2m_karras, background and colour",
            "85 %",
            "95 %",
            share(both_right, some, painter.find(some, sampler="dpmpp_2m_karras", steps=8)),
            len(some),
        )
    )
    rows.append(
        Metric(
            "upscaler, PSNR over bicubic on held-out pictures",
            "+1.0 dB",
            "+2.5 dB",
            gain(UPSCALER),
            unit="dB",
        )
    )
    rows.append(row_of_time(painter))
    return rows


def table(rows: Sequence[Metric]) -> str:
    lines = ["| on held-out prompts | needed | goal | measured |", "|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(row.cells())} |" for row in rows)])


def write_into(readme: Path, rows: Sequence[Metric]) -> None:
    """Replace the table of the model card by this one."""
    text = readme.read_text("utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    readme.write_text(f"{before}{BEGIN}\n{table(rows)}\n{END}{after}", "utf-8")


def read_from(readme: Path) -> dict[str, float]:
    """The shares that the model card states, by what they are about."""
    stated = {}
    for line in readme.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and "%" in cells[3]:
            stated[cells[0]] = float(cells[3].split("%")[0]) / 100
    return stated


def main() -> None:
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("--model", type=Path, default=MODEL)
    asked.add_argument("--quick", action="store_true", help="54 single objects only")
    asked.add_argument("--judge", action="store_true", help="measure the judge on true drawings")
    asked.add_argument("--write", action="store_true", help="put the table into the model card")
    options = asked.parse_args()
    if options.judge:
        print(f"the reader of shapes: {reader_accuracy():.1%} right on new drawings")
        print(table(measure_upper_bound(draw_paper().singles)))
        return
    painter = TinyGenerator(options.model)
    rows = quick(painter) if options.quick else full(painter)
    print(table(rows))
    if options.write:
        write_into(options.model / "README.md", rows)


if __name__ == "__main__":
    main()
