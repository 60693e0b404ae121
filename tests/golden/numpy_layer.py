# SPDX-License-Identifier: Apache-2.0
"""One decoder layer of the families below in plain float64 numpy.

Written from the description of the families, not from anybody's code, and sharing nothing with
the program under test: it is the second opinion on the stored outputs, and the instrument that
shows which errors they would notice. Slow on purpose; meant for tens of tokens.
"""

import numpy as np

SPARSE = ("deepseek_v32", "glm_moe_dsa")  # latent attention to the keys that an indexer selects
LATENT = ("deepseek_v2", "deepseek_v3") + SPARSE  # latent attention
STREAM_NORMED = ("minimax", "minimax_text_01")  # lightning attention in most layers; the stream goes on from norms
ALL_SPARSE = ("mixtral", "olmoe", "minimax_m2", "hunyuan_v1_moe", "gpt_oss") + STREAM_NORMED  # experts in every layer
HYBRID = ("qwen3_next", "qwen3_5_text", "qwen3_5_moe_text")  # the gated delta rule in most layers, else gated attention
MISTRAL = ("mistral", "ministral", "ministral3")
FAMILIES = ("llama", "qwen2", "qwen3", "qwen3_moe", "glm4_moe", "ernie4_5_moe", "llama4_text", "gemma4_text") + (
    MISTRAL + ALL_SPARSE + LATENT + HYBRID)
DENSE_FIRST = ("glm4_moe",) + LATENT  # dense layers, then experts beside shared ones, whose part is scaled
SIGMOID = ("deepseek_v3", "glm4_moe", "minimax_m2") + SPARSE  # scores, else softmax
CORRECTED = ("ernie4_5_moe",) + SIGMOID  # a bias for the choice
LATENT_EPS = 1e-6  # of the norms of latents, whatever rms_norm_eps says

# What a missing key means differs by family; these are the values of transformers 5.23.
DEFAULT_KV_HEADS = {"qwen2": 32, "qwen3": 32, "mixtral": 8, "qwen3_moe": 4, "glm4_moe": 8,
                    "ernie4_5_moe": 4, "minimax_m2": 8, "gpt_oss": 8, "qwen3_next": 2, "qwen3_5_text": 4,
                    "qwen3_5_moe_text": 2, "mistral": 8, "ministral": 8, "ministral3": 8,
                    "llama4_text": 8, "minimax": 8, "minimax_text_01": 8}  # llama, olmoe, hunyuan: heads
DEFAULT_HEAD_DIM = {"qwen3": 128, "minimax_m2": 128, "gpt_oss": 64, "qwen3_next": 256, "qwen3_5_text": 256,
                    "qwen3_5_moe_text": 256, "ministral3": 128, "llama4_text": 128}  # the others: hidden / heads
DEFAULT_EPS = {"mixtral": 1e-5, "ernie4_5_moe": 1e-5, "olmoe": 1e-5, "hunyuan_v1_moe": 1e-5,
               "gpt_oss": 1e-5, "ministral3": 1e-5, "llama4_text": 1e-5, "minimax": 1e-5,
               "minimax_text_01": 1e-5}  # the others: 1e-6
DEFAULT_THETA = {"mixtral": 1e6, "ernie4_5_moe": 5e5, "minimax_m2": 5e6, "gpt_oss": 1.5e5,
                 "llama4_text": 5e5, "minimax": 1e6, "minimax_text_01": 1e6}  # the others: 1e4
DEFAULT_PART = {"glm4_moe": 0.5, "qwen3_next": 0.25, "qwen3_5_text": 0.25,
                "qwen3_5_moe_text": 0.25}  # of a head that is rotated; the others: all of it


def head_sizes(config, layer=None):
    """(heads, kv_heads, head_dim); of latent attention the rotated part of a head"""
    if config["model_type"] in LATENT:
        return config["num_attention_heads"], config["num_attention_heads"], config["qk_rope_head_dim"]
    family, heads = config["model_type"], config["num_attention_heads"]
    if family == "gemma4_text":
        if not sees_all(config, layer):
            return heads, config["num_key_value_heads"], config["head_dim"]
        own = config.get("per_layer_config", {}).get(str(layer), {})
        wide = config.get("num_global_key_value_heads") if config.get("attention_k_eq_v") else None
        return (heads, own.get("num_key_value_heads", wide or config["num_key_value_heads"]),
                own.get("head_dim", config.get("global_head_dim", 512)))
    kv_heads = config.get("num_key_value_heads", DEFAULT_KV_HEADS.get(family, heads)) or heads
    head_dim = config.get("head_dim") or DEFAULT_HEAD_DIM.get(family) or config["hidden_size"] // heads
    return heads, kv_heads, head_dim


def sees_all(config, layer):
    """of gemma4: whether the layer has no window"""
    if config.get("layer_types"):
        return config["layer_types"][layer] == "full_attention"
    return (layer + 1) % 6 == 0 or layer == config["num_hidden_layers"] - 1


def qk_norm_of(config):
    """"" where there is none, "head": of each head, "whole": of all heads together"""
    if config["model_type"] in ("qwen3", "qwen3_moe", "hunyuan_v1_moe", "gemma4_text") + HYBRID:
        return "head"
    if config["model_type"] in ("olmoe", "minimax_m2"):
        return "whole"
    if config["model_type"] == "llama4_text":
        return "bare" if config.get("use_qk_norm", True) else ""
    return "head" if config.get("use_qk_norm") else ""


def rotated_dims(config, layer=None):
    """of a head, the first ones"""
    if config["model_type"] == "gemma4_text":
        return head_sizes(config, layer)[2]  # by 0 most of them
    if config["model_type"] == "minimax":
        return head_sizes(config)[2]  # rotary_dim is not read
    rope = config.get("rope_parameters") or {}
    part = rope.get("partial_rotary_factor", config.get("partial_rotary_factor"))
    if part is None and config.get("rotary_dim"):
        return config["rotary_dim"]
    part = DEFAULT_PART.get(config["model_type"], 1.0) if part is None else part
    return int(head_sizes(config)[2] * part)


def window_of(config, layer):
    """The number of keys a query sees, itself included; None where it sees all before it."""
    family = config["model_type"]
    if family in DENSE_FIRST + ("ernie4_5_moe", "olmoe", "minimax_m2", "hunyuan_v1_moe") + HYBRID:
        return None
    if family == "llama":
        return None  # the key has no meaning there, even when present
    if family == "llama4_text":
        return None  # chunks instead
    if family == "gemma4_text":
        return None if sees_all(config, layer) else config["sliding_window"]
    if family == "mixtral":
        return config.get("sliding_window")  # every layer, no switch
    if family in STREAM_NORMED:
        return None if is_linear(config, layer) else config.get("sliding_window")
    if family in MISTRAL:
        window = config.get("sliding_window", None if family == "ministral3" else 4096)
        if family == "ministral" and config.get("layer_types"):
            return window if config["layer_types"][layer] == "sliding_attention" else None
        return window
    if family == "gpt_oss":  # where nothing says it, in every other layer
        slides = config["layer_types"][layer] == "sliding_attention" if config.get("layer_types") else layer % 2 == 0
        return config.get("sliding_window", 128) if slides else None
    if not config.get("use_sliding_window", False):
        return None
    window = config.get("sliding_window", 4096)
    if family == "qwen3_moe" or window is None:
        return window  # every layer: neither max_window_layers nor layer_types is read
    if config.get("layer_types"):  # wins over max_window_layers
        return window if config["layer_types"][layer] == "sliding_attention" else None
    return window if layer >= config.get("max_window_layers", 28) else None


def shares_selection(config, layer):
    """whether the layer has no indexer and sees what the last one before it with one selected"""
    if config["model_type"] != "glm_moe_dsa":
        return False
    if config.get("indexer_types"):
        return config["indexer_types"][layer] == "shared"
    if config.get("index_topk_pattern"):
        return config["index_topk_pattern"][layer] in ("S", "shared")
    behind = max(layer - config.get("index_skip_topk_offset", 2) + 1, 0)
    return behind % max(config.get("index_topk_freq", 1), 1) != 0


def turns(config, layer):
    """whether the layer rotates queries and keys"""
    if config["model_type"] != "llama4_text":
        return True
    if config.get("no_rope_layers"):
        return config["no_rope_layers"][layer] == 1
    return (layer + 1) % config.get("no_rope_layer_interval", 4) != 0


def chunk_of(config, layer):
    """A query sees the keys of its own chunk of so many; None where it sees all before it."""
    if config["model_type"] != "llama4_text":
        return None
    words = config.get("layer_types")
    chunked = words[layer] == "chunked_attention" if words else turns(config, layer)
    return config.get("attention_chunk_size", 8192) if chunked else None


def temperature(config, layer, positions):
    """what queries are multiplied by"""
    if config["model_type"] == "ministral3":
        rope = config["rope_parameters"]
        passed = np.floor(positions / rope["original_max_position_embeddings"])
        return 1 + rope["llama_4_scaling_beta"] * np.log(1 + passed)
    if config["model_type"] == "llama4_text" and not turns(config, layer) and config.get(
            "attn_temperature_tuning", True):
        passed = np.floor((positions + 1) / config.get("floor_scale", 8192))
        return 1 + config.get("attn_scale", 0.1) * np.log(1 + passed)
    return np.ones(len(positions))


def is_moe(config, layer):
    if config["model_type"] == "gemma4_text":
        return config.get("enable_moe_block", False)
    if config["model_type"] == "llama4_text":
        if config.get("moe_layers") is not None:
            return layer in config["moe_layers"]
        return (layer + 1) % config.get("interleave_moe_layer_step", 1) == 0
    if config["model_type"] in ALL_SPARSE:
        return True
    if config["model_type"] in DENSE_FIRST:
        return layer >= config["first_k_dense_replace"]
    if config["model_type"] == "ernie4_5_moe":
        first, last = config.get("moe_layer_start_index", 1), config.get("moe_layer_end_index", -1)
        last = config["num_hidden_layers"] - 1 if last == -1 else last
        return first <= layer <= last and (layer + 1) % config.get("moe_layer_interval", 1) == 0
    if config["model_type"] == "qwen3_5_moe_text":
        return True
    if config["model_type"] not in ("qwen3_moe", "qwen3_next"):
        return False
    step = config.get("decoder_sparse_step", 1)
    return layer not in (config.get("mlp_only_layers") or []) and (layer + 1) % step == 0


def text_part(config):
    """the config of a model of text, or of the part that reads text"""
    return config.get("text_config") or config


def is_linear(config, layer):
    """whether the layer has the gated delta rule or lightning attention"""
    if config["model_type"] in STREAM_NORMED:
        if config.get("layer_types"):
            return config["layer_types"][layer] == "linear_attention"
        if config.get("attn_type_list"):
            return config["attn_type_list"][layer] == 0
        return layer % 2 == 1
    if config["model_type"] not in HYBRID:
        return False
    if config.get("layer_types"):
        return config["layer_types"][layer] == "linear_attention"
    return (layer + 1) % config.get("full_attention_interval", 4) != 0


def stream_factors(config, layer):
    """(alpha of the residual, beta of attention; alpha of the residual, beta of the experts)"""
    def factor(ours, theirs, which):
        return config.get(f"{ours}_{which}_factor", config.get(f"layernorm_{theirs}_{which}", 1.0))
    kind = "linear" if is_linear(config, layer) else "full"
    return [factor(ours, theirs, which) for ours, theirs in (
        (kind + "_attn", kind + "_attention"), ("mlp", "mlp")) for which in ("alpha", "beta")]


def delta_sizes(config):
    """(key heads, value heads, key dimensions, value dimensions, kernel)"""
    names = ("num_key_heads", "num_value_heads", "key_head_dim", "value_head_dim", "conv_kernel_dim")
    return tuple(config["linear_" + name] for name in names)


def rope_settings(config, layer=None):
    """Old style (rope_theta beside rope_scaling) and new style (rope_parameters) as one dict."""
    if config["model_type"] == "gemma4_text":
        return config["rope_parameters"]["full_attention" if sees_all(config, layer or 0) else "sliding_attention"]
    rope = dict(config.get("rope_scaling") or config.get("rope_parameters") or {})
    rope.setdefault("rope_type", rope.get("type", "default"))
    rope.setdefault("rope_theta", config.get("rope_theta", DEFAULT_THETA.get(config["model_type"], 1e4)))
    return rope


def yarn_keep(rope, dim):
    """Share of its own frequency that each pair keeps; the rest is divided by the factor."""
    def pair_that_turns(times):
        wavelength = rope["original_max_position_embeddings"] / times
        return dim / 2 * np.log(wavelength / (2 * np.pi)) / np.log(rope["rope_theta"])

    first, last = pair_that_turns(rope.get("beta_fast") or 32), pair_that_turns(rope.get("beta_slow") or 1)
    if rope.get("truncate", True):
        first, last = np.floor(first), np.ceil(last)
    first, last = max(first, 0), min(last, dim - 1)
    return 1 - np.clip((np.arange(dim // 2) - first) / max(last - first, 1e-3), 0, 1)


def rope_scale(config):
    """What cosines and sines are multiplied by."""
    rope = rope_settings(config)
    if rope["rope_type"] != "yarn":
        return 1.0
    if rope.get("attention_factor"):
        return rope["attention_factor"]
    above, below = (rope.get("mscale"), rope.get("mscale_all_dim"))
    if not (above and below):
        above, below = 1.0, 0.0
    return (1 + 0.1 * above * np.log(rope["factor"])) / (1 + 0.1 * below * np.log(rope["factor"]))


def rope_frequencies(config, layer=None):
    rope, dim = rope_settings(config, layer), rotated_dims(config, layer)
    frequency = float(rope["rope_theta"]) ** -(np.arange(0, dim, 2) / dim)
    if rope["rope_type"] == "dynamic":  # Hunyuan's: another base, whatever the length
        stretched = rope["rope_theta"] * rope["alpha"] ** (dim / (dim - 2))
        return float(stretched) ** -(np.arange(0, dim, 2) / dim)
    if rope["rope_type"] == "default":
        return frequency
    if rope["rope_type"] == "proportional":  # the first pairs only, as fast as among all
        turned = np.arange(dim // 2) < int(rope.get("partial_rotary_factor", 1.0) * dim // 2)
        return np.where(turned, frequency, 0.0) / rope.get("factor", 1.0)
    if rope["rope_type"] == "linear":
        return frequency / rope["factor"]
    if rope["rope_type"] == "llama3":
        turns = rope["original_max_position_embeddings"] * frequency / (2 * np.pi)
        low, high = rope["low_freq_factor"], rope["high_freq_factor"]
        slow, fast = turns < low, turns > high
        keep = np.where(fast, 1.0, 0.0)
        middle = ~slow & ~fast
        keep[middle] = (turns[middle] - low) / (high - low)
        return frequency * (keep + (1 - keep) / rope["factor"])
    if rope["rope_type"] == "yarn":
        keep = yarn_keep(rope, dim)
        return frequency * (keep + (1 - keep) / rope["factor"])
    raise ValueError(f"rope type {rope['rope_type']}")


def rotate(x, frequency, scale):
    """x [batch, seq, heads, dim]; the pair of dimension i is i + dim / 2."""
    angle = np.arange(x.shape[1])[:, None] * frequency[None, :]
    cos, sin = scale * np.cos(angle)[None, :, None, :], scale * np.sin(angle)[None, :, None, :]
    first, second = np.split(x, 2, axis=-1)
    return np.concatenate((first * cos - second * sin, second * cos + first * sin), axis=-1)


def rotate_neighbours(x, frequency, scale):
    """As rotate, but the pair of dimension 2i is 2i + 1."""
    order = np.concatenate((np.arange(0, x.shape[-1], 2), np.arange(1, x.shape[-1], 2)))
    out = np.empty_like(x)
    out[..., order] = rotate(x[..., order], frequency, scale)
    return out


def score_scale(config):
    """What latent attention multiplies its scores by, beside 1 / sqrt(dimensions)."""
    rope = rope_settings(config)
    if rope["rope_type"] != "yarn" or not rope.get("mscale_all_dim"):
        return 1.0
    return (1 + 0.1 * rope["mscale_all_dim"] * np.log(rope["factor"])) ** 2


def top_k_key(config):
    own = {"ernie4_5_moe": "moe_k", "hunyuan_v1_moe": "moe_topk", "gemma4_text": "top_k_experts"}
    return own.get(config["model_type"], "num_experts_per_tok")


def top_k_of(config):
    top_k = config[top_k_key(config)]
    return top_k[0] if isinstance(top_k, list) else top_k  # of layers that all choose as many


def choose(config, choice):
    """(experts chosen, distance of what is just in from what is just out, over the spread of all) of one token. The
    distance is None where everything is chosen."""
    def best(values, count):
        order = np.argsort(-values, kind="stable")
        out = values[order[count - 1]] - values[order[count]] if count < len(values) else np.inf
        return order[:count], out

    gap, allowed = np.inf, np.ones(len(choice), bool)
    groups = config.get("n_group") or 1
    if config["model_type"] == "deepseek_v2" and config.get("topk_method", "greedy") == "greedy":
        groups = 1
    if groups > 1:
        members = -np.sort(-choice.reshape(groups, -1), axis=1)
        of_group = members[:, 0] if config["model_type"] == "deepseek_v2" else members[:, :2].sum(1)
        kept, gap = best(of_group, config["topk_group"])
        allowed = np.isin(np.arange(len(choice)) // members.shape[1], kept)
    chosen, inside = best(np.where(allowed, choice, -np.inf), top_k_of(config))
    gap = min(gap, inside)
    return chosen, None if gap == np.inf else gap / (choice.max() - choice.min())


def rms_norm(x, weight, eps):
    return weight * x / np.sqrt((x * x).mean(-1, keepdims=True) + eps)


def layer_norm(x, weight, bias, eps):
    x = x - x.mean(-1, keepdims=True)
    return weight * x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) + bias


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def silu(x):
    return x / (1 + np.exp(-x))


class Layer:
    """config: the parsed config.json; tensors: name -> array, with the names of the checkpoint."""

    def __init__(self, config, tensors, layer):
        if config["model_type"] not in FAMILIES:
            raise ValueError(f"family {config['model_type']}")
        self.config, self.layer = config, layer
        self.family = config["model_type"]
        prefix = f"model.layers.{layer}."
        nested = f"model.language_model.layers.{layer}."
        tensors = {k.replace(nested, prefix): v for k, v in tensors.items()}
        self.tensors = {k[len(prefix):]: np.asarray(v, np.float64) for k, v in tensors.items() if k.startswith(prefix)}
        self.eps = config.get("rms_norm_eps", DEFAULT_EPS.get(self.family, 1e-6))
        self.window = window_of(config, layer)
        self.chunk, self.turns = chunk_of(config, layer), turns(config, layer)
        self.neighbours = self.family in ("ernie4_5_moe", "llama4_text") or (
            self.family in LATENT and config.get("rope_interleave", True) is not False)
        self.latent_eps = LATENT_EPS
        self.qk_norm = qk_norm_of(config) if self.turns else ""
        self.norm_after_rope = self.family in ("hunyuan_v1_moe", "llama4_text")
        self.rotated_dims = rotated_dims(config, layer)
        fused_names = [n for n in self.tensors if n.endswith(("experts.gate_up_proj", "experts.down_proj"))]
        for name in fused_names if self.family in HYBRID else []:
            fused, place = self.tensors[name], name.rsplit(".", 1)[0]  # all experts' matrices in one tensor
            for e, matrix in enumerate(fused):
                parts = {"down_proj": matrix}
                if name.endswith("gate_up_proj"):
                    parts = dict(zip(("gate_proj", "up_proj"), np.split(matrix, 2)))
                self.tensors.update({f"{place}.{e}.{part}.weight": rows for part, rows in parts.items()})
        self.linear_attn = is_linear(config, layer)
        self.norm_offset = 1.0 if self.family in HYBRID else 0.0  # such norms are stored as w - 1
        self.sinks = self.family == "gpt_oss"
        self.selection = None  # of a layer that shares one: [batch, seq, index_topk], positions, behind them -1
        self.index_neighbours = self.family == "glm_moe_dsa"
        # Errors to be seen.
        self.no_relu = self.no_index_bias = self.index_rms_norm = self.sees_ahead = self.no_selection = False
        self.bias_in_weights = self.scaled_twice = self.halves = self.no_expert_biases = False
        self.decay_after = self.gate_first = self.dealt_in_turn = self.no_unit = self.offset_value_norm = False
        self.no_conv_silu = self.no_beta = self.no_shared_gate = False
        self.no_temperature = self.weigh_output = self.no_v_norm = self.values_of_normed_keys = False
        self.plain_stream = self.no_qkv_silu = self.grouped_qkv = self.no_output_gate = False
        self.slope_layer, self.value_eps = layer, LATENT_EPS
        self.no_layer_scalar = self.no_router_norm = self.no_expert_scale = self.plain_gelu = False
        self.score_factor = 1.0 if self.family == "gemma4_text" else None  # else dim^-1/2

    def biased(self, name):
        if self.family in LATENT:
            if name.startswith("self_attn."):
                return self.config.get("attention_bias", False) and name.endswith(
                    ("q_a_proj", "kv_a_proj_with_mqa", "o_proj"))
            return self.config.get("mlp_bias", False) and ".experts." not in name and not name.endswith(".gate")
        if self.family == "ernie4_5_moe":
            return self.config.get("use_bias", False) and ".experts." not in name and not name.endswith(".gate")
        if self.family == "glm4_moe":
            return self.config.get("attention_bias", False) and name.endswith(("q_proj", "k_proj", "v_proj"))
        if self.family == "gpt_oss":
            return name == "mlp.router" or self.config.get("attention_bias", True)
        if self.family in HYBRID:
            return self.config.get("attention_bias", False) and name.startswith("self_attn.")
        if name.startswith("self_attn."):
            if self.family == "qwen2":
                return not name.endswith("o_proj")  # always on q, k, v; no key turns it off
            never = ("mixtral",) + MISTRAL + STREAM_NORMED
            return self.family not in never and self.config.get("attention_bias", False)
        return self.family == "llama" and self.config.get("mlp_bias", False)

    def linear(self, x, name):
        y = x @ self.tensors[name + ".weight"].T
        return y + self.tensors[name + ".bias"] if self.biased(name) else y

    def norm(self, x, name):
        return rms_norm(x, self.tensors[name + ".weight"] + self.norm_offset, self.eps)

    def norm_names(self):
        """of q and k"""
        hunyuan = self.family == "hunyuan_v1_moe"
        return ("self_attn.query_layernorm", "self_attn.key_layernorm") if hunyuan else (
            "self_attn.q_norm", "self_attn.k_norm")

    def normed(self, q, k):
        if self.qk_norm == "bare":
            return [rms_norm(x, 1.0, self.eps) for x in (q, k)]

        def norm(x, name):
            weight = self.tensors[name + ".weight"] + self.norm_offset
            if self.qk_norm == "whole":
                return rms_norm(x.reshape(*x.shape[:2], -1), weight, self.eps).reshape(x.shape)
            return rms_norm(x, weight if weight.size == x.shape[-1] else weight.reshape(x.shape[2:]), self.eps)
        if not self.qk_norm:
            return q, k
        return [norm(x, name) for x, name in zip((q, k), self.norm_names())]

    def turned(self, x):
        if not self.turns:
            return x
        turn = rotate_neighbours if self.neighbours else rotate
        dims = self.rotated_dims
        first = turn(x[..., :dims], rope_frequencies(self.config, self.layer)[:dims // 2],
                     1.0 if self.family == "gemma4_text" else rope_scale(self.config))
        return np.concatenate((first, x[..., dims:]), axis=-1)

    def attention(self, x):
        heads, kv_heads, dim = head_sizes(self.config, self.layer)
        batch, seq, _ = x.shape
        q = self.linear(x, "self_attn.q_proj").reshape(batch, seq, heads, -1)
        if self.family in HYBRID:
            q, gate = np.split(q, 2, axis=-1)
            if self.gate_first:
                q, gate = gate, q
        k = self.linear(x, "self_attn.k_proj").reshape(batch, seq, kv_heads, dim)
        v = k if self.v_from_k() else self.linear(x, "self_attn.v_proj").reshape(batch, seq, kv_heads, dim)
        if not self.norm_after_rope:
            q, k = self.normed(q, k)
        if self.values_of_normed_keys:
            v = k
        if self.family == "gemma4_text" and not self.no_v_norm:
            v = rms_norm(v, 1.0, self.eps)
        q, k = self.turned(q), self.turned(k)
        if self.norm_after_rope:
            q, k = self.normed(q, k)
        if not self.no_temperature:
            q = q * temperature(self.config, self.layer, np.arange(seq))[:, None, None]
        age = np.arange(seq)[:, None] - np.arange(seq)[None, :]
        visible = (age >= 0) & (age < (self.window or seq))
        if self.chunk:
            number = np.arange(seq) // self.chunk
            visible &= number[:, None] == number[None, :]
        out = np.empty_like(q)
        for head in range(heads):
            source = head // (heads // kv_heads)
            score = np.einsum("bid,bjd->bij", q[:, :, head], k[:, :, source]) * (self.score_factor or dim**-0.5)
            score = np.where(visible, score, -np.inf)
            if self.sinks:  # one more score, whose weight nobody gets
                sink = np.broadcast_to(self.tensors["self_attn.sinks"][head], score.shape[:2] + (1,))
                score = np.concatenate((score, sink), axis=-1)
            out[:, :, head] = np.einsum("bij,bjd->bid", softmax(score)[:, :, :seq], v[:, :, source])
        if self.family in HYBRID:
            out = out * sigmoid(gate)
        return self.linear(out.reshape(batch, seq, heads * dim), "self_attn.o_proj")

    def v_from_k(self):
        return self.family == "gemma4_text" and self.config.get("attention_k_eq_v", False) and sees_all(
            self.config, self.layer)

    def delta_inputs(self, x):
        """(q, k, v, z [batch, seq, heads of each, dimensions], b, a [batch, seq, value heads]), not yet convolved"""
        key_heads, heads, dk, dv, _ = delta_sizes(self.config)
        batch, seq, _ = x.shape
        if self.family == "qwen3_next":  # the rows of each key head and its group lie together
            group = heads // key_heads
            turns = self.linear(x, "linear_attn.in_proj_qkvz").reshape(batch, seq, key_heads, -1)
            q, k, v, z = np.split(turns, np.cumsum([dk, dk, group * dv]), axis=-1)
            b, a = np.split(self.linear(x, "linear_attn.in_proj_ba").reshape(batch, seq, key_heads, -1), 2, axis=-1)
        else:
            q, k, v = np.split(self.linear(x, "linear_attn.in_proj_qkv"), [key_heads * dk, 2 * key_heads * dk], axis=-1)
            z = self.linear(x, "linear_attn.in_proj_z")
            b, a = self.linear(x, "linear_attn.in_proj_b"), self.linear(x, "linear_attn.in_proj_a")
        shaped = [t.reshape(batch, seq, -1, d) for t, d in ((q, dk), (k, dk), (v, dv), (z, dv))]
        return *shaped, b.reshape(batch, seq, heads), a.reshape(batch, seq, heads)

    def delta(self, x):
        key_heads, heads, dk, dv, kernel = delta_sizes(self.config)
        batch, seq, _ = x.shape
        q, k, v, z, b, a = self.delta_inputs(x)
        mixed = np.concatenate([t.reshape(batch, seq, -1) for t in (q, k, v)], axis=-1)
        padded = np.concatenate((np.zeros((batch, kernel - 1, mixed.shape[-1])), mixed), axis=1)
        weight = self.tensors["linear_attn.conv1d.weight"][:, 0]
        mixed = sum(weight[:, j] * padded[:, j:j + seq] for j in range(kernel))
        if not self.no_conv_silu:
            mixed = silu(mixed)
        q, k, v = np.split(mixed, [key_heads * dk, 2 * key_heads * dk], axis=-1)
        q, k = q.reshape(batch, seq, key_heads, dk), k.reshape(batch, seq, key_heads, dk)
        if not self.no_unit:
            q, k = (t / np.sqrt((t * t).sum(-1, keepdims=True) + 1e-6) for t in (q, k))
        q = q * dk**-0.5
        v = v.reshape(batch, seq, heads, dv)
        decay = np.exp(-np.exp(self.tensors["linear_attn.A_log"]) *
                       np.log1p(np.exp(a + self.tensors["linear_attn.dt_bias"])))
        beta = np.ones_like(b) if self.no_beta else sigmoid(b)
        out = np.empty((batch, seq, heads, dv))
        for h in range(heads):
            source = h % key_heads if self.dealt_in_turn else h // (heads // key_heads)
            state = np.zeros((batch, dk, dv))
            for t in range(seq):
                old = state if self.decay_after else state * decay[:, t, h, None, None]
                told = np.einsum("bkv,bk->bv", old, k[:, t, source])
                state = old + np.einsum("bk,bv->bkv", k[:, t, source], beta[:, t, h, None] * (v[:, t, h] - told))
                if self.decay_after:
                    state = state * decay[:, t, h, None, None]
                out[:, t, h] = np.einsum("bkv,bk->bv", state, q[:, t, source])
        weight = self.tensors["linear_attn.norm.weight"] + (1.0 if self.offset_value_norm else 0.0)
        out = rms_norm(out, weight, self.eps) * silu(z)
        return self.linear(out.reshape(batch, seq, -1), "linear_attn.out_proj")

    def lightning(self, x):
        heads, _, dim = head_sizes(self.config)
        batch, seq, _ = x.shape
        qkv = self.linear(x, "self_attn.qkv_proj")
        if not self.no_qkv_silu:
            qkv = silu(qkv)
        if self.grouped_qkv:
            q, k, v = (part.reshape(batch, seq, heads, dim) for part in np.split(qkv, 3, axis=-1))
        else:
            q, k, v = np.split(qkv.reshape(batch, seq, heads, 3 * dim), 3, axis=-1)
        depth = 1 - self.slope_layer / (self.config["num_hidden_layers"] - 1 + 1e-5) + 1e-5
        out = np.empty_like(q)
        for h in range(heads):
            decay = np.exp(-2.0 ** (-8 * (h + 1) / heads) * depth)
            state = np.zeros((batch, dim, dim))
            for t in range(seq):
                new = np.einsum("bk,bv->bkv", k[:, t, h], v[:, t, h])
                state = decay * (state + new) if self.decay_after else decay * state + new
                out[:, t, h] = np.einsum("bkv,bk->bv", state, q[:, t, h])
        out = rms_norm(out.reshape(batch, seq, -1), self.tensors["self_attn.norm.weight"], self.value_eps)
        if not self.no_output_gate:
            out = out * sigmoid(self.linear(x, "self_attn.output_gate"))
        return self.linear(out, "self_attn.out_proj")

    def latent_attention(self, x):
        c = self.config
        heads, nope, rope = c["num_attention_heads"], c["qk_nope_head_dim"], c["qk_rope_head_dim"]
        batch, seq, _ = x.shape
        latent = None
        if c["q_lora_rank"] is None:
            q = self.linear(x, "self_attn.q_proj")
        else:
            latent = rms_norm(self.linear(x, "self_attn.q_a_proj"), self.tensors["self_attn.q_a_layernorm.weight"],
                              self.latent_eps)
            q = self.linear(latent, "self_attn.q_b_proj")
        q = q.reshape(batch, seq, heads, nope + rope)
        seen = self.seen_keys(x, latent)
        latent, key = np.split(self.linear(x, "self_attn.kv_a_proj_with_mqa"), [c["kv_lora_rank"]], axis=-1)
        latent = rms_norm(latent, self.tensors["self_attn.kv_a_layernorm.weight"], self.latent_eps)
        made = self.linear(latent, "self_attn.kv_b_proj").reshape(batch, seq, heads, nope + c["v_head_dim"])
        turn = rotate_neighbours if self.neighbours else rotate
        frequency, scale = rope_frequencies(c), rope_scale(c)
        q_turned, key = turn(q[..., nope:], frequency, scale), turn(key[:, :, None], frequency, scale)[:, :, 0]
        score = (np.einsum("bihd,bjhd->bhij", q[..., :nope], made[..., :nope])
                 + np.einsum("bihd,bjd->bhij", q_turned, key)) * score_scale(c) / np.sqrt(nope + rope)
        score = np.where(seen[:, None], score, -np.inf)
        out = np.einsum("bhij,bjhd->bihd", softmax(score), made[..., nope:])
        return self.linear(out.reshape(batch, seq, -1), "self_attn.o_proj")

    def seen_keys(self, x, latent):
        """[batch, query, key]; where an indexer selects, self.selection_gaps [batch, query]: distance of what is just
        in from what is just out, over the spread of all, nan where everything is selected"""
        c, (batch, seq, _) = self.config, x.shape
        causal = np.broadcast_to(np.tril(np.ones((seq, seq), bool)), (batch, seq, seq))
        if self.family not in SPARSE or self.no_selection:
            return causal
        if shares_selection(c, self.layer):
            given = self.selection.astype(int)
            seen = (given[..., None] == np.arange(seq)).any(2)
            assert (seen & causal == seen).all()
            return seen
        heads, dim, rope = c["index_n_heads"], c["index_head_dim"], c["qk_rope_head_dim"]
        q = self.linear(latent, "self_attn.indexer.wq_b").reshape(batch, seq, heads, dim)
        k = self.linear(x, "self_attn.indexer.wk")
        weight, bias = (self.tensors["self_attn.indexer.k_norm." + end] for end in ("weight", "bias"))
        bias = 0.0 if self.no_index_bias else bias
        k = rms_norm(k, weight, 1e-6) + bias if self.index_rms_norm else layer_norm(k, weight, bias, 1e-6)
        turn = rotate_neighbours if self.index_neighbours else rotate
        frequency, scale = rope_frequencies(c), rope_scale(c)
        q, k = (np.concatenate((turn(t[..., :rope], frequency, scale), t[..., rope:]), axis=-1)
                for t in (q, k[:, :, None]))
        score = np.einsum("bihd,bjd->bihj", q, k[:, :, 0]) / np.sqrt(dim)
        score = score if self.no_relu else np.maximum(score, 0)
        score = np.einsum("bih,bihj->bij", self.linear(x, "self_attn.indexer.weights_proj") / np.sqrt(heads), score)
        count = min(c["index_topk"], seq)
        among = score if self.sees_ahead else np.where(causal, score, -np.inf)
        order = np.argsort(-among, axis=-1, kind="stable")
        seen = np.zeros((batch, seq, seq), bool)
        np.put_along_axis(seen, order[..., :count], True, axis=-1)
        self.selection_gaps = np.full((batch, seq), np.nan)
        for i in range(count, seq):
            ranked = -np.sort(-score[:, i, :i + 1], axis=-1)
            self.selection_gaps[:, i] = (ranked[:, count - 1] - ranked[:, count]) / (ranked[:, 0] - ranked[:, -1])
        return seen & causal | (self.sees_ahead & np.eye(seq, dtype=bool))

    def dense_mlp(self, x, block="mlp"):
        hidden = self.act(self.linear(x, block + ".gate_proj")) * self.linear(x, block + ".up_proj")
        return self.linear(hidden, block + ".down_proj")

    def act(self, x):
        if self.family != "gemma4_text":
            return silu(x)
        if self.plain_gelu:
            return x * sigmoid(1.702 * x)
        return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))

    def moe_names(self):
        """(name of the block, gate, up, down)"""
        if self.family in ("mixtral", "minimax_m2") + STREAM_NORMED:
            return "block_sparse_moe", "w1", "w3", "w2"
        if self.family == "llama4_text":
            return "feed_forward", "gate_proj", "up_proj", "down_proj"
        return "mlp", "gate_proj", "up_proj", "down_proj"

    def router_name(self):
        name = {"hunyuan_v1_moe": ".gate.wg", "gpt_oss": ".router", "llama4_text": ".router"}.get(self.family, ".gate")
        return self.moe_names()[0] + name

    def shared_name(self):
        return self.moe_names()[0] + {"hunyuan_v1_moe": ".shared_mlp", "llama4_text": ".shared_expert"}.get(
            self.family, ".shared_experts")

    def router_logits(self, x):
        if self.family == "gemma4_text":  # x: the stream
            seen = x if self.no_router_norm else rms_norm(x, 1.0, self.eps)
            return seen * self.tensors["router.scale"] * x.shape[-1]**-0.5 @ self.tensors["router.proj.weight"].T
        return self.linear(x, self.router_name()) if self.family == "gpt_oss" else (
            x @ self.tensors[self.router_name() + ".weight"].T)

    def choices(self, logits):
        """(scores, what the choice is made by)"""
        score = sigmoid(logits) if self.family in SIGMOID + ("llama4_text",) else softmax(logits)
        if self.family not in CORRECTED:
            return score, logits
        return score, score + self.tensors[self.correction_name()].reshape(-1)

    def correction_name(self):
        inside = {"ernie4_5_moe": ".moe_statics", "minimax_m2": ""}.get(self.family, ".gate")
        return f"{self.moe_names()[0]}{inside}.e_score_correction_bias"

    def renormalises(self):
        if self.family in ("mixtral", "ernie4_5_moe", "minimax_m2", "hunyuan_v1_moe", "gpt_oss", "gemma4_text") + (
                STREAM_NORMED):
            return True
        if self.family in SIGMOID:
            return self.config.get("norm_topk_prob", True)
        if self.family in ("deepseek_v2", "llama4_text"):
            return False
        if self.family == "qwen3_5_moe_text":
            return True
        return self.config.get("norm_topk_prob", self.family == "qwen3_next")

    def fused_expert(self, e, x):
        """of gpt_oss: all experts in one tensor, the input first; gate and up in turns, clamped"""
        t, limit = self.tensors, self.config.get("swiglu_limit", 7.0)
        both, out = x @ t["mlp.experts.gate_up_proj"][e], t["mlp.experts.down_proj_bias"][e]
        if self.no_expert_biases:
            out = 0.0
        else:
            both = both + t["mlp.experts.gate_up_proj_bias"][e]
        gate, up = np.split(both, 2) if self.halves else (both[0::2], both[1::2])
        gate, up = np.minimum(gate, limit), np.clip(up, -limit, limit)
        return (gate / (1 + np.exp(-1.702 * gate)) * (up + 1)) @ t["mlp.experts.down_proj"][e] + out

    def weighed_expert(self, e, weight, x):
        """of llama4: all experts in one tensor, the input first; gate before up; the token comes times its weight"""
        before, behind = (1.0, weight) if self.weigh_output else (weight, 1.0)
        gate, up = np.split(before * x @ self.tensors["feed_forward.experts.gate_up_proj"][e], 2)
        return behind * (silu(gate) * up) @ self.tensors["feed_forward.experts.down_proj"][e]

    def moe(self, x):
        block, gate, up, down = self.moe_names()
        tokens = x.reshape(-1, x.shape[-1])
        scores, choices = self.choices(self.router_logits(tokens))
        scaling = self.config["routed_scaling_factor"] if self.family in DENSE_FIRST else 1.0
        out = np.zeros_like(tokens)
        for t, row in enumerate(scores):
            chosen, _ = choose(self.config, choices[t])
            weight = (choices[t] if self.bias_in_weights else row)[chosen]
            weight = weight / (weight.sum() if self.renormalises() else 1.0)
            weight = weight * scaling ** (2 if self.scaled_twice else 1)
            for e, w in zip(chosen, weight):
                if self.family == "llama4_text":
                    out[t] += self.weighed_expert(e, w, tokens[t])
                    continue
                if self.family == "gpt_oss":
                    out[t] += w * self.fused_expert(e, tokens[t])
                    continue

                def matrix(which):
                    return self.tensors[f"{block}.experts.{e}.{which}.weight"]
                out[t] += w * (matrix(down) @ (silu(matrix(gate) @ tokens[t]) * (matrix(up) @ tokens[t])))
        out = out.reshape(x.shape)
        if self.family in HYBRID:
            gate = 1.0 if self.no_shared_gate else sigmoid(self.linear(x, block + ".shared_expert_gate"))
            return out + gate * self.dense_mlp(x, block + ".shared_expert")
        return out + self.dense_mlp(x, self.shared_name()) if self.shared_experts() else out

    def gemma_experts(self, stream, normed):
        tokens, seen = normed.reshape(-1, normed.shape[-1]), stream.reshape(-1, stream.shape[-1])
        scores, choices = self.choices(self.router_logits(seen))
        out = np.zeros_like(tokens)
        for t, row in enumerate(scores):
            chosen, _ = choose(self.config, choices[t])
            weight = row[chosen] / row[chosen].sum()
            if not self.no_expert_scale:
                weight = weight * self.tensors["router.per_expert_scale"][chosen]
            for e, w in zip(chosen, weight):
                gate, up = np.split(self.tensors["experts.gate_up_proj"][e] @ tokens[t], 2)
                out[t] += w * (self.tensors["experts.down_proj"][e] @ (self.act(gate) * up))
        return out.reshape(normed.shape)

    def gemma(self, x, branch, stream):
        out = self.dense_mlp(self.norm(stream, "pre_feedforward_layernorm"))
        if is_moe(self.config, self.layer):
            experts = self.gemma_experts(stream, self.norm(stream, "pre_feedforward_layernorm_2"))
            out = self.norm(out, "post_feedforward_layernorm_1") + self.norm(experts, "post_feedforward_layernorm_2")
        out = stream + self.norm(out, "post_feedforward_layernorm")
        return out if self.no_layer_scalar else out * self.tensors["layer_scalar"]

    def shared_experts(self):
        """how many"""
        if self.family == "ernie4_5_moe":
            return self.config.get("moe_num_shared_experts", 2)
        if self.family in ("hunyuan_v1_moe", "llama4_text"):
            return 1
        return self.config["n_shared_experts"] if self.family in DENSE_FIRST else 0

    def after_attention(self, x):
        """(attention's output, the second norm of the residual stream after it)"""
        attend = self.latent_attention if self.family in LATENT else self.delta if self.linear_attn else self.attention
        if self.family in STREAM_NORMED:
            alpha, beta = stream_factors(self.config, self.layer)[:2]
            normed = self.norm(x, "input_layernorm")
            branch = self.lightning(normed) if self.linear_attn else self.attention(normed)
            stream = alpha * (x if self.plain_stream else normed) + beta * branch
            return branch, self.norm(stream, "post_attention_layernorm")
        branch = attend(self.norm(x, "input_layernorm"))
        if self.family == "gemma4_text":  # normed again, and the stream for the second norm of it
            branch = self.norm(branch, "post_attention_layernorm")
            return branch, x + branch
        return branch, self.norm(x + branch, "post_attention_layernorm")

    def __call__(self, x):
        x = np.asarray(x, np.float64)
        branch, normed = self.after_attention(x)
        if self.family == "gemma4_text":
            return self.gemma(x, branch, normed)
        if self.family in STREAM_NORMED:
            alpha, beta = stream_factors(self.config, self.layer)[2:]
            return alpha * normed + beta * self.moe(normed)
        x = x + branch
        return x + (self.moe(normed) if is_moe(self.config, self.layer) else
                    self.dense_mlp(normed, self.moe_names()[0]))
