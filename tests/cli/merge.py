# What:   layercost merge as a person meets it: two turns become one file that can be shown, and what does not belong
#         together is refused with exit code 2, naming the field and both values, without writing anything.
# Usage:  merge.py PROGRAM ROOT
# SPDX-License-Identifier: Apache-2.0
import copy
import json
import sys

from program import Program

RESULT = "results/2026-11-22_xeon-amx-2-threads_quick.json"
PAIR = "qwen3-32b:qwen3-30b-a3b"


def turn(result, factor):
    """One turn with a peer that takes twice as long as ours, on a machine `factor` times slower."""
    result = copy.deepcopy(result)
    result["schema_version"], result["peers"], result["pairs"] = "1.2.0", [], []
    result.pop("summary", None)
    for point in result["points"]:
        for part in point["parts"]:
            part["rounds"] = part["rounds"][:1]
            for sample in part["rounds"][0]["samples"]:
                sample["time_s"] *= factor
                sample["section_s"] *= factor
        layer = point["parts"][0]
        times = sorted(sample["time_s"] for sample in layer["rounds"][0]["samples"])
        middle = (times[(len(times) - 1) // 2] + times[len(times) // 2]) / 2
        result["peers"].append({
            "implementation": "pytorch", "version": "2.15.0", "detail": "sdpa", "model": point["model"],
            "phase": point["phase"], "batch": point["batch"], "context": point["context"],
            "weight_type": point["weight_type"], "kind": layer["kind"], "threads": 2, "layers": 3, "cold": True,
            "note": "", "rounds": [{"index": 0, "samples_s": [2 * middle, 2 * middle]}]})
    return result


def write(folder, name, content):
    (folder / name).write_text(json.dumps(content))


def two_turns(program, folder, second):
    that = program.that
    program.expect("two turns", ["merge", "a.json", "b.json", "-o", "ab.json", "--pair", PAIR], 0,
                   ["result: ab.json"])
    both = json.loads((folder / "ab.json").read_text())
    that("rounds follow one another",
         all([r["index"] for r in part["rounds"]] == [0, 1] for point in both["points"] for part in point["parts"]))
    that("so do the peers'", all([r["index"] for r in peer["rounds"]] == [0, 1] for peer in both["peers"]))
    that("the peer's samples are kept", both["peers"][3]["rounds"][1] ==
         {"index": 1, "samples_s": second["peers"][3]["rounds"][0]["samples_s"]}, both["peers"][3])
    that("the command is merge's own", both["command"][:2] == ["merge", "a.json"], both["command"])
    that("one pair", both["pairs"] == [{"dense": "qwen3-32b", "moe": "qwen3-30b-a3b"}], both["pairs"])
    rows = both["summary"]["layers"]
    that("the peer takes twice as long, by turn",
         rows and all(abs(row["peers"][0]["peer_ratio"] - 2) < 1e-9 and row["peers"][0]["paired_rounds"] == 2
                      for row in rows), rows[:1])
    paid = [row["layers_paid"] for row in both["summary"]["tradeoffs"]]
    that("so both pay the same", paid and all(
        abs(ours["layers_paid_ratio"] / torch["layers_paid_ratio"] - 1) < 1e-9 for ours, torch in paid), paid[:1])
    table = program.expect("the table", ["report", "ab.json"], 0,
                           stdout=["THE SAME LAYERS IN OTHER PROGRAMS", "2.00×", "IN EACH PROGRAM"]).stdout
    that("at most 100 columns", max(map(len, table.splitlines())) <= 100)


def outputs(program, folder, first, second):
    that = program.that
    for title, out in (("-o", ["-o", folder / "p.json"]), ("-oFILE", [f"-o{folder}/p.json"]),
                       ("--output=FILE", [f"--output={folder}/p.json"])):
        program.expect(f"paths: {title}", ["merge", folder / "a.json", folder / "b.json", *out], 0)
        text = (folder / "p.json").read_text()
        that(f"paths: {title} leaves none", str(folder) not in text and str(folder.parent) not in text,
             json.loads(text)["command"])
        (folder / "p.json").unlink()

    before = (folder / "ab.json").read_bytes()
    program.expect("an output that exists", ["merge", "a.json", "-o", "ab.json"], 2, ["ab.json", "--force"])
    that("stays", (folder / "ab.json").read_bytes() == before)
    program.expect("with --force it is replaced", ["merge", "a.json", "-o", "ab.json", "--force"], 0)
    that("by the new one", (folder / "ab.json").read_bytes() != before)
    program.expect("into an input", ["merge", "a.json", "b.json", "-o", "b.json"], 2, ["-o", "b.json"])
    that("which stays", json.loads((folder / "b.json").read_text()) == second)
    program.expect("a file twice", ["merge", "a.json", "./a.json", "-o", "x.json"], 2, ["a.json", "twice"])
    write(folder, "copy.json", first)
    program.expect("a copy of a file", ["merge", "a.json", "copy.json", "-o", "x.json"], 2,
                   ["copy.json", "rounds[0]"])
    program.expect("a pair of no model", ["merge", "a.json", "-o", "x.json", "--pair", "qwen3-32:qwen3-30b-a3b"], 2,
                   ["--pair", "'qwen3-32b'"])
    program.expect("half a pair", ["merge", "a.json", "-o", "x.json", "--pair", "qwen3-32b"], 2, ["DENSE:MOE"])
    program.expect("an output folder that is not there", ["merge", "a.json", "-o", "no/x.json"], 2, ["no/x.json"])


def refusals(program, folder, second):
    def refused(title, words, **change):
        other = copy.deepcopy(second)
        for path, value in change.items():
            *folders, key = path.split("__")
            place = other
            for name in folders:
                place = place[name]
            place[key] = value
        write(folder, "other.json", other)
        program.expect(title, ["merge", "a.json", "other.json", "-o", "x.json"], 2,
                       ["other.json", "a.json", *words])

    refused("another machine", ["environment.device_name", "'Other'", "Xeon"], environment__device_name="Other")
    refused("other threads", ["environment.threads", "'3'", "'2'"], environment__threads=3)
    refused("other features", ["environment.features", "'avx2'"], environment__features=["avx2"])
    refused("other libraries", ["environment.libraries", "'oneDNN 3.1'"], environment__libraries={"oneDNN": "3.1"})
    refused("another version", ["program_version", "'9'"], program_version="9")
    refused("another commit", ["commit", "'abc'"], commit="abc")
    refused("another price", ["price.usd_per_h", "'9.5'"], price__usd_per_h="9.5")


def policies(program, folder, first, second):
    that = program.that
    policy = {"rounds": 3, "cell_s": 2.0, "min_samples": 5, "max_samples": 50, "section_min_s": 0.0005,
              "seed": "1", "head": True, "depths": [], "pins": []}
    write(folder, "a.json", {**first, "schema_version": "1.4.0", "policy": policy})
    write(folder, "other.json", {**second, "schema_version": "1.4.0",
                         "policy": {**policy, "cell_s": 4.0, "pins": ["linear=plain_loops"]}})
    told = "merged_policy: measured with different settings: "
    program.expect("two policies", ["merge", "a.json", "other.json", "-o", "ab.json", "--force"], 0,
                   [told + "cell_s 2 in a.json and 4 in other.json; pins none in a.json"])
    that("which the file says", any(w["code"] == "merged_policy" for w in json.loads(
        (folder / "ab.json").read_text())["warnings"]))
    write(folder, "other.json", {**second, "schema_version": "1.4.0", "policy": policy})
    one = program.expect("one policy", ["merge", "a.json", "other.json", "-o", "ab.json", "--force"], 0)
    that("is nothing to speak of", "merged_policy" not in one.stderr, one.stderr)


def machines(program, folder):
    a, b = (json.loads((program.root / f"tests/cli/machine_{name}.json").read_text()) for name in "ab")
    write(folder, "a.json", a)

    def two_machines(title, environment, words):
        write(folder, "other.json", {**b, "environment": environment})
        program.expect(title, ["merge", "a.json", "other.json", "-o", "x.json"], 2,
                       ["other.json", "a.json", *words])
    two_machines("two machines of one name", b["environment"], ["environment."])
    for fact in sorted(a["environment"].keys() & b["environment"].keys()):
        value = b["environment"][fact]
        if value == a["environment"][fact]:
            continue
        mixed = {**a["environment"], fact: value}
        if fact in ("available_bytes", "load_average"):
            write(folder, "other.json", {**b, "environment": mixed})
            program.expect(f"another {fact} is load", ["merge", "a.json", "other.json", "-o", "ab.json", "--force"],
                           0)
        else:
            shown = str(value).lower() if isinstance(value, bool) else str(value).removesuffix(".0")
            two_machines(f"another {fact}", mixed, [f"environment.{fact}", shown])


def main():
    program = Program(sys.argv)
    result = json.loads((program.root / RESULT).read_text())
    first, second = turn(result, 1), turn(result, 1.5)
    with program.scratch() as folder:
        write(folder, "a.json", first)
        write(folder, "b.json", second)
        two_turns(program, folder, second)
        outputs(program, folder, first, second)
        refusals(program, folder, second)
        policies(program, folder, first, second)
        machines(program, folder)
        names = sorted(path.name for path in folder.iterdir())
        program.that("nothing was written by what was refused",
                     names == ["a.json", "ab.json", "b.json", "copy.json", "other.json"], names)
    return program.finish()


sys.exit(main())
