// A few rows of bf16, where reading the weights is all of the cost: each thread reads its blocks of 64 columns from
// start to end, at 80 to 90 % of the read bandwidth up to 6 rows, at 80 % with AMX up to 16.
// Limit:   n / 64 pieces of work, so a small n does not fill many cores.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "kernels/contract/dispatch.h"
#include "kernels/shared/bf16_tiles.h"
#include "kernels/shared/onednn.h"
#include "linear_variants.h"

namespace layercost {
namespace {

template <class Y>
void product(const TileProduct& tile, std::int64_t m, const bf16* x, const Bf16Tiles& w, const bf16* bias,
             const Y* residual, Y* y) {
#pragma omp parallel for schedule(static)
  for (std::int64_t b = 0; b < w.blocks(); ++b)
    tile.block(x, m, w, 0, b, [&](std::int64_t r, std::int64_t j, float v) {
      if (bias != nullptr) v += load_f32(bias + j);
      if (residual != nullptr) v += load_f32(residual + r * w.n() + j);
      store_f32(y + r * w.n() + j, v);
    });
}

Support supports(const OpCase& c, const DeviceInfo& device) {
  const DType x = c.type("x_type"), w = c.type("w_type");
  if (x != DType::bf16 || w != DType::bf16) return Support::no("takes bf16 x and w only");
  if (!has_tile_product(device)) return Support::no("needs AVX-512-BF16");
  if (c.axis("m") > few_rows(device) && (has_amx_product(device) || onednn_supports(x, w, c.type("y_type"), device)))
    return Support::no(fmt::format("for up to {} rows", few_rows(device)));
  return Support::yes();
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const std::int64_t m = c.axis("m");
  const Tensor x = t.tensor("x"), y = t.tensor("y");
  const Tensor residual = c.flag("residual") ? t.tensor("residual") : Tensor{};
  const TileProduct tile(runtime.device());
  const auto w = Bf16Tiles::of(*t.weight("w"));
  const auto bias = c.flag("bias") ? row_major(*t.weight("bias")) : nullptr;
  return dispatch_float(y.dtype, [&]<class Y>(Y*) {
    return invocation(
        [=] {
          product(tile, m, x.as<bf16>(), *w, bias ? bias->view().as<bf16>() : nullptr, residual.as<Y>(), y.as<Y>());
        },
        fmt::format("{}, weights BA16a64b2a", tile.name_for(m)));
  });
}

}  // namespace

const Variant linear_bf16_tiles{"bf16_tiles", Target::cpu, "layercost", supports, prepare};

}  // namespace layercost
