"""Break the package on purpose, one small change at a time, and list what no test notices.

`make mutants` runs this. mutmut makes the mutants of the modules that `pyproject.toml`
names, and runs on each of them the tests that reach it. A run that was stopped goes on
where it stopped. Mutants that survived are tried again, and so are those of functions that
have changed; `rm -r mutants` begins anew.

Fails if a survivor has no explanation below, an explanation has no survivor, or too few
mutants of a module are killed. Constants and decorated functions have no mutants.
"""

import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

GOAL = 90  # percent of a module's mutants; a survivor stays a survivor, explained or not

# Survivors that may survive: {reason: [the mutated line, …]}.
EXPLAINED = {
    "NumPy takes None for False here": [
        "for flat in rng.choice(parameter.size, size=count, replace=None):",
    ],
    "None is as false as False": [
        "_collect(str(folder), checksums, contents, failures, missing_is_news=None)",
        "if hashlib.md5(data, usedforsecurity=None).hexdigest() == checksum:",
    ],
    "every row of the report has a cell in every column": [
        '"  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=None)).rstrip()',
        '"  ".join(cell.ljust(width) for cell, width in zip(row, widths, )).rstrip()',
        '"  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()',
    ],
    "this error is caught two lines below, and its words are never read": [
        'return number(None, value.item() if hasattr(value, "item") else value)',
        'return number("XXf\'s valueXX", value.item() if hasattr(value, "item") else value)',
        'return number("F\'S VALUE", value.item() if hasattr(value, "item") else value)',
    ],
    "images and labels are of one length, and so are their batches": [
        "images.split(self.batch_size), labels.split(self.batch_size), strict=None",
        "images.split(self.batch_size), labels.split(self.batch_size), )",
        "images.split(self.batch_size), labels.split(self.batch_size), strict=False",
    ],
    "letters are never quoted": [
        """path = urllib.parse.quote(folder.path + name, safe="XX/:%!$&'()*+,;=@~XX")""",
    ],
    "how much is read at a time is a matter of speed": [
        "while (chunk := response.read1(2 * 16)) and not given_up.is_set():",
        "while (chunk := response.read1(3**16)) and not given_up.is_set():",
        "while (chunk := response.read1(2**17)) and not given_up.is_set():",
    ],
    "whatever is empty ends the file": [
        "chunks.put(None)",
    ],
    "the pace at which a server counts as silent; a test of it would be one of timing": [
        "enough = len(data) + SLOWEST / PATIENCE",
        "while len(data) <= enough:",
    ],
    "only a GPU could tell": [
        "for chosen in torch.from_numpy(order).to(None).split(self.batch_size):",
        '"cuda_rng": torch.cuda.get_rng_state_all() if (torch.cuda.is_available()) or True else [],',
    ],
}


def mutmut(*arguments):
    """What mutmut's command prints, as a list of lines."""
    run = subprocess.run(["mutmut", *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return run.stdout.splitlines()


def verdicts():
    """{mutant: "killed", "survived", "timeout", …} of all mutants that have been made."""
    return dict(line.strip().rsplit(": ", 1) for line in mutmut("results", "--all", "true"))


def survivors():
    return {mutant for mutant, verdict in verdicts().items() if verdict == "survived"}


def mutated_line(diff):
    """The line that a diff puts in another's place; what it spans, where that is more than one."""
    lines = [line[1:].strip() for line in diff if line[:1] == "+" and line[:3] != "+++"]
    return " ".join(lines)


def main():
    earlier = survivors()
    # mutmut keeps which test reaches what, and would miss that an old test reaches new code.
    Path("mutants/mutmut-stats.json").unlink(missing_ok=True)
    subprocess.run(["mutmut", "run"], check=True)  # tries what has no verdict yet
    if again := earlier & survivors():
        subprocess.run(["mutmut", "run", *again], check=True)

    explained = {line: reason for reason, lines in EXPLAINED.items() for line in lines}
    counts, met, failed = defaultdict(Counter), set(), False
    for mutant, verdict in verdicts().items():
        count = counts[mutant.split(".")[1]]
        count["mutants"] += 1
        if verdict in ("killed", "timeout"):
            count[verdict] += 1
            continue
        count["survived"] += 1
        diff = mutmut("show", mutant)
        line = mutated_line(diff)
        if line in explained:
            count["explained"] += 1
            met.add(line)
        else:
            failed = True
            print(*diff, sep="\n")

    for line in explained.keys() - met:
        failed = True
        print(f"No mutant survives as this any more; delete its explanation:\n  {line}")

    columns = "mutants", "killed", "timeout", "survived", "explained"
    print("module".ljust(10), *(column.rjust(9) for column in columns), "   share")
    for module, count in counts.items():
        share = 100 * (count["killed"] + count["timeout"]) / count["mutants"]
        failed |= share < GOAL
        print(module.ljust(10), *(f"{count[column]:9}" for column in columns), f"{share:6.1f} %")
    sys.exit(failed)


if __name__ == "__main__":
    main()
