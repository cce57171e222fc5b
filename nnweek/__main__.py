"""`python -m nnweek` is the command line `nnweek`; see `nnweek.commands`."""

import sys

from nnweek.commands import main

sys.exit(main())
