// SPDX-License-Identifier: Apache-2.0
#include "harness/measure/layer_check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <set>

#include "harness/measure/stored_model.h"
#include "harness/measure/verify.h"
#include "harness/result/rules.h"
#include "kernels/contract/reference.h"
#include "kernels/contract/registry.h"
#include "kernels/core/error.h"
#include "kernels/core/random.h"

namespace layercost {
namespace {

constexpr int kStreamRoundings = 2;  // in a layer: behind attention, and its output

OwnedTensor gather_rows(const Tensor& t, const std::vector<std::int64_t>& rows) {
  const std::int64_t width = t.elements() / t.dim(0);
  OwnedTensor out(t.dtype == DType::i32 ? DType::i32 : DType::f64, {static_cast<std::int64_t>(rows.size()), width});
  for (std::size_t r = 0; r < rows.size(); ++r)
    for (std::int64_t i = 0; i < width; ++i)
      out.view().store(static_cast<std::int64_t>(r) * width + i, t.load(rows[r] * width + i));
  return out;
}

// Read by position, and the same for every layer.
bool is_table(BufferRole role) {
  return role == BufferRole::rotary_cos || role == BufferRole::rotary_sin || role == BufferRole::query_scale;
}

bool is_selection(BufferRole role) { return role == BufferRole::selection || role == BufferRole::given_selection; }

// What the references take from the layer as it is, row by row. Selections are judged by themselves: two scores that
// lie close may change places, and what follows would be another layer's.
bool is_given(BufferRole role) {
  return role == BufferRole::input || role == BufferRole::from_outside || role == BufferRole::ones ||
         role == BufferRole::forced_ids || is_selection(role);
}

// The case for this many rows; of an op whose rows form sequences: for one of them.
OpCase with_rows(const PlannedOp& p, std::int64_t rows) {
  OpCase c = p.op_case;
  if (find_op(c.op()).first_shared_column != nullptr) return c.set("batch", 1);
  return c.set(c.has("tokens") ? "tokens" : "m", rows);
}

// What an indexer chooses by (kernels/dsa_index), of the first `keys` keys, for one query of a sequence. All f64.
std::vector<double> index_scores(const OpCase& c, const Tensor& q, const Tensor& weights, const Tensor& cache,
                                 std::int64_t row, std::int64_t keys) {
  const std::int64_t heads = c.axis("heads"), dim = c.axis("head_dim");
  std::vector<double> out(static_cast<std::size_t>(keys));
  each_row(keys, true, [&](std::int64_t j) {
    double sum = 0;
    for (std::int64_t h = 0; h < heads; ++h)
      sum += weights.load(row * heads + h) *
             std::max(0.0, dot(q.as<double>() + (row * heads + h) * dim, cache.as<double>() + j * dim, dim));
    out[static_cast<std::size_t>(j)] = sum;
  });
  return out;
}

// The references of a plan's ops, one after the other in double, from the layer's input on. First, sequence by
// sequence, up to the last op whose rows meet in a cache; then the rest, on the sampled rows of all sequences together.
class ReferenceWalk {
 public:
  ReferenceWalk(const Layer& layer, const std::vector<std::int64_t>& rows)
      : layer_(layer), plan_(layer.plan()), router_(plan_.router()), rows_(rows) {
    for (const BufferSpec& b : plan_.buffers) {
      roles_[b.name] = b.role;
      if (is_given(b.role) || is_table(b.role) || b.role == BufferRole::cache || b.role == BufferRole::state)
        tested_[b.name] = layer.read(b.name);
    }
    for (std::size_t i = 0; i < plan_.ops.size(); ++i)
      if (op_of(i).first_shared_column != nullptr) sequence_ops_ = i + 1;
    for (std::size_t i = 0; i < sequence_ops_; ++i)
      for (const auto& [tensor, name] : plan_.ops[i].bind) in_sequences_.insert(name);
    columns_ = shared_columns();
  }

  // The expert ids that were tested, whoever chose them. The weights are the reference's own scores there.
  void force_ids(const OwnedTensor& ids) { ids_ = &ids; }

  // "" or what is wrong with the tested selection: a key left out whose score is higher than a selected one's by more
  // than so much of the spread of the query's scores. Known after run().
  void judge_selections(double margin) { selection_margin_ = margin; }
  const std::string& wrong_selection() const { return wrong_selection_; }

  // Calls `before` ahead of every op of the second half.
  template <class F>
  void run(F&& before) {
    const std::int64_t q_len = plan_.shape.q_len;
    std::set<std::int64_t> sequences;
    for (const std::int64_t r : rows_) sequences.insert(r / q_len);
    if (sequence_ops_ > 0)
      for (const std::int64_t b : sequences) run_sequence(b);
    for (const auto& [name, t] : tested_)
      if (is_given(roles_.at(name))) values_[name] = gather_rows(t, rows_);
    for (std::size_t i = sequence_ops_; i < plan_.ops.size(); ++i) {
      before(plan_.ops[i]);
      run_op(i, static_cast<std::int64_t>(rows_.size()), values_, nullptr);
    }
  }
  // After run() has come so far: [rows, width].
  const Tensor& value(const std::string& name) const { return values_.at(name).view(); }

 private:
  using Values = std::map<std::string, OwnedTensor>;

  const OpDef& op_of(std::size_t i) const { return find_op(plan_.ops[i].op_case.op()); }
  bool has_rows(const std::string& buffer) const {
    const auto it = roles_.find(buffer);
    return it != roles_.end() && (it->second == BufferRole::activation || it->second == BufferRole::input);
  }

  void run_op(std::size_t i, std::int64_t rows, Values& values, const AskedRows* asked) {
    const PlannedOp& p = plan_.ops[i];
    OpCase c = with_rows(p, rows);
    OpTensors bound;
    const bool routes = ids_ != nullptr && &p == router_;
    if (routes) {
      c.set("forced", 1);
      bound.bind("forced_ids", ids_->view());
    }
    for (const TensorSpec& s : op_of(i).tensors(c)) {
      if (s.role == Role::weight) {
        bound.bind(s.name, layer_.weights().at(p.bind.at(s.name)));
        continue;
      }
      if (routes && s.name == "forced_ids") continue;
      const std::string& name = p.bind.at(s.name);
      const BufferRole role = roles_.at(name);
      if (s.role == Role::output && is_selection(role)) return judge_selection(p, values, *asked);
      if (is_table(role)) {
        bound.bind(s.name, tested_.at(name).view());
        continue;
      }
      if (role == BufferRole::row_numbers) {  // of these rows, which lie side by side here
        OwnedTensor numbers(s.dtype, s.shape);
        fill_row_numbers(numbers);
        values[name] = std::move(numbers);
      }
      // Of an activation that several ops write a part of each, the first one's.
      const bool begins = s.role == Role::updated && role == BufferRole::activation && !values.contains(name);
      if (s.role == Role::output || begins)
        values[name] = OwnedTensor(s.dtype == DType::i32 ? s.dtype : DType::f64, s.shape);
      Tensor t = values.at(name).view();
      t.shape = s.shape;
      bound.bind(s.name, t);
    }
    if (asked != nullptr) bound.ask(*asked);
    op_of(i).reference(c, bound);
  }

  // The op's own output among `values` is the tested one, of one sequence.
  void judge_selection(const PlannedOp& p, const Values& values, const AskedRows& asked) {
    const auto value = [&](const char* tensor) { return values.at(p.bind.at(tensor)).view(); };
    const Tensor selection = value("selection");
    const std::int64_t keys = p.op_case.axis("top_k"), before = plan_.shape.kv_len - plan_.shape.q_len;
    for (const std::int64_t row : asked.rows) {
      if (before + row + 1 <= keys || !wrong_selection_.empty()) continue;  // it sees all it may see
      const std::vector<double> scores =
          index_scores(p.op_case, value("q"), value("weights"), value("index_cache"), row, before + row + 1);
      const auto n = static_cast<double>(scores.size());
      double mean = 0, square = 0, lowest = INFINITY, highest = -INFINITY;
      for (const double s : scores) mean += s / n;
      for (const double s : scores) square += (s - mean) * (s - mean);
      std::vector<char> chosen(scores.size());
      for (std::int64_t i = 0; i < keys; ++i) chosen[static_cast<std::size_t>(selection.load(row * keys + i))] = 1;
      for (std::size_t j = 0; j < scores.size(); ++j)
        if (chosen[j] != 0) lowest = std::min(lowest, scores[j]);
        else highest = std::max(highest, scores[j]);
      const double spread = std::sqrt(square / n);
      if (!(highest <= lowest + selection_margin_ * spread))
        wrong_selection_ = fmt::format(
            "query {} of its sequence: a key that was left out scores {:.3g} of the spread above one that was selected "
            "(margin {:.3g})",
            row, (highest - lowest) / spread, selection_margin_);
    }
  }

  // Of each op up to the last that needs whole sequences: from which column on its outputs are needed of all rows.
  std::vector<std::int64_t> shared_columns() const {
    std::vector<std::int64_t> out(sequence_ops_);
    std::map<std::string, std::int64_t> needed;  // of a buffer; absent: of the asked rows only
    for (std::size_t i = sequence_ops_; i-- > 0;) {
      const PlannedOp& p = plan_.ops[i];
      const auto specs = op_of(i).tensors(p.op_case);
      out[i] = AskedRows::kNone;
      for (const TensorSpec& s : specs)
        if (const auto it = needed.find(s.role == Role::weight ? std::string() : p.bind.at(s.name));
            (s.role == Role::output || s.role == Role::updated) && it != needed.end()) {
          out[i] = std::min(out[i], it->second);
          if (s.role == Role::output) needed.erase(it);  // else another op writes the rest
        }
      const auto shared = op_of(i).first_shared_column;
      for (const TensorSpec& s : specs) {
        const std::int64_t columns = shared != nullptr            ? shared(p.op_case, s.name)
                                     : out[i] == AskedRows::kNone ? AskedRows::kNone
                                                                  : 0;
        if (columns == AskedRows::kNone) continue;
        if (s.role == Role::input && has_rows(p.bind.at(s.name))) {
          const auto [it, fresh] = needed.emplace(p.bind.at(s.name), columns);
          if (!fresh) it->second = std::min(it->second, columns);
        }
      }
    }
    return out;
  }

  void run_sequence(std::int64_t b) {
    const std::int64_t q_len = plan_.shape.q_len;
    std::vector<std::int64_t> all(static_cast<std::size_t>(q_len));
    std::iota(all.begin(), all.end(), b * q_len);
    AskedRows asked;
    std::vector<std::size_t> at;  // of rows_
    for (std::size_t r = 0; r < rows_.size(); ++r)
      if (rows_[r] / q_len == b) {
        asked.rows.push_back(rows_[r] - b * q_len);
        at.push_back(r);
      }
    Values values;
    for (const auto& [name, t] : tested_) {
      const BufferRole role = roles_.at(name);
      if (is_given(role) && in_sequences_.contains(name)) values[name] = gather_rows(t, all);
      // This sequence's cache: the context as it is, the new slots as the references make them.
      if (role == BufferRole::cache || role == BufferRole::state) values[name] = gather_rows(t, {b});
    }
    for (std::size_t i = 0; i < sequence_ops_; ++i) {
      asked.from_column = columns_[i];
      run_op(i, q_len, values, &asked);
    }
    for (const auto& [name, t] : values) {
      if (roles_.at(name) != BufferRole::activation) continue;
      const std::int64_t width = t.view().elements() / q_len;
      OwnedTensor& kept = values_[name];
      if (kept.view().data == nullptr) kept = OwnedTensor(DType::f64, {static_cast<std::int64_t>(rows_.size()), width});
      for (std::size_t r = 0; r < at.size(); ++r)
        std::copy_n(t.view().as<double>() + asked.rows[r] * width, width,
                    kept.view().as<double>() + static_cast<std::int64_t>(at[r]) * width);
    }
  }

  const Layer& layer_;
  const LayerPlan& plan_;
  const PlannedOp* const router_;
  const std::vector<std::int64_t>& rows_;  // ascending
  std::map<std::string, BufferRole> roles_;
  Values tested_;  // what the references take from the layer as it is: input, caches, rotary tables
  Values values_;  // of the sampled rows
  const OwnedTensor* ids_ = nullptr;
  double selection_margin_ = 0;
  std::string wrong_selection_;
  std::size_t sequence_ops_ = 0;
  std::set<std::string> in_sequences_;  // what those ops are bound to
  std::vector<std::int64_t> columns_;   // of shared_columns()
};

// "" or what is no selection: of each query as many different keys that it may see as there can be, ascending, then -1.
std::string judge_form(const Tensor& selection, const StepShape& s) {
  const std::int64_t k = selection.dim(1);
  for (std::int64_t t = 0; t < selection.dim(0); ++t) {
    const std::int64_t visible = s.kv_len - s.q_len + t % s.q_len + 1, keys = std::min(k, visible);
    double last = -1;
    for (std::int64_t i = 0; i < k; ++i) {
      const double key = selection.load(t * k + i);
      const bool right = i < keys ? key > last && key < static_cast<double>(visible) : key == -1;
      if (!right) return fmt::format("row {}: entry {} of the selection cannot be {}", t, i, key);
      last = key;
    }
  }
  return {};
}

// "" or which id cannot be one.
std::string judge_distinct(const Tensor& ids, std::int64_t experts, const std::vector<std::int64_t>& rows) {
  const std::int64_t k = ids.dim(1);
  for (std::int64_t t = 0; t < ids.dim(0); ++t) {
    std::set<std::int64_t> chosen;
    for (std::int64_t j = 0; j < k; ++j) {
      const auto e = static_cast<std::int64_t>(ids.load(t * k + j));
      if (e < 0 || e >= experts || !chosen.insert(e).second)
        return fmt::format("row {}: expert id {} is out of range or chosen twice", rows[static_cast<std::size_t>(t)],
                           e);
    }
  }
  return {};
}

// What a router chooses by, [tokens, experts], and how far apart two of them must lie to be told apart.
struct Choices {
  OwnedTensor values;
  const char* what;
  double margin;
  std::int64_t groups = 1, top_groups = 1;
  bool group_by_best = false;
};

// `margin`: of logits. A softmax without biases chooses by its logits. A sigmoid's slope is at most 1/4, that of a
// softmax 1; of groups the best two scores are added, so that a softmax needs its scores for that.
Choices choices_of(const OpCase& c, const Tensor& logits, const Weight* bias, double margin) {
  Choices out{OwnedTensor(DType::f64, logits.shape), "logit", margin};
  if (c.has("groups")) out.groups = c.axis("groups"), out.top_groups = c.axis("top_groups");
  out.group_by_best = c.word("group_score", "top2") == "max";
  const bool sigmoid = c.word("score", "softmax") == "sigmoid";
  const Tensor& to = out.values.view();
  const std::int64_t experts = logits.dim(1);
  if (!sigmoid && bias == nullptr && (out.groups == 1 || out.group_by_best)) {
    for (std::int64_t i = 0; i < to.elements(); ++i) to.store(i, logits.load(i));
    return out;
  }
  out.what = bias != nullptr ? "biased score" : "score";
  out.margin = sigmoid ? margin / 4 : margin;
  const OwnedTensor biases = bias != nullptr ? bias->whole() : OwnedTensor();
  for (std::int64_t t = 0; t < logits.dim(0); ++t) {
    double all = 0;
    for (std::int64_t e = 0; e < experts; ++e) all += std::exp(logits.load(t * experts + e));
    for (std::int64_t e = 0; e < experts; ++e) {
      const double l = logits.load(t * experts + e);
      to.store(t * experts + e, (sigmoid ? 1 / (1 + std::exp(-l)) : std::exp(l) / all) +
                                    (bias != nullptr ? biases.view().load(e) : 0.0));
    }
  }
  return out;
}

// Whether the tested choice of experts is the router's, up to the margin. "" or what is wrong. With groups: no more of
// them than allowed, none that is worse than a refused one, and no better expert in a group that is surely chosen.
std::string judge_choice(const Choices& c, const Tensor& ids, const std::vector<std::int64_t>& rows) {
  const std::int64_t experts = c.values.view().dim(1), k = ids.dim(1), size = experts / c.groups;
  const double group_margin = c.group_by_best || size < 2 ? c.margin : 2 * c.margin;
  for (std::int64_t t = 0; t < ids.dim(0); ++t) {
    const auto value = [&](std::int64_t e) { return c.values.view().load(t * experts + e); };
    std::set<std::int64_t> chosen, used;
    double lowest = INFINITY, highest = -INFINITY;
    for (std::int64_t j = 0; j < k; ++j) {
      const auto e = static_cast<std::int64_t>(ids.load(t * k + j));
      chosen.insert(e);
      used.insert(e / size);
      lowest = std::min(lowest, value(e));
    }
    const std::int64_t row = rows[static_cast<std::size_t>(t)];
    std::vector<double> scores, ranked;
    for (std::int64_t g = 0; g < c.groups; ++g) {
      std::vector<double> of_group;
      for (std::int64_t e = g * size; e < (g + 1) * size; ++e) of_group.push_back(value(e));
      std::sort(of_group.rbegin(), of_group.rend());
      scores.push_back(c.group_by_best || size < 2 ? of_group[0] : of_group[0] + of_group[1]);
    }
    ranked = scores;
    std::sort(ranked.rbegin(), ranked.rend());
    const auto top = static_cast<std::size_t>(c.top_groups);
    const double last_in = ranked[top - 1], first_out = top < ranked.size() ? ranked[top] : -INFINITY;
    if (used.size() > top)
      return fmt::format("row {}: experts of {} groups are chosen, at most {} may be", row, used.size(), top);
    for (const std::int64_t g : used)
      if (scores[static_cast<std::size_t>(g)] < last_in - group_margin)
        return fmt::format("row {}: a chosen expert's group is {:.3g} below the last of the best (margin {:.3g})", row,
                           last_in - scores[static_cast<std::size_t>(g)], group_margin);
    for (std::int64_t e = 0; e < experts; ++e) {
      const bool surely =
          used.contains(e / size) || scores[static_cast<std::size_t>(e / size)] > first_out + group_margin;
      if (surely && !chosen.contains(e)) highest = std::max(highest, value(e));
    }
    if (highest > lowest + c.margin)
      return fmt::format("row {}: a refused expert's {} is {:.3g} above a chosen one's (margin {:.3g})", row, c.what,
                         highest - lowest, c.margin);
  }
  return {};
}

std::set<double> values_of(const Tensor& t) {
  std::set<double> out;
  for (std::int64_t i = 0; i < t.elements(); ++i) out.insert(t.load(i));
  return out;
}

void refuse(Verdict& v, std::string why) {
  v.ok = false;
  if (v.why.empty()) v.why = std::move(why);
}

// What storing y's values once in `type` costs, root mean square, as a fraction of what the layer adds (a): rounding
// errs by a twelfth of a step squared. Of all rows together, and of the worst one.
struct StoringError {
  double all = 0, worst_row = 0;
};
StoringError storing_error(const Tensor& y, const Tensor& added, DType type) {
  const int digits = type == DType::bf16 ? 8 : type == DType::f32 ? 24 : throw BadCase("a stream of such values");
  const std::int64_t width = y.shape.back(), rows = y.elements() / width;
  double steps = 0, norms = 0;
  std::vector<std::pair<double, double>> of_row;
  for (std::int64_t r = 0; r < rows; ++r) {
    double step = 0, norm = 0;
    for (std::int64_t i = r * width; i < (r + 1) * width; ++i) {
      const double value = y.load(i), a = added.load(i);
      if (value != 0) step += std::ldexp(1.0, 2 * (std::ilogb(value) + 1 - digits)) / 12;
      norm += a * a;
    }
    steps += step, norms += norm;
    of_row.emplace_back(step, norm);
  }
  StoringError e;
  if (norms == 0) return e;
  e.all = std::sqrt(steps / norms);
  for (const auto& [step, norm] : of_row)  // the denominator of measure_error
    e.worst_row = std::max(e.worst_row, std::sqrt(step / std::max(norm, norms / static_cast<double>(rows) / 256)));
  return e;
}

// The stream between layers is stored in the activations' type, and where it has outgrown what a layer adds, its
// rounding alone exceeds every fixed limit: layer 38 of a model of 64 columns was called wrong for an error of 0.0217.
// So the limits get what `roundings` of it cost, independent of what the layer itself errs by, and half as much again
// because a few values do not average out.
LayerTolerance with_rounding(LayerTolerance limit, const StoringError& once, int roundings, std::int64_t elements) {
  const double factor = 1.5 * std::sqrt(static_cast<double>(roundings));
  // 6 deviations of the mean: of four hundred right layers of 32 and 64 columns one came to 4.6 of them (92 % of what
  // gain_limit allows), and 2 % planted in 64 columns lie above 8.
  const double own = 6 * limit.rel_l2 / std::sqrt(static_cast<double>(elements));
  const double of_gain = 6 * once.all * std::sqrt(static_cast<double>(roundings) / static_cast<double>(elements));
  limit.gain = std::hypot(std::max(limit.gain, own), of_gain);
  limit.gain = std::min(limit.gain, kMostLimit);  // what a file may say
  limit.rel_l2 = std::min(std::hypot(limit.rel_l2, factor * once.all), kMostLimit);
  limit.worst_row = std::min(std::hypot(limit.worst_row, factor * once.worst_row), kMostLimit);
  return limit;
}

// Keeps the pair of figure and limit that came nearest to failing: the limits differ from check to check. NaN wins.
void keep_nearest(double& figure, double& limit, double other, double other_limit) {
  if (limit != 0 && !std::isnan(other) && !(other / other_limit > figure / limit)) return;
  if (std::isnan(figure)) return;
  figure = other;
  limit = other_limit;
}

// y and y* are [rows, hidden]; x is what the layer adds to (empty: nothing). roundings: how often the stream was stored
// between x and y, in `type`. routed: number of routing weights in y, 0 without experts. The rounding of the router's
// input moves each weight by some 0.2 %, and an expert's whole part with it: over few of them that does not average
// out. One token of Qwen3-30B-A3B (8 weights), worst of 5 to 33 checks: 1.2e-3 to 1.8e-3 on CPUs and an H100, twice
// 2.5e-3 and 2.7e-3; 64 weights and more: below 0.8e-3.
void judge_added(const Tensor& y, const Tensor& expected, const Tensor* x, const std::vector<std::int64_t>& rows,
                 LayerTolerance limit, int roundings, DType type, std::int64_t routed, Verdict& verdict) {
  if (routed > 0) {
    const double widened = 5 * 0.1 * limit.rel_l2 / std::sqrt(static_cast<double>(routed));
    limit.gain = std::max(limit.gain, std::min(widened, 2 * limit.gain));
  }
  OwnedTensor added(DType::f64, y.shape), added_expected(DType::f64, y.shape);
  for (std::int64_t i = 0, n = y.elements(); i < n; ++i) {
    const double base = x != nullptr ? x->load(i) : 0.0;
    added.view().store(i, y.load(i) - base);
    added_expected.view().store(i, expected.load(i) - base);
  }
  const std::int64_t elements = y.elements();
  if (x != nullptr)
    limit = with_rounding(limit, storing_error(expected, added_expected.view(), type), roundings, elements);
  const Tolerance t{limit.rel_l2, limit.worst_row, limit.gain};
  const OutputError e = measure_error("output", added, added_expected, t);
  keep_nearest(verdict.rel_l2, verdict.rel_l2_limit, e.rel_l2, t.rel_l2);
  keep_nearest(verdict.worst_row, verdict.worst_row_limit, e.worst_row, t.worst_row);
  keep_nearest(verdict.gain, verdict.gain_limit, e.gain, x != nullptr ? t.gain : gain_limit(t, elements));
  // The limit of the gain is complete already where there is a stream.
  const std::int64_t averaged = x != nullptr ? std::numeric_limits<std::int64_t>::max() : elements;
  if (std::string why = judge(e, averaged); !why.empty()) {
    if (e.worst_row_index >= 0)
      why += fmt::format(" (worst: token row {})", rows[static_cast<std::size_t>(e.worst_row_index)]);
    refuse(verdict, std::move(why));
  }
}

}  // namespace

LayerTolerance layer_tolerance(const StepShape& s) {
  const WeightTypes& weights = s.weights;
  if (s.kv_type == DType::fp8_e4m3) return {6e-2, 1.5e-1, 6e-3, 0.05};
  const DType types[] = {s.activation_type, s.kv_type,      weights.matrices->values,
                         weights.vectors,   weights.router, weights.head};
  if (std::find(std::begin(types), std::end(types), DType::bf16) != std::end(types)) return {2e-2, 5e-2, 2e-3, 0.05};
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

void shrink_input(const Layer& layer, Runtime& runtime) {
  const Tensor& in = layer.buffer(BufferRole::input);
  const OwnedTensor x = runtime.read(in);
  const std::int64_t n = in.elements();
  double square = 0;
  for (std::int64_t i = 0; i < n; ++i) square += x.view().load(i) * x.view().load(i);
  const double size = std::sqrt(square / static_cast<double>(n));
  if (!(size > 2) || !std::isfinite(size)) return;
  const double scale = std::ldexp(1.0, -std::ilogb(size));
  for (std::int64_t i = 0; i < n; ++i) x.view().store(i, scale * x.view().load(i));
  runtime.upload(in, x.view());
}

void check_layer(const Layer& layer, const std::vector<std::int64_t>& rows, Verdict& verdict) {
  const LayerPlan& plan = layer.plan();
  const LayerTolerance limit = layer_tolerance(plan.shape);
  if (verdict.checks++ == 0) verdict.ok = true;
  verdict.rows = plan.buffer(BufferRole::output).shape[0];
  verdict.rows_checked = static_cast<std::int64_t>(rows.size());

  const OwnedTensor x = gather_rows(layer.read(BufferRole::input), rows),
                    y = gather_rows(layer.read(BufferRole::output), rows);
  for (std::int64_t i = 0, count = y.view().elements(); i < count; ++i)
    if (!std::isfinite(y.view().load(i))) return refuse(verdict, "the output holds NaN or infinity");

  for (const BufferSpec& b : plan.buffers)
    if (is_selection(b.role))
      if (std::string why = judge_form(layer.read(b.name), plan.shape); !why.empty())
        return refuse(verdict, std::move(why));

  ReferenceWalk walk(layer, rows);
  walk.judge_selections(limit.logit_margin);
  OwnedTensor ids;
  std::int64_t routed = 0;
  const PlannedOp* const router = plan.router();
  if (const auto experts = plan.experts()) {
    ids = gather_rows(layer.read(plan.chosen_ids()->role), rows);
    routed = ids.view().elements();
    if (plan.find_buffer(BufferRole::forced_ids) != nullptr) {
      const OwnedTensor forced = gather_rows(layer.read(BufferRole::forced_ids), rows);
      if (std::memcmp(forced.view().data, ids.view().data, forced.view().bytes()) != 0)
        return refuse(verdict, "the layer did not use the expert ids it was given");
    }
    if (std::string why = judge_distinct(ids, experts->experts, rows); !why.empty())
      return refuse(verdict, std::move(why));
    const std::set<double> seen = values_of(ids);
    verdict.experts_checked = std::max(verdict.experts_checked.value_or(0), static_cast<std::int64_t>(seen.size()));
    walk.force_ids(ids);
  }
  std::string wrong_choice;
  walk.run([&](const PlannedOp& p) {
    if (&p != router || plan.find_buffer(BufferRole::forced_ids) != nullptr) return;
    // In units of the logits' spread over the experts.
    const Tensor& logits = walk.value(p.bind.at("logits"));
    double square = 0;
    for (std::int64_t i = 0; i < logits.elements(); ++i) square += logits.load(i) * logits.load(i);
    const double spread = std::sqrt(square / static_cast<double>(logits.elements()));
    const Weight* bias = p.bind.contains("bias") ? layer.weights().at(p.bind.at("bias")).get() : nullptr;
    wrong_choice = judge_choice(choices_of(p.op_case, logits, bias, limit.logit_margin * spread), ids, rows);
  });
  if (!wrong_choice.empty()) return refuse(verdict, std::move(wrong_choice));
  if (!walk.wrong_selection().empty()) return refuse(verdict, walk.wrong_selection());
  judge_added(y, walk.value(plan.buffer(BufferRole::output).name), plan.adds_to_input ? &x.view() : nullptr, rows,
              limit, kStreamRoundings, plan.shape.activation_type, routed, verdict);
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
  if (!file.has("selection")) return io;
  const TensorInfo& chosen = file.info("selection");
  if (chosen.shape.size() != 3 || chosen.shape[0] != io.batch || chosen.shape[1] != io.seq || chosen.elements == 0)
    throw BadInput(path.string(), "selection",
                   fmt::format("expected [{}, {}, keys], got {}", io.batch, io.seq, to_string(chosen.shape)));
  io.selected = chosen.shape[2];
  io.selection.resize(static_cast<std::size_t>(chosen.elements));
  file.read_f32("selection", io.selection);
  for (const float key : io.selection)
    if (!(key >= -1 && key < static_cast<float>(io.seq)) || key != std::floor(key))
      throw BadInput(path.string(), "selection",
                     fmt::format("expected positions 0..{} or -1, got {}", io.seq - 1, key));
  return io;
}

namespace {

// One layer of a checkpoint: its plan at any shape, and its weights.
struct StoredLayer {
  LayerKind kind;
  StepShape shape;  // of one token
  WeightSet weights;
};

StoredLayer read_layer(const ModelSpec& model, std::int64_t index, Checkpoint& checkpoint, DType type,
                       const std::optional<std::string>& given_prefix) {
  if (index < 0 || index >= model.layers)
    throw BadInput(fmt::format("--layer: expected 0..{}, got {}", model.layers - 1, index));
  StoredLayer out{model.layer(index), {}, {}};
  out.shape.weights = weights_by_config(model, type);
  out.shape.activation_type = out.shape.kv_type = type;
  const LayerPlan by_config = plan_layer(model, out.kind, out.shape);
  const std::string prefix =
      fmt::format("{}layers.{}.", given_prefix ? *given_prefix : find_prefix(checkpoint, by_config, index), index);
  if (checkpoint.is_gguf()) {
    out.shape.weights.by_config = true;
    out.kind.formats = stored_formats(checkpoint, by_config, prefix);
  }
  out.weights = checkpoint_weights(
      plan_layer(model, out.kind, out.shape), checkpoint, [&](const std::string& tensor) { return prefix + tensor; },
      index);
  refuse_unused_tensors(checkpoint, by_config, prefix);  // after: one that is missing says more
  return out;
}

// A file of zeros would agree with every layer that is given zeros.
void expect_something_added(const LayerIo& io) {
  for (const auto& [name, values] : {std::pair("input", &io.input), std::pair("output", &io.output)})
    if (!std::all_of(values->begin(), values->end(), [](float v) { return std::isfinite(v); }))
      throw BadInput(fmt::format("--io: {} holds NaN or infinity", name));
  if (io.input == io.output)
    throw BadInput(
        "--io: input and output are the same, so the layer that made them added nothing: nothing can be compared");
}

}  // namespace

std::vector<LayerCheckRow> check_against_io(const ModelSpec& model, std::int64_t index, Checkpoint& checkpoint,
                                            const LayerIo& io, DType type, Runtime& runtime,
                                            const std::optional<std::string>& prefix) {
  expect_something_added(io);
  const std::int64_t h = io.hidden, rows = io.batch * io.seq;
  auto [kind, shape, weights] = read_layer(model, index, checkpoint, type, prefix);
  shape.batch = io.batch;
  shape.capacity = io.seq;

  // Caches and states are shared by all steps of one mode and emptied between modes; NaN in a slot that is read too
  // early shows.
  StepShape last = shape;
  last.kv_len = io.seq;
  const LayerPlan any = plan_layer(model, kind, last);
  const BufferSet caches = own_buffers(any, 1, 0, runtime);

  const BufferSpec* given = any.find_buffer(BufferRole::given_selection);
  if (given != nullptr && io.selected != given->shape[1])
    throw BadInput(fmt::format(
        "--io: this layer sees the keys that a layer before it selected; expected a tensor "
        "'selection' [{}, {}, {}] of their positions, got {}",
        io.batch, io.seq, given->shape[1], io.selected == 0 ? "none" : fmt::format("{} for a query", io.selected)));

  std::vector<float> result(io.output.size());
  const auto step = [&, &kind = kind, &shape = shape, &weights = weights](std::int64_t begin, std::int64_t q_len) {
    StepShape s = shape;
    s.q_len = q_len;
    s.kv_len = begin + q_len;
    const LayerPlan plan = plan_layer(model, kind, s);
    BufferSet buffers = shared_buffers(plan, runtime);
    buffers.insert(caches.begin(), caches.end());
    Layer layer(plan, weights, buffers, runtime);
    const Tensor& in = layer.buffer(BufferRole::input);
    const OwnedTensor staged(in.dtype, in.shape);
    const Tensor& x = staged.view();
    runtime.fill_bytes(layer.buffer(BufferRole::output), kNaNByte);
    for (std::int64_t b = 0; b < io.batch; ++b)
      for (std::int64_t i = 0; i < q_len * h; ++i)
        x.store(b * q_len * h + i,
                static_cast<double>(io.input[static_cast<std::size_t>((b * io.seq + begin) * h + i)]));
    runtime.upload(in, x);
    if (plan.find_buffer(BufferRole::given_selection) != nullptr) {
      const Tensor& to = layer.buffer(BufferRole::given_selection);
      const OwnedTensor keys(to.dtype, to.shape);
      for (std::int64_t b = 0; b < io.batch; ++b)
        for (std::int64_t i = 0; i < q_len * io.selected; ++i)
          keys.view().store(b * q_len * io.selected + i,
                            io.selection[static_cast<std::size_t>((b * io.seq + begin) * io.selected + i)]);
      if (const std::string why = judge_form(keys, s); !why.empty()) throw BadInput("--io: selection: " + why);
      runtime.upload(to, keys);
    }
    layer.run();
    for (const BufferSpec& b : any.buffers)
      if (b.role == BufferRole::state) runtime.copy(caches.at(b.name)->view(), caches.at(after_step(b.name))->view());
    const OwnedTensor y = layer.read(BufferRole::output);
    for (std::int64_t b = 0; b < io.batch; ++b)
      for (std::int64_t i = 0; i < q_len * h; ++i)
        result[static_cast<std::size_t>((b * io.seq + begin) * h + i)] =
            static_cast<float>(y.view().load(b * q_len * h + i));
  };

  const LayerTolerance limit = layer_tolerance(shape);
  std::vector<std::int64_t> row_numbers(static_cast<std::size_t>(rows));
  std::iota(row_numbers.begin(), row_numbers.end(), 0);
  std::vector<LayerCheckRow> out;
  const auto mode = [&](const std::string& name, std::int64_t prefill) {
    for (const auto& [cache, buffer] : caches) runtime.fill_bytes(buffer->view(), kNaNByte);
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
    // The file's input is rounded too.
    judge_added(y, expected, &x, row_numbers, limit, kStreamRoundings + 1, type, 0, row.verdict);
    out.push_back(std::move(row));
  };
  mode("prefill", io.seq);
  mode("decode", 0);
  const std::int64_t half = io.seq / 2;
  if (half > 0) mode(fmt::format("prefill {} + decode {}", half, io.seq - half), half);
  return out;
}

std::vector<LayerCheckRow> check_against_references(const ModelSpec& model, std::int64_t index, Checkpoint& checkpoint,
                                                    DType type, Runtime& runtime,
                                                    const std::optional<std::string>& prefix) {
  constexpr std::int64_t kTokens = 16, kSequences = 4;
  const StoredLayer stored = read_layer(model, index, checkpoint, type, prefix);
  std::vector<LayerCheckRow> out;
  for (const bool prefill : {true, false}) {
    StepShape shape = stored.shape;
    shape.batch = prefill ? 1 : kSequences;
    shape.q_len = prefill ? kTokens : 1;
    shape.kv_len = shape.capacity = prefill ? kTokens : kTokens + 1;
    const LayerPlan plan = plan_layer(model, stored.kind, shape);
    BufferSet buffers = shared_buffers(plan, runtime);
    for (auto& [name, buffer] : own_buffers(plan, 1, 0, runtime)) buffers[name] = buffer;
    Layer layer(plan, stored.weights, buffers, runtime);
    fill_normal(runtime, layer.buffer(BufferRole::input), 2);
    runtime.fill_bytes(layer.buffer(BufferRole::output), kNaNByte);
    layer.run();
    std::vector<std::int64_t> all(static_cast<std::size_t>(shape.tokens()));
    std::iota(all.begin(), all.end(), 0);
    LayerCheckRow row;
    row.mode = prefill ? fmt::format("prefill {}", kTokens) : fmt::format("decode behind {}", kTokens);
    check_layer(layer, all, row.verdict);
    out.push_back(std::move(row));
  }
  return out;
}

}  // namespace layercost
