"""Pictures from recipes. torch and diffusers are known in this room only.

Importing `dream.engine` loads neither; `open_painter` does. The house's front doors do not open
the painter themselves: `dream.worker.open_engine` does it for them, in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dream.catalogue.cards import ModelCard
from dream.catalogue.helpers import Bring, bring_none
from dream.engine.base import Machine

if TYPE_CHECKING:
    from dream.engine.painter import Painter


def open_painter(
    find_model: Callable[[str], ModelCard],
    machine: Machine = Machine(),  # noqa: B008 - frozen
    find_decoder: Callable[[str], Path | None] = lambda family: None,
    find_vae: Callable[[str], Path] = Path,
    bring: Bring = bring_none,
) -> Painter:
    """The one lazy door to torch and diffusers: a painter in this process, without a model yet.

    Raises SetupError when they cannot be imported, and BadSetting for a device that is not here.
    """
    from dream.engine.setup import explained

    with explained():
        from dream.engine.device import choose

        choose(
            machine.device, machine.precision
        )  # before the long import, for it may be all there is to say
        from dream.engine.painter import Painter
    return Painter(find_model, machine, find_decoder, find_vae, bring)


__all__ = ["open_painter"]
