// SPDX-License-Identifier: Apache-2.0
#include "kernels/libraries/cublaslt.h"

#include <cublasLt.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <vector>

#include "kernels/core/error.h"
#include "kernels/libraries/open_library.h"

namespace layercost {
namespace {

// 32 MiB is what the library asks for on Hopper; smaller ones rule algorithms out.
constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;
constexpr int kAlgorithms = 16, kTimings = 5;
constexpr double kTieBand = 0.02;

struct Library {
  void* handle = nullptr;
  std::string why_not, version;

  template <class F>
  F* find(const char* name) const {
    return reinterpret_cast<F*>(dlsym(handle, name));
  }

  Library() {
    handle = open_library("LAYERCOST_CUBLASLT", "libcublasLt.so.13", "nvidia/cu13/lib");
    if (handle == nullptr) {
      why_not =
          "libcublasLt.so.13 was not found: install the CUDA 13 toolkit or the PyPI package nvidia-cublas, or "
          "name the file in LAYERCOST_CUBLASLT";
      return;
    }
    if (auto* f = find<decltype(cublasLtGetVersion)>("cublasLtGetVersion")) {
      const auto v = f();
      version = fmt::format("{}.{}.{}", v / 10000, v / 100 % 100, v % 100);
    }
  }
};
const Library& library() {
  static const Library one;
  return one;
}

#define LAYERCOST_LT(name) (library().find<decltype(name)>(#name))

void check(cublasStatus_t s, const char* what) {
  if (s != CUBLAS_STATUS_SUCCESS)
    throw std::runtime_error(fmt::format("{}: cuBLAS status {}", what, static_cast<int>(s)));
}

cudaDataType_t type_of(DType t) {
  switch (t) {
    case DType::f32:
      return CUDA_R_32F;
    case DType::bf16:
      return CUDA_R_16BF;
    case DType::f64:
    case DType::i32:
    case DType::fp8_e4m3:
      break;
  }
  throw BadCase("cuBLASLt is given f32 and bf16 here, not " + std::string(to_string(t)));
}

// One handle and one workspace per device: everything runs in one stream, one product after the other.
struct Context {
  cublasLtHandle_t handle = nullptr;
  Buffer workspace;
  explicit Context(Runtime& runtime) : workspace(runtime.buffer(kWorkspaceBytes)) {
    check(LAYERCOST_LT(cublasLtCreate)(&handle), "cublasLtCreate");
  }
  ~Context() { LAYERCOST_LT(cublasLtDestroy)(handle); }
};
std::shared_ptr<Context> context_of(Runtime& runtime) {
  static std::map<DeviceBackend*, std::weak_ptr<Context>> contexts;
  std::weak_ptr<Context>& slot = contexts[runtime.backend()];
  std::shared_ptr<Context> c = slot.lock();
  if (!c) slot = c = std::make_shared<Context>(runtime);
  return c;
}

struct Layout {
  cublasLtMatrixLayout_t it = nullptr;
  Layout(DType t, std::int64_t rows, std::int64_t columns, std::int64_t leading) {
    check(LAYERCOST_LT(cublasLtMatrixLayoutCreate)(&it, type_of(t), static_cast<std::uint64_t>(rows),
                                                   static_cast<std::uint64_t>(columns), leading),
          "cublasLtMatrixLayoutCreate");
  }
  ~Layout() { LAYERCOST_LT(cublasLtMatrixLayoutDestroy)(it); }
  Layout(const Layout&) = delete;
};

struct Algorithm {
  cublasLtMatmulAlgo_t it;
  // Numbers by which cuBLASLt names what it runs; also the second key of the choice.
  std::array<std::int64_t, 8> key{};
  double time_s = 0;

  std::string text() const {
    return fmt::format("cuBLASLt {} algo={} tile={} stages={} splitk={} reduction={} swizzle={} custom={} cluster={}",
                       library().version, key[0], key[1], key[2], key[3], key[4], key[5], key[6], key[7]);
  }
};

template <class T>
std::int64_t attribute(const cublasLtMatmulAlgo_t& a, cublasLtMatmulAlgoConfigAttributes_t which) {
  T value{};
  std::size_t written = 0;
  LAYERCOST_LT(cublasLtMatmulAlgoConfigGetAttribute)(&a, which, &value, sizeof value, &written);
  return written == sizeof value ? static_cast<std::int64_t>(value) : -1;
}

// The text pinned for this case, or "".
std::string pinned(const std::string& case_text) {
  const char* file = std::getenv("LAYERCOST_CUBLASLT_PIN");
  if (file == nullptr) return {};
  std::ifstream in(file);
  if (!in) throw BadInput(file, "", "LAYERCOST_CUBLASLT_PIN names a file that cannot be read");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(case_text + "\t")) return line.substr(case_text.size() + 1);
  return {};
}

// Row-major y[m,n] = x[m,k] w[n,k]^T is column-major D(n x m) = A^T B with A = w (k x n), B = x (k x m).
class Product final : public CublasLtProduct {
 public:
  Product(const CublasLtCase& c, Runtime& runtime)
      : case_(c),
        runtime_(runtime),
        context_(context_of(runtime)),
        a_(c.w.dtype, c.k, c.n, c.k),
        b_(c.x.dtype, c.k, c.m, c.k),
        d_(c.y.dtype, c.n, c.m, c.n) {
    check(LAYERCOST_LT(cublasLtMatmulDescCreate)(&operation_, CUBLAS_COMPUTE_32F, CUDA_R_32F),
          "cublasLtMatmulDescCreate");
    const cublasOperation_t transposed = CUBLAS_OP_T;
    set(CUBLASLT_MATMUL_DESC_TRANSA, transposed);
    if (c.bias.data != nullptr) {
      const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
      set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue);
      set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, c.bias.data);
      const cudaDataType_t type = type_of(c.bias.dtype);
      set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, type);
    }
    choose();
  }
  ~Product() override {
    if (operation_ != nullptr) LAYERCOST_LT(cublasLtMatmulDescDestroy)(operation_);
  }

  void run() override { check(enqueue(algorithm_), "cublasLtMatmul"); }
  std::string chosen() const override { return algorithm_.text(); }

 private:
  template <class T>
  void set(cublasLtMatmulDescAttributes_t which, const T& value) {
    check(LAYERCOST_LT(cublasLtMatmulDescSetAttribute)(operation_, which, &value, sizeof value),
          "cublasLtMatmulDescSetAttribute");
  }

  cublasStatus_t enqueue(const Algorithm& a) const {
    const float alpha = 1, beta = case_.residual.data != nullptr ? 1.0f : 0.0f;
    const void* c = case_.residual.data != nullptr ? case_.residual.data : case_.y.data;
    return LAYERCOST_LT(cublasLtMatmul)(context_->handle, operation_, &alpha, case_.w.data, a_.it, case_.x.data, b_.it,
                                        &beta, c, d_.it, case_.y.data, d_.it, &a.it, context_->workspace.data(),
                                        kWorkspaceBytes, reinterpret_cast<cudaStream_t>(runtime_.stream()));
  }

  std::vector<Algorithm> candidates() const {
    cublasLtMatmulPreference_t preference = nullptr;
    check(LAYERCOST_LT(cublasLtMatmulPreferenceCreate)(&preference), "cublasLtMatmulPreferenceCreate");
    const std::uint64_t bytes = kWorkspaceBytes;
    LAYERCOST_LT(cublasLtMatmulPreferenceSetAttribute)
    (preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &bytes, sizeof bytes);
    std::array<cublasLtMatmulHeuristicResult_t, kAlgorithms> found{};
    int count = 0;
    const cublasStatus_t s = LAYERCOST_LT(cublasLtMatmulAlgoGetHeuristic)(
        context_->handle, operation_, a_.it, b_.it, d_.it, d_.it, preference, kAlgorithms, found.data(), &count);
    LAYERCOST_LT(cublasLtMatmulPreferenceDestroy)(preference);
    check(s, "cublasLtMatmulAlgoGetHeuristic");
    std::vector<Algorithm> out;
    for (int i = 0; i < count; ++i) {
      if (found[static_cast<std::size_t>(i)].state != CUBLAS_STATUS_SUCCESS) continue;
      Algorithm a;
      a.it = found[static_cast<std::size_t>(i)].algo;
      a.key = {attribute<std::int32_t>(a.it, CUBLASLT_ALGO_CONFIG_ID),
               attribute<std::uint32_t>(a.it, CUBLASLT_ALGO_CONFIG_TILE_ID),
               attribute<std::uint32_t>(a.it, CUBLASLT_ALGO_CONFIG_STAGES_ID),
               attribute<std::int32_t>(a.it, CUBLASLT_ALGO_CONFIG_SPLITK_NUM),
               attribute<std::uint32_t>(a.it, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME),
               attribute<std::uint32_t>(a.it, CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING),
               attribute<std::uint32_t>(a.it, CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION),
               attribute<std::uint16_t>(a.it, CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID)};
      out.push_back(a);
    }
    return out;
  }

  void choose() {
    std::vector<Algorithm> all = candidates();
    if (const std::string wanted = pinned(case_.text); !wanted.empty()) {
      for (const Algorithm& a : all)
        if (a.text() == wanted) {
          algorithm_ = a;
          return;
        }
      throw std::runtime_error("the pinned algorithm is not among cuBLASLt's: " + wanted);
    }
    // The layers of a stack and the rounds of a run ask for the same product: timed once, the same for all.
    using Key = std::array<std::int64_t, 8>;
    static std::map<std::pair<DeviceBackend*, std::string>, Key> known;
    const auto known_key = known.find({runtime_.backend(), case_.text});
    for (const Algorithm& a : all)
      if (known_key != known.end() && a.key == known_key->second) {
        algorithm_ = a;
        return;
      }
    std::erase_if(all, [&](Algorithm& a) {
      if (enqueue(a) != CUBLAS_STATUS_SUCCESS) return true;  // also loads the kernel
      runtime_.synchronise();
      a.time_s = INFINITY;
      for (int i = 0; i < kTimings; ++i) {
        runtime_.evict_caches();
        a.time_s = std::min(a.time_s, runtime_.time([&] { enqueue(a); }).device_s);
      }
      return false;
    });
    if (all.empty()) throw std::runtime_error("cuBLASLt has no algorithm for this product");
    double best = INFINITY;
    for (const Algorithm& a : all) best = std::min(best, a.time_s);
    std::erase_if(all, [&](const Algorithm& a) { return a.time_s > (1 + kTieBand) * best; });
    algorithm_ =
        *std::min_element(all.begin(), all.end(), [](const Algorithm& a, const Algorithm& b) { return a.key < b.key; });
    known[{runtime_.backend(), case_.text}] = algorithm_.key;
  }

  CublasLtCase case_;
  Runtime& runtime_;
  std::shared_ptr<Context> context_;
  Layout a_, b_, d_;
  cublasLtMatmulDesc_t operation_ = nullptr;
  Algorithm algorithm_{};
};

}  // namespace

std::string cublaslt_why_not() { return library().why_not; }
std::string cublaslt_version() { return library().version; }
std::unique_ptr<CublasLtProduct> make_cublaslt_product(const CublasLtCase& c, Runtime& runtime) {
  return std::make_unique<Product>(c, runtime);
}

}  // namespace layercost
