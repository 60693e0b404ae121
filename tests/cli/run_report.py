# What:   layercost run on a small model, from beginning to end: a valid result, a point that does not fit, Ctrl-C and
#         --resume, and what report and cost make of the file. Nothing here judges a time.
# Usage:  run_report.py PROGRAM ROOT
# Rules:  each `run` probes the machine's limits first, which takes seconds: few runs, many looks at each.
# SPDX-License-Identifier: Apache-2.0
import csv
import getpass
import io
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

from program import Program

# One layer of it needs terabytes: no machine has them.
GIANT = {"model_type": "llama", "hidden_size": 2**18, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 2**20, "vocab_size": 256,
         "max_position_embeddings": 4096, "rms_norm_eps": 1e-6, "rope_theta": 10000, "hidden_act": "silu",
         "tie_word_embeddings": False}
CSV_COLUMNS = ["model", "layer_kind", "phase", "batch", "context", "tokens", "weight_type", "activation_type",
               "kv_type", "device", "routing", "time_s", "tokens_per_s", "possible_fraction",
               "memory_required_bytes", "fits", "usd_per_mtok", "state", "time_low_s", "time_high_s", "labels",
               "price_id"]


def near(text, value):
    return abs(float(text) / value - 1) < 1e-9


def parts_of(result):
    return [(point, part) for point in result["points"] for part in point["parts"]]


def look_at(program, folder, result):
    that = program.that
    that("complete", result["complete"] is True, result["complete"])
    that("schema version", re.fullmatch(r"1\.\d+\.\d+", result["schema_version"]), result["schema_version"])
    models = [point["model"] for point in result["points"]]
    that("every planned point is there once", models == ["small", "giant"], models)
    that("command keeps no folders, and the price", [word for word in result["command"] if "/" in word] == ["1/h"],
         result["command"])
    for point, part in parts_of(result):
        name = f"{point['model']} {part['kind']}"
        if point["model"] == "giant" and part["kind"] == "dense":
            that(f"{name}: out_of_memory", part["outcome"] == "out_of_memory", part["outcome"])
            that(f"{name}: says how much", "GB" in part["why"] and part["rounds"] == [], part)
            continue
        that(f"{name}: measured", part["outcome"] == "measured", (part["outcome"], part.get("why")))
        that(f"{name}: no reason why not", not part.get("why"), part.get("why"))
        that(f"{name}: verdict ok", part["verdict"]["ok"] is True and part["verdict"]["rel_l2"] > 0, part["verdict"])
        that(f"{name}: two rounds", len(part["rounds"]) == 2, part["rounds"])
        for one in part["rounds"]:
            times = [sample["time_s"] for sample in one["samples"]]
            that(f"{name}: every sample is kept", len(times) >= 1 and all(t > 0 for t in times), times)
        that(f"{name}: ops with their work", part["ops"] and all(op["flops"] > 0 for op in part["ops"]), part["ops"])
        that(f"{name}: a stack", part["stack"]["layers"] >= 2, part["stack"])
    routing = next(part for point, part in parts_of(result) if part["kind"] == "moe")["routing"]
    that("histogram of four experts", len(routing["histogram"]) == 4 and min(routing["histogram"]) > 0, routing)
    that("histogram adds up", sum(routing["histogram"]) == routing["draws"] * 4 * 2, routing)
    that("distinct experts", 2 <= routing["distinct_experts"] <= 4, routing)

    text = (folder / "out.json").read_text()
    private = {socket.gethostname(), os.environ.get("HOSTNAME", "")}
    private |= {str(folder), str(pathlib.Path.home()), str(program.root)}
    user = getpass.getuser()
    private |= {f"/home/{user}", f'"{user}"'}
    # Short host names ("pc") would be found by chance.
    found = [word for word in private if len(word) > 3 and word in text]
    that("no host, user or folder in the result", not found, found)


def look_at_reports(program, folder, result):
    that = program.that
    table = program.expect("table", ["report", "out.json"], 0,
                           stdout=["small", "out of memory", "possible", "verdict"]).stdout
    widest = max(table.splitlines(), key=len)
    that("table has at most 100 columns", len(widest) <= 100, f"{len(widest)}: {widest}")
    that("no colour codes outside a terminal", "\x1b" not in table, table[:200])

    rows = list(csv.DictReader(io.StringIO(program.expect("csv", ["report", "out.json", "--format", "csv"], 0).stdout)))
    that("csv columns", list(rows[0])[: len(CSV_COLUMNS)] == CSV_COLUMNS, list(rows[0]))
    for kind, count in (("layer", len(parts_of(result))), ("model", len(result["points"])),
                        ("pair", len(result["pairs"]))):
        that(f"csv: rows of kind {kind}", [row["kind"] for row in rows].count(kind) == count, rows)
    states = {(r["model"], r["layer_kind"]): r for r in rows}
    giant = states["giant", "dense"]
    that("csv: what was not measured has no time",
         (giant["state"], giant["time_s"], giant["usd_per_mtok"]) == ("out_of_memory", "", ""), giant)
    whole = states["small", "model"]
    # A neighbour, or a sanitizer, which slows the probes more than the kernels, makes a part impossible now and then.
    impossible = any("impossible" in states["small", part]["labels"] for part in ("moe", "head"))
    if impossible:
        that("csv: a model with an impossible part has no time",
             (whole["time_s"], whole["usd_per_mtok"]) == ("", ""), whole)
    else:
        layers = 3 * float(states["small", "moe"]["time_s"]) + float(states["small", "head"]["time_s"])
        that("csv: the model is its layers and the head", near(whole["time_s"], layers), (whole["time_s"], layers))
        usd = float(whole["time_s"]) / int(whole["tokens"]) * 1e6 / 3600
        that("csv: 1 USD per hour", near(whole["usd_per_mtok"], usd), (whole["usd_per_mtok"], usd))

    program.expect("markdown", ["report", "out.json", "-o", "r.md"], 0)
    markdown = (folder / "r.md").read_text()
    that("markdown has a table", "|---" in markdown.replace(" ", ""), markdown[:500])
    for name in ("markdown", "md"):
        program.expect(f"--format {name}", ["report", "out.json", "--format", name, "-o", "named.md", "--force"], 0)
        that(f"--format {name} is what -o r.md writes", (folder / "named.md").read_text() == markdown, name)
    (folder / "named.md").unlink()
    twice = program.expect("cost", ["cost", "out.json", "--price", "2/h", "--format", "csv"], 0).stdout
    again = {(r["model"], r["layer_kind"]): r for r in csv.DictReader(io.StringIO(twice))}["small", "model"]
    if not impossible:
        that("twice the price, twice the cost", near(again["usd_per_mtok"], 2 * usd), again["usd_per_mtok"])
    that("at another price the time is the same", again["time_s"] == whole["time_s"], again["time_s"])
    program.expect("two files in one report", ["report", "out.json", "out.json"], 0)
    program.expect("report in no format", ["report", "out.json", "-o", "r.docx"], 2, ["docx"])
    program.expect("report to nowhere", ["report", "out.json", "-o", "no/folder/r.md"], 2, ["no/folder"])
    broken = json.loads(json.dumps(result))
    broken["points"][0]["parts"][0]["rounds"][0]["samples"][0]["time_s"] = -1
    (folder / "broken.json").write_text(json.dumps(broken))
    program.expect("a negative time is refused", ["report", "broken.json"], 2, ["broken.json", "time_s", "-1"])


def stop_and_resume(program, folder):
    that = program.that
    words = ["run", "-m", "small", "--phase", "decode", "-b", "4", "-c", "16", "--seconds", "0.02", "--rounds", "3"]
    with open(folder / "stopped.txt", "w") as errors:
        process = subprocess.Popen([program.path, *words, "-o", "stopped.json"], cwd=folder, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=errors)
        file, deadline = folder / "stopped.json", time.monotonic() + 400
        while time.monotonic() < deadline and process.poll() is None:
            if file.exists() and any(part["rounds"] for _, part in parts_of(json.loads(file.read_text()))):
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        code = process.wait(timeout=120)
    said = (folder / "stopped.txt").read_text()
    if not that("Ctrl-C: exit code 1", code == 1, (code, said)):
        return
    that("Ctrl-C: says how to go on", "--resume stopped.json" in said, said)
    stopped = json.loads(file.read_text())
    that("Ctrl-C: the file is marked incomplete", stopped["complete"] is False, stopped["complete"])
    kept = [[one["samples"] for one in part["rounds"]] for _, part in parts_of(stopped)]
    that("Ctrl-C: something was measured, and not all", any(kept) and not all(len(k) == 3 for k in kept), kept)
    program.expect("Ctrl-C: the file can be shown", ["report", "stopped.json"], 0, stdout=["INCOMPLETE"])
    program.expect("resume of another run", [*words, "--dtype", "f32", "--resume", "stopped.json"], 2, ["stopped.json"])
    elsewhere = json.loads(json.dumps(stopped))
    elsewhere["points"][0]["kv_type"] = "f32"
    (folder / "elsewhere.json").write_text(json.dumps(elsewhere))
    program.expect("resume of a run with another cache", [*words, "--resume", "elsewhere.json"], 2,
                   ["points[0]", "f32 KV"])
    (folder / "elsewhere.json").unlink()
    peer = {"implementation": "pytorch", "version": "2", "detail": "", "model": "small", "phase": "decode", "batch": 4,
            "context": 16, "weight_type": "bf16", "kind": "moe", "threads": 1, "layers": 2, "cold": True, "note": "",
            "rounds": [{"index": 0, "samples_s": [0.5, 0.25]}]}
    file.write_text(json.dumps({**stopped, "peers": [peer]}))
    program.expect("resume", [*words, "--resume", "stopped.json"], 0)
    resumed = json.loads(file.read_text())
    that("resumed: peers are kept", resumed["peers"] == [peer], resumed.get("peers"))
    that("resumed: complete", resumed["complete"] is True, resumed["complete"])
    counts = [len(part["rounds"]) for _, part in parts_of(resumed)]
    that("resumed: three rounds each", counts == [3, 3], counts)
    for (_, part), before in zip(parts_of(resumed), kept):
        now = [one["samples"] for one in part["rounds"]]
        that("resumed: nothing that was measured is lost", all(samples in now for samples in before), part["kind"])


def main():
    program = Program(sys.argv)
    with program.scratch() as folder:
        for name in ("small", "giant"):
            (folder / name).mkdir()
        shutil.copy(pathlib.Path(__file__).parent / "small_moe.json", folder / "small" / "config.json")
        (folder / "giant" / "config.json").write_text(json.dumps(GIANT))
        done = program.expect("a run with a point that does not fit",
                              ["run", "-m", folder / "small", "-m", "giant", "--phase", "decode", "-b", "4", "-c", "16",
                               "--seconds", "0.02", "--rounds", "2", "--price", "1/h", "-o", "out.json"], 0,
                              stdout=["out of memory", "small", "PRELIMINARY"], timeout=500)
        if done.returncode == 0:
            result = json.loads((folder / "out.json").read_text())
            look_at(program, folder, result)
            look_at_reports(program, folder, result)
        stop_and_resume(program, folder)
        names = sorted(path.name for path in folder.iterdir())
        expected = ["broken.json", "giant", "out.json", "r.md", "small", "stopped.json", "stopped.txt"]
        program.that("no other file is left behind", names == expected, names)
    return program.finish()


sys.exit(main())
