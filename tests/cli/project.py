# What:   layercost project: times, rates and money of a step worked here from the op work that `plan` prints; on the
#         device that a result was measured on it gives the result's own time back; published results held against it,
#         and docs/projection.md's table of that; what is not of the device is refused.
# Usage:  project.py PROGRAM ROOT [--write]   (--write: the tables of docs/projection.md anew)
# SPDX-License-Identifier: Apache-2.0
import csv
import io
import json
import re
import sys

from program import Program

H100 = "results/2026-11-28_h100-80gb-hbm3_quick-gpu.json"
XEON = "results/2026-11-23_xeon-amx-2-threads_quick.json"
PRICE = ["--price", "h200-runpod"]


def near(a, b, by=1e-9):
    return abs(a / b - 1) < by


def points(program, title, words):
    return json.loads(program.expect(title, [*words, "--json"], 0).stdout)["points"]


def nominal(program):
    """Each op's FLOPs over 989 TFLOP/s (1979 in fp8) or bytes over 4.8 TB/s, whichever is more."""
    words = ["-m", "qwen3-30b-a3b", "--phase", "decode", "-b", "8", "-c", "4095"]
    for title, more, rate in (("bf16", [], 989e12), ("fp8", ["--weights-format", "fp8_block128"], 1979e12)):
        (planned,) = points(program, f"plan, {title}", ["plan", *words, *more])
        (point,) = points(program, f"project, {title}", ["project", *words, *more, "--on", "h200-sxm", *PRICE])
        on = point["on"]
        kinds = {kind["kind"]: kind for kind in planned["kinds"]}
        total = 0
        for part in on["parts"]:
            for op, work in zip(part["ops"], kinds[part["kind"]]["ops"]):
                size = work["weight_bytes"] + work["kv_read_bytes"] + work["kv_write_bytes"]
                in_fp8 = any("fp8" in one for one in work.get("matrices", {}).values())
                flops = work["flops"] / (rate if in_fp8 else 989e12)
                expected = max(flops, size / 4.8e12)
                edge = op is part["ops"][0] or op is part["ops"][-1]  # with the layer's own input or output
                program.that(f"{title}: {op['component']}", op["possible_s"] >= expected * (1 - 1e-9) and
                             (edge or near(op["possible_s"], expected, 1e-6)), (op, expected))
                program.that(f"{title}: {op['component']} is named by its limit",
                             op["limited_by"] == ("memory" if size / 4.8e12 > flops or edge else op["limited_by"]), op)
                total += part["count"] * op["possible_s"]
        step = on["nominal"]
        program.that(f"{title}: the sum", near(on["possible_s"], total) and on["possible_s"] == step["step_s"], on)
        program.that(f"{title}: nothing is faster", 0 < on["hard_bound_s"] < total, on["hard_bound_s"])
        program.that(f"{title}: a user's rate", near(step["tokens_per_s_user"] * total, 1), step)
        program.that(f"{title}: all rates", near(step["tokens_per_s"], 8 / total), step)
        program.that(f"{title}: money", near(step["usd_per_mtok"], 4.59 / 3600 * total / 8 * 1e6), step)
        program.that(f"{title}: the price has source and date",
                     on["price"]["source"] and on["price"]["retrieved_at"] == "2026-09-25", on["price"])
        program.that(f"{title}: nothing projected without results", "with_measured_efficiency" not in on, on)


def deployments(program):
    words = ["project", "-m", "qwen3-235b-a22b", "--phase", "decode", "-b", "16", "--on", "h200-sxm", "--price", "3/h"]
    (eight,) = points(program, "eight as one", [*words, "--devices", "8"])
    (ranks,) = points(program, "eight ranks", [*words, "--tp", "8"])
    (shared,) = points(program, "eight that share experts", [*words, "--ep", "8"])
    for title, point, sequences in (("as one", eight, 16), ("ranks", ranks, 16), ("experts", shared, 128)):
        on = point["on"]
        step = on["nominal"]
        program.that(f"{title}: eight devices", on["devices"] == 8, on)
        program.that(f"{title}: tokens of all", near(step["tokens_per_s"], sequences / on["possible_s"]), step)
        program.that(f"{title}: all are paid for",
                     near(step["usd_per_mtok"], 8 * 3 / 3600 * on["possible_s"] / sequences * 1e6), step)
    program.that("an even split is the fastest", eight["on"]["possible_s"] < ranks["on"]["possible_s"], ranks)
    text = program.expect("communication", [*words, "--tp", "8"], 0).stdout
    program.that("is left out, and that is said", "communication left out" in text and "8 x H200" in text, text)
    half = points(program, "half the hours", [*words, "--devices", "8", "--utilisation", "0.5"])[0]["on"]["nominal"]
    program.that("cost twice as much", near(half["usd_per_mtok"], 2 * eight["on"]["nominal"]["usd_per_mtok"]), half)
    program.expect("devices twice", [*words, "--tp", "8", "--devices", "8"], 2, ["--devices", "qwen3-235b-a22b@tp8"])
    program.expect("what does not fit", ["project", "-m", "qwen3-32b", "--on", "rtx-4090"], 0,
                   stdout=["hypothetical: does not fit"])
    program.expect("no rate", ["project", "-m", "qwen3-4b", "--dtype", "f32", "--on", "h20", "--price", "1/h"], 0,
                   stdout=["unknown, the vendor gives no rate for f32"])


def efficiency(program):
    """On the device itself a projection is the measured time again."""
    text = program.expect("the result", ["report", program.root / H100, "--format", "csv"], 0).stdout
    rows = [r for r in csv.DictReader(io.StringIO(text)) if r["kind"] == "model"]
    program.that("nine points", len(rows) == 9, len(rows))
    for r in rows:
        words = ["project", "-m", r["model"], "--phase", r["phase"], "-b", r["batch"], "-c", r["context"],
                 "--efficiency-from", program.root / H100]
        (point,) = points(program, f"{r['model']} {r['phase']} {r['batch']}", [*words, "--on", "h100-sxm"])
        step = point["on"].get("with_measured_efficiency", {"step_s": 0})
        # experts: expected here, counted there
        by = 0.02 if "a3b" in r["model"] else 1e-6
        program.that(f"{r['model']} {r['phase']} {r['batch']}: the time that was measured",
                     near(step["step_s"], float(r["time_s"]), by), (step, r["time_s"]))
        (other,) = points(program, "on an H200", [*words, "--on", "h200-sxm"])
        on = other["on"]
        program.that("faster than on an H100, and slower than possible",
                     on["possible_s"] < on["with_measured_efficiency"]["step_s"] < step["step_s"], on)
    cited = program.expect("its hash", ["cite", program.root / H100, "--preliminary"], 0).stdout
    hashes = re.search(r"[0-9a-f]{64}", cited)
    source = on["efficiency_from"][0]
    program.that("file and hash are named", source["file"] == H100.split("/")[1] and hashes and
                 source["result_sha256"] == hashes.group(), source)
    ops = [op for part in on["parts"] for op in part["ops"]]
    program.that("an op has its share of nominal, or its time is carried",
                 all(op["carried"] != ("efficiency" in op) and op["measured_at"] and "preliminary" in op["labels"]
                     for op in ops) and any(op["carried"] for op in ops), ops)
    program.that("no share above one", all(0 < op.get("efficiency", 1) <= 1 for op in ops), ops)
    text = program.expect("for people", [*words, "--on", "h200-sxm"], 0).stdout
    for part in ("NOMINAL", "with measured efficiency", source["result_sha256"][:16], "PRELIMINARY", "carried"):
        program.that(f"it says {part}", part in text, text)

    fp8 = ["project", "-m", "qwen3-4b", "--phase", "decode", "--weights-format", "fp8_block128", "--on", "h200-sxm",
           "--efficiency-from", program.root / H100, "--price", "3/h"]
    text = program.expect("ops that were not measured", fp8, 0,
                          stdout=["projected: withheld", "qkv", "not measured"]).stdout
    program.that("no sum of the rest", "USD with measured" not in text, text)
    on = points(program, "as JSON", fp8)[0]["on"]
    program.that("absent, and named", "with_measured_efficiency" not in on and "qkv" in on["not_measured"] and
                 "attention" not in on["not_measured"], on)


def refusals(program):
    base = ["project", "-m", "qwen3-4b", "--on", "h200-sxm"]
    (program.folder / "cut.json").write_text((program.root / H100).read_text()[:5000])
    result = json.loads((program.root / H100).read_text())
    result["points"][0]["parts"][0]["ops"][1]["bytes"] /= 2
    (program.folder / "tampered.json").write_text(json.dumps(result))
    result = json.loads((program.root / H100).read_text())
    result["environment"]["device_name"] = "NVIDIA H100 80GB HBM4\x1b[31m"
    (program.folder / "unknown.json").write_text(json.dumps(result).replace("\\u001b", ""))
    for title, words, said in (
            ("no hardware", ["project", "-m", "qwen3-4b"], ["--on", "h200-sxm"]),
            ("unknown hardware", ["project", "-m", "qwen3-4b", "--on", "h200"], ["--on", "'h200-sxm'"]),
            ("no model", ["project", "--on", "h200-sxm"], ["-m"]),
            ("the price of another device", [*base, "--price", "h100-sxm-runpod"],
             ["--price", "NVIDIA H100 SXM 80 GB", "--on names 'H200 SXM 141 GB'", "--price-of-other-device"]),
            ("an unknown price", [*base, "--price", "h200-runpot"], ["--price", "'h200-runpod'"]),
            ("a use without a price", [*base, "--utilisation", "0.5"], ["--price"]),
            ("a mix", [*base, *PRICE, "--mix", "3:1"], ["--mix"]),
            ("results of a CPU", [*base, "--efficiency-from", program.root / XEON],
             ["--efficiency-from", "the CPU 'Intel(R) Xeon(R) Processor'", "Hopper"]),
            ("results of another architecture",
             ["project", "-m", "qwen3-4b", "--on", "rtx-4090", "--efficiency-from", program.root / H100],
             ["'NVIDIA H100 80GB HBM3', which is Hopper; GeForce RTX 4090", "Ada Lovelace"]),
            ("results of an unknown device", [*base, "--efficiency-from", "unknown.json"],
             ["unknown.json", "HBM4", "configs/hardware"]),
            ("a result that was cut", [*base, "--efficiency-from", "cut.json"], ["cut.json"]),
            ("a result that was changed", [*base, "--efficiency-from", "tampered.json"],
             ["tampered.json", "points[0].parts[0].ops[1]"]),
            ("no result", [*base, "--efficiency-from", "none.json"], ["none.json"]),
            ("published, and a model", ["project", "--published", "-m", "qwen3-4b"], ["--published", "--model"]),
            ("published, and a batch", ["project", "--published", "-b", "8"], ["--published", "--batch"]),
            ("published, and a price", ["project", *PRICE, "--published"], ["--published", "--price"]),
            ("published, on a CPU", ["project", "--published", "--efficiency-from", program.root / XEON],
             ["--efficiency-from", "Xeon"]),
            ("plan: efficiency of nothing",
             ["plan", "-m", "qwen3-4b", "--efficiency-from", program.root / H100], ["--on"]),
            ("plan: a price of nothing", ["plan", "-m", "qwen3-4b", *PRICE], ["--price", "--on"])):
        program.expect(title, words, 2, said)
    on = points(program, "asked for", [*base, "--price", "h100-sxm-runpod", "--price-of-other-device"])[0]["on"]
    program.that("labelled", "other_device" in on["price"]["labels"], on["price"])


# ---- docs/projection.md

def number(value):
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def tables(program):
    words = ["project", "--published", "--efficiency-from", program.root / H100, "--json"]
    rows = json.loads(program.expect("published results", words, 0).stdout)["published"]
    held = ["| result | published | hard bound / it | possible / it | with efficiency / it |", "|---|---|---|---|---|"]
    others = ["| result | why not |", "|---|---|"]
    for r in rows:
        if "why_not" in r:
            others.append(f"| {r['what']} | {r['why_not']} |")
            continue
        ratio = [f"{r[key]['ratio']:.2f}" if key in r else "" for key in
                 ("hard_bound", "possible", "with_measured_efficiency")]
        unit = {"tokens_per_s": "tokens/s", "usd_per_mtok": "USD per million"}[r["unit"]]
        held.append(f"| {r['source_id']}: {r['what']} | {number(r['published'])} {unit} | {' | '.join(ratio)} |")
    return rows, {"held": "\n".join(held), "others": "\n".join(others)}


def published(program, write):
    rows, made = tables(program)
    expressed = [r for r in rows if "why_not" not in r]
    program.that("most are expressed", len(expressed) >= 50 and len(rows) - len(expressed) >= 10, len(rows))
    for r in expressed:
        name, possible, measured = f"{r['source_id']} {r['id']}", r["possible"], r.get("with_measured_efficiency")
        program.that(f"{name}: nothing is faster than the bound", r["hard_bound"]["ratio"] >= 1, r)
        over = possible["value"] / r["published"]
        program.that(f"{name}: ratio", near(possible["ratio"], over if r["unit"] == "tokens_per_s" else 1 / over), r)
        program.that(f"{name}: projected where it was measured", bool(measured) != ("not_measured" in r) and
                     (not measured or measured["ratio"] <= possible["ratio"]), r)
        program.that(f"{name}: source and date", r["source"] and re.match(r"20\d\d-\d\d", r["date"]), r)
    path = program.root / "docs/projection.md"
    text = path.read_text()
    for name, table in made.items():
        block = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- end -->", text, re.S)
        if write:
            text = text.replace(block.group(), f"<!-- {name} -->\n{table}\n<!-- end -->")
        else:
            program.that(f"docs/projection.md: the table '{name}' is what the program says (project.py --write)",
                         block and block.group(1) == table, table)
    # What the text says of the last column.
    for key, words in (("ml-energy-h100", "measured on it is {} to {}"), ("h20 1", "one H20 it is {} to {}"),
                       ("h20 8", "eight ranks communicate {} to {}")):
        seen = [r["with_measured_efficiency"]["ratio"] for r in expressed if "with_measured_efficiency" in r and
                key in (r["source_id"], f"{r['hardware']} {r['devices']}")]
        said = words.format(f"{min(seen):.1f}", f"{max(seen):.1f}")
        program.that(f"docs/projection.md says '{said}'", write or said in " ".join(text.split()), seen)
    if write:
        path.write_text(text)
    terminal = program.expect("for people", ["project", "--published"], 0).stdout
    program.that("a table for people", "qwen3-32b-bf16-1" in terminal and "not expressed" in terminal, terminal)


def main():
    program = Program(sys.argv)
    with program.scratch():
        if "--write" not in sys.argv:
            nominal(program)
            deployments(program)
            efficiency(program)
            refusals(program)
        published(program, "--write" in sys.argv)
    return program.finish()


sys.exit(main())
