# What:   compare and cite as a person meets them: two files side by side in every format, refusals, exit codes, hostile
#         strings, and the hash that a report names.
# Usage:  compare.py PROGRAM ROOT
# SPDX-License-Identifier: Apache-2.0
import csv
import io
import json
import os
import re
import subprocess
import sys

from program import Program

A = "results/2026-11-22_xeon-amx-2-threads_quick.json"
B = "results/2026-11-23_xeon-amx-2-threads_quick.json"
HOSTILE = "=cmd|' /C calc'!A0 <script>alert(1)</script> [x](http://e) |"
# Of B, by the PyPI package rfc8785 0.1.4 and hashlib.
HASH_B = "31f31666d8318b671e18dea3de8ee5590ec0bf95958044942e922ed2269dbee0"


def save(p, name, change=None, source=B):
    result = json.loads((p.root / source).read_text())
    if change:
        change(result)
    (p.folder / name).write_text(json.dumps(result))


def formats(p):
    p.expect("a table", ["compare", "a.json", "b.json"], 0, stdout=["FASTER 6", "time", "cost", HASH_B[:16]])
    text = p.expect("csv", ["compare", "a.json", "b.json", "--format", "csv"], 0).stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    whole = [row for row in rows if row["layer_kind"] == "model" and row["file"] == "b.json"]
    p.that("nine models", len(whole) == 9, len(whole))
    for row in whole:
        base = next(r for r in rows if r["file"] == "a.json" and all(r[k] == row[k] for k in
                    ("model", "phase", "batch", "layer_kind")))
        # The headline is a median of rounds, the ratio a mean of logarithms: near, not equal.
        near = abs(float(row["time_ratio"]) / (float(row["time_s"]) / float(base["time_s"])) - 1) < 0.1
        p.that("ratio of the times", near and not base["time_ratio"], row)
        p.that("hash in data", row["result_sha256"] == HASH_B, row["result_sha256"])
    rows = json.loads(p.expect("json", ["compare", "a.json", "b.json", "--format", "json"], 0).stdout)
    p.that("json has the same rows", sum(r["kind"] == "compared" and r["layer_kind"] == "model" for r in rows) == 18)
    p.expect("markdown", ["compare", "a.json", "b.json", "-o", "c.md"], 0)
    p.that("markdown table", "| verdict |" in (p.folder / "c.md").read_text())
    # One more than FASTER the other way: qwen3-4b's decode at batch 1 ends at 0.99005, inside 1 - 1 %; 1 / 0.99005 is
    # 1.01005, outside 1 + 1 %.
    p.expect("another base", ["compare", "a.json", "b.json", "--baseline", "b.json"], 0, stdout=["SLOWER 7"])
    p.expect("a band that holds all", ["compare", "a.json", "b.json", "--band", "50"], 0, stdout=["SAME"])
    p.expect("slower fails", ["compare", "b.json", "a.json", "--fail-on", "slower"], 1, ["SLOWER"])
    p.expect("faster does not", ["compare", "a.json", "b.json", "--fail-on", "slower"], 0)


def refusals(p):
    p.expect("one file", ["compare", "a.json"], 2, ["two"])
    p.expect("the same file twice", ["compare", "a.json", "a.json"], 2, ["same result"])
    p.expect("no such base", ["compare", "a.json", "b.json", "--baseline", "c.json"], 2, ["--baseline", "c.json"])
    p.expect("a band of words", ["compare", "a.json", "b.json", "--band", "wide"], 2, ["--band", "wide"])
    p.expect("a band of nan", ["compare", "a.json", "b.json", "--band", "nan"], 2, ["--band"])
    p.expect("an unknown word", ["compare", "a.json", "b.json", "--fail-on", "slowr"], 2, ["slowr", "slower"])
    p.expect("over a result", ["compare", "a.json", "b.json", "-o", "a.json"], 2, ["-o"])
    p.expect("an unknown format", ["compare", "a.json", "b.json", "--format", "docx"], 2, ["docx"])
    text = (p.folder / "a.json").read_text()
    for name, broken, word in (("cut.json", text[:2000], "cut.json"),
                               ("new.json", text.replace('"schema_version": "1.', '"schema_version": "9.'),
                                "schema_version"),
                               ("nan.json", text.replace('"time_s": ', '"time_s": NaN, "x": ', 1), "nan.json")):
        (p.folder / name).write_text(broken)
        p.expect(name, ["compare", "b.json", name], 2, [name, word])

    def other_format(result):
        for point in result["points"]:
            point["kv_type"] = "f32"
    save(p, "f32.json", other_format)
    done = p.expect("nothing to compare", ["compare", "a.json", "f32.json"], 1, ["none of these files"],
                    ["kv_type: bf16 here, f32 there"])
    p.that("and no verdict", "FASTER" not in done.stdout)


def hostile(p):
    def change(result):
        result["environment"]["device_name"] = HOSTILE
    save(p, "hostile.json", change)
    markdown = p.expect("hostile markdown", ["compare", "a.json", "hostile.json", "--format", "md"], 0).stdout
    p.that("no tag, no link", "<script" not in markdown and "[x](" not in markdown)
    rows = list(csv.reader(io.StringIO(
        p.expect("hostile csv", ["compare", "a.json", "hostile.json", "--format", "csv"], 0).stdout)))
    p.that("no formula", not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row))
    for name in ("table", "json", "jsonl"):
        done = p.expect("hostile " + name, ["compare", "a.json", "hostile.json", "--format", name], 0)
        p.that("no override in " + name, "\u202e" not in done.stdout and "\x1b" not in done.stdout)
    done = p.expect("hostile citation", ["cite", "hostile.json", "--preliminary"], 0)
    p.that("none in a citation", "\u202e" not in done.stdout and "\x1b" not in done.stdout)


def cite(p):
    p.expect("preliminary", ["cite", "b.json"], 2, ["PRELIMINARY"])
    p.expect("all the same", ["cite", "b.json", "--preliminary", "--claim", "qwen3-4b decode batch 8"], 0,
             stdout=["qwen3-4b", "batch 8, context 1024", "95 % interval", "2 threads", "3 rounds", "USD per hour",
                     "2026-11-23", "PRELIMINARY", "floor", "@misc{", HASH_B])
    p.expect("no such point", ["cite", "b.json", "--preliminary", "--claim", "qwen9"], 2, ["--claim", "qwen9"])
    p.expect("many points", ["cite", "b.json", "--preliminary", "--claim", "qwen3-4b"], 2, ["3 points"])
    save(p, "stopped.json", lambda r: r.update(complete=False))
    p.expect("incomplete", ["cite", "stopped.json", "--preliminary"], 2, ["incomplete"])
    p.expect("its hash", ["report", "b.json", "--expect-hash", HASH_B], 0, stdout=[HASH_B[:16]])
    p.expect("another hash", ["report", "a.json", "--expect-hash", HASH_B], 2, ["a.json", HASH_B])
    p.expect("too short a hash", ["report", "b.json", "--expect-hash", HASH_B[:8]], 2, ["--expect-hash"])
    save(p, "sorted.json", lambda r: r.update(sorted(r.items(), reverse=True)))
    p.expect("the order of keys is no content", ["report", "sorted.json", "--expect-hash", HASH_B], 0)
    save(p, "other.json", lambda r: r.update(suite="quickly"))
    p.expect("a word is", ["report", "other.json", "--expect-hash", HASH_B], 2, [HASH_B])


def overwriting(p):
    """A file that -o names is a new one, and one that stands there is replaced with --force alone."""
    for words in (["report", "b.json"], ["cost", "b.json", "--price", "1/h"], ["compare", "a.json", "b.json"],
                  ["claims", "b.json"]):
        name, kept = f"{words[0]}.md", p.folder / f"{words[0]}.md"
        p.expect(f"{name}: new", [*words, "-o", name], 0)
        made = kept.read_text()
        kept.write_text("kept")
        p.expect(f"{name}: stands there", [*words, "-o", name], 2, [f"{name}: exists already", "--force"])
        p.that(f"{name}: as it was", kept.read_text() == "kept")
        p.expect(f"{name}: with --force", [*words, "-o", name, "--force"], 0)
        p.that(f"{name}: replaced", kept.read_text() == made)
        p.expect(f"{words[0]} onto what it shows", [*words, "-o", "b.json", "--force"], 2 if "b.json" in words else 0)
        p.that("a result is no report", (p.folder / "b.json").read_text().startswith("{"))
    # An answer all the same: what was not compared, and why.
    p.expect("nothing to compare, into a file", ["compare", "a.json", "f32.json", "-o", "none.csv"], 1)
    p.that("the file says why", "kv_type: bf16 here, f32 there" in (p.folder / "none.csv").read_text())


def widths(p):
    """A verdict stands beside its interval at every width; no line is wider, numbers of any size included."""
    save(p, "cheap.json", lambda r: r["price"].update(usd_per_h="0.0000012"))
    for columns in (60, 80, 100, 120, 140):
        done = subprocess.run([p.path, "compare", "a.json", "cheap.json"], cwd=p.folder, capture_output=True, text=True,
                              env={**os.environ, "COLUMNS": str(columns), "LC_ALL": "C.UTF-8"}, timeout=60)
        p.that("compared", done.returncode == 0, done.stderr)
        line = max(done.stdout.splitlines(), key=len)
        p.that(f"fits {columns} columns", len(line) <= columns, (len(line), line))
        rows = [line for line in done.stdout.splitlines() if " FASTER" in line and "×" in line]
        p.that(f"each verdict has its interval at {columns}", rows and all(
            line.count(" to ") == len(re.findall("FASTER|CHEAPER|DEARER|INCONCLUSIVE|SAME", line)) for line in rows),
            rows)


def labels_of_prices(p):
    """B is of schema 1.2, which lists no labels of a price: configs/prices says that it is nobody's machine."""
    for words in (["report", "b.json"], ["report", "b.json", "-v"], ["compare", "a.json", "b.json"],
                  ["cite", "b.json", "--preliminary"], ["report", "b.json", "--format", "html"]):
        p.that(f"{words}: EXAMPLE", "EXAMPLE" in p.expect("labelled", words, 0).stdout)
    text = p.expect("csv", ["report", "b.json", "--format", "csv"], 0).stdout
    p.that("in data", {row["price_labels"] for row in csv.DictReader(io.StringIO(text))} == {"example"})
    save(p, "own.json", lambda r: r["price"].update(id="my-own"))
    p.that("of no other price", "EXAMPLE" not in p.expect("my own", ["report", "own.json"], 0).stdout)


def main():
    p = Program(sys.argv)
    with p.scratch():
        save(p, "a.json", source=A)
        save(p, "b.json")
        formats(p)
        refusals(p)
        hostile(p)
        cite(p)
        overwriting(p)
        widths(p)
        labels_of_prices(p)
    return p.finish()


if __name__ == "__main__":
    sys.exit(main())
