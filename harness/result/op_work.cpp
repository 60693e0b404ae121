// SPDX-License-Identifier: Apache-2.0
#include "harness/result/op_work.h"

#include <algorithm>

#include "kernels/contract/registry.h"

namespace layercost {
namespace {

double bytes_of_first(const std::vector<TensorSpec>& tensors, Role role) {
  const auto t = std::find_if(tensors.begin(), tensors.end(), [&](const TensorSpec& s) { return s.role == role; });
  return t == tensors.end() ? 0 : static_cast<double>(elements_of(t->shape)) * static_cast<double>(size_of(t->dtype));
}

const OpDef* find(const OpCase& c) {
  for (const OpDef* op : all_ops())
    if (op->name == c.op()) return op;
  return nullptr;
}

}  // namespace

std::optional<CaseWork> work_of(const OpCase& c) {
  const OpDef* op = find(c);
  if (op == nullptr) return std::nullopt;
  const std::vector<TensorSpec> tensors = op->tensors(c);
  const Work one = op->work(c, {1.0}), two = op->work(c, {2.0});
  CaseWork w;
  w.flops = one.flops;
  w.product_flops = product_flops(one);
  w.bytes_per_distinct_expert = two.weight_bytes - one.weight_bytes;
  w.bytes = one.weight_bytes - w.bytes_per_distinct_expert + one.kv_read_bytes + one.kv_write_bytes;
  w.input_bytes = bytes_of_first(tensors, Role::input);
  w.output_bytes = bytes_of_first(tensors, Role::output);
  w.activation_bytes = one.activation_bytes;
  return w;
}

std::map<std::string, double> product_flops(const Work& work) {
  std::map<std::string, double> by_name;
  for (const Products& p : work.products) by_name[p.arithmetic.name()] += p.flops;
  return by_name;
}

std::map<std::string, double> other_products(std::map<std::string, double> product_flops,
                                             std::string_view activation_type) {
  product_flops.erase(std::string(activation_type));
  return product_flops;
}

std::optional<double> cache_bytes(const OpCase& c) {
  if (!work_of(c)) return std::nullopt;
  if (c.op() == "gated_delta" || c.op() == "causal_conv") return find(c)->work(c, {}).kv_write_bytes;
  const auto axis = [&](const char* name) { return static_cast<double>(c.axis(name)); };
  const auto in_slots = [&](double slots, double elements) {
    return axis("batch") * slots * elements * static_cast<double>(size_of(c.type("kv_type")));
  };
  if (c.op() == "latent_rope") return in_slots(axis("capacity"), axis("latent_dim") + axis("rope_dim"));
  if (c.op() == "index_rope") return in_slots(axis("capacity"), axis("head_dim"));
  // A prompt's own keys and values, made from latents, are no cache; that of latents stands with who appends to it.
  if (c.op() != "attention" || c.flag("uncached") || c.flag("shared_kv")) return std::nullopt;
  const std::int64_t window = c.integer("window", c.integer("chunk", 0)), capacity = c.axis("capacity");
  return in_slots(static_cast<double>(window > 0 ? std::min(window, capacity) : capacity) * axis("kv_heads"),
                  axis("qk_dim") + axis("v_dim"));
}

}  // namespace layercost
