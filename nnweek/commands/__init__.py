"""The command line: `nnweek report`, `nnweek grade`, … or `python -m nnweek report`, …

Each command is a module here with a `main(arguments)` that returns the exit status. No
notebook imports one.
"""

import importlib
import sys

COMMANDS = {
    "report": "describe this set-up and what is wrong with it",
    "grade": "check the exercises in handed-in notebooks",
    "bench": "measure how fast this machine trains",
}


def main(arguments=None):
    """Run a subcommand; without one, the report. Introduced on Day 29.

    Args:
        arguments: the command line without the program's name; by default the real one.

    Returns:
        The exit status: 0 for success.
    """
    name, *rest = (sys.argv[1:] if arguments is None else list(arguments)) or ["report"]
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # the console may lack a character such as ✓
    if name in COMMANDS:
        return importlib.import_module(f"nnweek.commands.{name}").main(rest)
    wanted = name in ("-h", "--help", "help")
    lines = [f"  nnweek {command:<8} {purpose}" for command, purpose in COMMANDS.items()]
    usage = "\n".join(
        ["Usage: nnweek COMMAND …", "", *lines, "", "nnweek COMMAND --help says more."]
    )
    if not wanted:
        usage = f"There is no command {name!r}.\n\n{usage}"
    print(usage, file=sys.stdout if wanted else sys.stderr)
    return 0 if wanted else 2
