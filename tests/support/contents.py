"""The book's configuration and its pages, in the order of `_toc.yml`."""

import yaml

from support import text_of

CONFIG, TOC = (yaml.safe_load(text_of(name)) for name in ("_config.yml", "_toc.yml"))
REPOSITORY = CONFIG["repository"]["url"].removeprefix("https://github.com/")
PAGES = [TOC["root"], *(entry["file"] for part in TOC["parts"] for entry in part["chapters"])]
DAYS = [page for page in PAGES if page.startswith("notebooks/")]


def day_page(number):
    """The page of a day."""
    (page,) = [page for page in DAYS if page.startswith(f"notebooks/day-{number}-")]
    return page
