// What:    whether a smaller weight format pays: for every measured point, the same scenario in a plain format (bf16 or
//          f32, the activations' own) held against it.
// Formula: promised = bytes of a matrix in the plain format / in the format, scales included; of matrices, not of the
//                     model, as it is said of a format ("4.25 bits instead of 16")
//          possible, paid: cost/point_ratio.h, of the plain format over the other; the model's other bytes (cache,
//                     norms, router, LM head) stay and so does its work, though codes are multiplied at a rate of
//                     their own: possible is below promised
//          of the layers alone, where the file has peers: as in cost/tradeoff.h
// Errors:  nothing is guessed: what is not measured on both sides is absent.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "harness/cost/point_ratio.h"
#include "harness/result/record.h"

namespace layercost {

struct FormatRow : ScenarioRecord {  // weight_type is the smaller format
  std::string base;                  // the plain one
  double promised = 0;
  std::optional<double> possible;
  std::optional<Ratio> paid;
  std::optional<Payoff> verdict;
  std::string why;  // when paid is absent
  std::optional<double> possible_layers = {};
  std::vector<PaidBy> layers = {};  // ours first; empty without peers
};

// In the file's order of the points in the smaller formats.
std::vector<FormatRow> format_rows(const ResultFile& file);

}  // namespace layercost
