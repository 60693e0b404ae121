// What:    what the machine was while measuring. From /proc, /sys, the compiler and the libraries.
// Left out: host name, user name, paths, environment variables, addresses (TRUST X13).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "harness/result/record.h"
#include "kernels/runtime/runtime.h"

namespace layercost {

// Of a GPU also its driver's facts, read through NVML; its host is described as the CPU would be.
EnvironmentRecord describe_environment(const DeviceInfo&);

// Threads and weights are not spread by node: with several of them that has to be said beside the numbers.
std::optional<Warning> numa_warning(const TopologyRecord&);

// Share of this process's own memory that lies in huge pages now; nullopt where the system does not say.
std::optional<double> huge_page_fraction();

// CPU time that others used, in CPUs, between two readings: all busy and stolen time less this process's own.
class NeighbourMeter {
 public:
  void start();
  // Mean number of CPUs kept busy by others since start(); nullopt where /proc/stat does not say.
  std::optional<double> busy_cpus() const;

 private:
  double all_s_ = 0, own_s_ = 0, at_s_ = 0;
};

}  // namespace layercost
