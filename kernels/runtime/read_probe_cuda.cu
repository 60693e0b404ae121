// Eight independent 16-byte loads per thread are in flight before the first is used: enough to cover the latency of
// device memory at full occupancy. A sum, so that a word that is read twice shows like one that is left out.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/runtime/read_probe_cuda_launch.h"
#include "kernels/simt/simt.h"

namespace layercost {
namespace {

using namespace simt;

constexpr int kThreads = 512, kInFlight = 8;

struct Shared {
  Array<std::uint32_t, kThreads / 32> of_warp;
};

SIMT_INLINE std::uint32_t warp_total(std::uint32_t v) {
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2) v += shuffle_xor(v, mask);
  return v;
}

__global__ void __launch_bounds__(kThreads) read(ReadProbeCuda p) {
  Shared& s = shared<Shared>();
  const std::int64_t n = p.bytes / 16, step = static_cast<std::int64_t>(gridDim.x) * kThreads;
  const char* from = static_cast<const char*>(p.from);
  std::uint32_t sum = 0;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < n; i += step * kInFlight) {
    Vec16 v[kInFlight];
#pragma unroll
    for (int j = 0; j < kInFlight; ++j)
      v[j] = i + j * step < n ? load_streaming(from + 16 * (i + j * step)) : Vec16{{0, 0, 0, 0}};
#pragma unroll
    for (int j = 0; j < kInFlight; ++j) sum += v[j].word[0] + v[j].word[1] + v[j].word[2] + v[j].word[3];
  }
  sum = warp_total(sum);
  if (lane() == 0) s.of_warp[warp()] = sum;
  sync_block();
  if (warp() != 0) return;
  sum = warp_total(lane() < kThreads / 32 ? s.of_warp[lane()] : 0);
  if (lane() == 0) p.sums[blockIdx.x] = sum;
}

}  // namespace

int launch_read_probe_cuda(const ReadProbeCuda& p, Stream stream) {
  return launch("read_probe_cuda", {dim3(static_cast<unsigned>(p.blocks)), dim3(kThreads), sizeof(Shared), stream},
                read, p);
}

}  // namespace layercost
