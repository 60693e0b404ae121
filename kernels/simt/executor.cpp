// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/executor.h"

#include <sys/mman.h>

#include <algorithm>
#include <boost/context/detail/fcontext.hpp>
#include <cstdlib>
#include <exception>
#include <map>
#include <memory>
#include <random>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace layercost {
namespace simt {
namespace {

namespace context = boost::context::detail;

constexpr std::size_t kStackBytes = std::size_t{256} << 10;
constexpr int kMostThreads = 1024;
constexpr int kMostSharedBytes = 227 * 1024;  // of compute capability 9.0; others have less, `supports` knows

struct Copy {
  void* to;
  const void* from;
  bool valid;
  int group;
};

struct Fibre {
  context::fcontext_t where = nullptr;
  std::byte* stack = nullptr;
  void* fake_stack = nullptr;
  dim3 index;
  enum State { ready, waiting, done } state = ready;
  const char* waits_for = "";
  std::vector<Copy> copies;
  int open_group = 0;
};

struct Meeting {  // of the lanes of one warp
  void* arguments[32] = {};
  const char* name = nullptr;
  int detail = 0, arrived = 0;
};

struct Barrier {
  int arrived = 0, expected = 0;
  std::vector<int> waiting;
};

struct Executor {
  const char* kernel = "";
  const std::function<void()>* thread = nullptr;
  std::vector<Fibre> fibres;
  std::vector<Meeting> meetings;
  std::map<int, Barrier> barriers;
  std::byte* shared = nullptr;
  std::size_t shared_bytes = 0;
  int current = -1, threads = 0;
  context::fcontext_t scheduler = nullptr;
  void* scheduler_fake_stack = nullptr;
  const void* scheduler_stack = nullptr;
  std::size_t scheduler_stack_bytes = 0;
  std::exception_ptr error;
  unsigned order = 0;
};
Executor ex;

int lanes_of(int warp) { return std::min(32, ex.threads - 32 * warp); }

void switch_to_scheduler(bool last) {
#if defined(__SANITIZE_ADDRESS__)
  Fibre& f = ex.fibres[static_cast<std::size_t>(ex.current)];
  __sanitizer_start_switch_fiber(last ? nullptr : &f.fake_stack, ex.scheduler_stack, ex.scheduler_stack_bytes);
#else
  (void)last;
#endif
  const context::transfer_t t = context::jump_fcontext(ex.scheduler, nullptr);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(f.fake_stack, &ex.scheduler_stack, &ex.scheduler_stack_bytes);
#endif
  ex.scheduler = t.fctx;
}

void entry(context::transfer_t t) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &ex.scheduler_stack, &ex.scheduler_stack_bytes);
#endif
  ex.scheduler = t.fctx;
  try {
    (*ex.thread)();
    const Fibre& f = ex.fibres[static_cast<std::size_t>(ex.current)];
    if (!f.copies.empty()) executor::fault("the thread ends with a cp.async that was never awaited");
  } catch (...) {
    ex.error = std::current_exception();
  }
  ex.fibres[static_cast<std::size_t>(ex.current)].state = Fibre::done;
  switch_to_scheduler(true);
}

void switch_to(int i) {
  Fibre& f = ex.fibres[static_cast<std::size_t>(i)];
  ex.current = i;
  threadIdx = f.index;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&ex.scheduler_fake_stack, f.stack, kStackBytes);
#endif
  f.where = context::jump_fcontext(f.where, nullptr).fctx;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(ex.scheduler_fake_stack, nullptr, nullptr);
#endif
  ex.current = -1;
}

void wait(const char* what) {
  Fibre& f = ex.fibres[static_cast<std::size_t>(ex.current)];
  f.state = Fibre::waiting;
  f.waits_for = what;
  switch_to_scheduler(false);
}

std::string place(int thread) {
  std::string s = std::string(ex.kernel) + " block (" + std::to_string(blockIdx.x) + ", " + std::to_string(blockIdx.y) +
                  ", " + std::to_string(blockIdx.z) + ")";
  if (thread >= 0) s += " thread " + std::to_string(thread);
  return s;
}

std::byte* stack_of(int i) {
  static std::byte* all = nullptr;
  if (all == nullptr) {
    void* p = mmap(nullptr, kStackBytes * kMostThreads, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc();
    all = static_cast<std::byte*>(p);
  }
  return all + kStackBytes * static_cast<std::size_t>(i);
}

std::vector<int> permutation(int n, unsigned salt) {
  std::vector<int> p(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i) p[static_cast<std::size_t>(i)] = i;
  if (ex.order == 1) std::reverse(p.begin(), p.end());
  if (ex.order > 1) std::shuffle(p.begin(), p.end(), std::mt19937(ex.order * 7919 + salt));
  return p;
}

void run_block(dim3 block) {
  ex.threads = static_cast<int>(block.x * block.y * block.z);
  ex.fibres.resize(static_cast<std::size_t>(ex.threads));
  ex.meetings.assign(static_cast<std::size_t>((ex.threads + 31) / 32), {});
  ex.barriers.clear();
  ex.error = nullptr;
  std::memset(ex.shared, 0xff, ex.shared_bytes);
  for (int i = 0; i < ex.threads; ++i) {
    Fibre& f = ex.fibres[static_cast<std::size_t>(i)];
    f = Fibre{};
    f.stack = stack_of(i);
    f.where = context::make_fcontext(f.stack + kStackBytes, kStackBytes, entry);
    f.index = dim3(static_cast<unsigned>(i), 0, 0);
  }
  const std::vector<int> order = permutation(ex.threads, blockIdx.x);
  for (int alive = ex.threads; alive > 0;) {
    bool moved = false;
    for (int i : order) {
      Fibre& f = ex.fibres[static_cast<std::size_t>(i)];
      if (f.state != Fibre::ready) continue;
      moved = true;
      switch_to(i);
      if (ex.error) std::rethrow_exception(ex.error);
      if (f.state == Fibre::done) --alive;
    }
    if (moved || alive == 0) continue;
    for (int i = 0; i < ex.threads; ++i) {
      const Fibre& f = ex.fibres[static_cast<std::size_t>(i)];
      if (f.state == Fibre::waiting)
        throw Fault(place(i) + ": waits at " + f.waits_for + " that other threads never reach");
    }
  }
}

float half_to_float(std::uint16_t h) {
  const int exponent = (h >> 10) & 31, mantissa = h & 1023;
  float v;
  if (exponent == 31) v = mantissa != 0 ? NAN : INFINITY;
  else if (exponent == 0) v = std::ldexp(static_cast<float>(mantissa), -24);
  else v = std::ldexp(static_cast<float>(1024 + mantissa), exponent - 25);
  return (h & 0x8000) != 0 ? -v : v;
}

float e4m3_to_float(std::uint8_t b) {
  const int exponent = (b >> 3) & 15, mantissa = b & 7;
  float v;
  if (exponent == 15 && mantissa == 7) v = NAN;
  else if (exponent == 0) v = std::ldexp(static_cast<float>(mantissa), -9);
  else v = std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
  return (b & 0x80) != 0 ? -v : v;
}

}  // namespace

void set_order(unsigned order) { ex.order = order; }

namespace executor {

void fault(const std::string& what) { throw Fault(place(ex.current) + ": " + what); }

void* shared_memory(std::size_t bytes, std::size_t alignment) {
  if (bytes > ex.shared_bytes)
    fault("uses " + std::to_string(bytes) + " bytes of shared memory, launched with " +
          std::to_string(ex.shared_bytes));
  if (alignment > 128) fault("shared memory is aligned to 128 bytes");
  return ex.shared;
}

void barrier(int id, int threads) {
  Barrier& b = ex.barriers[id];
  const int expected = threads == 0 ? ex.threads : threads;
  if (b.arrived == 0) b.expected = expected;
  if (b.expected != expected) fault("a barrier that others wait at with another number of threads");
  if (++b.arrived < b.expected) {
    b.waiting.push_back(ex.current);
    return wait("a barrier");
  }
  for (int i : b.waiting) ex.fibres[static_cast<std::size_t>(i)].state = Fibre::ready;
  b = Barrier{};
}

void together(const char* name, int detail, void* arguments, Compute compute) {
  const int warp = ex.current / 32, lane = ex.current % 32;
  Meeting& m = ex.meetings[static_cast<std::size_t>(warp)];
  if (m.arrived == 0) {
    m.name = name;
    m.detail = detail;
  } else if (std::string(m.name) != name || m.detail != detail) {
    fault(std::string("calls ") + name + " while other lanes of its warp call " + m.name);
  }
  m.arguments[lane] = arguments;
  if (++m.arrived < lanes_of(warp)) return wait(name);
  compute(m.arguments);
  for (int i = 0; i < lanes_of(warp); ++i) ex.fibres[static_cast<std::size_t>(32 * warp + i)].state = Fibre::ready;
  m = Meeting{};
}

std::uint32_t vote(const char* name, bool v) {
  struct Vote {
    bool in;
    std::uint32_t out;
  } mine{v, 0};
  together(name, 0, &mine, [](void* const (&all)[32]) {
    std::uint32_t bits = 0;
    for (int i = 0; i < 32; ++i)
      if (all[i] != nullptr && static_cast<Vote*>(all[i])->in) bits |= 1u << i;
    for (void* each : all)
      if (each != nullptr) static_cast<Vote*>(each)->out = bits;
  });
  return mine.out;
}

void cp_async(void* to, const void* from, bool valid) {
  if (reinterpret_cast<std::uintptr_t>(to) % 16 != 0) fault("cp.async to a misaligned address");
  if (valid && reinterpret_cast<std::uintptr_t>(from) % 16 != 0) fault("cp.async from a misaligned address");
  const auto* begin = static_cast<std::byte*>(to);
  if (begin < ex.shared || begin + 16 > ex.shared + ex.shared_bytes) fault("cp.async to outside of shared memory");
  Fibre& f = ex.fibres[static_cast<std::size_t>(ex.current)];
  std::memset(to, 0xff, 16);  // until it has arrived: NaN
  f.copies.push_back({to, from, valid, f.open_group});
}

void cp_async_commit() { ++ex.fibres[static_cast<std::size_t>(ex.current)].open_group; }

void cp_async_wait(int pending) {
  Fibre& f = ex.fibres[static_cast<std::size_t>(ex.current)];
  const int done = f.open_group - pending;  // groups below it have arrived
  std::vector<Copy> left;
  for (const Copy& c : f.copies) {
    if (c.group >= done) {
      left.push_back(c);
    } else if (c.valid) {
      std::memcpy(c.to, c.from, 16);
    } else {
      std::memset(c.to, 0, 16);
    }
  }
  f.copies = std::move(left);
}

void load_matrices(std::uint32_t* r, int count, bool transposed, const void* row) {
  struct Load {
    std::uint32_t* r;
    int count;
    bool transposed;
    const void* row;
  } mine{r, count, transposed, row};
  if (lane() < 8 * count && reinterpret_cast<std::uintptr_t>(row) % 16 != 0)
    fault("ldmatrix of a row that is not 16-byte aligned");
  // Matrix i: rows at the addresses of lanes 8i .. 8i + 7. Lane t gets elements 2(t % 4), 2(t % 4) + 1 of row t / 4;
  // or, transposed, of column t / 4.
  together("ldmatrix", 2 * count + transposed, &mine, [](void* const (&all)[32]) {
    const auto at = [&](int matrix, int row_index, int column) {
      const auto* l = static_cast<Load*>(all[8 * matrix + row_index]);
      if (l == nullptr) fault("ldmatrix needs 32 lanes");
      std::uint16_t v;
      std::memcpy(&v, static_cast<const std::byte*>(l->row) + 2 * column, 2);
      return static_cast<std::uint32_t>(v);
    };
    for (int t = 0; t < 32; ++t) {
      auto* l = static_cast<Load*>(all[t]);
      if (l == nullptr) fault("ldmatrix needs 32 lanes");
      for (int m = 0; m < l->count; ++m) {
        const int i = t / 4, j = 2 * (t % 4);
        l->r[m] = l->transposed ? at(m, j, i) | at(m, j + 1, i) << 16 : at(m, i, j) | at(m, i, j + 1) << 16;
      }
    }
  });
}

void multiply(Mma kind, float* d, const std::uint32_t* a, const std::uint32_t* b) {
  struct Product {
    Mma kind;
    float* d;
    const std::uint32_t *a, *b;
  } mine{kind, d, a, b};
  // Lane t: row g = t / 4 and g + 8, column pair c = t % 4. With e elements in a register (2 of 16 bits, 4 of 8 bits):
  //   a[0] row g, a[1] row g + 8, k = e c ..;  a[2], a[3] the same, k + 4 e;  b[0], b[1]: column g, k = e c .., k + 4 e
  //   d[0], d[1] row g, columns 2 c, 2 c + 1;  d[2], d[3] row g + 8
  together("mma", static_cast<int>(kind), &mine, [](void* const (&all)[32]) {
    for (void* each : all)
      if (each == nullptr) fault("mma needs 32 lanes");
    const Mma k = static_cast<Product*>(all[0])->kind;
    const int e = k == Mma::e4m3 ? 4 : 2, depth = 8 * e;
    const auto element = [&](std::uint32_t word, int i) {
      if (k == Mma::e4m3) return e4m3_to_float(static_cast<std::uint8_t>(word >> (8 * i)));
      const auto half = static_cast<std::uint16_t>(word >> (16 * i));
      return k == Mma::f16 ? half_to_float(half) : to_float(bf16{half});
    };
    float left[16][32], right[8][32];
    for (int t = 0; t < 32; ++t) {
      const auto* p = static_cast<Product*>(all[t]);
      const int g = t / 4, c = t % 4;
      for (int i = 0; i < e; ++i)
        for (int upper = 0; upper < 2; ++upper) {
          const int column = e * c + i + 4 * e * upper;
          left[g][column] = element(p->a[2 * upper], i);
          left[g + 8][column] = element(p->a[2 * upper + 1], i);
          right[g][column] = element(p->b[upper], i);
        }
    }
    for (int t = 0; t < 32; ++t) {
      auto* p = static_cast<Product*>(all[t]);
      const int g = t / 4, c = t % 4;
      for (int i = 0; i < 4; ++i) {
        const int row = g + 8 * (i / 2), column = 2 * c + i % 2;
        float sum = 0;
        for (int j = 0; j < depth; ++j) sum += left[row][j] * right[column][j];
        p->d[i] += sum;
      }
    }
  });
}

void run(const char* name, dim3 grid, dim3 block, int shared_bytes, const std::function<void()>& thread) {
  ex.kernel = name;
  ex.current = -1;
  blockIdx = dim3(0, 0, 0);
  const std::size_t threads = std::size_t{block.x} * block.y * block.z;
  if (block.y != 1 || block.z != 1) throw Fault(place(-1) + ": blocks are one-dimensional here");
  if (threads == 0 || threads > kMostThreads)
    throw Fault(place(-1) + ": a block of " + std::to_string(threads) + " threads");
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.y > 65535 || grid.z > 65535)
    throw Fault(place(-1) + ": an impossible grid");
  if (shared_bytes < 0 || shared_bytes > kMostSharedBytes)
    throw Fault(place(-1) + ": " + std::to_string(shared_bytes) + " bytes of shared memory");
  ex.thread = &thread;
  gridDim = grid;
  blockDim = block;
  // From the heap, so that the address sanitizer guards its end.
  ex.shared_bytes = static_cast<std::size_t>(shared_bytes);
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  void* memory = nullptr;
  if (posix_memalign(&memory, 128, std::max<std::size_t>(ex.shared_bytes, 1)) != 0) throw std::bad_alloc();
  const std::unique_ptr<std::byte, Free> owner(static_cast<std::byte*>(memory));
  ex.shared = owner.get();
  const int blocks = static_cast<int>(grid.x * grid.y * grid.z);
  for (int i : permutation(blocks, 0)) {
    const auto b = static_cast<unsigned>(i);
    blockIdx = dim3(b % grid.x, b / grid.x % grid.y, b / grid.x / grid.y);
    run_block(block);
  }
}

}  // namespace executor
}  // namespace simt
}  // namespace layercost
