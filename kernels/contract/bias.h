// What:    the bias beside a constant matrix: its type as a case says it, and its values as f32, for variants that add
//          it to their f32 sums whatever type it is stored in.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "kernels/contract/dispatch.h"
#include "kernels/contract/op.h"
#include "kernels/core/error.h"

namespace layercost {

// That of a plain matrix, unless the case says another.
inline DType bias_type(const OpCase& c) {
  if (c.has("bias_type")) return c.type("bias_type");
  if (const WeightFormat& f = c.format("w_type"); f.is_plain()) return f.values;
  throw BadCase("'" + c.text() + "': a bias beside a matrix in blocks needs bias_type");
}

// As the case's bias is shaped; null without one.
inline std::shared_ptr<const OwnedTensor> f32_bias(const OpCase& c, const OpTensors& t, const char* name = "bias") {
  return c.flag("bias") ? f32_values(*t.weight(name)) : nullptr;
}

}  // namespace layercost
