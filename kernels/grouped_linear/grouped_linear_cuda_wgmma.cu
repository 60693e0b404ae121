// Grouped products for compute capability 9.0: TMA brings both operands, wgmma multiplies
// (kernels/cuda/wgmma_tile.h).
// A tile of rows that reaches into the next expert's reads them too and writes none of theirs. Order of tiles: groups
// of 8 slots of rows, slots first, so that an expert's rows of w are in the L2 cache for all its tiles.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/grouped_linear/grouped_linear_cuda_wgmma_launch.h"

#include "kernels/grouped_linear/expert_tile.h"
#include "kernels/cuda/wgmma_tile.h"

namespace layercost {
namespace {

using namespace simt;
using namespace wgmma_tile;

constexpr int kGroup = 8;

SIMT_INLINE int across(const GroupedLinearCudaWgmma& p) { return (p.n + kColumns - 1) / kColumns; }

struct Work {
  ExpertTile rows;
  int column;
};
// By all lanes of a warp.
SIMT_INLINE Work work_of(const GroupedLinearCudaWgmma& p, int index, int slots) {
  const int group = index / (kGroup * across(p)), in_group = index % (kGroup * across(p));
  const int left = slots - group * kGroup, slots_of_group = left < kGroup ? left : kGroup;
  return {find_expert_tile<kRows>(static_cast<const std::int32_t*>(p.offsets), p.experts,
                                  group * kGroup + in_group % slots_of_group),
          in_group / slots_of_group * kColumns};
}

__global__ void __launch_bounds__(kThreads, 1)
    grouped_wgmma(const __grid_constant__ GroupedLinearCudaWgmma p, int slots) {
  Shared& s = shared<Shared>();
  start(s, 1);
  const int all = slots * across(p), slices = (p.k + kDepth - 1) / kDepth;
  int slice = 0;  // of this block, over all its tiles
  if (is_producer()) {
    if (warp() != kConsumerWarps) return;
    for (int index = static_cast<int>(blockIdx.x); index < all; index += static_cast<int>(gridDim.x)) {
      const Work work = work_of(p, index, slots);
      if (work.rows.expert < 0) continue;
      if (lane() == 0) {
        const int w_row = work.rows.expert * p.n + work.column;
        const int groups = groups_of(work.rows.end - work.rows.row);
        for (int i = 0; i < slices; ++i) {
          const Place at = place_of(slice + i);
          wait_empty(s, at);
          bring_both(s.stages[at.stage], p.x, work.rows.row, groups, p.w, w_row, s.full[at.stage], i * kDepth);
        }
      }
      slice += slices;
      sync_warp();
    }
    return;
  }
  Tile tile;
  for (int index = static_cast<int>(blockIdx.x); index < all; index += static_cast<int>(gridDim.x)) {
    const Work work = work_of(p, index, slots);
    if (work.rows.expert < 0) continue;
    const int rows = work.rows.end - work.rows.row;
    const bool idle = kGroupRows * group_of_warp() >= rows;
    tile.multiply<false>(s, slice, slices, idle);
    slice += slices;
    if (idle) continue;
    each_eight<kColumns / 8>(
        kGroupRows * group_of_warp(),
        [&](int i, int h) { return pack(tile.sums[4 * i + 2 * h], tile.sums[4 * i + 2 * h + 1]); },
        [&](int row, int column, const Vec16& eight) {
          if (row >= rows || work.column + column >= p.n) return;
          store16(static_cast<bf16*>(p.y) + static_cast<std::int64_t>(work.rows.row + row) * p.n + work.column + column,
                  eight);
        });
  }
}

}  // namespace

int launch_grouped_linear_cuda_wgmma(const GroupedLinearCudaWgmma& p, Stream stream) {
  const int with_rows = p.rows < p.experts ? p.rows : p.experts;
  const int slots = static_cast<int>((p.rows + std::int64_t{with_rows} * (kRows - 1)) / kRows);
  const int all = slots * ((p.n + kColumns - 1) / kColumns);
  const Launch l{dim3(static_cast<unsigned>(all < p.blocks ? all : p.blocks)), dim3(kThreads), sizeof(Shared), stream};
  return launch("grouped_linear_cuda_wgmma", l, grouped_wgmma, p, slots);
}

}  // namespace layercost
