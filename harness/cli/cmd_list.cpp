// layercost list: what there is.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "harness/cli/commands.h"
#include "harness/plan/counts.h"
#include "harness/report/text.h"
#include "harness/spec/closed_model.h"
#include "harness/spec/hardware_spec.h"
#include "harness/spec/price_spec.h"
#include "harness/spec/suite_spec.h"
#include "kernels/contract/registry.h"
#include "kernels/runtime/runtime.h"

namespace layercost {
namespace {

constexpr std::size_t kWidth = 80;

// "dense x 3, moe x 58"
std::string kinds_of(const ModelSpec& m) {
  std::vector<std::string> kinds;
  for (const LayerKind& kind : m.kinds) kinds.push_back(fmt::format("{} x {}", kind.name, m.count_of(kind)));
  return fmt::format("{}", fmt::join(kinds, ", "));
}

// Caches and states of activations in bf16, each token's and each sequence's.
void list_all_models(bool as_json) {
  auto all = nlohmann::ordered_json::array();
  if (!as_json)
    fmt::print("{:<35} {:>8} {:>8} {:>8} {:>9} {:>7}\n{:<35} {:>8} {:>8} {:>8} {:>9}\n", "model", "total", "active",
               "KV bytes", "state", "date", "", "1e9", "1e9", "a token", "bytes");
  for (const std::string& name : list_models(configs_dir())) {
    const ModelSpec m = find_model(name, configs_dir());
    const ParameterCount n = count_parameters(m);
    const auto kv = 2 * kv_elements_per_token(m);
    const auto state = static_cast<std::int64_t>(state_bytes_per_sequence(m, DType::bf16));
    std::filesystem::path sidecar = m.path;
    const JsonNode source = read_json(sidecar.replace_extension(".source.json"));
    const std::string from = printable(source.get_string("source", 400), 400),
                      date = printable(source.get_string("collected_by", 32));
    if (as_json) {
      auto kinds = nlohmann::ordered_json::object();
      for (const LayerKind& kind : m.kinds) kinds[kind.name] = m.count_of(kind);
      all.push_back({{"model", m.name},
                     {"id", m.id},
                     {"model_type", m.model_type},
                     {"parameters", n.total},
                     {"active_parameters", n.active},
                     {"layers", m.layers},
                     {"kinds", kinds},
                     {"kv_bytes_per_token_bf16", kv},
                     {"state_bytes_per_sequence_bf16", state},
                     {"source", from},
                     {"collected_by", date}});
      continue;
    }
    fmt::print("{:<35} {:>8.3f} {:>8.3f} {:>8} {:>9} {:>7}\n", m.name, static_cast<double>(n.total) / 1e9,
               static_cast<double>(n.active) / 1e9, kv, state > 0 ? fmt::format("{}", state) : "", date);
    for (const std::string& text : {fmt::format("{}: {}", m.model_type, kinds_of(m)), "from " + from})
      for (const std::string& line : wrap(text, kWidth - 2)) fmt::print("  {}\n", line);
  }
  if (as_json) fmt::print("{}\n", all.dump(1));
}

void list_closed() {
  const std::vector<ClosedModel> models = list_closed_models(configs_dir());
  fmt::print(
      "models without a published architecture: what their makers ask for a million\ntokens, in USD; a price "
      "says nothing of the cost\n\n");
  fmt::print("{:<18} {:<10} {:>13} {:>8} {:>8} {:>8}  {}\n", "model", "maker", "input tokens", "input", "cached",
             "output", "seen");
  std::vector<std::string> sources;
  for (const ClosedModel& m : models)
    for (const ListPrice& p : m.prices) {
      const bool first = &p == &m.prices.front();
      const std::string reach = p.up_to_tokens ? fmt::format("to {}", *p.up_to_tokens) : first ? "" : "above";
      fmt::print("{:<18} {:<10} {:>13} {:>8} {:>8} {:>8}  {}\n", first ? m.name : "", first ? m.maker : "", reach,
                 p.input, p.cached_input.value_or(""), p.output, p.retrieved_at);
      if (std::find(sources.begin(), sources.end(), p.source) == sources.end()) sources.push_back(p.source);
    }
  fmt::print("\nsources: {}\n", fmt::join(sources, "; "));
}

void list_ops(bool with_variants) {
  // The first device of each kind that can be used; of a kind that has none, one that could, and why there is none.
  std::map<Target, DeviceListing> devices;
  for (const DeviceListing& l : list_devices()) {
    const auto known = devices.find(l.info.target);
    if (known == devices.end() || (!known->second.why_not.empty() && l.why_not.empty())) devices[l.info.target] = l;
  }
  for (auto& [target, l] : devices)
    if (!l.why_not.empty() && l.info.cuda.major == 0) {
      l.info.cuda.major = 9;
      l.info.cuda.multiprocessors = 132;
      l.info.cuda.shared_bytes_per_block = std::size_t{227} << 10;
    }
  for (const OpDef* op : all_ops()) {
    fmt::print("{:<15} {}\n", op->name, op->summary);
    if (!with_variants) continue;
    for (const Variant* v : op->variants()) {
      std::string why;
      bool any = false;
      for (const OpCase& c : op->test_cases()) {
        // Of every variant the cases of its own types: the reason to be told is the machine's.
        if (!what_is_unknown(*op, *v, c).empty()) continue;
        const Support s = support(*op, *v, c, devices.at(v->target).info);
        any |= s.ok;
        if (!s.ok) why = s.why;
      }
      if (any && !devices.at(v->target).why_not.empty()) {
        any = false;
        why = devices.at(v->target).why_not;
      }
      fmt::print("  {:<20} {:<5} {:<10} {}\n", v->name, to_string(v->target), v->provider,
                 any ? "" : "not here: " + why);
    }
  }
}

void list_devices_here() {
  for (const DeviceListing& l : list_devices())
    fmt::print("{:<8} {:<44} {}\n", l.info.id, l.info.name,
               !l.why_not.empty() ? l.why_not
               : l.info.target == Target::cuda
                   ? fmt::format("compute capability {}.{}, {} multiprocessors, {:.1f} GB", l.info.cuda.major,
                                 l.info.cuda.minor, l.info.cuda.multiprocessors,
                                 static_cast<double>(l.info.memory_bytes) / 1e9)
                   : fmt::format("{} threads", l.info.threads));
}

}  // namespace

void add_list(CLI::App& app, Action& action) {
  auto* c = app.add_subcommand("list", "models, closed, ops, variants, formats, devices, prices, hardware or suites");
  auto what = std::make_shared<std::string>();
  c->add_option("what", *what, "models, closed, ops, variants, formats, devices, prices, hardware or suites")
      ->required();
  auto json = std::make_shared<bool>(false);
  c->add_flag("--json", *json, "models as JSON");
  c->callback([what, json, &action] {
    action = [what, json] {
      if (*json && *what != "models") throw BadInput("--json: only of models");
      if (*what == "models") {
        list_all_models(*json);
      } else if (*what == "closed") {
        list_closed();
      } else if (*what == "ops") {
        list_ops(false);
      } else if (*what == "variants") {
        list_ops(true);
      } else if (*what == "formats") {
        constexpr std::int64_t kColumns = 4096;  // a row's share of what it has once
        fmt::print("{:<14} {:>15} {:>11} {:>22}\n", "weight format", "bits of a code", "block", "bits of an element");
        for (const WeightFormat& f : weight_formats()) {
          const bool row = f.block_columns == WeightFormat::kWholeRow;
          const std::int64_t rows = std::max<std::int64_t>(1, f.block_rows);
          fmt::print("{:<14} {:>15} {:>11} {:>22.4g}\n", f.name, f.code_bits,
                     f.is_plain() ? ""
                     : row        ? fmt::format("{} x row", f.block_rows)
                                  : fmt::format("{} x {}", f.block_rows, f.block_columns),
                     8 * f.bytes(rows, kColumns) / static_cast<double>(rows * kColumns));
        }
      } else if (*what == "devices") {
        list_devices_here();
      } else if (*what == "prices") {
        for (const Price& p : list_prices(configs_dir()))
          fmt::print("{:<36} {:>8.3f} USD/h   {}\n", price_id(p), usd_per_device_hour(p), price_summary(p));
      } else if (*what == "hardware") {
        fmt::print("{:<20} {:>14} {:>12} {:>9} {:>7}   {}\n", "hardware (nominal)", "bf16 TFLOP/s", "memory TB/s", "GB",
                   "W", "source of the peak");
        for (const HardwareSpec& h : list_hardware(configs_dir())) {
          const HardwarePeak* peak = h.peak("bf16");
          fmt::print("{:<20} {:>14} {:>12.2f} {:>9.0f} {:>7.0f}   {}\n", h.id,
                     peak != nullptr ? fmt::format("{:.0f}", peak->flops_per_s / 1e12) : "",
                     h.memory_bytes_per_s.value / 1e12, h.memory_bytes.value / 1e9, h.power_w.value,
                     peak != nullptr ? peak->source + ", " + peak->date : "");
        }
      } else if (*what == "suites") {
        for (const std::string& s : list_suites(configs_dir()))
          fmt::print("{:<12} {}\n", s, find_suite(s, configs_dir()).title);
      } else {
        const std::string known[] = {"models",  "closed", "ops",      "variants", "formats",
                                     "devices", "prices", "hardware", "suites"};
        throw BadInput(
            fmt::format("list: '{}' is not a list{}; expected models, closed, ops, variants, formats, devices, prices, "
                        "hardware or suites",
                        printable(*what), did_you_mean(*what, known)));
      }
      return 0;
    };
  });
}

}  // namespace layercost
