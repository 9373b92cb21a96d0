"""``python -m ramet``: the command line where no console script is installed."""

import sys

from ramet.cli import main

if __name__ == "__main__":
    sys.exit(main())
