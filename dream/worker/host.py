"""The worker's own side: `python -c "…host.main()" FD`, started by `dream.worker.process`.

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

from dream.engine.base import Progress, Stopped, Tell
from dream.events import Loading, Note
from dream.picture import Picture
from dream.worker.channel import Channel, Unreadable, packed
from dream.worker.crash import as_dream_error
from dream.worker.start import inherited
from dream.worker.wire import (
    Answer,
    Begun,
    Broken,
    Cancel,
    Convert,
    Do,
    Done,
    Failed,
    Finish,
    Left,
    Load,
    Open,
    Order,
    Ready,
    Render,
    Seek,
    Told,
    Warm,
    model_of,
)
from dream.worker.workshop import Workshop


def main() -> None:
    """Work for the process at the other end of the wire, which argv[1] names, until it is gone."""
    channel = Channel(inherited(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the prompt's; it sends Cancel
    faulthandler.enable()
    _offer_to_the_oom_killer()
    Host(channel).serve()


class Host:
    """Takes orders, one at a time, and answers."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._orders: SimpleQueue[Open | Order | Unreadable] = SimpleQueue()
        self._cancelled = 0  # every job up to this number
        threading.Thread(target=self._listen, name="listen", daemon=True).start()

    def serve(self) -> None:
        """Never returns: the listening thread ends the process."""
        opening = self._orders.get()
        try:
            if isinstance(opening, Unreadable):
                raise opening.error
            assert isinstance(opening, Open)
            workshop = Workshop(opening.shelf, opening.machine)
        except Exception as error:
            self._answer(Broken(as_dream_error(error)))
            return
        gc.freeze()  # to look for garbage among all that was imported takes a quarter of a second
        advice = workshop.advice
        while True:
            match self._orders.get():
                case Warm(model):
                    self._warm(workshop, model)
                case Do() as order:
                    self._do(workshop, order, advice)
                    advice = ""
                case Unreadable(job, unread) if job:
                    self._answer(Begun(job))
                    self._answer(Failed(job, as_dream_error(unread)))

    def _warm(self, workshop: Workshop, model: str) -> None:
        # Whatever is wrong will be said when a picture is asked of this model.
        with suppress(Exception):
            self._load(workshop, Load(model), lambda happening: None)

    def _load(self, workshop: Workshop, task: Load, tell: Tell) -> None:
        try:
            workshop.load(task.model, tell, task.weights)
        finally:  # others may have left for one that did not come
            self._answer(Ready(workshop.loaded()))

    def _do(self, workshop: Workshop, order: Do, advice: str) -> None:
        self._answer(Begun(order.job))
        tell = self._tell(order.job)
        try:
            if order.job <= self._cancelled:
                raise Stopped
            if advice:
                tell(Note(text=advice))
            match order.task:
                case Load() as task:
                    self._load(workshop, task, tell)
                    made = None
                case Convert(model, folder):
                    workshop.convert(model, folder, tell)
                    self._answer(Ready(workshop.loaded()))
                    made = None
                case Seek() as task:
                    workshop.seek(task, tell)
                    made = None
                case task:
                    made = self._make(workshop, task, tell)
            self._answer(Done(order.job, made))
        except Stopped:
            self._answer(Left(order.job))
        except Exception as error:  # also that what was made crosses no wire
            self._answer(Failed(order.job, as_dream_error(error)))

    def _make(self, workshop: Workshop, task: Render | Finish, tell: Tell) -> Picture:
        if wanted := model_of(task):
            self._load(workshop, Load(wanted), tell)
        try:
            return workshop.do(task, tell)
        finally:  # an upscaler may have come, and a model left for it
            if isinstance(task, Finish):
                self._answer(Ready(workshop.loaded()))

    def _tell(self, job: int) -> Tell:
        def tell(happening: Progress | Note | Loading) -> None:
            if job <= self._cancelled:
                raise Stopped
            self._answer(Told(job, happening))

        return tell

    def _answer(self, answer: Answer) -> None:
        self._channel.send(packed(answer))

    def _listen(self) -> None:
        try:
            while True:
                match self._channel.receive():
                    case Cancel(job):
                        self._cancelled = job
                    case Do() | Warm() | Open() | Unreadable() as order:
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
