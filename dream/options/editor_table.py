"""The table of models that were trained to edit, in families whose other models are not."""

from __future__ import annotations

from dream.options.family import Editor

FLUX_EDITORS = (
    Editor(
        key="kontext",
        name="FLUX.1 Kontext",
        pipeline="FluxKontext",
        pattern=r"kontext",
        references=1,
    ),
)
QWEN_EDITORS = (
    Editor(
        key="edit-plus",
        name="Qwen-Image-Edit-2509 and -2511",
        pipeline="QwenImageEditPlus",
        pattern=r"(?<!cr)edit.*(plus|25\d\d|26\d\d)|firered|qwen.*rapid.*aio",
        references=3,
        mark="__index_timestep_zero__",
    ),
    Editor(
        key="edit",
        name="Qwen-Image-Edit",
        pipeline="QwenImageEdit",
        pattern=r"(?<!cr)edit",
        references=1,
    ),
)
"""The weights of all these have the same names and shapes as those of the other models of their
family. Only files of Qwen-Image-Edit-2511 for ComfyUI have a tensor of their own, without numbers:
their reference images are at time zero."""
