"""Detects the architecture of an upscaler's weights from its tensor names.

The names are the ones that spandrel uses, which builds the networks (`postprocess.network`). It is
not used here, because it imports torch.
"""

from __future__ import annotations

from collections.abc import Collection

NESTS = ("params_ema", "params-ema", "params", "state_dict", "model_state_dict", "model", "net")
"""Keys under which a network's weights can be nested; EMA weights first."""

_EMA_NESTS = NESTS[:3]
"""The keys that safetensors files, which cannot nest, have as prefixes of tensor names. Not
“model”: ESRGAN's first layout has tensors called `model.0.weight`."""

PREFIXES = ("module.", "netG.", "net_g.", "generator.")
"""Prefixes that trainers add to every name: DataParallel, and GANs that save both networks."""

_RGT_DAT = ("conv_first.weight", "before_RG.1.weight")
_SWIN = "layers.0.residual_group.blocks.0.norm1.weight"

ARCHITECTURES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("MMRealSR", ("conv_first.weight", "body.0.rdb1.conv1.weight", "am_list.0.fc.0.weight")),
    ("ESRGAN", ("conv_first.weight", "body.0.rdb1.conv1.weight")),
    ("ESRGAN", ("conv_first.weight", "RRDB_trunk.0.RDB1.conv1.weight")),
    ("ESRGAN", ("model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight")),
    ("ESRGAN+", ("model.0.weight", "model.1.sub.0.RDB1.conv1x1.weight")),
    ("RetinexFormer", ("body.0.estimator.conv1.weight",)),
    ("Compact", ("body.0.weight", "body.1.weight", "body.2.weight")),
    ("SwiftSRGAN", ("initial.cnn.depthwise.weight", "final_conv.pointwise.weight")),
    ("HAT", ("conv_first.weight", "layers.0.residual_group.overlap_attn.qkv.weight")),
    ("ATD", ("conv_first.weight", "layers.0.residual_group.td")),
    ("GRL", ("conv_first.weight", "norm_start.weight", "norm_end.weight")),
    ("GRL", ("model.conv_first.weight", "model.norm_start.weight")),
    ("Swin2SR", ("conv_first.weight", "patch_embed.proj.weight", _SWIN)),
    ("SwinIR", ("conv_first.weight", _SWIN)),
    ("SwinIR", ("conv_first.1.weight", _SWIN)),
    ("OmniSR", ("residual_layer.0.residual_layer.0.layer.0.fn.0.weight", "input.weight")),
    ("SCUNet", ("m_head.0.weight", "m_tail.0.weight")),
    ("FBCNN", ("m_head.weight", "m_tail.weight", "qf_pred.0.res.0.weight")),
    ("DRUNet", ("m_head.weight", "m_tail.weight", "m_down1.0.res.0.weight")),
    ("Uformer", ("input_proj.proj.0.weight", "output_proj.proj.0.weight")),
    ("RGT", (*_RGT_DAT, "layers.0.blocks.0.gamma")),
    ("DAT", _RGT_DAT),
    ("CRAFT", ("conv_first.weight", "layers.0.residual_group.hf_blocks.0.attn.temperature")),
    ("KBNet", ("intro.weight", "encoders.0.0.attgamma")),
    ("DITN", ("sft.weight", "UFONE.0.ITLs.0.attn.temperature")),
    ("SPAN", ("conv_1.sk.weight", "block_1.c1_r.sk.weight")),
    ("RealCUGAN", ("unet1.conv1.conv.0.weight", "unet2.conv1.conv.0.weight")),
    ("SAFMN", ("to_feat.weight", "feats.0.safm.mfr.0.weight")),
    ("SAFMN", ("to_feat.1.weight", "feats.0.layers.0.safm.mfr.0.weight")),
    ("DCTLSA", ("fea_conv.weight", "B1.body.0.transformer_body.0.blocks.0.attn.qkv.weight")),
    ("FFTformer", ("patch_embed.proj.weight", "encoder_level1.0.ffn.fft")),
    ("NAFNet", ("intro.weight", "ending.weight", "middle_blks.0.beta")),
    ("MixDehazeNet", ("patch_embed.proj.weight", "layer1.blocks.0.conv3_19.weight")),
    ("IPT", ("sub_mean.weight", "head.0.0.weight", "body.encoder.layers.0.linear1.weight")),
    ("DRCT", ("conv_first.weight", "layers.0.swin1.norm1.weight")),
    ("PLKSR", ("feats.0.weight", "feats.1.refine.weight")),
    ("HVI-CIDNet", ("HVE_block0.1.weight", "IE_block0.1.weight")),
    ("SeemoRe", ("conv_1.weight", "body.0.local_block.norm_1.weight")),
    ("MoSR", ("gblocks.0.weight", "gblocks.1.fc1.weight")),
    ("MoESR", ("in_to_dim.weight", "blocks.0.blocks.0.gamma")),
    ("RCAN", ("tail.1.weight", "body.0.body.0.body.0.weight")),
    ("FDAT", ("groups.0.blocks.0.inter.cg.1.weight", "upsampler.MetaUpsample")),
    ("AuraSR", ("mid_attn.layers.0.0.to_out.weight", "mid_block2.block1.proj.weights")),
    ("DnCNN", ("model.0.weight", "model.2.weight", "model.4.weight", "model.6.weight")),
)
"""A name, and tensors that all its files have; the first row whose tensors are all present is
used."""

OTHERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "a face restoration model (GFPGAN)",
        ("toRGB.0.weight", "stylegan_decoder.style_mlp.1.weight"),
    ),
    ("a face restoration model (GFPGAN)", ("conv_body_first.weight", "final_linear.weight")),
    ("a face restoration model (CodeFormer)", ("position_emb", "quantize.embedding.weight")),
    (
        "a face restoration model (RestoreFormer)",
        ("quantize.embedding.weight", "quant_conv.weight"),
    ),
    ("an inpainting model (LaMa)", ("model.model.1.bn_l.running_mean",)),
    ("an inpainting model (LaMa)", ("generator.model.1.bn_l.running_mean",)),
)
"""The same for networks that are often stored with upscalers, but are not upscalers."""


def find_architecture(names: Collection[str]) -> str:
    """The architecture of an upscaler with these tensor names; empty if it is not one."""
    return find_first(ARCHITECTURES, names)


def describe_other(names: Collection[str]) -> str:
    """What a network of OTHERS is, as text; empty if it is not one."""
    return find_first(OTHERS, names)


def strip_prefixes(names: Collection[str]) -> dict[str, str]:
    """Tensor name in the file → name in the network, without prefixes. If the file has EMA weights
    too, only those."""
    renamed = {name: name for name in names}
    if renamed and all(name.split(".")[0] in _EMA_NESTS for name in names):
        nest = next(nest for nest in _EMA_NESTS if any(n.startswith(f"{nest}.") for n in names))
        inside = (name for name in names if name.startswith(f"{nest}."))
        renamed = {name: name.removeprefix(f"{nest}.") for name in inside}
    for prefix in PREFIXES:
        if renamed and all(new.startswith(prefix) for new in renamed.values()):
            renamed = {old: new.removeprefix(prefix) for old, new in renamed.items()}
    return renamed


def find_first(rows: tuple[tuple[str, tuple[str, ...]], ...], names: Collection[str]) -> str:
    """The name of the first row of which all tensors are present; empty if there is none."""
    present = {*names} | {*strip_prefixes(names).values()}
    return next((name for name, required in rows if present.issuperset(required)), "")
