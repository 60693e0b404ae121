# What:   `run` and `plan` with the weights of a checkpoint: every layout is read and measured, layer by layer and with
#         its head; what does not fit is told before anything is written; another checkpoint is another run.
# Usage:  stored_weights.py PROGRAM ROOT [-v]
# SPDX-License-Identifier: Apache-2.0
import json
import random
import shutil
import struct
import sys

from checkpoints import rewrite
from program import Program

QUICK = ["--device", "cpu", "--threads", "1", "--rounds", "1", "--seconds", "0.01", "--phase", "decode", "-c", "16"]
HIDDEN, HEADS, DIM, WIDTH, WORDS = 256, 4, 64, 512, 320  # a stack of some fifty layers


def run(model, weights, *more, out="out.json"):
    return ["run", *QUICK, "-m", model, "--weights", weights, "-o", out, "--force", *more]


def result(folder):
    """Of the last run, which is taken away; one that could not be finished is the partial file."""
    partial = folder / "out.partial.json"
    return json.loads((partial.replace(folder / "taken.json") if partial.exists() else folder / "out.json").read_text())


def arithmetics(part):
    """Of the ops' products, beside bf16, and of the probes around each sample."""
    named = {name for op in part["ops"] for name in op.get("product_flops", {})}
    probed = [set(sample[at].get("product_flops_per_s", {})) for one in part["rounds"] for sample in one["samples"]
              for at in ("roofs_before", "roofs_after")]
    return named, probed


def measured(data):
    """With a roof for everything that is multiplied."""
    parts = [part for point in data["points"] for part in point["parts"] if part["why"] != "not asked for"]
    return bool(parts) and all(p["outcome"] == "measured" and p["verdict"]["ok"] for p in parts) and all(
        seen == named for named, probed in map(arithmetics, parts) for seen in probed), parts


def matrices(layer):
    at = f"layers.{layer}."
    heads = HEADS * DIM
    yield from ((f"{at}{name}.weight", shape) for name, shape in (
        ("self_attn.q_proj", (heads, HIDDEN)), ("self_attn.k_proj", (heads, HIDDEN)),
        ("self_attn.v_proj", (heads, HIDDEN)), ("self_attn.o_proj", (HIDDEN, heads)),
        ("mlp.gate_proj", (WIDTH, HIDDEN)), ("mlp.up_proj", (WIDTH, HIDDEN)), ("mlp.down_proj", (HIDDEN, WIDTH))))


def norms(layer):
    return [f"layers.{layer}.{name}.weight" for name in ("input_layernorm", "post_attention_layernorm")]


def whole_config(folder, name, layers, tied=False):
    (folder / name).mkdir()
    (folder / name / "config.json").write_text(json.dumps({
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "num_hidden_layers": layers,
        "hidden_size": HIDDEN, "num_attention_heads": HEADS, "num_key_value_heads": HEADS, "head_dim": DIM,
        "intermediate_size": WIDTH,
        "vocab_size": WORDS, "max_position_embeddings": 64, "tie_word_embeddings": tied}))


def whole_safetensors(folder, name, layers, tied=False):
    """A whole model in f32, values of a size that keeps activations near 1."""
    rng = random.Random(7)
    tensors, some = {}, [rng.gauss(0, 1) for _ in range(4096)]

    def put(tensor, shape):
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        pool = [1 + v / 16 for v in some] if len(shape) == 1 else [v * shape[1] ** -0.5 for v in some]
        tensors[tensor] = ["F32", list(shape), struct.pack(f"<{count}f", *rng.choices(pool, k=count))]

    for layer in range(layers):
        for tensor, shape in matrices(layer):
            put("model." + tensor, shape)
        for tensor in norms(layer):
            put("model." + tensor, (HIDDEN,))
    put("model.norm.weight", (HIDDEN,))
    put("model.embed_tokens.weight" if tied else "lm_head.weight", (WORDS, HIDDEN))
    whole_config(folder, name, layers, tied)
    path = folder / name / "model.safetensors"
    path.write_bytes(struct.pack("<Q", 2) + b"{}")
    rewrite(path, lambda t: t.update(tensors))


GGUF = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
# Number, elements and bytes of a block.
TYPES = {"F32": (0, 1, 4), "Q4_0": (2, 32, 18), "Q8_0": (8, 32, 34), "Q4_K": (12, 256, 144), "Q6_K": (14, 256, 210)}


def whole_gguf(folder, name, kinds):
    """A whole model as llama.cpp stores it, the matrices of layer i in kinds[i], which may be a type for each of their
    names, the head in Q8_0."""
    rng = random.Random(8)
    tensors = []

    def put(tensor, shape, kind):
        number, block, size = TYPES[kind]
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        if kind == "F32":  # a norm
            raw = struct.pack(f"<{count}f", *[1 + 0.1 * rng.random() for _ in range(count)])
        elif kind == "Q4_K":  # minima as large as scales, of which 7.5 are the middle; codes
            raw = b"".join(struct.pack("<ee", 2 ** -12, 7.5 * 2 ** -12) + 2 * rng.randbytes(4)
                           + bytes(17 * rng.randrange(16) for _ in range(4)) + rng.randbytes(size - 16)
                           for _ in range(count // block))
        elif kind == "Q6_K":
            raw = b"".join(rng.randbytes(size - 2) + struct.pack("<e", 2 ** -15) for _ in range(count // block))
        else:  # an f16 scale of about 1/1024 or 1/64, then codes
            scale = struct.pack("<e", 2 ** -10 if kind == "Q8_0" else 2 ** -6)
            raw = b"".join(scale + rng.randbytes(size - 2) for _ in range(count // block))
        tensors.append((tensor, shape, number, raw))

    for layer, kind in enumerate(kinds):
        for tensor, shape in matrices(layer):
            short = GGUF[tensor.split(".", 2)[2].removesuffix(".weight")]
            put(f"blk.{layer}.{short}.weight", shape, kind if isinstance(kind, str) else kind(short))
        for tensor in norms(layer):
            put(f"blk.{layer}.{GGUF[tensor.split('.', 2)[2].removesuffix('.weight')]}.weight", (HIDDEN,), "F32")
    put("output_norm.weight", (HIDDEN,), "F32")
    put("output.weight", (WORDS, HIDDEN), "Q8_0")

    def text(s):
        return struct.pack("<Q", len(s)) + s.encode()

    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), 1) + text("general.architecture") + struct.pack("<I", 8)
    head += text("qwen2")  # an architecture whose rows are stored as they are
    body = b""
    for tensor, shape, number, raw in tensors:
        head += text(tensor) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *reversed(shape))
        head += struct.pack("<IQ", number, len(body))
        body += raw + b"\0" * (-len(raw) % 32)
    whole_config(folder, name, len(kinds))
    (folder / name / "model.gguf").write_bytes(head + b"\0" * (-len(head) % 32) + body)


def layouts(program, folder):
    for source in ("fp8_block", "gptq_g32", "mxfp4_blocks", "gguf_mxfp4_experts",
                   "gguf_q4_k_m_experts"):
        shutil.copytree(program.root / "tests" / "formats" / source, folder / source)
        weights = f"{source}/model.gguf" if source.startswith("gguf") else source
        program.expect(f"{source} is measured", run(source, weights, "--no-head"), 0)
        data = result(folder)
        good, parts = measured(data)
        program.that(f"{source}: measured and right", good, parts)
        name = "model.gguf" if source.startswith("gguf") else source
        program.that(f"{source}: says whose weights", data["models"][0].get("weights_from") == name, data["models"][0])


def whole(program, folder):
    for name, tied in (("whole", False), ("tied", True)):
        whole_safetensors(folder, name, 3, tied)
        program.expect(f"{name} model", run(name, name), 0)
        good, parts = measured(result(folder))
        program.that(f"{name}: layers and head are right", good and [p["kind"] for p in parts] == ["dense", "head"],
                     parts)

    # Every layer's values and the head's are used: one NaN each is seen.
    nan = struct.pack("<f", float("nan"))
    for where, kind in (("model.layers.2.mlp.down_proj.weight", "dense"), ("lm_head.weight", "head")):
        shutil.copytree(folder / "whole", folder / "spoilt")
        rewrite(folder / "spoilt" / "model.safetensors",
                lambda t, where=where: t[where].__setitem__(2, nan + t[where][2][4:]))
        program.expect(f"a NaN in {where}", run("spoilt", "spoilt"), 1)
        wrong = [p["kind"] for p in measured(result(folder))[1] if p["outcome"] == "wrong"]
        program.that(f"a NaN in {where} is seen there", wrong == [kind], wrong)
        shutil.rmtree(folder / "spoilt")

    # A layer that is cut out is not needed; one that is damaged is told and costs its part alone.
    shutil.copytree(folder / "whole", folder / "part")
    rewrite(folder / "part" / "model.safetensors",
            lambda t: [t.pop(n) for n in list(t) if n.startswith("model.layers.0.")])
    done = program.expect("a part of the layers", run("part", "part"), 0)
    program.that("a part of the layers: said", "has 2 of 3 layers" in done.stdout, done.stdout[-1000:])
    rewrite(folder / "part" / "model.safetensors", lambda t: t.pop("model.layers.2.mlp.up_proj.weight"))
    program.expect("a later layer lacks a tensor", run("part", "part"), 1)
    parts = measured(result(folder))[1]
    program.that("a later layer lacks a tensor: its part failed, the head is measured",
                 [p["outcome"] for p in parts] == ["failed", "measured"] and "layers.2.mlp.up_proj" in parts[0]["why"],
                 parts)


def gguf(program, folder):
    whole_gguf(folder, "mixed", ["Q8_0", "Q4_0", "Q8_0", "Q4_0"])
    done = program.expect("gguf: layers of two types are two kinds", run("mixed", "mixed/model.gguf"), 0)
    data = result(folder)
    good, parts = measured(data)
    kinds = [(p["kind"].split(" ")[0], p["count"]) for p in parts]
    program.that("gguf: both kinds and the head are right", good and kinds == [("dense", 2), ("dense", 2), ("head", 1)],
                 parts)
    cases = {part["kind"]: {op["component"]: op["case_text"] for op in part["ops"]} for part in parts}
    first, second = (cases[p["kind"]] for p in parts[:2])
    program.that("gguf: each kind in its type, the head in its own",
                 "w_type=q8_0" in first["down"] and "w_type=q4_0" in second["down"]
                 and "w_type=q8_0" in cases["head"]["lm head"], cases)
    program.that("gguf: the name says where from", data["models"][0]["weights_from"] == "model.gguf", done.stdout)
    # As llama.cpp's Q4_K_M has it: v and down of half of the layers in Q6_K.
    def more_bits(name):
        return "Q6_K" if name in ("attn_v", "ffn_down") else "Q4_K"

    whole_gguf(folder, "q4_k_m", [more_bits, "Q4_K", more_bits, "Q4_K"])
    program.expect("gguf: q, k and v of two types", run("q4_k_m", "q4_k_m/model.gguf"), 0)
    good, parts = measured(result(folder))
    cases = [{op["component"]: op["case_text"] for op in part["ops"]} for part in parts]
    program.that("gguf: q and k, and v, are right, and fill one output",
                 good and [p["count"] for p in parts] == [2, 2, 1]
                 and "w_type=q4_k" in cases[0]["q k"] and "w_type=q6_k" in cases[0]["v"]
                 and "y_width=768 y_first=512" in cases[0]["v"] and "w_type=q4_k" in cases[1]["qkv"], cases)
    used = [arithmetics(part)[0] for part in parts]
    program.that("gguf: each type is an arithmetic of its own",
                 used == [{"bf16 x q4_k", "bf16 x q6_k"}, {"bf16 x q4_k"}, {"bf16 x q8_0"}], used)
    program.expect("plan of such a gguf", ["plan", "-m", "q4_k_m", "--weights", "q4_k_m/model.gguf", "-c", "16"], 0,
                   stdout=["q6_k", "y_first=512"])
    done = program.expect("plan of a gguf", ["plan", "-m", "mixed", "--weights", "mixed/model.gguf", "-c", "16"], 0,
                          stdout=["q8_0", "q4_0"])


def refusals(program, folder):
    kept = folder / "kept.json"
    kept.unlink(missing_ok=True)
    out = dict(out="kept.json")
    bad = program.expect
    bad("a checkpoint of another model", run("fp8_block", "whole", **out), 2, ["whole"])
    whole_config(folder, "taller", 3)
    config = json.loads((folder / "taller" / "config.json").read_text())
    (folder / "taller" / "config.json").write_text(json.dumps(config | {"intermediate_size": 480}))
    bad("sizes of another model", run("taller", "whole", **out), 2, ["mlp.gate_proj.weight", "[480, 256]"])
    bad("no head", run("fp8_block", "fp8_block", **out), 2, ["model.norm.weight", "--no-head"])
    bad("two models", [*run("whole", "whole", **out), "-m", "tied"], 2, ["--weights", "one model"])
    bad("a format of one's own", run("whole", "whole", "--weights-format", "q8_0", **out), 2, ["--weights-format"])
    bad("a suite's formats", run("whole", "whole", "--suite", "formats", **out), 2, ["formats"])
    bad("a prefix alone", ["run", *QUICK, "-m", "whole", "--prefix", "model.", "-o", kept], 2,
        ["--prefix", "--weights"])
    bad("a prefix that is none", run("whole", "whole", "--prefix", "x.", **out), 2, ["x.layers.0."])
    bad("no such file", run("whole", "nowhere", **out), 2, ["nowhere"])
    program.that("nothing is written when it is refused", not kept.exists(), list(folder.iterdir()))


def another_run(program, folder):
    shutil.copytree(folder / "whole", folder / "other")
    words = ["run", *QUICK, "-m", "whole", "--resume", "out.json"]
    program.expect("a run to go on with", run("whole", "whole"), 0)
    program.expect("to go on with another checkpoint", [*words, "--weights", "other"], 2, ["weights_from", "other"])
    program.expect("to go on with made-up weights", words, 2, ["weights_from"])
    program.expect("to go on with the same", [*words, "--weights", "whole"], 0)
    program.expect("made-up weights", ["run", *QUICK, "-m", "whole", "-o", "made_up.json"], 0)
    program.expect("merge of the two", ["merge", "out.json", "made_up.json", "-o", "both.json"], 2, ["weights_from"])


def main(argv):
    program = Program(argv)
    with program.scratch() as folder:
        for part in (layouts, whole, gguf, refusals, another_run):
            part(program, folder)
    return program.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv))
