// What:    what a kernel takes from the device, under one set of names: nvcc turns each into the instruction, the host
//          compiler into a call of the executor that the tests run kernels on (tests only: nothing is timed there).
// Kernel:  written as usual: `template <...> __global__ void __launch_bounds__(256) name(Parameters p)`, with
//          threadIdx, blockIdx, blockDim and gridDim. Everything else comes from here:
//            lane(), warp()                              along threadIdx.x; blocks are one-dimensional
//            sync_block(), sync_warp(), sync_part(id, n)  barrier of all, of the warp, of n threads (id 1 .. 15)
//            shuffle(v, lane), shuffle_xor, shuffle_up, shuffle_down, ballot, any, all     by all 32 lanes, 4-byte v
//            warp_sum(v), warp_max(v); reduce_max(v), reduce_min(v) of ints         result in every lane
//            atomic_add/max/exchange/compare_exchange    relaxed, 4 bytes
//            fence()                                     what this thread wrote (and saw behind a barrier) before it
//                                                        is seen by whoever reads a later atomic's result and then
//                                                        calls fence() too
//            shared<T>()                                 the block's shared memory as a struct T of `Array`s: launch
//                                                        with shared_bytes = sizeof(T). Array<T, N> checks its index on
//                                                        the executor. Its contents are undefined at the start.
//            cp_async16(to, from, valid), cp_async_commit(), cp_async_wait<N>()     16 bytes global -> shared, both
//                                                        16-byte aligned; zeros where not valid (from is not read);
//                                                        visible to this thread after the wait, to others after a
//                                                        barrier behind it
//            ldmatrix_x4/x2[_trans](registers, row)      row: this lane's row of 8 b16 values, 16-byte aligned
//            mma_bf16, mma_f16 (m16n8k16), mma_e4m3 (m16n8k32)   d += a b^T, fragments as the PTX manual lays them out
//            load_streaming(p)                           16 bytes that are read once (constant over the launch)
//            load_word_l2(p)                             4 bytes past the L1 cache: for reads before grid_wait()
//            multiply_add_bf16(a, b, c)                  a b + c of the two bf16 in each word, rounded once
//            exp2_fast, exp_fast, divide_fast, reciprocal_sqrt   about 2 ulp
//            grid_wait(), grid_launch_dependents()       see Overlap
// Launch:  launch("name", {grid, block, shared_bytes, stream, kOverlap or nothing}, kernel<...>, arguments...)
//          enqueues; 0 or the device runtime's error code. kOverlap: blocks may start once every block of the launch
//          before has called grid_launch_dependents() or ended (compute capability 9.0; without effect below).
// Overlap: grid_wait(), by all threads of the block, returns when the launch before has ended. The executor sees where
//          1. a kernel touches, before it, memory other than weights (Runtime::constant): an earlier one may still
//             write that, or read what this one writes;
//          2. a thread ends without it, also where the block has nothing to do: only with it does the end of a launch
//             mean the end of all before it, so that the next one cannot run beside the one before this.
//          grid_launch_dependents() is called first thing. Behind grid_wait() it promises the next launch that all
//          before this one has ended: that may then read early what is older (the lists of moe_experts).
// Rules:   all lanes of a warp make the same warp-wide calls; all threads of a block reach the same barriers. No block
//          waits for another one, except through the order of launches: blocks of one launch may run one after the
//          other.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#if defined(__CUDACC__)
#include "kernels/simt/device.h"
#else
#include "kernels/simt/executor.h"
#endif

namespace layercost {
namespace simt {

SIMT_INLINE float warp_sum(float v SIMT_CALLER) {
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2) v += shuffle_xor(v, mask SIMT_SAME_CALLER);
  return v;
}

SIMT_INLINE float warp_max(float v SIMT_CALLER) {
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2) {
    const float other = shuffle_xor(v, mask SIMT_SAME_CALLER);
    v = other > v ? other : v;
  }
  return v;
}

// Calls f with a null pointer of the type that `t` names.
template <class F>
int with_type(Type t, F&& f) {
  switch (t) {
    case Type::f32:
      return f(static_cast<float*>(nullptr));
    case Type::bf16:
      return f(static_cast<bf16*>(nullptr));
  }
  return 1;  // CUDA's "invalid value"; simt_type lets no other type through
}

template <class F>
int with_cache_type(CacheType t, F&& f) {
  switch (t) {
    case CacheType::f32:
      return f(static_cast<float*>(nullptr));
    case CacheType::bf16:
      return f(static_cast<bf16*>(nullptr));
    case CacheType::fp8_e4m3:
      return f(static_cast<fp8_e4m3*>(nullptr));
  }
  return 1;
}

// Calls f with the std::integral_constant of `which`, which is one of 0 .. kCount - 1: from a number to a template
// argument.
template <int kCount, int kFirst = 0, class F>
int with_index(int which, F&& f) {
  if constexpr (kFirst + 1 < kCount)
    if (which != kFirst) return with_index<kCount, kFirst + 1>(which, f);
  return f(std::integral_constant<int, kFirst>());
}

}  // namespace simt
}  // namespace layercost
