// SPDX-License-Identifier: Apache-2.0
#include "kernels/linear/linear.h"

#include <fmt/format.h>

#include <cmath>
#include <numeric>

#include "kernels/contract/bias.h"
#include "kernels/contract/reference.h"
#include "kernels/core/error.h"
#include "linear_variants.h"

namespace layercost {
namespace {

constexpr KnownKey keys[] = {
    axis_key("m"),
    axis_key("n"),
    axis_key("k"),
    type_key("x_type", kFloatTypes),
    format_key("w_type"),
    type_key("y_type", kFloatTypes),
    flag_key("bias"),
    type_key("bias_type", kFloatTypes).optional(),
    flag_key("residual"),
    integer_key("y_width", 1).optional(),
    integer_key("y_first", 0).only_beside("y_width"),
};

// Columns of y, and the first one that is made.
struct Columns {
  explicit Columns(const OpCase& c) : width(c.integer("y_width", c.axis("n"))), first(c.integer("y_first", 0)) {}
  std::int64_t width, first;
};

std::vector<TensorSpec> tensors(const OpCase& c) {
  const std::int64_t m = c.axis("m"), n = c.axis("n"), k = c.axis("k");
  const DType y = c.type("y_type");
  const WeightFormat& w = c.format("w_type");
  w.expect_columns(k);
  const Columns columns(c);
  if (columns.first > columns.width - n)
    throw BadCase(fmt::format("'{}': n = {} columns from {} on do not fit into y_width", c.text(), n, columns.first));
  const bool is_part = c.has("y_width");
  if (is_part && c.flag("residual"))
    throw BadCase(fmt::format("'{}': a part of a wider output takes no residual", c.text()));
  std::vector<TensorSpec> out = {
      {"x", Role::input, c.type("x_type"), {m, k}},
      {.name = "w",
       .role = Role::weight,
       .dtype = w.values,
       .shape = {n, k},
       .sigma = static_cast<float>(1.0 / std::sqrt(static_cast<double>(k))),
       .format = &w},
      {"y", is_part ? Role::updated : Role::output, y, {m, columns.width}},
  };
  if (c.flag("bias")) out.push_back({"bias", Role::weight, bias_type(c), {n}});
  if (c.flag("residual")) out.push_back({"residual", Role::input, y, {m, n}});
  return out;
}

Work work(const OpCase& c, const WorkFacts&) {
  const auto m = static_cast<double>(c.axis("m")), n = static_cast<double>(c.axis("n")),
             k = static_cast<double>(c.axis("k"));
  const auto yb = static_cast<double>(size_of(c.type("y_type")));
  Work w;
  w.products = {{arithmetic_of(c.type("x_type"), c.format("w_type")), 2 * m * n * k}};
  w.flops = 2 * m * n * k + (c.flag("bias") ? m * n : 0) + (c.flag("residual") ? m * n : 0);
  w.weight_bytes = c.format("w_type").bytes(c.axis("n"), c.axis("k")) +
                   (c.flag("bias") ? n * static_cast<double>(size_of(bias_type(c))) : 0);
  w.activation_bytes =
      m * k * static_cast<double>(size_of(c.type("x_type"))) + m * n * yb * (c.flag("residual") ? 2 : 1);
  return w;
}

Tolerance tolerance(const OpCase& c, const std::string&) { return usual_tolerance(c.type("y_type"), c.axis("k")); }

void reference(const OpCase& c, const OpTensors& t) {
  const std::int64_t m = c.axis("m"), n = c.axis("n"), k = c.axis("k");
  const std::vector<double> x = as_double(t.tensor("x"));
  const Tensor& y = t.tensor("y");
  const Weight& w = *t.weight("w");
  const std::vector<double> bias = c.flag("bias") ? as_double(t.weight("bias")->whole()) : std::vector<double>();
  const bool residual = c.flag("residual");
  const Columns columns(c);
  std::vector<std::int64_t> all(static_cast<std::size_t>(m));
  std::iota(all.begin(), all.end(), 0);
  const AskedRows* asked = t.asked();
  for_rows_of(w, n, k, [&](std::int64_t j, const double* row) {
    for (const std::int64_t i : asked != nullptr && columns.first + j < asked->from_column ? asked->rows : all) {
      double v = dot(x.data() + i * k, row, k);
      if (!bias.empty()) v += bias[static_cast<std::size_t>(j)];
      if (residual) v += t.tensor("residual").load(i * n + j);
      y.store(i * columns.width + columns.first + j, v);
    }
  });
}

std::vector<OpCase> test_cases() {
  std::vector<OpCase> out;
  for (const char* text : {
           "linear m=1 n=1 k=1 x_type=f32 w_type=f32 y_type=f32",
           "linear m=3 n=37 k=90 x_type=f32 w_type=f32 y_type=f32 bias=1",
           "linear m=1 n=300 k=512 x_type=bf16 w_type=bf16 y_type=bf16",
           "linear m=8 n=513 k=770 x_type=bf16 w_type=bf16 y_type=bf16 residual=1",
           "linear m=2 n=128 k=84 x_type=bf16 w_type=bf16 y_type=f32",
           "linear m=20 n=70 k=95 x_type=bf16 w_type=bf16 y_type=bf16 bias=1",
           "linear m=65 n=130 k=257 x_type=bf16 w_type=bf16 y_type=bf16 bias=1 residual=1",
           "linear m=259 n=1100 k=2100 x_type=bf16 w_type=bf16 y_type=f32",
           "linear m=67 n=70 k=1060 x_type=bf16 w_type=bf16 y_type=f32 bias=1 residual=1",
           "linear m=33 n=64 k=128 x_type=f32 w_type=f32 y_type=f32 residual=1",
           // Whole 16-byte vectors: tiles of every shape, partial in rows, columns and depth; k below, at and above one
           // slice of 64 columns and the slices in flight.
           "linear m=1 n=16 k=8 x_type=bf16 w_type=bf16 y_type=bf16",
           "linear m=2 n=33 k=80 x_type=bf16 w_type=bf16 y_type=bf16 residual=1",
           "linear m=17 n=40 k=64 x_type=bf16 w_type=bf16 y_type=bf16 bias=1",
           "linear m=70 n=131 k=200 x_type=bf16 w_type=bf16 y_type=bf16 bias=1 residual=1",
           "linear m=120 n=250 k=328 x_type=bf16 w_type=bf16 y_type=f32 residual=1",
           "linear m=601 n=129 k=72 x_type=bf16 w_type=bf16 y_type=bf16 residual=1",
           "linear m=250 n=505 k=136 x_type=bf16 w_type=bf16 y_type=bf16 bias=1",
           "linear m=250 n=250 k=200 x_type=bf16 w_type=bf16 y_type=bf16 residual=1",
           // One to eight rows: one or two rows of w per warp, k over 1 to 8 warps, a last block of few rows.
           "linear m=1 n=37 k=4104 x_type=bf16 w_type=bf16 y_type=bf16 bias=1",
           "linear m=2 n=270 k=1032 x_type=bf16 w_type=bf16 y_type=bf16 bias=1 residual=1",
           "linear m=3 n=21 k=1096 x_type=bf16 w_type=bf16 y_type=f32 residual=1",
           "linear m=4 n=259 k=264 x_type=bf16 w_type=bf16 y_type=bf16",
           "linear m=7 n=64 k=2056 x_type=bf16 w_type=bf16 y_type=f32 bias=1",
           "linear m=8 n=60 k=72 x_type=bf16 w_type=bf16 y_type=f32",
           // Up to 32 rows, with fewer slices of 64 columns than warps and with more than all stages hold.
           "linear m=5 n=50 k=2312 x_type=bf16 w_type=bf16 y_type=bf16 bias=1",
           "linear m=8 n=127 k=1352 x_type=bf16 w_type=bf16 y_type=f32 residual=1",
           "linear m=12 n=60 k=1800 x_type=bf16 w_type=bf16 y_type=bf16",
           "linear m=16 n=120 k=1352 x_type=bf16 w_type=bf16 y_type=bf16 bias=1 residual=1",
           "linear m=10 n=250 k=840 x_type=bf16 w_type=bf16 y_type=bf16",
           "linear m=20 n=100 k=1096 x_type=bf16 w_type=bf16 y_type=f32 bias=1",
           "linear m=30 n=240 k=840 x_type=bf16 w_type=bf16 y_type=bf16 residual=1",
           "linear m=4 n=19 k=45 x_type=f32 w_type=bf16 y_type=bf16 bias=1 residual=1",
           "linear m=5 n=66 k=33 x_type=bf16 w_type=f32 y_type=f32",
           // Tiles of 6 and 12 rows and one more, pieces of 128 and 256 k and a rest, few columns with k cut in parts,
           // more than 256 rows.
           "linear m=1 n=70 k=1345 x_type=f32 w_type=f32 y_type=f32 bias=1 residual=1",
           "linear m=13 n=129 k=513 x_type=f32 w_type=f32 y_type=f32",
           "linear m=7 n=65 k=2305 x_type=bf16 w_type=bf16 y_type=bf16 bias=1 residual=1",
           "linear m=12 n=200 k=260 x_type=bf16 w_type=f32 y_type=bf16 residual=1",
           "linear m=25 n=64 k=129 x_type=f32 w_type=bf16 y_type=f32",
           "linear m=270 n=67 k=150 x_type=f32 w_type=bf16 y_type=f32 bias=1",
           // Blocks of 128 x 128: one, whole ones, a part in rows, in columns and in both.
           "linear m=3 n=5 k=7 x_type=f32 w_type=fp8_block128 y_type=f32",
           "linear m=2 n=256 k=384 x_type=bf16 w_type=fp8_block128 y_type=bf16 residual=1",
           "linear m=5 n=130 k=257 x_type=bf16 w_type=fp8_block128 y_type=bf16 bias=1 bias_type=bf16",
           "linear m=1 n=300 k=129 x_type=bf16 w_type=fp8_block128 y_type=f32 bias=1 bias_type=f32",
           "linear m=4 n=19 k=45 x_type=f32 w_type=bf16 y_type=bf16 bias=1 bias_type=f32",
           // Every other format with scales: one row, few rows, more rows than a product takes at once, many; a block
           // of 64 columns and parts of one; one group of k and several.
           "linear m=1 n=64 k=256 x_type=bf16 w_type=q4_k y_type=bf16",
           "linear m=7 n=130 k=768 x_type=bf16 w_type=q4_k y_type=f32 residual=1",
           "linear m=1 n=130 k=512 x_type=bf16 w_type=q5_k y_type=bf16 residual=1",
           "linear m=5 n=64 k=256 x_type=bf16 w_type=q5_k y_type=f32",
           "linear m=40 n=65 k=512 x_type=bf16 w_type=q5_k y_type=bf16",
           "linear m=1 n=70 k=768 x_type=bf16 w_type=q6_k y_type=f32 bias=1 bias_type=bf16",
           "linear m=8 n=129 k=256 x_type=bf16 w_type=q6_k y_type=bf16",
           "linear m=27 n=64 k=512 x_type=bf16 w_type=q6_k y_type=bf16 residual=1",
           "linear m=1 n=70 k=128 x_type=bf16 w_type=int4_g128 y_type=f32",
           "linear m=8 n=200 k=384 x_type=bf16 w_type=int4_g128 y_type=bf16 residual=1",
           "linear m=45 n=64 k=256 x_type=f32 w_type=int4_g128 y_type=f32",
           "linear m=5 n=90 k=256 x_type=bf16 w_type=int4_g128_zp y_type=f32 bias=1 bias_type=bf16",
           "linear m=2 n=65 k=96 x_type=bf16 w_type=int4_g32 y_type=bf16",
           "linear m=13 n=128 k=32 x_type=bf16 w_type=int4_g32_zp y_type=f32",
           "linear m=1 n=300 k=160 x_type=bf16 w_type=q8_0 y_type=bf16 residual=1",
           "linear m=6 n=33 k=64 x_type=f32 w_type=q8_0 y_type=f32",
           "linear m=70 n=129 k=512 x_type=bf16 w_type=q8_0 y_type=f32",
           "linear m=1 n=129 k=352 x_type=bf16 w_type=q4_0 y_type=f32",
           "linear m=9 n=64 k=64 x_type=bf16 w_type=q4_0 y_type=bf16",
           "linear m=3 n=100 k=224 x_type=bf16 w_type=mxfp4 y_type=f32",
           "linear m=270 n=65 k=96 x_type=bf16 w_type=mxfp4 y_type=bf16 residual=1",
           "linear m=4 n=64 k=48 x_type=bf16 w_type=nvfp4 y_type=f32",
           "linear m=17 n=150 k=272 x_type=bf16 w_type=nvfp4 y_type=bf16",
           "linear m=2 n=70 k=300 x_type=bf16 w_type=fp8_channel y_type=f32",
           "linear m=30 n=192 k=129 x_type=bf16 w_type=fp8_channel y_type=bf16",
           "linear m=300 n=130 k=520 x_type=bf16 w_type=fp8_block128 y_type=bf16",
           // Columns of a wider output: its first, its last, some between, with and without a bias.
           "linear m=1 n=70 k=256 x_type=bf16 w_type=q6_k y_type=bf16 y_width=90 y_first=20",
           "linear m=9 n=64 k=256 x_type=bf16 w_type=q4_k y_type=bf16 bias=1 bias_type=bf16 y_width=65 y_first=0",
           "linear m=30 n=66 k=96 x_type=bf16 w_type=q8_0 y_type=f32 y_width=81 y_first=7",
           "linear m=3 n=65 k=64 x_type=f32 w_type=q4_0 y_type=f32 y_width=70 y_first=5",
           "linear m=2 n=130 k=72 x_type=bf16 w_type=bf16 y_type=bf16 bias=1 y_width=150 y_first=16",
           "linear m=70 n=67 k=200 x_type=bf16 w_type=bf16 y_type=f32 y_width=69 y_first=1",
           "linear m=40 n=33 k=50 x_type=f32 w_type=f32 y_type=bf16 bias=1 y_width=40 y_first=7",
           // f32 activations.
           "linear m=1 n=70 k=512 x_type=f32 w_type=q4_k y_type=f32 bias=1 bias_type=f32",
           "linear m=14 n=64 k=256 x_type=f32 w_type=q4_k y_type=bf16",
           "linear m=2 n=70 k=256 x_type=f32 w_type=q5_k y_type=f32",
           "linear m=13 n=65 k=512 x_type=f32 w_type=q6_k y_type=f32 residual=1",
           "linear m=2 n=130 k=256 x_type=f32 w_type=int4_g128_zp y_type=f32",
           "linear m=40 n=65 k=64 x_type=f32 w_type=int4_g32_zp y_type=f32",
           "linear m=3 n=64 k=96 x_type=f32 w_type=q4_0 y_type=f32 residual=1",
           "linear m=4 n=129 k=160 x_type=f32 w_type=mxfp4 y_type=f32",
           "linear m=6 n=70 k=80 x_type=f32 w_type=nvfp4 y_type=f32",
           "linear m=5 n=66 k=330 x_type=f32 w_type=fp8_channel y_type=f32",
       })
    out.push_back(OpCase::parse(text));
  return out;
}

}  // namespace

LinearOutput linear_output(const OpCase& c, const Tensor& y) {
  const Columns columns(c);
  return {y.as<std::byte>() + columns.first * static_cast<std::int64_t>(size_of(y.dtype)), columns.width};
}

const OpDef linear_op{"linear",       "matrix product with a constant matrix, optional bias and residual",
                      keys,           tensors,
                      work,           tolerance,
                      reference,      test_cases,
                      linear_variants};

}  // namespace layercost
