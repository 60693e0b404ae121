// What:    OpCase, one op with every size and option fixed, and its text form. The same text names the case in test
//          names, benchmark names, filters, result files and the command that repeats it.
// Grammar: op ( ' ' key '=' value )*   op, key: [a-z0-9_]+   value: [A-Za-z0-9_.+-]+   no key twice
//            rms_norm tokens=8 hidden=2048 eps=1e-06 x_type=bf16 w_type=bf16 y_type=bf16
//            linear m=8 n=2048 k=768 x_type=bf16 w_type=bf16 y_type=f32 bias=1
//            attention batch=2 q_len=1 kv_len=1025 capacity=1088 heads=32 kv_heads=4 qk_dim=128 v_dim=128
//          parse(print(c)) == c; keys keep their order.
// Axes:    one vocabulary: tokens hidden heads kv_heads head_dim qk_dim v_dim ffn_hidden experts top_k batch q_len
//          kv_len capacity window; products are y[m,n] = x[m,k] w[n,k]^T. Types: x_type (activation in), y_type
//          (activation out), w_type (weight: a weight format), kv_type (cache). Which keys a case may hold, its op says
//          (contract/keys.h).
// Errors:  BadCase names the case, the key and what was expected.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/core/weight_format.h"

namespace layercost {

class OpCase {
 public:
  OpCase() = default;
  explicit OpCase(std::string op) : op_(std::move(op)) {}
  static OpCase parse(std::string_view text);

  const std::string& op() const { return op_; }
  std::string text() const;

  OpCase& set(std::string_view key, std::int64_t value);
  OpCase& set(std::string_view key, double value);  // shortest text that reads back to the same double
  OpCase& set(std::string_view key, std::string_view word);
  OpCase& set(std::string_view key, const char* word) { return set(key, std::string_view(word)); }
  OpCase& set(std::string_view key, int value) { return set(key, static_cast<std::int64_t>(value)); }
  OpCase& set(std::string_view key, DType t) { return set(key, to_string(t)); }

  // Keys and values, in their order.
  const std::vector<std::pair<std::string, std::string>>& values() const { return values_; }
  bool has(std::string_view key) const { return find(key) != nullptr; }
  std::int64_t axis(std::string_view key) const;  // an integer >= 1
  std::int64_t integer(std::string_view key, std::int64_t otherwise) const;
  bool flag(std::string_view key) const { return integer(key, 0) != 0; }
  double real(std::string_view key) const;
  std::string word(std::string_view key, std::string_view otherwise) const;
  DType type(std::string_view key) const;
  const WeightFormat& format(std::string_view key) const;

  bool operator==(const OpCase&) const = default;

 private:
  const std::string* find(std::string_view key) const;
  const std::string& require(std::string_view key) const;
  std::string op_;
  std::vector<std::pair<std::string, std::string>> values_;
};

}  // namespace layercost
