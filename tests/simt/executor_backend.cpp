// What:    the executor as a device "cuda:0", for tests: device memory is the host's, with 64 KiB on both sides of each
//          allocation that the address sanitizer forbids; a stream does everything at once, a graph does it again.
// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <cstring>
#include <new>
#include <set>
#include <string>

#include "kernels/runtime/runtime.h"
#include "kernels/simt/executor.h"
#include "tests/simt/simulated_device.h"

// Of the address sanitizer, where it is linked in.
extern "C" __attribute__((weak)) void __asan_poison_memory_region(const volatile void*, std::size_t);

namespace layercost {
namespace {

// As much as the guards that tensors in the host's memory have: a row too far is still noticed.
constexpr std::size_t kGuardBytes = std::size_t{64} << 10;

class ExecutorBackend final : public DeviceBackend {
 public:
  void* allocate(std::size_t bytes) override {
    void* all = nullptr;
    if (posix_memalign(&all, 256, kGuardBytes + bytes + kGuardBytes) != 0) throw std::bad_alloc();
    auto* p = static_cast<std::byte*>(all) + kGuardBytes;
    std::memset(p, 0xff, bytes);  // NaN, and an impossible index
    if (__asan_poison_memory_region != nullptr) {
      __asan_poison_memory_region(all, kGuardBytes);
      __asan_poison_memory_region(p + bytes, kGuardBytes);
    }
    simt::executor::device_memory(p, bytes);
    return p;
  }
  void release(void* p) noexcept override {
    if (p == nullptr) return;
    simt::executor::forget_memory(p);
    std::free(static_cast<std::byte*>(p) - kGuardBytes);
  }
  void upload(void* to, const void* from, std::size_t bytes) override { copy(to, from, bytes); }
  void download(void* to, const void* from, std::size_t bytes) override { std::memcpy(to, from, bytes); }
  void copy(void* to, const void* from, std::size_t bytes) override {
    simt::executor::other_work();
    std::memcpy(to, from, bytes);
  }
  void fill(void* to, int byte, std::size_t bytes) override {
    simt::executor::other_work();
    std::memset(to, byte, bytes);
  }
  void constant(const void* p) override { simt::executor::constant_memory(p); }
  void synchronise() override {}
  Stream stream() override { return nullptr; }
  std::unique_ptr<Graph> capture(const std::function<void()>& enqueue) override {
    struct Again final : Graph {
      explicit Again(std::function<void()> f) : f_(std::move(f)) {}
      void launch() override { f_(); }
      std::function<void()> f_;
    };
    return std::make_unique<Again>(enqueue);
  }
  SectionTime time(const std::function<void()>& enqueue) override {
    SimulatedDevice& device = simulated_device();
    if (!device.clock && !device.launch_s) throw std::logic_error("nothing is timed on the executor");
    struct Hold {
      bool& held;
      explicit Hold(bool& h) : held(h) { held = true; }
      ~Hold() { held = false; }
    };
    const double begin_s = device.wall_s;
    {
      const Hold hold(held_);
      enqueue();
    }
    if (!device.clock) return {device.wall_s - begin_s, device.wall_s - begin_s};
    const SectionTime t = device.clock();
    device.wall_s += t.host_s;
    return t;
  }
  double wall_s() override { return simulated_device().wall_s; }
  void check(int error, const char* what) override {
    SimulatedDevice& device = simulated_device();
    if (device.launches == device.lost_after) throw DeviceLost("the device was lost: planted");
    ++device.launches;
    // On a GPU a kernel is loaded when it is launched first, and loading waits for the queue.
    if (held_ && !loaded_.contains(what))
      throw std::logic_error(std::string(what) + ": launched for the first time while the queue is held");
    loaded_.insert(what);
    if (device.launch_s) device.wall_s += device.launch_s(what);
    if (error != 0) throw std::runtime_error(std::string(what) + ": error " + std::to_string(error));
  }
  std::size_t available_bytes() override { return simulated_device().memory_bytes; }
  bool guards_allocations() const override { return true; }

 private:
  bool held_ = false;
  std::set<std::string> loaded_;
};

}  // namespace

SimulatedDevice& simulated_device() {
  static SimulatedDevice device;
  return device;
}

// As an H100, so that `supports` of every variant says what it would say there.
std::vector<DeviceListing> list_cuda_devices() {
  DeviceListing l;
  l.info.target = Target::cuda;
  l.info.id = "cuda:0";
  l.info.name = "SIMT executor";
  l.info.threads = describe_cpu().threads;
  l.info.memory_bytes = l.info.available_bytes = simulated_device().memory_bytes;
  l.info.last_level_cache_bytes = simulated_device().cache_bytes;
  l.info.last_level_cache_source = "executor";
  l.info.cuda.major = 9;
  l.info.cuda.multiprocessors = 4;  // few, so that grids of one block per multiprocessor stay short
  l.info.cuda.shared_bytes_per_block = 227 * 1024;
  l.info.cuda.shared_bytes_per_multiprocessor = 228 * 1024;
  return {l};
}

std::shared_ptr<DeviceBackend> open_cuda_device(const DeviceInfo&) { return std::make_shared<ExecutorBackend>(); }

}  // namespace layercost
