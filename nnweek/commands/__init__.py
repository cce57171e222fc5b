"""The command line: `nnweek report`, `nnweek grade`, … or `python -m nnweek report`, …

Each command is a module of this package with a `main(arguments)`, which takes the strings
after the command (by default those of the command line) and returns the exit status. It is
imported when it is called, so that the report runs where other libraries are missing. No
notebook imports a command, except `report` if something is wrong.
"""

import argparse
import importlib

from nnweek import __version__, _console

COMMANDS = {
    "start": "copy the seven notebooks into a folder of your own",
    "report": "report your setup, any problems and how to fix them",
    "grade": "check the exercises in notebooks that learners handed in",
    "bench": "measure how fast this computer trains",
    "catalogue": "write all exercises and their mistakes as a JSON file",
}


def main(arguments=None):
    """Run a command; without one, the report. Introduced on Day 29.

    Args:
        arguments: list of strings, by default those of the command line.

    Returns:
        The exit status: 0 for success.
    """
    _console.make_tolerant()
    parser = argparse.ArgumentParser(
        prog="nnweek",
        usage="nnweek [-h] [--version] [COMMAND ...]",
        description="The commands of Week 5 - Neural Networks. Without a command, nnweek "
        "prints the report.",
        epilog="'nnweek COMMAND --help' explains a command and its options.",
    )
    parser.add_argument("--version", action="version", version=f"nnweek {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND ...", dest="command")
    for name, purpose in COMMANDS.items():
        commands.add_parser(name, help=purpose, add_help=False)  # it has a parser of its own
    chosen, rest = parser.parse_known_args(arguments)
    if chosen.command is None and rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    module = importlib.import_module(f"nnweek.commands.{chosen.command or 'report'}")
    return module.main(rest)
