"""Detects the pieces of a model that a weights file holds: a denoiser, text encoders, a VAE; and
what its denoiser needs besides. All by tensor names and shapes: see `options.family_table`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from dream.catalogue.detect.tensor_names import TensorNames
from dream.catalogue.detect.tensors import TensorHeader
from dream.options.family import Family, Side
from dream.options.family_table import FAMILIES
from dream.options.foreign_families import OTHERS
from dream.options.part_table import TEXT_ENCODERS, VAES

DENOISER, TEXT_ENCODER, VAE = "denoiser", "text encoder", "vae"
"""The roles of pieces."""
VISION_TOWER = "vision tower"
"""Another role, of a piece that is in a file of its own."""

_PREFIX = re.compile(
    r"model\.diffusion_model\.|diffusion_model\.|net\.|transformer\."
    r"|text_encoders\.[^.]+\.(?:transformer\.)?|vae\.|first_stage_model\."
    r"|model\.(?=double_layers\.|single_layers\.|cond_seq_linear\.|init_x_linear\.|t_embedder\."
    r"|modF\.|final_linear\.|register_tokens$|positional_encoding$)"
)
"""What the names of a piece in a file of several begin with: ComfyUI's and Stability's layouts, and
AuraFlow's."""


class Piece(NamedTuple):
    """A piece of a model in a file."""

    role: str
    kind: str
    """The key of its row in the table of families, of text encoders or of VAEs."""
    prefix: str
    """What its tensor names begin with."""
    width: int
    """Of a text encoder, the width of its words; of the others, the channels of its latents. 0 if
    the shapes do not tell."""
    length: int = 0
    """Of a CLIP, how many tokens it takes; otherwise 0."""
    sees: bool = False
    """Of a text encoder, whether its vision tower is with it."""
    tokenizer: str = ""
    """Of a text encoder, the tensor in the file that contains its tokenizer."""


class Wanted(NamedTuple):
    """A piece that a denoiser needs."""

    part: str
    """Its name in a pipeline of diffusers."""
    role: str
    kind: str
    width: int
    optional: bool = False
    length: int = 0
    """Of a CLIP, how many tokens it must take, where these are more than usual."""

    def is_met_by(self, piece: Piece) -> bool:
        """Whether a piece is of this kind and width."""
        same = (piece.role, piece.kind) == (self.role, self.kind)
        fits = not self.width or piece.width == self.width
        return same and fits and piece.length >= self.length


def find_pieces(tensors: Mapping[str, TensorHeader], architecture: str = "") -> tuple[Piece, ...]:
    """The pieces in a file, the denoiser first; none for a file of another kind. `architecture` is
    what a GGUF file says."""
    groups: dict[str, dict[str, TensorHeader]] = {}
    for name, tensor in tensors.items():
        match = _PREFIX.match(name)
        prefix = match[0] if match else ""
        groups.setdefault(prefix, {})[name[len(prefix) :]] = tensor
    pieces = (_find_piece(prefix, group, architecture) for prefix, group in groups.items())
    order = (DENOISER, TEXT_ENCODER, VAE)
    found = sorted(filter(None, pieces), key=lambda piece: order.index(piece.role))
    return tuple(piece._replace(tokenizer=_find_tokenizer(piece, tensors)) for piece in found)


def _find_tokenizer(piece: Piece, tensors: Mapping[str, TensorHeader]) -> str:
    """The tensor that contains a text encoder's tokenizer; empty if there is none."""
    kinds = (row for row in TEXT_ENCODERS if (piece.role, piece.kind) == (TEXT_ENCODER, row.key))
    tensor = next((row.tokenizer_tensor for row in kinds), "")
    # In a file of several pieces, ComfyUI's place comes second.
    places = (f"{start}{tensor}" for start in (piece.prefix, "text_encoders."))
    return next((place for place in places if tensor and place in tensors), "")


def find_vision_tower(tensors: Mapping[str, TensorHeader]) -> Piece | None:
    """The vision tower in a GGUF file that has nothing else; None for another file."""
    width = measure((Side("mm.2.weight", 0),), tensors)  # its last layer
    return Piece(VISION_TOWER, "", "", width) if width else None


def find_family(names: TensorNames) -> Family | None:
    """The family whose denoiser has these names; None if there is none."""
    rows = sorted(
        (*OTHERS, *FAMILIES), key=lambda row: _LAST.index(row.key) if row.key in _LAST else -1
    )
    return next((row for row in rows if row.marks and names.matches(row.marks)), None)


def _find_denoiser(names: TensorNames, tensors: Mapping[str, TensorHeader]) -> Family | None:
    """The same, where only shapes tell it from another."""
    family = find_family(names)
    for side, length, key in family.others if family else ():
        if measure((side,), tensors) == length:
            return next(row for row in FAMILIES if row.key == key)
    return family


_LAST = ("flux2", "flux")
"""Keys of families, in the order in which they are looked for after all others: those that came
after them have their names and more."""


def find_wanted(family: Family, denoiser: Mapping[str, TensorHeader]) -> tuple[Wanted, ...]:
    """What a family's denoiser needs besides; `denoiser` are its tensors, by their names without a
    prefix."""
    encoders = (
        Wanted(
            need.part,
            TEXT_ENCODER,
            need.kind,
            measure(need.widths, denoiser) or need.width,
            need.optional,
            need.length,
        )
        for need in family.encoders
    )
    vae = Wanted("vae", VAE, family.vae, measure(family.latents, denoiser))
    return (*encoders, vae) if family.vae else ()


def measure(sides: Iterable[Side], tensors: Mapping[str, TensorHeader]) -> int:
    """The number that the first of these tensors tells; 0 if none of them exists."""
    for side in sides:
        shape = tensors[side.tensor].shape if side.tensor in tensors else ()
        if len(shape) > side.axis:
            return shape[side.axis] * side.factor // side.divisor
    return 0


def take(tensors: Mapping[str, TensorHeader], prefix: str) -> dict[str, TensorHeader]:
    """The tensors whose names begin so, by the rest of their names."""
    return {
        name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)
    }


_LATENT_SIDES = {
    "kl": (Side("decoder.conv_in.weight", 1),),
    "flux2": (Side("decoder.conv_in.weight", 1),),
    "dc": (Side("decoder.project_in.conv.weight", 1), Side("decoder.conv_in.weight", 1)),
    "qwen": (Side("decoder.conv1.weight", 1), Side("decoder.conv_in.weight", 1)),
}


_LENGTHS = (
    Side("text_model.embeddings.position_embedding.weight", 0),
    Side("positional_embedding", 0),
)


def _find_piece(
    prefix: str, tensors: Mapping[str, TensorHeader], architecture: str
) -> Piece | None:
    names = TensorNames(tensors)
    if (family := _find_denoiser(names, tensors)) is not None:
        return Piece(DENOISER, family.key, prefix, measure(family.latents, tensors))
    words = measure((Side("model.embed_tokens.weight", 0),), tensors)
    for encoder in TEXT_ENCODERS:
        known = bool(words) and architecture == encoder.architecture != ""
        if known or names.matches(encoder.marks) or (words and words == encoder.words):
            width = measure(encoder.widths, tensors)
            sees = any(name.startswith(("visual.", "model.visual.")) for name in tensors)
            length = measure(_LENGTHS, tensors)
            return Piece(TEXT_ENCODER, encoder.key, prefix, width, length, sees)
    for kind, _, marks in VAES:
        if names.matches(marks):
            return Piece(VAE, kind, prefix, measure(_LATENT_SIDES.get(kind, ()), tensors))
    return None
