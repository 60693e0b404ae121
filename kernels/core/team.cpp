// How a thread is helped: who has run out of pieces and sees that another is still busy reads that one's CPU time
// twice. If it stands still, the other was put aside. A caller that waits lends its CPU to such threads and sleeps, so
// that they run at once, one after the other. A worker that waits changes places with a caller that was put aside: the
// caller goes on, and the worker, which nobody waits for, queues behind the neighbour.
//
// Order: a piece is taken by a compare-and-swap that acquires what `reset` released; function and count are set before
// and stay until all that took pieces have reported, so a worker that comes late takes nothing, or a piece of the work
// that is on now.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/core/team.h"

#include <linux/futex.h>
#include <omp.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>

#include "kernels/core/affinity.h"

namespace layercost {
namespace {

constexpr double kPatienceS = 30e-6;   // a piece takes 5 to 20 us
constexpr double kStandstillS = 40e-6;  // between two readings of a thread's CPU time; less than a third of it passed
constexpr double kSpinS = 200e-6;      // from one op of a layer to the next it is less
constexpr double kOpenMpRestS = 50e-3;
constexpr long kSleepNs = 1'000'000;

double clock_s(clockid_t clock) {
  timespec t{};
  if (clock_gettime(clock, &t) != 0) return 0;
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double steady_s() { return clock_s(CLOCK_MONOTONIC); }

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));

// Returns at the latest after `ns` (0: never), and at once if the value is another one.
void sleep_on(std::atomic<std::uint32_t>& value, std::uint32_t seen, long ns) {
  const timespec t{0, ns};
  syscall(SYS_futex, &value, FUTEX_WAIT_PRIVATE, seen, ns > 0 ? &t : nullptr, nullptr, 0);
}

void wake_all(std::atomic<std::uint32_t>& value) {
  syscall(SYS_futex, &value, FUTEX_WAKE_PRIVATE, INT32_MAX, nullptr, nullptr, 0);
}

class Pieces {
 public:
  explicit Pieces(int threads) : ranges_(static_cast<std::size_t>(threads)) {}

  void reset(std::int64_t count) {
    const auto threads = static_cast<std::int64_t>(ranges_.size());
    for (std::int64_t t = 0; t < threads; ++t)
      ranges_[static_cast<std::size_t>(t)].ends.store(both(count * t / threads, count * (t + 1) / threads),
                                                      std::memory_order_release);
  }

  // f(piece, next) until none is left; how many.
  template <class F>
  std::int64_t each(int thread, F&& f) {
    std::int64_t done = 0;
    for (std::size_t i = 0; i < ranges_.size(); ++i) {
      auto& ends = ranges_[(static_cast<std::size_t>(thread) + i) % ranges_.size()].ends;
      std::uint64_t seen = ends.load(std::memory_order_relaxed);
      while (front(seen) < back(seen)) {
        const std::int64_t begin = front(seen), end = back(seen);
        const std::uint64_t left = i == 0 ? both(begin + 1, end) : both(begin, end - 1);
        if (!ends.compare_exchange_weak(seen, left, std::memory_order_acquire, std::memory_order_relaxed)) continue;
        const bool more = begin + 1 < end;
        if (i == 0) f(begin, more ? begin + 1 : -1);
        else f(end - 1, more ? end - 2 : -1);
        ++done;
        seen = ends.load(std::memory_order_relaxed);
      }
    }
    return done;
  }

 private:
  struct alignas(64) Range {
    std::atomic<std::uint64_t> ends{0};
  };
  static std::uint64_t both(std::int64_t front, std::int64_t back) {
    return static_cast<std::uint64_t>(back) << 32 | static_cast<std::uint64_t>(front);
  }
  static std::int64_t front(std::uint64_t ends) { return static_cast<std::int64_t>(ends & 0xffffffffu); }
  static std::int64_t back(std::uint64_t ends) { return static_cast<std::int64_t>(ends >> 32); }

  std::vector<Range> ranges_;
};

class Team {
 public:
  // Lives until the process ends: its threads sleep then, and touch nothing else.
  static Team& only() {
    static Team& team = *new Team;
    return team;
  }

  int threads() const { return threads_; }

  void resize(int threads) {
    const std::lock_guard lock(caller_);
    omp_set_num_threads(threads);
    if (threads == threads_) return;
    dismiss();
    threads_ = threads;
    pieces_ = Pieces(threads);
    openmp_pieces_ = Pieces(threads);
  }

  void pin(std::vector<int> cpus) {
    const std::lock_guard lock(caller_);
    dismiss();
    cpus_ = std::move(cpus);
  }

  void openmp_works() {
    openmp_s_.store(steady_s(), std::memory_order_relaxed);
    if (inside_) return;
    const std::unique_lock lock(caller_, std::try_to_lock);
    if (lock) go_home();
  }

  void openmp_rests() { openmp_s_.store(kNever, std::memory_order_relaxed); }

  std::int64_t rescued() const { return rescued_.load(std::memory_order_relaxed); }

  void run(std::int64_t count, detail::PieceFunction call, void* f) noexcept {
    if (count <= 0) return;
    const auto alone = [&] {
      for (std::int64_t i = 0; i < count; ++i) call(f, 0, i, i + 1 < count ? i + 1 : -1);
    };
    if (count == 1 || threads_ == 1 || inside_) return alone();
    const std::unique_lock lock(caller_, std::try_to_lock);
    if (!lock) return alone();
    inside_ = true;
    if (by_openmp()) {
      go_home();
      openmp_pieces_.reset(count);
#pragma omp parallel num_threads(threads_)
      {
        const int thread = omp_get_thread_num();
        inside_ = true;
        openmp_pieces_.each(thread, [&](std::int64_t i, std::int64_t next) { call(f, thread, i, next); });
        inside_ = thread == 0;
      }
    } else {
      by_team(count, call, f);
    }
    inside_ = false;
  }

 private:
  struct alignas(64) Member {
    std::atomic<std::uint32_t> busy{0};  // has pieces, or looks for some
    bool lent = false;  // computes on the caller's CPU; the caller's to know
    std::atomic<int> cpu{-1};
    std::atomic<pid_t> id{0};
    std::atomic<clockid_t> clock{0};
    std::thread thread;  // none of member 0, the caller
  };

  Team() : threads_(omp_get_max_threads()), pieces_(threads_), openmp_pieces_(threads_) {
    if (omp_get_proc_bind() != omp_proc_bind_false) bound_by_user_ = true;
    if (const char* policy = std::getenv("OMP_WAIT_POLICY"); policy != nullptr)
      passive_ = std::string_view(policy) == "passive" || std::string_view(policy) == "PASSIVE";
  }

  bool by_openmp() const {
    return bound_by_user_ || steady_s() - openmp_s_.load(std::memory_order_relaxed) < kOpenMpRestS;
  }

  bool pinned() const { return static_cast<int>(cpus_.size()) == threads_; }

  void by_team(std::int64_t count, detail::PieceFunction call, void* f) {
    if (!members_) hire();
    Member& me = members_[0];
    if (const pid_t id = gettid(); me.id.load(std::memory_order_relaxed) != id) {  // another caller than before
      clockid_t clock{};
      pthread_getcpuclockid(pthread_self(), &clock);
      me.clock = clock;
      me.id = id;
    }
    call_ = call;
    f_ = f;
    left_.store(static_cast<std::uint32_t>(count), std::memory_order_relaxed);
    me.busy.store(1, std::memory_order_relaxed);
    pieces_.reset(count);
    generation_.fetch_add(1, std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) > 0) wake_all(generation_);
    take_pieces(0);
    me.busy.store(0, std::memory_order_relaxed);
    if (left_.load(std::memory_order_acquire) != 0) wait_for_the_last();
  }

  void take_pieces(int thread) {
    const std::int64_t done =
        pieces_.each(thread, [&](std::int64_t i, std::int64_t next) { call_(f_, thread, i, next); });
    if (done == 0) return;
    const auto mine = static_cast<std::uint32_t>(done);
    if (left_.fetch_sub(mine, std::memory_order_acq_rel) == mine && caller_sleeps_.load(std::memory_order_seq_cst))
      wake_all(left_);
  }

  // Whether a thread's CPU time stands still while `on` holds.
  template <class On>
  static bool was_put_aside(const Member& m, On&& on) {
    const clockid_t clock = m.clock.load(std::memory_order_relaxed);
    const double before = clock_s(clock);
    for (const double since = steady_s(); on() && steady_s() - since < kStandstillS;) pause();
    return on() && clock_s(clock) - before < kStandstillS / 3;
  }

  void wait_for_the_last() {
    const auto unfinished = [&] { return left_.load(std::memory_order_acquire) != 0; };
    const double since = steady_s();
    for (int i = 1; unfinished(); ++i) {
      pause();
      if (i % 16 != 0 || steady_s() - since < kPatienceS) continue;
      bool lent = false;
      for (int t = 1; t < threads_ && pinned(); ++t) {
        Member& m = members_[static_cast<std::size_t>(t)];
        const auto busy = [&] { return unfinished() && m.busy.load(std::memory_order_relaxed) != 0; };
        if (!busy() || (!m.lent && !was_put_aside(m, busy))) continue;
        lent = true;
        if (m.lent) continue;
        bind_thread(m.id.load(std::memory_order_relaxed), members_[0].cpu.load());
        m.lent = true;
        rescued_.fetch_add(1, std::memory_order_relaxed);
      }
      if (!lent) continue;
      caller_sleeps_.store(true, std::memory_order_seq_cst);
      if (const std::uint32_t left = left_.load(std::memory_order_seq_cst); left != 0) sleep_on(left_, left, kSleepNs);
      caller_sleeps_.store(false, std::memory_order_relaxed);
    }
    // They are behind the caller on its CPU now, and would stay there as long as it computes.
    for (int t = 1; t < threads_ && pinned(); ++t)
      if (Member& m = members_[static_cast<std::size_t>(t)]; m.lent) {
        m.lent = false;
        bind_thread(m.id.load(std::memory_order_relaxed), m.cpu.load());
      }
  }

  // A worker gives the caller its CPU, and takes the caller's.
  void change_places(Member& me) {
    Member& caller = members_[0];
    const int mine = me.cpu.load(), his = caller.cpu.load();
    caller.cpu.store(mine);
    me.cpu.store(his);
    bind_thread(caller.id.load(), mine);
    bind_thread(me.id.load(), his);
    rescued_.fetch_add(1, std::memory_order_relaxed);
  }

  // OpenMP's threads are where they were bound: the caller goes back to its own CPU.
  void go_home() {
    if (!members_ || !pinned() || members_[0].cpu.load() == cpus_[0]) return;
    const std::lock_guard changing(change_);
    for (int t = 1; t < threads_; ++t) {
      Member& m = members_[static_cast<std::size_t>(t)];
      if (m.cpu.load() == cpus_[0]) {
        m.cpu.store(members_[0].cpu.load());
        bind_thread(m.id.load(), m.cpu.load());
      }
    }
    members_[0].cpu.store(cpus_[0]);
    bind_thread(gettid(), cpus_[0]);
  }

  void work(int thread, std::uint32_t seen) {
    Member& me = members_[static_cast<std::size_t>(thread)];
    inside_ = true;
    const double spin_s = passive_ ? 0 : pinned() ? kSpinS : kSpinS / 10;
    for (;;) {
      double since = 0;
      for (int i = 1; generation_.load(std::memory_order_acquire) == seen; ++i) {
        pause();
        if (i % 16 != 0) continue;
        const double now = steady_s();
        if (since == 0) since = now;
        const auto caller_is_busy = [&] {
          return members_[0].busy.load(std::memory_order_relaxed) != 0 &&
                 generation_.load(std::memory_order_relaxed) == seen;
        };
        if (pinned() && caller_is_busy()) {  // awake as long as the caller computes: it may need this CPU
          if (now - since < kPatienceS || changed_in_ == seen) continue;  // once per work: it may be asleep
          if (const std::unique_lock changing(change_, std::try_to_lock);
              changing && changed_in_ != seen && was_put_aside(members_[0], caller_is_busy)) {
            changed_in_ = seen;
            change_places(me);
          }
          continue;
        }
        if (now - since < spin_s) continue;
        sleepers_.fetch_add(1, std::memory_order_seq_cst);
        if (generation_.load(std::memory_order_seq_cst) == seen) sleep_on(generation_, seen, 0);
        sleepers_.fetch_sub(1, std::memory_order_seq_cst);
        since = 0;
      }
      seen = generation_.load(std::memory_order_acquire);
      if (dismissed_.load(std::memory_order_acquire)) return;
      me.busy.store(1, std::memory_order_relaxed);
      take_pieces(thread);
      me.busy.store(0, std::memory_order_relaxed);
    }
  }

  void hire() {
    members_ = std::make_unique<Member[]>(static_cast<std::size_t>(threads_));
    // Signals are for the threads that the program started.
    sigset_t all{}, before{};
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const std::uint32_t seen = generation_.load();
    dismissed_ = false;
    for (int t = 0; t < threads_; ++t) {
      Member& m = members_[static_cast<std::size_t>(t)];
      m.cpu = pinned() ? cpus_[static_cast<std::size_t>(t)] : -1;
      if (t > 0) m.thread = std::thread([this, t, seen] {
        Member& me = members_[static_cast<std::size_t>(t)];
        clockid_t clock{};
        pthread_getcpuclockid(pthread_self(), &clock);
        me.clock = clock;
        me.id = gettid();
        if (pinned()) bind_thread(gettid(), me.cpu.load());
        work(t, seen);
      });
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  void dismiss() {
    if (!members_) return;
    go_home();
    dismissed_.store(true, std::memory_order_release);
    generation_.fetch_add(1, std::memory_order_seq_cst);
    wake_all(generation_);
    for (int t = 1; t < threads_; ++t) members_[static_cast<std::size_t>(t)].thread.join();
    members_.reset();
  }

  static thread_local bool inside_;

  std::mutex caller_;  // held by who uses the team
  std::mutex change_;  // held by who changes places
  int threads_;
  std::vector<int> cpus_;
  bool bound_by_user_ = false, passive_ = false;
  std::unique_ptr<Member[]> members_;
  Pieces pieces_;
  Pieces openmp_pieces_;  // their own: a member that comes late to the team's last work takes none of these
  detail::PieceFunction call_ = nullptr;
  void* f_ = nullptr;
  static constexpr double kNever = -1;
  std::atomic<double> openmp_s_{kNever};  // when OpenMP's threads worked last
  std::atomic<std::int64_t> rescued_{0};
  std::atomic<std::uint32_t> changed_in_{0};  // the generation in which the caller was last given another's CPU
  std::atomic<bool> dismissed_{false}, caller_sleeps_{false};
  alignas(64) std::atomic<std::uint32_t> generation_{0}, sleepers_{0};
  alignas(64) std::atomic<std::uint32_t> left_{0};
};

thread_local bool Team::inside_ = false;

}  // namespace

int team_threads() { return Team::only().threads(); }
void set_team_threads(int threads) { Team::only().resize(threads); }
void pin_team(std::vector<int> cpus) { Team::only().pin(std::move(cpus)); }
void openmp_works_now() { Team::only().openmp_works(); }
void openmp_rests_now() { Team::only().openmp_rests(); }
std::int64_t rescued_threads() { return Team::only().rescued(); }

namespace detail {
void each_piece(std::int64_t count, PieceFunction call, void* f) { Team::only().run(count, call, f); }
}  // namespace detail

}  // namespace layercost
