"""-G: geometry with drawn faces, random networks in the true layouts, and what is refused."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from spandrel.architectures.GFPGAN import GFPGAN
from spandrel.architectures.RestoreFormer import RestoreFormer

from dream.catalogue import ModelRegistry
from dream.catalogue.face_models import (
    FACE_DETECTOR,
    KNOWN_FACE_MODELS,
    find_face_detector,
    find_face_model,
    list_face_models,
)
from dream.core.errors import FetchError, ModelError
from dream.core.picture import Picture
from dream.core.stages import FACES as FACES_STAGE
from dream.gallery.log import format_log_line
from dream.postprocess import face_detector, face_networks, faces
from dream.postprocess.face_alignment import (
    Pixels,
    Points,
    cut_out,
    estimate_alignment,
    get_scale,
    put_back,
)
from dream.postprocess.face_detector import RetinaFaceDetector
from dream.postprocess.face_networks import load_face_network, restore_face
from dream.postprocess.faces import FaceRestorer
from dream.postprocess.network import isolated
from dream.session.replay_checks import check_adapters
from dream.worker.postprocessor import PostProcessor
from tests import recipes

TEMPLATE: Points = np.array(
    [(192.98, 239.95), (318.90, 240.19), (256.63, 314.02), (201.26, 371.41), (313.09, 371.15)]
)


def draw(
    size: tuple[int, int], scale: float, angle: float, centre: tuple[float, float]
) -> tuple[Pixels, Points]:
    """A soft picture with a face, and the points of the face. At scale 1 it has 512 pixels."""
    width, height = size
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([90 + 60 * np.sin(columns / 23), 120 + 50 * np.cos(rows / 19), rows % 255], 2)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    points = (TEMPLATE - 256) @ (turn * scale).T + centre
    canvas = cv2.GaussianBlur(image.clip(0, 255).astype(np.uint8), (0, 0), 2)
    for x, y in points:
        cv2.circle(canvas, (round(x), round(y)), max(1, round(18 * scale)), (40, 30, 20), -1)
    return cv2.GaussianBlur(canvas, (0, 0), 1.5), points


FACES = [
    (0.2, 0.3, (200.0, 150.0)),
    (0.08, -0.6, (330.0, 60.0)),
    (0.5, 0.0, (60.0, 250.0)),
    (1.6, 0.1, (200.0, 150.0)),
]


@pytest.mark.parametrize(("scale", "angle", "centre"), FACES)
@pytest.mark.parametrize("size", [64, 512])
def test_the_points_reach_the_template(
    scale: float, angle: float, centre: tuple[float, float], size: int
) -> None:
    _, points = draw((400, 300), scale, angle, centre)
    matrix = estimate_alignment(points, size)
    reached = points @ matrix[:, :2].T + matrix[:, 2]
    assert np.abs(reached - TEMPLATE * size / 512).max() < 0.01
    assert get_scale(matrix) == pytest.approx(size / 512 / scale, rel=1e-3)


def test_points_are_never_mirrored() -> None:
    matrix = estimate_alignment(TEMPLATE * [-1, 1] + [512, 0], 512)
    assert np.linalg.det(matrix[:, :2]) > 0
    with pytest.raises(ValueError, match="one place"):
        estimate_alignment(np.ones((5, 2)), 512)


@pytest.mark.parametrize(("scale", "angle", "centre"), FACES)
def test_a_face_comes_back_where_it_was(
    scale: float, angle: float, centre: tuple[float, float]
) -> None:
    image, points = draw((400, 300), scale, angle, centre)
    matrix = estimate_alignment(points, 512)
    back = put_back(image, cut_out(image, matrix, 512), matrix)
    change = np.abs(back.astype(int) - image).max(2)
    assert change.max() <= (1 if scale <= 1 else 12)
    rows, columns = np.mgrid[:300, :400]
    where = np.stack([columns, rows], 2) @ matrix[:, :2].T + matrix[:, 2]
    outside = ((where < 0) | (where > 511)).any(2)
    assert change[outside].max(initial=0) == 0


def test_the_seam_is_soft() -> None:
    """A face 60 levels lighter: from one pixel to the next it fades by a few levels."""
    image = np.full((300, 400, 3), 100, np.uint8)
    matrix = estimate_alignment(draw((400, 300), 0.4, 0.4, (200, 150))[1], 512)
    back = put_back(image, np.full((512, 512, 3), 160, np.uint8), matrix).astype(int)
    assert back.max() == 160 and back[150, 200, 0] == 160
    steps = max(np.abs(np.diff(back, axis=axis)).max() for axis in (0, 1))
    assert 0 < steps <= 6


def test_a_face_beyond_the_image_changes_nothing() -> None:
    image, points = draw((100, 80), 0.1, 0, (900, 900))
    matrix = estimate_alignment(points, 512)
    assert np.array_equal(put_back(image, cut_out(image, matrix, 512), matrix), image)


def test_small_faces_are_not_aliased() -> None:
    image, points = draw((200, 200), 0.05, 0, (100, 100))
    matrix = estimate_alignment(points, 512)
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    middle = put_back(image, stripes, matrix)[96:104, 96:104].astype(int)
    assert np.abs(middle - 128).max() <= 3


# ── networks ───────────────────────────────────────────────────────────────────────────────────


def shake(module: torch.nn.Module, seed: int) -> dict[str, torch.Tensor]:
    """Random weights of a module, none of which are zero, so that noise matters."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: value + 0.05 * torch.randn(value.shape, generator=generator)
        if value.is_floating_point()
        else value
        for name, value in module.state_dict().items()
    }


def make_gfpgan(path: Path, seed: int = 1, **values: Any) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = GFPGAN(out_size=64, num_style_feat=32, narrow=1 / 16, **values)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"params_ema": shake(module, seed)}, path)
    return path


def make_detector(path: Path) -> Path:
    from facexlib.detection.retinaface import RetinaFace

    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = RetinaFace("mobile0.25", device=torch.device("cpu"))
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({f"module.{name}": value for name, value in shake(module, 3).items()}, path)
    return path


def noise(size: int) -> torch.Tensor:
    values = torch.randint(0, 256, (size, size, 3), generator=torch.Generator().manual_seed(5))
    return values.to(torch.uint8)


def test_gfpgan_is_built_from_its_file_and_repeats_itself(tmp_path: Path) -> None:
    network = load_face_network(make_gfpgan(tmp_path / "a.pth"))
    assert (network.architecture, network.size) == ("GFPGAN", 64)
    state = torch.get_rng_state()
    first = restore_face(network, noise(64), 0.5)
    torch.manual_seed(99)
    assert torch.equal(restore_face(network, noise(64), 0.5), first)
    torch.set_rng_state(state)
    assert first.shape == (64, 64, 3) and first.float().std() > 1
    values = noise(64).permute(2, 0, 1)[None].float() / 127.5 - 1
    by_hand = network.module(values, randomize_noise=False)[0][0]
    expected = ((by_hand.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0)
    assert torch.equal(first, expected)
    drawn = [network.module(values)[0] for _ in range(2)]
    assert not torch.equal(*drawn), "or the noise has no part in it"
    full = make_gfpgan(tmp_path / "b.pth", sft_half=False, different_w=False)
    assert load_face_network(full).size == 64


def test_restoreformer_is_built_from_its_file(tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = RestoreFormer(
            n_embed=16,
            embed_dim=32,
            ch=32,
            ch_mult=(1, 1),
            num_res_blocks=1,
            z_channels=32,
            head_size=8,
        )
    save_file(shake(module, 2), tmp_path / "r.safetensors")
    network = load_face_network(tmp_path / "r.safetensors")
    assert (network.architecture, network.size) == ("RestoreFormer", 512)
    first = restore_face(network, noise(32), 0.5)
    assert torch.equal(restore_face(network, noise(32), 0.9), first)
    assert first.shape == (32, 32, 3) and first.float().std() > 1


def test_codeformer_follows_its_fidelity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with isolated():  # its import warns
        from spandrel_extra_arches import EXTRA_REGISTRY

    class Recorded(torch.nn.Module):
        """CodeFormer has no small form: only how it is called is tested."""

        def forward(self, face: torch.Tensor, weight: float) -> tuple[torch.Tensor]:
            return (face * weight,)

    class Loader:
        def __init__(self, registry: object) -> None:
            assert registry is EXTRA_REGISTRY

        def load_from_state_dict(self, weights: object) -> Any:
            return type("Descriptor", (), {"model": Recorded()})

    monkeypatch.setattr("spandrel.ModelLoader", Loader)
    names = ("position_emb", "quantize.embedding.weight", "idx_pred_layer.1.weight")
    torch.save({"params_ema": {name: torch.zeros(2, 2) for name in names}}, tmp_path / "c.pth")
    network = load_face_network(tmp_path / "c.pth")
    assert network.architecture == "CodeFormer"
    assert torch.equal(restore_face(network, noise(8), 1.0), noise(8))
    grey = restore_face(network, noise(8), 0.0).float()
    assert grey.std() == 0 and 127 <= grey.mean() <= 128


def test_a_detector_finds_what_its_network_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = RetinaFaceDetector(
        make_detector(tmp_path / "detection_mobilenet0.25_Final.pth"), torch.device("cpu")
    )
    image = noise(64).numpy()
    assert detector.find_faces(image) == []
    monkeypatch.setattr(face_detector, "_SURE", 0.0)
    found = detector.find_faces(image)
    again = detector.find_faces(image)
    assert found and all(np.array_equal(a, b) for a, b in zip(found, again, strict=True))
    assert all(points.shape == (5, 2) for points in found)


def test_faces_are_looked_for_in_a_bounded_copy(tmp_path: Path) -> None:
    detector = RetinaFaceDetector(make_detector(tmp_path / "d.pth"), torch.device("cpu"))
    sizes = []

    def detect(image: Pixels, sure: float) -> Any:
        sizes.append(image.shape)
        points = TEMPLATE / 512 * (image.shape[1], image.shape[0])
        near = TEMPLATE / 512 * 4
        return np.array([[0] * 5 + [*points.ravel()], [0] * 5 + [*near.ravel()]], np.float32)

    detector._network.detect_faces = detect
    (found,) = detector.find_faces(np.zeros((3000, 4000, 3), np.uint8))
    assert sizes == [(768, 1024, 3)], "and eyes two pixels apart are too near"
    assert np.abs(found - TEMPLATE / 512 * (4000, 3000)).max() < 4


# ── the whole ──────────────────────────────────────────────────────────────────────────────────

Restore = Callable[..., Picture]


class Notes(list[str]):
    """What was said."""


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_gfpgan(tmp_path / "faces/GFPGANv1.4.pth")
    make_detector(tmp_path / "faces/detection_mobilenet0.25_Final.pth")
    return tmp_path


def refuse_fetch(*args: object, **values: object) -> None:
    raise FetchError("no network here")


@pytest.fixture
def restore(folder: Path, notes: Notes, monkeypatch: pytest.MonkeyPatch) -> Restore:
    restorer = FaceRestorer(ModelRegistry([folder]), "cpu", refuse_fetch)

    def run(image: Image.Image, points: list[Points] | None, **values: Any) -> Picture:
        if points is not None:
            monkeypatch.setattr(RetinaFaceDetector, "find_faces", lambda *args: points)
        fields = {"facetool_strength": 1.0, "facetool": "gfpgan", **values}
        picture = Picture(image, recipes.recipe(**fields))
        return restorer.restore(picture, on_face=lambda *done: None, on_note=notes.append)

    return run


def test_two_runs_are_equal_and_only_the_face_changes(restore: Restore, notes: Notes) -> None:
    drawn, points = draw((200, 160), 0.15, 0.2, (90, 80))
    image = Image.fromarray(drawn)
    first = restore(image, [points])
    assert first.image.tobytes() == restore(image, [points]).image.tobytes()
    change = np.abs(np.asarray(first.image).astype(int) - drawn).max(2)
    rows, columns = np.nonzero(change)
    assert change[80, 90] > 0 and change.mean() > 0.5
    assert 40 < columns.min() < columns.max() < 140 and 30 < rows.min() < rows.max() < 130
    assert first.facts["faces"] == "1" and notes == []
    assert all(len(first.facts[key]) == 64 for key in ("face_weights", "face_detector"))


def test_the_strength_blends(restore: Restore) -> None:
    drawn, points = draw((200, 160), 0.15, 0.2, (90, 80))
    full = np.asarray(restore(Image.fromarray(drawn), [points]).image).astype(float)
    half = np.asarray(restore(Image.fromarray(drawn), [points], facetool_strength=0.5).image)
    assert np.abs(half - (full + drawn) / 2).max() <= 1


def test_a_file_without_fidelity_says_so(restore: Restore, notes: Notes, folder: Path) -> None:
    drawn, points = draw((200, 160), 0.15, 0.2, (90, 80))
    own = str(folder / "faces/GFPGANv1.4.pth")
    restore(Image.fromarray(drawn), [points], facetool=own, codeformer_fidelity=0.5)
    assert notes == [f"-cf ignored: {own} is GFPGAN, which has no fidelity"]


def test_faces_do_not_depend_on_their_order(restore: Restore) -> None:
    drawn, left = draw((300, 160), 0.12, 0.2, (70, 80))
    right = left + np.array([150, 0])
    both = restore(Image.fromarray(drawn), [left, right]).image
    assert both.tobytes() == restore(Image.fromarray(drawn), [right, left]).image.tobytes()


def test_without_a_face_the_image_is_the_same(restore: Restore, notes: Notes) -> None:
    image = Image.fromarray(noise(64).numpy())
    picture = restore(image, None)
    assert picture.image is image and picture.facts["faces"] == "0"
    assert notes == ["no face was found; the image is unchanged"]
    assert restore(image, None, facetool_strength=None, facetool=None).facts == {}


def test_a_missing_file_is_downloaded_after_it_is_said(tmp_path: Path, notes: Notes) -> None:
    fetched: list[tuple[Path, int]] = []

    def fetch(url: str, target: Path, *, size: int, sha256: str, on_progress: object) -> None:
        assert len(sha256) == 64 and url.startswith("https://github.com/")
        fetched.append((target, size))
        make_detector(target) if "detection" in target.name else make_gfpgan(target)

    restorer = FaceRestorer(ModelRegistry([tmp_path]), "cpu", fetch)
    picture = Picture(
        Image.new("RGB", (64, 64)), recipes.recipe(facetool_strength=1.0, facetool="gfpgan")
    )
    restorer.restore(picture, on_face=lambda *done: None, on_note=notes.append)
    assert [path.name for path, _ in fetched] == [FACE_DETECTOR.path.name, "GFPGANv1.4.pth"]
    assert all(path.parent == tmp_path / "faces" for path, _ in fetched)
    assert notes[0] == "downloading RetinaFace (109 MB) from github.com"


def test_files_are_named_and_those_of_other_programs_found(tmp_path: Path) -> None:
    make_gfpgan(tmp_path / "facerestore_models/GFPGANv1.3.pth")
    make_gfpgan(tmp_path / "GFPGAN/GFPGANv1.4.pth")
    make_detector(tmp_path / "facedetection/detection_mobilenet0.25_Final.pth")
    models = list_face_models([tmp_path])
    assert list(models) == ["gfpgan", "restoreformer", "codeformer", "GFPGANv1.3"]
    assert models["gfpgan"].path == tmp_path / "GFPGAN/GFPGANv1.4.pth"
    found = find_face_model("GFPGANv1.3", [tmp_path], offline=True)
    assert found.path.is_file()
    assert find_face_model(str(found.path), [tmp_path], offline=True).path == found.path
    assert find_face_detector([tmp_path], offline=True).path.name.startswith("detection_mobile")
    assert find_face_model("GFPGAN", [tmp_path], offline=True).name == "gfpgan"


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("gfpgn", "did you mean gfpgan"),
        ("x.pth", "is .*, not a face restorer"),
        ("detection.pth", "finds faces and does not restore them"),
        ("codeformer", "--offline is set"),
        ("code.pth", "would run"),
        ("nothing.pth", "there is no face restorer"),
    ],
)
def test_what_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, error: str
) -> None:
    monkeypatch.chdir(folder)
    torch.save({"conv.weight": torch.zeros(2, 2)}, folder / "x.pth")
    make_detector(folder / "detection.pth")
    torch.save({"weights": print}, folder / "code.pth")
    with pytest.raises(ModelError) as caught:
        find_face_model(name, [folder], offline=True)
    assert re.search(error, f"{caught.value} {caught.value.hint}")


def test_codeformer_needs_its_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dream.catalogue.face_models.find_spec", lambda name: None)
    with pytest.raises(ModelError, match="spandrel-extra-arches") as caught:
        find_face_model("codeformer", [folder], offline=False)
    assert "codeformer]" in caught.value.hint


def test_a_damaged_file_is_named(folder: Path) -> None:
    path = folder / "faces/GFPGANv1.4.pth"
    weights = torch.load(path, weights_only=True)["params_ema"]
    del weights["final_linear.bias"]
    torch.save(weights, path)
    with pytest.raises(ModelError, match="incomplete"):
        load_face_network(path)
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(ModelError, match=r"GFPGANv1\.4\.pth"):
        load_face_network(path)
    with pytest.raises(ModelError, match="not RetinaFace"):
        RetinaFaceDetector(make_gfpgan(folder / "g.pth"), torch.device("cpu"))


def test_a_licence_is_said_once(
    folder: Path, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    codeformer = next(model for model in KNOWN_FACE_MODELS if model.licence)
    here = replace(codeformer, path=folder / "faces/GFPGANv1.4.pth")
    monkeypatch.setattr(faces, "find_face_model", lambda name, dirs, offline: here)
    restorer = FaceRestorer(ModelRegistry([folder]), "cpu", refuse_fetch)
    picture = Picture(
        Image.new("RGB", (64, 64)), recipes.recipe(facetool_strength=1.0, facetool="codeformer")
    )
    for _ in range(2):
        restorer.restore(picture, on_face=lambda *done: None, on_note=notes.append)
    assert notes.count(codeformer.licence) == 1


def test_the_worker_restores_faces(folder: Path) -> None:
    placed = SimpleNamespace(placement=SimpleNamespace(device="cpu"))
    processor = PostProcessor(ModelRegistry([folder]), placed)  # type: ignore[arg-type]
    image = Image.fromarray(noise(64).numpy())
    asked = recipes.recipe(facetool_strength=1.0, facetool="gfpgan")
    reported: list[Any] = []
    done = processor.finish(Picture(image, asked), FACES_STAGE, reported.append)
    assert done.image.tobytes() == image.tobytes()
    assert [note.text for note in reported] == ["no face was found; the image is unchanged"]


def test_a_log_line_has_the_hash_of_what_restored_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, recipe = ModelRegistry([folder]), recipes.recipe(facetool="gfpgan")
    digest = hashlib.sha256((folder / "faces/GFPGANv1.4.pth").read_bytes()).hexdigest()
    line = format_log_line("out/1.png", '"a" -G1', "0" * 64, {"face_weights": digest})
    assert f"face_weights:{digest[:8]}" in line
    assert list(check_adapters(registry, line, recipe)) == []
    make_gfpgan(folder / "faces/GFPGANv1.4.pth", seed=9)
    (note,) = check_adapters(registry, line, recipe)
    assert "gfpgan has changed" in str(note) and "the image will differ" in str(note)


def test_networks_are_named_as_everywhere() -> None:
    assert [model.name for model in KNOWN_FACE_MODELS] == ["gfpgan", "restoreformer", "codeformer"]
    assert face_networks.SIZE == 512
