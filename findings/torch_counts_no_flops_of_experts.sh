#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What:     torch.utils.flop_counter.FlopCounterMode has no formula for torch._grouped_mm, the product by which
#           transformers computes experts unless it is told otherwise. The same mixture on the same tokens has a third
#           of the FLOPs by default that it has with experts_implementation="eager" or "batched_mm"; nothing is said.
# Seen:     2026-11-29, torch 2.15.0, transformers 5.23.0, one layer of Qwen3-30B-A3B's shape in bf16 on a CPU, 8
#           tokens, MFLOP a token (by hand: 37.7 of q, k, v and o, 0.5 of the router, 75.5 of eight experts, 0.1 of
#           attention):
#               eager       114 MFLOP a token
#               batched_mm  114 MFLOP a token
#               grouped_mm  38 MFLOP a token
#               default     38 MFLOP a token (grouped_mm)
# Expected: 114 in all four: the counter works below Python, where every implementation is known, and what it does not
#           know it could name.
# Matters:  a FLOP count, an MFU or a promised saving that is read off the counter is three times too favourable for a
#           mixture, and changes when a model class gets a faster kernel. A dense model is counted right.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
pip() { "$work/venv/bin/pip" install --quiet --disable-pip-version-check "$@"; }
cpu=https://download.pytorch.org/whl/cpu  # a tenth of the size
pip --retries 0 --index-url $cpu torch==2.15.0 2> /dev/null || pip torch==2.15.0 || exit 2
pip numpy==2.4.6 transformers==5.23.0 || exit 2

cat > "$work/recorded" <<'END'
eager       114 MFLOP a token
batched_mm  114 MFLOP a token
grouped_mm  38 MFLOP a token
default     38 MFLOP a token (grouped_mm)
END

cat > "$work/look.py" <<'END'
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import Qwen3MoeConfig, Qwen3MoeModel

TOKENS = 8
CONFIG = dict(vocab_size=1024, hidden_size=2048, intermediate_size=6144, moe_intermediate_size=768, num_experts=128,
              num_experts_per_tok=8, num_hidden_layers=1, num_attention_heads=32, num_key_value_heads=4, head_dim=128)
tokens = torch.arange(TOKENS).reshape(1, TOKENS)
for name in ("eager", "batched_mm", "grouped_mm", "default"):
    torch.manual_seed(0)
    model = Qwen3MoeModel._from_config(Qwen3MoeConfig(**CONFIG), dtype=torch.bfloat16)
    if name != "default":
        model.set_experts_implementation(name)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(tokens)
    used = "" if name != "default" else f" ({model.config._experts_implementation})"
    print(f"{name:11} {counter.get_total_flops() / TOKENS / 1e6:.0f} MFLOP a token{used}")
END
"$work/venv/bin/python" "$work/look.py" > "$work/seen" 2> "$work/log" || cat "$work/log"
cat "$work/seen"
diff "$work/recorded" "$work/seen" || { echo "the behaviour is another one than was recorded"; exit 1; }
