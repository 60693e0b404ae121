// A few rows of bf16, where reading the weights is all of the cost: each thread reads its blocks of 64 columns from start to
// end, at 80 to 90 % of the read bandwidth up to 6 rows. More rows pass over a block again, which then lies in the
// second-level cache.
// Limit:   n / 64 pieces of work, so a small n does not fill many cores.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "kernels/contract/dispatch.h"
#include "kernels/shared/bf16_tiles.h"
#include "linear_variants.h"

namespace layercost {
namespace {

constexpr std::int64_t kMaxRows = 12;

template <class Y>
void product(std::int64_t m, const bf16* x, const Bf16Tiles& w, const bf16* bias, const Y* residual, Y* y) {
  const std::int64_t n = w.n(), k = w.k();
  const std::int64_t group = (m + (m + kTileRows - 1) / kTileRows - 1) / ((m + kTileRows - 1) / kTileRows);
#pragma omp parallel for schedule(static)
  for (std::int64_t b = 0; b < w.blocks(); ++b)
    for (std::int64_t first = 0; first < m; first += group) {
      const std::int64_t rows = std::min(group, m - first);
      const bf16* in[kTileRows];
      float out[kTileRows][Bf16Tiles::kColumns];
      for (std::int64_t r = 0; r < rows; ++r) in[r] = x + (first + r) * k;
      tiles_times_rows(in, rows, k, w.block(0, b), out);
      for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t c = 0, j = b * Bf16Tiles::kColumns; c < Bf16Tiles::kColumns && j < n; ++c, ++j) {
          float v = out[r][c];
          if (bias != nullptr) v += load_f32(bias + j);
          if (residual != nullptr) v += load_f32(residual + (first + r) * n + j);
          store_f32(y + (first + r) * n + j, v);
        }
    }
}

Support supports(const OpCase& c, const DeviceInfo& device) {
  if (c.type("x_type") != DType::bf16 || c.type("w_type") != DType::bf16) return Support::no("takes bf16 x and w only");
  if (!has_tile_product(device)) return Support::no("needs AVX-512-BF16");
  if (c.axis("m") > kMaxRows) return Support::no(fmt::format("for up to {} rows", kMaxRows));
  return Support::yes();
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const std::int64_t m = c.axis("m");
  const Tensor x = t.tensor("x"), y = t.tensor("y");
  const Tensor residual = c.flag("residual") ? t.tensor("residual") : Tensor{};
  const auto w = Bf16Tiles::of(*t.weight("w"));
  const auto bias = c.flag("bias") ? row_major(*t.weight("bias")) : nullptr;
  return dispatch_float(y.dtype, [&]<class Y>(Y*) {
    return invocation(
        [=] { product(m, x.as<bf16>(), *w, bias ? bias->view().as<bf16>() : nullptr, residual.as<Y>(), y.as<Y>()); },
        "AVX-512-BF16, tiles 32x64");
  });
}

}  // namespace

const Variant linear_avx512_tiles{"avx512_tiles", Target::cpu, "layercost", supports, prepare};

}  // namespace layercost
