"""Trains the decoder further, while the encoder and its latents stay as they are.

Latents must not change once the denoiser has begun to learn them, but their decoding may. So the
decoder is trained for the remaining minutes, for sharper edges and more accurate colours.
"""

import random
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

from training.denoised_images import DenoisedImages
from training.train_vae import colour_loss, edge_loss, fidelity, picture_loss
from training.training_clock import (
    ExponentialAverage,
    TrainingClock,
    load_checkpoint,
    precision,
    save_checkpoint,
    set_rate,
)

# Weights of the losses of gradients: an even surface with a texture looks like noise, and an edge
# is better a pixel off than four pixels wide. And of colours: a small pink object was nearly white.
GRADIENTS, EDGES, COLOURS = 2.0, 0.3, 4.0
IMAGES = 3  # of 256 x 256, in each step


def train_decoder(
    out: Path, work: Path, minutes: float, device: str = "cpu", seed: int = 1
) -> None:
    """Train the decoder of `out`/vae for this many minutes and write it back.

    `out` has the tokenizer, the text encoder and the UNet too: their latents are what it decodes.
    """
    torch.manual_seed(seed)
    vae = AutoencoderKL.from_pretrained(out / "vae").float().to(device)
    vae.to(memory_format=torch.channels_last)
    weights = [*vae.decoder.parameters(), *vae.post_quant_conv.parameters()]
    optimizer = torch.optim.AdamW(weights, 1e-3, betas=(0.9, 0.99), weight_decay=1e-3, fused=True)
    source = DenoisedImages(out, vae, device)
    average, course = ExponentialAverage(weights, 0.995), TrainingClock(minutes * 60)
    if saved := load_checkpoint(work / "decoder.pt", device):
        vae.decoder.load_state_dict(saved["decoder"])
        vae.post_quant_conv.load_state_dict(saved["post_quant_conv"])
        optimizer.load_state_dict(saved["optimizer"])
        average.resume(saved["average"])
        course.resume(saved["course"])

    def checkpoint() -> None:
        state = {name: getattr(vae, name).state_dict() for name in ("decoder", "post_quant_conv")}
        others = {"optimizer": optimizer.state_dict(), "average": average.state()}
        save_checkpoint(work / "decoder.pt", {**state, **others, "course": course.state()})

    rng = random.Random(seed * 1_000_003 + course.steps)
    losses: list[float] = []
    while not course.over:
        set_rate(optimizer, course.rate(7e-4, 1e-6, warm=50))
        latents, pixels = source.sample(rng, IMAGES if device == "cpu" else 8 * IMAGES)
        with precision(device):
            made = vae.decode(latents).sample.float()
        loss = picture_loss(made, pixels, GRADIENTS)
        loss += EDGES * edge_loss(made, pixels) + COLOURS * colour_loss(made, pixels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        average.update()
        course.step(len(pixels))
        losses.append(loss.item())
        if course.steps % 100 == 0:
            print(
                f"decoder {course.elapsed:5.0f} s  step {course.steps}  "
                f"loss {np.mean(losses[-100:]):.4f}",
                flush=True,
            )
            checkpoint()
    average.swap()
    vae.to("cpu", memory_format=torch.contiguous_format).half().save_pretrained(out / "vae")
    print(f"decoder done: {fidelity(out):.2f} dB on pictures it has not seen", flush=True)
