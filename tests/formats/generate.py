# SPDX-License-Identifier: Apache-2.0
"""Makes tiny quantised checkpoints with the packages that people quantise with, and says what they decode to.

    generate.py    writes every case below this folder

Needs torch 2.15.0, transformers 5.23.0, safetensors 0.8.0, numpy 2.4.6, compressed-tensors 0.20.1, gguf 0.19.0,
nvidia-modelopt 0.47.0; AutoAWQ 0.2.9 and AutoGPTQ 0.7.1, which no longer install beside them, unpacked in the
folders that AUTOAWQ and AUTOGPTQ name: of them only the files that pack and unpack are loaded.

Of each case: config.json and weights as the package writes them; decoded.json, for every quantised matrix the SHA-256
of the f32 values (row-major, Hugging Face's order of rows) that the package's own decoder makes of them, and the first
four; io_layer0.safetensors, a layer's input and what transformers computes in float64 from the decoded values.
"""

import hashlib
import importlib
import json
import logging
import os
import shutil
import sys
import tempfile
import types
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "golden"))
import generate as golden  # noqa: E402

SEED = 1417
LAYER = "model.layers.0."
ATTENTION = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"]
DENSE = ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]
EXPERTS = 4


EXPERT = [m for e in range(EXPERTS) for m in (f"mlp.experts.{e}.gate_proj", f"mlp.experts.{e}.up_proj",
                                              f"mlp.experts.{e}.down_proj")]
# What is multiplied with as one shares a factor.
FUSED = [ATTENTION[:3], DENSE[:2]]
FUSED += [[f"mlp.experts.{e}.gate_proj", f"mlp.experts.{e}.up_proj"] for e in range(EXPERTS)]


def dense(name, says, hidden=128, heads=4, kv_heads=2, width=128, family="qwen3"):
    more = dict(head_dim=32, rms_norm_eps=1e-6, rope_theta=10000.0, attention_bias=False)
    if family == "llama":
        more["mlp_bias"] = False
    else:
        more.update(use_sliding_window=False, sliding_window=None, max_window_layers=1)
    return golden.case(name, family, (hidden, heads, kv_heads, width), [0], 1, 6, says, layer_count=1, **more)


def mixture(name, says, hidden=128, width=64, family="qwen3_moe", heads=4):
    more = dict(head_dim=32, rms_norm_eps=1e-6, rope_theta=10000.0, num_experts_per_tok=2)
    if family == "mixtral":
        more.update(sliding_window=None, num_local_experts=EXPERTS)
    else:
        more.update(attention_bias=False, use_sliding_window=False, sliding_window=None, max_window_layers=1,
                    num_experts=EXPERTS, moe_intermediate_size=width, norm_topk_prob=True, decoder_sparse_step=1,
                    mlp_only_layers=[])
    return golden.case(name, family, (hidden, heads, 2, width), [0], 1, 6, says, layer_count=1, **more)


# --- packages that only work in part ------------------------------------------------------------------

def hollow(name, folder=None):
    """A package without its __init__, below which single files can be imported."""
    module = types.ModuleType(name)
    module.__spec__ = ModuleSpec(name, None, is_package=True)
    module.__path__ = [str(folder)] if folder else []
    sys.modules[name] = module


def autoawq():
    root = Path(os.environ["AUTOAWQ"])
    if "accelerate" not in sys.modules:
        hollow("accelerate")
    for name in ("awq", "awq.utils", "awq.modules", "awq.modules.linear"):
        hollow(name, root / name.replace(".", "/"))
    return importlib.import_module("awq.modules.linear.gemm")


def autogptq():
    root = Path(os.environ["AUTOGPTQ"])
    for name in ("auto_gptq", "auto_gptq.nn_modules", "auto_gptq.nn_modules.qlinear"):
        hollow(name, root / name.replace(".", "/"))
    return importlib.import_module("auto_gptq.nn_modules.qlinear.qlinear_cuda_old")


# --- one matrix: name and f32 values -> (tensors of the checkpoint, decoded f32) ------------------------

def fp8_block(w):
    import torch
    from transformers.integrations.finegrained_fp8 import _dequantize_fp8_weight
    rows, columns = w.shape
    blocks = torch.nn.functional.pad(w, (0, -columns % 128, 0, -rows % 128))
    blocks = blocks.reshape(-(-rows // 128), 128, -(-columns // 128), 128)
    scale = blocks.abs().amax(dim=(1, 3)) / 448.0
    codes = (blocks / scale[:, None, :, None]).reshape(-(-rows // 128) * 128, -1)[:rows, :columns]
    codes = codes.to(torch.float8_e4m3fn).contiguous()
    return ({".weight": codes, ".weight_scale_inv": scale},
            _dequantize_fp8_weight(codes, scale, [128, 128], torch.float32))


def compressed(args, form, global_scale=None):
    """By compressed-tensors: `args` of the weights, stored as `form`."""
    import torch
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.compressors.nvfp4.helpers import unpack_fp4_from_uint8
    from compressed_tensors.compressors.mx_utils import decompress_mx_scale
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
    from compressed_tensors.quantization.lifecycle.forward import dequantize
    from compressed_tensors.quantization.utils import calculate_qparams

    args = QuantizationArgs(**args)
    scheme = QuantizationScheme(targets=["Linear"], weights=args)

    def quantise(w):
        if args.strategy == "tensor":
            groups = w.reshape(1, -1)
        elif args.strategy == "block":
            groups = w.reshape(w.shape[0] // 128, 128, -1, 128).transpose(1, 2).flatten(2)
        else:
            groups = w.reshape(w.shape[0], -1, args.group_size) if args.group_size else w[:, None, :]
        scale, zero = calculate_qparams(groups.amin(-1), groups.amax(-1), args,
                                        **({"global_scale": global_scale} if global_scale is not None else {}))
        scale = scale.float() if args.type == "float" else scale.to(torch.bfloat16)
        state = {"weight": w, "weight_scale": scale}
        if not args.symmetric:
            state["weight_zero_point"] = zero.round().to(torch.int8)
        if global_scale is not None:
            state["weight_scale"] = scale.to(torch.float8_e4m3fn).float()
            state["weight_global_scale"] = global_scale
        packer = BaseCompressor.get_value_from_registry(form)
        stored = packer.compress(state, scheme)
        again = dict(stored)
        if form in ("nvfp4-pack-quantized", "mxfp4-pack-quantized"):
            # Their decompress() takes bf16 on the way; the parts of it, in f32.
            codes = unpack_fp4_from_uint8(stored["weight_packed"], *w.shape, dtype=torch.float32)
            scales = (stored["weight_scale"].float() if form.startswith("nvfp4")
                      else decompress_mx_scale(stored["weight_scale"]).float())
            decoded = dequantize(codes, scales, args=args, global_scale=global_scale, dtype=torch.float32)
        else:
            again["weight_scale"] = again["weight_scale"].float()
            decoded = packer.decompress(again, scheme)["weight"]
        stored = {("." + k): v.contiguous() if hasattr(v, "contiguous") else torch.tensor(v) for k, v in stored.items()}
        return stored, decoded.float()

    return quantise


def int4_groups(w, group):
    import torch
    groups = w.reshape(w.shape[0], -1, group)
    low, high = groups.amin(-1).clamp(max=0), groups.amax(-1).clamp(min=0)
    scale = ((high - low) / 15).half().float()
    return scale, torch.round(-low / scale).clamp(0, 15)


def awq(group):
    def quantise(w):
        import torch
        from awq.utils.packing_utils import dequantize_gemm
        gemm = importlib.import_module("awq.modules.linear.gemm")
        scale, zero = int4_groups(w, group)
        # The rounding of from_linear can leave 0..15; AutoAWQ gives it weights that lie on the grid.
        codes = torch.round(w.reshape(*scale.shape, group) / scale[..., None] + zero[..., None]).clamp(0, 15)
        on_grid = ((codes - zero[..., None]) * scale[..., None]).reshape(w.shape)
        linear = torch.nn.Linear(w.shape[1], w.shape[0], bias=False)
        linear.weight.data = on_grid
        packed = gemm.WQLinear_GEMM.from_linear(linear, 4, group, False, scale.t().contiguous(), zero.t().contiguous())
        decoded = dequantize_gemm(packed.qweight, packed.qzeros, packed.scales.float(), 4, group).t().contiguous()
        return {".qweight": packed.qweight, ".qzeros": packed.qzeros, ".scales": packed.scales}, decoded

    return quantise


def gptq(group, symmetric):
    def quantise(w):
        import torch
        layer = importlib.import_module("auto_gptq.nn_modules.qlinear.qlinear_cuda_old").QuantLinear(
            4, group, w.shape[1], w.shape[0], False)
        scale, zero = int4_groups(w, group)
        if symmetric:
            scale = (w.reshape(*scale.shape, group).abs().amax(-1) / 7.5).half().float()
            zero = torch.full_like(scale, 8)
        else:
            zero = zero.clamp(min=1)  # stored less one
        codes = torch.round(w.reshape(*scale.shape, group) / scale[..., None] + zero[..., None]).clamp(0, 15)
        linear = torch.nn.Linear(w.shape[1], w.shape[0], bias=False)
        linear.weight.data = ((codes - zero[..., None]) * scale[..., None]).reshape(w.shape)
        layer.pack(linear, scale.clone(), zero.clone(), None)
        stored = {".qweight": layer.qweight, ".qzeros": layer.qzeros, ".scales": layer.scales.half(),
                  ".g_idx": layer.g_idx}
        layer.scales = layer.scales.float()
        decoded = layer(torch.eye(w.shape[1])).t().contiguous()
        return stored, decoded

    return quantise


def modelopt_fp8(w):
    import torch
    from modelopt.torch.quantization.qtensor.fp8_tensor import FP8QTensor
    packed, scale = FP8QTensor.quantize(w.clone())
    decoded = packed.dequantize(dtype=torch.float32, scale=scale)
    return ({".weight": packed._quantized_data, ".weight_scale": scale, ".input_scale": torch.tensor(0.01)}, decoded)


def modelopt_nvfp4(factor):
    def quantise(w):
        import torch
        from modelopt.torch.quantization.qtensor.nvfp4_tensor import NVFP4QTensor
        packed, scale, second = NVFP4QTensor.quantize(w.clone(), 16, None, factor)
        decoded = packed.dequantize(dtype=torch.float32, scale=scale, double_scale=second, block_sizes={-1: 16})
        return ({".weight": packed._quantized_data, ".weight_scale": scale, ".weight_scale_2": second,
                 ".input_scale": torch.tensor(0.01)}, decoded)

    return quantise


# --- a whole checkpoint --------------------------------------------------------------------------------

def each(matrices, of):
    """Quantises matrix by matrix; `of(name)` is the quantiser."""
    def quantise(tensors):
        import torch
        stored, decoded = {}, {}
        for name, value in tensors.items():
            module = name.removeprefix(LAYER).removesuffix(".weight")
            if module in matrices:
                parts, values = of(module)(torch.from_numpy(value))
                stored.update({LAYER + module + part: tensor for part, tensor in parts.items()})
                decoded[name] = values.numpy()
            else:
                stored[name] = torch.from_numpy(value)
        return stored, decoded

    return quantise


def with_factor(tensors_of, make):
    """Quantisers with one factor for what is multiplied with as one."""
    def quantise(tensors):
        import torch
        most = {}
        for group in FUSED:
            present = [np.abs(tensors[LAYER + m + ".weight"]).max() for m in group if LAYER + m + ".weight" in tensors]
            most.update({m: max(present) for m in group if present})

        def of(module):
            own = most.get(module, np.abs(tensors[LAYER + module + ".weight"]).max())
            return make(torch.tensor(float(own)))

        return each(tensors_of, of)(tensors)

    return quantise


def mxfp4_blocks(tensors):
    """Experts in one tensor each for gate_up and down, as gpt-oss stores them; rows are gate above up here."""
    import torch
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors
    stored = {n: torch.from_numpy(v) for n, v in tensors.items() if ".experts." not in n}
    quantise = compressed(MXFP4, "mxfp4-pack-quantized")
    decoded = {}
    for fused, parts in (("gate_up_proj", ["gate_proj", "up_proj"]), ("down_proj", ["down_proj"])):
        blocks, scales = [], []
        for e in range(EXPERTS):
            w = np.concatenate([tensors[f"{LAYER}mlp.experts.{e}.{p}.weight"] for p in parts])
            packed, _ = quantise(torch.from_numpy(w))
            blocks.append(packed[".weight_packed"].reshape(w.shape[0], -1, 16))
            scales.append(packed[".weight_scale"])
        stored[f"{LAYER}mlp.experts.{fused}_blocks"] = torch.stack(blocks)
        stored[f"{LAYER}mlp.experts.{fused}_scales"] = torch.stack(scales)
        values = convert_moe_packed_tensors(torch.stack(blocks), torch.stack(scales), dtype=torch.float32)
        for e in range(EXPERTS):
            for p, rows in zip(parts, np.split(values[e].t().contiguous().numpy(), len(parts))):
                decoded[f"{LAYER}mlp.experts.{e}.{p}.weight"] = np.ascontiguousarray(rows)
    return stored, decoded


def gpt_oss_blocks(tensors):
    """As gpt-oss: rows are outputs, those of gate and up in turns. The last result: by the names of single experts."""
    import torch
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors
    stored = {n: torch.from_numpy(v) for n, v in tensors.items() if not n.endswith(("gate_up_proj", "down_proj"))}
    quantise, decoded, named = compressed(MXFP4, "mxfp4-pack-quantized"), {}, {}
    for fused in ("gate_up_proj", "down_proj"):
        name = f"{LAYER}mlp.experts.{fused}"
        packed = [quantise(torch.from_numpy(np.ascontiguousarray(w.T)))[0] for w in tensors[name]]
        blocks = torch.stack([p[".weight_packed"].reshape(p[".weight_packed"].shape[0], -1, 16) for p in packed])
        scales = torch.stack([p[".weight_scale"] for p in packed])
        stored.update({name + "_blocks": blocks, name + "_scales": scales})
        decoded[name] = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32).numpy()
        for e, matrix in enumerate(decoded[name]):
            parts = {"down_proj": matrix.T} if fused == "down_proj" else {
                "gate_proj": matrix.T[0::2], "up_proj": matrix.T[1::2]}
            named.update({f"{LAYER}mlp.experts.{e}.{p}.weight": rows for p, rows in parts.items()})
    return stored, decoded, named


def ct_config(groups, form, ignore):
    from compressed_tensors.quantization import QuantizationConfig
    config = QuantizationConfig(
        config_groups={f"group_{i}": dict(targets=targets, weights=args, **({"format": f} if f else {}))
                       for i, (targets, args, f) in enumerate(groups)},
        format=form, ignore=ignore, quantization_status="compressed")
    return json.loads(json.dumps(config.to_dict(), default=str))


INT4 = dict(num_bits=4, type="int", strategy="group", group_size=128, symmetric=True)
ZEROS = dict(INT4, group_size=32, symmetric=False)
FP8 = dict(num_bits=8, type="float", strategy="channel", symmetric=True)
FP8_TENSOR = dict(FP8, strategy="tensor")
FP8_BLOCK = dict(FP8, strategy="block", block_structure=[128, 128])
NVFP4 = dict(num_bits=4, type="float", strategy="tensor_group", group_size=16, symmetric=True,
             scale_dtype="torch.float8_e4m3fn")
MXFP4 = dict(num_bits=4, type="float", strategy="group", group_size=32, symmetric=True, scale_dtype="torch.uint8")


def nvfp4_ct(most):
    return compressed(NVFP4, "nvfp4-pack-quantized", (6.0 * 448.0 / most).reshape(1))


def safetensors_cases():
    yield (dense("fp8_block", "blocks at the edges: 160 columns", hidden=160, kv_heads=4, width=256),
           {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "weight_block_size": [128, 128]},
           each(ATTENTION + DENSE, lambda m: fp8_block))
    yield (mixture("ct_fp8_channel", "a tensor per expert, a scale per row"),
           ct_config([(["Linear"], FP8, None)], "float-quantized", ["lm_head", "re:.*mlp.gate$"]),
           each(ATTENTION + EXPERT, lambda m: compressed(FP8, "float-quantized")))
    yield (mixture("ct_int4_g128", "experts alone, by an ignore list; two shards", width=128),
           ct_config([(["Linear"], INT4, None)], "pack-quantized", ["lm_head", "re:.*mlp.gate$", "re:.*self_attn.*"]),
           each(EXPERT, lambda m: compressed(INT4, "pack-quantized")))
    yield (dense("ct_int4_g32_zp", "zero points packed along rows"),
           ct_config([(["Linear"], ZEROS, None)], "pack-quantized", ["lm_head"]),
           each(ATTENTION + DENSE, lambda m: compressed(ZEROS, "pack-quantized")))
    yield (dense("ct_mixed", "two groups, two formats"),
           ct_config([(["re:.*mlp.*"], INT4, "pack-quantized"), (["re:.*self_attn.*"], FP8, "float-quantized")],
                     "mixed-precision", ["lm_head"]),
           each(ATTENTION + DENSE, lambda m: compressed(INT4, "pack-quantized") if "mlp" in m
                else compressed(FP8, "float-quantized")))
    yield (mixture("ct_nvfp4", "scales are divided by weight_global_scale"),
           ct_config([(["Linear"], NVFP4, None)], "nvfp4-pack-quantized", ["lm_head", "re:.*mlp.gate$"]),
           with_factor(ATTENTION + EXPERT, nvfp4_ct))
    yield (dense("ct_mxfp4", "e8m0 as bytes"),
           ct_config([(["Linear"], MXFP4, None)], "mxfp4-pack-quantized", ["lm_head"]),
           each(ATTENTION + DENSE, lambda m: compressed(MXFP4, "mxfp4-pack-quantized")))
    yield (mixture("mxfp4_blocks", "all experts in one tensor"),
           {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.gate",
                                                                "model.embed_tokens", "lm_head"]}, mxfp4_blocks)
    yield (dense("awq_g32", "columns in the order 0 2 4 6 1 3 5 7"),
           {"bits": 4, "group_size": 32, "modules_to_not_convert": None, "quant_method": "awq", "version": "gemm",
            "zero_point": True}, each(ATTENTION + DENSE, lambda m: awq(32)))
    yield (dense("gptq_g128_sym", "zero points are 8, stored as 7"),
           {"bits": 4, "group_size": 128, "damp_percent": 0.01, "desc_act": False, "sym": True, "true_sequential": True,
            "quant_method": "gptq", "static_groups": False, "model_name_or_path": None,
            "model_file_base_name": "model"}, each(ATTENTION + DENSE, lambda m: gptq(128, True)))
    yield (dense("gptq_g32", "zero points of their own, stored less one"),
           {"bits": 4, "group_size": 32, "desc_act": False, "sym": False, "quant_method": "gptq",
            "checkpoint_format": "gptq"}, each(ATTENTION + DENSE, lambda m: gptq(32, False)))
    yield (dense("modelopt_nvfp4", "scales are multiplied with weight_scale_2"),
           {"quantization": {"quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8", "group_size": 16,
                             "exclude_modules": ["lm_head"]}, "producer": {"name": "modelopt", "version": "0.47.0"}},
           with_factor(ATTENTION + DENSE, lambda most: modelopt_nvfp4(most / (6.0 * 448.0))))
    yield (dense("ct_fp8_tensor", "one scale for a tensor"),
           ct_config([(["Linear"], FP8_TENSOR, None)], "float-quantized", ["lm_head"]),
           each(ATTENTION + DENSE, lambda m: compressed(FP8_TENSOR, "float-quantized")))
    yield (dense("ct_fp8_block", "blocks, named weight_scale", kv_heads=4),
           ct_config([(["Linear"], FP8_BLOCK, None)], "float-quantized", ["lm_head"]),
           each(ATTENTION + DENSE, lambda m: compressed(FP8_BLOCK, "float-quantized")))
    yield (dense("modelopt_fp8", "one scale for a tensor"),
           {"quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": None, "exclude_modules": ["lm_head"]},
            "producer": {"name": "modelopt", "version": "0.47.0"}},
           each(ATTENTION + DENSE, lambda m: modelopt_fp8))
    yield (golden.case("gpt_oss_mxfp4", "gpt_oss", (64, 4, 2, 32), [0], 1, 6, "gate and up in turns", layer_count=1,
                       head_dim=16, rms_norm_eps=1e-5, rope_theta=10000.0, num_experts_per_tok=2,
                       num_local_experts=EXPERTS, attention_bias=True, sliding_window=4, swiglu_limit=1.2,
                       layer_types=["sliding_attention"],
                       rope_scaling={"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0,
                                     "truncate": False, "original_max_position_embeddings": 4096}),
           {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router",
                                                                "model.embed_tokens", "lm_head"]}, gpt_oss_blocks)


# gguf does not quantise to these types: codes and scales at random, of the size of such weights.
def q45_k_blocks(shape, rng, bits):
    blocks = np.empty((int(np.prod(shape)) // 256, 16 + 32 * bits), np.uint8)
    middle = (2 ** bits - 1) / 2
    scale = rng.integers(24, 60, (len(blocks), 8))
    minimum = np.clip(scale + rng.integers(-4, 4, scale.shape), 0, 63)
    d = (1 / np.sqrt(shape[-1]) / (41 * 4.6 * middle / 7.5) * rng.uniform(0.8, 1.2, len(blocks))).astype(np.float16)
    blocks[:, 0:2] = d[:, None].view(np.uint8)
    blocks[:, 2:4] = (middle * d).astype(np.float16)[:, None].view(np.uint8)
    blocks[:, 4:8] = scale[:, :4] | (scale[:, 4:] >> 4) << 6
    blocks[:, 8:12] = minimum[:, :4] | (minimum[:, 4:] >> 4) << 6
    blocks[:, 12:16] = scale[:, 4:] & 15 | (minimum[:, 4:] & 15) << 4
    blocks[:, 16:] = rng.integers(0, 256, (len(blocks), 32 * bits))
    return blocks.reshape(*shape[:-1], shape[-1] // 256 * blocks.shape[1])


def q6_k_blocks(shape, rng):
    blocks = rng.integers(0, 256, (int(np.prod(shape)) // 256, 210), np.uint8)
    scale = rng.integers(64, 129, (len(blocks), 16)) * np.where(rng.random((len(blocks), 16)) < 0.5, -1, 1)
    blocks[:, 192:208] = np.clip(scale, -128, 127).astype(np.int8).view(np.uint8)
    d = (1 / np.sqrt(shape[-1]) / (98 * 18.5) * rng.uniform(0.8, 1.2, len(blocks))).astype(np.float16)
    blocks[:, 208:] = d[:, None].view(np.uint8)
    return blocks.reshape(*shape[:-1], shape[-1] // 256 * 210)


RANDOM_BLOCKS = {"Q4_K": lambda shape, rng: q45_k_blocks(shape, rng, 4),
                 "Q5_K": lambda shape, rng: q45_k_blocks(shape, rng, 5), "Q6_K": q6_k_blocks}


def k_m(usual):
    """The types that llama.cpp gives half of the layers of a Q4_K_M or Q5_K_M file."""
    return lambda name: "Q6_K" if "attn_v" in name or "ffn_down" in name else usual


GGUF_NAMES = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
              "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
              "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate",
              "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "mlp.gate": "ffn_gate_inp",
              "block_sparse_moe.gate": "ffn_gate_inp"}
GGUF_EXPERTS = {"w1": "ffn_gate", "w3": "ffn_up", "w2": "ffn_down", "gate_proj": "ffn_gate", "up_proj": "ffn_up",
                "down_proj": "ffn_down"}


def gguf_file(path, config, tensors, arch, kind, rng):
    """Writes the file, `kind` the type of all matrices or what gives it; returns what gguf decodes, in Hugging Face's
    order of rows and by its names."""
    import gguf
    from transformers.modeling_gguf_pytorch_utils import LlamaTensorProcessor
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    processor = LlamaTensorProcessor(config={k: config[k] for k in ("num_attention_heads", "num_key_value_heads")})
    out, decoded = gguf.GGUFWriter(path, arch), {}
    out.add_block_count(1)
    out.add_head_count(config["num_attention_heads"])
    out.add_head_count_kv(config["num_key_value_heads"])
    out.add_tokenizer_model("gpt2")
    out.add_token_list(["a", "b", "c"])

    def put(name, value, plain):
        if plain:
            out.add_tensor(name, value)
            return value
        of = gguf.GGMLQuantizationType[kind(name) if callable(kind) else kind]
        at_random = RANDOM_BLOCKS.get(of.name)
        packed = at_random(value.shape, rng) if at_random else gguf.quants.quantize(value, of)
        out.add_tensor(name, packed, raw_dtype=of)
        return gguf.quants.dequantize(packed, of)

    for name, value in tensors.items():
        module, _ = name.removeprefix(LAYER).rsplit(".", 1)
        if ".experts." in module:
            continue
        short, norm = GGUF_NAMES[module], value.ndim == 1
        if arch == "llama" and short in heads:  # llama.cpp's converter, LlamaModel.permute
            value = value.reshape(heads[short], 2, -1, *value.shape[1:]).swapaxes(1, 2).reshape(value.shape)
        got = put(f"blk.0.{short}.weight", np.ascontiguousarray(value), norm or short == "ffn_gate_inp")
        if arch == "llama" and short in heads:
            got = processor.process(got, f"blk.0.{short}.weight").weights
        if not norm and short != "ffn_gate_inp":
            decoded[name] = np.ascontiguousarray(got)
    block = "block_sparse_moe" if any("block_sparse_moe" in n for n in tensors) else "mlp"
    for matrix in sorted({n.split(".")[-2] for n in tensors if ".experts." in n}):
        names = [f"{LAYER}{block}.experts.{e}.{matrix}.weight" for e in range(EXPERTS)]
        got = put(f"blk.0.{GGUF_EXPERTS[matrix]}_exps.weight", np.stack([tensors[n] for n in names]), False)
        decoded.update(zip(names, got))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    return decoded


def gguf_cases():
    yield dense("gguf_q8_0", "rows of q and k in turns", family="llama"), "llama", "Q8_0"
    yield dense("gguf_q4_0", "halves of blocks share bytes"), "qwen3", "Q4_0"
    yield dense("gguf_q4_k", "scales of 6 bits", hidden=256, heads=8, kv_heads=2, width=256), "qwen3", "Q4_K"
    yield (mixture("gguf_mxfp4_experts", "all experts in one tensor, rows of q and k in turns", family="mixtral"),
           "llama", "MXFP4")
    yield (dense("gguf_q5_k_m", "two types in what is multiplied with as one", hidden=256, heads=8, kv_heads=2,
                 width=256), "qwen3", k_m("Q5_K"))
    yield (mixture("gguf_q4_k_m_experts", "experts' last matrices in another type", hidden=256, width=256, heads=8),
           "qwen3moe", k_m("Q4_K"))


def finish(folder, spec, tensors, decoded, x, named=None):
    """named: the decoded matrices by other names than the tensors have"""
    import torch
    with tempfile.TemporaryDirectory() as plain:
        plain = Path(plain)
        (plain / "config.json").write_text(json.dumps(spec["config"]))
        whole = {n: torch.from_numpy(np.ascontiguousarray(decoded.get(n, v))) for n, v in tensors.items()}
        assert all(whole[n].shape == torch.from_numpy(tensors[n]).shape for n in tensors)
        save_file(whole, plain / "model.safetensors", metadata={"format": "pt"})
        got = golden.run_transformers(plain, 0, x, torch.float64)
    if "logits" in got:
        gap = golden.margins(golden.Layer(spec["config"], tensors, 0), got["logits"])
        assert gap.min() > golden.MIN_MARGIN, (spec["name"], gap.min())
    output = got["output"].astype(np.float32)
    share = np.linalg.norm(output - x) / np.linalg.norm(output)
    assert 0.1 < share < 2, (spec["name"], share)
    save_file({"input": torch.from_numpy(x), "output": torch.from_numpy(output)}, folder / "io_layer0.safetensors")
    said = {}
    for name, value in sorted((named or decoded).items()):
        value = np.ascontiguousarray(value, "<f4")
        if name in tensors:
            error = np.linalg.norm(value - tensors[name]) / np.linalg.norm(tensors[name])
            assert "_k" in spec["name"] or error < 0.2, (spec["name"], name, error)
        said[name] = {"shape": list(value.shape), "sha256": hashlib.sha256(value.tobytes()).hexdigest(),
                      "first": [float(v) for v in value.ravel()[:4]]}
    (folder / "decoded.json").write_text(json.dumps({"says": spec["says"], "matrices": said}, indent=1) + "\n")
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{spec['name']:<20} adds {share:.2f} of the output, {size // 1024} KB")


def draw(spec, number):
    for attempt in range(20):
        tensors, x = golden.make_layer(spec, 0, np.random.default_rng([SEED, number, attempt]))
        yield tensors, x


def main():
    os.environ["HF_HUB_OFFLINE"] = "1"
    logging.disable(logging.WARNING)
    import torch
    import transformers
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    if not sys.argv[1:] or any(name.startswith(("awq", "gptq")) for name in sys.argv[1:]):
        autoawq()
    if "accelerate" in sys.modules and not getattr(sys.modules["accelerate"], "__file__", None):
        del sys.modules["accelerate"]
    if not sys.argv[1:] or any(name.startswith("gptq") for name in sys.argv[1:]):
        autogptq()
    wanted = sys.argv[1:]
    for number, (spec, quantisation, quantise) in enumerate(safetensors_cases()):
        if wanted and spec["name"] not in wanted:
            continue
        folder = HERE / spec["name"]
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for tensors, x in draw(spec, number):
            stored, decoded, *named = quantise(tensors)
            try:
                finish(folder, spec, tensors, decoded, x, *named)
                break
            except AssertionError as error:
                print("again:", error)
        else:
            raise RuntimeError(f"{spec['name']}: no draw was good")
        if "producer" in quantisation:  # ModelOpt's file beside the config
            (folder / "hf_quant_config.json").write_text(json.dumps(quantisation, indent=1) + "\n")
            config = spec["config"]
        else:
            config = dict(spec["config"], quantization_config=quantisation)
        (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
        stored = {n: v.contiguous() for n, v in sorted(stored.items())}
        if spec["name"] == "ct_int4_g128":
            names, index = list(stored), {}
            for i, part in enumerate((names[::2], names[1::2]), 1):
                file = f"model-{i:05}-of-00002.safetensors"
                save_file({n: stored[n] for n in part}, folder / file, metadata={"format": "pt"})
                index.update(dict.fromkeys(part, file))
            text = json.dumps({"metadata": {}, "weight_map": dict(sorted(index.items()))}, indent=1)
            (folder / "model.safetensors.index.json").write_text(text + "\n")
        else:
            save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    for number, (spec, arch, kind) in enumerate(gguf_cases(), 100):
        if wanted and spec["name"] not in wanted:
            continue
        folder = HERE / spec["name"]
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for tensors, x in draw(spec, number):
            decoded = gguf_file(folder / "model.gguf", spec["config"], tensors, arch, kind,
                                np.random.default_rng([SEED, number]))
            try:
                finish(folder, spec, tensors, decoded, x)
                break
            except AssertionError as error:
                print("again:", error)
        else:
            raise RuntimeError(f"{spec['name']}: no draw was good")
        (folder / "config.json").write_text(json.dumps(spec["config"], indent=1) + "\n")


if __name__ == "__main__":
    main()
