// SPDX-License-Identifier: Apache-2.0
#include "harness/spec/gguf.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <utility>

#include "kernels/core/error.h"

namespace layercost {
namespace {

constexpr std::array kTypes{
    GgufType{0, "F32", 1, 4},         GgufType{1, "F16", 1, 2},         GgufType{2, "Q4_0", 32, 18},
    GgufType{3, "Q4_1", 32, 20},      GgufType{6, "Q5_0", 32, 22},      GgufType{7, "Q5_1", 32, 24},
    GgufType{8, "Q8_0", 32, 34},      GgufType{9, "Q8_1", 32, 40},      GgufType{10, "Q2_K", 256, 84},
    GgufType{11, "Q3_K", 256, 110},   GgufType{12, "Q4_K", 256, 144},   GgufType{13, "Q5_K", 256, 176},
    GgufType{14, "Q6_K", 256, 210},   GgufType{15, "Q8_K", 256, 292},   GgufType{16, "IQ2_XXS", 256, 66},
    GgufType{17, "IQ2_XS", 256, 74},  GgufType{18, "IQ3_XXS", 256, 98}, GgufType{19, "IQ1_S", 256, 50},
    GgufType{20, "IQ4_NL", 32, 18},   GgufType{21, "IQ3_S", 256, 110},  GgufType{22, "IQ2_S", 256, 82},
    GgufType{23, "IQ4_XS", 256, 136}, GgufType{24, "I8", 1, 1},         GgufType{25, "I16", 1, 2},
    GgufType{26, "I32", 1, 4},        GgufType{27, "I64", 1, 8},        GgufType{28, "F64", 1, 8},
    GgufType{29, "IQ1_M", 256, 56},   GgufType{30, "BF16", 1, 2},       GgufType{34, "TQ1_0", 256, 54},
    GgufType{35, "TQ2_0", 256, 66},   GgufType{39, "MXFP4", 32, 17},    GgufType{40, "NVFP4", 64, 36}};

constexpr std::uint64_t kMaxHeaderBytes = std::uint64_t{1} << 30;  // a vocabulary of 262144 words takes some 8 MB
constexpr std::uint64_t kMaxName = 1024, kMaxText = 1 << 16;       // longer texts (chat templates) are passed over
constexpr std::uint32_t kMaxDims = 4;

// The kinds of value a key can have.
enum class Kind : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, text, list, u64, i64, f64 };
constexpr std::uint64_t kKindBytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};  // 0: of no fixed size

class Cursor {
 public:
  Cursor(const std::string& file, std::uint64_t file_bytes,
         const std::function<void(std::uint64_t, std::span<std::byte>)>& read)
      : file_(file), end_(std::min(file_bytes, kMaxHeaderBytes)), whole_(file_bytes), read_(read) {}

  std::uint64_t at() const { return at_; }
  [[noreturn]] void fail(const std::string& place, const std::string& message) const {
    throw BadInput(file_, place, message);
  }
  // Of what remains of the file; what it says of itself cannot need more.
  void expect(const std::string& place, std::uint64_t bytes) const {
    if (bytes <= end_ - at_) return;
    if (whole_ > end_) fail(place, fmt::format("the header is longer than {} bytes", kMaxHeaderBytes));
    fail(place, fmt::format("needs {} bytes at {}, but the file has {}", bytes, at_, whole_));
  }
  void expect_many(const std::string& place, std::uint64_t count, std::uint64_t bytes_each) const {
    if (count > (end_ - at_) / bytes_each)
      fail(place, fmt::format("says that {} follow, of at least {} bytes each, but {} bytes are left", count,
                              bytes_each, end_ - at_));
  }
  void skip(const std::string& place, std::uint64_t bytes) {
    expect(place, bytes);
    at_ += bytes;
  }
  template <class T>
  T number(const std::string& place) {
    T value;
    bytes(place, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  std::string characters(const std::string& place, std::uint64_t length) {
    expect(place, length);
    std::string out(static_cast<std::size_t>(length), '\0');
    bytes(place, std::as_writable_bytes(std::span(out)));
    return out;
  }
  std::string name(const std::string& place) {
    const auto length = number<std::uint64_t>(place);
    if (length > kMaxName) fail(place, fmt::format("a name of {} bytes, at most {} were expected", length, kMaxName));
    std::string out = characters(place, length);
    if (out.empty() || printable(out, out.size()) != out)
      fail(place, fmt::format("'{}' is no name: expected 1 to {} characters without control characters", printable(out),
                              kMaxName));
    return out;
  }

 private:
  void bytes(const std::string& place, std::span<std::byte> out) {
    expect(place, out.size());
    while (!out.empty()) {
      if (at_ < buffer_at_ || at_ >= buffer_at_ + buffer_.size()) {
        buffer_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(end_ - at_, 1 << 16)));
        buffer_at_ = at_;
        read_(at_, buffer_);
      }
      const auto from = static_cast<std::size_t>(at_ - buffer_at_);
      const std::size_t n = std::min(out.size(), buffer_.size() - from);
      std::memcpy(out.data(), buffer_.data() + from, n);
      out = out.subspan(n);
      at_ += n;
    }
  }

  const std::string& file_;
  std::uint64_t at_ = 0;
  const std::uint64_t end_, whole_;
  const std::function<void(std::uint64_t, std::span<std::byte>)>& read_;
  std::vector<std::byte> buffer_;
  std::uint64_t buffer_at_ = 0;
};

// The format is little-endian, and so is every machine this runs on.
static_assert(std::endian::native == std::endian::little);

Kind read_kind(Cursor& in, const std::string& key) {
  const auto kind = in.number<std::uint32_t>(key);
  if (kind > static_cast<std::uint32_t>(Kind::f64))
    in.fail(key, fmt::format("a value of type {}; the format has 0 to 12", kind));
  return static_cast<Kind>(kind);
}

void skip_value(Cursor& in, const std::string& key, Kind kind, int depth);

void skip_text(Cursor& in, const std::string& key) { in.skip(key, in.number<std::uint64_t>(key)); }

void skip_list(Cursor& in, const std::string& key, int depth) {
  if (depth > 4) in.fail(key, "lists within lists, more than 4 deep");
  const Kind kind = read_kind(in, key);
  const auto count = in.number<std::uint64_t>(key);
  const std::uint64_t fixed = kKindBytes[static_cast<std::size_t>(kind)];
  in.expect_many(key, count, fixed > 0 ? fixed : 8);
  if (fixed > 0) return in.skip(key, count * fixed);
  for (std::uint64_t i = 0; i < count; ++i) skip_value(in, key, kind, depth + 1);
}

void skip_value(Cursor& in, const std::string& key, Kind kind, int depth) {
  if (kind == Kind::text) return skip_text(in, key);
  if (kind == Kind::list) return skip_list(in, key, depth);
  in.skip(key, kKindBytes[static_cast<std::size_t>(kind)]);
}

void read_value(Cursor& in, const std::string& key, GgufHeader& out) {
  const auto keep = [&](auto value) {
    if (!out.values.emplace(key, std::move(value)).second) in.fail(key, "this key comes twice");
  };
  const auto whole = [&](auto value) { keep(static_cast<std::int64_t>(value)); };
  switch (read_kind(in, key)) {
    case Kind::u8:
      return whole(in.number<std::uint8_t>(key));
    case Kind::i8:
      return whole(in.number<std::int8_t>(key));
    case Kind::u16:
      return whole(in.number<std::uint16_t>(key));
    case Kind::i16:
      return whole(in.number<std::int16_t>(key));
    case Kind::u32:
      return whole(in.number<std::uint32_t>(key));
    case Kind::i32:
      return whole(in.number<std::int32_t>(key));
    case Kind::i64:
      return whole(in.number<std::int64_t>(key));
    case Kind::u64: {
      const auto value = in.number<std::uint64_t>(key);
      if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        in.fail(key, fmt::format("{} does not fit 63 bits", value));
      return whole(value);
    }
    case Kind::f32:
      return keep(static_cast<double>(in.number<float>(key)));
    case Kind::f64:
      return keep(in.number<double>(key));
    case Kind::boolean:
      return keep(in.number<std::uint8_t>(key) != 0);
    case Kind::text: {
      const auto length = in.number<std::uint64_t>(key);
      if (length > kMaxText) return in.skip(key, length);
      return keep(in.characters(key, length));
    }
    case Kind::list:
      return skip_list(in, key, 0);
  }
}

GgufTensor read_tensor(Cursor& in, const std::string& name) {
  GgufTensor t;
  const auto dims = in.number<std::uint32_t>(name);
  if (dims == 0 || dims > kMaxDims) in.fail(name, fmt::format("has {} axes; the format has 1 to {}", dims, kMaxDims));
  t.elements = 1;
  for (std::uint32_t i = 0; i < dims; ++i) {
    const auto dim = in.number<std::uint64_t>(name);
    if (dim > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) ||
        __builtin_mul_overflow(t.elements, static_cast<std::int64_t>(dim), &t.elements))
      in.fail(name, fmt::format("an axis of {}: the number of elements does not fit 63 bits", dim));
    t.shape.insert(t.shape.begin(), static_cast<std::int64_t>(dim));
  }
  const auto number = in.number<std::uint32_t>(name);
  const auto type = std::find_if(kTypes.begin(), kTypes.end(), [&](const GgufType& k) { return k.number == number; });
  if (type == kTypes.end()) {
    std::vector<std::string_view> known;
    for (const GgufType& k : kTypes) known.push_back(k.name);
    in.fail(name, fmt::format("unknown type {}; known are: {}", number, fmt::join(known, ", ")));
  }
  t.type = &*type;
  if (t.shape.back() % t.type->block != 0)
    in.fail(name,
            fmt::format("rows of {} elements; {} takes multiples of {}", t.shape.back(), t.type->name, t.type->block));
  if (__builtin_mul_overflow(static_cast<std::uint64_t>(t.elements / t.type->block), t.type->block_bytes, &t.bytes))
    in.fail(name, "more than 2^64 bytes");
  t.offset = in.number<std::uint64_t>(name);
  return t;
}

}  // namespace

GgufHeader parse_gguf_header(const std::string& file, std::uint64_t file_bytes,
                             const std::function<void(std::uint64_t, std::span<std::byte>)>& read) {
  Cursor in(file, file_bytes, read);
  GgufHeader out;
  const auto magic = in.number<std::uint32_t>("header");
  if (magic != 0x46554747u) in.fail("header", fmt::format("begins with {:08x}, not with 'GGUF': no GGUF file", magic));
  out.version = in.number<std::uint32_t>("header");
  if ((out.version & 0xFFFFu) == 0) in.fail("header", "a big-endian file; expected a little-endian one");
  if (out.version != 2 && out.version != 3)
    in.fail("header", fmt::format("GGUF version {}; versions 2 and 3 are known", out.version));
  const auto tensors = in.number<std::uint64_t>("tensor count"), values = in.number<std::uint64_t>("key count");
  in.expect_many("key count", values, 8 + 4 + 1);
  in.expect_many("tensor count", tensors, 8 + 4 + 8 + 4 + 8);

  for (std::uint64_t i = 0; i < values; ++i) {
    const std::string key = in.name("key " + std::to_string(i));
    read_value(in, key, out);
  }
  if (const auto given = out.values.find("general.alignment"); given != out.values.end()) {
    const auto* value = std::get_if<std::int64_t>(&given->second);
    if (value == nullptr || *value < 8 || *value > (1 << 20) ||
        !std::has_single_bit(static_cast<std::uint64_t>(*value)))
      in.fail("general.alignment", "expected a power of two from 8 to 1048576");
    out.alignment = static_cast<std::uint64_t>(*value);
  }
  std::vector<std::pair<std::uint64_t, std::string>> order;
  for (std::uint64_t i = 0; i < tensors; ++i) {
    const std::string name = in.name("tensor " + std::to_string(i));
    const auto [entry, added] = out.tensors.emplace(name, read_tensor(in, name));
    if (!added) in.fail(name, "this tensor comes twice");
    order.emplace_back(entry->second.offset, name);
  }
  out.data_start = (in.at() + out.alignment - 1) / out.alignment * out.alignment;
  if (tensors > 0 && out.data_start > file_bytes)
    in.fail("header", fmt::format("the tensors begin at {}, but the file has {} bytes", out.data_start, file_bytes));
  const std::uint64_t data_bytes = tensors > 0 ? file_bytes - out.data_start : 0;
  std::sort(order.begin(), order.end());
  std::uint64_t covered = 0;
  for (const auto& [offset, name] : order) {
    const GgufTensor& t = out.tensors.at(name);
    if (offset % out.alignment != 0)
      in.fail(name, fmt::format("offset {} is no multiple of the alignment, {}", offset, out.alignment));
    if (offset < covered)
      in.fail(name, fmt::format("offset {} lies within another tensor, which ends at {}", offset, covered));
    if (offset > data_bytes || t.bytes > data_bytes - offset)
      in.fail(name, fmt::format("{} bytes at offset {} end behind the file: {} bytes hold tensors", t.bytes, offset,
                                data_bytes));
    covered = offset + t.bytes;
  }
  return out;
}

GgufFile::GgufFile(const std::filesystem::path& path) : file_(path) {
  header_ = parse_gguf_header(file_.path(), file_.bytes(), [this](std::uint64_t offset, std::span<std::byte> out) {
    file_.read("header", offset, out);
  });
}

std::vector<std::string> GgufFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : header_.tensors) names.push_back(name);
  return names;
}

const GgufTensor& GgufFile::tensor(const std::string& name) const {
  const auto found = header_.tensors.find(name);
  if (found == header_.tensors.end()) throw BadInput(path(), name, "no such tensor" + did_you_mean(name, names()));
  return found->second;
}

void GgufFile::read_bytes(const std::string& name, std::span<std::byte> out) const {
  const GgufTensor& t = tensor(name);
  if (out.size() != t.bytes)
    throw BadInput(path(), name, fmt::format("holds {} bytes, asked for {}", t.bytes, out.size()));
  file_.read(name, header_.data_start + t.offset, out);
}

void GgufFile::read_bytes_part(const std::string& name, std::uint64_t first, std::span<std::byte> out) const {
  const GgufTensor& t = tensor(name);
  if (first > t.bytes || out.size() > t.bytes - first)
    throw BadInput(path(), name, fmt::format("holds {} bytes, asked for {} from {} on", t.bytes, out.size(), first));
  file_.read(name, header_.data_start + t.offset + first, out);
}

std::optional<std::int64_t> GgufFile::find_int(const std::string& key) const {
  const auto found = header_.values.find(key);
  if (found == header_.values.end()) return std::nullopt;
  const auto* value = std::get_if<std::int64_t>(&found->second);
  if (value == nullptr) throw BadInput(path(), key, "expected a whole number");
  return *value;
}

std::optional<std::string> GgufFile::find_string(const std::string& key) const {
  const auto found = header_.values.find(key);
  if (found == header_.values.end()) return std::nullopt;
  const auto* value = std::get_if<std::string>(&found->second);
  if (value == nullptr) throw BadInput(path(), key, "expected a text");
  return *value;
}

}  // namespace layercost
