// Heads shared out among the threads, w as it is stored. The fallback, and the variant of every weight format.
// SPDX-License-Identifier: Apache-2.0

#include <algorithm>
#include <vector>

#include "head_linear_variants.h"
#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/cpu/plain_dot.h"
#include "kernels/head_linear/head_linear.h"

namespace layercost {
namespace {

// One head of all tokens; w: its used rows. sums: n floats.
template <class X, class W, class Y>
void multiply_head(const HeadLinearAxes& a, std::int64_t h, const X* x, const W* w, float* sums, Y* y) {
  for (std::int64_t t = 0; t < a.tokens; ++t) {
    const X* in = x + (t * a.heads + h) * a.x_dim();
    Y* out = y + (t * a.heads + h) * a.y_dim();
    if (a.transposed) {
      std::fill_n(sums, a.n, 0.0f);
      for (std::int64_t i = 0; i < a.k; ++i) {
        const float v = load_f32(in + i);
        for (std::int64_t j = 0; j < a.n; ++j) sums[j] += v * load_f32(w + i * a.n + j);
      }
    } else {
      for (std::int64_t j = 0; j < a.n; ++j) sums[j] = plain_dot(in, w + j * a.k, a.k);
    }
    for (std::int64_t j = 0; j < a.n; ++j) store_f32(out + j, sums[j]);
    for (std::int64_t i = 0; i < a.tail; ++i) store_f32(out + a.n + i, load_f32(in + a.k + i));
  }
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const HeadLinearAxes a = head_linear_axes(c);
  const Tensor x = t.tensor("x"), y = t.tensor("y");
  const std::shared_ptr<const Weight> weight = t.weight("w");
  const bool coded = !weight->format().is_plain();
  // Each thread: n sums, and the rows of a head that is decoded as it is needed.
  const int threads = team_threads();
  const std::int64_t used = a.used_rows() * a.columns(), floats = a.n + (coded ? used : 0);
  const auto memory = std::make_shared<OwnedTensor>(DType::f32, Shape{threads, floats});
  const auto plain = coded ? nullptr : row_major(*weight);
  if (coded) weight->coded();  // made here, not when it is timed
  return dispatch_float(x.dtype, [&]<class X>(X*) {
    return dispatch_float(coded ? DType::f32 : plain->view().dtype, [&]<class W>(W*) {
      return dispatch_float(y.dtype, [&]<class Y>(Y*) {
        return invocation([=] {
          each_piece(a.heads, [&](int thread, std::int64_t h, std::int64_t) {
            float* sums = memory->view().as<float>() + thread * floats;
            if (coded) {
              float* rows = sums + a.n;
              for (std::int64_t r = 0; r < a.used_rows(); ++r)
                weight->coded().decode(a.row_of(h) + r, 0, a.columns(), rows + r * a.columns());
              multiply_head(a, h, x.as<X>(), rows, sums, y.as<Y>());
            } else {
              multiply_head(a, h, x.as<X>(), plain->view().as<W>() + a.row_of(h) * a.columns(), sums, y.as<Y>());
            }
          });
        });
      });
    });
  });
}

}  // namespace

const Variant head_linear_plain_loops{
    .name = "plain_loops",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "first_row transposed tail x_type=f32|bf16 w_type=* y_type=f32|bf16",
    .plain = true,
    .make = prepare,
};

}  // namespace layercost
