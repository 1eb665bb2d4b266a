"""Saves a line's images through the gallery: folder, file names, records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dream.core.errors import DreamError, GalleryError
from dream.core.events import Events, Failed, Grid, Note, Saved
from dream.core.own_files import refuse_link
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.core.request import IMAGE_FILE_FIELDS, Request, map_image_files, to_dict
from dream.core.stages import get_stages, with_stages
from dream.engine.interface import Progress
from dream.gallery import (
    Gallery,
    ReservedNumber,
    Unlogged,
    format_file_name,
    make_prompt_folder,
    raise_gallery_errors,
)
from dream.gallery.image_writer import Encoding, fits
from dream.line import Sweep, format_fields, format_line, format_sweep
from dream.options.image_output import DREAM, TEXT_FILE
from dream.session.embedded import make_embedded
from dream.session.private_paths import hide_private_paths

if TYPE_CHECKING:
    from PIL.Image import Image


class OutputManager:
    """The galleries of this session, one per folder; each is recovered when first opened."""

    def __init__(self) -> None:
        self._galleries: dict[Path, Gallery] = {}

    @contextmanager
    def open_output(
        self, request: Request, outdir: Path, *, is_beside: bool = False
    ) -> Iterator[LineOutput]:
        """The output of one line, with a reserved number; of a line beside others, with its first
        image, so that the numbers have the order of the images. Raises GalleryError."""
        folder = folder_of(request, outdir, request.prompt)
        if request.prompt_as_dir:
            with raise_gallery_errors(folder):
                refuse_link(folder)
        notes = () if folder in self._galleries else self.open_gallery(folder)
        gallery = self._galleries[folder]
        with ExitStack() as stack:
            number = gallery.reserve_number
            output = LineOutput(gallery, lambda: stack.enter_context(number()), request, notes)
            if not is_beside:
                _ = output.claim
            try:
                yield output
            finally:
                if output.log_is_short:
                    self._galleries.pop(folder, None)  # the next line recovers it

    def open_gallery(self, folder: Path) -> tuple[str, ...]:
        """Recover a folder after a crash; returns notes about it. Raises GalleryError."""
        gallery = Gallery(folder)
        recovered = gallery.recover()
        self._galleries[folder] = gallery
        notes = []
        if recovered:
            images = "1 image" if len(recovered) == 1 else f"{len(recovered)} images"
            notes.append(f"{images} had no line in {gallery.log_path.as_posix()}; added")
        if gallery.unsigned:
            notes.append(_unsigned(gallery.unsigned, folder))
        return tuple(notes)


def folder_of(request: Request, outdir: Path, prompt: str) -> Path:
    """The output folder of a line whose prompt is resolved. Raises BadLine."""
    folder = request.folder if request.outdir else outdir
    return folder / make_prompt_folder(prompt) if request.prompt_as_dir else folder


@dataclass
class LineOutput:
    """The images of one line, under one number."""

    gallery: Gallery
    reserve: Callable[[], ReservedNumber]
    request: Request
    notes: tuple[str, ...] = ()
    paths: list[Path] = field(default_factory=list)
    intermediates: list[Path] = field(default_factory=list)
    saved_by_recipe: dict[Recipe, Path] = field(default_factory=dict)
    fix_source_stems: dict[str, str] = field(default_factory=dict)
    """The original names of files that were copied, by the copy's path."""
    log_is_short: bool = False
    """Whether an image is on disk but its line could not be added to the log."""

    @cached_property
    def claim(self) -> ReservedNumber:
        """The number of its images, reserved when first asked for. Raises GalleryError."""
        return self.reserve()

    @property
    def save_original(self) -> bool:
        """Whether the image before postprocessing is saved too."""
        return self.request.save_original

    def copy_inputs(self, recipes: Sequence[Recipe]) -> Sequence[Recipe]:
        """The recipes, with --keep_inputs with copies of the input files next to the log. Raises
        GalleryError."""
        if not self.request.keep_inputs:
            return recipes
        copy = cache(lambda path: self.gallery.save_input(Path(path)).as_posix())
        self.fix_source_stems = {
            copy(recipe.fix): Path(recipe.fix).stem for recipe in recipes if recipe.fix
        }
        return [_beginning_from(recipe, copy) for recipe in recipes]

    def save(
        self, picture: Picture, remember: Callable[[Saved], None], seconds: float | None = None
    ) -> Events[None]:
        """Write image and log line; `remember` is called as soon as the image is on disk. `seconds`
        is how long it took. Raises GalleryError."""
        recipe = picture.recipe
        request = recipe.to_request()
        line = format_line(request)
        name, warning = format_file_name(
            self.request.fnformat,
            prefix=self.claim.prefix,
            seed=recipe.filename_seed,
            fields=to_dict(request),
        )
        if warning:
            yield Note(text=warning)
        encoding = self._encoding
        if not fits(picture.image.size, encoding):
            yield Note(text=f"{encoding.format} cannot hold an image of this size; saved as PNG")
            encoding = Encoding(compression=encoding.compression)
        done = [*(stage.file_suffix for stage in get_stages(recipe)), encoding.ending[1:]]
        if recipe.fix is not None and self.request.fnformat is None:
            name = ".".join([self.fix_source_stems.get(recipe.fix, Path(recipe.fix).stem), *done])
        elif self.save_original and self.paths and len(done) > 1:
            # Next to its original, which was just saved, maybe under a name with a number.
            name = ".".join([self.paths[-1].stem, *done])
        unlogged = None
        embedded = make_embedded(picture, request, seconds)
        try:
            entry = self.gallery.save(
                embedded.picture,
                line=line,
                claim=self.claim,
                name=name,
                record=embedded.record,
                readable=embedded.readable,
                parameters=embedded.parameters,
                own_line=embedded.line,
                kinds=self.request.metadata,
                encoding=encoding,
            )
        except Unlogged as error:  # the image is on disk, and the next line recovers the log
            entry, unlogged, self.log_is_short = error.entry, error, True
        self.paths.append(entry.path)
        self.saved_by_recipe[recipe] = entry.path
        saved = Saved(path=entry.path, line=line, sha256=entry.sha256, request=request)
        remember(saved)
        notes = self._save_text(entry.path, embedded.parameters)
        yield saved
        yield from notes
        if unlogged is not None:
            raise unlogged

    def _save_text(self, path: Path, parameters: str) -> tuple[Note, ...]:
        """Write AUTOMATIC1111's text beside an image, if it is wanted; a note if that fails."""
        if TEXT_FILE not in self.request.metadata or not parameters:
            return ()
        try:
            self.gallery.save_text(path, parameters)
        except GalleryError as error:
            return (Note(text=f"{path.with_suffix('.txt').name} was not saved: {error}"),)
        return ()

    @property
    def _encoding(self) -> Encoding:
        request = self.request
        return Encoding(request.format, request.quality, request.png_compression)

    @property
    def save_every(self) -> int:
        """Number of steps between two intermediate images; 0 is off."""
        return self.request.save_intermediates

    def save_intermediate(self, recipe: Recipe, progress: Progress) -> Events[None]:
        """Save an intermediate image. If that fails, a note says so, and rendering continues."""
        assert progress.image is not None
        try:
            path = self.gallery.save_intermediate(
                progress.image,
                claim=self.claim,
                seed=recipe.filename_seed,
                step=progress.step,
                line=format_line(hide_private_paths(recipe.to_request()))
                if DREAM in self.request.metadata
                else "",
                encoding=Encoding(compression=self.request.png_compression),
            )
        except DreamError as error:
            yield Note(text=f"the image after step {progress.step} was not saved: {error}")
            return
        if not self.intermediates:
            yield Note(text=f"intermediate images are saved in {path.parent.as_posix()}")
        self.intermediates.append(path)

    def save_grid(self, sweep: Sweep) -> Events[None]:
        """Save a grid of all images of a line so far, if there are any."""
        if not self.paths:
            return
        line = _public_line(sweep)
        # imported late: the prompt does not need Pillow
        from dream.postprocess.image_grid import make_image_grid

        try:
            yield from self._save_sheet_of(make_image_grid(self.paths), line, "grid")
        except DreamError as error:
            yield Failed(error=error, line=line)

    def save_sheet(self, sweep: Sweep, recipes: Sequence[Recipe]) -> Events[None]:
        """Save the contact sheet of a line, if there are any images; missing ones leave a gap."""
        saved = self.saved_by_recipe
        paths = [saved.get(recipe) or saved.get(without_stages(recipe)) for recipe in recipes]
        if not any(paths):
            return
        from dream.postprocess.contact_sheet import make_contact_sheet

        labels = [format_fields(recipe.to_request(), _label_fields(sweep)) for recipe in recipes]
        line = _public_line(sweep)
        try:
            page = make_contact_sheet(paths, labels, _columns(sweep))
            yield from self._save_sheet_of(page, line, "sheet")
        except DreamError as error:
            yield Failed(error=error, line=line)

    def _save_sheet_of(self, page: Image, line: str, name: str) -> Events[None]:
        """Save a grid or a contact sheet. Raises GalleryError."""
        encoding = self._encoding
        if not fits(page.size, encoding):
            encoding = Encoding(compression=encoding.compression)
        entry = self.gallery.save_grid(
            page,
            claim=self.claim,
            line=line,
            name=name,
            kinds=self.request.metadata,
            encoding=encoding,
        )
        yield Grid(path=entry.path, labelled=name == "sheet")


def _unsigned(count: int, folder: Path) -> str:
    one = "1 image has no log line and does not carry"
    which = one if count == 1 else f"{count} images have no log line and do not carry"
    where = folder.as_posix()
    return f"in {where}, {which} the signature of this installation; !fetch FILE shows its line"


def _public_line(sweep: Sweep) -> str:
    return format_sweep(replace(sweep, first=hide_private_paths(sweep.first)))


def _label_fields(sweep: Sweep) -> list[str]:
    """The fields in which the images of a sheet differ."""
    fields = [axis.field for axis in sweep.axes]
    own = "with_variations" if sweep.first.variation_amount else "seed"
    if own not in fields and (sweep.first.iterations > 1 or not fields):
        fields.append(own)
    return fields


def _columns(sweep: Sweep) -> int | None:
    """The columns of a sheet: rows begin where a slower axis changes, and the sheet is as square as
    possible."""
    ways = (prod(sweep.shape[cut:]) for cut in range(1, len(sweep.shape)))
    return min(ways, key=lambda across: abs(across**2 - sweep.count), default=None)


def _beginning_from(recipe: Recipe, copy: Callable[[str], str]) -> Recipe:
    record: dict[str, Any] = {
        n: map_image_files(paths, copy) for n in IMAGE_FILE_FIELDS if (paths := getattr(recipe, n))
    }
    return replace(recipe, **record)


def without_stages(recipe: Recipe) -> Recipe:
    """The recipe of the image before postprocessing."""
    return with_stages(recipe, ())
