// SPDX-License-Identifier: Apache-2.0
#include "kernels/libraries/onednn.h"

#ifndef LAYERCOST_ONEDNN

#include <stdexcept>

namespace layercost {

std::string onednn_version() { return {}; }

Support onednn_supports(DType, DType, DType, const DeviceInfo&) { return Support::no("built without oneDNN"); }

std::shared_ptr<const OnednnMatrices> OnednnMatrices::of(const Weight&) {
  throw std::logic_error("built without oneDNN");
}

std::unique_ptr<OnednnMatmul> OnednnMatmul::make(std::int64_t, DType, std::shared_ptr<const OnednnMatrices>, Options) {
  throw std::logic_error("built without oneDNN");
}

}  // namespace layercost

#else

#include <fmt/format.h>

#include <array>
#include <oneapi/dnnl/dnnl.hpp>
#include <string_view>
#include <vector>

#include "kernels/core/error.h"
#include "kernels/core/team.h"
#include "kernels/cpu/bf16_tiles.h"

namespace layercost {

std::string onednn_version() {
  const dnnl_version_t& v = *dnnl_version();
  return fmt::format("{}.{}.{}", v.major, v.minor, v.patch);
}

namespace {

using Desc = dnnl::memory::desc;
using Tag = dnnl::memory::format_tag;

const dnnl::engine& cpu() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::memory::data_type to_dnnl(DType t) {
  switch (t) {
    case DType::f32:
      return dnnl::memory::data_type::f32;
    case DType::bf16:
      return dnnl::memory::data_type::bf16;
    case DType::f64:
    case DType::i32:
    case DType::fp8_e4m3:
      break;
  }
  throw BadCase("oneDNN is given f32 and bf16 here, not " + std::string(to_string(t)));
}

Desc rows_of(std::int64_t rows, std::int64_t columns, DType t) { return {{rows, columns}, to_dnnl(t), Tag::ab}; }

// oneDNN's weights are [k, n].
Desc weights_of(std::int64_t n, std::int64_t k, DType t, Tag tag) { return {{k, n}, to_dnnl(t), tag}; }

dnnl::matmul::primitive_desc describe(std::int64_t m, std::int64_t n, std::int64_t k, DType x, DType y,
                                      const Desc& weights, OnednnMatmul::Options options) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const Desc x_desc = rows_of(m, k, x), y_desc = rows_of(m, n, y);
  const Desc bias = options.bias ? rows_of(1, n, x) : Desc();
  if (options.residual) {
    dnnl::post_ops ops;
    ops.append_binary(dnnl::algorithm::binary_add, y_desc);
    attr.set_post_ops(ops);
  }
#if DNNL_VERSION_MAJOR >= 3
  return {cpu(), x_desc, weights, bias, y_desc, attr};
#else
  return {dnnl::matmul::desc(x_desc, weights, bias, y_desc), attr, cpu()};
#endif
}

class Matrices final : public OnednnMatrices {
 public:
  Matrices(const Weight& w, Desc desc, std::shared_ptr<const Bf16Tiles> tiles)
      : dtype_(w.dtype()),
        n_(w.dim(w.shape().size() - 2)),
        k_(w.dim(w.shape().size() - 1)),
        desc_(std::move(desc)),
        tiles_(std::move(tiles)) {
    const std::int64_t count = w.shape().size() == 3 ? w.dim(0) : 1;
    if (tiles_)
      for (std::int64_t i = 0; i < count; ++i)
        memories_.emplace_back(desc_, cpu(), const_cast<bf16*>(tiles_->matrix(i)));
    else pack(w, count);
  }

  std::string layout() const override { return tiles_ ? "BA16a64b2a" : "chosen by oneDNN"; }
  DType dtype() const { return dtype_; }
  std::int64_t n() const { return n_; }
  std::int64_t k() const { return k_; }
  const Desc& desc() const { return desc_; }
  const dnnl::memory& memory(std::int64_t i) const { return memories_[static_cast<std::size_t>(i)]; }

 private:
  // One matrix at a time, through a row-major copy of it.
  void pack(const Weight& w, std::int64_t count) {
    const std::size_t stride = (desc_.get_size() + 63) / 64 * 64;
    packed_ = Buffer(stride * static_cast<std::size_t>(count));
    const OwnedTensor rows(dtype_, {n_, k_});
    const dnnl::memory from(weights_of(n_, k_, dtype_, Tag::ba), cpu(), rows.view().data);
    dnnl::stream stream(cpu());
    for (std::int64_t i = 0; i < count; ++i) {
      const dnnl::memory& to =
          memories_.emplace_back(desc_, cpu(), packed_.data() + static_cast<std::size_t>(i) * stride);
      each_row(n_, true, [&](std::int64_t j) {
        w.read((i * n_ + j) * k_, k_, rows.view().as<std::byte>() + static_cast<std::size_t>(j * k_) * size_of(dtype_));
      });
      openmp_works_now();
      dnnl::reorder(from, to).execute(stream, const_cast<dnnl::memory&>(from), const_cast<dnnl::memory&>(to));
      stream.wait();
    }
  }

  DType dtype_;
  std::int64_t n_, k_;
  Desc desc_;
  std::shared_ptr<const Bf16Tiles> tiles_;  // one of these two holds the bytes
  Buffer packed_;
  std::vector<dnnl::memory> memories_;
};

class Matmul final : public OnednnMatmul {
 public:
  Matmul(std::int64_t m, DType y, std::shared_ptr<const Matrices> w, Options options)
      : w_(std::move(w)), stream_(cpu()), options_(options) {
    const auto pd = describe(m, w_->n(), w_->k(), w_->dtype(), y, w_->desc(), options);
    primitive_ = dnnl::matmul(pd);
    chosen_ = fmt::format("oneDNN {} {}, weights {}", onednn_version(), pd.impl_info_str(), w_->layout());
    scratch_ = Buffer(pd.scratchpad_desc().get_size());
    const Desc x_desc = rows_of(m, w_->k(), w_->dtype()), y_desc = rows_of(m, w_->n(), y);
    x_ = dnnl::memory(x_desc, cpu(), nullptr);
    y_ = dnnl::memory(y_desc, cpu(), nullptr);
    const dnnl::memory scratch(pd.scratchpad_desc(), cpu(), scratch_.data());
    add(DNNL_ARG_SRC, x_);
    add(DNNL_ARG_DST, y_);
    add(DNNL_ARG_SCRATCHPAD, scratch_memory_ = scratch);
    if (options.bias) add(DNNL_ARG_BIAS, bias_ = dnnl::memory(rows_of(1, w_->n(), w_->dtype()), cpu(), nullptr));
    if (options.residual)
      add(DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, residual_ = dnnl::memory(y_desc, cpu(), nullptr));
    add(DNNL_ARG_WEIGHTS, w_->memory(0));
  }

  // The C call: the C++ one builds a map on the heap.
  void execute(const void* x, std::int64_t index, const void* bias, const void* residual, void* y) override {
    x_.set_data_handle(const_cast<void*>(x));
    y_.set_data_handle(y);
    if (options_.bias) bias_.set_data_handle(const_cast<void*>(bias));
    if (options_.residual) residual_.set_data_handle(const_cast<void*>(residual));
    arguments_[static_cast<std::size_t>(count_ - 1)].memory = w_->memory(index).get();
    openmp_works_now();
    dnnl::error::wrap_c_api(dnnl_primitive_execute(primitive_.get(), stream_.get(), count_, arguments_.data()),
                            "oneDNN could not run a matmul");
    stream_.wait();
  }

  std::string chosen() const override { return chosen_; }

 private:
  void add(int what, const dnnl::memory& m) { arguments_[static_cast<std::size_t>(count_++)] = {what, m.get()}; }

  std::shared_ptr<const Matrices> w_;
  dnnl::matmul primitive_;
  dnnl::stream stream_;
  Options options_;
  std::string chosen_;
  Buffer scratch_;
  dnnl::memory x_, y_, bias_, residual_, scratch_memory_;
  std::array<dnnl_exec_arg_t, 6> arguments_{};  // the weights last
  int count_ = 0;
};

}  // namespace

Support onednn_supports(DType x, DType w, DType y, const DeviceInfo& device) {
  if (x != w)
    return Support::no(fmt::format("oneDNN takes x and w of one type, not {} and {}", to_string(x), to_string(w)));
  if (x == DType::f32 && y != DType::f32) return Support::no("oneDNN writes f32 for f32 inputs");
  if (x == DType::bf16 && !device.cpu.avx512) return Support::no("oneDNN needs AVX-512 for bf16");
  return Support::yes();
}

std::shared_ptr<const OnednnMatrices> OnednnMatrices::of(const Weight& w) {
  constexpr std::int64_t kUsualRows = 64;
  const std::int64_t n = w.dim(w.shape().size() - 2), k = w.dim(w.shape().size() - 1);
  const auto any = describe(kUsualRows, n, k, w.dtype(), w.dtype(), weights_of(n, k, w.dtype(), Tag::any), {});
  const Desc tiled = weights_of(n, k, w.dtype(), Tag::BA16a64b2a);
  // For some small n oneDNN would choose narrower blocks; its kernels take the usual ones too, and so can ours.
  const bool is_tiled = w.dtype() == DType::bf16 && std::string_view(any.impl_info_str()).starts_with("brg");
  const Desc desc = is_tiled ? tiled : any.weights_desc();
  const auto tiles = is_tiled ? Bf16Tiles::of(w) : nullptr;
  return w.packed<OnednnMatrices>("oneDNN matmul", [&] { return std::make_shared<const Matrices>(w, desc, tiles); });
}

std::unique_ptr<OnednnMatmul> OnednnMatmul::make(std::int64_t m, DType y, std::shared_ptr<const OnednnMatrices> w,
                                                 Options options) {
  return std::make_unique<Matmul>(m, y, std::static_pointer_cast<const Matrices>(std::move(w)), options);
}

}  // namespace layercost

#endif
