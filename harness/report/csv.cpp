// SPDX-License-Identifier: Apache-2.0
#include "harness/report/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "harness/cost/summary.h"
#include "harness/report/text.h"
#include "harness/result/labels.h"

namespace layercost {
namespace {

std::string number(std::optional<double> value) { return value ? fmt::format("{}", *value) : ""; }

// A row of either kind: part is null for the model's. Those of other programs and of pairs have a part that says no
// more than what was measured, and hang on a model row without its numbers.
struct CsvRow {
  const ResultFile& file;
  const ModelRow& model;
  const PartRow* part;
  const PeerTime* peer = nullptr;
  const TradeoffRow* pair = nullptr;  // and paid, in one implementation
  const PaidBy* paid = nullptr;
  const CostRow& cost() const { return part ? static_cast<const CostRow&>(*part) : model; }
};

std::string labels_of(const CostRow& row) {
  std::string text;
  for (const Label label : row.labels) text += (text.empty() ? "" : " ") + std::string(to_string(label));
  return text;
}

struct Column {
  CsvColumn column;
  std::string (*cell)(const CsvRow&);  // already a field
};

std::string whole(std::int64_t value) { return fmt::format("{}", value); }

const std::array kColumns = {
    Column{{"model", "name of the model"}, [](const CsvRow& r) { return csv_text(r.model.model); }},
    Column{{"layer_kind", "kind of layer, head, or model for the composition"},
           [](const CsvRow& r) { return csv_text(r.part ? r.part->kind : "model"); }},
    Column{{"phase", "prefill or decode"}, [](const CsvRow& r) { return csv_text(r.model.phase); }},
    Column{{"batch", "sequences"}, [](const CsvRow& r) { return whole(r.model.batch); }},
    Column{{"context", "decode: tokens cached before the step; prefill: prompt length"},
           [](const CsvRow& r) { return whole(r.model.context); }},
    Column{{"tokens", "rows that one step processes"}, [](const CsvRow& r) { return whole(r.model.tokens); }},
    Column{{"weight_type", "number format of the weights"},
           [](const CsvRow& r) { return csv_text(r.model.weight_type); }},
    Column{{"activation_type", "number format of the activations"},
           [](const CsvRow& r) { return csv_text(r.model.activation_type); }},
    Column{{"kv_type", "number format of the KV cache"}, [](const CsvRow& r) { return csv_text(r.model.kv_type); }},
    Column{{"device", "cpu, cuda:0, ..."}, [](const CsvRow& r) { return csv_text(r.model.device); }},
    Column{{"routing", "how tokens were spread over experts; empty without experts"},
           [](const CsvRow& r) { return csv_text(r.model.routing); }},
    Column{{"time_s", ""}, [](const CsvRow& r) { return number(r.cost().time_s); }},
    Column{{"tokens_per_s", ""}, [](const CsvRow& r) { return number(r.cost().tokens_per_s); }},
    Column{{"possible_fraction", ""}, [](const CsvRow& r) { return number(r.cost().possible_fraction); }},
    Column{{"memory_required_bytes", ""}, [](const CsvRow& r) { return number(r.model.memory_required_bytes); }},
    Column{{"fits", "whether the whole model fits the device at this point: true or false"},
           [](const CsvRow& r) { return std::string(r.model.fits ? (*r.model.fits ? "true" : "false") : ""); }},
    Column{{"usd_per_mtok", ""}, [](const CsvRow& r) { return number(r.cost().usd_per_mtok); }},
    Column{{"state", "measured, wrong, unsupported, out_of_memory, failed or skipped"},
           [](const CsvRow& r) { return std::string(to_string(r.cost().outcome)); }},
    Column{{"time_low_s", ""},
           [](const CsvRow& r) { return r.cost().time_interval ? number(r.cost().time_interval->low) : ""; }},
    Column{{"time_high_s", ""},
           [](const CsvRow& r) { return r.cost().time_interval ? number(r.cost().time_interval->high) : ""; }},
    Column{{"labels", "separated by spaces; see result/labels.h"},
           [](const CsvRow& r) { return csv_text(labels_of(r.cost())); }},
    Column{{"price_id", "whose price usd_per_mtok uses"},
           [](const CsvRow& r) { return csv_text(r.file.price ? r.file.price->id : ""); }},
    Column{{"note", "of the model's row: hypothetical: does not fit, if so"},
           [](const CsvRow& r) {
             return csv_text(r.peer ? r.peer->remark : r.part ? "" : r.model.note);
           }},
    Column{{"why", "reason, where the state is not measured"}, [](const CsvRow& r) { return csv_text(r.cost().why); }},
    Column{{"layer_count", "how often the kind occurs in the model; empty for the model"},
           [](const CsvRow& r) { return r.part && !r.pair ? whole(r.part->count) : ""; }},
    Column{{"device_name", "the machine"}, [](const CsvRow& r) { return csv_text(r.file.environment.device_name); }},
    Column{{"measured_at", "start of the run, UTC"}, [](const CsvRow& r) { return csv_text(r.file.started_at); }},
    Column{{"schema_version", "of the result file"}, [](const CsvRow& r) { return csv_text(r.file.schema_version); }},
    Column{{"nominal_fraction", ""}, [](const CsvRow& r) { return number(r.cost().nominal_fraction); }},
};

// Behind the others, where a file has peers. A pair's row is the MoE's, with layer_kind pair.
const std::array kPeerColumns = {
    Column{{"implementation", "layercost, or the other program that the row's time or ratio is of"},
           [](const CsvRow& r) {
             return csv_text(r.peer ? r.peer->implementation : r.paid ? r.paid->implementation : kOurName);
           }},
    Column{{"pair_dense", "of a pair's row: the dense model that the row's MoE is held against"},
           [](const CsvRow& r) { return csv_text(r.pair ? r.pair->dense : ""); }},
    Column{{"paired_rounds", "rounds that both sides of the row's ratio have"},
           [](const CsvRow& r) {
             const std::optional<Ratio> ratio = r.peer ? r.peer->ratio : r.paid ? r.paid->paid : std::nullopt;
             return ratio ? whole(ratio->rounds) : "";
           }},
    Column{{"peer_ratio", ""},
           [](const CsvRow& r) { return r.peer && r.peer->ratio ? number(r.peer->ratio->ratio) : ""; }},
    Column{{"peer_ratio_low", ""},
           [](const CsvRow& r) {
             return r.peer && r.peer->ratio && r.peer->ratio->interval ? number(r.peer->ratio->interval->low) : "";
           }},
    Column{{"peer_ratio_high", ""},
           [](const CsvRow& r) {
             return r.peer && r.peer->ratio && r.peer->ratio->interval ? number(r.peer->ratio->interval->high) : "";
           }},
    Column{{"promised_ratio", ""}, [](const CsvRow& r) { return r.pair ? number(r.pair->promised) : ""; }},
    Column{{"layers_possible_ratio", ""},
           [](const CsvRow& r) { return r.pair ? number(r.pair->possible_layers) : ""; }},
    Column{{"layers_paid_ratio", ""},
           [](const CsvRow& r) { return r.paid && r.paid->paid ? number(r.paid->paid->ratio) : ""; }},
    Column{{"layers_paid_ratio_low", ""},
           [](const CsvRow& r) {
             return r.paid && r.paid->paid && r.paid->paid->interval ? number(r.paid->paid->interval->low) : "";
           }},
    Column{{"layers_paid_ratio_high", ""},
           [](const CsvRow& r) {
             return r.paid && r.paid->paid && r.paid->paid->interval ? number(r.paid->paid->interval->high) : "";
           }},
};

template <std::size_t N>
std::array<CsvColumn, N> names_of(const std::array<Column, N>& columns) {
  std::array<CsvColumn, N> names;
  for (std::size_t i = 0; i < N; ++i) names[i] = columns[i].column;
  return names;
}
const auto kColumnNames = names_of(kColumns);
const auto kPeerColumnNames = names_of(kPeerColumns);

void print_row(std::string& out, const CsvRow& row, bool with_peers) {
  for (std::size_t i = 0; i < kColumns.size(); ++i) out += (i == 0 ? "" : ",") + kColumns[i].cell(row);
  if (with_peers)
    for (const Column& column : kPeerColumns) out += "," + column.cell(row);
  out += "\n";
}

// What was measured, without any of the numbers.
ModelRow scenario_of(const ModelRow& model) {
  ModelRow row;
  row.model = model.model;
  row.phase = model.phase;
  row.batch = model.batch;
  row.context = model.context;
  row.tokens = model.tokens;
  row.weight_type = model.weight_type;
  row.activation_type = model.activation_type;
  row.kv_type = model.kv_type;
  row.device = model.device;
  row.routing = model.routing;
  return row;
}

template <typename Row>
bool is_of(const Row& row, const std::string& name, const ModelRow& model) {
  return name == model.model && row.phase == model.phase && row.batch == model.batch && row.context == model.context &&
         row.weight_type == model.weight_type && row.routing == model.routing;
}

void print_peers(std::string& out, const ResultFile& file, const Summary& summary, const ModelRow& model,
                 const std::string& kind) {
  const ModelRow scenario = scenario_of(model);
  for (const LayersRow& row : summary.layers) {
    if (!is_of(row, row.model, model) || row.kind != kind) continue;
    for (const PeerTime& peer : row.peers) {
      PartRow part;
      part.kind = kind;
      part.count = row.count;
      part.outcome = peer.time_s ? Outcome::measured : Outcome::skipped;
      part.why = peer.time_s ? "" : peer.remark;
      part.time_s = peer.time_s;
      part.time_interval = peer.time_interval;
      print_row(out, {file, scenario, &part, &peer}, true);
    }
  }
}

void print_pairs(std::string& out, const ResultFile& file, const Summary& summary, const ModelRow& moe) {
  const ModelRow scenario = scenario_of(moe);
  for (const TradeoffRow& row : summary.tradeoffs) {
    if (!is_of(row, row.moe, moe)) continue;
    for (const PaidBy& by : row.layers) {
      if (!by.paid && by.implementation != kOurName) continue;  // not on both sides
      PartRow part;
      part.kind = "pair";
      part.outcome = by.paid ? Outcome::measured : Outcome::skipped;
      part.why = by.why;
      print_row(out, {file, scenario, &part, nullptr, &row, &by}, true);
    }
  }
}

}  // namespace

std::span<const CsvColumn> csv_columns() { return kColumnNames; }
std::span<const CsvColumn> csv_peer_columns() { return kPeerColumnNames; }

std::string csv_text(std::string_view text) {
  std::string field = plain(text, 5000);
  constexpr std::string_view kFormula = "=+-@";
  if (!field.empty() && kFormula.find(field[0]) != std::string_view::npos) field.insert(field.begin(), '\'');
  // Line breaks became '?' in plain(); leading and trailing spaces survive only in quotes.
  if (field.find_first_of(",\"\n\r") == std::string::npos && !field.starts_with(' ') && !field.ends_with(' '))
    return field;
  std::string quoted = "\"";
  for (const char c : field) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string render_csv(std::span<const ResultFile> files, const ReportOptions&) {
  std::string out;
  const bool with_peers =
      std::any_of(files.begin(), files.end(), [](const ResultFile& file) { return !file.peers.empty(); });
  for (const CsvColumn& column : csv_columns()) out += (out.empty() ? "" : ",") + std::string(column.name);
  if (with_peers)
    for (const CsvColumn& column : csv_peer_columns()) out += "," + std::string(column.name);
  out += "\n";
  for (const ResultFile& file : files) {
    const Summary summary = summarise(file);
    for (const ModelRow& model : summary.models) {
      for (const PartRow& part : model.parts) {
        print_row(out, {file, model, &part}, with_peers);
        print_peers(out, file, summary, model, part.kind);
      }
      print_row(out, {file, model, nullptr}, with_peers);
      print_pairs(out, file, summary, model);
    }
  }
  return out;
}

}  // namespace layercost
