// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/claims.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/cost/summary.h"
#include "harness/cost/token_cost.h"
#include "harness/result/labels.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

constexpr double kSecondsPerHour = 3600;

double list_price_of(const std::string& id, const ClaimQuantity& q, std::span<const ListPrice> prices) {
  const auto found = std::find_if(prices.begin(), prices.end(), [&](const ListPrice& p) { return p.id == id; });
  if (found == prices.end()) throw BadInput("claim", "", fmt::format("no list price \"{}\"", printable(id)));
  const ListPriceText& step = found->steps.front();
  const auto usd = [](const std::string& text) { return parse_decimal(text).value(); };
  return q.input * usd(step.input) + q.cached_input * usd(step.cached_input.value_or(step.input)) +
         q.output * usd(step.output);
}

// Of every value that the claim allows; open ends are infinite.
Interval allowed(const Claimed& c) {
  if (c.value) return {*c.value - *c.within, *c.value + *c.within};
  return {c.up_to ? *c.up_to : c.at_least.value_or(-INFINITY), c.at_most.value_or(INFINITY)};
}

// What keeps a measurement from more than pointing; "" if nothing does.
std::string doubts_of(const std::vector<Label>& labels) {
  std::string text;
  for (const Label label : labels)
    if (label != Label::best_load_case && label != Label::overhead_bound)
      text += (text.empty() ? "" : ", ") + std::string(text_of(label).shown);
  return text;
}

std::string hardware_of(const ResultFile& file) { return file.nominal ? file.nominal->hardware : ""; }

Evidence measured(const ClaimQuantity& q, double value, const std::optional<Interval>& interval,
                  const std::string& doubts, std::string seen_on) {
  Evidence e;
  e.value = value;
  e.interval = interval;
  e.seen_on = std::move(seen_on);
  e.finding = judge(q.claimed, interval, !doubts.empty());
  if (!interval) e.why = "one round: no interval";
  else if (e.finding == Finding::cannot_tell)
    e.why =
        q.claimed.up_to ? "a case below it says nothing against \"up to\"" : "the interval goes across what is claimed";
  else if (!doubts.empty()) e.why = doubts;
  return e;
}

std::vector<Evidence> paid_ratios(const ClaimQuantity& q, std::span<const ResultFile> files) {
  std::vector<Evidence> all;
  std::string elsewhere;
  for (const ResultFile& file : files) {
    const Summary summary = summarise(file);
    for (const TradeoffRow& row : summary.tradeoffs) {
      if (row.dense != q.dense || row.moe != q.moe || row.phase != q.phase || !row.paid) continue;
      if ((q.batch && row.batch != *q.batch) || (!q.weight_type.empty() && row.weight_type != q.weight_type)) continue;
      const std::string on = file.environment.device_name;
      if (!q.device.empty() && hardware_of(file) != q.device) {
        elsewhere = on;
        continue;
      }
      std::vector<Label> labels;
      for (const ModelRow& model : summary.models)
        if (same_task(model, row) && (model.model == q.dense || model.model == q.moe))
          labels.insert(labels.end(), model.labels.begin(), model.labels.end());
      std::sort(labels.begin(), labels.end());
      labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
      all.push_back(measured(q, row.paid->ratio, row.paid->interval, doubts_of(labels),
                             fmt::format("{}, batch {}, {} {}", on, row.batch, row.context,
                                         row.phase == "decode" ? "cached" : "prompt tokens")));
    }
  }
  if (all.empty()) {
    std::string why = files.empty() ? "no results given" : "no result has this pair at this step";
    if (!elsewhere.empty()) why = fmt::format("said of {}; measured on {}", q.device, elsewhere);
    all.push_back({.why = why});
  }
  return all;
}

std::vector<Evidence> device_ratios(const ClaimQuantity& q, std::span<const ResultFile> files) {
  std::vector<Evidence> all;
  const auto rows_on = [&](const std::string& device) {
    std::vector<ModelRow> rows;
    for (const ResultFile& file : files)
      if (hardware_of(file) == device)
        for (ModelRow& row : summarise(file).models)
          if (row.time_s) rows.push_back(std::move(row));
    return rows;
  };
  const std::vector<ModelRow> fast = rows_on(q.faster), slow = rows_on(q.slower);
  for (const ModelRow& f : fast)
    for (const ModelRow& s : slow) {
      if (!same_except(f, s, {Member::device})) continue;
      std::optional<Interval> interval;
      if (f.time_interval && s.time_interval && f.time_interval->low > 0)
        interval = Interval{s.time_interval->low / f.time_interval->high, s.time_interval->high / f.time_interval->low};
      std::vector<Label> labels = f.labels;
      labels.insert(labels.end(), s.labels.begin(), s.labels.end());
      all.push_back(measured(q, *s.time_s / *f.time_s, interval, doubts_of(labels), to_text(f)));
    }
  if (all.empty())
    all.push_back(
        {.why = fmt::format("{}{}: no step that both did", fast.empty() ? "nothing of " + q.faster + "; " : "",
                            slow.empty() ? "nothing of " + q.slower : "results of " + q.slower)});
  return all;
}

}  // namespace

std::string_view to_string(Finding finding) {
  switch (finding) {
    case Finding::adds_up:
      return "adds up";
    case Finding::does_not_add_up:
      return "does not add up";
    case Finding::supports:
      return "supports";
    case Finding::contradicts:
      return "contradicts";
    case Finding::points_to:
      return "points to";
    case Finding::points_against:
      return "points against";
    case Finding::cannot_tell:
      return "cannot tell";
    case Finding::cannot_test:
      return "cannot test";
  }
  return "";
}

std::optional<double> recompute(const ClaimQuantity& q, std::span<const ListPrice> list_prices) {
  double value = 1;
  switch (q.kind) {
    case ClaimKind::ratio:
      return q.numbers[0] / q.numbers[1];
    case ClaimKind::saving:
      return 1 - q.numbers[1] / q.numbers[0];
    case ClaimKind::product:
      for (const double factor : q.numbers) value *= factor;
      return value;
    case ClaimKind::node_hours:
      value = 0;
      for (const auto& [tokens, tokens_per_s] : q.parts) value += tokens / tokens_per_s / kSecondsPerHour;
      return value;
    case ClaimKind::usd_per_mtok:
      return usd_per_mtok(q.numbers[0], q.numbers[1]);
    case ClaimKind::list_price_saving:
      return 1 - list_price_of(q.after, q, list_prices) / list_price_of(q.before, q, list_prices);
    case ClaimKind::paid_ratio:
    case ClaimKind::device_ratio:
      return std::nullopt;
  }
  return std::nullopt;
}

Finding judge(const Claimed& claimed, std::optional<Interval> interval, bool labelled) {
  if (!interval) return Finding::cannot_tell;
  const Interval may = allowed(claimed);
  if (interval->low >= may.low && interval->high <= may.high) return labelled ? Finding::points_to : Finding::supports;
  const bool outside = interval->high < may.low || interval->low > may.high;
  if (!outside || claimed.up_to) return Finding::cannot_tell;
  return labelled ? Finding::points_against : Finding::contradicts;
}

std::vector<ClaimFinding> judge_claims(const std::vector<Claim>& claims, std::span<const ResultFile> files,
                                       std::span<const ListPrice> list_prices) {
  std::vector<ClaimFinding> findings;
  for (const Claim& claim : claims) {
    ClaimFinding& finding = findings.emplace_back(ClaimFinding{claim, {}});
    for (const ClaimQuantity& q : claim.quantities) {
      if (const auto value = recompute(q, list_prices)) {
        const Interval may = allowed(q.claimed);
        const bool is_within = *value >= may.low && *value <= may.high;
        finding.quantities.push_back({{is_within ? Finding::adds_up : Finding::does_not_add_up, value, {}, "", ""}});
      } else {
        finding.quantities.push_back(q.kind == ClaimKind::paid_ratio ? paid_ratios(q, files) : device_ratios(q, files));
      }
    }
  }
  return findings;
}

}  // namespace layercost
