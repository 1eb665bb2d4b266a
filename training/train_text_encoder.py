"""Trains the text encoder: a very small CLIP, on captions alone.

A denoiser that has to learn the words from noise alone learns slowly. So the encoder first answers
questions about captions (which object? which colour? where?) with small heads that are then
discarded. The resulting encoder holds the answers in linear form at every position after the end of
the caption, the same for English and for Chinese.
"""

import random
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from training.captions import caption
from training.objects import KINDS
from training.palette import NAMES
from training.scene_specs import FULL, PATTERNS, PLACES, RELATIONS, SIZES, STYLES, Spec, sample_spec
from training.scenes import LANDS, LIGHTS, SKIES, Scene
from training.tokenizer import LENGTH
from training.training_clock import (
    TrainingClock,
    load_checkpoint,
    precision,
    save_checkpoint,
    set_rate,
)

WIDTH = 128

# the questions about a caption, and the number of answers to each (0 = none)
QUESTIONS: dict[str, tuple[str, ...]] = {
    "style": STYLES,
    "pattern": PATTERNS,
    "background": ("", *NAMES),
    "second": ("", *NAMES),
    "relation": RELATIONS,
    "count": ("0", "1", "2", "3"),
    **{
        f"{q}{i}": answers
        for i in (0, 1)
        for q, answers in (
            ("kind", ("", *KINDS)),
            ("colour", ("", *NAMES)),
            ("size", SIZES),
            ("place", ("", *PLACES)),
        )
    },
    "sky": ("", *SKIES),
    "light": LIGHTS,
    "land": ("", *LANDS),
}


def answers(spec: Spec) -> list[int]:
    """The true answer to each question, as an index."""
    if isinstance(spec, Scene):
        given = {
            "style": spec.style,
            "sky": spec.sky,
            "light": spec.light,
            "land": spec.land,
            "kind0": spec.item,
            "colour0": spec.item_colour,
            "count": "0",
        }
    else:
        given = {
            "style": spec.style,
            "pattern": spec.pattern,
            "background": spec.background,
            "second": spec.second,
            "relation": spec.relation,
            "count": str(spec.count),
        }
        for i, obj in enumerate(spec.objects):
            given |= {
                f"kind{i}": obj.kind,
                f"colour{i}": obj.colour,
                f"size{i}": obj.size,
                f"place{i}": obj.place,
            }
    return [choices.index(given[q]) if q in given else 0 for q, choices in QUESTIONS.items()]


def new_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        projection_dim=WIDTH,
        hidden_act="quick_gelu",
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        attn_implementation="eager",  # twice as fast to train on a CPU as the fused one
    )
    encoder = CLIPTextModel(config)
    with torch.no_grad():
        for name, weight in encoder.named_parameters():
            if "embedding" in name:
                weight.normal_(0, 0.3 if "token" in name else 0.1)
    return encoder


def tokenize(tokenizer: CLIPTokenizer, captions: list[str]) -> Tensor:
    """(n, 77) token numbers."""
    ids = tokenizer(captions, padding="max_length", max_length=LENGTH, truncation=True).input_ids
    return torch.tensor(ids)  # (n, 77)


class QuestionHeads(nn.Module):
    """One linear head per question, all in one matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes = [len(choices) for choices in QUESTIONS.values()]
        self.heads = nn.Linear(WIDTH, sum(self.sizes))

    def forward(self, hidden: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """hidden (n, 128), truth (n, questions) → mean loss, share of right answers to each
        question."""
        parts = self.heads(hidden).float().split(self.sizes, dim=1)  # one (n, answers) per question
        losses = [F.cross_entropy(part, truth[:, i]) for i, part in enumerate(parts)]
        right = [(part.argmax(1) == truth[:, i]).float().mean() for i, part in enumerate(parts)]
        return torch.stack(losses).mean(), torch.stack(right)


def train_text(
    out: Path,
    work: Path,
    minutes: float,
    tokenizer: CLIPTokenizer,
    device: str = "cpu",
    seed: int = 0,
    batch: int = 96,
) -> None:
    """Train for this many minutes and save the encoder in `work`/text.pt for the denoiser."""
    torch.manual_seed(seed)
    encoder, examiner = new_text_encoder(tokenizer).to(device), QuestionHeads().to(device)
    weights = [*encoder.parameters(), *examiner.parameters()]
    optimizer = torch.optim.AdamW(weights, 1e-3, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    course = TrainingClock(minutes * 60)
    if saved := load_checkpoint(work / "text.pt", device):
        encoder.load_state_dict(saved["encoder"])
        examiner.load_state_dict(saved["examiner"])
        course.resume(saved["course"])
    rng = random.Random(seed * 1_000_003 + course.steps)
    right: list[Tensor] = []
    while not course.over:
        set_rate(optimizer, course.rate(1.5e-3, 5e-5))
        specs = [sample_spec(rng, FULL) for _ in range(batch)]
        ids = tokenize(tokenizer, [caption(rng, spec) for spec in specs]).to(device)
        truth = torch.tensor([answers(spec) for spec in specs], device=device)  # (n, questions)
        # captions have fewer than 40 tokens; attention is causal, so cut off the rest to save time
        length = LENGTH if course.steps % 4 == 0 else 44
        ids = ids[:, :length]  # (n, length)
        with precision(device):
            hidden = encoder(ids).last_hidden_state  # (n, length, 128)
        end = (ids == tokenizer.eos_token_id).int().argmax(1)  # (n,): position of the end token
        later = (end + (torch.rand(batch, device=device) * (length - end)).long()).clamp(
            max=length - 1
        )
        rows = torch.arange(batch, device=device)
        loss_end, _ = examiner(hidden[rows, end], truth)
        loss_later, score = examiner(hidden[rows, later], truth)
        (loss_end + loss_later).backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        course.step(batch)
        right.append(score)
        if course.steps % 100 == 0:
            print(_format_progress(course, torch.stack(right[-100:]).mean(0).tolist()), flush=True)
    save_checkpoint(
        work / "text.pt",
        {
            "encoder": encoder.state_dict(),
            "examiner": examiner.state_dict(),
            "course": course.state(),
        },
    )


def _format_progress(course: TrainingClock, shares: list[float]) -> str:
    """The share of right answers, to some questions and to all, as text."""
    names = ("background", "kind0", "colour0", "kind1", "place0", "land")
    answers = "  ".join(f"{q} {shares[list(QUESTIONS).index(q)]:.3f}" for q in names)
    pace = course.samples / course.elapsed
    return f"text {course.elapsed:5.0f} s  {pace:.0f}/s  {answers}  mean {np.mean(shares):.4f}"
