// SPDX-License-Identifier: Apache-2.0
#include "harness/spec/hardware_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <system_error>

#include "harness/spec/json_reader.h"
#include "harness/spec/price_spec.h"
#include "harness/spec/record_fields.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

namespace fs = std::filesystem;

std::string get_source_date(const JsonNode& node) {
  const std::string text = node.get_string("date", 10);
  if (!parse_date(text) && !(text.size() == 7 && parse_date(text + "-01"))) {
    node.fail("date", fmt::format("expected YYYY-MM-DD or YYYY-MM, got \"{}\"", text));
  }
  return text;
}

std::string get_source(const JsonNode& node) {
  const std::string text = node.get_string("source", 400);
  if (text.empty()) node.fail("source", "expected a text, got an empty one");
  return text;
}

HardwareFigure read_figure(const JsonNode& node, double low, double high) {
  static const std::vector<std::string> known{"value", "source", "date", "verified"};
  node.refuse_other_keys(known);
  return {.value = node.get_number("value", low, high),
          .source = get_source(node),
          .date = get_source_date(node),
          .verified = node.find_bool("verified").value_or(true)};
}

HardwarePeak read_peak(const JsonNode& node) {
  static const std::vector<std::string> known{"dtype",  "flops_per_s", "dense",   "accumulate",
                                              "source", "date",        "verified"};
  node.refuse_other_keys(known);
  HardwarePeak peak;
  peak.dtype = node.get_string("dtype", 16);
  // A device of 1 GFLOP/s to 1 EFLOP/s: a figure in TFLOP/s (989 instead of 989e12) is refused.
  peak.flops_per_s = node.get_number("flops_per_s", 1e9, 1e18);
  if (!node.get_bool("dense"))
    node.fail("dense", "expected true: rates that count structured sparsity are not comparable");
  peak.accumulate = node.find_string("accumulate", 16).value_or("");
  peak.source = get_source(node);
  peak.date = get_source_date(node);
  peak.verified = node.find_bool("verified").value_or(true);
  return peak;
}

bool same_word(const std::string& a, const std::string& b) { return ascii_lower(a) == ascii_lower(b); }

}  // namespace

const HardwarePeak* HardwareSpec::peak(const std::string& dtype) const {
  const HardwarePeak* best = nullptr;
  for (const HardwarePeak& candidate : peaks) {
    if (candidate.dtype == dtype && candidate.accumulate != "f16" &&
        (best == nullptr || candidate.flops_per_s > best->flops_per_s))
      best = &candidate;
  }
  return best;
}

HardwareSpec read_hardware(const fs::path& file) {
  const JsonNode node = read_json(file);
  static const std::vector<std::string> known{"name",  "vendor",       "architecture",       "device_names",
                                              "peaks", "memory_bytes", "memory_bytes_per_s", "power_w"};
  node.refuse_other_keys(known);
  HardwareSpec spec;
  spec.id = printable(file.stem().string());
  spec.path = file.string();
  spec.name = node.get_string("name", 120);
  spec.vendor = node.get_string("vendor", 120);
  spec.architecture = get_filled(node, "architecture", 60);
  spec.device_names = node.at("device_names").as_string_list(120);
  for (const JsonNode& peak : node.at("peaks").as_list(1)) spec.peaks.push_back(read_peak(peak));
  spec.memory_bytes = read_figure(node.at("memory_bytes"), 1e9, 1e14);
  spec.memory_bytes_per_s = read_figure(node.at("memory_bytes_per_s"), 1e9, 1e15);
  spec.power_w = read_figure(node.at("power_w"), 1.0, 1e5);
  return spec;
}

std::vector<HardwareSpec> list_hardware(const fs::path& configs_dir) {
  const fs::path folder = configs_dir / "hardware";
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  if (error) throw BadInput(folder.string(), "", fmt::format("cannot be listed: {}", error.message()));
  std::vector<HardwareSpec> specs;
  for (const fs::directory_entry& entry : entries) {
    if (entry.path().extension() == ".json") specs.push_back(read_hardware(entry.path()));
  }
  std::sort(specs.begin(), specs.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return specs;
}

HardwareSpec find_hardware(const std::string& id, const fs::path& configs_dir) {
  std::vector<std::string> known;
  for (HardwareSpec& h : list_hardware(configs_dir)) {
    if (h.id == id) return std::move(h);
    known.push_back(h.id);
  }
  throw BadInput(fmt::format("--on: no hardware '{}'{}; known are: {}", printable(id), did_you_mean(id, known),
                             fmt::join(known, ", ")));
}

bool same_device(const std::string& named, const std::string& device_name, const std::vector<HardwareSpec>& known) {
  if (same_word(named, device_name)) return true;
  const std::optional<HardwareSpec> spec = match_hardware(device_name, known);
  return spec && same_device(named, *spec);
}

bool same_device(const std::string& named, const HardwareSpec& device) {
  const auto is = [&](const std::string& name) { return same_word(named, name); };
  return is(device.id) || is(device.name) || is(device.vendor + " " + device.name) ||
         std::any_of(device.device_names.begin(), device.device_names.end(), is);
}

std::optional<HardwareSpec> match_hardware(const std::string& device_name, const std::vector<HardwareSpec>& known) {
  for (const HardwareSpec& spec : known) {
    for (const std::string& name : spec.device_names) {
      if (same_word(name, device_name)) return spec;
    }
  }
  return std::nullopt;
}

}  // namespace layercost
