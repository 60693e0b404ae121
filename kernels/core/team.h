// What:    the threads that compute on a CPU: work is cut into pieces, which they take one by one.
// Why:     an OpenMP region ends when every thread has arrived, so a neighbour that takes one CPU for a scheduler's
//          quantum (3 ms) stops all of them, ten times a layer. Here work is done when its pieces are: a thread that
//          comes late finds nothing to do, and one that lost its CPU in the middle of a piece gets that of a thread
//          that waits for it. docs/performance.md has what that is worth.
// Pieces:  each thread has a contiguous range of its own and takes it from the front; who has done his takes from the
//          back of others'. So memory is read in long runs: against one counter for all, 2 threads read blocks of 98 KB
//          5 to 15 % faster.
// OpenMP:  libraries bring its threads, which compute and, for a while after, spin on the CPUs that the team would use.
//          They say so (openmp_works_now); from then on until openmp_rests_now, at most for 50 ms, and wherever the
//          user has bound OpenMP's threads (OMP_PROC_BIND), pieces are taken by OpenMP's threads.
// Threads: one caller at a time uses the team; another one, or a piece that calls again, does its pieces alone.
// Errors:  a piece must not throw.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace layercost {

// How many there are, the caller included: scratch memory is per thread. OpenMP's number until it is set.
int team_threads();
void set_team_threads(int threads);  // of OpenMP, too

// Thread i computes on cpus[i]; thread 0 is the caller, which has bound itself already. Empty: anywhere.
void pin_team(std::vector<int> cpus);

// Elementwise work on fewer elements than this stays on one thread. They take rms_norm 3 to 5 us on one core with
// AVX-512; handing work to a second thread and waiting for it takes 0.5 us at best and 4 us on average.
inline constexpr std::int64_t kParallelElements = 16384;

void openmp_works_now();
void openmp_rests_now();

// How often since the start a thread that had lost its CPU got another's.
std::int64_t rescued_threads();

namespace detail {
using PieceFunction = void (*)(void* f, int thread, std::int64_t piece, std::int64_t next);
void each_piece(std::int64_t count, PieceFunction call, void* f);
}  // namespace detail

// f(thread, piece, the piece that this thread is likely to take next, or -1) for 0 <= piece < count, each once;
// 0 <= thread < team_threads(), and no two at once have the same. At most 2^32 - 1 pieces.
template <class F>
void each_piece(std::int64_t count, F&& f) {
  using Function = std::remove_reference_t<F>;
  detail::each_piece(
      count,
      [](void* g, int thread, std::int64_t piece, std::int64_t next) {
        (*static_cast<Function*>(g))(thread, piece, next);
      },
      const_cast<void*>(static_cast<const void*>(&f)));
}

// f(row) for 0 <= row < count, in eight pieces per thread; on the caller alone if not `parallel`.
template <class F>
void each_row(std::int64_t count, bool parallel, F&& f) {
  const auto rows = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) f(row);
  };
  if (!parallel) return rows(0, count);
  const std::int64_t pieces = std::min<std::int64_t>(count, 8 * team_threads());
  each_piece(pieces, [&](int, std::int64_t i, std::int64_t) { rows(count * i / pieces, count * (i + 1) / pieces); });
}

// f(row, column), row by row, as each_row.
template <class F>
void each_row_and_column(std::int64_t rows, std::int64_t columns, bool parallel, F&& f) {
  each_row(rows * columns, parallel, [&](std::int64_t i) { f(i / columns, i % columns); });
}

}  // namespace layercost
