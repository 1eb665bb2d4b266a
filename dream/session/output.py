"""Where a line's pictures go: the folder, the names, the records; all through the gallery."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

from dream.core.errors import DreamError
from dream.core.events import Events, Failed, Grid, Note, Saved
from dream.core.own_files import refuse_link
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.core.request import IMAGE_FILE_FIELDS, Request, to_dict
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
from dream.line import Sweep, format_fields, format_line, format_sweep, parse_line, write_spelled


class OutputManager:
    """The galleries of this session, one for each folder; each is mended when first opened."""

    def __init__(self) -> None:
        self._galleries: dict[Path, Gallery] = {}

    @contextmanager
    def open_output(self, request: Request, outdir: Path) -> Iterator[LineOutput]:
        """A numbered place for the pictures of one line. Raises GalleryError."""
        folder = folder_of(request, outdir, request.prompt)
        if request.prompt_as_dir:
            with raise_gallery_errors(folder):
                refuse_link(folder)
        mended = () if folder in self._galleries else self.open_gallery(folder)
        gallery = self._galleries[folder]
        with gallery.reserve_number() as claim:
            album = LineOutput(gallery, claim, request, mended)
            try:
                yield album
            finally:
                if album.log_is_short:
                    self._galleries.pop(folder, None)  # the next line mends it

    def open_gallery(self, folder: Path) -> tuple[str, ...]:
        """Mend a folder after whatever died in it, and say what was mended. Raises GalleryError."""
        gallery = Gallery(folder)
        found = gallery.recover()
        self._galleries[folder] = gallery
        notes = []
        if found:
            pictures = "a picture" if len(found) == 1 else f"{len(found)} pictures"
            notes.append(f"{pictures} had no line in {gallery.log_path.as_posix()}; added")
        if gallery.unsigned:
            notes.append(_unsigned(gallery.unsigned, folder))
        return tuple(notes)


def folder_of(request: Request, outdir: Path, prompt: str) -> Path:
    """Where the pictures of a line go, whose prompt is settled. Raises BadLine."""
    folder = request.folder if request.outdir else outdir
    return folder / make_prompt_folder(prompt) if request.prompt_as_dir else folder


@dataclass
class LineOutput:
    """The pictures of one line, under one number."""

    gallery: Gallery
    claim: ReservedNumber
    request: Request
    notes: tuple[str, ...] = ()
    paths: list[Path] = field(default_factory=list)
    intermediates: list[Path] = field(default_factory=list)
    saved_by_recipe: dict[Recipe, Path] = field(default_factory=dict)
    fix_source_stems: dict[str, str] = field(default_factory=dict)
    """What files were called of which the recipes name copies."""
    log_is_short: bool = False
    """Whether a picture is on disk whose line could not be added to the log."""

    @property
    def save_original(self) -> bool:
        """Whether the picture from before all stages is kept beside the finished one."""
        return self.request.save_original

    def copy_inputs(self, recipes: Sequence[Recipe]) -> Sequence[Recipe]:
        """The recipes, with copies beside the log for the files that they begin from, where the
        line wants them kept. Raises GalleryError."""
        if not self.request.keep_inputs:
            return recipes
        copy = cache(lambda path: self.gallery.save_input(Path(path)).as_posix())
        self.fix_source_stems = {
            copy(recipe.fix): Path(recipe.fix).stem for recipe in recipes if recipe.fix
        }
        return [_beginning_from(recipe, copy) for recipe in recipes]

    def save(self, picture: Picture, remember: Callable[[Saved], None]) -> Events[None]:
        """Write picture and log line; `remember` is called as soon as the picture is on disk.
        Raises GalleryError."""
        recipe = picture.recipe
        said = recipe.to_request()
        line = format_line(said)
        name, warning = format_file_name(
            self.request.fnformat,
            prefix=self.claim.prefix,
            seed=recipe.filename_seed,
            fields=to_dict(said),
        )
        if warning:
            yield Note(text=warning)
        done = [*(stage.file_suffix for stage in get_stages(recipe)), "png"]
        if recipe.fix is not None and self.request.fnformat is None:
            name = ".".join([self.fix_source_stems.get(recipe.fix, Path(recipe.fix).stem), *done])
        elif self.save_original and self.paths and len(done) > 1:
            # Beside its original, which was kept a moment ago, perhaps under a name with a number.
            name = ".".join([self.paths[-1].stem, *done])
        unlogged = None
        try:
            entry = self.gallery.save(
                picture,
                line=line,
                claim=self.claim,
                name=name,
                readable=write_spelled(
                    parse_line(picture.source_line) if picture.source_line else said
                ),
                compression=self.request.png_compression,
            )
        except Unlogged as error:  # the picture is there, and another line will mend the log
            entry, unlogged, self.log_is_short = error.entry, error, True
        self.paths.append(entry.path)
        self.saved_by_recipe[recipe] = entry.path
        saved = Saved(path=entry.path, line=line, sha256=entry.sha256, request=said)
        remember(saved)
        yield saved
        if unlogged is not None:
            raise unlogged

    @property
    def save_every(self) -> int:
        """After so many steps the picture in the making is kept; 0 is never."""
        return self.request.save_intermediates

    def save_intermediate(self, recipe: Recipe, progress: Progress) -> Events[None]:
        """Write a picture in the making. Where that fails it is said, and the picture goes on."""
        assert progress.image is not None
        try:
            path = self.gallery.save_intermediate(
                progress.image,
                claim=self.claim,
                seed=recipe.filename_seed,
                step=progress.step,
                line=format_line(recipe.to_request()),
                compression=self.request.png_compression,
            )
        except DreamError as error:
            yield Note(text=f"the picture after step {progress.step} is not kept: {error}")
            return
        if not self.intermediates:
            yield Note(text=f"pictures in the making are kept in {path.parent.as_posix()}")
        self.intermediates.append(path)

    def save_grid(self, line: str) -> Events[None]:
        """Write the sheet of all pictures kept so far, if there is any."""
        if not self.paths:
            return
        from dream.postprocess.image_grid import (
            make_image_grid,  # Pillow comes with the first picture, not the prompt
        )

        try:
            entry = self.gallery.save_grid(make_image_grid(self.paths), claim=self.claim, line=line)
            yield Grid(path=entry.path)
        except DreamError as error:
            yield Failed(error=error, line=line)

    def save_sheet(self, sweep: Sweep, recipes: Sequence[Recipe]) -> Events[None]:
        """Write the labelled sheet of a line, if there is any picture to be on it; a gap stays
        where one did not come to be."""
        kept = self.saved_by_recipe
        paths = [kept.get(recipe) or kept.get(without_stages(recipe)) for recipe in recipes]
        if not any(paths):
            return
        from dream.postprocess.contact_sheet import make_contact_sheet

        fields = [axis.field for axis in sweep.axes]
        own = "with_variations" if sweep.first.variation_amount else "seed"
        if own not in fields and (sweep.first.iterations > 1 or not fields):
            fields.append(own)
        labels = [format_fields(recipe.to_request(), fields) for recipe in recipes]
        line = format_sweep(sweep)
        try:
            page = make_contact_sheet(paths, labels, _columns(sweep))
            entry = self.gallery.save_grid(page, claim=self.claim, line=line, name="sheet")
            yield Grid(path=entry.path, labelled=True)
        except DreamError as error:
            yield Failed(error=error, line=line)


def _unsigned(count: int, folder: Path) -> str:
    if count == 1:
        which = "1 image has no log line and does not carry"
    else:
        which = f"{count} images have no log line and do not carry"
    where = folder.as_posix()
    return f"in {where}, {which} the signature of this installation; !fetch FILE shows its line"


def _columns(sweep: Sweep) -> int | None:
    """Rows of a sheet begin where a slower axis changes: so that it is as near to a square as
    that allows."""
    ways = (prod(sweep.shape[cut:]) for cut in range(1, len(sweep.shape)))
    return min(ways, key=lambda across: abs(across**2 - sweep.count), default=None)


def _beginning_from(recipe: Recipe, copy: Callable[[str], str]) -> Recipe:
    said: dict[str, Any] = {
        n: copy(path) for n in IMAGE_FILE_FIELDS if (path := getattr(recipe, n))
    }
    return replace(recipe, **said)


def without_stages(recipe: Recipe) -> Recipe:
    """The recipe of the picture from before all stages, as it is kept."""
    return with_stages(recipe, ())
