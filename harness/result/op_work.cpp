// SPDX-License-Identifier: Apache-2.0
#include "harness/result/op_work.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "kernels/core/error.h"

namespace layercost {
namespace {

// Sizes as doubles, below 2^31, so that products of two are exact.
double axis(const OpCase& c, const char* key) {
  const std::int64_t value = c.axis(key);
  if (value >= std::int64_t{1} << 31) throw BadCase(fmt::format("{} {} is beyond any layer", key, value));
  return static_cast<double>(value);
}

double size(const OpCase& c, const char* key) { return static_cast<double>(size_of(c.type(key))); }

double matrix_bytes(const OpCase& c, double rows, double columns) {
  return c.format("w_type").bytes(static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns));
}

// y[m,n] = x[m,k] w[n,k]^T
CaseWork linear(const OpCase& c) {
  const double m = axis(c, "m"), n = axis(c, "n"), k = axis(c, "k");
  double bias = 0;
  if (c.flag("bias")) {
    if (!c.has("bias_type") && !c.format("w_type").is_plain()) throw BadCase("a bias needs bias_type");
    bias = n * (c.has("bias_type") ? size(c, "bias_type") : static_cast<double>(size_of(c.format("w_type").values)));
  }
  return {.flops = m * n * (2 * k + c.flag("bias") + c.flag("residual")),
          .bytes = matrix_bytes(c, n, k) + bias,
          .input_bytes = m * k * size(c, "x_type"),
          .output_bytes = m * n * size(c, "y_type")};
}

// Keys that `queries` queries at the end of `keys` see, together: the last sees all of them, or its window.
double visible_pairs(double queries, double keys, double window) {
  const double first = keys - queries + 1;  // of the first query; from there one more each
  if (window == 0 || keys <= window) return queries * (first + keys) / 2;
  const double growing = std::max(0.0, window - first);  // queries before the window is full
  return growing * (first + window - 1) / 2 + (queries - growing) * window;
}

CaseWork attention(const OpCase& c) {
  const double batch = axis(c, "batch"), queries = axis(c, "q_len"), keys = axis(c, "kv_len");
  const double dims = axis(c, "qk_dim") + axis(c, "v_dim");
  const auto window = static_cast<double>(c.integer("window", 0));
  const double hidden_keys = window == 0 ? 0 : std::max(0.0, keys - queries + 1 - window);
  return {.flops = 2 * dims * visible_pairs(queries, keys, window) * batch * axis(c, "heads"),
          .bytes = dims * (keys - hidden_keys) * batch * axis(c, "kv_heads") * size(c, "kv_type"),
          .input_bytes = batch * queries * axis(c, "heads") * axis(c, "qk_dim") * size(c, "x_type"),
          .output_bytes = batch * queries * axis(c, "heads") * axis(c, "v_dim") * size(c, "y_type")};
}

CaseWork rope(const OpCase& c) {
  const double tokens = axis(c, "batch") * axis(c, "q_len"), heads = axis(c, "heads"), kv_heads = axis(c, "kv_heads");
  const double dims = axis(c, "head_dim"), rotated = c.has("rotary_dims") ? axis(c, "rotary_dims") : dims;
  const bool norm = c.flag("qk_norm");
  return {.flops = tokens * (heads + kv_heads) * (3 * rotated + (norm ? 4 * dims : 0)),
          .bytes = 2 * tokens * kv_heads * dims * size(c, "kv_type") + (norm ? 2 * dims * size(c, "w_type") : 0),
          .input_bytes = tokens * (heads + 2 * kv_heads) * dims * size(c, "x_type"),
          .output_bytes = tokens * heads * dims * size(c, "y_type")};
}

CaseWork rms_norm(const OpCase& c) {
  const double n = axis(c, "tokens") * axis(c, "hidden");
  return {.flops = n * (c.flag("residual") ? 5 : 4),
          .bytes = axis(c, "hidden") * size(c, "w_type"),
          .input_bytes = n * size(c, "x_type"),
          .output_bytes = n * size(c, "y_type")};
}

CaseWork glu(const OpCase& c) {
  const double n = axis(c, "tokens") * axis(c, "ffn_hidden");
  return {.flops = 5 * n, .input_bytes = 2 * n * size(c, "x_type"), .output_bytes = n * size(c, "y_type")};
}

CaseWork moe_route(const OpCase& c) {
  const double n = axis(c, "tokens") * axis(c, "experts");
  return {.flops = (c.flag("bias") ? 5 : 4) * n,
          .bytes = c.flag("bias") ? 4 * axis(c, "experts") : 0,
          .input_bytes = n * size(c, "x_type"),
          .output_bytes = 8 * axis(c, "tokens") * axis(c, "top_k")};  // an id and a weight
}

CaseWork moe_experts(const OpCase& c) {
  const double tokens = axis(c, "tokens"), hidden = axis(c, "hidden"), ffn = axis(c, "ffn_hidden");
  return {.flops = tokens * axis(c, "top_k") * (6 * hidden * ffn + 5 * ffn + 2 * hidden) +
                   (c.flag("residual") ? tokens * hidden : 0),
          .bytes_per_distinct_expert = matrix_bytes(c, 2 * ffn, hidden) + matrix_bytes(c, hidden, ffn),
          .input_bytes = tokens * hidden * size(c, "x_type"),
          .output_bytes = tokens * hidden * size(c, "y_type")};
}

struct Row {
  std::string_view op;
  CaseWork (*work)(const OpCase&);
  std::string_view keys;  // that the formula takes in, or does not depend on; each between two blanks
};
constexpr std::array kRows = {
    Row{"linear", linear, " m n k x_type w_type y_type bias bias_type residual "},
    Row{"attention", attention,
        " batch q_len kv_len capacity heads kv_heads qk_dim v_dim window scale x_type kv_type y_type "},
    Row{"rope", rope,
        " batch q_len kv_len capacity heads kv_heads head_dim rotary_dims interleaved qk_norm eps x_type y_type "
        "kv_type w_type "},
    Row{"rms_norm", rms_norm, " tokens hidden eps x_type w_type y_type residual "},
    Row{"glu", glu, " tokens ffn_hidden act x_type y_type "},
    Row{"moe_route", moe_route,
        " tokens experts top_k renormalise forced score bias groups top_groups scaling x_type "},
    Row{"moe_experts", moe_experts, " tokens hidden ffn_hidden experts top_k act x_type w_type y_type residual "},
};

}  // namespace

std::optional<CaseWork> work_of(const OpCase& c) {
  const auto row = std::find_if(kRows.begin(), kRows.end(), [&](const Row& r) { return r.op == c.op(); });
  if (row == kRows.end()) return std::nullopt;
  for (const auto& [key, value] : c.values())
    if (row->keys.find(" " + key + " ") == std::string_view::npos) return std::nullopt;
  return row->work(c);
}

std::optional<double> cache_bytes(const OpCase& c) {
  if (c.op() != "attention" || !work_of(c)) return std::nullopt;
  const auto window = static_cast<double>(c.integer("window", 0));
  const double slots = window > 0 ? std::min(window, axis(c, "capacity")) : axis(c, "capacity");
  return axis(c, "batch") * axis(c, "kv_heads") * slots * (axis(c, "qk_dim") + axis(c, "v_dim")) * size(c, "kv_type");
}

}  // namespace layercost
