// SPDX-License-Identifier: Apache-2.0
#include "tests/simt/planted.h"

namespace layercost {
namespace {

using namespace simt;

struct Words {
  Array<int, 64> word;
};
struct Bytes {
  Array<Vec16, 8> row;
};

// ---- threads that do not come ---------------------------------------------------------------------------------------

template <bool kWrong>
void barrier_exit() {
  two_blocks<Words>("barrier_exit", 64, +[] {
    if (kWrong && here() && thread() == 33) return;
    sync_block();
  });
}

template <bool kWrong>
void barrier_lines() {
  two_blocks<Words>("barrier_lines", 64, +[] {
    if (kWrong && here() && thread() >= 32) {
      sync_block();
    } else {
      sync_block();
    }
  });
}

template <bool kWrong>
void barrier_in_a_loop() {
  two_blocks<Words>("barrier_in_a_loop", 64, +[] {
    const int rounds = kWrong && here() && thread() < 32 ? 3 : 4;
    for (int i = 0; i < rounds; ++i) sync_block();
  });
}

template <bool kWrong>
void barrier_or_shuffle() {
  two_blocks<Words>("barrier_or_shuffle", 32, +[] {
    if (kWrong && here() && lane() >= 16) {
      sync_block();
    } else {
      shuffle(1, 0);
    }
    if (!kWrong) sync_block();
  });
}

template <bool kWrong>
void lane_gone() {
  two_blocks<Words>("lane_gone", 64, +[] {
    if (kWrong && here() && thread() == 40) return;
    warp_sum(1.0f);
  });
}

template <bool kWrong>
void warp_lines() {
  two_blocks<Words>("warp_lines", 32, +[] {
    if (kWrong && here() && lane() == 7) {
      warp_sum(1.0f);
    } else {
      warp_sum(1.0f);
    }
  });
}

template <bool kWrong>
void warp_calls() {
  two_blocks<Words>("warp_calls", 32, +[] { kWrong && here() && lane() == 31 ? any(true) : all(true); });
}

template <bool kWrong>
void part_counts() {
  two_blocks<Words>("part_counts", 128, +[] {
    sync_part(1 + thread() / 64, kWrong && here() && thread() == 70 ? 96 : 64);
  });
}

template <bool kWrong>
void part_too_few() {
  two_blocks<Words>("part_too_few", 128, +[] {
    if (thread() >= 64 || (!kWrong && thread() < 32) || (kWrong && !here())) return;
    sync_part(3, kWrong ? 96 : 32);
  });
}

template <bool kWrong>
void part_number() {
  two_blocks<Words>("part_number", 64, +[] { sync_part(kWrong && here() ? 16 : 15, 64); });
}

template <bool kWrong>
void part_size() {
  two_blocks<Words>("part_size", 64, +[] {
    if (thread() < 32) sync_part(1, kWrong && here() ? 31 : 32);
  });
}

template <bool kWrong>
void lane_that_is_not_there() {
  two_blocks<Words>("lane_that_is_not_there", 40, +[] {
    if (warp() == 1) shuffle(1, kWrong && here() ? 8 : 7);
  });
}

// ---- addresses ------------------------------------------------------------------------------------------------------

template <bool kWrong>
void array_index() {
  two_blocks<Words>("array_index", 64, +[] {
    shared<Words>().word[thread() + (kWrong && here() ? 1 : 0)] = 0;
  });
}

template <bool kWrong>
void shared_bytes() {
  launch("shared_bytes", {dim3(2), dim3(32), static_cast<int>(sizeof(Words)) - (kWrong ? 4 : 0)}, +[] {
    shared<Words>().word[lane()] = 0;
  });
}

template <bool kWrong>
void shared_pointer() {
  two_blocks<Words>("shared_pointer", 64, +[] {
    int* p = &shared<Words>().word[0];
    p[thread() + (kWrong && here() ? 1 : 0)] = 0;
  });
}

template <bool kWrong>
void global_end() {
  Memory<int> m(128);
  two_blocks<Words>("global_end", 64, +[](int* p) {
    p[64 * static_cast<int>(blockIdx.x) + thread() + (kWrong && here() ? 1 : 0)] = 0;
  }, m.get());
}

template <bool kWrong>
void global_begin() {
  Memory<int> m(64);
  two_blocks<Words>("global_begin", 64, +[](int* p, int* sum) {
    if (thread() == 5 && here()) *sum = p[kWrong ? -1 : 0];
  }, m.get(), m.get() + 1);
}

template <bool kWrong>
void vector_address() {
  Memory<Vec16> m(5);
  two_blocks<Words>("vector_address", 4, +[](Vec16* p) {
    const char* from = reinterpret_cast<const char*>(p) + 16 * thread() + (kWrong && here() ? 4 : 0);
    const Vec16 v = *reinterpret_cast<const Vec16*>(from);
    if (v.word[0] != 0) p[4] = v;
  }, m.get());
}

template <bool kWrong>
void streaming_address() {
  Memory<Vec16> m(5);
  two_blocks<Words>("streaming_address", 4, +[](Vec16* p) {
    load_streaming(reinterpret_cast<const char*>(p) + 16 * thread() + (kWrong && here() ? 8 : 0));
  }, m.get());
}

template <bool kWrong>
void atomic_address() {
  Memory<int> m(5);
  two_blocks<Words>("atomic_address", 4, +[](int* p) {
    atomic_add(reinterpret_cast<int*>(reinterpret_cast<char*>(p) + (kWrong && here() ? 2 : 0)), 1);
  }, m.get());
}

template <bool kWrong>
void block_size() {
  launch("block_size", {dim3(1), dim3(kWrong ? 1025 : 1024), 0}, +[] {});
}

template <bool kWrong>
void grid_size() {
  launch("grid_size", {dim3(1, kWrong ? 65536 : 1), dim3(1), 0}, +[] {});
}

template <bool kWrong>
void shared_size() {
  launch("shared_size", {dim3(1), dim3(1), 227 * 1024 + (kWrong ? 1 : 0)}, +[] {});
}

template <bool kWrong>
void no_end() {
  executor::set_launch_seconds(1);
  two_blocks<Words>("no_end", 32, +[] {
    while (kWrong && here()) sync_block();
  });
}

// ---- cp.async -------------------------------------------------------------------------------------------------------

// Thread t copies row t, waits, and the block reads what its neighbour copied.
struct CopyFault {
  int to = 0, from = 0;  // bytes off
  bool commit = true, wait = true, barrier = true;
};

template <class F>
void copy_rows(const char* name, F fault) {
  Memory<Vec16> m(17);
  launch(name, {dim3(2), dim3(8), sizeof(Bytes)}, +[](const Vec16* from, Vec16* out, CopyFault f) {
    if (!here()) f = CopyFault{};
    Bytes& s = shared<Bytes>();
    cp_async16(reinterpret_cast<char*>(&s.row[thread()]) + f.to,
               reinterpret_cast<const char*>(from + thread()) + f.from);
    if (f.commit) cp_async_commit();
    if (f.wait) cp_async_wait<0>();
    if (f.barrier) sync_block();
    const Vec16 v = s.row[(thread() + 1) % 8];
    if (here()) out[thread()] = v;
  }, static_cast<const Vec16*>(m.get()), m.get() + 8, fault);
}

template <bool kWrong>
void copy_target_address() {
  CopyFault f;
  if (kWrong) f.to = 8;
  copy_rows("copy_target_address", f);
}
template <bool kWrong>
void copy_source_address() {
  CopyFault f;
  if (kWrong) f.from = 4;
  copy_rows("copy_source_address", f);
}
template <bool kWrong>
void copy_outside() {
  CopyFault f;
  if (kWrong) f.to = 16;
  copy_rows("copy_outside", f);
}
template <bool kWrong>
void copy_source_end() {
  CopyFault f;
  if (kWrong) f.from = 16 * 10;
  copy_rows("copy_source_end", f);
}
template <bool kWrong>
void copy_without_wait() {
  CopyFault f;
  f.wait = !kWrong;
  copy_rows("copy_without_wait", f);
}
template <bool kWrong>
void copy_without_commit() {
  CopyFault f;
  f.commit = !kWrong;
  copy_rows("copy_without_commit", f);
}
template <bool kWrong>
void copy_without_barrier() {
  CopyFault f;
  f.barrier = !kWrong;
  copy_rows("copy_without_barrier", f);
}

template <bool kWrong>
void copy_never_awaited() {
  Memory<Vec16> m(8);
  two_blocks<Bytes>("copy_never_awaited", 8, +[](const Vec16* from) {
    cp_async16(&shared<Bytes>().row[thread()], from + thread());
    cp_async_commit();
    if (!kWrong || !here()) cp_async_wait<0>();
  }, static_cast<const Vec16*>(m.get()));
}

template <bool kWrong>
void copy_pending_one_too_many() {
  Memory<Vec16> m(8);
  two_blocks<Bytes>("copy_pending_one_too_many", 4, +[](const Vec16* from) {
    Bytes& s = shared<Bytes>();
    for (int i = 0; i < 2; ++i) {
      cp_async16(&s.row[thread() + 4 * i], from + thread());
      cp_async_commit();
    }
    if (kWrong && here()) {
      cp_async_wait<2>();
    } else {
      cp_async_wait<1>();
    }
    s.row[thread()].word[0] += 1;
    cp_async_wait<0>();
  }, static_cast<const Vec16*>(m.get()));
}

template <bool kWrong>
void copy_twice() {
  Memory<Vec16> m(8);
  two_blocks<Bytes>("copy_twice", 8, +[](const Vec16* from) {
    const int to = kWrong && here() && thread() == 6 ? 5 : thread();
    cp_async16(&shared<Bytes>().row[to], from + thread());
    cp_async_commit();
    sync_block();
    cp_async_wait<0>();
  }, static_cast<const Vec16*>(m.get()));
}

template <bool kWrong>
void copy_source_changes() {
  Memory<Vec16> m(16);
  two_blocks<Bytes>("copy_source_changes", 8, +[](Vec16* from) {
    from += 8 * blockIdx.x;
    cp_async16(&shared<Bytes>().row[thread()], from + thread());
    cp_async_commit();
    if (!kWrong || !here()) cp_async_wait<0>();
    from[thread()].word[3] = 1;
    cp_async_wait<0>();
  }, m.get());
}

template <bool kWrong>
void copy_from_shared() {
  Memory<Vec16> m(8);
  two_blocks<Bytes>("copy_from_shared", 4, +[](const Vec16* from) {
    Bytes& s = shared<Bytes>();
    cp_async16(&s.row[thread()], kWrong && here() ? &s.row[thread() + 4] : from + thread());
    cp_async_commit();
    cp_async_wait<0>();
  }, static_cast<const Vec16*>(m.get()));
}

// ---- matrices -------------------------------------------------------------------------------------------------------

template <bool kWrong>
void matrix_address() {
  two_blocks<Bytes>("matrix_address", 32, +[] {
    std::uint32_t r[2];
    ldmatrix_x2(r, reinterpret_cast<const char*>(&shared<Bytes>().row[lane() % 8]) + (kWrong && here() ? 2 : 0));
  });
}

template <bool kWrong>
void matrix_outside() {
  two_blocks<Bytes>("matrix_outside", 32, +[] {
    std::uint32_t r[4];
    ldmatrix_x4(r, &shared<Bytes>().row[0] + lane() % 8 + (kWrong && here() ? 1 : 0));
  });
}

template <bool kWrong>
void matrix_before_wait() {
  Memory<Vec16> m(32);
  two_blocks<Bytes>("matrix_before_wait", 32, +[](const Vec16* from) {
    Bytes& s = shared<Bytes>();
    if (thread() < 8) cp_async16(&s.row[thread()], from + thread());
    cp_async_commit();
    if (!kWrong || !here()) cp_async_wait<0>();
    sync_block();
    std::uint32_t r[4];
    ldmatrix_x4(r, &s.row[lane() % 8]);
    cp_async_wait<0>();
  }, static_cast<const Vec16*>(m.get()));
}

template <bool kWrong>
void matrix_half_warp() {
  two_blocks<Bytes>("matrix_half_warp", kWrong ? 48 : 64, +[] {
    std::uint32_t r[2];
    ldmatrix_x2(r, &shared<Bytes>().row[lane() % 8]);
  });
}

template <bool kWrong>
void mma_half_warp() {
  two_blocks<Bytes>("mma_half_warp", kWrong ? 48 : 64, +[] {
    float d[4] = {};
    const std::uint32_t a[4] = {}, b[2] = {};
    mma_bf16(d, a, b);
  });
}

template <bool kWrong>
void mma_lane_gone() {
  two_blocks<Bytes>("mma_lane_gone", 32, +[] {
    float d[4] = {};
    const std::uint32_t a[4] = {}, b[2] = {};
    if (!kWrong || !here() || lane() != 31) mma_e4m3(d, a, b);
  });
}

// ---- races ----------------------------------------------------------------------------------------------------------

template <bool kWrong>
void no_barrier() {
  Memory<int> m(128);
  two_blocks<Words>("no_barrier", 64, +[](int* out) {
    Words& s = shared<Words>();
    s.word[thread()] = thread();
    if (!kWrong || !here()) sync_block();
    out[64 * static_cast<int>(blockIdx.x) + thread()] = s.word[63 - thread()];
  }, m.get());
}

// The second barrier of a loop: without it a tile is overwritten while others read it.
template <bool kWrong>
void no_second_barrier() {
  Memory<int> m(128);
  two_blocks<Words>("no_second_barrier", 64, +[](int* out) {
    Words& s = shared<Words>();
    int sum = 0;
    for (int i = 0; i < 3; ++i) {
      s.word[thread()] = i;
      sync_block();
      sum += s.word[(thread() + 1) % 64];
      if (!kWrong || !here()) sync_block();
    }
    out[64 * static_cast<int>(blockIdx.x) + thread()] = sum;
  }, m.get());
}

template <bool kWrong>
void part_of_the_others() {
  Memory<int> m(128);
  two_blocks<Words>("part_of_the_others", 64, +[](int* out) {
    Words& s = shared<Words>();
    s.word[thread()] = thread();
    sync_part(1 + warp(), 32);
    const int from = kWrong && here() ? 63 - thread() : thread() ^ 31;
    out[64 * static_cast<int>(blockIdx.x) + thread()] = s.word[from];
  }, m.get());
}

template <bool kWrong>
void no_sync_warp() {
  Memory<int> m(64);
  two_blocks<Words>("no_sync_warp", 32, +[](int* out) {
    Words& s = shared<Words>();
    s.word[lane()] = lane();
    if (kWrong && here()) {
      shuffle(1, 0);  // brings the lanes together, orders nothing
    } else {
      sync_warp();
    }
    out[32 * static_cast<int>(blockIdx.x) + lane()] = s.word[31 - lane()];
  }, m.get());
}

template <bool kWrong>
void same_word() {
  Memory<int> m(64);
  two_blocks<Words>("same_word", 32, +[](int* out) {
    if (kWrong && here()) {
      out[lane() / 2] = 1;
    } else {
      out[32 * static_cast<int>(blockIdx.x) + lane()] = 1;
    }
  }, m.get());
}

template <bool kWrong>
void matrix_without_barrier() {
  two_blocks<Bytes>("matrix_without_barrier", 64, +[] {
    Bytes& s = shared<Bytes>();
    if (thread() < 8) s.row[thread()] = Vec16{};
    if (!kWrong || !here()) sync_block();
    std::uint32_t r[4];
    ldmatrix_x4(r, &s.row[lane() % 8]);
  });
}

// A tile is refilled while others may still read it.
template <bool kWrong>
void copy_over_a_tile_in_use() {
  Memory<Vec16> m(32);
  two_blocks<Bytes>("copy_over_a_tile_in_use", 8, +[](const Vec16* from, Vec16* out) {
    Bytes& s = shared<Bytes>();
    for (int i = 0; i < 2; ++i) {
      cp_async16(&s.row[thread()], from + thread());
      cp_async_commit();
      cp_async_wait<0>();
      sync_block();
      out[8 * blockIdx.x + threadIdx.x] = s.row[7 - thread()];
      if (!kWrong || !here()) sync_block();
    }
  }, static_cast<const Vec16*>(m.get()), m.get() + 16);
}

template <bool kWrong>
void other_block() {
  Memory<int> m(2);
  const auto kernel = +[](int* p) {
    if (thread() != 3) return;
    if (kWrong && here()) {
      p[1] = p[0];
    } else {
      p[blockIdx.x] = 1;
    }
  };
  launch("other_block", {dim3(2), dim3(32), 0}, kernel, m.get());
  launch("other_block", {dim3(1), dim3(32), 0}, +[](int* p) { if (thread() == 9) p[0] += p[1]; }, m.get());
}

template <bool kWrong>
void atomic_and_plain() {
  Memory<int> m(1);
  two_blocks<Words>("atomic_and_plain", 32, +[](int* p) {
    if (kWrong && here()) {
      *p += 1;
    } else {
      atomic_add(p, 1);
    }
  }, m.get());
}

// Each block leaves a number; the last one to come, by ticket, adds them up.
template <bool kFenceBefore, bool kFenceBehind>
void tickets(const char* name) {
  Memory<int> m(4);
  launch(name, {dim3(2), dim3(32), 0}, +[](int* number, int* ticket, int* sum) {
    if (thread() == 0) {
      number[blockIdx.x] = 7;
      if (kFenceBefore) fence();
      const bool last = atomic_add(ticket, 1) == 1;
      if (kFenceBehind) fence();
      if (last) *sum = number[0] + number[1];
    }
  }, m.get(), m.get() + 2, m.get() + 3);
}
template <bool kWrong>
void ticket_without_release() {
  tickets<!kWrong, true>("ticket_without_release");
}
template <bool kWrong>
void ticket_without_acquire() {
  tickets<true, !kWrong>("ticket_without_acquire");
}

// ---- launches that overlap ------------------------------------------------------------------------------------------

// An allocation that the executor knows of: 128 ints.
class Known {
 public:
  explicit Known(bool constant = false) : memory_(128) {
    executor::device_memory(memory_.get(), 128 * sizeof(int));
    if (constant) executor::constant_memory(memory_.get());
    executor::other_work();
  }
  ~Known() { executor::forget_memory(memory_.get()); }
  int* get() { return memory_.get(); }

 private:
  Memory<int> memory_;
};

template <class... P>
void overlapping(const char* name, void (*kernel)(P...), P... parameters) {
  launch(name, {dim3(2), dim3(64), sizeof(Bytes), nullptr, kOverlap}, kernel, parameters...);
}

template <bool kWrong>
void wait_missing() {
  overlapping("wait_missing", +[] {
    if (kWrong && here() && thread() == 33) return;
    grid_wait();
  });
}

template <bool kWrong>
void wait_of_a_part() {  // the others wait for threads that wait for them
  overlapping("wait_of_a_part", +[] {
    if (kWrong && here() && thread() < 32) sync_block();
    grid_wait();
    if (!kWrong || !here() || thread() >= 32) sync_block();
  });
}

template <bool kWrong>
void read_before_wait() {
  Known from, to, weight(true);
  overlapping("read_before_wait", +[](int* from, int* to, int* weight) {
    int v = weight[thread()];
    if (kWrong && here()) v += from[thread()];
    grid_wait();
    to[thread() + 64 * static_cast<int>(blockIdx.x)] = v + from[thread()];
  }, from.get(), to.get(), weight.get());
}

template <bool kWrong>
void write_before_wait() {
  Known to;
  overlapping("write_before_wait", +[](int* to) {
    if (kWrong && here()) to[64 + thread()] = 1;
    grid_wait();
    to[64 * static_cast<int>(blockIdx.x) + thread()] = 1;
  }, to.get());
}

template <bool kWrong>
void copy_before_wait() {
  Known from;
  overlapping("copy_before_wait", +[](int* from) {
    if (!kWrong || !here()) grid_wait();
    if (thread() < 8) cp_async16(&shared<Bytes>().row[thread()], from + 4 * thread());
    cp_async_commit();
    cp_async_wait<0>();
    grid_wait();
  }, from.get());
}

// Three launches: the third reads early what the first or the second wrote.
template <bool kTriggerEarly, bool kReadSecond>
void three(const char* name) {
  Known first, second;
  const auto write = +[](int* to, bool trigger_early) {
    if (trigger_early) grid_launch_dependents();
    grid_wait();
    grid_launch_dependents();
    to[64 * static_cast<int>(blockIdx.x) + thread()] = 1;
  };
  overlapping(name, write, first.get(), true);
  overlapping(name, write, second.get(), kTriggerEarly);
  overlapping(name, +[](int* from) {
    if (from[thread()] != 1) executor::fault("the value is not there");
    grid_wait();
  }, kReadSecond ? second.get() : first.get());
}
template <bool kWrong>
void older_before_wait() {
  three<kWrong, false>("older_before_wait");
}
template <bool kWrong>
void previous_before_wait() {
  three<false, kWrong>("previous_before_wait");
}

#define EARLY "use-after-poison.*SIMT: memory that an earlier launch may still use, before grid_wait.*SIMT: in "

}  // namespace

const std::vector<Planted>& planted() {
  static const std::vector<Planted> all = {
      PLANTED(barrier_exit, fault,
              SECOND(barrier_exit, "0: waits at sync_block \\(planted.cpp:[0-9]+\\), which 1 other threads never "
                                   "reach: thread 33 has ended")),
      PLANTED(barrier_lines, fault,
              SECOND(barrier_lines, "32: comes to sync_block \\(planted.cpp:[0-9]+\\) while thread 0 waits at "
                                    "sync_block \\(planted.cpp:[0-9]+\\)")),
      PLANTED(barrier_in_a_loop, fault, SECOND(barrier_in_a_loop, "32: waits at sync_block .* thread 0 has ended")),
      PLANTED(barrier_or_shuffle, fault,
              SECOND(barrier_or_shuffle, "0: waits at shuffle .* which 16 other threads never reach: thread 16 waits "
                                         "at sync_block")),
      PLANTED(lane_gone, fault,
              SECOND(lane_gone, "32: waits at shuffle_xor \\(planted.cpp.* never reach: thread 40 has ended")),
      PLANTED(warp_lines, fault,
              SECOND(warp_lines, "7: calls shuffle_xor \\(planted.* while lane 0 of its warp waits at shuffle_xor")),
      PLANTED(warp_calls, fault, SECOND(warp_calls, "31: calls any .* while lane 0 of its warp waits at all")),
      PLANTED(part_counts, fault,
              SECOND(part_counts, "70: comes to sync_part .* as one of 96 threads, thread 64 as one of 64")),
      PLANTED(part_too_few, fault, SECOND(part_too_few, "0: waits at sync_part .* never reach: thread 64 has ended")),
      PLANTED(part_number, fault, SECOND(part_number, "0: sync_part with barrier 16")),
      PLANTED(part_size, fault, SECOND(part_size, "0: sync_part of 31 threads")),
      PLANTED(lane_that_is_not_there, fault,
              SECOND(lane_that_is_not_there, "39: lane 0 of its warp reads lane 8, which the block does not have")),
      PLANTED(array_index, fault, SECOND(array_index, "63: index 64 of an Array of 64")),
      PLANTED(shared_bytes, fault,
              "shared_bytes block \\(0, 0, 0\\) thread 0: uses 256 bytes of shared memory, launched with 252"),
      PLANTED(shared_pointer, address, "heap-buffer-overflow.*SIMT: in " SECOND(shared_pointer, "63")),
      PLANTED(global_end, address, "heap-buffer-overflow.*SIMT: in " SECOND(global_end, "63")),
      PLANTED(global_begin, address, "heap-buffer-overflow.*SIMT: in " SECOND(global_begin, "5")),
      PLANTED(vector_address, address, "SIMT: in " SECOND(vector_address, "0") ".*misaligned address"),
      PLANTED(streaming_address, fault, SECOND(streaming_address, "0: load_streaming of a misaligned address")),
      PLANTED(atomic_address, fault, SECOND(atomic_address, "0: an atomic at a misaligned address")),
      PLANTED(block_size, fault, "block_size .*: a block of 1025 threads"),
      PLANTED(grid_size, fault, "grid_size .*: an impossible grid"),
      PLANTED(shared_size, fault, "shared_size .*: 232449 bytes of shared memory"),
      PLANTED(no_end, address, "SIMT: a launch without end.SIMT: in " SECOND(no_end, "[0-9]+")),

      PLANTED(copy_target_address, fault, SECOND(copy_target_address, "0: cp.async with a misaligned address")),
      PLANTED(copy_source_address, fault, SECOND(copy_source_address, "0: cp.async from a misaligned address")),
      PLANTED(copy_outside, fault, SECOND(copy_outside, "7: cp.async outside of shared memory")),
      PLANTED(copy_source_end, address, "heap-buffer-overflow.*SIMT: in " SECOND(copy_source_end, "7")),
      PLANTED(copy_without_wait, address,
              "use-after-poison.*SIMT: shared memory that a cp.async of thread 0 has yet to deliver.*SIMT: in "
              SECOND(copy_without_wait, "7")),
      PLANTED(copy_without_commit, address,
              "use-after-poison.*SIMT: shared memory that a cp.async of thread 0 has yet to deliver.*SIMT: in "
              SECOND(copy_without_commit, "7")),
      PLANTED(copy_never_awaited, fault, SECOND(copy_never_awaited, "0: ends with a cp.async that was never awaited")),
      PLANTED(copy_pending_one_too_many, address,
              "use-after-poison.*SIMT: shared memory that a cp.async of thread 0 has yet to deliver.*SIMT: in "
              SECOND(copy_pending_one_too_many, "0")),
      PLANTED(copy_twice, fault,
              SECOND(copy_twice, "6: cp.async of shared memory that a cp.async of thread 5 has yet to deliver")),
      PLANTED(copy_source_changes, fault,
              SECOND(copy_source_changes, "0: the source of a cp.async changed before its wait")),
      PLANTED(copy_from_shared, fault, SECOND(copy_from_shared, "0: cp.async from shared memory")),

      PLANTED(matrix_address, fault, SECOND(matrix_address, "0: ldmatrix with a misaligned address")),
      PLANTED(matrix_outside, fault, SECOND(matrix_outside, "7: ldmatrix outside of shared memory")),
      PLANTED(matrix_before_wait, fault,
              SECOND(matrix_before_wait,
                     "31: ldmatrix of shared memory that a cp.async of thread 7 has yet to deliver")),
      PLANTED(matrix_half_warp, fault,
              "matrix_half_warp block \\(0, 0, 0\\) thread 32: ldmatrix in a warp of less than 32 lanes"),
      PLANTED(mma_half_warp, fault, "mma_half_warp block \\(0, 0, 0\\) thread 32: mma in a warp of less than 32 lanes"),
      PLANTED(mma_lane_gone, fault, SECOND(mma_lane_gone, "0: waits at mma_e4m3 .* thread 31 has ended")),

      PLANTED(wait_missing, fault,
              SECOND(wait_missing, "33: ends without grid_wait\\(\\) in a launch that overlaps the one before")),
      PLANTED(wait_of_a_part, fault,
              SECOND(wait_of_a_part, "0: waits at sync_block .* which 32 other threads never reach: thread 32 waits at "
                                     "grid_wait")),
      PLANTED(read_before_wait, address, EARLY SECOND(read_before_wait, "0")),
      PLANTED(write_before_wait, address, EARLY SECOND(write_before_wait, "0")),
      PLANTED(copy_before_wait, address, EARLY SECOND(copy_before_wait, "0")),
      PLANTED(older_before_wait, address, EARLY "older_before_wait block \\(0, 0, 0\\) thread 0"),
      PLANTED(previous_before_wait, address, EARLY "previous_before_wait block \\(0, 0, 0\\) thread 0"),

      PLANTED(no_barrier, race, SECOND(no_barrier, "[0-9]+")),
      PLANTED(no_second_barrier, race, SECOND(no_second_barrier, "[0-9]+")),
      PLANTED(part_of_the_others, race, SECOND(part_of_the_others, "[0-9]+")),
      PLANTED(no_sync_warp, race, SECOND(no_sync_warp, "[0-9]+")),
      PLANTED(same_word, race, SECOND(same_word, "[0-9]+")),
      PLANTED(copy_without_barrier, race, SECOND(copy_without_barrier, "[0-9]+")),
      PLANTED(copy_over_a_tile_in_use, race, SECOND(copy_over_a_tile_in_use, "[0-9]+")),
      PLANTED(matrix_without_barrier, race, SECOND(matrix_without_barrier, "[0-9]+")),
      PLANTED(other_block, race, SECOND(other_block, "3")),
      PLANTED(atomic_and_plain, race, SECOND(atomic_and_plain, "[0-9]+")),
      PLANTED(ticket_without_release, race, SECOND(ticket_without_release, "0")),
      PLANTED(ticket_without_acquire, race, SECOND(ticket_without_acquire, "0")),
  };
  return all;
}

}  // namespace layercost
