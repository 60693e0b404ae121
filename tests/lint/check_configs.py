# What:   every config file loads: each list of the program shows one line per file, each model and suite can be
#         planned.
# Usage:  check_configs.py ROOT PROGRAM
# SPDX-License-Identifier: Apache-2.0
import pathlib
import subprocess
import sys


def main():
    root, program = pathlib.Path(sys.argv[1]), sys.argv[2]
    problems, runs = [], 0

    def run(*words):
        nonlocal runs
        runs += 1
        done = subprocess.run([program, *words], capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            problems.append(f"layercost {' '.join(words)}: exit code {done.returncode}: {done.stderr.strip()}")
        return done.stdout.splitlines()

    shown = [line.split()[0] for line in run("list", "prices") if line.strip() and not line.startswith(" ")]
    for path in [*(root / "configs/prices").glob("*.json"), *(root / "configs/list_prices").glob("*.json")]:
        if shown.count(path.stem) != 1:
            problems.append(f"list prices: {shown.count(path.stem)} lines for {path.name}")
    headings = {"models": 1, "hardware": 1, "suites": 0}
    for what, heading in headings.items():
        files = [p for p in sorted((root / "configs" / what).glob("*.json")) if not p.name.endswith(".source.json")]
        shown = [line for line in run("list", what)[heading:] if line.strip() and not line.startswith(" ")]
        if what == "models":
            shown.pop()  # where to look for more
        if len(shown) != len(files) or not files:
            problems.append(f"list {what}: {len(shown)} lines for {len(files)} files in configs/{what}")
        for path in files:
            name = path.stem.split("--")[-1].lower()
            if not any(line.split()[0].lower() == name for line in shown if line.strip()):
                problems.append(f"list {what}: no line for {path.name}")
            if what == "models":
                run("plan", "-m", name)
            if what == "suites":
                run("plan", "--suite", name)
    for problem in problems:
        print(problem)
    print(f"configs: {runs} runs, {len(problems)} problems")
    return 1 if problems else 0


sys.exit(main())
