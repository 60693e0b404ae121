// SPDX-License-Identifier: Apache-2.0
#include "kernels/runtime/runtime.h"

#include <fmt/format.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "kernels/core/error.h"
#include "kernels/core/team.h"
#include "kernels/runtime/caches.h"
#include "kernels/runtime/topology.h"

namespace layercost {
namespace {

std::optional<std::uint64_t> to_number(const std::string& s) {
  std::uint64_t v = 0;
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), v);
  if (error != std::errc() || end == s.data()) return std::nullopt;
  return v;
}

std::uint64_t meminfo_bytes(const std::string& key) {
  std::ifstream in("/proc/meminfo");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(key + ":")) {
      std::istringstream s(line.substr(key.size() + 1));
      std::uint64_t kib = 0;
      s >> kib;
      return kib * 1024;
    }
  return 0;
}

void read_memory(DeviceInfo& d) {
  d.memory_bytes = meminfo_bytes("MemTotal");
  d.available_bytes = meminfo_bytes("MemAvailable");
  for (const std::string& folder : cgroup_folders("memory")) {
    auto limit = to_number(first_line(folder + "/memory.max"));
    auto used = to_number(first_line(folder + "/memory.current"));
    if (!limit) {
      limit = to_number(first_line(folder + "/memory.limit_in_bytes"));
      used = to_number(first_line(folder + "/memory.usage_in_bytes"));
    }
    if (!limit) continue;
    d.memory_bytes = std::min(d.memory_bytes, *limit);
    if (used) d.available_bytes = std::min(d.available_bytes, *limit - std::min(*limit, *used));
  }
}

int allowed_threads() { return threads_within_quota(static_cast<int>(allowed_cpus().size())); }

void read_caches(DeviceInfo& d) {
  const auto& caches = last_level_caches();
  d.last_level_cache_bytes = caches ? caches->bytes : std::uint64_t{64} << 20;
  d.last_level_cache_source = caches ? caches->source : "assumed";
}

void read_cpu_name_and_features(DeviceInfo& d) {
  d.name = "unknown CPU";
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("model name")) {
      const auto colon = line.find(':');
      if (colon != std::string::npos && colon + 2 < line.size()) d.name = line.substr(colon + 2);
      break;
    }
#if defined(__x86_64__)
  __builtin_cpu_init();
  d.cpu.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  d.cpu.avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  unsigned a = 0, b = 0, c = 0, e = 0;
  if (__get_cpuid_count(7, 1, &a, &b, &c, &e)) d.cpu.avx512_bf16 = d.cpu.avx512 && ((a >> 5) & 1u);
  if (__get_cpuid_count(7, 0, &a, &b, &c, &e)) d.cpu.amx_bf16 = (e >> 22) & 1u;
#endif
}

}  // namespace

std::string first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

std::string_view to_string(Target t) { return t == Target::cpu ? "cpu" : "cuda"; }

DeviceInfo describe_cpu(int threads) {
  DeviceInfo d;
  d.target = Target::cpu;
  d.id = "cpu";
  d.threads = threads > 0 ? threads : allowed_threads();
  read_cpu_name_and_features(d);
  read_caches(d);
  read_memory(d);
  return d;
}

std::vector<DeviceListing> list_devices() {
  std::vector<DeviceListing> out = {{describe_cpu(), ""}};
  if (list_cuda_devices) {
    for (DeviceListing& l : list_cuda_devices()) out.push_back(std::move(l));
    return out;
  }
  DeviceInfo cuda;
  cuda.target = Target::cuda;
  cuda.id = "cuda:0";
  cuda.name = "NVIDIA GPU";
  out.push_back({cuda, "built without CUDA"});
  return out;
}

DeviceInfo find_device(const std::string& id, int threads) {
  if (id.empty()) {
    for (const DeviceListing& l : list_devices())
      if (l.info.id == "cuda:0" && l.why_not.empty()) return find_device(l.info.id, threads);
    return describe_cpu(threads);
  }
  if (id == "cpu") return describe_cpu(threads);
  if (id != "cuda" && !id.starts_with("cuda:"))
    throw BadInput("--device: '" + printable(id) + "' is not a device; expected cpu or cuda:N");
  if (!list_cuda_devices)
    throw BadInput("--device: '" + printable(id) + "' cannot be used: this program was built without CUDA");
  const std::string wanted = id == "cuda" ? "cuda:0" : id;
  std::string known;
  for (DeviceListing& l : list_cuda_devices()) {
    if (l.info.id == wanted || !l.info.cuda.major) {
      if (!l.why_not.empty()) throw BadInput("--device: '" + printable(id) + "' cannot be used: " + l.why_not);
      l.info.threads = threads > 0 ? threads : allowed_threads();
      return l.info;
    }
    known += (known.empty() ? "" : ", ") + l.info.id;
  }
  throw BadInput("--device: there is no '" + printable(id) + "' here; known: cpu, " + known);
}

Runtime::Runtime(DeviceInfo device) : device_(std::move(device)) {
  set_team_threads(device_.threads);
  if (device_.target == Target::cuda) backend_ = open_cuda_device(device_);
}

Buffer Runtime::buffer(std::size_t bytes) {
  if (on_host()) return Buffer(bytes);
  auto* p = static_cast<std::byte*>(backend_->allocate(bytes));
  return Buffer(p, bytes, std::shared_ptr<void>(p, [backend = backend_](void* q) { backend->release(q); }));
}

OwnedTensor Runtime::tensor(DType t, Shape shape) {
  Buffer memory = buffer(static_cast<std::size_t>(elements_of(shape)) * size_of(t));
  return OwnedTensor(std::move(memory), t, std::move(shape));
}

void Runtime::upload(const Tensor& to, const Tensor& from) {
  if (to.bytes() != from.bytes()) throw BadCase("upload of " + to_string(from.shape) + " to " + to_string(to.shape));
  if (on_host()) std::memcpy(to.data, from.data, to.bytes());
  else backend_->upload(to.data, from.data, to.bytes());
}

OwnedTensor Runtime::read(const Tensor& t) {
  if (on_host()) return OwnedTensor(Buffer(t.as<std::byte>(), t.bytes(), nullptr), t.dtype, t.shape);
  OwnedTensor out(t.dtype, t.shape);
  backend_->download(out.view().data, t.data, t.bytes());
  return out;
}

void Runtime::copy(const Tensor& to, const Tensor& from) {
  if (to.bytes() != from.bytes()) throw BadCase("copy of " + to_string(from.shape) + " to " + to_string(to.shape));
  if (on_host()) std::memcpy(to.data, from.data, to.bytes());
  else backend_->copy(to.data, from.data, to.bytes());
}

void Runtime::constant(const Tensor& t) {
  if (!on_host()) backend_->constant(t.data);
}

void Runtime::fill_bytes(const Tensor& t, int byte) {
  if (on_host()) std::memset(t.data, byte, t.bytes());
  else backend_->fill(t.data, byte, t.bytes());
}

void Runtime::synchronise() {
  if (!on_host()) backend_->synchronise();
}

std::uint64_t Runtime::available_bytes() {
  return on_host() ? describe_cpu().available_bytes : backend_->available_bytes();
}

std::unique_ptr<Graph> Runtime::capture(const std::function<void()>& enqueue) {
  struct Again final : Graph {
    explicit Again(std::function<void()> f) : f_(std::move(f)) {}
    void launch() override { f_(); }
    std::function<void()> f_;
  };
  return on_host() ? std::make_unique<Again>(enqueue) : backend_->capture(enqueue);
}

SectionTime Runtime::time(const std::function<void()>& enqueue) {
  if (!on_host()) return backend_->time(enqueue);
  const double begin = now_s();
  enqueue();
  const double s = now_s() - begin;
  return {s, s};
}

void Runtime::evict_caches() {
  const std::size_t bytes = 2 * device_.last_level_cache_bytes;
  if (!eviction_) eviction_ = buffer(bytes);
  if (!on_host()) {
    backend_->fill(eviction_.data(), 0x5a, bytes);
    return;
  }
  auto* p = eviction_.as<std::uint64_t>();
  const std::int64_t n = static_cast<std::int64_t>(bytes / 64);
  each_row(n, true, [&](std::int64_t i) { ++p[i * 8]; });
}

double now_s() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC_RAW, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

}  // namespace layercost
