"""The model card tells the truth, as far as half a minute can find out."""

from pathlib import Path

import pytest

from training.arrangements import KINDS
from training.drawing import render
from training.eval_prompts import colour_gone, count_right, draw_paper, pair_right
from training.evaluate import quick
from training.generate import TinyGenerator
from training.held_out import held_out
from training.image_analysis import analyze
from training.metrics import Metric, read_from, table, write_into
from training.shape_classifier import reader_accuracy

CARD = Path("models/tiny/README.md")

# diffusers' schedulers hand torch tensors to numpy the old way
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_the_figures_of_the_model_card_are_those_of_a_quick_measuring() -> None:
    stated = read_from(CARD)
    for row in quick(TinyGenerator()):
        assert abs(row.measured - stated[row.what]) <= 2 * row.error, row


def test_the_exam_asks_what_training_never_saw() -> None:
    paper = draw_paper()
    assert len(paper.singles) + len(paper.groups) + len(paper.pairs) == 400
    for still in (*paper.singles, *paper.groups, *paper.pairs):
        first = still.objects[0]
        assert held_out(first.kind, first.colour, still.background)
    assert draw_paper() == paper


def test_the_reader_of_shapes_knows_all_objects() -> None:
    assert reader_accuracy(120) >= 0.98
    assert reader_accuracy(180, kinds=KINDS) >= 0.96


def test_true_drawings_pass_the_exam() -> None:
    paper = draw_paper(0, 12, 12)
    for i, still in enumerate(paper.groups):
        assert count_right(still, analyze(render(still, 192, 192, i).image))
    for i, still in enumerate(paper.pairs):
        assert pair_right(still, analyze(render(still, 192, 192, i).image))


def test_a_colour_that_is_there_is_not_gone() -> None:
    still = draw_paper(1, 0, 0).singles[0]
    detection = analyze(render(still, 192, 192, 1).image)
    assert not colour_gone(still.background, detection)
    assert not colour_gone(still.objects[0].colour, detection)


def test_a_table_written_into_a_card_can_be_read_again(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text("# x\n<!-- measured -->\nold\n<!-- /measured -->\nend\n", "utf-8")
    rows = [
        Metric("shape right", "85 %", "95 %", 0.875, 40),
        Metric("time", "2 s", "1 s", 1.2, unit="s"),
    ]
    write_into(card, rows)
    assert read_from(card) == pytest.approx({"shape right": 0.875})
    assert table(rows) in card.read_text("utf-8")
    assert card.read_text("utf-8").endswith("end\n")
