"""Pictures from recipes. torch and diffusers are known in this room only.

Importing `dream.engine` loads neither; `open_painter` does. The house's front doors do not open
the painter themselves: `dream.worker.open_engine` does it for them, in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dream.catalogue.auxiliary import Downloader, refuse_download
from dream.catalogue.model_info import ModelInfo
from dream.engine.interface import DeviceConfig

if TYPE_CHECKING:
    from dream.engine.image_generator import ImageGenerator


def create_generator(
    find_model: Callable[[str], ModelInfo],
    machine: DeviceConfig = DeviceConfig(),  # noqa: B008 - frozen
    find_decoder: Callable[[str], Path | None] = lambda family: None,
    find_vae: Callable[[str], Path] = Path,
    bring: Downloader = refuse_download,
) -> ImageGenerator:
    """The one lazy door to torch and diffusers: a painter in this process, without a model yet.

    Raises SetupError when they cannot be imported, and BadSetting for a device that is not here.
    """
    from dream.engine.import_errors import raise_setup_errors

    with raise_setup_errors():
        from dream.engine.memory.device import choose_placement

        choose_placement(
            machine.device, machine.precision
        )  # before the long import, for it may be all there is to say
        from dream.engine.image_generator import ImageGenerator
    return ImageGenerator(find_model, machine, find_decoder, find_vae, bring)


__all__ = ["create_generator"]
