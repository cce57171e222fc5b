"""Break the package on purpose, one small change at a time, and list the changes that no test detects.

`make mutants` runs this. mutmut mutates the modules that `pyproject.toml` names, and runs for each
mutant the tests that reach it. If you interrupt a run, the next one resumes. Later runs try survivors
and the mutants of changed functions again; `rm -r mutants` starts from scratch.

Fails if a mutant survives, or if too few mutants of a module are killed. If no test can detect a
change, put `# pragma: no mutate` and the reason at the end of the line. Constants and decorated
functions have no mutants.
"""

import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

GOAL = 90  # percent of a module's mutants


def mutmut(*arguments):
    """Return the output of a mutmut command, as a list of lines."""
    run = subprocess.run(["mutmut", *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return run.stdout.splitlines()


def verdicts():
    """Return {mutant: "killed", "survived", "timeout", …} for all mutants."""
    return dict(line.strip().rsplit(": ", 1) for line in mutmut("results", "--all", "true"))


def survivors():
    return {mutant for mutant, verdict in verdicts().items() if verdict == "survived"}


def main():
    earlier = survivors()
    # mutmut caches which test reaches which function, and would not notice an old test that reaches new code.
    Path("mutants/mutmut-stats.json").unlink(missing_ok=True)
    subprocess.run(["mutmut", "run"], check=True)  # tries the mutants without a verdict
    if again := earlier & survivors():
        subprocess.run(["mutmut", "run", *again], check=True)

    counts, failed = defaultdict(Counter), False
    for mutant, verdict in verdicts().items():
        count = counts[mutant.split(".")[1]]
        count["mutants"] += 1
        if verdict in ("killed", "timeout"):
            count[verdict] += 1
        else:
            failed = True
            count["survived"] += 1
            print(*mutmut("show", mutant), sep="\n")

    columns = "mutants", "killed", "timeout", "survived"
    print("module".ljust(12), *(column.rjust(9) for column in columns), "   share")
    for module, count in counts.items():
        share = 100 * (count["killed"] + count["timeout"]) / count["mutants"]
        failed |= share < GOAL
        print(module.ljust(12), *(f"{count[column]:9}" for column in columns), f"{share:6.1f} %")
    sys.exit(failed)


if __name__ == "__main__":
    main()
