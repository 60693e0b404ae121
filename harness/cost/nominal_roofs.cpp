// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/nominal_roofs.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace layercost {
namespace {

// Formats whose codes the vendors' units multiply, by how their names begin, with the types of these units.
struct Multiplied {
  std::string_view format;
  std::array<const char*, 2> dtypes;
};
constexpr std::array kMultiplied = {Multiplied{"fp8_", {"fp8", ""}}, Multiplied{"mxfp4", {"fp8", "fp4"}},
                                    Multiplied{"nvfp4", {"fp8", "fp4"}}};

std::string_view format_in(std::string_view arithmetic) {
  constexpr std::string_view kTimes = " x ";
  const std::size_t at = arithmetic.find(kTimes);
  return at == std::string_view::npos ? "" : arithmetic.substr(at + kTimes.size());
}

NominalRate rate_of(const HardwareSpec& hardware, const HardwarePeak& activations, const std::string& arithmetic) {
  const HardwarePeak* best = &activations;
  const std::string_view format = format_in(arithmetic);
  bool is_bound = format.empty();
  if (format.empty())
    if (const HardwarePeak* own = hardware.peak(arithmetic)) best = own;
  for (const Multiplied& row : kMultiplied) {
    if (!format.starts_with(row.format)) continue;
    is_bound = true;
    for (const HardwarePeak& peak : hardware.peaks)
      if (std::find(row.dtypes.begin(), row.dtypes.end(), peak.dtype) != row.dtypes.end() &&
          peak.flops_per_s > best->flops_per_s)
        best = &peak;
  }
  return {arithmetic,   best->dtype, best->flops_per_s, best->accumulate,
          best->source, best->date,  best->verified,    is_bound};
}

}  // namespace

std::optional<NominalRoofs> nominal_roofs(const HardwareSpec& hardware, const std::string& activation_type,
                                          std::span<const OpRecord> ops) {
  const HardwarePeak* activations = hardware.peak(activation_type);
  if (activations == nullptr) return std::nullopt;
  NominalRoofs out;
  out.roofs = {hardware.memory_bytes_per_s.value, activations->flops_per_s};
  out.rates.push_back(rate_of(hardware, *activations, activation_type));
  for (const OpRecord& op : ops)
    for (const auto& [arithmetic, flops] : op.product_flops) {
      if (arithmetic == activation_type || out.roofs.product_flops_per_s.contains(arithmetic)) continue;
      out.rates.push_back(rate_of(hardware, *activations, arithmetic));
      out.roofs.product_flops_per_s[arithmetic] = out.rates.back().flops_per_s;
    }
  return out;
}

}  // namespace layercost
