// SPDX-License-Identifier: Apache-2.0
#include "harness/cli/price_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "harness/cli/numbers.h"
#include "harness/result/labels.h"
#include "harness/spec/list_price.h"
#include "harness/spec/price_spec.h"
#include "harness/spec/record_fields.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

PriceLabel price_label(const std::string& word) {
  for (const PriceLabelText& row : price_label_texts())
    if (row.shown == word) return row.label;
  throw std::logic_error("result/labels.cpp does not know the price label " + word);
}

struct NamedMix {
  const char *name, *parts;
};
// Assumptions, not measurements; the shares are printed wherever one is used. agentic: 20 tokens of input for one of
// output, 95 % of them seen before.
constexpr std::array kMixes = {NamedMix{"agentic", "1:19:1"}, NamedMix{"chat", "3:1"}};

PriceRecord as_read(const Price& p) {
  PriceRecord r;
  r.id = price_id(p);
  r.label = price_summary(p);
  r.usd_per_hour = usd_per_device_hour(p);
  for (const std::string& word : price_labels(p)) r.labels.push_back(price_label(word));
  r.stale = std::find(r.labels.begin(), r.labels.end(), PriceLabel::stale) != r.labels.end();
  r.device = price_device(p);
  if (const auto* rented = std::get_if<RentalPrice>(&p)) {
    r.model = "rented";
    r.source = rented->source;
    r.retrieved_at = date_text(rented->retrieved_at);
  } else if (const auto* owned = std::get_if<OwnedPrice>(&p)) {
    r.model = "owned";
    r.source = owned->source;
    r.retrieved_at = date_text(owned->retrieved_at);
  } else {
    r.model = "command line";
  }
  return r;
}

// `used`: what it is to be the price of, and how that is said; `fits`: whether it is.
template <typename Fits>
PriceRecord for_device(const Price& price, const char* option, bool other_device, const std::string& used,
                       const Fits& fits) {
  PriceRecord r = as_read(price);
  if (r.device.empty() || fits(r.device)) return r;
  if (!other_device)
    throw BadInput(
        fmt::format("{}: {} is the price of '{}', but {}; --price-of-other-device "
                    "uses it all the same, and says so beside the money",
                    option, printable(r.id), printable(r.device), used));
  r.labels.push_back(PriceLabel::other_device);
  return r;
}
PriceRecord for_measured(const Price& price, const std::string& device_name, const char* option, bool other_device,
                         const std::filesystem::path& configs_dir) {
  return for_device(
      price, option, other_device, fmt::format("what was measured is '{}'", printable(device_name)),
      [&](const std::string& named) { return same_device(named, device_name, list_hardware(configs_dir)); });
}

ListPriceRecord as_read(const ListPrice& p) {
  ListPriceRecord r{p.id, price_text(p), p.model, p.provider, p.source, p.retrieved_at, {}, {}};
  for (const ListPriceText& step : p.steps) {
    const auto usd = [](const std::string& text) { return parse_decimal(text).value(); };
    r.steps.push_back({usd(step.input), usd(step.output), {}, step.up_to_tokens});
    if (step.cached_input) r.steps.back().cached_input = usd(*step.cached_input);
  }
  for (const std::string& word : list_price_labels(p)) r.labels.push_back(price_label(word));
  return r;
}

}  // namespace

MixRecord parse_mix(const std::string& text) {
  const auto refuse = [&] {
    std::vector<std::string> names;
    for (const NamedMix& mix : kMixes) names.emplace_back(mix.name);
    throw BadInput(
        fmt::format("--mix: expected INPUT:OUTPUT such as 3:1, INPUT:CACHED:OUTPUT such as 1:19:1, agentic "
                    "or chat, got '{}'{}",
                    printable(text), did_you_mean(text, names)));
  };
  std::string parts = text;
  for (const NamedMix& mix : kMixes)
    if (text == mix.name) parts = mix.parts;
  std::vector<double> numbers;
  for (std::size_t begin = 0; begin <= parts.size();) {
    const std::size_t end = std::min(parts.find(':', begin), parts.size());
    const std::string part = parts.substr(begin, end - begin);
    const bool zero = part == "0";
    const auto number = zero ? std::optional(0.0) : parse_decimal(part);
    if (!number || *number > 1e9) refuse();
    numbers.push_back(*number);
    begin = end + 1;
  }
  if (numbers.size() < 2 || numbers.size() > 3) refuse();
  double sum = 0;
  for (const double n : numbers) sum += n;
  if (!(sum > 0)) refuse();
  return {text, numbers.front() / sum, numbers.size() == 3 ? numbers[1] / sum : 0, numbers.back() / sum};
}

namespace {

template <typename Read>
std::optional<PriceRecord> price_record_by(const PriceOptions& o, const Read& read) {
  if (o.price.empty()) {
    if (!o.mix.empty() || o.utilisation != 1 || o.other_device)
      throw BadInput("--mix, --utilisation and --price-of-other-device say how --price is used; give one");
    return std::nullopt;
  }
  PriceRecord r = read();
  if (o.utilisation != 1) r.utilisation = o.utilisation;
  if (!o.mix.empty()) r.mix = parse_mix(o.mix);
  return r;
}

}  // namespace

std::optional<PriceRecord> price_record(const PriceOptions& o, const std::string& device_name,
                                        const std::filesystem::path& configs_dir) {
  return price_record_by(o, [&] {
    return for_measured(find_price(o.price, configs_dir), device_name, "--price", o.other_device, configs_dir);
  });
}

std::optional<PriceRecord> price_record(const PriceOptions& o, const HardwareSpec& hardware,
                                        const std::filesystem::path& configs_dir) {
  return price_record_by(o, [&] {
    return for_device(find_price(o.price, configs_dir), "--price", o.other_device,
                      fmt::format("--on names '{}'", hardware.name),
                      [&](const std::string& named) { return same_device(named, hardware); });
  });
}

void add_against_options(CLI::App& c, AgainstOptions& o) {
  c.add_option(
      "--own", o.own,
      "break-even: from how many tokens a day owning this machine (an owned price: an id or a file) is cheaper");
  c.add_option("--list-price", o.list_prices,
               "break-even: also against what an API asks (layercost list prices), for the tokens of --mix")
      ->take_all();
}

std::optional<AgainstRecord> against_record(const AgainstOptions& o, const std::optional<PriceRecord>& price,
                                            bool other_device, const std::string& device_name,
                                            const std::filesystem::path& configs_dir) {
  if (o.own.empty() && o.list_prices.empty()) return std::nullopt;
  const bool owned_price = price && price->model == "owned";
  AgainstRecord against;
  const std::string own = !o.own.empty() ? o.own : owned_price ? price->id : "";
  if (!own.empty()) {
    const Price found = find_price(own, configs_dir);
    const auto* owned = std::get_if<OwnedPrice>(&found);
    if (owned == nullptr)
      throw BadInput(
          fmt::format("--own: {} is no owned machine; expected a price of the model \"owned\", such as "
                      "example-owned-workstation",
                      printable(own)));
    const PriceRecord record = for_measured(found, device_name, "--own", other_device, configs_dir);
    const double n = owned->devices;
    against.owned = OwnedRecord{record.id,    record.label, owned->capex_usd / n, owned->opex_usd_per_year / n,
                                owned->years, owned->rate,  owned->availability,  owned->energy_usd_per_device_hour(),
                                record.labels};
  }
  for (const std::string& word : o.list_prices)
    against.list_prices.push_back(as_read(find_list_price(word, configs_dir)));
  if (!against.list_prices.empty() && !(price && price->mix))
    throw BadInput(
        "--list-price: an API has a price of its own for input, cached input and output; say the mix, e.g. --mix 3:1");
  if (against.list_prices.empty() && (!price || owned_price))
    throw BadInput("--own: nothing to hold it against; give a rental as --price, or a --list-price");
  if (!price && !against.owned) throw BadInput("--list-price: nothing to hold it against; give --price or --own");
  return against;
}

namespace {

// The record of configs/prices with that id as it is today.
std::optional<Price> shipped_price(const std::string& id, const std::filesystem::path& configs_dir) {
  for (const std::filesystem::path& file : record_files(configs_dir / "prices"))
    if (file.stem() == id) return read_price(file);
  return std::nullopt;
}

}  // namespace

void label_superseded(PriceRecord& r, const std::filesystem::path& configs_dir) {
  constexpr double kMoved = 0.02;
  if (r.model != "rented" && r.model != "owned") return;
  if (const auto now = shipped_price(r.id, configs_dir);
      now && std::abs(usd_per_device_hour(*now) / r.usd_per_hour - 1) > kMoved)
    r.labels.push_back(PriceLabel::price_superseded);
}

void label_example(PriceRecord& r, const std::filesystem::path& configs_dir) {
  if (r.model != "owned" || !r.device.empty() || std::count(r.labels.begin(), r.labels.end(), PriceLabel::example) > 0)
    return;
  const auto now = shipped_price(r.id, configs_dir);
  const auto* owned = now ? std::get_if<OwnedPrice>(&*now) : nullptr;
  if (owned == nullptr || !owned->example) return;
  r.labels.push_back(PriceLabel::example);
  std::sort(r.labels.begin(), r.labels.end());
}

void add_price_options(CLI::App& c, PriceOptions& o, bool required, bool with_mix) {
  c.add_option("--price", o.price,
               "USD per hour of the measured device (2.50/h), a price id (layercost list prices), or a file")
      ->required(required);
  if (with_mix)
    c.add_option("--mix", o.mix,
                 "one price for a mix of tokens: INPUT:OUTPUT (3:1), INPUT:CACHED:OUTPUT (1:19:1), agentic or chat");
  c.add_option("--utilisation", o.utilisation, "share of the paid hours that do this work (default 1, a floor)")
      ->check(number_in(1e-6, 1));
  c.add_flag("--price-of-other-device", o.other_device, "use a price of another device than the measured one");
}

}  // namespace layercost
