// SPDX-License-Identifier: Apache-2.0
#include "harness/cli/projecting.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "harness/cli/amounts.h"
#include "harness/cli/listing.h"
#include "harness/cli/reading.h"
#include "harness/cost/summary.h"
#include "harness/cost/token_cost.h"
#include "harness/measure/op_records.h"
#include "harness/report/section.h"
#include "harness/report/text.h"
#include "harness/result/labels.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

using OrderedJson = nlohmann::ordered_json;
constexpr double kGB = 1e9, kGiB = 1 << 30;

// The figures used, each with whose it is.
std::vector<std::string> sources_of(const HardwareSpec& hardware, const Projection& p) {
  std::vector<std::string> out;
  const auto add = [&](const std::string& what, const std::string& from, const std::string& date, bool verified) {
    out.push_back(fmt::format("{}: {}, {}{}", what, from, date, verified ? "" : " (not verified)"));
  };
  add("memory", hardware.memory_bytes.source, hardware.memory_bytes.date, hardware.memory_bytes.verified);
  add("memory rate", hardware.memory_bytes_per_s.source, hardware.memory_bytes_per_s.date,
      hardware.memory_bytes_per_s.verified);
  std::set<std::string> told;
  for (const NominalRate& rate : p.rates)
    if (told.insert(rate.dtype).second)
      add(fmt::format("arithmetic in {}", rate.dtype), rate.source, rate.date, rate.verified);
  return out;
}

// "148 TFLOP/s in bf16, 296 TFLOP/s in fp8 for bf16 x fp8_block128".
std::string rates_text(const Projection& p) {
  std::vector<std::string> out;
  for (const NominalRate& rate : p.rates)
    out.push_back(fmt::format("{} in {}{}{}", si(rate.flops_per_s, "FLOP/s"), rate.dtype,
                              rate.accumulate.empty() ? "" : fmt::format(" (sums in {})", rate.accumulate),
                              rate.arithmetic == rate.dtype ? "" : " for " + rate.arithmetic));
  return fmt::format("{}", fmt::join(out, ", "));
}

std::string time_text(double seconds) { return shown(number_cell(seconds), Form::time); }

std::string ops_text(const Projection& p, bool measured) {
  std::string out;
  for (const ProjectedPart& part : p.parts) {
    say(out, "\n{} x {}, each\n", part.count, part.kind);
    std::vector<Column> columns = {{.head = "component", .gap = 2, .align = Align::left},
                                   {.head = "limit", .gap = 2, .align = Align::left},
                                   {.head = "possible", .gap = 2},
                                   {.head = "of step", .gap = 2, .leaves = 2}};
    if (measured) {
      columns.push_back({.head = "efficiency", .gap = 2});
      columns.push_back({.head = "projected", .gap = 2});
      columns.push_back({.head = "size", .gap = 2, .leaves = 1});
    }
    Listing listing(columns);
    for (const ProjectedOp& op : part.ops) {
      const bool bound = !op.limited_by.empty();
      std::vector<std::string> cells = {
          op.component, bound ? op.limited_by : "-", bound ? time_text(op.possible_s) : "-",
          bound ? fmt::format("{:.1f} %", 100 * static_cast<double>(part.count) * op.possible_s / *p.possible_s) : "-"};
      if (measured) {
        cells.push_back(op.efficiency    ? fmt::format("{:.1f} %", 100 * *op.efficiency)
                        : op.projected_s ? "carried"
                                         : "not measured");
        cells.push_back(op.projected_s ? time_text(*op.projected_s) : "");
        cells.push_back(op.projected_s ? fmt::format("{}x{}", digits(op.fold), op.is_far() ? " FAR" : "") : "");
      }
      listing.add(std::move(cells));
    }
    out += listing.text();
  }
  return out;
}

// Components, each once, of which no measured op was near in size.
std::vector<std::string> far_ops(const Projection& p) {
  std::vector<std::string> out;
  for (const ProjectedPart& part : p.parts)
    for (const ProjectedOp& op : part.ops)
      if (op.is_far() && std::find(out.begin(), out.end(), op.component) == out.end()) out.push_back(op.component);
  return out;
}

std::string measured_text(const ProjectionTarget& target, const Projection& p) {
  if (!target.measured) return "";
  std::string out = efficiency_text(target.measured->sources);
  std::set<std::string_view> labels;
  double fold = 1;
  for (const ProjectedPart& part : p.parts)
    for (const ProjectedOp& op : part.ops) {
      for (const Label label : op.labels) labels.insert(text_of(label).shown);
      fold = std::max(fold, op.fold);
    }
  if (fold > 1.5) say(out, "  of ops up to {} times larger or smaller than these\n", digits(fold));
  if (const auto far = far_ops(p); !far.empty())
    say(out, "  FAR: {} by more than {:.0f} times, further than measurements have checked\n", fmt::join(far, ", "),
        kCheckedFold);
  if (!labels.empty()) say(out, "  labelled {}\n", fmt::join(labels, ", "));
  if (!p.missing.empty())
    say(out, "projected: withheld, for these results hold no such op as: {}\n", fmt::join(p.missing, ", "));
  return out;
}

// "12.3 ms a step, 12.3 tokens/s for each user, 98.4 in all".
std::string step_text(const Projection& p, double step_s) {
  const std::string all = digits(p.tokens_per_s(step_s), 4);
  const std::string step = fmt::format("{} ms a step, ", digits(1e3 * step_s, 4));
  return step + (p.per_user ? fmt::format("{} tokens/s for each user, {} in all", digits(1 / step_s, 4), all)
                            : fmt::format("{} tokens/s", all));
}

std::string beside(const PointProjection& point) { return point.fits() ? "" : fmt::format("; {}", kDoesNotFit); }

std::string money_text(const ProjectionTarget& target, const PointProjection& point) {
  if (!target.price) return "";
  const Projection& p = point.steps;
  const PriceRecord& price = *target.price;
  std::string out;
  const std::string each = p.devices > 1 ? fmt::format(" for each of {} devices", p.devices) : "";
  say(out, "price: {:.4g} USD/h{}, {}\n", price.usd_per_hour, each, plain(price.label, 300));
  if (!price.source.empty()) say(out, "  source: {}, {}\n", plain(price.source, 400), price.retrieved_at);
  for (const PriceLabel label : price.labels)
    say(out, "  {}: {}\n", text_of(label).shown,
        label == PriceLabel::other_device ? "of another device than --on names" : text_of(label).meaning);
  const double use = price.utilisation.value_or(kUtilisationFloor);
  say(out, "cost: {} USD per million {} tokens where all that is possible is reached (NOMINAL){}\n",
      digits(*usd_per_mtok(target.price, p, p.possible_s), 4), p.per_user ? "output" : "input", beside(point));
  if (p.projected_s)
    say(out, "      {} USD with measured efficiency{}\n", digits(*usd_per_mtok(target.price, p, p.projected_s), 4),
        beside(point));
  say(out, "      layer-derived floor: {:.4g} % of the hours paid for do this work; no scheduler, no network\n",
      100 * use);
  return out;
}

// What is left where the vendor gives no rate for the activations' type.
std::string memory_bound_text(const ProjectionTarget& target, const PointProjection& point) {
  const Projection& p = point.steps;
  std::string out;
  const std::string why = fmt::format("the vendor gives no rate for {}", point.activation_type);
  say(out, "possible: unknown, {}\n", why);
  say(out, "  nothing real is faster than {}, at {}/s of memory{}\n", step_text(p, p.memory_bound_s),
      si(p.read_bytes_per_s, "B"), beside(point));
  if (target.measured) say(out, "efficiency: absent, it would be of a rate, and {}\n", why);
  if (target.price) say(out, "cost: absent, it is of a time that is possible, and {}\n", why);
  return out;
}

OrderedJson step_json(const ProjectionTarget& target, const PointProjection& point, double step_s) {
  const Projection& p = point.steps;
  OrderedJson out = {{"step_s", step_s}, {"tokens_per_s", p.tokens_per_s(step_s)}};
  if (p.per_user) out["tokens_per_s_user"] = 1 / step_s;
  if (const auto usd = usd_per_mtok(target.price, p, step_s)) out["usd_per_mtok"] = *usd;
  if (!point.fits()) out["hypothetical"] = true;
  return out;
}

OrderedJson parts_json(const ProjectionTarget& target, const Projection& p) {
  OrderedJson parts = OrderedJson::array();
  for (const ProjectedPart& part : p.parts) {
    OrderedJson ops = OrderedJson::array();
    for (const ProjectedOp& op : part.ops) {
      OrderedJson one = {{"component", op.component}, {"op", op.op}, {"possible_s", op.possible_s}};
      if (!op.limited_by.empty()) one["limited_by"] = op.limited_by;
      if (op.efficiency) one["efficiency"] = *op.efficiency;
      if (op.projected_s) {
        one.update({{"projected_s", *op.projected_s},
                    {"carried", !op.efficiency},
                    {"measured_at", op.where},
                    {"measured_in", target.measured->sources[op.source].file},
                    {"times_in_size", op.fold},
                    {"far_in_size", op.is_far()}});
        OrderedJson labels = OrderedJson::array();
        for (const Label label : op.labels) labels.push_back(to_string(label));
        one["labels"] = std::move(labels);
      }
      ops.push_back(std::move(one));
    }
    parts.push_back({{"kind", part.kind}, {"count", part.count}, {"ops", std::move(ops)}});
  }
  return parts;
}

OrderedJson price_json(const PriceRecord& price) {
  OrderedJson out = {{"id", price.id},
                     {"label", price.label},
                     {"usd_per_hour", price.usd_per_hour},
                     {"utilisation", price.utilisation.value_or(kUtilisationFloor)}};
  if (!price.source.empty()) out.update({{"source", price.source}, {"retrieved_at", price.retrieved_at}});
  out["labels"] = OrderedJson::array();
  for (const PriceLabel label : price.labels) out["labels"].push_back(to_string(label));
  return out;
}

}  // namespace

void add_projection_options(CLI::App& c, ProjectionOptions& o) {
  c.add_option("--on", o.on, "what this hardware allows (layercost list hardware): a projection");
  c.add_option("--devices", o.devices, "how many of them, taken as one (default 1); a model@tp8 says its own")
      ->check(CLI::Range(1, 1024));
  c.add_option("--efficiency-from", o.results,
               "results of a device of the same architecture: with the share of nominal that its ops reached")
      ->take_all();
  add_price_options(c, o.price, false, false);
  c.get_option("--price")->description(
      "USD per hour of one of what --on names (2.50/h), a price id (layercost list prices), or a file");
  c.get_option("--price-of-other-device")->description("use a price of another device than --on names");
}

std::optional<ProjectionTarget> projection_target(const ProjectionOptions& o,
                                                  const std::filesystem::path& configs_dir) {
  if (o.on.empty()) {
    if (o.devices != 1) throw BadInput("--devices: says how many of what --on names; name it, e.g. --on rtx-4090");
    if (!o.results.empty()) throw BadInput("--efficiency-from: is for what --on names; name it, e.g. --on h200-sxm");
    if (!o.price.price.empty()) throw BadInput("--price: of what --on names; name it, e.g. --on h200-sxm");
  }
  std::optional<ProjectionTarget> out;
  if (o.on.empty()) {
    price_record(o.price, "", configs_dir);  // refuses what is of a price
    return out;
  }
  out.emplace();
  out->hardware = find_hardware(o.on, configs_dir);
  out->as_one = o.devices;
  out->price = price_record(o.price, out->hardware, configs_dir);
  if (!o.results.empty())
    out->measured =
        measured_efficiencies(read_results(o.results), o.results, out->hardware, list_hardware(configs_dir));
  return out;
}

bool PointProjection::fits_in_gib() const {
  const bool whole_gb = std::fmod(device_memory_bytes, kGB) == 0;
  return !fits() && whole_gb && need.total_bytes() <= memory_bytes * (kGiB / kGB);
}

PointProjection project_point(const ProjectionTarget& target, const ModelSpec& m, const Scenario& s) {
  if (target.as_one > 1 && m.whole != nullptr)
    throw BadInput(fmt::format("--devices: {} says already how many devices share it; expected --devices 1", m.name));
  PointProjection p;
  p.steps = project(step_work(m, s), target.hardware, target.as_one, target.measured ? &*target.measured : nullptr);
  p.phase = to_string(s.phase);
  p.activation_type = to_string(s.activation_type);
  p.batch = s.batch;
  p.device_memory_bytes = target.hardware.memory_bytes.value;
  p.memory_bytes = static_cast<double>(target.as_one) * p.device_memory_bytes;
  p.need = memory_need(m, s, p.memory_bytes);
  p.largest_context = largest_context(m, s, p.memory_bytes);
  return p;
}

std::string efficiency_text(const std::vector<EfficiencySource>& sources) {
  std::string out;
  for (const EfficiencySource& source : sources)
    say(out, "efficiency: as measured on {}, {} (sha256 {:.16})\n", printable(source.device_name),
        printable(source.file), source.content_hash);
  return out;
}

OrderedJson efficiency_json(const std::vector<EfficiencySource>& sources) {
  OrderedJson out = OrderedJson::array();
  for (const EfficiencySource& source : sources)
    out.push_back({{"file", source.file}, {"result_sha256", source.content_hash}, {"device_name", source.device_name}});
  return out;
}

std::string projection_text(const ProjectionTarget& target, const PointProjection& point, bool with_ops) {
  const Projection& p = point.steps;
  std::string out;
  say(out, "\nPROJECTION, nothing of it was measured: {}{}, from the vendor's figures (NOMINAL)\n",
      p.devices > 1 ? fmt::format("{} x ", p.devices) : "", target.hardware.name);
  if (target.as_one > 1) say(out, "weights and cache split evenly, communication left out\n");
  else if (p.devices > 1) say(out, "memory and ops are those of each device; communication left out\n");
  out += memory_text(point.need, point.memory_bytes, target.as_one > 1 ? "them" : "it");
  if (point.fits_in_gib())
    say(out,
        "  it would if the vendor's {:.0f} GB were GiB, as a device's GB often are; what it reports is not known "
        "here\n",
        target.hardware.memory_bytes.value / kGB);
  say(out, "largest context at batch {}: {}\n", point.batch,
      point.largest_context ? std::to_string(*point.largest_context) : "none fits");
  if (!p.possible_s) {
    out += memory_bound_text(target, point);
  } else {
    if (with_ops) out += ops_text(p, target.measured.has_value()) + "\n";
    say(out, "possible: {}, at {}/s and {}{}\n", step_text(p, *p.possible_s), si(p.read_bytes_per_s, "B"),
        rates_text(p), beside(point));
    if (p.hard_bound_s)
      say(out, "  nothing real is faster than {} ms a step in these types, however ops overlap\n",
          digits(1e3 * *p.hard_bound_s, 4));
    else out += "  no bound: hardware that multiplies integers as such may be faster\n";
    if (p.projected_s)
      say(out, "projected: {}, with measured efficiency{}\n", step_text(p, *p.projected_s), beside(point));
    out += measured_text(target, p) + money_text(target, point);
    if (with_ops && !target.price) out += "cost: absent, no price was given (--price; layercost list prices)\n";
  }
  for (const std::string& source : sources_of(target.hardware, p)) say(out, "  {}\n", source);
  return out;
}

OrderedJson projection_json(const ProjectionTarget& target, const PointProjection& point) {
  const Projection& p = point.steps;
  OrderedJson out = {
      {"projection", true},
      {"hardware", target.hardware.name},
      {"architecture", target.hardware.architecture},
      {"devices", p.devices},
      {"arithmetic", point.activation_type},
      {"read_bytes_per_s", json_number(target.hardware.memory_bytes_per_s.value * static_cast<double>(target.as_one))}};
  if (!p.rates.empty()) {
    out["flops_per_s"] = json_number(p.rates.front().flops_per_s);
    for (const NominalRate& rate : p.rates) {
      OrderedJson one = {{"arithmetic", rate.arithmetic},
                         {"nominal", rate.dtype},
                         {"flops_per_s", json_number(rate.flops_per_s)},
                         {"is_bound", rate.is_bound}};
      if (!rate.accumulate.empty()) one["accumulate"] = rate.accumulate;
      out["rates"].push_back(std::move(one));
    }
  }
  out["memory"] = memory_json(point.need, point.memory_bytes);
  out["fits"] = point.fits();
  if (point.fits_in_gib()) out["fits_if_gib"] = true;
  if (point.largest_context) out["largest_context"] = *point.largest_context;
  if (p.possible_s) {
    out["possible_s"] = *p.possible_s;
    if (p.hard_bound_s) out["hard_bound_s"] = *p.hard_bound_s;
    out["nominal"] = step_json(target, point, *p.possible_s);
    if (p.projected_s) out["with_measured_efficiency"] = step_json(target, point, *p.projected_s);
    out["parts"] = parts_json(target, p);
  } else {
    out["why_absent"] = fmt::format("the vendor gives no rate for {}", point.activation_type);
    out["memory_bound_s"] = p.memory_bound_s;
  }
  if (target.price) out["price"] = price_json(*target.price);
  if (target.measured) {
    out["efficiency_from"] = efficiency_json(target.measured->sources);
    if (!p.missing.empty()) out["not_measured"] = p.missing;
    if (const auto far = far_ops(p); !far.empty()) out["far_in_size"] = far;
  }
  out["sources"] = sources_of(target.hardware, p);
  return out;
}

}  // namespace layercost
