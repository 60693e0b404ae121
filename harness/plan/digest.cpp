// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/digest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "kernels/core/sha256.h"

namespace layercost {
namespace {

std::string text_of(const RotarySpec& r) {
  return fmt::format(
      "rotary kind={} dims={} theta={} factor={} low={} high={} original={} fast={} slow={} truncate={} "
      "scale={}\n",
      static_cast<int>(r.kind), r.dims, r.theta, r.factor, r.low_freq_factor, r.high_freq_factor,
      r.original_max_position, r.beta_fast, r.beta_slow, r.truncate, r.table_scale);
}

std::string text_of(const LayerPlan& plan) {
  std::string text = fmt::format("plan {} count={} adds={}\n", plan.kind, plan.count, plan.adds_to_input);
  text += text_of(plan.rotary);
  if (plan.rotary.turned_pairs != 0) text += fmt::format("turned {}\n", plan.rotary.turned_pairs);
  if (const QueryTemperature& t = plan.temperature; !t.is_one())
    text += fmt::format("temperature {} {} {}\n", t.beta, t.every, t.offset);
  for (const BufferSpec& b : plan.buffers)
    text += fmt::format("buffer {} {} [{}] {}\n", b.name, to_string(b.dtype), fmt::join(b.shape, ","),
                        static_cast<int>(b.role));
  for (const WeightSpec& w : plan.weights) {
    text += fmt::format("weight {} {} [{}] {}", w.name, w.format->name, fmt::join(w.shape, ","), w.per_expert);
    for (const WeightSpec::Source& s : w.sources) {
      text += fmt::format(" {} [{}]", s.tensor, fmt::join(s.shape, ","));
      if (s.rows > 0) text += fmt::format(" {}+{}", s.first_row, s.rows);
      if (s.columns > 0) text += fmt::format(" columns {}+{}", s.first_column, s.columns);
    }
    if (w.added != 0) text += fmt::format(" added={}", w.added);
    if (w.times != 1) text += fmt::format(" times={}", w.times);
    if (w.rule) text += " rule";
    text += '\n';
  }
  for (const PlannedOp& op : plan.ops) {
    text += fmt::format("op {}: {}", op.component, op.op_case.text());
    for (const auto& [tensor, name] : op.bind) text += fmt::format(" {}={}", tensor, name);
    text += '\n';
  }
  return text;
}

}  // namespace

std::string canonical_text(const ModelSpec& m) {
  std::string text = fmt::format("{} hidden={} layers={} vocab={} eps={} tied={}\nkinds {}\n", m.model_type, m.hidden,
                                 m.layers, m.vocab, m.rms_norm_eps, m.tied_embeddings, fmt::join(m.kind_of_layer, " "));
  StepShape shape;
  shape.weights = weights_by_config(m, DType::bf16);
  for (const LayerKind& kind : m.kinds) text += text_of(plan_layer(m, kind, shape));
  return text + text_of(plan_head(m, 1, shape));
}

std::string model_digest(const ModelSpec& m) { return short_digest(canonical_text(m)); }

}  // namespace layercost
