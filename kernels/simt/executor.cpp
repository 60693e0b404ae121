// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/executor.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <boost/context/detail/fcontext.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <random>
#include <vector>

#include "kernels/simt/sm90_executor.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

// In the build with ThreadSanitizer (LAYERCOST_SIMT_RACES) kernels are instrumented and this file is not: what it does
// for a thread is announced, what it does for itself is nobody's business.
#if defined(LAYERCOST_SIMT_RACES)
extern "C" {
void* __tsan_get_current_fiber();
void* __tsan_create_fiber(unsigned flags);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
void __tsan_set_fiber_name(void* fiber, const char* name);
void __tsan_acquire(void* address);
void __tsan_release(void* address);
void __tsan_read_range(void* address, unsigned long bytes);
void __tsan_write_range(void* address, unsigned long bytes);
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
}
#endif

namespace layercost {
namespace simt {
namespace executor {
namespace {
void deliver() noexcept;
}
}  // namespace executor
namespace {

namespace context = boost::context::detail;

// For functions that never return: what the address sanitizer marks in their frames would stay behind for the next
// fibre on this stack.
#define UNMARKED __attribute__((no_sanitize("address")))

#if defined(LAYERCOST_SIMT_RACES)
constexpr bool kRaces = true;
// A fibre that runs thread t of several blocks is one thread to the sanitizer, which then sees no race between them. So
// consecutive blocks take different fibres; making one takes 0.3 ms, too long for a fresh set per block. Blocks i and j
// of the running order are told apart unless i - j is a multiple of 3: never so for the usual strides, powers of 2.
constexpr int kSets = 3;
#else
constexpr bool kRaces = false;
constexpr int kSets = 1;
#endif

constexpr std::size_t kStackBytes = std::size_t{256} << 10;
constexpr std::size_t kGuardBytes = 4096;  // below each stack
constexpr int kMostThreads = 1024;
constexpr int kGridWait = 16;                 // as a Fibre's barrier
constexpr int kMostSharedBytes = 227 * 1024;  // of compute capability 9.0; others have less, `supports` knows
constexpr int kSharedAlignment = 1024;        // what a tma_load with the 128-byte swizzle needs
constexpr int kMostMbarriers = 64;            // of a block; Fibre::sees has a bit for each

struct Context {  // of a fibre, or of the scheduler: the stack that launch() was called on
  context::fcontext_t where = nullptr;
  const void* stack = nullptr;
  std::size_t stack_bytes = 0;
  void* fake_stack = nullptr;
  void* races = nullptr;
};

struct Fibre : Context {
  enum State { ready, waiting, done } state = ready;
  const char* waits_for = nullptr;
  Caller caller = {"", 0};
  int barrier = -1;                    // that it waits at
  int mbarrier = -1;                   // the same
  int scope_begin = 0, scope_end = 0;  // the threads that it waits for
  std::uint64_t sees = 0;              // the mbarriers of others whose init it can see
  bool grid_waited = false;
  int first_copy = -1, last_copy = -1, open_group = 0;
  int copies = 0, landed = 0, tracked = 0;  // so far; tracked: by a cp_async_arrive
  bool fenced = false;                      // since the last atomic
  const void* atomics[4] = {};              // since the last fence
  int atomics_seen = 0;
};

struct Copy {  // 16 bytes of a cp.async or a tma_load under way, found by their target
  std::byte bytes[16];
  const std::byte* from;
  int begin, end;   // of the 16 bytes, what is read from there
  int thread = -1;  // -1: none
  bool tma;
  bool unfenced = false;  // was written by a cp.async, and no fence_async_shared came since
  int group, next;
};

struct Meeting {
  const char* name = nullptr;
  Caller caller = {"", 0};
  int thread = 0, arrived = 0;
  unsigned generation = 0;
  std::uint64_t sees = 0;
};
struct WarpMeeting : Meeting {
  void* arguments[32] = {};
};
struct GroupMeeting : Meeting {
  void* arguments[128] = {};
};

struct Barrier {
  int arrived = 0, expected = 0, thread = 0;
  Caller caller = {"", 0};
  unsigned generation = 0;
  std::uint64_t sees = 0;
};

struct Phases {  // of an mbarrier
  const Mbarrier* where;
  int thread;           // that initialised it
  bool fenced = false;  // by that thread
  int expected, pending;
  int bytes = 0;  // still to come; negative: came before they were expected
  unsigned phase = 0;
  std::uint64_t sees = 0;
};

struct Transfer {  // what comes late
  int thread, mbarrier;
  unsigned phase;
  std::byte* to;  // of a tma_load; null: a cp_async_arrive
  int count;      // pieces of 16 bytes; copies of the thread that come first
};

// What threads release to and acquire from. Two for each that is used again and again: all release to one before any
// acquires from it, and nobody gets to the same one again before all have acquired. With one, an early thread's next
// release would hide a late thread's race.
struct Order {
  char barrier[16][2], warp[32][2], group[8][2], mbarrier[kMostMbarriers][2], end_of_block[2], begin_of_launch,
      end_of_launch;
};

struct Memory {  // an allocation of the device
  std::byte* begin;
  std::size_t bytes;
  bool constant = false;
  bool changed = true;            // by the previous launch
  std::vector<std::byte> before;  // this launch
};

struct Executor {
  const char* kernel = "";
  const std::function<void()>* thread = nullptr;
  Context scheduler;
  Context* leaving = nullptr;
  std::vector<Fibre> fibres;
  WarpMeeting meetings[kMostThreads / 32];
  GroupMeeting group_meetings[kMostThreads / 128];
  Barrier barriers[16];
  std::vector<Phases> mbarriers;
  std::vector<Transfer> transfers;
  std::minstd_rand random;
  std::vector<Copy> copies = std::vector<Copy>(kMostSharedBytes / 16);
  std::vector<int> unfenced;  // of the copies
  std::byte* shared = nullptr;
  std::size_t shared_bytes = 0;
  int current = -1, threads = 0, alive = 0;
  int queue[kMostThreads], queue_begin = 0, queue_size = 0;  // of the ready ones
  std::vector<int> thread_order, lane_order, group_order;    // the same, warp by warp, warp group by warp group
  std::exception_ptr error;
  bool cancelled = false;
  unsigned order = 0;
  int launch_seconds = 300;
  int set = 0;                          // of fibres, that the block runs on
  unsigned set_generation[kSets] = {};  // how often
  Order orders[kSets];

  std::vector<Memory> memory;
  bool overlap = false;        // of the launch that runs
  bool early_trigger = false;  // a thread of it called grid_launch_dependents() before grid_wait()
  bool settled = false;        // all but the previous launch is known to have ended
  bool forbidden = false;      // the memory that an earlier launch may use
  int grid_waits = 0;          // threads of the block that have come to grid_wait()
};
Executor ex;

struct Cancelled {};  // unwinds the fibres that are left when a block has failed

// ---- what the sanitizers are told -----------------------------------------------------------------------------------

#if defined(LAYERCOST_SIMT_RACES)
void release(char& object) { __tsan_release(&object); }
void acquire(char& object) { __tsan_acquire(&object); }
void announce_read(const void* p, std::size_t bytes) { __tsan_read_range(const_cast<void*>(p), bytes); }
void announce_write(void* p, std::size_t bytes) { __tsan_write_range(p, bytes); }
// While one lives, what the C library is called with is not taken for accesses of the thread that runs.
struct Unobserved {
  Unobserved() {
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  }
  ~Unobserved() {
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
  }
  Unobserved(const Unobserved&) = delete;
};
#else
void release(char&) {}
void acquire(char&) {}
void announce_read(const void*, std::size_t) {}
void announce_write(void*, std::size_t) {}
struct Unobserved {
  Unobserved() {}
};
#endif

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kForbids = true;
void forbid(const void* p, std::size_t bytes) { __asan_poison_memory_region(p, bytes); }
void allow(const void* p, std::size_t bytes) { __asan_unpoison_memory_region(p, bytes); }
#else
constexpr bool kForbids = false;
void forbid(const void*, std::size_t) {}
void allow(const void*, std::size_t) {}
#endif

// What the launches before may still write or read, until all threads of the block have waited for them.
bool may_be_used(const Memory& m) { return !m.constant && (!ex.settled || m.changed); }
void forbid_memory() {
  ex.forbidden = true;
  for (Memory& m : ex.memory)
    if (may_be_used(m)) forbid(m.begin, m.bytes);
}
void allow_memory() {
  if (!ex.forbidden) return;
  ex.forbidden = false;
  for (Memory& m : ex.memory)
    if (may_be_used(m)) allow(m.begin, m.bytes);
}

// Leaves the context that runs now for `to`; returns when somebody comes back to it. The first thing a context does
// when it is reached is arrive().
UNMARKED void arrive(context::transfer_t t, [[maybe_unused]] Context& me) {
  Context& before = *ex.leaving;
  before.where = t.fctx;
#if defined(__SANITIZE_ADDRESS__)
  const void* stack = nullptr;
  std::size_t bytes = 0;
  __sanitizer_finish_switch_fiber(me.fake_stack, &stack, &bytes);
  if (&before == &ex.scheduler) {
    before.stack = stack;
    before.stack_bytes = bytes;
  }
#endif
}

UNMARKED void jump(Context& from, Context& to, [[maybe_unused]] bool last = false) {
  ex.leaving = &from;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(last ? nullptr : &from.fake_stack, to.stack, to.stack_bytes);
#endif
#if defined(LAYERCOST_SIMT_RACES)
  __tsan_switch_to_fiber(to.races, 1);  // 1: orders nothing
#endif
  arrive(context::jump_fcontext(to.where, nullptr), from);
}

// ---- who runs -------------------------------------------------------------------------------------------------------

std::string place(int thread) {
  char s[160];
  int n = std::snprintf(s, sizeof s, "%.60s block (%u, %u, %u)", ex.kernel, blockIdx.x, blockIdx.y, blockIdx.z);
  if (thread >= 0) n += std::snprintf(s + n, sizeof s - static_cast<std::size_t>(n), " thread %d", thread);
  return s;
}

std::string called(const char* name, Caller caller) {
  const char* slash = std::strrchr(caller.file, '/');
  return std::string(name) + " (" + (slash != nullptr ? slash + 1 : caller.file) + ":" + std::to_string(caller.line) +
         ")";
}

bool same(Caller a, Caller b) {
  return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0);
}

const char* kind(const Copy& c) { return c.tma ? "tma_load" : "cp.async"; }

Fibre& fibre(int i) { return ex.fibres[static_cast<std::size_t>(i)]; }
Fibre& me() { return fibre(ex.current); }
Order& order_of_set() { return ex.orders[ex.set]; }
int lanes_of(int warp) { return std::min(32, ex.threads - 32 * warp); }

void wake(int i) {
  fibre(i).state = Fibre::ready;
  ex.queue[(ex.queue_begin + ex.queue_size++) % kMostThreads] = i;
}

// To the next thread that can run; to the scheduler where there is none, or nothing left to do.
UNMARKED void leave(Fibre& from, bool last) {
  if (!ex.transfers.empty() && !ex.error && !ex.cancelled) executor::deliver();
  if (ex.queue_size == 0 || ex.error || ex.cancelled) return jump(from, ex.scheduler, last);
  const int next = ex.queue[ex.queue_begin];
  ex.queue_begin = (ex.queue_begin + 1) % kMostThreads;
  --ex.queue_size;
  if (&fibre(next) == &from) return;
  ex.current = next;
  threadIdx.x = static_cast<unsigned>(next);
  jump(from, fibre(next), last);
}

// For the other threads of [begin, end).
UNMARKED void wait(const char* name, Caller caller, int begin, int end) {
  Fibre& f = me();
  f.state = Fibre::waiting;
  f.waits_for = name;
  f.caller = caller;
  f.scope_begin = begin;
  f.scope_end = end;
  leave(f, false);
  if (ex.cancelled) throw Cancelled{};
}

UNMARKED void entry(context::transfer_t t) {
  arrive(t, me());
  const int i = ex.current;
  Fibre& f = fibre(i);
  Order& order = order_of_set();
  const unsigned generation = ex.set_generation[ex.set];
  acquire(order.begin_of_launch);
  acquire(order.end_of_block[(generation + 1) % 2]);  // the last block on these fibres
  try {
    (*ex.thread)();
    if (f.first_copy >= 0 && f.tracked < f.copies) executor::fault("ends with a cp.async that was never awaited");
    if (executor::products_under_way(i)) executor::fault("ends with a wgmma that was never awaited");
    if (ex.overlap && !f.grid_waited)
      executor::fault("ends without grid_wait() in a launch that overlaps the one before");
  } catch (const Cancelled&) {
  } catch (...) {
    if (!ex.error) ex.error = std::current_exception();
  }
  release(order.end_of_block[generation % 2]);
  release(order.end_of_launch);
  f.state = Fibre::done;
  --ex.alive;
  leave(f, true);
}

std::byte* stack_of(int set, int i) {
  static std::byte* all = nullptr;
  if (all == nullptr) {
    void* p = mmap(nullptr, kStackBytes * kMostThreads * kSets, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc();
    all = static_cast<std::byte*>(p);
    for (int j = 0; j < kMostThreads * kSets; ++j)
      mprotect(all + kStackBytes * static_cast<std::size_t>(j), kGuardBytes, PROT_NONE);
  }
  return all + kStackBytes * static_cast<std::size_t>(set * kMostThreads + i);
}

#if defined(LAYERCOST_SIMT_RACES)
void* races_fibre_of(int set, int i) {
  static void* all[kSets][kMostThreads] = {};
  if (all[set][i] == nullptr) all[set][i] = __tsan_create_fiber(0);
  __tsan_set_fiber_name(all[set][i], place(i).c_str());
  return all[set][i];
}
#endif

std::vector<int> permutation(int n, unsigned salt) {
  std::vector<int> p(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i) p[static_cast<std::size_t>(i)] = i;
  if (ex.order == 1) std::reverse(p.begin(), p.end());
  if (ex.order > 1) std::shuffle(p.begin(), p.end(), std::mt19937(ex.order * 7919 + salt));
  return p;
}

std::string counted(int n, const char* what) { return std::to_string(n) + " " + what + (n == 1 ? "" : "s"); }

std::string waits_at(const Fibre& f) {
  std::string what = " waits at " + called(f.waits_for, f.caller);
  if (f.mbarrier < 0) return what;
  const Phases& p = ex.mbarriers[static_cast<std::size_t>(f.mbarrier)];
  return what + " for phase " + std::to_string(p.phase) + " of the mbarrier at byte " +
         std::to_string(reinterpret_cast<const std::byte*>(p.where) - ex.shared) + ", to which " +
         counted(p.pending, "arrival") + " and " + counted(p.bytes, "byte") + " have yet to come";
}

// Why nobody can go on: one that waits, and one that does not wait there.
Fault stuck() {
  int first = 0;
  while (fibre(first).state != Fibre::waiting) ++first;
  const Fibre& f = fibre(first);
  std::string what = place(first) + ":" + waits_at(f);
  int elsewhere = 0, other = -1;
  for (int i = f.scope_begin; i < f.scope_end; ++i) {
    const Fibre& g = fibre(i);
    if (g.state == Fibre::waiting && g.barrier == f.barrier && g.mbarrier == f.mbarrier && same(g.caller, f.caller))
      continue;
    if (++elsewhere == 1) other = i;
  }
  if (other < 0) return Fault(what + (f.mbarrier < 0 ? " for more threads than come" : ", as all threads do"));
  const Fibre& g = fibre(other);
  what += f.mbarrier < 0 ? ", which " + std::to_string(elsewhere) + " other threads never reach: thread " : ": thread ";
  return Fault(what + std::to_string(other) + (g.state == Fibre::done ? " has ended" : waits_at(g)));
}

void run_block(int index, int number) {
  ex.set = number % kSets;
  ++ex.set_generation[ex.set];
  ex.queue_begin = ex.queue_size = 0;
  ex.alive = ex.threads;
  ex.error = nullptr;
  ex.cancelled = false;
  for (Barrier& b : ex.barriers) b = Barrier{};
  for (WarpMeeting& m : ex.meetings) m = WarpMeeting{};
  for (GroupMeeting& m : ex.group_meetings) m = GroupMeeting{};
  ex.mbarriers.clear();
  ex.transfers.clear();
  ex.random.seed(ex.order * 7919 + static_cast<unsigned>(index) + 1);
  executor::begin_products();
  if (ex.shared_bytes > 0) std::memset(ex.shared, 0xff, ex.shared_bytes);
  for (int i = 0; i < ex.threads; ++i) {
    Fibre& f = fibre(i);
    f = Fibre{};
    std::byte* stack = stack_of(ex.set, i);
    f.stack = stack + kGuardBytes;
    // Tops at different distances from a power of 2: else all stacks share a few sets of the cache.
    f.stack_bytes = kStackBytes - kGuardBytes - 320 * static_cast<std::size_t>(i % 128);
    f.where = context::make_fcontext(stack + kGuardBytes + f.stack_bytes, f.stack_bytes, entry);
#if defined(LAYERCOST_SIMT_RACES)
    f.races = races_fibre_of(ex.set, i);
#endif
  }
  ex.thread_order = permutation(ex.threads, static_cast<unsigned>(index) + 1);
  ex.lane_order = ex.thread_order;
  std::stable_sort(ex.lane_order.begin(), ex.lane_order.end(), [](int a, int b) { return a / 32 < b / 32; });
  ex.group_order = ex.thread_order;
  std::stable_sort(ex.group_order.begin(), ex.group_order.end(), [](int a, int b) { return a / 128 < b / 128; });
  for (int i : ex.thread_order) wake(i);
  ex.grid_waits = 0;
  if (ex.overlap) forbid_memory();

  const auto go = [](int i) {
    ex.current = i;
    threadIdx.x = static_cast<unsigned>(i);
    jump(ex.scheduler, fibre(i));
    ex.current = -1;
  };
  const int first = ex.queue[ex.queue_begin++];
  --ex.queue_size;
  go(first);
  if (!ex.error && ex.alive > 0) ex.error = std::make_exception_ptr(stuck());
  // What shared memory still has to say about itself ends with the block.
  for (int i : ex.unfenced) ex.copies[static_cast<std::size_t>(i)].unfenced = false;
  ex.unfenced.clear();
  for (const Phases& p : ex.mbarriers) allow(p.where, sizeof *p.where);
  if (!ex.error) return;
  // Destructors run, and the address sanitizer gets its fake stacks back.
  const std::exception_ptr error = ex.error;
  allow_memory();
  ex.cancelled = true;
  for (int i = 0; i < ex.threads; ++i) {
    Fibre& f = fibre(i);
    const bool started = f.state == Fibre::waiting || (f.state == Fibre::ready && f.waits_for != nullptr);
    if (started) go(i);
  }
  for (Copy& c : ex.copies) c.thread = -1;
  allow(ex.shared, ex.shared_bytes);
  std::rethrow_exception(error);
}

// ---- who was it, when a sanitizer or the clock ends the program -----------------------------------------------------

void say_place() {
  if (*ex.kernel == '\0') return;
  char s[256];
  int n = std::snprintf(s, sizeof s, "SIMT: in %.60s block (%u, %u, %u) thread %d\n", ex.kernel, blockIdx.x, blockIdx.y,
                        blockIdx.z, ex.current);
  while (n > 0) {
    const auto written = ::write(STDERR_FILENO, s, static_cast<std::size_t>(n));
    if (written <= 0) return;
    n = 0;
  }
}

[[maybe_unused]] void explain(const char*) {
#if defined(__SANITIZE_ADDRESS__)
  const auto* p = static_cast<const std::byte*>(__asan_get_report_address());
  if (ex.shared != nullptr && p >= ex.shared && p < ex.shared + ex.shared_bytes) {
    const Copy& c = ex.copies[static_cast<std::size_t>(p - ex.shared) / 16];
    if (c.thread >= 0)
      std::fprintf(stderr, "SIMT: shared memory that a %s of thread %d has yet to deliver\n", kind(c), c.thread);
    for (const Phases& m : ex.mbarriers)
      if (reinterpret_cast<const std::byte*>(m.where) == p - (p - ex.shared) % 8)
        std::fprintf(stderr, "SIMT: an mbarrier, which only its own calls may touch\n");
  }
  for (const Memory& m : ex.memory)
    if (ex.forbidden && may_be_used(m) && p >= m.begin && p < m.begin + m.bytes)
      std::fprintf(stderr, "SIMT: memory that an earlier launch may still use, before grid_wait()\n");
#endif
  say_place();
}

void out_of_time(int) {
  static const char text[] = "SIMT: a launch without end\n";
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text, sizeof text - 1);
  say_place();
  std::_Exit(1);
}

// For the duration of a launch.
class Watch {
 public:
  Watch() {
#if defined(__SANITIZE_ADDRESS__)
    __asan_set_error_report_callback(explain);
#endif
#if defined(LAYERCOST_SIMT_RACES)
    ex.scheduler.races = __tsan_get_current_fiber();
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
#endif
    for (Order& o : ex.orders) release(o.begin_of_launch);
    signal(SIGVTALRM, out_of_time);
    set(ex.launch_seconds);
  }
  ~Watch() {
    set(0);
    for (Order& o : ex.orders) acquire(o.end_of_launch);
#if defined(LAYERCOST_SIMT_RACES)
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
#endif
    ex.kernel = "";
    ex.shared = nullptr;
  }
  Watch(const Watch&) = delete;

 private:
  static void set(int seconds) {
    itimerval t = {};
    t.it_value.tv_sec = seconds;
    setitimer(ITIMER_VIRTUAL, &t, nullptr);
  }
};

// From the heap, so that the address sanitizer guards its end. ThreadSanitizer gets one for each set of fibres, that is
// never freed: a block may not be ordered behind an earlier one by the memory that it gets.
class SharedMemory {
 public:
  explicit SharedMemory(std::size_t bytes) {
    if (kRaces) return;
    void* p = nullptr;
    if (posix_memalign(&p, kSharedAlignment, std::max<std::size_t>(bytes, 1)) != 0) throw std::bad_alloc();
    memory_.reset(static_cast<std::byte*>(p));
  }
  std::byte* of_set(int set) {
    alignas(kSharedAlignment) static std::byte fixed[kRaces ? kSets : 1][kRaces ? kMostSharedBytes : 1];
    static_assert(kMostSharedBytes % kSharedAlignment == 0);
    return kRaces ? fixed[set] : memory_.get();
  }

 private:
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  std::unique_ptr<std::byte, Free> memory_;
};

}  // namespace

// The sanitizers' own hooks, found by name. The callback of the address sanitizer does not cover the
// undefined-behaviour one.
extern "C" {
void __ubsan_on_report() { say_place(); }
void __tsan_on_report(void*) { say_place(); }
const char* __tsan_default_options() { return "halt_on_error=1"; }
// Stacks that find uses after return: GCC 14 has them by default, GCC 12 has not. One is made and thrown away for each
// thread of each block: a golden took 54 s of a processor instead of 2.3 s. One test asks for them (tests/simt).
const char* __asan_default_options() { return "detect_stack_use_after_return=0"; }
}

void set_order(unsigned order) { ex.order = order; }

namespace executor {

void set_launch_seconds(int seconds) { ex.launch_seconds = seconds; }

void fault(const std::string& what) { throw Fault(place(ex.current) + ": " + what); }

void index_fault(int i, int n) { fault("index " + std::to_string(i) + " of an Array of " + std::to_string(n)); }

void* shared_memory(std::size_t bytes, std::size_t alignment) {
  if (bytes > ex.shared_bytes)
    fault("uses " + std::to_string(bytes) + " bytes of shared memory, launched with " +
          std::to_string(ex.shared_bytes));
  if (alignment > kSharedAlignment) fault("shared memory is aligned to " + std::to_string(kSharedAlignment) + " bytes");
  return ex.shared;
}

namespace {

void check_shared(const void* p, const char* what, std::size_t bytes = 16, unsigned alignment = 16) {
  if (reinterpret_cast<std::uintptr_t>(p) % alignment != 0) fault(std::string(what) + " with a misaligned address");
  const auto* begin = static_cast<const std::byte*>(p);
  if (begin < ex.shared || begin + bytes > ex.shared + ex.shared_bytes)
    fault(std::string(what) + " outside of shared memory");
  const auto at = static_cast<std::size_t>(begin - ex.shared);
  for (std::size_t i = at / 16; i <= (at + bytes - 1) / 16; ++i)
    if (const Copy& c = ex.copies[i]; c.thread >= 0)
      fault(std::string(what) + " of shared memory that a " + kind(c) + " of thread " + std::to_string(c.thread) +
            " has yet to deliver");
}

}  // namespace

void read_row(const void* p) {
  check_shared(p, "ldmatrix");
  announce_read(p, 16);
}

void whole_warp(const char* what) {
  if (lanes_of(ex.current / 32) != 32) fault(std::string(what) + " in a warp of less than 32 lanes");
}

namespace {

// `id` 0: sync_block, whose threads all have to come from the same line.
void barrier(int id, int expected, const char* name, Caller caller) {
  Barrier& b = ex.barriers[id];
  char& order = order_of_set().barrier[id][b.generation % 2];
  if (b.arrived == 0) {
    b.expected = expected;
    b.caller = caller;
    b.thread = ex.current;
  } else if (b.expected != expected) {
    fault("comes to " + called(name, caller) + " as one of " + std::to_string(expected) + " threads, thread " +
          std::to_string(b.thread) + " as one of " + std::to_string(b.expected));
  } else if (id == 0 && !same(b.caller, caller)) {
    fault("comes to " + called(name, caller) + " while thread " + std::to_string(b.thread) + " waits at " +
          called(name, b.caller));
  }
  release(order);
  b.sees |= me().sees;
  if (++b.arrived < b.expected) {
    me().barrier = id;
    wait(name, caller, 0, ex.threads);
    me().barrier = -1;
  } else {
    me().sees |= b.sees;
    for (int i : ex.thread_order)
      if (fibre(i).state == Fibre::waiting && fibre(i).barrier == id) {
        fibre(i).sees |= b.sees;
        wake(i);
      }
    b.sees = 0;
    b.arrived = 0;
    ++b.generation;
  }
  acquire(order);
}

}  // namespace

void barrier(Caller caller) { barrier(0, ex.threads, "sync_block", caller); }

void barrier_part(int id, int threads, Caller caller) {
  if (id < 1 || id > 15) fault("sync_part with barrier " + std::to_string(id) + " of 1 .. 15");
  if (threads < 32 || threads % 32 != 0 || threads > ex.threads)
    fault("sync_part of " + std::to_string(threads) + " threads in a block of " + std::to_string(ex.threads));
  barrier(id, threads, "sync_part", caller);
}

namespace {

// Of `threads` threads from `first` on.
template <class M, class F>
void meet(M& m, int first, int threads, const std::vector<int>& order, const char* one, const char* whole,
          const char* name, Caller caller, void* arguments, F compute) {
  const int mine = ex.current - first;
  if (m.arrived == 0) {
    m.name = name;
    m.caller = caller;
    m.thread = mine;
  } else if (!same(m.caller, caller) || (m.name != name && std::strcmp(m.name, name) != 0)) {
    fault("calls " + called(name, caller) + " while " + one + " " + std::to_string(m.thread) + " of its " + whole +
          " waits at " + called(m.name, m.caller));
  }
  m.arguments[mine] = arguments;
  if (++m.arrived < threads) return wait(name, caller, first, first + threads);
  {
    const Unobserved own;
    compute(m.arguments);
  }
  m.arrived = 0;
  ++m.generation;
  for (int i = first; i < first + threads; ++i) {
    const int t = order[static_cast<std::size_t>(i)];
    if (t != ex.current) wake(t);
  }
}

}  // namespace

void together(const char* name, Caller caller, void* arguments, Compute compute) {
  const int warp = ex.current / 32;
  meet(ex.meetings[warp], 32 * warp, lanes_of(warp), ex.lane_order, "lane", "warp", name, caller, arguments, compute);
}

void together_group(const char* name, Caller caller, void* arguments, ComputeGroup compute, bool orders) {
  const int group = ex.current / 128;
  if (128 * (group + 1) > ex.threads) fault(std::string(name) + " in a warp group of less than 128 threads");
  GroupMeeting& m = ex.group_meetings[group];
  char& order = order_of_set().group[group][m.generation % 2];
  if (orders) release(order);
  meet(m, 128 * group, 128, ex.group_order, "thread", "warp group", name, caller, arguments, compute);
  if (orders) acquire(order);
}

void sync_warp(Caller caller) {
  const int warp = ex.current / 32;
  Meeting& m = ex.meetings[warp];
  char& order = order_of_set().warp[warp][m.generation % 2];
  release(order);
  m.sees |= me().sees;
  together("sync_warp", caller, &m, [](void* const(&all)[32]) {
    auto* whole = static_cast<Meeting*>(all[0]);
    const int first = ex.current / 32 * 32;
    for (int i = first; i < first + lanes_of(first / 32); ++i) fibre(i).sees |= whole->sees;
    whole->sees = 0;
  });
  acquire(order);
}

std::uint32_t exchange(const char* name, std::uint32_t v, int from, Caller caller) {
  struct Exchange {
    std::uint32_t in, out;
    int from;
  } mine{v, v, from};
  together(name, caller, &mine, [](void* const (&all)[32]) {
    for (int i = 0; i < 32; ++i) {
      auto* e = static_cast<Exchange*>(all[i]);
      if (e == nullptr || e->from < 0 || e->from > 31) continue;
      if (all[e->from] == nullptr)
        fault("lane " + std::to_string(i) + " of its warp reads lane " + std::to_string(e->from) +
              ", which the block does not have");
      e->out = static_cast<Exchange*>(all[e->from])->in;
    }
  });
  return mine.out;
}

std::uint32_t vote(const char* name, bool v, Caller caller) {
  struct Vote {
    bool in;
    std::uint32_t out;
  } mine{v, 0};
  together(name, caller, &mine, [](void* const (&all)[32]) {
    std::uint32_t bits = 0;
    for (int i = 0; i < 32; ++i)
      if (all[i] != nullptr && static_cast<Vote*>(all[i])->in) bits |= 1u << i;
    for (void* each : all)
      if (each != nullptr) static_cast<Vote*>(each)->out = bits;
  });
  return mine.out;
}

int reduce(const char* name, int v, bool most, Caller caller) {
  whole_warp(name);
  struct Reduce {
    int value;
    bool most;
  } mine{v, most};
  together(name, caller, &mine, [](void* const (&all)[32]) {
    const auto of = [&](int i) { return static_cast<Reduce*>(all[i]); };
    int result = of(0)->value;
    for (int i = 1; i < 32; ++i) result = of(0)->most ? std::max(result, of(i)->value) : std::min(result, of(i)->value);
    for (int i = 0; i < 32; ++i) of(i)->value = result;
  });
  return mine.value;
}

// A fence before the atomic makes it a release, one behind it an acquire.
void atomic(const void* p) {
  if (reinterpret_cast<std::uintptr_t>(p) % 4 != 0) fault("an atomic at a misaligned address");
  if (!kRaces) return;
  Fibre& f = me();
  auto* object = static_cast<char*>(const_cast<void*>(p));
  if (f.fenced) release(*object);
  f.fenced = false;
  f.atomics[f.atomics_seen++ % 4] = p;
}

void fence() {
  Fibre& f = me();
  for (int i = 0; i < std::min(f.atomics_seen, 4); ++i) acquire(*static_cast<char*>(const_cast<void*>(f.atomics[i])));
  f.atomics_seen = 0;
  f.fenced = true;
}

namespace {

// The target of a copy under way holds NaN, and nobody may touch it.
Copy& start_copy(std::byte* to, Piece piece, bool tma) {
  Copy& c = ex.copies[static_cast<std::size_t>(to - ex.shared) / 16];
  const bool reads = piece.begin < piece.end;
  const auto n = static_cast<std::size_t>(piece.end - piece.begin);
  if (reads) announce_read(piece.from + piece.begin, n);
  announce_write(to, 16);
  const Unobserved own;
  std::memset(c.bytes, 0, 16);
  if (reads) std::memcpy(c.bytes + piece.begin, piece.from + piece.begin, n);
  std::memset(to, 0xff, 16);
  forbid(to, 16);
  c.from = piece.from;
  c.begin = piece.begin;
  c.end = piece.end;
  c.thread = ex.current;
  c.tma = tma;
  c.unfenced = false;
  return c;
}

// What is said of it names the thread that started it.
void end_copy(std::byte* to, Copy& c) {
  const Unobserved own;
  const bool reads = c.begin < c.end;
  const auto n = static_cast<std::size_t>(c.end - c.begin);
  if (reads && std::memcmp(c.bytes + c.begin, c.from + c.begin, n) != 0)
    throw Fault(place(c.thread) + ": the source of a " + kind(c) + " changed before its wait");
  allow(to, 16);
  std::memcpy(to, c.bytes, 16);
  c.thread = -1;
}

// The oldest cp.async of the thread.
void land(Fibre& f) {
  const int at = f.first_copy;
  Copy& c = ex.copies[static_cast<std::size_t>(at)];
  end_copy(ex.shared + 16 * at, c);
  c.unfenced = true;
  const Unobserved own;
  ex.unfenced.push_back(at);
  f.first_copy = c.next;
  ++f.landed;
}

}  // namespace

void cp_async(void* to, const void* from, bool valid) {
  check_shared(to, "cp.async");
  if (valid && reinterpret_cast<std::uintptr_t>(from) % 16 != 0) fault("cp.async from a misaligned address");
  const auto* source = static_cast<const std::byte*>(from);
  if (valid && source >= ex.shared && source < ex.shared + ex.shared_bytes) fault("cp.async from shared memory");
  const int at = static_cast<int>((static_cast<std::byte*>(to) - ex.shared) / 16);
  Copy& c = start_copy(static_cast<std::byte*>(to), {source, 0, valid ? 16 : 0}, false);
  Fibre& f = me();
  c.group = f.open_group;
  c.next = -1;
  (f.first_copy < 0 ? f.first_copy : ex.copies[static_cast<std::size_t>(f.last_copy)].next) = at;
  f.last_copy = at;
  ++f.copies;
}

void cp_async_commit() { ++me().open_group; }

void cp_async_wait(int pending) {
  Fibre& f = me();
  while (f.first_copy >= 0) {
    const Copy& c = ex.copies[static_cast<std::size_t>(f.first_copy)];
    if (c.group >= f.open_group - pending) return;
    if (c.end > 0) announce_read(c.from, 16);
    announce_write(ex.shared + 16 * f.first_copy, 16);
    land(f);
  }
}

// ---- mbarriers, and what comes late ---------------------------------------------------------------------------------

namespace {

constexpr int kMostArrivals = (1 << 20) - 1;  // and bytes

char& order_of(int mbarrier, unsigned phase) { return order_of_set().mbarrier[mbarrier][phase % 2]; }
Phases& phases(int mbarrier) { return ex.mbarriers[static_cast<std::size_t>(mbarrier)]; }

int find_mbarrier(const Mbarrier* b) {
  int i = 0;
  for (; i < static_cast<int>(ex.mbarriers.size()); ++i)
    if (phases(i).where == b) return i;
  return -1;
}

// The mbarrier of a call of the thread that runs.
int seen_mbarrier(const Mbarrier* b, const char* what) {
  const int i = find_mbarrier(b);
  if (i < 0) fault(std::string(what) + " of an mbarrier that nobody has initialised");
  if (phases(i).thread != ex.current && (me().sees >> i & 1) == 0)
    fault(std::string(what) + " of an mbarrier whose init by thread " + std::to_string(phases(i).thread) +
          " it cannot see yet: mbarrier_init_fence() by that thread and a barrier come first");
  return i;
}

// On behalf of `thread`.
void add_bytes(Phases& p, int bytes, int thread) {
  if (bytes > kMostArrivals || p.bytes + bytes > kMostArrivals || p.bytes + bytes < -kMostArrivals)
    throw Fault(place(thread) + ": more bytes than an mbarrier counts");
  p.bytes += bytes;
}

void end_of_phase(int mbarrier, int thread) {
  Phases& p = phases(mbarrier);
  if (p.pending > 0 || p.bytes > 0) return;
  if (p.bytes < 0)
    throw Fault(place(thread) + ": " + std::to_string(-p.bytes) + " bytes more come to an mbarrier than are expected");
  ++p.phase;
  p.pending = p.expected;
  for (int i : ex.thread_order)
    if (fibre(i).state == Fibre::waiting && fibre(i).mbarrier == mbarrier) wake(i);
}

void arrive(int mbarrier, int bytes, int thread) {
  Phases& p = phases(mbarrier);
  if (p.pending == 0)
    throw Fault(place(thread) + ": one arrival more at an mbarrier than the " + std::to_string(p.expected) +
                " of its phase");
  add_bytes(p, bytes, thread);
  --p.pending;
  end_of_phase(mbarrier, thread);
}

void land(const Transfer& t) {
  if (phases(t.mbarrier).phase != t.phase)
    throw Fault(place(t.thread) + ": a " + (t.to != nullptr ? "tma_load" : "cp_async_arrive") +
                " comes in when the phase of its mbarrier is over");
  if (t.to == nullptr) {
    Fibre& f = fibre(t.thread);
    while (f.landed < t.count) land(f);
    return arrive(t.mbarrier, 0, t.thread);
  }
  for (int i = 0; i < t.count; ++i) {
    std::byte* to = t.to + 16 * i;
    end_copy(to, ex.copies[static_cast<std::size_t>(to - ex.shared) / 16]);
  }
  add_bytes(phases(t.mbarrier), -16 * t.count, t.thread);
  end_of_phase(t.mbarrier, t.thread);
}

// Whenever a thread stops to run: what is under way comes in if nobody else can run, or by chance.
void deliver() noexcept {
  const Unobserved own;
  try {
    if (ex.alive == 0)
      throw Fault(place(ex.transfers[0].thread) + ": its " +
                  (ex.transfers[0].to != nullptr ? "tma_load" : "cp_async_arrive") +
                  " is under way at the block's end");
    while (!ex.transfers.empty() && (ex.queue_size == 0 || (ex.order > 1 && ex.random() % 8 == 0))) {
      std::size_t next = ex.order == 0 ? 0 : ex.transfers.size() - 1;
      if (ex.order > 1) next = ex.random() % ex.transfers.size();
      const Transfer t = ex.transfers[next];
      ex.transfers.erase(ex.transfers.begin() + static_cast<std::ptrdiff_t>(next));
      land(t);
    }
  } catch (...) {
    ex.error = std::current_exception();
  }
}

}  // namespace

void mbarrier_init(const Mbarrier* b, int arrivals) {
  check_shared(b, "mbarrier_init", sizeof *b, alignof(Mbarrier));
  if (find_mbarrier(b) >= 0) fault("mbarrier_init of an mbarrier that is one already");
  if (arrivals < 1 || arrivals > kMostArrivals) fault("mbarrier_init for " + counted(arrivals, "arrival"));
  if (ex.mbarriers.size() == kMostMbarriers)
    fault("more than " + std::to_string(kMostMbarriers) + " mbarriers, which are all that the executor has");
  announce_write(const_cast<Mbarrier*>(b), sizeof *b);
  forbid(b, sizeof *b);
  const Unobserved own;
  Phases p = {};
  p.where = b;
  p.thread = ex.current;
  p.expected = p.pending = arrivals;
  ex.mbarriers.push_back(p);
}

void mbarrier_init_fence() {
  for (int i = 0; i < static_cast<int>(ex.mbarriers.size()); ++i) {
    if (phases(i).thread != ex.current) continue;
    phases(i).fenced = true;
    me().sees |= std::uint64_t{1} << i;
  }
}

void mbarrier_arrive(const Mbarrier* b, int bytes) {
  const int i = seen_mbarrier(b, bytes == 0 ? "mbarrier_arrive" : "mbarrier_arrive_expect");
  if (bytes < 0) fault("mbarrier_arrive_expect of " + std::to_string(bytes) + " bytes");
  release(order_of(i, phases(i).phase));
  phases(i).sees |= me().sees;
  arrive(i, bytes, ex.current);
}

void mbarrier_wait(const Mbarrier* b, int parity, Caller caller) {
  const int i = seen_mbarrier(b, "mbarrier_wait");
  if (parity != 0 && parity != 1) fault("mbarrier_wait for parity " + std::to_string(parity));
  const unsigned phase = phases(i).phase;
  if (phase % 2 != static_cast<unsigned>(parity)) {
    if (phase > 0) acquire(order_of(i, phase - 1));
    return;
  }
  me().mbarrier = i;
  wait("mbarrier_wait", caller, 0, ex.threads);
  me().mbarrier = -1;
  if (phases(i).phase != phase + 1)
    fault("slept at " + called("mbarrier_wait", caller) + " through phase " + std::to_string(phase + 1) +
          " of an mbarrier: it may wait for ever");
  acquire(order_of(i, phase));
  me().sees |= phases(i).sees;
}

void cp_async_arrive(const Mbarrier* b) {
  const int i = seen_mbarrier(b, "cp_async_arrive");
  Fibre& f = me();
  f.tracked = f.copies;
  release(order_of(i, phases(i).phase));
  const Unobserved own;
  ex.transfers.push_back({ex.current, i, phases(i).phase, nullptr, f.copies});
}

void bring(std::byte* to, const Piece* pieces, int count, const Mbarrier* b) {
  const auto bytes = 16 * static_cast<std::size_t>(count);
  check_shared(to, "tma_load", bytes, kSharedAlignment);
  const int i = seen_mbarrier(b, "tma_load");
  if (!phases(i).fenced) fault("tma_load with an mbarrier without mbarrier_init_fence() behind its init");
  for (const Phases& p : ex.mbarriers) {
    const auto* at = reinterpret_cast<const std::byte*>(p.where);
    if (at >= to && at < to + bytes) fault("tma_load over an mbarrier");
  }
  for (int k = 0; k < count; ++k) start_copy(to + 16 * k, pieces[k], true);
  release(order_of(i, phases(i).phase));
  const Unobserved own;
  ex.transfers.push_back({ex.current, i, phases(i).phase, to, count});
}

void fence_async_shared() {
  for (int i : ex.unfenced) ex.copies[static_cast<std::size_t>(i)].unfenced = false;
  ex.unfenced.clear();
}

// ---- shared memory as wgmma knows it --------------------------------------------------------------------------------

// Its addresses are numbers, which begin behind what the system keeps of each block's: 1 KiB. 0 is none of them.
constexpr std::uint32_t kFirstAddress = 1024;

std::uint32_t shared_address(const void* p) {
  const auto* at = static_cast<const std::byte*>(p);
  if (at < ex.shared || at >= ex.shared + ex.shared_bytes) fault("the shared address of what is not shared memory");
  return kFirstAddress + static_cast<std::uint32_t>(at - ex.shared);
}

const std::byte* product_reads(std::uint32_t address, bool announce) {
  const std::byte* p = ex.shared + (std::int64_t{address} - kFirstAddress);
  check_shared(p, "wgmma");
  if (announce) announce_read(p, 16);
  if (ex.copies[static_cast<std::size_t>(p - ex.shared) / 16].unfenced)
    fault("wgmma of shared memory that a cp.async wrote, without fence_async_shared() since");
  return p;
}

void device_memory(void* p, std::size_t bytes) {
  Memory m;
  m.begin = static_cast<std::byte*>(p);
  m.bytes = bytes;
  ex.memory.push_back(std::move(m));
}

namespace {
std::vector<Memory>::iterator memory_at(const void* p) {
  return std::find_if(ex.memory.begin(), ex.memory.end(), [&](const Memory& m) { return m.begin == p; });
}
}  // namespace

void forget_memory(void* p) { ex.memory.erase(memory_at(p)); }
void constant_memory(const void* p) {
  const auto m = memory_at(p);
  if (m != ex.memory.end()) m->constant = true;
}
void other_work() { ex.settled = false; }

// The threads of a block go on together, so that none of them is early under the sanitizer's eyes when another one is
// through. On a GPU this is no barrier: nothing is ordered among them.
void grid_wait(Caller caller) {
  if (!ex.overlap || me().grid_waited) return;
  me().grid_waited = true;
  if (++ex.grid_waits < ex.threads) {
    me().barrier = kGridWait;
    wait("grid_wait", caller, 0, ex.threads);
    me().barrier = -1;
    return;
  }
  allow_memory();
  for (int i : ex.thread_order)
    if (fibre(i).state == Fibre::waiting && fibre(i).barrier == kGridWait) wake(i);
}

void grid_launch_dependents() {
  if (ex.overlap && !me().grid_waited) ex.early_trigger = true;
}

void run(const char* name, dim3 grid, dim3 block, int shared_bytes, bool overlap, const std::function<void()>& thread) {
  ex.kernel = name;
  ex.current = -1;
  blockIdx = dim3(0, 0, 0);
  const auto refuse = [](const std::string& what) { throw Fault(place(-1) + ": " + what); };
  if (block.y != 1 || block.z != 1) refuse("blocks are one-dimensional here");
  if (block.x == 0 || block.x > kMostThreads) refuse("a block of " + std::to_string(block.x) + " threads");
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535)
    refuse("an impossible grid");
  const double count = double{1} * grid.x * grid.y * grid.z;
  if (count > 1 << 24) refuse("more blocks than the executor will ever get through");
  if (shared_bytes < 0 || shared_bytes > kMostSharedBytes)
    refuse(std::to_string(shared_bytes) + " bytes of shared memory");
  gridDim = grid;
  blockDim = block;
  threadIdx = dim3(0, 0, 0);
  ex.thread = &thread;
  ex.threads = static_cast<int>(block.x);
  if (ex.fibres.empty()) ex.fibres.resize(kMostThreads);
  const Watch watch;
  ex.shared_bytes = static_cast<std::size_t>(shared_bytes);
  SharedMemory memory(ex.shared_bytes);
  ex.overlap = overlap;
  ex.early_trigger = false;
  if (kForbids)
    for (Memory& m : ex.memory)
      if (!m.constant) m.before.assign(m.begin, m.begin + m.bytes);
  int number = 0;
  for (int i : permutation(static_cast<int>(count), 0)) {
    const auto b = static_cast<unsigned>(i);
    blockIdx = dim3(b % grid.x, b / grid.x % grid.y, b / grid.x / grid.y);
    ex.shared = memory.of_set(number % kSets);
    run_block(i, number++);
  }
  ex.settled = !ex.early_trigger;
  for (Memory& m : ex.memory)
    if (kForbids && !m.constant) m.changed = std::memcmp(m.begin, m.before.data(), m.bytes) != 0;
}

}  // namespace executor
}  // namespace simt
}  // namespace layercost
