// What:    reads weights in the safetensors format: one file, or a checkpoint of several.
//          Only the header is read on opening; a tensor's bytes are read when asked for.
// Shapes:  row-major, as in the file.
// Units:   bytes; offsets count from the first byte after the header.
// Errors:  BadInput for a file that breaks a rule of the format, a tensor that is missing or of another shape or type
//          than asked for.
// Source:  github.com/huggingface/safetensors, README (format) and safetensors/src/tensor.rs (checks): 8 bytes little-
//          endian header length N; N <= 100,000,000 and within the file; the header is a JSON object that begins with
//          '{' and may end in spaces; no name twice; offsets begin at 0, follow each other without hole or overlap and
//          end with the file; extent = product of the shape x size of the type. Empty and 0-d tensors are legal; values
//          are not checked (NaN and Inf pass).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/spec/weight_file.h"

namespace layercost {

struct TensorInfo {
  std::string dtype;  // as the file writes it: "BF16", "F32", "F8_E4M3", ...
  std::vector<std::int64_t> shape;
  std::int64_t elements = 0;
  std::uint64_t begin = 0, end = 0;
};

// A parsed header, apart from the file it came from.
struct SafetensorsHeader {
  std::map<std::string, TensorInfo> tensors;
  std::map<std::string, std::string> metadata;
};

// `header` is the JSON text, `data_bytes` what follows it in the file; `file` is only used in messages.
SafetensorsHeader parse_safetensors_header(const std::string& file, std::string_view header, std::uint64_t data_bytes);

class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::string& path() const { return file_.path(); }
  std::vector<std::string> names() const;  // sorted
  bool has(const std::string& name) const { return header_.tensors.contains(name); }
  const TensorInfo& info(const std::string& name) const;  // BadInput with the nearest name
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }

  // From F32, BF16, F16 and F64 (rounded to nearest); other types are a BadInput. `out` must hold exactly the tensor.
  void read_f32(const std::string& name, std::span<float> out) const;
  // The elements first, first + 1, ... in row-major order, as many as `out` holds.
  void read_f32_part(const std::string& name, std::int64_t first, std::span<float> out) const;
  // As they are in the file, for types that are decoded elsewhere: all of them, or from a byte of the tensor on.
  void read_bytes(const std::string& name, std::span<std::byte> out) const;
  void read_bytes_part(const std::string& name, std::uint64_t first, std::span<std::byte> out) const;

 private:
  WeightFile file_;
  std::uint64_t data_start_ = 0;
  SafetensorsHeader header_;
};

// The tensors of one or several files. Files are opened when their first tensor is asked for.
class CheckpointReader {
 public:
  // `path`: a .safetensors file; a model.safetensors.index.json; or a folder with an index, with model.safetensors, or
  // with any *.safetensors. File names inside an index are plain names in its own folder.
  explicit CheckpointReader(const std::filesystem::path& path);
  explicit CheckpointReader(const std::vector<std::filesystem::path>& files);

  const std::string& source() const { return source_; }  // what the user named, for messages
  bool has(const std::string& name) const { return where_.contains(name); }
  std::vector<std::string> names() const;  // sorted
  const TensorInfo& info(const std::string& name);
  // BadInput unless the tensor has this shape.
  void read_f32(const std::string& name, std::span<const std::int64_t> shape, std::span<float> out);
  // The open file that holds the tensor.
  const SafetensorsFile& file_of(const std::string& name);

 private:
  void open_all(const std::vector<std::filesystem::path>& files);
  void read_index(const std::filesystem::path& index);

  std::string source_;                                      // what the user named, for messages
  std::vector<std::filesystem::path> files_;
  std::vector<std::unique_ptr<SafetensorsFile>> open_;      // same order; null: not yet opened
  std::map<std::string, std::size_t> where_;                // tensor name -> file
};

}  // namespace layercost
