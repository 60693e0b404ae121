// SPDX-License-Identifier: Apache-2.0
#include "harness/report/csv.h"

#include <fmt/format.h>

#include <array>
#include <optional>

#include "harness/cost/summary.h"
#include "harness/report/text.h"
#include "harness/result/labels.h"

namespace layercost {
namespace {

std::string number(std::optional<double> value) { return value ? fmt::format("{}", *value) : ""; }

// A row of either kind: part is null for the model's.
struct CsvRow {
  const ResultFile& file;
  const ModelRow& model;
  const PartRow* part;
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
           [](const CsvRow& r) { return csv_text(r.part ? "" : r.model.note); }},
    Column{{"why", "reason, where the state is not measured"}, [](const CsvRow& r) { return csv_text(r.cost().why); }},
    Column{{"layer_count", "how often the kind occurs in the model; empty for the model"},
           [](const CsvRow& r) { return r.part ? whole(r.part->count) : ""; }},
    Column{{"device_name", "the machine"}, [](const CsvRow& r) { return csv_text(r.file.environment.device_name); }},
    Column{{"measured_at", "start of the run, UTC"}, [](const CsvRow& r) { return csv_text(r.file.started_at); }},
    Column{{"schema_version", "of the result file"}, [](const CsvRow& r) { return csv_text(r.file.schema_version); }},
    Column{{"nominal_fraction", ""}, [](const CsvRow& r) { return number(r.cost().nominal_fraction); }},
};

const auto kColumnNames = [] {
  std::array<CsvColumn, kColumns.size()> names;
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = kColumns[i].column;
  return names;
}();

void print_row(std::string& out, const CsvRow& row) {
  for (std::size_t i = 0; i < kColumns.size(); ++i) out += (i == 0 ? "" : ",") + kColumns[i].cell(row);
  out += "\n";
}

}  // namespace

std::span<const CsvColumn> csv_columns() { return kColumnNames; }

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
  for (const CsvColumn& column : csv_columns()) out += (out.empty() ? "" : ",") + std::string(column.name);
  out += "\n";
  for (const ResultFile& file : files) {
    const Summary summary = summarise(file);
    for (const ModelRow& model : summary.models) {
      for (const PartRow& part : model.parts) print_row(out, {file, model, &part});
      print_row(out, {file, model, nullptr});
    }
  }
  return out;
}

}  // namespace layercost
