// Canonical JSON against values written by Node's JSON.stringify and the PyPI package rfc8785 0.1.4.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "harness/result/canonical.h"

namespace layercost {
namespace {

TEST(canonical, numbers_are_those_of_ecmascript) {
  const std::pair<double, const char*> cases[] = {
      {0.0, "0"},         {-0.0, "0"},          {1, "1"},
      {1e21, "1e+21"},    {1e20, "100000000000000000000"}, {123456789012345680000.0, "123456789012345680000"},
      {1e-6, "0.000001"}, {1e-7, "1e-7"},       {9.999999e-7, "9.999999e-7"},
      {0.1, "0.1"},       {5e-324, "5e-324"},   {1.7976931348623157e308, "1.7976931348623157e+308"},
      {4.35, "4.35"},     {2e-5, "0.00002"},    {333333333.33333329, "333333333.3333333"},
      {1.0 / 3, "0.3333333333333333"},          {-1.5e300, "-1.5e+300"},
      {9007199254740992, "9007199254740992"},   {1.234e-6, "0.000001234"},
      {1.23e-18, "1.23e-18"},                   {25276514304.0, "25276514304"}};
  for (const auto& [value, text] : cases) EXPECT_EQ(canonical_number(value), text);
  EXPECT_THROW(canonical_number(std::numeric_limits<double>::quiet_NaN()), std::invalid_argument);
  EXPECT_THROW(canonical_number(std::numeric_limits<double>::infinity()), std::invalid_argument);
}

TEST(canonical, keys_in_utf16_order_and_strings_escaped) {
  const auto document = nlohmann::json::parse(
      R"({"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7,)"
      R"("s":"\u0001\"\\/\b\u007f\u00e9","n":[1e3,true,null,{}]})");
  EXPECT_EQ(canonical_text(document),
            "{\"\\r\":2,\"1\":4,\"n\":[1000,true,null,{}],\"s\":\"\\u0001\\\"\\\\/\\b\x7f\xc3\xa9\",\"\xc2\x80\":6,"
            "\"\xc3\xb6\":7,\"\xe2\x82\xac\":1,\"\xf0\x9f\x98\x80\":5,\"\xef\xac\xb3\":3}");
  EXPECT_EQ(content_hash(document), "3be670ef2372dcf5b2eeaaa853447287c99f974822aced92633c9d6d92d8d7c2");
}

}  // namespace
}  // namespace layercost
