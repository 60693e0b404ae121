// The team of threads: every piece once whatever the number of threads, ranges front to back, calls inside calls, two
// callers, and threads that lose their CPU. A piece that sleeps is such a thread: its CPU time stands still.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/core/team.h"

#include <gtest/gtest.h>
#include <omp.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <set>
#include <thread>
#include <vector>

#include "kernels/runtime/topology.h"

namespace layercost {
namespace {

// So many threads, on CPUs of their own where there are as many; afterwards what was before.
class TeamOf {
 public:
  explicit TeamOf(int threads, bool pinned = false) : before_(team_threads()) {
    CPU_ZERO(&mask_);
    sched_getaffinity(0, sizeof mask_, &mask_);
    set_team_threads(threads);
    if (!pinned) return;
    std::vector<int> cpus(allowed_cpus().begin(), allowed_cpus().begin() + threads);
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(cpus[0], &first);
    sched_setaffinity(0, sizeof first, &first);
    pin_team(std::move(cpus));
  }
  ~TeamOf() {
    pin_team({});
    set_team_threads(before_);
    sched_setaffinity(0, sizeof mask_, &mask_);
  }

 private:
  int before_;
  cpu_set_t mask_;
};

bool two_cpus() { return allowed_cpus().size() >= 2; }

std::set<int> cpus_of_this_thread() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  sched_getaffinity(0, sizeof mask, &mask);
  std::set<int> out;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &mask)) out.insert(cpu);
  return out;
}

void sleep_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

void expect_each_once(std::int64_t count) {
  std::vector<std::atomic<int>> done(static_cast<std::size_t>(count));
  std::atomic<bool> good = true;
  each_piece(count, [&](int thread, std::int64_t piece, std::int64_t next) {
    if (thread < 0 || thread >= team_threads() || next < -1 || next >= count || next == piece) good = false;
    ++done[static_cast<std::size_t>(piece)];
  });
  EXPECT_TRUE(good);
  for (std::int64_t i = 0; i < count; ++i) EXPECT_EQ(done[static_cast<std::size_t>(i)], 1) << i << " of " << count;
}

TEST(Team, EveryPieceIsDoneOnce) {
  for (const int threads : {1, 2, 3, 8}) {
    const TeamOf team(threads);
    EXPECT_EQ(team_threads(), threads);
    EXPECT_EQ(omp_get_max_threads(), threads);
    for (const std::int64_t count : {0, 1, 2, 3, 7, 64, 1000}) expect_each_once(count);
  }
}

TEST(Team, ManyShortCallsDoNotMixTheirPieces) {
  const TeamOf team(3);
  for (std::int64_t call = 0; call < 20'000; ++call) {
    std::atomic<std::int64_t> sum = 0;
    const std::int64_t count = 1 + call % 9;
    each_piece(count, [&](int, std::int64_t piece, std::int64_t) { sum += 1 + piece; });
    ASSERT_EQ(sum, count * (count + 1) / 2) << call;
  }
}

TEST(Team, NothingIsTakenTwiceWhereAllTakeFromOneRange) {
  const TeamOf team(2);
  constexpr std::int64_t kCount = 20'000;
  std::vector<std::atomic<std::uint8_t>> done(kCount);
  for (int round = 1; round <= 20; ++round) {
    // The second range is over at once, and its owner takes the first one's from the back.
    each_piece(kCount, [&](int, std::int64_t piece, std::int64_t) {
      ++done[static_cast<std::size_t>(piece)];
      for (volatile int i = 0; piece < kCount / 2 && i < 200;) i = i + 1;
    });
    for (const auto& d : done) ASSERT_EQ(d, round);
  }
}

TEST(Team, NoTwoAtOnceHaveTheSameNumber) {
  const TeamOf team(4);
  std::vector<std::atomic<int>> inside(4);
  std::atomic<bool> good = true;
  each_piece(400, [&](int thread, std::int64_t, std::int64_t) {
    if (++inside[static_cast<std::size_t>(thread)] != 1) good = false;
    std::this_thread::yield();
    --inside[static_cast<std::size_t>(thread)];
  });
  EXPECT_TRUE(good);
}

TEST(Team, OneThreadGoesFrontToBackAndKnowsWhatIsNext) {
  const TeamOf team(1);
  std::vector<std::pair<std::int64_t, std::int64_t>> seen;
  each_piece(4, [&](int, std::int64_t piece, std::int64_t next) { seen.emplace_back(piece, next); });
  EXPECT_EQ(seen, (std::vector<std::pair<std::int64_t, std::int64_t>>{{0, 1}, {1, 2}, {2, 3}, {3, -1}}));
}

TEST(Team, RowsInOrderWhereNotParallelAndAllOfThemWhereParallel) {
  const TeamOf team(2);
  std::vector<std::int64_t> order;
  each_row(5, false, [&](std::int64_t row) { order.push_back(row); });
  EXPECT_EQ(order, (std::vector<std::int64_t>{0, 1, 2, 3, 4}));
  for (const std::int64_t rows : {1, 15, 17, 1001}) {
    std::vector<std::atomic<int>> done(static_cast<std::size_t>(rows * 3));
    each_row_and_column(rows, 3, true, [&](std::int64_t row, std::int64_t column) {
      ++done[static_cast<std::size_t>(row * 3 + column)];
    });
    for (const auto& d : done) EXPECT_EQ(d, 1) << rows;
  }
}

TEST(Team, APieceThatCallsAgainDoesItsPiecesAlone) {
  const TeamOf team(3);
  std::atomic<std::int64_t> pieces = 0;
  std::atomic<bool> good = true;
  each_piece(6, [&](int, std::int64_t, std::int64_t) {
    const std::thread::id me = std::this_thread::get_id();
    each_piece(10, [&](int, std::int64_t, std::int64_t) {
      if (std::this_thread::get_id() != me) good = false;
      ++pieces;
    });
  });
  EXPECT_EQ(pieces, 60);
  EXPECT_TRUE(good);
}

TEST(Team, TwoCallersAtOnce) {
  const TeamOf team(2);
  const auto call = [] {
    for (int i = 0; i < 300; ++i) expect_each_once(20);
  };
  std::thread other(call);
  call();
  other.join();
}

TEST(Team, WhileOpenMpWorksItsThreadsTakeThePieces) {
  const TeamOf team(2);
  std::atomic<int> by_openmp = 0;
  const auto count = [&] {
    by_openmp = 0;
    each_piece(50, [&](int, std::int64_t, std::int64_t) { by_openmp += omp_in_parallel(); });
    return by_openmp.load();
  };
  sleep_ms(60);
  EXPECT_EQ(count(), 0);
  // A machine with other work may let more than 50 ms pass in between.
  for (int i = 0; i < 10 && count() != 50; ++i) openmp_works_now();
  EXPECT_EQ(by_openmp, 50);
  expect_each_once(100);
  sleep_ms(60);
  EXPECT_EQ(count(), 0);
}

TEST(Team, AWorkerThatWasPutAsideGetsTheCallersCpuAndGoesHome) {
  if (!two_cpus()) GTEST_SKIP() << "needs two CPUs";
  const TeamOf team(2, true);
  const int home = allowed_cpus()[1];
  const std::int64_t before = rescued_threads();
  std::set<int> during;
  std::atomic<bool> worker_has_one = false;
  each_piece(2, [&](int thread, std::int64_t, std::int64_t) {
    if (thread == 0) {
      while (!worker_has_one) std::this_thread::yield();
      return;
    }
    worker_has_one = true;
    sleep_ms(100);
    during = cpus_of_this_thread();
  });
  EXPECT_GT(rescued_threads(), before);
  EXPECT_EQ(during, std::set<int>{allowed_cpus()[0]});
  sleep_ms(5);
  std::set<int> after;
  worker_has_one = false;
  each_piece(2, [&](int thread, std::int64_t, std::int64_t) {
    if (thread == 0) {
      while (!worker_has_one) std::this_thread::yield();
      return;
    }
    after = cpus_of_this_thread();
    worker_has_one = true;
  });
  EXPECT_EQ(after, std::set<int>{home});
}

TEST(Team, ACallerThatWasPutAsideChangesPlacesWithAWorkerAndIsHomeForOpenMp) {
  if (!two_cpus()) GTEST_SKIP() << "needs two CPUs";
  const TeamOf team(2, true);
  const std::vector<int>& cpus = allowed_cpus();
  std::atomic<bool> worker_has_one = false;
  each_piece(2, [&](int thread, std::int64_t, std::int64_t) {
    if (thread == 1) {
      worker_has_one = true;
      return;
    }
    while (!worker_has_one) std::this_thread::yield();
    sleep_ms(100);
  });
  EXPECT_EQ(cpus_of_this_thread(), std::set<int>{cpus[1]});
  expect_each_once(100);
  openmp_works_now();
  EXPECT_EQ(cpus_of_this_thread(), std::set<int>{cpus[0]});
  expect_each_once(100);
}

}  // namespace
}  // namespace layercost
