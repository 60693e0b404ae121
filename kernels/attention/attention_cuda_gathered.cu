// A block copies 32 keys of one query, a warp one after the other, in words of 16 bytes where keys are whole ones, else
// byte by byte; the block of a query's first keys copies the query as well. What is read is written to memory that the
// second-level cache holds until attention reads it.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention/attention_cuda_gathered_launch.h"

#include "kernels/simt/elements.h"

namespace layercost {
namespace {

using namespace simt;

constexpr int kThreads = 128, kWarps = kThreads / 32, kKeysOfBlock = 32;

// Units of a row, `step` threads taking turns.
SIMT_INLINE void copy_row(const Vec16* from, Vec16* to, std::int64_t units, int first, int step) {
  for (std::int64_t i = first; i < units; i += step) store16(to + i, load16(from + i));
}
SIMT_INLINE void copy_row(const unsigned char* from, unsigned char* to, std::int64_t units, int first, int step) {
  for (std::int64_t i = first; i < units; i += step) to[i] = from[i];
}

SIMT_INLINE std::int64_t row_of(const AttentionCudaGathered& p, std::int64_t r) {
  return r / p.cut * p.q_len + p.whole + r % p.cut;
}

template <class Unit>
__global__ void __launch_bounds__(kThreads) gather(AttentionCudaGathered p) {
  const std::int64_t blocks = (p.selected + kKeysOfBlock - 1) / kKeysOfBlock;
  const std::int64_t r = blockIdx.x / blocks, begin = blockIdx.x % blocks * kKeysOfBlock;
  const std::int64_t row = row_of(p, p.first + r), units = p.entry_bytes / static_cast<std::int64_t>(sizeof(Unit));
  const std::int64_t end = begin + kKeysOfBlock < p.selected ? begin + kKeysOfBlock : p.selected;
  const Unit* cache = static_cast<const Unit*>(p.cache) + row / p.q_len * p.capacity * units;
  Unit* near_keys = static_cast<Unit*>(p.near_keys) + r * p.selected * units;
  for (std::int64_t n = begin + warp(); n < end; n += kWarps)
    copy_row(cache + p.selection[row * p.selected + n] * units, near_keys + n * units, units, lane(), 32);
  if (begin > 0) return;
  copy_row(static_cast<const unsigned char*>(p.q) + row * p.q_bytes,
           static_cast<unsigned char*>(p.near_q) + r * p.q_bytes, p.q_bytes, static_cast<int>(threadIdx.x), kThreads);
}

__global__ void __launch_bounds__(kThreads) scatter(AttentionCudaGathered p) {
  copy_row(static_cast<const unsigned char*>(p.near_y) + blockIdx.x * p.y_bytes,
           static_cast<unsigned char*>(p.y) + row_of(p, p.first + blockIdx.x) * p.y_bytes, p.y_bytes,
           static_cast<int>(threadIdx.x), kThreads);
}

}  // namespace

int launch_attention_cuda_gather(const AttentionCudaGathered& p, Stream stream) {
  const std::int64_t blocks = p.rows * ((p.selected + kKeysOfBlock - 1) / kKeysOfBlock);
  const Launch l{dim3(static_cast<unsigned>(blocks)), dim3(kThreads), 0, stream};
  return p.entry_bytes % 16 == 0 ? launch("attention_cuda_gather", l, gather<Vec16>, p)
                                 : launch("attention_cuda_gather", l, gather<unsigned char>, p);
}

int launch_attention_cuda_scatter(const AttentionCudaGathered& p, Stream stream) {
  const Launch l{dim3(static_cast<unsigned>(p.rows)), dim3(kThreads), 0, stream};
  return launch("attention_cuda_scatter", l, scatter, p);
}

}  // namespace layercost
