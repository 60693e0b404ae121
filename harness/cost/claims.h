// What:    claims (spec/claim_spec.h) held against arithmetic, list prices and the results at hand.
// Rules:   a published number is recomputed from published numbers: it adds up or it does not, and that is no
//          measurement. A measured quantity is judged by its 95 % interval and never beyond it: all of it where the
//          claim says: supports; none of it: contradicts; else it cannot be told, as without an interval. What carries
//          a label of poor measurement (PRELIMINARY and the like) at most points to or against it. IMPOSSIBLE has no
//          time and is no evidence. What was measured on another device, in another step or format than the claim names
//          cannot test it, and is named.
// Formula: of the kinds: spec/claim_spec.h. device_ratio: of two runs that share no rounds, from the ends of both
//          intervals.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/result/record.h"
#include "harness/result/stats.h"
#include "harness/spec/claim_spec.h"
#include "harness/spec/list_price.h"

namespace layercost {

enum class Finding {
  adds_up, does_not_add_up,  // of arithmetic
  supports, contradicts, points_to, points_against, cannot_tell,  // of a measurement
  cannot_test
};
std::string_view to_string(Finding);  // "points to"

struct Evidence {
  Finding finding = Finding::cannot_test;
  std::optional<double> value = {};  // as recomputed, or as measured
  std::optional<Interval> interval = {};
  std::string seen_on = {};  // device and step of a measurement; "" of arithmetic
  std::string why = {};      // where it cannot be tested or told, or only points
};
struct ClaimFinding {
  Claim claim;
  std::vector<std::vector<Evidence>> quantities;  // of each quantity at least one
};

// Recomputed without any result; nothing for what has to be measured. BadInput for a list price that is not there.
std::optional<double> recompute(const ClaimQuantity& quantity, std::span<const ListPrice> list_prices);
// Of a measurement: what its interval says of the claim; `labelled`: it may only point.
Finding judge(const Claimed& claimed, std::optional<Interval> interval, bool labelled);

std::vector<ClaimFinding> judge_claims(const std::vector<Claim>& claims, std::span<const ResultFile> files,
                                       std::span<const ListPrice> list_prices);

}  // namespace layercost
