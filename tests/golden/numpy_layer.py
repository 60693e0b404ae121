# SPDX-License-Identifier: Apache-2.0
"""One decoder layer of the families below in plain float64 numpy.

Written from the description of the families, not from anybody's code, and sharing nothing with
the program under test: it is the second opinion on the stored outputs, and the instrument that
shows which errors they would notice. Slow on purpose; meant for tens of tokens.
"""

import numpy as np

LATENT = ("deepseek_v2", "deepseek_v3")  # latent attention
ALL_SPARSE = ("mixtral", "olmoe", "minimax_m2", "hunyuan_v1_moe", "gpt_oss")  # experts in every layer
FAMILIES = ("llama", "qwen2", "qwen3", "qwen3_moe", "glm4_moe", "ernie4_5_moe") + ALL_SPARSE + LATENT
DENSE_FIRST = ("glm4_moe",) + LATENT  # dense layers, then experts beside shared ones, whose part is scaled
SIGMOID = ("deepseek_v3", "glm4_moe", "minimax_m2")  # scores, else softmax
CORRECTED = ("ernie4_5_moe",) + SIGMOID  # a bias for the choice
LATENT_EPS = 1e-6  # of the norms of latents, whatever rms_norm_eps says

# What a missing key means differs by family; these are the values of transformers 5.23.
DEFAULT_KV_HEADS = {"qwen2": 32, "qwen3": 32, "mixtral": 8, "qwen3_moe": 4, "glm4_moe": 8,
                    "ernie4_5_moe": 4, "minimax_m2": 8, "gpt_oss": 8}  # llama, olmoe, hunyuan: heads
DEFAULT_HEAD_DIM = {"qwen3": 128, "minimax_m2": 128, "gpt_oss": 64}  # the others: hidden / heads
DEFAULT_EPS = {"mixtral": 1e-5, "ernie4_5_moe": 1e-5, "olmoe": 1e-5, "hunyuan_v1_moe": 1e-5,
               "gpt_oss": 1e-5}  # the others: 1e-6
DEFAULT_THETA = {"mixtral": 1e6, "ernie4_5_moe": 5e5, "minimax_m2": 5e6, "gpt_oss": 1.5e5}  # the others: 1e4
DEFAULT_PART = {"glm4_moe": 0.5}  # of a head that is rotated; the others: all of it


def head_sizes(config):
    """(heads, kv_heads, head_dim); of latent attention the rotated part of a head"""
    if config["model_type"] in LATENT:
        return config["num_attention_heads"], config["num_attention_heads"], config["qk_rope_head_dim"]
    family, heads = config["model_type"], config["num_attention_heads"]
    kv_heads = config.get("num_key_value_heads", DEFAULT_KV_HEADS.get(family, heads)) or heads
    head_dim = config.get("head_dim") or DEFAULT_HEAD_DIM.get(family) or config["hidden_size"] // heads
    return heads, kv_heads, head_dim


def qk_norm_of(config):
    """"" where there is none, "head": of each head, "whole": of all heads together"""
    if config["model_type"] in ("qwen3", "qwen3_moe", "hunyuan_v1_moe"):
        return "head"
    if config["model_type"] in ("olmoe", "minimax_m2"):
        return "whole"
    return "head" if config.get("use_qk_norm") else ""


def rotated_dims(config):
    """of a head, the first ones"""
    rope = config.get("rope_parameters") or {}
    part = rope.get("partial_rotary_factor", config.get("partial_rotary_factor"))
    if part is None and config.get("rotary_dim"):
        return config["rotary_dim"]
    part = DEFAULT_PART.get(config["model_type"], 1.0) if part is None else part
    return int(head_sizes(config)[2] * part)


def window_of(config, layer):
    """The number of keys a query sees, itself included; None where it sees all before it."""
    family = config["model_type"]
    if family in DENSE_FIRST + ("ernie4_5_moe", "olmoe", "minimax_m2", "hunyuan_v1_moe"):
        return None
    if family == "llama":
        return None  # the key has no meaning there, even when present
    if family == "mixtral":
        return config.get("sliding_window")  # every layer, no switch
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


def is_moe(config, layer):
    if config["model_type"] in ALL_SPARSE:
        return True
    if config["model_type"] in DENSE_FIRST:
        return layer >= config["first_k_dense_replace"]
    if config["model_type"] == "ernie4_5_moe":
        first, last = config.get("moe_layer_start_index", 1), config.get("moe_layer_end_index", -1)
        last = config["num_hidden_layers"] - 1 if last == -1 else last
        return first <= layer <= last and (layer + 1) % config.get("moe_layer_interval", 1) == 0
    if config["model_type"] != "qwen3_moe":
        return False
    step = config.get("decoder_sparse_step", 1)
    return layer not in (config.get("mlp_only_layers") or []) and (layer + 1) % step == 0


def rope_settings(config):
    """Old style (rope_theta beside rope_scaling) and new style (rope_parameters) as one dict."""
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


def rope_frequencies(config):
    rope, dim = rope_settings(config), rotated_dims(config)
    frequency = float(rope["rope_theta"]) ** -(np.arange(0, dim, 2) / dim)
    if rope["rope_type"] == "dynamic":  # Hunyuan's: another base, whatever the length
        stretched = rope["rope_theta"] * rope["alpha"] ** (dim / (dim - 2))
        return float(stretched) ** -(np.arange(0, dim, 2) / dim)
    if rope["rope_type"] == "default":
        return frequency
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
    return {"ernie4_5_moe": "moe_k", "hunyuan_v1_moe": "moe_topk"}.get(config["model_type"], "num_experts_per_tok")


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
        self.tensors = {k[len(prefix):]: np.asarray(v, np.float64) for k, v in tensors.items() if k.startswith(prefix)}
        self.eps = config.get("rms_norm_eps", DEFAULT_EPS.get(self.family, 1e-6))
        self.window = window_of(config, layer)
        self.neighbours = self.family == "ernie4_5_moe" or (
            self.family in LATENT and config.get("rope_interleave", True) is not False)
        self.latent_eps = LATENT_EPS
        self.qk_norm, self.norm_after_rope = qk_norm_of(config), self.family == "hunyuan_v1_moe"
        self.rotated_dims = rotated_dims(config)
        self.sinks = self.family == "gpt_oss"
        self.bias_in_weights = self.scaled_twice = self.halves = self.no_expert_biases = False  # errors to be seen

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
        if name.startswith("self_attn."):
            if self.family == "qwen2":
                return not name.endswith("o_proj")  # always on q, k, v; no key turns it off
            return self.family != "mixtral" and self.config.get("attention_bias", False)
        return self.family == "llama" and self.config.get("mlp_bias", False)

    def linear(self, x, name):
        y = x @ self.tensors[name + ".weight"].T
        return y + self.tensors[name + ".bias"] if self.biased(name) else y

    def norm_names(self):
        """of q and k"""
        hunyuan = self.family == "hunyuan_v1_moe"
        return ("self_attn.query_layernorm", "self_attn.key_layernorm") if hunyuan else (
            "self_attn.q_norm", "self_attn.k_norm")

    def normed(self, q, k):
        def norm(x, name):
            weight = self.tensors[name + ".weight"]
            if self.qk_norm == "whole":
                return rms_norm(x.reshape(*x.shape[:2], -1), weight, self.eps).reshape(x.shape)
            return rms_norm(x, weight if weight.size == x.shape[-1] else weight.reshape(x.shape[2:]), self.eps)
        if not self.qk_norm:
            return q, k
        return [norm(x, name) for x, name in zip((q, k), self.norm_names())]

    def turned(self, x):
        turn = rotate_neighbours if self.neighbours else rotate
        dims = self.rotated_dims
        first = turn(x[..., :dims], rope_frequencies(self.config)[:dims // 2], rope_scale(self.config))
        return np.concatenate((first, x[..., dims:]), axis=-1)

    def attention(self, x):
        heads, kv_heads, dim = head_sizes(self.config)
        batch, seq, _ = x.shape
        q = self.linear(x, "self_attn.q_proj").reshape(batch, seq, heads, dim)
        k = self.linear(x, "self_attn.k_proj").reshape(batch, seq, kv_heads, dim)
        v = self.linear(x, "self_attn.v_proj").reshape(batch, seq, kv_heads, dim)
        if not self.norm_after_rope:
            q, k = self.normed(q, k)
        q, k = self.turned(q), self.turned(k)
        if self.norm_after_rope:
            q, k = self.normed(q, k)
        age = np.arange(seq)[:, None] - np.arange(seq)[None, :]
        visible = (age >= 0) & (age < (self.window or seq))
        out = np.empty_like(q)
        for head in range(heads):
            source = head // (heads // kv_heads)
            score = np.einsum("bid,bjd->bij", q[:, :, head], k[:, :, source]) * dim**-0.5
            score = np.where(visible, score, -np.inf)
            if self.sinks:  # one more score, whose weight nobody gets
                sink = np.broadcast_to(self.tensors["self_attn.sinks"][head], score.shape[:2] + (1,))
                score = np.concatenate((score, sink), axis=-1)
            out[:, :, head] = np.einsum("bij,bjd->bid", softmax(score)[:, :, :seq], v[:, :, source])
        return self.linear(out.reshape(batch, seq, heads * dim), "self_attn.o_proj")

    def latent_attention(self, x):
        c = self.config
        heads, nope, rope = c["num_attention_heads"], c["qk_nope_head_dim"], c["qk_rope_head_dim"]
        batch, seq, _ = x.shape
        if c["q_lora_rank"] is None:
            q = self.linear(x, "self_attn.q_proj")
        else:
            latent = rms_norm(self.linear(x, "self_attn.q_a_proj"), self.tensors["self_attn.q_a_layernorm.weight"],
                              self.latent_eps)
            q = self.linear(latent, "self_attn.q_b_proj")
        q = q.reshape(batch, seq, heads, nope + rope)
        latent, key = np.split(self.linear(x, "self_attn.kv_a_proj_with_mqa"), [c["kv_lora_rank"]], axis=-1)
        latent = rms_norm(latent, self.tensors["self_attn.kv_a_layernorm.weight"], self.latent_eps)
        made = self.linear(latent, "self_attn.kv_b_proj").reshape(batch, seq, heads, nope + c["v_head_dim"])
        turn = rotate_neighbours if self.neighbours else rotate
        frequency, scale = rope_frequencies(c), rope_scale(c)
        q_turned, key = turn(q[..., nope:], frequency, scale), turn(key[:, :, None], frequency, scale)[:, :, 0]
        score = (np.einsum("bihd,bjhd->bhij", q[..., :nope], made[..., :nope])
                 + np.einsum("bihd,bjd->bhij", q_turned, key)) * score_scale(c) / np.sqrt(nope + rope)
        score = np.where(np.tril(np.ones((seq, seq), bool)), score, -np.inf)
        out = np.einsum("bhij,bjhd->bihd", softmax(score), made[..., nope:])
        return self.linear(out.reshape(batch, seq, -1), "self_attn.o_proj")

    def dense_mlp(self, x, block="mlp"):
        hidden = silu(self.linear(x, block + ".gate_proj")) * self.linear(x, block + ".up_proj")
        return self.linear(hidden, block + ".down_proj")

    def moe_names(self):
        """(name of the block, gate, up, down)"""
        if self.family in ("mixtral", "minimax_m2"):
            return "block_sparse_moe", "w1", "w3", "w2"
        return "mlp", "gate_proj", "up_proj", "down_proj"

    def router_name(self):
        name = {"hunyuan_v1_moe": ".gate.wg", "gpt_oss": ".router"}.get(self.family, ".gate")
        return self.moe_names()[0] + name

    def shared_name(self):
        return self.moe_names()[0] + (".shared_mlp" if self.family == "hunyuan_v1_moe" else ".shared_experts")

    def router_logits(self, x):
        return self.linear(x, self.router_name()) if self.family == "gpt_oss" else (
            x @ self.tensors[self.router_name() + ".weight"].T)

    def choices(self, logits):
        """(scores, what the choice is made by)"""
        score = 1 / (1 + np.exp(-logits)) if self.family in SIGMOID else softmax(logits)
        if self.family not in CORRECTED:
            return score, logits
        return score, score + self.tensors[self.correction_name()].reshape(-1)

    def correction_name(self):
        inside = {"ernie4_5_moe": ".moe_statics", "minimax_m2": ""}.get(self.family, ".gate")
        return f"{self.moe_names()[0]}{inside}.e_score_correction_bias"

    def renormalises(self):
        if self.family in ("mixtral", "ernie4_5_moe", "minimax_m2", "hunyuan_v1_moe", "gpt_oss"):
            return True
        if self.family in SIGMOID:
            return self.config.get("norm_topk_prob", True)
        if self.family == "deepseek_v2":
            return False
        return self.config.get("norm_topk_prob", False)

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
                if self.family == "gpt_oss":
                    out[t] += w * self.fused_expert(e, tokens[t])
                    continue

                def matrix(which):
                    return self.tensors[f"{block}.experts.{e}.{which}.weight"]
                out[t] += w * (matrix(down) @ (silu(matrix(gate) @ tokens[t]) * (matrix(up) @ tokens[t])))
        out = out.reshape(x.shape)
        return out + self.dense_mlp(x, self.shared_name()) if self.shared_experts() else out

    def shared_experts(self):
        """how many"""
        if self.family == "ernie4_5_moe":
            return self.config.get("moe_num_shared_experts", 2)
        if self.family == "hunyuan_v1_moe":
            return 1
        return self.config["n_shared_experts"] if self.family in DENSE_FIRST else 0

    def after_attention(self, x):
        """(attention's output, the second norm of the residual stream after it)"""
        attend = self.latent_attention if self.family in LATENT else self.attention
        branch = attend(rms_norm(x, self.tensors["input_layernorm.weight"], self.eps))
        return branch, rms_norm(x + branch, self.tensors["post_attention_layernorm.weight"], self.eps)

    def __call__(self, x):
        x = np.asarray(x, np.float64)
        branch, normed = self.after_attention(x)
        x = x + branch
        return x + (self.moe(normed) if is_moe(self.config, self.layer) else self.dense_mlp(normed))
