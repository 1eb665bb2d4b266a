"""The `dream` command, and `python -m dream`."""

import gc
import os
import signal
import sys


def main() -> int:
    """Import and run `dream` with garbage collection off; the exit status.

    Imported objects are never freed. Garbage collection during imports takes a fifteenth of the
    time from Enter to the prompt; `dream.cli.app` turns it on again after all imports. Ctrl-C
    during the imports, or while the interpreter exits, ends the process without a traceback.
    """
    gc.disable()
    if os.getpid() == 1:  # in a container
        # For process 1, a signal without a handler does nothing: `docker stop` would wait and kill.
        signal.signal(signal.SIGTERM, lambda number, frame: os._exit(128 + number))
    try:
        from dream.cli.app import main

        status = main()
    except KeyboardInterrupt:
        _end_at_next_interrupt()
        from dream.core.errors import INTERRUPTED

        return INTERRUPTED
    _end_at_next_interrupt()
    return status


def _end_at_next_interrupt() -> None:
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(main())
