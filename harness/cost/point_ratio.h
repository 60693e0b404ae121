// What:    two points held against each other: how much cheaper the other one could be than the base, and is.
// Formula: possible = bound(base) / bound(other), bound = sum over parts of count * possible_s at one and
//                     the same machine: the median read rate and the median rate of each arithmetic over all samples
//                     of both. The two are measured minutes apart and the machine's limits move; a ratio of physics
//                     must not contain that.
//          paid     = composed time(base) / composed time(other), paired: exp(mean over shared rounds of
//                     ln(b_r / o_r)), with its interval; from one shared round without one; from none the ratio of the
//                     composed times
// Means:   4.0 = the other costs a quarter; 1 = no difference.
// Errors:  nothing is guessed: what is not measured on both sides is absent.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "harness/result/record.h"
#include "harness/result/stats.h"

namespace layercost {

enum class Payoff { cheaper, dearer, same, cannot_tell };  // the other one

struct PaidBy {
  std::string implementation;  // "layercost", or as in cost/peers.h
  std::optional<Ratio> paid;
  std::optional<Payoff> verdict;  // absent without paid; cannot_tell without an interval
  std::string why;                // when paid is absent
  bool remarked = false;          // a peer's number that must not stand alone: PeerTime::remark says why
};

std::optional<double> possible_ratio(const PointRecord& base, const PointRecord& other);
// `why`: a reason to withhold, or "".
PaidBy paid_by(std::string implementation, const PointRecord& base, const PointRecord& other,
               const std::vector<DepthRecord>& depths, std::string why);
// The same of the layers alone: ours, then each program's in the file. `why`: a reason to withhold ours, or "".
std::vector<PaidBy> paid_by_layers(const PointRecord& base, const PointRecord& other, const ResultFile& file,
                                   std::string why);

}  // namespace layercost
