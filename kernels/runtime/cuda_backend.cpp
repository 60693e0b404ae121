// CUDA through its runtime library, linked statically: the program starts on a machine without a driver and says so.
// SPDX-License-Identifier: Apache-2.0
#include <cuda.h>
#include <cuda_runtime.h>
#include <fmt/format.h>

#include <algorithm>

#include "kernels/core/error.h"
#include "kernels/runtime/cuda_hold_launch.h"
#include "kernels/runtime/device_backend.h"
#include "kernels/runtime/runtime.h"
#include "kernels/simt/tensor_map.h"

namespace layercost {
namespace {

std::string words(cudaError_t e) { return fmt::format("{} ({})", cudaGetErrorString(e), cudaGetErrorName(e)); }

std::string version_text(int v) { return fmt::format("{}.{}", v / 1000, v % 1000 / 10); }

// Errors after which every call on the device fails until the process ends.
bool sticky(cudaError_t e) {
  switch (e) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorDevicesUnavailable:
    case cudaErrorUnknown:
      return true;
    default:
      return false;
  }
}

class CudaGraph final : public Graph {
 public:
  using Check = std::function<void(cudaError_t, const char*)>;
  CudaGraph(cudaGraph_t graph, cudaStream_t stream, Check check) : stream_(stream), check_(std::move(check)) {
    const cudaError_t e = cudaGraphInstantiate(&exec_, graph, 0);
    cudaGraphDestroy(graph);
    check_(e, "cudaGraphInstantiate");
    check_(cudaGraphUpload(exec_, stream_), "cudaGraphUpload");
  }
  ~CudaGraph() override {
    if (exec_ != nullptr) cudaGraphExecDestroy(exec_);
  }
  void launch() override { check_(cudaGraphLaunch(exec_, stream_), "cudaGraphLaunch"); }

 private:
  cudaGraphExec_t exec_ = nullptr;
  cudaStream_t stream_;
  Check check_;
};

class CudaBackend final : public DeviceBackend {
 public:
  explicit CudaBackend(int index) : index_(index) {
    check(cudaSetDevice(index_), "cudaSetDevice");
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
    check(cudaEventCreate(&begin_), "cudaEventCreate");
    check(cudaEventCreate(&end_), "cudaEventCreate");
    check(cudaHostAlloc(&flags_, 2 * sizeof(int), cudaHostAllocMapped), "cudaHostAlloc");
  }
  ~CudaBackend() override {
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
    cudaStreamDestroy(stream_);
    cudaFreeHost(flags_);
  }

  void* allocate(std::size_t bytes) override {
    void* p = nullptr;
    const cudaError_t e = cudaMalloc(&p, std::max<std::size_t>(bytes, 1));
    if (e == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      throw OutOfMemory("device memory", bytes, available_bytes());
    }
    check(e, "cudaMalloc");
    return p;
  }
  void release(void* p) noexcept override { cudaFree(p); }  // waits for the device
  void upload(void* to, const void* from, std::size_t bytes) override {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_), "copy to the device");
    synchronise();
  }
  void download(void* to, const void* from, std::size_t bytes) override {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_), "copy from the device");
    synchronise();
  }
  void copy(void* to, const void* from, std::size_t bytes) override {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream_), "copy on the device");
  }
  void fill(void* to, int byte, std::size_t bytes) override {
    check(cudaMemsetAsync(to, byte, bytes, stream_), "cudaMemset");
  }
  void synchronise() override { check(cudaStreamSynchronize(stream_), "waiting for the device"); }
  Stream stream() override { return reinterpret_cast<Stream>(stream_); }

  std::unique_ptr<Graph> capture(const std::function<void()>& enqueue) override {
    check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
    cudaGraph_t graph = nullptr;
    try {
      enqueue();
    } catch (...) {
      cudaStreamEndCapture(stream_, &graph);
      if (graph != nullptr) cudaGraphDestroy(graph);
      cudaGetLastError();
      throw;
    }
    check(cudaStreamEndCapture(stream_, &graph), "cudaStreamEndCapture");
    return std::make_unique<CudaGraph>(graph, stream_, [this](cudaError_t e, const char* what) { check(e, what); });
  }

  SectionTime time(const std::function<void()>& enqueue) override {
    volatile int* flags = flags_;
    flags[0] = 0;
    flags[1] = 0;
    check(launch_cuda_hold(flags, flags + 1, kHoldTimeout_ns, stream()), "holding the queue");
    struct LetGo {
      volatile int* flag;
      ~LetGo() { *flag = 1; }
    };
    SectionTime t;
    double begin = 0;
    {
      const LetGo let_go{flags};
      check(cudaEventRecord(begin_, stream_), "cudaEventRecord");
      enqueue();
      check(cudaEventRecord(end_, stream_), "cudaEventRecord");
      begin = now_s();
    }
    check(cudaEventSynchronize(end_), "waiting for the device");
    t.host_s = now_s() - begin;
    if (flags[1] != 0)
      throw std::runtime_error("the queue was held for longer than two seconds while work was being enqueued");
    float ms = 0;
    check(cudaEventElapsedTime(&ms, begin_, end_), "cudaEventElapsedTime");
    t.device_s = 1e-3 * static_cast<double>(ms);
    return t;
  }

  double wall_s() override { return now_s(); }

  void check(int error, const char* what) override { check(static_cast<cudaError_t>(error), what); }
  void check(cudaError_t e, const char* what) {
    if (!lost_.empty()) throw DeviceLost(lost_);
    if (e == cudaSuccess) return;
    cudaGetLastError();
    const std::string text = fmt::format("{}: {}", what, words(e));
    if (!sticky(e)) throw std::runtime_error(text);
    lost_ = "the device was lost: " + text;
    throw DeviceLost(lost_);
  }

  std::size_t available_bytes() override {
    std::size_t available = 0, total = 0;
    check(cudaMemGetInfo(&available, &total), "cudaMemGetInfo");
    return available;
  }

 private:
  static constexpr std::uint64_t kHoldTimeout_ns = 2'000'000'000;
  int index_;
  cudaStream_t stream_ = nullptr;
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
  int* flags_ = nullptr;
  std::string lost_;
};

DeviceListing nothing(std::string why) {
  DeviceListing l;
  l.info.target = Target::cuda;
  l.info.id = "cuda:0";
  l.info.name = "NVIDIA GPU";
  l.why_not = std::move(why);
  return l;
}

}  // namespace

std::vector<DeviceListing> list_cuda_devices() {
  int driver = 0, runtime = 0, count = 0;
  cudaRuntimeGetVersion(&runtime);
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) return {nothing("no NVIDIA driver on this machine")};
  const cudaError_t e = cudaGetDeviceCount(&count);
  if (e == cudaErrorInsufficientDriver || driver / 1000 < runtime / 1000)
    return {
        nothing(fmt::format("the NVIDIA driver supports CUDA {}, this program needs one for CUDA {}.0 (for CUDA 13 "
                            "driver 580 or newer)",
                            version_text(driver), runtime / 1000))};
  if (e == cudaErrorNoDevice || (e == cudaSuccess && count == 0)) return {nothing("the NVIDIA driver finds no GPU")};
  if (e != cudaSuccess) return {nothing(words(e))};

  std::vector<DeviceListing> out;
  for (int i = 0; i < count; ++i) {
    DeviceListing l = nothing("");
    DeviceInfo& d = l.info;
    d.id = fmt::format("cuda:{}", i);
    cudaDeviceProp p{};
    if (const cudaError_t why = cudaGetDeviceProperties(&p, i); why != cudaSuccess) {
      cudaGetLastError();
      l.why_not = words(why);
      out.push_back(std::move(l));
      continue;
    }
    d.name = p.name;
    d.memory_bytes = p.totalGlobalMem;
    d.last_level_cache_bytes = static_cast<std::uint64_t>(p.l2CacheSize);
    d.last_level_cache_source = "driver L2";
    d.cuda.major = p.major;
    d.cuda.minor = p.minor;
    d.cuda.multiprocessors = p.multiProcessorCount;
    d.cuda.shared_bytes_per_block = p.sharedMemPerBlockOptin;
    d.cuda.shared_bytes_per_multiprocessor = p.sharedMemPerMultiprocessor;
    d.cuda.driver = version_text(driver);
    d.cuda.runtime = version_text(runtime);
    d.cuda.pci = fmt::format("{:08x}:{:02x}:{:02x}.0", p.pciDomainID, p.pciBusID, p.pciDeviceID);
    const auto* u = reinterpret_cast<const unsigned char*>(p.uuid.bytes);
    d.cuda.uuid = fmt::format(
        "GPU-{:02x}{:02x}{:02x}{:02x}-{:02x}{:02x}-{:02x}{:02x}-{:02x}{:02x}-{:02x}{:02x}{:02x}{:02x}{:02x}{:02x}",
        u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
    if (d.cuda.capability() < 80) {
      l.why_not = fmt::format("{} has compute capability {}.{}, 8.0 or newer is needed", d.name, p.major, p.minor);
    } else {
      std::size_t available = 0, total = 0;
      int before = 0;
      cudaGetDevice(&before);
      cudaError_t state = cudaSetDevice(i);
      if (state == cudaSuccess) state = cudaMemGetInfo(&available, &total);
      if (state != cudaSuccess) {
        l.why_not = words(state);
      } else if (cuda_code_missing() != 0) {
        l.why_not = fmt::format("this program was built without code for compute capability {}.{}", p.major, p.minor);
      }
      cudaGetLastError();
      d.available_bytes = available;
      cudaSetDevice(before);
    }
    out.push_back(std::move(l));
  }
  return out;
}

std::shared_ptr<DeviceBackend> open_cuda_device(const DeviceInfo& d) {
  return std::make_shared<CudaBackend>(std::stoi(d.id.substr(5)));
}

// From the driver by name: the program links no driver, so that it starts without one.
int make_tensor_map(TensorMap* to, const MatrixShape& m) {
  static_assert(sizeof(TensorMap) == sizeof(CUtensorMap));
  static const auto encode = [] {
    void* f = nullptr;
    cudaDriverEntryPointQueryResult found{};
    const cudaError_t e =
        cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &f, 12000, cudaEnableDefault, &found);
    return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(
        e == cudaSuccess && found == cudaDriverEntryPointSuccess ? f : nullptr);
  }();
  if (encode == nullptr) return cudaErrorNotSupported;
  const cuuint64_t sizes[] = {static_cast<cuuint64_t>(m.columns), static_cast<cuuint64_t>(m.rows),
                              static_cast<cuuint64_t>(m.slices)};
  const cuuint64_t strides[] = {static_cast<cuuint64_t>(m.row_stride_bytes),
                                static_cast<cuuint64_t>(m.slice_stride_bytes)};
  const cuuint32_t box[] = {static_cast<cuuint32_t>(m.box_columns), static_cast<cuuint32_t>(m.box_rows), 1};
  const cuuint32_t every[] = {1, 1, 1};
  const CUresult r =
      encode(reinterpret_cast<CUtensorMap*>(to), CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 3, const_cast<void*>(m.base), sizes,
             strides, box, every, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
             CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return r == CUDA_SUCCESS ? 0 : static_cast<int>(cudaErrorInvalidValue);
}

}  // namespace layercost
