#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What:     torchao's quantize_ looks for nn.Linear. In transformers 5 the experts of a mixture are two parameters of
#           three dimensions and no nn.Linear, so that they stay in bf16, and no word is said. The same by transformers'
#           own way, from_pretrained with TorchAoConfig.
# Seen:     2026-11-29, torchao 0.18.0, transformers 5.23.0, torch 2.15.0, one layer of Qwen3-30B-A3B's shape,
#           Int8WeightOnlyConfig:
#               bf16:                 1.255 GB
#               quantize_:            1.234 GB, experts Parameter of torch.bfloat16
#               TorchAoConfig, load:  1.236 GB, experts Parameter of torch.bfloat16
# Expected: 0.63 GB, or an error that says what is left out. 96 % of the weights are experts.
# Matters:  a mixture "in int8" costs what it costs in bf16, in memory and in time: whoever compares formats this way
#           measures bf16 twice and finds that int8 does not pay for mixtures.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
pip() { "$work/venv/bin/pip" install --quiet --disable-pip-version-check "$@"; }
cpu=https://download.pytorch.org/whl/cpu  # a tenth of the size
pip --retries 0 --index-url $cpu torch==2.15.0 2> /dev/null || pip torch==2.15.0 || exit 2
pip numpy==2.4.6 transformers==5.23.0 torchao==0.18.0 || exit 2

cat > "$work/recorded" <<'END'
bf16:                 1.255 GB
quantize_:            1.234 GB, experts Parameter of torch.bfloat16
TorchAoConfig, load:  1.236 GB, experts Parameter of torch.bfloat16
END

cat > "$work/look.py" <<'END'
import sys

import torch
from torchao.quantization import Int8WeightOnlyConfig, quantize_
from transformers import AutoModelForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM, TorchAoConfig

CONFIG = Qwen3MoeConfig(vocab_size=1024, hidden_size=2048, intermediate_size=6144, moe_intermediate_size=768,
                        num_experts=128, num_experts_per_tok=8, num_hidden_layers=1, num_attention_heads=32,
                        num_key_value_heads=4, head_dim=128)


def held(tensor):
    """Bytes of a tensor, or of the tensors that a quantised one is made of."""
    if not hasattr(tensor, "__tensor_flatten__"):
        return tensor.numel() * tensor.element_size()
    parts = (getattr(tensor, name) for name in tensor.__tensor_flatten__()[0])
    return sum(held(part) for part in parts if isinstance(part, torch.Tensor))


def show(name, model):
    experts = model.model.layers[0].mlp.experts.gate_up_proj
    what = f", experts {type(experts).__name__} of {experts.dtype}" if name != "bf16:" else ""
    print(f"{name:21} {sum(held(p.data) for p in model.parameters()) / 1e9:.3f} GB{what}")


torch.manual_seed(0)
model = Qwen3MoeForCausalLM._from_config(CONFIG, dtype=torch.bfloat16)
show("bf16:", model)
model.save_pretrained(sys.argv[1])
quantize_(model, Int8WeightOnlyConfig())
show("quantize_:", model)
del model
how = TorchAoConfig(Int8WeightOnlyConfig())
show("TorchAoConfig, load:",
     AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.bfloat16, quantization_config=how))
END
"$work/venv/bin/python" "$work/look.py" "$work/model" > "$work/seen" 2> "$work/log" || cat "$work/log"
cat "$work/seen"
diff "$work/recorded" "$work/seen" || { echo "the behaviour is another one than was recorded"; exit 1; }
