// SPDX-License-Identifier: Apache-2.0
#include "kernels/lightning_attention/lightning_attention.h"

#include <algorithm>
#include <cmath>

#include "kernels/core/team.h"
#include "lightning_attention_variants.h"

namespace layercost {

LightningAttentionAxes lightning_attention_axes(const OpCase& c) {
  return {c.axis("batch"), c.axis("q_len"), c.axis("heads"), c.axis("head_dim"), c.flag("continued")};
}

namespace {

constexpr KnownKey keys[] = {
    axis_key("batch"),
    axis_key("q_len"),
    axis_key("heads"),
    axis_key("head_dim"),
    flag_key("continued"),
    type_key("x_type", kFloatTypes),
    type_key("y_type", kFloatTypes),
};

std::vector<TensorSpec> tensors(const OpCase& c) {
  const LightningAttentionAxes a = lightning_attention_axes(c);
  const Shape state = {a.batch, a.heads, a.head_dim, a.head_dim};
  std::vector<TensorSpec> out = {
      {"qkv", Role::input, c.type("x_type"), {a.tokens(), a.width()}},
      // Decays of 0.3 to 0.95, as the first heads of a layer have; all values are above 0.
      {"slopes", Role::weight, DType::f32, {a.heads}, 0.15f, 0.6f},
      {"y", Role::output, c.type("y_type"), {a.tokens(), a.heads, a.head_dim}},
      {"next_state", Role::output, DType::f32, state},
  };
  if (a.continued) out.push_back({"state", Role::input, DType::f32, state});
  return out;
}

Work work(const OpCase& c, const WorkFacts&) {
  const LightningAttentionAxes a = lightning_attention_axes(c);
  const auto bytes = [&](const char* type) { return static_cast<double>(size_of(c.type(type))); };
  const auto tokens = static_cast<double>(a.tokens()), heads = static_cast<double>(a.heads);
  const auto dim = static_cast<double>(a.head_dim);
  const double state = static_cast<double>(a.batch) * heads * dim * dim * 4;
  Work w;
  w.flops = tokens * heads * (5 * dim * dim + 4 * 3 * dim);
  w.products = {{arithmetic_of(DType::f32, weight_format(DType::f32)), w.flops}};  // the state is f32
  w.weight_bytes = 4 * heads;
  w.kv_read_bytes = a.continued ? state : 0;
  w.kv_write_bytes = state;
  w.activation_bytes = tokens * heads * dim * (3 * bytes("x_type") + bytes("y_type"));
  return w;
}

Tolerance tolerance(const OpCase& c, const std::string& output) {
  return usual_tolerance(output == "y" ? c.type("y_type") : DType::f32, 64 * c.axis("head_dim"));
}

void reference(const OpCase& c, const OpTensors& t) {
  const LightningAttentionAxes a = lightning_attention_axes(c);
  const Tensor &qkv = t.tensor("qkv"), &y = t.tensor("y"), &next = t.tensor("next_state");
  const OwnedTensor slopes = t.weight("slopes")->whole();
  const std::int64_t d = a.head_dim;
  each_row_and_column(a.batch, a.heads, true, [&](std::int64_t b, std::int64_t h) {
    const std::int64_t first = (b * a.heads + h) * d * d;
    std::vector<double> s(static_cast<std::size_t>(d * d)), q(static_cast<std::size_t>(d)), k(q), v(q), sum(q);
    if (a.continued)
      for (std::int64_t i = 0; i < d * d; ++i) s[i] = t.tensor("state").load(first + i);
    const double decay = std::exp(-slopes.view().load(h));
    for (std::int64_t token = b * a.q_len; token < (b + 1) * a.q_len; ++token) {
      const auto activated = [&](std::int64_t at, std::vector<double>& out) {
        for (std::int64_t i = 0; i < d; ++i) {
          const double x = qkv.load(token * a.width() + at + i);
          out[i] = x / (1 + std::exp(-x));
        }
      };
      activated(a.k_at(h), k);
      activated(a.v_at(h), v);
      for (std::int64_t i = 0; i < d; ++i)
        for (std::int64_t j = 0; j < d; ++j) s[i * d + j] = decay * s[i * d + j] + k[i] * v[j];
      if (t.asked() != nullptr && !std::binary_search(t.asked()->rows.begin(), t.asked()->rows.end(), token))
        continue;
      activated(a.q_at(h), q);
      std::fill(sum.begin(), sum.end(), 0.0);
      for (std::int64_t i = 0; i < d; ++i)
        for (std::int64_t j = 0; j < d; ++j) sum[j] += s[i * d + j] * q[i];
      for (std::int64_t j = 0; j < d; ++j) y.store((token * a.heads + h) * d + j, sum[j]);
    }
    for (std::int64_t i = 0; i < d * d; ++i) next.store(first + i, s[i]);
  });
}

// Keys and values of every row go into the state; in a row they lie between the queries, the first head's after its
// own.
std::int64_t first_shared_column(const OpCase& c, const std::string& input) {
  return input == "qkv" ? c.axis("head_dim") : 0;
}

std::vector<OpCase> test_cases() {
  std::vector<OpCase> out;
  for (const char* text : {
           "lightning_attention batch=1 q_len=1 heads=1 head_dim=1 x_type=f32 y_type=f32",
           "lightning_attention batch=2 q_len=7 heads=6 head_dim=12 x_type=f32 y_type=f32",
           "lightning_attention batch=3 q_len=1 heads=4 head_dim=128 continued=1 x_type=bf16 y_type=bf16",
           "lightning_attention batch=1 q_len=1 heads=3 head_dim=44 continued=1 x_type=f32 y_type=f32",
           // Chunks of 64: less than one, one, one and a part, three; behind a state or not.
           "lightning_attention batch=1 q_len=64 heads=2 head_dim=128 x_type=bf16 y_type=bf16",
           "lightning_attention batch=2 q_len=67 heads=2 head_dim=64 continued=1 x_type=bf16 y_type=f32",
           "lightning_attention batch=1 q_len=192 heads=4 head_dim=32 x_type=f32 y_type=bf16",
           "lightning_attention batch=1 q_len=130 heads=2 head_dim=27 continued=1 x_type=f32 y_type=f32",
           "lightning_attention batch=1 q_len=5 heads=1 head_dim=192 continued=1 x_type=bf16 y_type=bf16",
           "lightning_attention batch=2 q_len=2 heads=2 head_dim=40 x_type=bf16 y_type=bf16",
       })
    out.push_back(OpCase::parse(text));
  return out;
}

}  // namespace

const OpDef lightning_attention_op{"lightning_attention",
                                   "lightning attention: linear attention with a constant decay of each head",
                                   keys,
                                   tensors,
                                   work,
                                   tolerance,
                                   reference,
                                   test_cases,
                                   lightning_attention_variants,
                                   first_shared_column};

}  // namespace layercost
