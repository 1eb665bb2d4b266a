"""Teaches the text encoder of a trained model new words, before the UNet meets them.

    python -m training.extend_text_encoder MODEL FOLDER --minutes 6

writes MODEL with a longer vocabulary to FOLDER. As in `train_text_encoder`, linear heads ask what a
caption says; and on captions of the old kind the encoder keeps the answers it gave, since the UNet
has learned to read those (Li & Hoiem 2016).
"""

import argparse
import random
import shutil
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from training.arrangements import KINDS, RELATIONS, STYLES, TWO_COLOURED, Arrangement
from training.arrangements import sample_arrangement as sample
from training.captions import caption
from training.extend_tokenizer import extend
from training.palette import NAMES
from training.scene_specs import FULL, PAIRS, SIZES, sample_spec
from training.settings import SETTINGS
from training.tokenizer import LENGTH
from training.train_text_encoder import WIDTH, new_text_encoder, tokenize
from training.training_clock import TrainingClock, precision, set_rate

QUESTIONS: dict[str, tuple[str, ...]] = {
    "background": ("", *NAMES),
    "setting": ("", *SETTINGS),
    "style": ("", *STYLES),
    "relation": ("", *RELATIONS),
    "count": ("1", "2", "3", "4", "5"),
    **{
        f"{question}{i}": answers
        for i in (0, 1)
        for question, answers in (
            ("kind", ("", *KINDS)),
            ("colour", ("", *NAMES)),
            ("second", ("", *NAMES)),
            ("pattern", ("", *TWO_COLOURED)),
            ("size", SIZES),
        )
    },
}
SHORT = 44
"""Tokens that hold nearly every caption: attention is causal, so the rest may be cut off."""
KEEP = 4.0
"""Weight of the old answers against the new questions."""


def answers(spec: Arrangement) -> list[int]:
    """The true answer to each question, as an index; 0 where the caption does not say."""
    facts = {
        "background": spec.background,
        "setting": spec.setting,
        "style": spec.style,
        "relation": spec.relation,
        "count": str(spec.count),
    }
    for i, item in enumerate(spec.items):
        facts |= {
            f"kind{i}": "" if spec.unknown and i == 0 else item.kind,
            f"colour{i}": item.colour,
            f"second{i}": item.second,
            f"pattern{i}": item.pattern,
            f"size{i}": item.size,
        }
    return [choices.index(facts[q]) if q in facts else 0 for q, choices in QUESTIONS.items()]


def longer_encoder(old: CLIPTextModel, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """The same encoder with random embeddings for the new tokens, which come last."""
    encoder = new_text_encoder(tokenizer)
    state = encoder.state_dict()
    for name, weight in old.float().state_dict().items():
        state[name][: len(weight)] = weight
    encoder.load_state_dict(state)
    return encoder


class Lesson(nn.Module):
    """The encoder with a linear head for each question."""

    def __init__(self, encoder: CLIPTextModel) -> None:
        super().__init__()
        self.encoder = encoder
        self.sizes = [len(choices) for choices in QUESTIONS.values()]
        self.heads = nn.Linear(WIDTH, sum(self.sizes))

    def forward(self, ids: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """ids (n, length), truth (n, questions) → loss, share of right answers to each question.

        Asked at the end token and at a random place after it."""
        hidden = self.encoder(ids).last_hidden_state.float()  # (n, length, 128)
        n, length = ids.shape
        end = (ids == self.encoder.config.eos_token_id).int().argmax(1)  # (n,)
        later = end + (torch.rand(n) * (length - end)).long().clamp(max=length - 1)
        rows, loss = torch.arange(n), torch.zeros(())
        for place in (end, later.clamp(max=length - 1)):
            parts = self.heads(hidden[rows, place]).split(self.sizes, dim=1)
            pairs = list(zip(parts, truth.T, strict=True))
            loss = loss + torch.stack([F.cross_entropy(p, t) for p, t in pairs]).mean()
        right = [(part.argmax(1) == answer).float().mean() for part, answer in pairs]
        return loss, torch.stack(right)


def teach(
    old: CLIPTextModel,
    encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    minutes: float,
    batch: int = 64,
    seed: int | None = None,
) -> None:
    """Train the encoder for this many minutes."""
    rng = random.Random(seed)
    torch.manual_seed(rng.getrandbits(32))
    old.eval()
    lesson = Lesson(encoder.train())
    optimizer = torch.optim.AdamW(
        lesson.parameters(), 1e-3, betas=(0.9, 0.98), weight_decay=0.01, fused=True
    )
    clock = TrainingClock(minutes * 60)
    right: list[Tensor] = []
    while not clock.over:
        set_rate(optimizer, clock.rate(1.5e-3, 3e-5))
        length = LENGTH if clock.steps % 4 == 0 else SHORT
        specs = [sample(rng) for _ in range(batch)]
        ids = tokenize(tokenizer, [caption(rng, spec) for spec in specs])[:, :length]
        past = [sample_spec(rng, rng.choice((FULL, PAIRS))) for _ in range(batch // 2)]
        past_ids = tokenize(tokenizer, [caption(rng, s) for s in past] + [""])[:, :length]
        with torch.no_grad(), precision("cpu"):
            wanted = old(past_ids).last_hidden_state.float()
        with precision("cpu"):
            loss, score = lesson(ids, torch.tensor([answers(spec) for spec in specs]))
            kept = F.mse_loss(lesson.encoder(past_ids).last_hidden_state.float(), wanted)
        (loss + KEEP * kept).backward()
        torch.nn.utils.clip_grad_norm_(lesson.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        clock.step(batch)
        right.append(score)
        if clock.steps % 100 == 0:
            print(_format_progress(clock, torch.stack(right[-100:]).mean(0), kept), flush=True)


def _format_progress(clock: TrainingClock, shares: Tensor, kept: Tensor) -> str:
    names = ("background", "setting", "relation", "count", "kind0", "kind1", "colour0", "colour1")
    said = "  ".join(f"{q} {shares[list(QUESTIONS).index(q)]:.3f}" for q in names)
    return (
        f"text {clock.elapsed:5.0f} s  {clock.samples / clock.elapsed:.0f}/s  {said}"
        f"  mean {shares.mean():.4f}  off the old answers by {kept:.4f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=6)
    options = parser.parse_args()
    old = _load_encoder(options.model)
    if options.folder.exists():  # go on
        tokenizer = CLIPTokenizer.from_pretrained(options.folder / "tokenizer")
        encoder = _load_encoder(options.folder)
    else:
        shutil.copytree(options.model, options.folder)
        print(extend(options.model / "tokenizer", options.folder / "tokenizer"), "new tokens")
        tokenizer = CLIPTokenizer.from_pretrained(options.folder / "tokenizer")
        encoder = longer_encoder(old, tokenizer)
    teach(old, encoder, tokenizer, options.minutes)
    encoder.half().save_pretrained(options.folder / "text_encoder")


def _load_encoder(model: Path) -> CLIPTextModel:
    folder = model / "text_encoder"
    return CLIPTextModel.from_pretrained(folder, attn_implementation="eager").float()


if __name__ == "__main__":
    main()
