// What:    other programs' times for the same layers (PeerRecord), held against ours.
// Formula: time_s   median of the round medians, as ours; its interval likewise
//          ratio    peer / ours, paired: exp(mean over shared rounds of ln(peer_r / ours_r)), with its interval. Their
//                   round i and our round i are of the same turn. Above 1 the peer takes longer.
// Means:   a layer of the same model and scenario with the same number of layers behind one another is compared, not a
//          service: what a program does around its layers is not in it.
// Errors:  nothing is guessed: without a shared round there is no ratio, without samples no time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "harness/result/record.h"
#include "harness/result/stats.h"

namespace layercost {

inline constexpr const char* kOurName = "layercost";

// A program in one version. `name` tells apart those of the file: "pytorch", or "pytorch 2.15.0" if there is another.
struct Implementation {
  std::string name, version;
  std::vector<std::string> details;  // how it was set up, each once
};
std::vector<Implementation> peer_implementations(const ResultFile& file);  // in the order of first appearance
std::string implementation_of(const PeerRecord& peer, const ResultFile& file);

// Why a peer's number must not stand alone: its note, not cold, other threads than ours; "" if nothing.
std::string remark_of(const PeerRecord& peer, const ResultFile& file);

struct PeerTime {
  std::string implementation;
  std::optional<double> time_s;
  std::optional<Interval> time_interval;
  std::optional<Ratio> ratio;
  std::string remark;
};
// One kind of layer of one point that some peer measured too.
struct LayersRow : ScenarioRecord {
  std::string kind;
  std::int64_t count = 0;
  Outcome outcome = Outcome::skipped;        // ours, and what follows of it
  std::optional<double> time_s;
  std::optional<Interval> time_interval;
  std::optional<double> possible_fraction;
  std::vector<PeerTime> peers;               // those that there are, in the order of peer_implementations
};
std::vector<LayersRow> layers_beside_peers(const ResultFile& file);  // in the order of the points

// The point without its head: what can be held against a peer.
PointRecord layers_of(const PointRecord& point);
// The same with a peer's times in place of ours, for compose() and what builds on it. A kind of layer that the peer did
// not measure is skipped, so that nothing is composed.
PointRecord layers_by(const std::string& implementation, const PointRecord& point, const ResultFile& file);

}  // namespace layercost
