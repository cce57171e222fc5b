"""The requirements, their lock, the package's floors, and what is published from them."""

import re
import sys

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from nnweek.commands import report
from support import text_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # what pytest itself uses there

PROJECT = tomllib.loads(text_of("pyproject.toml"))

PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]
SYSTEMS = {  # as the markers of a requirement see them
    "Linux": {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    "macOS": {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
    "Windows": {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"},
}


def requirements(text):
    """Yield (requirement, hashes) per line of a requirements file."""
    for line in text.replace("\\\n", " ").splitlines():
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        if line:
            named, *hashes = re.split(r"\s+--hash=", line)
            yield Requirement(named), hashes


RANGES = [range_ for range_, _ in requirements(text_of("requirements.txt"))]
FLOORS = {
    requirement.name: part.version
    for requirement in RANGES
    for part in requirement.specifier
    if part.operator == ">="
}
LOCK = text_of("requirements.lock")
PINS = list(requirements(LOCK))


def pinned(name, python, system):
    """Return the versions of a package that the lock installs there; there should be one."""
    there = {"python_version": python, "python_full_version": f"{python}.1", **SYSTEMS[system]}
    return [
        str(pin.specifier).removeprefix("==")
        for pin, _ in PINS
        if canonicalize_name(pin.name) == canonicalize_name(name)
        and (pin.marker is None or pin.marker.evaluate(there))
    ]


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("python", PYTHONS)
def test_lock_pins_each_requirement_once_and_within_its_range(python, system):
    for requirement in RANGES:
        versions = pinned(requirement.name, python, system)
        assert len(versions) == 1, f"{requirement.name}: {versions}; run `make lock`"
        assert requirement.specifier.contains(versions[0]), f"{requirement}: run `make lock`"


def test_every_entry_of_the_lock_is_one_version_with_hashes():
    for pin, hashes in PINS:
        assert re.fullmatch(r"==[^,*]+", str(pin.specifier)), pin
        assert hashes, f"{pin} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes), pin
    # And it names no server and no folder.
    assert "://" not in LOCK
    assert not re.search(r"^\s*(-i|-f|--[a-z-]*(index|links))\b", LOCK, re.MULTILINE)
    assert not re.search(r"file:|(^|\s)[/~]", LOCK)


def test_requirements_package_and_report_have_the_same_floors():
    # Without a floor, `make floors` would install a package's first release.
    assert FLOORS.keys() == {requirement.name for requirement in RANGES}
    project = PROJECT["project"]
    lines = project["dependencies"] + project["optional-dependencies"]["week"]
    package = {line.partition(">=")[0]: line.partition(">=")[2] for line in lines}
    assert package == {name: FLOORS[name] for name in package}
    assert package.keys() == report.LIBRARIES.keys()
    assert package.items() <= report._floors().items()


def test_makefile_report_and_linter_have_the_oldest_python_of_the_package():
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert oldest == PYTHONS[0] == report._floors()["requires-python"]
    makefile = text_of("Makefile")
    assert f"sys.version_info < ({oldest.replace('.', ', ')})" in makefile
    assert set(re.findall(r"--python(?:-version)? (3[\d.]+)", makefile)) == {oldest}
    assert PROJECT["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"


def test_everything_that_publishing_installs_is_pinned_by_hash():
    jobs = yaml.safe_load(text_of(".github/workflows/site.yml"))["jobs"]
    lines = [line for step in jobs["build"]["steps"] for line in step.get("run", "").splitlines()]
    installs = [line for line in lines if re.search(r"\b(pip|pipx|uv|npm|apt-get)\b", line)]
    packages, itself = installs
    assert "--require-hashes" in packages
    assert packages.endswith("-r requirements.lock")
    # The package itself comes from the checkout and is built with what the lock has installed.
    assert {"--no-deps", "--no-build-isolation", "."} <= set(itself.split())
    for line in PROJECT["build-system"]["requires"]:
        tool = Requirement(line)
        assert tool.specifier.contains(pinned(tool.name, "3.12", "Linux")[0]), line
