// What:    the rows of a report's sections that have a place in the data, for spreadsheets and scripts, as csv.h and
//          json.h write them. `kind` tells the rows apart:
//            layer        one kind of layer, or the head, of a point; of another program, too, where there are peers
//            model        the composition of a point
//            pair         a dense model and a mixture of experts at a point: promised, possible, paid
//            isoline      the size at which a dense model that nobody trained costs as much as a mixture of experts
//            lever        a step from a dense transformer to a model as it is, against the step before
//            layers_pair  the same of the layers alone, in one program; where there are peers
//            format       a weight format at a point, against the plain one: promised, possible, paid
//            layers_format  the same of the layers alone, in one program; where there are peers
//            blend        one price for a mix of tokens
//            depth        stacks of growing depth at a point, and whether its layers add up
//            sensitivity  what a model's cheapest point costs at other use and price
//            break_even   from how many tokens a day one way to pay is cheaper than another
//          Columns are keys of the sections' columns (section.h), named and explained there; metrics as in
//          cost/metrics.h. New columns are added at the end; a name never changes its meaning.
// Rules:   what is of the whole model (money, memory) stands in its row alone. What is absent is absent, never 0.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "harness/report/section.h"
#include "harness/result/record.h"

namespace layercost {

using DataValue = std::variant<std::string, std::int64_t, double, bool, std::vector<std::string>>;  // the last: labels

struct DataColumn {
  std::string key, otherwise = {};  // otherwise: what rows have that do not have the column
  bool if_any = false;
};
struct DataRow {
  Place place;
  std::vector<std::optional<DataValue>> values = {};  // by the column's place in Data; shorter if the last are missing
  std::vector<bool> has = {};                         // while they are gathered: whether the row has the column at all
  // Null without a value.
  const DataValue* at(std::size_t column) const {
    return column < values.size() && values[column] ? &*values[column] : nullptr;
  }
};
struct Data {
  std::vector<DataColumn> columns;  // in the order in which they are written
  std::vector<DataRow> rows;
};

Data data_of(std::span<const ResultFile> files);
Data data_of(const std::vector<Section>& sections);

}  // namespace layercost
