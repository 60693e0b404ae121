// What:    what the program needs of a device that has memory and a clock of its own (a GPU). Runtime is how everybody
//          else uses it. One implementation talks to CUDA (cuda_backend.cpp), one runs kernels on the host for the
//          tests (tests/simt); a build without CUDA has neither.
// Units:   bytes, seconds.
// Errors:  OutOfMemory; DeviceLost once the device no longer answers (every later call throws it again); otherwise
//          std::runtime_error with the device's own words.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/simt/launch.h"

namespace layercost {

struct DeviceInfo;
struct DeviceListing;

// A device that failed in a way it does not recover from within this process.
class DeviceLost : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Work that was enqueued once and can be started again and again.
class Graph {
 public:
  virtual ~Graph() = default;
  virtual void launch() = 0;  // enqueues
};

struct SectionTime {
  double device_s = 0;  // between two marks in the stream
  double host_s = 0;    // from letting the queue go to its end, by now_s()
};

class DeviceBackend {
 public:
  virtual ~DeviceBackend() = default;
  virtual void* allocate(std::size_t bytes) = 0;  // 256-byte aligned, contents undefined
  virtual void release(void*) noexcept = 0;
  virtual void upload(void* device, const void* host, std::size_t bytes) = 0;    // in stream order, done on return
  virtual void download(void* host, const void* device, std::size_t bytes) = 0;  // in stream order, done on return
  virtual void copy(void* to, const void* from, std::size_t bytes) = 0;          // within the device, enqueued
  virtual void fill(void* device, int byte, std::size_t bytes) = 0;              // enqueued
  // Nothing writes this allocation any more, until it is released: kernels may read it before grid_wait().
  virtual void constant(const void* /*allocation*/) {}
  virtual void synchronise() = 0;
  virtual Stream stream() = 0;
  virtual std::unique_ptr<Graph> capture(const std::function<void()>& enqueue) = 0;
  // The queue is held until `enqueue` has returned, so that the host's own pace is not in the time.
  virtual SectionTime time(const std::function<void()>& enqueue) = 0;
  virtual double wall_s() = 0;  // the clock on the wall, for budgets; on a simulated device it is planted
  virtual void check(int error, const char* what) = 0;  // throws unless error is 0
  virtual std::size_t available_bytes() = 0;
  // Whether an access beyond an allocation is noticed by other means, so that checks need no guard words.
  virtual bool guards_allocations() const { return false; }
};

// Every CUDA device, usable or not, by index; where there is none, one listing that says why. Never throws.
LAYERCOST_DEVICE_CODE std::vector<DeviceListing> list_cuda_devices();
LAYERCOST_DEVICE_CODE std::shared_ptr<DeviceBackend> open_cuda_device(const DeviceInfo&);

}  // namespace layercost
