// What:    the sm_90a seam (kernels/simt/sm90.h) under the host compiler; part of the executor
//          (kernels/simt/executor.h).
// Does:    late, as an unlucky GPU would: the bytes of a tma_load, and the arrival of a cp_async_arrive, come when
//          every thread waits (set_order() above 1: at a random one of the moments before, too), a product when
//          wgmma_wait asks for it. Until then the target of a tma_load may not be touched and holds NaN, and so do
//          accumulators.
// Errors:  Fault: an mbarrier that is not initialised, is initialised twice, or whose init cannot be seen yet; more
//          arrivals or bytes than a phase has; a phase that a waiting thread slept through; bytes that come in a later
//          phase, or to a block that has ended; a wait that nobody ends (who, and what is missing); a tma_load to a
//          misaligned address, outside of shared memory, over an mbarrier or over what is under way; a descriptor that
//          is not of a tile with the 128-byte swizzle inside of shared memory; a wgmma without a wgmma_fence since the
//          start or the last wgmma_wait, not committed before the wait, or never awaited; shared memory and
//          accumulators that change while a product is under way; a product of what cp_async16 wrote, without
//          fence_async_shared.
// Races:   mbarrier_arrive releases, mbarrier_wait acquires; a tma_load writes its target where it is called, a wgmma
//          reads its tiles when it is called and when it is awaited. wgmma_wait orders a warp group like a barrier,
//          which it is not: a missing barrier behind it can pass.
// Limits:  64 mbarriers a block. Not seen: a fence_async_shared missing after ordinary stores, or called by the wrong
//          thread; registers written between wgmma_fence and wgmma; A registers changed
//          before the wait.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/executor.h"
#include "kernels/simt/tensor_map.h"

namespace layercost {
namespace simt {

struct alignas(8) Mbarrier {
  std::uint64_t phase;
};

namespace executor {

void mbarrier_init(const Mbarrier* b, int arrivals);
void mbarrier_init_fence();
void mbarrier_arrive(const Mbarrier* b, int bytes);
void mbarrier_wait(const Mbarrier* b, int parity, Caller);
void cp_async_arrive(const Mbarrier* b);

void tma_load(void* to, const TensorMap& map, const Mbarrier* b, int x, int y, int z);
void fence_async_shared();

// 16 bytes that come from outside of shared memory; those outside of [begin, end) are zeros.
struct Piece {
  const std::byte* from;  // of byte 0, whether it exists or not
  int begin, end;
};
void bring(std::byte* to, const Piece* pieces, int count, const Mbarrier* b);

// As together(), for a warp group: 4 warps, the first a multiple of 4. `orders`: memory, as a barrier does.
using ComputeGroup = void (*)(void* const (&arguments)[128]);
void together_group(const char* name, Caller caller, void* arguments, ComputeGroup compute, bool orders = false);

void wgmma_fence(Caller);
void wgmma_commit(Caller);
void wgmma_wait(int pending, Caller);
// d: columns / 2 floats; a_registers: 4, or null: then a is a descriptor.
void wgmma(int columns, bool by_columns, float* d, const std::uint32_t* a_registers, std::uint64_t a, std::uint64_t b,
           bool add, Caller);
void registers(const char* name, int count, Caller);

std::uint32_t shared_address(const void* p);
std::uint64_t swizzled_128(const void* p, int stride_bytes, int columns_stride_bytes);

// Between executor.cpp and executor_sm90.cpp. 16 bytes at a shared address, as wgmma reads them; `announce`: to
// ThreadSanitizer, as a read of the thread that runs.
const std::byte* product_reads(std::uint32_t address, bool announce);
void begin_products();
bool products_under_way(int thread);

}  // namespace executor

inline void mbarrier_init(Mbarrier& b, int arrivals) { executor::mbarrier_init(&b, arrivals); }
inline void mbarrier_init_fence() { executor::mbarrier_init_fence(); }
inline void mbarrier_arrive(Mbarrier& b) { executor::mbarrier_arrive(&b, 0); }
inline void mbarrier_arrive_expect(Mbarrier& b, int bytes) { executor::mbarrier_arrive(&b, bytes); }
inline void mbarrier_wait(Mbarrier& b, int parity SIMT_CALLER) { executor::mbarrier_wait(&b, parity, caller); }
inline void cp_async_arrive(Mbarrier& b) { executor::cp_async_arrive(&b); }

inline void tma_load(void* to, const TensorMap& map, Mbarrier& b, int x, int y, int z = 0) {
  executor::tma_load(to, map, &b, x, y, z);
}
inline void fence_async_shared() { executor::fence_async_shared(); }

inline void wgmma_fence(Caller caller = Caller::here()) { executor::wgmma_fence(caller); }
inline void wgmma_commit(Caller caller = Caller::here()) { executor::wgmma_commit(caller); }
template <int kCount>
void wgmma_arrived(float (&)[kCount]) {}
template <int kPending>
void wgmma_wait(Caller caller = Caller::here()) {
  static_assert(kPending >= 0 && kPending <= 7, "the instruction's range");
  executor::wgmma_wait(kPending, caller);
}

inline std::uint64_t swizzled_128(const void* p, int stride_bytes, int columns_stride_bytes = 16) {
  return executor::swizzled_128(p, stride_bytes, columns_stride_bytes);
}

template <int kCount>
void registers_fewer(Caller caller = Caller::here()) {
  executor::registers("registers_fewer", kCount, caller);
}
template <int kCount>
void registers_more(Caller caller = Caller::here()) {
  executor::registers("registers_more", kCount, caller);
}

template <int kColumns, bool kByColumns = false, class A>
void wgmma_bf16(float (&d)[kColumns / 2], const A& a, std::uint64_t b, bool add SIMT_CALLER) {
  static_assert(kColumns == 64 || kColumns == 128 || kColumns == 192, "as the device side has them");
  if constexpr (std::is_array_v<A>) {
    static_assert(std::is_same_v<A, std::uint32_t[4]>, "a fragment");
    executor::wgmma(kColumns, kByColumns, d, a, 0, b, add, caller);
  } else {
    static_assert(std::is_same_v<A, std::uint64_t>, "a descriptor");
    executor::wgmma(kColumns, kByColumns, d, nullptr, a, b, add, caller);
  }
}

}  // namespace simt
}  // namespace layercost
