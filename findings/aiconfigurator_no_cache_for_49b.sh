#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What:     aiconfigurator's model of Llama-3.3-Nemotron-Super-49B, which it ships, has a key-value cache of 0 bytes at
#           any length, so that no number of users runs out of memory, and 0 tokens that fit into 10 GB; yet its own
#           time of a decode step grows with the cached tokens, since that goes through each of the 49 attention layers.
#           Of Nemotron-3-Nano (6 attention layers among 52 blocks) it counts every block as attention, and no state.
# Seen:     2026-11-28, aiconfigurator-core 0.12.0, cache in bf16, times for batch 8 on one H200 with TensorRT-LLM:
#               Llama-3.3-Nemotron-Super-49B: 0 bytes for 1 token, 0 for 100000; 0 tokens in 10 GB
#               its decode step: 27 ms at 1024 tokens, 75 ms at 131072
#               Nemotron-3-Nano-30B-A3B: 53248 bytes for 1 token, 5324800000 for 100000; 187800 tokens in 10 GB
#               Llama-3.1-70B: 327680 bytes for 1 token, 32768000000 for 100000; 30517 tokens in 10 GB
# Expected: 200704 bytes a token for the 49B: 49 layers x 8 heads x 128 x 2 (key, value) x 2 bytes (num_key_value_heads
#           is null in its config; block_configs say 64 heads in groups of 8, and which layers have none). For Nano 6 x
#           2 heads x 128 x 2 x 2 = 6144, and a state that does not grow.
# Matters:  how many users fit decides the price of a token. Here that is without limit, or for Nano a ninth of it. (The
#           install fetches about 200 MB of pyarrow, pandas, scipy and measured tables.)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet aiconfigurator-core==0.12.0 || exit 2

cat > "$work/recorded" <<'END'
Llama-3.3-Nemotron-Super-49B: 0 bytes for 1 token, 0 for 100000; 0 tokens in 10 GB
its decode step: 27 ms at 1024 tokens, 75 ms at 131072
Nemotron-3-Nano-30B-A3B: 53248 bytes for 1 token, 5324800000 for 100000; 187800 tokens in 10 GB
Llama-3.1-70B: 327680 bytes for 1 token, 32768000000 for 100000; 30517 tokens in 10 GB
END

cat > "$work/look.py" <<'END'
from aiconfigurator_core.sdk.config_builders import build_model_config
from aiconfigurator_core.sdk.engine import EngineHandle
from aiconfigurator_core.sdk.models import get_model

for title, path in (("Llama-3.3-Nemotron-Super-49B", "nvidia/Llama-3_3-Nemotron-Super-49B-v1"),
                    ("Nemotron-3-Nano-30B-A3B", "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16"),
                    ("Llama-3.1-70B", "meta-llama/Meta-Llama-3.1-70B")):
    config = build_model_config(tp_size=1, pp_size=1, attention_dp_size=1, moe_tp_size=1, moe_ep_size=1,
                                kvcache_quant_mode="bfloat16")
    model = get_model(path, config, "trtllm")
    one, many = (model.get_kvcache_bytes_per_sequence(tokens) for tokens in (1, 100000))
    print(f"{title}: {one} bytes for 1 token, {many} for 100000; {model.get_kvcache_max_tokens(1e10)} tokens in 10 GB")
    if "49B" in title:
        engine = EngineHandle.compile(path, "h200_sxm", "trtllm")
        short, long = (engine.predict_decode_latency(8, length) for length in (1024, 131072))
        print(f"its decode step: {short:.0f} ms at 1024 tokens, {long:.0f} ms at 131072")
END
"$work/venv/bin/python" "$work/look.py" > "$work/seen" 2> "$work/log" || cat "$work/log"
cat "$work/seen"
diff "$work/recorded" "$work/seen" || { echo "the behaviour is another one than was recorded"; exit 1; }
