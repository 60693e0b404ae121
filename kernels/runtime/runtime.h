// What:    devices: what they are, their memory, clocks, replay and cache eviction. Runtime is one device in use.
// Units:   seconds, bytes. now_s() is CLOCK_MONOTONIC_RAW (not adjusted by NTP; resolution 1 ns).
// Rules:   on a CPU everything is done when the call returns. On a GPU work is enqueued in one stream; upload, read and
//          synchronise wait for it. evict_caches() writes 2 x the last-level cache, so that nothing that was cached
//          before survives.
// Limits:  threads come from the affinity mask and the cgroup's CPU quota, memory from the cgroup and MemAvailable:
//          what this process may use, not what the machine has.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/core/tensor.h"
#include "kernels/runtime/device_backend.h"

namespace layercost {

enum class Target { cpu, cuda };
std::string_view to_string(Target);

struct CpuFeatures {
  bool avx2 = false, avx512 = false, avx512_bf16 = false, amx_bf16 = false;
};

struct CudaFeatures {
  int major = 0, minor = 0;  // compute capability
  int multiprocessors = 0;
  std::size_t shared_bytes_per_block = 0;  // the most that a kernel can ask for
  std::size_t shared_bytes_per_multiprocessor = 0;
  std::string uuid;     // "GPU-........-....", as nvidia-smi prints it
  std::string pci;      // "00000000:01:00.0"
  std::string driver;   // CUDA version that the driver supports, "13.0"
  std::string runtime;  // CUDA version that this program was built with
  int capability() const { return 10 * major + minor; }  // 90 for 9.0
};

struct DeviceInfo {
  Target target = Target::cpu;
  std::string id;              // "cpu", "cuda:0"
  std::string name;            // as the maker names it
  int threads = 1;             // CPU threads this process may run on
  std::uint64_t memory_bytes = 0;      // this process may use in all
  std::uint64_t available_bytes = 0;   // of these, free now
  std::uint64_t last_level_cache_bytes = 0;  // of all that the process's CPUs have (caches.h), as the system reports it
  std::string last_level_cache_source;       // "hwloc L3", or "assumed" where the system does not say
  CpuFeatures cpu;   // of a GPU's host: all absent
  CudaFeatures cuda;
};

// The CPU now. `threads` > 0 overrides the count.
DeviceInfo describe_cpu(int threads = 0);

// A device by the name of --device; "": cuda:0 where it can be used, else the CPU. BadInput for an unknown one; for
// "cuda:N" says why there is none here.
DeviceInfo find_device(const std::string& id, int threads = 0);
// Every device that this build knows, usable or not; `why_not` is empty for a usable one.
struct DeviceListing {
  DeviceInfo info;
  std::string why_not;
};
std::vector<DeviceListing> list_devices();

double now_s();

class Runtime {
 public:
  explicit Runtime(DeviceInfo device);  // sets the number of OpenMP threads; opens a GPU
  const DeviceInfo& device() const { return device_; }
  bool on_host() const { return backend_ == nullptr; }  // tensors of the device can be read and written directly

  Buffer buffer(std::size_t bytes);
  OwnedTensor tensor(DType, Shape);  // in the device's memory; on a CPU zero, on a GPU undefined
  void upload(const Tensor& to, const Tensor& from_host);
  // The values as they are when everything enqueued so far is done: on a CPU the same memory, else a copy.
  OwnedTensor read(const Tensor&);
  void copy(const Tensor& to, const Tensor& from);  // within the device
  void fill_bytes(const Tensor&, int byte);
  void constant(const Tensor&);  // a whole allocation that nothing writes any more
  void synchronise();
  std::uint64_t available_bytes();  // now

  std::unique_ptr<Graph> capture(const std::function<void()>& enqueue);
  SectionTime time(const std::function<void()>& enqueue);
  double wall_s() const { return on_host() ? now_s() : backend_->wall_s(); }
  void evict_caches();

  // For CUDA variants.
  Stream stream() const { return backend_->stream(); }
  void check(int error, const char* what) const { backend_->check(error, what); }
  DeviceBackend* backend() const { return backend_.get(); }

 private:
  DeviceInfo device_;
  std::shared_ptr<DeviceBackend> backend_;
  Buffer eviction_;
};

// The first line of a small file, such as those of /proc and /sys; "" if it cannot be read.
std::string first_line(const std::string& path);

}  // namespace layercost
