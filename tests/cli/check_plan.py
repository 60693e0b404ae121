# What:   layercost check agrees with a golden, and says WRONG (exit code 1) as soon as one number of config.json is
#         another; spoiled safetensors files are refused; layercost plan, list and the welcome print what they should.
# Usage:  check_plan.py PROGRAM ROOT
# SPDX-License-Identifier: Apache-2.0
import json
import shutil
import struct
import sys

from program import Program


def spoil_header(path, change):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = change(json.loads(data[8 : 8 + length]))
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


def rename(header, old, new):
    return {new if key == old else key: value for key, value in header.items()}


def check(model, layer=0, dtype="f32", weights=None):
    return ["check", "--model", model, "--weights", weights or f"{model}/model.safetensors", "--layer", layer,
            "--io", f"{model}/io_layer{layer}.safetensors", "--dtype", dtype]


def goldens(program, folder):
    for name, layer in (("qwen3_gqa", 0), ("qwen3_moe_sparse", 1)):
        shutil.copytree(program.root / "tests/golden" / name, folder / name)
        for dtype in ("f32", "bf16"):
            done = program.expect(f"{name} agrees in {dtype}", check(name, layer, dtype), 0, stdout=["agrees"])
            program.that(f"{name}: nothing is wrong", "WRONG" not in done.stdout, done.stdout)

    config = folder / "qwen3_gqa" / "config.json"
    good = json.loads(config.read_text())
    rope = good.get("rope_parameters")
    theta = {"rope_parameters": {**rope, "rope_theta": 20000.0}} if rope else {"rope_theta": 20000.0}
    for title, change in (("eps", {"rms_norm_eps": 0.01}), ("theta", theta)):
        config.write_text(json.dumps({**good, **change}))
        done = program.expect(f"another {title} is WRONG", check("qwen3_gqa"), 1, stdout=["WRONG"])
        program.that(f"another {title}: no crash instead", "layercost:" not in done.stderr, done.stderr)
    config.write_text(json.dumps({**good, "hidden_size": good["hidden_size"] * 2}))
    program.expect("another hidden size does not fit the file", check("qwen3_gqa"), 2)
    config.write_text(json.dumps(good))
    program.expect("layer past the end", check("qwen3_gqa", 0) + ["--layer", "99"], 2)
    program.expect("unknown dtype", check("qwen3_gqa", 0, "fp8"), 2, ["--dtype", "fp8"])
    io = folder / "qwen3_gqa" / "io_layer0.safetensors"
    program.expect("input and output swapped for weights", check("qwen3_gqa", weights=str(io)), 2, ["io_layer0"])


def cache_types(program):
    # 36 layers x (k and v) x 8 heads x 128 elements, of 8 sequences of 8193 tokens
    for kv_type, size in (("bf16", 2), ("fp8_e4m3", 1)):
        done = program.expect(f"plan with a cache in {kv_type}",
                              ["plan", "-m", "qwen3-4b", "--phase", "decode", "-c", "8192", "-b", "8", "--kv-type",
                               kv_type, "--json"], 0)
        point = json.loads(done.stdout)["points"][0]
        seen = point["kv_bytes_per_token"], point["memory"]["kv_bytes"]
        each = 36 * 2 * 8 * 128 * size
        program.that(f"plan: bytes of a cache in {kv_type}", seen == (each, each * 8 * 8193), seen)


def spoiled_files(program, folder):
    name = "qwen3_gqa"
    tensors = folder / name / "model.safetensors"
    good = tensors.read_bytes()
    (length,) = struct.unpack("<Q", good[:8])
    header = json.loads(good[8 : 8 + length])
    victim = next(key for key in header if key.endswith("q_proj.weight"))

    def with_entry(**entry):
        return lambda h: {**h, victim: {**h[victim], **entry}}

    start, end = header[victim]["data_offsets"]
    cases = [
        ("tensor missing", lambda h: rename(h, victim, victim.replace("q_proj", "z_proj")), [victim]),
        ("another shape", with_entry(shape=list(reversed(header[victim]["shape"]))), [victim]),
        ("shape larger than the data", with_entry(shape=[2**31, 2**31]), [victim]),
        ("negative shape", with_entry(shape=[-1, 4]), [victim]),
        ("data past the end", with_entry(data_offsets=[start, end + 2**40]), [victim]),
        ("data backwards", with_entry(data_offsets=[end, start]), [victim]),
        ("unknown type", with_entry(dtype="F99"), ["F99"]),
    ]
    for title, change, words in cases:
        tensors.write_bytes(good)
        spoil_header(tensors, change)
        program.expect(f"safetensors: {title}", check(name), 2, ["model.safetensors", *words])
    raw = [
        ("empty", b""),
        ("seven bytes", good[:7]),
        ("truncated data", good[: len(good) // 2]),
        ("header longer than the file", struct.pack("<Q", len(good)) + good[8:]),
        ("header of 2^63 bytes", struct.pack("<Q", 2**63) + good[8:]),
        ("header cut", struct.pack("<Q", length // 2) + good[8:]),
        ("header is no JSON", good[:8] + b"x" * length + good[8 + length :]),
        ("bytes after the data", good + b"\0" * 16),
    ]
    for title, data in raw:
        tensors.write_bytes(data)
        program.expect(f"safetensors: {title}", check(name), 2, ["model.safetensors"])
    tensors.write_bytes(good)
    program.expect("the restored file agrees again", check(name), 0)


# Counts and sizes by hand, or as published: of a hybrid, of layers of two kinds, of one with a window.
def lists_models(program):
    done = program.expect("models", ["list", "models"], 0,
                          stdout=["llama-4-scout-17b-16e-instruct", "moe chunk=8192 x 36", "--json"])
    program.that("models: 80 columns", all(len(line) <= 80 for line in done.stdout.splitlines()), done.stdout)
    known = {m["model"]: m for m in json.loads(program.expect("as JSON", ["list", "models", "--json"], 0).stdout)}
    program.that("models: all of them, with source and date",
                 len(known) >= 35 and all(m["source"] and m["collected_by"].startswith("20") for m in known.values()),
                 known)
    for name, kinds, kv, state in (
            ("llama-4-scout-17b-16e-instruct", {"moe chunk=8192": 36, "moe unrotated": 12}, 196608, 0),
            ("gpt-oss-20b", {"moe window=128": 12, "moe": 12}, 49152, 0),
            ("qwen3.5-27b", {"dense linear": 48, "dense": 16}, 65536, 48 * (48 * 128 * 128 * 4 + 3 * 10240 * 2)),
            ("minimax-text-01", {"moe linear": 70, "moe": 10}, 40960, 70 * 64 * 128 * 128 * 4),
            ("gemma-4-26b-a4b-it", {"moe window=1024": 25, "moe": 5}, 225280, 0)):
        m = known.get(name, {})
        got = (m.get("kinds"), m.get("kv_bytes_per_token_bf16"), m.get("state_bytes_per_sequence_bf16"))
        program.that(f"{name}: kinds, cache, state", got == (kinds, kv, state), got)
    mtp = known["deepseek-v3"].get("mtp", {})  # published: 11.5 B beside embedding and head
    program.that("deepseek-v3: a layer that no step has",
                 mtp.get("layers") == 1 and abs(mtp["parameters_each"] / 11.5e9 - 1) < 0.01, mtp)
    program.expect("JSON of another list", ["list", "ops", "--json"], 2, ["--json"])


def plan_and_lists(program):
    done = program.expect("plan of a large model", ["plan", "-m", "qwen3-235b-a22b", "-b", "64", "-c", "8192"], 0,
                          stdout=["94 x moe", "experts", "memory:", "125.9 of 128 experts", "tokens already cached"])
    program.that("plan: both phases", "decode, batch 64" in done.stdout and "prefill, batch 1" in done.stdout,
                 done.stdout)
    program.expect("plan of a suite", ["plan", "--suite", "quick"], 0, stdout=["qwen3-30b-a3b", "qwen3-4b"])
    v3 = ["plan", "-m", "deepseek-v3", "--phase", "decode", "-b", "8"]
    program.expect("plan of layers that no step has", v3, 0,
                   stdout=["mtp moe, not counted in a step: 11.61 B parameters"])
    program.expect("plan of a rank of eight", [*v3, "--tp", "8"], 0,  # 122 x 2 x 7/8 x 8 x 7168 x 2 B
                   stdout=["one of 8 ranks", "24.5 MB in 122 all-reduces", "heads=16"])
    program.expect("plan of a dense model has no experts", ["plan", "-m", "Qwen/Qwen3-4B"], 0, stdout=["36 x dense"])
    program.expect("welcome", [], 0, stdout=["layercost run --suite quick", "this machine"])
    program.expect("help", ["--help"], 0, stdout=["run", "check", "plan", "report"])
    program.expect("help of a command", ["run", "--help"], 0, stdout=["--routing", "--price"])
    program.expect("version", ["--version"], 0)
    program.expect("variants", ["list", "variants"], 0, stdout=["plain_loops", "moe_experts"])
    program.expect("devices", ["list", "devices"], 0, stdout=["cpu", "cuda:0"])
    lists_models(program)
    program.expect("doctor", ["doctor", "--no-probe"], 0, stdout=["models in configs"])
    program.expect("one op", ["check", "--op", "rms_norm"], 0, stdout=["rms_norm", "0 wrong"])
    # The first variant of the list refuses f32: as the first row of a CSV it would leave no columns for the others.
    program.expect("ops as CSV", ["ops", "--device", "cpu", "--benchmark_format=csv", "--benchmark_min_time=0.001",
                                  "--case", "linear m=40 n=64 k=64 x_type=f32 w_type=f32 y_type=f32"], 0,
                   stdout=["[plain_loops]", "unsupported: takes x_type=bf16, not f32"])


def main():
    program = Program(sys.argv)
    with program.scratch() as folder:
        goldens(program, folder)
        cache_types(program)
        spoiled_files(program, folder)
        plan_and_lists(program)
    return program.finish()


sys.exit(main())
