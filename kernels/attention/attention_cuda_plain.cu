// One block of 128 threads per query and head, f32 throughout. Keys come in chunks of 128: a thread per key makes its
// score, then a thread per column adds the weighted values to the sums, which an online softmax keeps relative to the
// largest score so far. Every query reads its keys and values anew, and a thread walks along its key alone: meant for
// checks and for types and sizes that the tensor-core kernels refuse.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention/attention_cuda_plain_launch.h"

#include <cmath>

#include "kernels/simt/simt.h"

namespace layercost {
namespace {

using namespace simt;

constexpr int kThreads = 128, kWarps = kThreads / 32, kMostDims = kAttentionCudaPlainMostDims;

struct Shared {
  Array<float, kMostDims> q, sums;  // q: times scale
  Array<float, kThreads> weights;
  Array<float, kWarps> partial;
};

template <class X, class KV, class Y>
__global__ void __launch_bounds__(kThreads) plain(AttentionCudaPlain p) {
  Shared& s = shared<Shared>();
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t row = blockIdx.x;
  const int head = static_cast<int>(row % p.heads), query = static_cast<int>(row / p.heads % p.q_len);
  const std::int64_t batch = row / p.heads / p.q_len;
  const int end = p.kv_len - p.q_len + query + 1;
  const int begin = p.chunk > 0 ? (end - 1) / p.chunk * p.chunk : end > p.window ? end - p.window : 0;
  const std::int64_t slots = (batch * p.kv_heads + head / (p.heads / p.kv_heads)) * p.capacity;
  const KV* k = static_cast<const KV*>(p.k) + slots * p.qk_dim;
  const KV* v = static_cast<const KV*>(p.v) + slots * p.v_stride;

  for (int d = thread; d < p.qk_dim; d += kThreads)
    s.q[d] = p.scale * to_float(static_cast<const X*>(p.q)[row * p.qk_dim + d]);
  for (int d = thread; d < p.v_dim; d += kThreads) s.sums[d] = 0;  // each thread its own, until the end
  sync_block();

  // total: of this thread's weights; a sink is the first thread's.
  float max = p.sinks != nullptr ? p.sinks[head] : -INFINITY, total = p.sinks != nullptr && thread == 0 ? 1.0f : 0.0f;
  for (int first = begin; first < end; first += kThreads) {
    const int count = end - first < kThreads ? end - first : kThreads;
    float score = -INFINITY;
    if (thread < count) {
      const KV* key = k + static_cast<std::int64_t>(first + thread) * p.qk_dim;
      float parts[4] = {};
      int d = 0;
      for (; d + 4 <= p.qk_dim; d += 4)
#pragma unroll
        for (int i = 0; i < 4; ++i) parts[i] += s.q[d + i] * to_float(key[d + i]);
      for (; d < p.qk_dim; ++d) parts[0] += s.q[d] * to_float(key[d]);
      score = parts[0] + parts[1] + (parts[2] + parts[3]);
    }
    const float of_warp = warp_max(score);
    if (lane() == 0) s.partial[warp()] = of_warp;
    sync_block();
    float new_max = max;
    for (int i = 0; i < kWarps; ++i) new_max = fmaxf(new_max, s.partial[i]);
    const float keep = exp_fast(max - new_max), weight = exp_fast(score - new_max);
    max = new_max;
    total = total * keep + weight;
    s.weights[thread] = weight;
    sync_block();
    for (int d = thread; d < p.v_dim; d += kThreads) {
      const KV* value = v + static_cast<std::int64_t>(first) * p.v_stride + d;
      float sum = 0;
#pragma unroll 8
      for (int i = 0; i < count; ++i) sum += s.weights[i] * to_float(value[static_cast<std::int64_t>(i) * p.v_stride]);
      s.sums[d] = s.sums[d] * keep + sum;
    }
  }

  total = warp_sum(total);
  if (lane() == 0) s.partial[warp()] = total;
  sync_block();
  total = 0;
  for (int i = 0; i < kWarps; ++i) total += s.partial[i];
  Y* y = static_cast<Y*>(p.y) + row * p.v_dim;
  for (int d = thread; d < p.v_dim; d += kThreads) store(y + d, s.sums[d] / total);
}

}  // namespace

int launch_attention_cuda_plain(const AttentionCudaPlain& p, Stream stream) {
  const Launch l{dim3(static_cast<unsigned>(p.batch) * p.q_len * p.heads), dim3(kThreads), sizeof(Shared), stream};
  return with_type(p.x_type, [&](auto* x) {
    return with_cache_type(p.kv_type, [&](auto* kv) {
      return with_type(p.y_type, [&](auto* y) {
        return launch("attention_cuda_plain", l,
                      plain<std::remove_pointer_t<decltype(x)>, std::remove_pointer_t<decltype(kv)>,
                            std::remove_pointer_t<decltype(y)>>,
                      p);
      });
    });
  });
}

}  // namespace layercost
