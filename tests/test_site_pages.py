"""The cheat sheet and the teachers' page as they are built; `NNWEEK_SITE` says where."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup

if not os.environ.get("NNWEEK_SITE"):
    pytest.skip(
        "NNWEEK_SITE is not set; after `make book`: NNWEEK_SITE=book/_build/html pytest tests",
        allow_module_level=True,
    )

ROOT = Path(__file__).resolve().parent.parent
SITE = Path(os.environ["NNWEEK_SITE"]).expanduser().resolve()


def article(page):
    text = (SITE / f"{page}.html").read_text(encoding="utf-8")
    return BeautifulSoup(text, "html.parser").select_one("article")


def printed(page, folder):
    """The page as PDF, printed by a real browser from the file."""
    names = ("chromium", "google-chrome", "chromium-browser")
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        pytest.skip(f"none of {', '.join(names)} is installed")
    pdf = folder / "page.pdf"
    subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            f"--user-data-dir={folder / 'profile'}",
            "--virtual-time-budget=20000",
            "--no-pdf-header-footer",
            f"--print-to-pdf={pdf}",
            (SITE / f"{page}.html").as_uri(),
        ],
        capture_output=True,
        timeout=300,
    )
    if not pdf.is_file():
        pytest.skip("the browser that is installed prints nothing")
    return pdf.read_bytes()


def test_the_cheat_sheet_prints_on_the_two_sides_of_a_sheet_of_a4(tmp_path):
    pdf = printed("cheat-sheet", tmp_path)
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 2
    sizes = {
        tuple(round(float(number)) for number in box.split())
        for box in re.findall(rb"/MediaBox\s*\[([^\]]+)\]", pdf)
    }
    assert sizes == {(0, 0, 595, 842)}


def test_the_sheets_print_rules_concern_no_other_page():
    style = (SITE / "_static" / "week.css").read_text(encoding="utf-8")
    style = re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL)
    blocks = re.findall(r"^@media print \{(.*?)^\}", style, re.DOTALL | re.MULTILINE)
    (block,) = [block for block in blocks if "cheat-sheet" in block]
    selectors = re.findall(r"^  ([^ }].*?)\s*\{", block, re.DOTALL | re.MULTILINE)
    assert len(selectors) > 5
    assert not [selector for selector in selectors if "section#cheat-sheet" not in selector]


def test_the_cheat_sheet_has_its_formulas_tables_and_the_loop():
    page = article("cheat-sheet")
    assert len(page.select(".math")) > 60
    assert len(page.select("table")) >= 8
    assert "loss.backward()" in page.get_text()
    assert all(cell.get_text().strip() for cell in page.select("th")), "a head without a name"


def test_the_teachers_page_lists_every_day_with_a_link_to_it():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    links = {link["href"] for link in article("teachers").select("table a[href]")}
    assert links == {f"{file}.html" for file in files if file.startswith("notebooks/")}


def test_every_stumbling_block_links_to_what_went_wrong():
    links = [a["href"] for a in article("teachers").select('a[href^="what-went-wrong.html#"]')]
    assert len(links) >= 12
    ids = {tag["id"] for tag in article("what-went-wrong").select("[id]")}
    assert {link.partition("#")[2] for link in links} <= ids
