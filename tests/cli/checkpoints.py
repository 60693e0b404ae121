# What:   quantised checkpoints as a person meets them: the plan shows the format of every matrix and bytes follow;
#         check reads each library's layout; what is wrong with a file is told with file, tensor and expectation.
# Usage:  checkpoints.py PROGRAM ROOT [-v]
# SPDX-License-Identifier: Apache-2.0
import json
import shutil
import struct
import sys

from program import Program


def check(name, *more, io=True):
    weights = f"{name}/model.gguf" if name.startswith("gguf") else name
    words = ["check", "--device", "cpu", "-m", name, "--weights", weights, *more]
    return words + (["--io", f"{name}/io_layer0.safetensors"] if io else [])


def rewrite(path, change):
    """A safetensors file anew: `change` gets name -> [dtype, shape, bytes] and alters it."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    body = data[8 + length :]
    tensors = {name: [t["dtype"], t["shape"], body[slice(*t["data_offsets"])]] for name, t in header.items()}
    change(tensors)
    header, body = {}, b""
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def plans(program, folder):
    done = program.expect("plan of a quantised mixture", ["plan", "-m", "ct_int4_g128", "-c", "64", "--json"], 0)
    point = json.loads(done.stdout)["points"][0]
    formats = {m: f for kind in point["kinds"] for op in kind["ops"] for m, f in op.get("matrices", {}).items()}
    program.that("plan: every matrix has its format", formats == {
        "qkv_w": "bf16", "o_w": "bf16", "router_w": "bf16", "experts_gate_up": "int4_g128", "experts_down": "int4_g128",
        "lm_head": "bf16"}, formats)
    # Of an expert 3 x 128 x 128 codes of 4 bits and as many scales of 2 bytes as rows.
    experts = next(op for op in point["kinds"][0]["ops"] if op["component"] == "experts")
    each = 3 * 128 * (128 // 2 + 2)
    program.that("plan: bytes follow", experts["bytes_per_distinct_expert"] == each,
                 (experts["bytes_per_distinct_expert"], each))
    said = point["weights_format"]
    program.that("plan: said as the config's", said == "config:int4_g128", said)
    done = program.expect("plan with a format of one's own",
                          ["plan", "-m", "ct_int4_g128", "-c", "64", "--weights-format", "q8_0", "--json"], 0)
    program.that("plan: --weights-format comes first", '"qkv_w": "q8_0"' in done.stdout, done.stdout[:2000])
    program.expect("plan in words", ["plan", "-m", "ct_mixed", "-c", "64"], 0,
                   stdout=["matrix in", "fp8_channel", "int4_g128"])


def checks(program, folder):
    for name in ("ct_int4_g128", "gptq_g32", "gguf_q8_0"):
        for dtype in ("f32", "bf16"):
            for io in (True, False):
                done = program.expect(f"{name} agrees in {dtype}", check(name, "--dtype", dtype, io=io), 0,
                                      stdout=["agrees"])
                program.that(f"{name}: nothing is wrong", "WRONG" not in done.stdout, done.stdout)


Q = "model.layers.0.self_attn.q_proj"


def bad_tensors(program, folder):
    def drop(part):
        return lambda t: t.pop(Q + part)

    def shape(part, new, count=None):
        def change(t):
            t[Q + part][1] = new
            if count is not None:
                t[Q + part][2] = t[Q + part][2][:count]
        return change

    def put(part, raw):
        def change(t):
            t[Q + part][2] = raw + t[Q + part][2][len(raw):]
        return change

    def kind(part, dtype):
        def change(t):
            t[Q + part][0] = dtype
        return change

    nan, zero = struct.pack("<f", float("nan")), struct.pack("<f", 0.0)
    cases = [
        ("fp8_block", "scale missing", drop(".weight_scale_inv"),
         ["q_proj.weight_scale_inv", "no such tensor", ".weight"]),
        ("fp8_block", "scale of another shape", shape(".weight_scale_inv", [2, 1]),
         ["q_proj.weight_scale_inv", "[2, 1]", "[1, 2]"]),
        ("fp8_block", "scale NaN", put(".weight_scale_inv", nan), ["q_proj.weight_scale_inv", "nan", "positive"]),
        ("fp8_block", "scale zero", put(".weight_scale_inv", zero), ["q_proj.weight_scale_inv", "scale 0 is 0"]),
        ("fp8_block", "codes of another type", kind(".weight", "U8"), ["q_proj.weight", "U8", "F8_E4M3"]),
        ("awq_g32", "packed too short", shape(".qweight", [128, 15], 128 * 15 * 4),
         ["q_proj.qweight", "[128, 15]", "[128, 16]"]),
        ("awq_g32", "zeros missing", drop(".qzeros"), ["q_proj.qzeros", "no such tensor"]),
        ("gptq_g32", "packed the other way", shape(".qweight", [128, 16]), ["q_proj.qweight", "[16, 128]"]),
        ("ct_nvfp4", "global scale missing", drop(".weight_global_scale"), ["q_proj.weight_global_scale"]),
        ("ct_int4_g32_zp", "zero points missing", drop(".weight_zero_point"), ["q_proj.weight_zero_point"]),
        ("modelopt_nvfp4", "packed too long", shape(".weight", [64, 128]), ["q_proj.weight", "[64, 128]", "[128, 64]"]),
    ]
    for name, title, change, words in cases:
        file = folder / name / "model.safetensors"
        good = file.read_bytes()
        rewrite(file, change)
        where = name if "missing" in title else "model.safetensors"
        program.expect(f"{name}: {title}", check(name), 2, [where, *words])
        file.write_bytes(good)
    program.expect("restored", check("fp8_block"), 0)


def bad_configs(program, folder):
    def with_config(name, title, change, words):
        path = folder / name / "config.json"
        good = path.read_text()
        config = json.loads(good)
        change(config)
        path.write_text(json.dumps(config))
        program.expect(f"{name}: {title}", check(name), 2, words)
        path.write_text(good)

    quantised = "quantization_config"
    with_config("awq_g32", "a group that does not divide k",
                lambda c: (c.update(hidden_size=144), c[quantised].update(group_size=128)),
                ["config.json", "144", "128"])
    with_config("awq_g32", "another method than the tensors'",
                lambda c: c.update({quantised: {"quant_method": "fp8", "weight_block_size": [128, 128]}}),
                ["q_proj.weight", "there are only .qweight"])
    with_config("awq_g32", "two methods", lambda c: c.update(compression_config={"quant_method": "fbgemm_fp8"}),
                ["two methods in one checkpoint", "awq", "fbgemm_fp8"])
    with_config("awq_g32", "no config", lambda c: c.pop(quantised), ["q_proj.weight", "no such tensor"])
    with_config("awq_g32", "unknown method", lambda c: c[quantised].update(quant_method="awg"),
                ["quantization_config.quant_method", "awg", "'awq'"])
    with_config("awq_g32", "unknown option", lambda c: c[quantised].update(zero_points=True),
                ["zero_points", "'zero_point'"])
    with_config("gguf_q8_0", "a quantised config beside a GGUF",
                lambda c: c.update({quantised: {"quant_method": "fbgemm_fp8"}}), ["two methods in one checkpoint"])


def bad_gguf(program, folder):
    file = folder / "gguf_q8_0" / "model.gguf"
    good = file.read_bytes()
    name = b"blk.0.attn_q.weight"
    at = good.index(struct.pack("<Q", len(name)) + name) + 8 + len(name)
    (axes,) = struct.unpack_from("<I", good, at)
    offset_at = at + 4 + 8 * axes + 4
    offsets = [("behind the file", 1 << 40, ["behind the file"]), ("near 2^64", (1 << 64) - 32, ["behind the file"]),
               ("within another tensor", 0, ["another tensor"]), ("not aligned", 7, ["multiple of the alignment"])]
    for title, offset, words in offsets:
        file.write_bytes(good[:offset_at] + struct.pack("<Q", offset) + good[offset_at + 8 :])
        program.expect(f"gguf: an offset {title}", check("gguf_q8_0"), 2, ["model.gguf", *words])
    file.write_bytes(good[: len(good) // 2])
    program.expect("gguf: cut short", check("gguf_q8_0"), 2, ["model.gguf", "behind the file"])
    file.write_bytes(good[: at + 2])
    program.expect("gguf: cut in the header", check("gguf_q8_0"), 2, ["model.gguf"])
    file.write_bytes(good.replace(name, b"blk.0.attn_z.weight"))
    program.expect("gguf: a tensor missing", check("gguf_q8_0"), 2, ["blk.0.attn_q.weight", "'blk.0."])
    file.write_bytes(good[: at + 4] + struct.pack("<Q", 64) + good[at + 12 :])
    program.expect("gguf: another shape", check("gguf_q8_0"), 2, ["model.gguf", "blk.0.attn_q.weight"])
    file.write_bytes(good)
    program.expect("gguf: restored", check("gguf_q8_0"), 0)


def main():
    program = Program(sys.argv)
    with program.scratch() as folder:
        for case in sorted((program.root / "tests/formats").iterdir()):
            if case.is_dir():
                shutil.copytree(case, folder / case.name)
        plans(program, folder)
        checks(program, folder)
        bad_tensors(program, folder)
        bad_configs(program, folder)
        bad_gguf(program, folder)
    return program.finish()


if __name__ == "__main__":
    sys.exit(main())
