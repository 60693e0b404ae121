// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/blocks/gated_delta_attention.h"

#include <fmt/format.h>

#include "harness/plan/family.h"

namespace layercost {
namespace {

const std::string kIn = "linear_attn.";

// Which of the layer's heads a rank has.
struct Heads {
  LayerBuilder::Part keys, values;
};

// The channels that convolution has of q, of k and of v.
LayerBuilder::Sources channel_sources(const GatedDeltaAttention& a, const Heads& own, const std::string& tensor,
                                      const Shape& shape) {
  if (own.keys.count == a.key_heads) return {{tensor, shape}};
  const std::int64_t keys = a.key_heads * a.key_dim;
  return {{tensor, shape, own.keys.first * a.key_dim, own.keys.count * a.key_dim},
          {tensor, shape, keys + own.keys.first * a.key_dim, own.keys.count * a.key_dim},
          {tensor, shape, 2 * keys + own.values.first * a.value_dim, own.values.count * a.value_dim}};
}

// The rows of all q, all k, all v and all z of a rank's heads, one after the other.
LayerBuilder::Sources qkvz_sources(const GatedDeltaAttention& a, const Heads& own, std::int64_t h) {
  const std::int64_t n = a.channels(), z = a.heads * a.value_dim;
  if (!a.rows_in_turns) {
    LayerBuilder::Sources out = channel_sources(a, own, kIn + "in_proj_qkv.weight", {n, h});
    out.push_back(LayerBuilder::rows_of(kIn + "in_proj_z.weight", {z, h},
                                        {own.values.first * a.value_dim, own.values.count * a.value_dim}));
    return out;
  }
  const std::int64_t values = a.heads / a.key_heads * a.value_dim, each = 2 * a.key_dim + 2 * values;
  const std::int64_t starts[] = {0, a.key_dim, 2 * a.key_dim, 2 * a.key_dim + values};
  const std::int64_t rows[] = {a.key_dim, a.key_dim, values, values};
  LayerBuilder::Sources out;
  for (std::size_t part = 0; part < 4; ++part)
    for (std::int64_t head = own.keys.first; head < own.keys.first + own.keys.count; ++head)
      out.push_back({kIn + "in_proj_qkvz.weight", {n + z, h}, head * each + starts[part], rows[part]});
  return out;
}

LayerBuilder::Sources ba_sources(const GatedDeltaAttention& a, const Heads& own, std::int64_t h) {
  if (!a.rows_in_turns)
    return {LayerBuilder::rows_of(kIn + "in_proj_b.weight", {a.heads, h}, own.values),
            LayerBuilder::rows_of(kIn + "in_proj_a.weight", {a.heads, h}, own.values)};
  const std::int64_t group = a.heads / a.key_heads;
  LayerBuilder::Sources out;
  for (std::int64_t part = 0; part < 2; ++part)
    for (std::int64_t head = own.keys.first; head < own.keys.first + own.keys.count; ++head)
      out.push_back({kIn + "in_proj_ba.weight", {2 * a.heads, h}, (2 * head + part) * group, group});
  return out;
}

// Normal values, of a vector that is computed with in f32: a part of n.
std::string f32_values(LayerBuilder& b, const std::string& name, std::int64_t n, const LayerBuilder::Part& part,
                       const std::string& tensor, float mean, float sigma) {
  b.f32_vector(name, part.count, tensor);
  b.plan().weights.back().sources = {b.rows_of(tensor, {n}, part)};
  b.plan().weights.back().mean = mean;
  b.plan().weights.back().sigma = sigma;
  b.plan().weights.back().stored = &weight_format(b.shape().weights.vectors);
  return name;
}

}  // namespace

std::string gated_delta_attention(LayerBuilder& b, const GatedDeltaAttention& whole, const std::string& x) {
  const Heads own{b.part_of(whole.key_heads, "key heads of linear attention"),
                  b.part_of(whole.heads, "value heads of linear attention")};
  GatedDeltaAttention a = whole;
  a.key_heads = own.keys.count, a.heads = own.values.count;
  b.partial_sum();
  const StepShape& s = b.shape();
  const std::int64_t t = s.tokens(), h = b.model().hidden, n = a.channels(), values = a.heads * a.value_dim;

  const std::string qkvz = b.activation("qkvz", n + values), convolved = b.activation("convolved", n);
  b.linear("qkvz", x, b.matrix("qkvz_w", {n + values, h}, qkvz_sources(whole, own, h)), qkvz, n + values, h);

  const LayerBuilder::StateNames window = b.state("conv state", s.activation_type, {a.kernel - 1, n});
  OpCase conv("causal_conv");
  conv.set("batch", s.batch).set("q_len", s.q_len).set("channels", n).set("kernel", a.kernel);
  conv.set("x_width", n + values);
  b.types(conv);
  std::map<std::string, std::string> bind = {
      {"x", qkvz},
      {"w", b.matrix("conv_w", {n, a.kernel},
                     channel_sources(whole, own, kIn + "conv1d.weight", {whole.channels(), 1, a.kernel}),
                     s.weights.vectors)},
      {"y", convolved},
      {"next_state", window.after}};
  if (b.continues()) {
    conv.set("continued", 1);
    bind["state"] = window.before;
  }
  b.op("conv", std::move(conv), std::move(bind));

  // Decays and betas are made of these few columns: they stay f32, and their matrix is no weight format's.
  const std::string ba = b.buffer("ba", BufferRole::activation, DType::f32, {t, 2 * a.heads});
  b.linear("ba", x, b.matrix("ba_w", {2 * a.heads, h}, ba_sources(whole, own, h), s.weights.vectors), ba, 2 * a.heads,
           h, {.y_type = DType::f32});

  const LayerBuilder::StateNames state = b.state("recurrent state", DType::f32, {a.heads, a.key_dim, a.value_dim});
  const std::string attended = b.activation("attended", values);
  OpCase delta("gated_delta");
  delta.set("batch", s.batch).set("q_len", s.q_len).set("heads", a.heads).set("key_heads", a.key_heads);
  delta.set("key_dim", a.key_dim).set("value_dim", a.value_dim);
  delta.set("x_type", s.activation_type).set("y_type", s.activation_type);
  // Synthetic decays lie around 0.8 a token.
  bind = {{"qkv", convolved},
          {"ba", ba},
          {"a_log", f32_values(b, "a_log", whole.heads, own.values, kIn + "A_log", 0.0f, 0.5f)},
          {"dt_bias", f32_values(b, "dt_bias", whole.heads, own.values, kIn + "dt_bias", -2.0f, 0.5f)},
          {"y", attended},
          {"next_state", state.after}};
  if (b.continues()) {
    delta.set("continued", 1);
    bind["state"] = state.before;
  }
  b.op("gated delta", std::move(delta), std::move(bind));

  const std::string normed = b.activation("normed values", values);
  OpCase norm("gated_norm");
  norm.set("tokens", t).set("heads", a.heads).set("dim", a.value_dim).set("z_width", n + values);
  norm.set("eps", b.model().rms_norm_eps);
  b.types(norm);
  // Stored as it is, whatever the model's other norms are.
  const std::string norm_w = b.bias("value_norm", {{kIn + "norm.weight", {a.value_dim}}});
  b.plan().weights.back().mean = 1.0f;
  b.plan().weights.back().sigma = 0.2f;
  b.op("value norm", std::move(norm), {{"x", attended}, {"z", qkvz}, {"w", norm_w}, {"y", normed}});

  const std::string projected = b.activation("projected", h);
  const auto out_columns =
      b.columns_of(kIn + "out_proj.weight", {h, whole.heads * a.value_dim}, {own.values.first * a.value_dim, values});
  b.linear("out", normed, b.matrix("out_w", {h, values}, {out_columns}), projected, h, values);
  return projected;
}

GatedDeltaAttention read_gated_delta_attention(const JsonNode& config) {
  GatedDeltaAttention a;
  a.heads = config.get_int("linear_num_value_heads", 1, kMaxHeads);
  a.key_heads = config.get_int("linear_num_key_heads", 1, kMaxHeads);
  if (a.heads % a.key_heads != 0)
    config.fail("linear_num_value_heads",
                fmt::format("expected a multiple of linear_num_key_heads ({}), got {}", a.key_heads, a.heads));
  a.key_dim = config.get_int("linear_key_head_dim", 1, kMaxHeadDim);
  a.value_dim = config.get_int("linear_value_head_dim", 1, kMaxHeadDim);
  a.kernel = config.get_int("linear_conv_kernel_dim", 2, 64);
  return a;
}

}  // namespace layercost
