# What:   bad input ends with exit code 2 and one line that names the file or option, the value and what was expected;
#         never with a crash, a stack of lines, or a wait.
# Usage:  bad_input.py PROGRAM ROOT [-v]
# SPDX-License-Identifier: Apache-2.0
import copy
import json
import pathlib
import sys

from program import Program

GOOD = json.loads((pathlib.Path(__file__).parent / "small_moe.json").read_text())


def changed(**keys):
    config = copy.deepcopy(GOOD)
    for key, value in keys.items():
        if value is None:
            del config[key]
        else:
            config[key] = value
    return json.dumps(config)


# title, content of config.json, words that the message has to hold
BAD_CONFIGS = [
    ("empty file", "", []),
    ("not JSON", "hello\n", []),
    ("truncated", changed()[: len(changed()) // 2], []),
    ("an array", "[]", ["object"]),
    ("trailing text", changed() + "x", []),
    ("deeply nested", '{"a":' * 3000 + "1" + "}" * 3000, []),
    ("deeply nested and open", "[" * 500_000, []),
    ("huge", '{"x":"' + "y" * 9_000_000 + '"}', ["8388608"]),
    ("duplicate key", changed()[:-1] + ', "hidden_size": 512}', ["hidden_size"]),
    ("binary", "\x00\x01\x02\x80", []),
    ("no such number", changed().replace('"hidden_size": 512', '"hidden_size": NaN'), []),
    ("key missing", changed(hidden_size=None), ["hidden_size"]),
    ("no model_type", changed(model_type=None), ["model_type"]),
    ("unknown model_type", changed(model_type="qwen3_mo"), ["model_type", "qwen3_moe"]),
    ("model_type of another type", changed(model_type=3), ["model_type"]),
    ("text for a number", changed(hidden_size="512"), ["hidden_size", "512"]),
    ("fraction", changed(num_attention_heads=4.5), ["num_attention_heads", "4.5"]),
    ("negative", changed(hidden_size=-512), ["hidden_size", "-512"]),
    ("zero", changed(num_hidden_layers=0), ["num_hidden_layers", "0"]),
    ("2^63", changed(moe_intermediate_size=2**63), ["moe_intermediate_size", str(2**63)]),
    ("2^64 + 1", changed(vocab_size=2**64 + 1), ["vocab_size"]),
    ("list for a number", changed(num_experts=[4]), ["num_experts"]),
    ("heads not divisible", changed(num_attention_heads=5), ["num_key_value_heads"]),
    ("more chosen than there are", changed(num_experts_per_tok=5), ["num_experts_per_tok", "4"]),
    ("eps", changed(rms_norm_eps="1e-6"), ["rms_norm_eps"]),
    ("capped attention", changed(attn_logit_softcapping=50.0), ["attn_logit_softcapping", "50.0", "qwen3_moe", "null"]),
    ("latent attention", changed(kv_lora_rank=512), ["kv_lora_rank", "512", "expected 0"]),
    ("a shared expert", changed(n_shared_experts=1), ["n_shared_experts", "1"]),
    ("part of each head rotated", changed(partial_rotary_factor=0.5), ["partial_rotary_factor", "0.5"]),
    ("capped logits", changed(final_logit_softcapping=30.0), ["final_logit_softcapping", "30.0"]),
    ("no norms of heads", changed(use_qk_norm=False), ["use_qk_norm", "expected true"]),
    ("flag as number", changed(norm_topk_prob=2), ["norm_topk_prob"]),
]

RESULTS = pathlib.Path(__file__).resolve().parents[2] / "results"
QUICK = RESULTS / "2026-11-23_xeon-amx-2-threads_quick.json"
H100 = RESULTS / "2026-11-28_h100-80gb-hbm3_quick-gpu.json"

# title, command line, words that the message has to hold
LINEAR = "linear m=2 n=3 k=4 x_type=f32 w_type=f32 y_type=f32"
BAD_COMMANDS = [
    ("unknown command", ["rnu"], ["rnu", "'run'"]),
    ("an empty device of a plan", ["plan", "-m", "qwen3-4b", "--on", ""], ["--on", "empty"]),
    ("an empty output", ["report", "x.json", "-o", ""], ["--output", "empty"]),
    ("an empty price", ["run", "-m", "qwen3-4b", "--price", ""], ["--price", "empty"]),
    ("an empty price after =", ["run", "-m", "qwen3-4b", "--price="], ["--price"]),
    ("an empty model", ["plan", "-m", ""], ["--model", "empty"]),
    ("an empty result", ["report", ""], ["files", "empty"]),
    ("unknown option", ["run", "--modle", "qwen3-4b"], ["--modle", "'--model'"]),
    ("unknown option of plan", ["plan", "-m", "qwen3-4b", "--bacth=3"], ["'--batch'"]),
    ("nothing to do", ["run"], ["model", "suite"]),
    ("unknown model", ["plan", "-m", "qwen3-4c"], ["qwen3-4c", "'qwen3-4b'"]),
    ("unknown model, other case", ["plan", "-m", "Qwen/Qwen3-30B-A3"], ["'Qwen/Qwen3-30B-A3B'"]),
    ("unknown suite", ["plan", "--suite", "quik"], ["quik", "'quick'"]),
    ("batch 0", ["plan", "-m", "qwen3-4b", "-b", "0"], ["-b", "0"]),
    ("batch -1", ["plan", "-m", "qwen3-4b", "-b", "1,-1"], ["-b", "-1"]),
    ("batch text", ["plan", "-m", "qwen3-4b", "-b", "1,two"], ["-b", "two"]),
    ("batch empty", ["plan", "-m", "qwen3-4b", "-b", "1,,2"], ["-b"]),
    ("batch fraction", ["plan", "-m", "qwen3-4b", "-b", "1.5"], ["-b", "1.5"]),
    ("batch 2^63", ["plan", "-m", "qwen3-4b", "-b", str(2**63)], ["-b"]),
    ("context", ["plan", "-m", "qwen3-4b", "-c", "4k"], ["-c", "4k"]),
    ("context past the model", ["plan", "-m", "qwen3-4b", "-c", "40961"], ["-c", "40960"]),
    ("phase", ["plan", "-m", "qwen3-4b", "--phase", "train"], ["--phase", "train", "prefill"]),
    ("dtype", ["plan", "-m", "qwen3-4b", "--dtype", "fp7"], ["--dtype", "fp7", "bf16"]),
    ("a closed model", ["run", "-m", "GPT-5-Codex"], ["no architecture", "OpenAI", "input 1.25", "output 10.00"]),
    ("a closed model's other name", ["plan", "-m", "claude"], ["Claude Sonnet 4.5", "up to 200000 tokens", "above"]),
    ("type of the cache", ["plan", "-m", "qwen3-4b", "--kv-type", "fp8"], ["--kv-type", "'fp8'", "fp8_e4m3"]),
    ("latents in fp8", ["run", "-m", "deepseek-v2-lite", "--kv-type", "fp8_e4m3"], ["--kv-type", "deepseek-v2-lite"]),
    ("routing", ["plan", "-m", "qwen3-4b", "--routing", "zipf"], ["--routing", "'zipf:1'"]),
    ("routing parameter", ["plan", "-m", "qwen3-4b", "--routing", "zipf:-2"], ["--routing", "zipf:-2"]),
    ("price id", ["run", "-m", "qwen3-4b", "--price", "h200-nebiu"], ["--price", "'h200-nebius'"]),
    ("a claim", ["claims", "--claim", "deepseek-dy"], ["--claim", "'deepseek-day'", "list claims"]),
    ("claims of no result", ["claims", "none.json"], ["none.json"]),
    ("claims in a format", ["claims", "--format", "marcdown"], ["'markdown'"]),
    ("price negative", ["run", "-m", "qwen3-4b", "--price", "-2/h"], ["--price"]),
    ("price unit", ["run", "-m", "qwen3-4b", "--price", "2.50/day"], ["--price", "2.50/day"]),
    ("price infinite", ["run", "-m", "qwen3-4b", "--price", "inf/h"], ["--price"]),
    ("device", ["run", "-m", "qwen3-4b", "--device", "gpu"], ["--device", "gpu", "cpu"]),
    ("device that is not there", ["run", "-m", "qwen3-4b", "--device", "cuda:99"], ["cuda"]),
    ("rounds 0", ["run", "-m", "qwen3-4b", "--rounds", "0"], ["--rounds"]),
    ("depth", ["run", "-m", "qwen3-4b", "--depth", "1,0"], ["--depth"]),
    ("output folder missing", ["run", "-m", "qwen3-4b", "-o", "no/such/folder/x.json"], ["no/such/folder/x.json"]),
    ("output is a folder", ["run", "-m", "qwen3-4b", "-o", "."], ["."]),
    ("resume of nothing", ["run", "-m", "qwen3-4b", "--resume", "nothing.json"], ["nothing.json"]),
    ("resume of no result", ["run", "-m", "qwen3-4b", "--resume", "good/config.json"], ["good/config.json"]),
    ("list of what", ["list", "modles"], ["modles", "'models'"]),
    ("report of nothing", ["report"], ["files"]),
    ("report of a missing file", ["report", "nothing.json"], ["nothing.json"]),
    ("report of no result", ["report", "good/config.json"], ["good/config.json"]),
    ("report of a check of a GPU", ["report", RESULTS / "gpu-check/2026-11-28_h100-80gb-hbm3_all.json"],
     ["scripts/gpu-check", "no result file"]),
    ("report of a race's readings", ["report", RESULTS / "peers/2026-11-22_xeon-amx-2-threads_pytorch.json"],
     ["another program", "no result file"]),
    ("report into a device", ["report", QUICK, "-o", "/dev/full"], ["/dev/full", "regular file"]),
    ("report into a folder", ["report", QUICK, "-o", "good"], ["good", "is a folder"]),
    ("report into a name without an end", ["report", QUICK, "-o", "plain"], ["plain: has no extension", ".md"]),
    ("seconds of NaN", ["run", "-m", "qwen3-4b", "--seconds", "nan"], ["--seconds", "0.01..3600", "'nan'\n"]),
    ("infinite seconds", ["run", "-m", "qwen3-4b", "--seconds", "inf"], ["--seconds", "'inf'"]),
    ("a rate of NaN", ["report", QUICK, "--min-tok-s-user", "nan"], ["--min-tok-s-user", "'nan'"]),
    ("a share of NaN", ["cost", QUICK, "--price", "1/h", "--utilisation", "nan"], ["--utilisation", "'nan'"]),
    ("a page of claims", ["claims", "--format", "html"], ["'html'", "table, markdown, csv, json, jsonl"]),
    ("a page of a comparison", ["compare", QUICK, H100, "-o", "c.html"], ["'.html'", ".txt, .md, .csv, .json, .jsonl"]),
    ("an example of another device", ["cost", QUICK, "--price", "example-owned-h100"], ["--price", "NVIDIA H100 SXM"]),
    ("an example to own, of another device", ["cost", QUICK, "--price", "1/h", "--own", "example-owned-h100"],
     ["--own", "NVIDIA H100 SXM"]),
    ("merge of nothing", ["merge", "-o", "x.json"], ["files"]),
    ("merge to nowhere", ["merge", "nothing.json"], ["--output"]),
    ("merge of a missing file", ["merge", "nothing.json", "-o", "x.json"], ["nothing.json"]),
    ("merge of no result", ["merge", "good/config.json", "-o", "x.json"], ["good/config.json"]),
    ("merge with an unknown option", ["merge", "a.json", "-o", "x.json", "--pairs", "a:b"], ["--pairs", "'--pair'"]),
    ("cost without price", ["cost", "good/config.json"], ["--price"]),
    ("check half", ["check", "--model", "good"], ["--weights", "--io"]),
    ("check of no op", ["check", "--op", "linaer"], ["linaer", "'linear'"]),
    ("ops of a bad case", ["ops", "--case", "linear m=0 n=1 k=1"], ["linear"]),
    ("ops of an unknown key", ["ops", "--device", "cpu", "--case", LINEAR + " biass=1 sinks=4"], ["biass", "'bias'"]),
    ("ops of an unknown key that comes second", ["ops", "--device", "cpu", "--case", LINEAR + " bias=1 sinks=4"],
     ["linear", "sinks", "=4"]),
    ("ops of an unknown value", ["ops", "--device", "cpu", "--case", LINEAR + " bias=2"], ["bias", "'2'", "0 or 1"]),
    ("ops of an unknown type", ["ops", "--device", "cpu", "--case", LINEAR.replace("w_type=f32", "w_type=bf17")],
     ["w_type", "'bf17'", "'bf16'"]),
    ("ops without a key", ["ops", "--device", "cpu", "--case", LINEAR.replace("m=2 ", "")], ["m is missing"]),
    ("check of an unknown key", ["check", "--device", "cpu", "--op", LINEAR + " biass=1"], ["biass", "'bias'"]),
    ("check of an impossible case",
     ["check", "--device", "cpu", "--op", "moe_permute tokens=1 hidden=1 experts=1 top_k=2 x_type=f32"], ["top_k"]),
    ("ops of no op", ["ops", "--case", "linaer m=1"], ["linaer"]),
    ("ops of an unknown option", ["ops", "--bench_filter=x"], ["--bench_filter"]),
    ("control characters are not passed on", ["plan", "-m", "a\x1b[31mb"], ["a"]),
]


def main():
    program = Program(sys.argv)
    with program.scratch() as folder:
        (folder / "good").mkdir()
        (folder / "good" / "config.json").write_text(changed())
        program.expect("the good config is accepted", ["plan", "-m", "good"], 0)
        for title, text, words in BAD_CONFIGS:
            (folder / "bad").mkdir(exist_ok=True)
            (folder / "bad" / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
            program.expect(f"config: {title}", ["plan", "-m", "bad"], 2, ["config.json", *words])
        (folder / "bad" / "config.json").unlink()
        program.expect("config: missing", ["plan", "-m", "bad"], 2, ["bad"])
        program.expect("config: no such path", ["plan", "-m", "./nothing/config.json"], 2, ["nothing"])
        (folder / "bad" / "config.json").write_text(changed(auto_map={"AutoModel": "evil.Model"}))
        program.expect("auto_map is not followed, and said", ["plan", "-m", "bad"], 0, stdout=["auto_map"])
        program.expect("a case that is known is checked", ["check", "--device", "cpu", "--op", LINEAR + " bias=1"], 0)
        for title, command, words in BAD_COMMANDS:
            program.expect(title, command, 2, words)
        leftovers = sorted(p.name for p in folder.iterdir())
        program.that("no file is left behind by refused commands", leftovers == ["bad", "good"], leftovers)
    return program.finish()


sys.exit(main())
