"""Who is woken by what happens to a job."""

from __future__ import annotations

import asyncio
from pathlib import Path

from dream.commands import COMMANDS, Context
from dream.commands.line_runner import LineRunner
from dream.core.events import Step
from dream.queue import LineQueue, QueuedLine
from dream.web.job_table import JobTable
from tests.fakes import fake_session


def test_steps_wake_only_those_who_read_them(tmp_path: Path) -> None:
    with fake_session(tmp_path) as session:
        queue = LineQueue()
        runner = LineRunner(Context(session, tuple, COMMANDS, queue=queue), queue)
        table = JobTable(runner, lambda job, event: {"event": event.name})
        asyncio.run(asyncio.wait_for(_follow_a_job(table), 60))


def test_a_client_of_a_fresh_server_misses_nothing(tmp_path: Path) -> None:
    with fake_session(tmp_path) as session:
        queue = LineQueue()
        runner = LineRunner(Context(session, tuple, COMMANDS, queue=queue), queue)
        table = JobTable(runner, lambda job, event: {"event": event.name})
        for _ in range(3):
            table.announce({"event": "queue"})  # the last one stands for all
        assert table.events_after(0) == [(3, {"event": "queue"})]
        for number in range(2000):
            table.announce({"event": "note", "text": str(number)})
        assert table.events_after(0) is None and table.events_after(2) is None
        found = table.events_after(3)
        assert found is not None and len(found) == 2000


async def _follow_a_job(table: JobTable) -> None:
    table.bind(asyncio.get_running_loop())
    entry = QueuedLine(1, "a cat")
    table.begin_line(entry)
    finished = asyncio.create_task(table.finish(1))
    await asyncio.sleep(0.01)
    waiting = table.expect_change()
    table.show_event(entry, Step(step=1, steps=3, picture=1, pictures=1))
    assert not await waiting(0.1), "nobody reads steps"
    with table.reading_steps():
        waiting = table.expect_change()
        table.show_event(entry, Step(step=2, steps=3, picture=1, pictures=1))
        assert await waiting(20)
    steps: list[int] = []

    async def follow() -> None:
        async for event in table.follow(1):
            assert isinstance(event, Step)
            steps.append(event.step)

    following = asyncio.create_task(follow())
    while steps != [2]:
        await asyncio.sleep(0.001)
    table.show_event(entry, Step(step=3, steps=3, picture=1, pictures=1))
    while steps != [2, 3]:
        await asyncio.sleep(0.001)
    assert not finished.done()
    table.end_line(entry)
    await asyncio.gather(following, finished)
    job = finished.result()
    assert job is not None and job.is_over
