"""Two workers of a real Ray cluster on this machine."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dream.catalogue import ModelRegistry
from dream.cluster.file_hashes import ExpectedFiles
from dream.core.errors import DreamError, ModelError
from dream.core.events import Note, Waiting
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.engine.interface import DeviceConfig
from dream.worker import WorkerEngine
from tests.recipes import recipe as make_recipe

# A Ray that does not start leaves its own processes; the tests are skipped with the reason then.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
recipe = partial(make_recipe, threads=1)
"""Two workers on two cores."""


def render(pool: Any, recipes: Sequence[Recipe]) -> tuple[list[Picture | DreamError], list[str]]:
    """Render side by side: the images or errors in the order of the recipes, and all notes."""
    results: dict[int, Picture | DreamError] = {}
    notes: list[str] = []
    live = {n: pool.render(one) for n, one in enumerate(recipes)}
    while live:
        waiting = 0
        for n, events in list(live.items()):
            try:
                event = next(events)
            except StopIteration:
                del live[n]
                continue
            except DreamError as error:
                results[n] = error
                del live[n]
                continue
            if isinstance(event, Waiting):
                waiting += 1
            elif isinstance(event, Note):
                notes.append(event.text)
            elif isinstance(event, Picture):
                results[n] = event
        if live and waiting == len(live):
            pool.wait()
    return [results[n] for n in sorted(results)], notes


def test_images_are_those_of_one_worker_here_and_input_images_go_along(
    pool: Any, registry: ModelRegistry, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.png"
    Image.new("RGB", (64, 64), "red").save(photo)
    recipes = [recipe(seed=seed) for seed in range(3)]
    recipes.append(recipe(seed=3, init_img=str(photo), strength=0.5))
    images, _ = render(pool, recipes)
    alone = WorkerEngine(registry, DeviceConfig())
    try:
        for one, image in zip(recipes, images, strict=True):
            *_, expected = alone.render(one)
            assert isinstance(image, Picture) and isinstance(expected, Picture)
            assert image.recipe == one
            assert image.facts == expected.facts and image.sha256 == expected.sha256
    finally:
        alone.close()
    assert "random" in pool.list_loaded() and pool.get_memory_usage() > 1 << 20


def test_an_image_is_rendered_again_where_its_actor_was_killed(ray: Any, pool: Any) -> None:
    recipes = [recipe(seed=seed, steps=30) for seed in range(4)]
    events = pool.render(recipes[0])
    event = next(events)
    while not getattr(event, "worker", ""):  # the first step
        if isinstance(event, Waiting):
            pool.wait()
        event = next(events)
    worker = pool._workers[event.worker]
    os.kill(ray.get(worker._actor.describe.remote())["pid"], signal.SIGKILL)
    notes = []
    while not isinstance(event, Picture):
        if isinstance(event, Waiting):
            pool.wait()
        if isinstance(event, Note):
            notes.append(event.text)
        event = next(events)
    assert notes == [f"worker {worker.name} died (its actor ended); rendering this image again"]
    images, _ = render(pool, recipes)
    assert next(image.sha256 for image in images if isinstance(image, Picture)) == event.sha256
    assert len(pool._assignment.workers) == 2


def test_a_node_with_another_file_of_that_name_is_refused(
    ray: Any, registry: ModelRegistry, random_models: Path, tmp_path: Path
) -> None:
    from dream.cluster.ray_pool import RayCluster
    from dream.worker.pool import WorkerPool

    (tmp_path / "random").symlink_to(random_models / "random-v")
    unlike = replace(registry, models_dirs=[tmp_path])
    cluster = RayCluster(registry, DeviceConfig(), "", 1, same_hardware=False)
    cluster._expected = ExpectedFiles(unlike)
    pool = WorkerPool(cluster.open_workers())
    try:
        (error,), _ = render(pool, [recipe()])
        assert isinstance(error, ModelError)
        assert str(error).startswith("the configuration of random on 127.0.0.1 cpu 0 is ")
    finally:
        pool.close()
        cluster.close()
