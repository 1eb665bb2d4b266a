"""Monitors training: a contact sheet, and a sharper number than the loss.

The loss hardly changes during most of the training. More telling is how much it grows when the
caption names the wrong object, colour or place: 0 means that the text has no effect.
"""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image, ImageDraw
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from training.arrangements import NEWER_KINDS, sample_newer_object
from training.captions import plainly
from training.denoiser import Noise, scheduler
from training.drawing import render
from training.held_out import held_out
from training.objects import KINDS
from training.palette import NAMES, alike
from training.scene_specs import PLACES, AnySpec, ObjectScene, SceneObject
from training.train_text_encoder import tokenize
from training.train_vae import SCALING

PROMPTS = (
    "a red circle on a blue background",
    "a yellow star on a black background",
    "a green heart on a white background",
    "a big orange cat on a purple background",
    "a blue fish on a yellow background",
    "a white moon on a blue background",
    "a red house on a green background",
    "a cyan ring on a brown background",
    "a purple triangle in the top left on a yellow background",
    "a black cross on an orange background",
    "a pink flower on a gray background",
    "a red mushroom on a cyan background",
    "a yellow smiley face on a green background",
    "a blue boat on a white background",
    "a small pink diamond in the bottom right on a black background",
    "a green tree on a pink background",
    "two green squares on a pink background",
    "three yellow stars on a blue background",
    "a red balloon to the left of a blue diamond on a white background",
    "an orange sunset over the sea",
    "mountains under a night sky with a moon",
    "a red house in a green field under a blue sky",
    "蓝色背景上的红色圆形",
    "黑色背景上的一只橙色猫",
)

FREE_PROMPTS = (
    "a black dog on the grass",
    "a red car on a yellow background",
    "a small blue star above a big yellow circle",
    "a green heart inside a white square",
    "an orange cat next to a purple rabbit",
    "a striped red and white apple on blue",
    "four yellow birds on a green background",
    "紫色天空下的一座白色房子",
)


def pipeline(
    tokenizer: CLIPTokenizer, text: CLIPTextModel, unet: UNet2DConditionModel, vae: AutoencoderKL
) -> StableDiffusionPipeline:
    pipe = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def contact_sheet(
    pipe: StableDiffusionPipeline,
    path: Path,
    prompts: tuple[str, ...] = PROMPTS,
    columns: int = 8,
    steps: int = 12,
    guidance: float = 4.0,
    side: int = 256,
) -> None:
    """One image of each prompt, seeds 0, 1, 2 …, with its prompt below."""
    cell, line = 160, 24
    rows = -(-len(prompts) // columns)
    sheet = Image.new("RGB", (columns * cell, rows * (cell + line)), "white")
    pen = ImageDraw.Draw(sheet)
    for start in range(0, len(prompts), 8):
        some = prompts[start : start + 8]
        noise = [torch.Generator("cpu").manual_seed(start + i) for i in range(len(some))]
        made = pipe(
            list(some),
            num_inference_steps=steps,
            guidance_scale=guidance,
            width=side,
            height=side,
            generator=noise,
        ).images
        for i, image in enumerate(made, start):
            x, y = i % columns * cell, i // columns * (cell + line)
            sheet.paste(image.resize((cell - 4, cell - 4)), (x, y))
            words = prompts[i].encode("ascii", "replace").decode()
            pen.text((x + 2, y + cell - 3), words[:26] + "\n" + words[26:52], fill="black")
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


class CaptionProbe:
    """A fixed set of images outside the training set, each with its caption and wrong ones.

    Half of them show two objects: "swapped" names both colours, each for the other object.
    """

    def __init__(
        self,
        tokenizer: CLIPTokenizer,
        vae: AutoencoderKL,
        count: int = 32,
        side: int = 192,
        seed: int = 5,
    ) -> None:
        rng = random.Random(seed)
        self.sets = [
            _Set([_single(rng) for _ in range(count)], side, rng, tokenizer, vae),
            _Set([_pair(rng) for _ in range(count)], side, rng, tokenizer, vae),
            _Set([_newer(rng) for _ in range(2 * count)], side, rng, tokenizer, vae),
        ]

    def __call__(self, text: CLIPTextModel, unet: UNet2DConditionModel, level: int = 800) -> str:
        return "  ".join(each(text, unet, level) for each in self.sets)


class _Set:
    """Images as latents, and for each kind of mistake a list of captions."""

    def __init__(
        self,
        captions: list[dict[str, AnySpec]],
        side: int,
        rng: random.Random,
        tokenizer: CLIPTokenizer,
        vae: AutoencoderKL,
    ) -> None:
        self.ids = {
            name: tokenize(tokenizer, [plainly(each[name]) for each in captions])
            for name in captions[0]
        }
        pixels = [
            np.asarray(render(each["right"], side, side, rng.getrandbits(32)).image)
            for each in captions
        ]
        batch = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.no_grad():
            self.latents = vae.encode(batch).latent_dist.mode() * SCALING

    @torch.no_grad()
    def __call__(self, text: CLIPTextModel, unet: UNet2DConditionModel, level: int) -> str:
        device = unet.device
        noise = torch.randn(self.latents.shape, generator=torch.Generator().manual_seed(1))
        seen, wanted = Noise.schedule().mixed(self.latents, noise, torch.full((len(noise),), level))
        errors: dict[str, float] = {}
        for name, ids in self.ids.items():
            hidden = text(ids.to(device)).last_hidden_state
            answer: Tensor = unet(seen.to(device), level, hidden).sample
            errors[name] = (answer.float().cpu() - wanted).square().mean().item()
        right = errors.pop("right")
        answers = "  ".join(f"wrong {name} {e / right - 1:+.1%}" for name, e in errors.items())
        return f"loss at {level}: {right:.4f}  {answers}"


def _unseen(rng: random.Random) -> tuple[SceneObject, str]:
    while True:
        kind, colour, ground = rng.choice(KINDS), rng.choice(NAMES), rng.choice(NAMES)
        if held_out(kind, colour, ground) and not alike(colour, ground):
            return SceneObject(kind, colour), ground


def _single(rng: random.Random) -> dict[str, AnySpec]:
    """The true caption and three wrong ones."""
    obj, ground = _unseen(rng)
    obj = replace(obj, place=rng.choice(tuple(PLACES)[:5]))
    kinds = [k for k in KINDS if k != obj.kind]
    colours = [c for c in NAMES if c not in (obj.colour, ground)]
    places = [p for p in PLACES if p != obj.place]
    answers = {
        "right": obj,
        "kind": replace(obj, kind=rng.choice(kinds)),
        "colour": replace(obj, colour=rng.choice(colours)),
        "place": replace(obj, place=rng.choice(places)),
    }
    return {name: ObjectScene((each,), ground) for name, each in answers.items()}


def _newer(rng: random.Random) -> dict[str, AnySpec]:
    """A newer object, and another noun."""
    right = replace(sample_newer_object(rng), unknown=False, style="")
    other = rng.choice([kind for kind in NEWER_KINDS if kind != right.items[0].kind])
    return {
        "right": right,
        "noun": replace(right, items=(replace(right.items[0], kind=other),)),
    }


def _pair(rng: random.Random) -> dict[str, AnySpec]:
    """The true caption, one with the colours swapped and one with the objects swapped."""
    one, ground = _unseen(rng)
    colour = rng.choice([c for c in NAMES if not alike(c, one.colour) and not alike(c, ground)])
    other = SceneObject(rng.choice([k for k in KINDS if k != one.kind]), colour)
    answers = {
        "right": (one, other),
        "colours swapped": (replace(one, colour=colour), replace(other, colour=one.colour)),
        "kinds swapped": (replace(one, kind=other.kind), replace(other, kind=one.kind)),
    }
    places = ("left", "right")
    return {
        name: ObjectScene(
            tuple(replace(t, place=p) for t, p in zip(objects, places, strict=True)),
            ground,
            relation="left of",
            count=2,
        )
        for name, objects in answers.items()
    }
