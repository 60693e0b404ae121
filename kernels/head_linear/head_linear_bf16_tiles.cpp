// bf16 with the processor's own bf16 products: all blocks of 64 columns of all heads are one list that the threads
// share. Rows are put together by heads before it and apart behind it, which is little beside the weights: of 16 heads
// of 128 and 512 one row brings 4 KB, goes out as 16 KB and meets 2 MB.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "head_linear_variants.h"
#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/cpu/bf16_tiles.h"
#include "kernels/head_linear/head_linear.h"

namespace layercost {
namespace {

struct Product {
  HeadLinearAxes a;
  TileProduct tile;
  Tensor x, y;
  std::shared_ptr<const Bf16Tiles> w;
  OwnedTensor in, out;  // [heads, tokens, k], [heads, tokens, n]
  Buffer packed;        // of each head

  bf16* packed_of(std::int64_t head) const {
    return packed.as<bf16>() + head * TileProduct::packed_elements(a.tokens, a.k);
  }

  template <class Y>
  void run() {
    each_row(a.heads, a.heads * a.tokens * a.k >= kParallelElements, [&](std::int64_t h) {
      bf16* rows = in.view().as<bf16>() + h * a.tokens * a.k;
      for (std::int64_t t = 0; t < a.tokens; ++t)
        std::copy_n(x.as<bf16>() + (t * a.heads + h) * a.x_dim(), a.k, rows + t * a.k);
      tile.pack(rows, a.tokens, a.k, packed_of(h));
    });
    each_piece(a.heads * w->blocks(), [&](int, std::int64_t i, std::int64_t after) {
      const std::int64_t h = i / w->blocks(), b = i % w->blocks();
      const TileOutput<Y> to{out.view().as<Y>() + h * a.tokens * a.n};
      tile.block(packed_of(h), a.tokens, *w, h, b,
                 after < 0 ? nullptr : w->block(after / w->blocks(), after % w->blocks()), to);
    });
    each_row(a.tokens * a.heads, a.tokens * a.heads * a.n >= kParallelElements, [&](std::int64_t row) {
      const std::int64_t t = row / a.heads, h = row % a.heads;
      const bf16* from = x.as<bf16>() + row * a.x_dim() + a.k;
      Y* to = y.as<Y>() + row * a.y_dim();
      std::copy_n(out.view().as<Y>() + (h * a.tokens + t) * a.n, a.n, to);
      for (std::int64_t i = 0; i < a.tail; ++i) store_f32(to + a.n + i, to_f32(from[i]));
    });
  }
};

Support supports(const OpCase&, const DeviceInfo& device) {
  return has_tile_product(device) ? Support::yes() : Support::no("needs AVX-512-BF16");
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const HeadLinearAxes a = head_linear_axes(c);
  const auto p = std::make_shared<Product>(
      a, TileProduct(runtime.device()), t.tensor("x"), t.tensor("y"), Bf16Tiles::of(*head_matrices(t.weight("w"), a)),
      OwnedTensor(DType::bf16, {a.heads * a.tokens, a.k}), OwnedTensor(c.type("y_type"), {a.heads * a.tokens, a.n}),
      Buffer(static_cast<std::size_t>(a.heads * TileProduct::packed_elements(a.tokens, a.k)) * sizeof(bf16)));
  return dispatch_float(p->y.dtype, [&]<class Y>(Y*) {
    return invocation([p] { p->run<Y>(); }, fmt::format("{}, weights BA16a64b2a", p->tile.name_for(a.tokens)));
  });
}

}  // namespace

const Variant head_linear_bf16_tiles{
    .name = "bf16_tiles",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "first_row transposed tail x_type=bf16 w_type=bf16 y_type=f32|bf16",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
