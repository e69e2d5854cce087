"""``python -m compat_shim``."""

import sys

from compat_shim.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
