#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What:     the size label that gguf derives from the tensors of a mixture of experts (general.size_label, and part of a
#           converted file's name) is "experts x (all that is shared + one expert of each layer)". Only for few, large
#           experts is the product near the total, as in Mixtral's 8x7B: with fine-grained ones all that is shared
#           counts once per expert. And the second factor alone is no size either: less than the active parameters.
# Seen:     2026-11-28, gguf 0.19.0, the published shapes (without the vectors of norms and the routers):
#               Mixtral-8x7B: 46.7B, 12.9B active: label 8x7.2B, product 58B, 1.2 times the total
#               DeepSeek-V2-Lite: 15.7B, 2.7B active: label 64x1.5B, product 96B, 6.1 times the total
#               MiniMax-M2: 228.6B, 11.0B active: label 256x4.8B, product 1229B, 5.4 times the total
#               DeepSeek-V3: 670.9B, 37.4B active: label 256x20B, product 5120B, 7.6 times the total
# Expected: a product near the total (256x2.6B for DeepSeek-V3, with what is shared divided among the experts), since "8
#           experts of 7B" is how such a label reads.
# Matters:  a tool that estimates memory, time or price from a file's name or label takes a model of 671B for one of 5.1
#           trillion, or for one of 20B a token.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet gguf==0.19.0 numpy==2.4.6 || exit 2

cat > "$work/recorded" <<'END'
Mixtral-8x7B: 46.7B, 12.9B active: label 8x7.2B, product 58B, 1.2 times the total
DeepSeek-V2-Lite: 15.7B, 2.7B active: label 64x1.5B, product 96B, 6.1 times the total
MiniMax-M2: 228.6B, 11.0B active: label 256x4.8B, product 1229B, 5.4 times the total
DeepSeek-V3: 670.9B, 37.4B active: label 256x20B, product 5120B, 7.6 times the total
END

cat > "$work/look.py" <<'END'
import sys

import gguf
import numpy as np


def look(name, vocabulary, hidden, layers, attention, experts, used, width, shared_width=0, dense_layers=0,
         dense_width=0):
    writer = gguf.GGUFWriter(sys.argv[1] + "/unwritten.gguf", "deepseek2")

    def tensor(tensor_name, *shape):
        writer.add_tensor_info(tensor_name, shape, np.dtype(np.float16), 2 * int(np.prod(shape)))

    tensor("token_embd.weight", vocabulary, hidden)
    tensor("output.weight", vocabulary, hidden)
    for layer in range(layers):
        tensor(f"blk.{layer}.attn_all.weight", attention)
        if layer < dense_layers:
            tensor(f"blk.{layer}.ffn_all.weight", 3 * dense_width, hidden)
            continue
        tensor(f"blk.{layer}.ffn_up_exps.weight", experts, width, hidden)
        tensor(f"blk.{layer}.ffn_gate_exps.weight", experts, width, hidden)
        tensor(f"blk.{layer}.ffn_down_exps.weight", experts, hidden, width)
        if shared_width:
            tensor(f"blk.{layer}.ffn_all_shexp.weight", 3 * shared_width, hidden)
    counts = writer.get_total_parameter_count()
    total, label = counts[0], gguf.size_label(*counts)
    factors = label.rstrip("B").split("x")
    product = float(factors[0]) * float(factors[1])
    active = total - 3 * (layers - dense_layers) * (experts - used) * width * hidden
    print(f"{name}: {total / 1e9:.1f}B, {active / 1e9:.1f}B active: label {label}, product {product:.0f}B, "
          f"{product * 1e9 / total:.1f} times the total")


look("Mixtral-8x7B", 32000, 4096, 32, 4096 * (2 * 4096 + 2 * 1024), 8, 2, 14336)
look("DeepSeek-V2-Lite", 102400, 2048, 27, 2048 * (3072 + 576 + 2048) + 512 * 4096, 64, 6, 1408, 2816, 1, 10944)
look("MiniMax-M2", 200064, 3072, 62, 3072 * (2 * 6144 + 2 * 1024), 256, 8, 1536)
look("DeepSeek-V3", 129280, 7168, 61, 7168 * (1536 + 576 + 16384) + 1536 * 24576 + 512 * 32768, 256, 8, 2048, 2048, 3,
     18432)
END
"$work/venv/bin/python" "$work/look.py" "$work" > "$work/seen" 2> "$work/log" || cat "$work/log"
cat "$work/seen"
diff "$work/recorded" "$work/seen" || { echo "the behaviour is another one than was recorded"; exit 1; }
