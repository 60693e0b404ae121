// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "harness/result/labels.h"

namespace layercost {
namespace {

TEST(Labels, EveryOutcomeAndLabelHasItsRow) {
  // The last value of each enumeration, so that a new one without a row is noticed.
  ASSERT_EQ(outcome_texts().size(), static_cast<std::size_t>(Outcome::skipped) + 1);
  ASSERT_EQ(label_texts().size(), static_cast<std::size_t>(Label::queue_gap) + 1);
  std::set<std::string> names;
  for (std::size_t i = 0; i < outcome_texts().size(); ++i) {
    const OutcomeText& row = outcome_texts()[i];
    EXPECT_EQ(static_cast<std::size_t>(row.outcome), i);
    EXPECT_EQ(outcome_from_string(row.name), row.outcome);
    EXPECT_FALSE(row.meaning.empty());
    EXPECT_TRUE(names.insert(std::string(row.name)).second) << row.name;
  }
  for (std::size_t i = 0; i < label_texts().size(); ++i) {
    const LabelText& row = label_texts()[i];
    EXPECT_EQ(static_cast<std::size_t>(row.label), i);
    EXPECT_EQ(label_from_string(row.name), row.label);
    EXPECT_FALSE(row.meaning.empty());
    EXPECT_FALSE(row.advice.empty());
    EXPECT_TRUE(names.insert(std::string(row.name)).second) << row.name;
  }
}

TEST(Labels, EveryPriceLabelHasItsRow) {
  ASSERT_EQ(price_label_texts().size(), static_cast<std::size_t>(PriceLabel::price_superseded) + 1);
  std::set<std::string> names;
  for (std::size_t i = 0; i < price_label_texts().size(); ++i) {
    const PriceLabelText& row = price_label_texts()[i];
    EXPECT_EQ(static_cast<std::size_t>(row.label), i);
    EXPECT_FALSE(row.meaning.empty());
    EXPECT_TRUE(names.insert(std::string(row.name)).second) << row.name;
    EXPECT_TRUE(names.insert(std::string(row.shown)).second) << row.shown;
  }
}

TEST(Labels, UnknownWordsAreUnknown) {
  EXPECT_FALSE(outcome_from_string("Measured"));
  EXPECT_FALSE(outcome_from_string(""));
  EXPECT_FALSE(label_from_string("PRELIMINARY"));
}

}  // namespace
}  // namespace layercost
