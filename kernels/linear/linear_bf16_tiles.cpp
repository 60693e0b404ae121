// A few rows of bf16, where reading the weights is all of the cost: threads take blocks of 64 columns one by one, so
// that a busy neighbour on one core costs its share and not the whole product's doubling.
// Limit:   n / 64 pieces of work, so a small n does not fill many cores.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/cpu/bf16_tiles.h"
#include "kernels/libraries/onednn.h"
#include "kernels/linear/linear.h"
#include "linear_variants.h"

namespace layercost {
namespace {

struct Product {
  TileProduct tile;
  std::int64_t m;
  Tensor x, y, residual;
  LinearOutput to;
  std::shared_ptr<const Bf16Tiles> w;
  std::shared_ptr<const OwnedTensor> bias;
  Buffer packed;

  template <class Y>
  void run() {
    const TileOutput<Y> out{static_cast<Y*>(to.data), bias ? bias->view().as<bf16>() : nullptr, residual.as<Y>(),
                            to.stride};
    const std::int64_t k = w->k();
    each_row(TileProduct::steps(k), m * k >= kParallelElements,
             [&](std::int64_t s) { tile.pack(x.as<bf16>(), m, k, s, s + 1, packed.as<bf16>()); });
    each_piece(w->blocks(), [&](int, std::int64_t i, std::int64_t after) {
      tile.block(packed.as<bf16>(), m, *w, 0, i, after < 0 ? nullptr : w->block(0, after), out);
    });
  }
};

Support supports(const OpCase&, const DeviceInfo& device) {
  return has_tile_product(device) ? Support::yes() : Support::no("needs AVX-512-BF16");
}

bool prefers(const OpCase& c, const DeviceInfo& device) {
  return c.axis("m") <= few_rows(device) ||
         !(has_amx_product(device) || onednn_supports(c.type("x_type"), c.type("w_type"), c.type("y_type"), device));
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const std::int64_t m = c.axis("m"), k = c.axis("k");
  const auto p =
      std::make_shared<Product>(TileProduct(runtime.device()), m, t.tensor("x"), t.tensor("y"),
                                c.flag("residual") ? t.tensor("residual") : Tensor{}, linear_output(c, t.tensor("y")),
                                Bf16Tiles::of(*t.weight("w")), c.flag("bias") ? row_major(*t.weight("bias")) : nullptr,
                                Buffer(static_cast<std::size_t>(TileProduct::packed_elements(m, k)) * sizeof(bf16)));
  return dispatch_float(p->y.dtype, [&]<class Y>(Y*) {
    return invocation([p] { p->run<Y>(); }, fmt::format("{}, weights BA16a64b2a", p->tile.name_for(m)));
  });
}

}  // namespace

const Variant linear_bf16_tiles{
    .name = "bf16_tiles",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=bf16 w_type=bf16 y_type=f32|bf16 bias residual y_width y_first",
    .supports = supports,
    .prefers = prefers,
    .make = prepare,
};

}  // namespace layercost
