"""Rows of the table of families that work from their folders in diffusers layout only."""

from __future__ import annotations

from dream.options.family import Family

FOLDER_FAMILIES = (
    Family(
        key="lcm",
        name="LCM",
        pipelines=r"LatentConsistencyModel(Img2Img)?",
        cfg_scale=8.5,
        steps=6,
        negative=False,
        space="sd1",
        decoder="taesd",
    ),
    Family(
        key="cogview",
        name="CogView 4, CogView 3 Plus",
        pipelines=r"CogView(3Plus|4)",
        marks=(("^time_condition_embed.", "^patch_embed.text_proj."),),
        cfg_scale=5.0,
        space="cogview",
        hub="zai-org/CogView4-6B",
    ),
    Family(
        key="hunyuan-dit",
        name="HunyuanDiT",
        pipelines=r"HunyuanDiT(PAG)?",
        marks=(("^text_embedding_padding$",),),
        cfg_scale=5.0,
        space="sdxl",
        decoder="taesdxl",
    ),
    Family(
        key="ovis",
        name="Ovis-Image",
        pipelines=r"OvisImage",
        cfg_scale=5.0,
        packed=True,
        space="flux",
        decoder="taef1",
    ),
    Family(
        key="kolors",
        name="Kolors",
        pipelines=r"Kolors(PAG|Img2Img)?",
        marks=(
            ("^encoder_hid_proj.weight$", "^add_embedding.linear_1."),
            ("^encoder_hid_proj.weight$", "^label_emb.0.0."),
        ),
        cfg_scale=5.0,
        space="sdxl",
        decoder="taesdxl",
        hub="Kwai-Kolors/Kolors-diffusers",
    ),
)
"""See `family_table.FAMILIES`."""
