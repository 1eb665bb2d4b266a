"""Make the two small adapters of the tests: `python -m training.train_adapters --out tests/data`

    warm.safetensors    a LoRA in kohya's layout: every picture in the light of a late afternoon
    teal.safetensors    an embedding of three vectors: a colour that the model has no word for

Both learn on the included model, in some minutes on one processor core; `--only lora` or `--only
embedding` makes one of them again. The LoRA's opposite is known too: what is warm at 1 is cold at
-1, so a test can measure both.
"""

import argparse
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from training.captions import caption
from training.denoiser import Noise, denoising_loss
from training.drawing import render
from training.objects import KINDS
from training.palette import COLOURS, NAMES
from training.scene_specs import PLAIN, ObjectScene, SceneObject, sample_spec
from training.train_vae import SCALING

SIDE = 192
BATCH = 6
WARMTH = (1.12, 0.98, 0.62)  # of red, green and blue
TEAL = (8, 112, 104)
RANK = 4
LINEARS = ("attn", "mlp", "time_emb_proj")  # the last scale and shift whole channels
CONVOLUTIONS = ("conv_in", "conv_out", "mid_block.resnets.0.conv1")
NEIGHBOURS = ("cyan", "cyan", "green")  # each vector begins as one of these words
VECTORS = len(NEIGHBOURS)
# An embedding needs more steps than the LoRA; they are of small images.
LONGER, SMALL_SIDE, SMALL_BATCH = 5, 128, 8


class Model:
    """The included model, frozen, in float32."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
        self.text = CLIPTextModel.from_pretrained(folder / "text_encoder").float().eval()
        self.unet = UNet2DConditionModel.from_pretrained(folder / "unet").float().eval()
        self.vae = AutoencoderKL.from_pretrained(folder / "vae").float().eval()
        for part in (self.text, self.unet, self.vae):
            part.requires_grad_(False)
        self.noise = Noise.schedule()

    @torch.no_grad()
    def encode(self, images: list[Image.Image]) -> Tensor:
        """(n, 4, h, w) latents, as the UNet sees them."""
        pixels = torch.from_numpy(np.stack([np.asarray(image) for image in images]))
        pixels = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
        return torch.cat([self.vae.encode(p).latent_dist.mode() for p in pixels.split(8)]) * SCALING

    def ids(self, texts: list[str]) -> Tensor:
        """(n, 77) tokens."""
        ids: Tensor = self.tokenizer(
            texts, padding="max_length", max_length=77, truncation=True, return_tensors="pt"
        ).input_ids
        return ids

    def loss(self, latents: Tensor, hidden: Tensor) -> Tensor:
        return denoising_loss(
            self.unet, self.noise, latents, hidden, torch.ones_like(latents[:, :1])
        )[0]


def train_lora(model: Model, steps: int, count: int) -> dict[str, Tensor]:
    """Rank 4 on every matrix of attention, time embedding and text encoder; rank 2 on some
    convolutions."""
    rng = random.Random(1)
    drawn, captions = [], []
    for seed in range(count):
        spec = sample_spec(random.Random(seed), PLAIN)
        pixels = np.asarray(render(spec, SIDE, SIDE, seed).image, np.float32) * WARMTH
        drawn.append(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)))
        captions.append(caption(rng, spec))
    latents, ids = model.encode(drawn), model.ids(captions)
    pairs = dict(_add_pairs(model))
    optimizer = torch.optim.AdamW([p for pair in pairs.values() for p in pair], lr=6e-3)
    for step in range(steps):
        rows = torch.randint(count, (BATCH,))
        loss = model.loss(latents[rows], model.text(ids[rows]).last_hidden_state)
        _descend(optimizer, loss, step, steps)
    weights = {}
    for name, (down, up) in pairs.items():
        weights[f"{name}.lora_down.weight"] = down.detach().half().contiguous()
        weights[f"{name}.lora_up.weight"] = up.detach().half().contiguous()
        weights[f"{name}.alpha"] = torch.tensor(_alpha(down)).half()
    return weights


def _alpha(down: Tensor) -> float:
    """Not the same for every layer, as in files that were resized."""
    return 1.0 if down.ndim == 4 else float(RANK)


def _add_pairs(model: Model) -> Iterator[tuple[str, tuple[nn.Parameter, nn.Parameter]]]:
    """Add a trained pair to each layer; under kohya's names."""
    for prefix, part, root in (
        ("lora_unet_", model.unet, ""),
        ("lora_te_", model.text, "text_model."),
    ):
        for name, layer in part.named_modules():
            if isinstance(layer, nn.Linear) and any(word in name for word in LINEARS):
                down = nn.Parameter(torch.randn(RANK, layer.in_features) / layer.in_features**0.5)
                up = nn.Parameter(torch.zeros(layer.out_features, RANK))
            elif isinstance(layer, nn.Conv2d) and name in CONVOLUTIONS:
                inner = layer.in_channels * 9
                down = nn.Parameter(torch.randn(2, layer.in_channels, 3, 3) / inner**0.5)
                up = nn.Parameter(torch.zeros(layer.out_channels, 2, 1, 1))
            else:
                continue
            layer.register_forward_hook(_adding(down, up))
            full = name if name.startswith(root) else root + name
            yield prefix + full.replace(".", "_"), (down, up)


def _adding(down: nn.Parameter, up: nn.Parameter) -> Any:
    scale = _alpha(down) / down.shape[0]

    def hook(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if down.ndim == 2:
            return output + nn.functional.linear(nn.functional.linear(inputs[0], down), up) * scale
        inner = nn.functional.conv2d(inputs[0], down, padding=1)
        return output + nn.functional.conv2d(inner, up) * scale

    return hook


def train_embedding(model: Model, steps: int, count: int) -> Tensor:
    """(VECTORS, 128): what stands for the colour's name."""
    COLOURS["teal"] = TEAL
    rng = random.Random(2)
    drawn, captions = [], []
    for seed in range(count):
        kind = rng.choice(KINDS)
        ground = rng.choice([name for name in NAMES if name not in NEIGHBOURS])
        spec = ObjectScene((SceneObject(kind, "teal"),), ground)
        drawn.append(render(spec, SMALL_SIDE, SMALL_SIDE, seed).image)
        captions.append(f"a {'! ' * VECTORS}{kind} on a {ground} background")
    latents, ids = model.encode(drawn), model.ids(captions)
    mark = int(model.ids(["!"])[0, 1])
    table = model.text.get_input_embeddings()
    first = model.ids([*NEIGHBOURS])[:, 1]
    vectors = nn.Parameter(table.weight[first].clone())
    optimizer = torch.optim.AdamW([vectors], lr=3e-2, weight_decay=0)
    with _laid_over(table, vectors, mark):
        for step in range(steps):
            rows = torch.randint(count, (SMALL_BATCH,))
            loss = model.loss(latents[rows], model.text(ids[rows]).last_hidden_state)
            _descend(optimizer, loss, step, steps)
    return vectors.detach()


@contextmanager
def _laid_over(table: nn.Module, vectors: Tensor, mark: int) -> Iterator[None]:
    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        places = (inputs[0] == mark).nonzero()
        row, column = places.unbind(1)
        return output.index_put((row, column), vectors.repeat(len(places) // VECTORS, 1))

    handle = table.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor, step: int, steps: int) -> None:
    for group in optimizer.param_groups:
        group.setdefault("first", group["lr"])
        group["lr"] = group["first"] * (1 - step / steps)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step}/{steps}  loss {loss.item():.4f}", flush=True)


def main() -> None:
    """Train both, and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("models/tiny"))
    parser.add_argument("--out", type=Path, default=Path("tests/data"))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--pictures", type=int, default=240)
    parser.add_argument("--only", choices=("lora", "embedding"))
    options = parser.parse_args()
    if options.only != "lora":
        _write_embedding(options)
    if options.only != "embedding":
        _write_lora(options)


def _write_embedding(options: argparse.Namespace) -> None:
    torch.manual_seed(2)
    vectors = train_embedding(Model(options.model), LONGER * options.steps, options.pictures)
    (options.out / "embeddings").mkdir(parents=True, exist_ok=True)
    save_file({"emb_params": vectors.contiguous()}, options.out / "embeddings/teal.safetensors")


def _write_lora(options: argparse.Namespace) -> None:
    torch.manual_seed(0)
    weights = train_lora(Model(options.model), options.steps, options.pictures)
    (options.out / "loras").mkdir(parents=True, exist_ok=True)
    metadata = {
        "ss_base_model_version": "sd_v1",
        "ss_output_name": "warm",
        "ss_network_module": "networks.lora",
        "ss_tag_frequency": json.dumps({"10_warm": {"warm light": options.pictures}}),
    }
    save_file(weights, options.out / "loras/warm.safetensors", metadata)


if __name__ == "__main__":
    main()
