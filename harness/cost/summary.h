// What:    everything that the reports show, computed once from a result file. Reports format these rows and compute
//          nothing; the JSON form may be stored in the file beside the samples it came from.
// Rules:   absent stays absent. Every point and part of the file has its row, in the file's order, whatever its
//          outcome. Labels of the record are kept; `impossible` and `preliminary` are added from the samples.
//          A composition whose layers do not add up (DepthRecord, residual above 5 %) is withheld: outcome skipped,
//          with the reason; its parts stay.
// Units:   as in cost/metrics.h, where every name is explained.
// Errors:  BadInput for a price that is not positive. Nothing else: what cannot be computed is absent.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "harness/cost/composition.h"
#include "harness/cost/formats.h"
#include "harness/cost/levers.h"
#include "harness/cost/peers.h"
#include "harness/cost/tradeoff.h"
#include "harness/cost/twins.h"
#include "harness/result/record.h"
#include "harness/result/stats.h"

namespace layercost {

// Stands next to throughput and money of a point that does not fit the device (DESIGN 9).
inline constexpr const char* kDoesNotFit = "hypothetical: does not fit";

struct CostRow {  // what a part and a model have in common
  Outcome outcome = Outcome::skipped;
  std::string why;  // for everything but measured
  std::optional<double> time_s;
  std::optional<Interval> time_interval;
  std::optional<double> tokens_per_s;
  std::optional<double> possible_s, possible_fraction;
  std::optional<double> nominal_fraction;  // absent where the vendor's figures are not known
  std::optional<double> usd_per_mtok;      // of a part: of one layer
  std::optional<Interval> usd_per_mtok_interval;
  std::vector<Label> labels;  // of a model: all of its parts'
};

struct PartRow : CostRow {
  std::string kind;
  std::int64_t count = 0;
  std::optional<double> hard_bound_fraction;
  std::optional<double> distinct_experts;
  std::int64_t rounds = 0, samples = 0;
};

struct ModelRow : ScenarioRecord, CostRow {  // the composition; `layer-derived floor`
  std::int64_t tokens = 0;
  std::optional<double> memory_required_bytes, device_bytes;
  std::optional<bool> fits;  // absent if the file does not say what memory is needed
  std::optional<std::int64_t> largest_batch;
  std::string note;  // kDoesNotFit or ""
  std::vector<PartRow> parts;
  std::optional<double> tokens_per_s_user;  // decode: what one sequence gets of it (cost/frontier.h)
  std::optional<Interval> tokens_per_s_user_interval;
  std::optional<double> tokens_per_usd;  // absent without a price
  std::optional<bool> on_frontier;       // of decode points; absent of one that has no time or does not fit
};

struct DepthRow : ScenarioRecord {
  std::string kind;
  std::vector<std::int64_t> depths;  // of its stacks
  std::optional<DepthFit> fit;
};

// One model's decode point with one of its prefill points, for the price's mix.
struct BlendRow : ScenarioRecord {  // of the decode point
  std::size_t point = 0;            // the decode point among the file's
  std::int64_t prompt_batch = 0, prompt_tokens = 0;
  std::optional<double> input_usd_per_mtok, output_usd_per_mtok;
  std::optional<double> blended_usd_per_mtok, on_output_usd_per_mtok;
  std::string note;  // kDoesNotFit, why there is no price, or ""
};

struct RoofRow {  // over the samples of all parts that compute in it
  std::string arithmetic;
  double read_bytes_per_s = 0, read_low_bytes_per_s = 0, read_high_bytes_per_s = 0;
  double flops_per_s = 0;
};

struct Summary {
  std::vector<ModelRow> models;  // one per point
  std::vector<TradeoffRow> tradeoffs;
  std::vector<Crossover> crossovers;
  std::vector<TwinRow> twins;
  std::vector<LadderRow> ladders;
  std::vector<FormatRow> formats;
  std::vector<Implementation> peers;  // empty without peers, and so are the next two
  std::vector<LayersRow> layers;
  std::vector<Crossover> layers_crossovers;  // ours, of the layers alone
  std::vector<DepthRow> depths;
  std::vector<BlendRow> blends;              // empty without a mix
  std::vector<RoofRow> roofs;                // by arithmetic
  std::vector<Label> common_labels;          // that every measured part carries
  std::map<Outcome, std::int64_t> outcomes;  // parts by outcome
};

Summary summarise(const ResultFile& file);
nlohmann::json to_json(const Summary& summary);

}  // namespace layercost
