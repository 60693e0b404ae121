// What:    reads weights in the GGUF format (llama.cpp), versions 2 and 3: header, keys and values, and what the file
//          says of its tensors. A tensor's bytes are read when asked for.
// Shapes:  row-major: the file lists the fastest axis first, `shape` last.
// Units:   bytes; offsets count from the beginning of the tensors' part.
// Errors:  BadInput naming file and tensor or key: a file that ends within its header, counts and lengths that it
//          cannot hold, unknown versions and types, names that come twice, an alignment that is no power of two,
//          offsets that are not aligned, tensors that overlap or end behind the file, rows that are no whole number of
//          blocks.
// Source:  github.com/ggml-org/ggml, docs/gguf.md; block sizes as in PyPI's gguf 0.19.0, constants.py.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "harness/spec/weight_file.h"

namespace layercost {

// Elements of a row that are stored together, and how many bytes they take.
struct GgufType {
  std::uint32_t number;
  std::string_view name;  // "Q4_K"
  std::int64_t block;
  std::uint64_t block_bytes;
};

struct GgufTensor {
  const GgufType* type = nullptr;
  std::vector<std::int64_t> shape;
  std::int64_t elements = 0;
  std::uint64_t offset = 0, bytes = 0;
};

struct GgufHeader {
  std::uint32_t version = 0;
  std::uint64_t alignment = 32;
  std::uint64_t data_start = 0;  // in the file
  std::map<std::string, GgufTensor> tensors;
  // Numbers, flags and texts; lists (vocabularies) are passed over.
  std::map<std::string, std::variant<std::int64_t, double, bool, std::string>> values;
};

// `read` fills a span from an offset within `file_bytes`; `file` is only used in messages.
GgufHeader parse_gguf_header(const std::string& file, std::uint64_t file_bytes,
                             const std::function<void(std::uint64_t offset, std::span<std::byte> out)>& read);

class GgufFile {
 public:
  explicit GgufFile(const std::filesystem::path& path);

  const std::string& path() const { return file_.path(); }
  const GgufHeader& header() const { return header_; }
  std::vector<std::string> names() const;  // sorted
  bool has(const std::string& name) const { return header_.tensors.contains(name); }
  const GgufTensor& tensor(const std::string& name) const;  // BadInput with the nearest name
  // As they are in the file: all of a tensor, or from a byte of it on.
  void read_bytes(const std::string& name, std::span<std::byte> out) const;
  void read_bytes_part(const std::string& name, std::uint64_t first, std::span<std::byte> out) const;
  std::optional<std::int64_t> find_int(const std::string& key) const;
  std::optional<std::string> find_string(const std::string& key) const;

 private:
  WeightFile file_;
  GgufHeader header_;
};

}  // namespace layercost
