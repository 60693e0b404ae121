// SPDX-License-Identifier: Apache-2.0
#include "harness/spec/part_name.h"

#include <algorithm>
#include <charconv>

#include "harness/spec/price_spec.h"

namespace layercost {

std::optional<std::pair<std::string, std::int64_t>> split_part_name(const std::string& name, std::string_view mark) {
  const std::size_t at = name.rfind('@');
  if (at == std::string::npos || !std::string_view(name).substr(at).starts_with(mark)) return std::nullopt;
  std::int64_t number = 0;
  const char *begin = name.data() + at + mark.size(), *end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(begin, end, number);
  if (error != std::errc() || stop != end || number < 2) return std::nullopt;
  return std::pair(name.substr(0, at), number);
}

std::int64_t ranks_of_name(const std::string& model) {
  for (std::string name = model; name.rfind('@') != std::string::npos; name.resize(name.rfind('@')))
    if (const auto shared = split_part_name(name, "@tp")) return shared->second;
  return 1;
}

bool is_change(std::string_view word) {
  return word == kDense || word == kUnshared || word == kMha ||
         (word.starts_with(kTwin) && word.find('/') == std::string_view::npos);  // else a path
}

ChangedName split_changes(const std::string& model) {
  ChangedName out;
  for (std::size_t begin = 0; begin <= model.size();) {
    const std::size_t end = std::min(model.find('@', begin), model.size());
    const std::string word = model.substr(begin, end - begin);
    if (begin > 0 && is_change(word)) out.changes.push_back(word);
    else out.published += (begin > 0 ? "@" : "") + word;
    begin = end + 1;
  }
  return out;
}

std::optional<double> twin_size(std::string_view change) {
  return change.starts_with(kTwin) ? parse_decimal(change.substr(kTwin.size())) : std::nullopt;
}

std::int64_t received_rows(std::int64_t tokens, std::int64_t top_k, std::int64_t ranks) {
  return (tokens * top_k + ranks - 1) / ranks;
}

}  // namespace layercost
