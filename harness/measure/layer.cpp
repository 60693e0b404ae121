// SPDX-License-Identifier: Apache-2.0
#include "harness/measure/layer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "kernels/contract/dispatch.h"
#include "kernels/contract/registry.h"
#include "kernels/core/error.h"
#include "kernels/core/random.h"

namespace layercost {
namespace {
std::function<void()> interrupt_function;
}

void set_interrupt_check(std::function<void()> f) { interrupt_function = std::move(f); }
void interrupt_check() {
  if (interrupt_function) interrupt_function();
}

namespace {

// Of a vector whose values follow from the layer's number.
std::shared_ptr<const Weight> ruled_weight(const WeightSpec& w, std::int64_t layer) {
  return std::make_shared<const Weight>(*w.format, w.shape,
                                        [rule = w.rule, layer](std::int64_t first, std::int64_t n, void* p) {
                                          for (std::int64_t i = 0; i < n; ++i)
                                            static_cast<float*>(p)[i] = rule(layer, first + i);
                                        });
}

}  // namespace

WeightSet synthetic_weights(const LayerPlan& plan, std::uint64_t seed, std::int64_t layer) {
  WeightSet out;
  for (const WeightSpec& w : plan.weights) {
    if (w.rule) {
      out[w.name] = ruled_weight(w, layer);
      continue;
    }
    const std::uint64_t key = seed_for(seed, w.name, static_cast<std::uint64_t>(layer));
    out[w.name] = std::make_shared<const Weight>(
        *w.format, w.shape,
        [key, mean = w.mean, sigma = w.sigma, t = w.format->values](std::int64_t first, std::int64_t n, void* p) {
          fill_normal(key, first, n, mean, sigma, t, p);
        });
  }
  return out;
}

namespace {

using TensorName = std::function<std::string(const std::string& source)>;

std::unique_ptr<const CodedWeight> checkpoint_codes(const WeightSpec& w, Checkpoint& checkpoint,
                                                    const TensorName& name) {
  const WeightFormat& f = *w.format;
  auto out = std::make_unique<CodedWeight>(f, w.shape);
  std::int64_t row = 0;                // over all matrices
  std::unique_ptr<CodedWeight> whole;  // of the source that rows were last taken from
  float whole_factor = 1;
  std::string read;
  for (const WeightSpec::Source& s : w.sources) {
    if (s.columns > 0)
      throw BadInput(checkpoint.source(), name(s.tensor), "columns of a matrix in codes are not taken apart yet");
    const std::int64_t rows = s.is_whole() ? s.shape[0] : s.rows, in_matrix = row % out->rows;
    if (in_matrix % f.block_rows != 0 || (rows % f.block_rows != 0 && in_matrix + rows != out->rows))
      throw BadInput(
          checkpoint.source(), name(s.tensor),
          fmt::format("its {} rows begin at row {} of the matrix that is multiplied with as one, where no block "
                      "of {} rows begins and ends",
                      rows, in_matrix, f.block_rows));
    const CodedRows part{&f,
                         rows,
                         out->columns,
                         {out->codes.data() + row * f.row_bytes(out->columns),
                          static_cast<std::size_t>(rows * f.row_bytes(out->columns))},
                         {out->scales.data() + (out->scales_of(row) - out->scales.data()),
                          static_cast<std::size_t>(f.blocks_of(rows, out->columns) * f.scale_bytes)}};
    float factor = 1;
    if (s.is_whole()) {
      factor = checkpoint.read_coded(name(s.tensor), part);
    } else {
      if (s.first_row % f.block_rows != 0)
        throw BadInput(
            checkpoint.source(), name(s.tensor),
            fmt::format("is taken apart at row {}, where no block of {} rows begins", s.first_row, f.block_rows));
      if (read != s.tensor) {
        whole = std::make_unique<CodedWeight>(f, s.shape);
        whole_factor = checkpoint.read_coded(name(s.tensor), {&f,
                                                              s.shape[0],
                                                              out->columns,
                                                              {whole->codes.data(), whole->codes.bytes()},
                                                              {whole->scales.data(), whole->scales.bytes()}});
        read = s.tensor;
      }
      factor = whole_factor;
      std::copy_n(whole->codes.data() + s.first_row * f.row_bytes(out->columns), part.codes.size(), part.codes.data());
      std::copy_n(whole->scales_of(s.first_row), part.scales.size(), part.scales.data());
    }
    if (f.has_factor) {
      float& known = out->factors[static_cast<std::size_t>(row / out->rows)];
      if (in_matrix > 0 && known != factor)
        throw BadInput(
            checkpoint.source(), name(s.tensor),
            fmt::format("has the factor {}, the rows above it in the matrix that is multiplied with as one {}; "
                        "expected one factor, as llm-compressor writes for such matrices",
                        factor, known));
      known = factor;
    }
    row += rows;
  }
  return out;
}

}  // namespace

WeightSet checkpoint_weights(const LayerPlan& plan, Checkpoint& reader, const TensorName& name, std::int64_t layer) {
  WeightSet out;
  for (const WeightSpec& w : plan.weights) {
    interrupt_check();
    if (w.rule) {
      out[w.name] = ruled_weight(w, layer);
      continue;
    }
    if (!w.format->is_plain()) {
      out[w.name] = std::make_shared<const Weight>(w.shape, checkpoint_codes(w, reader, name));
      continue;
    }
    // Read once, whole: the file need not stay as it is, and a fill must not fail. Kept in the plan's type, because a
    // stack holds many layers.
    const DType type = w.format->values;
    const auto values = std::make_shared<const OwnedTensor>(type, w.shape);
    std::int64_t at = 0;
    std::vector<float> part;  // of the source that was last read
    std::string read;
    for (const WeightSpec::Source& s : w.sources) {
      if (read != s.tensor) {
        part.resize(static_cast<std::size_t>(elements_of(s.shape)));
        reader.read_f32(name(s.tensor), s.shape, part);
        read = s.tensor;
      }
      const std::int64_t stride = elements_of(s.shape) / s.shape[0], width = s.row_elements();
      const float* from = part.data() + s.first_row * stride + s.first_column;
      dispatch_float(type, [&]<class T>(T*) {
        for (std::int64_t i = 0; i < s.elements(); ++i)
          store_f32(values->view().as<T>() + at++, from[i / width * stride + i % width] * w.times + w.added);
      });
    }
    out[w.name] =
        std::make_shared<const Weight>(*w.format, w.shape, [values](std::int64_t first, std::int64_t n, void* p) {
          const auto size = static_cast<std::int64_t>(size_of(values->view().dtype));
          std::memcpy(p, values->view().as<std::byte>() + first * size, static_cast<std::size_t>(n * size));
        });
  }
  return out;
}

void fill_normal(Runtime& runtime, const Tensor& t, std::uint64_t seed) {
  if (runtime.on_host()) return fill_normal(t, seed);
  const OwnedTensor host(t.dtype, t.shape);
  fill_normal(host.view(), seed);
  runtime.upload(t, host);
}

namespace {
bool is_own(const BufferSpec& b) {
  return b.role == BufferRole::cache || b.role == BufferRole::forced_ids || b.role == BufferRole::state ||
         b.role == BufferRole::next_state;
}
}  // namespace

void fill_row_numbers(const Tensor& t) { std::iota(t.as<std::int32_t>(), t.as<std::int32_t>() + t.elements(), 0); }

namespace {
// As the tests of the op that reads it fill it: for each query some of the keys that it may see.
void fill_selection(const LayerPlan& plan, const std::string& name, const Tensor& t) {
  for (const PlannedOp& p : plan.ops)
    for (const TensorSpec& s : find_op(p.op_case.op()).tensors(p.op_case))
      if (s.role != Role::weight && s.fill && p.bind.at(s.name) == name) return s.fill(t, seed_for(0, name));
  throw BadCase("no op reads the selection '" + name + "'");
}
}  // namespace

BufferSet shared_buffers(const LayerPlan& plan, Runtime& runtime) {
  BufferSet out;
  for (const BufferSpec& b : plan.buffers)
    if (!is_own(b)) out[b.name] = std::make_shared<const OwnedTensor>(runtime.tensor(b.dtype, b.shape));
  const auto upload = [&](const BufferSpec& b, auto&& fill) {
    const OwnedTensor host(b.dtype, b.shape);
    fill(host.view());
    runtime.upload(out.at(b.name)->view(), host);
  };
  if (const BufferSpec* cos_spec = plan.find_buffer(BufferRole::rotary_cos)) {
    const Tensor &cos = out.at(cos_spec->name)->view(), &sin = out.at(plan.buffer(BufferRole::rotary_sin).name)->view();
    const OwnedTensor host_cos(cos.dtype, cos.shape), host_sin(sin.dtype, sin.shape);
    fill_rotary_table(plan.rotary, host_cos, host_sin);
    runtime.upload(cos, host_cos);
    runtime.upload(sin, host_sin);
  }
  for (const BufferSpec& b : plan.buffers) {
    if (b.role == BufferRole::query_scale) upload(b, [&](const Tensor& t) { fill_temperatures(plan.temperature, t); });
    if (b.role == BufferRole::from_outside) fill_normal(runtime, out.at(b.name)->view(), seed_for(0, b.name));
    if (b.role == BufferRole::ones) upload(b, [](const Tensor& t) { std::fill_n(t.as<float>(), t.elements(), 1.0f); });
    if (b.role == BufferRole::row_numbers) upload(b, fill_row_numbers);
    if (b.role == BufferRole::given_selection) upload(b, [&](const Tensor& t) { fill_selection(plan, b.name, t); });
  }
  return out;
}

BufferSet own_buffers(const LayerPlan& plan, std::uint64_t seed, std::int64_t layer, Runtime& runtime) {
  BufferSet out;
  for (const BufferSpec& b : plan.buffers) {
    if (!is_own(b)) continue;
    out[b.name] = std::make_shared<const OwnedTensor>(runtime.tensor(b.dtype, b.shape));
    if (b.role == BufferRole::cache || b.role == BufferRole::state)
      fill_normal(runtime, out[b.name]->view(), seed_for(seed, b.name, static_cast<std::uint64_t>(layer)));
  }
  return out;
}

Layer::Layer(const LayerPlan& plan, WeightSet weights, BufferSet buffers, Runtime& runtime,
             const std::vector<const Variant*>& variants)
    : runtime_(runtime), plan_(plan), weights_(std::move(weights)), buffers_(std::move(buffers)) {
  for (std::size_t i = 0; i < plan_.ops.size(); ++i) {
    interrupt_check();
    const PlannedOp& p = plan_.ops[i];
    const OpDef& op = find_op(p.op_case.op());
    OpTensors& tensors = tensors_.emplace_back();
    for (const TensorSpec& s : op.tensors(p.op_case)) {
      const std::string& name = p.bind.at(s.name);
      if (s.role == Role::weight) {
        tensors.bind(s.name, weights_.at(name));
        continue;
      }
      Tensor t = buffers_.at(name)->view();
      if (t.dtype != s.dtype || t.elements() != elements_of(s.shape))
        throw BadCase(fmt::format("{}: buffer '{}' {} {} does not fit '{}' {} {}", p.op_case.text(), name,
                                  to_string(t.dtype), to_string(t.shape), s.name, to_string(s.dtype),
                                  to_string(s.shape)));
      t.shape = s.shape;
      tensors.bind(s.name, t);
    }
    const bool given = i < variants.size() && variants[i] != nullptr;
    variants_.push_back(given ? variants[i] : &default_variant(op, p.op_case, runtime.device()));
    calls_.push_back(prepare(i, *variants_[i]));
  }
}

std::unique_ptr<Invocation> Layer::prepare(std::size_t op, const Variant& v) const {
  return v.prepare(plan_.ops[op].op_case, tensors_[op], runtime_);
}

void Layer::run_timed(std::vector<double>& seconds) {
  for (auto& call : calls_) seconds.push_back(runtime_.time([&] { call->run(); }).device_s);
}

}  // namespace layercost
