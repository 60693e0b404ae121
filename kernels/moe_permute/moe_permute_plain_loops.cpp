// A counting sort over the pairs on one thread, then copies of whole rows, which are all of the cost.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>

#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "moe_permute_variants.h"

namespace layercost {
namespace {

void number(std::int64_t tokens, std::int64_t experts, std::int64_t top_k, const std::int32_t* ids,
            std::int32_t* offsets, std::int32_t* slots, std::int32_t* next) {
  std::fill_n(offsets, experts + 1, 0);
  for (std::int64_t p = 0; p < tokens * top_k; ++p) ++offsets[ids[p] + 1];
  for (std::int64_t e = 0; e < experts; ++e) offsets[e + 1] += offsets[e];
  std::copy_n(offsets, experts, next);
  for (std::int64_t p = 0; p < tokens * top_k; ++p) slots[p] = next[ids[p]]++;
}

void copy(std::int64_t tokens, std::int64_t top_k, std::size_t row_bytes, const std::byte* x, const std::int32_t* slots,
          std::byte* y) {
  const std::size_t total = static_cast<std::size_t>(tokens * top_k) * row_bytes;
  // Below 128 KiB the threads' start costs more than the copy.
  each_row(tokens, total > (1u << 17), [&](std::int64_t t) {
    for (std::int64_t j = 0; j < top_k; ++j)
      std::memcpy(y + static_cast<std::size_t>(slots[t * top_k + j]) * row_bytes,
                  x + static_cast<std::size_t>(t) * row_bytes, row_bytes);
  });
}

template <class X>
void weigh(std::int64_t tokens, std::int64_t hidden, std::int64_t top_k, const X* x, const float* weights,
           const std::int32_t* slots, X* y) {
  each_row(tokens * top_k, tokens * top_k * hidden > (1 << 15), [&](std::int64_t p) {
    for (std::int64_t i = 0; i < hidden; ++i)
      store_f32(y + slots[p] * hidden + i, load_f32(x + p / top_k * hidden + i) * weights[p]);
  });
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const std::int64_t tokens = c.axis("tokens"), experts = c.axis("experts"), top_k = c.axis("top_k");
  const std::size_t row_bytes = static_cast<std::size_t>(c.axis("hidden")) * size_of(c.type("x_type"));
  const Tensor x = t.tensor("x"), ids = t.tensor("ids"), y = t.tensor("y"), offsets = t.tensor("offsets"),
               slots = t.tensor("slots");
  const auto next = std::make_shared<OwnedTensor>(DType::i32, Shape{experts});
  const auto sort = [=] {
    number(tokens, experts, top_k, ids.as<std::int32_t>(), offsets.as<std::int32_t>(), slots.as<std::int32_t>(),
           next->view().as<std::int32_t>());
  };
  if (!c.flag("weighted"))
    return invocation([=] {
      sort();
      copy(tokens, top_k, row_bytes, x.as<std::byte>(), slots.as<std::int32_t>(), y.as<std::byte>());
    });
  const Tensor weights = t.tensor("weights");
  return dispatch_float(x.dtype, [&]<class X>(X*) {
    return invocation([=] {
      sort();
      weigh(tokens, x.dim(1), top_k, x.as<X>(), weights.as<float>(), slots.as<std::int32_t>(), y.as<X>());
    });
  });
}

}  // namespace

const Variant moe_permute_plain_loops{
    .name = "plain_loops",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "weighted x_type=f32|bf16",
    .plain = true,
    .make = prepare,
};

}  // namespace layercost
