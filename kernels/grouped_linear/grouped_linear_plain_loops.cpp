// Dot products over row-major weights: each step is one expert and eight of its rows, which stay in the first-level
// cache over the expert's rows of x. Steps are shared out as threads become free, because experts have unequal numbers
// of rows.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <vector>

#include "grouped_linear_variants.h"
#include "kernels/contract/bias.h"
#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/cpu/plain_dot.h"

namespace layercost {
namespace {

// Rows of w by their number over all experts, in place or decoded into `room`.
template <class W>
struct PlainRows {
  const W* w;
  std::int64_t k;
  const W* operator()(std::int64_t first, std::int64_t, std::vector<float>&) const { return w + first * k; }
};
struct CodedRows {
  const CodedWeight* w;
  const float* operator()(std::int64_t first, std::int64_t count, std::vector<float>& room) const {
    const std::int64_t k = w->columns;
    room.resize(static_cast<std::size_t>(count * k));
    for (std::int64_t j = 0; j < count; ++j) w->decode(first + j, 0, k, room.data() + j * k);
    return room.data();
  }
};

template <class X, class Rows, class Y>
void product(std::int64_t experts, std::int64_t n, std::int64_t k, const X* x, const std::int32_t* offsets,
             const Rows& rows, const float* bias, Y* y) {
  constexpr std::int64_t kRows = 8;
  each_row_and_column(experts, (n + kRows - 1) / kRows, true, [&](std::int64_t e, std::int64_t block) {
    thread_local std::vector<float> room;
    if (offsets[e] == offsets[e + 1]) return;
    const std::int64_t begin = block * kRows, end = std::min(n, begin + kRows);
    const auto* w = rows(e * n + begin, end - begin, room);
    for (std::int64_t r = offsets[e]; r < offsets[e + 1]; ++r)
      for (std::int64_t j = begin; j < end; ++j)
        store_f32(y + r * n + j,
                  plain_dot(x + r * k, w + (j - begin) * k, k) + (bias != nullptr ? bias[e * n + j] : 0.0f));
  });
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const std::int64_t experts = c.axis("experts"), n = c.axis("n"), k = c.axis("k");
  const Tensor x = t.tensor("x"), offsets = t.tensor("offsets"), y = t.tensor("y");
  const std::shared_ptr<const Weight> weight = t.weight("w");
  const auto bias = f32_bias(c, t);
  return dispatch_float(x.dtype, [&]<class X>(X*) {
    return dispatch_float(y.dtype, [&]<class Y>(Y*) -> std::unique_ptr<Invocation> {
      const auto run = [=](const auto& rows) {
        product(experts, n, k, x.as<X>(), offsets.as<std::int32_t>(), rows, bias ? bias->view().as<float>() : nullptr,
                y.as<Y>());
      };
      if (!weight->format().is_plain()) {
        weight->coded();  // made here, not when it is timed
        return invocation([=] { run(CodedRows{&weight->coded()}); });
      }
      const auto w = row_major(*weight);
      return dispatch_float(w->view().dtype, [&]<class W>(W*) {
        return invocation([=] { run(PlainRows<W>{w->view().template as<W>(), k}); });
      });
    });
  });
}

}  // namespace

const Variant grouped_linear_plain_loops{
    .name = "plain_loops",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 w_type=* y_type=f32|bf16 bias bias_type=f32|bf16",
    .plain = true,
    .make = prepare,
};

}  // namespace layercost
