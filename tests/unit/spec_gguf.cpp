// A file made by PyPI's gguf 0.19.0, and bytes laid out by hand after docs/gguf.md of ggml.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstring>

#include "harness/spec/gguf.h"
#include "tests/unit/spec_testing.h"

namespace layercost {
namespace {

using testing::bad_input;
using testing::contains;
using testing::TempDir;

template <class T>
std::string raw(T value) {
  std::string out(sizeof value, '\0');
  std::memcpy(out.data(), &value, sizeof value);
  return out;
}
std::string u32(std::uint32_t v) { return raw(v); }
std::string u64(std::uint64_t v) { return raw(v); }
std::string text(const std::string& s) { return u64(s.size()) + s; }

// One F32 tensor of 2 x 3 at offset 0; each part can be exchanged.
struct Parts {
  std::string magic = "GGUF", version = u32(3), tensors = u64(1), keys = u64(1);
  std::string key = text("general.alignment") + u32(4) + u32(32);
  std::string name = text("a"), dims = u32(2) + u64(3) + u64(2), type = u32(0), offset = u64(0);
  std::string more = {};
  std::size_t data_bytes = 24;

  std::string file() const {
    std::string out = magic + version + tensors + keys + key + name + dims + type + offset + more;
    out.resize((out.size() + 31) / 32 * 32, '\0');
    for (std::size_t i = 0; i < data_bytes; ++i) out += static_cast<char>(i);
    return out;
  }
};

std::string opening(const std::string& bytes) {
  TempDir dir;
  const auto path = dir.write("f.gguf", bytes);
  return bad_input([&] { GgufFile file(path); });
}

TEST(Gguf, ReadsWhatTheGgufPackageWrites) {
  const GgufFile file(std::filesystem::path(LAYERCOST_SOURCE_DIR) / "tests/fuzz/seeds/gguf/small.gguf");
  EXPECT_EQ(file.header().version, 3u);
  EXPECT_EQ(file.find_string("general.architecture"), "qwen3");
  EXPECT_EQ(file.find_int("qwen3.block_count"), 1);
  EXPECT_EQ(file.names(), (std::vector<std::string>{"blk.0.attn_norm.weight", "blk.0.attn_q.weight"}));
  const GgufTensor& q = file.tensor("blk.0.attn_q.weight");
  EXPECT_EQ(q.type->name, "Q8_0");
  EXPECT_EQ(q.shape, (std::vector<std::int64_t>{2, 32}));
  EXPECT_EQ(q.bytes, 68u);
  std::vector<float> norm(4);
  file.read_bytes("blk.0.attn_norm.weight", std::as_writable_bytes(std::span(norm)));
  EXPECT_EQ(norm, (std::vector<float>{0, 1, 2, 3}));
}

TEST(Gguf, LaysTheFastestAxisLast) {
  TempDir dir;
  const GgufFile file(dir.write("f.gguf", Parts{}.file()));
  EXPECT_EQ(file.tensor("a").shape, (std::vector<std::int64_t>{2, 3}));
  std::vector<std::uint8_t> bytes(24);
  file.read_bytes("a", std::as_writable_bytes(std::span(bytes)));
  EXPECT_EQ(bytes[0], 0);
  EXPECT_EQ(bytes[23], 23);
  EXPECT_TRUE(contains(bad_input([&] { file.tensor("b"); }), "f.gguf: b: no such tensor"));
}

TEST(Gguf, AnyCutIsRefused) {
  const std::string good = Parts{}.file();
  EXPECT_EQ(opening(good), "");
  for (std::size_t n = 0; n < good.size(); ++n) EXPECT_NE(opening(good.substr(0, n)), "") << n;
}

TEST(Gguf, LiesAreRefusedWithFilePlaceAndExpectation) {
  const std::uint64_t huge = ~std::uint64_t{0};
  struct Row {
    const char* what;
    Parts parts;
    std::vector<const char*> said;
  };
  const Row rows[] = {
      {"no GGUF", {.magic = "GGML"}, {"f.gguf: header: ", "'GGUF'"}},
      {"version 1", {.version = u32(1)}, {"version 1", "2 and 3"}},
      {"big-endian", {.version = std::string("\0\0\0\3", 4)}, {"big-endian"}},
      {"2^64 tensors", {.tensors = u64(huge)}, {"tensor count: ", "18446744073709551615"}},
      {"2^64 keys", {.keys = u64(huge)}, {"key count: "}},
      {"a key of 2^64 bytes", {.key = u64(huge) + "x"}, {"key 0: ", "at most 1024"}},
      {"a text of 2^64 bytes", {.key = text("k") + u32(8) + u64(huge)}, {"k: needs 18446744073709551615 bytes"}},
      {"a list of 2^64", {.key = text("k") + u32(9) + u32(8) + u64(huge)}, {"k: says that 18446744073709551615"}},
      {"a list of 2^61 numbers", {.key = text("k") + u32(9) + u32(10) + u64(std::uint64_t{1} << 61)}, {"k: says"}},
      {"a value of type 13", {.key = text("k") + u32(13) + u32(0)}, {"k: a value of type 13", "0 to 12"}},
      {"alignment 0", {.key = text("general.alignment") + u32(4) + u32(0)}, {"general.alignment: ", "power of two"}},
      {"alignment 24", {.key = text("general.alignment") + u32(4) + u32(24)}, {"power of two"}},
      {"alignment a text", {.key = text("general.alignment") + u32(8) + text("32")}, {"power of two"}},
      {"a name with an escape", {.name = text("a\x1b[2J")}, {"tensor 0: ", "control characters"}},
      {"no axes", {.dims = u32(0)}, {"a: has 0 axes", "1 to 4"}},
      {"five axes", {.dims = u32(5) + u64(1) + u64(1) + u64(1) + u64(1) + u64(1)}, {"a: has 5 axes"}},
      {"2^64 elements", {.dims = u32(2) + u64(std::uint64_t{1} << 32) + u64(std::uint64_t{1} << 32)}, {"63 bits"}},
      {"an axis of 2^64", {.dims = u32(1) + u64(huge)}, {"a: an axis of 18446744073709551615"}},
      {"2^64 bytes", {.dims = u32(1) + u64(std::uint64_t{1} << 62)}, {"a: ", "2^64 bytes"}},
      {"unknown type", {.type = u32(99)}, {"a: unknown type 99", "Q4_K"}},
      {"half a block", {.type = u32(8)}, {"a: rows of 3 elements", "Q8_0 takes multiples of 32"}},
      {"offset not aligned", {.offset = u64(8)}, {"a: offset 8 is no multiple of the alignment, 32"}},
      {"offset behind the file", {.offset = u64(32)}, {"a: 24 bytes at offset 32 end behind the file"}},
      {"offset near 2^64", {.offset = u64(huge - 31)}, {"a: 24 bytes at offset 18446744073709551584"}},
      {"two at one place",
       {.tensors = u64(2), .more = text("b") + u32(1) + u64(6) + u32(0) + u64(0)},
       {"b: offset 0 lies within another tensor, which ends at 24"}},
      {"a tensor twice",
       {.tensors = u64(2), .more = text("a") + u32(1) + u64(0) + u32(0) + u64(0)},
       {"a: this tensor comes twice"}},
      {"a key twice",
       {.keys = u64(2), .key = text("k") + u32(4) + u32(1) + text("k") + u32(4) + u32(1)},
       {"k: this key comes twice"}},
  };
  for (const Row& row : rows) {
    const std::string said = opening(row.parts.file());
    for (const char* part : row.said) EXPECT_TRUE(contains(said, part)) << row.what << ": " << said;
    EXPECT_FALSE(contains(said, "\x1b")) << row.what;
  }
}

}  // namespace
}  // namespace layercost
