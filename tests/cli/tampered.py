# What:   a result file says most things twice, and what does not agree is refused: verdicts and their limits, counts
#         and the model, times and their sections, tokens, ops and their work,
#         experts, routing, parameters, pairs,
#         memory and prices. Labels are worked out from the samples again, so that taking them away changes nothing.
# Usage:  tampered.py PROGRAM ROOT
# SPDX-License-Identifier: Apache-2.0
import copy
import json
import re
import sys

from program import Program

RESULT = "results/2026-11-23_xeon-amx-2-threads_quick.json"


def part_of(result, kind):
    return next(part for point in result["points"] for part in point["parts"] if part["kind"] == kind)


def verdict(**change):
    return lambda r: part_of(r, "dense")["verdict"].update(change)


def sample(kind="moe", **factors):
    def change(r):
        one = part_of(r, kind)["rounds"][0]["samples"][0]
        for key, factor in factors.items():
            one[key] = one[key] * factor if key in one else factor
    return change


def op(kind, name, old="", new=""):
    """Of the first op of this name: other words in its case; with no words another case altogether."""
    def change(r):
        one = next(one for one in part_of(r, kind)["ops"] if one["case_text"].split()[0] == name)
        assert old in one["case_text"]
        one["case_text"] = one["case_text"].replace(old, new) if old else new
    return change


def work(kind, name, **factors):
    """Of the first op of this name: other figures."""
    def change(r):
        one = next(one for one in part_of(r, kind)["ops"] if one["case_text"].split()[0] == name)
        for key, factor in factors.items():
            one[key] *= factor
    return change


def said(kind, name, **facts):
    """Of the first op of this name: what it did not say."""
    def change(r):
        next(one for one in part_of(r, kind)["ops"] if one["case_text"].split()[0] == name).update(facts)
    return change


def memory(**factors):
    def change(r):
        for key, factor in factors.items():
            r["points"][0]["memory"][key] *= factor
    return change


def digested_memory(**factors):
    def change(r):
        for one in r["models"]:
            one["digest"] = "0" * 16
        memory(**factors)(r)
    return change


def price(**change):
    return lambda r: r["price"].update(change)


def routing(**change):
    return lambda r: part_of(r, "moe")["routing"].update(change)


def histogram(r):
    part_of(r, "moe")["routing"]["histogram"][5] += 1


def rounds_of_a_skipped_head(r):
    part_of(r, "head").update(outcome="skipped", why="not asked for")


def caches(schema, of_stack):
    def change(r):
        r["schema_version"] = schema
        part_of(r, "moe")["stack"]["last_level_cache_bytes"] = of_stack
    return change


def model(name, **change):
    return lambda r: next(m for m in r["models"] if m["name"] == name).update(change)


def pair(dense, moe):
    return lambda r: r.update(pairs=[{"dense": one[dense], "moe": one[moe]} for one in r["pairs"]])


def head_away(r):
    r["points"][0]["parts"] = [part for part in r["points"][0]["parts"] if part["kind"] != "head"]


# title, change, words that the message has to hold
CASES = [
    ("an error of 5 that passed", verdict(rel_l2=5), ["verdict.rel_l2", "5 is over the limit"]),
    ("a row over its limit", verdict(worst_row=1), ["verdict.worst_row"]),
    ("a factor over its limit", verdict(gain=-1), ["verdict.gain"]),
    ("a check of no row", verdict(rows_checked=0), ["rows_checked", "0 of"]),
    ("a check of more rows than there are", verdict(rows=0), ["rows_checked"]),
    ("passed in no check", verdict(checks=0), ["verdict.checks"]),
    ("36 layers counted as 1", lambda r: part_of(r, "dense").update(count=1), ["points[0].parts", "1 layers", "36"]),
    ("layers that no step has", lambda r: part_of(r, "moe").update(count=0), ["parts[0].count", "0 of 'moe'"]),
    ("layers called others that no step has", lambda r: part_of(r, "dense").update(kind="mtp dense"),
     ["parts[0].count", "expected 0"]),
    ("two heads", lambda r: part_of(r, "head").update(count=2), ["points[0].parts", "one head, got 2"]),
    ("the head taken away", head_away, ["points[0].parts", "one head, got 0"]),
    ("another batch", lambda r: r["points"][0].update(batch=4), ["points[0].tokens", "batch 4 x 1"]),
    ("other tokens", lambda r: r["points"][0].update(tokens=7), ["points[0].tokens", "7"]),
    ("a batch beyond 2^63", lambda r: next(p for p in r["points"] if p["phase"] == "prefill").update(
        batch=2**53, context=2**53), ["tokens"]),
    ("half the time", sample(time_s=0.5), ["samples[0].time_s", "section"]),
    ("half the section", sample(section_s=0.5), ["samples[0].time_s"]),
    ("twice the passes", sample(passes=2), ["samples[0].time_s", "passes"]),
    ("another stack", lambda r: part_of(r, "moe")["stack"].update(layers=1000), ["samples[0].time_s", "1000 layers"]),
    ("no stack", lambda r: part_of(r, "moe").pop("stack"), ["no stack"]),
    ("more experts than there are", sample(distinct_experts=1000), ["distinct_experts"]),
    ("fewer experts than one token takes", sample(distinct_experts=1e-3), ["distinct_experts"]),
    ("experts of a dense layer", sample("dense", distinct_experts=2.0), ["distinct_experts", "no experts"]),
    ("more active than there are", model("qwen3-30b-a3b", parameters_active=10**12), ["parameters_active"]),
    ("99 of 1 experts", model("qwen3-30b-a3b", experts=1, top_k=99), ["top_k", "99 of 1"]),
    ("experts without top_k", lambda r: next(m for m in r["models"] if "experts" in m).pop("top_k"), ["top_k"]),
    ("other experts than its model's", lambda r: part_of(r, "moe")["routing"].update(top_k=3), ["routing", "3 of"]),
    ("a pair the wrong way round", pair("moe", "dense"), ["pairs[0]"]),
    ("a pair of one model", pair("dense", "dense"), ["pairs[0]"]),
    ("a pair twice", lambda r: r["pairs"].append(r["pairs"][0]), ["pairs[2]", "twice"]),
    ("another context", lambda r: next(p for p in r["points"] if p["phase"] == "decode").update(context=7),
     ["ops", "kv_len=1025", "8"]),
    ("a longer cache", op("moe", "attention", " kv_len=1025", " kv_len=9"), ["case_text", "kv_len=9", "1025"]),
    ("more queries", op("moe", "attention", " q_len=1 ", " q_len=2 "), ["case_text", "q_len=2"]),
    ("another batch of an op", op("moe", "rope", " batch=1 ", " batch=4 "), ["case_text", "batch=4"]),
    ("other tokens of an op", op("dense", "glu", " tokens=1 ", " tokens=8 "), ["case_text", "tokens=8"]),
    ("tokens that are no number", op("dense", "glu", " tokens=1 ", " tokens=1x "), ["case_text", "tokens=1x"]),
    ("tokens twice", op("dense", "glu", " tokens=1 ", " tokens=1 tokens=8 "), ["case_text", "tokens=8"]),
    ("an op that is none", op("dense", "glu", "", "foo"), ["case_text", "foo", "no op"]),
    ("an op without words", op("dense", "glu", "", "foo bar"), ["case_text", "foo bar", "no op"]),
    ("an op without a name", op("dense", "glu", "glu ", ""), ["case_text", "no op"]),
    ("an op without a text", op("head", "linear", "", ""), ["case_text", "no op"]),
    ("a value without a key", op("head", "linear", " m=", " ="), ["case_text", "no op"]),
    ("two spaces", op("head", "linear", " m=", "  m="), ["case_text", "no op"]),
    ("another routing than the point's", routing(name="balanced"), ["routing.name", "balanced", "uniform"]),
    ("one more token than was drawn", histogram, ["routing.histogram", "draws"]),
    ("more draws than were counted", routing(draws=1), ["routing.histogram", "1 draws"]),
    ("draws beyond 2^63", routing(draws=2**53), ["routing.histogram"]),
    ("more experts than the tokens take", sample(distinct_experts=1.01), ["distinct_experts", "8..8"]),
    ("fewer active with the embedding than without",
     model("qwen3-30b-a3b", parameters_active_with_embedding=3041867775), ["parameters_active_with_embedding"]),
    ("more active with the embedding than there are",
     model("qwen3-30b-a3b", parameters_active_with_embedding=30532122625), ["parameters_active_with_embedding"]),
    ("a dense model that rests in part",
     model("qwen3-32b", parameters_active_with_embedding=32762123263), ["parameters_active_with_embedding"]),
    ("a limit that lets all pass", verdict(rel_l2_limit=0.51), ["rel_l2_limit", "0.51"]),
    ("such a limit of the worst row", verdict(worst_row_limit=1e9), ["worst_row_limit"]),
    ("such a limit of the gain", verdict(gain_limit=0.51), ["gain_limit"]),
    ("less than no error", verdict(rel_l2=-1e-9), ["verdict.rel_l2", "negative"]),
    ("a round without samples", lambda r: part_of(r, "dense")["rounds"][1].update(samples=[]),
     ["rounds[1]", "no samples"]),
    ("skipped, with samples", rounds_of_a_skipped_head, ["skipped", "samples"]),
    ("half the FLOPs of a product", work("dense", "linear", flops=0.5), ["flops", "its case implies"]),
    ("a product in an arithmetic that it does not use", said("dense", "linear", product_flops={"bf16 x q8_0": 1e6}),
     ["product_flops", "bf16 x q8_0", "its case implies none"]),
    ("twice the bytes of a product", work("dense", "linear", bytes=2), ["bytes", "its case implies"]),
    ("half the cache that is read", work("moe", "attention", bytes=0.5), ["bytes", "its case implies"]),
    ("twice the bytes of an expert", work("moe", "moe_experts", bytes_per_distinct_expert=2),
     ["bytes_per_distinct_expert", "its case implies"]),
    ("a layer without its input", work("dense", "rms_norm", bytes=0.5), ["ops[0].bytes", "its case implies"]),
    ("a wider product", op("dense", "linear", " n=6144 ", " n=12288 "), ["ops[1].flops", "its case implies"]),
    ("half the weights of the model", digested_memory(weight_bytes=0.5), ["memory.weight_bytes", "parameters"]),
    ("half the cache of the model", memory(kv_bytes=0.5), ["memory.kv_bytes", "caches of its layers"]),
    ("less cache held than needed", lambda r: r["points"][0]["memory"].update(kv_held_bytes=1.0),
     ["memory.kv_held_bytes"]),
    ("a tenth of the stated price", price(id="2.50/h", model="command line", usd_per_h="0.25"),
     ["price.usd_per_h", "0.25", "2.50 USD"]),
    ("a stated price that says no price", price(id="h", model="command line"), ["price.id", "2.50/h"]),
    ("a node's price for each device",
     price(model="rented", label="H rented from P, on-demand, 16 USD/h for 8 devices, 2026-11-01", usd_per_h="16"),
     ["price.usd_per_h", "16 USD for 8 devices"]),
    ("a product without a side", op("dense", "linear", " n=6144", ""), ["ops[1].case_text", "n"]),
    ("a stack on another machine", caches("1.4.0", 32e6), ["stack.last_level_cache_bytes", "environment"]),
]


def without_hashes(report):
    """A report names the content it was made from, labels included."""
    return re.sub(r"\b[0-9a-f]{16,64}\b", "HASH", report)


def main():
    program = Program(sys.argv)
    result = json.loads((program.root / RESULT).read_text())
    with program.scratch() as folder:
        def write(content):
            (folder / "x.json").write_text(json.dumps(content))

        write(result)
        reports = {name: program.expect(f"as it is: {name}", ["report", "x.json", "--format", name], 0).stdout
                   for name in ("table", "markdown", "csv", "json")}
        for title, change, words in CASES:
            other = copy.deepcopy(result)
            change(other)
            write(other)
            program.expect(title, ["report", "x.json"], 2, ["x.json", *words])

        for title, change in (
                ("a stated price", price(id="2.50/h", model="command line", usd_per_h="2.5")),
                ("a node's price", price(model="rented", usd_per_h="2",
                                         label="H rented from P, on-demand, 16 USD/h for 8 devices, 2026-11-01")),
                ("another currency", price(model="rented", label="H rented from P, 9 EUR/h, 2026-11-01"))):
            other = copy.deepcopy(result)
            change(other)
            write(other)
            program.expect(title, ["report", "x.json"], 0)

        other = copy.deepcopy(result)
        for round in part_of(other, "dense")["rounds"]:
            round["neighbour_cpus"] = 0
        part_of(other, "dense")["labels"].append("shared")
        write(other)
        told = program.expect("SHARED, and no round was", ["report", "x.json", "--format", "csv"], 0).stdout
        program.that("is not SHARED", "shared" not in told.splitlines()[1], told.splitlines()[1])

        other = copy.deepcopy(result)
        caches("1.3.0", 32e6)(other)
        write(other)
        program.expect("merged of two machines, before 1.4", ["report", "x.json"], 0)

        other = copy.deepcopy(result)
        for point in other["points"]:
            for part in point["parts"]:
                part["labels"] = []
        write(other)
        for name, before in reports.items():
            after = program.expect(f"without labels: {name}", ["report", "x.json", "--format", name], 0).stdout
            program.that(f"without labels: the same {name} but for its hash",
                         without_hashes(after) == without_hashes(before))
            program.that(f"without labels: another hash in {name}", after != before)
    return program.finish()


sys.exit(main())
