"""Generates images from recipes. Only this package knows torch and diffusers.

Importing `dream.engine` loads neither; `create_generator` does. The command line does not call it
itself: `dream.worker.open_engine` does, in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dream.catalogue.auxiliary import Downloader, refuse_download
from dream.catalogue.model_info import ModelInfo
from dream.catalogue.taesd import require_decoder_file
from dream.engine.interface import (
    DeviceConfig,
    FindAdapter,
    FindControl,
    FindImagePromptModel,
    UseTextEncoder,
    find_by_path,
    find_control_by_path,
    find_image_prompt_by_path,
    keep_text_encoder,
)

if TYPE_CHECKING:
    from dream.engine.image_generator import ImageGenerator


def create_generator(
    find_model: Callable[[str], ModelInfo],
    machine: DeviceConfig = DeviceConfig(),  # noqa: B008 - frozen
    find_decoder: Callable[[str], Path | None] = lambda family: None,
    find_vae: Callable[[str], Path] = Path,
    downloader: Downloader = refuse_download,
    find_adapter: FindAdapter = find_by_path,
    use_text_encoder: UseTextEncoder = keep_text_encoder,
    require_decoder: Callable[[ModelInfo], Path] = require_decoder_file,
    find_control: FindControl = find_control_by_path,
    find_image_prompt: FindImagePromptModel = find_image_prompt_by_path,
) -> ImageGenerator:
    """Import torch and diffusers, and return an image generator in this process, without a model
    yet.

    Raises SetupError when they cannot be imported, and BadSetting for a device that is not here.
    """
    from dream.engine.import_errors import raise_setup_errors

    with raise_setup_errors():
        from dream.engine.memory.device import choose_placement

        # before the long import, because it may fail
        choose_placement(machine.device, machine.precision)
        from dream.engine.image_generator import ImageGenerator
    return ImageGenerator(
        *(find_model, machine, find_decoder, find_vae, downloader),
        *(find_adapter, use_text_encoder, require_decoder, find_control, find_image_prompt),
    )


__all__ = ["create_generator"]
