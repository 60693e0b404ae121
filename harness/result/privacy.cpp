// SPDX-License-Identifier: Apache-2.0
#include "harness/result/privacy.h"

#include <algorithm>

#include "kernels/core/sha256.h"

namespace layercost {
namespace {

constexpr std::string_view kHashed = "sha256:";

bool is_price(std::string_view text) {
  const std::size_t unit = text.rfind('/');
  if (unit == std::string_view::npos || (text.substr(unit) != "/h" && text.substr(unit) != "/hour")) return false;
  text = text.substr(0, unit);
  return !text.empty() && text.find_first_not_of("0123456789.eE+-") == std::string_view::npos;
}

}  // namespace

std::string without_folders(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return std::string(path.substr(path.rfind('/') + 1));  // npos + 1 is 0
}

std::string word_without_folders(std::string_view word) {
  std::size_t begin = 0;  // of the value
  if (word.starts_with("--")) begin = std::min(word.find('='), word.size() - 1) + 1;
  else if (word.starts_with("-")) begin = std::min<std::size_t>(word.size(), word.find('=') == 2 ? 3 : 2);
  const std::string_view value = word.substr(begin);
  return std::string(word.substr(0, begin)) + (is_price(value) ? std::string(value) : without_folders(value));
}

void hash_identifiers(GpuRecord& gpu) {
  const std::string board = gpu.uuid;
  const auto hide = [](std::string& text, const std::string& with) {
    if (!text.empty() && !text.starts_with(kHashed)) text = std::string(kHashed) + short_digest(with + text);
  };
  hide(gpu.uuid, "");
  hide(gpu.pci, board + " ");
}

}  // namespace layercost
