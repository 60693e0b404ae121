// Any types on any processor with vectors, in f32: SimdProduct, a group of rows for every head. Rows are put together
// by heads before it and apart behind it. A weight of codes is decoded when it is packed: it is some 3 % of a layer's,
// and its rows lie across the product's columns where it is transposed.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "head_linear_variants.h"
#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/simd_product.h"
#include "kernels/head_linear/head_linear.h"

namespace layercost {
namespace {

Support supports(const OpCase&, const DeviceInfo&) { return simd_product_support(); }

// Of elements that are moved alone this many are worth a second thread.
bool many(std::int64_t elements) { return elements >= kParallelElements; }

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const HeadLinearAxes a = head_linear_axes(c);
  const Tensor x = t.tensor("x"), y = t.tensor("y");
  const auto matrices = head_matrices(t.weight("w"), a);
  const std::shared_ptr<SimdProduct> product =
      SimdProduct::make(*matrices, x.dtype, y.dtype, a.heads * a.tokens, a.heads);
  std::vector<SimdProduct::Group> groups;
  for (std::int64_t h = 0; h < a.heads; ++h) groups.push_back({h * a.tokens, a.tokens, h});
  const auto in = std::make_shared<OwnedTensor>(x.dtype, Shape{a.heads * a.tokens, a.k});
  const auto out = std::make_shared<OwnedTensor>(y.dtype, Shape{a.heads * a.tokens, a.n});
  return dispatch_float(x.dtype, [&]<class X>(X*) {
    return dispatch_float(y.dtype, [&]<class Y>(Y*) {
      return invocation(
          [=, keep = matrices] {
            X* rows = in->view().as<X>();
            each_row(a.heads * a.tokens, many(a.heads * a.tokens * a.k), [&](std::int64_t row) {
              const std::int64_t h = row / a.tokens, token = row % a.tokens;
              std::copy_n(x.as<X>() + (token * a.heads + h) * a.x_dim(), a.k, rows + row * a.k);
            });
            product->run(groups, {rows, nullptr, nullptr, out->view().data});
            const Y* sums = out->view().as<Y>();
            each_row(a.tokens * a.heads, many(a.heads * a.tokens * a.n), [&](std::int64_t row) {
              const std::int64_t token = row / a.heads, h = row % a.heads;
              const X* from = x.as<X>() + row * a.x_dim() + a.k;
              Y* to = y.as<Y>() + row * a.y_dim();
              std::copy_n(sums + (h * a.tokens + token) * a.n, a.n, to);
              for (std::int64_t i = 0; i < a.tail; ++i) store_f32(to + a.n + i, load_f32(from + i));
            });
          },
          product->chosen());
    });
  });
}

}  // namespace

const Variant head_linear_highway_columns{
    .name = "highway_columns",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "first_row transposed tail x_type=f32|bf16 w_type=* y_type=f32|bf16",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
