// Planted kernels with what compute capability 9.0 has (kernels/simt/sm90.h).
// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/sm90.h"
#include "tests/simt/planted.h"

namespace layercost {
namespace {

using namespace simt;

constexpr int kTile = 64 * 64, kTileBytes = 2 * kTile;

struct alignas(1024) Tiles {
  Array<Array<bf16, kTile>, 2> tile;
  Array<Mbarrier, 4> b;
};

// A matrix of two tiles, one below the other.
class Source {
 public:
  Source() : memory_(2 * kTile) {
    make_tensor_map(&map, {memory_.get(), 64, 128, 1, 128, 4 * kTileBytes, 64, 64});
  }
  bf16* get() { return memory_.get(); }
  TensorMap map;

 private:
  Memory<bf16> memory_;
};

void one_mbarrier(Tiles& s, int arrivals) {
  if (thread() == 0) {
    mbarrier_init(s.b[0], arrivals);
    mbarrier_init_fence();
  }
  sync_block();
}

void load(Tiles& s, const TensorMap& m, int tile = 0) {
  mbarrier_arrive_expect(s.b[0], kTileBytes);
  tma_load(&s.tile[tile][0], m, s.b[0], 0, 0);
}

// ---- mbarriers ------------------------------------------------------------------------------------------------------

template <bool kWrong>
void mbarrier_without_init() {
  two_blocks<Tiles>("mbarrier_without_init", 32, +[] {
    Tiles& s = shared<Tiles>();
    one_mbarrier(s, 32);
    mbarrier_arrive(s.b[kWrong && here() ? 1 : 0]);
  });
}

template <bool kWrong>
void mbarrier_init_twice() {
  two_blocks<Tiles>("mbarrier_init_twice", 32, +[] {
    one_mbarrier(shared<Tiles>(), 1);
    if (kWrong && here() && thread() == 4) mbarrier_init(shared<Tiles>().b[0], 1);
  });
}

template <bool kWrong>
void mbarrier_init_count() {
  two_blocks<Tiles>("mbarrier_init_count", 32, +[] { one_mbarrier(shared<Tiles>(), kWrong && here() ? 0 : 1); });
}

template <bool kWrong>
void mbarrier_init_outside() {
  two_blocks<Tiles>("mbarrier_init_outside", 32, +[] {
    Mbarrier mine;
    Mbarrier& b = kWrong && here() ? mine : shared<Tiles>().b[0];
    if (thread() == 3) mbarrier_init(b, 1);
  });
}

// The fence, or the barrier, between the init and the others.
template <bool kFence, bool kBarrier>
void init_seen(const char* name) {
  two_blocks<Tiles>(name, 32, +[] {
    Tiles& s = shared<Tiles>();
    if (thread() == 0) {
      mbarrier_init(s.b[0], 32);
      if (kFence || !here()) mbarrier_init_fence();
    }
    if (kBarrier || !here()) sync_block();
    if (kBarrier || !here() || thread() != 0) mbarrier_arrive(s.b[0]);
    if (!kBarrier && here()) sync_block();
    if (!kBarrier && here() && thread() == 0) mbarrier_arrive(s.b[0]);
  });
}
template <bool kWrong>
void mbarrier_init_without_fence() {
  init_seen<!kWrong, true>("mbarrier_init_without_fence");
}
template <bool kWrong>
void mbarrier_init_without_barrier() {
  init_seen<true, !kWrong>("mbarrier_init_without_barrier");
}

// Only while bytes are still to come can an arrival be one too many: else it belongs to the next phase.
template <bool kWrong>
void mbarrier_arrivals() {
  Source m;
  two_blocks<Tiles>("mbarrier_arrivals", 32, +[](const TensorMap map) {
    Tiles& s = shared<Tiles>();
    one_mbarrier(s, 1);
    if (thread() == 0) load(s, map);
    sync_warp();
    if (kWrong && here() && thread() == 9) mbarrier_arrive(s.b[0]);
    mbarrier_wait(s.b[0], 0);
  }, m.map);
}

template <bool kWrong>
void mbarrier_too_few_arrivals() {
  two_blocks<Tiles>("mbarrier_too_few_arrivals", 64, +[] {
    Tiles& s = shared<Tiles>();
    one_mbarrier(s, 32);
    if (warp() == 0) mbarrier_wait(s.b[0], 0);
    else if (!kWrong || !here() || thread() != 40) mbarrier_arrive(s.b[0]);
  });
}

template <bool kWrong>
void mbarrier_expects(int more) {
  Source m;
  two_blocks<Tiles>("mbarrier_expects", 32, +[](const TensorMap map, int bytes) {
    Tiles& s = shared<Tiles>();
    one_mbarrier(s, 1);
    if (thread() == 0) {
      mbarrier_arrive_expect(s.b[0], kTileBytes + (kWrong && here() ? bytes : 0));
      tma_load(&s.tile[0][0], map, s.b[0], 0, 0);
    }
    mbarrier_wait(s.b[0], 0);
  }, m.map, more);
}
template <bool kWrong>
void mbarrier_expects_more() {
  mbarrier_expects<kWrong>(128);
}
template <bool kWrong>
void mbarrier_expects_less() {
  mbarrier_expects<kWrong>(-64);
}
// A phase that does not count the bytes of a tma_load is over before they come.
template <bool kWrong>
void mbarrier_expects_nothing() {
  Source m;
  two_blocks<Tiles>("mbarrier_expects_nothing", 32, +[](const TensorMap map) {
    Tiles& s = shared<Tiles>();
    one_mbarrier(s, 1);
    for (int i = 0; i < 2; ++i) {
      if (thread() == 0) {
        tma_load(&s.tile[i][0], map, s.b[0], 0, 0);
        if (kWrong && here() && i == 0) mbarrier_arrive(s.b[0]);
        else mbarrier_arrive_expect(s.b[0], kTileBytes);
      }
      sync_block();
      mbarrier_wait(s.b[0], i);
    }
  }, m.map);
}

template <bool kWrong>
void mbarrier_parity() {
  two_blocks<Tiles>("mbarrier_parity", 32, +[] {
    Tiles& s = shared<Tiles>();
    one_mbarrier(s, 32);
    mbarrier_arrive(s.b[0]);
    mbarrier_wait(s.b[0], 0);
    mbarrier_arrive(s.b[0]);
    mbarrier_wait(s.b[0], kWrong && here() ? 2 : 1);
  });
}

// Thread 0 ends two phases while thread 1 has yet to see that the first one is over.
template <bool kWrong>
void mbarrier_slept() {
  two_blocks<Tiles>("mbarrier_slept", 64, +[] {
    Tiles& s = shared<Tiles>();
    one_mbarrier(s, 1);
    if (warp() == 0) {
      mbarrier_wait(s.b[0], 0);
    } else if (thread() == 32) {
      mbarrier_arrive(s.b[0]);
      if (kWrong && here()) mbarrier_arrive(s.b[0]);
    }
  });
}

template <bool kWrong>
void mbarrier_bytes() {
  two_blocks<Tiles>("mbarrier_bytes", 32, +[] {
    Tiles& s = shared<Tiles>();
    one_mbarrier(s, 33);
    mbarrier_arrive_expect(s.b[0], kWrong && here() ? 1 << 15 : 1 << 14);
  });
}

template <bool kWrong>
void mbarrier_many() {
  two_blocks<Tiles>("mbarrier_many", 1, +[] {
    auto* b = reinterpret_cast<Mbarrier*>(&shared<Tiles>().tile[0][0]);
    for (int i = 0; i < (kWrong && here() ? 65 : 64); ++i) mbarrier_init(b[i], 1);
  });
}

template <bool kWrong>
void mbarrier_touched() {
  two_blocks<Tiles>("mbarrier_touched", 32, +[] {
    Tiles& s = shared<Tiles>();
    one_mbarrier(s, 1);
    if (thread() == 7) s.b[kWrong && here() ? 0 : 1].phase = 0;
  });
}

template <bool kWrong>
void copies_never_arrive() {
  Source m;
  two_blocks<Tiles>("copies_never_arrive", 32, +[](const bf16* from) {
    Tiles& s = shared<Tiles>();
    one_mbarrier(s, 32);
    cp_async16(&s.tile[0][8 * thread()], from + 8 * thread());
    cp_async_arrive(s.b[0]);
    if (kWrong && here() && thread() == 30) cp_async16(&s.tile[1][0], from);
    mbarrier_wait(s.b[0], 0);
  }, static_cast<const bf16*>(m.get()));
}

template <bool kWrong>
void copies_read_early() {
  Source m;
  two_blocks<Tiles>("copies_read_early", 64, +[](const bf16* from, bf16* to) {
    Tiles& s = shared<Tiles>();
    one_mbarrier(s, 32);
    if (warp() == 1) {
      cp_async16(&s.tile[0][8 * lane()], from + 8 * lane());
      cp_async_arrive(s.b[0]);
    }
    sync_block();
    if (warp() == 1) return;
    if (!kWrong || !here()) mbarrier_wait(s.b[0], 0);
    to[64 * blockIdx.x + threadIdx.x] = s.tile[0][8 * thread()];
    if (kWrong && here()) mbarrier_wait(s.b[0], 0);
  }, static_cast<const bf16*>(m.get()), m.get() + kTile);
}

// ---- tma_load -------------------------------------------------------------------------------------------------------

struct LoadFault {
  int to = 0;  // elements off
  bool fence = true, wait = true, made = true, twice = false, source_changes = false, over_mbarrier = false;
};

template <class F>
void load_tile(const char* name, F fault) {
  Source m;
  Memory<bf16> out(64);
  two_blocks<Tiles>(name, 32, +[](const TensorMap one, bf16* source, bf16* to, F f) {
    if (!here()) f = F{};
    Tiles& s = shared<Tiles>();
    const TensorMap map = f.made ? one : TensorMap{};
    if (thread() == 0) {
      mbarrier_init(s.b[0], 1);
      if (f.over_mbarrier) mbarrier_init(*reinterpret_cast<Mbarrier*>(&s.tile[0][100]), 1);
      if (f.fence) mbarrier_init_fence();
      mbarrier_arrive_expect(s.b[0], f.twice ? 2 * kTileBytes : kTileBytes);
      tma_load(&s.tile[0][0] + f.to, map, s.b[0], 0, 64 * static_cast<int>(blockIdx.x));
      if (f.twice) tma_load(&s.tile[0][0], map, s.b[0], 0, 64);
      mbarrier_init_fence();
    }
    sync_block();
    if (f.source_changes && thread() == 5) source[kTile + 77] = bf16{1};
    if (f.wait) mbarrier_wait(s.b[0], 0);
    const bf16 v = s.tile[0][thread()];
    if (!f.wait) mbarrier_wait(s.b[0], 0);
    to[32 * blockIdx.x + threadIdx.x] = v;
  }, m.map, m.get(), out.get(), fault);
}

#define LOAD_FAULT(name, change)         \
  template <bool kWrong>                 \
  void name() {                          \
    LoadFault f;                         \
    if (kWrong) change;                  \
    load_tile(#name, f);                 \
  }
LOAD_FAULT(load_address, f.to = 256)
LOAD_FAULT(load_outside, f.to = 10 * 512)
LOAD_FAULT(load_without_fence, f.fence = false)
LOAD_FAULT(load_without_wait, f.wait = false)
LOAD_FAULT(load_without_map, f.made = false)
LOAD_FAULT(load_twice, f.twice = true)
LOAD_FAULT(load_source_changes, f.source_changes = true)
LOAD_FAULT(load_over_mbarrier, f.over_mbarrier = true)

template <bool kWrong>
void load_never_awaited() {
  Source m;
  two_blocks<Tiles>("load_never_awaited", 32, +[](const TensorMap map) {
    Tiles& s = shared<Tiles>();
    one_mbarrier(s, 1);
    if (thread() == 0) load(s, map);
    if (!kWrong || !here()) mbarrier_wait(s.b[0], 0);
  }, m.map);
}

// The next tile is asked for while others may still read this one.
template <bool kWrong>
void load_over_a_tile_in_use() {
  Source m;
  Memory<bf16> out(128);
  two_blocks<Tiles>("load_over_a_tile_in_use", 64, +[](const TensorMap map, bf16* to) {
    Tiles& s = shared<Tiles>();
    if (thread() == 0) mbarrier_init(s.b[1], 32);
    one_mbarrier(s, 1);
    if (thread() == 0) {
      load(s, map);
      mbarrier_wait(s.b[0], 0);
      if (!kWrong || !here()) mbarrier_wait(s.b[1], 0);
      load(s, map);
    }
    if (warp() == 0) return;
    for (int i = 0; i < 2; ++i) {
      mbarrier_wait(s.b[0], i);
      to[64 * blockIdx.x + threadIdx.x] = s.tile[0][thread()];
      if (i == 0) mbarrier_arrive(s.b[1]);
    }
  }, m.map, out.get());
}

// ---- wgmma ----------------------------------------------------------------------------------------------------------

struct ProductFault {
  bool fence = true, commit = true, wait = true, late_write = false, tile_changes = false, other_address = false;
  int warps = 4;
  std::uint64_t bits = 0;  // flipped in the descriptor of b
  int group = 0;           // the group of the block's two that is wrong
};

// Two warp groups, each a product of the two tiles.
template <class F>
void products(const char* name, F fault, int threads = 256) {
  Memory<float> out(threads);
  two_blocks<Tiles>(name, threads, +[](float* to, F f) {
    if (!here() || thread() / 128 != f.group) f = F{};
    Tiles& s = shared<Tiles>();
    for (int i = thread(); i < 2 * kTile; i += static_cast<int>(blockDim.x))
      s.tile[i / kTile][i % kTile] = bf16{0x3f80};
    fence_async_shared();
    sync_block();
    if (thread() % 128 / 32 >= f.warps) return;
    float d[32] = {};
    if (f.fence) wgmma_fence();
    const std::uint64_t a = swizzled_128(&s.tile[0][0], 1024);
    std::uint64_t b = swizzled_128(&s.tile[1][0], 1024) ^ f.bits;
    if (f.other_address && thread() % 128 == 77) b += 2;
    wgmma_bf16<64>(d, a, b, true);
    if (f.late_write && thread() % 128 == 3) d[5] = 0;
    if (f.commit) wgmma_commit();
    if (f.tile_changes) {  // ordered against all that reads it, but not against the product
      sync_part(1 + f.group, 128);
      if (thread() % 128 == 0) s.tile[1][11] = bf16{0};
      sync_part(1 + f.group, 128);
    }
    if (f.wait) wgmma_wait<0>();
    if (blockIdx.x == 0) to[thread()] = d[0];
  }, out.get(), fault);
}

#define PRODUCT_FAULT(name, change)      \
  template <bool kWrong>                 \
  void name() {                          \
    ProductFault f;                      \
    if (kWrong) change;                  \
    products(#name, f);                  \
  }
PRODUCT_FAULT(wgmma_without_fence, f.fence = false)
PRODUCT_FAULT(wgmma_without_commit, f.commit = false)
PRODUCT_FAULT(wgmma_never_awaited, f.wait = false)
PRODUCT_FAULT(wgmma_accumulators_written, f.late_write = true)
PRODUCT_FAULT(wgmma_arguments_differ, f.other_address = true)
PRODUCT_FAULT(wgmma_warp_gone, (f.warps = 3, f.group = 1))
PRODUCT_FAULT(wgmma_swizzle, f.bits = std::uint64_t{3} << 62)
PRODUCT_FAULT(wgmma_base_offset, f.bits = std::uint64_t{1} << 49)
PRODUCT_FAULT(wgmma_first_row, f.bits = 8)          // 128 bytes further
PRODUCT_FAULT(wgmma_row_end, f.bits = 7)            // 112 bytes further
PRODUCT_FAULT(wgmma_outside, f.bits = 1 << 13)      // 128 KiB further
PRODUCT_FAULT(wgmma_stride, f.bits = std::uint64_t{1} << 40)  // 4 KiB more

template <bool kWrong>
void wgmma_tile_changes() {
  ProductFault f;
  f.tile_changes = kWrong;
  products("wgmma_tile_changes", f, 128);
}

template <bool kWrong>
void wgmma_part_of_a_group() {
  two_blocks<Tiles>("wgmma_part_of_a_group", kWrong ? 192 : 256, +[] {
    if (warp() >= 4) wgmma_fence();
  });
}

template <bool kWrong>
void wgmma_fence_after_wait() {
  two_blocks<Tiles>("wgmma_fence_after_wait", 128, +[] {
    Tiles& s = shared<Tiles>();
    float d[32] = {};
    for (int i = 0; i < 2; ++i) {
      if (i == 0 || !kWrong || !here()) wgmma_fence();
      wgmma_bf16<64>(d, swizzled_128(&s.tile[0][0], 1024), swizzled_128(&s.tile[1][0], 1024), true);
      wgmma_commit();
      wgmma_wait<0>();
    }
  });
}

template <bool kWrong>
void wgmma_before_the_tile() {
  Source m;
  two_blocks<Tiles>("wgmma_before_the_tile", 128, +[](const TensorMap map) {
    Tiles& s = shared<Tiles>();
    one_mbarrier(s, 1);
    if (thread() == 0) load(s, map, 1);
    sync_block();
    if (!kWrong || !here()) mbarrier_wait(s.b[0], 0);
    float d[32] = {};
    wgmma_fence();
    wgmma_bf16<64>(d, swizzled_128(&s.tile[0][0], 1024), swizzled_128(&s.tile[1][0], 1024), true);
    wgmma_commit();
    wgmma_wait<0>();
    if (kWrong && here()) mbarrier_wait(s.b[0], 0);
  }, m.map);
}

// The consumer gives the tile back before its product is through.
template <bool kWrong>
void wgmma_tile_given_back() {
  Source m;
  two_blocks<Tiles>("wgmma_tile_given_back", 160, +[](const TensorMap map) {
    Tiles& s = shared<Tiles>();
    if (thread() == 0) mbarrier_init(s.b[1], 1);
    one_mbarrier(s, 1);
    if (warp() == 4) {
      if (lane() != 0) return;
      load(s, map);
      mbarrier_wait(s.b[1], 0);
      load(s, map);
      return;
    }
    float d[32] = {};
    for (int i = 0; i < 2; ++i) {
      mbarrier_wait(s.b[0], i);
      wgmma_fence();
      wgmma_bf16<64>(d, swizzled_128(&s.tile[0][0], 1024), swizzled_128(&s.tile[0][0], 1024), true);
      wgmma_commit();
      sync_part(1, 128);
      if (kWrong && here() && i == 0 && thread() == 0) mbarrier_arrive(s.b[1]);
      sync_part(1, 128);
      wgmma_wait<0>();
      if ((!kWrong || !here()) && i == 0 && thread() == 0) mbarrier_arrive(s.b[1]);
    }
  }, m.map);
}

template <bool kWrong>
void wgmma_without_async_fence() {
  Source m;
  two_blocks<Tiles>("wgmma_without_async_fence", 128, +[](const bf16* from) {
    Tiles& s = shared<Tiles>();
    for (int i = 8 * thread(); i < kTile; i += 8 * 128) cp_async16(&s.tile[1][i], from + i);
    cp_async_commit();
    cp_async_wait<0>();
    if (!kWrong || !here()) fence_async_shared();
    sync_block();
    float d[32] = {};
    wgmma_fence();
    wgmma_bf16<64>(d, swizzled_128(&s.tile[0][0], 1024), swizzled_128(&s.tile[1][0], 1024), true);
    wgmma_commit();
    wgmma_wait<0>();
  }, static_cast<const bf16*>(m.get()));
}

template <bool kWrong>
void wgmma_without_barrier() {
  two_blocks<Tiles>("wgmma_without_barrier", 128, +[] {
    Tiles& s = shared<Tiles>();
    for (int i = thread(); i < 2 * kTile; i += 128) s.tile[i / kTile][i % kTile] = bf16{0};
    fence_async_shared();
    if (!kWrong || !here()) sync_block();
    float d[32] = {};
    wgmma_fence();
    wgmma_bf16<64>(d, swizzled_128(&s.tile[0][0], 1024), swizzled_128(&s.tile[1][0], 1024), true);
    wgmma_commit();
    wgmma_wait<0>();
  });
}

template <bool kWrong>
void wgmma_other_accumulators() {
  two_blocks<Tiles>("wgmma_other_accumulators", 128, +[] {
    Tiles& s = shared<Tiles>();
    float d[32] = {}, other[32] = {};
    wgmma_fence();
    for (int i = 0; i < 2; ++i)
      wgmma_bf16<64>(kWrong && here() && thread() == 50 && i == 1 ? other : d, swizzled_128(&s.tile[0][0], 1024),
                     swizzled_128(&s.tile[1][0], 1024), true);
    wgmma_commit();
    wgmma_wait<0>();
  });
}

template <bool kWrong>
void descriptor_stride() {
  two_blocks<Tiles>("descriptor_stride", 32, +[] {
    swizzled_128(&shared<Tiles>().tile[0][0], kWrong && here() ? 1032 : 1024);
  });
}

template <bool kWrong>
void descriptor_of_registers() {
  two_blocks<Tiles>("descriptor_of_registers", 32, +[] {
    const bf16 mine[64] = {};
    swizzled_128(kWrong && here() ? mine : &shared<Tiles>().tile[0][0], 1024);
  });
}

template <bool kWrong>
void registers_count() {
  two_blocks<Tiles>("registers_count", 128, +[] {
    if (kWrong && here()) registers_more<252>();
    else registers_more<240>();
  });
}

template <bool kWrong>
void registers_by_one_warp() {
  two_blocks<Tiles>("registers_by_one_warp", 256, +[] {
    if (warp() >= 4 && (warp() < 6 || !kWrong || !here())) registers_fewer<40>();
  });
}

}  // namespace

const std::vector<Planted>& planted_sm90() {
  static const std::vector<Planted> all = {
      PLANTED(mbarrier_without_init, fault,
              SECOND(mbarrier_without_init, "[0-9]+: mbarrier_arrive of an mbarrier that nobody has initialised")),
      PLANTED(mbarrier_init_twice, fault,
              SECOND(mbarrier_init_twice, "4: mbarrier_init of an mbarrier that is one already")),
      PLANTED(mbarrier_init_count, fault, SECOND(mbarrier_init_count, "0: mbarrier_init for 0 arrivals")),
      PLANTED(mbarrier_init_outside, fault, SECOND(mbarrier_init_outside, "3: mbarrier_init outside of shared memory")),
      PLANTED(mbarrier_init_without_fence, fault,
              SECOND(mbarrier_init_without_fence, "[0-9]+: mbarrier_arrive .* init by thread 0 it cannot see yet")),
      PLANTED(mbarrier_init_without_barrier, fault,
              SECOND(mbarrier_init_without_barrier, "1: mbarrier_arrive .* whose init by thread 0 it cannot see yet")),
      PLANTED(mbarrier_arrivals, fault,
              SECOND(mbarrier_arrivals, "9: one arrival more at an mbarrier than the 1 of its phase")),
      PLANTED(mbarrier_too_few_arrivals, fault,
              SECOND(mbarrier_too_few_arrivals,
                     "0: waits at mbarrier_wait \\(planted_sm90.cpp:[0-9]+\\) for phase 0 of the mbarrier at byte "
                     "16384, to which 1 arrival and 0 bytes have yet to come: thread 32 has ended")),
      PLANTED(mbarrier_expects_more, fault,
              "mbarrier_expects block \\(1, 0, 0\\) thread 0: waits at .* to which 0 arrivals and 128 bytes have yet "
              "to come, as all threads do"),
      PLANTED(mbarrier_expects_less, fault,
              "mbarrier_expects block \\(1, 0, 0\\) thread 0: 64 bytes more come to an mbarrier than are expected"),
      PLANTED(mbarrier_expects_nothing, fault,
              SECOND(mbarrier_expects_nothing, "0: a tma_load comes in when the phase of its mbarrier is over")),
      PLANTED(mbarrier_parity, fault, SECOND(mbarrier_parity, "[0-9]+: mbarrier_wait for parity 2")),
      PLANTED(mbarrier_bytes, fault, SECOND(mbarrier_bytes, "[0-9]+: more bytes than an mbarrier counts")),
      PLANTED(mbarrier_many, fault, SECOND(mbarrier_many, "0: more than 64 mbarriers")),
      PLANTED(mbarrier_slept, fault,
              SECOND(mbarrier_slept, "0: slept at mbarrier_wait \\(planted_sm90.cpp.* through phase 1 of an mbarrier")),
      PLANTED(mbarrier_touched, address,
              "use-after-poison.*SIMT: an mbarrier, which only its own calls may touch.*SIMT: in "
              SECOND(mbarrier_touched, "7")),
      PLANTED(copies_never_arrive, fault,
              SECOND(copies_never_arrive, "30: ends with a cp.async that was never awaited")),
      PLANTED(copies_read_early, address,
              "use-after-poison.*SIMT: shared memory that a cp.async of thread 32 has yet to deliver.*SIMT: in "
              SECOND(copies_read_early, "0")),

      PLANTED(load_address, fault, SECOND(load_address, "0: tma_load with a misaligned address")),
      PLANTED(load_outside, fault, SECOND(load_outside, "0: tma_load outside of shared memory")),
      PLANTED(load_without_fence, fault,
              SECOND(load_without_fence, "0: tma_load with an mbarrier without mbarrier_init_fence")),
      PLANTED(load_without_wait, address,
              "use-after-poison.*SIMT: shared memory that a tma_load of thread 0 has yet to deliver.*SIMT: in "
              SECOND(load_without_wait, "[0-9]+")),
      PLANTED(load_without_map, fault, SECOND(load_without_map, "0: tma_load by a TensorMap that make_tensor_map did")),
      PLANTED(load_twice, fault,
              SECOND(load_twice, "0: tma_load of shared memory that a tma_load of thread 0 has yet to deliver")),
      PLANTED(load_source_changes, fault,
              SECOND(load_source_changes, "0: the source of a tma_load changed before its wait")),
      PLANTED(load_over_mbarrier, fault, SECOND(load_over_mbarrier, "0: tma_load over an mbarrier")),
      PLANTED(load_never_awaited, fault,
              SECOND(load_never_awaited, "0: its tma_load is under way at the block's end")),

      PLANTED(wgmma_without_fence, fault, SECOND(wgmma_without_fence, "127: wgmma without wgmma_fence\\(\\)")),
      PLANTED(wgmma_without_commit, fault, SECOND(wgmma_without_commit, "[0-9]+: wgmma_wait before wgmma_commit")),
      PLANTED(wgmma_never_awaited, fault,
              SECOND(wgmma_never_awaited, "[0-9]+: ends with a wgmma that was never awaited")),
      PLANTED(wgmma_accumulators_written, fault,
              SECOND(wgmma_accumulators_written, "[0-9]+: thread 3 wrote to accumulators of a wgmma under way")),
      PLANTED(wgmma_tile_changes, fault,
              SECOND(wgmma_tile_changes, "[0-9]+: shared memory changed while a wgmma that reads it is under way")),
      PLANTED(wgmma_arguments_differ, fault,
              SECOND(wgmma_arguments_differ, "[0-9]+: thread 77 of its warp group calls wgmma with other arguments")),
      PLANTED(wgmma_warp_gone, fault,
              SECOND(wgmma_warp_gone, "128: waits at wgmma_fence .* which 32 other threads never reach: thread 224 has "
                                      "ended")),
      PLANTED(wgmma_swizzle, fault, SECOND(wgmma_swizzle, "[0-9]+: .* b of a wgmma is not of the 128-byte swizzle")),
      PLANTED(wgmma_base_offset, fault, SECOND(wgmma_base_offset, "[0-9]+: .* b of a wgmma has bits set")),
      PLANTED(wgmma_first_row, fault,
              SECOND(wgmma_first_row, "[0-9]+: .* b of a wgmma does not start in the first row")),
      PLANTED(wgmma_row_end, fault, SECOND(wgmma_row_end, "[0-9]+: .* b of a wgmma leaves its rows of 128 bytes")),
      PLANTED(wgmma_outside, fault, SECOND(wgmma_outside, "[0-9]+: wgmma outside of shared memory")),
      PLANTED(wgmma_stride, fault, SECOND(wgmma_stride, "[0-9]+: wgmma outside of shared memory")),
      PLANTED(wgmma_part_of_a_group, fault,
              "wgmma_part_of_a_group .* thread 128: wgmma_fence in a warp group of less than 128 threads"),
      PLANTED(wgmma_fence_after_wait, fault, SECOND(wgmma_fence_after_wait, "[0-9]+: wgmma without wgmma_fence\\(\\)")),
      PLANTED(wgmma_before_the_tile, fault,
              SECOND(wgmma_before_the_tile, "[0-9]+: wgmma of shared memory that a tma_load of thread 0 has yet to")),
      PLANTED(wgmma_tile_given_back, fault,
              SECOND(wgmma_tile_given_back, "[0-9]+: wgmma of shared memory that a tma_load of thread 128 has yet to")),
      PLANTED(wgmma_without_async_fence, fault,
              SECOND(wgmma_without_async_fence, "[0-9]+: wgmma of shared memory that a cp.async wrote, without fence")),
      PLANTED(wgmma_other_accumulators, fault,
              SECOND(wgmma_other_accumulators, "[0-9]+: thread 50 of its warp group calls wgmma with accumulators of")),
      PLANTED(descriptor_stride, fault,
              SECOND(descriptor_stride, "[0-9]+: a descriptor with a stride of 1032 bytes")),
      PLANTED(descriptor_of_registers, fault,
              SECOND(descriptor_of_registers, "[0-9]+: the shared address of what is not shared memory")),
      PLANTED(registers_count, fault, SECOND(registers_count, "0: registers_more of 252")),
      PLANTED(registers_by_one_warp, fault,
              SECOND(registers_by_one_warp, "128: waits at registers_fewer .* 64 other threads never reach")),

      PLANTED(load_over_a_tile_in_use, race, SECOND(load_over_a_tile_in_use, "[0-9]+")),
      PLANTED(wgmma_without_barrier, race, SECOND(wgmma_without_barrier, "[0-9]+")),
  };
  return all;
}

}  // namespace layercost
