# What:   the tutorial's commands do what it shows, on the committed results it names; the glossary has every label and
#         every word of the legends.
# Usage:  docs.py PROGRAM ROOT
# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import re
import subprocess
import sys

from program import Program

RESULTS = ["2026-11-23_xeon-amx-2-threads_quick.json", "2026-11-23_xeon-amx-2-threads_race.json",
           "2026-11-28_amd-epyc-2-threads_race_formats.json", "2026-11-28_h100-80gb-hbm3_quick-gpu.json"]


def shown_wrong(block, text):
    """The lines of a block that do not come in this order in the text; "..." stands for any lines."""
    rest = [line.strip() for line in text.splitlines()]
    for line in (one.strip() for one in block):
        if line in ("...", ""):
            continue
        if line not in rest:
            return line
        rest = rest[rest.index(line) + 1:]
    return None


def tutorial(program):
    text = (program.root / "docs/tutorial.md").read_text()
    for name, content in re.findall(r"<!-- file (\S+) -->\n```\w*\n(.*?)```", text, re.S):
        (program.folder / name).write_text(content)
    (program.folder / "results").symlink_to(program.root / "results")
    blocks = re.findall(r"<!-- run ?(\d*) -->\n```\n\$ (.*?)\n(.*?)```", text, re.S)
    program.that("the tutorial has commands", len(blocks) >= 6 and "<!-- run" in text, len(blocks))
    path = f"{pathlib.Path(program.path).parent}:{os.environ['PATH']}"
    for code, command, block in blocks:
        done = subprocess.run(["bash", "-o", "pipefail", "-c", command + " 2>&1"], cwd=program.folder, timeout=60,
                              text=True, capture_output=True, env={**os.environ, "PATH": path, "COLUMNS": "80"})
        wrong = shown_wrong(block.splitlines(), done.stdout)
        program.that(f"tutorial: {command}", wrong is None and done.returncode == int(code or 0),
                     f"exit code {done.returncode}; not there: {wrong}\n{done.stdout}")
        changed = [re.sub(r"\d", "7", line) for line in block.splitlines()]
        program.that("other numbers are noticed", shown_wrong(changed, done.stdout) is not None or
                     changed == block.splitlines(), block)


def glossary(program):
    text = (program.root / "docs/glossary.md").read_text()
    terms = {term.strip(" `*") for row in re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE) for term in row.split(",")}
    terms |= {word.strip("*") for word in re.findall(r"\*[^*\n|]+\*", text)}
    wanted = set()
    labels = program.expect("help labels", ["help", "labels"], 0).stdout
    wanted |= set(re.findall(r"^ (\S+(?: \S+)*?) {2,}\S", labels, re.MULTILINE))
    program.that("labels were found", {"ROOF MOVED", "WRONG", "out of memory", "OTHER_DEVICE"} <= wanted, wanted)
    for name in RESULTS:
        shown = program.expect(f"the legend of {name}", ["report", program.root / "results" / name, "--explain"],
                               0).stdout
        shown = shown[re.search(r"^ possible {2,}", shown, re.MULTILINE).start():]
        wanted |= set(re.findall(r"^ (\S+(?: \S+)*?) {2,}\S", shown, re.MULTILINE))
    program.that("words were found", {"promised", "paid", "$ per Mtok", "× ours", "hypothetical"} <= wanted, wanted)
    wanted -= {"pytorch", "llama.cpp", "warning", "of formats"}  # programs, what was said, and a heading
    known = {re.sub(r"[ ×]+$", "", term) for term in terms} | terms
    missing = {word for word in wanted if word not in known and re.sub(r" ×$", "", word) not in known}
    program.that("the glossary has every word", not missing, missing)


def main():
    program = Program(sys.argv)
    with program.scratch():
        tutorial(program)
        glossary(program)
    return program.finish()


sys.exit(main())
