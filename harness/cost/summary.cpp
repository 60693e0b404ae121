// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "harness/cost/frontier.h"
#include "harness/cost/metrics.h"
#include "harness/cost/token_cost.h"
#include "harness/result/labels.h"
#include "harness/result/roofline.h"

namespace layercost {
namespace {

using Json = nlohmann::json;

void add_label(std::vector<Label>& labels, Label label) {
  if (std::find(labels.begin(), labels.end(), label) == labels.end()) labels.push_back(label);
}

PartRow summarise_part(const PartRecord& part, const PointRecord& point, const ResultFile& file) {
  const std::optional<PriceRecord>& price = file.price;
  PartRow row;
  row.kind = part.kind;
  row.count = part.count;
  row.outcome = part.outcome;
  row.why = reason_of(part);
  row.labels = part.labels;
  if (part.routing && part.routing->distinct_experts > 0) row.distinct_experts = part.routing->distinct_experts;
  if (part.outcome != Outcome::measured) return row;
  const auto times = summarise_times(part.rounds);
  if (!times) {
    row.outcome = Outcome::failed;
    return row;
  }
  row.rounds = times->rounds;
  row.samples = times->samples;
  row.time_s = times->median;
  row.time_interval = times->interval;
  row.tokens_per_s = tokens_per_step(point) / times->median;
  row.usd_per_mtok = usd_per_mtok(price, row.tokens_per_s);
  row.usd_per_mtok_interval = usd_per_mtok(price, row.time_interval, tokens_per_step(point));
  if (const auto bounds = bounds_of(part)) {
    row.possible_fraction = bounds->possible_fraction;
    row.possible_s = bounds->possible_fraction * times->median;
    row.hard_bound_fraction = bounds->hard_fraction;
    if (bounds->impossible) add_label(row.labels, Label::impossible);
  }
  if (file.nominal && file.nominal->weight_type == point.activation_type)
    row.nominal_fraction = nominal_fraction(part, *file.nominal);
  if (times->rounds < kRoundsForHeadline || times->fewest_samples < kSamplesForHeadline) {
    add_label(row.labels, Label::preliminary);
  }
  std::sort(row.labels.begin(), row.labels.end());
  return row;
}

ModelRow summarise_point(const PointRecord& point, const ResultFile& file) {
  ModelRow row;
  static_cast<ScenarioRecord&>(row) = point;
  row.tokens = point.tokens;
  for (const PartRecord& part : point.parts) {
    row.parts.push_back(summarise_part(part, point, file));
    for (const Label label : row.parts.back().labels) add_label(row.labels, label);
  }
  std::sort(row.labels.begin(), row.labels.end());
  if (point.memory.required_bytes() > 0 && point.memory.device_bytes > 0) {
    row.memory_required_bytes = point.memory.required_bytes();
    row.device_bytes = point.memory.device_bytes;
    row.fits = point.memory.fits();
    row.largest_batch = point.memory.largest_batch;
    if (!*row.fits) row.note = kDoesNotFit;
  }
  const Composition composed = compose(point, file.depths);
  row.outcome = composed.outcome;
  row.why = composed.why;
  if (!composed.time_s) return row;
  row.time_s = composed.time_s;
  row.time_interval = composed.time_interval;
  row.tokens_per_s = composed.tokens_per_s;
  row.possible_s = composed.possible_s;
  row.possible_fraction = composed.possible_fraction;
  // As the composition weighs its parts: by their time.
  double nominal_s = 0, time_s = 0;
  bool known = true;
  for (const PartRow& part : row.parts) {
    if (part.count == 0) continue;
    known &= part.nominal_fraction && part.time_s;
    if (!known) break;
    nominal_s += static_cast<double>(part.count) * *part.nominal_fraction * *part.time_s;
    time_s += static_cast<double>(part.count) * *part.time_s;
  }
  if (known && time_s > 0) row.nominal_fraction = nominal_s / time_s;
  row.usd_per_mtok = usd_per_mtok(file.price, row.tokens_per_s);
  row.usd_per_mtok_interval = usd_per_mtok(file.price, row.time_interval, tokens_per_step(point));
  return row;
}

std::vector<RoofRow> summarise_roofs(const ResultFile& file) {
  struct Seen {
    std::vector<double> read, flops;
  };
  std::map<std::string, Seen> by_type;
  for (const PointRecord& point : file.points) {
    for (const PartRecord& part : point.parts) {
      for (const Round& round : part.rounds) {
        for (const Sample& sample : round.samples) {
          const auto roofs = roofs_of(sample);
          if (!roofs) continue;
          by_type[point.activation_type].read.push_back(roofs->read_bytes_per_s);
          by_type[point.activation_type].flops.push_back(roofs->flops_per_s);
          for (const auto& [arithmetic, rate] : roofs->product_flops_per_s) {
            by_type[arithmetic].read.push_back(roofs->read_bytes_per_s);
            by_type[arithmetic].flops.push_back(rate);
          }
        }
      }
    }
  }
  std::vector<RoofRow> rows;
  for (const auto& [type, seen] : by_type) {
    rows.push_back({type, median(seen.read), quantile(seen.read, 0.1), quantile(seen.read, 0.9), median(seen.flops)});
  }
  return rows;
}

std::vector<Label> labels_of_all(const std::vector<ModelRow>& models) {
  std::vector<Label> common;
  bool first = true;
  for (const ModelRow& model : models) {
    for (const PartRow& part : model.parts) {
      if (part.outcome != Outcome::measured) continue;
      if (first) common = part.labels;
      first = false;
      std::erase_if(common, [&](Label label) {
        return std::find(part.labels.begin(), part.labels.end(), label) == part.labels.end();
      });
    }
  }
  return common;
}

// Metrics go through here, so that a name without a row in the table of metrics cannot leave the program.
template <std::size_t N>
void put(Json& object, const char (&name)[N], std::optional<double> value) {
  if (!find_metric(name)) throw std::logic_error(fmt::format("{} is not in cost/metrics.h", name));
  if (value) object[name] = *value;
}

Json labels_json(const std::vector<Label>& labels) {
  Json list = Json::array();
  for (const Label label : labels) list.push_back(to_string(label));
  return list;
}

void put_cost(Json& object, const CostRow& row) {
  object["outcome"] = to_string(row.outcome);
  if (!row.why.empty()) object["why"] = row.why;
  put(object, "time_s", row.time_s);
  if (row.time_interval) {
    put(object, "time_low_s", row.time_interval->low);
    put(object, "time_high_s", row.time_interval->high);
  }
  put(object, "tokens_per_s", row.tokens_per_s);
  put(object, "possible_s", row.possible_s);
  put(object, "possible_fraction", row.possible_fraction);
  put(object, "nominal_fraction", row.nominal_fraction);
  put(object, "usd_per_mtok", row.usd_per_mtok);
  if (row.usd_per_mtok_interval) {
    put(object, "usd_per_mtok_low", row.usd_per_mtok_interval->low);
    put(object, "usd_per_mtok_high", row.usd_per_mtok_interval->high);
  }
  object["labels"] = labels_json(row.labels);
}

Json part_json(const PartRow& row) {
  Json object;
  object["kind"] = row.kind;
  object["count"] = row.count;
  put_cost(object, row);
  put(object, "hard_bound_fraction", row.hard_bound_fraction);
  put(object, "distinct_experts", row.distinct_experts);
  object["rounds"] = row.rounds;
  object["samples"] = row.samples;
  return object;
}

Json model_json(const ModelRow& row) {
  Json object;
  object["model"] = row.model;
  object["phase"] = row.phase;
  object["batch"] = row.batch;
  object["context"] = row.context;
  object["tokens"] = row.tokens;
  object["weight_type"] = row.weight_type;
  object["activation_type"] = row.activation_type;
  object["kv_type"] = row.kv_type;
  object["device"] = row.device;
  object["routing"] = row.routing;
  object["basis"] = "layer-derived floor";
  put_cost(object, row);
  put(object, "tokens_per_s_user", row.tokens_per_s_user);
  put(object, "tokens_per_usd", row.tokens_per_usd);
  if (row.on_frontier) object["on_frontier"] = *row.on_frontier;
  put(object, "memory_required_bytes", row.memory_required_bytes);
  put(object, "device_bytes", row.device_bytes);
  if (row.fits) object["fits"] = *row.fits;
  if (row.largest_batch) object["largest_batch"] = *row.largest_batch;
  if (!row.note.empty()) object["note"] = row.note;
  object["parts"] = Json::array();
  for (const PartRow& part : row.parts) object["parts"].push_back(part_json(part));
  return object;
}

Json paid_by_json(const PaidBy& by) {
  Json object;
  object["implementation"] = by.implementation;
  if (by.paid) {
    put(object, "layers_paid_ratio", by.paid->ratio);
    object["paired_rounds"] = by.paid->rounds;
    if (by.paid->interval) {
      put(object, "layers_paid_ratio_low", by.paid->interval->low);
      put(object, "layers_paid_ratio_high", by.paid->interval->high);
    }
  }
  if (by.verdict) object["verdict"] = to_string(*by.verdict);
  if (!by.why.empty()) object["why"] = by.why;
  object["remarked"] = by.remarked;
  return object;
}

void put_step(Json& object, const ScenarioRecord& row) {
  object["phase"] = row.phase;
  object["batch"] = row.batch;
  object["context"] = row.context;
  object["weight_type"] = row.weight_type;
  object["routing"] = row.routing;
}

// What a trade-off and a weight format have in common.
template <typename Row>
void put_ratios(Json& object, const Row& row) {
  put_step(object, row);
  put(object, "promised_ratio", row.promised);
  put(object, "possible_ratio", row.possible);
  if (row.paid) {
    put(object, "paid_ratio", row.paid->ratio);
    object["paired_rounds"] = row.paid->rounds;
    if (row.paid->interval) {
      put(object, "paid_ratio_low", row.paid->interval->low);
      put(object, "paid_ratio_high", row.paid->interval->high);
    }
  }
  if (!row.why.empty()) object["why"] = row.why;
  put(object, "layers_possible_ratio", row.possible_layers);
  for (const PaidBy& by : row.layers) object["layers_paid"].push_back(paid_by_json(by));
}

Json tradeoff_json(const TradeoffRow& row) {
  Json object;
  object["dense"] = row.dense;
  object["moe"] = row.moe;
  put_ratios(object, row);
  put(object, "total_ratio", row.like.total);
  put(object, "flops_ratio", row.like.flops);
  put(object, "bytes_ratio", row.like.bytes);
  for (const std::string_view kind : alike_in(row.like)) object["pair_kind"].push_back(kind);
  if (row.verdict) object["verdict"] = to_string(*row.verdict);
  return object;
}

Json format_json(const FormatRow& row) {
  Json object;
  object["model"] = row.model;
  object["base"] = row.base;
  put_ratios(object, row);
  return object;
}

Json crossover_json(const Crossover& row) {
  Json object;
  object["dense"] = row.dense;
  object["moe"] = row.moe;
  object["phase"] = row.of.phase;
  object["context"] = row.of.context;
  object["weight_type"] = row.of.weight_type;
  object["routing"] = row.of.routing;
  object["kind"] = to_string(row.kind);
  put(object, "crossover_batch", row.batch);
  object["below"] = row.below;
  object["above"] = row.above;
  return object;
}

Json twin_json(const TwinRow& row) {
  Json object;
  object["moe"] = row.model;
  put_step(object, row);
  object["twins"] = Json::array();
  for (const TwinSize& size : row.sizes) {
    Json& one = object["twins"].emplace_back(Json::object());
    one["twin"] = size.change;
    put(one, "promised_ratio", size.q);
    if (size.paid) put(one, "paid_ratio", size.paid->ratio);
  }
  if (!row.isoline) return object;
  object["kind"] = to_string(row.isoline->kind);
  put(object, "isoline_q", row.isoline->q);
  if (row.isoline->interval) {
    put(object, "isoline_q_low", row.isoline->interval->low);
    put(object, "isoline_q_high", row.isoline->interval->high);
  }
  object["below"] = row.isoline->below;
  object["above"] = row.isoline->above;
  return object;
}

void put_lever(Json& object, const char (&name)[13], const std::optional<PaidBy>& by) {
  if (!by) return;
  if (by->paid) put(object, name, by->paid->ratio);
  else object["why"] = by->why;
}

Json ladder_json(const LadderRow& row) {
  Json object;
  object["model"] = row.model;
  object["phase"] = row.phase;
  object["batch"] = row.batch;
  object["context"] = row.context;
  object["routing"] = row.routing;
  object["steps"] = Json::array();
  for (const LeverStep& step : row.steps) {
    Json& one = object["steps"].emplace_back(Json::object());
    one["lever"] = step.lever;
    put_lever(one, "lever_factor", step.factor);
    put_lever(one, "lever_in_all", step.in_all);
  }
  return object;
}

Json peer_json(const PeerTime& peer) {
  Json object;
  object["implementation"] = peer.implementation;
  put(object, "time_s", peer.time_s);
  if (peer.time_interval) {
    put(object, "time_low_s", peer.time_interval->low);
    put(object, "time_high_s", peer.time_interval->high);
  }
  if (peer.ratio) {
    put(object, "peer_ratio", peer.ratio->ratio);
    object["paired_rounds"] = peer.ratio->rounds;
    if (peer.ratio->interval) {
      put(object, "peer_ratio_low", peer.ratio->interval->low);
      put(object, "peer_ratio_high", peer.ratio->interval->high);
    }
  }
  if (!peer.remark.empty()) object["remark"] = peer.remark;
  return object;
}

Json layers_json(const LayersRow& row) {
  Json object;
  object["model"] = row.model;
  object["phase"] = row.phase;
  object["batch"] = row.batch;
  object["context"] = row.context;
  object["weight_type"] = row.weight_type;
  object["routing"] = row.routing;
  object["kind"] = row.kind;
  object["count"] = row.count;
  object["outcome"] = to_string(row.outcome);
  put(object, "time_s", row.time_s);
  if (row.time_interval) {
    put(object, "time_low_s", row.time_interval->low);
    put(object, "time_high_s", row.time_interval->high);
  }
  put(object, "possible_fraction", row.possible_fraction);
  for (const PeerTime& peer : row.peers) object["peers"].push_back(peer_json(peer));
  return object;
}

Json blend_json(const BlendRow& row) {
  Json object;
  object["model"] = row.model;
  object["batch"] = row.batch;
  object["context"] = row.context;
  object["weight_type"] = row.weight_type;
  object["routing"] = row.routing;
  object["prompt_batch"] = row.prompt_batch;
  object["prompt_tokens"] = row.prompt_tokens;
  put(object, "input_usd_per_mtok", row.input_usd_per_mtok);
  put(object, "output_usd_per_mtok", row.output_usd_per_mtok);
  put(object, "blended_usd_per_mtok", row.blended_usd_per_mtok);
  put(object, "on_output_usd_per_mtok", row.on_output_usd_per_mtok);
  return object;
}

Json depth_json(const DepthRow& row) {
  Json object;
  object["model"] = row.model;
  object["kind"] = row.kind;
  object["phase"] = row.phase;
  object["batch"] = row.batch;
  object["context"] = row.context;
  if (row.fit) {
    put(object, "overhead_s", row.fit->overhead_s);
    put(object, "layer_s", row.fit->layer_s);
    put(object, "depth_residual_fraction", row.fit->residual);
    put(object, "depth_spread_fraction", row.fit->spread);
    object["additive"] = row.fit->additive();
  }
  return object;
}

Json roof_json(const RoofRow& row) {
  Json object;
  object["weight_type"] = row.arithmetic;
  put(object, "read_bytes_per_s", row.read_bytes_per_s);
  put(object, "read_low_bytes_per_s", row.read_low_bytes_per_s);
  put(object, "read_high_bytes_per_s", row.read_high_bytes_per_s);
  put(object, "flops_per_s", row.flops_per_s);
  return object;
}

template <typename Row>
Json list_of(const std::vector<Row>& rows, Json (*to_object)(const Row&)) {
  Json list = Json::array();
  for (const Row& row : rows) list.push_back(to_object(row));
  return list;
}

// Every decode point with every prefill point of the same model and types.
std::vector<BlendRow> blends_of(const Summary& summary, const MixRecord& mix) {
  const auto shared = [](const ScenarioRecord& row) {
    return without(row, {Member::phase, Member::batch, Member::context, Member::new_tokens});
  };
  std::map<ScenarioRecord, std::vector<const ModelRow*>> prompts;
  for (const ModelRow& in : summary.models)
    if (in.phase == "prefill") prompts[shared(in)].push_back(&in);
  std::vector<BlendRow> rows;
  for (std::size_t point = 0; point < summary.models.size(); ++point) {
    const ModelRow& out = summary.models[point];
    if (out.phase != "decode") continue;
    for (const ModelRow* in : prompts[shared(out)]) {
      BlendRow row;
      static_cast<ScenarioRecord&>(row) = out;
      row.point = point;
      row.prompt_batch = in->batch;
      row.prompt_tokens = in->context;
      row.input_usd_per_mtok = in->usd_per_mtok;
      row.output_usd_per_mtok = out.usd_per_mtok;
      row.note = !out.note.empty() ? out.note : in->note;
      if (in->usd_per_mtok && out.usd_per_mtok) {
        const Blend b = blend(*in->usd_per_mtok, *out.usd_per_mtok, mix);
        row.blended_usd_per_mtok = b.usd_per_mtok;
        row.on_output_usd_per_mtok = b.on_output_usd_per_mtok;
      } else {
        row.note = fmt::format("no price of {}: its model has no time", in->usd_per_mtok ? "output" : "input");
      }
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

}  // namespace

Summary summarise(const ResultFile& file) {
  Summary summary;
  std::map<ScenarioRecord, const PointRecord*> points;
  if (!file.depths.empty())
    for (const PointRecord& point : file.points) points.emplace(point, &point);
  for (const DepthRecord& record : file.depths) {
    const auto point = points.find(record);
    const PartRecord* part = point == points.end() ? nullptr : timed_part(*point->second, record.kind);
    summary.depths.push_back({record, record.kind, record.depths, fit_depth(record, part)});
  }
  for (const PointRecord& point : file.points) summary.models.push_back(summarise_point(point, file));
  mark_frontier(summary.models);
  if (file.price && file.price->mix) summary.blends = blends_of(summary, *file.price->mix);
  summary.tradeoffs = tradeoffs(file);
  summary.crossovers = crossovers(summary.tradeoffs);
  summary.twins = twin_rows(summary.tradeoffs);
  summary.ladders = ladder_rows(file);
  summary.formats = format_rows(file);
  summary.peers = peer_implementations(file);
  summary.layers = layers_beside_peers(file);
  summary.layers_crossovers = crossovers(of_layers_alone(summary.tradeoffs));
  summary.roofs = summarise_roofs(file);
  summary.common_labels = labels_of_all(summary.models);
  for (const ModelRow& model : summary.models) {
    for (const PartRow& part : model.parts) ++summary.outcomes[part.outcome];
  }
  return summary;
}

nlohmann::json to_json(const Summary& summary) {
  Json object;
  object["models"] = list_of(summary.models, model_json);
  object["tradeoffs"] = list_of(summary.tradeoffs, tradeoff_json);
  object["crossovers"] = list_of(summary.crossovers, crossover_json);
  if (!summary.twins.empty()) object["twins"] = list_of(summary.twins, twin_json);
  if (!summary.ladders.empty()) object["ladders"] = list_of(summary.ladders, ladder_json);
  if (!summary.formats.empty()) object["formats"] = list_of(summary.formats, format_json);
  if (!summary.peers.empty()) {
    object["layers"] = list_of(summary.layers, layers_json);
    object["layers_crossovers"] = list_of(summary.layers_crossovers, crossover_json);
  }
  object["depths"] = list_of(summary.depths, depth_json);
  if (!summary.blends.empty()) object["blends"] = list_of(summary.blends, blend_json);
  object["roofs"] = list_of(summary.roofs, roof_json);
  object["common_labels"] = labels_json(summary.common_labels);
  object["outcomes"] = Json::object();
  for (const auto& [outcome, count] : summary.outcomes) object["outcomes"][std::string(to_string(outcome))] = count;
  return object;
}

}  // namespace layercost
