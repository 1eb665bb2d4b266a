"""A real worker process: cancelled, killed, broken, and always an image in the end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from signal import SIGKILL

import pytest

from dream.catalogue import ModelRegistry
from dream.core.errors import EngineError, ModelError
from dream.core.events import Loading, Note
from dream.core.picture import Picture
from dream.core.stages import UPSCALE
from dream.engine.interface import EngineEvent, Progress
from dream.options.option_type import Upscale
from dream.worker import InProcessEngine, WorkerEngine
from dream.worker.worker_process import WorkerProcess
from tests.recipes import recipe

LONG = recipe(steps=400, sampler="k_euler_a")


def process(engine: WorkerEngine) -> WorkerProcess:
    assert engine._worker is not None
    return engine._worker


def pid(engine: WorkerEngine) -> int:
    return process(engine)._process.pid


def picture(events: Iterator[EngineEvent]) -> Picture:
    *_, last = events
    assert isinstance(last, Picture)
    return last


def alive(number: int) -> bool:
    """Whether the process runs; one that has ended and waits to be buried does not."""
    try:
        return ") Z " not in Path(f"/proc/{number}/stat").read_text()
    except FileNotFoundError:
        return False


def until(what: object, seconds: float = 60.0) -> None:
    """Wait until the callable is true."""
    assert callable(what)
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


def test_a_picture_with_its_steps_in_order(engine: WorkerEngine) -> None:
    events = [*engine.render(recipe(steps=5))]
    assert isinstance(events[0], Loading) and events[0].model == "random"
    assert [h.step for h in events if isinstance(h, Progress)] == [1, 2, 3, 4, 5]
    assert isinstance(events[-1], Picture)
    assert engine.get_memory_usage() > 100 << 20, "torch alone takes more"
    again = [*engine.render(recipe(steps=5))]
    assert not [h for h in again if isinstance(h, Loading)], "it is in memory now"
    assert again[-1] == replace(events[-1], image=again[-1].image)  # type: ignore[union-attr]
    assert picture(iter(again)).sha256 == picture(iter(events)).sha256


@pytest.mark.skipif(sys.platform != "linux", reason="niceness is asked of Linux")
def test_a_prompt_gets_a_processor_sooner(engine: WorkerEngine) -> None:
    """By the process's niceness, or by its session's where that counts instead."""
    picture(engine.render(recipe(steps=1)))
    own, other = os.getpriority(os.PRIO_PROCESS, 0), os.getpriority(os.PRIO_PROCESS, pid(engine))
    assert other == min(own + 3, 19)
    with suppress(OSError):
        assert Path(f"/proc/{pid(engine)}/autogroup").read_text().endswith("nice 3\n")


def test_the_same_bits_as_in_this_process(engine: WorkerEngine, registry: ModelRegistry) -> None:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    inprocess = InProcessEngine(registry)
    try:
        for sampler in ("k_euler_a", "dpmpp_2m_karras"):
            wanted = recipe(sampler=sampler, steps=6)
            mine, its = picture(inprocess.render(wanted)), picture(engine.render(wanted))
            assert mine.sha256 == its.sha256
            assert mine.facts == its.facts
        stopped = inprocess.render(LONG)
        next(h for h in stopped if isinstance(h, Progress))
        stopped.close()
        assert picture(inprocess.render(recipe())).sha256 == picture(engine.render(recipe())).sha256
    finally:
        inprocess.close()
        torch.set_num_threads(threads)


def test_cancelling_returns_at_once_and_the_next_picture_is_made(engine: WorkerEngine) -> None:
    expected = picture(engine.render(recipe())).sha256
    worker = pid(engine)
    for _ in range(3):
        running = engine.render(LONG)
        next(h for h in running if isinstance(h, Progress) and h.step == 2)
        began = time.monotonic()
        running.close()
        assert time.monotonic() - began < 0.5
    after = [*engine.render(recipe())]
    assert picture(iter(after)).sha256 == expected
    assert [h.steps for h in after if isinstance(h, Progress)] == [3, 3, 3], "none of the others'"
    assert pid(engine) == worker


def test_upscaling_in_the_worker(engine: WorkerEngine) -> None:
    wanted = recipe(upscale=Upscale(2.0, 1.0), upscaler="tiny-x4", upscale_tile=40)
    raw = picture(engine.render(wanted))
    events = [*engine.finish(raw, UPSCALE)]
    tiles = [h for h in events if isinstance(h, Progress)]
    assert {h.stage for h in tiles} == {"upscale"}
    assert tiles[-1].step == tiles[-1].steps == len(tiles) > 1
    large = picture(iter(events))
    assert large.image.size == (128, 128)
    assert large.facts.items() > raw.facts.items()


def test_a_killed_worker_is_replaced_and_the_picture_is_the_same(engine: WorkerEngine) -> None:
    wanted = recipe(steps=40, sampler="k_euler_a")
    expected = picture(engine.render(wanted)).sha256
    events = engine.render(wanted)
    next(h for h in events if isinstance(h, Progress) and h.step == 5)
    os.kill(pid(engine), SIGKILL)
    began = time.monotonic()
    message = next(h for h in events if isinstance(h, Note))
    assert time.monotonic() - began < 1
    assert message.text == (
        "the worker died (signal 9); starting another and rendering this image again"
    )
    assert picture(events).sha256 == expected


@pytest.mark.skipif(not hasattr(signal, "SIGBUS"), reason="there, files are copied")
def test_a_file_that_is_cut_short_while_it_is_mapped_fails_its_lines_only(
    engine: WorkerEngine, random_models: Path
) -> None:
    """The kernel ends a process that reads behind the end of a mapped file with SIGBUS."""
    folder = random_models / "cut"
    shutil.copytree(random_models / "random", folder)
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    whole = file.read_bytes()
    try:
        wanted = recipe(model="cut", steps=40)
        events = engine.render(wanted)
        next(event for event in events if isinstance(event, Progress))
        os.truncate(file, len(whole) // 2)
        os.kill(pid(engine), signal.SIGBUS)
        note = next(event for event in events if isinstance(event, Note))
        assert note.text.startswith(
            "the worker died (signal 7: a file that it reads was cut short, or its disk failed)"
        )
        with pytest.raises(ModelError, match="cut"):
            list(events)
        assert picture(engine.render(recipe())).image.size == (64, 64), "others go on"
        file.write_bytes(whole)
        assert picture(engine.render(recipe(model="cut"))).sha256
    finally:
        shutil.rmtree(folder)


def test_unforeseen_errors_are_one_line_and_a_crash_file(engine: WorkerEngine) -> None:
    with pytest.raises(EngineError) as caught:
        [*engine.render(recipe(width=4))]  # the session never asks for this
    assert "\n" not in str(caught.value)
    path = Path(caught.value.hint.split(" in ")[-1])
    assert "Traceback" in path.read_text()
    assert picture(engine.render(recipe())).image.size == (64, 64)


def test_errors_we_can_explain_arrive_as_they_are(engine: WorkerEngine) -> None:
    with pytest.raises(ModelError, match=r'there is no model "randon".*did you mean') as caught:
        [*engine.render(recipe(model="randon"))]
    assert caught.value.hint.startswith("did you mean")


def test_no_worker_outlives_its_prompt(registry: ModelRegistry, tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from dream.catalogue import ModelRegistry; from dream.worker import WorkerEngine\n"
        f"engine = WorkerEngine(ModelRegistry([Path({str(registry.models_dirs[0])!r})]))\n"
        "engine.preload('random')\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules\n"
        "print(engine._worker._process.pid, flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as prompt:
        assert prompt.stdout is not None
        worker = int(prompt.stdout.readline())
        assert alive(worker)
        prompt.kill()
    until(lambda: not alive(worker))


def test_closing_ends_the_process(registry: ModelRegistry) -> None:
    engine = WorkerEngine(registry)
    assert engine._worker is None, "a dry run costs no process"
    engine.preload("no such model")
    worker = pid(engine)
    engine.close()
    assert not alive(worker)
    with pytest.raises(EngineError, match="closed"):
        [*engine.render(recipe())]
