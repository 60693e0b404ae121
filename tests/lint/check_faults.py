# What:   every kernel that runs on the executor has faults to prove its tests with: tests/simt/faults/<kernel>.json
#         with at least 8 entries, each of which changes a text that its file holds exactly once. Whether the tests find
#         them is said by tests/simt/mutate.
# Usage:  check_faults.py ROOT
# SPDX-License-Identifier: Apache-2.0
import json
import pathlib
import sys

from files import all_files, report

FEWEST = 8
root = pathlib.Path(sys.argv[1])
files = all_files(root)
problems = []

# What includes CUDA itself does not run on the executor.
kernels = {pathlib.Path(f).stem: f for f in files
           if f.startswith("kernels/") and f.endswith(".cu") and
           not any(word in (root / f).read_text() for word in ("<cuda_runtime.h>", "<cutlass/"))}
faults = {pathlib.Path(f).stem: f for f in files if f.startswith("tests/simt/faults/") and f.endswith(".json")}

for stem in sorted(kernels.keys() - faults.keys()):
    problems.append(f"{kernels[stem]}: no tests/simt/faults/{stem}.json")
for stem in sorted(faults.keys() - kernels.keys()):
    problems.append(f"{faults[stem]}: no kernel of this name")
for stem in sorted(faults.keys() & kernels.keys()):
    entries = json.loads((root / faults[stem]).read_text())
    if len(entries) < FEWEST:
        problems.append(f"{faults[stem]}: {len(entries)} faults, expected at least {FEWEST}")
    if len({e.get("what") for e in entries}) != len(entries):
        problems.append(f"{faults[stem]}: two faults have the same \"what\"")
    for e in entries:
        if not {"what", "find", "replace"} <= e.keys() <= {"what", "find", "replace", "file"}:
            problems.append(f"{faults[stem]}: expected what, find, replace and perhaps file; got {sorted(e)}")
            continue
        source = e.get("file", kernels[stem])
        count = (root / source).read_text().count(e["find"]) if (root / source).exists() else 0
        if count != 1:
            problems.append(f"{faults[stem]}: {e['what']}: \"find\" occurs {count} times in {source}")
        if e["find"] == e["replace"]:
            problems.append(f"{faults[stem]}: {e['what']}: \"replace\" changes nothing")

sys.exit(report("faults", problems, len(kernels)))
