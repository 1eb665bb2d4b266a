"""The `dream` command, and `python -m dream`."""

import gc
import sys


def main() -> int:
    """Import the house without pauses, and go in; the exit status.

    What is imported stays for good. Looking for garbage among it meanwhile takes a fifteenth of
    the time from Enter to the prompt; `dream.cli.app` has it looked for again once all is imported.
    """
    gc.disable()
    from dream.cli.app import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
