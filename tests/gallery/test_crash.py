"""A crash, a full disk or Ctrl-C at every single call to the disk, one after the other."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dream.core.errors import GalleryError
from dream.gallery import Gallery
from dream.gallery.folder import list_names
from dream.gallery.image_writer import Encoding
from tests.gallery.checks import sound
from tests.gallery.writer import noise

WRITES = ("mkdir", "open", "write", "fsync", "link", "replace")
CHANGES = (*WRITES, "unlink")
"""What changes the disk: a crash elsewhere is a crash before the next of these."""


FORMATS = tuple(Encoding(name) for name in ("png", "jpeg", "webp", "avif"))
PARAMETERS = "noise\nSteps: 1"


def work(gallery: Gallery, encoding: Encoding = FORMATS[0]) -> None:
    """Two commands' images and a grid: four files and the log. In another format than PNG an image
    with a text beside it, and a grid."""
    with gallery.reserve_number() as claim:
        saved = gallery.save(
            noise(7, weights="0123456789"),
            line="a -S7",
            claim=claim,
            parameters=PARAMETERS,
            encoding=encoding,
        )
        if encoding != FORMATS[0]:
            gallery.save_text(saved.path, PARAMETERS)
            gallery.save_grid(noise(9).image, claim=claim, line="a -g", encoding=encoding)
            return
    with gallery.reserve_number() as claim:
        gallery.save(noise(9), line="b -S9", claim=claim)
        gallery.save(noise(9), line="c -S9", claim=claim)
        gallery.save_grid(noise(9).image, claim=claim, line="b -n2 -g")


def at_call(
    monkeypatch: pytest.MonkeyPatch, number: int, names: tuple[str, ...], act: Callable[[], None]
) -> None:
    """Has `act` happen instead of the numbered call, of those with the names."""
    left = number

    def watched(call: Callable[..., Any]) -> Callable[..., Any]:
        def instead(*args: Any, **named: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                act()
            return call(*args, **named)

        return instead

    for name in names:
        monkeypatch.setattr(os, name, watched(getattr(os, name)))


def points(upto: int = 400) -> Iterator[int]:
    yield from range(1, upto)
    raise AssertionError("the work never ends")


@pytest.fixture(params=["links", "no links"])
def links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "no links":

        def link(source: Path, target: Path) -> None:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")

        monkeypatch.setattr(os, "link", link)


def fork(work: Callable[[], None]) -> bool:
    """Does the work in a copy of this process; False when it was killed."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.usefixtures("links")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # threads of other tests
def test_killed_at_any_call(tmp_path: Path) -> None:
    kill_at_each_call(tmp_path, FORMATS[0])


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # threads of other tests
@pytest.mark.parametrize("encoding", FORMATS[1:], ids=str)
def test_killed_at_any_call_in_another_format(tmp_path: Path, encoding: Encoding) -> None:
    kill_at_each_call(tmp_path, encoding)


def kill_at_each_call(tmp_path: Path, encoding: Encoding) -> None:
    for point in points():
        gallery = Gallery(tmp_path / str(point))

        def die(point: int = point, gallery: Gallery = gallery) -> None:
            patch = pytest.MonkeyPatch()
            at_call(patch, point, CHANGES, lambda: os.kill(os.getpid(), signal.SIGKILL))
            work(gallery, encoding)

        survived = fork(die)
        gallery.recover()
        for path in (*gallery.outdir.glob("*.png"), *gallery.outdir.glob("*.jpg")):
            # Killed before it could write that it holds the name: it may be anybody's, and stays.
            if not path.stat().st_size:
                assert not survived
                path.unlink()
                (gallery.outdir / ".dream_foreign").unlink()
        sound(gallery.outdir)
        if survived:
            assert point > 25
            assert len(list_names(gallery.outdir)) == (5 if encoding == FORMATS[0] else 4)
            return


FULL = (OSError(errno.ENOSPC, "No space left on device"), "no space is left")


@pytest.mark.usefixtures("links")
@pytest.mark.parametrize(
    ("error", "message"),
    [
        FULL,
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (KeyboardInterrupt("Ctrl-C"), "Ctrl-C"),
    ],
)
def test_a_full_disk_or_an_interrupt_at_any_call(
    tmp_path: Path, error: BaseException, message: str
) -> None:
    fail_at_each_call(tmp_path, error, message, FORMATS[0])


@pytest.mark.parametrize("encoding", FORMATS[1:], ids=str)
def test_a_full_disk_at_any_call_in_another_format(tmp_path: Path, encoding: Encoding) -> None:
    fail_at_each_call(tmp_path, *FULL, encoding)


def fail_at_each_call(
    tmp_path: Path, error: BaseException, message: str, encoding: Encoding
) -> None:
    for point in points():
        gallery = Gallery(tmp_path / str(point))
        done = False
        with pytest.MonkeyPatch.context() as patch:
            at_call(patch, point, WRITES, lambda: fail(error))
            try:
                work(gallery, encoding)
                done = True
            except (GalleryError, KeyboardInterrupt) as caught:
                assert message in str(caught)
        assert list(gallery.outdir.glob(".*")) == [], "before any recovery"
        gallery.recover()
        sound(gallery.outdir)
        # before, a folder's fsync may fail without a word
        if done and point > (40 if encoding == FORMATS[0] else 25):
            return


def fail(error: BaseException) -> None:
    raise error
