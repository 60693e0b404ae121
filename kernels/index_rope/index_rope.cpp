// SPDX-License-Identifier: Apache-2.0
#include "kernels/index_rope/index_rope.h"

#include <algorithm>
#include <cmath>

#include "index_rope_variants.h"
#include "kernels/contract/rotary_table.h"
#include "kernels/core/error.h"

namespace layercost {

IndexRopeAxes index_rope_axes(const OpCase& c) {
  const IndexRopeAxes a{.batch = c.axis("batch"),
                        .q_len = c.axis("q_len"),
                        .kv_len = c.axis("kv_len"),
                        .capacity = c.axis("capacity"),
                        .heads = c.axis("heads"),
                        .head_dim = c.axis("head_dim"),
                        .rope_dim = c.axis("rope_dim"),
                        .interleaved = c.flag("interleaved"),
                        .eps = c.real("eps")};
  const auto expect = [&](bool ok, const char* what) {
    if (!ok) throw BadCase("'" + c.text() + "': expected " + what);
  };
  expect(a.q_len <= a.kv_len && a.kv_len <= a.capacity, "q_len <= kv_len <= capacity");
  expect(a.rope_dim % 2 == 0 && a.rope_dim <= a.head_dim, "an even rope_dim of at most head_dim");
  return a;
}

namespace {

constexpr KnownKey keys[] = {
    axis_key("batch"),
    axis_key("q_len"),
    axis_key("kv_len"),
    axis_key("capacity"),
    axis_key("heads"),
    axis_key("head_dim"),
    axis_key("rope_dim"),
    real_key("eps", 0),
    flag_key("interleaved"),
    type_key("x_type", kFloatTypes),
    type_key("y_type", kFloatTypes),
    type_key("kv_type", kFloatTypes),
    type_key("w_type", kFloatTypes),
};

std::vector<TensorSpec> tensors(const OpCase& c) {
  const IndexRopeAxes a = index_rope_axes(c);
  const DType x = c.type("x_type"), w = c.type("w_type");
  return {
      {"q", Role::input, x, {a.tokens(), a.heads * a.head_dim}},
      {"k", Role::input, x, {a.tokens(), a.head_dim}, 1.0f, 0.7f},  // a mean that is to be seen
      {"norm", Role::weight, w, {a.head_dim}, 0.2f, 1.0f},
      {"norm_bias", Role::weight, w, {a.head_dim}, 0.5f},
      cos_table(a.capacity, a.rope_dim / 2),
      sin_table(a.capacity, a.rope_dim / 2),
      {"rotated", Role::output, c.type("y_type"), {a.tokens(), a.heads, a.head_dim}},
      {"index_cache", Role::updated, c.type("kv_type"), {a.batch, 1, a.capacity, a.head_dim}},
  };
}

Work work(const OpCase& c, const WorkFacts&) {
  const IndexRopeAxes a = index_rope_axes(c);
  const auto bytes = [&](const char* type) { return static_cast<double>(size_of(c.type(type))); };
  const auto tokens = static_cast<double>(a.tokens()), dim = static_cast<double>(a.head_dim);
  const auto q = static_cast<double>(a.heads * a.head_dim);
  Work w;
  w.flops = tokens * (7 * dim + 3 * static_cast<double>((a.heads + 1) * a.rope_dim));
  w.weight_bytes = 2 * dim * bytes("w_type");
  w.kv_write_bytes = tokens * dim * bytes("kv_type");
  w.activation_bytes = tokens * ((q + dim) * bytes("x_type") + q * bytes("y_type")) +
                       static_cast<double>(a.q_len * a.rope_dim) * static_cast<double>(sizeof(float));  // cos and sin
  return w;
}

Tolerance tolerance(const OpCase& c, const std::string& output) {
  return usual_tolerance(c.type(output == "index_cache" ? "kv_type" : "y_type"), c.axis("head_dim"));
}

void reference(const OpCase& c, const OpTensors& t) {
  const IndexRopeAxes a = index_rope_axes(c);
  const Tensor &q = t.tensor("q"), &k = t.tensor("k"), &cos = t.tensor("cos"), &sin = t.tensor("sin");
  const Tensor &rotated = t.tensor("rotated"), &cache = t.tensor("index_cache");
  const OwnedTensor norm = t.weight("norm")->whole(), bias = t.weight("norm_bias")->whole();
  const std::int64_t d = a.head_dim;

  const auto turn = [&](const auto& x, std::int64_t position, const Tensor& out, std::int64_t to) {
    turn_pairs(cos, sin, position, a.interleaved, x, [&](std::int64_t i, double v) { out.store(to + i, v); });
    for (std::int64_t i = a.rope_dim; i < d; ++i) out.store(to + i, x(i));
  };

  for (std::int64_t token = 0; token < a.tokens(); ++token) {
    const std::int64_t position = a.position(token);
    double mean = 0, squares = 0;
    for (std::int64_t i = 0; i < d; ++i) mean += k.load(token * d + i) / static_cast<double>(d);
    for (std::int64_t i = 0; i < d; ++i) squares += std::pow(k.load(token * d + i) - mean, 2);
    const double size = std::sqrt(squares / static_cast<double>(d) + a.eps);
    turn(
        [&](std::int64_t i) {
          return (k.load(token * d + i) - mean) / size * norm.view().load(i) + bias.view().load(i);
        },
        position, cache, a.slot(token));
    if (t.asked() != nullptr && !std::binary_search(t.asked()->rows.begin(), t.asked()->rows.end(), token)) continue;
    for (std::int64_t h = 0; h < a.heads; ++h) {
      const std::int64_t at = (token * a.heads + h) * d;
      turn([&](std::int64_t i) { return q.load(at + i); }, position, rotated, at);
    }
  }
}

// The keys of every row go to the cache; queries are each row's own.
std::int64_t first_shared_column(const OpCase&, const std::string& input) {
  return input == "k" ? 0 : AskedRows::kNone;
}

std::vector<OpCase> test_cases() {
  std::vector<OpCase> out;
  for (const char* text : {
           "index_rope batch=1 q_len=1 kv_len=1 capacity=1 heads=1 head_dim=2 rope_dim=2 eps=1e-06 x_type=f32 "
           "y_type=f32 kv_type=f32 w_type=f32",
           "index_rope batch=2 q_len=3 kv_len=7 capacity=9 heads=5 head_dim=20 rope_dim=6 eps=0.3 interleaved=1 "
           "x_type=f32 y_type=f32 kv_type=f32 w_type=f32",
           "index_rope batch=2 q_len=3 kv_len=7 capacity=9 heads=5 head_dim=21 rope_dim=14 eps=0.3 x_type=f32 "
           "y_type=f32 kv_type=f32 w_type=f32",
           // DeepSeek's and GLM's own sizes
           "index_rope batch=3 q_len=1 kv_len=70 capacity=75 heads=64 head_dim=128 rope_dim=64 eps=1e-06 x_type=bf16 "
           "y_type=bf16 kv_type=bf16 w_type=bf16",
           "index_rope batch=1 q_len=37 kv_len=37 capacity=40 heads=32 head_dim=128 rope_dim=64 eps=1e-06 "
           "interleaved=1 x_type=bf16 y_type=bf16 kv_type=bf16 w_type=bf16",
           // everything turned, types mixed
           "index_rope batch=2 q_len=2 kv_len=5 capacity=5 heads=3 head_dim=46 rope_dim=46 eps=1e-05 x_type=bf16 "
           "y_type=f32 kv_type=bf16 w_type=f32",
           "index_rope batch=1 q_len=2 kv_len=300 capacity=301 heads=9 head_dim=77 rope_dim=24 eps=0.01 interleaved=1 "
           "x_type=f32 y_type=bf16 kv_type=bf16 w_type=bf16",
           "index_rope batch=2 q_len=4 kv_len=4 capacity=6 heads=7 head_dim=40 rope_dim=32 eps=0.001 x_type=bf16 "
           "y_type=bf16 kv_type=f32 w_type=bf16",
       })
    out.push_back(OpCase::parse(text));
  return out;
}

}  // namespace

const OpDef index_rope_op{"index_rope",
                          "norm and rotation of the lightning indexer, append to the index cache",
                          keys,
                          tensors,
                          work,
                          tolerance,
                          reference,
                          test_cases,
                          index_rope_variants,
                          first_shared_column};

}  // namespace layercost
