"""What must hold of a folder of pictures, whatever happened to it."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from dream.gallery import LOG_NAME, read_log
from dream.gallery.containers.image_text import read_image_text
from dream.gallery.folder import list_names
from dream.options.image_output import ENDINGS


def sound(outdir: Path) -> None:
    """Every image opens and has its line, every line has its image, a text beside an image is
    whole, and nothing else is left."""
    names = sorted(list_names(outdir)) if outdir.exists() else []
    pictures = [name for name in names if name.endswith(ENDINGS)]
    texts = [name for name in names if name.endswith(".txt") and name != LOG_NAME]
    for name in pictures:
        with Image.open(outdir / name) as image:
            image.load()
    for name in texts:
        (picture,) = (one for one in pictures if Path(one).stem == name.removesuffix(".txt"))
        text = (outdir / name).read_text(encoding="utf-8")
        assert text in read_image_text(outdir / picture).texts.values(), f"{name} is not whole"
    log = outdir / LOG_NAME
    assert set(names) - set(pictures) - set(texts) <= {log.name}
    if log.exists():
        assert log.read_bytes().endswith(b"\n") or log.stat().st_size == 0
        lines = [line for _, line in read_log(log)]
        logged = [line.removeprefix("# ").partition(": ")[0] for line in lines]
        assert sorted(logged) == [str(outdir / name) for name in pictures]
    else:
        assert pictures == []
