// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/blocks/grouped_query_attention.h"

#include <fmt/format.h>

#include <cmath>

#include "harness/plan/family.h"
#include "kernels/core/error.h"

namespace layercost {

namespace {

// Of the key heads those that a rank's query heads read: its part, or of fewer than ranks one, which others have, too.
LayerBuilder::Part kv_part(const LayerBuilder& b, std::int64_t kv_heads) {
  const std::int64_t ranks = b.model().ranks;
  if (kv_heads % ranks == 0 || ranks % kv_heads != 0) return b.part_of(kv_heads, "key-value heads");
  return {b.model().rank / (ranks / kv_heads), 1};
}

}  // namespace

std::string grouped_query_attention(LayerBuilder& b, const GroupedQueryAttention& given, const std::string& x) {
  const LayerBuilder::Part heads = b.part_of(given.heads, "heads of attention"), kv_heads = kv_part(b, given.kv_heads);
  GroupedQueryAttention a = given;
  a.heads = heads.count, a.kv_heads = kv_heads.count;
  if (a.qk_norm == "whole" && b.model().ranks > 1)
    throw BadCase("a norm over all heads of q and of k needs an exchange before attention, which is not supported yet");
  b.partial_sum();
  const StepShape& s = b.shape();
  const std::int64_t t = s.tokens(), d = a.head_dim, q = a.heads * d, kv = a.kv_heads * d, h = b.model().hidden;
  const std::int64_t width = q + (a.v_from_k ? 1 : 2) * kv;
  const std::string in = "self_attn.";

  const auto shape = [&](std::int64_t rows, bool matrix) { return matrix ? Shape{rows, h} : Shape{rows}; };
  // Rows of q_proj, or, with a gate, every other head of them: q's (0) or the gate's (1).
  const auto of_q = [&](const char* end, bool matrix, std::int64_t part) {
    const std::int64_t all = given.heads * d;
    if (!a.gate) return LayerBuilder::Sources{b.rows_of(in + "q_proj" + end, shape(all, matrix), {heads.first * d, q})};
    LayerBuilder::Sources out;
    for (std::int64_t i = heads.first; i < heads.first + heads.count; ++i)
      out.push_back({in + "q_proj" + end, shape(2 * all, matrix), (2 * i + part) * d, d});
    return out;
  };
  const auto of_kv = [&](const char* which, bool matrix) {
    return b.rows_of(in + which + (matrix ? ".weight" : ".bias"), shape(given.kv_heads * d, matrix),
                     {kv_heads.first * d, kv});
  };
  LinearOptions qkv_options;
  if (a.qkv_bias) {
    LayerBuilder::Sources sources = of_q(".bias", false, 0);
    sources.push_back(of_kv("k_proj", false));
    if (!a.v_from_k) sources.push_back(of_kv("v_proj", false));
    qkv_options.bias = b.bias("qkv_bias", std::move(sources));
  }
  LayerBuilder::Sources qkv_sources = of_q(".weight", true, 0);
  qkv_sources.push_back(of_kv("k_proj", true));
  if (!a.v_from_k) qkv_sources.push_back(of_kv("v_proj", true));
  const std::string qkv = b.activation("qkv", width);
  b.fused_linear("qkv", x, "qkv_w", std::move(qkv_sources), qkv, h, qkv_options);

  b.plan().rotary = a.rotary;
  const std::string rotated = b.buffer("q", BufferRole::activation, s.activation_type, {t, a.heads, d});
  const Shape cache = {s.batch, a.kv_heads, s.capacity, d}, table = {s.capacity, a.rotary.dims / 2};
  const std::string k_cache = b.buffer("k_cache", BufferRole::cache, s.kv_type, cache);
  const std::string v_cache = b.buffer("v_cache", BufferRole::cache, s.kv_type, cache);
  const std::int64_t kept = a.window > 0 ? a.window : a.chunk;
  if (kept > 0)
    for (BufferSpec& buffer : b.plan().buffers)
      if (buffer.role == BufferRole::cache) buffer.window = kept;
  OpCase rope("rope");
  rope.set("batch", s.batch).set("q_len", s.q_len).set("kv_len", s.kv_len).set("capacity", s.capacity);
  rope.set("heads", a.heads).set("kv_heads", a.kv_heads).set("head_dim", d);
  if (a.rotary.dims != d) rope.set("rotary_dims", a.rotary.dims);
  if (a.rotary.interleaved) rope.set("interleaved", 1);
  const bool normed = !a.qk_norm.empty(), whole = a.qk_norm == "whole", bare = a.qk_norm == "bare";
  if (normed) rope.set("qk_norm", a.qk_norm).set("eps", b.model().rms_norm_eps);
  if (a.v_norm) rope.set("v_norm", 1);
  if (a.v_from_k) rope.set("v_from_k", 1);
  if (!a.temperature.is_one()) rope.set("q_scale", 1);
  b.types(rope);
  rope.set("kv_type", s.kv_type);
  std::map<std::string, std::string> bind = {{"qkv", qkv},
                                             {"cos", b.buffer("cos", BufferRole::rotary_cos, DType::f32, table)},
                                             {"sin", b.buffer("sin", BufferRole::rotary_sin, DType::f32, table)},
                                             {"q", rotated},
                                             {"k_cache", k_cache},
                                             {"v_cache", v_cache}};
  if (!a.temperature.is_one()) {
    b.plan().temperature = a.temperature;
    bind["q_scale"] = b.buffer("q_scale", BufferRole::query_scale, DType::f32, {s.capacity});
  }
  if (normed && !bare) {
    bind["q_norm"] = b.norm_weight("q_norm", whole ? q : d, in + a.q_norm + ".weight");
    bind["k_norm"] = b.norm_weight("k_norm", whole ? kv : d, in + a.k_norm + ".weight");
    rope.set("w_type", b.format_of("q_norm").name);
  }
  b.op("rope", std::move(rope), std::move(bind));

  OpCase attention("attention");
  attention.set("batch", s.batch).set("q_len", s.q_len).set("kv_len", s.kv_len).set("capacity", s.capacity);
  attention.set("heads", a.heads).set("kv_heads", a.kv_heads).set("qk_dim", d).set("v_dim", d);
  if (a.window > 0) attention.set("window", a.window);
  // A sequence within one chunk is told nothing of it: more variants know that.
  if (a.chunk > 0 && s.kv_len > a.chunk) attention.set("chunk", a.chunk);
  if (a.sinks) attention.set("sinks", 1);
  attention.set("scale", a.scale.value_or(1.0 / std::sqrt(static_cast<double>(d))));
  attention.set("x_type", s.activation_type).set("kv_type", s.kv_type).set("y_type", s.activation_type);
  std::string attended = b.activation("attended", q);
  bind = {{"q", rotated}, {"k_cache", k_cache}, {"v_cache", v_cache}, {"y", attended}};
  if (a.sinks) {
    bind["sinks"] = b.f32_vector("sinks", a.heads, in + "sinks");
    b.plan().weights.back().sources = {b.rows_of(in + "sinks", {given.heads}, heads)};
  }
  b.op("attention", std::move(attention), std::move(bind));

  if (a.gate) {
    LinearOptions gate_options;
    if (a.qkv_bias) gate_options.bias = b.bias("gate_bias", of_q(".bias", false, 1));
    const std::string gate = b.activation("gate", q), gated = b.activation("gated attention", q);
    b.linear("gate", x, b.matrix("gate_w", {q, h}, of_q(".weight", true, 1)), gate, q, h, gate_options);
    b.sigmoid_gate("gated attention", attended, gate, gated, q, q);
    attended = gated;
  }

  LinearOptions o_options;
  if (a.o_bias && b.is_first_rank()) o_options.bias = b.bias("o_bias", {{in + "o_proj.bias", {h}}});
  const std::string projected = b.activation("projected", h);
  const auto o_columns = b.columns_of(in + "o_proj.weight", {h, given.heads * d}, {heads.first * d, q});
  b.linear("o", attended, b.matrix("o_w", {h, q}, {o_columns}), projected, h, q, o_options);
  return projected;
}

GroupedQueryAttention read_grouped_query_attention(const JsonNode& config, const HeadDefaults& defaults, ModelSpec& m) {
  GroupedQueryAttention a;
  a.heads = config.get_int("num_attention_heads", 1, kMaxHeads);
  if (const auto given = config.find_int("num_key_value_heads", 1, kMaxHeads)) {
    a.kv_heads = *given;
  } else if (config.has("num_key_value_heads") || defaults.kv_heads == 0) {
    a.kv_heads = a.heads;
  } else {
    a.kv_heads = defaults.kv_heads;
    m.notes.push_back(fmt::format("num_key_value_heads is absent: {} as transformers takes it", a.kv_heads));
  }
  if (a.heads % a.kv_heads != 0) {
    config.fail(
        "num_key_value_heads",
        fmt::format("num_attention_heads ({}) is not a multiple of num_key_value_heads ({})", a.heads, a.kv_heads));
  }

  if (const auto given = config.find_int("head_dim", 2, kMaxHeadDim)) {
    a.head_dim = *given;
  } else if (!config.has("head_dim") && defaults.head_dim != 0) {
    a.head_dim = defaults.head_dim;
    m.notes.push_back(fmt::format("head_dim is absent: {} as transformers takes it", a.head_dim));
  } else {
    if (m.hidden % a.heads != 0) {
      config.fail("hidden_size", fmt::format("head_dim is absent and hidden_size ({}) is not a multiple of "
                                             "num_attention_heads ({})",
                                             m.hidden, a.heads));
    }
    a.head_dim = m.hidden / a.heads;
    if (a.head_dim < 2 || a.head_dim > kMaxHeadDim) {
      config.fail("hidden_size", fmt::format("head_dim is absent and hidden_size / num_attention_heads is {}; expected "
                                             "2..{}",
                                             a.head_dim, kMaxHeadDim));
    }
  }
  if (a.head_dim % 2 != 0) {
    config.fail("head_dim", fmt::format("expected an even number (rope turns pairs), got {}", a.head_dim));
  }
  a.rotary = read_rotary(config, a.head_dim,
                         {.theta = defaults.rope_theta, .part = defaults.rotary_part, .tempered = defaults.tempered},
                         m.max_position, m.notes);
  if (defaults.tempered) {
    const auto old = config.find("rope_scaling");
    const JsonNode rope = old && !old->keys().empty() ? *old : config.at("rope_parameters");
    a.temperature.beta = rope.get_number("llama_4_scaling_beta", 0, 1e3);
    a.temperature.every = rope.get_int("original_max_position_embeddings", 1, kMaxPositions);
  }
  return a;
}

void read_rotary_dim(const JsonNode& config, GroupedQueryAttention& a) {
  const auto dims = config.find_int("rotary_dim", 2, a.head_dim);
  if (!dims) return;
  if (*dims % 2 != 0)
    config.fail("rotary_dim", fmt::format("expected an even number (rope turns pairs), got {}", *dims));
  bool part = config.find("partial_rotary_factor").has_value();
  for (const char* place : {"rope_scaling", "rope_parameters"})
    if (const auto rope = config.find(place)) part |= rope->find("partial_rotary_factor").has_value();
  if (!part) a.rotary.dims = *dims;
  else if (a.rotary.dims != *dims)
    config.fail("rotary_dim", fmt::format("{} contradicts partial_rotary_factor ({} of head_dim {})", *dims,
                                          a.rotary.dims, a.head_dim));
}

}  // namespace layercost
