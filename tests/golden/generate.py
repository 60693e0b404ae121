# SPDX-License-Identifier: Apache-2.0
"""Makes the golden layers: tiny random checkpoints and what transformers computes with them.

    generate.py [CASE...]  write every case, or these, below this folder (torch, transformers, safetensors, numpy)
    generate.py --verify   prove that the stored cases notice errors (numpy and safetensors only)

Properties a golden needs to see errors, all asserted here: every parameter random and no bias zero,
norm weights in [0.5, 1.5], each branch 0.2 to 0.5 of the output's norm, tokens of unequal size, and
for experts a clear gap between the last chosen and the first refused one, so that a bfloat16 run
chooses alike.
"""

import argparse
import json
import logging
import math
import os
import platform
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from numpy_layer import (
    CORRECTED, DENSE_FIRST, HYBRID, LATENT, SIGMOID, SPARSE, STREAM_NORMED, Layer, choose, chunk_of, delta_sizes,
    head_sizes, is_linear, is_moe, rope_frequencies, rope_scale, rope_settings, sees_all, shares_selection,
    stream_factors, temperature, text_part, top_k_key, top_k_of, turns, window_of, yarn_keep)

HERE = Path(__file__).resolve().parent
SEED = 20250
BRANCH_TARGET = 0.45  # of the input's norm; 0.38 of the output's once both branches are added
BRANCH_RANGE = (0.2, 0.5)
NORMED_BEHIND = 3.0  # larger tokens where norms stand behind blocks: what those add is about 1
TOKEN_SIZES = (0.5, 2.0)  # root mean square; x 4 between tokens is enough to see a missing norm
MIN_MARGIN = 0.04  # of the spread of a token's logits; bfloat16 moves them by less than 0.01
DRAW_MARGIN = 0.05  # drawn with room, for the arithmetic of transformers differs in the last bits
BF16_LIMITS = (2e-2, 5e-2)  # whole layer, worst token
NUMPY_LIMIT = 2e-6
NOTICED = 1e-4

BASE = {
    "llama": {"architectures": ["LlamaForCausalLM"], "model_type": "llama"},
    "qwen2": {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"},
    "qwen3": {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3"},
    "mixtral": {"architectures": ["MixtralForCausalLM"], "model_type": "mixtral"},
    "qwen3_moe": {"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe"},
    "deepseek_v2": {"architectures": ["DeepseekV2ForCausalLM"], "model_type": "deepseek_v2"},
    "deepseek_v3": {"architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3"},
    "deepseek_v32": {"architectures": ["DeepseekV32ForCausalLM"], "model_type": "deepseek_v32"},
    "glm_moe_dsa": {"architectures": ["GlmMoeDsaForCausalLM"], "model_type": "glm_moe_dsa"},
    "glm4_moe": {"architectures": ["Glm4MoeForCausalLM"], "model_type": "glm4_moe"},
    "ernie4_5_moe": {"architectures": ["Ernie4_5_MoeForCausalLM"], "model_type": "ernie4_5_moe"},
    "olmoe": {"architectures": ["OlmoeForCausalLM"], "model_type": "olmoe"},
    "minimax_m2": {"architectures": ["MiniMaxM2ForCausalLM"], "model_type": "minimax_m2"},
    "hunyuan_v1_moe": {"architectures": ["HunYuanMoEV1ForCausalLM"], "model_type": "hunyuan_v1_moe"},
    "gpt_oss": {"architectures": ["GptOssForCausalLM"], "model_type": "gpt_oss"},
    "qwen3_next": {"architectures": ["Qwen3NextForCausalLM"], "model_type": "qwen3_next"},
    "qwen3_5": {"architectures": ["Qwen3_5ForCausalLM"], "model_type": "qwen3_5_text"},
    "qwen3_5_moe": {"architectures": ["Qwen3_5MoeForCausalLM"], "model_type": "qwen3_5_moe_text"},
    "mistral": {"architectures": ["MistralForCausalLM"], "model_type": "mistral"},
    "ministral": {"architectures": ["MinistralForCausalLM"], "model_type": "ministral"},
    "ministral3": {"architectures": ["Ministral3ForCausalLM"], "model_type": "ministral3"},
    "llama4": {"architectures": ["Llama4ForCausalLM"], "model_type": "llama4_text"},
    "minimax": {"architectures": ["MiniMaxForCausalLM"], "model_type": "minimax"},
    "minimax_text_01": {"architectures": ["MiniMaxText01ForCausalLM"], "model_type": "minimax_text_01"},
    "gemma4": {"architectures": ["Gemma4ForCausalLM"], "model_type": "gemma4_text"},
}
NESTED_TYPES = {"ministral3": "mistral3"}  # of models that read pictures too; else without "_text"


def case(name, family, shape, layers, batch, seq, says, idle=None, layer_count=4, nested=None, **config):
    """shape: hidden, heads, kv_heads, width of the dense MLP. idle: the expert no token may choose. nested: the class
    of a model that reads pictures too, as whose language part the case is stored."""
    hidden, heads, kv_heads, width = shape
    full = dict(
        BASE[family], hidden_act="silu", hidden_size=hidden, num_attention_heads=heads,
        num_key_value_heads=kv_heads, intermediate_size=width, num_hidden_layers=layer_count,
        max_position_embeddings=512, tie_word_embeddings=False, vocab_size=320, **config,
    )
    new_style = "rope_parameters" in full
    if family == "gemma4":
        full.update(hidden_activation="gelu_pytorch_tanh", tie_word_embeddings=True)
        del full["hidden_act"]
    full["dtype" if new_style else "torch_dtype"] = "float32"
    if new_style:
        full["transformers_version"] = "5.23.0"
    return dict(name=name, family=family, config=dict(sorted(full.items())), layers=layers, batch=batch,
                seq=seq, says=says, idle=idle, nested=nested)


def rope(theta, rope_type="default", **more):
    return dict(rope_theta=theta, rope_type=rope_type, **more)


CASES = [
    case("llama_gqa", "llama", (84, 7, 1, 98), [0], 2, 13,
         "one key head for seven, head_dim absent, sliding_window present and without meaning",
         rms_norm_eps=1e-5, rope_theta=500000.0, rope_scaling=None, sliding_window=5,
         attention_bias=False, mlp_bias=False),
    case("llama_bias", "llama", (90, 5, 5, 62), [1], 1, 23,
         "biases on all seven linears, as many key heads as heads, linear rope (old style, key 'type'), eps 1e-3",
         rms_norm_eps=1e-3, rope_theta=10000.0, rope_scaling={"type": "linear", "factor": 2.5},
         attention_bias=True, mlp_bias=True),
    case("llama_llama3", "llama", (72, 6, 3, 74), [2], 3, 17,
         "llama3 rope with frequencies in all three bands, head_dim larger than hidden / heads, new style config",
         rms_norm_eps=1e-5, head_dim=20, attention_bias=False, mlp_bias=False,
         rope_parameters=rope(10000.0, "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                              original_max_position_embeddings=64)),
    case("qwen2_window", "qwen2", (60, 6, 2, 82), [1, 2], 2, 13,
         "max_window_layers: layer 1 sees all, layer 2 a window of 5; biases on q, k, v; eps 1e-3",
         rms_norm_eps=1e-3, rope_theta=1000000.0, use_sliding_window=True, sliding_window=5, max_window_layers=2),
    case("qwen2_no_window", "qwen2", (84, 7, 7, 70), [3], 1, 17,
         "sliding_window present but switched off by use_sliding_window, above max_window_layers",
         rms_norm_eps=1e-6, use_sliding_window=False, sliding_window=7, max_window_layers=1,
         rope_parameters=rope(1000000.0)),
    case("qwen2_layer_types", "qwen2", (72, 6, 1, 66), [0], 1, 23,
         "layer_types gives layer 0 a window against max_window_layers; head_dim given and not hidden / heads",
         rms_norm_eps=1e-6, head_dim=20, use_sliding_window=True, sliding_window=6, max_window_layers=4,
         layer_types=["sliding_attention", "full_attention"] * 2, rope_parameters=rope(10000.0)),
    case("qwen3_gqa", "qwen3", (84, 6, 2, 78), [0], 3, 13,
         "head_dim 20 against hidden / heads 14, three heads to a key head, norms on q and k, eps 1e-3",
         rms_norm_eps=1e-3, head_dim=20, rope_theta=1000000, rope_scaling=None, attention_bias=False,
         use_sliding_window=False, sliding_window=None, max_window_layers=4),
    case("qwen3_layer_types", "qwen3", (66, 4, 4, 52), [1, 2], 2, 17,
         "layer_types: layer 1 a window of 6, layer 2 sees all, though max_window_layers says none; attention_bias",
         rms_norm_eps=1e-6, head_dim=12, attention_bias=True, use_sliding_window=True, sliding_window=6,
         max_window_layers=4,
         layer_types=["full_attention", "sliding_attention", "full_attention", "sliding_attention"],
         rope_parameters=rope(1000000.0)),
    case("qwen3_default_head_dim", "qwen3", (44, 2, 1, 50), [1], 1, 13,
         "head_dim absent means 128 in this family, not hidden / heads; one key head",
         rms_norm_eps=1e-6, rope_theta=1000000, rope_scaling=None, attention_bias=False,
         use_sliding_window=False, sliding_window=4, max_window_layers=0),
    case("mixtral_window", "mixtral", (60, 6, 2, 42), [1], 2, 13,
         "a window of 5 in every layer, four experts, two chosen, head_dim absent, eps 1e-3",
         rms_norm_eps=1e-3, rope_theta=10000.0, sliding_window=5, num_local_experts=4, num_experts_per_tok=2),
    case("mixtral_full", "mixtral", (54, 3, 3, 32), [0], 1, 17,
         "sliding_window null, head_dim 14 against hidden / heads 18, an expert without tokens, new style config",
         idle=4, rms_norm_eps=1e-5, head_dim=14, sliding_window=None, num_local_experts=6,
         num_experts_per_tok=2, rope_parameters=rope(1000000.0)),
    case("qwen3_moe_norm", "qwen3_moe", (52, 4, 2, 64), [0], 3, 13,
         "norm_topk_prob true, num_experts 8 of which 3 are chosen, an expert without tokens",
         idle=5, rms_norm_eps=1e-6, head_dim=12, rope_theta=1000000.0, rope_scaling=None, attention_bias=False,
         use_sliding_window=False, sliding_window=4, max_window_layers=0, num_experts=8, num_experts_per_tok=3,
         moe_intermediate_size=22, norm_topk_prob=True, decoder_sparse_step=1, mlp_only_layers=[]),
    case("qwen3_moe_sparse", "qwen3_moe", (42, 3, 1, 50), [1, 2, 3], 2, 13,
         "decoder_sparse_step 2 and mlp_only_layers [3]: layer 1 has experts, layers 2 and 3 are dense; "
         "norm_topk_prob false, num_local_experts, attention_bias, eps 1e-3",
         rms_norm_eps=1e-3, head_dim=16, attention_bias=True, use_sliding_window=False, sliding_window=None,
         num_local_experts=5, num_experts_per_tok=2, moe_intermediate_size=22, norm_topk_prob=False,
         decoder_sparse_step=2, mlp_only_layers=[3], rope_parameters=rope(1000000.0)),
    case("qwen3_moe_window", "qwen3_moe", (72, 6, 6, 90), [0], 1, 17,
         "the window reaches every layer whatever max_window_layers says, head_dim absent, all experts chosen",
         rms_norm_eps=1e-6, rope_theta=10000.0, rope_scaling=None, attention_bias=False, use_sliding_window=True,
         sliding_window=5, max_window_layers=4, num_experts=4, num_experts_per_tok=4, moe_intermediate_size=26,
         norm_topk_prob=False, decoder_sparse_step=1, mlp_only_layers=[]),
    case("qwen3_yarn", "qwen3", (60, 4, 2, 70), [0], 2, 19,
         "yarn in the old style: pairs kept, blended and stretched; cosines and sines scaled by 0.1 ln 4 + 1",
         rms_norm_eps=1e-6, head_dim=32, rope_theta=10000.0, attention_bias=False, use_sliding_window=False,
         sliding_window=None, max_window_layers=4,
         rope_scaling={"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 256}),
    case("llama_yarn", "llama", (64, 4, 4, 58), [1], 1, 23,
         "yarn in the new style, truncate false, own betas, mscale against mscale_all_dim; eps 1e-3",
         rms_norm_eps=1e-3, head_dim=28, attention_bias=False, mlp_bias=False,
         rope_parameters=rope(50000.0, "yarn", factor=8.0, beta_fast=16.0, beta_slow=2.0, truncate=False,
                              mscale=1.5, mscale_all_dim=0.5, original_max_position_embeddings=128)),
    case("deepseek_v2_lite", "deepseek_v2", (48, 4, 4, 58), [0, 1], 2, 13,
         "as V2-Lite: no q_lora, layer 0 dense, layer 1 six of eight experts by their softmax beside two shared ones, "
         "yarn in the old style with mscale = mscale_all_dim, which scales the scores; eps 1e-3, not of latents",
         rms_norm_eps=1e-3, q_lora_rank=None, kv_lora_rank=22, qk_nope_head_dim=10, qk_rope_head_dim=8, v_head_dim=14,
         moe_intermediate_size=14, n_routed_experts=8, num_experts_per_tok=6, n_shared_experts=2,
         first_k_dense_replace=1, moe_layer_freq=1, n_group=1, topk_group=1, topk_method="greedy",
         scoring_func="softmax", norm_topk_prob=False, routed_scaling_factor=1.0, attention_bias=False,
         rope_theta=10000,
         rope_scaling={"type": "yarn", "factor": 40, "beta_fast": 32, "beta_slow": 1, "mscale": 0.707,
                       "mscale_all_dim": 0.707, "original_max_position_embeddings": 4096}),
    case("deepseek_v2_groups", "deepseek_v2", (42, 3, 3, 50), [0, 1], 1, 23,
         "q_lora, two of four groups by their best expert, scaling, norm_topk_prob without meaning, biases on q_a, "
         "kv_a, o, dense and shared experts, new style config; an odd number of dimensions that are not rotated",
         rms_norm_eps=1e-6, q_lora_rank=19, kv_lora_rank=26, qk_nope_head_dim=13, qk_rope_head_dim=6, v_head_dim=9,
         moe_intermediate_size=16, n_routed_experts=12, num_experts_per_tok=4, n_shared_experts=1,
         first_k_dense_replace=1, n_group=4, topk_group=2, topk_method="group_limited_greedy", norm_topk_prob=True,
         routed_scaling_factor=3.5, attention_bias=True, mlp_bias=True, rope_parameters=rope(10000.0)),
    case("deepseek_v3_groups", "deepseek_v3", (44, 4, 4, 54), [1, 2], 2, 13,
         "as V3: q_lora, layer 1 dense, layer 2 five of sixteen experts of two of four groups by their two best biased "
         "scores, renormalised and scaled, one shared, yarn with mscale 1 and 1; eps 1e-3, not of latents",
         rms_norm_eps=1e-3, q_lora_rank=24, kv_lora_rank=20, qk_nope_head_dim=12, qk_rope_head_dim=8, v_head_dim=10,
         moe_intermediate_size=12, n_routed_experts=16, num_experts_per_tok=5, n_shared_experts=1,
         first_k_dense_replace=2, moe_layer_freq=1, n_group=4, topk_group=2, topk_method="noaux_tc",
         scoring_func="sigmoid", norm_topk_prob=True, routed_scaling_factor=2.5, attention_bias=False,
         num_nextn_predict_layers=1, rope_theta=10000,
         rope_scaling={"type": "yarn", "factor": 40, "beta_fast": 32, "beta_slow": 1, "mscale": 1.0,
                       "mscale_all_dim": 1.0, "original_max_position_embeddings": 4096}),
    case("deepseek_v3_kimi", "deepseek_v3", (40, 2, 2, 46), [0, 1], 2, 17,
         "as Kimi-K2: q_lora, no groups, yarn whose ramp has no width (beta_fast = beta_slow), an expert without "
         "tokens",
         idle=3, rms_norm_eps=1e-6, q_lora_rank=18, kv_lora_rank=24, qk_nope_head_dim=14, qk_rope_head_dim=10,
         v_head_dim=12, moe_intermediate_size=14, n_routed_experts=8, num_experts_per_tok=3, n_shared_experts=1,
         first_k_dense_replace=1, moe_layer_freq=1, n_group=1, topk_group=1, topk_method="noaux_tc",
         scoring_func="sigmoid", norm_topk_prob=True, routed_scaling_factor=2.827, attention_bias=False,
         num_nextn_predict_layers=0, rope_theta=50000.0,
         rope_scaling={"type": "yarn", "factor": 32.0, "beta_fast": 1.0, "beta_slow": 1.0, "mscale": 1.0,
                       "mscale_all_dim": 1.0, "original_max_position_embeddings": 4096}),
    case("deepseek_v3_moonlight", "deepseek_v3", (48, 3, 3, 44), [0, 1], 2, 13,
         "as Moonlight: no q_lora, no groups, two shared experts, plain rope",
         rms_norm_eps=1e-5, q_lora_rank=None, kv_lora_rank=18, qk_nope_head_dim=11, qk_rope_head_dim=12, v_head_dim=13,
         moe_intermediate_size=12, n_routed_experts=9, num_experts_per_tok=4, n_shared_experts=2,
         first_k_dense_replace=1, n_group=1, topk_group=1, topk_method="noaux_tc", scoring_func="sigmoid",
         norm_topk_prob=True, routed_scaling_factor=2.446, attention_bias=False, rope_theta=50000.0, rope_scaling=None),
    case("deepseek_v3_raw", "deepseek_v3", (36, 3, 3, 40), [0], 3, 11,
         "every layer has experts, weights not renormalised, rope_interleave false (halves), biases on q_a, kv_a and o",
         rms_norm_eps=1e-6, q_lora_rank=14, kv_lora_rank=16, qk_nope_head_dim=9, qk_rope_head_dim=10, v_head_dim=8,
         moe_intermediate_size=12, n_routed_experts=6, num_experts_per_tok=2, n_shared_experts=1,
         first_k_dense_replace=0, n_group=3, topk_group=2, norm_topk_prob=False, routed_scaling_factor=1.5,
         attention_bias=True, rope_interleave=False, rope_parameters=rope(10000.0)),
    case("glm4_moe_norms", "glm4_moe", (44, 6, 2, 50), [0, 1], 2, 13,
         "as GLM-4.5: half of each head turned, biases on q, k and v, norms of q and k, layer 0 dense, layer 1 three "
         "of eight experts by biased scores, scaled, beside a shared one; eps 1e-3",
         rms_norm_eps=1e-3, head_dim=12, attention_bias=True, use_qk_norm=True, partial_rotary_factor=0.5,
         rope_theta=1000000, rope_scaling=None, moe_intermediate_size=14, n_routed_experts=8, num_experts_per_tok=3,
         n_shared_experts=1, first_k_dense_replace=1, n_group=1, topk_group=1, norm_topk_prob=True,
         routed_scaling_factor=2.5, num_nextn_predict_layers=1),
    case("glm4_moe_air", "glm4_moe", (44, 4, 1, 50), [0, 2], 1, 19,
         "as GLM-4.5-Air: no norms of q and k, weights not scaled, partial_rotary_factor absent (half), layer 0 dense, "
         "layer 2 with an expert without tokens",
         idle=2, rms_norm_eps=1e-5, head_dim=16, attention_bias=True, use_qk_norm=False, rope_theta=1000000,
         rope_scaling=None, moe_intermediate_size=12, n_routed_experts=6, num_experts_per_tok=2, n_shared_experts=1,
         first_k_dense_replace=1, n_group=1, topk_group=1, norm_topk_prob=True, routed_scaling_factor=1.0,
         num_nextn_predict_layers=1),
    case("glm4_moe_raw", "glm4_moe", (42, 3, 3, 46), [0], 2, 11,
         "norms without biases, a quarter of each head turned (new style config), groups, two shared experts, weights "
         "not renormalised",
         rms_norm_eps=1e-6, head_dim=24, attention_bias=False, use_qk_norm=True, moe_intermediate_size=12,
         n_routed_experts=9, num_experts_per_tok=3, n_shared_experts=2, first_k_dense_replace=0, n_group=3,
         topk_group=2,
         norm_topk_prob=False, routed_scaling_factor=1.5,
         rope_parameters=rope(10000.0, partial_rotary_factor=0.25)),
    case("ernie4_5_moe_shared", "ernie4_5_moe", (44, 4, 2, 50), [0, 1], 2, 13,
         "as ERNIE-4.5-21B: neighbours turned, layer 0 dense, layer 1 three of eight experts by softmax plus bias, "
         "renormalised without it, beside two shared ones; moe_layer_end_index -1; eps 1e-3",
         rms_norm_eps=1e-3, head_dim=12, use_bias=False, rope_theta=500000.0, moe_intermediate_size=14,
         moe_num_experts=8, moe_k=3, moe_num_shared_experts=2, moe_layer_start_index=1, moe_layer_end_index=-1,
         moe_layer_interval=1, moe_norm_min=1e-12),
    case("ernie4_5_moe_bias", "ernie4_5_moe", (42, 3, 1, 46), [1, 2], 1, 19,
         "biases on all linears but the experts', experts in layer 1 alone by moe_layer_interval 2 and "
         "moe_layer_end_index 2, an expert without tokens, one shared, head_dim absent; new style config",
         idle=4, rms_norm_eps=1e-5, use_bias=True, moe_intermediate_size=12, moe_num_experts=6, moe_k=2,
         moe_num_shared_experts=1, moe_layer_start_index=1, moe_layer_end_index=2, moe_layer_interval=2,
         rope_parameters=rope(10000.0)),
    case("ernie4_5_moe_plain", "ernie4_5_moe", (36, 3, 3, 40), [0], 2, 11,
         "as ERNIE-4.5-300B: no shared experts; here from layer 0 on",
         rms_norm_eps=1e-6, use_bias=False, rope_theta=10000.0, moe_intermediate_size=12, moe_num_experts=6, moe_k=2,
         moe_num_shared_experts=0, moe_layer_start_index=0),
    case("olmoe_raw", "olmoe", (48, 4, 4, 14), [1], 2, 13,
         "as OLMoE-1B-7B: one norm over all heads of q, one over all of k, as many key heads as heads, three of eight "
         "experts whose weights are not renormalised, clip_qkv null; eps 1e-3",
         rms_norm_eps=1e-3, rope_theta=10000.0, rope_scaling=None, attention_bias=False, clip_qkv=None,
         num_experts=8, num_experts_per_tok=3, norm_topk_prob=False),
    case("olmoe_bias", "olmoe", (60, 6, 2, 12), [0], 1, 19,
         "three heads to a key head, biases on q, k, v and o, weights renormalised, an expert without tokens; new "
         "style config",
         idle=3, rms_norm_eps=1e-5, attention_bias=True, num_experts=6, num_experts_per_tok=2, norm_topk_prob=True,
         rope_parameters=rope(50000.0)),
    case("minimax_m2_part", "minimax_m2", (44, 6, 2, 14), [1], 2, 13,
         "as MiniMax-M2: norms over all heads, the first 8 of 20 elements turned (rotary_dim), three of eight experts "
         "by sigmoid plus a bias that lies beside the gate; eps 1e-3",
         rms_norm_eps=1e-3, head_dim=20, rope_theta=5000000, rotary_dim=8, num_local_experts=8, num_experts_per_tok=3,
         scoring_func="sigmoid", use_qk_norm=True, qk_norm_type="per_layer", use_routing_bias=True,
         shared_intermediate_size=0),
    case("minimax_m2_defaults", "minimax_m2", (32, 2, 1, 12), [0], 1, 19,
         "head_dim absent (128), half of it turned by partial_rotary_factor, an expert without tokens; new style "
         "config",
         idle=4, rms_norm_eps=1e-6, num_local_experts=6, num_experts_per_tok=2,
         rope_parameters=rope(10000.0, partial_rotary_factor=0.5)),
    case("hunyuan_v1_moe_alpha", "hunyuan_v1_moe", (44, 4, 2, 14), [1], 2, 13,
         "as Hunyuan-A13B: heads of q and k normed after they are turned, rope with alpha, lists of one number a "
         "layer, three of eight experts beside a shared one, head_dim given; eps 1e-3",
         rms_norm_eps=1e-3, head_dim=12, attention_bias=False, rope_theta=10000.0, use_qk_norm=True, use_cla=False,
         num_experts=8, moe_topk=[3, 3, 3, 3], moe_intermediate_size=[14] * 4, num_shared_expert=[1] * 4,
         use_mixed_mlp_moe=True,
         rope_scaling={"type": "dynamic", "alpha": 1000.0, "beta_fast": 32, "beta_slow": 1, "factor": 1.0,
                       "mscale": 1.0, "mscale_all_dim": 1.0}),
    case("hunyuan_v1_moe_bias", "hunyuan_v1_moe", (60, 5, 5, 12), [0], 1, 19,
         "biases on q, k, v and o, as many key heads as heads, an expert without tokens; new style "
         "config",
         idle=2, rms_norm_eps=1e-5, head_dim=8, attention_bias=True, num_experts=6, moe_topk=2,
         rope_parameters=rope(10000.0)),
    case("gpt_oss_yarn", "gpt_oss", (44, 6, 2, 14), [0, 1], 2, 13,
         "as gpt-oss: sinks, layer 0 a window of 5, layer 1 sees all, biases on q, k, v, o, router and experts, three "
         "of eight experts, gate and up in turns, clamped at 1.2, yarn with truncate false; eps 1e-3",
         rms_norm_eps=1e-3, head_dim=12, attention_bias=True, sliding_window=5, experts_per_token=3,
         num_experts_per_tok=3, num_local_experts=8, swiglu_limit=1.2, initial_context_length=4096, rope_theta=150000,
         layer_types=["sliding_attention", "full_attention"] * 2,
         rope_scaling={"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": False,
                       "original_max_position_embeddings": 4096}),
    case("gpt_oss_plain", "gpt_oss", (40, 4, 4, 12), [0, 1], 1, 19,
         "no biases of attention, as many key heads as heads, layer_types the other way round, an expert without "
         "tokens, clamped at 0.9; new style config",
         idle=4, rms_norm_eps=1e-5, head_dim=16, attention_bias=False, sliding_window=6, num_experts_per_tok=2,
         num_local_experts=6, swiglu_limit=0.9, layer_types=["full_attention", "sliding_attention"] * 2,
         rope_parameters=rope(10000.0)),
    case("qwen3_next_turns", "qwen3_next", (40, 4, 2, 46), [0, 3], 2, 13,
         "as Qwen3-Next: layer 0 the gated delta rule, rows in turns, two value heads to a key head; layer 3 gated "
         "attention that turns a quarter of each head; experts beside a gated shared one; eps 1e-3",
         rms_norm_eps=1e-3, head_dim=24, partial_rotary_factor=0.25, rope_theta=10000, rope_scaling=None,
         attention_bias=False, full_attention_interval=4, linear_num_key_heads=2, linear_num_value_heads=4,
         linear_key_head_dim=10, linear_value_head_dim=6, linear_conv_kernel_dim=4, num_experts=8,
         num_experts_per_tok=3, moe_intermediate_size=12, shared_expert_intermediate_size=14, norm_topk_prob=True,
         decoder_sparse_step=1, mlp_only_layers=[]),
    case("qwen3_next_dense", "qwen3_next", (36, 3, 1, 42), [0, 1, 2], 1, 19,
         "layer_types: layer 0 gated attention with biases beside experts whose weights are not renormalised, layers 1 "
         "and 2 the gated delta rule, dense by mlp_only_layers and with experts, one of them without tokens; three "
         "value heads to one key head, a kernel of 3; half of each head turned (new style config)",
         idle=2, rms_norm_eps=1e-6, head_dim=12, attention_bias=True,
         layer_types=["full_attention", "linear_attention", "linear_attention", "full_attention"],
         linear_num_key_heads=1, linear_num_value_heads=3, linear_key_head_dim=7, linear_value_head_dim=11,
         linear_conv_kernel_dim=3, num_experts=6, num_experts_per_tok=2, moe_intermediate_size=10,
         shared_expert_intermediate_size=8, norm_topk_prob=False, decoder_sparse_step=1, mlp_only_layers=[1],
         rope_parameters=rope(10000.0, partial_rotary_factor=0.5)),
    case("qwen3_5_dense", "qwen3_5", (40, 3, 3, 52), [0, 3], 1, 70,
         "as Qwen3.5-27B: separate projections, three value heads to a key head, dense; 70 tokens, more than a chunk "
         "of 64; partial_rotary_factor absent (a quarter)",
         rms_norm_eps=1e-6, head_dim=24, attention_bias=False, linear_num_key_heads=2, linear_num_value_heads=6,
         linear_key_head_dim=14, linear_value_head_dim=18, linear_conv_kernel_dim=4, rope_theta=10000000),
    case("qwen3_5_moe_split", "qwen3_5_moe", (36, 4, 1, 40), [1, 3], 2, 17,
         "as Qwen3.5-35B-A3B saved by transformers: experts one by one; as many key heads as value heads; eps 1e-3",
         rms_norm_eps=1e-3, head_dim=24, attention_bias=False, attn_output_gate=True, linear_num_key_heads=3,
         linear_num_value_heads=3, linear_key_head_dim=9, linear_value_head_dim=8, linear_conv_kernel_dim=4,
         num_experts=6, num_experts_per_tok=2, moe_intermediate_size=12, shared_expert_intermediate_size=10,
         rope_parameters=rope(10000, partial_rotary_factor=0.25, mrope_section=[1, 1, 1])),
    case("qwen3_5_moe_published", "qwen3_5_moe", (40, 4, 2, 44), [2, 3], 1, 17,
         "as Qwen3.5-35B-A3B is published: text_config, names below model.language_model, all experts in one tensor, "
         "one of them without tokens",
         idle=4, nested="Qwen3_5MoeForConditionalGeneration", rms_norm_eps=1e-6, head_dim=16, attention_bias=False,
         attn_output_gate=True, full_attention_interval=4, linear_num_key_heads=2, linear_num_value_heads=4,
         linear_key_head_dim=10, linear_value_head_dim=9, linear_conv_kernel_dim=4, mlp_only_layers=[],
         mtp_num_hidden_layers=1, num_experts=6, num_experts_per_tok=2, moe_intermediate_size=10,
         shared_expert_intermediate_size=12,
         rope_parameters=rope(10000, partial_rotary_factor=0.25, mrope_interleaved=True, mrope_section=[1, 1, 0])),
    case("mistral_window", "mistral", (60, 6, 2, 66), [1], 2, 13,
         "a window of 5 in every layer, head_dim absent, three heads to a key head; eps 1e-3",
         rms_norm_eps=1e-3, rope_theta=10000.0, sliding_window=5),
    case("mistral_full", "mistral", (52, 4, 1, 58), [0], 1, 17,
         "as Mistral Small: sliding_window null, head_dim 20 against hidden / heads 13, new style config",
         rms_norm_eps=1e-5, head_dim=20, sliding_window=None, rope_parameters=rope(1000000.0)),
    case("ministral_types", "ministral", (54, 3, 3, 62), [0, 1], 2, 13,
         "layer_types: layer 0 sees all, layer 1 a window of 6; eps 1e-3",
         rms_norm_eps=1e-3, head_dim=14, sliding_window=6,
         layer_types=["full_attention", "sliding_attention"] * 2, rope_parameters=rope(10000.0)),
    case("ministral3_temperature", "ministral3", (48, 6, 2, 56), [0], 2, 19,
         "a temperature that grows every 5 positions; a window of 9, plain rope; eps 1e-3",
         rms_norm_eps=1e-3, head_dim=12, sliding_window=9,
         rope_parameters=rope(10000.0, original_max_position_embeddings=5, llama_4_scaling_beta=0.4)),
    case("ministral3_published", "ministral3", (40, 4, 1, 44), [1], 1, 70,
         "as Ministral 3 is published: text_config, yarn with mscale = mscale_all_dim, which scales nothing; 70 "
         "tokens, more than the original 32",
         nested="Mistral3ForConditionalGeneration", rms_norm_eps=1e-5, head_dim=32, sliding_window=None,
         rope_parameters=rope(1000000.0, "yarn", type="yarn", factor=16.0, beta_fast=4.0, beta_slow=1.0, mscale=1.0,
                              mscale_all_dim=1.0, original_max_position_embeddings=32, llama_4_scaling_beta=0.3)),
    case("llama4_scout", "llama4", (40, 6, 2, 12), [0, 3], 2, 19,
         "as Scout is published: text_config, experts in every layer, one of six chosen, beside a shared one, weights "
         "before the experts; layer 0 turns neighbours, norms without weights and sees chunks of 7; layer 3 does none "
         "of it and has a temperature that grows every 4 positions; llama3 rope without a middle band; eps 1e-3",
         nested="Llama4ForConditionalGeneration", rms_norm_eps=1e-3, head_dim=20, attention_bias=False,
         attention_chunk_size=7, use_qk_norm=True, interleave_moe_layer_step=1, intermediate_size_mlp=40,
         num_local_experts=6, num_experts_per_tok=1, attn_temperature_tuning=True, floor_scale=4, attn_scale=0.3,
         no_rope_layers=[], rope_theta=10000.0,
         rope_scaling={"rope_type": "llama3", "factor": 16.0, "low_freq_factor": 1.0, "high_freq_factor": 1.0,
                       "original_max_position_embeddings": 64}),
    case("llama4_maverick", "llama4", (36, 4, 1, 10), [0, 1, 2, 3], 1, 23,
         "as Maverick, of text alone: every other layer dense, no norms; here two of five experts, one without tokens, "
         "no_rope_layers [1, 1, 0, 0], layer_types [chunked, full, chunked, full], no temperature",
         idle=2, rms_norm_eps=1e-5, head_dim=16, attention_bias=False, attention_chunk_size=6, use_qk_norm=False,
         interleave_moe_layer_step=2, intermediate_size_mlp=42, num_local_experts=5, num_experts_per_tok=2,
         attn_temperature_tuning=False, no_rope_layers=[1, 1, 0, 0],
         layer_types=["chunked_attention", "full_attention"] * 2, rope_parameters=rope(500000.0)),
    case("gemma4_dense", "gemma4", (48, 4, 2, 52), [0, 2], 2, 13,
         "as Gemma 4 31B: layer 0 a window of 5, layer 2 sees all with heads of 24 against 12, one key head against "
         "two, values that are its keys, a quarter of its pairs turned; norms of values, before and behind blocks, a "
         "factor of the layer; eps 1e-3",
         layer_count=3, rms_norm_eps=1e-3, head_dim=12, global_head_dim=24, num_global_key_value_heads=1,
         attention_k_eq_v=True, attention_bias=False, sliding_window=5, hidden_size_per_layer_input=0,
         num_kv_shared_layers=0, enable_moe_block=False, final_logit_softcapping=30.0,
         layer_types=["sliding_attention", "sliding_attention", "full_attention"],
         rope_parameters={"sliding_attention": rope(10000.0), "full_attention": rope(
             1000000.0, "proportional", partial_rotary_factor=0.25)}),
    case("gemma4_experts", "gemma4", (40, 4, 2, 36), [0, 1], 1, 17,
         "as Gemma 4 26B-A4B is published: text_config, two of six experts beside the MLP, one without tokens, weights "
         "with a scale of each expert, a router with a norm of its own; layer 1 sees all, half of its pairs turned, "
         "one key head, which is its value, against two",
         idle=3, nested="Gemma4ForConditionalGeneration", layer_count=2, rms_norm_eps=1e-6, head_dim=12,
         global_head_dim=20, num_global_key_value_heads=1, attention_k_eq_v=True, sliding_window=6,
         hidden_size_per_layer_input=0, num_kv_shared_layers=0, enable_moe_block=True, num_experts=6, top_k_experts=2,
         moe_intermediate_size=14, layer_types=["sliding_attention", "full_attention"],
         rope_parameters={"sliding_attention": rope(10000.0), "full_attention": rope(
             100000.0, "proportional", partial_rotary_factor=0.5)}),
    case("minimax_hf", "minimax", (44, 6, 2, 14), [2, 3], 2, 13,
         "as MiniMax-Text-01-hf: layer 2 lightning attention, layer 3 full attention, factors of the residual, "
         "head_dim 12 against hidden / heads, two of six experts, one without tokens; blocks of 5 tokens; eps 1e-3, "
         "not of the values' norm",
         idle=4, rms_norm_eps=1e-3, head_dim=12, rope_theta=10000.0, num_local_experts=6, num_experts_per_tok=2,
         block_size=5, layer_types=["linear_attention"] * 3 + ["full_attention"],
         full_attn_alpha_factor=3.5565588200778455,
         full_attn_beta_factor=1.0, linear_attn_alpha_factor=3.5565588200778455, linear_attn_beta_factor=1.0,
         mlp_alpha_factor=3.5565588200778455, mlp_beta_factor=1.0),
    case("minimax_factors", "minimax", (40, 5, 1, 12), [0, 1, 3], 1, 70,
         "layer_types absent: full and linear attention in turns; six factors that all differ, head_dim absent, 70 "
         "tokens, more than a chunk of 64; the last layer forgets next to nothing; new style config",
         rms_norm_eps=1e-6, num_local_experts=5, num_experts_per_tok=2, full_attn_alpha_factor=1.4,
         full_attn_beta_factor=0.7, linear_attn_alpha_factor=1.1, linear_attn_beta_factor=0.8, mlp_alpha_factor=1.2,
         mlp_beta_factor=1.5, rope_parameters=rope(50000.0)),
    case("minimax_text_01", "minimax_text_01", (48, 4, 2, 12), [0, 3], 2, 17,
         "as MiniMax-Text-01 is published: attn_type_list, layernorm_..._alpha, the first 8 of 16 elements turned "
         "(rotary_dim), which transformers' class does not read: with the rotation of its minimax_m2",
         rms_norm_eps=1e-5, head_dim=16, rope_theta=10000000, rotary_dim=8, num_local_experts=6, num_experts_per_tok=2,
         attn_type_list=[0, 0, 0, 1], block_size=256, postnorm=True, shared_intermediate_size=0, sliding_window=None,
         layernorm_full_attention_alpha=3.5565588200778455, layernorm_full_attention_beta=1.0,
         layernorm_linear_attention_alpha=3.5565588200778455, layernorm_linear_attention_beta=1.0,
         layernorm_mlp_alpha=3.5565588200778455, layernorm_mlp_beta=1.0),
    case("deepseek_v32_groups", "deepseek_v32", (44, 4, 4, 50), [1, 2], 2, 19,
         "as V3.2: as V3, and an indexer of six heads that selects five of up to 19 keys, its first 8 of 12 elements "
         "turned as halves; layer 1 dense, layer 2 with groups of experts; eps 1e-3, not of latents or index keys",
         rms_norm_eps=1e-3, q_lora_rank=24, kv_lora_rank=20, qk_nope_head_dim=12, qk_rope_head_dim=8, v_head_dim=10,
         index_topk=5, index_n_heads=6, index_head_dim=12,
         moe_intermediate_size=12, n_routed_experts=12, num_experts_per_tok=4, n_shared_experts=1,
         first_k_dense_replace=2, moe_layer_freq=1, n_group=4, topk_group=2, topk_method="noaux_tc",
         scoring_func="sigmoid", norm_topk_prob=True, routed_scaling_factor=2.5, attention_bias=False,
         num_nextn_predict_layers=1, rope_theta=10000,
         rope_scaling={"type": "yarn", "factor": 40, "beta_fast": 32, "beta_slow": 1, "mscale": 1.0,
                       "mscale_all_dim": 1.0, "original_max_position_embeddings": 4096}),
    case("deepseek_v32_all", "deepseek_v32", (40, 2, 2, 44), [0], 1, 17,
         "more keys to be selected than there are: whatever the indexer says, every query sees all it may see; biases "
         "on q_a, kv_a and o; new style config",
         rms_norm_eps=1e-6, q_lora_rank=18, kv_lora_rank=22, qk_nope_head_dim=14, qk_rope_head_dim=6, v_head_dim=12,
         index_topk=24, index_n_heads=3, index_head_dim=10,
         moe_intermediate_size=14, n_routed_experts=8, num_experts_per_tok=3, n_shared_experts=1,
         first_k_dense_replace=1, n_group=1, topk_group=1, norm_topk_prob=True, routed_scaling_factor=2.0,
         attention_bias=True, rope_parameters=rope(10000.0)),
    case("glm_moe_dsa_plain", "glm_moe_dsa", (48, 3, 3, 46), [0, 1], 1, 37,
         "as GLM-5: no groups, an indexer in every layer, its first 6 of 14 elements turned as neighbours, 11 of up to "
         "37 keys; layer 0 dense, an expert without tokens",
         idle=3, rms_norm_eps=1e-5, q_lora_rank=20, kv_lora_rank=24, qk_nope_head_dim=10, qk_rope_head_dim=6,
         v_head_dim=14, qk_head_dim=16, rope_interleave=True, indexer_rope_interleave=True,
         index_topk=11, index_n_heads=5, index_head_dim=14,
         moe_intermediate_size=14, n_routed_experts=8, num_experts_per_tok=3, n_shared_experts=1,
         first_k_dense_replace=1, moe_layer_freq=1, n_group=1, topk_group=1, topk_method="noaux_tc",
         scoring_func="sigmoid", norm_topk_prob=True, routed_scaling_factor=2.5, attention_bias=False,
         num_nextn_predict_layers=1, rope_parameters=rope(1000000.0)),
    case("glm_moe_dsa_shared", "glm_moe_dsa", (42, 4, 4, 50), [1, 2], 2, 17,
         "as GLM-5.2: layer 1 has no indexer and sees the four keys that the layer before it selected, which io holds, "
         "layer 2 has one again; all of an index head turned; eps 1e-3",
         rms_norm_eps=1e-3, q_lora_rank=18, kv_lora_rank=20, qk_nope_head_dim=12, qk_rope_head_dim=8, v_head_dim=10,
         index_topk=4, index_n_heads=4, index_head_dim=8, index_topk_freq=2, index_skip_topk_offset=1,
         index_topk_pattern=None, index_share_for_mtp_iteration=True,
         indexer_types=["full", "shared", "full", "shared"], mlp_layer_types=["dense"] + ["sparse"] * 3,
         moe_intermediate_size=14, n_routed_experts=6, num_experts_per_tok=2, n_shared_experts=1,
         first_k_dense_replace=1, n_group=1, topk_group=1, topk_method="noaux_tc", scoring_func="sigmoid",
         norm_topk_prob=True, routed_scaling_factor=2.5, attention_bias=False,
         rope_parameters=rope(100000.0)),
]


# --- making a case ---------------------------------------------------------------------------------

def to_bf16_grid(x):
    """Rounds to the nearest bfloat16, ties to even; the result is still float32."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)).view(np.float32)


def expert_count(config):
    names = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
    return next(config[k] for k in names if config.get(k))


class RandomTensors:
    """Makes the tensors of one layer under their published names; what is drawn after what decides the bytes."""

    def __init__(self, config, layer, rng):
        self.config, self.layer, self.rng = config, layer, rng
        self.kind = config["model_type"]
        self.hidden = config["hidden_size"]
        self.width = config.get("intermediate_size_mlp", config["intermediate_size"])
        self.heads, self.kv_heads, self.dim = head_sizes(config, layer)
        self.prefix, self.made = f"model.layers.{layer}.", {}
        self.reader = Layer(config, {}, layer)

    def linear(self, name, out, inn, gain=1.0):
        self.made[self.prefix + name + ".weight"] = self.rng.normal(size=(out, inn)) * gain / math.sqrt(inn)
        if self.reader.biased(name):
            self.made[self.prefix + name + ".bias"] = self.signed(out)

    def signed(self, *shape):
        return self.rng.uniform(0.1, 0.5, shape) * self.rng.choice([-1.0, 1.0], shape)

    def norm(self, name, size):
        stored_less_one = 1 if self.kind in HYBRID else 0
        self.made[self.prefix + name + ".weight"] = self.rng.uniform(0.5, 1.5, size) - stored_less_one

    def lightning_attention(self):
        inner = self.heads * self.dim
        # Results so small that eps of their norm is seen.
        self.linear("self_attn.qkv_proj", 3 * inner, self.hidden, 0.8)
        self.linear("self_attn.output_gate", inner, self.hidden)
        self.norm("self_attn.norm", inner)
        self.linear("self_attn.out_proj", self.hidden, inner)

    def delta_attention(self):
        key_heads, value_heads, key_dim, value_dim, kernel = delta_sizes(self.config)
        place, keys, values = "linear_attn.", key_heads * key_dim, value_heads * value_dim
        if self.kind == "qwen3_next":
            self.linear(place + "in_proj_qkvz", 2 * keys + 2 * values, self.hidden)
            self.linear(place + "in_proj_ba", 2 * value_heads, self.hidden)
        else:
            for end, rows in (("qkv", 2 * keys + values), ("z", values), ("b", value_heads), ("a", value_heads)):
                self.linear(place + "in_proj_" + end, rows, self.hidden)
        made, at, rng = self.made, self.prefix + place, self.rng
        made[at + "conv1d.weight"] = rng.normal(size=(2 * keys + values, 1, kernel)) / math.sqrt(kernel)
        # The state forgets a tenth to a half of itself a token.
        made[at + "A_log"] = rng.uniform(-1.0, 1.0, value_heads)
        made[at + "dt_bias"] = rng.uniform(-2.5, -0.5, value_heads)
        made[at + "norm.weight"] = rng.uniform(0.5, 1.5, value_dim)
        self.linear(place + "out_proj", self.hidden, values)

    def latent_attention(self):
        config, heads = self.config, self.heads
        latent, nope, v_dim = config["kv_lora_rank"], config["qk_nope_head_dim"], config["v_head_dim"]
        rank, q_rows = config["q_lora_rank"], heads * (nope + self.dim)
        if rank is None:
            self.linear("self_attn.q_proj", q_rows, self.hidden, 1.25)
        else:
            self.linear("self_attn.q_a_proj", rank, self.hidden)
            self.norm("self_attn.q_a_layernorm", rank)
            self.linear("self_attn.q_b_proj", q_rows, rank, 1.25)
        self.linear("self_attn.kv_a_proj_with_mqa", latent + self.dim, self.hidden, 1.25)
        self.norm("self_attn.kv_a_layernorm", latent)
        self.linear("self_attn.kv_b_proj", heads * (nope + v_dim), latent, 1.25)
        self.linear("self_attn.o_proj", self.hidden, heads * v_dim)
        if self.kind in SPARSE and not shares_selection(config, self.layer):
            of, index_dim = "self_attn.indexer.", config["index_head_dim"]
            self.linear(of + "wq_b", config["index_n_heads"] * index_dim, rank)
            self.linear(of + "wk", index_dim, self.hidden)
            self.norm(of + "k_norm", index_dim)
            self.made[self.prefix + of + "k_norm.bias"] = self.signed(index_dim)
            self.linear(of + "weights_proj", config["index_n_heads"], self.hidden)

    def grouped_query_attention(self):
        heads, dim = self.heads, self.dim
        self.linear("self_attn.q_proj", heads * dim * (2 if self.kind in HYBRID else 1), self.hidden, 1.25)
        self.linear("self_attn.k_proj", self.kv_heads * dim, self.hidden, 1.25)
        if not self.reader.v_from_k():
            self.linear("self_attn.v_proj", self.kv_heads * dim, self.hidden)
        self.linear("self_attn.o_proj", self.hidden, heads * dim)

    # Gain 1.25 gives attention scores a spread of about 1.5: neither a plain mean nor one single key.
    def attention(self):
        if is_linear(self.config, self.layer) and self.kind in STREAM_NORMED:
            self.lightning_attention()
        elif is_linear(self.config, self.layer):
            self.delta_attention()
        elif self.kind in LATENT:
            self.latent_attention()
        else:
            self.grouped_query_attention()

    def qk_norms(self):
        if self.reader.qk_norm not in ("", "bare") and not self.reader.linear_attn:
            for name, count in zip(self.reader.norm_names(), (self.heads, self.kv_heads)):
                self.norm(name, self.dim if self.reader.qk_norm == "head" else count * self.dim)

    def mlp(self, place, width, names=("gate_proj", "up_proj", "down_proj")):
        gate, up, down = names
        self.linear(f"{place}.{gate}", width, self.hidden, 1.25)
        self.linear(f"{place}.{up}", width, self.hidden, 1.25)
        self.linear(f"{place}.{down}", self.hidden, width)

    def fused_experts(self, place, experts, inner, transposed):
        """gate_up_proj and down_proj of all experts; `transposed`: [in, out]."""
        def of(out, inn, gain):
            size = (experts, inn, out) if transposed else (experts, out, inn)
            return self.rng.normal(size=size) * gain / math.sqrt(inn)
        self.made[self.prefix + place + "gate_up_proj"] = of(2 * inner, self.hidden, 1.25)
        if self.kind == "gpt_oss":
            self.made[self.prefix + place + "gate_up_proj_bias"] = self.signed(experts, 2 * inner)
        self.made[self.prefix + place + "down_proj"] = of(self.hidden, inner, 1.0)
        if self.kind == "gpt_oss":
            self.made[self.prefix + place + "down_proj_bias"] = self.signed(experts, self.hidden)

    def gemma_feed_forward(self):
        config, hidden, rng = self.config, self.hidden, self.rng
        self.made[self.prefix + "layer_scalar"] = rng.uniform(0.6, 0.8, 1)
        self.norm("pre_feedforward_layernorm", hidden)
        self.norm("post_feedforward_layernorm", hidden)
        self.mlp("mlp", self.width)
        if is_moe(config, self.layer):
            experts = config["num_experts"]
            for end in ("post_feedforward_layernorm_1", "post_feedforward_layernorm_2", "pre_feedforward_layernorm_2"):
                self.norm(end, hidden)
            self.made[self.prefix + "router.scale"] = rng.uniform(0.5, 1.5, hidden) * 3
            self.made[self.prefix + "router.per_expert_scale"] = rng.uniform(0.5, 1.5, experts)
            self.linear("router.proj", experts, hidden, math.sqrt(hidden))
            self.fused_experts("experts.", experts, config["moe_intermediate_size"], transposed=False)
        self.qk_norms()

    def mixture(self):
        config, reader = self.config, self.reader
        block, *names = reader.moe_names()
        experts = expert_count(config)
        inner = config.get("moe_intermediate_size", config["intermediate_size"])
        inner = inner if isinstance(inner, int) else inner[self.layer]
        self.linear(reader.router_name(), experts, self.hidden, 1.3)
        if self.kind == "gpt_oss":
            sinks = self.rng.uniform(0.5, 2.0, self.heads) * self.rng.choice([-1.0, 1.0], self.heads)
            self.made[self.prefix + "self_attn.sinks"] = sinks
            return self.fused_experts("mlp.experts.", experts, inner, transposed=True)
        if self.kind in CORRECTED:
            row = (1, experts) if self.kind == "ernie4_5_moe" else experts
            self.made[self.prefix + reader.correction_name()] = self.rng.uniform(-0.2, 0.2, row)
        if self.kind in HYBRID:
            self.mlp(block + ".shared_expert", config["shared_expert_intermediate_size"])
            self.linear(block + ".shared_expert_gate", 1, self.hidden)
        if reader.shared_experts():
            self.mlp(reader.shared_name(), inner * reader.shared_experts())
        if self.kind == "llama4_text":
            return self.fused_experts("feed_forward.experts.", experts, inner, transposed=True)
        for e in range(experts):
            self.mlp(f"{block}.experts.{e}", inner, names)

    def make(self):
        self.norm("input_layernorm", self.hidden)
        self.norm("post_attention_layernorm", self.hidden)
        self.attention()
        if self.kind == "gemma4_text":
            self.gemma_feed_forward()
        else:
            self.qk_norms()
            if is_moe(self.config, self.layer):
                self.mixture()
            else:
                self.mlp(self.reader.moe_names()[0], self.width)
        return {name: value.astype(np.float32) for name, value in self.made.items()}


def random_tensors(config, layer, rng):
    """The tensors of one layer under their published names, float32."""
    return RandomTensors(config, layer, rng).make()


def scale_last_linear(tensors, ending, factor):
    for name in tensors:
        if name.removesuffix("_bias").removesuffix(".bias").removesuffix(".weight").endswith(ending):
            tensors[name] = (tensors[name] * factor).astype(np.float32)


def margins(net, logits):
    """Gap between the last chosen and the first refused expert (or group) over the spread, per token."""
    gaps = [choose(net.config, choice)[1] for choice in net.choices(logits)[1]]
    return None if gaps[0] is None else np.array(gaps)


def draw_token(rng, hidden, factor=1.0):
    size = factor * math.exp(rng.uniform(*np.log(TOKEN_SIZES)))
    return to_bf16_grid(rng.normal(size=hidden) * size)  # a bfloat16 run starts from the very same input


def draw_selection(spec, rng):
    """[batch, seq, index_topk]: of each query as many of the keys it may see as there can be, ascending, then -1"""
    count = spec["config"]["index_topk"]
    out = np.full((spec["batch"], spec["seq"], count), -1.0, np.float32)
    for row in out:
        for t, keys in enumerate(row):
            chosen = np.sort(rng.permutation(t + 1)[:count])
            keys[:chosen.size] = chosen
    return out


def selects(config, layer):
    """whether the layer has an indexer"""
    return config["model_type"] in SPARSE and not shares_selection(config, layer)


def make_layer(spec, layer, rng):
    """(tensors, input, selection): o_proj set so that attention has its share, tokens drawn, then down_proj. selection:
    of a layer that shares one, else None."""
    config, hidden = spec["config"], spec["config"]["hidden_size"]
    tensors = random_tensors(config, layer, rng)
    selection = draw_selection(spec, rng) if shares_selection(config, layer) else None

    def net_of(tensors):
        net = Layer(config, tensors, layer)
        net.selection = selection
        return net

    behind = NORMED_BEHIND if config["model_type"] == "gemma4_text" else 1.0
    x = np.stack([[draw_token(rng, hidden, behind) for _ in range(spec["seq"])] for _ in range(spec["batch"])])
    branch, _ = net_of(tensors).after_attention(x)
    carried, weight = x, 1.0  # what the branch is added to, and its factor
    if config["model_type"] in STREAM_NORMED:
        alpha, weight = stream_factors(config, layer)[:2]
        carried = alpha * Layer(config, tensors, layer).norm(x, "input_layernorm")
    scale_last_linear(tensors, (".o_proj", ".out_proj"),
                      BRANCH_TARGET * np.linalg.norm(carried) / np.linalg.norm(weight * branch))
    net = net_of(tensors)
    if is_moe(config, layer) or selects(config, layer):
        # One token after the other: later tokens see earlier ones, never the reverse.
        for b in range(spec["batch"]):
            for t in range(spec["seq"]):
                for _ in range(1000):
                    if selection is not None:
                        net.selection = selection[b:b + 1, :t + 1]
                    normed = net.after_attention(x[b:b + 1, :t + 1])[1][:, -1]
                    clear = not selects(config, layer) or not net.selection_gaps[0, -1] < DRAW_MARGIN
                    if is_moe(config, layer):
                        logits = net.router_logits(normed)
                        gap = margins(net, logits)
                        top = choose(config, net.choices(logits)[1][0])[0]
                        clear = clear and (gap is None or gap[0] >= DRAW_MARGIN) and spec["idle"] not in top
                    if clear:
                        break
                    x[b, t] = draw_token(rng, hidden, behind)
                else:
                    raise RuntimeError(f"{spec['name']}: no token with a clear choice")
    net = net_of(tensors)
    carried = x
    attended = x + net.after_attention(x)[0]
    if config["model_type"] in STREAM_NORMED:
        carried = attended = stream_factors(config, layer)[2] * net.after_attention(x)[1]
    mlp = net(x) - attended
    down = (".w2", ".down_proj")
    scale_last_linear(tensors, down, BRANCH_TARGET * np.linalg.norm(carried) / np.linalg.norm(mlp))
    return tensors, x.astype(np.float32), selection


def run_transformers(folder, layer, x, dtype, selection=None):
    """The whole model of the folder, with the layer's input replaced (and the selection of keys that it shares): masks,
    windows, rope and the fusing of expert tensors are all transformers' own. Returns output, the branches, logits."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, attn_implementation="eager", experts_implementation="eager", local_files_only=True).eval()
    block = model.model.layers[layer]
    assert block.input_layernorm.weight.dtype == dtype, block.input_layernorm.weight.dtype
    stored = load_file(folder / "model.safetensors")
    own = {name: stored[f"model.layers.{layer}.{name}"] for name, _ in block.named_parameters()
           if f"model.layers.{layer}.{name}" in stored}
    for name, value in own.items():  # a tensor that was not found would have been filled at random
        held = dict(block.named_parameters())[name]  # a router's matrix may stay f32
        assert torch.equal(held, torch.from_numpy(value).to(held.dtype)), name
    if hasattr(block.self_attn, "slope_rate"):  # stored by save_pretrained, but computed
        held = block.self_attn.slope_rate.flatten().double().numpy()
        depth = 1 - layer / (model.config.num_hidden_layers - 1 + 1e-5) + 1e-5
        ours = 2.0 ** (-8 * np.arange(1, held.size + 1) / held.size) * depth
        assert np.abs(held / ours - 1).max() < (1e-6 if dtype == torch.float64 else 1e-2), held / ours
    for name, value in [] if hasattr(block.self_attn, "slope_rate") else block.named_buffers():
        kept = stored[f"model.layers.{layer}." + (name if f"model.layers.{layer}.{name}" in stored
                                                  else name.replace("mlp.", "block_sparse_moe."))]
        assert torch.equal(value, torch.from_numpy(kept).to(value.dtype)), name
    fused = [name for name, _ in block.named_parameters() if name not in own]
    renamed = ("mlp.gate.weight", "mlp.gate.moe_statics.e_score_correction_bias")
    assert all("experts" in name or name in renamed for name in fused), fused

    seen, given = {}, torch.from_numpy(x).to(dtype)
    if selection is not None:  # where there are less keys than are selected, the first one once more
        keys = torch.from_numpy(np.maximum(selection, 0)).to(torch.int32)
        block.register_forward_pre_hook(
            lambda _m, args, kwargs: (args, dict(kwargs, prev_topk_indices=keys)), with_kwargs=True)
    block.register_forward_pre_hook(lambda _m, args, kwargs: ((given,) + args[1:], kwargs), with_kwargs=True)
    block.register_forward_hook(
        lambda _m, _i, out: seen.update(output=out[0] if isinstance(out, tuple) else out))
    behind = hasattr(block, "post_feedforward_layernorm")  # what is added is what these norms make
    if behind:
        block.post_attention_layernorm.register_forward_hook(lambda _m, _i, out: seen.update(attention=out))
        block.post_feedforward_layernorm.register_forward_hook(lambda _m, _i, out: seen.update(mlp=out))
        if hasattr(block, "router"):
            block.router.proj.register_forward_hook(lambda _m, _i, out: seen.update(logits=out))
            block.router.register_forward_hook(lambda _m, _i, out: seen.update(chosen=out[2]))
    elif hasattr(block, "linear_attn"):
        block.linear_attn.register_forward_hook(lambda _m, _i, out: seen.update(attention=out))
    else:
        block.self_attn.register_forward_hook(lambda _m, _i, out: seen.update(attention=out[0]))
    mlp = block.feed_forward if hasattr(block, "feed_forward") else block.mlp
    if not behind:
        mlp.register_forward_hook(lambda _m, _i, out: seen.update(mlp=out[0] if isinstance(out, tuple) else out))
    router = getattr(mlp, "gate", getattr(mlp, "router", None))
    if router is not None and hasattr(block, "feed_forward"):  # scores of all, which are 0 of what is not chosen
        router.register_forward_hook(lambda _m, _i, out: seen.update(
            logits=out[1], chosen=out[0].topk(mlp.top_k, dim=1).indices))
    elif router is not None:
        router.register_forward_hook(lambda _m, _i, out: seen.update(logits=out[0], chosen=out[2]))
    with torch.no_grad():
        model(inputs_embeds=torch.zeros(x.shape, dtype=dtype), use_cache=False)
    return {k: v.double().numpy() for k, v in seen.items()}


def nested_config(config, architecture):
    """as models that read pictures too are published"""
    of_all = ("architectures", "tie_word_embeddings", "transformers_version")
    text = {k: v for k, v in config.items() if k not in of_all}
    return {"architectures": [architecture],
            "model_type": NESTED_TYPES.get(text["model_type"], text["model_type"].removesuffix("_text")),
            "text_config": text, "tie_word_embeddings": False, "transformers_version": "5.23.0"}


def as_published(tensors):
    """below model.language_model, and all experts' matrices of a layer in one tensor, gate above up; of families whose
    experts always are, below language_model.model"""
    if any(".router.per_expert_scale" in name for name in tensors):
        return {name.replace("model.", "model.language_model.", 1): value for name, value in tensors.items()}
    if not any(".experts.0." in name for name in tensors):
        return {"language_model." + name: value for name, value in tensors.items()}
    out = {}
    for name in tensors:
        nested = name.replace("model.", "model.language_model.", 1)
        if ".experts." not in name:
            out[nested] = tensors[name]
            continue
        place, _, rest = nested.partition(".experts.")
        expert, matrix = rest.split(".")[:2]
        if matrix == "down_proj":
            out.setdefault(place + ".experts.down_proj", {})[int(expert)] = tensors[name]
        elif matrix == "gate_proj":
            both = (tensors[name], tensors[name.replace("gate_proj", "up_proj")])
            out.setdefault(place + ".experts.gate_up_proj", {})[int(expert)] = np.concatenate(both)
    return {k: np.stack([v[e] for e in sorted(v)]) if isinstance(v, dict) else v for k, v in out.items()}


def text_folder(config, tensors):
    """a folder that transformers reads as a model of text alone"""
    folder = Path(tempfile.mkdtemp())
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def as_transformers_has_it(config):
    """of MiniMax-Text-01's own code, whose layers transformers' class has under other keys, but for the rotation"""
    from transformers.models.minimax import modeling_minimax as own
    from transformers.models.minimax_m2 import modeling_minimax_m2 as other
    own.apply_rotary_pos_emb = other.apply_rotary_pos_emb
    own.MiniMaxRotaryEmbedding.compute_default_rope_parameters = staticmethod(
        other.MiniMaxM2RotaryEmbedding.compute_default_rope_parameters)
    kept = {k: v for k, v in config.items()
            if not k.startswith(("layernorm_", "rope_", "rotary_", "attn_type_list", "postnorm", "shared_"))}
    places = (("full_attn", "full_attention"), ("linear_attn", "linear_attention"), ("mlp", "mlp"))
    factors = {f"{ours}_{which}_factor": config[f"layernorm_{theirs}_{which}"]
               for ours, theirs in places for which in ("alpha", "beta")}
    return dict(kept, **factors, model_type="minimax", architectures=["MiniMaxForCausalLM"],
                layer_types=["full_attention" if full else "linear_attention" for full in config["attn_type_list"]],
                rope_parameters=rope(config["rope_theta"],
                                     partial_rotary_factor=config["rotary_dim"] / config["head_dim"]))


def added_error(y, golden, x):
    """Relative L2 error of what the layer adds, over all tokens and for the worst token."""
    y, golden, x = (np.asarray(a, np.float64).reshape(-1, a.shape[-1]) for a in (y, golden, x))
    error, added = np.linalg.norm(y - golden, axis=1), np.linalg.norm(golden - x, axis=1)
    return np.linalg.norm(error) / np.linalg.norm(added), (error / added).max()


def check_rope_bands(config):
    if config["model_type"] == "gemma4_text":
        return
    settings = rope_settings(config)
    if settings["rope_type"] == "yarn":
        keep = yarn_keep(settings, head_sizes(config)[2])
        bands = (keep == 1).sum(), ((keep > 0) & (keep < 1)).sum(), (keep == 0).sum()
        no_ramp = settings.get("beta_fast") is not None and settings["beta_fast"] == settings.get("beta_slow")
        assert min(bands[0], bands[2]) > 0 and (no_ramp or bands[1] > 0), f"rope bands {bands}"
    if settings["rope_type"] != "llama3":
        return
    turns = settings["original_max_position_embeddings"] / (
        2 * math.pi * settings["rope_theta"] ** (np.arange(0, head_sizes(config)[2], 2) / head_sizes(config)[2]))
    low, high = settings["low_freq_factor"], settings["high_freq_factor"]
    bands = (turns > high).sum(), ((turns >= low) & (turns <= high)).sum(), (turns < low).sum()
    assert min(bands) > 0 or low == high and min(bands[0], bands[2]) > 0, f"rope bands {bands}"


def generate(names):
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    import transformers
    transformers.logging.set_verbosity_error()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)

    entries, total = [], 0
    if names:  # the others stay as they are
        assert {spec["name"] for spec in CASES} >= set(names), names
        entries = [e for e in json.loads((HERE / "manifest.json").read_text())["cases"] if e["case"] not in names]
    print(f"{'case':<24}{'layer':>5} {'attn':>6} {'mlp':>6} {'margin':>7} {'numpy':>8} {'bf16':>8} "
          f"{'worst':>8} {'KB':>5}")
    for number, spec in enumerate(CASES):
        config, folder = spec["config"], HERE / spec["name"]
        if names and spec["name"] not in names:
            total += sum(f.stat().st_size for f in folder.iterdir())
            continue
        folder.mkdir(exist_ok=True)
        check_rope_bands(config)
        stored = config if spec["nested"] is None else nested_config(config, spec["nested"])
        (folder / "config.json").write_text(json.dumps(stored, indent=2) + "\n")
        made = {layer: make_layer(spec, layer, np.random.default_rng([SEED, number, layer]))
                for layer in spec["layers"]}
        tensors = {name: value for own, _, _ in made.values() for name, value in own.items()}
        for name, value in tensors.items():
            assert np.abs(value).min() > 0 and np.unique(value).size > 0.9 * value.size, name
            if name.endswith("norm.weight"):
                offset = 1 if config["model_type"] in HYBRID and not name.endswith("linear_attn.norm.weight") else 0
                assert 0.5 <= offset + value.min() and offset + value.max() <= 1.5, name
        kept = tensors if spec["nested"] is None else as_published(tensors)
        save_file(dict(sorted(kept.items())), folder / "model.safetensors", metadata={"format": "pt"})
        rows = []
        for layer, (_, x, selection) in made.items():
            size = np.sqrt((x.astype(np.float64) ** 2).mean(-1))
            assert size.max() / size.min() > 2, "tokens of nearly equal size"
            run_from = folder if spec["nested"] is None else text_folder(config, tensors)
            if config["model_type"] == "minimax_text_01":
                run_from = text_folder(as_transformers_has_it(config), tensors)
            got = run_transformers(run_from, layer, x, torch.float64, selection)
            golden = got["output"].astype(np.float32)
            whole = np.linalg.norm(got["output"])
            betas = stream_factors(config, layer)[1::2] if config["model_type"] in STREAM_NORMED else (1.0, 1.0)
            shares = [float(np.linalg.norm(beta * got[b]) / whole) for b, beta in zip(("attention", "mlp"), betas)]
            assert all(BRANCH_RANGE[0] <= s <= BRANCH_RANGE[1] for s in shares), (spec["name"], layer, shares)
            margin = None
            assert is_moe(config, layer) == ("logits" in got)
            if "logits" in got:
                gap = margins(Layer(config, tensors, layer), got["logits"])
                margin = None if gap is None else float(gap.min())
                assert margin is None or margin >= MIN_MARGIN, margin
                used = set(got["chosen"].astype(int).ravel())
                assert used == set(range(got["logits"].shape[1])) - {spec["idle"]}, (spec["name"], used)
            net = Layer(config, tensors, layer)
            net.selection = selection
            by_numpy = added_error(net(x), golden, x)[0]
            if selects(config, layer) and spec["seq"] > config["index_topk"]:
                assert np.nanmin(net.selection_gaps) >= MIN_MARGIN, np.nanmin(net.selection_gaps)
            assert by_numpy < NUMPY_LIMIT, (spec["name"], layer, by_numpy)
            bf16 = added_error(run_transformers(run_from, layer, x, torch.bfloat16, selection)["output"], golden, x)
            assert bf16[0] < BF16_LIMITS[0] and bf16[1] < BF16_LIMITS[1], (spec["name"], layer, bf16)
            io = {"input": x, "output": golden, **({} if selection is None else {"selection": selection})}
            save_file(io, folder / f"io_layer{layer}.safetensors")
            entry = {
                "case": spec["name"], "layer": layer, "family": spec["family"], "exercises": spec["says"],
                "batch": spec["batch"], "seq": spec["seq"], "window": window_of(config, layer),
                "experts": is_moe(config, layer),
                "attention_share": round(shares[0], 4), "mlp_share": round(shares[1], 4),
                "bf16_error": float(f"{bf16[0]:.3g}"), "bf16_worst_token": float(f"{bf16[1]:.3g}"),
            }
            if margin is not None:
                entry["min_routing_margin"] = round(margin, 4)
            if selects(config, layer) and spec["seq"] > config["index_topk"]:
                entry["min_selection_margin"] = round(float(np.nanmin(net.selection_gaps)), 4)
            if "logits" in got and spec["idle"] is not None:
                entry["expert_without_tokens"] = spec["idle"]
            entries.append(entry)
            rows.append((layer, *shares, margin, by_numpy, *bf16))
        size = sum(f.stat().st_size for f in folder.iterdir())
        total += size
        assert size < 250_000, (spec["name"], size)
        for layer, attn, mlp, margin, by_numpy, bf16, worst in rows:
            print(f"{spec['name']:<24}{layer:>5} {attn:>6.3f} {mlp:>6.3f} "
                  f"{'-' if margin is None else f'{margin:.3f}':>7} "
                  f"{by_numpy:>8.1e} {bf16:>8.1e} {worst:>8.1e} {size // 1000:>5}")
    assert total < 10_000_000, total
    manifest = {
        "made_with": {"torch": torch.__version__, "transformers": transformers.__version__, "numpy": np.__version__,
                      "python": platform.python_version(), "seed": SEED},
        "arithmetic": "weights and products in float64, norms, softmax and rope in float32 as transformers does; "
                      "stored as float32. Inputs are bfloat16 values.",
        "cases": entries,
    }
    (HERE / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    print(f"{len(CASES)} cases, {len(entries)} layers, {total / 1e6:.2f} MB")


# --- proving that the goldens notice errors ---------------------------------------------------------

def tensor_changes(config, layer, name, value):
    """(what was done, changed tensor) for one stored tensor."""
    if ".indexer." in name and not name.endswith("k_norm.bias"):  # a factor common to all scores chooses no other key
        yield "negated", -value
        yield "rolled by one", np.roll(value, 1, axis=-1)
        changed = value.copy()
        changed[::2] *= -1
        yield "every other row negated", changed
        return
    if name.endswith("k_norm.bias"):
        yield "negated", -value
        yield "rolled by one", np.roll(value, 1, axis=-1)
        return
    if value.size > 1:
        yield "rolled by one", np.roll(value, 1, axis=-1)
    scaled = value.copy()
    if name.endswith("e_score_correction_bias"):
        yield "negated", -value  # 1 % chooses no other expert
        return
    if config["model_type"] == "gemma4_text" and (name.rsplit(".", 1)[0].endswith(("_proj", "input_layernorm")) or (
            name.endswith(("experts.gate_up_proj", "experts.down_proj", "per_expert_scale")))):
        scaled[::2] *= 1.01  # a norm stands behind
        yield "every other row x 1.01", scaled
        return
    normed = ("q_proj", "k_proj") if Layer(config, {}, layer).qk_norm else ("q_a_proj", "_with_mqa")
    if name.rsplit(".", 1)[0].endswith(normed):
        scaled[::2] *= 1.01  # the norm of q and k hides a factor common to a whole head
        yield "every other row x 1.01", scaled
    else:
        yield "x 1.01", scaled * 1.01


def head_order(config, tensors, layer, order):
    """The tensors as if head h of the file were head order[h]: q rows and o columns change places."""
    _, _, dim = head_sizes(config, layer)
    rows = np.concatenate([np.arange(h * dim, (h + 1) * dim) for h in order])
    wide = 2 * dim if config["model_type"] in HYBRID else dim  # with the gate's
    wide_rows = np.concatenate([np.arange(h * wide, (h + 1) * wide) for h in order])
    prefix, changed = f"model.layers.{layer}.self_attn.", dict(tensors)
    for end in ("q_proj.weight", "q_proj.bias"):
        if prefix + end in changed:
            changed[prefix + end] = changed[prefix + end][wide_rows]
    changed[prefix + "o_proj.weight"] = changed[prefix + "o_proj.weight"][:, rows]
    return changed


def same_ramp(config, changed):
    a, b = rope_settings(config), rope_settings(changed)
    dim = head_sizes(config)[2]
    return a["rope_type"] == "yarn" and np.array_equal(yarn_keep(a, dim), yarn_keep(b, dim)) and (
        rope_scale(config) == rope_scale(changed))


def config_changes(config, layer):
    """(what was changed, changed config); each one must be visible."""
    def put(**new):
        return dict(config, **new)

    eps = config["rms_norm_eps"]
    # 1e-5 against 1e-6 is too small to be seen; the cases with 1e-3 see every other value.
    for other in ((1e-4, 1e-5, 1e-6) if eps == 1e-3 else (1e-3,)):
        yield f"eps {eps:g} -> {other:g}", put(rms_norm_eps=other)
    style = "rope_parameters" if "rope_parameters" in config else None
    theta = rope_settings(config, layer)["rope_theta"]
    turned = turns(config, layer) and not is_linear(config, layer)
    for other in (theta * 2, 1e4 if theta != 1e4 else 1e6) if turned else ():
        changed = put(rope_parameters=dict(config[style], rope_theta=other)) if style else put(rope_theta=other)
        if config["model_type"] == "gemma4_text":
            own = "full_attention" if sees_all(config, layer) else "sliding_attention"
            changed = put(rope_parameters={**config[style], own: dict(config[style][own], rope_theta=other)})
        yield f"theta {theta:g} -> {other:g}", changed
    scaling_key = style or "rope_scaling"
    scaling = dict(config.get(scaling_key) or {})
    if "factor" in scaling and turns(config, layer):
        kept = ("rope_theta", "llama_4_scaling_beta", "original_max_position_embeddings")
        bare = {k: v for k, v in scaling.items() if k in kept[:None if style else 1]}
        yield "rope scaling left out", dict(config, **{scaling_key: bare})
        for key in ("alpha",) if "alpha" in scaling else (
                "factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings", "beta_fast",
                "beta_slow", "mscale", "mscale_all_dim"):
            if key in scaling:
                changed = dict(config, **{scaling_key: dict(scaling, **{key: scaling[key] * 1.5})})
                if scaling.get("low_freq_factor") == scaling.get("high_freq_factor", 0) and np.array_equal(
                        rope_frequencies(config), rope_frequencies(changed)):
                    continue  # without a band between the two no pair changes sides
                if key.startswith(("beta", "original")) and scaling.get("truncate") is not False and same_ramp(
                        config, changed):
                    continue  # both ends of the ramp are at whole pairs, and no other ones
                yield f"rope {key} x 1.5", changed
        if "truncate" in scaling:
            yield "rope truncate flipped", dict(
                config, **{scaling_key: dict(scaling, truncate=not scaling["truncate"])})
    if chunk := chunk_of(config, layer):
        for other in (chunk - 1, chunk + 1, 4 * chunk):
            yield f"chunk {chunk} -> {other}", put(attention_chunk_size=other)
    if family_scale := config["model_type"] == "llama4_text" and not turns(config, layer) and config.get("floor_scale"):
        yield "attn_scale x 1.1", put(attn_scale=config["attn_scale"] * 1.1)
        yield "floor_scale + 1", put(floor_scale=family_scale + 1)
    if "llama_4_scaling_beta" in (config.get("rope_parameters") or {}):
        scaled = config["rope_parameters"]
        yield "beta x 1.1", put(rope_parameters=dict(
            scaled, llama_4_scaling_beta=scaled["llama_4_scaling_beta"] * 1.1))
        if rope_settings(config)["rope_type"] == "default":
            yield "a temperature one position later", put(rope_parameters=dict(
                scaled, original_max_position_embeddings=scaled["original_max_position_embeddings"] + 1))
    window, family = window_of(config, layer), config["model_type"]
    if window:
        for other in (window - 1, window + 1, None):
            yield f"window {window} -> {other}", put(sliding_window=other)
        if family != "ministral" and config.get("layer_types") and window_of(put(layer_types=None), layer) != window:
            yield "layer_types ignored", put(layer_types=None)
    for key in ("attention_bias", "mlp_bias", "use_bias"):
        if config.get(key) and not is_linear(config, layer):
            yield f"{key} ignored", put(**{key: False})
    if config.get("swiglu_limit"):
        yield "swiglu_limit x 1.5", put(swiglu_limit=config["swiglu_limit"] * 1.5)
    if selects(config, layer):
        for other in (config["index_topk"] - 1, config["index_topk"] + 1):
            yield f"index_topk {config['index_topk']} -> {other}", put(index_topk=other)
    heads, kv_heads, dim = head_sizes(config, layer)
    if family == "gemma4_text" and sees_all(config, layer):
        part = config["rope_parameters"]["full_attention"]
        doubled = dict(part, partial_rotary_factor=2 * part["partial_rotary_factor"])
        yield "partial_rotary_factor doubled", put(rope_parameters=dict(
            config["rope_parameters"], full_attention=doubled))
    if dim % 4 == 0 and family != "gpt_oss" and not Layer(config, {}, layer).qk_norm and family not in DENSE_FIRST:
        yield f"heads {heads} -> {2 * heads}", put(
            num_attention_heads=2 * heads, num_key_value_heads=2 * kv_heads, head_dim=dim // 2)
    for key in sorted(config):
        kind = ("mlp", "linear") if is_linear(config, layer) else ("mlp", "full")
        if key.endswith(("_alpha_factor", "_beta_factor")) and key.startswith(kind) or (
                key.startswith(tuple("layernorm_" + k for k in kind))):
            yield f"{key} x 1.1", put(**{key: 1.1 * config[key]})
    if is_moe(config, layer):
        top_k, experts = top_k_of(config), expert_count(config)
        for other in (top_k - 1, top_k + 1):
            if other <= experts:
                yield f"top_k {top_k} -> {other}", put(**{top_k_key(config): other})
        if family in DENSE_FIRST:
            yield "routed_scaling_factor x 1.1", put(routed_scaling_factor=config["routed_scaling_factor"] * 1.1)
            if config["n_group"] > 1:
                yield "groups ignored", put(n_group=1, topk_group=1)
                yield "one group less", put(topk_group=config["topk_group"] - 1, num_experts_per_tok=min(
                    top_k, experts // config["n_group"]))
        if family in ("qwen3_moe", "qwen3_next", "olmoe") or family in SIGMOID and "norm_topk_prob" in config:
            yield "norm_topk_prob flipped", put(norm_topk_prob=not config["norm_topk_prob"])


def typical_errors(config, tensors, layer, x, selection):
    """(what is wrong, output) of the errors that implementations of these families make."""
    right = Layer(config, tensors, layer)

    def wrong(**changes):
        net = Layer(config, tensors, layer)
        net.selection = selection
        for name, value in changes.items():
            setattr(net, name, value)
        return net(x)

    if right.family in STREAM_NORMED:
        yield "the residual in front of its norm", wrong(plain_stream=True)
    if right.family in STREAM_NORMED and right.linear_attn:
        if layer + 1 < config["num_hidden_layers"]:  # the last one's state hardly decays
            yield "the state decays after its update", wrong(decay_after=True)
        yield "q, k and v without silu", wrong(no_qkv_silu=True)
        yield "all q, all k, all v", wrong(grouped_qkv=True)
        yield "the slopes of the next layer", wrong(slope_layer=layer + 1)
        yield "no gate behind the norm", wrong(no_output_gate=True)
        if right.eps > 1e-4:
            yield "the layer's eps for the values' norm", wrong(value_eps=right.eps)
        return
    if right.family in HYBRID:
        yield "w for 1 + w", wrong(norm_offset=0.0)
        if is_moe(config, layer):
            yield "the shared expert without its gate", wrong(no_shared_gate=True)
    if right.linear_attn:
        yield "the state decays after its update", wrong(decay_after=True)
        yield "q and k as they are", wrong(no_unit=True)
        yield "1 + w for w in the norm of the values", wrong(offset_value_norm=True)
        yield "no silu behind the convolution", wrong(no_conv_silu=True)
        yield "beta left out", wrong(no_beta=True)
        if 1 < config["linear_num_key_heads"] < config["linear_num_value_heads"]:
            yield "key heads dealt in turn to value heads", wrong(dealt_in_turn=True)
        return
    if right.family in HYBRID:
        yield "the gate's rows for the queries'", wrong(gate_first=True)
    if right.turns:
        yield "halves for neighbours or the reverse", wrong(neighbours=not right.neighbours)
    if selection is not None:
        yield "no selection", wrong(no_selection=True)
        before = selection.copy()
        before[:, 1:] = selection[:, :-1]
        yield "the selection of the query before", wrong(selection=before)
    elif right.family in SPARSE and config["index_topk"] < x.shape[1]:
        yield "no selection", wrong(no_selection=True)
        yield "scores below zero", wrong(no_relu=True)
        yield "no bias of the index keys' norm", wrong(no_index_bias=True)
        yield "index keys' mean left in", wrong(index_rms_norm=True)
        yield "the indexer's halves for neighbours or the reverse", wrong(index_neighbours=not right.index_neighbours)
        yield "keys behind the query among those that are ranked", wrong(sees_ahead=True)
    if right.family in LATENT:
        if right.eps > 1e-4:
            yield "the layer's eps for latents", wrong(latent_eps=right.eps)
    elif right.qk_norm:
        if right.qk_norm != "bare":  # without weights the two sides are one
            yield "norms on the other side of the rotation", wrong(norm_after_rope=not right.norm_after_rope)
        yield "no norm of q and k", wrong(qk_norm="")
    if not np.all(temperature(config, layer, np.arange(x.shape[1])) == 1):
        yield "no temperature", wrong(no_temperature=True)
    if right.chunk:
        yield "a window for a chunk", wrong(chunk=None, window=right.chunk)
        yield "no chunks", wrong(chunk=None)
    if not right.turns:
        yield "turned where nothing is", wrong(turns=True)
    if is_moe(config, layer) and right.family == "llama4_text":
        yield "weights behind the experts", wrong(weigh_output=True)
        if right.qk_norm == "whole":
            yield "a norm of each head", wrong(qk_norm="head")
    if right.family == "gemma4_text":
        yield "values as they are", wrong(no_v_norm=True)
        yield "scores over the root of a head's dimensions", wrong(score_factor=None)
        yield "no factor of the layer", wrong(no_layer_scalar=True)
        yield "sigmoid's gelu", wrong(plain_gelu=True)
        yield "1 + w in norms", wrong(norm_offset=1.0)
        if right.v_from_k():
            yield "values of normed keys", wrong(values_of_normed_keys=True)
        if is_moe(config, layer):
            yield "a router without its norm", wrong(no_router_norm=True)
            yield "no scales of experts", wrong(no_expert_scale=True)
    if right.family not in LATENT and right.turns and right.rotated_dims < head_sizes(config, layer)[2]:
        yield "two rotated dimensions less", wrong(rotated_dims=right.rotated_dims - 2)
    if right.sinks:
        yield "no sinks", wrong(sinks=False)
        yield "gate and up in halves", wrong(halves=True)
        yield "no biases of experts", wrong(no_expert_biases=True)
    if is_moe(config, layer):
        if right.family in CORRECTED:
            yield "the correction bias in the weights", wrong(bias_in_weights=True)
        if right.family in DENSE_FIRST and config["routed_scaling_factor"] != 1:
            yield "scaled twice", wrong(scaled_twice=True)


def verify(verbose):
    manifest = json.loads((HERE / "manifest.json").read_text())
    failures, checked, weakest = [], 0, (1.0, "")
    print(f"{'case':<24}{'layer':>5} {'numpy':>8} {'changes':>8} {'least moved':>12}  by")
    for entry in manifest["cases"]:
        name, layer = entry["case"], entry["layer"]
        config = text_part(json.loads((HERE / name / "config.json").read_text()))
        tensors = {k.replace("language_model.", ""): v
                   for k, v in load_file(HERE / name / "model.safetensors").items()}
        io = load_file(HERE / name / f"io_layer{layer}.safetensors")
        x, golden = io["input"], io["output"]
        selection = io.get("selection")

        def net_of(config, tensors):
            net = Layer(config, tensors, layer)
            net.selection = selection
            return net

        assert x.shape == golden.shape == (entry["batch"], entry["seq"], config["hidden_size"])
        assert window_of(config, layer) == entry["window"] and is_moe(config, layer) == entry["experts"]
        agreement = added_error(net_of(config, tensors)(x), golden, x)[0]
        if agreement > NUMPY_LIMIT:
            failures.append(f"{name} layer {layer}: numpy differs by {agreement:.2e}")

        takes_all = config["model_type"] in SPARSE and config["index_topk"] > x.shape[1]
        moved, silent = [], []  # silent: changes that may not be seen, and must not
        idle = f".experts.{entry['expert_without_tokens']}." if "expert_without_tokens" in entry else None
        for tensor in (t for t in tensors if t.startswith(f"model.layers.{layer}.")):
            for what, changed in tensor_changes(config, layer, tensor, tensors[tensor]):
                y = net_of(config, dict(tensors, **{tensor: changed}))(x)
                short = tensor.split(".", 3)[3].replace(".weight", "")
                # Where nothing is turned, a bias of k adds the same to all scores of a query; where all keys are
                # selected, it does not matter by what.
                unseen = idle and idle in tensor or tensor.endswith("k_proj.bias") and not turns(config, layer) or (
                    ".indexer." in tensor and takes_all)
                (silent if unseen else moved).append((added_error(y, golden, x)[0], f"{short} {what}"))
        for what, changed in config_changes(config, layer):
            y = net_of(changed, tensors)(x)
            everyone = what.startswith("norm_topk") and top_k_of(config) == expert_count(config)
            everyone |= what.startswith("index_topk") and takes_all
            (silent if everyone else moved).append((added_error(y, golden, x)[0], what))
        heads, kv_heads, _ = head_sizes(config, layer)
        if config.get("sliding_window") and not entry["window"]:
            net = Layer(config, tensors, layer)
            net.window = config["sliding_window"]
            moved.append((added_error(net(x), golden, x)[0], "window where there is none"))
        if 1 < kv_heads < heads and not is_linear(config, layer):  # head h would read key head h % kv_heads
            order = [h for k in range(kv_heads) for h in range(heads) if h % kv_heads == k]
            y = Layer(config, head_order(config, tensors, layer, order), layer)(x)
            moved.append((added_error(y, golden, x)[0], "key heads dealt in turn"))
        moved += [(added_error(y, golden, x)[0], what) for what, y in typical_errors(
            config, tensors, layer, x, selection)]

        failures += [f"{name} layer {layer}: {what} moves it by only {e:.1e}" for e, what in moved if e <= NOTICED]
        failures += [f"{name} layer {layer}: {what} should be invisible, {e:.1e}"
                     for e, what in silent if e > NUMPY_LIMIT]
        least = min(moved)
        weakest = min(weakest, (least[0], f"{name} layer {layer}, {least[1]}"))
        checked += len(moved)
        print(f"{name:<24}{layer:>5} {agreement:>8.1e} {len(moved):>8} {least[0]:>12.1e}  {least[1]}")
        if verbose:
            for e, what in sorted(moved):
                print(f"{'':<30}{e:>10.1e}  {what}")
    print(f"{checked} changes, the least seen moves the output by {weakest[0]:.1e} ({weakest[1]}); limit {NOTICED:g}")
    for line in failures:
        print("FAILED:", line)
    return 1 if failures else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="write only these")
    parser.add_argument("--verify", action="store_true", help="check the stored cases, change nothing")
    parser.add_argument("--verbose", action="store_true", help="with --verify: every change, least seen first")
    arguments = parser.parse_args()
    sys.exit(verify(arguments.verbose) if arguments.verify else generate(arguments.cases))
