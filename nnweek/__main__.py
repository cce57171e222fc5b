"""`python -m nnweek` is the command line `nnweek`; see `nnweek.commands`."""

import os
import sys

# `python -m` searches the current folder first, where a learner's own `random.py` may be.
if sys.path[0] == os.getcwd():
    del sys.path[0]

from nnweek.commands import main

sys.exit(main())
