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
    wanted: Sequence[ObjectScene],
    detection: Sequence[Detection],
) -> float:
    return sum(right(a, f) for a, f in zip(wanted, detection, strict=True)) / len(wanted)


def kinds_right(wanted: Sequence[ObjectScene], detection: Sequence[Detection]) -> float:
    reader = load_reader()
    read = [read_kinds(reader, list(f.regions[:1])) for f in detection]
    return sum(r == [a.objects[0].kind] for a, r in zip(wanted, read, strict=True)) / len(wanted)


def rows_of_singles(wanted: Sequence[ObjectScene], detection: Sequence[Detection]) -> list[Metric]:
    n = len(wanted)
    return [
        Metric(
            "background colour right",
            "97 %",
            "99 %",
            share(exam.background_right, wanted, detection),
            n,
        ),
        Metric(
            "object colour right", "95 %", "98 %", share(exam.colour_right, wanted, detection), n
        ),
        Metric("shape right", "85 %", "95 %", kinds_right(wanted, detection), n),
        Metric(
            "place right (nine cells)",
            "80 %",
            "92 %",
            share(exam.place_right, wanted, detection),
            n,
        ),
    ]


def both_right(wanted: ObjectScene, detection: Detection) -> bool:
    return exam.background_right(wanted, detection) and exam.colour_right(wanted, detection)


def row_of_counts(
    paper: EvalSet, singles: Sequence[Detection], groups: Sequence[Detection]
) -> Metric:
    """One, two and three in equal parts."""
    ones = len(paper.groups) // 2
    wanted = [*paper.singles[:ones], *paper.groups]
    detection = [*singles[:ones], *groups]
    return Metric(
        "count 1/2/3 right", "80 %", "92 %", share(exam.count_right, wanted, detection), len(wanted)
    )


def row_of_negatives(generator: TinyGenerator, count: int) -> Metric:
    """'a circle [red]': of every colour, and the picture must not show it."""
    kinds = ("circle", "star", "heart", "cat", "house", "flower")
    prompts = [f"a {kinds[i // len(NAMES) % len(kinds)]}" for i in range(count)]
    unwanted = [NAMES[i % len(NAMES)] for i in range(count)]
    images = generator.paint(prompts, seed=500, negative=unwanted)
    gone = sum(exam.colour_gone(c, analyze(im)) for c, im in zip(unwanted, images, strict=True))
    return Metric("negative word gone (`a circle [red]`)", "90 %", "98 %", gone / count, count)


def rows_of_samplers(generator: TinyGenerator, wanted: Sequence[ObjectScene]) -> list[Metric]:
    from dream.options.sampler_table import SAMPLERS

    each = {}
    for name in SAMPLERS:
        each[name] = share(
            both_right, wanted, generator.find(wanted, sampler=name, steps=20, seed=900)
        )
        print(f"    {name:16} {each[name]:.0%}", flush=True)
    return [
        Metric(
            "every sampler of the table, 20 steps, background and colour",
            "93 %",
            "97 %",
            statistics.mean(each.values()),
            len(wanted) * len(each),
        ),
        Metric(
            f"… the least of them ({min(each, key=lambda name: each[name])})",
            "",
            "",
            min(each.values()),
            len(wanted),
        ),
    ]


def row_of_time(generator: TinyGenerator) -> Metric:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    generator.paint(["a red circle"], steps=2)
    times = []
    for _ in range(3):
        began = time.perf_counter()
        generator.paint(["a red circle on a blue background"], steps=20)
        times.append(time.perf_counter() - began)
    torch.set_num_threads(threads)
    return Metric(
        "one 256x256 picture, 20 steps with guidance, 2 cores",
        "<= 2 s",
        "<= 1 s",
        min(times),
        unit="s",
    )


def measure_upper_bound(wanted: Sequence[ObjectScene]) -> list[Metric]:
    """The judge on the renderer's own pictures of the same questions: what 'right' can reach."""
    detection = [analyze(render(still, 256, 256, i).image) for i, still in enumerate(wanted)]
    return rows_of_singles(wanted, detection)


def quick(generator: TinyGenerator) -> list[Metric]:
    """A fifth of the singles: what a test can afford."""
    wanted = draw_paper().singles[:54]
    return rows_of_singles(wanted, generator.find(wanted))


def full(generator: TinyGenerator) -> list[Metric]:
    paper = draw_paper()
    singles = generator.find(paper.singles)
    rows = rows_of_singles(paper.singles, singles)
    rows.append(row_of_counts(paper, singles, generator.find(paper.groups, seed=300)))
    pairs = generator.find(paper.pairs, seed=400)
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
            share(both_right, some, generator.find(some, "zh")),
            len(some),
        )
    )
    rows.append(row_of_negatives(generator, 36))
    rows += rows_of_samplers(generator, paper.singles[:12])
    rows.append(
        Metric(
            "8 steps, dpmpp_2m_karras, background and colour",
            "85 %",
            "95 %",
            share(both_right, some, generator.find(some, sampler="dpmpp_2m_karras", steps=8)),
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
    rows.append(row_of_time(generator))
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
    wanted = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    wanted.add_argument("--model", type=Path, default=MODEL)
    wanted.add_argument("--quick", action="store_true", help="54 single objects only")
    wanted.add_argument("--judge", action="store_true", help="measure the judge on true drawings")
    wanted.add_argument("--write", action="store_true", help="put the table into the model card")
    options = wanted.parse_args()
    if options.judge:
        print(f"the reader of shapes: {reader_accuracy():.1%} right on new drawings")
        print(table(measure_upper_bound(draw_paper().singles)))
        return
    generator = TinyGenerator(options.model)
    rows = quick(generator) if options.quick else full(generator)
    print(table(rows))
    if options.write:
        write_into(options.model / "README.md", rows)


if __name__ == "__main__":
    main()
