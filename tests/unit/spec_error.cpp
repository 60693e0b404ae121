// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/unit/spec_testing.h"

namespace layercost {
namespace {

using testing::bad_input;

const std::vector<std::string> kWords{"qwen3-4b", "qwen3-8b", "qwen3-30b-a3b", "hidden_size", "run"};

TEST(NearestSpelling, FindsTypingErrors) {
  EXPECT_EQ(nearest_spelling("qwne3-4b", kWords), "qwen3-4b");        // two letters swapped: distance 1
  EXPECT_EQ(nearest_spelling("rnu", kWords), "run");                  // a swap is one error, not two
  EXPECT_EQ(nearest_spelling("QWEN3-8B", kWords), "qwen3-8b");        // case does not count
  EXPECT_EQ(nearest_spelling("hidden_sizes", kWords), "hidden_size");
  EXPECT_EQ(nearest_spelling("rum", kWords), "run");                  // 1 of 3 letters is still a third
}

TEST(NearestSpelling, ABeginningIsNoMisspelling) {
  const std::vector<std::string> models = {"qwen3-32b", "qwen3-30b-a3b-long", "qwen3-30b-a3b", "qwen3"};
  EXPECT_EQ(nearest_spelling("qwen3-30b", models), "qwen3-30b-a3b");  // not the rival one letter away
  EXPECT_EQ(nearest_spelling("Qwen3", models), "qwen3");              // itself before what begins so
  EXPECT_EQ(nearest_spelling("qw", models), "");                      // two letters begin too much
}

TEST(NearestSpelling, IsSilentWhenNothingIsNear) {
  EXPECT_EQ(nearest_spelling("llama", kWords), "");
  EXPECT_EQ(nearest_spelling("ruxx", kWords), "");                    // 2 of 4
  EXPECT_EQ(nearest_spelling("", kWords), "");
  EXPECT_EQ(nearest_spelling("run", {}), "");
  EXPECT_EQ(nearest_spelling(std::string(100000, 'a'), kWords), "");
  EXPECT_EQ(did_you_mean("llama", kWords), "");
  EXPECT_EQ(did_you_mean("runn", kWords), " (did you mean 'run'?)");
}

TEST(Printable, KeepsTextAndReplacesWhatMovesTheCursor) {
  EXPECT_EQ(printable("plain text 123"), "plain text 123");
  EXPECT_EQ(printable("größer → 模型"), "größer → 模型");
  EXPECT_EQ(printable("a\nb\r\tc\x1b[31m"), "a?b??c?[31m");
  EXPECT_EQ(printable(std::string("a\0b", 3)), "a?b");
  EXPECT_EQ(printable("a\x7f"), "a?");
  EXPECT_EQ(printable("a\xc2\x9b" "31m"), "a?31m");                   // C1 control sequence introducer
  EXPECT_EQ(printable("a\xe2\x80\xae" "b"), "a?b");                   // right-to-left override
  EXPECT_EQ(printable("a\xe2\x80\xa8" "b"), "a?b");                   // line separator
  EXPECT_EQ(printable("\xef\xbb\xbf" "b"), "?b");                     // byte order mark, invisible
  EXPECT_EQ(printable("a\xe2\x80\x8b" "b"), "a?b");                   // no width
  EXPECT_EQ(printable("a\xe2\x81\xa0" "b"), "a?b");                   // word joiner
  EXPECT_EQ(printable("a\xd8\x9c" "b"), "a?b");                       // Arabic letter mark
  EXPECT_EQ(printable("a\xf3\xa0\x81\x81" "b"), "a?b");               // a tag character
}

TEST(Printable, ReplacesIllFormedUtf8ByteByByte) {
  EXPECT_EQ(printable("a\xff" "b"), "a?b");
  EXPECT_EQ(printable("\xc0\xaf"), "??");                             // overlong '/'
  EXPECT_EQ(printable("\xed\xa0\x80"), "???");                        // surrogate
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "????");                   // beyond U+10FFFF
  EXPECT_EQ(printable("\xe2\x82"), "??");                             // cut short
}

TEST(Printable, CutsLongTextAfterWholeCharacters) {
  EXPECT_EQ(printable("abcdef", 6), "abcdef");
  EXPECT_EQ(printable("abcdefg", 6), "abcdef...");
  EXPECT_EQ(printable("ääää", 2), "ää...");
}

TEST(BadInput, NamesFilePlaceAndMessageOnOneLine) {
  EXPECT_STREQ(BadInput("f.json", "a.b", "expected x").what(), "f.json: a.b: expected x");
  EXPECT_STREQ(BadInput("f.json", "", "expected x").what(), "f.json: expected x");
  EXPECT_STREQ(BadInput("f\n.json", "a\x1b", "b\nc").what(), "f?.json: a?: b?c");
}

TEST(OutOfMemory, CarriesBothNumbers) {
  const OutOfMemory error("weights", 3ull << 30, 1ull << 29);
  EXPECT_EQ(error.need_bytes, 3ull << 30);
  EXPECT_EQ(error.have_bytes, 1ull << 29);
  EXPECT_STREQ(error.what(), "weights needs 3.00 GiB (3221225472 bytes), available are 0.50 GiB (536870912 bytes)");
}

}  // namespace
}  // namespace layercost
