// What:    the seam under the host compiler: runs each block's threads as fibres, one at a time, and checks what a GPU
//          would leave undefined. A test tool: slow, and nothing is ever timed on it.
// Does:    blocks one after the other, threads of a block switched at barriers and warp-wide calls only; the order of
//          both follows set_order(), so that a result that depends on it shows. Shared memory is filled with NaN bytes
//          before each block and ends exactly where shared_bytes says.
// Errors:  Fault, with kernel, block and thread: a barrier or a warp-wide call that not all threads reach, or that they
//          reach as different calls; an Array index out of range; misaligned or never awaited cp.async; registers or
//          shared memory of an impossible size. Out-of-bounds and races are reported by the sanitizers that the tests
//          are built with.
// Needs:   Boost.Context. One host thread at a time.
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

namespace executor {

[[noreturn]] void fault(const std::string& what);  // adds kernel, block and thread

void* shared_memory(std::size_t bytes_wanted, std::size_t alignment);
void barrier(int id, int threads);  // threads 0: all of the block

// A call that the lanes of a warp make together. `arguments` is this lane's; when all have come, `compute` is called
// once with the arguments of lanes 0 .. 31 (null where the block has no such lane).
using Compute = void (*)(void* const (&arguments)[32]);
void together(const char* name, int detail, void* arguments, Compute compute);

void cp_async(void* to, const void* from, bool valid);
void cp_async_commit();
void cp_async_wait(int pending);

void run(const char* name, dim3 grid, dim3 block, int shared_bytes, const std::function<void()>& thread);

template <class T>
struct Exchange {
  T in, out;
  int from;  // lane
};
template <class T>
T exchange(const char* name, int detail, T v, int from) {
  static_assert(sizeof(T) == 4, "shuffles move 4 bytes");
  Exchange<T> mine{v, v, from};
  together(name, detail, &mine, [](void* const (&all)[32]) {
    for (int i = 0; i < 32; ++i) {
      if (all[i] == nullptr) continue;
      auto* e = static_cast<Exchange<T>*>(all[i]);
      const int source = e->from;
      if (source < 0 || source > 31) e->out = e->in;  // as shuffle_up and shuffle_down at the edges
      else if (all[source] == nullptr) fault("a shuffle reads a lane that the block does not have");
      else e->out = static_cast<Exchange<T>*>(all[source])->in;
    }
  });
  return mine.out;
}

std::uint32_t vote(const char* name, bool v);
void load_matrices(std::uint32_t* r, int count, bool transposed, const void* row);
enum class Mma { bf16, f16, e4m3 };
void multiply(Mma kind, float* d, const std::uint32_t* a, const std::uint32_t* b);

}  // namespace executor

inline int lane() { return static_cast<int>(threadIdx.x) & 31; }
inline int warp() { return static_cast<int>(threadIdx.x) >> 5; }

inline void sync_block() { executor::barrier(0, 0); }
inline void sync_part(int id, int threads) { executor::barrier(id, threads); }
inline void sync_warp() {
  executor::together("sync_warp", 0, &threadIdx, [](void* const (&)[32]) {});
}

template <class T>
T shuffle(T v, int from) {
  return executor::exchange("shuffle", 0, v, from & 31);
}
template <class T>
T shuffle_xor(T v, int mask) {
  return executor::exchange("shuffle_xor", mask, v, lane() ^ mask);
}
template <class T>
T shuffle_up(T v, int delta) {
  return executor::exchange("shuffle_up", delta, v, lane() - delta);
}
template <class T>
T shuffle_down(T v, int delta) {
  return executor::exchange("shuffle_down", delta, v, lane() + delta);
}
inline std::uint32_t ballot(bool v) { return executor::vote("ballot", v); }
inline bool any(bool v) { return executor::vote("any", v) != 0; }
inline bool all(bool v) { return executor::vote("all", !v) == 0; }
inline int count_bits(std::uint32_t v) { return __builtin_popcount(v); }

template <class T>
T atomic_add(T* p, T v) {
  const T old = *p;
  *p = old + v;
  return old;
}
inline int atomic_max(int* p, int v) {
  const int old = *p;
  if (v > old) *p = v;
  return old;
}
inline int atomic_exchange(int* p, int v) {
  const int old = *p;
  *p = v;
  return old;
}
inline int atomic_compare_exchange(int* p, int expected, int v) {
  const int old = *p;
  if (old == expected) *p = v;
  return old;
}
inline void fence() {}

inline float exp2_fast(float v) { return std::exp2(v); }
inline float exp_fast(float v) { return std::exp(v); }
inline float reciprocal_sqrt(float v) { return 1.0f / std::sqrt(v); }
inline float divide_fast(float a, float b) { return a / b; }

inline Vec16 load_streaming(const void* p) {
  if (reinterpret_cast<std::uintptr_t>(p) % 16 != 0) executor::fault("load_streaming of a misaligned address");
  Vec16 v;
  std::memcpy(&v, p, 16);
  return v;
}

template <class T>
T& shared() {
  return *static_cast<T*>(executor::shared_memory(sizeof(T), alignof(T)));
}

template <class T, int N>
struct Array {
  T values[N];
  T& operator[](int i) {
    if (i < 0 || i >= N) executor::fault("index " + std::to_string(i) + " of an Array of " + std::to_string(N));
    return values[i];
  }
  const T& operator[](int i) const { return const_cast<Array&>(*this)[i]; }
};

inline void cp_async16(void* to_shared, const void* from_global, bool valid = true) {
  executor::cp_async(to_shared, from_global, valid);
}
inline void cp_async_commit() { executor::cp_async_commit(); }
template <int kPending>
void cp_async_wait() {
  executor::cp_async_wait(kPending);
}

inline void ldmatrix_x4(std::uint32_t (&r)[4], const void* row) { executor::load_matrices(r, 4, false, row); }
inline void ldmatrix_x4_trans(std::uint32_t (&r)[4], const void* row) { executor::load_matrices(r, 4, true, row); }
inline void ldmatrix_x2(std::uint32_t (&r)[2], const void* row) { executor::load_matrices(r, 2, false, row); }
inline void ldmatrix_x2_trans(std::uint32_t (&r)[2], const void* row) { executor::load_matrices(r, 2, true, row); }

inline void mma_bf16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  executor::multiply(executor::Mma::bf16, d, a, b);
}
inline void mma_f16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  executor::multiply(executor::Mma::f16, d, a, b);
}
inline void mma_e4m3(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  executor::multiply(executor::Mma::e4m3, d, a, b);
}

inline void grid_wait() {}
inline void grid_launch_dependents() {}

struct Launch {
  dim3 grid, block;
  int shared_bytes = 0;
  Stream stream = nullptr;
  bool overlap_previous = false;
};

template <class... Parameters, class... Arguments>
int launch(const char* name, const Launch& l, void (*kernel)(Parameters...), const Arguments&... arguments) {
  executor::run(name, l.grid, l.block, l.shared_bytes, [&] { kernel(arguments...); });
  return 0;
}

}  // namespace simt
}  // namespace layercost
