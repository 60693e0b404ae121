// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <stdexcept>

#include "harness/report/sections/sections.h"
#include "harness/report/text.h"
#include "harness/result/identity.h"

namespace layercost {
namespace {

struct Identity {
  const ResultFile& file;
  const ModelRow& scenario;
  const std::string &layer_kind, &kind;
};

Column named(std::string key, std::string meaning) {
  Column column;
  column.key = std::move(key);
  column.meaning = std::move(meaning);
  return column;
}

const std::vector<ColumnOf<Identity>>& identity() {
  static const std::vector<ColumnOf<Identity>> all = {
      {named("model", "name of the model"), [](const Identity& i) { return text_cell(i.scenario.model); }},
      {named("layer_kind", "kind of layer, head, model for the composition, pair, or blend of input and output"),
       [](const Identity& i) { return text_cell(i.layer_kind); }},
      {named("phase", "prefill or decode"), [](const Identity& i) { return text_cell(i.scenario.phase); }},
      {named("batch", "sequences"), [](const Identity& i) { return TableCell{i.scenario.batch}; }},
      {named("context", "decode: tokens cached before the step; prefill: prompt length"),
       [](const Identity& i) { return TableCell{i.scenario.context}; }},
      {named("tokens", "rows that one step processes: batch x new tokens of each sequence"),
       [](const Identity& i) { return TableCell{i.scenario.tokens}; }},
      {named("weight_type", "number format of the weights"),
       [](const Identity& i) { return text_cell(i.scenario.weight_type); }},
      {named("activation_type", "number format of the activations"),
       [](const Identity& i) { return text_cell(i.scenario.activation_type); }},
      {named("kv_type", "number format of the KV cache"),
       [](const Identity& i) { return text_cell(i.scenario.kv_type); }},
      {named("device", "cpu, cuda:0, ..."), [](const Identity& i) { return text_cell(i.scenario.device); }},
      {named("routing", "how tokens were spread over experts; empty without experts"),
       [](const Identity& i) { return text_cell(i.scenario.routing); }},
      {named("price_id", "whose price usd_per_mtok uses"),
       [](const Identity& i) { return text_cell(i.file.price ? i.file.price->id : ""); }},
      {{.key = "shard",
        .meaning = "which part of the model the row is of; no column where all are whole",
        .if_any = true},
       [](const Identity& i) { return text_cell(i.scenario.shard); }},
      {{.key = "price_labels", .meaning = "separated by spaces; see result/labels.h", .if_any = true},
       [](const Identity& i) { return i.file.price ? TableCell{i.file.price->labels} : TableCell{}; }},
      {{.key = "utilisation",
        .meaning = "share of the paid hours that do this work; no column where all of them do",
        .if_any = true},
       [](const Identity& i) { return number_cell(i.file.price ? i.file.price->utilisation : std::nullopt); }},
      {named("device_name", "the machine"),
       [](const Identity& i) { return text_cell(i.file.environment.device_name); }},
      {named("measured_at", "start of the run, UTC"), [](const Identity& i) { return text_cell(i.file.started_at); }},
      {named("schema_version", "of the result file"),
       [](const Identity& i) { return text_cell(i.file.schema_version); }},
      {named("kind",
             "of the row: layer, model, pair, layers_pair, isoline, lever, format, layers_format, blend, depth, "
             "sensitivity or break_even"),
       [](const Identity& i) { return text_cell(i.kind); }},
      {named("run_id", "the same for all rows of one run"),
       [](const Identity& i) { return text_cell(run_id(i.file)); }},
      {named("commit", "of the program that measured; with + where its source was changed"),
       [](const Identity& i) { return text_cell(i.file.commit + (i.file.commit_dirty ? "+" : "")); }},
      {{.key = "result_sha256", .meaning = "SHA-256 of the file's canonical text (RFC 8785)", .if_any = true},
       [](const Identity& i) { return text_cell(i.file.content_hash); }},
      {named("threads", "that ran on the CPU"),
       [](const Identity& i) {
         const int threads = i.file.environment.threads;
         return threads > 0 ? TableCell{std::int64_t{threads}} : TableCell{};
       }},
      {named("usd_per_hour", "the price of the measured device"),
       [](const Identity& i) {
         return number_cell(i.file.price ? std::optional(i.file.price->usd_per_hour) : std::nullopt);
       }},
  };
  return all;
}

}  // namespace

std::vector<Column> behind_identity(std::vector<Column> columns) {
  std::vector<Column> all = columns_of(identity());
  all.insert(all.end(), std::make_move_iterator(columns.begin()), std::make_move_iterator(columns.end()));
  return all;
}

std::vector<TableCell> identity_cells(const ResultFile& file, const ModelRow& scenario, const std::string& layer_kind,
                                      const std::string& kind) {
  return cells_of(identity(), {file, scenario, layer_kind, kind.empty() ? layer_kind : kind});
}

std::string joined(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (const std::string& part : parts) {
    if (part.empty()) continue;
    if (!text.empty()) text += separator;
    text += part;
  }
  return text;
}

std::string routing_text(const std::string& routing) { return routing.empty() ? "" : plain(routing, 40) + " routing"; }

std::string types_text(const ScenarioRecord& scenario) {
  const std::string weights = plain(scenario.weight_type, 20), inputs = plain(scenario.activation_type, 20),
                    kv = plain(scenario.kv_type, 20);
  return weights == inputs && weights == kv ? weights
                                            : fmt::format("{} weights, {} activations, {} KV", weights, inputs, kv);
}

std::string versioned(const Implementation& implementation) {
  const std::string name = plain(implementation.name, 40), version = plain(implementation.version, 40);
  return version.empty() || name.ends_with(" " + version) ? name : name + " " + version;
}

LabelUse use_of(Label label, const Summary& summary) {
  const auto has = [&](const std::vector<Label>& labels) {
    return std::find(labels.begin(), labels.end(), label) != labels.end();
  };
  LabelUse use;
  for (const ModelRow& row : summary.models) {
    use.rows += has(row.labels);
    use.of += std::any_of(row.parts.begin(), row.parts.end(),
                          [](const PartRow& part) { return part.outcome == Outcome::measured; });
  }
  use.everywhere = has(summary.common_labels);
  const bool frequent = use.rows >= 3 && 2 * use.rows >= use.of;
  use.on_rows = label == Label::impossible || (!use.everywhere && !frequent);
  return use;
}

std::string step_text(const ScenarioRecord& s) {
  return fmt::format("{}, batch {}, context {}", plain(s.phase, 20), s.batch, s.context);
}

bool same_but_step(const ScenarioRecord& a, const ScenarioRecord& b) {
  return same_except(a, b, {Member::phase, Member::batch, Member::context, Member::new_tokens});
}

std::vector<PairGroup> pair_groups(const Summary& summary) {
  std::vector<PairGroup> groups;
  for (const TradeoffRow& row : summary.tradeoffs) {
    auto group = std::find_if(groups.begin(), groups.end(), [&](const PairGroup& g) {
      const TradeoffRow& first = *g.rows.front();
      return first.dense == row.dense && first.moe == row.moe && same_but_step(first, row);
    });
    if (group == groups.end()) {
      group = groups.insert(groups.end(), {plain(row.dense, 80) + " → " + plain(row.moe, 80), "", {}});
      group->facts = joined({types_text(row), routing_text(row.routing)}, " · ");
    }
    group->rows.push_back(&row);
  }
  return groups;
}

std::pair<const ModelRow*, Place> place_of(const ScenarioRecord& row, const Summary& summary, std::size_t behind) {
  for (std::size_t point = 0; point < summary.models.size(); ++point)
    if (same_scenario(summary.models[point], row)) return {&summary.models[point], {point, kWholeModel, behind}};
  throw std::logic_error("a row of no point");
}

std::vector<const ModelRow*> both_points(const FormatRow& row, const Summary& summary) {
  std::vector<const ModelRow*> both;
  for (const ModelRow& model : summary.models)
    if (same_except(model, row, {Member::weight_type}) &&
        (model.weight_type == row.weight_type || model.weight_type == row.base))
      both.push_back(&model);
  return both;
}

bool has_whole_models(const Summary& summary) {
  return std::any_of(summary.models.begin(), summary.models.end(),
                     [](const ModelRow& row) { return row.time_s.has_value(); });
}

bool shows_layers_alone(const Summary& summary) {
  return !summary.peers.empty() && std::none_of(summary.tradeoffs.begin(), summary.tradeoffs.end(),
                                                [](const TradeoffRow& row) { return row.paid.has_value(); });
}

}  // namespace layercost
