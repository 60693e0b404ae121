// What:    the bias of a case as f32, for variants that add it to their f32 sums whatever type it is stored in.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "kernels/contract/op.h"

namespace layercost {

// [n]; null without a bias.
inline std::shared_ptr<const OwnedTensor> f32_bias(const OpCase& c, const OpTensors& t) {
  if (!c.flag("bias")) return nullptr;
  const OwnedTensor stored = t.weight("bias")->whole();
  auto values = std::make_shared<OwnedTensor>(DType::f32, Shape{c.axis("n")});
  for (std::int64_t i = 0; i < c.axis("n"); ++i) values->view().store(i, stored.view().load(i));
  return values;
}

}  // namespace layercost
