// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "harness/report/sections/sections.h"
#include "harness/report/text.h"
#include "harness/result/labels.h"

namespace layercost {
namespace {

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

NamedText machine_line(const EnvironmentRecord& machine) {
  std::vector<std::string> libraries;
  for (const auto& [name, version] : machine.libraries) libraries.push_back(plain(name, 30) + " " + plain(version, 30));
  return {"machine",
          joined({plain(machine.device_name),
                  machine.threads > 0 && !machine.gpu ? fmt::format("{} threads", machine.threads) : "",
                  machine.memory_bytes > 0 ? gigabytes_text(machine.memory_bytes) : "", joined(libraries, ", ")},
                 " · ")};
}

NamedText driver_line(const ResultFile& file, const GpuRecord& g) {
  const auto on_off = [](const char* what, const std::optional<bool>& v) {
    return v ? fmt::format("{} {}", what, *v ? "on" : "off") : std::string();
  };
  return {"driver", joined({g.driver.empty() ? "version unknown" : plain(g.driver, 40),
                            g.power_limit_w ? fmt::format("power limit {} W", digits(*g.power_limit_w)) : "",
                            on_off("ECC", g.error_correction), on_off("persistence", g.persistence),
                            g.mig.value_or(false) ? "MIG on" : "", clocks_text(file)},
                           " · ")};
}

NamedText run_line(const ResultFile& file) {
  const std::string commit =
      file.commit.empty() ? "" : " (" + plain(file.commit.substr(0, 12)) + (file.commit_dirty ? ", changed)" : ")");
  return {"run", joined({"layercost " + plain(file.program_version, 30) + commit, plain(file.started_at, 30),
                         file.suite.empty() ? "" : "suite " + plain(file.suite, 40),
                         file.complete ? "" : "INCOMPLETE: the run was cut short"},
                        " · ")};
}

NamedText price_line(const std::optional<PriceRecord>& price) {
  if (!price) return {"price", "none, so there is no money below; give one with --price 2.50/h or --price ID"};
  std::vector<std::string> parts = {fmt::format("{:.4g} USD per hour", price->usd_per_hour), plain(price->id, 60),
                                    plain(price->label, 200)};
  if (price->utilisation) parts.push_back(fmt::format("utilisation {:.4g}", *price->utilisation));
  for (const PriceLabel label : price->labels)
    parts.push_back(fmt::format("{}: {}", text_of(label).shown, text_of(label).meaning));
  return {"price", joined(parts, " · ")};
}

NamedText limits_line(const RoofRow& roof) {
  return {"limits", fmt::format("reads {} GB/s (mostly {} to {}) · {} GFLOP/s in {} · probed beside every sample",
                                digits(roof.read_bytes_per_s / 1e9), digits(roof.read_low_bytes_per_s / 1e9),
                                digits(roof.read_high_bytes_per_s / 1e9), digits(roof.flops_per_s / 1e9),
                                plain(roof.arithmetic, 20))};
}

NamedText nominal_line(const NominalRecord& nominal, const Summary& summary) {
  return {"nominal",
          fmt::format("the vendor says {} GB/s and {} TFLOP/s in {} ({}, {}){}", digits(nominal.read_bytes_per_s / 1e9),
                      digits(nominal.flops_per_s / 1e12), plain(nominal.weight_type, 20), plain(nominal.hardware, 40),
                      plain(nominal.read_date, 10), nominal_text(summary))};
}

constexpr const char* kAllMeasured = "everything planned was measured";

// What all rows have in common, what became of them, and how often they were measured.
std::vector<std::string> state_parts(const Summary& summary) {
  std::vector<std::string> state, counts;
  std::int64_t fewest = INT64_MAX, most = 0;
  for (const ModelRow& row : summary.models) {
    for (const PartRow& part : row.parts) {
      if (!part.time_s) continue;
      fewest = std::min(fewest, part.rounds);
      most = std::max(most, part.rounds);
    }
  }
  for (const Label label : summary.common_labels) state.emplace_back(text_of(label).shown);
  for (const auto& [outcome, count] : summary.outcomes)
    counts.push_back(fmt::format("{} {}", count, text_of(outcome).shown));
  state.push_back(counts.size() == 1 && summary.outcomes.contains(Outcome::measured) ? kAllMeasured
                                                                                     : joined(counts, ", "));
  if (most > 0)
    state.push_back(fewest == most ? fmt::format("{} round{}", most, most == 1 ? "" : "s")
                                   : fmt::format("{} to {} rounds", fewest, most));
  return state;
}

// "Intel(R) Xeon(R) Processor · 2 threads · 25.3 GB · 0.389 USD/h (EXAMPLE) · 2026-11-23 · 3 rounds · DRIFTING 5/9":
// the machine, the price, when, and what speaks against the rows, by how many carry each label.
NamedText screen_line(const ResultFile& file, const Summary& summary) {
  const EnvironmentRecord& machine = file.environment;
  std::vector<std::string> parts = {
      plain(machine.device_name, 80),
      machine.threads > 0 && !machine.gpu ? fmt::format("{} threads", machine.threads) : "",
      machine.memory_bytes > 0 ? gigabytes_text(machine.memory_bytes) : ""};
  if (file.price) {
    std::vector<std::string> doubts;
    for (const PriceLabel label : file.price->labels) doubts.emplace_back(text_of(label).shown);
    parts.push_back(digits(file.price->usd_per_hour) + " USD/h");
    if (!doubts.empty()) parts.back() += " (" + joined(doubts, ", ") + ")";
    if (file.price->utilisation) parts.push_back(fmt::format("utilisation {:.4g}", *file.price->utilisation));
  }
  parts.push_back(plain(file.started_at.substr(0, 10), 10));
  for (const std::string& part : state_parts(summary))
    if (part != kAllMeasured) parts.push_back(part);
  for (const LabelText& label : label_texts()) {
    const LabelUse use = use_of(label.label, summary);
    if (use.rows > 0 && !use.everywhere) parts.push_back(fmt::format("{} {}/{}", label.shown, use.rows, use.of));
  }
  if (!file.complete) parts.emplace_back("INCOMPLETE: the run was cut short");
  if (!file.content_hash.empty()) parts.push_back("sha256 " + file.content_hash.substr(0, 16));
  return {"", joined(parts, " · ")};
}

}  // namespace

Section head_section(const ResultFile& file, const Summary& summary, const View& view) {
  Section section;
  if (!view.detail) {
    section.items = {screen_line(file, summary)};
    return section;
  }
  section.items = {machine_line(file.environment)};
  if (file.environment.gpu) section.items.push_back(driver_line(file, *file.environment.gpu));
  section.items.push_back(run_line(file));
  if (!file.content_hash.empty()) section.items.push_back({"sha256", file.content_hash});
  section.items.push_back(price_line(file.price));
  for (const RoofRow& roof : summary.roofs) section.items.push_back(limits_line(roof));
  if (!summary.peers.empty()) {
    std::vector<std::string> names;
    for (const Implementation& peer : summary.peers) names.push_back(versioned(peer));
    section.items.push_back({"beside", joined(names, " · ") + ", measured in turns with layercost"});
  }
  if (file.nominal) section.items.push_back(nominal_line(*file.nominal, summary));
  section.items.push_back({"state", joined(state_parts(summary), " · ")});
  return section;
}

}  // namespace layercost
