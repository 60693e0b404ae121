// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "harness/spec/safetensors.h"
#include "tests/unit/spec_testing.h"

namespace layercost {
namespace {

using testing::bad_input;
using testing::contains;
using testing::TempDir;

std::string little_endian(std::uint64_t value) {
  std::string bytes(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>((value >> (8 * i)) & 0xFFu);
  return bytes;
}

std::string file_bytes(const std::string& header, const std::string& data) {
  return little_endian(header.size()) + header + data;
}

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

std::string tensor(const std::string& name, const std::string& dtype, const std::string& shape, std::uint64_t begin,
                   std::uint64_t end) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":[" +
         std::to_string(begin) + "," + std::to_string(end) + "]}";
}

std::string opening(const std::string& bytes) {
  TempDir dir;
  const auto path = dir.write("f.safetensors", bytes);
  return bad_input([&] { SafetensorsFile file(path); });
}

TEST(Safetensors, ReadsEveryFloatType) {
  TempDir dir;
  const std::vector<float> f32{0.0f, -1.5f, std::numeric_limits<float>::infinity(), 1e-40f};
  const std::vector<double> f64{0.1, -1e300, 1e-300, 3.0};
  const std::vector<std::uint16_t> bf16{0x3F80, 0xBFC0, 0x7F80, 0x0001};
  // 1, -2, largest 65504, smallest subnormal 2^-24, largest subnormal, -0, inf
  const std::vector<std::uint16_t> f16{0x3C00, 0xC000, 0x7BFF, 0x0001, 0x03FF, 0x8000, 0x7C00};
  const std::string header = "{" + tensor("a", "F32", "[2,2]", 0, 16) + "," + tensor("b", "F64", "[4]", 16, 48) + "," +
                             tensor("c", "BF16", "[4,1]", 48, 56) + "," + tensor("d", "F16", "[7]", 56, 70) +
                             ",\"__metadata__\":{\"format\":\"pt\",\"note\":\"two\\nlines\"}}";
  const SafetensorsFile file(
      dir.write("f.safetensors", file_bytes(header, bytes_of(f32) + bytes_of(f64) + bytes_of(bf16) + bytes_of(f16))));
  EXPECT_EQ(file.names(), (std::vector<std::string>{"a", "b", "c", "d"}));
  EXPECT_EQ(file.info("a").dtype, "F32");
  EXPECT_EQ(file.info("c").shape, (std::vector<std::int64_t>{4, 1}));
  EXPECT_EQ(file.metadata().at("format"), "pt");

  std::vector<float> out(4);
  file.read_f32("a", out);
  EXPECT_EQ(out, f32);
  file.read_f32("b", out);
  EXPECT_EQ(out, (std::vector<float>{0.1f, -std::numeric_limits<float>::infinity(), 0.0f, 3.0f}));
  file.read_f32("c", out);
  EXPECT_EQ(out, (std::vector<float>{1.0f, -1.5f, std::numeric_limits<float>::infinity(), std::ldexp(1.0f, -133)}));
  out.resize(7);
  file.read_f32("d", out);
  EXPECT_EQ(out, (std::vector<float>{1.0f, -2.0f, 65504.0f, std::ldexp(1.0f, -24), std::ldexp(1023.0f, -24), -0.0f,
                                     std::numeric_limits<float>::infinity()}));
  EXPECT_TRUE(std::signbit(out[5]));

  out.resize(2);
  file.read_f32_part("a", 1, out);
  EXPECT_EQ(out, (std::vector<float>{-1.5f, std::numeric_limits<float>::infinity()}));
  std::vector<std::byte> raw(8);
  file.read_bytes("c", raw);
  EXPECT_EQ(std::memcmp(raw.data(), bf16.data(), 8), 0);
}

TEST(Safetensors, NanStaysNan) {
  TempDir dir;
  const std::string data =
      bytes_of(std::vector<std::uint16_t>{0x7E00, 0x7FC0}) + bytes_of(std::vector<double>{std::nan("")});
  const SafetensorsFile file(dir.write(
      "f.safetensors", file_bytes("{" + tensor("h", "F16", "[1]", 0, 2) + "," + tensor("b", "BF16", "[1]", 2, 4) + "," +
                                      tensor("d", "F64", "[1]", 4, 12) + "}",
                                  data)));
  for (const char* name : {"h", "b", "d"}) {
    float value = 0.0f;
    file.read_f32(name, {&value, 1});
    EXPECT_TRUE(std::isnan(value)) << name;
  }
}

TEST(Safetensors, ReadsTensorsLargerThanItsBuffer) {
  TempDir dir;
  const std::size_t count = 3 * (std::size_t{1} << 19) + 7;  // 3 MiB of bf16: four reads, the last of 7 elements
  std::vector<std::uint16_t> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<std::uint16_t>(0x3F80 + i % 251);
  const std::string header = "{" + tensor("w", "BF16", "[" + std::to_string(count) + "]", 0, 2 * count) + "}";
  const SafetensorsFile file(dir.write("f.safetensors", file_bytes(header, bytes_of(values))));
  std::vector<float> out(count);
  file.read_f32("w", out);
  for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(out[i], std::bit_cast<float>(std::uint32_t{values[i]} << 16)) << i;
}

TEST(Safetensors, LegalOdditiesAreAccepted) {
  const std::pair<const char*, std::string> table[] = {
      {"no tensors at all", file_bytes("{}", "")},
      {"spaces after the header", file_bytes("{}      ", "")},
      {"only metadata", file_bytes("{\"__metadata__\":{}}", "")},
      {"empty tensor", file_bytes("{" + tensor("e", "F32", "[0]", 0, 0) + "}", "")},
      {"empty tensor of a large shape", file_bytes("{" + tensor("e", "F32", "[0,1000000]", 0, 0) + "}", "")},
      {"0-d tensor", file_bytes("{" + tensor("s", "F32", "[]", 0, 4) + "}", "abcd")},
      {"empty tensor between others",
       file_bytes("{" + tensor("a", "U8", "[2]", 0, 2) + "," + tensor("e", "F32", "[3,0]", 2, 2) + "," +
                      tensor("b", "U8", "[1]", 2, 3) + "}",
                  "xyz")},
      {"offsets in another order than names",
       file_bytes("{" + tensor("a", "U8", "[1]", 2, 3) + "," + tensor("b", "U8", "[2]", 0, 2) + "}", "xyz")},
      {"two 4-bit values in a byte", file_bytes("{" + tensor("q", "F4", "[2]", 0, 1) + "}", "x")},
      {"NaN in the data", file_bytes("{" + tensor("n", "F32", "[1]", 0, 4) + "}", "\xff\xff\xff\xff")},
  };
  for (const auto& [what, bytes] : table) EXPECT_EQ(opening(bytes), "") << what;
}

TEST(Safetensors, EveryBrokenRuleIsRefused) {
  const std::string one = "{" + tensor("a", "F32", "[2]", 0, 8) + "}";
  const std::string data(8, 'x');
  struct Attack {
    const char* what;
    std::string bytes;
    const char* said;
  };
  const Attack table[] = {
      {"empty file", "", "has no header length"},
      {"seven bytes", "1234567", "has no header length"},
      {"header length zero", little_endian(0), "does not begin with '{'"},
      {"header length beyond the format", little_endian(100'000'001) + one, "the format allows 100000000"},
      {"header length 2^64 - 1", little_endian(~std::uint64_t{0}) + one, "the format allows"},
      {"header length beyond the file", little_endian(one.size() + data.size() + 1) + one + data, "bytes follow"},
      {"header length of the format, file small", little_endian(100'000'000) + one, "bytes follow"},
      {"header begins with a space", file_bytes(" " + one, data), "does not begin with '{'"},
      {"header is a list", file_bytes("[]", ""), "does not begin with '{'"},
      {"header is text", file_bytes("hello", ""), "does not begin with '{'"},
      {"header cut short", file_bytes(one.substr(0, one.size() - 1), data), "not valid JSON"},
      {"two headers", file_bytes(one + one, data), "not valid JSON"},
      {"header not UTF-8", file_bytes("{\"\xff\":1}", ""), "UTF-8"},
      {"header with a zero byte", file_bytes(one + std::string(1, '\0'), data), "not valid JSON"},
      {"header nested deeply", file_bytes("{\"a\":" + std::string(100000, '['), ""), "nested deeper"},
      {"tensor no object", file_bytes("{\"a\":1}", ""), "a: expected an object"},
      {"name twice",
       file_bytes("{" + tensor("a", "U8", "[1]", 0, 1) + "," + tensor("a", "U8", "[1]", 1, 2) + "}", "xy"),
       "appears twice"},
      {"name with a line break", file_bytes("{" + tensor("a\\nb", "U8", "[1]", 0, 1) + "}", "x"), "control characters"},
      {"metadata no object", file_bytes("{\"__metadata__\":[]}", ""), "__metadata__: expected an object"},
      {"metadata no text", file_bytes("{\"__metadata__\":{\"a\":1}}", ""), "__metadata__.a: expected a text"},
      {"dtype missing", file_bytes("{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", data),
       "a.dtype: the key is missing"},
      {"shape missing", file_bytes("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", data),
       "a.shape: the key is missing"},
      {"offsets missing", file_bytes("{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", data),
       "a.data_offsets: the key is missing"},
      {"dtype unknown", file_bytes("{" + tensor("a", "F33", "[2]", 0, 8) + "}", data), "a.dtype: unknown type \"F33\""},
      {"dtype in small letters", file_bytes("{" + tensor("a", "f32", "[2]", 0, 8) + "}", data), "did you mean 'F32'?"},
      {"shape no list", file_bytes("{" + tensor("a", "F32", "2", 0, 8) + "}", data), "a.shape: expected a list"},
      {"shape negative", file_bytes("{" + tensor("a", "F32", "[-2]", 0, 8) + "}", data), "a.shape[0]"},
      {"shape fraction", file_bytes("{" + tensor("a", "F32", "[2.0]", 0, 8) + "}", data), "a.shape[0]"},
      {"shape of 17 dimensions",
       file_bytes("{" + tensor("a", "U8", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", 0, 1) + "}", "x"), "a.shape"},
      {"shape product overflows", file_bytes("{" + tensor("a", "F32", "[4294967296,4294967296]", 0, 8) + "}", data),
       "does not fit 63 bits"},
      {"shape product wraps to the right size",
       file_bytes("{" + tensor("a", "U8", "[9223372036854775807,2,2]", 0, 8) + "}", data), "does not fit 63 bits"},
      {"shape overflow hidden by a zero",
       file_bytes("{" + tensor("a", "U8", "[4294967296,4294967296,0]", 0, 0) + "}", ""), "does not fit 63 bits"},
      {"bytes overflow", file_bytes("{" + tensor("a", "F64", "[4611686018427387904]", 0, 8) + "}", data), "2^64 bits"},
      {"shape too large for the extent", file_bytes("{" + tensor("a", "F32", "[3]", 0, 8) + "}", data),
       "covers 8 bytes, but [3] of F32 takes 12"},
      {"shape too small for the extent", file_bytes("{" + tensor("a", "F32", "[1]", 0, 8) + "}", data),
       "covers 8 bytes, but [1] of F32 takes 4"},
      {"half a byte", file_bytes("{" + tensor("a", "F4", "[3]", 0, 1) + "}", "x"), "whole number of bytes"},
      {"offsets of one", file_bytes("{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0]}}", data),
       "a.data_offsets: expected a list of 2"},
      {"offsets of three", file_bytes("{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8,8]}}", data),
       "a.data_offsets: expected a list of 2"},
      {"offsets negative", file_bytes("{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[-8,0]}}", data),
       "a.data_offsets[0]"},
      {"offsets beyond 2^63",
       file_bytes("{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,18446744073709551615]}}", data),
       "a.data_offsets[1]"},
      {"offsets backwards", file_bytes("{" + tensor("a", "U8", "[8]", 8, 0) + "}", data), "ends before"},
      {"offsets beyond the file", file_bytes("{" + tensor("a", "U8", "[9]", 0, 9) + "}", data), "only 8 bytes follow"},
      {"overlap", file_bytes("{" + tensor("a", "U8", "[5]", 0, 5) + "," + tensor("b", "U8", "[4]", 4, 8) + "}", data),
       "(overlap)"},
      {"same bytes twice",
       file_bytes("{" + tensor("a", "U8", "[8]", 0, 8) + "," + tensor("b", "U8", "[8]", 0, 8) + "}", data),
       "(overlap)"},
      {"hole", file_bytes("{" + tensor("a", "U8", "[3]", 0, 3) + "," + tensor("b", "U8", "[4]", 4, 8) + "}", data),
       "(hole)"},
      {"hole at the start", file_bytes("{" + tensor("a", "U8", "[7]", 1, 8) + "}", data), "(hole)"},
      {"trailing bytes", file_bytes(one, data + "x"), "9 bytes follow the header"},
      {"bytes and no tensors", file_bytes("{}", "x"), "1 bytes follow the header"},
      {"empty tensor beyond the end", file_bytes("{" + tensor("e", "F32", "[0]", 4, 4) + "}", ""),
       "only 0 bytes follow"},
      {"empty tensor inside another",
       file_bytes("{" + tensor("a", "U8", "[8]", 0, 8) + "," + tensor("e", "U8", "[0]", 3, 3) + "}", data),
       "(overlap)"},
  };
  for (const Attack& attack : table) {
    const std::string message = opening(attack.bytes);
    EXPECT_TRUE(contains(message, attack.said)) << attack.what << ": " << message;
    EXPECT_TRUE(contains(message, "f.safetensors: ")) << attack.what << ": " << message;
    EXPECT_FALSE(contains(message, "\n")) << attack.what;
  }
}

TEST(Safetensors, RefusesFilesThatAreNone) {
  TempDir dir;
  EXPECT_TRUE(contains(bad_input([&] { SafetensorsFile f(dir.path() / "none"); }), "no such file"));
  EXPECT_TRUE(contains(bad_input([&] { SafetensorsFile f(dir.path()); }), "is a folder"));
  EXPECT_TRUE(contains(bad_input([&] { SafetensorsFile f("/dev/zero"); }), "device"));
  const std::string fifo = (dir.path() / "fifo").string();
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_TRUE(contains(bad_input([&] { SafetensorsFile f(fifo); }), "pipe"));
}

TEST(Safetensors, ReadingSaysWhatDoesNotFit) {
  TempDir dir;
  const auto path = dir.write("f.safetensors", file_bytes("{" + tensor("model.norm.weight", "F32", "[2]", 0, 8) + "," +
                                                              tensor("q", "I8", "[4]", 8, 12) + "}",
                                                          std::string(12, '\0')));
  const SafetensorsFile file(path);
  std::vector<float> two(2), three(3), four(4);
  EXPECT_TRUE(
      contains(bad_input([&] { file.read_f32("model.norm.weigth", two); }), "did you mean 'model.norm.weight'?"));
  EXPECT_TRUE(
      contains(bad_input([&] { file.read_f32("model.norm.weight", three); }), "holds 2 elements [2], asked for 3"));
  EXPECT_TRUE(contains(bad_input([&] { file.read_f32("q", four); }), "type I8 are not supported"));
  EXPECT_TRUE(contains(bad_input([&] { file.read_f32_part("model.norm.weight", 1, two); }), "asked for 2 from 1 on"));
  EXPECT_TRUE(contains(bad_input([&] { file.read_f32_part("model.norm.weight", -1, two); }), "from -1 on"));
  EXPECT_TRUE(contains(bad_input([&] { file.read_f32_part("model.norm.weight", INT64_MAX, two); }), "asked for"));
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 8);  // cut short after opening
  EXPECT_TRUE(contains(bad_input([&] { file.read_f32("model.norm.weight", two); }), "ends early"));
}

TEST(Safetensors, MovesItsDescriptor) {
  TempDir dir;
  const auto path = dir.write("f.safetensors", file_bytes("{" + tensor("a", "U8", "[1]", 0, 1) + "}", "x"));
  SafetensorsFile first(path);
  SafetensorsFile second(std::move(first));
  SafetensorsFile third(dir.write("g.safetensors", file_bytes("{}", "")));
  third = std::move(second);
  std::vector<std::byte> raw(1);
  third.read_bytes("a", raw);
  EXPECT_EQ(raw[0], std::byte{'x'});
}

class Checkpoint : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_.write("model-00001-of-00002.safetensors",
               file_bytes("{" + tensor("a", "F32", "[1,2]", 0, 8) + "}", bytes_of(std::vector<float>{1, 2})));
    dir_.write("model-00002-of-00002.safetensors",
               file_bytes("{" + tensor("b", "F32", "[1]", 0, 4) + "}", bytes_of(std::vector<float>{3})));
  }
  std::filesystem::path index(const std::string& weight_map) {
    return dir_.write("model.safetensors.index.json",
                      "{\"metadata\":{\"total_size\":12},\"weight_map\":" + weight_map + "}");
  }
  TempDir dir_;
};

TEST_F(Checkpoint, ReadsThroughAnIndex) {
  const auto file = index(R"({"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"})");
  for (const auto& path : {file, dir_.path()}) {
    CheckpointReader reader(path);
    EXPECT_EQ(reader.names(), (std::vector<std::string>{"a", "b"}));
    std::vector<float> out(2);
    const std::vector<std::int64_t> shape{1, 2};
    reader.read_f32("a", shape, out);
    EXPECT_EQ(out, (std::vector<float>{1, 2}));
    EXPECT_EQ(reader.info("b").elements, 1);
    EXPECT_TRUE(contains(bad_input([&] {
                           reader.read_f32("a", std::vector<std::int64_t>{2, 1}, out);
                         }),
                         "has the shape [1, 2], expected [2, 1]"));
    const std::string missing = bad_input([&] { reader.info("bb"); });
    EXPECT_TRUE(contains(missing, "bb: no such tensor in 2 files")) << missing;
    EXPECT_TRUE(contains(missing, dir_.path().string())) << missing;
  }
}

TEST_F(Checkpoint, ReadsAFolderAListOrOneFile) {
  EXPECT_EQ(CheckpointReader(dir_.path()).names().size(), 2u);  // no index: every *.safetensors
  EXPECT_EQ(CheckpointReader(dir_.path() / "model-00002-of-00002.safetensors").names(), std::vector<std::string>{"b"});
  CheckpointReader list(std::vector<std::filesystem::path>{dir_.path() / "model-00001-of-00002.safetensors",
                                                           dir_.path() / "model-00002-of-00002.safetensors"});
  EXPECT_TRUE(list.has("a") && list.has("b") && !list.has("c"));
  dir_.write("model.safetensors", file_bytes("{" + tensor("only", "U8", "[1]", 0, 1) + "}", "x"));
  EXPECT_EQ(CheckpointReader(dir_.path()).names(), std::vector<std::string>{"only"});
}

TEST_F(Checkpoint, IndexNamesPlainFilesOnly) {
  for (const char* name : {"../model-00001-of-00002.safetensors", "/etc/passwd", "sub/x.safetensors", "..", ".", "",
                           "a..safetensors", "x.bin", "x.safetensors\\n", "C:x.safetensors", "a\\\\b.safetensors"}) {
    const auto file = index(std::string("{\"a\":\"") + name + "\"}");
    EXPECT_TRUE(contains(bad_input([&] { CheckpointReader reader(file); }), "weight_map.a: ")) << name;
  }
  EXPECT_TRUE(
      contains(bad_input([&] { CheckpointReader reader(index("{\"a\":1}")); }), "weight_map.a: expected a text"));
  EXPECT_TRUE(contains(bad_input([&] { CheckpointReader reader(index("{}")); }), "names no tensor"));
  EXPECT_TRUE(contains(bad_input([&] { CheckpointReader reader(dir_.write("x.json", "{}")); }),
                       "weight_map: the key is missing"));
}

TEST_F(Checkpoint, SaysWhichFileIsMissingOrLacksTheTensor) {
  CheckpointReader reader(index(R"({"a":"gone.safetensors","c":"model-00001-of-00002.safetensors"})"));
  EXPECT_TRUE(contains(bad_input([&] { reader.info("a"); }), "gone.safetensors: no such file"));
  EXPECT_TRUE(contains(bad_input([&] { reader.info("c"); }), "model-00001-of-00002.safetensors: c: no such tensor"));
  TempDir empty;
  EXPECT_TRUE(contains(bad_input([&] { CheckpointReader none(empty.path()); }), "holds neither"));
  EXPECT_NE(bad_input([&] { CheckpointReader none(std::vector<std::filesystem::path>{}); }), "");
  const auto twice = dir_.path() / "model-00001-of-00002.safetensors";
  EXPECT_TRUE(contains(bad_input([&] {
                         CheckpointReader same(std::vector<std::filesystem::path>{twice, twice});
                       }),
                       "is also in"));
}

}  // namespace
}  // namespace layercost
