"""The queue of lines, and the file that keeps them across sessions.

It has lines and events only; the caller generates the images.
"""

from dream.queue.cancellable import follow_until_cancelled
from dream.queue.line_queue import LineQueue, QueuedLine
from dream.queue.queue_file import FILE_NAME, QueueFile

__all__ = ["FILE_NAME", "LineQueue", "QueueFile", "QueuedLine", "follow_until_cancelled"]
