# What:   what people bring and ask: configs of other kinds, plans for programs and for hardware that is not here,
#         prices of other devices, mixes of tokens, checkpoints under other names. Numbers were worked out by hand.
# Usage:  field.py PROGRAM ROOT
# SPDX-License-Identifier: Apache-2.0
import csv
import io
import json
import shutil
import struct
import sys

from program import Program

XEON = "results/2026-11-23_xeon-amx-2-threads_quick.json"
H100 = "results/2026-11-28_h100-80gb-hbm3_quick-gpu.json"


def plans(program):
    decode = ["--phase", "decode", "-c", "1023"]
    done = program.expect("plan --json", ["plan", "-m", "qwen3-30b-a3b", *decode, "--json"], 0)
    (point,) = json.loads(done.stdout)["points"]
    model = point["model"]
    program.that("exact parameters", model["parameters_total"] == 30532122624, model)
    # The embedding is 151936 x 2048, and the head is another matrix.
    program.that("both active counts",
                 model["parameters_active_with_embedding"] - model["parameters_active"] == 151936 * 2048, model)
    program.that("KV bytes per token", point["kv_bytes_per_token"] == 48 * 2 * 4 * 128 * 2, point["kv_bytes_per_token"])
    program.that("KV bytes", point["memory"]["kv_bytes"] == 1024 * point["kv_bytes_per_token"], point["memory"])
    ops = {op["component"]: op for kind in point["kinds"] for op in kind["ops"]}
    program.that("head", ops["lm head"]["weight_bytes"] == 2 * 151936 * 2048, ops["lm head"])
    program.that("an expert", ops["experts"]["bytes_per_distinct_expert"] == 2 * 3 * 2048 * 768, ops["experts"])
    program.that("FLOPs of q, k, v", ops["qkv"]["flops"] == 2 * 2048 * (32 + 2 * 4) * 128, ops["qkv"])

    words = ["plan", "-m", "qwen3-8b", "--phase", "decode", "-c", "1023", "--on", "rtx-4090"]
    done = program.expect("plan --on", words, 0, stdout=["PROJECTION, nothing of it was measured", "fits it (24 GB)"])
    (point,) = json.loads(program.expect("plan --on --json", [*words, "--json"], 0).stdout)["points"]
    on = point["on"]
    program.that("it says that it is a projection", on["projection"] is True, on)
    need, batch = on["memory"], on["memory"]["largest_batch"]
    per_sequence = 1024 * 147456
    room = 24e9 - need["weight_bytes"]
    program.that("largest batch", batch * per_sequence <= room < (batch + 1) * (per_sequence * 1.02), (batch, need))
    context = on["largest_context"]
    program.that("largest context", context == 40959, context)  # 6 GB of cache fit: the model's limit comes first
    # Everything is read once: decode at batch 1 is bound by memory, op by op.
    program.that("possible", abs(on["possible_s"] / (point["bytes"] / 1.008e12) - 1) < 0.02, on)
    two = json.loads(program.expect("two devices", [*words, "--devices", "2", "--json"], 0).stdout)["points"][0]["on"]
    program.that("twice as fast at best", abs(two["possible_s"] * 2 / on["possible_s"] - 1) < 1e-9, two)
    program.expect("unknown hardware", ["plan", "-m", "qwen3-8b", "--on", "rtx4090"], 2, ["--on", "'rtx-4090'"])
    program.expect("devices of nothing", ["plan", "-m", "qwen3-8b", "--devices", "2"], 2, ["--on"])

    for context, code in ((131072, 2), (131071, 0)):
        done = program.expect(f"decode behind {context} cached", ["plan", "-m", "llama-3.1-8b", "--phase", "decode",
                                                                  "-c", context], code)
    program.expect("a prompt of all positions", ["plan", "-m", "llama-3.1-8b", "--phase", "prefill", "-c", "131072"], 0)


def configs(program):
    field = program.root / "tests/unit/field"
    embedding = field / "embedding-qwen3-8b-no-lm-head.json"
    program.expect("an embedding model is asked about", ["plan", "-m", embedding], 2, ["--architecture Qwen3Model"])
    done = program.expect("and answered", ["plan", "-m", embedding, "--architecture", "Qwen3Model", "--json", "--phase",
                                           "decode"], 0)
    program.that("its count", json.loads(done.stdout)["points"][0]["model"]["parameters_total"] == 7567295488)
    program.expect("another family's class", ["plan", "-m", "qwen3-8b", "--architecture", "LlamaModel"], 2,
                   ["--architecture", "Qwen3Model"])
    program.expect("a draft head", ["plan", "-m", field / "draft-eagle3-llama3-8b.json"], 2, ["is a draft head"])
    program.expect("a model that sees", ["plan", "-m", field / "vl-qwen3-vl-4b-dense.json"], 0,
                   stdout=["the language part alone", "4.02 B parameters"])
    program.expect("windows", ["plan", "-m", field / "sliding-window-4096-mixtral-rev0.json", "-c", "32767", "--phase",
                               "decode"], 0, stdout=["537 MB KV cache", "(4.29 GB KV cache in an engine that keeps"])


def money(program):
    price = program.root / "tests/cli/expired_price.json"
    cost = ["cost", program.root / XEON, "--price", price]
    program.expect("a price of another device", cost, 2,
                   ["NVIDIA H100 SXM 80 GB", "Intel(R) Xeon(R) Processor", "--price-of-other-device"])
    for name in ("table", "markdown"):
        program.expect(f"its labels in {name}", [*cost, "--price-of-other-device", "--format", name], 0,
                       stdout=["EXPIRED", "PROMOTIONAL", "ESTIMATE", "OTHER_" if name == "table" else r"OTHER\_"])
    done = program.expect("its labels as data", [*cost, "--price-of-other-device", "--format", "csv"], 0)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    program.that("in every row", rows and all(
        set(row["price_labels"].split()) >= {"expired", "promotional", "estimate", "other_device"} for row in rows),
        rows[:1])
    h100 = ["--price", "h100-sxm-runpod"]
    program.expect("run refuses before it measures", ["run", "-m", "qwen3-0.6b", "--device", "cpu", *h100], 2,
                   ["--price-of-other-device"])
    program.expect("the device's own price needs nothing", ["cost", program.root / H100, *h100], 0)
    program.expect("nor does the example", ["cost", program.root / XEON, "--price", "example-owned-workstation"], 0)

    def usd(*more):
        words = ["cost", program.root / XEON, "--price", "1/h", "--format", "csv", *more]
        text = program.expect(f"price {more}", words, 0).stdout
        row = next(r for r in csv.DictReader(io.StringIO(text))
                   if (r["model"], r["phase"], r["batch"], r["layer_kind"]) == ("qwen3-4b", "decode", "8", "model"))
        return float(row["usd_per_mtok"])

    program.that("half of the hours is twice the price", abs(usd("--utilisation", "0.5") / usd() - 2) < 1e-9)
    table = program.expect("a mix", ["cost", program.root / XEON, "--price", "1/h", "--mix", "3:1"], 0,
                           stdout=["3:1: 75 % input, 0 % cached, 25 % output"]).stdout
    row = next(line.split() for line in table.splitlines() if all(w in line for w in ("qwen3-4b ", " x 256", " 8 ")))
    given, new, each, on_output = map(float, row[-4:])
    program.that("the shares of the two prices", abs(each / (0.75 * given + 0.25 * new) - 1) < 0.01, row)
    program.that("all of it on the output", abs(on_output / (each / 0.25) - 1) < 0.01, row)
    program.expect("agentic", ["cost", program.root / XEON, "--price", "1/h", "--mix", "agentic", "--format", "md"], 0,
                   stdout=["agentic: 4.76 % input, 90.5 % cached, 4.76 % output"])
    words = ["cost", program.root / XEON, "--price", "1/h", "--mix", "3:1", "--utilisation", "0.5", "--format", "csv"]
    text = program.expect("a mix as data", words, 0).stdout
    rows = [r for r in csv.DictReader(io.StringIO(text)) if r["layer_kind"] == "blend"]
    program.that("a row for each decode point", len(rows) == 6, rows)
    program.that("with the shares of both", rows and all(
        abs(float(r["blended_usd_per_mtok"]) / (0.75 * float(r["input_usd_per_mtok"]) + 0.25 * float(
            r["output_usd_per_mtok"])) - 1) < 1e-12 and r["utilisation"] == "0.5" for r in rows), rows)
    for mix in ("3", "3:1:1:1", "a:b", "0:0", "-1:2", "3:", "agentik", "1e400:1", "nan:1"):
        program.expect(f"mix {mix}", ["cost", program.root / XEON, "--price", "1/h", "--mix", mix], 2, ["--mix"])
    program.expect("mix without a price", ["run", "-m", "qwen3-0.6b", "--mix", "3:1"], 2, ["--price"])


def renamed(path, change):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    text = json.dumps(change(header)).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


def checkpoints(program, folder):
    golden = folder / "golden"
    shutil.copytree(program.root / "tests/golden/qwen3_gqa", golden)
    tensors = golden / "model.safetensors"
    good = tensors.read_bytes()
    check = ["check", "-m", golden, "--weights", tensors, "--io", golden / "io_layer0.safetensors"]

    def with_prefix(prefix):
        tensors.write_bytes(good)
        renamed(tensors, lambda h: {k if k == "__metadata__" else prefix + k.removeprefix("model."): v
                                    for k, v in h.items()})

    def with_tensor(name):
        tensors.write_bytes(good)
        renamed(tensors, lambda h: {**h, name: {"dtype": "F32", "shape": [0], "data_offsets": [end, end]}})

    (length,) = struct.unpack("<Q", good[:8])
    end = len(good) - 8 - length
    for prefix in ("", "model.language_model.", "language_model.model.", "transformer."):
        with_prefix(prefix)
        program.expect(f"tensors behind '{prefix}'", check, 0, stdout=["agrees"])
    program.expect("another prefix is missing", [*check, "--prefix", "model."], 2, ["model.layers.0."])
    program.expect("the right one is there", [*check, "--prefix", "transformer."], 0, stdout=["agrees"])
    tensors.write_bytes(good)
    # The first layer's tensors of two models, as target and draft are sometimes kept in one file.
    first = "model.layers.0.input_layernorm.weight"
    renamed(tensors, lambda h: {k.replace(first, "a." + first): v for k, v in h.items()})
    program.expect("a file with a stray name", check, 2, ["model.safetensors"])
    tensors.write_bytes(good)
    program.expect("no such layer in the file", [*check, "--layer", "1"], 2)
    # A weight of the file's layer that a model of this config does not have.
    with_tensor("model.layers.0.self_attn.q_proj.bias")
    program.expect("a bias that is not used", check, 2, ["model.layers.0.self_attn.q_proj.bias", "does not use"])
    with_tensor("model.layers.0.self_attn.kv_a_layernorm.weight")
    program.expect("latent attention", check, 2, ["kv_a_layernorm.weight"])
    with_tensor("model.layers.0.self_attn.rotary_emb.inv_freq")
    program.expect("a table of the rotation", check, 0, stdout=["agrees"])
    with_tensor("model.layers.1.self_attn.q_proj.bias")
    program.expect("a bias of another layer", check, 0, stdout=["agrees"])
    tensors.write_bytes(good)

    # Zeros agree with zeros.
    values = golden / "io_layer0.safetensors"
    data = values.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    values.write_bytes(data[: 8 + length] + b"\0" * (len(data) - 8 - length))
    program.expect("input and output of zeros", check, 2, ["--io", "added nothing"])


def main():
    program = Program(sys.argv)
    with program.scratch() as folder:
        plans(program)
        configs(program)
        money(program)
        checkpoints(program, folder)
    return program.finish()


sys.exit(main())
