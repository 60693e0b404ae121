// What:    the seam under the host compiler: runs each block's threads as fibres, one at a time, and checks what a GPU
//          would leave undefined. A test tool: slow, and nothing is ever timed on it.
// Does:    blocks one after the other, threads of a block switched at barriers and warp-wide calls only; the order of
//          both follows set_order(), so that a result that depends on it shows. Shared memory is filled with NaN bytes
//          before each block and ends exactly where shared_bytes says. The target of a cp.async holds NaN, and may not
//          be touched, until its wait.
// Errors:  Fault, with kernel, block and thread: a barrier or a warp-wide call that not all threads reach, or that they
//          reach in different places of the source; an Array index out of range; cp.async and ldmatrix with a
//          misaligned address or outside of shared memory; a cp.async that is never awaited or whose source changes
//          meanwhile; blocks, grids or shared memory of an impossible size; in a launch with overlap_previous a thread
//          that ends without grid_wait(), or a grid_wait() that not all threads of a block reach. Out-of-bounds
//          accesses and races are reported by the sanitizers that the tests are built with, with the same three names.
//          What kernels for compute capability 9.0 can do wrong besides: kernels/simt/sm90_executor.h.
// Overlap: the launches before may still run while a block is before its grid_wait(): until then the address sanitizer
//          forbids it all memory that was declared by device_memory() and is not constant_memory(). If all that is
//          known to have ended before the previous launch could start the next (it did not overlap, or it called
//          grid_launch_dependents() behind its grid_wait()), only the allocations that the previous launch changed.
// Races:   a build with ThreadSanitizer (tests/simt) takes each fibre for a thread. Memory is ordered by what CUDA says
//          orders it: barriers, sync_warp, the start and end of a launch, and fence() before an atomic with another
//          fence() behind the atomic that sees its result. Shuffles, votes, mma and ldmatrix do not. Lanes that store
//          the same value in the same place are a race as well: let one of them store.
// Limits:  one host thread at a time. A thread that waits for another one in a loop without barriers never lets it run
//          (mbarrier_wait does); a launch that takes set_launch_seconds(), 300, of CPU time ends the program and names
//          the thread that runs.
//          Before grid_wait(), a write to what the previous launch only reads is not seen where that launch is known
//          to be the only one under way; a value that it wrote again as it was is not seen as its own.
// Needs:   Boost.Context.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <functional>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "kernels/simt/types.h"

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
// Of the thread that runs now.
inline dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace layercost {
namespace simt {

class Fault : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The order in which blocks and threads run: 0 ascending, 1 descending, others shuffled by the number.
void set_order(unsigned order);

// The line of a kernel that makes a call: a default argument of everything that threads have to reach together.
struct Caller {
  const char* file;
  int line;
  static constexpr Caller here(const char* f = __builtin_FILE(), int l = __builtin_LINE()) { return {f, l}; }
};
#define SIMT_CALLER , ::layercost::simt::Caller caller = ::layercost::simt::Caller::here()
#define SIMT_SAME_CALLER , caller

namespace executor {

void set_launch_seconds(int seconds);

[[noreturn]] void fault(const std::string& what);  // adds kernel, block and thread
[[noreturn]] void index_fault(int i, int n);

void* shared_memory(std::size_t bytes_wanted, std::size_t alignment);
void read_row(const void* p);       // 16 bytes of shared memory, for ldmatrix
void whole_warp(const char* what);  // faults in a warp of less than 32 lanes
void barrier(Caller);
void barrier_part(int id, int threads, Caller);

// A call that the lanes of a warp make together. `arguments` is this lane's; when all have come, `compute` is called
// once with the arguments of lanes 0 .. 31 (null where the block has no such lane).
using Compute = void (*)(void* const (&arguments)[32]);
void together(const char* name, Caller, void* arguments, Compute compute);

void sync_warp(Caller);
std::uint32_t exchange(const char* name, std::uint32_t v, int from, Caller);  // from: a lane; outside 0 .. 31: v itself
std::uint32_t vote(const char* name, bool v, Caller);
int reduce(const char* name, int v, bool most, Caller);

void atomic(const void* p);  // before an atomic access to 4 bytes
void fence();

void cp_async(void* to, const void* from, bool valid);
void cp_async_commit();
void cp_async_wait(int pending);

void load_matrices(std::uint32_t* r, int count, bool transposed, const void* row, Caller);
enum class Mma { bf16, f16, e4m3 };
void multiply(Mma kind, float* d, const std::uint32_t* a, const std::uint32_t* b, Caller);

// Allocations of a device. constant_memory: nothing writes it any more. other_work: the host, or a copy, has written to
// the device: what the next launch overlaps is unknown.
void device_memory(void* p, std::size_t bytes);
void forget_memory(void* p);
void constant_memory(const void* p);
void other_work();

void grid_wait(Caller);
void grid_launch_dependents();

void run(const char* name, dim3 grid, dim3 block, int shared_bytes, bool overlap, const std::function<void()>& thread);

template <class T>
T exchange_as(const char* name, T v, int from, Caller caller) {
  static_assert(sizeof(T) == 4, "shuffles move 4 bytes");
  std::uint32_t bits;
  std::memcpy(&bits, &v, 4);
  bits = exchange(name, bits, from, caller);
  std::memcpy(&v, &bits, 4);
  return v;
}

}  // namespace executor

inline int lane() { return static_cast<int>(threadIdx.x) & 31; }
inline int warp() { return static_cast<int>(threadIdx.x) >> 5; }

inline void sync_block(Caller caller = Caller::here()) { executor::barrier(caller); }
inline void sync_part(int id, int threads SIMT_CALLER) { executor::barrier_part(id, threads, caller); }
inline void sync_warp(Caller caller = Caller::here()) { executor::sync_warp(caller); }

template <class T>
T shuffle(T v, int from SIMT_CALLER) {
  return executor::exchange_as("shuffle", v, from & 31, caller);
}
template <class T>
T shuffle_xor(T v, int mask SIMT_CALLER) {
  return executor::exchange_as("shuffle_xor", v, lane() ^ mask, caller);
}
template <class T>
T shuffle_up(T v, int delta SIMT_CALLER) {
  return executor::exchange_as("shuffle_up", v, lane() - delta, caller);
}
template <class T>
T shuffle_down(T v, int delta SIMT_CALLER) {
  return executor::exchange_as("shuffle_down", v, lane() + delta, caller);
}
inline std::uint32_t ballot(bool v SIMT_CALLER) { return executor::vote("ballot", v, caller); }
inline bool any(bool v SIMT_CALLER) { return executor::vote("any", v, caller) != 0; }
inline bool all(bool v SIMT_CALLER) { return executor::vote("all", !v, caller) == 0; }
inline int reduce_max(int v SIMT_CALLER) { return executor::reduce("reduce_max", v, true, caller); }
inline int reduce_min(int v SIMT_CALLER) { return executor::reduce("reduce_min", v, false, caller); }
inline int count_bits(std::uint32_t v) { return __builtin_popcount(v); }

// The compiler's own atomics, so that ThreadSanitizer knows them. Relaxed, as CUDA's are.
inline int atomic_compare_exchange(int* p, int expected, int v) {
  executor::atomic(p);
  __atomic_compare_exchange_n(p, &expected, v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return expected;
}
inline int atomic_add(int* p, int v) {
  executor::atomic(p);
  return __atomic_fetch_add(p, v, __ATOMIC_RELAXED);
}
inline float atomic_add(float* p, float v) {
  executor::atomic(p);
  auto* bits = reinterpret_cast<std::uint32_t*>(p);
  std::uint32_t old = __atomic_load_n(bits, __ATOMIC_RELAXED);
  __atomic_compare_exchange_n(bits, &old, as_bits(as_float(old) + v), false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return as_float(old);
}
inline int atomic_max(int* p, int v) {
  executor::atomic(p);
  int old = __atomic_load_n(p, __ATOMIC_RELAXED);
  if (v > old) __atomic_compare_exchange_n(p, &old, v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return old;
}
inline int atomic_exchange(int* p, int v) {
  executor::atomic(p);
  return __atomic_exchange_n(p, v, __ATOMIC_RELAXED);
}
inline void fence() { executor::fence(); }

inline std::uint32_t multiply_add_bf16(std::uint32_t a, std::uint32_t b, std::uint32_t c) {
  const Pair x = unpack(a), y = unpack(b), z = unpack(c);
  return pack(std::fma(x.lo, y.lo, z.lo), std::fma(x.hi, y.hi, z.hi));
}

inline float exp2_fast(float v) { return std::exp2(v); }
inline float exp_fast(float v) { return std::exp(v); }
inline float reciprocal_sqrt(float v) { return 1.0f / std::sqrt(v); }
inline float divide_fast(float a, float b) { return a / b; }

inline std::uint32_t load_word_l2(const void* p) { return *static_cast<const std::uint32_t*>(p); }

inline Vec16 load_streaming(const void* p) {
  if (reinterpret_cast<std::uintptr_t>(p) % 16 != 0) executor::fault("load_streaming of a misaligned address");
  return *static_cast<const Vec16*>(p);
}

template <class T>
T& shared() {
  return *static_cast<T*>(executor::shared_memory(sizeof(T), alignof(T)));
}

template <class T, int N>
struct Array {
  T values[N];
  T& operator[](int i) {
    if (i < 0 || i >= N) executor::index_fault(i, N);
    return values[i];
  }
  const T& operator[](int i) const {
    if (i < 0 || i >= N) executor::index_fault(i, N);
    return values[i];
  }
};

inline void cp_async16(void* to_shared, const void* from_global, bool valid = true) {
  executor::cp_async(to_shared, from_global, valid);
}
inline void cp_async_commit() { executor::cp_async_commit(); }
template <int kPending>
void cp_async_wait() {
  executor::cp_async_wait(kPending);
}

inline void ldmatrix_x4(std::uint32_t (&r)[4], const void* row SIMT_CALLER) {
  executor::load_matrices(r, 4, false, row, caller);
}
inline void ldmatrix_x4_trans(std::uint32_t (&r)[4], const void* row SIMT_CALLER) {
  executor::load_matrices(r, 4, true, row, caller);
}
inline void ldmatrix_x2(std::uint32_t (&r)[2], const void* row SIMT_CALLER) {
  executor::load_matrices(r, 2, false, row, caller);
}
inline void ldmatrix_x2_trans(std::uint32_t (&r)[2], const void* row SIMT_CALLER) {
  executor::load_matrices(r, 2, true, row, caller);
}

inline void mma_bf16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2] SIMT_CALLER) {
  executor::multiply(executor::Mma::bf16, d, a, b, caller);
}
inline void mma_f16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2] SIMT_CALLER) {
  executor::multiply(executor::Mma::f16, d, a, b, caller);
}
inline void mma_e4m3(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2] SIMT_CALLER) {
  executor::multiply(executor::Mma::e4m3, d, a, b, caller);
}

inline void grid_wait(Caller caller = Caller::here()) { executor::grid_wait(caller); }
inline void grid_launch_dependents() { executor::grid_launch_dependents(); }

struct Launch {
  dim3 grid, block;
  int shared_bytes = 0;
  Stream stream = nullptr;
  bool overlap_previous = false;
};

template <class... Parameters, class... Arguments>
int launch(const char* name, const Launch& l, void (*kernel)(Parameters...), const Arguments&... arguments) {
  executor::run(name, l.grid, l.block, l.shared_bytes, l.overlap_previous, [&] { kernel(arguments...); });
  return 0;
}

}  // namespace simt
}  // namespace layercost
