// What:    what the `gathered` variants share: how the queries of a case with selected keys are split into cases
//          without. The first queries of a prompt see every key that they may see and attend to the cache itself,
//          `whole` of each sequence; of the others, `cut` of each sequence, the keys are copied to where they lie side
//          by side, and each query attends as a sequence of its own, `at_once` of them at a time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/attention/attention.h"

namespace layercost {

struct GatherPlan {
  AttentionAxes a;
  std::int64_t whole = 0, cut = 0;
  std::int64_t at_once = 0, rest = 0;                         // rest: queries of the last time, if less
  std::int64_t entry_bytes = 0, q_bytes = 0, y_bytes = 0;     // of a key, of a query, of its result
  OpCase whole_case, cut_case, rest_case;                     // of one sequence; of at_once and rest queries

  std::int64_t cut_rows() const { return a.batch * cut; }
  // Of the queries whose keys are gathered number r, among all.
  std::int64_t row_of(std::int64_t r) const { return r / cut * a.q_len + whole + r % cut; }
};
// most_bytes, most_rows: of the keys that are gathered at a time, and the queries.
GatherPlan gather_plan(const OpCase&, std::int64_t most_bytes, std::int64_t most_rows);
Support gather_supports(const GatherPlan&, const DeviceInfo&);

// Where the gathered keys, their queries and the results lie, and what attends there.
struct GatherParts {
  OwnedTensor q, keys, y;
  std::vector<std::unique_ptr<Invocation>> whole;  // of a sequence each
  std::unique_ptr<Invocation> cut, rest;           // null: no such queries
  std::string chosen;
};
GatherParts gather_parts(const GatherPlan&, const OpTensors&, Runtime&);

}  // namespace layercost
