// What:    what the vendor says a device can do, for the `% of nominal` beside the measured `% of possible`. Every
//          number is data with its own source and date. Nothing here is ever used as a roof.
// Units:   FLOP/s and bytes/s in SI (G is 1e9); bytes; watts. Every rate is dense: a marketing figure that counts
//          structured sparsity is halved before it gets here. Rates assume the vendor's boost clock.
// Errors:  BadInput for an unknown key, a rate without source or date, a sparse rate.
// Source:  each number names its own.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace layercost {

struct HardwarePeak {
  std::string dtype;             // bf16, fp16, fp8, fp4
  double flops_per_s = 0.0;      // dense
  std::string accumulate;        // "f32" or "f16" where the vendor gives two rates; "" if not
  std::string source;
  std::string date;              // YYYY-MM-DD, or YYYY-MM: the source is undated and was collected no later than that
  bool verified = true;          // false: no primary source was opened
};

struct HardwareFigure {          // one number that is no matrix rate
  double value = 0.0;
  std::string source, date;
  bool verified = true;
};

struct HardwareSpec {
  std::string id, path;          // file name without .json; the file
  std::string name, vendor;
  std::string architecture;      // as the vendor calls it ("Hopper"): what is measured on one device of it says
                                 // something of another (cost/efficiency.h)
  std::vector<std::string> device_names;  // as the driver reports the device
  std::vector<HardwarePeak> peaks;
  HardwareFigure memory_bytes;
  HardwareFigure memory_bytes_per_s;
  HardwareFigure power_w;        // limit of the board

  // The highest rate for the type, or nothing. Rates with sums kept in f16 do not count: every kernel here sums in f32.
  const HardwarePeak* peak(const std::string& dtype) const;
};

HardwareSpec read_hardware(const std::filesystem::path& file);
std::vector<HardwareSpec> list_hardware(const std::filesystem::path& configs_dir);

// The argument of --on: an id such as "rtx-4090". Unknown ones are a BadInput with the nearest known.
HardwareSpec find_hardware(const std::string& id, const std::filesystem::path& configs_dir);

// Whether what a price record names ("NVIDIA H100 SXM 80 GB") is the device that a driver reports ("NVIDIA H100 80GB
// HBM3"): the same words, or both of one known hardware. Case does not matter.
bool same_device(const std::string& named, const std::string& device_name, const std::vector<HardwareSpec>& known);
bool same_device(const std::string& named, const HardwareSpec& device);

// The one whose device_names holds the name the driver reports (case does not matter), or nothing: an unknown device
// has no nominal figures. A near name is not a match: an H100 PCIe is no H100 SXM.
std::optional<HardwareSpec> match_hardware(const std::string& device_name, const std::vector<HardwareSpec>& known);

}  // namespace layercost
