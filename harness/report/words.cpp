// SPDX-License-Identifier: Apache-2.0
#include "harness/report/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "harness/report/text.h"
#include "harness/result/labels.h"

namespace layercost {
namespace {

std::string joined(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (const std::string& part : parts) {
    if (part.empty()) continue;
    if (!text.empty()) text += separator;
    text += part;
  }
  return text;
}

const ModelRecord* find_model(const ResultFile& file, const std::string& name) {
  const auto found =
      std::find_if(file.models.begin(), file.models.end(), [&](const ModelRecord& m) { return m.name == name; });
  return found == file.models.end() ? nullptr : &*found;
}

std::string facts_of(const ResultFile& file, const ModelRow& row) {
  std::vector<std::string> parts;
  if (const ModelRecord* model = find_model(file, row.model)) {
    const auto total = static_cast<double>(model->parameters_total),
               active = static_cast<double>(model->parameters_active);
    if (model->experts) {
      parts.push_back(fmt::format("{} parameters, {} active", count_text(total), count_text(active)));
      if (model->top_k) parts.push_back(fmt::format("{} of {} experts", *model->top_k, *model->experts));
    } else {
      parts.push_back(fmt::format("{} parameters", count_text(total)));
    }
  }
  if (!row.routing.empty()) parts.push_back(plain(row.routing, 40) + " routing");
  return joined(parts, " · ");
}

bool same_block(const ModelRow& a, const ModelRow& b) {
  return a.phase == b.phase && a.context == b.context && a.weight_type == b.weight_type &&
         a.activation_type == b.activation_type && a.kv_type == b.kv_type && a.device == b.device;
}

Block start_block(const ModelRow& row) {
  Block block;
  block.phase = row.phase;
  std::vector<std::string> about;
  if (row.phase == "decode") {
    block.title = "DECODE";
    about = {"one new token for each sequence", fmt::format("{} tokens cached", row.context)};
  } else {
    block.title = "PREFILL";
    about = {"the prompt, up to the first token", fmt::format("{} prompt tokens", row.context)};
  }
  const std::string weights = plain(row.weight_type, 20), inputs = plain(row.activation_type, 20),
                    kv = plain(row.kv_type, 20);
  about.push_back(weights == inputs && weights == kv
                      ? weights
                      : fmt::format("{} weights, {} activations, {} KV", weights, inputs, kv));
  block.about = joined(about, " · ");
  return block;
}

std::string shown(Label label) { return std::string(text_of(label).shown); }

bool uses_label(const Summary& summary, Label label) {
  return std::any_of(summary.models.begin(), summary.models.end(), [&](const ModelRow& row) {
    return std::find(row.labels.begin(), row.labels.end(), label) != row.labels.end();
  });
}

std::string point_text(const LayersRow& row) {
  return fmt::format("{} {} batch {} context {}", plain(row.model, 80), plain(row.phase, 20), row.batch, row.context);
}

template <typename Other>
bool same_pair(const TradeoffRow& a, const Other& b) {
  return a.dense == b.dense && a.moe == b.moe && a.weight_type == b.weight_type && a.routing == b.routing;
}

std::string crossover_sentence(const Crossover& c) {
  const std::string where = fmt::format("{} at context {}", plain(c.phase, 20), c.context);
  switch (c.kind) {
    case CrossoverKind::between:
      return fmt::format("crossover in {}: the MoE stops being cheaper at batch {} (measured: {} and {})", where,
                         digits(*c.batch, 2), c.below, c.above);
    case CrossoverKind::from_smallest:
      return fmt::format("crossover in {}: the MoE is not cheaper at batch {}, the smallest measured", where, c.below);
    case CrossoverKind::not_reached:
      return fmt::format("crossover in {}: not within the measured batches, {} to {}", where, c.below, c.above);
  }
  return "";
}

// How much of the nominal figures the whole models of the table reach.
std::string nominal_text(const Summary& summary) {
  double low = INFINITY, high = 0;
  for (const ModelRow& row : summary.models)
    if (row.nominal_fraction) {
      low = std::min(low, *row.nominal_fraction);
      high = std::max(high, *row.nominal_fraction);
    }
  if (high == 0) return {};
  return fmt::format("; the models below reach {:.0f} to {:.0f} % of what that would allow", 100 * low, 100 * high);
}

// "clocks 1.40 to 1.98 GHz": over every reading of the run.
std::string clocks_text(const ResultFile& file) {
  double low = INFINITY, high = 0;
  for (const PointRecord& point : file.points)
    for (const PartRecord& part : point.parts)
      for (const Round& round : part.rounds)
        if (round.conditions && round.conditions->sm_clock_min_hz && round.conditions->sm_clock_max_hz) {
          low = std::min(low, *round.conditions->sm_clock_min_hz);
          high = std::max(high, *round.conditions->sm_clock_max_hz);
        }
  return high > 0 ? fmt::format("clocks {:.2f} to {:.2f} GHz", low / 1e9, high / 1e9) : std::string();
}

// The parts between semicolons of all texts, each once, as far as four lines of a legend have room.
std::string parts_once(const std::vector<std::string>& texts) {
  constexpr std::size_t kRoom = 320;
  std::vector<std::string> shown, left_out;
  std::size_t used = 0;
  for (const std::string& text : texts)
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find(';', begin), text.size());
      std::string part = plain(std::string_view(text).substr(begin, end - begin), 120);
      begin = end + 1;
      part.erase(0, part.find_first_not_of(' '));
      const auto known = [&](const auto& list) { return std::find(list.begin(), list.end(), part) != list.end(); };
      if (part.empty() || known(shown) || known(left_out)) continue;
      const bool fits = used + part.size() <= kRoom;
      (fits ? shown : left_out).push_back(part);
      if (fits) used += part.size();
    }
  if (!left_out.empty()) shown.push_back(fmt::format("and {} more, named in the file", left_out.size()));
  return joined(shown, "; ");
}

}  // namespace

std::vector<NamedText> head_lines(const ResultFile& file, const Summary& summary) {
  std::vector<NamedText> lines;
  const EnvironmentRecord& machine = file.environment;
  std::vector<std::string> libraries;
  for (const auto& [name, version] : machine.libraries) libraries.push_back(plain(name, 30) + " " + plain(version, 30));
  lines.push_back(
      {"machine",
       joined({plain(machine.device_name),
               machine.threads > 0 && !machine.gpu ? fmt::format("{} threads", machine.threads) : "",
               machine.memory_bytes > 0 ? gigabytes_text(machine.memory_bytes) : "", joined(libraries, ", ")},
              " · ")});
  if (machine.gpu) {
    const GpuRecord& g = *machine.gpu;
    const auto on_off = [](const char* what, const std::optional<bool>& v) {
      return v ? fmt::format("{} {}", what, *v ? "on" : "off") : std::string();
    };
    lines.push_back({"driver", joined({g.driver.empty() ? "version unknown" : plain(g.driver, 40),
                                       g.power_limit_w ? fmt::format("power limit {} W", digits(*g.power_limit_w)) : "",
                                       on_off("ECC", g.error_correction), on_off("persistence", g.persistence),
                                       g.mig.value_or(false) ? "MIG on" : "", clocks_text(file)},
                                      " · ")});
  }
  lines.push_back(
      {"run", joined({"layercost " + plain(file.program_version, 30) +
                          (file.commit.empty()
                               ? ""
                               : " (" + plain(file.commit.substr(0, 12)) + (file.commit_dirty ? ", changed)" : ")")),
                      plain(file.started_at, 30), file.suite.empty() ? "" : "suite " + plain(file.suite, 40),
                      file.complete ? "" : "INCOMPLETE: the run was cut short"},
                     " · ")});
  if (file.price) {
    lines.push_back(
        {"price", joined({fmt::format("{:.4g} USD per hour", file.price->usd_per_h), plain(file.price->id, 60),
                          plain(file.price->label, 200), file.price->stale ? "STALE: older than 90 days" : ""},
                         " · ")});
  } else {
    lines.push_back({"price", "none, so there is no money below; give one with --price 2.50/h or --price ID"});
  }
  for (const RoofRow& roof : summary.roofs) {
    lines.push_back(
        {"limits", fmt::format("reads {} GB/s (mostly {} to {}) · {} GFLOP/s in {} · probed beside every sample",
                               digits(roof.read_bytes_per_s / 1e9), digits(roof.read_low_bytes_per_s / 1e9),
                               digits(roof.read_high_bytes_per_s / 1e9), digits(roof.flops_per_s / 1e9),
                               plain(roof.weight_type, 20))});
  }
  if (!summary.peers.empty()) {
    std::vector<std::string> names;
    for (const Implementation& peer : summary.peers) names.push_back(versioned(peer));
    lines.push_back({"beside", joined(names, " · ") + ", measured in turns with layercost"});
  }
  if (file.nominal)
    lines.push_back(
        {"nominal", fmt::format("the vendor says {} GB/s and {} TFLOP/s in {} ({}, {}){}",
                                digits(file.nominal->read_bytes_per_s / 1e9), digits(file.nominal->flops_per_s / 1e12),
                                plain(file.nominal->weight_type, 20), plain(file.nominal->hardware, 40),
                                plain(file.nominal->read_date, 10), nominal_text(summary))});
  std::vector<std::string> state, counts;
  std::int64_t fewest = INT64_MAX, most = 0;
  for (const ModelRow& row : summary.models) {
    for (const PartRow& part : row.parts) {
      if (!part.time_s) continue;
      fewest = std::min(fewest, part.rounds);
      most = std::max(most, part.rounds);
    }
  }
  for (const Label label : summary.common_labels) state.push_back(shown(label));
  for (const auto& [outcome, count] : summary.outcomes)
    counts.push_back(fmt::format("{} {}", count, text_of(outcome).shown));
  state.push_back(counts.size() == 1 && summary.outcomes.contains(Outcome::measured) ? "everything planned was measured"
                                                                                     : joined(counts, ", "));
  if (most > 0)
    state.push_back(fewest == most ? fmt::format("{} rounds", most) : fmt::format("{} to {} rounds", fewest, most));
  lines.push_back({"state", joined(state, " · ")});
  return lines;
}

std::vector<NamedText> legend(const ResultFile& file, const Summary& summary) {
  std::vector<NamedText> lines;
  const bool timed = std::any_of(summary.models.begin(), summary.models.end(), [](const ModelRow& row) {
    return row.time_s ||
           std::any_of(row.parts.begin(), row.parts.end(), [](const PartRow& part) { return part.time_s.has_value(); });
  });
  if (timed) {
    lines.push_back({"possible",
                     "share of what this machine can do: the bytes that must be read and the arithmetic that must be "
                     "done, at the limits probed beside each sample, one operation after the other."});
    lines.push_back(
        {"composed", "layers times their count, plus the head. A floor: no scheduler, sampling, network or waiting."});
    lines.push_back({"±", "95 % interval from the rounds, each with new stacks and weights. Money has the same."});
  }
  if (timed && file.price) {
    lines.push_back({"$ per Mtok",
                     "US dollars for a million tokens, if every hour paid for is spent on this. In: prompt tokens "
                     "(prefill). Out: new tokens (decode)."});
  }
  if (std::any_of(summary.models.begin(), summary.models.end(),
                  [](const ModelRow& row) { return !row.note.empty(); })) {
    lines.push_back(
        {"hypothetical", "the layers were measured, but the whole model needs more memory than this device has."});
  }
  if (!summary.tradeoffs.empty()) {
    lines.push_back({"promised", "active parameters of the dense model / of the MoE."});
    lines.push_back({"possible ×", "the same ratio for the time that the machine's limits allow."});
    lines.push_back({"paid", "measured time of the dense model / of the MoE, with its 95 % interval."});
  }
  if (!summary.peers.empty()) {
    lines.push_back({"× ours",
                     "another program's time for one layer / ours, paired by round, with its 95 % interval. Above 1 it "
                     "takes longer than layercost."});
  }
  for (const Implementation& peer : summary.peers) {
    if (!peer.details.empty()) lines.push_back({plain(peer.name, 40), parts_once(peer.details)});
  }
  for (const LabelText& row : label_texts()) {
    if (uses_label(summary, row.label)) {
      lines.push_back({std::string(row.shown), std::string(row.meaning) + " " + std::string(row.advice)});
    }
  }
  for (const OutcomeText& row : outcome_texts()) {
    if (row.outcome != Outcome::measured && summary.outcomes.contains(row.outcome)) {
      lines.push_back({std::string(row.shown), std::string(row.meaning) + " " + std::string(row.advice)});
    }
  }
  for (const Warning& warning : file.warnings) lines.push_back({"warning", plain(warning.text)});
  return lines;
}

std::vector<Block> blocks(const ResultFile& file, const Summary& summary) {
  std::vector<Block> result;
  std::vector<const ModelRow*> first;  // of each block
  for (const ModelRow& row : summary.models) {
    std::size_t b = 0;
    while (b < first.size() && !same_block(*first[b], row)) ++b;
    if (b == first.size()) {
      result.push_back(start_block(row));
      first.push_back(&row);
    }
    std::vector<ModelGroup>& groups = result[b].models;
    const auto same = std::find_if(groups.begin(), groups.end(), [&](const ModelGroup& group) {
      return group.rows.front()->model == row.model && group.rows.front()->routing == row.routing;
    });
    if (same != groups.end()) {
      same->rows.push_back(&row);
    } else {
      groups.push_back({plain(row.model, 80), facts_of(file, row), {&row}});
    }
  }
  return result;
}

std::vector<std::string> notes(const ModelRow& row, const Summary& summary) {
  std::vector<std::string> result;
  if (!row.why.empty()) result.push_back(plain(row.why));
  if (!row.note.empty()) result.push_back(row.note);
  if (row.fits && !*row.fits) {
    result.push_back(
        fmt::format("needs {}, has {}", gigabytes_text(row.memory_required_bytes), gigabytes_text(row.device_bytes)));
  } else if (row.fits && row.time_s) {
    result.push_back(
        fmt::format("fits: {} of {}", gigabytes_text(row.memory_required_bytes), gigabytes_text(row.device_bytes)));
  }
  std::string labels;
  for (const Label label : row.labels) {
    if (std::find(summary.common_labels.begin(), summary.common_labels.end(), label) != summary.common_labels.end())
      continue;
    labels += (labels.empty() ? "" : ", ") + shown(label);
  }
  if (!labels.empty()) result.push_back(labels);
  return result;
}

std::vector<PairGroup> pair_groups(const Summary& summary) {
  std::vector<PairGroup> groups;
  for (const TradeoffRow& row : summary.tradeoffs) {
    auto group =
        std::find_if(groups.begin(), groups.end(), [&](const PairGroup& g) { return same_pair(*g.rows.front(), row); });
    if (group == groups.end()) {
      group = groups.insert(groups.end(), {plain(row.dense, 80), plain(row.moe, 80), "", {}, {}});
      group->about =
          joined({plain(row.weight_type, 20), row.routing.empty() ? "" : plain(row.routing, 40) + " routing"}, " · ");
    }
    group->rows.push_back(&row);
  }
  for (PairGroup& group : groups) {
    for (const Crossover& crossover : shows_layers_alone(summary) ? summary.layers_crossovers : summary.crossovers) {
      if (same_pair(*group.rows.front(), crossover)) group.crossovers.push_back(crossover_sentence(crossover));
    }
  }
  return groups;
}

bool shows_layers_alone(const Summary& summary) {
  return !summary.peers.empty() && std::none_of(summary.tradeoffs.begin(), summary.tradeoffs.end(),
                                                [](const TradeoffRow& row) { return row.paid.has_value(); });
}

Shown shown(const TradeoffRow& row, const Summary& summary) {
  if (!shows_layers_alone(summary)) return {row.possible, row.paid, row.verdict, row.why};
  const TradeoffRow layers = of_layers_alone({row}).front();
  return {layers.possible, layers.paid, layers.verdict, layers.why};
}

std::vector<LayersGroup> layers_groups(const Summary& summary) {
  std::vector<LayersGroup> groups;
  for (const LayersRow& row : summary.layers) {
    auto group = std::find_if(groups.begin(), groups.end(), [&](const LayersGroup& g) {
      const LayersRow& first = *g.rows.front();
      return first.model == row.model && first.kind == row.kind && first.weight_type == row.weight_type &&
             first.routing == row.routing;
    });
    if (group == groups.end()) {
      group = groups.insert(groups.end(), {plain(row.model, 80), "", {}});
      group->about = joined({fmt::format("{}× {}", row.count, plain(row.kind, 60)), plain(row.weight_type, 20),
                             row.routing.empty() ? "" : plain(row.routing, 40) + " routing"},
                            " · ");
    }
    group->rows.push_back(&row);
  }
  return groups;
}

std::string versioned(const Implementation& implementation) {
  const std::string name = plain(implementation.name, 40), version = plain(implementation.version, 40);
  return version.empty() || name.ends_with(" " + version) ? name : name + " " + version;
}

const PeerTime* find_peer(const LayersRow& row, const std::string& implementation) {
  const auto found = std::find_if(row.peers.begin(), row.peers.end(),
                                  [&](const PeerTime& peer) { return peer.implementation == implementation; });
  return found == row.peers.end() ? nullptr : &*found;
}

const PaidBy* find_paid(const TradeoffRow& row, const std::string& implementation) {
  const auto found = std::find_if(row.layers.begin(), row.layers.end(),
                                  [&](const PaidBy& by) { return by.implementation == implementation && by.paid; });
  return found == row.layers.end() ? nullptr : &*found;
}

std::vector<std::string> paid_implementations(const Summary& summary) {
  std::vector<std::string> names;
  for (const Implementation& peer : summary.peers) {
    if (std::any_of(summary.tradeoffs.begin(), summary.tradeoffs.end(),
                    [&](const TradeoffRow& row) { return find_paid(row, peer.name) != nullptr; }))
      names.push_back(peer.name);
  }
  if (!names.empty()) names.insert(names.begin(), kOurName);
  return names;
}

std::vector<std::string> remarks(const Summary& summary) {
  std::vector<std::string> result;
  for (const Implementation& implementation : summary.peers) {
    std::vector<std::string> texts;
    std::size_t rows = 0;
    for (const LayersRow& row : summary.layers) {
      const PeerTime* peer = find_peer(row, implementation.name);
      rows += peer != nullptr;
      if (peer && !peer->remark.empty() && std::find(texts.begin(), texts.end(), peer->remark) == texts.end())
        texts.push_back(peer->remark);
    }
    for (const std::string& text : texts) {
      std::vector<std::string> where;
      for (const LayersRow& row : summary.layers) {
        if (const PeerTime* peer = find_peer(row, implementation.name); peer && peer->remark == text)
          where.push_back(point_text(row));
      }
      constexpr std::size_t kNamed = 3;
      const std::size_t more = where.size() > kNamed ? where.size() - kNamed : 0;
      where.resize(where.size() - more);
      const std::string points = joined(where, ", ") + (more > 0 ? fmt::format(" and {} more", more) : "");
      result.push_back(fmt::format("{}{}: {}", plain(implementation.name, 40),
                                   where.size() + more == rows ? "" : ", " + points, plain(text)));
    }
  }
  return result;
}

}  // namespace layercost
