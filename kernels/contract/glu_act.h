// What:    the activations of a gated MLP, for the ops that have one.
// Formula: silu     gate / (1 + exp(-gate)) * up
//          clamped  with g = min(gate, limit), u = up within -limit .. limit: g / (1 + exp(-1.702 g)) * (u + 1)
// Keys:    [act=silu] [limit], which stands with clamped and only there.
// Source:  Shazeer, "GLU Variants Improve Transformer", 2020 (SwiGLU); clamped: gpt-oss as in transformers 5.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <string_view>

#include "kernels/contract/op.h"
#include "kernels/core/error.h"

namespace layercost {

inline constexpr std::string_view kGluActs[] = {"silu", "clamped"};
inline constexpr double kClampedAlpha = 1.702;

struct GluAct {
  bool clamped = false;
  double limit = 0;  // of clamped

  template <class T>
  T operator()(T gate, T up) const {
    if (!clamped) return gate / (1 + std::exp(-gate)) * up;
    const T most = static_cast<T>(limit), alpha = static_cast<T>(kClampedAlpha);
    gate = std::min(gate, most);
    up = std::clamp(up, -most, most);
    return gate / (1 + std::exp(-alpha * gate)) * (up + 1);
  }
  // Beside exp, counted as one.
  double flops() const { return clamped ? 10 : 5; }
};

inline GluAct glu_act(const OpCase& c) {
  GluAct act{.clamped = c.word("act", "silu") == "clamped"};
  if (act.clamped != c.has("limit"))
    throw BadCase("'" + c.text() + "': expected limit with act=clamped, and only there");
  if (act.clamped) act.limit = c.real("limit");
  return act;
}

}  // namespace layercost
