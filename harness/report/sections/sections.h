// What:    the builders of the sections, one file each, and what several of them use.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "harness/cost/summary.h"
#include "harness/report/section.h"
#include "harness/result/record.h"

namespace layercost {

// THE list of builders; kSections says their order.
Section head_section(const ResultFile&, const Summary&, const View&);       // machine, price, limits, state
Section models_section(const ResultFile&, const Summary&, const View&);     // one layer | whole model
Section frontier_section(const ResultFile&, const Summary&, const View&);     // cheap against fast, over the batch
Section sensitivity_section(const ResultFile&, const Summary&, const View&);  // at other use and price
Section break_even_section(const ResultFile&, const Summary&, const View&);   // own, rent or ask an API
Section blends_section(const ResultFile&, const Summary&, const View&);     // one price for a mix of tokens
Section peers_section(const ResultFile&, const Summary&, const View&);      // the same layers in other programs
Section tradeoffs_section(const ResultFile&, const Summary&, const View&);  // promised, possible, paid
Section twins_section(const ResultFile&, const Summary&, const View&);      // against dense models nobody trained
Section levers_section(const ResultFile&, const Summary&, const View&);     // what each design decision saves
Section programs_section(const ResultFile&, const Summary&, const View&);   // the same of the layers, in each program
Section formats_section(const ResultFile&, const Summary&, const View&);    // the same of weight formats
Section depths_section(const ResultFile&, const Summary&, const View&);     // whether layers add up
Section verdict_section(const ResultFile&, const Summary&, const View&);    // all of it in one sentence
Section words_section(const ResultFile&, const Summary&, const View&);  // what the words mean, and the file's warnings

// A column with the way from a subject to its cell.
template <typename Subject>
struct ColumnOf {
  Column column;
  TableCell (*cell)(const Subject&);
};
template <typename Subject>
std::vector<Column> columns_of(const std::vector<ColumnOf<Subject>>& all) {
  std::vector<Column> columns;
  for (const auto& one : all) columns.push_back(one.column);
  return columns;
}
template <typename Subject>
std::vector<TableCell> cells_of(const std::vector<ColumnOf<Subject>>& all, const Subject& subject) {
  std::vector<TableCell> cells;
  cells.reserve(all.size());
  for (const auto& one : all) cells.push_back(one.cell(subject));
  return cells;
}

// What a row of data is of; in data only. `layer_kind`: a kind of layer, head, or what else the row is of. `kind`: as
// in data.h, "" for layer_kind.
std::vector<Column> behind_identity(std::vector<Column> columns);
std::vector<TableCell> identity_cells(const ResultFile& file, const ModelRow& scenario, const std::string& layer_kind,
                                      const std::string& kind = "");

// Without the empty ones.
std::string joined(const std::vector<std::string>& parts, std::string_view separator);
// "uniform routing", or "" without experts.
std::string routing_text(const std::string& routing);
// "decode, batch 1, context 1024".
std::string step_text(const ScenarioRecord& scenario);
// "bf16", or "f8 weights, bf16 activations, bf16 KV".
std::string types_text(const ScenarioRecord& scenario);
// "pytorch 2.15.0".
std::string versioned(const Implementation& implementation);

// How many of the rows (points with something measured) carry a label. One that makes few of them doubtful stands on
// those; one that half of them carry, and at least three, is of the machine or the run and is said once, below.
// IMPOSSIBLE always stands on its row: it takes the number away.
struct LabelUse {
  std::size_t rows = 0, of = 0;
  bool everywhere = false;  // on every part: the state line says it
  bool on_rows = false;
};
LabelUse use_of(Label label, const Summary& summary);

// Rows of one pair that differ in their step (phase, batch, context) alone.
bool same_but_step(const ScenarioRecord& a, const ScenarioRecord& b);
struct PairGroup {
  std::string title, facts;  // "dense → moe", "bf16 · uniform routing"
  std::vector<const TradeoffRow*> rows;
  std::string both() const { return facts.empty() ? title : title + ", " + facts; }
};
std::vector<PairGroup> pair_groups(const Summary& summary);
// The point that a row is of (of a pair: its mixture of experts), and the row's place in data: behind its whole model.
std::pair<const ModelRow*, Place> place_of(const ScenarioRecord& row, const Summary& summary, std::size_t behind = 1);

// "(start)", "experts", "int4_g128 weights".
std::string lever_text(const LeverStep&);
// "2.8", "below 0.996", "above 4".
std::string isoline_text(const Isoline&);

// Of a weight format's row: the points in the plain format and in this one.
std::vector<const ModelRow*> both_points(const FormatRow& row, const Summary& summary);

// Whether any whole model was composed; without (--no-head, or none got that far) single layers are what there is.
bool has_whole_models(const Summary& summary);

// Where peers were measured and no whole model was (--no-head), the trade-offs are shown for the layers alone.
bool shows_layers_alone(const Summary& summary);

}  // namespace layercost
