"""The worker's side, started by `dream.worker.start_worker`.

The main thread works. A second thread listens: it receives tasks while the first imports torch,
marks cancelled jobs, and ends the process when the other side is gone, so that no worker is left
behind.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue

from dream.core.events import Loading, Note
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.engine.interface import GenerationCancelled, Progress, ProgressCallback
from dream.worker.channel import Channel, UnreadableMessage, pack_message
from dream.worker.crash import to_dream_error
from dream.worker.executor import TaskExecutor
from dream.worker.protocol import (
    Answer,
    CancelTask,
    ConvertTask,
    CountTokensTask,
    FindMaskTask,
    FinishTask,
    Init,
    LoadedModels,
    LoadTask,
    MakeControlMapTask,
    Preload,
    RenderTask,
    RunTask,
    TaskCancelled,
    TaskDone,
    TaskFailed,
    TaskProgress,
    TaskStarted,
    WorkerCommand,
    WorkerUnusable,
    get_expected,
    get_model,
    get_task_options,
)
from dream.worker.start_worker import open_inherited

_NICENESS = 3
"""A worker gets half as much of a busy processor as other programs do."""
_ATTEMPTS = 20

FIRST_ORDER = 0.2
"""Seconds to wait for it. A worker is started because there is one."""

Order = Init | WorkerCommand | UnreadableMessage


def main() -> None:
    """Serve the process at the other end of the socket, which argv[1] names, until it is gone."""
    channel = Channel(open_inherited(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the prompt's; it sends CancelTask
    faulthandler.enable()
    _offer_to_the_oom_killer()
    _lower_priority()
    WorkerServer(channel).serve()


class WorkerServer:
    """Runs tasks one at a time, and answers."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._orders: SimpleQueue[Order] = SimpleQueue()
        self._cancelled = 0  # every job up to this number
        threading.Thread(target=self._receive_loop, name="listen", daemon=True).start()

    def serve(self) -> None:
        """Never returns: the listening thread ends the process."""
        opening = self._orders.get()
        try:
            if isinstance(opening, UnreadableMessage):
                raise opening.error
            assert isinstance(opening, Init)
            first, expected = self._receive_first()
            executor = TaskExecutor(opening.registry, opening.machine, expected)
        except Exception as error:
            self._answer(WorkerUnusable(to_dream_error(error)))
            return
        gc.freeze()  # a collection over everything imported takes a quarter of a second
        advice = executor.advice
        while True:
            order, first = first or self._orders.get(), None
            match order:
                case Preload(task):
                    self._preload(executor, task)
                case RunTask() as order:
                    self._run_task(executor, order, advice)
                    advice = ""
                case UnreadableMessage(job, unread) if job:
                    self._answer(TaskStarted(job))
                    self._answer(TaskFailed(job, to_dream_error(unread)))

    def _receive_first(self) -> tuple[Order | None, Recipe | None]:
        """The first order, which comes at once, and what is most likely rendered first: known
        before the imports, which take seconds, so that something can be done beside them."""
        with suppress(Empty):
            first = self._orders.get(timeout=FIRST_ORDER)
            known = get_expected(first.task) if isinstance(first, Preload | RunTask) else None
            return first, known
        return None, None

    def _preload(self, executor: TaskExecutor, task: LoadTask) -> None:
        # Whatever is wrong is reported when an image of this model is requested.
        with suppress(Exception):
            self._load(executor, task, lambda event: None)

    def _load(self, executor: TaskExecutor, task: LoadTask, report: ProgressCallback) -> None:
        self._load_with(executor, partial(executor.load, task, report))

    def _load_with(self, executor: TaskExecutor, load: Callable[[], None]) -> None:
        try:
            load()
        finally:  # others may have been unloaded for a model that failed to load
            self._answer(LoadedModels(executor.list_loaded()))

    def _run_task(self, executor: TaskExecutor, order: RunTask, advice: str) -> None:
        self._answer(TaskStarted(order.job))
        report = self._report(order.job)
        try:
            if order.job <= self._cancelled:
                raise GenerationCancelled
            if advice:
                report(Note(text=advice))
            match order.task:
                case LoadTask() as task:
                    self._load(executor, task, report)
                    result = None
                case ConvertTask(model, folder):
                    executor.convert(model, folder, report)
                    self._answer(LoadedModels(executor.list_loaded()))
                    result = None
                case FindMaskTask() as task:
                    executor.find_mask(task, report)
                    result = None
                case MakeControlMapTask() as task:
                    executor.make_control_map(task, report)
                    result = None
                case CountTokensTask(recipe):
                    executor.count_tokens(recipe, report)
                    self._answer(LoadedModels(executor.list_loaded()))
                    result = None
                case task:
                    result = self._make(executor, task, report)
            self._answer(TaskDone(order.job, result))
        except GenerationCancelled:
            self._answer(TaskCancelled(order.job))
        except Exception as error:  # also where the result cannot be sent
            self._answer(TaskFailed(order.job, to_dream_error(error)))

    def _make(
        self, executor: TaskExecutor, task: RenderTask | FinishTask, report: ProgressCallback
    ) -> Picture:
        if isinstance(task, RenderTask):
            self._load_with(executor, partial(executor.load_for, task.recipe, report))
        elif wanted := get_model(task):
            self._load(executor, LoadTask(wanted, options=get_task_options(task)), report)
        try:
            return executor.run(task, report)
        finally:  # a model may have been unloaded for an upscaler
            if isinstance(task, FinishTask):
                self._answer(LoadedModels(executor.list_loaded()))

    def _report(self, job: int) -> ProgressCallback:
        def report(event: Progress | Note | Loading) -> None:
            if job <= self._cancelled:
                raise GenerationCancelled
            self._answer(TaskProgress(job, event))

        return report

    def _answer(self, answer: Answer) -> None:
        self._channel.send(pack_message(answer))

    def _receive_loop(self) -> None:
        try:
            while True:
                match self._channel.receive():
                    case CancelTask(job):
                        self._cancelled = job
                    case RunTask() | Preload() | Init() | UnreadableMessage() as order:
                        self._orders.put(order)
        except (EOFError, OSError):
            os._exit(0)  # the prompt is gone; there is nothing to clean up
        except BaseException:  # a worker that cannot listen is of no use
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)


def _lower_priority() -> None:
    """Whatever a person waits for, first of all the prompt, gets a processor sooner; alone, a
    worker is as fast. On Linux a session's share counts where sessions have one (sched(7),
    autogroup), and else the process's; the system lets one process a tenth of a second change it.
    """
    if hasattr(os, "nice"):  # Windows: by `start_worker`
        os.nice(_NICENESS)
    for _ in range(_ATTEMPTS):
        try:
            Path("/proc/self/autogroup").write_text(str(_NICENESS))
            return
        except BlockingIOError:
            time.sleep(0.11)
        except OSError:
            return


def _offer_to_the_oom_killer() -> None:
    """When memory runs out, Linux should kill the worker, not the prompt: a worker is replaced."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
