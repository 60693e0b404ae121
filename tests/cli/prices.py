# What:   what an hour costs and what an API asks, held against each other and against claims, on committed results. The
#         expected numbers are worked here from the result's own rows, by the formulas of harness/cost/break_even.h.
# Usage:  prices.py PROGRAM ROOT
# SPDX-License-Identifier: Apache-2.0
import csv
import io
import json
import sys

from program import Program

XEON = "results/2026-11-23_xeon-amx-2-threads_quick.json"
H100 = "results/2026-11-28_h100-80gb-hbm3_quick-gpu.json"
RENT = ["--price", "h100-sxm-runpod"]  # 3.49 USD an hour


def rows_of(program, title, words):
    text = program.expect(title, [*words, "--format", "csv"], 0).stdout
    return list(csv.DictReader(io.StringIO(text)))


def near(a, b, by=1e-9):
    return abs(float(a) / b - 1) < by


def frontier(program):
    rows = [r for r in rows_of(program, "users", ["cost", program.root / H100, *RENT]) if r["kind"] == "model"]
    decode = [r for r in rows if r["phase"] == "decode"]
    program.that("a user gets a token a step", decode and all(
        near(r["tokens_per_s_user"], 1 / float(r["time_s"])) for r in decode), decode)
    program.that("of a prompt nobody gets tokens", all(not r["tokens_per_s_user"] for r in rows if r not in decode))
    program.that("tokens for a dollar", all(near(r["tokens_per_usd"], 1e6 / float(r["usd_per_mtok"])) for r in rows))
    program.that("both batches are on the frontier", {r["on_frontier"] for r in decode} == {"true"}, decode)
    text = program.expect("a limit", ["cost", program.root / H100, *RENT, "--min-tok-s-user", "100"], 0).stdout
    for words in ("at least 100 tokens/s for each user: batch 8, 203 tokens/s", "user: batch 1, 280", "none of those",
                  "first token after 38.2 ms: prompts of 2048"):
        program.that(f"the cheapest that is fast enough: {words}", words in " ".join(text.split()), text)
    program.expect("no rate", ["report", program.root / H100, "--min-tok-s-user", "0"], 2, ["--min-tok-s-user"])
    rows = [r for r in rows_of(program, "what does not fit", ["report", program.root / XEON])
            if (r["kind"], r["phase"]) == ("model", "decode")]
    program.that("is on no frontier", all((r["fits"] == "true") == bool(r["on_frontier"]) for r in rows), rows)


def break_even(program):
    words = ["cost", program.root / H100, *RENT, "--own", "example-owned-h100"]
    rows = rows_of(program, "own or rent", words)
    found = [r for r in rows if r["kind"] == "break_even"]
    program.that("a row for each model", len(found) == 3, found)
    # 38 000 USD at 8 % over 4 years: 0.3019208 a year; 1000 USD a year; 1.73 kW at 0.10 USD; 95 % of the year.
    fixed = (38000 * 0.08 / (1 - 1.08 ** -4) + 1000) / 365
    for r in found:
        rate = next(float(m["tokens_per_s"]) for m in rows if m["kind"] == "model" and m["phase"] == "decode" and
                    m["model"] == r["model"] and m["batch"] == r["batch"])
        program.that(f"{r['model']}: fixed cost over what a token saves",
                     near(r["break_even_tokens_per_day"], fixed / ((3.49 - 0.173) / 3600 / rate)), r)
        program.that(f"{r['model']}: what it makes in a day",
                     near(r["capacity_tokens_per_day"], 86400 * 0.95 * rate), r)
    shown = program.expect("an API", [*words, "--mix", "3:1", "--list-price", "qwen3-8b-fireworks"], 0).stdout
    program.that("never, above what it makes", "never: above what the machine makes in a day" in shown and
                 "is a list price, not a cost" in shown and "of another model" in shown, shown)
    rows = [r for r in rows_of(program, "as data", [*words, "--mix", "3:1", "--list-price", "kimi-k2"])
            if r["second_way"] == "kimi-k2"]
    program.that("the API's price is in a column of its own", rows and all(
        near(r["list_price_usd_per_mtok"], 0.75 * 0.60 + 0.25 * 2.50) and not r["usd_per_mtok"] for r in rows), rows)
    for title, more, said in (
            ("an API without a mix", ["--list-price", "kimi-k2"], ["--list-price", "--mix 3:1"]),
            ("no owned machine", ["--own", "h100-sxm-runpod"], ["--own", "owned"]),
            ("an unknown API", ["--mix", "3:1", "--list-price", "kimi-k"], ["--list-price", "'kimi-k2'"])):
        program.expect(title, ["cost", program.root / H100, *RENT, *more], 2, said)
    program.expect("owned alone", ["cost", program.root / H100, "--price", "example-owned-h100", "--own",
                                   "example-owned-h100"], 2, ["--own", "rental"])
    program.expect("nothing to hold it against", ["report", program.root / H100, "--list-price", "kimi-k2"], 2,
                   ["--mix"])


def sensitivity(program):
    words = ["cost", program.root / H100, "--price", "2/h", "--utilisation", "0.5"]
    rows = [r for r in rows_of(program, "less use", words) if r["kind"] == "sensitivity"]
    best = [r for r in rows_of(program, "the same", words) if r["kind"] == "model"]
    for r in rows:
        usd = min(float(m["usd_per_mtok"]) for m in best if m["model"] == r["model"] and m["phase"] == "decode")
        names = ("full_use", "half_use", "quarter_use", "tenth_use", "half_price", "twice_price")
        program.that(f"{r['model']}: exact", all(
            near(r[f"usd_per_mtok_at_{name}"], usd * by) for name, by in zip(names, (0.5, 1, 2, 5, 0.5, 2))), r)
    program.that("one for each model", len(rows) == 3, rows)


def moved(program):
    result = json.loads((program.root / H100).read_text())
    result["price"].update(id="h100-sxm-runpod", model="rented", label="as it was", usd_per_h="3.40", labels=[],
                           stale=False, device="NVIDIA H100 SXM 80 GB")
    del result["price"]["labels"]
    for name, amount, warned in (("moved.json", "3.38", True), ("still.json", "3.45", False)):
        result["price"]["usd_per_h"] = amount
        (program.folder / name).write_text(json.dumps(result))
        text = program.expect(name, ["report", name, "-v"], 0).stdout
        program.that(f"{name}: 3.49 now", ("PRICE_SUPERSEDED" in text) == warned, text[:600])
    promotion = json.loads((program.root / "configs/prices/h100-sxm-runpod.json").read_text()) | {"promotional": True}
    (program.folder / "promotion.json").write_text(json.dumps(promotion))
    text = program.expect("a promotional price", ["cost", program.root / H100, "--price", "promotion.json"], 0).stdout
    verdict = " ".join(text[text.index(" verdict "):].split())
    program.that("is no headline", "a promotional price is no headline" in verdict and "USD a million" not in verdict,
                 verdict)


def claims(program):
    program.expect("all claims", ["claims"], 0, stdout=["5445", "does not add up", "cannot test", "no results given"])
    found = json.loads(program.expect("of a result", ["claims", program.root / H100, "--claim", "moe-costs-less",
                                                      "--format", "json"], 0).stdout)
    one = next(r for r in found if r["quantity"] == "a new token, batch 1")
    program.that("three rounds point, no more", one["finding"] == "points to" and one["value_low"] > 6, one)
    program.that("nothing is supported by it", not any(r["finding"] == "supports" for r in found), found)
    program.expect("as a document", ["claims", "-o", "claims.md"], 0)
    program.that("it is there", "| adds up |" in (program.folder / "claims.md").read_text())
    (program.folder / "bad.json").write_text('{"statement": "S", "source": "x", "date": "2026-01", "quantities": [{}]}')
    program.expect("a claim that is none", ["claims", "--claim", "bad.json"], 2, ["bad.json", "quantities[0].kind"])


def main():
    program = Program(sys.argv)
    with program.scratch():
        for part in (frontier, break_even, sensitivity, moved, claims):
            part(program)
    return program.finish()


sys.exit(main())
