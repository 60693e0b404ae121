// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/layer_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/contract/registry.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

class Builder {
 public:
  Builder(const ModelSpec& m, const StepShape& s) : m_(m), s_(s) { plan_.shape = s; }

  std::string buffer(const std::string& name, DType t, Shape shape,
                     BufferSpec::Kind kind = BufferSpec::Kind::activation) {
    plan_.buffers.push_back({name, t, std::move(shape), kind});
    return name;
  }
  std::string activation(const std::string& name, std::int64_t rows, std::int64_t width) {
    return buffer(name, s_.activation_type, {rows, width});
  }

  // Synthetic matrices have standard deviation k^-1/2, so that outputs are as large as inputs; norms lie around 1.
  std::string matrix(const std::string& name, Shape shape, std::vector<WeightSpec::Source> sources) {
    const float sigma = 1.0f / std::sqrt(static_cast<float>(shape.back()));
    plan_.weights.push_back({name, s_.weight_type, std::move(shape), 0.0f, sigma, std::move(sources)});
    return name;
  }
  std::string vector(const std::string& name, std::int64_t n, float mean, float sigma,
                     std::vector<WeightSpec::Source> sources) {
    plan_.weights.push_back({name, s_.weight_type, {n}, mean, sigma, std::move(sources)});
    return name;
  }
  std::string norm_weight(const std::string& name, std::int64_t n, const std::string& tensor) {
    return vector(name, n, 1.0f, 0.2f, {{tensor, {n}}});
  }
  std::string bias(const std::string& name, std::vector<WeightSpec::Source> sources) {
    std::int64_t n = 0;
    for (const auto& s : sources) n += s.shape[0];
    return vector(name, n, 0.0f, 0.1f, std::move(sources));
  }

  void op(std::string component, OpCase c, std::map<std::string, std::string> bind) {
    plan_.ops.push_back({std::move(component), std::move(c), std::move(bind)});
  }

  void rms_norm(const std::string& component, const std::string& x, const std::string& w, const std::string& y,
                std::int64_t rows, const std::string& residual = {}, const std::string& sum = {}) {
    OpCase c("rms_norm");
    c.set("tokens", rows).set("hidden", m_.hidden).set("eps", m_.rms_norm_eps);
    types(c);
    std::map<std::string, std::string> bind = {{"x", x}, {"w", w}, {"y", y}};
    if (!residual.empty()) {
      c.set("residual", 1);
      bind["residual"] = residual;
      bind["sum"] = sum;
    }
    op(component, std::move(c), std::move(bind));
  }

  void linear(const std::string& component, const std::string& x, const std::string& w, const std::string& y,
              std::int64_t rows, std::int64_t n, std::int64_t k, const std::string& bias_name = {},
              const std::string& residual = {}, std::optional<DType> y_type = {}) {
    OpCase c("linear");
    c.set("m", rows).set("n", n).set("k", k);
    c.set("x_type", s_.activation_type)
        .set("w_type", s_.weight_type)
        .set("y_type", y_type.value_or(s_.activation_type));
    std::map<std::string, std::string> bind = {{"x", x}, {"w", w}, {"y", y}};
    if (!bias_name.empty()) {
      c.set("bias", 1);
      bind["bias"] = bias_name;
    }
    if (!residual.empty()) {
      c.set("residual", 1);
      bind["residual"] = residual;
    }
    op(component, std::move(c), std::move(bind));
  }

  void types(OpCase& c) const {
    c.set("x_type", s_.activation_type).set("w_type", s_.weight_type).set("y_type", s_.activation_type);
  }

  void attention_block(const LayerKind& kind) {
    const std::int64_t t = s_.tokens(), q = m_.q_dim(), kv = m_.kv_dim(), h = m_.hidden, d = m_.head_dim;
    activation("input", t, h);
    activation("normed", t, h);
    activation("qkv", t, q + 2 * kv);
    buffer("q", s_.activation_type, {t, m_.heads, d});
    buffer("k_cache", s_.kv_type, {s_.batch, m_.kv_heads, s_.capacity, d}, BufferSpec::Kind::cache);
    buffer("v_cache", s_.kv_type, {s_.batch, m_.kv_heads, s_.capacity, d}, BufferSpec::Kind::cache);
    buffer("cos", DType::f32, {s_.capacity, d / 2}, BufferSpec::Kind::cos);
    buffer("sin", DType::f32, {s_.capacity, d / 2}, BufferSpec::Kind::sin);
    activation("attended", t, q);
    activation("projected", t, h);
    activation("middle", t, h);
    activation("output", t, h);

    rms_norm("attention norm", "input", norm_weight("attention_norm", h, "input_layernorm.weight"), "normed", t);
    const std::string a = "self_attn.";
    std::string qkv_bias;
    if (m_.qkv_bias)
      qkv_bias = bias("qkv_bias", {{a + "q_proj.bias", {q}}, {a + "k_proj.bias", {kv}}, {a + "v_proj.bias", {kv}}});
    linear("qkv", "normed",
           matrix("qkv_w", {q + 2 * kv, h},
                  {{a + "q_proj.weight", {q, h}}, {a + "k_proj.weight", {kv, h}}, {a + "v_proj.weight", {kv, h}}}),
           "qkv", t, q + 2 * kv, h, qkv_bias);

    OpCase rope("rope");
    rope.set("batch", s_.batch).set("q_len", s_.q_len).set("kv_len", s_.kv_len).set("capacity", s_.capacity);
    rope.set("heads", m_.heads).set("kv_heads", m_.kv_heads).set("head_dim", d);
    if (m_.qk_norm) rope.set("qk_norm", 1).set("eps", m_.rms_norm_eps);
    types(rope);
    rope.set("kv_type", s_.kv_type);
    std::map<std::string, std::string> bind = {{"qkv", "qkv"}, {"cos", "cos"}, {"sin", "sin"}, {"q", "q"},
                                               {"k_cache", "k_cache"}, {"v_cache", "v_cache"}};
    if (m_.qk_norm) {
      bind["q_norm"] = norm_weight("q_norm", d, a + "q_norm.weight");
      bind["k_norm"] = norm_weight("k_norm", d, a + "k_norm.weight");
    }
    op("rope", std::move(rope), std::move(bind));

    OpCase att("attention");
    att.set("batch", s_.batch).set("q_len", s_.q_len).set("kv_len", s_.kv_len).set("capacity", s_.capacity);
    att.set("heads", m_.heads).set("kv_heads", m_.kv_heads).set("qk_dim", d).set("v_dim", d);
    if (kind.window > 0) att.set("window", kind.window);
    att.set("scale", 1.0 / std::sqrt(static_cast<double>(d)));
    att.set("x_type", s_.activation_type).set("kv_type", s_.kv_type).set("y_type", s_.activation_type);
    op("attention", std::move(att), {{"q", "q"}, {"k_cache", "k_cache"}, {"v_cache", "v_cache"}, {"y", "attended"}});

    linear("o", "attended", matrix("o_w", {h, q}, {{a + "o_proj.weight", {h, q}}}), "projected", t, h, q,
           m_.o_bias ? bias("o_bias", {{a + "o_proj.bias", {h}}}) : std::string());
    rms_norm("mlp norm", "projected", norm_weight("mlp_norm", h, "post_attention_layernorm.weight"), "normed", t,
             "input", "middle");
  }

  void dense_block() {
    const std::int64_t t = s_.tokens(), h = m_.hidden, f = m_.ffn_hidden;
    activation("gate_up", t, 2 * f);
    activation("gated", t, f);
    std::string gate_up_bias, down_bias;
    if (m_.mlp_bias) {
      gate_up_bias = bias("gate_up_bias", {{"mlp.gate_proj.bias", {f}}, {"mlp.up_proj.bias", {f}}});
      down_bias = bias("down_bias", {{"mlp.down_proj.bias", {h}}});
    }
    linear("gate_up", "normed",
           matrix("gate_up_w", {2 * f, h}, {{"mlp.gate_proj.weight", {f, h}}, {"mlp.up_proj.weight", {f, h}}}),
           "gate_up", t, 2 * f, h, gate_up_bias);
    OpCase glu("glu");
    glu.set("tokens", t).set("ffn_hidden", f).set("act", "silu");
    glu.set("x_type", s_.activation_type).set("y_type", s_.activation_type);
    op("glu", std::move(glu), {{"x", "gate_up"}, {"y", "gated"}});
    linear("down", "gated", matrix("down_w", {h, f}, {{"mlp.down_proj.weight", {h, f}}}), "output", t, h, f, down_bias,
           "middle");
  }

  void moe_block() {
    const MoeSpec& e = *m_.moe;
    const std::int64_t t = s_.tokens(), h = m_.hidden, f = e.ffn_hidden;
    // Router logits stay f32: rounding them to bf16 would only add ties.
    buffer("logits", DType::f32, {t, e.experts});
    buffer("ids", DType::i32, {t, e.top_k});
    buffer("route_weights", DType::f32, {t, e.top_k});
    buffer("counts", DType::i32, {e.experts});
    linear("router", "normed", matrix("router_w", {e.experts, h}, {{e.prefix + ".gate.weight", {e.experts, h}}}),
           "logits", t, e.experts, h, {}, {}, DType::f32);
    OpCase route("moe_route");
    route.set("tokens", t).set("experts", e.experts).set("top_k", e.top_k).set("renormalise", e.renormalise ? 1 : 0);
    std::map<std::string, std::string> bind = {{"logits", "logits"}, {"ids", "ids"}, {"weights", "route_weights"},
                                               {"counts", "counts"}};
    if (s_.forced_routing) {
      route.set("forced", 1);
      bind["forced_ids"] = buffer("forced_ids", DType::i32, {t, e.top_k});
    }
    route.set("x_type", DType::f32);
    op("route", std::move(route), std::move(bind));

    std::vector<WeightSpec::Source> gate_up, down;
    for (std::int64_t i = 0; i < e.experts; ++i) {
      const std::string p = fmt::format("{}.experts.{}.", e.prefix, i);
      gate_up.push_back({p + e.gate_name + ".weight", {f, h}});
      gate_up.push_back({p + e.up_name + ".weight", {f, h}});
      down.push_back({p + e.down_name + ".weight", {h, f}});
    }
    OpCase experts("moe_experts");
    experts.set("tokens", t).set("hidden", h).set("ffn_hidden", f).set("experts", e.experts).set("top_k", e.top_k);
    experts.set("act", "silu");
    types(experts);
    experts.set("residual", 1);
    op("experts", std::move(experts),
       {{"x", "normed"},
        {"ids", "ids"},
        {"weights", "route_weights"},
        {"w_gate_up", matrix("experts_gate_up", {e.experts, 2 * f, h}, std::move(gate_up))},
        {"w_down", matrix("experts_down", {e.experts, h, f}, std::move(down))},
        {"residual", "middle"},
        {"y", "output"}});
  }

  LayerPlan take() { return std::move(plan_); }
  LayerPlan& plan() { return plan_; }

 private:
  const ModelSpec& m_;
  const StepShape& s_;
  LayerPlan plan_;
};

// A toy model beside a server's cache would need ten thousand layers; it is measured partly cached, and says so.
constexpr double kMostLayers = 512;

double bytes_of(DType t, const Shape& s) {
  return static_cast<double>(elements_of(s)) * static_cast<double>(size_of(t));
}

}  // namespace

LayerPlan plan_layer(const ModelSpec& model, const LayerKind& kind, const StepShape& shape) {
  if (kind.is_moe && !model.moe) throw BadCase("a layer with experts in a model without");
  Builder b(model, shape);
  b.plan().kind = to_string(kind);
  b.plan().count = std::count(model.layer_kinds.begin(), model.layer_kinds.end(), kind);
  b.attention_block(kind);
  if (kind.is_moe) b.moe_block();
  else b.dense_block();
  return b.take();
}

LayerPlan plan_head(const ModelSpec& model, std::int64_t sequences, const StepShape& shape) {
  StepShape s = shape;
  s.batch = sequences;
  s.q_len = 1;
  Builder b(model, s);
  b.plan().kind = "head";
  b.plan().count = 1;
  b.activation("input", sequences, model.hidden);
  b.activation("normed", sequences, model.hidden);
  b.buffer("output", DType::f32, {sequences, model.vocab});
  b.rms_norm("final norm", "input", b.norm_weight("final_norm", model.hidden, "model.norm.weight"), "normed",
             sequences);
  b.linear("lm head", "normed",
           b.matrix("lm_head", {model.vocab, model.hidden}, {{"lm_head.weight", {model.vocab, model.hidden}}}),
           "output", sequences, model.vocab, model.hidden, {}, {}, DType::f32);
  return b.take();
}

double LayerPlan::weight_bytes() const {
  double n = 0;
  for (const WeightSpec& w : weights) n += bytes_of(w.dtype, w.shape);
  return n;
}

double LayerPlan::cache_bytes() const {
  double n = 0;
  for (const BufferSpec& b : buffers)
    if (b.kind == BufferSpec::Kind::cache) n += bytes_of(b.dtype, b.shape);
  return n;
}

double LayerPlan::activation_bytes() const {
  double n = 0;
  for (const BufferSpec& b : buffers)
    if (b.kind != BufferSpec::Kind::cache) n += bytes_of(b.dtype, b.shape);
  return n;
}

double LayerPlan::touched_bytes(const WorkFacts& facts) const {
  double n = 0;
  for (const PlannedOp& p : ops) {
    const Work w = find_op(p.op_case.op()).work(p.op_case, facts);
    n += w.weight_bytes + w.kv_read_bytes;
  }
  return n;
}

std::vector<std::pair<LayerKind, std::int64_t>> kinds_of(const ModelSpec& m) {
  std::vector<std::pair<LayerKind, std::int64_t>> out;
  for (const LayerKind& k : m.layer_kinds) {
    const auto it = std::find_if(out.begin(), out.end(), [&](const auto& p) { return p.first == k; });
    if (it == out.end()) out.emplace_back(k, 1);
    else ++it->second;
  }
  return out;
}

std::string to_string(const LayerKind& k) {
  std::string s = k.is_moe ? "moe" : "dense";
  if (k.window > 0) s += fmt::format(" window={}", k.window);
  return s;
}

std::string to_string(Phase p) { return p == Phase::prefill ? "prefill" : "decode"; }

void fill_rope_table(const RopeSpec& rope, std::int64_t head_dim, const Tensor& cos, const Tensor& sin) {
  const std::int64_t half = head_dim / 2, positions = cos.dim(0);
  constexpr double kTwoPi = 6.283185307179586;
  for (std::int64_t i = 0; i < half; ++i) {
    double f = 1.0 / std::pow(rope.theta, 2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
    if (rope.kind == RopeSpec::Kind::linear) f /= rope.factor;
    if (rope.kind == RopeSpec::Kind::llama3) {
      // By wavelength: short ones stay, long ones are stretched by `factor`, those between are blended. With
      // low = high (Llama 4 Scout) there is no between, and its 0/0 must not be formed.
      const double wavelength = kTwoPi / f, original = static_cast<double>(rope.original_max_position);
      if (wavelength > original / rope.low_freq_factor) {
        f /= rope.factor;
      } else if (wavelength >= original / rope.high_freq_factor && rope.high_freq_factor != rope.low_freq_factor) {
        const double smooth =
            (original / wavelength - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor);
        f = (1 - smooth) * f / rope.factor + smooth * f;
      }
    }
    const float frequency = static_cast<float>(f);
    for (std::int64_t p = 0; p < positions; ++p) {
      const float angle = static_cast<float>(p) * frequency;
      cos.store(p * half + i, std::cos(static_cast<double>(angle)));
      sin.store(p * half + i, std::sin(static_cast<double>(angle)));
    }
  }
}

StepShape step_shape(const Scenario& s, bool has_experts) {
  StepShape out;
  out.batch = s.batch;
  out.q_len = s.phase == Phase::decode ? 1 : s.context;
  out.kv_len = s.phase == Phase::decode ? s.context + 1 : s.context;
  out.capacity = out.kv_len;
  out.weight_type = s.weight_type;
  out.activation_type = s.activation_type;
  out.kv_type = s.kv_type;
  out.forced_routing = has_experts && s.routing.kind != RoutingSpec::Kind::router;
  return out;
}

MemoryNeed memory_need(const ModelSpec& m, const Scenario& s, double device_bytes) {
  const auto at_batch = [&](std::int64_t batch) {
    Scenario one = s;
    one.batch = batch;
    const StepShape shape = step_shape(one, m.moe.has_value());
    double activations = 0;
    for (const auto& [kind, count] : kinds_of(m))
      activations = std::max(activations, plan_layer(m, kind, shape).activation_bytes());
    activations += plan_head(m, batch, shape).activation_bytes();
    MemoryNeed need;
    need.weight_bytes = static_cast<double>(count_parameters(m).total) * static_cast<double>(size_of(s.weight_type));
    need.kv_bytes = static_cast<double>(kv_elements_per_token(m)) * static_cast<double>(size_of(s.kv_type)) *
                    static_cast<double>(shape.capacity) * static_cast<double>(batch);
    need.activation_bytes = activations;
    return need;
  };
  const auto total = [](const MemoryNeed& n) { return n.weight_bytes + n.kv_bytes + n.activation_bytes; };
  MemoryNeed need = at_batch(s.batch);
  if (total(at_batch(1)) <= device_bytes) {
    // Need grows linearly in the batch: two points give slope and start.
    const double one = total(at_batch(1)), slope = total(at_batch(2)) - one;
    need.largest_batch = 1 + static_cast<std::int64_t>((device_bytes - one) / slope);
  }
  return need;
}

StackSize stack_size(const LayerPlan& plan, const WorkFacts& facts, double last_level_cache_bytes,
                     double memory_bytes) {
  const double touched = plan.touched_bytes(facts);
  const double held = plan.weight_bytes() + plan.cache_bytes();
  StackSize s;
  // At least two: with one layer its own output would feed it back from cache.
  const double wanted = std::clamp(1 + std::ceil(2 * last_level_cache_bytes / touched), 2.0, kMostLayers);
  // One matrix at a time is made in row-major order before it is packed.
  double largest = 0;
  for (const WeightSpec& w : plan.weights) largest = std::max(largest, bytes_of(w.dtype, w.shape));
  const double fixed = plan.activation_bytes() + largest;
  const double room = std::floor((memory_bytes - fixed) / held);
  s.layers = static_cast<std::int64_t>(std::clamp(room, 1.0, wanted));
  s.reuse_distance_bytes = static_cast<double>(s.layers - 1) * touched;
  s.cold = s.reuse_distance_bytes >= 2 * last_level_cache_bytes;
  s.need_bytes = fixed + static_cast<double>(s.layers) * held;
  return s;
}

}  // namespace layercost
