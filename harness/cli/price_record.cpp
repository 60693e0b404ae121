// SPDX-License-Identifier: Apache-2.0
#include "harness/cli/price_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "harness/result/labels.h"
#include "harness/spec/hardware_spec.h"
#include "harness/spec/price_spec.h"
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

std::optional<PriceRecord> price_record(const PriceOptions& o, const std::string& device_name,
                                        const std::filesystem::path& configs_dir) {
  if (o.price.empty()) {
    if (!o.mix.empty() || o.utilisation != 1 || o.other_device)
      throw BadInput("--mix, --utilisation and --price-of-other-device say how --price is used; give one");
    return std::nullopt;
  }
  PriceRecord r = as_read(find_price(o.price, configs_dir));
  if (!r.device.empty() && !same_device(r.device, device_name, list_hardware(configs_dir))) {
    if (!o.other_device)
      throw BadInput(
          fmt::format("--price: {} is the price of '{}', but what was measured is '{}'; "
                      "--price-of-other-device uses it all the same, and says so beside the money",
                      printable(r.id), printable(r.device), printable(device_name)));
    r.labels.push_back(PriceLabel::other_device);
  }
  if (o.utilisation != 1) r.utilisation = o.utilisation;
  if (!o.mix.empty()) r.mix = parse_mix(o.mix);
  return r;
}

void add_price_options(CLI::App& c, PriceOptions& o, bool required) {
  c.add_option("--price", o.price,
               "USD per hour of the measured device (2.50/h), a price id (layercost list prices), or a file")
      ->required(required);
  c.add_option("--mix", o.mix,
               "one price for a mix of tokens: INPUT:OUTPUT (3:1), INPUT:CACHED:OUTPUT (1:19:1), agentic or chat");
  c.add_option("--utilisation", o.utilisation, "share of the paid hours that do this work (default 1, a floor)")
      ->check(CLI::Range(1e-6, 1.0));
  c.add_flag("--price-of-other-device", o.other_device, "use a price of another device than the measured one");
}

}  // namespace layercost
