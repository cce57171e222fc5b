"""The requirements, their lock, and what is published from it."""

import re
import sys

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # what pytest itself uses there

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

# Each system as a requirement's marker sees it.
PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]
SYSTEMS = {
    "Linux": {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    "macOS": {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
    "Windows": {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"},
}


def requirements(text):
    """Yield the requirement and the hashes of every line that names one."""
    for line in text.replace("\\\n", " ").splitlines():
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        if line:
            named, *hashes = re.split(r"\s+--hash=", line)
            yield Requirement(named), hashes


RANGES = [one for one, _ in requirements((ROOT / "requirements.txt").read_text("utf-8"))]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PINS = list(requirements(LOCK))


def pinned(name, python, system):
    """The versions of a package that the lock installs there; there should be one."""
    there = {"python_version": python, "python_full_version": f"{python}.1", **SYSTEMS[system]}
    return [
        str(pin.specifier).removeprefix("==")
        for pin, _ in PINS
        if canonicalize_name(pin.name) == canonicalize_name(name)
        and (pin.marker is None or pin.marker.evaluate(there))
    ]


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_pins_each_requirement_once_and_within_its_range(python, system):
    for wanted in RANGES:
        versions = pinned(wanted.name, python, system)
        assert len(versions) == 1, f"{wanted.name}: {versions}; run `make lock`"
        assert wanted.specifier.contains(versions[0]), f"{versions[0]} is not {wanted}: `make lock`"


def test_the_lock_holds_for_every_python_that_the_package_supports():
    assert PROJECT["project"]["requires-python"] == f">={PYTHONS[0]}"
    assert f"--python-version {PYTHONS[0]} " in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_every_entry_of_the_lock_is_one_version_with_hashes():
    for pin, hashes in PINS:
        assert re.fullmatch(r"==[^,*]+", str(pin.specifier)), pin
        assert hashes, f"{pin} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes), pin


def test_the_lock_names_no_server_and_no_folder():
    assert "://" not in LOCK
    assert not re.search(r"^\s*(-i|-f|--[a-z-]*(index|links))\b", LOCK, re.MULTILINE)
    assert not re.search(r"file:|(^|\s)[/~]", LOCK)


def test_the_package_asks_for_the_same_floors_as_the_requirements():
    floors = {
        canonicalize_name(one.name): {str(part) for part in one.specifier if part.operator == ">="}
        for one in RANGES
    }
    project = PROJECT["project"]
    for line in project["dependencies"] + project["optional-dependencies"]["week"]:
        asked = Requirement(line)
        assert {str(part) for part in asked.specifier} == floors[asked.name], line


def test_every_requirement_has_a_floor():
    """Or the test with the oldest releases would take a package's very first."""
    for one in RANGES:
        assert any(part.operator == ">=" for part in one.specifier), one


def test_all_that_publishing_installs_is_pinned_by_hash():
    steps = yaml.safe_load((ROOT / ".github/workflows/site.yml").read_text("utf-8"))["jobs"]
    commands = [
        line for step in steps["build"]["steps"] for line in step.get("run", "").splitlines()
    ]
    installs = [line for line in commands if re.search(r"\b(pip|pipx|uv|npm|apt-get)\b", line)]
    packages, itself = installs
    assert "--require-hashes" in packages
    assert packages.endswith("-r requirements.lock")
    # The package itself comes from the checkout, and is built by what the lock has installed.
    assert {"--no-deps", "--no-build-isolation", "."} <= set(itself.split())
    for line in PROJECT["build-system"]["requires"]:
        tool = Requirement(line)
        assert tool.specifier.contains(pinned(tool.name, "3.12", "Linux")[0]), line
