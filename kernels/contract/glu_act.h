// What:    the activations of a gated MLP, for the ops that have one.
// Formula: silu     gate / (1 + exp(-gate)) * up
//          gelu_tanh  gate / (1 + exp(-2 sqrt(2/pi) (gate + 0.044715 gate^3))) * up
//          clamped  with g = min(gate, limit), u = up within -limit .. limit: g / (1 + exp(-1.702 g)) * (u + 1)
// Keys:    [act=silu] [limit], which stands with clamped and only there.
// Source:  Shazeer, "GLU Variants Improve Transformer", 2020 (SwiGLU, GEGLU); gelu_tanh: Hendrycks and Gimpel,
//          2016, whose tanh form this is, as in Gemma; clamped: gpt-oss as in transformers 5.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <string_view>

#include "kernels/contract/op.h"
#include "kernels/core/error.h"

namespace layercost {

enum class GluKind { silu, clamped, gelu_tanh };
inline constexpr std::string_view kGluActs[] = {"silu", "clamped", "gelu_tanh"};  // in the order of GluKind
inline constexpr double kClampedAlpha = 1.702;
inline constexpr double kGeluSlope = 1.5957691216057308, kGeluCubic = 0.044715;  // 2 sqrt(2/pi)

struct GluAct {
  GluKind kind = GluKind::silu;
  double limit = 0;  // of clamped

  template <class T>
  T operator()(T gate, T up) const {
    if (kind == GluKind::silu) return gate / (1 + std::exp(-gate)) * up;
    if (kind == GluKind::gelu_tanh) {
      const T slope = static_cast<T>(kGeluSlope), cubic = static_cast<T>(kGeluCubic);
      return gate / (1 + std::exp(-slope * (gate + cubic * gate * gate * gate))) * up;
    }
    const T most = static_cast<T>(limit), alpha = static_cast<T>(kClampedAlpha);
    gate = std::min(gate, most);
    up = std::clamp(up, -most, most);
    return gate / (1 + std::exp(-alpha * gate)) * (up + 1);
  }
  // Beside exp, counted as one.
  double flops() const { return kind == GluKind::silu ? 5 : 10; }
};

inline GluAct glu_act(const OpCase& c) {
  GluAct act{.kind = static_cast<GluKind>(std::find(std::begin(kGluActs), std::end(kGluActs), c.word("act", "silu")) -
                                          std::begin(kGluActs))};
  const bool clamped = act.kind == GluKind::clamped;
  if (clamped != c.has("limit")) throw BadCase("'" + c.text() + "': expected limit with act=clamped, and only there");
  if (clamped) act.limit = c.real("limit");
  return act;
}

}  // namespace layercost
