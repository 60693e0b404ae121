// SPDX-License-Identifier: Apache-2.0
#include "kernels/head_linear/head_linear.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "head_linear_variants.h"
#include "kernels/contract/reference.h"
#include "kernels/core/error.h"
#include "kernels/core/team.h"

namespace layercost {

HeadLinearAxes head_linear_axes(const OpCase& c) {
  const HeadLinearAxes a{.tokens = c.axis("tokens"),
                         .heads = c.axis("heads"),
                         .n = c.axis("n"),
                         .k = c.axis("k"),
                         .rows = c.axis("rows"),
                         .first_row = c.integer("first_row", 0),
                         .tail = c.integer("tail", 0),
                         .transposed = c.flag("transposed")};
  if (a.first_row + a.used_rows() > a.rows)
    throw BadCase("'" + c.text() + "': expected first_row and the rows that are used within rows");
  return a;
}

std::shared_ptr<const Weight> head_matrices(const std::shared_ptr<const Weight>& w, const HeadLinearAxes& a) {
  const std::string key = fmt::format("heads {} x {} from row {} of {}{}", a.n, a.k, a.first_row, a.rows,
                                      a.transposed ? " transposed" : "");
  return w->packed<Weight>(key, [&] {
    // It is kept by w, which it reads, so that w outlives it.
    const auto fill = [from = w.get(), a](std::int64_t first, std::int64_t count, void* out) {
      const std::size_t size = size_of(from->dtype());
      auto* to = static_cast<std::byte*>(out);
      const std::int64_t end = first + count;
      std::vector<std::byte> part;
      for (std::int64_t at = first; at < end;) {
        // As many whole rows of n of one head as there are from here, or a part of one.
        const std::int64_t head = at / (a.n * a.k), j = at / a.k % a.n, i = at % a.k;
        std::int64_t here = std::min(a.k - i, end - at);
        if (!a.transposed) {
          from->read((a.row_of(head) + j) * a.k + i, here, to);
        } else {
          std::int64_t columns = 1;
          if (here == a.k) columns = std::min(a.n - j, (end - at) / a.k);
          here *= columns;
          part.resize(static_cast<std::size_t>(columns) * size);
          for (std::int64_t row = i; row < i + here / columns; ++row) {
            from->read((a.row_of(head) + row) * a.n + j, columns, part.data());
            for (std::int64_t c = 0; c < columns; ++c)
              std::memcpy(to + static_cast<std::size_t>(c * a.k + row - i) * size,
                          part.data() + static_cast<std::size_t>(c) * size, size);
          }
        }
        at += here;
        to += static_cast<std::size_t>(here) * size;
      }
    };
    return std::make_shared<const Weight>(w->dtype(), Shape{a.heads, a.n, a.k}, fill);
  });
}

namespace {

constexpr KnownKey keys[] = {
    axis_key("tokens"),
    axis_key("heads"),
    axis_key("n"),
    axis_key("k"),
    axis_key("rows"),
    integer_key("first_row", 0).or_else("0"),
    flag_key("transposed"),
    integer_key("tail", 0).or_else("0"),
    type_key("x_type", kFloatTypes),
    format_key("w_type"),
    type_key("y_type", kFloatTypes),
};

std::vector<TensorSpec> tensors(const OpCase& c) {
  const HeadLinearAxes a = head_linear_axes(c);
  const WeightFormat& w = c.format("w_type");
  return {
      {"x", Role::input, c.type("x_type"), {a.tokens, a.heads, a.x_dim()}},
      {.name = "w",
       .role = Role::weight,
       .dtype = w.values,
       .shape = {a.heads * a.rows, a.columns()},
       .sigma = static_cast<float>(1.0 / std::sqrt(static_cast<double>(a.k))),
       .format = &w},
      {"y", Role::output, c.type("y_type"), {a.tokens, a.heads, a.y_dim()}},
  };
}

Work work(const OpCase& c, const WorkFacts&) {
  const HeadLinearAxes a = head_linear_axes(c);
  const auto rows = static_cast<double>(a.tokens * a.heads);
  Work w;
  w.flops = 2 * rows * static_cast<double>(a.n) * static_cast<double>(a.k);
  w.products = {{arithmetic_of(c.type("x_type"), c.format("w_type")), w.flops}};
  w.weight_bytes = c.format("w_type").bytes(a.heads * a.rows, a.columns()) * static_cast<double>(a.used_rows()) /
                   static_cast<double>(a.rows);
  w.activation_bytes = rows * (static_cast<double>(a.x_dim()) * static_cast<double>(size_of(c.type("x_type"))) +
                               static_cast<double>(a.y_dim()) * static_cast<double>(size_of(c.type("y_type"))));
  return w;
}

Tolerance tolerance(const OpCase& c, const std::string&) { return usual_tolerance(c.type("y_type"), c.axis("k")); }

void reference(const OpCase& c, const OpTensors& t) {
  const HeadLinearAxes a = head_linear_axes(c);
  const std::vector<double> x = as_double(t.tensor("x")), w = as_double(t.weight("w")->whole());
  const Tensor& y = t.tensor("y");
  std::vector<std::int64_t> rows(static_cast<std::size_t>(a.tokens));
  std::iota(rows.begin(), rows.end(), 0);
  if (t.asked() != nullptr && t.asked()->from_column > 0) rows = t.asked()->rows;
  each_piece(a.heads, [&](int, std::int64_t h, std::int64_t) {
    const double* matrix = w.data() + a.row_of(h) * a.columns();
    for (const std::int64_t token : rows) {
      const double* in = x.data() + (token * a.heads + h) * a.x_dim();
      const std::int64_t out = (token * a.heads + h) * a.y_dim();
      std::vector<double> sums(static_cast<std::size_t>(a.n));
      for (std::int64_t j = 0; j < a.n; ++j)
        for (std::int64_t i = 0; i < a.k; ++i)
          sums[static_cast<std::size_t>(j)] += in[i] * matrix[a.transposed ? i * a.n + j : j * a.k + i];
      for (std::int64_t j = 0; j < a.n; ++j) y.store(out + j, sums[static_cast<std::size_t>(j)]);
      for (std::int64_t i = 0; i < a.tail; ++i) y.store(out + a.n + i, in[a.k + i]);
    }
  });
}

std::vector<OpCase> test_cases() {
  std::vector<OpCase> out;
  for (const char* text : {
           "head_linear tokens=1 heads=1 n=1 k=1 rows=1 x_type=f32 w_type=f32 y_type=f32",
           "head_linear tokens=3 heads=5 n=12 k=7 rows=20 first_row=8 x_type=f32 w_type=f32 y_type=f32",
           "head_linear tokens=3 heads=5 n=20 k=8 rows=21 transposed=1 tail=6 x_type=f32 w_type=f32 y_type=f32",
           "head_linear tokens=1 heads=16 n=512 k=128 rows=256 transposed=1 tail=64 x_type=bf16 w_type=bf16 "
           "y_type=bf16",
           "head_linear tokens=1 heads=16 n=128 k=512 rows=256 first_row=128 x_type=bf16 w_type=bf16 y_type=bf16",
           "head_linear tokens=9 heads=3 n=512 k=128 rows=256 transposed=1 tail=64 x_type=bf16 w_type=bf16 y_type=bf16",
           "head_linear tokens=19 heads=2 n=128 k=512 rows=256 first_row=128 x_type=bf16 w_type=bf16 y_type=bf16",
           "head_linear tokens=70 heads=2 n=77 k=90 rows=100 first_row=23 x_type=bf16 w_type=bf16 y_type=f32",
           "head_linear tokens=4 heads=3 n=130 k=33 rows=40 first_row=5 transposed=1 tail=3 x_type=bf16 w_type=bf16 "
           "y_type=f32",
           "head_linear tokens=2 heads=4 n=40 k=66 rows=48 first_row=8 x_type=f32 w_type=bf16 y_type=bf16",
           "head_linear tokens=3 heads=2 n=24 k=40 rows=25 first_row=1 tail=8 x_type=bf16 w_type=bf16 y_type=bf16",
           "head_linear tokens=5 heads=2 n=72 k=64 rows=64 transposed=1 tail=8 x_type=bf16 w_type=f32 y_type=bf16",
           "head_linear tokens=2 heads=2 n=70 k=130 rows=80 first_row=9 x_type=bf16 w_type=fp8_block128 y_type=bf16",
           "head_linear tokens=1 heads=2 n=200 k=30 rows=33 transposed=1 tail=2 x_type=f32 w_type=fp8_block128 "
           "y_type=f32",
       })
    out.push_back(OpCase::parse(text));
  return out;
}

}  // namespace

const OpDef head_linear_op{
    "head_linear",       "a product of its own for every head", keys, tensors, work, tolerance, reference, test_cases,
    head_linear_variants};

}  // namespace layercost
