"""The table of the model card: what is measured, what was needed, and what came out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BEGIN, END = "<!-- measured -->", "<!-- /measured -->"


@dataclass(frozen=True)
class Metric:
    what: str
    needed: str
    goal: str
    measured: float  # a share, or in `unit`
    of: int = 0  # number of judged images; 0: not a share
    unit: str = "%"

    @property
    def error(self) -> float:
        """Two standard errors of a share; at least as if one of the images had been judged
        otherwise."""
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


def table(rows: Sequence[Metric]) -> str:
    lines = ["| on held-out prompts | needed | goal | measured |", "|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(row.cells())} |" for row in rows)])


def write_into(readme: Path, rows: Sequence[Metric]) -> None:
    """Replace the table in the model card by this one."""
    text = readme.read_text("utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    readme.write_text(f"{before}{BEGIN}\n{table(rows)}\n{END}{after}", "utf-8")


def read_from(readme: Path) -> dict[str, float]:
    """The shares in the model card, by their names."""
    stated = {}
    for line in readme.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and "%" in cells[3]:
            stated[cells[0]] = float(cells[3].split("%")[0]) / 100
    return stated
