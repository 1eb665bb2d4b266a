"""A folder of images and its log: reserves numbers, saves images, recovers from crashes."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dream.core.errors import GalleryError
from dream.core.own_files import refuse_link
from dream.core.picture import Picture
from dream.gallery.copies import INPUTS_FOLDER, save_copy
from dream.gallery.durable_files import (
    explain_os_error,
    open_exclusive,
    publish_file,
    raise_gallery_errors,
    remove_stale_files,
)
from dream.gallery.log import (
    LOG_NAME,
    format_grid_line,
    format_log_line,
    format_path,
    join_lines,
    open_for_append,
)
from dream.gallery.naming import make_safe_name
from dream.gallery.numbering import ReservedNumber, reserve_number
from dream.gallery.png import build_chunks, build_grid_chunks, build_intermediate_chunks, write_png
from dream.gallery.recovery import log_missing_images

if TYPE_CHECKING:
    from PIL.Image import Image


INTERMEDIATES_FOLDER = "intermediates"
"""Next to the log."""


@dataclass(frozen=True)
class SavedImage:
    """An image that is on disk and in the log."""

    path: Path
    """Relative if the outdir is."""
    line: str
    """The line that generates it."""
    sha256: str
    """SHA-256 of the RGB bytes, 64 hex digits."""
    log_line: str


class Unlogged(GalleryError):
    """An image that is on disk but could not be added to the log."""

    entry: SavedImage


class Gallery:
    """A folder of images. Several programs can share one.

    The folder is created when it is first needed. Raises GalleryError if something cannot be
    written.
    """

    def __init__(self, outdir: Path) -> None:
        self.outdir = Path(outdir)
        self._next = 1
        self.unsigned = 0
        """Number of images without a log line that `recover` found, written by dream, but not by
        this installation: see `gallery.signature`."""

    @property
    def log_path(self) -> Path:
        """`dream_log.txt` in the folder."""
        return self.outdir / LOG_NAME

    @contextmanager
    def reserve_number(self) -> Iterator[ReservedNumber]:
        """Reserve a number for a command: one above the highest; no other command gets it during
        the block."""
        with ExitStack() as stack:
            with raise_gallery_errors(self.outdir):
                self.outdir.mkdir(parents=True, exist_ok=True)
                claim = stack.enter_context(reserve_number(self.outdir, self._next))
            self._next = claim.number
            yield claim

    def save(
        self,
        picture: Picture,
        *,
        line: str,
        claim: ReservedNumber,
        name: str | None = None,
        record: Mapping[str, object] | None = None,
        readable: str = "",
        compression: int = 6,
    ) -> SavedImage:
        """Write the image and then its log line, durably, and without overwriting anything.

        `line` generates the image. `name` is from `format_file_name`, and gets .01, .02 … if taken;
        without a name it is the number and the seed. `record` is added to the PNG's JSON, which has
        the request, the image's provenance and its SHA-256; `readable` is the line in the form that
        other programs read. `compression` is 0 to 9. If the log cannot be written the image stays,
        and the error says so.
        """
        line = join_lines(line)
        sha256 = picture.sha256
        path, logged, error = self._write(
            picture.image,
            make_safe_name(name or "") or f"{claim.prefix}.{picture.recipe.filename_seed}.png",
            build_chunks(picture, line, sha256, record or {}, readable),
            compression,
            lambda where: format_log_line(where, line, sha256, picture.facts),
        )
        self._next = claim.number + 1
        entry = SavedImage(path, line, sha256, logged)
        if error is not None:
            error.entry = entry
            raise error
        return entry

    def save_grid(
        self,
        sheet: Image,
        *,
        claim: ReservedNumber,
        line: str,
        name: str = "grid",
        compression: int = 6,
    ) -> SavedImage:
        """Write a grid of the command's images as `000042.grid.png`, or with another name.

        Its log line is a comment, `# path: line`, since it can be made from the other images.
        """
        line = join_lines(line)
        path, logged, error = self._write(
            sheet,
            f"{claim.prefix}.{name}.png",
            build_grid_chunks(line),
            compression,
            lambda where: format_grid_line(where, line),
        )
        if error is not None:
            raise error
        return SavedImage(path, line, hashlib.sha256(sheet.tobytes()).hexdigest(), logged)

    def save_intermediate(
        self,
        image: Image,
        *,
        claim: ReservedNumber,
        seed: int,
        step: int,
        line: str,
        compression: int = 6,
    ) -> Path:
        """Write an unfinished image, `intermediates/000042.1234567.0005.png`, durably and without
        overwriting anything. It has no line in the log. Returns its path."""
        folder = self.outdir / INTERMEDIATES_FOLDER
        name = f"{claim.prefix}.{seed}.{step:04}.png"
        chunks = build_intermediate_chunks(join_lines(line), step)
        with (
            raise_gallery_errors(folder),
            self._temporary(image, chunks, compression) as temporary,
        ):
            refuse_link(folder)
            folder.mkdir(exist_ok=True)
            return publish_file(temporary, folder, name)

    def save_input(self, path: Path) -> Path:
        """Copy an input file durably to `inputs/`, named by its content, so that the same file is
        copied once. Raises GalleryError if it cannot be written."""
        return save_copy(path, self.outdir / INPUTS_FOLDER)

    def recover(self) -> tuple[str, ...]:
        """Recover from a crash, at every start.

        Unfinished files are removed; an image of this installation without a log line gets it, from
        its own PNG. Returns the added lines.
        """
        if not self.outdir.is_dir():
            return ()
        with raise_gallery_errors(self.outdir):
            remove_stale_files(self.outdir)
            inputs = self.outdir / INPUTS_FOLDER
            if inputs.is_dir() and not inputs.is_symlink():
                remove_stale_files(inputs)
            recovered = log_missing_images(self.outdir)
        self.unsigned = recovered.unsigned
        return recovered.lines

    def _write(
        self,
        image: Image,
        name: str,
        chunks: Mapping[str, str],
        compression: int,
        line_at: Callable[[str], str],
    ) -> tuple[Path, str, Unlogged | None]:
        """The file's path and its log line, which `line_at` makes from the shown path; and the
        error if the line is not in the log."""
        with (
            raise_gallery_errors(self.outdir),
            self._temporary(image, chunks, compression) as temporary,
        ):
            return self._publish(temporary, name, line_at)

    @contextmanager
    def _temporary(
        self, image: Image, chunks: Mapping[str, str], compression: int
    ) -> Iterator[Path]:
        """A finished PNG without a final name yet; removed after the block. Raises OSError."""
        self.outdir.mkdir(parents=True, exist_ok=True)
        temporary = self.outdir / f".dream-{secrets.token_hex(8)}.tmp"
        with open_exclusive(temporary) as file:
            with os.fdopen(file, "wb", closefd=False) as out:
                write_png(out, image, chunks, compression)
            os.fsync(file)
            yield temporary

    def _publish(
        self, temporary: Path, name: str, line_at: Callable[[str], str]
    ) -> tuple[Path, str, Unlogged | None]:
        path = None
        try:
            with open_for_append(self.log_path) as tail:
                path = publish_file(temporary, self.outdir, name)
                line = line_at(format_path(path))
                tail.append(line)
        except OSError as error:
            # if not even the log can be opened, the image is still saved
            path = path or publish_file(temporary, self.outdir, name)
            reason = explain_os_error(error)[0]
            message = f"{path} is saved, but could not be added to {self.log_path}: {reason}"
            unlogged = Unlogged(message, "its line is added before the next image is saved")
            return path, line_at(format_path(path)), unlogged
        return path, line, None
