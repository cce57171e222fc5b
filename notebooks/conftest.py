"""How pytest runs the notebooks: the text's claims must hold, and nothing is kept.

A learner's own results stay as they are: what the notebooks record goes to a file of this run.
"""

import os
import tempfile

os.environ.setdefault("NNWEEK_STRICT", "1")
os.environ.setdefault(
    "NNWEEK_RESULTS", tempfile.mktemp(prefix="nnweek-", suffix=".jsonl")
)
