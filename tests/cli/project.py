# What:   layercost project: times, rates and money of a step worked here from the op work that `plan` prints; on the
#         device that a result was measured on it gives the result's own time back; published results held against it,
#         and docs/projection.md's table of that; what is not of the device is refused.
# Usage:  project.py PROGRAM ROOT [--write]   (--write: the tables of docs/projection.md anew)
# SPDX-License-Identifier: Apache-2.0
import csv
import io
import json
import os
import re
import statistics
import sys

from program import Program

H100 = "results/2026-11-28_h100-80gb-hbm3_quick-gpu.json"
BATCH_64 = "results/2026-11-28_h100-80gb-hbm3_decode-batch64.json"
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
                             op.get("limited_by") == ("memory" if size / 4.8e12 > flops or edge else
                                                      None if op["op"] == "moe_route" else
                                                      "fp8" if in_fp8 else "bf16"), op)
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
    large = ["project", "-m", "qwen3-32b", "--phase", "decode", "-b", "8", "--on", "h100-sxm", "--price", "3/h",
             "--efficiency-from", program.root / H100, "-c"]
    for title, words, fits in (("what does not fit", [*large, "16384"], False), ("what fits", [*large, "4096"], True)):
        text = program.expect(title, words, 0).stdout
        money = [line for line in text.splitlines() if "USD per million" in line or "USD with" in line]
        program.that(f"{title}: money says so", len(money) == 2 and
                     all(line.endswith("; hypothetical: does not fit") != fits for line in money), text)
        on = points(program, title, words)[0]["on"]
        program.that(f"{title}: JSON says so", on["fits"] == fits and all(
            on[key].get("hypothetical", False) != fits and "usd_per_mtok" in on[key]
            for key in ("nominal", "with_measured_efficiency")), on)
    # 4.8 TB/s alone: twice the weights of bf16 and the head's.
    words = ["project", "-m", "qwen3-4b", "--phase", "decode", "-b", "1", "-c", "1024", "--dtype", "f32", "--on",
             "h200-sxm", "--price", "1/h", "--efficiency-from", program.root / H100]
    text = program.expect("no rate", words, 0, stdout=[
        "unknown, the vendor gives no rate for f32", "cost: absent, ", "efficiency: absent, ",
        "nothing real is faster than "]).stdout
    on = points(program, "no rate, as JSON", words)[0]["on"]
    read = on["memory"]["weight_bytes"] + on["memory"]["kv_bytes"]
    program.that("memory is a bound all the same", "f32" in on["why_absent"] and "possible_s" not in on and
                 near(on["memory_bound_s"], read / 4.8e12, 0.01), on)
    # Sold as 24 GB, 25.8e9 bytes if GiB: 8.05 GB of weights, and 147 456 bytes a token.
    edge = ["project", "-m", "qwen3-4b", "--phase", "decode", "-b", "4", "--on", "rtx-4090"]
    for context, said in ((26000, False), (28500, True), (31000, False)):
        text = program.expect(f"4 x {context} tokens", [*edge, "-c", context], 0).stdout
        on = points(program, f"4 x {context} tokens, as JSON", [*edge, "-c", context])[0]["on"]
        need = sum(on["memory"][key] for key in ("weight_bytes", "kv_bytes", "state_bytes", "activation_bytes"))
        program.that(f"4 x {context} tokens: GB may be GiB", said == (24e9 < need <= 24 * 2**30) and
                     ("24 GB were GiB" in text) == said and on.get("fits_if_gib", False) == said, text)
    # Twice that of sums in f32, which configs/hardware has too.
    fp8 = ["project", "-m", "qwen3-4b", "--weights-format", "fp8_block128", "--on", "rtx-4090"]
    program.expect("the faster rate", fp8, 0, stdout=["661 TFLOP/s in fp8 (sums in f16) for bf16 x fp8_block128"])
    (rate,) = [r for r in points(program, "as JSON", fp8)[0]["on"]["rates"] if r["nominal"] == "fp8"]
    program.that("says how it sums", rate["accumulate"] == "f16" and rate["flops_per_s"] == 660600000000000, rate)


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
    (twice,) = points(program, "the same file twice",
                      [*words, "--on", "h200-sxm", "--efficiency-from", program.root / H100])
    program.that("counts once", twice["on"]["efficiency_from"] == on["efficiency_from"], twice)
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


def size(program):
    """Other sizes than those measured: more ranks are never slower, and batch 64 from batch 8 is what was measured."""
    base = ["project", "--phase", "decode", "--on", "h100-sxm", "--efficiency-from", program.root / H100]
    for model in ("qwen3-30b-a3b", "qwen3-4b"):
        for batch, context in ((1, 1024), (8, 512)):
            steps = []
            for ranks in (1, 2, 4):
                words = [*base, "-m", model, "-b", batch, "-c", context, *(["--tp", ranks] if ranks > 1 else [])]
                on = points(program, f"{model}, {ranks} ranks", map(str, words))[0]["on"]
                steps.append(on["with_measured_efficiency"]["step_s"])
                for op in (op for part in on["parts"] for op in part["ops"]):
                    title = f"{model} batch {batch}, {ranks} ranks: {op['component']}"
                    program.that(f"{title} from its own kind and batch",
                                 op["measured_at"].endswith(f", {op['component']}") and
                                 (op["op"] in ("attention", "rope") or f" batch {batch} " in op["measured_at"]), op)
                    program.that(f"{title} takes a launch", op["projected_s"] > 0.5e-6, op)
                    program.that(f"{title}: far is far", op["far_in_size"] == (op["times_in_size"] > 8.000001), op)
            program.that(f"{model} batch {batch}: more ranks are not slower", steps[0] > steps[1] > steps[2], steps)

    result = json.loads((program.root / BATCH_64).read_text())
    program.that("three models", len(result["points"]) == 3, len(result["points"]))
    errors = []
    for point in result["points"]:
        words = [*base, "-m", point["model"], "-b", "64", "-c", "4096"]
        on = points(program, f"{point['model']}, batch 64", words)[0]["on"]
        parts = {part["kind"]: part for part in on["parts"]}
        for part in point["parts"]:
            times = [sample["time_s"] for one in part.get("rounds", []) for sample in one["samples"]]
            if not times:
                continue
            layer = sum(op["projected_s"] for op in parts[part["kind"]]["ops"])
            errors.append(100 * (layer / statistics.median(times) - 1))
            program.that(f"{point['model']} batch 64: the layer that was measured", abs(errors[-1]) < 10, errors)
            for op in parts[part["kind"]]["ops"]:
                if op["carried"]:
                    program.that(f"{point['model']} batch 64: {op['component']} is a launch",
                                 op["projected_s"] < 6e-6, op)
    said = "layers come out " + ", ".join(f"{e:+.1f} %" for e in errors[:-1]) + f" and {errors[-1]:+.1f} % off"
    text = (program.root / "docs/projection.md").read_text()
    program.that(f"docs/projection.md says '{said}'", said in " ".join(text.split()), errors)

    words = [*base, "-m", "qwen3-32b", *PRICE, "--price-of-other-device", "-b", "256", "-c", "4096"]
    text = program.expect("far from any size", list(map(str, words)), 0).stdout
    program.that("is marked", " FAR" in text and "FAR: " in text and "further than measurements have checked" in text,
                 text)
    program.that("a price of another device than --on names", "of another device than --on names" in text, text)
    on = points(program, "far, as JSON", list(map(str, words)))[0]["on"]
    program.that("is marked, as JSON", "glu" in on["far_in_size"], on["far_in_size"])
    text = program.expect("no figure binds it", ["project", "-m", "qwen3-30b-a3b", "--on", "h100-sxm"], 0).stdout
    program.that("route has no limit", re.search(r"\n *route +- +- ", text), text)


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
    words = ["project", "--published", *["--efficiency-from", program.root / H100] * 2]
    text = program.expect("for people", words, 0).stdout
    told = json.loads(program.expect("for programs", [*words, "--json"], 0).stdout)
    (source,) = told["efficiency_from"]
    program.that("what it is and comes from", told["projection"] is True and text.startswith("PROJECTION") and
                 text.count(source["file"]) == 1 and f"sha256 {source['result_sha256'][:16]}" in text and
                 source["device_name"] in text and re.search("labelled .*PRELIMINARY", text), text)
    program.that("each projected row says so", all(
        r["with_measured_efficiency"]["measured_in"] == [source["file"]] and
        "preliminary" in r["with_measured_efficiency"]["labels"]
        for r in told["published"] if "with_measured_efficiency" in r), told)
    for columns in (60, 80):
        os.environ["COLUMNS"] = str(columns)
        text = program.expect(f"{columns} columns", words, 0).stdout
        del os.environ["COLUMNS"]
        rows = [line for line in text.splitlines() if re.search(r"  [\d.]+ (tokens/s|USD/Mtok) ", line)]
        program.that(f"{columns} columns: units and ratios stay", len(rows) == len(expressed) and "pos/pub" in text and
                     "prj/pub" in text and all(len(line) <= columns for line in text.splitlines()), text)
    terminal = program.expect("for people", ["project", "--published"], 0).stdout
    program.that("a table for people", "qwen3-32b-bf16-1" in terminal and "not expressed" in terminal, terminal)


def main():
    program = Program(sys.argv)
    with program.scratch():
        if "--write" not in sys.argv:
            nominal(program)
            deployments(program)
            efficiency(program)
            size(program)
            refusals(program)
        published(program, "--write" in sys.argv)
    return program.finish()


sys.exit(main())
