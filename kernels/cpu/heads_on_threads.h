// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "kernels/contract/op.h"
#include "kernels/core/team.h"
#include "kernels/cpu/simd.h"

namespace layercost {

// head(d, sequence, head, scratch) for all heads of all sequences of d.a, on threads with scratch_floats each. `held`:
// what d points into.
template <class D, class... Held>
std::unique_ptr<Invocation> heads_on_threads(const D& d, std::int64_t scratch_floats,
                                             void (*head)(const D&, std::int64_t, std::int64_t, float*), Held... held) {
  const auto scratch = std::make_shared<const OwnedTensor>(DType::f32, Shape{team_threads(), scratch_floats});
  return invocation(
      [d, head, scratch, scratch_floats, held...] {
        each_piece(d.a.batch * d.a.heads, [&](int thread, std::int64_t i, std::int64_t) {
          head(d, i / d.a.heads, i % d.a.heads, scratch->view().as<float>() + thread * scratch_floats);
        });
      },
      simd_target());
}

}  // namespace layercost
