"""The extensions of the book are imported as Sphinx imports them: from their folder."""

import sys

from support import ROOT

sys.path.insert(0, str(ROOT / "book" / "_ext"))
