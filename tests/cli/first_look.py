# What:   three people meet the program: the owner of a workstation reads a run in ten seconds, an analyst cites it,
#         an engineer puts it into a script. On published results and one small run; nothing here judges a time.
# Usage:  first_look.py PROGRAM ROOT
# SPDX-License-Identifier: Apache-2.0
import csv
import io
import json
import os
import subprocess
import sys

from program import Program

QUICK = "results/2026-11-23_xeon-amx-2-threads_quick.json"
RACE = "results/2026-11-23_xeon-amx-2-threads_race.json"
IMPOSSIBLE = "results/2026-11-28_amd-epyc-2-threads_race_formats.json"
SMALL = ["run", "-m", "small", "--device", "cpu", "--phase", "decode", "-b", "4", "-c", "16", "--seconds", "0.02",
         "--rounds", "1"]


def owner(program):
    that = program.that
    os.environ["COLUMNS"] = "80"
    text = program.expect("the quick suite", ["report", program.root / QUICK], 0).stdout
    above, sentence = text.split(" verdict  ")
    sentence = sentence.split("\n\n")[0]
    lines = above.rstrip("\n").splitlines()
    that("the table has at most 24 lines of 80 columns", len(lines) <= 24 and max(map(len, lines)) <= 80,
         f"{len(lines)} lines\n{above}")
    sentence = " ".join(sentence.split())
    for what, words in {"which model": "new token of qwen3-30b-a3b",
                        "how much cheaper": "9.4 times less than of qwen3-32b",
                        "how sure": "(8.28 to 10.7)", "up to which batch": "cheaper up to batch 1.4",
                        "at what price": "21.0 to 11.4 USD a million, at 0.389 USD per hour",
                        "what it is not": "hypothetical: it does not fit here",
                        "and how firmly": "PRELIMINARY: 3 rounds"}.items():
        that(f"the verdict says {what}", words in sentence, sentence)
    that("it is one sentence", sentence.count(". ") == 0 and sentence.endswith("."), sentence)
    that("a step of eight sequences is no token", "per step" in text and "per token" not in text, text)
    that("no legend unasked", "95 % interval from the rounds" not in text, text)
    explained = program.expect("--explain", ["report", program.root / QUICK, "--explain"], 0,
                               stdout=["95 % interval from the rounds", "PRELIMINARY   Fewer than 10 rounds"]).stdout
    that("the legend names what is there", "SHARED" not in explained and "POWER CAPPED" not in explained, explained)
    that("and no bars where there are none", "of the promise" not in explained, explained)
    program.expect("-v: single layers, limits", ["report", program.root / QUICK, "-v"], 0,
                   stdout=["36× dense", "reads 38.3 GB/s", "crossover in decode"])
    text = program.expect("other programs have a verdict", ["report", program.root / RACE], 0).stdout
    that("how long they take", "pytorch takes 1.2 to 2.4 times as long as layercost" in " ".join(text.split()), text)
    program.expect("what the labels mean", ["help", "labels"], 0, stdout=["IMPOSSIBLE", "Do not use it.", "STALE"])
    program.expect("help of a command", ["help", "run"], 0, stdout=["--rounds", "Exit codes: 0 "])
    program.expect("help of nothing", ["help", "rnu"], 2, ["'run'"])
    program.expect("help", ["help"], 0, stdout=["completion", "Exit codes"])
    del os.environ["COLUMNS"]


def analyst(program):
    that = program.that
    rows = list(csv.DictReader(io.StringIO(
        program.expect("tidy", ["report", program.root / QUICK, program.root / RACE, "--format", "csv"], 0).stdout)))
    kinds = {row["kind"] for row in rows}
    that("kinds of rows", kinds >= {"layer", "model", "pair", "layers_pair"}, kinds)
    that("one run id for each file", len({row["run_id"] for row in rows}) == 2, {row["run_id"] for row in rows})
    that("every row names its run", all(row["run_id"] and row["commit"] and row["threads"] == "2" for row in rows))
    that("money stands in rows of whole models alone",
         {row["kind"] for row in rows if row["usd_per_mtok"]} == {"model"})
    that("the price is there", {row["usd_per_hour"] for row in rows if row["usd_per_mtok"]} == {"0.3892713813545199"},
         {row["usd_per_hour"] for row in rows})
    (pair,) = [row for row in rows if row["kind"] == "pair" and row["promised_ratio"] and row["phase"] == "decode"
               and row["batch"] == "1" and row["pair_dense"] == "qwen3-32b" and row["paid_ratio"]]
    # 1.84 s / 195 ms, round by round.
    that("promised, possible, paid", (round(float(pair["promised_ratio"]), 1), round(float(pair["possible_ratio"]), 1),
                                      round(float(pair["paid_ratio"]), 1)) == (10.5, 10.4, 9.4), pair)
    that("and how sure", float(pair["paid_ratio_low"]) < 8.4 and float(pair["paid_ratio_high"]) > 10.6, pair)
    words = ["report", program.root / IMPOSSIBLE, "--format", "csv"]
    text = program.expect("a file with IMPOSSIBLE", words, 0).stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    (layer,) = [row for row in rows if row["kind"] == "layer" and "impossible" in row["labels"].split()]
    that("an impossible layer keeps its time and its label", layer["time_s"] and layer["model"] == "qwen3-4b", layer)
    pairs = [row for row in rows if row["kind"] == "layers_pair" and "IMPOSSIBLE" in row["why"]]
    that("and is in no ratio", len(pairs) == 1 and pairs[0]["layers_paid_ratio"] == "" and pairs[0]["batch"] == "1",
         pairs)


def engineer(program, folder):
    that = program.that
    quick = (program.root / QUICK).read_text()

    def piped(words, text):
        return subprocess.run([program.path, *map(str, words)], input=text, capture_output=True, text=True, cwd=folder,
                              timeout=60)

    same = program.expect("a file", ["report", program.root / QUICK, "--format", "json"], 0).stdout
    done = piped(["report", "-", "--format", "json"], quick)
    that("report - reads standard input", done.returncode == 0 and done.stdout == same, done.stderr)
    array = json.loads(same)
    done = piped(["report", "-", "--format", "jsonl", "-o", "-"], quick)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [row["kind"] for row in array]
    that("jsonl has the same rows, a line each", lines == array
         and [kinds.count(kind) for kind in ("layer", "model", "pair")] == [18, 9, 6], len(lines))
    whole = next(row for row in array if row["kind"] == "model")
    that("numbers are numbers", isinstance(whole["usd_per_mtok"], float) and whole["batch"] == 1, whole)
    for text in ("", "{", '{"a": 1}'):
        done = piped(["report", "-"], text)
        that(f"no result from standard input: {text!r}", (done.returncode, done.stdout) == (2, "")
             and "standard input" in done.stderr, done.stderr)
    program.expect("standard input once", ["report", "-", "-"], 2, ["standard input"])
    program.expect("md on standard output", ["report", program.root / QUICK, "--format", "md", "-o", "-"], 0,
                   stdout=["| qwen3-4b |", "### Verdict"])
    program.expect("-o - and no such format", ["report", program.root / QUICK, "--format", "yaml"], 2, ["yaml"])

    for labels, code in (("impossible", 0), ("roof-moved", 1), ("IMPOSSIBLE,preliminary", 1)):
        program.expect(f"--fail-on {labels}", ["report", program.root / QUICK, "--fail-on", labels], code,
                       ["--fail-on: qwen3-4b decode"] if code else [])
    program.expect("--fail-on what is no label", ["report", program.root / QUICK, "--fail-on", "imposible"], 2,
                   ["'impossible'"])
    program.expect("it is asked before anything is measured", [*SMALL, "--fail-on", "imposible"], 2, ["'impossible'"])

    done = program.expect("dry run", [*SMALL, "--dry-run", "-o", "dry.json"], 0,
                          stdout=["small decode batch 4", "3 moe, 1 head", "nothing was measured"])
    that("and no file", not (folder / "dry.json").exists())
    done = program.expect("to standard output alone, quietly", [*SMALL, "-o", "-", "-q"], 0)
    that("nothing on standard error", done.stderr == "", done.stderr)
    result = json.loads(done.stdout)
    that("it is the result", result["complete"] is True and result["points"][0]["model"] == "small", list(result))
    done = piped(["report", "-", "--format", "csv"], done.stdout)
    that("which another program can show", done.returncode == 0 and "small,moe,decode,4" in done.stdout, done.stderr)
    that("nothing was left behind", sorted(p.name for p in folder.iterdir()) == ["small"],
         sorted(p.name for p in folder.iterdir()))
    done = program.expect("a run that fails on a label",
                          [*SMALL, "-o", "r.json", "--format", "jsonl", "--fail-on", "preliminary"], 1,
                          ["--fail-on: small"])
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [row["kind"] for row in rows]
    that("its rows are on standard output", kinds[:3] == ["layer", "layer", "model"], kinds)
    # On a machine whose neighbours never rest the whole may stay IMPOSSIBLE: then there is no first number either.
    that("the first number is told as soon as there is one",
         ("the first of 1 rounds" in done.stderr) == ("time_s" in rows[2]), (done.stderr, rows[2]))
    that("and its file is whole", json.loads((folder / "r.json").read_text())["complete"] is True)
    program.expect("-q and -v", [*SMALL, "-q", "-v"], 2, ["-q"])


def names(program):
    for asked, base in (("Qwen/Qwen3-30B-A3B-Instruct-2507", "qwen3-30b-a3b"), ("unsloth/Qwen3-4B", "qwen3-4b"),
                        ("llama-3.1-8b-instruct", "llama-3.1-8b"),
                        ("Qwen3-235B-A22B-Thinking-2507", "qwen3-235b-a22b")):
        done = program.expect(f"{asked} finds its base", ["plan", "-m", asked, "--phase", "decode"], 0,
                              stdout=[f"{base}: ", f'note: "{asked}" is taken for'])
    done = program.expect("a model of its own is itself", ["plan", "-m", "deepseek-r1-0528", "--phase", "decode"], 0)
    program.that("without a note", "is taken for" not in done.stdout, done.stdout[:500])
    program.expect("a beginning is no misspelling", ["plan", "-m", "qwen3-30b"], 2, ["did you mean 'qwen3-30b-a3b'?"])
    for asked in ("Qwen3-30B-A3B-FP8", "qwen3-30b-a3b-2507-instruct-gguf", "qwen3-5b-instruct", "x/y/qwen3-4b"):
        program.expect(f"{asked} is no training of it", ["plan", "-m", asked], 2, ["no model"])


def main():
    program = Program(sys.argv)
    with program.scratch() as folder:
        program.plant_small()
        owner(program)
        analyst(program)
        engineer(program, folder)
        names(program)
    return program.finish()


sys.exit(main())
