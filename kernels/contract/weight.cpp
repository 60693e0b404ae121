// SPDX-License-Identifier: Apache-2.0
#include "kernels/contract/weight.h"

#include <algorithm>

namespace layercost {

OwnedTensor Weight::whole() const {
  OwnedTensor t(dtype_, shape_);
  const std::int64_t n = elements_of(shape_), block = 1 << 18;
  auto* out = static_cast<std::byte*>(t.view().data);
#pragma omp parallel for schedule(static)
  for (std::int64_t b = 0; b < (n + block - 1) / block; ++b)
    read(b * block, std::min(block, n - b * block), out + static_cast<std::size_t>(b * block) * size_of(dtype_));
  return t;
}

}  // namespace layercost
