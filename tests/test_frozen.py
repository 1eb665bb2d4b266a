"""Law 3: nothing on the way is mutated. What travels between rooms cannot be."""

from collections.abc import Mapping
from dataclasses import FrozenInstanceError, fields, is_dataclass

import pytest

from dream.catalogue import model_info as cards
from dream.core import cli_options as launch
from dream.core import events, picture, recipe, request
from dream.engine import interface as base
from dream.options import option_type as flags
from dream.options import sampler_table as samplers
from dream.options import schedule_table as schedules
from dream.worker import protocol as wire

TRAVELLERS = [
    value
    for module in (events, flags, launch, picture, recipe, request, samplers, cards, base, wire)
    for value in vars(module).values()
    if isinstance(value, type) and is_dataclass(value) and value.__module__ == module.__name__
]


def test_there_are_travellers() -> None:
    assert {request.Request, recipe.Recipe, picture.Picture, events.Saved} <= set(TRAVELLERS)


@pytest.mark.parametrize("kind", TRAVELLERS, ids=lambda kind: kind.__name__)
def test_a_traveller_is_frozen(kind: type) -> None:
    traveller = object.__new__(kind)
    with pytest.raises(FrozenInstanceError):
        traveller.anything = 1  # type: ignore[attr-defined]


def test_tables_are_read_only() -> None:
    for table in (
        samplers.SAMPLERS,
        samplers.ALIASES,
        schedules.SCHEDULES,
        request.FLAGS,
        launch.CLI_FLAGS,
    ):
        with pytest.raises(TypeError):
            table["new"] = 1  # type: ignore[index]


def test_a_request_holds_only_values() -> None:
    defaults = [field.default for field in fields(request.Request)]
    assert not any(isinstance(value, list | dict | set | Mapping) for value in defaults)
