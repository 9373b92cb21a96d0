"""``python -m ramet``: the command ``ramet``, where its folder is not on the path."""

import sys

from ramet.cli import main

if __name__ == "__main__":
    sys.exit(main())
