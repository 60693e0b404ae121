// What:    what record.h rules out and types cannot: a file that breaks one of these rules is neither read nor written.
// Rules:   no time without a passed check, none of a wrong output; each point, part, round and peer once; what is named
//          is there. And what is stored twice agrees:
//            tokens             batch x new tokens of each sequence
//            layers of a model  the sum of the counts of a point's kinds, beside one head
//            time of a sample   section / (passes x layers of the stack)
//            a passed check     its figures are within their limits, these within kMostLimit, on at least one row
//            parameters         active <= active with embedding <= total, the latter two the same without experts
//            experts            top_k <= experts; a part's routing has those of its model and the name of its point
//            histogram          draws x tokens x top_k
//            distinct experts   of a layer pass: from top_k to experts, or to tokens x top_k
//            an op's case       of a layer: its batch, q_len, kv_len and tokens are the point's
//            an op's figures    flops and bytes are what its case implies (op_work.h), and so are its products in other
//                               arithmetics than the point's, where any are told
//            memory             weights of a plain format: parameters x bytes; cache: the sum over the layers
//            a price            of the command line or rented in USD: what its id or label says
//            a pair             a model without experts and one with
//            last-level cache   of a stack: the environment's
// Older:   files before 1.4 do not say a round's own layers; where several were merged, name_layers() finds them from
//          its samples. They may have been merged of several machines: the cache of a stack is not compared.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "harness/result/record.h"

namespace layercost {

// Of a passed check's limits. The widest that is derived for a layer of 32 columns or more lies far below; by half of
// what a layer adds, a missing expert would pass.
inline constexpr double kMostLimit = 0.5;

struct Problem {
  std::string place, message;
};

std::optional<Problem> first_problem(const ResultFile&);

// A file holds each peer once.
using PeerKey = std::tuple<ScenarioRecord, std::string, std::string, std::string>;
inline PeerKey key_of(const PeerRecord& p) { return {p, p.kind, p.implementation, p.version}; }

// Sets Round::layers where the samples say another whole number than the part's stack.
void name_layers(ResultFile&);

// Finds points by what every record of a scenario says, without a walk over all of them. Valid as long as the points
// stay where they are.
class PointIndex {
 public:
  explicit PointIndex(const std::vector<PointRecord>&);
  // Those that the record's scenario matches, in the order of the file.
  std::vector<const PointRecord*> matching(const ScenarioRecord& partial) const;

 private:
  using Key = std::tuple<std::string, std::string, std::int64_t, std::int64_t>;  // model, phase, batch, context
  std::map<Key, std::vector<const PointRecord*>> by_step_;
  std::vector<const PointRecord*> all_;
};

}  // namespace layercost
