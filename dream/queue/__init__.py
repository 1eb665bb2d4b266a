"""Lines that wait for their turn, in order; and the file that keeps them through whatever happens.

Knows lines and events; who makes the pictures is the caller's affair.
"""

from dream.queue.follow import follow
from dream.queue.kept import FILE_NAME, KeptLines
from dream.queue.waiting import Entry, Queue

__all__ = ["FILE_NAME", "Entry", "KeptLines", "Queue", "follow"]
