// SPDX-License-Identifier: Apache-2.0
#include "kernels/dsa_index/dsa_index_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/core/team.h"

namespace layercost {
namespace {

constexpr std::int64_t kBins = 2048;

// Unsigned numbers in the order of the floats. None is -0: sums begin with +0.
std::uint32_t sortable(float v) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &v, sizeof bits);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

// Of n > k scores: the positions of the k largest, ascending, of equals the first. counts: kBins.
void choose(const float* scores, std::int64_t n, std::int64_t k, std::uint32_t* counts, std::int32_t* out) {
  std::uint32_t least = 0, known = 0;  // digits of the least score that is taken, and which of its bits they are
  std::int64_t left = k;               // to be taken among those that have these digits
  for (const auto& [shift, bits] : {std::pair(21, 11), std::pair(10, 11), std::pair(0, 10)}) {
    const std::uint32_t digits = (1u << bits) - 1;
    std::fill_n(counts, digits + 1, 0u);
    for (std::int64_t j = 0; j < n; ++j) {
      const std::uint32_t v = sortable(scores[j]);
      if ((v & known) == least) ++counts[v >> shift & digits];
    }
    std::uint32_t digit = digits;
    for (; counts[digit] < left; --digit) left -= counts[digit];
    least |= digit << shift;
    known |= digits << shift;
  }
  for (std::int64_t j = 0, taken = 0; taken < k; ++j) {
    const std::uint32_t v = sortable(scores[j]);
    if (v < least || (v == least && left-- <= 0)) continue;
    out[taken++] = static_cast<std::int32_t>(j);
  }
}

struct Rows {
  DsaIndexAxes a;
  IndexScores scores;
  Tensor selection;
  std::int64_t parts = 1, part_keys = 0;  // of a query's keys
  OwnedTensor memory, counts;             // scores of each query, or of each thread's

  float* scores_of(std::int64_t i) const { return memory.view().as<float>() + i * a.kv_len; }

  void choose_row(int thread, std::int64_t row, const float* of_row) const {
    const std::int64_t n = a.visible(row), k = std::min(n, a.top_k);
    std::int32_t* to = selection.as<std::int32_t>() + row * a.top_k;
    if (k == n)
      for (std::int64_t j = 0; j < n; ++j) to[j] = static_cast<std::int32_t>(j);
    else choose(of_row, n, k, reinterpret_cast<std::uint32_t*>(counts.view().as<std::int32_t>()) + thread * kBins, to);
    std::fill(to + k, to + a.top_k, -1);
  }

  void run() const {
    if (parts == 1) {
      each_piece(a.rows(), [&](int thread, std::int64_t row, std::int64_t) {
        const std::int64_t n = a.visible(row);
        if (n > a.top_k) scores(thread, row, 0, n, scores_of(thread));
        choose_row(thread, row, scores_of(thread));
      });
      return;
    }
    each_piece(a.rows() * parts, [&](int thread, std::int64_t i, std::int64_t) {
      const std::int64_t row = i / parts, first = i % parts * part_keys, n = a.visible(row);
      if (n > a.top_k && first < n) scores(thread, row, first, std::min(part_keys, n - first), scores_of(row) + first);
    });
    each_piece(a.rows(), [&](int thread, std::int64_t row, std::int64_t) { choose_row(thread, row, scores_of(row)); });
  }
};

}  // namespace

std::unique_ptr<Invocation> index_invocation(const DsaIndexAxes& a, const OpTensors& t, IndexScores scores,
                                             const std::string& how) {
  constexpr std::int64_t kLeastKeys = 256;  // of a part: each lays out its query anew
  const std::int64_t threads = team_threads();
  const auto r = std::make_shared<Rows>(Rows{a, std::move(scores), t.tensor("selection"), 1, 0, {}, {}});
  if (a.rows() < 4 * threads)  // four pieces per thread even out unequal threads
    r->parts = std::clamp<std::int64_t>((4 * threads + a.rows() - 1) / a.rows(), 1,
                                        std::max<std::int64_t>(1, a.kv_len / kLeastKeys));
  r->part_keys = (a.kv_len + r->parts - 1) / r->parts;
  r->memory = OwnedTensor(DType::f32, {r->parts > 1 ? a.rows() : threads, a.kv_len});
  r->counts = OwnedTensor(DType::i32, {threads, kBins});
  return invocation([r] { r->run(); }, r->parts == 1
                                           ? how + ", a query a piece"
                                           : fmt::format("{}, {} parts of {} keys", how, r->parts, r->part_keys));
}

}  // namespace layercost
