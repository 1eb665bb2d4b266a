"""Control maps by networks: random weights in the layout of the real ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from dream.catalogue import ModelRegistry
from dream.catalogue.auxiliary import (
    DEPTH,
    DEPTH_ANYTHING,
    UPERNET,
    AuxiliaryModel,
    Downloader,
    ensure_auxiliary,
    find_auxiliary,
)
from dream.core.errors import FetchError, ModelError
from dream.engine.vision.control_maps import map_networks
from dream.engine.vision.control_maps.ade20k import colour_classes
from dream.engine.vision.control_maps.map_network import MapNetwork, open_network
from dream.engine.vision.control_maps.segmentation import draw_areas
from dream.engine.vision.control_maps.skeleton import draw_skeletons
from dream.engine.vision.vision_models import ControlMap, VisionModels
from tests import random_preprocessors as random
from tests.random_models import make_random_depths

SIZE = (72, 56)
KINDS = ("depth", "normal", "seg", "pose")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("models")
    random.make_random_depth_anything(models / "depth")
    random.make_random_upernet(models / "areas")
    random.make_random_vitpose(models / "pose")
    random.make_random_rt_detr(models / "people")
    return models


def downloader_of(folder: Path) -> Downloader:
    registry = ModelRegistry((folder,), offline=True)
    return lambda wanted, report, say: ensure_auxiliary(wanted, registry, report, say)


@pytest.fixture(scope="module")
def vision(folder: Path) -> VisionModels:
    return VisionModels(downloader_of(folder))


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    coarse = np.random.default_rng(0).integers(0, 255, (7, 9, 3), np.uint8)
    return Image.fromarray(coarse).resize((90, 70), Image.Resampling.BICUBIC)


def make(vision: VisionModels, kind: str, photo: Image.Image) -> ControlMap:
    return vision.make_control_map("cpu", lambda reported: None, kind, photo, SIZE)


@pytest.mark.parametrize("kind", KINDS)
def test_a_map_follows_the_image_and_names_what_made_it(
    vision: VisionModels, photo: Image.Image, kind: str
) -> None:
    first, again = make(vision, kind, photo), make(vision, kind, photo)
    assert first.image.size == SIZE and first.image.mode == "RGB"
    assert first.image == again.image and first.facts == again.facts
    assert first.facts and all(len(sha256) == 64 for sha256 in first.facts.values())
    other = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert make(vision, kind, other).image != first.image


def test_depth_is_gray_and_normals_are_unit_vectors(
    vision: VisionModels, photo: Image.Image
) -> None:
    depth = np.asarray(make(vision, "depth", photo).image)
    assert (depth == depth[..., :1]).all() and depth.min() == 0 and depth.max() == 255
    normals = np.asarray(make(vision, "normal", photo).image, float) / 127.5 - 1
    assert np.abs(np.linalg.norm(normals, axis=2) - 1).max() < 0.02
    assert normals[..., 2].min() >= 0


def test_slopes_have_the_colours_of_their_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    rising_right = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1))
    network = None
    for depth, channel in ((rising_right, 0), (rising_right.T, 1)):
        monkeypatch.setattr(map_networks, "_estimate_depth", lambda *_, depth=depth: depth)
        drawn = np.asarray(map_networks.draw_normals(network, Image.new("RGB", (64, 64))))  # type: ignore[arg-type]
        red, green, blue = drawn.reshape(-1, 3).mean(0)
        assert (red, green)[channel] > 200 and 120 < (red, green)[1 - channel] < 135
        assert blue > 200


def test_distances_are_turned_into_nearness(vision: VisionModels, photo: Image.Image) -> None:
    network = vision._networks["depth_anything"]
    near = np.asarray(map_networks.draw_depth(network, photo), int)
    network.model.config.depth_estimation_type = "metric"
    far = np.asarray(map_networks.draw_depth(network, photo), int)
    network.model.config.depth_estimation_type = "relative"
    assert np.abs(near + far - 255).max() <= 1


def test_areas_have_the_colours_of_ade20k(vision: VisionModels, photo: Image.Image) -> None:
    drawn = np.asarray(make(vision, "seg", photo).image)
    palette = colour_classes(np.arange(150)[None])[0]
    assert palette[0].tolist() == [120, 120, 120] and palette[2].tolist() == [6, 230, 230]
    assert palette[12].tolist() == [150, 5, 61], "a person"
    assert palette[149].tolist() == [92, 0, 255]
    colours = np.unique(drawn.reshape(-1, 3), axis=0)
    assert all((palette == colour).all(1).any() for colour in colours)
    with pytest.raises(IndexError):
        colour_classes(np.array([[150]]))


@pytest.mark.parametrize("kind", ["oneformer", "mask2former"])
def test_a_network_that_answers_with_masks_does_as_well(
    kind: str, tmp_path: Path, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The classes are those of transformers' own post-processing."""
    getattr(random, f"make_random_{kind}")(tmp_path / "own")
    made = make(VisionModels(downloader_of(tmp_path)), "seg", photo)
    assert made.image.size == SIZE and list(made.facts) == [kind]
    network = open_network(tmp_path / "own", "cpu")
    generator = torch.Generator().manual_seed(0)
    found = SimpleNamespace(
        class_queries_logits=9 * torch.randn(1, 6, 151, generator=generator),
        masks_queries_logits=torch.randn(1, 6, 8, 8, generator=generator),
    )
    sizes = [SIZE[::-1]]
    (expected,) = network.processor.post_process_semantic_segmentation(found, sizes)
    monkeypatch.setattr(MapNetwork, "look", lambda *_: found)
    drawn = np.asarray(draw_areas(network, photo.resize(SIZE)))
    same = (drawn == colour_classes(expected.numpy())).all(2)
    assert len(np.unique(expected)) > 3 and same.mean() > 0.8


def test_a_segformer_does_as_well_and_one_with_other_classes_is_left_alone(
    tmp_path: Path, photo: Image.Image
) -> None:
    random.make_random_segformer(tmp_path / "clothes", classes=18)
    assert find_auxiliary(UPERNET, (tmp_path,)) is None
    random.make_random_segformer(tmp_path / "own")
    assert find_auxiliary(UPERNET, (tmp_path,)) == tmp_path / "own"
    made = make(VisionModels(downloader_of(tmp_path)), "seg", photo)
    assert made.image.size == SIZE and list(made.facts) == ["segformer"]
    wrong = open_network(tmp_path / "clothes", "cpu")
    with pytest.raises(ModelError, match="knows 18 classes, not ADE20K's 150"):
        draw_areas(wrong, photo)


def test_a_vitpose_of_several_data_sets_answers_as_trained_on_coco(
    folder: Path, tmp_path: Path, photo: Image.Image
) -> None:
    random.make_random_vitpose(tmp_path / "plus", num_experts=3, part_features=4)
    (tmp_path / "people").symlink_to(folder / "people")
    made = make(VisionModels(downloader_of(tmp_path)), "pose", photo)
    assert list(made.facts) == ["rt_detr", "vitpose"] and np.asarray(made.image).any()


def test_the_depth_estimator_that_is_there_is_used(tmp_path: Path, photo: Image.Image) -> None:
    make_random_depths(tmp_path / "midas")
    assert find_auxiliary(DEPTH_ANYTHING, (tmp_path,)) == tmp_path / "midas"
    assert list(make(VisionModels(downloader_of(tmp_path)), "depth", photo).facts) == ["dpt"]
    random.make_random_depth_anything(tmp_path / "newer")
    assert find_auxiliary(DEPTH_ANYTHING, (tmp_path,)) == tmp_path / "newer"
    assert find_auxiliary(DEPTH, (tmp_path,)) == tmp_path / "midas"


@pytest.mark.parametrize("kind", KINDS)
def test_without_the_network_it_is_said_what_to_do(
    tmp_path: Path, photo: Image.Image, kind: str
) -> None:
    with pytest.raises(ModelError) as offline:
        make(VisionModels(downloader_of(tmp_path)), kind, photo)
    assert "is not downloaded, and --offline is set" in str(offline.value)
    assert "or use a ready-made map with --control_raw" in str(offline.value)

    def unreachable(wanted: AuxiliaryModel, report: object, say: Callable[[str], None]) -> Path:
        raise FetchError(f"cannot reach the hub for {wanted.hub}")

    with pytest.raises(FetchError) as error:
        make(VisionModels(unreachable), kind, photo)
    assert str(error.value).endswith("(use a ready-made map with --control_raw)")
    assert "\n" not in str(error.value)
    assert "model, cannot be downloaded: cannot reach the hub" in str(error.value)


def test_a_broken_network_is_one_line(folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in (folder / "depth").iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    (broken / "model.safetensors").write_bytes(b"\0" * 64)
    with pytest.raises(ModelError, match="cannot be loaded") as error:
        open_network(broken, "cpu")
    assert "\n" not in str(error.value)
    (broken / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ModelError, match="it is bert"):
        open_network(broken, "cpu")


STANDING = {
    0: (50, 20), 5: (62, 40), 6: (38, 40), 7: (66, 60), 8: (34, 60), 9: (68, 80), 10: (32, 80),
    11: (58, 90), 12: (42, 90), 13: (58, 120), 14: (42, 120), 15: (58, 150), 16: (42, 150),
}  # fmt: skip
"""COCO's joints of a person seen from the front, without eyes and ears."""


def standing(without: tuple[int, ...] = ()) -> np.ndarray:
    points = np.zeros((17, 3), np.float32)
    for joint, (x, y) in STANDING.items():
        points[joint] = (x, y, 0.0 if joint in without else 0.9)
    return points


def test_a_person_is_drawn_in_openpose_colours() -> None:
    drawn = draw_skeletons([standing()], (512, 512))
    assert drawn.getpixel((50, 20)) == (255, 0, 0), "the nose"
    assert drawn.getpixel((50, 40)) == (255, 85, 0), "the neck is between the shoulders"
    assert drawn.getpixel((38, 40)) == (255, 170, 0), "the right shoulder is on the left"
    assert drawn.getpixel((62, 40)) == (85, 255, 0)
    assert drawn.getpixel((42, 120)) == (0, 255, 255) and drawn.getpixel((58, 120)) == (0, 0, 255)
    assert drawn.getpixel((42, 105)) == (0, 153, 51), "the right thigh, dimmed to six tenths"
    assert drawn.getpixel((200, 200)) == (0, 0, 0)


def test_joints_that_are_not_seen_are_not_drawn() -> None:
    drawn = draw_skeletons([standing(without=(5,))], (512, 512))
    assert drawn.getpixel((62, 40)) == (0, 0, 0) and drawn.getpixel((50, 40)) == (0, 0, 0)
    assert drawn.getpixel((42, 105)) == (0, 153, 51)
    assert not np.asarray(draw_skeletons([], (64, 64))).any()
