// SPDX-License-Identifier: Apache-2.0
#include "kernels/moe_combine/moe_combine.h"

#include "kernels/core/random.h"
#include "kernels/core/team.h"
#include "moe_combine_variants.h"

namespace layercost {
namespace {

constexpr KnownKey keys[] = {
    axis_key("tokens"),
    axis_key("hidden"),
    axis_key("top_k"),
    type_key("x_type", kFloatTypes),
    type_key("y_type", kFloatTypes),
    flag_key("residual"),
};

void fill_slots(const Tensor& slots, std::uint64_t seed) {
  auto* p = slots.as<std::int32_t>();
  const std::int64_t n = slots.elements();
  std::iota(p, p + n, 0);
  for (std::int64_t i = 0; i < n; ++i) {
    const auto pick = uniform_below(hash64(seed, static_cast<std::uint64_t>(i)), static_cast<std::uint64_t>(n - i));
    std::swap(p[i], p[i + static_cast<std::int64_t>(pick)]);
  }
}

std::vector<TensorSpec> tensors(const OpCase& c) {
  const std::int64_t tokens = c.axis("tokens"), hidden = c.axis("hidden"), top_k = c.axis("top_k");
  const DType y = c.type("y_type");
  const float mean = 1.0f / static_cast<float>(top_k);
  std::vector<TensorSpec> out = {
      {"x", Role::input, c.type("x_type"), {tokens * top_k, hidden}},
      {.name = "slots", .role = Role::input, .dtype = DType::i32, .shape = {tokens, top_k}, .fill = fill_slots},
      {"weights", Role::input, DType::f32, {tokens, top_k}, mean / 4, mean},
      {"y", Role::output, y, {tokens, hidden}},
  };
  if (c.flag("residual")) out.push_back({"residual", Role::input, y, {tokens, hidden}});
  return out;
}

Work work(const OpCase& c, const WorkFacts&) {
  const auto tokens = static_cast<double>(c.axis("tokens")), hidden = static_cast<double>(c.axis("hidden"));
  const auto top_k = static_cast<double>(c.axis("top_k"));
  const double residual = c.flag("residual") ? 1 : 0;
  Work w;
  w.flops = tokens * hidden * (2 * top_k + residual);
  w.activation_bytes = tokens * hidden *
                           (top_k * static_cast<double>(size_of(c.type("x_type"))) +
                            (1 + residual) * static_cast<double>(size_of(c.type("y_type")))) +
                       8 * tokens * top_k;
  return w;
}

Tolerance tolerance(const OpCase& c, const std::string&) { return usual_tolerance(c.type("y_type"), c.axis("top_k")); }

void reference(const OpCase& c, const OpTensors& t) {
  const std::int64_t tokens = c.axis("tokens"), hidden = c.axis("hidden"), top_k = c.axis("top_k");
  const Tensor &x = t.tensor("x"), &weights = t.tensor("weights"), &y = t.tensor("y");
  const auto* slots = t.tensor("slots").as<std::int32_t>();
  const bool residual = c.flag("residual");
  each_row_and_column(tokens, hidden, true, [&](std::int64_t row, std::int64_t h) {
    double sum = residual ? t.tensor("residual").load(row * hidden + h) : 0.0;
    for (std::int64_t p = row * top_k; p < (row + 1) * top_k; ++p)
      sum += weights.load(p) * x.load(slots[p] * hidden + h);
    y.store(row * hidden + h, sum);
  });
}

std::vector<OpCase> test_cases() {
  std::vector<OpCase> out;
  for (const char* text : {
           "moe_combine tokens=1 hidden=1 top_k=1 x_type=f32 y_type=f32",
           "moe_combine tokens=5 hidden=90 top_k=3 x_type=f32 y_type=f32 residual=1",
           "moe_combine tokens=1 hidden=2048 top_k=8 x_type=bf16 y_type=bf16 residual=1",
           "moe_combine tokens=17 hidden=517 top_k=9 x_type=bf16 y_type=bf16",
           "moe_combine tokens=6 hidden=130 top_k=4 x_type=bf16 y_type=f32 residual=1",
           "moe_combine tokens=7 hidden=168 top_k=10 x_type=bf16 y_type=bf16 residual=1",
           "moe_combine tokens=3 hidden=136 top_k=6 x_type=f32 y_type=bf16",
           "moe_combine tokens=2 hidden=72 top_k=17 x_type=f32 y_type=f32 residual=1",
           "moe_combine tokens=2 hidden=132 top_k=2 x_type=bf16 y_type=bf16",
       })
    out.push_back(OpCase::parse(text));
  return out;
}

}  // namespace

const OpDef moe_combine_op{
    "moe_combine",       "weighted sum of the experts' results", keys, tensors, work, tolerance, reference, test_cases,
    moe_combine_variants};

}  // namespace layercost
