"""`python -m nnweek` prints a report on this set-up; see `nnweek.report`."""

import sys

from nnweek.report import main

sys.exit(main())
