"""Names are the field's own terms, or verbs that say what is done."""

from __future__ import annotations

from scripts.names import ROOT, measure_names

NAMES = measure_names(ROOT / "dream")


def test_public_functions_begin_with_a_verb() -> None:
    assert NAMES.verbs >= 0.6


def test_few_public_functions_begin_with_a_participle() -> None:
    assert NAMES.participles <= 0.04


def test_most_functions_are_short() -> None:
    assert NAMES.ninetieth_length <= 20
