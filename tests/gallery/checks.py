"""What must hold of a folder of pictures, whatever happened to it."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from dream.gallery import read_log
from dream.gallery.folder import list_names


def sound(outdir: Path) -> None:
    """Every PNG opens and has its line, every line has its PNG, and nothing else is left."""
    names = sorted(list_names(outdir)) if outdir.exists() else []
    pictures = [name for name in names if name.endswith(".png")]
    for name in pictures:
        with Image.open(outdir / name) as image:
            image.load()
    log = outdir / "dream_log.txt"
    assert set(names) - set(pictures) <= {log.name}
    if log.exists():
        assert log.read_bytes().endswith(b"\n") or log.stat().st_size == 0
        lines = [line for _, line in read_log(log)]
        logged = [line.removeprefix("# ").partition(": ")[0] for line in lines]
        assert sorted(logged) == [str(outdir / name) for name in pictures]
    else:
        assert pictures == []
