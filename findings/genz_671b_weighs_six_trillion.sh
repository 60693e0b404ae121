#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What:     GenZ-LLM-Analyzer keeps the width of DeepSeek-V3's experts (2048) beside that of its three dense layers
#           (18432), but only its model of chunked steps uses the first. Prefill and decode give each of the 256 experts
#           of each layer the dense width, so one prompt takes 8.6 times as long as a prefill as it does as one chunk.
#           Qwen1.5-MoE has the dense width in all three.
# Seen:     2026-11-29, genz-llm 0.0.16, parameters from its bytes of weights in bf16, 1024 tokens as a prefill, as one
#           chunk, and as the cache of one decode step, a chip of 989 TFLOP/s and 3350 GB/s with memory for all:
#               DeepSeek-V3-Base: prefill: 6198 billion parameters, 6198 of them read, 3476 ms
#               DeepSeek-V3-Base: chunk: 696 billion parameters, 696 of them read, 404 ms
#               DeepSeek-V3-Base: decode: 6197 billion parameters, 201 of them read, 112 ms
#               deepseek-moe-16b-base: prefill: 121 billion parameters, 121 of them read, 72 ms
#               deepseek-moe-16b-base: chunk: 16 billion parameters, 16 of them read, 11 ms
#               deepseek-moe-16b-base: decode: 121 billion parameters, 12 of them read, 7 ms
#               Qwen1.5-MoE-A2.7B: prefill: 84 billion parameters, 84 of them read, 51 ms
#               Qwen1.5-MoE-A2.7B: chunk: 84 billion parameters, 84 of them read, 51 ms
#               Qwen1.5-MoE-A2.7B: decode: 84 billion parameters, 7 of them read, 4 ms
# Expected: 671, 16.4 and 14.3 billion by all three, within a few percent, of which a decode step reads 37, 2.8 and 2.7;
#           a prefill and a chunk of the same tokens take the same time.
# Matters:  the package names the smallest and the fastest system for a model. For DeepSeek-V3 it asks for 12 TB, and
#           a decode step is 5 times too dear; no sum of its prefill, decode and chunks is about one model.
set -euo pipefail
work=$(mktemp -d)
[ -e /tmp/genz ] || layers=/tmp/genz  # where GenZ writes its layers whatever TMPDIR says
trap 'rm -rf "$work" ${layers:+"$layers"}' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet numpy==2.4.6 pandas==3.1.1 matplotlib==3.11.2 seaborn==0.13.2 plotly==7.1.0 \
    paretoset==1.2.5 tqdm==4.70.1 ipython==9.18.1 || exit 2
"$work/venv/bin/pip" install --quiet --no-deps genz-llm==0.0.16 || exit 2

cat > "$work/recorded" <<'END'
DeepSeek-V3-Base: prefill: 6198 billion parameters, 6198 of them read, 3476 ms
DeepSeek-V3-Base: chunk: 696 billion parameters, 696 of them read, 404 ms
DeepSeek-V3-Base: decode: 6197 billion parameters, 201 of them read, 112 ms
deepseek-moe-16b-base: prefill: 121 billion parameters, 121 of them read, 72 ms
deepseek-moe-16b-base: chunk: 16 billion parameters, 16 of them read, 11 ms
deepseek-moe-16b-base: decode: 121 billion parameters, 12 of them read, 7 ms
Qwen1.5-MoE-A2.7B: prefill: 84 billion parameters, 84 of them read, 51 ms
Qwen1.5-MoE-A2.7B: chunk: 84 billion parameters, 84 of them read, 51 ms
Qwen1.5-MoE-A2.7B: decode: 84 billion parameters, 7 of them read, 4 ms
END

cat > "$work/look.py" <<'END'
from GenZ import chunked_moddeling, decode_moddeling, prefill_moddeling

CHIP = {"Flops": 989, "Memory_BW": 3350, "Memory_size": 20000, "ICN": 450, "real_values": True}
TOKENS = 1024
KINDS = (("prefill", prefill_moddeling, {"input_tokens": TOKENS}),
         ("chunk", chunked_moddeling, {"prefill_kv_sizes": [(0, TOKENS)], "decode_kv_sizes": []}),
         ("decode", decode_moddeling, {"input_tokens": TOKENS, "Bb": 1}))

for model in ("deepseek-ai/DeepSeek-V3-Base", "deepseek-ai/deepseek-moe-16b-base", "Qwen/Qwen1.5-MoE-A2.7B"):
    for kind, function, load in KINDS:
        result = function(model=model, system_name=CHIP, bits="bf16", **load)
        table = result["summary_table"].iloc[0]
        all_weights, unread = (table[f"{which} Weights (MB)"] * 2**20 / 2 / 1e9 for which in ("Total", "Unused"))
        print(f"{model.split('/')[1]}: {kind}: {all_weights:.0f} billion parameters, "
              f"{all_weights - unread:.0f} of them read, {result['Latency']:.0f} ms")
END
"$work/venv/bin/python" "$work/look.py" > "$work/seen" 2> "$work/log" || cat "$work/log"
cat "$work/seen"
diff "$work/recorded" "$work/seen" || { echo "the behaviour is another one than was recorded"; exit 1; }
