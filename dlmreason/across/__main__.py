"""`python -m dlmreason.across of=<kind> from=[folder,folder] to=<folder>`."""

import sys

from dlmreason import launch
from dlmreason.across import main

if __name__ == "__main__":
    sys.exit(launch.run(main, "across"))
