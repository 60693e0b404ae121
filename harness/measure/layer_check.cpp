// SPDX-License-Identifier: Apache-2.0
#include "harness/measure/layer_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <set>

#include "harness/measure/verify.h"
#include "kernels/contract/registry.h"
#include "kernels/core/error.h"
#include "kernels/core/random.h"

namespace layercost {
namespace {

OwnedTensor zeros(DType t, Shape shape) { return OwnedTensor(t, std::move(shape)); }  // fresh pages are zero

OwnedTensor gather_rows(const Tensor& t, const std::vector<std::int64_t>& rows) {
  const std::int64_t width = t.elements() / t.dim(0);
  OwnedTensor out(t.dtype == DType::i32 ? DType::i32 : DType::f64, {static_cast<std::int64_t>(rows.size()), width});
  for (std::size_t r = 0; r < rows.size(); ++r)
    for (std::int64_t i = 0; i < width; ++i)
      out.view().store(static_cast<std::int64_t>(r) * width + i, t.load(rows[r] * width + i));
  return out;
}

// A copy of the case with other sizes.
OpCase with(OpCase c, std::initializer_list<std::pair<const char*, std::int64_t>> values) {
  for (const auto& [key, value] : values) c.set(key, value);
  return c;
}

void run_reference(const PlannedOp& op, const OpCase& c, const Layer& layer,
                   const std::map<std::string, Tensor>& tensors) {
  OpTensors bound;
  for (const auto& [name, t] : tensors) bound.bind(name, t);
  for (const TensorSpec& s : find_op(c.op()).tensors(c))
    if (s.role == Role::weight) bound.bind(s.name, layer.weights().at(op.bind.at(s.name)));
  find_op(c.op()).reference(c, bound);
}

const PlannedOp& component(const LayerPlan& plan, const std::string& name) {
  for (const PlannedOp& op : plan.ops)
    if (op.component == name) return op;
  throw BadCase("the plan of a " + plan.kind + " layer has no " + name);
}

// Attention output [rows, heads * head_dim] of the sampled rows, in double, from the layer's input on.
OwnedTensor reference_attention(const Layer& layer, const std::vector<std::int64_t>& rows) {
  const LayerPlan& plan = layer.plan();
  const StepShape& s = plan.shape;
  const PlannedOp &norm = component(plan, "attention norm"), &qkv = component(plan, "qkv"),
                  &rope = component(plan, "rope"), &attention = component(plan, "attention");
  const std::int64_t h = norm.op_case.axis("hidden"), heads = rope.op_case.axis("heads"),
                     kv_heads = rope.op_case.axis("kv_heads"), d = rope.op_case.axis("head_dim"), q = heads * d,
                     kv = kv_heads * d, width = q + 2 * kv;
  const OwnedTensor input = layer.read("input"), cos = layer.read("cos"), sin = layer.read("sin"),
                    k_cache = layer.read("k_cache"), v_cache = layer.read("v_cache");
  OwnedTensor attended(DType::f64, {static_cast<std::int64_t>(rows.size()), q});

  std::set<std::int64_t> sequences;
  for (std::int64_t r : rows) sequences.insert(r / s.q_len);
  for (std::int64_t b : sequences) {
    std::vector<std::int64_t> all(static_cast<std::size_t>(s.q_len)), sampled;
    std::iota(all.begin(), all.end(), b * s.q_len);
    for (std::int64_t r : rows)
      if (r / s.q_len == b) sampled.push_back(r);

    const OwnedTensor x = gather_rows(input, all), normed(DType::f64, {s.q_len, h});
    run_reference(norm, with(norm.op_case, {{"tokens", s.q_len}}), layer, {{"x", x}, {"y", normed}});

    // Sampled rows need q, k and v; the others k and v only: rows q .. width of the fused weight.
    OwnedTensor fused = zeros(DType::f64, {s.q_len, width});
    const auto product = [&](const std::vector<std::int64_t>& which, std::int64_t first, std::int64_t n) {
      if (which.empty()) return;
      std::vector<std::int64_t> local;
      for (std::int64_t r : which) local.push_back(r - b * s.q_len);
      const OwnedTensor in = gather_rows(normed, local);
      const auto m = static_cast<std::int64_t>(local.size());
      OwnedTensor out(DType::f64, {m, n});
      OpTensors bound;
      bound.bind("x", in.view());
      bound.bind("y", out.view());
      const auto part = [&](const std::string& name, std::int64_t row_elements) {
        const auto w = layer.weights().at(qkv.bind.at(name));
        Shape shape = w->shape();
        shape[0] = n;
        bound.bind(name, std::make_shared<const Weight>(
                             w->dtype(), shape,
                             [w, skip = first * row_elements](std::int64_t at, std::int64_t count, void* p) {
                               w->read(at + skip, count, p);
                             }));
      };
      part("w", h);
      if (qkv.op_case.flag("bias")) part("bias", 1);
      find_op("linear").reference(with(qkv.op_case, {{"m", m}, {"n", n}}), bound);
      for (std::int64_t i = 0; i < m; ++i)
        for (std::int64_t j = 0; j < n; ++j)
          fused.view().store(local[static_cast<std::size_t>(i)] * width + first + j, out.view().load(i * n + j));
    };
    std::vector<std::int64_t> others;
    std::set_difference(all.begin(), all.end(), sampled.begin(), sampled.end(), std::back_inserter(others));
    product(sampled, 0, width);
    product(others, q, 2 * kv);

    // This sequence's cache: the context as it is, the new slots as the reference makes them.
    const auto cache_of = [&](const Tensor& from) {
      const std::int64_t n = kv_heads * s.capacity * d;
      OwnedTensor out(DType::f64, {1, kv_heads, s.capacity, d});
      for (std::int64_t i = 0; i < n; ++i) out.view().store(i, from.load(b * n + i));
      return out;
    };
    const OwnedTensor k = cache_of(k_cache), v = cache_of(v_cache), qs(DType::f64, {s.q_len, heads, d});
    run_reference(rope, with(rope.op_case, {{"batch", 1}}), layer,
                  {{"qkv", fused}, {"cos", cos}, {"sin", sin}, {"q", qs}, {"k_cache", k}, {"v_cache", v}});
    for (std::int64_t r : sampled) {
      const std::int64_t i = r - b * s.q_len;
      const auto at = std::find(rows.begin(), rows.end(), r) - rows.begin();
      const Tensor one_q{qs.view().as<double>() + i * q, DType::f64, {1, heads, d}};
      const Tensor one_y{attended.view().as<double>() + at * q, DType::f64, {1, q}};
      run_reference(attention,
                    with(attention.op_case, {{"batch", 1}, {"q_len", 1}, {"kv_len", s.kv_len - s.q_len + i + 1}}),
                    layer, {{"q", one_q}, {"k_cache", k}, {"v_cache", v}, {"y", one_y}});
    }
  }
  return attended;
}

// Whether the tested choice of experts is the router's, up to the margin. "" or what is wrong.
std::string judge_ids(const Tensor& logits, const Tensor& ids, const std::vector<std::int64_t>& rows, double margin) {
  const std::int64_t experts = logits.dim(1), k = ids.dim(1);
  for (std::int64_t t = 0; t < ids.dim(0); ++t) {
    std::set<std::int64_t> chosen;
    double lowest = INFINITY, highest = -INFINITY;
    for (std::int64_t j = 0; j < k; ++j) {
      const auto e = static_cast<std::int64_t>(ids.load(t * k + j));
      if (e < 0 || e >= experts || !chosen.insert(e).second)
        return fmt::format("row {}: expert id {} is out of range or chosen twice", rows[static_cast<std::size_t>(t)],
                           e);
      lowest = std::min(lowest, logits.load(t * experts + e));
    }
    for (std::int64_t e = 0; e < experts; ++e)
      if (!chosen.contains(e)) highest = std::max(highest, logits.load(t * experts + e));
    if (highest > lowest + margin)
      return fmt::format("row {}: a refused expert's logit is {:.3g} above a chosen one's (margin {:.3g})",
                         rows[static_cast<std::size_t>(t)], highest - lowest, margin);
  }
  return {};
}

void refuse(Verdict& v, std::string why) {
  v.ok = false;
  if (v.why.empty()) v.why = std::move(why);
}

// y and y* are [rows, hidden]; x is what the layer adds to (empty: nothing). routed: number of routing weights in y, 0
// without experts. The rounding of the router's input moves each weight by some 0.2 %, and an expert's whole part with
// it: over few of them that does not average out. One token of Qwen3-30B-A3B (8 weights), worst of 5 to 33 checks:
// 1.2e-3 to 1.8e-3 on CPUs and an H100, twice 2.5e-3 and 2.7e-3; 64 weights and more: below 0.8e-3.
void judge_added(const Tensor& y, const Tensor& expected, const Tensor* x, const std::vector<std::int64_t>& rows,
                 const LayerTolerance& limit, std::int64_t routed, Verdict& verdict) {
  Tolerance t{limit.rel_l2, limit.worst_row, limit.gain};
  if (routed > 0) {
    const double widened = 5 * 0.1 * limit.rel_l2 / std::sqrt(static_cast<double>(routed));
    t.gain = std::max(t.gain, std::min(widened, 2 * limit.gain));
  }
  OwnedTensor added(DType::f64, y.shape), added_expected(DType::f64, y.shape);
  for (std::int64_t i = 0, n = y.elements(); i < n; ++i) {
    const double base = x != nullptr ? x->load(i) : 0.0;
    added.view().store(i, y.load(i) - base);
    added_expected.view().store(i, expected.load(i) - base);
  }
  const OutputError e = measure_error("output", added, added_expected, t);
  verdict.rel_l2_limit = t.rel_l2;
  verdict.worst_row_limit = t.worst_row;
  // NaN must win over every number.
  const auto keep_larger = [](double& a, double b) { a = std::isnan(b) || b > a ? b : a; };
  keep_larger(verdict.rel_l2, e.rel_l2);
  keep_larger(verdict.worst_row, e.worst_row);
  // The limit differs from check to check: the pair that came nearest.
  const double applied = gain_limit(t, y.elements());
  if (verdict.gain_limit == 0 || std::isnan(e.gain) || e.gain / applied > verdict.gain / verdict.gain_limit) {
    verdict.gain = e.gain;
    verdict.gain_limit = applied;
  }
  if (std::string why = judge(e, y.elements()); !why.empty()) {
    if (e.worst_row_index >= 0)
      why += fmt::format(" (worst: token row {})", rows[static_cast<std::size_t>(e.worst_row_index)]);
    refuse(verdict, std::move(why));
  }
}

}  // namespace

LayerTolerance layer_tolerance(DType activation, DType weight) {
  if (activation == DType::bf16 || weight == DType::bf16) return {2e-2, 5e-2, 2e-3, 0.05};
  return {1e-5, 5e-5, 1e-5, 1e-4};
}

std::vector<std::int64_t> sample_rows(const StepShape& s, const std::int32_t* ids, std::int64_t top_k,
                                      std::int64_t experts, std::int64_t wanted, std::uint64_t seed) {
  const std::int64_t tokens = s.tokens();
  std::set<std::int64_t> rows = {tokens - 1};
  for (std::uint64_t i = 0; static_cast<std::int64_t>(rows.size()) < std::min(wanted, tokens); ++i)
    rows.insert(static_cast<std::int64_t>(uniform_below(hash64(seed, i), static_cast<std::uint64_t>(tokens))));
  if (ids != nullptr) {
    std::vector<char> covered(static_cast<std::size_t>(experts));
    const auto cover = [&](std::int64_t r) {
      for (std::int64_t j = 0; j < top_k; ++j) covered[static_cast<std::size_t>(ids[r * top_k + j])] = 1;
    };
    for (std::int64_t r : rows) cover(r);
    for (std::int64_t r = 0; r < tokens; ++r)
      for (std::int64_t j = 0; j < top_k; ++j)
        if (!covered[static_cast<std::size_t>(ids[r * top_k + j])]) {
          rows.insert(r);
          cover(r);
        }
  }
  return {rows.begin(), rows.end()};
}

void check_layer(const Layer& layer, const std::vector<std::int64_t>& rows, Verdict& verdict) {
  const LayerPlan& plan = layer.plan();
  const LayerTolerance limit = layer_tolerance(plan.shape.activation_type, plan.shape.weight_type);
  const auto n = static_cast<std::int64_t>(rows.size());
  if (verdict.checks++ == 0) verdict.ok = true;
  verdict.rows = plan.shape.tokens();
  verdict.rows_checked = n;

  const OwnedTensor x = gather_rows(layer.read("input"), rows), y = gather_rows(layer.read("output"), rows);
  for (std::int64_t i = 0, count = y.view().elements(); i < count; ++i)
    if (!std::isfinite(y.view().load(i))) return refuse(verdict, "the output holds NaN or infinity");

  if (plan.kind == "head") {
    const PlannedOp &norm = component(plan, "final norm"), &head = component(plan, "lm head");
    const OwnedTensor normed(DType::f64, {n, x.view().dim(1)}), expected(DType::f64, y.view().shape);
    run_reference(norm, with(norm.op_case, {{"tokens", n}}), layer, {{"x", x}, {"y", normed}});
    run_reference(head, with(head.op_case, {{"m", n}}), layer, {{"x", normed}, {"y", expected}});
    return judge_added(y, expected, nullptr, rows, limit, 0, verdict);
  }

  const std::int64_t h = x.view().dim(1);
  const OwnedTensor attended = reference_attention(layer, rows), projected(DType::f64, {n, h}),
                    normed(DType::f64, {n, h}), middle(DType::f64, {n, h}), expected(DType::f64, {n, h});
  const PlannedOp &o = component(plan, "o"), &norm = component(plan, "mlp norm");
  run_reference(o, with(o.op_case, {{"m", n}}), layer, {{"x", attended}, {"y", projected}});
  run_reference(norm, with(norm.op_case, {{"tokens", n}}), layer,
                {{"x", projected}, {"residual", x}, {"sum", middle}, {"y", normed}});
  const bool moe =
      std::any_of(plan.ops.begin(), plan.ops.end(), [](const PlannedOp& p) { return p.component == "experts"; });
  std::int64_t routed = 0;
  if (!moe) {
    const PlannedOp &gate_up = component(plan, "gate_up"), &glu = component(plan, "glu"),
                    &down = component(plan, "down");
    const std::int64_t f = glu.op_case.axis("ffn_hidden");
    const OwnedTensor both(DType::f64, {n, 2 * f}), gated(DType::f64, {n, f});
    run_reference(gate_up, with(gate_up.op_case, {{"m", n}}), layer, {{"x", normed}, {"y", both}});
    run_reference(glu, with(glu.op_case, {{"tokens", n}}), layer, {{"x", both}, {"y", gated}});
    run_reference(down, with(down.op_case, {{"m", n}}), layer, {{"x", gated}, {"residual", middle}, {"y", expected}});
  } else {
    const PlannedOp &router = component(plan, "router"), &route = component(plan, "route"),
                    &experts = component(plan, "experts");
    const std::int64_t e = route.op_case.axis("experts"), k = route.op_case.axis("top_k");
    const OwnedTensor ids = gather_rows(layer.read("ids"), rows), logits(DType::f64, {n, e}),
                      own_ids(DType::i32, {n, k}), weights(DType::f64, {n, k}), counts(DType::i32, {e});
    run_reference(router, with(router.op_case, {{"m", n}}), layer, {{"x", normed}, {"y", logits}});
    if (route.op_case.flag("forced")) {
      const OwnedTensor forced = gather_rows(layer.read("forced_ids"), rows);
      if (std::memcmp(forced.view().data, ids.view().data, forced.view().bytes()) != 0)
        return refuse(verdict, "the layer did not use the expert ids it was given");
    } else {
      // In units of the logits' spread over the experts.
      double square = 0;
      for (std::int64_t i = 0; i < n * e; ++i) square += logits.view().load(i) * logits.view().load(i);
      const double spread = std::sqrt(square / static_cast<double>(n * e));
      if (std::string why = judge_ids(logits, ids, rows, limit.logit_margin * spread); !why.empty())
        return refuse(verdict, std::move(why));
    }
    // The tested ids, whoever chose them; the weights are the reference's own scores there.
    run_reference(
        route, with(route.op_case, {{"tokens", n}, {"forced", 1}}), layer,
        {{"logits", logits}, {"forced_ids", ids}, {"ids", own_ids}, {"weights", weights}, {"counts", counts}});
    run_reference(experts, with(experts.op_case, {{"tokens", n}}), layer,
                  {{"x", normed}, {"ids", ids}, {"weights", weights}, {"residual", middle}, {"y", expected}});
    routed = n * k;
    std::set<std::int32_t> seen(ids.view().as<std::int32_t>(), ids.view().as<std::int32_t>() + n * k);
    verdict.experts_checked = std::max(verdict.experts_checked.value_or(0), static_cast<std::int64_t>(seen.size()));
  }
  judge_added(y, expected, &x.view(), rows, limit, routed, verdict);
}

LayerIo read_layer_io(const std::filesystem::path& path, std::int64_t hidden) {
  const SafetensorsFile file(path);
  const TensorInfo& in = file.info("input");
  const TensorInfo& out = file.info("output");
  const auto expect = [&](const char* name, const TensorInfo& t) {
    if (t.shape.size() != 3 || t.shape[2] != hidden || t.elements == 0)
      throw BadInput(path.string(), name, fmt::format("expected [batch, seq, {}], got {}", hidden, to_string(t.shape)));
  };
  expect("input", in);
  expect("output", out);
  if (in.shape != out.shape)
    throw BadInput(path.string(), "output",
                   fmt::format("expected {} like input, got {}", to_string(in.shape), to_string(out.shape)));
  LayerIo io{in.shape[0], in.shape[1], hidden, {}, {}};
  io.input.resize(static_cast<std::size_t>(in.elements));
  io.output.resize(static_cast<std::size_t>(in.elements));
  file.read_f32("input", io.input);
  file.read_f32("output", io.output);
  return io;
}

std::vector<LayerCheckRow> check_against_io(const ModelSpec& model, std::int64_t index, CheckpointReader& reader,
                                            const LayerIo& io, DType type, Runtime& runtime) {
  if (index < 0 || index >= model.layers)
    throw BadInput(fmt::format("--layer: expected 0..{}, got {}", model.layers - 1, index));
  const LayerKind& kind = model.layer_kinds[static_cast<std::size_t>(index)];
  const std::int64_t h = io.hidden, rows = io.batch * io.seq;
  StepShape shape;
  shape.batch = io.batch;
  shape.capacity = io.seq;
  shape.weight_type = shape.activation_type = shape.kv_type = type;

  // Caches are shared by all steps of one mode and emptied between modes; NaN in a slot that is read too early shows.
  shape.q_len = shape.kv_len = 1;
  const LayerPlan any = plan_layer(model, kind, shape);
  const WeightSet weights = checkpoint_weights(any, reader, fmt::format("model.layers.{}.", index));
  const BufferSet caches = own_buffers(any, 1, 0, runtime);

  std::vector<float> result(io.output.size());
  const auto step = [&](std::int64_t begin, std::int64_t q_len) {
    StepShape s = shape;
    s.q_len = q_len;
    s.kv_len = begin + q_len;
    const LayerPlan plan = plan_layer(model, kind, s);
    BufferSet buffers = shared_buffers(plan, model.rope, runtime);
    buffers["k_cache"] = caches.at("k_cache");
    buffers["v_cache"] = caches.at("v_cache");
    Layer layer(plan, weights, buffers, runtime);
    const Tensor& in = layer.buffer("input");
    const OwnedTensor staged(in.dtype, in.shape);
    const Tensor& x = staged.view();
    runtime.fill_bytes(layer.buffer("output"), kNaNByte);
    for (std::int64_t b = 0; b < io.batch; ++b)
      for (std::int64_t i = 0; i < q_len * h; ++i)
        x.store(b * q_len * h + i,
                static_cast<double>(io.input[static_cast<std::size_t>((b * io.seq + begin) * h + i)]));
    runtime.upload(in, x);
    layer.run();
    const OwnedTensor y = layer.read("output");
    for (std::int64_t b = 0; b < io.batch; ++b)
      for (std::int64_t i = 0; i < q_len * h; ++i)
        result[static_cast<std::size_t>((b * io.seq + begin) * h + i)] =
            static_cast<float>(y.view().load(b * q_len * h + i));
  };

  const LayerTolerance limit = layer_tolerance(type, type);
  std::vector<std::int64_t> row_numbers(static_cast<std::size_t>(rows));
  std::iota(row_numbers.begin(), row_numbers.end(), 0);
  std::vector<LayerCheckRow> out;
  const auto mode = [&](const std::string& name, std::int64_t prefill) {
    runtime.fill_bytes(caches.at("k_cache")->view(), kNaNByte);
    runtime.fill_bytes(caches.at("v_cache")->view(), kNaNByte);
    std::fill(result.begin(), result.end(), std::nanf(""));
    if (prefill > 0) step(0, prefill);
    for (std::int64_t i = prefill; i < io.seq; ++i) step(i, 1);
    LayerCheckRow row;
    row.mode = name;
    row.verdict.ok = true;
    row.verdict.checks = 1;
    row.verdict.rows = row.verdict.rows_checked = rows;
    const Shape s = {rows, h};
    const Tensor y{result.data(), DType::f32, s}, expected{const_cast<float*>(io.output.data()), DType::f32, s},
        x{const_cast<float*>(io.input.data()), DType::f32, s};
    judge_added(y, expected, &x, row_numbers, limit, 0, row.verdict);
    out.push_back(std::move(row));
  };
  mode("prefill", io.seq);
  mode("decode", 0);
  const std::int64_t half = io.seq / 2;
  if (half > 0) mode(fmt::format("prefill {} + decode {}", half, io.seq - half), half);
  return out;
}

}  // namespace layercost
