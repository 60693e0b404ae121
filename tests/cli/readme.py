# What:   the numbers of the tables in the README and docs/measured.md are those that the program shows of the file they
#         name: every row's cells are, in this order, among the cells of one row of its Markdown report; and the
#         README's verdict is that report's.
# Usage:  readme.py PROGRAM ROOT
# SPDX-License-Identifier: Apache-2.0
import re
import sys

from program import Program


def rows_of(markdown):
    rows = []
    for line in markdown.splitlines():
        if re.fullmatch(r"\|[|:\- ]+", line):
            rows.pop()  # the line above is a head
        elif line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("| \n").split("|")])
    return rows


def plain(rows):
    return [[cell.replace("&#64;", "@").replace("\\", "") for cell in row] for row in rows]


def is_among(cells, row):
    rest = iter(row)
    # A pair's cell also says types and routing.
    return all(any(cell == other or ("→" in cell and other.startswith(cell + ",")) for other in rest) for cell in cells)


def main():
    program = Program(sys.argv)
    readme = (program.root / "README.md").read_text()
    block = re.search(r"<!-- quick-table -->(.*?)<!-- /quick-table -->", readme, re.S).group(1)
    named = re.search(r"`layercost report (results/\S+\.json)`", readme).group(1)
    with program.scratch() as folder:
        program.expect("report", ["report", program.root / named, "-o", "r.md"], 0)
        shown = rows_of((folder / "r.md").read_text())
        rows = rows_of(block)
        program.that("rows with numbers", len(rows) >= 4, rows)
        for cells in rows:
            program.that("README: " + " | ".join(cells), any(is_among(cells, row) for row in shown))
        quoted = re.search(r"<!-- verdict -->(.*?)<!-- /verdict -->", readme, re.S).group(1).replace("> ", " ")
        (sentence,) = re.findall(r"\*\*verdict\*\*: (.*)", (folder / "r.md").read_text())
        program.that("README: the verdict", " ".join(quoted.split()) == sentence.replace("\\", ""), sentence)
        source, named_models = re.search(r"<!-- named-table (\S+) -->(.*?)<!-- /named-table -->", readme, re.S).groups()
        program.expect("report of named models", ["report", program.root / source, "-o", "n.md"], 0)
        all_models = plain(rows_of((folder / "n.md").read_text()))
        models = rows_of(named_models)
        program.that("rows with named models", len(models) >= 12, models)
        for cells in models:
            program.that("README: " + " | ".join(cells), any(is_among(cells, row) for row in all_models))
        document = (program.root / "docs/measured.md").read_text()
        tables = re.findall(r"<!-- rows (\S+) -->(.*?)<!-- /rows -->", document, re.S)
        measured = []
        for number, (source, block) in enumerate(tables):
            program.expect(f"report of {source}", ["report", program.root / source, "-o", f"{number}.md"], 0)
            of_file = plain(rows_of((folder / f"{number}.md").read_text()))
            measured += [(cells, of_file) for cells in rows_of(block)]
        program.that("rows of docs/measured.md", len(tables) >= 3 and len(measured) >= 20, len(measured))
        for cells, of_file in measured:
            program.that("docs/measured.md: " + " | ".join(cells), any(is_among(cells, row) for row in of_file))
        for cells, those in [(cells, shown) for cells in rows] + [(cells, all_models) for cells in models] + measured:
            changed = cells[:-1] + ["27"]
            program.that("another number is noticed", not any(is_among(changed, row) for row in those), changed)
    return program.finish()


sys.exit(main())
