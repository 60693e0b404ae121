// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/peers.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "harness/cost/composition.h"
#include "harness/result/roofline.h"
#include "harness/spec/part_name.h"

namespace layercost {
namespace {

// As rounds of ours, so that there is one way to a median and an interval.
std::vector<Round> rounds_of(const PeerRecord& peer) {
  std::vector<Round> rounds;
  for (const PeerRound& peer_round : peer.rounds) {
    Round round;
    round.index = peer_round.index;
    for (const double time_s : peer_round.samples_s) {
      Sample sample;
      sample.time_s = time_s;
      round.samples.push_back(sample);
    }
    rounds.push_back(std::move(round));
  }
  return rounds;
}

// Names of the file's implementations, found with one walk over its peers.
class Names {
 public:
  explicit Names(const ResultFile& file) {
    for (const PeerRecord& peer : file.peers) versions_[peer.implementation].insert(peer.version);
  }
  std::string of(const PeerRecord& peer) const {
    return versions_.at(peer.implementation).size() > 1 ? peer.implementation + " " + peer.version
                                                        : peer.implementation;
  }

 private:
  std::map<std::string, std::set<std::string>> versions_;
};

PeerTime time_of(const PeerRecord& peer, const PartRecord& ours, const std::string& name, const ResultFile& file) {
  PeerTime result;
  result.implementation = name;
  result.remark = remark_of(peer, file);
  const std::vector<Round> rounds = rounds_of(peer);
  const auto times = summarise_times(rounds);
  if (!times) return result;
  result.time_s = times->median;
  result.time_interval = times->interval;
  if (!is_timed(ours)) return result;
  std::vector<double> peer_s, ours_s;
  const std::vector<RoundMedian> our_rounds = round_medians(ours.rounds);
  for (const RoundMedian& round : round_medians(rounds)) {
    const auto same = std::find_if(our_rounds.begin(), our_rounds.end(),
                                   [&](const RoundMedian& r) { return r.index == round.index; });
    if (same == our_rounds.end()) continue;
    peer_s.push_back(round.time_s);
    ours_s.push_back(same->time_s);
  }
  result.ratio = paired_ratio(peer_s, ours_s);
  return result;
}

}  // namespace

std::string implementation_of(const PeerRecord& peer, const ResultFile& file) {
  const bool several = std::any_of(file.peers.begin(), file.peers.end(), [&](const PeerRecord& other) {
    return other.implementation == peer.implementation && other.version != peer.version;
  });
  return several ? peer.implementation + " " + peer.version : peer.implementation;
}

std::vector<Implementation> peer_implementations(const ResultFile& file) {
  std::vector<Implementation> result;
  const Names names(file);
  for (const PeerRecord& peer : file.peers) {
    const std::string name = names.of(peer);
    auto at = std::find_if(result.begin(), result.end(), [&](const Implementation& i) { return i.name == name; });
    if (at == result.end()) at = result.insert(result.end(), {name, peer.version, {}});
    if (!peer.detail.empty() && std::find(at->details.begin(), at->details.end(), peer.detail) == at->details.end())
      at->details.push_back(peer.detail);
  }
  return result;
}

std::string remark_of(const PeerRecord& peer, const ResultFile& file) {
  std::string text;
  const auto add = [&](const std::string& remark) { text += (text.empty() ? "" : "; ") + remark; };
  if (!peer.rounds.empty() && !peer.cold) add("its weights may have come from a cache, ours did not");
  if (file.environment.threads > 0 && peer.threads != file.environment.threads)
    add(fmt::format("{} threads, ours {}", peer.threads, file.environment.threads));
  if (!peer.note.empty()) add(peer.note);
  return text;
}

std::vector<LayersRow> layers_beside_peers(const ResultFile& file) {
  std::vector<LayersRow> rows;
  const std::vector<Implementation> implementations = peer_implementations(file);
  const Names names(file);
  std::map<ScenarioRecord, std::vector<const PeerRecord*>> by_scenario;
  for (const PeerRecord& peer : file.peers) by_scenario[peer].push_back(&peer);
  for (const PointRecord& point : file.points) {
    const auto peers = by_scenario.find(point);
    if (peers == by_scenario.end()) continue;
    for (const PartRecord& part : point.parts) {
      LayersRow row;
      for (const Implementation& implementation : implementations) {
        for (const PeerRecord* peer : peers->second) {
          if (peer->kind == part.kind && names.of(*peer) == implementation.name)
            row.peers.push_back(time_of(*peer, part, implementation.name, file));
        }
      }
      if (row.peers.empty()) continue;
      static_cast<ScenarioRecord&>(row) = point;
      row.kind = part.kind;
      row.count = part.count;
      row.outcome = part.outcome;
      if (is_timed(part)) {
        const auto times = summarise_times(part.rounds);
        row.time_s = times->median;
        row.time_interval = times->interval;
        if (const auto bounds = bounds_of(part)) row.possible_fraction = bounds->possible_fraction;
      }
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

PointRecord layers_of(const PointRecord& point) {
  PointRecord layers = point;
  std::erase_if(layers.parts, [](const PartRecord& part) { return part.kind == kHeadPart; });
  return layers;
}

PointRecord layers_by(const std::string& implementation, const PointRecord& point, const ResultFile& file) {
  PointRecord layers = layers_of(point);
  for (PartRecord& part : layers.parts) {
    PartRecord theirs;
    theirs.kind = part.kind;
    theirs.count = part.count;
    theirs.why = "not measured by " + implementation;
    for (const PeerRecord& peer : file.peers) {
      if (peer.kind != part.kind || !same_scenario(peer, point) || implementation_of(peer, file) != implementation)
        continue;
      theirs.rounds = rounds_of(peer);
      if (theirs.rounds.empty()) {
        theirs.why = peer.note;
      } else {
        theirs.outcome = Outcome::measured;
        theirs.why.clear();
      }
    }
    part = std::move(theirs);
  }
  return layers;
}

}  // namespace layercost
