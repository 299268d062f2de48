"""`python -m handssl.cli` is `handssl`."""

import sys

from handssl.cli import main

if __name__ == "__main__":
    sys.exit(main())
