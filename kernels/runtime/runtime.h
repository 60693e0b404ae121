// What:    devices: what they are, how much memory is at hand, clocks, and cache eviction.
// Units:   seconds, bytes. now_s() is CLOCK_MONOTONIC_RAW (not adjusted by NTP; resolution 1 ns).
// Rules:   nothing here synchronises implicitly. evict_caches() reads and writes 2 x the last-level cache on all
//          threads, so that nothing that was cached before survives.
// Limits:  threads come from the affinity mask and the cgroup's CPU quota, memory from the cgroup and MemAvailable:
//          what this process may use, not what the machine has.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/core/tensor.h"

namespace layercost {

enum class Target { cpu, cuda };
std::string_view to_string(Target);

struct CpuFeatures {
  bool avx2 = false, avx512 = false, avx512_bf16 = false, amx_bf16 = false;
};

struct DeviceInfo {
  Target target = Target::cpu;
  std::string id;              // "cpu", "cuda:0"
  std::string name;            // as the maker names it
  int threads = 1;             // CPU threads this process may run on
  std::uint64_t memory_bytes = 0;      // this process may use in all
  std::uint64_t available_bytes = 0;   // of these, free now
  std::uint64_t last_level_cache_bytes = 0;  // as the system reports it; shared with others on a virtual machine
  std::string last_level_cache_source;       // "sysfs L3", or "assumed" where the system does not say
  CpuFeatures cpu;
};

// The CPU now. `threads` > 0 overrides the count.
DeviceInfo describe_cpu(int threads = 0);

// A device by the name of --device. BadInput for an unknown one; for "cuda:N" says why there is none here.
DeviceInfo find_device(const std::string& id, int threads = 0);
// Every device that this build knows, usable or not; `why_not` is empty for a usable one.
struct DeviceListing {
  DeviceInfo info;
  std::string why_not;
};
std::vector<DeviceListing> list_devices();

class Runtime {
 public:
  explicit Runtime(DeviceInfo device);  // sets the number of OpenMP threads
  const DeviceInfo& device() const { return device_; }
  void evict_caches();

 private:
  DeviceInfo device_;
  Buffer eviction_;
};

double now_s();

// The first line of a small file, such as those of /proc and /sys; "" if it cannot be read.
std::string first_line(const std::string& path);

}  // namespace layercost
