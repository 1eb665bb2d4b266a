"""Where in a picture is what words name? Asked of CLIPSeg (Lüddecke and Ecker 2022,
arXiv:2112.10003), which answers with how sure it is, pixel by pixel."""

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
"""(h, w) in 0..1: how sure one is of each pixel."""

Score = Callable[[str], Heatmap]
"""How sure one is that each pixel is what the words name."""


@dataclass(frozen=True)
class ClipSeg:
    """The model in memory."""

    path: Path
    sha256: str
    """Of its weights."""
    device: str
    model: Any
    image_processor: Any
    """Pictures to what the model sees."""
    tokenizer: Any
    """Words to what the model hears."""

    def score(self, image: Image.Image, words: str) -> Heatmap:
        """How sure it is, for each pixel of an RGB picture of any size; it looks at 352x352."""
        with silence_libraries(), torch.inference_mode():
            seen = self.image_processor(images=image, return_tensors="pt").pixel_values
            heard = self.tokenizer([words], truncation=True, return_tensors="pt")
            logits = self.model(
                input_ids=heard.input_ids.to(self.device),
                attention_mask=heard.attention_mask.to(self.device),
                pixel_values=seen.to(self.device),
            ).logits
        small = logits.reshape(logits.shape[-2:]).sigmoid().float().cpu().numpy()
        large = Image.fromarray(small).resize(image.size, Image.Resampling.BILINEAR)
        return np.asarray(large, np.float32)


def open_clipseg(path: Path, device: str) -> ClipSeg:
    """The model in a folder as transformers keeps it, in float32. Raises ModelError."""
    with silence_libraries():
        model = load_vision_model(CLIPSegForImageSegmentation, path, device)
        try:
            look = ViTImageProcessor.from_pretrained(path, local_files_only=True)
            read = CLIPTokenizer.from_pretrained(path, local_files_only=True)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise make_load_error(path, error) from error
    return ClipSeg(path, hash_weights(path), device, model, look, read)


def compute_mask(asked: TextMask, score: Score) -> Image.Image:
    """The mask (L: 255 is painted, 0 is kept) of what is asked for. Each name is found or not by
    itself, at the threshold; then AND, OR and NOT join what was found."""
    found = _found(parse_mask_query(asked.words), lambda words: score(words) >= asked.threshold)
    return Image.fromarray(np.where(found, np.uint8(255), np.uint8(0)), "L")


def compute_heatmap(asked: TextMask, score: Score) -> Image.Image:
    """How sure one is of each pixel, as grey (L). AND is the lesser of two, OR the greater, NOT
    what lacks to certainty."""
    heat = _heat(parse_mask_query(asked.words), score)
    return Image.fromarray(np.rint(heat * 255).astype(np.uint8), "L")


def _found(of: MaskQuery, named: Callable[[str], NDArray[np.bool_]]) -> NDArray[np.bool_]:
    match of:
        case Term(words):
            return named(words)
        case Not(one):
            return ~_found(one, named)
        case And(left, right):
            return _found(left, named) & _found(right, named)
        case Or(left, right):
            return _found(left, named) | _found(right, named)


def _heat(of: MaskQuery, score: Score) -> Heatmap:
    match of:
        case Term(words):
            return score(words)
        case Not(one):
            return 1 - _heat(one, score)
        case And(left, right):
            return np.minimum(_heat(left, score), _heat(right, score))
        case Or(left, right):
            return np.maximum(_heat(left, score), _heat(right, score))
