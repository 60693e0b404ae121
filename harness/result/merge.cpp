// SPDX-License-Identifier: Apache-2.0
#include "harness/result/merge.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <set>
#include <stdexcept>
#include <tuple>

#include "harness/result/identity.h"
#include "harness/result/labels.h"
#include "harness/result/privacy.h"
#include "harness/result/result_io.h"
#include "harness/result/rules.h"
#include "harness/result/sample_labels.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

// Of one comparison: where, and in which files.
struct Place {
  std::string file, other, path;
  Place inside(const std::string& member) const { return {file, other, path.empty() ? member : path + "." + member}; }
};

void same(const Place& place, const std::string& other, const std::string& here) {
  if (other == here) return;
  throw BadInput(place.file, place.path,
                 fmt::format("is '{}', but '{}' in {}; only runs of one machine, program and plan can be merged",
                             printable(here, 300), printable(other, 300), place.other));
}
void same(const Place& place, double other, double here) {
  same(place, fmt::format("{}", other), fmt::format("{}", here));
}
void same(const Place& place, std::int64_t other, std::int64_t here) {
  same(place, fmt::format("{}", other), fmt::format("{}", here));
}

std::string listed(const std::vector<std::string>& words) { return fmt::format("{}", fmt::join(words, ", ")); }

std::string listed(const std::map<std::string, double>& flops) { return fmt::format("{}", flops); }

// Counts of files are at most 2^53, and so is what is written.
std::int64_t sum(const Place& place, std::int64_t a, std::int64_t b) {
  if (a > (std::int64_t{1} << 53) - b) throw BadInput(place.file, place.path, "the sum over the files is beyond 2^53");
  return a + b;
}

void same(const Place& place, const std::optional<Difference>& d) {
  if (d) same(place.inside(d->member), d->first, d->second);
}

// The limits differ from check to check: the pair that came nearest, or has no number.
void keep_nearest(double& value, double& limit, double other, double other_limit) {
  if (std::isnan(other) || (!std::isnan(value) && other * limit > value * other_limit)) {
    value = other;
    limit = other_limit;
  }
}

void join(Verdict& into, const Verdict& from, const Place& place) {
  if (into.ok && !from.ok) into.why = from.why;
  into.ok = into.ok && from.ok;
  keep_nearest(into.rel_l2, into.rel_l2_limit, from.rel_l2, from.rel_l2_limit);
  keep_nearest(into.worst_row, into.worst_row_limit, from.worst_row, from.worst_row_limit);
  keep_nearest(into.gain, into.gain_limit, from.gain, from.gain_limit);
  into.rows_checked = std::min(into.rows_checked, from.rows_checked);
  if (into.experts_checked && from.experts_checked)
    into.experts_checked = std::min(*into.experts_checked, *from.experts_checked);
  into.checks = sum(place.inside("checks"), into.checks, from.checks);
}

std::uint64_t hash_of(const std::string& text, const Place& place) {
  std::uint64_t value = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (end.ec != std::errc() || end.ptr != text.data() + text.size() || text.empty()) {
    throw BadInput(place.file, place.path,
                   fmt::format("expected at most 16 hexadecimal digits, got '{}'", printable(text)));
  }
  return value;
}

void join(RoutingRecord& into, const RoutingRecord& from, const Place& place) {
  same(place.inside("name"), into.name, from.name);
  same(place.inside("seed"), fmt::format("{}", into.seed), fmt::format("{}", from.seed));
  same(place.inside("experts"), into.experts, from.experts);
  same(place.inside("top_k"), into.top_k, from.top_k);
  const auto a = static_cast<double>(into.draws), b = static_cast<double>(from.draws);
  if (a + b > 0) {
    into.distinct_experts = (into.distinct_experts * a + from.distinct_experts * b) / (a + b);
    into.imbalance = (into.imbalance * a + from.imbalance * b) / (a + b);
  }
  into.draws = sum(place.inside("draws"), into.draws, from.draws);
  for (std::size_t e = 0; e < into.histogram.size(); ++e)
    into.histogram[e] = sum(place.inside("histogram"), into.histogram[e], from.histogram[e]);
  const Place hash = place.inside("hash");
  into.hash =
      fmt::format("{:016x}", hash_of(into.hash, {place.other, place.other, hash.path}) + hash_of(from.hash, hash));
}

void join(std::vector<OpRecord>& into, const std::vector<OpRecord>& from, const Place& place) {
  if (into.empty() || from.empty()) {  // a part without a time has no ops
    if (into.empty()) into = from;
    return;
  }
  same(place, std::int64_t(into.size()), std::int64_t(from.size()));
  for (std::size_t i = 0; i < into.size(); ++i) {
    const Place op{place.file, place.other, fmt::format("{}[{}]", place.path, i)};
    same(op.inside("component"), into[i].component, from[i].component);
    same(op.inside("case_text"), into[i].case_text, from[i].case_text);
    same(op.inside("flops"), into[i].flops, from[i].flops);
    same(op.inside("product_flops"), listed(into[i].product_flops), listed(from[i].product_flops));
    same(op.inside("bytes"), into[i].bytes, from[i].bytes);
    same(op.inside("bytes_per_distinct_expert"), into[i].bytes_per_distinct_expert, from[i].bytes_per_distinct_expert);
    if (from[i].time_s) into[i].time_s = std::min(into[i].time_s.value_or(*from[i].time_s), *from[i].time_s);
  }
}

bool same_samples(const Round& a, const Round& b) {
  const auto equal = [](const Sample& x, const Sample& y) {
    return x.time_s == y.time_s && x.section_s == y.section_s &&
           x.roofs_before.read_bytes_per_s == y.roofs_before.read_bytes_per_s &&
           x.roofs_after.read_bytes_per_s == y.roofs_after.read_bytes_per_s &&
           x.roofs_before.flops_per_s == y.roofs_before.flops_per_s;
  };
  return !a.samples.empty() &&
         std::equal(a.samples.begin(), a.samples.end(), b.samples.begin(), b.samples.end(), equal);
}
bool same_samples(const PeerRound& a, const PeerRound& b) { return a.samples_s == b.samples_s; }

template <typename Rounds>
void append(Rounds& into, const Rounds& from, const Place& place) {
  const std::size_t before = into.size();
  for (std::size_t r = 0; r < from.size(); ++r) {
    for (std::size_t old = 0; old < before; ++old) {
      if (!same_samples(into[old], from[r])) continue;
      throw BadInput(place.file, fmt::format("{}.rounds[{}]", place.path, r),
                     "the same round, to the last bit, is in a file before it; it would count twice");
    }
    into.push_back(from[r]);
  }
}

// Smaller: what a reader must hear first.
int gravity(Outcome outcome) {
  switch (outcome) {
    case Outcome::wrong:
      return 0;
    case Outcome::failed:
      return 1;
    case Outcome::measured:
      return 2;
    case Outcome::out_of_memory:
      return 3;
    case Outcome::unsupported:
      return 4;
    case Outcome::skipped:
      return 5;
  }
  throw std::logic_error("no such outcome");
}

std::string choice_of(const OpRecord& op) { return op.chosen.empty() ? op.variant : op.variant + " " + op.chosen; }

class Merger {
 public:
  explicit Merger(const std::vector<NamedResult>& files) : files_(files) {}

  ResultFile merge() {
    if (files_.empty()) throw std::invalid_argument("nothing to merge");
    result_ = files_[0].file;
    result_.schema_version = std::string(kSchemaVersion);
    result_.command.clear();
    result_.models.clear();
    result_.pairs.clear();
    result_.points.clear();
    result_.depths.clear();
    result_.peers.clear();
    result_.warnings.clear();
    for (const NamedResult& file : files_) add(file);
    finish();
    if (const std::string broken = broken_rule(result_); !broken.empty())
      throw BadInput("the merged file would break a rule: " + broken);
    return std::move(result_);
  }

 private:
  void add(const NamedResult& named) {
    const ResultFile& file = named.file;
    const Place top{named.name, files_[0].name, ""};
    same(top, build_difference(files_[0].file, file));
    for (const auto& [earlier, name] : machines_)
      same({named.name, name, ""}, machine_difference(earlier, file.environment));
    machines_.emplace_back(file.environment, named.name);
    shown_ = without_folders(named.name);
    if (const int n = ++names_[shown_]; n > 1) shown_ += fmt::format(" ({})", n);
    result_.started_at = std::min(result_.started_at, file.started_at);
    result_.finished_at = std::max(result_.finished_at, file.finished_at);
    result_.complete &= file.complete;
    if (result_.suite != file.suite) result_.suite.clear();
    result_.policy.reset();
    warn_of_policy(named);
    if (!result_.nominal) result_.nominal = file.nominal;
    add_price(named);
    for (std::size_t i = 0; i < file.models.size(); ++i) add_model(named, i);
    for (const PairRecord& pair : file.pairs) add_once(pair);
    result_.depths.insert(result_.depths.end(), file.depths.begin(), file.depths.end());
    for (const Warning& warning : file.warnings) warn(warning);

    std::set<std::int64_t> indices;
    for (const PointRecord& point : file.points)
      for (const PartRecord& part : point.parts)
        for (const Round& round : part.rounds) indices.insert(round.index);
    for (const PeerRecord& peer : file.peers)
      for (const PeerRound& round : peer.rounds) indices.insert(round.index);
    const auto place_of = [&](std::int64_t index) { return std::distance(indices.begin(), indices.find(index)); };
    const std::set<ScenarioRecord> here(file.points.begin(), file.points.end());
    for (std::size_t i = 0; i < file.peers.size(); ++i) {
      PeerRecord peer = file.peers[i];
      const std::int64_t before = here.contains(peer) ? rounds_before_[peer] : 0;
      for (PeerRound& round : peer.rounds) round.index = before + place_of(round.index);
      add_peer(named, i, std::move(peer));
    }
    for (std::size_t i = 0; i < file.points.size(); ++i) {
      PointRecord point = file.points[i];
      std::int64_t& before = rounds_before_[point];
      for (PartRecord& part : point.parts)
        for (Round& round : part.rounds) round.index = before + place_of(round.index);
      // A file whose run broke before its first round was a turn too.
      before += std::max<std::int64_t>(1, static_cast<std::int64_t>(indices.size()));
      add_point(named, i, std::move(point));
    }
  }

  // Rounds of two policies are samples all the same; that they were asked for differently has to be said.
  void warn_of_policy(const NamedResult& named) {
    if (!named.file.policy) return;
    if (!first_policy_) {
      first_policy_ = named.file.policy;
      policy_from_ = shown_;
      return;
    }
    std::string text;
    for (const Difference& d : policy_differences(*first_policy_, *named.file.policy))
      text +=
          fmt::format("{}{} {} in {} and {} in {}", text.empty() ? "" : "; ", d.member,
                      d.first.empty() ? "none" : d.first, policy_from_, d.second.empty() ? "none" : d.second, shown_);
    if (!text.empty()) warn({"merged_policy", "measured with different settings: " + text});
  }

  void add_price(const NamedResult& named) {
    if (!named.file.price) return;
    if (!result_.price) {
      result_.price = named.file.price;
    }
    if (price_from_.empty()) price_from_ = named.name;
    same({named.name, price_from_, ""}, price_difference(*result_.price, *named.file.price));
  }

  void add_model(const NamedResult& named, std::size_t i) {
    const ModelRecord& model = named.file.models[i];
    const auto old = std::find_if(result_.models.begin(), result_.models.end(),
                                  [&](const ModelRecord& m) { return m.name == model.name; });
    if (old == result_.models.end()) {
      result_.models.push_back(model);
      first_with_[model.name] = named.name;
    } else {
      same({named.name, first_with_[model.name], fmt::format("models[{}]", i)}, model_difference(*old, model));
      if (old->digest.empty()) old->digest = model.digest;
    }
  }

  void add_once(const PairRecord& pair) {
    if (std::none_of(result_.pairs.begin(), result_.pairs.end(),
                     [&](const PairRecord& p) { return p.dense == pair.dense && p.moe == pair.moe; }))
      result_.pairs.push_back(pair);
  }

  void warn(const Warning& warning) {
    if (std::none_of(result_.warnings.begin(), result_.warnings.end(),
                     [&](const Warning& w) { return w.code == warning.code && w.text == warning.text; }))
      result_.warnings.push_back(warning);
  }

  void add_point(const NamedResult& named, std::size_t i, PointRecord point) {
    const ScenarioRecord key = point;
    for (const PartRecord& part : point.parts) {
      for (std::size_t o = 0; o < part.ops.size(); ++o)
        choices_[{key, part.kind, o}][choice_of(part.ops[o])].insert(shown_);
      outcomes_[{key, part.kind}][part.outcome].insert(shown_);
    }
    const auto [at, is_new] = points_.try_emplace(key, result_.points.size());
    if (is_new) {
      result_.points.push_back(std::move(point));
      first_with_[to_text(key)] = named.name;
      return;
    }
    PointRecord* const old = &result_.points[at->second];
    const Place place{named.name, first_with_[to_text(key)], fmt::format("points[{}]", i)};
    same(place.inside("memory.weight_bytes"), old->memory.weight_bytes, point.memory.weight_bytes);
    same(place.inside("memory.kv_bytes"), old->memory.kv_bytes, point.memory.kv_bytes);
    for (std::size_t p = 0; p < point.parts.size(); ++p) {
      PartRecord& part = point.parts[p];
      const auto into = std::find_if(old->parts.begin(), old->parts.end(),
                                     [&](const PartRecord& other) { return other.kind == part.kind; });
      if (into == old->parts.end()) {
        old->parts.push_back(std::move(part));
      } else {
        join_parts(*into, part, place.inside(fmt::format("parts[{}]", p)));
      }
    }
  }

  // Whatever stack the part will show in the end.
  static void keep_layers(PartRecord& part) {
    for (Round& round : part.rounds)
      if (part.stack && !round.layers) round.layers = part.stack->layers;
  }

  static void join_parts(PartRecord& into, PartRecord& from, const Place& place) {
    same(place.inside("count"), into.count, from.count);
    join(into.ops, from.ops, place.inside("ops"));
    keep_layers(into);
    keep_layers(from);
    if (gravity(from.outcome) < gravity(into.outcome)) {
      into.outcome = from.outcome;
      into.why = from.why;
      into.need_bytes = from.need_bytes;
      into.have_bytes = from.have_bytes;
    }
    if (into.verdict && from.verdict) join(*into.verdict, *from.verdict, place.inside("verdict"));
    if (!into.verdict) into.verdict = from.verdict;
    if (!into.stack || (from.stack && from.stack->reuse_distance_bytes < into.stack->reuse_distance_bytes))
      into.stack = from.stack;
    if (into.routing && from.routing) join(*into.routing, *from.routing, place.inside("routing"));
    if (!into.routing) into.routing = from.routing;
    append(into.rounds, from.rounds, place);
    for (Round& round : into.rounds)
      if (into.stack && round.layers == into.stack->layers) round.layers.reset();
    for (const Label label : from.labels) {
      if (std::find(into.labels.begin(), into.labels.end(), label) == into.labels.end()) into.labels.push_back(label);
    }
  }

  void add_peer(const NamedResult& named, std::size_t i, PeerRecord peer) {
    const auto [at, is_new] = peers_.try_emplace(key_of(peer), result_.peers.size());
    const std::string key =
        fmt::format("peer of {} {} {}: {}", peer.implementation, peer.version, peer.kind, to_text(peer));
    if (is_new) {
      result_.peers.push_back(std::move(peer));
      first_with_[key] = named.name;
      return;
    }
    PeerRecord* const old = &result_.peers[at->second];
    const Place place{named.name, first_with_[key], fmt::format("peers[{}]", i)};
    same(place.inside("threads"), old->threads, peer.threads);
    append(old->rounds, peer.rounds, place);
    const auto beside = [](std::string& text, const std::string& other) {
      if (other.empty() || ("; " + text + "; ").find("; " + other + "; ") != std::string::npos) return;
      text += (text.empty() ? "" : "; ") + other;
    };
    beside(old->detail, peer.detail);
    beside(old->note, peer.note);
    old->layers = std::min(old->layers, peer.layers);
    old->cold = old->cold && peer.cold;
  }

  void finish() {
    for (PointRecord& point : result_.points) {
      const ScenarioRecord& key = point;
      for (PartRecord& part : point.parts) {
        const std::string where = fmt::format("{}, {}", to_text(point), part.kind);
        if (part.outcome == Outcome::wrong) {  // no time is kept for it
          part.rounds.clear();
          for (OpRecord& op : part.ops) op.time_s.reset();
        }
        const auto& outcomes = outcomes_[{key, part.kind}];
        if (part.outcome == Outcome::measured) {
          for (const Outcome other : {Outcome::out_of_memory, Outcome::unsupported}) {
            if (!outcomes.contains(other)) continue;
            warn({"merged_outcome",
                  fmt::format("{}: {} in {}, measured in {}", where, text_of(other).shown,
                              fmt::join(outcomes.at(other), ", "), fmt::join(outcomes.at(Outcome::measured), ", "))});
          }
        }
        for (std::size_t o = 0; o < part.ops.size(); ++o) {
          const auto& choices = choices_[{key, part.kind, o}];
          if (choices.size() < 2) continue;
          std::string text;
          for (const auto& [choice, files] : choices)
            text += fmt::format("{}{} in {}", text.empty() ? "" : "; ", choice, fmt::join(files, ", "));
          warn({"merged_choice",
                fmt::format("{}, {}: computed in different ways: {}", where, part.ops[o].component, text)});
        }
      }
    }
    label_from_samples(result_);
  }

  const std::vector<NamedResult>& files_;
  ResultFile result_;
  std::vector<std::pair<EnvironmentRecord, std::string>> machines_;  // of the files so far, with their names
  std::string shown_;                                                // the present file, as the result may name it
  std::map<std::string, int> names_;
  std::string price_from_, policy_from_;
  std::optional<PolicyRecord> first_policy_;
  std::map<std::string, std::string> first_with_;  // text of a model, point or peer -> the first file that has it
  std::map<ScenarioRecord, std::size_t> points_;   // places in result_.points
  std::map<PeerKey, std::size_t> peers_;           // and in result_.peers
  std::map<ScenarioRecord, std::int64_t> rounds_before_;  // by point: rounds of the files so far that hold it
  std::map<std::tuple<ScenarioRecord, std::string, std::size_t>, std::map<std::string, std::set<std::string>>> choices_;
  std::map<std::pair<ScenarioRecord, std::string>, std::map<Outcome, std::set<std::string>>> outcomes_;
};

}  // namespace

ResultFile merge_results(const std::vector<NamedResult>& files) { return Merger(files).merge(); }

void add_pair(ResultFile& file, const std::string& pair) {
  const std::size_t colon = pair.find(':');
  if (colon == std::string::npos)
    throw BadInput(fmt::format("--pair: expected DENSE:MOE, two models of these files, got '{}'", printable(pair)));
  const PairRecord names{pair.substr(0, colon), pair.substr(colon + 1)};
  const auto find = [&](const std::string& name) -> const ModelRecord& {
    std::vector<std::string> known;
    for (const ModelRecord& model : file.models) {
      if (model.name == name) return model;
      known.push_back(model.name);
    }
    throw BadInput(fmt::format("--pair: '{}' is not a model of these files{}; they have {}", printable(name),
                               did_you_mean(name, known), printable(listed(known), 400)));
  };
  const ModelRecord &dense = find(names.dense), &moe = find(names.moe);
  if (dense.experts || !moe.experts) {
    const auto has = [](const ModelRecord& m) { return m.experts ? "has experts" : "has none"; };
    throw BadInput(fmt::format("--pair: expected DENSE:MOE, but {} {} and {} {}", printable(dense.name), has(dense),
                               printable(moe.name), has(moe)));
  }
  if (std::none_of(file.pairs.begin(), file.pairs.end(),
                   [&](const PairRecord& p) { return p.dense == names.dense && p.moe == names.moe; }))
    file.pairs.push_back(names);
}

}  // namespace layercost
