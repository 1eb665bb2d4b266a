"""Classifies the files of models that are split into a denoiser, text encoders and a VAE, or that
hold all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dream.catalogue.detect.detected_model import DetectedModel
from dream.catalogue.detect.headers import Header
from dream.catalogue.detect.pieces import (
    TEXT_ENCODER,
    VAE,
    Piece,
    find_wanted,
    measure,
    take,
)
from dream.catalogue.detect.tensors import TensorHeader
from dream.options.family import Family, WideModel
from dream.options.family_table import FAMILIES
from dream.options.foreign_families import OTHERS
from dream.options.part_table import TEXT_ENCODERS, VAES


def classify_denoiser(
    common: DetectedModel, header: Header, pieces: tuple[Piece, ...]
) -> DetectedModel:
    """A file with a denoiser of one of the families that are recognised by it."""
    family = next(row for row in (*OTHERS, *FAMILIES) if row.key == pieces[0].kind)
    denoiser = take(header.tensors, pieces[0].prefix)
    wide = _find_wide(family, denoiser)
    detected = replace(
        common,
        kind="model",
        family=family.key,
        variant=wide.variant if wide else "",
        size=(family.side, family.side),
        pieces=pieces,
        wanted=find_wanted(family, denoiser),
    )
    called, place = _refuse(family, pieces)
    if wide and not wide.pipeline:
        called = f"is a denoiser of {wide.name}, which needs a control image and is not supported"
        place = f"use {family.title} with --control"
    return replace(detected, called=called, place=place)


def _find_wide(family: Family, denoiser: Mapping[str, TensorHeader]) -> WideModel | None:
    """The model of a family whose input is as much wider than its output."""
    extra = measure(family.inputs, denoiser) - 4 * measure(family.latents, denoiser)
    return next((row for row in family.wide if row.extra == extra), None)


def _refuse(family: Family, pieces: tuple[Piece, ...]) -> tuple[str, str]:
    """Why a file of such a family is not loaded, as it completes “PATH …”, and what to do; both
    empty if it is."""
    if family.pipeline:
        return "", ""
    what = "is a complete model of" if len(pieces) > 1 else "contains only the denoiser of"
    hint = f"to download its folder: !import_model {family.hub}" if family.hub else family.instead
    so = " as a single file" if family.hub else ""
    return f"{what} {family.title}, which is not supported{so}", hint


def classify_part(common: DetectedModel, pieces: tuple[Piece, ...]) -> DetectedModel:
    """A text encoder or a VAE in a file of its own."""
    (piece,) = pieces
    if piece.role == VAE:
        called = next(name for key, name, _ in VAES if key == piece.kind)
        return replace(
            common, kind="vae", called="" if piece.kind == "kl" else called, pieces=pieces
        )
    name = next(row.name for row in TEXT_ENCODERS if row.key == piece.kind)
    wide = f", {piece.width:,} wide" if piece.width else ""
    called = (
        "a language model used as a text encoder"
        if piece.kind == "language"
        else f"a text encoder ({name}{wide})"
    )
    return replace(common, kind=TEXT_ENCODER, called=called, pieces=pieces)
