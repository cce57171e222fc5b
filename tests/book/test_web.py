"""The workbench: how the build adds it to the pages, and the unit tests of its source."""

import json
import shutil
import subprocess

import pytest
import web

from support import ROOT

SOURCE = ROOT / "book" / "web"
PAGE = '<html><head>\n<title>A</title>\n</head><body><section class="exercise">…</section></body></html>'

needs_node = pytest.mark.skipif(
    not shutil.which("node") or not (SOURCE / "node_modules").exists(),
    reason="Node or the packages of book/web are missing; `make book` installs them",
)


def test_script_takes_the_place_of_the_one_of_an_earlier_build():
    first = web.with_script(PAGE, "../_static/main-A.js")
    assert first.count("main-A.js") == 1
    second = web.with_script(first, "../_static/main-B.js")
    assert second == web.with_script(PAGE, "../_static/main-B.js")
    assert web.with_script(second, None) == PAGE


def test_page_with_nothing_to_do_has_no_script():
    page = PAGE.replace("exercise", "references")
    assert web.with_script(page, "../_static/main-A.js") == page


@needs_node
def test_page_loads_little_before_the_first_click(tmp_path):
    script = tmp_path / web.bundle(tmp_path)
    assert script.stat().st_size < 30_000


@needs_node
def test_unit_tests_of_the_source_pass():
    done = subprocess.run(
        ["node", "--test", "--test-reporter=tap"],
        cwd=SOURCE, capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]


def test_lock_has_a_sum_for_every_package():
    packages = json.loads((SOURCE / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert [name for name, one in packages.items() if name and "integrity" not in one] == []
