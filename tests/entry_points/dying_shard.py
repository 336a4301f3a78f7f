"""An experiment by several processes, of which the second shard dies by SIGKILL, as a script:
`python -m tests.entry_points.dying_shard <overrides>` with DIES_AT=<module:class.name> <call> in the environment.

The processes that share the work import the script of the one that starts them, under another name; there they are
told to die. A snapshot is taken after every chunk, so that there is one.
"""

import os
import sys

from tests.entry_points.tiny import at_call, die, start

if __name__ == "__mp_main__":
    import multiprocessing

    from dlmreason.evaluation.snapshot import Snapshot

    real = Snapshot.__init__
    Snapshot.__init__ = lambda *args, **named: real(*args, **named | {"every": 0.0})  # type: ignore[method-assign]
    place, number = os.environ["DIES_AT"].split()
    second = multiprocessing.current_process().name.endswith("-2")
    at_call(place, int(number), die if second else lambda: None)

if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    sys.exit(start("experiment", *sys.argv[1:]))
