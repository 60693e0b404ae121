// SPDX-License-Identifier: Apache-2.0
#include "harness/spec/packed_weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/core/error.h"

namespace layercost {
namespace {

using Bytes = std::vector<std::byte>;

template <class T>
T load(const std::byte* p) {
  T v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <class T>
void store(std::byte* p, T v) {
  std::memcpy(p, &v, sizeof v);
}
int nibble(std::uint32_t word, std::int64_t i) { return static_cast<int>(word >> (4 * i)) & 15; }

// The tensors of one module, each read whole after its type and shape were found right.
class Module {
 public:
  Module(CheckpointReader& reader, std::string name) : reader_(reader), name_(std::move(name)) {}

  bool has(const char* part) const { return reader_.has(name_ + part); }
  [[noreturn]] void fail(const char* part, const std::string& why) {
    throw BadInput(has(part) ? reader_.file_of(name_ + part).path() : reader_.source(), name_ + part, why);
  }
  Bytes bytes(const char* part, std::initializer_list<std::string_view> types, const Shape& shape) {
    expect_there(part);
    const TensorInfo& t = reader_.info(name_ + part);
    if (std::find(types.begin(), types.end(), t.dtype) == types.end())
      fail(part, fmt::format("is of type {}, expected {}", t.dtype, fmt::join(types, " or ")));
    if (t.shape != shape)
      fail(part, fmt::format("has the shape {}, expected {}", to_string(t.shape), to_string(shape)));
    Bytes out(t.end - t.begin);
    reader_.file_of(name_ + part).read_bytes(name_ + part, out);
    return out;
  }
  // Of one of several shapes, as floats: positive and finite.
  std::vector<float> scales(const char* part, const std::vector<Shape>& shapes) {
    expect_there(part);
    const TensorInfo& t = reader_.info(name_ + part);
    if (std::find(shapes.begin(), shapes.end(), t.shape) == shapes.end()) {
      std::vector<std::string> known;
      for (const Shape& s : shapes) known.push_back(to_string(s));
      fail(part, fmt::format("has the shape {}, expected {}", to_string(t.shape), fmt::join(known, " or ")));
    }
    std::vector<float> out(static_cast<std::size_t>(t.elements));
    if (t.dtype == "F8_E8M0") {
      const Bytes codes = bytes(part, {"F8_E8M0"}, t.shape);
      for (std::size_t i = 0; i < out.size(); ++i) out[i] = from_e8m0(static_cast<std::uint8_t>(codes[i]));
    } else if (t.dtype == "F32" || t.dtype == "BF16" || t.dtype == "F16") {
      reader_.file_of(name_ + part).read_f32(name_ + part, out);
    } else {
      fail(part, fmt::format("is of type {}, expected F32, BF16, F16 or F8_E8M0", t.dtype));
    }
    for (std::size_t i = 0; i < out.size(); ++i)
      if (!(out[i] > 0) || !std::isfinite(out[i]))
        fail(part, fmt::format("scale {} is {}; expected a positive, finite number", i, out[i]));
    return out;
  }
  Bytes e4m3_scales(const char* part, const Shape& shape) {
    Bytes out = bytes(part, {"F8_E4M3"}, shape);
    for (std::size_t i = 0; i < out.size(); ++i)
      if (const float v = from_e4m3(static_cast<std::uint8_t>(out[i])); !(v > 0))
        fail(part, fmt::format("scale {} is {}; expected a positive number", i, v));
    return out;
  }
  Bytes e8m0_scales(const char* part, const Shape& shape) {
    Bytes out = bytes(part, {"U8", "F8_E8M0"}, shape);
    if (const auto nan = std::find(out.begin(), out.end(), std::byte{255}); nan != out.end())
      fail(part, fmt::format("scale {} is 255, which is NaN", nan - out.begin()));
    return out;
  }

 private:
  void expect_there(const char* part) {
    if (has(part)) return;
    // What the module has instead says how it is packed.
    std::vector<std::string> others;
    for (const std::string& name : reader_.names())
      if (name.starts_with(name_ + ".") || name.starts_with(name_ + "_")) others.push_back(name.substr(name_.size()));
    fail(part, others.empty() ? "no such tensor" + did_you_mean(name_ + part, reader_.names())
                              : fmt::format("no such tensor; there are only {}", fmt::join(others, ", ")));
  }

  CheckpointReader& reader_;
  const std::string name_;
};

std::int64_t blocks(std::int64_t n, std::int64_t block) { return (n + block - 1) / block; }

void read_fp8(Module& m, const char* scale, const CodedRows& out) {
  const Bytes codes = m.bytes(".weight", {"F8_E4M3"}, {out.rows, out.columns});
  for (std::size_t i = 0; i < codes.size(); ++i)
    if ((codes[i] & std::byte{127}) == std::byte{127}) m.fail(".weight", fmt::format("element {} is NaN", i));
  std::copy(codes.begin(), codes.end(), out.codes.begin());
  if (out.format->block_rows > 1) {
    const std::vector<float> s =
        m.scales(scale, {{blocks(out.rows, out.format->block_rows), blocks(out.columns, out.format->block_columns)}});
    std::memcpy(out.scales.data(), s.data(), s.size() * sizeof(float));
    return;
  }
  const std::vector<float> s = m.scales(scale, {{out.rows, 1}, {out.rows}, {1}, {}});
  for (std::int64_t r = 0; r < out.rows; ++r)  // of the tensor: every row's is the same
    store(out.scales.data() + 4 * r, s[s.size() == 1 ? 0 : static_cast<std::size_t>(r)]);
}

// [rows][groups] of f32 scales, and of zeros counted from -8 where the format has them.
template <class Scale, class Zero>
void put_int4_scales(const CodedRows& out, const Scale& scale, const Zero& zero) {
  const std::int64_t groups = out.columns / out.format->block_columns, each = out.format->scale_bytes;
  for (std::int64_t r = 0; r < out.rows; ++r)
    for (std::int64_t g = 0; g < groups; ++g) {
      std::byte* to = out.scales.data() + (r * groups + g) * each;
      store(to, scale(r, g));
      if (each == 8) store(to + 4, static_cast<float>(zero(r, g) - 8));
    }
}

void read_int_packed(Module& m, const CodedRows& out) {
  const std::int64_t n = out.rows, k = out.columns, groups = k / out.format->block_columns;
  const bool zeros = out.format->scale_bytes == 8;
  if (m.has(".weight_g_idx")) m.fail(".weight_g_idx", "columns in another order are not supported");
  if (m.has(".weight_shape")) {
    const Bytes shape = m.bytes(".weight_shape", {"I64", "I32"}, {2});
    for (std::size_t i = 0; i < 2; ++i) {
      const std::int64_t said =
          shape.size() == 16 ? load<std::int64_t>(shape.data() + 8 * i) : load<std::int32_t>(shape.data() + 4 * i);
      if (said != (i == 0 ? n : k)) m.fail(".weight_shape", fmt::format("says {}, expected {}", said, i == 0 ? n : k));
    }
  }
  // Eight codes of a row in a word, the first in its lowest bits: the bytes are those of the format.
  const Bytes codes = m.bytes(".weight_packed", {"I32"}, {n, k / 8});
  std::copy(codes.begin(), codes.end(), out.codes.begin());
  const std::vector<float> s = m.scales(".weight_scale", {{n, groups}});
  Bytes z;
  if (zeros) z = m.bytes(".weight_zero_point", {"I32"}, {blocks(n, 8), groups});
  else if (m.has(".weight_zero_point")) m.fail(".weight_zero_point", "zero points in weights said to be symmetric");
  put_int4_scales(
      out, [&](std::int64_t r, std::int64_t g) { return s[static_cast<std::size_t>(r * groups + g)]; },
      [&](std::int64_t r, std::int64_t g) {
        return nibble(load<std::uint32_t>(z.data() + 4 * (r / 8 * groups + g)), r % 8);
      });
}

void put_nibble(std::byte* row, std::int64_t i, int code) {
  std::byte& b = row[i / 2];
  b = i % 2 == 0 ? (b & std::byte{0xf0}) | static_cast<std::byte>(code)
                 : (b & std::byte{0x0f}) | static_cast<std::byte>(code << 4);
}

void read_awq(Module& m, const CodedRows& out) {
  // Element j of eight lies at nibble kPlace[j].
  constexpr std::int64_t kPlace[] = {0, 4, 1, 5, 2, 6, 3, 7};
  const std::int64_t n = out.rows, k = out.columns, groups = k / out.format->block_columns;
  if (n % 8 != 0) m.fail(".qweight", fmt::format("{} rows; AWQ packs eight in a word", n));
  const Bytes q = m.bytes(".qweight", {"I32"}, {k, n / 8}), z = m.bytes(".qzeros", {"I32"}, {groups, n / 8});
  const std::vector<float> s = m.scales(".scales", {{groups, n}});
  const auto code = [&](const Bytes& from, std::int64_t row, std::int64_t r) {
    return nibble(load<std::uint32_t>(from.data() + 4 * (row * (n / 8) + r / 8)), kPlace[r % 8]);
  };
  for (std::int64_t r = 0; r < n; ++r)
    for (std::int64_t c = 0; c < k; ++c) put_nibble(out.codes.data() + r * (k / 2), c, code(q, c, r));
  put_int4_scales(
      out, [&](std::int64_t r, std::int64_t g) { return s[static_cast<std::size_t>(g * n + r)]; },
      [&](std::int64_t r, std::int64_t g) { return code(z, g, r); });
}

// Version 1 stores zeros less one, modulo 16.
void read_gptq(Module& m, int stored_less, const CodedRows& out) {
  const std::int64_t n = out.rows, k = out.columns, group = out.format->block_columns, groups = k / group;
  if (n % 8 != 0) m.fail(".qzeros", fmt::format("{} rows; GPTQ packs eight zero points in a word", n));
  const Bytes q = m.bytes(".qweight", {"I32"}, {k / 8, n}), z = m.bytes(".qzeros", {"I32"}, {groups, n / 8});
  const std::vector<float> s = m.scales(".scales", {{groups, n}});
  if (m.has(".g_idx")) {
    const Bytes order = m.bytes(".g_idx", {"I32"}, {k});
    for (std::int64_t c = 0; c < k; ++c)
      if (const auto said = load<std::int32_t>(order.data() + 4 * c); said != c / group)
        m.fail(".g_idx",
               fmt::format("column {} is of group {}, expected {}: columns in another order (desc_act) are not "
                           "supported",
                           c, said, c / group));
  }
  const auto zero = [&](std::int64_t r, std::int64_t g) {
    return (nibble(load<std::uint32_t>(z.data() + 4 * (g * (n / 8) + r / 8)), r % 8) + stored_less) & 15;
  };
  if (out.format->scale_bytes == 4)
    for (std::int64_t g = 0; g < groups; ++g)
      for (std::int64_t r = 0; r < n; ++r)
        if (zero(r, g) != 8)
          m.fail(".qzeros", fmt::format("row {}, group {}: zero point {}, expected 8 in weights said to be symmetric",
                                        r, g, zero(r, g)));
  for (std::int64_t r = 0; r < n; ++r)
    for (std::int64_t c = 0; c < k; ++c)
      put_nibble(out.codes.data() + r * (k / 2), c, nibble(load<std::uint32_t>(q.data() + 4 * (c / 8 * n + r)), c % 8));
  put_int4_scales(
      out, [&](std::int64_t r, std::int64_t g) { return s[static_cast<std::size_t>(g * n + r)]; }, zero);
}

// Two codes a byte, the first in the low half: the bytes are those of the format.
void copy_fp4(Module& m, const char* part, const CodedRows& out) {
  const Bytes codes = m.bytes(part, {"U8"}, {out.rows, out.columns / 2});
  std::copy(codes.begin(), codes.end(), out.codes.begin());
}

}  // namespace

void expect_fitting(const CodedRows& c, const std::string& file, const std::string& tensor) {
  const WeightFormat& f = *c.format;
  if (f.block_rows == 1 && f.block_columns != WeightFormat::kWholeRow && c.columns % f.block_columns != 0)
    throw BadInput(file, tensor,
                   fmt::format("rows of {} elements are no whole number of {}'s groups of {}", c.columns, f.name,
                               f.block_columns));
  if (static_cast<std::int64_t>(c.codes.size()) != c.rows * f.row_bytes(c.columns) ||
      static_cast<std::int64_t>(c.scales.size()) != f.blocks_of(c.rows, c.columns) * f.scale_bytes)
    throw BadCase("codes and scales of another size than their matrix");
}

float read_packed(CheckpointReader& reader, const std::string& module, Packing packing, const CodedRows& out) {
  Module m(reader, module);
  expect_fitting(out, reader.source(), module);
  const std::int64_t n = out.rows, k = out.columns;
  switch (packing) {
    case Packing::fp8_inverse:
      read_fp8(m, ".weight_scale_inv", out);
      return 1;
    case Packing::fp8:
      read_fp8(m, ".weight_scale", out);
      return 1;
    case Packing::int_packed:
      read_int_packed(m, out);
      return 1;
    case Packing::awq:
      read_awq(m, out);
      return 1;
    case Packing::gptq:
      read_gptq(m, 1, out);
      return 1;
    case Packing::gptq_v2:
      read_gptq(m, 0, out);
      return 1;
    case Packing::mxfp4_packed: {
      copy_fp4(m, ".weight_packed", out);
      const Bytes s = m.e8m0_scales(".weight_scale", {n, k / 32});
      std::copy(s.begin(), s.end(), out.scales.begin());
      return 1;
    }
    case Packing::nvfp4_packed:
    case Packing::nvfp4_modelopt: {
      const bool inverse = packing == Packing::nvfp4_packed;
      copy_fp4(m, inverse ? ".weight_packed" : ".weight", out);
      const Bytes s = m.e4m3_scales(".weight_scale", {n, k / 16});
      std::copy(s.begin(), s.end(), out.scales.begin());
      const float factor = m.scales(inverse ? ".weight_global_scale" : ".weight_scale_2", {{1}, {}})[0];
      return inverse ? 1 / factor : factor;
    }
    case Packing::mxfp4_blocks:
      m.fail(".weight", "blocks and scales of fused experts are read as such");
  }
  throw BadCase("no such packing");
}

void read_mxfp4_blocks(CheckpointReader& reader, const std::string& name, std::int64_t matrix, std::int64_t first,
                       std::int64_t step, const CodedRows& out) {
  Module m(reader, name);
  expect_fitting(out, reader.source(), name);
  const std::int64_t groups = out.columns / 32;
  const auto part = [&](const char* what, const Shape& tail, std::byte* to) {
    if (!m.has(what)) m.fail(what, "no such tensor");
    const TensorInfo& t = reader.info(name + what);
    const std::int64_t rows = t.shape.size() > 1 ? t.shape[1] : 0, last = first + (out.rows - 1) * step;
    Shape expected = {matrix + 1, last + 1};
    expected.insert(expected.end(), tail.begin(), tail.end());
    if (t.shape.size() != expected.size() || t.shape[0] <= matrix || rows <= last ||
        !std::equal(tail.begin(), tail.end(), t.shape.begin() + 2))
      m.fail(what, fmt::format("has the shape {}, expected {} at least", to_string(t.shape), to_string(expected)));
    if (t.dtype != "U8") m.fail(what, fmt::format("is of type {}, expected U8", t.dtype));
    const std::int64_t each = elements_of(tail);
    Bytes all(static_cast<std::size_t>(rows * each));
    reader.file_of(name + what).read_bytes_part(name + what, static_cast<std::uint64_t>(matrix * rows * each), all);
    for (std::int64_t r = 0; r < out.rows; ++r)
      std::memcpy(to + r * each, all.data() + (first + r * step) * each, each);
  };
  part("_blocks", {groups, 16}, out.codes.data());
  part("_scales", {groups}, out.scales.data());
  for (const std::byte s : out.scales)
    if (s == std::byte{255}) m.fail("_scales", "a scale is 255, which is NaN");
}

const WeightFormat* format_of(const GgufType& t) {
  if (t.name == "Q8_0") return &weight_format("q8_0");
  if (t.name == "Q4_0") return &weight_format("q4_0");
  if (t.name == "Q4_K") return &weight_format("q4_k");
  if (t.name == "Q5_K") return &weight_format("q5_k");
  if (t.name == "Q6_K") return &weight_format("q6_k");
  if (t.name == "MXFP4") return &weight_format("mxfp4");
  return nullptr;
}

bool is_plain(const GgufType& t) { return t.name == "F32" || t.name == "F16" || t.name == "BF16"; }

void convert_gguf_row(const GgufType& type, std::span<const std::byte> row, std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (type.name == "F32") out[i] = load<float>(row.data() + 4 * i);
    else if (type.name == "F16") out[i] = from_f16(load<std::uint16_t>(row.data() + 2 * i));
    else out[i] = to_f32(bf16{load<std::uint16_t>(row.data() + 2 * i)});
  }
}

namespace {
unsigned bits(std::byte from, std::size_t shift, unsigned mask) { return static_cast<unsigned>(from) >> shift & mask; }

// Codes of 5 or 6 bits as one string of bits, eight in as many bytes.
template <int kBits>
void put_codes(std::byte* to, std::span<const std::uint8_t> values) {
  for (std::size_t i = 0; i < values.size(); i += 8, to += kBits) {
    std::uint64_t eight = 0;
    for (std::size_t j = 0; j < 8; ++j) eight |= std::uint64_t{values[i + j]} << (kBits * j);
    std::memcpy(to, &eight, kBits);
  }
}
}  // namespace

void unpack_gguf_row(const GgufType& type, std::span<const std::byte> row, std::int64_t columns, std::byte* codes,
                     std::byte* scales, const std::string& file, const std::string& tensor) {
  const std::int64_t bytes = static_cast<std::int64_t>(type.block_bytes);
  const auto finite = [&](const std::byte* at) {
    if (const float v = from_f16(load<std::uint16_t>(at)); !std::isfinite(v))
      throw BadInput(file, tensor, fmt::format("a scale is {}; expected a finite number", v));
  };
  // Halves of bytes to neighbours: element i of `half` and element i of the other half share a byte.
  const auto halves = [&](const std::byte* from, std::int64_t half, std::byte* to) {
    for (std::int64_t i = 0; i < half; ++i) {
      put_nibble(to, i, static_cast<int>(from[i] & std::byte{15}));
      put_nibble(to, half + i, static_cast<int>(from[i] >> 4));
    }
  };
  for (std::int64_t b = 0; b < columns / type.block; ++b) {
    const std::byte* from = row.data() + b * bytes;
    if (type.name == "Q8_0") {
      finite(from);
      std::memcpy(scales + 2 * b, from, 2);
      std::memcpy(codes + 32 * b, from + 2, 32);
    } else if (type.name == "Q4_0") {
      finite(from);
      std::memcpy(scales + 2 * b, from, 2);
      halves(from + 2, 16, codes + 16 * b);
    } else if (type.name == "Q4_K") {
      finite(from);
      finite(from + 2);
      std::memcpy(scales + 16 * b, from, 16);
      for (std::int64_t part = 0; part < 4; ++part) halves(from + 16 + 32 * part, 32, codes + 128 * b + 32 * part);
    } else if (type.name == "Q5_K") {  // 32 bytes of upper bits: bit j of byte i is that of element 32 j + i
      finite(from);
      finite(from + 2);
      std::memcpy(scales + 16 * b, from, 16);
      std::array<std::uint8_t, 256> values{};
      for (std::size_t i = 0; i < 256; ++i) {
        const std::size_t part = i / 32, in = i % 32;
        const unsigned low = bits(from[48 + part / 2 * 32 + in], part % 2 * 4, 15), high = bits(from[16 + in], part, 1);
        values[i] = static_cast<std::uint8_t>(low | high << 4);
      }
      put_codes<5>(codes + 160 * b, values);
    } else if (type.name == "Q6_K") {  // halves of 128: lower bits of two runs of 32 in 64 bytes, upper of four in 32
      finite(from + 208);
      std::memcpy(scales + 18 * b, from + 208, 2);
      std::memcpy(scales + 18 * b + 2, from + 192, 16);
      std::array<std::uint8_t, 256> values{};
      for (std::size_t i = 0; i < 256; ++i) {
        const std::size_t half = i / 128, run = i / 32 % 4, in = i % 32;
        const unsigned low = bits(from[64 * half + run % 2 * 32 + in], run / 2 * 4, 15),
                       high = bits(from[128 + 32 * half + in], 2 * run, 3);
        values[i] = static_cast<std::uint8_t>(low | high << 4);
      }
      put_codes<6>(codes + 192 * b, values);
    } else if (type.name == "MXFP4") {
      if (*from == std::byte{255}) throw BadInput(file, tensor, "a scale is 255, which is NaN");
      scales[b] = *from;
      halves(from + 1, 16, codes + 16 * b);
    } else {
      throw BadInput(file, tensor,
                     fmt::format("weights of type {} are not supported; known are {}", type.name, kKnownGgufTypes));
    }
  }
}

}  // namespace layercost
