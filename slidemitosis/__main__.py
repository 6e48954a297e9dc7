"""`python -m slidemitosis`, the same as the command `slidemitosis`."""

import sys

from slidemitosis.cli import main

if __name__ == "__main__":
    sys.exit(main())
