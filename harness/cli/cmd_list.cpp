// layercost list: what there is.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "harness/cli/commands.h"
#include "harness/cli/listing.h"
#include "harness/cli/terminal.h"
#include "harness/plan/counts.h"
#include "harness/report/text.h"
#include "harness/spec/claim_spec.h"
#include "harness/spec/closed_model.h"
#include "harness/spec/hardware_spec.h"
#include "harness/spec/list_price.h"
#include "harness/spec/price_spec.h"
#include "harness/spec/suite_spec.h"
#include "kernels/contract/registry.h"
#include "kernels/runtime/runtime.h"

namespace layercost {
namespace {

constexpr std::size_t kWidth = 80;

// "dense x 3, moe x 58; in no step: mtp moe x 1"
std::string kinds_of(const ModelSpec& m) {
  std::vector<std::string> kinds;
  for (const LayerKind& kind : m.kinds) kinds.push_back(fmt::format("{} x {}", kind.name, m.count_of(kind)));
  const std::string beside = m.mtp_layers > 0 ? fmt::format("; in no step: {} x {}", m.mtp.name, m.mtp_layers) : "";
  return fmt::format("{}{}", fmt::join(kinds, ", "), beside);
}

// Caches and states of activations in bf16, each token's and each sequence's.
void list_all_models(bool as_json) {
  auto all = nlohmann::ordered_json::array();
  std::string out;
  if (!as_json)
    out += fmt::format("{:<35} {:>8} {:>8} {:>8} {:>9} {:>7}\n{:<35} {:>8} {:>8} {:>8} {:>9}\n", "model", "total",
                       "active", "KV bytes", "state", "date", "", "1e9", "1e9", "a token", "bytes");
  for (const std::string& name : list_models(configs_dir())) {
    const ModelSpec m = find_model(name, configs_dir());
    const ParameterCount n = count_parameters(m);
    const auto kv = 2 * kv_elements_per_token(m);
    const auto state = static_cast<std::int64_t>(state_bytes_per_sequence(m, DType::bf16));
    std::filesystem::path sidecar = m.path;
    sidecar.replace_extension(".source.json");
    std::string from, date;  // of a config that somebody put beside ours: absent
    if (std::filesystem::exists(sidecar)) {
      const JsonNode source = read_json(sidecar);
      from = printable(source.get_string("source", 400), 400);
      date = printable(source.get_string("collected_by", 32));
    }
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
                     {"state_bytes_per_sequence_bf16", state}});
      if (m.mtp_layers > 0) {
        const MtpCount each = count_mtp_layer(m, m.mtp);
        all.back()["mtp"] = {
            {"layers", m.mtp_layers}, {"parameters_each", each.total}, {"active_parameters_each", each.active}};
      }
      if (!from.empty()) all.back().update({{"source", from}, {"collected_by", date}});
      continue;
    }
    out += fmt::format("{:<35} {:>8.3f} {:>8.3f} {:>8} {:>9} {:>7}\n", m.name, static_cast<double>(n.total) / 1e9,
                       static_cast<double>(n.active) / 1e9, kv, state > 0 ? fmt::format("{}", state) : "", date);
    for (const std::string& line :
         wrap(fmt::format("{}: {}", m.model_type, kinds_of(m)), std::min(kWidth, stdout_width()) - 2))
      out += "  " + line + "\n";
  }
  if (!as_json) out += "\nwhere each config is from: layercost list models --json\n";
  fmt::print("{}", as_json ? all.dump(1) + "\n" : wrapped_lines(out));
}

// A line for each step: what it is of, from which length of input on, its three prices, and what follows.
void add_steps(Listing& listing, const ListPrice& price, std::vector<std::string> before,
               const std::vector<std::string>& behind) {
  for (const ListPriceText& p : price.steps) {
    const bool first = &p == &price.steps.front();
    std::vector<std::string> cells = before;
    cells.push_back(p.up_to_tokens ? fmt::format("to {}", *p.up_to_tokens) : first ? "" : "above");
    cells.insert(cells.end(), {p.input, p.cached_input.value_or(""), p.output});
    cells.insert(cells.end(), behind.begin(), behind.end());
    listing.add(std::move(cells));
    std::fill(before.begin(), before.end(), "");
  }
}

void list_closed() {
  const std::vector<ListPrice> prices = list_list_prices(configs_dir());
  fmt::print("{}\n", wrapped_lines("models without a published architecture: what their makers ask for a million "
                                   "tokens, in USD; a price says nothing of the cost"));
  Listing listing({{.head = "model", .gap = 0, .align = Align::left},
                   {.head = "maker", .gap = 2, .align = Align::left, .leaves = 2},
                   {.head = "input tokens", .gap = 2},
                   {.head = "input", .gap = 2},
                   {.head = "cached", .gap = 2},
                   {.head = "output", .gap = 2},
                   {.head = "seen", .gap = 2, .align = Align::left, .leaves = 1}});
  std::vector<std::string> sources;
  for (const ClosedModel& m : list_closed_models(configs_dir())) {
    bool first = true;
    for (const ListPrice& price : prices)
      if (price.model == m.name) {
        add_steps(listing, price, {first ? m.name : "", first ? m.maker : ""}, {price.retrieved_at});
        first = false;
        if (std::find(sources.begin(), sources.end(), price.source) == sources.end()) sources.push_back(price.source);
      }
    if (first) listing.add({m.name, m.maker});
  }
  fmt::print("{}\n{}", listing.text(), hanging_line("sources: ", fmt::format("{}", fmt::join(sources, "; "))));
}

// What an hour of a device costs, and what an API asks: two kinds of number that never share a column.
void list_both_prices() {
  Listing costs({{.head = "an hour of a device", .gap = 0, .align = Align::left},
                 {.head = "USD/h", .gap = 2},
                 {.head = "device", .width = 10, .most = 27, .gap = 2, .align = Align::left, .shrinks = true},
                 {.head = "whose", .width = 8, .most = 26, .gap = 2, .align = Align::left, .leaves = 1},
                 {.head = "term", .gap = 2, .align = Align::left, .leaves = 2},
                 {.head = "seen", .gap = 2, .align = Align::left, .leaves = 3}});
  for (const Price& p : list_prices(configs_dir())) {
    const auto* rented = std::get_if<RentalPrice>(&p);
    const auto* owned = std::get_if<OwnedPrice>(&p);
    costs.add({price_id(p), fmt::format("{:.3f}", usd_per_device_hour(p)), rented ? rented->device : owned->device,
               rented ? rented->provider : owned->title, rented ? rented->term : "owned",
               date_text(rented ? rented->retrieved_at : owned->retrieved_at)});
  }
  Listing prices({{.head = "a million tokens of an API", .gap = 0, .align = Align::left},
                  {.head = "asked by", .gap = 2, .align = Align::left, .leaves = 1},
                  {.head = "input tokens", .gap = 2, .leaves = 3},
                  {.head = "input", .gap = 2},
                  {.head = "cached", .gap = 2},
                  {.head = "output", .gap = 2},
                  {.head = "until", .gap = 2, .align = Align::left, .leaves = 2}});
  for (const ListPrice& p : list_list_prices(configs_dir()))
    add_steps(prices, p, {p.id, p.provider}, {p.valid_to ? date_text(*p.valid_to) : ""});
  fmt::print("{}\n{}\n{}", costs.text(),
             wrapped_lines("prices, not costs: what is asked for a million tokens, in USD; --list-price takes one\n"),
             prices.text());
}

void list_all_hardware() {
  Listing listing({{.head = "hardware (nominal)", .width = 18, .gap = 0, .align = Align::left, .shrinks = true},
                   {.head = "bf16 TFLOP/s"},
                   {.head = "memory TB/s"},
                   {.head = "GB"},
                   {.head = "W", .leaves = 3},
                   {.head = "architecture", .gap = 2, .align = Align::left, .leaves = 2},
                   {.head = "source of the peak", .gap = 3, .align = Align::left, .leaves = 1}});
  for (const HardwareSpec& h : list_hardware(configs_dir())) {
    const HardwarePeak* peak = h.peak("bf16");
    listing.add({h.id, peak != nullptr ? fmt::format("{:.0f}", peak->flops_per_s / 1e12) : "",
                 fmt::format("{:.2f}", h.memory_bytes_per_s.value / 1e12),
                 fmt::format("{:.0f}", h.memory_bytes.value / 1e9), fmt::format("{:.0f}", h.power_w.value),
                 h.architecture, peak != nullptr ? peak->source + ", " + peak->date : ""});
  }
  fmt::print("{}", listing.text());
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
    fmt::print("{}", hanging_line(fmt::format("{:<15} ", op->name), op->summary));
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
      fmt::print("{}", hanging_line(fmt::format("  {:<20} {:<5} {:<10} ", v->name, to_string(v->target), v->provider),
                                    any ? "" : "not here: " + why));
    }
  }
}

void list_devices_here() {
  for (const DeviceListing& l : list_devices()) {
    const std::string what = !l.why_not.empty() ? l.why_not
                             : l.info.target == Target::cuda
                                 ? fmt::format("compute capability {}.{}, {} multiprocessors, {:.1f} GB",
                                               l.info.cuda.major, l.info.cuda.minor, l.info.cuda.multiprocessors,
                                               static_cast<double>(l.info.memory_bytes) / 1e9)
                                 : fmt::format("{} threads", l.info.threads);
    fmt::print("{}", hanging_line(fmt::format("{:<8} {:<44} ", l.info.id, l.info.name), what));
  }
}

}  // namespace

std::vector<std::string> list_words() {
  return {"models", "closed", "ops", "variants", "formats", "devices", "prices", "hardware", "suites", "claims"};
}

void add_list(CLI::App& app, Action& action) {
  auto* c =
      app.add_subcommand("list", "models, closed, ops, variants, formats, devices, prices, hardware, suites or claims");
  auto what = std::make_shared<std::string>();
  c->add_option("what", *what, "models, closed, ops, variants, formats, devices, prices, hardware, suites or claims")
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
        Listing listing({{.head = "weight format", .gap = 0, .align = Align::left},
                         {.head = "bits of a code", .gap = 2},
                         {.head = "block", .gap = 2},
                         {.head = "bits of an element", .gap = 2}});
        for (const WeightFormat& f : weight_formats()) {
          const bool row = f.block_columns == WeightFormat::kWholeRow;
          const std::int64_t rows = std::max<std::int64_t>(1, f.block_rows);
          listing.add({std::string(f.name), fmt::format("{}", f.code_bits),
                       f.is_plain() ? ""
                       : row        ? fmt::format("{} x row", f.block_rows)
                                    : fmt::format("{} x {}", f.block_rows, f.block_columns),
                       fmt::format("{:.4g}", 8 * f.bytes(rows, kColumns) / static_cast<double>(rows * kColumns))});
        }
        fmt::print("{}", listing.text());
      } else if (*what == "devices") {
        list_devices_here();
      } else if (*what == "prices") {
        list_both_prices();
      } else if (*what == "hardware") {
        list_all_hardware();
      } else if (*what == "claims") {
        for (const Claim& claim : list_claims(configs_dir()))
          fmt::print("{}", hanging_line(fmt::format("{:<22} ", claim.id), plain(claim.statement, 400)));
      } else if (*what == "suites") {
        for (const std::string& s : list_suites(configs_dir()))
          fmt::print("{}", hanging_line(fmt::format("{:<12} ", s), find_suite(s, configs_dir()).title));
      } else {
        throw BadInput(
            fmt::format("list: '{}' is not a list{}; expected models, closed, ops, variants, formats, devices, prices, "
                        "hardware, suites or claims",
                        printable(*what), did_you_mean(*what, list_words())));
      }
      return 0;
    };
  });
}

}  // namespace layercost
