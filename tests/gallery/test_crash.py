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
from tests.gallery.checks import sound
from tests.gallery.writer import noise

WRITES = ("mkdir", "open", "write", "fsync", "link", "replace")
CHANGES = (*WRITES, "unlink")
"""What changes the disk: a crash elsewhere is a crash before the next of these."""


def work(gallery: Gallery) -> None:
    """Two commands' pictures and a grid: four files and the log."""
    with gallery.reserve_number() as claim:
        gallery.save(noise(7, weights="0123456789"), line="a -S7", claim=claim)
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
    for point in points():
        gallery = Gallery(tmp_path / str(point))

        def die(point: int = point, gallery: Gallery = gallery) -> None:
            patch = pytest.MonkeyPatch()
            at_call(patch, point, CHANGES, lambda: os.kill(os.getpid(), signal.SIGKILL))
            work(gallery)

        survived = fork(die)
        gallery.recover()
        for path in gallery.outdir.glob("*.png"):
            # Killed before it could write that it holds the name: it may be anybody's, and stays.
            if not path.stat().st_size:
                assert not survived
                path.unlink()
                (gallery.outdir / ".dream_foreign").unlink()
        sound(gallery.outdir)
        if survived:
            assert point > 40
            assert len(list_names(gallery.outdir)) == 5
            return


@pytest.mark.usefixtures("links")
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "no space is left"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (KeyboardInterrupt("Ctrl-C"), "Ctrl-C"),
    ],
)
def test_a_full_disk_or_an_interrupt_at_any_call(
    tmp_path: Path, error: BaseException, message: str
) -> None:
    for point in points():
        gallery = Gallery(tmp_path / str(point))
        done = False
        with pytest.MonkeyPatch.context() as patch:
            at_call(patch, point, WRITES, lambda: fail(error))
            try:
                work(gallery)
                done = True
            except (GalleryError, KeyboardInterrupt) as caught:
                assert message in str(caught)
        assert list(gallery.outdir.glob(".*")) == [], "before any recovery"
        gallery.recover()
        sound(gallery.outdir)
        if done and point > 40:  # before, a folder's fsync may fail without a word
            return


def fail(error: BaseException) -> None:
    raise error
