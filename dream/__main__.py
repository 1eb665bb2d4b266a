"""The `dream` command, and `python -m dream`."""

import gc
import sys


def main() -> int:
    """Import and run `dream` with garbage collection off; the exit status.

    Imported objects are never freed. Garbage collection during imports takes a fifteenth of the
    time from Enter to the prompt; `dream.cli.app` turns it on again after all imports.
    """
    gc.disable()
    from dream.cli.app import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
