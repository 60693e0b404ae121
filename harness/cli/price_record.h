// What:    a price as result files hold it, and the options that say how it is used.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>

#include "harness/result/record.h"
#include "harness/spec/hardware_spec.h"

namespace layercost {

struct PriceOptions {
  std::string price;  // "" none
  std::string mix;
  double utilisation = 1;
  bool other_device = false;
};
// `required`: a price has to be given. Without a mix: input and output are priced apart.
void add_price_options(CLI::App&, PriceOptions&, bool required, bool with_mix = true);

// For what was measured on `device_name`. BadInput for the price of another device, unless it was asked for: then it
// carries a label. Nothing without a price.
std::optional<PriceRecord> price_record(const PriceOptions&, const std::string& device_name,
                                        const std::filesystem::path& configs_dir);
// The same for hardware that is not here.
std::optional<PriceRecord> price_record(const PriceOptions&, const HardwareSpec&,
                                        const std::filesystem::path& configs_dir);

// What a report holds the cost against.
struct AgainstOptions {
  std::string own;                       // "" none but an owned --price
  std::vector<std::string> list_prices;
};
void add_against_options(CLI::App&, AgainstOptions&);
// BadInput where nothing can be held against anything: an API's price without a mix, an owned machine alone, or a
// record of the wrong kind or of another device (as above).
std::optional<AgainstRecord> against_record(const AgainstOptions&, const std::optional<PriceRecord>& price,
                                            bool other_device, const std::string& device_name,
                                            const std::filesystem::path& configs_dir);

// PRICE_SUPERSEDED if the record with the price's id is there, and by more than 2 % another amount today.
void label_superseded(PriceRecord&, const std::filesystem::path& configs_dir);

// EXAMPLE if the record with the price's id is there and one, and the price is of no device: result files before 1.3
// list no labels, and name no device. A later one that is of no device lists it.
void label_example(PriceRecord&, const std::filesystem::path& configs_dir);

// "3:1" (input to output), "1:19:1" (input, input from a cache, output), or the name of a known mix.
MixRecord parse_mix(const std::string& text);

}  // namespace layercost
