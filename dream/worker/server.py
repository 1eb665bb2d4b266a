"""The worker's own side: `python -c "…host.main()" FD`, started by `dream.worker.worker_process`.

The main thread works. A second one listens: it takes orders while the first imports torch, marks
what was cancelled, and ends the process when the other side is gone, so that none is left behind.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

from dream.core.events import Loading, Note
from dream.core.picture import Picture
from dream.engine.interface import GenerationCancelled, Progress, ProgressCallback
from dream.worker.channel import Channel, UnreadableMessage, pack_message
from dream.worker.crash import to_dream_error
from dream.worker.executor import TaskExecutor
from dream.worker.protocol import (
    Answer,
    CancelTask,
    ConvertTask,
    FindMaskTask,
    FinishTask,
    Init,
    LoadedModels,
    LoadTask,
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
    get_model,
)
from dream.worker.start_worker import open_inherited


def main() -> None:
    """Work for the process at the other end of the wire, which argv[1] names, until it is gone."""
    channel = Channel(open_inherited(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the prompt's; it sends Cancel
    faulthandler.enable()
    _offer_to_the_oom_killer()
    WorkerServer(channel).serve()


class WorkerServer:
    """Takes orders, one at a time, and answers."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._orders: SimpleQueue[Init | WorkerCommand | UnreadableMessage] = SimpleQueue()
        self._cancelled = 0  # every job up to this number
        threading.Thread(target=self._listen, name="listen", daemon=True).start()

    def serve(self) -> None:
        """Never returns: the listening thread ends the process."""
        opening = self._orders.get()
        try:
            if isinstance(opening, UnreadableMessage):
                raise opening.error
            assert isinstance(opening, Init)
            workshop = TaskExecutor(opening.shelf, opening.machine)
        except Exception as error:
            self._answer(WorkerUnusable(to_dream_error(error)))
            return
        gc.freeze()  # to look for garbage among all that was imported takes a quarter of a second
        advice = workshop.advice
        while True:
            match self._orders.get():
                case Preload(model):
                    self._warm(workshop, model)
                case RunTask() as order:
                    self._do(workshop, order, advice)
                    advice = ""
                case UnreadableMessage(job, unread) if job:
                    self._answer(TaskStarted(job))
                    self._answer(TaskFailed(job, to_dream_error(unread)))

    def _warm(self, workshop: TaskExecutor, model: str) -> None:
        # Whatever is wrong will be said when a picture is asked of this model.
        with suppress(Exception):
            self._load(workshop, LoadTask(model), lambda happening: None)

    def _load(self, workshop: TaskExecutor, task: LoadTask, tell: ProgressCallback) -> None:
        try:
            workshop.load(task.model, tell, task.weights)
        finally:  # others may have left for one that did not come
            self._answer(LoadedModels(workshop.list_loaded()))

    def _do(self, workshop: TaskExecutor, order: RunTask, advice: str) -> None:
        self._answer(TaskStarted(order.job))
        tell = self._tell(order.job)
        try:
            if order.job <= self._cancelled:
                raise GenerationCancelled
            if advice:
                tell(Note(text=advice))
            match order.task:
                case LoadTask() as task:
                    self._load(workshop, task, tell)
                    made = None
                case ConvertTask(model, folder):
                    workshop.convert(model, folder, tell)
                    self._answer(LoadedModels(workshop.list_loaded()))
                    made = None
                case FindMaskTask() as task:
                    workshop.find_mask(task, tell)
                    made = None
                case task:
                    made = self._make(workshop, task, tell)
            self._answer(TaskDone(order.job, made))
        except GenerationCancelled:
            self._answer(TaskCancelled(order.job))
        except Exception as error:  # also that what was made crosses no wire
            self._answer(TaskFailed(order.job, to_dream_error(error)))

    def _make(
        self, workshop: TaskExecutor, task: RenderTask | FinishTask, tell: ProgressCallback
    ) -> Picture:
        if wanted := get_model(task):
            self._load(workshop, LoadTask(wanted), tell)
        try:
            return workshop.run(task, tell)
        finally:  # an upscaler may have come, and a model left for it
            if isinstance(task, FinishTask):
                self._answer(LoadedModels(workshop.list_loaded()))

    def _tell(self, job: int) -> ProgressCallback:
        def tell(happening: Progress | Note | Loading) -> None:
            if job <= self._cancelled:
                raise GenerationCancelled
            self._answer(TaskProgress(job, happening))

        return tell

    def _answer(self, answer: Answer) -> None:
        self._channel.send(pack_message(answer))

    def _listen(self) -> None:
        try:
            while True:
                match self._channel.receive():
                    case CancelTask(job):
                        self._cancelled = job
                    case RunTask() | Preload() | Init() | UnreadableMessage() as order:
                        self._orders.put(order)
        except (EOFError, OSError):
            os._exit(0)  # the prompt is gone; there is nothing here to put in order
        except BaseException:  # who hears nothing any more is of no use
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)


def _offer_to_the_oom_killer() -> None:
    """Where memory runs out, Linux shall take the worker, not the prompt: it is replaced."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
