// What:    what each design decision of a model saves, measured one after the other: from a dense transformer with keys
//          for every head, of as many parameters, to the model as it is, and then in a smaller weight format. Models on
//          the way are those of plan/what_if.h ("M@dense@mha", "M@dense", "M@unshared"), by their names.
// Steps:   start           M@dense@mha; of a dense model M@mha; of one with keys for every head M@dense
//          attention       the model's own instead of keys for every head
//          experts         the model's own instead of the MLP; the shared ones last
//          shared experts  beside them: they cost, for the sake of answers
//          format          the model in a smaller weight format; several are a step each from the plain one
// Formula: factor: cost/point_ratio.h, paid of the step before over this one; in all: of the start over this one, which
//          is the product of the factors where all rounds are shared
// Left out: multi-token prediction (what it saves depends on how many drafts are right), sparse and linear attention
//          (nothing is alike but for them). Never modelled.
// Errors:  nothing is guessed: what is not measured on both sides is absent.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "harness/cost/point_ratio.h"
#include "harness/result/record.h"

namespace layercost {

struct LeverStep {
  std::string lever;          // "start", "attention", "experts", "shared experts", or a weight format
  std::size_t point = 0;      // among the file's
  std::optional<PaidBy> factor = {}, in_all = {};  // none of the start
};

struct LadderRow : ScenarioRecord {  // the model's, in the plain format
  std::vector<LeverStep> steps;
};

// One for each point of a model beside which one of the starts was measured, or what comes next.
std::vector<LadderRow> ladder_rows(const ResultFile& file);

}  // namespace layercost
