// SPDX-License-Identifier: Apache-2.0
#include "kernels/gated_delta/gated_delta.h"

#include <algorithm>
#include <cmath>

#include "gated_delta_variants.h"
#include "kernels/core/error.h"
#include "kernels/core/team.h"

namespace layercost {

GatedDeltaAxes gated_delta_axes(const OpCase& c) {
  const GatedDeltaAxes a{.batch = c.axis("batch"),
                         .q_len = c.axis("q_len"),
                         .heads = c.axis("heads"),
                         .key_heads = c.axis("key_heads"),
                         .key_dim = c.axis("key_dim"),
                         .value_dim = c.axis("value_dim"),
                         .continued = c.flag("continued")};
  if (a.heads % a.key_heads != 0) throw BadCase("'" + c.text() + "': expected key_heads to divide heads");
  return a;
}

namespace {

constexpr KnownKey keys[] = {
    axis_key("batch"),
    axis_key("q_len"),
    axis_key("heads"),
    axis_key("key_heads"),
    axis_key("key_dim"),
    axis_key("value_dim"),
    flag_key("continued"),
    type_key("x_type", kFloatTypes),
    type_key("y_type", kFloatTypes),
};

std::vector<TensorSpec> tensors(const OpCase& c) {
  const GatedDeltaAxes a = gated_delta_axes(c);
  const Shape state = {a.batch, a.heads, a.key_dim, a.value_dim};
  std::vector<TensorSpec> out = {
      {"qkv", Role::input, c.type("x_type"), {a.tokens(), a.width()}},
      {"ba", Role::input, DType::f32, {a.tokens(), 2 * a.heads}, 2.0f},
      // Decays from near 0 to near 1.
      {"a_log", Role::weight, DType::f32, {a.heads}, 1.0f, -1.0f},
      {"dt_bias", Role::weight, DType::f32, {a.heads}, 1.0f, -1.0f},
      {"y", Role::output, c.type("y_type"), {a.tokens(), a.heads, a.value_dim}},
      {"next_state", Role::output, DType::f32, state},
  };
  if (a.continued) out.push_back({"state", Role::input, DType::f32, state});
  return out;
}

Work work(const OpCase& c, const WorkFacts&) {
  const GatedDeltaAxes a = gated_delta_axes(c);
  const auto bytes = [&](const char* type) { return static_cast<double>(size_of(c.type(type))); };
  const auto tokens = static_cast<double>(a.tokens()), heads = static_cast<double>(a.heads);
  const double matrix = static_cast<double>(a.key_dim) * static_cast<double>(a.value_dim);
  const double state = static_cast<double>(a.batch) * heads * matrix * 4;
  Work w;
  w.flops = tokens * heads * 6 * matrix;
  w.products = {{arithmetic_of(DType::f32, weight_format(DType::f32)), w.flops}};
  w.weight_bytes = 8 * heads;
  w.kv_read_bytes = a.continued ? state : 0;
  w.kv_write_bytes = state;
  w.activation_bytes = tokens * (static_cast<double>(a.width()) * bytes("x_type") + 8 * heads +
                                 heads * static_cast<double>(a.value_dim) * bytes("y_type"));
  return w;
}

Tolerance tolerance(const OpCase& c, const std::string& output) {
  return usual_tolerance(output == "y" ? c.type("y_type") : DType::f32, 64 * c.axis("key_dim"));
}

void reference(const OpCase& c, const OpTensors& t) {
  const GatedDeltaAxes a = gated_delta_axes(c);
  const Tensor &qkv = t.tensor("qkv"), &ba = t.tensor("ba"), &y = t.tensor("y"), &next = t.tensor("next_state");
  const OwnedTensor a_log = t.weight("a_log")->whole(), dt_bias = t.weight("dt_bias")->whole();
  const std::int64_t dk = a.key_dim, dv = a.value_dim;
  each_row_and_column(a.batch, a.heads, true, [&](std::int64_t b, std::int64_t h) {
    const std::int64_t first = (b * a.heads + h) * dk * dv;
    std::vector<double> s(static_cast<std::size_t>(dk * dv)), q(static_cast<std::size_t>(dk)), k(q),
        told(static_cast<std::size_t>(dv));
    if (a.continued)
      for (std::int64_t i = 0; i < dk * dv; ++i) s[i] = t.tensor("state").load(first + i);
    const double rate = std::exp(a_log.view().load(h));
    for (std::int64_t token = b * a.q_len; token < (b + 1) * a.q_len; ++token) {
      const bool asked =
          t.asked() == nullptr || std::binary_search(t.asked()->rows.begin(), t.asked()->rows.end(), token);
      const auto unit = [&](std::int64_t at, std::vector<double>& out, double scale) {
        double squares = 0;
        for (std::int64_t i = 0; i < dk; ++i) {
          out[i] = qkv.load(token * a.width() + at + i);
          squares += out[i] * out[i];
        }
        for (std::int64_t i = 0; i < dk; ++i) out[i] *= scale / std::sqrt(squares + kGatedDeltaEps);
      };
      unit(a.k_at(h), k, 1);
      if (asked) unit(a.q_at(h), q, 1 / std::sqrt(static_cast<double>(dk)));
      const double in = ba.load(token * 2 * a.heads + a.a_at(h)) + dt_bias.view().load(h);
      const double softplus = in > 30 ? in : std::log1p(std::exp(in));
      const double decay = std::exp(-rate * softplus);
      const double beta = 1 / (1 + std::exp(-ba.load(token * 2 * a.heads + a.b_at(h))));
      std::fill(told.begin(), told.end(), 0.0);
      for (std::int64_t i = 0; i < dk; ++i)
        for (std::int64_t j = 0; j < dv; ++j) {
          s[i * dv + j] *= decay;
          told[j] += s[i * dv + j] * k[i];
        }
      for (std::int64_t j = 0; j < dv; ++j) {
        const double v = qkv.load(token * a.width() + a.v_at(h) + j);
        told[j] = beta * (v - told[j]);
      }
      for (std::int64_t i = 0; i < dk; ++i)
        for (std::int64_t j = 0; j < dv; ++j) s[i * dv + j] += k[i] * told[j];
      if (!asked) continue;
      for (std::int64_t j = 0; j < dv; ++j) {
        double sum = 0;
        for (std::int64_t i = 0; i < dk; ++i) sum += s[i * dv + j] * q[i];
        y.store((token * a.heads + h) * dv + j, sum);
      }
    }
    for (std::int64_t i = 0; i < dk * dv; ++i) next.store(first + i, s[i]);
  });
}

// Keys and values of every row go into the state; the queries before them are each row's own.
std::int64_t first_shared_column(const OpCase& c, const std::string& input) {
  return input == "qkv" ? c.axis("key_heads") * c.axis("key_dim") : 0;
}

std::vector<OpCase> test_cases() {
  std::vector<OpCase> out;
  for (const char* text : {
           "gated_delta batch=1 q_len=1 heads=1 key_heads=1 key_dim=1 value_dim=1 x_type=f32 y_type=f32",
           "gated_delta batch=2 q_len=7 heads=6 key_heads=2 key_dim=12 value_dim=10 x_type=f32 y_type=f32",
           "gated_delta batch=3 q_len=1 heads=4 key_heads=2 key_dim=128 value_dim=128 continued=1 x_type=bf16 "
           "y_type=bf16",
           "gated_delta batch=1 q_len=1 heads=3 key_heads=3 key_dim=36 value_dim=44 continued=1 x_type=f32 y_type=f32",
           // Chunks of 64: less than one, one, one and a part, three; behind a state or not.
           "gated_delta batch=1 q_len=64 heads=2 key_heads=1 key_dim=128 value_dim=128 x_type=bf16 y_type=bf16",
           "gated_delta batch=2 q_len=67 heads=2 key_heads=2 key_dim=64 value_dim=32 continued=1 x_type=bf16 "
           "y_type=f32",
           "gated_delta batch=1 q_len=192 heads=4 key_heads=1 key_dim=32 value_dim=64 x_type=f32 y_type=bf16",
           "gated_delta batch=1 q_len=130 heads=2 key_heads=1 key_dim=20 value_dim=27 continued=1 x_type=f32 "
           "y_type=f32",
           "gated_delta batch=1 q_len=5 heads=1 key_heads=1 key_dim=256 value_dim=192 continued=1 x_type=bf16 "
           "y_type=bf16",
           "gated_delta batch=2 q_len=2 heads=2 key_heads=1 key_dim=96 value_dim=40 x_type=bf16 y_type=bf16",
       })
    out.push_back(OpCase::parse(text));
  return out;
}

}  // namespace

const OpDef gated_delta_op{"gated_delta",
                           "gated delta rule: linear attention with a decaying state that is corrected",
                           keys,
                           tensors,
                           work,
                           tolerance,
                           reference,
                           test_cases,
                           gated_delta_variants,
                           first_shared_column};

}  // namespace layercost
