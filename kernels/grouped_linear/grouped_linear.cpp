// SPDX-License-Identifier: Apache-2.0
#include "kernels/grouped_linear/grouped_linear.h"

#include <cmath>

#include "grouped_linear_variants.h"
#include "kernels/contract/bias.h"
#include "kernels/contract/reference.h"
#include "kernels/core/random.h"

namespace layercost {
namespace {

constexpr KnownKey keys[] = {
    axis_key("rows"),
    axis_key("experts"),
    axis_key("n"),
    axis_key("k"),
    type_key("x_type", kFloatTypes),
    format_key("w_type"),
    type_key("y_type", kFloatTypes),
    flag_key("bias"),
    type_key("bias_type", kFloatTypes).optional(),
};

// Every row draws an expert, but one expert of several stays without rows.
void fill_offsets(const Tensor& offsets, std::uint64_t seed, std::int64_t rows) {
  const std::int64_t experts = offsets.dim(0) - 1;
  auto* out = offsets.as<std::int32_t>();
  std::fill_n(out, experts + 1, 0);
  const auto drawn = static_cast<std::uint64_t>(experts > 1 ? experts - 1 : 1);
  const auto shift = static_cast<std::int64_t>(seed % static_cast<std::uint64_t>(experts));
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto e = static_cast<std::int64_t>(uniform_below(hash64(seed, static_cast<std::uint64_t>(r)), drawn));
    ++out[(e + shift) % experts + 1];
  }
  for (std::int64_t e = 0; e < experts; ++e) out[e + 1] += out[e];
}

std::vector<TensorSpec> tensors(const OpCase& c) {
  const std::int64_t rows = c.axis("rows"), experts = c.axis("experts"), n = c.axis("n"), k = c.axis("k");
  const WeightFormat& w = c.format("w_type");
  w.expect_columns(k);
  std::vector<TensorSpec> out = {
      {"x", Role::input, c.type("x_type"), {rows, k}},
      {.name = "offsets",
       .role = Role::input,
       .dtype = DType::i32,
       .shape = {experts + 1},
       .fill = [rows](const Tensor& t, std::uint64_t seed) { fill_offsets(t, seed, rows); }},
      {.name = "w",
       .role = Role::weight,
       .dtype = w.values,
       .shape = {experts, n, k},
       .sigma = static_cast<float>(1.0 / std::sqrt(static_cast<double>(k))),
       .format = &w},
      {"y", Role::output, c.type("y_type"), {rows, n}},
  };
  if (c.flag("bias")) out.push_back({"bias", Role::weight, bias_type(c), {experts, n}});
  return out;
}

Work work(const OpCase& c, const WorkFacts& facts) {
  const auto rows = static_cast<double>(c.axis("rows")), experts = static_cast<double>(c.axis("experts"));
  const auto n = static_cast<double>(c.axis("n")), k = static_cast<double>(c.axis("k"));
  Work w;
  const double bias = c.flag("bias") ? 1 : 0;
  w.flops = 2 * rows * n * k + bias * rows * n;
  w.products = {{arithmetic_of(c.type("x_type"), c.format("w_type")), 2 * rows * n * k}};
  const double bias_bytes = bias > 0 ? n * static_cast<double>(size_of(bias_type(c))) : 0;
  w.weight_bytes = facts.distinct_experts.value_or(std::min(experts, rows)) *
                   (c.format("w_type").bytes(c.axis("n"), c.axis("k")) + bias_bytes);
  w.activation_bytes =
      rows * (k * static_cast<double>(size_of(c.type("x_type"))) + n * static_cast<double>(size_of(c.type("y_type")))) +
      4 * (experts + 1);
  return w;
}

Tolerance tolerance(const OpCase& c, const std::string&) { return usual_tolerance(c.type("y_type"), c.axis("k")); }

void reference(const OpCase& c, const OpTensors& t) {
  const std::int64_t experts = c.axis("experts"), n = c.axis("n"), k = c.axis("k");
  const std::vector<double> x = as_double(t.tensor("x"));
  const auto* offsets = t.tensor("offsets").as<std::int32_t>();
  const std::vector<double> bias = c.flag("bias") ? as_double(t.weight("bias")->whole()) : std::vector<double>();
  const Tensor& y = t.tensor("y");
  for (std::int64_t e = 0; e < experts; ++e) {
    if (offsets[e] == offsets[e + 1]) continue;
    for_rows_of(
        *t.weight("w"), n, k,
        [&](std::int64_t j, const double* row) {
          const double more = bias.empty() ? 0 : bias[static_cast<std::size_t>(e * n + j)];
          for (std::int64_t r = offsets[e]; r < offsets[e + 1]; ++r)
            y.store(r * n + j, dot(x.data() + r * k, row, k) + more);
        },
        e * n);
  }
}

std::vector<OpCase> test_cases() {
  std::vector<OpCase> out;
  for (const char* text : {
           "grouped_linear rows=1 experts=1 n=1 k=1 x_type=f32 w_type=f32 y_type=f32",
           "grouped_linear rows=7 experts=5 n=37 k=90 x_type=f32 w_type=f32 y_type=f32",
           "grouped_linear rows=8 experts=16 n=96 k=256 x_type=bf16 w_type=bf16 y_type=bf16",
           "grouped_linear rows=40 experts=3 n=130 k=257 x_type=bf16 w_type=bf16 y_type=bf16",
           "grouped_linear rows=150 experts=20 n=90 k=130 x_type=bf16 w_type=bf16 y_type=bf16",
           "grouped_linear rows=300 experts=2 n=64 k=70 x_type=bf16 w_type=bf16 y_type=f32",
           // Whole 16-byte vectors: every tile shape, partial in rows, columns and depth, more experts than lanes.
           "grouped_linear rows=1 experts=3 n=20 k=8 x_type=bf16 w_type=bf16 y_type=bf16",
           "grouped_linear rows=37 experts=5 n=70 k=328 x_type=bf16 w_type=bf16 y_type=f32",
           "grouped_linear rows=60 experts=12 n=140 k=64 x_type=bf16 w_type=bf16 y_type=bf16",
           "grouped_linear rows=70 experts=40 n=33 k=72 x_type=bf16 w_type=bf16 y_type=bf16",
           "grouped_linear rows=200 experts=3 n=130 k=136 x_type=bf16 w_type=bf16 y_type=bf16",
           "grouped_linear rows=300 experts=2 n=64 k=200 x_type=bf16 w_type=bf16 y_type=f32",
           "grouped_linear rows=200 experts=2 n=505 k=72 x_type=bf16 w_type=bf16 y_type=bf16",
           "grouped_linear rows=70 experts=45 n=20 k=18 x_type=f32 w_type=bf16 y_type=f32",
           "grouped_linear rows=200 experts=1 n=5 k=33 x_type=bf16 w_type=f32 y_type=bf16",
           "grouped_linear rows=30 experts=4 n=9 k=40 x_type=bf16 w_type=bf16 y_type=f32",
           // Few columns with k cut in parts; more than 256 rows of one expert.
           "grouped_linear rows=9 experts=3 n=66 k=1090 x_type=f32 w_type=f32 y_type=f32",
           // Partial tiles of 192 x 192 x 64 in every direction, several of each, more slices than stages.
           "grouped_linear rows=70 experts=2 n=8 k=8 x_type=bf16 w_type=bf16 y_type=bf16",
           "grouped_linear rows=300 experts=3 n=264 k=136 x_type=bf16 w_type=bf16 y_type=bf16",
           "grouped_linear rows=330 experts=4 n=136 k=456 x_type=bf16 w_type=bf16 y_type=bf16",
           "grouped_linear rows=290 experts=2 n=70 k=131 x_type=f32 w_type=bf16 y_type=bf16",
           // Formats with scales: one row an expert, several, more than a product takes at once.
           "grouped_linear rows=1 experts=2 n=5 k=7 x_type=f32 w_type=fp8_block128 y_type=f32",
           "grouped_linear rows=8 experts=16 n=130 k=256 x_type=bf16 w_type=fp8_block128 y_type=bf16",
           "grouped_linear rows=60 experts=5 n=70 k=256 x_type=bf16 w_type=int4_g128 y_type=f32",
           "grouped_linear rows=8 experts=9 n=65 k=512 x_type=bf16 w_type=q4_k y_type=bf16",
           "grouped_linear rows=9 experts=5 n=70 k=256 x_type=bf16 w_type=q5_k y_type=bf16",
           "grouped_linear rows=60 experts=3 n=65 k=256 x_type=bf16 w_type=q6_k y_type=bf16",
           "grouped_linear rows=200 experts=3 n=64 k=256 x_type=bf16 w_type=q4_k y_type=f32",
           "grouped_linear rows=9 experts=4 n=130 k=96 x_type=bf16 w_type=q8_0 y_type=f32",
           "grouped_linear rows=8 experts=12 n=64 k=96 x_type=bf16 w_type=mxfp4 y_type=bf16",
           "grouped_linear rows=40 experts=3 n=70 k=160 x_type=f32 w_type=mxfp4 y_type=f32",
           "grouped_linear rows=20 experts=3 n=96 k=48 x_type=bf16 w_type=nvfp4 y_type=f32",
           "grouped_linear rows=9 experts=4 n=70 k=512 x_type=f32 w_type=q4_k y_type=f32",
           "grouped_linear rows=50 experts=3 n=65 k=128 x_type=f32 w_type=int4_g32_zp y_type=bf16",
           // A bias for each expert.
           "grouped_linear rows=7 experts=5 n=37 k=90 x_type=f32 w_type=f32 y_type=f32 bias=1",
           "grouped_linear rows=60 experts=12 n=141 k=64 x_type=bf16 w_type=bf16 y_type=bf16 bias=1",
           "grouped_linear rows=300 experts=2 n=64 k=200 x_type=bf16 w_type=bf16 y_type=f32 bias=1",
           "grouped_linear rows=12 experts=40 n=130 k=72 x_type=bf16 w_type=bf16 y_type=bf16 bias=1",
           "grouped_linear rows=8 experts=12 n=70 k=96 x_type=bf16 w_type=mxfp4 y_type=bf16 bias=1 bias_type=bf16",
           "grouped_linear rows=90 experts=3 n=70 k=160 x_type=bf16 w_type=mxfp4 y_type=f32 bias=1 bias_type=f32",
           "grouped_linear rows=40 experts=3 n=70 k=160 x_type=f32 w_type=mxfp4 y_type=f32 bias=1 bias_type=bf16",
       })
    out.push_back(OpCase::parse(text));
  return out;
}

}  // namespace

const OpDef grouped_linear_op{"grouped_linear",
                              "matrix products of groups of rows, one matrix per group",
                              keys,
                              tensors,
                              work,
                              tolerance,
                              reference,
                              test_cases,
                              grouped_linear_variants};

}  // namespace layercost
