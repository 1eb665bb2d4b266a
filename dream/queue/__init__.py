"""Lines that wait for their turn, in order; and the file that keeps them through whatever happens.

Knows lines and events; who makes the pictures is the caller's affair.
"""

from dream.queue.cancellable import follow_until_cancelled
from dream.queue.line_queue import LineQueue, QueuedLine
from dream.queue.queue_file import FILE_NAME, QueueFile

__all__ = ["FILE_NAME", "LineQueue", "QueueFile", "QueuedLine", "follow_until_cancelled"]
