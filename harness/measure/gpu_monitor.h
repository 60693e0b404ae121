// What:    the conditions a GPU worked under, read from NVIDIA's management library (NVML), which comes with the
//          driver and is opened at run time. A thread reads clocks, power, temperature and the reasons for lowered
//          clocks every 20 ms between start() and stop(); counters (energy, time spent held back) are read at both
//          ends.
// Units:   Hz, W, degrees Celsius, J, s. power_w is what NVML calls power usage: an average over the last second on
//          Ampere and newer (GA100: instantaneous).
// Rules:   the device is found by UUID: NVML and CUDA number devices differently (TRUST T14). What cannot be read is
//          absent. Nothing of the GPU is changed.
// Source:  NVIDIA, NVML API reference.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "harness/result/record.h"

namespace layercost {

class GpuMonitor {
 public:
  explicit GpuMonitor(const std::string& uuid, const std::string& library = "libnvidia-ml.so.1");
  ~GpuMonitor();
  const std::string& why_not() const { return why_not_; }  // "" if NVML answers
  // Driver version, error correction, persistence, MIG, power limit.
  GpuRecord facts() const;
  void start();
  std::optional<ConditionsRecord> stop();  // nothing without NVML

 private:
  struct Reader;
  std::unique_ptr<Reader> reader_;
  std::string why_not_;
};

}  // namespace layercost
