"""Finds what words name in an image, with CLIPSeg (Lüddecke and Ecker 2022, arXiv:2112.10003),
which scores every pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import CLIPSegForImageSegmentation, CLIPTokenizer, ViTImageProcessor

from dream.engine.silence_libraries import silence_libraries
from dream.engine.vision.vision_loading import hash_weights, load_vision_model, make_load_error
from dream.options.mask_query import And, MaskQuery, Not, Or, Term, parse_mask_query
from dream.options.text_mask import TextMask

Heatmap = NDArray[np.float32]
"""(h, w) in 0..1: the score of each pixel."""

Score = Callable[[str], Heatmap]
"""Scores each pixel for one term."""


@dataclass(frozen=True)
class ClipSeg:
    """The model in memory."""

    path: Path
    sha256: str
    """Of its weights."""
    device: str
    model: Any
    image_processor: Any
    """Images to the model's pixel values."""
    tokenizer: Any
    """Words to the model's tokens."""

    def score(self, image: Image.Image, words: str) -> Heatmap:
        """Score each pixel of an RGB image of any size; the model sees 352x352."""
        with silence_libraries(), torch.inference_mode():
            pixels = self.image_processor(images=image, return_tensors="pt").pixel_values
            tokens = self.tokenizer([words], truncation=True, return_tensors="pt")
            logits = self.model(
                input_ids=tokens.input_ids.to(self.device),
                attention_mask=tokens.attention_mask.to(self.device),
                pixel_values=pixels.to(self.device),
            ).logits
        small = logits.reshape(logits.shape[-2:]).sigmoid().float().cpu().numpy()
        large = Image.fromarray(small).resize(image.size, Image.Resampling.BILINEAR)
        return np.asarray(large, np.float32)


def open_clipseg(path: Path, device: str) -> ClipSeg:
    """Load the model from a transformers folder, in float32. Raises ModelError."""
    with silence_libraries():
        model = load_vision_model(CLIPSegForImageSegmentation, path, device)
        try:
            image_processor = ViTImageProcessor.from_pretrained(path, local_files_only=True)
            tokenizer = CLIPTokenizer.from_pretrained(path, local_files_only=True)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise make_load_error(path, error) from error
    return ClipSeg(path, hash_weights(path), device, model, image_processor, tokenizer)


def compute_mask(text_mask: TextMask, score: Score) -> Image.Image:
    """The mask (L: 255 is generated, 0 is kept) of a text mask. Each term is compared with the
    threshold by itself; then AND, OR and NOT combine the results."""
    mask = _evaluate_mask(
        parse_mask_query(text_mask.words), lambda words: score(words) >= text_mask.threshold
    )
    return Image.fromarray(np.where(mask, np.uint8(255), np.uint8(0)), "L")


def compute_heatmap(text_mask: TextMask, score: Score) -> Image.Image:
    """The score of each pixel, as grey (L). AND is the minimum, OR the maximum, NOT 1 minus the
    score."""
    heat = _evaluate_heatmap(parse_mask_query(text_mask.words), score)
    return Image.fromarray(np.rint(heat * 255).astype(np.uint8), "L")


def _evaluate_mask(of: MaskQuery, named: Callable[[str], NDArray[np.bool_]]) -> NDArray[np.bool_]:
    match of:
        case Term(words):
            return named(words)
        case Not(one):
            return ~_evaluate_mask(one, named)
        case And(left, right):
            return _evaluate_mask(left, named) & _evaluate_mask(right, named)
        case Or(left, right):
            return _evaluate_mask(left, named) | _evaluate_mask(right, named)


def _evaluate_heatmap(of: MaskQuery, score: Score) -> Heatmap:
    match of:
        case Term(words):
            return score(words)
        case Not(one):
            return 1 - _evaluate_heatmap(one, score)
        case And(left, right):
            return np.minimum(_evaluate_heatmap(left, score), _evaluate_heatmap(right, score))
        case Or(left, right):
            return np.maximum(_evaluate_heatmap(left, score), _evaluate_heatmap(right, score))
