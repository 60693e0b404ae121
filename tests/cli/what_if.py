# What:   models that nobody trained, from the command line to every report: twins of a small mixture, and a ladder of
#         levers. Nothing here judges a time.
# Usage:  what_if.py PROGRAM ROOT
# SPDX-License-Identifier: Apache-2.0
import csv
import io
import json
import math
import random
import struct
import sys
import time

from program import Program

FAST = ["--device", "cpu", "--seconds", "0.02", "--rounds", "2"]
# Of small_moe.json, by hand: 512 wide, 3 layers, 4 heads, 2 key heads of 64, 4 experts of 2048 columns, 2 for a token.
COLUMN = 3 * 512
REST = 3 * ((4 + 2 + 2) * 64 * 512 + 512 * 4 * 64 + 2 * 64 + 2 * 512) + 512 + 32768 * 512
ACTIVE = REST + 3 * (2 * 2048 * COLUMN + 4 * 512)


def plans(program):
    def plan(*words):
        return json.loads(program.expect(f"plan {words}", ["plan", "--phase", "decode", "--json", *words], 0).stdout)

    for q, width in (("1", 4096), ("2", 12032)):  # of 4097.3 and 12092.4 columns
        (point,) = plan("-m", f"small@twin{q}")["points"]
        program.that(f"twin {q}", point["model"]["parameters_active"] == REST + 3 * width * COLUMN, point["model"])
        notes = point["model"]["notes"]
        program.that("its notes say q", any("times as many" in note for note in notes), notes)
    names = [point["model"]["name"] for point in plan("-m", "small", "-m", "qwen3-4b", "--twin", "1,2.50,1")["points"]]
    program.that("each size once, of the mixture alone", names == ["small", "qwen3-4b", "small@twin1", "small@twin2.5"],
                 names)
    names = [point["model"]["name"] for point in plan("--suite", "levers", "-m", "small", "-c", "16")["points"]]
    # decode at two batches; the last in two formats
    program.that("the ladder of another model",
                 names == [*["small@dense@mha"] * 2, *["small@dense"] * 2, *["small"] * 4], names)


def errors(program):
    for title, words, said in (
            ("no size", ["-m", "small", "--twin", "0"], ["--twin: expected", "'0'"]),
            ("not a number", ["-m", "small", "--twin", "x"], ["--twin: expected", "'x'"]),
            ("an empty size", ["-m", "small", "--twin", "1,"], ["--twin: expected", "''"]),
            ("a dense model", ["-m", "qwen3-4b", "--twin", "2"], ["--twin: no layer of qwen3-4b has experts"]),
            ("dense models", ["-m", "qwen3-4b", "-m", "qwen3-8b", "--twin", "2"], ["no model of this run has experts"]),
            ("too small", ["-m", "small", "--twin", "0.1"], ["small@twin0.1", "256 columns, is 0.5"]),
            ("a spelling", ["-m", "qwen3-30b-a3b@twim2"], ["'@twim2' is no change of one (did you mean 'twin2'?)"]),
            ("other layers", ["-m", "gemma-4-26b-a4b-it", "--twin", "2"], ["layers of model_type gemma4"]),
            ("a checkpoint", ["-m", "small", "--twin", "1", "--weights", "small"], ["--weights"]),
            ("a checkpoint of a twin", ["-m", "small@twin1", "--weights", "small"], ["nobody trained small@twin1"])):
        program.expect(title, ["run", "--dry-run", *words], 2, said)


def checkpoint(path, width):
    """Layer 0 of a qwen3 model of the small mixture's sizes with an MLP of that width, in bf16: values of +-1/64 to
    1/32, norms of 1."""
    shapes = {"input_layernorm": [512], "post_attention_layernorm": [512], "self_attn.q_norm": [64],
              "self_attn.k_norm": [64], "self_attn.q_proj": [256, 512], "self_attn.k_proj": [128, 512],
              "self_attn.v_proj": [128, 512], "self_attn.o_proj": [512, 256], "mlp.gate_proj": [width, 512],
              "mlp.up_proj": [width, 512], "mlp.down_proj": [512, width]}
    draw, signs = random.Random(1), bytes(0x3C if byte % 2 else 0xBC for byte in range(256))
    header, body = {}, bytearray()
    for name, shape in shapes.items():
        count = math.prod(shape)
        values = bytearray(2 * count)
        values[::2] = bytes([0x80]) * count if len(shape) == 1 else draw.randbytes(count)
        values[1::2] = bytes([0x3F]) * count if len(shape) == 1 else draw.randbytes(count).translate(signs)
        header[f"model.layers.0.{name}.weight"] = {"dtype": "BF16", "shape": shape,
                                                   "data_offsets": [len(body), len(body) + len(values)]}
        body += values
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


# What reads a published dense model's tensors and computes with them as the references do is a dense model.
def checks(program, folder):
    checkpoint(folder / "twin.safetensors", 4096)
    for model, code, said in (("small@twin1", 0, "agrees"), ("small@twin2", 2, ""), ("small", 2, "")):
        done = program.expect(f"check of {model}", ["check", "-m", model, "--weights", "twin.safetensors", "--device",
                                                    "cpu"], code, stdout=[said])
        program.that(f"{model}: nothing is wrong", "WRONG" not in done.stdout, done.stdout)


def data_of(program, name):
    return list(csv.DictReader(io.StringIO(program.expect("csv", ["report", name, "--format", "csv"], 0).stdout)))


def twins(program, folder):
    that = program.that
    run = ["run", "-m", "small", "--twin", "1,2", "--phase", "decode", "-b", "1,4", "-c", "16", "--price", "1/h", *FAST,
           "-o", "twins.json"]
    program.expect("measured", run, 0, timeout=900)
    result = json.loads((folder / "twins.json").read_text())
    that("pairs", result["pairs"] == [{"dense": f"small@twin{q}", "moe": "small"} for q in "12"], result["pairs"])
    that("every part was checked", all(part["outcome"] == "measured" and part["verdict"]["ok"]
                                       for point in result["points"] for part in point["parts"]), "")
    digests = {model["digest"] for model in result["models"]}
    that("models of their own", len(digests) == 3 and all(not model.get("id") for model in result["models"]), digests)
    program.expect("valid", ["report", "twins.json"], 0, stdout=["Against dense models".upper(), "q 1 is 0.99"])
    rows = data_of(program, "twins.json")
    pairs = [row for row in rows if row["kind"] == "pair"]
    that("a row for each pair and batch", len(pairs) == 4, len(pairs))
    lines = [row for row in rows if row["kind"] == "isoline"]
    that("an isoline for each batch", [row["batch"] for row in lines] == ["1", "4"], lines)
    for line in lines:
        of_batch = [row for row in pairs if row["batch"] == line["batch"]]
        if not all(row["paid_ratio"] for row in of_batch):  # of so short a time: impossible, and withheld
            that("what is withheld says why", all(row["paid_ratio"] or row["why"] for row in of_batch), of_batch)
            continue
        paid = sorted((float(row["promised_ratio"]), float(row["paid_ratio"])) for row in of_batch)
        (low_q, low), (high_q, high) = paid
        that("q as reached", math.isclose(low_q, (REST + 3 * 4096 * COLUMN) / ACTIVE), low_q)
        kind = "not_reached" if high <= 1 else "from_smallest" if low > 1 else "between"
        that("its kind follows from paid", line["isoline_kind"] == kind, (line, paid))
        if kind == "between":
            want = low_q * (high_q / low_q) ** (-math.log(low) / (math.log(high) - math.log(low)))
            that("and its q", math.isclose(float(line["isoline_q"]), want, rel_tol=1e-9), (line, want))
    for name in ("t.md", "t.html", "t.csv", "t.tex"):
        program.expect(name, ["report", "twins.json", "-o", name], 0)
    that("Markdown has the map", "cheaper above q" in (folder / "t.md").read_text(), "")
    page = (folder / "t.html").read_text()
    that("the page has the map and its figure", "cheaper above q" in page and 'id="twins"' in page.replace("r1-", ""))
    time.sleep(1.1)  # finished in another second it is another file, which compare asks for
    again = program.expect("resumed, nothing is measured again", ["run", "-m", "small", "--twin", "1,2", "--phase",
                           "decode", "-b", "1,4", "-c", "16", "--price", "1/h", *FAST, "--resume", "twins.json",
                           "-o", "again.json"], 0)
    same = json.loads((folder / "again.json").read_text())["points"] == result["points"]
    that("and nothing is lost", same, again.stderr)
    program.expect("another twin is another model", ["compare", "twins.json", "again.json"], 0, stdout=["small@twin2"])


def levers(program, folder):
    that = program.that
    program.expect("levers", ["run", "--suite", "levers", "-m", "small", "--phase", "decode", "-b", "1", "-c", "16",
                              "--weights-format", "q8_0", "--price", "1/h", *FAST, "-o", "levers.json"], 0, timeout=900)
    steps = [row for row in data_of(program, "levers.json") if row["kind"] == "lever"]
    by_lever = {row["lever"]: row for row in steps}
    that("the steps", set(by_lever) == {"start", "attention", "experts", "q8_0"}, by_lever)
    factors = [by_lever[name]["lever_factor"] for name in ("attention", "experts", "q8_0")]
    in_all = by_lever["q8_0"]["lever_in_all"]
    if all([*factors, in_all]):  # not withheld as impossible
        that("the product is what all of them save",
             math.isclose(math.prod(map(float, factors)), float(in_all), rel_tol=1e-9), (factors, in_all))
    program.expect("on a terminal", ["report", "levers.json"], 0, stdout=["WHAT EACH LEVER SAVES", "multi-token"])
    for name in ("l.md", "l.html", "l.tex"):
        program.expect(name, ["report", "levers.json", "-o", name], 0)
    that("the page has a waterfall", "levers" in (folder / "l.html").read_text(), "")


def main():
    program = Program(sys.argv)
    with program.scratch() as folder:
        program.plant_small()
        plans(program)
        errors(program)
        checks(program, folder)
        twins(program, folder)
        levers(program, folder)
    return program.finish()


sys.exit(main())
