// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention/cudnn_attention.h"

// The front end finds cuDNN's functions in the library that cudnn_dlhandle holds, instead of being linked to it.
#define NV_CUDNN_FRONTEND_USE_DYNAMIC_LOADING
// It brings a nlohmann/json of its own and changes there how a float is written: two definitions of one template in
// this program, of which the linker keeps either.
#define CUDNN_FRONTEND_SKIP_JSON_LIB
#include <cudnn_frontend.h>
#include <fmt/format.h>

#include <map>
#include <unordered_map>
#include <vector>

#include "kernels/libraries/open_library.h"

// The front end declares it, its user defines it.
void* cudnn_frontend::cudnn_dlhandle = nullptr;

namespace layercost {
namespace {

namespace fe = cudnn_frontend;

// Chunked prefill of any length needs 9.6; 9.10.0 and 9.10.1 have known bugs, says the front end.
constexpr std::size_t kOldest = 91002;

std::string version_text(std::size_t v) { return fmt::format("{}.{}.{}", v / 10000, v / 100 % 100, v % 100); }

struct Library {
  std::string why_not, version;

  Library() {
    fe::cudnn_dlhandle = open_library("LAYERCOST_CUDNN", "libcudnn.so.9", "nvidia/cudnn/lib");
    if (fe::cudnn_dlhandle == nullptr) {
      why_not =
          "libcudnn.so.9 was not found: install cuDNN 9 or the PyPI package nvidia-cudnn-cu13, or name the file in "
          "LAYERCOST_CUDNN";
      return;
    }
    const std::size_t v = fe::detail::get_backend_version();
    version = version_text(v);
    if (v < kOldest) why_not = fmt::format("needs cuDNN {} or newer, this is {}", version_text(kOldest), version);
  }
};
const Library& library() {
  static const Library one;
  return one;
}

void check(cudnnStatus_t s, const char* what) {
  if (s != CUDNN_STATUS_SUCCESS) throw std::runtime_error(fmt::format("{}: {}", what, fe::detail::get_error_string(s)));
}
void check(fe::error_t e, const char* what) {
  if (e.is_bad()) throw std::runtime_error(fmt::format("cuDNN, {}: {}", what, e.get_message()));
}

// One handle per device: everything runs in one stream.
struct Context {
  cudnnHandle_t handle = nullptr;
  explicit Context(Runtime& runtime) {
    check(fe::detail::create_handle(&handle), "cudnnCreate");
    check(fe::detail::set_stream(handle, reinterpret_cast<cudaStream_t>(runtime.stream())), "cudnnSetStream");
  }
  ~Context() { fe::detail::destroy_handle(handle); }
  Context(const Context&) = delete;
};
std::shared_ptr<Context> context_of(Runtime& runtime) {
  static std::map<DeviceBackend*, std::weak_ptr<Context>> contexts;
  std::weak_ptr<Context>& slot = contexts[runtime.backend()];
  std::shared_ptr<Context> c = slot.lock();
  if (!c) slot = c = std::make_shared<Context>(runtime);
  return c;
}

enum Id : std::int64_t { kQ = 1, kK, kV, kY };

// Dimensions are [batch, heads, length, dim] whatever the layout, which the strides tell.
std::shared_ptr<fe::graph::Graph> graph_of(const CudnnAttentionShape& s, int capability) {
  auto graph = std::make_shared<fe::graph::Graph>();
  graph->set_io_data_type(fe::DataType_t::BFLOAT16)
      .set_intermediate_data_type(fe::DataType_t::FLOAT)
      .set_compute_data_type(fe::DataType_t::FLOAT)
      .set_sm_version(capability);
  const std::vector<std::int64_t> rows{s.batch, s.heads, s.q_len, s.dim};
  const std::vector<std::int64_t> row_strides{s.q_len * s.heads * s.dim, s.dim, s.heads * s.dim, 1};
  // The slots from kv_len on are no part of the tensor.
  const std::vector<std::int64_t> slots{s.batch, s.kv_heads, s.kv_len, s.dim};
  const std::vector<std::int64_t> slot_strides{s.kv_heads * s.capacity * s.dim, s.capacity * s.dim, s.dim, 1};
  const auto input = [&](const char* name, Id id, const auto& dims, const auto& strides) {
    return graph->tensor(fe::graph::Tensor_attributes().set_name(name).set_uid(id).set_dim(dims).set_stride(strides));
  };
  const auto q = input("q", kQ, rows, row_strides);
  const auto k = input("k", kK, slots, slot_strides), v = input("v", kV, slots, slot_strides);
  // Query i sits at position kv_len - q_len + i: the diagonal ends in the bottom right corner. Of the band, the right
  // bound counts the keys after that position, the left bound those up to and with it.
  auto options = fe::graph::SDPA_attributes()
                     .set_name("attention")
                     .set_generate_stats(false)
                     .set_attn_scale(static_cast<float>(s.scale))
                     .set_diagonal_alignment(s.q_len == s.kv_len ? fe::DiagonalAlignment_t::TOP_LEFT
                                                                 : fe::DiagonalAlignment_t::BOTTOM_RIGHT)
                     .set_diagonal_band_right_bound(0);
  if (s.window != 0 && s.window < s.kv_len) options.set_diagonal_band_left_bound(static_cast<int>(s.window));
  const auto y = graph->sdpa(q, k, v, options)[0];
  y->set_output(true).set_uid(kY).set_dim(rows).set_stride(row_strides);
  return graph;
}

class Attention final : public CudnnAttention {
 public:
  Attention(const CudnnAttentionShape& s, const CudnnAttentionTensors& t, Runtime& runtime)
      : context_(context_of(runtime)),
        graph_(graph_of(s, runtime.device().cuda.capability())),
        tensors_{{kQ, t.q.data}, {kK, t.k_cache.data}, {kV, t.v_cache.data}, {kY, t.y.data}} {
    check(graph_->validate(), "validate");
    check(graph_->build_operation_graph(context_->handle), "build_operation_graph");
    check(graph_->create_execution_plans({fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK}), "create_execution_plans");
    check(graph_->check_support(), "check_support");
    check(graph_->build_plans(), "build_plans");
    check(graph_->get_plan_name(plan_), "get_plan_name");
    std::int64_t bytes = 0;
    check(graph_->get_workspace_size(bytes), "get_workspace_size");
    if (bytes > 0) workspace_ = runtime.buffer(static_cast<std::size_t>(bytes));
  }

  void run() override { check(graph_->execute(context_->handle, tensors_, workspace_.data()), "execute"); }
  std::string chosen() const override { return fmt::format("cuDNN {} {}", library().version, plan_); }

 private:
  std::shared_ptr<Context> context_;
  std::shared_ptr<fe::graph::Graph> graph_;
  std::unordered_map<std::int64_t, void*> tensors_;
  Buffer workspace_;
  std::string plan_;
};

}  // namespace

std::string cudnn_attention_why_not(const CudnnAttentionShape& s, int capability) {
  if (!library().why_not.empty()) return library().why_not;
  const fe::error_t e = graph_of(s, capability)->validate();
  return e.is_bad() ? "cuDNN: " + e.err_msg : "";
}

std::unique_ptr<CudnnAttention> make_cudnn_attention(const CudnnAttentionShape& s, const CudnnAttentionTensors& t,
                                                     Runtime& runtime) {
  return std::make_unique<Attention>(s, t, runtime);
}

}  // namespace layercost
