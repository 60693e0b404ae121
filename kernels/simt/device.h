// What:    the seam under nvcc: each function is the instruction that kernels/simt/simt.h names.
// Source:  NVIDIA, "Parallel Thread Execution ISA" 9.0, sections on mma, ldmatrix, cp.async, griddepcontrol.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

#include <map>
#include <mutex>
#include <utility>

#include "kernels/simt/types.h"

// The executor's default argument that names the calling line; nothing here.
#define SIMT_CALLER
#define SIMT_SAME_CALLER

namespace layercost {
namespace simt {

constexpr unsigned kAllLanes = 0xffffffffu;

SIMT_INLINE int lane() { return static_cast<int>(threadIdx.x) & 31; }
SIMT_INLINE int warp() { return static_cast<int>(threadIdx.x) >> 5; }

SIMT_INLINE void sync_block() { __syncthreads(); }
SIMT_INLINE void sync_warp() { __syncwarp(); }
SIMT_INLINE void sync_part(int id, int threads) { asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory"); }

template <class T>
SIMT_INLINE T shuffle(T v, int from) {
  return __shfl_sync(kAllLanes, v, from);
}
template <class T>
SIMT_INLINE T shuffle_xor(T v, int mask) {
  return __shfl_xor_sync(kAllLanes, v, mask);
}
template <class T>
SIMT_INLINE T shuffle_up(T v, int delta) {
  return __shfl_up_sync(kAllLanes, v, delta);
}
template <class T>
SIMT_INLINE T shuffle_down(T v, int delta) {
  return __shfl_down_sync(kAllLanes, v, delta);
}
SIMT_INLINE std::uint32_t ballot(bool v) { return __ballot_sync(kAllLanes, v); }
SIMT_INLINE bool any(bool v) { return __any_sync(kAllLanes, v) != 0; }
SIMT_INLINE bool all(bool v) { return __all_sync(kAllLanes, v) != 0; }
SIMT_INLINE int reduce_max(int v) { return __reduce_max_sync(kAllLanes, v); }
SIMT_INLINE int reduce_min(int v) { return __reduce_min_sync(kAllLanes, v); }
SIMT_INLINE int count_bits(std::uint32_t v) { return __popc(v); }

SIMT_INLINE int atomic_add(int* p, int v) { return atomicAdd(p, v); }
SIMT_INLINE float atomic_add(float* p, float v) { return atomicAdd(p, v); }
SIMT_INLINE int atomic_max(int* p, int v) { return atomicMax(p, v); }
SIMT_INLINE int atomic_exchange(int* p, int v) { return atomicExch(p, v); }
SIMT_INLINE int atomic_compare_exchange(int* p, int expected, int v) { return atomicCAS(p, expected, v); }
SIMT_INLINE void fence() { __threadfence(); }

SIMT_INLINE std::uint32_t multiply_add_bf16(std::uint32_t a, std::uint32_t b, std::uint32_t c) {
  std::uint32_t d;
  asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
  return d;
}

SIMT_INLINE float exp2_fast(float v) {
  float r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(v));
  return r;
}
SIMT_INLINE float exp_fast(float v) { return __expf(v); }
SIMT_INLINE float reciprocal_sqrt(float v) { return rsqrtf(v); }
SIMT_INLINE float divide_fast(float a, float b) { return __fdividef(a, b); }

SIMT_INLINE std::uint32_t load_word_l2(const void* p) { return __ldcg(static_cast<const unsigned*>(p)); }

SIMT_INLINE Vec16 load_streaming(const void* p) {
  Vec16 v;
  asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v4.b32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.word[0]), "=r"(v.word[1]), "=r"(v.word[2]), "=r"(v.word[3])
               : "l"(p));
  return v;
}

extern __shared__ __align__(1024) unsigned char shared_bytes_of_the_block[];
template <class T>
SIMT_INLINE T& shared() {
  return *reinterpret_cast<T*>(shared_bytes_of_the_block);
}

template <class T, int N>
struct Array {
  T values[N];
  SIMT_INLINE T& operator[](int i) { return values[i]; }
  SIMT_INLINE const T& operator[](int i) const { return values[i]; }
};

SIMT_INLINE std::uint32_t shared_address(const void* p) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(p));
}

SIMT_INLINE void cp_async16(void* to_shared, const void* from_global, bool valid = true) {
  const int bytes = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(shared_address(to_shared)),
               "l"(from_global), "r"(bytes)
               : "memory");
}
SIMT_INLINE void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int kPending>
SIMT_INLINE void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

SIMT_INLINE void ldmatrix_x4(std::uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
SIMT_INLINE void ldmatrix_x4_trans(std::uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
SIMT_INLINE void ldmatrix_x2(std::uint32_t (&r)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(shared_address(row))
               : "memory");
}
SIMT_INLINE void ldmatrix_x2_trans(std::uint32_t (&r)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(shared_address(row))
               : "memory");
}

SIMT_INLINE void mma_bf16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, "
      "%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
SIMT_INLINE void mma_f16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, "
      "%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
// fp8 products need compute capability 8.9: elsewhere this traps, and the variant's `supports` refuses first.
SIMT_INLINE void mma_e4m3(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 890
  asm volatile(
      "mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, "
      "%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  __trap();
#endif
}

SIMT_INLINE void grid_wait() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
SIMT_INLINE void grid_launch_dependents() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

struct Launch {
  dim3 grid, block;
  int shared_bytes = 0;
  Stream stream = nullptr;
  bool overlap_previous = false;
};

// Whether grid_wait() is an instruction in the kernel's code for the current device. Compute capability 9.0 alone does
// not say so: code for 8.0 runs there, too, translated by the driver, and would not wait.
inline bool can_overlap(const void* kernel) {
  static std::mutex mutex;
  static std::map<std::pair<int, const void*>, bool> known;
  int device = 0;
  if (cudaGetDevice(&device) != cudaSuccess) return false;
  const std::lock_guard<std::mutex> lock(mutex);
  const auto found = known.find({device, kernel});
  if (found != known.end()) return found->second;
  cudaFuncAttributes a = {};
  if (cudaFuncGetAttributes(&a, kernel) != cudaSuccess) return false;
  return known[{device, kernel}] = a.ptxVersion >= 90;
}

template <class... Parameters, class... Arguments>
int launch(const char*, const Launch& l, void (*kernel)(Parameters...), Arguments&&... arguments) {
  if (l.shared_bytes > 48 * 1024) {
    const cudaError_t e = cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                               cudaFuncAttributeMaxDynamicSharedMemorySize, l.shared_bytes);
    if (e != cudaSuccess) return static_cast<int>(e);
  }
  cudaLaunchConfig_t config = {};
  config.gridDim = l.grid;
  config.blockDim = l.block;
  config.dynamicSmemBytes = static_cast<std::size_t>(l.shared_bytes);
  config.stream = reinterpret_cast<cudaStream_t>(l.stream);
  cudaLaunchAttribute attribute = {};
  if (l.overlap_previous && can_overlap(reinterpret_cast<const void*>(kernel))) {
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
    config.attrs = &attribute;
    config.numAttrs = 1;
  }
  return static_cast<int>(cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...));
}

}  // namespace simt
}  // namespace layercost
