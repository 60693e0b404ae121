// What:    what others say of what a token costs, each claim with its source and date and with the numbers it asserts
//          in a form that can be held against arithmetic, list prices or results (cost/claims.h). An assertion of the
//          outside world: nothing here was measured by this program.
// Kinds:   of a quantity, with their own keys, all numbers above zero:
//            ratio              numerator / denominator; each by its devices, where those are given
//            saving             1 - after / before
//            product            of factors
//            node_hours         sum over parts of tokens / tokens_per_s / 3600
//            usd_per_mtok       of usd_per_hour at tokens_per_s
//            list_price_saving  1 - after / before of two list prices, for shares of input, cached input and output
//            paid_ratio         measured: time of a dense model / of a mixture at a phase and, if given, batch, format
//                               and device (an id of configs/hardware)
//            device_ratio       measured: tokens per second of one device / of another, same model and step
// Claimed: value with within (half the width that is granted), at_least, at_most, or up_to (one case that reaches it is
//          enough, one below it says nothing).
// Errors:  BadInput naming file, key, value, expectation and nearest spelling; unknown keys, also of another kind.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "harness/spec/price_spec.h"

namespace layercost {

enum class ClaimKind {
  ratio, saving, product, node_hours, usd_per_mtok, list_price_saving, paid_ratio, device_ratio
};
struct Claimed {
  std::optional<double> value, within;  // both or neither
  std::optional<double> at_least, at_most, up_to;
};
struct ClaimQuantity {
  std::string what;  // in words
  ClaimKind kind = ClaimKind::ratio;
  Claimed claimed;
  std::string unit;
  std::vector<double> numbers;  // ratio, saving, product and usd_per_mtok, in the order of the keys above
  std::vector<std::pair<double, double>> parts;  // tokens, tokens per second
  std::string before, after;                     // ids of list prices
  double input = 0, cached_input = 0, output = 0;  // shares, of any sum
  std::string dense, moe, phase, weight_type, device;  // "" any
  std::optional<std::int64_t> batch;
  std::string faster, slower;  // ids of configs/hardware
  std::string source, note, command;  // "" the claim's source; none
};
struct Claim {
  std::string id, path;
  std::string statement, source, date;  // YYYY-MM-DD or YYYY-MM
  std::vector<ClaimQuantity> quantities;
};

Claim read_claim(const std::filesystem::path& file, Date on = today());
std::vector<Claim> list_claims(const std::filesystem::path& configs_dir, Date on = today());
// An id in configs/claims, or a file.
Claim find_claim(const std::string& argument, const std::filesystem::path& configs_dir, Date on = today());

bool is_measured(ClaimKind kind);
// "0.62 ±0.01", "at least 1", "up to 30", with the unit.
std::string claimed_text(const ClaimQuantity& quantity);

}  // namespace layercost
