// Many rows of bf16 on AMX. Loops, from the outside: 256 rows of x; a group of columns per thread (up to 8 blocks of
// 64); 1024 of k; the group's blocks; 32 rows at a time. So what is used again stays in the second-level cache (2 MB):
// 256 x 1024 of x (0.5 MB), one piece of weights and the one fetched ahead (2 x 0.13 MB), the group's sums (0.5 MB).
// Inside, 2 x 2 registers of 16 x 16 sums take 4 tile loads per 4 products. x is copied into tiles first (3 MB for
// 256 x 5120): read in place, its rows lie k apart and fall on the same few sets of the first-level cache.
// Seen: 256 x 5120 x 25600 at 2.33 TFLOP/s where oneDNN 2.6 with AMX does 1.16; 64 rows at 1.48 and 0.92 (2 threads,
// Xeon with AMX). Weights are those of Bf16Tiles, shared with the variants for fewer rows.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/cpu/amx.h"
#include "kernels/cpu/bf16_tiles.h"
#include "kernels/linear/linear.h"
#include "linear_variants.h"

namespace layercost {
namespace {

constexpr std::int64_t kPanelRows = 32, kStepK = 32, kColumns = Bf16Tiles::kColumns;
constexpr std::int64_t kRowsAtOnce = 256, kStepsAtOnce = 1024 / kStepK, kMostBlocks = 8;
constexpr std::int64_t kPanelStep = kPanelRows * kStepK, kBlockStep = kColumns * kStepK;  // elements per 32 of k

struct Product {
  std::int64_t m, n, k, steps, blocks, group;
  Tensor x, y, residual;
  LinearOutput made;
  std::shared_ptr<const Bf16Tiles> w;
  std::shared_ptr<const OwnedTensor> bias;
  Buffer panels;  // x of up to 256 rows: [rows / 32][k / 32][32 rows][32 k]
  Buffer sums;    // per thread [group][256][64] f32

  void pack(std::int64_t first, std::int64_t rows) {
    const std::int64_t count = (rows + kPanelRows - 1) / kPanelRows;
    each_row(count * kPanelRows, true, [&](std::int64_t row) {
      bf16* to = panels.as<bf16>() + row / kPanelRows * steps * kPanelStep + row % kPanelRows * kStepK;
      const bf16* from = x.as<bf16>() + (first + std::min(row, rows - 1)) * k;
      for (std::int64_t s = 0; s < steps; ++s, to += kPanelStep) {
        const std::int64_t width = row < rows ? std::min(kStepK, k - s * kStepK) : 0;
        if (width == kStepK) {
          std::memcpy(to, from + s * kStepK, kStepK * sizeof(bf16));
        } else {  // rows and k that are only there to fill a tile
          std::fill_n(to, kStepK, bf16{});
          std::copy_n(from + s * kStepK, width, to);
        }
      }
    });
  }

  template <class Y>
  void run();
};

#if defined(__x86_64__)

// sums [32][64] += panel [steps][32][32] x piece [steps][32 k][64 n], fetching `lines` cache lines of `ahead` per step.
LAYERCOST_AMX void multiply(const bf16* panel, const bf16* piece, std::int64_t steps, bool first, float* sums,
                            const bf16*& ahead, std::int64_t lines) {
  constexpr int kSumStride = kColumns * sizeof(float), kWeightStride = 2 * kColumns * sizeof(bf16);
  for (int half = 0; half < 2; ++half, sums += 32, piece += 64) {
    if (first) {
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
    } else {
      _tile_loadd(0, sums, kSumStride);
      _tile_loadd(1, sums + 16, kSumStride);
      _tile_loadd(2, sums + 16 * kColumns, kSumStride);
      _tile_loadd(3, sums + 16 * kColumns + 16, kSumStride);
    }
    for (std::int64_t s = 0; s < steps; ++s) {
      _tile_loadd(4, panel + s * kPanelStep, 64);
      _tile_loadd(6, piece + s * kBlockStep, kWeightStride);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(7, piece + s * kBlockStep + 32, kWeightStride);
      _tile_dpbf16ps(1, 4, 7);
      _tile_loadd(5, panel + s * kPanelStep + kPanelStep / 2, 64);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
      for (std::int64_t l = 0; l < lines; ++l, ahead += 32)
        _mm_prefetch(reinterpret_cast<const char*>(ahead), _MM_HINT_T1);
    }
    _tile_stored(0, sums, kSumStride);
    _tile_stored(1, sums + 16, kSumStride);
    _tile_stored(2, sums + 16 * kColumns, kSumStride);
    _tile_stored(3, sums + 16 * kColumns + 16, kSumStride);
  }
}

template <class Y>
void Product::run() {
  const TileOutput<Y> out{static_cast<Y*>(made.data), bias ? bias->view().as<bf16>() : nullptr, residual.as<Y>(),
                          made.stride};
  const std::int64_t groups = (blocks + group - 1) / group;
  for (std::int64_t first = 0; first < m; first += kRowsAtOnce) {
    const std::int64_t rows = std::min(kRowsAtOnce, m - first), panels_here = (rows + kPanelRows - 1) / kPanelRows;
    pack(first, rows);
    each_piece(groups, [&](int thread, std::int64_t g, std::int64_t) {
      const TileScope tiles{TileShapes()};
      float* own = sums.as<float>() + thread * kMostBlocks * kRowsAtOnce * kColumns;
      const std::int64_t begin = g * group, end = std::min(blocks, begin + group);
      for (std::int64_t s0 = 0; s0 < steps; s0 += kStepsAtOnce) {
        const std::int64_t count = std::min(kStepsAtOnce, steps - s0);
        for (std::int64_t i = begin; i < end; ++i) {
          // The piece that comes next: of the next block, or of the first one further down k.
          const bf16* ahead = i + 1 < end                 ? w->block(0, i + 1) + s0 * kBlockStep
                              : s0 + kStepsAtOnce < steps ? w->block(0, begin) + (s0 + kStepsAtOnce) * kBlockStep
                                                          : w->block(0, std::min(end, blocks - 1));
          const std::int64_t lines =
              (64 + 2 * panels_here - 1) / (2 * panels_here);  // 4 KB per step, spread over the panels
          for (std::int64_t p = 0; p < panels_here; ++p)
            multiply(panels.as<bf16>() + (p * steps + s0) * kPanelStep, w->block(0, i) + s0 * kBlockStep, count,
                     s0 == 0, own + ((i - begin) * kRowsAtOnce + p * kPanelRows) * kColumns, ahead, lines);
        }
      }
      for (std::int64_t i = begin; i < end; ++i)
        for (std::int64_t r = 0; r < rows; ++r)
          store_products(own + ((i - begin) * kRowsAtOnce + r) * kColumns, i, first + r, n, out);
    });
  }
}

#else

template <class Y>
void Product::run() {}

#endif

Support supports(const OpCase&, const DeviceInfo& device) {
  return has_amx_product(device) ? Support::yes() : Support::no("needs AMX");
}

bool prefers(const OpCase& c, const DeviceInfo& device) { return c.axis("m") > few_rows(device); }

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  auto p = std::make_shared<Product>();
  p->m = c.axis("m"), p->n = c.axis("n"), p->k = c.axis("k");
  p->x = t.tensor("x"), p->y = t.tensor("y"), p->made = linear_output(c, p->y);
  if (c.flag("residual")) p->residual = t.tensor("residual");
  if (c.flag("bias")) p->bias = row_major(*t.weight("bias"));
  p->w = Bf16Tiles::of(*t.weight("w"));
  p->steps = (p->k + kStepK - 1) / kStepK;
  p->blocks = p->w->blocks();
  const std::int64_t threads = team_threads();
  // At least two groups per thread where there are enough columns.
  p->group = std::clamp<std::int64_t>(p->blocks / (2 * threads), 1, kMostBlocks);
  p->panels = Buffer(static_cast<std::size_t>(kRowsAtOnce * p->steps * kStepK) * sizeof(bf16));
  p->sums = Buffer(static_cast<std::size_t>(threads * kMostBlocks * kRowsAtOnce * kColumns) * sizeof(float));
  return dispatch_float(p->y.dtype, [&]<class Y>(Y*) {
    return invocation([p] { p->run<Y>(); },
                      fmt::format("AMX, groups of {} x 64 columns, weights BA16a64b2a", p->group));
  });
}

}  // namespace

const Variant linear_amx_panels{
    .name = "amx_panels",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=bf16 w_type=bf16 y_type=f32|bf16 bias residual y_width y_first",
    .supports = supports,
    .prefers = prefers,
    .make = prepare,
};

}  // namespace layercost
