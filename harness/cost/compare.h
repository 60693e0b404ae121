// What:    result files of any machines held against each other: what each took for the same work, what that costs, and
//          which differences are more than chance.
// Work:    two points are the same work if their scenarios are (the device apart, which is what is compared), and their
//          models, weights and FLOPs: model_difference() names what is not. Digests of one build are compared; those
//          of two builds may differ for the same model, which the FLOPs of every op then have to show.
// Base:    of each scenario the base file, or the first in order that has it.
// Formula: time ratio  time of the file / of the base, unpaired (stats.h), over round medians: of the whole step those
//                      of composition.h, of one layer the part's own
//          cost ratio  time ratio x (price / utilisation) / (the base's); its interval is that of the time, scaled: a
//                      price is a scenario and has none
//          verdict     compare_times() on the interval with the band; without an interval INCONCLUSIVE
//          rank        1 + how many files are shown to be FASTER than this one; files of one rank are tied
// Shown without verdict and rank: what a label takes the footing from (is_unusable). Without cost ratio: no price on
//          one side, an undated one that is not from the command line, another way of paying (rented, owned, ...).
// Rules:   every point of every file is in `works` or, with the reason and the nearest match, in `refused`.
// Errors:  std::invalid_argument for fewer than two files, a base that is none of them, a band outside 0..1.
// Source:  TRUST 5.3, 5.4 (S3, S9), R10, C2, C8, C9.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "harness/cost/summary.h"
#include "harness/result/record.h"
#include "harness/result/stats.h"

namespace layercost {

// A label that says that the number is not of what it seems to be of.
bool is_unusable(Label label);

struct ComparedSide : CostRow {
  std::size_t file = 0;   // among those compared
  std::size_t point = 0;  // among the file's
  std::optional<Ratio> time_ratio, cost_ratio;  // absent of the base
  std::optional<Comparison> verdict, cost_verdict;
  std::string why_no_verdict, why_no_cost;  // "" of the base
  std::string note;                         // kDoesNotFit, or that digests of two builds differ
  std::optional<std::int64_t> rank;
  bool tied = false;
};

struct ComparedWork {
  ScenarioRecord of;           // without the device
  std::string kind;            // of layer; "": the whole model
  std::int64_t count = 0;      // of that kind in the model
  std::vector<ComparedSide> sides;  // the base first, then in the order of the files
};

struct NotCompared {
  ScenarioRecord of;
  std::vector<std::pair<std::size_t, std::size_t>> where;  // file, point
  std::string why;               // names the member that differs
  std::string nearest;           // the scenario that comes closest, and whose; "" if there is none
};

struct CompareReport {
  std::size_t base = 0;
  double band = kEquivalenceBand;
  std::vector<ComparedWork> works;
  std::vector<NotCompared> refused;
  std::int64_t verdicts = 0;  // of time, INCONCLUSIVE too: each of those is wrong once in 20 times by chance
};

CompareReport compare(std::span<const ResultFile> files, std::size_t base, double band = kEquivalenceBand);

// "A", ..., "Z", "AA", ...: what a report calls the files.
std::string file_letter(std::size_t file);

}  // namespace layercost
