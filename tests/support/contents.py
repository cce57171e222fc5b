"""The book's configuration and its pages, in the order of `_toc.yml`."""

import yaml

from support import ROOT

CONFIG, TOC = (
    yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    for name in ("_config.yml", "_toc.yml")
)
PAGES = [TOC["root"], *(entry["file"] for part in TOC["parts"] for entry in part["chapters"])]
DAYS = [page for page in PAGES if page.startswith("notebooks/")]


def day_page(number):
    """The page of a day."""
    (page,) = [page for page in DAYS if page.startswith(f"notebooks/day-{number}-")]
    return page
