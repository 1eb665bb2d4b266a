"""The lines that wait to run, in order; and the file that stores them in case the session dies.

It knows lines and events; the caller makes the images.
"""

from dream.queue.cancellable import follow_until_cancelled
from dream.queue.line_queue import LineQueue
from dream.queue.queue_file import FILE_NAME, QueueFile
from dream.queue.running_lines import QueuedLine, UncheckedLine

__all__ = [
    "FILE_NAME",
    "LineQueue",
    "QueueFile",
    "QueuedLine",
    "UncheckedLine",
    "follow_until_cancelled",
]
