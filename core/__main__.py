"""The command line: `second-read`, or `python -m core`."""

from __future__ import annotations

import sys

from core.commands import cli
from core.errors import CancelledError, SecondReadError


def main() -> None:
    """Run a command; what the user can mend is one sentence on standard error, never a stack trace.

    Exit codes: 0 done; 1 interrupted, or the log is broken; 2 the input or the surroundings cannot be used; 3 some
    slides have no result.
    """
    try:
        cli(prog_name="second-read")
    except CancelledError as err:
        sys.exit(_say(str(err), code=1))
    except SecondReadError as err:
        sys.exit(_say(str(err), code=2))
    except BrokenPipeError:
        # The reader of our output (head, less) has gone; there is nobody left to tell.
        sys.stderr.close()
        sys.exit(0)
    except OSError as err:
        where = f" ({err.filename})" if err.filename else ""
        sys.exit(_say(f"The system refused: {err.strerror or err}{where}. Check the disk and its permissions.", code=2))


def _say(sentence: str, *, code: int) -> int:
    sys.stderr.write(f"second-read: {sentence}\n")
    return code


if __name__ == "__main__":
    main()
