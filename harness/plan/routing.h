// What:    which token goes to which expert, as data.
//            router     the layer's own choice; nothing is forced
//            balanced   round robin: every expert gets the same number of tokens, to within one. Best case for prefill,
//                       worst case for decode (most experts touched)
//            uniform    every set of top_k experts is equally likely, tokens independent
//            zipf:S     Plackett-Luce over weights rank^-S: experts drawn one after the other without replacement with
//                       probability proportional to their weight; which expert has which rank is a seeded permutation
// Formula: integer weights floor(2^32 rank^-S); a draw is uniform_below(hash, remaining weight). Integer arithmetic
//          only, so that ids are the same bytes on every machine.
//          E[distinct] under uniform = E (1 - (1 - k/E)^T) for T tokens (TRUST 8.3).
// Rules:   ids depend on (seed, draw, token) alone; ids of one token are distinct.
// Errors:  parse throws BadInput.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace layercost {

struct RoutingSpec {
  enum class Kind { router, balanced, uniform, zipf };
  Kind kind = Kind::uniform;
  double s = 1.0;  // zipf
  static RoutingSpec parse(std::string_view text);
  std::string name() const;  // parse(name()) gives the same back
};

class RoutingGenerator {
 public:
  RoutingGenerator(RoutingSpec spec, std::uint64_t seed, std::int64_t experts, std::int64_t top_k);
  // ids [tokens, top_k] of draw number `draw`. Not for Kind::router.
  void draw(std::uint64_t draw, std::int64_t tokens, std::int32_t* ids) const;

 private:
  RoutingSpec spec_;
  std::uint64_t seed_;
  std::int64_t experts_, top_k_;
  std::vector<std::int32_t> permutation_;
  std::vector<std::uint64_t> weights_;  // by rank
};

// Expected number of distinct experts that `tokens` independent tokens touch under the routing (router: as uniform,
// since random weights prefer nobody; zipf: by the tau equation of TRUST 8.3, within about 2 %).
double expected_distinct_experts(const RoutingSpec&, std::int64_t experts, std::int64_t top_k, std::int64_t tokens);

// Adds up what was drawn.
class RoutingTally {
 public:
  RoutingTally(std::int64_t experts, std::int64_t top_k)
      : histogram_(static_cast<std::size_t>(experts)), top_k_(top_k) {}
  // Returns the number of distinct experts of this draw.
  std::int64_t add(const std::int32_t* ids, std::int64_t tokens);
  std::int64_t draws() const { return draws_; }
  const std::vector<std::int64_t>& histogram() const { return histogram_; }
  double mean_distinct() const { return draws_ == 0 ? 0 : distinct_ / static_cast<double>(draws_); }
  double mean_imbalance() const { return draws_ == 0 ? 0 : imbalance_ / static_cast<double>(draws_); }
  std::string hash() const;  // 16 hexadecimal digits over all ids in order

 private:
  std::vector<std::int64_t> histogram_;
  std::int64_t top_k_;
  std::int64_t draws_ = 0;
  double distinct_ = 0, imbalance_ = 0;
  std::uint64_t hash_ = 0xcbf29ce484222325u;
};

}  // namespace layercost
