// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/blocks/latent_attention.h"

#include <fmt/format.h>

#include <cmath>

#include "harness/plan/family.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

const std::string kIn = "self_attn.";

// The queries of a's heads, [tokens, heads * qk_dim], which are `part` of `all`; the normed latent that they are made
// of, if any.
struct Queries {
  std::string q, latent;
};
Queries queries(LayerBuilder& b, const LatentAttention& a, const std::string& x, std::int64_t all,
                const LayerBuilder::Part& part) {
  const std::int64_t h = b.model().hidden, n = a.heads * a.qk_dim(), r = a.q_rank;
  const auto rows = [&](const char* tensor, std::int64_t k) {
    return LayerBuilder::Sources{b.rows_of(kIn + tensor, {all * a.qk_dim(), k}, {part.first * a.qk_dim(), n})};
  };
  const std::string q = b.activation("q", n);
  if (r == 0) {
    b.linear("q", x, b.matrix("q_w", {n, h}, rows("q_proj.weight", h)), q, n, h);
    return {q, {}};
  }
  LinearOptions options;
  if (a.bias) options.bias = b.bias("q_a_bias", {{kIn + "q_a_proj.bias", {r}}});
  const std::string latent = b.activation("q_latent", r), normed = b.activation("q_normed", r);
  b.linear("q_a", x, b.matrix("q_a_w", {r, h}, {{kIn + "q_a_proj.weight", {r, h}}}), latent, r, h, options);
  b.rms_norm("q norm", latent, b.norm_weight("q_a_norm", r, kIn + "q_a_layernorm.weight"), normed, r, {}, {},
             a.norm_eps);
  b.linear("q_b", normed, b.matrix("q_b_w", {n, r}, rows("q_b_proj.weight", r)), q, n, r);
  return {q, normed};
}

// One head's part of kv_b_proj: its first nope_dim rows make keys, the others values.
OpCase head_case(const LayerBuilder& b, const LatentAttention& a, std::int64_t n, std::int64_t k) {
  OpCase c("head_linear");
  c.set("tokens", b.tokens()).set("heads", a.heads).set("n", n).set("k", k).set("rows", a.nope_dim + a.v_dim);
  return c;
}
void head_types(const LayerBuilder& b, OpCase& c) {
  b.types(c);
  c.set("w_type", b.shape().weights.matrices->name);
}

}  // namespace

std::string latent_attention(LayerBuilder& b, const LatentAttention& whole, const std::string& x) {
  const LayerBuilder::Part part = b.part_of(whole.heads, "heads of attention");
  LatentAttention a = whole;
  a.heads = part.count;
  b.partial_sum();
  const StepShape& s = b.shape();
  const std::int64_t t = s.tokens(), h = b.model().hidden, entry = a.latent_dim + a.rope_dim;
  const std::int64_t values = a.heads * a.v_dim, expanded_rows = a.heads * (a.nope_dim + a.v_dim);
  const bool cut = a.indexer.top_k > 0 && s.kv_len > a.indexer.top_k;
  const bool expand = s.q_len > 1 && s.q_len == s.kv_len && !cut;

  const auto [q, q_latent] = queries(b, a, x, whole.heads, part);
  const std::string kv = b.activation("kv", entry);
  LinearOptions kv_options;
  if (a.bias) kv_options.bias = b.bias("kv_a_bias", {{kIn + "kv_a_proj_with_mqa.bias", {entry}}});
  b.linear("kv_a", x, b.matrix("kv_a_w", {entry, h}, {{kIn + "kv_a_proj_with_mqa.weight", {entry, h}}}), kv, entry, h,
           kv_options);

  b.plan().rotary = a.rotary;
  const std::string rotated =
      b.buffer("q_rotated", BufferRole::activation, s.activation_type, {t, a.heads, a.qk_dim()});
  if (s.kv_type == DType::fp8_e4m3) throw BadCase("a cache of latents in fp8_e4m3 is not supported yet; expected bf16");
  const std::string cache = b.buffer("latent_cache", BufferRole::cache, s.kv_type, {s.batch, 1, s.capacity, entry});
  const Shape table = {s.capacity, a.rope_dim / 2};
  OpCase rope("latent_rope");
  rope.set("batch", s.batch).set("q_len", s.q_len).set("kv_len", s.kv_len).set("capacity", s.capacity);
  rope.set("heads", a.heads).set("nope_dim", a.nope_dim).set("rope_dim", a.rope_dim).set("latent_dim", a.latent_dim);
  rope.set("eps", a.norm_eps);
  if (a.rotary.interleaved) rope.set("interleaved", 1);
  if (expand) rope.set("latents", 1);
  b.types(rope);
  rope.set("kv_type", s.kv_type);
  std::map<std::string, std::string> bind = {
      {"q", q},
      {"kv", kv},
      {"norm", b.norm_weight("kv_a_norm", a.latent_dim, kIn + "kv_a_layernorm.weight")},
      {"cos", b.buffer("cos", BufferRole::rotary_cos, DType::f32, table)},
      {"sin", b.buffer("sin", BufferRole::rotary_sin, DType::f32, table)},
      {"rotated", rotated},
      {"latent_cache", cache}};
  if (expand) bind["latents"] = b.activation("latents", a.latent_dim);
  b.op("latent rope", std::move(rope), bind);
  std::string selection;
  if (a.indexer.top_k > 0)
    selection = lightning_indexer(b, a.indexer, {x, q_latent, a.q_rank, a.rope_dim, bind.at("cos"), bind.at("sin")});

  // One matrix in both forms, whole as it is stored.
  const std::int64_t rows_of_head = a.nope_dim + a.v_dim;
  const std::string kv_b = b.matrix("kv_b_w", {expanded_rows, a.latent_dim},
                                    {b.rows_of(kIn + "kv_b_proj.weight", {whole.heads * rows_of_head, a.latent_dim},
                                               {part.first * rows_of_head, expanded_rows})});
  const std::string attended = b.activation("attended", values);
  OpCase attention("attention");
  attention.set("batch", s.batch).set("q_len", s.q_len).set("kv_len", s.kv_len);
  if (expand) {
    const std::string expanded = b.activation("expanded", expanded_rows);
    b.linear("kv_b", bind["latents"], kv_b, expanded, expanded_rows, a.latent_dim);
    const std::string k =
        b.buffer("k", BufferRole::activation, s.activation_type, {s.batch, a.heads, s.kv_len, a.qk_dim()});
    const std::string v =
        b.buffer("v", BufferRole::activation, s.activation_type, {s.batch, a.heads, s.kv_len, a.v_dim});
    OpCase c("latent_expand");
    c.set("batch", s.batch).set("kv_len", s.kv_len).set("capacity", s.capacity).set("heads", a.heads);
    c.set("nope_dim", a.nope_dim).set("rope_dim", a.rope_dim).set("v_dim", a.v_dim).set("latent_dim", a.latent_dim);
    c.set("x_type", s.activation_type).set("kv_type", s.kv_type).set("y_type", s.activation_type);
    b.op("expand", std::move(c), {{"expanded", expanded}, {"cache", cache}, {"k", k}, {"v", v}});
    attention.set("capacity", s.kv_len).set("heads", a.heads).set("kv_heads", a.heads);
    attention.set("qk_dim", a.qk_dim()).set("v_dim", a.v_dim).set("uncached", 1).set("scale", a.scale);
    attention.set("x_type", s.activation_type).set("kv_type", s.activation_type).set("y_type", s.activation_type);
    b.op("attention", std::move(attention), {{"q", rotated}, {"k_cache", k}, {"v_cache", v}, {"y", attended}});
  } else {
    const std::string latent_q = b.activation("latent_q", a.heads * entry);
    const std::string latent_y = b.activation("latent_y", a.heads * a.latent_dim);
    OpCase keys = head_case(b, a, a.latent_dim, a.nope_dim), of_values = head_case(b, a, a.v_dim, a.latent_dim);
    keys.set("transposed", 1).set("tail", a.rope_dim);
    head_types(b, keys);
    b.op("absorb k", std::move(keys), {{"x", rotated}, {"w", kv_b}, {"y", latent_q}});
    attention.set("capacity", s.capacity).set("heads", a.heads).set("kv_heads", 1);
    attention.set("qk_dim", entry).set("v_dim", a.latent_dim).set("shared_kv", 1).set("scale", a.scale);
    attention.set("x_type", s.activation_type).set("kv_type", s.kv_type).set("y_type", s.activation_type);
    std::map<std::string, std::string> attended_by = {{"q", latent_q}, {"k_cache", cache}, {"y", latent_y}};
    if (cut) {
      attention.set("selected", a.indexer.top_k);
      attended_by["selection"] = selection;
    }
    b.op("attention", std::move(attention), std::move(attended_by));
    of_values.set("first_row", a.nope_dim);
    head_types(b, of_values);
    b.op("absorb v", std::move(of_values), {{"x", latent_y}, {"w", kv_b}, {"y", attended}});
  }

  LinearOptions o_options;
  if (a.bias && b.is_first_rank()) o_options.bias = b.bias("o_bias", {{kIn + "o_proj.bias", {h}}});
  const std::string projected = b.activation("projected", h);
  const auto o_columns =
      b.columns_of(kIn + "o_proj.weight", {h, whole.heads * a.v_dim}, {part.first * a.v_dim, values});
  b.linear("o", attended, b.matrix("o_w", {h, values}, {o_columns}), projected, h, values, o_options);
  return projected;
}

LatentAttention read_latent_attention(const JsonNode& config, ModelSpec& m) {
  LatentAttention a;
  a.heads = config.get_int("num_attention_heads", 1, kMaxHeads);
  if (const auto given = config.find_int("num_key_value_heads", 1, kMaxHeads); given && *given != a.heads)
    config.fail("num_key_value_heads", fmt::format("latent attention makes a key for every head; expected {} like "
                                                   "num_attention_heads, got {}",
                                                   a.heads, *given));
  if (!config.has("q_lora_rank")) config.get_int("q_lora_rank", 1, kMaxHidden);  // null says that there is none
  a.q_rank = config.find_int("q_lora_rank", 1, kMaxHidden).value_or(0);
  a.latent_dim = config.get_int("kv_lora_rank", 1, kMaxHidden);
  a.nope_dim = config.get_int("qk_nope_head_dim", 1, kMaxHeadDim);
  a.rope_dim = config.get_int("qk_rope_head_dim", 2, kMaxHeadDim);
  a.v_dim = config.get_int("v_head_dim", 1, kMaxHeadDim);
  if (a.rope_dim % 2 != 0)
    config.fail("qk_rope_head_dim", fmt::format("expected an even number (rope turns pairs), got {}", a.rope_dim));
  a.bias = config.find_bool("attention_bias").value_or(false);
  a.rotary = read_rotary(config, a.rope_dim, {}, m.max_position, m.notes);
  a.rotary.interleaved = true;
  a.scale = a.rotary.score_scale / std::sqrt(static_cast<double>(a.qk_dim()));
  return a;
}

}  // namespace layercost
