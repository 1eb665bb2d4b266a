"""The text of a PNG is read within bounds, and is never a reason not to see its pixels."""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from time import thread_time

import pytest

from dream.core.png_chunks import read_texts
from dream.gallery import read_record
from dream.inputs import open_picture
from scripts.fuzzing.pictures import chunk, png


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("many", [20, 90_000])
def test_of_ever_so_many_texts_a_thousand_are_read(tmp_path: Path, before: bool, many: int) -> None:
    own = chunk(b"tEXt", b'Dream\0"a red circle" -s 20')
    path = tmp_path / "a.png"
    path.write_bytes(png(own, *(chunk(b"tEXt", b"%x\0b" % n) for n in range(many)), before=before))
    start = thread_time()
    assert read_record(path).line == '"a red circle" -s 20'
    opened = open_picture(path)
    assert thread_time() - start < 5
    assert opened.image.size == (8, 8)
    assert len(read_texts(io.BytesIO(path.read_bytes())).texts) == min(many + 1, 1000)
    assert bool(opened.notes) == (many > 1000)


def test_a_text_that_unpacks_to_gigabytes_is_left_unread() -> None:
    bomb = chunk(b"zTXt", b"Dream\0\0" + zlib.compress(bytes(64 << 20), 1))
    read = read_texts(io.BytesIO(png(bomb, chunk(b"tEXt", b"other\0words"))))
    assert read.texts == {"other": "words"}
    assert read.too_long == ("Dream",)
