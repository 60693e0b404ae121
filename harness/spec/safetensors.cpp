// SPDX-License-Identifier: Apache-2.0
#include "harness/spec/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "harness/spec/json_reader.h"
#include "kernels/core/error.h"
#include "kernels/core/weight_format.h"

namespace layercost {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // of the format
// A tensor takes about nine JSON values; the largest published files hold some 10 000 tensors.
constexpr JsonLimits kHeaderLimits{.max_bytes = kMaxHeaderBytes, .max_depth = 8, .max_values = 4'000'000};
// The index of DeepSeek-V3 is 9 MB with 91 000 tensors.
constexpr JsonLimits kIndexLimits{.max_bytes = std::uint64_t{64} << 20, .max_depth = 8, .max_values = 4'000'000};
constexpr std::size_t kMaxNameChars = 1024;
constexpr std::size_t kMaxDims = 16;
constexpr const char* kIndexName = "model.safetensors.index.json";

struct DType {
  std::string_view name;
  std::uint64_t bits;
};
// Of the format, 0.6 and later (the types of fewer than 8 bits since 0.6).
constexpr std::array kDTypes{DType{"BOOL", 8},        DType{"F4", 4},          DType{"F6_E2M3", 6}, DType{"F6_E3M2", 6},
                             DType{"U8", 8},          DType{"I8", 8},          DType{"F8_E5M2", 8}, DType{"F8_E4M3", 8},
                             DType{"F8_E5M2FNUZ", 8}, DType{"F8_E4M3FNUZ", 8}, DType{"F8_E8M0", 8}, DType{"I16", 16},
                             DType{"U16", 16},        DType{"F16", 16},        DType{"BF16", 16},   DType{"I32", 32},
                             DType{"U32", 32},        DType{"F32", 32},        DType{"C64", 64},    DType{"F64", 64},
                             DType{"I64", 64},        DType{"U64", 64}};

std::uint64_t bits_of(const JsonNode& dtype) {
  const std::string name = dtype.as_string(32);
  std::vector<std::string> known;
  for (const DType& candidate : kDTypes) {
    if (candidate.name == name) return candidate.bits;
    known.emplace_back(candidate.name);
  }
  dtype.fail(
      fmt::format("unknown type \"{}\"{}; known are: {}", name, did_you_mean(name, known), fmt::join(known, ", ")));
}

std::string shape_text(std::span<const std::int64_t> shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

TensorInfo parse_tensor(const JsonNode& node, std::uint64_t data_bytes) {
  TensorInfo info;
  const JsonNode dtype = node.at("dtype");
  const std::uint64_t bits = bits_of(dtype);
  info.dtype = dtype.as_string(32);

  const JsonNode shape = node.at("shape");
  shape.as_list(0, kMaxDims);
  info.shape = shape.as_int_list(0, std::numeric_limits<std::int64_t>::max());
  // In the order of the list, so that an overflow is seen even where a later 0 would hide it; the format's own reader
  // does the same.
  std::int64_t elements = 1;
  for (const std::int64_t dim : info.shape) {
    if (__builtin_mul_overflow(elements, dim, &elements)) {
      shape.fail(fmt::format("the product of {} does not fit 63 bits", shape_text(info.shape)));
    }
  }
  info.elements = elements;

  const JsonNode offsets = node.at("data_offsets");
  offsets.as_list(2, 2);
  const std::vector<std::int64_t> range = offsets.as_int_list(0, std::numeric_limits<std::int64_t>::max());
  info.begin = static_cast<std::uint64_t>(range[0]);
  info.end = static_cast<std::uint64_t>(range[1]);
  if (info.begin > info.end) offsets.fail(fmt::format("begins at {} and ends before, at {}", info.begin, info.end));
  if (info.end > data_bytes) {
    offsets.fail(fmt::format("ends at {}, but only {} bytes follow the header", info.end, data_bytes));
  }
  std::uint64_t total_bits = 0;
  if (__builtin_mul_overflow(static_cast<std::uint64_t>(elements), bits, &total_bits)) {
    shape.fail(fmt::format("{} of {} is more than 2^64 bits", shape_text(info.shape), info.dtype));
  }
  if (total_bits % 8 != 0)
    shape.fail(fmt::format("{} of {} is no whole number of bytes", shape_text(info.shape), info.dtype));
  if (total_bits / 8 != info.end - info.begin) {
    offsets.fail(fmt::format("covers {} bytes, but {} of {} takes {}", info.end - info.begin, shape_text(info.shape),
                             info.dtype, total_bits / 8));
  }
  return info;
}

template <class T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// The format is little-endian, and so is every machine this runs on.
static_assert(std::endian::native == std::endian::little);

std::size_t source_size(std::string_view dtype) {
  if (dtype == "BF16" || dtype == "F16") return 2;
  if (dtype == "F32") return 4;
  if (dtype == "F64") return 8;
  return 0;
}

void convert(std::string_view dtype, const std::byte* from, std::span<float> out) {
  if (dtype == "F32") {
    std::memcpy(out.data(), from, out.size_bytes());
  } else if (dtype == "BF16") {
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = std::bit_cast<float>(std::uint32_t{load<std::uint16_t>(from + 2 * i)} << 16);
    }
  } else if (dtype == "F16") {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = from_f16(load<std::uint16_t>(from + 2 * i));
  } else {
    for (std::size_t i = 0; i < out.size(); ++i) {
      const double wide = load<double>(from + 8 * i);
      // The conversion of a finite double beyond the largest float is undefined in C++.
      constexpr double kMost = std::numeric_limits<float>::max();
      out[i] = std::isfinite(wide) && std::abs(wide) > kMost
                   ? std::copysign(std::numeric_limits<float>::infinity(), wide < 0 ? -1.0f : 1.0f)
                   : static_cast<float>(wide);
    }
  }
}

bool is_plain_name(const std::string& name) {
  return !name.empty() && name.size() <= 255 && name.find('/') == std::string::npos &&
         name.find('\\') == std::string::npos && name != "." && name.find("..") == std::string::npos &&
         name.find(':') == std::string::npos;
}

}  // namespace

SafetensorsHeader parse_safetensors_header(const std::string& file, std::string_view header, std::uint64_t data_bytes) {
  if (header.empty() || header.front() != '{') throw BadInput(file, "header", "does not begin with '{'");
  const JsonNode root = parse_json(file, header, kHeaderLimits);
  SafetensorsHeader result;
  // In the order of the offsets; empty tensors sort before the one that begins where they are.
  std::vector<std::pair<std::pair<std::uint64_t, std::uint64_t>, std::string>> order;
  for (const std::string& name : root.keys()) {
    if (name.size() > kMaxNameChars || printable(name, name.size()) != name) {
      root.fail(name, "expected a tensor name of at most 1024 characters without control characters");
    }
    const JsonNode node = root.at(name);
    if (name == "__metadata__") {
      for (const std::string& key : node.keys()) {
        // Free text: chat templates and licences end up here, line breaks included. Print it by printable() only.
        const JsonNode value = node.at(key);
        if (!value.is_string()) value.fail(fmt::format("expected a text, got {}", value.described()));
        result.metadata.emplace(key, value.raw().get<std::string>());
      }
      continue;
    }
    const auto [entry, added] = result.tensors.emplace(name, parse_tensor(node, data_bytes));
    order.push_back({{entry->second.begin, entry->second.end}, name});
  }
  std::sort(order.begin(), order.end());
  std::uint64_t covered = 0;
  for (const auto& [range, name] : order) {
    if (range.first != covered) {
      root.at(name).fail("data_offsets", fmt::format("begins at {}, but the tensors before it end at {} ({})",
                                                     range.first, covered, range.first < covered ? "overlap" : "hole"));
    }
    covered = range.second;
  }
  if (covered != data_bytes) {
    throw BadInput(file, "header",
                   fmt::format("the tensors end at {}, but {} bytes follow the header", covered, data_bytes));
  }
  return result;
}

SafetensorsFile::SafetensorsFile(const fs::path& path) : file_(path) {
  if (file_.bytes() < 8)
    throw BadInput(file_.path(), "header",
                   fmt::format("a file of {} bytes has no header length (8 bytes)", file_.bytes()));
  std::uint64_t header_bytes = 0;
  file_.read("header", 0, std::as_writable_bytes(std::span(&header_bytes, 1)));
  if (header_bytes > kMaxHeaderBytes) {
    throw BadInput(file_.path(), "header",
                   fmt::format("the length is {}; the format allows {}", header_bytes, kMaxHeaderBytes));
  }
  if (header_bytes > file_.bytes() - 8) {
    throw BadInput(file_.path(), "header",
                   fmt::format("the length is {}, but only {} bytes follow", header_bytes, file_.bytes() - 8));
  }
  std::string header(static_cast<std::size_t>(header_bytes), '\0');
  file_.read("header", 8, std::as_writable_bytes(std::span(header)));
  data_start_ = 8 + header_bytes;
  header_ = parse_safetensors_header(file_.path(), header, file_.bytes() - data_start_);
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, info] : header_.tensors) names.push_back(name);
  return names;
}

const TensorInfo& SafetensorsFile::info(const std::string& name) const {
  const auto found = header_.tensors.find(name);
  if (found == header_.tensors.end()) throw BadInput(path(), name, "no such tensor" + did_you_mean(name, names()));
  return found->second;
}

void SafetensorsFile::read_bytes(const std::string& name, std::span<std::byte> out) const {
  const TensorInfo& tensor = info(name);
  if (out.size() != tensor.end - tensor.begin) {
    throw BadInput(path(), name, fmt::format("holds {} bytes, asked for {}", tensor.end - tensor.begin, out.size()));
  }
  file_.read(name, data_start_ + tensor.begin, out);
}

void SafetensorsFile::read_bytes_part(const std::string& name, std::uint64_t first, std::span<std::byte> out) const {
  const TensorInfo& tensor = info(name);
  const std::uint64_t bytes = tensor.end - tensor.begin;
  if (first > bytes || out.size() > bytes - first)
    throw BadInput(path(), name, fmt::format("holds {} bytes, asked for {} from {} on", bytes, out.size(), first));
  file_.read(name, data_start_ + tensor.begin + first, out);
}

void SafetensorsFile::read_f32_part(const std::string& name, std::int64_t first, std::span<float> out) const {
  const TensorInfo& tensor = info(name);
  const std::size_t size = source_size(tensor.dtype);
  if (size == 0)
    throw BadInput(path(), name,
                   fmt::format("weights of type {} are not supported; expected BF16, F16, F32 or F64", tensor.dtype));
  if (first < 0 || first > tensor.elements || out.size() > static_cast<std::uint64_t>(tensor.elements - first)) {
    throw BadInput(path(), name,
                   fmt::format("holds {} elements, asked for {} from {} on", tensor.elements, out.size(), first));
  }
  std::uint64_t offset = data_start_ + tensor.begin + static_cast<std::uint64_t>(first) * size;
  // 1 MiB at a time: large enough for the disk, small enough to stay in the cache while it is converted.
  std::vector<std::byte> buffer(std::min<std::size_t>(out.size() * size, std::size_t{1} << 20));
  while (!out.empty()) {
    const std::size_t count = std::min(out.size(), buffer.size() / size);
    const std::span<std::byte> bytes = std::span(buffer).first(count * size);
    file_.read(name, offset, bytes);
    convert(tensor.dtype, bytes.data(), out.first(count));
    out = out.subspan(count);
    offset += bytes.size();
  }
}

void SafetensorsFile::read_f32(const std::string& name, std::span<float> out) const {
  const TensorInfo& tensor = info(name);
  if (out.size() != static_cast<std::uint64_t>(tensor.elements)) {
    throw BadInput(
        path(), name,
        fmt::format("holds {} elements {}, asked for {}", tensor.elements, shape_text(tensor.shape), out.size()));
  }
  read_f32_part(name, 0, out);
}

CheckpointReader::CheckpointReader(const fs::path& path) : source_(path.string()) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) {
    if (path.extension() == ".json") {
      read_index(path);
    } else {
      open_all({path});
    }
  } else if (fs::exists(path / kIndexName, ignored)) {
    read_index(path / kIndexName);
  } else if (fs::exists(path / "model.safetensors", ignored)) {
    open_all({path / "model.safetensors"});
  } else {
    std::vector<fs::path> files;
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator(path, error)) {
      if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
    }
    if (files.empty()) throw BadInput(source_, "", fmt::format("holds neither {} nor any *.safetensors", kIndexName));
    std::sort(files.begin(), files.end());
    open_all(files);
  }
}

CheckpointReader::CheckpointReader(const std::vector<fs::path>& files) {
  if (files.empty()) throw BadInput("no weights file given");
  source_ = files.size() == 1 ? files[0].string() : fmt::format("{} and {} more", files[0].string(), files.size() - 1);
  open_all(files);
}

void CheckpointReader::open_all(const std::vector<fs::path>& files) {
  for (const fs::path& file : files) {
    auto opened = std::make_unique<SafetensorsFile>(file);
    for (const std::string& name : opened->names()) {
      const auto [entry, added] = where_.emplace(name, files_.size());
      if (!added)
        throw BadInput(opened->path(), name, fmt::format("this tensor is also in {}", files_[entry->second].string()));
    }
    files_.push_back(file);
    open_.push_back(std::move(opened));
  }
}

void CheckpointReader::read_index(const fs::path& index) {
  const JsonNode map = read_json(index, kIndexLimits).at("weight_map");
  std::map<std::string, std::size_t> numbers;
  for (const std::string& name : map.keys()) {
    const JsonNode node = map.at(name);
    const std::string file = node.as_string(255);
    if (!is_plain_name(file) || fs::path(file).extension() != ".safetensors") {
      node.fail(
          fmt::format("expected the plain name of a .safetensors file in the same folder, got {}", node.described()));
    }
    const auto [entry, added] = numbers.emplace(file, files_.size());
    if (added) files_.push_back(index.parent_path() / file);
    where_.emplace(name, entry->second);
  }
  if (where_.empty()) map.fail("names no tensor");
  open_.resize(files_.size());
}

std::vector<std::string> CheckpointReader::names() const {
  std::vector<std::string> names;
  for (const auto& [name, file] : where_) names.push_back(name);
  return names;
}

const SafetensorsFile& CheckpointReader::file_of(const std::string& name) {
  const auto found = where_.find(name);
  if (found == where_.end()) {
    throw BadInput(source_, name,
                   fmt::format("no such tensor in {} file{}{}", files_.size(), files_.size() == 1 ? "" : "s",
                               did_you_mean(name, names())));
  }
  std::unique_ptr<SafetensorsFile>& file = open_[found->second];
  if (!file) file = std::make_unique<SafetensorsFile>(files_[found->second]);
  return *file;
}

const TensorInfo& CheckpointReader::info(const std::string& name) { return file_of(name).info(name); }

void CheckpointReader::read_f32(const std::string& name, std::span<const std::int64_t> shape, std::span<float> out) {
  const SafetensorsFile& file = file_of(name);
  const TensorInfo& tensor = file.info(name);
  if (!std::equal(shape.begin(), shape.end(), tensor.shape.begin(), tensor.shape.end())) {
    throw BadInput(file.path(), name,
                   fmt::format("has the shape {}, expected {}", shape_text(tensor.shape), shape_text(shape)));
  }
  file.read_f32(name, out);
}

}  // namespace layercost
