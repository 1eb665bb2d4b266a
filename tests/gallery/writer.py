"""A program that keeps pictures, for tests to run beside others, to starve and to kill."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from PIL import Image

from dream.core.errors import GalleryError
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.gallery import Gallery


def noise(seed: int, size: int = 16, **facts: str) -> Picture:
    """A picture no two seeds share, which does not compress."""
    recipe = Recipe(
        prompt="noise",
        negative="",
        steps=1,
        seed=seed,
        width=size,
        height=size,
        cfg_scale=1,
        sampler="ddim",
        model="none",
    )
    pixels = random.Random(seed).randbytes(size * size * 3)
    return Picture(Image.frombytes("RGB", (size, size), pixels), recipe, facts)


def write(outdir: Path, commands: int, pictures: int, seed: int) -> None:
    """Keeps so many commands of so many pictures and a grid each, with seeds from `seed` on."""
    gallery = Gallery(outdir)
    for _ in range(commands):
        with gallery.reserve_number() as claim:
            for _ in range(pictures):
                picture = noise(seed, 48, weights="0123456789abcdef", writer=str(seed // 1000))
                gallery.save(picture, line=f'"noise" -s1 -S{seed}', claim=claim)
                seed += 1
            gallery.save_grid(picture.image, claim=claim, line='"noise" -g')


def main() -> None:
    outdir, *numbers = sys.argv[1:]
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        write(Path(outdir), *map(int, numbers))
    except GalleryError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
