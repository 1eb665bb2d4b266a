"""A folder of images and its log: reserves numbers, saves images, recovers from crashes."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from dream.core.errors import GalleryError
from dream.core.own_files import refuse_link
from dream.core.picture import Picture
from dream.gallery.copies import INPUTS_FOLDER, save_copy
from dream.gallery.durable_files import (
    explain_os_error,
    name_unless_taken,
    open_exclusive,
    publish_file,
    raise_gallery_errors,
    remove_stale_files,
    sync_folder,
)
from dream.gallery.image_writer import Encoding, write_image
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
from dream.gallery.png import (
    PARAMETERS,
    build_chunks,
    build_grid_chunks,
    build_intermediate_chunks,
)
from dream.gallery.recovery import log_missing_images
from dream.options.image_output import A1111, BOTH, DREAM

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
        parameters: str = "",
        own_line: str = "",
        kinds: Collection[str] = BOTH,
        encoding: Encoding = Encoding(),  # noqa: B008 - frozen
    ) -> SavedImage:
        """Write the image and then its log line, durably, and without overwriting anything.

        `line` generates the image. `name` is from `format_file_name`, and gets .01, .02 … if taken;
        without a name it is the number and the seed. `record` is added to the image's JSON, which
        has the request, the image's provenance and its SHA-256, or replaces a part of it;
        `readable` is the line in the form that other programs read, `parameters` is AUTOMATIC1111's
        text, and `own_line` is the line in the image, if it is not the log's. Of these, `kinds` (of
        METADATA_KINDS) are written. If the log cannot be written the image stays, and the error
        says so.
        """
        line = join_lines(line)
        sha256 = picture.sha256
        chunks = {}
        if DREAM in kinds:
            own = join_lines(own_line) or line
            chunks = build_chunks(picture, own, sha256, record or {}, readable)
        if A1111 in kinds and parameters:
            chunks[PARAMETERS] = parameters.encode(errors="replace").decode()
        path, logged, error = self._write(
            picture.image,
            make_safe_name(name or "", ending=encoding.ending)
            or f"{claim.prefix}.{picture.recipe.filename_seed}{encoding.ending}",
            chunks,
            encoding,
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
        kinds: Collection[str] = BOTH,
        encoding: Encoding = Encoding(),  # noqa: B008 - frozen
    ) -> SavedImage:
        """Write a grid of the command's images as `000042.grid.png`, or with another name.

        Its log line is a comment, `# path: line`, since it can be made from the other images.
        """
        line = join_lines(line)
        path, logged, error = self._write(
            sheet,
            f"{claim.prefix}.{name}{encoding.ending}",
            build_grid_chunks(line) if DREAM in kinds else {},
            encoding,
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
        encoding: Encoding = Encoding(),  # noqa: B008 - frozen
    ) -> Path:
        """Write an unfinished image, `intermediates/000042.1234567.0005.png`, durably and without
        overwriting anything. It has no line in the log; it has `line` in it unless that is empty.
        Returns its path."""
        folder = self.outdir / INTERMEDIATES_FOLDER
        name = f"{claim.prefix}.{seed}.{step:04}.png"
        chunks = build_intermediate_chunks(join_lines(line), step) if line else {}
        with (
            raise_gallery_errors(folder),
            self._temporary(partial(write_image, image, chunks, encoding)) as temporary,
        ):
            refuse_link(folder)
            folder.mkdir(exist_ok=True)
            return publish_file(temporary, folder, name)

    def save_text(self, path: Path, text: str) -> None:
        """Write a text beside an image, with the image's name and `.txt`, as a whole or not at all,
        unless there is such a file already. Raises GalleryError if it cannot be written."""
        data = text.encode("utf-8", "replace")
        with (
            raise_gallery_errors(self.outdir),
            self._temporary(lambda file: file.write(data)) as temporary,
        ):
            name_unless_taken(temporary, path.with_suffix(".txt"))
            sync_folder(path.parent)

    def save_input(self, path: Path) -> Path:
        """Copy an input file durably to `inputs/`, named by its content, so that the same file is
        copied once. Raises GalleryError if it cannot be written."""
        return save_copy(path, self.outdir / INPUTS_FOLDER)

    def recover(self) -> tuple[str, ...]:
        """Recover from a crash, at every start.

        Unfinished files are removed; an image of this installation without a log line gets it, from
        its own PNG. Returns the added lines.
        """
        with raise_gallery_errors(self.outdir):
            if not self.outdir.is_dir():
                return ()
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
        encoding: Encoding,
        line_at: Callable[[str], str],
    ) -> tuple[Path, str, Unlogged | None]:
        """The file's path and its log line, which `line_at` makes from the shown path; and the
        error if the line is not in the log."""
        with (
            raise_gallery_errors(self.outdir),
            self._temporary(partial(write_image, image, chunks, encoding)) as temporary,
        ):
            return self._publish(temporary, name, line_at)

    @contextmanager
    def _temporary(self, write: Callable[[IO[bytes]], object]) -> Iterator[Path]:
        """A finished file without a final name yet; removed after the block. Raises OSError."""
        self.outdir.mkdir(parents=True, exist_ok=True)
        temporary = self.outdir / f".dream-{secrets.token_hex(8)}.tmp"
        with open_exclusive(temporary) as file:
            with os.fdopen(file, "wb", closefd=False) as out:
                write(out)
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
